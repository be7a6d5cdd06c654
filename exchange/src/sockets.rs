//! The exchange on the kernel's sockets: one thread, nothing blocks except a full line.
//!
//! [`Services`] are all that clients speak to: the order gateway (UDP test framing), the request servers, and the TCP
//! listeners for GLIMPSE and OUCH. They stand beside any port that carries the lines: [`Lines`] here, which is
//! multicast out of an interface, or a DPDK port elsewhere. The caller owns the clock and the loop:
//!
//! ```text
//! services.pump(&mut exchange, now, &mut other);      // what clients said; `other` gets what is not for clients
//! exchange.tick(now, &mut |output| if let Some(rest) = services.deliver(now, output) { other(rest) });
//! ```
//!
//! Memory is bounded: so many connections, so many bytes that a client has not read yet; who exceeds is dropped and
//! counted. A datagram that the kernel does not take is lost and counted, as on a network.

mod connections;
mod multicast;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use crate::host::{Exchange, Output, Service};
use crate::units::Row;
use connections::Connections;
pub use multicast::Lines;

/// Datagrams that are read from one socket in one go.
const READS: u32 = 64;

/// The longest datagram, and the most bytes that are read from one connection in one go.
const SCRATCH: usize = 1 << 16;

/// Where the services listen. Port 0 lets the kernel choose; the getters of [`Services`] tell what it chose.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The address that all of them listen on.
    pub address: Ipv4Addr,
    /// Order gateway: UDP test framing.
    pub gateway: Option<u16>,
    /// Request servers of lines A and B, UDP.
    pub requests: [Option<u16>; 2],
    /// GLIMPSE snapshots, TCP.
    pub glimpse: Option<u16>,
    /// OUCH over SoupBinTCP, TCP.
    pub orders: Option<u16>,
    /// Connections at a time, both TCP services together; more are closed at once.
    pub max_connections: usize,
    /// Bytes that one client may leave unread before it is dropped. A snapshot has to fit: clients may read it slowly.
    pub max_unread: usize,
}

impl Config {
    /// No service at all, on this address.
    #[must_use]
    pub const fn none(address: Ipv4Addr) -> Self {
        Self {
            address,
            gateway: None,
            requests: [None; 2],
            glimpse: None,
            orders: None,
            max_connections: 64,
            max_unread: 64 << 20,
        }
    }
}

/// A socket that cannot be had.
#[derive(Debug)]
pub struct SocketError {
    doing: String,
    why: io::Error,
}

impl SocketError {
    fn new(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |why| Self { doing, why }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.why)
    }
}

impl std::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.why)
    }
}

/// What happened on the sockets of the services.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Datagrams read.
    pub datagrams_in: u64,
    /// Datagrams that the kernel took.
    pub datagrams_out: u64,
    /// Datagrams that the kernel did not take.
    pub datagrams_unsent: u64,
    /// Errors of reading datagrams: a client that is gone answers with an ICMP message, which surfaces here.
    pub datagram_errors: u64,
    /// Connections taken.
    pub connections: u64,
    /// Connections closed at once because there were too many, or because they could not be set up.
    pub refused: u64,
    /// Connections that the client closed, that broke, or whose client was dropped.
    pub gone: u64,
    /// Connections that the exchange closed.
    pub closed: u64,
    /// Clients dropped because they left too much unread.
    pub dropped_unread: u64,
    /// Clients dropped because they did not take the rest in time after the exchange had closed.
    pub dropped_lingering: u64,
    /// Most bytes that one client left unread.
    pub unread_most: u64,
}

impl Counters {
    /// Names and values, as shown to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 11] {
        [
            ("datagrams_in", self.datagrams_in),
            ("datagrams_out", self.datagrams_out),
            ("datagrams_unsent", self.datagrams_unsent),
            ("datagram_errors", self.datagram_errors),
            ("connections", self.connections),
            ("refused", self.refused),
            ("gone", self.gone),
            ("closed", self.closed),
            ("dropped_unread", self.dropped_unread),
            ("dropped_lingering", self.dropped_lingering),
            ("unread_most", self.unread_most),
        ]
    }
}

/// A UDP service and what it hands datagrams to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Gateway,
    Requests(usize),
}

/// Every socket that clients speak to.
#[derive(Debug)]
pub struct Services {
    sockets: Sockets,
    scratch: Vec<u8>,
}

/// Apart from the scratch buffer, so that a datagram in it can be answered.
#[derive(Debug)]
struct Sockets {
    datagrams: Vec<(Port, UdpSocket)>,
    connections: Connections,
    counters: Counters,
}

impl Services {
    /// Binds all that `config` names.
    ///
    /// # Errors
    /// [`SocketError`]: the address is not this machine's, or the port is taken.
    pub fn bind(config: &Config) -> Result<Self, SocketError> {
        let mut datagrams = Vec::new();
        let ports = [
            (Port::Gateway, config.gateway),
            (Port::Requests(0), config.requests[0]),
            (Port::Requests(1), config.requests[1]),
        ];
        for (service, port) in ports {
            let Some(port) = port else { continue };
            let doing = format!("binding to UDP {}:{port}", config.address);
            let socket = UdpSocket::bind((config.address, port))
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                .map_err(SocketError::new(doing))?;
            datagrams.push((service, socket));
        }
        let mut connections = Connections::new(config.max_connections, config.max_unread);
        for (service, port) in [(Service::Glimpse, config.glimpse), (Service::Orders, config.orders)] {
            if let Some(port) = port {
                connections.listen(service, SocketAddrV4::new(config.address, port))?;
            }
        }
        let sockets = Sockets { datagrams, connections, counters: Counters::default() };
        Ok(Self { sockets, scratch: vec![0; SCRATCH] })
    }

    /// Where the order gateway listens.
    #[must_use]
    pub fn gateway(&self) -> Option<SocketAddrV4> {
        self.sockets.address(Port::Gateway)
    }

    /// Where the request server of line A (0) or B (1) listens.
    #[must_use]
    pub fn requests(&self, server: usize) -> Option<SocketAddrV4> {
        self.sockets.address(Port::Requests(server))
    }

    /// Where GLIMPSE listens.
    #[must_use]
    pub fn glimpse(&self) -> Option<SocketAddrV4> {
        self.sockets.connections.address(Service::Glimpse)
    }

    /// Where OUCH over SoupBinTCP listens.
    #[must_use]
    pub fn orders(&self) -> Option<SocketAddrV4> {
        self.sockets.connections.address(Service::Orders)
    }

    /// What happened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.sockets.counters
    }

    /// Hands what clients sent to the exchange, and sends what is left of earlier answers; bounded. What the exchange
    /// says meanwhile goes to the clients, and what is not for them to `other`. False where there was nothing to do.
    pub fn pump(&mut self, exchange: &mut Exchange, now: u64, other: &mut impl FnMut(Output<'_>)) -> bool {
        let Self { sockets, scratch } = self;
        let mut busy = false;
        for at in 0..sockets.datagrams.len() {
            for _ in 0..READS {
                let Some((port, from, len)) = sockets.receive(at, scratch) else { break };
                busy = true;
                let Some(payload) = scratch.get(..len) else { continue };
                let mut out = |output: Output<'_>| {
                    if let Some(rest) = sockets.deliver(now, output) {
                        other(rest);
                    }
                };
                match port {
                    Port::Gateway => exchange.on_order(now, from, payload, &mut out),
                    Port::Requests(server) => exchange.on_request(now, server, from, payload, &mut out),
                }
            }
        }
        busy | connections::pump(sockets, scratch, exchange, now, other)
    }

    /// Sends what is for a client of these services; gives back what is for somebody else.
    pub fn deliver<'a>(&mut self, now: u64, output: Output<'a>) -> Option<Output<'a>> {
        self.sockets.deliver(now, output)
    }
}

impl Sockets {
    fn address(&self, wanted: Port) -> Option<SocketAddrV4> {
        let (_, socket) = self.datagrams.iter().find(|(port, _)| *port == wanted)?;
        match socket.local_addr() {
            Ok(SocketAddr::V4(address)) => Some(address),
            _ => None,
        }
    }

    /// One datagram of the socket at this place, if there is one.
    fn receive(&mut self, at: usize, scratch: &mut [u8]) -> Option<(Port, SocketAddrV4, usize)> {
        let (port, socket) = self.datagrams.get(at)?;
        loop {
            match socket.recv_from(scratch) {
                Ok((len, SocketAddr::V4(from))) => {
                    self.counters.datagrams_in += 1;
                    return Some((*port, from, len));
                }
                // Bound to an IPv4 address, it hears IPv4 only.
                Ok((_, SocketAddr::V6(_))) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // Errors of sending are reported once each, so this comes to an end; the next pump goes on.
                    self.counters.datagram_errors += 1;
                    return None;
                }
            }
        }
    }

    fn deliver<'a>(&mut self, now: u64, output: Output<'a>) -> Option<Output<'a>> {
        let (port, to, payload) = match &output {
            Output::Line(..) => return Some(output),
            Output::Answer { server, to, payload } => (Port::Requests(*server), *to, *payload),
            Output::Reply { to, payload } => (Port::Gateway, *to, *payload),
            Output::Tcp { conn, bytes } => {
                self.connections.send(*conn, bytes, now, &mut self.counters);
                return None;
            }
            Output::Close { conn } => {
                self.connections.close(*conn, now, &mut self.counters);
                return None;
            }
        };
        let Some((_, socket)) = self.datagrams.iter().find(|(own, _)| *own == port) else {
            return Some(output);
        };
        match socket.send_to(payload, to) {
            Ok(_) => self.counters.datagrams_out += 1,
            Err(_) => self.counters.datagrams_unsent += 1,
        }
        None
    }
}
