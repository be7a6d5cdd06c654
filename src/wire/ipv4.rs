//! IPv4 headers (RFC 791). Options are accepted and skipped; fragments are recognised, never reassembled.
//!
//! Layout: `version+IHL[0,1] DSCP+ECN[1,1] total length[2,2] identification[4,2] flags+fragment offset[6,2] TTL[8,1]
//! protocol[9,1] checksum[10,2] source[12,4] destination[16,4]`, then options up to `4 * IHL` bytes.

use std::net::Ipv4Addr;

use super::{NoRoom, checksum, layout};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of IGMP.
pub const IGMP: u8 = 2;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// The router-alert option (RFC 2113), which IGMP messages must carry.
pub const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0, 0];

const TOTAL_LEN_AT: usize = 2;
const FRAGMENT_AT: usize = 6;
const CHECKSUM_AT: usize = 10;
const SRC_AT: usize = 12;
const DST_AT: usize = 16;
const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments" and the 13 bits of the offset: any of them set makes a fragment.
const FRAGMENT_MASK: u16 = 0x3FFF;

kinds! {
    /// Why bytes are not an IPv4 packet.
    pub enum Error counted by ErrorCounters {
        /// Ends inside the header.
        TooShort as ipv4_too_short = "packet ends inside its IPv4 header",
        /// The version is not 4.
        Version as ipv4_version = "IP version is not 4",
        /// The header claims fewer than 20 bytes.
        HeaderLength as ipv4_header_length = "IPv4 header length is below 20 bytes",
        /// The total length is below the header's, or beyond the frame's end.
        TotalLength as ipv4_total_length = "IPv4 total length does not fit header and frame",
    }
}

/// A packet whose lengths are checked. The checksum is the caller's to ask for: a NIC may have verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    fixed: &'a [u8; HEADER_LEN],
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks version and lengths. Bytes beyond the total length (Ethernet padding) are cut off.
    ///
    /// # Errors
    /// [`Error`], by kind.
    #[inline]
    pub const fn new_checked(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some(fixed) = bytes.first_chunk::<HEADER_LEN>() else { return Err(Error::TooShort) };
        if fixed[0] >> 4 != 4 {
            return Err(Error::Version);
        }
        let header_len = (fixed[0] & 0x0F) as usize * 4;
        if header_len < HEADER_LEN {
            return Err(Error::HeaderLength);
        }
        let Some((header, rest)) = bytes.split_at_checked(header_len) else { return Err(Error::TooShort) };
        let total_len = u16::from_be_bytes(layout::chunk(fixed, TOTAL_LEN_AT)) as usize;
        let Some(payload_len) = total_len.checked_sub(header_len) else { return Err(Error::TotalLength) };
        let Some((payload, _)) = rest.split_at_checked(payload_len) else { return Err(Error::TotalLength) };
        Ok(Self { fixed, header, payload })
    }

    /// Source address.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be_bytes(layout::chunk(self.fixed, SRC_AT)))
    }

    /// Destination address.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from_be_bytes(layout::chunk(self.fixed, DST_AT)))
    }

    /// Protocol of the payload.
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.fixed[9]
    }

    /// Routers that the packet may still pass.
    #[inline]
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// True for any fragment, the first one included.
    #[inline]
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        u16::from_be_bytes(layout::chunk(self.fixed, FRAGMENT_AT)) & FRAGMENT_MASK != 0
    }

    /// True if the header's checksum is right.
    #[inline]
    #[must_use]
    pub fn checksum_is_good(&self) -> bool {
        checksum::Sum::ZERO.plus(self.header).fold() == 0xFFFF
    }

    /// Options, unread; up to 40 bytes.
    #[inline]
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        self.header.get(HEADER_LEN..).unwrap_or_default()
    }

    /// What follows the header, without padding.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The header of a packet to send: never a fragment, "don't fragment" set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Routers that the packet may pass; 1 keeps it on the link.
    pub ttl: u8,
    /// With the [`ROUTER_ALERT`] option.
    pub router_alert: bool,
}

impl Header {
    /// Bytes that [`Self::emit`] writes.
    #[inline]
    #[must_use]
    pub const fn emitted_len(&self) -> usize {
        if self.router_alert { HEADER_LEN + ROUTER_ALERT.len() } else { HEADER_LEN }
    }

    /// Writes the header, checksum included, in front of a payload of `payload_len` bytes; returns its length.
    ///
    /// # Errors
    /// [`NoRoom`] where header and payload do not fit `out`, or 65,535 bytes; nothing is written then.
    pub fn emit(&self, out: &mut [u8], payload_len: usize) -> Result<usize, NoRoom> {
        let len = self.emitted_len();
        let no_room = NoRoom { needed: len.saturating_add(payload_len), room: out.len().min(65_535) };
        let total_len = u16::try_from(no_room.needed).map_err(|_| no_room)?;
        if no_room.needed > no_room.room {
            return Err(no_room);
        }
        let header = out.get_mut(..len).ok_or(no_room)?;
        let (fixed, options) = header.split_first_chunk_mut::<HEADER_LEN>().ok_or(no_room)?;
        *fixed = [0; HEADER_LEN];
        fixed[0] = 0x40 | (len / 4) as u8;
        layout::put(fixed, TOTAL_LEN_AT, total_len.to_be_bytes());
        layout::put(fixed, FRAGMENT_AT, DONT_FRAGMENT.to_be_bytes());
        fixed[8] = self.ttl;
        fixed[9] = self.protocol;
        layout::put(fixed, SRC_AT, self.src.octets());
        layout::put(fixed, DST_AT, self.dst.octets());
        if let Some(option) = options.first_chunk_mut() {
            *option = ROUTER_ALERT;
        }
        let sum = checksum::Sum::ZERO.plus(fixed).plus(options).checksum();
        layout::put(fixed, CHECKSUM_AT, sum.to_be_bytes());
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        src: Ipv4Addr::new(10, 0, 0, 2),
        dst: Ipv4Addr::new(239, 1, 1, 1),
        protocol: UDP,
        ttl: 8,
        router_alert: false,
    };

    fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; header.emitted_len() + payload.len()];
        let len = header.emit(&mut out, payload.len()).unwrap();
        out[len..].copy_from_slice(payload);
        out
    }

    #[test]
    fn packets_round_trip_and_padding_is_cut() {
        for router_alert in [false, true] {
            let mut bytes = packet(Header { router_alert, ..HEADER }, b"hello");
            bytes.extend_from_slice(&[0; 21]);
            let packet = Packet::new_checked(&bytes).unwrap();
            assert_eq!((packet.src(), packet.dst()), (HEADER.src, HEADER.dst));
            assert_eq!((packet.protocol(), packet.ttl()), (UDP, 8));
            assert_eq!(packet.payload(), b"hello");
            assert_eq!(packet.options(), if router_alert { &ROUTER_ALERT[..] } else { &[] });
            assert!(packet.checksum_is_good() && !packet.is_fragment());
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = packet(Header { router_alert: true, ..HEADER }, b"hello");
        for len in 0..bytes.len() {
            let expected = if len < 24 { Error::TooShort } else { Error::TotalLength };
            assert_eq!(Packet::new_checked(&bytes[..len]), Err(expected), "at {len}");
        }
    }

    #[test]
    fn bad_headers_are_told_apart() {
        let good = packet(HEADER, b"hello");
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        assert_eq!(Packet::new_checked(&with(0, 0x65)), Err(Error::Version));
        assert_eq!(Packet::new_checked(&with(0, 0x44)), Err(Error::HeaderLength));
        assert_eq!(Packet::new_checked(&with(3, 19)), Err(Error::TotalLength));
        assert!(Packet::new_checked(&with(6, 0x20)).unwrap().is_fragment());
        assert!(Packet::new_checked(&with(7, 1)).unwrap().is_fragment());
        assert!(!Packet::new_checked(&with(8, 9)).unwrap().checksum_is_good());
    }

    #[test]
    fn no_room_writes_nothing() {
        let mut out = [7; 24];
        assert_eq!(HEADER.emit(&mut out, 5), Err(NoRoom { needed: 25, room: 24 }));
        assert_eq!(out, [7; 24]);
        assert!(HEADER.emit(&mut vec![0; 70_000], 65_516).is_err());
        assert!(HEADER.emit(&mut vec![0; 70_000], 65_515).is_ok());
    }
}
