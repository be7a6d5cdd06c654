//! Days of the simulated exchange with everything that it can do, three ways: its own books, the strict book that knows
//! nothing but the feed, and ours. Orders in their queues, trading states and volumes agree at many points of the
//! day, and nothing that the exchange says is an anomaly to us.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use exchange::market::{Config, Market, Mix};
use exchange::reference;
use exchange::units::Side as TheirSide;
use wirebook::book::{Books, Limits};
use wirebook::feed::itch;
use wirebook::market::{Side, TradingState};

const SYMBOLS: u16 = 64;

fn config(seed: u64) -> Config {
    Config {
        symbols: SYMBOLS,
        seed,
        live_orders: 5_000,
        halt_every: 1_500,
        halt_length: 900,
        breaker_after: 40_000,
        offerings: 2,
        release_after: 3_000,
        rising_refs_percent: if seed.is_multiple_of(2) { 77 } else { 100 },
        mix: if seed.is_multiple_of(3) { Mix::of_2026() } else { Mix::default() },
        ..Config::default()
    }
}

fn agree(market: &Market, strict: &reference::Books, ours: &Books) {
    let resting = ours.resting().map(|order| {
        let side = if order.side == Side::Buy { TheirSide::Buy } else { TheirSide::Sell };
        (order.locate, side, order.price.0, order.order_ref, order.shares)
    });
    let theirs =
        market.resting().map(|order| (order.locate, order.side, order.price, order.order_ref, order.shares));
    assert!(resting.eq(theirs), "orders and their places");
    for (locate, said) in strict.said() {
        assert_eq!(ours.symbol(locate).map(|symbol| symbol.0), said.symbol.map(|symbol| symbol.0));
        assert_eq!(ours.volume(locate), strict.volume(locate), "volume of {locate}");
        let expected = match said.state {
            _ if said.operational_halt => TradingState::Halted,
            b'T' => TradingState::Trading,
            b'Q' => TradingState::QuotationOnly,
            b'P' => TradingState::Paused,
            _ => TradingState::Halted,
        };
        assert_eq!(ours.trading_state(locate), expected, "state of {locate}");
    }
}

#[test]
fn days_with_everything_agree_three_ways() {
    for seed in 1..=6 {
        let mut market = Market::new(config(seed)).unwrap();
        let mut strict = reference::Books::new();
        let limits = Limits { locates: u32::from(SYMBOLS) + 1, orders: 1 << 15, levels: 1 << 14 };
        let mut ours = Books::new(limits).unwrap();
        let mut steps = 0u64;
        loop {
            let over = market.step_of_day(120_000, &mut |message| {
                strict.apply(message).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
                ours.apply(&itch::decode(message).unwrap());
            });
            let over = over.unwrap();
            steps += 1;
            if over || steps.is_multiple_of(5_003) {
                agree(&market, &strict, &ours);
            }
            if over {
                break;
            }
        }
        assert_eq!((ours.counters().anomalies, ours.counters().crossed), (0, 0), "seed {seed}");
        let kinds: Vec<u8> = strict.by_kind().keys().copied().collect();
        assert_eq!(kinds, b"ABCDEFHIJKLNOPQRSUVWXYh", "seed {seed}");
        assert!(ours.counters().executed > 1_000 && strict.live_orders() > 2_000, "seed {seed}");
    }
}
