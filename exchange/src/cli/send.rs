//! `send`: the feed live over kernel sockets, paced, with an order gateway beside it.
//!
//! Ends by itself: after the last message it keeps the lines alive for a while, then ends the session.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::args::Args;
use super::source::Source;
use super::{Failure, Outcome, groups, print_lines, print_rows, publisher_config};
use exchange::gateway::{Config as GatewayConfig, Gateway};
use exchange::lines::Line;
use exchange::market::Market;
use exchange::publisher::Publisher;

/// Messages sent in one go, before the gateway is looked at again, when the clock has run ahead.
const BURST: u64 = 64;
/// The longest sleep: how late an order may be seen when there is nothing to send.
const NAP: Duration = Duration::from_micros(200);
/// Datagrams read in one go.
const READS: usize = 64;

/// A socket for each line, and what went wrong first.
struct Sender {
    sockets: [(Line, UdpSocket, SocketAddrV4); 2],
    failed: Option<(SocketAddrV4, io::Error)>,
}

impl Sender {
    fn new(interface: Ipv4Addr, groups: [(Line, Ipv4Addr, u16); 2]) -> Outcome<Self> {
        let [a, b] = groups.map(|(line, group, port)| {
            // Bound to the interface's own address: Linux then sends multicast out of that interface.
            let socket = bind(interface, 0)?;
            socket
                .set_multicast_ttl_v4(1)
                .map_err(|error| Failure::Io("limiting multicast to one hop".into(), error))?;
            Ok((line, socket, SocketAddrV4::new(group, port)))
        });
        Ok(Self { sockets: [a?, b?], failed: None })
    }

    fn send(&mut self, line: Line, payload: &[u8]) {
        for (own, socket, group) in &self.sockets {
            if *own == line
                && let Err(error) = socket.send_to(payload, *group)
            {
                self.failed.get_or_insert((*group, error));
            }
        }
    }

    fn check(&mut self) -> Outcome {
        match self.failed.take() {
            None => Ok(()),
            Some((group, error)) => Err(Failure::Io(format!("sending to {group}"), error)),
        }
    }
}

fn bind(interface: Ipv4Addr, port: u16) -> Outcome<UdpSocket> {
    UdpSocket::bind((interface, port)).map_err(|error| {
        Failure::Io(format!("binding to {interface}:{port} (is that an address of this machine?)"), error)
    })
}

/// The gateway behind its socket.
struct Orders {
    socket: UdpSocket,
    gateway: Gateway,
    beat: Instant,
    /// Replies that the socket did not take.
    unsent: u64,
}

impl Orders {
    fn new(interface: Ipv4Addr, port: u16) -> Outcome<Self> {
        let socket = bind(interface, port)?;
        socket
            .set_nonblocking(true)
            .map_err(|error| Failure::Io("making the gateway's socket non-blocking".into(), error))?;
        let gateway = Gateway::new(GatewayConfig::default());
        Ok(Self { socket, gateway, beat: Instant::now(), unsent: 0 })
    }

    /// Takes in what came, and sends every reply. `feed` gets what it made happen.
    fn serve(&mut self, market: &mut Market, feed: &mut impl FnMut(&[u8])) -> Outcome {
        let mut datagram = [0; 9_000];
        for _ in 0..READS {
            match self.socket.recv_from(&mut datagram) {
                Ok((len, SocketAddr::V4(from))) => {
                    self.gateway.on_datagram(from, &datagram[..len], market, feed);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A client that is gone answers a reply with an ICMP message, which surfaces here.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(Failure::Io("receiving orders".into(), error)),
            }
        }
        self.gateway.settle(market);
        let Self { socket, gateway, unsent, .. } = self;
        let mut reply = |to, packet: &[u8]| {
            *unsent += u64::from(socket.send_to(packet, SocketAddr::V4(to)).is_err());
        };
        if self.beat.elapsed() >= Duration::from_secs(1) {
            self.beat = Instant::now();
            gateway.heartbeat(&mut reply);
        } else {
            gateway.send(&mut reply);
        }
        Ok(())
    }

    fn end(&mut self, time: u64) {
        let Self { socket, gateway, unsent, .. } = self;
        gateway.end(time, &mut |to, packet| {
            *unsent += u64::from(socket.send_to(packet, SocketAddr::V4(to)).is_err());
        });
    }

    fn report(&self) -> Outcome {
        print_rows("gateway", &self.gateway.counters().rows())?;
        print_rows("replies", &[("unsent", self.unsent)])?;
        let mut text = String::new();
        for (address, account) in self.gateway.accounts() {
            text.push_str(&format!("client {address}: {} open orders\n", account.open_orders().len()));
            for (symbol, position) in account.positions() {
                text.push_str(&format!("  {symbol} {} shares\n", position.shares()));
            }
        }
        super::print(&text)
    }
}

/// The command.
pub(super) fn send(args: &Args) -> Outcome {
    let Some(interface) = args.text("interface-ip") else {
        return Err(Failure::Usage(
            "--interface-ip is missing: the address of the interface to send from".into(),
        ));
    };
    let interface = args
        .address("interface-ip", Ipv4Addr::LOCALHOST)
        .map_err(|_| Failure::Usage(format!("--interface-ip must be an IPv4 address, not '{interface}'")))?;
    let config = publisher_config(args)?;
    let rate = args.number("rate", 200_000u64, 1..=100_000_000)?;
    let wait = Duration::from_millis(args.number("wait-ms", 0, 0..=3_600_000)?);
    let linger = Duration::from_millis(args.number("linger-ms", 500, 0..=3_600_000)?);
    let groups = groups(args)?;
    let gateway = match args.has("gateway") {
        true => Some(args.number("gateway", 0, 1..=u16::MAX)?),
        false => None,
    };
    let mut source = Source::from_args(args)?;
    if gateway.is_some() && matches!(source, Source::File { .. }) {
        return Err(Failure::Usage("--gateway needs a market to trade in: --messages, not --from".into()));
    }
    let mut sender = Sender::new(interface, groups)?;
    let mut orders = gateway.map(|port| Orders::new(interface, port)).transpose()?;
    let mut publisher = Publisher::new(&config);
    sleep(wait);

    let start = Instant::now();
    let mut over = false;
    let mut last_said = start;
    let mut too_long = None;
    while !over || last_said.elapsed() < linger {
        let now = elapsed(start);
        let due = (u128::from(now) * u128::from(rate) / 1_000_000_000) as u64;
        let mut out = |line, _: u64, payload: &[u8]| sender.send(line, payload);
        let mut publish = |message: &[u8]| {
            if let Err(error) = publisher.push(now, message, &mut out) {
                too_long.get_or_insert(error);
            }
        };
        if let (Some(orders), Source::Market { market, .. }) = (&mut orders, &mut source) {
            orders.serve(market, &mut publish)?;
        }
        let mut burst = 0;
        while !over && burst < BURST && burst < due.saturating_sub(publisher.next_sequence() - 1) {
            over = !source.step(&mut |_, message| {
                if let Err(error) = publisher.push(now, message, &mut out) {
                    too_long.get_or_insert(error);
                }
            })?;
            burst += 1;
            last_said = Instant::now();
        }
        publisher.tick(now, &mut out);
        sender.check()?;
        if let Some(error) = too_long {
            return Err(Failure::Input(error.to_string()));
        }
        if burst < BURST {
            // Until the next message is due, or a moment if that is far.
            let next = u128::from(publisher.next_sequence()) * 1_000_000_000 / u128::from(rate);
            let ahead = Duration::from_nanos((next as u64).saturating_sub(elapsed(start)));
            sleep(if over { NAP } else { ahead.min(NAP) });
        }
    }
    end(&mut publisher, &mut sender, elapsed(start))?;
    if let (Some(orders), Source::Market { market, .. }) = (&mut orders, &source) {
        orders.end(market.time());
    }
    source.report()?;
    print_lines(&publisher)?;
    orders.map_or(Ok(()), |orders| orders.report())
}

fn elapsed(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Ends the session, in real time: what the lines deliver later is sent later.
fn end(publisher: &mut Publisher, sender: &mut Sender, now: u64) -> Outcome {
    let start = Instant::now();
    publisher.end(now, &mut |line, at, payload| {
        let wait = Duration::from_nanos(at.saturating_sub(now));
        sleep(wait.saturating_sub(start.elapsed()));
        sender.send(line, payload);
    });
    sender.check()
}
