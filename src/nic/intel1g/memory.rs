//! Where rings and buffers lie in the memory that driver and device share.
//!
//! Receive ring, transmit ring, receive buffers, transmit buffers, one after the other. Offsets are computed once; hot code
//! has pointers.

use std::ptr::NonNull;

use super::{DriverError, FRAME_OVERHEAD, MAX_MTU, PortConfig, Window};

/// Bytes that the device may write into one receive buffer.
pub(crate) const BUFFER: usize = 2_048;

/// Distance between buffers: one cache line more than a power of two, or the first lines of all of them would share a few sets
/// of the cache.
pub(crate) const STRIDE: usize = BUFFER + 64;

/// Bytes of a descriptor, either way.
pub(crate) const DESCRIPTOR: usize = 16;

/// A ring's length in bytes must be a multiple of 128: 8 descriptors. Much less than 32 is of no use.
pub(crate) const MIN_DESCRIPTORS: u16 = 32;

/// As many as other drivers of these controllers allow.
pub(crate) const MAX_DESCRIPTORS: u16 = 4_096;

const PAGE: usize = 4_096;

/// Offsets in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) rx_ring: usize,
    pub(crate) tx_ring: usize,
    pub(crate) rx_buffers: usize,
    pub(crate) tx_buffers: usize,
    /// All of it.
    pub(crate) len: usize,
}

impl Layout {
    pub(crate) fn new(config: &PortConfig) -> Self {
        let (rx, tx) = (usize::from(config.rx_descriptors), usize::from(config.tx_descriptors));
        let rx_ring = 0;
        let tx_ring = rx_ring + rx * DESCRIPTOR;
        let rx_buffers = (tx_ring + tx * DESCRIPTOR).next_multiple_of(PAGE);
        let tx_buffers = rx_buffers + rx * STRIDE;
        let len = (tx_buffers + tx * STRIDE).next_multiple_of(PAGE);
        Self { rx_ring, tx_ring, rx_buffers, tx_buffers, len }
    }
}

/// A part of the window: where this process and where the device see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) base: NonNull<u8>,
    pub(crate) iova: u64,
}

impl Part {
    /// The part of `window` that begins at `offset`.
    pub(crate) fn at(window: &Window, offset: usize) -> Self {
        assert!(offset < window.len, "the layout was checked against the window");
        // SAFETY: within the window, which is one piece of mapped memory.
        Self { base: unsafe { window.base.add(offset) }, iova: window.iova + offset as u64 }
    }
}

/// Refuses a configuration that the driver cannot serve, and a window that is too small.
pub(crate) fn check(config: &PortConfig, window: &Window) -> Result<Layout, DriverError> {
    let (least, most) = (MIN_DESCRIPTORS, MAX_DESCRIPTORS);
    for (what, asked) in
        [("receive descriptors", config.rx_descriptors), ("transmit descriptors", config.tx_descriptors)]
    {
        if !asked.is_power_of_two() || !(least..=most).contains(&asked) {
            return Err(DriverError::OutOfRange { what, asked, least, most, power: true });
        }
    }
    if !(68..=MAX_MTU).contains(&config.mtu) {
        let (asked, least, most) = (config.mtu, 68, MAX_MTU);
        return Err(DriverError::OutOfRange { what: "MTU", asked, least, most, power: false });
    }
    let layout = Layout::new(config);
    let base = window.base.as_ptr() as usize;
    if window.len < layout.len || !base.is_multiple_of(PAGE) || !window.iova.is_multiple_of(PAGE as u64) {
        return Err(DriverError::Memory { len: window.len, base, needed: layout.len });
    }
    Ok(layout)
}

/// Longest frame of a port with this MTU.
pub(crate) const fn frame_room(mtu: u16) -> u16 {
    mtu + FRAME_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_rings_lie_as_the_device_wants() {
        for (rx_descriptors, tx_descriptors) in [(32, 32), (2_048, 512), (4_096, 4_096)] {
            let config = PortConfig { rx_descriptors, tx_descriptors, mtu: 1_500 };
            let layout = Layout::new(&config);
            let (rx, tx) = (usize::from(rx_descriptors), usize::from(tx_descriptors));
            let parts = [
                (layout.rx_ring, rx * DESCRIPTOR),
                (layout.tx_ring, tx * DESCRIPTOR),
                (layout.rx_buffers, rx * STRIDE),
                (layout.tx_buffers, tx * STRIDE),
                (layout.len, 0),
            ];
            for pair in parts.windows(2) {
                assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{layout:?}");
            }
            // 82574 §10.2.5: rings start on 16 bytes and are a multiple of 128 long.
            assert!(layout.tx_ring.is_multiple_of(128) && (rx * DESCRIPTOR).is_multiple_of(128));
        }
    }

    #[test]
    fn the_window_has_to_be_large_enough() {
        let config = PortConfig::default();
        let mut window = Window { base: NonNull::dangling(), iova: 0, len: config.memory() };
        window.base = NonNull::new(PAGE as *mut u8).unwrap();
        assert!(check(&config, &window).is_ok());
        window.len -= 1;
        assert!(matches!(check(&config, &window), Err(DriverError::Memory { .. })));
        window.len += 1;
        window.iova = 16;
        assert!(matches!(check(&config, &window), Err(DriverError::Memory { .. })));
    }

    #[test]
    fn numbers_are_checked_and_can_be_adjusted() {
        let window = Window { base: NonNull::dangling(), iova: 0, len: usize::MAX };
        for wrong in [
            PortConfig { rx_descriptors: 1_000, ..PortConfig::default() },
            PortConfig { tx_descriptors: 16, ..PortConfig::default() },
            PortConfig { rx_descriptors: 8_192, ..PortConfig::default() },
            PortConfig { mtu: MAX_MTU + 1, ..PortConfig::default() },
        ] {
            assert!(matches!(check(&wrong, &window), Err(DriverError::OutOfRange { .. })), "{wrong:?}");
        }
        let config = PortConfig { rx_descriptors: 1_000, tx_descriptors: 32_768, mtu: 1_500 }.adjusted();
        assert_eq!((config.rx_descriptors, config.tx_descriptors), (512, 4_096));
    }
}
