//! Price levels and their queues: segments of up to five orders, each in one cache line.
//!
//! The orders are in the segment itself, in the order of the queue and without spaces between, so that an order has no
//! record of its own to be fetched, and joining and leaving touch no neighbour. A level of up to five orders, which
//! most are, is one segment and nothing else. When it grows beyond that, it becomes a chain of segments with a record of
//! its totals ([`Chain`]), and stays one until its last order leaves. A level is known by its last segment, because that
//! is where orders join.
//!
//! A segment's sixteen 32-bit words:
//!
//! | words | hold |
//! |---|---|
//! | 0..5 | the low halves of the orders' references |
//! | 5..10 | their displayed shares, never 0; 0 behind the last order |
//! | 10 | the high half of all of its references: an order with another one gets another segment |
//! | 11 | price |
//! | 12, 13 | the segment behind, the segment before |
//! | 14 | the chain; 0 where the level is this segment alone |
//! | 15 | locate, side, number of orders |
//!
//! No segment is empty, so there are never more of them than live orders.

use std::collections::TryReserveError;

use crate::market::{Level, Price, Side};

use super::pool::{Handle, Pool, Record};
use super::vectors::Vectors;

/// Orders that a segment has room for.
pub(super) const ROOM: usize = 5;

/// Lanes of references.
const REF_LANES: u32 = (1 << ROOM) - 1;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Segment([u32; 16]);

const HIGH: usize = 10;
const PRICE: usize = 11;
const NEXT: usize = 12;
const BEFORE: usize = 13;
const CHAIN: usize = 14;
const REST: usize = 15;

impl Record for Segment {
    const VACANT: Self = Self([0; 16]);
    fn link(&self) -> Handle<Self> {
        Handle::from_raw(self.0[NEXT])
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.0[NEXT] = next.raw();
    }
}

impl Segment {
    /// A segment with one order that is a level alone.
    #[inline(always)]
    pub(super) const fn new((locate, side): (u16, Side), price: Price, order_ref: u64, shares: u32) -> Self {
        let mut words = [0; 16];
        words[0] = order_ref as u32;
        words[ROOM] = shares;
        words[HIGH] = (order_ref >> 32) as u32;
        words[PRICE] = price.0;
        words[NEXT] = u32::MAX;
        words[BEFORE] = u32::MAX;
        words[REST] = (locate as u32) << 16 | (side as u32) << 8 | 1;
        Self(words)
    }

    /// Orders in this segment, not in its level.
    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        (self.0[REST] & 0xFF) as usize
    }

    #[inline(always)]
    pub(super) const fn locate(&self) -> u16 {
        (self.0[REST] >> 16) as u16
    }

    #[inline(always)]
    pub(super) const fn side(&self) -> Side {
        if self.0[REST] & 0x100 == 0 { Side::Buy } else { Side::Sell }
    }

    #[inline(always)]
    pub(super) const fn price(&self) -> Price {
        Price(self.0[PRICE])
    }

    /// The segment behind; nil in the last one.
    #[inline(always)]
    pub(super) const fn next(&self) -> Handle<Self> {
        Handle::from_raw(self.0[NEXT])
    }

    /// The segment before; nil in the first one.
    #[inline(always)]
    pub(super) const fn before(&self) -> Handle<Self> {
        Handle::from_raw(self.0[BEFORE])
    }

    /// The chain; [`NO_CHAIN`] where the level is this segment alone.
    #[inline(always)]
    pub(super) const fn chain(&self) -> Handle<Chain> {
        Handle::from_raw(self.0[CHAIN])
    }

    const fn high(&self) -> u64 {
        (self.0[HIGH] as u64) << 32
    }

    /// The orders of this segment: reference and shares.
    pub(super) fn orders(&self) -> impl Iterator<Item = (u64, u32)> {
        let (high, words) = (self.high(), self.0);
        (0..self.len().min(ROOM)).map(move |at| (high | u64::from(words[at]), words[ROOM + at]))
    }

    /// Where the order is that carries `order_ref`.
    #[inline(always)]
    pub(super) fn find<V: Vectors>(&self, order_ref: u64) -> Option<usize> {
        let fits = V::equal_u32x16(&self.0, order_ref as u32) & REF_LANES;
        // Stale references are behind the live ones, so the first that fits decides.
        let at = (fits | 1 << ROOM).trailing_zeros() as usize;
        (at < self.len() && self.0[HIGH] == (order_ref >> 32) as u32).then_some(at)
    }

    /// Shares of the order at `at`.
    #[inline(always)]
    pub(super) const fn shares(&self, at: usize) -> u32 {
        self.0[(ROOM + at) & 15]
    }

    /// Sum over this segment.
    #[inline(always)]
    pub(super) fn sum(&self) -> u64 {
        let [_, _, _, _, _, a, b, c, d, e, ..] = self.0;
        [a, b, c, d, e].into_iter().map(u64::from).sum()
    }

    /// An order with `order_ref` can be entered.
    #[inline(always)]
    const fn takes(&self, order_ref: u64) -> bool {
        self.len() < ROOM && self.0[HIGH] == (order_ref >> 32) as u32
    }

    #[inline(always)]
    const fn push(&mut self, order_ref: u64, shares: u32) {
        let at = self.len();
        self.0[at & 15] = order_ref as u32;
        self.0[(ROOM + at) & 15] = shares;
        self.0[REST] += 1;
    }
}

/// A level of more than one segment.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Chain {
    /// Sum over the level: below 2^63, since there are fewer than 2^31 orders of fewer than 2^32 shares.
    shares: u64,
    orders: u32,
    first: Handle<Segment>,
}

/// The first record is no chain: what is added and taken there for levels that are a segment alone is never read. That
/// spares the question which of the two a level is, and so a branch that no predictor could tell.
pub(super) const NO_CHAIN: Handle<Chain> = Handle::from_raw(0);

impl Record for Chain {
    const VACANT: Self = Self { shares: 0, orders: 0, first: Handle::NIL };
    fn link(&self) -> Handle<Self> {
        Handle::from_raw(self.first.raw())
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.first = Handle::from_raw(next.raw());
    }
}

/// What a level's sums change by, modulo their width: shares, orders.
#[derive(Clone, Copy, Debug)]
struct Change(u64, u32);

impl Change {
    const NOTHING: Self = Self(0, 0);

    const fn joined(shares: u32) -> Self {
        Self(shares as u64, 1)
    }

    const fn left(shares: u32) -> Self {
        Self((shares as u64).wrapping_neg(), 1_u32.wrapping_neg())
    }
}

impl Chain {
    #[inline(always)]
    const fn change(&mut self, by: Change) {
        self.shares = self.shares.wrapping_add(by.0);
        self.orders = self.orders.wrapping_add(by.1);
    }
}

/// Changes that are not yet in their chains, so that nobody waits for a chain's line: it is asked for when a change is
/// owed, and changed when as many others have been owed since.
#[derive(Clone, Copy, Debug)]
struct Owed {
    chains: [u32; OWED],
    by: [Change; OWED],
    /// Changes so far: the next one has this place, modulo [`OWED`].
    next: usize,
}

/// Places for changes that are owed.
const OWED: usize = 16;

impl Owed {
    const NONE: Self = Self { chains: [NO_CHAIN.raw(); OWED], by: [Change::NOTHING; OWED], next: 0 };

    /// Owes a change.
    #[inline(always)]
    fn owe(&mut self, chains: &mut Pool<Chain>, chain: Handle<Chain>, by: Change) {
        let at = self.next % OWED;
        self.next = self.next.wrapping_add(1);
        chains.prefetch(chain);
        chains[Handle::from_raw(self.chains[at])].change(self.by[at]);
        self.chains[at] = chain.raw();
        self.by[at] = by;
    }

    /// All that is owed is paid.
    #[inline(never)]
    fn settle(&mut self, chains: &mut Pool<Chain>) {
        for (chain, by) in self.chains.iter().zip(&self.by) {
            chains[Handle::from_raw(*chain)].change(*by);
        }
        (self.chains, self.by) = (Self::NONE.chains, Self::NONE.by);
    }

    /// The sums of a chain.
    #[inline(always)]
    fn sums(&self, chains: &Pool<Chain>, chain: Handle<Chain>) -> Chain {
        let mut sums = chains[chain];
        for (other, by) in self.chains.iter().zip(&self.by) {
            if *other == chain.raw() {
                sums.change(*by);
            }
        }
        sums
    }
}

/// What became of a level when an order left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there.
    Stays,
    /// It is there, and has another last segment.
    Ends(Handle<Segment>),
    /// Nobody is left, and it is gone.
    Gone,
}

/// Queues of all levels.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) segments: Pool<Segment>,
    chains: Pool<Chain>,
    owed: Owed,
}

impl Queues {
    /// Room for so many orders, and so many levels of more than one segment.
    pub(super) fn new(orders: u32, chains: u32) -> Result<Self, TryReserveError> {
        let mut queues = Self { segments: Pool::new(orders)?, chains: Pool::new(chains + 1)?, owed: Owed::NONE };
        queues.clear();
        Ok(queues)
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.chains.clear();
        self.owed = Owed::NONE;
        let none = self.chains.take(Chain::VACANT);
        debug_assert_eq!(none, Some(NO_CHAIN));
    }

    /// What the world sees of the level with the last segment `last`.
    #[inline(always)]
    pub(super) fn view(&self, last: Handle<Segment>) -> Level {
        let segment = &self.segments[last];
        if segment.chain() == NO_CHAIN {
            Level { price: segment.price(), shares: segment.sum(), orders: segment.len() as u32 }
        } else {
            let Chain { shares, orders, .. } = self.owed.sums(&self.chains, segment.chain());
            Level { price: segment.price(), shares, orders }
        }
    }

    /// The first segment of the level with the last segment `last`.
    pub(super) fn first(&self, last: Handle<Segment>) -> Handle<Segment> {
        let chain = self.segments[last].chain();
        if chain == NO_CHAIN { last } else { self.chains[chain].first }
    }

    /// Puts an order at the back of the queue with the last segment `last`. Returns the segment that it is in, which is the
    /// last one now; `None` where a segment or a chain is needed and there is none.
    #[inline(always)]
    pub(super) fn join(
        &mut self,
        last: Handle<Segment>,
        order_ref: u64,
        shares: u32,
    ) -> Option<Handle<Segment>> {
        let segment = &mut self.segments[last];
        if !segment.takes(order_ref) {
            return self.extend(last, order_ref, shares);
        }
        segment.push(order_ref, shares);
        let chain = segment.chain();
        self.owed.owe(&mut self.chains, chain, Change::joined(shares));
        Some(last)
    }

    /// Adds a segment to a level.
    #[inline(never)]
    fn extend(&mut self, last: Handle<Segment>, order_ref: u64, shares: u32) -> Option<Handle<Segment>> {
        let old = self.segments[last];
        let mut new = Segment::new((old.locate(), old.side()), old.price(), order_ref, shares);
        new.0[BEFORE] = last.raw();
        let new = self.segments.take(new)?;
        let mut chain = old.chain();
        if chain == NO_CHAIN {
            // Nothing may be owed to what a record was before.
            self.owed.settle(&mut self.chains);
            let made = Chain { shares: old.sum(), orders: old.len() as u32, first: last };
            let Some(made) = self.chains.take(made) else {
                self.segments.give(new);
                return None;
            };
            chain = made;
            self.segments[last].0[CHAIN] = chain.raw();
        }
        self.segments[last].0[NEXT] = new.raw();
        self.segments[new].0[CHAIN] = chain.raw();
        self.owed.owe(&mut self.chains, chain, Change::joined(shares));
        Some(new)
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    #[inline(always)]
    pub(super) fn reduce(&mut self, here: Handle<Segment>, at: usize, shares: u32) {
        let segment = &mut self.segments[here];
        segment.0[(ROOM + at) & 15] -= shares;
        let chain = segment.chain();
        self.owed.owe(&mut self.chains, chain, Change(u64::from(shares).wrapping_neg(), 0));
    }

    /// Takes an order out of its queue.
    #[inline(always)]
    pub(super) fn leave<V: Vectors>(&mut self, here: Handle<Segment>, at: usize) -> Fate {
        let segment = &mut self.segments[here];
        let shares = segment.shares(at);
        V::close_order(&mut segment.0, at);
        segment.0[REST] -= 1;
        let empty = segment.len() == 0;
        let chain = segment.chain();
        self.owed.owe(&mut self.chains, chain, Change::left(shares));
        if !empty {
            return Fate::Stays;
        }
        if chain == NO_CHAIN {
            self.segments.give(here);
            return Fate::Gone;
        }
        self.unlink(here, chain)
    }

    /// Takes an empty segment out of its chain.
    #[inline(never)]
    fn unlink(&mut self, here: Handle<Segment>, chain: Handle<Chain>) -> Fate {
        let (before, next) = (self.segments[here].before(), self.segments[here].next());
        self.segments.give(here);
        match before.some() {
            Some(before) => self.segments[before].0[NEXT] = next.raw(),
            None => self.chains[chain].first = next,
        }
        if let Some(next) = next.some() {
            self.segments[next].0[BEFORE] = before.raw();
            Fate::Stays
        } else if before.is_nil() {
            self.chains.give(chain);
            Fate::Gone
        } else {
            Fate::Ends(before)
        }
    }
}
