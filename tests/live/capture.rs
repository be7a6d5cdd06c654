//! `dpdk-dumpcap` captures from the running program. It is a second process that shares the first one's hugepages, so
//! this needs some: they are reserved and mounted for the test only.

use std::fs;
use std::process::Command;

use crate::place::{Namespace, OBSERVE, Prefix, alone, config, is_root, lcores, missing, no_driver, skip};
use crate::programs::{exchange, must, run, wirebook};
use crate::report::Report;
use crate::running::{PATIENCE, Running};

/// Pages of 2 MiB that the program needs.
const PAGES: u64 = 128;
const RESERVED: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
const FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

fn number(path: &str) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Hugepages beyond those that others need; given back at the end.
struct Hugepages(u64);

impl Hugepages {
    fn reserve() -> Result<Self, String> {
        let before = number(RESERVED);
        let this = Self(before);
        let wanted = before + PAGES.saturating_sub(number(FREE));
        let reserve = || fs::write(RESERVED, wanted.to_string()).map_err(|why| format!("{RESERVED}: {why}"));
        reserve()?;
        if number(FREE) < PAGES {
            // Memory in pieces, as after a build: what tools/hugepages.sh would advise.
            let _ = fs::write("/proc/sys/vm/drop_caches", "1");
            let _ = fs::write("/proc/sys/vm/compact_memory", "1");
            reserve()?;
        }
        let free = number(FREE);
        if free < PAGES {
            return Err(format!("{free} of {PAGES} hugepages could be had"));
        }
        Ok(this)
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        // What cannot be given back stays reserved, which harms nobody but memory.
        let _ = fs::write(RESERVED, self.0.to_string());
    }
}

#[test]
fn live_dumpcap() {
    let test = "live_dumpcap";
    let _alone = alone();
    if !is_root() {
        return skip(test, "needs root, for hugepages");
    }
    let tools = missing(&["dpdk-dumpcap", "tshark", "unshare", "nsenter"]);
    if let Some(why) = tools.or_else(|| no_driver("net_pcap0")) {
        return skip(test, &why);
    }
    let _pages = match Hugepages::reserve() {
        Ok(pages) => pages,
        Err(why) => return skip(test, &why),
    };
    let space = Namespace::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(file("huge")).unwrap();
    must(space.run("mount").args(["-t", "hugetlbfs", "-o", "pagesize=2M", "none", &file("huge")]));

    // A short day, played again and again: what was heard before is a duplicate.
    let day = ["pcap", "--messages", "3000", "--symbols", "4", "--coalesce-us", "1000"];
    must(exchange().args(day).args(["--out", &file("day.pcap")]));
    let config = config(directory.path(), "net_pcap0", None, OBSERVE);
    let prefix = Prefix::new();
    let prefix_argument = format!("--file-prefix={}", prefix.0);
    let mut program = wirebook();
    program
        .args([&lcores(), "--no-pci", "-m", "192", "--huge-dir", &file("huge"), &prefix_argument])
        .arg(format!("--vdev=net_pcap0,rx_pcap={},tx_pcap=/dev/null,infinite_rx=1", file("day.pcap")))
        .arg("--")
        .args(["--for", "100", "--report", &file("report.toml"), "--config"])
        .arg(&config);
    let mut handler = Running::start(&mut space.enter(&program));
    handler.wait_for("messages_per_s");

    let mut dumpcap = Command::new("dpdk-dumpcap");
    dumpcap.args([&prefix_argument, "-i", "net_pcap0", "-c", "200", "-w", &file("captured.pcapng")]);
    let ended = run(&mut space.enter(&dumpcap), PATIENCE);
    assert_eq!(ended.code, Some(0), "{}{}\n{}", ended.stdout, ended.stderr, handler.stderr());
    assert!(handler.is_running(), "{}", handler.stderr());

    let mut tshark = Command::new("tshark");
    tshark.args(["-r", &file("captured.pcapng"), "-n", "-d", "udp.port==26400,moldudp64"]);
    tshark.args(["-Y", "moldudp64", "-T", "fields", "-e", "ip.dst", "-e", "moldudp64.session"]);
    let frames = must(&mut tshark);
    assert!(frames.lines().count() >= 200, "{} frames", frames.lines().count());
    for frame in frames.lines() {
        assert!(["239.1.1.1\tWIREBOOK01", "239.1.1.2\tWIREBOOK01"].contains(&frame), "{frame}");
    }

    handler.signal("TERM");
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report = Report::new(directory.path().join("report.toml").as_path(), &ended);
    assert_eq!(report.count("stream_messages"), 3_000, "{}", report.text());
}
