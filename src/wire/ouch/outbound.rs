//! OUCH 5.0, exchange to client: views over the fixed layouts, and the optional tail.

use super::{Error, Options, parse_tail};

messages! {
    /// One message from the exchange, by type.
    pub enum Outbound;

    common {
        /// ns since midnight.
        timestamp: u64 @ 1,
    }

    /// `S`: the day begins or ends.
    SystemEvent b'S' 10 {
        /// `S` start of day, `E` end of day.
        event_code: char @ 9,
    }

    /// `A`: an order was accepted, perhaps at a better price or a changed display.
    OrderAccepted b'A' 62 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// As entered.
        side: char @ 13,
        /// Shares.
        quantity: u32 @ 14,
        /// Ticker, padded with spaces.
        symbol: alpha8 @ 18,
        /// Limit, in 1/10,000; may differ from the one sent, never for the worse.
        price: price4_wide @ 26,
        /// As entered.
        time_in_force: char @ 34,
        /// `Y` `N` `A` as entered, `Z` changed.
        display: char @ 35,
        /// The order's reference in the ITCH feed.
        order_ref: u64 @ 36,
        /// As entered.
        capacity: char @ 44,
        /// As entered.
        iso: char @ 45,
        /// As entered.
        cross_type: char @ 46,
        /// `L` live, `D` dead already.
        order_state: char @ 47,
        /// As entered.
        cl_ord_id: alpha14 @ 48,
    }

    /// `U`: an order was replaced.
    OrderReplaced b'U' 66 {
        /// The order that left.
        orig_user_ref_num: u32 @ 9,
        /// The order that joined.
        user_ref_num: u32 @ 13,
        /// As entered.
        side: char @ 17,
        /// Shares left exposed.
        quantity: u32 @ 18,
        /// Ticker, padded with spaces.
        symbol: alpha8 @ 22,
        /// Limit, in 1/10,000.
        price: price4_wide @ 30,
        /// As entered.
        time_in_force: char @ 38,
        /// As in [`OrderAccepted`].
        display: char @ 39,
        /// The new order's reference in the ITCH feed.
        order_ref: u64 @ 40,
        /// As entered.
        capacity: char @ 48,
        /// As entered.
        iso: char @ 49,
        /// As entered.
        cross_type: char @ 50,
        /// `L` live, `D` dead already.
        order_state: char @ 51,
        /// As entered.
        cl_ord_id: alpha14 @ 52,
    }

    /// `C`: shares of an order were cancelled.
    OrderCanceled b'C' 18 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// Shares cancelled now (a decrement).
        quantity: u32 @ 13,
        /// One of `D E F G H I K Q S T U X Z e`.
        reason: char @ 17,
    }

    /// `D`: shares were cancelled rather than trade with an order of the same owner (anti-internalisation).
    AiqCanceled b'D' 32 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// Shares cancelled now (a decrement).
        decrement_shares: u32 @ 13,
        /// `Q`.
        reason: char @ 17,
        /// Shares that would have traded.
        qty_prevented: u32 @ 18,
        /// Price at which they would have, in 1/10,000.
        execution_price: price4_wide @ 22,
        /// Liquidity flag that they would have had.
        liquidity_flag: char @ 30,
        /// Strategy that applied.
        aiq_strategy: char @ 31,
    }

    /// `E`: shares of an order traded.
    OrderExecuted b'E' 34 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// Shares traded now (a decrement).
        quantity: u32 @ 13,
        /// Trade price, in 1/10,000.
        price: price4_wide @ 17,
        /// Whether liquidity was added, removed, or otherwise.
        liquidity_flag: char @ 25,
        /// The match.
        match_number: u64 @ 26,
    }

    /// `B`: a trade was broken.
    BrokenTrade b'B' 36 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// The match.
        match_number: u64 @ 13,
        /// One of `E C S X`.
        reason: char @ 21,
        /// As entered.
        cl_ord_id: alpha14 @ 22,
    }

    /// `J`: an order was refused.
    Rejected b'J' 29 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// Reason code; see [`reject_reason`].
        reason: u16 @ 13,
        /// As entered.
        cl_ord_id: alpha14 @ 15,
    }

    /// `P`: a cancel waits, because the order is in a cross.
    CancelPending b'P' 13 {
        /// The order.
        user_ref_num: u32 @ 9,
    }

    /// `I`: a cancel was refused.
    CancelReject b'I' 13 {
        /// The order.
        user_ref_num: u32 @ 9,
    }

    /// `T`: the order has a new place in the book, under a new reference.
    OrderPriorityUpdate b'T' 30 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// Price, in 1/10,000.
        price: price4_wide @ 13,
        /// As in [`OrderAccepted`].
        display: char @ 21,
        /// The new reference in the ITCH feed.
        order_ref: u64 @ 22,
    }

    /// `M`: an order was modified.
    OrderModified b'M' 18 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// The side now.
        side: char @ 13,
        /// Shares outstanding.
        quantity: u32 @ 14,
    }

    /// `R`: what the order displays changed; details are in the options.
    OrderRestated b'R' 14 {
        /// The order.
        user_ref_num: u32 @ 9,
        /// `R` the reserve was refreshed, `P` the displayed price changed.
        reason: char @ 13,
    }

    /// `X` (2025): answer to a mass cancel.
    MassCancelResponse b'X' 25 {
        /// The request.
        user_ref_num: u32 @ 9,
        /// The firm.
        firm: alpha4 @ 13,
        /// Ticker, padded with spaces.
        symbol: alpha8 @ 17,
    }

    /// `G` (2025): order entry is disabled.
    DisableResponse b'G' 17 {
        /// The request.
        user_ref_num: u32 @ 9,
        /// The firm.
        firm: alpha4 @ 13,
    }

    /// `K` (2025): order entry is enabled again.
    EnableResponse b'K' 17 {
        /// The request.
        user_ref_num: u32 @ 9,
        /// The firm.
        firm: alpha4 @ 13,
    }

    /// `Q`: answer to an account query.
    AccountQueryResponse b'Q' 13 {
        /// The lowest `user_ref_num` that may be used next.
        next_user_ref_num: u32 @ 9,
    }
}

impl<'a> Outbound<'a> {
    /// Reads one message; its options are checked and left aside.
    ///
    /// # Errors
    /// [`Error`], by kind. A type that this version does not know is not an error but [`Outbound::Unknown`].
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parse_with_options(bytes).map(|(message, _)| message)
    }

    /// Reads one message and its options.
    ///
    /// # Errors
    /// As [`Self::parse`].
    #[inline]
    pub fn parse_with_options(bytes: &'a [u8]) -> Result<(Self, Options<'a>), Error> {
        let Some(&message_type) = bytes.first() else { return Err(Error::Empty) };
        match Self::split(message_type, bytes) {
            Ok((message, tail)) => Ok((message, parse_tail(message_type, tail)?)),
            Err(expected) => Err(Error::TooShort { message_type, expected, actual: bytes.len() }),
        }
    }
}

/// What a [`Rejected::reason`] says, in words for an operator.
#[must_use]
pub const fn reject_reason(reason: u16) -> &'static str {
    match reason {
        0x01 => "quote unavailable",
        0x02 => "destination closed",
        0x03 => "invalid display",
        0x04 => "invalid max floor",
        0x05 => "invalid peg type",
        0x06 | 0x26 => "fat finger",
        0x07 => "halted",
        0x08 => "ISO not allowed",
        0x09 => "invalid side",
        0x0A => "processing error",
        0x0B => "cancel pending",
        0x0C => "firm not authorized",
        0x0D => "invalid minimum quantity",
        0x0E => "no closing reference price",
        0x0F => "other",
        0x10 => "cancel not allowed",
        0x11 => "pegging not allowed",
        0x12 => "crossed market",
        0x13 => "invalid quantity",
        0x14 => "invalid cross order",
        0x15 => "replace not allowed",
        0x16 => "routing not allowed",
        0x17 => "invalid symbol",
        0x18 => "test",
        0x19 => "late LOC too aggressive",
        0x1A => "retail not allowed",
        0x1B => "invalid midpoint post-only price",
        0x1C => "invalid destination",
        0x1D => "invalid price",
        0x1E => "shares exceed threshold",
        0x1F => "exceeds maximum notional",
        0x20 => "risk: aggregate exposure",
        0x21 => "risk: market impact",
        0x22 => "risk: restricted stock",
        0x23 => "risk: short sell restricted",
        0x24 => "risk: order type restricted",
        0x25 => "risk: exceeds ADV limit",
        0x27 => "risk: locate required",
        0x28 => "risk: symbol rate",
        0x29 => "risk: port rate",
        0x2A => "risk: duplicate rate",
        _ => "unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_may_be_absent_empty_or_full() {
        for &(name, message_type, len, _) in Outbound::LAYOUTS {
            let mut bytes = vec![message_type; len];
            for tail in [&[][..], &[0, 0], &[0, 3, 2, 12, b'P'], &[0, 4, 1, 99, 1, 98]] {
                bytes.truncate(len);
                bytes.extend_from_slice(tail);
                let (message, options) = Outbound::parse_with_options(&bytes).unwrap();
                assert_eq!((message.message_type(), message.as_bytes().len()), (message_type, len), "{name}");
                assert_eq!(options.as_bytes(), tail.get(2..).unwrap_or_default());
            }
            for tail in [&[0][..], &[0, 1], &[0, 0, 0], &[0, 2, 1]] {
                bytes.truncate(len);
                bytes.extend_from_slice(tail);
                assert_eq!(
                    Outbound::parse(&bytes),
                    Err(Error::BadAppendageLength { message_type }),
                    "{name}"
                );
            }
            bytes.truncate(len);
            bytes.extend_from_slice(&[0, 1, 0]);
            assert_eq!(Outbound::parse(&bytes), Err(Error::BadOptions { message_type }), "{name}");
            for actual in 1..len {
                let too_short = Error::TooShort { message_type, expected: len, actual };
                assert_eq!(Outbound::parse(&bytes[..actual]), Err(too_short), "{name}");
            }
        }
        assert_eq!(Outbound::parse(&[]), Err(Error::Empty));
    }

    #[test]
    fn unknown_types_are_skipped() {
        let bytes = *b"?anything";
        assert_eq!(Outbound::parse(&bytes), Ok(Outbound::Unknown { message_type: b'?', bytes: &bytes }));
    }

    #[test]
    fn an_execution_reads_as_the_document_lays_it_out() {
        let mut bytes = [0; 36];
        bytes[0] = b'E';
        bytes[1..9].copy_from_slice(&34_200_000_000_000_u64.to_be_bytes());
        bytes[9..13].copy_from_slice(&7_u32.to_be_bytes());
        bytes[13..17].copy_from_slice(&100_u32.to_be_bytes());
        bytes[17..25].copy_from_slice(&1_234_500_u64.to_be_bytes());
        bytes[25] = b'R';
        bytes[26..34].copy_from_slice(&99_u64.to_be_bytes());
        let Ok(Outbound::OrderExecuted(fill)) = Outbound::parse(&bytes) else { panic!() };
        assert_eq!((fill.timestamp(), fill.user_ref_num()), (34_200_000_000_000, 7));
        assert_eq!((fill.quantity(), fill.price()), (100, 1_234_500));
        assert_eq!((fill.liquidity_flag(), fill.match_number()), (b'R', 99));
    }

    #[test]
    fn reasons_are_words() {
        assert_eq!(reject_reason(0x17), "invalid symbol");
        assert_eq!(reject_reason(0x2B), "unknown reason");
    }
}
