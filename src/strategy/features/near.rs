//! The ten best levels of a side, kept beside the book.
//!
//! The book has them too, but each in a cache line of its own: reading ten of them at every event would be ten misses. Here
//! they are two lines, and an event changes one or two of them. The book is asked for one level at a time: the one that
//! changed, and the new tenth where one of the ten went.

use crate::book::{Books, Touched};
use crate::market::{Level, Price, Side};

/// Levels kept.
pub const LEVELS: usize = 10;

/// Most shares of a level that are counted: larger ones count as so many, so that no sum here can overflow.
pub const MOST_SHARES: u32 = (1 << 26) - 1;

/// Lanes of keys: the levels, rounded up to a full line.
const LANES: usize = 16;

/// Lanes of shares: the levels, rounded up so that the sums fill the line.
const SHARES: usize = 12;

/// Of a lane without a level.
const VACANT: u32 = u32::MAX;

/// A price turned so that the best of a side is its lowest: the price of an ask, the complement of a bid's.
const fn key(side: Side, price: Price) -> u32 {
    match side {
        Side::Buy => !price.0,
        Side::Sell => price.0,
    }
}

/// The best level of a side, as order flow sees it: key [`VACANT`] and no shares where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Best {
    key: u32,
    pub(super) shares: u32,
}

impl Best {
    /// What this side adds to the order flow when its best becomes `now`: the shares there now unless the price got worse,
    /// less those there before unless it got better.
    #[inline(always)]
    pub(super) fn flow_to(self, now: Self) -> i64 {
        let joined = if now.key <= self.key { now.shares } else { 0 };
        let left = if now.key >= self.key { self.shares } else { 0 };
        i64::from(joined) - i64::from(left)
    }
}

/// See the [module](self). Two cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Near {
    /// Best first.
    keys: [u32; LANES],
    shares: [u32; SHARES],
    /// Σ of shares × price, in shares × 1/10,000: below 2^62.
    moment: i64,
    /// Σ of shares: below 2^30.
    sum: u32,
    count: u32,
}

const _: () = assert!(size_of::<Near>() == 128 && LEVELS <= SHARES && LEVELS < LANES);

impl Near {
    pub(super) const EMPTY: Self =
        Self { keys: [VACANT; LANES], shares: [0; SHARES], moment: 0, sum: 0, count: 0 };

    #[inline(always)]
    pub(super) const fn best(&self) -> Best {
        Best { key: self.keys[0], shares: self.shares[0] }
    }

    /// The best price of `side`, which this is.
    #[inline(always)]
    pub(super) const fn best_price(&self, side: Side) -> Option<Price> {
        if self.count == 0 { None } else { Some(Price(price_of(side, self.keys[0]))) }
    }

    /// Is `level` the best of `side`, which this is?
    #[inline]
    pub(super) fn is_best(&self, side: Side, level: Option<Level>) -> bool {
        let of = |level: Level| Best { key: key(side, level.price), shares: counted(level.shares) };
        self.best() == level.map_or(Self::EMPTY.best(), of)
    }

    /// Shares of the best 1, 3, 5 and 10 levels.
    #[inline(always)]
    pub(super) const fn depths(&self) -> [i64; 4] {
        let [a, b, c, d, e, ..] = self.shares;
        let three = a + b + c;
        [a as i64, three as i64, (three + d + e) as i64, self.sum as i64]
    }

    /// Σ of shares × price.
    #[inline(always)]
    pub(super) const fn moment(&self) -> i64 {
        self.moment
    }

    /// Reads all of them from the book.
    pub(super) fn read(&mut self, books: &Books, locate: u16, side: Side) {
        *self = Self::EMPTY;
        for level in books.depth(locate, side).take(LEVELS) {
            self.append(side, level.price, level.shares);
        }
    }

    /// Brings one price up to date with the book; `alone` if no other one changed since it last was. One comparison where it is
    /// behind the tenth level.
    #[inline(always)]
    pub(super) fn update(&mut self, books: &Books, locate: u16, at: Touched, alone: bool) {
        let key = key(at.side, at.price);
        // Vacant lanes hold the highest key of all.
        if key <= self.keys[LEVELS - 1] {
            self.update_near(books, locate, (at, key), alone);
        }
    }

    #[inline(never)]
    fn update_near(
        &mut self,
        books: &Books,
        locate: u16,
        (Touched { side, price }, key): (Touched, u32),
        alone: bool,
    ) {
        // Most of what happens, happens at the best.
        let lane = if key <= self.keys[0] { 0 } else { self.better_than(key) };
        let known = lane < self.count as usize && self.keys[lane & (LANES - 1)] == key;
        let now = if alone {
            // Better levels are the same in the book, so it stands there at the same place, or nowhere.
            books.level_at(locate, side, lane).filter(|level| level.price == price)
        } else {
            books.level(locate, side, price)
        };
        match (known, now) {
            (true, Some(level)) => {
                let place = &mut self.shares[lane.min(SHARES - 1)];
                let shares = counted(level.shares);
                let more = i64::from(shares) - i64::from(*place);
                *place = shares;
                self.sum = self.sum.wrapping_add_signed(more as i32);
                self.moment += more * i64::from(price.0);
            }
            (false, Some(level)) => {
                if self.count as usize == LEVELS {
                    self.drop_last(side);
                }
                self.insert(lane, key, price, counted(level.shares));
            }
            (true, None) => {
                self.remove(lane, price);
                if self.count as usize == LEVELS - 1
                    && let Some(level) = books.level_at(locate, side, LEVELS - 1)
                {
                    self.append(side, level.price, level.shares);
                }
            }
            (false, None) => {}
        }
    }

    /// Levels that are better than one with `key`.
    #[inline(always)]
    fn better_than(&self, key: u32) -> usize {
        self.keys.iter().map(|known| u32::from(*known < key)).sum::<u32>() as usize
    }

    fn append(&mut self, side: Side, price: Price, shares: u64) {
        if (self.count as usize) < LEVELS {
            self.insert(self.count as usize, key(side, price), price, counted(shares));
        }
    }

    #[inline(always)]
    fn insert(&mut self, at: usize, key: u32, price: Price, shares: u32) {
        let (keys, old) = (self.keys, self.shares);
        for lane in 1..LANES {
            self.keys[lane] = if lane <= at { keys[lane] } else { keys[lane - 1] };
        }
        for lane in 1..SHARES {
            self.shares[lane] = if lane <= at { old[lane] } else { old[lane - 1] };
        }
        self.keys[at & (LANES - 1)] = key;
        self.shares[at.min(SHARES - 1)] = shares;
        self.count += 1;
        self.sum += shares;
        self.moment += i64::from(shares) * i64::from(price.0);
    }

    #[inline(always)]
    fn remove(&mut self, at: usize, price: Price) {
        let (keys, old) = (self.keys, self.shares);
        let shares = old[at.min(SHARES - 1)];
        for lane in 0..LANES - 1 {
            self.keys[lane] = if lane < at { keys[lane] } else { keys[lane + 1] };
        }
        for lane in 0..SHARES - 1 {
            self.shares[lane] = if lane < at { old[lane] } else { old[lane + 1] };
        }
        self.count -= 1;
        self.sum -= shares;
        self.moment -= i64::from(shares) * i64::from(price.0);
    }

    #[inline(always)]
    fn drop_last(&mut self, side: Side) {
        self.remove(LEVELS - 1, Price(price_of(side, self.keys[LEVELS - 1])));
    }
}

/// The price that [`key`] was made of.
const fn price_of(side: Side, key: u32) -> u32 {
    match side {
        Side::Buy => !key,
        Side::Sell => key,
    }
}

/// What a level's shares count as.
fn counted(shares: u64) -> u32 {
    shares.min(u64::from(MOST_SHARES)) as u32
}
