//! What can go wrong at a venue on command, and when it is due to.

use std::collections::VecDeque;

use crate::lines::Line;
use crate::units::Row;
use crate::{glimpse, rerequest};

/// Something that goes wrong at a venue from a given time on. What goes wrong at random is in the configurations of
/// the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The rate is so many times as high.
    Burst {
        /// How many times; at least 1.
        factor: u32,
        /// For how long, ns.
        length: u64,
    },
    /// Exactly the next so many messages arrive on no line.
    LoseOnBoth {
        /// How many messages.
        messages: u32,
    },
    /// A line is dead.
    LineDead {
        /// Which one.
        line: Line,
        /// For how long, ns.
        length: u64,
    },
    /// Nothing comes in or goes out: lines, requests, orders. TCP connections break, new ones are refused.
    LinkFlap {
        /// For how long, ns.
        length: u64,
    },
    /// Request servers misbehave from now on; `None` in `fault`: they behave again.
    Requests {
        /// Which server, 0 or 1; `None` for both.
        server: Option<usize>,
        /// How.
        fault: Option<rerequest::Fault>,
    },
    /// The snapshot server misbehaves from now on; `None`: it behaves again.
    Glimpse(Option<glimpse::Fault>),
    /// The order gateway drops its TCP connections.
    DropOrders,
    /// The session ends and the next one begins: a new name, sequence 1, new locate codes, empty books. Outside
    /// orders are cancelled.
    SessionRoll,
}

/// Faults by time.
#[derive(Clone, Debug)]
pub(super) struct Plan(VecDeque<(u64, Fault)>);

impl Plan {
    pub(super) fn new(plan: &[(u64, Fault)]) -> Self {
        let mut plan = plan.to_vec();
        // Stable: what is due at the same time happens in the order given.
        plan.sort_by_key(|(at, _)| *at);
        Self(plan.into())
    }

    /// When the next one is due; `u64::MAX` when none is left.
    pub(super) fn due(&self) -> u64 {
        self.0.front().map_or(u64::MAX, |(at, _)| *at)
    }

    pub(super) fn take(&mut self) -> Option<Fault> {
        self.0.pop_front().map(|(_, fault)| fault)
    }
}

/// What went wrong on command, and what a flapping link swallowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultCounters {
    /// Bursts on command.
    pub bursts: u64,
    /// Messages that were doomed to be lost on both lines.
    pub doomed: u64,
    /// Times a line died on command.
    pub deaths: u64,
    /// Times the link went down.
    pub flaps: u64,
    /// Datagrams to the venue that the link swallowed.
    pub swallowed_in: u64,
    /// Datagrams from the venue that the link swallowed, those on the lines apart (they count as `dead` there).
    pub swallowed_out: u64,
    /// Times that a request server or the snapshot server was told to misbehave, or to behave again.
    pub servers: u64,
    /// Times that the order gateway dropped its connections.
    pub drops: u64,
    /// TCP connections that broke when the link went down.
    pub broken: u64,
    /// TCP connections refused while it was down.
    pub refused: u64,
    /// Sessions ended for the next one.
    pub rolls: u64,
    /// Outside orders cancelled by that.
    pub purged: u64,
}

impl FaultCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 12] {
        [
            ("bursts", self.bursts),
            ("doomed", self.doomed),
            ("deaths", self.deaths),
            ("flaps", self.flaps),
            ("swallowed_in", self.swallowed_in),
            ("swallowed_out", self.swallowed_out),
            ("servers", self.servers),
            ("drops", self.drops),
            ("broken", self.broken),
            ("refused", self.refused),
            ("rolls", self.rolls),
            ("purged", self.purged),
        ]
    }
}
