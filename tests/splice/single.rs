//! One book goes wrong: it alone is made anew, and the others never notice.

use wirebook::feed::handover::Item;
use wirebook::market::{BookState, TradingState};

use crate::day::{Day, SYMBOLS, locate};
use crate::rig::{Options, Rig};

/// Plays from `first` to `end`, the message with sequence `bad` replaced by `instead`.
fn play_with(rig: &mut Rig, day: &Day, (first, end): (u64, u64), bad: u64, instead: Vec<u8>) {
    rig.play(day, first, bad, 7);
    rig.send(bad, &[instead]);
    rig.turn();
    rig.play(day, bad + 1, end, 7);
}

/// The first message of one of `kinds` from sequence `from` on.
fn find(day: &Day, from: u64, kinds: &[u8]) -> u64 {
    let after = day.messages[from as usize - 1..].iter().position(|message| kinds.contains(&message[0]));
    from + after.unwrap() as u64
}

/// The first message about the orders of another instrument than `wrong` from sequence `from` on.
fn find_other(day: &Day, from: u64, wrong: u16) -> u64 {
    let other = |at: &u64| {
        let message = &day.messages[*at as usize - 1];
        b"AEXDU".contains(&message[0]) && locate(message) != wrong
    };
    (from..).find(other).unwrap()
}

/// All but `wrong` are live and exact at `at`.
fn others_live(rig: &Rig, day: &Day, at: u64, wrong: u16) {
    let others: Vec<_> = (1..=SYMBOLS).filter(|locate| *locate != wrong).collect();
    assert_eq!(rig.live(), others);
    rig.agrees(&day.teller(at));
}

#[test]
fn an_unreadable_message_costs_its_own_book_until_a_snapshot_and_no_other() {
    let day = Day::new(11, 8_000);
    for (round, kinds) in [&b"A"[..], b"E", b"D", b"U", b"X", b"H", b"A", b"F"].into_iter().enumerate() {
        let mut rig = Rig::new(&Options::default());
        let bad = find(&day, 2_000 + 97 * round as u64, kinds);
        let wrong = locate(&day.messages[bad as usize - 1]);
        let mut cut = day.messages[bad as usize - 1].clone();
        cut.pop();
        play_with(&mut rig, &day, (1, bad + 200), bad, cut);
        others_live(&rig, &day, bad + 200, wrong);
        assert_eq!(rig.state(wrong), BookState::Stale);
        assert_eq!(rig.need().oldest, bad + 1);
        // While it loads and the feed goes on.
        rig.begin();
        let snapshot = day.teller(bad + 220).snapshot();
        let mut at = bad + 200;
        for part in snapshot.chunks(40) {
            for message in part {
                rig.give(&Item::SnapshotMessage { message });
            }
            rig.play(&day, at, at + 10, 5);
            at += 10;
            others_live(&rig, &day, at, wrong);
            assert_eq!(rig.state(wrong), BookState::Recovering);
        }
        rig.give(&Item::SnapshotEnd { next: bad + 220 });
        rig.turns(5);
        assert_eq!(rig.agrees(&day.teller(at)), usize::from(SYMBOLS));
        rig.play(&day, at, at + 1_000, 9);
        assert_eq!(rig.agrees(&day.teller(at + 1_000)), usize::from(SYMBOLS));
        assert_eq!((rig.count("repair_done"), rig.count("repair_books")), (1, 1));
        assert_eq!(rig.count("book_anomalies"), 0);
        assert!(rig.count("repair_last_us") > 0);
    }
}

#[test]
fn a_market_wide_halt_has_its_place_among_the_messages_of_a_book_that_is_mended() {
    let day = Day::new(18, 8_000);
    let bad = find(&day, 2_000, b"A");
    let wrong = locate(&day.messages[bad as usize - 1]);
    let cut = day.messages[bad as usize - 1][..20].to_vec();
    let halt = (bad + 100..).find(|at| locate(&day.messages[*at as usize - 1]) == wrong).unwrap();
    let end = halt + 20;
    let trading = |at: u64| {
        let teller = day.teller(at);
        (1..=SYMBOLS).filter(move |locate| teller.trading(*locate) == (Some(b'T'), false))
    };
    assert!(trading(halt).any(|locate| locate == wrong));
    // The snapshot is from before the halt, and from after it.
    for (next, open) in [(halt, false), (halt + 1, true), (end, true)] {
        let mut rig = Rig::new(&Options::default());
        play_with(&mut rig, &day, (1, bad + 50), bad, cut.clone());
        rig.snapshot(&day.teller(next).snapshot(), next);
        assert_eq!(rig.state(wrong), BookState::Recovering);
        play_with(&mut rig, &day, (bad + 50, end), halt, b"W\0\0\0\0\0\0\0\0\0\x011".to_vec());
        rig.turns(5);
        assert_eq!(rig.state(wrong), BookState::Live);
        let state = |locate| rig.pipeline.books().trading_state(locate);
        assert_eq!(state(wrong) == TradingState::Trading, open, "{next}");
        let others = trading(halt).filter(|locate| *locate != wrong);
        assert!(others.filter(|locate| state(*locate) == TradingState::Halted).count() > 10);
    }
}

#[test]
fn an_order_that_never_came_is_noticed_and_mended() {
    let day = Day::new(12, 8_000);
    let mut tried = 0;
    for from in (2_000..4_000).step_by(131) {
        let mut rig = Rig::new(&Options::default());
        let bad = find(&day, from, b"A");
        let wrong = locate(&day.messages[bad as usize - 1]);
        // Of an unknown type: it says nothing, and nothing says that it is missing.
        let mut at = bad + 1;
        play_with(&mut rig, &day, (1, at), bad, vec![b'~'; 36]);
        while rig.state(wrong) == BookState::Live && at < bad + 2_000 {
            rig.play(&day, at, at + 1, 1);
            at += 1;
        }
        if rig.state(wrong) == BookState::Live {
            continue;
        }
        tried += 1;
        let end = at + 50;
        rig.play(&day, at, end, 3);
        others_live(&rig, &day, end, wrong);
        rig.snapshot(&day.teller(end).snapshot(), end);
        assert_eq!(rig.agrees(&day.teller(end)), usize::from(SYMBOLS));
        assert_eq!(rig.need().snapshot, 0);
    }
    assert!(tried > 5, "{tried}");
}

#[test]
fn a_message_that_could_not_be_read_is_made_good_by_a_snapshot_from_after_it() {
    let day = Day::new(13, 5_000);
    let (first, second) = (find(&day, 2_000, b"A"), 0);
    let wrong = locate(&day.messages[first as usize - 1]);
    let second = (first + 1..)
        .find(|at| {
            locate(&day.messages[*at as usize - 1]) == wrong && day.messages[*at as usize - 1][0] == b'A'
        })
        .unwrap_or(second);
    for (next, mended) in [(second, false), (second + 1, true)] {
        let mut rig = Rig::new(&Options::default());
        play_with(&mut rig, &day, (1, second), first, vec![b'A']);
        // One byte says too little to know whose it is: cut it behind the locate instead.
        let cut = day.messages[second as usize - 1][..20].to_vec();
        play_with(&mut rig, &day, (second, second + 30), second, cut);
        rig.snapshot(&day.teller(next).snapshot(), next);
        assert_eq!(rig.state(wrong) == BookState::Live, mended, "snapshot as of {next}");
        let live = rig.agrees(&day.teller(second + 30));
        assert_eq!(live, usize::from(SYMBOLS) - usize::from(!mended));
        assert_eq!(rig.need().snapshot == 0, mended);
    }
}

#[test]
fn books_that_go_wrong_while_another_is_mended_get_the_next_snapshot() {
    let day = Day::new(14, 8_000);
    let mut rig = Rig::new(&Options::default());
    let first = find(&day, 2_000, b"A");
    let wrong = locate(&day.messages[first as usize - 1]);
    let cut = |at: u64| day.messages[at as usize - 1][..12].to_vec();
    let second = find_other(&day, first + 100, wrong);
    let also_wrong = locate(&day.messages[second as usize - 1]);
    play_with(&mut rig, &day, (1, first + 50), first, cut(first));
    rig.begin();
    play_with(&mut rig, &day, (first + 50, second + 50), second, cut(second));
    assert_eq!((rig.state(wrong), rig.state(also_wrong)), (BookState::Recovering, BookState::Stale));
    for message in &day.teller(first + 60).snapshot() {
        rig.give(&Item::SnapshotMessage { message });
    }
    rig.give(&Item::SnapshotEnd { next: first + 60 });
    rig.turns(5);
    others_live(&rig, &day, second + 50, also_wrong);
    let end = second + 100;
    rig.play(&day, second + 50, end, 5);
    rig.snapshot(&day.teller(end).snapshot(), end);
    assert_eq!(rig.agrees(&day.teller(end)), usize::from(SYMBOLS));
    assert_eq!((rig.count("repair_done"), rig.count("repair_wishes_single")), (2, 2));
}

#[test]
fn an_order_that_two_instruments_claim_costs_both_books_until_a_snapshot() {
    let day = Day::new(17, 8_000);
    let mut rig = Rig::new(&Options::default());
    let at = find(&day, 2_000, b"E");
    let mut message = day.messages[at as usize - 1].clone();
    let owner = locate(&message);
    let named = owner % SYMBOLS + 1;
    message[1..3].copy_from_slice(&named.to_be_bytes());
    play_with(&mut rig, &day, (1, at + 50), at, message);
    assert_eq!((rig.state(owner), rig.state(named)), (BookState::Stale, BookState::Stale));
    assert_eq!(rig.agrees(&day.teller(at + 50)), usize::from(SYMBOLS) - 2);
    rig.snapshot(&day.teller(at + 50).snapshot(), at + 50);
    assert_eq!(rig.agrees(&day.teller(at + 50)), usize::from(SYMBOLS));
    assert_eq!(rig.need().snapshot, 0);
}

#[test]
fn a_book_that_joins_a_wish_needs_a_snapshot_from_after_its_own_trouble() {
    let day = Day::new(16, 8_000);
    let mut rig = Rig::new(&Options::default());
    let first = find(&day, 2_000, b"A");
    let second = find_other(&day, first + 100, locate(&day.messages[first as usize - 1]));
    let cut = |at: u64| day.messages[at as usize - 1][..12].to_vec();
    play_with(&mut rig, &day, (1, first + 50), first, cut(first));
    assert_eq!(rig.need().oldest, first + 1);
    play_with(&mut rig, &day, (first + 50, second + 50), second, cut(second));
    assert_eq!(rig.need().oldest, second + 1);
    // Good for the one and not for the other.
    rig.snapshot(&day.teller(first + 60).snapshot(), first + 60);
    assert_eq!((rig.count("repair_refused_old"), rig.live().len()), (1, usize::from(SYMBOLS) - 2));
    rig.snapshot(&day.teller(second + 50).snapshot(), second + 50);
    assert_eq!(rig.agrees(&day.teller(second + 50)), usize::from(SYMBOLS));
}

#[test]
fn a_limit_that_is_too_small_does_not_fetch_snapshots_for_ever() {
    let day = Day::new(15, 8_000);
    let mut rig = Rig::new(&Options { max_orders: 300, ..Options::default() });
    let at = 4_000;
    rig.play(&day, 1, at, 7);
    let stale = usize::from(SYMBOLS) - rig.live().len();
    assert!(stale > 0, "the limit was never reached");
    let mut snapshots = 0;
    let market = day.teller(at);
    // Nothing happens on the feed; time goes on for an hour.
    for _ in 0..3_600 {
        rig.time.set(rig.time.get() + 1_000_000_000);
        rig.turn();
        if rig.need().snapshot != 0 {
            snapshots += 1;
            rig.snapshot(&market.snapshot(), at);
        }
        rig.agrees(&market);
    }
    assert!(snapshots < 40, "{snapshots}");
    assert!(rig.count("repair_given_up") > 0);
    assert_eq!(rig.need().snapshot, 0);
    assert!(rig.live().len() < usize::from(SYMBOLS));
    // A later gap tries all of them again.
    rig.play(&day, at + 1, at + 5, 1);
    rig.turns(20);
    assert_ne!(rig.need().snapshot, 0);
}

#[test]
fn a_market_wide_halt_stays_in_its_place_among_messages_that_wait() {
    let mut day = Day::new(16, 6_000);
    let bad = find(&day, 2_000, b"A");
    let wrong = locate(&day.messages[bad as usize - 1]);
    let trading = |locate: u16, state: u8| {
        let mut message = vec![b'H', 0, locate as u8];
        message.extend([0; 22]);
        message[19] = state;
        // Its own symbol and time.
        let like = day.messages.iter().find(|m| m[0] == b'H' && m[2] == locate as u8).unwrap();
        message[3..19].copy_from_slice(&like[3..19]);
        message
    };
    let breach = [&b"W"[..], &[0; 10], b"1"].concat();
    let other = if wrong == 1 { 2 } else { 1 };
    // Before the breach both trade; after it the other one alone is let go again; the wrong one later.
    let said =
        [trading(wrong, b'T'), trading(other, b'T'), breach, trading(other, b'T'), trading(wrong, b'P')];
    let at = bad + 40;
    for (place, message) in (at as usize - 1..).zip(&said) {
        day.messages.insert(place, message.clone());
    }
    // The reference builder is strict about time and trading: it is asked for the orders only.
    let orders = |next| day.teller_without(next, &said);
    for next in at - 3..=at + 7 {
        let mut rig = Rig::new(&Options::default());
        play_with(&mut rig, &day, (1, at), bad, vec![b'A', 0, wrong as u8]);
        let state = |rig: &Rig, locate| rig.pipeline.books().trading_state(locate);
        rig.play(&day, at, at + 3, 1);
        assert_eq!(state(&rig, other), TradingState::Halted, "at once for books that are live");
        rig.play(&day, at + 3, at + 10, 1);
        rig.snapshot(&orders(next).snapshot(), next);
        assert_eq!(rig.live().len(), usize::from(SYMBOLS));
        assert_eq!(state(&rig, other), TradingState::Trading, "snapshot as of {next}");
        assert_eq!(state(&rig, wrong), TradingState::Paused, "snapshot as of {next}");
        let third = (1..=SYMBOLS).find(|locate| ![wrong, other].contains(locate)).unwrap();
        assert_eq!(state(&rig, third), TradingState::Halted);
    }
    // Spliced between the breach and its own announcement.
    let mut rig = Rig::new(&Options::default());
    play_with(&mut rig, &day, (1, at), bad, vec![b'A', 0, wrong as u8]);
    rig.play(&day, at, at + 4, 1);
    rig.snapshot(&orders(at + 1).snapshot(), at + 1);
    assert_eq!(rig.state(wrong), BookState::Live);
    assert_eq!(rig.pipeline.books().trading_state(wrong), TradingState::Halted);
}
