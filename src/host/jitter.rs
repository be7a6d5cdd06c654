//! The measured check: how often, and for how long, is a thread that only spins kept from running?
//!
//! A loop reads the time-stamp counter and nothing else. Two readings that lie more than [`THRESHOLD_NS`] apart are a gap: an
//! interrupt, a system management interrupt, another thread, a hypervisor. It sees the sum of everything that the other checks look
//! for one by one, so a file that only looks right does not deceive it. Figures of latency should stand beside one of the same run.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::catalogue::Profile;
use crate::tsc;

/// What is shorter is the loop itself, ns.
pub const THRESHOLD_NS: u64 = 500;

/// Longest gap that is told apart from longer ones, ns.
const LONGEST_NS: u64 = 60_000_000_000;

/// What a spinning thread missed. Times are ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Jitter {
    /// How long it spun.
    pub length_ns: u64,
    /// How often it read the counter.
    pub reads: u64,
    /// Gaps of more than [`THRESHOLD_NS`].
    pub gaps: u64,
    /// Gaps of more than 1 us.
    pub over_1us: u64,
    /// Gaps of more than 10 us.
    pub over_10us: u64,
    /// Gaps of more than 100 us.
    pub over_100us: u64,
    /// All gaps together.
    pub lost_ns: u64,
    /// Half of the gaps are no longer; 0 where there was none.
    pub p50_ns: u64,
    /// 99 % of them.
    pub p99_ns: u64,
    /// 99.9 % of them.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// What a profile asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Longest gap, ns.
    pub longest_ns: u64,
    /// Time lost, parts per million.
    pub lost_ppm: u64,
    /// Gaps of more than 1 us, each second.
    pub per_second: u64,
}

impl Limits {
    /// `None` where the profile only reports.
    #[must_use]
    pub const fn of(profile: Profile) -> Option<Self> {
        match profile {
            Profile::Dev => None,
            Profile::Lab => Some(Self { longest_ns: 20_000, lost_ppm: 100, per_second: 100 }),
            Profile::Live => Some(Self { longest_ns: 10_000, lost_ppm: 10, per_second: 5 }),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { longest_ns, lost_ppm, per_second } = self;
        write!(
            f,
            "longest < {} us, < {lost_ppm} ppm lost, < {per_second} gaps > 1 us each second",
            longest_ns / 1_000
        )
    }
}

impl Jitter {
    /// Time lost, in parts per million.
    #[must_use]
    pub fn lost_ppm(&self) -> u64 {
        let ppm = u128::from(self.lost_ns) * 1_000_000 / u128::from(self.length_ns.max(1));
        u64::try_from(ppm).unwrap_or(u64::MAX)
    }

    /// Gaps of more than 1 us, each second.
    #[must_use]
    pub fn per_second(&self) -> u64 {
        let rate = u128::from(self.over_1us) * 1_000_000_000 / u128::from(self.length_ns.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// True where all three limits are kept.
    #[must_use]
    pub fn keeps(&self, limits: Limits) -> bool {
        self.max_ns < limits.longest_ns
            && self.lost_ppm() < limits.lost_ppm
            && self.per_second() < limits.per_second
    }
}

impl fmt::Display for Jitter {
    /// `5.0 s: 12 gaps > 1 us, longest 6.1 us, 4 ppm lost; gaps > 0.5 us: 40, p50 0.8 p99 6.0 p99.9 6.1 us`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ns: u64| format!("{}.{}", ns / 1_000, ns / 100 % 10);
        let (tenths, lost) = (self.length_ns / 100_000_000, self.lost_ppm());
        write!(f, "{}.{} s: {} gaps > 1 us, ", tenths / 10, tenths % 10, self.over_1us)?;
        write!(f, "longest {} us, {lost} ppm lost", us(self.max_ns))?;
        let (p50, p99, p999) = (us(self.p50_ns), us(self.p99_ns), us(self.p999_ns));
        write!(f, "; gaps > 0.5 us: {}, p50 {p50} p99 {p99} p99.9 {p999} us", self.gaps)
    }
}

/// Spins on the calling thread's CPU for `length`; `tsc_hz` is the counter's rate (`stats::clock` measures it). Allocates before
/// it spins, and not meanwhile. Pin the thread first ([`crate::nic::cpu::run_on`]), or it measures the scheduler's choices.
#[must_use]
pub fn probe(length: Duration, tsc_hz: u64) -> Jitter {
    let hz = u128::from(tsc_hz.max(1));
    // Rounded up: it never spins for less than it was told.
    let ticks = |ns: u128| u64::try_from((ns * hz).div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
    let mut tally = Tally::new(tsc_hz);
    let threshold = ticks(u128::from(THRESHOLD_NS));
    let whole = ticks(length.as_nanos());

    let began = tsc::now();
    let (mut last, mut reads) = (began, 0_u64);
    while last.wrapping_sub(began) < whole {
        let now = tsc::now();
        // Readings that went back (a CPU whose counter is out of step) are no gap of 584 years.
        let gap = now.saturating_sub(last);
        if gap > threshold {
            tally.gap(gap);
            // What the bookkeeping took is not counted, nor who comes just then.
            last = tsc::now();
        } else {
            last = now;
        }
        reads += 1;
    }
    tally.jitter(last.saturating_sub(began), reads)
}

/// What was counted so far.
struct Tally {
    hz: u128,
    histogram: Histogram<u64>,
    jitter: Jitter,
}

impl Tally {
    #[expect(clippy::expect_used, reason = "constants that a test runs")]
    fn new(tsc_hz: u64) -> Self {
        let mut histogram =
            Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("bounds and digits are valid");
        // Writes every counter, so that its pages are there before the loop begins.
        histogram.reset();
        Self { hz: u128::from(tsc_hz.max(1)), histogram, jitter: Jitter::default() }
    }

    fn ns(&self, ticks: u64) -> u64 {
        u64::try_from(u128::from(ticks) * 1_000_000_000 / self.hz).unwrap_or(u64::MAX)
    }

    fn gap(&mut self, ticks: u64) {
        let ns = self.ns(ticks);
        let jitter = &mut self.jitter;
        jitter.gaps += 1;
        jitter.over_1us += u64::from(ns > 1_000);
        jitter.over_10us += u64::from(ns > 10_000);
        jitter.over_100us += u64::from(ns > 100_000);
        jitter.lost_ns = jitter.lost_ns.saturating_add(ns);
        jitter.max_ns = jitter.max_ns.max(ns);
        self.histogram.saturating_record(ns);
    }

    fn jitter(self, ticks: u64, reads: u64) -> Jitter {
        let at =
            |quantile| if self.histogram.is_empty() { 0 } else { self.histogram.value_at_quantile(quantile) };
        // A bucket's upper end may lie above what was seen.
        let [p50_ns, p99_ns, p999_ns] = [0.5, 0.99, 0.999].map(|q| at(q).min(self.jitter.max_ns));
        Jitter { length_ns: self.ns(ticks), reads, p50_ns, p99_ns, p999_ns, ..self.jitter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_by_length() {
        // One tick is one ns.
        let mut tally = Tally::new(1_000_000_000);
        for gap in [600, 600, 2_000, 20_000, 400_000] {
            tally.gap(gap);
        }
        let jitter = tally.jitter(2_000_000_000, 9);
        assert_eq!((jitter.gaps, jitter.over_1us, jitter.over_10us, jitter.over_100us), (5, 3, 2, 1));
        assert_eq!((jitter.lost_ns, jitter.max_ns, jitter.length_ns), (423_200, 400_000, 2_000_000_000));
        assert!((1_980..=2_020).contains(&jitter.p50_ns), "{jitter:?}");
        assert_eq!(jitter.p999_ns, 400_000);
        assert_eq!((jitter.lost_ppm(), jitter.per_second()), (211, 1));
        assert_eq!(
            jitter.to_string(),
            "2.0 s: 3 gaps > 1 us, longest 400.0 us, 211 ppm lost; gaps > 0.5 us: 5, p50 2.0 p99 400.0 p99.9 400.0 us"
        );
    }

    #[test]
    fn each_limit_is_a_limit() {
        let limits = Limits::of(Profile::Lab).unwrap();
        let quiet = Jitter {
            length_ns: 1_000_000_000,
            max_ns: 19_999,
            over_1us: 99,
            lost_ns: 99_000,
            ..Jitter::default()
        };
        assert!(quiet.keeps(limits));
        assert!(!Jitter { max_ns: 20_000, ..quiet }.keeps(limits));
        assert!(!Jitter { over_1us: 100, ..quiet }.keeps(limits));
        assert!(!Jitter { lost_ns: 100_000, ..quiet }.keeps(limits));
        assert!(!quiet.keeps(Limits::of(Profile::Live).unwrap()));
        assert_eq!(Limits::of(Profile::Dev), None);
        assert_eq!(Tally::new(0).jitter(0, 0), Jitter::default());
    }

    #[test]
    fn a_probe_lasts_as_long_as_it_is_told() {
        // What a counter of a known rate would say cannot be known here; a rate of 1 GHz makes ns of ticks.
        let jitter = probe(Duration::from_millis(20), 1_000_000_000);
        assert!((20_000_000..2_000_000_000).contains(&jitter.length_ns), "{jitter:?}");
        assert!(jitter.reads > 1_000, "{jitter:?}");
        assert!(jitter.lost_ns <= jitter.length_ns && jitter.max_ns <= jitter.lost_ns, "{jitter:?}");
    }
}
