//! The links of the ports while the loop polls: what goes down and comes back is told and counted. The loop needs none of it:
//! what was missed meanwhile is a hole like any other.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::pipeline::board::Row;
use crate::pmd::{Link, Port};

/// Between two looks: some drivers read a register of the device.
const EVERY: Duration = Duration::from_millis(100);

/// The links of some ports.
pub(super) struct Links<'a> {
    ports: Vec<&'a Port>,
    state: RefCell<State>,
}

struct State {
    due: Instant,
    watches: Vec<Watch>,
}

/// What is known of one link.
#[derive(Debug, Default)]
struct Watch {
    up: Option<bool>,
    since: Option<Instant>,
    downs: u64,
}

/// What a look at a link showed.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Down,
    /// Up again, after so long.
    Up(Duration),
}

impl Watch {
    fn see(&mut self, up: bool, now: Instant) -> Option<Change> {
        let before = self.up.replace(up);
        match (before, up) {
            (Some(true), false) => {
                self.downs += 1;
                self.since = Some(now);
                Some(Change::Down)
            }
            // A link that was never up has nothing to come back from.
            (Some(false), true) => Some(Change::Up(
                self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            )),
            _ => None,
        }
    }
}

impl<'a> Links<'a> {
    pub(super) fn new(ports: impl Iterator<Item = &'a Port>) -> Self {
        let ports: Vec<_> = ports.collect();
        let watches = ports.iter().map(|_| Watch::default()).collect();
        Self { ports, state: RefCell::new(State { due: Instant::now(), watches }) }
    }

    /// To be called every few tens of ms.
    pub(super) fn round(&self) {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        if now < state.due {
            return;
        }
        state.due = now + EVERY;
        for (port, watch) in self.ports.iter().zip(&mut state.watches) {
            // A driver that cannot tell has told so at the start.
            let Ok(Link { up, speed_mbps, .. }) = port.link() else { continue };
            match watch.see(up, now) {
                None => {}
                Some(Change::Down) => {
                    tracing::error!(port = port.name(), "link down: cable, optics, or the switch's port");
                }
                Some(Change::Up(after)) => {
                    tracing::warn!(port = port.name(), mbps = speed_mbps, ?after, "link up again");
                }
            }
        }
    }

    /// How often a link went down, all ports together.
    pub(super) fn rows(&self) -> [Row; 1] {
        [("link_losses", self.state.borrow().watches.iter().map(|watch| watch.downs).sum())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_down_is_told_and_counted_once_and_coming_back_with_its_time() {
        let mut watch = Watch::default();
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(watch.see(false, now), None, "it was never up");
        assert_eq!(watch.see(true, now), Some(Change::Up(Duration::ZERO)));
        assert_eq!(watch.see(true, now), None);
        assert_eq!(watch.see(false, now), Some(Change::Down));
        assert_eq!(watch.see(false, now + second), None);
        assert_eq!(watch.see(true, now + 2 * second), Some(Change::Up(2 * second)));
        assert_eq!(watch.downs, 1);
    }
}
