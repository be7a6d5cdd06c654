//! A market made up: length-prefixed TotalView-ITCH 5.0 as long as wished, the same bytes for the same [`Shape`].
//!
//! A [`Stream`] keeps the orders of a whole exchange and lets things happen to them at random: adds around the best
//! prices, executions at the front of the best queue, deletions mostly of young orders, replacements. Its books never
//! cross. It has no halts, no auctions, no closing drain.
//!
//! Every message is behind its length, a big-endian `u16`, as in the files that exchanges publish. First come `S` (start
//! of messages), `R` and `H` (trading) for each instrument, `S` (system hours, market hours); last two more `S`.

use self::ladder::NONE;
use self::message::{Header, NewOrder};
use self::plan::{Action, Mix, Plan, Plans};
use self::prices::Prices;
use self::random::{Exponential, Lottery, Mean, Random, of, part};
use self::references::References;
use self::venue::{Order, Side, Symbol, Venue};

mod facts;
mod ladder;
mod memory;
mod message;
mod plan;
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

/// Fewer live orders than these let an instrument only add, if it is to have as many.
const FEW: usize = 4;

/// A stream of messages, made as it is read. See the [module](self).
#[derive(Debug)]
pub struct Stream {
    shape: Shape,
    plans: Plans,
    exponential: Exponential,
    mix: Mix,
    prices: Prices,
    giant: Option<u16>,
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
    /// The latest adds, a ring: their orders, and the lower half of their references.
    latest: Vec<(u32, u32)>,
    adds: usize,
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
        let shape = Shape { symbols: shape.symbols.max(1), ..*shape };
        let mut random = Random::new(shape.seed);
        let (activity, symbols) = symbols(&shape, &mut random);
        let aims: Vec<f64> = symbols.iter().map(|symbol| f64::from(symbol.aim)).collect();
        let pause = f64::from(shape.seconds) * 1e9 / shape.messages.max(1) as f64;
        Self {
            exponential: Exponential::new(),
            mix: Mix::new(shape.replaces),
            prices: Prices::new(&shape.depth),
            giant: symbols.iter().position(|symbol| symbol.giant).map(|at| at as u16),
            giants_prices: Prices::new(&shape.giant.map_or(shape.depth, |giant| giant.depth)),
            activity: Lottery::new(&activity),
            aims: Lottery::new(&aims),
            opening: part(shape.opening),
            old: part(shape.old),
            young: Mean::of(shape.young),
            pauses: [Mean::of(pause * 0.14), Mean::of(pause * 1.86)],
            venue: Venue::new(symbols, shape.live),
            references: References::new(&shape.references, shape.messages),
            latest: vec![(NONE, 0); YOUNG],
            adds: 0,
            timestamp: MORNING,
            matches: 0,
            climbed: false,
            messages: 0,
            bytes: 0,
            by_type: [0; 26],
            shape,
            plans: Plans::new(random),
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
        let mut plan = self.plan(self.messages - beginning);
        let pause = self.pauses[usize::from(plan.random.bits() & 1 == 0)];
        self.timestamp += self.exponential.draw(&mut plan.random, pause);
        self.act(out, &mut plan);
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
    fn act(&mut self, out: &mut Vec<u8>, plan: &mut Plan) {
        let (action, header) = (self.action(plan), self.header(plan.symbol));
        let instrument = &self.venue.symbols[usize::from(plan.symbol)];
        match action {
            Action::Imbalance => message::imbalance(out, header, instrument.name),
            Action::Trade => {
                self.matches += 1;
                message::trade(out, header, instrument.name, instrument.worth * 100, self.matches);
            }
            Action::Add => self.add(out, plan),
            Action::Execute => self.execute(out, plan, false),
            Action::ExecutePriced => self.execute(out, plan, true),
            Action::Replace | Action::Cancel | Action::Delete => {
                // There is one: the instrument has more than a few.
                let Some(id) = self.pick(plan, action) else { return self.add(out, plan) };
                match action {
                    Action::Replace => self.replace(out, id, plan),
                    Action::Cancel => self.cancel(out, id, plan),
                    _ => self.delete(out, id),
                }
            }
        }
    }

    fn add(&mut self, out: &mut Vec<u8>, plan: &mut Plan) {
        let ticks = plan.offset.price(&self.venue.symbols[usize::from(plan.symbol)], plan.side);
        let shares = shares(&mut plan.random);
        let attributed = plan.random.chance(const { part(1.25) });
        let order = self.join(&mut plan.random, plan.symbol, (plan.side, ticks), shares);
        let header = self.header(plan.symbol);
        if attributed {
            message::add_attributed(out, header, &order, MPID);
        } else {
            message::add(out, header, &order);
        }
    }

    fn delete(&mut self, out: &mut Vec<u8>, id: u32) {
        let &Order { order_ref, symbol, .. } = self.venue.order(id);
        message::delete(out, self.header(symbol), order_ref);
        self.venue.leave(id);
    }

    fn replace(&mut self, out: &mut Vec<u8>, id: u32, plan: &mut Plan) {
        let Order { order_ref, symbol, side, shares, .. } = *self.venue.order(id);
        let ticks = self.new_price(plan, id);
        self.venue.leave(id);
        let random = &mut plan.random;
        let shares = if random.chance(const { part(70.0) }) { shares } else { self::shares(random) };
        let new = self.join(random, symbol, (side, ticks), shares);
        message::replace(out, self.header(symbol), order_ref, &new);
    }

    /// The first order in the queue at the best price of either side trades, mostly all of it.
    fn execute(&mut self, out: &mut Vec<u8>, plan: &mut Plan, priced: bool) {
        let front = |side| self.venue.front(plan.symbol, side);
        // There is one: the instrument has more than a few.
        let Some(front) = front(plan.side).or_else(|| front(plan.side.opposite())) else {
            return self.add(out, plan);
        };
        let Order { order_ref, shares, .. } = *self.venue.order(front);
        let whole = plan.random.chance(const { part(70.0) }) || shares < 2;
        let executed = if whole { shares } else { 1 + plan.random.below(shares - 1) };
        self.matches += 1;
        let header = self.header(plan.symbol);
        if priced {
            let price = self.venue.ticks(front) * 100;
            message::execute_priced(out, header, order_ref, executed, (self.matches, price));
        } else {
            message::execute(out, header, order_ref, executed, self.matches);
        }
        if whole {
            self.venue.leave(front);
        } else {
            self.venue.reduce(front, executed);
        }
    }

    /// A part of the order is cancelled; all of it where it has one share.
    fn cancel(&mut self, out: &mut Vec<u8>, id: u32, plan: &mut Plan) {
        let &Order { order_ref, shares, .. } = self.venue.order(id);
        if shares < 2 {
            return self.delete(out, id);
        }
        let cancelled = 1 + plan.random.below(shares - 1);
        message::cancel(out, self.header(plan.symbol), order_ref, cancelled);
        self.venue.reduce(id, cancelled);
    }

    /// Where orders of an instrument join.
    #[inline]
    fn prices(&self, symbol: u16) -> &Prices {
        if self.giant == Some(symbol) { &self.giants_prices } else { &self.prices }
    }

    #[inline]
    fn join(
        &mut self,
        random: &mut Random,
        symbol: u16,
        (side, ticks): (Side, u32),
        shares: u32,
    ) -> NewOrder {
        let progress = (self.messages, self.shape.messages);
        let order_ref = self.references.draw(random, &self.exponential, symbol, progress);
        let id = self.venue.join(symbol, side, ticks, shares, order_ref);
        self.latest[self.adds % YOUNG] = (id, order_ref as u32);
        self.adds += 1;
        // Four of a hundred are the distance at which joining and leaving are in balance, and a bit.
        self.climbed |= u64::from(self.venue.live()) * 100 >= u64::from(self.shape.live) * 96;
        let stock = self.venue.symbols[usize::from(symbol)].name;
        NewOrder { order_ref, side: side.code(), shares, stock, price: ticks * 100 }
    }
}

/// Mostly a round lot.
#[inline]
fn shares(random: &mut Random) -> u32 {
    let [roll, more] = random.rolls();
    if roll < const { part(55.0) } {
        100
    } else if roll < const { part(75.0) } {
        100 * (1 + of(more, 10))
    } else {
        1 + of(more, 600)
    }
}

/// The instruments, and how active each is: as one over its rank and 20, in no order.
fn symbols(shape: &Shape, random: &mut Random) -> (Vec<f64>, Vec<Symbol>) {
    let count = usize::from(shape.symbols);
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
