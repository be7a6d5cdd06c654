//! Whether the books may be used, as the control side sees it: how they stand, since when, and how each time that they
//! could not be used came to its end.
//!
//! The recovery thread writes it about every millisecond; whoever shows it takes copies. The loop knows nothing of it.
//! Times count from the start of that thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::boards::together;

/// Finished episodes that are kept; the oldest goes first.
pub const EPISODES: usize = 64;

/// How the books of a feed stand as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedState {
    /// Nothing of the feed was heard.
    #[default]
    Silent,
    /// No message is missing.
    Live,
    /// Messages are missing, and are being had another way.
    Recovering,
    /// Messages are missing, and nobody has them at the moment: books stay out of use.
    Stale,
}

impl FeedState {
    /// In a word, as shown to operators.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Live => "live",
            Self::Recovering => "recovering",
            Self::Stale => "STALE",
        }
    }
}

/// What ended an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mended {
    /// Every hole was filled: by answers of a request server, or by a line after all.
    Filled,
    /// A snapshot, and the live messages that waited for it.
    Snapshot,
    /// A new session began: what was missing is of no use any more.
    NewSession,
}

impl Mended {
    /// In words, as shown to operators.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Filled => "requests",
            Self::Snapshot => "snapshot",
            Self::NewSession => "new session",
        }
    }
}

/// A time during which messages were missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// When it began.
    pub began: Duration,
    /// How long it lasted.
    pub took: Duration,
    /// Most messages that were missing at once and asked for; 0 where it began with a gap.
    pub messages: u64,
    /// What ended it.
    pub mended: Mended,
}

/// A copy of all that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthView {
    /// How the books stand.
    pub state: FeedState,
    /// Since when.
    pub since: Duration,
    /// For how long, when the copy was made by the thread that writes.
    pub lasts: Duration,
    /// Messages in holes that are asked for now.
    pub missing: u64,
    /// A snapshot is wanted now.
    pub snapshot_wanted: bool,
    /// Finished episodes, the newest last, at most [`EPISODES`].
    pub episodes: Vec<Episode>,
    /// All finished episodes, those that were forgotten included.
    pub finished: u64,
    /// Time to recover: of half of the finished episodes it was no longer, and of all. Zero where there was none.
    pub took_p50: Duration,
    /// The longest of all.
    pub took_max: Duration,
    /// The client's counters.
    pub rows: Vec<(&'static str, u64)>,
}

impl HealthView {
    /// The views of several workers as one: as bad as the worst of them, and all that was recovered.
    #[must_use]
    pub fn together(views: Vec<Self>) -> Self {
        let badness = |view: &Self| match view.state {
            FeedState::Live => 0,
            FeedState::Silent => 1,
            FeedState::Recovering => 2,
            FeedState::Stale => 3,
        };
        let Some(worst) = views.iter().max_by_key(|view| badness(view)) else { return Self::default() };
        let mut all = Self { episodes: Vec::new(), rows: Vec::new(), ..worst.clone() };
        let of = |value: fn(&Self) -> u64| views.iter().map(value).fold(0, u64::saturating_add);
        // Workers that miss the same ask for it each for itself.
        all.missing = views.iter().map(|view| view.missing).max().unwrap_or(0);
        all.snapshot_wanted = views.iter().any(|view| view.snapshot_wanted);
        all.finished = of(|view| view.finished);
        all.took_max = views.iter().map(|view| view.took_max).max().unwrap_or_default();
        // Of the halves' medians the larger one: no more than half of all took longer.
        all.took_p50 = views.iter().map(|view| view.took_p50).max().unwrap_or_default();
        all.rows = together(views.iter().map(|view| view.rows.clone()));
        all.episodes = views.into_iter().flat_map(|view| view.episodes).collect();
        all.episodes.sort_by_key(|episode| episode.began);
        let forgotten = all.episodes.len().saturating_sub(EPISODES);
        all.episodes.drain(..forgotten);
        all
    }
}

/// A handle; clones show the same. The lock is held for a copy at most, and the loop never takes it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<HealthView>>);

impl Health {
    /// All that is known now.
    #[must_use]
    pub fn view(&self) -> HealthView {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `change` bring it up to date.
    pub fn update(&self, change: impl FnOnce(&mut HealthView)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The handles of several workers.
#[derive(Clone, Debug, Default)]
pub struct Healths(Vec<Health>);

impl Healths {
    /// Of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Health::default()).collect())
    }

    /// That of each worker.
    #[must_use]
    pub fn each(&self) -> &[Health] {
        &self.0
    }

    /// All that is known now, together.
    #[must_use]
    pub fn view(&self) -> HealthView {
        match self.0.as_slice() {
            [one] => one.view(),
            all => HealthView::together(all.iter().map(Health::view).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_as_bad_as_the_worst() {
        let healths = Healths::new(2);
        let episode = |began| Episode {
            began: Duration::from_secs(began),
            took: Duration::from_millis(began),
            messages: 1,
            mended: Mended::Filled,
        };
        healths.each()[0].update(|view| {
            view.state = FeedState::Live;
            view.episodes = vec![episode(1), episode(5)];
            (view.finished, view.took_max) = (2, Duration::from_millis(5));
            view.rows = vec![("recovery_holes_asked", 2)];
        });
        healths.each()[1].update(|view| {
            view.state = FeedState::Stale;
            view.snapshot_wanted = true;
            view.episodes = vec![episode(3)];
            (view.finished, view.took_max) = (1, Duration::from_millis(3));
            view.rows = vec![("recovery_holes_asked", 1)];
        });
        let view = healths.view();
        assert_eq!((view.state, view.snapshot_wanted, view.finished), (FeedState::Stale, true, 3));
        assert_eq!(view.episodes, [episode(1), episode(3), episode(5)]);
        assert_eq!((view.took_max, view.rows), (Duration::from_millis(5), vec![("recovery_holes_asked", 3)]));
        let one = Healths::new(1);
        one.each()[0].update(|view| view.missing = 7);
        assert_eq!(one.view().missing, 7);
    }
}
