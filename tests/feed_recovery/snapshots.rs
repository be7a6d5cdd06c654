//! GLIMPSE: login, loading, the end, and everything that goes wrong before it.

use wirebook::feed::recovery::{Notice, SnapshotConfig, SnapshotFailure, SnapshotStatus, Stated};

use crate::bench::Did::{Connected, HungUp, Sent};
use crate::bench::{Bench, Given, MS, SECOND, SNAPSHOT, accepted, end, soup};

/// A bench whose loop wants snapshot 1, from sequence 500 on.
fn wanting(config: SnapshotConfig) -> Bench {
    let mut bench = Bench::new(None, Some(config));
    bench.need.snapshot = 1;
    bench.need.oldest = 500;
    bench.need.expected = 520;
    bench
}

/// One that is connected and logged in.
fn loading(config: SnapshotConfig) -> Bench {
    let mut bench = wanting(config);
    assert_eq!(bench.round(0), [Connected]);
    assert_eq!(bench.connected().len(), 1);
    let login = accepted("DAY1", 1);
    assert_eq!(bench.bytes(&login), (login.len(), vec![]));
    assert_eq!(bench.given(), [Given::Begin(1)]);
    bench
}

fn logout() -> Vec<u8> {
    b"\x00\x01O".to_vec()
}

fn failures(bench: &mut Bench) -> Vec<(SnapshotFailure, u64)> {
    let notices = bench.notices().into_iter();
    notices
        .filter_map(|notice| match notice {
            Notice::SnapshotFailed { why, again_in, .. } => Some((why, again_in)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_snapshot_is_fetched_and_handed_over() {
    let mut bench = Bench::new(None, Some(SNAPSHOT));
    assert_eq!(bench.round(0), []);
    assert_eq!(bench.client.status().snapshot, SnapshotStatus::Idle);
    bench.need.snapshot = 1;
    bench.need.oldest = 500;
    assert_eq!(bench.round(MS), [Connected]);
    assert_eq!(bench.round(MS), []);
    let login = soup(b'L', format!("wireb {:<10}{:10}{:>20}", "secret", "", 1).as_bytes());
    assert_eq!(login.len(), 49);
    assert_eq!(bench.connected(), [Sent(login)]);
    assert_eq!(bench.client.status().snapshot, SnapshotStatus::Connecting);
    let stream = [
        soup(b'+', b"welcome"),
        soup(b'H', b""),
        accepted("DAY1", 1),
        soup(b'S', b"first"),
        soup(b'H', b""),
        soup(b'S', b"second"),
        soup(b'U', b"not counted"),
    ]
    .concat();
    assert_eq!(bench.bytes(&stream), (stream.len(), vec![]));
    assert_eq!(bench.client.status().snapshot, SnapshotStatus::Loading { messages: 2 });
    let messages = [Given::Message(b"first".to_vec()), Given::Message(b"second".to_vec())];
    assert_eq!(bench.given(), [&[Given::Begin(1)], &messages[..]].concat());
    bench.now += 98 * MS;
    // What comes after the end is of no interest.
    let last = [end(1_234), soup(b'S', b"more"), vec![0, 0, 0]].concat();
    assert_eq!(bench.bytes(&last), (last.len(), vec![Sent(logout()), HungUp]));
    assert_eq!(bench.given(), [Given::End(1_234)]);
    let loaded = Notice::SnapshotLoaded { number: 1, messages: 2, next: 1_234, took: 99 * MS };
    assert_eq!(bench.notices(), [Notice::SnapshotBegun { number: 1 }, loaded]);
    assert_eq!(loaded.to_string(), "snapshot 1: 2 messages in 99ms, live from 1234");
    // The loop still shows the wish: it has been granted.
    assert_eq!((bench.round(MS), bench.client.status().snapshot), (vec![], SnapshotStatus::Idle));
    bench.need.snapshot = 0;
    assert_eq!(bench.round(MS), []);
    // The next wish, but no two logins within the back-off.
    bench.need.snapshot = 2;
    assert_eq!((bench.round(MS), bench.client.status().snapshot), (vec![], SnapshotStatus::BackingOff));
    assert_eq!(bench.round(SECOND), [Connected]);
    let counters = bench.client.counters();
    assert_eq!((counters.logins, counters.snapshots_begun, counters.snapshots_loaded), (1, 1, 1));
    assert_eq!(counters.snapshot_messages, 2);
}

#[test]
fn bytes_may_come_one_by_one_or_cut_anywhere() {
    let stream =
        [accepted("DAY1", 1), soup(b'S', b"first"), soup(b'H', b""), soup(b'S', &[7; 300]), end(500)]
            .concat();
    let want =
        [Given::Begin(1), Given::Message(b"first".to_vec()), Given::Message(vec![7; 300]), Given::End(500)];
    for size in 1..=stream.len() {
        let mut bench = wanting(SNAPSHOT);
        bench.round(0);
        bench.connected();
        let mut did = Vec::new();
        for part in stream.chunks(size) {
            let (taken, more) = bench.bytes(part);
            assert_eq!(taken, part.len());
            did.extend(more);
        }
        assert_eq!((bench.given(), did), (want.to_vec(), vec![Sent(logout()), HungUp]), "in parts of {size}");
    }
}

#[test]
fn a_loop_without_room_makes_the_server_wait() {
    let stream = [accepted("DAY1", 1), soup(b'S', &[1; 40]), soup(b'S', &[2; 40]), end(600)].concat();
    let want = [Given::Begin(1), Given::Message(vec![1; 40]), Given::Message(vec![2; 40]), Given::End(600)];
    for size in [1, 2, 3, 7, 40, 43, 50, stream.len()] {
        let mut bench = wanting(SNAPSHOT);
        bench.round(0);
        bench.connected();
        let (mut at, mut seen) = (0, Vec::new());
        let mut tries = 0;
        while at < stream.len() {
            let part = &stream[at..stream.len().min(at + size)];
            // Full at every other offer.
            tries += 1;
            if tries % 2 == 1 {
                bench.fill_the_link();
            }
            let (taken, _) = bench.bytes(part);
            assert!(taken <= part.len());
            at += taken;
            let filler = [Given::Message(vec![7; 60_000]), Given::Failed];
            seen.extend(bench.given().into_iter().filter(|given| !filler.contains(given)));
            assert!(tries < 1_000, "no progress at {at} in parts of {size}");
        }
        assert_eq!(seen, want, "in parts of {size}");
        assert!(bench.client.counters().snapshot_no_room >= 1);
        assert_eq!(bench.client.counters().snapshots_loaded, 1);
    }
}

#[test]
fn the_client_is_heard_every_second() {
    let mut bench = loading(SNAPSHOT);
    let beat = Sent(b"\x00\x01R".to_vec());
    assert_eq!(bench.round(999 * MS), []);
    assert_eq!(bench.round(MS), std::slice::from_ref(&beat));
    assert_eq!(bench.round(MS), []);
    assert_eq!(bench.round(999 * MS), [beat]);
}

#[test]
fn each_failure_is_told_and_the_next_try_waits() {
    let login = accepted("DAY1", 1);
    let after_login = |more: &[u8]| [&login[..], more].concat();
    let cases: [(Vec<u8>, SnapshotFailure, bool); 17] = [
        (soup(b'J', b"A"), SnapshotFailure::LoginRejected(b'A'), false),
        (soup(b'J', b""), SnapshotFailure::LoginRejected(b'?'), false),
        (accepted("DAY2", 1), SnapshotFailure::WrongSession(*b"      DAY2"), false),
        (accepted("DAY1", 2), SnapshotFailure::Protocol, false),
        (soup(b'A', b"short"), SnapshotFailure::Protocol, false),
        (soup(b'S', b"before the login"), SnapshotFailure::Protocol, false),
        (soup(b'Z', b""), SnapshotFailure::EndOfSession, false),
        (vec![0, 0], SnapshotFailure::Protocol, false),
        (after_login(&login), SnapshotFailure::Protocol, true),
        (after_login(&[0, 0, b'S']), SnapshotFailure::Protocol, true),
        (after_login(&soup(b'S', b"")), SnapshotFailure::Protocol, true),
        (after_login(&soup(b'?', b"what")), SnapshotFailure::Protocol, true),
        (after_login(&soup(b'Z', b"")), SnapshotFailure::EndOfSession, true),
        (after_login(&soup(b'S', b"G000")), SnapshotFailure::BadSequence, true),
        (after_login(&end(0)), SnapshotFailure::BadSequence, true),
        (after_login(&end(499)), SnapshotFailure::TooOld(499), true),
        (after_login(&end(u64::MAX)), SnapshotFailure::BadSequence, true),
    ];
    for (stream, why, begun) in cases {
        let mut bench = wanting(SNAPSHOT);
        bench.round(0);
        bench.connected();
        let stream = [&stream[..], &login, &end(1_000)].concat();
        assert_eq!(bench.bytes(&stream), (stream.len(), vec![HungUp]), "{why:?}");
        let given = if begun { vec![Given::Begin(1), Given::Failed] } else { vec![] };
        assert_eq!(bench.given(), given, "{why:?}");
        assert_eq!(failures(&mut bench), [(why, SECOND)]);
        assert!(!why.to_string().is_empty());
        let counted = bench.client.counters().rows().into_iter();
        let failed: u64 = counted.filter(|(name, _)| name.contains("_failed_")).map(|(_, count)| count).sum();
        assert_eq!(failed, 1, "{why:?}");
        assert_eq!(bench.client.status().snapshot, SnapshotStatus::BackingOff);
        assert_eq!(bench.round(999 * MS), [], "{why:?}");
        assert_eq!(bench.round(MS), [Connected], "{why:?}");
    }
}

#[test]
fn a_lost_connection_is_a_failure_at_any_time() {
    let mut bench = wanting(SNAPSHOT);
    bench.round(0);
    bench.disconnected();
    bench.disconnected();
    assert_eq!(
        (failures(&mut bench), bench.given()),
        (vec![(SnapshotFailure::Disconnected, SECOND)], vec![])
    );
    bench.round(SECOND);
    bench.connected();
    bench.disconnected();
    assert_eq!(failures(&mut bench), [(SnapshotFailure::Disconnected, 2 * SECOND)]);

    let mut bench = loading(SNAPSHOT);
    bench.bytes(&soup(b'S', b"first")[..4]);
    bench.disconnected();
    assert_eq!(bench.given(), [Given::Failed]);
    // The half packet is forgotten.
    assert_eq!(bench.round(SECOND), [Connected]);
    bench.connected();
    bench.bytes(&accepted("DAY1", 1));
    bench.bytes(&end(500));
    assert_eq!(bench.given(), [Given::Begin(1), Given::End(500)]);
}

#[test]
fn the_back_off_doubles_to_its_limit_and_success_resets_it() {
    let mut bench = wanting(SNAPSHOT);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let mut waited = 0;
        while bench.round(MS) != [Connected] {
            waited += 1;
        }
        waits.push(waited);
        bench.disconnected();
    }
    assert_eq!(waits, [0, 999, 1_999, 3_999, 4_999]);
    bench.notices();
    bench.round(5 * SECOND);
    bench.connected();
    bench.bytes(&[accepted("DAY1", 1), end(500)].concat());
    bench.need.snapshot = 2;
    assert_eq!(bench.round(SECOND), [Connected]);
    bench.disconnected();
    assert_eq!(failures(&mut bench), [(SnapshotFailure::Disconnected, SECOND)]);
}

#[test]
fn time_is_limited_at_every_step() {
    // No connection, and no answer to the login.
    for connects in [false, true] {
        let mut bench = wanting(SNAPSHOT);
        bench.round(0);
        if connects {
            bench.now += SECOND;
            bench.connected();
            bench.now -= SECOND;
        }
        bench.round(1_999 * MS);
        assert_eq!(bench.round(MS), [HungUp]);
        assert_eq!(failures(&mut bench), [(SnapshotFailure::LoginTimeout, SECOND)]);
        assert_eq!(bench.given(), []);
    }
    // Silence.
    let mut bench = loading(SNAPSHOT);
    bench.round(4_999 * MS);
    bench.bytes(b"\x00");
    bench.round(4_999 * MS);
    assert_eq!(bench.round(MS), [HungUp]);
    assert_eq!(failures(&mut bench), [(SnapshotFailure::Silence, SECOND)]);
    assert_eq!(bench.given(), [Given::Failed]);
    // Heartbeats for ever.
    let mut bench = loading(SNAPSHOT);
    for _ in 0..59 {
        bench.round(SECOND);
        bench.bytes(&soup(b'H', b""));
    }
    assert!(bench.round(SECOND).contains(&HungUp));
    assert_eq!(failures(&mut bench), [(SnapshotFailure::TooSlow, SECOND)]);
}

#[test]
fn messages_are_limited() {
    let mut bench = loading(SnapshotConfig { max_messages: 3, ..SNAPSHOT });
    for _ in 0..3 {
        assert_eq!(bench.bytes(&soup(b'S', b"x")).1, []);
    }
    assert_eq!(bench.bytes(&soup(b'S', b"x")).1, [HungUp]);
    assert_eq!(failures(&mut bench), [(SnapshotFailure::TooLong, SECOND)]);
    assert_eq!(bench.given().len(), 4);
    // Exactly as many are fine.
    let mut bench = loading(SnapshotConfig { max_messages: 3, ..SNAPSHOT });
    bench.bytes(&[soup(b'S', b"x"), soup(b'S', b"x"), soup(b'S', b"x"), end(500)].concat());
    assert_eq!(bench.given().last(), Some(&Given::End(500)));
}

#[test]
fn the_last_message_may_be_stated_instead_of_the_next() {
    for (stated, next) in [(499, Some(500)), (498, None), (500, Some(501)), (u64::MAX, None)] {
        let mut bench = loading(SnapshotConfig { stated: Stated::Last, ..SNAPSHOT });
        bench.bytes(&end(stated));
        assert_eq!(bench.given(), [next.map_or(Given::Failed, Given::End)], "{stated}");
    }
    // Nothing was sent yet: 0 is the last, 1 the next.
    let mut bench = Bench::new(None, Some(SnapshotConfig { stated: Stated::Last, ..SNAPSHOT }));
    bench.need.snapshot = 1;
    bench.round(0);
    bench.connected();
    bench.bytes(&[accepted("DAY1", 1), end(0)].concat());
    assert_eq!(bench.given(), [Given::Begin(1), Given::End(1)]);
}

#[test]
fn the_session_need_not_be_compared() {
    let mut bench = wanting(SnapshotConfig { check_session: false, ..SNAPSHOT });
    bench.round(0);
    bench.connected();
    bench.bytes(&accepted("OTHER", 1));
    assert_eq!(bench.given(), [Given::Begin(1)]);
}

#[test]
fn a_wish_that_changes_ends_what_is_under_way() {
    // Not wanted any more.
    let mut bench = loading(SNAPSHOT);
    bench.bytes(&soup(b'S', b"x"));
    bench.need.snapshot = 0;
    assert_eq!(bench.round(MS), [Sent(logout()), HungUp]);
    assert_eq!(bench.client.status().snapshot, SnapshotStatus::Idle);
    assert_eq!(bench.notices().last(), Some(&Notice::SnapshotSuperseded { number: 1, messages: 1 }));
    let late = soup(b'S', b"late");
    assert_eq!(bench.bytes(&late), (late.len(), vec![]));
    assert_eq!(bench.given(), [Given::Message(b"x".to_vec())]);
    // Another one, or the same in another epoch.
    for (epoch, number) in [(1, 2), (2, 1)] {
        let mut bench = loading(SNAPSHOT);
        (bench.need.epoch, bench.need.snapshot) = (epoch, number);
        assert_eq!(bench.round(MS), [Sent(logout()), HungUp]);
        assert_eq!(bench.round(998 * MS), []);
        assert_eq!(bench.round(MS), [Connected]);
        // Before the login there is nobody to say goodbye to.
        bench.need.snapshot = 3;
        assert_eq!(bench.round(SECOND), [HungUp, Connected]);
        bench.connected();
        bench.bytes(&accepted("DAY1", 1));
        assert_eq!(bench.given(), [Given::Begin(3)]);
        assert_eq!(bench.client.counters().snapshots_superseded, 2);
    }
}

#[test]
fn a_failure_that_could_not_be_told_is_told_before_the_next_begin() {
    let mut bench = loading(SNAPSHOT);
    bench.fill_the_link();
    bench.bytes(&soup(b'Z', b""));
    assert_eq!(bench.round(2 * SECOND), [], "no new login before the loop knows");
    bench.given();
    assert_eq!(bench.round(MS), [Connected]);
    bench.connected();
    bench.bytes(&accepted("DAY1", 1));
    assert_eq!(bench.given(), [Given::Failed, Given::Begin(1)]);
}
