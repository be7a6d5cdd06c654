//! Stage stamps of the message in hand.
//!
//! Reading the TSC costs about as much as a book update's cheapest part, so a message is stamped only when its frame is
//! one of the sampled ones; `sample_every = 1` stamps all. The time is the loop's own, given with each call.

use crate::nic::TxQueue;
use crate::stats::clock::Clock;
use crate::stats::stages::{COLD_AFTER, StageRecorder, StageSample, Stamp};
use crate::strategy::Marks;
use crate::tsc::TimeSource;

/// The stamps of the message in hand, and where finished ones go.
pub struct Stamps {
    recorder: StageRecorder,
    /// One frame in so many is stamped; 0 = none.
    every: u32,
    countdown: u32,
    on: bool,
    /// When the poll began that brought the frame in hand, and when it returned.
    polled: u64,
    received: u64,
    /// Silence that makes the next frame a cold one, ticks.
    cold_after: u64,
    cold: bool,
    /// A message of the burst in hand was stamped.
    later: bool,
    /// When the work on the message in hand began.
    began: u64,
    sample: StageSample,
}

impl Stamps {
    /// Stamps one frame in `every` (0 = none) into `recorder`.
    #[must_use]
    pub fn new(recorder: StageRecorder, every: u32, clock: &Clock) -> Self {
        Self {
            recorder,
            every,
            countdown: every,
            on: false,
            polled: 0,
            received: 0,
            cold_after: clock.ticks(COLD_AFTER),
            cold: false,
            later: false,
            began: 0,
            sample: StageSample::new(0),
        }
    }

    /// The time at which a poll begins, where anybody wants to know.
    #[inline]
    pub(super) fn poll(&self, time: &impl TimeSource) -> u64 {
        if self.every == 0 { 0 } else { time.now() }
    }

    /// Frames were received by a poll from TSC `polled` to `received`.
    #[inline]
    pub(super) const fn burst(&mut self, polled: u64, received: u64) {
        self.cold = received.saturating_sub(self.received) >= self.cold_after;
        self.later = false;
        self.polled = polled;
        self.received = received;
    }

    /// The next frame of the burst is taken in hand.
    #[inline]
    pub(super) fn frame(&mut self, time: &impl TimeSource) {
        self.on = false;
        if self.every != 0 {
            self.countdown -= 1;
            if self.countdown == 0 {
                self.countdown = self.every;
                self.on = true;
                self.began = time.now();
            }
        }
    }

    #[inline]
    pub(super) fn begin(&mut self) {
        if self.on {
            self.sample = StageSample::new(self.polled).cold(self.cold).later(self.later);
            self.sample.mark(Stamp::Received, self.received);
            self.sample.mark(Stamp::Begun, self.began);
        }
    }

    #[inline]
    fn mark(&mut self, stamp: Stamp, time: &impl TimeSource) {
        if self.on {
            self.sample.mark(stamp, time.now());
        }
    }

    #[inline]
    pub(super) fn decoded(&mut self, time: &impl TimeSource) {
        self.mark(Stamp::Decoded, time);
    }

    #[inline]
    pub(super) fn booked(&mut self, time: &impl TimeSource) {
        self.mark(Stamp::Booked, time);
    }

    #[inline]
    pub(super) fn decided(&mut self, time: &impl TimeSource) {
        self.mark(Stamp::Decided, time);
    }

    #[inline]
    pub(super) fn checked(&mut self, time: &impl TimeSource) {
        self.mark(Stamp::Checked, time);
    }

    /// It was sent: at `rung`, or now where the doorbell was not asked.
    #[inline]
    pub(super) fn sent(&mut self, rung: Option<u64>, time: &impl TimeSource) {
        if self.on {
            self.sample.mark(Stamp::Sent, rung.unwrap_or_else(|| time.now()));
        }
    }

    /// `tx`, which tells when it was rung.
    #[inline]
    pub(super) const fn doorbell<'a, T, C>(&self, tx: &'a mut T, time: &'a C) -> Doorbell<'a, T, C> {
        Doorbell { tx, time, asked: self.on, rung: None }
    }

    /// The work on the message in hand is done; the next one of the frame begins now.
    #[inline]
    pub(super) fn end(&mut self, time: &impl TimeSource) {
        if self.on {
            self.recorder.record(self.sample);
            // Only the first message of a burst finds the loop cold.
            self.cold = false;
            self.later = true;
            self.began = time.now();
        }
    }

    /// What a strategy marks its parts with, by `time`.
    #[inline]
    pub(super) const fn marks<'a, C: TimeSource>(&'a mut self, time: &'a C) -> StampMarks<'a, C> {
        StampMarks { stamps: self, time }
    }

    /// Samples lost because the control thread did not take them in time.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.recorder.dropped()
    }
}

/// The parts of a decision, stamped by the loop's time.
pub(super) struct StampMarks<'a, C> {
    stamps: &'a mut Stamps,
    time: &'a C,
}

impl<C: TimeSource> Marks for StampMarks<'_, C> {
    #[inline]
    fn featured(&mut self) {
        self.stamps.mark(Stamp::Featured, self.time);
    }

    #[inline]
    fn inferred(&mut self) {
        self.stamps.mark(Stamp::Inferred, self.time);
    }
}

/// A transmit queue that notes when it has taken a frame. What a session still has to note for itself afterwards does not keep
/// an order from the wire.
pub(super) struct Doorbell<'a, T, C> {
    tx: &'a mut T,
    time: &'a C,
    asked: bool,
    rung: Option<u64>,
}

impl<T, C> Doorbell<'_, T, C> {
    /// When the last frame was taken, in ticks; `None`: none was, or nobody wanted to know.
    #[inline]
    pub(super) const fn rung(&self) -> Option<u64> {
        self.rung
    }
}

impl<T: TxQueue, C: TimeSource> TxQueue for Doorbell<'_, T, C> {
    type Slot = T::Slot;

    #[inline]
    fn reserve(&mut self) -> Option<Self::Slot> {
        self.tx.reserve()
    }

    #[inline]
    fn send(&mut self, slot: Self::Slot, len: u16) -> Result<(), Self::Slot> {
        self.tx.send(slot, len)?;
        if self.asked {
            self.rung = Some(self.time.now());
        }
        Ok(())
    }

    fn reclaim(&mut self) -> usize {
        self.tx.reclaim()
    }

    fn warm(&mut self) {
        self.tx.warm();
    }
}
