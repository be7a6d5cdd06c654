//! The options of an appendage: `length:u8, tag:u8, value`, where `length` counts tag and value.
//!
//! Tags that this version does not know are skipped by their length.

use crate::wire::NoRoom;

/// Known option tags, with the type of their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tag {
    /// Secondary order reference, u64.
    SecondaryOrdRefNum = 1,
    /// Firm, 4 letters.
    Firm = 2,
    /// Least quantity to execute, u32.
    MinQty = 3,
    /// `R` retail, `N` not.
    CustomerType = 4,
    /// Displayed part of a reserve order, u32.
    MaxFloor = 5,
    /// How the price is made: one of `L P M R Q m`.
    PriceType = 6,
    /// Offset to the pegged price, signed 4 bytes in 1/10,000.
    PegOffset = 7,
    /// Discretionary price, 8 bytes in 1/10,000.
    DiscretionPrice = 9,
    /// How the discretionary price is made: one of `L P M R`.
    DiscretionPriceType = 10,
    /// Offset of the discretionary price, signed 4 bytes in 1/10,000.
    DiscretionPegOffset = 11,
    /// `P` post only, `N` not.
    PostOnly = 12,
    /// Range of random reserve sizes, u32.
    RandomReserves = 13,
    /// Route, 4 letters.
    Route = 14,
    /// Seconds since midnight, u32 below 86,400.
    ExpireTime = 15,
    /// `Y` or `N`.
    TradeNow = 16,
    /// Handling instruction, one letter.
    HandleInst = 17,
    /// Weight at the best price, one letter.
    BboWeight = 18,
    /// Displayed quantity after a restatement, u32.
    DisplayQuantity = 22,
    /// Displayed price after a restatement, 8 bytes in 1/10,000.
    DisplayPrice = 23,
    /// Group of orders, u16.
    GroupId = 24,
    /// `Y`: shares were located.
    SharesLocated = 25,
    /// Broker of the locate, 4 letters (2025).
    LocateBroker = 26,
    /// Side, one letter (2025).
    Side = 27,
    /// Which sequence of `user_ref_num`, u8 (2025).
    UserRefIdx = 28,
}

/// The options of one message, checked: they fill the appendage exactly. Iterates over tags and values, in wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// No options.
    pub const EMPTY: Self = Self(&[]);

    /// Checks that options fill `appendage` exactly; `None` where they do not, or one has length 0.
    #[inline]
    #[must_use]
    pub fn new_checked(appendage: &'a [u8]) -> Option<Self> {
        let mut rest = appendage;
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Some(Self(appendage))
    }

    /// The bytes, as they stand on the wire.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The value of the first option with `tag`, if it is `N` bytes long.
    #[must_use]
    pub fn get<const N: usize>(mut self, tag: Tag) -> Option<[u8; N]> {
        self.find_map(|(found, value)| if found == tag as u8 { value.try_into().ok() } else { None })
    }

    /// The value of an option that holds a 4-byte integer.
    #[must_use]
    pub fn get_u32(self, tag: Tag) -> Option<u32> {
        self.get(tag).map(u32::from_be_bytes)
    }

    /// The value of an option that holds an 8-byte integer or price.
    #[must_use]
    pub fn get_u64(self, tag: Tag) -> Option<u64> {
        self.get(tag).map(u64::from_be_bytes)
    }
}

/// Tag and value of one option.
type TagValue<'a> = (u8, &'a [u8]);

/// The first option, and the bytes after it.
#[inline]
fn split(bytes: &[u8]) -> Option<(TagValue<'_>, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (option, rest) = rest.split_at_checked(usize::from(*len))?;
    let (tag, value) = option.split_first()?;
    Some(((*tag, value), rest))
}

impl<'a> Iterator for Options<'a> {
    type Item = TagValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (option, rest) = split(self.0)?;
        self.0 = rest;
        Some(option)
    }
}

/// Writes options one after the other, for an appendage.
#[derive(Debug)]
pub struct OptionWriter<'b> {
    out: &'b mut [u8],
    len: usize,
}

impl<'b> OptionWriter<'b> {
    /// Begins with no options in a buffer of the caller's.
    pub const fn new(out: &'b mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Adds an option whose value is `value` as it stands: integers in big-endian.
    ///
    /// # Errors
    /// [`NoRoom`] where the buffer is full or the value is longer than 254 bytes; nothing is written then.
    pub fn push(&mut self, tag: Tag, value: &[u8]) -> Result<(), NoRoom> {
        let free = self.out.get_mut(self.len..).unwrap_or_default();
        let needed = value.len().saturating_add(2);
        let no_room = NoRoom { needed, room: free.len() };
        let len = u8::try_from(value.len().saturating_add(1)).map_err(|_| no_room)?;
        let ([len_at, tag_at], rest) = free.split_first_chunk_mut().ok_or(no_room)?;
        rest.get_mut(..value.len()).ok_or(no_room)?.copy_from_slice(value);
        *len_at = len;
        *tag_at = tag as u8;
        self.len += needed;
        Ok(())
    }

    /// The options so far.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options(self.out.get(..self.len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_round_trip() {
        let mut out = [0; 64];
        let mut writer = OptionWriter::new(&mut out);
        writer.push(Tag::Firm, b"LIME").unwrap();
        writer.push(Tag::BboWeight, b"0").unwrap();
        writer.push(Tag::MinQty, &100_u32.to_be_bytes()).unwrap();
        let options = writer.options();
        // The first two as seen in real captures.
        assert!(options.as_bytes().starts_with(&[5, 2, b'L', b'I', b'M', b'E', 2, 0x12, b'0']));
        assert_eq!(Options::new_checked(options.as_bytes()), Some(options));
        assert_eq!(options.get(Tag::Firm), Some(*b"LIME"));
        assert_eq!(options.get_u32(Tag::MinQty), Some(100));
        assert_eq!(options.get_u64(Tag::MinQty), None);
        assert_eq!(options.get_u32(Tag::MaxFloor), None);
        assert_eq!(options.map(|(tag, _)| tag).collect::<Vec<_>>(), [2, 18, 3]);
    }

    #[test]
    fn unknown_tags_are_skipped_by_length() {
        let options = Options::new_checked(&[3, 99, 1, 2, 1, 8, 2, 12, b'P']).unwrap();
        assert_eq!(options.get(Tag::PostOnly), Some([b'P']));
        assert_eq!(options.count(), 3);
    }

    #[test]
    fn broken_options_are_refused() {
        for broken in [&[0][..], &[1], &[3, 2, 1], &[2, 12, b'P', 0], &[255, 1]] {
            assert_eq!(Options::new_checked(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn no_room_writes_nothing() {
        let mut out = [7; 5];
        let mut writer = OptionWriter::new(&mut out);
        assert_eq!(writer.push(Tag::Firm, b"LIME"), Err(NoRoom { needed: 6, room: 5 }));
        assert_eq!(writer.options(), Options::EMPTY);
        assert!(OptionWriter::new(&mut [0; 300]).push(Tag::Route, &[0; 255]).is_err());
        assert!(OptionWriter::new(&mut [0; 300]).push(Tag::Route, &[0; 254]).is_ok());
    }
}
