//! Packets, and a sink that checks what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use wirebook::feed::handover::{HOLES, Hole};
use wirebook::feed::{Line, Sink, Stream, StreamConfig, Verdict};
use wirebook::wire::moldudp64::Blocks;

pub(crate) const SESSION: [u8; 10] = *b"DAY1      ";
pub(crate) const NEXT: [u8; 10] = *b"DAY2      ";
pub(crate) const FOREIGN: [u8; 10] = *b"STRAY     ";

/// What message `sequence` of `session` says; sometimes nothing, which is legal.
pub(crate) fn content(session: [u8; 10], sequence: u64) -> Vec<u8> {
    let repeats = usize::try_from(sequence % 5).unwrap();
    [&session[..], &sequence.to_be_bytes()].concat().repeat(repeats)
}

/// A data packet with the messages of `range`.
pub(crate) fn data(session: [u8; 10], range: Range<u64>) -> Vec<u8> {
    let count = u16::try_from(range.end - range.start).unwrap();
    let mut packet = control(session, range.start, count);
    for sequence in range {
        let message = content(session, sequence);
        packet.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        packet.extend(message);
    }
    packet
}

/// Only the header, with any count.
pub(crate) fn control(session: [u8; 10], sequence: u64, count: u16) -> Vec<u8> {
    [&session[..], &sequence.to_be_bytes(), &count.to_be_bytes()].concat()
}

pub(crate) fn heartbeat(session: [u8; 10], next: u64) -> Vec<u8> {
    control(session, next, 0)
}

pub(crate) fn end_of_session(session: [u8; 10], next: u64) -> Vec<u8> {
    control(session, next, 0xFFFF)
}

/// What a sink was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Session([u8; 10], u64),
    Messages(Range<u64>),
    Gap(Range<u64>),
    Overdue,
    CaughtUp,
    End,
}

/// Records everything, and fails on anything that the contract of [`Sink`] forbids.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) told: Vec<Told>,
    session: [u8; 10],
    at: u64,
    open: bool,
    overdue: bool,
    /// Packets were damaged on their way: what the messages say is not compared.
    pub(crate) garbled: bool,
    /// Sequences of each session that arrived in any packet so far: none of them may be declared lost.
    pub(crate) received: BTreeMap<[u8; 10], BTreeSet<u64>>,
}

impl Sink for Recorder {
    fn session(&mut self, session: [u8; 10], first_sequence: u64) {
        assert!(!self.overdue, "a session began while the one before was overdue");
        self.told.push(Told::Session(session, first_sequence));
        (self.session, self.at, self.open) = (session, first_sequence, true);
    }

    fn messages(&mut self, first_sequence: u64, blocks: Blocks<'_>) {
        assert!(self.open, "messages outside of a session");
        assert_eq!(first_sequence, self.at, "messages out of order");
        assert!(blocks.len() > 0, "no messages at {first_sequence}");
        let announced = blocks.len() as u64;
        for block in blocks {
            assert!(
                self.garbled || block == content(self.session, self.at),
                "message {}: {block:?}",
                self.at
            );
            self.at += 1;
        }
        assert_eq!(self.at, first_sequence + announced);
        match self.told.last_mut() {
            Some(Told::Messages(range)) => range.end = self.at,
            _ => self.told.push(Told::Messages(first_sequence..self.at)),
        }
    }

    fn gap(&mut self, missing: Range<u64>) {
        assert!(self.open, "a gap outside of a session");
        assert_eq!(missing.start, self.at, "a gap out of order");
        assert!(missing.end > missing.start, "an empty gap");
        let early = self.received.get(&self.session).and_then(|set| set.range(missing.clone()).next());
        assert_eq!(early, None, "declared lost although it was received: {missing:?}");
        self.at = missing.end;
        self.told.push(Told::Gap(missing));
    }

    fn end_of_session(&mut self) {
        assert!(self.open, "the session ended twice");
        assert!(!self.overdue, "the session ended while overdue");
        self.open = false;
        self.told.push(Told::End);
    }

    fn overdue(&mut self) {
        assert!(self.open && !self.overdue, "overdue twice, or outside of a session");
        self.overdue = true;
        self.told.push(Told::Overdue);
    }

    fn caught_up(&mut self) {
        assert!(self.open && self.overdue, "caught up with nothing, or outside of a session");
        self.overdue = false;
        self.told.push(Told::CaughtUp);
    }
}

impl Recorder {
    pub(crate) fn gaps(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.told.iter().filter_map(|told| match told {
            Told::Gap(missing) => Some(missing.clone()),
            _ => None,
        })
    }

    pub(crate) fn lost(&self) -> BTreeSet<u64> {
        self.gaps().flatten().collect()
    }

    pub(crate) fn delivered(&self) -> BTreeSet<u64> {
        let ranges = self.told.iter().filter_map(|told| match told {
            Told::Messages(range) => Some(range.clone()),
            _ => None,
        });
        ranges.flatten().collect()
    }
}

/// A stream, its sink and a clock.
pub(crate) struct Bench {
    pub(crate) stream: Stream,
    pub(crate) sink: Recorder,
    pub(crate) now: u64,
}

/// Small and round: 8 packets of 1,500 bytes, 100 ticks for a hole, 10,000 of silence.
pub(crate) const CONFIG: StreamConfig = StreamConfig {
    window_packets: 8,
    max_payload: 1_500,
    hole_wait: 100,
    recovery_wait: 0,
    quiet: 10_000,
    max_jump: 100_000,
    near_start: 50,
    both_lines: true,
    lines_reorder: true,
    skew_slots: 16,
    lost_ranges: 4,
};

impl Bench {
    pub(crate) fn new(config: StreamConfig) -> Self {
        Self { stream: Stream::new(config), sink: Recorder::default(), now: 1_000 }
    }

    /// One packet, one tick later.
    pub(crate) fn packet(&mut self, line: Line, payload: &[u8]) -> Verdict {
        self.now += 1;
        self.stream.on_packet(line, payload, self.now, &mut self.sink)
    }

    pub(crate) fn a(&mut self, range: Range<u64>) -> Verdict {
        self.packet(Line::A, &data(SESSION, range))
    }

    pub(crate) fn b(&mut self, range: Range<u64>) -> Verdict {
        self.packet(Line::B, &data(SESSION, range))
    }

    /// Lets `ticks` go by in silence, and a backlog be worked off.
    pub(crate) fn wait(&mut self, ticks: u64) {
        self.now += ticks;
        self.stream.on_tick(self.now, &mut self.sink);
        while self.stream.has_backlog() {
            self.stream.on_tick(self.now, &mut self.sink);
        }
    }

    /// A packet of a request server, now.
    pub(crate) fn recovered(&mut self, payload: &[u8]) -> Verdict {
        self.stream.on_recovered(payload, self.now, &mut self.sink)
    }

    /// The client gives up everything before `end`.
    pub(crate) fn abandon(&mut self, end: u64) {
        self.stream.abandon(end, self.now, &mut self.sink);
    }

    /// What a client is told to ask for.
    pub(crate) fn holes(&self) -> Vec<Range<u64>> {
        let mut holes = [Hole::default(); HOLES];
        let count = self.stream.holes(&mut holes);
        assert!(holes.iter().skip(count).all(Hole::is_empty), "{holes:?}");
        holes.iter().take(count).map(|hole| hole.first..hole.end).collect()
    }

    /// What the sink was told since the last call.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.sink.told)
    }
}

/// A bench that has seen messages 1 to 9.
pub(crate) fn begun(config: StreamConfig) -> Bench {
    let mut bench = Bench::new(config);
    assert_eq!(bench.a(1..10), Verdict::Delivered);
    assert_eq!(bench.told(), [Told::Session(SESSION, 1), Told::Messages(1..10)]);
    bench
}
