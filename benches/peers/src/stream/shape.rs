//! What a stream looks like.

use super::references::Spread;

/// What a [`Stream`](super::Stream) looks like. The same shape gives the same bytes, on every machine.
///
/// Percentages are of messages unless said otherwise. Beside those given here, every stream has 2.1 % executions (some
/// of them with a price), 1 % partial cancellations, 1.5 % imbalances and 0.5 % trades; the rest adds and deletes orders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Messages in all, the directory among them.
    pub messages: u64,
    /// Instruments; their locates are 1 ..= `symbols`. At least 1.
    pub symbols: u16,
    /// Of everything that is left to chance.
    pub seed: u64,
    /// Live orders that the stream climbs to; where it stays is a few percent below.
    pub live: u32,
    /// Replaces, percent.
    pub replaces: f64,
    /// How order references are given out.
    pub references: Spread,
    /// While the climb lasts: percent of additional adds, over the instruments as their orders will be. With 0 each
    /// instrument climbs as fast as its own activity lets it.
    pub opening: f64,
    /// Percent of those orders that are taken for deletion, cancellation or replacement by their instrument, which are
    /// any order of it, however old. The others are among its latest.
    pub old: f64,
    /// How far behind the latest add an order is that a deletion or replacement takes for being young (42 and 35 % of
    /// them), in adds, on the average.
    pub young: f64,
    /// Where adds join.
    pub depth: Depth,
    /// One instrument that is far larger than the others.
    pub giant: Option<Giant>,
    /// Time from the first message to the last, s; below 72,000.
    pub seconds: u32,
}

/// Where on its side an add joins, percent of adds. What is left to 100 is far away: 1.25 % from 2 to 42 % of the price
/// behind the best, the rest at the lowest or highest price there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Depth {
    /// At the best price.
    pub join: f64,
    /// One tick better, if that does not cross.
    pub improve: f64,
    /// 1 + an exponential of mean 3 ticks behind the best.
    pub near: f64,
    /// 1 + an exponential of mean `far_ticks` behind it.
    pub far: f64,
    /// See `far`.
    pub far_ticks: f64,
}

/// An instrument that is far larger than the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Giant {
    /// Its part of `Shape::live`.
    pub live: u32,
    /// Messages about it, percent.
    pub activity: f64,
    /// Where its adds join.
    pub depth: Depth,
}

/// A US equities day as of 2019.
const USUAL: Depth = Depth { join: 34.0, improve: 6.0, near: 52.0, far: 6.5, far_ticks: 30.0 };

impl Shape {
    /// Like a day of 2019: 8,906 symbols, a peak of 1.4 million live orders, references that rise.
    pub const SYN20M: Self = Self {
        messages: 20_000_000,
        symbols: 8_906,
        seed: 1,
        live: 1_500_000,
        replaces: 8.05,
        references: Spread { partitions: 1, step: 1.6, highest: 0 },
        opening: 0.0,
        old: 20.0,
        young: 1_500.0,
        depth: USUAL,
        giant: None,
        seconds: 43,
    };

    /// Like the beginning of a day of 2026: 12,809 symbols, a peak of 4.2 million live orders, 28 % replaces, three of
    /// four references higher than the one before.
    pub const SYN40M: Self = Self {
        messages: 40_000_000,
        symbols: 12_809,
        seed: 7,
        live: 5_000_000,
        replaces: 27.7,
        references: Spread { partitions: 2, ..Self::SYN20M.references },
        seconds: 86,
        ..Self::SYN20M
    };

    /// Like a whole day of 2026, in fewer messages: 7 million live orders, 2.3 million of them in one symbol, with
    /// 15,000 levels on each side; 1.8 million levels. Orders of the morning that are there in the evening, beside orders
    /// that live for microseconds. References up to 2.4 billion: of a block 27 % are used, and blocks are skipped.
    ///
    /// `Shape { messages: 1_300_000_000, ..Shape::DAY }` is as long as such a day is; then hardly any block is skipped,
    /// and 34 % of them are used.
    pub const DAY: Self = Self {
        messages: 300_000_000,
        symbols: 12_809,
        seed: 2026,
        live: 7_150_000,
        replaces: 27.7,
        references: Spread { partitions: 4, step: 3.2, highest: 2_400_000_000 },
        opening: 5.0,
        old: 4.0,
        young: 300.0,
        depth: Depth { join: 30.0, improve: 6.0, near: 38.0, far: 24.5, far_ticks: 275.0 },
        giant: Some(Giant {
            live: 2_200_000,
            activity: 5.0,
            depth: Depth { join: 25.0, improve: 5.0, near: 20.0, far: 49.0, far_ticks: 2_150.0 },
        }),
        seconds: 57_600,
    };

    /// Climbs to `live` orders, 2 % more or less, in the first 1.2 messages for each of them
    /// ([`Stream::climbed`](super::Stream::climbed) tells), and stays there for about ten million: what a message costs
    /// where so many orders are live.
    #[must_use]
    pub const fn live_of(live: u32) -> Self {
        Self {
            messages: 10_000_000 + live as u64 * 13 / 10,
            live: live + live / 28,
            opening: 80.0,
            seconds: 3_600,
            ..Self::SYN20M
        }
    }
}
