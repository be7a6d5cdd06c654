//! By hand, and against the slow computation on random streams.

use super::slow::Slow;
use super::*;
use crate::book::{Limits, QueuePosition};
use crate::market::Symbol;

const LOCATE: u16 = Slow::LOCATE;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

fn books() -> Books {
    let mut books = Books::new(Limits { locates: 4, orders: 20_000, levels: 5_000 }).unwrap();
    for locate in 1..4 {
        let kind = EventKind::Directory { symbol: Symbol::new("X").unwrap(), round_lot: 100 };
        books.apply(&Event { locate, timestamp: 0, kind });
    }
    books
}

/// Books, the features of one instrument, and the clock.
struct Bench {
    books: Books,
    state: FeatureState,
    time: u64,
}

impl Bench {
    fn new() -> Self {
        Self { books: books(), state: FeatureState::new(), time: 0 }
    }

    fn event(&mut self, kind: EventKind) {
        let event = Event { locate: LOCATE, timestamp: self.time, kind };
        let change = self.books.apply(&event);
        self.state.on_step(&self.books, &Step::of_event(&event, &change, &self.books));
    }

    fn add(&mut self, order_ref: u64, side: Side, shares: u32, price: u32) {
        self.event(EventKind::Add { order_ref, side, shares, price: Price(price) });
    }

    fn get(&self, name: &str) -> f32 {
        self.state.vector().0[NAMES.iter().position(|known| *known == name).unwrap()]
    }
}

#[test]
fn names_are_distinct_and_nothing_is_behind_them() {
    for (at, name) in NAMES.iter().enumerate() {
        assert!(!NAMES[..at].contains(name), "{name}");
    }
    assert_eq!(FeatureState::new().vector(), FeatureVector([0.0; WIDTH]));
}

#[test]
fn prices_by_hand() {
    let mut bench = Bench::new();
    bench.add(1, Side::Buy, 300, 99_900);
    assert_eq!((bench.state.microprice(), bench.get("imbalance_1")), (None, 1.0));
    bench.add(2, Side::Sell, 100, 100_100);
    // (99,900 × 100 + 100,100 × 300) / 400 = 100,050; the mid is 100,000.
    assert_eq!(bench.state.microprice(), Some(100_050 << 16));
    assert_eq!(bench.get("microprice_bps"), 5.0);
    assert_eq!((bench.get("spread_bps"), bench.get("spread_cents")), (20.0, 2.0));
    assert_eq!(bench.get("imbalance_1"), 0.5);
    // One level each, one cent from the mid: 300 / (2 × 1) and 100 / (2 × 1) shares a cent.
    assert_eq!((bench.get("depth_slope_bid"), bench.get("depth_slope_ask")), (1.5, 0.5));
    assert_eq!(bench.get("depth_slope_imbalance"), 0.5);
    bench.add(3, Side::Buy, 1, 99_800);
    bench.add(4, Side::Sell, 901, 100_300);
    assert_eq!(bench.get("imbalance_3"), -700.0 / 1302.0);
}

/// The cases of the definition, one after the other; queues of 100 throughout.
#[test]
fn order_flow_by_hand() {
    let mut bench = Bench::new();
    let mut flow = 0;
    let mut expect = |bench: &Bench, more: i64, what: &str| {
        flow += more;
        assert_eq!(bench.state.totals.flow, flow, "{what}");
    };
    bench.add(1, Side::Buy, 100, 99_900);
    expect(&bench, 100, "a first bid");
    bench.add(2, Side::Sell, 100, 100_100);
    expect(&bench, -100, "a first ask");
    bench.add(3, Side::Buy, 50, 99_900);
    expect(&bench, 50, "the bid grows");
    bench.add(4, Side::Buy, 70, 100_000);
    expect(&bench, 70, "a better bid: all of it");
    bench.event(EventKind::Delete { order_ref: 4 });
    expect(&bench, -70, "a worse bid: all that was there");
    bench.event(EventKind::Execute { order_ref: 2, shares: 30, price: None, printable: true });
    expect(&bench, 30, "asks are taken");
    bench.add(5, Side::Buy, 10, 99_800);
    expect(&bench, 0, "behind the touch");
    bench.event(EventKind::Delete { order_ref: 2 });
    expect(&bench, 70, "no ask is left");
    assert_eq!(bench.state.changes(), 7);
    assert_eq!(bench.get("trade_imbalance_16e"), 1.0);
}

#[test]
fn trades_are_signed_by_who_took() {
    let mut bench = Bench::new();
    bench.add(1, Side::Buy, 100, 99_900);
    bench.add(2, Side::Sell, 100, 100_100);
    let trade = |price, cross| EventKind::Trade { shares: 30, price: Price(price), cross };
    bench.event(EventKind::Execute { order_ref: 1, shares: 10, price: None, printable: true });
    assert_eq!((bench.state.totals.bought, bench.state.totals.sold), (0, 10));
    bench.event(EventKind::Execute { order_ref: 2, shares: 20, price: Some(Price(1)), printable: true });
    bench.event(EventKind::Execute { order_ref: 2, shares: 20, price: None, printable: false });
    assert_eq!((bench.state.totals.bought, bench.state.totals.sold), (20, 10));
    bench.event(trade(100_001, false));
    bench.event(trade(99_999, false));
    bench.event(trade(100_000, false));
    bench.event(trade(100_001, true));
    assert_eq!((bench.state.totals.bought, bench.state.totals.sold), (50, 40));
    assert_eq!(bench.get("trade_imbalance_16e"), 10.0 / 90.0);
}

#[test]
fn stamps_that_go_back_or_beyond_the_day_count_as_the_latest() {
    let mut bench = Bench::new();
    for (time, latest) in [(5_000, 5_000), (4_000, 5_000), (DAY_NS, 5_000), (u64::MAX, 5_000), (6_000, 6_000)]
    {
        bench.time = time;
        bench.add(time, Side::Buy, 1, 100);
        assert_eq!(bench.state.now(), latest);
    }
    assert_eq!(bench.state.bad_stamps(), 3);
}

/// A stream that wanders, with a share of events that cannot be right.
struct Stream {
    random: Random,
    time: u64,
    next_ref: u64,
    refs: Vec<u64>,
    middle: u32,
    rising: bool,
}

impl Stream {
    fn new(seed: u64) -> Self {
        let rising = !seed.is_multiple_of(3);
        Self {
            random: Random(seed | 1),
            time: 34_200_000_000_000,
            next_ref: 1_000_000_000,
            refs: vec![],
            middle: 1_000_000,
            rising,
        }
    }

    fn new_ref(&mut self) -> u64 {
        self.next_ref += 1;
        // Distinct either way: the last bits count.
        let order_ref =
            if self.rising { self.next_ref } else { self.next_ref ^ (self.random.below(64) << 40) };
        self.refs.push(order_ref);
        order_ref
    }

    /// Mostly one that is live, sometimes one that was, or never was.
    fn some_ref(&mut self, slow: &Slow) -> u64 {
        if self.random.below(60) == 0 {
            return self.random.below(9);
        }
        while !self.refs.is_empty() {
            let at = self.random.below(self.refs.len() as u64) as usize;
            if slow.is_live(self.refs[at]) {
                return self.refs[at];
            }
            let gone = self.refs.swap_remove(at);
            if self.random.below(20) == 0 {
                return gone;
            }
        }
        0
    }

    fn price(&mut self, side: Side) -> Price {
        let away = self.random.below(25) as u32 * 100;
        match (side, self.random.below(400)) {
            (_, 0) => Price(0),
            (Side::Sell, 1) => Price(u32::MAX),
            (Side::Buy, 1) => Price(1),
            (Side::Buy, _) => Price(self.middle - 100 - away),
            (Side::Sell, _) => Price(self.middle + 100 + away),
        }
    }

    fn shares(&mut self) -> u32 {
        match self.random.below(300) {
            0 => 0,
            1 => u32::MAX,
            2 => 1 << 26,
            _ => 1 + self.random.below(600) as u32,
        }
    }

    fn side(&mut self) -> Side {
        if self.random.below(2) == 0 { Side::Buy } else { Side::Sell }
    }

    fn next(&mut self, slow: &Slow) -> Event {
        self.time = match self.random.below(2_000) {
            0 => self.time + 20_000_000_000,
            1 => self.time - 1_000,
            2..400 => self.time + self.random.below(300_000_000),
            _ => self.time + self.random.below(1_000_000),
        };
        let timestamp = if self.random.below(3_000) == 0 { u64::MAX } else { self.time };
        if self.random.below(50) == 0 {
            self.middle = self.middle + 300 - self.random.below(7) as u32 * 100;
        }
        let locate = [1, 1, 1, 1, 1, 1, 2, 2, 1, 1][self.random.below(10) as usize];
        let add = if slow.live() < 120 { 50 } else { 15 };
        let kind = match self.random.below(100) {
            at if at < add => {
                let side = self.side();
                let order_ref = if self.random.below(80) == 0 { self.some_ref(slow) } else { self.new_ref() };
                EventKind::Add { order_ref, side, shares: self.shares(), price: self.price(side) }
            }
            at if at < add + 10 => {
                let (price, printable) = (self.random.below(3) == 0, self.random.below(5) > 0);
                let price = price.then(|| self.price(Side::Buy));
                EventKind::Execute { order_ref: self.some_ref(slow), shares: self.shares(), price, printable }
            }
            at if at < add + 18 => {
                EventKind::Cancel { order_ref: self.some_ref(slow), shares: self.shares() }
            }
            at if at < add + 33 => EventKind::Delete { order_ref: self.some_ref(slow) },
            at if at < add + 45 => {
                let (order_ref, side) = (self.some_ref(slow), self.side());
                let new_order_ref = match self.random.below(40) {
                    0 => order_ref,
                    1 => self.some_ref(slow),
                    _ => self.new_ref(),
                };
                EventKind::Replace {
                    order_ref,
                    new_order_ref,
                    shares: self.shares(),
                    price: self.price(side),
                }
            }
            at if at < add + 48 => {
                let (shares, price) =
                    (u64::from(self.shares()), Price(self.middle - 200 + self.random.below(5) as u32 * 100));
                EventKind::Trade { shares, price, cross: self.random.below(4) == 0 }
            }
            _ => EventKind::Other,
        };
        Event { locate, timestamp, kind }
    }
}

fn agree(state: &FeatureState, slow: &Slow, at: usize) {
    assert_eq!(state.twice_mid(), slow.twice_mid_now(), "mid after event {at}");
    let FeatureVector(vector) = state.vector();
    let slow = slow.features();
    assert_eq!(slow.len(), NAMES.len());
    for ((name, got), want) in NAMES.iter().zip(vector).zip(slow) {
        let (got, allowed) = (f64::from(got), 2e-6 * want.abs().max(1.0));
        assert!(
            got.is_finite() && (got - want).abs() <= allowed,
            "{name} after event {at}: {got}, not {want}"
        );
    }
    assert!(vector[NAMES.len()..].iter().all(|padding| *padding == 0.0));
}

/// Returns how many events of own orders were compared, without and with walks.
fn run(seed: u64, events: usize) -> [u64; 2] {
    let (mut books, mut slow, mut stream) = (books(), Slow::default(), Stream::new(seed));
    let mut features = Features::new(4, 1).unwrap();
    assert!(features.follow(&books, LOCATE) && !features.follow(&books, 2) && !features.follow(&books, 9));
    let (mut own, mut compared) = (None::<OwnPlace>, [0; 2]);
    for at in 0..events {
        let event = stream.next(&slow);
        let change = books.apply(&event);
        if at % 7_000 > 6_980 {
            // As while a book is brought up to date.
            slow.quietly(&event);
            features.resync(&books, LOCATE);
            slow.resync();
            own = None;
            continue;
        }
        let step = Step::of_event(&event, &change, &books);
        slow.apply(&event);
        features.on_step(&books, &step);
        agree(features.state(LOCATE).unwrap(), &slow, at);
        own = own.and_then(|mut own: OwnPlace| own.on_step(&books, &step).then_some(own));
        if let Some(own) = &own {
            let ahead = slow
                .ahead(own.order_ref())
                .map(|(orders_ahead, shares_ahead)| QueuePosition { orders_ahead, shares_ahead });
            assert_eq!(Some(own.ahead()), ahead, "seed {seed}, event {at}");
            compared[usize::from(own.walks())] += 1;
        } else if let Some(order_ref) = slow.some_order(at as u64 * 7) {
            own = OwnPlace::find(&books, order_ref);
            assert!(own.is_some());
        }
    }
    assert!(
        features.state(LOCATE).unwrap().bad_stamps() > 0 && books.counters().anomalies > events as u64 / 200
    );
    compared
}

#[test]
fn every_feature_equals_the_slow_computation() {
    for seed in [1, 2, 3, 4] {
        let [in_order, walked] = run(seed, 100_000);
        assert!(in_order > 1_000 && (walked > 1_000 || seed != 3), "{in_order}, {walked}");
    }
}
