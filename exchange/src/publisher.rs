//! From messages to what arrives on two lines: packing, heartbeats, the end of the session.
//!
//! A [`Publisher`] lives by the times that it is given, real or virtual, in ns; they never go back. A packet leaves
//! when the next message does not fit, or when its first message has waited for [`Config::coalesce_ns`]. A line that
//! was silent for [`Config::heartbeat_ns`] gets a heartbeat.

use crate::lines::{self, Line, Lines};
use crate::mold::{DEFAULT_LIMIT, Packetizer, TooLong};

/// How often the end of the session is said.
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
    coalesce: u64,
    heartbeat: u64,
    /// When the first message of the packet under way came.
    opened: u64,
    /// When the last packet left.
    last: Option<u64>,
}

impl Publisher {
    /// A publisher that has said nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            packetizer: Packetizer::new(config.session, config.limit),
            lines: Lines::new(&config.lines),
            coalesce: config.coalesce_ns,
            heartbeat: config.heartbeat_ns.max(1_000_000),
            opened: 0,
            last: None,
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
        let Self { packetizer, lines, last, .. } = self;
        packetizer.push(message, &mut |packet| {
            *last = Some(time);
            lines.push(time, packet, out);
        })?;
        if self.packetizer.gathered() == 1 {
            self.opened = time;
        }
        Ok(())
    }

    /// Lets time pass: sends what has waited long enough, heartbeats that are due, and hands out what arrives.
    pub fn tick(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        let Self { packetizer, lines, last, .. } = self;
        if packetizer.gathered() > 0 && time.saturating_sub(self.opened) >= self.coalesce {
            // It left when its wait was over, not when somebody looked.
            let left = self.opened + self.coalesce;
            packetizer.flush(&mut |packet| lines.push(left, packet, out));
            *last = Some(left);
        }
        while packetizer.gathered() == 0
            && let Some(due) = last.map(|last| last + self.heartbeat)
            && due <= time
        {
            packetizer.heartbeat(&mut |packet| lines.push(due, packet, out));
            *last = Some(due);
        }
        lines.arrive(time, out);
    }

    /// Sends what waits and says that the session is over, thrice, so late that it arrives after everything else.
    /// No line loses it. `out` gets everything that is still on its way.
    pub fn end(&mut self, time: u64, out: &mut impl FnMut(Line, u64, &[u8])) {
        let Self { packetizer, lines, .. } = self;
        packetizer.flush(&mut |packet| lines.push(time, packet, out));
        lines.finish(out);
        for ending in 1..=ENDINGS {
            let at = time + ending * ENDING_PAUSE;
            packetizer.end_of_session(&mut |packet| lines.push_safely(at, packet, out));
        }
        lines.finish(out);
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
}
