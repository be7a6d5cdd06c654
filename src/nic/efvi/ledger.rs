//! Who has which buffer, and what has arrived.

use std::collections::VecDeque;
use std::ptr;

use super::{BUFFER, EVENTS, EfviCounters, Event, LENT, MAX_BURST, Memory, REFILL};
use crate::nic::RxDrops;

/// Who has a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody: it is on its stack.
    Free,
    /// The NIC, to receive into or to send from.
    Nic,
    /// The loop: as a frame, or as a slot.
    Loop,
}

/// A frame that has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) start: *const u8,
    pub(super) len: u16,
    pub(super) stamp: Option<u64>,
    /// Of the buffer, or of the packet that was lent.
    id: u32,
    lent: bool,
}

impl Arrival {
    /// Fills places that are never read.
    pub(super) const NOTHING: Self = Self { start: ptr::null(), len: 0, stamp: None, id: 0, lent: false };
}

/// See the module.
pub(super) struct Ledger {
    owner: Box<[Owner]>,
    /// By id.
    addresses: Box<[u64]>,
    memory: Memory,
    /// Ids below are received into.
    receive: usize,
    prefix: usize,
    /// Last in, first out: what was used last is still in the cache.
    rx_free: Vec<u32>,
    tx_free: Vec<u32>,
    /// Room for all receive buffers, and for [`LENT`] frames of the NIC's.
    arrivals: VecDeque<Arrival>,
    room: usize,
    /// The port has ended.
    broken: bool,
    /// Transmit buffers that came back since somebody asked.
    freed: usize,
    pub(super) drops: RxDrops,
    pub(super) counters: EfviCounters,
}

impl Ledger {
    pub(super) fn new(memory: Memory, receive: usize, prefix: usize, addresses: Box<[u64]>) -> Self {
        let buffers = memory.buffers();
        assert!(receive <= buffers && prefix < BUFFER && addresses.len() == buffers);
        let ids = |from: usize, to: usize| (from..to).rev().map(|id| id as u32).collect();
        let room = receive + LENT;
        Self {
            owner: vec![Owner::Free; buffers].into_boxed_slice(),
            addresses,
            memory,
            receive,
            prefix,
            rx_free: ids(0, receive),
            tx_free: ids(receive, buffers),
            arrivals: VecDeque::with_capacity(room),
            room,
            broken: false,
            freed: 0,
            drops: RxDrops::default(),
            counters: EfviCounters::default(),
        }
    }

    /// False where one more poll could bring more frames than can wait, or after the port has ended. There are never more
    /// frames in posted buffers than there are such buffers; lent ones may pile up while only the sender polls.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        !self.broken && self.arrivals.len() + EVENTS <= self.room
    }

    #[inline]
    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Received { id, len, first: true, more: false, stamp } => {
                if let Some(at) = self.back(id, 0, self.receive) {
                    let len = usize::from(len);
                    if (self.prefix + 1..=BUFFER).contains(&len) {
                        let start = self.memory.as_ptr().wrapping_add(at * BUFFER + self.prefix).cast_const();
                        let len = (len - self.prefix) as u16;
                        self.owner[at] = Owner::Loop;
                        self.arrivals.push_back(Arrival { start, len, stamp, id, lent: false });
                    } else {
                        self.counters.bad_events += 1;
                        self.free_rx(id, at);
                    }
                }
            }
            Event::Lent { packet, start, len, stamp } => {
                self.arrivals.push_back(Arrival { start, len, stamp, id: packet, lent: true });
            }
            Event::Sent { id, cut_through } => {
                if self.back_tx(id) {
                    if cut_through {
                        self.counters.sent_cut_through += 1;
                    } else {
                        self.counters.sent_from_memory += 1;
                    }
                }
            }
            other => self.on_rare(other),
        }
    }

    #[cold]
    #[inline(never)]
    fn on_rare(&mut self, event: Event) {
        match event {
            Event::Received { id, first, .. } => {
                // A part of a frame. It is counted where it begins.
                if let Some(at) = self.back(id, 0, self.receive) {
                    self.drops.segmented += u64::from(first);
                    self.free_rx(id, at);
                }
            }
            Event::Discarded { id, why } => {
                if let Some(at) = self.back(id, 0, self.receive) {
                    self.counters.discard(why);
                    self.drops.truncated += u64::from(why == super::Discard::Truncated);
                    self.free_rx(id, at);
                }
            }
            Event::LentDiscarded { why } => {
                self.counters.discard(why);
                self.drops.truncated += u64::from(why == super::Discard::Truncated);
            }
            Event::NotSent { id } => self.counters.not_sent += u64::from(self.back_tx(id)),
            Event::NoBuffer => self.counters.no_buffer += 1,
            Event::Overflow => {
                self.counters.overflows += 1;
                self.broken = true;
            }
            Event::Reset => {
                self.counters.resets += 1;
                self.broken = true;
            }
            Event::Lent { .. } | Event::Sent { .. } | Event::Other => self.counters.unexpected += 1,
        }
    }

    /// The place of buffer `id`, one of `from..to`, which the NIC gives back; `None` if it did not have it.
    #[inline]
    fn back(&mut self, id: u32, from: usize, to: usize) -> Option<usize> {
        let at = id as usize;
        if (from..to).contains(&at) && self.owner[at] == Owner::Nic {
            return Some(at);
        }
        self.counters.bad_events += 1;
        None
    }

    #[inline]
    fn free_rx(&mut self, id: u32, at: usize) {
        self.owner[at] = Owner::Free;
        self.rx_free.push(id);
    }

    #[inline]
    fn back_tx(&mut self, id: u32) -> bool {
        let Some(at) = self.back(id, self.receive, self.owner.len()) else { return false };
        self.owner[at] = Owner::Free;
        self.tx_free.push(id);
        self.freed += 1;
        true
    }

    /// Moves the oldest arrivals to `held`; returns how many.
    #[inline]
    pub(super) fn hand_out(&mut self, held: &mut [Arrival; MAX_BURST]) -> usize {
        let count = self.arrivals.len().min(MAX_BURST);
        for (place, arrival) in held.iter_mut().zip(self.arrivals.drain(..count)) {
            *place = arrival;
        }
        count
    }

    /// Takes the buffer of a frame back. A packet that was lent is returned: it has to be released.
    #[inline]
    pub(super) fn give_back(&mut self, frame: &Arrival) -> Option<u32> {
        if frame.lent {
            return Some(frame.id);
        }
        self.free_rx(frame.id, frame.id as usize);
        None
    }

    /// The next free receive buffer, which the NIC has from now on.
    #[inline]
    pub(super) fn post(&mut self) -> Option<(u64, u32)> {
        let id = self.rx_free.pop()?;
        self.owner[id as usize] = Owner::Nic;
        self.counters.posted += 1;
        Some((self.addresses[id as usize], id))
    }

    #[inline]
    pub(super) fn free_to_post(&self) -> usize {
        if self.broken { 0 } else { self.rx_free.len() }
    }

    /// True where discards alone have emptied a part of the ring, which no burst will then refill.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.arrivals.is_empty() && self.rx_free.len() >= MAX_BURST + 2 * REFILL
    }

    /// A free transmit buffer and where it stands.
    #[inline]
    pub(super) fn take_tx(&mut self) -> Option<(u32, *mut u8)> {
        if self.broken {
            return None;
        }
        let id = self.tx_free.pop()?;
        self.owner[id as usize] = Owner::Loop;
        Some((id, self.memory.as_ptr().wrapping_add(id as usize * BUFFER)))
    }

    /// Takes a transmit buffer back unsent.
    #[inline]
    pub(super) fn give_tx(&mut self, id: u32) {
        self.owner[id as usize] = Owner::Free;
        self.tx_free.push(id);
    }

    /// The NIC has transmit buffer `id`.
    #[inline]
    pub(super) fn sent(&mut self, id: u32) {
        self.owner[id as usize] = Owner::Nic;
    }

    #[inline]
    pub(super) fn address(&self, id: u32) -> u64 {
        self.addresses[id as usize]
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Transmit buffers that came back since the last call.
    pub(super) fn freed(&mut self) -> usize {
        std::mem::take(&mut self.freed)
    }
}
