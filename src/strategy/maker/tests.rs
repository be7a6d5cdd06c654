use super::*;
use crate::blotter::{OrderEvent, OrderEventKind};
use crate::book::Limits;
use crate::market::{BookState, Event, EventKind, TradingState};

const LOCATE: u16 = 1;

fn params() -> MakerParams {
    MakerParams {
        order_shares: 100,
        edge: 50,
        skew: 25,
        max_position: 250,
        max_spread: 1_000,
        keep_ticks: 1,
        turn: 6_000,
        cooldown_ns: 1_000,
        reply_ns: 1_000_000,
        instruments: 2,
    }
}

/// A maker, the books that it sees, and the time.
struct Stage {
    maker: Maker,
    books: Books,
    now: u64,
}

impl Stage {
    fn new() -> Self {
        let mut books = Books::new(Limits { locates: 4, orders: 1_000, levels: 100 }).unwrap();
        books.set_all_states(BookState::Live);
        let mut maker = Maker::new(params(), 4).unwrap();
        maker.on_instrument(LOCATE, Symbol(*b"TEST    "));
        let mut stage = Self { maker, books, now: 10_000 };
        stage.event(EventKind::Directory { symbol: Symbol(*b"TEST    "), round_lot: 100 });
        stage.event(EventKind::Trading(TradingState::Trading));
        stage.maker.on_rebuilt(&stage.books, LOCATE);
        stage
    }

    /// 400 at 99.98 and 400 at 100.00: fair is 99.99.
    fn even() -> Self {
        let mut stage = Self::new();
        stage.add(1, Side::Buy, 400, 999_800);
        stage.add(2, Side::Sell, 400, 1_000_000);
        stage
    }

    fn event(&mut self, kind: EventKind) {
        let event = Event { locate: LOCATE, timestamp: 0, kind };
        let change = self.books.apply(&event);
        self.maker.on_step(&self.books, &Step::of_event(&event, &change, &self.books));
    }

    fn add(&mut self, order_ref: u64, side: Side, shares: u32, price: u32) {
        self.event(EventKind::Add { order_ref, side, shares, price: Price(price) });
    }

    fn delete(&mut self, order_ref: u64) {
        self.event(EventKind::Delete { order_ref });
    }

    fn view(&self) -> MarketView {
        MarketView {
            locate: LOCATE,
            timestamp: 0,
            now_ns: self.now,
            top: self.books.top(LOCATE),
            book: self.books.state(LOCATE),
            trading: self.books.trading_state(LOCATE),
        }
    }

    fn top(&mut self) -> Vec<Intent> {
        self.now += 10_000;
        let mut out = Intents::new();
        let view = self.view();
        self.maker.on_top(&view, &mut out);
        out.iter().collect()
    }

    fn told(&mut self, number: u32, side: Side, kind: OrderEventKind, position: i64, state: OrderState) {
        let event = OrderEvent { user_ref_num: number, timestamp: 0, kind };
        let update = OrderUpdate { event, locate: LOCATE, side, position, state };
        let mut out = Intents::new();
        self.maker.on_order(&update, &mut out);
        assert!(out.is_empty());
    }

    /// The order with our number rests, as `order_ref` in the book.
    fn accepted(&mut self, number: u32, side: Side, shares: u32, price: u32, order_ref: u64) {
        let price = Price(price);
        let kind = OrderEventKind::Accepted { shares, price, order_ref, live: true };
        self.told(number, side, kind, 0, OrderState::Open { order: number, shares, price, pending: false });
        self.add(order_ref, side, shares, price.0);
    }

    /// Both quotes rest: 7 at 99.98 behind 400 shares, 8 at 100.00 likewise.
    fn quoting() -> Self {
        let mut stage = Self::even();
        let intents = stage.top();
        assert_eq!(intents, [enter(Side::Buy, 100, 999_800), enter(Side::Sell, 100, 1_000_000)]);
        stage.maker.on_sent(&intents[0], 7);
        stage.maker.on_sent(&intents[1], 8);
        assert_eq!(stage.top(), [], "nothing is done while a reply is missing");
        stage.accepted(7, Side::Buy, 100, 999_800, 70);
        stage.accepted(8, Side::Sell, 100, 1_000_000, 80);
        assert_eq!(stage.top(), []);
        stage
    }
}

fn enter(side: Side, shares: u32, price: u32) -> Intent {
    Intent::Enter { locate: LOCATE, side, shares, price: Price(price), time_in_force: TimeInForce::Day }
}

fn cancel(order: u32) -> Intent {
    Intent::Cancel { locate: LOCATE, order }
}

fn replace(order: u32, shares: u32, price: u32) -> Intent {
    Intent::Replace { locate: LOCATE, order, shares, price: Price(price) }
}

#[test]
fn prices_are_those_of_the_formula() {
    let at = |fair: u32, position, bid, ask| {
        quote::wanted(&params(), u64::from(fair) << 16, position, (Price(bid), Price(ask)))
            .map(|price| price.map(|price| price.0))
    };
    assert_eq!(at(1_000_050, 0, 1_000_000, 1_000_100), [Some(1_000_000), Some(1_000_100)]);
    // A little above: the bid stays under fair less the edge, the offer goes up a tick.
    assert_eq!(at(1_000_051, 0, 1_000_000, 1_000_100), [Some(1_000_000), Some(1_000_200)]);
    assert_eq!(at(1_000_149, 0, 1_000_000, 1_000_100), [Some(1_000_000), Some(1_000_200)], "never across");
    // 200 held move both by half a cent down; 200 short by as much up.
    assert_eq!(at(1_000_050, 200, 1_000_000, 1_000_100), [Some(999_900), Some(1_000_100)]);
    assert_eq!(at(1_000_050, -200, 1_000_000, 1_000_100), [Some(1_000_000), Some(1_000_200)]);
    // Too far behind the best: no quote.
    assert_eq!(at(1_000_050, 8_000, 1_000_000, 1_000_100), [None, Some(1_000_100)]);
    // Below a dollar ticks are a hundredth of a cent.
    assert_eq!(at(5_060, 0, 5_000, 5_120), [Some(5_010), Some(5_110)]);
    // Nothing overflows at the ends of all ranges.
    for fair in [0, u64::MAX >> 5] {
        for position in [i64::MIN, 0, i64::MAX] {
            for best in [(0, 1), (1, u32::MAX), (u32::MAX - 1, u32::MAX)] {
                let wild = MakerParams { skew: u32::MAX, edge: u32::MAX, order_shares: 1, ..params() };
                let [bid, ask] = quote::wanted(&wild, fair, position, (Price(best.0), Price(best.1)));
                assert!(bid.zip(ask).is_none_or(|(bid, ask)| bid < ask));
            }
        }
    }
}

#[test]
fn it_quotes_both_sides_and_waits_for_replies() {
    Stage::quoting();
}

#[test]
fn a_good_place_is_kept_for_a_tick_and_not_for_two() {
    // Fair moves up to 100.00: the bid wants 99.99.
    let shift = |stage: &mut Stage| {
        stage.add(3, Side::Sell, 400, 1_000_200);
        stage.delete(2);
        stage.delete(80);
        let canceled = OrderEventKind::Canceled { shares: 100, reason: b'U' };
        stage.told(8, Side::Sell, canceled, 0, OrderState::Closed);
        let intents = stage.top();
        intents.iter().for_each(|intent| stage.maker.on_unsent(intent));
        intents
    };
    let mut behind = Stage::quoting();
    // 400 ahead of 100: no good place.
    assert!(shift(&mut behind).contains(&replace(7, 100, 999_900)), "it has nothing to lose");
    let mut first = Stage::quoting();
    first.add(4, Side::Buy, 400, 999_800);
    first.delete(1);
    assert!(!shift(&mut first).iter().any(|intent| matches!(intent, Intent::Replace { order: 7, .. })));
    assert!(first.maker.counters().kept_place > 0);
    // Another two cents up: too far.
    first.add(5, Side::Sell, 400, 1_000_600);
    first.delete(3);
    assert!(first.top().iter().any(|intent| matches!(intent, Intent::Replace { order: 7, .. })));
}

#[test]
fn what_is_next_to_trade_is_cancelled_when_the_queues_turn() {
    let mut deep = Stage::quoting();
    // All offers: 4,000 against 500. What is deep in its queue stays or moves; it is not given up.
    deep.add(5, Side::Sell, 3_500, 1_000_100);
    deep.delete(1);
    deep.add(6, Side::Buy, 100, 999_800);
    let intents = deep.top();
    assert!(intents.contains(&cancel(7)), "nothing is ahead of it: {intents:?}");
    assert_eq!(deep.maker.counters().turned, 1);
    deep.maker.on_sent(&cancel(7), 7);
    deep.told(7, Side::Buy, OrderEventKind::Canceled { shares: 100, reason: b'U' }, 0, OrderState::Closed);
    deep.delete(70);
    assert!(!deep.top().iter().any(|intent| matches!(intent, Intent::Enter { side: Side::Buy, .. })));

    let mut behind = Stage::quoting();
    behind.add(5, Side::Sell, 3_500, 1_000_100);
    behind.top();
    assert_eq!(behind.maker.counters().turned, 0, "400 are ahead of it");
}

#[test]
fn positions_limit_and_shift_the_quotes() {
    let mut stage = Stage::even();
    let unaffected = OrderState::Unaffected;
    let broken = OrderEventKind::Broken { match_number: 1, reason: 0 };
    stage.told(1, Side::Buy, broken, 200, unaffected);
    // 200 held, 250 allowed: 50 more; fair is half a cent lower, and so the offer a tick.
    assert_eq!(stage.top(), [enter(Side::Buy, 50, 999_800), enter(Side::Sell, 100, 999_900)]);
    let mut full = Stage::even();
    full.told(1, Side::Buy, broken, 250, unaffected);
    assert_eq!(full.top(), [enter(Side::Sell, 100, 999_900)]);
    let mut resting = Stage::quoting();
    // Bought elsewhere: the bid is too large now, and is made smaller.
    resting.told(1, Side::Buy, broken, 200, unaffected);
    assert!(
        resting.top().iter().any(|intent| matches!(intent, Intent::Replace { order: 7, shares: 50, .. }))
    );
}

#[test]
fn replies_that_do_not_come_are_followed_by_cancels() {
    let mut stage = Stage::even();
    let intents = stage.top();
    stage.maker.on_sent(&intents[0], 7);
    stage.maker.on_sent(&intents[1], 8);
    let timer = |stage: &mut Stage, later: u64| {
        let mut out = Intents::new();
        stage.now += later;
        stage.maker.on_timer(stage.now, &mut out);
        out.iter().collect::<Vec<_>>()
    };
    assert_eq!(timer(&mut stage, 900_000), []);
    assert_eq!(timer(&mut stage, 200_000), [cancel(7), cancel(8)]);
    stage.maker.on_sent(&cancel(7), 7);
    stage.maker.on_unsent(&cancel(8));
    assert_eq!(timer(&mut stage, 900_000), [], "the wait begins anew");
    assert_eq!(timer(&mut stage, 200_000), [cancel(7), cancel(8)]);
    assert_eq!(stage.maker.counters().timeouts, 4);

    // Of a replacement, both numbers.
    let mut stage = Stage::quoting();
    stage.add(3, Side::Sell, 400, 1_000_200);
    stage.delete(2);
    stage.delete(80);
    stage.top();
    stage.maker.on_sent(&replace(7, 100, 999_900), 9);
    let cancels = timer(&mut stage, 2_000_000);
    assert!(cancels.contains(&cancel(9)) && cancels.contains(&cancel(7)), "{cancels:?}");
}

#[test]
fn a_refused_replacement_is_followed_by_a_cancel() {
    let mut stage = Stage::quoting();
    stage.add(3, Side::Sell, 400, 1_000_200);
    stage.delete(2);
    stage.delete(80);
    let intents = stage.top();
    assert!(intents.contains(&replace(7, 100, 999_900)));
    stage.maker.on_unsent(&replace(7, 100, 999_900));
    assert!(stage.top().contains(&cancel(7)));
}

#[test]
fn everything_goes_when_it_may_not_trade() {
    for kind in [EventKind::Trading(TradingState::Halted), EventKind::OperationalHalt(true)] {
        let mut stage = Stage::quoting();
        stage.event(kind);
        assert_eq!(stage.top(), [cancel(7), cancel(8)]);
    }
    let mut stage = Stage::quoting();
    stage.books.set_state(LOCATE, BookState::Stale);
    assert_eq!(stage.top(), [cancel(7), cancel(8)]);
}

#[test]
fn a_book_that_changed_unseen_is_noticed_and_read_anew() {
    let mut stage = Stage::even();
    let kind = EventKind::Add { order_ref: 9, side: Side::Buy, shares: 900, price: Price(999_800) };
    stage.books.apply(&Event { locate: LOCATE, timestamp: 0, kind });
    assert_eq!(stage.top(), [], "the features are not those of the book");
    assert_eq!(stage.maker.counters().out_of_step, 1);
    stage.add(10, Side::Sell, 100, 1_000_500);
    assert_eq!(stage.top().len(), 2);
    let counters = stage.maker.counters();
    assert_eq!((counters.out_of_step, counters.resyncs), (1, 1));
}

#[test]
fn more_instruments_than_there_is_room_for_are_counted_and_not_quoted() {
    let mut stage = Stage::even();
    for locate in [2, 3] {
        stage.maker.on_instrument(locate, Symbol(*b"MORE    "));
        stage.maker.on_rebuilt(&stage.books, locate);
    }
    let mut out = Intents::new();
    let view = MarketView { locate: 3, ..stage.view() };
    stage.maker.on_top(&view, &mut out);
    assert!(out.is_empty());
    assert_eq!(stage.maker.counters().no_place, 1);
}
