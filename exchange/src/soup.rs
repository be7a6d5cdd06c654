//! The server's side of one SoupBinTCP connection (3.00, with what 4.00 and 4.10 add).
//!
//! A packet is its length (u16, counts type and payload), its type and its payload; packets and TCP segments do not
//! align. A client logs in (`L`) with name, password, session and the sequence that it wants next, is accepted (`A`)
//! or rejected (`J`), and then gets sequenced messages (`S`), whose numbers are implied by counting. Both sides say
//! something at least once a second, a heartbeat (`H`, `R`) if nothing else. `O` ends the connection from the client's
//! side, `Z` from the server's.
//!
//! [`Server`] knows nothing of sockets and clocks: bytes come in by [`Server::receive`], go out into a buffer that
//! the caller empties, and times are ns that never go back. It holds no messages: [`Server::pump`] sends, from the
//! [`Archive`] that it is given, what this client has not had; so replay and what is new take one way, at one pace.
//!
//! Memory is bounded whatever comes in: one packet of at most [`Config::max_packet`] bytes is put together at a time,
//! and anything that is no packet ends the connection. A client that dribbles bytes without ever completing a packet
//! counts as silent.

mod counters;
mod packet;
#[cfg(test)]
mod tests;

pub use counters::SoupCounters;
pub(crate) use packet::trim;
pub use packet::{Credentials, Login, Rejection};

use crate::archive::Archive;

/// Name of a TCP connection, given by whoever accepts it, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What a service wants done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send these bytes.
    Bytes {
        /// Where to.
        conn: ConnId,
        /// Whole packets, unless a fault is at work.
        bytes: &'a [u8],
    },
    /// Close it once everything before is sent. The service has forgotten it already.
    Close {
        /// Which.
        conn: ConnId,
    },
}

/// What a connection's server side is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Session, as shown in Login Accepted. The document pads it on the left.
    pub session: [u8; 10],
    /// Ns within which the login must come.
    pub login_ns: u64,
    /// Ns of a client's silence after which the connection is given up.
    pub silence_ns: u64,
    /// Ns of our own silence after which we say a heartbeat.
    pub heartbeat_ns: u64,
    /// The longest packet that a client may send, as its length field counts it. At least 52, for a login of 4.10.
    pub max_packet: u16,
    /// Bytes a second of sequenced data; 0 for no limit.
    pub bytes_per_s: u64,
    /// The most bytes handed out by one [`Server::pump`], give or take a packet.
    pub portion: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            session: *b"SOUP000001",
            login_ns: 30_000_000_000,
            silence_ns: 15_000_000_000,
            heartbeat_ns: 1_000_000_000,
            max_packet: 1_024,
            bytes_per_s: 0,
            portion: 1 << 16,
        }
    }
}

/// What a client said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It wants to log in. Answer with [`Server::accept`] or [`Server::reject`].
    Login(Login),
    /// An unsequenced message.
    Unsequenced(&'a [u8]),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client logged out.
    Logout,
    /// Its login was rejected.
    Rejected,
    /// No login in time.
    LoginTimeout,
    /// It was silent for too long.
    Silent,
    /// A packet without a type: its length is 0.
    NoType,
    /// A packet longer than the limit.
    TooLong,
    /// A packet of a type that clients do not send, or not then.
    BadType,
    /// A login that is not one.
    BadLogin,
    /// We ended it: the session is over, or the service wanted it so.
    ByServer,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No login yet.
    Waiting,
    /// A login was read and not answered yet.
    Asked,
    /// Logged in.
    Open,
    Over(End),
}

/// How much of a paced connection's time may be made up for, ns.
const CATCH_UP: u64 = 10_000_000;
/// Paced bytes leave at most this often, ns: fewer, larger portions.
const QUANTUM: u64 = 1_000_000;

/// The server's side of a connection. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
    state: State,
    /// The packet that is being put together, with its length.
    packet: Vec<u8>,
    /// When it began, the last whole packet came, the last one left.
    began: u64,
    heard: u64,
    said: u64,
    /// Sequence of the next message to send.
    cursor: u64,
    /// When the paced bytes so far will have left.
    busy_until: u64,
    counters: SoupCounters,
}

impl Server {
    /// A connection made at `now`.
    #[must_use]
    pub fn new(config: Config, now: u64) -> Self {
        let config = Config { max_packet: config.max_packet.max(packet::LONG_LOGIN), ..config };
        let counters = SoupCounters { connections: 1, ..SoupCounters::default() };
        Self {
            config,
            state: State::Waiting,
            packet: Vec::new(),
            began: now,
            heard: now,
            said: now,
            cursor: 1,
            busy_until: 0,
            counters,
        }
    }

    /// Takes bytes off the front of `bytes` until a packet says something that the caller has to know. `None`: they
    /// are used up, or the connection is over and the rest of no interest.
    pub fn receive<'a>(&'a mut self, now: u64, bytes: &mut &[u8]) -> Option<Event<'a>> {
        loop {
            if matches!(self.state, State::Over(_)) {
                *bytes = &[];
                return None;
            }
            if !self.gather(bytes) {
                return None;
            }
            self.heard = now;
            let kind = self.packet[2];
            match (kind, self.state) {
                (b'+', _) => self.counters.debug += 1,
                (b'R', _) => self.counters.heartbeats += 1,
                (b'O', _) => self.end(End::Logout),
                (b'L', State::Waiting) => match packet::login(&self.packet[3..]) {
                    Some(login) => {
                        self.state = State::Asked;
                        return Some(Event::Login(login));
                    }
                    None => self.end(End::BadLogin),
                },
                (b'U', State::Open) => {
                    self.counters.unsequenced += 1;
                    return Some(Event::Unsequenced(&self.packet[3..]));
                }
                _ => self.end(End::BadType),
            }
        }
    }

    /// Moves bytes into the packet under way. True when it is whole.
    fn gather(&mut self, bytes: &mut &[u8]) -> bool {
        if self.expected().is_some_and(|whole| self.packet.len() >= whole) {
            // The one before, which the caller has seen.
            self.packet.clear();
        }
        loop {
            let expected = self.expected();
            let wanted = expected.unwrap_or(2) - self.packet.len();
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.packet.extend_from_slice(taken);
            *bytes = rest;
            match (expected, self.expected()) {
                (_, Some(2)) => self.end(End::NoType),
                (_, Some(whole)) if whole > 2 + usize::from(self.config.max_packet) => self.end(End::TooLong),
                (None, Some(_)) => continue,
                (Some(whole), _) if self.packet.len() == whole => return true,
                _ => {}
            }
            return false;
        }
    }

    /// Bytes of the packet under way, its length included, once that is known.
    fn expected(&self) -> Option<usize> {
        self.packet.first_chunk::<2>().map(|len| 2 + usize::from(u16::from_be_bytes(*len)))
    }

    /// Accepts the login; `sequence` is that of the next message it gets.
    pub fn accept(&mut self, now: u64, sequence: u64, out: &mut Vec<u8>) {
        let session = self.config.session;
        self.accept_as(now, &session, sequence, out);
    }

    /// As [`Server::accept`], in the name of a session that need not be the right one.
    pub(crate) fn accept_as(&mut self, now: u64, session: &[u8; 10], sequence: u64, out: &mut Vec<u8>) {
        if self.state != State::Asked {
            return;
        }
        self.counters.logins += 1;
        self.state = State::Open;
        self.cursor = sequence;
        packet::login_accepted(session, sequence, out);
        self.said = now;
    }

    /// Rejects the login; the connection is over.
    pub fn reject(&mut self, reason: Rejection, out: &mut Vec<u8>) {
        if self.state == State::Asked {
            packet::write(b'J', &[reason as u8], out);
            self.end(End::Rejected);
        }
    }

    /// Sends messages of `store` that the client has not had, below sequence `until`, as many as pace and portion
    /// allow. Returns how many. Messages that are not kept any more are skipped and counted: the client has lost them.
    pub fn pump(&mut self, now: u64, store: &Archive, until: u64, out: &mut Vec<u8>) -> u64 {
        if self.state != State::Open {
            return 0;
        }
        if self.cursor < store.first() {
            self.counters.lost += store.first() - self.cursor;
            self.cursor = store.first();
        }
        let (start, before) = (self.cursor, out.len());
        let end = until.min(store.next());
        while self.cursor < end
            && out.len() - before < self.config.portion
            && self.may_send(now)
            && let Some(message) = store.get(self.cursor)
        {
            packet::write(b'S', message, out);
            self.pace(now, message.len() + 3);
            self.cursor += 1;
            self.said = now;
        }
        let sent = self.cursor - start;
        self.counters.sequenced += sent;
        sent
    }

    /// Does the pace allow another packet?
    pub(crate) fn may_send(&self, now: u64) -> bool {
        self.config.bytes_per_s == 0 || self.busy_until <= now
    }

    /// Takes account of bytes that leave.
    pub(crate) fn pace(&mut self, now: u64, bytes: usize) {
        // Without a pace nothing takes time.
        if let Some(takes) = (bytes as u64).saturating_mul(1_000_000_000).checked_div(self.config.bytes_per_s)
        {
            self.busy_until = self.busy_until.max(now.saturating_sub(CATCH_UP)).saturating_add(takes);
        }
    }

    /// From now on, so many bytes a second; 0 for no limit.
    pub(crate) fn set_pace(&mut self, bytes_per_s: u64) {
        if self.config.bytes_per_s != bytes_per_s {
            self.config.bytes_per_s = bytes_per_s;
            self.busy_until = 0;
        }
    }

    /// The next message to send is this one.
    pub(crate) fn seek(&mut self, sequence: u64) {
        self.cursor = sequence;
    }

    /// Sequence of the next message to send.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Says that the session is over, and ends the connection.
    pub fn end_of_session(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Open {
            packet::write(b'Z', &[], out);
        }
        self.close();
    }

    /// Ends the connection without a word.
    pub fn close(&mut self) {
        self.end(End::ByServer);
    }

    /// Lets time pass: gives a silent client up, and says a heartbeat when it is time.
    pub fn tick(&mut self, now: u64, out: &mut Vec<u8>) {
        self.check(now);
        if self.state == State::Open && self.said.saturating_add(self.config.heartbeat_ns) <= now {
            packet::write(b'H', &[], out);
            self.said = now;
        }
    }

    /// Gives a silent client up.
    pub(crate) fn check(&mut self, now: u64) {
        match self.state {
            State::Waiting | State::Asked if self.gives_up_at() <= now => self.end(End::LoginTimeout),
            State::Open if self.gives_up_at() <= now => self.end(End::Silent),
            _ => {}
        }
    }

    /// When a client that stays silent is given up.
    pub(crate) fn gives_up_at(&self) -> u64 {
        match self.state {
            State::Waiting | State::Asked => self.began.saturating_add(self.config.login_ns),
            State::Open => self.heard.saturating_add(self.config.silence_ns),
            State::Over(_) => 0,
        }
    }

    /// When [`Server::tick`] has something to do, and [`Server::pump`] if messages wait (`waiting`).
    #[must_use]
    pub fn next_due(&self, waiting: bool) -> u64 {
        let quiet = self.gives_up_at();
        if self.state != State::Open {
            return quiet;
        }
        let pump = match (waiting, self.config.bytes_per_s) {
            (false, _) => u64::MAX,
            (true, 0) => 0,
            (true, _) => self.busy_until.saturating_add(QUANTUM),
        };
        quiet.min(self.said.saturating_add(self.config.heartbeat_ns)).min(pump)
    }

    /// Is a client logged in?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Why the connection is over, if it is. The caller then closes it.
    #[must_use]
    pub fn ended(&self) -> Option<End> {
        match self.state {
            State::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> &SoupCounters {
        &self.counters
    }

    fn end(&mut self, end: End) {
        if !matches!(self.state, State::Over(_)) {
            self.state = State::Over(end);
            self.counters.count(end);
        }
    }
}
