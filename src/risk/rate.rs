//! Token buckets as one number: the time at which the bucket would be full again.

/// A rate: a bucket of `burst` tokens, refilled evenly at `per_second`. Zero in either lets nothing pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second.
    pub per_second: u32,
    /// Tokens that a rested bucket holds.
    pub burst: u32,
}

/// A [`Rate`] made ready for the hot path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// ns that refill one token, rounded up: never more than the rate.
    interval_ns: u64,
    /// How far ahead of now the full-again time may lie for one more token to be there.
    slack_ns: u64,
    open: bool,
}

/// When a bucket is full again, ns; a bucket never touched is full since 0.
pub(super) type FullAt = u64;

impl Bucket {
    pub(super) const fn new(rate: Rate) -> Self {
        let open = rate.per_second > 0 && rate.burst > 0;
        let interval_ns = if open { 1_000_000_000_u64.div_ceil(rate.per_second as u64) } else { 0 };
        let slack_ns = interval_ns.saturating_mul((rate.burst as u64).saturating_sub(1));
        Self { interval_ns, slack_ns, open }
    }

    /// Is there a token?
    pub(super) const fn admits(&self, full_at: FullAt, now_ns: u64) -> bool {
        self.open && full_at <= now_ns.saturating_add(self.slack_ns)
    }

    /// Takes a token. What may not be refused takes one from an empty bucket too; the debt is bounded by the bucket.
    pub(super) fn take(&self, full_at: &mut FullAt, now_ns: u64) {
        let next = (*full_at).max(now_ns).saturating_add(self.interval_ns);
        let most = now_ns.saturating_add(self.slack_ns).saturating_add(self.interval_ns);
        *full_at = next.min(most.max(*full_at));
    }

    /// Most tokens that can be taken by [`Bucket::admits`] within any `window_ns`.
    pub(super) const fn most_within(&self, window_ns: u64) -> u64 {
        if !self.open {
            return 0;
        }
        (self.slack_ns / self.interval_ns + 1).saturating_add(window_ns / self.interval_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_lets_nothing_pass() {
        for rate in [Rate { per_second: 0, burst: 5 }, Rate { per_second: 5, burst: 0 }] {
            assert!(!Bucket::new(rate).admits(0, u64::MAX));
        }
    }

    #[test]
    fn a_rested_bucket_gives_its_burst_then_its_rate() {
        let bucket = Bucket::new(Rate { per_second: 10, burst: 3 });
        let mut full_at = 0;
        let mut taken = Vec::new();
        for now in (5_000_000_000_u64..6_000_000_000).step_by(1_000_000) {
            while bucket.admits(full_at, now) {
                bucket.take(&mut full_at, now);
                taken.push((now - 5_000_000_000) / 1_000_000);
            }
        }
        assert_eq!(taken, [0, 0, 0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
    }

    #[test]
    fn no_window_ever_holds_more_than_the_bound() {
        let mut seed = 88_172_645_463_325_252_u64;
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..300 {
            let rate = Rate { per_second: 1 + random(3_000) as u32, burst: 1 + random(20) as u32 };
            let bucket = Bucket::new(rate);
            let (mut full_at, mut now, mut taken) = (0, random(1_000_000_000), Vec::new());
            for _ in 0..500 {
                now += random(3_000_000);
                if bucket.admits(full_at, now) {
                    bucket.take(&mut full_at, now);
                    taken.push(now);
                }
            }
            let window = 1 + random(1_000_000_000);
            let most = bucket.most_within(window) as usize;
            assert!(taken.windows(most + 1).all(|w| w[most] - w[0] > window), "{rate:?}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_tokens_away() {
        let bucket = Bucket::new(Rate { per_second: 1, burst: 1 });
        let mut full_at = 0;
        bucket.take(&mut full_at, 10_000_000_000);
        assert!(!bucket.admits(full_at, 3_000_000_000));
        bucket.take(&mut full_at, 3_000_000_000);
        assert_eq!(full_at, 11_000_000_000);
    }
}
