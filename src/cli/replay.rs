//! `wirebook replay FILE`: decode a capture, build the books, print them.
//!
//! BinaryFILE messages go straight to the decoder and the books. Frames of pcap and pcapng files take the way of live
//! ones: wire, lines A and B, one ordered stream, books. The stream's clock is the capture's own time, so that a
//! replay gives the same result on every machine and at any speed. A capture that wirebook made itself (`--capture`) gives,
//! with the same configuration, the very events that the loop saw, gaps at the same places included (`frames`).
//!
//! Books that are not live at the end, gaps, and messages that cannot be right make the exit code
//! [`Exit::Flagged`]. A capture whose last record is cut off is read to there, with a note.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::SocketAddrV4;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::complain;
use super::exit::Exit;
use crate::book::{Books, LimitError, Limits};
use crate::capture::{CaptureError, Format, Reader, Tail};
use crate::config::{Config, ConfigErrors};
use crate::feed::StreamConfig;
use crate::market::Symbol;
use crate::stats::clock::{Clock, ClockError};
use crate::worker;

#[cfg(feature = "export")]
pub mod export;
mod frames;
mod lines;
mod player;
mod report;

use frames::FramePath;
use lines::Lines;
use player::{Audience, Player};

/// Ticks of the stream's clock in a replay: ns of capture time.
const NS: u64 = 1_000_000_000;

/// Records between two looks at the progress bar.
const PROGRESS_EVERY: u64 = 1 << 15;

/// Bytes that a message which adds an order takes up in any of the formats: a length and 36 bytes.
const BYTES_PER_ORDER: u64 = 38;

/// `replay`
#[derive(Args, Clone, Debug, Default)]
pub struct ReplayArgs {
    /// The capture: ITCH 5.0 BinaryFILE, pcap or pcapng with MoldUDP64.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the final books, order by order, to this file.
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,
    /// Print these books; the busiest five otherwise.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', value_parser = symbol)]
    pub symbols: Vec<Symbol>,
    /// Levels of each side to print, 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub depth: u32,
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

fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text).ok_or_else(|| "a symbol has 1 to 8 printable characters without blanks".to_owned())
}

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read, or no further than the report goes.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The books' limits are out of range, or the memory is not there.
    #[error("books: {0}")]
    Books(#[from] LimitError),
    /// No frame of the capture belongs to a feed.
    #[error("{name}: {why}")]
    NoFeed {
        /// The file.
        name: String,
        /// What was looked for, what is there, and what to do.
        why: String,
    },
    /// There is no clock of ns.
    #[error("clock: {0}")]
    Clock(#[from] ClockError),
    /// The dump would overwrite the capture.
    #[error("{0}: is the capture itself; give --dump another file")]
    DumpIsInput(String),
    /// The dump cannot be written.
    #[error("{0}")]
    Dump(String),
    /// The report cannot be written.
    #[error("the report cannot be written: {0}")]
    Report(#[from] io::Error),
}

impl ReplayError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Capture(_) | Self::NoFeed { .. } => Exit::Input,
            Self::Config(_) | Self::DumpIsInput(_) => Exit::Usage,
            Self::Clock(_) | Self::Books(LimitError::Memory { .. }) | Self::Dump(_) | Self::Report(_) => {
                Exit::Environment
            }
            Self::Books(_) => Exit::Usage,
        }
    }
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What kind of file it was.
    pub format: Format,
    /// Frames or messages in it.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Messages that reached the decoder.
    pub messages: u64,
    /// Time from the first record to the last, reading included.
    pub elapsed: Duration,
    /// How the file ended, if not cleanly.
    pub tail: Option<Tail>,
    /// Instruments that the directory named.
    pub books: u64,
    /// Of those, the ones whose book is not live.
    pub stale: u64,
    /// Orders that rest at the end.
    pub orders: u64,
    /// Holes that nothing filled.
    pub gaps: u64,
    /// Messages in them.
    pub lost: u64,
    /// Messages that the loop still waited for when its capture ended.
    pub unfilled: u64,
    /// Frames that the capture itself is missing, as it says.
    pub uncaptured: u64,
    /// Messages that cannot be right, given the books.
    pub anomalies: u64,
    /// Messages of types that books keep which could not be decoded.
    pub undecodable: u64,
}

impl Summary {
    /// True if a book may be wrong.
    #[must_use]
    pub fn flagged(&self) -> bool {
        let incomplete = self.unfilled > 0 || self.uncaptured > 0;
        incomplete || self.stale > 0 || self.gaps > 0 || self.anomalies > 0 || self.undecodable > 0
    }
}

/// Runs the command: the report to stdout, what went wrong to stderr.
#[must_use]
pub(super) fn main(args: &ReplayArgs) -> Exit {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = run(args, &mut out).and_then(|summary| Ok(out.flush().map(|()| summary)?));
    match result {
        Ok(summary) if summary.flagged() => Exit::Flagged,
        Ok(_) => Exit::Done,
        // `wirebook replay FILE | head` is no failure.
        Err(ReplayError::Report(why)) if why.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(why) => {
            // What was read before the fault comes first.
            let _ = out.flush();
            complain(why.exit(), &why.to_string())
        }
    }
}

/// Replays `args.file` and prints the report to `out`.
///
/// # Errors
/// [`ReplayError`]. After a fault in the middle of the file, the report on what came before it is already printed.
pub fn run(args: &ReplayArgs, out: &mut impl Write) -> Result<Summary, ReplayError> {
    let config = args.config.as_deref().map(Config::load).transpose()?;
    let mut reader = Reader::open(&args.file)?;
    if let Some(dump) = &args.dump {
        prepare_dump(dump, &args.file)?;
    }
    let limits = config.as_ref().map_or_else(|| limits_for(reader.file_len()), worker::book_limits);
    let mut player = Player::new(Books::new(limits)?);
    let lines = lines(args, config.as_ref());
    let setup = Box::new(move |clock: &Clock, own| setup(config.as_ref(), clock, own));
    let mut path = FramePath::new(lines, Clock::from_hz(NS)?, setup);

    let bar = progress_bar(args, reader.file_len());
    let start = Instant::now();
    let mut records = 0;
    let fault = play(&mut reader, &mut player, &mut path, &mut records, &bar).err();
    let elapsed = start.elapsed();
    bar.finish_and_clear();

    let stream = path.stream().counters();
    let (books, stale) = player.known_and_stale();
    let summary = Summary {
        format: reader.format(),
        records,
        bytes: reader.offset(),
        messages: player.counters().messages,
        elapsed,
        tail: reader.tail(),
        books,
        stale,
        orders: u64::from(player.books().usage().orders),
        gaps: stream.gaps,
        lost: stream.lost_messages,
        unfilled: path.unfilled(),
        uncaptured: path.counters().lost,
        anomalies: player.books().counters().anomalies,
        undecodable: player.counters().undecodable,
    };
    if fault.is_none() && summary.format != Format::BinaryFile && !path.heard() {
        let why = path.no_feed(summary.records);
        return Err(ReplayError::NoFeed { name: args.file.display().to_string(), why });
    }
    report::print(args, &summary, &player, &path, out)?;
    if let Some(dump) = &args.dump {
        super::dump::to_file(&[player.books()], dump).map_err(ReplayError::Dump)?;
    }
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(summary),
    }
}

/// Every record of the file, then the holes that are still open.
fn play(
    reader: &mut Reader<File>,
    player: &mut impl Audience,
    path: &mut FramePath,
    records: &mut u64,
    bar: &ProgressBar,
) -> Result<(), CaptureError> {
    let messages = reader.format() == Format::BinaryFile;
    loop {
        match reader.next_record()? {
            Some(record) if messages => {
                if *records == 0 {
                    player.begin(record.bytes);
                }
                player.one(record.bytes);
            }
            Some(record) => path.frame(&record, player),
            None => break,
        }
        *records += 1;
        if records.is_multiple_of(PROGRESS_EVERY) {
            bar.set_position(reader.offset());
        }
    }
    path.finish(player);
    Ok(())
}

fn lines(args: &ReplayArgs, config: Option<&Config>) -> Lines {
    match (config, args.line_a) {
        (Some(config), _) => Lines::configured(worker::routes(config)),
        (None, Some(a)) => Lines::given(a, args.line_b),
        (None, None) => Lines::discover(),
    }
}

/// The stream of `config`; with the waits for recovery where the loop's own time is known, since then what came of it is, too.
fn setup(config: Option<&Config>, clock: &Clock, own: bool) -> StreamConfig {
    let Some(config) = config else { return StreamConfig::usual(clock.hz()) };
    let recovery_wait = if own { worker::recovery_wait(config, clock) } else { 0 };
    StreamConfig { recovery_wait, ..worker::stream_config(config, clock) }
}

/// As many orders as the file has room for, at most as many as a full day needs.
fn limits_for(file_len: Option<u64>) -> Limits {
    let usual = Limits::default();
    let Some(len) = file_len else { return usual };
    let orders = u32::try_from(len / BYTES_PER_ORDER + 1).unwrap_or(u32::MAX);
    Limits { orders: orders.min(usual.orders), levels: orders.min(usual.levels), ..usual }
}

/// The two names are of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    identity(one).is_some() && identity(one) == identity(other)
}

/// Fails now rather than after an hour of reading, and never on top of the capture.
fn prepare_dump(dump: &Path, input: &Path) -> Result<(), ReplayError> {
    if is_same(dump, input) {
        return Err(ReplayError::DumpIsInput(dump.display().to_string()));
    }
    match File::create(dump) {
        Ok(_) => Ok(()),
        Err(why) => Err(ReplayError::Dump(format!(
            "{}: cannot be written: {why}\n  give --dump a writable place",
            dump.display()
        ))),
    }
}

fn progress_bar(args: &ReplayArgs, file_len: Option<u64>) -> ProgressBar {
    match file_len {
        Some(len) if !args.no_progress && io::stderr().is_terminal() => {
            let bar = ProgressBar::new(len);
            let style = "{bar:40} {percent:>3} %  {binary_bytes_per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        }
        _ => ProgressBar::hidden(),
    }
}

#[cfg(test)]
mod tests;
