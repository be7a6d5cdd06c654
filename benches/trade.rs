//! Tick to trade: the exchange and wirebook, two programs, over memif, and how long each stage took.
//! `make bench-trade` (arguments: `--seconds N --rounds N --config FILE --huge`)
//!
//! Every stage is real: both lines, full-depth books, 26 features, a perceptron of 26 → 32 → 16 → 1, every check of risk, the journal,
//! OUCH 5.0 in SoupBinTCP over a TCP of our own.
//!
//! | row | what comes |
//! |---|---|
//! | one at a time | 50,000 packets a second with one message each, evenly: whatever it leads to is done before the next one comes |
//! | cold | 200 a second: each is the first after 5 ms without any |
//! | load | 100,000 messages a second, several in a packet, five times that in bursts of 10 ms |
//!
//! The handler's loop has a CPU of its own; everything else (the exchange, both control threads) shares the other one. In each
//! round, the rows are taken in turn, and before and after each the jitter probe of `wirebook doctor` spins on the loop's CPU:
//! where that is late, so is the loop, and tails are of the machine. Printed are the medians of the rounds. The stages are those
//! of the stage clock (`stats/stages.rs`): from the beginning of the poll to the return of `tx_burst`, every stage real, without the
//! NIC; TSC reads are not counted. A figure of two virtual CPUs says little about another machine: run it on yours.
//!
//! memif copies a frame into the loop's memory, and an order out of it. With `--huge`, both programs have their memory on huge
//! pages (reserve 256 of 2 MiB: `tools/dpdk-devbind-wrapper.sh hugepages 256`), the loop reads and writes what the exchange does,
//! and nothing is copied (`zero-copy`): nearer to a NIC. Either way a frame's lines come from the other CPU, one after another: how
//! long one takes is printed first.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

#[path = "trade/goals.rs"]
mod goals;
#[path = "trade/line.rs"]
mod line;
#[path = "trade/model.rs"]
mod model;
#[path = "trade/run.rs"]
mod run;

use std::collections::BTreeMap;
use std::process::ExitCode;

use goals::{Budget, GOALS, STAGES};
use run::{Kind, Latencies, Machine, Quantiles, Run};

type Trouble = Box<dyn std::error::Error>;

/// What was asked for.
struct Asked {
    seconds: u64,
    rounds: usize,
    config: Option<String>,
    huge: bool,
}

impl Asked {
    fn parse() -> Result<Self, Trouble> {
        let mut asked = Self { seconds: 20, rounds: 3, config: None, huge: false };
        // cargo adds --bench.
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--seconds" => asked.seconds = value()?.parse().map_err(|_| "--seconds wants a number")?,
                "--rounds" => asked.rounds = value()?.parse().map_err(|_| "--rounds wants a number")?,
                "--huge" => asked.huge = true,
                "--config" => asked.config = Some(value()?),
                _ => {
                    return Err(format!(
                        "{arg}: --seconds N, --rounds N, --config FILE and --huge are known"
                    )
                    .into());
                }
            }
        }
        if asked.seconds < 3 || asked.rounds == 0 {
            return Err("at least 3 seconds and one round".into());
        }
        Ok(asked)
    }
}

/// The median.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// Of several rounds, the median of each figure.
fn together(rounds: &[&Latencies]) -> Latencies {
    let names: Vec<&String> = rounds.first().map(|first| first.keys().collect()).unwrap_or_default();
    let of = |name: &str, pick: fn(&Quantiles) -> u64| {
        median(rounds.iter().filter_map(|round| round.get(name)).filter(|q| q.count > 0).map(pick).collect())
    };
    let row = |name: &String| {
        let at = |pick| of(name, pick).unwrap_or(0);
        let quantiles = Quantiles {
            count: at(|q| q.count),
            p50: at(|q| q.p50),
            p90: at(|q| q.p90),
            p99: at(|q| q.p99),
            p999: at(|q| q.p999),
            max: at(|q| q.max),
        };
        (name.clone(), quantiles)
    };
    names.into_iter().map(row).collect()
}

fn stage_table(title: &str, latencies: &Latencies) {
    println!("\n{title}, ns\n");
    println!("| stage | count | p50 | p90 | p99 | p99.9 | max |");
    println!("|---|---|---|---|---|---|---|");
    for name in STAGES.iter().chain(&["wait", "rx_to_tx"]) {
        let Some(q) = latencies.get(*name).filter(|q| q.count > 0) else {
            println!("| {name} | 0 | – | – | – | – | – |");
            continue;
        };
        println!("| {name} | {} | {} | {} | {} | {} | {} |", q.count, q.p50, q.p90, q.p99, q.p999, q.max);
    }
}

/// Ours beside the budgets.
fn goal_table(warm: &Latencies) {
    let of = |name: &str, pick: fn(&Quantiles) -> u64| warm.get(name).filter(|q| q.count > 0).map(pick);
    println!("\nns at p50, warm, one message a packet\n");
    println!("| | {} | rx→tx p50 | p99 |", STAGES.join(" | "));
    println!("|---|{}---|---|", "---|".repeat(STAGES.len()));
    for Budget { name, stages, way } in &GOALS {
        let cells = stages.iter().map(|goal| goal.map_or("–".to_owned(), |ns| format!("≤ {ns}")));
        println!("| {name} | {} | ≤ {} | ≤ {} |", cells.collect::<Vec<_>>().join(" | "), way.0, way.1);
    }
    let ours: Vec<_> = STAGES.iter().map(|name| of(name, |q| q.p50)).collect();
    let way = (of("rx_to_tx", |q| q.p50), of("rx_to_tx", |q| q.p99));
    let cell = |value: &Option<u64>| value.map_or("–".to_owned(), |ns| ns.to_string());
    let cells: Vec<_> = ours.iter().map(cell).collect();
    println!("| **here** | {} | {} | {} |", cells.join(" | "), cell(&way.0), cell(&way.1));
    for Budget { name, stages, way: (p50, p99) } in &GOALS {
        let word = |ours: Option<u64>, goal: Option<u64>| match (ours, goal) {
            (Some(ours), Some(goal)) if ours <= goal => "reached",
            (Some(_), Some(_)) => "not reached",
            _ => "–",
        };
        let cells: Vec<_> = ours.iter().zip(stages).map(|(ours, goal)| word(*ours, *goal)).collect();
        let way = (word(way.0, Some(*p50)), word(way.1, Some(*p99)));
        println!("| {name} | {} | {} | {} |", cells.join(" | "), way.0, way.1);
    }
}

fn all() -> Result<(), Trouble> {
    let asked = Asked::parse()?;
    let machine = Machine::find()?;
    println!("wirebook {}, {}", env!("CARGO_PKG_VERSION"), wirebook::host::machine::describe());
    println!(
        "{} rounds of {} s a row; the loop on CPU {}, everything else on CPU {}",
        asked.rounds, asked.seconds, machine.hot, machine.other
    );
    println!(
        "memory on {}; a cache line from CPU {} to CPU {}: {:.0} ns",
        if asked.huge { "huge pages, frames not copied" } else { "small pages, frames copied by memif" },
        machine.other,
        machine.hot,
        machine.line()?
    );
    let mut runs: BTreeMap<Kind, Vec<Run>> = BTreeMap::new();
    for round in 1..=asked.rounds {
        for kind in Kind::ALL {
            let run = machine.run(kind, asked.seconds, asked.config.as_deref(), asked.huge)?;
            println!("round {round}, {}: {}", kind.name(), run.summary());
            for (when, jitter) in [("before", &run.before), ("after", &run.after)] {
                println!("  jitter {when}: {jitter}");
            }
            runs.entry(kind).or_default().push(run);
        }
    }
    let of = |kind: Kind, pick: fn(&Run) -> &Latencies| {
        together(&runs.get(&kind).into_iter().flatten().map(pick).collect::<Vec<_>>())
    };
    let warm = of(Kind::OneAtATime, |run| &run.warm);
    stage_table("one at a time, warm", &warm);
    stage_table("cold: each the first after 5 ms", &of(Kind::Cold, |run| &run.cold));
    stage_table("under load, all", &of(Kind::Load, |run| &run.all));
    for kind in [Kind::OneAtATime, Kind::Load] {
        if let Some(run) = runs.get(&kind).and_then(|runs| runs.last()) {
            println!("\nrounds of the loop, {}: {}", kind.name(), run.rounds());
        }
    }
    goal_table(&warm);
    Ok(())
}

fn main() -> ExitCode {
    match all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-trade: {why}");
            ExitCode::FAILURE
        }
    }
}
