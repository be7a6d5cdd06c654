//! The judgement: every record of the journal and every frame on the wire against the account and the truth.

use std::collections::BTreeSet;
use std::rc::Rc;

use byteserde::prelude::from_slice;
use exchange::ouch::Inbound;
use ouch_model::prelude as theirs;
use wirebook::blotter::TimeInForce;
use wirebook::journal::{Action, Kind, RECORD, Record, flags};
use wirebook::market::{Level, Price, Side};
use wirebook::risk::Request;
use wirebook::strategy::Intent;

use super::model::{Line, World, objections};
use super::support::FakeTx;
use super::{Episode, RUN, Tally, symbol};

impl Episode {
    pub(crate) fn note(&mut self, line: Line) {
        self.model.apply(&line, self.truth.limits.fills_remembered as usize);
        self.lines.push(line);
    }

    pub(crate) fn next_record(&mut self) -> Option<Record> {
        self.bytes.clear();
        if self.taker.take(1, &mut self.bytes) == 0 {
            return None;
        }
        self.taker.commit(1);
        let record = Record::from_bytes(self.bytes.first_chunk::<RECORD>().unwrap(), RUN).unwrap();
        self.records += 1;
        assert_eq!(record.sequence, self.records, "nothing is missing in the journal");
        Some(record)
    }

    /// The next order on the wire, as it is read by others; heartbeats are passed over.
    fn next_frame(&mut self) -> Option<Inbound> {
        let tx = Rc::clone(&self.tx);
        let tx = tx.borrow();
        assert!(tx.count - self.frames <= FakeTx::RING);
        while self.frames < tx.count {
            let at = self.frames % FakeTx::RING;
            self.frames += 1;
            let datagram = exchange::frames::parse(&tx.sent[at][..tx.lens[at]]).unwrap();
            let (kind, message) = (datagram.payload[2], &datagram.payload[3..]);
            assert_eq!(
                usize::from(u16::from_be_bytes([datagram.payload[0], datagram.payload[1]])),
                message.len() + 1
            );
            if kind == b'U' {
                let order = Inbound::parse(message).unwrap();
                agree(&order, message);
                return Some(order);
            }
        }
        None
    }

    /// Everything that was journalled and sent since the last call.
    pub(crate) fn judge(&mut self, tally: &mut Tally) {
        while let Some(record) = self.next_record() {
            match record.kind {
                Kind::Refused => self.judge_refused(&record, tally),
                Kind::Cleared => self.judge_cleared(&record, tally),
                Kind::Armed => assert!(self.truth.armed),
                Kind::Disarmed => assert!(!self.truth.armed),
                Kind::Killed => assert!(self.truth.killed),
                Kind::SessionUp => assert!(self.truth.session),
                Kind::SessionDown => assert!(!self.truth.session),
                kind => unreachable!("{kind:?}"),
            }
        }
        let beyond = self.next_frame();
        assert!(beyond.is_none(), "on the wire and not in the journal: {beyond:?}");
    }

    /// What the intent was, and everything that speaks against it.
    fn objections(&self, record: &Record) -> (Intent, BTreeSet<&'static str>) {
        let (locate, shares, price) = (record.locate, record.shares, record.price);
        let intent = match record.action {
            Action::Enter => {
                let time_in_force = if record.has(flags::IOC) { TimeInForce::Ioc } else { TimeInForce::Day };
                Intent::Enter { locate, side: record.side(), shares, price, time_in_force }
            }
            Action::Replace => Intent::Replace { locate, order: record.other, shares, price },
            _ => Intent::Cancel { locate, order: record.order },
        };
        let truth = &self.truth;
        let world = World {
            limits: &truth.limits,
            armed: truth.armed,
            session: truth.session,
            known: &truth.known,
            restricted: &truth.restricted,
            reference: &truth.reference,
        };
        let cancel = record.action == Action::Cancel;
        let shown = truth.view(truth.shown.unwrap_or(locate));
        // For a cancel nobody looks at the market.
        if !cancel {
            let touch = |level: Option<Level>| level.map_or(Price(0), |level| level.price);
            let seen = (record.bid, record.ask, record.book, record.trading, record.feed_time, record.time);
            let touch = (touch(shown.top.bid), touch(shown.top.ask));
            let is = (touch.0, touch.1, shown.book, shown.trading, shown.timestamp, shown.now_ns);
            assert_eq!(seen, is, "{record:?}");
        }
        let mut reasons = objections(&world, &self.lines, &self.model, intent, &shown, truth.now_ns);
        if !cancel {
            let outside = truth.limits.hours.as_ref().is_some_and(|hours| !hours.contains(&truth.feed_time));
            for (when, why) in [
                (truth.killed, "refused_killed"),
                (truth.shut, "refused_journal"),
                (outside, "refused_hours"),
            ] {
                if when {
                    reasons.insert(why);
                }
            }
        }
        (intent, reasons)
    }

    fn judge_refused(&mut self, record: &Record, tally: &mut Tally) {
        let why = record.refusal().unwrap().name();
        tally.intents += 1;
        *tally.refused.entry(why).or_default() += 1;
        let (intent, reasons) = self.objections(record);
        assert!(reasons.contains(why), "refused for {why}, not among {reasons:?}: {intent:?}");
    }

    fn judge_cleared(&mut self, record: &Record, tally: &mut Tally) {
        let (intent, reasons) = self.objections(record);
        assert!(reasons.is_empty(), "cleared against {reasons:?}: {intent:?}\n{record:?}");
        let outcome = self.next_record().unwrap();
        assert_eq!((outcome.order, outcome.action), (record.order, record.action));
        if record.has(flags::WITHDRAWN) {
            assert!((self.truth.killed || self.truth.stale) && record.action == Action::Cancel);
            tally.withdrawn += 1;
        } else {
            tally.intents += 1;
        }
        let chain = self.model.chains.iter().find(|chain| chain.id == record.other);
        let executed = chain.map_or(0, |chain| chain.executed) as u32;
        let short = record.side() == Side::Sell
            && self.model.reach(record.locate, Side::Sell, record.shares.into()) > 0;
        let request = match intent {
            Intent::Enter { side, shares, price, time_in_force, locate } => {
                let symbol = symbol(locate);
                Request::Enter {
                    user_ref_num: record.order,
                    symbol,
                    side,
                    short,
                    shares,
                    price,
                    time_in_force,
                }
            }
            Intent::Replace { order: original, shares, price, .. } => Request::Replace {
                original,
                user_ref_num: record.order,
                total_shares: executed + shares,
                price,
                time_in_force: TimeInForce::Day,
            },
            Intent::Cancel { order: user_ref_num, .. } => Request::Cancel { user_ref_num },
        };
        if record.action != Action::Cancel {
            assert!(record.order > self.last_ref, "numbers rise");
            self.last_ref = record.order;
        }
        self.note(Line::Cleared { now_ns: self.truth.now_ns, locate: record.locate, request });
        match outcome.kind {
            Kind::Sent => {
                let frame = self.next_frame().unwrap();
                same(&frame, &request);
                tally.sent[record.action as usize - 1] += 1;
            }
            _ => {
                assert_eq!(outcome.kind, Kind::Unsent);
                tally.unsent += 1;
                self.note(Line::Released(request));
            }
        }
    }
}

/// The crate `ouch_model` reads replacements and cancels as the exchange does; it cannot read entries.
fn agree(order: &Inbound, message: &[u8]) {
    match order {
        Inbound::Replace(m) => {
            let b: theirs::ReplaceOrder = from_slice(message).unwrap();
            let read = (
                b.orig_user_ref_number.value(),
                b.user_ref_number.value(),
                b.quantity.value(),
                b.price.value(),
            );
            assert_eq!(read, (m.orig_user_ref, m.user_ref, m.quantity, m.price));
        }
        Inbound::Cancel { user_ref, quantity } => {
            let b: theirs::CancelOrder = from_slice(message).unwrap();
            assert_eq!((b.user_ref_number.value(), b.quantity.value()), (*user_ref, *quantity));
        }
        _ => {}
    }
}

/// What is on the wire is what was cleared.
fn same(frame: &Inbound, request: &Request) {
    match (frame, *request) {
        (
            Inbound::Enter(m),
            Request::Enter { user_ref_num, symbol, side, short, shares, price, time_in_force },
        ) => {
            let side = match (side, short) {
                (Side::Buy, _) => b'B',
                (Side::Sell, false) => b'S',
                (Side::Sell, true) => b'T',
            };
            let rests = if time_in_force == TimeInForce::Day { b'0' } else { b'3' };
            assert_eq!((m.user_ref, m.side, m.quantity, m.symbol.0), (user_ref_num, side, shares, symbol.0));
            assert_eq!((m.price, m.time_in_force), (price.0.into(), rests));
        }
        (Inbound::Replace(m), Request::Replace { original, user_ref_num, total_shares, price, .. }) => {
            assert_eq!((m.orig_user_ref, m.user_ref, m.quantity), (original, user_ref_num, total_shares));
            assert_eq!(m.price, u64::from(price.0));
        }
        (Inbound::Cancel { user_ref, quantity: 0 }, Request::Cancel { user_ref_num }) => {
            assert_eq!(*user_ref, user_ref_num);
        }
        other => unreachable!("{other:?}"),
    }
}
