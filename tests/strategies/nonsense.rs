//! Replies, events and views that cannot be: no strategy panics, allocates, or wants anything where it may not.

use exchange::rng::Rng;
use wirebook::blotter::{OrderEvent, OrderEventKind, OrderState, OrderUpdate};
use wirebook::book::{Books, Limits, Touched};
use wirebook::market::{BookState, Event, EventKind, Level, Price, Side, Symbol, TopOfBook, TradingState};
use wirebook::strategy::features::{Joined, Step, Trade};
use wirebook::strategy::lean::Style;
use wirebook::strategy::{Intent, Intents, MarketView, Strategy};

use crate::all;
use crate::counting;

const LOCATES: u16 = 4;

struct Dice(Rng);

impl Dice {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.index(choices.len())]
    }

    fn number(&mut self) -> u64 {
        let any = self.0.next();
        self.of(&[0, 1, 2, 3, 100, any % 1_000, any % 2_000_000, any, u64::MAX, u64::from(u32::MAX)])
    }

    fn small(&mut self) -> u32 {
        self.number() as u32
    }

    fn locate(&mut self) -> u16 {
        self.of(&[0, 1, 2, 3, 4, 60_000, u16::MAX])
    }

    fn side(&mut self) -> Side {
        self.of(&[Side::Buy, Side::Sell])
    }

    fn level(&mut self) -> Option<Level> {
        let level = Level { price: Price(self.small()), shares: self.number(), orders: self.small() };
        self.of(&[None, Some(level), Some(level)])
    }

    fn view(&mut self) -> MarketView {
        MarketView {
            locate: self.locate(),
            timestamp: self.number(),
            now_ns: self.number(),
            top: TopOfBook { bid: self.level(), ask: self.level() },
            book: self.of(&[BookState::Live, BookState::Live, BookState::Stale, BookState::Recovering]),
            trading: self.of(&[TradingState::Trading, TradingState::Trading, TradingState::Halted]),
        }
    }

    fn update(&mut self) -> OrderUpdate {
        let (shares, price, order_ref) = (self.small(), Price(self.small()), self.number());
        let (original, match_number, live) = (self.small(), self.number(), self.of(&[true, false]));
        let kind = self.of(&[
            OrderEventKind::Accepted { shares, price, order_ref, live },
            OrderEventKind::Executed { shares, price, match_number, liquidity: 0 },
            OrderEventKind::Canceled { shares, reason: 0 },
            OrderEventKind::Rejected { reason: 0 },
            OrderEventKind::Replaced { original, shares, price, order_ref, live },
            OrderEventKind::PriorityUpdate { price, order_ref },
            OrderEventKind::CancelReject,
            OrderEventKind::Broken { match_number, reason: 0 },
        ]);
        let pending = self.of(&[true, false]);
        let open = OrderState::Open { order: self.small(), shares: self.small(), price, pending };
        OrderUpdate {
            event: OrderEvent { user_ref_num: self.small(), timestamp: self.number(), kind },
            locate: self.locate(),
            side: self.side(),
            position: self.number() as i64,
            state: self.of(&[open, OrderState::Closed, OrderState::Unaffected]),
        }
    }

    fn step(&mut self) -> Step {
        let touched = Touched { side: self.side(), price: Price(self.small()) };
        let (order_ref, shares) = (self.number(), self.small());
        let joined = Joined { order_ref: self.number(), shares, price: Price(self.small()) };
        let trade = Trade { shares, hidden_at: self.of(&[None, Some(joined.price)]) };
        Step {
            locate: self.locate(),
            timestamp: self.number(),
            touched: self.of(&[None, Some(touched)]),
            order_ref,
            joined: self.of(&[None, Some(joined)]),
            trade: self.of(&[None, Some(trade)]),
            anomaly: self.of(&[false, false, true]),
        }
    }
}

fn bears<S: Strategy>(name: &str, mut strategy: S) {
    let mut dice = Dice(Rng::stream(7, 23));
    let mut books = Books::new(Limits { locates: u32::from(LOCATES), orders: 1_000, levels: 500 }).unwrap();
    books.set_all_states(BookState::Live);
    for number in 1..300_u64 {
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let price = Price(if side == Side::Buy { 90_000 } else { 90_700 } + 100 * (number % 7) as u32);
        let locate = 1 + (number % 3) as u16;
        let kind = EventKind::Add { order_ref: number, side, shares: 100, price };
        books.apply(&Event { locate, timestamp: number, kind });
    }
    let mut out = Intents::new();
    let mut wanted = 0_u64;
    for round in 0..300_000_u32 {
        let (mut on, mut locate) = (None, 0);
        let view = dice.view();
        let (update, step, some) = (dice.update(), dice.step(), dice.locate());
        let choice = dice.of(&[0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7]);
        let (number, sent) = (dice.small(), dice.of(&[true, true, false]));
        let real = some % LOCATES;
        let calls = counting::calls(|| match choice {
            0 => {
                (on, locate) = (Some(view), view.locate);
                strategy.on_top(&view, &mut out);
            }
            // A view of a book that is there.
            1 => {
                let view = MarketView { locate: real, top: books.top(real), ..view };
                (on, locate) = (Some(view), real);
                strategy.on_top(&view, &mut out);
            }
            2 => strategy.on_order(&update, &mut out),
            3 if S::FOLLOWS => strategy.on_step(&books, &step),
            4 if S::FOLLOWS => strategy.on_rebuilt(&books, some),
            5 => strategy.on_timer(view.now_ns, &mut out),
            6 => strategy.on_instrument(some, Symbol(*b"ANY     ")),
            7 if round % 64 == 0 => strategy.on_session(),
            _ => {}
        });
        assert_eq!(calls, 0, "{name}");
        for intent in out.iter() {
            wanted += 1;
            match (intent, on) {
                (Intent::Enter { .. } | Intent::Replace { .. }, Some(view)) => {
                    assert!(view.tradable() && intent.locate() == locate, "{name}: {intent:?} on {view:?}");
                }
                (Intent::Cancel { .. }, _) => {}
                (intent, None) => panic!("{name}: {intent:?} on no market"),
            }
            if let Intent::Enter { shares, price, .. } | Intent::Replace { shares, price, .. } = intent {
                assert!(shares > 0 || price.0 > 0, "{name}: {intent:?}");
            }
            let calls = counting::calls(|| match sent {
                true => strategy.on_sent(&intent, number),
                false => strategy.on_unsent(&intent),
            });
            assert_eq!(calls, 0, "{name}");
        }
        out.clear();
    }
    assert!(wanted > 100, "{name} wanted {wanted} things");
}

#[test]
fn nothing_that_cannot_be_harms_a_strategy() {
    let locates = u32::from(LOCATES);
    bears("take", all::imbalance(Style::Take, locates));
    bears("join", all::imbalance(Style::Join, locates));
    bears("model", all::signal(Style::Join, locates));
    bears("maker", all::maker(locates));
    bears("template", all::template(locates));
}
