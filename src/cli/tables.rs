//! Tables for people: books, latencies, losses, orders.

use std::fmt::Write as _;

use crate::control::Moment;
use crate::market::{BookState, Level, TradingState};
use crate::order::venue::phase_words;
use crate::pipeline::board::{BookView, Row};
use crate::pipeline::finished::Finished;
use crate::pipeline::health::HealthView;

mod latency;
mod losses;

pub(super) use latency::time;
pub(super) use losses::losses;

/// Rows of cells, the first of each left-aligned, the others right-aligned, each column as wide as its widest cell.
#[must_use]
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = if at == 0 { write!(line, "  {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// A number with thin groups of three, as tables of counters are read.
#[must_use]
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) const fn book_state(state: BookState) -> &'static str {
    match state {
        BookState::Live => "live",
        BookState::Recovering => "recovering",
        BookState::Stale => "STALE",
    }
}

pub(super) const fn trading_state(state: TradingState) -> &'static str {
    match state {
        TradingState::Trading => "trading",
        TradingState::QuotationOnly => "quotes",
        TradingState::Paused => "paused",
        TradingState::Halted => "halted",
    }
}

/// One line a book: its state and its best bid and offer.
#[must_use]
pub(super) fn tops(books: &[BookView]) -> String {
    let mut rows =
        vec![strings(["symbol", "book", "market", "bid shares", "bid", "ask", "ask shares", "position"])];
    let price = |level: Option<&Level>| level.map_or_else(|| "-".to_owned(), |l| l.price.to_string());
    let shares = |level: Option<&Level>| level.map_or_else(|| "-".to_owned(), |l| grouped(l.shares));
    for book in books {
        let (bid, ask) = (book.bids.first(), book.asks.first());
        rows.push(vec![
            book.symbol.to_string(),
            book_state(book.state).to_owned(),
            trading_state(book.trading).to_owned(),
            shares(bid),
            price(bid),
            price(ask),
            shares(ask),
            book.position.to_string(),
        ]);
    }
    columns(&rows)
}

/// The levels of one book, bids on the left.
#[must_use]
pub(super) fn depth(book: &BookView) -> String {
    levels(&book.bids, &book.asks)
}

/// Bids on the left, asks on the right, best first.
#[must_use]
pub(super) fn levels(bids: &[Level], asks: &[Level]) -> String {
    let mut rows = vec![strings(["orders", "shares", "bid", "ask", "shares", "orders"])];
    for at in 0..bids.len().max(asks.len()) {
        let cells = |level: Option<&Level>| {
            level.map_or_else(
                || ["", "", ""].map(str::to_owned),
                |l| [l.orders.to_string(), grouped(l.shares), l.price.to_string()],
            )
        };
        let [bid_orders, bid_shares, bid] = cells(bids.get(at));
        let [ask_orders, ask_shares, ask] = cells(asks.get(at));
        rows.push(vec![bid_orders, bid_shares, bid, ask, ask_shares, ask_orders]);
    }
    columns(&rows)
}

/// What each line brought, which came first, and how far they lie apart.
#[must_use]
pub(super) fn lines(rows: &[Row]) -> String {
    let of = |name: &str| rows.iter().find(|(row, _)| *row == name).map_or(0, |(_, value)| *value);
    let mut table = vec![strings([
        "line",
        "packets",
        "first",
        "duplicates",
        "skipped",
        "late",
        "lag, ns: mean",
        "p50",
        "max",
    ])];
    for (line, start) in [("A", "line_a_"), ("B", "line_b_")] {
        let names =
            ["packets", "first", "duplicates", "skipped", "late", "lag_mean_ns", "lag_p50_ns", "lag_max_ns"];
        let cells = names.iter().map(|name| grouped(of(&format!("{start}{name}"))));
        table.push(std::iter::once(line.to_owned()).chain(cells).collect());
    }
    columns(&table)
}

/// Finished recoveries shown in a table; more are in the report.
const EPISODES: usize = 10;

/// What became of what was missing: in words, and the counter.
const OUTCOMES: &[(&str, &str)] = &[
    ("holes asked for", "recovery_holes_asked"),
    ("filled by answers", "recovery_holes_filled"),
    ("closed another way", "recovery_holes_closed"),
    ("given up", "recovery_holes_abandoned"),
    ("gaps", "stream_gaps"),
    ("messages in gaps", "stream_lost_messages"),
    ("snapshots loaded", "recovery_snapshots_loaded"),
    ("snapshots tried", "recovery_logins"),
    ("messages put aside at most", "repair_logged_peak"),
];

/// How the books stand as a whole, what became of what was missing, and what was recovered, the latest last.
#[must_use]
pub(super) fn recovery(view: &HealthView, rows: &[Row]) -> String {
    let mut text = format!("  {} for {:.1} s", view.state.word(), view.lasts.as_secs_f64());
    if view.missing != 0 {
        let _ = write!(text, ", {} messages missing", grouped(view.missing));
    }
    if view.finished == 0 {
        text.push_str("; nothing was recovered\n");
    }
    let of = |name: &str| rows.iter().find(|(row, _)| *row == name).map_or(0, |(_, value)| *value);
    let outcomes: Vec<_> =
        OUTCOMES.iter().map(|(what, name)| format!("{what} {}", grouped(of(name)))).collect();
    if view.finished == 0 {
        let _ = writeln!(text, "  {}", outcomes.join("  "));
        return text;
    }
    let _ = writeln!(
        text,
        "; {} recoveries, time to recover: p50 {:.1?}, longest {:.1?}",
        grouped(view.finished),
        view.took_p50,
        view.took_max
    );
    let _ = writeln!(text, "  {}", outcomes.join("  "));
    let mut table = vec![strings(["by", "at", "messages", "took"])];
    for episode in view.episodes.iter().skip(view.episodes.len().saturating_sub(EPISODES)) {
        table.push(vec![
            episode.mended.words().to_owned(),
            format!("{:.1} s", episode.began.as_secs_f64()),
            grouped(episode.messages),
            format!("{:.1?}", episode.took),
        ]);
    }
    text.push_str(&columns(&table));
    text
}

/// Every counter that is not 0.
#[must_use]
pub(super) fn counters(rows: &[Row]) -> String {
    let table: Vec<Vec<String>> = rows
        .iter()
        .filter(|(_, value)| *value != 0)
        .map(|(name, value)| vec![(*name).to_owned(), grouped(*value)])
        .collect();
    columns(&table)
}

/// What each of several workers received and keeps.
#[must_use]
pub(super) fn workers(finished: &[Finished]) -> String {
    let heads = ["worker", "frames", "of others", "missed", "gaps", "books", "stale", "applied", "orders"];
    let mut table = vec![strings(heads)];
    for (at, worker) in finished.iter().enumerate() {
        let rows: Vec<_> = worker.tally.rows().collect();
        let of = |name: &str| rows.iter().find(|(row, _)| *row == name).map_or(0, |(_, value)| *value);
        let cells = [
            of("loop_frames"),
            of("loop_rx_shared"),
            of("loop_rx_missed"),
            of("stream_gaps"),
            worker.books_known() as u64,
            worker.stale() as u64,
            APPLIED.iter().map(|name| of(name)).sum(),
            of("desk_orders_sent"),
        ];
        table.push(std::iter::once(at.to_string()).chain(cells.map(grouped)).collect());
    }
    columns(&table)
}

/// Events that changed a book.
const APPLIED: [&str; 5] = ["book_added", "book_executed", "book_cancelled", "book_deleted", "book_replaced"];

/// What orders were sent and what became of them, in one line.
#[must_use]
pub(super) fn orders(moment: &Moment) -> String {
    let of = |name| grouped(moment.count(name));
    format!(
        "  entered {}  replaced {}  cancelled {}  replies {}  refused by risk {}{}\n",
        of("session_enters"),
        of("session_replaces"),
        of("session_cancels"),
        of("desk_replies"),
        grouped(
            moment.rows.iter().filter(|(name, _)| name.starts_with("refused_")).map(|(_, value)| value).sum()
        ),
        phase_words(moment.count("session_phase"))
            .map_or_else(String::new, |words| format!("  session {words}")),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::market::{Price, Symbol};
    use crate::pipeline::board::Tally;
    use crate::pipeline::health::{Episode, FeedState, Mended};

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(["0", "999", "1,000", "1,234,567"], [0, 999, 1_000, 1_234_567].map(grouped)[..]);
    }

    #[test]
    fn an_unbelievable_book_shouts() {
        let book = BookView {
            locate: 1,
            symbol: Symbol(*b"AAPL    "),
            state: BookState::Stale,
            trading: TradingState::Trading,
            position: -5,
            bids: vec![Level { price: Price(10_000), shares: 1_500, orders: 2 }],
            asks: vec![],
        };
        let table = tops(std::slice::from_ref(&book));
        assert!(table.contains("STALE") && table.contains("1,500") && table.contains("1.0000"), "{table}");
        assert!(depth(&book).lines().count() == 2);
    }

    #[test]
    fn lines_are_side_by_side() {
        let rows = [("line_a_packets", 12_345), ("line_b_first", 7), ("line_b_lag_p50_ns", 900)];
        let table = lines(&rows);
        let row = |at| table.lines().nth(at).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(row(1), ["A", "12,345", "0", "0", "0", "0", "0", "0", "0"]);
        assert_eq!(row(2), ["B", "0", "7", "0", "0", "0", "0", "900", "0"]);
        let names: Vec<_> = Tally::default().rows().map(|(name, _)| name).collect();
        assert!(rows.iter().all(|(name, _)| names.contains(name)));
    }

    #[test]
    fn recoveries_are_told_with_their_times() {
        let mut view = HealthView { state: FeedState::Live, ..HealthView::default() };
        let rows = [("recovery_holes_filled", 7), ("stream_gaps", 0)];
        let nothing = recovery(&view, &rows);
        assert!(nothing.starts_with("  live for 0.0 s; nothing was recovered\n"), "{nothing}");
        assert!(nothing.contains("  filled by answers 7  "), "{nothing}");
        let episode = Episode {
            began: Duration::from_millis(2_500),
            took: Duration::from_micros(1_500),
            messages: 500,
            mended: Mended::Filled,
        };
        view.episodes = vec![episode; 12];
        (view.finished, view.took_max, view.missing) = (12, episode.took, 3);
        let table = recovery(&view, &rows);
        assert!(table.contains("3 messages missing") && table.contains("longest 1.5ms"), "{table}");
        assert_eq!(
            table.lines().filter(|line| line.contains("requests  2.5 s       500  1.5ms")).count(),
            10,
            "{table}"
        );
    }
}
