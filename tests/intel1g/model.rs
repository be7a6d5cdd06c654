//! A model of the controller, register by register, as the datasheets tell: what a driver does wrong shows here on any machine.
//!
//! The device acts when a register is written (as emulators do) or when the test puts a frame on the wire. Its only way to
//! memory is an IOMMU: an access outside the window is a fault, which fails the test. So is a frame from a buffer that the
//! driver has given back, and anything else the datasheets forbid.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use wirebook::nic::intel1g::{Chip, Device, Window};

/// Where the device sees the memory: not where the process does, and not 0.
const IOVA: u64 = 0x1_2345_6000;

const CTRL: u32 = 0x0000;
const STATUS: u32 = 0x0008;
const MDIC: u32 = 0x0020;
const RCTL: u32 = 0x0100;
const TCTL: u32 = 0x0400;
const RDBAL: u32 = 0x2800;
const SRRCTL: u32 = 0x280c;
const RDLEN: u32 = 0x2808;
const RDH: u32 = 0x2810;
const RDT: u32 = 0x2818;
const RXDCTL: u32 = 0x2828;
const TDBAL: u32 = 0x3800;
const TDLEN: u32 = 0x3808;
const TDH: u32 = 0x3810;
const TDT: u32 = 0x3818;
const TXDCTL: u32 = 0x3828;
const MPC: u32 = 0x4010;
const GPRC: u32 = 0x4074;
const GPTC: u32 = 0x4080;
const RXCSUM: u32 = 0x5000;
const RFCTL: u32 = 0x5008;
const MTA: u32 = 0x5200;
const RAL: u32 = 0x5400;

const RESET: u32 = 1 << 26;
const MASTER_DISABLE: u32 = 1 << 2;
const QUEUE_ENABLE: u32 = 1 << 25;

/// The address in the model's NVM.
pub(crate) const MAC: [u8; 6] = [0x02, 0x01, 0x02, 0x03, 0x04, 0x05];

/// Memory of the process that the device sees too.
struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a piece of memory; the model's lock and the driver's rings say who may touch which part when.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// What the device is doing.
pub(crate) struct State {
    registers: Vec<u32>,
    chip: Chip,
    /// Reads of CTRL until a reset ends.
    resetting: u32,
    link: bool,
    /// What left, in order.
    pub(crate) sent: Vec<Vec<u8>>,
    /// Transmit reports are held back.
    pub(crate) mute: bool,
    /// Descriptors whose report is held back.
    unreported: Vec<u64>,
    /// What no driver may do.
    pub(crate) faults: Vec<String>,
    /// Writes of the receive tail: doorbells are what a driver saves.
    pub(crate) tail_writes: u64,
    pub(crate) resets: u64,
}

/// Both ends of the cable: the driver has one, the test the other.
#[derive(Clone)]
pub(crate) struct Model {
    state: Arc<Mutex<State>>,
    memory: Arc<Memory>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Model")
    }
}

impl Model {
    pub(crate) fn new(chip: Chip, bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 4_096).unwrap();
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        let mut state = State {
            registers: vec![0; 0x8000],
            chip,
            resetting: 0,
            link: true,
            sent: Vec::new(),
            mute: false,
            unreported: Vec::new(),
            faults: Vec::new(),
            tail_writes: 0,
            resets: 0,
        };
        state.reset();
        // As a program that was killed leaves it.
        *state.at(RCTL) = 0x02;
        *state.at(TCTL) = 0x02;
        *state.at(RAL + 16) = 0xdead_beef;
        Self { state: Arc::new(Mutex::new(state)), memory: Arc::new(Memory { base, layout }) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A link that goes and comes.
    pub(crate) fn set_link(&self, up: bool) {
        self.state().link = up;
    }

    pub(crate) fn register(&self, register: u32) -> u32 {
        *self.state().at(register)
    }

    /// A frame comes in. True if a descriptor took it.
    pub(crate) fn deliver(&self, frame: &[u8]) -> bool {
        let mut state = self.state();
        if !state.receives() || !state.passes(frame) {
            return false;
        }
        let pieces = frame.chunks(2_048);
        if (state.free() as usize) < pieces.len() {
            *state.at(MPC) += 1;
            return false;
        }
        let last = pieces.len() - 1;
        for (i, piece) in pieces.enumerate() {
            // DD, EOP at the end, IPv4 and UDP checksums looked at and good where they are to be.
            let checked = if *state.at(RXCSUM) & 0x300 == 0x300 { 0x60 } else { 0 };
            let status = 1 | if i == last { 2 | checked } else { 0 };
            self.write_back(&mut state, piece, status | (piece.len() as u64) << 32);
        }
        *state.at(GPRC) += 1;
        true
    }

    /// Fills the next descriptor with `status` as it is, honest or not.
    pub(crate) fn deliver_raw(&self, bytes: &[u8], status: u64) {
        let mut state = self.state();
        assert!(state.free() > 0, "the test must leave room");
        self.write_back(&mut state, bytes, status);
    }

    fn write_back(&self, state: &mut State, bytes: &[u8], status: u64) {
        let head = *state.at(RDH);
        let descriptor = state.base(RDBAL) + u64::from(head) * 16;
        let [address, reserved] = self.read::<2>(state, descriptor);
        if reserved != 0 {
            state.faults.push(format!("descriptor {head} was given with its second word {reserved:#x}"));
        }
        self.put(state, address, bytes);
        // The first word is the device's too: hashes and checksums.
        self.put(state, descriptor, &0xfeed_face_0bad_cafe_u64.to_le_bytes());
        self.put(state, descriptor + 8, &status.to_le_bytes());
        let len = *state.at(RDLEN) / 16;
        *state.at(RDH) = (head + 1) % len;
    }

    /// Everything up to the tail leaves.
    fn transmit(&self, state: &mut State) {
        let count = *state.at(TDLEN) / 16;
        if *state.at(TCTL) & 2 == 0 || count == 0 || state.masterless() {
            return;
        }
        if state.chip == Chip::I82576 && *state.at(TXDCTL) & QUEUE_ENABLE == 0 {
            state.faults.push("a doorbell of a queue that is off".to_owned());
            return;
        }
        while *state.at(TDH) != *state.at(TDT) {
            let head = *state.at(TDH);
            let at = state.base(TDBAL) + u64::from(head) * 16;
            let [address, command] = self.read::<2>(state, at);
            if command >> 24 & 0xff != 0b1011 {
                state.faults.push(format!(
                    "transmit command {command:#x} is not one whole frame with FCS and report"
                ));
            }
            let bytes = self.get(state, address, (command & 0xffff) as usize);
            state.sent.push(bytes);
            *state.at(GPTC) += 1;
            if state.mute {
                state.unreported.push(at);
            } else {
                self.put(state, at + 8, &(command | 1 << 32).to_le_bytes());
            }
            *state.at(TDH) = (head + 1) % count;
        }
    }

    /// Ends the silence: all reports at once, in order.
    pub(crate) fn report(&self) {
        let mut state = self.state();
        state.mute = false;
        for at in std::mem::take(&mut state.unreported) {
            let [_, command] = self.read::<2>(&mut state, at);
            self.put(&mut state, at + 8, &(command | 1 << 32).to_le_bytes());
        }
    }

    /// The IOMMU: what lies within the window, or a fault.
    fn translate(&self, state: &mut State, address: u64, len: usize) -> Option<*mut u8> {
        let offset = address.checked_sub(IOVA).and_then(|offset| usize::try_from(offset).ok());
        match offset {
            Some(offset) if offset + len <= self.memory.layout.size() => {
                // SAFETY: within the allocation.
                Some(unsafe { self.memory.base.as_ptr().add(offset) })
            }
            _ => {
                state
                    .faults
                    .push(format!("the device was sent to {address:#x}, {len} bytes: outside of its memory"));
                None
            }
        }
    }

    fn put(&self, state: &mut State, address: u64, bytes: &[u8]) {
        if let Some(to) = self.translate(state, address, bytes.len()) {
            // SAFETY: translated; words of descriptors are written in one piece, as a device does.
            unsafe {
                if let (Ok(word), true) = (<[u8; 8]>::try_from(bytes), to.cast::<u64>().is_aligned()) {
                    to.cast::<u64>().write_volatile(u64::from_le_bytes(word));
                } else {
                    to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
            }
        }
    }

    fn get(&self, state: &mut State, address: u64, len: usize) -> Vec<u8> {
        self.translate(state, address, len).map_or_else(Vec::new, |from| {
            // SAFETY: translated.
            unsafe { std::slice::from_raw_parts(from, len) }.to_vec()
        })
    }

    fn read<const N: usize>(&self, state: &mut State, address: u64) -> [u64; N] {
        let bytes = self.get(state, address, N * 8);
        std::array::from_fn(|i| {
            bytes.get(i * 8..i * 8 + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap()))
        })
    }
}

impl State {
    fn at(&mut self, register: u32) -> &mut u32 {
        &mut self.registers[register as usize / 4]
    }

    fn base(&mut self, register: u32) -> u64 {
        u64::from(*self.at(register)) | u64::from(*self.at(register + 4)) << 32
    }

    fn reset(&mut self) {
        self.registers.fill(0);
        let [a, b, c, d, e, f] = MAC;
        *self.at(RAL) = u32::from_le_bytes([a, b, c, d]);
        *self.at(RAL + 4) = u32::from_le_bytes([e, f, 0, 0]) | 1 << 31;
        *self.at(TCTL) = 1 << 28;
    }

    /// Bus mastering is off by the control register.
    fn masterless(&mut self) -> bool {
        *self.at(CTRL) & MASTER_DISABLE != 0
    }

    /// The receiver is on, and was set up in the form that the driver reads.
    fn receives(&mut self) -> bool {
        let formed = match self.chip {
            Chip::I82574 => *self.at(RFCTL) & 1 << 15 != 0,
            Chip::I82576 => *self.at(SRRCTL) == (1 << 25 | 2) && *self.at(RXDCTL) & QUEUE_ENABLE != 0,
        };
        let control = *self.at(RCTL);
        // Enabled, buffers of 2,048 bytes, FCS left out, long frames.
        control & 2 != 0
            && control & (3 << 16 | 1 << 25) == 0
            && control & 1 << 26 != 0
            && control & 1 << 5 != 0
            && formed
            && !self.masterless()
    }

    /// Descriptors that are the device's.
    fn free(&mut self) -> u32 {
        let count = *self.at(RDLEN) / 16;
        if count == 0 { 0 } else { (*self.at(RDT) + count - *self.at(RDH)) % count }
    }

    /// The filters let the frame through.
    fn passes(&mut self, frame: &[u8]) -> bool {
        let to: [u8; 6] = frame[..6].try_into().unwrap();
        let control = *self.at(RCTL);
        let group = to[0] & 1 != 0;
        if to == [0xff; 6] {
            return control & 1 << 15 != 0;
        }
        if control & if group { 1 << 4 } else { 1 << 3 } != 0 {
            return true;
        }
        let listed = (0..16).any(|entry| {
            let (low, high) = (*self.at(RAL + 8 * entry), *self.at(RAL + 8 * entry + 4));
            let [a, b, c, d] = low.to_le_bytes();
            let [e, f, _, _] = high.to_le_bytes();
            high & 1 << 31 != 0 && [a, b, c, d, e, f] == to
        });
        let hash = (u32::from(to[5]) << 8 | u32::from(to[4])) >> 4;
        listed || group && *self.at(MTA + hash / 32 * 4) & 1 << (hash % 32) != 0
    }
}

// SAFETY: the memory is zeroed, page-aligned, and lives as long as any clone of the model.
unsafe impl Device for Model {
    fn read(&self, register: u32) -> u32 {
        let mut state = self.state();
        match register {
            CTRL if state.resetting > 0 => {
                state.resetting -= 1;
                RESET
            }
            STATUS => {
                // Full duplex, link, 1,000 Mbit/s; bus mastering as long as it is not off.
                let link = if state.link { 2 } else { 0 };
                1 | link | 2 << 6 | if state.masterless() { 0 } else { 1 << 19 }
            }
            // Counters clear when read.
            0x4000..0x4100 => std::mem::take(state.at(register)),
            _ => *state.at(register),
        }
    }

    fn write(&self, register: u32, value: u32) {
        let mut state = self.state();
        if state.resetting > 0 && register != CTRL {
            state.faults.push(format!("register {register:#06x} was written during a reset"));
        }
        match register {
            CTRL if value & RESET != 0 => {
                if *state.at(RCTL) & 2 != 0 || *state.at(TCTL) & 2 != 0 {
                    state.faults.push("a reset with receiver or transmitter on".to_owned());
                }
                state.reset();
                state.resetting = 2;
                state.resets += 1;
            }
            // PHY 1, register 0: negotiate, now. The link is up at once.
            MDIC if value == (1 << 26 | 1 << 21 | 0x1200) => {
                state.link = true;
                *state.at(MDIC) = value | 1 << 28;
            }
            RDT => {
                state.tail_writes += 1;
                *state.at(RDT) = value;
            }
            RDBAL | TDBAL | RDLEN | TDLEN if !value.is_multiple_of(128) => {
                state.faults.push(format!("ring register {register:#06x}: {value:#x} is no multiple of 128"));
            }
            TDT => {
                *state.at(TDT) = value;
                self.transmit(&mut state);
            }
            _ => *state.at(register) = value,
        }
    }

    fn window(&self) -> Window {
        Window { base: self.memory.base, iova: IOVA, len: self.memory.layout.size() }
    }
}
