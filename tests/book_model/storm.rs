//! Events of every kind in every shape that is hard on a book, against the model: what each event did is compared, what
//! the books show every so often, everything now and then.
//!
//! `WIREBOOK_EVENTS` events (a million without it; `make test-long` has 10^8) from `WIREBOOK_SEED`. Every so many
//! events the weather changes: how references are numbered, where prices are, how much rests.

use wirebook::book::{Books, Limits};
use wirebook::market::{BookState, Event, EventKind, Price, Side, TradingState};

use crate::behaviour::{at, directory};
use crate::model::Model;
use crate::random_numbers::Random;

const LIMITS: Limits = if cfg!(miri) {
    Limits { locates: 40, orders: 300, levels: 200 }
} else {
    Limits { locates: 40, orders: 30_000, levels: 20_500 }
};
/// Events from one change of the weather to the next.
const SPELL: u64 = if cfg!(miri) { 150 } else { 100_000 };

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// How new orders are numbered.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    /// Up, with small gaps, as an exchange does.
    Rising,
    /// Up, across a multiple of 2^32.
    Wrapping,
    /// The same few in the low bits; the high ones differ.
    Colliding,
    /// Up, and those of orders that left, again.
    Used,
    /// Back by some thousands, then on.
    Back,
    /// Anything at all.
    Scattered,
}

/// Where new orders stand.
#[derive(Clone, Copy, Debug)]
enum Prices {
    /// Thick near the touch, some hundred levels.
    Touch,
    /// Two prices a side of one instrument, mostly one: queues of thousands.
    Queues,
    /// One side of one instrument, with 20,000 levels and more.
    Deep,
    /// A middle that walks, through what rests on either side.
    Walk,
    /// Anything, the ends of the range included.
    Scattered,
}

const NUMBERS: [Numbers; 6] = [
    Numbers::Rising,
    Numbers::Wrapping,
    Numbers::Colliding,
    Numbers::Used,
    Numbers::Back,
    Numbers::Scattered,
];
const PRICES: [Prices; 5] = [Prices::Touch, Prices::Walk, Prices::Deep, Prices::Queues, Prices::Scattered];

/// Makes events over the orders that it believes to be live.
struct Weather {
    random: Random,
    numbers: Numbers,
    prices: Prices,
    /// Orders that rest once it has settled.
    target: usize,
    live: Vec<(u16, u64)>,
    /// Some of those that left.
    left: Vec<u64>,
    next: u64,
    middle: u32,
}

impl Weather {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed | 1),
            numbers: Numbers::Rising,
            prices: Prices::Touch,
            target: 5_000,
            live: Vec::new(),
            left: Vec::new(),
            next: 1,
            middle: 1_000_000,
        }
    }

    fn change(&mut self, spell: u64) {
        self.prices = PRICES[(spell % PRICES.len() as u64) as usize];
        self.numbers = NUMBERS[self.random.below(NUMBERS.len())];
        // At times more than there is room for.
        let targets = match self.prices {
            Prices::Deep => [24_000, 30_000, 40_000],
            Prices::Queues => [4_000, 8_000, 24_000],
            _ => [300, 8_000, 37_000],
        };
        self.target = targets[self.random.below(targets.len())];
        match self.numbers {
            Numbers::Wrapping => self.next = (self.next | 0xFFFF_FFFF) - 5_000,
            Numbers::Back => self.next = self.next.saturating_sub(self.random.below(20_000) as u64),
            _ => {}
        }
    }

    fn fresh(&mut self) -> u64 {
        match self.numbers {
            Numbers::Colliding => {
                let high = (self.random.below(1 << 16) as u64) << [16, 24, 32, 48][self.random.below(4)];
                high | self.random.below(3) as u64
            }
            Numbers::Used if !self.left.is_empty() && self.random.below(2) == 0 => {
                self.left[self.random.below(self.left.len())]
            }
            Numbers::Scattered => self.random.any() >> self.random.below(64),
            Numbers::Rising | Numbers::Wrapping | Numbers::Back | Numbers::Used => {
                self.next += 1 + self.random.below(3) as u64;
                self.next
            }
        }
    }

    /// Instrument, side, and price.
    fn place(&mut self) -> (u16, Side, Price) {
        let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let locate = 1 + self.random.below(30) as u16;
        let away = |middle: u32, away: u32| match side {
            Side::Buy => middle - away,
            Side::Sell => middle + away,
        };
        match self.prices {
            Prices::Touch => {
                let steps = self.random.below(40) * self.random.below(40) / 16;
                (locate, side, Price(away(1_000_000, 50 + 100 * steps as u32)))
            }
            Prices::Queues => (31, side, Price(away(500_000, 100 * (self.random.below(4) / 3) as u32))),
            Prices::Deep => (32, Side::Sell, Price(100 * (1 + self.random.below(80_000) as u32))),
            Prices::Walk => {
                // Up and down by some levels; what rests beyond is crossed.
                self.middle =
                    (self.middle + 100 * self.random.below(11) as u32 - 500).clamp(200_000, 2_000_000);
                (1 + locate % 3, side, Price(away(self.middle, 100 * self.random.below(30) as u32)))
            }
            Prices::Scattered => {
                let price = (self.random.any() >> self.random.below(64)) as u32;
                (locate, side, Price(if self.random.below(50) == 0 { u32::MAX } else { price.max(1) }))
            }
        }
    }

    fn leaves(&mut self, chosen: usize) {
        let (_, order_ref) = self.live.swap_remove(chosen);
        if self.left.len() < 4_096 {
            self.left.push(order_ref);
        } else {
            let at = self.random.below(4_096);
            self.left[at] = order_ref;
        }
    }

    fn next(&mut self) -> Event {
        if self.random.below(3_000) == 0 {
            return self.odd();
        }
        let wrong = self.random.below(300) == 0;
        let shares = 1 + self.random.below(500) as u32;
        let growing = self.live.len() < self.target;
        if self.live.is_empty() || self.random.below(100) < if growing { 65 } else { 20 } {
            let (locate, side, price) = self.place();
            let order_ref = self.fresh();
            self.live.push((locate, order_ref));
            let shares = if wrong { self.random.below(2) as u32 * u32::MAX } else { shares };
            return at(locate, EventKind::Add { order_ref, side, shares, price });
        }
        // Young ones half of the time.
        let young = if self.random.below(2) == 0 { self.live.len().min(1_000) } else { self.live.len() };
        let chosen = self.live.len() - 1 - self.random.below(young);
        let (mut locate, order_ref) = self.live[chosen];
        if wrong && self.random.below(2) == 0 {
            locate = self.random.below(LIMITS.locates as usize + 5) as u16;
        }
        let kind = match self.random.below(100) {
            0..50 => {
                // Kept when wrong, so that later events on what has left do come.
                if !wrong {
                    self.leaves(chosen);
                }
                EventKind::Delete { order_ref }
            }
            50..72 => {
                let (_, _, price) = self.place();
                let new_order_ref = match (wrong, self.random.below(2)) {
                    (true, 0) => order_ref,
                    (true, _) => self.live[self.random.below(self.live.len())].1,
                    _ => self.fresh(),
                };
                self.live[chosen].1 = new_order_ref;
                EventKind::Replace { order_ref, new_order_ref, shares, price }
            }
            72..90 => {
                let price = (shares & 3 == 0).then_some(Price(shares));
                EventKind::Execute { order_ref, shares: shares / 2, price, printable: shares & 1 == 0 }
            }
            _ => EventKind::Cancel { order_ref, shares: shares / 3 },
        };
        at(locate, kind)
    }

    /// What has nothing to do with orders.
    fn odd(&mut self) -> Event {
        let locate = self.random.below(LIMITS.locates as usize + 2) as u16;
        let states =
            [TradingState::Halted, TradingState::Paused, TradingState::QuotationOnly, TradingState::Trading];
        let kind = match self.random.below(6) {
            0 => EventKind::Trading(states[self.random.below(4)]),
            1 => EventKind::OperationalHalt(self.random.below(2) == 0),
            2 => EventKind::MarketHalt,
            3 => EventKind::Trade { shares: 5, price: Price(1), cross: false },
            4 => directory(&format!("S{}", locate + u16::from(self.random.below(4) == 0))),
            _ => EventKind::Other,
        };
        at(locate, kind)
    }
}

/// Both of them, and what was seen.
struct Pair {
    books: Books,
    model: Model,
    deepest: u32,
    longest: u32,
}

impl Pair {
    fn new() -> Self {
        let mut pair =
            Self { books: Books::new(LIMITS).unwrap(), model: Model::new(LIMITS), deepest: 0, longest: 0 };
        pair.announce();
        pair
    }

    /// One instrument stays without a directory.
    fn announce(&mut self) {
        for locate in (1..LIMITS.locates as u16).filter(|locate| *locate != 30) {
            self.apply(&at(locate, directory(&format!("S{locate}"))));
        }
    }

    fn apply(&mut self, event: &Event) {
        assert_eq!(self.books.apply(event), self.model.apply(event), "{event:?}");
    }

    fn look(&mut self) {
        self.deepest = self.deepest.max(self.books.level_count(32, Side::Sell));
        let near = self.books.depth(31, Side::Buy).take(100);
        self.longest = self.longest.max(near.map(|level| level.orders).max().unwrap_or(0));
    }

    /// A few things that no message does.
    fn interfere(&mut self, random: &mut Random) {
        let locate = random.below(LIMITS.locates as usize) as u16;
        match random.below(5) {
            0 | 1 => {
                self.books.set_all_states(BookState::Live);
                self.model.set_all_states(BookState::Live);
            }
            2 => {
                self.books.set_other_states(BookState::Recovering);
                self.model.set_other_states(BookState::Recovering);
            }
            3 => {
                let most = random.below(200) as u32;
                assert_eq!(self.books.drain(locate, most), self.model.drain(locate, most));
            }
            _ => {
                self.books.forget_trading(locate);
                self.model.forget_trading(locate);
            }
        }
    }
}

fn storm(events: u64, seed: u64) -> Pair {
    let mut pair = Pair::new();
    let mut weather = Weather::new(seed);
    for done in 0..events {
        if done % SPELL == 0 {
            let spell = done / SPELL;
            weather.change(spell);
            // A new session at times; long queues and deep sides have room then.
            if spell % 7 == 3 || spell % 11 == 2 {
                pair.books.clear();
                pair.model.clear();
                weather.live.clear();
                pair.announce();
            }
        }
        if done % (SPELL / 50) == 0 {
            pair.interfere(&mut weather.random);
            pair.look();
        }
        let event = weather.next();
        let change = pair.books.apply(&event);
        assert_eq!(
            change,
            pair.model.apply(&event),
            "seed {seed}, event {done}: {event:?} in {:?} and {:?}",
            weather.numbers,
            weather.prices
        );
        // The long ones take a step for each order ahead of each.
        let every = if event.locate > 30 { SPELL } else { SPELL / 150 };
        if done % every == 0 {
            pair.model.compare_locate(&pair.books, event.locate);
        }
        if (done + 1) % (SPELL * 10) == 0 {
            pair.model.compare(&pair.books);
        }
    }
    pair.model.compare(&pair.books);
    pair
}

#[test]
fn books_stand_every_weather() {
    let events = number("WIREBOOK_EVENTS", if cfg!(miri) { 2_000 } else { 1_000_000 });
    let pair = storm(events, number("WIREBOOK_SEED", 0x9E37_79B9_7F4A_7C15));
    if events < 1_000_000 {
        return;
    }
    // Else it did not try what it is for.
    assert!(
        pair.deepest > 18_000 && pair.longest > 1_000,
        "{} levels, {} orders",
        pair.deepest,
        pair.longest
    );
    for (name, value) in pair.books.counters().rows() {
        assert!(value > 0 || name == "book_zero_price", "{name} = {value}, {:?}", pair.books.usage());
    }
}
