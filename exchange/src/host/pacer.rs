//! When the market has its next say: a mean rate, bursts at regular times, and bursts on command.
//!
//! Time earns credit and messages cost it, all in integers, so that no message is ever lost to rounding and the times
//! do not depend on how often anybody looks.

/// Bursts at regular times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// From the beginning of one to that of the next, ns; the first begins after so long. At least 1 ms.
    pub every_ns: u64,
    /// How long each lasts, ns; less than `every_ns`.
    pub length_ns: u64,
    /// The rate in a burst is so many times the rate outside. At least 1.
    pub factor: u32,
}

/// What one message costs. A ns at a rate of n messages a second earns n.
const MESSAGE: i64 = 1_000_000_000;

/// Says when messages are due.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    /// Messages a second outside bursts.
    rate: u32,
    bursts: Option<Bursts>,
    /// A burst on command: its factor, and when it is over.
    command: (u32, u64),
    /// Everything before this time is in `credit`.
    at: u64,
    credit: i64,
    /// When the next message is due; kept because it is asked for far more often than it changes.
    due: u64,
}

impl Pacer {
    /// A pacer from time 0 on. `rate` is at least 1.
    pub(super) fn new(rate: u32, bursts: Option<Bursts>) -> Self {
        let mut pacer = Self { rate: rate.max(1), bursts, command: (1, 0), at: 0, credit: 0, due: 0 };
        pacer.due = pacer.next();
        pacer
    }

    /// When the next message is due, ns.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// `messages` were said when they were due.
    pub(super) fn said(&mut self, messages: u64) {
        self.earn_until(self.due);
        let cost = i64::try_from(messages).unwrap_or(i64::MAX).saturating_mul(MESSAGE);
        self.credit = self.credit.saturating_sub(cost);
        self.due = self.next();
    }

    /// From `now` on, for `length` ns, the rate is `factor` times as high. A regular burst meanwhile does not multiply
    /// it: the higher factor counts.
    pub(super) fn burst(&mut self, now: u64, factor: u32, length: u64) {
        self.earn_until(now);
        self.command = (factor.max(1), now.saturating_add(length));
        self.due = self.next();
    }

    /// Nothing is due before `until`, and nothing is left over from before.
    pub(super) fn pause(&mut self, until: u64) {
        self.at = self.at.max(until);
        self.credit = 0;
        self.due = self.next();
    }

    fn next(&self) -> u64 {
        let (mut at, mut lack) = (self.at, MESSAGE.saturating_sub(self.credit));
        loop {
            let Ok(needed @ 1..) = u64::try_from(lack) else { return at };
            let (rate, until) = self.rate_at(at);
            if until <= at {
                // The end of time.
                return u64::MAX;
            }
            let wait = needed.div_ceil(rate);
            if wait <= until - at {
                return at + wait;
            }
            lack = lack.saturating_sub_unsigned((until - at).saturating_mul(rate));
            at = until;
        }
    }

    fn earn_until(&mut self, time: u64) {
        while self.at < time {
            let (rate, until) = self.rate_at(self.at);
            let until = until.min(time);
            self.credit = self.credit.saturating_add_unsigned((until - self.at).saturating_mul(rate));
            self.at = until;
        }
    }

    /// The rate at a time, and until when it stays so: later than `at`.
    fn rate_at(&self, at: u64) -> (u64, u64) {
        let (mut factor, mut until) = (1, u64::MAX);
        if let Some(bursts) = self.bursts {
            let (count, into) = (at / bursts.every_ns, at % bursts.every_ns);
            let bursting = count > 0 && into < bursts.length_ns;
            factor = if bursting { bursts.factor } else { 1 };
            let rest = if bursting { bursts.length_ns } else { bursts.every_ns } - into;
            until = at.saturating_add(rest);
        }
        if at < self.command.1 {
            factor = factor.max(self.command.0);
            until = until.min(self.command.1);
        }
        (u64::from(self.rate) * u64::from(factor), until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pacer: &mut Pacer, until: u64) -> u64 {
        let mut said = 0;
        while pacer.due() <= until {
            pacer.said(1);
            said += 1;
        }
        said
    }

    #[test]
    fn a_rate_is_kept_without_rounding() {
        let mut pacer = Pacer::new(300_000, None);
        assert_eq!(pacer.due(), 3_334);
        for second in 1..=5 {
            assert_eq!(count(&mut pacer, second * 1_000_000_000), 300_000);
        }
        pacer.said(7);
        let left = count(&mut pacer, 5_100_000_000);
        assert_eq!(left, 30_000 - 7);
    }

    #[test]
    fn bursts_come_at_their_times_and_on_command() {
        let bursts = Bursts { every_ns: 100_000_000, length_ns: 10_000_000, factor: 10 };
        let mut pacer = Pacer::new(100_000, Some(bursts));
        assert_eq!(count(&mut pacer, 100_000_000), 10_000);
        assert_eq!(count(&mut pacer, 110_000_000), 10_000);
        assert_eq!(count(&mut pacer, 200_000_000), 9_000);
        // The command's factor is higher than the regular one, then lower.
        pacer.burst(200_000_000, 20, 20_000_000);
        assert_eq!(count(&mut pacer, 220_000_000), 40_000);
        pacer.burst(300_000_000, 2, 10_000_000);
        assert_eq!(count(&mut pacer, 310_000_000), 8_000 + 10_000);
    }

    #[test]
    fn a_pause_leaves_nothing_over() {
        let mut pacer = Pacer::new(1_000, None);
        count(&mut pacer, 1_000_000_000);
        pacer.pause(3_000_000_000);
        assert_eq!(pacer.due(), 3_001_000_000);
    }
}
