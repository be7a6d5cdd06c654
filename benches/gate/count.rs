//! What runs under callgrind: one call of [`instructions_counted_here`] for each figure, and a line that names it.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a case that is not what it says ends everything"
)]

use std::hint::black_box;

use wirebook::book::{Books, Limits, Outcome};
use wirebook::feed::itch::decode;
use wirebook::market::{BookState, Event};

use crate::cases::{Case, books, kinds};

/// The function whose calls callgrind counts.
pub(crate) const PATTERN: &str = "*::instructions_counted_here";

#[inline(never)]
fn instructions_counted_here(work: &mut dyn FnMut()) {
    work();
}

/// Counts `work`, done with `messages`.
fn figure(name: &str, messages: usize, mut work: impl FnMut()) {
    instructions_counted_here(&mut work);
    println!("{name} {messages}");
}

/// Everything, in the order in which it is printed.
pub(crate) fn all() {
    for (name, messages) in kinds() {
        figure(&format!("decode.{name}"), messages.len(), || {
            for message in &messages {
                let _ = black_box(decode(black_box(message)));
            }
        });
    }
    for case in books() {
        one_by_one(&case);
    }
}

const LIMITS: Limits = Limits { locates: 64, orders: 40_000, levels: 20_000 };

/// Books as they are before what is counted.
fn prepared(case: &Case) -> Books {
    let mut books = Books::new(LIMITS).expect("the limits are in range");
    books.set_all_states(BookState::Live);
    for message in &case.before {
        let change = books.apply(&decode(message).expect("a message"));
        assert_eq!(change.outcome, Outcome::Applied, "{}: {message:?}", case.name);
    }
    books
}

/// The case did what it is for.
fn check(case: &Case, books: &Books, levels_before: u32) {
    assert_eq!(books.counters().anomalies, 0, "{}", case.name);
    let levels = i64::from(books.usage().levels) - i64::from(levels_before);
    assert!(case.levels.is_none_or(|expected| expected == levels), "{}: {levels} levels more", case.name);
    books.audit().expect("sound books");
}

/// Decoded before, and applied one after the other.
fn one_by_one(case: &Case) {
    let mut books = prepared(case);
    let levels = books.usage().levels;
    let events: Vec<Event> = case.counted.iter().map(|message| decode(message).expect("a message")).collect();
    figure(&format!("book.{}", case.name), events.len(), || {
        for event in &events {
            black_box(books.apply(black_box(event)));
        }
    });
    check(case, &books, levels);
}
