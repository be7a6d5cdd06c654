//! TCP headers (RFC 9293): `source port[0,2] destination port[2,2] sequence[4,4] acknowledgment[8,4] data offset[12,1]
//! flags[13,1] window[14,2] checksum[16,2] urgent[18,2]`, options up to the data offset, then data.
//!
//! The two options of a SYN that a sender must know are read (largest segment, RFC 9293; window scale, RFC 7323), others
//! are skipped by their length. The checksum covers a pseudo header of addresses, protocol and length.

use std::net::Ipv4Addr;

use super::checksum::Sum;
use super::{ipv4, layout};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;

/// Offset of the sequence number, for those who patch a prepared segment.
pub const SEQUENCE_AT: usize = 4;
/// Offset of the checksum, likewise.
pub const CHECKSUM_AT: usize = 16;

const ACKNOWLEDGMENT_AT: usize = 8;
const OFFSET_AT: usize = 12;
const FLAGS_AT: usize = 13;
const WINDOW_AT: usize = 14;

/// Flag: the sender will send no more.
pub const FIN: u8 = 1 << 0;
/// Flag: the sequence numbers begin here.
pub const SYN: u8 = 1 << 1;
/// Flag: there is no such connection, or no longer.
pub const RST: u8 = 1 << 2;
/// Flag: hand on what there is.
pub const PSH: u8 = 1 << 3;
/// Flag: the acknowledgment field counts.
pub const ACK: u8 = 1 << 4;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAX_SEGMENT: u8 = 2;
const WINDOW_SCALE: u8 = 3;

kinds! {
    /// Why bytes are not a TCP segment.
    pub enum Error counted by ErrorCounters {
        /// Ends inside the header.
        TooShort as tcp_too_short = "segment ends inside its TCP header",
        /// The data offset is below 20 bytes or beyond the segment's end.
        HeaderLength as tcp_header_length = "TCP data offset does not fit the segment",
    }
}

/// A segment whose lengths are checked. The checksum is the caller's to ask for: a NIC may have verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    fixed: &'a [u8; HEADER_LEN],
    options: &'a [u8],
    payload: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Checks the data offset against the payload of an IPv4 packet.
    ///
    /// # Errors
    /// [`Error`], by kind.
    #[inline]
    pub const fn new_checked(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Error::TooShort);
        };
        let Some(options_len) = ((fixed[OFFSET_AT] >> 4) as usize * 4).checked_sub(HEADER_LEN) else {
            return Err(Error::HeaderLength);
        };
        let Some((options, payload)) = rest.split_at_checked(options_len) else {
            return Err(Error::HeaderLength);
        };
        Ok(Self { fixed, options, payload, whole: bytes })
    }

    /// Source port.
    #[inline]
    #[must_use]
    pub const fn src_port(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.fixed, 0))
    }

    /// Destination port.
    #[inline]
    #[must_use]
    pub const fn dst_port(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.fixed, 2))
    }

    /// Sequence number of the first byte, or of the SYN.
    #[inline]
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        u32::from_be_bytes(layout::chunk(self.fixed, SEQUENCE_AT))
    }

    /// The next sequence number that the sender expects; counts only with [`ACK`].
    #[inline]
    #[must_use]
    pub const fn acknowledgment(&self) -> u32 {
        u32::from_be_bytes(layout::chunk(self.fixed, ACKNOWLEDGMENT_AT))
    }

    /// [`FIN`], [`SYN`], …
    #[inline]
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.fixed[FLAGS_AT]
    }

    /// Bytes that the sender has room for, before scaling.
    #[inline]
    #[must_use]
    pub const fn window(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.fixed, WINDOW_AT))
    }

    /// The data.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// True if the checksum is right for a packet between these addresses.
    #[inline]
    #[must_use]
    pub fn checksum_is_good(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        // An IPv4 packet has at most 65,535 bytes.
        pseudo_header(src, dst, self.whole.len() as u16).plus(self.whole).fold() == 0xFFFF
    }

    /// Bits by which the windows of later segments are shifted, at most 14; `None` where the option is absent.
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        self.option::<1>(WINDOW_SCALE).map(|[bits]| bits.min(14))
    }

    /// The largest segment that the sender takes; `None` where the option is absent.
    #[must_use]
    pub fn max_segment(&self) -> Option<u16> {
        self.option(MAX_SEGMENT).map(u16::from_be_bytes)
    }

    /// The value of the first option of a kind, if it has `N` bytes.
    fn option<const N: usize>(&self, wanted: u8) -> Option<[u8; N]> {
        let mut rest = self.options;
        while let [kind, tail @ ..] = rest {
            match *kind {
                END_OF_OPTIONS => return None,
                NO_OPERATION => rest = tail,
                kind => {
                    let len = usize::from(*tail.first()?);
                    let value = rest.get(2..len)?;
                    if kind == wanted {
                        return value.try_into().ok();
                    }
                    rest = rest.get(len..)?;
                }
            }
        }
        None
    }
}

/// The sum over the pseudo header; `len` is that of header, options and data.
#[inline]
#[must_use]
pub fn pseudo_header(src: Ipv4Addr, dst: Ipv4Addr, len: u16) -> Sum {
    Sum::ZERO.plus(&src.octets()).plus(&dst.octets()).plus_u16(u16::from(ipv4::TCP)).plus_u16(len)
}

/// The header of a segment to send, without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Our port.
    pub src_port: u16,
    /// The peer's port.
    pub dst_port: u16,
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// The next sequence number expected of the peer.
    pub acknowledgment: u32,
    /// [`PSH`], [`ACK`], …
    pub flags: u8,
    /// Bytes there is room for, scaled.
    pub window: u16,
}

impl Header {
    /// The header's bytes; the checksum is left at zero for whoever knows the data.
    #[must_use]
    pub const fn bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        layout::put(&mut bytes, 0, self.src_port.to_be_bytes());
        layout::put(&mut bytes, 2, self.dst_port.to_be_bytes());
        layout::put(&mut bytes, SEQUENCE_AT, self.sequence.to_be_bytes());
        layout::put(&mut bytes, ACKNOWLEDGMENT_AT, self.acknowledgment.to_be_bytes());
        bytes[OFFSET_AT] = (HEADER_LEN as u8 / 4) << 4;
        bytes[FLAGS_AT] = self.flags;
        layout::put(&mut bytes, WINDOW_AT, self.window.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const DST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const HEADER: Header = Header {
        src_port: 40_000,
        dst_port: 9_000,
        sequence: 0xFFFF_FFF0,
        acknowledgment: 7,
        flags: PSH | ACK,
        window: 32_768,
    };

    fn with_options(options: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.bytes().to_vec();
        bytes[OFFSET_AT] += (options.len() as u8 / 4) << 4;
        bytes.extend(options);
        bytes
    }

    #[test]
    fn a_segment_reads_as_it_was_written() {
        let mut bytes = HEADER.bytes().to_vec();
        bytes.extend(b"order!!");
        let sum = pseudo_header(SRC, DST, bytes.len() as u16).plus(&bytes).checksum();
        bytes[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&sum.to_be_bytes());
        let segment = Segment::new_checked(&bytes).unwrap();
        assert_eq!((segment.src_port(), segment.dst_port()), (40_000, 9_000));
        assert_eq!((segment.sequence(), segment.acknowledgment()), (0xFFFF_FFF0, 7));
        assert_eq!((segment.flags(), segment.window()), (PSH | ACK, 32_768));
        assert_eq!((segment.payload(), segment.window_scale()), (&b"order!!"[..], None));
        assert!(segment.checksum_is_good(SRC, DST));
        assert!(!segment.checksum_is_good(SRC, Ipv4Addr::new(10, 0, 0, 3)));
    }

    #[test]
    fn the_header_is_what_another_implementation_writes() {
        let theirs = etherparse::TcpHeader {
            psh: true,
            ack: true,
            acknowledgment_number: 7,
            ..etherparse::TcpHeader::new(40_000, 9_000, 0xFFFF_FFF0, 32_768)
        };
        assert_eq!(HEADER.bytes()[..], theirs.to_bytes()[..]);
    }

    #[test]
    fn options_are_found_among_others_and_broken_ones_are_none() {
        let whole = with_options(&[1, 2, 4, 5, 0xB4, 4, 2, 3, 3, 7, 0, 0]);
        let segment = Segment::new_checked(&whole).unwrap();
        assert_eq!((segment.max_segment(), segment.window_scale()), (Some(1_460), Some(7)));
        assert_eq!(segment.payload(), b"");
        for broken in
            [&[2, 5, 5, 5][..], &[2, 0, 0, 0], &[2, 1, 0, 0], &[3, 9, 1, 1], &[2, 3, 9, 0], &[0, 3, 3, 7]]
        {
            let mut options = broken.to_vec();
            options.resize(4, 3);
            let whole = with_options(&options);
            let segment = Segment::new_checked(&whole).unwrap();
            assert_eq!((segment.max_segment(), segment.window_scale()), (None, None), "{broken:?}");
        }
        let too_far = with_options(&[3, 3, 255, 0]);
        assert_eq!(Segment::new_checked(&too_far).unwrap().window_scale(), Some(14));
    }

    #[test]
    fn lengths_are_checked() {
        let whole = with_options(&[0; 8]);
        for len in 0..HEADER_LEN {
            assert_eq!(Segment::new_checked(&whole[..len]), Err(Error::TooShort), "{len}");
        }
        for len in HEADER_LEN..whole.len() {
            assert_eq!(Segment::new_checked(&whole[..len]), Err(Error::HeaderLength), "{len}");
        }
        let mut short = HEADER.bytes();
        for offset in 0..5 {
            short[OFFSET_AT] = offset << 4;
            assert_eq!(Segment::new_checked(&short), Err(Error::HeaderLength), "{offset}");
        }
    }
}
