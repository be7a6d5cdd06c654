//! Transmitting.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr,
    rc::Rc,
};

use dpdk_sys::{self as sys, rte_mempool};

use super::{NotSend, TxHandle};
use crate::{
    nic::TxQueue,
    pmd::{burst, mbuf::Mbuf},
};

/// A transmit queue of a port, used by the thread that made it.
#[derive(Debug)]
pub struct DpdkTx {
    port: u16,
    queue: u16,
    /// Bytes of a slot.
    room: u16,
    pool: *mut rte_mempool,
    /// The driver can tell which buffers it is done with.
    can_reclaim: bool,
    /// Shared with the slots that are out: a slot may outlive the queue, and needs the port's pool.
    handle: Rc<TxHandle>,
    _not_send: NotSend,
}

impl DpdkTx {
    pub(super) fn new(handle: TxHandle) -> Self {
        let shared = &handle.shared;
        Self {
            port: shared.id(),
            queue: handle.queue,
            room: shared.frame_room,
            pool: shared.tx[usize::from(handle.queue)].pool.as_ptr(),
            can_reclaim: true,
            handle: Rc::new(handle),
            _not_send: PhantomData,
        }
    }

    /// The port's name.
    #[must_use]
    pub fn port_name(&self) -> &str {
        &self.handle.shared.name
    }
}

impl TxQueue for DpdkTx {
    type Slot = TxSlot;

    #[inline]
    fn reserve(&mut self) -> Option<TxSlot> {
        // SAFETY: a live pool (the handle's share keeps it so).
        let mbuf = unsafe { sys::shim_pktmbuf_alloc(self.pool) };
        if mbuf.is_null() {
            return None;
        }
        // SAFETY: just allocated, ours.
        let mbuf = unsafe { Mbuf::new(mbuf) };
        debug_assert!(mbuf.room() >= self.room);
        Some(TxSlot { mbuf, len: self.room, handle: Rc::clone(&self.handle) })
    }

    #[inline]
    fn send(&mut self, slot: TxSlot, len: u16) -> Result<(), TxSlot> {
        // A slot of another queue has another pool, which fast-free transmit does not allow.
        if len == 0 || len > slot.len || !Rc::ptr_eq(&slot.handle, &self.handle) {
            return Err(slot);
        }
        slot.mbuf.set_len(len);
        let mut mbuf = slot.mbuf.as_ptr();
        // SAFETY: a started port with this queue, ours alone; one mbuf that is ours.
        if unsafe { burst::tx(self.port, self.queue, &raw mut mbuf, 1) } == 0 {
            return Err(slot);
        }
        slot.forget();
        Ok(())
    }

    fn reclaim(&mut self) -> usize {
        if !self.can_reclaim {
            return 0;
        }
        // SAFETY: a started port with this queue, ours alone. 0: as many as there are.
        let freed = unsafe { sys::rte_eth_tx_done_cleanup(self.port, self.queue, 0) };
        self.can_reclaim = freed >= 0;
        usize::try_from(freed).unwrap_or(0)
    }

    /// Takes the buffer that the next [`reserve`](TxQueue::reserve) will get (the cache is last in, first out), brings
    /// its first lines and the queue's entry into the cache, and puts it back.
    fn warm(&mut self) {
        let ops = (&raw const sys::rte_eth_fp_ops).cast::<sys::rte_eth_fp_ops>();
        let entry = ops.wrapping_add(usize::from(self.port)).cast::<i8>();
        // The transmit half is the second line.
        // SAFETY: a prefetch has no effect but on the cache, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(entry.wrapping_add(64)) };
        if let Some(slot) = self.reserve() {
            for line in [0, 64] {
                let address = slot.mbuf.data().wrapping_add(line);
                // SAFETY: as above.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast_const().cast()) };
            }
        }
    }
}

/// A buffer to write a frame into. Dropped unsent, it goes back to its pool.
#[derive(Debug)]
pub struct TxSlot {
    mbuf: Mbuf,
    len: u16,
    handle: Rc<TxHandle>,
}

impl TxSlot {
    /// The driver has the buffer now.
    #[inline]
    fn forget(self) {
        let slot = ManuallyDrop::new(self);
        // SAFETY: the slot is never used or dropped again, so its share is taken out once.
        drop(unsafe { ptr::read(&raw const slot.handle) });
    }
}

impl Deref for TxSlot {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the buffer has that much room (see `Pool::new`), is ours alone, and its memory was mapped zeroed, so
        // every byte has a value.
        unsafe { std::slice::from_raw_parts(self.mbuf.data(), usize::from(self.len)) }
    }
}

impl DerefMut for TxSlot {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.mbuf.data(), usize::from(self.len)) }
    }
}

impl Drop for TxSlot {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: ours: what was sent is never dropped (`forget`). The pool lives: the handle's share keeps EAL up.
        unsafe { sys::shim_pktmbuf_free(self.mbuf.as_ptr()) };
    }
}
