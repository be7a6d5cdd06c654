//! Canaries: known bugs, put into a copy of the handler one at a time, to see whether the tests would notice.
//!
//! `list.toml` has the bugs and the judges, which are test binaries. The sources of the product know nothing of it:
//! the runner copies the tree to `target/canaries/tree`, writes every bug into the copy as a choice made at run time
//! (`mutate`), builds the judges once (`scratch`), and runs them: first without a bug, when all must pass, then with each
//! one (`judge`), when at least one must fail.
//!
//! ```text
//! make canaries                                   # all of them
//! WIREBOOK_CANARIES=splice,lost make canaries     # those whose name contains one of these
//! WIREBOOK_CANARY_MATRIX=1 make canaries          # asks every judge about each, not only until one has caught it
//! WIREBOOK_CANARY_JUDGES=sim make canaries        # asks these judges only
//! ```
#![expect(clippy::expect_used, reason = "a runner that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "a run tells what it saw")]

mod judge;
mod list;
mod mutate;
mod scratch;
mod verdicts;

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use judge::{Outcome, Verdict};
use list::{Canary, List};
use scratch::Scratch;
use verdicts::{Catch, Row};

/// A judge that takes longer than it did without a bug, by this factor and this much more, hangs.
const PATIENCE: (u32, Duration) = (6, Duration::from_secs(30));

/// The list would otherwise rot in silence wherever the sources change.
#[test]
fn every_canary_still_fits_the_sources() {
    let list = List::load();
    let mutated = mutate::all(&list.canaries).unwrap_or_else(|misfits| panic!("{misfits}"));
    assert!(mutated.len() > 10, "bugs in {} files only", mutated.len());
}

#[test]
#[ignore = "builds and runs the other tests many times: make canaries"]
fn every_canary_is_caught() {
    let mut list = List::load();
    let began = Instant::now();
    let scratch = Scratch::build(&list).unwrap_or_else(|why| panic!("{why}"));
    println!("\nbuilt in {} s", began.elapsed().as_secs());

    let judges = words("WIREBOOK_CANARY_JUDGES");
    list.judges.retain(|judge| judges.is_empty() || judges.contains(&judge.name));
    let list = list;
    let mut usual = Vec::new();
    for judge in &list.judges {
        let Outcome { verdict, took } = judge::run(judge, &scratch, None, Duration::from_secs(600));
        println!("without a bug: {:16} {:6.1} s  {verdict}", judge.name, took.as_secs_f64());
        assert!(matches!(verdict, Verdict::Passed { tests: 1.. }), "{} must pass without a bug", judge.name);
        usual.push(took);
    }

    let wanted = words("WIREBOOK_CANARIES");
    let chosen: Vec<(u32, &Canary)> = (1..)
        .zip(&list.canaries)
        .filter(|(_, canary)| wanted.is_empty() || wanted.iter().any(|part| canary.name.contains(&**part)))
        .collect();
    let all_judges = std::env::var_os("WIREBOOK_CANARY_MATRIX").is_some();

    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, NonZero::get) {
            scope.spawn(|| {
                while let Some((number, canary)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = try_one(&list, &scratch, &usual, (*number, canary), all_judges);
                    eprintln!("{row}");
                    rows.lock().unwrap().push((*number, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(number, _)| *number);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    verdicts::print(&list, &rows, began.elapsed());
    let survivors: Vec<&str> =
        rows.iter().filter(|row| row.catches.is_empty()).map(|row| row.canary.as_str()).collect();
    assert!(!rows.is_empty(), "no canary has such a name");
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}

/// What an environment variable lists.
fn words(variable: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_default();
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Asks the judges about one canary: first the one that is expected to catch it, then the others, quick ones first.
fn try_one(
    list: &List,
    scratch: &Scratch,
    usual: &[Duration],
    (number, canary): (u32, &Canary),
    all_judges: bool,
) -> Row {
    let mut order: Vec<usize> = (0..list.judges.len()).collect();
    order.sort_by_key(|at| (list.judges[*at].name != canary.judge, usual[*at]));
    let began = Instant::now();
    let mut catches = Vec::new();
    for at in order {
        let judge = &list.judges[at];
        let limit = usual[at] * PATIENCE.0 + PATIENCE.1;
        let Outcome { verdict, took } = judge::run(judge, scratch, Some(number), limit);
        if !matches!(verdict, Verdict::Passed { .. }) {
            catches.push(Catch { judge: judge.name.clone(), verdict, took });
            if !all_judges {
                break;
            }
        }
    }
    Row { canary: canary.name.clone(), expected: canary.judge.clone(), catches, took: began.elapsed() }
}
