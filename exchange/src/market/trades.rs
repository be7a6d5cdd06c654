//! Trades that may yet be declared void.

use super::matching::{Fill, FillKind};
use super::{Market, locate};
use crate::itch;
use crate::rng::Rng;

/// So many trades are remembered.
const RECENT: usize = 64;

/// A trade that the feed told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trade {
    match_number: u64,
    instrument: u32,
    /// What clients were told of it: the one who came in, the one whose order rested.
    fills: [Option<Fill>; 2],
}

impl Trade {
    pub(super) const fn new(match_number: u64, instrument: u32, fills: [Option<Fill>; 2]) -> Self {
        Self { match_number, instrument, fills }
    }

    /// One that no client had a part in.
    pub(super) const fn anonymous(match_number: u64, instrument: u32) -> Self {
        Self::new(match_number, instrument, [None; 2])
    }
}

/// The last trades, as a ring.
#[derive(Clone, Debug)]
pub(super) struct Trades {
    recent: [Option<Trade>; RECENT],
    next: usize,
}

impl Trades {
    pub(super) const fn new() -> Self {
        Self { recent: [None; RECENT], next: 0 }
    }

    #[inline]
    pub(super) fn note(&mut self, trade: Trade) {
        self.recent[self.next % RECENT] = Some(trade);
        self.next += 1;
    }

    /// Takes one at random out, if the place drawn holds one.
    fn take(&mut self, rng: &mut Rng) -> Option<Trade> {
        self.recent[rng.index(RECENT)].take()
    }
}

impl Market {
    /// Declares one of the last trades void and tells those who had a part in it. False when the one drawn is so
    /// already: nothing was said then.
    pub(super) fn break_trade(&mut self, out: &mut impl FnMut(&[u8])) -> bool {
        let Some(Trade { match_number, instrument, fills }) = self.trades.take(&mut self.rng) else {
            return false;
        };
        let stamp = self.stamp(locate(instrument));
        self.say(itch::broken_trade(stamp, match_number), out);
        self.counters.broken += 1;
        for fill in fills.into_iter().flatten() {
            self.fills.push(Fill { kind: FillKind::Broken, time: stamp.time, ..fill });
        }
        true
    }
}
