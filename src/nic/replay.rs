//! In-memory backend: frames come from a list or from another queue of the same thread, and go into a ring that can
//! be read back.
//!
//! - [`ReplayRx`] plays a list of [`Frames`], once, several times or for ever.
//! - [`link`] joins a [`ReplayTx`] to a [`LinkRx`]: what the one sends the other receives. A test reads what was sent
//!   from the [`LinkRx`], by polling it or with [`LinkRx::drain`].
//! - [`pair`] is two links crossed: two ports on one cable, in one thread.
//!
//! Everything is allocated at construction; a frame changes hands without a copy. Queues are `!Send`, [`Frames`] is
//! `Send`: fill it anywhere, then make the queue on the lcore that polls it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Range;
use std::rc::Rc;

use super::pool::Pool;
pub use super::pool::Slot;
use super::{Frame, MAX_BURST, MAX_FRAME, RxBurst, RxDrops, RxQueue, TxQueue};

/// Frames one after the other in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    index: Vec<Entry>,
}

/// Where one frame lies, and what is said about it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    len: usize,
    stamp: u64,
    flags: u32,
}

impl Frames {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty list with room for `frames` frames of `bytes` bytes in total.
    #[must_use]
    pub fn with_capacity(frames: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), index: Vec::with_capacity(frames) }
    }

    /// Appends a frame without stamp or flags.
    pub fn push(&mut self, frame: &[u8]) {
        self.push_with(frame, 0, 0);
    }

    /// Appends a frame as a NIC would hand it on: `stamp` counts only if `flags` has [`super::HW_STAMP`].
    pub fn push_with(&mut self, frame: &[u8], stamp: u64, flags: u32) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        self.index.push(Entry { start, len: frame.len(), stamp, flags });
    }

    /// Number of frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True without any frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    fn frame(&self, i: usize) -> Frame<'_> {
        let entry = &self.index[i];
        let bytes = &self.bytes[entry.start..entry.start + entry.len];
        Frame { bytes, stamp: entry.stamp, flags: entry.flags }
    }
}

impl<F: AsRef<[u8]>> FromIterator<F> for Frames {
    fn from_iter<I: IntoIterator<Item = F>>(frames: I) -> Self {
        let mut list = Self::new();
        for frame in frames {
            list.push(frame.as_ref());
        }
        list
    }
}

/// How often a [`ReplayRx`] plays its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounds {
    /// So many times; then every poll is empty.
    Times(u64),
    /// Again and again.
    Endless,
}

/// Plays a list of frames.
pub struct ReplayRx {
    frames: Frames,
    next: usize,
    /// Rounds left after the one that is running; `None` = endless.
    rounds_left: Option<u64>,
    max_frame: usize,
    drops: RxDrops,
    not_send: PhantomData<Rc<()>>,
}

impl ReplayRx {
    /// Plays `frames` once. Frames longer than [`MAX_FRAME`] are counted as truncated and dropped.
    #[must_use]
    pub fn new(frames: Frames) -> Self {
        Self::with_rounds(frames, Rounds::Times(1), MAX_FRAME)
    }

    /// Plays `frames` as often as `rounds` says; frames longer than `max_frame` bytes do not fit its buffers.
    #[must_use]
    pub fn with_rounds(frames: Frames, rounds: Rounds, max_frame: usize) -> Self {
        let (next, rounds_left) = match rounds {
            Rounds::Times(0) => (frames.len(), Some(0)),
            Rounds::Times(n) => (0, Some(n - 1)),
            Rounds::Endless => (0, None),
        };
        Self { frames, next, rounds_left, max_frame, drops: RxDrops::default(), not_send: PhantomData }
    }

    /// Appends a frame to the list, for tests that feed as they go. May allocate.
    pub fn push(&mut self, frame: &[u8]) {
        self.frames.push(frame);
    }

    /// True when every frame of every round was handed out.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next >= self.frames.len() && (self.frames.is_empty() || self.rounds_left == Some(0))
    }

    /// Begins the next round where this one is over and another is due.
    fn turn(&mut self) {
        if self.next < self.frames.len() {
            return;
        }
        match &mut self.rounds_left {
            None => self.next = 0,
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                self.next = 0;
            }
        }
    }

    fn fits(&self, i: usize) -> bool {
        self.frames.index[i].len <= self.max_frame
    }
}

impl RxQueue for ReplayRx {
    type Burst<'q> = ReplayBurst<'q>;

    fn poll(&mut self) -> ReplayBurst<'_> {
        self.turn();
        let end = self.frames.len();
        // A list may hold nothing but oversized frames: skip at most one burst of them per poll.
        let mut skipped = 0;
        while self.next < end && skipped < MAX_BURST && !self.fits(self.next) {
            self.drops.truncated += 1;
            self.next += 1;
            skipped += 1;
        }
        let first = self.next;
        while self.next < end && self.next - first < MAX_BURST && self.fits(self.next) {
            self.next += 1;
        }
        ReplayBurst { frames: &self.frames, range: first..self.next }
    }

    fn drops(&self) -> RxDrops {
        self.drops
    }
}

/// Frames of one poll of a [`ReplayRx`].
pub struct ReplayBurst<'q> {
    frames: &'q Frames,
    range: Range<usize>,
}

impl RxBurst for ReplayBurst<'_> {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn frame(&self, i: usize) -> Frame<'_> {
        assert!(i < self.range.len(), "frame {i} of a burst of {}", self.range.len());
        self.frames.frame(self.range.start + i)
    }
}

/// Sizes of a [`link`]. Every one of them is a limit: reaching it is back-pressure.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Frames that may wait to be received.
    pub ring: usize,
    /// Transmit buffers; each is in use from `reserve` until the receiver's burst is dropped.
    pub buffers: usize,
    /// Bytes of a buffer, `60 ..= MAX_FRAME`.
    pub slot_len: usize,
}

impl Default for LinkConfig {
    /// 1,024 frames, twice as many buffers, MTU 1,500 with a VLAN tag.
    fn default() -> Self {
        Self { ring: 1024, buffers: 2048, slot_len: 1518 }
    }
}

/// The ring between the two ends of a link.
struct Wire {
    queue: RefCell<VecDeque<Carried>>,
    ring: usize,
    pool: Rc<Pool>,
    /// Frames that left so far.
    sent: Cell<u64>,
}

/// A frame under way.
struct Carried {
    bytes: Box<[u8]>,
    len: usize,
}

/// One direction: what the [`ReplayTx`] sends, the [`LinkRx`] receives.
#[must_use]
pub fn link(config: LinkConfig) -> (ReplayTx, LinkRx) {
    let wire = Rc::new(Wire {
        queue: RefCell::new(VecDeque::with_capacity(config.ring)),
        ring: config.ring,
        pool: Pool::new(config.buffers, config.slot_len),
        sent: Cell::new(0),
    });
    let tx = ReplayTx { wire: Rc::clone(&wire) };
    (tx, LinkRx { wire, held: Vec::with_capacity(MAX_BURST) })
}

/// One end of a [`pair`].
pub struct End {
    /// Receives what the other end sends.
    pub rx: LinkRx,
    /// Sends to the other end.
    pub tx: ReplayTx,
}

/// Two ports joined by a cable, each direction with the limits of `config`.
#[must_use]
pub fn pair(config: LinkConfig) -> (End, End) {
    let (left_tx, right_rx) = link(config);
    let (right_tx, left_rx) = link(config);
    (End { rx: left_rx, tx: left_tx }, End { rx: right_rx, tx: right_tx })
}

/// The sending end of a [`link`].
pub struct ReplayTx {
    wire: Rc<Wire>,
}

impl ReplayTx {
    /// Frames sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.wire.sent.get()
    }

    /// Buffers that are free now.
    #[must_use]
    pub fn free_buffers(&self) -> usize {
        self.wire.pool.available()
    }
}

impl TxQueue for ReplayTx {
    type Slot = Slot;

    fn reserve(&mut self) -> Option<Slot> {
        self.wire.pool.take()
    }

    fn send(&mut self, slot: Slot, len: u16) -> Result<(), Slot> {
        let len = usize::from(len);
        if len == 0 || len > slot.len() {
            return Err(slot);
        }
        let mut queue = self.wire.queue.borrow_mut();
        if queue.len() >= self.wire.ring {
            return Err(slot);
        }
        queue.push_back(Carried { bytes: slot.into_bytes(), len });
        self.wire.sent.set(self.wire.sent.get() + 1);
        Ok(())
    }
}

/// The receiving end of a [`link`].
pub struct LinkRx {
    wire: Rc<Wire>,
    /// The frames of the burst that is out.
    held: Vec<Carried>,
}

impl LinkRx {
    /// Takes everything that waits, frame by frame, in order; returns how many there were.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        loop {
            let burst = self.poll();
            if burst.is_empty() {
                return count;
            }
            for i in 0..burst.len() {
                each(burst.frame(i).bytes);
            }
            count += burst.len();
        }
    }

    fn give_back(&mut self) {
        for frame in self.held.drain(..) {
            self.wire.pool.give(frame.bytes);
        }
    }
}

impl RxQueue for LinkRx {
    type Burst<'q> = LinkBurst<'q>;

    fn poll(&mut self) -> LinkBurst<'_> {
        // Only a burst that was forgotten instead of dropped leaves anything here.
        self.give_back();
        let mut queue = self.wire.queue.borrow_mut();
        let take = queue.len().min(MAX_BURST);
        self.held.extend(queue.drain(..take));
        drop(queue);
        LinkBurst { rx: self }
    }
}

/// Frames of one poll of a [`LinkRx`].
pub struct LinkBurst<'q> {
    rx: &'q mut LinkRx,
}

impl RxBurst for LinkBurst<'_> {
    fn len(&self) -> usize {
        self.rx.held.len()
    }

    fn frame(&self, i: usize) -> Frame<'_> {
        let frame = &self.rx.held[i];
        Frame { bytes: &frame.bytes[..frame.len], stamp: 0, flags: 0 }
    }
}

impl Drop for LinkBurst<'_> {
    fn drop(&mut self) {
        self.rx.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: u8) -> Frames {
        (0..count).map(|n| [n; 60]).collect()
    }

    fn play(rx: &mut ReplayRx, polls: usize) -> Vec<u8> {
        let mut seen = Vec::new();
        for _ in 0..polls {
            let burst = rx.poll();
            seen.extend((0..burst.len()).map(|i| burst.frame(i).bytes[0]));
        }
        seen
    }

    #[test]
    fn plays_the_list_as_often_as_asked() {
        let mut once = ReplayRx::new(numbered(40));
        assert_eq!(play(&mut once, 5), (0..40).collect::<Vec<u8>>());
        assert!(once.is_done());

        let mut twice = ReplayRx::with_rounds(numbered(3), Rounds::Times(2), MAX_FRAME);
        assert!(!twice.is_done());
        assert_eq!(play(&mut twice, 5), [0, 1, 2, 0, 1, 2]);
        assert!(twice.is_done());

        let mut never = ReplayRx::with_rounds(numbered(3), Rounds::Times(0), MAX_FRAME);
        assert!(never.is_done() && never.poll().is_empty());

        let mut endless = ReplayRx::with_rounds(numbered(1), Rounds::Endless, MAX_FRAME);
        assert_eq!(play(&mut endless, 100).len(), 100);
        assert!(!endless.is_done());

        let mut nothing = ReplayRx::with_rounds(Frames::new(), Rounds::Endless, MAX_FRAME);
        assert!(nothing.poll().is_empty() && nothing.is_done());
    }

    #[test]
    fn oversized_frames_are_skipped_and_counted_in_order() {
        let mut frames = Frames::new();
        for n in 0..100_u8 {
            let len = if n % 3 == 0 { 200 } else { 60 };
            frames.push(&vec![n; len]);
        }
        let mut rx = ReplayRx::with_rounds(frames, Rounds::Times(1), 100);
        let seen = play(&mut rx, 200);
        assert_eq!(seen, (0..100).filter(|n| n % 3 != 0).collect::<Vec<u8>>());
        assert_eq!(rx.drops(), RxDrops { truncated: 34, segmented: 0 });
    }

    #[test]
    fn stamps_and_flags_come_through() {
        let mut frames = Frames::with_capacity(1, 60);
        frames.push_with(&[7; 60], 123_456, super::super::HW_STAMP);
        let mut rx = ReplayRx::new(frames);
        let burst = rx.poll();
        assert_eq!((burst.frame(0).stamp, burst.frame(0).flags), (123_456, super::super::HW_STAMP));
    }

    #[test]
    fn a_full_ring_hands_the_slot_back_and_recovers() {
        let (mut tx, mut rx) = link(LinkConfig { ring: 2, buffers: 4, slot_len: 64 });
        for _ in 0..2 {
            let slot = tx.reserve().unwrap();
            assert!(tx.send(slot, 60).is_ok());
        }
        let slot = tx.reserve().unwrap();
        let slot = tx.send(slot, 60).unwrap_err();
        assert_eq!(rx.drain(|_| {}), 2);
        assert!(tx.send(slot, 60).is_ok());
        assert_eq!((rx.drain(|_| {}), tx.sent(), tx.free_buffers()), (1, 3, 4));
    }

    #[test]
    fn a_forgotten_burst_loses_no_buffer() {
        let (mut tx, mut rx) = link(LinkConfig { ring: 8, buffers: 8, slot_len: 64 });
        for _ in 0..4 {
            let slot = tx.reserve().unwrap();
            assert!(tx.send(slot, 60).is_ok());
            std::mem::forget(rx.poll());
        }
        drop(rx.poll());
        assert_eq!(tx.free_buffers(), 8);
    }

    #[test]
    fn the_two_ends_of_a_pair_hear_each_other() {
        let (mut left, mut right) = pair(LinkConfig::default());
        let mut slot = left.tx.reserve().unwrap();
        slot[..4].copy_from_slice(b"ping");
        assert!(left.tx.send(slot, 4).is_ok());
        {
            let burst = right.rx.poll();
            assert_eq!(burst.frame(0).bytes, b"ping");
            // The answer leaves while the question is still borrowed.
            let mut slot = right.tx.reserve().unwrap();
            slot[..4].copy_from_slice(b"pong");
            assert!(right.tx.send(slot, 4).is_ok());
        }
        let mut heard = Vec::new();
        left.rx.drain(|frame| heard.extend_from_slice(frame));
        assert_eq!(heard, b"pong");
        assert_eq!(left.rx.drain(|_| {}), 0);
    }
}
