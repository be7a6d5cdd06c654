//! GLIMPSE 5.0 (Nasdaq): a snapshot of the ITCH feed, over SoupBinTCP.
//!
//! The server sends ITCH messages that build the state of the day, each one sequenced data packet, and one message of its
//! own at the end: `type[0,1] = 'G'`, `sequence[1,20]`, the ITCH sequence from which the live feed is to be applied. The
//! number is ASCII, padded with spaces on the left by some senders and with zeros by others; both are read.

use super::soup::{number, parse_number};
use super::{NoRoom, layout, room};

/// Type of the message that ends a snapshot; no ITCH message has it.
pub const END_OF_SNAPSHOT: u8 = b'G';
/// Bytes of that message.
pub const END_LEN: usize = 21;

const SEQUENCE_AT: usize = 1;

kinds! {
    /// Why a message is not the end of a snapshot.
    pub enum Error counted by ErrorCounters {
        /// Not [`END_OF_SNAPSHOT`], or not [`END_LEN`] bytes long.
        BadLength as glimpse_bad_length = "not an end-of-snapshot message, or of a wrong length",
        /// The sequence holds something else than digits between spaces, or more than fits 64 bits.
        BadNumber as glimpse_bad_number = "the sequence of an end-of-snapshot message is not a number",
    }
}

/// Reads the sequence out of an end-of-snapshot message.
///
/// # Errors
/// [`Error`], by kind.
pub fn parse_end(message: &[u8]) -> Result<u64, Error> {
    let whole: &[u8; END_LEN] = message.try_into().map_err(|_| Error::BadLength)?;
    if whole.first() != Some(&END_OF_SNAPSHOT) {
        return Err(Error::BadLength);
    }
    parse_number(&layout::chunk::<20, _>(whole, SEQUENCE_AT)).map_err(|_| Error::BadNumber)
}

/// Writes an end-of-snapshot message, [`END_LEN`] bytes, and returns their number.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_end(out: &mut [u8], sequence: u64) -> Result<usize, NoRoom> {
    let message = room::<END_LEN>(out)?;
    layout::put(message, 0, [END_OF_SNAPSHOT]);
    layout::put(message, SEQUENCE_AT, number(sequence));
    Ok(END_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_round_trips_and_any_padding_is_read() {
        let mut out = [0; 24];
        for sequence in [0, 1, 42, u64::MAX] {
            assert_eq!(emit_end(&mut out, sequence), Ok(21));
            assert_eq!(parse_end(&out[..21]), Ok(sequence));
        }
        assert_eq!(&out[..21], b"G18446744073709551615");
        for text in [b"G00000000000000001234", b"G                1234", b"G1234                "] {
            assert_eq!(parse_end(text), Ok(1_234));
        }
        assert!(emit_end(&mut out[..20], 1).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for (message, error) in [
            (&b""[..], Error::BadLength),
            (b"G", Error::BadLength),
            (b"G0000000000000000001", Error::BadLength),
            (b"G000000000000000000001", Error::BadLength),
            (b"S00000000000000000001", Error::BadLength),
            (b"G                    ", Error::BadNumber),
            (b"G18446744073709551616", Error::BadNumber),
            (b"G99999999999999999999", Error::BadNumber),
            (b"G-0000000000000000001", Error::BadNumber),
            (b"G+0000000000000000001", Error::BadNumber),
            (b"G000000000 0000000001", Error::BadNumber),
            (b"G\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", Error::BadNumber),
        ] {
            assert_eq!(parse_end(message), Err(error), "{}", message.escape_ascii());
        }
    }
}
