//! UDP over IPv4 (RFC 768): `source port[0,2] destination port[2,2] length[4,2] checksum[6,2]`, then data.
//!
//! The checksum covers a pseudo header of addresses, protocol and length. A checksum of 0 says that the sender made
//! none; one that comes out as 0 is sent as 0xFFFF.

use std::net::Ipv4Addr;

use super::checksum::Sum;
use super::{NoRoom, ipv4, layout};

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// Offset of the checksum field, for those who patch a prepared datagram.
pub const CHECKSUM_AT: usize = 6;

const LENGTH_AT: usize = 4;

kinds! {
    /// Why bytes are not a UDP datagram.
    pub enum Error counted by ErrorCounters {
        /// Shorter than the header.
        TooShort as udp_too_short = "datagram ends inside its UDP header",
        /// The length field is below 8 or beyond the packet's end.
        Length as udp_length = "UDP length does not fit header and packet",
    }
}

/// A datagram whose length is checked. The checksum is the caller's to ask for: a NIC may have verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    header: &'a [u8; HEADER_LEN],
    /// Header and payload, without what trails them.
    whole: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Checks the length field against the payload of an IPv4 packet; bytes beyond it are cut off.
    ///
    /// # Errors
    /// [`Error`], by kind.
    #[inline]
    pub const fn new_checked(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else { return Err(Error::TooShort) };
        let len = u16::from_be_bytes(layout::chunk(header, LENGTH_AT)) as usize;
        let Some((whole, _)) = bytes.split_at_checked(len) else { return Err(Error::Length) };
        let Some((_, payload)) = whole.split_first_chunk::<HEADER_LEN>() else { return Err(Error::Length) };
        Ok(Self { header, whole, payload })
    }

    /// Source port.
    #[inline]
    #[must_use]
    pub const fn src_port(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.header, 0))
    }

    /// Destination port.
    #[inline]
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.header, 2))
    }

    /// The checksum field; 0 = none was made.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.header, CHECKSUM_AT))
    }

    /// The data.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// True if the checksum is right for a packet between these addresses, or none was made.
    #[inline]
    #[must_use]
    pub fn checksum_is_good(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        self.checksum() == 0
            || pseudo_header(src, dst, self.whole.len() as u16).plus(self.whole).fold() == 0xFFFF
    }
}

/// The sum over the pseudo header; `len` is the UDP length.
#[inline]
#[must_use]
pub fn pseudo_header(src: Ipv4Addr, dst: Ipv4Addr, len: u16) -> Sum {
    Sum::ZERO.plus(&src.octets()).plus(&dst.octets()).plus_u16(u16::from(ipv4::UDP)).plus_u16(len)
}

/// What goes into the checksum field for a checksum that came out as `sum`.
#[inline]
#[must_use]
pub const fn on_the_wire(sum: u16) -> u16 {
    if sum == 0 { 0xFFFF } else { sum }
}

/// The header of a datagram to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source address and port.
    pub src: (Ipv4Addr, u16),
    /// Destination address and port.
    pub dst: (Ipv4Addr, u16),
}

impl Header {
    /// Writes the header in front of the `payload_len` bytes that already stand at `out[8..]`, checksum included;
    /// returns the UDP length.
    ///
    /// # Errors
    /// [`NoRoom`] where header and payload do not fit `out`, or an IPv4 packet; nothing is written then.
    pub fn emit(&self, out: &mut [u8], payload_len: usize) -> Result<usize, NoRoom> {
        const LONGEST: usize = 65_535 - ipv4::HEADER_LEN;
        let no_room = NoRoom { needed: HEADER_LEN.saturating_add(payload_len), room: out.len().min(LONGEST) };
        if no_room.needed > no_room.room {
            return Err(no_room);
        }
        let len = u16::try_from(no_room.needed).map_err(|_| no_room)?;
        let whole = out.get_mut(..no_room.needed).ok_or(no_room)?;
        let (header, payload) = whole.split_first_chunk_mut::<HEADER_LEN>().ok_or(no_room)?;
        layout::put(header, 0, self.src.1.to_be_bytes());
        layout::put(header, 2, self.dst.1.to_be_bytes());
        layout::put(header, LENGTH_AT, len.to_be_bytes());
        layout::put(header, CHECKSUM_AT, [0; 2]);
        let sum = pseudo_header(self.src.0, self.dst.0, len).plus(header).plus(payload).checksum();
        layout::put(header, CHECKSUM_AT, on_the_wire(sum).to_be_bytes());
        Ok(no_room.needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const DST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const HEADER: Header = Header { src: (SRC, 31_000), dst: (DST, 31_001) };

    fn datagram(payload: &[u8]) -> Vec<u8> {
        let mut out = [&[0; HEADER_LEN], payload].concat();
        assert_eq!(HEADER.emit(&mut out, payload.len()), Ok(out.len()));
        out
    }

    #[test]
    fn datagrams_round_trip_at_odd_and_even_lengths() {
        for len in 0..64_u8 {
            let payload: Vec<u8> = (0..len).map(|i| i.wrapping_mul(37)).collect();
            let mut bytes = datagram(&payload);
            bytes.push(0xAA);
            let datagram = Datagram::new_checked(&bytes).unwrap();
            assert_eq!((datagram.src_port(), datagram.dst_port()), (31_000, 31_001));
            assert_eq!(datagram.payload(), payload);
            assert!(datagram.checksum_is_good(SRC, DST));
            assert!(!datagram.checksum_is_good(SRC, Ipv4Addr::BROADCAST));
        }
    }

    #[test]
    fn every_flipped_bit_spoils_the_checksum() {
        let good = datagram(b"order");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(datagram) = Datagram::new_checked(&bytes) {
                assert!(!datagram.checksum_is_good(SRC, DST), "bit {bit}");
            }
        }
    }

    #[test]
    fn no_checksum_is_accepted_and_a_zero_sum_is_sent_as_ones() {
        let mut bytes = datagram(b"order");
        bytes[CHECKSUM_AT..HEADER_LEN].fill(0);
        assert!(Datagram::new_checked(&bytes).unwrap().checksum_is_good(SRC, DST));

        // Choose the payload so that the sum comes out as zero.
        let sum = u16::from_be_bytes(datagram(&[0, 0])[CHECKSUM_AT..].first_chunk().copied().unwrap());
        let bytes = datagram(&sum.to_be_bytes());
        assert_eq!(bytes[CHECKSUM_AT..HEADER_LEN], [0xFF, 0xFF]);
        assert!(Datagram::new_checked(&bytes).unwrap().checksum_is_good(SRC, DST));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let bytes = datagram(b"order");
        for len in 0..bytes.len() {
            let expected = if len < HEADER_LEN { Error::TooShort } else { Error::Length };
            assert_eq!(Datagram::new_checked(&bytes[..len]), Err(expected), "at {len}");
        }
        for len in 0..8 {
            let mut bytes = bytes.clone();
            bytes[5] = len;
            assert_eq!(Datagram::new_checked(&bytes), Err(Error::Length));
        }
    }

    #[test]
    fn no_room_writes_nothing() {
        let mut out = [7; 10];
        assert_eq!(HEADER.emit(&mut out, 3), Err(NoRoom { needed: 11, room: 10 }));
        assert_eq!(out, [7; 10]);
        assert!(HEADER.emit(&mut vec![0; 70_000], 65_508).is_err());
    }
}
