use super::*;
use crate::blotter::{OrderEvent, OrderEventKind, OrderState};
use crate::market::Symbol;

mod adopted;

const LOCATE: u16 = 3;

fn blotter() -> Blotter {
    Blotter::new(BlotterLimits { locates: 8, orders: 4, fills: 3 })
}

fn new(side: Side, shares: u32, price: u32) -> NewOrder {
    let time_in_force = TimeInForce::Day;
    NewOrder { locate: LOCATE, side, short: false, shares, price: Price(price), time_in_force }
}

fn event(user_ref_num: u32, kind: OrderEventKind) -> OrderEvent {
    OrderEvent { user_ref_num, timestamp: 1, kind }
}

fn accepted(shares: u32, price: u32) -> OrderEventKind {
    OrderEventKind::Accepted { shares, price: Price(price), order_ref: 9, live: true }
}

fn executed(shares: u32, price: u32, match_number: u64) -> OrderEventKind {
    OrderEventKind::Executed { shares, price: Price(price), match_number, liquidity: b'A' }
}

fn canceled(shares: u32) -> OrderEventKind {
    OrderEventKind::Canceled { shares, reason: b'U' }
}

fn replaced(original: u32, shares: u32, price: u32) -> OrderEventKind {
    OrderEventKind::Replaced { original, shares, price: Price(price), order_ref: 10, live: true }
}

const REJECTED: OrderEventKind = OrderEventKind::Rejected { reason: 7 };

fn open(order: u32, shares: u32, price: u32, pending: bool) -> OrderState {
    OrderState::Open { order, shares, price: Price(price), pending }
}

/// Applies an event and returns the state of the order afterwards.
fn apply(blotter: &mut Blotter, user_ref_num: u32, kind: OrderEventKind) -> Option<OrderState> {
    blotter.apply(&event(user_ref_num, kind)).map(|update| {
        assert_eq!((update.locate, update.event.user_ref_num), (LOCATE, user_ref_num));
        assert_eq!(update.position, blotter.holding(LOCATE).position);
        update.state
    })
}

/// A blotter with a live buy order 1 of 100 shares at 500.
fn with_live_order() -> Blotter {
    let mut blotter = blotter();
    assert!(blotter.reserve(1, new(Side::Buy, 100, 500)));
    assert_eq!(apply(&mut blotter, 1, accepted(100, 500)), Some(open(1, 100, 500, false)));
    blotter
}

fn sums(blotter: &Blotter) -> (i64, u64, u64, u128, u128) {
    let holding = blotter.holding(LOCATE);
    let (open, held) = (blotter.open_value(), blotter.position_value());
    (holding.position, holding.open_buy, holding.open_sell, open, held)
}

#[test]
fn an_order_counts_from_clearing_to_its_end() {
    let mut b = blotter();
    assert!(b.reserve(1, new(Side::Buy, 100, 500)));
    assert_eq!(sums(&b), (0, 100, 0, 50_000, 0));
    assert!(b.order(1).is_some_and(OpenOrder::pending));
    assert_eq!(apply(&mut b, 1, accepted(100, 490)), Some(open(1, 100, 490, false)));
    assert_eq!(sums(&b), (0, 100, 0, 49_000, 0));
    assert_eq!(apply(&mut b, 1, executed(30, 480, 1)), Some(open(1, 70, 490, false)));
    assert_eq!(sums(&b), (30, 70, 0, 34_300, 14_400));
    assert_eq!(apply(&mut b, 1, canceled(20)), Some(open(1, 50, 490, false)));
    assert_eq!(apply(&mut b, 1, executed(50, 470, 2)), Some(OrderState::Closed));
    assert_eq!(sums(&b), (80, 0, 0, 0, 37_600));
    assert_eq!((b.open_orders(), b.orders().count()), (0, 0));
    assert!(!b.uncertain());
}

#[test]
fn sells_go_short_and_rejects_leave_nothing() {
    let mut b = blotter();
    assert!(b.reserve(1, new(Side::Sell, 100, 500)));
    assert_eq!(apply(&mut b, 1, executed(100, 510, 1)), Some(OrderState::Closed));
    assert_eq!(sums(&b), (-100, 0, 0, 0, 51_000));
    assert!(b.reserve(2, new(Side::Sell, 100, 500)));
    assert_eq!(apply(&mut b, 2, REJECTED), Some(OrderState::Closed));
    assert_eq!(sums(&b), (-100, 0, 0, 0, 51_000));
    let dead = OrderEventKind::Accepted { shares: 100, price: Price(500), order_ref: 0, live: false };
    assert!(b.reserve(3, new(Side::Buy, 100, 500)));
    assert_eq!(apply(&mut b, 3, dead), Some(OrderState::Closed));
    assert_eq!(b.open_orders(), 0);
}

#[test]
fn a_replacement_holds_the_worst_of_both_until_answered() {
    let mut b = with_live_order();
    apply(&mut b, 1, executed(40, 500, 1));
    // 60 open at 500; to be 200 open at 510: total 240.
    assert!(b.reserve_replacement(1, 2, 240, Price(510)));
    assert_eq!(b.holding(LOCATE).open_buy, 200);
    assert_eq!(b.open_value(), 200 * 510);
    assert_eq!(b.open_orders(), 1);
    assert!(!b.reserve_replacement(1, 3, 300, Price(510)), "one at a time");
    // The old one trades meanwhile: the chain's worst case shrinks with it.
    assert_eq!(apply(&mut b, 1, executed(10, 500, 2)), Some(open(1, 50, 510 - 10, true)));
    assert_eq!(b.holding(LOCATE).open_buy, 190);
    assert_eq!(apply(&mut b, 2, replaced(1, 190, 510)), Some(open(2, 190, 510, false)));
    assert_eq!(sums(&b), (50, 190, 0, 190 * 510, 50 * 500));
    assert_eq!(apply(&mut b, 2, executed(190, 505, 3)), Some(OrderState::Closed));
    assert_eq!((b.open_orders(), b.open_value(), b.holding(LOCATE).position), (0, 0, 240));
    assert_eq!(b.counters().quantity_differs, 0);
}

#[test]
fn a_smaller_replacement_frees_nothing_before_it_is_answered() {
    let mut b = with_live_order();
    assert!(b.reserve_replacement(1, 2, 10, Price(400)));
    assert_eq!(sums(&b), (0, 100, 0, 50_000, 0));
    assert_eq!(apply(&mut b, 2, replaced(1, 10, 400)), Some(open(2, 10, 400, false)));
    assert_eq!(sums(&b), (0, 10, 0, 4_000, 0));
}

#[test]
fn a_rejected_or_released_replacement_leaves_the_old_order() {
    let mut b = with_live_order();
    assert!(b.reserve_replacement(1, 2, 300, Price(600)));
    assert_eq!(apply(&mut b, 2, REJECTED), Some(open(1, 100, 500, false)));
    assert_eq!(sums(&b), (0, 100, 0, 50_000, 0));
    assert!(b.reserve_replacement(1, 3, 300, Price(600)));
    b.release(3);
    assert_eq!(sums(&b), (0, 100, 0, 50_000, 0));
    assert!(b.reserve_replacement(1, 4, 300, Price(600)), "the chain is free again");
}

#[test]
fn when_the_old_order_ends_its_replacement_is_dropped() {
    let mut b = with_live_order();
    assert!(b.reserve_replacement(1, 2, 300, Price(600)));
    // Part of it is cancelled first: the surplus of the replacement grows by what the old one lost.
    apply(&mut b, 1, canceled(40));
    assert_eq!(b.holding(LOCATE).open_buy, 300);
    assert_eq!(apply(&mut b, 1, canceled(60)), Some(OrderState::Closed));
    assert_eq!(sums(&b), (0, 0, 0, 0, 0));
    assert_eq!(apply(&mut b, 2, REJECTED), None);
    assert_eq!(b.counters().late_replies, 1);
    assert!(!b.uncertain());
}

#[test]
fn a_replacement_that_trades_has_taken_place() {
    let mut b = with_live_order();
    assert!(b.reserve_replacement(1, 2, 120, Price(510)));
    assert_eq!(apply(&mut b, 2, executed(20, 505, 1)), Some(open(2, 100, 510, false)));
    assert!(b.order(1).is_none());
    assert_eq!(apply(&mut b, 2, replaced(1, 100, 510)), Some(open(2, 100, 510, false)));
    assert_eq!(b.counters().duplicates, 1);
    assert_eq!(sums(&b), (20, 100, 0, 51_000, 20 * 505));
}

#[test]
fn cancels_are_pending_until_answered() {
    let mut b = with_live_order();
    b.mark_cancel(1, true);
    assert!(!b.reserve_replacement(1, 2, 10, Price(1)));
    assert_eq!(apply(&mut b, 1, OrderEventKind::CancelPending), Some(open(1, 100, 500, true)));
    assert_eq!(apply(&mut b, 1, OrderEventKind::CancelReject), Some(open(1, 100, 500, false)));
    b.mark_cancel(1, true);
    // Self-match prevention takes some; our cancel is still unanswered.
    let aiq = OrderEventKind::Canceled { shares: 10, reason: b'Q' };
    assert_eq!(apply(&mut b, 1, aiq), Some(open(1, 90, 500, true)));
    assert_eq!(apply(&mut b, 1, canceled(90)), Some(OrderState::Closed));
}

#[test]
fn a_kill_switch_finds_what_is_left_to_cancel() {
    let mut b = with_live_order();
    assert!(b.reserve_replacement(1, 2, 10, Price(400)));
    assert!(b.reserve(3, new(Side::Sell, 100, 500)));
    let mut out = [0; 2];
    assert_eq!(b.to_cancel(&mut out), 2, "as many as fit");
    for id in out {
        b.mark_cancel(id, true);
    }
    let mut rest = [0; 8];
    assert_eq!(b.to_cancel(&mut rest), 1);
    let mut all = [out[0], out[1], rest[0]];
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
}

#[test]
fn broken_trades_are_undone_once() {
    let mut b = with_live_order();
    apply(&mut b, 1, executed(100, 500, 7));
    let broken = |match_number| OrderEventKind::Broken { match_number, reason: b'E' };
    assert_eq!(apply(&mut b, 1, broken(7)), Some(OrderState::Unaffected));
    assert_eq!(sums(&b), (0, 0, 0, 0, 0));
    assert_eq!(apply(&mut b, 1, broken(7)), None);
    assert_eq!((b.counters().broken, b.counters().duplicates), (1, 1));
    assert!(!b.uncertain());
    assert_eq!(apply(&mut b, 1, broken(8)), None);
    assert!(b.uncertain());
    assert_eq!(b.counters().unexplained_trades, 1);
}

#[test]
fn a_forgotten_fill_makes_a_broken_trade_unexplained() {
    let mut b = with_live_order();
    for match_number in 1..=4 {
        apply(&mut b, 1, executed(1, 500, match_number));
    }
    apply(&mut b, 1, OrderEventKind::Broken { match_number: 2, reason: b'E' });
    assert!(!b.uncertain());
    apply(&mut b, 1, OrderEventKind::Broken { match_number: 1, reason: b'E' });
    assert!(b.uncertain(), "only the latest three are remembered");
    b.reconciled();
    assert!(!b.uncertain());
}

#[test]
fn repetitions_change_nothing() {
    let mut b = with_live_order();
    apply(&mut b, 1, executed(10, 500, 1));
    let before = sums(&b);
    assert_eq!(apply(&mut b, 1, executed(10, 500, 1)), None);
    assert_eq!(apply(&mut b, 1, accepted(100, 500)), Some(open(1, 90, 500, false)));
    assert_eq!(sums(&b), before);
    assert_eq!(b.counters().duplicates, 2);
}

#[test]
fn replies_that_do_not_fit_are_counted() {
    let mut b = with_live_order();
    for kind in [REJECTED, executed(0, 500, 1), canceled(0), replaced(9, 5, 5)] {
        let before = sums(&b);
        assert_eq!(apply(&mut b, 1, kind), Some(open(1, 100, 500, false)), "{kind:?}");
        assert_eq!(sums(&b), before);
    }
    // "Replaced" for an order that is no replacement counts as seen before.
    assert_eq!((b.counters().unexpected, b.counters().duplicates), (3, 1));
    assert_eq!(apply(&mut b, 99, accepted(1, 1)), None);
    assert_eq!(apply(&mut b, 0, canceled(1)), None);
    assert_eq!(b.counters().unknown_replies, 2);
    assert!(!b.uncertain());
    assert_eq!(apply(&mut b, 99, executed(1, 1, 1)), None);
    assert!(b.uncertain());
}

#[test]
fn a_late_execution_makes_positions_uncertain() {
    let mut b = with_live_order();
    apply(&mut b, 1, canceled(100));
    assert_eq!(apply(&mut b, 1, executed(5, 500, 1)), None);
    assert_eq!((b.counters().late_replies, b.counters().unexplained_trades), (1, 1));
    assert!(b.uncertain());
}

#[test]
fn too_much_is_taken_as_the_venue_says_and_counted() {
    let mut b = with_live_order();
    assert_eq!(apply(&mut b, 1, executed(130, 500, 1)), Some(OrderState::Closed));
    assert_eq!(sums(&b), (130, 0, 0, 0, 65_000));
    assert!(b.reserve(2, new(Side::Sell, 100, 500)));
    assert_eq!(apply(&mut b, 2, canceled(101)), Some(OrderState::Closed));
    assert_eq!(sums(&b), (130, 0, 0, 0, 65_000));
    assert_eq!((b.counters().over_executions, b.counters().over_cancels), (1, 1));
    assert!(b.reserve(3, new(Side::Buy, 100, 500)));
    assert_eq!(apply(&mut b, 3, accepted(150, 500)), Some(open(3, 150, 500, false)));
    assert_eq!((b.counters().quantity_differs, b.holding(LOCATE).open_buy), (1, 150));
}

#[test]
fn modified_and_moved_orders_follow_the_venue() {
    let mut b = with_live_order();
    apply(&mut b, 1, executed(10, 500, 1));
    assert_eq!(apply(&mut b, 1, OrderEventKind::Modified { shares: 5 }), Some(open(1, 5, 500, false)));
    let moved = OrderEventKind::PriorityUpdate { price: Price(480), order_ref: 77 };
    assert_eq!(apply(&mut b, 1, moved), Some(open(1, 5, 480, false)));
    assert_eq!(b.open_value(), 5 * 480);
    assert_eq!(apply(&mut b, 1, OrderEventKind::Restated { reason: b'R' }), Some(open(1, 5, 480, false)));
}

#[test]
fn limits_hold() {
    let mut b = blotter();
    for id in 1..=4 {
        assert!(b.reserve(id, new(Side::Buy, 1, 1)));
        apply(&mut b, id, accepted(1, 1));
    }
    assert!(b.is_full() && !b.reserve(5, new(Side::Buy, 1, 1)));
    for id in 1..=4 {
        assert!(b.reserve_replacement(id, 10 + id, 2, Price(1)), "a full blotter can still replace");
    }
    assert_eq!(b.orders().count(), 8);
    assert!(!blotter().reserve(1, NewOrder { locate: 8, ..new(Side::Buy, 1, 1) }));
    assert!(!b.set_position(8, 1, Price(1)));
}

#[test]
fn extreme_replies_neither_panic_nor_wrap() {
    let mut b = blotter();
    assert!(b.reserve(1, new(Side::Buy, 1, 1)));
    apply(&mut b, 1, accepted(u32::MAX, u32::MAX));
    for match_number in 0..10 {
        apply(&mut b, 1, executed(u32::MAX - 1, u32::MAX, match_number));
    }
    assert!(b.set_position(LOCATE, i64::MIN, Price(u32::MAX)));
    assert_eq!(b.position_value(), (1 << 63) * u128::from(u32::MAX));
    assert!(b.reserve(2, new(Side::Sell, u32::MAX, u32::MAX)));
    apply(&mut b, 2, executed(u32::MAX, u32::MAX, 0));
    assert_eq!(b.holding(LOCATE).position, i64::MIN);
    assert_eq!(b.holding(LOCATE).worst(Side::Sell, u64::MAX), u64::MAX);
    assert_eq!(b.holding(LOCATE).worst(Side::Buy, 5), 0);
    apply(&mut b, 0, OrderEventKind::Lost { messages: u64::MAX });
    apply(&mut b, 0, OrderEventKind::Lost { messages: u64::MAX });
    assert_eq!(b.counters().lost_messages, u64::MAX);
    assert!(b.uncertain());
}
