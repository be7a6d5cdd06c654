//! A whole trading day, 09:30 to 16:00, under virtual time: `make sim-day`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use exchange::host;
use wirebook::journal::{Action, Kind};
use wirebook::nic::replay::{End, LinkConfig, pair};
use wirebook::order::Session;
use wirebook::pipeline::{Parts, Pipeline};
use wirebook::stats::clock::Clock;
use wirebook::stop::StopFlag;
use wirebook::strategy::Strategy;
use wirebook::venue::{Setup, Venue, exchange_config};
use wirebook::worker::{Worker, assemble};

use crate::account::Account;
use crate::lockstep::{Run, config, strategies};
use crate::with_parts;

/// From before the opening to the close.
const DAY: Duration = Duration::from_secs(10 + 23_400);

/// One tick is one ns.
const HZ: u64 = 1_000_000_000;

/// Time between two rounds of housekeeping, ns.
const TICK: u64 = 5_000_000;

/// One way through the network, ns: in that time a market may halt.
const WAY: u64 = 500_000;

/// Messages a second of the day, on the average.
const RATE: u32 = 300;

fn market(seed: u64) -> host::Config {
    let mut exchange = exchange_config(RATE, 40, seed, 1_000);
    exchange.market.halt_every = 20_000;
    exchange.market.halt_length = 2_000;
    // Less than risk allows: what is beyond it the venue rejects.
    exchange.gateway.open_orders = 30;
    exchange
}

fn play<S: Strategy, O: Session>(
    parts: Parts<S, O>,
    config: &wirebook::config::Config,
    seed: u64,
    account: &mut Account,
) -> Run {
    let link = || pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
    let (End { rx: mut venue_rx, tx: mut venue_tx }, End { rx, tx }) = link();
    let mut venue = Venue::new(&Setup::new(config, market(seed), StopFlag::new())).unwrap();
    let time = Rc::new(Cell::new(0));
    let mut pipeline = Pipeline::with_time(parts, vec![rx], tx, Rc::clone(&time));
    let close = u64::try_from(DAY.as_nanos()).unwrap();
    let (mut now, mut tick, mut closed) = (0, 0, false);
    while now < close + 1_000_000_000 {
        // The next thing that happens: at the venue, or in the loop a way later.
        now = venue.exchange().next_due().max(now + WAY).min(tick.max(now + WAY));
        time.set(now);
        if now >= close && !closed {
            closed = true;
            venue.close(&mut venue_tx, now);
        }
        while venue.pump(&mut venue_rx, &mut venue_tx, now) {}
        while pipeline.poll() {}
        if now >= tick {
            tick = now + TICK;
            pipeline.tick(now);
            account.take();
        }
    }
    account.take();
    Run { finished: pipeline.finish(), legacy: venue.leave(), calls: 0 }
}

#[test]
#[ignore = "make sim-day"]
fn a_whole_trading_day() {
    let heads = ["strategy", "messages", "sent", "accepted", "filled", "replaced", "cancelled", "rejected"];
    let cells: String = heads[1..].iter().map(|head| format!("{head:>11}")).collect();
    println!("\n{:<17}{cells}  positions  seconds", heads[0]);
    let began = Instant::now();
    let mut messages = 0;
    let rows: Vec<_> = std::thread::scope(|scope| {
        let days = strategies().map(|(name, text)| scope.spawn(move || (name, day(&text))));
        days.map(|day| day.join().unwrap()).into_iter().collect()
    });
    let mut all = [0; 6];
    for (name, (run, account, took)) in rows {
        let counts = [
            "desk_orders_sent",
            "orders_accepted",
            "orders_executed",
            "orders_replaced",
            "orders_canceled",
            "orders_rejected",
        ]
        .map(|row| run.count(row));
        let cells: String = counts.iter().map(|count| format!("{count:>11}")).collect();
        let agreed = run.agrees();
        println!(
            "{name:<17}{:>11}{cells}  {:<9}  {:>7.1}",
            run.legacy.messages,
            if agreed.is_ok() { "equal" } else { "DIFFERENT" },
            took.as_secs_f64()
        );
        agreed.unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_journal(name, &run, &account);
        assert_eq!(run.finished.stale(), 0, "{name}");
        assert!(counts[..3].iter().all(|count| *count > 100), "{name}: {counts:?}");
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        messages += run.legacy.messages;
    }
    assert!(
        all.iter().all(|sum| *sum > 100),
        "sent, accepted, filled, replaced, cancelled, rejected: {all:?}"
    );
    let took = began.elapsed().as_secs_f64();
    let days = DAY.as_secs_f64() * strategies().len() as f64;
    println!(
        "{messages} messages of {} days in {took:.0} s: {:.0} a second, {:.0} times as fast as the clock",
        strategies().len(),
        messages as f64 / took,
        days / took
    );
}

/// The journal knows of everything that the loop counts, and comes to the exchange's positions.
fn assert_journal(name: &str, run: &Run, account: &Account) {
    assert_eq!(account.positions(), run.legacy.positions, "{name}: positions by the journal");
    for (kind, action, counter) in [
        (Kind::Sent, Action::Enter, "session_enters"),
        (Kind::Sent, Action::Replace, "session_replaces"),
        (Kind::Sent, Action::Cancel, "session_cancels"),
        (Kind::Event, Action::Accepted, "orders_accepted"),
        (Kind::Event, Action::Executed, "orders_executed"),
        (Kind::Event, Action::Replaced, "orders_replaced"),
        (Kind::Event, Action::Canceled, "orders_canceled"),
        (Kind::Event, Action::Rejected, "orders_rejected"),
    ] {
        assert_eq!(account.count(kind, action), run.count(counter), "{name}: {counter} in the journal");
    }
    let refused = run.finished.tally.rows().filter(|(row, _)| row.starts_with("refused_"));
    let refused: u64 = refused.map(|(_, count)| count).sum();
    let told =
        [Action::Enter, Action::Replace, Action::Cancel].map(|action| account.count(Kind::Refused, action));
    assert_eq!(told.iter().sum::<u64>(), refused, "{name}: refusals in the journal");
}

fn day(text: &str) -> (Run, Account, Duration) {
    let began = Instant::now();
    let config = config(text);
    let clock = Clock::from_hz(HZ).unwrap();
    let (mut worker, _handles) = assemble(&config, [2, 0, 0, 0, 0, 2], clock).unwrap();
    let (writer, mut account) = Account::open();
    worker.set_journal(writer);
    let run = with_parts!(worker, parts => play(*parts, &config, 21, &mut account));
    (run, account, began.elapsed())
}
