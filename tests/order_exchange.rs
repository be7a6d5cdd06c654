//! The order path against the exchange of this workspace, which has its own encoders, decoders and matching: after tens
//! of thousands of orders, our positions and open orders are those of the exchange's account.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "order_support/desk.rs"]
mod desk;
#[path = "order_support/support.rs"]
mod support;

use std::net::SocketAddrV4;

use desk::Desk;
use exchange::gateway::{self, Gateway};
use exchange::market::{self, Market, Phase};
use support::{ADDRESSING, FakeTx};
use wirebook::market::{BookState, Level, Price, Symbol, TopOfBook, TradingState};
use wirebook::order::Session;
use wirebook::risk::RiskLimits;
use wirebook::strategy::imbalance::Style;
use wirebook::strategy::{MarketView, Strategy};

const SYMBOLS: u16 = 7;

/// The exchange's own book, as a feed would show it. Locates are the instruments' indices.
fn view(market: &Market, instrument: u32, now_ns: u64) -> MarketView {
    let book = market.book(instrument).unwrap();
    let level = |side| {
        book.best(side).map(|queue| Level {
            price: Price(queue.price),
            shares: queue.shares,
            orders: queue.orders,
        })
    };
    MarketView {
        locate: instrument as u16,
        timestamp: market.time(),
        now_ns,
        top: TopOfBook { bid: level(exchange::units::Side::Buy), ask: level(exchange::units::Side::Sell) },
        book: BookState::Live,
        trading: if market.is_trading(instrument) { TradingState::Trading } else { TradingState::Halted },
    }
}

fn run(style: Style, seed: u64, steps: u64) {
    let config = market::Config {
        symbols: SYMBOLS,
        seed,
        live_orders: 600,
        halt_every: 5_000,
        halt_length: 500,
        ..market::Config::default()
    };
    let mut market = Market::new(config).unwrap();
    let mut gateway = Gateway::new(gateway::Config::default());
    let wide = u64::MAX;
    let limits = RiskLimits {
        collar_bps: 10_000,
        max_order_value: wide,
        max_gross_value: wide,
        max_long_shares: 20_000,
        max_short_shares: 20_000,
        ..desk::wide_limits()
    };
    let mut desk = Desk::new(style, 1_000, limits);
    for instrument in 0..u32::from(SYMBOLS) {
        let symbol = Symbol(market.symbol(instrument).unwrap().0);
        desk.strategy.on_instrument(instrument as u16, symbol);
        assert!(desk.risk.set_symbol(instrument as u16, symbol));
    }
    let mut tx = FakeTx::new();
    let us = SocketAddrV4::new(ADDRESSING.src_ip, ADDRESSING.src_port);
    let mut feed = |_: &[u8]| {};
    let mut read = 0;
    for step in 0..steps {
        if market.step(&mut feed) == Phase::Closed {
            break;
        }
        desk.on_top(&view(&market, (step % u64::from(SYMBOLS)) as u32, step * 1_000), &mut tx);
        while read < tx.count {
            let at = read % FakeTx::RING;
            let datagram = exchange::frames::parse(&tx.sent[at][..tx.lens[at]]).unwrap();
            assert_eq!((datagram.to.src, datagram.to.dst_port), (ADDRESSING.src_ip, ADDRESSING.dst_port));
            gateway.on_datagram(us, datagram.payload, &mut market, &mut feed);
            read += 1;
        }
        // Replies lag, so that trades meet requests under way.
        if step % 3 == 0 {
            gateway.settle(&mut market);
            gateway.send(&mut |to, payload| {
                assert_eq!(to, us);
                desk.on_reply(payload);
            });
        }
    }
    gateway.settle(&mut market);
    gateway.send(&mut |_, payload| desk.on_reply(payload));

    let account = gateway.account(us).unwrap();
    for instrument in 0..u32::from(SYMBOLS) {
        let theirs = account.position(market.symbol(instrument).unwrap());
        assert_eq!(desk.risk.blotter().holding(instrument as u16).position, theirs.shares());
    }
    let ours: std::collections::BTreeMap<u32, u64> =
        desk.risk.blotter().orders().map(|(id, order)| (id, order.open())).collect();
    let theirs =
        account.open_orders().map(|order| (order.entered.user_ref, u64::from(order.left()))).collect();
    assert_eq!(ours, theirs);

    let blotter = desk.risk.blotter();
    let c = blotter.counters();
    assert!(desk.session.healthy() && !blotter.uncertain());
    assert_eq!((c.over_executions, c.over_cancels, c.unexpected, c.unknown_replies), (0, 0, 0, 0));
    assert_eq!((c.unexplained_trades, c.duplicates, c.quantity_differs), (0, 0, 0));
    assert_eq!(gateway.counters().malformed, 0);
    match style {
        Style::Take => assert!(c.accepted > 1_000 && c.executed > 500, "{c:?}"),
        Style::Join => {
            assert!(c.accepted > 1_000 && c.executed > 100, "{c:?}");
            assert!(c.replaced > 100 && c.canceled > 1_000, "{c:?}");
        }
    }
}

#[test]
fn a_joining_strategy_agrees_with_the_exchange() {
    run(Style::Join, 11, 1_500_000);
    run(Style::Join, 12, 1_500_000);
}

#[test]
fn a_taking_strategy_agrees_with_the_exchange() {
    run(Style::Take, 13, 200_000);
}
