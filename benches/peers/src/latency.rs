//! What one message costs that comes alone: decode and book, nothing known of the next one.
//!
//! The books are brought to their steady state first. Then each message is taken between two fenced reads of the time-stamp
//! counter, so that nothing of it overlaps with anything else. What two such reads cost with nothing between them is
//! measured among them, and its median is taken off every figure.

use std::hint::black_box;

use hdrhistogram::Histogram;
use wirebook::book::{LimitError, Limits};

use crate::clock::{Calibration, start, stop};
use crate::contest::Contestant;
use crate::ours::Ours;
use crate::packets::{BURST, Packed};
use crate::stats::Rounds;

/// Quantiles that are told.
pub const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// An empty measurement comes before every so many messages.
const EVERY: u64 = 16;

/// What came of it.
pub struct Latency {
    /// ns at each of [`QUANTILES`], the clock's own cost taken off, round by round.
    pub quantiles: [Rounds; 3],
    /// The largest of each round, ns.
    pub largest: Rounds,
    /// Median of the clock's own cost, ns, round by round.
    pub clock: Rounds,
    /// All rounds together: quantile and ns, for a plot.
    pub curve: Vec<(f64, f64)>,
    /// The same of the clock by itself, nothing taken off.
    pub clock_curve: Vec<(f64, f64)>,
    /// Messages measured in a round.
    pub messages: u64,
    /// Messages before the first that was measured.
    pub warm: u64,
}

/// Ticks, three significant digits; what is longer than a second counts as one.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(10_000_000_000, 3).unwrap_or_else(|error| panic!("{error}"))
}

/// Measures the messages of `stream` behind the first `warm`, `rounds` times.
///
/// # Errors
/// No memory for books.
pub fn measure(
    stream: &Packed,
    warm: u64,
    rounds: u32,
    mut progress: impl FnMut(&str),
) -> Result<Latency, LimitError> {
    let (packets, total) = stream.packets(u64::MAX);
    let (first, warm) = stream.packets(warm);
    let measured = &packets[first.len()..];
    let room = usize::try_from(total - warm).unwrap_or(0);
    let mut taken: Vec<u32> = Vec::with_capacity(room);
    let mut empty: Vec<u32> = Vec::with_capacity(room / EVERY as usize + 1);
    let (mut all, mut all_empty) = (histogram(), histogram());
    let mut latency = Latency {
        quantiles: Default::default(),
        largest: Rounds::default(),
        clock: Rounds::default(),
        curve: Vec::new(),
        clock_curve: Vec::new(),
        messages: total - warm,
        warm,
    };
    let mut ns_per_tick = 0.0;
    for round in 1..=rounds {
        progress(&format!("round {round} of {rounds}: message by message"));
        let mut ours = Ours::new(Limits::default())?;
        first.chunks(BURST).for_each(|burst| ours.burst(burst));
        taken.clear();
        empty.clear();
        let calibration = Calibration::begin();
        let mut to_empty = 0;
        for block in measured.iter().flat_map(crate::packets::Packet::blocks) {
            if to_empty == 0 {
                to_empty = EVERY;
                let began = start();
                empty.push(ticks(stop() - began));
            }
            to_empty -= 1;
            let began = start();
            black_box(ours.single(black_box(block)));
            taken.push(ticks(stop() - began));
        }
        ns_per_tick = calibration.ns_per_tick();
        let mut alone = histogram();
        empty.iter().for_each(|ticks| alone.saturating_record(u64::from(*ticks)));
        let own = alone.value_at_quantile(0.5);
        let mut round = histogram();
        taken.iter().for_each(|ticks| round.saturating_record(u64::from(*ticks).saturating_sub(own)));
        for (quantile, figures) in QUANTILES.iter().zip(&mut latency.quantiles) {
            figures.push(round.value_at_quantile(*quantile) as f64 * ns_per_tick);
        }
        latency.largest.push(round.max() as f64 * ns_per_tick);
        latency.clock.push(own as f64 * ns_per_tick);
        let _ = all.add(&round);
        let _ = all_empty.add(&alone);
    }
    latency.curve = curve(&all, ns_per_tick);
    latency.clock_curve = curve(&all_empty, ns_per_tick);
    Ok(latency)
}

/// What takes longer than the largest number counts as that.
fn ticks(ticks: u64) -> u32 {
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// From the median to the last millionth: how rare, as one in so many, and ns.
fn curve(of: &Histogram<u64>, ns_per_tick: f64) -> Vec<(f64, f64)> {
    let rarest = (of.len() as f64).min(1e6);
    let steps =
        (0..=120).map(|step| 10_f64.powf(f64::from(step) / 20.0)).take_while(|one_in| *one_in <= rarest);
    steps
        .map(|one_in| {
            let ticks = of.value_at_quantile(1.0 - 1.0 / one_in).max(1);
            (one_in, ticks as f64 * ns_per_tick)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_as_far_as_there_are_figures() {
        let mut figures = histogram();
        (1..=1_000).for_each(|value| figures.saturating_record(value));
        let curve = curve(&figures, 2.0);
        assert_eq!(curve.last().map(|point| point.0.round()), Some(1_000.0));
        let at =
            |one_in: f64| curve.iter().find(|point| (point.0 - one_in).abs() < 1e-6).map(|point| point.1);
        assert_eq!(at(10.0), Some(1_800.0));
        assert!(curve.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    #[test]
    fn long_times_are_not_cut_short() {
        assert_eq!((ticks(5), ticks(1 << 40)), (5, u32::MAX));
    }
}
