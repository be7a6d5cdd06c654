use super::*;

const SECOND: u64 = 1_000_000_000;
const CONTENTS: u64 = 10_000;
const NEXT: u64 = 77_777;
const CONN: ConnId = ConnId(1);

fn message(number: u64) -> Vec<u8> {
    format!("message {number:>9} of the snapshot").into_bytes()
}

fn take(sink: &mut dyn FnMut(&[u8])) -> u64 {
    for number in 1..=CONTENTS {
        sink(&message(number));
    }
    NEXT
}

fn login(username: &str, password: &str, session: &str, sequence: u64) -> Vec<u8> {
    format!("\0\x2FL{username:<6}{password:<10}{session:<10}{sequence:>20}").into_bytes()
}

/// What a connection brought, as a client sees it.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    closed: Option<u64>,
}

impl Seen {
    fn hear(&mut self, now: u64, output: Output<'_>) {
        assert!(self.closed.is_none(), "nothing after the end");
        match output {
            Output::Bytes { conn, bytes } => {
                assert_eq!(conn, CONN);
                self.bytes.extend_from_slice(bytes);
            }
            Output::Close { .. } => self.closed = Some(now),
        }
    }

    /// Whole packets, as far as there are any.
    fn packets(&self) -> Vec<&[u8]> {
        let (mut packets, mut rest) = (Vec::new(), &self.bytes[..]);
        while let Some((len, after)) = rest.split_first_chunk::<2>()
            && let Some((packet, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))
            && !packet.is_empty()
        {
            packets.push(packet);
            rest = after;
        }
        packets
    }

    fn count(&self, kind: u8) -> usize {
        self.packets().iter().filter(|packet| packet[0] == kind).count()
    }

    fn sequenced(&self) -> Vec<&[u8]> {
        let packets = self.packets();
        packets.iter().filter(|packet| packet[0] == b'S').map(|packet| &packet[1..]).collect()
    }

    /// The session in Login Accepted.
    fn session(&self) -> Option<&[u8]> {
        self.packets().first().filter(|packet| packet[0] == b'A').map(|packet| &packet[1..11])
    }
}

fn connected(config: Config) -> Server {
    let mut server = Server::new(config);
    server.on_connect(0, CONN);
    server
}

/// Logs in at 0 and lets time go on until `end`, by the server's own due times.
fn play(server: &mut Server, bytes: &[u8], end: u64) -> Seen {
    let mut seen = Seen::default();
    server.on_bytes(0, CONN, bytes, &mut take, &mut |output| seen.hear(0, output));
    run(server, &mut seen, 0, end);
    seen
}

fn run(server: &mut Server, seen: &mut Seen, mut now: u64, end: u64) {
    let mut same = 0;
    loop {
        let due = server.next_due().max(now);
        if due > end {
            break;
        }
        same = if due == now { same + 1 } else { 0 };
        assert!(same < 1_000, "time goes on");
        now = due;
        server.tick(now, &mut |output| seen.hear(now, output));
    }
}

fn with(fault: Fault, end: u64) -> (Server, Seen) {
    let mut server = connected(Config::default());
    server.set_fault(Some(fault));
    let seen = play(&mut server, &login("user", "secret", "", 1), end);
    (server, seen)
}

#[test]
fn a_snapshot_comes_whole_and_ends_with_its_sequence() {
    for (stated, padding, end) in [
        (Stated::Next, Padding::Space, b"G               77777"),
        (Stated::Last, Padding::Zero, b"G00000000000000077776"),
    ] {
        let mut server = connected(Config { stated, padding, ..Config::default() });
        let seen = play(&mut server, &login("user", "secret", "SOUP000001", 1), 10 * SECOND);
        assert_eq!(seen.session(), Some(&b"SOUP000001"[..]));
        let sequenced = seen.sequenced();
        assert_eq!(sequenced.len() as u64, CONTENTS + 1);
        assert!(sequenced.iter().zip(1..=CONTENTS).all(|(got, number)| *got == message(number)));
        assert_eq!(sequenced.last(), Some(&&end[..]));
        // A second later the server ends the session.
        assert_eq!(seen.packets().last(), Some(&&b"Z"[..]));
        assert!(seen.closed.is_some_and(|at| (SECOND..2 * SECOND).contains(&at)));
        assert_eq!((server.connections(), server.counters().completed), (0, 1));
        assert_eq!(server.soup_counters().sequenced, CONTENTS + 1);
    }
}

#[test]
fn a_client_that_logs_out_or_stays() {
    let mut server = connected(Config::default());
    let mut seen = play(&mut server, &login("user", "secret", "", 0), SECOND / 2);
    assert_eq!(seen.sequenced().len() as u64, CONTENTS + 1);
    server.on_bytes(SECOND, CONN, b"\0\x01O", &mut take, &mut |output| seen.hear(SECOND, output));
    assert_eq!((seen.closed, server.soup_counters().logouts, seen.count(b'Z')), (Some(SECOND), 1, 0));
    // Without an end from the server's side it gets heartbeats until it falls silent.
    let mut server = connected(Config { ends_after_ns: None, ..Config::default() });
    let seen = play(&mut server, &login("user", "secret", "", 1), 60 * SECOND);
    assert!((13..=15).contains(&seen.count(b'H')), "{}", seen.count(b'H'));
    assert_eq!((seen.closed, server.soup_counters().silent), (Some(15 * SECOND), 1));
}

#[test]
fn the_login_may_come_byte_by_byte() {
    let mut server = connected(Config::default());
    let mut seen = Seen::default();
    for byte in login("user", "secret", "", 1) {
        assert!(seen.bytes.is_empty());
        server.on_bytes(0, CONN, &[byte], &mut take, &mut |output| seen.hear(0, output));
    }
    run(&mut server, &mut seen, 0, SECOND);
    assert_eq!(seen.sequenced().len() as u64, CONTENTS + 1);
}

#[test]
fn logins_that_are_rejected() {
    let user = Credentials::new("user", "secret").expect("short");
    for (bytes, reason) in [
        (login("user", "wrong", "", 1), b"JA"),
        (login("other", "secret", "", 1), b"JA"),
        (login("USER", "SECRET", "OTHER", 1), b"JS"),
        (login("user", "secret", "", 2), b"JS"),
    ] {
        let mut server = connected(Config { users: vec![user], ..Config::default() });
        let seen = play(&mut server, &bytes, SECOND);
        assert_eq!((seen.packets(), seen.closed), (vec![&reason[..]], Some(0)));
        assert_eq!((server.connections(), server.counters().taken), (0, 0));
    }
    let mut server = connected(Config { users: vec![user], ..Config::default() });
    assert!(play(&mut server, &login("USER", "SECRET", "", 1), SECOND).session().is_some());
    // More than may be kept.
    let mut server = connected(Config { snapshot_bytes: 200_000, ..Config::default() });
    let seen = play(&mut server, &login("user", "secret", "", 1), SECOND);
    assert_eq!((seen.packets(), server.counters().too_large), (vec![&b"JS"[..]], 1));
}

#[test]
fn a_snapshot_is_of_the_moment_of_its_login_and_paced() {
    let soup = soup::Config { bytes_per_s: 100_000, ..soup::Config::default() };
    let mut server = connected(Config { soup, ..Config::default() });
    server.on_connect(0, ConnId(2));
    let mut number = 0;
    let (mut first, mut second) = (Seen::default(), Vec::new());
    let mut bytes = [0; 2];
    let mut sort = |output: Output<'_>| match output {
        Output::Bytes { conn: CONN, bytes: more } => {
            bytes[0] += more.len();
            first.hear(0, Output::Bytes { conn: CONN, bytes: more });
        }
        Output::Bytes { bytes: more, .. } => {
            bytes[1] += more.len();
            second.extend_from_slice(more);
        }
        Output::Close { .. } => panic!("not yet"),
    };
    let hello = login("user", "secret", "", 1);
    for now in (0..3 * SECOND).step_by(10_000_000) {
        let mut taken = |sink: &mut dyn FnMut(&[u8])| {
            number += 1;
            (0..CONTENTS).for_each(|_| {
                sink(format!("snapshot {number}, of quite some length, so that it lasts").as_bytes());
            });
            number
        };
        match now {
            0 => server.on_bytes(now, CONN, &hello, &mut taken, &mut sort),
            SECOND => server.on_bytes(now, ConnId(2), &hello, &mut taken, &mut sort),
            _ => server.tick(now, &mut sort),
        }
    }
    // Three seconds, and two: each at its own pace.
    for (sent, seconds) in bytes.into_iter().zip([3, 2]) {
        assert!(sent.abs_diff(seconds * 100_000) < 10_000, "{bytes:?}");
    }
    assert!(first.sequenced().iter().all(|message| message.starts_with(b"snapshot 1,")));
    let second = Seen { bytes: second, closed: None };
    assert!(second.sequenced().iter().all(|message| message.starts_with(b"snapshot 2,")));
    assert!(first.sequenced().len() > 3_000 && second.sequenced().len() > 3_000);
}

#[test]
fn connections_are_bounded() {
    let mut server = Server::new(Config { connections: 2, ..Config::default() });
    for number in 0..5 {
        server.on_connect(0, ConnId(number));
    }
    server.on_disconnect(0, ConnId(4));
    assert_eq!((server.connections(), server.next_due()), (2, 0));
    let mut closed = Vec::new();
    server.tick(0, &mut |output| match output {
        Output::Close { conn } => closed.push(conn),
        Output::Bytes { .. } => panic!("nobody logged in"),
    });
    assert_eq!(closed, [ConnId(2), ConnId(3)]);
    assert_eq!((server.next_due(), server.soup_counters().refused), (30 * SECOND, 3));
    // Bytes of a refused one are of no interest.
    server.on_bytes(0, ConnId(2), &login("user", "secret", "", 1), &mut take, &mut |_| panic!("refused"));
    server.on_disconnect(0, ConnId(0));
    server.on_connect(0, ConnId(9));
    assert_eq!((server.connections(), server.soup_counters().disconnected), (2, 1));
}

#[test]
fn a_roll_ends_what_is_under_way() {
    let mut server = connected(Config::default());
    let mut seen = Seen::default();
    server.on_bytes(0, CONN, &login("user", "secret", "", 1), &mut take, &mut |output| seen.hear(0, output));
    server.roll(*b"SOUP000002");
    assert_eq!(server.next_due(), 0);
    run(&mut server, &mut seen, 0, SECOND);
    assert!(seen.closed == Some(0) && (seen.sequenced().len() as u64) < CONTENTS);
    server.on_connect(0, CONN);
    let seen = play(&mut server, &login("user", "secret", "SOUP000002", 1), SECOND);
    assert_eq!(seen.session(), Some(&b"SOUP000002"[..]));
}

#[test]
fn faults_at_the_login() {
    let (server, seen) = with(Fault::RefuseLogin, SECOND);
    assert_eq!((seen.packets(), seen.closed), (vec![&b"JA"[..]], Some(0)));
    assert_eq!(server.counters().faulty, 1);
    let (server, seen) = with(Fault::Silent, 100 * SECOND);
    assert_eq!((seen.bytes.len(), seen.closed), (0, Some(30 * SECOND)));
    assert_eq!(server.soup_counters().login_timeouts, 1);
    let (_, seen) = with(Fault::DropConnection, SECOND);
    assert_eq!((seen.bytes.len(), seen.closed), (0, Some(0)));
    let (_, seen) = with(Fault::WrongSession, SECOND / 2);
    assert!(seen.session().is_some_and(|session| session != b"SOUP000001"));
    assert_eq!(seen.sequenced().len() as u64, CONTENTS + 1);
}

#[test]
fn faults_of_the_snapshot() {
    for messages in [0, 1, 777, CONTENTS] {
        let (server, seen) = with(Fault::CutOff(messages), 10 * SECOND);
        assert_eq!(seen.sequenced().len() as u64, messages);
        assert!(seen.closed.is_some() && seen.count(b'Z') == 0 && server.counters().completed == 0);
    }
    let (_, seen) = with(Fault::OldSequence(7_000), SECOND);
    assert_eq!(seen.sequenced().last(), Some(&&b"G               70777"[..]));
    let (server, seen) = with(Fault::Slow(10_000), 10 * SECOND);
    assert!(seen.bytes.len().abs_diff(100_000) < 2_000, "{}", seen.bytes.len());
    assert!(seen.closed.is_none() && server.counters().completed == 0);
    // So slow that only heartbeats keep the connection.
    let (_, seen) = with(Fault::Slow(1), 10 * SECOND);
    assert!(seen.count(b'H') >= 8 && seen.bytes.len() < 200);
    let (server, seen) = with(Fault::Endless, SECOND / 10);
    assert!(seen.closed.is_none() && server.counters().completed == 0);
    let sequenced = seen.sequenced();
    assert!(sequenced.len() as u64 > 20 * CONTENTS);
    assert!(sequenced.iter().zip(0..).all(|(got, number)| *got == message(number % CONTENTS + 1)));
}

#[test]
fn bad_lengths_and_garbage_come_in_the_middle() {
    let (mut zero, mut long, mut never) = (0, 0, 0);
    for seed in 0..20 {
        let mut server = connected(Config { seed, ends_after_ns: None, ..Config::default() });
        server.set_fault(Some(Fault::BadLength));
        let seen = play(&mut server, &login("user", "secret", "", 1), SECOND);
        let packets = seen.packets();
        let whole: usize = packets[..1 + CONTENTS as usize / 2].iter().map(|packet| packet.len() + 2).sum();
        assert!(packets[1..1 + CONTENTS as usize / 2].iter().all(|packet| packet[0] == b'S'));
        if seen.bytes[whole..].starts_with(b"\0\0") {
            zero += 1;
        } else {
            assert!(seen.bytes[whole..].starts_with(b"\xFF\xFFS"));
            long += 1;
        }
        let mut server = connected(Config { seed, ..Config::default() });
        server.set_fault(Some(Fault::Garbage));
        let mut seen = play(&mut server, &login("user", "secret", "", 1), SECOND / 50);
        // Once begun it does not stop: a client must not find its way back by chance, and miss something.
        server.set_fault(None);
        run(&mut server, &mut seen, SECOND / 50, SECOND / 25);
        assert!(seen.bytes.len() > 3_000_000, "{}", seen.bytes.len());
        assert!(seen.packets()[1..=CONTENTS as usize / 2].iter().all(|packet| packet[0] == b'S'));
        never += u32::from(!seen.sequenced().iter().any(|got| got.len() == 21 && got[0] == b'G'));
    }
    assert!(zero > 3 && long > 3, "{zero} and {long}");
    assert_eq!(never, 20);
}

#[test]
fn faults_strike_connections_that_stand_already() {
    let soup = soup::Config { bytes_per_s: 100_000, ..soup::Config::default() };
    for (fault, closed) in
        [(Fault::Silent, 15 * SECOND), (Fault::DropConnection, SECOND), (Fault::CutOff(10), SECOND)]
    {
        let mut server = connected(Config { soup, ..Config::default() });
        let mut seen = play(&mut server, &login("user", "secret", "", 1), SECOND - 1);
        let before = seen.bytes.len();
        assert!(before > 50_000 && seen.closed.is_none());
        server.set_fault(Some(fault));
        run(&mut server, &mut seen, SECOND, 20 * SECOND);
        assert!(seen.closed.is_some_and(|at| at - closed < 10_000_000), "{fault:?}: {:?}", seen.closed);
        assert_eq!(seen.count(b'Z'), 0);
        assert!(seen.bytes.len() - before < 10_000, "{fault:?}");
    }
    // A fault that is over leaves a connection that can still come to its end.
    let mut server = connected(Config { soup, ..Config::default() });
    server.set_fault(Some(Fault::Endless));
    let mut seen = play(&mut server, &login("user", "secret", "", 1), 6 * SECOND);
    server.on_bytes(6 * SECOND, CONN, b"\0\x01R", &mut take, &mut |output| seen.hear(6 * SECOND, output));
    server.set_fault(None);
    run(&mut server, &mut seen, 6 * SECOND, 20 * SECOND);
    assert!(seen.sequenced().last().is_some_and(|last| last[0] == b'G'));
}

#[test]
fn hostile_clients_are_shown_the_door() {
    for bytes in [&b"\0\0"[..], b"\xFF\xFF", b"\0\x02Ux", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut server = connected(Config::default());
        let seen = play(&mut server, bytes, SECOND);
        assert_eq!((seen.bytes.len(), seen.closed), (0, Some(0)));
        assert_eq!((server.soup_counters().protocol_errors, server.connections()), (1, 0));
    }
    // A second login on a connection.
    let mut server = connected(Config::default());
    let twice = [login("user", "secret", "", 1), login("user", "secret", "", 1)].concat();
    let seen = play(&mut server, &twice, SECOND);
    assert_eq!((seen.closed, server.counters().taken), (Some(0), 1));
}
