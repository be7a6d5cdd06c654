//! Late joins at random points of the day, with the snapshot arriving while the feed goes on.

use std::collections::BTreeMap;

use exchange::rng::Rng;
use wirebook::feed::handover::{Item, Need};
use wirebook::market::BookState;

use crate::counting;
use crate::day::{Day, SYMBOLS, Teller};
use crate::rig::{Options, Rig};

/// One late join: heard from `join` on, the snapshot is as of `next`, compared at `end`.
#[derive(Clone, Copy, Debug)]
struct Case {
    join: u64,
    next: u64,
    end: u64,
}

fn late(rng: &mut Rng, day: &Day, case: Case, snapshot: &[Vec<u8>]) -> Rig {
    let Case { join, next, end } = case;
    let mut rig = Rig::new(&Options::default());
    let mut at = join;
    let mut left = snapshot.iter();
    // The server takes its snapshot when the feed is about there.
    let begin = join + 1 + u64::from(rng.below((next - join) as u32 + 10));
    let mut begun = false;
    let mut ended = false;
    while at < end {
        let to = (at + 1 + u64::from(rng.below(5))).min(end);
        rig.send(at, day.range(at, to));
        at = to;
        rig.turn();
        if at >= begin && !begun {
            let Need { oldest, .. } = rig.need();
            assert_eq!(oldest, join);
            rig.begin();
            begun = true;
        }
        if begun && !ended {
            for message in left.by_ref().take(1 + rng.below(60) as usize) {
                rig.give(&Item::SnapshotMessage { message });
            }
            if left.len() == 0 {
                rig.give(&Item::SnapshotEnd { next });
                ended = true;
            }
        }
        if !ended {
            let state = if begun && rig.count("repair_snapshots") == 1 {
                BookState::Recovering
            } else {
                BookState::Stale
            };
            assert!((1..=SYMBOLS).all(|locate| rig.state(locate) == state), "{case:?}");
        }
    }
    while !ended {
        rig.turn();
        match left.next() {
            Some(message) => rig.give(&Item::SnapshotMessage { message }),
            None => {
                rig.give(&Item::SnapshotEnd { next });
                ended = true;
            }
        }
    }
    rig.turns(20);
    rig
}

#[test]
fn a_thousand_late_joins_give_the_books_of_those_who_were_there() {
    let day = Day::new(4, 12_000);
    let mut rng = Rng::new(4);
    let cases: Vec<_> = (0..1_000)
        .map(|_| {
            let join = 2 + u64::from(rng.below(11_000));
            let next = join + u64::from(rng.below(60));
            Case { join, next, end: next + 20 + u64::from(rng.below(300)) }
        })
        .collect();
    let mut snapshots = BTreeMap::new();
    let mut books = BTreeMap::new();
    cases.iter().for_each(|case| {
        snapshots.insert(case.next, Vec::new());
        books.insert(case.end, None);
    });
    let mut teller = Teller::default();
    for (next, snapshot) in &mut snapshots {
        teller.go_to(&day, *next);
        *snapshot = teller.snapshot();
    }
    let mut teller = Teller::default();
    for (end, resting) in &mut books {
        teller.go_to(&day, *end);
        *resting =
            Some((teller.resting(), (1..=SYMBOLS).map(|locate| teller.trading(locate)).collect::<Vec<_>>()));
    }
    let mut logged = 0;
    for case in cases {
        let rig = late(&mut rng, &day, case, &snapshots[&case.next]);
        assert_eq!(rig.live().len(), usize::from(SYMBOLS), "{case:?}");
        let (resting, trading) = books[&case.end].as_ref().unwrap();
        let ours: Vec<_> = (rig.pipeline.books().resting())
            .map(|order| (order.locate, order.order_ref, order.price.0, order.shares))
            .collect();
        assert_eq!(&ours, resting, "{case:?}");
        for (locate, (state, halted)) in (1..=SYMBOLS).zip(trading) {
            let trades = *state == Some(b'T') && !halted;
            let ours = rig.pipeline.books().trading_state(locate) == wirebook::market::TradingState::Trading;
            assert_eq!(ours, trades, "{case:?}, locate {locate}");
        }
        assert_eq!(rig.count("book_anomalies"), 0, "{case:?}");
        let known = |locate: u16| rig.pipeline.books().symbol(locate).is_some();
        let directory = day.range(1, case.end).iter().filter(|message| message[0] == b'R').count();
        assert_eq!((1..=SYMBOLS).filter(|locate| known(*locate)).count(), directory, "{case:?}");
        logged += rig.count("repair_logged");
    }
    assert!(logged > 20_000, "{logged}");
}

#[test]
fn a_repair_allocates_nothing() {
    let day = Day::new(5, 9_000);
    let mut rig = Rig::new(&Options::default());
    let mut teller = day.teller(4_000);
    let snapshot = teller.snapshot();
    let mut calls = 0;
    let mut at = 3_000;
    // Joins late, loads, splices, loses a stretch, and does it again.
    for (next, hole) in [(4_000, 0), (6_000, 40)] {
        at += hole;
        let end = next + 900;
        let mut messages = None;
        let mut sent = 0;
        while at < end {
            rig.send(at, day.range(at, at + 10));
            at += 10;
            rig.time.set(rig.time.get() + 20_000);
            calls += counting::calls(|| {
                while rig.pipeline.poll() {}
                rig.pipeline.tick(rig.time.get());
            });
            if at > next && messages.is_none() {
                teller.go_to(&day, next.max(4_000));
                messages = Some(if next == 4_000 { snapshot.clone() } else { teller.snapshot() });
                rig.begin();
            }
            if let Some(messages) = &messages {
                for message in messages.iter().skip(sent).take(100) {
                    assert!(rig.client.giver.give(&Item::SnapshotMessage { message }));
                }
                if sent < messages.len() && sent + 100 >= messages.len() {
                    assert!(rig.client.giver.give(&Item::SnapshotEnd { next }));
                }
                sent += 100;
            }
        }
        assert_eq!(rig.agrees(&day.teller(at)), usize::from(SYMBOLS));
    }
    assert_eq!(calls, 0);
    assert_eq!((rig.count("repair_done"), rig.count("stream_gaps")), (2, 1));
    assert!(rig.count("repair_replayed") > 100 && rig.count("book_drained") > 100);
}
