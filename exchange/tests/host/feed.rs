//! The feed of a venue on which nothing goes wrong but what the lines lose, and its orders.

use std::net::{Ipv4Addr, SocketAddrV4};

use exchange::host::{Bursts, Config, ConfigError, Exchange, Output};
use exchange::lines::LineConfig;
use exchange::market::Phase;
use exchange::units::Side;
use exchange::{lines, publisher};

use super::receiver::{Receiver, agree};
use super::{MS, play, small, venue};

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 31_000);

/// Lines that do everything but lose on both.
fn rough(seed: u64) -> Config {
    let line = LineConfig {
        loss_ppm: 20_000,
        loss_burst: 3,
        duplicate_ppm: 5_000,
        reorder_ppm: 5_000,
        reorder_depth: 4,
        jitter_ns: 20_000,
        truncate_ppm: 5_000,
        stray_ppm: 2_000,
        ..LineConfig::default()
    };
    let lines = lines::Config {
        seed,
        a: line,
        b: Some(LineConfig { delay_ns: 15_000, ..line }),
        ..lines::Config::default()
    };
    Config { publisher: publisher::Config { lines, ..publisher::Config::default() }, ..small(seed) }
}

/// An OUCH order in the test framing, at the offsets of the public document.
fn order(user_ref: u32, side: Side, symbol: [u8; 8], price: u32) -> Vec<u8> {
    let mut message = vec![0, 48, b'U', b'O'];
    message.extend_from_slice(&user_ref.to_be_bytes());
    message.push(side.code());
    message.extend_from_slice(&100u32.to_be_bytes());
    message.extend_from_slice(&symbol);
    message.extend_from_slice(&u64::from(price).to_be_bytes());
    message.extend_from_slice(b"0YPNNMY-ORDER      \0\0");
    message
}

/// An order that joins one side of an instrument, or takes the best of the other.
pub(super) fn some_order(exchange: &Exchange, user_ref: u32) -> Option<Vec<u8>> {
    let market = exchange.market();
    let instrument = user_ref % 20;
    let side = if user_ref.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let from = if user_ref.is_multiple_of(3) { side } else { side.opposite() };
    let price = market.book(instrument)?.best_price(from)?;
    Some(order(user_ref, side, market.symbol(instrument)?.0, price))
}

pub(super) fn send(exchange: &mut Exchange, now: u64, payload: &[u8], out: &mut impl FnMut(u64, Output<'_>)) {
    exchange.on_order(now, CLIENT, payload, &mut |output| out(now, output));
}

/// A day with an order every ms, closed and played to its end. Everything that came out, with its time.
fn day(config: &Config, out: &mut impl FnMut(u64, Output<'_>)) -> Exchange {
    let mut exchange = venue(config);
    for ms in 0..600 {
        play(&mut exchange, ms * MS, (ms + 1) * MS, MS / 4, out);
        if let Some(payload) = some_order(&exchange, ms as u32 + 1) {
            send(&mut exchange, (ms + 1) * MS, &payload, out);
        }
    }
    exchange.close(600 * MS, &mut |output| out(600 * MS, output));
    assert!(!exchange.is_over());
    play(&mut exchange, 600 * MS, 1_000 * MS, MS, out);
    assert!(exchange.is_over());
    exchange
}

fn row(exchange: &Exchange, name: &str) -> u64 {
    exchange.rows().iter().find(|(row, _)| row == name).expect("a row of that name").1
}

#[test]
fn two_rough_lines_make_the_markets_own_books_while_orders_trade() {
    for seed in 1..=4 {
        let (mut receiver, mut replies) = (Receiver::default(), 0u64);
        let exchange = day(&rough(seed), &mut |_, output| {
            replies += u64::from(matches!(output, Output::Reply { to: CLIENT, .. }));
            receiver.take(output);
        });
        let session = exchange.publisher().session();
        let said = exchange.market().counters().messages;
        let (last, _) = receiver.messages[&session].last_key_value().expect("messages");
        assert_eq!(*last, said);
        assert_eq!(exchange.publisher().next_sequence(), said + 1);
        // 600 ms at 100,000 a second, and what the orders and the close made it say.
        assert!((59_900..62_500).contains(&said), "{said}");
        assert!(agree(&receiver.books(session), &exchange) && receiver.differing == 0);
        assert!(exchange.market().resting().count() > 500);
        // Three times on each line in the 400 ms after the close.
        assert_eq!(receiver.ends[&session], 6);
        assert!(receiver.messages.len() > 1, "strays came");
        assert!(replies > 300 && !exchange.positions().is_empty());
        assert!(row(&exchange, "market_outside_orders") > 200 && row(&exchange, "gateway_executed") > 100);
        let cut = row(&exchange, "line_a_truncated") + row(&exchange, "line_b_truncated");
        assert!(receiver.bad > 0 && receiver.bad <= cut * 2);
        assert_eq!(row(&exchange, "feed_packets_lost_on_both"), 0);
        assert!(row(&exchange, "line_a_lost") > 50 && row(&exchange, "line_b_lost") > 20);
    }
}

#[test]
fn same_config_same_inputs_same_outputs() {
    let log = |seed| {
        let mut log = Vec::new();
        let exchange = day(&rough(seed), &mut |now, output| log.push((now, format!("{output:?}"))));
        (log, exchange.rows())
    };
    let first = log(7);
    assert!(first == log(7));
    assert!(first.0 != log(8).0);
}

#[test]
fn what_the_lines_bring_does_not_depend_on_how_often_somebody_looks() {
    let run = |step| {
        let mut exchange = venue(&rough(3));
        let mut log = Vec::new();
        play(&mut exchange, 0, 300 * MS, step, &mut |_, output| log.push(format!("{output:?}")));
        log
    };
    let often = run(1_000);
    assert!(often.len() > 1_000 && often == run(MS) && often == run(300 * MS));

    // Nor is anything missed by who looks only when something is due.
    let mut exchange = venue(&rough(3));
    let mut log = Vec::new();
    while exchange.next_due() <= 300 * MS {
        let due = exchange.next_due();
        exchange.tick(due, &mut |output| log.push(format!("{output:?}")));
    }
    assert!(often == log);
}

#[test]
fn the_rate_is_kept_and_bursts_come_at_their_times() {
    let bursts = Bursts { every_ns: 100 * MS, length_ns: 10 * MS, factor: 10 };
    let mut exchange = venue(&Config { bursts: Some(bursts), ..small(1) });
    let said = |exchange: &mut Exchange, from: u64, to: u64| {
        let before = exchange.market().counters().messages;
        play(exchange, from * MS, to * MS, MS, &mut |_, _| {});
        exchange.market().counters().messages - before
    };
    // A step may say several messages at once.
    for (from, to, expected) in [(0, 100, 10_000), (100, 110, 10_000), (110, 200, 9_000), (200, 210, 10_000)]
    {
        let got = said(&mut exchange, from, to);
        assert!(got.abs_diff(expected) <= 50, "{from} to {to} ms: {got}");
    }
    assert_eq!(exchange.market().phase(), Phase::Open);
}

#[test]
fn a_venue_that_contradicts_itself_is_refused() {
    let bursts = |every_ns, length_ns, factor| Bursts { every_ns, length_ns, factor };
    for bursts in [bursts(MS - 1, 5, 2), bursts(MS, MS, 2), bursts(MS, 5, 0)] {
        let refused = Exchange::new(&Config { bursts: Some(bursts), ..small(1) }).err();
        assert_eq!(refused, Some(ConfigError::Bursts));
    }
    assert!(matches!(Exchange::new(&Config { rate: 0, ..small(1) }), Err(ConfigError::Market(_))));
}
