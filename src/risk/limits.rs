//! The limits, and their own limits.

use std::ops::Range;

use super::rate::{Bucket, Rate};
use crate::market::Symbol;

/// Most shares of one order or of one chain of replacements: OUCH 5.0 takes fewer than 1,000,000.
pub const MOST_SHARES: u32 = 999_999;

/// Highest limit price, 199,999.9900: OUCH 5.0 takes anything from 200,000.0000 for a market order.
pub const HIGHEST_PRICE: u32 = 1_999_999_900;

/// Largest table that a limit may ask for, entries.
const MOST_ENTRIES: u64 = 1 << 20;

/// What may leave. Every number is a ceiling, and the default of each is zero: nothing leaves.
#[derive(Clone, Debug, Default)]
pub struct RiskLimits {
    /// Shares of one order, `0 ..= 999_999`.
    pub max_order_shares: u32,
    /// Shares × limit price of one order, in 1/10,000.
    pub max_order_value: u64,
    /// How far a price may lie below the best bid or above the best ask, in basis points of that touch: so neither far
    /// through the market nor far behind it. Where one side is empty the other serves for both, where both are the
    /// reference price. `0 ..= 10_000`.
    pub collar_bps: u32,
    /// How far a price may lie from the reference price, either way, in basis points; `None` = the reference is not
    /// used. With it, an instrument without a reference price is refused.
    pub reference_collar_bps: Option<u32>,
    /// Largest long position of an instrument, open buy orders included, shares.
    pub max_long_shares: u64,
    /// Largest short position of an instrument, open sell orders included, shares.
    pub max_short_shares: u64,
    /// Open orders at their limit prices + positions at their latest execution prices, all instruments, in 1/10,000. An
    /// order that can only close what we hold passes beyond it.
    pub max_gross_value: u64,
    /// Open orders, `0 ..= 1_048_576`.
    pub max_open_orders: u32,
    /// Messages on the port; cancels use it up and are never refused by it.
    pub port_rate: Rate,
    /// Messages in one instrument, likewise.
    pub symbol_rate: Rate,
    /// A new order with the instrument, side, price and shares of one cleared less than this ago is refused, ns. 0 = off.
    pub repeat_window_ns: u64,
    /// Symbols in which nothing but cancels may leave.
    pub restricted: Vec<Symbol>,
    /// Exchange time in which new orders and replacements may leave, ns since midnight, by the stamp of the market that was
    /// looked at; `None` = at any.
    pub hours: Option<Range<u64>>,
    /// Executions remembered for broken trades, `1 ..= 1_048_576`.
    pub fills_remembered: u32,
}

/// What is wrong with a set of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// `locates` outside `1 ..= 65_536`.
    #[error("locates must lie in 1 ..= 65536")]
    Locates,
    /// `max_order_shares` above [`MOST_SHARES`].
    #[error("max_order_shares must not be above 999999, the most that OUCH 5.0 takes")]
    OrderShares,
    /// A collar above 10,000 basis points.
    #[error("a collar must not be above 10000 basis points")]
    Collar,
    /// `max_open_orders` above 1,048,576.
    #[error("max_open_orders must not be above 1048576")]
    OpenOrders,
    /// `fills_remembered` outside `1 ..= 1_048_576`.
    #[error("fills_remembered must lie in 1 ..= 1048576")]
    Fills,
    /// A rate above 10,000,000 a second.
    #[error("a rate must not be above 10000000 a second")]
    Rate,
    /// More orders could leave within `repeat_window_ns` than can be remembered.
    #[error("repeat_window_ns is too long for port_rate: more than 1048576 orders could leave within it")]
    RepeatWindow,
}

impl RiskLimits {
    /// Checks the ranges; returns how many orders the repeat check must remember.
    pub(super) fn check(&self, locates: u32) -> Result<usize, LimitsError> {
        if !(1..=65_536).contains(&locates) {
            return Err(LimitsError::Locates);
        }
        if self.max_order_shares > MOST_SHARES {
            return Err(LimitsError::OrderShares);
        }
        if self.collar_bps > 10_000 || self.reference_collar_bps.is_some_and(|bps| bps > 10_000) {
            return Err(LimitsError::Collar);
        }
        if u64::from(self.max_open_orders) > MOST_ENTRIES {
            return Err(LimitsError::OpenOrders);
        }
        if !(1..=MOST_ENTRIES).contains(&u64::from(self.fills_remembered)) {
            return Err(LimitsError::Fills);
        }
        if [self.port_rate, self.symbol_rate].iter().any(|rate| rate.per_second > 10_000_000) {
            return Err(LimitsError::Rate);
        }
        if self.repeat_window_ns == 0 {
            return Ok(1);
        }
        let most = Bucket::new(self.port_rate).most_within(self.repeat_window_ns);
        if most > MOST_ENTRIES {
            return Err(LimitsError::RepeatWindow);
        }
        usize::try_from(most.max(1)).map_err(|_| LimitsError::RepeatWindow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let good = RiskLimits { fills_remembered: 1, ..RiskLimits::default() };
        let wrong = |change: fn(&mut RiskLimits)| {
            let mut limits = good.clone();
            change(&mut limits);
            limits.check(1).err()
        };
        assert_eq!(wrong(|_| {}), None);
        assert_eq!(good.check(0), Err(LimitsError::Locates));
        assert_eq!(good.check(65_537), Err(LimitsError::Locates));
        assert_eq!(wrong(|l| l.max_order_shares = 1_000_000), Some(LimitsError::OrderShares));
        assert_eq!(wrong(|l| l.collar_bps = 10_001), Some(LimitsError::Collar));
        assert_eq!(wrong(|l| l.reference_collar_bps = Some(10_001)), Some(LimitsError::Collar));
        assert_eq!(wrong(|l| l.max_open_orders = 1_048_577), Some(LimitsError::OpenOrders));
        assert_eq!(wrong(|l| l.fills_remembered = 0), Some(LimitsError::Fills));
        assert_eq!(
            wrong(|l| l.symbol_rate = Rate { per_second: 10_000_001, burst: 1 }),
            Some(LimitsError::Rate)
        );
        let window = |l: &mut RiskLimits| {
            l.port_rate = Rate { per_second: 1_000_000, burst: 1 };
            l.repeat_window_ns = 2_000_000_000;
        };
        assert_eq!(wrong(window), Some(LimitsError::RepeatWindow));
    }
}
