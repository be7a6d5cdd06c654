//! What we hold, and may come to hold, in one instrument.

use crate::market::{Price, Side};

/// Position and open orders of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Shares held; negative = short.
    pub position: i64,
    /// Shares that open buy orders may still add.
    pub open_buy: u64,
    /// Shares that open sell orders may still take away.
    pub open_sell: u64,
    /// Price at which the position is valued: that of the latest execution here.
    pub mark: Price,
}

impl Holding {
    /// Open shares on `side`.
    #[must_use]
    pub const fn open(&self, side: Side) -> u64 {
        match side {
            Side::Buy => self.open_buy,
            Side::Sell => self.open_sell,
        }
    }

    /// The position from the side's point of view: positive where an order on `side` would make it larger.
    #[must_use]
    pub const fn towards(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.position,
            Side::Sell => self.position.saturating_neg(),
        }
    }

    /// Shares by which `more` on `side` would, at worst, take the position beyond zero on that side; 0 where all of it,
    /// together with what is open, only closes what we hold the other way.
    #[must_use]
    pub fn worst(&self, side: Side, more: u64) -> u64 {
        let worst = i128::from(self.towards(side)) + i128::from(self.open(side)) + i128::from(more);
        u64::try_from(worst.max(0)).unwrap_or(u64::MAX)
    }

    /// True where nothing is held and nothing is open.
    #[must_use]
    pub const fn is_flat(&self) -> bool {
        self.position == 0 && self.open_buy == 0 && self.open_sell == 0
    }

    /// `|position| × mark`, in 1/10,000.
    #[must_use]
    pub fn value(&self) -> u128 {
        u128::from(self.position.unsigned_abs()) * u128::from(self.mark.0)
    }

    pub(super) const fn open_mut(&mut self, side: Side) -> &mut u64 {
        match side {
            Side::Buy => &mut self.open_buy,
            Side::Sell => &mut self.open_sell,
        }
    }

    /// Moves the position by a trade on `side`, or undoes one.
    pub(super) const fn trade(&mut self, side: Side, shares: u32, undo: bool) {
        let signed = if matches!(side, Side::Buy) != undo { shares as i64 } else { -(shares as i64) };
        self.position = self.position.saturating_add(signed);
    }
}
