//! The recovery client from outside: needs, answers and bytes in, requests, connections and items out, under a clock of the
//! test's own.
//!
//! `bench` writes packets byte by byte, without `wire`. `requests` and `snapshots` are single stories; `hostile` is what a
//! server may do at its worst; `properties` lets a client and a stream recover from random losses with random servers.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test")]
#![expect(clippy::single_range_in_vec_init, reason = "one hole is a list of one range here")]

mod bench;
#[path = "../counting/mod.rs"]
mod counting;
mod hostile;
mod properties;
mod requests;
mod snapshots;
