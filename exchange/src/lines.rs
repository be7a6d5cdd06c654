//! Two lines from one stream of packets: what a network does to the copies A and B on their way.
//!
//! Each line loses, delays, repeats, reorders and spoils packets as its [`LineConfig`] says, from streams of random
//! numbers of its own. Copies come out in order of time over both lines. By default accidents are *disjoint*: what one
//! line loses or spoils, the other one brings whole, so that a receiver of both misses nothing;
//! [`Config::both_ppm`] takes packets from both. A line that is dead ([`Lines::kill`]) says nothing, whatever the other
//! one does.

mod spoil;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use spoil::{Spoil, Spoiler};

use crate::rng::Rng;
use crate::units::Row;

/// Which copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// The first line.
    A,
    /// The second line.
    B,
}

/// What happens to packets on one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineConfig {
    /// Loss events, per million packets.
    pub loss_ppm: u32,
    /// The most packets that one event takes, drawn evenly from 1 to this; 0 is as 1.
    pub loss_burst: u32,
    /// Packets that come twice, per million.
    pub duplicate_ppm: u32,
    /// Packets that are overtaken by later ones, per million.
    pub reorder_ppm: u32,
    /// The most packets that overtake one, drawn evenly from 1 to this; 0 is as 1.
    pub reorder_depth: u32,
    /// Ns from sender to receiver.
    pub delay_ns: u64,
    /// Ns that are added at random, 0 to this. Does not reorder.
    pub jitter_ns: u32,
    /// Payloads cut off at a random place, per million packets.
    pub truncate_ppm: u32,
    /// Payloads with one bit flipped, per million packets: what passes where the UDP checksum is 0. A flip in a
    /// message's body is one that no receiver can see.
    pub bit_flip_ppm: u32,
    /// Packets of a foreign session that come in before one, per million packets.
    pub stray_ppm: u32,
    /// The line is dead at regular times: from the beginning of one time to that of the next, ns; 0 for never.
    pub dead_every_ns: u64,
    /// How long it is dead each time, ns.
    pub dead_length_ns: u64,
}

/// What happens to both lines.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Names the accidents.
    pub seed: u64,
    /// Line A.
    pub a: LineConfig,
    /// Line B, if there is one.
    pub b: Option<LineConfig>,
    /// A packet that line A loses or spoils is neither lost nor spoilt by line B.
    pub disjoint: bool,
    /// Packets taken from both lines whatever the rest says, per million.
    pub both_ppm: u32,
}

impl Default for Config {
    /// Two perfect lines, B 3 µs behind A.
    fn default() -> Self {
        Self {
            seed: 1,
            a: LineConfig::default(),
            b: Some(LineConfig { delay_ns: 3_000, ..LineConfig::default() }),
            disjoint: true,
            both_ppm: 0,
        }
    }
}

/// What happened on one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineCounters {
    /// Copies that came out, repeated ones counted each time.
    pub delivered: u64,
    /// Packets lost.
    pub lost: u64,
    /// Packets delivered twice.
    pub duplicated: u64,
    /// Packets overtaken by others.
    pub reordered: u64,
    /// Packets cut off.
    pub truncated: u64,
    /// Packets with a bit flipped.
    pub bit_flipped: u64,
    /// Packets of foreign sessions; they are in `delivered` too.
    pub strays: u64,
    /// Packets not sent because the line was dead.
    pub dead: u64,
    /// Packets dropped because too many were on their way.
    pub overflowed: u64,
}

impl LineCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 9] {
        [
            ("delivered", self.delivered),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("truncated", self.truncated),
            ("bit_flipped", self.bit_flipped),
            ("strays", self.strays),
            ("dead", self.dead),
            ("overflowed", self.overflowed),
        ]
    }
}

/// The most packets on their way or held back, both lines together.
pub const IN_FLIGHT: usize = 1 << 16;

/// A packet on its way down a line.
type Flight = (Line, Arc<[u8]>);

/// One line's state.
#[derive(Clone, Debug)]
struct State {
    line: Line,
    config: LineConfig,
    rng: Rng,
    spoiler: Spoiler,
    /// Dead before this time.
    dead_until: u64,
    /// Packets that the loss event in progress still takes.
    losing: u32,
    /// The last copy arrived then; a line alone does not reorder.
    arrived: u64,
    /// Overtaken packets, each with the number of the packet that it follows.
    held: Vec<(u64, Arc<[u8]>)>,
    counters: LineCounters,
}

/// Both lines.
#[derive(Clone, Debug)]
pub struct Lines {
    lines: Vec<State>,
    rng: Rng,
    disjoint: bool,
    both_ppm: u32,
    pushed: u64,
    lost_on_all: u64,
    /// On its way: by time of arrival, then by the order of sending.
    flying: BTreeMap<(u64, u64), Flight>,
    serial: u64,
}

impl Lines {
    /// Lines on which nothing was sent yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let lines = [(Line::A, Some(config.a)), (Line::B, config.b)]
            .into_iter()
            .filter_map(|(line, config)| config.map(|config| (line, config)))
            .zip(10u64..)
            .map(|((line, line_config), stream)| State {
                line,
                config: line_config,
                rng: Rng::stream(config.seed, stream),
                spoiler: Spoiler::new(config.seed, stream),
                dead_until: 0,
                losing: 0,
                arrived: 0,
                held: Vec::new(),
                counters: LineCounters::default(),
            })
            .collect();
        Self {
            lines,
            rng: Rng::stream(config.seed, 9),
            disjoint: config.disjoint,
            both_ppm: config.both_ppm,
            pushed: 0,
            lost_on_all: 0,
            flying: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Sends a packet at `time` (ns, never less than before) and hands out every copy that has arrived by then.
    pub fn push(&mut self, time: u64, packet: &[u8], out: &mut impl FnMut(Line, u64, &[u8])) {
        self.send(time, packet, false, out);
    }

    /// As [`Lines::push`], but no line brings the packet.
    pub fn push_lost(&mut self, time: u64, packet: &[u8], out: &mut impl FnMut(Line, u64, &[u8])) {
        self.send(time, packet, true, out);
    }

    fn send(&mut self, time: u64, packet: &[u8], doomed: bool, out: &mut impl FnMut(Line, u64, &[u8])) {
        self.arrive(time, out);
        let packet: Arc<[u8]> = packet.into();
        self.pushed += 1;
        let from_all = self.rng.chance(self.both_ppm, 1_000_000) || doomed;
        let mut harmed_before = false;
        let mut lost_on_all = true;
        for line in &mut self.lines {
            // Drawn always, so that the accidents of a line do not depend on those of the other.
            let loses = line.loses();
            let overtaken = line.rng.chance(line.config.reorder_ppm, 1_000_000);
            let depth = 1 + u64::from(line.rng.below(line.config.reorder_depth.max(1)));
            let twice = line.rng.chance(line.config.duplicate_ppm, 1_000_000);
            let arrives = line.arrival(time);
            let spoil = line.spoiler.draw(&line.config, packet.len());
            let stray = line.spoiler.stray(&line.config, &packet);

            let spared = self.disjoint && harmed_before;
            let dead = line.is_dead(time);
            let lost = from_all || (loses && !spared);
            let spoil = spoil.filter(|_| !spared);
            harmed_before |= lost || spoil.is_some();
            lost_on_all &= lost || dead;
            let room = self.flying.len() + line.held.len() < IN_FLIGHT;

            let mut fly = |line: Line, packet: Arc<[u8]>| {
                self.flying.insert((arrives, self.serial), (line, packet));
                self.serial += 1;
            };
            if let Some(stray) = stray.filter(|_| !dead && room) {
                line.counters.strays += 1;
                fly(line.line, stray);
            }
            if dead {
                line.counters.dead += 1;
            } else if lost {
                line.counters.lost += 1;
            } else if !room {
                line.counters.overflowed += 1;
            } else {
                let packet = match spoil {
                    None => Arc::clone(&packet),
                    Some(spoil) => {
                        match spoil {
                            Spoil::Cut(_) => line.counters.truncated += 1,
                            Spoil::Flip(_) => line.counters.bit_flipped += 1,
                        }
                        spoil.of(&packet)
                    }
                };
                if overtaken {
                    line.counters.reordered += 1;
                    line.held.push((self.pushed + depth, packet));
                } else {
                    line.counters.duplicated += u64::from(twice);
                    if twice {
                        fly(line.line, Arc::clone(&packet));
                    }
                    fly(line.line, packet);
                }
            }
            let pushed = self.pushed;
            line.held.retain(|(after, packet)| {
                let stays = *after > pushed;
                if !stays {
                    fly(line.line, Arc::clone(packet));
                }
                stays
            });
        }
        self.lost_on_all += u64::from(lost_on_all);
        // Without delay it is there already.
        self.arrive(time, out);
    }

    /// Sends a packet that no line loses unless it is dead, behind everything that was overtaken: the end of a
    /// session.
    pub fn push_safely(&mut self, time: u64, packet: &[u8], out: &mut impl FnMut(Line, u64, &[u8])) {
        self.release(time);
        let packet: Arc<[u8]> = packet.into();
        for line in &mut self.lines {
            let arrives = line.arrival(time);
            if line.is_dead(time) {
                line.counters.dead += 1;
                continue;
            }
            self.flying.insert((arrives, self.serial), (line.line, Arc::clone(&packet)));
            self.serial += 1;
        }
        self.arrive(time, out);
    }

    /// A line says nothing before `until`, ns. What is on its way already arrives.
    pub fn kill(&mut self, line: Line, until: u64) {
        for state in self.lines.iter_mut().filter(|state| state.line == line) {
            state.dead_until = state.dead_until.max(until);
        }
    }

    /// When the next copy arrives; `None` when none is on its way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<u64> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    /// Hands out every copy that is still on its way.
    pub fn finish(&mut self, out: &mut impl FnMut(Line, u64, &[u8])) {
        self.release(0);
        self.arrive(u64::MAX, out);
    }

    /// Hands out the copies that have arrived by `time`.
    pub fn arrive(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        while let Some(entry) = self.flying.first_entry()
            && entry.key().0 <= time
        {
            let ((at, _), (line, packet)) = entry.remove_entry();
            if let Some(state) = self.lines.iter_mut().find(|state| state.line == line) {
                state.counters.delivered += 1;
            }
            out(line, at, &packet);
        }
    }

    /// Lets overtaken packets go on.
    fn release(&mut self, time: u64) {
        for line in &mut self.lines {
            for (_, packet) in std::mem::take(&mut line.held) {
                let arrives = line.arrival(time);
                self.flying.insert((arrives, self.serial), (line.line, packet));
                self.serial += 1;
            }
        }
    }

    /// What happened on a line; `None` if there is no such line.
    #[must_use]
    pub fn counters(&self, line: Line) -> Option<&LineCounters> {
        self.lines.iter().find(|state| state.line == line).map(|state| &state.counters)
    }

    /// Packets sent, not counting those sent safely.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Packets that no line brought, not counting those dropped because too many were on their way.
    #[must_use]
    pub fn lost_on_all(&self) -> u64 {
        self.lost_on_all
    }
}

impl State {
    fn is_dead(&self, time: u64) -> bool {
        let LineConfig { dead_every_ns: every, dead_length_ns: length, .. } = self.config;
        let regularly = time.checked_rem(every).is_some_and(|into| time >= every && into < length);
        regularly || time < self.dead_until
    }

    fn loses(&mut self) -> bool {
        let event = self.rng.chance(self.config.loss_ppm, 1_000_000);
        let length = 1 + self.rng.below(self.config.loss_burst.max(1));
        if self.losing > 0 {
            self.losing -= 1;
            return true;
        }
        if event {
            self.losing = length - 1;
        }
        event
    }

    fn arrival(&mut self, sent: u64) -> u64 {
        let jitter = u64::from(self.rng.below(self.config.jitter_ns.saturating_add(1)));
        let at = sent.saturating_add(self.config.delay_ns).saturating_add(jitter);
        self.arrived = self.arrived.max(at);
        self.arrived
    }
}
