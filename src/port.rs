//! What holds for every port, whoever drives it: the largest burst and frame, and what it counts by itself.

/// Most frames that one poll returns.
pub const MAX_BURST: usize = 32;

/// Longest Ethernet frame (without FCS) that any backend carries: MTU 9,000 + header + two VLAN tags.
pub const MAX_FRAME: usize = 9_022;

/// A port's counters since it was started, as its driver keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received, without FCS on most drivers.
    pub rx_bytes: u64,
    /// Frames the device dropped because it had no descriptor for them: the loop is too slow.
    pub rx_missed: u64,
    /// Frames received with errors.
    pub rx_errors: u64,
    /// Frames the driver dropped because the pool was empty; 0 where each descriptor keeps a buffer of its own.
    pub rx_no_buffer: u64,
    /// Frames transmitted.
    pub tx_frames: u64,
    /// Bytes transmitted.
    pub tx_bytes: u64,
    /// Frames that could not be transmitted.
    pub tx_errors: u64,
}

impl PortStats {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 8] {
        [
            ("rx_frames", self.rx_frames),
            ("rx_bytes", self.rx_bytes),
            ("rx_missed", self.rx_missed),
            ("rx_errors", self.rx_errors),
            ("rx_no_buffer", self.rx_no_buffer),
            ("tx_frames", self.tx_frames),
            ("tx_bytes", self.tx_bytes),
            ("tx_errors", self.tx_errors),
        ]
    }
}
