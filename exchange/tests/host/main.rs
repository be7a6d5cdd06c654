//! The venue as a whole, seen from outside: what its lines bring, what its servers answer, what it says went wrong.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod faults;
mod feed;
mod orders;
mod receiver;
mod recovery;
mod soup;

use exchange::host::{Config, Exchange, Output};
use exchange::{lines, market, publisher};

/// Ns in a ms.
const MS: u64 = 1_000_000;

/// A small venue with perfect lines and small opening.
fn small(seed: u64) -> Config {
    Config {
        rate: 100_000,
        market: market::Config {
            symbols: 20,
            seed,
            live_orders: 1_000,
            halt_every: 3_000,
            halt_length: 300,
            ..market::Config::default()
        },
        publisher: publisher::Config {
            lines: lines::Config { seed, ..lines::Config::default() },
            ..publisher::Config::default()
        },
        ..Config::default()
    }
}

fn venue(config: &Config) -> Exchange {
    Exchange::new(config).expect("a good configuration")
}

/// Ticks every `step` ns after `from` until `to`.
fn play(exchange: &mut Exchange, from: u64, to: u64, step: u64, out: &mut impl FnMut(u64, Output<'_>)) {
    let mut now = from;
    while now < to {
        now = (now + step).min(to);
        while exchange.tick(now, &mut |output| out(now, output)) {}
    }
}
