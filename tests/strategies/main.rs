//! Every strategy under the same demands: against a made-up market and venue (`conformance.rs`), against nonsense
//! (`nonsense.rs`), and in the whole loop against the exchange (`lockstep.rs`, `day.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "a day tells what came of it")]

#[path = "../counting/mod.rs"]
mod counting;

mod account;
mod all;
mod conformance;
mod day;
mod lockstep;
mod nonsense;
mod rig;
