//! Orders by OUCH in SoupBinTCP, live: to the exchange's gateway on the kernel's TCP, over a TCP of our own on a port of
//! AF_PACKET, and over the kernel's. In mid-run the gateway ends the connection. What passed is read by tshark.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kills::{net, read_all};
use crate::outside::tshark;
use crate::place::{alone, config, is_root, missing, no_driver, private_eal, skip, symbols, trade};
use crate::programs::{exchange, must, say, wirebook};
use crate::report::Report;
use crate::running::Running;
use crate::veth::{Cable, positions};

const SYMBOLS: u32 = 12;
pub(crate) const USER: &str = "WIRE01";

/// The handler's end of the cable.
pub(crate) const VDEV: &str = "--vdev=net_af_packet0,iface=feed0,blocksz=65536,framesz=2048,framecnt=16384";

/// Is everything here that it takes?
pub(crate) fn may_run(vdev: &[&str]) -> Result<(), String> {
    if !is_root() {
        return Err("needs root, for network namespaces".to_owned());
    }
    let tools = missing(&["ip", "ethtool", "unshare", "nsenter", "dumpcap", "tshark", "bash"]);
    let driver = || vdev.iter().find_map(|vdev| no_driver(vdev.trim_start_matches("--vdev=")));
    tools.or_else(driver).map_or(Ok(()), Err)
}

/// The configuration of a handler that trades over TCP.
pub(crate) fn order_config(directory: &Path, stack: &str, more: &str) -> PathBuf {
    let gateway = format!("framing = \"ouch-tcp\"\nstack = \"{stack}\"\nusername = \"{USER}\"");
    let text = trade(&symbols(SYMBOLS), true)
        .replace("framing = \"wutf-udp\"", &gateway)
        .replace("local_port = 31000\n", "")
        .replace("style = \"take\"", "style = \"join\"");
    config(directory, "0", None, &format!("{text}\n{more}\n"))
}

/// A directory for journals below `directory`, and the lines of a configuration that name it.
pub(crate) fn journalled(directory: &Path) -> (PathBuf, String) {
    let journals = directory.join("journals");
    std::fs::create_dir(&journals).unwrap();
    let lines = format!("[journal]\ndirectory = \"{0}\"\nring_directory = \"{0}\"", journals.display());
    (journals, lines)
}

/// The exchange with its gateway on the kernel's TCP, for so many seconds, or until its standard input ends.
pub(crate) fn serve(cable: &Cable, seconds: u64, more: &[&str]) -> Running {
    let mut server = exchange();
    server
        .args(["serve", "--interface-ip", "10.0.0.1", "--ouch", "31001", "--control", "--linger-ms", "500"])
        .args(["--rate", "10000", "--coalesce-us", "1000", "--symbols", &SYMBOLS.to_string()])
        // Short queues: what rests is reached soon.
        .args(["--live-orders", "500", "--for", &seconds.to_string()])
        .args(more);
    Running::start_held(&mut cable.exchange.enter(&server))
}

#[test]
fn live_orders_over_our_own_tcp() {
    trades("live_orders_over_our_own_tcp", "own", &[VDEV]);
}

#[test]
fn live_orders_over_the_kernel_s_tcp() {
    trades("live_orders_over_the_kernel_s_tcp", "kernel", &[]);
}

fn trades(test: &str, stack: &str, vdev: &[&str]) {
    let _alone = alone();
    if let Err(why) = may_run(vdev) {
        return skip(test, &why);
    }
    let cable = Cable::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (journals, journal) = journalled(directory.path());
    let config = order_config(directory.path(), stack, &journal);

    let wire = file("wire.pcapng");
    let mut capture = Running::start(
        cable
            .exchange
            .run("dumpcap")
            .args(["-q", "-i", "feed1", "-f", "tcp port 31001", "-B", "64", "-w"])
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
    program.args(["--for", "110", "--config"]).arg(&config).arg("--report").arg(file("live.toml"));
    let mut handler = Running::start(&mut cable.handler.enter(&program));
    handler.wait_for("messages_per_s");
    let mut server = serve(&cable, 100, &[]);

    let ups = |running: &Running| running.stderr().matches("order session up").count();
    handler.wait_until("first session", |running| ups(running) == 1);
    std::thread::sleep(Duration::from_secs(3));
    // Somebody else logs in as the same user: the gateway ends our connection. We come back, and end theirs.
    let login = format!(
        "exec 3<>/dev/tcp/10.0.0.1/31001; printf '\\x00\\x2fL{USER:<6}{:<10}{:<10}{:>20}' >&3; sleep 0.3",
        "", "", 1
    );
    must(cable.exchange.run("bash").args(["-c", &login]));
    handler.wait_until("second session", |running| ups(running) == 2);
    std::thread::sleep(Duration::from_secs(3));

    handler.signal("TERM");
    let ended = handler.end();
    server.end_input();
    let exchange = server.end();
    let report = Report::new(&file("live.toml"), &ended);
    let all = || format!("{}{}\n{}", exchange.stdout, exchange.stderr, report.text());
    assert_eq!((ended.code, exchange.code), (Some(0), Some(0)), "{}", all());

    for happened in ["orders_accepted", "orders_executed", "session_enters", "session_cancels"] {
        assert!(report.count(happened) > 0, "{happened}: {}", all());
    }
    let counted = ["session_ups", "session_breaks", "soup_client_logins"].map(|name| report.count(name));
    assert_eq!(counted, [2, 1, 2], "{}", all());
    for never in ["stream_gaps", "replies_unknown", "replies_over_executions", "session_gaps", "ip_tcp"] {
        assert_eq!(report.count(never), 0, "{never}: {}", all());
    }
    // What was open was withdrawn, and that was answered before the good-bye.
    assert!(exchange.stdout.contains(&format!("client {USER}: 0 open orders")), "{}", all());
    let positions = positions(&exchange.stdout, USER);
    assert!(!positions.is_empty(), "{}", all());
    assert_eq!(report.positions(), positions, "{}", all());
    assert_journal(&read_all(&journals), &report, &positions);

    capture.signal("INT");
    assert_eq!(capture.end().code, Some(0));
    assert_segments(&wire, &report);
    say(&format!(
        "{test}: {} orders, {} fills",
        report.count("session_enters"),
        report.count("orders_executed")
    ));
}

/// The journal knows of each order and each fill that the report counts, and comes to the venue's positions.
pub(crate) fn assert_journal(
    journals: &[Vec<serde_json::Value>],
    report: &Report,
    positions: &BTreeMap<String, i64>,
) {
    let [journal] = journals else { panic!("one run, one journal") };
    assert_eq!(&net(journal), positions, "{}", report.text());
    let of = |kind: &str, action: &str| {
        let is = |record: &&serde_json::Value| record["kind"] == kind && record["action"] == action;
        journal.iter().filter(is).count() as u64
    };
    for (kind, action, counter) in [
        ("sent", "enter", "session_enters"),
        ("sent", "replace", "session_replaces"),
        ("sent", "cancel", "session_cancels"),
        ("event", "accepted", "orders_accepted"),
        ("event", "executed", "orders_executed"),
        ("event", "replaced", "orders_replaced"),
        ("event", "canceled", "orders_canceled"),
    ] {
        assert_eq!(of(kind, action), report.count(counter), "{kind} {action}: {}", report.text());
    }
}

/// Somebody else's dissectors find nothing wrong.
fn assert_segments(wire: &Path, report: &Report) {
    let dissect = |filter: &str, field: &str| {
        let mut tshark = tshark();
        tshark.arg("-r").arg(wire).args([
            "-n",
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:TRUE",
        ]);
        tshark.args(["-d", "tcp.port==31001,soupbintcp", "-Y", filter, "-T", "fields", "-e", field]);
        must(&mut tshark).lines().map(String::from).collect::<Vec<_>>()
    };
    let none = |filter: &str| {
        let odd = dissect(filter, "frame.number");
        if let Some(first) = odd.first().and_then(|number| number.parse::<u64>().ok()) {
            let around = format!("frame.number >= {} && frame.number <= {first}", first.saturating_sub(8));
            let around = dissect(&around, "_ws.col.Info").join("\n");
            panic!("{filter}: frames {odd:?}; up to the first:\n{around}\n{}", report.text());
        }
    };
    none("tcp.checksum.status != 1 || ip.checksum.status != 1");
    none("_ws.malformed && ip.src == 10.0.0.2");
    // A probe of ours repeats what is on its way, which may look like a segment overtaken; the kernel's receipt for what it had
    // already is a D-SACK.
    let repeated = report.count("tcp_probes") + report.count("tcp_retransmitted") > 0;
    let warned = "tcp.analysis.flags && _ws.expert.severity >= 0x600000";
    none(&if repeated {
        format!("{warned} && !tcp.analysis.out_of_order && !tcp.options.sack.dsack")
    } else {
        warned.to_owned()
    });

    // Each packet of ours is a segment of its own, and may be sent twice.
    let ours = "ip.src == 10.0.0.2 && tcp.dstport == 31001 && soupbintcp && !tcp.analysis.retransmission";
    let types = dissect(ours, "soupbintcp.packet_type");
    let of = |code: char| {
        let is = |shown: &&String| shown.contains(code) || **shown == format!("0x{:02x}", u32::from(code));
        types.iter().filter(is).count() as u64
    };
    let orders = ["session_enters", "session_replaces", "session_cancels", "session_queries"];
    let orders: u64 = orders.iter().map(|name| report.count(name)).sum();
    if !repeated {
        assert_eq!((of('L'), of('U'), of('O')), (2, orders, 1), "{types:?}\n{}", report.text());
    }
    assert!(of('U') > 10, "{types:?}");
}
