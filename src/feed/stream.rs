//! The arbitration: what [`crate::feed`] promises, done. Sessions and doubtful jumps are in [`session`].

use std::ops::Range;

use super::counters::{LineCounters, StreamCounters};
use super::holes::Holes;
use super::lost::Lost;
use super::skew::{Skew, SkewMeter};
use super::window::{Held, Hold, Window};
use super::{Line, Sink, StreamConfig, Verdict};
use crate::wire::moldudp64::{Blocks, Kind, Packet};

mod recovered;
mod session;

/// Packets in a row, on one line, that make a new session or a far jump of the sequence believed.
pub const CONFIRM: u8 = 4;

/// Packets kept of a session that may become the next one: those of both lines until one is complete, and some more for
/// lines on which packets of the old session are still mixed in.
const KEPT: usize = 16;

/// Packets handed on from the window at one go where recovery makes long waits possible: seconds of the feed may have
/// piled up behind a hole, and the caller must get to its other queues in between. Each packet that comes sets free more
/// than its own one, so a backlog shrinks even at full rate.
const PORTION: u32 = 16;

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was heard yet.
    Waiting,
    /// Messages may come.
    Open,
    /// The end of the session was announced, and everything before it dealt with.
    Ended,
}

/// What is known of one line.
#[derive(Clone, Copy, Debug, Default)]
struct LineState {
    counters: LineCounters,
    /// TSC of its last packet of any kind.
    last_seen: Option<u64>,
    /// Sequence after the furthest that it has sent in this session; 0 if nothing.
    next: u64,
    /// Packets of the newcomer session since the last one of the current session.
    newcomer_run: u8,
    /// Far packets since the last near one, and the sequence of the last of them.
    far_run: u8,
    far_at: u64,
    /// Packets from beyond the announced end of the session.
    beyond: u8,
    set_back: SetBack,
}

/// Packets of a line from behind what it had sent before, with none between them that was more than that.
#[derive(Clone, Copy, Debug, Default)]
struct SetBack {
    run: u8,
    /// The lowest sequence of them.
    first: u64,
    /// [`Stream::fresh`] as of then.
    fresh: u64,
}

/// One ordered stream from two lines; see [`crate::feed`]. Allocates in [`Stream::new`] only.
#[derive(Debug)]
pub struct Stream {
    config: StreamConfig,
    state: State,
    session: [u8; 10],
    /// The next sequence to hand on.
    expected: u64,
    /// Sequence after the last of the session, once it is announced.
    limit: Option<u64>,
    /// A hole is overdue, and the sink knows.
    overdue: bool,
    window: Window,
    /// What is missing before and between the packets of the window.
    holes: Holes,
    lines: [LineState; 2],
    skew: SkewMeter,
    lost: Lost,
    counters: StreamCounters,
    /// When the current session was last heard.
    heard: u64,
    /// When a line last sent what it had not sent before.
    fresh: u64,
    /// The session before this one.
    previous: Option<[u8; 10]>,
    /// A session that may become the next one: another, or the same, set back.
    newcomer: [u8; 10],
    /// Its first packets, kept until it is believed.
    newcomer_window: Window,
    /// Where it is the same: [`Stream::fresh`] when they were kept.
    kept_as_of: u64,
}

impl Stream {
    /// A stream that waits for its first packet. Reserves and touches all memory that it will ever use:
    /// `(window_packets + 16) * max_payload` bytes and little more.
    #[must_use]
    pub fn new(config: StreamConfig) -> Self {
        let config = config.clamped();
        Self {
            state: State::Waiting,
            session: [0; 10],
            expected: 0,
            limit: None,
            overdue: false,
            window: Window::new(config.window_packets, config.max_payload),
            holes: Holes::new(config.window_packets + 1),
            lines: [LineState::default(); 2],
            skew: SkewMeter::new(config.skew_slots),
            lost: Lost::new(config.lost_ranges),
            counters: StreamCounters::default(),
            heard: 0,
            fresh: 0,
            previous: None,
            newcomer: [0; 10],
            newcomer_window: Window::new(KEPT, config.max_payload),
            kept_as_of: 0,
            config,
        }
    }

    /// Takes one UDP payload that arrived on `line`.
    #[inline]
    pub fn on_packet<S: Sink>(&mut self, line: Line, payload: &[u8], now_tsc: u64, sink: &mut S) -> Verdict {
        let of_line = line_of(&mut self.lines, line);
        of_line.counters.packets += 1;
        of_line.last_seen = Some(now_tsc);
        let packet = match Packet::new_checked(payload) {
            Ok(packet) if packet.sequence() > 0 => packet,
            Ok(_) => {
                of_line.counters.sequence_zero += 1;
                return Verdict::Malformed;
            }
            Err(error) => {
                of_line.counters.malformed.count(error);
                return Verdict::Malformed;
            }
        };
        of_line.counters.messages += u64::from(packet.count());
        let verdict = if self.state == State::Open && packet.session() == self.session {
            self.take(Some(line), &packet, payload, now_tsc, sink)
        } else {
            self.off_session(line, &packet, payload, now_tsc, sink)
        };
        let counters = &mut line_of(&mut self.lines, line).counters;
        match verdict {
            Verdict::Delivered | Verdict::Held => counters.first += 1,
            Verdict::Duplicate => counters.duplicates += 1,
            Verdict::Late => counters.late += 1,
            Verdict::WrongSession => counters.wrong_session += 1,
            Verdict::AfterEnd => counters.after_end += 1,
            Verdict::Implausible => counters.implausible += 1,
            Verdict::Control | Verdict::NoRoom | Verdict::Malformed => {}
        }
        verdict
    }

    /// Declares what has waited too long, and hands on what is left of a backlog. To be called now and then while no
    /// packets come; costs nothing while there is no hole.
    #[inline]
    pub fn on_tick<S: Sink>(&mut self, now_tsc: u64, sink: &mut S) {
        if !self.window.is_empty() {
            self.go_on(now_tsc, sink);
        }
    }

    /// A packet of the current session, which is open.
    #[inline]
    fn take<S: Sink>(
        &mut self,
        line: Option<Line>,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        let first = packet.sequence();
        let end = first + u64::from(packet.count());
        if first.abs_diff(self.expected) > self.config.max_jump {
            return self.far(line, packet, payload, now, sink);
        }
        if self.limit.is_some_and(|limit| end > limit) {
            return self.beyond_end(line, packet, payload, now, sink);
        }
        if let Some(line) = line {
            if first >= line_of(&mut self.lines, line).next || end > self.expected {
                self.fresh = now;
            } else if self.is_set_back(line, packet, payload, now) {
                return self.rewind(line, packet, payload, now, sink);
            }
        }
        let verdict = match packet.kind() {
            Kind::Data => self.data(line, packet, payload, now, sink),
            Kind::Heartbeat => self.heartbeat(line, end, now, sink),
            Kind::EndOfSession => self.end_announced(line, end, now, sink),
        };
        if !self.window.is_empty() {
            self.go_on(now, sink);
        }
        verdict
    }

    #[inline]
    fn data<S: Sink>(
        &mut self,
        line: Option<Line>,
        packet: &Packet<'_>,
        payload: &[u8],
        now: u64,
        sink: &mut S,
    ) -> Verdict {
        let first = packet.sequence();
        let end = first + u64::from(packet.count());
        let verdict = if first > self.expected {
            self.ahead(Held { first, end, line, payload }, packet.blocks(), now, sink)
        } else if end > self.expected {
            hand_on(&mut self.expected, &mut self.counters, first..end, packet.blocks(), sink);
            Verdict::Delivered
        } else if self.lost.touches(first, end) {
            Verdict::Late
        } else {
            Verdict::Duplicate
        };
        if let Some(line) = line {
            let of_line = line_of(&mut self.lines, line);
            of_line.counters.behind += u64::from(first < of_line.next);
            of_line.reached(first, end);
            self.heard = now;
            let fresh = matches!(verdict, Verdict::Delivered | Verdict::Held);
            self.skew.note(line, first, now, fresh);
        }
        verdict
    }

    /// `next` is the sequence that will come next: everything before it was sent.
    fn heartbeat<S: Sink>(&mut self, line: Option<Line>, next: u64, now: u64, sink: &mut S) -> Verdict {
        if let Some(line) = line {
            let of_line = line_of(&mut self.lines, line);
            of_line.counters.heartbeats += 1;
            of_line.reached(next, next);
            self.heard = now;
        }
        if next > self.expected {
            self.ahead(Held { first: next, end: next, line, payload: &[] }, Blocks::EMPTY, now, sink);
        }
        Verdict::Control
    }

    /// `end` is the sequence after the last one of the session.
    fn end_announced<S: Sink>(&mut self, line: Option<Line>, end: u64, now: u64, sink: &mut S) -> Verdict {
        let [a, b] = self.lines.each_ref().map(|line| line.next);
        if end < self.expected.max(a).max(b) {
            // Contradicts what was sent before, be it another end.
            return Verdict::Implausible;
        }
        self.limit = Some(end);
        let verdict = self.heartbeat(line, end, now, sink);
        if let Some(line) = line {
            let counters = &mut line_of(&mut self.lines, line).counters;
            counters.heartbeats -= 1;
            counters.ends_of_session += 1;
        }
        self.finish_if_complete(sink);
        verdict
    }

    /// Holds a packet, or the mark of a heartbeat, that lies behind a hole. Where there is no room, the hole is given up,
    /// and the next ones too, until there is.
    #[cold]
    #[inline(never)]
    fn ahead<S: Sink>(&mut self, packet: Held<'_>, blocks: Blocks<'_>, now: u64, sink: &mut S) -> Verdict {
        let Held { first, end, .. } = packet;
        if first == end && end <= self.holes.reach() {
            // The mark of what is known already.
            return Verdict::Duplicate;
        }
        self.counters.holes += u64::from(self.window.is_empty());
        loop {
            match self.window.hold(packet, now) {
                Hold::Covered => return Verdict::Duplicate,
                Hold::Held => {
                    self.counters.held += u64::from(first < end);
                    self.holes.held(self.expected, first, end);
                    return Verdict::Held;
                }
                Hold::NoRoom => {}
            }
            if !self.has_backlog() {
                self.counters.window_overflows += 1;
                self.give_up(first, sink);
            }
            self.settle(&mut self.portion(), sink);
            if first <= self.expected {
                if end > self.expected {
                    hand_on(&mut self.expected, &mut self.counters, first..end, blocks, sink);
                }
                return Verdict::Delivered;
            }
        }
    }

    /// Hands on what can be, and deals with the hole after it if it is time. The window is not empty.
    #[cold]
    #[inline(never)]
    fn go_on<S: Sink>(&mut self, now: u64, sink: &mut S) {
        let mut budget = self.portion();
        while self.settle(&mut budget, sink)
            && let Some(oldest) = self.window.oldest()
        {
            // A hole has been open since the oldest of the packets behind it came.
            let open_for = now.saturating_sub(oldest);
            if open_for < self.config.hole_wait && !self.passed_by_all() {
                self.set_overdue(false, sink);
                return;
            }
            if open_for < self.config.recovery_wait {
                self.set_overdue(true, sink);
                return;
            }
            self.counters.recovery_timeouts += u64::from(self.config.recovery_wait > 0);
            self.give_up(u64::MAX, sink);
        }
    }

    /// True if no line can still bring the expected message.
    fn passed_by_all(&self) -> bool {
        let [a, b] = self.lines.each_ref().map(|line| line.next > self.expected);
        !self.config.lines_reorder && a && (b || !self.config.both_lines)
    }

    /// Declares the open hole a gap, up to the first held packet or to `limit`. What comes next is for [`Self::settle`].
    fn give_up<S: Sink>(&mut self, limit: u64, sink: &mut S) {
        let to = self.window.front_first().map_or(limit, |first| first.min(limit));
        if to > self.expected {
            let missing = self.expected..to;
            self.counters.gaps += 1;
            self.counters.lost_messages = self.counters.lost_messages.saturating_add(to - self.expected);
            self.counters.lost_forgotten += u64::from(self.lost.add(missing.clone()));
            self.expected = to;
            sink.gap(missing);
        }
    }

    /// Packets that may be handed on from the window at one go.
    const fn portion(&self) -> u32 {
        if self.config.recovery_wait == 0 { u32::MAX } else { PORTION }
    }

    /// Hands on the held packets that are next, up to the next hole, but no more of them than `budget`; false where that
    /// is used up before the hole is reached.
    fn settle<S: Sink>(&mut self, budget: &mut u32, sink: &mut S) -> bool {
        while let Some(front) = self.window.front() {
            let Held { first, end, payload, .. } = front;
            if first > self.expected {
                break;
            }
            let Some(left) = budget.checked_sub(1) else {
                self.holes.trim(self.expected);
                return false;
            };
            *budget = left;
            if end > self.expected {
                // It was checked before it was held. Of a recovered one not all may be wanted.
                let blocks = Packet::new_checked(payload).map_or(Blocks::EMPTY, |packet| packet.blocks());
                let blocks = blocks.take_blocks(u16::try_from(end - first).unwrap_or(u16::MAX));
                hand_on(&mut self.expected, &mut self.counters, first..end, blocks, sink);
                self.counters.released += 1;
            } else {
                self.counters.held_in_vain += u64::from(first < end);
            }
            self.window.pop_front();
        }
        self.holes.trim(self.expected);
        if self.window.is_empty() {
            self.set_overdue(false, sink);
        }
        self.finish_if_complete(sink);
        true
    }

    /// Tells the sink where it is news to it.
    fn set_overdue<S: Sink>(&mut self, overdue: bool, sink: &mut S) {
        if self.overdue == overdue {
            return;
        }
        self.overdue = overdue;
        if overdue {
            self.counters.overdue += 1;
            sink.overdue();
        } else {
            sink.caught_up();
        }
    }

    fn finish_if_complete<S: Sink>(&mut self, sink: &mut S) {
        if self.state == State::Open && self.limit.is_some_and(|limit| self.expected >= limit) {
            self.state = State::Ended;
            self.counters.ended += 1;
            self.set_overdue(false, sink);
            self.window.clear();
            self.holes.clear();
            sink.end_of_session();
        }
    }

    /// True where a session is open and nothing of it, not even a heartbeat, has come for [`StreamConfig::quiet`].
    #[inline]
    #[must_use]
    pub fn is_silent(&self, now_tsc: u64) -> bool {
        self.state == State::Open && now_tsc.saturating_sub(self.heard) >= self.config.quiet
    }

    /// The current session; `None` before the first.
    #[must_use]
    pub fn session(&self) -> Option<[u8; 10]> {
        (self.state != State::Waiting).then_some(self.session)
    }

    /// True once the current session has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The next sequence to be handed on; 0 before the first session.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        self.expected
    }

    /// The hole that the stream waits for.
    #[must_use]
    pub fn hole(&self) -> Option<Range<u64>> {
        self.window.front_first().filter(|first| *first > self.expected).map(|first| self.expected..first)
    }

    /// True while packets that could be handed on wait in the window because there were too many for one go: the next
    /// packet or tick brings some more.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.window.front_first().is_some_and(|first| first <= self.expected)
    }

    /// What this session has lost (and, after a late join, never had), oldest first, as far as remembered.
    pub fn lost(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        self.lost.iter()
    }

    /// When `line` was last heard, if ever: any packet counts, even a malformed one. Heartbeats come every second, so
    /// a line that is silent for some of them is dead.
    #[must_use]
    pub fn last_seen(&self, line: Line) -> Option<u64> {
        self.line(line).last_seen
    }

    /// The counters of the stream.
    #[must_use]
    pub const fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    /// The counters of one line.
    #[must_use]
    pub const fn line_counters(&self, line: Line) -> &LineCounters {
        &self.line(line).counters
    }

    /// How far the lines lie apart.
    #[must_use]
    pub const fn skew(&self) -> &Skew {
        self.skew.skew()
    }

    const fn line(&self, line: Line) -> &LineState {
        let [a, b] = &self.lines;
        match line {
            Line::A => a,
            Line::B => b,
        }
    }
}

impl LineState {
    /// It sent `first..end` of the current session, credibly.
    #[inline]
    const fn reached(&mut self, first: u64, end: u64) {
        if first > self.next && self.next > 0 {
            self.counters.skipped = self.counters.skipped.saturating_add(first - self.next);
        }
        if end > self.next {
            self.next = end;
        }
        self.newcomer_run = 0;
        self.far_run = 0;
    }
}

/// Hands on what of a packet is new: it begins at or before `expected`, and ends after.
///
/// Like [`line_of`] a function and not a method, so that a held packet can stay borrowed from the window.
#[inline]
fn hand_on<S: Sink>(
    expected: &mut u64,
    counters: &mut StreamCounters,
    range: Range<u64>,
    blocks: Blocks<'_>,
    sink: &mut S,
) {
    let seen = *expected - range.start;
    counters.trimmed += u64::from(seen > 0);
    // Fewer than the packet's blocks, which 16 bits count.
    sink.messages(*expected, blocks.skip_blocks(u16::try_from(seen).unwrap_or(u16::MAX)));
    counters.messages += range.end - *expected;
    *expected = range.end;
}

/// A function and not a method, so that only the lines are borrowed.
#[inline]
const fn line_of(lines: &mut [LineState; 2], line: Line) -> &mut LineState {
    let [a, b] = lines;
    match line {
        Line::A => a,
        Line::B => b,
    }
}
