//! Ten million events of a plausible day, with a few that are wrong, against the model.

use wirebook::book::{Books, Limits};
use wirebook::market::{BookState, Event, EventKind, OrderMessage, Price, Side};

use crate::behaviour::{at, directory};
use crate::model::Model;
use crate::random_numbers::Random;

const EVENTS: u32 = 10_000_000;
const LOCATES: u32 = 200;
const LIVE: usize = 30_000;

/// Events over the orders that it believes to be live.
struct Flow {
    random: Random,
    live: Vec<(u16, u64)>,
    next_ref: u64,
}

impl Flow {
    fn next(&mut self) -> Event {
        let wrong = self.random.below(400) == 0;
        let shares = 1 + self.random.below(300) as u32;
        // Around 100 dollars, thick near the middle; bids below asks most of the time.
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let away = (self.random.below(40) * self.random.below(40) / 20) as u32 * 100;
        let price = Price(if side == Side::Buy { 999_900 - away } else { 1_000_000 + away });
        let full = self.live.len() >= LIVE;
        if self.live.is_empty() || !full && self.random.below(100) < 48 {
            let locate = 1 + self.random.below(LOCATES as usize - 1) as u16;
            // Sometimes a reference that was used before, dead or alive.
            let order_ref =
                if wrong { self.random.below(self.next_ref as usize) as u64 } else { self.fresh() };
            self.live.push((locate, order_ref));
            return at(locate, EventKind::Add { order_ref, side, shares, price });
        }
        let chosen = self.random.below(self.live.len());
        let (mut locate, order_ref) = self.live[chosen];
        if wrong && self.random.below(2) == 0 {
            locate = self.random.below(LOCATES as usize + 10) as u16;
        }
        let kind = match self.random.below(100) {
            0..60 => {
                // Removed from here, so that later events on it do not come; kept when wrong, so that they do.
                if !wrong {
                    self.live.swap_remove(chosen);
                }
                EventKind::Delete { order_ref }
            }
            60..75 => {
                let new_order_ref = if wrong { order_ref ^ u64::from(shares & 1) } else { self.fresh() };
                self.live[chosen].1 = new_order_ref;
                // On its own side of the market: what side that is, the event does not say.
                EventKind::Replace { order_ref, new_order_ref, shares, price }
            }
            75..90 => {
                EventKind::Execute { order_ref, shares: shares / 3, price: None, printable: shares & 1 == 0 }
            }
            _ => EventKind::Cancel { order_ref, shares: shares / 5 },
        };
        at(locate, kind)
    }

    /// Rising, with gaps, and every so often from a block far away.
    fn fresh(&mut self) -> u64 {
        self.next_ref += 1 + self.random.below(4) as u64;
        if self.next_ref.is_multiple_of(16) { self.next_ref + (1 << 33) } else { self.next_ref }
    }
}

#[test]
fn ten_million_events() {
    let limits = Limits { locates: LOCATES, orders: 28_600, levels: 16_400 };
    let mut books = Books::new(limits).unwrap();
    let mut model = Model::new(limits);
    // Two instruments stay without a directory.
    for locate in 1..LOCATES as u16 - 2 {
        let event = at(locate, directory(&format!("S{locate}")));
        assert_eq!(books.apply(&event), model.apply(&event));
    }
    let mut flow = Flow { random: Random(0x9E37_79B9_7F4A_7C15), live: Vec::new(), next_ref: 1 };
    for done in 0..EVENTS {
        if done % 50_000 == 0 {
            books.set_all_states(BookState::Live);
            (0..LOCATES as u16).for_each(|locate| model.set_state(locate, BookState::Live));
        }
        if done % 200_000 == 0 {
            let locate = (done / 200_000 % LOCATES) as u16;
            assert_eq!(books.drain(locate, 3), model.drain(locate, 3), "event {done}");
        }
        if done % 64 == 0 {
            books.look_ahead(&[OrderMessage::EMPTY; 2][usize::from(done % 3 == 0)..]);
        }
        let event = flow.next();
        let change = books.apply(&event);
        assert_eq!(change, model.apply(&event), "event {done}: {event:?}");
        if done % 1_000 == 0 {
            model.compare_locate(&books, event.locate);
        }
        if done % 2_000_000 == 0 {
            model.compare(&books);
        }
    }
    model.compare(&books);
    assert!(model.live() > 10_000, "{} orders live", model.live());
    // Else the stream did not try what it is for.
    let untried = ["book_cleared", "book_symbol_changed", "book_zero_price"];
    for (name, value) in books.counters().rows() {
        assert_eq!(value == 0, untried.contains(&name), "{name} = {value}, {:?}", books.usage());
    }
}
