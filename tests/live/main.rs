//! The whole program on ports of every virtual kind, against the exchange of this workspace as a second process, judged
//! from outside: by exit codes, by dumps of books compared order by order, by tshark, dpdk-dumpcap and telemetry.
//!
//! What needs root, network namespaces, hugepages or a tool that is not there says so in a line on stderr that begins
//! with SKIPPED; with `WIREBOOK_REQUIRE_LIVE=1` it fails instead. No rate and no latency is judged.
#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod calm;
mod capture;
mod day;
mod hostile;
mod kills;
mod membership;
mod memif;
mod orders;
mod outside;
mod pcap;
mod place;
mod programs;
mod recovery;
mod refusals;
mod report;
mod running;
mod telemetry;
mod venue_killed;
mod veth;
mod workers;
