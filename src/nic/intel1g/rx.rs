//! Receiving: a ring of descriptors, each with a buffer of its own for ever.
//!
//! ```text
//!            dirty        next                      tail
//!   ──────────┼────────────┼─────────────────────────┼────────── ring, 2ⁿ descriptors
//!    the device's  borrowed     the device's: DD = 0      one that never is the device's
//!                  (a burst)    until a frame is in it    (head = tail would mean "none", not "all")
//! ```
//!
//! [`RxQueue::poll`] reads the descriptor at `next`. Without DD in it nothing has come. Otherwise it takes descriptors until one
//! is not ready, and lends their buffers as they are. Dropping the burst arms them again (address in, status out) and now and
//! then tells the device by the tail register: a register write costs more than all the rest, and a ring of hundreds does not
//! miss a few. Nothing is copied and no buffer ever changes its place, because a burst is gone before the next poll.
//!
//! What a device writes is not believed: a length beyond the buffer is counted and dropped, whatever the descriptor says.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::memory::{BUFFER, Part, STRIDE};
use super::port::Shared;
use super::{Device, registers as reg};
use crate::nic::{
    Frame, IP_CSUM_BAD, IP_CSUM_GOOD, L4_CSUM_BAD, L4_CSUM_GOOD, MAX_BURST, RxBurst, RxDrops, RxQueue,
};

/// A receive descriptor: 82574 §7.1 "extended" (with RFCTL.EXSTEN), 82576 §7.1 "advanced, one buffer". Both read and write
/// the words that count here alike.
#[repr(C, align(16))]
pub(crate) struct Descriptor {
    /// To the device: where the buffer is. From the device: checksums and hashes, not used.
    address: u64,
    /// To the device: 0. From the device: status in bits 19:0, errors in 31:20, bytes in 47:32, VLAN tag in 63:48.
    status: u64,
}

/// The device is done with the descriptor.
const DONE: u64 = 1 << 0;
/// The frame ends in this buffer.
const END: u64 = 1 << 1;
/// The checksum bits mean nothing.
const IGNORE_CHECKSUMS: u64 = 1 << 2;
/// The UDP or TCP checksum was looked at.
const L4_CHECKED: u64 = 1 << 5;
/// The IPv4 header checksum was looked at.
const IP_CHECKED: u64 = 1 << 6;
/// … and was wrong.
const L4_WRONG: u64 = 1 << 29;
const IP_WRONG: u64 = 1 << 30;
/// Damaged on the wire: CRC, symbol, sequence, carrier extension, data. Such frames come only if asked for (RCTL.SBP).
const DAMAGED: u64 = 1 << 24 | 1 << 25 | 1 << 26 | 1 << 28 | 1 << 31;

/// Frames that came and were not handed on, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxCounters {
    /// Longer than a buffer: the device put them into several.
    pub segmented: u64,
    /// The device states more bytes than a buffer has.
    pub overlong: u64,
    /// The device states no bytes at all.
    pub empty: u64,
    /// The device says that the frame is damaged.
    pub damaged: u64,
}

/// The receive queue, on its way to the thread that polls it.
#[derive(Debug)]
pub struct RxHandle<D: Device> {
    pub(crate) shared: Arc<Shared<D>>,
}

impl<D: Device> RxHandle<D> {
    /// Makes the queue, on the thread that will poll it.
    #[must_use]
    pub fn attach(self) -> Rx<D> {
        Rx::new(self)
    }
}

/// A frame of the burst that is out.
#[derive(Clone, Copy, Debug)]
struct Taken {
    index: u32,
    /// As read once: what the device writes later does not change it.
    status: u64,
}

/// The receive queue, polled by the thread that made it.
#[derive(Debug)]
pub struct Rx<D: Device> {
    ring: NonNull<Descriptor>,
    buffers: Part,
    /// Number of descriptors - 1.
    mask: u32,
    /// The descriptor that is looked at next. Counts on; `& mask` is its place.
    next: u32,
    /// The first descriptor that is not armed. `dirty .. next` is what a burst has borrowed.
    dirty: u32,
    /// `dirty` as it was when the device was last told.
    told: u32,
    /// Descriptors that are armed before the device is told.
    batch: u32,
    /// The frame that is being dropped goes on in the next descriptor.
    inside: bool,
    taken: [Taken; MAX_BURST],
    counters: RxCounters,
    handle: RxHandle<D>,
    /// Stays on its thread.
    _not_send: PhantomData<*const ()>,
}

impl<D: Device> Rx<D> {
    fn new(handle: RxHandle<D>) -> Self {
        let shared = &handle.shared;
        let (ring, buffers) = (shared.part(shared.layout.rx_ring), shared.part(shared.layout.rx_buffers));
        let count = u32::from(shared.config.rx_descriptors);
        Self {
            ring: ring.base.cast(),
            buffers,
            mask: count - 1,
            next: 0,
            dirty: 0,
            told: 0,
            batch: (count / 4).min(MAX_BURST as u32),
            inside: false,
            taken: [Taken { index: 0, status: 0 }; MAX_BURST],
            counters: RxCounters::default(),
            handle,
            _not_send: PhantomData,
        }
    }

    /// What this queue had to drop so far.
    #[must_use]
    pub fn counters(&self) -> RxCounters {
        self.counters
    }

    /// The status word of a descriptor, as the device wrote it last.
    #[inline(always)]
    fn status(&self, at: u32) -> u64 {
        // SAFETY: `& mask` stays within the ring, which lives as long as the handle's share of the port; the word is aligned,
        // so it is read in one piece: status and length are of one moment. Volatile: the device changes it.
        unsafe { (&raw const (*self.ring.as_ptr().add((at & self.mask) as usize)).status).read_volatile() }
    }

    #[inline(always)]
    fn buffer(&self, index: u32) -> *mut u8 {
        // SAFETY: an index of the ring has a buffer, within the window.
        unsafe { self.buffers.base.as_ptr().add(index as usize * STRIDE) }
    }

    /// Takes descriptors from `next` on, the first of which has `status`. Returns how many frames are good.
    #[inline]
    fn collect(&mut self, mut status: u64) -> usize {
        let mut good = 0;
        for _ in 0..MAX_BURST {
            let index = self.next & self.mask;
            self.next = self.next.wrapping_add(1);
            if self.is_good(status) {
                // SAFETY: a prefetch has no effect but on the cache, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(self.buffer(index).cast_const().cast()) };
                self.taken[good] = Taken { index, status };
                good += 1;
            }
            status = self.status(self.next);
            if status & DONE == 0 {
                break;
            }
        }
        // Frames are read after the descriptors that announce them. x86 keeps reads in order, so this only keeps the compiler
        // from moving them; a port to ARM needs a barrier that orders device memory as well (dmb oshld), which this is not.
        fence(Ordering::Acquire);
        good
    }

    #[inline(always)]
    fn is_good(&mut self, status: u64) -> bool {
        let bytes = length(status);
        let whole = status & (END | DAMAGED) == END && !self.inside;
        if whole && bytes.wrapping_sub(1) < BUFFER {
            return true;
        }
        self.refuse(status);
        false
    }

    /// Counts a frame once, at its end.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, status: u64) {
        if status & END == 0 {
            self.inside = true;
            return;
        }
        let was_inside = std::mem::take(&mut self.inside);
        let counter = if was_inside {
            &mut self.counters.segmented
        } else if status & DAMAGED != 0 {
            &mut self.counters.damaged
        } else if length(status) == 0 {
            &mut self.counters.empty
        } else {
            &mut self.counters.overlong
        };
        *counter += 1;
    }

    /// Arms what the burst had, and tells the device of it now and then.
    #[inline]
    fn give_back(&mut self) {
        while self.dirty != self.next {
            let index = self.dirty & self.mask;
            let address = self.buffers.iova + u64::from(index) * STRIDE as u64;
            // SAFETY: within the ring; the device does not own this descriptor until the tail passes it.
            unsafe { arm(self.ring.as_ptr().add(index as usize), address) };
            self.dirty = self.dirty.wrapping_add(1);
        }
        if self.dirty.wrapping_sub(self.told) >= self.batch {
            self.told = self.dirty;
            // The device reads descriptors after it is told: `Device::write` comes after what was written to memory.
            self.handle.shared.device.write(reg::RDT, self.dirty.wrapping_sub(1) & self.mask);
        }
    }
}

/// Makes a descriptor ready for the device.
///
/// # Safety
/// `descriptor` is a descriptor of a receive ring that the device does not own.
#[inline(always)]
pub(crate) unsafe fn arm(descriptor: *mut Descriptor, address: u64) {
    // SAFETY: as the caller says. Volatile: the device reads it.
    unsafe {
        (&raw mut (*descriptor).address).write_volatile(address);
        (&raw mut (*descriptor).status).write_volatile(0);
    }
}

#[inline(always)]
const fn length(status: u64) -> usize {
    (status >> 32) as usize & 0xffff
}

#[inline(always)]
fn checksums(status: u64) -> u32 {
    if status & IGNORE_CHECKSUMS != 0 {
        return 0;
    }
    let verdict = |checked: bool, wrong: bool, good: u32, bad: u32| match (checked, wrong) {
        (false, _) => 0,
        (true, false) => good,
        (true, true) => bad,
    };
    verdict(status & IP_CHECKED != 0, status & IP_WRONG != 0, IP_CSUM_GOOD, IP_CSUM_BAD)
        | verdict(status & L4_CHECKED != 0, status & L4_WRONG != 0, L4_CSUM_GOOD, L4_CSUM_BAD)
}

impl<D: Device> RxQueue for Rx<D> {
    type Burst<'q>
        = Burst<'q, D>
    where
        Self: 'q;

    #[inline]
    fn poll(&mut self) -> Burst<'_, D> {
        let status = self.status(self.next);
        let len = if status & DONE == 0 { 0 } else { self.collect(status) };
        Burst { rx: self, len }
    }

    fn drops(&self) -> RxDrops {
        let RxCounters { segmented, overlong, empty, damaged } = self.counters;
        RxDrops { segmented, truncated: overlong + empty + damaged }
    }
}

/// The frames of one poll; dropping it gives their buffers back to the device.
#[derive(Debug)]
pub struct Burst<'q, D: Device> {
    rx: &'q mut Rx<D>,
    len: usize,
}

impl<D: Device> RxBurst for Burst<'_, D> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn frame(&self, i: usize) -> Frame<'_> {
        let Taken { index, status } = self.rx.taken[..self.len][i];
        // SAFETY: `collect` admits no length beyond the buffer; the device does not write into it until the burst is dropped.
        let bytes = unsafe { std::slice::from_raw_parts(self.rx.buffer(index), length(status)) };
        Frame { bytes, stamp: 0, flags: checksums(status) }
    }
}

impl<D: Device> Drop for Burst<'_, D> {
    #[inline]
    fn drop(&mut self) {
        // Not `len`: all that came may have been refused.
        if self.rx.dirty != self.rx.next {
            self.rx.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_bits() {
        assert_eq!(checksums(DONE | END), 0);
        assert_eq!(checksums(IP_CHECKED | L4_CHECKED), IP_CSUM_GOOD | L4_CSUM_GOOD);
        assert_eq!(checksums(IP_CHECKED | IP_WRONG | L4_CHECKED), IP_CSUM_BAD | L4_CSUM_GOOD);
        assert_eq!(checksums(IP_CHECKED | L4_CHECKED | L4_WRONG), IP_CSUM_GOOD | L4_CSUM_BAD);
        // Wrong without having been looked at, or not to be regarded, means nothing.
        assert_eq!(checksums(IP_WRONG | L4_WRONG), 0);
        assert_eq!(checksums(IGNORE_CHECKSUMS | IP_CHECKED | L4_CHECKED), 0);
    }

    #[test]
    fn lengths_are_sixteen_bits_of_the_status() {
        assert_eq!(length(0xabcd_05ea_0000_0003), 0x5ea);
        assert_eq!(length(u64::MAX), 0xffff);
    }
}
