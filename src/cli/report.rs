//! The end of a run as TOML, for scripts: what the final tables show to people.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::control::{Ending, Moment};
use crate::pipeline::board::Row;
use crate::pipeline::worker::Finished;

/// Everything that a run leaves.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    /// What the figures were taken on.
    machine: String,
    ended: &'static str,
    seconds: f64,
    books: usize,
    books_stale: usize,
    /// Shares by symbol; negative = short.
    positions: BTreeMap<String, i64>,
    counters: BTreeMap<&'static str, u64>,
    /// By stage, in ns.
    latency_ns: BTreeMap<&'static str, Quantiles>,
}

#[derive(Debug, Serialize)]
struct Quantiles {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    max: u64,
}

impl Report {
    pub(super) fn new(ending: Ending, last: &Moment, finished: &Finished, rows: &[Row]) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            machine: super::machine::describe(),
            ended: ending.words(),
            seconds: last.elapsed.as_secs_f64(),
            books: finished.books_known(),
            books_stale: finished.stale(),
            positions: finished
                .positions
                .iter()
                .map(|(symbol, shares)| (symbol.to_string(), *shares))
                .collect(),
            counters: rows.iter().copied().collect(),
            latency_ns: last
                .stages
                .iter()
                .map(|row| {
                    let quantiles = Quantiles {
                        count: row.count,
                        p50: row.p50,
                        p90: row.p90,
                        p99: row.p99,
                        p999: row.p999,
                        p9999: row.p9999,
                        max: row.max,
                    };
                    (row.name, quantiles)
                })
                .collect(),
        }
    }
}

/// Writes the report; an error says what could not be done.
pub(super) fn to_file(report: &Report, path: &Path) -> Result<(), String> {
    let text = toml::to_string(report).map_err(|why| format!("the report cannot be made: {why}"))?;
    fs::write(path, text).map_err(|why| {
        format!(
            "{}: the report could not be written: {why}\n  give --report a writable place",
            path.display()
        )
    })
}
