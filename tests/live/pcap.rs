//! A day of ITCH, packed by the exchange into captures of lines A and B, through the capture driver into the whole
//! program. The books must be those of the exchange, and those of a replay.

use std::fs::File;
use std::path::{Path, PathBuf};

use wirebook::wire::frame::{parse_arp, parse_igmp};

use crate::place::{OBSERVE, alone, config, no_driver, private_eal, skip, symbols, trade};
use crate::programs::{Ended, assert_same_books, exchange, must, orders, run, wirebook};
use crate::report::Report;
use crate::running::PATIENCE;

const MESSAGES: &str = "400000";
const SYMBOLS: u32 = 24;

const WHEN_IDLE: [&str; 4] = ["--stop-when-idle", "2", "--for", "100"];

/// A day in files.
struct Day {
    directory: tempfile::TempDir,
}

impl Day {
    fn new() -> Self {
        let day = Self { directory: tempfile::tempdir().unwrap() };
        must(
            exchange()
                .args(["stream", "--messages", MESSAGES, "--symbols", &SYMBOLS.to_string()])
                .arg("--out")
                .arg(day.file("day.itch"))
                .arg("--dump")
                .arg(day.file("exchange.csv")),
        );
        day
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Packs the day; what is said about the lines.
    fn pack(&self, options: &[&str]) -> String {
        must(
            exchange()
                .arg("pcap")
                .arg("--from")
                .arg(self.file("day.itch"))
                .arg("--out")
                .arg(self.file("day.pcap"))
                .args(options),
        )
    }

    fn live(&self, config: &Path, until: &[&str]) -> Ended {
        let (input, output) = (self.file("day.pcap"), self.file("orders.pcap"));
        run(
            wirebook()
                .args(private_eal())
                .arg(format!("--vdev=net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display()))
                .arg("--")
                .arg("--config")
                .arg(config)
                .args(until)
                .arg("--dump")
                .arg(self.file("live.csv"))
                .arg("--report")
                .arg(self.file("live.toml")),
            PATIENCE,
        )
    }

    fn replay(&self, config: &Path) -> Ended {
        self.replay_of(config, "day.pcap")
    }

    fn replay_of(&self, config: &Path, capture: &str) -> Ended {
        run(
            wirebook()
                .args(["replay", "--no-progress", "--config"])
                .arg(config)
                .arg("--dump")
                .arg(self.file("replay.csv"))
                .arg(self.file(capture)),
            PATIENCE,
        )
    }

    fn assert_books_agree(&self) {
        let theirs = orders(&self.file("exchange.csv"));
        assert_same_books("live", &self.file("live.csv"), &theirs, 1_000);
        assert_same_books("replay", &self.file("replay.csv"), &theirs, 1_000);
    }
}

/// Holes that the other line fills, late and out of order.
const HOLES: [&str; 14] = [
    "--loss-a",
    "8000",
    "--loss-b",
    "8000",
    "--burst",
    "3",
    "--disjoint",
    "--skew-us",
    "150",
    "--jitter-us",
    "20",
    "--reorder-a",
    "3000",
    "--reorder-b",
];

fn holes<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut options = HOLES.to_vec();
    options.push("3000");
    options.extend_from_slice(more);
    options
}

/// No packet may be missing, and some must have been: else the test shows nothing.
fn assert_holes_filled(report: &Report) {
    for happened in ["stream_held", "stream_holes", "line_a_first", "line_b_first"] {
        assert!(report.count(happened) > 10, "{happened}\n{}", report.text());
    }
    for never in ["stream_gaps", "stream_lost_messages", "desk_undecodable_all_stale", "udp_bad_checksum"] {
        assert_eq!(report.count(never), 0, "{never}\n{}", report.text());
    }
    assert_eq!(report.count("stream_messages").to_string(), MESSAGES);
}

#[test]
fn live_pcap_untagged_with_orders() {
    let _alone = alone();
    if let Some(why) = no_driver("net_pcap0") {
        return skip("live_pcap_untagged_with_orders", &why);
    }
    let day = Day::new();
    day.pack(&holes(&[]));
    let config = config(day.directory.path(), "net_pcap0", None, &trade(&symbols(SYMBOLS), true));
    let ended = day.live(&config, &WHEN_IDLE);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report = Report::new(&day.file("live.toml"), &ended);
    assert_holes_filled(&report);
    assert_eq!(day.replay(&config).code, Some(0));
    day.assert_books_agree();

    // Nobody answers; what was written is what was counted, and the exchange can read every order of it. The rest is what
    // no kernel says for us: reports of groups, announcements of our address.
    let file = File::open(day.file("orders.pcap")).unwrap();
    let mut frames = pcap_file::pcap::PcapReader::new(file).unwrap();
    let (mut written, mut of_control) = (0, 0);
    while let Some(frame) = frames.next_packet() {
        let frame = frame.unwrap();
        if parse_arp(&frame.data).is_some() || parse_igmp(&frame.data).is_ok() {
            of_control += 1;
            continue;
        }
        let datagram = exchange::frames::parse(&frame.data).unwrap();
        assert_eq!((datagram.to.dst_port, datagram.to.src_port), (31_001, 31_000));
        written += 1;
    }
    assert!(written > 0 && of_control > 0, "{}", report.text());
    assert_eq!(of_control, report.count("carry_sent"), "{}", report.text());
    assert_eq!(written + of_control, report.count("tx_frames"), "{}", report.text());
}

#[test]
fn live_pcap_tagged() {
    let _alone = alone();
    if let Some(why) = no_driver("net_pcap0") {
        return skip("live_pcap_tagged", &why);
    }
    let day = Day::new();
    day.pack(&holes(&["--vlan", "101"]));
    let right = config(day.directory.path(), "net_pcap0", Some(101), OBSERVE);
    let ended = day.live(&right, &WHEN_IDLE);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_holes_filled(&Report::new(&day.file("live.toml"), &ended));
    assert_eq!(day.replay(&right).code, Some(0));
    day.assert_books_agree();

    // The same frames belong to nobody who listens in another VLAN.
    let wrong = config(day.directory.path(), "net_pcap0", Some(102), OBSERVE);
    let ended = day.live(&wrong, &["--for", "5"]);
    let report = Report::new(&day.file("live.toml"), &ended);
    assert_eq!(report.count("stream_messages"), 0, "{}", report.text());
    assert_eq!(report.count("route_other_vlan"), report.count("rx_frames"), "{}", report.text());
    assert!(report.text().contains("no instrument was announced"), "{}", report.text());
}

#[test]
fn live_pcap_with_a_hole_that_nobody_fills() {
    let _alone = alone();
    if let Some(why) = no_driver("net_pcap0") {
        return skip("live_pcap_with_a_hole_that_nobody_fills", &why);
    }
    let day = Day::new();
    let said = day.pack(&["--both", "300", "--line-seed", "5"]);
    assert!(!said.contains("lost_on_all_lines               0"), "{said}");
    let config = config(day.directory.path(), "net_pcap0", None, OBSERVE);
    let ended = day.live(&config, &WHEN_IDLE);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let report = Report::new(&day.file("live.toml"), &ended);
    assert!(report.count("stream_gaps") > 0, "{}", report.text());
    let verdict = format!("{SYMBOLS} books, {SYMBOLS} of them STALE");
    assert!(report.text().contains(&verdict), "{}", report.text());
    let replayed = day.replay(&config);
    assert_eq!(replayed.code, Some(1), "{}", replayed.stdout);
    assert!(replayed.stdout.contains("STALE"), "{}", replayed.stdout);
}

/// What the program captured itself, played again, comes to its books and its gaps.
#[test]
fn live_pcap_captured_and_replayed() {
    let _alone = alone();
    if let Some(why) = no_driver("net_pcap0") {
        return skip("live_pcap_captured_and_replayed", &why);
    }
    let day = Day::new();
    day.pack(&holes(&["--both", "300", "--line-seed", "5"]));
    let config = config(day.directory.path(), "net_pcap0", None, OBSERVE);
    let capture = day.file("own.pcapng");
    // Room for the whole day: this machine's disk is not what is tested.
    let capturing = ["--capture", capture.to_str().unwrap(), "--capture-buffer", "256"];
    let ended = day.live(&config, &[&WHEN_IDLE[..], &capturing].concat());
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let report = Report::new(&day.file("live.toml"), &ended);
    assert!(report.count("stream_gaps") > 0, "{}", report.text());
    for row in ["tap_frames", "tap_written"] {
        assert_eq!(report.count(row), report.count("rx_frames"), "{row}\n{}", report.text());
    }
    let replayed = day.replay_of(&config, "own.pcapng");
    assert_eq!(replayed.code, Some(1), "{}{}", replayed.stdout, replayed.stderr);
    let books = |name: &str| std::fs::read_to_string(day.file(name)).unwrap();
    assert!(books("live.csv") == books("replay.csv"), "{}{}", report.text(), replayed.stdout);
    let counted: Vec<_> = (replayed.stdout.lines())
        .filter_map(|line| {
            let (name, value) = line.trim().split_once(' ')?;
            Some((name, value.trim().replace(',', "").parse::<u64>().ok()?))
        })
        .collect();
    for row in ["stream_gaps", "stream_lost_messages", "stream_messages", "line_a_late", "line_b_late"] {
        let again = counted.iter().find(|(name, _)| *name == row).map_or(0, |(_, value)| *value);
        assert_eq!(again, report.count(row), "{row}\n{}{}", report.text(), replayed.stdout);
    }
}
