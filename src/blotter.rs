//! Open orders, positions and exposure, kept from what the venue replies and not from what we hope.
//!
//! An order counts as open from the moment it is cleared for sending. It stops counting when a reply says that it was
//! rejected, cancelled or fully executed, or when it is released because it could not be sent.
//!
//! # Replacements
//! The quantity of an OUCH 5.0 replacement is the total of the chain, executed shares included; the quantity of the
//! `Replaced` reply is what is left exposed. Until that reply, either order may trade, so a chain with an unanswered
//! replacement holds `max(old total, new total) − executed` shares, valued at the higher of the two prices: the old order
//! keeps its own open shares and the replacement holds the surplus. One replacement of a chain may be unanswered.
//! When an order ends before its replacement is answered, the replacement can no longer succeed and is dropped. When an
//! unanswered replacement trades, is cancelled, modified or moved, it has taken place, and its reply was missed.
//!
//! # Orders of a process before this one
//! A venue that repeats its day says everything that there is to know of them: they are [adopted](OpenOrder::adopted), and
//! with them their executions, replacements, cancels and what is held because of them. That happens before the first order
//! of our own; such an order never becomes an [`OrderUpdate`], since no strategy knows it, but what is
//! held because of it is told by [`Blotter::take_moved`]. A reply names a symbol and the feed its locate, in either order;
//! until every symbol in which something is held or open has its locate, the blotter is uncertain.
//!
//! # Replies that do not fit
//! | reply | what is done |
//! |---|---|
//! | for a `user_ref_num` never given out | `unknown_replies` |
//! | for an order that has ended | `late_replies` |
//! | execution or broken trade that no order or trade of ours explains | as above, and the blotter is [uncertain](Blotter::uncertain) |
//! | `Accepted` again, `Replaced` again, the same match number again for the same order | `duplicates`, no effect |
//! | execution larger than what is open | position moves by what the venue says, the order ends, `over_executions` |
//! | cancel larger than what is open | the order ends, `over_cancels` |
//! | accepted or exposed quantity other than asked | the venue's number holds, `quantity_differs` |
//! | an earlier order for which there is no room, or whose number was used | `unadopted`, and the blotter is uncertain |
//! | anything else out of order | `unexpected`, no effect |
//!
//! All memory is taken in [`Blotter::new`]; every call takes constant time.

use crate::market::{Price, Side};

mod adopt;
mod counters;
mod event;
mod holding;
mod places;
mod replies;
pub(crate) mod table;

pub use counters::BlotterCounters;
pub use event::{NEVER_ARRIVED, OrderEvent, OrderEventKind, OrderState, OrderUpdate, TimeInForce};
pub use holding::Holding;
use places::{Place, Places};
use table::{FixedTable, RecentTable};

/// Sizes of a blotter.
#[derive(Clone, Copy, Debug)]
pub struct BlotterLimits {
    /// Locates `0 .. locates` are known.
    pub locates: u32,
    /// Chains of orders that may be open at once.
    pub orders: u32,
    /// Executions remembered, so that a broken trade can be undone and a repeated one recognised.
    pub fills: u32,
}

/// One order at the venue or on its way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Instrument; 0 for an adopted order whose symbol the feed has not named yet.
    pub locate: u16,
    /// Entered by a process before this one.
    pub adopted: bool,
    /// Side.
    pub side: Side,
    /// Marked as a short sale.
    pub short: bool,
    /// How long it may rest.
    pub time_in_force: TimeInForce,
    /// Limit price.
    pub price: Price,
    /// Shares of the whole chain: executed ones and open ones.
    pub total: u64,
    /// Shares of the whole chain that have traded.
    pub executed: u64,
    /// The venue has answered.
    pub accepted: bool,
    /// A cancel of ours is unanswered.
    pub cancel_sent: bool,
    /// The unanswered replacement of this order.
    pub replaced_by: Option<u32>,
    /// The order that this one is to replace, while that is unanswered.
    pub replaces: Option<u32>,
    place: Place,
    held_shares: u64,
    held_value: u128,
}

impl OpenOrder {
    /// Shares that may still trade under this order.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.total.saturating_sub(self.executed)
    }

    /// True while an entry, a replacement or a cancel is unanswered.
    #[must_use]
    pub const fn pending(&self) -> bool {
        !self.accepted || self.cancel_sent || self.replaced_by.is_some() || self.replaces.is_some()
    }
}

/// An execution as remembered.
#[derive(Clone, Copy, Debug)]
struct Fill {
    place: Place,
    /// Of an adopted order.
    adopted: bool,
    side: Side,
    shares: u32,
    broken: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Blotter {
    orders: FixedTable<u32, OpenOrder>,
    fills: RecentTable<(u32, u64), Fill>,
    places: Places,
    /// Orders that are not unanswered replacements: one a chain.
    chains: u32,
    /// Of those, the adopted ones.
    adopted: u32,
    /// No order of this process was reserved yet, and the venue may still repeat earlier ones.
    adopting: bool,
    /// Where the position was moved by an adopted order, or found its locate.
    moved: Option<u16>,
    limit: u32,
    highest: u32,
    open_value: u128,
    position_value: u128,
    uncertain: bool,
    counters: BlotterCounters,
}

impl Blotter {
    /// Reserves and touches all memory.
    #[must_use]
    pub fn new(limits: BlotterLimits) -> Self {
        Self {
            // Each chain may have one replacement under way.
            orders: FixedTable::new(limits.orders as usize * 2),
            fills: RecentTable::new(limits.fills as usize),
            places: Places::new(limits.locates),
            chains: 0,
            adopted: 0,
            adopting: true,
            moved: None,
            limit: limits.orders,
            highest: 0,
            open_value: 0,
            position_value: 0,
            uncertain: false,
            counters: BlotterCounters::default(),
        }
    }

    /// What we hold and may come to hold in an instrument; all zero for an unknown locate.
    #[must_use]
    pub fn holding(&self, locate: u16) -> Holding {
        self.places.holding(locate)
    }

    /// An open order, or an unanswered replacement.
    #[must_use]
    pub fn order(&self, user_ref_num: u32) -> Option<&OpenOrder> {
        self.orders.get(user_ref_num)
    }

    /// All open orders and unanswered replacements, in no order. Walks the whole table: not for the hot path.
    pub fn orders(&self) -> impl Iterator<Item = (u32, &OpenOrder)> {
        self.orders.iter()
    }

    /// Fills `out` with numbers of open orders and unanswered replacements for which no cancel is under way, as a kill
    /// switch needs them; returns how many. Walks the whole table: not for the hot path.
    pub fn to_cancel(&self, out: &mut [u32]) -> usize {
        let ids = self.orders.iter().filter(|(_, order)| !order.cancel_sent).map(|(id, _)| id);
        out.iter_mut().zip(ids).map(|(slot, id)| *slot = id).count()
    }

    /// Chains of orders that are open.
    #[must_use]
    pub const fn open_orders(&self) -> u32 {
        self.chains
    }

    /// True where no further order can be reserved.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.chains >= self.limit
    }

    /// Worst case of all open orders at their limit prices, in 1/10,000.
    #[must_use]
    pub const fn open_value(&self) -> u128 {
        self.open_value
    }

    /// Sum over the instruments of `|position| ×` the price of the latest execution in it, in 1/10,000.
    #[must_use]
    pub const fn position_value(&self) -> u128 {
        self.position_value
    }

    /// Open orders and positions together, in 1/10,000.
    #[must_use]
    pub const fn gross_value(&self) -> u128 {
        self.open_value + self.position_value
    }

    /// True since a reply was lost, or moved a position that could not be told: positions may be wrong. True, too, while
    /// something is held or open in a symbol that the feed has not named.
    #[must_use]
    pub const fn uncertain(&self) -> bool {
        self.uncertain || self.places.waiting() > 0
    }

    /// Positions can no longer be told apart from wrong ones.
    pub(crate) const fn doubt(&mut self) {
        self.uncertain = true;
    }

    /// Somebody compared the positions with the venue's: they are right now.
    pub const fn reconciled(&mut self) {
        self.uncertain = false;
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &BlotterCounters {
        &self.counters
    }

    /// Sets a position from outside (start of day, reconciliation); false for an unknown locate.
    pub fn set_position(&mut self, locate: u16, position: i64, price: Price) -> bool {
        self.with_holding(Place::of(locate), |holding| {
            holding.position = position;
            holding.mark = price;
        })
    }

    /// Changes a holding and keeps the sum of the values in step.
    fn with_holding(&mut self, place: Place, change: impl FnOnce(&mut Holding)) -> bool {
        let Some((before, after)) = self.places.change(place, change) else { return false };
        self.position_value = self.position_value - before + after;
        true
    }

    /// Counts a new order as open; false where there is no room or the locate is unknown.
    pub(crate) fn reserve(&mut self, user_ref_num: u32, order: NewOrder) -> bool {
        if self.is_full() || !self.places.knows(order.locate) {
            return false;
        }
        self.adopting = false;
        let shares = u64::from(order.shares);
        let value = u128::from(shares) * u128::from(order.price.0);
        let entry = OpenOrder {
            locate: order.locate,
            adopted: false,
            side: order.side,
            short: order.short,
            time_in_force: order.time_in_force,
            price: order.price,
            total: shares,
            executed: 0,
            accepted: false,
            cancel_sent: false,
            replaced_by: None,
            replaces: None,
            place: Place::of(order.locate),
            held_shares: shares,
            held_value: value,
        };
        if !self.orders.insert(user_ref_num, entry) {
            return false;
        }
        self.chains += 1;
        self.highest = self.highest.max(user_ref_num);
        // As it would be weighed.
        self.hold(Place::of(order.locate), order.side, (0, 0), (shares, value));
        true
    }

    /// Asks for the holding of an instrument.
    #[inline]
    pub(crate) fn prefetch_holding(&self, locate: u16) {
        self.places.prefetch(locate);
    }

    /// Asks for the memory that an order of this number will take in an instrument, before it is [reserved](Self::reserve).
    pub(crate) fn prefetch(&self, user_ref_num: u32, locate: u16) {
        self.orders.prefetch(user_ref_num);
        self.places.prefetch(locate);
    }

    /// Counts a replacement as under way; `total` is of the whole chain. False where the order is gone, busy, or
    /// there is no room.
    pub(crate) fn reserve_replacement(
        &mut self,
        original: u32,
        user_ref_num: u32,
        total: u64,
        price: Price,
    ) -> bool {
        let Some(old) = self.orders.get(original).copied() else { return false };
        if old.pending() {
            return false;
        }
        let entry = OpenOrder {
            price,
            total,
            accepted: false,
            replaces: Some(original),
            held_shares: 0,
            held_value: 0,
            ..old
        };
        if !self.orders.insert(user_ref_num, entry) {
            return false;
        }
        if let Some(old) = self.orders.get_mut(original) {
            old.replaced_by = Some(user_ref_num);
        }
        self.highest = self.highest.max(user_ref_num);
        self.weigh(user_ref_num);
        self.weigh(original);
        true
    }

    /// Notes that a cancel is under way (or, with `false`, that it could not be sent).
    pub(crate) fn mark_cancel(&mut self, user_ref_num: u32, sent: bool) {
        if let Some(order) = self.orders.get_mut(user_ref_num) {
            order.cancel_sent = sent;
        }
    }

    /// Takes back an order or a replacement that could not be sent. Without effect once the venue has answered.
    pub(crate) fn release(&mut self, user_ref_num: u32) {
        if self.orders.get(user_ref_num).is_some_and(|order| !order.accepted) {
            self.withdraw(user_ref_num);
        }
    }

    /// The replacement `id` has taken the place of its original, whether or not the reply that says so was seen.
    fn promote(&mut self, id: u32) {
        let Some(original) = self.orders.get(id).and_then(|order| order.replaces) else { return };
        let executed = self.orders.get(original).map_or(0, |order| order.executed);
        self.drop_entry(original);
        if let Some(order) = self.orders.get_mut(id) {
            order.replaces = None;
            order.accepted = true;
            order.executed = executed;
            order.total = order.total.max(executed);
        }
        self.weigh(id);
    }

    /// Removes an unanswered order or replacement as if it had never been sent.
    fn withdraw(&mut self, id: u32) {
        let Some(order) = self.orders.get(id).copied() else { return };
        if let Some(original) = order.replaces {
            self.drop_entry(id);
            if let Some(old) = self.orders.get_mut(original) {
                old.replaced_by = None;
            }
            self.weigh(original);
        } else {
            self.close(id);
        }
    }

    /// Ends the chain of `id` unless it is live and has open shares. Returns what is left of it.
    fn keep_if(&mut self, id: u32, live: bool) -> Option<u32> {
        if live && self.orders.get(id).is_some_and(|order| order.open() > 0) {
            return Some(id);
        }
        self.close(id);
        None
    }

    /// Ends the chain of `id`, with the replacement that can now no longer succeed.
    fn close(&mut self, id: u32) {
        if let Some(replacement) = self.orders.get(id).and_then(|order| order.replaced_by) {
            self.drop_entry(replacement);
        }
        if let Some(order) = self.orders.get(id).copied() {
            self.drop_entry(id);
            self.chains -= 1;
            self.adopted -= u32::from(order.adopted);
        }
    }

    /// Removes one entry and what it held.
    fn drop_entry(&mut self, id: u32) {
        if let Some(order) = self.orders.remove(id) {
            self.hold(order.place, order.side, (order.held_shares, order.held_value), (0, 0));
        }
    }

    /// Changes an order that is not an unanswered replacement, then what it and its replacement hold.
    fn change(&mut self, id: u32, change: impl FnOnce(&mut OpenOrder)) {
        let Some(order) = self.orders.get_mut(id) else { return };
        change(order);
        let replacement = order.replaced_by;
        self.weigh(id);
        if let Some(replacement) = replacement {
            self.weigh(replacement);
        }
    }

    /// Computes afresh what an entry holds.
    fn weigh(&mut self, id: u32) {
        let Some(order) = self.orders.get(id).copied() else { return };
        let other = order.replaces.or(order.replaced_by).and_then(|other| self.orders.get(other));
        let (shares, price) = match (order.replaces, other) {
            (Some(_), Some(original)) => (order.total.saturating_sub(original.total), order.price),
            (None, Some(replacement)) => (order.open(), order.price.max(replacement.price)),
            (_, None) => (order.open(), order.price),
        };
        let value = u128::from(shares) * u128::from(price.0);
        self.hold(order.place, order.side, (order.held_shares, order.held_value), (shares, value));
        if let Some(order) = self.orders.get_mut(id) {
            order.held_shares = shares;
            order.held_value = value;
        }
    }

    /// Moves the sums from what an entry held to what it holds.
    fn hold(&mut self, place: Place, side: Side, before: (u64, u128), after: (u64, u128)) {
        // What is open has no part in a holding's value.
        self.places.change(place, |holding| {
            let open = holding.open_mut(side);
            *open = *open - before.0 + after.0;
        });
        self.open_value = self.open_value - before.1 + after.1;
    }
}

/// What [`Blotter::reserve`] needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewOrder {
    pub(crate) locate: u16,
    pub(crate) side: Side,
    pub(crate) short: bool,
    pub(crate) shares: u32,
    pub(crate) price: Price,
    pub(crate) time_in_force: TimeInForce,
}

#[cfg(test)]
mod tests;
