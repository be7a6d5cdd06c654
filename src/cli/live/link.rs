//! The links of the ports while the loop polls: what goes down and comes back is told and counted. The loop needs none of it:
//! what was missed meanwhile is a hole like any other.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::pipeline::board::Row;

/// Between two looks: some drivers read a register of the device.
const EVERY: Duration = Duration::from_millis(100);

/// A link as its driver shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Frames can pass.
    pub(super) up: bool,
    /// Mbit/s, where known.
    pub(super) mbps: Option<u32>,
}

/// Looks at a link; `None` where the driver cannot tell, as it has told at the start.
pub(super) type Look<'a> = Box<dyn Fn() -> Option<Shown> + 'a>;

/// The links of some ports.
pub(super) struct Links<'a> {
    ports: Vec<(String, Look<'a>)>,
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
    /// Ports by name, each with a look at its link.
    pub(super) fn new(ports: impl IntoIterator<Item = (String, Look<'a>)>) -> Self {
        let ports: Vec<_> = ports.into_iter().collect();
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
        for ((port, look), watch) in self.ports.iter().zip(&mut state.watches) {
            let Some(Shown { up, mbps }) = look() else { continue };
            match watch.see(up, now) {
                None => {}
                Some(Change::Down) => {
                    tracing::error!(port, "link down: cable, optics, or the switch's port");
                }
                Some(Change::Up(after)) => {
                    tracing::warn!(port, mbps, ?after, "link up again");
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
