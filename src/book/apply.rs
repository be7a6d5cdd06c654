//! What each event does to its book, and what is done with an event that cannot be right.
//!
//! Every handler first *locates* (instrument, order), then *applies*. An event that fails on the way is refused or
//! clamped as [`Anomaly`] says, counted, and its book goes stale.

use crate::market::{BookState, Event, EventKind, Price, Side, Symbol};

use super::instrument::Instrument;
use super::orders::Order;
use super::pool::Handle;
use super::store::Full;
use super::{Anomaly, Books, Change, Outcome, instrument_mut};

/// An order as a message describes it.
#[derive(Clone, Copy)]
struct NewOrder {
    order_ref: u64,
    shares: u32,
    price: Price,
}

impl NewOrder {
    /// Why the description alone is wrong.
    fn flaw(&self) -> Option<Anomaly> {
        if self.shares == 0 {
            Some(Anomaly::ZeroShares)
        } else if self.price == Price(0) {
            Some(Anomaly::ZeroPrice)
        } else {
            None
        }
    }
}

impl From<Full> for Anomaly {
    fn from(full: Full) -> Self {
        match full {
            Full::Orders => Self::OrderLimit,
            Full::Levels => Self::LevelLimit,
        }
    }
}

/// Why an order loses shares.
#[derive(Clone, Copy)]
enum Loss {
    Executed { printable: bool },
    Cancelled,
}

impl Books {
    pub(super) fn apply_event(&mut self, event: &Event) -> Change {
        let locate = event.locate;
        match event.kind {
            EventKind::Add { order_ref, side, shares, price } => {
                self.add(locate, side, NewOrder { order_ref, shares, price })
            }
            EventKind::Execute { order_ref, shares, printable, price: _ } => {
                self.lose(locate, order_ref, shares, Loss::Executed { printable })
            }
            EventKind::Cancel { order_ref, shares } => self.lose(locate, order_ref, shares, Loss::Cancelled),
            EventKind::Delete { order_ref } => self.delete(locate, order_ref),
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                self.replace(locate, order_ref, NewOrder { order_ref: new_order_ref, shares, price })
            }
            EventKind::Trade { shares, .. } => {
                self.note(locate, |instrument| instrument.volume = instrument.volume.saturating_add(shares))
            }
            EventKind::Trading(state) => {
                let general = self.general;
                self.note(locate, |instrument| instrument.set_trading(general, state))
            }
            EventKind::MarketHalt => {
                self.general.halt();
                Change { locate, top_changed: false, outcome: Outcome::Applied }
            }
            EventKind::OperationalHalt(halted) => {
                self.note(locate, |instrument| instrument.operational_halt = halted)
            }
            EventKind::Directory { symbol, round_lot } => self.directory(locate, symbol, round_lot),
            EventKind::System(_) | EventKind::Other => {
                Change { locate, top_changed: false, outcome: Outcome::Ignored }
            }
        }
    }

    fn add(&mut self, locate: u16, side: Side, order: NewOrder) -> Change {
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        if let Some(flaw) = order.flaw() {
            return self.refused(locate, flaw);
        }
        let vacancy = match self.store.vacancy(order.order_ref) {
            Ok(vacancy) => vacancy,
            Err(other) => return self.duplicate(locate, other, Anomaly::AddDuplicate, false),
        };
        let best_before = instrument.ladder(side).best();
        match self.store.join(instrument, &vacancy, (locate, side), order.shares, order.price) {
            Ok(level) => {
                // The order joined the best level, or its level is the best now.
                let top_changed = level == best_before || level == instrument.ladder(side).best();
                let listed = instrument.listed;
                self.counters.added += 1;
                if listed {
                    self.applied(locate, top_changed)
                } else {
                    self.anomaly(locate, Anomaly::NoDirectory, top_changed)
                }
            }
            Err(full) => self.refused(locate, full.into()),
        }
    }

    /// Execute and cancel: an order shrinks and keeps its place, or leaves if nothing is left of it.
    fn lose(&mut self, locate: u16, order_ref: u64, shares: u32, loss: Loss) -> Change {
        let (unknown, excess) = match loss {
            Loss::Executed { .. } => (Anomaly::ExecuteUnknown, Anomaly::OverExecuted),
            Loss::Cancelled => (Anomaly::CancelUnknown, Anomaly::OverCancelled),
        };
        let handle = match self.order_of(locate, order_ref, unknown) {
            Ok(handle) => handle,
            Err(refused) => return refused,
        };
        if shares == 0 {
            return self.refused(locate, Anomaly::ZeroShares);
        }
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let order = self.store.orders[handle];
        let top_changed = order.level == instrument.ladder(order.side).best();
        match loss {
            Loss::Executed { printable } => {
                self.counters.executed += 1;
                if printable {
                    let traded = u64::from(shares.min(order.shares));
                    instrument.volume = instrument.volume.saturating_add(traded);
                }
            }
            Loss::Cancelled => self.counters.cancelled += 1,
        }
        if shares < order.shares {
            self.store.reduce(handle, shares);
        } else {
            self.store.leave(instrument, handle);
        }
        if shares > order.shares {
            self.anomaly(locate, excess, top_changed)
        } else {
            self.applied(locate, top_changed)
        }
    }

    fn delete(&mut self, locate: u16, order_ref: u64) -> Change {
        let handle = match self.order_of(locate, order_ref, Anomaly::DeleteUnknown) {
            Ok(handle) => handle,
            Err(refused) => return refused,
        };
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let order = &self.store.orders[handle];
        let top_changed = order.level == instrument.ladder(order.side).best();
        self.store.leave(instrument, handle);
        self.counters.deleted += 1;
        self.applied(locate, top_changed)
    }

    /// The old order leaves in any case, for that much is certain; the new one joins the back of its queue, on the
    /// same side. Both may have the same reference: not so on ITCH, but other feeds say a modification that way.
    fn replace(&mut self, locate: u16, order_ref: u64, new: NewOrder) -> Change {
        let handle = match self.order_of(locate, order_ref, Anomaly::ReplaceUnknown) {
            Ok(handle) => handle,
            Err(refused) => return refused,
        };
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let side = self.store.orders[handle].side;
        // Compared by value: the new order may leave the top exactly as the old one found it.
        let best = |store: &super::Store, instrument: &Instrument| {
            instrument.ladder(side).best().some().map(|level| store.levels[level].view())
        };
        let best_before = best(&self.store, instrument);
        self.store.leave(instrument, handle);
        let mut taken = None;
        let refusal = if let Some(flaw) = new.flaw() {
            Some(flaw)
        } else {
            match self.store.vacancy(new.order_ref) {
                Ok(vacancy) => self
                    .store
                    .join(instrument, &vacancy, (locate, side), new.shares, new.price)
                    .err()
                    .map(Anomaly::from),
                Err(other) => {
                    taken = Some(other);
                    None
                }
            }
        };
        let top_changed = best_before != best(&self.store, instrument);
        if let Some(other) = taken {
            return self.duplicate(locate, other, Anomaly::ReplaceDuplicate, top_changed);
        }
        if let Some(anomaly) = refusal {
            return self.anomaly(locate, anomaly, top_changed);
        }
        self.counters.replaced += 1;
        self.counters.replaced_same_ref += u64::from(new.order_ref == order_ref);
        self.applied(locate, top_changed)
    }

    fn directory(&mut self, locate: u16, symbol: Symbol, round_lot: u32) -> Change {
        let before = self.symbol(locate);
        let change = self.note(locate, |instrument| {
            instrument.listed = true;
            instrument.round_lot = round_lot;
        });
        if change.outcome != Outcome::Applied {
            return change;
        }
        if let Some(known) = self.symbols.get_mut(usize::from(locate)) {
            *known = Some(symbol);
        }
        match before {
            Some(before) if before != symbol => self.refused(locate, Anomaly::SymbolChanged),
            _ => change,
        }
    }

    /// Writes something down about an instrument that does not touch its orders.
    fn note(&mut self, locate: u16, write: impl FnOnce(&mut Instrument)) -> Change {
        match instrument_mut(&mut self.instruments, locate) {
            Some(instrument) => {
                write(instrument);
                Change { locate, top_changed: false, outcome: Outcome::Applied }
            }
            None => self.refused(locate, Anomaly::LocateOutOfRange),
        }
    }

    /// The live order that carries `order_ref`, if it belongs to `locate`.
    fn order_of(&mut self, locate: u16, order_ref: u64, unknown: Anomaly) -> Result<Handle<Order>, Change> {
        let Some(handle) = self.store.find(order_ref) else {
            let anomaly = if self.instrument(locate).is_some() { unknown } else { Anomaly::LocateOutOfRange };
            return Err(self.refused(locate, anomaly));
        };
        let owner = self.store.orders[handle].locate;
        if owner != locate {
            self.spoil_other(owner);
            return Err(self.refused(locate, Anomaly::LocateMismatch));
        }
        Ok(handle)
    }

    /// A reference that `other` has already.
    fn duplicate(&mut self, locate: u16, other: Handle<Order>, kind: Anomaly, top_changed: bool) -> Change {
        let owner = self.store.orders[other].locate;
        if owner != locate {
            self.spoil_other(owner);
        }
        self.anomaly(locate, kind, top_changed)
    }

    /// An event that changed no order, because it cannot be right.
    fn refused(&mut self, locate: u16, anomaly: Anomaly) -> Change {
        self.anomaly(locate, anomaly, false)
    }

    fn anomaly(&mut self, locate: u16, anomaly: Anomaly, top_changed: bool) -> Change {
        self.counters.count(anomaly);
        self.spoil(locate);
        Change { outcome: Outcome::Anomaly(anomaly), ..self.applied(locate, top_changed) }
    }

    fn applied(&mut self, locate: u16, top_changed: bool) -> Change {
        if top_changed && self.is_crossed(locate) {
            self.counters.crossed += 1;
        }
        Change { locate, top_changed, outcome: Outcome::Applied }
    }

    /// Makes a book stale that was not.
    fn spoil(&mut self, locate: u16) {
        if let Some(instrument) = instrument_mut(&mut self.instruments, locate)
            && instrument.state(self.general) != BookState::Stale
        {
            instrument.set_state(self.general, BookState::Stale);
            self.counters.went_stale += 1;
        }
    }

    /// The same for a book that is not the event's own.
    fn spoil_other(&mut self, owner: u16) {
        self.spoil(owner);
        self.also_spoiled = Some(owner);
    }

    fn is_crossed(&self, locate: u16) -> bool {
        let top = self.top(locate);
        matches!((top.bid, top.ask), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }
}
