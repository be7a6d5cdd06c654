//! Scripted servers, and servers that say anything at all.

use super::*;
use crate::wire::soup::emit;

const LOGIN: Login = Login { username: *b"WBOOK ", password: *b"SECRET    ", session: [b' '; 10], next: 1 };
const SECOND: u64 = 1_000_000_000;

/// What a client heard, as text.
fn heard(client: &mut Client, now: u64, bytes: &[u8]) -> Vec<String> {
    let mut said = Vec::new();
    client.receive(now, bytes, &mut |what| {
        said.push(match what {
            Said::Message(bytes) => format!("message {}", bytes.escape_ascii()),
            Said::Unsequenced(bytes) => format!("unsequenced {}", bytes.escape_ascii()),
            other => format!("{other:?}"),
        });
    });
    said
}

const fn faults(c: &SoupCounters) -> u64 {
    c.zero_length + c.too_long + c.bad_type + c.bad_login + c.other_session + c.silent
}

fn packet(packet_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; payload.len() + 3];
    emit(&mut out, packet_type, payload).unwrap();
    out
}

fn accepted(session: &[u8; 10], sequence: u64) -> Vec<u8> {
    let mut out = vec![0; LoginAccepted::LEN];
    LoginAccepted { session: *session, sequence }.emit(&mut out).unwrap();
    out
}

fn message(text: &str) -> Vec<u8> {
    packet(packet_type::SEQUENCED_DATA, text.as_bytes())
}

fn connected(login: Login) -> Client {
    let mut client = Client::new(login);
    client.connected(0);
    client
}

#[test]
fn a_session_is_told_whole_however_its_bytes_are_cut() {
    let stream = [
        packet(packet_type::DEBUG, b"hello"),
        accepted(b"   TODAY01", 1),
        message("one"),
        packet(packet_type::SERVER_HEARTBEAT, b""),
        message(""),
        packet(packet_type::UNSEQUENCED_DATA, b"aside"),
        message("three"),
        packet(packet_type::END_OF_SESSION, b""),
        message("after the end"),
    ]
    .concat();
    let want = ["LoggedIn", "message one", "message ", "unsequenced aside", "message three", "EndOfSession"];
    let end = stream.len();
    let mut cuts = 0;
    for first in 0..=end {
        for second in first..=end {
            let mut client = connected(LOGIN);
            let mut said = heard(&mut client, 5, &stream[..first]);
            said.extend(heard(&mut client, 6, &stream[first..second]));
            said.extend(heard(&mut client, 7, &stream[second..]));
            assert_eq!(said, want, "cut at {first} and {second}");
            assert_eq!(client.resume_point(), (*b"   TODAY01", 4));
            let c = client.counters();
            assert_eq!(
                (c.logins, c.messages, c.unsequenced, c.heartbeats, c.debug, c.ends),
                (1, 3, 1, 1, 1, 1)
            );
            cuts += 1;
        }
    }
    assert!(cuts > 4_000, "{cuts}");
    let mut client = connected(LOGIN);
    let said: Vec<String> =
        stream.iter().flat_map(|byte| heard(&mut client, 5, std::slice::from_ref(byte))).collect();
    assert_eq!(said, want);
}

#[test]
fn a_login_asks_for_what_was_not_heard_and_takes_only_that() {
    let mut client = connected(LOGIN);
    assert_eq!((client.login().session, client.login().sequence), ([b' '; 10], 1));
    heard(&mut client, 0, &[accepted(b"TODAY     ", 1), message("1"), message("2"), message("3")].concat());
    // Half a packet, and the connection is gone.
    heard(&mut client, 0, &message("four")[..5]);
    client.disconnected();
    assert_eq!(heard(&mut client, 0, &message("after")), [""; 0]);

    client.connected(SECOND);
    let login = client.login();
    assert_eq!((login.session, login.sequence, login.username), (*b"TODAY     ", 4, *b"WBOOK "));
    // The same session, padded on the other side; two messages are repeated.
    let again = [accepted(b"     TODAY", 2), message("2"), message("3"), message("4")].concat();
    assert_eq!(heard(&mut client, SECOND, &again), ["LoggedIn", "message 4"]);
    assert_eq!((client.counters().repeated, client.resume_point().1), (2, 5));

    client.connected(2 * SECOND);
    let later = [accepted(b"     TODAY", 9), message("9")].concat();
    assert_eq!(heard(&mut client, 2 * SECOND, &later), ["LoggedIn", "Missing(4)", "message 9"]);
    assert_eq!((client.counters().missing, client.resume_point().1), (4, 10));

    // A repetition that breaks off begins anew with the next connection.
    client.connected(3 * SECOND);
    heard(&mut client, 3 * SECOND, &[accepted(b"     TODAY", 1), message("1")].concat());
    client.connected(4 * SECOND);
    assert_eq!(client.login().sequence, 10);
    let fresh = [accepted(b"     TODAY", 10), message("10")].concat();
    assert_eq!(heard(&mut client, 4 * SECOND, &fresh), ["LoggedIn", "message 10"]);

    client.connected(5 * SECOND);
    assert_eq!(heard(&mut client, 5 * SECOND, &accepted(b"TOMORROW  ", 11)), ["Broken(OtherSession)"]);
    assert_eq!(client.resume_point().1, 11);
    client.forget_session();
    client.connected(6 * SECOND);
    let other = [accepted(b"TOMORROW  ", 1), message("1")].concat();
    assert_eq!(heard(&mut client, 6 * SECOND, &other), ["LoggedIn", "message 1"]);
}

#[test]
fn what_is_no_session_is_told_apart_and_ends_the_connection() {
    let long = [&0xFFFF_u16.to_be_bytes()[..], b"S"].concat();
    let least_too_long = [&(MAX_PACKET as u16 - 1).to_be_bytes()[..], b"S"].concat();
    let open = accepted(b"TODAY     ", 1);
    let cases: [(&[u8], &[u8], &str); 13] = [
        (b"", &[0, 0, b'S'], "Broken(ZeroLength)"),
        (b"", &long, "Broken(TooLong)"),
        (b"", &least_too_long, "Broken(TooLong)"),
        (b"", &message("before the login"), "Broken(BadType)"),
        (b"", &packet(packet_type::END_OF_SESSION, b""), "Broken(BadType)"),
        (b"", &packet(packet_type::LOGIN_REQUEST, &[b' '; 46]), "Broken(BadType)"),
        (b"", &packet(packet_type::LOGIN_ACCEPTED, &[b'1'; 29]), "Broken(BadLogin)"),
        (b"", &packet(packet_type::LOGIN_ACCEPTED, &[b'x'; 30]), "Broken(BadLogin)"),
        (b"", &accepted(b"TODAY     ", 0), "Broken(BadLogin)"),
        (b"", &packet(packet_type::LOGIN_REJECTED, b""), "Broken(BadLogin)"),
        (b"", &packet(packet_type::LOGIN_REJECTED, b"A"), "Rejected(65)"),
        (&open, &open, "Broken(BadType)"),
        (&open, &packet(b'?', b""), "Broken(BadType)"),
    ];
    for (before, bytes, want) in cases {
        for cut in 0..=bytes.len() {
            let mut client = connected(LOGIN);
            heard(&mut client, 0, before);
            let mut said = heard(&mut client, 0, &bytes[..cut]);
            said.extend(heard(&mut client, 0, &bytes[cut..]));
            assert_eq!(said, [want], "cut at {cut}");
            assert_eq!(heard(&mut client, 0, &open), [""; 0]);
            let faults = faults(client.counters());
            assert_eq!(faults, u64::from(want.starts_with("Broken")), "{want}");
            assert!(!client.is_open());
        }
    }
    // The longest packet that is taken.
    let mut client = connected(LOGIN);
    heard(&mut client, 0, &open);
    let longest = packet(packet_type::SEQUENCED_DATA, &[b'x'; MAX_PACKET - 3]);
    heard(&mut client, 0, &longest[..MAX_PACKET - 1]);
    assert_eq!(heard(&mut client, 0, &longest[MAX_PACKET - 1..]).len(), 1);
}

#[test]
fn heartbeats_are_due_after_a_second_and_silence_after_fifteen() {
    let mut client = Client::new(LOGIN);
    assert_eq!(client.due(100 * SECOND), Due::Nothing);
    client.connected(100 * SECOND);
    // Before the login there is nothing to keep alive.
    assert_eq!(client.due(105 * SECOND), Due::Nothing);
    heard(&mut client, 105 * SECOND, &accepted(b"TODAY     ", 1));
    client.on_sent(105 * SECOND);
    assert_eq!(client.due(106 * SECOND - 1), Due::Nothing);
    assert_eq!(client.due(106 * SECOND), Due::Heartbeat);
    client.on_sent(106 * SECOND);
    assert_eq!(client.due(106 * SECOND), Due::Nothing);
    // Half a packet is no sign of life.
    heard(&mut client, 119 * SECOND, &message("x")[..3]);
    client.on_sent(120 * SECOND - 1);
    assert_eq!(client.due(120 * SECOND - 1), Due::Nothing);
    assert_eq!(client.due(120 * SECOND), Due::Silence);
    assert_eq!((client.due(200 * SECOND), client.counters().silent), (Due::Nothing, 1));
    client.connected(200 * SECOND);
    assert_eq!(client.due(214 * SECOND), Due::Nothing);
    heard(&mut client, 214 * SECOND, &packet(packet_type::SERVER_HEARTBEAT, b""));
    assert_eq!(client.due(229 * SECOND), Due::Silence);
}

#[test]
fn the_password_is_not_shown() {
    let client = connected(LOGIN);
    let shown = format!("{client:?} {LOGIN:?}");
    assert!(shown.contains("WBOOK") && !shown.contains("SECRET"), "{shown}");
}

/// A server that draws packets of every kind, whole, cut, altered; and bytes that are no packets at all. What was handed
/// on is held against a second reading of the same bytes, as one piece.
#[test]
fn any_bytes_in_any_pieces_mean_the_same_and_never_panic() {
    let mut rng = 0x1CEB_00DA_u64;
    let mut below = move |n: u64| {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        (rng >> 11) % n
    };
    let (mut opened, mut broken, mut messages) = (0, 0, 0);
    for case in 0..120_000 {
        let mut stream = Vec::new();
        if below(8) > 0 {
            stream.extend(accepted(b"TODAY     ", 1 + below(3)));
        }
        for _ in 0..below(6) {
            match below(16) {
                0 => stream.extend((0..below(12)).map(|_| below(256) as u8)),
                1 => stream.extend(packet(packet_type::SERVER_HEARTBEAT, b"")),
                2 => stream.extend(packet(packet_type::DEBUG, &vec![b'd'; below(40) as usize])),
                3 => stream.extend(packet(below(256) as u8, b"any")),
                4 => stream.extend(packet(packet_type::SEQUENCED_DATA, &vec![b's'; below(2_100) as usize])),
                _ => stream.extend(message(&format!("{case}"))),
            }
        }
        if below(4) == 0 && !stream.is_empty() {
            let at = below(stream.len() as u64) as usize;
            stream[at] ^= 1 << below(8);
        }
        if below(4) == 0 {
            stream.truncate(below(stream.len() as u64 + 1) as usize);
        }
        let login = Login { next: 1 + below(3), ..LOGIN };
        let mut whole = connected(login);
        let want = heard(&mut whole, 0, &stream);
        let mut pieces = connected(login);
        let (mut said, mut at) = (Vec::new(), 0);
        while at < stream.len() {
            let len = (1 + below(30) as usize).min(stream.len() - at);
            said.extend(heard(&mut pieces, 0, &stream[at..at + len]));
            at += len;
        }
        assert_eq!(said, want, "case {case}");
        assert_eq!(pieces.counters(), whole.counters());
        assert_eq!(pieces.resume_point(), whole.resume_point());
        let c = whole.counters();
        let heard_before = if c.logins == 1 { whole.resume_point().1 - c.messages } else { login.next };
        assert!(heard_before >= login.next, "case {case}: {c:?}");
        opened += c.logins;
        broken += faults(c);
        messages += c.messages;
    }
    assert!(opened > 50_000 && broken > 10_000 && messages > 100_000, "{opened} {broken} {messages}");
}
