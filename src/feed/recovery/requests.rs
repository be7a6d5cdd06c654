//! Holes: what to ask for, of whom, when, and which answers to believe.

use super::super::handover::{Giver, Need};
use super::notice::Notices;
use super::{Action, RecoveryCounters, RequestsConfig};

/// The request side of the client.
#[derive(Debug)]
pub(super) struct Requests;

impl Requests {
    pub(super) fn new(_config: Option<RequestsConfig>, _has_snapshot: bool) -> Self {
        Self
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

    pub(super) fn on_answer(
        &mut self,
        _now: u64,
        _server: usize,
        _payload: &[u8],
        _giver: &mut Giver,
        _counters: &mut RecoveryCounters,
    ) {
    }

    pub(super) fn open(&self) -> (usize, u64) {
        (0, 0)
    }

    pub(super) fn outstanding(&self) -> usize {
        0
    }
}
