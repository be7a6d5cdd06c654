//! What a market is made from, and what is wrong with that.

use std::fmt;

use crate::units::DAY_NS;

/// How often each kind of action is taken, in parts per 10,000. What is left over adds and deletes orders.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Net order imbalance messages (`I`).
    pub imbalances: u32,
    /// Trades against orders that were never displayed (`P`).
    pub hidden_trades: u32,
    /// Trades declared void (`B`).
    pub broken_trades: u32,
    /// Replaced orders (`U`).
    pub replaces: u32,
    /// Incoming orders that trade at once (`E`, and a few `C`).
    pub takes: u32,
    /// Orders made smaller (`X`).
    pub cancels: u32,
    /// What concerns no order: short-sale restrictions (`Y`), market makers (`L`), retail interest (`N`), halts of
    /// sister markets (`h`).
    pub notices: u32,
}

impl Default for Mix {
    /// About the shares of a day in 2019.
    fn default() -> Self {
        Self {
            imbalances: 150,
            hidden_trades: 45,
            broken_trades: 2,
            replaces: 805,
            takes: 200,
            cancels: 104,
            notices: 10,
        }
    }
}

impl Mix {
    /// About the shares of a day in 2026, when more than a quarter of all messages replace orders.
    #[must_use]
    pub fn of_2026() -> Self {
        Self { replaces: 2_770, ..Self::default() }
    }
}

/// What a market is made from.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Instruments, 1 ..= 65,535. Their locate codes are 1, 2, 3, …
    pub symbols: u16,
    /// Names the day: everything random follows from it.
    pub seed: u64,
    /// Messages in a second of virtual time, 1 ..= 100,000,000.
    pub rate: u32,
    /// Virtual time of the first message, ns since midnight.
    pub start: u64,
    /// Orders that the participants together like to have resting, 1 ..= `max_orders`.
    pub live_orders: u32,
    /// The most orders that may rest at once; at the limit participants only delete and outside orders are refused.
    pub max_orders: u32,
    /// Orders per instrument before the opening.
    pub opening_orders: u32,
    /// Messages from one beginning of halts to the next, one to three at once; 0 for no halts, and no breaker.
    pub halt_every: u32,
    /// Messages that a halt lasts, about.
    pub halt_length: u32,
    /// Messages after the opening at which the market-wide breaker trips, once a day; 0 for never.
    pub breaker_after: u32,
    /// Instruments that come to the market by an initial public offering. New ones of all kinds together are at most one in
    /// sixteen of the instruments; what is beyond that is left out, the last kind first.
    pub offerings: u16,
    /// Instruments that come by a direct listing.
    pub listings: u16,
    /// Instruments that the opening says no trading state of.
    pub late: u16,
    /// Messages after the opening at which the first of these is let in; the others follow.
    pub release_after: u32,
    /// New order references that are higher than the one before, per cent, 75 ..= 100: below 100 they come from two
    /// sources that do not know of each other, as on real days.
    pub rising_refs_percent: u8,
    /// Kinds of actions.
    pub mix: Mix,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            symbols: 64,
            seed: 1,
            rate: 200_000,
            start: 34_190_000_000_000,
            live_orders: 20_000,
            max_orders: 8_000_000,
            opening_orders: 4,
            halt_every: 50_000,
            halt_length: 5_000,
            breaker_after: 150_000,
            offerings: 1,
            listings: 1,
            late: 1,
            release_after: 20_000,
            rising_refs_percent: 100,
            mix: Mix::default(),
        }
    }
}

/// Why there can be no such market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No instrument.
    NoSymbols,
    /// A rate of zero, or above one message in 10 ns.
    Rate,
    /// A start at or after midnight.
    Start,
    /// `live_orders`, or the orders before the opening, do not fit under `max_orders`.
    Orders,
    /// A share of rising references below 75 or above 100 per cent.
    Refs,
    /// The mix has more than 10,000 parts.
    Mix,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSymbols => "a market needs at least one symbol",
            Self::Rate => "the rate must lie between 1 and 100,000,000 messages a second",
            Self::Start => "the first message must come before midnight",
            Self::Orders => "the orders asked for do not fit under the limit of resting orders",
            Self::Refs => "order references rise in 75 to 100 per cent of all cases",
            Self::Mix => "the parts of the mix add up to more than 10,000",
        })
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Does it make a market?
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mix = &self.mix;
        let parts = [
            mix.imbalances,
            mix.hidden_trades,
            mix.broken_trades,
            mix.replaces,
            mix.takes,
            mix.cancels,
            mix.notices,
        ];
        let opening = u64::from(self.symbols) * u64::from(self.opening_orders);
        if self.symbols == 0 {
            Err(ConfigError::NoSymbols)
        } else if !(1..=100_000_000).contains(&self.rate) {
            Err(ConfigError::Rate)
        } else if self.start >= DAY_NS {
            Err(ConfigError::Start)
        } else if self.live_orders == 0
            || self.live_orders > self.max_orders
            || opening > u64::from(self.max_orders)
        {
            Err(ConfigError::Orders)
        } else if !(75..=100).contains(&self.rising_refs_percent) {
            Err(ConfigError::Refs)
        } else if parts.iter().map(|part| u64::from(*part)).sum::<u64>() > 10_000 {
            Err(ConfigError::Mix)
        } else {
            Ok(())
        }
    }
}
