//! What a latecomer is told, and the next day.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use exchange::market::{Config, Market, OutsideOrder, Phase};
use exchange::reference::Books;
use exchange::units::Side;

fn config(seed: u64) -> Config {
    Config { symbols: 40, seed, live_orders: 4_000, halt_every: 3_000, halt_length: 900, ..Config::default() }
}

/// The books of somebody who gets nothing but a snapshot now.
fn latecomer(market: &Market) -> Books {
    let mut books = Books::new();
    books.set_loading(true);
    market.snapshot(&mut |message| books.apply(message).expect("a right snapshot"));
    books.set_loading(false);
    books
}

fn agree(market: &Market, witness: &Books, late: &Books) {
    assert!(late.resting().eq(market.resting()), "orders, and their places in the queues");
    assert!(late.said().eq(witness.said()), "directory and states");
    let kept = |kind: u8| late.by_kind().get(&kind).copied().unwrap_or(0);
    assert_eq!(kept(b'A') + kept(b'F'), market.orders().len() as u64);
}

#[test]
fn a_snapshot_says_what_the_feed_said_at_any_point_of_the_day() {
    for seed in 1..=4 {
        let mut market = Market::new(config(seed)).expect("good");
        let mut witness = Books::new();
        let (mut points, mut halted) = (0, 0);
        assert_eq!(latecomer(&market).messages(), 0, "nothing was said yet");
        loop {
            let said = market.counters().messages;
            let over =
                market.step_of_day(60_000, &mut |message| witness.apply(message).expect("a right feed"));
            let over = over.expect("long enough");
            // Often while the day begins, now and then later.
            if over || said < 400 || said.is_multiple_of(293) {
                let late = latecomer(&market);
                agree(&market, &witness, &late);
                points += 1;
                halted += u64::from(
                    late.said().any(|(_, said)| said.operational_halt || matches!(said.state, b'H' | b'P')),
                );
            }
            if over {
                break;
            }
        }
        assert!(points > 400 && halted > 20, "{points} snapshots, {halted} with a halt");
    }
}

#[test]
fn names_of_participants_survive_replacing_and_the_snapshot() {
    let mut market = Market::new(config(5)).expect("good");
    let mut named = std::collections::BTreeMap::new();
    let number = |message: &[u8], at: usize| -> u64 {
        message[at..at + 8].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let mut inherited = 0;
    market
        .run_day(150_000, &mut |message| match message[0] {
            b'F' => {
                named.insert(number(message, 11), message[36..40].to_vec());
            }
            b'U' => {
                if let Some(name) = named.remove(&number(message, 11)) {
                    named.insert(number(message, 19), name);
                    inherited += 1;
                }
            }
            _ => {}
        })
        .expect("long enough");
    assert!(inherited > 20);
    let mut seen = 0;
    market.snapshot(&mut |message| match message[0] {
        b'F' => {
            assert_eq!(named[&number(message, 11)], message[36..40]);
            seen += 1;
        }
        b'A' => assert!(!named.contains_key(&number(message, 11))),
        _ => {}
    });
    assert!(seen > 10);
}

/// From a snapshot onward the feed leads to the same books as from the beginning.
#[test]
fn a_latecomer_that_goes_on_with_the_feed_has_the_same_books_in_the_end() {
    let mut market = Market::new(config(6)).expect("good");
    let mut latecomers: Vec<Books> = Vec::new();
    loop {
        if market.counters().messages.is_multiple_of(4_001) {
            latecomers.push(latecomer(&market));
        }
        let over = market.step_of_day(60_000, &mut |message| {
            for books in &mut latecomers {
                books.apply(message).expect("goes on where the snapshot ends");
            }
        });
        if over.expect("long enough") {
            break;
        }
    }
    assert!(latecomers.len() > 8);
    for books in &latecomers {
        assert!(books.resting().eq(market.resting()));
        assert!(books.ended());
    }
}

#[test]
fn the_next_day_has_the_same_instruments_under_other_codes_and_empty_books() {
    let mut market = Market::new(config(7)).expect("good");
    market.run_day(30_000, &mut |_| {}).expect("long enough");
    let names = |market: &Market| -> Vec<_> {
        (0..40).map(|index| market.symbol(index).expect("40 instruments")).collect()
    };
    let (first, time) = (names(&market), market.time());
    assert_eq!(market.roll(), Vec::<u64>::new(), "no client was there");
    let mut second = names(&market);
    let moved = first.iter().zip(&second).filter(|(one, two)| one != two).count();
    assert!(moved > 20, "{moved} of 40 locate codes are others");
    for (symbol, index) in second.iter().zip(0..) {
        assert_eq!(market.instrument_of(*symbol), Some(index));
    }
    assert_eq!(market.phase(), Phase::Opening(0));
    assert!(market.orders().is_empty() && market.time() < time);
    // It is as right as the first one, and as exact to repeat.
    let mut books = Books::new();
    let mut again = market.clone();
    let mut said = Vec::new();
    market
        .run_day(30_000, &mut |message| {
            books.apply(message).expect("a right feed");
            said.extend_from_slice(message);
        })
        .expect("long enough");
    assert!(books.resting().eq(market.resting()) && books.live_orders() > 1_000);
    let mut repeated = Vec::new();
    again.run_day(30_000, &mut |message| repeated.extend_from_slice(message)).expect("long enough");
    assert!(said == repeated);
    // A third day is like neither.
    market.roll();
    let third = names(&market);
    assert!(third != second && third != first);
    second.sort_unstable();
    let mut sorted = first;
    sorted.sort_unstable();
    assert_eq!(second, sorted);
}

#[test]
fn the_next_day_begins_without_the_clients_orders_and_says_whose_they_were() {
    let mut market = Market::new(Config { halt_every: 0, ..config(8) }).expect("good");
    while market.phase() != Phase::Open {
        market.step(&mut |_| {});
    }
    let instrument = (0..40).find(|index| market.is_trading(*index)).expect("one trades");
    let order = OutsideOrder {
        tag: 77,
        instrument,
        side: Side::Buy,
        shares: 100,
        price: 100,
        rests: true,
        mpid: None,
    };
    let entered = market.enter(&order, &mut |_| {}).expect("trading");
    let slot = entered.slot.expect("it rests");
    assert!(market.orders().is_live(slot, entered.order_ref));
    assert_eq!(market.roll(), [77]);
    assert!(!market.orders().is_live(slot, entered.order_ref));
}
