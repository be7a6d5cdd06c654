//! Peers that lie, flood, or never come to an end, against the program as a process, in a network of its own.
//! The feed is the exchange's; the peers are of the test. Whatever they do: the memory of the process stays what it was, its log
//! says what is wrong and does not flood, its books are the exchange's or flagged, and its exit code says which.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::place::{alone, is_root, missing, skip, symbols, trade};
use crate::programs::{Ended, assert_same_books, exchange, must, orders, say, wirebook};
use crate::recovery::field;
use crate::report::Report;
use crate::running::Running;

mod feed;
mod network;
mod peers;
mod requests;
mod snapshots;

use network::{GROUPS, HANDLER, Network, VENUE};

const SYMBOLS: u32 = 4;

/// Messages of the feed in a second.
const RATE: u32 = 5_000;

/// What the process may grow by, KiB: some buffers that were reserved at the start are touched later. The peers that flood
/// send hundreds of times as much.
const GROWTH: u64 = 8 << 10;

/// Lines of log that a second may bring: 20 are recovery's own limit, and some are the program's.
const LINES: u64 = 32;

/// The exchange's own request server, and its snapshot server.
const HONEST: [&str; 2] = ["10.0.0.1:31011", "10.0.0.1:31013"];

fn requests_from(server: &str) -> String {
    format!("[recovery.requests]\nservers = [\"{server}\"]\ntimeout_ms = 50\nretries = 4\n")
}

fn snapshot_from(server: &str) -> String {
    format!(
        "[recovery.snapshot]\nserver = \"{server}\"\nusername = \"WIRE01\"\npassword = \"secret\"\n\
         login_timeout_ms = 500\nsilence_timeout_ms = 1000\ntotal_timeout_s = 1\nmax_messages = 100000\n\
         back_off_ms = 50\nback_off_max_ms = 200\n"
    )
}

/// A configuration that trades with the exchange, and recovers as `recovery` says.
fn config(directory: &Path, recovery: &str) -> PathBuf {
    let decide = trade(&symbols(SYMBOLS), true);
    let [a, b] = GROUPS.map(|group| format!("group = \"{}\"\nport = {}", group.ip(), group.port()));
    let text = format!(
        "[port]\nname = \"0\"\n[feed]\nreorder_packets = 8192\nreorder_wait_us = 20000\n\
         [feed.line.a]\n{a}\n[feed.line.b]\n{b}\n\
         [recovery]\nhole_wait_ms = 2000\nbuffer_mib = 4\nhandover_kib = 1024\n{recovery}\
         [book]\nmax_locates = 64\nmax_orders = 50000\nmax_levels = 50000\n[latency]\nprint_every_s = 1\n{decide}"
    );
    let path = directory.join("feed.toml");
    fs::write(&path, text).unwrap();
    must(wirebook().arg("check-config").arg(&path));
    path
}

/// A run that is over.
struct Played {
    directory: tempfile::TempDir,
    exchange: String,
    handler: Ended,
    report: Report,
    /// Memory of the handler when it was ready, and the most until the feed's end, KiB.
    memory: [u64; 2],
    /// Seconds that the handler ran for.
    seconds: u64,
}

/// Plays six seconds of feed, with the exchange's options `more`, to a handler that recovers as `recovery` says.
/// `meanwhile` begins when the first messages have come, and what it returns lasts as long as the exchange.
fn play<T>(network: &Network, recovery: &str, more: &[&str], meanwhile: impl FnOnce() -> T) -> Played {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let config = config(directory.path(), recovery);
    let mut program = wirebook();
    program.args(["--", "--nic", &format!("udp:{HANDLER}"), "--for", "60", "--stop-when-idle", "2"]);
    program.arg("--config").arg(&config).arg("--dump").arg(file("live.csv"));
    program.arg("--report").arg(file("live.toml"));
    // It may have to be built first.
    let mut server = exchange();
    server
        .args(["serve", "--interface-ip", &VENUE.to_string(), "--gateway", "31001"])
        .args(["--requests", "31011", "--glimpse", "31013"])
        .args(["--rate", &RATE.to_string(), "--coalesce-us", "1000", "--symbols", &SYMBOLS.to_string()])
        .args(["--messages", &(6 * RATE).to_string(), "--linger-ms", "1500", "--dump"])
        .arg(file("exchange.csv"))
        .args(more);
    let mut handler = Running::start(&mut network.0.enter(&program));
    handler.wait_for("messages_per_s");
    let before = memory(&handler, "VmRSS");

    let mut server = Running::start(&mut network.0.enter(&server));
    let heard = |line: &str| line.contains("messages_per_s") && field(line, "messages_per_s") > 0;
    handler.wait_until("feed", |handler| handler.stderr().lines().any(heard));
    let lasts = meanwhile();
    while server.is_running() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = memory(&handler, "VmHWM");
    drop(lasts);
    let exchange = server.end();
    assert_eq!(exchange.code, Some(0), "{}{}", exchange.stdout, exchange.stderr);
    let handler = handler.end();
    let report = Report::new(&file("live.toml"), &handler);
    let seconds = report.seconds();
    Played { directory, exchange: exchange.stdout, handler, report, memory: [before, after], seconds }
}

/// A line of the kernel's account of the process, KiB.
fn memory(handler: &Running, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", handler.pid())).unwrap();
    // A process that has ended has no memory.
    let line = status.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("it has ended\n{}{}", handler.stdout(), handler.stderr()));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

impl Played {
    fn all(&self) -> String {
        format!("{}\n{}", self.exchange, self.report.text())
    }

    /// What must hold whatever the peers did.
    fn is_sound(&self, test: &str) {
        let [before, after] = self.memory;
        let lines = self.handler.stderr.lines().count() as u64;
        say(&format!(
            "{test}: {before} KiB before, {after} KiB at most; {lines} lines of log in {} s",
            self.seconds
        ));
        assert!(after < before + GROWTH, "{before} KiB before, {after} KiB at most\n{}", self.all());
        assert!(lines < LINES * self.seconds, "{lines} lines in {} s\n{}", self.seconds, self.all());
        assert!(!self.all().contains("secret"), "{}", self.all());
        assert!(!self.handler.stderr.contains("panicked"), "{}", self.all());
    }

    /// Its log has `text`.
    fn says(&self, text: &str) {
        assert!(self.handler.stderr.contains(text), "no '{text}'\n{}", self.all());
    }

    /// The counter `name` is not 0.
    fn counted(&self, name: &str) {
        assert!(self.report.count(name) > 0, "no {name}\n{}", self.all());
    }

    /// Its books are the exchange's in the end, and it says so.
    fn is_right(&self, test: &str) {
        assert_eq!((self.handler.code, self.report.state()), (Some(0), "live"), "{}", self.all());
        let [ours, theirs] = ["live.csv", "exchange.csv"].map(|name| self.directory.path().join(name));
        assert_same_books(test, &ours, &orders(&theirs), 300);
    }

    /// Its books stayed stale, it says so, and no order left any more although the feed went on.
    fn is_flagged(&self) {
        assert_eq!((self.handler.code, self.report.state()), (Some(1), "STALE"), "{}", self.all());
        assert!(self.handler.stdout.contains("STALE: they may be wrong"), "{}", self.all());
        let seconds: Vec<(u64, u64, bool)> = (self.handler.stderr.lines())
            .filter(|line| line.contains("messages_per_s"))
            .map(|line| {
                let live = field(line, "live") > 0;
                (field(line, "messages_per_s"), field(line, "orders"), live)
            })
            .collect();
        let flagged = seconds.iter().rposition(|(messages, _, live)| *messages > 0 && *live);
        let after = &seconds[flagged.map_or(0, |last| last + 1)..];
        // Cancels of what was open may still leave in the first of them.
        let on: Vec<_> = after.iter().skip(1).filter(|(messages, ..)| *messages > 0).collect();
        assert!(on.len() >= 2, "the feed did not go on: {seconds:?}\n{}", self.all());
        assert!(on[0].1 > 0, "no order ever left: {seconds:?}\n{}", self.all());
        assert!(on.iter().all(|(_, orders, _)| *orders == on[0].1), "{seconds:?}\n{}", self.all());
    }
}

/// The tests of this module: one at a time, like all others here.
fn hostile(test: &str, run: impl FnOnce(&Network, &str)) {
    let _alone = alone();
    if !is_root() {
        return skip(test, "needs root, for network namespaces");
    }
    if let Some(why) = missing(&["ip", "unshare", "nsenter"]) {
        return skip(test, &why);
    }
    run(&Network::new(), test);
}
