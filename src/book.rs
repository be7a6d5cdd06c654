//! Full-depth order books: every displayed order of every instrument, in its queue.
//!
//! [`Books`] turns a stream of [`Event`]s into books and answers what they hold: best bid and offer, depth, the queue
//! at a price, the place of an order in its queue, trading state. It knows nothing of packets and protocols.
//!
//! # What it costs
//! All memory is reserved and written once, in [`Books::new`]; nothing allocates afterwards. What an event costs does
//! not depend on how many orders are live, how deep a book is or how long a queue:
//!
//! | step | cost |
//! |---|---|
//! | find an order by its reference | one line of the index and one of its level; further index lines where many share a bucket |
//! | execute, cancel, delete | the segment that the order is in; the totals of a level of more than five orders |
//! | add at a price that has a level | two lines of the best sixteen levels; behind them one way down a tree of four or five nodes at 15,000 |
//! | a level appears or goes | the same, and on the way up perhaps the split or merger of a node on each floor |
//! | read the top of a book | two levels |
//! | [`Books::queue_position`] | one step for each segment of up to five orders ahead |
//! | [`Books::set_all_states`], a market-wide halt | nothing: a number is counted up |
//! | [`Books::drain`] | the same as so many deletions |
//! | [`Books::clear`] | writes the index: some tens of ms at the default limits, not for the middle of a session |
//!
//! # May a book be believed?
//! Each book has a [`BookState`]. It starts [`Stale`](BookState::Stale), whoever feeds the books says when one is
//! [`Live`](BookState::Live), and any [`Anomaly`] on it makes it stale again. A stale book is still kept as well as
//! its events allow, but no order may rest on it. Anomalies are counted by kind, and none of them can panic or bend
//! another book.

use std::fmt;

use crate::market::{BookState, Event, OrderMessage, Price, Side, Symbol, TradingState};

mod ahead;
mod apply;
mod audit;
mod counters;
mod index;
mod instrument;
mod limits;
mod node;
mod paths;
mod pool;
mod segment;
mod store;
mod tree;
mod vectors;
mod view;

pub use audit::{Audit, Fault};
pub use counters::{Anomaly, BookCounters};
pub use limits::{LimitError, Limits, MAX_LEVELS, MAX_LOCATES, MAX_ORDERS};
pub use view::{QueuePosition, RestingOrder};

pub use vectors::Path;

use crate::memory::touched;
use instrument::{General, Instrument};
use store::Store;

/// What an [`Event`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event's instrument.
    pub locate: u16,
    /// The best price of a side, or the shares or the number of orders there, is another than before. Exact.
    pub top_changed: bool,
    /// What became of the event.
    pub outcome: Outcome,
}

/// What became of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it says.
    Applied,
    /// It is none of a book's business.
    Ignored,
    /// It cannot be right. What was done instead is said with each kind; the book is stale now.
    Anomaly(Anomaly),
}

/// Where an [`Event`] changed its book: see [`Books::touched`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Side of the order that joined, shrank or left.
    pub side: Side,
    /// Its limit price; of a replacement, that of the order that left.
    pub price: Price,
}

/// How much of the [`Limits`] is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Live orders.
    pub orders: u32,
    /// Most live orders at once so far.
    pub orders_peak: u32,
    /// Price levels.
    pub levels: u32,
    /// Most price levels at once so far.
    pub levels_peak: u32,
}

/// The books of all instruments. See the [module](self).
pub struct Books {
    /// Indexed by locate; 0 is not used.
    instruments: Vec<Instrument>,
    /// Indexed by locate.
    symbols: Vec<Option<Symbol>>,
    general: General,
    /// The book of another instrument than the event's own that an anomaly made stale.
    also_spoiled: Option<u16>,
    /// Where the latest event changed its book.
    touched: Option<Touched>,
    store: Store,
    path: Path,
    limits: Limits,
    counters: BookCounters,
    /// What the counters of orders that leave or shrink are made of: see [`Books::counters`].
    lost: [u64; 3],
}

impl Books {
    /// Empty books, all of them [`Stale`](BookState::Stale) and halted. Reserves [`Limits::memory_bytes`] and writes
    /// every page of it, which takes a fraction of a second for each gigabyte.
    ///
    /// # Errors
    /// A limit out of its range, or not enough memory.
    pub fn new(limits: Limits) -> Result<Self, LimitError> {
        Self::with_path(limits, Path::widest())
    }

    /// The same on a [`Path`] of the caller's choice; where this processor does not have it, on the widest that it has.
    ///
    /// # Errors
    /// As [`Books::new`].
    pub fn with_path(limits: Limits, path: Path) -> Result<Self, LimitError> {
        let path = if path.is_available() { path } else { Path::widest() };
        limits.check()?;
        let memory = |_| LimitError::Memory { bytes: limits.memory_bytes() };
        Ok(Self {
            instruments: touched(limits.locates as usize, Instrument::UNKNOWN).map_err(memory)?,
            symbols: touched(limits.locates as usize, None).map_err(memory)?,
            general: General::CLOSED,
            also_spoiled: None,
            touched: None,
            store: Store::new(&limits).map_err(memory)?,
            path,
            limits,
            counters: BookCounters::default(),
            lost: [0; 3],
        })
    }

    /// Applies one event. Events must come in the order of their sequence.
    #[inline]
    pub fn apply(&mut self, event: &Event) -> Change {
        self.apply_on_path(event)
    }

    /// The same of an order message as a decoder writes it. Nothing happens for [`OrderMessage::NONE`], or a side that is
    /// neither `B` nor `S`.
    #[inline]
    pub fn apply_order(&mut self, message: &OrderMessage) -> Change {
        self.apply_order_on_path(message)
    }

    /// Brings the totals of long levels up to date, if [`Books::look_ahead`] has them wait. Readers find them right in any case, and
    /// faster after this: for a book that is read more than once between two events.
    #[inline]
    pub fn settle(&mut self) {
        self.store.queues.settle();
    }

    /// Forgets orders, symbols, volumes and trading states, and makes every book stale: a new session begins, with a
    /// new space of references and locates. Counters and peaks stay.
    pub fn clear(&mut self) {
        self.instruments.fill(Instrument::UNKNOWN);
        self.symbols.fill(None);
        self.general = General::CLOSED;
        self.also_spoiled = None;
        self.touched = None;
        self.store.clear();
        self.counters.cleared += 1;
    }

    /// May the book of `locate` be believed? Stale for a locate out of range.
    #[must_use]
    pub fn state(&self, locate: u16) -> BookState {
        self.instrument(locate).map_or(BookState::Stale, |instrument| instrument.state(self.general))
    }

    /// Says whether the book of `locate` may be believed. Nothing happens for a locate out of range.
    pub fn set_state(&mut self, locate: u16, state: BookState) {
        if let Some(instrument) = instrument_mut(&mut self.instruments, locate) {
            instrument.set_state(self.general, state);
        }
    }

    /// Says whether the books may be believed, all at once, in no time.
    pub const fn set_all_states(&mut self, state: BookState) {
        self.general.set_all(state);
    }

    /// The same for the books of which nothing was said since [`Books::set_all_states`], neither by
    /// [`Books::set_state`] nor by an anomaly.
    pub const fn set_other_states(&mut self, state: BookState) {
        self.general.set_rest(state);
    }

    /// Takes at most `at_most` orders out of the book of `locate`; true where none is left. Symbol, states and volume
    /// stay. For a book that is to be made anew while others go on: what it costs follows `at_most`, whatever the book.
    pub fn drain(&mut self, locate: u16, at_most: u32) -> bool {
        let Some(instrument) = instrument_mut(&mut self.instruments, locate) else { return true };
        for _ in 0..at_most {
            let [bid, ask] = [Side::Buy, Side::Sell].map(|side| instrument.best(side).some());
            let Some(level) = bid.or(ask) else { return true };
            self.store.leave_first(instrument, level);
            self.counters.drained += 1;
        }
        [Side::Buy, Side::Sell].into_iter().all(|side| instrument.best(side).is_nil())
    }

    /// Forgets what was announced of the instrument's trading: halted until it is announced again, no operational halt.
    pub fn forget_trading(&mut self, locate: u16) {
        if let Some(instrument) = instrument_mut(&mut self.instruments, locate) {
            instrument.set_trading(self.general, TradingState::Halted);
            instrument.operational_halt = false;
        }
    }

    /// Takes the latest market-wide halt back for one instrument: what was announced before holds.
    pub fn spare_from_halt(&mut self, locate: u16) {
        if let Some(instrument) = instrument_mut(&mut self.instruments, locate) {
            instrument.spare(self.general);
        }
    }

    /// The book that the latest anomaly made stale beside that of its own event (an order that was said to be of two
    /// instruments), once.
    pub const fn take_also_spoiled(&mut self) -> Option<u16> {
        self.also_spoiled.take()
    }

    /// Where the latest event changed the book of its instrument, whether or not it could be right; `None` if no order joined,
    /// shrank or left. A replacement changed the price that it names as well, unless it is an anomaly.
    #[inline]
    #[must_use]
    pub const fn touched(&self) -> Option<Touched> {
        self.touched
    }

    /// May the instrument be traded? Halted unless announced, during an operational halt whatever was announced, and
    /// after a market-wide halt until it is announced again.
    #[must_use]
    pub fn trading_state(&self, locate: u16) -> TradingState {
        self.instrument(locate)
            .map_or(TradingState::Halted, |instrument| instrument.trading_state(self.general))
    }

    /// The symbol that the directory gave to `locate`.
    #[must_use]
    pub fn symbol(&self, locate: u16) -> Option<Symbol> {
        self.symbols.get(usize::from(locate)).copied().flatten()
    }

    /// The lowest locate with `symbol`. Looks through all of them: some ten µs, so ask once and keep the answer.
    #[must_use]
    pub fn locate_of(&self, symbol: Symbol) -> Option<u16> {
        let at = self.symbols.iter().position(|known| *known == Some(symbol))?;
        u16::try_from(at).ok()
    }

    /// Shares in a round lot; `None` before the directory named the instrument.
    #[must_use]
    pub fn round_lot(&self, locate: u16) -> Option<u32> {
        self.instrument(locate).filter(|instrument| instrument.listed).map(|instrument| instrument.round_lot)
    }

    /// Shares traded in this session: printable executions, trades against hidden orders, and crosses. Trades that
    /// were broken later stay counted.
    #[must_use]
    pub fn volume(&self, locate: u16) -> u64 {
        self.instrument(locate).map_or(0, |instrument| instrument.volume)
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> BookCounters {
        let [executed, cancelled, deleted] = self.lost;
        BookCounters { executed, cancelled, deleted, ..self.counters }
    }

    /// What the books were made for.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// How much of the limits is used.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        let (orders, levels) = (&self.store.orders, &self.store.levels);
        Usage { orders: orders.live, orders_peak: orders.peak, levels: levels.live, levels_peak: levels.peak }
    }

    #[inline(always)]
    fn instrument(&self, locate: u16) -> Option<&Instrument> {
        if locate == 0 { None } else { self.instruments.get(usize::from(locate)) }
    }
}

/// A free function, so that the store can be borrowed beside the instrument.
#[inline(always)]
fn instrument_mut(instruments: &mut [Instrument], locate: u16) -> Option<&mut Instrument> {
    if locate == 0 { None } else { instruments.get_mut(usize::from(locate)) }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books")
            .field("limits", &self.limits)
            .field("usage", &self.usage())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
