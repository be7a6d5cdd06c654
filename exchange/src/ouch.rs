//! OUCH 5.0 as the exchange reads and writes it (public document of April/May 2023).
//!
//! Inbound messages are taken apart here and outbound ones written, in this crate's own code. Integers are
//! big-endian, prices 8 bytes of 1/10,000 dollars, symbols padded with spaces. Options behind a message are read past
//! (only the firm is used); a cancel may carry an option block too, as in the revision of October 2025.

use crate::units::Symbol;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// `O`.
    Enter(Enter),
    /// `U`.
    Replace(Replace),
    /// `X`.
    Cancel {
        /// The order.
        user_ref: u32,
        /// The total that it is meant to have from now on; 0 cancels all that is left.
        quantity: u32,
    },
    /// `Q`: which number comes next?
    Query,
    /// A known message that this exchange does not act on: `M` and those of the revision of 2025.
    Unsupported(u8),
}

/// A new order, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enter {
    /// The client's number for it.
    pub user_ref: u32,
    /// `B`, `S`, `T` or `E`.
    pub side: u8,
    /// Shares.
    pub quantity: u32,
    /// Ticker.
    pub symbol: Symbol,
    /// 1/10,000 dollars.
    pub price: u64,
    /// `0` day, `3` immediate or cancel, ….
    pub time_in_force: u8,
    /// `Y`, `N` or `A`.
    pub display: u8,
    /// `A`, `P`, `R` or `O`.
    pub capacity: u8,
    /// `Y` or `N`.
    pub iso: u8,
    /// `N` for continuous trading.
    pub cross: u8,
    /// The client's own text.
    pub cl_ord_id: [u8; 14],
    /// The firm, if it was among the options.
    pub firm: Option<[u8; 4]>,
}

/// A change to an order, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The order to change.
    pub orig_user_ref: u32,
    /// The number that it has from then on.
    pub user_ref: u32,
    /// Shares of the whole chain, executed ones included.
    pub quantity: u32,
    /// 1/10,000 dollars.
    pub price: u64,
    /// As in [`Enter`].
    pub time_in_force: u8,
    /// As in [`Enter`].
    pub display: u8,
    /// As in [`Enter`].
    pub iso: u8,
    /// The client's own text.
    pub cl_ord_id: [u8; 14],
}

/// Takes fields off the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    /// The option block, which must fill the rest: a length, then elements of length, tag and value.
    fn options(&mut self) -> Option<&'a [u8]> {
        let len = self.bytes().map(u16::from_be_bytes)?;
        if usize::from(len) != self.rest.len() {
            return None;
        }
        let mut left = self.rest;
        while let Some((len, after)) = left.split_first() {
            // The length counts the tag, so it is at least 1.
            left = after.get(usize::from(*len).max(1)..).filter(|_| *len > 0)?;
        }
        Some(self.rest)
    }
}

/// The value of an option, if it is there with the length it should have.
fn option<const N: usize>(mut options: &[u8], tag: u8) -> Option<[u8; N]> {
    while let Some((len, after)) = options.split_first() {
        let (element, rest) = after.split_at_checked(usize::from(*len))?;
        if let Some((found, value)) = element.split_first()
            && *found == tag
        {
            return value.try_into().ok();
        }
        options = rest;
    }
    None
}

/// The tag of the firm.
const FIRM: u8 = 2;

impl Inbound {
    /// Takes a message apart. `None` when it is empty, of unknown type, or not as long as its type says.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let mut from = Reader { rest: message };
        let parsed = match from.byte()? {
            b'O' => {
                let mut enter = Enter {
                    user_ref: from.u32()?,
                    side: from.byte()?,
                    quantity: from.u32()?,
                    symbol: Symbol(from.bytes()?),
                    price: from.u64()?,
                    time_in_force: from.byte()?,
                    display: from.byte()?,
                    capacity: from.byte()?,
                    iso: from.byte()?,
                    cross: from.byte()?,
                    cl_ord_id: from.bytes()?,
                    firm: None,
                };
                enter.firm = option(from.options()?, FIRM);
                return Some(Self::Enter(enter));
            }
            b'U' => {
                let replace = Replace {
                    orig_user_ref: from.u32()?,
                    user_ref: from.u32()?,
                    quantity: from.u32()?,
                    price: from.u64()?,
                    time_in_force: from.byte()?,
                    display: from.byte()?,
                    iso: from.byte()?,
                    cl_ord_id: from.bytes()?,
                };
                from.options()?;
                return Some(Self::Replace(replace));
            }
            b'X' => Self::Cancel { user_ref: from.u32()?, quantity: from.u32()? },
            b'Q' => Self::Query,
            kind @ b'M' => {
                from.bytes::<9>()?;
                Self::Unsupported(kind)
            }
            kind @ b'C' => {
                from.bytes::<16>()?;
                Self::Unsupported(kind)
            }
            kind @ (b'D' | b'E') => {
                from.bytes::<8>()?;
                Self::Unsupported(kind)
            }
            _ => return None,
        };
        // These end here, or with an option block.
        if !from.rest.is_empty() {
            from.options()?;
        }
        Some(parsed)
    }
}

/// The longest message written.
pub const MAX_LEN: usize = 68;

/// What a reply repeats of the order that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The order as entered, or as it is after a replace.
    pub order: Enter,
    /// The exchange's reference, the one in the feed.
    pub order_ref: u64,
}

/// Reason of a cancel: the client asked for it.
pub const BY_USER: u8 = b'U';
/// Reason of a cancel: what was left of an immediate-or-cancel order.
pub const IMMEDIATE: u8 = b'I';
/// Reason of a cancel: its time in force is over, here that of a day order at the end of the day.
pub const EXPIRED: u8 = b'T';
/// Reason of a cancel: the system did it, here after an impossible replace.
pub const BY_SYSTEM: u8 = b'Z';

/// Why an order is not taken, as OUCH numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Reject {
    /// The market is not open.
    DestinationClosed = 0x0002,
    /// Neither displayed nor attributed: hidden orders are not simulated.
    Display = 0x0003,
    /// The instrument does not trade now.
    Halted = 0x0007,
    /// Inter-market sweeps are not simulated.
    Iso = 0x0008,
    /// Not a side.
    Side = 0x0009,
    /// Anything else: time in force or capacity unknown, a limit of the exchange reached.
    Other = 0x000F,
    /// None, or a million or more.
    Quantity = 0x0013,
    /// Orders for a cross are not simulated.
    Cross = 0x0014,
    /// No such instrument.
    Symbol = 0x0017,
    /// No price, too high, or not a whole cent.
    Price = 0x001D,
}

/// A reply under construction: never longer than [`MAX_LEN`].
#[derive(Clone, Copy, Debug)]
pub struct Outbound {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Outbound {
    fn new(kind: u8, time: u64) -> Self {
        let reply = Self { bytes: [0; MAX_LEN], len: 0 };
        reply.put(&[kind]).put(&time.to_be_bytes())
    }

    fn put(mut self, field: &[u8]) -> Self {
        // Constant lengths: one that does not fit fails in the first test that builds it.
        self.bytes[self.len..self.len + field.len()].copy_from_slice(field);
        self.len += field.len();
        self
    }

    /// The message.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// `S`: start (`S`) or end (`E`) of the day.
    #[must_use]
    pub fn system_event(time: u64, code: u8) -> Self {
        Self::new(b'S', time).put(&[code])
    }

    fn terms(self, terms: &Terms) -> Self {
        let Terms { order, order_ref } = terms;
        self.put(&[order.side])
            .put(&order.quantity.to_be_bytes())
            .put(&order.symbol.0)
            .put(&order.price.to_be_bytes())
            .put(&[order.time_in_force, order.display])
            .put(&order_ref.to_be_bytes())
            // Live, even if it trades at once or is dropped: that is told by the messages that follow.
            .put(&[order.capacity, order.iso, order.cross, b'L'])
            .put(&order.cl_ord_id)
            .put(&[0, 0])
    }

    /// `A`: taken in, with these terms.
    #[must_use]
    pub fn accepted(time: u64, terms: &Terms) -> Self {
        Self::new(b'A', time).put(&terms.order.user_ref.to_be_bytes()).terms(terms)
    }

    /// `U`: `orig_user_ref` has become this; the quantity is what is exposed.
    #[must_use]
    pub fn replaced(time: u64, orig_user_ref: u32, terms: &Terms) -> Self {
        let reply = Self::new(b'U', time).put(&orig_user_ref.to_be_bytes());
        reply.put(&terms.order.user_ref.to_be_bytes()).terms(terms)
    }

    /// `C`: so many shares fewer.
    #[must_use]
    pub fn canceled(time: u64, user_ref: u32, shares: u32, reason: u8) -> Self {
        Self::new(b'C', time).put(&user_ref.to_be_bytes()).put(&shares.to_be_bytes()).put(&[reason])
    }

    /// `E`: so many shares traded; `rested` says whether the order added or removed liquidity.
    #[must_use]
    pub fn executed(
        time: u64,
        user_ref: u32,
        shares: u32,
        price: u32,
        rested: bool,
        match_number: u64,
    ) -> Self {
        Self::new(b'E', time)
            .put(&user_ref.to_be_bytes())
            .put(&shares.to_be_bytes())
            .put(&u64::from(price).to_be_bytes())
            .put(&[if rested { b'A' } else { b'R' }])
            .put(&match_number.to_be_bytes())
            .put(&[0, 0])
    }

    /// `B`: an execution that was told does not count any more. The reason is the exchange's own (`S`, supervisory).
    #[must_use]
    pub fn broken(time: u64, user_ref: u32, match_number: u64, cl_ord_id: &[u8; 14]) -> Self {
        Self::new(b'B', time)
            .put(&user_ref.to_be_bytes())
            .put(&match_number.to_be_bytes())
            .put(b"S")
            .put(cl_ord_id)
    }

    /// `J`: not taken in.
    #[must_use]
    pub fn rejected(time: u64, user_ref: u32, reason: Reject, cl_ord_id: &[u8; 14]) -> Self {
        Self::new(b'J', time).put(&user_ref.to_be_bytes()).put(&(reason as u16).to_be_bytes()).put(cl_ord_id)
    }

    /// `Q`: the next number to use.
    #[must_use]
    pub fn next_user_ref(time: u64, next: u32) -> Self {
        Self::new(b'Q', time).put(&next.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        let order = Enter {
            user_ref: 0x0102_0304,
            side: b'T',
            quantity: 0x0506_0708,
            symbol: Symbol(*b"SYMBOL  "),
            price: 0x1112_1314_1516_1718,
            time_in_force: b'0',
            display: b'Y',
            capacity: b'P',
            iso: b'N',
            cross: b'X',
            cl_ord_id: *b"CLIENT-ORDER-1",
            firm: None,
        };
        Terms { order, order_ref: 0x2122_2324_2526_2728 }
    }

    /// Concatenates fields, so that each expectation below reads like a table of the document.
    fn message(fields: &[&[u8]]) -> Vec<u8> {
        fields.concat()
    }

    const TIME: u64 = 0x3132_3334_3536_3738;

    #[test]
    fn replies_byte_by_byte() {
        let time = b"12345678";
        let order: [&[u8]; 7] = [
            b"T\x05\x06\x07\x08",
            b"SYMBOL  ",
            b"\x11\x12\x13\x14\x15\x16\x17\x18",
            b"0Y",
            b"\x21\x22\x23\x24\x25\x26\x27\x28",
            b"PNXL",
            b"CLIENT-ORDER-1\0\0",
        ];
        let accepted = message(&[b"A", time, b"\x01\x02\x03\x04", &order.concat()]);
        assert_eq!((Outbound::accepted(TIME, &terms()).bytes(), accepted.len()), (&accepted[..], 64));
        let replaced = message(&[b"U", time, b"\0\0\0\x09", b"\x01\x02\x03\x04", &order.concat()]);
        assert_eq!((Outbound::replaced(TIME, 9, &terms()).bytes(), replaced.len()), (&replaced[..], 68));
        let canceled = message(&[b"C", time, b"\0\0\0\x09", b"\0\0\0\x64", b"U"]);
        assert_eq!(Outbound::canceled(TIME, 9, 100, BY_USER).bytes(), canceled);
        let executed = message(&[
            b"E",
            time,
            b"\0\0\0\x09",
            b"\0\0\0\x64",
            b"\0\0\0\0\0\0\x27\x10",
            b"A",
            &[0; 7],
            b"\x05\0\0",
        ]);
        assert_eq!(Outbound::executed(TIME, 9, 100, 10_000, true, 5).bytes(), executed);
        let rejected = message(&[b"J", time, b"\0\0\0\x09", b"\0\x1D", b"CLIENT-ORDER-1"]);
        assert_eq!(Outbound::rejected(TIME, 9, Reject::Price, b"CLIENT-ORDER-1").bytes(), rejected);
        let broken = message(&[b"B", time, b"\0\0\0\x09", &[0; 7], b"\x05S", b"CLIENT-ORDER-1"]);
        assert_eq!(
            (Outbound::broken(TIME, 9, 5, b"CLIENT-ORDER-1").bytes(), broken.len()),
            (&broken[..], 36)
        );
        assert_eq!(Outbound::system_event(TIME, b'S').bytes(), message(&[b"S", time, b"S"]));
        assert_eq!(Outbound::next_user_ref(TIME, 9).bytes(), message(&[b"Q", time, b"\0\0\0\x09"]));
    }

    #[test]
    fn requests_byte_by_byte() {
        let price = b"\x11\x12\x13\x14\x15\x16\x17\x18";
        let enter = message(&[
            b"O\x01\x02\x03\x04T\x05\x06\x07\x08SYMBOL  ",
            price,
            b"0YPNX",
            b"CLIENT-ORDER-1",
            b"\0\x06\x05\x02FIRM",
        ]);
        let expected = Enter { firm: Some(*b"FIRM"), ..terms().order };
        assert_eq!(Inbound::parse(&enter), Some(Inbound::Enter(expected)));
        let replace =
            message(&[b"U\0\0\0\x09\x01\x02\x03\x04\x05\x06\x07\x08", price, b"0YNCLIENT-ORDER-1\0\0"]);
        let expected = Replace {
            orig_user_ref: 9,
            user_ref: 0x0102_0304,
            quantity: 0x0506_0708,
            price: 0x1112_1314_1516_1718,
            time_in_force: b'0',
            display: b'Y',
            iso: b'N',
            cl_ord_id: *b"CLIENT-ORDER-1",
        };
        assert_eq!(Inbound::parse(&replace), Some(Inbound::Replace(expected)));
        let cancel = Some(Inbound::Cancel { user_ref: 9, quantity: 5 });
        assert_eq!(Inbound::parse(b"X\0\0\0\x09\0\0\0\x05"), cancel);
        assert_eq!(Inbound::parse(b"X\0\0\0\x09\0\0\0\x05\0\0"), cancel);
        assert_eq!(Inbound::parse(b"Q"), Some(Inbound::Query));
        assert_eq!(Inbound::parse(b"M\0\0\0\x09T\0\0\0\x05"), Some(Inbound::Unsupported(b'M')));
        for len in 0..enter.len() {
            assert_eq!(Inbound::parse(&enter[..len]), None, "{len}");
        }
        for len in 0..replace.len() {
            assert_eq!(Inbound::parse(&replace[..len]), None, "{len}");
        }
    }
}
