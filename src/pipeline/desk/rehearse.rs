//! Walks through the way of an order while nothing comes: features, inference, risk, journal, session, up to the transmit
//! buffer, which is given back. So the next real order finds code and memory in the caches, and branches learned.
//!
//! Nothing of it can leave: what risk gives out for it is no [`Cleared`](crate::risk::Cleared) request, and sessions have no
//! way from a [`Rehearsal`](crate::risk::Rehearsal) to the wire. Nothing of it is kept but one counter: what follows is the same
//! with any number of rehearsals and with none.

use super::Desk;
use super::record::with_state;
use crate::journal::Record;
use crate::nic::TxQueue;
use crate::order::Session;
use crate::strategy::Strategy;
use crate::tsc::TimeSource;

/// Decisions that are remembered, a power of two.
const REMEMBERED: usize = 8;

/// Rehearsals to each warming of the NIC's own way to send, which may cost it something ([`TxQueue::warm`]; Onload's example
/// warms every 400 us).
const WARMED_EVERY: u64 = 32;

/// Instruments that were decided on lately; rehearsals take turns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lately {
    locates: [u16; REMEMBERED],
    noted: usize,
    taken: usize,
}

impl Lately {
    #[inline]
    pub(super) fn note(&mut self, locate: u16) {
        self.locates[self.noted % REMEMBERED] = locate;
        self.noted = self.noted.wrapping_add(1);
    }

    /// 0, which is no instrument, before there were as many.
    fn next(&mut self) -> u16 {
        self.taken = self.taken.wrapping_add(1);
        self.locates[self.taken % REMEMBERED]
    }
}

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Desk<T, S, O, C> {
    /// Rehearses one order.
    #[inline(never)]
    pub(in crate::pipeline) fn rehearse(&mut self) {
        let locate = self.lately.next();
        if locate == 0 {
            return;
        }
        let view = self.view(locate, self.feed_time, self.time.now());
        let Some(intent) = self.strategy.rehearse(&view) else { return };
        let Some(rehearsal) = self.risk.rehearse(&intent, &view, view.now_ns) else { return };
        if let Some(scribe) = &self.scribe {
            scribe.rehearse(&with_state(Record::of_intent(&intent, &view), &self.risk));
        }
        // The queue as it is for a real one, so that it is the same code.
        let mut tx = self.stamps.doorbell(&mut self.tx, &self.time);
        self.session.rehearse(&rehearsal, &mut tx);
        if self.counters.rehearsals.is_multiple_of(WARMED_EVERY) {
            self.tx.warm();
        }
        self.counters.rehearsals += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_among_the_latest() {
        let mut lately = Lately::default();
        assert_eq!(lately.next(), 0);
        for locate in 1..=20 {
            lately.note(locate);
        }
        let mut taken: Vec<u16> = (0..REMEMBERED).map(|_| lately.next()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (13..=20).collect::<Vec<u16>>());
    }
}
