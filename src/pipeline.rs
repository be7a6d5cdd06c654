//! The poll loop: the one place where all floors meet.
//!
//! One lcore, run to completion, no queue between the stages:
//!
//! ```text
//!  rx_burst ─▶ frame (wire) ─▶ route ─▶ stream (feed) ─▶ decode ─▶ book ─▶ strategy ─▶ risk ─▶ session ─▶ tx_burst
//! ```
//!
//! Nothing on that line allocates, locks, logs or calls the kernel. Everything else (timers, publishing of counters and
//! book tops, the stop flag) is housekeeping, done when a poll was empty or when [`TICK`] has passed, whichever comes
//! first. The control thread sees only what housekeeping publishes; it never writes to the loop's memory, except for the
//! flags in [`Switches`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::blotter::Blotter;
use crate::book::Books;
use crate::capture::own::Note;
use crate::feed::handover::{HOLES, Hole, Item, LoopEnd, Need};
use crate::feed::{Line, Stream};
use crate::journal::Kind;
use crate::market::BookState;
use crate::nic::{RxBurst, RxQueue, TxQueue};
use crate::order::Session;
use crate::prefetch;
use crate::stop::KillSwitch;
use crate::strategy::Strategy;
use crate::tsc::{TimeSource, Tsc};
use crate::wire::frame::{Reject, RejectCounters, parse_tcp, parse_udp};

pub mod board;
pub mod boards;
pub mod desk;
pub mod finished;
pub mod frames;
pub mod health;
pub mod repair;
pub mod route;
pub mod share;
pub mod stamp;
pub mod tap;

use board::{Board, LineLag, Tally};
use desk::{Desk, DeskCounters, DeskParts};
use finished::Finished;
use frames::{Carrier, Down, MOST_AT_ONCE};
use route::{Route, RouteCounters, Routes};
use share::Share;
use tap::{Tap, When};

/// Longest time between two rounds of housekeeping under load, ns.
pub const TICK: u64 = 20_000;

/// Empty polls between two looks at the TSC. An empty poll takes a few ns, so [`TICK`] is kept well enough.
const EMPTY_POLLS: u32 = 256;

/// Empty polls between two looks at whether a rehearsal is due.
const REHEARSAL_POLLS: u32 = 16;

/// Time between two publications of counters and book tops, ns.
const PUBLISH: u64 = 50_000_000;

/// What is taken from the recovery client in one round of the loop: so many messages of snapshots, or a packet for
/// [`PACKET`] of them.
const ITEMS: u32 = 64;

/// What a packet counts against [`ITEMS`].
const PACKET: u32 = 8;

/// How long the end waits for the answers to cancels, and then for the connection to end, ns.
pub const PARTING: (u64, u64) = (500_000_000, 2_500_000_000);

/// What the control thread may tell a running loop.
#[derive(Debug, Default)]
pub struct Switches {
    /// End the loop.
    pub stop: AtomicBool,
    /// Orders may leave. Closed by default.
    pub armed: AtomicBool,
    /// No further order may leave, and open ones must go; for good.
    pub kill: KillSwitch,
}

/// What the loop itself counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopCounters {
    /// Polls of a receive queue.
    pub polls: u64,
    /// Polls that returned at least one frame.
    pub busy_polls: u64,
    /// Polls that brought at least one message into a book.
    pub message_polls: u64,
    /// Polls that had the strategy decide at least once.
    pub decision_polls: u64,
    /// Polls that sent at least one order.
    pub order_polls: u64,
    /// Frames received.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that came in more than one buffer: dropped by the backend.
    pub segmented: u64,
    /// Frames cut to the buffer's size: dropped by the backend.
    pub truncated: u64,
    /// Frames that another worker received and shared, of those above.
    pub shared: u64,
    /// Frames that another worker received and this one was too slow to be given: holes in its lines.
    pub missed: u64,
    /// Stage samples that the control thread did not take in time.
    pub samples_dropped: u64,
}

impl LoopCounters {
    /// Counts what one poll led to, by what the desk had counted before and after it.
    #[inline]
    fn count_work(&mut self, before: &DeskCounters, after: &DeskCounters) {
        self.message_polls += u64::from(after.messages != before.messages);
        self.decision_polls += u64::from(after.decisions != before.decisions);
        self.order_polls += u64::from(after.orders_sent != before.orders_sent);
    }

    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 12] {
        [
            ("loop_polls", self.polls),
            ("loop_busy_polls", self.busy_polls),
            ("loop_message_polls", self.message_polls),
            ("loop_decision_polls", self.decision_polls),
            ("loop_order_polls", self.order_polls),
            ("loop_frames", self.frames),
            ("loop_bytes", self.bytes),
            ("loop_rx_segmented", self.segmented),
            ("loop_rx_truncated", self.truncated),
            ("loop_rx_shared", self.shared),
            ("loop_rx_missed", self.missed),
            ("loop_samples_dropped", self.samples_dropped),
        ]
    }
}

/// What a pipeline is made of besides its queues.
pub struct Parts<S, O> {
    /// Books, strategy, risk, order session.
    pub desk: DeskParts<S, O>,
    /// The feed.
    pub stream: Stream,
    /// What belongs where.
    pub routes: Routes,
    /// Flags of the control thread.
    pub switches: Arc<Switches>,
    /// Where the control thread reads.
    pub board: Board,
    /// The way to and from the control core for ARP and IGMP; `None` where a kernel speaks them.
    pub frames: Option<Carrier>,
    /// Where lost messages come back from; `None`: they do not.
    pub recovery: Option<RecoveryParts>,
    /// The instruments whose books are kept here.
    pub share: Share,
    /// `SCHED_FIFO` priority of the loop's thread; `None`: as it is.
    pub fifo_priority: Option<u8>,
    /// Time between two rehearsals of an order while nothing comes, ns; 0: none.
    pub rehearse_ns: u64,
}

/// What a loop needs to get back what it lost.
pub struct RecoveryParts {
    /// The links to the recovery client.
    pub end: LoopEnd,
    /// Memory for messages that wait for a snapshot, in bytes; 0: there is no snapshot server, and a book that went stale
    /// stays so.
    pub buffer_bytes: usize,
}

/// One worker: its queues, its stream, its desk.
pub struct Pipeline<R, T, S, O, C = Tsc> {
    rx: Vec<R>,
    /// By the place of the port: those by which orders do not leave.
    side_tx: Vec<Option<T>>,
    frames: Option<Carrier>,
    tap: Option<Tap>,
    desk: Desk<T, S, O, C>,
    stream: Stream,
    routes: Routes,
    /// [`Routes::payload_at`].
    payload_at: usize,
    switches: Arc<Switches>,
    board: Board,
    link: Option<LoopEnd>,
    /// As it was last published.
    need: Need,
    rejects: RejectCounters,
    unwanted: RouteCounters,
    counters: LoopCounters,
    tick_ticks: u64,
    publish_ticks: u64,
    next_tick: u64,
    next_publish: u64,
    /// 0: none.
    rehearsal_ticks: u64,
    next_rehearsal: u64,
    feed_clock: FeedClock,
    leaving: Option<Leaving>,
}

/// How far the end of an order session is, and until when (ticks) it may take.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// Cancels may be unanswered.
    Answers(u64),
    /// The session is logging out.
    Goodbye(u64),
}

/// The stream's time: the loop's, less what it was away beyond [`TimeSource::LONGEST_ROUND`].
struct FeedClock {
    now: u64,
    looked: u64,
    longest: u64,
}

impl FeedClock {
    /// The stream's time at TSC `tsc`, which never goes back by more than noise.
    #[inline]
    fn at(&mut self, tsc: u64) -> u64 {
        self.now += tsc.saturating_sub(self.looked).min(self.longest);
        self.looked = self.looked.max(tsc);
        self.now
    }
}

impl<R: RxQueue, T: TxQueue, S: Strategy, O: Session> Pipeline<R, T, S, O> {
    /// Puts a worker together on the lcore that will run it. `rx` are polled in turn.
    pub fn new(parts: Parts<S, O>, rx: Vec<R>, tx: T) -> Self {
        Self::with_time(parts, rx, tx, Tsc)
    }
}

impl<R: RxQueue, T: TxQueue, S: Strategy, O: Session, C: TimeSource> Pipeline<R, T, S, O, C> {
    /// The same under another time than the processor's, in ticks of the clock in `parts`: for a simulation.
    pub fn with_time(parts: Parts<S, O>, rx: Vec<R>, tx: T, time: C) -> Self {
        let clock = parts.desk.clock;
        let now = time.now();
        let (link, log_bytes) =
            parts.recovery.map_or((None, 0), |parts| (Some(parts.end), parts.buffer_bytes));
        Self {
            rx,
            side_tx: Vec::new(),
            frames: parts.frames,
            tap: None,
            desk: Desk::new(parts.desk, parts.share, tx, time, log_bytes),
            stream: parts.stream,
            payload_at: parts.routes.payload_at(),
            routes: parts.routes,
            switches: parts.switches,
            board: parts.board,
            link,
            need: Need::default(),
            rejects: RejectCounters::default(),
            unwanted: RouteCounters::default(),
            counters: LoopCounters::default(),
            tick_ticks: clock.ticks(TICK),
            publish_ticks: clock.ticks(PUBLISH),
            next_tick: now,
            next_publish: now,
            rehearsal_ticks: clock.ticks(parts.rehearse_ns),
            next_rehearsal: now,
            feed_clock: FeedClock { now, looked: now, longest: clock.ticks(C::LONGEST_ROUND) },
            leaving: None,
        }
    }

    /// Gives it transmit queues of ports by which orders do not leave, at their places among the receive queues: for IGMP
    /// and ARP there. Where there is none, frames leave by the port of the orders.
    #[must_use]
    pub fn with_side_tx(self, side_tx: Vec<Option<T>>) -> Self {
        Self { side_tx, ..self }
    }

    /// Has it capture what it receives.
    #[must_use]
    pub fn with_tap(self, tap: Option<Tap>) -> Self {
        Self { tap, ..self }
    }

    /// Polls until [`Switches::stop`], then publishes once more.
    pub fn run(&mut self) {
        self.desk.mark_now(Kind::Start);
        let mut empty: u32 = 0;
        loop {
            if self.poll() {
                empty = 0;
            } else {
                empty += 1;
                if self.rehearsal_ticks != 0 && empty.is_multiple_of(REHEARSAL_POLLS) {
                    self.rehearse_in_time();
                }
                if empty < EMPTY_POLLS {
                    continue;
                }
                empty = 0;
            }
            let now = self.desk.time.now();
            if now >= self.next_tick {
                self.tick(now);
                // SYNC POINT: relaxed; the flag carries no data with it.
                if self.switches.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        while !self.leave(self.desk.time.now()) {
            self.poll();
        }
        self.desk.mark_now(Kind::End);
        self.publish();
    }

    /// Nothing comes: a rehearsal, if it is due.
    fn rehearse_in_time(&mut self) {
        let now = self.desk.time.now();
        if now >= self.next_rehearsal {
            self.next_rehearsal = now.wrapping_add(self.rehearsal_ticks);
            self.rehearse();
        }
    }

    /// Walks through the way of an order up to the transmit buffer, so that the next one finds it in the caches. Nothing leaves,
    /// and nothing is kept but the count. [`Pipeline::run`] does it while nothing comes.
    pub fn rehearse(&mut self) {
        self.desk.rehearse();
    }

    /// One round over the receive queues; true where frames came.
    #[inline]
    pub fn poll(&mut self) -> bool {
        let mut busy = false;
        for (port, rx) in self.rx.iter_mut().enumerate() {
            self.counters.polls += 1;
            let polled = self.desk.stamps.poll(&self.desk.time);
            let burst = rx.poll();
            let frames = burst.len();
            if frames == 0 {
                continue;
            }
            busy = true;
            let received = self.desk.time.now();
            let feed_now = self.feed_clock.at(received);
            self.desk.came = received;
            self.desk.stamps.burst(polled, received);
            let before = self.desk.counters;
            self.counters.busy_polls += 1;
            self.counters.frames += frames as u64;
            prefetch::bytes(burst.frame(0).bytes);
            for at in 0..frames {
                let frame = burst.frame(at);
                if at + 1 < frames {
                    prefetch::bytes(burst.frame(at + 1).bytes);
                }
                self.counters.bytes += frame.bytes.len() as u64;
                self.desk.stamps.frame(&self.desk.time);
                self.desk.expect(frame.bytes.get(self.payload_at..).unwrap_or_default());
                match parse_udp(frame.bytes, frame.flags) {
                    Err(Reject::Tcp) if self.routes.takes_segments() => {
                        let route = parse_tcp(frame.bytes).map(|ends| self.routes.route_segment(&ends));
                        match route {
                            Some(Route::Reply) if self.desk.on_segment(frame) => {}
                            Some(Route::Unwanted(why)) => self.unwanted.count(why),
                            _ => self.rejects.count(Reject::Tcp),
                        }
                    }
                    Err(reject) => {
                        self.rejects.count(reject);
                        if let Some(frames) = &mut self.frames {
                            frames.offer(port as u8, reject, frame.bytes);
                        }
                    }
                    Ok(datagram) => match self.routes.route(&datagram) {
                        Route::Line(line) => {
                            self.stream.on_packet(line, datagram.payload, feed_now, &mut self.desk);
                        }
                        Route::Reply => self.desk.on_reply(datagram.payload),
                        Route::Sibling => {}
                        Route::Unwanted(why) => self.unwanted.count(why),
                    },
                }
            }
            self.counters.count_work(&before, &self.desk.counters);
            // Last, so that no order waits for it; the frames are still what they were.
            if let Some(tap) = &mut self.tap {
                tap.burst(port as u8, When { ticks: received, feed: feed_now }, &burst);
            }
            drop(burst);
            rx.refill();
        }
        // After the frames: what an order left to be done does not make the next one wait.
        if self.desk.session.has_connection() {
            let now = self.desk.time.now();
            self.desk.poll_session(self.desk.clock.ns(now));
        }
        if self.desk.is_recovering() {
            self.recover();
        }
        busy
    }

    /// Ends the order session: withdraws what is open, waits for the answers, logs out. To be called with the time, as
    /// often as [`Pipeline::poll`], until it is true; that takes no longer than the two of [`PARTING`].
    pub fn leave(&mut self, now: u64) -> bool {
        let clock = self.desk.clock;
        let ends = |wait| now.saturating_add(clock.ticks(wait));
        let leaving = *self.leaving.get_or_insert(Leaving::Answers(ends(PARTING.0)));
        // No new order leaves from here on.
        self.desk.risk.disarm();
        let now_ns = clock.ns(now);
        match leaving {
            Leaving::Answers(until) => {
                self.desk.withdraw_all();
                let waits = self.desk.session.has_connection()
                    && self.desk.session.healthy()
                    && self.desk.risk.blotter().open_orders() > 0;
                if !waits || now >= until {
                    let Desk { session, tx, .. } = &mut self.desk;
                    session.log_out(now_ns, tx);
                    self.leaving = Some(Leaving::Goodbye(ends(PARTING.1)));
                }
                false
            }
            Leaving::Goodbye(until) => {
                self.desk.poll_session(now_ns);
                self.desk.session.has_left() || now >= until
            }
        }
    }

    /// One portion of the work on what was lost: takes what the client got back, and brings books up to date.
    #[cold]
    #[inline(never)]
    fn recover(&mut self) {
        let Some(link) = &mut self.link else { return };
        let ticks = self.desk.time.now();
        self.desk.came = ticks;
        let when = When { ticks, feed: self.feed_clock.at(ticks) };
        let now = when.feed;
        if self.stream.has_backlog() {
            note(&mut self.tap, when, &Note::Tick);
            self.stream.on_tick(now, &mut self.desk);
        }
        self.desk.drain();
        let mut room = ITEMS;
        while room > 0 && self.desk.takes_items() {
            let Some(item) = link.taker.take() else { break };
            let cost = match item {
                Item::Packet { epoch, payload } if epoch == self.desk.epoch => {
                    note(&mut self.tap, when, &Note::Answer(payload));
                    self.stream.on_recovered(payload, now, &mut self.desk);
                    PACKET
                }
                Item::Abandon { epoch, end } if epoch == self.desk.epoch => {
                    note(&mut self.tap, when, &Note::Abandon(end));
                    self.stream.abandon(end, now, &mut self.desk);
                    PACKET
                }
                Item::Packet { .. } | Item::Abandon { .. } => {
                    self.desk.repair.counters.outdated += 1;
                    1
                }
                Item::SnapshotBegin { epoch, number } => {
                    note(&mut self.tap, when, &Note::SnapshotBegin(number));
                    self.desk.begin_snapshot(epoch, number);
                    1
                }
                Item::SnapshotMessage { message } => {
                    note(&mut self.tap, when, &Note::SnapshotMessage(message));
                    self.desk.load(message);
                    1
                }
                Item::SnapshotEnd { next } => {
                    note(&mut self.tap, when, &Note::SnapshotEnd(next));
                    self.desk.end_snapshot(next);
                    1
                }
                Item::SnapshotFailed => {
                    note(&mut self.tap, when, &Note::SnapshotFailed);
                    self.desk.snapshot_failed();
                    1
                }
            };
            room = room.saturating_sub(cost);
        }
        self.desk.splice();
    }

    /// Tells the client what is missing, where that is something else than before.
    fn say_need(&mut self) {
        let Some(link) = &mut self.link else { return };
        // Nothing is missing: how far the stream is does not matter to anybody.
        let mut need = Need { epoch: self.desk.epoch, session: self.desk.feed_session, ..Need::default() };
        if self.desk.is_recovering() {
            let mut holes = [Hole::default(); HOLES];
            self.stream.holes(&mut holes);
            let (snapshot, oldest) = self.desk.repair.wish();
            need = Need { expected: self.desk.next, holes, snapshot, oldest, ..need };
        }
        if need != self.need {
            self.need = need;
            link.need.publish(&need);
        }
    }

    /// Housekeeping at tick `now`: timers always, publishing when its time has come.
    pub fn tick(&mut self, now: u64) {
        self.next_tick = now.wrapping_add(self.tick_ticks);
        self.desk.came = now;
        let when = When { ticks: now, feed: self.feed_clock.at(now) };
        let before = (self.stream.expected(), self.stream.is_overdue(), self.stream.has_backlog());
        self.stream.on_tick(when.feed, &mut self.desk);
        if before != (self.stream.expected(), self.stream.is_overdue(), false) {
            note(&mut self.tap, when, &Note::Tick);
        }
        self.desk.set_silent(self.stream.is_silent(when.feed));
        // SYNC POINT: relaxed; an order that leaves within the same tick as a disarming is no worse than one before it.
        self.desk.obey(self.switches.armed.load(Ordering::Relaxed), self.switches.kill.thrown(), now);
        self.carry();
        self.desk.on_timer(now);
        self.recover();
        self.say_need();
        if now >= self.next_publish {
            self.next_publish = now.wrapping_add(self.publish_ticks);
            self.publish();
        }
    }

    /// Does some of what the control core asked for.
    fn carry(&mut self) {
        let Some(frames) = &mut self.frames else { return };
        for _ in 0..MOST_AT_ONCE {
            let sent = match frames.take() {
                None => break,
                Some(Down::NextHop(mac)) => {
                    self.desk.session.set_next_hop(mac);
                    continue;
                }
                Some(Down::Frame(port, frame)) => match self.side_tx.get_mut(usize::from(port)) {
                    Some(Some(tx)) => transmit(frame, tx),
                    _ => transmit(frame, &mut self.desk.tx),
                },
            };
            if sent {
                frames.counters.sent += 1;
            } else {
                frames.counters.unsent += 1;
            }
        }
    }

    /// Shows the control thread the counters and the watched books as they are now.
    pub fn publish(&mut self) {
        let mut drops = crate::nic::RxDrops::default();
        for rx in &self.rx {
            let queue = rx.drops();
            drops.segmented += queue.segmented;
            drops.truncated += queue.truncated;
        }
        let shared = || self.rx.iter().map(RxQueue::shared);
        self.counters.shared = shared().map(|shared| shared.taken).sum();
        self.counters.missed = shared().map(|shared| shared.missed).sum();
        self.counters.segmented = drops.segmented;
        self.counters.truncated = drops.truncated;
        self.counters.samples_dropped = self.desk.stamps.dropped();
        let tally = self.tally();
        self.board.publish(&self.desk, &tally);
    }

    /// Time since `line` brought anything, ms; 0 before it first did.
    fn silence(&self, line: Line) -> u64 {
        let seen = self.stream.last_seen(line);
        seen.map_or(0, |seen| self.desk.clock.ns(self.feed_clock.now.saturating_sub(seen)) / 1_000_000)
    }

    /// All counters as they are now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let skew = self.stream.skew();
        Tally {
            looped: self.counters,
            rejects: self.rejects,
            unwanted: self.unwanted,
            lines: Line::ALL.map(|line| *self.stream.line_counters(line)),
            silence: Line::ALL.map(|line| self.silence(line)),
            lags: [skew.a_behind, skew.b_behind].map(|lag| LineLag::of(&lag, &self.desk.clock)),
            stream: *self.stream.counters(),
            tap: self.tap.as_ref().map_or_else(Default::default, |tap| tap.counters),
            carried: self.frames.as_ref().map_or_else(Default::default, |frames| frames.counters),
            ..self.desk.tally()
        }
    }

    /// The books as they are now.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.desk.books
    }

    /// May the book of `locate` be used now? As the strategy and risk see it: while the stream waits for messages that were
    /// asked for again, a live book is `Recovering`.
    #[must_use]
    pub fn book_state(&self, locate: u16) -> BookState {
        self.desk.book_state(locate)
    }

    /// The feed, as far as it was put in order.
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Open orders and positions.
    #[must_use]
    pub const fn blotter(&self) -> &Blotter {
        self.desk.risk.blotter()
    }

    /// Every message that was decoded so far, by sequence.
    #[cfg(test)]
    pub(crate) fn journal(&self) -> &[(u64, crate::market::Event)] {
        &self.desk.journal
    }

    /// What is left when the loop has ended.
    #[must_use]
    pub fn finish(self) -> Finished {
        let tally = self.tally();
        let Desk { books, risk, .. } = self.desk;
        let locates = u16::try_from(books.limits().locates - 1).unwrap_or(u16::MAX);
        let positions = (0..=locates)
            .filter_map(|locate| {
                let position = risk.blotter().holding(locate).position;
                books.symbol(locate).filter(|_| position != 0).map(|symbol| (symbol, position))
            })
            .collect();
        Finished { books, tally, positions }
    }
}

/// Tells a capture, where there is one, what the loop does.
fn note(tap: &mut Option<Tap>, when: When, note: &Note<'_>) {
    if let Some(tap) = tap {
        tap.note(when, note);
    }
}

/// Copies a frame into a transmit buffer and sends it; false where there is no room.
fn transmit<T: TxQueue>(frame: &[u8], tx: &mut T) -> bool {
    let Some(mut slot) = tx.reserve() else { return false };
    let Some(place) = slot.get_mut(..frame.len()) else { return false };
    place.copy_from_slice(frame);
    // No longer than `frames::LONGEST`.
    tx.send(slot, frame.len() as u16).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_away_does_not_count_against_a_hole() {
        let mut clock = FeedClock { now: 1_000, looked: 1_000, longest: 50 };
        assert_eq!(clock.at(1_030), 1_030);
        // Away for 10,000 ticks: they count as 50.
        assert_eq!(clock.at(11_030), 1_080);
        assert_eq!(clock.at(11_040), 1_090);
        // Another processor's counter may be a little behind.
        assert_eq!(clock.at(11_020), 1_090);
        assert_eq!(clock.at(11_050), 1_100);
    }
}
