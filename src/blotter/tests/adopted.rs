//! Orders of a process before this one.

use super::*;

const ABC: Symbol = Symbol(*b"ABC     ");
const XYZ: Symbol = Symbol(*b"XYZ     ");

fn adopted(symbol: Symbol, side: Side, shares: u32, price: u32) -> OrderEventKind {
    OrderEventKind::Adopted {
        symbol,
        side,
        short: false,
        time_in_force: TimeInForce::Day,
        shares,
        price: Price(price),
        order_ref: 9,
        live: true,
    }
}

/// Applies an event that no strategy hears of.
fn quietly(blotter: &mut Blotter, user_ref_num: u32, kind: OrderEventKind) {
    assert_eq!(blotter.apply(&event(user_ref_num, kind)), None);
}

const RESUMED: OrderEventKind = OrderEventKind::Resumed { next: 100 };

#[test]
fn an_earlier_order_lives_on_under_its_locate() {
    let mut b = blotter();
    b.name(LOCATE, ABC);
    quietly(&mut b, 4, adopted(ABC, Side::Buy, 100, 500));
    assert_eq!((b.open_orders(), b.adopted_orders(), b.open_value()), (1, 1, 50_000));
    assert_eq!(b.take_moved(), None);
    quietly(&mut b, 4, executed(30, 490, 1));
    assert_eq!((b.holding(LOCATE).position, b.holding(LOCATE).open_buy), (30, 70));
    assert_eq!((b.take_moved(), b.take_moved()), (Some((LOCATE, 30)), None));
    assert_eq!(b.position_value(), 30 * 490);
    quietly(&mut b, 4, executed(30, 490, 1));
    assert_eq!((b.holding(LOCATE).position, b.counters().duplicates), (30, 1));
    // Replaced by the earlier process, to 120 shares left.
    quietly(&mut b, 7, replaced(4, 120, 510));
    let order = *b.order(7).unwrap();
    assert_eq!((order.open(), order.executed, order.price, order.locate), (120, 30, Price(510), LOCATE));
    assert!(order.adopted && !order.pending() && b.order(4).is_none());
    assert_eq!((b.open_orders(), b.adopted_orders(), b.open_value()), (1, 1, 120 * 510));
    quietly(&mut b, 7, canceled(20));
    assert!(!b.uncertain() && b.adopting());
    quietly(&mut b, 0, RESUMED);
    // It is cancelled like any other.
    b.mark_cancel(7, true);
    assert_eq!(b.to_cancel(&mut [0; 4]), 0);
    quietly(&mut b, 7, canceled(100));
    assert_eq!((b.open_orders(), b.adopted_orders(), b.open_value()), (0, 0, 0));
    // Its trade may be taken back even now.
    quietly(&mut b, 4, OrderEventKind::Broken { match_number: 1, reason: b'E' });
    assert_eq!((b.take_moved(), b.counters().broken), (Some((LOCATE, 0)), 1));
    assert_eq!(b.counters().replies_that_do_not_fit(), 0);
}

#[test]
fn what_has_no_locate_waits_for_the_feed_and_nothing_is_certain_meanwhile() {
    let mut b = blotter();
    quietly(&mut b, 1, adopted(ABC, Side::Buy, 100, 500));
    quietly(&mut b, 2, adopted(XYZ, Side::Sell, 10, 900));
    assert_eq!((b.symbols_unnamed(), b.open_value(), b.order(1).unwrap().locate), (2, 59_000, 0));
    assert!(b.uncertain());
    quietly(&mut b, 2, executed(10, 900, 8));
    quietly(&mut b, 1, executed(40, 490, 9));
    assert_eq!((b.take_moved(), b.position_value()), (None, 40 * 490 + 10 * 900));
    quietly(&mut b, 0, RESUMED);
    assert_eq!((b.uncertain(), b.symbols_unnamed()), (true, 2));

    b.name(LOCATE, ABC);
    let holding = b.holding(LOCATE);
    assert_eq!((holding.position, holding.open_buy, holding.mark), (40, 60, Price(490)));
    assert_eq!((b.take_moved(), b.order(1).unwrap().locate), (Some((LOCATE, 40)), LOCATE));
    assert_eq!((b.symbols_unnamed(), b.uncertain()), (1, true));
    // What comes now goes where it belongs.
    quietly(&mut b, 1, executed(60, 480, 10));
    assert_eq!((b.holding(LOCATE).position, b.holding(LOCATE).open_buy), (100, 0));
    quietly(&mut b, 1, OrderEventKind::Broken { match_number: 9, reason: b'E' });
    assert_eq!(b.take_moved(), Some((LOCATE, 60)));

    // Flat without a locate: nobody has to wait for it.
    quietly(&mut b, 2, OrderEventKind::Broken { match_number: 8, reason: b'E' });
    assert_eq!((b.symbols_unnamed(), b.uncertain(), b.take_moved()), (0, false, None));
    b.name(5, XYZ);
    assert_eq!((b.take_moved(), b.position_value()), (Some((5, 0)), 60 * 480));
    assert_eq!(b.counters().replies_that_do_not_fit(), 0);
}

#[test]
fn names_of_the_feed_end_with_its_session() {
    let mut b = blotter();
    b.name(LOCATE, ABC);
    b.forget_names();
    quietly(&mut b, 1, adopted(ABC, Side::Buy, 100, 500));
    assert_eq!((b.symbols_unnamed(), b.holding(LOCATE).open_buy), (1, 0));
    // One that waits, waits on.
    b.forget_names();
    quietly(&mut b, 2, adopted(ABC, Side::Buy, 100, 500));
    assert_eq!(b.symbols_unnamed(), 1);
    b.name(4, ABC);
    assert_eq!((b.holding(4).open_buy, b.order(2).unwrap().locate, b.uncertain()), (200, 4, false));
}

#[test]
fn what_cannot_be_adopted_leaves_positions_uncertain() {
    // No room: four chains and as many replacements.
    let mut b = blotter();
    b.name(LOCATE, ABC);
    for id in 1..=8 {
        quietly(&mut b, id, adopted(ABC, Side::Buy, 1, 1));
    }
    assert_eq!((b.open_orders(), b.is_full(), b.uncertain()), (8, true, false));
    quietly(&mut b, 9, adopted(ABC, Side::Buy, 1, 1));
    assert_eq!((b.open_orders(), b.uncertain(), b.counters().unadopted), (8, true, 1));
    // Room or not, it is replaced.
    let mut b = blotter();
    for id in 1..=8 {
        quietly(&mut b, id, adopted(ABC, Side::Buy, 1, 1));
    }
    quietly(&mut b, 9, replaced(3, 5, 2));
    assert_eq!((b.open_orders(), b.open_value(), b.order(9).unwrap().total), (8, 17, 5));

    // More symbols than there are locates.
    let mut b = blotter();
    for id in 1..=8 {
        quietly(&mut b, id, adopted(Symbol([id as u8; 8]), Side::Buy, 1, 1));
        quietly(&mut b, id, canceled(1));
    }
    assert!(!b.uncertain());
    quietly(&mut b, 9, adopted(Symbol([9; 8]), Side::Buy, 1, 1));
    assert!(b.uncertain() && b.counters().unadopted == 1);

    // Not in the order of the numbers; after the venue had said all; after an order of our own.
    for early in [adopted(ABC, Side::Buy, 1, 1), RESUMED] {
        let mut b = blotter();
        quietly(&mut b, 5, early);
        let id = if b.adopting() { 5 } else { 6 };
        quietly(&mut b, id, adopted(ABC, Side::Buy, 1, 1));
        assert!(b.uncertain() && b.counters().unadopted == 1);
    }
    let mut b = blotter();
    assert!(b.reserve(1, new(Side::Buy, 1, 1)));
    quietly(&mut b, 2, adopted(ABC, Side::Buy, 1, 1));
    assert!(b.uncertain() && b.counters().unadopted == 1 && b.open_orders() == 1);

    // A replacement of what is not known.
    let mut b = blotter();
    b.name(LOCATE, ABC);
    quietly(&mut b, 2, adopted(ABC, Side::Buy, 1, 1));
    quietly(&mut b, 3, replaced(1, 5, 2));
    assert!(b.uncertain() && b.counters().unknown_replies == 1);
}

#[test]
fn what_is_dead_or_refused_leaves_nothing() {
    let mut b = blotter();
    let dead = match adopted(ABC, Side::Sell, 100, 500) {
        OrderEventKind::Adopted { symbol, side, short, time_in_force, shares, price, order_ref, .. } => {
            OrderEventKind::Adopted {
                symbol,
                side,
                short,
                time_in_force,
                shares,
                price,
                order_ref,
                live: false,
            }
        }
        other => other,
    };
    quietly(&mut b, 1, dead);
    quietly(&mut b, 2, REJECTED);
    assert_eq!((b.open_orders(), b.adopted_orders(), b.uncertain()), (0, 0, false));
    assert_eq!((b.counters().rejected, b.counters().adopted, b.counters().unknown_replies), (1, 1, 0));
    // Later, it is nobody's.
    quietly(&mut b, 0, RESUMED);
    quietly(&mut b, 3, REJECTED);
    assert_eq!(b.counters().unknown_replies, 1);
}
