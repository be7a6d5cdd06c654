use super::*;
use crate::book::Limits;
use crate::market::{BookState, Event, EventKind, Price, Side, TradingState};
use crate::strategy::TimeInForce;
use crate::strategy::features::NAMES;
use crate::strategy::lean::Style;

const LOCATE: u16 = 1;

/// A linear model of `imbalance_1` alone: the prediction is `weight` times it, and `bias`.
fn model(weight: f32, bias: f32) -> Model {
    let mut header = format!(r#"{{"__metadata__":{{"model":"linear","features":"{}"}}"#, NAMES.join(","));
    let mut data = Vec::new();
    let weights: Vec<f32> =
        NAMES.iter().map(|name| if *name == "imbalance_1" { weight } else { 0.0 }).collect();
    let tensors = [
        ("mean", "[26]", vec![0.0; 26]),
        ("inv_std", "[26]", vec![1.0; 26]),
        ("layer1.weight", "[1,26]", weights),
        ("layer1.bias", "[1]", vec![bias]),
    ];
    for (name, shape, values) in tensors {
        let from = data.len();
        data.extend(values.iter().flat_map(|value: &f32| value.to_le_bytes()));
        let to = data.len();
        header += &format!(r#","{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#);
    }
    header.push('}');
    let length = (header.len() as u64).to_le_bytes();
    Model::from_bytes("made here", &[&length[..], header.as_bytes(), &data[..]].concat()).unwrap()
}

struct Stage {
    signal: Signal,
    books: Books,
}

impl Stage {
    fn new(model: Model, instruments: u16) -> Self {
        let mut books = Books::new(Limits { locates: 4, orders: 100, levels: 50 }).unwrap();
        books.set_all_states(BookState::Live);
        let params = LeanParams {
            entry: 500,
            exit: 100,
            order_shares: 100,
            style: Style::Take,
            max_spread: 200,
            cooldown_ns: 0,
            symbols: None,
        };
        let mut signal = Signal::new(model, params, 4, instruments).unwrap();
        signal.on_instrument(LOCATE, Symbol(*b"TEST    "));
        let mut stage = Self { signal, books };
        stage.apply(EventKind::Directory { symbol: Symbol(*b"TEST    "), round_lot: 100 });
        stage.apply(EventKind::Trading(TradingState::Trading));
        stage.signal.on_rebuilt(&stage.books, LOCATE);
        stage
    }

    fn apply(&mut self, kind: EventKind) {
        let event = Event { locate: LOCATE, timestamp: 0, kind };
        let change = self.books.apply(&event);
        self.signal.on_step(&self.books, &Step::of_event(&event, &change, &self.books));
    }

    fn add(&mut self, order_ref: u64, side: Side, shares: u32, price: u32) {
        self.apply(EventKind::Add { order_ref, side, shares, price: Price(price) });
    }

    fn top(&mut self) -> Option<Intent> {
        let view = MarketView {
            locate: LOCATE,
            timestamp: 0,
            now_ns: 1,
            top: self.books.top(LOCATE),
            book: self.books.state(LOCATE),
            trading: self.books.trading_state(LOCATE),
        };
        let mut out = Intents::new();
        self.signal.on_top(&view, &mut out);
        out.get(0)
    }
}

fn take(side: Side, price: u32) -> Option<Intent> {
    let time_in_force = TimeInForce::Ioc;
    Some(Intent::Enter { locate: LOCATE, side, shares: 100, price: Price(price), time_in_force })
}

#[test]
fn it_leans_with_the_prediction() {
    // 300 against 100 is an imbalance of one half.
    let on = |weight, bias| {
        let mut stage = Stage::new(model(weight, bias), 2);
        stage.add(1, Side::Buy, 300, 1_000_000);
        stage.add(2, Side::Sell, 100, 1_000_100);
        (stage.top(), stage.signal.counters())
    };
    assert_eq!(on(1.0, 0.0).0, take(Side::Buy, 1_000_100), "0.5 is 500 thousandths");
    assert_eq!(on(0.998, 0.0).0, None, "just under the threshold");
    assert_eq!(on(-1.0, 0.0).0, take(Side::Sell, 1_000_000));
    assert_eq!(on(0.0, 1e9).0, take(Side::Buy, 1_000_100), "beyond an i32");
    let (intent, counters) = on(f32::MAX, f32::MAX);
    assert_eq!(intent, None, "no number");
    assert_eq!((counters.predictions, counters.no_prediction, counters.signals), (1, 1, 0));
}

#[test]
fn it_asks_nobody_while_a_reply_is_missing_or_where_it_may_not_act() {
    let mut stage = Stage::new(model(1.0, 0.0), 2);
    stage.add(1, Side::Buy, 300, 1_000_000);
    stage.add(2, Side::Sell, 100, 1_000_100);
    let intent = stage.top().unwrap();
    stage.signal.on_sent(&intent, 5);
    assert_eq!(stage.top(), None);
    assert_eq!(stage.signal.counters().predictions, 1);

    // No room for features.
    let mut stage = Stage::new(model(1.0, 1.0), 0);
    stage.add(1, Side::Buy, 300, 1_000_000);
    stage.add(2, Side::Sell, 100, 1_000_100);
    assert_eq!(stage.top(), None);
    let counters = stage.signal.counters();
    assert_eq!((counters.predictions, counters.tops), (0, 1));
    assert!(counters.no_place > 0);
}

#[test]
fn a_change_that_was_not_told_is_noticed() {
    let mut stage = Stage::new(model(1.0, 0.0), 2);
    stage.add(1, Side::Buy, 300, 1_000_000);
    stage.add(2, Side::Sell, 100, 1_000_100);
    let kind = EventKind::Add { order_ref: 3, side: Side::Buy, shares: 500, price: Price(1_000_000) };
    stage.books.apply(&Event { locate: LOCATE, timestamp: 0, kind });
    assert_eq!(stage.top(), None);
    assert_eq!(stage.signal.counters().out_of_step, 1);
    stage.add(4, Side::Sell, 10, 1_000_200);
    assert_eq!(stage.top(), take(Side::Buy, 1_000_100));
    assert_eq!(stage.signal.counters().resyncs, 1);
}
