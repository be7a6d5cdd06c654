//! A first strategy: lean with the queues at the touch.
//!
//! The signal is `(bid shares − ask shares) / (bid shares + ask shares)` at the best prices, in parts per 10,000: +10,000
//! is all bid, −10,000 all ask. At or above the entry threshold it buys, at or below its negative it sells:
//! [`Style::Take`] crosses to the opposite touch with an immediate-or-cancel order, [`Style::Join`] rests a day order at
//! its own side's best, follows that best when it moves away, and cancels when the signal falls under the exit
//! threshold, when the book stops being live, or when the instrument stops trading.
//!
//! One working order per instrument. While an entry, a replacement or a cancel is unanswered, it does nothing in that
//! instrument. It is a demonstration of the path from book to wire, not advice.

use super::{Intent, Intents, MarketView, OrderUpdate, Strategy, TimeInForce};
use crate::market::{Price, Side, Symbol, TopOfBook};
use crate::order::OrderState;

/// The scale of the signal: 10,000 = one side only.
pub const FULL_SCALE: u32 = 10_000;

/// How an order meets the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Immediate or cancel at the opposite touch.
    Take,
    /// Rest at one's own best.
    Join,
}

/// What the strategy is told once.
#[derive(Clone, Debug)]
pub struct ImbalanceParams {
    /// Signal at which to enter, parts per 10,000, `1 ..= 10_000`.
    pub entry: u32,
    /// Signal under which a resting order is cancelled, parts per 10,000, below `entry`.
    pub exit: u32,
    /// Shares of each order.
    pub order_shares: u32,
    /// Take or join.
    pub style: Style,
    /// Widest spread at which to enter, in 1/10,000.
    pub max_spread: u32,
    /// Least time between two orders (or replacements) in one instrument, ns.
    pub cooldown_ns: u64,
    /// Instruments to act on; `None` = all.
    pub symbols: Option<Vec<Symbol>>,
}

/// What the strategy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImbalanceCounters {
    /// Tops of book looked at, in instruments that it may act on.
    pub tops: u64,
    /// Signals at or above the entry threshold, acted on or not.
    pub signals: u64,
    /// Orders wanted.
    pub enters: u64,
    /// Replacements wanted.
    pub replaces: u64,
    /// Cancels wanted.
    pub cancels: u64,
    /// Intents that risk or the send path turned down.
    pub unsent: u64,
    /// Orders that ended, by trade, cancel or reject.
    pub closed: u64,
}

impl ImbalanceCounters {
    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("strategy_tops", self.tops),
            ("strategy_signals", self.signals),
            ("strategy_enters", self.enters),
            ("strategy_replaces", self.replaces),
            ("strategy_cancels", self.cancels),
            ("strategy_unsent", self.unsent),
            ("strategy_closed", self.closed),
        ]
    }
}

/// An order at the venue, as far as the replies tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Working {
    order: u32,
    side: Side,
    shares: u32,
    price: Price,
}

/// Where an instrument stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No order.
    #[default]
    Idle,
    /// Sent, and unanswered.
    Unanswered,
    /// At the venue, nothing unanswered.
    Resting(Working),
}

#[derive(Clone, Copy, Debug, Default)]
struct Instrument {
    enabled: bool,
    phase: Phase,
    quiet_until: u64,
}

/// Signal at the touch in parts per 10,000, positive where bids outweigh; `None` unless both sides are there.
#[must_use]
pub fn imbalance(top: &TopOfBook) -> Option<i32> {
    let (bid, ask) = (top.bid?.shares, top.ask?.shares);
    // Larger queues than 2^46 shares do not exist; scale such nonsense down rather than overflow.
    let scale = (64 - (bid | ask).leading_zeros()).saturating_sub(46);
    let (bid, ask) = ((bid >> scale) as i64, (ask >> scale) as i64);
    let total = bid + ask;
    if total == 0 {
        return None;
    }
    // Within ±10,000 by construction.
    Some(((bid - ask) * i64::from(FULL_SCALE) / total) as i32)
}

/// See the module.
#[derive(Debug)]
pub struct Imbalance {
    params: ImbalanceParams,
    instruments: Box<[Instrument]>,
    counters: ImbalanceCounters,
}

impl Imbalance {
    /// For locates `0 .. locates`; others are ignored.
    #[must_use]
    pub fn new(params: ImbalanceParams, locates: u32) -> Self {
        let instruments = vec![Instrument::default(); locates as usize].into_boxed_slice();
        Self { params, instruments, counters: ImbalanceCounters::default() }
    }

    /// What it did so far.
    #[must_use]
    pub const fn counters(&self) -> &ImbalanceCounters {
        &self.counters
    }

    /// The signal as seen by `side`: positive where the queues favour it.
    const fn favour(signal: i32, side: Side) -> i64 {
        match side {
            Side::Buy => signal as i64,
            Side::Sell => -(signal as i64),
        }
    }

    fn wish_to_enter(&self, view: &MarketView, signal: i32) -> Option<Intent> {
        let (bid, ask) = (view.top.bid?, view.top.ask?);
        // A locked or crossed book is a moment between two messages: no signal in it.
        if ask.price <= bid.price || ask.price.0 - bid.price.0 > self.params.max_spread {
            return None;
        }
        let side = if signal > 0 { Side::Buy } else { Side::Sell };
        let (at, time_in_force) = match self.params.style {
            Style::Take => (side.opposite(), TimeInForce::Ioc),
            Style::Join => (side, TimeInForce::Day),
        };
        let price = if matches!(at, Side::Buy) { bid.price } else { ask.price };
        let shares = self.params.order_shares;
        Some(Intent::Enter { locate: view.locate, side, shares, price, time_in_force })
    }

    /// What to do about a resting order.
    fn wish_to_change(&self, view: &MarketView, signal: Option<i32>, working: Working) -> Option<Intent> {
        let Working { order, side, shares, price } = working;
        let locate = view.locate;
        let favoured = signal.is_some_and(|s| Self::favour(s, side) >= i64::from(self.params.exit));
        if !favoured || !view.tradable() {
            return Some(Intent::Cancel { locate, order });
        }
        // Only towards the market: a best behind our price is one that does not show our order yet.
        let best = view.top.side(side)?.price;
        let moved_away = match side {
            Side::Buy => best > price,
            Side::Sell => best < price,
        };
        moved_away.then_some(Intent::Replace { locate, order, shares, price: best })
    }
}

impl Strategy for Imbalance {
    fn on_session(&mut self) {
        self.instruments.fill(Instrument::default());
    }

    fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        let enabled = self.params.symbols.as_ref().is_none_or(|list| list.contains(&symbol));
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.enabled = enabled;
        }
    }

    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        let Some(&Instrument { enabled: true, phase, quiet_until }) =
            self.instruments.get(usize::from(view.locate))
        else {
            return;
        };
        self.counters.tops += 1;
        let signal = imbalance(&view.top);
        let strong = signal.is_some_and(|s| s.unsigned_abs() >= self.params.entry);
        self.counters.signals += u64::from(strong);

        let wish = match (phase, signal) {
            (Phase::Idle, Some(signal)) if strong && view.tradable() => self.wish_to_enter(view, signal),
            // What takes does not rest: its venue cancels the remainder unasked.
            (Phase::Resting(working), _) if self.params.style == Style::Join => {
                self.wish_to_change(view, signal, working)
            }
            _ => None,
        };
        let Some(intent) = wish else { return };
        // A cancel takes risk away, so it never waits.
        let quiet = view.now_ns < quiet_until && !matches!(intent, Intent::Cancel { .. });
        if quiet || !out.push(intent) {
            return;
        }
        match intent {
            Intent::Enter { .. } => self.counters.enters += 1,
            Intent::Replace { .. } => self.counters.replaces += 1,
            Intent::Cancel { .. } => self.counters.cancels += 1,
        }
        if let Some(instrument) = self.instruments.get_mut(usize::from(view.locate)) {
            instrument.quiet_until = view.now_ns.saturating_add(self.params.cooldown_ns);
        }
    }

    fn on_order(&mut self, update: &OrderUpdate, _out: &mut Intents) {
        let Some(instrument) = self.instruments.get_mut(usize::from(update.locate)) else { return };
        match update.state {
            OrderState::Open { pending: true, .. } => instrument.phase = Phase::Unanswered,
            OrderState::Open { order, shares, price, pending: false } => {
                instrument.phase = Phase::Resting(Working { order, side: update.side, shares, price });
            }
            OrderState::Closed => {
                instrument.phase = Phase::Idle;
                self.counters.closed += 1;
            }
            OrderState::Unaffected => {}
        }
    }

    fn on_sent(&mut self, intent: &Intent, _user_ref_num: u32) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(intent.locate())) {
            instrument.phase = Phase::Unanswered;
        }
    }

    fn on_unsent(&mut self, _intent: &Intent) {
        self.counters.unsent += 1;
    }
}

#[cfg(test)]
mod tests;
