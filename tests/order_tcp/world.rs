//! Two hosts and a cable in virtual time: our client, a second TCP stack as the server, and frames that get lost, doubled
//! and overtaken on the way.

#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::Ipv4Addr;
use std::ops::{Deref, DerefMut};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use wirebook::nic::{Frame, TxQueue};
use wirebook::order::SendError;
use wirebook::order::stream::{Stream, StreamState};
use wirebook::order::tcp::{TcpAddressing, UserTcp};
use wirebook::order::template::FrameAddressing;

pub(crate) const US: u64 = 1_000;
pub(crate) const MS: u64 = 1_000 * US;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// One way over the cable.
pub(crate) const LATENCY: u64 = 20 * US;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const PORT: u16 = 9_000;

pub(crate) const ADDRESSING: TcpAddressing = TcpAddressing {
    frame: FrameAddressing {
        src_mac: [2, 0, 0, 0, 0, 2],
        dst_mac: [2, 0, 0, 0, 0, 1],
        src_ip: CLIENT,
        dst_ip: SERVER,
        src_port: 40_000,
        dst_port: PORT,
        vlan: None,
    },
    ports: 4,
    seed: 7,
};

/// xorshift64: the same cases on every machine.
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// The transmit queue of the client: what was sent, and buffers that may be missing.
#[derive(Default)]
pub(crate) struct Tx {
    pub(crate) sent: Vec<Vec<u8>>,
    /// No buffer is to be had.
    pub(crate) empty: bool,
}

pub(crate) struct Slot(Vec<u8>);

impl Deref for Slot {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl TxQueue for Tx {
    type Slot = Slot;
    fn reserve(&mut self) -> Option<Slot> {
        // Unspecified bytes, as the contract says.
        (!self.empty).then(|| Slot(vec![0xA5; 1_600]))
    }
    fn send(&mut self, slot: Slot, len: u16) -> Result<(), Slot> {
        self.sent.push(slot.0[..usize::from(len)].to_vec());
        Ok(())
    }
}

/// The server's device: packets as they are, without Ethernet.
#[derive(Default)]
pub(crate) struct Packets {
    pub(crate) received: VecDeque<Vec<u8>>,
    pub(crate) sent: Vec<Vec<u8>>,
}

pub(crate) struct In(Vec<u8>);

impl RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(crate) struct Out<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Packets {
    type RxToken<'a> = In;
    type TxToken<'a> = Out<'a>;
    fn receive(&mut self, _: Instant) -> Option<(In, Out<'_>)> {
        Some((In(self.received.pop_front()?), Out(&mut self.sent)))
    }
    fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
        Some(Out(&mut self.sent))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_500;
        capabilities
    }
}

/// The server: a listener that takes one connection after the other.
pub(crate) struct Server {
    stack: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    device: Packets,
    /// What came, of the connection that there is.
    pub(crate) got: Vec<u8>,
    /// Takes nothing off the socket's buffer.
    pub(crate) asleep: bool,
}

pub(crate) fn instant(now: u64) -> Instant {
    Instant::from_micros((now / 1_000) as i64)
}

impl Server {
    fn new(seed: u64, window: usize) -> Self {
        let mut device = Packets::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut stack = Interface::new(config, &mut device, instant(0));
        stack.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv4(SERVER), 24)).unwrap());
        let mut sockets = SocketSet::new(vec![]);
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let mut socket = Socket::new(buffer(window), buffer(65_536));
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.listen(PORT).unwrap();
        let handle = sockets.add(socket);
        Self { stack, sockets, handle, device, got: Vec::new(), asleep: false }
    }

    pub(crate) fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(crate) fn state(&mut self) -> State {
        self.socket().state()
    }

    /// Sends what there is room for; how many bytes that were.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        self.socket().send_slice(bytes).unwrap_or(0)
    }

    /// Waits for the next connection; what there was is gone.
    pub(crate) fn listen(&mut self, now: u64) {
        self.socket().abort();
        self.poll(now);
        self.got.clear();
        self.socket().listen(PORT).unwrap();
    }

    fn poll(&mut self, now: u64) {
        self.stack.poll(instant(now), &mut self.device, &mut self.sockets);
        if self.asleep {
            return;
        }
        let Self { sockets, handle, got, .. } = self;
        let socket = sockets.get_mut::<Socket<'_>>(*handle);
        while let Ok(1..) = socket.recv(|bytes| {
            got.extend_from_slice(bytes);
            (bytes.len(), bytes.len())
        }) {}
        self.stack.poll(instant(now), &mut self.device, &mut self.sockets);
    }
}

/// What a cable does to frames, per thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cable {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
}

/// A frame under way: when it arrives, the how manyth it is, whether it goes to the server.
type UnderWay = (u64, u64, bool, Vec<u8>);

/// Both hosts and the cable.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) client: UserTcp,
    pub(crate) tx: Tx,
    pub(crate) server: Server,
    pub(crate) cable: Cable,
    pub(crate) rng: Rng,
    /// What the client was handed, of the connection that there is.
    pub(crate) got: Vec<u8>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    count: u64,
    /// Data segments that the client put on the cable.
    pub(crate) data_segments: u64,
    /// The next so many frames of the client are lost.
    pub(crate) cut: u64,
}

impl World {
    pub(crate) fn new(cable: Cable, seed: u64) -> Self {
        Self::with(cable, ADDRESSING, seed, 65_536)
    }

    pub(crate) fn with(cable: Cable, addressing: TcpAddressing, server_seed: u64, window: usize) -> Self {
        Self {
            now: SECOND,
            client: UserTcp::new(addressing).unwrap(),
            tx: Tx::default(),
            server: Server::new(server_seed, window),
            cable,
            rng: Rng(0x9E37_79B9_7F4A_7C15 ^ server_seed),
            got: Vec::new(),
            under_way: BinaryHeap::new(),
            count: 0,
            data_segments: 0,
            cut: 0,
        }
    }

    fn carry(&mut self, to_server: bool, frame: &[u8]) {
        let Cable { lost, doubled, late } = self.cable;
        let copies = 1 + u64::from(self.rng.below(1_000) < doubled);
        for _ in 0..copies {
            if self.rng.below(1_000) < lost {
                continue;
            }
            let delay = if self.rng.below(1_000) < late { self.rng.below(10) * LATENCY } else { 0 };
            self.count += 1;
            let at = self.now + LATENCY + delay;
            self.under_way.push(Reverse((at, self.count, to_server, frame.to_vec())));
        }
    }

    /// Puts on the cable what the hosts have sent; every frame of ours must be right in all that a stranger would check.
    fn collect(&mut self) {
        for frame in std::mem::take(&mut self.tx.sent) {
            assert!(frame.len() >= 60);
            let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
            let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload()).unwrap();
            assert_eq!(sum, tcp.checksum());
            self.data_segments += u64::from(!tcp.payload().is_empty());
            if self.cut > 0 {
                self.cut -= 1;
            } else {
                self.carry(true, &frame);
            }
        }
        for packet in std::mem::take(&mut self.server.device.sent) {
            let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
            frame.extend(packet);
            // Ethernet fills up short frames.
            frame.resize(frame.len().max(60), 0);
            self.carry(false, &frame);
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Lets `ns` pass.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.now += ns;
        self.collect();
        while let Some(Reverse((at, ..))) = self.under_way.peek()
            && *at <= self.now
        {
            let Some(Reverse((_, _, to_server, frame))) = self.under_way.pop() else { break };
            if to_server {
                let len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
                self.server.device.received.push_back(frame[14..14 + len].to_vec());
            } else {
                self.deliver(&frame, 0);
            }
        }
        let Self { client, tx, got, server, now, .. } = self;
        server.poll(*now);
        client.poll(*now, tx, &mut |bytes| got.extend_from_slice(bytes));
        self.collect();
    }

    /// Gives the client a frame.
    pub(crate) fn deliver(&mut self, frame: &[u8], flags: u32) -> bool {
        let Self { client, tx, got, now, .. } = self;
        let frame = Frame { bytes: frame, stamp: 0, flags };
        client.on_frame(frame, *now, tx, &mut |bytes| got.extend_from_slice(bytes))
    }

    /// Lets time pass until something is so, at the most `limit` ns.
    pub(crate) fn until(&mut self, limit: u64, mut so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !so(self) {
            assert!(
                self.now < end,
                "not within {limit} ns: {:?} {:?}, got {}; server {:?}, got {}",
                self.client,
                self.client.counters(),
                self.got.len(),
                self.server.state(),
                self.server.got.len()
            );
            let step = if self.is_quiet() { MS / 4 } else { LATENCY / 2 };
            self.pass(step);
        }
    }

    pub(crate) fn connect(&mut self) {
        self.got.clear();
        let now = self.now;
        self.client.connect(now, &mut self.tx);
        self.until(200 * SECOND, |w| {
            w.client.state() == StreamState::Open && w.server.state() == State::Established
        });
    }

    /// Writes, after a rehearsal of other bytes, of which there must be no trace in whatever state the connection is.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let before = (*self.client.counters(), self.tx.sent.len());
        self.client.rehearse(&[0xFF; 50], &mut self.tx);
        assert_eq!((*self.client.counters(), self.tx.sent.len()), before, "rehearsed");
        self.client.write(bytes, &mut self.tx)
    }
}

/// Byte `at` of what each side sends: no stretch of it is like another.
pub(crate) fn byte(at: usize) -> u8 {
    ((at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8
}

pub(crate) fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(byte).collect()
}

/// Asserts that `got` is the beginning of the sequence: each byte once, in order.
pub(crate) fn assert_whole(got: &[u8], len: usize) {
    assert_eq!(got.len(), len);
    let wrong = got.iter().enumerate().find(|(at, b)| **b != byte(*at));
    assert_eq!(wrong, None);
}
