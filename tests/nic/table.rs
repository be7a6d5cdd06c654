//! The table: one row a NIC, one cell a step.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::guest::say;

/// The columns.
pub(crate) const STEPS: [&str; 13] = [
    "boot", "bind", "start", "filter", "receive", "send", "igmp", "arp", "flap", "overrun", "stop",
    "restart", "restore",
];

/// How a step went. It may come in several parts.
#[derive(Clone, Debug, Default)]
struct Cell {
    took: Option<Duration>,
    failed: bool,
}

/// What was tried with one NIC.
pub(crate) struct Row {
    name: String,
    cells: [Cell; STEPS.len()],
    /// Why it was not tried at all.
    impossible: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), cells: Default::default(), impossible: None }
    }

    /// Says why the NIC cannot be tried here.
    pub(crate) fn impossible(&mut self, why: String) {
        self.impossible = Some(why);
    }

    /// Does a step, or a part of one; `None` where it failed, which is told at once.
    pub(crate) fn step<T>(&mut self, step: &str, what: impl FnOnce() -> T) -> Option<T> {
        let index = STEPS.iter().position(|name| *name == step).unwrap_or_else(|| panic!("no column {step}"));
        let began = Instant::now();
        let name = format!("{} {step}", self.name);
        // In one line instead of a backtrace.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |why| say(&format!("{name}: {why}"))));
        let done = catch_unwind(AssertUnwindSafe(what));
        std::panic::set_hook(hook);
        let cell = &mut self.cells[index];
        cell.took = Some(cell.took.unwrap_or_default() + began.elapsed());
        cell.failed |= done.is_err();
        done.ok()
    }

    /// True where every step was done and none failed, or where it is no fault of ours that none was.
    pub(crate) fn is_good(&self) -> bool {
        self.impossible.is_some() || self.cells.iter().all(|cell| cell.took.is_some() && !cell.failed)
    }
}

/// The table as text. Times are of this machine as it was, seconds.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut text = format!("{:<14}", "NIC");
    for step in STEPS {
        text.push_str(&format!("{step:>10}"));
    }
    text.push('\n');
    for row in rows {
        text.push_str(&format!("{:<14}", row.name));
        if let Some(why) = &row.impossible {
            text.push_str(&format!("  {why}\n"));
            continue;
        }
        for cell in &row.cells {
            let shown = match cell {
                Cell { took: None, .. } => "-".to_owned(),
                Cell { took: Some(took), failed } => {
                    format!("{} {:.1}s", if *failed { "FAIL" } else { "ok" }, took.as_secs_f64())
                }
            };
            text.push_str(&format!("{shown:>10}"));
        }
        text.push('\n');
    }
    text
}
