//! Transmitting.
#![allow(unsafe_code, reason = "slots stand in memory that a NIC reads")]

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::rc::Rc;

use super::{BUFFER, Core, EfviCounters, Vi};
use crate::nic::TxQueue;

/// The sending half of a VI.
pub struct EfviTx<V: Vi> {
    core: Rc<Core<V>>,
}

impl<V: Vi> EfviTx<V> {
    pub(super) fn new(core: Rc<Core<V>>) -> Self {
        Self { core }
    }

    /// What the VI counted so far, receiving and sending.
    #[must_use]
    pub fn counters(&self) -> EfviCounters {
        self.core.state.borrow().ledger.counters
    }
}

impl<V: Vi> TxQueue for EfviTx<V> {
    type Slot = TxSlot<V>;

    #[inline]
    fn reserve(&mut self) -> Option<TxSlot<V>> {
        let mut state = self.core.state.borrow_mut();
        let (id, start) = loop {
            if let Some(taken) = state.ledger.take_tx() {
                break taken;
            }
            // Completions may wait behind frames, which then wait for the next receive poll. That ends: none of their
            // buffers is posted again in here.
            if state.collect() == 0 {
                state.ledger.counters.send_no_buffer += 1;
                return None;
            }
        };
        drop(state);
        Some(TxSlot { id, start, core: Rc::clone(&self.core) })
    }

    #[inline]
    fn send(&mut self, slot: TxSlot<V>, len: u16) -> Result<(), TxSlot<V>> {
        // A slot of another VI is in memory that this one cannot read.
        if len == 0 || usize::from(len) > BUFFER || !Rc::ptr_eq(&slot.core, &self.core) {
            return Err(slot);
        }
        let state = &mut *self.core.state.borrow_mut();
        let (vi, ledger) = (&mut state.vi, &mut state.ledger);
        // Asked before: after a cut-through write it is too late for a fall-back that finds no room.
        let done = if ledger.is_broken() || !vi.transmit_space() {
            Err(super::Full)
        } else {
            let address = ledger.address(slot.id);
            if vi.cuts_through(usize::from(len)) {
                vi.transmit_cut_through(&slot[..usize::from(len)]);
                vi.transmit_fallback(address, len, slot.id)
            } else {
                vi.transmit(address, len, slot.id)
            }
        };
        if done.is_err() {
            ledger.counters.send_full += 1;
            return Err(slot);
        }
        ledger.sent(slot.id);
        slot.forget();
        Ok(())
    }

    fn reclaim(&mut self) -> usize {
        let mut state = self.core.state.borrow_mut();
        state.collect();
        state.ledger.freed()
    }

    /// Goes the way of a frame with the buffer that the next [`reserve`](TxQueue::reserve) will get.
    fn warm(&mut self) {
        let Some(slot) = self.reserve() else { return };
        let state = &mut *self.core.state.borrow_mut();
        let address = state.ledger.address(slot.id);
        state.vi.warm(&slot[..WARM], address);
    }
}

/// Bytes of the frame that warms: about an order's.
const WARM: usize = 128;

/// A buffer to write a frame into. Dropped unsent, it is free again.
pub struct TxSlot<V: Vi> {
    id: u32,
    start: *mut u8,
    core: Rc<Core<V>>,
}

impl<V: Vi> TxSlot<V> {
    /// The NIC has the buffer now.
    #[inline]
    fn forget(self) {
        let slot = ManuallyDrop::new(self);
        // SAFETY: the slot is never used or dropped again, so its share is taken out once.
        drop(unsafe { ptr::read(&raw const slot.core) });
    }
}

impl<V: Vi> Deref for TxSlot<V> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: a whole buffer of the memory that the share keeps mapped, this slot's alone until it is sent; mapped
        // zeroed, so every byte has a value.
        unsafe { std::slice::from_raw_parts(self.start, BUFFER) }
    }
}

impl<V: Vi> DerefMut for TxSlot<V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start, BUFFER) }
    }
}

impl<V: Vi> Drop for TxSlot<V> {
    #[inline]
    fn drop(&mut self) {
        self.core.state.borrow_mut().ledger.give_tx(self.id);
    }
}
