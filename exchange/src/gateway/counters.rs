//! What a gateway counts.

use crate::units::Row;

/// What the gateway saw and did.
#[derive(Clone, Copy, Debug, Default)]
pub struct GatewayCounters {
    /// Datagrams read.
    pub datagrams: u64,
    /// Heartbeats of clients.
    pub heartbeats: u64,
    /// Datagrams cut short, and packets of connections dropped, because of what could not be read.
    pub malformed: u64,
    /// Messages of a kind that is known but not acted on.
    pub unsupported: u64,
    /// Datagrams and logins of clients beyond the limit.
    pub refused_clients: u64,
    /// Messages whose number does not rise.
    pub repeated: u64,
    /// Cancels and replaces of orders that are not live, and cancels of nothing.
    pub ignored: u64,
    /// Orders taken in.
    pub accepted: u64,
    /// Orders replaced.
    pub replaced: u64,
    /// Cancels carried out, in part or whole, by request or by rule.
    pub canceled: u64,
    /// Orders rejected.
    pub rejected: u64,
    /// Executions told.
    pub executed: u64,
    /// Executions told to be broken.
    pub broken: u64,
    /// Executions broken that the account does not remember any more.
    pub forgotten: u64,
    /// Replies not kept until they were sent (test framing).
    pub lost_replies: u64,
    /// Connections closed because their user logged in again.
    pub taken_over: u64,
}

impl GatewayCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 16] {
        [
            ("datagrams", self.datagrams),
            ("heartbeats", self.heartbeats),
            ("malformed", self.malformed),
            ("unsupported", self.unsupported),
            ("refused_clients", self.refused_clients),
            ("repeated", self.repeated),
            ("ignored", self.ignored),
            ("accepted", self.accepted),
            ("replaced", self.replaced),
            ("canceled", self.canceled),
            ("rejected", self.rejected),
            ("executed", self.executed),
            ("broken", self.broken),
            ("forgotten", self.forgotten),
            ("lost_replies", self.lost_replies),
            ("taken_over", self.taken_over),
        ]
    }
}
