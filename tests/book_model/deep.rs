//! Books as deep, as many and as badly numbered as they come.

use std::time::{Duration, Instant};

use wirebook::book::{Books, Limits, Outcome};
use wirebook::market::{Event, EventKind, Price, Side};

use crate::behaviour::{add, at, live_books};

/// A full period over 32 bits: every value once, in no order.
fn scatter(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761)
}

#[test]
fn fifteen_thousand_levels_on_one_side() {
    const LEVELS: u32 = 15_353;
    for side in [Side::Buy, Side::Sell] {
        let mut books = live_books(Limits { locates: 4, orders: 20_000, levels: LEVELS });
        // All prices once, in a scattered order: 7,919 is prime to the number of levels.
        let prices: Vec<u32> = (0..LEVELS).map(|i| 1 + i * 7_919 % LEVELS).collect();
        let mut best = None;
        for price in &prices {
            let change = books.apply(&at(1, add(u64::from(*price), side, *price, *price)));
            assert_eq!(change.outcome, Outcome::Applied);
            let better =
                best.is_none_or(|best| if side == Side::Buy { *price > best } else { *price < best });
            assert_eq!(change.top_changed, better);
            if better {
                best = Some(*price);
            }
        }
        assert_eq!(books.level_count(1, side), LEVELS);
        let depth: Vec<u32> = books.depth(1, side).map(|level| level.price.0).collect();
        let rising = depth.iter().rev().copied().eq(1..=LEVELS);
        let falling = depth.iter().copied().eq(1..=LEVELS);
        assert_eq!((rising, falling), (side == Side::Buy, side == Side::Sell));
        books.audit().unwrap();
        for price in &prices {
            assert_eq!(
                books.apply(&at(1, EventKind::Delete { order_ref: u64::from(*price) })).outcome,
                Outcome::Applied
            );
        }
        assert_eq!((books.usage().levels, books.usage().orders, books.counters().anomalies), (0, 0, 0));
    }
}

#[test]
fn long_queues_cost_no_more_than_short_ones() {
    const ORDERS: u32 = 200_000;
    let mut books = live_books(Limits { locates: 4, orders: ORDERS, levels: 1 });
    for order_ref in 0..ORDERS {
        books.apply(&at(1, add(u64::from(order_ref), Side::Buy, 1, 50)));
    }
    assert_eq!(books.queue_position(u64::from(ORDERS) - 1).unwrap().orders_ahead, ORDERS - 1);
    // From the middle outwards: a queue that must be searched takes minutes for this.
    for step in 0..ORDERS {
        let offset = step.div_ceil(2);
        let order_ref = if step % 2 == 0 { ORDERS / 2 + offset } else { ORDERS / 2 - offset };
        let order_ref = u64::from(order_ref % ORDERS);
        assert_eq!(books.apply(&at(1, EventKind::Delete { order_ref })).outcome, Outcome::Applied);
    }
    assert_eq!(books.resting().count(), 0);
}

#[test]
fn no_choice_of_references_makes_the_index_slow() {
    const ORDERS: u32 = 300_000;
    // Every reference in one slot of the index; a chain or a probe sequence would take 4.5e10 steps.
    let choices: [fn(u64) -> u64; 4] =
        [|i| i << 32, |i| i.reverse_bits(), |i| i.rotate_left(20), |i| u64::MAX - (i << 24)];
    for choice in choices {
        let started = Instant::now();
        let mut books = live_books(Limits { locates: 4, orders: ORDERS, levels: 1_000 });
        let reference = |i: u32| choice(u64::from(i));
        for i in 0..ORDERS {
            let change = books.apply(&at(1, add(reference(i), Side::Sell, 1, 1 + i % 1_000)));
            assert_eq!(change.outcome, Outcome::Applied);
        }
        books.audit().unwrap();
        for i in 0..ORDERS {
            let order_ref = reference(scatter(i) % ORDERS);
            assert_eq!(books.order(order_ref).map(|order| order.order_ref), Some(order_ref));
        }
        for i in (0..ORDERS).rev() {
            let change = books.apply(&at(1, EventKind::Delete { order_ref: reference(i) }));
            assert_eq!(change.outcome, Outcome::Applied);
        }
        assert_eq!(books.usage().orders, 0);
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }
}

#[test]
fn seven_million_live_orders_on_thirteen_thousand_instruments() {
    const ORDERS: u32 = 7_000_000;
    const LOCATES: u16 = 13_000;
    let mut books = Books::new(Limits { locates: 1 << 16, orders: ORDERS, levels: 1 << 21 }).unwrap();
    let started = Instant::now();
    // References of a whole day: up to 2.4e9, rising on the whole, with gaps.
    let order_ref = |i: u32| u64::from(i) * 342 + u64::from(scatter(i) % 300);
    let event = |i: u32| {
        let locate = 1 + (scatter(i) >> 8) as u16 % LOCATES;
        let side = if scatter(i) >> 7 & 1 == 0 { Side::Buy } else { Side::Sell };
        let price = Price(10_000 + scatter(i ^ 0x5555) % 75 * 100);
        Event {
            locate,
            timestamp: 0,
            kind: EventKind::Add { order_ref: order_ref(i), side, shares: 1 + i % 9, price },
        }
    };
    for i in 0..ORDERS {
        books.apply(&event(i));
    }
    let counters = books.counters();
    // No directory was sent; apart from that every order must be in.
    assert_eq!((counters.added, counters.anomalies - counters.no_directory), (u64::from(ORDERS), 0));
    assert!(books.usage().levels > 1_850_000, "{:?}", books.usage());
    assert_eq!(books.audit().unwrap().orders, ORDERS);
    let mut shares = 0_u64;
    for i in 0..ORDERS {
        // Each once, scattered: 7,000,003 is prime to the number of orders.
        let i = (u64::from(i) * 7_000_003 % u64::from(ORDERS)) as u32;
        let Event { locate, .. } = event(i);
        shares += u64::from(books.order(order_ref(i)).unwrap().shares);
        books.apply(&at(locate, EventKind::Delete { order_ref: order_ref(i) }));
    }
    assert_eq!((books.usage().orders, books.usage().levels), (0, 0));
    assert_eq!(shares, (0..u64::from(ORDERS)).map(|i| 1 + i % 9).sum::<u64>());
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
}
