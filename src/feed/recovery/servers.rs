//! Which request server to ask, and how fast.

/// Requests in a row that a server leaves unanswered until it is suspected to be dead.
const SUSPECT: u32 = 3;

/// One in so many of the requests that would be a suspected server's goes to it all the same.
const PROBE: u32 = 8;

/// One or two servers that take turns.
#[derive(Debug)]
pub(super) struct Servers {
    count: usize,
    /// Whose turn it is.
    turn: usize,
    /// Requests in a row that each left unanswered.
    missed: [u32; 2],
    /// Turns of suspected servers so far.
    passed: u32,
}

impl Servers {
    pub(super) const fn new(count: usize) -> Self {
        Self { count, turn: 0, missed: [0; 2], passed: 0 }
    }

    /// Who is to be asked for something new.
    pub(super) fn next(&mut self) -> usize {
        if self.count < 2 {
            return 0;
        }
        let (server, other) = (self.turn, 1 - self.turn);
        self.turn = other;
        if self.is_suspect(server) && !self.is_suspect(other) {
            self.passed = self.passed.wrapping_add(1);
            if !self.passed.is_multiple_of(PROBE) {
                return other;
            }
        }
        server
    }

    /// Who is to be asked after `server` did not answer.
    pub(super) fn after(&self, server: usize) -> usize {
        let other = usize::from(server == 0);
        if self.count < 2 || (self.is_suspect(other) && !self.is_suspect(server)) { server } else { other }
    }

    pub(super) fn missed(&mut self, server: usize) {
        if let Some(missed) = self.missed.get_mut(server) {
            *missed = missed.saturating_add(1);
        }
    }

    pub(super) fn answered(&mut self, server: usize) {
        if let Some(missed) = self.missed.get_mut(server) {
            *missed = 0;
        }
    }

    fn is_suspect(&self, server: usize) -> bool {
        self.missed.get(server).is_some_and(|missed| *missed >= SUSPECT)
    }
}

/// A rate as one number: the time at which the bucket of tokens would be full again.
#[derive(Debug)]
pub(super) struct Bucket {
    /// ns that refill one token, rounded up.
    interval: u64,
    /// How far ahead of now the full-again time may lie for one more token to be there.
    slack: u64,
    full_at: u64,
}

impl Bucket {
    /// `per_second` requests, and `burst` of them at once after a rest; each at least 1.
    pub(super) fn new(per_second: u32, burst: usize) -> Self {
        let interval = 1_000_000_000_u64.div_ceil(per_second.max(1).into());
        let more = u64::try_from(burst.saturating_sub(1)).unwrap_or(u64::MAX);
        Self { interval, slack: interval.saturating_mul(more), full_at: 0 }
    }

    pub(super) const fn admits(&self, now: u64) -> bool {
        self.full_at <= now.saturating_add(self.slack)
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: u64) -> bool {
        let admits = self.admits(now);
        if admits {
            self.full_at = self.full_at.max(now).saturating_add(self.interval);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_take_turns_until_one_is_silent() {
        let mut servers = Servers::new(2);
        assert_eq!([0; 4].map(|_| servers.next()), [0, 1, 0, 1]);
        assert_eq!((servers.after(0), servers.after(1)), (1, 0));
        for _ in 0..SUSPECT {
            servers.missed(1);
        }
        assert_eq!((servers.after(0), servers.after(1)), (0, 0));
        let turns: Vec<_> = (0..64).map(|_| servers.next()).collect();
        assert_eq!(turns.iter().filter(|server| **server == 1).count(), 4);
        servers.answered(1);
        assert_eq!([0; 4].map(|_| servers.next()), [0, 1, 0, 1]);
        // Where both are silent, both are tried.
        for server in [0, 1] {
            for _ in 0..SUSPECT {
                servers.missed(server);
            }
        }
        assert_eq!([0; 4].map(|_| servers.next()), [0, 1, 0, 1]);
        assert_eq!((servers.after(0), servers.after(1)), (1, 0));
        let mut alone = Servers::new(1);
        assert_eq!((alone.next(), alone.next(), alone.after(0)), (0, 0, 0));
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(10, 3);
        let taken: Vec<u64> = (0..600).filter(|ms| bucket.take(5_000_000_000 + ms * 1_000_000)).collect();
        assert_eq!(taken, [0, 1, 2, 100, 200, 300, 400, 500]);
        let mut bucket = Bucket::new(10, 3);
        assert_eq!((0..9).filter(|_| bucket.take(7)).count(), 3);
        assert!(!bucket.take(100_000_006));
        assert!(bucket.take(100_000_007));
        assert!(!bucket.admits(100_000_007));
    }
}
