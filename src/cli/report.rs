//! The end of a run as TOML, for scripts: what the final tables show to people.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::control::{Ending, Moment};
use crate::pipeline::board::Row;
use crate::pipeline::finished::Finished;
use crate::pipeline::health::HealthView;
use crate::stats::stages::StageRow;

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
    /// The counters of each worker, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    workers: Vec<BTreeMap<&'static str, u64>>,
    /// By stage, in ns.
    latency_ns: BTreeMap<&'static str, Quantiles>,
    /// The same of first frames after a silence only.
    cold_latency_ns: BTreeMap<&'static str, Quantiles>,
    /// The same of all others.
    warm_latency_ns: BTreeMap<&'static str, Quantiles>,
    /// Left out where nothing could be recovered.
    recovery: Option<Recovery>,
}

/// How the books stood as a whole, and what was recovered.
#[derive(Debug, Serialize)]
struct Recovery {
    state: &'static str,
    missing: u64,
    finished: u64,
    took_p50_us: u64,
    took_max_us: u64,
    /// The latest, the oldest first.
    episodes: Vec<Episode>,
}

#[derive(Debug, Serialize)]
struct Episode {
    /// Seconds after the start.
    began: f64,
    took_us: u64,
    messages: u64,
    by: &'static str,
}

impl Recovery {
    fn of(view: &HealthView) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            state: view.state.word(),
            missing: view.missing,
            finished: view.finished,
            took_p50_us: micros(view.took_p50),
            took_max_us: micros(view.took_max),
            episodes: (view.episodes.iter())
                .map(|episode| Episode {
                    began: episode.began.as_secs_f64(),
                    took_us: micros(episode.took),
                    messages: episode.messages,
                    by: episode.mended.words(),
                })
                .collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Quantiles {
    count: u64,
    /// All of them together.
    total: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    max: u64,
}

impl Report {
    pub(super) fn new(ending: Ending, last: &Moment, finished: &[Finished], rows: &[Row]) -> Self {
        let several = if finished.len() > 1 { finished } else { &[] };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            machine: crate::host::machine::describe(),
            ended: ending.words(),
            seconds: last.elapsed.as_secs_f64(),
            books: finished.iter().map(Finished::books_known).sum(),
            books_stale: finished.iter().map(Finished::stale).sum(),
            positions: (finished.iter())
                .flat_map(|worker| &worker.positions)
                .map(|(symbol, shares)| (symbol.to_string(), *shares))
                .collect(),
            counters: table(rows.iter().copied()),
            workers: several.iter().map(|worker| table(worker.tally.rows())).collect(),
            recovery: last.health.as_ref().map(Recovery::of),
            latency_ns: quantiles(&last.stages),
            cold_latency_ns: quantiles(&last.cold),
            warm_latency_ns: quantiles(&last.warm),
        }
    }
}

fn quantiles(rows: &[StageRow]) -> BTreeMap<&'static str, Quantiles> {
    let of = |row: &StageRow| Quantiles {
        count: row.count,
        total: row.total,
        p50: row.p50,
        p90: row.p90,
        p99: row.p99,
        p999: row.p999,
        p9999: row.p9999,
        max: row.max,
    };
    rows.iter().map(|row| (row.name, of(row))).collect()
}

/// TOML has signed integers: what is beyond could not be read back.
fn table(rows: impl Iterator<Item = Row>) -> BTreeMap<&'static str, u64> {
    rows.map(|(name, value)| (name, value.min(i64::MAX.unsigned_abs()))).collect()
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
