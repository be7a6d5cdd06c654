//! What a VI counts.

use super::Discard;

/// What was received and sent, and what was not, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EfviCounters {
    /// Frames dropped: an IPv4 or UDP checksum was wrong.
    pub discard_checksum: u64,
    /// Frames dropped: the Ethernet checksum was wrong.
    pub discard_crc: u64,
    /// Frames dropped: cut by the NIC.
    pub discard_truncated: u64,
    /// Frames dropped: multicast for somebody else that passed the NIC's hash.
    pub discard_multicast: u64,
    /// Frames dropped: the NIC did not vouch for them for another reason.
    pub discard_other: u64,
    /// Frames cut since too few buffers were posted.
    pub no_buffer: u64,
    /// Receive buffers posted.
    pub posted: u64,
    /// Frames that left from the NIC's cut-through FIFO.
    pub sent_cut_through: u64,
    /// Frames that left from memory: cut-through was not tried, or failed.
    pub sent_from_memory: u64,
    /// Frames that the NIC refused to send.
    pub not_sent: u64,
    /// Slots handed back because the transmit ring or the FIFO was full.
    pub send_full: u64,
    /// Times no transmit buffer was free.
    pub send_no_buffer: u64,
    /// Events about a buffer that the NIC did not have, or with a length that cannot be: ignored.
    pub bad_events: u64,
    /// Events that nobody asked for.
    pub unexpected: u64,
    /// The event queue overflowed: the port has ended.
    pub overflows: u64,
    /// The NIC was reset: the port has ended.
    pub resets: u64,
}

impl EfviCounters {
    /// Name and value of each counter, for publishing and printing.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 16] {
        [
            ("efvi_discard_checksum", self.discard_checksum),
            ("efvi_discard_crc", self.discard_crc),
            ("efvi_discard_truncated", self.discard_truncated),
            ("efvi_discard_multicast", self.discard_multicast),
            ("efvi_discard_other", self.discard_other),
            ("efvi_no_buffer", self.no_buffer),
            ("efvi_posted", self.posted),
            ("efvi_sent_cut_through", self.sent_cut_through),
            ("efvi_sent_from_memory", self.sent_from_memory),
            ("efvi_not_sent", self.not_sent),
            ("efvi_send_full", self.send_full),
            ("efvi_send_no_buffer", self.send_no_buffer),
            ("efvi_bad_events", self.bad_events),
            ("efvi_unexpected", self.unexpected),
            ("efvi_overflows", self.overflows),
            ("efvi_resets", self.resets),
        ]
    }

    pub(super) fn discard(&mut self, why: Discard) {
        let counter = match why {
            Discard::Checksum => &mut self.discard_checksum,
            Discard::Crc => &mut self.discard_crc,
            Discard::Truncated => &mut self.discard_truncated,
            Discard::Multicast => &mut self.discard_multicast,
            Discard::Other => &mut self.discard_other,
        };
        *counter += 1;
    }
}
