//! One working order an instrument, on the side that a signal leans to: what strategies share whose decision is one number.
//!
//! At or above the entry threshold it buys, at or below its negative it sells: [`Style::Take`] crosses to the opposite touch
//! with an immediate-or-cancel order, [`Style::Join`] rests a day order at its own side's best, follows that best when it
//! moves away, and cancels when the signal falls under the exit threshold, when there is none, when the book stops being
//! live, or when the instrument stops trading.
//!
//! Each refusal in a row, by risk or by the venue, doubles the rest before the next order: what will not be had is not asked for
//! thousands of times a second.
//!
//! While an entry, a replacement or a cancel is unanswered, it does nothing in that instrument. The unit of signal and
//! thresholds is the caller's.

use super::{Intent, Intents, MarketView, OrderUpdate, StrategyCounters, TimeInForce};
use crate::blotter::{OrderEventKind, OrderState};
use crate::market::{Price, Side, Symbol};

/// How an order meets the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Immediate or cancel at the opposite touch.
    Take,
    /// Rest at one's own best.
    Join,
}

/// What it is told once.
#[derive(Clone, Debug)]
pub struct LeanParams {
    /// Signal at which to enter, at least 1.
    pub entry: u32,
    /// Signal under which a resting order is cancelled, below `entry`.
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
    /// Sent as `order`, and unanswered; a replacement takes the place of `was`.
    Unanswered { order: u32, was: u32 },
    /// At the venue, nothing unanswered.
    Resting(Working),
}

impl Phase {
    /// Is the update about the order of this instrument? Orders from before a restart are not.
    fn concerns(self, update: &OrderUpdate) -> bool {
        match self {
            Self::Idle => false,
            Self::Unanswered { order, was } => update.is_about(order) || update.is_about(was),
            Self::Resting(working) => update.is_about(working.order),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Instrument {
    enabled: bool,
    phase: Phase,
    quiet_until: u64,
    /// Orders and replacements refused in a row.
    refused: u8,
}

/// Doublings of the rest at the most.
const MOST_DOUBLINGS: u8 = 8;

/// The shortest rest that is doubled, ns.
const LEAST_REST: u64 = 1_000;

/// How long to rest after an order where so many were refused in a row before it, ns.
pub(super) const fn rest(cooldown_ns: u64, refused: u8) -> u64 {
    if refused == 0 {
        return cooldown_ns;
    }
    let least = if cooldown_ns < LEAST_REST { LEAST_REST } else { cooldown_ns };
    least.saturating_mul(1 << if refused < MOST_DOUBLINGS { refused } else { MOST_DOUBLINGS })
}

/// See the [module](self).
#[derive(Debug)]
pub struct Lean {
    params: LeanParams,
    instruments: Box<[Instrument]>,
    /// What was done; the caller counts what is its own.
    pub counters: StrategyCounters,
}

impl Lean {
    /// For locates `0 .. locates`; others are ignored.
    #[must_use]
    pub fn new(params: LeanParams, locates: u32) -> Self {
        let instruments = vec![Instrument::default(); locates as usize].into_boxed_slice();
        Self { params, instruments, counters: StrategyCounters::default() }
    }

    /// Forgets every instrument.
    pub fn forget_all(&mut self) {
        self.instruments.fill(Instrument::default());
    }

    /// An instrument exists today under this locate.
    pub fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        let enabled = self.params.symbols.as_ref().is_none_or(|list| list.contains(&symbol));
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.enabled = enabled;
        }
    }

    /// May it act on this instrument?
    #[inline]
    #[must_use]
    pub fn acts_on(&self, locate: u16) -> bool {
        self.instruments.get(usize::from(locate)).is_some_and(|instrument| instrument.enabled)
    }

    /// True while something is unanswered: whatever the signal, nothing will be done.
    #[inline]
    #[must_use]
    pub fn is_busy(&self, locate: u16) -> bool {
        let instrument = self.instruments.get(usize::from(locate));
        instrument.is_some_and(|instrument| matches!(instrument.phase, Phase::Unanswered { .. }))
    }

    /// The signal as seen by `side`: positive where it favours it.
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

    /// What it would enter on a signal to buy, now; changes nothing.
    #[must_use]
    pub fn rehearse(&self, view: &MarketView) -> Option<Intent> {
        if self.acts_on(view.locate) && view.tradable() { self.wish_to_enter(view, 1) } else { None }
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

    /// Wants what the signal says, for an instrument that it [acts on](Self::acts_on).
    #[inline]
    pub fn act(&mut self, view: &MarketView, signal: Option<i32>, out: &mut Intents) {
        let Some(&Instrument { enabled: true, phase, quiet_until, refused }) =
            self.instruments.get(usize::from(view.locate))
        else {
            return;
        };
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
        self.counters.want(&intent);
        if let Some(instrument) = self.instruments.get_mut(usize::from(view.locate)) {
            instrument.quiet_until = view.now_ns.saturating_add(rest(self.params.cooldown_ns, refused));
        }
    }

    /// One of our orders changed.
    pub fn on_order(&mut self, update: &OrderUpdate) {
        let Some(instrument) = self.instruments.get_mut(usize::from(update.locate)) else { return };
        if update.state == OrderState::Unaffected {
            return;
        }
        if !instrument.phase.concerns(update) {
            self.counters.strangers += 1;
            return;
        }
        match update.event.kind {
            OrderEventKind::Accepted { .. } | OrderEventKind::Replaced { .. } => instrument.refused = 0,
            OrderEventKind::Rejected { .. } => instrument.refused = instrument.refused.saturating_add(1),
            _ => {}
        }
        match (update.state, instrument.phase) {
            // A replacement under way keeps its number: what is told of its original does not answer it.
            (OrderState::Open { pending: true, .. }, Phase::Unanswered { .. })
            | (OrderState::Unaffected, _) => {}
            (OrderState::Open { order, pending: true, .. }, _) => {
                instrument.phase = Phase::Unanswered { order, was: order };
            }
            (OrderState::Open { order, shares, price, pending: false }, _) => {
                instrument.phase = Phase::Resting(Working { order, side: update.side, shares, price });
            }
            (OrderState::Closed, _) => {
                instrument.phase = Phase::Idle;
                self.counters.closed += 1;
            }
        }
    }

    /// An intent of its own left.
    pub fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(intent.locate())) {
            let was = match *intent {
                Intent::Enter { .. } => user_ref_num,
                Intent::Replace { order, .. } | Intent::Cancel { order, .. } => order,
            };
            instrument.phase = Phase::Unanswered { order: user_ref_num, was };
        }
    }

    /// An intent of its own did not leave.
    pub fn on_unsent(&mut self, intent: &Intent) {
        self.counters.unsent += 1;
        if let Some(instrument) = self.instruments.get_mut(usize::from(intent.locate()))
            && !matches!(intent, Intent::Cancel { .. })
        {
            instrument.refused = instrument.refused.saturating_add(1);
        }
    }
}
