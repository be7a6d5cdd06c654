//! The market: books, simulated participants, and a trading day from the first message to the last.
//!
//! A [`Market`] is a state machine under a virtual clock. Each [`Market::step`] lets one thing happen and gives the
//! ITCH messages that tell it, in sequence, to the caller's closure. Nothing reads a clock or an environment:
//! the same [`Config`] and the same outside orders at the same steps give the same bytes.
//!
//! The day: system event `O`; for each instrument `R`, `H`, `Y`, `L`; `V`; `S`; orders before the opening; `I` and
//! the opening cross for each instrument; `Q`; continuous trading, with halts, new listings, broken trades and the
//! market-wide breaker; `I` before, and the closing crosses after, `M`; orders without trades after hours; `E`, some
//! late deletes, `C`. Each of the 23 message types occurs in a day of 200,000 messages with the default configuration.
//!
//! A cross is a real one: interest that is never displayed and displayed orders meet at one price. Not modelled: odd
//! tick sizes, reserve and pegged orders (hidden liquidity shows only as `P`), routing, cross orders of outside clients,
//! a second release of the breaker, corporate actions.
//!
//! What makes the flow like a real one: activity falls with an instrument's rank as 1/(rank + 20) and comes in
//! bursts; most new orders join the best price or stand a few ticks behind it; most deletes hit young orders;
//! executions hit the front of the best level. A book never locks or crosses.
//!
//! Outside orders ([`Market::enter`], [`Market::replace`], [`Market::cancel`]) trade against the books and rest in
//! them; the participants then trade with them. What happened to them is read from [`Market::take_fills`].

mod agenda;
mod auction;
mod config;
mod flow;
mod instrument;
mod matching;
mod session;
mod snapshot;
mod trades;

pub use config::{Config, ConfigError, Mix};
pub use matching::{Entered, Fill, FillKind, OutsideOrder, Refused};

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use crate::book::{Book, Orders};
use crate::dump::{self, Resting};
use crate::itch::Stamp;
use crate::rng::{Geometric, Rng, Weighted};
use crate::units::{DAY_NS, Row, Side, Symbol};
use agenda::Agenda;
use instrument::{Debut, Instrument};
use session::Closing;
use trades::Trades;

/// Order references are above this one.
const FIRST_REF: u64 = 1_000;
/// Those of the second source are above this one: the first is not expected to get there in a day.
const SECOND_REF: u64 = 1 << 31;

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
    /// Before the opening; holds the number of steps taken so far.
    Opening(u64),
    /// Continuous trading.
    Open,
    /// The closing crosses, and what follows until the end.
    Closing,
    /// After the last message. Steps do nothing any more.
    Closed,
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
    /// Times that the market-wide breaker tripped.
    pub breakers: u64,
    /// Crosses, with or without shares.
    pub crosses: u64,
    /// Trades declared void.
    pub broken: u64,
    /// Orders of outside clients taken in.
    pub outside_orders: u64,
    /// The most orders that rested at once.
    pub peak_orders: u64,
}

impl MarketCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 10] {
        [
            ("messages", self.messages),
            ("orders", self.orders),
            ("executions", self.executions),
            ("shares", self.shares),
            ("halts", self.halts),
            ("breakers", self.breakers),
            ("crosses", self.crosses),
            ("broken_trades", self.broken),
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
    closing: Closing,
    agenda: Agenda,
    /// The last reference of each source of them.
    last_refs: [u64; 2],
    /// So many in a thousand references come from the second source.
    second_source: u32,
    next_match: u64,
    trades: Trades,
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
        choose_debuts(&config, day, &mut instruments);
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
            closing: Closing::Outlook(0),
            agenda: Agenda::new(),
            last_refs: [FIRST_REF, SECOND_REF],
            second_source: second_source(config.rising_refs_percent),
            next_match: 1,
            trades: Trades::new(),
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
                Phase::Closing => self.close_one(out),
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
        let least = self.shortest_day();
        if self.phase == Phase::Opening(0) && messages < least {
            return Err(TooShort { least });
        }
        let left = messages.saturating_sub(self.counters.messages);
        let late = session::LATE_DELETES.min(self.orders.len() as u64);
        let room = left.saturating_sub(self.closing_length() + late);
        match self.phase {
            Phase::Open if room == 0 => self.begin_close(),
            Phase::Closing => self.close_within(left, out),
            _ => {
                self.step_within(room.max(1), out);
            }
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
        self.phase == Phase::Open && self.may_match(instrument)
    }

    /// Do neither its own state nor the market-wide breaker keep an instrument from trading?
    fn may_match(&self, instrument: u32) -> bool {
        !self.agenda.holds_all() && self.instruments.get(instrument as usize).is_some_and(Instrument::trades)
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
        let second = self.second_source > 0 && self.rng.chance(self.second_source, 1_000);
        let last = &mut self.last_refs[usize::from(second)];
        *last += 1 + u64::from(self.draws.ref_gap.draw(&mut self.rng));
        *last
    }

    #[inline]
    fn new_match(&mut self) -> u64 {
        self.next_match += 1;
        self.next_match
    }
}

/// The locate code of an instrument by its index.
#[inline]
const fn locate(instrument: u32) -> u16 {
    (instrument + 1) as u16
}

/// How many in a thousand references have to come from the second, higher source for `rising` per cent of all to be
/// higher than the one before: with a share of `q`, one of the first follows one of the second in `q (1 - q)` cases.
fn second_source(rising: u8) -> u32 {
    let falls = (100 - u32::from(rising)) * 10_000;
    (0..=500).find(|share| share * (1_000 - share) >= falls).unwrap_or(500)
}

/// Chooses the instruments that come to the market on this day.
fn choose_debuts(config: &Config, day: u64, instruments: &mut [Instrument]) {
    let mut rng = Rng::stream(config.seed, 2 + (day << 32));
    let mut room = instruments.len() / 16;
    let kinds =
        [(config.offerings, Debut::Offering), (config.listings, Debut::Listing), (config.late, Debut::Late)];
    for (count, debut) in kinds {
        let count = room.min(usize::from(count));
        room -= count;
        let mut left = count;
        while left > 0 {
            let at = rng.index(instruments.len());
            if let Some(chosen) = instruments.get_mut(at).filter(|chosen| chosen.debut == Debut::Known) {
                chosen.debut = debut;
                left -= 1;
            }
        }
    }
}
