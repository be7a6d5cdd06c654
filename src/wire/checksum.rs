//! The Internet checksum: whole (RFC 1071) and updated in place (RFC 1624, equation 3).
//!
//! A [`Sum`] is kept in the byte order of the machine and turned round once at the end; RFC 1071 shows that the
//! ones' complement sum does not mind.

use super::layout::chunk;

/// A ones' complement sum under way: of words of 64 bits, whose carries come in again at the low end (RFC 1071, 2: words of
/// any even number of bytes come to the same).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Nothing summed yet.
    pub const ZERO: Self = Self(0);

    /// Adds `bytes`. Only the last piece of a message may have an odd length: it is padded with a zero byte.
    #[inline]
    #[must_use]
    pub fn plus(self, bytes: &[u8]) -> Self {
        let (pairs, rest) = bytes.as_chunks::<16>();
        // Two sums: neither waits for the other's carry.
        let (mut even, mut odd) = (self.0, 0);
        for pair in pairs {
            let [first, second] = [chunk(pair, 0), chunk(pair, 8)].map(u64::from_ne_bytes);
            even = add(even, first);
            odd = add(odd, second);
        }
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            even = add(even, u64::from_ne_bytes(*word));
        }
        Self(add(add(even, odd), last(bytes, rest)))
    }

    /// Adds one 16-bit word, given as a number.
    #[inline]
    #[must_use]
    pub const fn plus_u16(self, word: u16) -> Self {
        Self(add(self.0, u16::from_ne_bytes(word.to_be_bytes()) as u64))
    }

    /// The sum folded to 16 bits, as a number: 0xFFFF where a valid checksum was summed along.
    #[inline]
    #[must_use]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 & 0xFFFF_FFFF) + (self.0 >> 32);
        let sum = (sum & 0xFFFF) + (sum >> 16);
        let sum = (sum & 0xFFFF) + (sum >> 16);
        let sum = (sum & 0xFFFF) + (sum >> 16);
        u16::from_be_bytes((sum as u16).to_ne_bytes())
    }

    /// The checksum to put into the message, its own field having been summed as zero.
    #[inline]
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// Adds, and the carry too.
#[inline(always)]
const fn add(sum: u64, word: u64) -> u64 {
    let (sum, carried) = sum.overflowing_add(word);
    sum + carried as u64
}

/// The last word, padded with zeros: the up to seven bytes of `rest`, which is the end of `bytes`. How many they are differs
/// from message to message, so it is no branch.
#[inline(always)]
fn last(bytes: &[u8], rest: &[u8]) -> u64 {
    let Some(whole) = bytes.last_chunk() else {
        let mut padded = [0; 8];
        for (to, from) in padded.iter_mut().zip(rest) {
            *to = *from;
        }
        return u64::from_ne_bytes(padded);
    };
    // All bits of what was summed already, in two steps: they may be all that there are.
    let behind = u64::from_le_bytes(*whole) >> (4 * (8 - rest.len())) >> (4 * (8 - rest.len()));
    u64::from_ne_bytes(behind.to_le_bytes())
}

/// The checksum of `bytes`.
#[inline]
#[must_use]
pub fn of(bytes: &[u8]) -> u16 {
    Sum::ZERO.plus(bytes).checksum()
}

/// `checksum` after a 16-bit word at an even offset changed from `old` to `new`.
#[inline]
#[must_use]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = !checksum as u32 + !old as u32 + new as u32;
    let sum = (sum & 0xFFFF) + (sum >> 16);
    let sum = (sum & 0xFFFF) + (sum >> 16);
    !(sum as u16)
}

/// `checksum` after the bytes at `offset` of the message changed from `old` to `new` (equally long; bytes that one has
/// more than the other are ignored). Costs what the change is long, not what the message is.
#[inline]
#[must_use]
pub fn update_bytes(checksum: u16, offset: usize, old: &[u8], new: &[u8]) -> u16 {
    let mut odd = offset % 2 == 1;
    old.iter().zip(new).fold(checksum, |checksum, (old, new)| {
        let shift = if odd { 0 } else { 8 };
        odd = !odd;
        update(checksum, u16::from(*old) << shift, u16::from(*new) << shift)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Straight from the definition: 16-bit words, big-endian, carry added back at once.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(Sum::ZERO.plus(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        assert_eq!(update(0xDD2F, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn the_largest_message_does_not_overflow() {
        let bytes = [0xFF; 65_535];
        assert_eq!(of(&bytes), slow(&bytes));
    }

    proptest! {
        #[test]
        fn the_fast_sum_is_the_slow_one(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..100) {
            prop_assert_eq!(of(&bytes), slow(&bytes));
            let cut = (cut * 2).min(bytes.len() / 2 * 2);
            prop_assert_eq!(Sum::ZERO.plus(&bytes[..cut]).plus(&bytes[cut..]).checksum(), slow(&bytes));
        }

        #[test]
        fn an_update_is_a_recalculation(
            mut bytes in proptest::collection::vec(any::<u8>(), 24..80),
            at in 0_usize..16,
            new in proptest::collection::vec(any::<u8>(), 1..9),
        ) {
            // As in every header that has a checksum, some byte that does not change is not zero.
            bytes[0] = 0x45;
            let at = at + 1;
            let before = of(&bytes);
            let old = bytes[at..at + new.len()].to_vec();
            bytes[at..at + new.len()].copy_from_slice(&new);
            prop_assert_eq!(update_bytes(before, at, &old, &new), of(&bytes));
        }
    }
}
