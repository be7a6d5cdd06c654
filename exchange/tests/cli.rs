//! The commands as a user runs them.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use exchange::files::ItchReader;
use exchange::frames;
use exchange::mold::Packet;
use exchange::reference::Books;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_exchange")).args(arguments).output().expect("it starts")
}

fn good(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn path(name: &str) -> String {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    directory.join(format!("{}-{name}", std::process::id())).to_str().expect("a plain path").to_owned()
}

fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = ItchReader::new(file);
    let mut all = Vec::new();
    while let Some(message) = reader.next().expect("whole messages") {
        all.push(message.to_vec());
    }
    all
}

/// Frames of a pcap, each with its time.
fn frames(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut rest = &file[24..];
    while let Some((header, after)) = rest.split_first_chunk::<16>() {
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let (frame, after) = after.split_at(word(8) as usize);
        frames.push((u64::from(word(0)) * 1_000_000_000 + u64::from(word(4)), frame.to_vec()));
        rest = after;
    }
    frames
}

#[test]
fn a_stream_and_its_books() {
    let (file, market, rebuilt) = (path("day.itch"), path("market.csv"), path("rebuilt.csv"));
    let said = good(&[
        "stream",
        "--messages",
        "40000",
        "--symbols",
        "20",
        "--seed",
        "3",
        "--out",
        &file,
        "--dump",
        &market,
    ]);
    assert!(said.contains("messages") && said.contains("40000"), "{said}");
    let told = good(&["books", &file, "--dump", &rebuilt]);
    assert!(told.contains("instruments") && told.contains("ended"), "{told}");
    let (market, rebuilt) =
        (std::fs::read(market).expect("written"), std::fs::read(rebuilt).expect("written"));
    assert!(market == rebuilt && market.len() > 20_000);
    let again = path("again.itch");
    good(&["stream", "--messages", "40000", "--symbols", "20", "--seed", "3", "--out", &again]);
    assert!(std::fs::read(&file).expect("written") == std::fs::read(again).expect("written"));
}

#[test]
fn a_pcap_with_holes_that_the_other_line_fills() {
    let (file, capture) = (path("holes.itch"), path("holes.pcap"));
    good(&["stream", "--messages", "30000", "--symbols", "10", "--out", &file]);
    let expected = messages(&std::fs::read(&file).expect("written"));
    for (tag, options) in [
        (None, &["--loss-a", "50000", "--loss-b", "50000", "--burst", "3", "--disjoint"][..]),
        (Some(42), &["--vlan", "42", "--reorder-a", "20000", "--duplicate-b", "20000", "--loss-a", "1000"]),
    ] {
        let mut call = vec!["pcap", "--from", &file, "--out", &capture];
        call.extend_from_slice(options);
        let said = good(&call);
        assert!(said.contains("line A") && said.contains("line B"), "{said}");
        let frames = frames(&std::fs::read(&capture).expect("written"));
        assert!(frames.is_sorted_by_key(|(time, _)| *time));
        let mut got = vec![None; expected.len()];
        let mut per_line = [0; 2];
        for (_, frame) in &frames {
            let datagram = frames::parse(frame).expect("good checksums");
            assert_eq!(datagram.to.vlan, tag);
            assert_eq!((datagram.to.dst_port, datagram.to.ttl), (26_400, 1));
            let line = usize::from(datagram.to.dst == Ipv4Addr::new(239, 1, 1, 2));
            per_line[line] += 1;
            let packet = Packet::parse(datagram.payload).expect("a packet");
            for (message, sequence) in packet.messages().zip(packet.sequence as usize - 1..) {
                got[sequence] = Some(message.to_vec());
            }
        }
        assert!(per_line[0] != per_line[1] && per_line.iter().all(|count| *count > 500), "{per_line:?}");
        assert!(
            got.into_iter()
                .map(|message| message.expect("on one line at least"))
                .eq(expected.iter().cloned())
        );
        let last = frames::parse(&frames.last().expect("frames").1).expect("good");
        assert!(Packet::parse(last.payload).expect("a packet").ends);
    }
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    for (arguments, code, what) in [
        (&[][..], 2, "name a command"),
        (&["dance"], 2, "no command 'dance'"),
        (&["stream", "--messages", "10", "--out", "/nonexistent/x"], 2, "at least"),
        (&["stream", "--messages", "9000", "--out", "/nonexistent/x"], 1, "/nonexistent/x"),
        (&["stream", "--messages", "9000"], 2, "--out is missing"),
        (&["pcap", "--out", "x"], 2, "--messages N or --from"),
        (&["pcap", "--out", "x", "--from", "y", "--messages", "9"], 2, "exclude"),
        (&["pcap", "--out", "x", "--from", "/nonexistent/y"], 1, "/nonexistent/y"),
        (&["pcap", "--out", "x", "--from", "y", "--vlan", "4095"], 2, "from 1 to 4094"),
        (&["pcap", "--out", "x", "--from", "y", "--group-b", "10.0.0.1"], 2, "multicast"),
        (&["serve", "--messages", "9000"], 2, "--interface-ip is missing"),
        (&["serve", "--interface-ip", "127.0.0.1"], 2, "--messages N, --for SECONDS or --control"),
        (
            &["serve", "--interface-ip", "127.0.0.1", "--for", "1", "--plan", "1s dance"],
            2,
            "entry 1 '1s dance'",
        ),
        (&["serve", "--interface-ip", "127.0.0.1", "--for", "1", "--requests", "1,2,3"], 2, "a port, or two"),
        (&["serve", "--interface-ip", "127.0.0.1", "--for", "1", "--burst-ms", "5"], 2, "--burst-every-ms"),
        (&["serve", "--interface-ip", "192.0.2.1", "--for", "1"], 1, "an address of this machine?"),
        (&["books"], 2, "FILE.itch is missing"),
    ] {
        let output = run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(what) && error.lines().count() == 1, "{arguments:?}: {error}");
    }
    assert!(good(&["--help"]).contains("exit codes"));
}

#[test]
fn books_refuses_a_wrong_file() {
    let file = path("wrong.itch");
    // A delete of an order that nobody added.
    let mut delete = vec![0, 19, b'D', 0, 1];
    delete.resize(21, 0);
    std::fs::write(&file, &delete).expect("a place to write");
    let output = run(&["books", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("message 1 ('D'): UnknownOrder"));
    std::fs::write(&file, &delete[..20]).expect("a place to write");
    assert!(String::from_utf8_lossy(&run(&["books", &file]).stderr).contains("ends within a message"));
}

/// Over the loopback interface: the feed, and an order that is answered.
#[test]
fn the_feed_and_the_gateway_live() {
    // Ports and groups of this process's own: several copies of this test may run on one machine.
    let own = std::process::id();
    let [_, _, high, low] = own.to_be_bytes();
    let (group_a, group_b) = (Ipv4Addr::new(239, 77, high, low), Ipv4Addr::new(239, 78, high, low));
    let (port, gateway) = (20_000 + (own % 5_000) as u16, 25_000 + (own % 5_000) as u16);
    let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a free port");
    for group in [group_a, group_b] {
        receiver.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).expect("loopback takes multicast");
    }
    receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let dump = path("live.csv");
    let mut sender = Command::new(env!("CARGO_BIN_EXE_exchange"))
        .args([
            "serve",
            "--interface-ip",
            "127.0.0.1",
            "--messages",
            "12000",
            "--symbols",
            "4",
            "--rate",
            "8000",
        ])
        .args(["--group-a", &group_a.to_string(), "--group-b", &group_b.to_string()])
        .args(["--port", &port.to_string(), "--gateway", &gateway.to_string(), "--dump", &dump])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");

    let mut books = Books::new();
    let (mut next, mut ended, mut ordered) = (1u64, 0, false);
    let mut replies = Vec::new();
    let mut buffer = [0; 2_048];
    let deadline = Instant::now() + Duration::from_secs(60);
    while ended < 6 && Instant::now() < deadline {
        let len = receive(&receiver, &mut buffer, "the feed goes on");
        let packet = Packet::parse(&buffer[..len]).expect("a packet");
        ended += u32::from(packet.ends);
        // The second copy of what was seen is passed over.
        for (message, sequence) in packet.messages().zip(packet.sequence..) {
            if sequence == next {
                next += 1;
                books.apply(message).expect("a right feed");
                // In the middle of the day: before and in the opening cross an order would rest, or be refused.
                if sequence == 6_000 {
                    ordered = true;
                    order(&client, gateway);
                }
            }
        }
        // The replies are few: read them when there is nothing to lose.
        if ended == 1 && replies.is_empty() {
            while !replies.contains(&b'C') {
                let mut reply = [0; 2_048];
                let len = receive(&client, &mut reply, "the order is answered");
                let packet = Packet::parse(&reply[..len]).expect("a packet");
                replies.extend(packet.messages().map(|message| message[0]));
            }
        }
    }
    let output = sender.wait_with_output_within(Duration::from_secs(20));
    let accepted = output.lines().find_map(|line| line.strip_prefix("gateway_accepted"));
    assert_eq!(accepted.map(str::trim), Some("1"), "{output}");
    assert!(ordered && books.ended(), "only {next} messages came, ended {ended}");
    assert_eq!(&replies[..2], b"SA");
    let mut rebuilt = Vec::new();
    books.dump(&mut rebuilt).expect("memory");
    assert!(rebuilt == std::fs::read(dump).expect("written"));
}

/// One datagram. A receive with a time-out is not taken up again by the kernel after an interruption.
fn receive(socket: &UdpSocket, buffer: &mut [u8], what: &str) -> usize {
    loop {
        match socket.recv(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => return received.expect(what),
        }
    }
}

/// Buys a share at a cent, immediately or not at all.
fn order(client: &UdpSocket, gateway: u16) {
    let mut message = vec![b'O', 0, 0, 0, 1, b'B', 0, 0, 0, 1];
    message.extend_from_slice(&exchange::units::Symbol::simulated(0).0);
    message.extend_from_slice(&100u64.to_be_bytes());
    message.extend_from_slice(b"3YPNNORDER-NUMBER-\0\0");
    message.truncate(45);
    message.extend_from_slice(&[0, 0]);
    let mut datagram = vec![0, 48, b'U'];
    datagram.extend_from_slice(&message);
    client.send_to(&datagram, (Ipv4Addr::LOCALHOST, gateway)).expect("sent");
}

/// Waiting with an end.
trait Within {
    fn wait_with_output_within(&mut self, limit: Duration) -> String;
}

impl Within for std::process::Child {
    fn wait_with_output_within(&mut self, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        while self.try_wait().expect("our own child").is_none() {
            if Instant::now() > deadline {
                self.kill().expect("our own child");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut output = String::new();
        let stdout = self.stdout.take();
        std::io::Read::read_to_string(&mut stdout.expect("piped"), &mut output).expect("text");
        output
    }
}
