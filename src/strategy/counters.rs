//! What strategies count, the same rows for all of them.

use super::Intent;
use super::features::FeatureCounters;

/// What a strategy did; what does not concern it stays 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrategyCounters {
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
    /// Times that an order was left where it is, because its place in the queue is worth more than a better price.
    pub kept_place: u64,
    /// Cancels wanted because what was ahead of an order is gone and the queues have turned against it.
    pub turned: u64,
    /// Replies that did not come in time: the order is cancelled.
    pub timeouts: u64,
    /// Replies about an order that it does not know: one from before a restart, for instance.
    pub strangers: u64,
    /// Predictions made.
    pub predictions: u64,
    /// Feature vectors of which the model made no number.
    pub no_prediction: u64,
    /// Events taken up into features.
    pub events: u64,
    /// Books read anew for the features, because they were rebuilt.
    pub resyncs: u64,
    /// Instruments that found no place among the features: not traded.
    pub no_place: u64,
    /// Times that the features were not those of the book: no decision, and the book is read anew.
    pub out_of_step: u64,
}

impl StrategyCounters {
    /// Counts something wanted.
    pub(super) const fn want(&mut self, intent: &Intent) {
        match intent {
            Intent::Enter { .. } => self.enters += 1,
            Intent::Replace { .. } => self.replaces += 1,
            Intent::Cancel { .. } => self.cancels += 1,
        }
    }

    /// With what the features counted.
    #[must_use]
    pub(super) const fn with_features(self, features: &FeatureCounters) -> Self {
        let FeatureCounters { events, no_place, resyncs, out_of_step } = *features;
        Self { events, no_place, resyncs, out_of_step, ..self }
    }

    /// Names and values, as printed to operators.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 17] {
        [
            ("strategy_tops", self.tops),
            ("strategy_signals", self.signals),
            ("strategy_enters", self.enters),
            ("strategy_replaces", self.replaces),
            ("strategy_cancels", self.cancels),
            ("strategy_unsent", self.unsent),
            ("strategy_closed", self.closed),
            ("strategy_kept_place", self.kept_place),
            ("strategy_turned", self.turned),
            ("strategy_timeouts", self.timeouts),
            ("strategy_strangers", self.strangers),
            ("strategy_predictions", self.predictions),
            ("strategy_no_prediction", self.no_prediction),
            ("strategy_events", self.events),
            ("strategy_resyncs", self.resyncs),
            ("strategy_no_place", self.no_place),
            ("strategy_out_of_step", self.out_of_step),
        ]
    }
}
