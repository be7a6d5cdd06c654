//! From the bytes of a frame to a UDP datagram in one call, and back.
//!
//! [`parse_udp`] is the first step of the hot path: one pass over the headers, no copy, no allocation. Everything that
//! is not a whole, intact, unfragmented IPv4 UDP datagram is a [`Reject`], told apart finely enough that the control
//! core can be handed ARP and IGMP, and that an operator sees why frames do not count.
//!
//! Who verified a checksum is told by the flags of [`crate::nic`]: what the NIC found good is not summed again, what it
//! found bad is refused, and the rest is summed here. A UDP checksum of 0 (none made) passes.

mod control;

pub use control::{IgmpPacket, emit_arp, emit_igmp, parse_arp, parse_igmp};

use std::net::Ipv4Addr;

use super::ethernet::{self, Mac};
use super::{NoRoom, ipv4, udp};
use crate::nic;

kinds! {
    /// Why a frame is not a UDP datagram for the feed.
    pub enum Reject counted by RejectCounters {
        /// Ends inside the Ethernet header or a tag.
        TooShort as frame_too_short = "frame ends inside its Ethernet header",
        /// More than two VLAN tags.
        TooManyTags as frame_too_many_tags = "frame has more than two VLAN tags",
        /// ARP: not ours to read here.
        Arp as frame_arp = "ARP frame",
        /// IPv6: not spoken.
        Ipv6 as frame_ipv6 = "IPv6 frame",
        /// Any other EtherType, 802.3 lengths included (spanning tree, LLDP, …).
        OtherEtherType as frame_other_ether_type = "frame of another EtherType",
        /// An IPv4 header that is cut, of another version, or shorter than 20 bytes.
        BadIpHeader as ip_bad_header = "broken IPv4 header",
        /// The IPv4 total length does not fit header and frame.
        IpLength as ip_bad_length = "IPv4 total length does not fit",
        /// The IPv4 header checksum is wrong.
        IpChecksum as ip_bad_checksum = "wrong IPv4 header checksum",
        /// A fragment. Feeds send none; reassembly would need memory and time that a hostile sender could use up.
        Fragment as ip_fragment = "IPv4 fragment",
        /// IGMP: not ours to read here.
        Igmp as ip_igmp = "IGMP packet",
        /// ICMP: not answered, whatever it asks.
        Icmp as ip_icmp = "ICMP packet",
        /// TCP: a feed sends none; where orders go over TCP of our own, the loop looks at it with [`parse_tcp`].
        Tcp as ip_tcp = "TCP segment",
        /// Any other IP protocol.
        OtherProtocol as ip_other_protocol = "packet of another IP protocol",
        /// Ends inside the UDP header, or a UDP length that does not fit header and packet.
        UdpLength as udp_bad_length = "UDP length does not fit",
        /// The UDP checksum is wrong.
        UdpChecksum as udp_bad_checksum = "wrong UDP checksum",
    }
}

impl From<ethernet::Error> for Reject {
    #[inline]
    fn from(error: ethernet::Error) -> Self {
        match error {
            ethernet::Error::TooShort => Self::TooShort,
            ethernet::Error::TooManyTags => Self::TooManyTags,
        }
    }
}

impl From<ipv4::Error> for Reject {
    #[inline]
    fn from(error: ipv4::Error) -> Self {
        match error {
            ipv4::Error::TooShort | ipv4::Error::Version | ipv4::Error::HeaderLength => Self::BadIpHeader,
            ipv4::Error::TotalLength => Self::IpLength,
        }
    }
}

impl From<udp::Error> for Reject {
    #[inline]
    fn from(error: udp::Error) -> Self {
        match error {
            udp::Error::TooShort | udp::Error::Length => Self::UdpLength,
        }
    }
}

/// A UDP datagram and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// VLAN of the only tag, or of the inner one of two; `None` = untagged (a priority tag counts as untagged).
    pub vlan: Option<u16>,
    /// VLAN of the outer one of two tags.
    pub outer_vlan: Option<u16>,
    /// Sender's hardware address.
    pub src_mac: Mac,
    /// Receiver's hardware address, or the group's.
    pub dst_mac: Mac,
    /// Sender.
    pub src: Ipv4Addr,
    /// Receiver or group.
    pub dst: Ipv4Addr,
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
    /// The data, without padding.
    pub payload: &'a [u8],
}

/// From where to where something goes: what decides whether it is for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// VLAN, as in [`UdpDatagram::vlan`].
    pub vlan: Option<u16>,
    /// Receiver's hardware address, or the group's.
    pub dst_mac: Mac,
    /// Sender.
    pub src: Ipv4Addr,
    /// Receiver or group.
    pub dst: Ipv4Addr,
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
}

impl UdpDatagram<'_> {
    /// From where to where it goes.
    #[inline]
    #[must_use]
    pub const fn ends(&self) -> Ends {
        let Self { vlan, dst_mac, src, dst, src_port, dst_port, .. } = *self;
        Ends { vlan, dst_mac, src, dst, src_port, dst_port }
    }
}

/// From where to where a TCP segment goes, in a frame that [`parse_udp`] rejected as [`Reject::Tcp`] and whose IPv4 header
/// is good for that reason; `None` for every other one, and for a segment without ports. Nothing of TCP itself is verified.
#[inline]
#[must_use]
pub fn parse_tcp(bytes: &[u8]) -> Option<Ends> {
    let frame = ethernet::Frame::new_checked(bytes).ok()?;
    if frame.ether_type() != ethernet::IPV4 {
        return None;
    }
    let packet = ipv4::Packet::new_checked(frame.payload()).ok()?;
    let &[s0, s1, d0, d1] = packet.payload().first_chunk().filter(|_| packet.protocol() == ipv4::TCP)?;
    Some(Ends {
        vlan: frame.vlan(),
        dst_mac: frame.dst(),
        src: packet.src(),
        dst: packet.dst(),
        src_port: u16::from_be_bytes([s0, s1]),
        dst_port: u16::from_be_bytes([d0, d1]),
    })
}

/// Reads a frame. `flags` are those of [`nic::Frame::flags`]: which checksums the NIC verified, and how.
///
/// # Errors
/// [`Reject`], by kind.
#[inline]
pub fn parse_udp(bytes: &[u8], flags: u32) -> Result<UdpDatagram<'_>, Reject> {
    let frame = ethernet::Frame::new_checked(bytes)?;
    match frame.ether_type() {
        ethernet::IPV4 => {}
        ethernet::ARP => return Err(Reject::Arp),
        ethernet::IPV6 => return Err(Reject::Ipv6),
        _ => return Err(Reject::OtherEtherType),
    }
    let packet = ipv4::Packet::new_checked(frame.payload())?;
    if !is_good(flags, nic::IP_CSUM_GOOD, nic::IP_CSUM_BAD, || packet.checksum_is_good()) {
        return Err(Reject::IpChecksum);
    }
    if packet.is_fragment() {
        return Err(Reject::Fragment);
    }
    match packet.protocol() {
        ipv4::UDP => {}
        ipv4::IGMP => return Err(Reject::Igmp),
        ipv4::ICMP => return Err(Reject::Icmp),
        ipv4::TCP => return Err(Reject::Tcp),
        _ => return Err(Reject::OtherProtocol),
    }
    let datagram = udp::Datagram::new_checked(packet.payload())?;
    let (src, dst) = (packet.src(), packet.dst());
    // Some NICs call a checksum of 0 bad, which only says that the sender made none.
    if datagram.checksum() != 0
        && !is_good(flags, nic::L4_CSUM_GOOD, nic::L4_CSUM_BAD, || datagram.checksum_is_good(src, dst))
    {
        return Err(Reject::UdpChecksum);
    }
    Ok(UdpDatagram {
        vlan: frame.vlan(),
        outer_vlan: frame.outer_vlan(),
        src_mac: frame.src(),
        dst_mac: frame.dst(),
        src,
        dst,
        src_port: datagram.src_port(),
        dst_port: datagram.dst_port(),
        payload: datagram.payload(),
    })
}

/// The NIC's verdict where it gave one, ours otherwise; bad outweighs good.
#[inline(always)]
fn is_good(flags: u32, good: u32, bad: u32, verify: impl FnOnce() -> bool) -> bool {
    match flags & (good | bad) {
        0 => verify(),
        verdict => verdict == good,
    }
}

/// The headers of UDP frames to send: Ethernet, at most one VLAN tag, IPv4 without options, UDP.
///
/// Frames shorter than Ethernet's 60 bytes are not padded: NICs do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpHeaders {
    /// Our hardware address.
    pub src_mac: Mac,
    /// The receiver's hardware address, or the group's ([`ethernet::multicast_mac`]).
    pub dst_mac: Mac,
    /// VLAN to tag with.
    pub vlan: Option<u16>,
    /// Routers that the packet may pass.
    pub ttl: u8,
    /// Source address and port.
    pub src: (Ipv4Addr, u16),
    /// Destination address and port.
    pub dst: (Ipv4Addr, u16),
}

impl UdpHeaders {
    /// Offset of the IPv4 header in the frame: 14, or 18 with a tag.
    #[inline]
    #[must_use]
    pub const fn ip_at(&self) -> usize {
        self.ethernet().emitted_len()
    }

    /// Offset of the UDP header in the frame: 34, or 38 with a tag.
    #[inline]
    #[must_use]
    pub const fn udp_at(&self) -> usize {
        self.ip_at() + ipv4::HEADER_LEN
    }

    /// Offset of the payload in the frame: 42, or 46 with a tag.
    #[inline]
    #[must_use]
    pub const fn payload_at(&self) -> usize {
        self.udp_at() + udp::HEADER_LEN
    }

    /// Writes all headers and checksums in front of the `payload_len` bytes that already stand at
    /// `out[payload_at()..]`; returns the frame's length.
    ///
    /// # Errors
    /// [`NoRoom`]; the payload is unchanged then.
    pub fn emit(&self, out: &mut [u8], payload_len: usize) -> Result<usize, NoRoom> {
        let needed = self.payload_at().saturating_add(payload_len);
        let no_room = NoRoom { needed, room: out.len() };
        let frame = out.get_mut(..needed).ok_or(no_room)?;
        self.ethernet().emit(frame)?;
        let udp = udp::Header { src: self.src, dst: self.dst };
        let udp_len = udp.emit(frame.get_mut(self.udp_at()..).ok_or(no_room)?, payload_len)?;
        let ip = ipv4::Header {
            src: self.src.0,
            dst: self.dst.0,
            protocol: ipv4::UDP,
            ttl: self.ttl,
            router_alert: false,
        };
        ip.emit(frame.get_mut(self.ip_at()..).ok_or(no_room)?, udp_len)?;
        Ok(needed)
    }

    /// Like [`Self::emit`], copying `payload` into place first.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn emit_with(&self, out: &mut [u8], payload: &[u8]) -> Result<usize, NoRoom> {
        let no_room = NoRoom { needed: self.payload_at().saturating_add(payload.len()), room: out.len() };
        out.get_mut(self.payload_at()..no_room.needed).ok_or(no_room)?.copy_from_slice(payload);
        self.emit(out, payload.len())
    }

    const fn ethernet(&self) -> ethernet::Header {
        ethernet::Header { dst: self.dst_mac, src: self.src_mac, vlan: self.vlan, ether_type: ethernet::IPV4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: UdpHeaders = UdpHeaders {
        src_mac: [2, 0, 0, 0, 0, 2],
        dst_mac: [1, 0, 0x5E, 1, 1, 1],
        vlan: None,
        ttl: 8,
        src: (Ipv4Addr::new(10, 0, 0, 2), 31_000),
        dst: (Ipv4Addr::new(239, 1, 1, 1), 26_400),
    };

    fn frame(headers: UdpHeaders, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; headers.payload_at() + payload.len()];
        assert_eq!(headers.emit_with(&mut out, payload), Ok(out.len()));
        out
    }

    /// The frame with one byte changed.
    fn with(at: usize, value: u8) -> Vec<u8> {
        let mut bytes = frame(HEADERS, b"feed");
        bytes[at] = value;
        bytes
    }

    #[test]
    fn frames_round_trip_with_and_without_tag_and_padding() {
        for vlan in [None, Some(100)] {
            let mut bytes = frame(UdpHeaders { vlan, ..HEADERS }, b"feed");
            bytes.resize(60, 0);
            let datagram = parse_udp(&bytes, 0).unwrap();
            let expected = UdpDatagram {
                vlan,
                outer_vlan: None,
                src_mac: HEADERS.src_mac,
                dst_mac: HEADERS.dst_mac,
                src: HEADERS.src.0,
                dst: HEADERS.dst.0,
                src_port: 31_000,
                dst_port: 26_400,
                payload: b"feed",
            };
            assert_eq!(datagram, expected);
        }
    }

    #[test]
    fn each_fault_has_its_kind() {
        let cases = [
            (vec![0; 13], Reject::TooShort),
            (
                [&[0; 12][..], &[0x81, 0, 0, 1, 0x81, 0, 0, 1, 0x81, 0, 0, 1, 8, 0]].concat(),
                Reject::TooManyTags,
            ),
            (with(13, 0x06), Reject::Arp),
            ([&[0; 12][..], &[0x86, 0xDD]].concat(), Reject::Ipv6),
            ([&[0; 12][..], &[0x00, 0x26]].concat(), Reject::OtherEtherType),
            (with(14, 0x55), Reject::BadIpHeader),
            (with(17, 200), Reject::IpLength),
            (with(22, 9), Reject::IpChecksum),
            (with(40, 9), Reject::UdpChecksum),
            (with(39, 99), Reject::UdpLength),
        ];
        for (bytes, reject) in cases {
            assert_eq!(parse_udp(&bytes, 0), Err(reject));
        }
        // Changes that the header checksum would reveal first, had the NIC not called it good.
        let cases = [
            (with(20, 0x20), Reject::Fragment),
            (with(23, 2), Reject::Igmp),
            (with(23, 1), Reject::Icmp),
            (with(23, 6), Reject::Tcp),
            (with(23, 132), Reject::OtherProtocol),
        ];
        for (bytes, reject) in cases {
            assert_eq!(parse_udp(&bytes, nic::IP_CSUM_GOOD), Err(reject));
        }
    }

    #[test]
    fn the_nics_verdict_on_checksums_counts() {
        let good = frame(HEADERS, b"feed");
        assert_eq!(parse_udp(&good, nic::IP_CSUM_BAD), Err(Reject::IpChecksum));
        assert_eq!(parse_udp(&good, nic::L4_CSUM_BAD | nic::L4_CSUM_GOOD), Err(Reject::UdpChecksum));
        let flags = nic::IP_CSUM_GOOD | nic::L4_CSUM_GOOD | nic::HW_STAMP;
        assert_eq!(parse_udp(&with(22, 9), flags).unwrap().payload, b"feed");
        assert_eq!(parse_udp(&with(45, b'?'), flags).unwrap().payload, b"fee?");
    }

    #[test]
    fn a_frame_without_udp_checksum_passes_whatever_the_nic_says() {
        let mut bytes = frame(HEADERS, b"feed");
        bytes[40..42].fill(0);
        for flags in [0, nic::L4_CSUM_GOOD, nic::L4_CSUM_BAD] {
            assert_eq!(parse_udp(&bytes, flags).map(|datagram| datagram.payload), Ok(&b"feed"[..]));
        }
    }

    #[test]
    fn rejects_are_counted_by_name() {
        let mut counters = RejectCounters::default();
        for &reject in Reject::ALL {
            for _ in 0..=reject.index() {
                counters.count(reject);
            }
        }
        for (i, (reject, (name, count))) in Reject::ALL.iter().zip(counters.rows()).enumerate() {
            assert_eq!((reject.name(), i as u64 + 1), (name, count));
        }
        assert_eq!(counters.total(), (1..=Reject::ALL.len() as u64).sum::<u64>());
        assert_eq!(Reject::Fragment.to_string(), "IPv4 fragment");
    }

    #[test]
    fn no_room_is_told() {
        let mut out = [0; 45];
        assert_eq!(HEADERS.emit_with(&mut out, b"feed"), Err(NoRoom { needed: 46, room: 45 }));
        assert_eq!(HEADERS.emit(&mut out, usize::MAX), Err(NoRoom { needed: usize::MAX, room: 45 }));
    }
}
