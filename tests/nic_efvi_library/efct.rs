//! An X3, of ordinary memory: 1 MiB buffers that the NIC fills frame by frame, and a window that frames to send are written
//! to one after the other.
//!
//! What is known of a frame is written at the start of the place after it, with a sentinel that changes from one use of a
//! buffer to the next: so the library sees that it is new.

use std::collections::VecDeque;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

use efvi_sys as sys;
use wirebook::nic::efvi::device::Device;
use wirebook::nic::efvi::{BUFFER, EfviRx, EfviTx, Memory, queues};

use super::ef10::{ef_vi_init, leak};

unsafe extern "C" {
    fn ef_vi_init_txq(vi: *mut sys::ef_vi, size: c_int, descriptors: *mut c_void, ids: *mut u32);
    fn ef_vi_init_evq(vi: *mut sys::ef_vi, size: c_int, ring: *mut c_void);
    fn efct_vi_start_rxq(vi: *mut sys::ef_vi, index: c_int, queue: c_int);
}

const EFCT: c_int = 3;
/// The NIC sends by cut-through only.
const CTPIO_ONLY: u64 = 2;
const EAGAIN: c_int = 11;
/// Frames of a large buffer, each in a place of [`BUFFER`] bytes.
const PLACES: usize = 512;
const LARGE: usize = PLACES * BUFFER;
const COUNT: usize = 4;
/// Where a frame begins in its place.
const FRAME_AT: usize = 66;
pub(crate) const LONGEST: usize = BUFFER - FRAME_AT;

/// Descriptors for sending, and events.
const TRANSMIT: usize = 512;
const EVENTS: usize = 256;
pub(crate) const SLOTS: usize = 64;
/// Bytes of the FIFO, of which one line is kept free and one is the header's; the window is larger, since nobody reads it
/// while it is written here.
const FIFO: u32 = 32 << 10;
const WINDOW: usize = 64 << 10;

/// Bits of what is said of a frame.
pub(crate) const BAD_LENGTH: u64 = 1 << 38;
pub(crate) const BAD_FCS: u64 = 2 << 38;
const AT_66: u64 = 1 << 14;
const SENTINEL: u32 = 43;

/// What drivers and library know together. It begins with what the library calls.
#[repr(C)]
struct Shared {
    operations: sys::ef_vi_efct_rxq_ops,
    /// Large buffers that the library will take next, and the NIC.
    for_library: VecDeque<usize>,
    for_nic: VecDeque<usize>,
    /// Of each large buffer, for its use now or next.
    sentinel: [bool; COUNT],
    sequence: c_uint,
    places: u32,
    generation: c_uint,
    time: u64,
    queues: u64,
}

pub(crate) struct Nic {
    memory: *mut u8,
    shared: NonNull<Shared>,
    /// Where the next frame goes.
    large: usize,
    place: usize,
    rounds: u64,
    vi: NonNull<sys::ef_vi>,
    window: *mut u8,
    /// Bytes of the window, frames, and bytes of events so far.
    read: u32,
    sent: u32,
    event_at: usize,
    pub(crate) wire: Vec<Vec<u8>>,
    pub(crate) warmed: u64,
}

pub(crate) fn port() -> (Nic, EfviRx<Device>, EfviTx<Device>) {
    let vi = NonNull::from(Box::leak(Box::<sys::ef_vi>::default()));
    let (memory, state) = (leak(COUNT * PLACES), leak(8));
    let descriptors = leak(2_048 * 16 / BUFFER);
    let (window, sends, events) = (leak(WINDOW / BUFFER), leak(1), leak(1));
    let ids = vec![u32::MAX; TRANSMIT].leak();
    let shared = NonNull::from(Box::leak(Box::new(Shared {
        operations: sys::ef_vi_efct_rxq_ops {
            available: Some(available),
            next: Some(next),
            free: Some(free),
            refresh: Some(refresh),
            ..Default::default()
        },
        for_library: (0..COUNT).collect(),
        // It has begun with the first.
        for_nic: (1..COUNT).collect(),
        sentinel: [true; COUNT],
        sequence: 0,
        places: PLACES as u32,
        generation: 0,
        time: 0,
        queues: 1,
    })));
    let at = shared.as_ptr();
    // SAFETY: all of this lives for ever; the library follows only what is set here.
    unsafe {
        let flags = sys::EF_VI_TX_CTPIO.into();
        assert_eq!(ef_vi_init(vi.as_ptr(), EFCT, 0, 0, flags, CTPIO_ONLY, state.cast()), 0);
        ef_vi_init_txq(vi.as_ptr(), TRANSMIT as c_int, sends.cast(), ids.as_mut_ptr());
        // As drivers leave it: events of the first round have the other phase.
        events.write_bytes(0xFF, EVENTS * 8);
        ef_vi_init_evq(vi.as_ptr(), EVENTS as c_int, events.cast());
        let vi = &mut *vi.as_ptr();
        vi.vi_rxq.mask = u32::MAX;
        vi.vi_rxq.descriptors = descriptors.cast();
        vi.efct_rxqs.ops = at.cast();
        vi.efct_rxqs.active_qs = &raw const (*at).queues;
        vi.efct_rxqs.meta_offset = 1;
        let queue = &mut vi.efct_rxqs.q[0];
        queue.live.superbuf_pkts = &raw const (*at).places;
        queue.live.config_generation = &raw const (*at).generation;
        queue.live.time_sync = &raw const (*at).time;
        queue.superbuf = memory.cast();
        efct_vi_start_rxq(vi, 0, 0);
        vi.vi_ctpio_mmap_ptr = window.cast();
        vi.vi_txq.efct_aperture_mask = (WINDOW as u32 - 1) >> 3;
        vi.vi_txq.ct_fifo_bytes = FIFO - 64 - 8;
    }
    let own = Memory::new(SLOTS).unwrap();
    // This NIC reads no memory: the library does, by its own addresses.
    let pages = (0..own.mapped()).step_by(4_096).map(|at| own.as_ptr().wrapping_add(at) as u64).collect();
    // SAFETY: lives for ever, and nobody but the queues calls the library on it.
    let device = unsafe { Device::adopt(vi, &own, pages, true) }.unwrap();
    let (rx, tx) = queues(device, own, 0);
    let nic = Nic {
        memory,
        shared,
        large: 0,
        place: 0,
        rounds: 0,
        vi,
        window,
        read: 0,
        sent: 0,
        event_at: 0,
        wire: Vec::new(),
        warmed: 0,
    };
    (nic, rx, tx)
}

impl Nic {
    /// Writes the frame, then what is to be known of it.
    pub(crate) fn receive(&mut self, frame: &[u8], flags: u64) {
        assert!(frame.len() <= LONGEST);
        let at = self.memory.wrapping_add(self.large * LARGE + self.place * BUFFER + FRAME_AT);
        // SAFETY: a place of a buffer that the NIC has.
        unsafe { at.copy_from_nonoverlapping(frame.as_ptr(), frame.len()) };
        self.place += 1;
        if self.place == PLACES {
            // SAFETY: shared with the library's callbacks, none of which is running.
            let next = unsafe { (*self.shared.as_ptr()).for_nic.pop_front() };
            self.large = next.expect("a large buffer");
            self.place = 0;
            self.rounds += 1;
        }
        // SAFETY: as above.
        let sentinel = unsafe { (*self.shared.as_ptr()).sentinel[self.large] };
        let known = flags | frame.len() as u64 | AT_66 | u64::from(sentinel) << SENTINEL;
        let at = self.memory.wrapping_add(self.large * LARGE + self.place * BUFFER).cast::<u64>();
        // SAFETY: the start of a place, aligned.
        unsafe { at.write_volatile(known) };
    }

    /// Sends what was written to the window, and says so in one event.
    pub(crate) fn work(&mut self) {
        const WARM: u64 = 1 << 23;
        // SAFETY: lives for ever; nothing changes it while this is looked at.
        let vi = unsafe { self.vi.as_ref() };
        // SAFETY: as above.
        let written = unsafe { (*vi.ep_state).txq.ct_added };
        let before = self.sent;
        while self.read != written {
            let header = u64::from_ne_bytes(self.window_at(0, 8).try_into().unwrap());
            let len = (header & 0x3FFF) as usize;
            if header & WARM == 0 {
                let frame = self.window_at(8, len);
                self.wire.push(frame);
            } else {
                self.warmed += 1;
            }
            self.read = self.read.wrapping_add((8 + len).next_multiple_of(64) as u32);
            self.sent = self.sent.wrapping_add(1);
        }
        if self.sent == before {
            return;
        }
        assert!(self.sent.wrapping_sub(before) < 256, "more than the sequence of an event can tell");
        let phase = u64::from(self.event_at & (EVENTS * 8) != 0);
        let last = u64::from(self.sent.wrapping_sub(1)) & 0xFF;
        let at = vi.evq_base.wrapping_add(self.event_at & (EVENTS * 8 - 1)).cast::<u64>();
        // SAFETY: inside of the event ring, aligned.
        unsafe { at.write_volatile(1 << 60 | phase << 59 | last << 40) };
        self.event_at += 8;
    }

    fn window_at(&self, from: usize, len: usize) -> Vec<u8> {
        let at = |byte: usize| (self.read as usize + from + byte) % WINDOW;
        // SAFETY: inside of the window.
        (0..len).map(|byte| unsafe { self.window.add(at(byte)).read() }).collect()
    }

    /// Large buffers that were filled.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds
    }
}

/// What belongs to `vi`.
unsafe fn shared(vi: *const sys::ef_vi) -> *mut Shared {
    // SAFETY: set when the VI was made.
    unsafe { (*vi).efct_rxqs.ops.cast() }
}

unsafe extern "C" fn available(vi: *const sys::ef_vi, _queue: c_int) -> bool {
    // SAFETY: nobody else is using it.
    let shared = unsafe { &*shared(vi) };
    !shared.for_library.is_empty()
}

/// The library goes on to the next large buffer.
unsafe extern "C" fn next(
    vi: *mut sys::ef_vi,
    _queue: c_int,
    sentinel: *mut bool,
    sequence: *mut c_uint,
) -> c_int {
    // SAFETY: nobody else is using it.
    let shared = unsafe { &mut *shared(vi) };
    let Some(large) = shared.for_library.pop_front() else { return -EAGAIN };
    // SAFETY: the library's variables.
    unsafe {
        ptr::write(sentinel, shared.sentinel[large]);
        ptr::write(sequence, shared.sequence);
    }
    shared.sequence += 1;
    large as c_int
}

/// The last frame of a large buffer was released: the NIC may have it again.
unsafe extern "C" fn free(vi: *mut sys::ef_vi, _queue: c_int, large: c_int) {
    // SAFETY: nobody else is using it.
    let shared = unsafe { &mut *shared(vi) };
    let large = large as usize;
    shared.sentinel[large] = !shared.sentinel[large];
    shared.for_library.push_back(large);
    shared.for_nic.push_back(large);
}

unsafe extern "C" fn refresh(_vi: *mut sys::ef_vi, _queue: c_int) -> c_int {
    0
}
