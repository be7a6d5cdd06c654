use super::*;
use crate::blotter::{OrderEventKind, OrderState};
use crate::market::{Level, TopOfBook};

const LOCATE: u16 = 2;
const SYMBOL: Symbol = Symbol(*b"TEST    ");
const RATE: Rate = Rate { per_second: 1_000, burst: 1_000 };

fn limits() -> RiskLimits {
    RiskLimits {
        max_order_shares: 1_000,
        max_order_value: 2_000_000,
        collar_bps: 1_000,
        reference_collar_bps: None,
        max_long_shares: 1_500,
        max_short_shares: 700,
        max_gross_value: 3_000_000,
        max_open_orders: 5,
        port_rate: RATE,
        symbol_rate: RATE,
        repeat_window_ns: 0,
        restricted: vec![Symbol(*b"BANNED  ")],
        hours: None,
        fills_remembered: 16,
    }
}

fn risk_with(change: impl FnOnce(&mut RiskLimits)) -> Risk {
    let mut limits = limits();
    change(&mut limits);
    let mut risk = Risk::new(limits, 8).unwrap();
    risk.arm();
    risk.set_session_healthy(true);
    assert!(risk.set_symbol(LOCATE, SYMBOL));
    risk
}

fn risk() -> Risk {
    risk_with(|_| {})
}

fn view() -> MarketView {
    let level = |price| Some(Level { price: Price(price), shares: 1, orders: 1 });
    MarketView {
        locate: LOCATE,
        timestamp: 0,
        now_ns: 0,
        top: TopOfBook { bid: level(1_000), ask: level(1_010) },
        book: BookState::Live,
        trading: TradingState::Trading,
    }
}

fn enter(side: Side, shares: u32, price: u32) -> Intent {
    Intent::Enter { locate: LOCATE, side, shares, price: Price(price), time_in_force: TimeInForce::Day }
}

const fn replace(order: u32, shares: u32, price: u32) -> Intent {
    Intent::Replace { locate: LOCATE, order, shares, price: Price(price) }
}

const fn cancel(order: u32) -> Intent {
    Intent::Cancel { locate: LOCATE, order }
}

fn refused(risk: &mut Risk, intent: Intent) -> Option<Refusal> {
    risk.check(intent, &view(), 0).err()
}

/// Clears, and lets the venue accept.
fn live(risk: &mut Risk, side: Side, shares: u32, price: u32) -> u32 {
    let order = risk.check(enter(side, shares, price), &view(), 0).unwrap().user_ref_num();
    let kind = OrderEventKind::Accepted { shares, price: Price(price), order_ref: 1, live: true };
    assert!(risk.on_event(&OrderEvent { user_ref_num: order, timestamp: 0, kind }).is_some());
    order
}

fn trade(risk: &mut Risk, user_ref_num: u32, shares: u32, price: u32, match_number: u64) {
    let kind = OrderEventKind::Executed { shares, price: Price(price), match_number, liquidity: b'R' };
    risk.on_event(&OrderEvent { user_ref_num, timestamp: 0, kind });
}

#[test]
fn after_the_kill_switch_only_cancels_pass_whatever_is_said() {
    let mut risk = risk();
    let open = live(&mut risk, Side::Buy, 10, 1_000);
    risk.kill();
    risk.disarm();
    risk.arm();
    risk.set_session_healthy(true);
    for intent in [enter(Side::Buy, 1, 1_000), enter(Side::Sell, 1, 1_000), replace(open, 1, 1_000)] {
        assert_eq!(refused(&mut risk, intent), Some(Refusal::Killed));
    }
    risk.set_journal_open(false);
    assert_eq!(refused(&mut risk, cancel(open)), None);
    assert!(risk.killed());
}

#[test]
fn new_orders_leave_within_the_hours_only_and_cancels_at_any() {
    let mut risk = risk_with(|limits| limits.hours = Some(100..200));
    let at = |timestamp| MarketView { timestamp, ..view() };
    let mut shares = 0;
    for (timestamp, passes) in
        [(0, false), (99, false), (100, true), (199, true), (200, false), (u64::MAX, false)]
    {
        shares += 1;
        let expected = if passes { None } else { Some(Refusal::Hours) };
        assert_eq!(
            risk.check(enter(Side::Buy, shares, 1_000), &at(timestamp), 0).err(),
            expected,
            "{timestamp}"
        );
    }
    let order = risk.blotter().orders().next().unwrap().0;
    assert!(risk.check(cancel(order), &at(0), 0).is_ok());
}

#[test]
fn every_gate_is_closed_at_first() {
    let mut risk = Risk::new(limits(), 8).unwrap();
    let order = enter(Side::Buy, 1, 1_000);
    assert_eq!(refused(&mut risk, order), Some(Refusal::Disarmed));
    risk.arm();
    assert_eq!(refused(&mut risk, order), Some(Refusal::Session));
    risk.set_session_healthy(true);
    assert_eq!(refused(&mut risk, order), Some(Refusal::Instrument));
    risk.set_symbol(LOCATE, SYMBOL);
    assert_eq!(risk.check(order, &MarketView::default(), 0).err(), Some(Refusal::WrongView));
    let closed = MarketView { locate: LOCATE, ..MarketView::default() };
    assert_eq!(risk.check(order, &closed, 0).err(), Some(Refusal::BookNotLive));
    let halted = MarketView { book: BookState::Live, ..closed };
    assert_eq!(risk.check(order, &halted, 0).err(), Some(Refusal::NotTrading));
    assert_eq!(refused(&mut risk, order), None);
    risk.disarm();
    assert_eq!(refused(&mut risk, order), Some(Refusal::Disarmed));

    risk.arm();
    risk.set_journal_open(false);
    assert_eq!(refused(&mut risk, order), Some(Refusal::Journal));
    risk.set_journal_open(true);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 2, 1_000)), None);

    // Limits of zero let nothing pass.
    let shut = RiskLimits { fills_remembered: 1, ..RiskLimits::default() };
    let mut risk = Risk::new(shut, 8).unwrap();
    risk.arm();
    risk.set_session_healthy(true);
    risk.set_symbol(LOCATE, SYMBOL);
    assert_eq!(refused(&mut risk, order), Some(Refusal::OrderShares));
}

#[test]
fn no_order_in_a_recovering_book_or_outside_trading() {
    let mut risk = risk();
    let order = enter(Side::Buy, 1, 1_000);
    for book in [BookState::Stale, BookState::Recovering] {
        let view = MarketView { book, ..view() };
        assert_eq!(risk.check(order, &view, 0).err(), Some(Refusal::BookNotLive));
    }
    for trading in [TradingState::Halted, TradingState::Paused, TradingState::QuotationOnly] {
        let view = MarketView { trading, ..view() };
        assert_eq!(risk.check(order, &view, 0).err(), Some(Refusal::NotTrading));
    }
}

#[test]
fn size_value_and_price_limits_are_exact() {
    let mut risk = risk_with(|l| l.max_long_shares = 10_000);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 0, 1_000)), Some(Refusal::ZeroShares));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 0)), Some(Refusal::ZeroPrice));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, HIGHEST_PRICE + 1)), Some(Refusal::PriceTooHigh));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1_001, 1_000)), Some(Refusal::OrderShares));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1_000, 1_000)), None);
    let mut risk = risk_with(|l| l.max_order_value = 999_999);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1_000, 1_000)), Some(Refusal::OrderValue));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 999, 1_001)), None);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_112)), Some(Refusal::Collar));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_111)), None);
    assert_eq!(refused(&mut risk, enter(Side::Sell, 1, 899)), Some(Refusal::Collar));
    let empty = MarketView { top: TopOfBook::default(), ..view() };
    assert_eq!(risk.check(enter(Side::Buy, 1, 1_000), &empty, 0).err(), Some(Refusal::NoReference));
    risk.set_reference(LOCATE, Price(1_000));
    assert_eq!(risk.check(enter(Side::Buy, 1, 1_000), &empty, 0).err(), None);
}

#[test]
fn restricted_symbols_are_shut_under_any_locate() {
    let mut risk = risk();
    risk.set_symbol(5, Symbol(*b"BANNED  "));
    let order = Intent::Enter {
        locate: 5,
        side: Side::Buy,
        shares: 1,
        price: Price(1_000),
        time_in_force: TimeInForce::Day,
    };
    assert_eq!(risk.check(order, &MarketView { locate: 5, ..view() }, 0).err(), Some(Refusal::Restricted));
}

#[test]
fn positions_count_open_orders_at_their_worst() {
    let mut risk = risk_with(|l| l.max_gross_value = u64::MAX);
    let first = live(&mut risk, Side::Buy, 1_000, 1_000);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 501, 1_000)), Some(Refusal::Position));
    trade(&mut risk, first, 400, 1_000, 1);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 501, 1_000)), Some(Refusal::Position));
    // Long 400 + open sells: 700 short at most.
    assert_eq!(refused(&mut risk, enter(Side::Sell, 1_000, 1_000)), None);
    assert_eq!(refused(&mut risk, enter(Side::Sell, 101, 1_000)), Some(Refusal::Position));
    assert_eq!(refused(&mut risk, enter(Side::Sell, 100, 1_000)), None);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 500, 1_000)), None);
}

#[test]
fn gross_exposure_counts_all_and_lets_closing_orders_pass() {
    let mut risk = risk_with(|l| l.max_gross_value = 1_000_000);
    let first = live(&mut risk, Side::Buy, 900, 1_000);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 101, 1_000)), Some(Refusal::GrossValue));
    trade(&mut risk, first, 900, 1_000, 1);
    assert_eq!(risk.blotter().gross_value(), 900_000);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 101, 1_000)), Some(Refusal::GrossValue));
    assert_eq!(refused(&mut risk, enter(Side::Sell, 901, 1_000)), Some(Refusal::GrossValue));
    assert_eq!(refused(&mut risk, enter(Side::Sell, 900, 1_000)), None, "it only closes");
    assert_eq!(refused(&mut risk, enter(Side::Sell, 1, 1_000)), Some(Refusal::GrossValue));
}

#[test]
fn sells_beyond_the_position_are_marked_short() {
    let mut risk = risk();
    risk.set_position(LOCATE, 300, Price(1_000));
    let short = |risk: &mut Risk, shares| {
        let cleared = risk.check(enter(Side::Sell, shares, 1_000), &view(), 0).unwrap();
        matches!(cleared.request(), Request::Enter { short: true, .. })
    };
    assert!(!short(&mut risk, 200));
    assert!(short(&mut risk, 101));
    let mut risk = self::risk();
    risk.set_position(LOCATE, 300, Price(1_000));
    let order = live(&mut risk, Side::Sell, 200, 1_000);
    assert_eq!(refused(&mut risk, replace(order, 301, 1_000)), Some(Refusal::ShortMark));
    assert_eq!(refused(&mut risk, replace(order, 300, 1_000)), None);
}

#[test]
fn open_orders_are_limited_by_chain() {
    let mut risk = risk();
    let first = live(&mut risk, Side::Buy, 1, 1_000);
    for _ in 1..5 {
        live(&mut risk, Side::Buy, 1, 1_000);
    }
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::OpenOrders));
    assert_eq!(refused(&mut risk, replace(first, 2, 1_000)), None);
    assert_eq!(refused(&mut risk, cancel(first)), None);
}

#[test]
fn a_repeated_order_is_refused_within_the_window() {
    let mut risk = risk_with(|l| l.repeat_window_ns = 1_000);
    let order = enter(Side::Buy, 1, 1_000);
    assert!(risk.check(order, &view(), 10).is_ok());
    assert_eq!(risk.check(order, &view(), 1_009).err(), Some(Refusal::Repeated));
    assert!(risk.check(enter(Side::Buy, 2, 1_000), &view(), 1_009).is_ok());
    assert!(risk.check(enter(Side::Sell, 1, 1_000), &view(), 1_009).is_ok());
    assert!(risk.check(order, &view(), 1_010).is_ok());
}

#[test]
fn rates_are_limited_and_cancels_use_them_up() {
    let mut risk = risk_with(|l| {
        l.port_rate = Rate { per_second: 1, burst: 3 };
        l.symbol_rate = Rate { per_second: 1, burst: 2 };
    });
    risk.set_symbol(3, Symbol(*b"THREE   "));
    let other = |shares| Intent::Enter {
        locate: 3,
        side: Side::Buy,
        shares,
        price: Price(1_000),
        time_in_force: TimeInForce::Ioc,
    };
    let other_view = MarketView { locate: 3, ..view() };
    assert!(risk.check(enter(Side::Buy, 1, 1_000), &view(), 0).is_ok());
    assert!(risk.check(cancel(1), &view(), 0).is_ok());
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::SymbolRate));
    assert!(risk.check(other(1), &other_view, 0).is_ok());
    assert_eq!(risk.check(other(2), &other_view, 0).err(), Some(Refusal::PortRate));
    for _ in 0..100 {
        assert!(risk.check(cancel(1), &view(), 0).is_ok(), "a cancel is never refused by a rate");
    }
    assert_eq!(risk.check(enter(Side::Buy, 1, 1_000), &view(), 999_999_999).err(), Some(Refusal::PortRate));
    assert!(risk.check(enter(Side::Buy, 1, 1_000), &view(), 1_000_000_000).is_ok());
}

#[test]
fn cancels_pass_every_gate_but_an_unknown_order() {
    let mut risk = risk();
    let order = live(&mut risk, Side::Buy, 10, 1_000);
    risk.disarm();
    risk.set_session_healthy(false);
    let kind = OrderEventKind::Lost { messages: 1 };
    risk.on_event(&OrderEvent { user_ref_num: 0, timestamp: 0, kind });
    let cleared = risk.check(cancel(order), &MarketView::default(), 0).unwrap();
    assert_eq!(*cleared.request(), Request::Cancel { user_ref_num: order });
    assert_eq!((cleared.locate(), cleared.user_ref_num()), (LOCATE, order));
    assert_eq!(refused(&mut risk, cancel(order + 1)), Some(Refusal::UnknownOrder));
    assert_eq!(refused(&mut risk, cancel(0)), Some(Refusal::UnknownOrder));
}

#[test]
fn replacements_carry_the_total_of_the_chain() {
    let mut risk = risk();
    let first = live(&mut risk, Side::Buy, 100, 1_000);
    trade(&mut risk, first, 30, 1_000, 1);
    let cleared = risk.check(replace(first, 200, 1_005), &view(), 0).unwrap();
    let time_in_force = TimeInForce::Day;
    let request = Request::Replace {
        original: first,
        user_ref_num: 2,
        total_shares: 230,
        price: Price(1_005),
        time_in_force,
    };
    assert_eq!(*cleared.request(), request);
    assert_eq!(refused(&mut risk, replace(first, 1, 1_000)), Some(Refusal::OrderBusy));
    assert_eq!(refused(&mut risk, replace(2, 1, 1_000)), Some(Refusal::OrderBusy));
    assert_eq!(refused(&mut risk, replace(77, 1, 1_000)), Some(Refusal::UnknownOrder));
    risk.release(&cleared);
    assert_eq!(risk.blotter().holding(LOCATE).open_buy, 70);
    assert_eq!(refused(&mut risk, replace(first, 1_001, 1_000)), Some(Refusal::OrderShares));
    assert_eq!(refused(&mut risk, replace(first, 500, 1_000)), None);
}

#[test]
fn a_replacement_is_held_to_the_limits_by_what_it_adds() {
    let mut risk = risk_with(|l| l.max_gross_value = 1_200_000);
    let first = live(&mut risk, Side::Buy, 1_000, 1_000);
    assert_eq!(refused(&mut risk, replace(first, 1_000, 1_100)), None, "1,000 at 1,100");
    let mut risk = risk_with(|l| l.max_gross_value = 1_099_999);
    let first = live(&mut risk, Side::Buy, 1_000, 1_000);
    assert_eq!(refused(&mut risk, replace(first, 1_000, 1_100)), Some(Refusal::GrossValue));
    let second = live(&mut risk, Side::Buy, 90, 1_000);
    assert_eq!(refused(&mut risk, replace(second, 591, 1_000)), Some(Refusal::Position));
}

#[test]
fn a_release_gives_back_all_but_number_and_rate() {
    let mut risk = risk_with(|l| l.max_open_orders = 1);
    let cleared = risk.check(enter(Side::Buy, 10, 1_000), &view(), 0).unwrap();
    assert_eq!(risk.blotter().gross_value(), 10_000);
    risk.release(&cleared);
    assert_eq!((risk.blotter().gross_value(), risk.blotter().open_orders()), (0, 0));
    risk.release(&cleared);
    let order = live(&mut risk, Side::Buy, 10, 1_000);
    assert_eq!(order, 2);
    let cleared = risk.check(cancel(order), &view(), 0).unwrap();
    risk.release(&cleared);
    assert_eq!(refused(&mut risk, replace(order, 5, 1_000)), None, "no cancel is under way");
}

#[test]
fn uncertain_positions_shut_everything_until_reconciled() {
    let mut risk = risk();
    trade(&mut risk, 9, 1, 1_000, 1);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::Uncertain));
    risk.reconciled();
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), None);
}

#[test]
fn numbers_rise_and_run_out() {
    let mut risk = risk_with(|l| l.max_open_orders = 50);
    assert_eq!(live(&mut risk, Side::Buy, 1, 1_000), 1);
    let kind = OrderEventKind::NextUserRef { next: 500 };
    assert_eq!(risk.on_event(&OrderEvent { user_ref_num: 0, timestamp: 0, kind }), None);
    assert_eq!(live(&mut risk, Side::Buy, 1, 1_000), 2, "nobody asked");
    risk.raise_next_ref(500);
    assert_eq!(live(&mut risk, Side::Buy, 1, 1_000), 500);
    risk.raise_next_ref(3);
    assert_eq!(live(&mut risk, Side::Buy, 1, 1_000), 501);
    risk.raise_next_ref(u32::MAX);
    let last = live(&mut risk, Side::Buy, 1, 1_000);
    assert_eq!(last, u32::MAX);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::RefsExhausted));
    assert_eq!(refused(&mut risk, replace(last, 1, 1_000)), Some(Refusal::RefsExhausted));
    assert_eq!(refused(&mut risk, cancel(last)), None);
}

#[test]
fn a_new_feed_session_closes_instruments_and_doubts_positions() {
    let mut risk = risk();
    risk.on_session();
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::Instrument));
    assert!(risk.set_symbol(LOCATE, Symbol(*b"NEW     ")), "flat: the locate may change hands");
    let order = live(&mut risk, Side::Buy, 1, 1_000);
    assert!(!risk.set_symbol(LOCATE, SYMBOL), "not while something is open");
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::Instrument));
    trade(&mut risk, order, 1, 1_000, 1);
    risk.on_session();
    assert!(risk.set_symbol(LOCATE, Symbol(*b"NEW     ")));
    assert_eq!(refused(&mut risk, enter(Side::Buy, 1, 1_000)), Some(Refusal::Uncertain));
    assert!(!risk.set_symbol(8, SYMBOL));
}

#[test]
fn decisions_are_counted_by_kind() {
    let mut risk = risk();
    let order = live(&mut risk, Side::Buy, 10, 1_000);
    assert_eq!(refused(&mut risk, replace(order, 5, 1_000)), None);
    assert_eq!(refused(&mut risk, cancel(order)), None);
    assert_eq!(refused(&mut risk, enter(Side::Buy, 0, 1_000)), Some(Refusal::ZeroShares));
    let c = risk.counters();
    assert_eq!((c.enters, c.replaces, c.cancels, c.all_refused()), (1, 1, 1, 1));
    assert_eq!(c.of(Refusal::ZeroShares), 1);
}

#[test]
fn a_refusal_changes_nothing_else() {
    let mut risk = risk_with(|l| {
        l.repeat_window_ns = 1_000;
        l.port_rate = Rate { per_second: 1, burst: 2 };
    });
    for intent in [enter(Side::Buy, 1_001, 1_000), enter(Side::Buy, 1, 1), replace(4, 1, 1_000)] {
        for _ in 0..10 {
            assert!(refused(&mut risk, intent).is_some());
        }
    }
    assert_eq!(risk.blotter().open_orders(), 0);
    // All tokens and the first number are still there.
    assert_eq!(live(&mut risk, Side::Buy, 1, 1_000), 1);
    let update = OrderEvent { user_ref_num: 1, timestamp: 0, kind: OrderEventKind::Rejected { reason: 1 } };
    let state = risk.on_event(&update).map(|update| update.state);
    assert_eq!(state, Some(OrderState::Open { order: 1, shares: 1, price: Price(1_000), pending: false }));
    assert_eq!(live(&mut risk, Side::Buy, 2, 1_000), 2);
}
