//! Rates from two readings of a counter that only rises.

/// Turns successive totals of one counter into a rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    last: Option<(u64, u64)>,
}

impl Rate {
    /// Takes the counter's total at `now_ns` (any monotonic clock) and returns its rate per second since the call
    /// before; `None` the first time, where no time has passed, and where the counter went back (its owner restarted).
    pub fn update(&mut self, total: u64, now_ns: u64) -> Option<u64> {
        let (total_before, ns_before) = self.last.replace((total, now_ns))?;
        let ns = now_ns.checked_sub(ns_before).filter(|ns| *ns > 0)?;
        let more = total.checked_sub(total_before)?;
        u64::try_from(u128::from(more) * 1_000_000_000 / u128::from(ns)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_readings_and_time_between_them() {
        let mut rate = Rate::default();
        assert_eq!(rate.update(1_000, 5_000_000_000), None);
        assert_eq!(rate.update(1_500, 5_250_000_000), Some(2_000));
        assert_eq!(rate.update(1_500, 5_250_000_000), None);
        assert_eq!(rate.update(1_500, 6_250_000_000), Some(0));
        assert_eq!(rate.update(3, 7_250_000_000), None);
        assert_eq!(rate.update(4, 8_250_000_000), Some(1));
        assert_eq!(rate.update(5, 1), None);
    }
}
