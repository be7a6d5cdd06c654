//! What happens at the limits, and that a limit on one thing is not reached by another.

use wirebook::book::{Anomaly, Books, LimitError, Limits, MAX_LEVELS, MAX_LOCATES, MAX_ORDERS, Outcome};
use wirebook::market::{BookState, EventKind, Price, Side};

use crate::behaviour::{add, at, fine, live_books, replace};

#[test]
fn limits_out_of_range_are_refused_with_the_range() {
    let good = Limits { locates: 2, orders: 1, levels: 1 };
    assert!(Books::new(good).is_ok());
    let refused = |limits| Books::new(limits).unwrap_err();
    assert_eq!(refused(Limits { locates: 1, ..good }), LimitError::Locates(1));
    assert_eq!(refused(Limits { locates: MAX_LOCATES + 1, ..good }), LimitError::Locates(65_537));
    assert_eq!(refused(Limits { orders: 0, ..good }), LimitError::Orders(0));
    assert_eq!(refused(Limits { orders: MAX_ORDERS + 1, ..good }), LimitError::Orders(1 << 31));
    assert_eq!(refused(Limits { levels: 0, ..good }), LimitError::Levels(0));
    assert_eq!(refused(Limits { levels: MAX_LEVELS + 1, ..good }), LimitError::Levels((1 << 31) + 1));
    let absurd = Limits { locates: u32::MAX, orders: u32::MAX, levels: u32::MAX };
    assert!(absurd.memory_bytes() > 1 << 38, "an estimate for any limits");
    let text = LimitError::Locates(1).to_string();
    assert_eq!(text, "a limit of 1 locates is not in 2 ..= 65536");
}

#[test]
fn the_default_limits_hold_a_full_day() {
    let limits = Limits::default();
    assert_eq!(limits.locates, MAX_LOCATES);
    assert!(limits.orders >= 7_000_000 && limits.levels >= 2_000_000);
    assert!((780_000_000..830_000_000).contains(&limits.memory_bytes()), "{}", limits.memory_bytes());
}

#[test]
fn one_order_and_one_level_are_enough_for_one_order() {
    let mut books = live_books(Limits { locates: 4, orders: 1, levels: 1 });
    for order_ref in 1..100 {
        fine(&mut books, add(order_ref, Side::Buy, 10, 50));
        fine(&mut books, replace(order_ref, order_ref << 8, 10, 51));
        fine(&mut books, EventKind::Delete { order_ref: order_ref << 8 });
    }
    assert_eq!(books.usage().orders_peak, 1);
}

#[test]
fn an_order_too_many_is_refused_and_only_its_book_is_doubted() {
    for orders in [1, 2, 7] {
        let mut books = live_books(Limits { locates: 4, orders, levels: 100 });
        for order_ref in 0..u64::from(orders) {
            fine(&mut books, add(order_ref, Side::Buy, 10, 50));
        }
        let change = books.apply(&at(2, add(99, Side::Buy, 10, 50)));
        assert_eq!((change.outcome, change.top_changed), (Outcome::Anomaly(Anomaly::OrderLimit), false));
        assert_eq!((books.state(1), books.state(2)), (BookState::Live, BookState::Stale));
        assert_eq!((books.counters().order_limit, books.usage().orders), (1, orders));
        assert_eq!(books.order(99), None);
        // A replacement needs no more room than it frees, and what leaves makes room again.
        fine(&mut books, replace(0, 50, 10, 51));
        fine(&mut books, EventKind::Delete { order_ref: 50 });
        fine(&mut books, add(60, Side::Sell, 10, 50));
        books.audit().unwrap();
    }
}

#[test]
fn a_level_too_many_is_refused_and_only_its_book_is_doubted() {
    for levels in [1, 2, 7, 40] {
        let mut books = live_books(Limits { locates: 4, orders: 100, levels });
        for price in 1..=levels {
            fine(&mut books, add(u64::from(price), Side::Sell, 10, price));
        }
        let change = books.apply(&at(2, add(99, Side::Buy, 10, 1)));
        assert_eq!((change.outcome, change.top_changed), (Outcome::Anomaly(Anomaly::LevelLimit), false));
        assert_eq!((books.state(1), books.state(2)), (BookState::Live, BookState::Stale));
        assert_eq!((books.counters().level_limit, books.usage().levels), (1, levels));
        fine(&mut books, add(98, Side::Sell, 10, levels));
        // The order at the last price has company now, so its level stays when it goes elsewhere.
        let change = books.apply(&at(1, replace(u64::from(levels), 97, 10, 1_000)));
        assert_eq!(change.outcome, Outcome::Anomaly(Anomaly::LevelLimit));
        assert_eq!(books.order(u64::from(levels)), None, "the replaced order has left all the same");
        assert_eq!(books.state(1), BookState::Stale);
        books.audit().unwrap();
    }
}

#[test]
fn every_level_of_the_limit_can_be_used_wherever_it_is() {
    // One level on each of many sides needs most nodes for the levels; few deep sides need most inner nodes.
    let limits = Limits { locates: 1_000, orders: 4_000, levels: 1_998 };
    for sides in [1_998_u32, 1_000, 37, 1] {
        let mut books = Books::new(limits).unwrap();
        for i in 0..limits.levels {
            let side = if i % sides % 2 == 0 { Side::Buy } else { Side::Sell };
            let locate = (i % sides / 2 + 1) as u16;
            let price = Price(i.wrapping_mul(2_654_435_761) | 1);
            let kind = EventKind::Add { order_ref: u64::from(i), side, shares: 1, price };
            assert_ne!(books.apply(&at(locate, kind)).outcome, Outcome::Anomaly(Anomaly::LevelLimit));
        }
        assert_eq!(books.audit().unwrap().levels, limits.levels);
    }
}

/// What one book was refused costs the others nothing, and the book can be made anew once there is room.
#[test]
fn a_book_that_met_a_limit_comes_back_when_there_is_room() {
    let orders = Limits { locates: 4, orders: 6, levels: 100 };
    let levels = Limits { locates: 4, orders: 100, levels: 6 };
    for (limits, why) in [(orders, Anomaly::OrderLimit), (levels, Anomaly::LevelLimit)] {
        let mut books = live_books(limits);
        for order_ref in 1..=4 {
            fine(&mut books, add(order_ref, Side::Buy, 10, 50 + order_ref as u32));
        }
        for order_ref in [11, 12] {
            assert_eq!(
                books.apply(&at(2, add(order_ref, Side::Sell, 10, order_ref as u32))).outcome,
                Outcome::Applied
            );
        }
        for order_ref in 13..=15 {
            let change = books.apply(&at(2, add(order_ref, Side::Sell, 10, order_ref as u32)));
            assert_eq!((change.outcome, change.top_changed), (Outcome::Anomaly(why), false));
        }
        let counters = books.counters();
        assert_eq!((counters.order_limit + counters.level_limit, counters.went_stale), (3, 1));
        // The others go on, as full as it is: what leaves makes room for what joins.
        for order_ref in 1..=4 {
            fine(&mut books, EventKind::Execute { order_ref, shares: 5, price: None, printable: true });
            fine(&mut books, replace(order_ref, order_ref + 20, 5, 70));
            fine(&mut books, EventKind::Cancel { order_ref: order_ref + 20, shares: 1 });
        }
        assert_eq!(
            [1, 2, 3].map(|locate| books.state(locate)),
            [BookState::Live, BookState::Stale, BookState::Live]
        );
        // Room on the one side, a snapshot of the book on the other.
        for order_ref in 21..=23 {
            fine(&mut books, EventKind::Delete { order_ref });
        }
        assert!(books.drain(2, 100));
        for order_ref in 11..=15 {
            let change = books.apply(&at(2, add(order_ref, Side::Sell, 10, order_ref as u32)));
            assert_eq!(change.outcome, Outcome::Applied);
        }
        books.set_state(2, BookState::Live);
        assert_eq!(books.apply(&at(2, EventKind::Delete { order_ref: 13 })).outcome, Outcome::Applied);
        let left: Vec<_> = books.depth(2, Side::Sell).map(|level| level.price.0).collect();
        assert_eq!((books.state(2), left), (BookState::Live, vec![11, 12, 14, 15]));
        assert_eq!(books.counters().anomalies, 3, "nothing more than at the limit");
        books.audit().unwrap();
    }
}

#[test]
fn a_locate_too_high_is_counted_and_no_book_is_doubted() {
    let mut books = live_books(Limits { locates: 4, orders: 10, levels: 10 });
    for (count, locate) in (1..).zip([0, 4, 5, u16::MAX]) {
        let change = books.apply(&at(locate, add(1, Side::Buy, 10, 50)));
        assert_eq!(change.outcome, Outcome::Anomaly(Anomaly::LocateOutOfRange));
        assert_eq!((books.counters().locate_out_of_range, books.usage().orders), (count, 0));
        assert_eq!(books.state(locate), BookState::Stale);
    }
    assert!([1, 2, 3].iter().all(|locate| books.state(*locate) == BookState::Live));
    fine(&mut books, add(1, Side::Buy, 10, 50));
    books.audit().unwrap();
}
