//! Receive and transmit bursts without a call into C beyond the driver's own.
//!
//! On audited releases ([`dpdk_sys`]) these do what DPDK's inlines do: take the queue from `rte_eth_fp_ops`, call the
//! driver, call the callbacks if somebody (dpdk-dumpcap, latency statistics) put any. On others they go through the
//! C shim. Nothing of `rte_eth_fp_ops` is kept between calls: a port that stops swaps it for functions that do nothing.

use dpdk_sys::{self as sys, rte_mbuf};

/// Receives at most `n` packets into `pkts`; returns how many. They belong to the caller.
///
/// # Safety
/// `port` is configured and has the receive queue `queue`; no other thread polls it; `pkts` has room for `n`.
#[inline(always)]
pub unsafe fn rx(port: u16, queue: u16, pkts: *mut *mut rte_mbuf, n: u16) -> u16 {
    #[cfg(dpdk_audited)]
    if sys::SHIM_BURST_HAS_EXTRAS == 0 {
        // SAFETY: passed on to the caller.
        return unsafe { own::rx(port, queue, pkts, n) };
    }
    // SAFETY: passed on to the caller.
    unsafe { sys::shim_eth_rx_burst(port, queue, pkts, n) }
}

/// Hands at most `n` packets of `pkts` to the driver; returns how many it took, from the first on. Those are no
/// longer the caller's.
///
/// # Safety
/// `port` is configured and has the transmit queue `queue`; no other thread sends on it; `pkts` has `n` mbufs of the
/// caller's.
#[inline(always)]
pub unsafe fn tx(port: u16, queue: u16, pkts: *mut *mut rte_mbuf, n: u16) -> u16 {
    #[cfg(dpdk_audited)]
    if sys::SHIM_BURST_HAS_EXTRAS == 0 {
        // SAFETY: passed on to the caller.
        return unsafe { own::tx(port, queue, pkts, n) };
    }
    // SAFETY: passed on to the caller.
    unsafe { sys::shim_eth_tx_burst(port, queue, pkts, n) }
}

/// True where the bursts are those of this file, false where they go through the shim.
pub const OWN: bool = cfg!(dpdk_audited) && sys::SHIM_BURST_HAS_EXTRAS == 0;

#[cfg(dpdk_audited)]
mod own {
    use core::{
        ffi::c_void,
        sync::atomic::{AtomicPtr, Ordering},
    };

    use dpdk_sys::{self as sys, rte_eth_fp_ops, rte_ethdev_qdata, rte_mbuf};

    #[inline(always)]
    fn ops(port: u16) -> *const rte_eth_fp_ops {
        (&raw const sys::rte_eth_fp_ops).cast::<rte_eth_fp_ops>().wrapping_add(usize::from(port))
    }

    /// The driver's queue and the head of its list of callbacks (null: none).
    ///
    /// # Safety
    /// `qdata` is of a configured port and `queue` one of its queues.
    #[inline(always)]
    unsafe fn queue_data(qdata: *const rte_ethdev_qdata, queue: u16) -> *mut c_void {
        // Volatile: another thread may swap the whole entry when it stops the port, as in C.
        // SAFETY: the port has an array of queues (caller).
        unsafe {
            let data = (&raw const (*qdata).data).read_volatile();
            data.add(usize::from(queue)).read()
        }
    }

    /// # Safety
    /// As [`queue_data`].
    #[inline(always)]
    unsafe fn callbacks(qdata: *const rte_ethdev_qdata, queue: u16) -> *mut c_void {
        // SAFETY: the port has an array of callback lists (caller). Relaxed: what is read next depends on the pointer.
        unsafe {
            let lists = (&raw const (*qdata).clbk).read_volatile();
            (*lists.cast::<AtomicPtr<c_void>>().add(usize::from(queue))).load(Ordering::Relaxed)
        }
    }

    #[inline(always)]
    pub(super) unsafe fn rx(port: u16, queue: u16, pkts: *mut *mut rte_mbuf, n: u16) -> u16 {
        let ops = ops(port);
        // SAFETY: a configured port (caller): its entry has queues, lists and a function, never null, not even while
        // the port is stopped (then it is one that does nothing).
        unsafe {
            let burst = (&raw const (*ops).rx_pkt_burst).read_volatile().unwrap_unchecked();
            let qdata = &raw const (*ops).rxq;
            let received = burst(queue_data(qdata, queue), pkts, n);
            let list = callbacks(qdata, queue);
            if list.is_null() { received } else { rx_callbacks(port, queue, pkts, received, n, list) }
        }
    }

    #[inline(always)]
    pub(super) unsafe fn tx(port: u16, queue: u16, pkts: *mut *mut rte_mbuf, n: u16) -> u16 {
        let ops = ops(port);
        // SAFETY: as in `rx`.
        unsafe {
            let burst = (&raw const (*ops).tx_pkt_burst).read_volatile().unwrap_unchecked();
            let qdata = &raw const (*ops).txq;
            let list = callbacks(qdata, queue);
            let n = if list.is_null() { n } else { tx_callbacks(port, queue, pkts, n, list) };
            burst(queue_data(qdata, queue), pkts, n)
        }
    }

    #[cold]
    #[inline(never)]
    unsafe fn rx_callbacks(
        port: u16,
        queue: u16,
        pkts: *mut *mut rte_mbuf,
        n: u16,
        max: u16,
        list: *mut c_void,
    ) -> u16 {
        // SAFETY: `list` is the head of this queue's callbacks, `pkts` has room for `max` and holds `n`.
        unsafe { sys::rte_eth_call_rx_callbacks(port, queue, pkts, n, max, list) }
    }

    #[cold]
    #[inline(never)]
    unsafe fn tx_callbacks(
        port: u16,
        queue: u16,
        pkts: *mut *mut rte_mbuf,
        n: u16,
        list: *mut c_void,
    ) -> u16 {
        // SAFETY: `list` is the head of this queue's callbacks, `pkts` holds `n`.
        unsafe { sys::rte_eth_call_tx_callbacks(port, queue, pkts, n, list) }
    }
}
