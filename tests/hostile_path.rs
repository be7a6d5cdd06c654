//! Damaged frames through the whole loop: nothing panics, nothing is lost uncounted, and no order leaves on a book that is
//! in doubt.
//!
//! The number of damaged frames is `WIREBOOK_CASES`, 300,000 without it; the seed is `WIREBOOK_SEED`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use exchange::frames::{Addressing, Framer};
use exchange::lines::Line;
use exchange::market::{self, Market};
use exchange::publisher::{self, Publisher};
use exchange::rng::Rng;
use wirebook::config::Config;
use wirebook::market::BookState;
use wirebook::nic::replay::ReplayTx;
use wirebook::nic::replay::{Frames, LinkConfig, ReplayRx, Rounds, pair};
use wirebook::nic::{IP_CSUM_GOOD, L4_CSUM_GOOD, MAX_FRAME};
use wirebook::order::venue::Venue as Session;
use wirebook::pipeline::Pipeline;
use wirebook::stats::clock::Clock;
use wirebook::strategy::imbalance::Imbalance;
use wirebook::worker::{Worker, assemble};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Sound frames of both lines, in order.
fn sound(seed: u64, messages: u64) -> Vec<Vec<u8>> {
    let mut market = Market::new(market::Config { symbols: 30, seed, ..market::Config::default() }).unwrap();
    let mut publisher = Publisher::new(&publisher::Config::default());
    let framer = |last| {
        let group = Ipv4Addr::new(239, 1, 1, last);
        Framer::new(Addressing::multicast([2; 6], Ipv4Addr::new(10, 0, 0, 1), group, 26_400, None))
    };
    let mut framers = [framer(1), framer(2)];
    let mut frames = Vec::new();
    let mut out = |line: Line, _, packet: &[u8]| {
        let framer = &mut framers[usize::from(line == Line::B)];
        frames.push(framer.frame(packet).unwrap().to_vec());
    };
    let mut said = 0;
    while said < messages {
        let now = said * 5_000;
        market.step(&mut |message| {
            said += 1;
            publisher.push(now, message, &mut out).unwrap();
        });
    }
    publisher.end(said * 5_000, &mut out);
    frames
}

/// One kind of damage to a copy of a frame.
fn damage(frame: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    match rng.below(6) {
        0 => bytes.truncate(rng.index(frame.len() + 1)),
        1 => {
            for _ in 0..=rng.below(8) {
                let at = rng.index(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
        }
        // Behind the headers, where sequence, count, lengths and messages are.
        2 => {
            for _ in 0..=rng.below(4) {
                let at = 42 + rng.index(bytes.len() - 42);
                bytes[at] = rng.below(256) as u8;
            }
        }
        3 => {
            let more = rng.index(MAX_FRAME - bytes.len() + 1);
            bytes.extend((0..more).map(|_| rng.below(256) as u8));
        }
        4 => bytes.iter_mut().for_each(|byte| *byte = rng.below(256) as u8),
        _ => {
            let from = rng.index(bytes.len());
            let len = rng.index(bytes.len() - from);
            bytes.drain(from..from + len);
        }
    }
    bytes
}

type Loop = Pipeline<ReplayRx, ReplayTx, Imbalance, Session, Rc<Cell<u64>>>;

/// ns from one poll to the next: a hole is given up after some polls.
const STEP: u64 = 10_000;

fn pipeline(frames: Frames, time: Rc<Cell<u64>>) -> Loop {
    // No thread runs here that could recover anything.
    let (text, _recovery) = include_str!("../config/demo.toml").split_once("[recovery]").unwrap();
    let text = text
        .replace("reorder_packets = 32768", "reorder_packets = 1024")
        .replace("max_orders = 1000000", "max_orders = 20000")
        .replace("max_levels = 300000", "max_levels = 5000")
        .replace("reorder_wait_us = 50000", "reorder_wait_us = 100");
    let config = Config::parse(&text, "demo.toml").unwrap();
    let (worker, _handles) = assemble(&config, [2; 6], Clock::from_hz(1_000_000_000).unwrap()).unwrap();
    let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
    // Nobody takes what is sent: the ring fills, and full rings are part of the test.
    let (end, _far) = pair(LinkConfig { ring: 64, buffers: 128, slot_len: 2048 });
    let rx = ReplayRx::with_rounds(frames, Rounds::Times(1), MAX_FRAME);
    Pipeline::with_time(*parts, vec![rx], end.tx, time)
}

#[test]
fn damaged_frames_are_counted_and_harm_nothing() {
    let cases = number("WIREBOOK_CASES", 300_000);
    let seed = number("WIREBOOK_SEED", 1);
    let mut rng = Rng::new(seed);
    let sound = sound(seed, 20_000);
    let mut done = 0;
    while done < cases {
        let mut frames = Frames::new();
        let mut chosen = 0;
        // A stretch of the day in order, with damaged frames between: some streams get far, some break at once.
        for frame in &sound {
            if rng.below(4) == 0 {
                let bytes = damage(frame, &mut rng);
                // Half of them as if the NIC had found the checksums good: the damage must reach the inside.
                let flags = if rng.below(2) == 0 { IP_CSUM_GOOD | L4_CSUM_GOOD } else { 0 };
                if !bytes.is_empty() {
                    frames.push_with(&bytes, 0, flags);
                    chosen += 1;
                }
            } else {
                frames.push(frame);
            }
        }
        done += chosen;
        let offered = frames.len() as u64;
        let time = Rc::new(Cell::new(0));
        let mut pipeline = pipeline(frames, Rc::clone(&time));
        while pipeline.poll() {
            time.set(time.get() + STEP);
            pipeline.tick(time.get());
        }
        pipeline.publish();
        let tally = pipeline.tally();
        // Every frame is accounted for exactly once.
        let rejected: u64 = tally.rejects.rows().iter().map(|(_, count)| count).sum();
        let unwanted: u64 = tally.unwanted.rows().iter().map(|(_, count)| count).sum();
        let lines: u64 = tally.lines.iter().map(|line| line.packets).sum();
        assert_eq!(tally.looped.frames + tally.looped.truncated, offered, "seed {seed}");
        assert_eq!(tally.session.packets, 0, "seed {seed}: a damaged frame became an order reply");
        assert_eq!(rejected + unwanted + lines, tally.looped.frames, "seed {seed}");
        assert_eq!(tally.stream.messages, tally.desk.messages, "seed {seed}");
        // Orders that were sent before anything went wrong are the only ones.
        let finished = pipeline.finish();
        finished.books.audit().unwrap_or_else(|fault| panic!("seed {seed}: {fault:?}"));
        let doubtful = tally.stream.gaps > 0 || tally.desk.undecodable_all_stale > 0;
        if doubtful {
            let live = (1..=30).filter(|locate| finished.books.state(*locate) == BookState::Live).count();
            assert_eq!(live, 0, "seed {seed}: books stayed live behind a gap");
        }
    }
}
