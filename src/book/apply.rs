//! What each event does to its book, and what is done with an event that cannot be right.
//!
//! Every handler first *locates* (instrument, order), then *applies*. An event that fails on the way is refused or
//! clamped as [`Anomaly`] says, counted, and its book goes stale.

use crate::market::{BookState, Event, EventKind, OrderMessage, Price, Side, Symbol};

use super::index::Found;
use super::instrument::Instrument;
use super::pool::Handle;
use super::segment::{LevelName, Segment};
use super::store::Full;
use super::vectors::Vectors;
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

/// What a message needs of a live order that it names.
#[derive(Clone, Copy)]
struct Resting {
    side: Side,
    level: LevelName,
    price: Price,
    shares: u32,
}

impl Books {
    #[inline(always)]
    pub(super) fn apply_event<V: Vectors>(&mut self, event: &Event) -> Change {
        let locate = event.locate;
        match event.kind {
            EventKind::Add { order_ref, side, shares, price } => {
                self.add::<V>(locate, side, NewOrder { order_ref, shares, price })
            }
            EventKind::Execute { order_ref, shares, printable, price: _ } => {
                self.lose::<V>(locate, order_ref, shares, Loss::Executed { printable })
            }
            EventKind::Cancel { order_ref, shares } => self.lose::<V>(locate, order_ref, shares, Loss::Cancelled),
            EventKind::Delete { order_ref } => self.delete::<V>(locate, order_ref),
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                self.replace::<V>(locate, order_ref, NewOrder { order_ref: new_order_ref, shares, price })
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

    #[inline(always)]
    pub(super) fn apply_message<V: Vectors>(&mut self, message: &OrderMessage) -> Change {
        let OrderMessage { locate, order_ref, new_order_ref, shares, price, .. } = *message;
        match message.kind {
            OrderMessage::ADD => {
                let side = match message.side {
                    b'B' => Side::Buy,
                    b'S' => Side::Sell,
                    _ => return Change { locate, top_changed: false, outcome: Outcome::Ignored },
                };
                self.add::<V>(locate, side, NewOrder { order_ref, shares, price })
            }
            OrderMessage::DELETE => self.delete::<V>(locate, order_ref),
            OrderMessage::REPLACE => {
                self.replace::<V>(locate, order_ref, NewOrder { order_ref: new_order_ref, shares, price })
            }
            OrderMessage::EXECUTE | OrderMessage::EXECUTE_PRICED => {
                let printable = message.printable == b'Y';
                self.lose::<V>(locate, order_ref, shares, Loss::Executed { printable })
            }
            OrderMessage::CANCEL => self.lose::<V>(locate, order_ref, shares, Loss::Cancelled),
            _ => Change { locate, top_changed: false, outcome: Outcome::Ignored },
        }
    }

    #[inline(always)]
    fn add<V: Vectors>(&mut self, locate: u16, side: Side, order: NewOrder) -> Change {
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        if let Some(flaw) = order.flaw() {
            return self.refused(locate, flaw);
        }
        let found = self.store.find::<V>(order.order_ref);
        if found.is_live() {
            return self.duplicate(locate, found.segment, Anomaly::AddDuplicate, false);
        }
        let named = (order.order_ref, found.place);
        match self.store.join::<V>(instrument, named, (locate, side), order.shares, order.price) {
            Ok(level) => {
                // Levels that are better than that of the order are not touched: it is the best now, or nothing changed.
                let top_changed = level == instrument.best(side);
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
    #[inline(always)]
    fn lose<V: Vectors>(&mut self, locate: u16, order_ref: u64, shares: u32, loss: Loss) -> Change {
        let (unknown, excess) = match loss {
            Loss::Executed { .. } => (Anomaly::ExecuteUnknown, Anomaly::OverExecuted),
            Loss::Cancelled => (Anomaly::CancelUnknown, Anomaly::OverCancelled),
        };
        let (found, at) = match self.order_of::<V>(locate, order_ref, unknown) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        if shares == 0 {
            return self.refused(locate, Anomaly::ZeroShares);
        }
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let top_changed = at.level == instrument.best(at.side);
        match loss {
            Loss::Executed { printable } => {
                self.counters.executed += 1;
                if printable {
                    let traded = u64::from(shares.min(at.shares));
                    instrument.volume = instrument.volume.saturating_add(traded);
                }
            }
            Loss::Cancelled => self.counters.cancelled += 1,
        }
        if shares < at.shares {
            self.store.reduce(&found, shares);
        } else {
            self.store.leave::<V>(instrument, order_ref, &found);
        }
        if shares > at.shares {
            self.anomaly(locate, excess, top_changed)
        } else {
            self.applied(locate, top_changed)
        }
    }

    #[inline(always)]
    fn delete<V: Vectors>(&mut self, locate: u16, order_ref: u64) -> Change {
        let (found, at) = match self.order_of::<V>(locate, order_ref, Anomaly::DeleteUnknown) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let top_changed = at.level == instrument.best(at.side);
        self.store.leave::<V>(instrument, order_ref, &found);
        self.counters.deleted += 1;
        self.applied(locate, top_changed)
    }

    /// The old order leaves in any case, for that much is certain; the new one joins the back of its queue, on the
    /// same side. Both may have the same reference: not so on ITCH, but other feeds say a modification that way.
    #[inline(always)]
    fn replace<V: Vectors>(&mut self, locate: u16, order_ref: u64, new: NewOrder) -> Change {
        let (found, old) = match self.order_of::<V>(locate, order_ref, Anomaly::ReplaceUnknown) {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let was_best = old.level == instrument.best(old.side);
        self.store.leave::<V>(instrument, order_ref, &found);
        if let Some(flaw) = new.flaw() {
            return self.anomaly(locate, flaw, was_best);
        }
        let other = self.store.find::<V>(new.order_ref);
        if other.is_live() {
            return self.duplicate(locate, other.segment, Anomaly::ReplaceDuplicate, was_best);
        }
        let named = (new.order_ref, other.place);
        match self.store.join::<V>(instrument, named, (locate, old.side), new.shares, new.price) {
            Err(full) => self.anomaly(locate, full.into(), was_best),
            Ok(level) => {
                let is_best = level == instrument.best(old.side);
                // The new order may leave the top exactly as the old one found it.
                let same = was_best && is_best && (old.price, old.shares) == (new.price, new.shares);
                self.counters.replaced += 1;
                self.counters.replaced_same_ref += u64::from(new.order_ref == order_ref);
                self.applied(locate, (was_best || is_best) && !same)
            }
        }
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
    #[inline(always)]
    fn order_of<V: Vectors>(
        &mut self,
        locate: u16,
        order_ref: u64,
        unknown: Anomaly,
    ) -> Result<(Found, Resting), Change> {
        let found = self.store.find::<V>(order_ref);
        if !found.is_live() {
            return Err(self.unknown(locate, unknown));
        }
        let segment = &self.store.queues.segments[found.segment];
        let owner = segment.locate();
        if owner != locate {
            return Err(self.mismatch(locate, owner));
        }
        let resting = Resting {
            side: segment.side(),
            level: LevelName::of(found.segment, segment),
            price: segment.price(),
            shares: segment.shares(found.at as usize),
        };
        Ok((found, resting))
    }

    #[cold]
    fn unknown(&mut self, locate: u16, unknown: Anomaly) -> Change {
        let anomaly = if self.instrument(locate).is_some() { unknown } else { Anomaly::LocateOutOfRange };
        self.refused(locate, anomaly)
    }

    #[cold]
    fn mismatch(&mut self, locate: u16, owner: u16) -> Change {
        self.spoil_other(owner);
        self.refused(locate, Anomaly::LocateMismatch)
    }

    /// A reference that `other` has already.
    #[cold]
    fn duplicate(&mut self, locate: u16, other: Handle<Segment>, kind: Anomaly, top_changed: bool) -> Change {
        let owner = self.store.queues.segments[other].locate();
        if owner != locate {
            self.spoil_other(owner);
        }
        self.anomaly(locate, kind, top_changed)
    }

    /// An event that changed no order, because it cannot be right.
    #[cold]
    fn refused(&mut self, locate: u16, anomaly: Anomaly) -> Change {
        self.anomaly(locate, anomaly, false)
    }

    #[cold]
    fn anomaly(&mut self, locate: u16, anomaly: Anomaly, top_changed: bool) -> Change {
        self.counters.count(anomaly);
        self.spoil(locate);
        Change { outcome: Outcome::Anomaly(anomaly), ..self.applied(locate, top_changed) }
    }

    #[inline(always)]
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

    #[inline(always)]
    fn is_crossed(&self, locate: u16) -> bool {
        self.instrument(locate).is_some_and(Instrument::is_crossed)
    }
}
