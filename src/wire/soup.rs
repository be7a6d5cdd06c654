//! SoupBinTCP 3.00 (Nasdaq, 2017-02-22): packets on a byte stream, and the login.
//!
//! Packet: `length:u16` (counts type and payload, so at least 1), `type:u8`, payload. Packets do not align with TCP
//! segments: [`split`] takes one off the front of what has arrived. Sequence numbers are not on the wire: both sides
//! count the sequenced packets, from the number that [`LoginAccepted`] tells; the first of a session is 1.
//!
//! Numbers are ASCII, written padded with spaces on the left; padding on either side is read, since senders differ.

use super::{NoRoom, layout, room};

/// Bytes of length and type.
pub const HEADER_LEN: usize = 3;
/// Longest payload.
pub const MAX_PAYLOAD: usize = 65_534;

/// Packet types.
pub mod packet_type {
    /// Either side: free text, to be ignored.
    pub const DEBUG: u8 = b'+';
    /// Server: [`super::LoginAccepted`].
    pub const LOGIN_ACCEPTED: u8 = b'A';
    /// Server: one byte of reason follows, `A` not authorized or `S` session not available; then it closes.
    pub const LOGIN_REJECTED: u8 = b'J';
    /// Server: one message of the session, counted.
    pub const SEQUENCED_DATA: u8 = b'S';
    /// Server: nothing else was sent for a second.
    pub const SERVER_HEARTBEAT: u8 = b'H';
    /// Server: the session is over.
    pub const END_OF_SESSION: u8 = b'Z';
    /// Client: [`super::LoginRequest`].
    pub const LOGIN_REQUEST: u8 = b'L';
    /// Client (in version 4 the server too): one message, not counted.
    pub const UNSEQUENCED_DATA: u8 = b'U';
    /// Client: nothing else was sent for a second.
    pub const CLIENT_HEARTBEAT: u8 = b'R';
    /// Client: wishes to be disconnected.
    pub const LOGOUT_REQUEST: u8 = b'O';
}

kinds! {
    /// Why bytes are not a SoupBinTCP packet, or not the login packet that they claim to be.
    pub enum Error counted by ErrorCounters {
        /// Length 0: there is no type byte. The stream cannot be trusted any further.
        ZeroLength as soup_zero_length = "SoupBinTCP packet of length 0",
        /// A login packet's payload has a wrong length.
        BadLength as soup_bad_length = "SoupBinTCP login packet of a wrong length",
        /// A number field holds something else than digits between spaces, or more than fits 64 bits.
        BadNumber as soup_bad_number = "SoupBinTCP number field is not a number",
    }
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// One of [`packet_type`], or unknown.
    pub packet_type: u8,
    /// What follows the type.
    pub payload: &'a [u8],
}

/// Takes one packet off the front of `stream`; `None` while it is not complete. Returns it and the bytes after it.
///
/// # Errors
/// [`Error::ZeroLength`].
#[inline]
pub const fn split(stream: &[u8]) -> Result<Option<(Packet<'_>, &[u8])>, Error> {
    let Some((len, rest)) = stream.split_first_chunk() else { return Ok(None) };
    let len = u16::from_be_bytes(*len) as usize;
    if len == 0 {
        return Err(Error::ZeroLength);
    }
    let Some((packet, rest)) = rest.split_at_checked(len) else { return Ok(None) };
    let Some((packet_type, payload)) = packet.split_first() else { return Ok(None) };
    Ok(Some((Packet { packet_type: *packet_type, payload }, rest)))
}

/// Writes length and type in front of the `payload_len` bytes that stand, or will stand, at `out[3..]`; returns the
/// packet's length.
///
/// # Errors
/// [`NoRoom`] where `out` cannot hold the packet or the payload is longer than [`MAX_PAYLOAD`]; nothing is written then.
#[inline]
pub fn emit_header(out: &mut [u8], packet_type: u8, payload_len: usize) -> Result<usize, NoRoom> {
    let whole = HEADER_LEN.saturating_add(payload_len);
    let no_room = NoRoom { needed: whole, room: out.len().min(HEADER_LEN + MAX_PAYLOAD) };
    if whole > no_room.room {
        return Err(no_room);
    }
    let len = u16::try_from(payload_len + 1).map_err(|_| no_room)?;
    let [high, low] = len.to_be_bytes();
    *room(out)? = [high, low, packet_type];
    Ok(whole)
}

/// Writes a whole packet; returns its length. Heartbeats and the like have an empty payload.
///
/// # Errors
/// As [`emit_header`].
#[inline]
pub fn emit(out: &mut [u8], packet_type: u8, payload: &[u8]) -> Result<usize, NoRoom> {
    let len = emit_header(out, packet_type, payload.len())?;
    if let Some(place) = out.get_mut(HEADER_LEN..len) {
        place.copy_from_slice(payload);
    }
    Ok(len)
}

/// `L`: who the client is and where in which session it wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// Padded with spaces on the right; case does not matter.
    pub username: [u8; 6],
    /// Padded with spaces on the right; case does not matter.
    pub password: [u8; 10],
    /// The session; all spaces = the current one.
    pub session: [u8; 10],
    /// Next sequence wanted: 1 = from the start, 0 = only what is new.
    pub sequence: u64,
}

impl LoginRequest {
    /// Bytes of the whole packet.
    pub const LEN: usize = 49;
    const PAYLOAD_LEN: usize = Self::LEN - HEADER_LEN;
    /// Version 4.10 appends a heartbeat time-out in ms, five digits.
    const TIMEOUT_LEN: usize = 5;

    /// Reads the payload of a login request. The time-out that version 4.10 appends is accepted and left aside.
    ///
    /// # Errors
    /// [`Error::BadLength`], [`Error::BadNumber`].
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let Some((fixed, more)) = payload.split_first_chunk() else { return Err(Error::BadLength) };
        if !more.is_empty() && more.len() != Self::TIMEOUT_LEN {
            return Err(Error::BadLength);
        }
        let fixed: &[u8; Self::PAYLOAD_LEN] = fixed;
        Ok(Self {
            username: layout::chunk(fixed, 0),
            password: layout::chunk(fixed, 6),
            session: layout::chunk(fixed, 16),
            sequence: parse_number(&layout::chunk::<20, _>(fixed, 26))?,
        })
    }

    /// Writes the whole packet; returns [`Self::LEN`].
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written then.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let packet = room::<{ Self::LEN }>(out)?;
        emit_header(packet, packet_type::LOGIN_REQUEST, Self::PAYLOAD_LEN)?;
        layout::put(packet, 3, self.username);
        layout::put(packet, 9, self.password);
        layout::put(packet, 19, self.session);
        layout::put(packet, 29, number(self.sequence));
        Ok(Self::LEN)
    }
}

/// `A`: the session the client is now in, and the sequence of the next sequenced packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginAccepted {
    /// Padded with spaces on the left.
    pub session: [u8; 10],
    /// Sequence of the sequenced packet that comes next.
    pub sequence: u64,
}

impl LoginAccepted {
    /// Bytes of the whole packet.
    pub const LEN: usize = 33;
    const PAYLOAD_LEN: usize = Self::LEN - HEADER_LEN;

    /// Reads the payload of a login accepted.
    ///
    /// # Errors
    /// [`Error::BadLength`], [`Error::BadNumber`].
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let fixed: &[u8; Self::PAYLOAD_LEN] = payload.try_into().map_err(|_| Error::BadLength)?;
        Ok(Self {
            session: layout::chunk(fixed, 0),
            sequence: parse_number(&layout::chunk::<20, _>(fixed, 10))?,
        })
    }

    /// Writes the whole packet; returns [`Self::LEN`].
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written then.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let packet = room::<{ Self::LEN }>(out)?;
        emit_header(packet, packet_type::LOGIN_ACCEPTED, Self::PAYLOAD_LEN)?;
        layout::put(packet, 3, self.session);
        layout::put(packet, 13, number(self.sequence));
        Ok(Self::LEN)
    }
}

/// `value` in ASCII, padded with spaces on the left. Twenty digits hold every `u64`.
pub(super) const fn number(value: u64) -> [u8; 20] {
    let mut text = [b' '; 20];
    let mut at = text.len() - 1;
    let mut left = value;
    loop {
        text[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 || at == 0 {
            return text;
        }
        at -= 1;
    }
}

/// Reads a number padded with spaces on either side.
pub(super) fn parse_number(text: &[u8]) -> Result<u64, Error> {
    let digits = text.trim_ascii();
    if digits.is_empty() {
        return Err(Error::BadNumber);
    }
    digits
        .iter()
        .try_fold(0_u64, |value, digit| {
            let digit = char::from(*digit).to_digit(10)?;
            value.checked_mul(10)?.checked_add(u64::from(digit))
        })
        .ok_or(Error::BadNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_off_a_stream_that_arrives_byte_by_byte() {
        let mut stream = [0; 64];
        let first = emit(&mut stream, packet_type::UNSEQUENCED_DATA, b"order").unwrap();
        let len = first + emit(&mut stream[first..], packet_type::CLIENT_HEARTBEAT, b"").unwrap();
        assert_eq!(&stream[..len], b"\x00\x06Uorder\x00\x01R");
        for arrived in 0..first {
            assert_eq!(split(&stream[..arrived]), Ok(None));
        }
        let (packet, rest) = split(&stream[..len]).unwrap().unwrap();
        assert_eq!(packet, Packet { packet_type: b'U', payload: b"order" });
        let (packet, rest) = split(rest).unwrap().unwrap();
        assert_eq!((packet, rest), (Packet { packet_type: b'R', payload: b"" }, &[][..]));
        assert_eq!(split(&[0, 0, 0]), Err(Error::ZeroLength));
    }

    #[test]
    fn the_login_round_trips() {
        let request = LoginRequest {
            username: *b"wirebk",
            password: *b"secret    ",
            session: *b"          ",
            sequence: 1,
        };
        let mut out = [0; 64];
        assert_eq!(request.emit(&mut out), Ok(49));
        assert_eq!(&out[..49], b"\x00\x2fLwirebksecret                                 1");
        assert_eq!(LoginRequest::parse(&out[3..49]), Ok(request));
        out[49..54].copy_from_slice(b"15000");
        assert_eq!(LoginRequest::parse(&out[3..54]), Ok(request));
        for len in (0..60).filter(|len| ![46, 51].contains(len)) {
            assert_eq!(LoginRequest::parse(&out[3..3 + len]), Err(Error::BadLength), "{len}");
        }

        let accepted = LoginAccepted { session: *b"       123", sequence: u64::MAX };
        assert_eq!(accepted.emit(&mut out), Ok(33));
        assert_eq!(&out[..33], b"\x00\x1fA       12318446744073709551615");
        assert_eq!(LoginAccepted::parse(&out[3..33]), Ok(accepted));
        assert_eq!(LoginAccepted::parse(&out[3..32]), Err(Error::BadLength));
        assert!(accepted.emit(&mut out[..32]).is_err());
    }

    #[test]
    fn numbers_are_padded_on_either_side() {
        for text in [&b"                  42"[..], b"42                  ", b"         42         ", b"42"] {
            assert_eq!(parse_number(text), Ok(42));
        }
        for text in [
            &b"                    "[..],
            b"4 2",
            b"-1",
            b"0x10",
            b"18446744073709551616",
            b"99999999999999999999",
        ] {
            assert_eq!(parse_number(text), Err(Error::BadNumber));
        }
        assert_eq!(&number(0), b"                   0");
    }

    #[test]
    fn no_room_writes_nothing() {
        let mut out = [7; 7];
        assert_eq!(emit(&mut out, b'U', b"order"), Err(NoRoom { needed: 8, room: 7 }));
        assert_eq!(out, [7; 7]);
        let mut out = vec![0; 70_000];
        assert!(emit_header(&mut out, b'U', MAX_PAYLOAD).is_ok());
        assert!(emit_header(&mut out, b'U', MAX_PAYLOAD + 1).is_err());
    }
}
