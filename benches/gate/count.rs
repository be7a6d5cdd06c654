//! What runs under callgrind: one call of [`instructions_counted_here`] for each figure, and a line that names it.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a case that is not what it says ends everything"
)]

use std::hint::black_box;

use wirebook::book::{self, Books, Limits, Outcome};
use wirebook::feed::itch::batch::{Batch, Path};
use wirebook::feed::itch::decode;
use wirebook::market::{BookState, OrderMessage};
use wirebook::wire::moldudp64::{Packet, PacketBuilder};

use crate::cases::{Case, books, kinds};
use crate::decide;
use crate::itch::Message;

/// The function whose calls callgrind counts.
pub(crate) const PATTERN: &str = "*::instructions_counted_here";

#[inline(never)]
fn instructions_counted_here(work: &mut dyn FnMut()) {
    work();
}

/// Counts `work`, done with `messages`.
pub(crate) fn figure(name: &str, messages: usize, mut work: impl FnMut()) {
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
    for (path, name) in [(Path::Scalar, "scalar"), (Path::Avx2, "avx2")] {
        by_packet(path, name);
    }
    for case in books() {
        one_by_one(&case);
        if case.name == "day" {
            by_group(&case);
            decide::all(&case);
        }
    }
}

/// Blocks of a packet.
const PACKET: usize = 38;

fn packets(messages: &[Message]) -> Vec<Vec<u8>> {
    let packet = |part: &[Message]| {
        let mut bytes = vec![0; 2_048];
        let mut builder = PacketBuilder::new(&mut bytes, *b"GATE      ", 1).expect("room");
        part.iter().for_each(|message| builder.push(message).expect("room"));
        let len = builder.len();
        bytes.truncate(len);
        bytes
    };
    messages.chunks(PACKET).map(packet).collect()
}

/// Whole packets of all kinds, those of the day, by one of the paths.
fn by_packet(path: Path, name: &str) {
    let mut batch = Batch::with_path(path).expect("a processor with AVX2");
    let messages = books().pop().expect("the last case is the day").counted;
    let packets = packets(&messages);
    let packets: Vec<_> = packets.iter().map(|bytes| Packet::new_checked(bytes).expect("a packet")).collect();
    figure(&format!("decode.packets_{name}"), messages.len(), || {
        for packet in &packets {
            let mut blocks = black_box(packet).blocks();
            while !black_box(batch.fill(&mut blocks)).is_empty() {}
        }
    });
}

const LIMITS: Limits = Limits { locates: 64, orders: 40_000, levels: 20_000 };

/// Books as they are before what is counted.
pub(crate) fn prepared(case: &Case) -> Books {
    // Plain Rust counts the same wherever it runs; callgrind 3.19 does not get everything of the AVX2 path right.
    let mut books = Books::with_path(LIMITS, book::Path::Portable).expect("the limits are in range");
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

/// As a decoder writes them.
fn records(case: &Case) -> Vec<OrderMessage> {
    let record = |message: &Message| OrderMessage::from_event(&decode(message).expect("a message"));
    case.counted.iter().map(|message| record(message).expect("an order message")).collect()
}

/// Decoded before, and applied one after the other.
fn one_by_one(case: &Case) {
    let mut books = prepared(case);
    let levels = books.usage().levels;
    let records = records(case);
    figure(&format!("book.{}", case.name), records.len(), || {
        for record in &records {
            black_box(books.apply_order(black_box(record)));
        }
    });
    check(case, &books, levels);
}

/// The same with a look ahead over each packet.
fn by_group(case: &Case) {
    let mut books = prepared(case);
    let levels = books.usage().levels;
    let records = records(case);
    figure(&format!("book.{}_ahead", case.name), records.len(), || {
        for group in records.chunks(PACKET) {
            books.look_ahead(black_box(group));
            for record in group {
                black_box(books.apply_order(black_box(record)));
            }
        }
    });
    check(case, &books, levels);
}
