//! A device that is nothing but memory: registers keep what is written, and the far side fills descriptors between the counted
//! parts. The driver's code is the same as over a real device, instruction by instruction: a register is a place in memory.

use std::alloc::{Layout, alloc_zeroed};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use wirebook::nic::intel1g::{Device, Rx, Tx, Window};

use super::{LEN, World};

const REGISTERS: usize = 0x1_0000;
const RDT: u32 = 0x2818;
const TDT: u32 = 0x3818;
const STATUS: u32 = 0x0008;
const RAL: u32 = 0x5400;
const RDBAL: u32 = 0x2800;
const RDLEN: u32 = 0x2808;
const TDBAL: u32 = 0x3800;
const TDLEN: u32 = 0x3808;
const DONE_AND_END: u64 = 3;

#[derive(Clone)]
pub(super) struct Plain {
    registers: NonNull<u32>,
    window: Window,
}

// SAFETY: memory that is never freed; this program has one thread.
unsafe impl Send for Plain {}
// SAFETY: as above.
unsafe impl Sync for Plain {}

impl Plain {
    pub(super) fn new(bytes: usize) -> Self {
        let zeroed = |bytes| {
            let layout = Layout::from_size_align(bytes, 4_096).expect("a size");
            // SAFETY: not empty. Never freed: the program ends soon.
            NonNull::new(unsafe { alloc_zeroed(layout) }).expect("memory")
        };
        let window = Window { base: zeroed(bytes), iova: 0, len: bytes };
        let this = Self { registers: zeroed(REGISTERS).cast(), window };
        // A link, and an address of its own.
        this.write(STATUS, 2);
        this.write(RAL, 0x0201_0002);
        this
    }

    fn descriptor(&self, base: u32, at: u32) -> *mut u64 {
        // SAFETY: the driver put its rings into the window, whose device address is 0.
        unsafe { self.window.base.as_ptr().add(self.read(base) as usize + at as usize * 16 + 8).cast() }
    }
}

// SAFETY: zeroed, aligned, never freed.
unsafe impl Device for Plain {
    #[inline(always)]
    fn read(&self, register: u32) -> u32 {
        // A reset ends at once.
        let mask = if register == 0 { !(1 << 26) } else { u32::MAX };
        // SAFETY: within the registers.
        unsafe { self.registers.as_ptr().add(register as usize / 4).read_volatile() & mask }
    }

    #[inline(always)]
    fn write(&self, register: u32, value: u32) {
        fence(Ordering::Release);
        // SAFETY: as above.
        unsafe { self.registers.as_ptr().add(register as usize / 4).write_volatile(value) };
    }

    #[inline(always)]
    fn window(&self) -> Window {
        self.window
    }
}

/// The far side: what a device and a network would do.
pub(super) struct Far {
    device: Plain,
    received: u32,
    sent: u32,
}

impl Far {
    pub(super) fn new(device: Plain) -> Self {
        Self { device, received: 0, sent: 0 }
    }
}

impl World<Rx<Plain>, Tx<Plain>> for Far {
    fn feed(&mut self, _: &mut Rx<Plain>, _: &mut Tx<Plain>, count: usize) {
        let ring = self.device.read(RDLEN) / 16;
        for _ in 0..count {
            assert_ne!(self.received % ring, self.device.read(RDT), "the ring ran dry");
            let status = self.device.descriptor(RDBAL, self.received % ring);
            // SAFETY: a descriptor's second word.
            unsafe { status.write_volatile(DONE_AND_END | (LEN as u64) << 32) };
            self.received += 1;
        }
    }

    fn after_send(&mut self, _: &mut Rx<Plain>) {
        let ring = self.device.read(TDLEN) / 16;
        while self.sent % ring != self.device.read(TDT) {
            let command = self.device.descriptor(TDBAL, self.sent % ring);
            // SAFETY: a descriptor's second word.
            unsafe { command.write_volatile(command.read_volatile() | 1 << 32) };
            self.sent += 1;
        }
    }
}
