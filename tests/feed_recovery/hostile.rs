//! Servers that lie, never end, or send noise.

use proptest::collection::vec;
use proptest::prelude::*;
use wirebook::feed::recovery::SnapshotConfig;

use crate::bench::{
    Bench, Given, MS, REQUESTS, SECOND, SESSION, SNAPSHOT, accepted, control, data, end, soup,
};
use crate::counting;

/// Whatever the servers do, the client's memory is what it was made with.
#[test]
fn nothing_is_allocated_whatever_the_servers_do() {
    let mut bench = Bench::new(Some(REQUESTS), Some(SnapshotConfig { max_messages: 5_000, ..SNAPSHOT }));
    bench.need.snapshot = 1;
    let bytes = [accepted("DAY1", 1), soup(b'S', &[1; 50]).repeat(40)].concat();
    let endless = soup(b'S', &[1; 50]).repeat(400);
    let answers = [data(SESSION, 5..25), data(SESSION, 1..u64::from(u8::MAX)), control(SESSION, u64::MAX, 9)];
    let calls = counting::calls(|| {
        let Bench { client, of_loop, of_client, need, now, .. } = &mut bench;
        let giver = &mut of_client.giver;
        for turn in 0..20_000_u64 {
            *now += MS;
            if turn % 1_000 == 0 {
                need.epoch += 1;
            }
            for (place, hole) in (0_u64..).zip(&mut need.holes) {
                hole.first = 1 + place * 1_000 + turn % 50;
                hole.end = hole.first + (turn + place) % 300;
            }
            if turn % 700 == 699 {
                client.on_disconnected(*now, giver);
            }
            let mut connect = false;
            client.on_need(*now, need, giver, &mut |action| {
                connect |= action == wirebook::feed::recovery::Action::Connect;
            });
            if connect {
                client.on_connected(*now, &mut |_| ());
                client.on_bytes(*now, &bytes, giver, &mut |_| ());
            }
            // Mostly whole packets, sometimes a part, of which the rest never comes.
            let len = endless.len() - usize::from(turn % 97 == 0) * 20;
            client.on_bytes(*now, &endless[..len], giver, &mut |_| ());
            for answer in &answers {
                for server in 0..3 {
                    client.on_answer(*now, server, answer, giver);
                }
            }
            if turn / 20 % 2 == 0 {
                while of_loop.taker.take().is_some() {}
            }
        }
    });
    assert_eq!(calls, 0);
    let counters = bench.client.counters();
    assert!(counters.requests > 1_000 && counters.answers > 100, "{counters:?}");
    assert!(counters.snapshots_begun > 2 && counters.snapshot_no_room > 0, "{counters:?}");
    assert!(counters.failed_too_long > 0 && counters.answers_no_room > 0, "{counters:?}");
    assert!(counters.notices_dropped > 0 && bench.notices().len() < 1_000);
}

/// A packet that claims to be as long as can be, and then trickles.
#[test]
fn an_endless_packet_ends_by_the_clock() {
    let mut bench = Bench::new(None, Some(SNAPSHOT));
    bench.need.snapshot = 1;
    bench.round(0);
    bench.connected();
    bench.bytes(&accepted("DAY1", 1));
    bench.bytes(&[0xFF, 0xFF, b'S']);
    let mut did = Vec::new();
    for _ in 0..60 {
        bench.bytes(&[b'x'; 900]);
        did.extend(bench.round(SECOND));
    }
    assert!(did.contains(&crate::bench::Did::HungUp), "{did:?}");
    assert_eq!(bench.given(), [Given::Begin(1), Given::Failed]);
    assert_eq!(bench.client.counters().failed_too_slow, 1);
}

/// Bytes as an enemy who knows the protocol would send them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(accepted("DAY1", 1)),
        1 => Just(accepted("DAY1", 7)),
        8 => vec(any::<u8>(), 0..60).prop_map(|message| soup(b'S', &message)),
        2 => prop_oneof![Just(500), 0..2_000_u64, any::<u64>()].prop_map(end),
        2 => Just(soup(b'H', b"")),
        1 => (any::<u8>(), vec(any::<u8>(), 0..50)).prop_map(|(kind, payload)| soup(kind, &payload)),
        1 => vec(any::<u8>(), 0..10),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// The loop never hears anything but: begin, at most so many messages, then an end or a failure (or a new begin).
    #[test]
    fn the_loop_hears_whole_stories_only(
        parts in vec((hostile(), 1..80_usize, 0..900_u64), 1..60), wishes in vec(1..3_u64, 1..4),
    ) {
        let mut bench = Bench::new(None, Some(SnapshotConfig { max_messages: 20, ..SNAPSHOT }));
        bench.need.oldest = 400;
        let mut heard = Vec::new();
        for (turn, (stream, size, pause)) in parts.iter().enumerate() {
            bench.need.snapshot = wishes[turn * wishes.len() / parts.len()];
            if bench.round(pause * MS).contains(&crate::bench::Did::Connected) {
                bench.connected();
            }
            for part in stream.chunks(*size) {
                let (taken, _) = bench.bytes(part);
                prop_assert_eq!(taken, part.len());
            }
            heard.extend(bench.given());
        }
        let mut open = None;
        for given in heard {
            match (&given, &mut open) {
                (Given::Begin(_), _) => open = Some(0),
                (Given::Message(message), Some(count)) => {
                    prop_assert!(!message.is_empty() && message[0] != b'G');
                    *count += 1;
                    prop_assert!(*count <= 20);
                }
                (Given::End(next), Some(_)) => {
                    prop_assert!((400..=100_000_400).contains(next));
                    open = None;
                }
                (Given::Failed, Some(_)) => open = None,
                _ => prop_assert!(false, "{given:?} out of place"),
            }
        }
    }
}
