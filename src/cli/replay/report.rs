//! What a replay prints.

use std::io::{self, Write};

use super::frames::FramePath;
use super::player::Player;
use super::{ReplayArgs, Summary};
use crate::capture::Format;
use crate::cli::tables::{self, book_state, grouped, trading_state};
use crate::feed::Line;
use crate::host::machine;
use crate::market::Side;

/// Books to print where none are asked for.
const BUSIEST: usize = 5;

pub(super) fn print(
    args: &ReplayArgs,
    summary: &Summary,
    player: &Player,
    path: &FramePath,
    out: &mut impl Write,
) -> io::Result<()> {
    books(args, player, out)?;
    let mut rows = path.rows();
    rows.extend(player.counters().rows());
    rows.extend(player.decode_errors().rows());
    rows.extend(player.books().counters().rows());
    if summary.format != Format::BinaryFile {
        lines(path, out)?;
        writeln!(out, "lost or refused")?;
        write!(out, "{}", tables::losses(&rows))?;
        writeln!(out)?;
    }
    writeln!(out, "counters (those not listed are 0)")?;
    writeln!(out, "{}", tables::counters(&rows))?;
    input(args, summary, out)?;
    verdict(summary, player, out)
}

fn books(args: &ReplayArgs, player: &Player, out: &mut impl Write) -> io::Result<()> {
    if args.symbols.is_empty() {
        for locate in player.busiest(BUSIEST) {
            book(locate, args.depth, player, out)?;
        }
        return Ok(());
    }
    for symbol in &args.symbols {
        match player.books().locate_of(*symbol) {
            Some(locate) => book(locate, args.depth, player, out)?,
            None => writeln!(out, "{symbol}: not in the directory of this file\n")?,
        }
    }
    Ok(())
}

fn book(locate: u16, depth: u32, player: &Player, out: &mut impl Write) -> io::Result<()> {
    let books = player.books();
    let symbol = books.symbol(locate).map_or_else(|| "(no symbol)".to_owned(), |s| s.to_string());
    writeln!(
        out,
        "{symbol}  locate {locate}, book {}, market {}, {} messages, {} shares traded, {} bid and {} ask levels",
        book_state(books.state(locate)),
        trading_state(books.trading_state(locate)),
        grouped(player.messages_of(locate)),
        grouped(books.volume(locate)),
        books.level_count(locate, Side::Buy),
        books.level_count(locate, Side::Sell),
    )?;
    let side = |side| books.depth(locate, side).take(depth as usize).collect::<Vec<_>>();
    writeln!(out, "{}", tables::levels(&side(Side::Buy), &side(Side::Sell)))
}

/// Where the lines were found and how far they lay apart.
fn lines(path: &FramePath, out: &mut impl Write) -> io::Result<()> {
    let skew = path.stream().skew();
    for (line, address) in Line::ALL.into_iter().zip(path.addresses()) {
        let counters = path.stream().line_counters(line);
        let address = address.map_or_else(String::new, |address| format!(" {address}"));
        write!(
            out,
            "line {line:?}{address}: {} packets, {} first, {} duplicates",
            grouped(counters.packets),
            grouped(counters.first),
            grouped(counters.duplicates),
        )?;
        let lag = if line == Line::A { &skew.a_behind } else { &skew.b_behind };
        match lag.mean() {
            Some(mean) => {
                let (count, mean) = (grouped(lag.count), path.clock().ns(mean));
                writeln!(out, "; behind the other {count} times, by {} ns on average", grouped(mean))?;
            }
            None => writeln!(out)?,
        }
    }
    writeln!(out)
}

/// How much was read, and how fast.
fn input(args: &ReplayArgs, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let records = if summary.format == Format::BinaryFile { "messages" } else { "frames" };
    writeln!(
        out,
        "{}: {}, {} bytes, {} {records}",
        args.file.display(),
        summary.format,
        grouped(summary.bytes),
        grouped(summary.records)
    )?;
    if let Some(tail) = summary.tail {
        writeln!(out, "  note: {tail}")?;
    }
    let nanos = summary.elapsed.as_nanos().max(1);
    let per_second = u128::from(summary.messages) * 1_000_000_000 / nanos;
    writeln!(
        out,
        "{} messages in {:.3} s: {} a second (reading the file, decoding, building the books; on {})",
        grouped(summary.messages),
        summary.elapsed.as_secs_f64(),
        grouped(u64::try_from(per_second).unwrap_or(u64::MAX)),
        machine::describe(),
    )
}

/// May the books be believed?
fn verdict(summary: &Summary, player: &Player, out: &mut impl Write) -> io::Result<()> {
    if let Some(sequence) = player.late_join() {
        writeln!(out, "the capture begins in the middle of its session, at sequence {}", grouped(sequence))?;
    }
    if player.no_start() {
        writeln!(out, "the file does not begin with the start of messages: what came before is unknown")?;
    }
    if summary.gaps > 0 {
        let (lost, gaps) = (grouped(summary.lost), grouped(summary.gaps));
        writeln!(out, "{lost} messages are missing in {gaps} gaps: neither line has them")?;
    }
    if summary.unfilled > 0 {
        let unfilled = grouped(summary.unfilled);
        writeln!(
            out,
            "it ends while {unfilled} messages were waited for: what came after them is in no book"
        )?;
    }
    if summary.uncaptured > 0 {
        let uncaptured = grouped(summary.uncaptured);
        writeln!(out, "{uncaptured} frames or notes are missing in the capture itself: its buffer was full")?;
    }
    if summary.anomalies > 0 {
        let anomalies = grouped(summary.anomalies);
        writeln!(out, "{anomalies} messages cannot be right, given the books: see the counters")?;
    }
    if summary.undecodable > 0 {
        writeln!(out, "{} messages could not be decoded", grouped(summary.undecodable))?;
    }
    let (known, orders) = (grouped(summary.books), grouped(summary.orders));
    match (summary.books, summary.stale) {
        (0, _) => writeln!(out, "no instrument was announced; {orders} orders rest"),
        (_, 0) => writeln!(out, "{known} books, all live; {orders} orders rest"),
        (_, stale) => {
            writeln!(
                out,
                "{known} books, {} of them STALE: they may be wrong; {orders} orders rest",
                grouped(stale)
            )
        }
    }
}
