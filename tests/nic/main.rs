//! wirebook on emulated PCI NICs, each in a QEMU guest with its real poll-mode driver: bound by our wrapper, launched
//! as a user would, judged on the host by what comes out of the wire.
//!
//! Everything here is ignored unless asked for: `make test-nic`, or `cargo test --test nic -- --ignored`.
#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../conformance/mod.rs"]
mod conformance;
mod direct;
#[expect(dead_code, reason = "the steps to come use the rest")]
mod guest;
mod raw;
mod refusals;
mod smoke;
