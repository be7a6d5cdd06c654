//! What the books do with events that are right, each case small enough to check by hand.

use wirebook::book::{Books, Limits, Outcome, QueuePosition};
use wirebook::market::{BookState, Event, EventKind, Level, Price, Side, Symbol, TopOfBook, TradingState};

pub(crate) const LIMITS: Limits = Limits { locates: 10, orders: 100, levels: 100 };

pub(crate) fn at(locate: u16, kind: EventKind) -> Event {
    Event { locate, timestamp: 0, kind }
}

pub(crate) fn add(order_ref: u64, side: Side, shares: u32, price: u32) -> EventKind {
    EventKind::Add { order_ref, side, shares, price: Price(price) }
}

pub(crate) fn execute(order_ref: u64, shares: u32) -> EventKind {
    EventKind::Execute { order_ref, shares, price: None, printable: true }
}

pub(crate) fn replace(order_ref: u64, new_order_ref: u64, shares: u32, price: u32) -> EventKind {
    EventKind::Replace { order_ref, new_order_ref, shares, price: Price(price) }
}

pub(crate) fn directory(symbol: &str) -> EventKind {
    EventKind::Directory { symbol: Symbol::new(symbol).unwrap(), round_lot: 100 }
}

/// Books with locates 1 to 3 named, all live.
pub(crate) fn live_books(limits: Limits) -> Books {
    let mut books = Books::new(limits).unwrap();
    for (locate, symbol) in [(1, "AAA"), (2, "BBB"), (3, "CCC")] {
        books.apply(&at(locate, directory(symbol)));
    }
    books.set_all_states(BookState::Live);
    books
}

/// Applies an event to locate 1 that must be fine; returns whether the top changed.
pub(crate) fn fine(books: &mut Books, kind: EventKind) -> bool {
    let change = books.apply(&at(1, kind));
    assert_eq!(change.outcome, Outcome::Applied, "{kind:?}");
    assert_eq!(books.state(1), BookState::Live);
    change.top_changed
}

fn level(price: u32, shares: u64, orders: u32) -> Option<Level> {
    Some(Level { price: Price(price), shares, orders })
}

fn refs(books: &Books, side: Side, price: u32) -> Vec<(u64, u32)> {
    books.queue(1, side, Price(price)).map(|order| (order.order_ref, order.shares)).collect()
}

#[test]
fn the_best_price_is_the_highest_bid_and_the_lowest_ask() {
    let mut books = live_books(LIMITS);
    assert!(fine(&mut books, add(1, Side::Buy, 100, 50)));
    assert!(fine(&mut books, add(2, Side::Buy, 200, 51)), "a better bid");
    assert!(!fine(&mut books, add(3, Side::Buy, 300, 49)), "a worse bid");
    assert!(fine(&mut books, add(4, Side::Sell, 400, 60)));
    assert!(!fine(&mut books, add(5, Side::Sell, 500, 61)), "a worse ask");
    assert!(fine(&mut books, add(6, Side::Sell, 600, 60)), "more shares at the best ask");
    assert_eq!(books.top(1), TopOfBook { bid: level(51, 200, 1), ask: level(60, 1_000, 2) });
    assert_eq!(books.depth(1, Side::Buy).map(|l| l.price.0).collect::<Vec<_>>(), [51, 50, 49]);
    assert_eq!(books.depth(1, Side::Sell).map(|l| l.price.0).collect::<Vec<_>>(), [60, 61]);
    assert_eq!(books.top(2), TopOfBook::default(), "another book");
    assert!(fine(&mut books, EventKind::Delete { order_ref: 2 }));
    assert_eq!(books.top(1).bid, level(50, 100, 1), "the next best moves up");
}

#[test]
fn executions_and_cancels_keep_the_place_in_the_queue() {
    let mut books = live_books(LIMITS);
    for order_ref in 1..=3 {
        fine(&mut books, add(order_ref, Side::Sell, 100, 70));
    }
    fine(&mut books, add(4, Side::Sell, 100, 71));
    assert!(fine(&mut books, execute(1, 40)));
    assert!(fine(&mut books, EventKind::Cancel { order_ref: 2, shares: 99 }));
    assert!(!fine(&mut books, execute(4, 1)), "not at the best price");
    assert_eq!(refs(&books, Side::Sell, 70), [(1, 60), (2, 1), (3, 100)]);
    assert_eq!(books.queue_position(1), Some(QueuePosition { orders_ahead: 0, shares_ahead: 0 }));
    assert_eq!(books.queue_position(3), Some(QueuePosition { orders_ahead: 2, shares_ahead: 61 }));
    assert!(fine(&mut books, execute(1, 60)), "nothing left");
    assert!(fine(&mut books, EventKind::Cancel { order_ref: 2, shares: 1 }), "nothing left");
    assert_eq!(refs(&books, Side::Sell, 70), [(3, 100)]);
    assert_eq!((books.order(1), books.queue_position(2)), (None, None));
    assert_eq!(books.top(1).ask, level(70, 100, 1));
}

#[test]
fn a_replacement_keeps_side_and_symbol_and_joins_the_back() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 100, 50));
    fine(&mut books, add(2, Side::Buy, 100, 50));
    assert!(!fine(&mut books, replace(1, 9, 100, 50)), "same total, same number of orders");
    assert_eq!(refs(&books, Side::Buy, 50), [(2, 100), (9, 100)]);
    assert!(fine(&mut books, replace(2, 10, 300, 48)));
    assert_eq!(refs(&books, Side::Buy, 50), [(9, 100)]);
    assert_eq!(refs(&books, Side::Buy, 48), [(10, 300)]);
    assert!(!fine(&mut books, replace(10, 11, 1, 47)), "below the best before and after");
    let order = books.order(11).unwrap();
    assert_eq!((order.side, order.locate, order.price), (Side::Buy, 1, Price(47)));
}

#[test]
fn a_replacement_may_keep_its_reference() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 100, 50));
    fine(&mut books, add(2, Side::Buy, 100, 50));
    assert!(fine(&mut books, replace(1, 1, 70, 50)));
    assert_eq!(refs(&books, Side::Buy, 50), [(2, 100), (1, 70)]);
    assert_eq!((books.counters().replaced, books.counters().replaced_same_ref), (1, 1));
    assert_eq!(books.counters().anomalies, 0);
}

#[test]
fn a_reference_is_free_again_when_its_order_left() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 100, 50));
    fine(&mut books, EventKind::Delete { order_ref: 1 });
    fine(&mut books, add(1, Side::Sell, 5, 60));
    assert_eq!(books.top(1), TopOfBook { bid: None, ask: level(60, 5, 1) });
}

#[test]
fn only_printable_trades_count_into_volume() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 100, 50));
    fine(&mut books, execute(1, 10));
    let silent = EventKind::Execute { order_ref: 1, shares: 20, price: Some(Price(49)), printable: false };
    fine(&mut books, silent);
    fine(&mut books, EventKind::Trade { shares: 1_000, price: Price(50), cross: false });
    fine(&mut books, EventKind::Trade { shares: 1 << 40, price: Price(50), cross: true });
    assert_eq!(books.volume(1), (1 << 40) + 1_010);
    assert_eq!(books.top(1).bid, level(50, 70, 1), "the order stays at its own price");
}

#[test]
fn an_operational_halt_holds_until_it_is_lifted() {
    let mut books = live_books(LIMITS);
    assert_eq!(books.trading_state(1), TradingState::Halted, "not announced");
    fine(&mut books, EventKind::Trading(TradingState::Trading));
    assert_eq!(books.trading_state(1), TradingState::Trading);
    fine(&mut books, EventKind::OperationalHalt(true));
    assert_eq!(books.trading_state(1), TradingState::Halted);
    fine(&mut books, EventKind::Trading(TradingState::Trading));
    assert_eq!(books.trading_state(1), TradingState::Halted, "says nothing of the other gate");
    fine(&mut books, EventKind::Trading(TradingState::Paused));
    fine(&mut books, EventKind::OperationalHalt(false));
    assert_eq!(books.trading_state(1), TradingState::Paused);
    assert_eq!(books.trading_state(9), TradingState::Halted);
}

#[test]
fn symbols_lead_to_locates_and_back() {
    let mut books = live_books(LIMITS);
    let symbol = Symbol::new("BBB").unwrap();
    assert_eq!((books.locate_of(symbol), books.symbol(2)), (Some(2), Some(symbol)));
    assert_eq!(books.locate_of(Symbol::new("ZZZ").unwrap()), None);
    assert_eq!((books.round_lot(2), books.round_lot(4)), (Some(100), None));
    fine(&mut books, directory("AAA"));
    assert_eq!(books.counters().anomalies, 0, "the directory may be sent again");
}

#[test]
fn crossed_and_locked_tops_are_counted_and_legal() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 100, 50));
    fine(&mut books, add(2, Side::Sell, 100, 50));
    assert_eq!(books.counters().crossed, 1, "locked");
    fine(&mut books, add(3, Side::Buy, 100, 51));
    assert_eq!(books.counters().crossed, 2);
    fine(&mut books, add(4, Side::Buy, 100, 40));
    assert_eq!(books.counters().crossed, 2, "the top did not change");
    fine(&mut books, EventKind::Delete { order_ref: 2 });
    assert_eq!(books.counters().crossed, 2, "no longer");
}

#[test]
fn clear_forgets_the_session_and_closes_every_gate() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 100, 50));
    fine(&mut books, EventKind::Trading(TradingState::Trading));
    books.clear();
    assert_eq!(books.state(1), BookState::Stale);
    assert_eq!(books.trading_state(1), TradingState::Halted);
    assert_eq!((books.symbol(1), books.top(1), books.order(1)), (None, TopOfBook::default(), None));
    assert_eq!(books.resting().count(), 0);
    assert_eq!((books.counters().added, books.counters().cleared, books.usage().orders), (1, 1, 0));
    assert_eq!(books.usage().orders_peak, 1);
    books.apply(&at(1, directory("NEW")));
    books.set_state(1, BookState::Live);
    assert!(fine(&mut books, add(1, Side::Buy, 100, 50)), "the reference is new again");
}

#[test]
fn states_are_kept_by_locate_and_closed_outside() {
    let mut books = Books::new(LIMITS).unwrap();
    assert_eq!(books.state(1), BookState::Stale);
    books.set_state(1, BookState::Recovering);
    for outside in [0, 10, u16::MAX] {
        books.set_state(outside, BookState::Live);
        assert_eq!(books.state(outside), BookState::Stale);
    }
    assert_eq!((books.state(1), books.state(2)), (BookState::Recovering, BookState::Stale));
    books.set_all_states(BookState::Live);
    assert_eq!((books.state(0), books.state(9)), (BookState::Stale, BookState::Live));
}

#[test]
fn a_word_about_the_others_leaves_those_that_were_singled_out() {
    let mut books = live_books(LIMITS);
    books.set_all_states(BookState::Recovering);
    books.set_state(2, BookState::Stale);
    books.apply(&at(3, EventKind::Delete { order_ref: 99 }));
    books.set_other_states(BookState::Live);
    let states = |books: &Books| [1, 2, 3, 9].map(|locate| books.state(locate));
    assert_eq!(states(&books), [BookState::Live, BookState::Stale, BookState::Stale, BookState::Live]);
    books.set_all_states(BookState::Live);
    assert_eq!(states(&books), [BookState::Live; 4], "all are all");
}

#[test]
fn a_market_wide_halt_stops_every_instrument_until_its_own_announcement() {
    let mut books = live_books(LIMITS);
    for locate in [1, 2] {
        books.apply(&at(locate, EventKind::Trading(TradingState::Trading)));
    }
    let halt = Event { locate: 0, timestamp: 0, kind: EventKind::MarketHalt };
    assert_eq!(books.apply(&halt).outcome, Outcome::Applied);
    let states = |books: &Books| [1, 2, 3].map(|locate| books.trading_state(locate));
    assert_eq!(states(&books), [TradingState::Halted; 3]);
    books.apply(&at(2, EventKind::Trading(TradingState::Trading)));
    assert_eq!(states(&books), [TradingState::Halted, TradingState::Trading, TradingState::Halted]);
    books.apply(&halt);
    assert_eq!(states(&books), [TradingState::Halted; 3], "a second one halts again");
}

#[test]
fn a_cross_counts_once_into_the_volume() {
    let mut books = live_books(LIMITS);
    fine(&mut books, add(1, Side::Buy, 300, 50));
    let in_cross = EventKind::Execute { order_ref: 1, shares: 200, price: Some(Price(48)), printable: false };
    fine(&mut books, in_cross);
    assert_eq!(books.volume(1), 0, "the cross itself says it");
    fine(&mut books, EventKind::Trade { shares: 200, price: Price(48), cross: true });
    assert_eq!((books.volume(1), books.order(1).unwrap().shares), (200, 100));
}

#[test]
fn a_book_is_drained_in_portions_and_the_others_stay() {
    let mut books = live_books(LIMITS);
    fine(&mut books, EventKind::Trading(TradingState::Trading));
    for order_ref in 1..=5 {
        fine(&mut books, add(order_ref, Side::Buy, 10, 50 + order_ref as u32 % 2));
        fine(&mut books, add(order_ref + 10, Side::Sell, 10, 60));
    }
    books.apply(&at(2, add(30, Side::Buy, 10, 50)));
    assert!(!books.drain(1, 0));
    assert!(!books.drain(1, 9));
    assert_eq!((books.level_count(1, Side::Buy), books.top(1).ask.unwrap().orders), (0, 1));
    assert!(books.drain(1, 9));
    assert!(books.drain(1, 9) && books.drain(0, 9) && books.drain(u16::MAX, 9));
    assert_eq!((books.usage().orders, books.counters().drained), (1, 10));
    assert_eq!((books.trading_state(1), books.state(1)), (TradingState::Trading, BookState::Live));
    assert_eq!(books.symbol(1), Symbol::new("AAA"));
    books.apply(&at(1, EventKind::OperationalHalt(true)));
    books.forget_trading(1);
    assert_eq!(books.trading_state(1), TradingState::Halted);
    fine(&mut books, EventKind::Trading(TradingState::Trading));
    assert_eq!(books.trading_state(1), TradingState::Trading);
    books.audit().unwrap();
}
