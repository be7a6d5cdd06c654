//! From what the loop needs, looked at again and again, to how the books stand and how each recovery ended.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::feed::handover::Need;
use crate::pipeline::health::{EPISODES, Episode, FeedState, HealthView, Mended};

/// Longest time to recover that is told apart, µs: a day.
const LONGEST: u64 = 86_400_000_000;

/// Follows one feed.
#[derive(Debug)]
pub(super) struct Episodes {
    state: FeedState,
    since: Duration,
    missing: u64,
    epoch: u64,
    open: Option<Open>,
    finished: Vec<Episode>,
    count: u64,
    /// Times to recover in µs; `None` where it could not be made.
    times: Option<Histogram<u32>>,
}

/// An episode that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    began: Duration,
    messages: u64,
    by_snapshot: bool,
}

impl Episodes {
    pub(super) fn new() -> Self {
        Self {
            state: FeedState::Silent,
            since: Duration::ZERO,
            missing: 0,
            epoch: 0,
            open: None,
            finished: Vec::with_capacity(EPISODES + 1),
            count: 0,
            times: Histogram::new_with_max(LONGEST, 2).ok(),
        }
    }

    /// Takes note of `need` as it is at `now`; `helped` where somebody is at work on it: a request that may still be
    /// answered, a snapshot that is being loaded. Returns an episode that ended with this.
    pub(super) fn on_need(&mut self, now: Duration, need: &Need, helped: bool) -> Option<Episode> {
        let missing = need.open().fold(0, |sum: u64, hole| sum.saturating_add(hole.len()));
        let wanted = missing != 0 || need.snapshot != 0;
        let mut ended = None;
        if let Some(open) = &mut self.open {
            if need.epoch != self.epoch {
                ended = Some(Mended::NewSession);
            } else if !wanted {
                ended = Some(if open.by_snapshot { Mended::Snapshot } else { Mended::Filled });
            }
        }
        let ended = ended.and_then(|mended| self.close(now, mended));
        if wanted && need.epoch != 0 {
            let open = self.open.get_or_insert(Open { began: now, messages: 0, by_snapshot: false });
            open.messages = open.messages.max(missing);
            open.by_snapshot |= need.snapshot != 0;
        }
        self.epoch = need.epoch;
        self.missing = missing;
        let state = match (need.epoch, wanted) {
            (0, _) => FeedState::Silent,
            (_, false) => FeedState::Live,
            (_, true) if helped => FeedState::Recovering,
            (_, true) => FeedState::Stale,
        };
        if state != self.state {
            (self.state, self.since) = (state, now);
        }
        ended
    }

    fn close(&mut self, now: Duration, mended: Mended) -> Option<Episode> {
        let Open { began, messages, .. } = self.open.take()?;
        let episode = Episode { began, took: now.saturating_sub(began), messages, mended };
        if self.finished.len() == EPISODES {
            self.finished.remove(0);
        }
        self.finished.push(episode);
        self.count += 1;
        if let Some(times) = self.times.as_mut().filter(|_| mended != Mended::NewSession) {
            times.saturating_record(u64::try_from(episode.took.as_micros()).unwrap_or(u64::MAX).max(1));
        }
        Some(episode)
    }

    /// How the books stand.
    pub(super) const fn state(&self) -> FeedState {
        self.state
    }

    /// Writes all of it into `view`.
    pub(super) fn show(&self, now: Duration, snapshot_wanted: bool, view: &mut HealthView) {
        view.state = self.state;
        view.since = self.since;
        view.lasts = now.saturating_sub(self.since);
        view.missing = self.missing;
        view.snapshot_wanted = snapshot_wanted;
        if view.finished != self.count {
            view.finished = self.count;
            view.episodes.clone_from(&self.finished);
            if let Some(times) = self.times.as_ref().filter(|times| !times.is_empty()) {
                view.took_p50 = Duration::from_micros(times.value_at_quantile(0.5));
                view.took_max = Duration::from_micros(times.max());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::handover::{HOLES, Hole};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn need(epoch: u64, missing: u64, snapshot: u64) -> Need {
        let mut holes = [Hole::default(); HOLES];
        holes[0] = Hole { first: 10, end: 10 + missing };
        Need { epoch, holes, snapshot, ..Need::default() }
    }

    #[test]
    fn a_hole_that_is_filled_is_an_episode() {
        let mut episodes = Episodes::new();
        assert_eq!(episodes.on_need(ms(1), &Need::default(), false), None);
        assert_eq!(episodes.state(), FeedState::Silent);
        assert_eq!(episodes.on_need(ms(2), &need(1, 0, 0), false), None);
        assert_eq!(episodes.state(), FeedState::Live);
        assert_eq!(episodes.on_need(ms(5), &need(1, 300, 0), true), None);
        assert_eq!(episodes.state(), FeedState::Recovering);
        assert_eq!(episodes.on_need(ms(6), &need(1, 200, 0), true), None);
        let episode = Episode { began: ms(5), took: ms(4), messages: 300, mended: Mended::Filled };
        assert_eq!(episodes.on_need(ms(9), &need(1, 0, 0), false), Some(episode));
        let mut view = HealthView::default();
        episodes.show(ms(12), false, &mut view);
        assert_eq!((view.state, view.since, view.lasts), (FeedState::Live, ms(9), ms(3)));
        assert_eq!((view.finished, view.episodes.as_slice()), (1, &[episode][..]));
        assert!(view.took_max >= ms(4) && view.took_p50 >= ms(4), "{view:?}");
    }

    #[test]
    fn a_hole_that_becomes_a_gap_and_a_snapshot_is_one_episode() {
        let mut episodes = Episodes::new();
        episodes.on_need(ms(5), &need(1, 300, 0), true);
        episodes.on_need(ms(6), &need(1, 0, 1), false);
        assert_eq!(episodes.state(), FeedState::Stale);
        episodes.on_need(ms(7), &need(1, 0, 1), true);
        assert_eq!(episodes.state(), FeedState::Recovering);
        let ended = episodes.on_need(ms(8), &need(1, 0, 0), false);
        let episode = Episode { began: ms(5), took: ms(3), messages: 300, mended: Mended::Snapshot };
        assert_eq!(ended, Some(episode));
    }

    #[test]
    fn a_new_session_ends_one_and_may_begin_the_next() {
        let mut episodes = Episodes::new();
        episodes.on_need(ms(5), &need(1, 300, 0), true);
        let ended = episodes.on_need(ms(6), &need(2, 7, 0), true);
        assert_eq!(ended.map(|episode| (episode.messages, episode.mended)), Some((300, Mended::NewSession)));
        let next = episodes.on_need(ms(9), &need(2, 0, 0), true);
        assert_eq!(next.map(|episode| (episode.began, episode.messages)), Some((ms(6), 7)));
        let mut view = HealthView::default();
        episodes.show(ms(10), false, &mut view);
        // What was given up was not recovered, and is in no time to recover.
        assert!(view.took_max < ms(4) && view.finished == 2, "{view:?}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut episodes = Episodes::new();
        for round in 0..3 * EPISODES as u64 {
            episodes.on_need(ms(2 * round), &need(1, 1, 0), true);
            episodes.on_need(ms(2 * round + 1), &need(1, 0, 0), true);
        }
        let mut view = HealthView::default();
        episodes.show(ms(1_000), false, &mut view);
        assert_eq!((view.finished, view.episodes.len()), (3 * EPISODES as u64, EPISODES));
        assert_eq!(view.episodes.last().map(|last| last.began), Some(ms(6 * EPISODES as u64 - 2)));
    }
}
