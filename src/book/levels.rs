//! One price level: its totals and its queue.
//!
//! The queue is a list through the orders themselves, front to back. Joining, shrinking and leaving touch the level,
//! the order and its neighbours, however long the queue is.

use crate::market::{Level, Price};

use super::orders::Order;
use super::pool::{Handle, Pool, Record};

/// A live level. It has at least one order.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct PriceLevel {
    /// Sum over the queue: below 2^63, since there are fewer than 2^31 orders of fewer than 2^32 shares.
    pub(super) shares: u64,
    pub(super) price: Price,
    pub(super) orders: u32,
    pub(super) front: Handle<Order>,
    pub(super) back: Handle<Order>,
}

const _: () = assert!(size_of::<PriceLevel>() == 32);

impl PriceLevel {
    /// A level without orders, about to get its first.
    pub(super) const fn empty(price: Price) -> Self {
        Self { shares: 0, price, orders: 0, front: Handle::NIL, back: Handle::NIL }
    }

    /// What the world sees of it.
    pub(super) const fn view(&self) -> Level {
        Level { price: self.price, shares: self.shares, orders: self.orders }
    }
}

impl Record for PriceLevel {
    const VACANT: Self = Self::empty(Price(0));
    fn link(&self) -> Handle<Self> {
        Handle::from_raw(self.front.raw())
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.front = Handle::from_raw(next.raw());
    }
}

impl Pool<PriceLevel> {
    /// Puts a live order that is in no queue at the back of its level's queue.
    pub(super) fn join(&mut self, orders: &mut Pool<Order>, handle: Handle<Order>) {
        let order = &mut orders[handle];
        let level = &mut self[order.level];
        order.ahead = level.back;
        order.behind = Handle::NIL;
        level.shares += u64::from(order.shares);
        level.orders += 1;
        level.back = handle;
        match order.ahead.some() {
            Some(ahead) => orders[ahead].behind = handle,
            None => level.front = handle,
        }
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    pub(super) fn reduce(&mut self, orders: &mut Pool<Order>, handle: Handle<Order>, shares: u32) {
        let order = &mut orders[handle];
        order.shares -= shares;
        self[order.level].shares -= u64::from(shares);
    }

    /// Takes an order out of its queue. Returns true if that leaves the level empty.
    pub(super) fn leave(&mut self, orders: &mut Pool<Order>, handle: Handle<Order>) -> bool {
        let order = orders[handle];
        let level = &mut self[order.level];
        level.shares -= u64::from(order.shares);
        level.orders -= 1;
        match order.ahead.some() {
            Some(ahead) => orders[ahead].behind = order.behind,
            None => level.front = order.behind,
        }
        match order.behind.some() {
            Some(behind) => orders[behind].ahead = order.ahead,
            None => level.back = order.ahead,
        }
        level.orders == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Side;

    fn queue(levels: &Pool<PriceLevel>, orders: &Pool<Order>, level: Handle<PriceLevel>) -> Vec<u64> {
        let mut refs = Vec::new();
        let mut next = levels[level].front;
        while let Some(order) = next.some() {
            refs.push(orders[order].order_ref);
            next = orders[order].behind;
        }
        refs
    }

    #[test]
    fn queue_keeps_its_order_whoever_leaves() {
        let mut levels = Pool::<PriceLevel>::new(1).unwrap();
        let mut orders = Pool::<Order>::new(5).unwrap();
        let level = levels.take(PriceLevel::empty(Price(100))).unwrap();
        let handles = [1, 2, 3, 4, 5].map(|order_ref| {
            let order = Order { order_ref, shares: 10, price: Price(100), level, ..Order::VACANT };
            let handle = orders.take(Order { side: Side::Sell, ..order }).unwrap();
            levels.join(&mut orders, handle);
            handle
        });
        levels.reduce(&mut orders, handles[1], 3);
        assert_eq!(levels[level].view(), Level { price: Price(100), shares: 47, orders: 5 });
        for (leaves, left, shares) in
            [(2, &[1, 2, 4, 5][..], 37), (0, &[2, 4, 5], 27), (4, &[2, 4], 17), (1, &[4], 10)]
        {
            assert!(!levels.leave(&mut orders, handles[leaves]));
            assert_eq!(queue(&levels, &orders, level), left);
            assert_eq!(levels[level].shares, shares);
        }
        assert!(levels.leave(&mut orders, handles[3]));
        assert_eq!(levels[level].view(), Level { price: Price(100), shares: 0, orders: 0 });
        assert!(levels[level].front.is_nil() && levels[level].back.is_nil());
    }
}
