//! Ethernet frames with an IPv4 and a UDP header around a payload, written and read.
//!
//! Own encoder and decoder: IEEE 802.3 and 802.1Q, RFC 791 (no options, no fragments), RFC 768. Checksums are always
//! written (a computed UDP checksum of 0 goes out as 0xFFFF) and always verified.

use std::net::Ipv4Addr;

/// The longest header stack written: Ethernet with a tag, IPv4, UDP.
pub const HEADERS: usize = 18 + 20 + 8;
/// A frame shorter than this (without its check sequence) is padded with zeros.
const SHORTEST: usize = 60;

/// Who sends to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// Sender's hardware address.
    pub src_mac: [u8; 6],
    /// Receiver's hardware address; see [`multicast_mac`].
    pub dst_mac: [u8; 6],
    /// Sender's address.
    pub src: Ipv4Addr,
    /// Receiver's address or group.
    pub dst: Ipv4Addr,
    /// Sender's port.
    pub src_port: u16,
    /// Receiver's port.
    pub dst_port: u16,
    /// 802.1Q tag: the VLAN, 1 ..= 4,094.
    pub vlan: Option<u16>,
    /// Time to live: 1 keeps multicast on its own network.
    pub ttl: u8,
}

impl Addressing {
    /// A line of the feed: from `src` to a multicast group, one hop.
    #[must_use]
    pub fn multicast(src_mac: [u8; 6], src: Ipv4Addr, group: Ipv4Addr, port: u16, vlan: Option<u16>) -> Self {
        Self {
            src_mac,
            dst_mac: multicast_mac(group),
            src,
            dst: group,
            src_port: port,
            dst_port: port,
            vlan,
            ttl: 1,
        }
    }
}

/// The hardware address of a group: 01:00:5E and its lower 23 bits.
#[must_use]
pub const fn multicast_mac(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5E, b & 0x7F, c, d]
}

/// The ones' complement sum of 16-bit words, folded; an odd last byte counts as the upper half of a word.
fn sum(words: &[u8], start: u32) -> u32 {
    let (pairs, odd) = words.as_chunks::<2>();
    let total = pairs.iter().fold(start, |sum, pair| sum + u32::from(u16::from_be_bytes(*pair)));
    let total = total + odd.first().map_or(0, |byte| u32::from(*byte) << 8);
    let once = (total >> 16) + (total & 0xFFFF);
    (once >> 16) + (once & 0xFFFF)
}

/// The sum over the pseudo header of a datagram of `len` bytes.
fn pseudo(src: Ipv4Addr, dst: Ipv4Addr, len: u16) -> u32 {
    sum(&dst.octets(), sum(&src.octets(), 17 + u32::from(len)))
}

/// Writes frames of one sender to one receiver.
#[derive(Clone, Debug)]
pub struct Framer {
    to: Addressing,
    id: u16,
    frame: Vec<u8>,
}

impl Framer {
    /// Frames with these addresses.
    #[must_use]
    pub fn new(to: Addressing) -> Self {
        Self { to, id: 0, frame: Vec::with_capacity(HEADERS + 1_500) }
    }

    /// The frame around `payload`, without its check sequence. `None` when it is longer than a datagram may be.
    pub fn frame(&mut self, payload: &[u8]) -> Option<&[u8]> {
        let udp_len = u16::try_from(payload.len() + 8).ok()?;
        let ip_len = udp_len.checked_add(20)?;
        let to = &self.to;
        let frame = &mut self.frame;
        frame.clear();
        frame.extend_from_slice(&to.dst_mac);
        frame.extend_from_slice(&to.src_mac);
        if let Some(vlan) = to.vlan {
            frame.extend_from_slice(&[0x81, 0x00]);
            frame.extend_from_slice(&(vlan & 0x0FFF).to_be_bytes());
        }
        frame.extend_from_slice(&[0x08, 0x00]);
        let ip = frame.len();
        // Version and header length, service; length; identification; don't fragment; time to live, UDP, checksum.
        frame.extend_from_slice(&[0x45, 0x00]);
        frame.extend_from_slice(&ip_len.to_be_bytes());
        frame.extend_from_slice(&self.id.to_be_bytes());
        frame.extend_from_slice(&[0x40, 0x00, to.ttl, 17, 0, 0]);
        frame.extend_from_slice(&to.src.octets());
        frame.extend_from_slice(&to.dst.octets());
        let checksum = !(sum(&frame[ip..], 0) as u16);
        frame[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());
        let udp = frame.len();
        for field in [to.src_port, to.dst_port, udp_len, 0] {
            frame.extend_from_slice(&field.to_be_bytes());
        }
        frame.extend_from_slice(payload);
        let checksum = match !(sum(&frame[udp..], pseudo(to.src, to.dst, udp_len)) as u16) {
            0 => 0xFFFF,
            checksum => checksum,
        };
        frame[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        self.id = self.id.wrapping_add(1);
        Some(frame)
    }
}

/// A datagram taken out of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// How it was addressed.
    pub to: Addressing,
    /// What it carries.
    pub payload: &'a [u8],
}

/// Why a frame gave no datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It ends before its headers, or before its own lengths say.
    Short,
    /// Neither plain nor once-tagged IPv4 with UDP in it (not an error on a shared network).
    Other,
    /// A fragment of a datagram.
    Fragment,
    /// The IPv4 header's checksum is wrong.
    IpChecksum,
    /// The UDP checksum is wrong.
    UdpChecksum,
}

/// Takes the UDP datagram out of a frame and verifies everything on the way. A UDP checksum of 0 (none) passes.
///
/// # Errors
/// [`Bad`] says why there is none.
pub fn parse(frame: &[u8]) -> Result<Datagram<'_>, Bad> {
    let (dst_mac, rest) = frame.split_first_chunk::<6>().ok_or(Bad::Short)?;
    let (src_mac, rest) = rest.split_first_chunk::<6>().ok_or(Bad::Short)?;
    let (mut kind, mut rest) = rest.split_first_chunk::<2>().ok_or(Bad::Short)?;
    let mut vlan = None;
    if *kind == [0x81, 0x00] {
        let (tag, after) = rest.split_first_chunk::<2>().ok_or(Bad::Short)?;
        vlan = Some(u16::from_be_bytes(*tag) & 0x0FFF);
        (kind, rest) = after.split_first_chunk::<2>().ok_or(Bad::Short)?;
    }
    if *kind != [0x08, 0x00] {
        return Err(Bad::Other);
    }
    let fixed = rest.first_chunk::<20>().ok_or(Bad::Short)?;
    let header = usize::from(fixed[0] & 0x0F) * 4;
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if fixed[0] >> 4 != 4 || fixed[9] != 17 {
        return Err(Bad::Other);
    }
    if header < 20 || total < header + 8 || rest.len() < total {
        return Err(Bad::Short);
    }
    if sum(&rest[..header], 0) != 0xFFFF {
        return Err(Bad::IpChecksum);
    }
    if (u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3FFF) != 0 {
        return Err(Bad::Fragment);
    }
    let src = Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]);
    let dst = Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]);
    let (ports, _) = rest[header..total].split_first_chunk::<8>().ok_or(Bad::Short)?;
    let word = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    let udp_len = word(4);
    if usize::from(udp_len) < 8 || header + usize::from(udp_len) > total {
        return Err(Bad::Short);
    }
    let udp = &rest[header..header + usize::from(udp_len)];
    if word(6) != 0 && sum(udp, pseudo(src, dst, udp_len)) != 0xFFFF {
        return Err(Bad::UdpChecksum);
    }
    let to = Addressing {
        src_mac: *src_mac,
        dst_mac: *dst_mac,
        src,
        dst,
        src_port: word(0),
        dst_port: word(2),
        vlan,
        ttl: fixed[8],
    };
    Ok(Datagram { to, payload: &udp[8..] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn addressing(vlan: Option<u16>) -> Addressing {
        let group = Ipv4Addr::new(239, 129, 1, 2);
        Addressing::multicast([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 1), group, 26_400, vlan)
    }

    #[test]
    fn a_frame_byte_by_byte() {
        // The checksums are worked out in the comments, not by this module.
        let mut framer = Framer::new(addressing(None));
        let frame = framer.frame(b"hi").expect("short").to_vec();
        assert_eq!(frame.len(), 60);
        assert_eq!(frame[..14], [1, 0, 0x5E, 1, 1, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        assert_eq!(frame[14..24], [0x45, 0, 0, 30, 0, 0, 0x40, 0, 1, 17]);
        assert_eq!(frame[26..34], [10, 0, 0, 1, 239, 129, 1, 2]);
        // 4500 + 001e + 0000 + 4000 + 0111 + 0a00 + 0001 + ef81 + 0102 = 180b3 -> 80b4 -> ~ 7f4b
        assert_eq!(frame[24..26], [0x7F, 0x4B]);
        // 0a00 + 0001 + ef81 + 0102 + 0011 + 000a + 6720 + 6720 + 000a + 6869 = 23152 -> 3154 -> ~ ceab
        assert_eq!(frame[34..42], [0x67, 0x20, 0x67, 0x20, 0, 10, 0xCE, 0xAB]);
        assert_eq!(&frame[42..44], b"hi");
        assert!(frame[44..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut rng = Rng::new(1);
        for vlan in [None, Some(7), Some(4_094)] {
            let mut framer = Framer::new(addressing(vlan));
            for len in (0..200).chain([1_400, 8_972, 65_507]) {
                let payload: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
                let frame = framer.frame(&payload).expect("fits");
                let datagram = parse(frame).expect("own frame");
                assert_eq!(datagram, Datagram { to: addressing(vlan), payload: &payload });
            }
            assert!(framer.frame(&vec![0; 65_508]).is_none());
        }
    }

    #[test]
    fn any_flipped_bit_behind_the_ethernet_header_is_noticed() {
        let mut framer = Framer::new(addressing(None));
        let good = framer.frame(&[0x5A; 100]).expect("fits").to_vec();
        for bit in 14 * 8..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn truncated_and_random_frames_do_no_harm() {
        let mut framer = Framer::new(addressing(Some(5)));
        let good = framer.frame(&[1; 40]).expect("fits").to_vec();
        for len in 0..good.len() {
            assert!(parse(&good[..len]).is_err(), "{len}");
        }
        let mut rng = Rng::new(2);
        for _ in 0..200_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + rng.below(8) {
                let at = rng.index(bytes.len());
                bytes[at] = rng.next() as u8;
            }
            bytes.truncate(rng.index(bytes.len() + 1));
            let _ = parse(&bytes);
        }
    }
}
