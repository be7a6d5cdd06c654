//! What ARP counts.

/// What was heard and said. Names begin with `arp_`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeighbourCounters {
    /// Requests for an address of ours.
    pub requests_heard: u64,
    /// Of those, answered.
    pub replies_sent: u64,
    /// Of those, not answered because too many came in one second.
    pub replies_held: u64,
    /// Announcements of our addresses, defences among them.
    pub announcements: u64,
    /// Requests for the next hop.
    pub asked: u64,
    /// What was said about the next hop, and believed: an answer, or what was known already.
    pub believed: u64,
    /// What was said about the next hop, and not believed: not asked for, or another station than the one that answers.
    pub not_believed: u64,
    /// Packets of other stations that say they have an address of ours.
    pub conflicts: u64,
    /// Packets about others, and our own come back.
    pub of_others: u64,
    /// Packets in a VLAN that none of our addresses is in: ignored.
    pub other_vlan: u64,
    /// Packets that could not be read, or whose sender is no station.
    pub unreadable: u64,
}

impl NeighbourCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 11] {
        [
            ("arp_requests_heard", self.requests_heard),
            ("arp_replies_sent", self.replies_sent),
            ("arp_replies_held", self.replies_held),
            ("arp_announcements", self.announcements),
            ("arp_asked", self.asked),
            ("arp_believed", self.believed),
            ("arp_not_believed", self.not_believed),
            ("arp_conflicts", self.conflicts),
            ("arp_of_others", self.of_others),
            ("arp_other_vlan", self.other_vlan),
            ("arp_unreadable", self.unreadable),
        ]
    }
}
