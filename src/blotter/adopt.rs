//! Orders of a process before this one, told by a venue that repeats its day.

use super::places::Place;
use super::{Blotter, OpenOrder};
use crate::blotter::{OrderEvent, OrderEventKind};
use crate::market::{Price, Symbol};

impl Blotter {
    /// True until the venue has said that it has repeated everything, or the first order of our own.
    #[must_use]
    pub const fn adopting(&self) -> bool {
        self.adopting
    }

    /// Chains of orders that are open and were entered by a process before this one; once nothing more is
    /// [adopted](Blotter::adopting), somebody should cancel them.
    #[must_use]
    pub const fn adopted_orders(&self) -> u32 {
        self.adopted
    }

    /// Symbols in which something is held or open and which the feed has not named yet.
    #[must_use]
    pub const fn symbols_unnamed(&self) -> u32 {
        self.places.waiting()
    }

    /// An instrument, and what is held there now, where the latest event or naming changed that without an
    /// [`OrderUpdate`](super::OrderUpdate). Once.
    pub fn take_moved(&mut self) -> Option<(u16, i64)> {
        let locate = self.moved.take()?;
        Some((locate, self.holding(locate).position))
    }

    /// The feed calls `symbol` `locate` today. Takes longer, once, where there are adopted orders in it.
    pub(crate) fn name(&mut self, locate: u16, symbol: Symbol) {
        let Some(moved) = self.places.name(locate, symbol) else { return };
        self.position_value = self.position_value - moved.before + moved.after;
        self.moved = Some(locate);
        if moved.open {
            for order in self.orders.values_mut().filter(|order| order.place == moved.place) {
                order.locate = locate;
            }
        }
    }

    /// The feed names its locates anew.
    pub(crate) fn forget_names(&mut self) {
        self.places.forget_names();
    }

    /// [`OrderEventKind::Adopted`].
    #[cold]
    pub(super) fn adopt(&mut self, event: &OrderEvent) {
        let id = event.user_ref_num;
        let OrderEventKind::Adopted { symbol, side, short, time_in_force, shares, price, live, .. } =
            event.kind
        else {
            return;
        };
        // Numbers rise, and none of our own is at the venue while it repeats earlier ones.
        let place = if self.adopting && id > self.highest { self.places.of_symbol(symbol) } else { None };
        let entry = |place: Place, locate| OpenOrder {
            locate,
            adopted: true,
            side,
            short,
            time_in_force,
            price,
            total: u64::from(shares),
            executed: 0,
            accepted: true,
            cancel_sent: false,
            replaced_by: None,
            replaces: None,
            place,
            held_shares: 0,
            held_value: 0,
        };
        let locate = place.and_then(|place| self.places.locate(place)).unwrap_or_default();
        if !place.is_some_and(|place| self.orders.insert(id, entry(place, locate))) {
            self.counters.unadopted += 1;
            self.uncertain = true;
            return;
        }
        self.counters.accepted += 1;
        self.counters.adopted += 1;
        self.highest = id;
        self.chains += 1;
        self.adopted += 1;
        self.weigh(id);
        self.keep_if(id, live);
    }

    /// A reply to an order that is not in the table, while earlier ones are adopted. False where it explains nothing.
    #[cold]
    pub(super) fn adopt_reply(&mut self, event: &OrderEvent) -> bool {
        match event.kind {
            OrderEventKind::Replaced { original, shares, price, live, .. } => {
                let replaced = self.adopt_replacement(event.user_ref_num, original, shares, price, live);
                // Something is open that is not in the table. (Where nothing is repeated, it is only a stray reply.)
                self.uncertain |= !replaced && self.counters.adopted > 0;
                replaced
            }
            // It left nothing behind.
            OrderEventKind::Rejected { .. } => {
                self.counters.rejected += 1;
                true
            }
            _ => false,
        }
    }

    fn adopt_replacement(&mut self, id: u32, original: u32, shares: u32, price: Price, live: bool) -> bool {
        let Some(old) = self.orders.get(original).copied().filter(|old| old.adopted && id > self.highest)
        else {
            return false;
        };
        self.drop_entry(original);
        let total = old.executed + u64::from(shares);
        // There is room: its original has just left.
        self.orders.insert(id, OpenOrder { price, total, held_shares: 0, held_value: 0, ..old });
        self.counters.replaced += 1;
        self.highest = id;
        self.weigh(id);
        self.keep_if(id, live);
        true
    }
}
