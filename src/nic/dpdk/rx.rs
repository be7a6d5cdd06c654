//! Receiving.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::{marker::PhantomData, ptr};

use dpdk_sys::{self as sys, rte_mbuf};

use super::{NotSend, RxHandle};
use crate::{
    nic::{
        Frame, HW_STAMP, IP_CSUM_BAD, IP_CSUM_GOOD, L4_CSUM_BAD, L4_CSUM_GOOD, MAX_BURST, RxBurst, RxDrops,
        RxQueue,
    },
    pmd::{Stamp, burst, mbuf::Mbuf},
};

/// The mbufs of one poll, from the first on; beyond them leftovers that are never read.
pub(super) type Mbufs = [*mut rte_mbuf; MAX_BURST];

/// A receive queue of a port, polled by the thread that made it.
#[derive(Debug)]
pub struct DpdkRx {
    intake: Intake,
    mbufs: Mbufs,
    _not_send: NotSend,
}

impl DpdkRx {
    pub(super) fn new(handle: RxHandle) -> Self {
        Self { intake: Intake::new(handle), mbufs: [ptr::null_mut(); MAX_BURST], _not_send: PhantomData }
    }

    /// The port's name.
    #[must_use]
    pub fn port_name(&self) -> &str {
        &self.intake.handle.shared.name
    }
}

impl RxQueue for DpdkRx {
    type Burst<'q> = DpdkBurst<'q>;

    #[inline]
    fn poll(&mut self) -> DpdkBurst<'_> {
        let len = self.intake.receive(&mut self.mbufs);
        // SAFETY: these were just received, and the burst before is dropped, for it borrowed `self`.
        unsafe { DpdkBurst::new(&mut self.mbufs, len, self.intake.stamp) }
    }

    fn drops(&self) -> RxDrops {
        self.intake.drops
    }
}

/// What receives from one queue.
#[derive(Debug)]
pub(super) struct Intake {
    port: u16,
    queue: u16,
    pub(super) stamp: Stamp,
    pub(super) drops: RxDrops,
    handle: RxHandle,
}

impl Intake {
    pub(super) fn new(handle: RxHandle) -> Self {
        Self {
            port: handle.shared.id(),
            queue: handle.queue,
            stamp: handle.shared.stamp,
            drops: RxDrops::default(),
            handle,
        }
    }

    /// Receives into the first places of `mbufs`; returns how many, all of them ours and whole.
    #[inline]
    pub(super) fn receive(&mut self, mbufs: &mut Mbufs) -> usize {
        // SAFETY: a started port with this queue (the handle's share keeps it so), ours alone (claimed; whoever has an
        // `Intake` keeps it on its thread), room for MAX_BURST.
        let received = unsafe { burst::rx(self.port, self.queue, mbufs.as_mut_ptr(), MAX_BURST as u16) };
        if received == 0 { 0 } else { self.screen(mbufs, usize::from(received)) }
    }

    /// Prefetches the frames' first bytes and takes out those that are not whole in one buffer. Returns how many
    /// stay, in order.
    #[inline]
    fn screen(&mut self, mbufs: &mut Mbufs, received: usize) -> usize {
        let mut whole = 0;
        for i in 0..received {
            // SAFETY: the driver has just handed over mbufs 0..received.
            let mbuf = unsafe { Mbuf::new(mbufs[i]) };
            prefetch(mbuf);
            if mbuf.pkt_len() == u32::from(mbuf.data_len()) {
                mbufs[whole] = mbuf.as_ptr();
                whole += 1;
            } else {
                self.drop_broken(mbuf);
            }
        }
        whole
    }

    #[cold]
    #[inline(never)]
    fn drop_broken(&mut self, mbuf: Mbuf) {
        if mbuf.segments() > 1 {
            self.drops.segmented += 1;
        } else {
            self.drops.truncated += 1;
        }
        // SAFETY: ours, handed over by the driver, and not among those that stay.
        unsafe { sys::shim_pktmbuf_free(mbuf.as_ptr()) };
    }
}

/// Brings the first bytes of a frame into the cache.
#[inline]
pub(super) fn prefetch(mbuf: Mbuf) {
    // SAFETY: a prefetch has no effect but on the cache, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(mbuf.data().cast_const().cast()) };
}

/// The frames of one poll; dropping it gives their buffers back, or its share of them.
#[derive(Debug)]
pub struct DpdkBurst<'q> {
    mbufs: &'q mut Mbufs,
    len: usize,
    stamp: Stamp,
}

impl<'q> DpdkBurst<'q> {
    /// # Safety
    /// The first `len` of `mbufs` are ours, each whole in one segment, and nobody writes them; `stamp` is of their port.
    #[inline]
    pub(super) unsafe fn new(mbufs: &'q mut Mbufs, len: usize, stamp: Stamp) -> Self {
        Self { mbufs, len, stamp }
    }
}

impl RxBurst for DpdkBurst<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn frame(&self, i: usize) -> Frame<'_> {
        // SAFETY: mbufs 0..len are ours until the burst is dropped.
        let mbuf = unsafe { Mbuf::new(self.mbufs[..self.len][i]) };
        // SAFETY: the driver wrote that many bytes there; nobody writes them while the burst lives.
        let bytes = unsafe { std::slice::from_raw_parts(mbuf.data(), usize::from(mbuf.data_len())) };
        let ol_flags = mbuf.flags();
        let mut flags = checksum_flags(ol_flags);
        let stamp = if ol_flags & self.stamp.flag != 0 {
            flags |= HW_STAMP;
            // SAFETY: a non-zero flag means that the offset was looked up for the 64-bit receive time.
            unsafe { mbuf.dynamic_u64(self.stamp.offset) }
        } else {
            0
        };
        Frame { bytes, stamp, flags }
    }
}

impl Drop for DpdkBurst<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: mbufs 0..len are ours, and nobody here reads them after this.
            unsafe { sys::rte_pktmbuf_free_bulk(self.mbufs.as_mut_ptr(), self.len as u32) };
        }
    }
}

/// An mbuf says good, bad, unknown or "of no consequence" in two bits each.
#[inline(always)]
fn checksum_flags(ol_flags: u64) -> u32 {
    let pick = |mask, good, bad, good_flag, bad_flag| match ol_flags & mask {
        v if v == good => good_flag,
        v if v == bad => bad_flag,
        _ => 0,
    };
    pick(
        sys::SHIM_MBUF_RX_IP_CKSUM_MASK,
        sys::SHIM_MBUF_RX_IP_CKSUM_GOOD,
        sys::SHIM_MBUF_RX_IP_CKSUM_BAD,
        IP_CSUM_GOOD,
        IP_CSUM_BAD,
    ) | pick(
        sys::SHIM_MBUF_RX_L4_CKSUM_MASK,
        sys::SHIM_MBUF_RX_L4_CKSUM_GOOD,
        sys::SHIM_MBUF_RX_L4_CKSUM_BAD,
        L4_CSUM_GOOD,
        L4_CSUM_BAD,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_bits() {
        let (ip_good, ip_bad) = (sys::SHIM_MBUF_RX_IP_CKSUM_GOOD, sys::SHIM_MBUF_RX_IP_CKSUM_BAD);
        let (l4_good, l4_bad) = (sys::SHIM_MBUF_RX_L4_CKSUM_GOOD, sys::SHIM_MBUF_RX_L4_CKSUM_BAD);
        assert_eq!(checksum_flags(0), 0);
        assert_eq!(checksum_flags(ip_good | l4_bad), IP_CSUM_GOOD | L4_CSUM_BAD);
        assert_eq!(checksum_flags(ip_bad | l4_good), IP_CSUM_BAD | L4_CSUM_GOOD);
        // Both bits: not known to be right, yet not wrong.
        assert_eq!(checksum_flags(ip_good | ip_bad | l4_good | l4_bad), 0);
    }
}
