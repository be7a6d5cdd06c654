//! How long each stage of the loop takes: stamped on the hot side, counted on the control side.
//!
//! The loop fills one [`StageSample`] for each message with the TSC at the end of every stage that it
//! went through, and pushes it into a bounded single-producer ring. The control thread drains the ring into one
//! histogram a stage. The loop never waits: a full ring costs the sample and is counted ([`StageRecorder::dropped`]).
//!
//! ```text
//!  rx ─wait▶ Begun ─decode▶ Decoded ─book▶ Booked ─strategy▶ Decided ─risk▶ Checked ─tx▶ Sent
//!  └──────────────────────────────────── rx→tx ─────────────────────────────────────────────┘
//! ```
//!
//! A stage lasts from the last stamp before it to its own. A packet that ends early (no order, or a refused one) leaves
//! the later stamps unset and counts only in the stages that it reached. `rx` is the moment the caller says it is:
//! the loop uses the TSC right after the poll that returned the frame, so the time on the NIC and in its ring is *not*
//! included. A message late in a packet or burst waits behind the earlier ones: that is a stage of its own, so that the others
//! show what the work costs. Each stage includes one TSC read, whose
//! cost [`StageHistograms::read_cost_ns`] states.

use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};

use super::clock::Clock;

/// The end of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stamp {
    /// The message's turn has come: what was received before it is done.
    Begun = 0,
    /// Its headers and sequence are checked, and it is decoded.
    Decoded = 1,
    /// The book holds what it said.
    Booked = 2,
    /// The strategy has said what it wants.
    Decided = 3,
    /// Risk has cleared or refused it.
    Checked = 4,
    /// `send` has returned: the NIC's doorbell was rung.
    Sent = 5,
}

const STAMPS: usize = 6;

/// A stamp that was not reached.
const UNSET: u32 = u32::MAX;

/// The stamps of one pass through the loop. 32 bytes, two to a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSample {
    /// TSC at reception.
    rx: u64,
    /// Ticks since `rx`; saturated (about a second and a half at 3 GHz).
    since: [u32; STAMPS],
}

impl StageSample {
    /// A pass that began at `rx_tsc` and has reached no stage yet.
    #[inline]
    #[must_use]
    pub const fn new(rx_tsc: u64) -> Self {
        Self { rx: rx_tsc, since: [UNSET; STAMPS] }
    }

    /// Notes that a stage ended at `tsc`. A stamp set twice keeps the later call's time. A time before `rx` counts as
    /// `rx`.
    #[inline]
    pub fn mark(&mut self, stamp: Stamp, tsc: u64) {
        let ticks = tsc.saturating_sub(self.rx);
        if let Some(since) = self.since.get_mut(stamp as usize) {
            *since = u32::try_from(ticks).unwrap_or(UNSET).min(UNSET - 1);
        }
    }

    /// TSC at reception.
    #[must_use]
    pub const fn rx(&self) -> u64 {
        self.rx
    }

    /// Ticks from reception to `stamp`; `None` if it was not reached.
    #[must_use]
    pub fn since_rx(&self, stamp: Stamp) -> Option<u32> {
        self.since.get(stamp as usize).copied().filter(|since| *since != UNSET)
    }
}

/// A recorder and the histograms that it feeds, over a ring of `capacity` samples of 32 bytes each.
///
/// A ring much larger than the samples of one drain interval costs the loop cache for nothing: its producer walks
/// through all of it.
#[must_use]
pub fn stages(capacity: usize, clock: Clock) -> (StageRecorder, StageHistograms) {
    let (recorder, ring) = recorder(capacity);
    (recorder, StageHistograms::new(vec![ring], clock))
}

/// The same for several loops that feed the same histograms: `count` recorders with a ring each.
#[must_use]
pub fn stages_of(count: usize, capacity: usize, clock: Clock) -> (Vec<StageRecorder>, StageHistograms) {
    let (recorders, rings) = (0..count).map(|_| recorder(capacity)).unzip();
    (recorders, StageHistograms::new(rings, clock))
}

fn recorder(capacity: usize) -> (StageRecorder, Consumer<StageSample>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (StageRecorder { ring: producer, dropped: 0 }, consumer)
}

/// The hot side: pushes samples and never waits. Belongs to one lcore.
#[derive(Debug)]
pub struct StageRecorder {
    ring: Producer<StageSample>,
    dropped: u64,
}

impl StageRecorder {
    /// Hands one sample over, or counts it as dropped if the ring is full.
    #[inline]
    pub fn record(&mut self, sample: StageSample) {
        if self.ring.push(sample).is_err() {
            self.dropped += 1;
        }
    }

    /// Samples lost to a full ring: latencies of passes that are missing from the histograms.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// What is measured: the six stages and the whole way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Reception to begun.
    Wait = 0,
    /// Begun to decoded.
    Decode = 1,
    /// Decoded to booked.
    Book = 2,
    /// Booked to decided.
    Strategy = 3,
    /// Decided to checked.
    Risk = 4,
    /// Checked to sent.
    Tx = 5,
    /// Reception to sent, for messages that sent something.
    RxToTx = 6,
}

impl Stage {
    /// All of them, in the order of the loop.
    pub const ALL: [Self; 7] =
        [Self::Wait, Self::Decode, Self::Book, Self::Strategy, Self::Risk, Self::Tx, Self::RxToTx];

    /// The name as tables print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Decode => "decode",
            Self::Book => "book",
            Self::Strategy => "strategy",
            Self::Risk => "risk",
            Self::Tx => "tx",
            Self::RxToTx => "rx_to_tx",
        }
    }
}

/// Latencies of one stage, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageRow {
    /// Name of the stage.
    pub name: &'static str,
    /// Samples in the row. 0: all else is 0 and means nothing.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90 % took at most this long.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// 99.99 %; no more than the maximum where there are fewer than 10,000 samples.
    pub p9999: u64,
    /// The longest, exact up to the histogram's three digits.
    pub max: u64,
}

impl StageRow {
    /// Heads of the columns that [`StageRow::cells`] fills.
    pub const HEADS: [&'static str; 8] = ["stage", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

    /// The row as text, one cell a column, numbers in ns.
    #[must_use]
    pub fn cells(&self) -> [String; 8] {
        let Self { name, count, p50, p90, p99, p999, p9999, max } = *self;
        let numbers = [p50, p90, p99, p999, p9999, max]
            .map(|ns| if count == 0 { String::from("-") } else { ns.to_string() });
        let [p50, p90, p99, p999, p9999, max] = numbers;
        [name.to_owned(), count.to_string(), p50, p90, p99, p999, p9999, max]
    }
}

/// The control side: drains the ring and keeps one histogram a stage.
#[derive(Debug)]
pub struct StageHistograms {
    rings: Vec<Consumer<StageSample>>,
    clock: Clock,
    /// In the order of [`Stage::ALL`], in ns.
    histograms: [Histogram<u64>; 7],
}

impl StageHistograms {
    /// Longest latency told apart from longer ones, in ns.
    const LONGEST: u64 = 10_000_000_000;
    /// Significant decimal digits kept.
    const DIGITS: u8 = 3;

    fn new(rings: Vec<Consumer<StageSample>>, clock: Clock) -> Self {
        Self { rings, clock, histograms: std::array::from_fn(|_| Self::empty()) }
    }

    #[expect(clippy::expect_used, reason = "constant arguments, proved valid by every test of this module")]
    fn empty() -> Histogram<u64> {
        Histogram::new_with_bounds(1, Self::LONGEST, Self::DIGITS).expect("bounds and digits are valid")
    }

    /// Moves what the rings hold now into the histograms and returns how many samples that were. Bounded: samples that
    /// arrive meanwhile wait for the next call.
    pub fn drain(&mut self) -> usize {
        let mut drained = 0;
        for at in 0..self.rings.len() {
            let waiting = self.rings.get(at).map_or(0, Consumer::slots);
            for _ in 0..waiting {
                let Some(Ok(sample)) = self.rings.get_mut(at).map(Consumer::pop) else { break };
                self.add(&sample);
            }
            drained += waiting;
        }
        drained
    }

    /// Counts one sample without the ring: for replays and tests.
    pub fn add(&mut self, sample: &StageSample) {
        const STAMPED: [(Stage, Stamp); STAMPS] = [
            (Stage::Wait, Stamp::Begun),
            (Stage::Decode, Stamp::Decoded),
            (Stage::Book, Stamp::Booked),
            (Stage::Strategy, Stamp::Decided),
            (Stage::Risk, Stamp::Checked),
            (Stage::Tx, Stamp::Sent),
        ];
        let mut before = 0;
        for (stage, stamp) in STAMPED {
            let Some(since) = sample.since_rx(stamp) else { continue };
            self.count(stage, u64::from(since.saturating_sub(before)));
            before = since;
        }
        if let Some(since) = sample.since_rx(Stamp::Sent) {
            self.count(Stage::RxToTx, u64::from(since));
        }
    }

    fn count(&mut self, stage: Stage, ticks: u64) {
        let ns = self.clock.ns(ticks);
        if let Some(histogram) = self.histograms.get_mut(stage as usize) {
            histogram.saturating_record(ns);
        }
    }

    /// The row of one stage.
    #[must_use]
    pub fn row(&self, stage: Stage) -> StageRow {
        let name = stage.name();
        let Some(histogram) = self.histograms.get(stage as usize).filter(|histogram| !histogram.is_empty())
        else {
            return StageRow { name, ..StageRow::default() };
        };
        // A quantile is the upper end of its bucket, which may lie beyond the longest sample.
        let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        StageRow {
            name,
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }

    /// The whole table, in the order of the loop.
    #[must_use]
    pub fn rows(&self) -> [StageRow; 7] {
        Stage::ALL.map(|stage| self.row(stage))
    }

    /// What one TSC read adds to each stage on this machine, in ns; 0 where the clock was not measured.
    #[must_use]
    pub fn read_cost_ns(&self) -> u64 {
        self.clock.ns(self.clock.read_cost())
    }

    /// Forgets all samples counted so far: a new window begins.
    pub fn reset(&mut self) {
        self.histograms.iter_mut().for_each(Histogram::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tick is one ns.
    fn gigahertz() -> Clock {
        Clock::from_hz(1_000_000_000).unwrap()
    }

    fn sample(rx: u64, stamps: &[(Stamp, u64)]) -> StageSample {
        let mut sample = StageSample::new(rx);
        for (stamp, tsc) in stamps {
            sample.mark(*stamp, *tsc);
        }
        sample
    }

    #[test]
    fn a_sample_is_half_a_cache_line() {
        assert_eq!(size_of::<StageSample>(), 32);
    }

    #[test]
    fn each_stage_counts_its_own_part() {
        let (mut recorder, mut histograms) = stages(4, gigahertz());
        recorder.record(sample(
            1_000,
            &[
                (Stamp::Begun, 1_004),
                (Stamp::Decoded, 1_010),
                (Stamp::Booked, 1_030),
                (Stamp::Decided, 1_060),
                (Stamp::Checked, 1_100),
                (Stamp::Sent, 1_150),
            ],
        ));
        assert_eq!(histograms.drain(), 1);
        let max = histograms.rows().map(|row| (row.name, row.count, row.max));
        let parts = [
            ("wait", 4),
            ("decode", 6),
            ("book", 20),
            ("strategy", 30),
            ("risk", 40),
            ("tx", 50),
            ("rx_to_tx", 150),
        ];
        assert_eq!(max, parts.map(|(name, ns)| (name, 1, ns)));
    }

    #[test]
    fn a_pass_that_ends_early_counts_where_it_came() {
        let (_, mut histograms) = stages(1, gigahertz());
        histograms.add(&sample(0, &[(Stamp::Decoded, 5), (Stamp::Decided, 25)]));
        assert_eq!(histograms.rows().map(|row| row.count), [0, 1, 0, 1, 0, 0, 0]);
        // The stage that was skipped is part of the next one, not lost.
        assert_eq!(histograms.row(Stage::Strategy).max, 20);
        assert_eq!(histograms.row(Stage::Tx).cells(), ["tx", "0", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn odd_times_saturate() {
        let back = sample(100, &[(Stamp::Decoded, 40)]);
        assert_eq!(back.since_rx(Stamp::Decoded), Some(0));
        let late = sample(0, &[(Stamp::Sent, u64::MAX)]);
        assert_eq!(late.since_rx(Stamp::Sent), Some(u32::MAX - 1));
        assert_eq!(late.since_rx(Stamp::Checked), None);
        let (_, mut histograms) = stages(1, gigahertz());
        // Stamps out of order: the second stage took no time rather than a huge one.
        histograms.add(&sample(0, &[(Stamp::Decoded, 50), (Stamp::Booked, 30)]));
        assert_eq!(histograms.row(Stage::Book).max, 0);
    }

    #[test]
    fn a_full_ring_drops_and_counts() {
        let (mut recorder, mut histograms) = stages(2, gigahertz());
        for rx in 0..5 {
            recorder.record(sample(rx, &[(Stamp::Decoded, rx + 1)]));
        }
        assert_eq!(recorder.dropped(), 3);
        assert_eq!((histograms.drain(), histograms.drain()), (2, 0));
        recorder.record(StageSample::new(9));
        assert_eq!((recorder.dropped(), histograms.drain()), (3, 1));
    }

    #[test]
    fn quantiles_match_the_samples_to_three_digits() {
        let (_, mut histograms) = stages(1, gigahertz());
        for ns in 1..=10_000 {
            histograms.add(&sample(0, &[(Stamp::Decoded, ns)]));
        }
        let row = histograms.row(Stage::Decode);
        assert_eq!((row.count, row.name), (10_000, "decode"));
        for (got, exact) in [
            (row.p50, 5_000),
            (row.p90, 9_000),
            (row.p99, 9_900),
            (row.p999, 9_990),
            (row.p9999, 9_999),
            (row.max, 10_000),
        ] {
            assert!(got.abs_diff(exact) <= exact / 1_000, "{got} for {exact}");
        }
        assert_eq!(row.cells().len(), StageRow::HEADS.len());
        histograms.reset();
        assert_eq!(histograms.row(Stage::Decode).count, 0);
    }

    #[test]
    fn samples_cross_threads() {
        let (mut recorder, mut histograms) = stages(64, gigahertz());
        let hot = std::thread::spawn(move || {
            for rx in 0..10_000 {
                recorder.record(sample(rx, &[(Stamp::Decoded, rx + 7)]));
            }
            recorder.dropped()
        });
        let mut counted = 0;
        while !hot.is_finished() {
            counted += histograms.drain();
        }
        counted += histograms.drain();
        let dropped = hot.join().unwrap();
        assert_eq!(counted as u64 + dropped, 10_000);
        let row = histograms.row(Stage::Decode);
        assert_eq!((row.count, row.p50), (counted as u64, 7));
    }
}
