//! What the lines lost can be had: from the request servers byte for byte, from snapshots exactly spliced.

use std::net::{Ipv4Addr, SocketAddrV4};

use exchange::glimpse;
use exchange::host::{Config, ConnId, Exchange, Fault, Output, Service};
use exchange::reference::Books;
use exchange::rerequest;
use exchange::rng::Rng;

use super::receiver::{Receiver, agree};
use super::soup::Client;
use super::{MS, play, small, venue};

const ASKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 31_010);

fn request(session: [u8; 10], first: u64, count: u16) -> Vec<u8> {
    [&session[..], &first.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// Asks a server for everything that is missing until nothing is; the number of answers.
fn ask(exchange: &mut Exchange, receiver: &mut Receiver, server: usize, mut now: u64) -> u64 {
    let session = exchange.publisher().session();
    let mut answers = 0;
    for _ in 0..1_000 {
        let missing = receiver.missing(session);
        let Some(first) = missing.first() else { break };
        let run =
            missing.iter().zip(*first..).take_while(|(sequence, expected)| *sequence == expected).count();
        exchange.on_request(now, server, ASKER, &request(session, *first, run as u16), &mut |_| {});
        now += MS;
        exchange.tick(now, &mut |output| match output {
            Output::Answer { server: from, to, payload } => {
                assert!(from == server && to == ASKER && receiver.packet(payload));
                answers += 1;
            }
            other => receiver.take(other),
        });
    }
    answers
}

#[test]
fn what_both_lines_lost_can_be_had_byte_for_byte() {
    let run = |plan: Vec<(u64, Fault)>| {
        let mut receiver = Receiver::default();
        let mut exchange = venue(&Config { plan, ..small(4) });
        play(&mut exchange, 0, 100 * MS, MS, &mut |_, output| receiver.take(output));
        exchange.close(100 * MS, &mut |output| receiver.take(output));
        // Every end of session was said; requests are answered all the same.
        play(&mut exchange, 100 * MS, 600 * MS, MS, &mut |_, output| receiver.take(output));
        (receiver, exchange)
    };
    let (whole, _) = run(Vec::new());
    for server in 0..2 {
        let lose = |at, messages| (at * MS, Fault::LoseOnBoth { messages });
        let (mut receiver, mut exchange) = run(vec![lose(3, 1), lose(40, 500), lose(70, 37)]);
        let session = exchange.publisher().session();
        assert_eq!(receiver.missing(session).len(), 538);
        let answers = ask(&mut exchange, &mut receiver, server, 600 * MS);
        assert!((12..40).contains(&answers), "{answers}");
        assert!(receiver.missing(session).is_empty());
        assert!(receiver.messages == whole.messages && receiver.differing == 0);
        assert!(agree(&receiver.books(session), &exchange));
        let counters = exchange.requests(server).expect("a server").counters();
        assert_eq!((counters.answers, counters.messages), (answers, 538));
    }
}

#[test]
fn request_servers_misbehave_one_by_one_or_both() {
    let silent = Some(rerequest::Fault::Silent);
    for (server, fault, expected) in
        [(Some(0), silent, [0, 1]), (Some(1), silent, [1, 0]), (None, silent, [0, 0]), (None, None, [1, 1])]
    {
        let plan = vec![
            (5 * MS, Fault::Requests { server: None, fault: None }),
            (10 * MS, Fault::Requests { server, fault }),
        ];
        let mut exchange = venue(&Config { plan, ..small(4) });
        play(&mut exchange, 0, 20 * MS, MS, &mut |_, _| {});
        let session = exchange.publisher().session();
        let mut answers = [0; 2];
        for server in 0..3 {
            exchange.on_request(20 * MS, server, ASKER, &request(session, 1, 5), &mut |_| {});
        }
        play(&mut exchange, 20 * MS, 30 * MS, MS, &mut |_, output| {
            if let Output::Answer { server, .. } = output {
                answers[server] += 1;
            }
        });
        assert_eq!(answers, expected);
    }
}

/// The messages of a snapshot and the sequence to go on with, once it is whole.
fn whole(snapshot: &Client) -> Option<(Vec<&[u8]>, u64)> {
    let mut messages: Vec<&[u8]> =
        snapshot.packets().iter().filter(|(kind, _)| *kind == b'S').map(|(_, message)| *message).collect();
    let end = messages.pop().filter(|message| message.starts_with(b"G"))?;
    let digits = std::str::from_utf8(&end[1..21]).expect("ASCII").trim();
    Some((messages, digits.parse().expect("a number")))
}

fn join(exchange: &mut Exchange, now: u64, conn: ConnId, snapshot: &mut Client) {
    exchange.on_connect(now, Service::Glimpse, conn);
    exchange.on_bytes(now, conn, &Client::login(1), &mut |output| snapshot.take(conn, output));
}

/// Applies what follows a snapshot, from `from` on, and up to but not with `end`. `None` if that cannot be right.
fn splice(snapshot: &[&[u8]], receiver: &Receiver, session: [u8; 10], from: u64, end: u64) -> Option<Books> {
    let mut books = Books::new();
    books.set_loading(true);
    for message in snapshot {
        books.apply(message).expect("a right snapshot");
    }
    books.set_loading(false);
    for (_, message) in receiver.messages[&session].range(from..end) {
        books.apply(message).ok()?;
    }
    Some(books)
}

#[test]
fn a_snapshot_and_what_follows_are_the_books_from_exactly_its_sequence_on() {
    let config = small(9);
    let session = config.publisher.session;
    let (mut receiver, mut rng) = (Receiver::default(), Rng::new(9));
    let mut exchange = venue(&config);
    let mut snapshots = Vec::new();
    let mut now = 0;
    for number in 0..120 {
        let next = now + 1 + u64::from(rng.below(5_000_000));
        play(&mut exchange, now, next, MS, &mut |_, output| receiver.take(output));
        now = next;
        let conn = ConnId(number);
        let mut snapshot = Client::default();
        join(&mut exchange, now, conn, &mut snapshot);
        let end = now + 2 * MS;
        play(&mut exchange, now, end, MS / 10, &mut |_, output| {
            snapshot.take(conn, output);
            receiver.take(output);
        });
        now = end;
        exchange.on_disconnect(now, conn);
        snapshots.push(snapshot);
    }
    exchange.close(now, &mut |output| receiver.take(output));
    play(&mut exchange, now, now + 500 * MS, MS, &mut |_, output| receiver.take(output));
    assert_eq!(exchange.glimpse().counters().completed, 120);

    let moves = |sequence: u64| {
        let kind = receiver.messages[&session].get(&sequence).map(|message| message[0]);
        kind.is_some_and(|kind| b"AFECXDU".contains(&kind))
    };
    let mut told = 0;
    for snapshot in &snapshots {
        let (messages, next) = whole(snapshot).expect("a whole snapshot");
        let mut truth = Books::new();
        for (_, message) in receiver.messages[&session].range(..next) {
            truth.apply(message).expect("a right feed");
        }
        let right = splice(&messages, &receiver, session, next, next).expect("books");
        assert!(right.resting().eq(truth.resting()) && right.said().eq(truth.said()));
        // To the end of the day.
        let last = splice(&messages, &receiver, session, next, u64::MAX).expect("books");
        assert!(agree(&last, &exchange));
        // One too few and one too many show where the messages concern the books at all.
        if moves(next - 1) && moves(next) {
            told += 1;
            truth.apply(&receiver.messages[&session][&next]).expect("a right feed");
            let same = |from| {
                splice(&messages, &receiver, session, from, next + 1)
                    .is_some_and(|books| books.resting().eq(truth.resting()))
            };
            assert!(same(next) && !same(next - 1) && !same(next + 1));
        }
    }
    assert!(told > 60, "{told}");
}

#[test]
fn a_snapshot_contains_messages_that_still_wait_for_their_packet() {
    let mut config = small(9);
    config.publisher.coalesce_ns = MS;
    let mut exchange = venue(&config);
    let (mut receiver, mut snapshot) = (Receiver::default(), Client::default());
    play(&mut exchange, 0, 100 * MS + 300_000, MS, &mut |_, output| receiver.take(output));
    join(&mut exchange, 100 * MS + 300_000, ConnId(1), &mut snapshot);
    play(&mut exchange, 100 * MS + 300_000, 110 * MS, MS, &mut |_, output| snapshot.take(ConnId(1), output));
    let (_, next) = whole(&snapshot).expect("a snapshot");
    let (sent, _) = receiver.messages[&config.publisher.session].last_key_value().expect("messages");
    assert!(next > sent + 1, "{next} {sent}");
}

#[test]
fn a_roll_ends_snapshots_and_answers_only_for_the_new_session() {
    let plan = vec![(50 * MS, Fault::SessionRoll)];
    let mut exchange = venue(&Config { plan, ..small(4) });
    let old = exchange.publisher().session();
    let mut snapshot = Client::default();
    play(&mut exchange, 0, 49 * MS, MS, &mut |_, _| {});
    join(&mut exchange, 49 * MS, ConnId(1), &mut snapshot);
    // This one is still under way when the session ends.
    play(&mut exchange, 49 * MS, 49 * MS + 900_000, 100_000, &mut |_, output| {
        snapshot.take(ConnId(1), output);
    });
    exchange.on_request(49 * MS + 900_000, 0, ASKER, &request(old, 1, 5), &mut |_| {});
    let mut answers = Vec::new();
    play(&mut exchange, 49 * MS + 900_000, 60 * MS, 100_000, &mut |_, output| {
        snapshot.take(ConnId(1), output);
        assert!(!matches!(output, Output::Answer { .. }));
    });
    assert!(snapshot.closed);
    let new = exchange.publisher().session();
    assert!(new != old && exchange.archive().session() == new);
    for session in [old, new] {
        exchange.on_request(60 * MS, 1, ASKER, &request(session, 1, 5), &mut |_| {});
    }
    play(&mut exchange, 60 * MS, 70 * MS, MS, &mut |_, output| {
        if let Output::Answer { payload, .. } = output {
            answers.push(payload.to_vec());
        }
    });
    assert!(answers.len() == 1 && answers[0].starts_with(&new));
    assert_eq!(exchange.requests(1).expect("a server").counters().other_session, 1);
    // The next snapshot is of the new session, and says so.
    let mut snapshot = Client::default();
    join(&mut exchange, 70 * MS, ConnId(2), &mut snapshot);
    play(&mut exchange, 70 * MS, 80 * MS, MS, &mut |_, output| snapshot.take(ConnId(2), output));
    let packets = snapshot.packets();
    assert!(packets[0].0 == b'A' && packets[0].1.starts_with(&new));
    let (_, next) = whole(&snapshot).expect("a snapshot");
    assert!((1_950..2_050).contains(&next), "{next}");
}

#[test]
fn faults_of_the_snapshot_server_come_and_go() {
    let plan =
        vec![(10 * MS, Fault::Glimpse(Some(glimpse::Fault::RefuseLogin))), (30 * MS, Fault::Glimpse(None))];
    let mut exchange = venue(&Config { plan, ..small(4) });
    let mut outcome = |conn, from: u64| {
        let mut snapshot = Client::default();
        play(&mut exchange, (from - 10) * MS, from * MS, MS, &mut |_, _| {});
        join(&mut exchange, from * MS, ConnId(conn), &mut snapshot);
        play(&mut exchange, from * MS, (from + 10) * MS, MS, &mut |_, output| {
            snapshot.take(ConnId(conn), output);
        });
        (snapshot.packets()[0].0, whole(&snapshot).is_some())
    };
    assert_eq!(outcome(1, 20), (b'J', false));
    assert_eq!(outcome(2, 40), (b'A', true));
}

#[test]
fn connections_break_when_the_link_goes_down_and_new_ones_are_refused() {
    let plan = vec![(20 * MS, Fault::LinkFlap { length: 10 * MS })];
    let mut exchange = venue(&Config { plan, ..small(4) });
    let (mut first, mut second, mut third) = (Client::default(), Client::default(), Client::default());
    play(&mut exchange, 0, 19 * MS, MS, &mut |_, _| {});
    join(&mut exchange, 19 * MS, ConnId(1), &mut first);
    let session = exchange.publisher().session();
    // The answer would come when the link is down.
    exchange.on_request(19 * MS + 900_000, 0, ASKER, &request(session, 1, 5), &mut |_| {});
    play(&mut exchange, 19 * MS, 25 * MS, MS, &mut |_, output| {
        first.take(ConnId(1), output);
        assert!(!matches!(output, Output::Answer { .. }));
    });
    assert!(first.closed);
    join(&mut exchange, 25 * MS, ConnId(2), &mut second);
    assert_eq!(exchange.next_due(), 0);
    exchange.on_request(25 * MS, 0, ASKER, &request(session, 1, 5), &mut |_| {});
    play(&mut exchange, 25 * MS, 31 * MS, MS, &mut |_, output| second.take(ConnId(2), output));
    assert!(second.closed && second.bytes.is_empty());
    join(&mut exchange, 31 * MS, ConnId(3), &mut third);
    play(&mut exchange, 31 * MS, 41 * MS, MS, &mut |_, output| third.take(ConnId(3), output));
    assert!(whole(&third).is_some());
    let faults = exchange.faults();
    assert_eq!((faults.broken, faults.refused, faults.swallowed_in, faults.swallowed_out), (1, 1, 1, 1));
}
