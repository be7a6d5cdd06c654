//! A whole trading day live, in a minute or two: from before the opening to the close, each strategy over a TCP of our own to
//! the exchange's gateway on the kernel's: `make live-day`. What it comes to is asked of the exchange, of the loop and of
//! the journal.

use std::path::Path;
use std::time::Duration;

use crate::kills::read_all;
use crate::orders::{USER, VDEV, assert_journal, journalled, may_run, order_config};
use crate::place::{alone, private_eal, skip};
use crate::programs::{exchange, say, wirebook};
use crate::report::Report;
use crate::running::Running;
use crate::veth::{Cable, positions};

/// Seconds from the first message to the close.
const SECONDS: u64 = 60;

/// Messages a second: a hundred times as many as the day under virtual time has.
const RATE: u32 = 30_000;

/// Seconds for which the exchange stays after its close: it tells what expired, and clients log out.
const LINGER: u64 = 15;

/// What is counted of each day.
const COUNTED: [(&str, &str); 7] = [
    ("messages", "desk_messages"),
    ("sent", "desk_orders_sent"),
    ("accepted", "orders_accepted"),
    ("filled", "orders_executed"),
    ("replaced", "orders_replaced"),
    ("cancelled", "orders_canceled"),
    ("rejected", "orders_rejected"),
];

/// The lines of `[strategy]` that differ.
const STRATEGIES: [(&str, &[(&str, &str)]); 4] = [
    ("imbalance, take", &[("style = \"join\"", "style = \"take\"")]),
    ("imbalance, join", &[]),
    ("maker", &[("kind = \"imbalance\"", "kind = \"maker\"")]),
    ("template", &[("kind = \"imbalance\"", "kind = \"template\"")]),
];

#[test]
#[ignore = "make live-day"]
fn live_a_whole_trading_day() {
    let _alone = alone();
    if let Err(why) = may_run(&[VDEV]) {
        return skip("live_a_whole_trading_day", &why);
    }
    let seconds = std::env::var("WIREBOOK_DAY_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let heads: String = COUNTED.iter().map(|(head, _)| format!("{head:>11}")).collect();
    say(&format!("\n{:<17}{heads}  positions", "strategy"));
    let mut all = [0; COUNTED.len()];
    for (name, lines) in STRATEGIES {
        let directory = tempfile::tempdir().unwrap();
        let counts = day(directory.path(), lines, seconds);
        let cells: String = counts.iter().map(|count| format!("{count:>11}")).collect();
        say(&format!("{name:<17}{cells}  equal"));
        all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    // Of all days together: not every strategy replaces.
    for ((head, _), count) in COUNTED.iter().zip(all).take(6) {
        assert!(count > 10, "{head}: {count}");
    }
}

/// One day; the counts of [`COUNTED`].
fn day(directory: &Path, lines: &[(&str, &str)], seconds: u64) -> [u64; COUNTED.len()] {
    let cable = Cable::new();
    let (journals, journal) = journalled(directory);
    let config = order_config(directory, "own", &journal);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = lines.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}: {text}");
        text.replace(from, to)
    });
    std::fs::write(&config, text).unwrap();

    let mut program = wirebook();
    program.args(private_eal()).args([VDEV, "--", "--for"]).arg((seconds + 120).to_string());
    program.arg("--config").arg(&config).arg("--report").arg(directory.join("live.toml"));
    let mut handler = Running::start(&mut cable.handler.enter(&program));
    handler.wait_for("messages_per_s");

    let mut server = exchange();
    server
        .args(["serve", "--interface-ip", "10.0.0.1", "--ouch", "31001", "--coalesce-us", "1000"])
        .args(["--symbols", "12", "--live-orders", "500", "--wait-ms", "2000"])
        .args(["--rate", &RATE.to_string(), "--for", &seconds.to_string()])
        .args(["--linger-ms", &(LINGER * 1_000).to_string()]);
    let server = Running::start(&mut cable.exchange.enter(&server));
    // Into the time that the exchange stays after its close.
    std::thread::sleep(Duration::from_secs(2 + seconds + LINGER / 3));
    handler.signal("TERM");
    let ended = handler.end();
    let exchange = server.end();

    let report = Report::new(&directory.join("live.toml"), &ended);
    let all = || format!("{}{}\n{}", exchange.stdout, exchange.stderr, report.text());
    assert_eq!((ended.code, exchange.code), (Some(0), Some(0)), "{}", all());
    for never in
        ["stream_gaps", "replies_unknown", "replies_over_executions", "session_gaps", "session_breaks"]
    {
        assert_eq!(report.count(never), 0, "{never}: {}", all());
    }
    assert!(exchange.stdout.contains(&format!("client {USER}: 0 open orders")), "{}", all());
    let positions = positions(&exchange.stdout, USER);
    assert_eq!(report.positions(), positions, "{}", all());
    assert_journal(&read_all(&journals), &report, &positions);
    COUNTED.map(|(_, counter)| report.count(counter))
}
