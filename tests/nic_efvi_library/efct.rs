//! The receiving side of an X3, of ordinary memory: 1 MiB buffers that the NIC fills frame by frame.
//!
//! What is known of a frame is written at the start of the place after it, with a sentinel that changes from one use of a
//! buffer to the next: so the library sees that it is new.

use std::collections::VecDeque;
use std::ffi::{c_int, c_uint};
use std::ptr::{self, NonNull};

use efvi_sys as sys;
use wirebook::nic::efvi::device::Device;
use wirebook::nic::efvi::{BUFFER, EfviRx, Memory, queues};

use super::ef10::{ef_vi_init, leak};

unsafe extern "C" {
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
}

pub(crate) fn port() -> (Nic, EfviRx<Device>) {
    let vi = NonNull::from(Box::leak(Box::<sys::ef_vi>::default()));
    let (memory, state) = (leak(COUNT * PLACES), leak(8));
    let descriptors = leak(2_048 * 16 / BUFFER);
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
        assert_eq!(ef_vi_init(vi.as_ptr(), EFCT, 0, 0, 0, CTPIO_ONLY, state.cast()), 0);
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
    }
    let own = Memory::new(1).unwrap();
    let pages = vec![0; own.mapped() / 4_096].into_boxed_slice();
    // SAFETY: lives for ever, and nobody but the queue calls the library on it; nothing is posted.
    let device = unsafe { Device::adopt(vi, &own, pages) }.unwrap();
    let (rx, _) = queues(device, own, 0);
    (Nic { memory, shared, large: 0, place: 0, rounds: 0 }, rx)
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
    unsafe { !(&(*shared(vi)).for_library).is_empty() }
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
