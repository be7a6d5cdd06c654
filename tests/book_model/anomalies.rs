//! Events that cannot be right: what is done instead, which counter tells, which books go stale, and what does not
//! change.

use wirebook::book::{Anomaly, Books, Outcome};
use wirebook::market::{BookState, EventKind, Side};

use crate::behaviour::{LIMITS, add, at, directory, execute, live_books, replace};

/// Two orders on locate 1, one on locate 2, everything live.
fn books() -> Books {
    let mut books = live_books(LIMITS);
    books.apply(&at(1, add(1, Side::Buy, 100, 50)));
    books.apply(&at(1, add(2, Side::Buy, 200, 49)));
    books.apply(&at(2, add(3, Side::Sell, 300, 60)));
    books
}

/// The counter of `name`.
fn counted(books: &Books, name: &str) -> u64 {
    let name = format!("book_{name}");
    books.counters().rows().into_iter().find(|(row, _)| *row == name).unwrap().1
}

/// Applies one wrong event; the books in `stale`, and no others of 1 to 3, must go stale, and `left` be all that
/// rests.
#[track_caller]
fn wrong(
    locate: u16,
    kind: EventKind,
    anomaly: Anomaly,
    name: &str,
    stale: &[u16],
    left: &[(u64, u32)],
) -> bool {
    let mut books = books();
    let change = books.apply(&at(locate, kind));
    assert_eq!((change.locate, change.outcome), (locate, Outcome::Anomaly(anomaly)));
    assert_eq!((counted(&books, name), counted(&books, "anomalies")), (1, 1));
    assert_eq!(counted(&books, "went_stale"), stale.len() as u64);
    for book in 1..=3 {
        let expected = if stale.contains(&book) { BookState::Stale } else { BookState::Live };
        assert_eq!(books.state(book), expected, "book {book}");
    }
    let resting: Vec<_> = books.resting().map(|order| (order.order_ref, order.shares)).collect();
    assert_eq!(resting, left);
    books.audit().unwrap();
    change.top_changed
}

const ALL: &[(u64, u32)] = &[(1, 100), (2, 200), (3, 300)];
const WITHOUT_FIRST: &[(u64, u32)] = &[(2, 200), (3, 300)];

#[test]
fn unknown_references_change_nothing() {
    let cancel = EventKind::Cancel { order_ref: 7, shares: 1 };
    let delete = EventKind::Delete { order_ref: 7 };
    assert!(!wrong(1, execute(7, 1), Anomaly::ExecuteUnknown, "execute_unknown", &[1], ALL));
    assert!(!wrong(1, cancel, Anomaly::CancelUnknown, "cancel_unknown", &[1], ALL));
    assert!(!wrong(3, delete, Anomaly::DeleteUnknown, "delete_unknown", &[3], ALL));
    assert!(!wrong(1, replace(7, 8, 1, 1), Anomaly::ReplaceUnknown, "replace_unknown", &[1], ALL));
}

#[test]
fn a_duplicate_reference_keeps_the_older_order_and_doubts_both_books() {
    assert!(!wrong(1, add(2, Side::Sell, 5, 5), Anomaly::AddDuplicate, "add_duplicate", &[1], ALL));
    assert!(!wrong(1, add(3, Side::Sell, 5, 5), Anomaly::AddDuplicate, "add_duplicate", &[1, 2], ALL));
}

#[test]
fn a_replacement_by_a_used_reference_leaves_without_successor() {
    let kind = Anomaly::ReplaceDuplicate;
    assert!(wrong(1, replace(1, 2, 5, 5), kind, "replace_duplicate", &[1], WITHOUT_FIRST));
    assert!(wrong(1, replace(1, 3, 5, 5), kind, "replace_duplicate", &[1, 2], WITHOUT_FIRST));
    let left = &[(1, 100), (3, 300)];
    assert!(!wrong(1, replace(2, 3, 5, 99), kind, "replace_duplicate", &[1, 2], left), "not the best bid");
}

#[test]
fn more_than_the_order_has_takes_the_order() {
    let cancel = EventKind::Cancel { order_ref: 2, shares: u32::MAX };
    assert!(wrong(1, execute(1, 101), Anomaly::OverExecuted, "over_executed", &[1], WITHOUT_FIRST));
    assert!(!wrong(1, cancel, Anomaly::OverCancelled, "over_cancelled", &[1], &[(1, 100), (3, 300)]));
}

#[test]
fn an_excess_execution_counts_no_more_volume_than_there_was() {
    let mut books = books();
    books.apply(&at(1, execute(1, 1_000)));
    assert_eq!(books.volume(1), 100);
}

#[test]
fn zero_shares_and_zero_prices_are_no_orders() {
    let cancel = EventKind::Cancel { order_ref: 1, shares: 0 };
    assert!(!wrong(1, add(9, Side::Buy, 0, 50), Anomaly::ZeroShares, "zero_shares", &[1], ALL));
    assert!(!wrong(1, execute(1, 0), Anomaly::ZeroShares, "zero_shares", &[1], ALL));
    assert!(!wrong(1, cancel, Anomaly::ZeroShares, "zero_shares", &[1], ALL));
    assert!(wrong(1, replace(1, 9, 0, 50), Anomaly::ZeroShares, "zero_shares", &[1], WITHOUT_FIRST));
    assert!(!wrong(1, add(9, Side::Sell, 1, 0), Anomaly::ZeroPrice, "zero_price", &[1], ALL));
    assert!(wrong(1, replace(1, 9, 5, 0), Anomaly::ZeroPrice, "zero_price", &[1], WITHOUT_FIRST));
}

#[test]
fn an_order_of_another_instrument_is_not_touched_and_both_are_doubted() {
    let kind = Anomaly::LocateMismatch;
    let cancel = EventKind::Cancel { order_ref: 1, shares: 1 };
    assert!(!wrong(2, execute(1, 1), kind, "locate_mismatch", &[1, 2], ALL));
    assert!(!wrong(3, cancel, kind, "locate_mismatch", &[1, 3], ALL));
    assert!(!wrong(1, EventKind::Delete { order_ref: 3 }, kind, "locate_mismatch", &[1, 2], ALL));
    assert!(!wrong(2, replace(1, 9, 1, 1), kind, "locate_mismatch", &[1, 2], ALL));
    // The instrument of the event does not exist, that of the order does.
    assert!(!wrong(99, EventKind::Delete { order_ref: 3 }, kind, "locate_mismatch", &[2], ALL));
}

#[test]
fn locates_out_of_range_touch_no_book() {
    let kind = Anomaly::LocateOutOfRange;
    let trade = EventKind::Trade { shares: 1, price: wirebook::market::Price(1), cross: false };
    for locate in [0, 10, u16::MAX] {
        for event in [add(9, Side::Buy, 1, 1), execute(9, 1), replace(9, 10, 1, 1), directory("X"), trade] {
            assert!(!wrong(locate, event, kind, "locate_out_of_range", &[], ALL));
        }
    }
}

#[test]
fn an_order_before_its_directory_is_kept_but_not_believed() {
    let mut books = books();
    let change = books.apply(&at(4, add(9, Side::Buy, 10, 20)));
    assert_eq!(change.outcome, Outcome::Anomaly(Anomaly::NoDirectory));
    assert!(change.top_changed);
    assert_eq!((books.state(4), counted(&books, "no_directory")), (BookState::Stale, 1));
    assert_eq!((books.top(4).bid.unwrap().shares, books.counters().added), (10, 4));
}

#[test]
fn a_locate_that_changes_its_symbol_is_counted_and_doubted() {
    let symbol = wirebook::market::Symbol::new("OTHER");
    let kind = Anomaly::SymbolChanged;
    assert!(!wrong(1, directory("OTHER"), kind, "symbol_changed", &[1], ALL));
    let mut books = books();
    books.apply(&at(1, directory("OTHER")));
    assert_eq!(books.symbol(1), symbol);
}

#[test]
fn a_book_being_rebuilt_goes_stale_too() {
    let mut books = books();
    books.set_state(1, BookState::Recovering);
    books.apply(&at(1, execute(77, 1)));
    assert_eq!(books.state(1), BookState::Stale);
    books.apply(&at(1, execute(77, 1)));
    assert_eq!((counted(&books, "went_stale"), counted(&books, "execute_unknown")), (1, 2));
}

#[test]
fn the_other_book_that_went_stale_is_named_once() {
    let mut books = books();
    books.apply(&at(2, execute(1, 1)));
    assert_eq!(books.take_also_spoiled(), Some(1));
    assert_eq!(books.take_also_spoiled(), None);
    books.apply(&at(1, add(3, Side::Sell, 5, 5)));
    assert_eq!(books.take_also_spoiled(), Some(2));
    // The same book twice is no other book.
    books.apply(&at(1, add(2, Side::Sell, 5, 5)));
    assert_eq!(books.take_also_spoiled(), None);
}

#[test]
fn a_stale_book_is_still_kept() {
    let mut books = books();
    books.set_state(1, BookState::Stale);
    assert!(books.apply(&at(1, add(9, Side::Buy, 10, 51))).top_changed);
    assert_eq!(books.top(1).bid.unwrap().price.0, 51);
    assert_eq!(books.state(1), BookState::Stale, "no event makes a book live");
}
