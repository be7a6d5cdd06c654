//! What a stream has told so far.

/// What a stream has told so far: what books that were fed with it must agree with, and what its shape was meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Messages, and bytes with the lengths before them.
    pub messages: u64,
    /// See `messages`.
    pub bytes: u64,
    /// Messages by type; [`Facts::of`].
    pub(super) by_type: [u64; 26],
    /// Live orders, now and at most.
    pub live: u32,
    /// See `live`.
    pub peak_live: u32,
    /// Price levels of all books, now and at most.
    pub levels: u32,
    /// See `levels`.
    pub peak_levels: u32,
    /// Most levels that one side of one book ever had.
    pub deepest_side: u32,
    /// Most live orders that one symbol has now.
    pub largest_symbol: u32,
    /// Order references given out.
    pub references: u64,
    /// How many of them were higher than the one before.
    pub rising: u64,
    /// The highest of them.
    pub highest_reference: u64,
}

impl Facts {
    /// Messages of a type; 0 for what is not an upper-case letter.
    #[must_use]
    pub fn of(&self, kind: u8) -> u64 {
        kind.checked_sub(b'A').and_then(|at| self.by_type.get(usize::from(at))).copied().unwrap_or(0)
    }
}
