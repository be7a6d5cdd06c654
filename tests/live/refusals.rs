//! How it says no, and how it stops.

use std::process::Command;

use crate::place::{OBSERVE, Prefix, alone, config, lcores, no_driver, private_eal, skip};
use crate::programs::{Ended, exchange, must, read, run, wirebook};
use crate::report::Report;
use crate::running::{PATIENCE, Running};

/// A refusal: one line that begins with the program's name, nothing of DPDK's, and the exit code for its kind.
fn assert_refused(ended: &Ended, code: i32, says: &[&str]) {
    let Ended { stderr, .. } = ended;
    assert_eq!(ended.code, Some(code), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("wirebook: "), "{stderr}");
    for text in says {
        assert!(stderr.contains(text), "no '{text}' in: {stderr}");
    }
    for dpdk in ["EAL:", "ETHDEV:", "MEMPOOL:"] {
        assert!(!stderr.contains(dpdk), "{stderr}");
    }
    assert_eq!(ended.stdout, "", "{stderr}");
}

#[test]
fn live_refusals() {
    let _alone = alone();
    if let Some(why) = no_driver("net_ring0") {
        return skip("live_refusals", &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let right = config(directory.path(), "net_ring0", None, OBSERVE);
    let right = right.to_str().unwrap();
    let refused = |eal: &str, app: &str, code: i32, says: &[&str]| {
        let ended =
            run(wirebook().args(eal.split_whitespace()).arg("--").args(app.split_whitespace()), PATIENCE);
        assert_refused(&ended, code, says);
    };
    let app = format!("--log error --for 30 --config {right}");
    let lcores = lcores();
    let eal = format!("{lcores} --no-pci --no-huge -m 128 --no-shconf --no-telemetry");

    // The machine: 3.
    refused(&format!("{eal} --vdev=net_nosuch0"), &app, 3, &["net_nosuch", "apt install"]);
    refused("-l 0,4000 --no-pci --no-huge -m 128 --vdev=net_ring0", &app, 3, &["CPU 4000"]);
    refused(
        "-l 0 --no-pci --no-huge -m 128 --no-shconf --no-telemetry --vdev=net_ring0",
        &app,
        3,
        &["one lcore", "-l 0-1"],
    );
    refused(&format!("{lcores} --no-pci --in-memory -m 99999999 --vdev=net_ring0"), &app, 3, &["hugepages"]);
    refused(&format!("{eal} --vdev=net_ring3"), &app, 3, &["no port 'net_ring0'", "net_ring3"]);
    refused(&eal, &app, 3, &["no port 'net_ring0'"]);

    // What the user wrote: 2.
    refused(&format!("{eal} --vdev=net_ring0"), "--log error", 2, &["--config"]);
    refused(&format!("{eal} --vdev=net_ring0"), "--config /nowhere/feed.toml", 2, &["/nowhere/feed.toml"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let worker = config(elsewhere.path(), "net_ring0", None, &format!("{OBSERVE}[lcores]\nworker = 7\n"));
    let app_worker = format!("--log error --for 30 --config {}", worker.display());
    refused(&format!("{eal} --vdev=net_ring0"), &app_worker, 2, &["lcores.worker = 7"]);
    let no_dashes = run(wirebook().args(eal.split_whitespace()), PATIENCE);
    assert_eq!(no_dashes.code, Some(2));
    assert!(no_dashes.stderr.contains("there is no `--`"), "{}", no_dashes.stderr);

    // Two primaries of one prefix: the second is refused, the first does not notice.
    let prefix = Prefix::new();
    let shared = format!(
        "{lcores} --no-pci --no-huge -m 128 --no-telemetry --file-prefix={} --vdev=net_ring0",
        prefix.0
    );
    let mut first = Running::start(
        wirebook().args(shared.split_whitespace()).arg("--").args(["--for", "100", "--config", right]),
    );
    first.wait_for("polling");
    refused(&shared, &app, 3, &["in use by process", &first.pid().to_string(), "--file-prefix"]);
    assert!(first.is_running());
    first.signal("TERM");
    assert_eq!(first.end().code, Some(0));
}

/// Both signals end it cleanly: with the last report, and with the exit code that the books deserve.
#[test]
fn live_signals() {
    let _alone = alone();
    if let Some(why) = no_driver("net_pcap0") {
        return skip("live_signals", &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let packed = |name: &str, options: &[&str]| {
        must(
            exchange()
                .args(["pcap", "--messages", "20000", "--symbols", "4", "--out", &file(name)])
                .args(options),
        );
    };
    packed("whole.pcap", &[]);
    packed("torn.pcap", &["--both", "20000"]);
    let config = config(directory.path(), "net_pcap0", None, OBSERVE);
    let start = |input: &str, dump: &str, until: &str| {
        let mut running = Running::start(
            wirebook()
                .args(private_eal())
                .arg(format!("--vdev=net_pcap0,rx_pcap={},tx_pcap=/dev/null", file(input)))
                .arg("--")
                .args(["--for", "100", "--dump", &file(dump), "--report", &file("report.toml"), "--config"])
                .arg(&config),
        );
        running.wait_for(until);
        running
    };

    // A hole is waited for before it makes books stale.
    for (signal, input, until, code) in [
        ("INT", "whole.pcap", "live=4", 0),
        ("TERM", "whole.pcap", "live=4", 0),
        ("TERM", "torn.pcap", "stale=4", 1),
    ] {
        let running = start(input, "books.csv", until);
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, Some(code), "SIG{signal}, {input}: {}{}", ended.stdout, ended.stderr);
        let report = Report::new(&directory.path().join("report.toml"), &ended);
        assert!(report.text().contains("stopped"), "{}", report.text());
        assert!(report.count("stream_messages") > 10_000, "{}", report.text());
        assert!(read(&directory.path().join("books.csv")).lines().count() > 100);
    }

    // It hangs in its last act, for a pipe that nobody reads: a second signal ends it all the same.
    must(Command::new("mkfifo").arg(file("pipe")));
    let mut running = start("whole.pcap", "pipe", "live=4");
    running.signal("INT");
    running.wait_until("report", |running| running.stdout().contains("all live"));
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(128 + 15), "{}", ended.stderr);
}
