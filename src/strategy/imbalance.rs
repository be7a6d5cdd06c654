//! A first strategy: lean with the queues at the touch.
//!
//! The signal is `(bid shares − ask shares) / (bid shares + ask shares)` at the best prices, in parts per 10,000: +10,000
//! is all bid, −10,000 all ask. What it does with it stands in [`lean`](super::lean): one working order an instrument, at the
//! opposite touch or at its own. It is a demonstration of the path from book to wire, not advice.

use super::lean::Lean;
pub use super::lean::{LeanParams as ImbalanceParams, Style};
use super::{Intent, Intents, MarketView, OrderUpdate, Strategy, StrategyCounters};
use crate::market::{Symbol, TopOfBook};

/// The scale of the signal: 10,000 = one side only.
pub const FULL_SCALE: u32 = 10_000;

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
    lean: Lean,
}

impl Imbalance {
    /// For locates `0 .. locates`; others are ignored. Thresholds are in parts per 10,000.
    #[must_use]
    pub fn new(params: ImbalanceParams, locates: u32) -> Self {
        Self { lean: Lean::new(params, locates) }
    }
}

impl Strategy for Imbalance {
    fn on_session(&mut self) {
        self.lean.forget_all();
    }

    fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        self.lean.on_instrument(locate, symbol);
    }

    #[inline]
    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        if self.lean.acts_on(view.locate) {
            self.lean.counters.tops += 1;
            self.lean.act(view, imbalance(&view.top), out);
        }
    }

    fn rehearse(&self, view: &MarketView) -> Option<Intent> {
        self.lean.rehearse(view)
    }

    fn on_order(&mut self, update: &OrderUpdate, _out: &mut Intents) {
        self.lean.on_order(update);
    }

    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        self.lean.on_sent(intent, user_ref_num);
    }

    fn on_unsent(&mut self, intent: &Intent) {
        self.lean.on_unsent(intent);
    }

    fn counters(&self) -> StrategyCounters {
        self.lean.counters
    }
}

#[cfg(test)]
mod tests;
