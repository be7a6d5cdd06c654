//! A driver of our own: Intel's 82574L and 82576 gigabit controllers, programmed by their registers.
//!
//! It shows what a poll-mode driver does, in the shortest form that is still whole:
//!
//! 1. **Bring up** (`bringup.rs`): stop and reset the device, give it two rings of descriptors in memory that it can reach,
//!    set its filters, switch receiver and transmitter on.
//! 2. **Receive** (`rx.rs`): each descriptor points to a buffer. The device writes a frame into the buffer and then sets
//!    the descriptor's DD bit. The driver looks at that bit, which lies in ordinary memory, so an empty poll reads one
//!    cached word and touches no register. Used descriptors are armed again, and the tail register says how far.
//! 3. **Transmit** (`tx.rs`): a frame goes into a buffer, its address into a descriptor, and the tail register is the
//!    doorbell. The device sets DD when it has read the frame.
//! 4. **Ask** (`port.rs`): link, counters, multicast filter.
//! 5. **Stop**: receiver and transmitter off, no more memory access, reset; only then may the memory go away.
//!
//! The driver reaches the hardware through a [`Device`] only: registers, and a window of memory that the device sees under
//! addresses of its own. [`super::vfio`] provides one for a PCI device; tests provide a model of the device.
//!
//! Differences from a product's driver: one queue each way, no interrupts, frames of one buffer, no segmentation or checksum
//! offload on transmit, and none of the workarounds that Intel's specification updates list for steppings of the silicon.
//!
//! Sources: *82574 GbE Controller Family Datasheet* and *82576EB Gigabit Ethernet Controller Datasheet*, both Intel. Sections
//! are cited by chapter, as "82574 §10.2.5".
#![allow(unsafe_code, reason = "descriptors and buffers are raw memory that a device writes")]

use std::fmt;
use std::ptr::NonNull;

mod bringup;
mod memory;
mod port;
mod registers;
mod rx;
mod tx;

pub use crate::port::PortStats;
pub use port::{Filter, Link, Port};
pub use rx::{Burst, Rx, RxCounters, RxHandle};
pub use tx::{Slot, Tx, TxHandle};

/// What the driver needs of a device.
///
/// Registers are 32 bits wide. An access is never left out, repeated, merged or moved across another one, and a write is
/// seen by the device after all memory that the same thread wrote before it.
///
/// # Safety
/// The memory of [`Device::window`] is zeroed at first, mapped for reading and writing, aligned to 4,096 bytes, used by nobody
/// else in the process, and stays so as long as the device object lives, wherever it is moved.
pub unsafe trait Device: Send + Sync {
    /// The value of the register at byte offset `register`.
    fn read(&self, register: u32) -> u32;
    /// Writes it.
    fn write(&self, register: u32, value: u32);
    /// The memory that driver and device share.
    fn window(&self) -> Window;
}

/// Memory that driver and device share.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Where this process sees it.
    pub base: NonNull<u8>,
    /// Where the device sees it.
    pub iova: u64,
    /// Its length in bytes.
    pub len: usize,
}

/// The controllers that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// 82574L: one port, PCIe 1.1.
    I82574,
    /// 82576: two ports, queues with an enable bit of their own.
    I82576,
}

impl Chip {
    /// PCI vendor and device numbers, with the controller that they mean.
    pub const KNOWN: [((u16, u16), Self); 3] = [
        ((0x8086, 0x10d3), Self::I82574),
        ((0x8086, 0x10f6), Self::I82574),
        ((0x8086, 0x10c9), Self::I82576),
    ];

    /// The controller with these PCI numbers, if it is a known one.
    #[must_use]
    pub fn of(id: (u16, u16)) -> Option<Self> {
        Self::KNOWN.iter().find(|(known, _)| *known == id).map(|(_, chip)| *chip)
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I82574 => "82574L",
            Self::I82576 => "82576",
        })
    }
}

/// Longest MTU: frames stay within one buffer, VLAN tags included.
pub const MAX_MTU: u16 = memory::BUFFER as u16 - FRAME_OVERHEAD;

/// Bytes before the MTU: Ethernet header and two VLAN tags.
const FRAME_OVERHEAD: u16 = 14 + 2 * 4;

/// How to set a port up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive descriptors, each with a buffer: a power of two, 32 to 4,096. More ride out longer stalls of the loop.
    pub rx_descriptors: u16,
    /// Transmit descriptors, likewise. There is one buffer less, so that the ring never overflows.
    pub tx_descriptors: u16,
    /// Bytes from the IP header on, 68 to [`MAX_MTU`].
    pub mtu: u16,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self { rx_descriptors: 1_024, tx_descriptors: 256, mtu: 1_500 }
    }
}

impl PortConfig {
    /// Bytes of shared memory that a port of this kind needs.
    #[must_use]
    pub fn memory(&self) -> usize {
        memory::Layout::new(self).len
    }

    /// The numbers of descriptors made such as the driver takes: down to a power of two, within its range.
    #[must_use]
    pub fn adjusted(self) -> Self {
        let fit = |wanted: u16| {
            let wanted = wanted.clamp(memory::MIN_DESCRIPTORS, memory::MAX_DESCRIPTORS);
            1 << wanted.ilog2()
        };
        Self { rx_descriptors: fit(self.rx_descriptors), tx_descriptors: fit(self.tx_descriptors), ..self }
    }
}

/// Why a port could not be brought up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// A value of [`PortConfig`] is out of its range.
    #[error("{what} {asked} is outside what this driver takes, {least} to {most}{}", if *.power { ", a power of two" } else { "" })]
    OutOfRange {
        /// `MTU`, `receive descriptors`, `transmit descriptors`.
        what: &'static str,
        /// As configured.
        asked: u16,
        /// The least that it takes.
        least: u16,
        /// The most that it takes.
        most: u16,
        /// Only powers of two.
        power: bool,
    },
    /// The shared memory is too small or lies wrong.
    #[error(
        "the device offers {len} bytes of shared memory at {base:#x}, {needed} on a page boundary are needed"
    )]
    Memory {
        /// What there is.
        len: usize,
        /// Where it is.
        base: usize,
        /// What is needed.
        needed: usize,
    },
    /// Registers read as all ones: the device does not answer.
    #[error("the device does not answer: is its memory space enabled, is it still there?")]
    Gone,
    /// Something did not happen in time.
    #[error("the device did not {what} within {ms} ms: try again after a reset (restore and bind it again)")]
    Timeout {
        /// `end its reset`, …
        what: &'static str,
        /// How long was waited.
        ms: u64,
    },
    /// The device knows no valid address of its own.
    #[error("the device has no hardware address: its NVM is empty or damaged")]
    NoAddress,
    /// A filter for an address that is no group's.
    #[error("{0:02x?} is no multicast address")]
    NotMulticast([u8; 6]),
    /// A queue has one owner.
    #[error("the {0} queue is in use already")]
    QueueTaken(&'static str),
}
