//! What flowed since the start, and how much of it within a window.
//!
//! Everything that is summed over windows is summed over the whole session, once, in [`Totals`]; a window only remembers
//! what the totals were where it begins. So an event costs one line of additions, however many windows there are, and what
//! a window says is exact: a difference of integers, which forgets completely what is older than the window.

use crate::prefetch;

/// Sums since the start. They wrap: differences over a window are right as long as those fit, and they do (see the
/// limits of each).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Totals {
    /// Order flow at the touch, shares; each change of the touch adds less than 2^27.
    pub(super) flow: i64,
    /// Shares at both bests after each change of the touch.
    pub(super) depth: i64,
    /// Changes of the touch.
    pub(super) changes: i64,
    /// Shares that buyers took.
    pub(super) bought: i64,
    /// Shares that sellers took.
    pub(super) sold: i64,
    /// Events.
    pub(super) events: i64,
    /// Squares of the moves of bid + ask; each adds at most 2^40.
    pub(super) variation: i64,
}

impl Totals {
    /// What came to pass since they were `then`.
    #[inline(always)]
    pub(super) const fn since(&self, then: &Self) -> Self {
        Self {
            flow: self.flow.wrapping_sub(then.flow),
            depth: self.depth.wrapping_sub(then.depth),
            changes: self.changes.wrapping_sub(then.changes),
            bought: self.bought.wrapping_sub(then.bought),
            sold: self.sold.wrapping_sub(then.sold),
            events: self.events.wrapping_sub(then.events),
            variation: self.variation.wrapping_sub(then.variation),
        }
    }
}

/// Buckets of a time window.
pub(super) const BUCKETS: usize = 16;

/// A window of time: the bucket that the latest event is in, and the fifteen before.
///
/// A bucket is `2^shift` ns of the exchange's clock, aligned to it, so a window covers between 15 and 16 buckets: what lies
/// back by less than 15/16 of its length is always in it, what lies back by more than its length never. Which bucket is the
/// latest, its owner tells: the clock does.
#[derive(Clone, Debug)]
pub(super) struct TimeWindow {
    /// The totals when each bucket began, by its number modulo the ring.
    starts: [Totals; BUCKETS],
}

impl TimeWindow {
    pub(super) fn new() -> Self {
        Self { starts: [Totals::default(); BUCKETS] }
    }

    /// Moves on from bucket `latest` to `bucket`, which is not before it, with the totals as they are before the first event in
    /// it. At most sixteen steps, however long nothing came.
    #[inline(always)]
    pub(super) fn roll(&mut self, latest: u64, bucket: u64, totals: &Totals) {
        if bucket != latest {
            self.roll_on(latest, bucket, totals);
        }
    }

    #[inline(never)]
    fn roll_on(&mut self, latest: u64, bucket: u64, totals: &Totals) {
        let passed = bucket.saturating_sub(latest).min(BUCKETS as u64);
        for back in 0..passed {
            self.starts[(bucket - back) as usize % BUCKETS] = *totals;
        }
    }

    /// The totals when the window began whose latest bucket is this.
    #[inline(always)]
    pub(super) const fn start(&self, latest: u64) -> &Totals {
        &self.starts[(latest as usize + 1) % BUCKETS]
    }
}

/// What two totals were before each of the last `N` steps: windows of any number of steps up to `N`, a power of two. How many
/// steps there were, its owner counts. No pair lies in two lines.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub(super) struct StepWindow<const N: usize> {
    before: [[i64; 2]; N],
}

impl<const N: usize> StepWindow<N> {
    const FITS: () = assert!(N.is_power_of_two());

    pub(super) const fn new() -> Self {
        let () = Self::FITS;
        Self { before: [[0; 2]; N] }
    }

    /// Another step, after `steps`; the totals were `before`.
    #[inline(always)]
    pub(super) const fn step(&mut self, steps: u64, before: [i64; 2]) {
        self.before[steps as usize % N] = before;
    }

    /// Asks for what the next step will write, and windows of so many steps will read.
    #[inline(always)]
    pub(super) fn prefetch(&self, steps: u64, windows: &[u64]) {
        for back in windows.iter().copied().chain([0]) {
            prefetch::line(&raw const self.before[steps.wrapping_sub(back) as usize % N]);
        }
    }

    /// How the totals, which are `now`, changed over the last `window` of `steps`, or over all where there were fewer; and the
    /// number of steps.
    #[inline(always)]
    pub(super) fn last(&self, steps: u64, window: u64, now: [i64; 2]) -> ([i64; 2], i64) {
        debug_assert!(window >= 1 && window <= N as u64);
        if steps == 0 {
            return ([0; 2], 0);
        }
        let covered = window.min(steps);
        let [first, second] = self.before[(steps - covered) as usize % N];
        ([now[0].wrapping_sub(first), now[1].wrapping_sub(second)], covered as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(events: i64) -> Totals {
        Totals { events, ..Totals::default() }
    }

    #[test]
    fn a_time_window_forgets_after_sixteen_buckets() {
        let mut window = TimeWindow::new();
        window.roll(0, 100, &totals(0));
        // Three events in bucket 100, the next in 115: still in the window; then in 116: no longer.
        window.roll(100, 115, &totals(3));
        assert_eq!(totals(4).since(window.start(115)).events, 4);
        window.roll(115, 116, &totals(4));
        assert_eq!(totals(5).since(window.start(116)).events, 2);
        window.roll(116, u64::MAX >> 23, &totals(5));
        assert_eq!(totals(6).since(window.start(u64::MAX >> 23)).events, 1);
    }

    #[test]
    fn a_step_window_covers_what_there_was() {
        let mut window = StepWindow::<4>::new();
        assert_eq!(window.last(0, 4, [9, 9]), ([0, 0], 0));
        for step in 0..9_i64 {
            window.step(step.cast_unsigned(), [step, -step]);
            let steps = step.cast_unsigned() + 1;
            let now = [step + 1, -step - 1];
            let covered = (step + 1).min(4);
            assert_eq!(window.last(steps, 4, now), ([covered, -covered], covered));
            assert_eq!(window.last(steps, 1, now), ([1, -1], 1));
        }
    }
}
