//! What a request server counts.

use crate::units::Row;

/// Requests, by what became of them. Each request read is in `requests` and in exactly one of the others, once it was
/// answered (`messages` and `faulty` come on top).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounters {
    /// Requests read.
    pub requests: u64,
    /// Requests answered.
    pub answers: u64,
    /// Messages in the answers.
    pub messages: u64,
    /// Shorter than a request is.
    pub truncated: u64,
    /// Longer than a request is.
    pub oversized: u64,
    /// For another session.
    pub other_session: u64,
    /// For no messages.
    pub empty: u64,
    /// For messages not said yet.
    pub beyond: u64,
    /// For messages that are not kept any more, or too long for an answer.
    pub gone: u64,
    /// More than the server's rate.
    pub over_rate: u64,
    /// More than the asker's rate.
    pub over_own_rate: u64,
    /// Of more askers than are served at the same time.
    pub refused_askers: u64,
    /// More than may be under way.
    pub queue_full: u64,
    /// Too long after the end of the session.
    pub after_end: u64,
    /// Not answered because the server was told to be silent.
    pub ignored: u64,
    /// Answered wrongly because the server was told to.
    pub faulty: u64,
}

impl RequestCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 16] {
        [
            ("requests", self.requests),
            ("answers", self.answers),
            ("messages", self.messages),
            ("truncated", self.truncated),
            ("oversized", self.oversized),
            ("other_session", self.other_session),
            ("empty", self.empty),
            ("beyond", self.beyond),
            ("gone", self.gone),
            ("over_rate", self.over_rate),
            ("over_own_rate", self.over_own_rate),
            ("refused_askers", self.refused_askers),
            ("queue_full", self.queue_full),
            ("after_end", self.after_end),
            ("ignored", self.ignored),
            ("faulty", self.faulty),
        ]
    }
}
