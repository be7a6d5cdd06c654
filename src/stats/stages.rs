//! The stage clock: where the time between reception and transmission goes.
//!
//! The hot loop stamps one [`StageSample`] a message with the TSC at the end of each stage and hands it to a
//! [`StageRecorder`], a ring that never blocks. A control thread drains the ring into [`StageHistograms`] and prints rows of
//! quantiles. Nothing on the hot side allocates, waits or formats.
//!
//! ```text
//!  poll ─receive▶ Received ─wait▶ Begun ─decode▶ Decoded ─book▶ Booked ─features▶ Featured ─inference▶ Inferred
//!   │        ─signal▶ Decided ─risk▶ Checked ─order▶ Sent
//!   └───────────────────────────────── rx→tx ────────────────────────────────────────────────┘
//! ```
//!
//! A stage lasts from the last stamp before it to its own. A message that ends early (no order, or a refused one) leaves
//! the later stamps unset and counts only in the stages that it reached. The way begins where the poll begins that returns
//! the frame: the time on the NIC and in its ring is *not* included, the work of the driver is. A message late in a packet
//! or burst waits behind the earlier ones: that is a stage of its own, so that the others show what the work costs. One TSC
//! read belongs to each stage; its cost ([`StageHistograms::read_cost_ns`]) is subtracted from each, and from rx→tx as often
//! as it was paid there.
//!
//! A pass is *cold* where its frame is the first after [`COLD_AFTER`] without any, else *warm*.

use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};

use super::clock::Clock;

/// Silence after which the next frame finds the loop cold, ns.
pub const COLD_AFTER: u64 = 1_000_000;

/// The end of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stamp {
    /// The poll has returned with the frame.
    Received = 0,
    /// The message's turn has come: what was received before it is done.
    Begun = 1,
    /// Its headers and sequence are checked, and it is decoded.
    Decoded = 2,
    /// The book holds what it said.
    Booked = 3,
    /// The features hold it, too.
    Featured = 4,
    /// The model has said what it predicts.
    Inferred = 5,
    /// The strategy has said what it wants.
    Decided = 6,
    /// Risk has cleared or refused it.
    Checked = 7,
    /// The transmit queue has taken the frame: the NIC's doorbell was rung.
    Sent = 8,
}

const STAMPS: usize = 9;

/// A stamp that was not reached.
const UNSET: u32 = u32::MAX;

/// The stamps of one pass through the loop. 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSample {
    /// TSC where the poll began.
    began: u64,
    /// Ticks since then; saturated (about a second and a half at 3 GHz).
    since: [u32; STAMPS],
    cold: bool,
    later: bool,
}

impl StageSample {
    /// A pass whose poll began at TSC `began`, that has reached no stage yet.
    #[inline]
    #[must_use]
    pub const fn new(began: u64) -> Self {
        Self { began, since: [UNSET; STAMPS], cold: false, later: false }
    }

    /// The same of the first frame after a silence.
    #[inline]
    #[must_use]
    pub const fn cold(self, cold: bool) -> Self {
        Self { cold, ..self }
    }

    /// The same of a message that is not the first of what its poll brought: the poll was counted with that one.
    #[inline]
    #[must_use]
    pub const fn later(self, later: bool) -> Self {
        Self { later, ..self }
    }

    /// Notes that a stage ended at `tsc`. A stamp set twice keeps the later call's time. A time before the beginning
    /// counts as the beginning.
    #[inline]
    pub fn mark(&mut self, stamp: Stamp, tsc: u64) {
        let ticks = tsc.saturating_sub(self.began);
        if let Some(since) = self.since.get_mut(stamp as usize) {
            *since = u32::try_from(ticks).unwrap_or(UNSET).min(UNSET - 1);
        }
    }

    /// TSC where the poll began.
    #[must_use]
    pub const fn began(&self) -> u64 {
        self.began
    }

    /// True where its frame was the first after a silence.
    #[must_use]
    pub const fn is_cold(&self) -> bool {
        self.cold
    }

    /// Ticks from the beginning to `stamp`; `None` if it was not reached.
    #[must_use]
    pub fn since_poll(&self, stamp: Stamp) -> Option<u32> {
        self.since.get(stamp as usize).copied().filter(|since| *since != UNSET)
    }
}

/// A recorder and the histograms that it feeds, over a ring of `capacity` samples of 48 bytes each.
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

/// What is measured: nine stages and the whole way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The poll that brought the frame.
    Receive = 0,
    /// Received to begun.
    Wait = 1,
    /// Begun to decoded.
    Decode = 2,
    /// Decoded to booked.
    Book = 3,
    /// Booked to features up to date.
    Features = 4,
    /// The model, for strategies that have one.
    Inference = 5,
    /// The decision.
    Signal = 6,
    /// Decided to checked.
    Risk = 7,
    /// Checked to sent.
    Order = 8,
    /// The beginning of the poll to sent, for messages that sent something.
    RxToTx = 9,
}

/// Number of rows.
const STAGES: usize = 10;

impl Stage {
    /// All of them, in the order of the loop.
    pub const ALL: [Self; STAGES] = [
        Self::Receive,
        Self::Wait,
        Self::Decode,
        Self::Book,
        Self::Features,
        Self::Inference,
        Self::Signal,
        Self::Risk,
        Self::Order,
        Self::RxToTx,
    ];

    /// The name as tables print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Wait => "wait",
            Self::Decode => "decode",
            Self::Book => "book",
            Self::Features => "features",
            Self::Inference => "inference",
            Self::Signal => "signal",
            Self::Risk => "risk",
            Self::Order => "order",
            Self::RxToTx => "rx_to_tx",
        }
    }
}

/// Which passes a table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// All of them.
    All,
    /// Those whose frame came within [`COLD_AFTER`] of another.
    Warm,
    /// The others.
    Cold,
}

/// Latencies of one stage, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageRow {
    /// Name of the stage.
    pub name: &'static str,
    /// Samples in the row. 0: all else is 0 and means nothing.
    pub count: u64,
    /// All of them together.
    pub total: u64,
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
        let Self { name, count, p50, p90, p99, p999, p9999, max, .. } = *self;
        let numbers = [p50, p90, p99, p999, p9999, max]
            .map(|ns| if count == 0 { String::from("-") } else { ns.to_string() });
        let [p50, p90, p99, p999, p9999, max] = numbers;
        [name.to_owned(), count.to_string(), p50, p90, p99, p999, p9999, max]
    }
}

/// One histogram a stage, in ns, in the order of [`Stage::ALL`].
#[derive(Debug)]
struct Set([(Histogram<u64>, u64); STAGES]);

impl Set {
    /// Longest latency told apart from longer ones, in ns.
    const LONGEST: u64 = 10_000_000_000;
    /// Significant decimal digits kept.
    const DIGITS: u8 = 3;

    fn new() -> Self {
        Self(std::array::from_fn(|_| (Self::empty(), 0)))
    }

    #[expect(clippy::expect_used, reason = "constant arguments, proved valid by every test of this module")]
    fn empty() -> Histogram<u64> {
        Histogram::new_with_bounds(1, Self::LONGEST, Self::DIGITS).expect("bounds and digits are valid")
    }

    fn count(&mut self, stage: Stage, ns: u64) {
        if let Some((histogram, total)) = self.0.get_mut(stage as usize) {
            histogram.saturating_record(ns);
            *total = total.saturating_add(ns);
        }
    }

    fn reset(&mut self) {
        for (histogram, total) in &mut self.0 {
            histogram.reset();
            *total = 0;
        }
    }
}

/// The control side: drains the ring and keeps one histogram a stage, for cold and for warm passes.
#[derive(Debug)]
pub struct StageHistograms {
    rings: Vec<Consumer<StageSample>>,
    clock: Clock,
    warm: Set,
    cold: Set,
}

impl StageHistograms {
    fn new(rings: Vec<Consumer<StageSample>>, clock: Clock) -> Self {
        Self { rings, clock, warm: Set::new(), cold: Set::new() }
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
            (Stage::Receive, Stamp::Received),
            (Stage::Wait, Stamp::Begun),
            (Stage::Decode, Stamp::Decoded),
            (Stage::Book, Stamp::Booked),
            (Stage::Features, Stamp::Featured),
            (Stage::Inference, Stamp::Inferred),
            (Stage::Signal, Stamp::Decided),
            (Stage::Risk, Stamp::Checked),
            (Stage::Order, Stamp::Sent),
        ];
        let Self { clock, warm, cold, .. } = self;
        let set = if sample.cold { cold } else { warm };
        let (mut before, mut reads) = (0, 0);
        for (stage, stamp) in STAMPED {
            let Some(since) = sample.since_poll(stamp) else { continue };
            let took = u64::from(since.saturating_sub(before));
            if stage != Stage::Receive || !sample.later {
                set.count(stage, clock.ns(took.saturating_sub(clock.read_cost())));
            }
            before = since;
            reads += 1;
        }
        if let Some(since) = sample.since_poll(Stamp::Sent) {
            set.count(Stage::RxToTx, clock.ns(u64::from(since).saturating_sub(reads * clock.read_cost())));
        }
    }

    /// The row of one stage.
    #[must_use]
    pub fn row(&self, stage: Stage, passes: Passes) -> StageRow {
        let name = stage.name();
        let of = |set: &Set| set.0.get(stage as usize).map(|(histogram, total)| (histogram.clone(), *total));
        let found = match passes {
            Passes::Warm => of(&self.warm),
            Passes::Cold => of(&self.cold),
            Passes::All => of(&self.warm).zip(of(&self.cold)).map(|((mut all, warm), (cold, more))| {
                // The same bounds: nothing can lie outside.
                let _ = all.add(cold);
                (all, warm.saturating_add(more))
            }),
        };
        let Some((histogram, total)) = found.filter(|(histogram, _)| !histogram.is_empty()) else {
            return StageRow { name, ..StageRow::default() };
        };
        // A quantile is the upper end of its bucket, which may lie beyond the longest sample.
        let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        StageRow {
            name,
            count: histogram.len(),
            total,
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
    pub fn rows(&self, passes: Passes) -> [StageRow; STAGES] {
        Stage::ALL.map(|stage| self.row(stage, passes))
    }

    /// What one TSC read costs on this machine, in ns: what is subtracted from each stage. 0 where the clock was not
    /// measured.
    #[must_use]
    pub fn read_cost_ns(&self) -> u64 {
        self.clock.ns(self.clock.read_cost())
    }

    /// Forgets all samples counted so far: a new window begins.
    pub fn reset(&mut self) {
        self.warm.reset();
        self.cold.reset();
    }
}

#[cfg(test)]
mod tests;
