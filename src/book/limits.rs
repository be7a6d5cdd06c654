//! How large the books may grow, and what that costs in memory.

use super::index::{self, Index};
use super::instrument::Instrument;
use super::node::Node;
use super::segment::{Chain, Segment};
use super::tree::nodes_for;
use crate::market::Symbol;

/// Most locates that a 16-bit `stock_locate` can name, counting 0.
pub const MAX_LOCATES: u32 = 1 << 16;

/// Most levels that can be asked for.
pub const MAX_LEVELS: u32 = 1 << 31;

/// Most live orders that can be asked for.
pub const MAX_ORDERS: u32 = index::MAX_ORDERS;

/// How large the books may grow. All of it is reserved at the start; nothing grows later.
///
/// The default fits a full day of a US equities feed: every locate, 8,388,608 live orders, 2,097,152 levels, in
/// about 805 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One more than the highest `stock_locate`, 2 ..= [`MAX_LOCATES`]; locate 0 names no instrument.
    pub locates: u32,
    /// Most orders live at once over all instruments, 1 ..= [`MAX_ORDERS`].
    pub orders: u32,
    /// Most price levels at once over all instruments and sides, 1 ..= [`MAX_LEVELS`].
    pub levels: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { locates: MAX_LOCATES, orders: 1 << 23, levels: 1 << 21 }
    }
}

impl Limits {
    /// Bytes that [`Books::new`](super::Books::new) reserves for these limits.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.locates as usize * (size_of::<Instrument>() + size_of::<Option<Symbol>>())
            + Index::memory_bytes(self.orders)
            + self.orders as usize * size_of::<Segment>()
            + self.chains() as usize * size_of::<Chain>()
            + self.nodes() as usize * size_of::<Node>()
    }

    /// Chains that the levels may need: each has had six orders or more, but may have a single one now.
    pub(super) const fn chains(&self) -> u32 {
        if self.levels < self.orders { self.levels } else { self.orders }
    }

    /// Nodes that the levels may need.
    pub(super) const fn nodes(&self) -> u32 {
        nodes_for(self.levels, self.locates.saturating_mul(2))
    }

    pub(super) fn check(&self) -> Result<(), LimitError> {
        if !(2..=MAX_LOCATES).contains(&self.locates) {
            return Err(LimitError::Locates(self.locates));
        }
        if !(1..=MAX_ORDERS).contains(&self.orders) {
            return Err(LimitError::Orders(self.orders));
        }
        if !(1..=MAX_LEVELS).contains(&self.levels) {
            return Err(LimitError::Levels(self.levels));
        }
        Ok(())
    }
}

/// Why books of the asked size cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// [`Limits::locates`] out of range.
    #[error("a limit of {0} locates is not in 2 ..= {MAX_LOCATES}")]
    Locates(u32),
    /// [`Limits::orders`] out of range.
    #[error("a limit of {0} orders is not in 1 ..= {MAX_ORDERS}")]
    Orders(u32),
    /// [`Limits::levels`] out of range.
    #[error("a limit of {0} levels is not in 1 ..= {MAX_LEVELS}")]
    Levels(u32),
    /// The system does not give that much memory.
    #[error("the books need {bytes} bytes of memory, more than the system gives: lower the limits")]
    Memory {
        /// Bytes needed in all.
        bytes: usize,
    },
}
