//! The budgets that a run is held against.

/// The stages of a budget, by the names of the stage clock.
pub(crate) const STAGES: [&str; 8] =
    ["receive", "decode", "book", "features", "inference", "signal", "risk", "order"];

/// Most ns at p50 for each of [`STAGES`], and for the whole way at p50 and p99.
pub(crate) struct Budget {
    pub(crate) name: &'static str,
    /// `None`: it has no such stage.
    pub(crate) stages: [Option<u64>; 8],
    pub(crate) way: (u64, u64),
}

/// A budget that was published for such a loop, and what wirebook sets itself.
pub(crate) const GOALS: [Budget; 3] = [
    Budget {
        name: "published budget",
        stages: [Some(50), Some(20), Some(80), Some(250), Some(270), Some(70), None, Some(60)],
        way: (730, 5_000),
    },
    Budget {
        name: "reach",
        stages: [Some(20), Some(8), Some(60), Some(50), Some(90), Some(20), Some(15), Some(50)],
        way: (310, 730),
    },
    Budget {
        name: "beyond",
        stages: [Some(10), Some(5), Some(50), Some(35), Some(60), Some(10), Some(8), Some(40)],
        way: (220, 500),
    },
];
