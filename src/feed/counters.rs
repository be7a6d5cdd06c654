//! What a stream counts.

use super::Line;
use crate::wire::moldudp64;

/// Declares [`LineCounters`]: each field documented once, printed once per line with the line's prefix.
macro_rules! line_counters {
    ($( $(#[$doc:meta])* $field:ident, )+) => {
        /// Counters of one line.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct LineCounters {
            $( $(#[$doc])* pub $field: u64, )+
            /// Packets that are not MoldUDP64, by kind.
            pub malformed: moldudp64::ErrorCounters,
        }

        impl LineCounters {
            /// Name and value of each counter; the names begin with `line_a_` or `line_b_`.
            pub fn rows(&self, line: Line) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                let named = match line {
                    Line::A => [$( (concat!("line_a_", stringify!($field)), self.$field), )+],
                    Line::B => [$( (concat!("line_b_", stringify!($field)), self.$field), )+],
                };
                let [too_short, overrun, overflow] = self.malformed.rows().map(|(_, value)| value);
                let malformed = match line {
                    Line::A => [
                        ("line_a_mold_too_short", too_short),
                        ("line_a_mold_block_overrun", overrun),
                        ("line_a_mold_sequence_overflow", overflow),
                    ],
                    Line::B => [
                        ("line_b_mold_too_short", too_short),
                        ("line_b_mold_block_overrun", overrun),
                        ("line_b_mold_sequence_overflow", overflow),
                    ],
                };
                named.into_iter().chain(malformed)
            }
        }
    };
}

line_counters! {
    /// Packets received, of any kind and session, malformed ones included.
    packets,
    /// Messages in its well-formed data packets, seen before or not, of any session.
    messages,
    /// Data packets that it brought first, at least in part: handed on at once, or held.
    first,
    /// Data packets of which every message was seen already.
    duplicates,
    /// Data packets that came after their messages had been declared lost.
    late,
    /// Messages that it jumped over. Too high by those that overtook each other on the line.
    skipped,
    /// Data packets that began before the end of what it had sent: repeated, or overtaken by later ones.
    behind,
    /// Heartbeats of the current session.
    heartbeats,
    /// Ends of session, repeated ones included.
    ends_of_session,
    /// Packets of another session than the current one, the first few of a session that was taken in the end included.
    wrong_session,
    /// Packets from beyond the end of their session.
    after_end,
    /// Packets whose sequence was too far from the expected one to be believed.
    implausible,
    /// Packets with sequence 0, which no message can have.
    sequence_zero,
}

/// Counters of a stream, beside those of its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Messages handed on, in order.
    pub messages: u64,
    /// Packets copied into the window to wait behind a hole.
    pub held: u64,
    /// Held packets that were handed on.
    pub released: u64,
    /// Held packets whose messages all came by another way meanwhile.
    pub held_in_vain: u64,
    /// Packets of which only the later messages were new.
    pub trimmed: u64,
    /// Times that the stream had to stop and wait, for one hole or for several in a row.
    pub holes: u64,
    /// Holes declared gaps.
    pub gaps: u64,
    /// Messages in gaps.
    pub lost_messages: u64,
    /// Gaps that were declared before their time because the window had no room.
    pub window_overflows: u64,
    /// Lost ranges forgotten because too many came after them.
    pub lost_forgotten: u64,
    /// Sessions taken.
    pub sessions: u64,
    /// Sessions that ended.
    pub ended: u64,
    /// Ends of session that were none: the session went on beyond them, and was taken anew.
    pub reopened: u64,
    /// Jumps of the sequence that were believed in the end.
    pub jumps: u64,
    /// Times that the sequence was set back, and the session taken anew.
    pub rewinds: u64,
    /// Times that a hole was overdue, so that all books were behind, for one hole or for several in a row.
    pub overdue: u64,
    /// Gaps declared because the recovery client abandoned the hole.
    pub abandoned: u64,
    /// Gaps declared because recovery took too long.
    pub recovery_timeouts: u64,
    /// Recovered packets taken: handed on, at least in part, or held.
    pub recovered: u64,
    /// Recovered packets refused: malformed, of another session, seen, late, or beyond what is known to be missing.
    pub recovered_refused: u64,
    /// Recovered packets refused because the free part of the window is for the lines.
    pub recovered_no_room: u64,
}

impl StreamCounters {
    /// Name and value of each counter.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 21] {
        [
            ("stream_messages", self.messages),
            ("stream_held", self.held),
            ("stream_released", self.released),
            ("stream_held_in_vain", self.held_in_vain),
            ("stream_trimmed", self.trimmed),
            ("stream_holes", self.holes),
            ("stream_gaps", self.gaps),
            ("stream_lost_messages", self.lost_messages),
            ("stream_window_overflows", self.window_overflows),
            ("stream_lost_forgotten", self.lost_forgotten),
            ("stream_sessions", self.sessions),
            ("stream_ended", self.ended),
            ("stream_reopened", self.reopened),
            ("stream_jumps", self.jumps),
            ("stream_rewinds", self.rewinds),
            ("stream_overdue", self.overdue),
            ("stream_abandoned", self.abandoned),
            ("stream_recovery_timeouts", self.recovery_timeouts),
            ("stream_recovered", self.recovered),
            ("stream_recovered_refused", self.recovered_refused),
            ("stream_recovered_no_room", self.recovered_no_room),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_counter_has_a_name_of_its_own() {
        let mut counters = LineCounters { sequence_zero: 7, ..LineCounters::default() };
        counters.malformed.count(moldudp64::Error::BlockOverrun);
        let names: std::collections::BTreeSet<_> =
            Line::ALL.iter().flat_map(|line| counters.rows(*line)).map(|(name, _)| name).collect();
        let fields = size_of::<LineCounters>() / size_of::<u64>();
        assert_eq!(names.len(), 2 * fields);
        let of_b: Vec<_> = counters.rows(Line::B).filter(|(_, value)| *value > 0).collect();
        assert_eq!(of_b, [("line_b_sequence_zero", 7), ("line_b_mold_block_overrun", 1)]);
    }

    #[test]
    fn every_stream_counter_is_in_its_rows() {
        assert_eq!(StreamCounters::default().rows().len(), size_of::<StreamCounters>() / size_of::<u64>());
    }
}
