//! What SoupBinTCP connections count.

use super::End;
use crate::units::Row;

/// Connections, what passed over them, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoupCounters {
    /// Connections made.
    pub connections: u64,
    /// Connections refused because there were as many as may be.
    pub refused: u64,
    /// Logins accepted.
    pub logins: u64,
    /// Logins rejected.
    pub rejected: u64,
    /// Sequenced messages sent.
    pub sequenced: u64,
    /// Sequenced messages not kept until the client could have them.
    pub lost: u64,
    /// Unsequenced messages read.
    pub unsequenced: u64,
    /// Heartbeats read.
    pub heartbeats: u64,
    /// Debug packets read past.
    pub debug: u64,
    /// Clients that logged out.
    pub logouts: u64,
    /// Clients that did not log in in time.
    pub login_timeouts: u64,
    /// Clients that fell silent.
    pub silent: u64,
    /// Clients that sent what is no packet, no login, or not theirs to send.
    pub protocol_errors: u64,
    /// Connections ended by the server.
    pub ended: u64,
    /// Connections that the client, or the network, closed.
    pub disconnected: u64,
}

impl SoupCounters {
    /// Counts the end of a connection.
    pub(super) fn count(&mut self, end: End) {
        *match end {
            End::Logout => &mut self.logouts,
            End::Rejected => &mut self.rejected,
            End::LoginTimeout => &mut self.login_timeouts,
            End::Silent => &mut self.silent,
            End::NoType | End::TooLong | End::BadType | End::BadLogin => &mut self.protocol_errors,
            End::ByServer => &mut self.ended,
        } += 1;
    }

    /// Adds those of another connection.
    pub fn add(&mut self, other: &Self) {
        let Self {
            connections,
            refused,
            logins,
            rejected,
            sequenced,
            lost,
            unsequenced,
            heartbeats,
            debug,
            logouts,
            login_timeouts,
            silent,
            protocol_errors,
            ended,
            disconnected,
        } = self;
        *connections += other.connections;
        *refused += other.refused;
        *logins += other.logins;
        *rejected += other.rejected;
        *sequenced += other.sequenced;
        *lost += other.lost;
        *unsequenced += other.unsequenced;
        *heartbeats += other.heartbeats;
        *debug += other.debug;
        *logouts += other.logouts;
        *login_timeouts += other.login_timeouts;
        *silent += other.silent;
        *protocol_errors += other.protocol_errors;
        *ended += other.ended;
        *disconnected += other.disconnected;
    }

    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 15] {
        [
            ("connections", self.connections),
            ("refused", self.refused),
            ("logins", self.logins),
            ("rejected", self.rejected),
            ("sequenced", self.sequenced),
            ("lost", self.lost),
            ("unsequenced", self.unsequenced),
            ("heartbeats", self.heartbeats),
            ("debug", self.debug),
            ("logouts", self.logouts),
            ("login_timeouts", self.login_timeouts),
            ("silent", self.silent),
            ("protocol_errors", self.protocol_errors),
            ("ended", self.ended),
            ("disconnected", self.disconnected),
        ]
    }
}
