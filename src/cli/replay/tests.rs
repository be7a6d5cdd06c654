//! What a loop captured, played again, is what the loop saw: the same events at the same sequences, gaps at the same
//! places, the same books. Exchange, lines, loop and orders run in lockstep under one virtual time.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use exchange::host::Fault;
use exchange::lines::LineConfig;

use super::*;
use crate::control::capture::{Anchor, Captured, Head, Writer};
use crate::feed::{LineCounters, Sink, StreamCounters};
use crate::market::{BookState, Event, TradingState};
use crate::nic::replay::{End, LinkConfig, pair};
use crate::pipeline::Pipeline;
use crate::pipeline::tap;
use crate::stop::StopFlag;
use crate::tsc::TimeSource;
use crate::venue::{Setup, Venue, exchange_config};
use crate::wire::moldudp64::Blocks;
use crate::worker::{Worker, assemble};

/// No whole number of ns.
const HZ: u64 = 2_100_000_000;

/// A virtual time that the feed is shown without what the loop was away for, as with the TSC.
#[derive(Clone, Default)]
struct Time(Rc<Cell<u64>>);

impl TimeSource for Time {
    const LONGEST_ROUND: u64 = 200_000;

    fn now(&self) -> u64 {
        self.0.get()
    }
}

/// All that a run came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<(u64, Event)>,
    stream: StreamCounters,
    lines: [LineCounters; 2],
    resting: Vec<(u16, u64, u32, u32)>,
    states: Vec<(BookState, TradingState, u64)>,
}

fn outcome(
    events: Vec<(u64, Event)>,
    stream: StreamCounters,
    lines: [LineCounters; 2],
    books: &Books,
) -> Outcome {
    let resting = books.resting().map(|order| (order.locate, order.order_ref, order.price.0, order.shares));
    let states = (0..=u16::MAX)
        .take_while(|locate| u32::from(*locate) < books.limits().locates)
        .map(|locate| (books.state(locate), books.trading_state(locate), books.volume(locate)));
    Outcome { events, stream, lines, resting: resting.collect(), states: states.collect() }
}

/// Books, and what was decoded on the way to them.
struct Journal {
    player: Player,
    events: Vec<(u64, Event)>,
}

impl Sink for Journal {
    fn session(&mut self, session: [u8; 10], first_sequence: u64) {
        self.player.session(session, first_sequence);
    }

    fn messages(&mut self, first_sequence: u64, blocks: Blocks<'_>) {
        for (sequence, block) in (first_sequence..).zip(blocks) {
            if let Ok(event) = crate::feed::itch::decode(block) {
                self.events.push((sequence, event));
            }
            self.player.message(block);
        }
    }

    fn gap(&mut self, missing: Range<u64>) {
        self.player.gap(missing);
    }

    fn end_of_session(&mut self) {}
}

fn config() -> Config {
    let (text, _recovery) = include_str!("../../../config/demo.toml").split_once("[recovery]").unwrap();
    let text = text
        .replace("reorder_wait_us = 50000", "reorder_wait_us = 300")
        .replace("cooldown_us = 20000", "cooldown_us = 200");
    Config::parse(&text, "demo.toml").unwrap()
}

/// Every other day line B is so late that holes are given up before it fills them.
const fn late(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

struct Live {
    outcome: Outcome,
    captured: Captured,
    file: tempfile::NamedTempFile,
    orders: u64,
    dropped: u64,
}

/// A run of some steps of irregular length, with a capture of `buffer` bytes that is written every `drain` steps.
fn live(seed: u64, steps: u64, buffer: usize, drain: u64) -> Live {
    let clock = Clock::from_hz(HZ).unwrap();
    let config = config();
    let (End { rx: mut venue_rx, tx: mut venue_tx }, End { rx, tx }) =
        pair(LinkConfig { ring: 8192, buffers: 16384, slot_len: 2048 });
    let mut exchange = exchange_config(200_000, 40, seed, 20_000);
    let lines = &mut exchange.publisher.lines;
    if late(seed) {
        // What line A lost comes by line B in time, or late.
        lines.b = lines.b.map(|b| LineConfig { jitter_ns: 600_000, reorder_ppm: 10_000, ..b });
    }
    lines.a = LineConfig { truncate_ppm: 500, bit_flip_ppm: 500, stray_ppm: 500, ..lines.a };
    // Orders until then, gaps from then on.
    for at in 1..20 {
        exchange.plan.push((200_000_000 + at * 15_000_000, Fault::LoseOnBoth { messages: at as u32 }));
    }
    let mut venue = Venue::new(&Setup::new(&config, exchange, StopFlag::new())).unwrap();
    let (worker, _handles) = assemble(&config, [2; 6], clock).unwrap();
    let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
    let time = Time::default();
    time.0.set(clock.ticks(1_000_000));
    let (tap, from) = tap::tap(buffer);
    let mut pipeline = Pipeline::with_time(*parts, vec![rx], tx, time.clone()).with_tap(Some(tap));
    let file = tempfile::NamedTempFile::new().unwrap();
    let anchor = Anchor { ticks: time.now(), unix_ns: 1_700_000_000_000_000_000 };
    let head = Head { hardware: "h".into(), os: "o".into(), ports: vec!["feed".into()] };
    let mut writer = Writer::new(file.reopen().unwrap(), from, clock, anchor, &head).unwrap();
    let mut state = seed;
    for step in 1..=steps {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Mostly some µs; now and then the loop is away for longer than any hole may stay open.
        let away = if state >> 54 == 0 { 3_000_000 } else { (state >> 40) % 60_000 };
        time.0.set(time.now() + clock.ticks(away));
        let now = clock.ns(time.now());
        if step + 500 == steps {
            venue.close(&mut venue_tx, now);
        }
        // Timers come before what came meanwhile is polled, after it, or not at all.
        if state >> 63 == 0 {
            pipeline.tick(time.now());
        }
        while venue.pump(&mut venue_rx, &mut venue_tx, now) {}
        while pipeline.poll() {}
        if state >> 62 & 1 == 0 {
            time.0.set(time.now() + (state >> 50) % 1_000);
            pipeline.tick(time.now());
        }
        if step % drain == 0 {
            while writer.round() {}
        }
    }
    let tally = pipeline.tally();
    let events = pipeline.journal().to_vec();
    let finished = pipeline.finish();
    let orders = tally.desk.orders_sent;
    let outcome = outcome(events, tally.stream, tally.lines, &finished.books);
    Live { outcome, captured: writer.finish(), file, orders, dropped: tally.tap.dropped }
}

/// Plays a capture again; what it came to, and the frames that it says it lacks.
fn again(file: &Path) -> (Outcome, u64) {
    let config = config();
    let routes = worker::routes(&config);
    let books = Books::new(worker::book_limits(&config)).unwrap();
    let setup = Box::new(move |clock: &Clock, own| setup(Some(&config), clock, own));
    let mut path = FramePath::new(Lines::configured(routes), Clock::from_hz(NS).unwrap(), setup);
    let mut journal = Journal { player: Player::new(books), events: Vec::new() };
    let mut reader = Reader::open(file).unwrap();
    let mut stamp = 0;
    while let Some(record) = reader.next_record().unwrap() {
        assert!(record.stamp_ns >= Some(stamp), "stamps never go back");
        stamp = record.stamp_ns.unwrap();
        path.frame(&record, &mut journal);
    }
    assert_eq!(reader.tail(), None);
    path.finish(&mut journal);
    let lines = crate::feed::Line::ALL.map(|line| *path.stream().line_counters(line));
    let Journal { player, events } = journal;
    (outcome(events, *path.stream().counters(), lines, player.books()), path.counters().lost)
}

#[test]
fn a_replay_of_a_capture_is_the_run() {
    for seed in 1..=4 {
        let live = live(seed, 20_000, 1 << 22, 16);
        assert_eq!((live.dropped, live.captured.failure.clone()), (0, None));
        let (again, lost) = again(live.file.path());
        assert_eq!(lost, 0);
        let Outcome { stream, lines, events, .. } = &live.outcome;
        assert!(events.len() > 50_000 && stream.gaps > 10 && live.captured.notes > 0, "{stream:?}");
        if late(seed) {
            assert!(lines.iter().any(|line| line.late > 0), "{lines:?}");
        } else {
            assert!(live.orders > 100, "seed {seed}: {} orders", live.orders);
        }
        assert!(live.outcome == again, "seed {seed}: {:?}, again {:?}", live.outcome.stream, again.stream);
    }
}

#[test]
fn a_capture_that_lacks_frames_says_how_many() {
    // Hardly any memory, and a writer that looks in too rarely.
    let live = live(5, 4_000, 0, 1_000);
    assert!(live.dropped > 1_000, "{}", live.dropped);
    assert!(again(live.file.path()).1 >= live.dropped);
}

/// Without our options, as another program would have captured: stamps and a timer that runs before each frame come to the
/// same gaps, where the loop was never away.
#[test]
fn captures_of_others_go_by_their_stamps() {
    let frame = |sequence: u64| {
        let mut packet = b"SESSION   ".to_vec();
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 1, 0, 12]);
        packet.extend(b"S\0\0\0\0\0\0\0\0\0\0O");
        let to = exchange::frames::Addressing::multicast(
            [2; 6],
            [10, 0, 0, 1].into(),
            [239, 1, 1, 1].into(),
            26_400,
            None,
        );
        exchange::frames::Framer::new(to).frame(&packet).unwrap().to_vec()
    };
    // Sequence 2 comes `late` ns after 3.
    let gaps = |late: u64| {
        let lines = Lines::given("239.1.1.1:26400".parse().unwrap(), None);
        let setup = Box::new(|clock: &Clock, own| setup(None, clock, own));
        let mut path = FramePath::new(lines, Clock::from_hz(NS).unwrap(), setup);
        let mut player = Player::new(Books::new(Limits { locates: 2, orders: 10, levels: 10 }).unwrap());
        for (stamp, sequence) in [(0, 1), (1_000, 3), (1_000 + late, 2)] {
            let bytes = frame(sequence);
            let record = crate::capture::Record {
                bytes: &bytes,
                stamp_ns: Some(NS + stamp),
                original_len: bytes.len() as u32,
                link_type: crate::capture::LINK_ETHERNET,
                own: None,
            };
            path.frame(&record, &mut player);
        }
        path.stream().counters().gaps
    };
    assert_eq!((gaps(4_999_999), gaps(5_000_000)), (0, 1), "5 ms is how long a hole is waited for");
}
