//! Two DPDK programs over shared memory: the handler, and the exchange in a process of its own. Neither needs root or
//! hugepages. While the feed runs, the handler is asked, armed and disarmed over telemetry.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use wirebook::host::cpus::CpuSet;

use crate::place::{Prefix, alone, config, lcores, missing, no_driver, skip, symbols, trade};
use crate::programs::{assert_same_books, orders, say, wirebook};
use crate::report::Report;
use crate::running::Running;
use crate::telemetry::Telemetry;

const SYMBOLS: u16 = 12;

#[test]
fn live_memif_and_telemetry() {
    let _alone = alone();
    if let Some(why) = no_driver("net_memif0") {
        return skip("live_memif_and_telemetry", &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let symbols = symbols(SYMBOLS.into());
    let config = config(directory.path(), "net_memif0", None, &trade(&symbols, false));

    // Both of its lcores on the control thread's CPU: the other one belongs to the handler's loop.
    let cpu = CpuSet::allowed().iter().next().unwrap_or(0);
    let mut venue = Running::start(
        wirebook()
            .args(["exchange", &format!("--lcores=0@{cpu},1@{cpu}"), &vdev(directory.path(), "server")])
            .args(["--no-pci", "--no-huge", "-m", "256", "--no-shconf", "--no-telemetry", "--"])
            .args(["--rate", "20000", "--symbols", &SYMBOLS.to_string(), "--seed", "11", "--loss", "5000"])
            .args(["--port", "net_memif0", "--config"])
            .arg(&config)
            .arg("--dump")
            .arg(file("exchange.csv")),
    );
    // The client's side connects when it starts; where nobody listens by then, the link may never come up.
    venue.wait_for("waiting for the link");
    let prefix = Prefix::new();
    let mut handler = Running::start(
        wirebook()
            .args([&lcores(), "--no-pci", "--no-huge", "-m", "256", &format!("--file-prefix={}", prefix.0)])
            .arg(vdev(directory.path(), "client"))
            .arg("--")
            .args(["--for", "100", "--stop-when-idle", "3", "--config"])
            .arg(&config)
            .arg("--dump")
            .arg(file("live.csv"))
            .arg("--report")
            .arg(file("live.toml")),
    );
    handler.wait_for("polling");
    let mut telemetry = Telemetry::connect(&prefix.directory());

    // Disarmed: it would like to trade, and does not.
    let counters = "/wirebook/counters";
    let mut wait_for = |what: &str, telemetry: &mut Telemetry, least: u64| {
        handler.wait_until(what, |_| {
            assert!(venue.is_running(), "the exchange ended: {}{}", venue.stdout(), venue.stderr());
            telemetry.number(counters, what) >= least
        });
    };
    wait_for("stream_messages", &mut telemetry, 20_000);
    wait_for("refused_disarmed", &mut telemetry, 10);
    assert_eq!(telemetry.number(counters, "session_enters"), 0);

    assert_eq!(telemetry.ask("/ethdev/list").replace(' ', ""), r#"{"/ethdev/list":[0]}"#);
    let books = telemetry.ask("/wirebook/books");
    for symbol in &symbols {
        assert!(books.contains(&format!("\"{symbol}\":")), "{symbol}: {books}");
    }
    let book = telemetry.ask(&format!("/wirebook/book,{}", symbols[3]));
    for field in [&symbols[3], "locate", "state", "Live", "trading", "position", "bid_0", "ask_0"] {
        assert!(book.contains(field), "{field}: {book}");
    }
    assert!(telemetry.ask("/wirebook/book,NOSUCH").contains("no such symbol"));
    // A table is made every second.
    std::thread::sleep(Duration::from_secs(2));
    assert!(telemetry.number("/wirebook/latency", "decode_count") > 0);

    // Armed, it trades; disarmed again, nothing more leaves.
    assert_eq!(telemetry.number("/wirebook/arm", "armed"), 1);
    for happened in ["session_enters", "orders_accepted", "orders_executed"] {
        wait_for(happened, &mut telemetry, 5);
    }
    assert_eq!(telemetry.number("/wirebook/disarm", "armed"), 0);
    // Counters are published some twenty times a second.
    std::thread::sleep(Duration::from_millis(500));
    let entered = telemetry.number(counters, "session_enters");
    let refused = telemetry.number(counters, "refused_disarmed");
    wait_for("refused_disarmed", &mut telemetry, refused + 10);
    assert_eq!(telemetry.number(counters, "session_enters"), entered);
    ask_by_script(&prefix, &symbols[0]);

    venue.signal("TERM");
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    // It has waited for the handler: the driver takes the shared memory from under a loop whose other side leaves.
    let venue = venue.end();
    assert_eq!(venue.code, Some(0), "{}{}", venue.stdout, venue.stderr);
    assert!(venue.stdout.contains(" a second"), "{}", venue.stdout);
    let report = Report::new(&file("live.toml"), &ended);
    assert_same_books("memif", &file("live.csv"), &orders(&file("exchange.csv")), 500);
    assert_eq!(report.count("stream_gaps"), 0, "{}", report.text());
    assert!(report.count("line_b_first") > 0, "{}", report.text());
    assert_eq!(report.count("session_enters"), entered, "{}", report.text());
    let positions = report.positions();
    let ours: Vec<String> =
        positions.iter().map(|(symbol, shares)| format!("  position {symbol} {shares}")).collect();
    assert!(!ours.is_empty(), "{}", report.text());
    let theirs: Vec<&str> = venue.stdout.lines().filter(|line| line.starts_with("  position ")).collect();
    assert_eq!(ours, theirs);
}

fn vdev(directory: &Path, role: &str) -> String {
    let socket = directory.join("memif.sock");
    format!("--vdev=net_memif0,role={role},id=0,socket={},socket-abstract=no", socket.display())
}

/// The tool that operators use gets the same answers.
fn ask_by_script(prefix: &Prefix, symbol: &str) {
    if let Some(why) = missing(&["dpdk-telemetry.py"]) {
        return say(&format!("SKIPPED dpdk-telemetry.py in live_memif_and_telemetry: {why}"));
    }
    let commands = prefix.directory().with_extension("commands");
    fs::write(&commands, format!("/wirebook/books\n/wirebook/book,{symbol}\nquit\n")).unwrap();
    let output = Command::new("dpdk-telemetry.py")
        .args(["-f", &prefix.0])
        .stdin(fs::File::open(&commands).unwrap())
        .output();
    fs::remove_file(&commands).unwrap();
    let answers = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(answers.contains("/wirebook/books") && answers.contains("bid_0"), "{answers}");
}
