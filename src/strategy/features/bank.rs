//! The features of all instruments that are followed.

use std::collections::TryReserveError;

use super::{FeatureState, Step};
use crate::book::Books;
use crate::market::TopOfBook;
use crate::memory::touched;

/// Of a locate that is not followed.
const NOBODY: u16 = u16::MAX;

/// What happened to the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureCounters {
    /// Events of instruments that are followed.
    pub events: u64,
    /// Instruments that were to be followed and had no place left.
    pub no_place: u64,
    /// Times that levels were read anew, by [`Features::resync`].
    pub resyncs: u64,
    /// Times that a touch was not the one of the book: a change of it was not told.
    pub out_of_step: u64,
}

impl FeatureCounters {
    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 4] {
        [
            ("features_events", self.events),
            ("features_no_place", self.no_place),
            ("features_resyncs", self.resyncs),
            ("features_out_of_step", self.out_of_step),
        ]
    }
}

/// A [`FeatureState`] for each instrument that is followed, found by its locate.
#[derive(Debug)]
pub struct Features {
    /// By locate: which of the states, or [`NOBODY`].
    places: Vec<u16>,
    states: Vec<FeatureState>,
    used: u16,
    /// One whose touch was found to be another than its book's, to be read anew at its next event.
    doubtful: Option<u16>,
    counters: FeatureCounters,
}

impl Features {
    /// For locates below `locates`, of which at most `instruments` are followed at once. Some 7 KB each, written here.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(locates: u32, instruments: u16) -> Result<Self, TryReserveError> {
        Ok(Self {
            places: touched(locates as usize, NOBODY)?,
            states: touched(usize::from(instruments.min(NOBODY - 1)), FeatureState::new())?,
            used: 0,
            doubtful: None,
            counters: FeatureCounters::default(),
        })
    }

    /// Follows an instrument from now on; false (counted) if there is no place left, or no such locate.
    pub fn follow(&mut self, books: &Books, locate: u16) -> bool {
        let Some(place) = self.places.get_mut(usize::from(locate)) else {
            self.counters.no_place += 1;
            return false;
        };
        if *place == NOBODY {
            let Some(state) = self.states.get_mut(usize::from(self.used)) else {
                self.counters.no_place += 1;
                return false;
            };
            *state = FeatureState::new();
            state.resync(books, locate);
            *place = self.used;
            self.used += 1;
        }
        true
    }

    /// Follows nobody any more: locates mean something else now.
    pub fn forget_all(&mut self) {
        self.places.fill(NOBODY);
        self.used = 0;
        self.doubtful = None;
    }

    /// Takes up what an event did; the state if its instrument is followed.
    #[inline]
    pub fn on_step(&mut self, books: &Books, step: &Step) -> Option<&FeatureState> {
        let place = *self.places.get(usize::from(step.locate))?;
        let state = self.states.get_mut(usize::from(place))?;
        self.counters.events += 1;
        if self.doubtful == Some(step.locate) {
            self.doubtful = None;
            self.counters.resyncs += 1;
            state.resync(books, step.locate);
        }
        state.on_step(books, step);
        Some(state)
    }

    /// Asks for the memory that the next event of `locate` will touch.
    #[inline]
    pub fn prefetch(&self, locate: u16) {
        if let Some(state) = self.state(locate) {
            state.prefetch();
        }
    }

    /// Follows an instrument whose book was made anew, or reads that of one that is followed; false (counted) if there is no
    /// place left.
    pub fn rebuilt(&mut self, books: &Books, locate: u16) -> bool {
        if self.state(locate).is_none() {
            return self.follow(books, locate);
        }
        self.resync(books, locate);
        true
    }

    /// The features of `locate` for a decision on `top`, which is the top of its book now; `None` (counted, and mended with
    /// the next event) where they are of another one.
    #[inline]
    pub fn checked(&mut self, locate: u16, top: &TopOfBook) -> Option<&FeatureState> {
        let place = *self.places.get(usize::from(locate))?;
        let state = self.states.get(usize::from(place))?;
        if !state.is_of(top) {
            self.counters.out_of_step += 1;
            self.doubtful = Some(locate);
            return None;
        }
        Some(state)
    }

    /// The book of `locate` changed otherwise than by events: [`FeatureState::resync`].
    pub fn resync(&mut self, books: &Books, locate: u16) {
        if let Some(place) = self.places.get(usize::from(locate))
            && let Some(state) = self.states.get_mut(usize::from(*place))
        {
            self.counters.resyncs += 1;
            state.resync(books, locate);
        }
    }

    /// The features of `locate`, if it is followed.
    #[inline]
    #[must_use]
    pub fn state(&self, locate: u16) -> Option<&FeatureState> {
        self.states.get(usize::from(*self.places.get(usize::from(locate))?))
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &FeatureCounters {
        &self.counters
    }
}
