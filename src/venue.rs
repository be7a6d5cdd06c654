//! The other side of the wire: the exchange of the workspace's `exchange` crate, on a port of the seam.
//!
//! It publishes a simulated market on lines A and B, loses packets as told, takes orders and answers them. The demo runs
//! it on an lcore of its own ([`Venue::run`]); tests drive it step by step under a clock of theirs ([`Venue::pump`]).
//! All the encoding and matching is the `exchange` crate's, which shares no code with this one.

use std::net::{Ipv4Addr, SocketAddrV4};

use exchange::frames::{self, Addressing, Framer};
use exchange::gateway::{self, Gateway};
use exchange::lines::{self, Line, LineConfig};
use exchange::market::{self, Market, Phase};
use exchange::publisher::{self, Publisher};

use crate::config::Config;
use crate::market::Symbol;
use crate::nic::{RxBurst, RxQueue, TxQueue, tsc};
use crate::stats::clock::Clock;
use crate::stop::StopFlag;

/// How far line B is behind line A, ns.
const SKEW: u64 = 20_000;

/// How long orders are answered after the close, ns.
const AFTER_CLOSE: u64 = 300_000_000;

/// Most messages said between two looks at the orders: an order must not wait for a burst to end.
const ROUND: u32 = 16;

/// Resting orders of an instrument, on the average. Thin books, so that a resting order of a client is reached soon.
const ORDERS: u32 = 100;

/// The port of the feed's sender.
const FEED_PORT: u16 = 26_000;

/// What a venue is made from.
pub struct Setup<'a> {
    /// The handler's configuration: the venue is the other end of it.
    pub config: &'a Config,
    /// Messages a second.
    pub rate: u32,
    /// Instruments.
    pub symbols: u16,
    /// Names the day.
    pub seed: u64,
    /// Loss of each line; what one loses the other brings.
    pub loss_ppm: u32,
    /// Where order replies go.
    pub client_mac: [u8; 6],
    /// Ends everything early.
    pub stop: StopFlag,
}

/// An exchange that publishes on two lines and answers orders.
pub struct Venue {
    market: Market,
    publisher: Publisher,
    gateway: Gateway,
    line_frames: [Framer; 2],
    gateway_address: SocketAddrV4,
    reply: Addressing,
    rate: u32,
    said: u64,
    closed: bool,
    closing: StopFlag,
    stop: StopFlag,
}

/// What it leaves to be compared with.
pub struct Legacy {
    /// Its books, order by order, as text.
    pub books: Vec<u8>,
    /// Its idea of the client's positions, sorted.
    pub positions: Vec<(Symbol, i64)>,
    /// Counters of the market, of the gateway and of both lines.
    pub rows: Vec<(String, u64)>,
}

impl Venue {
    /// A venue before its first message.
    ///
    /// # Errors
    /// What is wrong with the setup, in words.
    pub fn new(setup: &Setup<'_>) -> Result<Self, String> {
        let gateway = setup.config.gateway.as_ref().ok_or("the demo's configuration has no [gateway]")?;
        let mac = gateway.mac.ok_or("the venue needs gateway.mac: it answers no ARP")?;
        let line_b = setup.config.feed.line_b.as_ref().ok_or("the demo's configuration has no line B")?;
        let market = Market::new(market::Config {
            symbols: setup.symbols,
            seed: setup.seed,
            rate: setup.rate,
            live_orders: u32::from(setup.symbols) * ORDERS,
            ..market::Config::default()
        })
        .map_err(|why| why.to_string())?;
        let lossy = LineConfig { loss_ppm: setup.loss_ppm, loss_burst: 3, ..LineConfig::default() };
        let publisher = Publisher::new(&publisher::Config {
            lines: lines::Config {
                seed: setup.seed,
                a: lossy,
                b: Some(LineConfig { delay_ns: SKEW, ..lossy }),
                disjoint: true,
                both_ppm: 0,
            },
            ..publisher::Config::default()
        });
        let framer = |group: Ipv4Addr, port| {
            let mut to = Addressing::multicast(mac, gateway.ip, group, port, None);
            to.src_port = FEED_PORT;
            Framer::new(to)
        };
        let line_a = &setup.config.feed.line_a;
        Ok(Self {
            market,
            publisher,
            gateway: Gateway::new(gateway::Config::default()),
            line_frames: [framer(line_a.group, line_a.port), framer(line_b.group, line_b.port)],
            gateway_address: SocketAddrV4::new(gateway.ip, gateway.port),
            reply: Addressing {
                src_mac: mac,
                dst_mac: setup.client_mac,
                src: gateway.ip,
                dst: gateway.local_ip,
                src_port: gateway.port,
                dst_port: gateway.local_port,
                vlan: None,
                ttl: 64,
            },
            rate: setup.rate,
            said: 0,
            closed: false,
            closing: StopFlag::new(),
            stop: setup.stop.clone(),
        })
    }

    /// Set it, and the venue closes its day and ends.
    #[must_use]
    pub fn closing(&self) -> StopFlag {
        self.closing.clone()
    }

    /// Plays in real time until [`Venue::closing`] is set, then closes the day, answers what is still under way, and
    /// leaves. Ends at once when the stop flag of the setup is set.
    pub fn run(mut self, rx: &mut impl RxQueue, tx: &mut impl TxQueue, clock: &Clock) -> Legacy {
        let began = tsc::now();
        let mut closed_at = None;
        loop {
            let now = clock.ns(tsc::now() - began);
            if self.stop.is_set() || closed_at.is_some_and(|at| now > at + AFTER_CLOSE) {
                return self.leave();
            }
            if closed_at.is_none() && self.closing.is_set() {
                self.close(tx, now);
                closed_at = Some(now);
            }
            if !self.pump(rx, tx, now) {
                // The main lcore shares this CPU.
                std::thread::yield_now();
            }
        }
    }

    /// Takes the orders that have come, says at most a round of the messages that are due at `now` (ns since the
    /// beginning), and sends what is due on the lines; false where nothing was due.
    pub fn pump(&mut self, rx: &mut impl RxQueue, tx: &mut impl TxQueue, now: u64) -> bool {
        self.take_orders(rx, tx, now);
        let due = u128::from(now) * u128::from(self.rate) / 1_000_000_000;
        let mut round = 0;
        while !self.closed && u128::from(self.said) < due && round < ROUND {
            self.step(tx, now);
            round += 1;
        }
        let Self { publisher, line_frames, stop, .. } = self;
        publisher.tick(now, &mut |line, _, packet| send_line(line_frames, tx, stop, line, packet));
        round != 0
    }

    /// One thing happens in the market.
    fn step(&mut self, tx: &mut impl TxQueue, now: u64) {
        let Self { market, publisher, line_frames, stop, said, .. } = self;
        market.step(&mut |message| {
            *said += 1;
            // No ITCH message is longer than a packet.
            let _ = publisher.push(now, message, &mut |line, _, packet| {
                send_line(line_frames, tx, stop, line, packet);
            });
        });
        self.gateway.settle(&mut self.market);
        self.answer(tx);
    }

    fn take_orders(&mut self, rx: &mut impl RxQueue, tx: &mut impl TxQueue, now: u64) {
        let burst = rx.poll();
        if burst.is_empty() {
            return;
        }
        for at in 0..burst.len() {
            let Ok(datagram) = frames::parse(burst.frame(at).bytes) else { continue };
            if SocketAddrV4::new(datagram.to.dst, datagram.to.dst_port) != self.gateway_address {
                continue;
            }
            let from = SocketAddrV4::new(datagram.to.src, datagram.to.src_port);
            let Self { market, publisher, gateway, line_frames, stop, .. } = self;
            gateway.on_datagram(from, datagram.payload, market, &mut |message| {
                let _ = publisher.push(now, message, &mut |line, _, packet| {
                    send_line(line_frames, tx, stop, line, packet);
                });
            });
        }
        drop(burst);
        rx.refill();
        self.answer(tx);
    }

    fn answer(&mut self, tx: &mut impl TxQueue) {
        let Self { gateway, reply, stop, .. } = self;
        gateway.send(&mut |to, packet| {
            let mut framer = Framer::new(Addressing { dst: *to.ip(), dst_port: to.port(), ..*reply });
            if let Some(frame) = framer.frame(packet) {
                transmit(tx, stop, frame);
            }
        });
    }

    /// Ends the day: the close of the market, the end of the session. Orders are answered still.
    pub fn close(&mut self, tx: &mut impl TxQueue, now: u64) {
        self.closed = true;
        // A day that is closed while it opens would never have traded.
        while matches!(self.market.phase(), Phase::Opening(_)) {
            self.step(tx, now);
        }
        let Self { market, publisher, line_frames, stop, .. } = self;
        market.close(8, &mut |message| {
            let _ = publisher.push(now, message, &mut |line, _, packet| {
                send_line(line_frames, tx, stop, line, packet);
            });
        });
        publisher.end(now, &mut |line, _, packet| send_line(line_frames, tx, stop, line, packet));
    }

    /// What there is to compare with.
    #[must_use]
    pub fn leave(self) -> Legacy {
        let mut books = Vec::new();
        // Writing to memory cannot fail.
        let _ = self.market.dump(&mut books);
        let mut positions: Vec<_> = self
            .gateway
            .accounts()
            .flat_map(|(_, account)| account.positions())
            .map(|(symbol, position)| (Symbol(symbol.0), position.shares()))
            .filter(|(_, shares)| *shares != 0)
            .collect();
        positions.sort_unstable();
        let owned = |prefix: &str, rows: &[(&'static str, u64)]| {
            rows.iter().map(|(name, value)| (format!("{prefix}_{name}"), *value)).collect::<Vec<_>>()
        };
        let mut rows = owned("market", &self.market.counters().rows());
        rows.extend(owned("gateway", &self.gateway.counters().rows()));
        for (prefix, line) in [("line_a", Line::A), ("line_b", Line::B)] {
            if let Some(counters) = self.publisher.lines().counters(line) {
                rows.extend(owned(prefix, &counters.rows()));
            }
        }
        Legacy { books, positions, rows }
    }
}

fn send_line(frames: &mut [Framer; 2], tx: &mut impl TxQueue, stop: &StopFlag, line: Line, packet: &[u8]) {
    let framer = match line {
        Line::A => &mut frames[0],
        Line::B => &mut frames[1],
    };
    if let Some(frame) = framer.frame(packet) {
        transmit(tx, stop, frame);
    }
}

/// Waits for room: what the exchange says it loses is lost on its lines, and nowhere else.
fn transmit(tx: &mut impl TxQueue, stop: &StopFlag, frame: &[u8]) {
    while !stop.is_set() {
        if let Some(mut slot) = tx.reserve()
            && let Some(room) = slot.get_mut(..frame.len())
        {
            room.copy_from_slice(frame);
            // Packets are limited to an MTU.
            if tx.send(slot, u16::try_from(frame.len()).unwrap_or(u16::MAX)).is_ok() {
                return;
            }
        }
        tx.reclaim();
        std::thread::yield_now();
    }
}
