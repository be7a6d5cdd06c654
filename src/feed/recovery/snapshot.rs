//! Snapshots: GLIMPSE over SoupBinTCP, the client's side.

use super::super::handover::{Giver, Need};
use super::notice::Notices;
use super::{Action, RecoveryCounters, SnapshotConfig};

/// Where the snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// None is wanted.
    Idle,
    /// The next try waits for its time.
    BackingOff,
    /// Connecting, or waiting for the login to be accepted.
    Connecting,
    /// Messages are coming.
    Loading {
        /// How many came.
        messages: u64,
    },
}

/// The snapshot side of the client.
#[derive(Debug)]
pub(super) struct Snapshot {
    _config: SnapshotConfig,
}

impl Snapshot {
    pub(super) fn new(config: SnapshotConfig) -> Self {
        Self { _config: config }
    }

    pub(super) fn on_need(
        &mut self,
        _now: u64,
        _need: &Need,
        _giver: &mut Giver,
        _act: &mut impl FnMut(Action<'_>),
        _counters: &mut RecoveryCounters,
        _notices: &mut Notices,
    ) {
    }

    pub(super) fn on_connected(&mut self, _now: u64, _act: &mut impl FnMut(Action<'_>)) {}

    pub(super) fn on_disconnected(
        &mut self,
        _now: u64,
        _giver: &mut Giver,
        _counters: &mut RecoveryCounters,
        _notices: &mut Notices,
    ) {
    }

    #[expect(clippy::too_many_arguments, reason = "interface first")]
    pub(super) fn on_bytes(
        &mut self,
        _now: u64,
        bytes: &[u8],
        _need: &Need,
        _giver: &mut Giver,
        _act: &mut impl FnMut(Action<'_>),
        _counters: &mut RecoveryCounters,
        _notices: &mut Notices,
    ) -> usize {
        bytes.len()
    }

    pub(super) fn status(&self) -> SnapshotStatus {
        SnapshotStatus::Idle
    }
}
