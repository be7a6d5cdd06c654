//! The gaps of a demo as a story: how the books stand, what just happened, and the list of it all at the end.

use std::time::Duration;

use crate::cli::tables;
use crate::pipeline::health::{Episode, FeedState, HealthView, Mended};

/// Messages that both lines lose at a time.
const LOST: u32 = 500;

/// Shorter demos have no time for gaps.
const LEAST: u64 = 5;

/// What goes wrong in a demo of this length: a gap that the request servers fill, and, while they are silent, one that
/// only a snapshot closes.
pub(super) fn plan(seconds: u64) -> String {
    if seconds < LEAST {
        return String::new();
    }
    let [first, second, healed] = [20, 50, 80].map(|percent| seconds * 10 * percent);
    format!(
        "{first}ms lose {LOST}; {second}ms requests silent; {second}ms lose {LOST}; {healed}ms requests ok"
    )
}

/// Tells what is new.
#[derive(Debug, Default)]
pub(super) struct Story {
    state: FeedState,
    finished: u64,
}

impl Story {
    /// One line for each thing that happened since the last call.
    pub(super) fn news(&mut self, health: &HealthView) -> Vec<String> {
        let mut news = Vec::new();
        let fresh =
            usize::try_from(health.finished - self.finished.min(health.finished)).unwrap_or(usize::MAX);
        let from = health.episodes.len().saturating_sub(fresh);
        news.extend(health.episodes.iter().skip(from).map(closed));
        let opened = matches!(health.state, FeedState::Recovering | FeedState::Stale);
        if health.state != self.state && opened {
            let word = health.state.word().to_uppercase();
            news.push(format!("{:5.1} s  {word}: {}", health.since.as_secs_f64(), doing(health)));
        }
        (self.state, self.finished) = (health.state, health.finished);
        news
    }
}

/// How the books stand, since when, and what is being done about it.
pub(super) fn state(health: &HealthView) -> String {
    let word = health.state.word().to_uppercase();
    match health.state {
        FeedState::Silent => format!("{word}: nothing of the feed was heard yet"),
        FeedState::Live => format!("{word} for {}", short(health.lasts)),
        FeedState::Recovering | FeedState::Stale => {
            format!("{word} for {}: {}", short(health.lasts), doing(health))
        }
    }
}

/// What is being done about books that may not be used.
fn doing(health: &HealthView) -> String {
    let doing = match (health.snapshot_wanted, health.state) {
        (true, FeedState::Recovering) => "a snapshot is being loaded".to_owned(),
        (true, _) => "a snapshot is wanted".to_owned(),
        (false, _) => {
            format!("neither line brought {} messages; asking for them", tables::grouped(health.missing))
        }
    };
    format!("{doing}; no orders meanwhile")
}

/// One finished episode in a line.
fn closed(episode: &Episode) -> String {
    let over = episode.began + episode.took;
    let how = match episode.mended {
        Mended::Filled => "the request servers had the messages",
        Mended::Snapshot => "a snapshot, and the live messages behind it",
        Mended::NewSession => "a new session began",
    };
    format!("{:5.1} s  LIVE again after {}: {how}", over.as_secs_f64(), short(episode.took))
}

/// Every gap with its times.
pub(super) fn events(health: &HealthView) -> String {
    if health.episodes.is_empty() {
        return "  none\n".to_owned();
    }
    let head = ["at", "messages missing", "recovered in", "by"].map(str::to_owned).to_vec();
    let rows = health.episodes.iter().map(|episode| {
        vec![
            format!("{:.1} s", episode.began.as_secs_f64()),
            tables::grouped(episode.messages),
            short(episode.took),
            episode.mended.words().to_owned(),
        ]
    });
    let mut text = tables::columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    let forgotten = health.finished - health.episodes.len() as u64;
    if forgotten != 0 {
        text.push_str(&format!("  and {} before these\n", tables::grouped(forgotten)));
    }
    text
}

/// A duration as people read it.
fn short(time: Duration) -> String {
    match time.as_millis() {
        0..=99 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        100..=999 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(began: u64, took: u64, mended: Mended) -> Episode {
        Episode {
            began: Duration::from_millis(began),
            took: Duration::from_millis(took),
            messages: 500,
            mended,
        }
    }

    #[test]
    fn the_plan_can_be_read_and_fits_into_the_time() {
        for seconds in [1, 4, 5, 15, 3_600] {
            let plan = exchange::plan::parse(&plan(seconds)).unwrap();
            assert_eq!(plan.len(), if seconds < LEAST { 0 } else { 4 });
            assert!(plan.iter().all(|(at, _)| *at > 0 && *at < seconds * 1_000_000_000));
        }
    }

    #[test]
    fn each_thing_is_told_once() {
        let mut story = Story::default();
        let mut health = HealthView { state: FeedState::Live, ..HealthView::default() };
        assert!(story.news(&health).is_empty());
        health.state = FeedState::Recovering;
        health.missing = 1_500;
        health.since = Duration::from_millis(3_000);
        let news = story.news(&health);
        assert!(
            news.len() == 1 && news[0].contains("RECOVERING") && news[0].contains("1,500 messages"),
            "{news:?}"
        );
        assert!(story.news(&health).is_empty());
        health.state = FeedState::Live;
        health.finished = 1;
        health.episodes.push(episode(3_000, 12, Mended::Filled));
        assert_eq!(
            story.news(&health),
            ["  3.0 s  LIVE again after 12.0 ms: the request servers had the messages"]
        );
        // Opened and closed between two looks: told all the same, and in order.
        health.finished = 3;
        health.episodes.push(episode(5_000, 2_500, Mended::Snapshot));
        health.episodes.push(episode(8_000, 200, Mended::NewSession));
        let news = story.news(&health);
        assert!(
            news.len() == 2 && news[0].contains("after 2.5 s") && news[1].contains("after 200 ms"),
            "{news:?}"
        );
        assert!(story.news(&health).is_empty());
    }

    #[test]
    fn the_list_has_every_gap() {
        assert_eq!(events(&HealthView::default()), "  none\n");
        let mut health = HealthView { finished: 70, ..HealthView::default() };
        health.episodes.push(episode(3_000, 12, Mended::Filled));
        let text = events(&health);
        assert!(text.contains("3.0 s") && text.contains("500") && text.contains("requests"), "{text}");
        assert!(text.contains("and 69 before"), "{text}");
    }

    #[test]
    fn a_state_says_what_is_done() {
        let mut health =
            HealthView { state: FeedState::Stale, snapshot_wanted: true, ..HealthView::default() };
        assert!(state(&health).contains("a snapshot is wanted"));
        health.state = FeedState::Recovering;
        assert!(state(&health).contains("a snapshot is being loaded"));
        health.state = FeedState::Live;
        assert!(state(&health).starts_with("LIVE for"));
        assert!(state(&HealthView::default()).starts_with("SILENT"));
    }
}
