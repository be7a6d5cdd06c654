//! The venue's host: the exchange's gateway behind a second TCP stack that takes several connections at once.

use std::collections::{BTreeMap, VecDeque};

use exchange::gateway::Gateway;
use exchange::market::Market;
use exchange::soup::{ConnId, Output};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::cable::{PORT, Packets, SERVER, instant};

/// One connection.
struct Conn {
    socket: SocketHandle,
    /// Of the client.
    port: u16,
    id: Option<ConnId>,
    out: VecDeque<u8>,
    /// To be closed once everything is sent.
    closing: bool,
}

pub(crate) struct Venue {
    stack: Interface,
    pub(crate) device: Packets,
    /// Apart, so that what belongs to a connection never reaches a listener.
    listener: SocketSet<'static>,
    listening: SocketHandle,
    connected: SocketSet<'static>,
    conns: Vec<Conn>,
    /// By port of the client: next number of ours, next expected.
    latest: BTreeMap<u16, (u32, u32)>,
    ids: u64,
    pub(crate) gateway: Gateway,
    pub(crate) market: Market,
    /// The gateway takes nothing off its sockets and says nothing.
    pub(crate) asleep: bool,
}

fn socket(window: usize) -> Socket<'static> {
    let buffer = |len| SocketBuffer::new(vec![0; len]);
    let mut socket = Socket::new(buffer(window), buffer(65_536));
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket.listen(PORT).unwrap();
    socket
}

/// Bytes that its sockets hold: a few orders fill the window.
const WINDOW: usize = 600;

impl Venue {
    pub(crate) fn new(gateway: Gateway, market: Market, seed: u64) -> Self {
        let mut device = Packets::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut stack = Interface::new(config, &mut device, instant(0));
        stack.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv4(SERVER), 24)).unwrap());
        let mut listener = SocketSet::new(vec![]);
        let listening = listener.add(socket(WINDOW));
        let connected = SocketSet::new(vec![]);
        Self {
            stack,
            device,
            listener,
            listening,
            connected,
            conns: Vec::new(),
            latest: BTreeMap::new(),
            ids: 0,
            gateway,
            market,
            asleep: false,
        }
    }

    /// An IPv4 packet came.
    pub(crate) fn receive(&mut self, now: u64, packet: &[u8]) {
        let port = u16::from_be_bytes([packet[20], packet[21]]);
        let known = self.conns.iter().any(|conn| conn.port == port);
        if known && packet[33] & 0x12 == 2 && self.challenge(port) {
            return;
        }
        self.device.received.push_back(packet.to_vec());
        if known {
            self.stack.poll(instant(now), &mut self.device, &mut self.connected);
            return;
        }
        self.stack.poll(instant(now), &mut self.device, &mut self.listener);
        if self.listener.get::<Socket<'_>>(self.listening).state() != State::Listen {
            let smoltcp::socket::Socket::Tcp(taken) = self.listener.remove(self.listening);
            let socket_of = self.connected.add(taken);
            let (id, out, closing) = (None, VecDeque::new(), false);
            self.conns.push(Conn { socket: socket_of, port, id, out, closing });
            self.listening = self.listener.add(socket(WINDOW));
        }
    }

    /// A SYN on a connection that there is: its sender started anew, or is an impostor, and is asked which (RFC 5961). The
    /// stack would be silent, which kernels are not.
    fn challenge(&mut self, port: u16) -> bool {
        let Some((sequence, expected)) = self.latest.get(&port) else { return false };
        let header = etherparse::PacketBuilder::ipv4(SERVER.octets(), [10, 0, 0, 2], 64);
        let mut packet = Vec::new();
        header.tcp(PORT, port, *sequence, 600).ack(*expected).write(&mut packet, &[]).unwrap();
        self.device.sent.push(packet);
        true
    }

    /// A packet leaves: where its connection stands after it.
    pub(crate) fn note(&mut self, packet: &[u8]) {
        let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        let port = u16::from_be_bytes([packet[22], packet[23]]);
        let payload = packet.len() - 20 - usize::from(packet[32] >> 4) * 4;
        let flags = u32::from(packet[33] & 1) + u32::from(packet[33] >> 1 & 1);
        self.latest.insert(port, (word(24).wrapping_add(payload as u32 + flags), word(28)));
    }

    /// Gateway and stack do what they have to.
    pub(crate) fn poll(&mut self, now: u64) {
        let Self { stack, device, connected, conns, ids, gateway, market, asleep, .. } = self;
        stack.poll(instant(now), device, connected);
        let mut said: Vec<(ConnId, Option<Vec<u8>>)> = Vec::new();
        let mut out = |output: Output<'_>| match output {
            Output::Bytes { conn, bytes } => said.push((conn, Some(bytes.to_vec()))),
            Output::Close { conn } => said.push((conn, None)),
        };
        for conn in conns.iter_mut().filter(|_| !*asleep) {
            let socket = connected.get_mut::<Socket<'_>>(conn.socket);
            if conn.id.is_none() && matches!(socket.state(), State::Established | State::CloseWait) {
                *ids += 1;
                conn.id = Some(ConnId(*ids));
                gateway.on_connect(now, ConnId(*ids));
            }
            let Some(id) = conn.id else { continue };
            let mut bytes = Vec::new();
            while let Ok(1..) = socket.recv(|part| {
                bytes.extend_from_slice(part);
                (part.len(), part.len())
            }) {}
            if !bytes.is_empty() {
                gateway.on_bytes(now, id, &bytes, market, &mut |_| {}, &mut out);
            }
            if matches!(socket.state(), State::CloseWait | State::Closed | State::TimeWait) && !conn.closing {
                gateway.on_disconnect(now, id);
                conn.closing = true;
            }
        }
        if !*asleep {
            gateway.tick(now, market, &mut |_| {}, &mut out);
        }
        for (id, bytes) in said {
            let Some(conn) = conns.iter_mut().find(|conn| conn.id == Some(id)) else { continue };
            match bytes {
                Some(bytes) => conn.out.extend(bytes),
                None => conn.closing = true,
            }
        }
        conns.retain_mut(|conn| {
            let socket = connected.get_mut::<Socket<'_>>(conn.socket);
            let taken = socket.send_slice(conn.out.make_contiguous()).unwrap_or(0);
            conn.out.drain(..taken);
            if conn.closing && (conn.out.is_empty() || !socket.may_send()) {
                socket.close();
            }
            let over = matches!(socket.state(), State::Closed | State::TimeWait | State::Listen);
            // While it is asleep the gateway does not even hear that it is over.
            let gone = over && (conn.closing || conn.id.is_none());
            if gone {
                stack.poll(instant(now), device, connected);
                connected.remove(conn.socket);
            }
            !gone
        });
        stack.poll(instant(now), device, connected);
    }

    /// Every connection is closed after what was said on it.
    pub(crate) fn close_all(&mut self) {
        self.gateway.drop_connections(&mut |_| {});
        self.conns.iter_mut().for_each(|conn| conn.closing = true);
    }

    /// Every connection is reset.
    pub(crate) fn reset_all(&mut self, now: u64) {
        self.gateway.drop_connections(&mut |_| {});
        for conn in &mut self.conns {
            conn.closing = true;
            conn.out.clear();
            self.connected.get_mut::<Socket<'_>>(conn.socket).abort();
        }
        self.stack.poll(instant(now), &mut self.device, &mut self.connected);
    }

    /// The host forgets its connections without a word, as after a start.
    pub(crate) fn forget_all(&mut self) {
        self.gateway.drop_connections(&mut |_| {});
        for conn in self.conns.drain(..) {
            self.connected.remove(conn.socket);
        }
        self.device.sent.clear();
    }
}
