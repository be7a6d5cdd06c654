//! Several workers that divide the instruments come to what one worker comes to, and to what the exchange has: books,
//! states, positions. All in one process and in lockstep, without DPDK: each worker gets a copy of every frame.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod crew;
mod doubt;
mod recovery;
mod trade;
