//! What membership counts.

/// What was heard and said. Names begin with `igmp_`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MembershipCounters {
    /// General queries taken up.
    pub general_queries: u64,
    /// Queries about a group of ours taken up.
    pub group_queries: u64,
    /// Reports and leaves of other hosts, and queries about groups that are not ours.
    pub of_others: u64,
    /// Queries that went to an address where none belongs: ignored.
    pub misdirected: u64,
    /// Messages in a VLAN that none of our lines is in: ignored.
    pub other_vlan: u64,
    /// Packets that could not be read.
    pub unreadable: u64,
    /// Messages of a type that this version does not know.
    pub unknown: u64,
    /// Answers that were put off because one had just left.
    pub answers_held: u64,
    /// Changes of the version spoken.
    pub version_changes: u64,
    /// Reports sent, leaves among them where version 3 says them in a report.
    pub reports_sent: u64,
    /// Leaves sent.
    pub leaves_sent: u64,
}

impl MembershipCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 11] {
        [
            ("igmp_general_queries", self.general_queries),
            ("igmp_group_queries", self.group_queries),
            ("igmp_of_others", self.of_others),
            ("igmp_misdirected", self.misdirected),
            ("igmp_other_vlan", self.other_vlan),
            ("igmp_unreadable", self.unreadable),
            ("igmp_unknown", self.unknown),
            ("igmp_answers_held", self.answers_held),
            ("igmp_version_changes", self.version_changes),
            ("igmp_reports_sent", self.reports_sent),
            ("igmp_leaves_sent", self.leaves_sent),
        ]
    }
}
