//! OUCH 5.0, client to exchange: plain values that are emitted, and that an exchange's side parses.

use super::{Error, Options, parse_tail};
use crate::wire::NoRoom;

/// All inbound messages: the records and the enum over them.
macro_rules! inbound {
    ($(
        $(#[$meta:meta])*
        $name:ident patched by $patch:ident, $tag:literal, $len:literal, appendage: $appendage:literal, $fields:tt
    )+) => {
        $(
            record! { $(#[$meta])* $name patched by $patch, $tag, $len, $fields }

            impl $name {
                /// Whether the document of 2023 prints `appendage_length` for this type; such a message always has it.
                pub const APPENDAGE: bool = $appendage;
                /// Bytes of the message without options.
                pub const EMITTED_LEN: usize = if $appendage { $len + 2 } else { $len };

                /// Writes the message without options; returns [`Self::EMITTED_LEN`].
                ///
                /// # Errors
                /// [`NoRoom`]; nothing is written then.
                #[inline]
                pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
                    self.emit_with(out, Options::EMPTY)
                }

                /// Writes the message with `options` (at most 65,535 bytes); returns its length.
                ///
                /// # Errors
                /// [`NoRoom`]; nothing is written then.
                #[inline]
                pub fn emit_with(&self, out: &mut [u8], options: Options<'_>) -> Result<usize, NoRoom> {
                    let len = emitted_len($len, $appendage, options);
                    let no_room = NoRoom { needed: len, room: out.len() };
                    let whole = out.get_mut(..len).ok_or(no_room)?;
                    let (fixed, tail) = whole.split_first_chunk_mut().ok_or(no_room)?;
                    emit_tail(tail, options).ok_or(no_room)?;
                    self.write(fixed);
                    Ok(len)
                }
            }
        )+

        /// One message from a client, with its options.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Inbound<'a> {
            $( $(#[$meta])* $name($name, Options<'a>), )+
        }

        impl<'a> Inbound<'a> {
            /// Name, type byte, fixed length, whether `appendage_length` follows, and fields of every type.
            pub const LAYOUTS: &'static [(&'static str, u8, usize, bool, &'static [crate::wire::Field])] =
                &[$( (stringify!($name), $tag, $len, $appendage, $name::LAYOUT), )+];

            /// Reads one message.
            ///
            /// # Errors
            /// [`Error`], by kind.
            pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
                let Some(&message_type) = bytes.first() else { return Err(Error::Empty) };
                match message_type {
                    $(
                        $tag => match bytes.split_first_chunk() {
                            Some((fixed, tail)) => Ok(Self::$name($name::read(fixed), parse_tail(message_type, tail)?)),
                            None => Err(Error::TooShort { message_type, expected: $len, actual: bytes.len() }),
                        },
                    )+
                    _ => Err(Error::UnknownType { message_type }),
                }
            }
        }
    };
}

/// Bytes of a message with `options`.
const fn emitted_len(fixed: usize, appendage: bool, options: Options<'_>) -> usize {
    let options = options.as_bytes().len();
    if appendage || options > 0 { fixed + 2 + options } else { fixed }
}

/// Fills `tail`, all of it, with appendage length and options; `None` where the options are too long.
fn emit_tail(tail: &mut [u8], options: Options<'_>) -> Option<()> {
    if let Some((len, appendage)) = tail.split_first_chunk_mut::<2>() {
        let options = options.as_bytes();
        let appendage = appendage.get_mut(..options.len())?;
        *len = u16::try_from(options.len()).ok()?.to_be_bytes();
        appendage.copy_from_slice(options);
    }
    Some(())
}

inbound! {
    /// `O`: a new order.
    EnterOrder patched by EnterOrderPatch, b'O', 45, appendage: true, {
        /// Day-unique, strictly rising per account.
        user_ref_num: u32 @ 1,
        /// `B` buy, `S` sell, `T` sell short, `E` sell short exempt.
        side: char @ 5,
        /// Shares, `1 ..` below [`super::QUANTITY_LIMIT`].
        quantity: u32 @ 6,
        /// Ticker, padded with spaces.
        symbol: alpha8 @ 10,
        /// Limit, in 1/10,000, at most [`super::MAX_PRICE`].
        price: price4_wide @ 18,
        /// `0` day, `3` immediate or cancel, `5` GTX, `6` GTT (needs the option ExpireTime), `E` after hours.
        time_in_force: char @ 26,
        /// `Y` visible, `N` hidden, `A` attributable.
        display: char @ 27,
        /// `A` agency, `P` principal, `R` riskless principal, `O` other.
        capacity: char @ 28,
        /// `Y`: intermarket sweep order.
        iso: char @ 29,
        /// `N` continuous market, `O` opening, `C` closing, `H` halt/IPO cross, and others.
        cross_type: char @ 30,
        /// The client's own name for the order; not checked for uniqueness.
        cl_ord_id: alpha14 @ 31,
    }

    /// `U`: a new order in place of a live one, keeping what both share.
    ReplaceOrder patched by ReplaceOrderPatch, b'U', 38, appendage: true, {
        /// The order to replace.
        orig_user_ref_num: u32 @ 1,
        /// The new order.
        user_ref_num: u32 @ 5,
        /// Shares that the whole chain is liable for, prior executions included.
        quantity: u32 @ 9,
        /// Limit, in 1/10,000.
        price: price4_wide @ 13,
        /// As in [`EnterOrder`].
        time_in_force: char @ 21,
        /// As in [`EnterOrder`].
        display: char @ 22,
        /// As in [`EnterOrder`].
        iso: char @ 23,
        /// As in [`EnterOrder`].
        cl_ord_id: alpha14 @ 24,
    }

    /// `X`: cancel, or make smaller.
    CancelOrder patched by CancelOrderPatch, b'X', 9, appendage: false, {
        /// The order.
        user_ref_num: u32 @ 1,
        /// The new intended total; 0 = cancel all that remains.
        quantity: u32 @ 5,
    }

    /// `M`: change the side among the selling ones, or the quantity.
    ModifyOrder patched by ModifyOrderPatch, b'M', 10, appendage: false, {
        /// The order.
        user_ref_num: u32 @ 1,
        /// New side: only `S` to `T` or `E`, and `E` to `T`.
        side: char @ 5,
        /// The new intended total.
        quantity: u32 @ 6,
    }

    /// `C` (2025): cancel all orders of a firm, or of a firm in one symbol.
    MassCancel patched by MassCancelPatch, b'C', 17, appendage: true, {
        /// Day-unique, strictly rising per account.
        user_ref_num: u32 @ 1,
        /// The firm.
        firm: alpha4 @ 5,
        /// Ticker, padded with spaces.
        symbol: alpha8 @ 9,
    }

    /// `D` (2025): refuse the firm's further orders.
    DisableOrderEntry patched by DisableOrderEntryPatch, b'D', 9, appendage: true, {
        /// Day-unique, strictly rising per account.
        user_ref_num: u32 @ 1,
        /// The firm.
        firm: alpha4 @ 5,
    }

    /// `E` (2025): accept the firm's orders again.
    EnableOrderEntry patched by EnableOrderEntryPatch, b'E', 9, appendage: true, {
        /// Day-unique, strictly rising per account.
        user_ref_num: u32 @ 1,
        /// The firm.
        firm: alpha4 @ 5,
    }

    /// `Q`: which `user_ref_num` is free next?
    AccountQuery patched by AccountQueryPatch, b'Q', 1, appendage: false, {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ouch::{OptionWriter, Tag};

    const ORDER: EnterOrder = EnterOrder {
        user_ref_num: 7,
        side: b'B',
        quantity: 300,
        symbol: *b"AAPL    ",
        price: 1_234_500,
        time_in_force: b'3',
        display: b'Y',
        capacity: b'P',
        iso: b'N',
        cross_type: b'N',
        cl_ord_id: *b"wb-1          ",
    };

    #[test]
    fn an_order_is_47_bytes_and_round_trips() {
        let mut out = [0xEE; 64];
        assert_eq!(ORDER.emit(&mut out), Ok(47));
        assert_eq!(out[0], b'O');
        assert_eq!(out[45..48], [0, 0, 0xEE]);
        assert_eq!(Inbound::parse(&out[..47]), Ok(Inbound::EnterOrder(ORDER, Options::EMPTY)));
        // The appendage length may be absent.
        assert_eq!(Inbound::parse(&out[..45]), Ok(Inbound::EnterOrder(ORDER, Options::EMPTY)));
        assert_eq!(Inbound::parse(&out[..46]), Err(Error::BadAppendageLength { message_type: b'O' }));
        assert_eq!(
            Inbound::parse(&out[..44]),
            Err(Error::TooShort { message_type: b'O', expected: 45, actual: 44 })
        );
        assert!(ORDER.emit(&mut out[..46]).is_err());
    }

    #[test]
    fn options_ride_along() {
        let mut buffer = [0; 16];
        let mut writer = OptionWriter::new(&mut buffer);
        writer.push(Tag::MinQty, &100_u32.to_be_bytes()).unwrap();
        let options = writer.options();

        let mut out = [0; 64];
        let len = ORDER.emit_with(&mut out, options).unwrap();
        assert_eq!((len, &out[45..49]), (53, &[0, 6, 5, 3][..]));
        assert_eq!(Inbound::parse(&out[..len]), Ok(Inbound::EnterOrder(ORDER, options)));
        out[47] = 4;
        assert_eq!(Inbound::parse(&out[..len]), Err(Error::BadOptions { message_type: b'O' }));

        let cancel = CancelOrder { user_ref_num: 7, quantity: 0 };
        assert_eq!(cancel.emit(&mut out), Ok(9));
        let len = cancel.emit_with(&mut out, options).unwrap();
        assert_eq!(len, 17);
        assert_eq!(Inbound::parse(&out[..len]), Ok(Inbound::CancelOrder(cancel, options)));
    }

    #[test]
    fn a_patch_changes_its_field_only() {
        let mut out = [0; 47];
        ORDER.emit(&mut out).unwrap();
        EnterOrderPatch::new_checked(&mut out).unwrap().user_ref_num(8).quantity(200).price(1);
        let expected = EnterOrder { user_ref_num: 8, quantity: 200, price: 1, ..ORDER };
        assert_eq!(Inbound::parse(&out), Ok(Inbound::EnterOrder(expected, Options::EMPTY)));
        assert!(ReplaceOrderPatch::new_checked(&mut out).is_none());
        assert!(EnterOrderPatch::new_checked(&mut out[..44]).is_none());
    }

    #[test]
    fn every_type_is_as_long_as_printed() {
        let lens = [
            EnterOrder::EMITTED_LEN,
            ReplaceOrder::EMITTED_LEN,
            CancelOrder::EMITTED_LEN,
            ModifyOrder::EMITTED_LEN,
            MassCancel::EMITTED_LEN,
            DisableOrderEntry::EMITTED_LEN,
            EnableOrderEntry::EMITTED_LEN,
            AccountQuery::EMITTED_LEN,
        ];
        assert_eq!(lens, [47, 40, 9, 10, 19, 11, 11, 1]);
        assert_eq!(Inbound::parse(b"Q"), Ok(Inbound::AccountQuery(AccountQuery {}, Options::EMPTY)));
        assert_eq!(Inbound::parse(b"?"), Err(Error::UnknownType { message_type: b'?' }));
        assert_eq!(Inbound::parse(b""), Err(Error::Empty));
    }
}
