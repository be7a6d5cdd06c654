//! TotalView-ITCH 5.0 (Nasdaq, document of 2026-02-19): all 23 message types as views over their bytes.
//!
//! One message is one MoldUDP64 block (or one length-prefixed record of a file). Units: `price4` fields are integers in
//! 1/10,000 of a dollar, `price8` fields in 1/100,000,000; timestamps are ns since midnight US Eastern; quantities are
//! shares. Character fields come back as the raw byte: what a code means is the feed adapter's business, and codes that
//! the document does not list must not be fatal.
//!
//! Rules: a known type has exactly its documented length, anything else is an [`Error`]; an unknown type is a
//! [`Message::Unknown`], skipped by the length of its block.

mod messages;

pub use messages::*;

use super::layout;

/// Bytes that all messages begin with: type, stock locate, tracking number, timestamp.
pub const COMMON_LEN: usize = 11;
/// Longest of the 23 messages.
pub const MAX_LEN: usize = Noii::LEN;

/// Why a block is not an ITCH message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The block has no type byte. It used up a sequence number all the same.
    #[error("empty message block")]
    Empty,
    /// A known type of another length than the document gives.
    #[error("ITCH message {} of {actual} bytes, must be {expected}", .message_type.escape_ascii())]
    BadLength {
        /// The type byte.
        message_type: u8,
        /// Documented length.
        expected: usize,
        /// Length of the block.
        actual: usize,
    },
}

/// How often each [`Error`] was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounters {
    /// Blocks without a type byte.
    pub itch_empty: u64,
    /// Known types of a wrong length.
    pub itch_bad_length: u64,
}

impl ErrorCounters {
    /// Adds one to the counter of `error`.
    #[inline]
    pub const fn count(&mut self, error: Error) {
        let counter = match error {
            Error::Empty => &mut self.itch_empty,
            Error::BadLength { .. } => &mut self.itch_bad_length,
        };
        *counter = counter.wrapping_add(1);
    }

    /// Name and value of each counter.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 2] {
        [("itch_empty", self.itch_empty), ("itch_bad_length", self.itch_bad_length)]
    }
}

impl<'a> Message<'a> {
    /// Reads one message block.
    ///
    /// # Errors
    /// [`Error`]: no type byte, or a known type of the wrong length.
    #[inline]
    pub fn parse(block: &'a [u8]) -> Result<Self, Error> {
        let Some(&message_type) = block.first() else { return Err(Error::Empty) };
        match Self::split(message_type, block) {
            Ok((message, [])) => Ok(message),
            Ok((_, tail)) => Err(Error::BadLength {
                message_type,
                expected: block.len() - tail.len(),
                actual: block.len(),
            }),
            Err(expected) => Err(Error::BadLength { message_type, expected, actual: block.len() }),
        }
    }

    /// Day-scoped instrument index; 0 = not about one instrument, or an unknown type.
    #[inline]
    #[must_use]
    pub fn stock_locate(&self) -> u16 {
        self.common().map_or(0, |common| u16::from_be_bytes(layout::chunk(common, 1)))
    }

    /// ns since midnight US Eastern; 0 for an unknown type.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.common().map_or(0, |common| layout::u48(layout::chunk(common, 5)))
    }

    /// The common prefix of a known type.
    #[inline]
    fn common(&self) -> Option<&'a [u8; COMMON_LEN]> {
        match self {
            Self::Unknown { .. } => None,
            known => known.as_bytes().first_chunk(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_add_order_reads_as_the_document_lays_it_out() {
        let mut bytes = [0; AddOrder::LEN];
        bytes[0] = b'A';
        bytes[1..3].copy_from_slice(&[0x12, 0x34]);
        bytes[5..11].copy_from_slice(&[0, 0, 0, 1, 0, 2]);
        bytes[11..19].copy_from_slice(&0x0102_0304_0506_0708_u64.to_be_bytes());
        bytes[19] = b'B';
        bytes[20..24].copy_from_slice(&500_u32.to_be_bytes());
        bytes[24..32].copy_from_slice(b"AAPL    ");
        bytes[32..36].copy_from_slice(&1_234_500_u32.to_be_bytes());
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.stock_locate(), message.timestamp()), (0x1234, 0x1_0002));
        let Message::AddOrder(add) = message else { panic!("{message:?}") };
        assert_eq!(add.order_ref(), 0x0102_0304_0506_0708);
        assert_eq!((add.side(), add.shares(), add.price()), (b'B', 500, 1_234_500));
        assert_eq!(&add.stock(), b"AAPL    ");
    }

    #[test]
    fn known_types_of_another_length_are_refused() {
        for &(name, message_type, len, _) in Message::LAYOUTS {
            let mut bytes = vec![message_type; MAX_LEN + 1];
            for actual in 1..=bytes.len() {
                let parsed = Message::parse(&bytes[..actual]);
                if actual == len {
                    assert_eq!(parsed.unwrap().message_type(), message_type);
                } else {
                    assert_eq!(
                        parsed,
                        Err(Error::BadLength { message_type, expected: len, actual }),
                        "{name}"
                    );
                }
            }
            bytes.clear();
            assert_eq!(Message::parse(&bytes), Err(Error::Empty));
        }
    }

    #[test]
    fn every_other_type_is_unknown_and_skipped() {
        let mut unknown = 0;
        for message_type in 0..=u8::MAX {
            if Message::LAYOUTS.iter().all(|layout| layout.1 != message_type) {
                let bytes = [message_type, 1, 2, 3];
                let message = Message::parse(&bytes).unwrap();
                assert_eq!(message, Message::Unknown { message_type, bytes: &bytes });
                assert_eq!((message.stock_locate(), message.timestamp()), (0, 0));
                unknown += 1;
            }
        }
        assert_eq!(unknown, 256 - 23);
    }

    #[test]
    fn errors_are_counted_and_explained() {
        let mut counters = ErrorCounters::default();
        let bad = Error::BadLength { message_type: b'A', expected: 36, actual: 35 };
        counters.count(bad);
        counters.count(Error::Empty);
        counters.count(bad);
        assert_eq!(counters.rows(), [("itch_empty", 1), ("itch_bad_length", 2)]);
        assert_eq!(bad.to_string(), "ITCH message A of 35 bytes, must be 36");
    }
}
