//! Orders, levels and the index as one: what keeps them in step with each other.
//!
//! Two steps, kept apart so that the first can run ahead of the second for a whole burst ([`ahead`](super::ahead)):
//! *locate* (find the order, or prove its absence; touches the index and the order's segment) and *apply* (join, reduce,
//! leave). Nothing here judges an event; that is the business of [`apply`](super::apply).

use std::collections::TryReserveError;

use crate::market::{Price, Side};

use super::index::{Found, Index, Place};
use super::instrument::{Instrument, Spot};
use super::limits::Limits;
use super::node::Node;
use super::pool::{Handle, Pool};
use super::segment::{Fate, Queues, Segment};
use super::tree::key;
use super::vectors::{Portable, Vectors};

/// A limit was reached; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Orders,
    Levels,
}

/// How many of something there are, and were at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    pub(super) live: u32,
    pub(super) peak: u32,
    limit: u32,
}

impl Census {
    #[inline(always)]
    const fn is_full(self) -> bool {
        self.live >= self.limit
    }

    #[inline(always)]
    fn enter(&mut self) {
        self.live += 1;
        self.peak = self.peak.max(self.live);
    }
}

/// All orders of all books.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) queues: Queues,
    pub(super) nodes: Pool<Node>,
    pub(super) index: Index,
    pub(super) orders: Census,
    pub(super) levels: Census,
}

impl Store {
    pub(super) fn new(limits: &Limits) -> Result<Self, TryReserveError> {
        Ok(Self {
            queues: Queues::new(limits.orders, limits.chains())?,
            nodes: Pool::new(limits.nodes())?,
            index: Index::new(limits.orders)?,
            orders: Census { limit: limits.orders, ..Census::default() },
            levels: Census { limit: limits.levels, ..Census::default() },
        })
    }

    /// The live order that carries `order_ref`, or proof that there is none: a place for it, void after any change.
    #[inline(always)]
    pub(super) fn find<V: Vectors>(&self, order_ref: u64) -> Found {
        self.index.find::<V>(&self.queues.segments, order_ref)
    }

    /// Puts a new order at the back of the queue at its price.
    #[inline(always)]
    pub(super) fn join<V: Vectors>(
        &mut self,
        instrument: &mut Instrument,
        (order_ref, place): (u64, Place),
        (locate, side): (u16, Side),
        shares: u32,
        price: Price,
    ) -> Result<(), Full> {
        if self.orders.is_full() {
            return Err(Full::Orders);
        }
        let key = key(side, price);
        let segment = match instrument.spot::<V>(&self.nodes, side, key) {
            Spot::Level(last, at) => {
                let segment = self.queues.join(last, order_ref, shares).ok_or(Full::Orders)?;
                if segment != last {
                    instrument.set_last(&mut self.nodes, side, (at, key), segment);
                }
                segment
            }
            spot => {
                if self.levels.is_full() {
                    return Err(Full::Levels);
                }
                let segment = Segment::new((locate, side), price, order_ref, shares);
                let segment = self.queues.segments.take(segment).ok_or(Full::Orders)?;
                if instrument.enter::<V>(&mut self.nodes, side, (spot, key), segment).is_err() {
                    self.queues.segments.give(segment);
                    return Err(Full::Levels);
                }
                self.levels.enter();
                segment
            }
        };
        self.index.insert(order_ref, place, segment);
        self.orders.enter();
        Ok(())
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    #[inline(always)]
    pub(super) fn reduce(&mut self, found: &Found, shares: u32) {
        self.queues.reduce(found.segment(), found.at(), shares);
    }

    /// Takes an order out of its book, and its level with it if it was the last there.
    #[inline(always)]
    pub(super) fn leave<V: Vectors>(&mut self, instrument: &mut Instrument, order_ref: u64, found: &Found) {
        self.index.remove(order_ref, found.place);
        self.orders.live -= 1;
        let segment = &self.queues.segments[found.segment()];
        let (side, key) = (segment.side(), key(segment.side(), segment.price()));
        match self.queues.leave::<V>(found.segment(), found.at()) {
            Fate::Stays => {}
            Fate::Ends(last) => instrument.end_at(&mut self.nodes, side, key, last),
            Fate::Gone => {
                instrument.remove::<V>(&mut self.nodes, side, key);
                self.levels.live -= 1;
            }
        }
    }

    /// Takes the order at the front of a level's queue out.
    pub(super) fn leave_first(&mut self, instrument: &mut Instrument, last: Handle<Segment>) {
        let first = self.queues.segments[self.queues.first(last)].orders().next();
        if let Some((order_ref, _)) = first {
            let found = self.find::<Portable>(order_ref);
            self.leave::<Portable>(instrument, order_ref, &found);
        }
    }

    /// Forgets every order and level.
    pub(super) fn clear(&mut self) {
        self.queues.clear();
        self.nodes.clear();
        self.index.clear();
        self.orders.live = 0;
        self.levels.live = 0;
    }
}
