//! Random streams, wrong as often as right, compared after every event.

use proptest::prelude::*;
use wirebook::book::{Books, Limits};
use wirebook::market::{
    BookState, Event, EventKind, OrderMessage, Price, Side, Symbol, SystemEvent, TradingState,
};

use crate::model::Model;

#[derive(Clone, Copy, Debug)]
enum Step {
    Event(Event),
    State(u16, BookState),
    All(BookState),
    Others(BookState),
    Drain(u16, u32),
    ForgetTrading(u16),
    Clear,
    LookAhead(bool),
    Settle,
}

/// Few references, so that they come back while live and after; spread so that many share a slot of the index.
fn order_ref() -> impl Strategy<Value = u64> {
    (0_u64..12, prop::sample::select(vec![0_u32, 0, 0, 7, 32, 60]))
        .prop_map(|(number, shift)| number.wrapping_shl(shift))
}

fn price() -> impl Strategy<Value = Price> {
    prop_oneof![12 => 0_u32..12, 1 => Just(u32::MAX), 1 => Just(u32::MAX - 1)].prop_map(Price)
}

fn shares() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 0_u32..6, 1 => Just(u32::MAX)]
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn kind() -> impl Strategy<Value = EventKind> {
    let symbol = prop_oneof![Just("AAAA"), Just("BBBB")].prop_map(|text| Symbol::new(text).unwrap());
    let trading = prop::sample::select(vec![
        TradingState::Halted,
        TradingState::Paused,
        TradingState::QuotationOnly,
        TradingState::Trading,
    ]);
    prop_oneof![
        12 => (order_ref(), side(), shares(), price())
            .prop_map(|(order_ref, side, shares, price)| EventKind::Add { order_ref, side, shares, price }),
        4 => (order_ref(), shares(), prop::option::of(price()), any::<bool>())
            .prop_map(|(order_ref, shares, price, printable)| EventKind::Execute { order_ref, shares, price, printable }),
        3 => (order_ref(), shares()).prop_map(|(order_ref, shares)| EventKind::Cancel { order_ref, shares }),
        3 => order_ref().prop_map(|order_ref| EventKind::Delete { order_ref }),
        5 => (order_ref(), order_ref(), shares(), price())
            .prop_map(|(order_ref, new_order_ref, shares, price)| EventKind::Replace { order_ref, new_order_ref, shares, price }),
        1 => (0_u64..9, price(), any::<bool>())
            .prop_map(|(shares, price, cross)| EventKind::Trade { shares, price, cross }),
        2 => (symbol, 0_u32..3).prop_map(|(symbol, round_lot)| EventKind::Directory { symbol, round_lot }),
        1 => trading.prop_map(EventKind::Trading),
        1 => Just(EventKind::MarketHalt),
        1 => any::<bool>().prop_map(EventKind::OperationalHalt),
        1 => prop_oneof![Just(EventKind::Other), Just(EventKind::System(SystemEvent::StartOfMarketHours))],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let state = || prop::sample::select(vec![BookState::Stale, BookState::Recovering, BookState::Live]);
    // Mostly one instrument, so that most events fit.
    let locate = || prop_oneof![8 => Just(1_u16), 2 => Just(2_u16), 1 => 0_u16..7, 1 => Just(u16::MAX)];
    prop_oneof![
        60 => (locate(), any::<u32>(), kind())
            .prop_map(|(locate, time, kind)| Step::Event(Event { locate, timestamp: u64::from(time), kind })),
        2 => (locate(), state()).prop_map(|(locate, state)| Step::State(locate, state)),
        1 => state().prop_map(Step::All),
        1 => state().prop_map(Step::Others),
        1 => (locate(), 0_u32..6).prop_map(|(locate, at_most)| Step::Drain(locate, at_most)),
        1 => locate().prop_map(Step::ForgetTrading),
        1 => Just(Step::Clear),
        2 => any::<bool>().prop_map(Step::LookAhead),
        1 => Just(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn books_equal_the_model_after_every_event(
        locates in 2_u32..6,
        orders in prop_oneof![1_u32..4, 4_u32..60],
        levels in prop_oneof![1_u32..4, 4_u32..40],
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let limits = Limits { locates, orders, levels };
        let mut books = Books::new(limits).unwrap();
        let mut model = Model::new(limits);
        for step in steps {
            match step {
                Step::Event(event) => assert_eq!(books.apply(&event), model.apply(&event), "{event:?}"),
                Step::State(locate, state) => {
                    books.set_state(locate, state);
                    model.set_state(locate, state);
                }
                Step::All(state) => {
                    books.set_all_states(state);
                    model.set_all_states(state);
                }
                Step::Others(state) => {
                    books.set_other_states(state);
                    model.set_other_states(state);
                }
                Step::Drain(locate, at_most) => {
                    assert_eq!(books.drain(locate, at_most), model.drain(locate, at_most));
                }
                Step::ForgetTrading(locate) => {
                    books.forget_trading(locate);
                    model.forget_trading(locate);
                }
                Step::Clear => {
                    books.clear();
                    model.clear();
                }
                // What they change is when things are written, not what is read.
                Step::LookAhead(many) => books.look_ahead(&[OrderMessage::EMPTY; 2][usize::from(!many)..]),
                Step::Settle => books.settle(),
            }
            model.compare(&books);
        }
    }
}
