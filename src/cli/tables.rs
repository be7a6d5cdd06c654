//! Tables for people: books, latencies, losses, orders.

use std::fmt::Write as _;

use crate::control::Moment;
use crate::market::{BookState, Level, TradingState};
use crate::pipeline::board::{BookView, Row};
use crate::pipeline::health::HealthView;
use crate::stats::stages::StageRow;

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

/// Latencies by stage, in ns.
#[must_use]
pub(super) fn latency(stages: &[StageRow]) -> String {
    let mut rows = vec![StageRow::HEADS.map(str::to_owned).to_vec()];
    rows.extend(stages.iter().map(|stage| stage.cells().to_vec()));
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

/// Counters that mean that something was dropped, refused or doubted: name, cause and remedy.
const LOSSES: &[(&str, &str)] = &[
    (
        "rx_missed",
        "the NIC had no free descriptor: raise port.rx_descriptors, or give the worker a core of its own",
    ),
    ("rx_errors", "the NIC refused frames: cable, optics or FEC"),
    ("rx_no_buffer", "the packet pool was empty: give the EAL more memory"),
    ("tx_errors", "the port did not take frames that were handed to it"),
    ("loop_rx_segmented", "a frame was longer than a buffer: raise port.mtu"),
    ("loop_rx_truncated", "a frame was longer than a buffer: raise port.mtu"),
    ("loop_samples_dropped", "latency samples only: raise latency.sample_every"),
    (
        "udp_bad_checksum",
        "damaged, or a sender on this machine left the checksum to a NIC that is not there: ethtool -K IFACE tx off",
    ),
    ("ip_bad_checksum", "damaged on the way"),
    ("ip_icmp", "ping and its like, which are not answered: harmless"),
    ("ip_fragment", "the sender's packets exceed the path's MTU: nothing is reassembled here"),
    ("route_other_group", "the NIC or switch passes more groups than were asked for: harmless"),
    ("route_other_vlan", "the group comes in another VLAN than feed.line says"),
    ("route_other_source", "somebody else sends to the group"),
    ("route_broadcast", "broadcasts of other hosts: harmless"),
    (
        "route_other_station",
        "frames to other stations, as in promiscuous mode or from a flooding switch: harmless",
    ),
    ("route_other_address", "unicast to an address that is not ours"),
    ("route_other_port", "unicast to a port of ours that nobody listens on: not answered"),
    ("route_other_sender", "somebody else than the gateway sends to the order port: not believed"),
    ("carry_ring_full", "a storm of ARP or IGMP: look for its sender"),
    ("carry_unsent", "ARP or IGMP found the transmit ring full: raise port.tx_descriptors"),
    ("session_no_next_hop", "the gateway's hardware address was not known: does it answer ARP?"),
    ("igmp_other_vlan", "IGMP in a VLAN that no line is in: harmless"),
    ("igmp_unreadable", "broken IGMP"),
    ("arp_other_vlan", "ARP in a VLAN that none of our addresses is in: harmless"),
    ("arp_unreadable", "broken ARP"),
    ("arp_conflicts", "another station uses our address: give each its own"),
    ("arp_not_believed", "somebody else claims the gateway's address: spoofed, or a second router"),
    ("arp_replies_held", "more ARP requests than are answered"),
    (
        "stream_gaps",
        "neither line brought these messages in time: books are stale until a snapshot, or for good",
    ),
    ("stream_window_overflows", "more packets waited behind a hole than feed.reorder_packets"),
    ("desk_undecodable_all_stale", "a broken message of an unknown instrument: all books are stale"),
    ("replay_undecodable_all_stale", "a broken message of an unknown instrument: all books are stale"),
    ("capture_not_ethernet", "capture on the interface itself, not on `any`"),
    ("capture_cut_short", "captured with a snap length: capture with `-s 0`"),
    (
        "recovery_holes_abandoned",
        "no request server brought them: left to the snapshot; check recovery.requests",
    ),
    (
        "recovery_timeouts",
        "requests that were not answered in time, or were lost: raise recovery.requests.timeout_ms, or check the servers",
    ),
    ("recovery_answers_no_room", "the loop did not take answers in time: raise recovery.handover_kib"),
    ("recovery_failed_disconnected", "the snapshot server refused or closed the connection: does it listen?"),
    ("recovery_failed_login_rejected", "check recovery.snapshot.username and its password"),
    (
        "recovery_failed_wrong_session",
        "the snapshot server serves another day or feed: see recovery.snapshot.check_session",
    ),
    ("recovery_failed_too_slow", "raise recovery.snapshot.total_timeout_s, or find what is slow"),
    ("recovery_failed_too_long", "raise recovery.snapshot.max_messages"),
    ("recovery_failed_too_old", "the snapshot server lags behind the feed"),
    (
        "recovery_socket_errors",
        "requests did not leave, or found nobody: check the route and recovery.requests.servers",
    ),
    ("recovery_notices_dropped", "lines of the log only"),
    ("desk_orders_unsent", "cleared orders found the transmit ring full: raise port.tx_descriptors"),
];

/// The same for whole families of counters, by how their names begin; looked at after [`LOSSES`].
const FAMILIES: &[(&str, &str)] = &[
    ("refused_", "risk held an order back: see the section [risk] of the configuration"),
    ("frame_", "not IPv4 over Ethernet: harmless, unless the feed is expected in it"),
    ("ip_", "not UDP in an intact IPv4 packet"),
    ("udp_", "damaged on the way"),
    ("itch_", "a broken message: the book that it concerned is stale"),
    ("line_a_mold_", "no MoldUDP64 in it: is another feed on this group and port?"),
    ("line_b_mold_", "no MoldUDP64 in it: is another feed on this group and port?"),
    ("replies_", "the venue said what does not fit our orders: compare positions with it"),
    ("recovery_answers_", "answers that nobody asked for, or that cannot be read: is it the right server?"),
    ("recovery_failed_", "snapshots that came to nothing, by reason: books stayed stale longer"),
    ("session_bad_", "the venue said what cannot be read: compare positions with it"),
    ("session_gap", "replies were lost: positions are uncertain, nothing but cancels leaves"),
];

/// Counters of books that contradict their feed.
const ANOMALIES: &str =
    "the feed contradicted the book, which is stale since: a limit of [book], or messages lost unseen";

/// What was lost or refused, by reason, with what to do; the reasons that did not occur are left out.
#[must_use]
pub(super) fn losses(rows: &[Row]) -> String {
    let remedy = |name: &str| {
        let exact = LOSSES.iter().find(|(loss, _)| *loss == name);
        let family = || FAMILIES.iter().find(|(start, _)| name.starts_with(start));
        let anomaly = || (name == "book_anomalies").then_some(ANOMALIES);
        exact.or_else(family).map(|(_, remedy)| *remedy).or_else(anomaly).map(str::to_owned)
    };
    let table: Vec<Vec<String>> = rows
        .iter()
        .filter(|(_, value)| *value != 0)
        .filter_map(|(name, value)| Some(vec![(*name).to_owned(), grouped(*value), remedy(name)?]))
        .collect();
    // The remedy is a sentence: it reads from the left.
    let width = table.iter().map(|row| row[0].len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &table {
        let _ = writeln!(text, "  {:<width$}  {:>14}  {}", row[0], row[1], row[2]);
    }
    if text.is_empty() { "  nothing\n".to_owned() } else { text }
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

/// What orders were sent and what became of them, in one line.
#[must_use]
pub(super) fn orders(moment: &Moment) -> String {
    let of = |name| grouped(moment.count(name));
    format!(
        "  entered {}  replaced {}  cancelled {}  replies {}  refused by risk {}\n",
        of("session_enters"),
        of("session_replaces"),
        of("session_cancels"),
        of("desk_replies"),
        grouped(
            moment.rows.iter().filter(|(name, _)| name.starts_with("refused_")).map(|(_, value)| value).sum()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::feed::recovery::RecoveryCounters;
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

    /// A name that no counter has would hide its loss for good.
    #[test]
    #[cfg(feature = "dpdk")]
    fn every_loss_is_a_counter() {
        let tally = crate::pipeline::board::Tally::default();
        let ports = crate::pmd::PortStats::default().rows();
        let names: Vec<_> = tally.rows().chain(ports).map(|(name, _)| name).collect();
        for (loss, _) in LOSSES {
            // A replay and a recovery have counters of their own.
            let apart = ["replay_", "capture_", "recovery_"].iter().any(|start| loss.starts_with(start));
            assert!(apart || names.contains(loss), "{loss}");
        }
    }

    #[test]
    fn every_loss_is_a_counter_that_exists_and_no_two_counters_share_a_name() {
        let port = ["rx_missed", "rx_errors", "rx_no_buffer", "tx_errors"];
        let replay = ["replay_undecodable_all_stale", "capture_not_ethernet", "capture_cut_short"];
        let recovery = RecoveryCounters::default().rows().map(|(name, _)| name);
        let recovery = recovery.into_iter().chain(["recovery_socket_errors"]);
        let names: Vec<&str> = (Tally::default().rows().map(|(name, _)| name))
            .chain(port)
            .chain(replay)
            .chain(recovery)
            .collect();
        for (loss, _) in LOSSES {
            assert!(names.contains(loss), "{loss} is counted nowhere");
        }
        for (family, _) in FAMILIES {
            assert!(names.iter().any(|name| name.starts_with(family)), "{family} names no counter");
        }
        for (_, outcome) in OUTCOMES {
            assert!(names.contains(outcome), "{outcome} is counted nowhere");
        }
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
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

    #[test]
    fn losses_name_their_remedy_and_skip_what_did_not_happen() {
        assert_eq!(losses(&[("stream_gaps", 0)]), "  nothing\n");
        assert!(losses(&[("stream_gaps", 3)]).contains("stale"));
    }
}
