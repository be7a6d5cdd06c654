//! From a changed top to a sent frame, and from a reply to a position, nothing is allocated.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counting;
#[path = "order_support/desk.rs"]
mod desk;
#[path = "order_support/support.rs"]
mod support;

use desk::{Desk, LOCATES, wide_limits};
use support::{FakeTx, packet, reply};
use wirebook::market::{BookState, Level, Price, TopOfBook, TradingState};
use wirebook::order::Session;
use wirebook::order::wutf::HEARTBEAT_NS;
use wirebook::risk::RiskLimits;
use wirebook::strategy::MarketView;
use wirebook::strategy::imbalance::Style;

fn view(locate: u16, bid: u32, lean: u64, now_ns: u64) -> MarketView {
    let level = |price, shares| Some(Level { price: Price(price), shares, orders: 1 });
    MarketView {
        locate,
        timestamp: 0,
        now_ns,
        top: TopOfBook { bid: level(bid, lean), ask: level(10_020, 1_000 - lean) },
        book: BookState::Live,
        trading: TradingState::Trading,
    }
}

#[test]
fn nothing_is_allocated_between_a_top_and_the_wire() {
    let limits = RiskLimits { repeat_window_ns: 10_000, ..wide_limits() };
    let mut desk = Desk::new(Style::Join, 50, limits);
    let mut tx = FakeTx::new();
    // Replies are made beforehand: per round an accept, a replacement, a part of a trade and its end.
    let rounds = 2_000_u32;
    let mut packets = Vec::new();
    for round in 0..rounds {
        let (order, next) = (2 * round + 1, 2 * round + 2);
        let mut out = [0; 1_024];
        let sequence = 5 * u64::from(round) + 1;
        packets.push([
            packet(&mut out, sequence, &[&reply::accepted(order, b'B', 100, 10_000, b'L')]).to_vec(),
            packet(&mut out, sequence + 1, &[&reply::replaced(order, next, b'B', 100, 10_010)]).to_vec(),
            packet(
                &mut out,
                sequence + 2,
                &[
                    &reply::executed(next, 30, 10_010, u64::from(round)),
                    &reply::broken(next, u64::from(round)),
                    &reply::canceled(next, 70, b'U'),
                ],
            )
            .to_vec(),
        ]);
    }
    let calls = counting::calls(|| {
        for (round, [accepted, replaced, rest]) in (0_u64..).zip(&packets) {
            let locate = (round % u64::from(LOCATES)) as u16;
            let now_ns = 1_000_000 * (round + 1);
            desk.on_top(&view(locate, 10_000, 900, now_ns), &mut tx);
            desk.on_reply(accepted);
            desk.on_top(&view(locate, 10_010, 900, now_ns + 2_000), &mut tx);
            desk.on_reply(replaced);
            desk.on_top(&view(locate, 10_010, 500, now_ns + 4_000), &mut tx);
            desk.on_reply(rest);
            desk.on_reply(&rest[..25]);
            desk.on_reply(rest);
            let housekeeping = now_ns + 2 * round * HEARTBEAT_NS;
            desk.session.poll(housekeeping, &mut tx, &mut |_| {});
            desk.session.poll(housekeeping + HEARTBEAT_NS, &mut tx, &mut |_| {});
        }
    });
    assert_eq!(calls, 0);
    let s = desk.session.counters();
    assert_eq!((s.enters, s.replaces, s.cancels), (2_000, 2_000, 2_000));
    assert_eq!((s.events, s.bad_packets, s.duplicates), (10_000, 2_000, 6_000));
    assert_eq!(s.heartbeats, 2_000);
    let c = desk.risk.blotter().counters();
    assert_eq!((c.executed, c.broken, c.canceled), (2_000, 2_000, 2_000));
}
