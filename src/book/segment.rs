//! Price levels and their queues: segments of up to five orders, each in one cache line.
//!
//! The orders are in the segment itself, in the order of the queue and without spaces between, so that an order has no
//! record of its own to be fetched, and joining and leaving touch no neighbour. A level of up to five orders, which
//! most are, is one segment and nothing else. When it grows beyond that, it becomes a chain of segments with a record of
//! its totals and ends ([`Chain`]), and stays one until its last order leaves.
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
//! | 14 | the chain; none where the level is this segment alone |
//! | 15 | locate, side, number of orders |
//!
//! No segment is empty, so there are never more of them than live orders.

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
        words[CHAIN] = u32::MAX;
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
        if self.0[REST] >> 8 & 1 == 0 { Side::Buy } else { Side::Sell }
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

    /// The chain; nil where the level is this segment alone.
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
#[repr(C, align(32))]
pub(super) struct Chain {
    /// Sum over the level: below 2^63, since there are fewer than 2^31 orders of fewer than 2^32 shares.
    shares: u64,
    orders: u32,
    first: Handle<Segment>,
    last: Handle<Segment>,
}

impl Record for Chain {
    const VACANT: Self = Self { shares: 0, orders: 0, first: Handle::NIL, last: Handle::NIL };
    fn link(&self) -> Handle<Self> {
        Handle::from_raw(self.first.raw())
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.first = Handle::from_raw(next.raw());
    }
}

impl Chain {
    pub(super) const fn last(&self) -> Handle<Segment> {
        self.last
    }
}

/// A level's name: its only segment, or its chain. It changes once, when the one becomes the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelName(u32);

/// Marks the name of a chain.
const CHAINED: u32 = 1 << 31;

impl LevelName {
    /// No level.
    pub(super) const NIL: Self = Self(u32::MAX);

    #[inline(always)]
    pub(super) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    #[inline(always)]
    pub(super) const fn raw(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(super) const fn is_nil(self) -> bool {
        self.0 == u32::MAX
    }

    /// `None` where there is no level.
    pub(super) fn some(self) -> Option<Self> {
        (!self.is_nil()).then_some(self)
    }

    /// Of the level that `segment` is in, where `here` is its handle.
    #[inline(always)]
    pub(super) const fn of(here: Handle<Segment>, segment: &Segment) -> Self {
        let chain = segment.0[CHAIN];
        Self(if chain == u32::MAX { here.raw() } else { chain | CHAINED })
    }

    /// The chain, or the only segment.
    #[inline(always)]
    pub(super) const fn parts(self) -> Result<Handle<Chain>, Handle<Segment>> {
        if self.0 & CHAINED != 0 {
            Ok(Handle::from_raw(self.0 & !CHAINED))
        } else {
            Err(Handle::from_raw(self.0))
        }
    }
}

/// What became of a level when an order joined or left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there under the same name.
    Stays,
    /// It has another name now.
    Renamed(LevelName),
    /// Nobody is left, and it is gone.
    Gone,
}

/// Queues of all levels.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) segments: Pool<Segment>,
    pub(super) chains: Pool<Chain>,
}

impl Queues {
    /// What the world sees of a level.
    #[inline(always)]
    pub(super) fn view(&self, level: LevelName) -> Level {
        match level.parts() {
            Ok(chain) => {
                let Chain { shares, orders, first, .. } = self.chains[chain];
                Level { price: self.segments[first].price(), shares, orders }
            }
            Err(segment) => {
                let segment = &self.segments[segment];
                Level { price: segment.price(), shares: segment.sum(), orders: segment.len() as u32 }
            }
        }
    }

    /// Asks for the line of a level before it is needed, whatever the name.
    #[inline(always)]
    pub(super) fn prefetch(&self, level: LevelName) {
        match level.parts() {
            Ok(chain) => self.chains.prefetch(chain),
            Err(segment) => self.segments.prefetch(segment),
        }
    }

    /// Asks for the last segment of a level before it is needed, whatever the name.
    #[inline(always)]
    pub(super) fn prefetch_last(&self, level: LevelName) {
        if let Ok(chain) = level.parts()
            && let Some(chain) = self.chains.get(chain)
        {
            self.segments.prefetch(chain.last);
        }
    }

    /// The first segment of a level.
    pub(super) fn first(&self, level: LevelName) -> Handle<Segment> {
        match level.parts() {
            Ok(chain) => self.chains[chain].first,
            Err(segment) => segment,
        }
    }

    /// Puts an order at the back of the queue of `level`. Returns its segment, and what became of the level; `None` where
    /// a segment or a chain is needed and there is none.
    #[inline(always)]
    pub(super) fn join(
        &mut self,
        level: LevelName,
        order_ref: u64,
        shares: u32,
    ) -> Option<(Handle<Segment>, Fate)> {
        let here = match level.parts() {
            Ok(chain) => self.chains[chain].last,
            Err(segment) => segment,
        };
        let last = &mut self.segments[here];
        if !last.takes(order_ref) {
            return self.extend(level, here, order_ref, shares);
        }
        last.push(order_ref, shares);
        if let Ok(chain) = level.parts() {
            let chain = &mut self.chains[chain];
            chain.shares += u64::from(shares);
            chain.orders += 1;
        }
        Some((here, Fate::Stays))
    }

    /// Adds a segment to a level.
    #[inline(never)]
    fn extend(
        &mut self,
        level: LevelName,
        last: Handle<Segment>,
        order_ref: u64,
        shares: u32,
    ) -> Option<(Handle<Segment>, Fate)> {
        let old = self.segments[last];
        let mut new = Segment::new((old.locate(), old.side()), old.price(), order_ref, shares);
        new.0[BEFORE] = last.raw();
        let new = self.segments.take(new)?;
        let (chain, fate) = match level.parts() {
            Ok(chain) => (chain, Fate::Stays),
            Err(_) => {
                let chain =
                    Chain { shares: old.sum(), orders: old.len() as u32, first: last, last };
                let Some(chain) = self.chains.take(chain) else {
                    self.segments.give(new);
                    return None;
                };
                self.segments[last].0[CHAIN] = chain.raw();
                (chain, Fate::Renamed(LevelName(chain.raw() | CHAINED)))
            }
        };
        self.segments[last].0[NEXT] = new.raw();
        self.segments[new].0[CHAIN] = chain.raw();
        let chain = &mut self.chains[chain];
        chain.shares += u64::from(shares);
        chain.orders += 1;
        chain.last = new;
        Some((new, fate))
    }

    /// Takes `shares`, fewer than it has, from an order that keeps its place.
    #[inline(always)]
    pub(super) fn reduce(&mut self, here: Handle<Segment>, at: usize, shares: u32) {
        let segment = &mut self.segments[here];
        segment.0[(ROOM + at) & 15] -= shares;
        if let Some(chain) = segment.chain().some() {
            self.chains[chain].shares -= u64::from(shares);
        }
    }

    /// Takes an order out of its queue.
    #[inline(always)]
    pub(super) fn leave<V: Vectors>(&mut self, here: Handle<Segment>, at: usize) -> Fate {
        let segment = &mut self.segments[here];
        let shares = segment.shares(at);
        V::close_order(&mut segment.0, at);
        segment.0[REST] -= 1;
        let empty = segment.len() == 0;
        let Some(chain) = segment.chain().some() else {
            if empty {
                self.segments.give(here);
                return Fate::Gone;
            }
            return Fate::Stays;
        };
        let level = &mut self.chains[chain];
        level.shares -= u64::from(shares);
        level.orders -= 1;
        if empty { self.unlink(here, chain) } else { Fate::Stays }
    }

    /// Takes an empty segment out of its chain.
    #[inline(never)]
    fn unlink(&mut self, here: Handle<Segment>, chain: Handle<Chain>) -> Fate {
        let (before, next) = (self.segments[here].before(), self.segments[here].next());
        match before.some() {
            Some(before) => self.segments[before].0[NEXT] = next.raw(),
            None => self.chains[chain].first = next,
        }
        match next.some() {
            Some(next) => self.segments[next].0[BEFORE] = before.raw(),
            None => self.chains[chain].last = before,
        }
        self.segments.give(here);
        if self.chains[chain].orders == 0 {
            self.chains.give(chain);
            return Fate::Gone;
        }
        Fate::Stays
    }
}
