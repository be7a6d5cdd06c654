//! `wirebook replay` on captures of every kind, made here: the same stream must give the same books, whatever it is
//! wrapped in, and whatever is missing must be said.
#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]

#[path = "replay/market.rs"]
mod market;
#[path = "replay/packets.rs"]
mod packets;

use std::path::{Path, PathBuf};

use market::Day;
use packets::{Container, LINE_A, LINE_B, Packing, pack, write_capture};
use wirebook::capture::Tail;
use wirebook::cli::exit::Exit;
use wirebook::cli::replay::{ReplayArgs, ReplayError, Summary, run};

struct Outcome {
    result: Result<Summary, ReplayError>,
    report: String,
    dump: String,
}

fn args(file: &Path) -> ReplayArgs {
    ReplayArgs { file: file.to_owned(), depth: 3, no_progress: true, ..ReplayArgs::default() }
}

fn replay(bytes: &[u8], change: impl FnOnce(&mut ReplayArgs)) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("capture");
    std::fs::write(&file, bytes).unwrap();
    let dump = dir.path().join("dump.csv");
    let mut args = ReplayArgs { dump: Some(dump.clone()), ..args(&file) };
    change(&mut args);
    let mut report = Vec::new();
    let result = run(&args, &mut report);
    let dump = std::fs::read_to_string(dump).unwrap_or_default();
    Outcome { result, report: String::from_utf8(report).unwrap(), dump }
}

fn binary_file(day: &Day) -> Vec<u8> {
    let mut file = Vec::new();
    for message in &day.messages {
        file.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        file.extend_from_slice(message);
    }
    file
}

/// Drops packet `n` on line A every seventh time, and the ones between them on line B.
const HOLES: fn(usize) -> (bool, bool) = |n| (n % 7 != 3, n % 7 != 5);

#[test]
fn every_wrapping_gives_the_same_books() {
    let day = Day::generate(20_000, 40);
    assert!(day.dump.lines().count() > 1_000);
    let files = [
        ("BinaryFILE", binary_file(&day)),
        ("pcap ns", write_capture(&pack(&day, &Packing::default()), Container::Nanos)),
        (
            "pcap us, holes",
            write_capture(&pack(&day, &Packing { keep: HOLES, ..Packing::default() }), Container::Micros),
        ),
        (
            "pcapng, tagged, holes",
            write_capture(
                &pack(&day, &Packing { keep: HOLES, vlan: Some(100), ..Packing::default() }),
                Container::NextGeneration,
            ),
        ),
        (
            "line B leads",
            write_capture(
                &pack(&day, &Packing { keep: HOLES, b_first: true, ..Packing::default() }),
                Container::Nanos,
            ),
        ),
    ];
    for (what, bytes) in &files {
        let outcome = replay(bytes, |_| {});
        let summary = outcome.result.unwrap();
        assert_eq!(outcome.dump, day.dump, "{what}");
        assert!(!summary.flagged(), "{what}: {summary:?}");
        assert_eq!((summary.messages as usize, summary.tail), (day.messages.len(), None), "{what}");
        assert_eq!((summary.books, summary.stale), (40, 0), "{what}");
        assert_eq!(summary.orders as usize, day.dump.lines().count() - 1, "{what}");
        assert_eq!(summary.bytes as usize, bytes.len(), "{what}");
        assert!(outcome.report.contains("40 books, all live"), "{what}: {}", outcome.report);
    }
}

#[test]
fn the_report_shows_lines_and_asked_books() {
    let day = Day::generate(5_000, 10);
    let bytes = write_capture(&pack(&day, &Packing { keep: HOLES, ..Packing::default() }), Container::Nanos);
    let symbols = ["SYM3", "NOPE"].map(|s| wirebook::market::Symbol::new(s).unwrap()).to_vec();
    let report = replay(&bytes, |args| args.symbols = symbols).report;
    for expected in [
        "SYM3  locate 3, book live, market trading, ",
        "NOPE: not in the directory of this file\n",
        &format!("line A {LINE_A}: "),
        &format!("line B {LINE_B}: "),
        "lost or refused\n  nothing\n",
    ] {
        assert!(report.contains(expected), "`{expected}` is missing in:\n{report}");
    }
    // The best bid of the book as the model has it, with its four decimals.
    let best = day.dump.lines().find(|line| line.starts_with("3,SYM3,B,")).unwrap();
    let price: u32 = best.split(',').nth(3).unwrap().parse().unwrap();
    assert!(report.contains(&format!("{}.{:04}", price / 10_000, price % 10_000)), "{report}");
}

#[test]
fn a_hole_on_both_lines_is_a_gap_and_flags_every_book() {
    let day = Day::generate(5_000, 10);
    let keep = |n| (n != 20, n != 20);
    let bytes = write_capture(&pack(&day, &Packing { keep, ..Packing::default() }), Container::Nanos);
    let outcome = replay(&bytes, |_| {});
    let summary = outcome.result.unwrap();
    assert!(summary.flagged());
    assert_eq!((summary.gaps, summary.stale, summary.books), (1, 10, 10));
    assert_eq!(summary.messages + summary.lost, day.messages.len() as u64);
    assert!(outcome.report.contains("10 of them STALE"), "{}", outcome.report);
}

#[test]
fn a_hole_at_the_very_end_is_a_gap_too() {
    let day = Day::generate(5_000, 10);
    let packets = pack(&day, &Packing::default()).len() / 2;
    let dropped = |n: usize| n + 2 == packets;
    // The last packet but one is missing, and nothing but the last one tells.
    let all = pack(&day, &Packing::default());
    let kept: Vec<_> =
        all.into_iter().enumerate().filter(|(i, _)| !dropped(i / 2)).map(|(_, frame)| frame).collect();
    let summary = replay(&write_capture(&kept, Container::Nanos), |_| {}).result.unwrap();
    assert_eq!((summary.gaps, summary.stale), (1, 10));
    assert_eq!(summary.messages + summary.lost, day.messages.len() as u64);
}

#[test]
fn one_line_alone_is_enough_if_it_is_whole_and_flagged_if_not() {
    let day = Day::generate(5_000, 10);
    let bytes = write_capture(
        &pack(&day, &Packing { keep: |n| (n % 7 != 3, true), ..Packing::default() }),
        Container::Nanos,
    );
    let of_b = replay(&bytes, |args| args.line_a = Some(LINE_B));
    assert!(!of_b.result.unwrap().flagged());
    assert_eq!(of_b.dump, day.dump);
    assert!(of_b.report.contains("route_other_group"), "{}", of_b.report);
    let of_a = replay(&bytes, |args| args.line_a = Some(LINE_A)).result.unwrap();
    assert!(of_a.gaps > 0 && of_a.flagged());
}

#[test]
fn a_capture_that_begins_late_is_flagged() {
    let day = Day::generate(5_000, 10);
    // Beyond what a stream takes for a hole at the start.
    let frames = pack(&day, &Packing { first_sequence: 1_000_000, ..Packing::default() });
    let outcome = replay(&write_capture(&frames, Container::Nanos), |_| {});
    let summary = outcome.result.unwrap();
    assert_eq!((summary.stale, summary.gaps, summary.anomalies), (10, 0, 0));
    assert!(
        outcome.report.contains("in the middle of its session, at sequence 1,000,000"),
        "{}",
        outcome.report
    );

    let late = [&binary_file(&day)[14..]].concat();
    let outcome = replay(&late, |_| {});
    assert!(outcome.result.unwrap().flagged());
    assert!(outcome.report.contains("does not begin with the start of messages"), "{}", outcome.report);
}

#[test]
fn damage_is_told_apart_from_the_end() {
    let day = Day::generate(5_000, 10);
    let whole = write_capture(&pack(&day, &Packing::default()), Container::Nanos);
    let outcome = replay(&whole[..whole.len() - 7], |_| {});
    let summary = outcome.result.unwrap();
    assert!(matches!(summary.tail, Some(Tail::Truncated { .. })) && !summary.flagged());
    assert!(outcome.report.contains("note: the last record, at offset "), "{}", outcome.report);

    // A record length in the middle of the file that cannot be: what came before is shown all the same.
    let mut corrupt = whole;
    let mut at = 24;
    while at < corrupt.len() / 2 {
        at += 16 + u32::from_le_bytes(corrupt[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    corrupt[at + 8..at + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let outcome = replay(&corrupt, |_| {});
    let error = outcome.result.unwrap_err();
    assert_eq!(error.exit(), Exit::Input);
    assert!(error.to_string().contains(&format!("corrupt at offset {at}: ")), "{error}");
    assert!(outcome.report.contains("SYM") && outcome.report.contains("messages in "), "{}", outcome.report);
}

#[test]
fn without_a_feed_the_error_says_what_is_there_instead() {
    let day = Day::generate(1_000, 5);
    let bytes =
        write_capture(&pack(&day, &Packing { vlan: Some(7), ..Packing::default() }), Container::Nanos);
    let error = replay(&bytes, |args| args.line_a = Some("239.9.9.9:1".parse().unwrap())).result.unwrap_err();
    assert_eq!(error.exit(), Exit::Input);
    let text = error.to_string();
    assert!(text.contains(&format!("it has datagrams for {LINE_A}, {LINE_B}: name the lines")), "{text}");

    // The shipped configuration names these lines, untagged.
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/feed.toml");
    let text = replay(&bytes, |args| args.config = Some(config.clone())).result.unwrap_err().to_string();
    assert!(text.contains("in another VLAN than the configuration says"), "{text}");
    let untagged = write_capture(&pack(&day, &Packing::default()), Container::Nanos);
    let outcome = replay(&untagged, |args| args.config = Some(config));
    assert!(!outcome.result.unwrap().flagged());
    assert_eq!(outcome.dump, day.dump);

    let text = replay(&write_capture(&[], Container::Nanos), |_| {}).result.unwrap_err().to_string();
    assert!(text.contains("holds no frames"), "{text}");
}

#[test]
fn usage_and_environment_have_their_own_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.itch");
    let bytes = binary_file(&Day::generate(100, 2));
    std::fs::write(&file, &bytes).unwrap();
    let exit = |change: &dyn Fn(&mut ReplayArgs)| {
        let mut args = args(&file);
        change(&mut args);
        run(&args, &mut Vec::new()).unwrap_err().exit()
    };
    assert_eq!(exit(&|args| args.file = PathBuf::from("/nonexistent")), Exit::Input);
    assert_eq!(exit(&|args| args.config = Some(PathBuf::from("/nonexistent"))), Exit::Usage);
    assert_eq!(exit(&|args| args.dump = Some(args.file.clone())), Exit::Usage);
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "the capture is untouched");
    assert_eq!(exit(&|args| args.dump = Some(PathBuf::from("/nonexistent/dump"))), Exit::Environment);
}

/// Random damage of frames and files: no panic, and whatever came out of it is either right or flagged.
#[test]
fn damaged_captures_give_right_books_or_say_so() {
    let day = Day::generate(1_500, 5);
    let whole = write_capture(&pack(&day, &Packing::default()), Container::Nanos);
    let mut random = market::Random(42);
    let (mut right, mut flagged, mut refused) = (0, 0, 0);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(6) {
            let at = 24 + random.below(bytes.len() as u64 - 24) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        let outcome = replay(&bytes, |_| {});
        match outcome.result {
            Err(_) => refused += 1,
            Ok(summary) if summary.flagged() => flagged += 1,
            Ok(summary) => {
                // A broken record header may end the file early: then the books are those of the part before.
                if summary.messages == day.messages.len() as u64 {
                    assert_eq!(outcome.dump, day.dump, "{summary:?}");
                }
                right += 1;
            }
        }
    }
    assert!(right > 0 && refused > 0 && right + flagged + refused == 300, "{right} {flagged} {refused}");
}
