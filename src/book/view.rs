//! What the books hold, for whoever asks.

use std::iter;

use crate::market::{Level, Price, Side, TopOfBook};

use super::Books;
use super::index::Found;
use super::pool::Handle;
use super::segment::Segment;
use super::tree::key;
use super::vectors::Portable;

/// A live order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// Day-unique order reference.
    pub order_ref: u64,
    /// Displayed shares that are left.
    pub shares: u32,
    /// Limit price.
    pub price: Price,
    /// Side of the order.
    pub side: Side,
    /// Instrument of the order.
    pub locate: u16,
}

/// What is ahead of an order in the queue at its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// Orders ahead; 0 at the front.
    pub orders_ahead: u32,
    /// Their displayed shares.
    pub shares_ahead: u64,
}

impl Segment {
    fn view_order(&self, (order_ref, shares): (u64, u32)) -> RestingOrder {
        RestingOrder { order_ref, shares, price: self.price(), side: self.side(), locate: self.locate() }
    }
}

impl Books {
    /// Best bid and offer. Empty for a locate out of range.
    #[inline]
    #[must_use]
    pub fn top(&self, locate: u16) -> TopOfBook {
        let best = |side| {
            let level = self.instrument(locate)?.best(side).some()?;
            Some(self.store.queues.view(level))
        };
        TopOfBook { bid: best(Side::Buy), ask: best(Side::Sell) }
    }

    /// The levels of one side, best first.
    pub fn depth(&self, locate: u16, side: Side) -> impl Iterator<Item = Level> {
        self.instrument(locate)
            .into_iter()
            .flat_map(move |instrument| instrument.ladder(&self.store.nodes, side))
            .map(|(_, level)| self.store.queues.view(level))
    }

    /// The level at `price`.
    #[inline]
    #[must_use]
    pub fn level(&self, locate: u16, side: Side, price: Price) -> Option<Level> {
        let level = self.instrument(locate)?.level(&self.store.nodes, side, key(side, price))?;
        Some(self.store.queues.view(level))
    }

    /// The level with `rank` better ones on its side; 0 is the best. No search for the best few.
    #[inline]
    #[must_use]
    pub fn level_at(&self, locate: u16, side: Side, rank: usize) -> Option<Level> {
        let level = self.instrument(locate)?.ranked(&self.store.nodes, side, rank)?;
        Some(self.store.queues.view(level))
    }

    /// Number of levels of one side.
    #[must_use]
    pub fn level_count(&self, locate: u16, side: Side) -> u32 {
        self.instrument(locate).map_or(0, |instrument| instrument.levels(side))
    }

    /// The orders at one price, front of the queue first.
    pub fn queue(&self, locate: u16, side: Side, price: Price) -> impl Iterator<Item = RestingOrder> {
        let level = self
            .instrument(locate)
            .and_then(|instrument| instrument.level(&self.store.nodes, side, key(side, price)));
        self.queue_from(level.unwrap_or(Handle::NIL))
    }

    /// The live order that carries `order_ref`.
    #[must_use]
    pub fn order(&self, order_ref: u64) -> Option<RestingOrder> {
        let found = Some(self.store.find::<Portable>(order_ref)).filter(Found::is_live)?;
        let segment = &self.store.queues.segments[found.segment()];
        Some(segment.view_order((order_ref, segment.shares(found.at()))))
    }

    /// How much must trade or leave before this order is next. Takes one step, often a cache miss, for each segment of up
    /// to five orders that is ahead.
    #[must_use]
    pub fn queue_position(&self, order_ref: u64) -> Option<QueuePosition> {
        let found = Some(self.store.find::<Portable>(order_ref)).filter(Found::is_live)?;
        let mut segment = &self.store.queues.segments[found.segment()];
        let shares_ahead = segment.orders().take(found.at()).map(|(_, shares)| u64::from(shares)).sum();
        let mut position = QueuePosition { orders_ahead: found.at() as u32, shares_ahead };
        while let Some(before) = segment.before().some() {
            segment = &self.store.queues.segments[before];
            position.orders_ahead += segment.len() as u32;
            position.shares_ahead += segment.sum();
        }
        Some(position)
    }

    /// Every live order: by locate, bids before asks, best price first, in the order of the queue.
    pub fn resting(&self) -> impl Iterator<Item = RestingOrder> {
        self.instruments
            .iter()
            .flat_map(|instrument| {
                [Side::Buy, Side::Sell].map(|side| instrument.ladder(&self.store.nodes, side))
            })
            .flatten()
            .flat_map(|(_, level)| self.queue_from(level))
    }

    fn queue_from(&self, level: Handle<Segment>) -> impl Iterator<Item = RestingOrder> {
        let segments = &self.store.queues.segments;
        let first = level.some().map(|level| self.store.queues.first(level));
        iter::successors(first, |segment| segments[*segment].next().some()).flat_map(|segment| {
            let segment = &segments[segment];
            segment.orders().map(|order| segment.view_order(order))
        })
    }
}
