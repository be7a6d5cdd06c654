//! The second half of the loop: features, models, risk, orders.

#![expect(clippy::expect_used, reason = "a case that is not what it says ends everything")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::ops::{Deref, DerefMut};

use wirebook::blotter::TimeInForce;
use wirebook::feed::itch::decode;
use wirebook::market::{BookState, Level, OrderMessage, Price, Side, Symbol, TopOfBook, TradingState};
use wirebook::nic::TxQueue;
use wirebook::order::Session as _;
use wirebook::order::ouch::OuchProfile;
use wirebook::order::template::FrameAddressing;
use wirebook::order::wutf::WutfSession;
use wirebook::risk::{Rate, Risk, RiskLimits};
use wirebook::strategy::features::{FeatureState, FeatureVector, Features, NAMES, Step};
use wirebook::strategy::model::{Kind, Model, Path};
use wirebook::strategy::{Intent, MarketView};

use crate::cases::Case;
use crate::count::{figure, prepared};

/// Instruments of the books.
const LOCATES: u32 = 64;

/// Everything here.
pub(crate) fn all(day: &Case) {
    features(day);
    for (kind, name) in [(Kind::Linear, "linear"), (Kind::Perceptron, "perceptron")] {
        for (path, on) in [(Path::Portable, "portable"), (Path::Avx2, "avx2")] {
            inference(kind, path, &format!("inference.{name}_{on}"));
        }
    }
    orders();
}

/// The messages of the day, into the books and into the features of all instruments: what it takes beyond `book.day`; and
/// what a model is given, as often.
fn features(day: &Case) {
    let mut books = prepared(day);
    let locates: Vec<u16> = (0..LOCATES as u16).filter(|locate| books.symbol(*locate).is_some()).collect();
    let mut features = Features::new(LOCATES, LOCATES as u16).expect("memory");
    for locate in &locates {
        assert!(features.follow(&books, *locate), "a place for {locate}");
    }
    let records: Vec<_> = (day.counted.iter())
        .map(|message| {
            OrderMessage::from_event(&decode(message).expect("a message")).expect("an order message")
        })
        .collect();
    figure("features.day_with_book", records.len(), || {
        for record in &records {
            let change = books.apply_order(black_box(record));
            books.settle();
            let step = Step::of_message(record, &change, &books);
            black_box(features.on_step(&books, &step));
        }
    });
    assert_eq!(features.counters().events, records.len() as u64, "every message counts");
    // More of the same: the books do not matter here.
    let of_all = locates.iter().cycle().take(records.len());
    figure("features.vector", records.len(), || {
        for locate in of_all.clone() {
            black_box(features.state(*locate).map(FeatureState::vector));
        }
    });
    let changes: u64 =
        locates.iter().map(|locate| features.state(*locate).map_or(0, FeatureState::changes)).sum();
    assert!(changes > 0 && books.counters().anomalies == 0, "the touch moved, {changes} times");
}

/// A model of which every weight is 1/4.
fn model(kind: Kind) -> Model {
    let layers: &[[usize; 2]] = match kind {
        Kind::Linear => &[[1, 26]],
        Kind::Perceptron => &[[32, 26], [16, 32], [1, 16]],
    };
    let mut tensors =
        vec![("mean".to_owned(), "[26]".to_owned(), 26), ("inv_std".to_owned(), "[26]".to_owned(), 26)];
    for (number, [neurons, inputs]) in (1..).zip(layers) {
        tensors.push((format!("layer{number}.weight"), format!("[{neurons},{inputs}]"), neurons * inputs));
        tensors.push((format!("layer{number}.bias"), format!("[{neurons}]"), *neurons));
    }
    let mut header =
        format!(r#"{{"__metadata__":{{"model":"{}","features":"{}"}}"#, kind.name(), NAMES.join(","));
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, count) in tensors {
        let from = data.len();
        data.extend(std::iter::repeat_n(0.25_f32.to_le_bytes(), count).flatten());
        header +=
            &format!(r#","{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{}]}}"#, data.len());
    }
    header.push('}');
    let length = (header.len() as u64).to_le_bytes();
    Model::from_bytes("gate", &[&length[..], header.as_bytes(), &data].concat()).expect("a model")
}

const COUNT: usize = 1_024;

fn inference(kind: Kind, path: Path, name: &str) {
    let model = model(kind).on_path(path);
    let vectors: Vec<_> = (0..COUNT)
        .map(|at| FeatureVector(std::array::from_fn(|feature| (at * 7 + feature) as f32 / 100.0)))
        .collect();
    figure(name, COUNT, || {
        for vector in &vectors {
            black_box(model.infer(black_box(vector)));
        }
    });
}

/// A transmit queue of one buffer: nothing of a driver is counted.
struct Memory(Option<Box<[u8; 2_048]>>);

struct Slot(Box<[u8; 2_048]>);

impl Deref for Slot {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0[..]
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0[..]
    }
}

impl TxQueue for Memory {
    type Slot = Slot;
    fn reserve(&mut self) -> Option<Slot> {
        self.0.take().map(Slot)
    }
    fn send(&mut self, slot: Slot, _: u16) -> Result<(), Slot> {
        self.0 = Some(slot.0);
        Ok(())
    }
}

/// New orders through every check of risk, and each onto the wire (memory) over UDP.
fn orders() {
    let rate = Rate { per_second: 1_000_000, burst: 1_000_000 };
    let limits = RiskLimits {
        max_order_shares: 1_000,
        max_order_value: 1 << 40,
        collar_bps: 100,
        reference_collar_bps: Some(1_000),
        max_long_shares: 1 << 30,
        max_short_shares: 1 << 30,
        max_gross_value: 1 << 60,
        max_open_orders: 4_096,
        port_rate: rate,
        symbol_rate: rate,
        repeat_window_ns: 10_000,
        fills_remembered: 4_096,
        ..RiskLimits::default()
    };
    let mut risk = Risk::new(limits, LOCATES).expect("limits in range");
    risk.arm();
    risk.set_session_healthy(true);
    for locate in 1..LOCATES as u16 {
        assert!(risk.set_symbol(locate, Symbol::new(&format!("S{locate}")).expect("a symbol")), "it is new");
        risk.set_reference(locate, Price(1_000_000));
    }
    let view = |at: usize| MarketView {
        locate: 1 + (at % (LOCATES as usize - 1)) as u16,
        timestamp: 36_000_000_000_000,
        now_ns: 1_000_000_000 + at as u64 * 1_000,
        top: TopOfBook {
            bid: Some(Level { price: Price(1_000_000), shares: 300, orders: 3 }),
            ask: Some(Level { price: Price(1_000_100), shares: 200, orders: 2 }),
        },
        book: BookState::Live,
        trading: TradingState::Trading,
    };
    let asked: Vec<_> = (0..COUNT)
        .map(|at| {
            let view = view(at);
            let intent = Intent::Enter {
                locate: view.locate,
                side: if at & 1 == 0 { Side::Buy } else { Side::Sell },
                shares: 100,
                price: Price(1_000_000 + (at & 1) as u32 * 100),
                time_in_force: TimeInForce::Ioc,
            };
            (intent, view)
        })
        .collect();
    // What an order waits for; the rest of `risk.enter` is noted once it has left.
    figure("risk.judge", COUNT, || {
        for (intent, view) in &asked {
            black_box(risk.rehearse(black_box(intent), view, view.now_ns));
        }
    });
    let mut cleared = Vec::with_capacity(COUNT);
    figure("risk.enter", COUNT, || {
        for (intent, view) in &asked {
            cleared.extend(risk.check(*black_box(intent), view, view.now_ns));
        }
    });
    assert_eq!(cleared.len(), COUNT, "{:?}", risk.counters());

    let addressing = FrameAddressing {
        src_mac: [2, 0, 0, 0, 0, 2],
        dst_mac: [2, 0, 0, 0, 0, 1],
        src_ip: Ipv4Addr::new(10, 0, 0, 2),
        dst_ip: Ipv4Addr::new(10, 0, 0, 1),
        src_port: 31_000,
        dst_port: 31_001,
        vlan: None,
    };
    let mut session =
        WutfSession::new(&addressing, &OuchProfile::default()).expect("no VLAN is none out of range");
    let mut tx = Memory(Some(Box::new([0; 2_048])));
    figure("order.udp", COUNT, || {
        for order in &cleared {
            session.send(black_box(order), &mut tx).expect("memory takes it");
        }
    });
    assert_eq!(session.counters().enters, COUNT as u64, "all are new orders");
}
