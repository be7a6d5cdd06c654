//! Stream and client together: random losses on both lines, request servers with random moods, under one clock.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use wirebook::feed::handover::{HOLES, Hole, Item, Need, link};
use wirebook::feed::recovery::{Action, Recovery, RecoveryConfig, RequestsConfig};
use wirebook::feed::{Line, Sink, Stream, StreamConfig};
use wirebook::wire::moldudp64::Blocks;

use crate::bench::{MS, REQUESTS, SESSION, control, data};

/// What a server makes of a request.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Honest,
    /// Only so many messages.
    Partly(u16),
    Silent,
    /// So many ms late.
    Late(u64),
    Twice,
    WrongSession,
    /// Messages that were not asked for.
    Elsewhere(u64),
    Noise,
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        4 => Just(Mood::Honest),
        3 => (1..30_u16).prop_map(Mood::Partly),
        3 => Just(Mood::Silent),
        3 => (1..60_u64).prop_map(Mood::Late),
        1 => Just(Mood::Twice),
        1 => Just(Mood::WrongSession),
        1 => prop_oneof![1..2_000_u64, any::<u64>()].prop_map(Mood::Elsewhere),
        1 => Just(Mood::Noise),
    ]
}

/// Checks the contract of [`Sink`], and keeps what was lost.
#[derive(Debug, Default)]
struct Checked {
    at: u64,
    lost: Vec<Range<u64>>,
    overdue: bool,
    times_overdue: u64,
    ended: bool,
}

impl Sink for Checked {
    fn session(&mut self, _: [u8; 10], first_sequence: u64) {
        assert_eq!(self.at, 0, "one session only");
        self.at = first_sequence;
    }
    fn messages(&mut self, first_sequence: u64, blocks: Blocks<'_>) {
        assert!(first_sequence == self.at && !self.ended);
        for block in blocks {
            assert_eq!(block, &self.at.to_be_bytes()[7..], "message {}", self.at);
            self.at += 1;
        }
    }
    fn gap(&mut self, missing: Range<u64>) {
        assert!(missing.start == self.at && missing.end > missing.start && !self.ended);
        self.at = missing.end;
        self.lost.push(missing);
    }
    fn end_of_session(&mut self) {
        assert!(!self.overdue && !self.ended);
        self.ended = true;
    }
    fn overdue(&mut self) {
        assert!(!self.overdue && !self.ended);
        self.overdue = true;
        self.times_overdue += 1;
    }
    fn caught_up(&mut self) {
        assert!(self.overdue && !self.ended);
        self.overdue = false;
    }
}

/// One market message packet every ms on both lines, less what is lost; then the end.
struct Run {
    /// Packets, and whether A and B lose them.
    packets: Vec<(u64, bool, bool)>,
    moods: Vec<Mood>,
    stream: StreamConfig,
    requests: RequestsConfig,
    /// The link has room only in every so many ms.
    busy: u64,
}

struct Outcome {
    sink: Checked,
    stream: Stream,
    client: Recovery,
    end: u64,
}

fn play(run: &Run) -> Outcome {
    let mut stream = Stream::new(run.stream);
    let mut sink = Checked::default();
    let mut client = Recovery::new(RecoveryConfig { requests: Some(run.requests), snapshot: None });
    let (mut of_loop, mut of_client) = link(0);
    let mut asked = Vec::new();
    let mut mails: Vec<(u64, usize, Vec<u8>)> = Vec::new();
    let mut moods = run.moods.iter().cycle();
    let mut next = 1;
    let mut packets = run.packets.iter();
    for turn in 0_u64.. {
        let now = turn * MS;
        match packets.next() {
            Some((count, lost_a, lost_b)) => {
                let packet = data(SESSION, next..next + count);
                next += count;
                for (line, lost) in [(Line::A, lost_a), (Line::B, lost_b)] {
                    if !lost {
                        stream.on_packet(line, &packet, now, &mut sink);
                    }
                }
            }
            None => {
                stream.on_packet(Line::A, &control(SESSION, next, 0xFFFF), now, &mut sink);
            }
        }
        stream.on_tick(now, &mut sink);
        if sink.ended || turn > 20_000 {
            return Outcome { sink, stream, client, end: next };
        }
        let mut need = Need { epoch: 1, session: SESSION, expected: stream.expected(), ..Need::default() };
        let mut holes = [Hole::default(); HOLES];
        let count = stream.holes(&mut holes);
        assert_eq!(count > 0, stream.is_overdue() && !stream.has_backlog() || holes[0] != Hole::default());
        need.holes = holes;
        of_loop.need.publish(&need);
        let need = of_client.need.read();
        client.on_need(now, &need, &mut of_client.giver, &mut |action| {
            if let Action::Request { server, payload } = action {
                asked.push((server, payload));
            }
        });
        for (server, payload) in asked.drain(..) {
            let first = u64::from_be_bytes(payload[10..18].try_into().unwrap());
            let count = u64::from(u16::from_be_bytes(payload[18..20].try_into().unwrap()));
            let until = |count: u64| (first + count).min(next);
            let whole = || data(SESSION, first..until(count));
            match *moods.next().unwrap() {
                Mood::Honest => mails.push((now, server, whole())),
                Mood::Partly(part) => {
                    mails.push((now, server, data(SESSION, first..until(count.min(part.into())))));
                }
                Mood::Silent => {}
                Mood::Late(ms) => mails.push((now + ms * MS, server, whole())),
                Mood::Twice => mails.extend([(now, server, whole()), (now, server, whole())]),
                Mood::WrongSession => mails.push((now, server, data(*b"OTHER     ", first..until(count)))),
                Mood::Elsewhere(far) => {
                    let first = first.wrapping_add(far).min(u64::MAX - 20);
                    mails.push((now, server, data(SESSION, first..first + 10)));
                }
                Mood::Noise => mails.push((now, server, vec![0x5A; 33])),
            }
        }
        mails.retain(|(at, server, payload)| {
            if *at <= now {
                client.on_answer(now, *server, payload, &mut of_client.giver);
            }
            *at > now
        });
        if turn % run.busy == 0 {
            while let Some(item) = of_loop.taker.take() {
                match item {
                    Item::Packet { epoch: 1, payload } => {
                        stream.on_recovered(payload, now, &mut sink);
                    }
                    Item::Abandon { epoch: 1, end } => stream.abandon(end, now, &mut sink),
                    other => assert_eq!(other, Item::SnapshotFailed, "and that only with a snapshot server"),
                }
            }
        }
    }
    unreachable!("turns do not end")
}

fn packets(loss: u32) -> impl Strategy<Value = Vec<(u64, bool, bool)>> {
    let lost = move || (0..100_u32).prop_map(move |luck| luck < loss);
    vec((1..40_u64, lost(), lost()), 10..300)
}

const STREAM: StreamConfig = StreamConfig {
    window_packets: 1_024,
    max_payload: 1_500,
    hole_wait: 5 * MS,
    recovery_wait: 5_000 * MS,
    quiet: u64::MAX,
    near_start: 60_000,
    ..StreamConfig::usual(1_000_000_000)
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// With time, room and retries, nothing is lost as long as servers answer now and then.
    #[test]
    fn all_is_recovered_where_anybody_answers(packets in packets(30), mut moods in vec(mood(), 1..30)) {
        moods.push(Mood::Honest);
        let requests = RequestsConfig { retries: 1_000, ..REQUESTS };
        let outcome = play(&Run { packets, moods, stream: STREAM, requests, busy: 1 });
        let counters = *outcome.stream.counters();
        prop_assert!(outcome.sink.ended);
        prop_assert_eq!(outcome.sink.lost, vec![]);
        prop_assert_eq!(outcome.sink.at, outcome.end);
        prop_assert_eq!(counters.overdue, outcome.sink.times_overdue);
    }

    /// With little of anything: whatever comes, each message is handed on once, in order, or declared lost; nobody waits
    /// longer than allowed; and the end is reached.
    #[test]
    fn every_message_is_handed_on_or_declared_lost(
        packets in packets(40), moods in vec(mood(), 1..30), window_packets in 0..40_usize,
        retries in 0..4_u32, recovery_wait in 1..200_u64, outstanding in 1..6_usize, busy in 1..9_u64,
        per_second in 20..2_000_u32, lines_reorder: bool,
    ) {
        let requests = RequestsConfig { retries, outstanding, per_second, ..REQUESTS };
        let recovery_wait = recovery_wait * MS;
        let stream = StreamConfig { window_packets, recovery_wait, lines_reorder, ..STREAM };
        let sent = packets.len() as u64;
        let outcome = play(&Run { packets, moods, stream, requests, busy });
        let counters = *outcome.stream.counters();
        prop_assert!(outcome.sink.ended);
        prop_assert_eq!(outcome.sink.at, outcome.end);
        prop_assert_eq!(outcome.sink.lost.len() as u64, counters.gaps);
        let reasons = counters.abandoned + counters.recovery_timeouts + counters.window_overflows;
        prop_assert!(counters.gaps <= reasons, "{counters:?}");
        prop_assert!(outcome.client.counters().requests <= 1 + outstanding as u64 + u64::from(per_second) * (sent + 400) / 1_000);
    }
}
