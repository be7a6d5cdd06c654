//! One ordered stream from two lines.
//!
//! An exchange sends every packet twice, on lines A and B, over different networks. [`Stream`] makes one stream out of
//! them: each sequence exactly once, in order, from whichever line brought it first; or, where neither did in time,
//! a gap with exact bounds. It knows MoldUDP64's sequences and no message inside; [`itch`] turns the messages into market
//! events.
//!
//! # What a packet may be
//! - *In order*: handed to the [`Sink`] at once, from the caller's own bytes.
//! - *Seen*: every message of it went by already. Dropped, counted as a duplicate of its line.
//! - *Partly seen*: the seen messages are skipped, the rest handed on.
//! - *Ahead*: a hole is before it. It is copied into the reorder window (`StreamConfig::window_packets` slots, all
//!   allocated at start) and waits for the hole to be filled by either line.
//!
//! # When a hole becomes a gap
//! A hole opens with the first packet, or the first heartbeat, from beyond it. Its time is up when
//! 1. it has been open for `StreamConfig::hole_wait` ticks (noticed at the next packet or tick), or
//! 2. both lines have sent something from beyond it, where `StreamConfig::lines_reorder` says that a line cannot
//!    overtake itself.
//!
//! Without recovery it is a gap then: [`Sink::gap`]. Until then, a hole on one line that the other fills is no gap. What the
//! window holds behind the gap is handed on next. A packet that comes after its messages were declared lost is counted as
//! late and dropped: books went stale on the gap, and messages put in afterwards would not be in order.
//!
//! With recovery (`StreamConfig::recovery_wait` above 0) it is *overdue* instead: [`Sink::overdue`]. The stream goes on holding
//! what comes behind it, so order is kept, and a request server is asked for what [`Stream::holes`] names. Its answers fill
//! holes through [`Stream::on_recovered`]. When nothing is overdue any more, [`Sink::caught_up`]. An overdue hole becomes a gap
//! after all when `recovery_wait` has passed since it opened, or when the client says that it cannot be had
//! ([`Stream::abandon`]).
//!
//! In either case the first hole becomes a gap, before its time, when the window has no slot left for one more packet of
//! the lines (or the packet is longer than a slot).
//!
//! Behind a hole that recovery filled, seconds of the feed may wait. They are handed on in portions, one with each packet and
//! tick, so that no call takes long; [`Stream::has_backlog`] says that there is more. Books stay behind until all of it is
//! through.
//!
//! # Sessions
//! A new session is a new sequence space. Lines do not change over at the same moment, and a stray packet must not
//! throw the books away, so a packet of another session than the current one is dropped and counted, unless
//! - nothing was heard before: the first session heard is taken;
//! - the current session has ended, and this is not the one before it: taken at once;
//! - one line sent [`CONFIRM`] packets of it with none of the current session between them, and it is not the
//!   session before the current one (of which the slower line may still send the tail): taken, beginning with those very
//!   packets, which were kept;
//! - nothing of the current session was heard for `StreamConfig::quiet` ticks: taken, whichever it is.
//!
//! Taking a session finishes the one before: its holes become gaps, and what was held behind them is handed on. Then
//! [`Sink::session`] says where the new one begins: at 1 if its first packet is no further than `StreamConfig::near_start` (the
//! messages before it are then a hole like any other), else at the first packet: a late join.
//!
//! In the same way a sequence further than `StreamConfig::max_jump` from the expected one is not believed, and counted, until one line
//! has sent [`CONFIRM`] such packets in a row, each near the one before. A jump ahead is then one gap; a jump back
//! begins the session anew.
//!
//! A line that keeps sending from behind what it has sent before, while nothing else has come for `StreamConfig::quiet` ticks, is
//! no repetition: the sequence was set back without another session, by a venue that has lost its memory, say. The session
//! begins anew with the first of at least [`CONFIRM`] such packets.
//!
//! The end of a session is believed when it is told. Where one line sends [`CONFIRM`] packets from beyond it, it was none: the
//! session begins anew with the last of them, like after a late join.
//!
//! # Recovery
//! [`recovery`] is the client that asks request and snapshot servers; it lives beside the loop. [`handover`] is what lies between:
//! the loop says what it misses, the client gives what it got, and neither waits. Pacing, retries and sockets are not the
//! stream's business, nor are snapshots: [`Stream::lost`] is only what it lost.
//!
//! All times are TSC ticks as the caller passes them; they must not go back by more than noise.

use std::ops::Range;

use crate::wire::moldudp64::Blocks;

mod counters;
pub mod handover;
mod holes;
pub mod itch;
mod lost;
pub mod recovery;
mod skew;
mod stream;
mod window;

pub use counters::{LineCounters, StreamCounters};
pub use skew::{Lag, Skew};
pub use stream::{CONFIRM, Stream};

/// One of the two copies of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Line {
    /// The first line.
    A = 0,
    /// The second line.
    B = 1,
}

impl Line {
    /// Both lines.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The other line.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Limits and times of a [`Stream`]. A value outside its range is moved to the nearest end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Packets that may wait behind holes, `0 ..= 65_536`. 0: every hole is a gap at once. Each takes `max_payload` bytes from
    /// the start: with recovery, which needs room for all that comes in `recovery_wait`, mind the product.
    pub window_packets: usize,
    /// Longest UDP payload that can wait, in bytes, `20 ..= 65_507`; a longer one closes the hole before it as a gap.
    pub max_payload: usize,
    /// How long a hole may stay open before it is overdue (with recovery) or a gap (without), in ticks.
    pub hole_wait: u64,
    /// How long a hole may stay open until it is a gap even if recovery is at work on it, in ticks; at least `hole_wait`.
    /// 0: there is no recovery.
    pub recovery_wait: u64,
    /// How long the current session must be silent on both lines until any other is taken, in ticks. Heartbeats come
    /// every second; three of them are a good measure. As long, lines must have sent nothing but what they had sent before until
    /// the sequence counts as set back.
    pub quiet: u64,
    /// Furthest that a sequence is believed to be from the expected one, in messages, `65_536 ..`.
    pub max_jump: u64,
    /// A session first heard at or below this sequence is taken to begin at 1; no more than `max_jump`.
    pub near_start: u64,
    /// Both lines are subscribed. False: only line A will ever send.
    pub both_lines: bool,
    /// A line's packets may overtake each other on their way, so that a hole is worth waiting for even when both
    /// lines have passed it. True wherever switches balance over links; false gives gaps without a wait.
    pub lines_reorder: bool,
    /// Packets whose arrival on one line is remembered to measure the other's lag, `0 ..= 65_536`, rounded up to a
    /// power of two. 0: not measured.
    pub skew_slots: usize,
    /// Ranges of lost messages that are remembered, `1 ..= 4_096`; the oldest is forgotten first.
    pub lost_ranges: usize,
}

impl StreamConfig {
    /// Usual values for a TSC of `hz` ticks a second: 256 packets of up to 8,972 bytes (2.2 MiB), 5 ms for a hole, 3 s of
    /// silence, two lines that may reorder.
    #[must_use]
    pub const fn usual(hz: u64) -> Self {
        Self {
            window_packets: 256,
            max_payload: 8_972,
            hole_wait: hz / 200,
            recovery_wait: 0,
            quiet: hz.saturating_mul(3),
            max_jump: 1_000_000,
            near_start: 4_096,
            both_lines: true,
            lines_reorder: true,
            skew_slots: 256,
            lost_ranges: 64,
        }
    }

    /// With every value inside its range.
    fn clamped(self) -> Self {
        let max_jump = self.max_jump.max(65_536);
        Self {
            window_packets: self.window_packets.min(65_536),
            max_payload: self.max_payload.clamp(20, 65_507),
            recovery_wait: if self.recovery_wait == 0 { 0 } else { self.recovery_wait.max(self.hole_wait) },
            max_jump,
            near_start: self.near_start.min(max_jump),
            skew_slots: self.skew_slots.min(65_536),
            lost_ranges: self.lost_ranges.clamp(1, 4_096),
            ..self
        }
    }
}

/// Where a [`Stream`] hands its messages. Called from within [`Stream::on_packet`], [`Stream::on_tick`],
/// [`Stream::on_recovered`] and [`Stream::abandon`].
///
/// Between two calls of `session`, the ranges of `messages` and `gap` follow one another without overlap or space between:
/// each begins where the one before ended, the first one at `first_sequence`. `overdue` and `caught_up` take turns, and a
/// session neither begins nor ends while one is overdue: `caught_up` comes before either, with its gap before that.
pub trait Sink {
    /// A new session begins here: books are cleared. They may go Live only if `first_sequence` is 1; anything else is a
    /// late join, and what was before is unknown. Ends the session before, whether it said so or not.
    fn session(&mut self, session: [u8; 10], first_sequence: u64);
    /// The next messages, at least one: sequence `first_sequence` and on.
    fn messages(&mut self, first_sequence: u64, blocks: Blocks<'_>);
    /// These sequences are lost for good; books that they may have concerned go Stale.
    fn gap(&mut self, missing: Range<u64>);
    /// The session has ended, and everything before its end was handed on or declared a gap.
    fn end_of_session(&mut self);
    /// The stream waits for a hole that the lines did not fill in time: until [`Self::caught_up`], every book is behind.
    fn overdue(&mut self) {}
    /// Nothing overdue is left, be it filled or a gap by now: books are as of the newest message again.
    fn caught_up(&mut self) {}
}

/// What became of a packet itself. It may, besides, have set free or given up others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New messages of it went to the sink.
    Delivered,
    /// It waits behind a hole.
    Held,
    /// Everything in it was seen (or is held) already.
    Duplicate,
    /// It came too late: some of its messages had been declared lost, none is still wanted.
    Late,
    /// A heartbeat or an end of session.
    Control,
    /// Of another session than the current one.
    WrongSession,
    /// From beyond the end of its session.
    AfterEnd,
    /// Its sequence is too far from the expected one to be believed yet.
    Implausible,
    /// Recovered, and would have to wait, but the slots that are left are for the lines.
    NoRoom,
    /// Not a MoldUDP64 packet, or sequence 0; or recovered, and without messages.
    Malformed,
}
