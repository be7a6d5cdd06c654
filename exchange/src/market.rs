//! The market: books, simulated participants, and a trading day from the first message to the last.
//!
//! A [`Market`] is a state machine under a virtual clock. Each [`Market::step`] lets one thing happen and gives the
//! ITCH messages that tell it, in sequence, to the caller's closure. Nothing reads a clock or an environment:
//! the same [`Config`] and the same outside orders at the same steps give the same bytes.
//!
//! The day: system event `O`; for each instrument `R`, `H`, `Y`, `L`; `V`; `S`; orders before the opening; `I` and
//! `Q` for each instrument's opening cross; `Q`; continuous trading, with halts; `M`, `E`, some late deletes, `C`.
//! Not simulated: IPOs (`K`, `O`), market-wide breakers (`W`), retail interest (`N`).
//!
//! What makes the flow like a real one: activity falls with an instrument's rank as 1/(rank + 20) and comes in
//! bursts; most new orders join the best price or stand a few ticks behind it; most deletes hit young orders;
//! executions hit the front of the best level. A book never locks or crosses.
//!
//! Outside orders ([`Market::enter`], [`Market::replace`], [`Market::cancel`]) trade against the books and rest in
//! them; the participants then trade with them. What happened to them is read from [`Market::take_fills`].

mod config;
mod flow;
mod matching;
mod session;
mod snapshot;

pub use config::{Config, ConfigError, Mix};
pub use matching::{Entered, Fill, FillKind, OutsideOrder, Refused};

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use crate::book::{Book, Orders};
use crate::dump::{self, Resting};
use crate::itch::{Listing, Stamp};
use crate::rng::{Geometric, Rng, Weighted};
use crate::units::{CENT, DAY_NS, DOLLAR, Row, Side, Symbol};

/// Fewer messages asked for than a day has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// The shortest day of this market.
    pub least: u64,
}

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a day of this market has at least {} messages", self.least)
    }
}

impl std::error::Error for TooShort {}

/// Where in the day the market stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the opening; holds the number of messages said so far.
    Opening(u64),
    /// Continuous trading.
    Open,
    /// After the last message. Steps do nothing any more.
    Closed,
}

/// One instrument.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    symbol: Symbol,
    book: Book,
    /// The directory of the day named it.
    named: bool,
    /// The last trading state said: `H` halted, `P` paused, `Q` quotation only, `T` trading. None counts as halted.
    state: Option<u8>,
    /// Why.
    reason: [u8; 4],
    /// Halted by this market's own trouble, whatever the state.
    operational_halt: bool,
    /// The last short-sale restriction said.
    reg_sho: Option<u8>,
    /// Retail interest: `B`, `S`, `A` both, `N` none.
    interest: u8,
    /// What the participants think that it is worth; walks at random.
    reference: u32,
    /// The walk stays between these.
    bounds: (u32, u32),
    /// Orders that the participants like to have here.
    target: u32,
}

/// What was said and done.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarketCounters {
    /// ITCH messages said.
    pub messages: u64,
    /// Orders that came to rest.
    pub orders: u64,
    /// Executions of resting orders.
    pub executions: u64,
    /// Shares in them.
    pub shares: u64,
    /// Halts begun.
    pub halts: u64,
    /// Orders of outside clients taken in.
    pub outside_orders: u64,
    /// The most orders that rested at once.
    pub peak_orders: u64,
}

impl MarketCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 7] {
        [
            ("messages", self.messages),
            ("orders", self.orders),
            ("executions", self.executions),
            ("shares", self.shares),
            ("halts", self.halts),
            ("outside_orders", self.outside_orders),
            ("peak_orders", self.peak_orders),
        ]
    }
}

/// A simulated market. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Market {
    config: Config,
    /// Days before this one.
    day: u64,
    rng: Rng,
    time: u64,
    /// The code of the last system event said.
    last_event: Option<u8>,
    instruments: Vec<Instrument>,
    by_symbol: BTreeMap<Symbol, u32>,
    orders: Orders,
    activity: Weighted,
    /// Instruments of the last four actions: activity comes in bursts.
    recent: [u32; 4],
    phase: Phase,
    next_ref: u64,
    next_match: u64,
    /// The last hidden trade, which may yet be broken; 0 for none.
    last_trade: u64,
    halt: Option<session::Halt>,
    next_halt: u64,
    fills: Vec<Fill>,
    counters: MarketCounters,
    draws: Draws,
}

/// The distributions that the flow draws from.
#[derive(Clone, Debug)]
struct Draws {
    ref_gap: Geometric,
    young: Geometric,
    near: Geometric,
    deep: Geometric,
}

impl Market {
    /// A market before its first message.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration contradicts itself.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::on_day(config, 0))
    }

    /// The market of a good configuration before the first message of a day.
    fn on_day(config: Config, day: u64) -> Self {
        let mut rng = Rng::stream(config.seed, 1);
        let count = usize::from(config.symbols);
        // Rank gives activity; a shuffle keeps it from following the locate code.
        let mut weights: Vec<f64> = (0..config.symbols).map(|rank| 1.0 / (f64::from(rank) + 20.0)).collect();
        for last in (1..count).rev() {
            weights.swap(last, rng.index(last + 1));
        }
        let total: f64 = weights.iter().sum();
        let mut instruments: Vec<Instrument> = weights
            .iter()
            .zip(0u32..)
            .map(|(weight, index)| {
                let share = 0.35 / f64::from(config.symbols) + 0.65 * weight / total;
                let target = (f64::from(config.live_orders) * share) as u32;
                Instrument::new(Symbol::simulated(index), target.max(4), &mut rng)
            })
            .collect();
        // What an instrument is like stays; what happens to it, and its locate code, is another thing every day.
        if day > 0 {
            rng = Rng::stream(config.seed, 1 + (day << 32));
            for last in (1..count).rev() {
                let other = rng.index(last + 1);
                instruments.swap(last, other);
                weights.swap(last, other);
            }
        }
        let by_symbol = instruments.iter().map(|instrument| instrument.symbol).zip(0..).collect();
        Self {
            day,
            rng,
            time: config.start,
            last_event: None,
            instruments,
            by_symbol,
            orders: Orders::default(),
            activity: Weighted::new(&weights),
            recent: [0; 4],
            phase: Phase::Opening(0),
            next_ref: 1_000,
            next_match: 1,
            last_trade: 0,
            halt: None,
            next_halt: u64::from(config.halt_every),
            fills: Vec::new(),
            counters: MarketCounters::default(),
            draws: Draws {
                ref_gap: Geometric::new(2),
                young: Geometric::new(6),
                near: Geometric::new(3),
                deep: Geometric::new(30),
            },
            config,
        }
    }

    /// Lets one thing happen and says it. At least one message, except after the end or in the rare case that
    /// the participant has nothing to do.
    pub fn step(&mut self, out: &mut impl FnMut(&[u8])) -> Phase {
        self.step_within(u64::MAX, out)
    }

    /// As [`Market::step`], but with at most `room` messages.
    pub fn step_within(&mut self, room: u64, out: &mut impl FnMut(&[u8])) -> Phase {
        if room > 0 {
            match self.phase {
                Phase::Opening(said) => self.open_one(said, out),
                Phase::Open => self.act(room, out),
                Phase::Closed => {}
            }
        }
        self.phase
    }

    /// Plays a whole day of exactly `messages` messages (from where it stands, if it has begun).
    ///
    /// # Errors
    /// [`TooShort`] when the opening and the close alone need more; nothing is said then.
    pub fn run_day(&mut self, messages: u64, out: &mut impl FnMut(&[u8])) -> Result<(), TooShort> {
        while !self.step_of_day(messages, out)? {}
        Ok(())
    }

    /// One step of a day of exactly `messages` messages; `true` when the day is over. What outside orders make the
    /// market say comes on top if it leaves no room for the close.
    ///
    /// # Errors
    /// As [`Market::run_day`].
    pub fn step_of_day(&mut self, messages: u64, out: &mut impl FnMut(&[u8])) -> Result<bool, TooShort> {
        let least = self.opening_length() + session::CLOSING_LENGTH;
        if self.phase == Phase::Opening(0) && messages < least {
            return Err(TooShort { least });
        }
        let left = messages.saturating_sub(self.counters.messages);
        let late = session::LATE_DELETES.min(self.orders.len() as u64);
        let room = left.saturating_sub(session::CLOSING_LENGTH + late);
        if self.phase == Phase::Open && room == 0 {
            self.close(left.saturating_sub(session::CLOSING_LENGTH), out);
        } else {
            self.step_within(room.max(1), out);
        }
        Ok(self.phase == Phase::Closed)
    }

    /// Ns since midnight of the last message.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Where in the day it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> &MarketCounters {
        &self.counters
    }

    /// The index (locate code − 1) of a symbol.
    #[must_use]
    pub fn instrument_of(&self, symbol: Symbol) -> Option<u32> {
        self.by_symbol.get(&symbol).copied()
    }

    /// The symbol of an instrument by its index.
    #[must_use]
    pub fn symbol(&self, instrument: u32) -> Option<Symbol> {
        self.instruments.get(instrument as usize).map(|instrument| instrument.symbol)
    }

    /// The book of an instrument by its index.
    #[must_use]
    pub fn book(&self, instrument: u32) -> Option<&Book> {
        self.instruments.get(instrument as usize).map(|instrument| &instrument.book)
    }

    /// The pool that the books' orders stand in.
    #[must_use]
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// May orders in this instrument trade now?
    #[must_use]
    pub fn is_trading(&self, instrument: u32) -> bool {
        self.phase == Phase::Open && self.instruments.get(instrument as usize).is_some_and(Instrument::trades)
    }

    /// Every resting order, by locate, bids before offers, best price first, in queue order.
    pub fn resting(&self) -> impl Iterator<Item = Resting> {
        self.instruments.iter().zip(1u16..).flat_map(move |(instrument, locate)| {
            [Side::Buy, Side::Sell].into_iter().flat_map(move |side| {
                let book = &instrument.book;
                book.levels(side).flat_map(|level| book.queue(&self.orders, level)).map(move |order| {
                    Resting {
                        locate,
                        symbol: instrument.symbol,
                        side,
                        price: order.price,
                        order_ref: order.order_ref,
                        shares: order.shares,
                    }
                })
            })
        })
    }

    /// Writes [`Market::resting`] as text; see [`dump`].
    ///
    /// # Errors
    /// Those of the writer.
    pub fn dump(&self, to: &mut impl Write) -> io::Result<()> {
        dump::write(self.resting(), to)
    }

    /// Advances the clock by one message and gives its stamp. `locate` 0 is for none.
    #[inline]
    fn stamp(&mut self, locate: u16) -> Stamp {
        // Half of all messages follow at once, the other half after a longer pause: bursts, with the mean asked for.
        let mean = (1_000_000_000 / self.config.rate).max(1);
        let drawn = self.rng.next();
        let spread = if drawn & 1 == 0 { u64::from(mean) / 2 } else { u64::from(mean) * 7 / 2 };
        let pause = (u128::from(drawn >> 1) * u128::from(spread + 1)) >> 63;
        self.time = (self.time + pause as u64).min(DAY_NS - 1);
        Stamp { locate, tracking: 0, time: self.time }
    }

    #[inline]
    fn say<const N: usize>(&mut self, message: [u8; N], out: &mut impl FnMut(&[u8])) {
        self.counters.messages += 1;
        out(&message);
    }

    #[inline]
    fn new_ref(&mut self) -> u64 {
        self.next_ref += 1 + u64::from(self.draws.ref_gap.draw(&mut self.rng));
        self.next_ref
    }

    #[inline]
    fn new_match(&mut self) -> u64 {
        self.next_match += 1;
        self.next_match
    }
}

impl Instrument {
    fn new(symbol: Symbol, target: u32, rng: &mut Rng) -> Self {
        // 2 to 400 dollars, more often low than high.
        let doublings = rng.below(8);
        let dollars = 2u32 << doublings.min(6);
        let reference = (dollars * DOLLAR + rng.below(dollars * DOLLAR)) / CENT * CENT;
        Self {
            symbol,
            book: Book::default(),
            named: false,
            state: None,
            reason: *b"    ",
            operational_halt: false,
            reg_sho: None,
            interest: b'N',
            reference,
            bounds: ((reference / 2).max(DOLLAR), reference * 2),
            target,
        }
    }

    /// May its orders trade?
    const fn trades(&self) -> bool {
        matches!(self.state, Some(b'T')) && !self.operational_halt
    }

    /// Its line of the directory.
    const fn listing(&self) -> Listing {
        Listing { stock: self.symbol, ipo: b'N' }
    }
}

/// The locate code of an instrument by its index.
#[inline]
const fn locate(instrument: u32) -> u16 {
    (instrument + 1) as u16
}
