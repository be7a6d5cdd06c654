//! Runs seeds on all processors, and tells what came of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::draw::Draw;
use crate::faults::Kind;
use crate::storm::{self, Outcome};

/// Seeds of a usual test run.
pub(crate) const FEW: u64 = 200;

/// Every so many seeds, one is run twice and must come out the same.
const TWICE: u64 = 16;

/// Failures that are printed.
const SHOWN: usize = 10;

#[derive(Default)]
struct Sums {
    runs: u64,
    messages: u64,
    orders: u64,
    books: u64,
    features: u64,
    all_live: u64,
    kinds: BTreeMap<Kind, u64>,
    rows: BTreeMap<&'static str, (u64, u64)>,
    recoveries: Vec<u64>,
    failures: Vec<(u64, String)>,
    /// Seeds in which something was counted under the name in `WITH`, and how much.
    with: Vec<(u64, u64)>,
}

/// The seeds that the environment asks for.
pub(crate) fn asked_for() -> RangeInclusive<u64> {
    let text = std::env::var("SEEDS").unwrap_or_else(|_| "1..1000".to_owned());
    let number = |text: &str| text.trim().parse().expect("SEEDS is a number or a range: 1..1000");
    match text.split_once("..") {
        Some((first, last)) => number(first)..=number(last.trim_start_matches('=')),
        None => number(&text)..=number(&text),
    }
}

fn once(seed: u64, story: bool) -> Result<Outcome, String> {
    let run = || storm::run(Draw::new(seed), story);
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .map_or_else(|| "panicked".to_owned(), |text| format!("panicked: {text}")))
    })
}

fn checked(seed: u64, story: bool) -> Result<Outcome, String> {
    let outcome = once(seed, story)?;
    if seed.is_multiple_of(TWICE) && once(seed, false)?.digest != outcome.digest {
        return Err("the same seed came out otherwise the second time".to_owned());
    }
    Ok(outcome)
}

/// Runs `seeds` and fails if one of them did.
pub(crate) fn run(seeds: RangeInclusive<u64>) {
    let began = Instant::now();
    let story = seeds.start() == seeds.end();
    if story {
        println!("{}", Draw::new(*seeds.start()).tell());
    }
    // For whoever only asks whether there is a failure: the first one ends the run.
    let stop_early = std::env::var_os("SEEDS_STOP").is_some();
    let next = AtomicU64::new(*seeds.start());
    let sums = Mutex::new(Sums::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    let outcome = checked(seed, story);
                    if stop_early && outcome.is_err() {
                        next.store(seeds.end() + 1, Ordering::Relaxed);
                    }
                    sums.lock().unwrap().add(seed, outcome);
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap();
    println!(
        "seeds {}..{}: {:.1} s on {threads} threads",
        seeds.start(),
        seeds.end(),
        began.elapsed().as_secs_f64()
    );
    sums.tell(story);
    assert!(sums.failures.is_empty(), "{} of {} seeds failed", sums.failures.len(), sums.runs);
}

impl Sums {
    fn add(&mut self, seed: u64, outcome: Result<Outcome, String>) {
        self.runs += 1;
        let kinds: std::collections::BTreeSet<_> =
            Draw::new(seed).faults.iter().map(|fault| fault.kind).collect();
        for kind in kinds {
            *self.kinds.entry(kind).or_default() += 1;
        }
        match outcome {
            Err(why) => self.failures.push((seed, why)),
            Ok(outcome) => {
                self.messages += outcome.messages;
                self.orders += outcome.checks.orders;
                self.books += outcome.checks.books;
                self.features += outcome.checks.features;
                self.all_live += u64::from(outcome.all_live);
                self.recoveries.extend(outcome.checks.recoveries);
                for (name, value) in outcome.rows {
                    if value > 0 && std::env::var("WITH").is_ok_and(|with| with == name) {
                        self.with.push((seed, value));
                    }
                    let row = self.rows.entry(name).or_default();
                    row.0 += value;
                    row.1 += u64::from(value > 0);
                }
            }
        }
    }

    fn tell(&self, story: bool) {
        let Self { runs, messages, orders, books, features, all_live, .. } = self;
        println!(
            "{runs} runs: {messages} messages, {orders} orders, {books} times all live books and {features} times the features of one \
             compared"
        );
        println!("{all_live} ended with every book live, the others with books that say that they are not");
        println!("\nfault                     seeds");
        for kind in Kind::ALL {
            println!("  {:<22} {:>6}", format!("{kind:?}"), self.kinds.get(&kind).copied().unwrap_or(0));
        }
        let mut times = self.recoveries.clone();
        times.sort_unstable();
        println!("\ntimes until every book was live again: {}", times.len());
        for percent in [10, 50, 90, 99, 100] {
            if let Some(time) = times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))) {
                println!("  {percent:>3} % within {:>10.3} ms", *time as f64 / 1e6);
            }
        }
        println!("\ncounter                                     sum   seeds with it");
        let shown =
            ["stream_", "repair_", "recovery_", "book_", "refused_", "orders_", "desk_", "rx_", "session_"];
        for (name, (sum, seeds)) in &self.rows {
            if story || (*sum > 0 && shown.iter().any(|prefix| name.starts_with(prefix))) {
                println!("  {name:<34} {sum:>12} {seeds:>8}");
            }
        }
        if !self.with.is_empty() {
            println!("\nseeds with it: {:?}", self.with);
        }
        for (seed, why) in self.failures.iter().take(SHOWN) {
            println!("\nFAILED seed {seed}: {why}");
            print!("{}", Draw::new(*seed).tell());
            println!("  again, with its story: make sim SEEDS={seed}");
        }
        let others: Vec<_> = self.failures.iter().skip(SHOWN).map(|(seed, _)| *seed).collect();
        if !others.is_empty() {
            println!("\nalso failed: {others:?}");
        }
    }
}
