//! Recovery while the feed runs: the handler and the exchange in two namespaces, over a cable on which both lines lose
//! packets, each for itself, with bursts of ten times the rate, and once 500 messages on both at the same time.

use std::path::{Path, PathBuf};

use crate::place::{
    OBSERVE, Prefix, alone, config, is_root, lcores, missing, no_driver, skip, symbols, trade,
};
use crate::programs::{Ended, assert_same_books, exchange, must, orders, say, wirebook};
use crate::report::Report;
use crate::running::Running;
use crate::telemetry::Telemetry;
use crate::veth::Cable;

const SYMBOLS: u32 = 12;

pub(crate) const REQUESTS: &str = "[recovery.requests]\nservers = [\"10.0.0.1:31011\", \"10.0.0.1:31012\"]\n\
                        timeout_ms = 100\nretries = 20\n";
pub(crate) const SNAPSHOT: &str = "[recovery.snapshot]\nserver = \"10.0.0.1:31013\"\nusername = \"WIRE01\"\npassword = \"secret\"\n\
                        back_off_ms = 200\nback_off_max_ms = 1000\n";
pub(crate) const SERVES: [&str; 4] = ["--requests", "31011,31012", "--glimpse", "31013"];

/// What of DPDK the handler runs on; nothing: on kernel sockets.
const SOCKETS: &[&str] = &[];
const AF_PACKET: &[&str] = &["--vdev=net_af_packet0,iface=feed0,blocksz=65536,framesz=2048,framecnt=16384"];

/// A handler and an exchange that have both ended.
struct Played {
    directory: tempfile::TempDir,
    exchange: String,
    handler: Ended,
    report: Report,
    /// What `/wirebook/recovery` said before the handler ended; empty without DPDK.
    telemetry: String,
}

impl Played {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn all(&self) -> String {
        format!("{}\n{}", self.exchange, self.report.text())
    }

    fn same_books(&self, test: &str) {
        assert_same_books(test, &self.file("live.csv"), &orders(&self.file("exchange.csv")), 300);
    }

    /// Every line of the handler's log with `text`.
    fn log(&self, text: &str) -> Vec<&str> {
        self.handler.stderr.lines().filter(|line| line.contains(text)).collect()
    }
}

/// Why this test cannot run here.
fn not_here(vdev: &[&str]) -> Option<String> {
    if !is_root() {
        return Some("needs root, for network namespaces".to_owned());
    }
    let driver = || vdev.iter().find_map(|vdev| no_driver(vdev.trim_start_matches("--vdev=")));
    missing(&["ip", "ethtool", "unshare", "nsenter"]).or_else(driver)
}

/// A configuration that asks soon, and gives up late: the machine may be loaded.
fn configured(directory: &Path, what: &str) -> PathBuf {
    let path = config(directory, "0", None, &format!("[recovery]\nhole_wait_ms = 4000\n{what}"));
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "reorder_packets = 4096\nreorder_wait_us = 1000000\n",
        "reorder_packets = 65536\nreorder_wait_us = 20000\n",
    );
    std::fs::write(&path, text).unwrap();
    must(wirebook().arg("check-config").arg(&path));
    path
}

/// Plays `messages` to a handler with the configuration `what` on `vdev`; the exchange has the options `more`. `None` where
/// it cannot run here.
fn play(test: &str, vdev: &[&str], what: &str, messages: u32, more: &[&str]) -> Option<Played> {
    if let Some(why) = not_here(vdev) {
        skip(test, &why);
        return None;
    }
    let cable = Cable::new();
    // Requests and snapshots go by the kernel, whatever the feed comes by.
    must(cable.handler.run("ip").args(["address", "add", "10.0.0.2/24", "dev", "feed0"]));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let config = configured(directory.path(), what);
    let prefix = Prefix::new();
    let mut program = wirebook();
    if vdev.is_empty() {
        program.args(["--", "--nic", "udp:10.0.0.2"]);
    } else {
        let prefix = format!("--file-prefix={}", prefix.0);
        program.args([&lcores(), "--no-pci", "--no-huge", "-m", "256", &prefix]).args(vdev).arg("--");
    }
    program.args(["--for", "100", "--stop-when-idle", "4", "--config"]).arg(&config);
    program.arg("--dump").arg(file("live.csv")).arg("--report").arg(file("live.toml"));
    let mut handler = Running::start(&mut cable.handler.enter(&program));
    handler.wait_for("messages_per_s");

    let mut server = exchange();
    server
        .args(["serve", "--interface-ip", "10.0.0.1", "--gateway", "31001"])
        .args(["--rate", "20000", "--coalesce-us", "1000"])
        .args(["--symbols", &SYMBOLS.to_string(), "--messages", &messages.to_string()])
        .args(["--linger-ms", "3000", "--dump"])
        .arg(file("exchange.csv"))
        .args(more);
    let exchange = must(&mut cable.exchange.enter(&server));
    let telemetry = if vdev.is_empty() {
        String::new()
    } else {
        Telemetry::connect(&prefix.directory()).ask("/wirebook/recovery")
    };
    let ended = handler.end();
    let report = Report::new(&file("live.toml"), &ended);
    Some(Played { directory, exchange, handler: ended, report, telemetry })
}

/// Loss on each line for itself, bursts, and one hole on both.
const ROUGH: [&str; 12] = [
    "--loss-a",
    "20000",
    "--loss-b",
    "20000",
    "--burst-every-ms",
    "1000",
    "--burst-ms",
    "50",
    "--burst-factor",
    "10",
    "--plan",
    "3s lose 500",
];

fn rough(more: &[&'static str]) -> Vec<&'static str> {
    [&ROUGH[..], more].concat()
}

/// 2 % lost on each line and 500 messages on both: nothing is missing at any time for longer than an answer takes.
fn requests_fill_every_hole(test: &str, vdev: &[&str]) {
    let _alone = alone();
    let what = format!("{REQUESTS}{SNAPSHOT}{OBSERVE}");
    let Some(played) = play(test, vdev, &what, 250_000, &rough(&SERVES)) else { return };
    assert_eq!(played.handler.code, Some(0), "{}", played.all());
    played.same_books(test);
    let report = &played.report;
    assert_eq!(
        (report.count("stream_gaps"), report.count("stream_lost_messages")),
        (0, 0),
        "{}",
        played.all()
    );
    assert!(report.count("recovery_holes_asked") > 0, "{}", played.all());
    assert!(report.count("recovery_answer_messages") >= 500, "{}", played.all());
    assert_eq!(report.state(), "live", "{}", played.all());
    let recoveries = report.recoveries();
    assert!(recoveries.iter().any(|(by, took)| by == "requests" && *took > 0), "{recoveries:?}");
    if !vdev.is_empty() {
        for field in ["\"state\":\"live\"", "\"took_max_us\":", "\"recovery_holes_filled\":"] {
            assert!(played.telemetry.replace(' ', "").contains(field), "{field}: {}", played.telemetry);
        }
    }
    let longest = recoveries.iter().map(|(_, took)| took).max();
    assert!(played.handler.stdout.contains("time to recover: p50"), "{}", played.handler.stdout);
    say(&format!("{test}: {} recoveries shown, longest {} us", recoveries.len(), longest.unwrap()));
}

#[test]
fn live_recovery_by_requests_sockets() {
    requests_fill_every_hole("live_recovery_by_requests_sockets", SOCKETS);
}

#[test]
fn live_recovery_by_requests_af_packet() {
    requests_fill_every_hole("live_recovery_by_requests_af_packet", AF_PACKET);
}

/// The request servers are dead: what both lines lost is a gap, and the snapshot mends it while the feed runs.
#[test]
fn live_recovery_by_snapshot() {
    let test = "live_recovery_by_snapshot";
    let _alone = alone();
    let asks_soon = REQUESTS.replace("timeout_ms = 100\nretries = 20", "timeout_ms = 20\nretries = 2");
    let what = format!("{asks_soon}{SNAPSHOT}{OBSERVE}");
    let more = ["--plan", "2s lose 500", "--glimpse", "31013"];
    let Some(played) = play(test, SOCKETS, &what, 200_000, &more) else { return };
    assert_eq!(played.handler.code, Some(0), "{}", played.all());
    played.same_books(test);
    let report = &played.report;
    assert_eq!(report.count("stream_lost_messages"), 500, "{}", played.all());
    assert!(report.count("recovery_snapshots_loaded") > 0, "{}", played.all());
    assert_eq!(report.state(), "live", "{}", played.all());
    let recoveries = report.recoveries();
    let by_snapshot = recoveries.iter().find(|(by, _)| by == "snapshot");
    let (_, took) = by_snapshot.unwrap_or_else(|| panic!("{recoveries:?}\n{}", played.all()));
    say(&format!("{test}: a snapshot mended the books after {took} us"));
}

/// Nobody has what was lost: the books stay stale, no order leaves any more, and log, report and exit code say so.
#[test]
fn live_recovery_by_nobody() {
    let test = "live_recovery_by_nobody";
    let _alone = alone();
    let asks_soon = REQUESTS.replace("timeout_ms = 100\nretries = 20", "timeout_ms = 20\nretries = 2");
    let what = format!("{asks_soon}{SNAPSHOT}{}", trade(&symbols(SYMBOLS), true));
    let Some(played) = play(test, SOCKETS, &what, 200_000, &["--plan", "3s lose 500"]) else { return };
    assert_eq!(played.handler.code, Some(1), "{}", played.all());
    assert_eq!(played.report.state(), "STALE", "{}", played.all());
    assert!(played.handler.stdout.contains("STALE: they may be wrong"), "{}", played.handler.stdout);
    assert!(!played.log("books stay stale").is_empty(), "{}", played.handler.stderr);
    assert!(!played.log("recovery.snapshot.server").is_empty(), "{}", played.handler.stderr);

    // Second by second: orders left before, and once it was stale no more did, although the feed went on.
    let seconds: Vec<(u64, u64, bool)> = played
        .log("messages_per_s")
        .iter()
        .map(|line| (field(line, "messages_per_s"), field(line, "orders"), field(line, "stale") > 0))
        .collect();
    let stale = seconds.iter().position(|(messages, _, stale)| *stale && *messages > 0);
    let after = &seconds[stale.unwrap_or_else(|| panic!("{seconds:?}\n{}", played.all()))..];
    assert!(after[0].1 > 0, "no order ever left: {seconds:?}");
    // Cancels of what was open may still leave in the first of them.
    let on: Vec<_> = after.iter().skip(1).filter(|(messages, ..)| *messages > 0).collect();
    assert!(on.len() >= 2, "the feed did not go on: {seconds:?}");
    assert!(on.iter().all(|(_, orders, stale)| *stale && *orders == on[0].1), "{seconds:?}");
}

/// The number after `name=` in a line of the log.
pub(crate) fn field(line: &str, name: &str) -> u64 {
    let plain: String = strip_colours(line);
    let (_, rest) = plain.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name}: {line}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no {name}: {line}"))
}

fn strip_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line.chars();
    while let Some(char) = rest.next() {
        if char == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(char);
        }
    }
    plain
}

/// The snapshot server does not know us at first: the log names what to check, and the books are mended once it does.
#[test]
fn live_recovery_wrong_password() {
    let test = "live_recovery_wrong_password";
    let _alone = alone();
    let what = format!("{SNAPSHOT}{OBSERVE}");
    let more = ["--plan", "0s glimpse refuse-login; 1s lose 500; 4s glimpse ok", "--glimpse", "31013"];
    let Some(played) = play(test, SOCKETS, &what, 200_000, &more) else { return };
    assert_eq!(played.handler.code, Some(0), "{}", played.all());
    played.same_books(test);
    assert!(played.report.count("recovery_failed_login_rejected") > 0, "{}", played.all());
    assert!(
        !played.log("check recovery.snapshot.username and its password").is_empty(),
        "{}",
        played.handler.stderr
    );
    assert!(!played.all().contains("secret"), "{}", played.all());
}

/// The exchange begins a new session while books are stale: the new one is taken whole.
#[test]
fn live_recovery_session_roll() {
    let test = "live_recovery_session_roll";
    let _alone = alone();
    let what = format!("{REQUESTS}{SNAPSHOT}{OBSERVE}");
    let plan = "1s requests silent; 1s glimpse refuse-login; 2s lose 500; 4s roll; 5s requests ok; 5s glimpse ok; 6s lose 500";
    let more = ["--plan", plan, SERVES[0], SERVES[1], SERVES[2], SERVES[3]];
    let Some(played) = play(test, SOCKETS, &what, 200_000, &more) else { return };
    assert_eq!(played.handler.code, Some(0), "{}", played.all());
    played.same_books(test);
    assert_eq!(played.report.count("stream_sessions"), 2, "{}", played.all());
    assert_eq!(played.report.state(), "live", "{}", played.all());
    let recoveries = played.report.recoveries();
    assert!(recoveries.iter().any(|(by, _)| by == "new session"), "{recoveries:?}\n{}", played.all());
}
