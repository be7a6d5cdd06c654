//! The order session as the log tells it: what the loop counted of its connection, turned into lines.

use crate::order::venue::phase_words;
use crate::pipeline::board::Row;

/// What may happen to a session: the counter that tells it, and what is said.
const TOLD: [(&str, Told); 9] = [
    ("session_ups", Told::Well("order session up: logged in, and the state of every order is known")),
    ("session_breaks", Told::Badly("order session lost: the connection broke, and is being made again")),
    (
        "session_timeouts",
        Told::Badly("the order gateway did not answer in time: does it listen, is the way there open?"),
    ),
    (
        "soup_client_rejected",
        Told::Over(
            "the order gateway rejected the login, and no other is tried: check gateway.username, its password, \
                    gateway.session",
        ),
    ),
    (
        "soup_client_other_session",
        Told::Over("the order gateway serves another session than before: no order leaves"),
    ),
    ("session_ends", Told::Over("the order gateway ended its session: no order leaves any more")),
    (
        "session_never_arrived",
        Told::Badly("orders never came to the venue: the connection broke before; not sent again"),
    ),
    (
        "session_contradictions",
        Told::Over("the venue counts orders that it never answered: positions are uncertain, compare them"),
    ),
    ("session_gaps", Told::Over("replies of the venue are missing: positions are uncertain, compare them")),
];

#[derive(Clone, Copy, Debug)]
enum Told {
    Well(&'static str),
    Badly(&'static str),
    Over(&'static str),
}

/// What was told so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionWatch {
    counted: [u64; TOLD.len()],
}

impl SessionWatch {
    /// Tells what happened since the last look. To be called every few tens of ms.
    pub fn see(&mut self, rows: &[Row]) {
        let value = |name: &str| rows.iter().find(|(row, _)| *row == name).map_or(0, |(_, value)| *value);
        let phase = phase_words(value("session_phase"));
        for ((name, told), counted) in TOLD.iter().zip(&mut self.counted) {
            let count = value(name);
            if count <= *counted {
                continue;
            }
            let more = count - *counted;
            *counted = count;
            match told {
                Told::Well(what) => tracing::info!(more, phase, "{what}"),
                Told::Badly(what) => tracing::warn!(more, phase, "{what}"),
                Told::Over(what) => tracing::error!(more, phase, "{what}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::board::Tally;

    #[test]
    fn what_is_told_is_counted_and_told_once() {
        let names: Vec<_> = Tally::default().rows().map(|(name, _)| name).collect();
        for (name, _) in TOLD {
            assert!(names.contains(&name), "{name} is counted nowhere");
        }
        let mut watch = SessionWatch::default();
        watch.see(&[("session_ups", 1), ("session_phase", 6), ("session_breaks", 2)]);
        assert_eq!(watch.counted[..3], [1, 2, 0]);
        // A reader that found nothing tells nothing, and forgets nothing.
        watch.see(&[]);
        assert_eq!(watch.counted[..3], [1, 2, 0]);
    }
}
