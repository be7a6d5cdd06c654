//! Where an order joins.

use super::random::{Exponential, Mean, Random, part};
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

    /// The price of a new order, ticks.
    #[inline]
    pub(super) fn draw(
        &self,
        random: &mut Random,
        exponential: &Exponential,
        symbol: &Symbol,
        side: Side,
    ) -> u32 {
        let outward = outward(side);
        let worth = i64::from(symbol.worth);
        let base = match (symbol.best(side), symbol.best(side.opposite())) {
            // A best price that has nothing to do with what the instrument costs is no guide: a market maker's stub,
            // or a walk that has gone far enough.
            (Some(own), _) if (worth / 2..=2 * worth).contains(&i64::from(own)) => i64::from(own),
            (None, Some(other)) if (worth / 2..=2 * worth).contains(&i64::from(other)) => {
                i64::from(other) + outward * (1 + i64::from(random.below(4)))
            }
            _ => worth + outward,
        };
        let behind = |ticks: u64| base + outward * (1 + ticks as i64);
        let roll = random.roll();
        let ticks = if roll < self.join {
            base
        } else if roll < self.improve {
            base - outward
        } else if roll < self.near {
            behind(exponential.draw(random, NEAR_TICKS))
        } else if roll < self.far {
            behind(exponential.draw(random, self.far_ticks))
        } else if roll < self.away {
            base + outward * (base * (200 + i64::from(random.below(4_000))) / 10_000)
        } else {
            match side {
                Side::Buy => 1,
                Side::Sell => i64::from(MAX_TICKS),
            }
        };
        allowed(symbol, side, ticks)
    }

    /// The price of an order that is moved by at most two ticks.
    #[inline]
    pub(super) fn nearby(random: &mut Random, symbol: &Symbol, side: Side, ticks: u32) -> u32 {
        allowed(symbol, side, i64::from(ticks) + i64::from(random.below(5)) - 2)
    }
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
