//! `wirebook features FILE --out FILE.parquet`: features and labels of a recorded market, to train a model on.
//!
//! The file is replayed as by `wirebook replay`. Each change of an instrument's touch makes a row, while its book is live, it
//! trades, and its bid is below its ask; a row has the features as the loop would have had them at that event, and what the
//! mid did afterwards (`export/labels.rs`). The columns stand in `export/table.rs`.
//!
//! The exit code is that of a replay: [`Exit::Flagged`] where something was lost. No label reaches across that: what was
//! pending when a book could no longer be believed has none.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddrV4;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;

use super::player::{Audience, Player};
use super::{FramePath, NS, ReplayArgs, ReplayError, limits_for, lines, play, progress_bar, setup, symbol};
use crate::book::{Books, Change};
use crate::capture::{Format, Reader};
use crate::cli::complain;
use crate::cli::exit::Exit;
use crate::config::Config;
use crate::feed::Sink;
use crate::market::{BookState, Event, EventKind, Symbol, TradingState};
use crate::stats::clock::Clock;
use crate::strategy::features::{DAY_NS, FeatureState, Features, Step};
use crate::wire::moldudp64::Blocks;
use crate::worker;

mod labels;
mod table;

use labels::{Horizons, Labels};
use table::{Row, Table};

/// `features`
#[derive(Args, Clone, Debug, Default)]
pub struct ExportArgs {
    /// The capture: ITCH 5.0 BinaryFILE, pcap or pcapng with MoldUDP64.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The Parquet file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Only these instruments; all otherwise.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', value_parser = symbol)]
    pub symbols: Vec<Symbol>,
    /// Only every N-th change of an instrument's touch makes a row.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Changes of the touch after which the first label is taken.
    #[arg(long, value_name = "K", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub changes: u64,
    /// ms after which the second label is taken.
    #[arg(long, value_name = "T", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub ms: u64,
    /// Group and port of line A; the first group with a feed otherwise.
    #[arg(long, value_name = "GROUP:PORT")]
    pub line_a: Option<SocketAddrV4>,
    /// Group and port of line B; the second group with the same session otherwise.
    #[arg(long, value_name = "GROUP:PORT", requires = "line_a")]
    pub line_b: Option<SocketAddrV4>,
    /// Take lines, reorder window and book limits from this configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "line_a")]
    pub config: Option<PathBuf>,
    /// No progress bar, even on a terminal.
    #[arg(long)]
    pub no_progress: bool,
}

/// Why an export did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The replay did not.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The output would overwrite the capture.
    #[error("{0}: is the capture itself; give --out another file")]
    OutIsInput(String),
    /// There is not enough memory for the features.
    #[error("features: {0}")]
    Memory(#[from] std::collections::TryReserveError),
    /// The output cannot be written.
    #[error("{0}: cannot be written: {1}")]
    Out(String, parquet::errors::ParquetError),
}

impl ExportError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Replay(why) => why.exit(),
            Self::OutIsInput(_) => Exit::Usage,
            Self::Memory(_) | Self::Out(..) => Exit::Environment,
        }
    }
}

/// What an export came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows written.
    pub rows: u64,
    /// Rows that lack the label after so many changes.
    pub unlabelled_changes: u64,
    /// Rows that lack the label after so many ms.
    pub unlabelled_ms: u64,
    /// Instruments with a row.
    pub instruments: u64,
    /// Books were flagged.
    pub flagged: bool,
}

/// Runs the command: what was written to stdout, what went wrong to stderr.
#[must_use]
pub(in crate::cli) fn main(args: &ExportArgs) -> Exit {
    match run(args) {
        Ok(exported) => {
            let said = writeln!(
                io::stdout(),
                "{}: {} rows of {} instruments; no label after {} changes in {}, after {} ms in {}{}",
                args.out.display(),
                exported.rows,
                exported.instruments,
                args.changes,
                exported.unlabelled_changes,
                args.ms,
                exported.unlabelled_ms,
                if exported.flagged { "; books were flagged, see `wirebook replay`" } else { "" }
            );
            // A closed pipe is no failure.
            let _ = said;
            if exported.flagged { Exit::Flagged } else { Exit::Done }
        }
        Err(why) => complain(why.exit(), &why.to_string()),
    }
}

/// Replays `args.file` and writes `args.out`.
///
/// # Errors
/// [`ExportError`].
pub fn run(args: &ExportArgs) -> Result<Exported, ExportError> {
    let replay = ReplayArgs {
        file: args.file.clone(),
        line_a: args.line_a,
        line_b: args.line_b,
        config: args.config.clone(),
        no_progress: args.no_progress,
        ..ReplayArgs::default()
    };
    let config = args.config.as_deref().map(Config::load).transpose().map_err(ReplayError::from)?;
    let mut reader = Reader::open(&args.file).map_err(ReplayError::from)?;
    let out = create(&args.out, &args.file)?;
    let limits = config.as_ref().map_or_else(|| limits_for(reader.file_len()), worker::book_limits);
    let books = Books::new(limits).map_err(ReplayError::from)?;
    let horizons = Horizons { changes: args.changes, ns: args.ms * 1_000_000 };
    let fault = |why| ExportError::Out(args.out.display().to_string(), why);
    let table = Table::new(out, horizons).map_err(fault)?;
    let mut exporter = Exporter::new(Player::new(books), args, table)?;
    let lines = lines(&replay, config.as_ref());
    let setup = Box::new(move |clock: &Clock, own| setup(config.as_ref(), clock, own));
    let clock = Clock::from_hz(NS).map_err(ReplayError::from)?;
    let mut path = FramePath::new(lines, clock, setup);

    let bar = progress_bar(&replay, reader.file_len());
    let mut records = 0;
    let played = play(&mut reader, &mut exporter, &mut path, &mut records, &bar);
    bar.finish_and_clear();
    if played.is_ok() && reader.format() != Format::BinaryFile && !path.heard() {
        let name = args.file.display().to_string();
        return Err(ReplayError::NoFeed { name, why: path.no_feed(records) }.into());
    }
    let (_, stale) = exporter.player.known_and_stale();
    let flagged = stale > 0
        || path.stream().counters().gaps > 0
        || path.unfilled() > 0
        || path.counters().lost > 0
        || exporter.player.books().counters().anomalies > 0
        || exporter.player.counters().undecodable > 0;
    let exported = exporter.finish().map_err(fault)?;
    played.map_err(ReplayError::from)?;
    Ok(Exported { flagged, ..exported })
}

/// The output, empty, unless it is the input.
fn create(out: &Path, input: &Path) -> Result<File, ExportError> {
    if super::is_same(out, input) {
        return Err(ExportError::OutIsInput(out.display().to_string()));
    }
    File::create(out).map_err(|why| ExportError::Out(out.display().to_string(), why.into()))
}

/// Keeps the books, and writes rows.
struct Exporter<'a> {
    player: Player,
    args: &'a ExportArgs,
    features: Features,
    /// By locate.
    labels: Vec<Option<Box<Labels>>>,
    table: Table,
    instruments: u64,
    /// Latest exchange time of any event, ns; a stamp that goes back or is beyond the day counts as this.
    now: u64,
    fault: Option<parquet::errors::ParquetError>,
}

impl<'a> Exporter<'a> {
    fn new(player: Player, args: &'a ExportArgs, table: Table) -> Result<Self, ExportError> {
        let locates = player.books().limits().locates;
        let followed = if args.symbols.is_empty() { locates as usize } else { args.symbols.len() };
        let features = Features::new(locates, u16::try_from(followed).unwrap_or(u16::MAX))?;
        let mut labels = Vec::new();
        labels.resize_with(locates as usize, || None);
        Ok(Self { player, args, features, labels, table, instruments: 0, now: 0, fault: None })
    }

    #[inline]
    fn message(&mut self, block: &[u8]) {
        match self.player.message(block) {
            Some((event, change)) => self.event(&event, &change),
            // Which books that concerned, the player has said: whoever is no longer live.
            None => self.cut(),
        }
    }

    fn event(&mut self, event: &Event, change: &Change) {
        let books = self.player.books();
        let locate = event.locate;
        if event.timestamp < DAY_NS {
            self.now = self.now.max(event.timestamp);
        }
        if let EventKind::Directory { symbol, .. } = event.kind
            && (self.args.symbols.is_empty() || self.args.symbols.contains(&symbol))
            && self.features.follow(books, locate)
            && let Some(labels) = self.labels.get_mut(usize::from(locate))
        {
            labels.get_or_insert_default();
        }
        let Some(Some(labels)) = self.labels.get_mut(usize::from(locate)) else { return };
        labels.pass(self.now, &mut self.table);
        let step = Step::of_event(event, change, books);
        let before = self.features.state(locate).map_or(0, FeatureState::changes);
        let Some(state) = self.features.on_step(books, &step) else { return };
        if books.state(locate) != BookState::Live {
            labels.cut(&mut self.table);
            return;
        }
        if state.changes() == before {
            return;
        }
        let mid = state.twice_mid();
        labels.change(mid, &mut self.table);
        let top = books.top(locate);
        let open = matches!((top.bid, top.ask), (Some(bid), Some(ask)) if bid.price < ask.price);
        if let (Some(twice_mid), Some(symbol), true) = (mid, books.symbol(locate), open)
            && books.trading_state(locate) == TradingState::Trading
            && state.changes().is_multiple_of(self.args.every)
        {
            self.instruments += u64::from(!labels.has_rows());
            let row = Row { timestamp: self.now, locate, symbol, twice_mid, features: state.vector() };
            labels.row(self.table.add(&row), self.now, twice_mid);
            if let Err(why) = self.table.flush_full() {
                self.fault.get_or_insert(why);
            }
        }
    }

    /// Labels of books that are not live now are not to be had.
    #[cold]
    fn cut(&mut self) {
        for (locate, labels) in (0..=u16::MAX).zip(&mut self.labels) {
            if let Some(labels) = labels
                && self.player.books().state(locate) != BookState::Live
            {
                labels.cut(&mut self.table);
            }
        }
    }

    /// What no event follows has the labels that time alone gives.
    fn finish(mut self) -> Result<Exported, parquet::errors::ParquetError> {
        let end = self.now;
        for labels in self.labels.iter_mut().flatten() {
            labels.pass(end, &mut self.table);
            labels.cut(&mut self.table);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let instruments = self.instruments;
        let exported = self.table.finish()?;
        Ok(Exported { instruments, ..exported })
    }
}

impl Sink for Exporter<'_> {
    fn session(&mut self, session: [u8; 10], first_sequence: u64) {
        self.labels.iter_mut().flatten().for_each(|labels| labels.cut(&mut self.table));
        self.labels.fill_with(|| None);
        self.features.forget_all();
        self.player.session(session, first_sequence);
    }

    fn messages(&mut self, _first_sequence: u64, blocks: Blocks<'_>) {
        for block in blocks {
            self.message(block);
        }
    }

    fn gap(&mut self, missing: Range<u64>) {
        self.player.gap(missing);
        self.cut();
    }

    fn end_of_session(&mut self) {
        self.player.end_of_session();
    }
}

impl Audience for Exporter<'_> {
    fn begin(&mut self, first: &[u8]) {
        self.player.begin(first);
    }

    fn one(&mut self, block: &[u8]) {
        self.message(block);
    }
}

#[cfg(test)]
mod tests;
