//! `wirebook replay` against books that share nothing with it: decoded by the crate `itch5`, built of plain maps and
//! queues, compared order by order.
//!
//! The stream is our own exchange's. With `WIREBOOK_ITCH_FILE=FILE` (messages behind their length, 16 bits, big-endian)
//! that file is compared as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../live/programs.rs"]
mod programs;

mod markets;
mod plain;

use std::path::Path;

use itch5::Parser;
use plain::PlainBooks;
use programs::{assert_same_books, exchange, must, orders, say, wirebook};

/// Replays `file`, compares its books with those of the independent decoder, and gives those.
fn compare(file: &Path, least_messages: u64) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let dump = directory.path().join("books.csv");
    must(wirebook().args(["replay", "--no-progress"]).arg(file).arg("--dump").arg(&dump));

    let bytes = std::fs::read(file).unwrap();
    let mut plain = PlainBooks::default();
    Parser::new(&bytes).parse_stream(&mut plain).unwrap();
    let expected = plain.lines();
    assert!(plain.messages >= least_messages, "{} messages about orders", plain.messages);
    assert_same_books(&file.display().to_string(), &dump, &expected, 1_000);
    say(&format!(
        "oracle_replay: {}: {} messages about orders, {} orders rest: equal",
        file.file_name().unwrap().to_string_lossy(),
        plain.messages,
        expected.len()
    ));
    expected
}

#[test]
fn two_million_messages_end_in_the_books_of_an_independent_decoder() {
    let directory = tempfile::tempdir().unwrap();
    let (stream, own) = (directory.path().join("stream.itch"), directory.path().join("own.csv"));
    must(
        exchange()
            .args(["stream", "--messages", "2000000", "--symbols", "64", "--out"])
            .arg(&stream)
            .arg("--dump")
            .arg(&own),
    );
    let books = compare(&stream, 1_900_000);
    // The market knows its books without ever decoding a feed.
    assert_same_books("the market itself", &own, &books, 1_000);
    assert_eq!(orders(&own).len(), books.len());
}

#[test]
fn a_file_of_somebody_else_ends_in_the_books_of_an_independent_decoder() {
    match std::env::var_os("WIREBOOK_ITCH_FILE") {
        Some(file) => drop(compare(Path::new(&file), 1)),
        None => say("SKIPPED oracle_replay of a foreign file: WIREBOOK_ITCH_FILE names none"),
    }
}
