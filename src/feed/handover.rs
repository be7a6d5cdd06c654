//! The two links between the loop and the recovery client: what is missing goes out, what was got back comes in.
//!
//! The loop publishes a [`Need`] through a sequence lock, as often as it changes; the client reads the newest one whenever
//! it likes. The client gives [`Item`]s into a byte ring of one producer and one consumer; the loop takes them in portions
//! of its own choosing. Neither side ever waits for the other, and neither allocates after [`link`].
//!
//! Every item is tied to the feed session that it was got for: by its `epoch`, or, for those between a
//! [`Item::SnapshotBegin`] and its end, by that one's. The loop drops what belongs to an epoch that is over.

use std::cell::Cell;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::stats::publish::{self, Publisher, Reader};

/// Most holes that a [`Need`] names.
pub const HOLES: usize = 8;

/// Longest payload or message of an item, in bytes: more than any UDP datagram or SoupBinTCP packet holds.
pub const MAX_BYTES: usize = u16::MAX as usize;

/// Bytes of a record in front of its fields: kind, and length of what follows the fields.
const HEAD: usize = 3;
/// Longest record: two numbers and the longest payload.
const MAX_RECORD: usize = HEAD + 2 * size_of::<u64>() + MAX_BYTES;
/// Smallest ring: an item must fit whatever its length, or its giver would try for ever.
const MIN_RING: usize = 2 * MAX_RECORD;

/// A range of sequences that did not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hole {
    /// First sequence that is missing.
    pub first: u64,
    /// Sequence after the last that is missing; equal to `first` in a place that is not used.
    pub end: u64,
}

impl Hole {
    /// True for a place that is not used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end <= self.first
    }

    /// Messages that are missing.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// What the loop misses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Rises with each feed session that the loop takes; 0 = none yet.
    pub epoch: u64,
    /// The session.
    pub session: [u8; 10],
    /// Next sequence that the stream will hand on.
    pub expected: u64,
    /// What to ask a request server for: the hole that is overdue first, then further ones, rising. All unused while
    /// nothing is overdue.
    pub holes: [Hole; HOLES],
    /// Number of the snapshot wanted, 0 = none. A new number is a new wish, and ends the one before.
    pub snapshot: u64,
    /// A snapshot that states a lower sequence to go on from is of no use.
    pub oldest: u64,
}

impl Need {
    /// Numbers of the published set.
    const WORDS: usize = 6 + 2 * HOLES;

    fn words(&self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9] = self.session;
        let session = [
            u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            u64::from_be_bytes([0, 0, 0, 0, 0, 0, s8, s9]),
        ];
        let numbers = [self.epoch, session[0], session[1], self.expected, self.snapshot, self.oldest];
        let holes = self.holes.iter().flat_map(|hole| [hole.first, hole.end]);
        for (word, value) in words.iter_mut().zip(numbers.into_iter().chain(holes)) {
            *word = value;
        }
        words
    }

    fn from_words(words: &[u64; Self::WORDS]) -> Self {
        let [epoch, high, low, expected, snapshot, oldest, holes @ ..] = words;
        let [s0, s1, s2, s3, s4, s5, s6, s7] = high.to_be_bytes();
        let [.., s8, s9] = low.to_be_bytes();
        let mut need = Self {
            epoch: *epoch,
            session: [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9],
            expected: *expected,
            holes: [Hole::default(); HOLES],
            snapshot: *snapshot,
            oldest: *oldest,
        };
        for (hole, ends) in need.holes.iter_mut().zip(holes.chunks_exact(2)) {
            if let [first, end] = ends {
                *hole = Hole { first: *first, end: *end };
            }
        }
        need
    }

    /// The holes that are there, rising.
    pub fn open(&self) -> impl Iterator<Item = Hole> + '_ {
        self.holes.iter().copied().filter(|hole| !hole.is_empty())
    }
}

/// What the client hands to the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An answer of a request server.
    Packet {
        /// The epoch that it was asked for in.
        epoch: u64,
        /// A MoldUDP64 packet.
        payload: &'a [u8],
    },
    /// Nothing before `end` can be had by requests: call it a gap.
    Abandon {
        /// The epoch that it was asked for in.
        epoch: u64,
        /// Sequence after the last that cannot be had.
        end: u64,
    },
    /// A snapshot begins; one that was under way before it came to nothing.
    SnapshotBegin {
        /// The epoch that it is wanted in.
        epoch: u64,
        /// The wish that it answers: [`Need::snapshot`].
        number: u64,
    },
    /// The next message of the snapshot.
    SnapshotMessage {
        /// One message of the feed's own protocol.
        message: &'a [u8],
    },
    /// The snapshot is complete.
    SnapshotEnd {
        /// Sequence of the first live message to apply on top of it.
        next: u64,
    },
    /// The snapshot that was begun is not going to be completed.
    SnapshotFailed,
}

mod kind {
    pub(super) const PACKET: u8 = 1;
    pub(super) const ABANDON: u8 = 2;
    pub(super) const SNAPSHOT_BEGIN: u8 = 3;
    pub(super) const SNAPSHOT_MESSAGE: u8 = 4;
    pub(super) const SNAPSHOT_END: u8 = 5;
    pub(super) const SNAPSHOT_FAILED: u8 = 6;
}

/// Makes both links; the item ring holds `bytes` bytes, and at least 128 KiB, so that any item fits.
#[must_use]
pub fn link(bytes: usize) -> (LoopEnd, ClientEnd) {
    let (publisher, reader) = publish::counters(Need::WORDS);
    let (producer, consumer) = RingBuffer::new(bytes.max(MIN_RING));
    let scratch = || vec![0xA5; MAX_RECORD].into_boxed_slice();
    let taker = Taker { ring: consumer, scratch: scratch() };
    let giver = Giver { ring: producer, scratch: scratch() };
    (
        LoopEnd { need: NeedPublisher { publisher }, taker },
        ClientEnd { need: NeedReader { reader, last: Cell::default() }, giver },
    )
}

/// The loop's ends of the two links.
#[derive(Debug)]
pub struct LoopEnd {
    /// Says what is missing.
    pub need: NeedPublisher,
    /// Takes what was got back.
    pub taker: Taker,
}

/// The client's ends of the two links.
#[derive(Debug)]
pub struct ClientEnd {
    /// Hears what is missing.
    pub need: NeedReader,
    /// Gives what was got back.
    pub giver: Giver,
}

/// The writing side of the [`Need`].
#[derive(Debug)]
pub struct NeedPublisher {
    publisher: Publisher,
}

impl NeedPublisher {
    /// Publishes `need` in place of the one before. Wait-free; some twenty stores.
    pub fn publish(&mut self, need: &Need) {
        self.publisher.publish(need.words());
    }
}

/// The reading side of the [`Need`].
#[derive(Debug)]
pub struct NeedReader {
    reader: Reader,
    last: Cell<Need>,
}

impl NeedReader {
    /// The newest need; where the loop was stopped in the middle of publishing, the newest that was read before.
    #[must_use]
    pub fn read(&self) -> Need {
        let mut words = [0; Need::WORDS];
        if self.reader.read(&mut words).is_ok() {
            self.last.set(Need::from_words(&words));
        }
        self.last.get()
    }
}

/// The giving side of the item ring.
#[derive(Debug)]
pub struct Giver {
    ring: Producer<u8>,
    scratch: Box<[u8]>,
}

impl Giver {
    /// Puts `item` in the ring whole; false where there is no room for it now. Wait-free.
    ///
    /// A payload longer than [`MAX_BYTES`] never fits.
    #[must_use = "an item that found no room was not given"]
    pub fn give(&mut self, item: &Item<'_>) -> bool {
        let none: &[u8] = &[];
        let (kind, numbers, bytes) = match *item {
            Item::Packet { epoch, payload } => (kind::PACKET, [Some(epoch), None], payload),
            Item::Abandon { epoch, end } => (kind::ABANDON, [Some(epoch), Some(end)], none),
            Item::SnapshotBegin { epoch, number } => {
                (kind::SNAPSHOT_BEGIN, [Some(epoch), Some(number)], none)
            }
            Item::SnapshotMessage { message } => (kind::SNAPSHOT_MESSAGE, [None, None], message),
            Item::SnapshotEnd { next } => (kind::SNAPSHOT_END, [Some(next), None], none),
            Item::SnapshotFailed => (kind::SNAPSHOT_FAILED, [None, None], none),
        };
        let Ok(len) = u16::try_from(bytes.len()) else { return false };
        let [high, low] = len.to_be_bytes();
        let mut at = 0;
        let mut put = |part: &[u8]| {
            if let Some(place) = self.scratch.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
                at += part.len();
            }
        };
        put(&[kind, high, low]);
        for number in numbers.into_iter().flatten() {
            put(&number.to_be_bytes());
        }
        put(bytes);
        // One call for the whole record: the taker never sees a part of it.
        self.scratch.get(..at).is_some_and(|record| self.ring.push_entire_slice(record).is_ok())
    }
}

/// The taking side of the item ring.
#[derive(Debug)]
pub struct Taker {
    ring: Consumer<u8>,
    scratch: Box<[u8]>,
}

impl Taker {
    /// The next item, if one is there. Wait-free; copies it out of the ring.
    pub fn take(&mut self) -> Option<Item<'_>> {
        let head = self.ring.read_chunk(HEAD).ok()?;
        let (one, two) = head.as_slices();
        let mut head = one.iter().chain(two).copied();
        let [kind, high, low] = [head.next()?, head.next()?, head.next()?];
        let numbers = match kind {
            kind::ABANDON | kind::SNAPSHOT_BEGIN => 2,
            kind::PACKET | kind::SNAPSHOT_END => 1,
            _ => 0,
        };
        let whole = HEAD + numbers * size_of::<u64>() + usize::from(u16::from_be_bytes([high, low]));
        let record = self.scratch.get_mut(..whole)?;
        self.ring.pop_entire_slice(record).ok()?;
        let fields = record.get(HEAD..)?;
        Some(match kind {
            kind::PACKET => {
                let (epoch, payload) = number(fields)?;
                Item::Packet { epoch, payload }
            }
            kind::ABANDON => {
                let (epoch, rest) = number(fields)?;
                Item::Abandon { epoch, end: number(rest)?.0 }
            }
            kind::SNAPSHOT_BEGIN => {
                let (epoch, rest) = number(fields)?;
                Item::SnapshotBegin { epoch, number: number(rest)?.0 }
            }
            kind::SNAPSHOT_MESSAGE => Item::SnapshotMessage { message: fields },
            kind::SNAPSHOT_END => Item::SnapshotEnd { next: number(fields)?.0 },
            _ => Item::SnapshotFailed,
        })
    }

    /// True while no item is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

fn number(fields: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = fields.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests;
