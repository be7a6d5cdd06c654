//! WUTF, the wirebook UDP test framing: order entry over UDP, for tests and demos on a path that loses nothing.
//!
//! It is ours and no exchange's. There is no login and no retransmission.
//!
//! Upstream (client to exchange), one UDP payload: one or more packets of SoupBinTCP's shape, nothing after them:
//! `length:u16` (type and payload), `type`, payload. Types: `U` with one inbound OUCH 5.0 message, `R` (client
//! heartbeat) with none.
//!
//! Downstream (exchange to the client's address and port): MoldUDP64 packets ([`super::moldudp64`]) whose blocks are
//! outbound OUCH 5.0 messages.

use super::{NoRoom, soup};

pub use super::soup::HEADER_LEN;

kinds! {
    /// Why a datagram is not WUTF upstream.
    pub enum Error counted by ErrorCounters {
        /// No packet at all.
        Empty as wutf_empty = "empty WUTF datagram",
        /// A packet has length 0, or reaches past the end of the datagram.
        BadLength as wutf_bad_length = "WUTF packet length does not fit its datagram",
        /// A type other than `U` and `R`.
        UnknownType as wutf_unknown_type = "WUTF packet of an unknown type",
        /// A heartbeat with a payload, or an order without one.
        BadPayload as wutf_bad_payload = "WUTF packet payload does not fit its type",
    }
}

/// One packet from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// An inbound OUCH message, not yet looked at.
    Order(&'a [u8]),
    /// The client is alive.
    Heartbeat,
}

/// The packets of one datagram, checked: they fill it exactly, and their types are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream<'a>(&'a [u8]);

impl<'a> Upstream<'a> {
    /// Checks a whole UDP payload.
    ///
    /// # Errors
    /// [`Error`], by kind; then no packet of the datagram may be used.
    pub const fn new_checked(datagram: &'a [u8]) -> Result<Self, Error> {
        if datagram.is_empty() {
            return Err(Error::Empty);
        }
        let mut rest = datagram;
        while !rest.is_empty() {
            rest = match split(rest) {
                Ok((_, rest)) => rest,
                Err(error) => return Err(error),
            };
        }
        Ok(Self(datagram))
    }
}

/// One packet and the bytes after it.
const fn split(bytes: &[u8]) -> Result<(Request<'_>, &[u8]), Error> {
    let Ok(Some((packet, rest))) = soup::split(bytes) else { return Err(Error::BadLength) };
    let request = match (packet.packet_type, packet.payload) {
        (soup::packet_type::CLIENT_HEARTBEAT, []) => Request::Heartbeat,
        (soup::packet_type::UNSEQUENCED_DATA, message @ [_, ..]) => Request::Order(message),
        (soup::packet_type::CLIENT_HEARTBEAT | soup::packet_type::UNSEQUENCED_DATA, _) => {
            return Err(Error::BadPayload);
        }
        _ => return Err(Error::UnknownType),
    };
    Ok((request, rest))
}

impl<'a> Iterator for Upstream<'a> {
    type Item = Request<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (request, rest) = split(self.0).ok()?;
        self.0 = rest;
        Some(request)
    }
}

/// Writes the header of an order packet in front of the OUCH message of `message_len` bytes that stands, or will stand,
/// at `out[HEADER_LEN..]`; returns the packet's length.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
#[inline]
pub fn emit_order_header(out: &mut [u8], message_len: usize) -> Result<usize, NoRoom> {
    soup::emit_header(out, soup::packet_type::UNSEQUENCED_DATA, message_len)
}

/// Writes a whole order packet; returns its length.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
#[inline]
pub fn emit_order(out: &mut [u8], message: &[u8]) -> Result<usize, NoRoom> {
    soup::emit(out, soup::packet_type::UNSEQUENCED_DATA, message)
}

/// Writes a heartbeat; returns its length, [`HEADER_LEN`].
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
#[inline]
pub fn emit_heartbeat(out: &mut [u8]) -> Result<usize, NoRoom> {
    soup::emit_header(out, soup::packet_type::CLIENT_HEARTBEAT, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_round_trip() {
        let mut out = [0; 64];
        let mut len = emit_order(&mut out, b"Oone").unwrap();
        len += emit_heartbeat(&mut out[len..]).unwrap();
        out[len + HEADER_LEN..][..4].copy_from_slice(b"Xtwo");
        len += emit_order_header(&mut out[len..], 4).unwrap();
        let upstream = Upstream::new_checked(&out[..len]).unwrap();
        assert!(upstream.eq([Request::Order(b"Oone"), Request::Heartbeat, Request::Order(b"Xtwo")]));
        // Cut anywhere but between packets, nothing of it counts.
        for cut in 1..len {
            let expected = if [7, 10].contains(&cut) { None } else { Some(Error::BadLength) };
            assert_eq!(Upstream::new_checked(&out[..cut]).err(), expected, "at {cut}");
        }
    }

    #[test]
    fn each_fault_has_its_kind() {
        let cases = [
            (&b""[..], Error::Empty),
            (b"\0\0", Error::BadLength),
            (b"\0\x02R!", Error::BadPayload),
            (b"\0\x01U", Error::BadPayload),
            (b"\0\x01S", Error::UnknownType),
            (b"\0\x01R\0", Error::BadLength),
        ];
        for (bytes, error) in cases {
            assert_eq!(Upstream::new_checked(bytes), Err(error));
        }
    }
}
