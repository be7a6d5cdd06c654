//! A NIC that exists only here, behind the calls of ef_vi: for the tests of `wirebook::nic::efvi`.
//!
//! It is as unhelpful as a real one. Pages of the registered memory have addresses that do not follow each other.
//! Descriptors count only in whole batches of eight. A frame that leaves from memory is read there as late as the next
//! poll. Cut-through fails whenever frames are still waiting, and as often as it is told to. Event queues overflow.
#![allow(unsafe_code, reason = "a NIC reads and writes memory that others own")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use wirebook::nic::efvi::{
    BUFFER, Discard, EVENTS, EfviCounters, EfviRx, EfviTx, Event, Full, Memory, Vi, queues, receive_buffers,
};
use wirebook::nic::replay::Frames;

const PAGE: u64 = 4_096;
/// Descriptors that are pushed together.
const BATCH: usize = 8;

/// How this NIC is made, and how it misbehaves.
#[derive(Clone, Copy)]
pub(crate) struct Make {
    /// Receive descriptors.
    pub(crate) ring: usize,
    /// Transmit descriptors, and buffers.
    pub(crate) send: usize,
    /// Events that may wait.
    pub(crate) events: usize,
    /// Bytes before a frame.
    pub(crate) prefix: usize,
    /// It lends its own buffers.
    pub(crate) lends: bool,
    /// Cut-through is tried.
    pub(crate) cut_through: bool,
    /// Cut-through fails every so many times; 0: never.
    pub(crate) fails_every: u32,
    /// It puts a time stamp on frames.
    pub(crate) stamps: bool,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            ring: 128,
            send: 64,
            events: 1_024,
            prefix: 14,
            lends: false,
            cut_through: true,
            fails_every: 3,
            stamps: false,
        }
    }
}

/// A frame to send.
struct Descriptor {
    address: u64,
    len: u16,
    id: u32,
    /// It has left already.
    cut_through: bool,
}

/// The NIC, and the network on its other side.
pub(crate) struct Nic {
    make: Make,
    base: *mut u8,
    pages: u64,
    written: VecDeque<(u64, u32)>,
    posted: VecDeque<(u64, u32)>,
    events: VecDeque<Event>,
    overflowed: bool,
    /// The cut-through FIFO between the write and the fall-back.
    fifo: Vec<u8>,
    fifo_full: bool,
    tries: u32,
    sending: VecDeque<Descriptor>,
    wire: Frames,
    lent: Vec<Option<Box<[u8]>>>,
    /// Frames for which no buffer was posted.
    pub(crate) lost: u64,
    /// Descriptors that were not pushed as a whole batch.
    pub(crate) pushes: u64,
    /// Frames that went the way of a frame without leaving.
    pub(crate) warmed: u64,
    /// Frames and their buffers wait until this is false again.
    pub(crate) stalled: bool,
    /// What the queues reported when they ended.
    pub(crate) last_word: Option<EfviCounters>,
    clock: u64,
}

/// One VI of the NIC.
pub(crate) struct MockVi(pub(crate) Rc<RefCell<Nic>>);

/// A NIC, and the two halves of its VI.
pub(crate) fn port(make: Make) -> (Rc<RefCell<Nic>>, EfviRx<MockVi>, EfviTx<MockVi>) {
    let receive = if make.lends { 0 } else { receive_buffers(make.ring) };
    let memory = Memory::new(receive + make.send).unwrap();
    let nic = Rc::new(RefCell::new(Nic::new(make, &memory)));
    let (rx, tx) = queues(MockVi(Rc::clone(&nic)), memory, receive);
    (nic, rx, tx)
}

impl Nic {
    fn new(make: Make, memory: &Memory) -> Self {
        Self {
            make,
            base: memory.as_ptr(),
            pages: memory.mapped() as u64 / PAGE,
            written: VecDeque::with_capacity(make.ring),
            posted: VecDeque::with_capacity(make.ring),
            events: VecDeque::with_capacity(make.events),
            overflowed: false,
            fifo: Vec::with_capacity(BUFFER),
            fifo_full: false,
            tries: 0,
            sending: VecDeque::with_capacity(make.send),
            wire: Frames::with_capacity(8_192, 1 << 20),
            lent: Vec::new(),
            lost: 0,
            pushes: 0,
            warmed: 0,
            stalled: false,
            last_word: None,
            clock: 1_700_000_000_000_000_000,
        }
    }

    /// Neighbouring pages are far apart for the NIC: the number of pages is a power of two times 512, 509 is prime.
    fn page_address(&self, page: u64) -> u64 {
        (page * 509 % self.pages + 0x1_0000) * PAGE
    }

    fn memory_at(&self, address: u64) -> *mut u8 {
        let page = (0..self.pages).find(|page| self.page_address(*page) == address & !(PAGE - 1));
        let page = page.expect("an address that the NIC was given");
        self.base.wrapping_add((page * PAGE + address % PAGE) as usize)
    }

    pub(crate) fn event(&mut self, event: Event) {
        if self.events.len() == self.make.events {
            self.overflowed = true;
        } else {
            self.events.push_back(event);
        }
    }

    /// Descriptors that the NIC may use.
    pub(crate) fn posted(&self) -> usize {
        self.posted.len()
    }

    /// Frames that wait to be sent.
    pub(crate) fn sending(&self) -> usize {
        self.sending.len()
    }

    fn stamp(&mut self) -> Option<u64> {
        self.clock += 1_000;
        self.make.stamps.then_some(self.clock)
    }

    /// A frame arrives. False: there was no buffer for it.
    pub(crate) fn receive(&mut self, frame: &[u8]) -> bool {
        let stamp = self.stamp();
        if self.make.lends {
            let packet = self.lent.iter().position(Option::is_none).unwrap_or_else(|| {
                self.lent.push(None);
                self.lent.len() - 1
            });
            let bytes: Box<[u8]> = frame.into();
            let start = bytes.as_ptr();
            self.lent[packet] = Some(bytes);
            self.event(Event::Lent { packet: packet as u32, start, len: frame.len() as u16, stamp });
            return true;
        }
        let bytes = self.make.prefix + frame.len();
        let parts = bytes.div_ceil(BUFFER);
        if self.posted.len() < parts {
            self.lost += 1;
            return false;
        }
        let mut whole = vec![0xEE; self.make.prefix];
        whole.extend_from_slice(frame);
        for (at, part) in whole.chunks(BUFFER).enumerate() {
            let id = self.fill(part);
            let len = (at * BUFFER + part.len()) as u16;
            self.event(Event::Received { id, len, first: at == 0, more: at + 1 < parts, stamp });
        }
        true
    }

    /// Writes `bytes` into the next posted buffer, of which it returns the id.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> u32 {
        let (address, id) = self.posted.pop_front().expect("a posted buffer");
        assert!(bytes.len() <= BUFFER);
        let at = self.memory_at(address);
        // SAFETY: a posted buffer is the NIC's alone; it has BUFFER bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        id
    }

    /// A frame arrives that is not whole or not good.
    pub(crate) fn discard(&mut self, why: Discard) {
        if self.make.lends {
            self.event(Event::LentDiscarded { why });
        } else {
            let id = self.fill(&[0xDD; 64]);
            self.event(Event::Discarded { id, why });
        }
    }

    /// Sends what waits.
    fn work(&mut self) {
        if self.stalled {
            return;
        }
        while let Some(Descriptor { address, len, id, cut_through }) = self.sending.pop_front() {
            if !cut_through {
                // SAFETY: a buffer that was sent is the NIC's to read until it says otherwise.
                let bytes = unsafe { std::slice::from_raw_parts(self.memory_at(address), usize::from(len)) };
                self.wire.push(bytes);
            }
            self.event(Event::Sent { id, cut_through });
        }
    }

    /// What left since the last call.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        use wirebook::nic::replay::ReplayRx;
        use wirebook::nic::{RxBurst, RxQueue};
        self.work();
        let mut all = ReplayRx::new(std::mem::replace(&mut self.wire, Frames::with_capacity(8_192, 1 << 20)));
        let mut frames = Vec::new();
        loop {
            let burst = all.poll();
            if burst.is_empty() {
                return frames;
            }
            frames.extend((0..burst.len()).map(|i| burst.frame(i).bytes.to_vec()));
        }
    }
}

// SAFETY: buffers are written only in `fill`, which takes them off the posted list, and their event follows; lent bytes
// are boxed until they are released.
unsafe impl Vi for MockVi {
    fn dma_address(&self, offset: usize) -> u64 {
        let offset = offset as u64;
        self.0.borrow().page_address(offset / PAGE) + offset % PAGE
    }

    fn prefix_len(&self) -> usize {
        self.0.borrow().make.prefix
    }

    fn poll(&mut self, each: &mut impl FnMut(Event)) {
        self.0.borrow_mut().work();
        for _ in 0..EVENTS {
            let mut nic = self.0.borrow_mut();
            if nic.overflowed {
                each(Event::Overflow);
                return;
            }
            let Some(event) = nic.events.pop_front() else { return };
            drop(nic);
            each(event);
        }
    }

    fn receive_space(&self) -> usize {
        let nic = self.0.borrow();
        if nic.make.lends { 0 } else { nic.make.ring - nic.posted.len() - nic.written.len() }
    }

    fn receive_init(&mut self, address: u64, id: u32) {
        let mut nic = self.0.borrow_mut();
        assert!(nic.posted.len() + nic.written.len() < nic.make.ring, "the receive ring is full");
        nic.written.push_back((address, id));
    }

    fn receive_push(&mut self) {
        let nic = &mut *self.0.borrow_mut();
        let whole = nic.written.len() / BATCH * BATCH;
        nic.posted.extend(nic.written.drain(..whole));
        nic.pushes += 1;
    }

    fn release(&mut self, packet: u32) {
        let freed = self.0.borrow_mut().lent[packet as usize].take();
        assert!(freed.is_some(), "packet {packet} was released before");
    }

    fn transmit_space(&self) -> bool {
        let nic = self.0.borrow();
        nic.sending.len() < nic.make.send
    }

    fn cuts_through(&self, _len: usize) -> bool {
        self.0.borrow().make.cut_through
    }

    fn transmit_cut_through(&mut self, frame: &[u8]) {
        let nic = &mut *self.0.borrow_mut();
        assert!(!nic.fifo_full, "a second frame before the fall-back of the first");
        nic.fifo.clear();
        nic.fifo.extend_from_slice(frame);
        nic.fifo_full = true;
    }

    fn transmit_fallback(&mut self, address: u64, len: u16, id: u32) -> Result<(), Full> {
        let nic = &mut *self.0.borrow_mut();
        assert!(nic.fifo_full, "a fall-back for nothing");
        nic.fifo_full = false;
        nic.tries += 1;
        let fails = nic.make.fails_every != 0 && nic.tries.is_multiple_of(nic.make.fails_every);
        let in_order = nic.sending.iter().all(|waiting| waiting.cut_through);
        let cut_through = in_order && !fails;
        if cut_through {
            nic.wire.push(&nic.fifo);
        }
        nic.sending.push_back(Descriptor { address, len, id, cut_through });
        Ok(())
    }

    fn transmit(&mut self, address: u64, len: u16, id: u32) -> Result<(), Full> {
        let mut nic = self.0.borrow_mut();
        assert!(!nic.fifo_full, "a frame between a cut-through write and its fall-back");
        if nic.sending.len() == nic.make.send {
            return Err(Full);
        }
        nic.sending.push_back(Descriptor { address, len, id, cut_through: false });
        Ok(())
    }

    fn warm(&mut self, frame: &[u8], _address: u64) {
        assert!(!frame.is_empty());
        self.0.borrow_mut().warmed += 1;
    }

    fn finish(&mut self, counters: &EfviCounters) {
        self.0.borrow_mut().last_word = Some(*counters);
    }
}
