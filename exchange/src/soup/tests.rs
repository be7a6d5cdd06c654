use super::*;
use crate::rng::Rng;

const SECOND: u64 = 1_000_000_000;

fn login(username: &str, password: &str, session: &str, sequence: &str) -> Vec<u8> {
    let mut packet = b"\0\x2FL".to_vec();
    for (field, len) in [(username, 6), (password, 10), (session, 10), (sequence, 20)] {
        packet.extend_from_slice(format!("{field:<len$}").as_bytes());
    }
    assert_eq!(packet.len(), 49);
    packet
}

fn store(messages: u64) -> Archive {
    let mut store = Archive::new(*b"SOUP000001", 1 << 20);
    for sequence in 1..=messages {
        store.push(format!("message {sequence}").as_bytes());
    }
    store
}

/// Type and payload of each packet, which must fill the bytes.
fn packets(mut bytes: &[u8]) -> Vec<(char, Vec<u8>)> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>().expect("a length");
        let (packet, after) = rest.split_at(usize::from(u16::from_be_bytes(*len)));
        packets.push((char::from(packet[0]), packet[1..].to_vec()));
        bytes = after;
    }
    packets
}

fn kinds(bytes: &[u8]) -> String {
    packets(bytes).iter().map(|(kind, _)| kind).collect()
}

/// A client that says all this at once: what the server hears of it.
fn hears(server: &mut Server, now: u64, mut bytes: &[u8]) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(event) = server.receive(now, &mut bytes) {
        heard.push(match event {
            Event::Login(login) => {
                let text = format!("login {} {}", String::from_utf8_lossy(&login.username), login.sequence);
                server.accept(now, login.sequence, &mut Vec::new());
                text
            }
            Event::Unsequenced(message) => String::from_utf8_lossy(message).into_owned(),
        });
    }
    heard
}

fn logged_in(config: Config) -> Server {
    let mut server = Server::new(config, 0);
    assert_eq!(hears(&mut server, 0, &login("user", "secret", "", "1")).len(), 1);
    assert!(server.is_open());
    server
}

#[test]
fn a_login_is_accepted_and_messages_follow_from_the_sequence_it_asked_for() {
    let store = store(5);
    let mut server = Server::new(Config::default(), 0);
    let mut out = Vec::new();
    assert_eq!(server.pump(0, &store, u64::MAX, &mut out), 0);
    let bytes = login("user", "secret", "", "3");
    let Some(Event::Login(asked)) = server.receive(0, &mut &bytes[..]) else { panic!("a login") };
    assert_eq!((asked.username, asked.password), (*b"user  ", *b"secret    "));
    assert_eq!(asked.place(&store), Ok(3));
    server.accept(0, 3, &mut out);
    assert_eq!(out, b"\0\x1FASOUP000001                   3");
    out.clear();
    assert_eq!(server.pump(0, &store, 5, &mut out), 2);
    assert_eq!(out, b"\0\x0ASmessage 3\0\x0ASmessage 4");
    out.clear();
    assert_eq!((server.pump(0, &store, u64::MAX, &mut out), server.cursor()), (1, 6));
    out.clear();
    server.end_of_session(&mut out);
    assert_eq!((&out[..], server.ended()), (&b"\0\x01Z"[..], Some(End::ByServer)));
    assert_eq!((server.counters().logins, server.counters().sequenced), (1, 3));
}

#[test]
fn numbers_and_names_are_accepted_padded_either_way() {
    let store = store(9);
    for (sequence, expected) in [
        ("1", Some(1)),
        ("                   7", Some(7)),
        ("         7          ", Some(7)),
        ("00000000000000000007", Some(7)),
        ("0", Some(10)),
        ("10", Some(10)),
        ("11", None),
        ("18446744073709551615", None),
    ] {
        let bytes = login("u", "p", "", sequence);
        let mut server = Server::new(Config::default(), 0);
        let Some(Event::Login(asked)) = server.receive(0, &mut &bytes[..]) else { panic!("{sequence}") };
        assert_eq!(asked.place(&store).ok(), expected, "{sequence}");
    }
    for wrong in ["", "x", "-1", "1.0", "18446744073709551616", "1 1"] {
        let mut server = Server::new(Config::default(), 0);
        assert!(hears(&mut server, 0, &login("u", "p", "", wrong)).is_empty());
        assert_eq!(server.ended(), Some(End::BadLogin), "{wrong}");
    }
    for (session, fits) in
        [("", true), ("SOUP000001", true), ("SOUP", false), ("SOUP000002", false), ("soup000001", false)]
    {
        let bytes = login("u", "p", session, "1");
        let asked = Server::new(Config::default(), 0);
        let Some(Event::Login(asked)) = asked.clone().receive(0, &mut &bytes[..]) else {
            panic!("{session}")
        };
        assert_eq!(asked.place(&store).is_ok(), fits, "{session}");
    }
    let padded = Login { username: *b"  USER", password: *b" Secret   ", session: [b' '; 10], sequence: 1 };
    let with = |name, word| Credentials::new(name, word).expect("short").admit(&padded);
    assert!(with("user", "secret") && with("UsEr", "SECRET"));
    assert!(!with("user", "") && !with("use", "secret") && !with("", "secret") && !with("users", "secret"));
    assert!(Credentials::new("toolong", "").is_none() && Credentials::new("", "12345678901").is_none());
    assert!(Login { session: *b" S01      ", ..padded }.asks_for(b"       S01"));
}

#[test]
fn a_login_with_a_heartbeat_time_out() {
    for (timeout, good) in
        [("15000", true), ("  500", true), ("     ", true), ("15 00", false), ("-1000", false)]
    {
        let mut bytes = login("user", "secret", "", "1");
        bytes[1] += 5;
        bytes.extend_from_slice(timeout.as_bytes());
        assert_eq!(bytes.len(), 54);
        let mut server = Server::new(Config { max_packet: 0, ..Config::default() }, 0);
        assert_eq!(hears(&mut server, 0, &bytes).len(), usize::from(good), "{timeout}");
    }
    for (len, extra) in [(46u8, 0), (48, 1), (51, 4), (53, 6)] {
        let mut bytes = login("user", "secret", "", "1");
        bytes[1] = len;
        bytes.extend(std::iter::repeat_n(b'1', extra));
        let mut server = Server::new(Config::default(), 0);
        assert!(hears(&mut server, 0, &bytes).is_empty());
        assert_eq!(server.ended(), Some(End::BadLogin), "{len}");
    }
}

#[test]
fn the_stream_may_be_cut_anywhere() {
    let talk = [
        &b"\0\x06+hello"[..],
        &login("user", "secret", "", "1"),
        b"\0\x01R",
        b"\0\x04Uabc",
        b"\0\x01U",
        b"\0\x05+more",
        b"\0\x03Ude",
        b"\0\x01O",
    ]
    .concat();
    let expected = ["login user   1", "abc", "", "de"];
    let whole = |server: &Server| {
        assert_eq!(server.ended(), Some(End::Logout));
        let SoupCounters { debug, heartbeats, unsequenced, logouts, .. } = *server.counters();
        assert_eq!((debug, heartbeats, unsequenced, logouts), (2, 1, 3, 1));
    };
    // At every place, and byte by byte.
    for cut in 0..=talk.len() {
        let mut server = Server::new(Config::default(), 0);
        let mut heard = hears(&mut server, 0, &talk[..cut]);
        heard.extend(hears(&mut server, 0, &talk[cut..]));
        assert_eq!(heard, expected, "{cut}");
        whole(&server);
    }
    let mut server = Server::new(Config::default(), 0);
    let heard: Vec<String> = talk.chunks(1).flat_map(|byte| hears(&mut server, 0, byte)).collect();
    assert_eq!(heard, expected);
    whole(&server);
    // What comes after the end is of no interest.
    assert!(hears(&mut server, 0, &talk).is_empty());
}

#[test]
fn what_is_no_packet_ends_the_connection() {
    let cases: [(&[u8], End); 9] = [
        (b"\0\0", End::NoType),
        (b"\xFF\xFF", End::TooLong),
        (b"\x04\x01", End::TooLong),
        (b"\0\x01?", End::BadType),
        (b"\0\x02Sx", End::BadType),
        (b"\0\x01A", End::BadType),
        (b"\0\x01H", End::BadType),
        (b"\0\x01Z", End::BadType),
        (b"\0\x01L", End::BadType),
    ];
    for (bytes, end) in cases {
        for split in 0..=bytes.len() {
            let mut server = logged_in(Config::default());
            hears(&mut server, 0, &bytes[..split]);
            hears(&mut server, 0, &bytes[split..]);
            assert_eq!(server.ended(), Some(end), "{bytes:?}");
            assert_eq!(server.counters().protocol_errors, 1);
        }
    }
    // Orders before a login, and a login that is none.
    for (bytes, end) in [(&b"\0\x02Ux"[..], End::BadType), (b"\0\x02Lx", End::BadLogin)] {
        let mut server = Server::new(Config::default(), 0);
        assert!(hears(&mut server, 0, bytes).is_empty());
        assert_eq!(server.ended(), Some(end));
    }
    // The longest packet that may be.
    let mut server = logged_in(Config::default());
    let mut longest = b"\x04\0U".to_vec();
    longest.resize(2 + 1_024, b'x');
    assert_eq!(hears(&mut server, 0, &longest)[0].len(), 1_023);
}

#[test]
fn random_bytes_and_endless_lengths_take_no_memory() {
    let mut rng = Rng::new(1);
    let (mut errors, mut logins) = (0, 0);
    for round in 0..20_000 {
        let mut server = Server::new(Config::default(), 0);
        let mut bytes = if round % 2 == 0 { login("user", "secret", "", "1") } else { Vec::new() };
        let (kept, len) = (bytes.len(), rng.index(3_000));
        bytes.extend(std::iter::repeat_with(|| rng.next() as u8).take(len));
        if rng.chance(1, 2) {
            // Short packets of likely types.
            for at in (kept..bytes.len()).step_by(3) {
                bytes[at] = b"\0\0U+R"[rng.index(5)];
            }
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (now, after) = rest.split_at(1 + rng.index(rest.len()));
            hears(&mut server, 0, now);
            rest = after;
            assert!(server.packet.capacity() <= 4_096);
        }
        logins += server.counters().logins;
        errors += server.counters().protocol_errors;
    }
    assert_eq!(logins, 10_000);
    assert!(errors > 15_000, "{errors}");
}

#[test]
fn silence_is_broken_by_us_and_punished_in_clients() {
    let mut server = logged_in(Config::default());
    let mut out = Vec::new();
    assert_eq!(server.next_due(false), SECOND);
    server.tick(SECOND - 1, &mut out);
    assert!(out.is_empty());
    server.tick(SECOND, &mut out);
    assert_eq!(out, b"\0\x01H");
    // What we send counts as a sign of life.
    out.clear();
    assert_eq!(server.pump(SECOND * 3 / 2, &store(1), u64::MAX, &mut out), 1);
    out.clear();
    server.tick(SECOND * 2, &mut out);
    assert!(out.is_empty());
    assert_eq!(server.next_due(false), SECOND * 5 / 2);
    // The client says something every second: it stays. A cut packet says nothing.
    for second in 1..40 {
        hears(&mut server, second * SECOND, b"\0\x01R");
        server.tick(second * SECOND, &mut out);
        assert_eq!(server.ended(), None);
    }
    hears(&mut server, 45 * SECOND, b"\0\x09");
    server.tick(54 * SECOND - 1, &mut out);
    assert_eq!(server.ended(), None);
    server.tick(54 * SECOND, &mut out);
    assert_eq!((server.ended(), server.counters().silent), (Some(End::Silent), 1));
    // No login: heartbeats do not help.
    let mut server = Server::new(Config::default(), 0);
    hears(&mut server, 29 * SECOND, b"\0\x01R");
    out.clear();
    server.tick(30 * SECOND - 1, &mut out);
    assert_eq!((server.ended(), server.next_due(false)), (None, 30 * SECOND));
    server.tick(30 * SECOND, &mut out);
    assert_eq!((server.ended(), out.len()), (Some(End::LoginTimeout), 0));
}

#[test]
fn a_rejected_login_ends_the_connection() {
    for (reason, said) in [(Rejection::NotAuthorized, b"\0\x02JA"), (Rejection::Session, b"\0\x02JS")] {
        let mut server = Server::new(Config::default(), 0);
        let mut out = Vec::new();
        server.reject(reason, &mut out);
        assert!(out.is_empty() && server.ended().is_none(), "nobody asked");
        assert!(server.receive(0, &mut &login("user", "secret", "", "1")[..]).is_some());
        server.reject(reason, &mut out);
        assert_eq!((&out[..], server.ended()), (&said[..], Some(End::Rejected)));
        server.accept(0, 1, &mut out);
        assert_eq!(out.len(), 4, "too late");
    }
}

#[test]
fn portions_are_bounded_and_paced() {
    let store = store(20_000);
    let mut server = logged_in(Config { portion: 1_000, ..Config::default() });
    let mut out = Vec::new();
    let mut calls = 0;
    while server.cursor() < store.next() {
        assert_eq!(server.next_due(true), 0);
        let before = out.len();
        assert!(server.pump(0, &store, u64::MAX, &mut out) > 0);
        assert!(out.len() - before < 1_020);
        calls += 1;
    }
    assert!(calls >= out.len() / 1_020);
    let got: Vec<_> = packets(&out).into_iter().map(|(_, payload)| payload).collect();
    assert!(got.iter().zip(1..).all(|(payload, sequence)| store.get(sequence) == Some(&payload[..])));
    assert_eq!(got.len(), 20_000);
    // 300 KB at 100 KB a second take three seconds, however often somebody looks.
    for step in [0, 1_000, 3_000_000, 9_000_000] {
        let mut server = logged_in(Config { bytes_per_s: 100_000, ..Config::default() });
        let (mut sent, mut now) = (0, 5 * SECOND);
        while server.cursor() < store.next() {
            let mut out = Vec::new();
            server.pump(now, &store, u64::MAX, &mut out);
            sent += out.len() as u64;
            let allowed = (now - 5 * SECOND) / 10_000 + 1_100;
            assert!(sent <= allowed, "{sent} of {allowed}");
            now = now.max(server.next_due(true)) + step;
        }
        let took = now - 5 * SECOND;
        let ideal = sent * 10_000;
        assert!(took.abs_diff(ideal) < ideal / 50 + 20_000_000, "{took} for {ideal}");
    }
}

#[test]
fn what_is_not_kept_any_more_is_lost_and_counted() {
    let mut store = Archive::new(*b"SOUP000001", 0);
    let mut server = logged_in(Config { portion: usize::MAX, ..Config::default() });
    for _ in 0..10_000 {
        store.push(&[b'x'; 100]);
    }
    let first = store.first();
    assert!(first > 1);
    let mut out = Vec::new();
    assert_eq!(server.pump(0, &store, u64::MAX, &mut out), store.next() - first);
    assert_eq!(server.counters().lost, first - 1);
    // A login that asks for it is told where it goes on.
    let asked = Login { username: [b'u'; 6], password: [b' '; 10], session: [b' '; 10], sequence: 1 };
    assert_eq!(asked.place(&store), Ok(first));
    assert_eq!(kinds(&out).len() as u64, store.next() - first);
}
