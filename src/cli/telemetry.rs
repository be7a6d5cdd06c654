//! Commands for `dpdk-telemetry.py`: `/wirebook/counters`, `/wirebook/session`, `/wirebook/strategy`, `/wirebook/latency`,
//! `/wirebook/recovery`, `/wirebook/books`, `/wirebook/book,SYMBOL`, `/wirebook/arm`, `/wirebook/disarm` and `/wirebook/kill`.
//!
//! They run on the EAL's telemetry thread and read only what the loop publishes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::control::Handles;
use crate::control::Moment;
use crate::eal::telemetry::Dict;
use crate::eal::{Eal, EalError};
use crate::market::{Level, Symbol};
use crate::order::venue::phase_words;
use crate::pipeline::board::{BoardReader, BookView, Tally};
use crate::pipeline::boards::Boards;
use crate::pipeline::health::HealthView;
use crate::stats::stages::StageRow;
use crate::stop::KillCause;

/// The latest latency tables, of all passes and of cold ones, as the control thread last made them.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency(Arc<Mutex<[Vec<StageRow>; 2]>>);

impl Latency {
    /// Shows these rows from now on.
    pub(super) fn set(&self, moment: &Moment) {
        let rows = [moment.stages.clone(), moment.cold.clone()];
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    fn get(&self, cold: bool) -> Vec<StageRow> {
        let [all, first] = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cold { first.clone() } else { all.clone() }
    }
}

/// Long enough for the loop to publish twice.
const ASKED: Duration = Duration::from_millis(120);

/// Registers all commands.
pub(super) fn register(
    eal: &Eal,
    board: &Arc<Boards>,
    latency: &Latency,
    handles: &Handles,
) -> Result<(), EalError> {
    let counters = Arc::clone(board);
    eal.register_command(
        "/wirebook/counters",
        "All counters, of all workers together. Parameter: none, or the number of one worker, from 0.",
        move |worker, dict| {
            let worker = worker.trim();
            let rows = match worker.parse::<usize>() {
                _ if worker.is_empty() => Some(counters.rows()),
                Ok(at) => counters.each().get(at).map(BoardReader::rows),
                Err(_) => None,
            };
            match rows {
                Some(rows) => {
                    let apart = Tally::apart();
                    let here = |name: &&str| !apart.iter().any(|names| names.contains(name));
                    for (name, value) in rows.into_iter().filter(|(name, _)| here(name)) {
                        dict.number(name, value);
                    }
                }
                None => {
                    let workers = counters.each().len();
                    dict.text("error", &format!("there are {workers} workers, from 0"));
                }
            }
        },
    )?;
    let session = Arc::clone(board);
    eal.register_command(
        "/wirebook/session",
        "The connection of the order session: where it stands; its counters and the journal's. No parameter.",
        move |_, dict| {
            let [names, _] = Tally::apart();
            for (name, value) in session.rows().into_iter().filter(|(name, _)| names.contains(name)) {
                if name == "session_phase" {
                    dict.text("phase", phase_words(value).unwrap_or("there is no connection"));
                }
                dict.number(name, value);
            }
        },
    )?;
    let strategy = Arc::clone(board);
    eal.register_command("/wirebook/strategy", "Counters of the strategy. No parameter.", move |_, dict| {
        let [_, names] = Tally::apart();
        for (name, value) in strategy.rows().into_iter().filter(|(name, _)| names.contains(name)) {
            dict.number(name, value);
        }
    })?;
    let latency = latency.clone();
    eal.register_command(
        "/wirebook/latency",
        "Latency by stage in ns, from the last table. Parameter: none, or cold: first frames after a silence only.",
        move |passes, dict| {
            let passes = passes.trim();
            if !["", "cold"].contains(&passes) {
                dict.text("error", "write nothing, or cold");
                return;
            }
            for row in latency.get(passes == "cold") {
                for (quantile, ns) in [
                    ("count", row.count),
                    ("p50", row.p50),
                    ("p99", row.p99),
                    ("p999", row.p999),
                    ("max", row.max),
                ] {
                    dict.number(&format!("{}_{quantile}", row.name), ns);
                }
            }
        },
    )?;
    let recovers = handles.recovers;
    let health = handles.health.clone();
    eal.register_command(
        "/wirebook/recovery",
        "How the feed's books stand as a whole, what is missing, and what was recovered. No parameter.",
        move |_, dict| {
            if recovers {
                recovery(&health.view(), dict);
            } else {
                dict.text("error", "the configuration has no [recovery]");
            }
        },
    )?;
    let books = Arc::clone(board);
    eal.register_command(
        "/wirebook/books",
        "Best bid and offer of the watched books. No parameter.",
        move |_, dict| {
            for book in books.books() {
                dict.text(&book.symbol.to_string(), &line(&book));
            }
        },
    )?;
    let one = Arc::clone(board);
    eal.register_command("/wirebook/book", "One book. Parameter: its symbol.", move |symbol, dict| {
        let Some(symbol) = Symbol::new(symbol.trim()) else {
            dict.text("error", "give a symbol of 1 to 8 characters: /wirebook/book,AAPL");
            return;
        };
        one.ask(symbol);
        thread::sleep(ASKED);
        match one.books().iter().find(|book| book.symbol == symbol) {
            Some(book) => describe(book, dict),
            None => {
                dict.text("error", "the feed announced no such symbol");
            }
        }
    })?;
    for (name, help, armed) in [
        ("/wirebook/arm", "Let orders leave. No parameter.", true),
        ("/wirebook/disarm", "Let no new order leave. No parameter.", false),
    ] {
        let switches = Arc::clone(&handles.switches);
        eal.register_command(name, help, move |_, dict| {
            // SYNC POINT: relaxed; the switch carries no data with it.
            switches.armed.store(armed, Ordering::Relaxed);
            tracing::warn!(armed, "by telemetry command");
            dict.number("armed", u64::from(armed));
        })?;
    }
    let kill = handles.switches.kill.clone();
    eal.register_command(
        "/wirebook/kill",
        "Let no further order leave, cancel open ones, until wirebook is started again. No parameter.",
        move |_, dict| {
            kill.throw(KillCause::Command);
            dict.number("killed", 1);
        },
    )?;
    Ok(())
}

fn recovery(view: &HealthView, dict: &mut Dict<'_>) {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    dict.text("state", view.state.word());
    dict.number("lasts_us", micros(view.lasts));
    dict.number("missing", view.missing);
    dict.number("snapshot_wanted", u64::from(view.snapshot_wanted));
    dict.number("finished", view.finished);
    dict.number("took_p50_us", micros(view.took_p50));
    dict.number("took_max_us", micros(view.took_max));
    if let Some(last) = view.episodes.last() {
        dict.number("last_took_us", micros(last.took));
        dict.number("last_messages", last.messages);
        dict.text("last_by", last.mended.words());
    }
    for (name, value) in &view.rows {
        dict.number(name, *value);
    }
}

fn line(book: &BookView) -> String {
    let of = |level: Option<&Level>| {
        level.map_or_else(|| "-".to_owned(), |l| format!("{} x {}", l.price, l.shares))
    };
    format!("{:?} {:?} {} / {}", book.state, book.trading, of(book.bids.first()), of(book.asks.first()))
}

fn describe(book: &BookView, dict: &mut Dict<'_>) {
    dict.text("symbol", &book.symbol.to_string());
    dict.number("locate", u64::from(book.locate));
    dict.text("state", &format!("{:?}", book.state));
    dict.text("trading", &format!("{:?}", book.trading));
    dict.text("position", &book.position.to_string());
    for (side, levels) in [("bid", &book.bids), ("ask", &book.asks)] {
        for (at, level) in levels.iter().enumerate() {
            dict.text(
                &format!("{side}_{at}"),
                &format!("{} x {} in {} orders", level.price, level.shares, level.orders),
            );
        }
    }
}
