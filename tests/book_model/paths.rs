//! Every path of the processor, with and without look-ahead, gives the same books, whatever is said to them.

use wirebook::book::{Books, Limits, Path};
use wirebook::market::{BookState, EventKind, OrderMessage, Price, Side};

use crate::behaviour::{add, at, directory, replace};
use crate::random_numbers::Random;

const LIMITS: Limits = Limits { locates: 10, orders: 600, levels: 150 };

/// Order messages of all kinds, sane ones and others: references that are not there or there already, wrong locates,
/// too many shares, none.
fn messages(random: &mut Random, known: &mut Vec<(u16, u64)>, count: usize) -> Vec<OrderMessage> {
    let mut all = Vec::new();
    while all.len() < count {
        let locate = 1 + random.below(11) as u16;
        let (owner, order_ref) = match known.len() {
            0 => (1, 7),
            len => known[random.below(len)],
        };
        // Others' orders now and then.
        let owner = if random.below(50) == 0 { locate } else { owner };
        let shares = random.below(300) as u32;
        let price = 1_000 + random.below(40) as u32;
        let new_ref =
            if random.below(60) == 0 { order_ref } else { random.any() >> (24 + random.below(3) * 14) };
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let event = match random.below(10) {
            0..=3 => {
                known.push((locate, new_ref));
                at(locate, add(new_ref, side, shares, price))
            }
            4..=5 => {
                known.push((owner, new_ref));
                at(owner, replace(order_ref, new_ref, shares, price))
            }
            6 => at(owner, EventKind::Cancel { order_ref, shares }),
            7 => {
                let price = (random.below(2) == 0).then_some(Price(price));
                let printable = price.is_none() || random.below(2) == 0;
                at(owner, EventKind::Execute { order_ref, shares, price, printable })
            }
            _ => {
                let gone = random.below(known.len().max(1));
                let (owner, order_ref) = if known.is_empty() { (1, 7) } else { known.swap_remove(gone) };
                at(owner, EventKind::Delete { order_ref })
            }
        };
        all.extend(OrderMessage::from_event(&event));
    }
    all
}

#[test]
fn every_path_gives_the_same_books() {
    let paths: Vec<Path> = Path::ALL.into_iter().filter(|path| path.is_available()).collect();
    assert!(paths.contains(&Path::Portable));
    for seed in 0..if cfg!(miri) { 1 } else { 20 } {
        let mut books: Vec<(Path, bool, Books)> = paths
            .iter()
            .flat_map(|path| [(*path, false), (*path, true)])
            .map(|(path, ahead)| (path, ahead, Books::with_path(LIMITS, path).unwrap()))
            .collect();
        for (.., books) in &mut books {
            for locate in 1..9 {
                books.apply(&at(locate, directory("SAME")));
            }
            books.set_all_states(BookState::Live);
        }
        let (mut random, mut known) = (Random(seed + 1), Vec::new());
        for round in 0..if cfg!(miri) { 20 } else { 300 } {
            let group = messages(&mut random, &mut known, 1 + round % 90);
            let mut changes = Vec::new();
            for (path, ahead, books) in &mut books {
                if *ahead {
                    books.look_ahead(&group);
                }
                let ours: Vec<_> = group.iter().map(|message| books.apply_order(message)).collect();
                // By the events, it is the same, too.
                if changes.is_empty() {
                    changes = ours;
                } else {
                    assert!(changes == ours, "seed {seed}, round {round}, {path:?}, look-ahead {ahead}");
                }
            }
        }
        let (.., first) = &books[0];
        let (resting, counters) = (first.resting().collect::<Vec<_>>(), first.counters());
        assert!(resting.len() > 100 || cfg!(miri), "{}", resting.len());
        assert!(counters.order_limit + counters.level_limit > 0 || cfg!(miri), "{counters:?}");
        for (path, ahead, books) in &books {
            books.audit().unwrap();
            assert!(books.resting().eq(resting.iter().copied()), "{path:?}, look-ahead {ahead}");
            assert_eq!(books.counters(), counters);
        }
    }
}
