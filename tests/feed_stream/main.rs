//! The feed stream from outside: packets in, ordered messages and gaps out.
//!
//! `model` builds packets byte by byte (without `wire`), records what comes out and checks the contract of
//! [`wirebook::feed::Sink`] at each call. `scenarios` are single stories; `properties` are random ones, judged by a model
//! that knows what was received and when.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test")]
#![expect(clippy::single_range_in_vec_init, reason = "one gap is a list of one range here")]

mod allocation;
#[path = "../counting/mod.rs"]
mod counting;
mod model;
mod properties;
mod recovery;
mod scenarios;
mod sessions;
