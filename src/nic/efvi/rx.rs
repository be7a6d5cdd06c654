//! Receiving.
#![allow(unsafe_code, reason = "frames stand in memory that a NIC wrote")]

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::rc::Rc;

use super::ledger::Arrival;
use super::{Core, EfviCounters, Vi};
use crate::nic::{Frame, HW_STAMP, MAX_BURST, RxBurst, RxDrops, RxQueue};

/// The receiving half of a VI.
pub struct EfviRx<V: Vi> {
    core: Rc<Core<V>>,
    /// The burst that is out, up to `len`; beyond it leftovers that are never read.
    held: [Arrival; MAX_BURST],
    len: usize,
}

impl<V: Vi> EfviRx<V> {
    pub(super) fn new(core: Rc<Core<V>>) -> Self {
        Self { core, held: [Arrival::NOTHING; MAX_BURST], len: 0 }
    }

    /// What the VI counted so far, receiving and sending.
    #[must_use]
    pub fn counters(&self) -> EfviCounters {
        self.core.state.borrow().ledger.counters
    }

    fn give_back(&mut self) {
        if self.len == 0 {
            return;
        }
        let state = &mut *self.core.state.borrow_mut();
        for frame in &self.held[..self.len] {
            if let Some(packet) = state.ledger.give_back(frame) {
                state.vi.release(packet);
            }
        }
        self.len = 0;
    }
}

impl<V: Vi> RxQueue for EfviRx<V> {
    type Burst<'q>
        = EfviBurst<'q, V>
    where
        V: 'q;

    #[inline]
    fn poll(&mut self) -> EfviBurst<'_, V> {
        // Only a burst that was forgotten instead of dropped leaves anything here.
        self.give_back();
        let mut state = self.core.state.borrow_mut();
        state.collect();
        self.len = state.ledger.hand_out(&mut self.held);
        if self.len == 0 && state.ledger.is_short() {
            state.refill();
        }
        drop(state);
        for frame in &self.held[..self.len] {
            // SAFETY: a prefetch has no effect but on the cache, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(frame.start.cast()) };
        }
        EfviBurst { rx: self }
    }

    #[inline]
    fn refill(&mut self) {
        self.core.state.borrow_mut().refill();
    }

    fn drops(&self) -> RxDrops {
        self.core.state.borrow().ledger.drops
    }
}

/// The frames of one poll; dropping it gives their buffers back.
pub struct EfviBurst<'q, V: Vi> {
    rx: &'q mut EfviRx<V>,
}

impl<V: Vi> RxBurst for EfviBurst<'_, V> {
    #[inline]
    fn len(&self) -> usize {
        self.rx.len
    }

    #[inline]
    fn frame(&self, i: usize) -> Frame<'_> {
        let frame = self.rx.held[..self.rx.len][i];
        // SAFETY: either in a buffer that the NIC has given back, of which the ledger has checked the length, and which
        // is not posted before this burst is dropped; or lent, which `Vi` answers for until it is released, then too.
        let bytes = unsafe { std::slice::from_raw_parts(frame.start, usize::from(frame.len)) };
        // No verdict on checksums: frames with a wrong one come as discards, but whether the NIC looked is not told.
        let flags = if frame.stamp.is_some() { HW_STAMP } else { 0 };
        Frame { bytes, stamp: frame.stamp.unwrap_or(0), flags }
    }
}

impl<V: Vi> Drop for EfviBurst<'_, V> {
    #[inline]
    fn drop(&mut self) {
        self.rx.give_back();
    }
}

impl<V: Vi> Drop for EfviRx<V> {
    fn drop(&mut self) {
        self.give_back();
    }
}
