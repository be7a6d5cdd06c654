//! The whole venue behind one face: market, lines, request servers, snapshots, order gateway, and everything that may
//! go wrong with them.
//!
//! An [`Exchange`] does no I/O and reads no clock. Whoever drives it (a simulation, kernel sockets, a port) hands in
//! what came and the time, in ns from the venue's beginning, never going back; and carries away what it hands out
//! ([`Output`]). The same [`Config`], inputs and times give the same outputs. What the lines bring does not even depend
//! on how often [`Exchange::tick`] is called: messages and faults happen when they are due, not when somebody looks.

mod config;
mod connections;
mod fault;
mod feed;
mod pacer;
mod recovery;
mod report;

pub use config::{Config, ConfigError, Roll};
pub use fault::{Fault, FaultCounters};
pub use pacer::Bursts;
pub use recovery::REQUEST_SERVERS;

pub use crate::soup::ConnId;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use connections::pass;
use fault::Plan;
use feed::Feed;
use pacer::Pacer;
use recovery::Recovery;

use crate::gateway::Gateway;
use crate::lines::Line;
use crate::market::{self, Market, Phase};

/// The most steps of the market in one [`Exchange::tick`]: an order must not wait for a burst to end.
const ROUND: u32 = 32;

/// The most steps without a message in one turn.
const TRIES: u32 = 32;

/// Deletes after the end of system hours.
const LATE_DELETES: u64 = 8;

/// What listens on TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Snapshots.
    Glimpse,
    /// OUCH orders over SoupBinTCP.
    Orders,
}

/// What the venue hands out, to be delivered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// A payload that arrives now on a line. The line's delays and accidents are done.
    Line(Line, &'a [u8]),
    /// An answer of a request server.
    Answer {
        /// Which server, 0 or 1.
        server: usize,
        /// Who asked.
        to: SocketAddrV4,
        /// A MoldUDP64 packet.
        payload: &'a [u8],
    },
    /// A datagram of the order gateway, in the test framing.
    Reply {
        /// The client.
        to: SocketAddrV4,
        /// A MoldUDP64 packet of OUCH messages.
        payload: &'a [u8],
    },
    /// Bytes on a connection.
    Tcp {
        /// Which one.
        conn: ConnId,
        /// To be sent in order.
        bytes: &'a [u8],
    },
    /// The venue closes a connection, after what was sent on it.
    Close {
        /// Which one.
        conn: ConnId,
    },
}

/// A venue. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Exchange {
    market: Market,
    gateway: Gateway,
    /// Ns between heartbeats to clients of the test framing, 0 for none; and when the next one is due.
    beat: u64,
    next_beat: u64,
    feed: Feed,
    recovery: Recovery,
    /// TCP connections that stand.
    conns: BTreeMap<ConnId, Service>,
    /// TCP connections that came while the link was down, to be closed: as many as the caller holds open.
    refused: Vec<ConnId>,
    pacer: Pacer,
    plan: Plan,
    roll: Roll,
    roll_pause: u64,
    /// The link is down before this time.
    down_until: u64,
    /// The latest time on the feed. Messages that are said late have later times than they were due at.
    clock: u64,
    counters: FaultCounters,
}

impl Exchange {
    /// A venue before its first message.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong with the configuration.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let market = Market::new(market::Config { rate: config.rate, ..config.market })?;
        Ok(Self {
            market,
            gateway: Gateway::new(config.gateway.clone()),
            beat: config.reply_heartbeat_ns,
            next_beat: config.reply_heartbeat_ns,
            feed: Feed::new(&config.publisher, config.archive_bytes),
            recovery: Recovery::new(config.requests, &config.glimpse, config.publisher.session),
            conns: BTreeMap::new(),
            refused: Vec::new(),
            pacer: Pacer::new(config.rate, config.bursts),
            plan: Plan::new(&config.plan),
            roll: config.roll,
            roll_pause: config.roll_pause_ns,
            down_until: 0,
            clock: 0,
            counters: FaultCounters::default(),
        })
    }

    /// Does what is due by `now`: faults of the plan, at most a bounded round of what happens in the market, packets
    /// and heartbeats, answers, snapshots. True when more is due: call again, with the same time or a later one.
    pub fn tick(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) -> bool {
        let more = self.tick_market(now, out);
        // While the market is behind, the feed is too; who asks for what it has said is not kept waiting.
        let at = if more { self.clock } else { self.advance(now) };
        self.feed.tick(at, out);
        self.tick_servers(now, at, out);
        more
    }

    fn tick_market(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) -> bool {
        for _ in 0..ROUND {
            let due = self.market_due().min(self.plan.due());
            if due > now {
                return false;
            }
            let at = self.advance(due);
            if self.plan.due() == due
                && let Some(fault) = self.plan.take()
            {
                self.apply(at, fault, out);
            } else {
                // Some have nothing to say when it is their turn; the rate is kept by asking others.
                let said = (0..TRIES).map(|_| self.step(at, out)).find(|said| *said > 0);
                self.pacer.said(said.unwrap_or(1));
            }
        }
        self.market_due().min(self.plan.due()) <= now
    }

    /// When [`Exchange::tick`] has something to do next, ns; may have passed. `u64::MAX` for never.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        if !self.refused.is_empty() {
            return 0;
        }
        let feed = self.market_due().min(self.plan.due()).min(self.feed.publisher.next_due());
        let beat = if self.beat > 0 { self.next_beat } else { u64::MAX };
        feed.min(self.recovery.next_due()).min(self.gateway.next_due()).min(beat)
    }

    /// A datagram came in at request server 0 or 1. An answer that takes its time comes from [`Exchange::tick`].
    pub fn on_request(
        &mut self,
        now: u64,
        server: usize,
        from: SocketAddrV4,
        payload: &[u8],
        out: &mut impl FnMut(Output<'_>),
    ) {
        if now < self.down_until {
            self.counters.swallowed_in += 1;
            return;
        }
        let Self { recovery, feed, counters, .. } = self;
        recovery.on_request(now, server, from, payload, feed);
        recovery.answer(now, feed, false, counters, out);
    }

    /// A datagram came in at the order gateway, in the test framing.
    pub fn on_order(
        &mut self,
        now: u64,
        from: SocketAddrV4,
        payload: &[u8],
        out: &mut impl FnMut(Output<'_>),
    ) {
        if now < self.down_until {
            self.counters.swallowed_in += 1;
            return;
        }
        let at = self.advance(now);
        let Self { market, gateway, feed, .. } = self;
        gateway.on_datagram(from, payload, market, &mut |message| feed.say(at, message, out));
        self.answer(at, out);
    }

    /// Something goes wrong now.
    pub fn inject(&mut self, now: u64, fault: Fault, out: &mut impl FnMut(Output<'_>)) {
        let at = self.advance(now);
        self.apply(at, fault, out);
    }

    /// Ends the day: the market's close with some late deletes, then the end of the session, which is repeated as long
    /// as time goes on. What was asked for is still answered. Only [`Fault::SessionRoll`] begins another day.
    pub fn close(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) {
        let at = self.advance(now);
        // A day that is closed while it opens would never have traded.
        while matches!(self.market.phase(), Phase::Opening(_)) {
            self.step(at, out);
        }
        let Self { market, feed, .. } = self;
        market.close(LATE_DELETES, &mut |message| feed.say(at, message, out));
        feed.close(at, out);
        self.recovery.close(now);
        self.gateway.expire(&mut self.market);
        self.answer(at, out);
    }

    /// Ends the order sessions: every client is told, and connections end. For when nothing more will be answered; once.
    pub fn end_orders(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) {
        let time = self.market.time();
        self.gateway.settle(&mut self.market);
        self.gateway.end(time, &mut replies(self.down_until, now, &mut self.counters, out));
    }

    /// Has the day been closed, and its end told as often as everybody is told?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.feed.publisher.is_over()
    }

    /// When the market has something to say; never once it is closed.
    fn market_due(&self) -> u64 {
        if self.market.phase() == Phase::Closed { u64::MAX } else { self.pacer.due() }
    }

    /// The time at which something happens that is due at `time`.
    fn advance(&mut self, time: u64) -> u64 {
        self.clock = self.clock.max(time);
        self.clock
    }

    /// One thing happens in the market. Returns the number of messages that it took.
    fn step(&mut self, at: u64, out: &mut impl FnMut(Output<'_>)) -> u64 {
        let Self { market, feed, gateway, .. } = self;
        let mut said = 0;
        market.step(&mut |message| {
            said += 1;
            feed.say(at, message, out);
        });
        if market.has_fills() {
            gateway.settle(market);
            self.answer(at, out);
        }
        said
    }

    /// Sends what the gateway has to tell in the test framing.
    fn answer(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) {
        self.gateway.send(&mut replies(self.down_until, now, &mut self.counters, out));
    }

    /// Something goes wrong.
    fn apply(&mut self, at: u64, fault: Fault, out: &mut impl FnMut(Output<'_>)) {
        match fault {
            Fault::Burst { factor, length } => {
                self.counters.bursts += 1;
                self.pacer.burst(at, factor, length);
            }
            Fault::LoseOnBoth { messages } => {
                self.counters.doomed += u64::from(messages);
                self.feed.lose_on_both(at, messages, out);
            }
            Fault::LineDead { line, length } => {
                self.counters.deaths += 1;
                self.feed.publisher.kill(line, at.saturating_add(length));
            }
            Fault::LinkFlap { length } => self.flap(at, length, out),
            Fault::Requests { server, fault } => {
                self.counters.servers += 1;
                self.recovery.set_requests_fault(server, fault);
            }
            Fault::Glimpse(fault) => {
                self.counters.servers += 1;
                self.recovery.glimpse.set_fault(fault);
            }
            Fault::DropOrders => {
                self.counters.drops += 1;
                let Self { gateway, conns, .. } = self;
                gateway.drop_connections(&mut |output| pass(conns, output, out));
            }
            Fault::SessionRoll => self.roll(at, out),
        }
    }

    fn roll(&mut self, at: u64, out: &mut impl FnMut(Output<'_>)) {
        self.counters.rolls += 1;
        self.gateway.settle(&mut self.market);
        let time = self.market.time();
        let gone = self.market.roll();
        self.counters.purged += gone.len() as u64;
        self.gateway.purge(&gone, time);
        self.answer(at, out);
        let session = self.feed.roll(at, self.roll == Roll::Said, out);
        self.recovery.roll(session);
        self.pacer.pause(at.saturating_add(self.roll_pause));
    }
}

/// Hands out the gateway's datagrams, unless the link is down.
fn replies<'a>(
    down_until: u64,
    now: u64,
    counters: &'a mut FaultCounters,
    out: &'a mut impl FnMut(Output<'_>),
) -> impl FnMut(SocketAddrV4, &[u8]) + 'a {
    move |to, payload| {
        if now < down_until {
            counters.swallowed_out += 1;
        } else {
            out(Output::Reply { to, payload });
        }
    }
}
