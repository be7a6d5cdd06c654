//! The feed stream from outside: packets in, ordered messages and gaps out.
//!
//! `model` builds packets byte by byte (without `wire`), records what comes out and checks the contract of
//! [`wirebook::feed::Sink`] at each call. `scenarios` are single stories; `properties` are random ones, judged by a model
//! that knows what was received and when.

mod allocation;
mod model;
mod properties;
mod scenarios;
mod sessions;
