//! Chance, the same on every machine: integers, and of floating point only `+ - * /` and the square root, which IEEE 754
//! defines to the last bit. The logarithms of the C library are not.

/// A generator of 64-bit numbers: a counter that steps by an odd number, multiplied with itself and folded (the shape of
/// wyrand, Wang Yi 2019).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[inline]
    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x2d35_8dcc_aa6c_78a5);
        let product = self.0 as u128 * (self.0 ^ 0x8bb8_4b93_962e_acc9) as u128;
        (product >> 64) as u64 ^ product as u64
    }

    /// Two [rolls](Self::roll) for the price of one.
    #[inline]
    pub(super) const fn rolls(&mut self) -> [u32; 2] {
        let bits = self.bits();
        [(bits >> 32) as u32, bits as u32]
    }

    /// 0 ..= `u32::MAX`, each as likely; to be compared with a [`part`].
    #[inline]
    pub(super) const fn roll(&mut self) -> u32 {
        (self.bits() >> 32) as u32
    }

    /// True with the chance that `part` stands for.
    #[inline]
    pub(super) const fn chance(&mut self, part: u32) -> bool {
        self.roll() < part
    }

    /// 0 .. `n`, each as likely.
    #[inline]
    pub(super) const fn below(&mut self, n: u32) -> u32 {
        of(self.roll(), n)
    }
}

/// The threshold for [`Random::chance`] of `percent`, 0 ..= 100.
pub(super) const fn part(percent: f64) -> u32 {
    (percent / 100.0 * 4_294_967_296.0) as u32
}

/// The number below `n` that a roll stands for.
#[inline]
pub(super) const fn of(roll: u32, n: u32) -> u32 {
    ((roll as u64 * n as u64) >> 32) as u32
}

/// The exponential distribution, from a table of its quantiles.
///
/// Between two quantiles it is taken as even. Beyond the last one the distribution begins anew: it has no memory, so the
/// tail is as long as it should be.
#[derive(Debug)]
pub(super) struct Exponential {
    /// `-ln(1 - i / 256)` in units of 2^-24.
    quantiles: [u64; 256],
}

/// A mean for [`Exponential::draw`], in units of 2^-8.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean(u64);

impl Mean {
    pub(super) const fn of(mean: f64) -> Self {
        Self((mean * 256.0) as u64)
    }
}

impl Exponential {
    pub(super) fn new() -> Self {
        let mut quantiles = [0; 256];
        let mut sum = 0.0;
        for (i, quantile) in quantiles.iter_mut().enumerate() {
            *quantile = (sum * 16_777_216.0) as u64;
            // ln((256 - i) / (255 - i)), by the series of the inverse hyperbolic tangent.
            let x = 1.0 / (511.0 - 2.0 * i as f64);
            let (mut power, mut series) = (x, 0.0);
            for n in 0..40 {
                series += power / (2 * n + 1) as f64;
                power *= x * x;
            }
            sum += 2.0 * series;
        }
        Self { quantiles }
    }

    /// A number with that mean, rounded down.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random, mean: Mean) -> u64 {
        let mut sum = 0;
        loop {
            let bits = random.bits();
            let at = (bits >> 56) as usize;
            let low = self.quantiles[at];
            let Some(high) = self.quantiles.get(at + 1) else {
                sum += low;
                continue;
            };
            sum += low + (((high - low) * (bits & 0xffff_ffff)) >> 32);
            return (sum * mean.0) >> 32;
        }
    }
}

/// Draws numbers with given weights in constant time (the alias method, Walker 1977).
#[derive(Debug)]
pub(super) struct Lottery {
    tickets: Vec<Ticket>,
}

#[derive(Clone, Copy, Debug)]
struct Ticket {
    /// Below it the ticket is its own number, else the other.
    own: u32,
    other: u16,
}

impl Lottery {
    /// `weights` has 1 ..= 65,536 elements, none negative, not all of them 0.
    pub(super) fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let mut rest: Vec<f64> = weights.iter().map(|weight| weight / total * weights.len() as f64).collect();
        let mut tickets: Vec<Ticket> =
            (0..weights.len()).map(|at| Ticket { own: u32::MAX, other: at as u16 }).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|at| rest[*at] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
            tickets[poor] = Ticket { own: part(rest[poor] * 100.0), other: rich as u16 };
            rest[rich] -= 1.0 - rest[poor];
            if rest[rich] < 1.0 {
                small.extend(large.pop());
            }
        }
        Self { tickets }
    }

    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> u16 {
        let bits = random.bits();
        let at = (((bits >> 32) * self.tickets.len() as u64) >> 32) as usize;
        let ticket = self.tickets[at];
        if (bits as u32) < ticket.own { at as u16 } else { ticket.other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_has_its_mean_and_its_tail() {
        let (table, mut random) = (Exponential::new(), Random::new(1));
        let draws: Vec<u64> = (0..1_000_000).map(|_| table.draw(&mut random, Mean::of(1000.0))).collect();
        let mean = draws.iter().sum::<u64>() as f64 / 1e6;
        assert!((mean - 1000.0).abs() < 5.0, "{mean}");
        // e^-1, e^-7 of a million.
        for (beyond, expected) in [(1000, 367_879.0), (7000, 911.9)] {
            let count = draws.iter().filter(|draw| **draw >= beyond).count() as f64;
            assert!((count - expected).abs() < 5.0 * f64::sqrt(expected), "{beyond}: {count}");
        }
    }

    #[test]
    fn lottery_draws_by_weight() {
        let weights: Vec<f64> = (0..1000).map(|rank| 1.0 / f64::from(rank + 20)).collect();
        let total: f64 = weights.iter().sum();
        let (lottery, mut random) = (Lottery::new(&weights), Random::new(2));
        let mut drawn = vec![0_u32; weights.len()];
        for _ in 0..4_000_000 {
            drawn[usize::from(lottery.draw(&mut random))] += 1;
        }
        for (weight, drawn) in weights.iter().zip(drawn) {
            let expected = weight / total * 4e6;
            assert!((f64::from(drawn) - expected).abs() < 6.0 * expected.sqrt(), "{expected} {drawn}");
        }
    }
}
