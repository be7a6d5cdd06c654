//! The loop's end of a capture: every received frame, and what the loop did that no frame shows, into a byte ring.
//!
//! The loop copies and goes on: where the ring has no room, the frame is not captured, and that is counted. It copies after
//! the burst was worked on, so an order never waits for the capture; a frame's bytes stay as they were received until the
//! burst is dropped. Nothing is filtered: what was rejected is captured like the rest. The other end,
//! [`FromTap`], belongs to the thread that writes the file ([`crate::control::capture`]).
//!
//! A record of the ring is a head of `HEAD` bytes (`Head`) and the frame or note.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::frames::PortIndex;
use crate::capture::own::Note;
use crate::nic::RxBurst;

/// Most ports that one loop polls.
pub const PORTS: usize = 2;

/// Bytes of a record in front of the frame.
const HEAD: usize = 32;

/// Longest record: a head, a note's number, and the longest payload.
const MAX_RECORD: usize = HEAD + size_of::<u64>() + u16::MAX as usize;

/// Smallest ring that carries any record.
const MIN_RING: usize = 4 * MAX_RECORD;

/// [`Head::kind`] of a frame; notes have letters.
const FRAME: u8 = 0;

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounters {
    /// Frames handed to the capture.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that were not captured, because the ring was full: the disk did not keep up.
    pub dropped: u64,
    /// Notes that were not captured for the same reason: a replay goes another way from there on.
    pub notes_dropped: u64,
}

impl TapCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 4] {
        [
            ("tap_frames", self.frames),
            ("tap_bytes", self.bytes),
            ("tap_dropped", self.dropped),
            ("tap_notes_dropped", self.notes_dropped),
        ]
    }
}

/// What the two ends share besides the ring: frames dropped by port, then notes dropped.
type Dropped = Arc<[AtomicU64; PORTS + 1]>;

/// Makes both ends; the ring holds `bytes` bytes, all of them written once, so that the loop meets no page for the first
/// time.
#[must_use]
pub fn tap(bytes: usize) -> (Tap, FromTap) {
    let (mut ring, mut from) = RingBuffer::new(bytes.max(MIN_RING));
    if let Ok(all) = ring.write_chunk(bytes.max(MIN_RING)) {
        all.commit_all();
    }
    if let Ok(all) = from.read_chunk(bytes.max(MIN_RING)) {
        all.commit_all();
    }
    let dropped = Dropped::default();
    (
        Tap { ring, unsaid: 0, dropped: Arc::clone(&dropped), counters: TapCounters::default() },
        FromTap { ring: from, scratch: vec![0xA5; MAX_RECORD].into_boxed_slice(), dropped },
    )
}

/// When something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// TSC, or the time of a simulation.
    pub ticks: u64,
    /// The loop's time for the feed, ticks: the same less what the loop was away for.
    pub feed: u64,
}

/// What stands in front of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    when: When,
    nic_stamp: u64,
    flags: u32,
    len: u16,
    port: PortIndex,
    kind: u8,
}

impl Head {
    #[inline]
    fn to_bytes(self) -> [u8; HEAD] {
        let Self { when, nic_stamp, flags, len, port, kind } = self;
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&when.ticks.to_ne_bytes());
        bytes[8..16].copy_from_slice(&when.feed.to_ne_bytes());
        bytes[16..24].copy_from_slice(&nic_stamp.to_ne_bytes());
        bytes[24..28].copy_from_slice(&flags.to_ne_bytes());
        bytes[28..30].copy_from_slice(&len.to_ne_bytes());
        bytes[30] = port;
        bytes[31] = kind;
        bytes
    }

    fn from_bytes(bytes: &[u8; HEAD]) -> Self {
        let long = |at: usize| {
            bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |long| u64::from_ne_bytes(*long))
        };
        let [.., f0, f1, f2, f3, l0, l1, port, kind] = *bytes;
        Self {
            when: When { ticks: long(0), feed: long(8) },
            nic_stamp: long(16),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
            len: u16::from_ne_bytes([l0, l1]),
            port,
            kind,
        }
    }
}

/// The loop's end.
#[derive(Debug)]
pub struct Tap {
    ring: Producer<u8>,
    /// Records dropped since the last one that was not.
    unsaid: u64,
    dropped: Dropped,
    pub(super) counters: TapCounters,
}

impl Tap {
    /// Captures the frames of one poll of `port`. Wait-free; one copy a frame.
    #[inline]
    pub fn burst(&mut self, port: PortIndex, when: When, burst: &impl RxBurst) {
        for at in 0..burst.len() {
            let frame = burst.frame(at);
            // No backend has longer ones; 0 would be no frame.
            let len = u16::try_from(frame.bytes.len()).unwrap_or(0);
            let head = Head { when, nic_stamp: frame.stamp, flags: frame.flags, len, port, kind: FRAME };
            if len > 0 && self.put(&head, [frame.bytes, &[]]) {
                self.counters.frames += 1;
                self.counters.bytes += u64::from(len);
            } else {
                self.drop_one(usize::from(port).min(PORTS - 1));
            }
        }
    }

    /// Captures what the loop did.
    #[cold]
    pub fn note(&mut self, when: When, note: &Note<'_>) {
        let (kind, number, rest) = note.parts();
        let number = number.map(u64::to_le_bytes);
        let number = number.as_ref().map_or(&[][..], |number| number);
        let len = u16::try_from(number.len() + rest.len()).unwrap_or(0);
        let head = Head { when, nic_stamp: 0, flags: 0, len, port: 0, kind };
        if usize::from(len) != number.len() + rest.len() || !self.put(&head, [number, rest]) {
            self.drop_one(PORTS);
        }
    }

    /// One record, whole or not at all, with a word before it about those that were dropped.
    #[inline]
    fn put(&mut self, head: &Head, parts: [&[u8]; 2]) -> bool {
        let size = HEAD + parts[0].len() + parts[1].len();
        let size = if self.unsaid == 0 { size } else { size + HEAD + size_of::<u64>() };
        // The cached figure spares a look at the cache line that the other side writes.
        if self.ring.cached_slots() < size && self.ring.slots() < size {
            return false;
        }
        if self.unsaid != 0 {
            self.say_dropped(head.when);
        }
        // The reader waits until all of it is there. There is room: none of these fails.
        let head = self.ring.push_entire_slice(&head.to_bytes()).is_ok();
        head && parts.iter().all(|part| self.ring.push_entire_slice(part).is_ok())
    }

    #[cold]
    fn say_dropped(&mut self, when: When) {
        let (kind, number, _) = Note::Lost(std::mem::take(&mut self.unsaid)).parts();
        let head = Head { when, nic_stamp: 0, flags: 0, len: size_of::<u64>() as u16, port: 0, kind };
        let number = number.unwrap_or_default().to_le_bytes();
        let _ = self.ring.push_entire_slice(&head.to_bytes());
        let _ = self.ring.push_entire_slice(&number);
    }

    #[cold]
    fn drop_one(&mut self, what: usize) {
        self.unsaid += 1;
        *(if what == PORTS { &mut self.counters.notes_dropped } else { &mut self.counters.dropped }) += 1;
        if let Some(count) = self.dropped.get(what) {
            // SYNC POINT: relaxed; a figure for the statistics at the end, written by this side only.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }
}

/// The writer's end.
#[derive(Debug)]
pub struct FromTap {
    ring: Consumer<u8>,
    scratch: Box<[u8]>,
    dropped: Dropped,
}

/// What was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// A frame.
    Frame {
        /// When the poll that brought it returned.
        when: When,
        /// By its place among the receive queues.
        port: PortIndex,
        /// [`crate::nic::HW_STAMP`] and the like.
        flags: u32,
        /// With `HW_STAMP`, the NIC's own stamp.
        nic_stamp: u64,
        /// As received.
        bytes: &'a [u8],
    },
    /// A [`Note`]: its kind, and what follows it.
    Note {
        /// When the loop did it.
        when: When,
        /// First byte of the note.
        kind: u8,
        /// The other bytes.
        bytes: &'a [u8],
    },
}

impl FromTap {
    /// The next record, valid until the next call; `None` where there is none yet.
    pub fn take(&mut self) -> Option<Taken<'_>> {
        let chunk = self.ring.read_chunk(HEAD).ok()?;
        let (one, two) = chunk.as_slices();
        let mut head = [0; HEAD];
        for (place, byte) in head.iter_mut().zip(one.iter().chain(two)) {
            *place = *byte;
        }
        let Head { when, nic_stamp, flags, len, port, kind } = Head::from_bytes(&head);
        let record = self.scratch.get_mut(..HEAD + usize::from(len))?;
        // Fails while the loop is between the head and the rest.
        self.ring.pop_entire_slice(record).ok()?;
        let bytes = record.get(HEAD..)?;
        Some(match kind {
            FRAME => Taken::Frame { when, port, flags, nic_stamp, bytes },
            _ => Taken::Note { when, kind, bytes },
        })
    }

    /// Frames of `port` that were dropped so far; of [`PORTS`]: notes.
    #[must_use]
    pub fn dropped(&self, port: usize) -> u64 {
        // SYNC POINT: relaxed; see the other side.
        self.dropped.get(port).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// True where the loop has ended and given up its end.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nic::RxQueue;
    use crate::nic::replay::{Frames, ReplayRx};

    const WHEN: When = When { ticks: 10, feed: 7 };

    fn frames(frames: &[&[u8]]) -> ReplayRx {
        let mut list = Frames::new();
        frames.iter().for_each(|frame| list.push_with(frame, 3, crate::nic::HW_STAMP));
        ReplayRx::new(list)
    }

    #[test]
    fn frames_and_notes_come_out_in_order_and_whole() {
        let (mut tap, mut from) = tap(0);
        let long: Vec<u8> = (0..9_000).map(|at| at as u8).collect();
        // Often enough to wrap round.
        for round in 0..100 {
            let when = When { ticks: round, feed: round / 2 };
            tap.burst(1, when, &frames(&[b"one", &long]).poll());
            tap.note(when, &Note::Abandon(round));
            tap.note(when, &Note::Answer(b"packet"));
            for bytes in [b"one", &long[..]] {
                let frame = Taken::Frame { when, port: 1, flags: crate::nic::HW_STAMP, nic_stamp: 3, bytes };
                assert_eq!(from.take(), Some(frame));
            }
            let bytes = &round.to_le_bytes()[..];
            assert_eq!(from.take(), Some(Taken::Note { when, kind: b'A', bytes }));
            assert_eq!(from.take(), Some(Taken::Note { when, kind: b'P', bytes: b"packet" }));
            assert_eq!(from.take(), None);
        }
        assert_eq!(tap.counters, TapCounters { frames: 200, bytes: 900_300, ..TapCounters::default() });
    }

    #[test]
    fn a_full_ring_drops_whole_frames_and_says_so_at_their_place() {
        let (mut tap, mut from) = tap(0);
        let long = [7; 9_000];
        let mut rx = frames(&[&long[..]; 32]);
        tap.burst(0, WHEN, &rx.poll());
        assert_eq!(tap.counters.frames, (MIN_RING / (9_000 + HEAD)) as u64);
        assert_eq!(
            (tap.counters.dropped, from.dropped(0)),
            (32 - tap.counters.frames, 32 - tap.counters.frames)
        );
        for _ in 0..2 {
            assert!(matches!(from.take(), Some(Taken::Frame { bytes, .. }) if bytes == long));
        }
        tap.note(WHEN, &Note::Tick);
        for _ in 2..tap.counters.frames {
            assert!(matches!(from.take(), Some(Taken::Frame { .. })));
        }
        let lost = tap.counters.dropped.to_le_bytes();
        assert_eq!(from.take(), Some(Taken::Note { when: WHEN, kind: b'L', bytes: &lost }));
        assert_eq!(from.take(), Some(Taken::Note { when: WHEN, kind: b'T', bytes: &[] }));
        assert_eq!(from.take(), None);
        drop(tap);
        assert!(from.is_abandoned());
    }

    #[test]
    fn a_note_longer_than_any_is_dropped_and_counted() {
        let (mut tap, mut from) = tap(0);
        tap.note(WHEN, &Note::Answer(&[0; 1 << 16]));
        assert_eq!(from.take(), None);
        assert_eq!((tap.counters.notes_dropped, from.dropped(PORTS)), (1, 1));
        tap.note(WHEN, &Note::Answer(&[0; u16::MAX as usize]));
        assert!(matches!(from.take(), Some(Taken::Note { kind: b'L', .. })));
        assert!(matches!(from.take(), Some(Taken::Note { kind: b'P', bytes, .. }) if bytes.len() == 65_535));
    }
}
