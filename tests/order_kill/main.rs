//! The order path killed at every step: whatever ends when, afterwards both sides have the same orders and positions, no order
//! came twice to the venue, and none is unknown. TCP of our own against a second stack with the exchange's gateway behind
//! it, over a cable, in virtual time. `make kill-table` prints the table.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../order_tcp/world.rs"]
mod cable;
#[path = "../order_support/desk.rs"]
mod desk;
mod soak;
#[path = "../order_support/support.rs"]
mod support;
mod table;
mod venue;
mod world;
