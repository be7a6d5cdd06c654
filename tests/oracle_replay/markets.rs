//! Whole days of the simulated exchange, of several kinds and with everything that it can do, against books that know the
//! feed only: the same orders in the same queues at many points of the day, every execution that of the order in front,
//! crosses included, and every type of message.

use exchange::market::{Config, Market, Mix};
use exchange::units::Side;
use itch5::Parser;

use crate::plain::PlainBooks;
use crate::programs::say;

/// Messages of a day.
const DAY: u64 = 150_000;

/// Every type that ITCH 5.0 has.
const KINDS: &str = "ABCDEFHIJKLNOPQRSUVWXYh";

/// The kinds of days.
fn days() -> Vec<(&'static str, Config)> {
    let all = Config {
        symbols: 64,
        live_orders: 5_000,
        halt_every: 1_500,
        halt_length: 900,
        breaker_after: 40_000,
        offerings: 2,
        release_after: 3_000,
        ..Config::default()
    };
    vec![
        ("as in 2019", all),
        ("as in 2026", Config { mix: Mix::of_2026(), ..all }),
        ("two sources of references", Config { rising_refs_percent: 77, ..all }),
        ("many halts", Config { halt_every: 300, halt_length: 250, ..all }),
        ("long queues", Config { symbols: 48, live_orders: 30_000, ..all }),
        ("many instruments", Config { symbols: 1_000, ..all }),
    ]
}

/// Plays a day and compares now and then; messages, and comparisons.
fn play(what: &str, config: Config) -> (u64, u64) {
    let mut market = Market::new(config).unwrap();
    let (mut plain, mut bytes, mut compared) = (PlainBooks::default(), Vec::new(), 0u64);
    let mut messages = 0u64;
    loop {
        let over = market.step_of_day(DAY, &mut |message| {
            bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(message);
            messages += 1;
        });
        let over = over.unwrap();
        if !over && messages < (compared + 1) * 7_001 {
            continue;
        }
        Parser::new(&bytes).parse_stream(&mut plain).unwrap();
        bytes.clear();
        compared += 1;
        let resting = market.resting().map(|order| {
            (order.locate, order.side == Side::Sell, order.price, order.order_ref, order.shares)
        });
        assert!(plain.resting().eq(resting), "{what}: after {messages} messages");
        if over {
            break;
        }
    }
    let kinds: String = plain.kinds.keys().collect();
    assert_eq!(kinds, KINDS, "{what}: {:?}", plain.kinds);
    assert_eq!(plain.kinds.values().sum::<u64>(), messages);
    let least = plain.kinds.values().min().unwrap();
    assert!(*least > 0 && plain.kinds[&'Q'] > 30 && plain.kinds[&'C'] > 20, "{what}: {:?}", plain.kinds);
    (messages, compared)
}

#[test]
fn days_of_every_kind_agree_with_an_independent_decoder() {
    for (what, config) in days() {
        let mut total = (0, 0);
        for seed in 1..=3 {
            let (messages, compared) = play(what, Config { seed, ..config });
            total = (total.0 + messages, total.1 + compared);
        }
        say(&format!("oracle_replay: {what}: {} messages, equal {} times", total.0, total.1));
    }
}
