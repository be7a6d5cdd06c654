//! Order entry: what we send, what comes back, and what is open meanwhile.
//!
//! Within this floor the modules stand on each other: `event` and `table` below, then [`blotter`], then
//! [`crate::strategy`], then [`crate::risk`], then the sessions.

pub mod blotter;
pub mod event;
pub(crate) mod table;

pub use event::{OrderEvent, OrderEventKind, OrderState, OrderUpdate, TimeInForce};
