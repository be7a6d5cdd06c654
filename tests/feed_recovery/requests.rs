//! Holes, requests and answers.

use wirebook::feed::handover::Hole;
use wirebook::feed::recovery::{Abandoned, Notice, RequestsConfig};

use crate::bench::Did::Asked;
use crate::bench::{Bench, Given, MS, REQUESTS, SESSION, SNAPSHOT, control, data};

fn bench() -> Bench {
    Bench::new(Some(REQUESTS), Some(SNAPSHOT))
}

#[test]
fn a_hole_is_asked_for_in_pieces_of_both_servers_and_filled() {
    let mut bench = bench();
    assert_eq!(bench.round(0), []);
    bench.holes(&[1..251]);
    assert_eq!(bench.round(MS), [Asked(0, 1, 100), Asked(1, 101, 100), Asked(0, 201, 50)]);
    assert_eq!(bench.round(MS), []);
    assert_eq!(bench.client.status().outstanding, 3);
    assert_eq!((bench.client.status().holes, bench.client.status().missing), (1, 250));
    bench.answer(1, &data(SESSION, 101..201));
    bench.answer(0, &data(SESSION, 201..251));
    bench.answer(0, &data(SESSION, 1..101));
    let packets = [101..201, 201..251, 1..101].map(|range| Given::Packet(data(SESSION, range)));
    assert_eq!(bench.given(), packets);
    // The loop has not got round to it: nothing is asked for twice.
    assert_eq!(bench.round(MS), []);
    bench.holes(&[]);
    assert_eq!(bench.round(MS), []);
    let hole = Hole { first: 1, end: 251 };
    let told = [Notice::Asked { hole }, Notice::Filled { hole, took: 3 * MS, by_server: [150, 100] }];
    assert_eq!(bench.notices(), told);
    assert_eq!(
        told[1].to_string(),
        "hole 1 to 250 (250 messages): filled in 3ms (150 from server 1, 100 from server 2)"
    );
    let counters = bench.client.counters();
    assert_eq!((counters.requests, counters.requests_again, counters.answers), (3, 0, 3));
    assert_eq!((counters.holes_asked, counters.holes_filled, counters.answer_messages), (1, 1, 250));
    assert_eq!(bench.client.status().outstanding, 0);
}

#[test]
fn a_part_of_an_answer_makes_the_rest_be_asked_for() {
    let mut bench = bench();
    bench.holes(&[10..60]);
    assert_eq!(bench.round(0), [Asked(0, 10, 50)]);
    bench.answer(0, &data(SESSION, 10..30));
    assert_eq!(bench.round(MS), [Asked(0, 30, 30)]);
    bench.settle();
    // The middle of it: the rest beyond is new, the rest before is still awaited.
    bench.answer(0, &data(SESSION, 40..50));
    assert_eq!(bench.round(MS), [Asked(1, 50, 10)]);
    bench.answer(1, &data(SESSION, 50..60));
    bench.settle();
    assert_eq!(bench.round(MS), []);
    // It is asked for again when it does not come.
    assert_eq!(bench.round(18 * MS), [Asked(1, 30, 10)]);
    bench.answer(1, &data(SESSION, 25..45));
    assert_eq!(bench.settle().len(), 1);
    assert_eq!((bench.round(MS), bench.need.open().count()), (vec![], 0));
    assert_eq!(bench.client.counters().holes_filled, 1);
    assert_eq!(bench.client.counters().requests_again, 2);
}

#[test]
fn a_silent_server_is_replaced_by_the_other() {
    let mut bench = bench();
    bench.holes(&[1..101]);
    assert_eq!(bench.round(0), [Asked(0, 1, 100)]);
    assert_eq!(bench.round(19 * MS), []);
    assert_eq!(bench.round(MS), [Asked(1, 1, 100)]);
    // A late answer of the first is as good as any.
    bench.answer(0, &data(SESSION, 1..101));
    assert_eq!(bench.given(), [Given::Packet(data(SESSION, 1..101))]);
    bench.answer(1, &data(SESSION, 1..101));
    assert_eq!(bench.given(), []);
    assert_eq!(bench.client.counters().answers_unasked, 1);
    assert_eq!(bench.client.counters().timeouts, 1);
}

#[test]
fn a_dead_server_is_asked_less_and_less() {
    let mut bench = bench();
    let mut asked = [0_usize; 2];
    for turn in 0..200_u64 {
        let first = 1 + turn * 10;
        bench.holes(&[first..first + 10]);
        let mut filled = false;
        while !filled {
            for did in bench.round(5 * MS) {
                let Asked(server, first, count) = did else { panic!("{did:?}") };
                asked[server] += 1;
                if server == 0 {
                    bench.answer(0, &data(SESSION, first..first + u64::from(count)));
                    filled = true;
                }
            }
        }
        bench.holes(&[]);
        bench.round(MS);
    }
    assert_eq!(bench.client.counters().holes_filled, 200);
    assert!((5..40).contains(&asked[1]), "{asked:?}");
    assert_eq!(bench.client.counters().holes_abandoned, 0);
}

#[test]
fn silence_of_both_ends_in_abandoning_the_hole() {
    let mut bench = bench();
    bench.holes(&[1..51, 60..70]);
    let mut rounds = Vec::new();
    for _ in 0..200 {
        let did = bench.round(MS);
        rounds.extend((!did.is_empty()).then_some(did));
    }
    // Four times each, servers in turn.
    let to = |server, other| vec![Asked(server, 1, 50), Asked(other, 60, 10)];
    assert_eq!(rounds, [to(0, 1), to(1, 0), to(0, 1), to(1, 0)]);
    let given = bench.given();
    assert!(given.len() > 2 && given.iter().all(|given| *given == Given::Abandon(51)), "{given:?}");
    let hole = Hole { first: 1, end: 51 };
    let told = bench.notices();
    assert!(told.contains(&Notice::Abandoned { hole, why: Abandoned::Unanswered }), "{told:?}");
    // The loop gives the first hole up, and the second is overdue: its turn.
    bench.holes(&[60..70]);
    bench.round(MS);
    assert_eq!(bench.given(), [Given::Abandon(70)]);
    bench.holes(&[]);
    bench.round(MS);
    assert_eq!((bench.given(), bench.client.counters().holes_abandoned), (vec![], 2));
    assert_eq!(bench.client.counters().holes_closed, 0);
    // What comes next is asked for as ever.
    bench.holes(&[80..90]);
    assert_eq!(bench.round(MS).len(), 1);
}

#[test]
fn a_hole_too_large_is_left_to_the_snapshot() {
    let mut bench = bench();
    bench.holes(&[1..10_002]);
    assert_eq!(bench.round(0), []);
    assert_eq!(bench.given(), [Given::Abandon(10_002)]);
    let why = Abandoned::TooLarge;
    assert_eq!(bench.notices(), [Notice::Abandoned { hole: Hole { first: 1, end: 10_002 }, why }]);
    // Said again, but not all the time.
    for _ in 0..19 {
        bench.round(MS);
    }
    assert_eq!(bench.given(), []);
    bench.round(MS);
    assert_eq!(bench.given(), [Given::Abandon(10_002)]);

    // Without a snapshot server, requests are the only way.
    let mut bench = Bench::new(Some(REQUESTS), None);
    bench.holes(&[1..u64::MAX]);
    assert_eq!(bench.round(0).len(), 4);
    assert_eq!(bench.given(), []);

    // Without a request server, a snapshot is.
    let mut bench = Bench::new(None, Some(SNAPSHOT));
    bench.holes(&[1..2]);
    assert_eq!((bench.round(0), bench.given()), (vec![], vec![Given::Abandon(2)]));
    let why = Abandoned::NoServer;
    assert_eq!(bench.notices(), [Notice::Abandoned { hole: Hole { first: 1, end: 2 }, why }]);
    bench.answer(0, &data(SESSION, 1..2));
    assert_eq!(bench.given(), []);
}

#[test]
fn only_so_many_requests_are_under_way_and_only_so_fast() {
    let slow = RequestsConfig { per_second: 100, outstanding: 3, max_messages: 10, retries: 99, ..REQUESTS };
    let mut bench = Bench::new(Some(slow), None);
    bench.holes(&[1..1_001]);
    assert_eq!(bench.round(0).len(), 3);
    bench.answer(0, &data(SESSION, 1..11));
    bench.answer(1, &data(SESSION, 11..21));
    bench.answer(0, &data(SESSION, 21..31));
    bench.settle();
    assert_eq!(bench.round(9 * MS), []);
    assert_eq!(bench.round(MS), [Asked(1, 31, 10)]);
    let (mut sent, mut most) = (0_u64, 0);
    for turn in 0..1_000 {
        for did in bench.round(MS) {
            let Asked(server, first, count) = did else { panic!("{did:?}") };
            sent += 1;
            // Half of the time one is lost, and for a while all are.
            if sent % 2 == 0 && turn < 500 {
                bench.answer(server, &data(SESSION, first..first + u64::from(count)));
            }
        }
        most = most.max(bench.client.status().outstanding);
        bench.settle();
    }
    assert!((90..=103).contains(&sent), "{sent}");
    assert!((2..=3).contains(&most), "{most}");
}

#[test]
fn answers_that_nobody_asked_for_are_counted_by_kind() {
    let mut bench = bench();
    // Before the first session there is none that it could be of.
    bench.answer(0, &data(SESSION, 1..3));
    bench.holes(&[10..20]);
    assert_eq!(bench.round(0), [Asked(0, 10, 10)]);
    bench.answer(1, &data(SESSION, 10..20));
    bench.answer(7, &data(SESSION, 10..20));
    bench.answer(0, &data(SESSION, 20..30));
    bench.answer(0, &data(SESSION, 1..10));
    bench.answer(0, &data(*b"OTHER     ", 10..20));
    bench.answer(0, &control(SESSION, 10, 0));
    bench.answer(0, &control(SESSION, 10, 0xFFFF));
    bench.answer(0, &control(SESSION, 10, 1));
    bench.answer(0, &control(SESSION, u64::MAX, 2));
    bench.answer(0, &data(SESSION, 0..15));
    bench.answer(0, &[1; 19]);
    bench.answer(0, &[]);
    assert_eq!(bench.given(), []);
    let counters = bench.client.counters();
    assert_eq!((counters.answers_unasked, counters.answers_wrong_session), (4, 2));
    assert_eq!((counters.answers_not_data, counters.answers_malformed, counters.answers), (2, 5, 0));
    // None of it was in the way.
    bench.answer(0, &data(SESSION, 10..20));
    assert_eq!(bench.given().len(), 1);
}

#[test]
fn without_room_an_answer_is_asked_for_again_and_nobody_is_blamed() {
    let mut bench = Bench::new(Some(RequestsConfig { retries: 0, ..REQUESTS }), None);
    bench.holes(&[10..20]);
    assert_eq!(bench.round(0), [Asked(0, 10, 10)]);
    bench.fill_the_link();
    for _ in 0..5 {
        bench.answer(0, &data(SESSION, 10..20));
        assert_eq!(bench.round(20 * MS), [Asked(0, 10, 10)]);
    }
    assert_eq!(bench.client.counters().answers_no_room, 5);
    bench.given();
    bench.answer(0, &data(SESSION, 10..20));
    assert_eq!(bench.given(), [Given::Packet(data(SESSION, 10..20))]);
    assert_eq!((bench.client.counters().timeouts, bench.client.counters().holes_abandoned), (0, 0));
}

#[test]
fn answers_that_the_loop_cannot_use_are_asked_for_again_but_not_for_ever() {
    let mut bench = bench();
    bench.holes(&[10..20]);
    let mut asked = 0;
    for _ in 0..500 {
        for did in bench.round(MS) {
            let Asked(server, ..) = did else { panic!("{did:?}") };
            asked += 1;
            bench.answer(server, &data(SESSION, 10..20));
        }
    }
    assert_eq!(asked, 4);
    assert_eq!(bench.client.counters().holes_abandoned, 1);
    assert!(bench.given().contains(&Given::Abandon(20)));
}

#[test]
fn a_hole_that_a_line_fills_is_closed() {
    let mut bench = bench();
    bench.holes(&[10..20, 30..40]);
    assert_eq!(bench.round(0).len(), 2);
    bench.answer(0, &data(SESSION, 10..20));
    bench.holes(&[]);
    bench.round(5 * MS);
    assert_eq!((bench.client.status().holes, bench.client.status().outstanding), (0, 1));
    // The second hole was not overdue by itself yet: an answer on its way is still welcome, and no second one is asked for.
    bench.answer(1, &data(SESSION, 30..35));
    assert_eq!(bench.round(MS), []);
    bench.holes(&[35..40]);
    assert_eq!(bench.round(MS), [Asked(0, 35, 5)]);
    bench.holes(&[]);
    for _ in 0..30 {
        assert_eq!(bench.round(MS), []);
    }
    let told = bench.notices();
    let closed = |first, answered, took| Notice::Closed { hole: Hole { first, end: 40 }, answered, took };
    assert!(told.contains(&closed(30, 5, 5 * MS)) && told.contains(&closed(35, 0, MS)), "{told:?}");
    let counters = bench.client.counters();
    assert_eq!((counters.holes_filled, counters.holes_closed, counters.holes_asked), (1, 2, 3));
    assert_eq!(bench.given().len(), 2);
}

#[test]
fn holes_that_grow_split_and_merge_stay_one() {
    let mut bench = bench();
    bench.holes(&[10..20]);
    assert_eq!(bench.round(0), [Asked(0, 10, 10)]);
    bench.holes(&[10..30]);
    assert_eq!(bench.round(MS), [Asked(1, 20, 10)]);
    bench.holes(&[10..14, 16..18, 25..30]);
    assert_eq!(bench.round(MS), []);
    bench.answer(0, &data(SESSION, 10..20));
    bench.answer(1, &data(SESSION, 20..30));
    bench.holes(&[]);
    bench.round(MS);
    let hole = Hole { first: 10, end: 30 };
    assert_eq!(bench.notices().last(), Some(&Notice::Filled { hole, took: 3 * MS, by_server: [10, 10] }));
    assert_eq!(bench.client.counters().holes_asked, 1);
}

#[test]
fn a_new_epoch_forgets_the_old_one() {
    let mut bench = bench();
    bench.holes(&[10..20]);
    bench.round(0);
    bench.need.epoch = 2;
    bench.holes(&[12..15]);
    assert_eq!(bench.round(MS), [Asked(1, 12, 3)]);
    // What server 0 was asked for was asked for in another epoch.
    bench.answer(0, &data(SESSION, 10..20));
    assert_eq!((bench.given(), bench.client.counters().answers_unasked), (vec![], 1));
    bench.answer(1, &data(SESSION, 12..15));
    assert_eq!(bench.given().len(), 1);
}

#[test]
fn the_last_sequences_are_asked_for_like_any() {
    let mut bench = Bench::new(Some(RequestsConfig { max_messages: u16::MAX, ..REQUESTS }), None);
    let first = u64::MAX - 70_000;
    bench.holes(&[first..u64::MAX]);
    assert_eq!(bench.round(0), [Asked(0, first, 65_534), Asked(1, first + 65_534, 4_466)]);
    bench.answer(1, &data(SESSION, u64::MAX - 3..u64::MAX));
    assert_eq!(bench.given().len(), 1);
    bench.round(MS);
    assert_eq!(bench.client.status().missing, 70_000);
}
