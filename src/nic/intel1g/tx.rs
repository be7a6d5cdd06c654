//! Transmitting: buffers that are taken from a stack, and a ring of descriptors that names them in the order of sending.
//!
//! A slot is a buffer and no place in the ring, so slots may be sent in any order, or not at all. There is one buffer less than
//! descriptors: whoever holds a buffer finds a place in the ring. Each descriptor asks for a report (RS): the device sets DD
//! in it when it has read the frame, and [`TxQueue::reclaim`] puts the buffer back, in ring order. Where the stack is empty,
//! [`TxQueue::reserve`] looks for such reports itself, a few at a time.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

use super::memory::{Part, STRIDE, frame_room};
use super::port::Shared;
use super::{Device, registers as reg};
use crate::nic::TxQueue;

/// A transmit descriptor of the oldest form, which both controllers still take (82574 §7.2, 82576 §7.2, "legacy").
#[repr(C, align(16))]
pub(crate) struct Descriptor {
    address: u64,
    /// Bytes in 15:0, command in 31:24, status (the device's) in 35:32.
    command: u64,
}

/// One frame, whole, in this buffer; with FCS; report when it is done.
const SEND: u64 = (1 << 0 | 1 << 1 | 1 << 3) << 24;
/// The device has read the frame.
const DONE: u64 = 1 << 32;

/// Reports looked for at once when no buffer is free: bounds what an order may have to wait for.
const FEW: usize = 16;

/// The transmit queue, on its way to the thread that sends.
#[derive(Debug)]
pub struct TxHandle<D: Device> {
    pub(crate) shared: Arc<Shared<D>>,
}

impl<D: Device> TxHandle<D> {
    /// Makes the queue, on the thread that will send on it.
    #[must_use]
    pub fn attach(self) -> Tx<D> {
        Tx::new(self)
    }
}

/// The buffers, shared by the queue and the slots that are out.
#[derive(Debug)]
struct Buffers<D: Device> {
    part: Part,
    /// Bytes of a slot.
    room: u16,
    /// Free buffers, last in, first out: the one used last is still in the cache.
    free: Box<[Cell<u16>]>,
    count: Cell<usize>,
    /// Keeps the memory.
    shared: Arc<Shared<D>>,
}

impl<D: Device> Buffers<D> {
    #[inline(always)]
    fn take(&self) -> Option<u16> {
        let count = self.count.get().checked_sub(1)?;
        let buffer = self.free.get(count)?.get();
        self.count.set(count);
        Some(buffer)
    }

    #[inline(always)]
    fn give(&self, buffer: u16) {
        let count = self.count.get();
        // As many places as buffers, and each buffer is given once for each time it was taken.
        if let Some(place) = self.free.get(count) {
            place.set(buffer);
            self.count.set(count + 1);
        }
    }

    #[inline(always)]
    fn address(&self, buffer: u16) -> *mut u8 {
        // SAFETY: a number of a buffer, all of which lie within the window.
        unsafe { self.part.base.as_ptr().add(usize::from(buffer) * STRIDE) }
    }
}

/// The transmit queue, used by the thread that made it.
#[derive(Debug)]
pub struct Tx<D: Device> {
    ring: NonNull<Descriptor>,
    /// Number of descriptors - 1.
    mask: u32,
    /// The next descriptor to use. Counts on; `& mask` is its place.
    tail: u32,
    /// The first descriptor whose report is still awaited.
    head: u32,
    /// The buffer of each descriptor that is under way.
    owners: Box<[u16]>,
    buffers: Rc<Buffers<D>>,
    /// Stays on its thread.
    _not_send: PhantomData<*const ()>,
}

impl<D: Device> Tx<D> {
    fn new(TxHandle { shared }: TxHandle<D>) -> Self {
        let (ring, part) = (shared.part(shared.layout.tx_ring), shared.part(shared.layout.tx_buffers));
        let count = shared.config.tx_descriptors;
        let buffers = Buffers {
            part,
            room: frame_room(shared.config.mtu),
            free: (0..count - 1).map(Cell::new).collect(),
            count: Cell::new(usize::from(count) - 1),
            shared,
        };
        Self {
            ring: ring.base.cast(),
            mask: u32::from(count) - 1,
            tail: 0,
            head: 0,
            owners: vec![0; usize::from(count)].into_boxed_slice(),
            buffers: Rc::new(buffers),
            _not_send: PhantomData,
        }
    }

    /// Buffers that are free now, and all there are.
    #[must_use]
    pub fn buffers(&self) -> (usize, usize) {
        (self.buffers.count.get(), self.buffers.free.len())
    }

    #[inline(always)]
    fn descriptor(&self, at: u32) -> *mut Descriptor {
        // SAFETY: `& mask` stays within the ring, which lives as long as the share of the port in `buffers`.
        unsafe { self.ring.as_ptr().add((at & self.mask) as usize) }
    }

    /// Takes up to `most` reports.
    #[inline]
    fn collect(&mut self, most: usize) -> usize {
        let mut freed = 0;
        while freed < most && self.head != self.tail {
            // SAFETY: a descriptor of the ring, aligned. Volatile: the device writes it.
            let status = unsafe { (&raw const (*self.descriptor(self.head)).command).read_volatile() };
            if status & DONE == 0 {
                break;
            }
            self.buffers.give(self.owners[(self.head & self.mask) as usize]);
            self.head = self.head.wrapping_add(1);
            freed += 1;
        }
        freed
    }

    #[cold]
    #[inline(never)]
    fn reserve_after_reports(&mut self) -> Option<u16> {
        self.collect(FEW);
        self.buffers.take()
    }
}

impl<D: Device> TxQueue for Tx<D> {
    type Slot = Slot<D>;

    #[inline]
    fn reserve(&mut self) -> Option<Slot<D>> {
        let buffer = match self.buffers.take() {
            Some(buffer) => buffer,
            None => self.reserve_after_reports()?,
        };
        Some(Slot { buffer, buffers: Rc::clone(&self.buffers) })
    }

    #[inline]
    fn send(&mut self, slot: Slot<D>, len: u16) -> Result<(), Slot<D>> {
        if len == 0 || len > self.buffers.room || !Rc::ptr_eq(&slot.buffers, &self.buffers) {
            return Err(slot);
        }
        let buffer = slot.forget();
        let descriptor = self.descriptor(self.tail);
        let address = self.buffers.part.iova + u64::from(buffer) * STRIDE as u64;
        // SAFETY: a descriptor of the ring that the device does not own: at most one less than there are is under way, for
        // there are no more buffers. Volatile: the device reads it.
        unsafe {
            (&raw mut (*descriptor).address).write_volatile(address);
            (&raw mut (*descriptor).command).write_volatile(SEND | u64::from(len));
        }
        self.owners[(self.tail & self.mask) as usize] = buffer;
        self.tail = self.tail.wrapping_add(1);
        // The doorbell. The device reads frame and descriptor after it: `Device::write` comes after what was written to memory.
        self.buffers.shared.device.write(reg::TDT, self.tail & self.mask);
        Ok(())
    }

    fn reclaim(&mut self) -> usize {
        self.collect(usize::MAX)
    }

    /// Touches the buffer and the descriptor that the next send will use.
    fn warm(&mut self) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        if let Some(slot) = self.reserve() {
            for address in [slot.as_ptr(), slot.as_ptr().wrapping_add(64), self.descriptor(self.tail).cast()]
            {
                // SAFETY: a prefetch has no effect but on the cache, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
            }
        }
    }
}

/// A buffer to write a frame into. Dropped unsent, it is free again.
#[derive(Debug)]
pub struct Slot<D: Device> {
    buffer: u16,
    buffers: Rc<Buffers<D>>,
}

impl<D: Device> Slot<D> {
    /// The device has the buffer now.
    #[inline(always)]
    fn forget(self) -> u16 {
        let slot = ManuallyDrop::new(self);
        // SAFETY: the slot is never used or dropped again, so its share is taken out once.
        drop(unsafe { ptr::read(&raw const slot.buffers) });
        slot.buffer
    }
}

impl<D: Device> Drop for Slot<D> {
    #[inline]
    fn drop(&mut self) {
        self.buffers.give(self.buffer);
    }
}

impl<D: Device> Deref for Slot<D> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: a buffer has more room than that and is this slot's alone; its memory was zeroed, so every byte has a value.
        unsafe {
            std::slice::from_raw_parts(self.buffers.address(self.buffer), usize::from(self.buffers.room))
        }
    }
}

impl<D: Device> DerefMut for Slot<D> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe {
            std::slice::from_raw_parts_mut(self.buffers.address(self.buffer), usize::from(self.buffers.room))
        }
    }
}
