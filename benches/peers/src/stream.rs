//! A market made up: length-prefixed TotalView-ITCH 5.0 as long as wished, the same bytes for the same [`Shape`].
//!
//! A [`Stream`] keeps the orders of a whole exchange and lets things happen to them at random: adds around the best
//! prices, executions at the front of the best queue, deletions mostly of young orders, replacements. Its books never
//! cross. It has no halts, no auctions, no closing drain.
//!
//! Every message is behind its length, a big-endian `u16`, as in the files that exchanges publish. First come `S` (start
//! of messages), `R` and `H` (trading) for each instrument, `S` (system hours, market hours); last two more `S`.

use self::message::{Header, NewOrder};
use self::prices::Prices;
use self::random::{Exponential, Lottery, Mean, Random, part};
use self::references::References;
use self::venue::{Side, Symbol, Venue};

mod facts;
mod ladder;
mod message;
mod prices;
mod random;
mod references;
mod shape;
mod venue;

pub use facts::Facts;
pub use references::Spread;
pub use shape::{Depth, Giant, Shape};

/// 04:00, when the day begins, ns since midnight.
const MORNING: u64 = 4 * 3_600 * 1_000_000_000;

/// Who adds with attribution.
const MPID: [u8; 4] = *b"WIRE";

/// Latest adds from which the young are taken.
const YOUNG: usize = 1 << 15;

/// Fewer live orders than these let an instrument only add.
const FEW: usize = 4;

/// What is done with an instrument, in the units of rolls: each threshold has the ones before it in it.
#[derive(Debug)]
struct Mix {
    imbalance: u32,
    trade: u32,
    replace: u32,
    execute: u32,
    execute_priced: u32,
    cancel: u32,
}

impl Mix {
    const fn new(replaces: f64) -> Self {
        Self {
            imbalance: part(1.5),
            trade: part(1.95),
            replace: part(1.95 + replaces),
            execute: part(1.95 + replaces + 2.13),
            execute_priced: part(1.95 + replaces + 2.17),
            cancel: part(1.95 + replaces + 3.21),
        }
    }
}

/// A stream of messages, made as it is read. See the [module](self).
#[derive(Debug)]
pub struct Stream {
    shape: Shape,
    random: Random,
    exponential: Exponential,
    mix: Mix,
    prices: Prices,
    giants_prices: Prices,
    activity: Lottery,
    aims: Lottery,
    opening: u32,
    old: u32,
    young: Mean,
    /// Mean time between messages in a hurry, and at leisure.
    pauses: [Mean; 2],
    venue: Venue,
    references: References,
    /// The latest adds: their orders, and the lower half of their references.
    latest: Vec<(u32, u32)>,
    adds: usize,
    /// What the latest messages were about.
    symbols: [u16; 4],
    timestamp: u64,
    matches: u64,
    climbed: bool,
    messages: u64,
    bytes: u64,
    by_type: [u64; 26],
}

impl Stream {
    /// The beginning of a stream.
    #[must_use]
    pub fn new(shape: &Shape) -> Self {
        let mut random = Random::new(shape.seed);
        let (activity, symbols) = symbols(shape, &mut random);
        let aims: Vec<f64> = symbols.iter().map(|symbol| f64::from(symbol.aim)).collect();
        let pause = f64::from(shape.seconds) * 1e9 / shape.messages.max(1) as f64;
        Self {
            exponential: Exponential::new(),
            mix: Mix::new(shape.replaces),
            prices: Prices::new(&shape.depth),
            giants_prices: Prices::new(&shape.giant.map_or(shape.depth, |giant| giant.depth)),
            activity: Lottery::new(&activity),
            aims: Lottery::new(&aims),
            opening: part(shape.opening),
            old: part(shape.old),
            young: Mean::of(shape.young),
            pauses: [Mean::of(pause * 0.14), Mean::of(pause * 1.86)],
            venue: Venue::new(symbols, shape.live),
            references: References::new(&shape.references),
            latest: vec![(0, 0); YOUNG],
            adds: 0,
            symbols: [0; 4],
            timestamp: MORNING,
            matches: 0,
            climbed: false,
            messages: 0,
            bytes: 0,
            by_type: [0; 26],
            shape: *shape,
            random,
        }
    }

    /// Appends the next messages to `out`, at most so many, each behind its length; says how many. 0: the end.
    pub fn fill(&mut self, out: &mut Vec<u8>, messages: usize) -> usize {
        let before = self.messages;
        let wanted = (messages as u64).min(self.shape.messages - before);
        for _ in 0..wanted {
            let start = out.len();
            self.next(out);
            self.messages += 1;
            self.bytes += (out.len() - start) as u64;
            let kind = usize::from(out[start + 2] - b'A');
            self.by_type[kind] += 1;
        }
        (self.messages - before) as usize
    }

    /// Has the number of live orders ever come near to the shape's?
    #[must_use]
    pub const fn climbed(&self) -> bool {
        self.climbed
    }

    /// What was told so far. Looks at each symbol.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let largest = self.venue.symbols.iter().map(|symbol| symbol.orders.len()).max();
        Facts {
            messages: self.messages,
            bytes: self.bytes,
            by_type: self.by_type,
            live: self.venue.live(),
            peak_live: self.venue.peak_live,
            levels: self.venue.levels(),
            peak_levels: self.venue.peak_levels,
            deepest_side: self.venue.deepest_side,
            largest_symbol: largest.unwrap_or(0) as u32,
            references: self.references.given,
            rising: self.references.rising,
            highest_reference: self.references.top,
        }
    }

    /// One message.
    #[inline]
    fn next(&mut self, out: &mut Vec<u8>) {
        let beginning = 2 * u64::from(self.shape.symbols) + 3;
        let left = self.shape.messages - self.messages;
        if self.messages < beginning || left <= 2 {
            self.frame(out, left);
            return;
        }
        let random = &mut self.random;
        let pause = self.pauses[usize::from(random.bits() & 1 == 0)];
        self.timestamp += self.exponential.draw(random, pause);
        if !self.climbed && random.chance(self.opening) {
            let symbol = self.aims.draw(random);
            self.add(out, symbol, false);
            return;
        }
        let symbol = if random.chance(const { part(35.0) }) {
            self.symbols[random.below(4) as usize]
        } else {
            self.activity.draw(random)
        };
        self.symbols[(self.messages & 3) as usize] = symbol;
        self.act(out, symbol);
    }

    /// What stands before the first order, and after the last.
    #[cold]
    fn frame(&self, out: &mut Vec<u8>, left: u64) {
        let symbols = u64::from(self.shape.symbols);
        let header = |locate| Header { locate, timestamp: self.timestamp };
        let named = |at: u64| (header(at as u16 + 1), self.venue.symbols[at as usize].name);
        match self.messages {
            _ if left == 1 => message::system_event(out, header(0), b'C'),
            _ if left == 2 => message::system_event(out, header(0), b'M'),
            0 => message::system_event(out, header(0), b'O'),
            at if at <= symbols => {
                let (header, name) = named(at - 1);
                message::directory(out, header, name);
            }
            at if at <= 2 * symbols => {
                let (header, name) = named(at - 1 - symbols);
                message::trades(out, header, name);
            }
            at if at == 2 * symbols + 1 => message::system_event(out, header(0), b'S'),
            _ => message::system_event(out, header(0), b'Q'),
        }
    }

    const fn header(&self, symbol: u16) -> Header {
        Header { locate: symbol + 1, timestamp: self.timestamp }
    }

    /// Something happens to an instrument.
    #[inline]
    fn act(&mut self, out: &mut Vec<u8>, symbol: u16) {
        let roll = self.random.roll();
        let header = self.header(symbol);
        let instrument = &self.venue.symbols[usize::from(symbol)];
        if roll < self.mix.imbalance {
            message::imbalance(out, header, instrument.name);
        } else if roll < self.mix.trade {
            self.matches += 1;
            message::trade(out, header, instrument.name, instrument.worth * 100, self.matches);
        } else if instrument.orders.len() < FEW {
            self.add(out, symbol, false);
        } else if roll < self.mix.replace {
            self.replace(out, symbol);
        } else if roll < self.mix.execute_priced {
            self.execute(out, symbol, roll >= self.mix.execute);
        } else if roll < self.mix.cancel {
            self.cancel(out, symbol);
        } else if self.random.roll() < growth(instrument) {
            let attributed = self.random.chance(const { part(1.25) });
            self.add(out, symbol, attributed);
        } else {
            self.delete(out, symbol);
        }
    }

    fn add(&mut self, out: &mut Vec<u8>, symbol: u16, attributed: bool) {
        let side = if self.random.bits() & 1 == 0 { Side::Buy } else { Side::Sell };
        let ticks = self.price(symbol, side);
        let shares = shares(&mut self.random);
        let order = self.join(symbol, side, ticks, shares);
        let header = self.header(symbol);
        if attributed {
            message::add_attributed(out, header, &order, MPID);
        } else {
            message::add(out, header, &order);
        }
    }

    fn delete(&mut self, out: &mut Vec<u8>, symbol: u16) {
        let order = self.victim(symbol, const { part(42.0) });
        let &venue::Order { order_ref, symbol, .. } = self.venue.order(order);
        message::delete(out, self.header(symbol), order_ref);
        self.venue.leave(order);
    }

    fn replace(&mut self, out: &mut Vec<u8>, symbol: u16) {
        let order = self.victim(symbol, const { part(35.0) });
        let old = *self.venue.order(order);
        let ticks = self.venue.ticks(order);
        self.venue.leave(order);
        let ticks = if self.random.chance(const { part(60.0) }) {
            self.price(old.symbol, old.side)
        } else {
            let symbol = &self.venue.symbols[usize::from(old.symbol)];
            Prices::nearby(&mut self.random, symbol, old.side, ticks)
        };
        let shares =
            if self.random.chance(const { part(70.0) }) { old.shares } else { shares(&mut self.random) };
        let new = self.join(old.symbol, old.side, ticks, shares);
        message::replace(out, self.header(old.symbol), old.order_ref, &new);
    }

    /// The first order in the queue at the best price of either side trades, mostly all of it.
    fn execute(&mut self, out: &mut Vec<u8>, symbol: u16, priced: bool) {
        let side = if self.random.bits() & 1 == 0 { Side::Buy } else { Side::Sell };
        let front = self.venue.front(symbol, side).or_else(|| self.venue.front(symbol, side.opposite()));
        // There are orders: the caller has seen to it.
        let Some(front) = front else { return self.add(out, symbol, false) };
        let order = *self.venue.order(front);
        let whole = self.random.chance(const { part(70.0) }) || order.shares < 2;
        let executed = if whole { order.shares } else { 1 + self.random.below(order.shares - 1) };
        self.matches += 1;
        let header = self.header(symbol);
        if priced {
            let price = self.venue.ticks(front) * 100;
            message::execute_priced(out, header, order.order_ref, executed, (self.matches, price));
        } else {
            message::execute(out, header, order.order_ref, executed, self.matches);
        }
        if whole {
            self.venue.leave(front);
        } else {
            self.venue.reduce(front, executed);
        }
    }

    fn cancel(&mut self, out: &mut Vec<u8>, symbol: u16) {
        let id = self.victim(symbol, 0);
        let &venue::Order { order_ref, shares, .. } = self.venue.order(id);
        let Some(most) = shares.checked_sub(1).filter(|most| *most > 0) else {
            return self.delete(out, symbol);
        };
        let cancelled = 1 + self.random.below(most);
        message::cancel(out, self.header(symbol), order_ref, cancelled);
        self.venue.reduce(id, cancelled);
    }

    #[inline]
    fn price(&mut self, symbol: u16, side: Side) -> u32 {
        let symbol = &self.venue.symbols[usize::from(symbol)];
        let prices = if symbol.giant { &self.giants_prices } else { &self.prices };
        prices.draw(&mut self.random, &self.exponential, symbol, side)
    }

    #[inline]
    fn join(&mut self, symbol: u16, side: Side, ticks: u32, shares: u32) -> NewOrder {
        let progress = (self.messages, self.shape.messages);
        let order_ref = self.references.draw(&mut self.random, &self.exponential, symbol, progress);
        let id = self.venue.join(symbol, side, ticks, shares, order_ref);
        self.latest[self.adds % YOUNG] = (id, order_ref as u32);
        self.adds += 1;
        // Four of a hundred are the distance at which joining and leaving are in balance, and a bit.
        self.climbed |= u64::from(self.venue.live()) * 100 >= u64::from(self.shape.live) * 96;
        let stock = self.venue.symbols[usize::from(symbol)].name;
        NewOrder { order_ref, side: side.code(), shares, stock, price: ticks * 100 }
    }

    /// A live order: with the chance `young` one of the latest, of whatever instrument; else one of `symbol`.
    #[inline]
    fn victim(&mut self, symbol: u16, young: u32) -> u32 {
        if self.random.chance(young) {
            for _ in 0..3 {
                let back = self.exponential.draw(&mut self.random, self.young) as usize;
                if back < self.adds.min(YOUNG) {
                    let (id, reference) = self.latest[(self.adds - 1 - back) % YOUNG];
                    if self.venue.order(id).order_ref as u32 == reference {
                        return id;
                    }
                }
            }
        }
        let orders = &self.venue.symbols[usize::from(symbol)].orders;
        let last = orders.len() - 1;
        if self.random.chance(self.old) {
            orders[self.random.below(orders.len() as u32) as usize]
        } else {
            let back = self.exponential.draw(&mut self.random, const { Mean::of(6.0) }) as usize;
            orders[last - back.min(last)]
        }
    }
}

/// The chance that an instrument gains an order rather than losing one: so much above a half that it makes up for the
/// executions, more for as long as it has fewer orders than it should, less if it has more.
#[inline]
fn growth(symbol: &Symbol) -> u32 {
    let (live, aim) = (symbol.orders.len() as i64, i64::from(symbol.aim));
    let slope = if live > aim { const { part(35.0) } } else { const { part(24.5) } };
    let lack = (aim - live).max(-aim);
    (i64::from(const { part(50.65) }) + i64::from(slope) * lack / aim) as u32
}

/// Mostly a round lot.
#[inline]
fn shares(random: &mut Random) -> u32 {
    let roll = random.roll();
    if roll < const { part(55.0) } {
        100
    } else if roll < const { part(75.0) } {
        100 * (1 + random.below(10))
    } else {
        1 + random.below(600)
    }
}

/// The instruments, and how active each is: as one over its rank and 20, in no order.
fn symbols(shape: &Shape, random: &mut Random) -> (Vec<f64>, Vec<Symbol>) {
    let count = usize::from(shape.symbols.max(1));
    let mut ranks: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        ranks.swap(at, random.below(at as u32 + 1) as usize);
    }
    let total: f64 = (0..count).map(|rank| 1.0 / (rank as f64 + 20.0)).sum();
    let giant = shape.giant.unwrap_or(Giant { live: 0, activity: 0.0, depth: shape.depth });
    let others = f64::from(shape.live.saturating_sub(giant.live));
    (ranks.iter().enumerate())
        .map(|(at, rank)| {
            let part = 1.0 / (*rank as f64 + 20.0) / total;
            let giant = shape.giant.filter(|_| *rank == 0);
            let activity = giant.map_or(part, |giant| giant.activity / (100.0 - giant.activity));
            let aim = match giant {
                Some(giant) => giant.live,
                None => (others * (0.35 / count as f64 + 0.65 * part)) as u32,
            };
            // Room for a very deep side.
            let worth = if giant.is_some() { 48_000 } else { worth(random) };
            (activity, Symbol::new(aim.max(1), worth, name(at), giant.is_some()))
        })
        .unzip()
}

/// 2 to 400 dollars in ticks, each doubling as likely.
fn worth(random: &mut Random) -> u32 {
    let bits = random.roll();
    // 200 to the power of a fraction, bit by bit.
    let (mut power, mut root) = (1.0, 200_f64);
    for bit in (0..32).rev() {
        root = root.sqrt();
        if bits >> bit & 1 == 1 {
            power *= root;
        }
    }
    (power * 200.0) as u32
}

/// Four letters.
fn name(at: usize) -> [u8; 8] {
    let mut name = *b"        ";
    let mut rest = at;
    for letter in name[..4].iter_mut().rev() {
        *letter = b'A' + (rest % 26) as u8;
        rest /= 26;
    }
    name
}
