//! Packet buffers: one pool for each queue, so that workers share nothing and orders never want for a buffer because
//! of received frames.

use std::{
    ffi::CString,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use dpdk_sys as sys;

use super::PmdError;
use crate::{
    eal::{self, Runtime},
    port::MAX_BURST,
};

/// Buffers that each lcore keeps to itself.
const CACHE: u32 = 256;

/// Lcores that may each hold a cache of one pool: the queue's own and another that frees its buffers (the receiving
/// side of a virtual device, or the control lcore).
const CACHING_LCORES: u32 = 2;

/// Buffers that a driver may hold whatever number of descriptors it was asked for: net_af_xdp fills a ring of its own
/// of this size before it starts.
const LEAST_RING: u32 = 2_048;

/// Bytes of room that drivers want in a receive buffer come in this step.
const ROOM_STEP: u32 = 1_024;
/// Room that every driver accepts.
const LEAST_ROOM: u32 = 2_048;
/// Frame check sequence, which some drivers let through into the buffer.
const FCS: u32 = 4;

/// Numbers the pools: names must differ, also after a port is started again.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// What the buffers of one queue are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) descriptors: u16,
    /// Other lcores that its frames are shared with, through rings of [`ring_of`] each.
    pub(crate) sharers: u16,
    /// Bytes of a frame.
    pub(crate) frame: u16,
    /// The longest frame that the device takes.
    pub(crate) longest: u32,
}

/// Frames that wait for one of those that a queue of `descriptors` is shared with: as many as wait in the queue.
pub(crate) fn ring_of(descriptors: u16) -> usize {
    usize::from(descriptors).next_power_of_two()
}

/// A pool of packet buffers.
///
/// Its memory lives until EAL is cleaned up: drivers such as net_ring hand the buffers themselves to another port.
#[derive(Debug)]
pub(crate) struct Pool {
    pool: NonNull<sys::rte_mempool>,
    size: u32,
    _runtime: Arc<Runtime>,
}

// SAFETY: a DPDK mempool may be used from any thread: its ring is multi-producer and multi-consumer (the default
// operations), its caches are per lcore. The pointer stays valid while the runtime lives.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// A pool for a queue, on `numa_node` (any where `None`).
    pub(crate) fn new(runtime: &Arc<Runtime>, queue: Size, numa_node: Option<u32>) -> Result<Self, PmdError> {
        let (size, room) = (buffers(queue.descriptors, queue.sharers), data_room(queue.frame, queue.longest));
        let name = format!("wirebook_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let node = numa_node.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1);
        let c_name = CString::new(name).unwrap_or_default();
        // SAFETY: a terminated name, copied; EAL runs (`runtime`).
        let pool = unsafe { sys::rte_pktmbuf_pool_create(c_name.as_ptr(), size, CACHE, 0, room, node) };
        let pool = NonNull::new(pool).ok_or_else(|| PmdError::Pool {
            mib: u64::from(size) * (u64::from(room) + 256) / (1 << 20) + 1,
            node: numa_node,
            reason: eal::last_error(),
        })?;
        Ok(Self { pool, size, _runtime: Arc::clone(runtime) })
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.pool.as_ptr()
    }

    /// How many buffers it has.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// How many are free: in the pool or in a cache.
    pub(crate) fn free(&self) -> u32 {
        // SAFETY: a live pool.
        unsafe { sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }
}

/// Full ring, caches at their largest (one and a half times their size), and two bursts in hand; for each lcore that
/// shares as much again, for none of its frames may be another's too. One less than a power of two, which wastes no ring
/// slot.
fn buffers(descriptors: u16, sharers: u16) -> u32 {
    let sharers = u32::from(sharers);
    let caches = (CACHING_LCORES + sharers) * (CACHE + CACHE / 2);
    let bursts = (2 + sharers) * MAX_BURST as u32;
    let rings = sharers * ring_of(descriptors) as u32;
    (u32::from(descriptors).max(LEAST_RING) + caches + bursts + rings + 1).next_power_of_two() - 1
}

/// Headroom plus room for the frame in one segment. Cards round buffers down to their step, so room is rounded up; not
/// beyond the longest frame a device takes, for one whose buffers must fit a memory page (net_af_xdp).
fn data_room(frame: u16, longest: u32) -> u16 {
    let least = u32::from(frame) + FCS;
    let room = least.next_multiple_of(ROOM_STEP).max(LEAST_ROOM).min(longest.max(least).max(LEAST_ROOM));
    // Frames are at most `port::MAX_FRAME`, far below the limit.
    (room + sys::RTE_PKTMBUF_HEADROOM) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_one_segment() {
        assert_eq!(data_room(1_522, 1_518), 2_048 + 128);
        assert_eq!(data_room(9_022, 15_872), 9_216 + 128);
        assert_eq!(data_room(2_045, u32::MAX), 3_072 + 128);
        assert_eq!(data_room(3_564, 3_560), 3_568 + 128);
    }

    #[test]
    fn enough_buffers_for_ring_caches_and_bursts() {
        assert_eq!(buffers(64, 0), 4_095);
        assert_eq!(buffers(2_048, 0), 4_095);
        assert_eq!(buffers(4_096, 0), 8_191);
        assert_eq!(buffers(2_048, 1), 8_191);
        assert_eq!(buffers(4_096, 3), 32_767);
    }
}
