//! What an operator is told.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::super::handover::Hole;
use super::RecoveryCounters;

/// Notices kept for whoever takes them; more than a round of the driver makes.
const KEPT: usize = 256;

/// Something that an operator may want to know. Prints as one line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A hole is asked for.
    Asked {
        /// What is missing.
        hole: Hole,
    },
    /// Answers filled a hole whole.
    Filled {
        /// What was missing.
        hole: Hole,
        /// From asking to the loop's having it, ns.
        took: u64,
        /// Messages that each server brought.
        by_server: [u64; 2],
    },
    /// A hole is no more, although not all of it was answered: a line brought the rest, or the loop gave it up.
    Closed {
        /// What was missing.
        hole: Hole,
        /// Messages of it that servers brought.
        answered: u64,
        /// Since it was asked for, ns.
        took: u64,
    },
    /// A hole will not be asked for any further.
    Abandoned {
        /// What is missing.
        hole: Hole,
        /// Why.
        why: Abandoned,
    },
    /// A snapshot begins.
    SnapshotBegun {
        /// Which wish it answers.
        number: u64,
    },
    /// A snapshot was handed to the loop.
    SnapshotLoaded {
        /// Which wish it answers.
        number: u64,
        /// Messages in it.
        messages: u64,
        /// Sequence from which live messages are applied.
        next: u64,
        /// From connecting to its end, ns.
        took: u64,
    },
    /// A snapshot came to nothing.
    SnapshotFailed {
        /// Which wish it was for.
        number: u64,
        /// Why.
        why: SnapshotFailure,
        /// Messages that had come.
        messages: u64,
        /// Time before the next try, ns.
        again_in: u64,
    },
    /// A snapshot under way is wanted no longer, or anew.
    SnapshotSuperseded {
        /// Which wish it was for.
        number: u64,
        /// Messages that had come.
        messages: u64,
    },
}

/// Why a hole was abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is larger than the limit.
    TooLarge,
    /// A piece of it was not answered after all retries.
    Unanswered,
    /// There is no request server.
    NoServer,
}

/// Why a snapshot failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFailure {
    /// No connection, or the server closed it.
    Disconnected,
    /// The login was rejected, for this reason: `A` not authorized, `S` no such session.
    LoginRejected(u8),
    /// No answer to the login in time.
    LoginTimeout,
    /// The server is in this session.
    WrongSession([u8; 10]),
    /// The server sent what SoupBinTCP does not allow there.
    Protocol,
    /// The server fell silent.
    Silence,
    /// It took too long.
    TooSlow,
    /// It had too many messages.
    TooLong,
    /// The session ended first.
    EndOfSession,
    /// The sequence stated at the end is none, or too far ahead to be true.
    BadSequence,
    /// The sequence stated at the end, this one, is lower than what the loop still has.
    TooOld(u64),
}

impl SnapshotFailure {
    /// Adds one to the counter of this kind.
    pub(super) const fn count(self, counters: &mut RecoveryCounters) {
        let counter = match self {
            Self::Disconnected => &mut counters.failed_disconnected,
            Self::LoginRejected(_) => &mut counters.failed_login_rejected,
            Self::LoginTimeout => &mut counters.failed_login_timeout,
            Self::WrongSession(_) => &mut counters.failed_wrong_session,
            Self::Protocol => &mut counters.failed_protocol,
            Self::Silence => &mut counters.failed_silence,
            Self::TooSlow => &mut counters.failed_too_slow,
            Self::TooLong => &mut counters.failed_too_long,
            Self::EndOfSession => &mut counters.failed_end_of_session,
            Self::BadSequence => &mut counters.failed_bad_sequence,
            Self::TooOld(_) => &mut counters.failed_too_old,
        };
        *counter += 1;
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ns: u64| Duration::from_micros(ns / 1_000);
        let range = |hole: Hole| (hole.first, hole.end.saturating_sub(1), hole.len());
        match *self {
            Self::Asked { hole } => {
                let (first, last, size) = range(hole);
                write!(f, "hole {first} to {last} ({size} messages): asking the request servers")
            }
            Self::Filled { hole, took, by_server: [a, b] } => {
                let (first, last, size) = range(hole);
                let took = time(took);
                write!(
                    f,
                    "hole {first} to {last} ({size} messages): filled in {took:?} ({a} from server 1, {b} from server 2)"
                )
            }
            Self::Closed { hole, answered, took } => {
                let (first, last, size) = range(hole);
                let took = time(took);
                write!(
                    f,
                    "hole {first} to {last} ({size} messages): closed after {took:?}, {answered} of them from servers"
                )
            }
            Self::Abandoned { hole, why } => {
                let (first, last, size) = range(hole);
                write!(f, "hole {first} to {last} ({size} messages): abandoned, {why}")
            }
            Self::SnapshotBegun { number } => write!(f, "snapshot {number}: begun"),
            Self::SnapshotLoaded { number, messages, next, took } => {
                let took = time(took);
                write!(f, "snapshot {number}: {messages} messages in {took:?}, live from {next}")
            }
            Self::SnapshotFailed { number, why, messages, again_in } => {
                let again = time(again_in);
                write!(f, "snapshot {number}: failed after {messages} messages, {why}; next try in {again:?}")
            }
            Self::SnapshotSuperseded { number, messages } => {
                write!(f, "snapshot {number}: dropped after {messages} messages, not wanted any more")
            }
        }
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "it is larger than the limit for requests",
            Self::Unanswered => "a piece of it was not answered after all retries",
            Self::NoServer => "there is no request server",
        })
    }
}

impl fmt::Display for SnapshotFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("there is no connection to the server, or it closed it"),
            Self::LoginRejected(reason) => {
                write!(f, "login rejected with reason '{}'", reason.escape_ascii())
            }
            Self::LoginTimeout => f.write_str("no answer to the login in time"),
            Self::WrongSession(session) => {
                write!(f, "the server is in session \"{}\", the feed is not", session.escape_ascii())
            }
            Self::Protocol => f.write_str("the server did not keep to SoupBinTCP"),
            Self::Silence => f.write_str("the server fell silent"),
            Self::TooSlow => f.write_str("it took too long"),
            Self::TooLong => f.write_str("it had too many messages"),
            Self::EndOfSession => f.write_str("the server ended the session first"),
            Self::BadSequence => f.write_str("the sequence stated at its end cannot be true"),
            Self::TooOld(next) => write!(f, "it goes on from {next}, which is older than what is still held"),
        }
    }
}

/// What the two sides of the client leave for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) counters: RecoveryCounters,
    pub(super) notices: Notices,
}

/// The notices that were not taken yet, oldest first; the newest are dropped where there are too many.
#[derive(Debug)]
pub(super) struct Notices {
    kept: VecDeque<Notice>,
}

impl Default for Notices {
    fn default() -> Self {
        Self { kept: VecDeque::with_capacity(KEPT) }
    }
}

impl Notices {
    fn add(&mut self, notice: Notice) -> bool {
        let room = self.kept.len() < KEPT;
        if room {
            self.kept.push_back(notice);
        }
        room
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Notice> + '_ {
        self.kept.drain(..)
    }
}

impl Log {
    pub(super) fn tell(&mut self, notice: Notice) {
        if !self.notices.add(notice) {
            self.counters.notices_dropped += 1;
        }
    }
}
