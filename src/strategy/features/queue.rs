//! The place of our own orders in their queues: what must trade or leave before one of them is next.
//!
//! [`Books::queue_position`] counts it by walking the queue. [`OwnPlace`] walks once, when it begins to follow an order, and
//! then takes up each event at its price in a few steps. An order that leaves was ahead of ours or behind it: that is told by
//! its reference, which exchanges give out in rising order. That is not taken on trust: as long as every reference seen in the
//! queue ahead was below ours and every one that joined since above it, it holds; once one does not, and after events that
//! cannot be right, the queue is walked at each event. The result is the same, exactly, either way.

use super::Step;
use crate::book::{Books, QueuePosition, Touched};
use crate::market::{Level, Price, Side};

/// One own order, from when it rests in the book until it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnPlace {
    order_ref: u64,
    side: Side,
    price: Price,
    locate: u16,
    /// References in this queue do not tell who came first.
    walks: bool,
    ahead: QueuePosition,
    /// The level as it was after the last event at its price.
    level: Level,
}

impl OwnPlace {
    /// Begins to follow the order with `order_ref`; `None` while it is not in its book. Walks the queue once.
    #[must_use]
    pub fn find(books: &Books, order_ref: u64) -> Option<Self> {
        let order = books.order(order_ref)?;
        let (side, price, locate) = (order.side, order.price, order.locate);
        let ahead = books.queue_position(order_ref)?;
        let level = books.level(locate, side, price)?;
        let mut own = Self { order_ref, side, price, locate, walks: false, ahead, level };
        own.walks = own.disordered(books);
        Some(own)
    }

    /// Looks whether references tell who came first.
    fn disordered(&self, books: &Books) -> bool {
        let mut behind = false;
        books.queue(self.locate, self.side, self.price).any(|order| {
            let wrong =
                if behind { order.order_ref < self.order_ref } else { order.order_ref > self.order_ref };
            behind |= order.order_ref == self.order_ref;
            wrong
        })
    }

    /// Takes up what an event did, after the books have; false where the order has left, and is not to be followed on.
    pub fn on_step(&mut self, books: &Books, step: &Step) -> bool {
        let Some(Touched { side, price }) = step.touched.filter(|_| step.locate == self.locate) else {
            return true;
        };
        let joined = step.joined.filter(|joined| side == self.side && joined.price == self.price);
        let left_here = step.order_ref != 0 && side == self.side && price == self.price;
        if !left_here && joined.is_none() && !step.anomaly {
            return true;
        }
        if let Some(joined) = joined {
            self.walks |= joined.order_ref < self.order_ref;
        }
        // Whatever its reference, an order that takes ours over is another one, at the back.
        if step.order_ref == self.order_ref && joined.is_some_and(|new| new.order_ref == self.order_ref) {
            return false;
        }
        if self.walks || step.anomaly {
            return self.walk(books);
        }
        let Some(level) = books.level(self.locate, self.side, self.price) else { return false };
        let (more, count) = joined.map_or((0, 0), |joined| (u64::from(joined.shares), 1));
        let shares = (self.level.shares + more).saturating_sub(level.shares);
        let orders = (self.level.orders + count).saturating_sub(level.orders);
        self.level = level;
        if left_here && step.order_ref < self.order_ref {
            self.ahead.shares_ahead = self.ahead.shares_ahead.saturating_sub(shares);
            self.ahead.orders_ahead = self.ahead.orders_ahead.saturating_sub(orders);
        }
        // Of our own order all or a part is gone.
        !(left_here && step.order_ref == self.order_ref && orders > 0)
    }

    /// Counts anew.
    fn walk(&mut self, books: &Books) -> bool {
        let still = books
            .order(self.order_ref)
            .filter(|order| (order.locate, order.side, order.price) == (self.locate, self.side, self.price));
        let (Some(_), Some(ahead), Some(level)) =
            (still, books.queue_position(self.order_ref), books.level(self.locate, self.side, self.price))
        else {
            return false;
        };
        (self.ahead, self.level) = (ahead, level);
        true
    }

    /// What is ahead of the order.
    #[must_use]
    pub const fn ahead(&self) -> QueuePosition {
        self.ahead
    }

    /// The level that it rests in, itself included.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Reference of the order.
    #[must_use]
    pub const fn order_ref(&self) -> u64 {
        self.order_ref
    }

    /// True where references do not tell who came first, so that each event at the price walks the queue.
    #[must_use]
    pub const fn walks(&self) -> bool {
        self.walks
    }
}
