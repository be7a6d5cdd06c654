//! The recovery thread on loopback: against request servers and snapshot servers that answer, lose, lie, break off,
//! come back, or are not there; and a loop that takes what it is given. Whatever they do, the thread goes on, and in the end
//! everything is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod fake_loop;
mod requests;
mod servers;
mod snapshots;
