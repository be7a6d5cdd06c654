//! The vector that a model takes: what each place means.
//!
//! `b`, `a`: best bid and ask. `B`, `A`: shares there; `Bk`, `Ak`: of the best k levels. `m = (a + b) / 2`: the mid. A level
//! of more than [`MOST_SHARES`](super::MOST_SHARES) counts as so much. Where a feature needs both sides and one is empty, or
//! its divisor is 0, it is 0. Every feature is finite.
//!
//! | name | formula | unit, range | source |
//! |---|---|---|---|
//! | `spread_bps` | `(a − b) / m` | 1/10,000 of the mid; below 0 where crossed | definition |
//! | `spread_cents` | `a − b` | cents | definition |
//! | `microprice_bps` | `(μ − m) / m`, `μ = (b·A + a·B) / (A + B)` | 1/10,000 of the mid; at most half the spread | Gatheral, Oomen 2010 |
//! | `imbalance_k`, k = 1, 3, 5, 10 | `(Bk − Ak) / (Bk + Ak)` | −1 (asks only) … 1 (bids only) | Cao, Hansch, Wang 2009 |
//! | `ofi_ne`, n = 8, 32, 128 | `Σ e / D` over the last n changes of the touch | mean queues at the touch; −2n … 2n | Cont, Kukanov, Stoikov 2014 |
//! | `ofi_t`, t = 134 ms, 1074 ms, 8590 ms | the same over a window of time | mean queues at the touch | the same |
//! | `trade_imbalance_16e` | `(bought − sold) / (bought + sold)`, shares, last 16 trades | −1 … 1 | Chordia, Roll, Subrahmanyam 2002 |
//! | `trade_imbalance_t` | the same over a window of time | −1 … 1 | the same |
//! | `depth_slope_bid`, `_ask` | `S / 2d`, S shares of ten levels, d their mean distance from the mid, at least half a cent | round lots (100) a cent; above 0 | below |
//! | `depth_slope_imbalance` | `(bid − ask) / (bid + ask)` of the two | −1 … 1 | below |
//! | `volatility_t` | `√Σ (Δm)² / m`, over the changes of the mid in the window | 1/10,000 of the mid | realised variance: Andersen, Bollerslev 1998 |
//! | `intensity_t` | events in the window / its length | events a second | definition |
//!
//! *Order flow.* Each change of the touch, from `(b, B, a, A)` to `(b', B', a', A')`, is worth
//! `e = [b' ≥ b] B' − [b' ≤ b] B − [a' ≤ a] A' + [a' ≥ a] A` shares; an empty side has no shares and the worst of all prices.
//! It is divided by `D`, the mean of `(B + A) / 2` after each change in the same window, because the price moves by about
//! `e / 2D` ticks (Cont, Kukanov, Stoikov, The price impact of order book events, 2014).
//!
//! *Trades* are signed by the side that took: the opposite of the displayed order's; against hidden orders by the mid before
//! (Lee and Ready 1991), and at the mid neither. Crosses and what is not printable do not count.
//!
//! *Depth slope.* If depth lay evenly at ρ shares a cent from the mid outward, its mean distance would be half its reach, so
//! `ρ = S / 2d`. That estimates the slope of cumulative depth against price (the order book slope of Næs and Skjeltorp 2006)
//! from two sums that an event changes in one step each, where a fit by least squares would go over all levels.
//!
//! *Volatility* takes moves of more than 52 dollars as so much ([`MOST_MOVE`](super::MOST_MOVE)).
//!
//! What is not in the vector: the place of our own orders ([`queue`](super::queue)). A recorded market has none of ours, so
//! no model could learn what it means.

use super::{CHANGE_WINDOWS, FeatureState, TIME_WINDOWS_NS, TRADE_WINDOW};
use crate::market::Side;

/// Floats of a vector: the features, and zeros up to whole registers.
pub const WIDTH: usize = 32;

/// Names of the features, in their order.
pub const NAMES: [&str; 26] = [
    "spread_bps",
    "spread_cents",
    "microprice_bps",
    "imbalance_1",
    "imbalance_3",
    "imbalance_5",
    "imbalance_10",
    "ofi_8e",
    "ofi_32e",
    "ofi_128e",
    "ofi_134ms",
    "ofi_1074ms",
    "ofi_8590ms",
    "trade_imbalance_16e",
    "trade_imbalance_134ms",
    "trade_imbalance_1074ms",
    "trade_imbalance_8590ms",
    "depth_slope_bid",
    "depth_slope_ask",
    "depth_slope_imbalance",
    "volatility_134ms",
    "volatility_1074ms",
    "volatility_8590ms",
    "intensity_134ms",
    "intensity_1074ms",
    "intensity_8590ms",
];

const _: () = assert!(WIDTH.is_multiple_of(16) && NAMES.len() <= WIDTH);

const IMBALANCE: usize = 3;
const FLOW_CHANGES: usize = 7;
const FLOW_TIME: usize = 10;
const TRADES: usize = 13;
const TRADES_TIME: usize = 14;
const SLOPES: usize = 17;
const VOLATILITY: usize = 20;
const INTENSITY: usize = 23;

/// What a model takes. Places behind the last of [`NAMES`] are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct FeatureVector(pub [f32; WIDTH]);

/// Twice the least mean distance of a side's depth from the mid, in 1/10,000: half a cent, twice.
const LEAST_DISTANCE: i64 = 100;

/// Quotients that are yet to be divided: all of them are at once.
struct Quotients {
    over: [f32; WIDTH],
    /// 0 where the quotient is to be 0.
    under: [f32; WIDTH],
}

impl Quotients {
    #[inline(always)]
    fn set(&mut self, at: usize, over: f32, under: f32) {
        self.over[at] = over;
        self.under[at] = under;
    }

    /// `(a − b) / (a + b)` of what is not below 0.
    #[inline(always)]
    fn balance(&mut self, at: usize, a: i64, b: i64) {
        self.set(at, (a - b) as f32, (a + b) as f32);
    }

    /// Order flow over its mean depth.
    #[inline(always)]
    fn flow(&mut self, at: usize, flow: i64, depth: i64, changes: i64) {
        self.set(at, flow as f32 * (2 * changes) as f32, depth as f32);
    }

    /// In whole registers: a loop without branches and calls.
    #[inline(always)]
    fn divide(&self) -> FeatureVector {
        let mut vector = FeatureVector([0.0; WIDTH]);
        for (at, to) in vector.0.iter_mut().enumerate() {
            let quotient = self.over[at] / self.under[at];
            *to = if self.under[at] == 0.0 { 0.0 } else { quotient };
        }
        vector
    }
}

impl FeatureState {
    /// The features as they are after the latest event. Not inlined: rehearsals run the same code.
    #[inline(never)]
    #[must_use]
    pub fn vector(&self) -> FeatureVector {
        let mut all = Quotients { over: [0.0; WIDTH], under: [0.0; WIDTH] };
        let [bid, ask] = [&self.near[0], &self.near[1]];
        let (bids, asks) = (bid.depths(), ask.depths());
        for level in 0..bids.len() {
            all.balance(IMBALANCE + level, bids[level], asks[level]);
        }
        // 0 where a side is empty, which makes everything 0 that is divided by it.
        let twice_mid = self.mid_now().unwrap_or(0);
        if twice_mid != 0 {
            self.prices(&mut all, twice_mid, bids, asks);
        }

        let now = [self.totals.flow, self.totals.depth];
        for (at, steps) in CHANGE_WINDOWS.iter().enumerate() {
            let ([flow, depth], changes) = self.changes.last(self.changes(), *steps, now);
            all.flow(FLOW_CHANGES + at, flow, depth, changes);
        }
        let ([bought, sold], _) =
            self.trades.last(self.traded, TRADE_WINDOW, [self.totals.bought, self.totals.sold]);
        all.balance(TRADES, bought, sold);
        let under_mid = twice_mid as f32;
        for (at, start) in self.starts().into_iter().enumerate() {
            let within = self.totals.since(start);
            all.flow(FLOW_TIME + at, within.flow, within.depth, within.changes);
            all.balance(TRADES_TIME + at, within.bought, within.sold);
            // Of bid + ask, and so is the mid that it is divided by.
            all.set(VOLATILITY + at, 10_000.0 * (within.variation as f32).sqrt(), under_mid);
            all.set(INTENSITY + at, within.events as f32 * 1e9, TIME_WINDOWS_NS[at] as f32);
        }
        all.divide()
    }

    /// What needs both sides.
    #[inline(always)]
    fn prices(&self, all: &mut Quotients, twice_mid: i64, bids: [i64; 4], asks: [i64; 4]) {
        let [bid, ask] = [&self.near[0], &self.near[1]];
        let [b, .., bid_depth] = bids;
        let [a, .., ask_depth] = asks;
        let low = bid.best_price(Side::Buy).map_or(0, |price| i64::from(price.0));
        let (spread, mid) = ((twice_mid - 2 * low) as f32, twice_mid as f32);
        all.set(0, spread * 20_000.0, mid);
        all.set(1, spread, 100.0);
        // (μ − m) = (a − b)/2 × (B − A)/(B + A).
        all.set(2, spread * (b - a) as f32 * 10_000.0, (b + a) as f32 * mid);

        // Twice the sum of the distances from the mid.
        let least = LEAST_DISTANCE;
        let bid_reach = (twice_mid * bid_depth - 2 * bid.moment()).max(least * bid_depth) as f32;
        let ask_reach = (2 * ask.moment() - twice_mid * ask_depth).max(least * ask_depth) as f32;
        let (bid_square, ask_square) = (square(bid_depth), square(ask_depth));
        all.set(SLOPES, bid_square, bid_reach);
        all.set(SLOPES + 1, ask_square, ask_reach);
        let (x, y) = (bid_square * ask_reach, ask_square * bid_reach);
        all.set(SLOPES + 2, x - y, x + y);
    }
}

#[inline(always)]
fn square(depth: i64) -> f32 {
    let depth = depth as f32;
    depth * depth
}
