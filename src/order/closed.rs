//! The session of a wirebook that has no venue: books only.

use super::{SendError, Session, SessionCounters};
use crate::blotter::OrderEvent;
use crate::nic::TxQueue;
use crate::risk::Cleared;

/// Sends nothing, hears nothing, and is never healthy.
#[derive(Debug, Default)]
pub struct ClosedSession {
    counters: SessionCounters,
}

impl Session for ClosedSession {
    fn send<T: TxQueue>(&mut self, _cleared: &Cleared, _tx: &mut T) -> Result<(), SendError> {
        Err(SendError::NoVenue)
    }

    fn poll<T: TxQueue>(&mut self, _now_ns: u64, _tx: &mut T, _on_event: &mut impl FnMut(OrderEvent)) {}

    fn healthy(&self) -> bool {
        false
    }

    fn resume(&mut self) {}

    fn counters(&self) -> &SessionCounters {
        &self.counters
    }
}
