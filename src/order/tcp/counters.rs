//! What a TCP connection of our own did.

/// Counters of all connections of one [`UserTcp`](super::UserTcp).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Connections begun.
    pub connects: u64,
    /// Writes that left as prepared frames, before the stack knew of them.
    pub hot: u64,
    /// Writes that went the stack's way.
    pub cold: u64,
    /// Frames of the stack that had left already, byte for byte: dropped.
    pub settled: u64,
    /// Hot writes of which the stack made another frame, sent as well, or none yet.
    pub settled_otherwise: u64,
    /// Frames of the stack that were sent.
    pub frames: u64,
    /// Frames of the stack for which there was no transmit buffer: lost, as if on the wire.
    pub frames_lost: u64,
    /// Unacknowledged frames sent again before the stack's own time-out.
    pub probes: u64,
    /// Data that the stack sent a second time.
    pub retransmitted: u64,
    /// Segments taken.
    pub segments: u64,
    /// Segments of an earlier connection, dropped.
    pub stray: u64,
    /// Frames from the gateway that are no whole TCP segment, or whose checksum is wrong: dropped.
    pub bad_segments: u64,
}

impl TcpCounters {
    /// Names and values for display.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 12] {
        [
            ("tcp_connects", self.connects),
            ("tcp_hot", self.hot),
            ("tcp_cold", self.cold),
            ("tcp_settled", self.settled),
            ("tcp_settled_otherwise", self.settled_otherwise),
            ("tcp_frames", self.frames),
            ("tcp_frames_lost", self.frames_lost),
            ("tcp_probes", self.probes),
            ("tcp_retransmitted", self.retransmitted),
            ("tcp_segments", self.segments),
            ("tcp_stray", self.stray),
            ("tcp_bad_segments", self.bad_segments),
        ]
    }
}
