//! The books against a model so plain that it can be believed: one map of queues a side.

mod anomalies;
mod behaviour;
mod deep;
mod limits;
mod long;
mod model;
mod random;
