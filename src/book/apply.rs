//! What each event does to its book, and what is done with an event that cannot be right.
//!
//! Every handler first *locates* (instrument, order), then *applies*. An event that fails on the way is refused or
//! clamped as [`Anomaly`] says, counted, and its book goes stale.

use crate::market::{BookState, Event, EventKind, OrderMessage, Price, Side, Symbol};

use super::index::Found;
use super::instrument::Instrument;
use super::pool::Handle;
use super::segment::Segment;
use super::store::Full;
use super::tree::key;
use super::vectors::Vectors;
use super::{Anomaly, Books, Change, Outcome, Touched, instrument_mut};

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
struct Loss {
    kind: LossKind,
    /// Of an execution: it counts into the volume.
    printable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LossKind {
    Executed,
    Cancelled,
    Deleted,
}

impl Loss {
    const fn new(kind: LossKind) -> Self {
        Self { kind, printable: false }
    }

    const fn unknown(self) -> Anomaly {
        match self.kind {
            LossKind::Executed => Anomaly::ExecuteUnknown,
            LossKind::Cancelled => Anomaly::CancelUnknown,
            LossKind::Deleted => Anomaly::DeleteUnknown,
        }
    }

    /// It takes more than there is.
    const fn excess(self) -> Anomaly {
        match self.kind {
            LossKind::Executed => Anomaly::OverExecuted,
            LossKind::Cancelled | LossKind::Deleted => Anomaly::OverCancelled,
        }
    }
}

/// What a message needs of a live order that it names.
#[derive(Clone, Copy)]
struct Resting {
    side: Side,
    price: Price,
    shares: u32,
}

/// Why a message concerns no order.
#[derive(Clone, Copy)]
enum Wrong {
    Unknown,
    /// It is another instrument's.
    Owner(u16),
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
                self.lose::<V>(locate, order_ref, shares, Loss { kind: LossKind::Executed, printable })
            }
            EventKind::Cancel { order_ref, shares } => {
                self.lose::<V>(locate, order_ref, shares, Loss::new(LossKind::Cancelled))
            }
            EventKind::Delete { order_ref } => {
                self.lose::<V>(locate, order_ref, 0, Loss::new(LossKind::Deleted))
            }
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
                self.touched = None;
                Change { locate, top_changed: false, outcome: Outcome::Applied }
            }
            EventKind::OperationalHalt(halted) => {
                self.note(locate, |instrument| instrument.operational_halt = halted)
            }
            EventKind::Directory { symbol, round_lot } => self.directory(locate, symbol, round_lot),
            EventKind::System(_) | EventKind::Other => self.ignored(locate),
        }
    }

    #[inline(always)]
    pub(super) fn apply_message<V: Vectors>(&mut self, message: &OrderMessage) -> Change {
        let OrderMessage { locate, order_ref, new_order_ref, shares, price, .. } = *message;
        match message.kind {
            OrderMessage::ADD => {
                // One branch that is never taken rather than one for each side, which would be a coin's toss.
                if (message.side != b'B') & (message.side != b'S') {
                    return self.ignored(locate);
                }
                let side = if message.side & 1 == 0 { Side::Buy } else { Side::Sell };
                self.add::<V>(locate, side, NewOrder { order_ref, shares, price })
            }
            OrderMessage::REPLACE => {
                self.replace::<V>(locate, order_ref, NewOrder { order_ref: new_order_ref, shares, price })
            }
            OrderMessage::NONE | 7.. => self.ignored(locate),
            kind => {
                // By a table rather than by branches.
                const KINDS: [LossKind; 8] = {
                    let mut kinds = [LossKind::Executed; 8];
                    kinds[OrderMessage::CANCEL as usize] = LossKind::Cancelled;
                    kinds[OrderMessage::DELETE as usize] = LossKind::Deleted;
                    kinds
                };
                let loss = Loss { kind: KINDS[usize::from(kind & 7)], printable: message.printable == b'Y' };
                self.lose::<V>(locate, order_ref, shares, loss)
            }
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
            self.touched = None;
            return self.duplicate(locate, found.segment(), Anomaly::AddDuplicate, false);
        }
        let named = (order.order_ref, found.place);
        match self.store.join::<V>(instrument, named, (locate, side), order.shares, order.price) {
            Ok(()) => {
                // Better levels are not touched: that of the order is the best now, or nothing changed at the top.
                let top_changed = instrument.is_best(side, key(side, order.price));
                self.touched = Some(Touched { side, price: order.price });
                let (listed, crossed) = (instrument.listed, top_changed & instrument.is_crossed());
                self.counters.added += 1;
                self.counters.crossed += u64::from(crossed);
                if listed {
                    Change { locate, top_changed, outcome: Outcome::Applied }
                } else {
                    self.anomaly(locate, Anomaly::NoDirectory, top_changed)
                }
            }
            Err(full) => self.refused(locate, full.into()),
        }
    }

    /// Execute, cancel and delete: an order shrinks and keeps its place, or leaves if nothing is left of it.
    #[inline(always)]
    fn lose<V: Vectors>(&mut self, locate: u16, order_ref: u64, shares: u32, loss: Loss) -> Change {
        let (found, at) = match self.order_of::<V>(locate, order_ref) {
            Ok(found) => found,
            Err(wrong) => return self.not_of(locate, wrong, loss.unknown()),
        };
        // Which of the three it is decides no branch: no predictor could tell.
        let deleted = loss.kind == LossKind::Deleted;
        let shares = if deleted { at.shares } else { shares };
        if shares == 0 {
            return self.refused(locate, Anomaly::ZeroShares);
        }
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let top_changed = instrument.is_best(at.side, key(at.side, at.price));
        self.touched = Some(Touched { side: at.side, price: at.price });
        let executed = loss.kind == LossKind::Executed;
        self.lost[loss.kind as usize] += 1;
        if executed {
            let traded = if loss.printable { shares.min(at.shares) } else { 0 };
            instrument.volume = instrument.volume.saturating_add(u64::from(traded));
        }
        if shares < at.shares {
            self.store.reduce(&found, shares);
        } else {
            self.store.leave::<V>(instrument, order_ref, &found);
        }
        let crossed = top_changed & instrument.is_crossed();
        self.counters.crossed += u64::from(crossed);
        if shares > at.shares {
            return self.anomaly(locate, loss.excess(), top_changed);
        }
        Change { locate, top_changed, outcome: Outcome::Applied }
    }

    /// The old order leaves in any case, for that much is certain; the new one joins the back of its queue, on the
    /// same side. Both may have the same reference: not so on ITCH, but other feeds say a modification that way.
    #[inline(always)]
    fn replace<V: Vectors>(&mut self, locate: u16, order_ref: u64, new: NewOrder) -> Change {
        let (found, old) = match self.order_of::<V>(locate, order_ref) {
            Ok(found) => found,
            Err(wrong) => return self.not_of(locate, wrong, Anomaly::ReplaceUnknown),
        };
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else {
            return self.refused(locate, Anomaly::LocateOutOfRange);
        };
        let was_best = instrument.is_best(old.side, key(old.side, old.price));
        self.touched = Some(Touched { side: old.side, price: old.price });
        self.store.leave::<V>(instrument, order_ref, &found);
        let refusal = new.flaw();
        if let Some(flaw) = refusal {
            return self.left_only(locate, flaw, was_best);
        }
        let other = self.store.find::<V>(new.order_ref);
        if other.is_live() {
            self.count_crossed(locate, was_best);
            return self.duplicate(locate, other.segment(), Anomaly::ReplaceDuplicate, was_best);
        }
        let named = (new.order_ref, other.place);
        match self.store.join::<V>(instrument, named, (locate, old.side), new.shares, new.price) {
            Err(full) => self.left_only(locate, full.into(), was_best),
            Ok(()) => {
                let is_best = instrument.is_best(old.side, key(old.side, new.price));
                // The new order may leave the top exactly as the old one found it.
                let same = was_best & is_best & (old.price == new.price) & (old.shares == new.shares);
                let top_changed = (was_best | is_best) & !same;
                let crossed = top_changed & instrument.is_crossed();
                self.counters.crossed += u64::from(crossed);
                self.counters.replaced += 1;
                self.counters.replaced_same_ref += u64::from(new.order_ref == order_ref);
                Change { locate, top_changed, outcome: Outcome::Applied }
            }
        }
    }

    /// A replacement of which only the first half could be applied.
    #[cold]
    fn left_only(&mut self, locate: u16, anomaly: Anomaly, top_changed: bool) -> Change {
        self.count_crossed(locate, top_changed);
        self.anomaly(locate, anomaly, top_changed)
    }

    #[cold]
    fn count_crossed(&mut self, locate: u16, top_changed: bool) {
        let crossed = top_changed && self.instrument(locate).is_some_and(Instrument::is_crossed);
        self.counters.crossed += u64::from(crossed);
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

    /// An event that is none of a book's business.
    const fn ignored(&mut self, locate: u16) -> Change {
        self.touched = None;
        Change { locate, top_changed: false, outcome: Outcome::Ignored }
    }

    /// Writes something down about an instrument that does not touch its orders.
    fn note(&mut self, locate: u16, write: impl FnOnce(&mut Instrument)) -> Change {
        self.touched = None;
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
    fn order_of<V: Vectors>(&self, locate: u16, order_ref: u64) -> Result<(Found, Resting), Wrong> {
        let found = self.store.find::<V>(order_ref);
        if !found.is_live() {
            return Err(Wrong::Unknown);
        }
        let segment = &self.store.queues.segments[found.segment()];
        if segment.locate() != locate {
            return Err(Wrong::Owner(segment.locate()));
        }
        let shares = segment.shares(found.at());
        Ok((found, Resting { side: segment.side(), price: segment.price(), shares }))
    }

    /// A message that names no live order of its instrument.
    #[cold]
    fn not_of(&mut self, locate: u16, wrong: Wrong, unknown: Anomaly) -> Change {
        let anomaly = match wrong {
            Wrong::Unknown if self.instrument(locate).is_some() => unknown,
            Wrong::Unknown => Anomaly::LocateOutOfRange,
            Wrong::Owner(owner) => {
                self.spoil_other(owner);
                Anomaly::LocateMismatch
            }
        };
        self.refused(locate, anomaly)
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
        self.touched = None;
        self.anomaly(locate, anomaly, false)
    }

    #[cold]
    fn anomaly(&mut self, locate: u16, anomaly: Anomaly, top_changed: bool) -> Change {
        self.counters.count(anomaly);
        self.spoil(locate);
        Change { locate, top_changed, outcome: Outcome::Anomaly(anomaly) }
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
}
