//! The smallest complete strategy: copy it, and change what it decides. `docs/writing-a-strategy.md` goes through it.
//!
//! It buys one lot where the bid queue is three times the ask queue, and sells that lot where it is the other way round, with
//! orders that the venue cancels unless they trade at once. So it has at most one order an instrument, and holds at most one
//! lot. It is there to be read, not to earn anything.

use std::hint::black_box;

use super::{Intent, Intents, MarketView, OrderUpdate, Strategy, StrategyCounters, TimeInForce};
use crate::blotter::OrderState;
use crate::market::{Side, Symbol};

/// How many times the other queue a queue has to be.
const TIMES: u64 = 3;

/// Step 1: what it is told once. The worker fills it in from `[strategy]` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct TemplateParams {
    /// Shares of each order, at least 1.
    pub order_shares: u32,
    /// Widest spread at which it acts, in 1/10,000.
    pub max_spread: u32,
    /// Least time between two orders in one instrument, ns.
    pub cooldown_ns: u64,
}

/// Step 2: what it knows of an instrument. Small, and of a fixed size: there is one for each locate, made at the start.
#[derive(Clone, Copy, Debug, Default)]
struct Instrument {
    /// It was announced, and the configuration lets us act on it.
    enabled: bool,
    /// The order that is under way.
    order: Option<u32>,
    /// Shares held, as the venue's replies say.
    position: i64,
    /// No order before this time, ns.
    quiet_until: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Template {
    params: TemplateParams,
    instruments: Box<[Instrument]>,
    counters: StrategyCounters,
}

impl Template {
    /// Step 3: all memory is taken here, for locates `0 .. locates`. Nothing may allocate afterwards.
    #[must_use]
    pub fn new(params: TemplateParams, locates: u32) -> Self {
        let instruments = vec![Instrument::default(); locates as usize].into_boxed_slice();
        Self { params, instruments, counters: StrategyCounters::default() }
    }

    /// Step 4: the decision, a function of what is known and what is seen. `None`: do nothing.
    fn wish(&self, view: &MarketView, instrument: &Instrument) -> Option<Intent> {
        // Risk would refuse an order on a book that is not live, or while nothing trades: do not ask for one.
        if !view.tradable() || instrument.order.is_some() || view.now_ns < instrument.quiet_until {
            return None;
        }
        let (bid, ask) = (view.top.bid?, view.top.ask?);
        if ask.price <= bid.price || ask.price.0 - bid.price.0 > self.params.max_spread {
            return None;
        }
        let shares = self.params.order_shares;
        let (locate, time_in_force) = (view.locate, TimeInForce::Ioc);
        if instrument.position <= 0 && bid.shares >= TIMES.saturating_mul(ask.shares) {
            return Some(Intent::Enter { locate, side: Side::Buy, shares, price: ask.price, time_in_force });
        }
        if instrument.position > 0 && ask.shares >= TIMES.saturating_mul(bid.shares) {
            return Some(Intent::Enter { locate, side: Side::Sell, shares, price: bid.price, time_in_force });
        }
        None
    }
}

/// Step 5: what the loop calls. No call may block, allocate or panic; `get` and `get_mut` instead of an index.
impl Strategy for Template {
    // A new day: what a locate means is announced anew.
    fn on_session(&mut self) {
        self.instruments.fill(Instrument::default());
    }

    fn on_instrument(&mut self, locate: u16, _symbol: Symbol) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.enabled = true;
        }
    }

    // Something to decide on. What is pushed is a wish: risk looks at it next.
    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        let Some(&instrument) = self.instruments.get(usize::from(view.locate)).filter(|one| one.enabled)
        else {
            return;
        };
        self.counters.tops += 1;
        if let Some(intent) = self.wish(view, &instrument)
            && out.push(intent)
        {
            self.counters.enters += 1;
            if let Some(instrument) = self.instruments.get_mut(usize::from(view.locate)) {
                instrument.quiet_until = view.now_ns.saturating_add(self.params.cooldown_ns);
            }
        }
    }

    // Nothing comes: an order like those it asks for, to be walked through risk and session up to the transmit buffer. It never
    // leaves.
    fn rehearse(&self, view: &MarketView) -> Option<Intent> {
        let instrument = self.instruments.get(usize::from(view.locate)).filter(|one| one.enabled)?;
        black_box(self.wish(view, instrument));
        let (shares, price) = (self.params.order_shares, view.top.ask?.price);
        let (locate, side, time_in_force) = (view.locate, Side::Buy, TimeInForce::Ioc);
        Some(Intent::Enter { locate, side, shares, price, time_in_force })
    }

    // The wish left: remember its number. From here on the order is under way, and only a reply ends it.
    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(intent.locate())) {
            instrument.order = Some(user_ref_num);
        }
    }

    // The wish did not leave: nothing has changed.
    fn on_unsent(&mut self, _intent: &Intent) {
        self.counters.unsent += 1;
    }

    // The venue replied. The position is its word, not our hope.
    fn on_order(&mut self, update: &OrderUpdate, _out: &mut Intents) {
        let Some(instrument) = self.instruments.get_mut(usize::from(update.locate)) else { return };
        instrument.position = update.position;
        if update.state == OrderState::Unaffected {
            // A trade of an order that has long ended was broken: of it, only the position is left.
            return;
        }
        if !instrument.order.is_some_and(|order| update.is_about(order)) {
            self.counters.strangers += 1;
        } else if update.state == OrderState::Closed {
            instrument.order = None;
            self.counters.closed += 1;
        }
    }

    // The same, of orders that a process before this one left behind.
    fn on_position(&mut self, locate: u16, position: i64) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.position = position;
        }
    }

    // What operators see, as `strategy_…`.
    fn counters(&self) -> StrategyCounters {
        self.counters
    }
}
