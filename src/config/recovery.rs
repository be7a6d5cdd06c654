//! `[recovery]`: what a run may do about messages that neither line brought.

use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

/// `[recovery]`: holes are asked for and stale books are rebuilt, by a thread beside the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How long a hole may stay open in all, `feed.reorder_wait` included, until it is called a gap.
    pub hole_wait: Duration,
    /// Bytes of live messages that may wait for a snapshot.
    pub buffer_bytes: usize,
    /// Bytes of answers and snapshot messages on their way to the loop.
    pub handover_bytes: usize,
    /// `[recovery.requests]`; `None`: holes are not asked for.
    pub requests: Option<Requests>,
    /// `[recovery.snapshot]`; `None`: stale books stay stale.
    pub snapshot: Option<Snapshot>,
}

/// `[recovery.requests]`: the MoldUDP64 request servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// One or two, asked in turn.
    pub servers: Vec<SocketAddrV4>,
    /// Messages that one request asks for, at most.
    pub max_messages: u16,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Further requests for one hole that stays unanswered, all servers together.
    pub retries: u32,
    /// Requests a second, all servers together.
    pub per_second: u32,
    /// Requests that may be unanswered at once.
    pub outstanding: u16,
    /// Longest hole, in messages, that is asked for; a longer one is for the snapshot.
    pub max_hole: u64,
}

/// What the sequence at the end of a snapshot names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stated {
    /// The first message to apply, as the document says.
    Next,
    /// The last message that the snapshot contains.
    Last,
}

/// `[recovery.snapshot]`: the GLIMPSE server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its address.
    pub server: SocketAddrV4,
    /// At most 6 characters.
    pub username: String,
    /// At most 10 characters.
    pub password: Secret,
    /// Ask for, and insist on, the session that the feed names.
    pub check_session: bool,
    /// What the sequence at its end names.
    pub stated: Stated,
    /// How long connecting and the answer to the login may take.
    pub login_timeout: Duration,
    /// Silence after which the connection is given up.
    pub silence_timeout: Duration,
    /// How long a snapshot may take in all.
    pub total_timeout: Duration,
    /// Most messages of a snapshot.
    pub max_messages: u64,
    /// Rest after a try that failed; doubles with each.
    pub back_off: Duration,
    /// Longest such rest.
    pub back_off_max: Duration,
}

/// A text that is never shown, not even by `{:?}`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the wire only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(…)" })
    }
}
