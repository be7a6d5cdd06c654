//! What is done about books that cannot be believed: which ones are wanted, what is put aside for them, how a snapshot and
//! the live feed are put together. What is decided here is carried out by the desk (`repair/mend.rs`).
//!
//! # One repair
//! 1. *Asking.* Books went stale. From that sequence on (`oldest`) their messages are not applied but put in the tail log;
//!    those of all other books go on as ever. A wish is published, and the books are emptied bit by bit. A full log pushes
//!    its oldest messages out, which raises `oldest`.
//! 2. *Loading.* The client hands over a snapshot for this very wish. Messages of wanted books are applied.
//! 3. *Splicing.* The snapshot states the sequence to go on with. From before `oldest`: refused. Else what was put aside is
//!    applied from there on, in portions that are larger than what comes meanwhile. When nothing is left and the stream has
//!    come that far, the books are live.
//!
//! Whatever goes wrong on the way leads back to the first step with a new wish, after a pause that grows. A further gap
//! while a snapshot is on its way does so too; while it is only asked for, the gap just raises `oldest`.
//!
//! # Which books
//! All of them after a gap or a late join; one after an anomaly of its own or an unreadable message about it. A book that
//! goes wrong while others are repaired waits for the next wish. So does one that goes wrong again within [`HEALTHY`] of
//! its repair, for a time that grows; after [`FRUITLESS`] such repairs it stays stale: a limit that is simply too small must
//! not fetch snapshots for ever.

mod counters;
mod log;
mod mend;

pub use counters::RepairCounters;

use log::{Entry, TailLog, What};

/// Repairs of one book in a row that did not hold before it is given up.
pub const FRUITLESS: u8 = 5;

/// A book that was right for so long has been repaired for good, ns.
pub const HEALTHY: u64 = 60_000_000_000;

/// The first pause, ns; each further one is twice as long, up to [`LONGEST_PAUSE`].
const PAUSE: u64 = 500_000_000;

/// The longest pause, ns.
const LONGEST_PAUSE: u64 = 30_000_000_000;

/// Books that one wish takes in singly. More wait for the next one.
const SINGLY: usize = 512;

/// Waiting books that are looked at in one round of housekeeping.
const LOOKED_AT: usize = 64;

/// How long the stream may take to come to the sequence that a snapshot states, ns.
const SPLICE_WAIT: u64 = 10_000_000_000;

/// Furthest that a snapshot's sequence is believed to be ahead of the stream, in messages.
const FURTHEST: u64 = 100_000_000;

/// How far the repair under way has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is wanted.
    Idle,
    /// A snapshot is wished for.
    Asking,
    /// A snapshot is arriving.
    Loading,
    /// Messages that were put aside are applied on top of it, from sequence `next` on, until `deadline` (ns).
    Splicing { next: u64, deadline: u64 },
}

/// How one book stands, in the round of [`Care::round`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is wanted in the repair under way.
    Wanted,
    /// It is to be repaired from `from` (ns) on.
    Waiting { from: u64 },
    /// It is left as it is.
    GivenUp,
    /// Nothing is the matter with it.
    Well,
}

/// What is remembered of one book.
#[derive(Clone, Copy, Debug)]
struct Care {
    /// A standing of an earlier round is void: the book then stands as all do.
    round: u32,
    /// Repairs in a row that did not hold.
    fruitless: u8,
    standing: Standing,
    /// When it was last made live by a repair of its own, ns; 0 = never.
    mended: u64,
}

/// Why a snapshot came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The client could not get all of it.
    Client,
    /// It is older than what was put aside.
    Old,
    /// It is from a time that the stream does not come to.
    Ahead,
    /// It is none.
    Flawed,
    /// Too much came meanwhile.
    Overflow,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Repair {
    /// There is a snapshot server to ask.
    enabled: bool,
    /// Anything is wanted: the loop must look here for each message.
    on: bool,
    phase: Phase,
    /// Every book is wanted that is not singled out.
    all: bool,
    round: u32,
    cares: Box<[Care]>,
    /// Books wanted singly; those that stand otherwise by now do not count.
    wanted: Vec<u16>,
    /// Books that wait for a later wish.
    waiting: Vec<u16>,
    /// Where to look next in `waiting`.
    looked: usize,
    /// What is emptied next: a locate, or a place in `wanted`.
    drain_at: usize,
    log: TailLog,
    /// Number of the newest wish.
    number: u64,
    /// The wish is made; else it is still paused.
    asked: bool,
    /// When a paused wish is made, ns.
    not_before: u64,
    /// Wishes in a row that came to nothing by no fault of the client's connection.
    setbacks: u32,
    /// The lowest sequence that a snapshot may state.
    oldest: u64,
    /// The snapshot that arrives has something in it that no snapshot holds.
    flawed: bool,
    /// Messages of a book that went wrong while all were being repaired were not put aside: the log cannot serve again.
    leaked: bool,
    /// Messages put aside since the last portion was applied.
    fresh: u32,
    /// When the repair under way began, ns.
    since: u64,
    /// When all books were last made live, ns.
    all_mended: u64,
    /// Time of the last housekeeping, ns.
    now: u64,
    pub(super) counters: RepairCounters,
}

impl Repair {
    /// For locates `0 .. locates`, with a tail log of `bytes`; 0 = there is no snapshot server, and nothing is ever wanted.
    /// Takes and writes all memory.
    pub(super) fn new(locates: usize, bytes: usize) -> Self {
        let locates = if bytes == 0 { 0 } else { locates };
        let care = Care { round: 0, fruitless: 0, standing: Standing::Well, mended: 0 };
        Self {
            enabled: bytes != 0,
            on: false,
            phase: Phase::Idle,
            all: false,
            round: 1,
            cares: vec![care; locates].into_boxed_slice(),
            wanted: Vec::with_capacity(SINGLY),
            waiting: Vec::with_capacity(locates),
            looked: 0,
            drain_at: 0,
            log: TailLog::new(bytes),
            number: 0,
            asked: false,
            not_before: 0,
            setbacks: 0,
            oldest: 0,
            flawed: false,
            leaked: false,
            fresh: 0,
            since: 0,
            all_mended: 0,
            now: 0,
            counters: RepairCounters::default(),
        }
    }

    /// True while anything is wanted.
    #[inline]
    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// True where books that went wrong are repaired at all.
    pub(super) const fn is_mending(&self) -> bool {
        self.enabled && self.counters.given_up == 0
    }

    /// True while some book is not what it should be, as far as is known here.
    pub(super) const fn is_busy(&self) -> bool {
        self.on || !self.waiting.is_empty()
    }

    /// Number of the snapshot wanted (0 = none) and the lowest sequence that it may state.
    pub(super) const fn wish(&self) -> (u64, u64) {
        if self.on && self.asked { (self.number, self.oldest) } else { (0, 0) }
    }

    /// Forgets everything but the numbers of wishes: a new session begins.
    pub(super) fn reset(&mut self) {
        self.rest();
        self.round = self.round.wrapping_add(1);
        self.cares.fill(Care { round: 0, fruitless: 0, standing: Standing::Well, mended: 0 });
        self.waiting.clear();
        self.all_mended = 0;
        self.setbacks = 0;
    }

    /// Nothing is wanted any more.
    fn rest(&mut self) {
        self.on = false;
        self.phase = Phase::Idle;
        self.all = false;
        self.asked = false;
        self.wanted.clear();
        self.drop_log();
        self.counters.wanted_now = 0;
    }

    fn drop_log(&mut self) {
        self.counters.discarded += self.log.clear() as u64;
    }

    fn standing(&self, locate: u16) -> Standing {
        let otherwise = if self.all { Standing::Wanted } else { Standing::Well };
        match self.cares.get(usize::from(locate)) {
            Some(care) if care.round == self.round => care.standing,
            // Locate 0 is no instrument.
            Some(_) if locate != 0 => otherwise,
            _ => Standing::Well,
        }
    }

    fn is_wanted(&self, locate: u16) -> bool {
        self.on && self.standing(locate) == Standing::Wanted
    }

    fn set_standing(&mut self, locate: u16, standing: Standing) {
        if let Some(care) = self.cares.get_mut(usize::from(locate)) {
            care.round = self.round;
            care.standing = standing;
        }
    }

    /// No book can be believed; `next` is the first sequence that is whole again.
    pub(super) fn want_all(&mut self, next: u64) {
        if !self.enabled {
            return;
        }
        if self.phase == Phase::Idle {
            self.since = self.now;
        }
        if matches!(self.phase, Phase::Loading | Phase::Splicing { .. }) {
            self.counters.interrupted += 1;
        }
        let fresh_wish = self.phase != Phase::Asking;
        self.counters.wishes_all += u64::from(fresh_wish || !self.all);
        self.all = true;
        self.round = self.round.wrapping_add(1);
        self.wanted.clear();
        self.waiting.clear();
        self.counters.wanted_now = 1 << 16;
        self.begin_log(next);
        self.ask(fresh_wish, 0);
    }

    /// Everything before `oldest` is of no use.
    fn begin_log(&mut self, oldest: u64) {
        self.drop_log();
        self.oldest = oldest;
        self.leaked = false;
    }

    /// Begins to ask. A fresh wish gets a new number after `pause` ns; one that is out already keeps its own.
    fn ask(&mut self, fresh_wish: bool, pause: u64) {
        self.on = true;
        self.phase = Phase::Asking;
        self.drain_at = 0;
        if fresh_wish {
            self.asked = pause == 0;
            self.number += u64::from(self.asked);
            self.not_before = self.now.saturating_add(pause);
        }
    }

    /// The snapshot of this wish came to nothing: wish again. `next` is the first sequence that was not put aside.
    fn ask_again(&mut self, failure: Failure, next: u64) {
        let counters = &mut self.counters;
        let (counter, setback) = match failure {
            Failure::Client => (&mut counters.failed, false),
            Failure::Old => (&mut counters.refused_old, true),
            Failure::Ahead => (&mut counters.refused_ahead, true),
            Failure::Flawed => (&mut counters.refused_flawed, true),
            Failure::Overflow => (&mut counters.overflowed, true),
        };
        *counter += 1;
        self.setbacks = if setback { self.setbacks.saturating_add(1) } else { self.setbacks };
        // The first time at once: a server may be a moment behind.
        let pause = if setback { pause(self.setbacks.saturating_sub(1)) } else { 0 };
        // A server that is behind the feed must find the same log again, or it would stay behind for ever.
        if self.phase != Phase::Loading || (self.all && self.leaked) {
            self.begin_log(next);
        }
        if self.all {
            // Whatever was found wrong with single books is void: all are made anew.
            self.round = self.round.wrapping_add(1);
            self.waiting.clear();
        } else {
            let (cares, round) = (&self.cares, self.round);
            self.wanted.retain(|locate| {
                cares
                    .get(usize::from(*locate))
                    .is_some_and(|care| care.round == round && care.standing == Standing::Wanted)
            });
        }
        self.ask(true, pause);
        if !self.all && self.wanted.is_empty() {
            self.rest();
        }
    }

    /// The book of `locate` went wrong; its messages are put aside from sequence `next` on, where it is wanted at once.
    pub(super) fn want(&mut self, locate: u16, next: u64) {
        if !self.enabled || locate == 0 {
            return;
        }
        let standing = self.standing(locate);
        let in_hand = standing == Standing::Wanted && self.phase == Phase::Asking;
        if in_hand || matches!(standing, Standing::Waiting { .. } | Standing::GivenUp) {
            return;
        }
        self.leaked = true;
        let (now, all_mended) = (self.now, self.all_mended);
        let Some(care) = self.cares.get_mut(usize::from(locate)) else { return };
        let mended = care.mended.max(all_mended);
        let relapse = standing == Standing::Wanted || (mended != 0 && now.saturating_sub(mended) < HEALTHY);
        care.fruitless = if relapse { care.fruitless.saturating_add(1) } else { 0 };
        let fruitless = care.fruitless;
        self.counters.fruitless += u64::from(relapse);
        if fruitless >= FRUITLESS {
            self.counters.given_up += 1;
            self.set_standing(locate, Standing::GivenUp);
            return;
        }
        // The first relapse may be chance; from the second on it costs time.
        if fruitless <= 1 && self.take_in(locate, next) {
            return;
        }
        let from = if fruitless <= 1 { now } else { now.saturating_add(pause(u32::from(fruitless) - 1)) };
        self.set_standing(locate, Standing::Waiting { from });
        if self.waiting.len() < self.waiting.capacity() {
            self.waiting.push(locate);
        }
    }

    /// Takes a book into the wish that is out, or makes one; false where that must wait.
    fn take_in(&mut self, locate: u16, next: u64) -> bool {
        if self.wanted.len() >= SINGLY || self.all || !matches!(self.phase, Phase::Idle | Phase::Asking) {
            return false;
        }
        if self.phase == Phase::Idle {
            self.since = self.now;
            self.counters.wishes_single += 1;
            self.begin_log(next);
            self.ask(true, 0);
        } else {
            // Its messages from before are not there: the others' from before are of no use either.
            self.oldest = self.oldest.max(next);
        }
        self.counters.books += 1;
        self.set_standing(locate, Standing::Wanted);
        self.wanted.push(locate);
        self.counters.wanted_now = self.wanted.len() as u64;
        true
    }

    /// Housekeeping: wishes whose pause is over, books whose turn has come. `next` is the next sequence of the stream.
    pub(super) fn on_tick(&mut self, now: u64, next: u64) {
        self.now = now;
        if !self.enabled {
            return;
        }
        if self.phase == Phase::Asking && !self.asked && now >= self.not_before {
            self.asked = true;
            self.number += 1;
        }
        for _ in 0..self.waiting.len().min(LOOKED_AT) {
            if self.looked >= self.waiting.len() {
                self.looked = 0;
            }
            let Some(locate) = self.waiting.get(self.looked).copied() else { return };
            match self.standing(locate) {
                Standing::Waiting { from } if from > now => self.looked += 1,
                Standing::Waiting { .. } => {
                    if !self.take_in(locate, next) {
                        return;
                    }
                    self.waiting.swap_remove(self.looked);
                }
                _ => {
                    self.waiting.swap_remove(self.looked);
                }
            }
        }
    }

    /// True where the stream has not come to the snapshot's sequence in time.
    fn is_late(&self) -> bool {
        matches!(self.phase, Phase::Splicing { deadline, .. } if self.now > deadline)
    }

    /// Puts a message aside; false where that ended the repair's hopes.
    fn put_aside(&mut self, sequence: u64, what: What) -> bool {
        let entry = Entry { sequence, what };
        self.counters.logged += 1;
        self.fresh = self.fresh.saturating_add(1);
        if self.log.push(entry) {
            self.counters.logged_peak = self.counters.logged_peak.max(self.log.peak() as u64);
            return true;
        }
        if matches!(self.phase, Phase::Splicing { .. }) {
            return false;
        }
        if let Some(oldest) = self.log.pop() {
            self.counters.pushed_out += 1;
            self.oldest = self.oldest.max(oldest.sequence.saturating_add(1));
        }
        self.log.push(entry)
    }

    /// The next book to empty, if one is left.
    fn to_drain(&self) -> Option<u16> {
        if self.all {
            // Locate 0 has no book; it is passed like an empty one.
            (self.drain_at < self.cares.len()).then(|| u16::try_from(self.drain_at).unwrap_or(u16::MAX))
        } else {
            self.wanted.get(self.drain_at).copied()
        }
    }

    /// True where every wanted book is empty.
    fn is_drained(&self) -> bool {
        self.to_drain().is_none()
    }

    /// Notes how long a wait for messages asked for again took.
    pub(super) fn waited(&mut self, ns: u64) {
        let us = ns / 1_000;
        self.counters.waits += 1;
        self.counters.wait_last_us = us;
        self.counters.wait_longest_us = self.counters.wait_longest_us.max(us);
    }
}

/// The pause after `setbacks` setbacks in a row, ns; none after none.
fn pause(setbacks: u32) -> u64 {
    match setbacks.checked_sub(1) {
        None => 0,
        Some(doubled) => (PAUSE << doubled.min(16)).min(LONGEST_PAUSE),
    }
}
