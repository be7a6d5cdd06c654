//! The whole venue behind one face: market, lines, order gateway, and everything that may go wrong with them.
//!
//! An [`Exchange`] does no I/O and reads no clock. Whoever drives it (a simulation, kernel sockets, a port) hands in
//! what came and the time, in ns from the venue's beginning, never going back; and carries away what it hands out
//! ([`Output`]). The same [`Config`], inputs and times give the same outputs. What the lines bring does not even depend
//! on how often [`Exchange::tick`] is called: messages and faults happen when they are due, not when somebody looks.

mod config;
mod fault;
mod pacer;

pub use config::{Config, ConfigError, Roll};
pub use fault::{Fault, FaultCounters};
pub use pacer::Bursts;

use std::net::SocketAddrV4;

use fault::Plan;
use pacer::Pacer;

use crate::gateway::Gateway;
use crate::lines::Line;
use crate::market::{Market, Phase};
use crate::publisher::Publisher;
use crate::units::Symbol;

/// The most steps of the market in one [`Exchange::tick`]: an order must not wait for a burst to end.
const ROUND: u32 = 32;

/// Deletes after the end of system hours.
const LATE_DELETES: u64 = 8;

/// A TCP connection; numbers are given by whoever drives the venue, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

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
    publisher: Publisher,
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
        let market = market_of(config)?;
        Ok(Self {
            market,
            gateway: Gateway::new(config.gateway),
            publisher: Publisher::new(&config.publisher),
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
    /// and heartbeats. True when more is due: call again, with the same time or a later one.
    pub fn tick(&mut self, now: u64, out: &mut impl FnMut(Output<'_>)) -> bool {
        let mut round = 0;
        while let due = self.market_due().min(self.plan.due())
            && due <= now
        {
            if round == ROUND {
                let clock = self.clock;
                self.tick_feed(clock, out);
                return true;
            }
            round += 1;
            let at = self.advance(due);
            if self.plan.due() == due
                && let Some(fault) = self.plan.take()
            {
                self.apply(at, fault, out);
            } else {
                let said = self.step(at, out);
                // Who has nothing to say has had his turn all the same.
                self.pacer.said(said.max(1));
            }
        }
        let at = self.advance(now);
        self.tick_feed(at, out);
        false
    }

    /// When [`Exchange::tick`] has something to do next, ns; may have passed. `u64::MAX` for never.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.market_due().min(self.plan.due()).min(self.publisher.next_due())
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
        let Self { market, gateway, publisher, .. } = self;
        gateway.on_datagram(from, payload, market, &mut |message| say(publisher, at, message, out));
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
        let Self { market, publisher, .. } = self;
        market.close(LATE_DELETES, &mut |message| say(publisher, at, message, out));
        publisher.close(at, &mut |line, _, packet| arrives(line, packet, out));
        self.gateway.settle(&mut self.market);
        self.answer(at, out);
    }

    /// Has the day been closed, and its end told as often as everybody is told?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.publisher.is_over()
    }

    /// The market.
    #[must_use]
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The order gateway.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The publisher, for its session and sequence and the lines' counters.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// What went wrong on command.
    #[must_use]
    pub fn faults(&self) -> &FaultCounters {
        &self.counters
    }

    /// What all outside clients together own, by symbol; instruments without a position left out.
    #[must_use]
    pub fn positions(&self) -> Vec<(Symbol, i64)> {
        let mut positions = std::collections::BTreeMap::new();
        for (symbol, position) in self.gateway.accounts().flat_map(|(_, account)| account.positions()) {
            *positions.entry(symbol).or_insert(0) += position.shares();
        }
        positions.into_iter().filter(|(_, shares)| *shares != 0).collect()
    }

    /// Counters of all parts, each name with its part in front: `market_messages`, `line_a_lost`, …
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        let mut add = |part: &str, rows: &[(&'static str, u64)]| {
            all.extend(rows.iter().map(|(name, value)| (format!("{part}_{name}"), *value)));
        };
        add("market", &self.market.counters().rows());
        add("gateway", &self.gateway.counters().rows());
        let lines = self.publisher.lines();
        add("feed", &[("packets", lines.pushed()), ("packets_lost_on_both", lines.lost_on_all())]);
        for (part, line) in [("line_a", Line::A), ("line_b", Line::B)] {
            if let Some(counters) = lines.counters(line) {
                add(part, &counters.rows());
            }
        }
        add("fault", &self.counters.rows());
        all
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
        let Self { market, publisher, gateway, .. } = self;
        let mut said = 0;
        market.step(&mut |message| {
            said += 1;
            say(publisher, at, message, out);
        });
        if market.has_fills() {
            gateway.settle(market);
            self.answer(at, out);
        }
        said
    }

    fn tick_feed(&mut self, at: u64, out: &mut impl FnMut(Output<'_>)) {
        self.publisher.tick(at, &mut |line, _, packet| arrives(line, packet, out));
    }

    /// Sends what the gateway has to tell.
    fn answer(&mut self, at: u64, out: &mut impl FnMut(Output<'_>)) {
        let Self { gateway, counters, down_until, .. } = self;
        gateway.send(&mut |to, payload| {
            if at < *down_until {
                counters.swallowed_out += 1;
            } else {
                out(Output::Reply { to, payload });
            }
        });
    }

    fn apply(&mut self, at: u64, fault: Fault, out: &mut impl FnMut(Output<'_>)) {
        match fault {
            Fault::Burst { factor, length } => {
                self.counters.bursts += 1;
                self.pacer.burst(at, factor, length);
            }
            Fault::LoseOnBoth { messages } => {
                self.counters.doomed += u64::from(messages);
                self.publisher.lose_on_both(at, messages, &mut |line, _, packet| arrives(line, packet, out));
            }
            Fault::LineDead { line, length } => {
                self.counters.deaths += 1;
                self.publisher.kill(line, at.saturating_add(length));
            }
            Fault::LinkFlap { length } => {
                self.counters.flaps += 1;
                self.down_until = self.down_until.max(at.saturating_add(length));
                for line in [Line::A, Line::B] {
                    self.publisher.kill(line, self.down_until);
                }
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
        let session = next_session(self.publisher.session());
        self.publisher
            .roll(at, session, self.roll == Roll::Said, &mut |line, _, packet| arrives(line, packet, out));
        self.pacer.pause(at.saturating_add(self.roll_pause));
    }
}

/// Hands out a copy that arrives on a line.
fn arrives(line: Line, payload: &[u8], out: &mut impl FnMut(Output<'_>)) {
    out(Output::Line(line, payload));
}

/// Says one message of the feed.
fn say(publisher: &mut Publisher, at: u64, message: &[u8], out: &mut impl FnMut(Output<'_>)) {
    // No ITCH message is longer than a packet.
    let _ = publisher.push(at, message, &mut |line, _, packet| arrives(line, packet, out));
}

fn market_of(config: &Config) -> Result<Market, ConfigError> {
    Ok(Market::new(crate::market::Config { rate: config.rate, ..config.market })?)
}

/// The session after this one: the number at the end of its name is counted up, and goes round.
fn next_session(session: [u8; 10]) -> [u8; 10] {
    let mut next = session;
    for digit in next.iter_mut().rev() {
        match *digit {
            b'9' => *digit = b'0',
            b'0'..=b'8' => {
                *digit += 1;
                break;
            }
            _ => break,
        }
    }
    next
}
