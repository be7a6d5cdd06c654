//! The recovery client: asks request servers for holes, and a snapshot server for everything when that does not help.
//!
//! It is a state machine without sockets and clocks. Whoever drives it (a thread beside the loop, or a simulation) tells it
//! what the loop needs ([`Recovery::on_need`], also its timer: call it every few ms), what the servers sent and that
//! connections came or went; it answers with [`Action`]s for the driver to carry out and with [`Item`]s for the loop, put
//! straight into the [`Giver`]. It never waits for anybody. All times are ns of one clock that never goes back.
//!
//! # Holes
//! Only what the loop calls overdue is asked for: in pieces of at most [`RequestsConfig::max_messages`], at most
//! [`RequestsConfig::outstanding`] of them at once, at most [`RequestsConfig::per_second`] requests a second. Pieces alternate between the
//! servers; one that is not answered in time is asked of the other server, and a server that leaves several in a row
//! unanswered is only tried now and then. After a part of an answer the rest is asked for with the next
//! [`Recovery::on_need`]. A hole of which
//! a piece stays unanswered after all retries, or that is larger than a snapshot is worth, is abandoned: the loop
//! then calls it a gap and wants a snapshot.
//!
//! An answer is believed as far as it can be checked: MoldUDP64, of the session, data, and overlapping what was asked of
//! that very server. Anything else is counted by kind and dropped.
//!
//! # Snapshots
//! GLIMPSE over SoupBinTCP: log in, hand on every message, and end with the sequence that the server states. Whatever
//! breaks off, lies, or takes too long is a failure; the next try waits [`SnapshotConfig::back_off`], doubled with each failure up to
//! [`SnapshotConfig::back_off_max`], and two logins are never closer together than the former.
//!
//! The driver must not deliver events of a connection after [`Action::Disconnect`].

#[cfg(doc)]
use super::handover::Item;
use super::handover::{Giver, Need};

mod counters;
mod notice;
mod requests;
mod servers;
mod snapshot;

pub use counters::RecoveryCounters;
pub use notice::{Abandoned, Notice, SnapshotFailure};
pub use snapshot::SnapshotStatus;

use notice::Log;
use requests::Requests;
use snapshot::Snapshot;

/// What the client may use, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryConfig {
    /// Request servers; `None`: holes are abandoned as soon as they are overdue.
    pub requests: Option<RequestsConfig>,
    /// A snapshot server; `None`: books that went stale stay so.
    pub snapshot: Option<SnapshotConfig>,
}

/// How holes are asked for. A value outside its range is moved to the nearest end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestsConfig {
    /// Number of servers, `1 ..= 2`. Server 0 is line A's.
    pub servers: usize,
    /// Messages of one request, `1 ..= 65_534`.
    pub max_messages: u16,
    /// How long an answer may take, ns, `1 ..`.
    pub timeout: u64,
    /// How often a piece of a hole is asked for again when no answer comes, all servers together.
    pub retries: u32,
    /// Requests a second, `1 ..`.
    pub per_second: u32,
    /// Requests under way at once, `1 ..= 64`.
    pub outstanding: usize,
    /// Messages of the largest hole that is asked for; where there is no snapshot server, any is.
    pub max_hole: u64,
}

/// How a snapshot is fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// Padded with spaces on the right.
    pub username: [u8; 6],
    /// Padded with spaces on the right.
    pub password: [u8; 10],
    /// The server's SoupBinTCP session must be the feed's session, padding aside.
    pub check_session: bool,
    /// What the sequence at the snapshot's end means.
    pub stated: Stated,
    /// Longest time from the connection's beginning to the login's acceptance, ns.
    pub login_timeout: u64,
    /// Longest silence of the server after that, ns. It should send something every second.
    pub silence_timeout: u64,
    /// Longest time from the connection's beginning to the snapshot's end, ns.
    pub total_timeout: u64,
    /// Most messages of a snapshot.
    pub max_messages: u64,
    /// Time before the next try after a first failure, and least time between two logins, ns.
    pub back_off: u64,
    /// Longest time before the next try, ns.
    pub back_off_max: u64,
}

impl std::fmt::Debug for SnapshotConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of logs.
        f.debug_struct("SnapshotConfig")
            .field("username", &self.username.escape_ascii().to_string())
            .field("check_session", &self.check_session)
            .field("stated", &self.stated)
            .field("login_timeout", &self.login_timeout)
            .field("silence_timeout", &self.silence_timeout)
            .field("total_timeout", &self.total_timeout)
            .field("max_messages", &self.max_messages)
            .field("back_off", &self.back_off)
            .field("back_off_max", &self.back_off_max)
            .finish_non_exhaustive()
    }
}

/// What the sequence in a snapshot's end message means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stated {
    /// The first live message to apply.
    #[default]
    Next,
    /// The last message that the snapshot contains.
    Last,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send this datagram to a request server.
    Request {
        /// Which one.
        server: usize,
        /// A MoldUDP64 request.
        payload: [u8; 20],
    },
    /// Open the connection to the snapshot server, then say [`Recovery::on_connected`] or
    /// [`Recovery::on_disconnected`].
    Connect,
    /// Send these bytes on it.
    Send(&'a [u8]),
    /// Close it, after what is still to be sent. Nothing more of it may be told.
    Disconnect,
}

/// What the client is doing, for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Holes that it tries to fill.
    pub holes: usize,
    /// Messages missing in them.
    pub missing: u64,
    /// Requests that wait for an answer.
    pub outstanding: usize,
    /// The snapshot.
    pub snapshot: SnapshotStatus,
}

/// The recovery client; see the [module](self).
#[derive(Debug)]
pub struct Recovery {
    need: Need,
    requests: Requests,
    snapshot: Option<Snapshot>,
    log: Log,
}

impl Recovery {
    /// A client that knows of no need yet.
    #[must_use]
    pub fn new(config: RecoveryConfig) -> Self {
        let has_snapshot = config.snapshot.is_some();
        Self {
            need: Need::default(),
            requests: Requests::new(config.requests, has_snapshot),
            snapshot: config.snapshot.map(Snapshot::new),
            log: Log::default(),
        }
    }

    /// Looks at what the loop needs now, and at the clock. To be called every few ms, with the same need too.
    pub fn on_need(&mut self, now: u64, need: &Need, giver: &mut Giver, act: &mut impl FnMut(Action<'_>)) {
        self.need = *need;
        self.requests.on_need(now, need, giver, act, &mut self.log);
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.on_need(now, need, giver, act, &mut self.log);
        }
    }

    /// Takes a datagram that request server `server` sent.
    pub fn on_answer(&mut self, now: u64, server: usize, payload: &[u8], giver: &mut Giver) {
        self.requests.on_answer(now, server, payload, giver, &mut self.log);
    }

    /// The connection to the snapshot server stands.
    pub fn on_connected(&mut self, now: u64, act: &mut impl FnMut(Action<'_>)) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.on_connected(now, act, &mut self.log);
        }
    }

    /// The connection to the snapshot server was lost, or never came about.
    pub fn on_disconnected(&mut self, now: u64, giver: &mut Giver) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.on_disconnected(now, giver, &mut self.log);
        }
    }

    /// Takes bytes that the snapshot server sent, and says how many of them it is done with. Fewer than given: the loop has
    /// no room for more now. Offer the rest again, with what came after it, a little later.
    pub fn on_bytes(
        &mut self,
        now: u64,
        bytes: &[u8],
        giver: &mut Giver,
        act: &mut impl FnMut(Action<'_>),
    ) -> usize {
        let Self { need, snapshot, log, .. } = self;
        let len = bytes.len();
        snapshot.as_mut().map_or(len, |snapshot| snapshot.on_bytes(now, bytes, need, giver, act, log))
    }

    /// What it counted.
    #[must_use]
    pub const fn counters(&self) -> &RecoveryCounters {
        &self.log.counters
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let (holes, missing) = self.requests.open();
        Status {
            holes,
            missing,
            outstanding: self.requests.outstanding(),
            snapshot: self.snapshot.as_ref().map_or(SnapshotStatus::Idle, Snapshot::status),
        }
    }

    /// What happened since the last call, oldest first; some may be missing where much happened
    /// ([`RecoveryCounters::notices_dropped`]).
    pub fn notices(&mut self) -> impl Iterator<Item = Notice> + '_ {
        self.log.notices.drain()
    }
}
