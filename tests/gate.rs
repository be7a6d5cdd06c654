//! The comparison of the instruction gate fails when it must, and only then.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

#[path = "../benches/gate/figures.rs"]
mod figures;

use figures::{Committed, Figures, Verdict, compare, judge};

const RUSTC: &str = "1.95.0";

fn figures(rows: &[(&str, f64)]) -> Figures {
    rows.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect()
}

fn committed(rows: &[(&str, f64)]) -> Committed {
    Committed { rustc: RUSTC.to_owned(), figures: figures(rows) }
}

/// Whether it passes, and what it says in the end.
fn outcome(before: &[(&str, f64)], now: &[(&str, f64)]) -> (bool, String) {
    let judgement = judge(&committed(before), RUSTC, &figures(now));
    (judgement.passes, judgement.text.lines().last().unwrap().to_owned())
}

#[test]
fn one_figure_too_high_among_many_is_enough() {
    let before = [("add", 100.0), ("cancel", 40.0), ("delete", 80.0)];
    assert!(outcome(&before, &before).0);
    for worse in ["add", "cancel", "delete"] {
        let now =
            before.map(|(name, figure)| (name, if name == worse { figure * 1.031 } else { figure * 0.5 }));
        let (passes, last) = outcome(&before, &now);
        assert!(!passes && last.contains("FAILED"), "{worse}: {last}");
        let words = judge(&committed(&before), RUSTC, &figures(&now)).text;
        let line = words.lines().find(|line| line.starts_with(worse)).unwrap();
        assert!(line.contains("WORSE") && line.contains("+3.1 %"), "{line}");
        assert_eq!(words.matches("WORSE").count(), 1, "{words}");
    }
}

#[test]
fn three_percent_are_let_pass_either_way() {
    for (now, passes, word) in [
        (103.0, true, "all within"),
        (103.01, false, "FAILED"),
        (200.0, false, "FAILED"),
        (97.0, true, "all within"),
        (96.99, true, "make gate-update"),
        (50.0, true, "make gate-update"),
    ] {
        let (did, last) = outcome(&[("add", 100.0)], &[("add", now)]);
        assert_eq!((did, last.contains(word)), (passes, true), "{now}: {last}");
    }
}

#[test]
fn a_case_that_appears_or_goes_away_fails_until_the_file_says_so() {
    let (add, both) = ([("add", 100.0)], [("add", 100.0), ("delete", 10.0)]);
    assert!(!outcome(&add, &both).0);
    assert!(!outcome(&both, &add).0);
    assert!(!outcome(&both, &[]).0, "nothing was counted");
    let verdicts = |before: &[_], now: &[_]| {
        compare(&figures(before), &figures(now)).into_iter().map(|row| row.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&add, &both), [Verdict::Holds, Verdict::New]);
    assert_eq!(verdicts(&both, &add), [Verdict::Holds, Verdict::Gone]);
}

#[test]
fn another_compiler_is_not_judged_and_it_says_so() {
    let judgement = judge(&committed(&[("add", 100.0)]), "1.96.0", &figures(&[("add", 300.0)]));
    assert!(judgement.passes);
    let last = judgement.text.lines().last().unwrap();
    assert!(last.contains("warning") && last.contains(RUSTC) && last.contains("1.96.0"), "{last}");
    assert!(judgement.text.contains("+200.0 %"), "{}", judgement.text);
}

#[test]
fn what_is_written_is_read() {
    let told = committed(&[("book.add", 101.25), ("decode.add", 12.5)]);
    assert_eq!(Committed::parse(&told.text()).unwrap(), told);
}

#[test]
fn a_file_that_says_nothing_of_use_is_an_error() {
    for text in [
        "",
        "rustc = \"1.95.0\"",
        "[instructions]\nadd = 1.0",
        "rustc = 1.95\n[instructions]\nadd = 1.0",
        "rustc = \"1.95.0\"\n[instructions]\nadd = 0.0",
        "rustc = \"1.95.0\"\n[instructions]\nadd = -3.0",
        "rustc = \"1.95.0\"\n[instructions]\nadd = nan",
        "rustc = \"1.95.0\"\n[instructions]\nadd = \"many\"",
        "rustc = \"1.95.0\"\n[instructions",
    ] {
        assert!(Committed::parse(text).is_err(), "{text}");
    }
}

/// The file that is committed can be read, and counts something of everything that the gate is for.
#[test]
fn the_committed_file_names_every_kind() {
    let committed = Committed::parse(include_str!("../benches/gate.toml")).unwrap();
    for kind in
        ["decode.", "book.add_", "book.delete_", "book.execute_", "book.cancel_", "book.replace_", "book.day"]
    {
        assert!(committed.figures.keys().any(|name| name.starts_with(kind)), "{kind}");
    }
}
