//! Groups and neighbours where no kernel helps: the program joins, leaves, answers and resolves by itself, on a port of a
//! Linux bridge that snoops. The bridge is querier and judge: it shows which groups it believes to be wanted, and forwards
//! nothing else. The kernel behind it asks for the program by ARP, and answers it. Frames that should not be there are
//! put on the cable beside it, and tshark reads what came back.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use wirebook::wire::ethernet::{BROADCAST, Mac};
use wirebook::wire::frame::{UdpHeaders, emit_arp, emit_igmp};
use wirebook::wire::igmp::{ALL_SYSTEMS, emit_v2_query};
use wirebook::wire::{arp, checksum};

use crate::place::{
    Namespace, alone, config, is_root, missing, no_driver, private_eal, skip, symbols, trade,
};
use crate::programs::{assert_same_books, exchange, must, orders, wirebook};
use crate::report::Report;
use crate::running::{PATIENCE, Running};

const SYMBOLS: u32 = 8;
const DEVICE: &str = "net_af_packet0,iface=feed0,blocksz=65536,framesz=2048,framecnt=16384";

const US: (Mac, Ipv4Addr) = ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 0, 0, 2));
const GATEWAY: (Mac, Ipv4Addr) = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: (Mac, Ipv4Addr) = ([2, 0, 0, 0, 0, 0x66], Ipv4Addr::new(10, 0, 0, 66));
const GROUPS: [&str; 2] = ["239.1.1.1", "239.1.1.2"];

/// Puts frames, given in hexadecimal, on an interface.
const INJECT: &str = "import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    s.send(bytes.fromhex(frame))
";

#[test]
fn live_membership_v3() {
    joins_and_resolves("live_membership_v3", 3);
}

#[test]
fn live_membership_v2() {
    joins_and_resolves("live_membership_v2", 2);
}

/// `feed0` in one namespace, and in the other the port `port0` of a bridge `lan0`, whose address is the exchange's.
struct Lan {
    handler: Namespace,
    exchange: Namespace,
}

impl Lan {
    /// `None` where the kernel's bridge does not snoop.
    fn new(querier: u8) -> Option<Self> {
        let lan = Self { handler: Namespace::new(), exchange: Namespace::new() };
        let ip = |space: &Namespace, line: &str| must(space.run("ip").args(line.split_whitespace()));
        ip(&lan.handler, &format!("link add feed0 type veth peer name port0 netns {}", lan.exchange.pid()));
        ip(&lan.handler, "link set feed0 address 02:00:00:00:00:02 up");
        // Times are in hundredths of a second: queries each second, to be answered within half of one.
        let bridge = format!(
            "link add lan0 address 02:00:00:00:00:01 type bridge mcast_snooping 1 mcast_querier 1 \
             mcast_igmp_version {querier} mcast_query_use_ifaddr 1 mcast_query_interval 100 \
             mcast_query_response_interval 50 mcast_startup_query_interval 50 mcast_membership_interval 26000 \
             forward_delay 0"
        );
        let made = lan.exchange.run("ip").args(bridge.split_whitespace()).output().unwrap();
        if !made.status.success() {
            return None;
        }
        for line in [
            "link set port0 master lan0",
            "link set port0 up",
            "link set lan0 up",
            "address add 10.0.0.1/24 dev lan0",
            "route add 224.0.0.0/4 dev lan0",
        ] {
            ip(&lan.exchange, line);
        }
        // A virtual cable leaves checksums to a NIC that is not there.
        for (space, end) in [(&lan.exchange, "lan0"), (&lan.exchange, "port0"), (&lan.handler, "feed0")] {
            must(space.run("ethtool").args(["-K", end, "tx", "off"]));
        }
        Some(lan)
    }

    /// Those of our groups that the bridge forwards to the program.
    fn joined(&self) -> Vec<&'static str> {
        let table = must(self.exchange.run("bridge").args(["mdb", "show", "dev", "lan0"]));
        let of_port: Vec<_> = table.lines().filter(|line| line.contains("port port0")).collect();
        let is_there = |group: &&str| of_port.iter().any(|line| line.contains(&format!("grp {group} ")));
        GROUPS.into_iter().filter(is_there).collect()
    }

    fn inject(&self, frames: &[Vec<u8>]) {
        let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        must(self.exchange.run("python3").args(["-c", INJECT, "port0"]).args(frames.iter().map(hex)));
    }
}

fn joins_and_resolves(test: &str, querier: u8) {
    let _alone = alone();
    if !is_root() {
        return skip(test, "needs root, for network namespaces");
    }
    let tools = ["bridge", "ip", "ethtool", "unshare", "nsenter", "dumpcap", "tshark", "python3"];
    if let Some(why) = missing(&tools).or_else(|| no_driver(DEVICE)) {
        return skip(test, &why);
    }
    let Some(lan) = Lan::new(querier) else { return skip(test, "the kernel has no bridge that snoops") };
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let more = trade(&symbols(SYMBOLS), true).replace("mac = \"02:00:00:00:00:01\"\n", "");
    let config = config(directory.path(), "0", None, &more);

    let wire = file("wire.pcapng");
    let mut capture = Running::start(
        lan.exchange.run("dumpcap").args(["-q", "-i", "port0", "-f", "arp or igmp", "-w"]).arg(&wire),
    );
    capture.wait_for("File:");
    assert_eq!(lan.joined(), [] as [&str; 0]);
    let mut program = wirebook();
    program
        .args(private_eal())
        .arg(format!("--vdev={DEVICE}"))
        .args(["--", "--for", "100", "--stop-when-idle", "3", "--config"])
        .arg(&config)
        .arg("--dump")
        .arg(file("live.csv"))
        .arg("--report")
        .arg(file("live.toml"));
    let mut handler = Running::start(&mut lan.handler.enter(&program));
    handler.wait_for("the next hop is known");
    assert!(handler.stderr().contains("02:00:00:00:00:01"), "{}", handler.stderr());
    handler.wait_until("membership of both groups", |_| lan.joined() == GROUPS);
    lan.inject(&strays());

    let exchange = must(
        lan.exchange
            .enter(exchange().args(["serve", "--interface-ip", "10.0.0.1", "--gateway", "31001"]))
            .args(["--messages", "100000", "--rate", "20000", "--coalesce-us", "1000", "--symbols"])
            .arg(SYMBOLS.to_string())
            .args(["--linger-ms", "2000", "--dump"])
            .arg(file("exchange.csv")),
    );
    // It answered the kernel's requests, or no reply would have come; and is known by them.
    let neighbours = must(lan.exchange.run("ip").args(["neighbour", "show", "dev", "lan0"]));
    assert!(neighbours.contains("10.0.0.2 lladdr 02:00:00:00:00:02"), "{neighbours}");
    let ended = handler.end();
    assert_eq!(ended.code, Some(0), "{exchange}{}{}", ended.stdout, ended.stderr);
    let report = Report::new(&file("live.toml"), &ended);
    assert_same_books(test, &file("live.csv"), &orders(&file("exchange.csv")), 300);

    // Left, and not forgotten: memberships last for 260 s where nobody leaves.
    let began = Instant::now();
    while !lan.joined().is_empty() {
        assert!(began.elapsed() < PATIENCE, "still joined: {:?}", lan.joined());
        std::thread::sleep(Duration::from_millis(100));
    }
    capture.signal("INT");
    assert_eq!(capture.end().code, Some(0));
    assert_report(&report, querier);
    assert_wire(&wire, querier);
}

/// What has no business on the cable: each is counted by its kind, and answered only where it must be.
fn strays() -> Vec<Vec<u8>> {
    let padded = |len: usize, mut frame: Vec<u8>| {
        frame.truncate(len.max(60));
        frame
    };
    let query = |vlan| {
        let mut message = [0; 8];
        emit_v2_query(&mut message, Ipv4Addr::UNSPECIFIED, 10).unwrap();
        let mut frame = vec![0; 100];
        let len = emit_igmp(&mut frame, STRANGER.0, vlan, (STRANGER.1, ALL_SYSTEMS), &message).unwrap();
        padded(len, frame)
    };
    let datagram = |dst_mac, dst, dst_port| {
        let headers = UdpHeaders {
            src_mac: STRANGER.0,
            dst_mac,
            vlan: None,
            ttl: 64,
            src: (STRANGER.1, 9),
            dst: (dst, dst_port),
        };
        let mut frame = vec![0; 100];
        let len = headers.emit_with(&mut frame, b"stray").unwrap();
        padded(len, frame)
    };
    let request = |packet: arp::Packet, vlan| {
        let mut frame = vec![0; 100];
        let len = emit_arp(&mut frame, BROADCAST, vlan, &packet).unwrap();
        padded(len, frame)
    };
    // An echo request is a datagram of another protocol.
    let mut ping = datagram(US.0, US.1, 7);
    ping[14 + 9] = 1;
    ping[14 + 10..14 + 12].fill(0);
    let sum = checksum::of(&ping[14..34]);
    ping[24..26].copy_from_slice(&sum.to_be_bytes());
    vec![
        query(Some(5)),
        ping,
        datagram(US.0, US.1, 22),
        datagram(US.0, US.1, 31_000),
        datagram(US.0, STRANGER.1, 22),
        datagram([2, 0, 0, 0, 0, 0x77], US.1, 31_000),
        datagram(BROADCAST, Ipv4Addr::BROADCAST, 67),
        request(arp::Packet::request(STRANGER.0, STRANGER.1, US.1), Some(5)),
        // Somebody else has our address, and somebody else the gateway's.
        request(arp::Packet::request(STRANGER.0, US.1, STRANGER.1), None),
        request(arp::Packet::request(STRANGER.0, GATEWAY.1, GATEWAY.1), None),
        // And a plain question.
        request(arp::Packet::request(STRANGER.0, STRANGER.1, US.1), None),
    ]
}

fn assert_report(report: &Report, querier: u8) {
    for name in [
        "igmp_other_vlan",
        "ip_icmp",
        "route_other_port",
        "route_other_sender",
        "route_other_address",
        "route_other_station",
        "route_broadcast",
        "arp_other_vlan",
        "arp_conflicts",
        "arp_not_believed",
        "arp_requests_heard",
        "arp_believed",
        "igmp_general_queries",
        "desk_orders_sent",
        "orders_accepted",
    ] {
        assert!(report.count(name) > 0, "{name}: {}", report.text());
    }
    for never in ["stream_gaps", "session_gaps", "session_no_next_hop", "carry_unsent", "carry_ring_full"] {
        assert_eq!(report.count(never), 0, "{never}: {}", report.text());
    }
    assert_eq!(report.count("igmp_version"), u64::from(querier), "{}", report.text());
    for said in ["another station uses our address", "another station claims to be the next hop"] {
        assert!(report.text().contains(said), "{}", report.text());
    }
    assert!(!report.text().contains("is another station now"), "{}", report.text());
}

/// Somebody else's dissectors on what the program said.
fn assert_wire(wire: &Path, querier: u8) {
    let dissect = |filter: &str, fields: &[&str]| {
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(wire).args(["-n", "-o", "ip.check_checksum:TRUE", "-T", "fields"]);
        tshark.args(["-Y", &format!("eth.src == 02:00:00:00:00:02 && ({filter})")]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        must(&mut tshark).lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(dissect("_ws.malformed || _ws.expert.severity == error", &["frame.number"]), [] as [&str; 0]);
    let igmp = dissect(
        "igmp",
        &[
            "ip.checksum.status",
            "igmp.checksum.status",
            "ip.ttl",
            "ip.opt.ra",
            "ip.src",
            "igmp.type",
            "ip.dst",
        ],
    );
    let like = "1\t1\t1\t0\t10.0.0.2\t";
    let odd = igmp.iter().find(|frame| !frame.starts_with(like));
    assert_eq!(odd, None, "not like {like:?}");
    let count = |text: &str| igmp.iter().filter(|frame| frame.ends_with(text)).count();
    // It began in version 3, before it had heard the querier.
    assert!(count("0x22\t224.0.0.22") >= 1, "{igmp:#?}");
    if querier == 3 {
        // Both groups in one report.
        let records = |kind: u8| {
            dissect(&format!("igmp.record_type == {kind}"), &["igmp.record_type", "igmp.maddr"])
                .iter()
                .filter(|line| **line == format!("{kind},{kind}\t239.1.1.1,239.1.1.2"))
                .count()
        };
        assert!(records(4) == 2 && records(2) >= 2 && records(3) == 2, "{igmp:#?}");
        assert_eq!(count("0x22\t224.0.0.22"), igmp.len(), "{igmp:#?}");
    } else {
        for group in GROUPS {
            assert!(count(&format!("0x16\t{group}")) >= 2, "{igmp:#?}");
        }
        assert_eq!(count("0x17\t224.0.0.2"), 2, "{igmp:#?}");
    }
    let arp = dissect("arp", &["arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "eth.dst"]);
    let said = |line: &str| arp.iter().filter(|frame| *frame == line).count();
    // Two announcements, and a defence; asked for the gateway; answered it and the stranger, and nobody in VLAN 5.
    assert!(said("1\t10.0.0.2\t10.0.0.2\tff:ff:ff:ff:ff:ff") >= 3, "{arp:#?}");
    assert!(said("1\t10.0.0.2\t10.0.0.1\tff:ff:ff:ff:ff:ff") >= 1, "{arp:#?}");
    assert!(said("1\t10.0.0.2\t10.0.0.1\t02:00:00:00:00:01") >= 1, "{arp:#?}");
    assert!(said("2\t10.0.0.2\t10.0.0.1\t02:00:00:00:00:01") >= 1, "{arp:#?}");
    assert_eq!(said("2\t10.0.0.2\t10.0.0.66\t02:00:00:00:00:66"), 1, "{arp:#?}");
    assert_eq!(dissect("vlan", &["frame.number"]), [] as [&str; 0]);
}
