//! Orders, levels and the index as one: what keeps them in step with each other.
//!
//! Two steps, kept apart so that the first can run ahead of the second for a whole burst: *locate* (find the order,
//! or prove its absence; touches the index and the order's record) and *apply* (join, reduce, leave). Nothing here
//! judges an event; that is the business of [`apply`](super::apply).

use std::collections::TryReserveError;

use crate::market::{Price, Side};

use super::index::Index;
use super::instrument::Instrument;
use super::levels::PriceLevel;
use super::limits::Limits;
use super::node::Node;
use super::orders::Order;
use super::pool::{Handle, Pool};
use super::side::key;

/// A limit was reached; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Orders,
    Levels,
}

/// Proof that no live order carries `order_ref`. Void after any other change to the store.
#[derive(Debug)]
pub(super) struct Vacancy {
    order_ref: u64,
    neighbour: Option<u64>,
}

/// All orders of all books.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) orders: Pool<Order>,
    pub(super) levels: Pool<PriceLevel>,
    pub(super) nodes: Pool<Node>,
    pub(super) index: Index,
}

impl Store {
    pub(super) fn new(limits: &Limits) -> Result<Self, TryReserveError> {
        Ok(Self {
            orders: Pool::new(limits.orders)?,
            levels: Pool::new(limits.levels)?,
            nodes: Pool::new(limits.nodes())?,
            index: Index::new(limits.orders)?,
        })
    }

    /// The live order that carries `order_ref`.
    #[inline]
    pub(super) fn find(&self, order_ref: u64) -> Option<Handle<Order>> {
        self.vacancy(order_ref).err()
    }

    /// That no live order carries `order_ref`, or the one that does.
    #[inline]
    pub(super) fn vacancy(&self, order_ref: u64) -> Result<Vacancy, Handle<Order>> {
        let Some(candidate) = self.index.candidate(order_ref).some() else {
            return Ok(Vacancy { order_ref, neighbour: None });
        };
        let neighbour = self.orders[candidate].order_ref;
        if neighbour == order_ref {
            return Err(candidate);
        }
        Ok(Vacancy { order_ref, neighbour: Some(neighbour) })
    }

    /// Puts a new order at the back of the queue at its price. Returns its level.
    pub(super) fn join(
        &mut self,
        instrument: &mut Instrument,
        vacancy: &Vacancy,
        (locate, side): (u16, Side),
        shares: u32,
        price: Price,
    ) -> Result<Handle<PriceLevel>, Full> {
        if self.orders.available() == 0 {
            return Err(Full::Orders);
        }
        let key = key(side, price);
        let ladder = instrument.ladder_mut(side);
        let level = if let Some(level) = ladder.find(&self.nodes, key) {
            level
        } else {
            let level = self.levels.take(PriceLevel::empty(price)).ok_or(Full::Levels)?;
            if ladder.insert(&mut self.nodes, key, level).is_err() {
                self.levels.give(level);
                return Err(Full::Levels);
            }
            level
        };
        let order_ref = vacancy.order_ref;
        let order =
            Order { order_ref, shares, price, level, ahead: Handle::NIL, behind: Handle::NIL, locate, side };
        let order = self.orders.take(order).ok_or(Full::Orders)?;
        self.levels.join(&mut self.orders, order);
        // Cannot be refused: the index has room for as many orders as the pool that just gave one.
        let entered = self.index.insert(order_ref, order, vacancy.neighbour);
        debug_assert!(entered, "index smaller than the order pool");
        Ok(level)
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    pub(super) fn reduce(&mut self, order: Handle<Order>, shares: u32) {
        self.levels.reduce(&mut self.orders, order, shares);
    }

    /// Takes an order out of its book, and its level with it if it was the last there.
    pub(super) fn leave(&mut self, instrument: &mut Instrument, handle: Handle<Order>) {
        let order = self.orders[handle];
        if self.levels.leave(&mut self.orders, handle) {
            instrument.ladder_mut(order.side).remove(&mut self.nodes, key(order.side, order.price));
            self.levels.give(order.level);
        }
        self.index.remove(order.order_ref);
        self.orders.give(handle);
    }

    /// Forgets every order and level.
    pub(super) fn clear(&mut self) {
        self.orders.clear();
        self.levels.clear();
        self.nodes.clear();
        self.index.clear();
    }
}
