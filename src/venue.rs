//! The other side of the wire: the exchange of the workspace's `exchange` crate, on a port of the seam.
//!
//! It publishes a simulated market on lines A and B, does to them what it is told, takes orders (OUCH over TCP, and the UDP
//! test framing, both to the gateway's address) and answers them. Its
//! request servers and its snapshots stand on kernel sockets beside the port, where a [`Setup`] names them. The demo and
//! `wirebook exchange` run it on an lcore of its own ([`Venue::run`]); tests drive it step by step under a clock of
//! theirs ([`Venue::pump`]). All the encoding, matching and breaking is the `exchange` crate's, which shares no code
//! with this one.

mod peers;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use exchange::frames::{self, Addressing, Framer};
use exchange::host::{self, Exchange, Fault, Output, Service};
use exchange::lines::{self, Line, LineConfig};
use exchange::sockets::{self, Services};
use exchange::{market, publisher};

use crate::config::Config;
use crate::market::Symbol;
use crate::nic::{RxBurst, RxQueue, TxQueue};
use crate::stats::clock::Clock;
use crate::stop::StopFlag;
use crate::tsc;
use peers::{Event, Peers};

/// How far line B is behind line A, ns.
const SKEW: u64 = 20_000;

/// Time between two looks at the sockets of the services, ns: a system call costs more than a message.
const SERVICES: u64 = 200_000;

/// How long the word that order sessions are over may take to arrive, ns.
const GOODBYE: u64 = 100_000_000;

/// The longest sleep where nothing is due; frames that come meanwhile wait in the port's ring.
const NAP: Duration = Duration::from_micros(100);

/// Resting orders of an instrument, on the average. Thin books, so that a resting order of a client is reached soon.
const ORDERS: u32 = 100;

/// Clients whose station is remembered.
const CLIENTS: usize = 1_024;

/// The port of the feed's sender.
const FEED_PORT: u16 = 26_000;

/// Who it is where the configuration names no gateway.
const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// As [`OWN_MAC`].
const OWN_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// What a venue is made from.
pub struct Setup<'a> {
    /// The handler's configuration: the venue is the other end of it.
    pub config: &'a Config,
    /// The market, its lines and its servers; [`exchange_config`] has the usual ones.
    pub exchange: host::Config,
    /// Request servers and snapshots on kernel sockets; `None`: they cannot be reached.
    pub services: Option<sockets::Config>,
    /// Closes the day after so many messages; `None`: when it is told to.
    pub messages: Option<u64>,
    /// How long clients are answered after the close.
    pub linger: Duration,
    /// Ends everything early.
    pub stop: StopFlag,
}

impl<'a> Setup<'a> {
    /// A venue without services that closes when it is told to.
    #[must_use]
    pub fn new(config: &'a Config, exchange: host::Config, stop: StopFlag) -> Self {
        let linger = Duration::from_millis(500);
        Self { config, exchange, services: None, messages: None, linger, stop }
    }
}

/// The exchange of demo and tests: what one line loses the other brings, except for what faults take from both.
#[must_use]
pub fn exchange_config(rate: u32, symbols: u16, seed: u64, loss_ppm: u32) -> host::Config {
    let lossy = LineConfig { loss_ppm, loss_burst: 3, ..LineConfig::default() };
    host::Config {
        rate,
        market: market::Config {
            symbols,
            seed,
            live_orders: u32::from(symbols) * ORDERS,
            ..market::Config::default()
        },
        publisher: publisher::Config {
            lines: lines::Config {
                seed,
                a: lossy,
                b: Some(LineConfig { delay_ns: SKEW, ..lossy }),
                disjoint: true,
                ..lines::Config::default()
            },
            ..publisher::Config::default()
        },
        ..host::Config::default()
    }
}

/// An exchange that publishes on two lines and answers clients.
pub struct Venue {
    exchange: Exchange,
    wire: Wire,
    services: Option<Services>,
    /// When the sockets of the services are looked at next, ns.
    services_due: u64,
    /// The time of the last pump, and when the day was closed, ns.
    now: u64,
    closed: Option<u64>,
    /// When order sessions were ended, ns.
    ended: Option<u64>,
    messages: u64,
    linger: u64,
    closing: StopFlag,
    stop: StopFlag,
}

/// What stands between the exchange and its port: headers.
struct Wire {
    line_frames: [Framer; 2],
    gateway: SocketAddrV4,
    reply: Addressing,
    /// The station that each client speaks from, to which its replies go.
    stations: BTreeMap<SocketAddrV4, [u8; 6]>,
    /// Clients by TCP.
    peers: Peers,
    stop: StopFlag,
}

/// What it leaves to be compared with.
pub struct Legacy {
    /// Its books, order by order, as text.
    pub books: Vec<u8>,
    /// Its idea of the client's positions, sorted.
    pub positions: Vec<(Symbol, i64)>,
    /// Counters of the market, of the gateway, of both lines and of the servers.
    pub rows: Vec<(String, u64)>,
    /// Messages that the market said.
    pub messages: u64,
    /// Time from the beginning to the close.
    pub played: Duration,
}

impl Venue {
    /// A venue before its first message.
    ///
    /// # Errors
    /// What is wrong with the setup, in words.
    pub fn new(setup: &Setup<'_>) -> Result<Self, String> {
        let exchange = Exchange::new(&setup.exchange).map_err(|why| why.to_string())?;
        let services =
            setup.services.as_ref().map(Services::bind).transpose().map_err(|why| why.to_string())?;
        Ok(Self {
            exchange,
            wire: Wire::new(setup)?,
            services,
            services_due: 0,
            now: 0,
            closed: None,
            ended: None,
            messages: setup.messages.unwrap_or(u64::MAX),
            linger: u64::try_from(setup.linger.as_nanos()).unwrap_or(u64::MAX),
            closing: StopFlag::new(),
            stop: setup.stop.clone(),
        })
    }

    /// Where its services listen.
    #[must_use]
    pub const fn services(&self) -> Option<&Services> {
        self.services.as_ref()
    }

    /// The exchange itself.
    #[must_use]
    pub const fn exchange(&self) -> &Exchange {
        &self.exchange
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
        loop {
            let now = clock.ns(tsc::now() - began);
            let over = self.closed.is_some_and(|at| now.saturating_sub(at) > self.linger);
            if over && self.ended.is_none() {
                self.ended = Some(now);
                self.end_orders(tx, now);
            }
            if self.stop.is_set() || self.ended.is_some_and(|at| now.saturating_sub(at) > GOODBYE) {
                return self.leave();
            }
            let said = self.exchange.market().counters().messages;
            if self.closed.is_none() && (self.closing.is_set() || said >= self.messages) {
                self.close(tx, now);
            }
            if !self.pump(rx, tx, now) {
                // The main lcore may share this CPU.
                let idle = Duration::from_nanos(self.exchange.next_due().saturating_sub(now));
                if idle > NAP { std::thread::sleep(NAP) } else { std::thread::yield_now() }
            }
        }
    }

    /// Takes the orders that have come, says at most a round of what is due at `now` (ns since the beginning), and sends
    /// what is due on the lines; false where nothing more is due.
    pub fn pump(&mut self, rx: &mut impl RxQueue, tx: &mut impl TxQueue, now: u64) -> bool {
        self.now = now;
        self.take_orders(rx, tx, now);
        let Self { exchange, wire, services, services_due, .. } = self;
        if let Some(services) = services
            && now >= *services_due
        {
            *services_due = now + SERVICES;
            services.pump(exchange, now, &mut |output| wire.send(tx, &output));
        }
        let more = exchange.tick(now, &mut |output| deliver(services, wire, tx, now, output));
        wire.flush(tx, now);
        more
    }

    /// Makes a fault happen now.
    pub fn inject(&mut self, tx: &mut impl TxQueue, now: u64, fault: Fault) {
        let Self { exchange, wire, services, .. } = self;
        exchange.inject(now, fault, &mut |output| deliver(services, wire, tx, now, output));
    }

    fn take_orders(&mut self, rx: &mut impl RxQueue, tx: &mut impl TxQueue, now: u64) {
        let Self { exchange, wire, services, .. } = self;
        let burst = rx.poll();
        for at in 0..burst.len() {
            let frame = burst.frame(at).bytes;
            let Ok(datagram) = frames::parse(frame) else {
                wire.peers.on_frame(frame);
                continue;
            };
            if SocketAddrV4::new(datagram.to.dst, datagram.to.dst_port) != wire.gateway {
                continue;
            }
            let from = SocketAddrV4::new(datagram.to.src, datagram.to.src_port);
            wire.learn(from, datagram.to.src_mac);
            let mut out = |output: Output<'_>| deliver(services, wire, tx, now, output);
            exchange.on_order(now, from, datagram.payload, &mut out);
        }
        drop(burst);
        rx.refill();
        for event in wire.peers.events(now) {
            let mut out = |output: Output<'_>| deliver(services, wire, tx, now, output);
            match event {
                Event::Connected(conn) => exchange.on_connect(now, Service::Orders, conn),
                Event::Bytes(conn, bytes) => exchange.on_bytes(now, conn, &bytes, &mut out),
                Event::Gone(conn) => exchange.on_disconnect(now, conn),
            }
        }
        wire.flush(tx, now);
    }

    /// Tells every client that no more is answered.
    fn end_orders(&mut self, tx: &mut impl TxQueue, now: u64) {
        let Self { exchange, wire, services, .. } = self;
        exchange.end_orders(now, &mut |output| deliver(services, wire, tx, now, output));
        wire.flush(tx, now);
    }

    /// Ends the day: the close of the market, the end of the session. Clients are answered still.
    pub fn close(&mut self, tx: &mut impl TxQueue, now: u64) {
        self.closed = Some(now);
        let Self { exchange, wire, services, .. } = self;
        exchange.close(now, &mut |output| deliver(services, wire, tx, now, output));
    }

    /// What there is to compare with.
    #[must_use]
    pub fn leave(self) -> Legacy {
        let mut books = Vec::new();
        // Writing to memory cannot fail.
        let _ = self.exchange.market().dump(&mut books);
        let positions = self
            .exchange
            .positions()
            .into_iter()
            .map(|(symbol, shares)| (Symbol(symbol.0), shares))
            .collect();
        let mut rows: Vec<(String, u64)> = self.exchange.rows();
        if let Some(services) = &self.services {
            let sockets = services.counters().rows();
            rows.extend(sockets.iter().map(|(name, value)| (format!("sockets_{name}"), *value)));
        }
        let peers = self.wire.peers.counters().rows();
        rows.extend(peers.iter().map(|(name, value)| (format!("peers_{name}"), *value)));
        let messages = self.exchange.market().counters().messages;
        let played = Duration::from_nanos(self.closed.unwrap_or(self.now));
        Legacy { books, positions, rows, messages, played }
    }
}

impl Wire {
    fn new(setup: &Setup<'_>) -> Result<Self, String> {
        let config = setup.config;
        let line_a = &config.feed.line_a;
        let line_b = config.feed.line_b.as_ref().ok_or("the configuration has no line B")?;
        let gateway = config.gateway.as_ref();
        let (mac, ip) =
            gateway.map_or((OWN_MAC, OWN_IP), |gateway| (gateway.mac.unwrap_or(OWN_MAC), gateway.ip));
        let port = gateway.map_or(0, |gateway| gateway.port);
        let framer = |group: Ipv4Addr, port, vlan| {
            let mut to = Addressing::multicast(mac, ip, group, port, vlan);
            to.src_port = FEED_PORT;
            Framer::new(to)
        };
        Ok(Self {
            line_frames: [
                framer(line_a.group, line_a.port, line_a.vlan),
                framer(line_b.group, line_b.port, line_b.vlan),
            ],
            gateway: SocketAddrV4::new(ip, port),
            reply: Addressing {
                src_mac: mac,
                dst_mac: [0; 6],
                src: ip,
                dst: gateway.map_or(Ipv4Addr::UNSPECIFIED, |gateway| gateway.local_ip),
                src_port: port,
                dst_port: 0,
                vlan: gateway.and_then(|gateway| gateway.vlan),
                ttl: 64,
            },
            stations: BTreeMap::new(),
            peers: Peers::new(SocketAddrV4::new(ip, port), mac, gateway.and_then(|gateway| gateway.vlan)),
            stop: setup.stop.clone(),
        })
    }

    /// Remembers where replies go. More clients than [`CLIENTS`] are not answered.
    fn learn(&mut self, client: SocketAddrV4, station: [u8; 6]) {
        if self.stations.len() < CLIENTS || self.stations.contains_key(&client) {
            self.stations.insert(client, station);
        }
    }

    /// Sends what belongs on the port; what is for sockets that are not there is lost.
    fn send(&mut self, tx: &mut impl TxQueue, output: &Output<'_>) {
        match output {
            Output::Line(line, packet) => {
                let [a, b] = &mut self.line_frames;
                let framer = if *line == Line::A { a } else { b };
                if let Some(frame) = framer.frame(packet) {
                    transmit(tx, &self.stop, frame);
                }
            }
            Output::Reply { to, payload } => {
                let Some(station) = self.stations.get(to) else { return };
                let to = Addressing { dst_mac: *station, dst: *to.ip(), dst_port: to.port(), ..self.reply };
                if let Some(frame) = Framer::new(to).frame(payload) {
                    transmit(tx, &self.stop, frame);
                }
            }
            Output::Tcp { conn, bytes } => self.peers.send(*conn, bytes),
            Output::Close { conn } => self.peers.close(*conn),
            Output::Answer { .. } => {}
        }
    }

    /// Sends what is due on the connections.
    fn flush(&mut self, tx: &mut impl TxQueue, now: u64) {
        let Self { peers, stop, .. } = self;
        peers.flush(now, |frame| transmit(tx, stop, frame));
    }
}

/// To the services' clients, or onto the port.
fn deliver(
    services: &mut Option<Services>,
    wire: &mut Wire,
    tx: &mut impl TxQueue,
    now: u64,
    output: Output<'_>,
) {
    let by_port = matches!(&output, Output::Tcp { conn, .. } | Output::Close { conn } if Peers::has(*conn));
    let rest = match services {
        Some(services) if !by_port => services.deliver(now, output),
        _ => Some(output),
    };
    if let Some(rest) = rest {
        wire.send(tx, &rest);
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
