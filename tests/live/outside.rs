//! What the exchange sends, as tshark reads it: both lines, the request servers, snapshots, and the order gateway. The
//! clients are a few lines of the test's own, so that nothing of ours reads what is judged.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::hostile::network::{Network, VENUE};
use crate::place::{alone, is_root, missing, skip};
use crate::programs::{exchange, must, say};
use crate::running::Running;

const LINES: u16 = 26_400;
const REQUESTS: u16 = 31_011;
const GLIMPSE: u16 = 31_013;
const ORDERS: u16 = 31_002;

/// How long a client of the test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn live_outside_tshark_reads_the_exchange() {
    let test = "live_outside_tshark_reads_the_exchange";
    let _alone = alone();
    if !is_root() {
        return skip(test, "needs root, for network namespaces and captures");
    }
    if let Some(why) = missing(&["ip", "unshare", "nsenter", "dumpcap", "tshark"]) {
        return skip(test, &why);
    }
    let network = Network::new();
    let directory = tempfile::tempdir().unwrap();
    let wire = directory.path().join("wire.pcapng");
    let mut server = exchange();
    server
        .args(["serve", "--interface-ip", &VENUE.to_string(), "--port", &LINES.to_string()])
        .args(["--requests", &format!("{REQUESTS}"), "--glimpse", &GLIMPSE.to_string()])
        .args(["--ouch", &ORDERS.to_string(), "--symbols", "4", "--live-orders", "1000"])
        .args(["--rate", "5000", "--coalesce-us", "1000", "--messages", "15000", "--linger-ms", "1500"])
        // A message a segment: tshark 4.0 takes a connection for a new one from Login Accepted on, and is lost where the
        // next packet begins in the same segment and ends in another.
        .args(["--plan", "0s glimpse slow 50000"]);
    let mut capture = Running::start(
        network.0.run("dumpcap").args(["-q", "-i", "lo", "-f", "udp or tcp", "-B", "64", "-w"]).arg(&wire),
    );
    capture.wait_for("File:");
    let server = Running::start(&mut network.0.enter(&server));

    // Some of the day has to be over, for a snapshot to have something in it.
    std::thread::sleep(Duration::from_millis(1_500));
    // An order: accepted. Then heartbeats, as nothing happens to it, until the day is over.
    let mut orders = Client::connect(&network, ORDERS);
    orders.login();
    let order =
        [&b"UO\0\0\0\x01B\0\0\0\x64AAAA    "[..], &10_000u64.to_be_bytes(), b"0YPNNOUTSIDE       \0\0"]
            .concat();
    orders.send(&order);
    orders.until(|packet| packet.starts_with(b"SA"));

    // A snapshot: with its last message that session is over.
    let mut glimpse = Client::connect(&network, GLIMPSE);
    glimpse.login();
    let snapshot = glimpse.until(|packet| packet.starts_with(b"SG"));
    let messages = snapshot.iter().filter(|packet| packet[0] == b'S').count();
    glimpse.until(|packet| packet == b"Z");

    // One answer of what was sent before, for as much as a packet holds.
    let asker = network.inside(|| UdpSocket::bind((VENUE, 0))).unwrap();
    asker.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = [&b"WIREBOOK01"[..], &5u64.to_be_bytes(), &20u16.to_be_bytes()].concat();
    asker.send_to(&request, (VENUE, REQUESTS)).unwrap();
    let mut answer = [0; 2_048];
    asker.recv(&mut answer).unwrap();

    orders.until(|packet| packet == b"Z");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    // What is on its way through the capture's buffer.
    std::thread::sleep(Duration::from_millis(500));
    capture.signal("INT");
    assert_eq!(capture.end().code, Some(0));

    let said = both_lines(&wire);
    answered(&wire);
    snapshot_as_sent(&wire, messages);
    orders_as_sent(&wire);
    say(&format!("{test}: {said} messages on each line, {messages} in a snapshot: all dissected"));
}

/// `tshark`, for what is ours. Newer ones take what SoupBinTCP carries for the messages of another exchange; where that
/// protocol is not known, some mind its being disabled.
pub(crate) fn tshark() -> Command {
    static FOREIGN: OnceLock<bool> = OnceLock::new();
    let foreign = || {
        must(Command::new("tshark").args(["-G", "protocols"]))
            .lines()
            .any(|line| line.contains("\tbist_ouch"))
    };
    let mut tshark = Command::new("tshark");
    if *FOREIGN.get_or_init(foreign) {
        tshark.args(["--disable-protocol", "bist_ouch"]);
    }
    tshark
}

/// The rows that tshark makes of the packets that fit `filter`, an error of dissection being one.
fn dissect(wire: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut tshark = tshark();
    tshark.arg("-r").arg(wire).args(["-n", "-Y", filter, "-T", "fields", "-E", "occurrence=a"]);
    for (ports, protocol) in [([LINES, REQUESTS], "moldudp64"), ([GLIMPSE, ORDERS], "soupbintcp")] {
        let layer = if protocol == "moldudp64" { "udp" } else { "tcp" };
        for port in ports {
            tshark.args(["-d", &format!("{layer}.port=={port},{protocol}")]);
        }
    }
    for field in fields {
        tshark.args(["-e", field]);
    }
    let rows = must(&mut tshark);
    rows.lines().map(|row| row.split('\t').map(str::to_owned).collect()).collect()
}

/// What no packet of this kind may be.
fn none_is_malformed(wire: &Path, filter: &str) {
    let flaws = "_ws.malformed || moldudp64.msglen.invalid || moldudp64.count.invalid || \
                 moldudp64.end_of_session_extra || tcp.analysis.lost_segment";
    let bad = dissect(wire, &format!("({filter}) && ({flaws})"), &["frame.number"]);
    assert!(bad.is_empty(), "{filter}: {bad:?}");
}

/// Each line: every message once and in order, up to the end of the session. How many those are.
fn both_lines(wire: &Path) -> u64 {
    let fields = ["moldudp64.session", "moldudp64.sequence", "moldudp64.count", "moldudp64.msgseq"];
    let totals = ["239.1.1.1", "239.1.1.2"].map(|group| {
        let of_line = format!("ip.dst == {group}");
        none_is_malformed(wire, &of_line);
        let packets = dissect(wire, &of_line, &fields);
        let mut next = 1u64;
        let (mut heartbeats, mut ends) = (0, 0);
        for packet in &packets {
            let [session, sequence, count, blocks] = &packet[..] else { panic!("{packet:?}") };
            assert_eq!(session, "WIREBOOK01");
            assert_eq!(sequence.parse(), Ok(next), "{packet:?}");
            match count.as_str() {
                "65535" => ends += 1,
                "0" => heartbeats += 1,
                count => {
                    let count: u64 = count.parse().unwrap();
                    assert_eq!(
                        (count, blocks.split(',').count() as u64, ends),
                        (count, count, 0),
                        "{packet:?}"
                    );
                    next += count;
                }
            }
        }
        assert!(ends > 0, "{group}: no end of session, {heartbeats} heartbeats");
        next - 1
    });
    assert!(totals[0] == totals[1] && totals[0] >= 15_000, "{totals:?}");
    totals[0]
}

/// The request server's answer: what was asked for, or its beginning.
fn answered(wire: &Path) {
    let of_server = format!("udp.srcport == {REQUESTS}");
    none_is_malformed(wire, &of_server);
    let answers = dissect(wire, &of_server, &["moldudp64.session", "moldudp64.sequence", "moldudp64.count"]);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(answer[..2], ["WIREBOOK01", "5"]);
    let count: u64 = answer[2].parse().unwrap();
    assert!((1..=20).contains(&count), "{answers:?}");
}

/// Types of the SoupBinTCP packets from `port`, in order, and how often each followed itself.
fn types(wire: &Path, filter: &str) -> Vec<(char, usize)> {
    none_is_malformed(wire, &format!("({filter}) && soupbintcp"));
    let mut types: Vec<(char, usize)> = Vec::new();
    for row in dissect(wire, &format!("({filter}) && soupbintcp"), &["soupbintcp.packet_type"]) {
        for code in row[0].split(',') {
            // Shown as a character, or as its number.
            let number = code.strip_prefix("0x").and_then(|hex| u8::from_str_radix(hex, 16).ok());
            let code = number.map_or_else(|| code.trim_matches('\'').chars().next().unwrap(), char::from);
            match types.last_mut() {
                Some((last, count)) if *last == code => *count += 1,
                _ => types.push((code, 1)),
            }
        }
    }
    types
}

fn logged_in(wire: &Path, port: u16) {
    let login = dissect(
        wire,
        &format!("tcp.dstport == {port} && soupbintcp.username"),
        &["soupbintcp.username", "soupbintcp.session", "soupbintcp.req_seq_num"],
    );
    let [login] = &login[..] else { panic!("{login:?}") };
    assert_eq!(login[0].trim(), "WIRE01", "{login:?}");
    let accepted = dissect(
        wire,
        &format!("tcp.srcport == {port} && soupbintcp.next_seq_num"),
        &["soupbintcp.session", "tcp.payload"],
    );
    let [accepted] = &accepted[..] else { panic!("{accepted:?}") };
    assert!(!accepted[0].trim().is_empty(), "{accepted:?}");
    // tshark 4.0 takes digits behind spaces, as the document has them, for no number: from the bytes, then.
    let padded: String = format!("{:>20}", 1).bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(accepted[1].starts_with("001f41") && accepted[1][26..].starts_with(&padded), "{accepted:?}");
}

fn snapshot_as_sent(wire: &Path, messages: usize) {
    logged_in(wire, GLIMPSE);
    let types = types(wire, &format!("tcp.srcport == {GLIMPSE}"));
    assert_eq!(types, [('A', 1), ('S', messages), ('Z', 1)]);
    assert!(messages > 100, "{messages} messages");
}

fn orders_as_sent(wire: &Path) {
    logged_in(wire, ORDERS);
    let types = types(wire, &format!("tcp.srcport == {ORDERS}"));
    assert_eq!(types.first(), Some(&('A', 1)), "{types:?}");
    assert_eq!(types.last(), Some(&('Z', 1)), "{types:?}");
    assert!(['S', 'H'].iter().all(|code| types.iter().any(|(type_, _)| type_ == code)), "{types:?}");
    assert!(types.iter().all(|(code, _)| "ASHZ".contains(*code)), "{types:?}");
}

/// A SoupBinTCP client of a few lines.
struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Client {
    /// Connects as soon as somebody listens.
    fn connect(network: &Network, port: u16) -> Self {
        let began = Instant::now();
        let stream = loop {
            match network.inside(|| TcpStream::connect(SocketAddrV4::new(VENUE, port))) {
                Ok(stream) => break stream,
                Err(why) => assert!(began.elapsed() < PATIENCE, "{port}: {why}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self { stream, bytes: Vec::new() }
    }

    /// Sends one packet: its type, and what it carries.
    fn send(&mut self, packet: &[u8]) {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length[..], packet].concat()).unwrap();
    }

    fn login(&mut self) {
        self.send(format!("L{:<6}{:<10}{:<10}{:>20}", "WIRE01", "secret", "", 1).as_bytes());
        let first = self.until(|_| true);
        assert_eq!(first[0][0], b'A', "{first:?}");
    }

    /// Packets up to the first one that is `last`; heartbeats are sent meanwhile.
    fn until(&mut self, last: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let (began, mut beaten, mut packets) = (Instant::now(), Instant::now(), Vec::new());
        let mut scratch = [0; 65_536];
        loop {
            while let [high, low, rest @ ..] = &self.bytes[..]
                && let Some(packet) = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))
            {
                packets.push(packet.to_vec());
                self.bytes.drain(..2 + packets[packets.len() - 1].len());
                if last(&packets[packets.len() - 1]) {
                    return packets;
                }
            }
            assert!(began.elapsed() < PATIENCE, "{} packets, and no end", packets.len());
            if beaten.elapsed() > Duration::from_millis(500) {
                beaten = Instant::now();
                self.send(b"R");
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => panic!("the server hung up; {} packets, {:?}", packets.len(), packets.last()),
                Ok(count) => self.bytes.extend(&scratch[..count]),
                // Time to look at the clock.
                Err(_) => {}
            }
        }
    }
}
