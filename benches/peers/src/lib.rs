//! wirebook's books beside other people's: the same streams, in the same run, on the same memory.
//!
//! `make bench-book` runs it; `docs/benchmarks/book.md` says what is measured and how. Each stream is packed into MoldUDP64
//! packets first ([`packets`]); the contestants ([`contest`]) take them in bursts, one contestant after the other, round
//! by round, so that whatever slows the machine for a while slows all of them.
//!
//! | module | what |
//! |---|---|
//! | [`ours`] | wirebook: packets at once, and message by message |
//! | [`reference`](mod@reference) | the least that any book must do: the loops that the others are compared with |
//! | [`peers`] | public crates |
//! | [`throughput`], [`latency`], [`growth`], [`day`] | what is measured |
//! | [`goals`], [`report`], [`plot`] | how it is told |
//! | [`machine`], [`memory`], [`clock`] | where it runs: a CPU, its pages, its clock |
//! | [`stream`], [`source`] | streams: generated, or from a file of length-prefixed ITCH |

pub mod args;
pub mod clock;
pub mod contest;
pub mod day;
pub mod goals;
pub mod growth;
pub mod latency;
pub mod machine;
pub mod memory;
pub mod ours;
pub mod packets;
pub mod peers;
pub mod plot;
pub mod reference;
pub mod report;
pub mod source;
pub mod stats;
pub mod stream;
pub mod throughput;
