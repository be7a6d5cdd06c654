//! Is a price near the market? Integers only.

use super::limits::RiskLimits;
use super::refusal::Refusal;
use crate::market::{Price, TopOfBook};

const BPS: u64 = 10_000;

/// `price <= anchor × (1 + bps/10,000)`.
const fn at_most(price: Price, anchor: Price, bps: u32) -> bool {
    price.0 as u64 * BPS <= anchor.0 as u64 * (BPS + bps as u64)
}

/// `price >= anchor × (1 − bps/10,000)`; `bps` is at most 10,000.
const fn at_least(price: Price, anchor: Price, bps: u32) -> bool {
    price.0 as u64 * BPS >= anchor.0 as u64 * BPS.saturating_sub(bps as u64)
}

/// See [`RiskLimits::collar_bps`] and [`RiskLimits::reference_collar_bps`].
pub(super) fn check(
    limits: &RiskLimits,
    price: Price,
    top: &TopOfBook,
    reference: Option<Price>,
) -> Result<(), Refusal> {
    let inside = |low, high, bps| at_least(price, low, bps) && at_most(price, high, bps);
    if let Some(bps) = limits.reference_collar_bps {
        let reference = reference.ok_or(Refusal::NoReference)?;
        if !inside(reference, reference, bps) {
            return Err(Refusal::Collar);
        }
    }
    let (bid, ask) = (top.bid.map(|level| level.price), top.ask.map(|level| level.price));
    // An empty book has only the reference price to go by.
    let low = bid.or(ask).or(reference).ok_or(Refusal::NoReference)?;
    let high = ask.or(bid).or(reference).ok_or(Refusal::NoReference)?;
    if inside(low, high, limits.collar_bps) { Ok(()) } else { Err(Refusal::Collar) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Level;

    fn top(bid: u32, ask: u32) -> TopOfBook {
        let level = |price| (price > 0).then_some(Level { price: Price(price), shares: 1, orders: 1 });
        TopOfBook { bid: level(bid), ask: level(ask) }
    }

    /// Lowest and highest price that passes, found by trying all.
    fn band(bps: u32, reference_bps: Option<u32>, top: TopOfBook, at: u32) -> Option<(u32, u32)> {
        let limits =
            RiskLimits { collar_bps: bps, reference_collar_bps: reference_bps, ..RiskLimits::default() };
        let reference = (at > 0).then_some(Price(at));
        let passes: Vec<u32> =
            (0..3_000).filter(|p| check(&limits, Price(*p), &top, reference).is_ok()).collect();
        let (low, high) = (*passes.first()?, *passes.last()?);
        assert_eq!(passes.len() as u32, high - low + 1, "one unbroken band");
        Some((low, high))
    }

    #[test]
    fn bands_are_exact() {
        // 10 % around 1000 / 1100.
        assert_eq!(band(1_000, None, top(1_000, 1_100), 0), Some((900, 1_210)));
        assert_eq!(band(0, None, top(1_000, 1_100), 0), Some((1_000, 1_100)));
        // One side missing: the other serves for both.
        assert_eq!(band(1_000, None, top(1_000, 0), 0), Some((900, 1_100)));
        assert_eq!(band(1_000, None, top(0, 1_100), 0), Some((990, 1_210)));
        // Nothing but the reference, and nothing at all.
        assert_eq!(band(1_000, None, top(0, 0), 500), Some((450, 550)));
        assert_eq!(band(10_000, None, top(0, 0), 0), None);
        // The reference narrows, and its absence refuses.
        assert_eq!(band(1_000, Some(500), top(1_000, 1_100), 1_000), Some((950, 1_050)));
        assert_eq!(band(1_000, Some(500), top(1_000, 1_100), 0), None);
        // The limits of the type.
        assert!(
            at_most(Price(u32::MAX), Price(u32::MAX), 10_000) && at_least(Price(0), Price(u32::MAX), 10_000)
        );
    }
}
