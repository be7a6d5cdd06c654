//! OUCH 5.0, both directions: the public document of April/May 2023, and what the revision of October 2025 changed.
//!
//! A message is a fixed layout and an optional tail: `appendage_length:u16` and that many bytes of options
//! ([`options`]). The document of 2023 prints the tail for some types only; the revision of 2025 allows it on almost
//! all, and lets it be absent. So every type is read as fixed layout plus optional tail, never by a table of exact
//! lengths; what we send carries the tail exactly where the document of 2023 has it, and elsewhere only with options.
//!
//! Units: prices are 8 bytes in 1/10,000 of a dollar, at most [`MAX_PRICE`] ([`MARKET_PRICE`] = market order in a
//! cross); quantities are shares; timestamps are ns since midnight.
//!
//! `user_ref_num` must rise strictly during the day: a lower one is silently ignored as a retransmission, so sending an
//! order again is safe. A replace's quantity is the total of the whole chain, executions included; a cancel's quantity
//! is the new intended total (0 = cancel all); the quantities of cancels and executions that come back are decrements.

pub mod inbound;
pub mod options;
pub mod outbound;

pub use inbound::{AccountQuery, CancelOrder, EnterOrder, Inbound, ModifyOrder, ReplaceOrder};
pub use options::{OptionWriter, Options, Tag};
pub use outbound::Outbound;

/// Highest limit price: 199,999.9900.
pub const MAX_PRICE: u64 = 0x7735_939C;
/// Price of a market order for a cross.
pub const MARKET_PRICE: u64 = 0x7FFF_FFFF;
/// Least quantity that is too large.
pub const QUANTITY_LIMIT: u32 = 1_000_000;

/// Why bytes are not an OUCH message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No type byte.
    #[error("empty OUCH message")]
    Empty,
    /// Shorter than the fixed layout of its type.
    #[error("OUCH message {} of {actual} bytes, needs {expected}", .message_type.escape_ascii())]
    TooShort {
        /// The type byte.
        message_type: u8,
        /// Bytes of the fixed layout.
        expected: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// The tail is not `appendage_length` and exactly that many bytes.
    #[error("OUCH message {} with a wrong appendage length", .message_type.escape_ascii())]
    BadAppendageLength {
        /// The type byte.
        message_type: u8,
    },
    /// The options do not fill the appendage exactly, or one has length 0.
    #[error("OUCH message {} with broken options", .message_type.escape_ascii())]
    BadOptions {
        /// The type byte.
        message_type: u8,
    },
    /// A type that the exchange side does not know (inbound only: a reply of unknown type is not an error).
    #[error("unknown inbound OUCH message type {}", .message_type.escape_ascii())]
    UnknownType {
        /// The type byte.
        message_type: u8,
    },
}

/// How often each [`Error`] was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounters {
    /// Messages without a type byte.
    pub ouch_empty: u64,
    /// Messages shorter than their fixed layout.
    pub ouch_too_short: u64,
    /// Messages whose tail is not as long as it says.
    pub ouch_bad_appendage_length: u64,
    /// Messages whose options do not fill their appendage.
    pub ouch_bad_options: u64,
    /// Inbound messages of an unknown type.
    pub ouch_unknown_type: u64,
}

impl ErrorCounters {
    /// Adds one to the counter of `error`.
    #[inline]
    pub const fn count(&mut self, error: Error) {
        let counter = match error {
            Error::Empty => &mut self.ouch_empty,
            Error::TooShort { .. } => &mut self.ouch_too_short,
            Error::BadAppendageLength { .. } => &mut self.ouch_bad_appendage_length,
            Error::BadOptions { .. } => &mut self.ouch_bad_options,
            Error::UnknownType { .. } => &mut self.ouch_unknown_type,
        };
        *counter = counter.wrapping_add(1);
    }

    /// Name and value of each counter.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 5] {
        [
            ("ouch_empty", self.ouch_empty),
            ("ouch_too_short", self.ouch_too_short),
            ("ouch_bad_appendage_length", self.ouch_bad_appendage_length),
            ("ouch_bad_options", self.ouch_bad_options),
            ("ouch_unknown_type", self.ouch_unknown_type),
        ]
    }
}

/// Reads what follows a fixed layout: nothing, or an appendage that fills the rest of the message.
#[inline]
fn parse_tail(message_type: u8, tail: &[u8]) -> Result<Options<'_>, Error> {
    if tail.is_empty() {
        return Ok(Options::EMPTY);
    }
    let bad_length = Error::BadAppendageLength { message_type };
    let (len, appendage) = tail.split_first_chunk().ok_or(bad_length)?;
    if usize::from(u16::from_be_bytes(*len)) != appendage.len() {
        return Err(bad_length);
    }
    Options::new_checked(appendage).ok_or(Error::BadOptions { message_type })
}
