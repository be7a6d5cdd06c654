//! ef_vi backend of the seam: a virtual interface (VI) of a Solarflare NIC.
//!
//! What DPDK's drivers do for their caller, ef_vi leaves to its own: receive buffers belong to the caller, who posts
//! them, gets them back by an event and posts them again; a transmit buffer is busy until an event says that it is not;
//! and both kinds of events come by one queue. All of that is here, over the few calls of [`Vi`]. The library itself is
//! bound by one thin implementation of that trait (`device`, with the cargo feature `efvi`); the tests have another one
//! that plays the NIC, so that this code runs on machines without either.
//!
//! # How it holds together
//! - [`Memory`] is one piece of registered memory, cut into [`BUFFER`]s. A buffer's number is its id: receive buffers
//!   come first. `ledger.rs` knows for each who has it, and believes no id that the NIC does not owe.
//! - A receive poll may find that a transmission is done, and the search for a free transmit buffer may find frames.
//!   Neither is lost: the ledger keeps both until the other half asks. Frames wait in a ring that has room for all
//!   receive buffers.
//! - NICs with shared receive queues (X3 and later) lend their own buffers instead of taking ours: [`Event::Lent`]. Then
//!   nothing is posted, and [`Vi::release`] takes the place of refilling.
//! - What cannot be set right ends the port: after an event queue overflow or a reset of the NIC nothing is received or
//!   sent any more ([`EfviCounters::overflows`], [`EfviCounters::resets`]), for buffers are lost that nobody can name.
//!
//! `docs/porting-to-ef_vi.md` has the same beside the DPDK calls that it replaces. Facts are from the headers of Onload
//! 9.0.2 (`ef_vi.h`, `efct_vi.h`).
#![allow(unsafe_code, reason = "a trait whose implementors hand out the NIC's memory")]

use std::cell::RefCell;
use std::rc::Rc;

mod counters;
pub mod kernel;
mod ledger;
mod memory;
mod rx;
mod tx;

#[cfg(feature = "efvi")]
pub mod device;

pub use counters::EfviCounters;
pub use memory::Memory;
pub use rx::{EfviBurst, EfviRx};
pub use tx::{EfviTx, TxSlot};

use super::MAX_BURST;
use ledger::Ledger;

/// Bytes of a buffer. Two of them share a page, so that each is contiguous for the NIC too.
pub const BUFFER: usize = 2_048;

/// Most events taken in one poll.
pub const EVENTS: usize = 32;

/// Receive buffers are posted in such batches: the 7000 to X2 series take no fewer at a time.
pub const REFILL: usize = 8;

/// Frames that a NIC may have lent at once.
const LENT: usize = 256;

/// Why the NIC does not vouch for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// An IPv4 or UDP checksum is wrong.
    Checksum,
    /// The Ethernet checksum is wrong.
    Crc,
    /// The frame was cut.
    Truncated,
    /// A multicast frame that passed the hash and is not for us.
    Multicast,
    /// Another reason.
    Other,
}

/// What an event queue brings, after ef_vi has unbundled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A posted buffer holds a frame, or a part of one.
    Received {
        /// As given to [`Vi::receive_init`].
        id: u32,
        /// Bytes, the prefix included; those of the parts before this one too.
        len: u16,
        /// It begins here.
        first: bool,
        /// It goes on in the next buffer.
        more: bool,
        /// When it arrived, ns since 1970, where the NIC stamps frames and its clock is set.
        stamp: Option<u64>,
    },
    /// A posted buffer holds what is to be thrown away.
    Discarded {
        /// As given to [`Vi::receive_init`].
        id: u32,
        /// The reason.
        why: Discard,
    },
    /// A frame in a buffer of the NIC's.
    Lent {
        /// For [`Vi::release`].
        packet: u32,
        /// Its destination address: no prefix stands there.
        start: *const u8,
        /// Bytes of the frame.
        len: u16,
        /// As for [`Event::Received`].
        stamp: Option<u64>,
    },
    /// A frame in a buffer of the NIC's was thrown away, and released.
    LentDiscarded {
        /// The reason.
        why: Discard,
    },
    /// A frame has left, and its buffer is free.
    Sent {
        /// As given with the frame.
        id: u32,
        /// By cut-through, not from the buffer.
        cut_through: bool,
    },
    /// A frame did not leave, and its buffer is free.
    NotSent {
        /// As given with the frame.
        id: u32,
    },
    /// A frame was cut since no buffer was posted for the rest of it.
    NoBuffer,
    /// Events were lost. It comes again and again.
    Overflow,
    /// The NIC was reset: the VI is dead.
    Reset,
    /// An event that nobody asked for.
    Other,
}

/// The ring has no room for one more descriptor, or the cut-through FIFO none for the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// ef_vi's calls on one VI, as far as these queues need them.
///
/// # Safety
/// The queues read memory on the word of this trait. An implementation promises that
/// - the NIC writes to a buffer only between [`Vi::receive_init`] and the event that gives it back,
/// - [`Event::Lent::start`] is readable and unchanged for [`Event::Lent::len`] bytes until [`Vi::release`] of its packet
///   or, without it, as long as the VI lives.
pub unsafe trait Vi {
    /// Address by which the NIC knows the byte at `offset` of the registered memory (`ef_memreg_dma_addr`).
    fn dma_address(&self, offset: usize) -> u64;
    /// Bytes before each frame in a posted buffer (`ef_vi_receive_prefix_len`).
    fn prefix_len(&self) -> usize;

    /// Takes up to [`EVENTS`] events off the queue (`ef_eventq_poll`); one may stand for several frames.
    fn poll(&mut self, each: &mut impl FnMut(Event));

    /// Free places of the receive ring (`ef_vi_receive_space`); 0 for ever where the NIC lends its buffers.
    fn receive_space(&self) -> usize;
    /// Writes a receive descriptor; only where there is room (`ef_vi_receive_init`).
    fn receive_init(&mut self, address: u64, id: u32);
    /// Tells the NIC of the descriptors written (`ef_vi_receive_push`).
    fn receive_push(&mut self);
    /// Gives a lent frame back (`efct_vi_rxpkt_release`).
    fn release(&mut self, packet: u32);

    /// True where a transmit descriptor can be written (`ef_vi_transmit_space`).
    fn transmit_space(&self) -> bool;
    /// True where cut-through is to be tried for a frame of `len` bytes.
    fn cuts_through(&self, len: usize) -> bool;
    /// Writes a frame to the NIC itself (`ef_vi_transmit_ctpio`). Whether it leaves that way is not told here:
    /// [`Vi::transmit_fallback`] has to follow.
    fn transmit_cut_through(&mut self, frame: &[u8]);
    /// Names the copy that leaves if cut-through failed (`ef_vi_transmit_ctpio_fallback`).
    ///
    /// # Errors
    /// [`Full`]: nothing left, and nothing will.
    fn transmit_fallback(&mut self, address: u64, len: u16, id: u32) -> Result<(), Full>;
    /// Sends from registered memory (`ef_vi_transmit`).
    ///
    /// # Errors
    /// [`Full`]: nothing left, and nothing will.
    fn transmit(&mut self, address: u64, len: u16, id: u32) -> Result<(), Full>;
    /// Goes the way of a frame without sending it (`ef_vi_start_transmit_warm`, and the like).
    fn warm(&mut self, frame: &[u8], address: u64);

    /// Told once, when the queues are gone: what was counted.
    fn finish(&mut self, counters: &EfviCounters) {
        let _ = counters;
    }
}

/// One VI with its memory, shared by its two halves and the slots that are out.
struct Core<V: Vi> {
    state: RefCell<State<V>>,
}

/// Dropped in this order: the NIC lets go of the memory, which is the ledger's, before it is unmapped.
struct State<V: Vi> {
    vi: V,
    ledger: Ledger,
}

/// The two halves of `vi`, on the thread that will poll them. `memory` is what was registered with it; the first
/// `receive` buffers are received into, the others are sent from.
///
/// # Panics
/// Where `receive` is more than the buffers of `memory`, or the prefix leaves no room in them.
#[must_use]
pub fn queues<V: Vi>(vi: V, memory: Memory, receive: usize) -> (EfviRx<V>, EfviTx<V>) {
    let addresses = (0..memory.buffers()).map(|at| vi.dma_address(at * BUFFER)).collect();
    let ledger = Ledger::new(memory, receive, vi.prefix_len(), addresses);
    let mut state = State { vi, ledger };
    state.refill();
    let core = Rc::new(Core { state: RefCell::new(state) });
    (EfviRx::new(Rc::clone(&core)), EfviTx::new(core))
}

/// Receive buffers for a ring of `ring` descriptors: it stays full while a burst is looked at.
#[must_use]
pub const fn receive_buffers(ring: usize) -> usize {
    ring + MAX_BURST + REFILL
}

impl<V: Vi> State<V> {
    /// Takes what the event queue has, if there is room for it; returns how much that was.
    #[inline]
    fn collect(&mut self) -> usize {
        let Self { vi, ledger, .. } = self;
        let mut events = 0;
        if ledger.has_room() {
            vi.poll(&mut |event| {
                events += 1;
                ledger.on(event);
            });
        }
        events
    }

    /// Posts the free receive buffers, in whole batches.
    #[inline]
    fn refill(&mut self) {
        let Self { vi, ledger, .. } = self;
        let batches = (ledger.free_to_post() / REFILL).min(vi.receive_space() / REFILL);
        if batches == 0 {
            return;
        }
        for _ in 0..batches * REFILL {
            let Some((address, id)) = ledger.post() else { break };
            vi.receive_init(address, id);
        }
        vi.receive_push();
    }
}

impl<V: Vi> Drop for State<V> {
    fn drop(&mut self) {
        self.vi.finish(&self.ledger.counters);
    }
}
