//! Leans with what a model predicts.
//!
//! The signal is the prediction of a [`Model`] from the [`Features`] of the instrument, in thousandths of the unit of its
//! label: for labels of `wirebook features`, 1/1,000 of a basis point of the mid. What is done with it stands in
//! [`lean`](super::lean): one working order an instrument, at the opposite touch or at its own.
//!
//! Features are kept event by event; the vector is made and the model asked only where something could be done with the
//! answer. Where there is no prediction (an instrument that found no place, features that are not those of the book, a result
//! that is no number), nothing is entered, and what rests is cancelled.

use std::collections::TryReserveError;
use std::hint::black_box;

use super::features::{FeatureVector, Features, Step};
use super::lean::{Lean, LeanParams};
use super::model::Model;
use super::{Intent, Intents, MarketView, Marks, OrderUpdate, Strategy, StrategyCounters};
use crate::book::Books;
use crate::market::Symbol;

/// Signal of a prediction of 1.
pub const SCALE: f32 = 1_000.0;

/// See the [module](self).
#[derive(Debug)]
pub struct Signal {
    model: Model,
    features: Features,
    lean: Lean,
}

impl Signal {
    /// For locates `0 .. locates`, of which at most `instruments` are followed. Thresholds are in thousandths of the model's
    /// unit.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(
        model: Model,
        params: LeanParams,
        locates: u32,
        instruments: u16,
    ) -> Result<Self, TryReserveError> {
        Ok(Self { model, features: Features::new(locates, instruments)?, lean: Lean::new(params, locates) })
    }

    /// The features of the instrument as they are after the event in hand.
    #[inline]
    fn features(&mut self, view: &MarketView) -> Option<FeatureVector> {
        Some(self.features.checked(view.locate, &view.top)?.vector())
    }

    /// What the model makes of them.
    #[inline]
    fn infer(&mut self, features: &FeatureVector) -> Option<f32> {
        let prediction = self.model.infer(features);
        self.lean.counters.predictions += 1;
        self.lean.counters.no_prediction += u64::from(prediction.is_none());
        prediction
    }

    /// What to do about it.
    #[inline]
    fn signal(&mut self, view: &MarketView, prediction: Option<f32>, out: &mut Intents) {
        // What is beyond an i32 is the largest one.
        let signal = prediction.map(|prediction| (prediction * SCALE) as i32);
        self.lean.act(view, signal, out);
    }
}

impl Strategy for Signal {
    const FOLLOWS: bool = true;

    fn on_session(&mut self) {
        self.features.forget_all();
        self.lean.forget_all();
    }

    fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        self.lean.on_instrument(locate, symbol);
    }

    fn on_rebuilt(&mut self, books: &Books, locate: u16) {
        self.features.rebuilt(books, locate);
    }

    #[inline]
    fn on_coming(&self, locate: u16) {
        self.features.prefetch(locate);
    }

    #[inline]
    fn on_step(&mut self, books: &Books, step: &Step) {
        self.features.on_step(books, step);
    }

    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        self.on_top_in_parts(view, out, &mut ());
    }

    #[inline]
    fn on_top_in_parts(&mut self, view: &MarketView, out: &mut Intents, marks: &mut impl Marks) {
        if !self.lean.acts_on(view.locate) {
            return;
        }
        self.lean.counters.tops += 1;
        if self.lean.is_busy(view.locate) {
            return;
        }
        let features = self.features(view);
        marks.featured();
        let prediction = features.and_then(|features| self.infer(&features));
        marks.inferred();
        self.signal(view, prediction, out);
    }

    fn rehearse(&self, view: &MarketView) -> Option<Intent> {
        let features = self.features.state(view.locate)?.vector();
        black_box(self.model.infer(&features));
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
        self.lean.counters.with_features(self.features.counters())
    }
}

#[cfg(test)]
mod tests;
