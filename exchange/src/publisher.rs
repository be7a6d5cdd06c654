//! From messages to what arrives on two lines: packing, heartbeats, the end of the session, the next session.
//!
//! A [`Publisher`] lives by the times that it is given, real or virtual, in ns; they never go back. A packet leaves
//! when it has as many messages as it may, when the next one does not fit, or when its first message has waited for
//! [`Config::coalesce_ns`]. A publisher that was silent for [`Config::heartbeat_ns`] sends a heartbeat.

use crate::lines::{self, Line, Lines};
use crate::mold::{DEFAULT_LIMIT, Packetizer, TooLong};

/// How often the end of the session is said in quick succession; later in place of heartbeats.
const ENDINGS: u64 = 3;
/// Ns between the last packet and the first end of session, and between two of them: longer than any line delays.
const ENDING_PAUSE: u64 = 100_000_000;

/// What a publisher is made from.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Session of the packets.
    pub session: [u8; 10],
    /// The longest payload, bytes.
    pub limit: usize,
    /// The most messages of a packet.
    pub most: u16,
    /// The longest that a message waits for others to share its packet, ns.
    pub coalesce_ns: u64,
    /// Silence after which a heartbeat is sent, ns. At least 1 ms.
    pub heartbeat_ns: u64,
    /// What happens on the lines.
    pub lines: lines::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            session: *b"WIREBOOK01",
            limit: DEFAULT_LIMIT,
            most: u16::MAX,
            coalesce_ns: 50_000,
            heartbeat_ns: 1_000_000_000,
            lines: lines::Config::default(),
        }
    }
}

/// Publishes one stream on two lines.
#[derive(Clone, Debug)]
pub struct Publisher {
    packetizer: Packetizer,
    lines: Lines,
    most: u16,
    coalesce: u64,
    heartbeat: u64,
    /// When the first message of the packet under way came.
    opened: u64,
    /// When the last packet left.
    last: Option<u64>,
    /// Messages that are still to be lost on both lines.
    losing: u64,
    /// The session is over: how often that was said, and when it is to be said again.
    ending: Option<(u64, u64)>,
}

/// A packet leaves; a doomed one arrives nowhere.
fn leave(lines: &mut Lines, doomed: bool, time: u64, packet: &[u8], out: &mut impl FnMut(Line, u64, &[u8])) {
    if doomed {
        lines.push_lost(time, packet, out);
    } else {
        lines.push(time, packet, out);
    }
}

impl Publisher {
    /// A publisher that has said nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            packetizer: Packetizer::new(config.session, config.limit),
            lines: Lines::new(&config.lines),
            most: config.most,
            coalesce: config.coalesce_ns,
            heartbeat: config.heartbeat_ns.max(1_000_000),
            opened: 0,
            last: None,
            losing: 0,
            ending: None,
        }
    }

    /// Publishes a message at `time`. `out` gets the packets that arrive by then: line, time of arrival, payload.
    ///
    /// # Errors
    /// [`TooLong`] when it fits no packet.
    pub fn push(
        &mut self,
        time: u64,
        message: &[u8],
        out: &mut impl FnMut(Line, u64, &[u8]),
    ) -> Result<(), TooLong> {
        self.tick(time, out);
        let Self { packetizer, lines, last, losing, .. } = self;
        packetizer.push(message, &mut |packet| {
            *last = Some(time);
            leave(lines, *losing > 0, time, packet, out);
        })?;
        if self.packetizer.gathered() == 1 {
            self.opened = time;
        }
        if self.losing == 1 || self.packetizer.gathered() >= self.most {
            self.flush(time, out);
        }
        self.losing = self.losing.saturating_sub(1);
        Ok(())
    }

    /// The next `messages` messages arrive on no line, and none but them.
    pub fn lose_on_both(&mut self, time: u64, messages: u32, out: &mut impl FnMut(Line, u64, &[u8])) {
        if messages > 0 {
            // Whole packets are lost: what came before leaves in one of its own.
            self.flush(time, out);
            self.losing += u64::from(messages);
        }
    }

    /// Sends what has been gathered.
    fn flush(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        let Self { packetizer, lines, last, losing, .. } = self;
        packetizer.flush(&mut |packet| {
            *last = Some(time);
            leave(lines, *losing > 0, time, packet, out);
        });
    }

    /// Lets time pass: sends what has waited long enough, heartbeats and ends of session that are due, and hands out
    /// what arrives.
    pub fn tick(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        if let Some(due) = self.flush_due().filter(|due| *due <= time) {
            // It left when its wait was over, not when somebody looked.
            self.flush(due, out);
        }
        let Self { packetizer, lines, last, ending, .. } = self;
        if let Some((said, due)) = ending {
            while *due <= time {
                packetizer.end_of_session(&mut |packet| lines.push_safely(*due, packet, out));
                *said += 1;
                *due += if *said < ENDINGS { ENDING_PAUSE } else { self.heartbeat.max(ENDING_PAUSE) };
            }
        } else {
            while packetizer.gathered() == 0
                && let Some(due) = last.map(|last| last + self.heartbeat)
                && due <= time
            {
                packetizer.heartbeat(&mut |packet| lines.push(due, packet, out));
                *last = Some(due);
            }
        }
        lines.arrive(time, out);
    }

    /// When the packet under way has waited long enough.
    fn flush_due(&self) -> Option<u64> {
        (self.packetizer.gathered() > 0).then_some(self.opened + self.coalesce)
    }

    /// When [`Publisher::tick`] has something to do next, ns.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        let heartbeat = || self.last.map(|last| last + self.heartbeat);
        let said = self.ending.map(|(_, due)| due).or_else(heartbeat);
        [self.flush_due(), said, self.lines.next_arrival()].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// Ends the session: sends what waits and says from then on that the session is over, first so late that it
    /// arrives after everything else. No line loses that, unless it is dead.
    pub fn close(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        self.tick(time, out);
        self.flush(time, out);
        self.losing = 0;
        if self.ending.is_none() {
            self.ending = Some((0, time + ENDING_PAUSE));
        }
    }

    /// Was the end of the session said as often as everybody is told, with nothing left on its way?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ending.is_some_and(|(said, _)| said >= ENDINGS) && self.lines.next_arrival().is_none()
    }

    /// As [`Publisher::close`] with all its repetitions at once: `out` gets everything that is still on its way.
    pub fn end(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        self.close(time, out);
        self.lines.finish(out);
        self.tick(time + ENDINGS * ENDING_PAUSE, out);
        self.lines.finish(out);
    }

    /// Begins the session `session` at sequence 1. If `said`, the end of the one before is told first.
    pub fn roll(&mut self, time: u64, session: [u8; 10], said: bool, out: &mut impl FnMut(Line, u64, &[u8])) {
        self.tick(time, out);
        self.flush(time, out);
        let Self { packetizer, lines, .. } = self;
        if said {
            for _ in 0..ENDINGS {
                packetizer.end_of_session(&mut |packet| lines.push_safely(time, packet, out));
            }
        }
        packetizer.roll(session);
        self.losing = 0;
        self.ending = None;
        self.last = Some(time);
    }

    /// A line is dead until then; see [`Lines::kill`].
    pub fn kill(&mut self, line: Line, until: u64) {
        self.lines.kill(line, until);
    }

    /// Session of the packets.
    #[must_use]
    pub fn session(&self) -> [u8; 10] {
        self.packetizer.session()
    }

    /// Sequence of the next message.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.packetizer.next_sequence()
    }

    /// The lines, for their counters.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LineConfig;
    use crate::mold::Packet;
    use std::collections::BTreeMap;

    #[test]
    fn a_packet_that_may_hold_no_more_waits_for_nothing() {
        let lines = lines::Config { b: None, ..lines::Config::default() };
        let mut publisher = Publisher::new(&Config { most: 2, lines, ..Config::default() });
        let mut seen = Vec::new();
        let mut out = |_, at, payload: &[u8]| {
            let packet = Packet::parse(payload).expect("a packet");
            seen.push((at, packet.sequence, packet.count));
        };
        for time in [10, 20, 30, 40, 50] {
            publisher.push(time, b"message", &mut out).expect("short");
        }
        publisher.tick(60, &mut out);
        assert_eq!(seen, [(20, 1, 2), (40, 3, 2)]);
    }

    #[test]
    fn messages_wait_for_company_and_silence_is_broken() {
        let config = Config {
            coalesce_ns: 100,
            heartbeat_ns: 1_000_000,
            lines: lines::Config { b: None, ..lines::Config::default() },
            ..Config::default()
        };
        let mut publisher = Publisher::new(&config);
        let mut seen = Vec::new();
        let mut out = |_, at, payload: &[u8]| {
            let packet = Packet::parse(payload).expect("a packet");
            seen.push((at, packet.sequence, packet.count, packet.ends));
        };
        for time in [0, 50, 99, 100, 150] {
            publisher.push(time, b"message", &mut out).expect("short");
        }
        publisher.push(2_500_000, b"message", &mut out).expect("short");
        publisher.end(2_500_010, &mut out);
        assert_eq!(
            seen,
            [
                (100, 1, 3, false),
                (200, 4, 2, false),
                (1_000_200, 6, 0, false),
                (2_000_200, 6, 0, false),
                (2_500_010, 6, 1, false),
                (102_500_010, 7, 0, true),
                (202_500_010, 7, 0, true),
                (302_500_010, 7, 0, true),
            ]
        );
        assert!(publisher.push(9_000_000_000, &[0; 2_000], &mut |_, _, _| {}).is_err());
    }

    #[test]
    fn disjoint_lines_together_bring_every_message_once_and_in_order() {
        let lossy = LineConfig { loss_ppm: 30_000, loss_burst: 3, ..LineConfig::default() };
        let config = Config {
            lines: lines::Config { a: lossy, b: Some(lossy), ..lines::Config::default() },
            ..Config::default()
        };
        let mut publisher = Publisher::new(&config);
        let mut messages: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let mut out = |_, _, payload: &[u8]| {
            let packet = Packet::parse(payload).expect("a packet");
            for (message, sequence) in packet.messages().zip(packet.sequence..) {
                messages.insert(sequence, message.to_vec());
            }
        };
        for number in 0..50_000u64 {
            publisher.push(number * 5_000, &number.to_be_bytes(), &mut out).expect("short");
        }
        publisher.end(250_000_000, &mut out);
        assert_eq!(messages.len(), 50_000);
        for (sequence, message) in &messages {
            assert_eq!(message[..], (sequence - 1).to_be_bytes());
        }
        assert!(publisher.lines().counters(Line::B).is_some_and(|counters| counters.lost > 50));
    }

    #[test]
    fn exactly_the_messages_asked_for_vanish() {
        for (coalesce_ns, messages) in
            [(50_000, 1), (50_000, 7), (50_000, 500), (0, 500), (1_000_000_000, 500)]
        {
            let mut publisher = Publisher::new(&Config { coalesce_ns, ..Config::default() });
            let mut seen = std::collections::BTreeSet::new();
            let mut out = |_, _, payload: &[u8]| {
                let packet = Packet::parse(payload).expect("a packet");
                seen.extend((packet.sequence..).take(usize::from(packet.count)));
            };
            for number in 1..=3_000u64 {
                if number == 1_000 {
                    publisher.lose_on_both(number * 5_000, messages, &mut out);
                }
                publisher.push(number * 5_000, &[7; 36], &mut out).expect("short");
            }
            publisher.end(15_000_000, &mut out);
            let lost: Vec<u64> = (1..=3_000).filter(|sequence| !seen.contains(sequence)).collect();
            let doomed: Vec<u64> = (1_000..1_000 + u64::from(messages)).collect();
            assert_eq!(lost, doomed, "coalesced for {coalesce_ns} ns");
        }
    }

    #[test]
    fn the_end_is_repeated_and_a_new_session_begins_at_one() {
        let lines = lines::Config { b: None, ..lines::Config::default() };
        let mut publisher = Publisher::new(&Config { lines, coalesce_ns: 0, ..Config::default() });
        let mut seen = Vec::new();
        let mut out = |_, at, payload: &[u8]| {
            let packet = Packet::parse(payload).expect("a packet");
            seen.push((at / 1_000_000, packet.session[9], packet.sequence, packet.count, packet.ends));
        };
        publisher.push(0, b"message", &mut out).expect("short");
        publisher.close(0, &mut out);
        assert!(!publisher.is_over());
        publisher.tick(2_300_000_000, &mut out);
        assert!(publisher.is_over());
        assert_eq!(publisher.next_due(), 3_300_000_000);
        publisher.roll(2_400_000_000, *b"WIREBOOK02", true, &mut out);
        publisher.push(2_500_000_000, b"message", &mut out).expect("short");
        publisher.tick(3_600_000_000, &mut out);
        publisher.roll(3_700_000_000, *b"WIREBOOK03", false, &mut out);
        publisher.tick(4_700_000_000, &mut out);
        assert_eq!(publisher.session(), *b"WIREBOOK03");
        let end = |at| (at, b'1', 2, 0, true);
        let ended =
            [end(100), end(200), end(300), end(1_300), end(2_300), end(2_400), end(2_400), end(2_400)];
        assert_eq!(seen[0], (0, b'1', 1, 1, false));
        assert_eq!(seen[1..9], ended);
        assert_eq!(
            seen[9..],
            [(2_500, b'2', 1, 1, false), (3_500, b'2', 2, 0, false), (4_700, b'3', 1, 0, false)]
        );
    }
}
