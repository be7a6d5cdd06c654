//! What an operator reads in the log while something is missing.

use std::time::Duration;

use crate::feed::recovery::{Abandoned, Notice, SnapshotFailure};
use crate::pipeline::health::{Episode, Mended};

/// Lines about holes and snapshots that may be written in [`WINDOW`]: lines that lose much must not fill a disk.
const LINES: u32 = 20;

/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(1);

/// Writes notices, a bounded number of them in a time.
#[derive(Debug, Default)]
pub(super) struct Log {
    began: Duration,
    written: u32,
    left_out: u64,
}

impl Log {
    /// Writes `notice`; `why` is what the operating system last said about a connection.
    pub(super) fn notice(&mut self, now: Duration, notice: &Notice, why: Option<&str>) {
        if !self.may_write(now) {
            return;
        }
        match notice {
            Notice::SnapshotFailed { why: failure, .. } => tracing::warn!(
                because = why.unwrap_or("-"),
                "books stay stale: {notice}: {}",
                remedy(*failure)
            ),
            Notice::Abandoned { why: abandoned, .. } => tracing::warn!(
                because = why.unwrap_or("-"),
                "{notice}: {}",
                match abandoned {
                    Abandoned::TooLarge => "recovery.requests.max_hole is the limit",
                    Abandoned::Unanswered => "check recovery.requests.servers, or allow more time or retries",
                    Abandoned::NoServer => "add [recovery.requests]",
                }
            ),
            _ => tracing::info!("{notice}"),
        }
    }

    /// Writes that an episode has ended.
    pub(super) fn ended(&mut self, now: Duration, episode: &Episode) {
        if !self.may_write(now) {
            return;
        }
        let (took, messages) = (episode.took, episode.messages);
        match episode.mended {
            Mended::NewSession => {
                tracing::info!(?took, messages, "a new session began before all was recovered");
            }
            Mended::Filled | Mended::Snapshot => {
                tracing::info!(?took, messages, by = episode.mended.words(), "recovered");
            }
        }
    }

    /// Writes that messages are missing for good and nobody can bring them.
    pub(super) fn no_snapshot(&mut self, now: Duration) {
        if self.may_write(now) {
            tracing::warn!(
                "books are STALE and stay so until the next session: there is no [recovery.snapshot]"
            );
        }
    }

    fn may_write(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.began) >= WINDOW {
            if self.left_out != 0 {
                tracing::info!(lines = self.left_out, "recovery wrote too much: lines were left out");
            }
            *self = Self { began: now, ..Self::default() };
        }
        let may = self.written < LINES;
        self.written += u32::from(may);
        self.left_out += u64::from(!may);
        may
    }
}

/// What an operator may do about it.
const fn remedy(why: SnapshotFailure) -> &'static str {
    match why {
        SnapshotFailure::Disconnected => "check recovery.snapshot.server, and whether it listens",
        SnapshotFailure::LoginRejected(_) => "check recovery.snapshot.username and its password",
        SnapshotFailure::LoginTimeout => "check recovery.snapshot.server, or raise login_timeout_ms",
        SnapshotFailure::WrongSession(_) => {
            "the server serves another day or feed; recovery.snapshot.check_session = false takes it all the same"
        }
        SnapshotFailure::Protocol => "check that recovery.snapshot.server is GLIMPSE over SoupBinTCP",
        SnapshotFailure::Silence => "the server hangs, or raise recovery.snapshot.silence_timeout_ms",
        SnapshotFailure::TooSlow => {
            "the server or the way to it is slow, or raise recovery.snapshot.total_timeout_s"
        }
        SnapshotFailure::TooLong => "raise recovery.snapshot.max_messages",
        SnapshotFailure::EndOfSession => "the server has closed its day",
        SnapshotFailure::BadSequence => {
            "the server serves another session, or recovery.snapshot.stated is wrong"
        }
        SnapshotFailure::TooOld(_) => "the server lags behind the feed; it is asked again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut() {
        let mut log = Log::default();
        let written =
            |log: &mut Log, ms| (0..1_000).filter(|_| log.may_write(Duration::from_millis(ms))).count();
        assert_eq!(written(&mut log, 1_500), 20);
        assert_eq!(written(&mut log, 2_400), 0);
        assert_eq!(log.left_out, 1_980);
        assert_eq!(written(&mut log, 2_500), 20);
    }
}
