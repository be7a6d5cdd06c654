//! What the strategy decides, what risk says of it, and what the venue replies: the part of the desk that orders go through.
//!
//! Whatever asks for an order comes through [`Desk::place`], and whatever the venue says through [`hear`].

use super::record::note_event;
use super::{Desk, DeskCounters};
use crate::blotter::{OrderEvent, OrderEventKind};
use crate::journal::JournalWriter;
use crate::nic::{Frame, TxQueue};
use crate::order::Session;
use crate::risk::Risk;
use crate::strategy::{Intent, Intents, MarketView, Strategy};
use crate::tsc::TimeSource;

/// One event of the session: to risk, and on to the strategy where it concerns an order of ours.
pub(super) fn hear<S: Strategy>(
    event: &OrderEvent,
    risk: &mut Risk,
    strategy: &mut S,
    intents: &mut Intents,
    counters: &mut DeskCounters,
    resumed: &mut u32,
    scribe: &mut Option<JournalWriter>,
) {
    counters.replies += 1;
    // The session has asked for this number.
    if let OrderEventKind::Resumed { next } = event.kind {
        risk.raise_next_ref(next);
        *resumed = next;
    }
    let update = risk.on_event(event);
    note_event(scribe, event, update.as_ref(), risk);
    if let Some(update) = update {
        strategy.on_order(&update, intents);
    } else if let Some((locate, position)) = risk.take_moved() {
        strategy.on_position(locate, position);
    }
}

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Desk<T, S, O, C> {
    /// Reads one datagram of the order gateway.
    pub fn on_reply(&mut self, payload: &[u8]) {
        let now_ns = self.clock.ns(self.time.now());
        let Self { session, risk, strategy, intents, counters, resumed, scribe, .. } = self;
        if let Some(scribe) = scribe {
            scribe.at(now_ns);
        }
        session.on_datagram(payload, &mut |event| {
            hear(&event, risk, strategy, intents, counters, resumed, scribe);
        });
        self.after_replies();
    }

    /// Reads one frame of the order gateway; false where the session does not know what it is.
    pub fn on_segment(&mut self, frame: Frame<'_>) -> bool {
        let now_ns = self.clock.ns(self.time.now());
        let Self { session, risk, strategy, intents, counters, tx, resumed, scribe, .. } = self;
        if let Some(scribe) = scribe {
            scribe.at(now_ns);
        }
        let ours = session.on_frame(frame, now_ns, tx, &mut |event| {
            hear(&event, risk, strategy, intents, counters, resumed, scribe);
        });
        self.after_replies();
        ours
    }

    /// Looks after the session and its connection.
    pub(in crate::pipeline) fn poll_session(&mut self, now_ns: u64) {
        let Self { session, risk, strategy, intents, counters, tx, resumed, scribe, .. } = self;
        if let Some(scribe) = scribe {
            scribe.at(now_ns);
        }
        session.poll(now_ns, tx, &mut |event| {
            hear(&event, risk, strategy, intents, counters, resumed, scribe);
        });
        self.after_replies();
    }

    /// What the session heard has been taken up: is it healthy, and does the strategy want something now?
    pub(super) fn after_replies(&mut self) {
        self.look_at_session();
        if self.resumed != 0 {
            self.note_resumed();
        }
        self.place_wanted();
    }

    /// Places what the strategy wants on no particular view.
    pub(super) fn place_wanted(&mut self) {
        if !self.intents.is_empty() {
            self.place_all(None);
        }
    }

    pub(super) fn view(&self, locate: u16, timestamp: u64, now: u64) -> MarketView {
        MarketView {
            locate,
            timestamp,
            now_ns: self.clock.ns(now),
            top: self.books.top(locate),
            book: self.book_state(locate),
            trading: self.books.trading_state(locate),
        }
    }

    #[inline]
    pub(super) fn decide(&mut self, locate: u16, timestamp: u64) {
        self.counters.decisions += 1;
        self.lately.note(locate);
        let view = self.view(locate, timestamp, self.came);
        let marks = &mut self.stamps.marks(&self.time);
        self.strategy.on_top_in_parts(&view, &mut self.intents, marks);
        self.stamps.decided(&self.time);
        self.place_all(Some(&view));
    }

    /// Places what the strategy wants, on the view that it decided on; where it decided on a reply, each intent is
    /// checked on the book of its own instrument.
    fn place_all(&mut self, decided_on: Option<&MarketView>) {
        for at in 0..self.intents.len() {
            if let Some(intent) = self.intents.get(at) {
                match decided_on {
                    Some(view) => self.place(&intent, view),
                    None => {
                        let view = self.view(intent.locate(), self.feed_time, self.time.now());
                        self.place(&intent, &view);
                    }
                }
            }
        }
        self.counters.intents_dropped = self.intents.overflowed();
        self.intents.clear();
    }

    /// Risk, the journal, then the wire. Whatever does not leave is taken back and told to the strategy.
    fn place(&mut self, intent: &Intent, view: &MarketView) {
        self.counters.intents += 1;
        self.look_at_journal();
        let checked = self.risk.clear(*intent, view, view.now_ns);
        self.stamps.checked(&self.time);
        self.note_decision(intent, view, &checked, 0);
        match checked {
            Err(_counted_by_risk) => self.strategy.on_unsent(intent),
            Ok(order) => {
                let mut tx = self.stamps.doorbell(&mut self.tx, &self.time);
                let sent = self.session.send(&order, &mut tx);
                let rung = tx.rung();
                if sent.is_ok() {
                    self.stamps.sent(rung, &self.time);
                }
                // It was not to wait for this.
                self.risk.settle();
                if sent.is_ok() {
                    self.counters.orders_sent += 1;
                } else {
                    self.counters.orders_unsent += 1;
                    self.risk.release(&order);
                }
                self.note_sending(&order, sent, view.now_ns);
                match sent {
                    Ok(()) => self.strategy.on_sent(intent, order.user_ref_num()),
                    Err(_counted_by_session) => self.strategy.on_unsent(intent),
                }
            }
        }
    }
}
