//! TCP on the exchange's port, for orders of clients that no kernel stands between: OUCH in SoupBinTCP as on the kernel's
//! sockets, to the address of the gateway.
//!
//! A TCP stack (the crate smoltcp) takes and makes IPv4 packets; Ethernet around them is put on here, with the hardware
//! address that a client last spoke from. Bounded: so many connections, so many frames that wait, so many bytes that a
//! client has not taken; who exceeds is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use exchange::host::ConnId;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// Connections at a time, those that are ending included.
const CONNECTIONS: usize = 16;

/// Clients whose station is remembered, frames that wait for the stack.
const STATIONS: usize = 1_024;
/// As [`STATIONS`].
const FRAMES: usize = 4_096;

/// Bytes of a socket's buffers, and bytes that may wait for room in them.
const RECEIVE: usize = 1 << 16;
/// As [`RECEIVE`].
const SEND: usize = 1 << 18;
/// As [`RECEIVE`].
const UNSENT: usize = 1 << 26;

/// How long a client may acknowledge nothing.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Numbers from here on are connections of a port; those of kernel sockets begin at 1.
const FIRST: u64 = 1 << 32;

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Event {
    Connected(ConnId),
    Bytes(ConnId, Vec<u8>),
    Gone(ConnId),
}

/// What happened on all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerCounters {
    /// Connections taken.
    connections: u64,
    /// Connections that the client ended, or that broke.
    gone: u64,
    /// Connections that the exchange closed.
    closed: u64,
    /// Clients dropped because they left too much untaken.
    dropped_unread: u64,
    /// Packets taken in.
    packets_in: u64,
    /// Packets sent.
    packets_out: u64,
    /// Packets dropped: too many of them at once, or of too many clients.
    packets_dropped: u64,
}

impl PeerCounters {
    /// Names and values, as shown to operators.
    pub(super) fn rows(&self) -> [(&'static str, u64); 7] {
        [
            ("connections", self.connections),
            ("gone", self.gone),
            ("closed", self.closed),
            ("dropped_unread", self.dropped_unread),
            ("packets_in", self.packets_in),
            ("packets_out", self.packets_out),
            ("packets_dropped", self.packets_dropped),
        ]
    }
}

/// IPv4 packets as they are, in and out.
#[derive(Default)]
struct Packets {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

struct In(Vec<u8>);

impl RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Out<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(packet);
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

/// A place for one connection.
struct Place {
    handle: SocketHandle,
    conn: Option<ConnId>,
    /// What the socket's buffer has no room for.
    unsent: VecDeque<u8>,
    /// No more is said, once everything is sent.
    closing: bool,
}

/// See the module.
pub(super) struct Peers {
    stack: Interface,
    sockets: SocketSet<'static>,
    device: Packets,
    places: Vec<Place>,
    next: u64,
    address: SocketAddrV4,
    mac: [u8; 6],
    vlan: Option<u16>,
    stations: BTreeMap<Ipv4Addr, [u8; 6]>,
    counters: PeerCounters,
}

fn instant(now: u64) -> Instant {
    Instant::from_micros(i64::try_from(now / 1_000).unwrap_or(i64::MAX))
}

impl Peers {
    /// Listens on `address`, which has the hardware address `mac`.
    pub(super) fn new(address: SocketAddrV4, mac: [u8; 6], vlan: Option<u16>) -> Self {
        let mut device = Packets::default();
        let mut stack = Interface::new(Config::new(HardwareAddress::Ip), &mut device, instant(0));
        stack.update_ip_addrs(|addresses| {
            // An interface has room for several.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(*address.ip()), 32));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let places = (0..CONNECTIONS)
            .map(|_| {
                let mut socket = Socket::new(buffer(RECEIVE), buffer(SEND));
                socket.set_nagle_enabled(false);
                socket.set_ack_delay(None);
                socket.set_timeout(Some(TIMEOUT));
                // Port 0 stands for no gateway, and is refused: nobody is listened to.
                let _ = socket.listen(address.port());
                Place { handle: sockets.add(socket), conn: None, unsent: VecDeque::new(), closing: false }
            })
            .collect();
        Self {
            stack,
            sockets,
            device,
            places,
            next: FIRST,
            address,
            mac,
            vlan,
            stations: BTreeMap::new(),
            counters: PeerCounters::default(),
        }
    }

    /// Is this one of the connections here?
    pub(super) const fn has(conn: ConnId) -> bool {
        conn.0 >= FIRST
    }

    pub(super) const fn counters(&self) -> &PeerCounters {
        &self.counters
    }

    /// Takes a frame, if a TCP segment for us is in it.
    pub(super) fn on_frame(&mut self, frame: &[u8]) {
        let Some((station, packet)) = segment(frame, self.vlan, *self.address.ip()) else { return };
        let &[.., a, b, c, d] = packet.first_chunk::<16>().unwrap_or(&[0; 16]);
        let client = Ipv4Addr::new(a, b, c, d);
        let room = self.stations.len() < STATIONS || self.stations.contains_key(&client);
        if !room || self.device.received.len() >= FRAMES {
            self.counters.packets_dropped += 1;
            return;
        }
        self.stations.insert(client, station);
        self.counters.packets_in += 1;
        self.device.received.push_back(packet.to_vec());
    }

    /// What happened since the last call.
    pub(super) fn events(&mut self, now: u64) -> Vec<Event> {
        self.stack.poll(instant(now), &mut self.device, &mut self.sockets);
        let mut events = Vec::new();
        let Self { sockets, places, next, counters, address, .. } = self;
        for place in places {
            let socket = sockets.get_mut::<Socket<'_>>(place.handle);
            if place.conn.is_none() && matches!(socket.state(), State::Established | State::CloseWait) {
                counters.connections += 1;
                place.conn = Some(ConnId(*next));
                *next += 1;
                events.extend(place.conn.map(Event::Connected));
            }
            let Some(conn) = place.conn else { continue };
            while let Ok(bytes @ [_, ..]) = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).as_deref() {
                events.push(Event::Bytes(conn, bytes.to_vec()));
            }
            match socket.state() {
                State::CloseWait if !place.closing => {
                    counters.gone += 1;
                    place.closing = true;
                    events.push(Event::Gone(conn));
                }
                State::Closed => {
                    if !place.closing {
                        counters.gone += 1;
                        events.push(Event::Gone(conn));
                    }
                    *place =
                        Place { handle: place.handle, conn: None, unsent: VecDeque::new(), closing: false };
                    let _ = socket.listen(address.port());
                }
                _ => {}
            }
        }
        events
    }

    /// Sends now or later.
    pub(super) fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(place) = self.places.iter_mut().find(|place| place.conn == Some(conn)) else { return };
        if place.unsent.len() + bytes.len() > UNSENT {
            self.counters.dropped_unread += 1;
            self.sockets.get_mut::<Socket<'_>>(place.handle).abort();
            return;
        }
        place.unsent.extend(bytes);
    }

    /// Ends a connection after what was sent on it.
    pub(super) fn close(&mut self, conn: ConnId) {
        if let Some(place) = self.places.iter_mut().find(|place| place.conn == Some(conn)) {
            self.counters.closed += u64::from(!place.closing);
            place.closing = true;
        }
    }

    /// Lets the stack send; each frame goes to `out`.
    pub(super) fn flush(&mut self, now: u64, mut out: impl FnMut(&[u8])) {
        for place in self.places.iter_mut().filter(|place| place.conn.is_some()) {
            let socket = self.sockets.get_mut::<Socket<'_>>(place.handle);
            while let (bytes @ [_, ..], _) = place.unsent.as_slices()
                && let Ok(taken @ 1..) = socket.send_slice(bytes)
            {
                place.unsent.drain(..taken);
            }
            if place.closing && place.unsent.is_empty() {
                socket.close();
            }
        }
        self.stack.poll(instant(now), &mut self.device, &mut self.sockets);
        while let Some(packet) = self.device.sent.pop_front() {
            let to = packet.get(16..20).and_then(|to| <[u8; 4]>::try_from(to).ok()).map(Ipv4Addr::from);
            let Some(station) = to.and_then(|to| self.stations.get(&to)) else { continue };
            self.counters.packets_out += 1;
            let mut frame = Vec::with_capacity(18 + packet.len());
            frame.extend_from_slice(station);
            frame.extend_from_slice(&self.mac);
            if let Some(vlan) = self.vlan {
                frame.extend_from_slice(&[0x81, 0x00]);
                frame.extend_from_slice(&(vlan & 0x0FFF).to_be_bytes());
            }
            frame.extend_from_slice(&[0x08, 0x00]);
            frame.extend_from_slice(&packet);
            // Ethernet's shortest, without its check sequence.
            frame.resize(frame.len().max(60), 0);
            out(&frame);
        }
    }
}

/// Who sent a frame, and the IPv4 packet in it, where that holds a TCP segment for `ip`; its checksums are for the stack.
fn segment(frame: &[u8], vlan: Option<u16>, ip: Ipv4Addr) -> Option<([u8; 6], &[u8])> {
    let (_, rest) = frame.split_first_chunk::<6>()?;
    let (station, rest) = rest.split_first_chunk::<6>()?;
    let packet = match (rest, vlan) {
        ([0x08, 0x00, packet @ ..], None) => packet,
        ([0x81, 0x00, high, low, 0x08, 0x00, packet @ ..], Some(vlan))
            if u16::from_be_bytes([*high, *low]) & 0x0FFF == vlan =>
        {
            packet
        }
        _ => return None,
    };
    let header = packet.first_chunk::<20>()?;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    (header[9] == 6 && header[16..] == ip.octets()).then_some(())?;
    Some((*station, packet.get(..len)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_for_the_gateway_in_its_vlan_are_taken() {
        let ip = Ipv4Addr::new(10, 0, 0, 1);
        let mut frame = vec![0; 60];
        frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 8, 0]);
        frame[14..34].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
        assert_eq!(
            segment(&frame, None, ip).map(|(mac, packet)| (mac, packet.len())),
            Some(([2, 0, 0, 0, 0, 2], 40))
        );
        assert_eq!(segment(&frame, Some(7), ip), None);
        assert_eq!(segment(&frame, None, Ipv4Addr::new(10, 0, 0, 3)), None);
        let mut tagged = frame[..12].to_vec();
        tagged.extend([0x81, 0, 0x20, 7]);
        tagged.extend(&frame[12..]);
        assert!(segment(&tagged, Some(7), ip).is_some());
        assert_eq!(segment(&tagged, None, ip), None);
        for len in 0..54 {
            assert_eq!(segment(&frame[..len], None, ip), None, "{len}");
        }
        frame[23] = 17;
        assert_eq!(segment(&frame, None, ip), None);
    }
}
