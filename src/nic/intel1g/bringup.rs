//! From a device in any state to one that receives and sends, and back.
//!
//! The order is that of the datasheets (82574 §4.6, 82576 §4.5): interrupts off, reset, interrupts off again, link, filters,
//! rings, and the receiver and transmitter last.

use std::thread;
use std::time::{Duration, Instant};

use super::memory::{BUFFER, Layout, Part, STRIDE};
use super::{Chip, Device, DriverError, PortConfig, registers as reg, rx};

/// Longest wait for the last memory access before a reset.
const MASTER_WAIT: Duration = Duration::from_millis(100);
/// Longest wait for the end of a reset.
const RESET_WAIT: Duration = Duration::from_millis(500);
/// Time after a reset in which the device reads its NVM.
const SETTLE: Duration = Duration::from_millis(10);

/// Receiver and transmitter off, no more memory access, reset. After this the device touches no memory.
///
/// # Errors
/// [`DriverError::Gone`], [`DriverError::Timeout`].
pub(super) fn stop<D: Device>(device: &D) -> Result<(), DriverError> {
    // A device that is not there answers every read with ones.
    if device.read(reg::STATUS) == u32::MAX {
        return Err(DriverError::Gone);
    }
    device.write(reg::IMC, u32::MAX);
    device.write(reg::RCTL, 0);
    device.write(reg::TCTL, 0);
    // A reset amid a memory access may hang the bus: let the last one end first (82574 §5.2). Where it does not end, the reset
    // is the better evil.
    let control = device.read(reg::CTRL);
    device.write(reg::CTRL, control | reg::CTRL_MASTER_DISABLE);
    wait(MASTER_WAIT, || device.read(reg::STATUS) & reg::STATUS_MASTER == 0);

    device.write(reg::CTRL, device.read(reg::CTRL) | reg::CTRL_RESET);
    thread::sleep(SETTLE);
    if !wait(RESET_WAIT, || device.read(reg::CTRL) & reg::CTRL_RESET == 0) {
        return Err(DriverError::Timeout { what: "end its reset", ms: RESET_WAIT.as_millis() as u64 });
    }
    device.write(reg::IMC, u32::MAX);
    device.read(reg::ICR);
    Ok(())
}

/// True once `done` is.
fn wait(most: Duration, mut done: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if done() {
            return true;
        }
        if began.elapsed() >= most {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Resets the device and starts it with the rings of `layout`. Returns its own hardware address.
///
/// # Errors
/// As [`stop`], and [`DriverError::NoAddress`].
pub(super) fn start<D: Device>(
    device: &D,
    chip: Chip,
    config: &PortConfig,
    layout: &Layout,
) -> Result<[u8; 6], DriverError> {
    stop(device)?;
    let mac = own_address(device)?;

    // Speed and duplex as the PHY negotiates them. VLAN tags stay in the frame.
    let forced = reg::CTRL_FORCE_SPEED | reg::CTRL_FORCE_DUPLEX | reg::CTRL_VLAN;
    device.write(reg::CTRL, device.read(reg::CTRL) & !forced | reg::CTRL_SET_LINK_UP);
    if device.read(reg::STATUS) & reg::STATUS_LINK_UP == 0 {
        // The PHY may wait to be told. Where it negotiates already, it begins again: two seconds at most.
        device.write(reg::MDIC, reg::MDIC_WRITE | reg::MDIC_PHY | reg::PHY_NEGOTIATE);
        wait(SETTLE, || device.read(reg::MDIC) & reg::MDIC_READY != 0);
    }

    for word in 0..reg::MTA_WORDS {
        device.write(reg::MTA + 4 * word, 0);
    }
    for entry in 1..reg::ADDRESSES {
        set_address(device, entry, None);
    }
    // Counters start at 0: reading them clears them.
    for counter in reg::COUNTERS.step_by(4) {
        device.read(counter);
    }
    receiver(device, chip, config, layout);
    transmitter(device, chip, config, layout);
    Ok(mac)
}

/// The address that the device read from its NVM.
fn own_address<D: Device>(device: &D) -> Result<[u8; 6], DriverError> {
    let [a, b, c, d] = device.read(reg::RAL).to_le_bytes();
    let [e, f, _, _] = device.read(reg::RAH).to_le_bytes();
    let mac = [a, b, c, d, e, f];
    // Zeros, ones, or a group's address: none of them is a station's.
    if mac == [0; 6] || mac[0] & 1 != 0 { Err(DriverError::NoAddress) } else { Ok(mac) }
}

/// Sets one entry of the exact list, or clears it. The valid bit is off while the address changes.
pub(super) fn set_address<D: Device>(device: &D, entry: u32, mac: Option<[u8; 6]>) {
    device.write(reg::RAH + 8 * entry, 0);
    let [a, b, c, d, e, f] = mac.unwrap_or_default();
    device.write(reg::RAL + 8 * entry, u32::from_le_bytes([a, b, c, d]));
    if mac.is_some() {
        device.write(reg::RAH + 8 * entry, u32::from_le_bytes([e, f, 0, 0]) | reg::RAH_VALID);
    }
}

/// Bits of [`reg::RCTL`] that are always set. Long frames too: those that no buffer takes are then counted as what they are.
const RECEIVE: u32 = reg::RCTL_ENABLE | reg::RCTL_BROADCAST | reg::RCTL_LONG | reg::RCTL_STRIP_FCS;

fn receiver<D: Device>(device: &D, chip: Chip, config: &PortConfig, layout: &Layout) {
    let window = device.window();
    let (ring, buffers) = (Part::at(&window, layout.rx_ring), Part::at(&window, layout.rx_buffers));
    for index in 0..usize::from(config.rx_descriptors) {
        let address = buffers.iova + (index * STRIDE) as u64;
        // SAFETY: within the ring (the layout was checked); the receiver is off.
        unsafe { rx::arm(ring.base.cast::<rx::Descriptor>().as_ptr().add(index), address) };
    }
    address(device, reg::RDBAL, reg::RDBAH, ring.iova);
    device.write(reg::RDLEN, u32::from(config.rx_descriptors) * 16);
    device.write(reg::RDH, 0);
    device.write(reg::RDT, 0);
    device.write(reg::RXCSUM, reg::RXCSUM_IP | reg::RXCSUM_L4);
    match chip {
        Chip::I82574 => {
            device.write(reg::RFCTL, reg::RFCTL_EXTENDED);
            device.write(reg::RXDCTL, reg::DCTL_WRITE_BACK_ONE | reg::RXDCTL_82574);
        }
        Chip::I82576 => {
            device.write(reg::SRRCTL, reg::SRRCTL_ADVANCED | (BUFFER >> 10) as u32);
            device.write(reg::RLPML, reg::RLPML_MOST);
            device.write(reg::RXDCTL, reg::DCTL_WRITE_BACK_ONE | reg::DCTL_QUEUE_ENABLE);
            // The tail may be moved only when the queue is on (82576 §4.5).
            wait(SETTLE, || device.read(reg::RXDCTL) & reg::DCTL_QUEUE_ENABLE != 0);
        }
    }
    device.write(reg::RCTL, RECEIVE);
    // All but one: head = tail would mean an empty ring.
    device.write(reg::RDT, u32::from(config.rx_descriptors) - 1);
}

fn transmitter<D: Device>(device: &D, chip: Chip, config: &PortConfig, layout: &Layout) {
    let ring = Part::at(&device.window(), layout.tx_ring);
    address(device, reg::TDBAL, reg::TDBAH, ring.iova);
    device.write(reg::TDLEN, u32::from(config.tx_descriptors) * 16);
    device.write(reg::TDH, 0);
    device.write(reg::TDT, 0);
    match chip {
        Chip::I82574 => {
            device.write(reg::TIPG, reg::TIPG_82574);
            device.write(reg::TXDCTL, reg::TXDCTL_82574);
        }
        Chip::I82576 => {
            device.write(reg::TXDCTL, reg::DCTL_QUEUE_ENABLE);
            wait(SETTLE, || device.read(reg::TXDCTL) & reg::DCTL_QUEUE_ENABLE != 0);
        }
    }
    let control = device.read(reg::TCTL) & !reg::TCTL_COLLISIONS_MASK;
    device.write(reg::TCTL, control | reg::TCTL_ENABLE | reg::TCTL_PAD | reg::TCTL_COLLISIONS);
}

fn address<D: Device>(device: &D, low: u32, high: u32, iova: u64) {
    device.write(low, iova as u32);
    device.write(high, (iova >> 32) as u32);
}

/// Passes everything, or what the filters say; `all_multicast` passes every group.
pub(super) fn set_filter_mode<D: Device>(device: &D, everything: bool, all_multicast: bool) {
    let mut control = RECEIVE;
    if everything {
        control |= reg::RCTL_ALL_UNICAST;
    }
    if everything || all_multicast {
        control |= reg::RCTL_ALL_MULTICAST;
    }
    device.write(reg::RCTL, control);
}
