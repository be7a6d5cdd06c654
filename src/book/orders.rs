//! The record of one resting order.
//!
//! 32 bytes, so that two share a cache line and none straddles one. An order knows its level and both neighbours in
//! the queue: it can shrink or leave at once, without a search.

use crate::market::{Price, Side};

use super::levels::PriceLevel;
use super::pool::{Handle, Record};

/// A live order.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Order {
    pub(super) order_ref: u64,
    /// Displayed shares that are left, never 0.
    pub(super) shares: u32,
    pub(super) price: Price,
    pub(super) level: Handle<PriceLevel>,
    /// The order ahead in the queue; nil at the front.
    pub(super) ahead: Handle<Self>,
    /// The order behind in the queue; nil at the back.
    pub(super) behind: Handle<Self>,
    pub(super) locate: u16,
    pub(super) side: Side,
}

const _: () = assert!(size_of::<Order>() == 32);

impl Record for Order {
    const VACANT: Self = Self {
        order_ref: 0,
        shares: 0,
        price: Price(0),
        level: Handle::NIL,
        ahead: Handle::NIL,
        behind: Handle::NIL,
        locate: 0,
        side: Side::Buy,
    };
    fn link(&self) -> Handle<Self> {
        self.behind
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.behind = next;
    }
}
