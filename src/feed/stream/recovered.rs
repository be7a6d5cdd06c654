//! Recovery's side of the stream: what to ask for, what comes back, and what is given up.

use super::super::handover::{HOLES, Hole};
use super::super::window::{Held, Hold};
use super::super::{Sink, Verdict};
use super::{State, Stream, hand_on};
use crate::wire::moldudp64::{Kind, Packet};

impl Stream {
    /// Takes one packet that a request server sent.
    ///
    /// It can fill known holes and nothing else: what lies beyond the furthest sequence that the lines have shown is cut
    /// off, it begins no session, makes no jump believed, sets no packet of the lines aside, and says nothing about
    /// the lines.
    pub fn on_recovered<S: Sink>(&mut self, payload: &[u8], now_tsc: u64, sink: &mut S) -> Verdict {
        let verdict = match Packet::new_checked(payload) {
            Ok(packet) if packet.sequence() == 0 || packet.kind() != Kind::Data => Verdict::Malformed,
            Ok(packet) if self.state != State::Open || packet.session() != self.session => {
                Verdict::WrongSession
            }
            Ok(packet) => self.fill(&packet, payload, now_tsc, sink),
            Err(_) => Verdict::Malformed,
        };
        match verdict {
            Verdict::Delivered | Verdict::Held => self.counters.recovered += 1,
            Verdict::NoRoom => self.counters.recovered_no_room += 1,
            _ => self.counters.recovered_refused += 1,
        }
        verdict
    }

    fn fill<S: Sink>(&mut self, packet: &Packet<'_>, payload: &[u8], now: u64, sink: &mut S) -> Verdict {
        let first = packet.sequence();
        let whole = first + u64::from(packet.count());
        let end = whole.min(self.holes.reach());
        if !self.holes.touch(first, end) {
            return if whole > self.holes.reach().max(self.expected) {
                Verdict::Implausible
            } else if self.lost.touches(first, whole) {
                Verdict::Late
            } else {
                Verdict::Duplicate
            };
        }
        let verdict = if first <= self.expected {
            let blocks = packet.blocks().take_blocks(u16::try_from(end - first).unwrap_or(u16::MAX));
            hand_on(&mut self.expected, &mut self.counters, first..end, blocks, sink);
            Verdict::Delivered
        } else if self.window.spare() <= self.config.window_packets / 4 {
            // The last quarter of the window is for the lines.
            Verdict::NoRoom
        } else {
            match self.window.hold(Held { first, end, line: None, payload }, now) {
                Hold::Held => {
                    self.counters.held += 1;
                    self.holes.held(self.expected, first, end);
                    Verdict::Held
                }
                Hold::Covered => Verdict::Duplicate,
                Hold::NoRoom => Verdict::NoRoom,
            }
        };
        self.go_on(now, sink);
        verdict
    }

    /// Gives up what is overdue and lies before `end`: it cannot be had by requests.
    pub fn abandon<S: Sink>(&mut self, end: u64, now_tsc: u64, sink: &mut S) {
        while self.overdue && self.expected < end && self.hole().is_some() {
            self.counters.abandoned += 1;
            self.give_up(end, sink);
            self.go_on(now_tsc, sink);
        }
    }

    /// True from [`Sink::overdue`] to [`Sink::caught_up`]: the stream waits for a hole that is overdue, or hands on, bit by
    /// bit, what was behind it.
    #[must_use]
    pub const fn is_overdue(&self) -> bool {
        self.overdue
    }

    /// Writes the holes into `into`, the one that is overdue first, then further ones, rising; the rest of `into` is
    /// emptied. Returns how many there are; 0 while nothing is overdue.
    pub fn holes(&self, into: &mut [Hole; HOLES]) -> usize {
        *into = [Hole::default(); HOLES];
        if !self.overdue {
            return 0;
        }
        let mut count = 0;
        for (place, hole) in into.iter_mut().zip(self.holes.iter()) {
            *place = hole;
            count += 1;
        }
        count
    }
}
