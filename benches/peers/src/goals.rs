//! What the books are to reach, and whether they do.

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What is measured.
    pub what: &'static str,
    /// What the best open program reached, measured elsewhere (see `docs/benchmarks/book.md`); a dash where none was.
    pub best: &'static str,
    /// To be reached: at most.
    pub reach: f64,
    /// Better still: at most; the same as `reach` where there is none.
    pub beyond: f64,
    /// Unit of the figures.
    pub unit: &'static str,
}

/// How a figure stands to its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Better than asked.
    Beyond,
    /// As asked.
    Reached,
    /// Worse.
    NotReached,
}

impl Goal {
    /// How `figure` stands. What is not a number is not reached.
    #[must_use]
    pub fn verdict(&self, figure: f64) -> Verdict {
        if figure <= self.beyond && self.beyond < self.reach {
            Verdict::Beyond
        } else if figure <= self.reach {
            Verdict::Reached
        } else {
            Verdict::NotReached
        }
    }
}

impl Verdict {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beyond => "beyond",
            Self::Reached => "reached",
            Self::NotReached => "NOT reached",
        }
    }
}

const fn goal(what: &'static str, best: &'static str, reach: f64, beyond: f64, unit: &'static str) -> Goal {
    Goal { what, best, reach, beyond, unit }
}

/// Decode and book, the stream like a day of 2019.
pub const SYN20M: Goal = goal("syn20m, full packets", "131 (L3), 51 (levels only)", 38.0, 31.0, "ns");
/// Decode and book, the stream like a day of 2026.
pub const SYN40M: Goal = goal("syn40m, full packets", "240 (L3), 78 (levels only)", 50.0, 43.0, "ns");
/// The first as a multiple of the reference loop.
pub const RATIO: Goal = goal("syn20m, ratio to the reference loop", "11", 3.2, 2.6, "×");
/// Decoding alone.
pub const DECODE: Goal = goal("decode of every field", "6.9", 3.5, 3.0, "ns");
/// One message a packet.
pub const P50: Goal = goal("one message a packet, syn20m, p50", "–", 80.0, 60.0, "ns");
/// The same.
pub const P99: Goal = goal("the same, p99", "–", 600.0, 450.0, "ns");
/// The same.
pub const P99_9: Goal = goal("the same, p99.9", "–", 870.0, 650.0, "ns");
/// Memory.
pub const BYTES: Goal =
    goal("memory per live order at 7 M", "12–32 and tables of tens of GB", 100.0, 100.0, "B");
/// A whole day.
pub const DAY: Goal = goal("a day of 2026", "–", 60.0, 48.0, "ns");
/// Memory over the day.
pub const DAY_MEMORY: Goal = goal("the same, memory of the books", "28–38, or overflow", 1.0, 1.0, "GiB");
/// 7 M live orders against 100 k.
pub const GROWTH: Goal = goal("100 k → 7 M live orders", "–", 1.4, 1.2, "×");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        assert_eq!(SYN20M.verdict(31.0), Verdict::Beyond);
        assert_eq!(SYN20M.verdict(31.1), Verdict::Reached);
        assert_eq!(SYN20M.verdict(38.1), Verdict::NotReached);
        assert_eq!(BYTES.verdict(100.0), Verdict::Reached);
        assert_eq!(DAY.verdict(f64::NAN), Verdict::NotReached);
    }
}
