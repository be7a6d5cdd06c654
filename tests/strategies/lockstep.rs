//! Each strategy in the whole loop, in lockstep with the exchange: both sides agree on every order and position.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;

use wirebook::config::Config;
use wirebook::market::Side;
use wirebook::nic::replay::{End, LinkConfig, pair};
use wirebook::order::Session;
use wirebook::pipeline::finished::Finished;
use wirebook::pipeline::{Parts, Pipeline};
use wirebook::stats::clock::Clock;
use wirebook::stop::StopFlag;
use wirebook::strategy::Strategy;
use wirebook::venue::{Legacy, Setup, Venue, exchange_config};
use wirebook::worker::{Worker, assemble};

use crate::counting;

/// ns in one step of the lockstep.
const STEP: u64 = 100_000;

/// One tick is one ns.
const HZ: u64 = 1_000_000_000;

pub(crate) struct Run {
    pub(crate) finished: Finished,
    pub(crate) legacy: Legacy,
    pub(crate) calls: u64,
}

impl Run {
    pub(crate) fn count(&self, name: &str) -> u64 {
        let row = self.finished.tally.rows().find(|(row, _)| *row == name);
        row.unwrap_or_else(|| panic!("no counter {name}")).1
    }

    /// Books and positions are the exchange's.
    pub(crate) fn agrees(&self) -> Result<(), String> {
        let mut ours = String::new();
        for order in self.finished.books.resting() {
            let symbol = self.finished.books.symbol(order.locate).unwrap();
            let side = if order.side == Side::Buy { 'B' } else { 'S' };
            let (price, shares) = (order.price.0, order.shares);
            writeln!(ours, "{},{symbol},{side},{price},{},{shares}", order.locate, order.order_ref).unwrap();
        }
        let theirs = String::from_utf8(self.legacy.books.clone()).unwrap();
        if theirs.split_once('\n').unwrap().1 != ours {
            return Err("the books differ".to_owned());
        }
        let mut positions = self.finished.positions.clone();
        positions.sort_unstable();
        if positions != self.legacy.positions {
            return Err(format!("positions: ours {positions:?}, theirs {:?}", self.legacy.positions));
        }
        Ok(())
    }
}

/// The demo's configuration without recovery, with other lines in `[strategy]`.
pub(crate) fn config(strategy: &str) -> Config {
    let (text, _recovery) = include_str!("../../config/demo.toml").split_once("[recovery]").unwrap();
    let text = text.replace("reorder_wait_us = 50000", "reorder_wait_us = 1000000");
    let (before, rest) = text.split_once("[strategy]").unwrap();
    let (_, after) = rest.split_once("[risk]").unwrap();
    let text = format!("{before}[strategy]\n{strategy}\n[risk]{after}");
    Config::parse(&text, "demo.toml").unwrap()
}

/// What each of them is told here.
pub(crate) fn strategies() -> [(&'static str, String); 6] {
    let common = "order_shares = 100\nmax_spread = \"0.10\"\ncooldown_us = 200";
    let model = concat!("model = \"", env!("CARGO_MANIFEST_DIR"), "/config/model.safetensors\"");
    let thresholds = "model_entry_mbp = 300\nmodel_exit_mbp = 100";
    [
        ("imbalance, take", format!("kind = \"imbalance\"\nstyle = \"take\"\n{common}")),
        ("imbalance, join", format!("kind = \"imbalance\"\nstyle = \"join\"\nexit_bp = 1000\n{common}")),
        ("model, take", format!("kind = \"model\"\nstyle = \"take\"\n{model}\n{thresholds}\n{common}")),
        ("model, join", format!("kind = \"model\"\nstyle = \"join\"\n{model}\n{thresholds}\n{common}")),
        ("maker", format!("kind = \"maker\"\n{common}")),
        ("template", format!("kind = \"template\"\n{common}")),
    ]
}

/// Calls `play` on the parts of whatever strategy a worker has.
#[macro_export]
macro_rules! with_parts {
    ($worker:expr, $parts:ident => $play:expr) => {
        match $worker {
            Worker::Imbalance($parts) => $play,
            Worker::Model($parts) => $play,
            Worker::Maker($parts) => $play,
            Worker::Template($parts) => $play,
            Worker::Books(_) => panic!("it trades"),
        }
    };
}

fn play<S: Strategy, O: Session>(
    parts: Parts<S, O>,
    config: &Config,
    (seed, steps, rehearsals): (u64, u64, u32),
) -> Run {
    let (End { rx: mut venue_rx, tx: mut venue_tx }, End { rx, tx }) =
        pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
    let exchange = exchange_config(200_000, 40, seed, 20_000);
    let mut venue = Venue::new(&Setup::new(config, exchange, StopFlag::new())).unwrap();
    let time = Rc::new(Cell::new(0));
    let mut pipeline = Pipeline::with_time(parts, vec![rx], tx, Rc::clone(&time));
    let mut calls = 0;
    for step in 1..=steps + 40 {
        let now = step * STEP;
        time.set(now);
        if step == steps {
            venue.close(&mut venue_tx, now);
        }
        while venue.pump(&mut venue_rx, &mut venue_tx, now) {}
        calls += counting::calls(|| {
            loop {
                let busy = pipeline.poll();
                for _ in 0..rehearsals {
                    pipeline.rehearse();
                }
                if !busy {
                    break;
                }
            }
            pipeline.tick(now);
        });
    }
    Run { finished: pipeline.finish(), legacy: venue.leave(), calls }
}

#[test]
fn each_trades_and_both_sides_agree() {
    for (at, (name, text)) in strategies().into_iter().enumerate() {
        let config = config(&text);
        let clock = Clock::from_hz(HZ).unwrap();
        let (worker, _handles) = assemble(&config, [2, 0, 0, 0, 0, 2], clock).unwrap();
        let run = with_parts!(worker, parts => play(*parts, &config, (11 + at as u64, 12_000, 0)));
        run.agrees().unwrap_or_else(|why| panic!("{name}: {why}"));
        let tally = &run.finished.tally.strategy;
        println!("{name}: {tally:?}");
        assert_eq!(run.calls, 0, "{name}: the loop allocates");
        assert_eq!(run.finished.stale(), 0, "{name}");
        for happened in ["desk_orders_sent", "orders_accepted", "orders_executed"] {
            assert!(run.count(happened) > 10, "{name}: {happened} {}", run.count(happened));
        }
        if name == "maker" || name.ends_with("join") {
            for happened in ["session_replaces", "session_cancels", "orders_canceled", "orders_replaced"] {
                assert!(run.count(happened) > 3, "{name}: {happened} {}", run.count(happened));
            }
        }
        if matches!(config.strategy.kind, wirebook::config::StrategyKind::Model) {
            assert!(tally.predictions > 1_000 && tally.no_prediction == 0, "{name}: {tally:?}");
        }
        if name == "maker" {
            assert!(tally.kept_place > 10 && tally.events > 10_000, "{name}: {tally:?}");
            let most = i64::from(config.strategy.maker.position);
            assert!(run.finished.positions.iter().all(|(_, shares)| shares.abs() <= most), "{name}");
        }
        for never in [
            "replies_unknown",
            "replies_over_executions",
            "session_gaps",
            "desk_orders_unsent",
            "desk_intents_dropped",
            "strategy_out_of_step",
            "strategy_strangers",
            "strategy_timeouts",
            "refused_unknown_order",
            "refused_order_busy",
            "refused_wrong_view",
            "refused_book_not_live",
            "refused_not_trading",
        ] {
            assert_eq!(run.count(never), 0, "{name}: {never}");
        }
    }
}

#[test]
fn rehearsals_change_nothing() {
    for (name, text) in strategies() {
        let config = config(&text);
        let [without, with] = [0, 2].map(|rehearsals| {
            let clock = Clock::from_hz(HZ).unwrap();
            let (worker, _handles) = assemble(&config, [2, 0, 0, 0, 0, 2], clock).unwrap();
            let run = with_parts!(worker, parts => play(*parts, &config, (5, 4_000, rehearsals)));
            run.agrees().unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(run.calls, 0, "{name}: the loop allocates");
            let rehearsed = run.count("desk_rehearsals");
            assert_eq!(rehearsed > 1_000, rehearsals > 0, "{name}: {rehearsed} rehearsals");
            assert!(run.count("desk_orders_sent") > 10, "{name}");
            let Run { finished, legacy, .. } = run;
            let rows: Vec<_> = finished.tally.rows().filter(|(row, _)| *row != "desk_rehearsals").collect();
            (rows, finished.positions, legacy.rows, legacy.positions, legacy.books)
        });
        assert_eq!(without, with, "{name}");
    }
}
