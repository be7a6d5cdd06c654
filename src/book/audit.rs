//! A check of everything that must hold inside the books, for tests, fuzzers and doubts.

use crate::market::{Price, Side};

use super::Books;
use super::instrument::Instrument;
use super::pool::Handle;
use super::segment::{ROOM, Segment};
use super::tree::key;
use super::vectors::Portable;

/// What an audit counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Live orders, each found in its queue and by its reference.
    pub orders: u32,
    /// Price levels, each found on its side.
    pub levels: u32,
    /// Segments of up to five orders that the queues take.
    pub segments: u32,
}

/// What an audit found wrong: a fault of this program, whatever the input was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The levels of a side are not in order, or the best is not the first, or their number is wrong.
    #[error("locate {locate}: levels of side {side:?} out of order near {price}")]
    Levels {
        /// Instrument.
        locate: u16,
        /// Side of its book.
        side: Side,
        /// Where.
        price: Price,
    },
    /// The totals or links of a level do not agree with its queue.
    #[error("locate {locate}: level {price} of side {side:?} does not agree with its queue")]
    Queue {
        /// Instrument.
        locate: u16,
        /// Side of its book.
        side: Side,
        /// Price of the level.
        price: Price,
    },
    /// An order that rests in a queue is not found by its reference.
    #[error("order {order_ref} rests in a queue but is not in the index")]
    Index {
        /// Its reference.
        order_ref: u64,
    },
    /// More orders or levels are in use than the books hold.
    #[error("{orders} orders or {levels} levels in use belong to no book")]
    Leak {
        /// Orders in use and in no queue.
        orders: u32,
        /// Levels in use and on no side.
        levels: u32,
    },
}

impl Books {
    /// Walks every book and compares all that is said twice. Takes one step for each live order: not for the loop.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn audit(&self) -> Result<Audit, Fault> {
        let mut audit = Audit::default();
        for (locate, instrument) in (0..=u16::MAX).zip(&self.instruments) {
            for side in [Side::Buy, Side::Sell] {
                self.audit_side(&mut audit, locate, instrument, side)?;
            }
        }
        let orders = self.store.orders.live.wrapping_sub(audit.orders);
        let levels = self.store.levels.live.wrapping_sub(audit.levels);
        if (orders, levels) == (0, 0) { Ok(audit) } else { Err(Fault::Leak { orders, levels }) }
    }

    fn audit_side(
        &self,
        audit: &mut Audit,
        locate: u16,
        instrument: &Instrument,
        side: Side,
    ) -> Result<(), Fault> {
        let mut before: Option<u32> = None;
        let mut count = 0;
        for (at, level) in instrument.ladder(&self.store.nodes, side) {
            let price = self.store.queues.view(level).price;
            let in_order = before.map_or(level == instrument.best(side), |before| before < at);
            if !in_order
                || at != key(side, price)
                || instrument.level(&self.store.nodes, side, at) != Some(level)
            {
                return Err(Fault::Levels { locate, side, price });
            }
            self.audit_queue(audit, (locate, side), level)?;
            before = Some(at);
            count += 1;
        }
        audit.levels += count;
        if count != instrument.levels(side) || (count == 0) != instrument.best(side).is_nil() {
            return Err(Fault::Levels { locate, side, price: Price(0) });
        }
        Ok(())
    }

    fn audit_queue(&self, audit: &mut Audit, owner: (u16, Side), end: Handle<Segment>) -> Result<(), Fault> {
        let segments = &self.store.queues.segments;
        let level = self.store.queues.view(end);
        let fault = Err(Fault::Queue { locate: owner.0, side: owner.1, price: level.price });
        let (mut shares, mut count) = (0, 0);
        let mut before = Handle::NIL;
        let mut next = Some(self.store.queues.first(end));
        while let Some(here) = next {
            let segment = &segments[here];
            let fits = segment.before() == before
                && segment.chain() == segments[end].chain()
                && segment.price() == level.price
                && (segment.locate(), segment.side()) == owner
                && (1..=ROOM).contains(&segment.len())
                && segment.sum() == segment.orders().map(|(_, shares)| u64::from(shares)).sum::<u64>();
            // A ring would never end.
            if !fits || count > level.orders {
                return fault;
            }
            for (order_ref, left) in segment.orders() {
                if self.store.find::<Portable>(order_ref).segment() != here {
                    return Err(Fault::Index { order_ref });
                }
                if left == 0 {
                    return fault;
                }
            }
            shares += segment.sum();
            count += segment.len() as u32;
            audit.segments += 1;
            before = here;
            next = segment.next().some();
        }
        audit.orders += count;
        if (shares, count, before) == (level.shares, level.orders, end) { Ok(()) } else { fault }
    }
}
