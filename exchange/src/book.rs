//! The exchange's own books: price, then time.
//!
//! Orders of all instruments live in one pool and are chained into the queue of their level. The levels of a side
//! stand in a vector, worst first, so that what happens near the touch moves little. Written for clearness and to
//! keep up with a generated feed, not to be measured against wirebook's book, with which it shares no line.

use crate::units::Side;

/// No order.
pub const NIL: u32 = u32::MAX;

/// One resting order.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The reference that the feed knows it by. 0 in an empty slot.
    pub order_ref: u64,
    /// Display price.
    pub price: u32,
    /// Shares left.
    pub shares: u32,
    /// Instrument, counted from 0.
    pub instrument: u32,
    /// Side.
    pub side: Side,
    /// The client's own tag, 0 for the simulated participants.
    pub tag: u64,
    /// The participant that the feed names with it, if any.
    pub mpid: Option<[u8; 4]>,
    /// The order ahead in the queue.
    ahead: u32,
    /// The order behind in the queue.
    behind: u32,
    /// Where its instrument lists it.
    listed_at: u32,
}

/// What a new order brings to the book.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Instrument, counted from 0.
    pub instrument: u32,
    /// The reference that the feed will know it by; not 0.
    pub order_ref: u64,
    /// Side.
    pub side: Side,
    /// Display price.
    pub price: u32,
    /// Shares.
    pub shares: u32,
    /// The client's own tag, 0 for the simulated participants.
    pub tag: u64,
    /// The participant that the feed names with it, if any.
    pub mpid: Option<[u8; 4]>,
}

/// All resting orders of the market.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    slots: Vec<Order>,
    free: Vec<u32>,
}

impl Orders {
    /// Resting orders.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Is no order resting?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The order in `slot`, which must be one that this pool handed out.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: u32) -> &Order {
        &self.slots[slot as usize]
    }

    /// Is `slot` still the order `order_ref`?
    #[must_use]
    pub fn is_live(&self, slot: u32, order_ref: u64) -> bool {
        order_ref != 0 && self.slots.get(slot as usize).is_some_and(|order| order.order_ref == order_ref)
    }

    fn take_slot(&mut self, order: Order) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = order;
            slot
        } else {
            self.slots.push(order);
            u32::try_from(self.slots.len() - 1).unwrap_or(NIL)
        }
    }

    fn release(&mut self, slot: u32) {
        self.slots[slot as usize].order_ref = 0;
        self.free.push(slot);
    }
}

/// The orders of one price.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// Price.
    pub price: u32,
    /// Orders queued.
    pub orders: u32,
    /// Sum of their shares.
    pub shares: u64,
    front: u32,
    back: u32,
}

/// One side of a book: its levels, the best one last.
#[derive(Clone, Debug)]
struct Ladder {
    side: Side,
    levels: Vec<Queue>,
}

impl Ladder {
    /// Where the level of `price` is, or where it would have to go.
    #[inline]
    fn find(&self, price: u32) -> Result<usize, usize> {
        // A key that rises towards the best price on either side.
        let key = |price: u32| if self.side == Side::Buy { price } else { !price };
        let wanted = key(price);
        // Most of what happens, happens at the touch: look there before halving the whole ladder.
        let near = self.levels.len().saturating_sub(4);
        for (index, level) in self.levels.iter().enumerate().skip(near).rev() {
            match key(level.price).cmp(&wanted) {
                std::cmp::Ordering::Equal => return Ok(index),
                std::cmp::Ordering::Less => return Err(index + 1),
                std::cmp::Ordering::Greater => {}
            }
        }
        self.levels[..near].binary_search_by(|level| key(level.price).cmp(&wanted))
    }
}

/// One instrument's book.
#[derive(Clone, Debug)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    /// Every resting order, younger ones mostly towards the end: what a participant picks from.
    list: Vec<u32>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            bids: Ladder { side: Side::Buy, levels: Vec::new() },
            asks: Ladder { side: Side::Sell, levels: Vec::new() },
            list: Vec::new(),
        }
    }
}

impl Book {
    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// The best level of `side`.
    #[must_use]
    #[inline]
    pub fn best(&self, side: Side) -> Option<&Queue> {
        self.ladder(side).levels.last()
    }

    /// The best price of `side`.
    #[must_use]
    #[inline]
    pub fn best_price(&self, side: Side) -> Option<u32> {
        self.best(side).map(|level| level.price)
    }

    /// The order that an incoming one of the other side meets first.
    #[must_use]
    #[inline]
    pub fn front(&self, side: Side) -> Option<u32> {
        self.best(side).map(|level| level.front)
    }

    /// Levels of `side`, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = &Queue> {
        self.ladder(side).levels.iter().rev()
    }

    /// The orders of a level, front first.
    pub fn queue<'a>(&self, orders: &'a Orders, level: &Queue) -> impl Iterator<Item = &'a Order> {
        let mut next = level.front;
        std::iter::from_fn(move || {
            (next != NIL).then(|| {
                let order = orders.get(next);
                next = order.behind;
                order
            })
        })
    }

    /// Slots of the orders of `side`, best price first, front first.
    pub fn slots<'a>(&'a self, orders: &'a Orders, side: Side) -> impl Iterator<Item = u32> + 'a {
        self.levels(side).flat_map(move |level| {
            let next = move |slot: &u32| Some(orders.get(*slot).behind).filter(|behind| *behind != NIL);
            std::iter::successors(Some(level.front), next)
        })
    }

    /// Slots of all resting orders, younger ones mostly towards the end.
    #[must_use]
    pub fn list(&self) -> &[u32] {
        &self.list
    }

    /// Puts a new order at the back of its level's queue and returns its slot.
    pub fn insert(&mut self, orders: &mut Orders, entry: &Entry) -> u32 {
        let Entry { instrument, order_ref, side, price, shares, tag, mpid } = *entry;
        let listed_at = u32::try_from(self.list.len()).unwrap_or(NIL);
        let slot = orders.take_slot(Order {
            order_ref,
            price,
            shares,
            instrument,
            side,
            tag,
            mpid,
            ahead: NIL,
            behind: NIL,
            listed_at,
        });
        self.list.push(slot);
        let ladder = self.ladder_mut(side);
        match ladder.find(price) {
            Ok(index) => {
                let level = &mut ladder.levels[index];
                orders.slots[level.back as usize].behind = slot;
                orders.slots[slot as usize].ahead = level.back;
                level.back = slot;
                level.orders += 1;
                level.shares += u64::from(shares);
            }
            Err(index) => ladder.levels.insert(
                index,
                Queue { price, orders: 1, shares: u64::from(shares), front: slot, back: slot },
            ),
        }
        slot
    }

    /// Takes `shares` off an order, and the order off the book when none are left. Returns what is left.
    ///
    /// `shares` beyond what the order has are taken as all of them.
    pub fn reduce(&mut self, orders: &mut Orders, slot: u32, shares: u32) -> u32 {
        let order = &mut orders.slots[slot as usize];
        let taken = shares.min(order.shares);
        order.shares -= taken;
        let order = *order;
        let ladder = self.ladder_mut(order.side);
        // Present as long as one of its orders is: both are changed only here and in `insert`.
        let Ok(index) = ladder.find(order.price) else { return 0 };
        ladder.levels[index].shares -= u64::from(taken);
        if order.shares == 0 {
            self.unlink(orders, slot, index);
        }
        order.shares
    }

    /// Takes an order off the book.
    pub fn remove(&mut self, orders: &mut Orders, slot: u32) {
        self.reduce(orders, slot, u32::MAX);
    }

    fn unlink(&mut self, orders: &mut Orders, slot: u32, index: usize) {
        let order = orders.slots[slot as usize];
        let ladder = self.ladder_mut(order.side);
        let level = &mut ladder.levels[index];
        match order.ahead {
            NIL => level.front = order.behind,
            ahead => orders.slots[ahead as usize].behind = order.behind,
        }
        match order.behind {
            NIL => level.back = order.ahead,
            behind => orders.slots[behind as usize].ahead = order.ahead,
        }
        level.orders -= 1;
        if level.orders == 0 {
            ladder.levels.remove(index);
        }
        // The last of the list moves into the hole.
        self.list.swap_remove(order.listed_at as usize);
        if let Some(moved) = self.list.get(order.listed_at as usize) {
            orders.slots[*moved as usize].listed_at = order.listed_at;
        }
        orders.release(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(order_ref: u64, side: Side, price: u32, shares: u32) -> Entry {
        Entry { instrument: 0, order_ref, side, price, shares, tag: 0, mpid: None }
    }

    fn refs(book: &Book, orders: &Orders, side: Side) -> Vec<u64> {
        book.levels(side).flat_map(|level| book.queue(orders, level)).map(|order| order.order_ref).collect()
    }

    #[test]
    fn price_then_time() {
        let (mut book, mut orders) = (Book::default(), Orders::default());
        for (order_ref, side, price) in [
            (1, Side::Buy, 100),
            (2, Side::Buy, 101),
            (3, Side::Buy, 100),
            (4, Side::Sell, 110),
            (5, Side::Sell, 105),
            (6, Side::Sell, 105),
        ] {
            book.insert(&mut orders, &entry(order_ref, side, price, 10));
        }
        assert_eq!(refs(&book, &orders, Side::Buy), [2, 1, 3]);
        assert_eq!(refs(&book, &orders, Side::Sell), [5, 6, 4]);
        assert_eq!(book.best_price(Side::Buy), Some(101));
    }

    #[test]
    fn reduce_keeps_priority_and_removal_mends_the_chain() {
        let (mut book, mut orders) = (Book::default(), Orders::default());
        let slots: Vec<u32> = (1..=4)
            .map(|order_ref| book.insert(&mut orders, &entry(order_ref, Side::Buy, 100, 10)))
            .collect();
        assert_eq!(book.reduce(&mut orders, slots[0], 4), 6);
        book.remove(&mut orders, slots[1]);
        assert_eq!(refs(&book, &orders, Side::Buy), [1, 3, 4]);
        book.remove(&mut orders, slots[3]);
        assert_eq!(refs(&book, &orders, Side::Buy), [1, 3]);
        assert_eq!(book.best(Side::Buy).map(|level| (level.shares, level.orders)), Some((16, 2)));
        book.remove(&mut orders, slots[0]);
        book.remove(&mut orders, slots[2]);
        assert!(book.best(Side::Buy).is_none() && orders.is_empty() && book.list().is_empty());
        assert!(!orders.is_live(slots[0], 1));
    }

    #[test]
    fn deep_ladders_are_found_from_either_end() {
        for side in [Side::Buy, Side::Sell] {
            let (mut book, mut orders) = (Book::default(), Orders::default());
            let prices: Vec<u32> = (0..100).map(|index| 1_000 + (index * 37 % 100) * 10).collect();
            let slots: Vec<u32> = prices
                .iter()
                .enumerate()
                .map(|(index, price)| book.insert(&mut orders, &entry(index as u64 + 1, side, *price, 1)))
                .collect();
            let seen: Vec<u32> = book.levels(side).map(|level| level.price).collect();
            let mut sorted = prices;
            sorted.sort_unstable();
            if side == Side::Buy {
                sorted.reverse();
            }
            assert_eq!(seen, sorted);
            for slot in slots {
                book.remove(&mut orders, slot);
            }
            assert!(book.best(side).is_none());
        }
    }
}
