//! wirebook: UDP multicast market data off a NIC, full-depth order books, orders back on the wire.
//!
//! The modules are floors: each may use what stands below it and never what stands above.
//! `ARCHITECTURE.md` draws them and names the invariants.
//!
//! | floor | modules |
//! |---|---|
//! | 6 face | [`cli`], [`venue`] |
//! | 5 loop | [`worker`], [`control`], [`pipeline`], [`config`] |
//! | 4 decide | [`journal`], [`order`], [`risk`], [`strategy`], [`blotter`] |
//! | 3 know | [`book`] |
//! | 2 hear | [`feed`] |
//! | 1 speak | [`wire`], [`market`], [`capture`], [`stats`] |
//! | 0 touch | [`nic`], `pmd`, `eal`, [`host`], [`memory`], [`port`], [`prefetch`], [`stop`], [`tsc`] |

// Floor 0: touch
#[cfg(feature = "dpdk")]
pub mod eal;
pub mod host;
pub mod memory;
pub mod nic;
#[cfg(feature = "dpdk")]
pub mod pmd;
pub mod port;
pub mod prefetch;
pub mod stop;
pub mod tsc;

// Floor 1: speak
pub mod capture;
pub mod market;
pub mod stats;
pub mod wire;

// Floor 2: hear
pub mod feed;

// Floor 3: know
pub mod book;

// Floor 4: decide
pub mod blotter;
pub mod journal;
pub mod order;
pub mod risk;
pub mod strategy;

// Floor 5: loop
pub mod config;
pub mod control;
pub mod pipeline;
pub mod worker;

// Floor 6: face
pub mod cli;
pub mod venue;
