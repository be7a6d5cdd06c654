//! Snapshots: GLIMPSE over SoupBinTCP, the client's side.

use super::super::handover::{Giver, Item, MAX_BYTES, Need};
use super::notice::{Log, Notice, SnapshotFailure};
use super::{Action, SnapshotConfig, Stated};
use crate::wire::glimpse;
use crate::wire::soup::{self, LoginAccepted, LoginRequest, packet_type};

/// Something is sent at least this often, ns, as SoupBinTCP asks of a client.
const HEARTBEAT: u64 = 1_000_000_000;

/// Shortest back-off, ns, whatever is configured.
const LEAST_BACK_OFF: u64 = 1_000_000;

/// Furthest that the stated sequence is believed to be ahead of the stream's last known one, in messages. Enough for what
/// the feed sends while a snapshot loads, and keeps a lie from making the books wait for ever.
const MAX_AHEAD: u64 = 100_000_000;

/// Where the snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// None is wanted, or it was handed over.
    Idle,
    /// The next try waits for its time.
    BackingOff,
    /// Connecting, or waiting for the login to be accepted.
    Connecting,
    /// Messages are coming.
    Loading {
        /// How many came.
        messages: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Connecting,
    LoggingIn,
    /// The loop was told that a snapshot begins.
    Loading,
}

/// A wish of the loop's: epoch and number.
type Wish = (u64, u64);

/// The snapshot side of the client.
#[derive(Debug)]
pub(super) struct Snapshot {
    config: SnapshotConfig,
    state: State,
    /// What is, or was last, under way.
    wish: Wish,
    /// What was handed over last. The loop may show this wish for some time after that.
    done: Option<Wish>,
    /// A wish waits for `not_before`.
    waiting: bool,
    not_before: u64,
    /// The next failure's back-off.
    back_off: u64,
    /// When connecting began.
    began: u64,
    /// When the server was last heard, and when something was last sent to it.
    heard: u64,
    sent: u64,
    messages: u64,
    /// The beginning of a packet of which the rest did not come yet.
    partial: Vec<u8>,
    /// The loop does not know yet that the snapshot failed: there was no room to say so.
    owes_failure: bool,
}

impl Snapshot {
    pub(super) fn new(config: SnapshotConfig) -> Self {
        let back_off = config.back_off.max(LEAST_BACK_OFF);
        let config = SnapshotConfig { back_off, back_off_max: config.back_off_max.max(back_off), ..config };
        Self {
            config,
            state: State::Idle,
            wish: (0, 0),
            done: None,
            waiting: false,
            not_before: 0,
            back_off,
            began: 0,
            heard: 0,
            sent: 0,
            messages: 0,
            partial: Vec::with_capacity(size_of::<u16>() + MAX_BYTES),
            owes_failure: false,
        }
    }

    pub(super) fn on_need(
        &mut self,
        now: u64,
        need: &Need,
        giver: &mut Giver,
        act: &mut impl FnMut(Action<'_>),
        log: &mut Log,
    ) {
        if self.owes_failure && giver.give(&Item::SnapshotFailed) {
            self.owes_failure = false;
        }
        let wish = (need.epoch, need.snapshot);
        let wanted = need.snapshot != 0 && self.done != Some(wish);
        if self.state != State::Idle {
            if !wanted || wish != self.wish {
                self.supersede(act, log);
            } else if let Some(why) = self.overran(now) {
                self.fail(why, now, giver, log);
                act(Action::Disconnect);
            } else if self.state != State::Connecting && now.saturating_sub(self.sent) >= HEARTBEAT {
                self.send(packet_type::CLIENT_HEARTBEAT, now, act);
            }
        }
        self.waiting = wanted && self.state == State::Idle;
        if self.waiting && !self.owes_failure && now >= self.not_before {
            self.waiting = false;
            self.wish = wish;
            self.state = State::Connecting;
            (self.began, self.messages) = (now, 0);
            self.partial.clear();
            act(Action::Connect);
        }
    }

    pub(super) fn on_connected(&mut self, now: u64, act: &mut impl FnMut(Action<'_>), log: &mut Log) {
        if self.state != State::Connecting {
            return;
        }
        self.state = State::LoggingIn;
        (self.heard, self.sent) = (now, now);
        let login = LoginRequest {
            username: self.config.username,
            password: self.config.password,
            session: [b' '; 10],
            sequence: 1,
        };
        let mut packet = [0; LoginRequest::LEN];
        if login.emit(&mut packet).is_ok() {
            log.counters.logins += 1;
            act(Action::Send(&packet));
        }
    }

    pub(super) fn on_disconnected(&mut self, now: u64, giver: &mut Giver, log: &mut Log) {
        if self.state != State::Idle {
            self.fail(SnapshotFailure::Disconnected, now, giver, log);
        }
    }

    pub(super) fn on_bytes(
        &mut self,
        now: u64,
        bytes: &[u8],
        need: &Need,
        giver: &mut Giver,
        act: &mut impl FnMut(Action<'_>),
        log: &mut Log,
    ) -> usize {
        if !bytes.is_empty() {
            self.heard = now;
        }
        let mut rest = bytes;
        // After a failure, or the end, nothing that still comes is of interest.
        while matches!(self.state, State::LoggingIn | State::Loading) {
            // Moved out while a packet in it is looked at.
            let mut partial = std::mem::take(&mut self.partial);
            let had = partial.len();
            let before = rest;
            let stream = if had == 0 {
                rest
            } else {
                let (more, after) = rest.split_at(missing(&partial).min(rest.len()));
                partial.extend_from_slice(more);
                rest = after;
                &partial
            };
            let outcome = match soup::split(stream) {
                Err(_) => Err(SnapshotFailure::Protocol),
                Ok(None) => Ok(Step::Incomplete),
                Ok(Some((packet, _))) => {
                    if had == 0 {
                        rest = rest.get(soup::HEADER_LEN + packet.payload.len()..).unwrap_or_default();
                    }
                    self.on_packet(now, packet, need, giver, act, log)
                }
            };
            match outcome {
                Ok(Step::Taken) => partial.clear(),
                Ok(Step::NoRoom) => {
                    log.counters.snapshot_no_room += 1;
                    // As if the end of the packet had not come yet.
                    partial.truncate(had);
                    self.partial = partial;
                    return bytes.len() - before.len();
                }
                Ok(Step::Incomplete) => {
                    if had == 0 {
                        partial.extend_from_slice(rest);
                        rest = &[];
                    }
                    if rest.is_empty() {
                        self.partial = partial;
                        return bytes.len();
                    }
                }
                Err(why) => {
                    partial.clear();
                    self.fail(why, now, giver, log);
                    act(Action::Disconnect);
                }
            }
            self.partial = partial;
        }
        bytes.len()
    }

    fn on_packet(
        &mut self,
        now: u64,
        packet: soup::Packet<'_>,
        need: &Need,
        giver: &mut Giver,
        act: &mut impl FnMut(Action<'_>),
        log: &mut Log,
    ) -> Result<Step, SnapshotFailure> {
        let (epoch, number) = self.wish;
        match (packet.packet_type, self.state) {
            (packet_type::DEBUG | packet_type::SERVER_HEARTBEAT | packet_type::UNSEQUENCED_DATA, _) => {}
            (packet_type::LOGIN_ACCEPTED, State::LoggingIn) => {
                self.check_login(packet.payload, need)?;
                if !giver.give(&Item::SnapshotBegin { epoch, number }) {
                    return Ok(Step::NoRoom);
                }
                self.state = State::Loading;
                log.counters.snapshots_begun += 1;
                log.tell(Notice::SnapshotBegun { number });
            }
            (packet_type::LOGIN_REJECTED, State::LoggingIn) => {
                return Err(SnapshotFailure::LoginRejected(packet.payload.first().copied().unwrap_or(b'?')));
            }
            (packet_type::SEQUENCED_DATA, State::Loading) => match packet.payload {
                [] => return Err(SnapshotFailure::Protocol),
                [glimpse::END_OF_SNAPSHOT, ..] => {
                    let next = self.stated(packet.payload, need)?;
                    if !giver.give(&Item::SnapshotEnd { next }) {
                        return Ok(Step::NoRoom);
                    }
                    self.finish(next, now, act, log);
                }
                message => {
                    if self.messages >= self.config.max_messages {
                        return Err(SnapshotFailure::TooLong);
                    }
                    if !giver.give(&Item::SnapshotMessage { message }) {
                        return Ok(Step::NoRoom);
                    }
                    self.messages += 1;
                    log.counters.snapshot_messages += 1;
                }
            },
            (packet_type::END_OF_SESSION, _) => return Err(SnapshotFailure::EndOfSession),
            _ => return Err(SnapshotFailure::Protocol),
        }
        Ok(Step::Taken)
    }

    /// A snapshot must begin at the beginning, and be of the feed's own day.
    fn check_login(&self, payload: &[u8], need: &Need) -> Result<(), SnapshotFailure> {
        let login = LoginAccepted::parse(payload).map_err(|_| SnapshotFailure::Protocol)?;
        if self.config.check_session && login.session.trim_ascii() != need.session.trim_ascii() {
            return Err(SnapshotFailure::WrongSession(login.session));
        }
        if login.sequence != 1 {
            return Err(SnapshotFailure::Protocol);
        }
        Ok(())
    }

    /// The sequence from which live messages are to be applied, as the end of the snapshot tells it.
    fn stated(&self, message: &[u8], need: &Need) -> Result<u64, SnapshotFailure> {
        let stated = glimpse::parse_end(message).map_err(|_| SnapshotFailure::BadSequence)?;
        let next = match self.config.stated {
            Stated::Next => Some(stated),
            Stated::Last => stated.checked_add(1),
        };
        let most = need.expected.max(need.oldest).saturating_add(MAX_AHEAD);
        match next {
            Some(next) if next == 0 || next > most => Err(SnapshotFailure::BadSequence),
            Some(next) if next < need.oldest => Err(SnapshotFailure::TooOld(next)),
            Some(next) => Ok(next),
            None => Err(SnapshotFailure::BadSequence),
        }
    }

    /// Why what is under way has to end now, if it has.
    const fn overran(&self, now: u64) -> Option<SnapshotFailure> {
        let loading = matches!(self.state, State::Loading);
        let age = now.saturating_sub(self.began);
        if !loading && age >= self.config.login_timeout {
            Some(SnapshotFailure::LoginTimeout)
        } else if age >= self.config.total_timeout {
            Some(SnapshotFailure::TooSlow)
        } else if loading && now.saturating_sub(self.heard) >= self.config.silence_timeout {
            Some(SnapshotFailure::Silence)
        } else {
            None
        }
    }

    fn send(&mut self, packet_type: u8, now: u64, act: &mut impl FnMut(Action<'_>)) {
        let mut packet = [0; soup::HEADER_LEN];
        if soup::emit(&mut packet, packet_type, &[]).is_ok() {
            self.sent = now;
            act(Action::Send(&packet));
        }
    }

    fn finish(&mut self, next: u64, now: u64, act: &mut impl FnMut(Action<'_>), log: &mut Log) {
        log.counters.snapshots_loaded += 1;
        let took = now.saturating_sub(self.began);
        log.tell(Notice::SnapshotLoaded { number: self.wish.1, messages: self.messages, next, took });
        self.done = Some(self.wish);
        self.back_off = self.config.back_off;
        self.not_before = self.began.saturating_add(self.config.back_off);
        self.hang_up(now, act);
    }

    fn supersede(&mut self, act: &mut impl FnMut(Action<'_>), log: &mut Log) {
        log.counters.snapshots_superseded += 1;
        log.tell(Notice::SnapshotSuperseded { number: self.wish.1, messages: self.messages });
        self.not_before = self.began.saturating_add(self.config.back_off);
        self.hang_up(self.sent, act);
    }

    /// Says goodbye, where anybody listens, and closes.
    fn hang_up(&mut self, now: u64, act: &mut impl FnMut(Action<'_>)) {
        if self.state != State::Connecting {
            self.send(packet_type::LOGOUT_REQUEST, now, act);
        }
        self.state = State::Idle;
        act(Action::Disconnect);
    }

    fn fail(&mut self, why: SnapshotFailure, now: u64, giver: &mut Giver, log: &mut Log) {
        why.count(&mut log.counters);
        let (messages, again_in) = (self.messages, self.back_off);
        log.tell(Notice::SnapshotFailed { number: self.wish.1, why, messages, again_in });
        // The loop heard of it only if it began.
        self.owes_failure = self.state == State::Loading && !giver.give(&Item::SnapshotFailed);
        self.state = State::Idle;
        self.waiting = true;
        self.not_before = now.saturating_add(self.back_off);
        self.back_off = self.back_off.saturating_mul(2).min(self.config.back_off_max);
    }

    pub(super) const fn status(&self) -> SnapshotStatus {
        match self.state {
            State::Idle if self.waiting => SnapshotStatus::BackingOff,
            State::Idle => SnapshotStatus::Idle,
            State::Connecting | State::LoggingIn => SnapshotStatus::Connecting,
            State::Loading => SnapshotStatus::Loading { messages: self.messages },
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Taken,
    /// Its end has not come yet.
    Incomplete,
    /// The loop has no room for it now.
    NoRoom,
}

/// Bytes that the beginning of a packet lacks: of its length first, then of the whole.
const fn missing(partial: &[u8]) -> usize {
    match partial {
        [high, low, have @ ..] => (u16::from_be_bytes([*high, *low]) as usize).saturating_sub(have.len()),
        _ => size_of::<u16>() - partial.len(),
    }
}
