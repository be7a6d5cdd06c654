//! Several workers in one process: on a port with one queue that they share, on a port for each line, and on kernel
//! sockets. Books are the exchange's, and each book's orders leave from its owner.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use wirebook::host::cpus::CpuSet;

use crate::place::{
    OBSERVE, Prefix, alone, config, is_root, missing, no_driver, private_eal, skip, symbols, trade,
};
use crate::programs::{assert_same_books, exchange, must, orders, run, wirebook};
use crate::report::Report;
use crate::running::Running;
use crate::telemetry::Telemetry;
use crate::veth::Cable;

const SYMBOLS: u16 = 12;

const WORKERS: &str = "[lcores]\nworkers = [1, 2]\n";

/// The main lcore and two to poll; the second of these shares the first CPU with whatever else runs.
fn lcores() -> String {
    let allowed = CpuSet::allowed();
    let mut cpus = allowed.iter();
    let first = cpus.next().unwrap_or(0);
    format!("--lcores=0@{first},1@{},2@{first}", cpus.next().unwrap_or(first))
}

/// Every counter of one worker.
fn of_worker(file: &Path, at: usize, name: &str) -> u64 {
    let table: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let workers = table["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2);
    workers[at][name].as_integer().unwrap().cast_unsigned()
}

/// memif spreads nothing: the first worker receives, the second gets everything from it.
#[test]
fn live_workers_share_a_queue() {
    let test = "live_workers_share_a_queue";
    let _alone = alone();
    if let Some(why) = no_driver("net_memif0") {
        return skip(test, &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let vdev = |role: &str| {
        let socket = directory.path().join("memif.sock");
        format!("--vdev=net_memif0,role={role},id=0,socket={},socket-abstract=no", socket.display())
    };
    let symbols = symbols(SYMBOLS.into());
    let config = config(directory.path(), "net_memif0", None, &format!("{WORKERS}{OBSERVE}"));
    let cpu = CpuSet::allowed().iter().next().unwrap_or(0);
    let mut venue = Running::start(
        wirebook()
            .args(["exchange", &format!("--lcores=0@{cpu},1@{cpu}"), &vdev("server")])
            .args(["--no-pci", "--no-huge", "-m", "256", "--no-shconf", "--no-telemetry", "--"])
            // Three loops share two CPUs: slow enough that one may be off its CPU for a while and miss nothing.
            .args(["--rate", "2000", "--symbols", &SYMBOLS.to_string(), "--seed", "11", "--loss", "5000"])
            .args(["--port", "net_memif0", "--config"])
            .arg(&config)
            .arg("--dump")
            .arg(file("exchange.csv")),
    );
    venue.wait_for("waiting for the link");
    let prefix = Prefix::new();
    let mut handler = Running::start(
        wirebook()
            .args([&lcores(), "--no-pci", "--no-huge", "-m", "256", &format!("--file-prefix={}", prefix.0)])
            .arg(vdev("client"))
            .arg("--")
            .args(["--for", "100", "--stop-when-idle", "3", "--config"])
            .arg(&config)
            .arg("--dump")
            .arg(file("live.csv"))
            .arg("--report")
            .arg(file("live.toml")),
    );
    handler.wait_for("one queue, shared by software");
    handler.wait_for("polling");
    let mut telemetry = Telemetry::connect(&prefix.directory());
    for worker in ["/wirebook/counters,0", "/wirebook/counters,1"] {
        handler.wait_until("messages of each worker", |_| {
            assert!(venue.is_running(), "the exchange ended: {}{}", venue.stdout(), venue.stderr());
            telemetry.number(worker, "stream_messages") >= 10_000
        });
    }
    assert!(telemetry.ask("/wirebook/counters,2").contains("there are 2 workers"));
    // Each watched book from its owner, in the order of the instruments.
    let books = telemetry.ask("/wirebook/books");
    let places: Vec<_> =
        symbols[..8].iter().map(|symbol| books.find(&format!("\"{symbol}\":")).unwrap_or(0)).collect();
    assert!(places.is_sorted() && places[0] > 0, "{books}");
    for symbol in &symbols[..2] {
        let book = telemetry.ask(&format!("/wirebook/book,{symbol}"));
        assert!(book.contains("bid_0"), "{symbol}: {book}");
    }
    venue.signal("TERM");
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let venue = venue.end();
    assert_eq!(venue.code, Some(0), "{}{}", venue.stdout, venue.stderr);
    let report = Report::new(&file("live.toml"), &ended);
    assert_same_books(test, &file("live.csv"), &orders(&file("exchange.csv")), 500);
    assert_eq!(report.count("stream_gaps"), 0, "{}", report.text());
    assert!(report.count("line_b_first") > 0, "{}", report.text());
    let shared = [0, 1].map(|at| of_worker(&file("live.toml"), at, "loop_rx_shared"));
    assert!(shared[0] == 0 && shared[1] > 0, "{shared:?}");
}

/// Both lines of a day, each in a file of its own.
fn split(day: &Path, parts: [&Path; 2]) {
    let mut frames = pcap_file::pcap::PcapReader::new(File::open(day).unwrap()).unwrap();
    let mut parts = parts.map(|path| {
        pcap_file::pcap::PcapWriter::with_header(File::create(path).unwrap(), frames.header()).unwrap()
    });
    while let Some(frame) = frames.next_packet() {
        let frame = frame.unwrap();
        // The last byte of the group tells the line.
        let line = usize::from(frame.data[33] == 2);
        assert_eq!(&frame.data[30..33], [239, 1, 1]);
        parts[line].write_packet(&frame).unwrap();
    }
}

/// Line A by one port, line B by another, and orders by a third; one worker and two.
#[test]
fn live_workers_a_port_for_each_line() {
    let test = "live_workers_a_port_for_each_line";
    let _alone = alone();
    if let Some(why) = no_driver("net_pcap0") {
        return skip(test, &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let path = |name: &str| file(name).display().to_string();
    must(exchange().args(["stream", "--messages", "20000", "--symbols", &SYMBOLS.to_string()]).args([
        "--out",
        &path("day.itch"),
        "--dump",
        &path("exchange.csv"),
    ]));
    // What one line loses the other has; the files are read as fast as they can be, each for itself.
    let pack = ["--loss-a", "8000", "--loss-b", "8000", "--burst", "3", "--disjoint"];
    must(exchange().args(["pcap", "--from", &path("day.itch"), "--out", &path("day.pcap")]).args(pack));
    split(&file("day.pcap"), [&file("a.pcap"), &file("b.pcap")]);
    for workers in [1, 2] {
        let lcores_text = if workers == 1 { "" } else { WORKERS };
        let more = format!("{lcores_text}{OBSERVE}");
        let config = config(directory.path(), "net_pcap0", None, &more);
        let text = std::fs::read_to_string(&config).unwrap();
        let ports = "name = \"net_pcap0\"\nline_b = \"net_pcap1\"\norders = \"net_null0\"\nip = \"10.0.0.2\"\nline_b_ip = \"10.1.0.2\"\n";
        // Two files, two speeds: a line may be far ahead of the other. They are read as fast as the first worker can, and the
        // ring to the second holds a whole one (2,048 frames): what it missed of both lines would be gone.
        let text = text.replace("name = \"net_pcap0\"\n", ports);
        std::fs::write(&config, text.replace("reorder_packets = 4096", "reorder_packets = 65536")).unwrap();
        must(wirebook().arg("check-config").arg(&config));
        let mut eal = private_eal();
        eal[0] = lcores();
        let port = |index: u32, line: &str| {
            format!(
                "--vdev=net_pcap{index},rx_pcap={},tx_pcap={}",
                path(&format!("{line}.pcap")),
                path(&format!("{line}.tx"))
            )
        };
        let ended = run(
            wirebook()
                .args(eal)
                .args([&port(0, "a"), &port(1, "b"), "--vdev=net_null0,no-rx=1", "--"])
                .args(["--stop-when-idle", "5", "--for", "100", "--config"])
                .arg(&config)
                .args(["--dump", &path("live.csv"), "--report", &path("live.toml")]),
            Duration::from_secs(120),
        );
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let report = Report::new(&file("live.toml"), &ended);
        for happened in ["line_a_first", "line_b_first"] {
            assert!(report.count(happened) > 10, "{happened}: {}", report.text());
        }
        assert_eq!(report.count("stream_gaps"), 0, "{}", report.text());
        assert_eq!(report.count("stream_messages"), 20_000, "{}", report.text());
        assert_same_books(test, &file("live.csv"), &orders(&file("exchange.csv")), 500);
        // Each line's group is joined by its own port, from its own address.
        for (line, group, ip) in [("a", 1, [10, 0, 0, 2]), ("b", 2, [10, 1, 0, 2])] {
            let mut frames =
                pcap_file::pcap::PcapReader::new(File::open(file(&format!("{line}.tx"))).unwrap()).unwrap();
            let mut joined = 0;
            while let Some(frame) = frames.next_packet() {
                let frame = frame.unwrap();
                let Ok(report) = wirebook::wire::frame::parse_igmp(&frame.data) else { continue };
                assert_eq!(report.src.octets(), ip, "line {line}");
                assert!(frame.data.windows(4).any(|bytes| bytes == [239, 1, 1, group]), "line {line}");
                joined += 1;
            }
            assert!(joined > 0, "line {line}: {}", report.text());
        }
        assert_eq!(report.count("loop_rx_missed"), 0, "{}", report.text());
    }
}

/// The kernel copies every datagram of a group to each worker's sockets.
#[test]
fn live_workers_on_sockets() {
    trade_over_a_cable("live_workers_on_sockets", &[], "");
}

/// The kernel fans the frames out over two queues, and each worker shares what comes to its own.
#[test]
fn live_workers_with_a_queue_each() {
    let vdev = "net_af_packet0,iface=feed0,qpairs=2,blocksz=65536,framesz=2048,framecnt=16384";
    trade_over_a_cable("live_workers_with_a_queue_each", &[&format!("--vdev={vdev}")], "rx_queues = 2\n");
}

fn trade_over_a_cable(test: &str, vdev: &[&str], port: &str) {
    let _alone = alone();
    if !is_root() {
        return skip(test, "needs root, for network namespaces");
    }
    let driver = vdev.iter().find_map(|vdev| no_driver(vdev.trim_start_matches("--vdev=")));
    if let Some(why) = missing(&["ip", "ethtool", "unshare", "nsenter"]).or(driver) {
        return skip(test, &why);
    }
    let cable = Cable::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let more = format!("{WORKERS}{}", trade(&symbols(SYMBOLS.into()), true));
    let config = config(directory.path(), "0", None, &more);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("name = \"0\"\n", &format!("name = \"0\"\n{port}"), 1)).unwrap();
    let mut program = wirebook();
    if vdev.is_empty() {
        must(cable.handler.run("ip").args(["address", "add", "10.0.0.2/24", "dev", "feed0"]));
        program.args(["--", "--nic", "udp:10.0.0.2"]);
    } else {
        let mut eal = private_eal();
        eal[0] = lcores();
        program.args(eal).args(vdev).arg("--");
    }
    program.args(["--for", "60", "--stop-when-idle", "3", "--config"]);
    program.arg(&config).arg("--dump").arg(file("live.csv")).arg("--report").arg(file("live.toml"));
    let mut handler = Running::start(&mut cable.handler.enter(&program));
    handler.wait_for("messages_per_s");
    let told = must(
        cable
            .exchange
            .enter(exchange().args(["serve", "--interface-ip", "10.0.0.1", "--gateway", "31001"]))
            .args(["--messages", "100000", "--rate", "15000", "--coalesce-us", "1000", "--symbols"])
            .arg(SYMBOLS.to_string())
            .args(["--loss-a", "5000", "--loss-b", "5000", "--disjoint", "--linger-ms", "2000", "--dump"])
            .arg(file("exchange.csv")),
    );
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{told}{}{}", ended.stdout, ended.stderr);
    let report = Report::new(&file("live.toml"), &ended);
    assert_same_books(test, &file("live.csv"), &orders(&file("exchange.csv")), 500);
    let of = |name: &str| [0, 1].map(|at| of_worker(&file("live.toml"), at, name));
    let heard = of("stream_messages");
    assert!(heard[0] == heard[1] && heard[0] == report.count("stream_messages"), "{heard:?}");
    for happened in ["desk_orders_sent", "orders_accepted", "book_added"] {
        let counts = of(happened);
        assert!(counts.iter().all(|count| *count > 0), "{happened} {counts:?}\n{}", report.text());
        assert_eq!(counts.iter().sum::<u64>(), report.count(happened));
    }
    for never in ["stream_gaps", "replies_unknown", "session_gaps", "route_other_port"] {
        assert_eq!(report.count(never), 0, "{never}: {}", report.text());
    }
    assert!(report.text().contains("\nworkers\n"), "{}", report.text());
    if !vdev.is_empty() {
        // What the one received the other was given.
        let (frames, shared) = (of("loop_frames"), of("loop_rx_shared"));
        assert_eq!(frames[0], frames[1], "{}", report.text());
        assert_eq!(shared[0] + shared[1], frames[0], "{}", report.text());
    }
    // An account for each worker's port; both together are our positions.
    let mut theirs = BTreeMap::new();
    for worker in 0..2 {
        let name = format!("client 10.0.0.2:{}", 31_000 + worker);
        let (_, account) = told.split_once(&name).unwrap_or_else(|| panic!("no {name}: {told}"));
        for line in account.lines().skip(1).map_while(|line| line.strip_prefix("  ")) {
            let cells: Vec<_> = line.split_whitespace().collect();
            let (symbol, shares) = (cells[0].to_owned(), cells[1].parse::<i64>().unwrap());
            if shares != 0 {
                assert_eq!(theirs.insert(symbol, shares), None, "both traded it: {told}");
            }
        }
    }
    assert!(!theirs.is_empty(), "{told}");
    assert_eq!(report.positions(), theirs, "{told}");
}
