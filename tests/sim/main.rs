//! The whole handler against the whole venue, under virtual time, in one thread, from a seed: see `docs/simulation.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "a run tells what it saw")]

mod client;
mod draw;
mod faults;
mod handler;
mod net;
mod runner;
mod storm;
mod truth;
mod world;

/// A part of what `make sim` runs.
#[test]
fn seeds() {
    runner::run(1..=runner::FEW);
}

/// What `make sim` runs: the seeds that the environment names in `SEEDS`, as `1..1000` or `4711`.
#[test]
#[ignore = "make sim"]
fn many_seeds() {
    runner::run(runner::asked_for());
}
