//! Seeded random numbers: the same seed gives the same market on every machine.
//!
//! Integer arithmetic throughout (the two tables are built with IEEE multiplication, division and comparison only,
//! which every machine rounds alike), because a byte-for-byte reproducible feed may not depend on a maths library.

/// SplitMix64: 64 bits of state, full period. Good enough for traffic, useless for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Starts the stream that `seed` names.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A second, unrelated stream of the same seed: one for each participant in randomness, so that drawing more
    /// often for one purpose does not shift what another one sees.
    #[must_use]
    pub fn stream(seed: u64, name: u64) -> Self {
        let mut mixer = Self::new(seed ^ name.wrapping_mul(0xA076_1D64_78BD_642F));
        Self::new(mixer.next())
    }

    /// The next 64 random bits.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a random stream is not an iterator that could end")]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0 .. bound`; 0 when `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// True `part` times in `whole`.
    #[inline]
    pub fn chance(&mut self, part: u32, whole: u32) -> bool {
        self.below(whole) < part
    }

    /// An index into a collection of `len` elements; 0 when it is empty.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).unwrap_or(u32::MAX)) as usize
    }
}

/// Numbers with a geometric distribution, from a table of quantiles: cheap, exact to repeat, and with a bounded tail.
#[derive(Clone, Debug)]
pub struct Geometric {
    quantiles: Vec<u16>,
}

impl Geometric {
    const SLOTS: u32 = 4_096;

    /// Numbers `0, 1, 2, …` with about the given mean (the tail beyond the 4,096th quantile is cut).
    #[must_use]
    pub fn new(mean: u16) -> Self {
        let keep = f64::from(mean) / (f64::from(mean) + 1.0);
        let mut quantiles = Vec::with_capacity(Self::SLOTS as usize);
        let (mut value, mut above) = (0u16, keep);
        for slot in 0..Self::SLOTS {
            // The share of draws that must lie above this slot's middle.
            let target = 1.0 - (f64::from(slot) + 0.5) / f64::from(Self::SLOTS);
            while above > target && value < u16::MAX {
                value += 1;
                above *= keep;
            }
            quantiles.push(value);
        }
        Self { quantiles }
    }

    /// Draws one.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> u32 {
        self.quantiles.get(rng.below(Self::SLOTS) as usize).copied().map_or(0, u32::from)
    }
}

/// Weighted choice in constant time (Walker's alias method, with Vose's way of building the table).
#[derive(Clone, Debug)]
pub struct Weighted {
    /// For each column: keep it if a draw of 32 bits is below the first number, else take the second.
    columns: Vec<(u32, u32)>,
}

impl Weighted {
    /// Chooses index `i` with a probability proportional to `weights[i]`. All weights must be above zero.
    #[must_use]
    pub fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let count = weights.len() as f64;
        let mut scaled: Vec<f64> = weights.iter().map(|weight| weight * count / total).collect();
        let mut columns: Vec<(u32, u32)> =
            (0..weights.len()).map(|index| (u32::MAX, u32::try_from(index).unwrap_or(0))).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|index| scaled[*index] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
            columns[poor] = ((scaled[poor] * f64::from(u32::MAX)) as u32, u32::try_from(rich).unwrap_or(0));
            scaled[rich] -= 1.0 - scaled[poor];
            if scaled[rich] < 1.0 { small.push(rich) } else { large.push(rich) }
        }
        Self { columns }
    }

    /// Draws an index; 0 when there is nothing to choose from.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> usize {
        let column = rng.index(self.columns.len());
        let (keep, alias) = self.columns.get(column).copied().unwrap_or((u32::MAX, 0));
        if (rng.next() >> 32) as u32 <= keep { column } else { alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers_and_streams_differ() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert!((0..1_000).all(|_| a.next() == b.next()));
        assert_ne!(Rng::stream(7, 1).next(), Rng::stream(7, 2).next());
    }

    #[test]
    fn first_numbers_are_those_of_the_published_generator() {
        // Reference output of SplitMix64 for seed 1234567, as printed by several unrelated implementations.
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn below_stays_below_and_covers() {
        let mut rng = Rng::new(3);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn geometric_mean_is_about_right() {
        let mut rng = Rng::new(5);
        for mean in [1u16, 3, 30] {
            let draws = Geometric::new(mean);
            let sum: u64 = (0..100_000).map(|_| u64::from(draws.draw(&mut rng))).sum();
            let got = sum as f64 / 100_000.0;
            assert!((got - f64::from(mean)).abs() < f64::from(mean) * 0.05, "mean {mean}: {got}");
        }
    }

    #[test]
    fn weighted_follows_the_weights() {
        let weights = [1.0, 2.0, 3.0, 4.0];
        let choice = Weighted::new(&weights);
        let (mut rng, mut seen) = (Rng::new(11), [0u32; 4]);
        for _ in 0..100_000 {
            seen[choice.draw(&mut rng)] += 1;
        }
        for (index, count) in seen.iter().enumerate() {
            let expected = weights[index] * 10_000.0;
            assert!((f64::from(*count) - expected).abs() < expected * 0.05, "{index}: {count}");
        }
    }
}
