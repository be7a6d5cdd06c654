//! Features and models take their memory when they are made: nothing is allocated for an event or a prediction.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod counting;

use wirebook::book::{Books, Limits};
use wirebook::market::{BookState, Event, EventKind, Price, Side, Symbol};
use wirebook::strategy::features::{Features, NAMES, OwnPlace, Step};
use wirebook::strategy::model::{Kind, Model, Path};

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
    let names = NAMES.join(",");
    let mut header = format!(r#"{{"__metadata__":{{"model":"{}","features":"{names}"}}"#, kind.name());
    let mut data = Vec::new();
    for (name, shape, count) in tensors {
        let from = data.len();
        data.extend(std::iter::repeat_n(0.25_f32.to_le_bytes(), count).flatten());
        header +=
            &format!(r#","{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{}]}}"#, data.len());
    }
    header.push('}');
    let length = (header.len() as u64).to_le_bytes();
    Model::from_bytes("made here", &[&length[..], header.as_bytes(), &data[..]].concat()).unwrap()
}

#[test]
fn an_event_and_a_prediction_allocate_nothing() {
    let mut books = Books::new(Limits { locates: 4, orders: 20_000, levels: 5_000 }).unwrap();
    let mut features = Features::new(4, 2).unwrap();
    let models: Vec<Model> = [Kind::Linear, Kind::Perceptron]
        .into_iter()
        .flat_map(|kind| Path::ALL.map(|path| model(kind).on_path(path)))
        .collect();
    let (mut predictions, mut followed, mut sum) = (0, 0, 0.0);
    let calls = counting::calls(|| {
        books.set_all_states(BookState::Live);
        let mut own: Option<OwnPlace> = None;
        for number in 1..60_000_u64 {
            let order_ref = number.saturating_sub(300);
            let side = if number & 1 == 0 { Side::Buy } else { Side::Sell };
            let away = (number.wrapping_mul(0x9E37_79B9) >> 9) as u32 % 15 * 100;
            let price = Price(if number & 1 == 0 { 99_900 - away } else { 100_100 + away });
            let joins = EventKind::Add { order_ref: number, side, shares: 100, price };
            let kinds = [
                EventKind::Directory { symbol: Symbol(*b"ABC     "), round_lot: 100 },
                joins,
                match number % 4 {
                    0 => EventKind::Execute { order_ref, shares: 60, price: None, printable: true },
                    1 => {
                        EventKind::Replace { order_ref, new_order_ref: number + (1 << 30), shares: 5, price }
                    }
                    2 => EventKind::Trade { shares: 7, price, cross: false },
                    _ => EventKind::Delete { order_ref },
                },
            ];
            for kind in kinds {
                let event = Event { locate: 1, timestamp: number * 500_000, kind };
                let change = books.apply(&event);
                features.follow(&books, 1);
                let step = Step::of_event(&event, &change, &books);
                if let Some(state) = features.on_step(&books, &step) {
                    let vector = state.vector();
                    for model in &models {
                        sum += model.infer(&vector).unwrap_or(0.0);
                        predictions += 1;
                    }
                }
                own = own
                    .filter(|_| number % 97 != 0)
                    .and_then(|mut own| own.on_step(&books, &step).then_some(own));
                followed += u64::from(own.is_some());
            }
            own = own.or_else(|| OwnPlace::find(&books, number));
            if number % 1_000 == 0 {
                features.resync(&books, 1);
            }
        }
        features.forget_all();
    });
    assert_eq!(calls, 0);
    assert!(
        predictions > 500_000 && followed > 50_000 && sum.is_finite(),
        "{predictions}, {followed}, {sum}"
    );
}
