//! Counters, latency histograms and the TSC clock: how the loop is measured without being disturbed.
//!
//! Everything has a hot side, owned by the lcore that polls, and a control side, owned by whoever shows it:
//!
//! | module | hot side | control side |
//! |---|---|---|
//! | [`clock`] | reads the TSC | calibrates it once, converts ticks to ns |
//! | [`stages`] | [`stages::StageRecorder`] pushes stamps into a ring, never waits | [`stages::StageHistograms`] drains it |
//! | [`publish`] | [`publish::Publisher`] stores plain counters, now and then | [`publish::Reader`] copies a consistent set |
//! | [`rate`] | — | per-second rates from two readings of a counter |
//!
//! Counters are plain `u64` fields of plain structs, each with a `rows` method that gives `(name, value)` pairs in
//! the order of the fields; this module moves and shows them and knows no counter by name.

pub mod clock;
pub mod publish;
pub mod rate;
pub mod stages;
