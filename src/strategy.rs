//! Strategies: what they see, and what they may ask for.
//!
//! A strategy is told of every change of a top of book and of every reply to its own orders. It answers with
//! [`Intent`]s: wishes, which leave only if [`crate::risk::Risk`] clears them. The loop is generic over the strategy,
//! so each is compiled into it; there is no dynamic call.
//!
//! One that needs more than tops says so ([`Strategy::FOLLOWS`]) and is shown each event of its instruments, after the books have
//! applied it, and each book that was made anew. For one that does not, none of that is compiled.
//!
//! # Contract
//! - No call allocates, blocks or panics; all memory is taken when the strategy is made.
//! - For each intent taken from the list, exactly one of [`Strategy::on_sent`] and [`Strategy::on_unsent`] follows,
//!   before the next call of any other method. Several replies that came together are several calls of
//!   [`Strategy::on_order`], and what they want is taken from the list after the last of them.
//! - The loop takes back open orders of a book that can no longer be believed, and all at its end. Those cancels are not the
//!   strategy's: neither of the two calls follows, and it hears of the order's end by [`Strategy::on_order`] only.
//! - Prices are in 1/10,000, quantities are shares.
//!
//! A strategy may build on [`features`], kept event by event, and on a [`model`] of them.
//!
//! | file | what it does |
//! |---|---|
//! | [`imbalance`] | leans with the queues at the touch |
//! | [`signal`] | leans with what a model predicts from the features |
//! | [`maker`] | quotes both sides around the microprice |
//! | [`template`] | the smallest complete one, to be copied: `docs/writing-a-strategy.md` |
//! | [`lean`] | one working order an instrument, for those that lean |

pub use crate::blotter::{OrderUpdate, TimeInForce};
use crate::book::Books;
use crate::market::{BookState, Price, Side, Symbol, TopOfBook, TradingState};

mod counters;
pub mod features;
pub mod imbalance;
pub mod lean;
pub mod maker;
pub mod model;
pub mod signal;
pub mod template;

pub use counters::StrategyCounters;
use features::Step;

/// One instrument at one moment: all that a decision and its risk check look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketView {
    /// The instrument.
    pub locate: u16,
    /// Exchange time of the change, ns since midnight.
    pub timestamp: u64,
    /// Local monotonic time, ns.
    pub now_ns: u64,
    /// Best bid and offer.
    pub top: TopOfBook,
    /// May the book be believed?
    pub book: BookState,
    /// May the instrument be traded?
    pub trading: TradingState,
}

impl MarketView {
    /// True where the book is live and the instrument trades.
    #[must_use]
    pub const fn tradable(&self) -> bool {
        matches!(self.book, BookState::Live) && matches!(self.trading, TradingState::Trading)
    }
}

/// What a strategy wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// A new order.
    Enter {
        /// Instrument.
        locate: u16,
        /// Side.
        side: Side,
        /// Shares, at least 1.
        shares: u32,
        /// Limit price.
        price: Price,
        /// How long it may rest.
        time_in_force: TimeInForce,
    },
    /// Give an open order a new size and price; it goes to the back of the queue.
    Replace {
        /// Instrument of the order.
        locate: u16,
        /// Its `user_ref_num`.
        order: u32,
        /// Shares to be open afterwards (not counting what has already traded).
        shares: u32,
        /// New limit price.
        price: Price,
    },
    /// Take an open order back, whole.
    Cancel {
        /// Instrument of the order.
        locate: u16,
        /// Its `user_ref_num`.
        order: u32,
    },
}

impl Intent {
    /// The instrument concerned.
    #[must_use]
    pub const fn locate(&self) -> u16 {
        match *self {
            Self::Enter { locate, .. } | Self::Replace { locate, .. } | Self::Cancel { locate, .. } => locate,
        }
    }
}

/// A list of at most [`Intents::CAPACITY`] intents, filled by one call of a strategy and emptied by the loop.
#[derive(Clone, Debug)]
pub struct Intents {
    items: [Option<Intent>; Self::CAPACITY],
    len: usize,
    overflowed: u64,
}

impl Intents {
    /// Most intents that one call of a strategy may leave.
    pub const CAPACITY: usize = 8;

    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: [None; Self::CAPACITY], len: 0, overflowed: 0 }
    }

    /// Adds an intent; false (counted) where the list is full.
    pub fn push(&mut self, intent: Intent) -> bool {
        match self.items.get_mut(self.len) {
            Some(slot) => {
                *slot = Some(intent);
                self.len += 1;
                true
            }
            None => {
                self.overflowed += 1;
                false
            }
        }
    }

    /// Number of intents waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True where nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The intent at `index`, in the order they were pushed.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Intent> {
        self.items.get(..self.len)?.get(index).copied().flatten()
    }

    /// The waiting intents in the order they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = Intent> + '_ {
        self.items.iter().take(self.len).flatten().copied()
    }

    /// Forgets the waiting intents.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Intents that found the list full, ever.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

impl Default for Intents {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes down when the parts of a decision are done.
pub trait Marks {
    /// The features are there.
    fn featured(&mut self);

    /// The model has answered.
    fn inferred(&mut self);
}

/// Nobody wants to know.
impl Marks for () {
    fn featured(&mut self) {}
    fn inferred(&mut self) {}
}

/// Decides.
pub trait Strategy {
    /// True: it is shown events, by [`Strategy::on_step`] and [`Strategy::on_rebuilt`].
    const FOLLOWS: bool = false;

    /// A new session of the feed began: locates mean nothing until they are announced again.
    fn on_session(&mut self) {}

    /// An instrument exists today under this locate.
    fn on_instrument(&mut self, locate: u16, symbol: Symbol);

    /// The book of an instrument that it acts on is another than the events shown so far have made it: it is announced, was
    /// rebuilt, or is being rebuilt. Always called before the first [`Strategy::on_step`] of an instrument.
    fn on_rebuilt(&mut self, _books: &Books, _locate: u16) {}

    /// An event of an instrument that it acts on is about to be applied: ask for the memory that it will take
    /// ([`Features::prefetch`](features::Features::prefetch)), so that it comes while the books are busy.
    #[inline]
    fn on_coming(&self, _locate: u16) {}

    /// The books have applied an event of an instrument that it acts on. The call of [`Strategy::on_top`] for the same event
    /// comes afterwards.
    fn on_step(&mut self, _books: &Books, _step: &Step) {}

    /// A top of book, a book state or a trading state changed.
    fn on_top(&mut self, view: &MarketView, out: &mut Intents);

    /// [`Strategy::on_top`], as the loop calls it. A strategy of which features and inference are to be timed by themselves makes
    /// this one its decision and tells when each is done.
    #[inline]
    fn on_top_in_parts(&mut self, view: &MarketView, out: &mut Intents, _marks: &mut impl Marks) {
        self.on_top(view, out);
    }

    /// Time has passed: some ten thousand times a second. What it costs is lost to the feed.
    fn on_timer(&mut self, _now_ns: u64, _out: &mut Intents) {}

    /// A new order that it might ask for on `view`, worked out the way a decision is: a rehearsal, some ten thousand times a
    /// second while nothing comes, so that the next decision finds its memory in the caches. Risk and the session rehearse it,
    /// too; it never leaves. `None`: nothing is rehearsed.
    fn rehearse(&self, _view: &MarketView) -> Option<Intent> {
        None
    }

    /// One of our orders changed, or a trade of ours was broken.
    fn on_order(&mut self, update: &OrderUpdate, out: &mut Intents);

    /// What we hold in an instrument was moved by orders of a process before this one, or is known now because the feed has
    /// named it: `position` shares, negative = short. Such orders are cancelled as soon as the session is up; the strategy
    /// does not hear of them otherwise.
    fn on_position(&mut self, _locate: u16, _position: i64) {}

    /// The intent left for the venue. `user_ref_num` names the new order, or the order that a cancel concerns.
    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32);

    /// The intent did not leave: risk refused it, or there was no room to send.
    fn on_unsent(&mut self, intent: &Intent);

    /// What it did, for operators.
    fn counters(&self) -> StrategyCounters {
        StrategyCounters::default()
    }
}

/// Watches and never acts: for running the books alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observer;

impl Strategy for Observer {
    fn on_instrument(&mut self, _locate: u16, _symbol: Symbol) {}
    fn on_top(&mut self, _view: &MarketView, _out: &mut Intents) {}
    fn on_order(&mut self, _update: &OrderUpdate, _out: &mut Intents) {}
    fn on_sent(&mut self, _intent: &Intent, _user_ref_num: u32) {}
    fn on_unsent(&mut self, _intent: &Intent) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_view_is_not_tradable() {
        assert!(!MarketView::default().tradable());
        let live = MarketView { book: BookState::Live, ..MarketView::default() };
        assert!(!live.tradable());
        assert!(MarketView { trading: TradingState::Trading, ..live }.tradable());
    }

    #[test]
    fn a_full_list_refuses_and_counts() {
        let mut list = Intents::new();
        let cancel = |order| Intent::Cancel { locate: 1, order };
        for order in 0..Intents::CAPACITY as u32 {
            assert!(list.push(cancel(order)));
        }
        assert!(!list.push(cancel(99)));
        assert_eq!((list.len(), list.overflowed()), (Intents::CAPACITY, 1));
        assert_eq!(list.get(3), Some(cancel(3)));
        assert!(list.iter().eq((0..Intents::CAPACITY as u32).map(cancel)));
        list.clear();
        assert!(list.is_empty() && list.get(0).is_none() && list.iter().next().is_none());
        assert_eq!(list.overflowed(), 1);
    }
}
