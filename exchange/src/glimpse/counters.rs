//! What a GLIMPSE server counts.

use crate::units::Row;

/// Snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlimpseCounters {
    /// Snapshots taken.
    pub taken: u64,
    /// Snapshots sent to their end.
    pub completed: u64,
    /// Snapshots with more bytes than may be kept.
    pub too_large: u64,
    /// Logins, portions and ends that a fault made go wrong.
    pub faulty: u64,
}

impl GlimpseCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 4] {
        [
            ("snapshots_taken", self.taken),
            ("snapshots_completed", self.completed),
            ("snapshots_too_large", self.too_large),
            ("snapshots_faulty", self.faulty),
        ]
    }
}
