//! What the recovery client counts.

/// Declares [`RecoveryCounters`]: each field documented once, printed under its own name.
macro_rules! recovery_counters {
    ($( $(#[$doc:meta])* $field:ident as $name:literal, )+) => {
        /// Counters of the recovery client.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct RecoveryCounters {
            $( $(#[$doc])* pub $field: u64, )+
        }

        impl RecoveryCounters {
            /// Name and value of each counter.
            #[must_use]
            pub const fn rows(&self) -> [(&'static str, u64); size_of::<Self>() / size_of::<u64>()] {
                [$( ($name, self.$field), )+]
            }
        }
    };
}

recovery_counters! {
    /// Holes that were asked for.
    holes_asked as "recovery_holes_asked",
    /// Holes that answers filled whole.
    holes_filled as "recovery_holes_filled",
    /// Holes that closed without all of the answers: a line brought the rest, or the loop gave them up.
    holes_closed as "recovery_holes_closed",
    /// Holes abandoned.
    holes_abandoned as "recovery_holes_abandoned",
    /// Requests sent.
    requests as "recovery_requests",
    /// Those of them that asked for something again.
    requests_again as "recovery_requests_again",
    /// Requests that were not answered in time.
    timeouts as "recovery_timeouts",
    /// Answers handed to the loop.
    answers as "recovery_answers",
    /// Messages in them.
    answer_messages as "recovery_answer_messages",
    /// Answers that are not MoldUDP64, or have sequence 0.
    answers_malformed as "recovery_answers_malformed",
    /// Answers of another session.
    answers_wrong_session as "recovery_answers_wrong_session",
    /// Answers without messages: heartbeats and ends of session.
    answers_not_data as "recovery_answers_not_data",
    /// Answers with nothing in them that this server was asked for and that is still missing.
    answers_unasked as "recovery_answers_unasked",
    /// Answers dropped because the loop had no room for them.
    answers_no_room as "recovery_answers_no_room",
    /// Logins to the snapshot server tried.
    logins as "recovery_logins",
    /// Snapshots begun.
    snapshots_begun as "recovery_snapshots_begun",
    /// Snapshots handed to the loop whole.
    snapshots_loaded as "recovery_snapshots_loaded",
    /// Snapshots no longer wanted, or wanted anew, before they were complete.
    snapshots_superseded as "recovery_snapshots_superseded",
    /// Messages of snapshots handed to the loop, those of incomplete ones included.
    snapshot_messages as "recovery_snapshot_messages",
    /// Times that the loop had no room for the next message of a snapshot.
    snapshot_no_room as "recovery_snapshot_no_room",
    /// Snapshots that failed: no connection, or the server closed it.
    failed_disconnected as "recovery_failed_disconnected",
    /// Snapshots that failed: the login was rejected.
    failed_login_rejected as "recovery_failed_login_rejected",
    /// Snapshots that failed: no answer to the login in time.
    failed_login_timeout as "recovery_failed_login_timeout",
    /// Snapshots that failed: the server is in another session than the feed.
    failed_wrong_session as "recovery_failed_wrong_session",
    /// Snapshots that failed: the server did not keep to SoupBinTCP.
    failed_protocol as "recovery_failed_protocol",
    /// Snapshots that failed: the server fell silent.
    failed_silence as "recovery_failed_silence",
    /// Snapshots that failed: they took too long.
    failed_too_slow as "recovery_failed_too_slow",
    /// Snapshots that failed: they had too many messages.
    failed_too_long as "recovery_failed_too_long",
    /// Snapshots that failed: the session ended before they did.
    failed_end_of_session as "recovery_failed_end_of_session",
    /// Snapshots that failed: the sequence stated at the end is none, or too far ahead to be true.
    failed_bad_sequence as "recovery_failed_bad_sequence",
    /// Snapshots that failed: older than what the loop still has.
    failed_too_old as "recovery_failed_too_old",
    /// Notices that nobody took in time.
    notices_dropped as "recovery_notices_dropped",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_name_of_its_own() {
        let counters = RecoveryCounters { failed_too_old: 7, ..RecoveryCounters::default() };
        let names: std::collections::BTreeSet<_> =
            counters.rows().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), counters.rows().len());
        assert!(counters.rows().contains(&("recovery_failed_too_old", 7)));
    }
}
