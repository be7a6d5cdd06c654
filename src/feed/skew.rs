//! How far the lines lie apart: the time between the two copies of one packet, for a bounded number of packets.

use super::Line;

/// Lags of one line behind the other, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Packets measured.
    pub count: u64,
    /// Sum of their lags; with `count` gives the mean.
    pub sum: u64,
    /// Shortest lag; `u64::MAX` where none was measured.
    pub min: u64,
    /// Longest lag.
    pub max: u64,
    /// Element `i` counts lags of `2^(i-1) .. 2^i` ticks (element 0: exactly 0), the last one all longer ones.
    pub log2: [u64; Self::BUCKETS],
}

impl Lag {
    /// Elements of [`Lag::log2`]: up to 2^38 ticks, more than a minute.
    pub const BUCKETS: usize = 40;

    const NONE: Self = Self { count: 0, sum: 0, min: u64::MAX, max: 0, log2: [0; Self::BUCKETS] };

    fn add(&mut self, ticks: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(ticks);
        self.min = self.min.min(ticks);
        self.max = self.max.max(ticks);
        let bucket = (u64::BITS - ticks.leading_zeros()) as usize;
        if let Some(count) = self.log2.get_mut(bucket.min(Self::BUCKETS - 1)) {
            *count += 1;
        }
    }

    /// Mean lag in ticks; `None` where none was measured.
    #[must_use]
    pub const fn mean(&self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }

    /// Half of the lags were no longer than this, in ticks: the upper end of the element of [`Lag::log2`] that the middle
    /// one falls into, so up to twice too long. `None` where none was measured.
    #[must_use]
    pub fn p50(&self) -> Option<u64> {
        let mut left = self.count.div_ceil(2);
        for (bucket, count) in self.log2.iter().enumerate() {
            left = left.saturating_sub(*count);
            if left == 0 && self.count > 0 {
                // The last element has no end of its own.
                let end = if bucket < Self::BUCKETS - 1 { (1 << bucket) - 1 } else { u64::MAX };
                return Some(self.max.min(end));
            }
        }
        None
    }
}

impl Default for Lag {
    fn default() -> Self {
        Self::NONE
    }
}

/// Lags in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    /// How far A came behind B, for packets that B brought first.
    pub a_behind: Lag,
    /// How far B came behind A, for packets that A brought first.
    pub b_behind: Lag,
}

/// First arrivals that await their copy, found by the sequence of their first message. Each has one place it may be in, so
/// a newer packet may push an older one out unmeasured: a sample is lost then, never wrong.
#[derive(Debug)]
pub(super) struct SkewMeter {
    arrivals: Box<[Arrival]>,
    shift: u32,
    skew: Skew,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// 0: empty.
    sequence: u64,
    tsc: u64,
    line: Line,
}

impl Arrival {
    const EMPTY: Self = Self { sequence: 0, tsc: 0, line: Line::A };
}

impl SkewMeter {
    /// Remembers `slots` packets, rounded up to a power of two; none if 0.
    pub(super) fn new(slots: usize) -> Self {
        let len = if slots == 0 { 0 } else { slots.next_power_of_two() };
        // At least one bit stays, so that the shift below is one.
        let shift = 64 - len.max(2).trailing_zeros();
        Self { arrivals: vec![Arrival::EMPTY; len].into_boxed_slice(), shift, skew: Skew::default() }
    }

    /// A data packet that begins with `sequence` arrived on `line` at `tsc`; `fresh` if nothing of it was seen before.
    #[inline]
    pub(super) fn note(&mut self, line: Line, sequence: u64, tsc: u64, fresh: bool) {
        // First sequences rise in irregular steps: the golden-ratio multiplication spreads them over the places.
        let place = sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        let Some(arrival) = self.arrivals.get_mut(usize::try_from(place).unwrap_or(usize::MAX)) else {
            return;
        };
        if arrival.sequence == sequence && arrival.line != line {
            let lag = tsc.saturating_sub(arrival.tsc);
            *arrival = Arrival::EMPTY;
            match line {
                Line::A => self.skew.a_behind.add(lag),
                Line::B => self.skew.b_behind.add(lag),
            }
        } else if fresh {
            *arrival = Arrival { sequence, tsc, line };
        }
    }

    /// Forgets the packets that await their copy, for a new sequence space; keeps what was measured.
    pub(super) fn clear(&mut self) {
        self.arrivals.fill(Arrival::EMPTY);
    }

    pub(super) const fn skew(&self) -> &Skew {
        &self.skew
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_the_slower_copy_once() {
        let mut meter = SkewMeter::new(8);
        meter.note(Line::A, 7, 100, true);
        meter.note(Line::A, 7, 105, false);
        meter.note(Line::B, 7, 130, false);
        meter.note(Line::B, 7, 140, false);
        meter.note(Line::B, 9, 200, true);
        meter.note(Line::A, 9, 200, false);
        let skew = meter.skew();
        let b = skew.b_behind;
        assert_eq!((b.count, b.min, b.max, b.mean(), b.log2[5]), (1, 30, 30, Some(30), 1));
        let a = skew.a_behind;
        assert_eq!((a.count, a.min, a.max, a.mean(), a.log2[0]), (1, 0, 0, Some(0), 1));
    }

    #[test]
    fn the_median_is_that_of_its_power_of_two() {
        let mut lag = Lag::default();
        assert_eq!(lag.p50(), None);
        lag.add(0);
        assert_eq!(lag.p50(), Some(0));
        for ticks in [5, 6, 7, 1_000] {
            lag.add(ticks);
        }
        assert_eq!(lag.p50(), Some(7));
        for _ in 0..10 {
            lag.add(1_000);
        }
        assert_eq!(lag.p50(), Some(1_000));
        for _ in 0..100 {
            lag.add(u64::MAX);
        }
        assert_eq!(lag.p50(), Some(u64::MAX));
    }

    #[test]
    fn forgets_rather_than_grows() {
        let mut meter = SkewMeter::new(4);
        for sequence in 1..=1_000 {
            meter.note(Line::A, sequence, sequence, true);
        }
        for sequence in 1..=1_000 {
            meter.note(Line::B, sequence, sequence + 5, false);
        }
        let b = meter.skew().b_behind;
        assert!((1..=4).contains(&b.count), "{}", b.count);
        assert_eq!((b.min, b.max), (5, 5));
        meter.note(Line::A, 2_000, 0, true);
        meter.clear();
        meter.note(Line::B, 2_000, 9, false);
        assert_eq!(meter.skew().b_behind.count, b.count);
    }

    #[test]
    fn nothing_measured_and_nothing_breaks() {
        assert_eq!(Lag::default().mean(), None);
        for slots in [0, 1] {
            let mut meter = SkewMeter::new(slots);
            for sequence in [0, 1, 2, u64::MAX] {
                meter.note(Line::A, sequence, u64::MAX, true);
                meter.note(Line::B, sequence, 0, false);
            }
            assert_eq!(meter.skew().a_behind.count, 0);
            assert!(meter.skew().b_behind.max == 0);
        }
        let mut lag = Lag::default();
        lag.add(u64::MAX);
        lag.add(u64::MAX);
        assert_eq!((lag.sum, lag.log2[Lag::BUCKETS - 1]), (u64::MAX, 2));
    }
}
