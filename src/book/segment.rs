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

    #[inline(always)]
    const fn joined(shares: u32) -> Self {
        Self(shares as u64, 1)
    }

    #[inline(always)]
    const fn left(shares: u32) -> Self {
        Self((shares as u64).wrapping_neg(), 1_u32.wrapping_neg())
    }

    #[inline(always)]
    const fn reduced(shares: u32) -> Self {
        Self((shares as u64).wrapping_neg(), 0)
    }
}

impl Chain {
    #[inline(always)]
    const fn change(&mut self, by: Change) {
        self.shares = self.shares.wrapping_add(by.0);
        self.orders = self.orders.wrapping_add(by.1);
    }
}

/// Most changes that are owed.
const OWED: usize = 16;

/// Changes that are not in their chains yet. A chain's line is often cold, and nothing but a reader of the level wants it:
/// it is asked for when a change is owed, and written when [`OWED`] others have been owed since, so that no message waits.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Owed {
    /// [`NO_CHAIN`] where nothing is owed.
    chains: [Handle<Chain>; OWED],
    by: [Change; OWED],
    /// The next change's place, modulo [`OWED`].
    next: usize,
    /// All before this one were paid.
    paid: usize,
}

impl Owed {
    const NOTHING: Self =
        Self { chains: [NO_CHAIN; OWED], by: [Change::NOTHING; OWED], next: OWED, paid: OWED };

    /// Owes a change, and pays the one whose place it takes. No branch: to no chain changes are owed as well.
    #[inline(always)]
    fn owe(&mut self, chains: &mut Pool<Chain>, chain: Handle<Chain>, by: Change) {
        let at = self.next % OWED;
        self.next += 1;
        chains.prefetch_live(chain);
        chains[self.chains[at]].change(self.by[at]);
        (self.chains[at], self.by[at]) = (chain, by);
    }

    /// The places of what is owed.
    #[inline(always)]
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        (self.paid.max(self.next - OWED)..self.next).map(|place| place % OWED)
    }

    /// Pays all that is owed.
    #[inline]
    fn settle(&mut self, chains: &mut Pool<Chain>) {
        if self.paid == self.next {
            return;
        }
        for at in self.places() {
            chains[self.chains[at]].change(self.by[at]);
            (self.chains[at], self.by[at]) = (NO_CHAIN, Change::NOTHING);
        }
        self.paid = self.next;
    }

    /// A chain as it is when all is paid.
    #[inline(always)]
    fn chain(&self, chains: &Pool<Chain>, handle: Handle<Chain>) -> Chain {
        let mut chain = chains[handle];
        if self.paid == self.next {
            return chain;
        }
        for at in self.places().filter(|at| self.chains[*at] == handle) {
            chain.change(self.by[at]);
        }
        chain
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
    /// Nothing is owed where it is false.
    owes: bool,
}

impl Queues {
    /// Room for so many orders, and so many levels of more than one segment.
    pub(super) fn new(orders: u32, chains: u32) -> Result<Self, TryReserveError> {
        let mut queues = Self {
            segments: Pool::new(orders)?,
            chains: Pool::new(chains + 1)?,
            owed: Owed::NOTHING,
            owes: false,
        };
        queues.clear();
        Ok(queues)
    }

    pub(super) fn clear(&mut self) {
        self.segments.clear();
        self.chains.clear();
        self.owed = Owed::NOTHING;
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
            let Chain { shares, orders, .. } = self.owed.chain(&self.chains, segment.chain());
            Level { price: segment.price(), shares, orders }
        }
    }

    /// Whether changes of totals may be owed from now on: many messages follow each other.
    #[inline]
    pub(super) fn set_owes(&mut self, owes: bool) {
        self.owes = owes;
        if !owes {
            self.settle();
        }
    }

    /// Brings all totals up to date.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.owed.settle(&mut self.chains);
    }

    #[inline(always)]
    fn change(&mut self, chain: Handle<Chain>, by: Change) {
        if self.owes {
            self.owed.owe(&mut self.chains, chain, by);
        } else {
            self.chains[chain].change(by);
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
        self.change(chain, Change::joined(shares));
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
            self.settle();
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
        self.change(chain, Change::joined(shares));
        Some(new)
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    #[inline(always)]
    pub(super) fn reduce(&mut self, here: Handle<Segment>, at: usize, shares: u32) {
        let segment = &mut self.segments[here];
        segment.0[(ROOM + at) & 15] -= shares;
        let chain = segment.chain();
        self.change(chain, Change::reduced(shares));
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
        self.change(chain, Change::left(shares));
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
