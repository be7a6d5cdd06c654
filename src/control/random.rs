//! Random delays that can be repeated from a seed. Nothing secret hangs on them.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// One of `1 ..= most`; 0 where `most` is.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        // The upper half of the product: even enough for delays.
        let below = (u128::from(self.next()) * u128::from(most)) >> 64;
        below as u64 + u64::from(most != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_fill_their_range_and_never_leave_it() {
        let mut random = Random::new(7);
        let seen: std::collections::BTreeSet<_> = (0..1_000).map(|_| random.up_to(10)).collect();
        assert_eq!(seen, (1..=10).collect());
        assert_eq!(random.up_to(0), 0);
        assert_eq!(random.up_to(1), 1);
        assert!((1..=u64::MAX).contains(&random.up_to(u64::MAX)));
    }
}
