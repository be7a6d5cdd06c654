//! The session of OUCH 5.0 in SoupBinTCP: logs in, keeps alive, resumes, and knows after a break what became of every order.
//!
//! # No order twice, none unknown
//! What was written before a connection broke may or may not have come to the venue, and is never sent again. After the
//! next login, at the first message that was not heard, the venue repeats what it said meanwhile; then the session asks an
//! account query. OUCH numbers its replies in one sequence, so the answer stands behind every reply to an order that had
//! come there. What is unanswered by then never came: new orders and replacements are reported as rejected
//! ([`NEVER_ARRIVED`]), cancels as refused, and [`OrderEventKind::Resumed`] ends the list. Only then is the session healthy
//! again. An order that has no reply although the venue counts its number as used contradicts that, and leaves positions
//! uncertain ([`OrderEventKind::Lost`]). This relies on a venue that has done with one connection of a user before it lets
//! the same user in on another, as SoupBinTCP servers do.
//!
//! At the first login of a process the venue repeats the whole day: what earlier processes entered is
//! [adopted](OrderEventKind::Adopted), and that is how a new process knows orders and positions. Earlier answers to account
//! queries are repeated, too. So the query waits for a heartbeat of the server: it sends none while it has anything else to
//! send.
//!
//! # What stops a session
//! A rejected login (more attempts may lock the account), an end of session, another session than the one that was begun:
//! [`Phase::Stopped`] until [`Session::resume`]. Anything else that breaks a connection is followed by another attempt, at
//! first after 100 ms, at last every 10 s.

use super::ouch::{self, OuchProfile};
use super::packets::OrderPackets;
use super::soup::{Client, Due, Fault, Login, Said, SoupCounters};
use super::stream::{Stream, StreamState};
use super::{SendError, Session, SessionCounters};
use crate::blotter::table::RecentTable;
use crate::blotter::{NEVER_ARRIVED, OrderEvent, OrderEventKind};
use crate::nic::{Frame, TxQueue};
use crate::risk::{Cleared, Rehearsal, Request};
use crate::wire::NoRoom;
use crate::wire::ethernet::Mac;
use crate::wire::ouch::AccountQuery;
use crate::wire::soup::{HEADER_LEN, LoginRequest, emit, packet_type};

/// Longest wait for a connection, for the answer to a login, and for that to an account query, ns.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Longest wait for the connection to end after a logout, ns.
const LEAVING_NS: u64 = 2_000_000_000;

/// Shortest and longest wait before another attempt, ns.
const RETRY_NS: (u64, u64) = (100_000_000, 10_000_000_000);

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not connected; another attempt will be made.
    Down,
    /// The connection is being made.
    Connecting,
    /// The login is not answered yet.
    LoggingIn,
    /// The first login of this process: the venue repeats what it said to those before.
    Replaying,
    /// The account query is not answered yet.
    Asking,
    /// Orders may leave.
    Up,
    /// Logged out; the connection is about to end.
    Leaving,
    /// No further attempt is made before [`Session::resume`].
    Stopped,
}

/// What happened to the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifeCounters {
    /// Attempts to connect.
    pub attempts: u64,
    /// Connections that broke after their login was sent.
    pub breaks: u64,
    /// Attempts that found nobody, or no answer in time.
    pub timeouts: u64,
    /// Account queries asked.
    pub queries: u64,
    /// Times that the session came up.
    pub ups: u64,
    /// New orders and replacements that never came to the venue.
    pub never_arrived: u64,
    /// Cancels that never came to the venue, or that it had nothing to answer to.
    pub cancels_unanswered: u64,
    /// New orders without a reply though the venue counts their number as used.
    pub contradictions: u64,
}

impl LifeCounters {
    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 8] {
        [
            ("session_attempts", self.attempts),
            ("session_breaks", self.breaks),
            ("session_timeouts", self.timeouts),
            ("session_queries", self.queries),
            ("session_ups", self.ups),
            ("session_never_arrived", self.never_arrived),
            ("session_cancels_unanswered", self.cancels_unanswered),
            ("session_contradictions", self.contradictions),
        ]
    }
}

/// What of our doing the venue has not answered yet.
#[derive(Debug)]
struct Unanswered {
    /// New orders (`true`) and replacements.
    orders: RecentTable<u32, bool>,
    cancels: RecentTable<u32, ()>,
}

impl Unanswered {
    #[inline]
    fn on_sent(&mut self, request: &Request) {
        match *request {
            Request::Enter { user_ref_num, .. } => self.orders.insert(user_ref_num, true),
            Request::Replace { user_ref_num, .. } => self.orders.insert(user_ref_num, false),
            Request::Cancel { user_ref_num } => self.cancels.insert(user_ref_num, ()),
        }
    }

    /// Asks for what [`Unanswered::on_sent`] of a new order will touch.
    fn prefetch(&self, request: &Request) {
        if let Request::Enter { user_ref_num, .. } = *request {
            self.orders.prefetch(user_ref_num);
        }
    }

    fn on_event(&mut self, event: &OrderEvent) {
        let id = event.user_ref_num;
        self.orders.remove(id);
        match event.kind {
            OrderEventKind::Canceled { .. }
            | OrderEventKind::CancelReject
            | OrderEventKind::CancelPending => {
                self.cancels.remove(id);
            }
            OrderEventKind::Replaced { original, .. } => {
                self.cancels.remove(original);
            }
            _ => {}
        }
    }
}

/// What was heard in one call, for the session to act on.
#[derive(Debug, Default)]
struct Heard {
    /// The session was not up yet: what comes is about orders of earlier processes.
    repeated: bool,
    logged_in: bool,
    answer: Option<u32>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Try again.
    Break,
    /// Do not.
    Stop,
    /// Do not, and if somebody wants to, begin another session.
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct OuchSession<S> {
    stream: S,
    soup: Client,
    packets: OrderPackets,
    unanswered: Unanswered,
    phase: Phase,
    /// When the phase has lasted too long, or when the next attempt is due.
    deadline: u64,
    retry_ns: u64,
    /// Server's heartbeats at the login.
    heartbeats: u64,
    /// The session was up once in this process.
    was_up: bool,
    /// Replies were lost.
    lost: bool,
    /// The venue's session is over, or was another one.
    over: bool,
    now: u64,
    counters: SessionCounters,
    life: LifeCounters,
}

impl<S: Stream> OuchSession<S> {
    /// A session that connects at the first [`Session::poll`], and wants to hear everything from the first message on,
    /// whatever `login.next` is. Up to `unanswered` orders and as many cancels are
    /// remembered until they are answered: at least as many as may be open.
    ///
    /// # Errors
    /// None that can happen: every message fits its packet.
    pub fn new(stream: S, login: Login, profile: &OuchProfile, unanswered: usize) -> Result<Self, NoRoom> {
        let unanswered =
            Unanswered { orders: RecentTable::new(unanswered), cancels: RecentTable::new(unanswered) };
        Ok(Self {
            stream,
            soup: Client::new(Login { next: 1, ..login }),
            packets: OrderPackets::new(profile)?,
            unanswered,
            phase: Phase::Down,
            deadline: 0,
            retry_ns: RETRY_NS.0,
            heartbeats: 0,
            was_up: false,
            lost: false,
            over: false,
            now: 0,
            counters: SessionCounters::default(),
            life: LifeCounters::default(),
        })
    }

    /// Where the session stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The venue's session and the first message of it that was not heard. A later process begins with the first of all: it
    /// has no other way to know what is open and held.
    #[must_use]
    pub const fn resume_point(&self) -> ([u8; 10], u64) {
        self.soup.resume_point()
    }

    /// What carries the session.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// What SoupBinTCP heard.
    #[must_use]
    pub const fn soup_counters(&self) -> &SoupCounters {
        self.soup.counters()
    }

    /// What happened to the connection.
    #[must_use]
    pub const fn life_counters(&self) -> &LifeCounters {
        &self.life
    }

    /// Says good-bye and makes no further attempt. Orders stay as the venue has them.
    pub fn log_out<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) {
        self.now = now_ns;
        match self.phase {
            Phase::LoggingIn | Phase::Replaying | Phase::Asking | Phase::Up => {
                self.say(packet_type::LOGOUT_REQUEST, tx);
                self.stream.close(now_ns, tx);
                self.enter(Phase::Leaving, LEAVING_NS);
            }
            Phase::Leaving => {}
            Phase::Down | Phase::Connecting | Phase::Stopped => {
                self.stream.abort(now_ns, tx);
                self.phase = Phase::Stopped;
            }
        }
    }

    const fn enter(&mut self, phase: Phase, lasts_ns: u64) {
        self.phase = phase;
        self.deadline = self.now.saturating_add(lasts_ns);
    }

    /// Sends bytes that are no order. What cannot leave now breaks the connection by and by: nobody hears of us.
    fn write<T: TxQueue>(&mut self, bytes: &[u8], tx: &mut T) -> bool {
        match self.stream.write(bytes, tx) {
            Ok(()) => {
                self.soup.on_sent(self.now);
                true
            }
            Err(error) => {
                self.counters.count(error);
                false
            }
        }
    }

    /// Sends a packet without a payload.
    fn say<T: TxQueue>(&mut self, packet_type: u8, tx: &mut T) -> bool {
        let mut packet = [0; HEADER_LEN];
        emit(&mut packet, packet_type, &[]).is_ok() && self.write(&packet, tx)
    }

    fn log_in<T: TxQueue>(&mut self, tx: &mut T) {
        self.soup.connected(self.now);
        self.heartbeats = self.soup.counters().heartbeats;
        let mut packet = [0; LoginRequest::LEN];
        if self.soup.login().emit(&mut packet).is_ok() && self.write(&packet, tx) {
            self.enter(Phase::LoggingIn, PATIENCE_NS);
        }
    }

    fn ask<T: TxQueue>(&mut self, tx: &mut T) {
        let mut query = [0; AccountQuery::EMITTED_LEN];
        let mut packet = [0; HEADER_LEN + AccountQuery::EMITTED_LEN];
        let emitted = AccountQuery {}.emit(&mut query).and_then(|len| {
            emit(&mut packet, packet_type::UNSEQUENCED_DATA, query.get(..len).unwrap_or_default())
        });
        if emitted.is_ok() && self.write(&packet, tx) {
            self.life.queries += 1;
            self.enter(Phase::Asking, PATIENCE_NS);
        }
    }

    /// The venue has said everything: what is unanswered never came there.
    fn come_up(&mut self, next: u32, on_event: &mut impl FnMut(OrderEvent)) {
        let event = |user_ref_num, kind| OrderEvent { user_ref_num, timestamp: 0, kind };
        let Self { unanswered, life, lost, .. } = self;
        while let Some((id, is_new)) = unanswered.orders.iter().map(|(id, is_new)| (id, *is_new)).min() {
            unanswered.orders.remove(id);
            if is_new && id < next {
                life.contradictions += 1;
                *lost = true;
                on_event(event(0, OrderEventKind::Lost { messages: 1 }));
            } else {
                life.never_arrived += 1;
                on_event(event(id, OrderEventKind::Rejected { reason: NEVER_ARRIVED }));
            }
        }
        while let Some(id) = unanswered.cancels.iter().map(|(id, ())| id).min() {
            unanswered.cancels.remove(id);
            life.cancels_unanswered += 1;
            on_event(event(id, OrderEventKind::CancelReject));
        }
        on_event(event(0, OrderEventKind::Resumed { next }));
        life.ups += 1;
        self.was_up = true;
        self.retry_ns = RETRY_NS.0;
        self.phase = Phase::Up;
    }

    /// The connection is over.
    fn drop_connection<T: TxQueue>(&mut self, end: End, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        self.stream.abort(self.now, tx);
        self.soup.disconnected();
        match self.phase {
            Phase::Connecting => self.life.timeouts += 1,
            Phase::LoggingIn | Phase::Replaying | Phase::Asking | Phase::Up => {
                self.life.breaks += 1;
                on_event(OrderEvent { user_ref_num: 0, timestamp: 0, kind: OrderEventKind::Disconnected });
            }
            Phase::Leaving => {
                on_event(OrderEvent { user_ref_num: 0, timestamp: 0, kind: OrderEventKind::Disconnected });
            }
            Phase::Down | Phase::Stopped => {}
        }
        self.over |= end == End::Over;
        if end != End::Break || self.phase == Phase::Leaving {
            self.phase = Phase::Stopped;
        } else {
            self.enter(Phase::Down, self.retry_ns);
            self.retry_ns = (self.retry_ns * 2).min(RETRY_NS.1);
        }
    }

    /// Acts on what was heard, and on the clock.
    fn advance<T: TxQueue>(&mut self, heard: &Heard, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        if let Some(end) = heard.end {
            return self.drop_connection(end, tx, on_event);
        }
        let late = self.now >= self.deadline;
        match self.phase {
            Phase::Stopped => return,
            Phase::Down => {
                if late && self.stream.reachable() {
                    self.life.attempts += 1;
                    self.enter(Phase::Connecting, PATIENCE_NS);
                    self.stream.connect(self.now, tx);
                }
                return;
            }
            Phase::Connecting => match self.stream.state() {
                StreamState::Open => self.log_in(tx),
                StreamState::Connecting if !late => {}
                _ => self.drop_connection(End::Break, tx, on_event),
            },
            Phase::LoggingIn if heard.logged_in && self.was_up => self.ask(tx),
            Phase::LoggingIn if heard.logged_in => self.enter(Phase::Replaying, 0),
            Phase::Replaying if self.soup.counters().heartbeats != self.heartbeats => self.ask(tx),
            Phase::Asking if heard.answer.is_some() => {
                self.come_up(heard.answer.unwrap_or_default(), on_event);
            }
            Phase::LoggingIn | Phase::Asking | Phase::Leaving if late => {
                self.life.timeouts += 1;
                self.drop_connection(End::Break, tx, on_event);
            }
            Phase::LoggingIn | Phase::Replaying | Phase::Asking | Phase::Up | Phase::Leaving => {}
        }
        if !matches!(self.phase, Phase::Down | Phase::Connecting | Phase::Stopped) {
            self.keep(tx, on_event);
        }
    }

    /// Heartbeats, and the end of a connection that is no more.
    fn keep<T: TxQueue>(&mut self, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        if matches!(self.stream.state(), StreamState::Closed | StreamState::Ended) {
            return self.drop_connection(End::Break, tx, on_event);
        }
        match self.soup.due(self.now) {
            Due::Nothing => {}
            Due::Heartbeat => {
                self.counters.heartbeats += u64::from(self.say(packet_type::CLIENT_HEARTBEAT, tx));
            }
            Due::Silence => self.drop_connection(End::Break, tx, on_event),
        }
    }
}

/// Takes up bytes of the venue.
fn take(
    soup: &mut Client,
    unanswered: &mut Unanswered,
    counters: &mut SessionCounters,
    lost: &mut bool,
    (now, bytes): (u64, &[u8]),
    heard: &mut Heard,
    on_event: &mut impl FnMut(OrderEvent),
) {
    counters.packets += 1;
    let read = if heard.repeated { ouch::decode_repeated } else { ouch::decode };
    let repeated = soup.counters().repeated;
    soup.receive(now, bytes, &mut |said| match said {
        Said::LoggedIn => heard.logged_in = true,
        Said::Rejected(_) => heard.end = Some(End::Stop),
        Said::EndOfSession => {
            counters.ends += 1;
            heard.end = Some(End::Over);
        }
        Said::Broken(Fault::OtherSession) => {
            counters.foreign_packets += 1;
            heard.end = Some(End::Over);
        }
        Said::Broken(_) => {
            counters.bad_packets += 1;
            heard.end = Some(End::Break);
        }
        Said::Missing(messages) => {
            counters.gaps += 1;
            counters.gap_messages = counters.gap_messages.saturating_add(messages);
            *lost = true;
            on_event(OrderEvent { user_ref_num: 0, timestamp: 0, kind: OrderEventKind::Lost { messages } });
        }
        Said::Message(message) => match read(message) {
            Ok(Some(event)) => {
                counters.events += 1;
                *lost |= matches!(event.kind, OrderEventKind::Lost { .. });
                unanswered.on_event(&event);
                if let OrderEventKind::NextUserRef { next } = event.kind {
                    heard.answer = Some(next);
                }
                on_event(event);
            }
            Ok(None) => counters.other_messages += 1,
            Err(_) => {
                counters.bad_messages += 1;
                *lost = true;
                on_event(OrderEvent {
                    user_ref_num: 0,
                    timestamp: 0,
                    kind: OrderEventKind::Lost { messages: 1 },
                });
            }
        },
        Said::Unsequenced(_) => counters.other_messages += 1,
    });
    counters.duplicates += soup.counters().repeated - repeated;
}

impl<S: Stream> Session for OuchSession<S> {
    #[inline]
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError> {
        let request = cleared.request();
        let result = match self.phase {
            Phase::Up => self.stream.write(self.packets.patch(request), tx),
            _ => Err(SendError::NotOpen),
        };
        match result {
            Ok(()) => {
                self.counters.count_sent(request);
                self.unanswered.on_sent(request);
                self.soup.on_sent(self.now);
            }
            Err(error) => self.counters.count(error),
        }
        result
    }

    fn rehearse<T: TxQueue>(&mut self, rehearsal: &Rehearsal, tx: &mut T) {
        if self.phase == Phase::Up {
            let request = rehearsal.request();
            self.stream.rehearse(self.packets.patch(request), tx);
            self.unanswered.prefetch(request);
        }
    }

    fn on_frame<T: TxQueue>(
        &mut self,
        frame: Frame<'_>,
        now_ns: u64,
        tx: &mut T,
        on_event: &mut impl FnMut(OrderEvent),
    ) -> bool {
        self.now = now_ns;
        let mut heard = Heard { repeated: !self.was_up, ..Heard::default() };
        let Self { stream, soup, unanswered, counters, lost, .. } = self;
        let ours = stream.on_frame(frame, now_ns, tx, &mut |bytes| {
            take(soup, unanswered, counters, lost, (now_ns, bytes), &mut heard, on_event);
        });
        if ours {
            self.advance(&heard, tx, on_event);
        }
        ours
    }

    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        self.now = now_ns;
        let mut heard = Heard { repeated: !self.was_up, ..Heard::default() };
        let Self { stream, soup, unanswered, counters, lost, .. } = self;
        stream.poll(now_ns, tx, &mut |bytes| {
            take(soup, unanswered, counters, lost, (now_ns, bytes), &mut heard, on_event);
        });
        self.advance(&heard, tx, on_event);
    }

    fn has_connection(&self) -> bool {
        true
    }

    fn log_out<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) {
        Self::log_out(self, now_ns, tx);
    }

    fn has_left(&self) -> bool {
        self.phase == Phase::Stopped
    }

    fn set_next_hop(&mut self, mac: Option<Mac>) {
        self.stream.set_next_hop(mac);
    }

    fn healthy(&self) -> bool {
        self.phase == Phase::Up && !self.lost && self.stream.reachable()
    }

    fn resume(&mut self) {
        self.lost = false;
        if self.phase == Phase::Stopped {
            if std::mem::take(&mut self.over) {
                self.soup.forget_session();
                self.was_up = false;
            }
            self.phase = Phase::Down;
            self.deadline = 0;
            self.retry_ns = RETRY_NS.0;
        }
    }

    fn counters(&self) -> &SessionCounters {
        &self.counters
    }
}
