//! The books against a model so plain that it can be believed: one map of queues a side.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets an error has failed")]

mod anomalies;
mod behaviour;
mod deep;
mod limits;
mod long;
mod model;
mod paths;
mod random;
mod random_numbers;
mod storm;
