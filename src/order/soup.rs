//! The client's side of a SoupBinTCP connection (3.00, and what 4.00 adds), without a socket and without a clock.
//!
//! Bytes of the server come in by [`Client::receive`], in pieces of any size, and become [`Said`]; what has to be said
//! to the server is asked for ([`Client::login`], [`Client::due`]) and sent by the caller. Times are ns that never go
//! back.
//!
//! # Numbers
//! Sequenced messages carry no number: both sides count. The client counts across connections, so that the next login
//! asks for the first message that was not heard ([`Client::resume_point`]). A server that goes on later than asked has lost
//! messages for us ([`Said::Missing`]); one that goes on earlier repeats some, and those are counted and dropped.
//!
//! # What ends a connection
//! A packet of length 0, one longer than the limit, one of a type that servers do not send or not then, a login answer
//! that cannot be read, another session than the one that was begun, and 15 s of silence: [`Fault`]. From then on every
//! byte is left aside until [`Client::connected`]. Memory: one packet of at most [`MAX_PACKET`] bytes.

use crate::wire::soup::{LoginAccepted, LoginRequest, Packet, packet_type, split};

/// Longest packet that is taken, length field included. OUCH messages with all their options have a few hundred bytes.
pub const MAX_PACKET: usize = 2_048;

/// Longest silence towards the server, ns.
pub const HEARTBEAT_NS: u64 = 1_000_000_000;

/// Longest silence of the server, ns: the document's 15 s.
pub const SILENCE_NS: u64 = 15_000_000_000;

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A packet of length 0.
    #[error("packet of length 0")]
    ZeroLength,
    /// A packet longer than [`MAX_PACKET`].
    #[error("packet beyond the limit")]
    TooLong,
    /// A packet of a type that no server sends, or not before or after the login.
    #[error("packet of a wrong type")]
    BadType,
    /// A login answer that cannot be read.
    #[error("unreadable login answer")]
    BadLogin,
    /// The login was accepted into another session than the one that was begun.
    #[error("another session than before")]
    OtherSession,
    /// Nothing was heard for 15 s.
    #[error("the server is silent")]
    Silent,
}

/// Who logs in, and where in the server's sequence it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login {
    /// Padded with spaces on the right.
    pub username: [u8; 6],
    /// Padded with spaces on the right.
    pub password: [u8; 10],
    /// The session that was begun; all spaces = whichever is current.
    pub session: [u8; 10],
    /// First message that was not heard yet; 1 = from the start. 0, "only what is new", is not for orders.
    pub next: u64,
}

/// Says everything but the password.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        f.debug_struct("Login")
            .field("username", &text(&self.username))
            .field("session", &text(&self.session))
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// What the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// The login was accepted.
    LoggedIn,
    /// The login was rejected: `A` not authorized, `S` session not available.
    Rejected(u8),
    /// The server goes on later than asked: so many messages will not come.
    Missing(u64),
    /// The next message of the sequence.
    Message(&'a [u8]),
    /// A message outside of the sequence (4.00).
    Unsequenced(&'a [u8]),
    /// The session is over for good.
    EndOfSession,
    /// The connection cannot go on.
    Broken(Fault),
}

/// What is due by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A heartbeat ([`packet_type::CLIENT_HEARTBEAT`]).
    Heartbeat,
    /// The server was silent for too long: the connection is broken.
    Silence,
}

/// What was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoupCounters {
    /// Logins accepted.
    pub logins: u64,
    /// Logins rejected.
    pub rejected: u64,
    /// Sequenced messages handed on.
    pub messages: u64,
    /// Sequenced messages heard before, dropped.
    pub repeated: u64,
    /// Sequenced messages that a server did not send again.
    pub missing: u64,
    /// Messages outside of the sequence.
    pub unsequenced: u64,
    /// Heartbeats of the server.
    pub heartbeats: u64,
    /// Debug packets, left aside.
    pub debug: u64,
    /// Ends of session.
    pub ends: u64,
    /// Packets of length 0.
    pub zero_length: u64,
    /// Packets beyond the limit.
    pub too_long: u64,
    /// Packets of a wrong type.
    pub bad_type: u64,
    /// Login answers that cannot be read.
    pub bad_login: u64,
    /// Logins into another session than the one that was begun.
    pub other_session: u64,
    /// Connections given up because nothing was heard.
    pub silent: u64,
}

impl SoupCounters {
    const fn count(&mut self, fault: Fault) {
        let counter = match fault {
            Fault::ZeroLength => &mut self.zero_length,
            Fault::TooLong => &mut self.too_long,
            Fault::BadType => &mut self.bad_type,
            Fault::BadLogin => &mut self.bad_login,
            Fault::OtherSession => &mut self.other_session,
            Fault::Silent => &mut self.silent,
        };
        *counter += 1;
    }

    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 15] {
        [
            ("soup_client_logins", self.logins),
            ("soup_client_rejected", self.rejected),
            ("soup_client_messages", self.messages),
            ("soup_client_repeated", self.repeated),
            ("soup_client_missing", self.missing),
            ("soup_client_unsequenced", self.unsequenced),
            ("soup_client_heartbeats", self.heartbeats),
            ("soup_client_debug", self.debug),
            ("soup_client_ends", self.ends),
            ("soup_client_zero_length", self.zero_length),
            ("soup_client_too_long", self.too_long),
            ("soup_client_bad_type", self.bad_type),
            ("soup_client_bad_login", self.bad_login),
            ("soup_client_other_session", self.other_session),
            ("soup_client_silent", self.silent),
        ]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection, or one whose bytes are left aside.
    Off,
    LoggingIn,
    Open,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    talk: Talk,
    /// The beginning of a packet that is not whole yet.
    partial: Box<[u8; MAX_PACKET]>,
    held: usize,
}

/// All but the bytes of half a packet.
#[derive(Debug)]
struct Talk {
    login: Login,
    state: State,
    /// Messages still to come that the server repeats.
    repeats: u64,
    heard: u64,
    said: u64,
    counters: SoupCounters,
}

/// Bytes of the packet that `stream` begins with, length field included; `None` while that is not told.
const fn packet_len(stream: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(len) = stream.first_chunk() else { return Ok(None) };
    match u16::from_be_bytes(*len) as usize + 2 {
        2 => Err(Fault::ZeroLength),
        len if len > MAX_PACKET => Err(Fault::TooLong),
        len => Ok(Some(len)),
    }
}

impl Client {
    /// Not connected.
    #[must_use]
    pub fn new(login: Login) -> Self {
        let talk = Talk {
            login: Login { next: login.next.max(1), ..login },
            state: State::Off,
            repeats: 0,
            heard: 0,
            said: 0,
            counters: SoupCounters::default(),
        };
        Self { talk, partial: Box::new([0; MAX_PACKET]), held: 0 }
    }

    /// A connection is open: what was left of the one before is forgotten. The caller sends [`Client::login`] now.
    pub const fn connected(&mut self, now: u64) {
        self.held = 0;
        self.talk.state = State::LoggingIn;
        self.talk.repeats = 0;
        self.talk.heard = now;
        self.talk.said = now;
    }

    /// The connection is gone.
    pub const fn disconnected(&mut self) {
        self.talk.state = State::Off;
    }

    /// The login to send.
    #[must_use]
    pub const fn login(&self) -> LoginRequest {
        let Login { username, password, session, next } = self.talk.login;
        LoginRequest { username, password, session, sequence: next }
    }

    /// The session, all spaces while none was begun, and the first message of it that was not heard: where a later login
    /// goes on.
    #[must_use]
    pub const fn resume_point(&self) -> ([u8; 10], u64) {
        (self.talk.login.session, self.talk.login.next)
    }

    /// The next login takes whichever session is current, from its start.
    pub const fn forget_session(&mut self) {
        self.talk.login.session = [b' '; 10];
        self.talk.login.next = 1;
    }

    /// True after an accepted login, while the connection lasts.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.talk.state, State::Open)
    }

    /// What was heard.
    #[must_use]
    pub const fn counters(&self) -> &SoupCounters {
        &self.talk.counters
    }

    /// Something was sent at `now`.
    pub const fn on_sent(&mut self, now: u64) {
        self.talk.said = now;
    }

    /// What is due. To be asked several times a second.
    pub const fn due(&mut self, now: u64) -> Due {
        let talk = &mut self.talk;
        if matches!(talk.state, State::Off) {
            return Due::Nothing;
        }
        if now.saturating_sub(talk.heard) >= SILENCE_NS {
            talk.state = State::Off;
            talk.counters.count(Fault::Silent);
            return Due::Silence;
        }
        if matches!(talk.state, State::Open) && now.saturating_sub(talk.said) >= HEARTBEAT_NS {
            return Due::Heartbeat;
        }
        Due::Nothing
    }

    /// Takes bytes of the server, all of them; those after the end of a connection are left aside.
    pub fn receive(&mut self, now: u64, bytes: &[u8], on: &mut impl FnMut(Said<'_>)) {
        let Self { talk, partial, held } = self;
        let mut bytes = bytes;
        while !bytes.is_empty() && talk.state != State::Off {
            let begun = if *held == 0 { bytes } else { partial.get(..*held).unwrap_or_default() };
            // While the length itself is not whole, that is what is wanted next.
            let wanted = match packet_len(begun) {
                Ok(len) => len.unwrap_or(2),
                Err(fault) => return talk.fail(fault, on),
            };
            if *held == 0
                && let Some((packet, rest)) = bytes.split_at_checked(wanted)
                && wanted > 2
            {
                talk.on_packet(now, packet, on);
                bytes = rest;
                continue;
            }
            let (more, rest) = bytes.split_at(wanted.saturating_sub(*held).min(bytes.len()));
            if let Some(place) = partial.get_mut(*held..*held + more.len()) {
                place.copy_from_slice(more);
            }
            *held += more.len();
            bytes = rest;
            if let Err(fault) = packet_len(partial.get(..*held).unwrap_or_default()) {
                return talk.fail(fault, on);
            }
            if *held == wanted && wanted > 2 {
                talk.on_packet(now, partial.get(..*held).unwrap_or_default(), on);
                *held = 0;
            }
        }
    }
}

impl Talk {
    #[cold]
    fn fail(&mut self, fault: Fault, on: &mut impl FnMut(Said<'_>)) {
        self.state = State::Off;
        self.counters.count(fault);
        on(Said::Broken(fault));
    }

    /// One whole packet, of three bytes or more.
    fn on_packet(&mut self, now: u64, packet: &[u8], on: &mut impl FnMut(Said<'_>)) {
        self.heard = now;
        let Ok(Some((Packet { packet_type, payload }, _))) = split(packet) else {
            return self.fail(Fault::ZeroLength, on);
        };
        match (packet_type, self.state) {
            (packet_type::SEQUENCED_DATA, State::Open) if self.repeats > 0 => {
                self.repeats -= 1;
                self.counters.repeated += 1;
            }
            (packet_type::SEQUENCED_DATA, State::Open) => {
                self.login.next = self.login.next.saturating_add(1);
                self.counters.messages += 1;
                on(Said::Message(payload));
            }
            (packet_type::SERVER_HEARTBEAT, _) => self.counters.heartbeats += 1,
            (packet_type::DEBUG, _) => self.counters.debug += 1,
            (packet_type::UNSEQUENCED_DATA, State::Open) => {
                self.counters.unsequenced += 1;
                on(Said::Unsequenced(payload));
            }
            (packet_type::END_OF_SESSION, State::Open) => {
                self.state = State::Off;
                self.counters.ends += 1;
                on(Said::EndOfSession);
            }
            (packet_type::LOGIN_ACCEPTED, State::LoggingIn) => self.on_accepted(payload, on),
            (packet_type::LOGIN_REJECTED, State::LoggingIn) => match *payload {
                [reason] => {
                    self.state = State::Off;
                    self.counters.rejected += 1;
                    on(Said::Rejected(reason));
                }
                _ => self.fail(Fault::BadLogin, on),
            },
            _ => self.fail(Fault::BadType, on),
        }
    }

    fn on_accepted(&mut self, payload: &[u8], on: &mut impl FnMut(Said<'_>)) {
        let accepted = match LoginAccepted::parse(payload) {
            Ok(accepted) if accepted.sequence > 0 => accepted,
            _ => return self.fail(Fault::BadLogin, on),
        };
        // Either side may be padded on the left or on the right.
        let begun = self.login.session.trim_ascii();
        if !begun.is_empty() && begun != accepted.session.trim_ascii() {
            return self.fail(Fault::OtherSession, on);
        }
        self.login.session = accepted.session;
        self.state = State::Open;
        self.counters.logins += 1;
        self.repeats = self.login.next.saturating_sub(accepted.sequence);
        let missing = accepted.sequence.saturating_sub(self.login.next);
        self.login.next = self.login.next.max(accepted.sequence);
        on(Said::LoggedIn);
        if missing > 0 {
            self.counters.missing = self.counters.missing.saturating_add(missing);
            on(Said::Missing(missing));
        }
    }
}

#[cfg(test)]
mod tests;
