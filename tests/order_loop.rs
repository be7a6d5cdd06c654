//! Strategy, risk, session and a venue in a loop over random tops: positions agree with the venue's, no instrument ever
//! has two working orders, and whatever bytes come back, nothing panics and nothing unexplained goes unnoticed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "order_support/desk.rs"]
mod desk;
#[path = "order_support/support.rs"]
mod support;
#[path = "order_support/venue.rs"]
mod venue;

use std::collections::BTreeMap;

use desk::{Desk, LOCATES, symbol, wide_limits};
use support::{FakeTx, Rng, packet, reply};
use venue::Venue;
use wirebook::market::{BookState, Level, Price, TopOfBook, TradingState};
use wirebook::order::Session;
use wirebook::strategy::MarketView;
use wirebook::strategy::imbalance::Style;

/// Tops that wander and lean, with holes: empty sides, wide and crossed moments, stale books, halts.
struct Tops {
    mid: [u32; LOCATES as usize],
    lean: [u64; LOCATES as usize],
    now_ns: u64,
}

impl Tops {
    fn new() -> Self {
        Self { mid: [10_000; LOCATES as usize], lean: [500; LOCATES as usize], now_ns: 1_000_000_000 }
    }

    fn next(&mut self, rng: &mut Rng) -> MarketView {
        self.now_ns += rng.below(3_000);
        let locate = rng.below(u64::from(LOCATES)) as usize;
        if rng.one_in(4) {
            self.mid[locate] = (self.mid[locate] + 10 * rng.below(3) as u32 - 10).clamp(9_000, 11_000);
        }
        if rng.one_in(5) {
            self.lean[locate] = rng.below(1_000);
        }
        let half = if rng.one_in(30) { 40 } else { 5 };
        let level = |price, shares, rng: &mut Rng| {
            (!rng.one_in(50)).then_some(Level { price: Price(price), shares, orders: 1 })
        };
        let crossed = u32::from(rng.one_in(50)) * 20;
        let bid = level(self.mid[locate] - half + crossed, 1 + self.lean[locate], rng);
        let ask = level(self.mid[locate] + half, 1_000 - self.lean[locate], rng);
        MarketView {
            locate: locate as u16,
            timestamp: 0,
            now_ns: self.now_ns,
            top: TopOfBook { bid, ask },
            book: if rng.one_in(100) { BookState::Stale } else { BookState::Live },
            trading: if rng.one_in(100) { TradingState::Paused } else { TradingState::Trading },
        }
    }
}

fn positions_agree(desk: &Desk, venue: &Venue) {
    for locate in 0..LOCATES {
        let theirs = venue.positions.get(&symbol(locate).0).copied().unwrap_or(0);
        assert_eq!(desk.risk.blotter().holding(locate).position, theirs, "locate {locate}");
    }
}

fn one_order_each(desk: &Desk, venue: &Venue) {
    let mut by_symbol = BTreeMap::<_, u32>::new();
    for order in &venue.orders {
        *by_symbol.entry(order.symbol).or_default() += 1;
    }
    assert!(by_symbol.values().all(|count| *count == 1), "{:?}", venue.orders);
    let mut by_locate = BTreeMap::<_, u32>::new();
    for (_, order) in desk.risk.blotter().orders().filter(|(_, order)| order.replaces.is_none()) {
        *by_locate.entry(order.locate).or_default() += 1;
    }
    assert!(by_locate.values().all(|count| *count == 1));
}

fn run(style: Style, seed: u64, steps: u64) -> (Desk, Venue) {
    let mut rng = Rng(seed);
    let (mut desk, mut venue, mut tx, mut tops) =
        (Desk::new(style, 50, wide_limits()), Venue::default(), FakeTx::new(), Tops::new());
    for _ in 0..steps {
        tx.no_buffer = rng.one_in(40);
        tx.ring_full = rng.one_in(40);
        desk.on_top(&tops.next(&mut rng), &mut tx);
        venue.read(&tx, &mut rng);
        if rng.one_in(3) {
            venue.trade(&mut rng);
        }
        if rng.one_in(2)
            && let Some(payload) = venue.answer(1 + rng.below(4) as usize)
        {
            desk.on_reply(&payload);
        }
        one_order_each(&desk, &venue);
    }
    while let Some(payload) = venue.answer(30) {
        desk.on_reply(&payload);
    }
    positions_agree(&desk, &venue);
    (desk, venue)
}

#[test]
fn positions_agree_with_the_venue_and_orders_are_one_each() {
    for (style, seed) in [(Style::Join, 1), (Style::Join, 2), (Style::Take, 3), (Style::Take, 4)] {
        let (desk, venue) = run(style, seed, 100_000);
        let c = desk.risk.blotter().counters();
        assert!(!desk.risk.blotter().uncertain() && desk.session.healthy());
        assert_eq!((c.over_executions, c.over_cancels, c.quantity_differs, c.unexpected), (0, 0, 0, 0));
        assert_eq!((c.unknown_replies, c.duplicates, c.unexplained_trades), (0, 0, 0));
        // Every path was walked.
        assert!(venue.enters > 1_000 && c.executed > 500 && c.rejected > 50, "{c:?}");
        if style == Style::Join {
            assert!(venue.replaces > 100 && venue.cancels > 500, "{} {}", venue.replaces, venue.cancels);
            assert!(c.replaced > 100 && c.canceled > 100 && c.cancel_rejects > 20, "{c:?}");
        }
        let s = desk.session.counters();
        assert_eq!((s.enters, s.replaces, s.cancels), (venue.enters, venue.replaces, venue.cancels));
        assert!(s.no_buffer > 10 && s.ring_full > 10, "{s:?}");
        // What is still open here is what is open there.
        let open = desk.risk.blotter().orders().filter(|(_, order)| order.replaces.is_none()).count();
        assert_eq!(open, venue.orders.len());
    }
}

#[test]
fn a_lost_reply_stops_new_orders_and_leaves_cancels() {
    let mut rng = Rng(5);
    let (mut desk, mut venue, mut tx, mut tops) =
        (Desk::new(Style::Join, 50, wide_limits()), Venue::default(), FakeTx::new(), Tops::new());
    let mut lost = false;
    let (mut enters_before, mut cancels_before) = (0, 0);
    for step in 0..20_000 {
        desk.on_top(&tops.next(&mut rng), &mut tx);
        venue.read(&tx, &mut rng);
        if let Some(payload) = venue.answer(1) {
            if step > 5_000 && !lost {
                lost = true;
                continue;
            }
            desk.on_reply(&payload);
            if lost && enters_before == 0 {
                (enters_before, cancels_before) = (venue.enters, venue.cancels);
                assert!(!desk.session.healthy() && desk.risk.blotter().uncertain());
            }
        }
    }
    assert!(enters_before > 0);
    assert_eq!(venue.enters, enters_before);
    assert!(venue.cancels > cancels_before, "resting orders are still taken back");
}

#[test]
fn any_reply_bytes_are_survived() {
    let cases: u64 = std::env::var("WIREBOOK_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut rng = Rng(6);
    let (mut desk, mut tx, mut tops) =
        (Desk::new(Style::Join, 50, wide_limits()), FakeTx::new(), Tops::new());
    let (mut sequence, mut empty) = (1, 0);
    let mut out = [0; 512];
    for _ in 0..cases {
        if rng.one_in(8) {
            // As an operator would, after a look at the venue's books.
            desk.session.resume();
            desk.risk.reconciled();
            for locate in 0..LOCATES {
                assert!(desk.risk.set_position(locate, 0, Price(10_000)));
            }
            desk.on_top(&tops.next(&mut rng), &mut tx);
        }
        let open: Vec<u32> = desk.risk.blotter().orders().map(|(id, _)| id).collect();
        let recent = match open.len() as u64 {
            n if n > 0 && !rng.one_in(5) => open[rng.below(n) as usize],
            _ => rng.below(1_000) as u32,
        };
        let (shares, price, number) = (rng.below(300) as u32, rng.below(1 << 34), rng.below(50));
        let message = match rng.below(9) {
            0 => reply::accepted(recent, b'B', shares, price, b'L'),
            1 => reply::executed(recent, shares, price, number),
            2 => reply::canceled(recent, shares, b'U'),
            3 => reply::replaced(recent, recent + 1, b'S', shares, price),
            4 => reply::rejected(recent, 1),
            5 => reply::broken(recent, number),
            6 => reply::aiq_canceled(recent, shares),
            7 => reply::short(b"PIQ"[rng.below(3) as usize], recent),
            _ => (0..rng.below(70)).map(|_| rng.below(256) as u8).collect(),
        };
        let mut bytes = packet(&mut out, sequence, &[&message]).to_vec();
        match rng.below(6) {
            0 => bytes.truncate(rng.below(bytes.len() as u64 + 1) as usize),
            1 => {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << rng.below(8);
            }
            2 => bytes.extend((0..rng.below(9)).map(|_| rng.below(256) as u8)),
            3 => bytes[18..20].copy_from_slice(&(rng.below(3) as u16).to_be_bytes()),
            _ => {}
        }
        desk.on_reply(&bytes);
        sequence = if rng.one_in(100) { rng.below(u64::MAX) } else { sequence.wrapping_add(1) };
        // What is held in sum is what the orders hold: nothing leaks, whatever came.
        let blotter = desk.risk.blotter();
        if blotter.orders().next().is_none() {
            empty += 1;
            assert_eq!((blotter.open_value(), blotter.open_orders()), (0, 0));
        }
    }
    let s = desk.session.counters();
    assert!(s.bad_packets > cases / 1_000 && s.bad_messages > cases / 1_000, "{s:?}");
    assert!(s.events > cases / 100 && s.gaps > cases / 1_000 && s.foreign_packets > cases / 1_000, "{s:?}");
    let c = desk.risk.blotter().counters();
    assert!(
        c.executed > cases / 1_000 && c.broken > cases / 10_000 && empty > cases / 1_000,
        "{c:?} {empty}"
    );
}
