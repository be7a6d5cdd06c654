//! A NIC of the 7000 to X2 series, of ordinary memory.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use efvi_sys as sys;
use wirebook::nic::efvi::device::Device;
use wirebook::nic::efvi::{BUFFER, EfviRx, EfviTx, Memory, queues, receive_buffers};

unsafe extern "C" {
    pub(crate) fn ef_vi_init(
        vi: *mut sys::ef_vi,
        arch: c_int,
        variant: c_int,
        revision: c_int,
        flags: u64,
        nic_flags: u64,
        state: *mut c_void,
    ) -> c_int;
    fn ef_vi_init_io(vi: *mut sys::ef_vi, io: *mut c_void);
    fn ef_vi_init_qs(
        vi: *mut sys::ef_vi,
        memory: *mut u8,
        ids: *mut u32,
        events: c_int,
        receive: c_int,
        prefix: c_int,
        transmit: c_int,
    ) -> *mut u8;
    fn ef_vi_init_state(vi: *mut sys::ef_vi);
    fn ef_vi_add_queue(events: *mut sys::ef_vi, queue: *mut sys::ef_vi) -> c_int;
    fn ef_vi_ctpio_init(vi: *mut sys::ef_vi) -> c_int;
}

const EF10: c_int = 1;
const PAGE: usize = 4_096;
pub(crate) const EVENTS: usize = 256;
const RECEIVE: usize = 128;
pub(crate) const TRANSMIT: usize = 64;
pub(crate) const PREFIX: usize = 14;
/// Sends that one event is about, at most 64.
const MERGED: u32 = 8;

/// A NIC of memory.
pub(crate) struct Nic {
    vi: NonNull<sys::ef_vi>,
    base: *mut u8,
    pages: Box<[u64]>,
    /// Next event to write, counting bytes.
    pub(crate) event_at: usize,
    /// Descriptors used so far.
    pub(crate) received: u32,
    sent: u32,
    window: *mut u8,
    pub(crate) wire: Vec<Vec<u8>>,
    pub(crate) cut_through: u64,
}

/// As much zeroed memory as `buffers` of them, for ever.
pub(crate) fn leak(buffers: usize) -> *mut u8 {
    let memory = Memory::new(buffers).unwrap();
    let at = memory.as_ptr();
    std::mem::forget(memory);
    at
}

pub(crate) fn port(flags: sys::ef_vi_flags) -> (Nic, EfviRx<Device>, EfviTx<Device>) {
    let vi = NonNull::from(Box::leak(Box::<sys::ef_vi>::default()));
    let rings = leak((EVENTS * 8 + 2 * PAGE) / BUFFER);
    let (io, window, state) = (leak(8), leak(2), leak(8));
    assert!(size_of::<sys::ef_vi_state>() < 8 * BUFFER);
    let ids = vec![u32::MAX; RECEIVE + TRANSMIT].leak();
    // SAFETY: memory of the sizes that the rings of such a NIC have, for ever; an empty event is all ones.
    unsafe {
        assert_eq!(ef_vi_init(vi.as_ptr(), EF10, c_int::from(b'C'), 0, flags.into(), 0, state.cast()), 0);
        ef_vi_init_io(vi.as_ptr(), io.cast());
        let (events, receive, transmit) = (EVENTS as c_int, RECEIVE as c_int, TRANSMIT as c_int);
        ef_vi_init_qs(vi.as_ptr(), rings, ids.as_mut_ptr(), events, receive, PREFIX as c_int, transmit);
        rings.write_bytes(0xFF, EVENTS * 8);
        ef_vi_init_state(vi.as_ptr());
        assert_eq!(ef_vi_add_queue(vi.as_ptr(), vi.as_ptr()), 0);
        (*vi.as_ptr()).vi_ctpio_mmap_ptr = window.cast();
        assert_eq!(ef_vi_ctpio_init(vi.as_ptr()), 0);
        sys::shim_receive_set_buffer_len(vi.as_ptr(), BUFFER as u32);
    }
    // A ring holds one less than its size.
    let receive = receive_buffers(RECEIVE - 1);
    let memory = Memory::new(receive + TRANSMIT - 1).unwrap();
    // 44 bits, and no neighbours.
    let count = memory.mapped() / PAGE;
    let pages: Box<[u64]> = (0..count as u64).map(|at| (at * 509 % count as u64 + 0x10_0000) << 12).collect();
    let base = memory.as_ptr();
    let nic = Nic {
        vi,
        base,
        pages: pages.clone(),
        event_at: 0,
        received: 0,
        sent: 0,
        window,
        wire: Vec::new(),
        cut_through: 0,
    };
    // SAFETY: lives for ever, and nobody but the queues calls the library on it.
    let device = unsafe { Device::adopt(vi, &memory, pages, false) }.unwrap();
    let (rx, tx) = queues(device, memory, receive);
    (nic, rx, tx)
}

impl Nic {
    pub(crate) fn vi(&self) -> &sys::ef_vi {
        // SAFETY: lives for ever; nothing changes it while this is looked at.
        unsafe { self.vi.as_ref() }
    }

    fn state(&self) -> &sys::ef_vi_state {
        // SAFETY: as above.
        unsafe { &*self.vi().ep_state }
    }

    fn memory_at(&self, descriptor: u64) -> *mut u8 {
        let address = descriptor & ((1 << 44) - 1);
        let page = self.pages.iter().position(|page| *page == address & !(PAGE as u64 - 1));
        self.base
            .wrapping_add(page.expect("an address that the NIC was given") * PAGE + address as usize % PAGE)
    }

    pub(crate) fn event(&mut self, event: u64) {
        let at = self.event_at & self.vi().evq_mask as usize;
        // SAFETY: inside of the event ring.
        let place = unsafe { self.vi().evq_base.add(at).cast::<u64>() };
        // SAFETY: as above, and aligned.
        assert_eq!(unsafe { place.read() }, u64::MAX, "the event queue is full");
        // SAFETY: as above.
        unsafe { place.write(event) };
        self.event_at += 8;
    }

    fn posted(&self) -> u32 {
        self.state().rxq.posted.wrapping_sub(self.received)
    }

    /// Fills the next buffer and tells of it.
    pub(crate) fn fill(&mut self, bytes: &[u8], flags: u64) {
        assert!(self.posted() > 0, "no buffer is posted");
        let ring = self.vi().vi_rxq.descriptors.cast::<u64>();
        // SAFETY: inside of the receive ring.
        let descriptor = unsafe { ring.add(self.received as usize & (RECEIVE - 1)).read() };
        assert_eq!(descriptor >> 48 & 0x3FFF, BUFFER as u64, "the size of a buffer");
        // SAFETY: a posted buffer is the NIC's alone; it has that size.
        unsafe { self.memory_at(descriptor).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.received = self.received.wrapping_add(1);
        self.event(flags | (u64::from(self.received) & 0xF) << 48 | bytes.len() as u64);
    }

    pub(crate) fn receive(&mut self, frame: &[u8]) {
        let mut whole = vec![0xEE; PREFIX];
        whole.extend_from_slice(frame);
        let parts = whole.len().div_ceil(BUFFER);
        for (at, part) in whole.chunks(BUFFER).enumerate() {
            self.fill(part, if at + 1 < parts { GOES_ON } else { 0 });
        }
    }

    /// Sends what was pushed.
    pub(crate) fn work(&mut self) {
        let mut unsaid = 0;
        while self.sent != self.state().txq.previous {
            let ring = self.vi().vi_txq.descriptors.cast::<u64>();
            // SAFETY: inside of the transmit ring.
            let descriptor = unsafe { ring.add(self.sent as usize & (TRANSMIT - 1)).read() };
            assert_eq!(descriptor >> 62, 0, "one descriptor is one frame");
            let len = (descriptor >> 48 & 0x3FFF) as usize;
            let alone = unsaid == 0 && self.state().txq.previous.wrapping_sub(self.sent) == 1;
            // SAFETY: what was sent is the NIC's to read until it says otherwise.
            let from_memory = unsafe { std::slice::from_raw_parts(self.memory_at(descriptor), len) }.to_vec();
            self.sent = self.sent.wrapping_add(1);
            unsaid += 1;
            if alone && let Some(frame) = self.take_window() {
                assert_eq!(frame, from_memory, "the fall-back is the same frame");
                self.wire.push(frame);
                self.cut_through += 1;
                self.complete(CUT_THROUGH);
                return;
            }
            self.wire.push(from_memory);
            if unsaid == MERGED {
                self.complete(FROM_MEMORY);
                unsaid = 0;
            }
        }
        if unsaid > 0 {
            self.complete(FROM_MEMORY);
        }
        self.take_window();
    }

    fn complete(&mut self, how: u64) {
        let last = u64::from(self.sent.wrapping_sub(1)) & 0xFFFF;
        self.event(2 << 60 | how << 24 | last);
    }

    /// What the last write of the program to the cut-through window was.
    pub(crate) fn take_window(&mut self) -> Option<Vec<u8>> {
        // SAFETY: a page of ours, written by the library before.
        let header = unsafe { self.window.cast::<u32>().read() };
        let len = header as usize & 0xFFF;
        if len == 0 {
            return None;
        }
        assert_eq!(header >> 16 & 0xFFF, 64, "where it begins to send");
        // SAFETY: the frame follows, in the same page.
        let frame = unsafe { std::slice::from_raw_parts(self.window.add(4), len) }.to_vec();
        // SAFETY: as above.
        unsafe { self.window.cast::<u32>().write(0) };
        Some(frame)
    }
}

const FROM_MEMORY: u64 = 0;
const CUT_THROUGH: u64 = 0x11;
/// Bits of a receive event.
pub(crate) const GOES_ON: u64 = 1 << 14;
pub(crate) const BAD_FCS: u64 = 1 << 24;
pub(crate) const BAD_IP: u64 = 1 << 25;
