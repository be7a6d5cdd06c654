//! Order references as an exchange gives them out: every partition of its instruments takes a block of them and uses
//! some of it, so that references rise over the day and yet not from each order to the next.

use super::random::{Exponential, Mean, Random};

/// References of a block.
const BLOCK: u64 = 256;

/// How references are given out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Partitions that take blocks by turns as they need them; with one, references only rise. 1 ..= 255.
    pub partitions: u8,
    /// Mean of the distance to the next reference within a block: 1 + an exponential of this mean, rounded down.
    pub step: f64,
    /// How high the references are at the end: blocks are skipped, or the steps are made shorter. 0: as it comes.
    pub highest: u64,
}

/// The part of all messages that take a reference, at most: adds and replaces.
const TAKING: f64 = 0.65;

/// See the module.
#[derive(Debug)]
pub(super) struct References {
    /// The latest reference and the end of the block, by partition.
    blocks: Vec<(u64, u64)>,
    step: Mean,
    /// Where the next block begins at the earliest.
    next: u64,
    highest: u64,
    latest: u64,
    /// References given out.
    pub(super) given: u64,
    /// Those among them that were higher than the one before.
    pub(super) rising: u64,
    /// The highest so far.
    pub(super) top: u64,
}

impl References {
    /// For a stream of so many messages.
    pub(super) fn new(spread: &Spread, messages: u64) -> Self {
        // What is rounded down is a half less on the average, and every step is one more.
        let longest = match spread.highest {
            0 => spread.step,
            highest => (highest as f64 / (messages.max(1) as f64 * TAKING) - 0.5).max(0.0),
        };
        Self {
            blocks: vec![(0, 0); usize::from(spread.partitions.max(1))],
            step: Mean::of(spread.step.min(longest)),
            next: 1_000,
            highest: spread.highest,
            latest: 0,
            given: 0,
            rising: 0,
            top: 0,
        }
    }

    /// A reference for an instrument, when `done` of `all` messages were sent.
    pub(super) fn draw(
        &mut self,
        random: &mut Random,
        exponential: &Exponential,
        symbol: u16,
        (done, all): (u64, u64),
    ) -> u64 {
        let partition = usize::from(symbol) % self.blocks.len();
        let (latest, end) = &mut self.blocks[partition];
        *latest += 1 + exponential.draw(random, self.step);
        if *latest >= *end {
            let pace = (u128::from(self.highest) * u128::from(done) / u128::from(all.max(1))) as u64;
            let start = self.next.max(pace);
            // What a step leads beyond the block counts in the next one: with one partition nothing shows of blocks.
            *latest = start + (*latest - *end).min(BLOCK - 1);
            *end = start + BLOCK;
            self.next = *end;
        }
        let reference = *latest;
        self.given += 1;
        self.rising += u64::from(reference > self.latest);
        self.top = self.top.max(reference);
        self.latest = reference;
        reference
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn drawn(spread: Spread, count: u64, messages: u64) -> (References, Vec<u64>) {
        let (mut random, exponential) = (Random::new(4), Exponential::new());
        let mut references = References::new(&spread, messages);
        let all = (0..count)
            .map(|done| {
                let done_of_all = (done * messages / count, messages);
                references.draw(&mut random, &exponential, (done % 7) as u16, done_of_all)
            })
            .collect();
        (references, all)
    }

    #[test]
    fn one_partition_only_rises() {
        let (references, all) = drawn(Spread { partitions: 1, step: 1.6, highest: 0 }, 100_000, 160_000);
        assert!(all.is_sorted_by(|one, next| one < next));
        assert_eq!((references.given, references.rising), (100_000, 100_000));
        assert_eq!(references.top, all[99_999]);
    }

    #[test]
    fn several_partitions_never_repeat_and_keep_the_pace() {
        // Room to skip, and hardly any.
        for highest in [50_000_000, 3_000_000] {
            let spread = Spread { partitions: 4, step: 3.2, highest };
            let (references, all) = drawn(spread, 1_000_000, 1_600_000);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
            assert!((400_000..800_000).contains(&references.rising), "{}", references.rising);
            let reached = references.top as f64 / highest as f64;
            assert!((0.999..1.001).contains(&reached), "{reached}");
        }
    }
}
