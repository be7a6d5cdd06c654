//! Two lines from one stream of packets: what a network does to the copies A and B on their way.
//!
//! Each line loses, delays, repeats and reorders packets as its [`LineConfig`] says, from a stream of random numbers
//! of its own. Copies come out in order of time over both lines. By default losses are *disjoint*: what one line
//! loses, the other one brings, so that a receiver of both misses nothing; [`Config::both_ppm`] takes packets from both.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// A packet that line A loses is never lost by line B.
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
}

impl LineCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 4] {
        [
            ("delivered", self.delivered),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
        ]
    }
}

/// A packet on its way down a line.
type Copy = (Line, Arc<[u8]>);

/// One line's state.
#[derive(Clone, Debug)]
struct State {
    line: Line,
    config: LineConfig,
    rng: Rng,
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
    flying: BTreeMap<(u64, u64), Copy>,
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
        self.arrive(time, out);
        let packet: Arc<[u8]> = packet.into();
        self.pushed += 1;
        let from_all = self.rng.chance(self.both_ppm, 1_000_000);
        let mut lost_before = false;
        let mut lost_on_all = true;
        for line in &mut self.lines {
            // Drawn always, so that the accidents of a line do not depend on those of the other.
            let loses = line.loses();
            let lost = from_all || (loses && !(self.disjoint && lost_before));
            lost_before |= lost;
            lost_on_all &= lost;
            let overtaken = line.rng.chance(line.config.reorder_ppm, 1_000_000);
            let depth = 1 + u64::from(line.rng.below(line.config.reorder_depth.max(1)));
            let twice = line.rng.chance(line.config.duplicate_ppm, 1_000_000);
            let arrives = line.arrival(time);
            if lost {
                line.counters.lost += 1;
            } else if overtaken {
                line.counters.reordered += 1;
                line.held.push((self.pushed + depth, Arc::clone(&packet)));
            } else {
                line.counters.duplicated += u64::from(twice);
                for _ in 0..1 + u8::from(twice) {
                    self.flying.insert((arrives, self.serial), (line.line, Arc::clone(&packet)));
                    self.serial += 1;
                }
            }
            let (pushed, due) = (self.pushed, &mut self.serial);
            line.held.retain(|(after, packet)| {
                let stays = *after > pushed;
                if !stays {
                    self.flying.insert((arrives, *due), (line.line, Arc::clone(packet)));
                    *due += 1;
                }
                stays
            });
        }
        self.lost_on_all += u64::from(lost_on_all);
        // Without delay it is there already.
        self.arrive(time, out);
    }

    /// Sends a packet that no line loses, behind everything that was overtaken: the end of a session.
    pub fn push_safely(&mut self, time: u64, packet: &[u8], out: &mut impl FnMut(Line, u64, &[u8])) {
        self.release(time);
        let packet: Arc<[u8]> = packet.into();
        for line in &mut self.lines {
            let arrives = line.arrival(time);
            self.flying.insert((arrives, self.serial), (line.line, Arc::clone(&packet)));
            self.serial += 1;
        }
        self.arrive(time, out);
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

    /// Packets that no line brought.
    #[must_use]
    pub fn lost_on_all(&self) -> u64 {
        self.lost_on_all
    }
}

impl State {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    type Copies = Vec<(Line, u64, u32)>;

    fn run(config: &Config, packets: u32) -> (Lines, Copies) {
        let mut lines = Lines::new(config);
        let mut copies = Copies::new();
        let mut out = |line, at, packet: &[u8]| {
            copies.push((line, at, u32::from_be_bytes(packet.try_into().expect("4 bytes"))));
        };
        for number in 0..packets {
            lines.push(u64::from(number) * 1_000, &number.to_be_bytes(), &mut out);
        }
        lines.push_safely(u64::from(packets) * 1_000, &packets.to_be_bytes(), &mut out);
        lines.finish(&mut out);
        (lines, copies)
    }

    fn seen(copies: &Copies, line: Line) -> Vec<u32> {
        copies.iter().filter(|copy| copy.0 == line).map(|copy| copy.2).collect()
    }

    fn lossy() -> LineConfig {
        LineConfig {
            loss_ppm: 50_000,
            loss_burst: 4,
            delay_ns: 500,
            jitter_ns: 5_000,
            ..LineConfig::default()
        }
    }

    #[test]
    fn perfect_lines_bring_everything_twice_in_order() {
        let (lines, copies) = run(&Config::default(), 1_000);
        let all: Vec<u32> = (0..=1_000).collect();
        assert_eq!(seen(&copies, Line::A), all);
        assert_eq!(seen(&copies, Line::B), all);
        assert!(copies.is_sorted_by_key(|copy| copy.1));
        assert_eq!(lines.lost_on_all(), 0);
    }

    #[test]
    fn disjoint_losses_are_filled_by_the_other_line() {
        let config = Config { a: lossy(), b: Some(lossy()), ..Config::default() };
        let (lines, copies) = run(&config, 20_000);
        let (a, b) = (seen(&copies, Line::A), seen(&copies, Line::B));
        assert!(a.len() < 19_000 && b.len() < 19_000 && a != b);
        let either: BTreeSet<u32> = a.iter().chain(&b).copied().collect();
        assert_eq!(either.len(), 20_001);
        assert_eq!(lines.lost_on_all(), 0);
        assert!(a.is_sorted() && b.is_sorted() && copies.is_sorted_by_key(|copy| copy.1));
    }

    #[test]
    fn holes_on_both_lines_are_counted() {
        let both = Config { a: lossy(), b: Some(lossy()), both_ppm: 1_000, ..Config::default() };
        for config in [both, Config { disjoint: false, both_ppm: 0, ..both }] {
            let (lines, copies) = run(&config, 20_000);
            let either: BTreeSet<u32> = copies.iter().map(|copy| copy.2).collect();
            assert!(lines.lost_on_all() > 0);
            assert_eq!(either.len() as u64, 20_001 - lines.lost_on_all());
        }
    }

    #[test]
    fn reordering_keeps_every_packet_within_its_depth() {
        let a = LineConfig { reorder_ppm: 100_000, reorder_depth: 8, ..LineConfig::default() };
        let (lines, copies) = run(&Config { a, b: None, ..Config::default() }, 20_000);
        let a = seen(&copies, Line::A);
        assert!(!a.is_sorted() && a.iter().copied().collect::<BTreeSet<_>>().len() == 20_001);
        for (place, number) in a.iter().enumerate() {
            // Overtaken by at most eight, and moved forward by at most as many as are held at once.
            assert!((i64::from(*number) - place as i64).abs() <= 8, "{number} at {place}");
        }
        assert!(lines.counters(Line::A).is_some_and(|counters| counters.reordered > 1_000));
        assert!(lines.counters(Line::B).is_none());
    }

    #[test]
    fn duplicates_come_one_after_the_other() {
        let a = LineConfig { duplicate_ppm: 200_000, ..LineConfig::default() };
        let (lines, copies) = run(&Config { a, b: None, ..Config::default() }, 5_000);
        let counters = *lines.counters(Line::A).expect("line A");
        assert_eq!(copies.len() as u64, 5_001 + counters.duplicated);
        assert_eq!(counters.delivered, copies.len() as u64);
        assert!((800..1_200).contains(&counters.duplicated));
    }

    #[test]
    fn same_seed_same_accidents() {
        let config = Config { a: lossy(), b: Some(lossy()), disjoint: false, ..Config::default() };
        assert_eq!(run(&config, 3_000).1, run(&config, 3_000).1);
        assert_ne!(run(&config, 3_000).1, run(&Config { seed: 2, ..config }, 3_000).1);
    }
}
