//! The desk's hands in a repair: empties books, loads snapshots, applies what was put aside. All of it in portions, so that
//! one round of the loop stays short.

use super::{FURTHEST, Failure, Phase, Repair, SPLICE_WAIT, Standing, What};
use crate::book::Anomaly;
use crate::feed::itch::{self, Damage};
use crate::market::{BookState, Event, EventKind, TradingState};
use crate::nic::TxQueue;
use crate::order::Session;
use crate::pipeline::desk::Desk;
use crate::strategy::Strategy;
use crate::tsc::TimeSource;

/// Orders taken out of books in one round.
const ORDERS: u32 = 128;

/// Books looked at in one round of emptying.
const BOOKS: usize = 512;

/// Messages applied in one round, beside twice as many as were put aside since the last one.
const MESSAGES: u32 = 64;

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Desk<T, S, O, C> {
    /// Puts a message aside where its book waits for a snapshot; false where it is to be applied now. Called while a repair
    /// is on.
    #[cold]
    #[inline(never)]
    pub(in crate::pipeline) fn put_aside(&mut self, event: &Event) -> bool {
        let sequence = self.next - 1;
        let wanted = match event.kind {
            EventKind::System(_) | EventKind::Other => return false,
            EventKind::MarketHalt => {
                self.halt_others(event);
                self.log(sequence, What::Event(*event));
                return true;
            }
            _ => self.repair.is_wanted(event.locate),
        };
        if wanted {
            self.log(sequence, What::Event(*event));
        }
        wanted
    }

    /// A market-wide halt holds at once for books that are not made anew. For those that are it has its place among their own
    /// messages: a snapshot from after it says what was announced since then.
    fn halt_others(&mut self, event: &Event) {
        let Self { repair, books, .. } = self;
        if !repair.all {
            books.apply(event);
            repair.wanted.iter().for_each(|locate| books.spare_from_halt(*locate));
        }
    }

    /// [`Self::put_aside`] for a message about `locate` that could not be read: a snapshot may have it.
    pub(in crate::pipeline) fn put_damage_aside(&mut self, locate: u16) -> bool {
        let wanted = self.repair.is_wanted(locate);
        if wanted {
            self.log(self.next - 1, What::Damaged(locate));
        }
        wanted
    }

    fn log(&mut self, sequence: u64, what: What) {
        if !self.repair.put_aside(sequence, what) {
            self.fail(Failure::Overflow);
        }
    }

    /// A book went wrong: it is stale, and wanted.
    #[cold]
    #[inline(never)]
    pub(in crate::pipeline) fn on_spoiled(&mut self, locate: u16) {
        self.doubt();
        self.repair.want(locate, self.next);
        if let Some(other) = self.books.take_also_spoiled() {
            self.repair.want(other, self.next);
        }
    }

    /// Every book went wrong; the next message is the first that is whole again.
    pub(in crate::pipeline) fn on_all_spoiled(&mut self) {
        self.doubt();
        self.books.set_all_states(BookState::Stale);
        self.repair.want_all(self.next);
    }

    /// True while snapshot items may be taken: not before the books are empty.
    pub(in crate::pipeline) fn takes_items(&self) -> bool {
        self.repair.phase != Phase::Loading || self.repair.is_drained()
    }

    /// Empties wanted books by one portion.
    pub(in crate::pipeline) fn drain(&mut self) {
        if !matches!(self.repair.phase, Phase::Asking | Phase::Loading) {
            return;
        }
        let mut orders = ORDERS;
        for _ in 0..BOOKS {
            let Some(locate) = self.repair.to_drain() else { return };
            if self.repair.is_wanted(locate) {
                self.rebuilds(locate);
                let before = self.books.usage().orders;
                if !self.books.drain(locate, orders) {
                    return;
                }
                orders -= before - self.books.usage().orders;
                // The snapshot says it anew; what it does not say stays closed.
                self.books.forget_trading(locate);
            }
            self.repair.drain_at += 1;
        }
    }

    /// A snapshot begins.
    pub(in crate::pipeline) fn begin_snapshot(&mut self, epoch: u64, number: u64) {
        let Self { repair, books, .. } = self;
        if repair.phase == Phase::Loading && (epoch, number) == (self.epoch, repair.number) {
            self.fail(Failure::Client);
            return;
        }
        if repair.phase != Phase::Asking || (epoch, number) != (self.epoch, repair.wish().0) {
            repair.counters.outdated += 1;
            return;
        }
        repair.counters.snapshots += 1;
        repair.phase = Phase::Loading;
        repair.flawed = false;
        if repair.all {
            books.set_all_states(BookState::Recovering);
        } else {
            for locate in &repair.wanted {
                books.set_state(*locate, BookState::Recovering);
            }
        }
    }

    /// One message of a snapshot.
    pub(in crate::pipeline) fn load(&mut self, message: &[u8]) {
        if self.repair.phase != Phase::Loading {
            self.repair.counters.outdated += 1;
            return;
        }
        let event = match itch::decode(message) {
            Ok(event) => event,
            Err(_) => {
                match itch::damage(message) {
                    Damage::None => {}
                    Damage::Instrument(locate) if self.division.is_elsewhere(locate) => {}
                    Damage::Instrument(locate) if self.books.symbol(locate).is_some() => self.damaged(locate),
                    Damage::Instrument(_) | Damage::Unknown => self.repair.flawed = true,
                }
                return;
            }
        };
        match event.kind {
            _ if self.division.is_foreign(event.locate) => {
                self.repair.counters.snapshot_skipped += 1;
                self.on_foreign(&event);
            }
            EventKind::Add { .. }
            | EventKind::Directory { .. }
            | EventKind::Trading(_)
            | EventKind::OperationalHalt(_)
                if self.repair.is_wanted(event.locate) =>
            {
                self.repair.counters.snapshot_loaded += 1;
                match self.apply_quietly(&event) {
                    None => {}
                    // The book's own trouble, and the same with every snapshot.
                    Some(Anomaly::OrderLimit | Anomaly::LevelLimit) => self.on_spoiled(event.locate),
                    // The snapshot contradicts itself: no book is to blame for that.
                    Some(_) => self.repair.flawed = true,
                }
            }
            EventKind::Execute { .. }
            | EventKind::Cancel { .. }
            | EventKind::Delete { .. }
            | EventKind::Replace { .. } => self.repair.flawed = true,
            _ => self.repair.counters.snapshot_skipped += 1,
        }
    }

    /// The snapshot is complete: the live feed goes on from `next`.
    pub(in crate::pipeline) fn end_snapshot(&mut self, next: u64) {
        let Repair { phase, flawed, oldest, now, .. } = self.repair;
        if phase != Phase::Loading {
            self.repair.counters.outdated += 1;
        } else if flawed {
            self.fail(Failure::Flawed);
        } else if next < oldest {
            self.fail(Failure::Old);
        } else if next.saturating_sub(self.next) > FURTHEST {
            self.fail(Failure::Ahead);
        } else {
            self.repair.phase = Phase::Splicing { next, deadline: now.saturating_add(SPLICE_WAIT) };
        }
    }

    /// The snapshot will not be completed.
    pub(in crate::pipeline) fn snapshot_failed(&mut self) {
        if self.repair.phase == Phase::Loading {
            self.fail(Failure::Client);
        } else {
            self.repair.counters.outdated += 1;
        }
    }

    /// The repair under way came to nothing: its books are stale again, and wanted again.
    fn fail(&mut self, failure: Failure) {
        let Self { repair, books, .. } = self;
        if repair.all {
            books.set_all_states(BookState::Stale);
        } else {
            for locate in repair.wanted.iter().copied().filter(|locate| repair.is_wanted(*locate)) {
                books.set_state(locate, BookState::Stale);
            }
        }
        self.repair.ask_again(failure, self.next);
    }

    /// Applies one portion of what was put aside, and makes the books live when nothing is left.
    pub(in crate::pipeline) fn splice(&mut self) {
        let portion = MESSAGES.saturating_add(self.repair.fresh.saturating_mul(2));
        self.repair.fresh = 0;
        for _ in 0..portion {
            let Phase::Splicing { next, .. } = self.repair.phase else { return };
            let Some(entry) = self.repair.log.pop() else {
                if self.next >= next {
                    self.finish();
                }
                return;
            };
            if entry.sequence < next {
                self.repair.counters.discarded += 1;
                continue;
            }
            self.repair.counters.replayed += 1;
            match entry.what {
                What::Event(event) => self.replay(&event),
                What::Damaged(locate) if self.books.symbol(locate).is_some() => self.damaged(locate),
                What::Damaged(locate) if self.division.is_elsewhere(locate) => {}
                // It named an instrument that does not exist: which one was meant cannot be known.
                What::Damaged(_) => {
                    self.counters.undecodable_all_stale += 1;
                    self.on_all_spoiled();
                }
            }
        }
    }

    fn replay(&mut self, event: &Event) {
        if event.kind == EventKind::MarketHalt {
            if self.repair.all {
                self.books.apply(event);
            } else {
                for at in 0..self.repair.wanted.len() {
                    if let Some(locate) = self.repair.wanted.get(at).copied() {
                        let kind = EventKind::Trading(TradingState::Halted);
                        self.books.apply(&Event { locate, kind, ..*event });
                    }
                }
            }
        } else if self.repair.is_wanted(event.locate) && self.apply_quietly(event).is_some() {
            self.on_spoiled(event.locate);
        }
    }

    /// A message about a wanted book could not be read, and no snapshot makes it good.
    fn damaged(&mut self, locate: u16) {
        if self.repair.is_wanted(locate) {
            self.books.set_state(locate, BookState::Stale);
            self.on_spoiled(locate);
        }
    }

    /// The books are as of the stream now.
    fn finish(&mut self) {
        let now = self.clock.ns(self.time.now());
        let Self { repair, books, .. } = self;
        if repair.all {
            // Those that went wrong meanwhile were singled out.
            books.set_other_states(BookState::Live);
            repair.all_mended = now;
        } else {
            for locate in repair.wanted.iter().copied().filter(|locate| repair.is_wanted(*locate)) {
                books.set_state(locate, BookState::Live);
            }
            for at in 0..repair.wanted.len() {
                if let Some(locate) = repair.wanted.get(at).copied()
                    && repair.standing(locate) == Standing::Wanted
                {
                    repair.set_standing(locate, Standing::Well);
                    if let Some(care) = repair.cares.get_mut(usize::from(locate)) {
                        care.mended = now;
                    }
                }
            }
        }
        let us = now.saturating_sub(repair.since) / 1_000;
        repair.counters.done += 1;
        repair.counters.last_us = us;
        repair.counters.longest_us = repair.counters.longest_us.max(us);
        repair.setbacks = 0;
        repair.rest();
    }

    /// Housekeeping of the repair.
    pub(in crate::pipeline) fn repair_timer(&mut self, now_ns: u64) {
        self.repair.on_tick(now_ns, self.next);
        if self.repair.is_late() {
            self.fail(Failure::Ahead);
        }
    }
}
