//! Two DPDK programs over shared memory: the handler, and the exchange in a process of its own. Neither needs root or
//! hugepages. While the feed runs, the handler is asked, armed and disarmed over telemetry.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use wirebook::config::Config;
use wirebook::eal::Eal;
use wirebook::eal::cpus::CpuSet;
use wirebook::nic::dpdk::{RxHandle, TxHandle};
use wirebook::pmd::{Port, PortConfig};
use wirebook::stats::clock::{CALIBRATION, Clock};
use wirebook::venue::{Setup, Venue, exchange_config};

use crate::place::{Prefix, alone, config, lcores, missing, no_driver, skip, symbols, trade};
use crate::programs::{assert_same_books, orders, read, say, wirebook};
use crate::report::Report;
use crate::running::{PATIENCE, Running};
use crate::telemetry::Telemetry;

const SYMBOLS: u16 = 12;

/// Set in the exchange's process, which is this test program again: the directory that both know.
const VENUE: &str = "WIREBOOK_TEST_VENUE";

#[test]
fn live_memif_and_telemetry() {
    if let Some(directory) = env::var_os(VENUE) {
        return venue(Path::new(&directory));
    }
    let _alone = alone();
    if let Some(why) = no_driver("net_memif0") {
        return skip("live_memif_and_telemetry", &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let symbols = symbols(SYMBOLS.into());
    let config = config(directory.path(), "net_memif0", None, &trade(&symbols, false));

    let mut venue = Running::start(
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "memif::live_memif_and_telemetry", "--nocapture"])
            .env(VENUE, directory.path()),
    );
    // The client's side connects when it starts; where nobody listens by then, the link may never come up.
    venue.wait_until("port", |_| file("listening").exists());
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

    fs::write(file("close"), "").unwrap();
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    // Not before: the driver takes the shared memory from under a loop whose other side leaves.
    venue.wait_until("legacy", |_| file("positions").exists());
    fs::write(file("leave"), "").unwrap();
    let venue = venue.end();
    assert_eq!(venue.code, Some(0), "{}{}", venue.stdout, venue.stderr);
    let report = Report::new(&file("live.toml"), &ended);
    assert_same_books("memif", &file("live.csv"), &orders(&file("exchange.csv")), 500);
    assert_eq!(report.count("stream_gaps"), 0, "{}", report.text());
    assert!(report.count("line_b_first") > 0, "{}", report.text());
    assert_eq!(report.count("session_enters"), entered, "{}", report.text());
    let positions = report.positions();
    let ours: String = positions.iter().map(|(symbol, shares)| format!("{symbol} {shares}\n")).collect();
    assert!(!ours.is_empty(), "{}", report.text());
    assert_eq!(ours, read(&file("positions")));
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

/// The exchange's process: a venue on the other side of the shared memory, until the files `close`
/// and `leave` are there.
fn venue(directory: &Path) {
    let file = |name: &str| directory.join(name);
    let config = Config::load(&file("feed.toml")).unwrap();
    // Both on the control thread's CPU: the other one belongs to the handler's loop.
    let cpu = CpuSet::allowed().iter().next().unwrap_or(0);
    let lcores = format!("--lcores=0@{cpu},1@{cpu}");
    let memory = ["--no-pci", "--no-huge", "-m", "256", "--no-shconf", "--no-telemetry"];
    let eal = Eal::init(&[&[lcores.as_str(), &vdev(directory, "server")][..], &memory[..]].concat()).unwrap();
    let port = Port::probe(&eal, "net_memif0").unwrap().start(&PortConfig::default()).unwrap();
    fs::write(file("listening"), "").unwrap();
    port.wait_for_link(PATIENCE).unwrap();
    let clock = Clock::calibrate(CALIBRATION).unwrap();
    let venue = Venue::new(&Setup::new(
        &config,
        exchange_config(20_000, SYMBOLS, 11, 5_000),
        [2, 0, 0, 0, 0, 2],
        eal.stop_flag().clone(),
    ))
    .unwrap();
    let closing = venue.closing();
    let (rx, tx) = (port.rx_handle(0).unwrap(), port.tx_handle(0).unwrap());
    let (send, legacy) = mpsc::sync_channel(1);
    eal.launch(eal.worker_lcores()[0], move || {
        let _ = send.send(venue.run(&mut RxHandle::attach(rx), &mut TxHandle::attach(tx), &clock));
    })
    .unwrap();
    let wait_for = |name: &str| {
        let began = std::time::Instant::now();
        while !file(name).exists() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for("close");
    closing.set();
    eal.wait().unwrap();
    let legacy = legacy.recv().unwrap();
    fs::write(file("exchange.csv"), &legacy.books).unwrap();
    let positions: String =
        legacy.positions.iter().map(|(symbol, shares)| format!("{symbol} {shares}\n")).collect();
    fs::write(file("positions"), positions).unwrap();
    wait_for("leave");
}
