//! Where an order joins.

use super::random::{Exponential, Mean, Random, of, part};
use super::shape::Depth;
use super::venue::{MAX_TICKS, Side, Symbol};

/// Ticks behind the best of what joins near it, on the average.
const NEAR_TICKS: Mean = Mean::of(3.0);

/// [`Depth`] as rolls are compared with it: each threshold has the ones before it in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prices {
    join: u32,
    improve: u32,
    near: u32,
    far: u32,
    away: u32,
    far_ticks: Mean,
}

impl Prices {
    pub(super) fn new(depth: &Depth) -> Self {
        let [join, improve, near] =
            [depth.join, depth.join + depth.improve, depth.join + depth.improve + depth.near];
        let far = near + depth.far;
        Self {
            join: part(join),
            improve: part(improve),
            near: part(near),
            far: part(far),
            away: part(far + 1.25),
            far_ticks: Mean::of(depth.far_ticks),
        }
    }

    /// How the price of an order will stand to the best.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random, exponential: &Exponential) -> Offset {
        let [roll, more] = random.rolls();
        let gap = 1 + of(more, 4);
        let behind = |ticks| Offset { behind: ticks, away: 0, gap };
        if roll < self.join {
            behind(0)
        } else if roll < self.improve {
            behind(-1)
        } else if roll < self.far {
            let mean = if roll < self.near { NEAR_TICKS } else { self.far_ticks };
            behind(1 + exponential.draw(random, mean) as i64)
        } else if roll < self.away {
            Offset { behind: 0, away: 200 + i64::from(of(more, 4_000)), gap }
        } else {
            behind(i64::from(MAX_TICKS))
        }
    }
}

/// How a price stands to the best of its side, drawn before that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset {
    /// Ticks.
    behind: i64,
    /// In parts of 10,000 of the best price.
    away: i64,
    /// Ticks from the other side's best, if this side is empty.
    gap: u32,
}

impl Offset {
    /// At the best price.
    pub(super) const NONE: Self = Self { behind: 0, away: 0, gap: 1 };

    /// The price, ticks.
    #[inline]
    pub(super) fn price(self, symbol: &Symbol, side: Side) -> u32 {
        let outward = outward(side);
        let worth = i64::from(symbol.worth);
        // A best price that has nothing to do with what the instrument costs is no guide: a market maker's stub, or a
        // walk that has gone far enough.
        let guide =
            |best: Option<u32>| best.map(i64::from).filter(|best| (worth / 2..=2 * worth).contains(best));
        let base = guide(symbol.best(side)).unwrap_or_else(|| match guide(symbol.best(side.opposite())) {
            Some(other) if symbol.best(side).is_none() => other + outward * i64::from(self.gap),
            _ => worth + outward,
        });
        allowed(symbol, side, base + outward * (self.behind + base * self.away / 10_000))
    }
}

/// The price of an order that is moved by at most two ticks, as a roll decides.
#[inline]
pub(super) fn nearby(symbol: &Symbol, side: Side, ticks: u32, roll: u32) -> u32 {
    allowed(symbol, side, i64::from(ticks) + i64::from(of(roll, 5)) - 2)
}

/// Away from the other side.
const fn outward(side: Side) -> i64 {
    match side {
        Side::Buy => -1,
        Side::Sell => 1,
    }
}

/// The nearest price that neither crosses nor leaves no room for the other side.
#[inline]
fn allowed(symbol: &Symbol, side: Side, ticks: i64) -> u32 {
    let other = symbol.best(side.opposite());
    let allowed = match side {
        Side::Buy => ticks.clamp(1, i64::from(other.unwrap_or(MAX_TICKS) - 1)),
        Side::Sell => ticks.clamp(i64::from(other.unwrap_or(1) + 1), i64::from(MAX_TICKS)),
    };
    allowed as u32
}
