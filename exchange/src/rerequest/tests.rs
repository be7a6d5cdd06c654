use super::*;
use crate::mold::Packet;
use std::net::Ipv4Addr;

const SESSION: [u8; 10] = *b"SESSION001";
const DELAY: u64 = 200_000;

fn asker(number: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 30_000 + number)
}

fn message(sequence: u64) -> Vec<u8> {
    let mut message = sequence.to_be_bytes().to_vec();
    message.resize(8 + (sequence % 40) as usize, b'x');
    message
}

fn archive(messages: u64) -> Archive {
    let mut archive = Archive::new(SESSION, 1 << 22);
    for sequence in 1..=messages {
        archive.push(&message(sequence));
    }
    archive
}

fn request(session: &[u8; 10], first: u64, count: u16) -> Vec<u8> {
    [&session[..], &first.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// Asks at `now` and collects what is due then.
fn ask_at(server: &mut Server, archive: &Archive, now: u64, first: u64, count: u16) -> Vec<Vec<u8>> {
    server.on_request(now, asker(1), &request(&SESSION, first, count), archive);
    let mut answers = Vec::new();
    server.tick(now + DELAY, archive, &mut |to, packet| {
        assert_eq!(to, asker(1));
        answers.push(packet.to_vec());
    });
    answers
}

fn ask(server: &mut Server, archive: &Archive, first: u64, count: u16) -> Vec<Vec<u8>> {
    ask_at(server, archive, 0, first, count)
}

/// Sequence of the first message and the number of messages, all of which must be the right ones.
fn right(packet: &[u8]) -> (u64, u16) {
    let packet = Packet::parse(packet).expect("a packet");
    assert_eq!(packet.session, SESSION);
    for (got, sequence) in packet.messages().zip(packet.sequence..) {
        assert_eq!(got, message(sequence), "{sequence}");
    }
    (packet.sequence, packet.count)
}

#[test]
fn an_answer_is_a_packet_of_whole_messages_that_fits() {
    let archive = archive(1_000);
    let mut server = Server::new(Config::default());
    let answers = ask(&mut server, &archive, 10, 5);
    assert_eq!(answers.iter().map(|packet| right(packet)).collect::<Vec<_>>(), [(10, 5)]);
    // More than fits: the client asks again for the rest, and gets every message in the end.
    let (mut next, mut packets) = (1, 0);
    while next <= 1_000 {
        let answers = ask(&mut server, &archive, next, u16::MAX);
        let [packet] = &answers[..] else { panic!("{} answers", answers.len()) };
        let (first, count) = right(packet);
        assert_eq!(first, next);
        assert!(packet.len() <= DEFAULT_LIMIT && (count > 20 || next + u64::from(count) == 1_001));
        next += u64::from(count);
        packets += 1;
    }
    assert!((20..40).contains(&packets), "{packets}");
    // Beyond the end only what there is.
    assert_eq!(right(&ask(&mut server, &archive, 999, 50)[0]), (999, 2));
    // The server's own limit.
    let mut server = Server::new(Config { max_messages: 3, ..Config::default() });
    assert_eq!(right(&ask(&mut server, &archive, 500, 50)[0]), (500, 3));
    assert_eq!((server.counters().answers, server.counters().messages), (1, 3));
}

#[test]
fn what_cannot_be_served_is_counted_by_kind_and_not_answered() {
    let mut archive = Archive::new(SESSION, 0);
    for sequence in 1..=20_000 {
        archive.push(&message(sequence));
    }
    assert!(archive.first() > 1);
    let mut server = Server::new(Config::default());
    let good = request(&SESSION, 19_000, 5);
    for len in 0..good.len() {
        server.on_request(0, asker(1), &good[..len], &archive);
    }
    server.on_request(0, asker(1), &[&good[..], b"x"].concat(), &archive);
    server.on_request(0, asker(1), &[0; 1_500], &archive);
    server.on_request(0, asker(1), &request(b"SESSION002", 19_000, 5), &archive);
    server.on_request(0, asker(1), &request(&SESSION, 19_000, 0), &archive);
    for beyond in [20_001, u64::MAX] {
        server.on_request(0, asker(1), &request(&SESSION, beyond, 5), &archive);
    }
    for gone in [0, 1, archive.first() - 1] {
        server.on_request(0, asker(1), &request(&SESSION, gone, u16::MAX), &archive);
    }
    assert_eq!(server.next_due(), u64::MAX);
    server.tick(u64::MAX, &archive, &mut |_, _| panic!("nothing to answer"));
    let expected = RequestCounters {
        requests: 29,
        truncated: 20,
        oversized: 2,
        other_session: 1,
        empty: 1,
        beyond: 2,
        gone: 3,
        ..RequestCounters::default()
    };
    assert_eq!(server.counters(), &expected);
}

#[test]
fn answers_come_after_the_delay_in_order_and_at_a_pace() {
    let archive = archive(100);
    let mut server = Server::new(Config { pace_ns: 50_000, ..Config::default() });
    for number in 0..4u16 {
        server.on_request(1_000, asker(number), &request(&SESSION, 1 + u64::from(number), 1), &archive);
    }
    let mut seen = Vec::new();
    while server.next_due() < u64::MAX {
        let now = server.next_due();
        server.tick(now - 1, &archive, &mut |_, _| panic!("too early"));
        server.tick(now, &archive, &mut |to, packet| seen.push((now, to, right(packet).0)));
    }
    let expected = [(201_000, 0), (251_000, 1), (301_000, 2), (351_000, 3)];
    assert_eq!(seen, expected.map(|(now, number)| (now, asker(number), 1 + u64::from(number))));
}

#[test]
fn rates_hold_for_each_asker_and_for_all() {
    let archive = archive(100);
    let all = |config, askers: u16, each: u64| {
        let mut server = Server::new(config);
        // For ten seconds, each asks a thousand times a second.
        for round in 0..10_000 {
            for number in 0..askers {
                server.on_request(round * 1_000_000, asker(number), &request(&SESSION, 1, 1), &archive);
            }
            server.tick(round * 1_000_000, &archive, &mut |_, _| {});
        }
        let counters = *server.counters();
        assert_eq!(counters.requests, u64::from(askers) * 10_000);
        assert!(counters.answers.abs_diff(each) <= each / 50, "{counters:?}");
        counters
    };
    assert_eq!(all(Config::default(), 2, 20_000).over_rate, 0);
    assert!(all(Config { per_second: 100, ..Config::default() }, 3, 1_000).over_rate > 28_000);
    let own = all(Config { per_asker: 100, ..Config::default() }, 3, 3_000);
    assert!(own.over_own_rate > 26_000 && own.over_rate == 0);
    // A client that keeps to its rate, with some jitter, is never refused.
    let mut server = Server::new(Config { per_asker: 100, ..Config::default() });
    let mut rng = Rng::new(3);
    for round in 0..1_000u64 {
        let now = round * 10_000_000 + u64::from(rng.below(9_000_000));
        server.on_request(now, asker(1), &request(&SESSION, 1, 1), &archive);
        server.tick(now, &archive, &mut |_, _| {});
    }
    assert_eq!(server.counters().over_own_rate, 0);
}

#[test]
fn queue_and_askers_are_bounded() {
    let archive = archive(100);
    let mut server = Server::new(Config { queue: 10, askers: 4, per_asker: 10, ..Config::default() });
    for number in 0..100 {
        server.on_request(0, asker(number), &request(&SESSION, 1, 1), &archive);
    }
    assert_eq!((server.pending.len(), server.askers.len()), (4, 4));
    assert_eq!(server.counters().refused_askers, 96);
    // Those that asked long ago make room.
    server.on_request(1_000_000_000, asker(50), &request(&SESSION, 1, 1), &archive);
    assert_eq!((server.pending.len(), server.askers.len()), (5, 1));
    let mut server = Server::new(Config { queue: 10, ..Config::default() });
    for _ in 0..100 {
        server.on_request(0, asker(1), &request(&SESSION, 1, 1), &archive);
    }
    assert_eq!((server.pending.len(), server.counters().queue_full), (10, 90));
}

#[test]
fn the_end_of_a_session_and_the_next_one() {
    let mut archive = archive(100);
    let mut server = Server::new(Config { after_end_ns: 1_000_000, ..Config::default() });
    server.end_of_session(5_000_000);
    server.end_of_session(7_000_000);
    assert_eq!(ask_at(&mut server, &archive, 6_000_000, 1, 1).len(), 1);
    assert!(ask_at(&mut server, &archive, 6_000_001, 1, 1).is_empty());
    assert_eq!(server.counters().after_end, 1);
    // One that waits while the session changes gets nothing, least of all messages of the new one.
    let mut server = Server::new(Config::default());
    server.on_request(0, asker(1), &request(&SESSION, 1, 1), &archive);
    archive.roll(*b"SESSION002");
    archive.push(b"new");
    server.begin_session();
    server.tick(u64::MAX, &archive, &mut |_, _| panic!("of the old session"));
    server.on_request(0, asker(1), &request(&SESSION, 1, 1), &archive);
    server.on_request(0, asker(1), &request(b"SESSION002", 1, 1), &archive);
    let mut answers = 0;
    server.tick(u64::MAX, &archive, &mut |_, packet| {
        answers += 1;
        assert!(packet.ends_with(b"\0\x03new"));
    });
    assert_eq!((answers, server.counters().other_session), (1, 1));
}

#[test]
fn each_fault_does_what_it_says() {
    let archive = archive(1_000);
    let mut server = Server::new(Config::default());
    let mut with = |fault, now| {
        server.set_fault(Some(fault));
        ask_at(&mut server, &archive, now, 100, 10)
    };
    assert!(with(Fault::Silent, 0).is_empty());
    let [packet] = &with(Fault::WrongSession, 0)[..] else { panic!("one answer") };
    let packet = Packet::parse(packet).expect("a packet");
    assert_eq!((packet.session == SESSION, packet.sequence, packet.count), (false, 100, 10));
    let [packet] = &with(Fault::WrongSequence, 0)[..] else { panic!("one answer") };
    let packet = Packet::parse(packet).expect("a packet");
    assert_eq!((packet.session, packet.count), (SESSION, 10));
    assert!(packet.sequence > 1_000_000_000);
    assert_eq!(with(Fault::Partial, 0).iter().map(|packet| right(packet)).collect::<Vec<_>>(), [(100, 1)]);
    let twice = with(Fault::Twice, 0);
    assert_eq!(twice.iter().map(|packet| right(packet)).collect::<Vec<_>>(), [(100, 10), (100, 10)]);
    assert!(with(Fault::Slow(7_000_000), 0).is_empty());
    assert_eq!(server.next_due(), 7_000_000 + DELAY);
    // Taken in while it was slow: late, but right. What is asked afterwards waits its turn.
    server.set_fault(None);
    assert!(ask_at(&mut server, &archive, 1_000, 200, 1).is_empty());
    assert_eq!(ask_at(&mut server, &archive, 7_000_000, 300, 1).len(), 3);
    assert_eq!((server.counters().ignored, server.counters().faulty), (1, 5));
}

#[test]
fn garbage_never_passes_for_an_answer() {
    let archive = archive(1_000);
    let mut server = Server::new(Config::default());
    server.set_fault(Some(Fault::Garbage));
    let mut headed = 0;
    for _ in 0..20_000 {
        let [packet] = &ask(&mut server, &archive, 100, 10)[..] else { panic!("one answer") };
        assert!(packet.len() <= DEFAULT_LIMIT);
        headed += u32::from(packet.starts_with(&SESSION));
        let passes = Packet::parse(packet).is_some_and(|packet| packet.session == SESSION);
        assert!(!passes);
    }
    assert!((9_000..11_000).contains(&headed), "{headed}");
}

#[test]
fn unasked_packets_are_never_wrong_where_they_could_be_believed() {
    let archive = archive(1_000);
    let mut server = Server::new(Config::default());
    server.set_fault(Some(Fault::Unasked));
    let (mut behind, mut ahead, mut last, mut ends, mut beats) = (0, 0, 0, 0, 0);
    for _ in 0..1_000 {
        let [unasked, answer] = &ask(&mut server, &archive, 100, 10)[..] else { panic!("two packets") };
        assert_eq!(right(answer), (100, 10));
        let packet = Packet::parse(unasked).expect("a packet");
        assert_eq!(packet.session, SESSION);
        match packet {
            Packet { ends: true, .. } => ends += 1,
            Packet { count: 0, .. } => beats += 1,
            Packet { sequence, .. } if sequence == u64::MAX - 1 => last += 1,
            Packet { sequence, .. } if sequence > 1_000 => ahead += 1,
            _ => {
                right(unasked);
                behind += 1;
            }
        }
    }
    assert!([behind, ahead, last, ends, beats].iter().all(|count| *count > 100), "every kind comes");
}

#[test]
fn hostile_requests_do_no_harm_and_runs_repeat() {
    let archive = archive(5_000);
    let faults = [
        None,
        Some(Fault::Slow(1_000)),
        Some(Fault::WrongSession),
        Some(Fault::WrongSequence),
        Some(Fault::Partial),
        Some(Fault::Garbage),
        Some(Fault::Unasked),
        Some(Fault::Twice),
    ];
    let run = || {
        let mut server =
            Server::new(Config { per_second: 2_000, per_asker: 200, limit: 600, ..Config::default() });
        let mut rng = Rng::new(9);
        let mut digest = 0u64;
        for round in 0..200_000u64 {
            server.set_fault(faults[rng.index(faults.len())]);
            let mut payload = request(&SESSION, rng.next() >> rng.below(64), rng.next() as u16);
            for _ in 0..rng.below(3) {
                payload[rng.index(20)] = rng.next() as u8;
            }
            if rng.chance(1, 20) {
                payload.truncate(rng.index(21));
            }
            let now = round * 100_000;
            server.on_request(now, asker(rng.below(20) as u16), &payload, &archive);
            server.tick(now, &archive, &mut |to, packet| {
                assert!(packet.len() <= 600);
                for byte in packet.iter().chain(&to.port().to_be_bytes()) {
                    digest = digest.wrapping_mul(0x0100_0000_01B3) ^ u64::from(*byte);
                }
            });
        }
        (digest, *server.counters())
    };
    let (digest, counters) = run();
    assert_eq!((digest, counters), run());
    assert!(counters.answers > 5_000 && counters.other_session > 5_000 && counters.gone > 0, "{counters:?}");
}
