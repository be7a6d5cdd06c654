//! Ethernet II frames with up to two VLAN tags (IEEE 802.3, 802.1Q, 802.1ad). No FCS: the NIC takes it off.
//!
//! Layout: `destination[0,6] source[6,6]`, then per tag `TPID:u16 TCI:u16`, then `EtherType:u16`.

use super::{NoRoom, layout, room};

/// A hardware address.
pub type Mac = [u8; 6];

/// Bytes of an untagged header.
pub const HEADER_LEN: usize = 14;
/// Bytes of one VLAN tag.
pub const TAG_LEN: usize = 4;
/// All stations.
pub const BROADCAST: Mac = [0xFF; 6];

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86DD;
/// TPID of a customer tag (802.1Q).
pub const VLAN: u16 = 0x8100;
/// TPID of a service tag (802.1ad).
pub const SERVICE_VLAN: u16 = 0x88A8;

const SOURCE_AT: usize = 6;
const ETHER_TYPE_AT: usize = 12;
/// The VLAN identifier among the 16 bits of a TCI; priority and drop eligibility are above it.
const VID_MASK: u16 = 0x0FFF;

kinds! {
    /// Why bytes are not an Ethernet frame that we can read.
    pub enum Error counted by ErrorCounters {
        /// Ends inside the addresses, the EtherType or a tag.
        TooShort as ethernet_too_short = "frame ends inside its Ethernet header",
        /// More than two VLAN tags.
        TooManyTags as ethernet_too_many_tags = "frame has more than two VLAN tags",
    }
}

/// A frame, header read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    addresses: &'a [u8; HEADER_LEN],
    outer: Option<u16>,
    inner: Option<u16>,
    ether_type: u16,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the header and up to two tags of either TPID, in any order.
    ///
    /// # Errors
    /// [`Error`], by kind.
    #[inline]
    pub const fn new_checked(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((addresses, payload)) = bytes.split_first_chunk() else { return Err(Error::TooShort) };
        let ether_type = u16::from_be_bytes(layout::chunk(addresses, ETHER_TYPE_AT));
        let mut frame = Self { addresses, outer: None, inner: None, ether_type, payload };
        if !frame.is_tag() {
            return Ok(frame);
        }
        frame.inner = match frame.take_tag() {
            Ok(tci) => tci,
            Err(error) => return Err(error),
        };
        if !frame.is_tag() {
            return Ok(frame);
        }
        frame.outer = frame.inner;
        frame.inner = match frame.take_tag() {
            Ok(tci) => tci,
            Err(error) => return Err(error),
        };
        if frame.is_tag() { Err(Error::TooManyTags) } else { Ok(frame) }
    }

    const fn is_tag(&self) -> bool {
        matches!(self.ether_type, VLAN | SERVICE_VLAN)
    }

    const fn take_tag(&mut self) -> Result<Option<u16>, Error> {
        let Some((tag, payload)) = self.payload.split_first_chunk::<TAG_LEN>() else {
            return Err(Error::TooShort);
        };
        self.ether_type = u16::from_be_bytes(layout::chunk(tag, 2));
        self.payload = payload;
        Ok(Some(u16::from_be_bytes(layout::chunk(tag, 0))))
    }

    /// Destination address.
    #[inline]
    #[must_use]
    pub const fn dst(&self) -> Mac {
        layout::chunk(self.addresses, 0)
    }

    /// Source address.
    #[inline]
    #[must_use]
    pub const fn src(&self) -> Mac {
        layout::chunk(self.addresses, SOURCE_AT)
    }

    /// VLAN identifier `1 ..= 4095` of the only tag, or of the inner one of two. `None` without a tag, and for a
    /// priority tag (identifier 0), which 802.1Q counts as untagged.
    #[inline]
    #[must_use]
    pub const fn vlan(&self) -> Option<u16> {
        vid(self.inner)
    }

    /// VLAN identifier of the outer one of two tags.
    #[inline]
    #[must_use]
    pub const fn outer_vlan(&self) -> Option<u16> {
        vid(self.outer)
    }

    /// EtherType behind the tags; below 0x0600 an 802.3 length, which no protocol here uses.
    #[inline]
    #[must_use]
    pub const fn ether_type(&self) -> u16 {
        self.ether_type
    }

    /// What follows the EtherType, padding included.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

const fn vid(tci: Option<u16>) -> Option<u16> {
    match tci {
        Some(tci) if tci & VID_MASK != 0 => Some(tci & VID_MASK),
        _ => None,
    }
}

/// The header of a frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Destination address.
    pub dst: Mac,
    /// Source address.
    pub src: Mac,
    /// VLAN identifier of one customer tag; the upper bits are masked off.
    pub vlan: Option<u16>,
    /// EtherType of the payload.
    pub ether_type: u16,
}

impl Header {
    /// Bytes that [`Self::emit`] writes.
    #[inline]
    #[must_use]
    pub const fn emitted_len(&self) -> usize {
        if self.vlan.is_some() { HEADER_LEN + TAG_LEN } else { HEADER_LEN }
    }

    /// Writes the header and returns its length.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written then.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        if let Some(vlan) = self.vlan {
            let header = room::<{ HEADER_LEN + TAG_LEN }>(out)?;
            layout::put(header, 0, self.dst);
            layout::put(header, SOURCE_AT, self.src);
            layout::put(header, ETHER_TYPE_AT, VLAN.to_be_bytes());
            layout::put(header, ETHER_TYPE_AT + 2, (vlan & VID_MASK).to_be_bytes());
            layout::put(header, ETHER_TYPE_AT + TAG_LEN, self.ether_type.to_be_bytes());
        } else {
            let header = room::<HEADER_LEN>(out)?;
            layout::put(header, 0, self.dst);
            layout::put(header, SOURCE_AT, self.src);
            layout::put(header, ETHER_TYPE_AT, self.ether_type.to_be_bytes());
        }
        Ok(self.emitted_len())
    }
}

/// The hardware address that an IPv4 multicast group maps to (RFC 1112): 32 groups share each.
#[must_use]
pub const fn multicast_mac(group: std::net::Ipv4Addr) -> Mac {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5E, b & 0x7F, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(between: &[u8]) -> Vec<u8> {
        [&[1; 6], &[2; 6], between, b"payload".as_slice()].concat()
    }

    #[test]
    fn tags_are_stripped_and_told() {
        let cases: [(&[u8], Option<u16>, Option<u16>); 5] = [
            (&[0x08, 0x00], None, None),
            (&[0x81, 0x00, 0x60, 0x64, 0x08, 0x00], None, Some(100)),
            (&[0x88, 0xA8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x64, 0x08, 0x00], Some(7), Some(100)),
            (&[0x81, 0x00, 0x00, 0x07, 0x81, 0x00, 0x00, 0x64, 0x08, 0x00], Some(7), Some(100)),
            (&[0x81, 0x00, 0xE0, 0x00, 0x08, 0x00], None, None),
        ];
        for (between, outer, inner) in cases {
            let bytes = frame(between);
            let frame = Frame::new_checked(&bytes).unwrap();
            assert_eq!((frame.dst(), frame.src()), ([1; 6], [2; 6]));
            assert_eq!((frame.outer_vlan(), frame.vlan()), (outer, inner));
            assert_eq!((frame.ether_type(), frame.payload()), (IPV4, b"payload".as_slice()));
            for len in 0..12 + between.len() {
                assert_eq!(Frame::new_checked(&bytes[..len]), Err(Error::TooShort), "at {len}");
            }
        }
    }

    #[test]
    fn a_third_tag_is_refused() {
        let tag = [0x81, 0x00, 0x00, 0x01];
        let bytes = frame(&[tag, tag, tag].concat());
        assert_eq!(Frame::new_checked(&bytes), Err(Error::TooManyTags));
    }

    #[test]
    fn headers_round_trip() {
        for vlan in [None, Some(4094)] {
            let header = Header { dst: BROADCAST, src: [2; 6], vlan, ether_type: ARP };
            let mut out = [0; 18];
            let len = header.emit(&mut out).unwrap();
            assert_eq!(len, header.emitted_len());
            let frame = Frame::new_checked(&out[..len]).unwrap();
            assert_eq!((frame.dst(), frame.src(), frame.vlan()), (BROADCAST, [2; 6], vlan));
            assert_eq!((frame.ether_type(), frame.payload().len()), (ARP, 0));
            assert!(header.emit(&mut out[..len - 1]).is_err());
        }
    }

    #[test]
    fn groups_map_to_their_hardware_address() {
        assert_eq!(multicast_mac([239, 129, 1, 2].into()), [0x01, 0x00, 0x5E, 0x01, 0x01, 0x02]);
    }
}
