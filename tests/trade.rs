//! The whole way in one process and in lockstep: exchange, two lossy lines, feed, books, strategy, risk, orders,
//! replies, and back into the feed. At the end both sides must agree on every order and every position.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod counting;

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;

use wirebook::config::Config;
use wirebook::nic::replay::{End, LinkConfig, pair};
use wirebook::pipeline::finished::Finished;
use wirebook::pipeline::{Parts, Pipeline};
use wirebook::stats::clock::Clock;
use wirebook::stop::StopFlag;
use wirebook::venue::{Legacy, Setup, Venue, exchange_config};
use wirebook::worker::{Worker, assemble};

/// ns in one step of the lockstep, of the exchange's time and of ours.
const STEP: u64 = 100_000;

/// One tick is one ns.
const HZ: u64 = 1_000_000_000;

struct Run {
    finished: Finished,
    legacy: Legacy,
}

/// The demo's configuration without recovery: no thread runs here that could recover anything.
fn text() -> String {
    let (text, _recovery) = include_str!("../config/demo.toml").split_once("[recovery]").unwrap();
    text.replace("reorder_wait_us = 50000", "reorder_wait_us = 1000000")
}

fn config(edit: &[(&str, &str)]) -> Config {
    let mut text = text();
    for (from, to) in edit {
        assert!(text.contains(from), "{from} is not in the demo's configuration");
        text = text.replace(from, to);
    }
    Config::parse(&text, "demo.toml").unwrap()
}

fn run(config: &Config, seed: u64, loss_ppm: u32, steps: u64) -> Run {
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
    let clock = Clock::from_hz(HZ).unwrap();
    let (End { rx: mut venue_rx, tx: mut venue_tx }, End { rx, tx }) =
        pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
    let mut venue =
        Venue::new(&Setup::new(config, exchange_config(200_000, 40, seed, loss_ppm), StopFlag::new()))
            .unwrap();
    let (worker, _handles) = assemble(config, MAC, clock).unwrap();
    let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
    let parts: Parts<_, _> = *parts;
    let time = Rc::new(Cell::new(0));
    let mut pipeline = Pipeline::with_time(parts, vec![rx], tx, Rc::clone(&time));
    for step in 1..=steps + 40 {
        let now = step * STEP;
        time.set(now);
        if step == steps {
            // Orders that are under way are answered in the steps that are left, and what the answers lead to.
            venue.close(&mut venue_tx, now);
        }
        while venue.pump(&mut venue_rx, &mut venue_tx, now) {}
        while pipeline.poll() {}
        pipeline.tick(time.get());
    }
    Run { finished: pipeline.finish(), legacy: venue.leave() }
}

/// Our books in the exchange's own text form.
fn dump(finished: &Finished) -> String {
    let mut text = String::new();
    for order in finished.books.resting() {
        let symbol = finished.books.symbol(order.locate).unwrap();
        let side = match order.side {
            wirebook::market::Side::Buy => 'B',
            wirebook::market::Side::Sell => 'S',
        };
        writeln!(
            text,
            "{},{symbol},{side},{},{},{}",
            order.locate, order.price.0, order.order_ref, order.shares
        )
        .unwrap();
    }
    text
}

fn agree(run: &Run) -> bool {
    let theirs = String::from_utf8(run.legacy.books.clone()).unwrap();
    let (_heading, theirs) = theirs.split_once('\n').unwrap();
    dump(&run.finished) == theirs
}

fn count(run: &Run, name: &str) -> u64 {
    run.finished.tally.rows().find(|(row, _)| *row == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

#[test]
fn both_sides_agree_on_books_and_positions_while_orders_trade() {
    for seed in 1..=6 {
        // The one joins and replaces and cancels, the other takes.
        let style = if seed % 2 == 0 { "join" } else { "take" };
        let config = config(&[
            ("style = \"join\"", &format!("style = \"{style}\"")),
            ("cooldown_us = 20000", "cooldown_us = 200"),
        ]);
        let run = run(&config, seed, 20_000, 20_000);
        assert!(agree(&run), "seed {seed}: the books differ");
        let mut positions = run.finished.positions.clone();
        positions.sort_unstable();
        assert_eq!(positions, run.legacy.positions, "seed {seed}");
        assert_eq!(run.finished.stale(), 0, "seed {seed}");
        assert_eq!(count(&run, "stream_gaps"), 0, "seed {seed}: line B has what line A lost");
        // What line B brought first is what line A lost.
        assert!(count(&run, "line_b_first") > 100, "seed {seed}: nothing was lost on purpose");
        for happened in ["desk_orders_sent", "orders_accepted", "orders_executed"] {
            assert!(count(&run, happened) > 10, "seed {seed}: {happened} {}", count(&run, happened));
        }
        if style == "join" {
            for happened in ["session_replaces", "session_cancels", "orders_canceled", "orders_replaced"] {
                assert!(count(&run, happened) > 3, "seed {seed}: {happened} {}", count(&run, happened));
            }
        }
        for never in ["replies_unknown", "replies_over_executions", "session_gaps", "desk_orders_unsent"] {
            assert_eq!(count(&run, never), 0, "seed {seed}: {never}");
        }
    }
}

#[test]
fn disarmed_is_the_default_and_nothing_leaves() {
    let run = run(&config(&[("armed = true", "armed = false")]), 3, 0, 5_000);
    assert!(agree(&run));
    assert!(count(&run, "refused_disarmed") > 0, "the strategy wanted nothing");
    for never in ["desk_orders_sent", "session_enters", "orders_accepted"] {
        assert_eq!(count(&run, never), 0, "{never}");
    }
}

#[test]
fn a_hole_that_nobody_fills_makes_books_stale_and_stops_orders() {
    let mut only_a = text();
    let from = only_a.find("[feed.line.b]").unwrap();
    let to = from + only_a[from..].find("[book]").unwrap();
    // The venue still sends line B; the handler is not subscribed to it.
    only_a.replace_range(from..to, "");
    let both = config(&[]);
    let alone =
        Config::parse(&only_a.replace("reorder_wait_us = 1000000", "reorder_wait_us = 0"), "a.toml").unwrap();
    let clock = Clock::from_hz(HZ).unwrap();
    let (End { rx: mut venue_rx, tx: mut venue_tx }, End { rx, tx }) =
        pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
    let mut venue =
        Venue::new(&Setup::new(&both, exchange_config(200_000, 40, 9, 20_000), StopFlag::new())).unwrap();
    let (worker, _handles) = assemble(&alone, [2; 6], clock).unwrap();
    let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
    let time = Rc::new(Cell::new(0));
    let mut pipeline = Pipeline::with_time(*parts, vec![rx], tx, Rc::clone(&time));
    let mut sent_when_stale = None;
    for step in 1..=10_000 {
        time.set(step * STEP);
        while venue.pump(&mut venue_rx, &mut venue_tx, step * STEP) {}
        while pipeline.poll() {}
        pipeline.tick(time.get());
        let tally = pipeline.tally();
        if tally.stream.gaps > 0 && sent_when_stale.is_none() {
            sent_when_stale = Some(tally.session.enters + tally.session.replaces);
        }
    }
    let finished = pipeline.finish();
    let sent_when_stale = sent_when_stale.expect("no packet of line A was lost");
    assert_eq!(finished.books_known(), 40);
    assert_eq!(finished.stale(), 40, "one stream carries all: every book is in doubt");
    assert_eq!(finished.tally.session.enters + finished.tally.session.replaces, sent_when_stale);
    assert!(finished.tally.unwanted.other_group > 0, "line B is not subscribed to");
}

#[test]
fn the_loop_allocates_nothing_from_frame_to_order() {
    let config = config(&[("cooldown_us = 20000", "cooldown_us = 200")]);
    let clock = Clock::from_hz(HZ).unwrap();
    let (End { rx: mut venue_rx, tx: mut venue_tx }, End { rx, tx }) =
        pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
    let mut venue =
        Venue::new(&Setup::new(&config, exchange_config(200_000, 40, 5, 20_000), StopFlag::new())).unwrap();
    let (worker, mut handles) = assemble(&config, [2; 6], clock).unwrap();
    let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
    let time = Rc::new(Cell::new(0));
    let mut pipeline = Pipeline::with_time(*parts, vec![rx], tx, Rc::clone(&time));
    let mut calls = 0;
    for step in 1..=5_000 {
        time.set(step * STEP);
        while venue.pump(&mut venue_rx, &mut venue_tx, step * STEP) {}
        calls += counting::calls(|| {
            while pipeline.poll() {}
            pipeline.tick(time.get());
        });
        if step % 100 == 0 {
            calls += counting::calls(|| pipeline.publish());
            handles.stages.drain();
        }
    }
    assert_eq!(calls, 0);
    let tally = pipeline.tally();
    assert!(tally.stream.held + tally.lines[1].first > 0, "no hole was met");
    assert!(tally.desk.orders_sent > 100 && tally.desk.replies > 100, "{:?}", tally.desk);
    assert_eq!(tally.looped.samples_dropped, 0);
}
