//! Live multicast from ordinary kernel sockets over a virtual cable, into the drivers that attach to an interface, with
//! orders on their way back; a capture at the exchange's end is read by tshark.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::place::{
    Namespace, alone, config, is_root, missing, no_driver, private_eal, skip, symbols, trade,
};
use crate::programs::{assert_same_books, exchange, must, orders, wirebook};
use crate::report::Report;
use crate::running::Running;

const SYMBOLS: u32 = 12;

/// Two namespaces and a cable between them: `feed0` is the handler's end, `feed1` the exchange's.
pub(crate) struct Cable {
    pub(crate) handler: Namespace,
    pub(crate) exchange: Namespace,
}

impl Cable {
    pub(crate) fn new() -> Self {
        let cable = Self { handler: Namespace::new(), exchange: Namespace::new() };
        let ip = |space: &Namespace, line: &str| must(space.run("ip").args(line.split_whitespace()));
        let peer = format!("link add feed0 type veth peer name feed1 netns {}", cable.exchange.pid());
        ip(&cable.handler, &peer);
        ip(&cable.handler, "link set feed0 address 02:00:00:00:00:02 up");
        ip(&cable.exchange, "link set feed1 address 02:00:00:00:00:01 up");
        ip(&cable.exchange, "address add 10.0.0.1/24 dev feed1");
        ip(&cable.exchange, "route add 224.0.0.0/4 dev feed1");
        // Nobody at the other end answers ARP.
        ip(&cable.exchange, "neighbour replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev feed1 nud permanent");
        // A virtual cable leaves checksums to a NIC that is not there.
        for (space, end) in [(&cable.exchange, "feed1"), (&cable.handler, "feed0")] {
            must(space.run("ethtool").args(["-K", end, "tx", "off"]));
        }
        cable
    }
}

#[test]
fn live_af_packet() {
    let name = "live_af_packet";
    trades_over_a_cable(
        name,
        &["--vdev=net_af_packet0,iface=feed0,blocksz=65536,framesz=2048,framecnt=16384"],
    );
}

#[test]
fn live_af_xdp() {
    trades_over_a_cable("live_af_xdp", &["--vdev=net_af_xdp0,iface=feed0"]);
}

/// Kernel sockets need no EAL; the handler's end has an address then.
#[test]
fn live_sockets() {
    trades_over_a_cable("live_sockets", &[]);
}

fn trades_over_a_cable(test: &str, vdev: &[&str]) {
    let _alone = alone();
    if !is_root() {
        return skip(test, "needs root, for network namespaces");
    }
    let tools = missing(&["ip", "ethtool", "unshare", "nsenter", "dumpcap", "tshark"]);
    if let Some(why) =
        tools.or_else(|| vdev.iter().find_map(|vdev| no_driver(vdev.trim_start_matches("--vdev="))))
    {
        return skip(test, &why);
    }
    let cable = Cable::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let symbols = symbols(SYMBOLS);
    let config = config(directory.path(), "0", None, &trade(&symbols, true));

    let wire = file("wire.pcapng");
    let mut capture = Running::start(
        cable
            .exchange
            .run("dumpcap")
            .args(["-q", "-i", "feed1", "-f", "udp port 31001", "-B", "64", "-w"])
            .arg(&wire),
    );
    capture.wait_for("File:");

    let mut program = wirebook();
    if vdev.is_empty() {
        must(cable.handler.run("ip").args(["address", "add", "10.0.0.2/24", "dev", "feed0"]));
        program.args(["--", "--nic", "udp:10.0.0.2"]);
    } else {
        program.args(private_eal()).args(vdev).arg("--");
    }
    program
        .args(["--for", "60", "--stop-when-idle", "3", "--config"])
        .arg(&config)
        .arg("--dump")
        .arg(file("live.csv"))
        .arg("--report")
        .arg(file("live.toml"));
    let mut handler = Running::start(&mut cable.handler.enter(&program));
    handler.wait_for("messages_per_s");

    let exchange = must(
        cable
            .exchange
            .enter(exchange().args(["serve", "--interface-ip", "10.0.0.1", "--gateway", "31001"]))
            .args(["--messages", "200000", "--rate", "25000", "--coalesce-us", "1000", "--symbols"])
            .arg(SYMBOLS.to_string())
            .args(["--loss-a", "5000", "--loss-b", "5000", "--disjoint", "--linger-ms", "2000", "--dump"])
            .arg(file("exchange.csv")),
    );
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{exchange}{}{}", ended.stdout, ended.stderr);
    let report = Report::new(&file("live.toml"), &ended);
    let all = || format!("{exchange}\n{}{}", report.text(), ended.stderr);

    assert_same_books(test, &file("live.csv"), &orders(&file("exchange.csv")), 500);
    for happened in ["line_b_first", "desk_orders_sent", "orders_accepted", "orders_executed"] {
        assert!(report.count(happened) > 0, "{happened}: {}", all());
    }
    for never in
        ["stream_gaps", "replies_unknown", "replies_over_executions", "session_gaps", "desk_orders_unsent"]
    {
        assert_eq!(report.count(never), 0, "{never}: {}", all());
    }
    let positions = positions(&exchange, "10.0.0.2:31000");
    assert!(!positions.is_empty(), "{}", all());
    assert_eq!(report.positions(), positions, "{}", all());

    capture.signal("INT");
    assert_eq!(capture.end().code, Some(0));
    assert_frames(&wire, &report);
}

/// The positions of this client that are not 0, as the exchange tells them last.
pub(crate) fn positions(exchange: &str, client: &str) -> BTreeMap<String, i64> {
    let (_, account) =
        exchange.split_once(&format!("client {client}")).unwrap_or_else(|| panic!("no client: {exchange}"));
    account
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        .map(|line| {
            let cells: Vec<_> = line.split_whitespace().collect();
            (cells[0].to_owned(), cells[1].parse().unwrap())
        })
        .filter(|(_, shares)| *shares != 0)
        .collect()
}

/// Somebody else's dissectors find nothing wrong: every order is a datagram with good checksums, every reply is
/// MoldUDP64.
fn assert_frames(wire: &Path, report: &Report) {
    let dissect = |filter: &str, fields: &[&str]| {
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(wire).args([
            "-n",
            "-o",
            "udp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:TRUE",
        ]);
        tshark.args(["-d", "udp.port==31001,moldudp64", "-Y", filter, "-T", "fields"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        must(&mut tshark).lines().map(String::from).collect::<Vec<_>>()
    };
    let all_are = |frames: &[String], like: &str| {
        let odd = frames.iter().find(|frame| !frame.starts_with(like));
        assert_eq!(odd, None, "not like {like}");
    };
    let sent = dissect(
        "udp.dstport==31001",
        &["ip.checksum.status", "udp.checksum.status", "ip.src", "udp.srcport"],
    );
    all_are(&sent, "1\t1\t10.0.0.2\t31000");
    let counted = ["session_enters", "session_replaces", "session_cancels"];
    let counted: u64 = counted.iter().map(|name| report.count(name)).sum();
    // A heartbeat has the three bytes of its head only.
    let orders = dissect("udp.dstport==31001 && udp.length > 11", &["frame.number"]);
    assert_eq!(orders.len() as u64, counted, "{}", report.text());
    // The last one may be in the driver's ring still when the program ends.
    let heartbeats = (sent.len() - orders.len()) as u64;
    assert!((0..=1).contains(&(report.count("session_heartbeats") - heartbeats)), "{}", report.text());

    let session = &["ip.checksum.status", "udp.checksum.status", "moldudp64.session", "moldudp64.count"];
    let replies = dissect("moldudp64 && udp.srcport==31001", session);
    all_are(&replies, "1\t1\tWUTF000001\t");
    // 65535 is the end of a session.
    let counts = replies.iter().map(|reply| reply.rsplit('\t').next().unwrap().parse::<u64>().unwrap());
    let messages: u64 = counts.filter(|count| *count != 65_535).sum();
    assert_eq!(messages, report.count("session_events"), "{}", report.text());
    assert!(messages > report.count("orders_accepted"), "{}", report.text());
    // What the client says is no MoldUDP64.
    let malformed = dissect("_ws.malformed && udp.srcport==31001", &["frame.number"]);
    assert_eq!(malformed, Vec::<String>::new());
}
