//! The few words that every part of the exchange shares.

use std::fmt;

/// Price integers are 1/10,000 of a dollar everywhere in this crate.
pub const DOLLAR: u32 = 10_000;
/// One cent: the tick of everything priced at a dollar or more.
pub const CENT: u32 = 100;
/// The highest price an order may have, 199,999.9900 dollars; from 200,000 upward a price means "market".
pub const MAX_PRICE: u32 = 1_999_999_900;
/// Ns in a day; time stamps are ns since local midnight and stay below this.
pub const DAY_NS: u64 = 86_400_000_000_000;

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// A bid.
    Buy,
    /// An offer.
    Sell,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// As ITCH says it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Buy => b'B',
            Self::Sell => b'S',
        }
    }

    /// Would an order of this side at `mine` trade with one of the other side at `theirs`?
    #[must_use]
    pub const fn crosses(self, mine: u32, theirs: u32) -> bool {
        match self {
            Self::Buy => mine >= theirs,
            Self::Sell => mine <= theirs,
        }
    }
}

/// A ticker: eight bytes of ASCII, left-justified, padded with spaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub [u8; 8]);

impl Symbol {
    /// The name of the `index`th instrument of a simulated market: four letters, none of them twice.
    #[must_use]
    pub fn simulated(index: u32) -> Self {
        const NAMES: u32 = 26 * 26 * 26 * 26;
        // An odd multiplier that is coprime to 26⁴ scatters neighbours and keeps the names distinct.
        let mut rest = (u64::from(index % NAMES) * 181_081 % u64::from(NAMES)) as u32;
        let mut name = [b' '; 8];
        for letter in name.iter_mut().take(4) {
            *letter = b'A' + (rest % 26) as u8;
            rest /= 26;
        }
        Self(name)
    }
}

impl fmt::Display for Symbol {
    /// Without padding; anything that is not printable ASCII shows as `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        for byte in self.0.iter().take(end) {
            let shown = if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
            fmt::Write::write_char(f, shown)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

/// An operator's row: what is counted, and how often it happened.
pub type Row = (&'static str, u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_names_are_distinct() {
        let names: std::collections::BTreeSet<_> = (0..65_535).map(Symbol::simulated).collect();
        assert_eq!(names.len(), 65_535);
    }
}
