//! What the books hold, for whoever asks.

use std::iter;

use crate::market::{Level, Price, Side, TopOfBook};

use super::Books;
use super::orders::Order;
use super::pool::Handle;
use super::side::key;

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

impl Order {
    const fn view(&self) -> RestingOrder {
        RestingOrder {
            order_ref: self.order_ref,
            shares: self.shares,
            price: self.price,
            side: self.side,
            locate: self.locate,
        }
    }
}

impl Books {
    /// Best bid and offer. Empty for a locate out of range.
    #[must_use]
    pub fn top(&self, locate: u16) -> TopOfBook {
        let best = |side| {
            let level = self.instrument(locate)?.ladder(side).best().some()?;
            Some(self.store.levels[level].view())
        };
        TopOfBook { bid: best(Side::Buy), ask: best(Side::Sell) }
    }

    /// The levels of one side, best first.
    pub fn depth(&self, locate: u16, side: Side) -> impl Iterator<Item = Level> {
        self.instrument(locate)
            .into_iter()
            .flat_map(move |instrument| instrument.ladder(side).iter(&self.store.nodes))
            .map(|(_, level)| self.store.levels[level].view())
    }

    /// Number of levels of one side.
    #[must_use]
    pub fn level_count(&self, locate: u16, side: Side) -> u32 {
        self.instrument(locate).map_or(0, |instrument| instrument.ladder(side).levels())
    }

    /// The orders at one price, front of the queue first.
    pub fn queue(&self, locate: u16, side: Side, price: Price) -> impl Iterator<Item = RestingOrder> {
        let level = self
            .instrument(locate)
            .and_then(|instrument| instrument.ladder(side).find(&self.store.nodes, key(side, price)));
        self.queue_from(level.map_or(Handle::NIL, |level| self.store.levels[level].front))
    }

    /// The live order that carries `order_ref`.
    #[must_use]
    pub fn order(&self, order_ref: u64) -> Option<RestingOrder> {
        self.store.find(order_ref).map(|handle| self.store.orders[handle].view())
    }

    /// How much must trade or leave before this order is next. Takes one step, often a cache miss, for each order
    /// ahead.
    #[must_use]
    pub fn queue_position(&self, order_ref: u64) -> Option<QueuePosition> {
        let order = self.store.find(order_ref)?;
        let orders = &self.store.orders;
        let mut position = QueuePosition { orders_ahead: 0, shares_ahead: 0 };
        let mut next = orders[order].ahead;
        while let Some(ahead) = next.some() {
            position.orders_ahead += 1;
            position.shares_ahead += u64::from(orders[ahead].shares);
            next = orders[ahead].ahead;
        }
        Some(position)
    }

    /// Every live order: by locate, bids before asks, best price first, in the order of the queue.
    pub fn resting(&self) -> impl Iterator<Item = RestingOrder> {
        self.instruments
            .iter()
            .flat_map(|instrument| [instrument.ladder(Side::Buy), instrument.ladder(Side::Sell)])
            .flat_map(|ladder| ladder.iter(&self.store.nodes))
            .flat_map(|(_, level)| self.queue_from(self.store.levels[level].front))
    }

    fn queue_from(&self, front: Handle<Order>) -> impl Iterator<Item = RestingOrder> {
        let orders = &self.store.orders;
        iter::successors(front.some(), |order| orders[*order].behind.some()).map(|order| orders[order].view())
    }
}
