//! What is told in the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::judge::Verdict;
use super::list::List;

/// A judge that caught a canary.
pub(crate) struct Catch {
    pub(crate) judge: String,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
}

/// What became of one canary.
pub(crate) struct Row {
    pub(crate) canary: String,
    /// The judge that was asked first.
    pub(crate) expected: String,
    pub(crate) catches: Vec<Catch>,
    pub(crate) took: Duration,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { canary, expected, catches, took } = self;
        if catches.is_empty() {
            return write!(f, "{canary:46} NOT CAUGHT {:>38.1} s", took.as_secs_f64());
        }
        for (at, Catch { judge, verdict, took }) in catches.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            let name = if at == 0 { canary } else { "" };
            let unexpected = if at == 0 && judge != expected { "*" } else { " " };
            write!(f, "{name:46} {judge:14}{unexpected}{:6.1} s  {verdict}", took.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Prints the whole table.
pub(crate) fn print(list: &List, rows: &[Row], took: Duration) {
    println!("\n{:46} {:15}{:>8}  test", "canary", "caught by", "after");
    let mut by_judge = BTreeMap::new();
    for row in rows {
        println!("{row}");
        for catch in &row.catches {
            *by_judge.entry(catch.judge.as_str()).or_insert(0) += 1;
        }
        if row.catches.is_empty()
            && let Some(canary) = list.canaries.iter().find(|canary| canary.name == row.canary)
        {
            println!("    {}: {}", canary.file, canary.harm);
        }
    }
    let caught = rows.iter().filter(|row| !row.catches.is_empty()).count();
    println!("\n{caught} of {} caught in {} s; by {by_judge:?}", rows.len(), took.as_secs());
    println!("* not by the judge that was asked first");
}
