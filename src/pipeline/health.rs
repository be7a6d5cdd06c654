//! Whether the books may be used, as the control side sees it: how they stand, since when, and how each time that they
//! could not be used came to its end.
//!
//! The recovery thread writes it about every millisecond; whoever shows it takes copies. The loop knows nothing of it.
//! Times count from the start of that thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
