//! Frames into messages: the way of a live frame, with the capture's own time as the clock.

use std::net::SocketAddrV4;

use super::lines::Lines;
use super::player::Player;
use crate::capture::{LINK_ETHERNET, Record};
use crate::feed::{Line, Stream, StreamConfig};
use crate::pipeline::route::{Route, RouteCounters};
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
}

impl CaptureCounters {
    pub(super) fn rows(&self) -> [(&'static str, u64); 3] {
        [
            ("capture_not_ethernet", self.not_ethernet),
            ("capture_cut_short", self.cut_short),
            ("capture_no_stamp", self.no_stamp),
        ]
    }
}

/// From frames to one ordered stream.
pub(super) struct FramePath {
    lines: Lines,
    stream: Stream,
    hole_wait: u64,
    /// Capture time of the latest frame, ns; never goes back.
    now: u64,
    counters: CaptureCounters,
    rejects: RejectCounters,
    unwanted: RouteCounters,
    seen: Vec<SocketAddrV4>,
    heard: bool,
}

impl FramePath {
    pub(super) fn new(lines: Lines, config: StreamConfig) -> Self {
        Self {
            lines,
            stream: Stream::new(config),
            hole_wait: config.hole_wait,
            now: 0,
            counters: CaptureCounters::default(),
            rejects: RejectCounters::default(),
            unwanted: RouteCounters::default(),
            seen: Vec::with_capacity(SEEN),
            heard: false,
        }
    }

    /// Takes one captured frame.
    pub(super) fn frame(&mut self, record: &Record<'_>, player: &mut Player) {
        match record.stamp_ns {
            Some(stamp) => self.now = self.now.max(stamp),
            None => self.counters.no_stamp += 1,
        }
        if record.link_type != LINK_ETHERNET {
            self.counters.not_ethernet += 1;
            return;
        }
        if record.original_len as usize > record.bytes.len() {
            self.counters.cut_short += 1;
        }
        // Whether a NIC verified the checksums is not in the file: they are summed here.
        let flags = 0;
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
            Route::Reply => {}
            Route::Unwanted(why) => {
                self.unwanted.count(why);
                let to = SocketAddrV4::new(datagram.dst, datagram.dst_port);
                if self.seen.len() < SEEN && !self.seen.contains(&to) {
                    self.seen.push(to);
                }
            }
        }
    }

    /// No frame follows: holes that are still open are gaps.
    pub(super) fn finish(&mut self, player: &mut Player) {
        let late = self.now.saturating_add(self.hole_wait).saturating_add(1);
        self.stream.on_tick(late, player);
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
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
