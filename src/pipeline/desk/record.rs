//! What the desk writes into the journal, and how it obeys the switches.

use super::Desk;
use crate::blotter::{OrderEvent, OrderUpdate};
use crate::journal::{JournalWriter, Kind, Record, flags};
use crate::nic::TxQueue;
use crate::order::{SendError, Session};
use crate::risk::{Cleared, Refusal, Risk};
use crate::stop::KillCause;
use crate::strategy::{Intent, MarketView, Strategy};
use crate::tsc::TimeSource;

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Desk<T, S, O, C> {
    /// Does what the switches say at `now` (ticks): arms, disarms, or stops orders for good.
    pub(in crate::pipeline) fn obey(&mut self, armed: bool, killed: Option<KillCause>, now: u64) {
        let now_ns = self.clock.ns(now);
        if armed != self.risk.armed() {
            if armed {
                self.risk.arm();
            } else {
                self.risk.disarm();
            }
            self.mark(if armed { Kind::Armed } else { Kind::Disarmed }, 0, now_ns);
        }
        if let Some(cause) = killed
            && !self.risk.killed()
        {
            self.risk.kill();
            self.counters.kills += 1;
            self.mark(Kind::Killed, cause as u16, now_ns);
            self.withdraw_at_once();
        }
    }

    /// Journals that something began, ended or changed.
    pub(in crate::pipeline) fn mark(&mut self, kind: Kind, code: u16, now_ns: u64) {
        if let Some(scribe) = &mut self.scribe {
            let record = Record { kind, code, time: now_ns, ..Record::default() };
            scribe.put(&with_state(record, &self.risk));
        }
    }

    /// Journals that the worker begins or ends.
    pub(in crate::pipeline) fn mark_now(&mut self, kind: Kind) {
        let now = self.time.now();
        self.mark(kind, 0, self.clock.ns(now));
    }

    /// Tells risk whether there is room in the journal for what comes of an order.
    #[inline]
    pub(super) fn look_at_journal(&mut self) {
        if let Some(scribe) = &mut self.scribe {
            self.risk.set_journal_open(scribe.is_open());
        }
    }

    /// Journals what is wanted and what risk says of it; before anything leaves.
    #[inline]
    pub(super) fn note_decision(
        &mut self,
        intent: &Intent,
        view: &MarketView,
        decision: &Result<Cleared, Refusal>,
        by: u16,
    ) {
        if let Some(scribe) = &mut self.scribe {
            let mut record = with_state(Record::of_intent(intent, view).decided(decision), &self.risk);
            record.flags |= by;
            scribe.put(&record);
        }
    }

    /// Journals what became of a cleared order.
    #[inline]
    pub(super) fn note_sending(&mut self, order: &Cleared, sent: Result<(), SendError>, now_ns: u64) {
        if let Some(scribe) = &mut self.scribe {
            scribe.put(&with_state(Record::of_sending(order, sent, now_ns), &self.risk));
        }
    }

    /// Is the session healthy? A change is journalled.
    pub(super) fn look_at_session(&mut self) {
        let healthy = self.session.healthy();
        if healthy != self.risk.session_healthy() {
            self.risk.set_session_healthy(healthy);
            let now_ns = self.scribe.as_ref().map_or(0, JournalWriter::now);
            self.mark(if healthy { Kind::SessionUp } else { Kind::SessionDown }, 0, now_ns);
        }
    }
}

/// Journals what the venue said, after it was taken up.
pub(super) fn note_event(
    scribe: &mut Option<JournalWriter>,
    event: &OrderEvent,
    update: Option<&OrderUpdate>,
    risk: &Risk,
) {
    if let Some(scribe) = scribe {
        let record = Record::of_event(event, scribe.now());
        // What concerns no order of ours has no instrument.
        let locate = update.map_or(0, |update| update.locate);
        scribe.put(&with_state(Record { locate, ..record }, risk));
    }
}

/// Adds how risk stands.
#[inline]
pub(super) fn with_state(mut record: Record, risk: &Risk) -> Record {
    let blotter = risk.blotter();
    if record.locate != 0 {
        let (symbol, reference) = risk.instrument(record.locate);
        record.symbol = symbol.unwrap_or(record.symbol);
        record.reference = reference.unwrap_or(record.reference);
        record.position = blotter.holding(record.locate).position;
    }
    record.open_orders = risk.open_orders();
    record.gross = u64::try_from(risk.gross_value()).unwrap_or(u64::MAX);
    for (bit, is) in [
        (flags::ARMED, risk.armed()),
        (flags::HEALTHY, risk.session_healthy()),
        (flags::UNCERTAIN, blotter.uncertain()),
    ] {
        record.flags |= if is { bit } else { 0 };
    }
    record
}
