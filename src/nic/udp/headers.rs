//! The Ethernet, IPv4 and UDP headers that stand between frames and datagrams.
//!
//! The seam's floor lies below the wire formats, so this is the little that a socket backend needs of them:
//! write one fixed header, and find the datagram in a frame that this program built.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

/// Ethernet 14 + IPv4 20 + UDP 8, in bytes.
pub(super) const HEADERS: usize = 42;

/// Writes the headers of a datagram of `payload` bytes (at most 65,507) that came from `src` to `dst`.
pub(super) fn write(head: &mut [u8; HEADERS], src: SocketAddrV4, dst: SocketAddrV4, payload: u16) {
    let udp_len = payload.saturating_add(8);
    let ip_len = udp_len.saturating_add(20);
    head[0..6].copy_from_slice(&mac_of(*dst.ip()));
    head[6..12].copy_from_slice(&mac_of(*src.ip()));
    head[12..14].copy_from_slice(&[0x08, 0x00]);
    // IPv4, 20 bytes of header, no service class; identification 0 and "do not fragment"; TTL 64; UDP.
    head[14..16].copy_from_slice(&[0x45, 0x00]);
    head[16..18].copy_from_slice(&ip_len.to_be_bytes());
    head[18..26].copy_from_slice(&[0x00, 0x00, 0x40, 0x00, 64, 17, 0x00, 0x00]);
    head[26..30].copy_from_slice(&src.ip().octets());
    head[30..34].copy_from_slice(&dst.ip().octets());
    let checksum = ip_checksum(&head[14..34]);
    head[24..26].copy_from_slice(&checksum.to_be_bytes());
    head[34..36].copy_from_slice(&src.port().to_be_bytes());
    head[36..38].copy_from_slice(&dst.port().to_be_bytes());
    head[38..40].copy_from_slice(&udp_len.to_be_bytes());
    // No UDP checksum: the kernel checked the one that was there.
    head[40..42].copy_from_slice(&[0x00, 0x00]);
}

/// The group's MAC address (RFC 1112: 01:00:5e and 23 bits of the group), or a local one made of the address.
fn mac_of(ip: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = ip.octets();
    if ip.is_multicast() { [0x01, 0x00, 0x5e, b & 0x7f, c, d] } else { [0x02, 0x00, a, b, c, d] }
}

/// One's complement of the one's-complement sum (RFC 1071) of an even number of bytes.
fn ip_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// A datagram inside a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) src_port: u16,
    pub(super) dst: SocketAddrV4,
    /// Of the frame's bytes.
    pub(super) payload: Range<usize>,
}

/// Finds the UDP datagram of a frame; `None` if the frame is something else, a fragment, or shorter than it says.
pub(super) fn find_datagram(frame: &[u8]) -> Option<Datagram> {
    let mut at = 12;
    // At most two VLAN tags.
    for _ in 0..2 {
        if matches!(be16(frame, at)?, 0x8100 | 0x88a8) {
            at += 4;
        }
    }
    if be16(frame, at)? != 0x0800 {
        return None;
    }
    let ip = at + 2;
    let version_and_len = *frame.get(ip)?;
    let ip_header = usize::from(version_and_len & 0x0f) * 4;
    if version_and_len >> 4 != 4 || ip_header < 20 || *frame.get(ip + 9)? != 17 {
        return None;
    }
    // More fragments, or not the first one.
    if be16(frame, ip + 6)? & 0x3fff != 0 {
        return None;
    }
    let udp = ip + ip_header;
    let udp_len = usize::from(be16(frame, udp + 4)?);
    let end = ip + usize::from(be16(frame, ip + 2)?);
    if udp_len < 8 || udp + udp_len > end || end > frame.len() {
        return None;
    }
    let octets: [u8; 4] = frame.get(ip + 16..ip + 20)?.try_into().ok()?;
    Some(Datagram {
        src_port: be16(frame, udp)?,
        dst: SocketAddrV4::new(Ipv4Addr::from(octets), be16(frame, udp + 2)?),
        payload: udp + 8..udp + udp_len,
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

    fn addr(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    #[test]
    fn an_independent_parser_reads_what_is_written() {
        let mut frame = [0_u8; HEADERS + 5];
        let head: &mut [u8; HEADERS] = (&mut frame[..HEADERS]).try_into().unwrap();
        write(head, addr("10.0.0.1:4000"), addr("239.129.2.3:26400"), 5);
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = &parsed.net else { panic!("no IPv4") };
        let ip = ip.header();
        assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum());
        assert_eq!((ip.total_len(), ip.ttl(), ip.dont_fragment()), (33, 64, true));
        let Some(TransportSlice::Udp(udp)) = &parsed.transport else { panic!("no UDP") };
        assert_eq!((udp.source_port(), udp.destination_port(), udp.length()), (4000, 26400, 13));
        assert_eq!(&frame[..6], &[0x01, 0x00, 0x5e, 0x01, 0x02, 0x03], "23 bits of the group");
        assert_eq!(&frame[6..12], &[0x02, 0x00, 10, 0, 0, 1]);
    }

    #[test]
    fn datagrams_are_found_in_plain_and_tagged_frames() {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .single_vlan(100.try_into().unwrap())
            .ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
            .udp(31000, 31001);
        let mut tagged = Vec::new();
        builder.write(&mut tagged, b"order").unwrap();
        let found = find_datagram(&tagged).unwrap();
        assert_eq!((found.src_port, found.dst), (31000, addr("10.0.0.1:31001")));
        assert_eq!(&tagged[found.payload], b"order");

        // The same, untagged and padded to the Ethernet minimum.
        let mut plain: Vec<u8> = [&tagged[..12], &tagged[16..]].concat();
        plain.resize(60, 0);
        let found = find_datagram(&plain).unwrap();
        assert_eq!(&plain[found.payload], b"order");
    }

    #[test]
    fn whatever_is_no_datagram_is_refused() {
        let mut frame = [0_u8; HEADERS + 5];
        let head: &mut [u8; HEADERS] = (&mut frame[..HEADERS]).try_into().unwrap();
        write(head, addr("10.0.0.1:1"), addr("10.0.0.2:2"), 5);
        assert!(find_datagram(&frame).is_some());
        for len in 0..frame.len() {
            assert_eq!(find_datagram(&frame[..len]), None, "cut to {len}");
        }
        for (at, byte, what) in [
            (13, 0x06, "ARP"),
            (14, 0x65, "IPv6"),
            (14, 0x44, "header too short"),
            (20, 0x20, "first fragment"),
            (21, 0x01, "later fragment"),
            (23, 2, "IGMP"),
            (39, 7, "UDP shorter than its header"),
            (39, 200, "UDP longer than IPv4"),
        ] {
            let mut bad = frame;
            bad[at] = byte;
            assert_eq!(find_datagram(&bad), None, "{what}");
        }
    }
}
