//! TCP of our own, on a port that the kernel does not have: the client's side of one connection at a time.
//!
//! A TCP stack (the crate smoltcp) makes the connection, takes what arrives, retransmits and keeps the timers. A write
//! does not wait for it. While nothing but that write would come of it, the frame is made from prepared headers
//! (`head`), goes to the transmit queue, and the stack is told of the same bytes afterwards; what it then emits is
//! dropped if it is byte for byte what has left, and sent otherwise, which does no harm. So each frame that the stack
//! believes to have sent was sent, and it alone decides what is sent again. `docs/decisions/order-tcp.md` says why.
//!
//! # Hot and cold
//! A write is hot only while the connection is established, the stack has sent everything that it was given, its buffer
//! and the peer's window have room, the bytes fit one short frame, and fewer than eight hot writes wait to be settled.
//! Any other takes the stack's way. The stack is told before it hears or does anything else, at the latest by the next
//! [`Stream::poll`]: what it sees is what happened, in order.
//!
//! # What it does beside the stack
//! - The stack waits a second or more before it sends anything again, and does not probe for a lost last segment. The
//!   first unacknowledged bytes, a short frame of them, are sent again after four round trips (1 ms at the least), three
//!   times at the most without progress, each time after twice as long.
//! - Nagle's algorithm and delayed acknowledgments are off. What arrives is handed on at once, so the window that we
//!   announce never shrinks.
//! - It knows no ARP: the stack deals in IPv4 packets, the Ethernet header is ours, with the hardware address that
//!   [`Stream::set_next_hop`] tells. Whoever answers ARP for the port answers for this address too.
//! - Each connection takes the next of a row of local ports, so that a peer that still remembers the one before does not
//!   mind. Frames to the others of them are dropped.

use std::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::SendError;
use super::stream::{Stream, StreamState};
use super::template::{FrameAddressing, TemplateError};
use crate::nic::{self, Frame, TxQueue};
use crate::wire::ethernet::{self, Mac};
use crate::wire::{ipv4, tcp};

mod counters;
mod device;
mod flight;
mod head;

pub use counters::TcpCounters;

use device::{Link, Nothing, Port, send};
use head::Head;

/// Bytes that we announce to have room for. Below 65,536, so that no window of ours is scaled.
const RECEIVE: usize = 32_768;

/// How often the stack's timers are looked at, ns.
const TIMERS_NS: u64 = 1_000_000;

/// Most frames that the stack may emit in one call of ours.
const MOST_FRAMES: usize = 64;

/// The largest segment of a peer that does not say it (RFC 9293).
const DEFAULT_SEGMENT: u16 = 536;

/// Where a connection goes, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpAddressing {
    /// Addresses and ports; `src_port` is the first of our ports.
    pub frame: FrameAddressing,
    /// How many ports are ours, 1 at the least: connections take turns.
    pub ports: u16,
    /// From this the first sequence numbers are drawn: another one with each start.
    pub seed: u64,
}

/// Why an addressing cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TcpError {
    /// The headers cannot be made.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// An address of ours or the gateway's is no unicast address.
    #[error("{0} is no address of one station")]
    Address(Ipv4Addr),
    /// A port is 0, or the row of our ports goes beyond 65,535.
    #[error("a TCP port lies in 1 ..= 65535")]
    Port,
}

/// See the module.
pub struct UserTcp {
    stack: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    link: Link,
    addressing: TcpAddressing,
    /// Of the connection that there is, or was.
    port: u16,
    state: StreamState,
    /// Where the peer's bytes begin, and how many were handed on.
    peer_start: u32,
    read: u32,
    /// Bits by which the peer's windows are shifted.
    scale: u8,
    /// When the stack's timers are looked at next.
    timers_at: u64,
}

impl std::fmt::Debug for UserTcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { addressing, port, state, .. } = self;
        f.debug_struct("UserTcp")
            .field("addressing", addressing)
            .field("port", port)
            .field("state", state)
            .finish_non_exhaustive()
    }
}

fn instant(ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(ns / 1_000).unwrap_or(i64::MAX))
}

const fn is_unicast(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}

impl UserTcp {
    /// Not connected. All memory is taken here.
    ///
    /// # Errors
    /// [`TcpError`].
    pub fn new(addressing: TcpAddressing) -> Result<Self, TcpError> {
        let frame = addressing.frame;
        for address in [frame.src_ip, frame.dst_ip] {
            if !is_unicast(address) {
                return Err(TcpError::Address(address));
            }
        }
        let last = frame.src_port.checked_add(addressing.ports.saturating_sub(1));
        if frame.src_port == 0 || frame.dst_port == 0 || addressing.ports == 0 || last.is_none() {
            return Err(TcpError::Port);
        }
        let head = Head::new(&frame)?;
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = addressing.seed;
        let mut stack = Interface::new(config, &mut Nothing, instant(0));
        stack.update_ip_addrs(|addresses| {
            // An interface has room for several.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(frame.src_ip), 32));
        });
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(Socket::new(buffer(RECEIVE), buffer(flight::MOST_UNACKNOWLEDGED)));
        Ok(Self {
            stack,
            sockets,
            socket,
            link: Link::new(head),
            addressing,
            port: frame.src_port + (addressing.ports - 1),
            state: StreamState::Closed,
            peer_start: 0,
            read: 0,
            scale: 0,
            timers_at: 0,
        })
    }

    /// What was sent, received and dropped.
    #[must_use]
    pub const fn counters(&self) -> &TcpCounters {
        &self.link.counters
    }

    /// Our port of the connection that there is, or was.
    #[must_use]
    pub const fn local_port(&self) -> u16 {
        self.port
    }

    /// Sequence number of the first byte of the peer's, once it has answered; for those who look at frames.
    #[must_use]
    pub const fn peer_start(&self) -> u32 {
        self.peer_start
    }

    /// Lets the stack send what it has to.
    fn egress<T: TxQueue>(&mut self, tx: &mut T) {
        let Self { stack, sockets, link, .. } = self;
        let now = instant(link.now);
        for _ in 0..MOST_FRAMES {
            let mut port = Port { tx, link, received: None };
            if stack.poll_egress(now, &mut port, sockets) == PollResult::None {
                break;
            }
        }
    }

    /// Tells the stack of each frame that has left without it, one by one, as they left.
    fn settle<T: TxQueue>(&mut self, tx: &mut T) {
        let Self { stack, sockets, socket, link, .. } = self;
        let now = instant(link.now);
        while let Some((_, data)) = link.flight.unsettled() {
            // There was room when it left. If the stack does not take it nonetheless, the peer's acknowledgment will be
            // of bytes that the stack does not know, and the connection will not live long: nothing is sent twice.
            let taken = sockets.get_mut::<Socket<'_>>(*socket).send_slice(data);
            link.settling = taken == Ok(data.len());
            let before = link.counters.settled;
            let mut port = Port { tx, link, received: None };
            let _ = stack.poll_egress(now, &mut port, sockets);
            link.settling = false;
            link.counters.settled_otherwise += u64::from(link.counters.settled == before);
            link.flight.settle_one();
        }
    }

    /// Takes over what the stack knows now.
    fn refresh(&mut self) {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        self.state = match socket.state() {
            State::Closed | State::Listen | State::TimeWait => StreamState::Closed,
            State::SynSent | State::SynReceived => StreamState::Connecting,
            State::Established => StreamState::Open,
            State::CloseWait => StreamState::Ended,
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => StreamState::Closing,
        };
        let flight = &mut self.link.flight;
        flight.open = self.state == StreamState::Open;
        if !flight.open {
            flight.probe_at = u64::MAX;
            return;
        }
        // Neither the buffer nor the window has 2^32 bytes.
        let queued = socket.send_queue() as u32;
        flight.on_acknowledged(flight.written.wrapping_sub(queued), self.link.now);
        flight.room = socket.send_capacity() - socket.send_queue();
        let window = socket.recv_capacity() - socket.recv_queue();
        let expected = self.peer_start.wrapping_add(self.read);
        self.link.head.set(self.port, expected, u16::try_from(window).unwrap_or(u16::MAX));
    }

    /// The IPv4 packet and the segment of a frame for this connection. `Err`: it is not for us; `Ok(None)`: it is from the
    /// gateway and for us, and of no use.
    fn ours<'f>(&mut self, frame: Frame<'f>) -> Result<Option<(&'f [u8], tcp::Segment<'f>)>, ()> {
        let FrameAddressing { src_ip, dst_ip, src_port, dst_port, vlan, .. } = self.addressing.frame;
        let ethernet = ethernet::Frame::new_checked(frame.bytes).map_err(drop)?;
        if ethernet.ether_type() != ethernet::IPV4 || ethernet.vlan() != vlan {
            return Err(());
        }
        let packet = ipv4::Packet::new_checked(ethernet.payload()).map_err(drop)?;
        let addresses = (packet.src(), packet.dst()) == (dst_ip, src_ip);
        if !addresses || packet.protocol() != ipv4::TCP || packet.is_fragment() {
            return Err(());
        }
        let counters = &mut self.link.counters;
        let bad = |flags, verdict: bool| frame.flags & flags != 0 || !verdict;
        let Ok(segment) = tcp::Segment::new_checked(packet.payload()) else {
            counters.bad_segments += 1;
            return Ok(None);
        };
        let turn = segment.dst_port().wrapping_sub(src_port);
        if segment.src_port() != dst_port || turn >= self.addressing.ports {
            return Err(());
        }
        let ip_good = frame.flags & nic::IP_CSUM_GOOD != 0 || packet.checksum_is_good();
        let tcp_good = frame.flags & nic::L4_CSUM_GOOD != 0 || segment.checksum_is_good(dst_ip, src_ip);
        if bad(nic::IP_CSUM_BAD, ip_good) || bad(nic::L4_CSUM_BAD, tcp_good) {
            counters.bad_segments += 1;
            return Ok(None);
        }
        if segment.dst_port() != self.port {
            counters.stray += 1;
            return Ok(None);
        }
        counters.segments += 1;
        let len = ipv4::HEADER_LEN + packet.options().len() + packet.payload().len();
        Ok(ethernet.payload().get(..len).map(|packet| (packet, segment)))
    }

    /// Takes from the answer to our SYN what the headers and windows of all that follows depend on.
    fn on_syn(&mut self, segment: &tcp::Segment<'_>) {
        self.scale = segment.window_scale().unwrap_or(0);
        self.peer_start = segment.sequence().wrapping_add(1);
        self.read = 0;
        let most = segment.max_segment().filter(|most| *most != 0).unwrap_or(DEFAULT_SEGMENT);
        self.link.flight.most = usize::from(most);
        if let Some(at) = self.link.syn_at.filter(|at| *at != u64::MAX) {
            self.link.flight.on_round_trip(self.link.now.saturating_sub(at));
        }
    }

    /// A write that [may be hot](flight::Flight::may_be_hot); where it does not leave, as if it had not been. Not inlined:
    /// rehearsals run the same code.
    #[inline(never)]
    fn write_hot<T: TxQueue>(&mut self, bytes: &[u8], tx: &mut T, leaves: bool) -> Result<(), SendError> {
        let Link { head, flight, counters, now, .. } = &mut self.link;
        let mut slot = tx.reserve().ok_or(SendError::NoBuffer)?;
        let frame = flight.prepare(head, bytes);
        slot.get_mut(..frame.len()).ok_or(SendError::BufferTooShort)?.copy_from_slice(frame);
        if !leaves {
            return Ok(());
        }
        // A prepared frame has at most `head::FRAME` bytes.
        tx.send(slot, frame.len() as u16).map_err(|_slot| SendError::RingFull)?;
        flight.commit(bytes, *now);
        counters.hot += 1;
        Ok(())
    }

    #[cold]
    fn write_cold<T: TxQueue>(&mut self, bytes: &[u8], tx: &mut T) -> Result<(), SendError> {
        self.settle(tx);
        if !self.link.flight.open {
            return Err(SendError::NotOpen);
        }
        if bytes.len() > self.link.flight.room {
            return Err(SendError::Backlog);
        }
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        if socket.send_slice(bytes) != Ok(bytes.len()) {
            return Err(SendError::NotOpen);
        }
        self.link.counters.cold += 1;
        self.link.flight.wrote(bytes, self.link.now);
        self.egress(tx);
        self.refresh();
        Ok(())
    }
}

impl Stream for UserTcp {
    fn connect<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) {
        self.abort(now_ns, tx);
        let TcpAddressing { frame, ports, .. } = self.addressing;
        let turn = (self.port - frame.src_port + 1) % ports;
        self.port = frame.src_port + turn;
        self.link.flight.reset();
        self.link.syn_at = None;
        self.link.counters.connects += 1;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        let remote = (IpAddress::Ipv4(frame.dst_ip), frame.dst_port);
        let local = (IpAddress::Ipv4(frame.src_ip), self.port);
        // Ports and addresses were checked, and the socket is closed.
        let _ = socket.connect(self.stack.context(), remote, local);
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        self.egress(tx);
        self.refresh();
    }

    fn close<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) {
        self.link.now = now_ns;
        self.settle(tx);
        self.sockets.get_mut::<Socket<'_>>(self.socket).close();
        self.egress(tx);
        self.refresh();
    }

    fn abort<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) {
        self.link.now = now_ns;
        self.settle(tx);
        self.sockets.get_mut::<Socket<'_>>(self.socket).abort();
        self.egress(tx);
        self.refresh();
    }

    fn state(&self) -> StreamState {
        self.state
    }

    #[inline]
    fn write<T: TxQueue>(&mut self, bytes: &[u8], tx: &mut T) -> Result<(), SendError> {
        if !self.link.reachable {
            return Err(SendError::NoNextHop);
        }
        if !self.link.flight.may_be_hot(bytes.len()) {
            return self.write_cold(bytes, tx);
        }
        self.write_hot(bytes, tx, true)
    }

    fn rehearse<T: TxQueue>(&mut self, bytes: &[u8], tx: &mut T) {
        // Never the stack's way: what it is given it sends.
        if self.link.reachable && self.link.flight.may_be_hot(bytes.len()) {
            let _ = self.write_hot(bytes, tx, false);
        }
    }

    fn on_frame<T: TxQueue>(
        &mut self,
        frame: Frame<'_>,
        now_ns: u64,
        tx: &mut T,
        on_bytes: &mut impl FnMut(&[u8]),
    ) -> bool {
        let Ok(segment) = self.ours(frame) else { return false };
        let Some((packet, segment)) = segment else { return true };
        self.link.now = now_ns;
        self.settle(tx);
        let syn = segment.flags() & tcp::SYN != 0;
        if syn && self.state == StreamState::Connecting {
            self.on_syn(&segment);
        }
        let now = instant(now_ns);
        let mut port = Port { tx, link: &mut self.link, received: Some(packet) };
        self.stack.poll_ingress_single(now, &mut port, &mut self.sockets);
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        while let Ok(len @ 1..) = socket.recv(|bytes| {
            on_bytes(bytes);
            (bytes.len(), bytes.len())
        }) {
            // Fewer than the window has.
            self.read = self.read.wrapping_add(len as u32);
        }
        self.egress(tx);
        self.refresh();
        let flight = &mut self.link.flight;
        if segment.flags() & tcp::ACK != 0 && segment.acknowledgment() == flight.acknowledged {
            let scale = if syn { 0 } else { self.scale };
            flight.edge = flight.acknowledged.wrapping_add(u32::from(segment.window()) << scale);
        }
        true
    }

    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, _on_bytes: &mut impl FnMut(&[u8])) {
        self.link.now = now_ns;
        let flight = &self.link.flight;
        if !flight.is_unsettled() && now_ns < self.timers_at && now_ns < flight.probe_at {
            return;
        }
        self.settle(tx);
        self.timers_at = now_ns.saturating_add(TIMERS_NS);
        self.egress(tx);
        self.refresh();
        let Link { head, flight, counters, reachable, .. } = &mut self.link;
        let mut frame = [0; head::FRAME];
        if *reachable && let Some(len) = flight.probe(head, &mut frame, now_ns, counters) {
            // Where there is no buffer it is as if it was lost.
            let _ = send(frame.get(..len).unwrap_or_default(), None, tx);
        }
    }

    fn set_next_hop(&mut self, mac: Option<Mac>) {
        self.link.reachable = mac.is_some();
        if let Some(mac) = mac {
            self.link.head.set_dst_mac(mac);
        }
    }

    fn reachable(&self) -> bool {
        self.link.reachable
    }
}
