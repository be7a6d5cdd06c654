//! The seam between the poll loop and whatever carries frames.
//!
//! Two halves, so that an order can leave through [`TxQueue`] while the received frames of a [`RxBurst`] are still
//! borrowed. Nothing here allocates, blocks or calls through a vtable: the loop is generic over its backend, and an
//! empty poll costs what a direct call costs.
//!
//! # Contract (checked for every backend by one conformance suite, `tests/conformance/`)
//! - [`RxQueue::poll`] never blocks and never allocates. It returns at most [`MAX_BURST`] frames, in arrival order.
//! - A frame starts at its Ethernet destination address and has no FCS. Its bytes stay valid and unchanged until the
//!   burst is dropped, whatever is sent meanwhile.
//! - Dropping a burst gives all of its buffers back.
//! - [`TxQueue::reserve`] returns `None` when no buffer is free; a slot that is dropped unsent is free again.
//! - [`TxQueue::send`] transmits `slot[..len]` in call order or hands the slot back. It never splits or pads.
//! - Frames that a backend itself must drop (segmented, too long for its buffers) are counted in [`RxDrops`].
//! - Queues are `!Send`: they are built on the lcore that polls them, from a handle that is `Send`.

use std::ops::{Deref, DerefMut};

pub use crate::port::{MAX_BURST, MAX_FRAME};

pub mod cpu;
pub mod efvi;
pub mod intel1g;
pub(crate) mod pool;
pub mod replay;
pub mod udp;
pub mod vfio;

#[cfg(feature = "dpdk")]
pub mod dpdk;

/// [`Frame::stamp`] holds the NIC's receive time.
pub const HW_STAMP: u32 = 1 << 0;
/// The NIC verified the IPv4 header checksum: good.
pub const IP_CSUM_GOOD: u32 = 1 << 1;
/// The NIC verified the IPv4 header checksum: bad.
pub const IP_CSUM_BAD: u32 = 1 << 2;
/// The NIC (or the kernel) verified the UDP checksum: good.
pub const L4_CSUM_GOOD: u32 = 1 << 3;
/// The NIC verified the UDP checksum: bad.
pub const L4_CSUM_BAD: u32 = 1 << 4;

/// One received frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'b> {
    /// From the destination MAC address on, without FCS.
    pub bytes: &'b [u8],
    /// NIC receive time in the NIC's own unit, valid only with [`HW_STAMP`].
    pub stamp: u64,
    /// [`HW_STAMP`], [`IP_CSUM_GOOD`], …
    pub flags: u32,
}

/// Frames that a backend received and could not hand on, since the queue was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxDrops {
    /// The frame came in more than one buffer.
    pub segmented: u64,
    /// The frame was cut to the buffer's size.
    pub truncated: u64,
}

/// Frames that came by way of another queue, where several queues of a port are shared, since the queue was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxShared {
    /// Given to this queue and handed on.
    pub taken: u64,
    /// Not given to it: it had not taken the ones before in time.
    pub missed: u64,
}

/// A receive queue of one port, owned by one lcore.
pub trait RxQueue {
    /// The frames of one poll, borrowed from the queue.
    type Burst<'q>: RxBurst
    where
        Self: 'q;
    /// Takes what has arrived, at most [`MAX_BURST`] frames; often nothing.
    fn poll(&mut self) -> Self::Burst<'_>;
    /// Gives the NIC fresh buffers, where the backend leaves that to its caller (ef_vi does, DPDK does not).
    fn refill(&mut self) {}
    /// What this backend had to drop so far.
    fn drops(&self) -> RxDrops {
        RxDrops::default()
    }
    /// What came by way of another queue so far, where queues are shared.
    fn shared(&self) -> RxShared {
        RxShared::default()
    }
}

/// The frames of one poll. Dropping it gives all buffers back, in bulk.
pub trait RxBurst {
    /// Number of frames, `0 ..= MAX_BURST`.
    fn len(&self) -> usize;
    /// Frame `i`; panics at `i >= len()`.
    fn frame(&self, i: usize) -> Frame<'_>;
    /// True where the poll found nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A transmit queue of one port, owned by one lcore.
pub trait TxQueue {
    /// A writable buffer of at least the MTU the port was set to; dropping it unsent frees it.
    type Slot: DerefMut<Target = [u8]>;
    /// A free buffer; `None` = back-pressure, which the caller counts. Its bytes are unspecified.
    fn reserve(&mut self) -> Option<Self::Slot>;
    /// Transmits `slot[..len]` now.
    ///
    /// # Errors
    /// Hands the slot back when the ring is full, or when `len` is 0 or longer than the slot.
    fn send(&mut self, slot: Self::Slot, len: u16) -> Result<(), Self::Slot>;
    /// Collects completions, off the hot path; returns how many buffers became free.
    fn reclaim(&mut self) -> usize {
        0
    }
    /// Touches what the next send will touch, on idle.
    fn warm(&mut self) {}
}

/// A transmit queue for a loop that never sends: there is no buffer to be had.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTx;

/// A slot of [`NoTx`]: there is none.
#[derive(Debug)]
pub enum NoSlot {}

impl Deref for NoSlot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match *self {}
    }
}

impl DerefMut for NoSlot {
    fn deref_mut(&mut self) -> &mut [u8] {
        match *self {}
    }
}

impl TxQueue for NoTx {
    type Slot = NoSlot;

    fn reserve(&mut self) -> Option<NoSlot> {
        None
    }

    fn send(&mut self, slot: NoSlot, _len: u16) -> Result<(), NoSlot> {
        Err(slot)
    }
}
