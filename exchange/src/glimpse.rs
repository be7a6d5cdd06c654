//! GLIMPSE 5.0: the state of the market on request, over SoupBinTCP.
//!
//! Whoever logs in gets the messages that make up the market as it stands (directory, states, displayed orders in their
//! queues' order), then End of Snapshot, `G` and 20 digits: the feed's sequence from which to go on. The snapshot is
//! taken, whole, at the moment of the login, by a closure of the caller's that says the messages and returns the
//! sequence of the feed's next message; it is kept until it is sent, at the pace of [`soup::Config::bytes_per_s`].
//!
//! Connections are bounded, and so are the bytes of a snapshot. Times are ns that never go back. With a [`Fault`] the
//! server misbehaves as told, from then on and on connections that stand already; what is random comes from the seed.

mod counters;
mod session;
#[cfg(test)]
mod tests;

pub use counters::GlimpseCounters;

use std::collections::BTreeMap;

use crate::rng::Rng;
use crate::soup::{self, ConnId, Credentials, Event, Output, SoupCounters};
use session::Session;

/// Bytes a second where no pace is configured: a line of 10 Gbit/s.
const UNPACED: u64 = 1_250_000_000;

/// What a snapshot is taken by: it says each message, in order, and returns the feed's next sequence.
pub type Take<'a> = dyn FnMut(&mut dyn FnMut(&[u8])) -> u64 + 'a;

/// What the sequence in End of Snapshot names. The document can be read either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stated {
    /// The first message that is not contained in the snapshot.
    #[default]
    Next,
    /// The last message that is.
    Last,
}

/// How the sequence in End of Snapshot is filled up to 20 digits, on the left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// With spaces.
    #[default]
    Space,
    /// With zeros.
    Zero,
}

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Rejects every login.
    RefuseLogin,
    /// Says nothing any more.
    Silent,
    /// Closes after so many messages of a snapshot.
    CutOff(u64),
    /// Sends so many bytes a second.
    Slow(u64),
    /// Never comes to the end: the snapshot starts over again and again.
    Endless,
    /// In the middle of a snapshot, sends a packet whose length is 0, or one that claims to be of 65,535 bytes.
    BadLength,
    /// Accepts logins in the name of another session.
    WrongSession,
    /// States a sequence that is too low by so much.
    OldSequence(u64),
    /// From the middle of a snapshot on, sends random bytes.
    Garbage,
    /// Closes every connection.
    DropConnection,
}

/// What a GLIMPSE server is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The connections: session, times, pace.
    pub soup: soup::Config,
    /// Who may log in; nobody named: everybody.
    pub users: Vec<Credentials>,
    /// The most connections.
    pub connections: usize,
    /// The most bytes of a snapshot, four for each message beside its own. A login that needs more is rejected.
    pub snapshot_bytes: usize,
    /// What the sequence names.
    pub stated: Stated,
    /// How it is written.
    pub padding: Padding,
    /// Ns after the end of a snapshot at which the session is ended by the server. `None`: the client logs out, or
    /// the connection stays.
    pub ends_after_ns: Option<u64>,
    /// Seed of what is random about faults.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            soup: soup::Config { bytes_per_s: 100_000_000, ..soup::Config::default() },
            users: Vec::new(),
            connections: 8,
            snapshot_bytes: 1 << 28,
            stated: Stated::Next,
            padding: Padding::Space,
            ends_after_ns: Some(1_000_000_000),
            seed: 1,
        }
    }
}

/// Serves snapshots. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Server {
    sessions: BTreeMap<ConnId, Session>,
    /// Beyond the limit: to be closed at the next tick. As many as the caller holds sockets open.
    refused: Vec<ConnId>,
    shared: Shared,
}

/// What all connections share.
#[derive(Clone, Debug)]
struct Shared {
    config: Config,
    fault: Option<Fault>,
    rng: Rng,
    /// Bytes on their way out of one call.
    out: Vec<u8>,
    counters: GlimpseCounters,
    /// Of connections that are over, and refused ones.
    soup_counters: SoupCounters,
}

impl Server {
    /// A server without connections.
    #[must_use]
    pub fn new(mut config: Config) -> Self {
        if config.soup.bytes_per_s == 0 {
            // What never ends must have a pace, or no tick that sends it would end.
            config.soup.bytes_per_s = UNPACED;
        }
        Self {
            sessions: BTreeMap::new(),
            refused: Vec::new(),
            shared: Shared {
                rng: Rng::stream(config.seed, 0x676C_696D),
                config,
                fault: None,
                out: Vec::new(),
                counters: GlimpseCounters::default(),
                soup_counters: SoupCounters::default(),
            },
        }
    }

    /// A client connected. Beyond the limit it is closed by the next [`Server::tick`].
    pub fn on_connect(&mut self, now: u64, conn: ConnId) {
        let Shared { config, soup_counters, .. } = &mut self.shared;
        if self.sessions.len() < config.connections {
            self.sessions.insert(conn, Session::new(config.soup, now));
        } else {
            soup_counters.connections += 1;
            soup_counters.refused += 1;
            self.refused.push(conn);
        }
    }

    /// Bytes came. At a login, `snapshot` is taken.
    pub fn on_bytes(
        &mut self,
        now: u64,
        conn: ConnId,
        mut bytes: &[u8],
        snapshot: &mut Take<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        while let Some(event) = session.soup.receive(now, &mut bytes) {
            if let Event::Login(login) = event {
                session.login(now, &login, snapshot, &mut self.shared);
            }
        }
        if !self.shared.run(now, conn, session, out) {
            self.sessions.remove(&conn);
        }
    }

    /// The connection is closed, by the client or the network.
    pub fn on_disconnect(&mut self, _now: u64, conn: ConnId) {
        self.refused.retain(|refused| *refused != conn);
        if let Some(session) = self.sessions.remove(&conn) {
            self.shared.soup_counters.add(session.soup.counters());
            self.shared.soup_counters.disconnected += 1;
        }
    }

    /// Lets time pass: sends what the pace allows, heartbeats, and closes what is over.
    pub fn tick(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) {
        for conn in self.refused.drain(..) {
            out(Output::Close { conn });
        }
        let Self { sessions, shared, .. } = self;
        sessions.retain(|conn, session| shared.run(now, *conn, session, out));
    }

    /// When [`Server::tick`] has something to do next; 0 for at once, `u64::MAX` for never.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        if !self.refused.is_empty() {
            return 0;
        }
        self.sessions.values().map(|session| session.next_due(&self.shared)).min().unwrap_or(u64::MAX)
    }

    /// From now on it misbehaves in this way, or not at all.
    pub fn set_fault(&mut self, fault: Option<Fault>) {
        self.shared.fault = fault;
    }

    /// A new session of the feed: connections of the old one are ended, at the next [`Server::tick`].
    pub fn roll(&mut self, session: [u8; 10]) {
        self.shared.config.soup.session = session;
        for session in self.sessions.values_mut() {
            session.soup.close();
        }
    }

    /// Counters of snapshots.
    #[must_use]
    pub fn counters(&self) -> &GlimpseCounters {
        &self.shared.counters
    }

    /// Counters of all connections that there ever were.
    #[must_use]
    pub fn soup_counters(&self) -> SoupCounters {
        let mut sum = self.shared.soup_counters;
        for session in self.sessions.values() {
            sum.add(session.soup.counters());
        }
        sum
    }

    /// Connections that stand.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.sessions.len()
    }
}

impl Shared {
    /// Sends what one connection may have now, and closes it if it is over: then the answer is false.
    fn run(
        &mut self,
        now: u64,
        conn: ConnId,
        session: &mut Session,
        out: &mut impl FnMut(Output<'_>),
    ) -> bool {
        session.tick(now, self);
        if !self.out.is_empty() {
            out(Output::Bytes { conn, bytes: &self.out });
            self.out.clear();
        }
        if session.soup.ended().is_none() {
            return true;
        }
        self.soup_counters.add(session.soup.counters());
        out(Output::Close { conn });
        false
    }
}
