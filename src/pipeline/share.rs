//! Which instruments a worker keeps, where several divide them: those whose `stock_locate` leaves the worker's number
//! when divided by how many workers there are. Every instrument has exactly one owner, and what names none (locate 0) is
//! heard by all.
//!
//! Each worker puts the whole stream in order and then passes over what concerns instruments of others: for those that
//! were announced it looks at the two bytes of the locate and at one bit, and at nothing else of the message. A message
//! about an instrument that nobody announced is read as ever, because what cannot be read may make every book doubtful.

use crate::feed::itch;

/// One of several equal parts of the instruments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u16,
    of: u16,
}

impl Share {
    /// All instruments: there is one worker.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The share of worker `index` of `of`; all instruments where that makes no sense.
    #[must_use]
    pub const fn new(index: u16, of: u16) -> Self {
        if index < of { Self { index, of } } else { Self::WHOLE }
    }

    /// True where this worker keeps the book of `locate`.
    #[inline]
    #[must_use]
    pub const fn owns(self, locate: u16) -> bool {
        self.of == 1 || locate % self.of == self.index
    }

    /// The number of its worker.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.index
    }

    /// The worker that keeps the book of `locate`, where there are `of`.
    #[must_use]
    pub const fn owner(locate: u16, of: u16) -> u16 {
        if of == 0 { 0 } else { locate % of }
    }
}

/// A share, and which instruments of others were announced.
#[derive(Debug)]
pub(super) struct Division {
    share: Share,
    /// One bit a locate.
    elsewhere: Box<[u64]>,
}

impl Division {
    /// For locates below `locates`.
    pub(super) fn new(share: Share, locates: usize) -> Self {
        let words = if share == Share::WHOLE { 0 } else { locates.div_ceil(64) };
        Self { share, elsewhere: vec![0; words].into_boxed_slice() }
    }

    /// True where all instruments are kept here.
    #[inline]
    pub(super) const fn is_whole(&self) -> bool {
        self.share.of == 1
    }

    /// True for what concerns an instrument of another worker.
    #[inline]
    pub(super) const fn is_foreign(&self, locate: u16) -> bool {
        locate != 0 && !self.share.owns(locate)
    }

    /// True where `block` concerns an instrument that was announced to be another worker's: nothing in it, whole or
    /// damaged, is of interest here.
    #[inline]
    pub(super) fn passes_over(&self, block: &[u8]) -> bool {
        self.share.of != 1 && itch::locate(block).is_some_and(|locate| self.is_elsewhere(locate))
    }

    /// True where `locate` was announced and is another worker's.
    #[inline]
    pub(super) fn is_elsewhere(&self, locate: u16) -> bool {
        let word = self.elsewhere.get(usize::from(locate >> 6)).copied().unwrap_or(0);
        word >> (locate & 63) & 1 != 0
    }

    /// Another worker's instrument was announced.
    pub(super) fn announce(&mut self, locate: u16) {
        if let Some(word) = self.elsewhere.get_mut(usize::from(locate >> 6)) {
            *word |= 1 << (locate & 63);
        }
    }

    /// A new session has a directory of its own.
    pub(super) fn forget(&mut self) {
        self.elsewhere.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_has_one_owner() {
        for of in 1..=16 {
            for locate in (1..=u16::MAX).step_by(7) {
                let owners: Vec<_> = (0..of).filter(|index| Share::new(*index, of).owns(locate)).collect();
                assert_eq!(owners, [Share::owner(locate, of)], "{locate} of {of}");
            }
        }
        assert_eq!(Share::new(2, 2), Share::WHOLE);
    }

    #[test]
    fn only_what_is_known_to_be_elsewhere_is_passed_over() {
        let mut division = Division::new(Share::new(0, 2), 200);
        let block = |locate: u16| [&b"A"[..], &locate.to_be_bytes(), b"rest"].concat();
        assert!(!division.passes_over(&block(7)), "nobody announced it");
        for locate in [7, 63, 65, 199] {
            assert!(division.is_foreign(locate));
            division.announce(locate);
        }
        for locate in [7, 63, 65, 199] {
            assert!(division.passes_over(&block(locate)), "{locate}");
        }
        for locate in [0, 5, 8, 64, 198, 201, 65_535] {
            assert!(!division.passes_over(&block(locate)), "{locate}");
        }
        assert!(!division.is_foreign(0), "all hear what names no instrument");
        // Too short for a locate.
        assert!(!division.passes_over(b"A\0") && !division.passes_over(b""));
        division.forget();
        assert!(!division.passes_over(&block(7)));
        let mut whole = Division::new(Share::WHOLE, 200);
        whole.announce(7);
        assert!(!whole.passes_over(&block(7)) && !whole.is_foreign(7));
    }
}
