//! Price levels and their queues: segments of up to eight orders.
//!
//! A level is a chain of segments, front of the queue first. The orders are in the segments themselves, in the order of
//! the queue and without spaces between, so that an order has no record of its own to be fetched, and joining and
//! leaving touch no neighbour. The first segment of a chain is its *head*: it is the level (its handle names the level,
//! its second line carries the totals) and stays while the level lives, even when its own orders have left before those
//! behind them.
//!
//! A segment is two cache lines, which processors like to fetch together:
//!
//! | line | holds |
//! |---|---|
//! | 0 | eight order references |
//! | 1 | their shares, price, locate, side, links; in a head the level's totals |
//!
//! Segments that orders have left are joined with the one before or behind where both together have seven orders or
//! fewer. A chain of `n` orders has then never more than `1 + n * 2 / 7` segments ([`segments_for`]).

use crate::market::{Level, Price, Side};

use super::pool::{Handle, Pool, Record};
use super::vectors::Vectors;

/// Orders that a segment has room for.
pub(super) const ROOM: usize = 8;

/// A segment with more orders is not looked at when one leaves.
const SPARSE: u8 = 5;

/// Two segments with so many orders together become one.
const JOINED: u8 = 7;

/// The most segments that `orders` orders on `levels` levels can need.
///
/// Beside its head a level has only segments of which any two neighbours, the head among them, have seven orders or more:
/// they were checked when the sparser of them last lost an order at eight or more, and the other one, while it is not
/// checked, has more than [`SPARSE`].
pub(super) const fn segments_for(orders: u32, levels: u32) -> u32 {
    // There are no more levels than orders.
    let levels = if levels < orders { levels } else { orders };
    levels.saturating_add((orders as u64 * 2 / 7) as u32 + 1)
}

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub(super) struct Segment {
    /// The first `len` are those of the orders, front first; the others are stale.
    refs: [u64; ROOM],
    /// Displayed shares left of each order, never 0; the others are 0.
    shares: [u32; ROOM],
    /// In a head, the sum over the whole level: below 2^63, since there are fewer than 2^31 orders of fewer than 2^32 shares.
    total: u64,
    pub(super) price: Price,
    /// In a head, orders of the whole level.
    orders: u32,
    /// The first segment of the chain.
    pub(super) head: Handle<Self>,
    /// The segment behind; nil in the last one.
    pub(super) next: Handle<Self>,
    /// In a head, the last segment of the chain; in the others the segment before.
    link: Handle<Self>,
    pub(super) locate: u16,
    pub(super) side: Side,
    len: u8,
}

const _: () = assert!(size_of::<Segment>() == 128);

impl Record for Segment {
    const VACANT: Self = Self {
        refs: [0; ROOM],
        shares: [0; ROOM],
        total: 0,
        price: Price(0),
        orders: 0,
        head: Handle::NIL,
        next: Handle::NIL,
        link: Handle::NIL,
        locate: 0,
        side: Side::Buy,
        len: 0,
    };
    fn link(&self) -> Handle<Self> {
        self.next
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.next = next;
    }
}

impl Segment {
    /// The head of a level that is about to get its first order.
    pub(super) const fn empty(locate: u16, side: Side, price: Price) -> Self {
        Self { price, locate, side, ..Self::VACANT }
    }

    /// What the world sees of a level, from its head.
    pub(super) const fn view(&self) -> Level {
        Level { price: self.price, shares: self.total, orders: self.orders }
    }

    /// Orders in this segment, not in its level.
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    /// In a head, the last segment of the chain.
    pub(super) const fn last(&self) -> Handle<Self> {
        self.link
    }

    /// The segment before, of one that is no head.
    pub(super) const fn before(&self) -> Handle<Self> {
        self.link
    }

    /// The orders of this segment: reference and shares.
    pub(super) fn orders(&self) -> impl Iterator<Item = (u64, u32)> {
        self.refs.into_iter().zip(self.shares).take(self.len())
    }

    /// Where the order is that carries `order_ref`.
    #[inline(always)]
    pub(super) fn find<V: Vectors>(&self, order_ref: u64) -> Option<usize> {
        // Stale references are behind the live ones, so the first that fits decides.
        let at = V::equal_u64x8(&self.refs, order_ref).trailing_zeros() as usize;
        (at < self.len()).then_some(at)
    }

    /// Shares of the order at `at`.
    #[inline(always)]
    pub(super) const fn shares(&self, at: usize) -> u32 {
        self.shares[at & (ROOM - 1)]
    }

    /// Sum over this segment.
    pub(super) fn sum(&self) -> u64 {
        self.shares.iter().map(|shares| u64::from(*shares)).sum()
    }

    fn push(&mut self, order_ref: u64, shares: u32) {
        let at = self.len() & (ROOM - 1);
        self.refs[at] = order_ref;
        self.shares[at] = shares;
        self.len += 1;
    }
}

/// What became of a level when an order left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Others are there.
    Orders,
    /// It was the last one; the head is still there.
    Nobody,
    /// Others are there, and those of the first segment are to be moved to the second, which is before it.
    Sparse(Handle<Segment>, Handle<Segment>),
}

impl Pool<Segment> {
    /// Puts an order at the back of the queue of the level `head`. Returns its segment, or `None` where a new one is needed
    /// and there is none.
    #[inline(always)]
    pub(super) fn join(
        &mut self,
        head: Handle<Segment>,
        order_ref: u64,
        shares: u32,
    ) -> Option<Handle<Segment>> {
        let last = self[head].last();
        let mut segment = last;
        if self[last].len() == ROOM {
            segment = self.extend(head, last)?;
        }
        self[segment].push(order_ref, shares);
        let level = &mut self[head];
        level.total += u64::from(shares);
        level.orders += 1;
        Some(segment)
    }

    /// A level with its first order; `None` where there is no segment left.
    #[inline(always)]
    pub(super) fn found(&mut self, level: Segment, order_ref: u64, shares: u32) -> Option<Handle<Segment>> {
        let head = self.take(level)?;
        let level = &mut self[head];
        level.head = head;
        level.link = head;
        level.push(order_ref, shares);
        level.total = u64::from(shares);
        level.orders = 1;
        Some(head)
    }

    #[inline(never)]
    fn extend(&mut self, head: Handle<Segment>, last: Handle<Segment>) -> Option<Handle<Segment>> {
        let Segment { locate, side, price, .. } = self[head];
        let new = self.take(Segment { head, link: last, ..Segment::empty(locate, side, price) })?;
        self[last].next = new;
        self[head].link = new;
        Some(new)
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    #[inline(always)]
    pub(super) fn reduce(&mut self, segment: Handle<Segment>, at: usize, shares: u32) {
        let here = &mut self[segment];
        here.shares[at & (ROOM - 1)] -= shares;
        let head = here.head;
        self[head].total -= u64::from(shares);
    }

    /// Takes an order out of its queue.
    #[inline(always)]
    pub(super) fn leave<V: Vectors>(&mut self, segment: Handle<Segment>, at: usize) -> Left {
        let here = &mut self[segment];
        let shares = here.shares(at);
        V::close_u64x8(&mut here.refs, at);
        V::close_u32x8(&mut here.shares, at);
        here.len -= 1;
        let (head, len, alone) = (here.head, here.len, here.next.is_nil() && here.head == segment);
        let level = &mut self[head];
        level.total -= u64::from(shares);
        level.orders -= 1;
        if level.orders == 0 {
            return Left::Nobody;
        }
        if alone || len > SPARSE {
            return Left::Orders;
        }
        self.look_around(segment)
    }

    /// Is a segment with few orders to be joined with one beside it?
    #[inline(never)]
    fn look_around(&mut self, segment: Handle<Segment>) -> Left {
        let here = &self[segment];
        if here.len == 0 && here.head != segment {
            return Left::Sparse(segment, here.before());
        }
        if let Some(next) = here.next.some()
            && here.len + self[next].len <= JOINED
        {
            return Left::Sparse(next, segment);
        }
        if here.head != segment && here.len + self[here.before()].len <= JOINED {
            return Left::Sparse(segment, here.before());
        }
        Left::Orders
    }

    /// Moves the orders of `from` to the back of `to`, the segment before it, calling `moved` with each, and takes `from`
    /// out of the chain.
    pub(super) fn unite(
        &mut self,
        from: Handle<Segment>,
        to: Handle<Segment>,
        mut moved: impl FnMut(u64, Handle<Segment>, Handle<Segment>),
    ) {
        let old = self[from];
        for (order_ref, shares) in old.orders() {
            self[to].push(order_ref, shares);
            moved(order_ref, from, to);
        }
        self[to].next = old.next;
        match old.next.some() {
            // `to` may be the head, whose own link is another.
            Some(next) => self[next].link = to,
            None => self[old.head].link = to,
        }
        self.give(from);
    }
}
