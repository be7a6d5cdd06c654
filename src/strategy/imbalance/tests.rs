use super::*;
use crate::blotter::{OrderEvent, OrderEventKind, OrderState, TimeInForce};
use crate::market::{BookState, Level, Price, Side, TradingState};

const LOCATE: u16 = 5;

fn params(style: Style) -> ImbalanceParams {
    ImbalanceParams {
        entry: 6_000,
        exit: 2_000,
        order_shares: 100,
        style,
        max_spread: 200,
        cooldown_ns: 1_000,
        symbols: None,
    }
}

fn strategy(style: Style) -> Imbalance {
    let mut strategy = Imbalance::new(params(style), 10);
    strategy.on_instrument(LOCATE, Symbol(*b"TEST    "));
    strategy
}

fn level(price: u32, shares: u64) -> Option<Level> {
    (shares > 0).then_some(Level { price: Price(price), shares, orders: 1 })
}

fn view(bid: (u32, u64), ask: (u32, u64), now_ns: u64) -> MarketView {
    MarketView {
        locate: LOCATE,
        timestamp: 0,
        now_ns,
        top: TopOfBook { bid: level(bid.0, bid.1), ask: level(ask.0, ask.1) },
        book: BookState::Live,
        trading: TradingState::Trading,
    }
}

fn top(strategy: &mut Imbalance, view: &MarketView) -> Option<Intent> {
    let mut out = Intents::new();
    strategy.on_top(view, &mut out);
    assert!(out.len() <= 1);
    out.get(0)
}

fn enter(side: Side, price: u32, time_in_force: TimeInForce) -> Option<Intent> {
    Some(Intent::Enter { locate: LOCATE, side, shares: 100, price: Price(price), time_in_force })
}

fn told(strategy: &mut Imbalance, side: Side, state: OrderState) {
    let event = OrderEvent { user_ref_num: 7, timestamp: 0, kind: OrderEventKind::CancelPending };
    let update = OrderUpdate { event, locate: LOCATE, side, position: 0, state };
    let mut out = Intents::new();
    strategy.on_order(&update, &mut out);
    assert!(out.is_empty());
}

fn open(order: u32, shares: u32, price: u32, pending: bool) -> OrderState {
    OrderState::Open { order, shares, price: Price(price), pending }
}

/// A strategy with a buy order 7 resting at 1000, entered at time 0.
fn resting() -> Imbalance {
    let mut s = strategy(Style::Join);
    let intent = top(&mut s, &view((1_000, 900), (1_100, 100), 0));
    assert_eq!(intent, enter(Side::Buy, 1_000, TimeInForce::Day));
    s.on_sent(&intent.unwrap(), 7);
    told(&mut s, Side::Buy, open(7, 100, 1_000, false));
    s
}

#[test]
fn the_signal_is_exact() {
    let of = |bid, ask| imbalance(&TopOfBook { bid: level(1, bid), ask: level(2, ask) });
    assert_eq!(of(300, 100), Some(5_000));
    assert_eq!(of(100, 300), Some(-5_000));
    assert_eq!(of(2, 1), Some(3_333));
    assert_eq!(of(1, 2), Some(-3_333));
    assert_eq!(of(5, 5), Some(0));
    assert_eq!(of(5, 0), None);
    let zero = Some(Level { price: Price(1), shares: 0, orders: 0 });
    assert_eq!(imbalance(&TopOfBook { bid: zero, ask: zero }), None);
    assert_eq!(of(u64::MAX, u64::MAX), Some(0));
    assert_eq!(of(u64::MAX, 1), Some(10_000));
    assert_eq!(of(u64::MAX / 2, u64::MAX / 2 * 2 / 6), Some(5_000));
}

#[test]
fn it_takes_at_the_opposite_touch() {
    let mut s = strategy(Style::Take);
    assert_eq!(top(&mut s, &view((1_000, 799), (1_100, 201), 0)), None, "just under the threshold");
    assert_eq!(top(&mut s, &view((1_000, 800), (1_100, 200), 0)), enter(Side::Buy, 1_100, TimeInForce::Ioc));
    let mut s = strategy(Style::Take);
    assert_eq!(top(&mut s, &view((1_000, 200), (1_100, 800), 0)), enter(Side::Sell, 1_000, TimeInForce::Ioc));
}

#[test]
fn it_joins_at_its_own_best() {
    let mut s = strategy(Style::Join);
    assert_eq!(top(&mut s, &view((1_000, 200), (1_100, 800), 0)), enter(Side::Sell, 1_100, TimeInForce::Day));
}

#[test]
fn it_stays_out_where_it_may_not_act() {
    let good = view((1_000, 900), (1_100, 100), 0);
    let wide = view((1_000, 900), (1_201, 100), 0);
    let locked = view((1_000, 900), (1_000, 100), 0);
    let one_sided = view((1_000, 900), (1_100, 0), 0);
    let stale = MarketView { book: BookState::Stale, ..good };
    let paused = MarketView { trading: TradingState::Paused, ..good };
    let unannounced = MarketView { locate: LOCATE + 1, ..good };
    let beyond = MarketView { locate: 10, ..good };
    let mut s = strategy(Style::Join);
    for view in [wide, locked, one_sided, stale, paused, unannounced, beyond] {
        assert_eq!(top(&mut s, &view), None, "{view:?}");
    }
    assert!(top(&mut s, &good).is_some());

    let symbols = Some(vec![Symbol(*b"OTHER   ")]);
    let mut s = Imbalance::new(ImbalanceParams { symbols, ..params(Style::Join) }, 10);
    s.on_instrument(LOCATE, Symbol(*b"TEST    "));
    assert_eq!(top(&mut s, &good), None);
    s.on_instrument(LOCATE, Symbol(*b"OTHER   "));
    assert!(top(&mut s, &good).is_some());
    s.on_session();
    assert_eq!(top(&mut s, &good), None);
}

#[test]
fn it_waits_for_replies() {
    let strong = view((1_000, 900), (1_100, 100), 5_000);
    let weak = view((1_000, 100), (1_100, 100), 5_000);
    let mut s = strategy(Style::Join);
    let intent = top(&mut s, &strong).unwrap();
    s.on_sent(&intent, 7);
    assert_eq!((top(&mut s, &strong), top(&mut s, &weak)), (None, None));
    told(&mut s, Side::Buy, open(7, 100, 1_000, true));
    assert_eq!(top(&mut s, &weak), None);
    told(&mut s, Side::Buy, open(7, 100, 1_000, false));
    let cancel = Intent::Cancel { locate: LOCATE, order: 7 };
    assert_eq!(top(&mut s, &weak), Some(cancel));
    s.on_sent(&cancel, 7);
    assert_eq!(top(&mut s, &weak), None);
}

#[test]
fn it_follows_the_best_away_and_not_back() {
    let mut s = resting();
    assert_eq!(top(&mut s, &view((1_000, 900), (1_100, 100), 9_000)), None);
    assert_eq!(top(&mut s, &view((990, 900), (1_100, 100), 9_000)), None);
    told(&mut s, Side::Buy, open(7, 60, 1_000, false));
    let replace = Intent::Replace { locate: LOCATE, order: 7, shares: 60, price: Price(1_010) };
    assert_eq!(top(&mut s, &view((1_010, 900), (1_100, 100), 999)), None, "cooling down");
    assert_eq!(top(&mut s, &view((1_010, 900), (1_100, 100), 1_000)), Some(replace));
    s.on_sent(&replace, 8);
    assert_eq!(top(&mut s, &view((1_020, 900), (1_100, 100), 9_000)), None);
    told(&mut s, Side::Buy, open(8, 60, 1_010, false));
    assert!(top(&mut s, &view((1_020, 900), (1_100, 100), 9_000)).is_some());
}

#[test]
fn it_cancels_when_the_reason_is_gone() {
    let cancel = Some(Intent::Cancel { locate: LOCATE, order: 7 });
    let good = view((1_000, 900), (1_100, 100), 1);
    for view in [
        view((1_000, 599), (1_100, 401), 1),
        view((1_000, 100), (1_100, 900), 1),
        view((1_000, 900), (1_100, 0), 1),
        MarketView { book: BookState::Stale, ..good },
        MarketView { trading: TradingState::Halted, ..good },
    ] {
        assert_eq!(top(&mut resting(), &view), cancel, "{view:?}");
    }
    assert_eq!(top(&mut resting(), &view((1_000, 600), (1_100, 400), 1)), None, "at the exit threshold");
}

#[test]
fn unsent_wishes_leave_things_as_they_were() {
    let mut s = strategy(Style::Join);
    let strong = |now| view((1_000, 900), (1_100, 100), now);
    let intent = top(&mut s, &strong(0)).unwrap();
    s.on_unsent(&intent);
    assert_eq!(top(&mut s, &strong(999)), None, "cooling down");
    assert_eq!(top(&mut s, &strong(1_000)), Some(intent));

    // Refused again and again, it rests twice as long each time.
    s.on_unsent(&intent);
    assert_eq!(top(&mut s, &strong(2_999)), None);
    assert_eq!(top(&mut s, &strong(3_000)), Some(intent));
    s.on_unsent(&intent);
    assert_eq!(top(&mut s, &strong(6_999)), None);
    assert_eq!(top(&mut s, &strong(7_000)), Some(intent));
    s.on_sent(&intent, 7);
    told(&mut s, Side::Buy, open(7, 100, 1_000, false));
    told(&mut s, Side::Buy, OrderState::Closed);

    let mut s = resting();
    let weak = view((1_000, 100), (1_100, 900), 1);
    let cancel = top(&mut s, &weak).unwrap();
    s.on_unsent(&cancel);
    assert_eq!(top(&mut s, &weak), Some(cancel), "a cancel is tried again at once");
}

#[test]
fn it_enters_again_after_an_order_has_ended() {
    let mut s = resting();
    told(&mut s, Side::Buy, OrderState::Unaffected);
    assert_eq!(top(&mut s, &view((1_000, 900), (1_100, 100), 5_000)), None);
    told(&mut s, Side::Buy, OrderState::Closed);
    assert_eq!(top(&mut s, &view((1_000, 900), (1_100, 100), 999)), None, "cooling down");
    assert!(top(&mut s, &view((1_000, 900), (1_100, 100), 1_000)).is_some());
    let c = s.counters();
    assert_eq!((c.enters, c.closed, c.unsent, c.cancels), (2, 1, 0, 0));
}

#[test]
fn a_full_list_changes_nothing() {
    let mut s = strategy(Style::Join);
    let mut out = Intents::new();
    for order in 0..Intents::CAPACITY as u32 {
        out.push(Intent::Cancel { locate: 1, order });
    }
    s.on_top(&view((1_000, 900), (1_100, 100), 0), &mut out);
    assert_eq!((out.overflowed(), s.counters().enters), (1, 0));
    assert!(top(&mut s, &view((1_000, 900), (1_100, 100), 0)).is_some());
}
