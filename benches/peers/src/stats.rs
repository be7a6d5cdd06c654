//! Small sets of figures.

/// Figures of one thing, one for each round.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Adds the figure of a round.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Were there any?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest; NaN without any.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The one in the middle, the lower of two; NaN without any.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
    }

    /// Round by round, this divided by `other`.
    #[must_use]
    pub fn ratios(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_median_and_ratios() {
        let rounds: Rounds = [3.0, 1.0, 2.0, 9.0].into_iter().collect();
        assert_eq!((rounds.min(), rounds.median()), (1.0, 2.0));
        let other: Rounds = [1.0, 1.0, 4.0, 3.0].into_iter().collect();
        assert_eq!(rounds.ratios(&other).0, [3.0, 1.0, 0.5, 3.0]);
        assert!(Rounds::default().min().is_nan() && Rounds::default().median().is_nan());
    }
}
