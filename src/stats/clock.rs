//! The TSC as a clock: calibrated once against `CLOCK_MONOTONIC_RAW`, converted by one multiplication and a shift.
//!
//! Ticks measure intervals, never the time of day. The reference is the *raw* monotonic clock, because the ordinary one
//! is slewed by NTP (up to 500 ppm) just when a machine has booted and a calibration is likely.
//!
//! A TSC is fit for this only where its rate does not depend on the core's frequency (`constant_tsc`) and where it
//! goes on in deep idle states (`nonstop_tsc`). [`Clock::calibrate`] looks both up and keeps the finding in
//! [`Clock::invariance`] for `doctor` and for the head of every latency table; it does not refuse to work.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::host::machine::has_flag;
use crate::tsc;

mod raw;

/// The window that [`Clock::calibrate`] is meant to be given: long enough for about one part per million.
pub const CALIBRATION: Duration = Duration::from_millis(50);

/// Ticks are scaled by `ns * 2^SHIFT / tick`, held in 64 bits.
const SHIFT: u32 = 48;

/// Nanoseconds in a second.
const NS: u64 = 1_000_000_000;

/// Slowest and fastest rates that are believed, in Hz. The scale of anything between them fits its 64 bits with
/// at least 43 significant ones: an error below 1 ns in two hours.
const RATES: std::ops::RangeInclusive<u64> = 10_000_000..=20_000_000_000;

/// Why no clock could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The raw monotonic clock cannot be read, or it stood still over the window.
    #[error("CLOCK_MONOTONIC_RAW did not advance while the TSC was being calibrated")]
    NoReference,
    /// The rate found is no processor's.
    #[error("a TSC of {0} Hz is not believable (10 MHz to 20 GHz are): is it stopped or emulated?")]
    Rate(u64),
}

/// What the kernel says about the TSC of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariance {
    /// `constant_tsc` and `nonstop_tsc` are both stated.
    Invariant,
    /// At least one is missing: intervals may be wrong across frequency changes or idle states.
    Doubtful {
        /// `constant_tsc` is stated.
        constant: bool,
        /// `nonstop_tsc` is stated.
        nonstop: bool,
    },
    /// `/proc/cpuinfo` could not be read, or the rate was given and not measured.
    Unknown,
}

impl Invariance {
    /// Reads `/proc/cpuinfo`.
    #[must_use]
    pub fn detect() -> Self {
        Self::read(Path::new("/proc/cpuinfo"))
    }

    fn read(path: &Path) -> Self {
        std::fs::read_to_string(path).map_or(Self::Unknown, |text| Self::parse(&text))
    }

    /// From the text of `/proc/cpuinfo`: what the first processor's `flags` line states.
    #[must_use]
    pub fn parse(cpuinfo: &str) -> Self {
        if !cpuinfo.lines().any(|line| line.starts_with("flags")) {
            return Self::Unknown;
        }
        match (has_flag(cpuinfo, "constant_tsc"), has_flag(cpuinfo, "nonstop_tsc")) {
            (true, true) => Self::Invariant,
            (constant, nonstop) => Self::Doubtful { constant, nonstop },
        }
    }

    /// One line for an operator, or `None` where there is nothing to warn of.
    #[must_use]
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Invariant => None,
            Self::Doubtful { constant: false, nonstop: true } => {
                Some("constant_tsc is missing: latencies are wrong while the core changes its frequency")
            }
            Self::Doubtful { constant: true, .. } => {
                Some("nonstop_tsc is missing: latencies are wrong across deep idle states; disable them")
            }
            Self::Doubtful { .. } => Some(
                "constant_tsc and nonstop_tsc are missing: latencies are not to be trusted on this machine",
            ),
            Self::Unknown => Some("the kernel does not say whether the TSC is invariant"),
        }
    }
}

/// Converts TSC ticks to ns and back. Cheap to copy; each side that converts keeps its own.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    hz: u64,
    /// ns per tick, times `2^SHIFT`.
    scale: u64,
    /// Uncertainty of the calibration, in parts per billion.
    error_ppb: u64,
    /// Cheapest of many pairs of back-to-back reads, in ticks.
    read_cost: u64,
    invariance: Invariance,
}

impl Clock {
    /// Measures the TSC over `window` (see [`CALIBRATION`]), sleeping meanwhile.
    ///
    /// # Errors
    /// [`ClockError::NoReference`] without a raw monotonic clock that advances; [`ClockError::Rate`] for a rate
    /// outside 10 MHz to 20 GHz.
    pub fn calibrate(window: Duration) -> Result<Self, ClockError> {
        let begin = Reading::take().ok_or(ClockError::NoReference)?;
        std::thread::sleep(window);
        let end = Reading::take().ok_or(ClockError::NoReference)?;
        let ns = end.ns.saturating_sub(begin.ns);
        if ns == 0 {
            return Err(ClockError::NoReference);
        }
        let ticks = end.tsc.saturating_sub(begin.tsc);
        let hz = saturate(u128::from(ticks) * u128::from(NS) / u128::from(ns));
        let unsure = u128::from(begin.doubt + end.doubt) * u128::from(NS);
        Ok(Self {
            error_ppb: saturate(unsure / u128::from(ticks.max(1))),
            read_cost: read_cost(),
            invariance: Invariance::detect(),
            ..Self::from_hz(hz)?
        })
    }

    /// A clock of a stated rate: for tests, for replays, and where the rate is known from elsewhere.
    ///
    /// # Errors
    /// [`ClockError::Rate`] outside 10 MHz to 20 GHz.
    pub fn from_hz(hz: u64) -> Result<Self, ClockError> {
        if !RATES.contains(&hz) {
            return Err(ClockError::Rate(hz));
        }
        let scale = saturate((u128::from(NS) << SHIFT) / u128::from(hz));
        Ok(Self { hz, scale, error_ppb: 0, read_cost: 0, invariance: Invariance::Unknown })
    }

    /// `ticks` in ns, rounded down; saturates after 584 years.
    #[inline]
    #[must_use]
    pub fn ns(&self, ticks: u64) -> u64 {
        saturate((u128::from(ticks) * u128::from(self.scale)) >> SHIFT)
    }

    /// `ns` in ticks, rounded up, so that a wait of so many ticks is never shorter than was asked for.
    #[must_use]
    pub fn ticks(&self, ns: u64) -> u64 {
        saturate((u128::from(ns) * u128::from(self.hz)).div_ceil(u128::from(NS)))
    }

    /// Ticks in a second.
    #[must_use]
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// Bound on the error of the calibration, in parts per billion of any interval; 0 where the rate was given.
    #[must_use]
    pub const fn error_ppb(&self) -> u64 {
        self.error_ppb
    }

    /// What one reading of the TSC costs, in ticks: part of every stage's latency. 0 where it was not measured.
    #[must_use]
    pub const fn read_cost(&self) -> u64 {
        self.read_cost
    }

    /// Whether the TSC may be trusted across frequency changes and idle states.
    #[must_use]
    pub const fn invariance(&self) -> Invariance {
        self.invariance
    }
}

impl fmt::Display for Clock {
    /// `2100.000 MHz, ±0.9 ppm, 11 ns a read`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} MHz", self.hz / 1_000_000, self.hz / 1_000 % 1_000)?;
        write!(f, ", ±{}.{} ppm", self.error_ppb / 1_000, self.error_ppb / 100 % 10)?;
        write!(f, ", {} ns a read", self.ns(self.read_cost))
    }
}

/// One reading of both clocks, as near to each other as they could be had.
struct Reading {
    tsc: u64,
    ns: u64,
    /// Half of the time between the TSC reads around the reference: how far apart the two may be.
    doubt: u64,
}

impl Reading {
    /// The tightest of several tries: one that an interrupt hit is never it.
    fn take() -> Option<Self> {
        const TRIES: usize = 32;
        (0..TRIES)
            .filter_map(|_| {
                let before = tsc::now();
                let ns = raw::monotonic_raw_ns()?;
                let doubt = tsc::now().saturating_sub(before) / 2;
                Some(Self { tsc: before + doubt, ns, doubt })
            })
            .min_by_key(|reading| reading.doubt)
    }
}

/// The cost of one read: the median of many pairs, which no interrupt moves.
fn read_cost() -> u64 {
    let mut pairs = [0_u64; 255];
    for pair in &mut pairs {
        let before = tsc::now();
        *pair = tsc::now().saturating_sub(before);
    }
    pairs.sort_unstable();
    pairs.get(pairs.len() / 2).copied().unwrap_or(0)
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_both_ways_within_a_tick() {
        for hz in [10_000_000, 1_000_000_000, 2_100_000_000, 2_999_999_999, 20_000_000_000] {
            let clock = Clock::from_hz(hz).unwrap();
            assert!(clock.ns(hz).abs_diff(NS) <= 1, "{hz}");
            for ns in [0, 1, 50, 999, 1_000_000, 3_600 * NS] {
                let back = clock.ns(clock.ticks(ns));
                let tick = NS.div_ceil(hz);
                // The scale is rounded down by less than 2^-43 of itself.
                assert!(back.abs_diff(ns) <= tick + 1 + (ns >> 43), "{hz} Hz: {ns} came back as {back}");
            }
        }
    }

    #[test]
    fn extremes_saturate() {
        let clock = Clock::from_hz(10_000_000).unwrap();
        assert_eq!(clock.ns(u64::MAX), u64::MAX);
        let clock = Clock::from_hz(20_000_000_000).unwrap();
        assert_eq!(clock.ticks(u64::MAX), u64::MAX);
    }

    #[test]
    fn unbelievable_rates_are_refused() {
        for hz in [0, 9_999_999, 20_000_000_001, u64::MAX] {
            assert_eq!(Clock::from_hz(hz).unwrap_err(), ClockError::Rate(hz));
        }
    }

    #[test]
    fn calibration_agrees_with_the_kernel() {
        let clock = Clock::calibrate(CALIBRATION).unwrap();
        let (tsc_before, raw_before) = (tsc::now(), raw::monotonic_raw_ns().unwrap());
        std::thread::sleep(Duration::from_millis(100));
        let raw = raw::monotonic_raw_ns().unwrap() - raw_before;
        let ours = clock.ns(tsc::now() - tsc_before);
        // A loaded machine may interrupt between the two reads; 1 % still tells a wrong scale.
        assert!(ours.abs_diff(raw) < raw / 100, "{ours} ns by TSC, {raw} ns by the kernel");
        assert!(clock.read_cost() < clock.ticks(10_000), "a read of {} ticks", clock.read_cost());
    }

    #[test]
    fn invariance_is_read_from_whole_words() {
        let both = "processor : 0\nflags\t\t: fpu constant_tsc nonstop_tsc\n";
        assert_eq!(Invariance::parse(both), Invariance::Invariant);
        assert_eq!(Invariance::Invariant.warning(), None);
        let half = Invariance::parse("flags : fpu constant_tsc nonstop_tsc_s3\n");
        assert_eq!(half, Invariance::Doubtful { constant: true, nonstop: false });
        assert!(half.warning().unwrap().starts_with("nonstop_tsc"));
        assert_eq!(Invariance::parse("Features : fp asimd\n"), Invariance::Unknown);
        assert_eq!(Invariance::read(Path::new("/nonexistent")), Invariance::Unknown);
    }

    #[test]
    fn prints_its_quality() {
        let clock = Clock { error_ppb: 1_234, read_cost: 21, ..Clock::from_hz(2_100_000_000).unwrap() };
        assert_eq!(clock.to_string(), "2100.000 MHz, ±1.2 ppm, 9 ns a read");
    }
}
