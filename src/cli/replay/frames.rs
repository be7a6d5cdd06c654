//! Frames into messages: the way of a live frame, with the capture's own time as the clock.
//!
//! A capture of our own ([`crate::capture::own`]) holds the loop's time of every frame, and what the loop's timers did in
//! between: with the loop's configuration, the stream does what it did then, at the same frames. Any other capture has only
//! stamps: the stream's timer is taken to have run just before each frame, as that of a loop that looks every few µs.

use std::net::SocketAddrV4;

use super::lines::Lines;
use crate::capture::own::{LINK_NOTES, Note};
use crate::capture::{LINK_ETHERNET, Record};
use crate::feed::{Line, Sink, Stream, StreamConfig};
use crate::pipeline::route::{Route, RouteCounters};
use crate::stats::clock::Clock;
use crate::wire::frame::{RejectCounters, parse_udp};

/// Addresses of other datagrams that are remembered, to be named where no feed was found.
const SEEN: usize = 8;

/// What was wrong with records before anybody looked at the frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CaptureCounters {
    /// Frames of another link layer than Ethernet.
    pub(super) not_ethernet: u64,
    /// Frames cut to the capture's snap length.
    pub(super) cut_short: u64,
    /// Frames without a time stamp.
    pub(super) no_stamp: u64,
    /// Frames and notes that the capture itself had no room for.
    pub(super) lost: u64,
    /// Notes on what the loop did, in captures of our own.
    pub(super) notes: u64,
    /// Notes that cannot be read.
    pub(super) bad_notes: u64,
    /// Messages of snapshots that the loop loaded, and a replay does not.
    pub(super) snapshot_messages: u64,
}

impl CaptureCounters {
    pub(super) fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("capture_not_ethernet", self.not_ethernet),
            ("capture_cut_short", self.cut_short),
            ("capture_no_stamp", self.no_stamp),
            ("capture_lost", self.lost),
            ("capture_notes", self.notes),
            ("capture_bad_notes", self.bad_notes),
            ("capture_snapshot_messages", self.snapshot_messages),
        ]
    }
}

/// How the stream is to be set up: by the clock that it goes by, and whether that is the loop's own, so that what it was
/// told while it ran is told again.
pub(super) type Setup = Box<dyn Fn(&Clock, bool) -> StreamConfig>;

/// From frames to one ordered stream.
pub(super) struct FramePath {
    lines: Lines,
    setup: Setup,
    stream: Stream,
    hole_wait: u64,
    clock: Clock,
    /// The capture is one of ours; `None` before its first record.
    own: Option<bool>,
    /// Time of the latest record, in ticks of `clock`; never goes back.
    now: u64,
    counters: CaptureCounters,
    rejects: RejectCounters,
    unwanted: RouteCounters,
    seen: Vec<SocketAddrV4>,
    heard: bool,
}

impl FramePath {
    /// `clock` ticks in ns: what captures of others go by.
    pub(super) fn new(lines: Lines, clock: Clock, setup: Setup) -> Self {
        let config = setup(&clock, false);
        Self {
            lines,
            setup,
            stream: Stream::new(config),
            hole_wait: config.hole_wait,
            clock,
            own: None,
            now: 0,
            counters: CaptureCounters::default(),
            rejects: RejectCounters::default(),
            unwanted: RouteCounters::default(),
            seen: Vec::with_capacity(SEEN),
            heard: false,
        }
    }

    /// Takes one captured frame.
    pub(super) fn frame(&mut self, record: &Record<'_>, player: &mut impl Sink) {
        let own = self.is_own(record);
        let time = if own { record.own.map(|own| own.ticks) } else { record.stamp_ns };
        match time {
            Some(time) => self.now = self.now.max(time),
            None => self.counters.no_stamp += 1,
        }
        if !own {
            self.stream.on_tick(self.now, player);
        } else if record.link_type == LINK_NOTES {
            return self.note(record.bytes, player);
        }
        if record.link_type != LINK_ETHERNET {
            self.counters.not_ethernet += 1;
            return;
        }
        if record.original_len as usize > record.bytes.len() {
            self.counters.cut_short += 1;
        }
        // Whether a NIC verified the checksums is in files of our own only: else they are summed here.
        let flags = record.own.map_or(0, |own| own.flags);
        let datagram = match parse_udp(record.bytes, flags) {
            Ok(datagram) => datagram,
            Err(reject) => return self.rejects.count(reject),
        };
        match self.lines.route(&datagram) {
            Route::Line(line) => {
                self.heard = true;
                self.stream.on_packet(line, datagram.payload, self.now, player);
            }
            // The gateway's replies are no market data.
            Route::Reply | Route::Sibling => {}
            Route::Unwanted(why) => {
                self.unwanted.count(why);
                let to = SocketAddrV4::new(datagram.dst, datagram.dst_port);
                if self.seen.len() < SEEN && !self.seen.contains(&to) {
                    self.seen.push(to);
                }
            }
        }
    }

    /// What the first record is, all are: a clock is not changed on the way.
    fn is_own(&mut self, record: &Record<'_>) -> bool {
        if let Some(own) = self.own {
            return own;
        }
        let clock = record.own.and_then(|own| Clock::from_hz(own.hz).ok());
        if let Some(clock) = clock {
            let config = (self.setup)(&clock, true);
            (self.stream, self.hole_wait, self.clock) = (Stream::new(config), config.hole_wait, clock);
        }
        *self.own.insert(clock.is_some())
    }

    /// Does what the loop did.
    fn note(&mut self, note: &[u8], player: &mut impl Sink) {
        self.counters.notes += 1;
        match Note::parse(note) {
            Some(Note::Tick) => self.stream.on_tick(self.now, player),
            Some(Note::Answer(packet)) => {
                self.stream.on_recovered(packet, self.now, player);
            }
            Some(Note::Abandon(end)) => self.stream.abandon(end, self.now, player),
            Some(Note::Lost(records)) => self.counters.lost += records,
            Some(Note::SnapshotMessage(_)) => self.counters.snapshot_messages += 1,
            Some(Note::SnapshotBegin(_) | Note::SnapshotEnd(_) | Note::SnapshotFailed) => {}
            None => self.counters.bad_notes += 1,
        }
    }

    /// No frame follows: holes that are still open are gaps. Where the loop itself stood before one at its end, so does the
    /// replay: [`Self::unfilled`].
    pub(super) fn finish(&mut self, player: &mut impl Sink) {
        if self.own == Some(true) {
            return;
        }
        let late = self.now.saturating_add(self.hole_wait).saturating_add(1);
        self.stream.on_tick(late, player);
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Messages that the loop still waited for when it ended: what came after them is in no book.
    pub(super) fn unfilled(&self) -> u64 {
        self.stream.hole().map_or(0, |hole| hole.end - hole.start)
    }

    pub(super) fn counters(&self) -> &CaptureCounters {
        &self.counters
    }

    /// What the stream's times are in.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// True if any datagram came on a line.
    pub(super) fn heard(&self) -> bool {
        self.heard
    }

    pub(super) fn addresses(&self) -> [Option<SocketAddrV4>; 2] {
        self.lines.addresses()
    }

    /// Why nothing was heard, and what to do about it.
    pub(super) fn no_feed(&self, frames: u64) -> String {
        if frames == 0 {
            return "the capture holds no frames; capture again while the feed is running".to_owned();
        }
        if self.counters.not_ethernet == frames {
            return "the frames are not Ethernet; capture on the interface itself, not on `any`".to_owned();
        }
        if self.seen.is_empty() {
            return format!(
                "none of its {frames} frames is an intact UDP datagram; capture with full length (`-s 0`) on the port \
                 that receives the feed"
            );
        }
        if self.unwanted.other_vlan > 0 {
            return "its frames for the lines are in another VLAN than the configuration says; correct `vlan` of the \
                    lines, or name them with --line-a and --line-b instead"
                .to_owned();
        }
        if self.unwanted.other_source > 0 {
            return "its frames for the lines have another sender than the configuration says; correct `source` of \
                    the lines, or name them with --line-a and --line-b instead"
                .to_owned();
        }
        let seen: Vec<String> = self.seen.iter().map(ToString::to_string).collect();
        format!(
            "none of its {frames} frames belongs to the feed; it has datagrams for {}: name the lines with --line-a \
             and --line-b",
            seen.join(", ")
        )
    }

    /// Every counter between the file and the books.
    pub(super) fn rows(&self) -> Vec<(&'static str, u64)> {
        let lines = Line::ALL.into_iter().flat_map(|line| self.stream.line_counters(line).rows(line));
        (self.counters.rows().into_iter())
            .chain(self.rejects.rows())
            .chain(self.unwanted.rows())
            .chain(lines)
            .chain(self.stream.counters().rows())
            .collect()
    }
}
