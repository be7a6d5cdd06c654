//! Features: what a model is told of an instrument, kept up to date event by event.
//!
//! [`FeatureState`] holds one instrument, [`Features`] those that are followed. Each event costs a bounded number of steps
//! whatever the book holds, and nothing allocates after construction. Sums are integers (shares, 1/10,000, counts), exact
//! and the same on every machine; floats appear only in the [`FeatureVector`] that a model takes, made of those integers by
//! [`FeatureState::vector`]. What each feature means stands in the module [`vector`], the place of our own orders in their
//! queues in [`queue`].
//!
//! # Windows
//! Flows are summed over windows of two kinds, both exact: over the last 8, 32 and 128 changes of the touch (16 trades), and
//! over time, in rings of sixteen buckets of 2^23, 2^26 and 2^29 ns: [`TIME_WINDOWS_NS`], 134 ms, 1.07 s and 8.59 s. Bounds
//! that are powers of two cost a shift where others cost a division. The bucket in hand is open, so a time window covers
//! between 15/16 of its length and all of it. Exponential decay was the alternative: it has no such edge, but in integers it
//! rounds at each step, and an outlier never leaves it altogether; a ring says exactly which events it is about.
//!
//! # Contract
//! - [`FeatureState::on_step`] is called after the books have applied an event of the instrument, for each event that changed
//!   its book or is a trade of it, in order. What came to the book another way (a snapshot, messages applied quietly,
//!   [`Books::drain`], [`Books::clear`]) has to be followed by [`FeatureState::resync`].
//! - Time is the exchange's. A stamp before the latest one, or from beyond the day, counts as the latest.

use crate::book::{Books, Change, Outcome, Touched};
use crate::market::{Event, EventKind, OrderMessage, Price, Side, TopOfBook};
use crate::prefetch;

mod bank;
mod flow;
mod near;
pub mod queue;
pub mod vector;

pub use bank::{FeatureCounters, Features};
pub use near::{LEVELS, MOST_SHARES};
pub use queue::OwnPlace;
pub use vector::{FeatureVector, NAMES, WIDTH};

use flow::{BUCKETS, StepWindow, TimeWindow, Totals};
use near::Near;

/// Buckets of the time windows: 2^n ns.
const SHIFTS: [u32; 3] = [23, 26, 29];

/// Lengths of the time windows, ns. What they cover: see the [module](self).
pub const TIME_WINDOWS_NS: [u64; 3] = {
    let [a, b, c] = SHIFTS;
    [(BUCKETS as u64) << a, (BUCKETS as u64) << b, (BUCKETS as u64) << c]
};

/// Lengths of the windows over changes of the touch.
pub const CHANGE_WINDOWS: [u64; 3] = [8, 32, 128];

/// Length of the window over trades.
pub const TRADE_WINDOW: u64 = 16;

/// Largest move of bid + ask that counts, 1/10,000: larger ones count as so much.
pub const MOST_MOVE: i64 = 1 << 20;

/// ns of a day: no stamp is that late.
pub const DAY_NS: u64 = 86_400_000_000_000;

/// One event, as features need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Instrument.
    pub locate: u16,
    /// Exchange time, ns since midnight.
    pub timestamp: u64,
    /// Where the book changed: [`Books::touched`].
    pub touched: Option<Touched>,
    /// The order that shrank or left; 0 if none did.
    pub order_ref: u64,
    /// The order that joined.
    pub joined: Option<Joined>,
    /// A trade that counts.
    pub trade: Option<Trade>,
    /// The event could not be right.
    pub anomaly: bool,
}

/// An order that joined the back of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its reference.
    pub order_ref: u64,
    /// Displayed shares.
    pub shares: u32,
    /// Limit price.
    pub price: Price,
}

/// A trade that may be printed and is no cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Shares.
    pub shares: u32,
    /// The price where nobody displayed traded: which side took is judged by the mid. `None`: against a displayed order.
    pub hidden_at: Option<Price>,
}

impl Step {
    /// `message`, which `books` have just applied with `change` as the result.
    #[inline]
    #[must_use]
    pub fn of_message(message: &OrderMessage, change: &Change, books: &Books) -> Self {
        let OrderMessage { locate, timestamp, shares, price, .. } = *message;
        let anomaly = matches!(change.outcome, Outcome::Anomaly(_));
        let (order_ref, joined) = match message.kind {
            OrderMessage::ADD => (0, Some(Joined { order_ref: message.order_ref, shares, price })),
            OrderMessage::REPLACE => {
                (message.order_ref, Some(Joined { order_ref: message.new_order_ref, shares, price }))
            }
            _ => (message.order_ref, None),
        };
        let executed = matches!(message.kind, OrderMessage::EXECUTE | OrderMessage::EXECUTE_PRICED)
            && message.printable == b'Y';
        let trade = (executed && !anomaly).then_some(Trade { shares, hidden_at: None });
        Self { locate, timestamp, touched: books.touched(), order_ref, joined, trade, anomaly }
    }

    /// The same of an event.
    #[must_use]
    pub fn of_event(event: &Event, change: &Change, books: &Books) -> Self {
        if let Some(message) = OrderMessage::from_event(event) {
            return Self::of_message(&message, change, books);
        }
        let anomaly = matches!(change.outcome, Outcome::Anomaly(_));
        let trade = match event.kind {
            EventKind::Trade { shares, price, cross: false } if shares > 0 && !anomaly => {
                let shares = u32::try_from(shares).unwrap_or(u32::MAX);
                Some(Trade { shares, hidden_at: Some(price) })
            }
            _ => None,
        };
        let Event { locate, timestamp, .. } = *event;
        Self { locate, timestamp, touched: books.touched(), order_ref: 0, joined: None, trade, anomaly }
    }

    /// It changed a book, or is a trade: what counts as an event.
    #[inline]
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.touched.is_some() || self.trade.is_some()
    }
}

/// The features of one instrument. See the [module](self).
///
/// An event and a vector after it touch fourteen cache lines: the totals, four of the levels, one of counts, and of each
/// window where it begins.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct FeatureState {
    totals: Totals,
    /// Bids, asks.
    near: [Near; 2],
    /// Latest exchange time, ns. The latest bucket of each window of time is the one that it lies in.
    now: u64,
    /// Bid + ask when last both were there; 0 before that.
    twice_mid: i64,
    /// Trades so far.
    traded: u64,
    /// Stamps that were not taken at their word.
    bad_stamps: u64,
    trades: StepWindow<16>,
    changes: StepWindow<128>,
    time: [TimeWindow; 3],
}

impl FeatureState {
    /// Of an instrument with an empty book, of which nothing was heard.
    #[must_use]
    pub fn new() -> Self {
        Self {
            totals: Totals::default(),
            near: [Near::EMPTY; 2],
            now: 0,
            twice_mid: 0,
            traded: 0,
            bad_stamps: 0,
            trades: StepWindow::new(),
            changes: StepWindow::new(),
            time: std::array::from_fn(|_| TimeWindow::new()),
        }
    }

    /// Where the windows of time begin.
    #[inline(always)]
    fn starts(&self) -> [&Totals; 3] {
        let [a, b, c] = &self.time;
        let [x, y, z] = SHIFTS.map(|shift| self.now >> shift);
        [a.start(x), b.start(y), c.start(z)]
    }

    /// Takes up what one event did. An event that could not be right counts by what it changed.
    #[inline]
    pub fn on_step(&mut self, books: &Books, step: &Step) {
        if !step.counts() {
            return;
        }
        self.advance(step.timestamp);
        self.totals.events += 1;
        if let Some(trade) = step.trade {
            self.on_trade(trade, step.touched);
        }
        let Some(touched) = step.touched else { return };
        let before = [self.near[0].best(), self.near[1].best()];
        if step.anomaly {
            // Only the books know what an event did that is wrong; there are few.
            self.read(books, step.locate);
        } else {
            let near = &mut self.near[touched.side as usize];
            match step.joined.filter(|_| step.order_ref != 0) {
                None => near.update(books, step.locate, touched, true),
                Some(joined) => {
                    near.update(books, step.locate, touched, false);
                    near.update(books, step.locate, Touched { price: joined.price, ..touched }, false);
                }
            }
        }
        let after = [self.near[0].best(), self.near[1].best()];
        if before != after {
            let [bid, ask] = [0, 1].map(|side: usize| before[side].flow_to(after[side]));
            self.changes.step(self.changes(), [self.totals.flow, self.totals.depth]);
            self.totals.flow = self.totals.flow.wrapping_add(bid - ask);
            self.totals.depth += i64::from(after[0].shares) + i64::from(after[1].shares);
            self.totals.changes += 1;
            self.on_mid();
        }
    }

    /// Asks for the memory that the next event and a vector after it will look at.
    #[inline]
    pub fn prefetch(&self) {
        prefetch::lines(&raw const self.totals);
        prefetch::lines(&raw const self.near);
        prefetch::line(&raw const self.now);
        self.changes.prefetch(self.changes(), &CHANGE_WINDOWS);
        self.trades.prefetch(self.traded, &[TRADE_WINDOW]);
        for start in self.starts() {
            prefetch::line(start);
        }
    }

    /// Lets time pass without an event, so that windows are those of `timestamp`.
    #[inline]
    pub fn advance(&mut self, timestamp: u64) {
        if timestamp < self.now || timestamp >= DAY_NS {
            self.bad_stamps += 1;
            return;
        }
        let before = std::mem::replace(&mut self.now, timestamp);
        if before >> SHIFTS[0] != timestamp >> SHIFTS[0] {
            for (window, shift) in self.time.iter_mut().zip(SHIFTS) {
                window.roll(before >> shift, timestamp >> shift, &self.totals);
            }
        }
    }

    /// Reads the levels anew: the book changed in another way than by events that were handed on. Nothing flowed by that.
    pub fn resync(&mut self, books: &Books, locate: u16) {
        self.read(books, locate);
        self.twice_mid = self.mid_now().unwrap_or(self.twice_mid);
    }

    fn read(&mut self, books: &Books, locate: u16) {
        for side in [Side::Buy, Side::Sell] {
            self.near[side as usize].read(books, locate, side);
        }
    }

    #[inline(always)]
    fn on_trade(&mut self, trade: Trade, touched: Option<Touched>) {
        self.trades.step(self.traded, [self.totals.bought, self.totals.sold]);
        self.traded += 1;
        let shares = i64::from(trade.shares);
        match (touched, trade.hidden_at) {
            // Who takes an offer is a buyer.
            (Some(Touched { side: Side::Sell, .. }), _) => self.totals.bought += shares,
            (Some(Touched { side: Side::Buy, .. }), _) => self.totals.sold += shares,
            (None, Some(price)) if self.twice_mid > 0 => {
                match (2 * i64::from(price.0)).cmp(&self.twice_mid) {
                    std::cmp::Ordering::Greater => self.totals.bought += shares,
                    std::cmp::Ordering::Less => self.totals.sold += shares,
                    // Neither can be told to have taken.
                    std::cmp::Ordering::Equal => {}
                }
            }
            (None, _) => {}
        }
    }

    /// The touch is another.
    #[inline(always)]
    fn on_mid(&mut self) {
        if let Some(now) = self.mid_now() {
            if self.twice_mid != 0 {
                let moved = (now - self.twice_mid).clamp(-MOST_MOVE, MOST_MOVE);
                self.totals.variation = self.totals.variation.wrapping_add(moved * moved);
            }
            self.twice_mid = now;
        }
    }

    /// Bid + ask.
    #[inline(always)]
    fn mid_now(&self) -> Option<i64> {
        let (bid, ask) = (self.near[0].best_price(Side::Buy)?, self.near[1].best_price(Side::Sell)?);
        Some(i64::from(bid.0) + i64::from(ask.0))
    }

    /// Best bid and best ask together, which is twice the mid, in 1/10,000; `None` where a side is empty.
    #[must_use]
    pub fn twice_mid(&self) -> Option<u64> {
        self.mid_now().map(i64::cast_unsigned)
    }

    /// The microprice, in 1/10,000 × 2^-16, rounded down; `None` where a side is empty. Each best price is weighted with the
    /// shares at the other: `(bid × ask shares + ask × bid shares) / (bid shares + ask shares)`. Within the touch; for money,
    /// hence an integer. (The weighted mid; Gatheral and Oomen, Zero-intelligence realized variance estimation, 2010.)
    #[must_use]
    pub fn microprice(&self) -> Option<u64> {
        let [bid, ask] = &self.near;
        let (low, high) = (u64::from(bid.best_price(Side::Buy)?.0), u64::from(ask.best_price(Side::Sell)?.0));
        let (bids, asks) = (u64::from(bid.best().shares), u64::from(ask.best().shares));
        // Shares are below 2^26 and prices below 2^32, so the sum is below 2^59.
        let (whole, total) = (low * asks + high * bids, bids + asks);
        let fraction = ((whole % total) << 16) / total;
        Some(((whole / total) << 16) + fraction)
    }

    /// How far the best three levels of either side lean, `(B3 − A3) / (B3 + A3)` in parts per 10,000, rounded towards 0: 10,000
    /// is bids only. `None` where there are none.
    #[must_use]
    pub const fn lean_of_three(&self) -> Option<i32> {
        let [_, bids, ..] = self.near[0].depths();
        let [_, asks, ..] = self.near[1].depths();
        // Three levels hold less than 2^28 shares.
        if bids + asks == 0 { None } else { Some(((bids - asks) * 10_000 / (bids + asks)) as i32) }
    }

    /// Is the touch the one of `top`? Where it is not, the book changed in a way that was not told.
    #[inline]
    #[must_use]
    pub fn is_of(&self, top: &TopOfBook) -> bool {
        self.near[0].is_best(Side::Buy, top.bid) && self.near[1].is_best(Side::Sell, top.ask)
    }

    /// Latest exchange time, ns since midnight.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// Changes of the touch so far: of a best price, or of the shares there.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.totals.changes.cast_unsigned()
    }

    /// Stamps that lay before an earlier one or beyond the day.
    #[must_use]
    pub const fn bad_stamps(&self) -> u64 {
        self.bad_stamps
    }
}

impl Default for FeatureState {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
