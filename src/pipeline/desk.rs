//! From an ordered stream of messages to orders: decode, book, decide, check, send.
//!
//! The [`Desk`] is the [`Sink`] of the feed. Everything here runs to completion for each message before the next one is
//! looked at; nothing allocates, locks, logs or calls the kernel.
//!
//! Where books can be recovered, the desk puts messages of books that wait aside ([`super::repair`]). While the stream waits
//! for messages that were asked for again, no book is as of now: whoever asks is told
//! [`Recovering`](BookState::Recovering) for all that are live otherwise.

use std::ops::Range;

use super::board::Tally;
use super::repair::Repair;
use super::share::{Division, Share};
use super::stamp::Stamps;
use crate::book::{Anomaly, Books, Outcome};
use crate::feed::itch::batch::Batch;
use crate::feed::itch::{Damage, Glimpse};
use crate::feed::{self, Sink};
use crate::journal::JournalWriter;
use crate::market::{BookState, Event, EventKind, OrderMessage, Price, Symbol};
use crate::nic::TxQueue;
use crate::order::Session;
use crate::risk::Risk;
use crate::stats::clock::Clock;
use crate::strategy::features::Step;
use crate::strategy::{Intents, Strategy};
use crate::tsc::{TimeSource, Tsc};
use crate::wire::moldudp64::Blocks;

mod place;
mod record;
mod rehearse;
mod withdraw;

use rehearse::Lately;
use withdraw::Watch;

/// What happened to messages and orders at the desk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeskCounters {
    /// Messages taken in order from the stream.
    pub messages: u64,
    /// Messages that could not be decoded (see the group `decode`) and whose instrument could not be known: every book went `Stale`.
    pub undecodable_all_stale: u64,
    /// Directory messages: instruments announced, again and again in some feeds.
    pub directory: u64,
    /// Messages after which the top of a book was another.
    pub top_changes: u64,
    /// Times that the strategy was asked what it wants.
    pub decisions: u64,
    /// Things the strategy wanted.
    pub intents: u64,
    /// Intents beyond what one call may hold: dropped.
    pub intents_dropped: u64,
    /// Orders (enter, replace, cancel) handed to the transmit queue.
    pub orders_sent: u64,
    /// Orders that passed risk and found no room in the transmit queue: taken back, not retried.
    pub orders_unsent: u64,
    /// Open orders taken back because their book could not be believed, because the session had been away, or because the
    /// loop ended.
    pub withdrawn: u64,
    /// Order replies read.
    pub replies: u64,
    /// The kill switch was thrown: 1 a worker.
    pub kills: u64,
    /// Rehearsals of an order, as far as the transmit buffer.
    pub rehearsals: u64,
    /// Times that the feed fell silent on all its lines, so that no book could be believed.
    pub silences: u64,
}

impl DeskCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 14] {
        [
            ("desk_messages", self.messages),
            ("desk_undecodable_all_stale", self.undecodable_all_stale),
            ("desk_directory", self.directory),
            ("desk_top_changes", self.top_changes),
            ("desk_decisions", self.decisions),
            ("desk_intents", self.intents),
            ("desk_intents_dropped", self.intents_dropped),
            ("desk_orders_sent", self.orders_sent),
            ("desk_orders_unsent", self.orders_unsent),
            ("desk_withdrawn", self.withdrawn),
            ("desk_replies", self.replies),
            ("desk_kills", self.kills),
            ("desk_rehearsals", self.rehearsals),
            ("desk_silences", self.silences),
        ]
    }
}

/// Which instruments the strategy may act on.
#[derive(Clone, Debug)]
pub enum Universe {
    /// None: books only.
    None,
    /// Every instrument of the directory.
    All,
    /// These tickers, as the directory announces them.
    Symbols(Vec<Symbol>),
}

/// What the strategy has to do with an instrument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acts {
    /// Nothing.
    No,
    /// It may act on it, and was shown every event since it last read the book.
    Yes,
    /// It may act on it, and has to read the book anew before anything else: that changed otherwise than by events shown.
    Rebuilt,
}

/// Books, strategy, risk and order session of one worker.
pub struct Desk<T, S, O, C = Tsc> {
    pub(super) books: Books,
    pub(super) strategy: S,
    pub(super) risk: Risk,
    pub(super) session: O,
    pub(super) tx: T,
    pub(super) division: Division,
    universe: Universe,
    /// Per locate.
    acts_on: Box<[Acts]>,
    intents: Intents,
    pub(super) clock: Clock,
    pub(super) time: C,
    pub(super) stamps: Stamps,
    pub(super) counters: DeskCounters,
    decode_errors: feed::itch::ErrorCounters,
    /// Where packets are decoded; there but while one is.
    batch: Option<Box<Batch>>,
    pub(super) repair: Repair,
    /// The stream waits for messages that were asked for again, and since when (ticks).
    pub(super) overdue: bool,
    overdue_since: u64,
    /// Nothing comes of the feed, not even heartbeats: what the books would be now nobody knows.
    silent: bool,
    /// When what is in hand was received, or taken up otherwise, in ticks: decisions go by it.
    pub(super) came: u64,
    /// Rises with each session of the feed; 0 = none yet.
    pub(super) epoch: u64,
    pub(super) feed_session: [u8; 10],
    /// The sequence after the message in hand.
    pub(super) next: u64,
    watch: Watch,
    /// The session has come up, and this is the number of its next order; 0: it has not, or that was taken up.
    resumed: u32,
    /// Exchange time of the latest message, ns since midnight.
    feed_time: u64,
    lately: Lately,
    /// Where orders are journalled.
    pub(super) scribe: Option<JournalWriter>,
    /// Everything that was decoded, by sequence: what a replay must come to, too.
    #[cfg(test)]
    pub(crate) journal: Vec<(u64, Event)>,
}

/// What a desk is made of. Plain parts, so that they can be made on one thread and put together on the lcore that
/// polls.
pub struct DeskParts<S, O> {
    /// Books, reserved and empty.
    pub books: Books,
    /// Decides.
    pub strategy: S,
    /// Checks.
    pub risk: Risk,
    /// Speaks to the venue.
    pub session: O,
    /// Which instruments the strategy may act on.
    pub universe: Universe,
    /// Turns TSC ticks into ns.
    pub clock: Clock,
    /// Where stage stamps go.
    pub stamps: Stamps,
    /// Once the session is up, cancel what is open from before.
    pub cancels_left_over: bool,
    /// Where orders are journalled; `None`: they are not.
    pub journal: Option<JournalWriter>,
}

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Desk<T, S, O, C> {
    /// Puts the parts together for the instruments of `share`; orders leave by `tx`, `time` is what everything here goes
    /// by. Messages of books that wait for a snapshot have `log_bytes`; 0: there is none to wait for.
    pub fn new(parts: DeskParts<S, O>, share: Share, tx: T, time: C, log_bytes: usize) -> Self {
        let locates = parts.books.limits().locates as usize;
        Self {
            came: time.now(),
            books: parts.books,
            strategy: parts.strategy,
            risk: parts.risk,
            session: parts.session,
            tx,
            division: Division::new(share, locates),
            universe: parts.universe,
            acts_on: vec![Acts::No; locates].into_boxed_slice(),
            intents: Intents::new(),
            clock: parts.clock,
            time,
            stamps: parts.stamps,
            counters: DeskCounters::default(),
            decode_errors: feed::itch::ErrorCounters::default(),
            batch: Some(Box::default()),
            repair: Repair::new(locates, log_bytes),
            overdue: false,
            overdue_since: 0,
            silent: false,
            epoch: 0,
            feed_session: [0; 10],
            next: 0,
            watch: Watch::new(parts.cancels_left_over),
            resumed: 0,
            feed_time: 0,
            lately: Lately::default(),
            scribe: parts.journal,
            #[cfg(test)]
            journal: Vec::new(),
        }
    }

    /// The part of a worker's tally that the desk counts; the caller fills in the rest.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            books: self.books.counters(),
            decode: self.decode_errors,
            desk: self.counters,
            risk: *self.risk.counters(),
            blotter: *self.risk.blotter().counters(),
            session: *self.session.counters(),
            connection: self.session.connection(),
            strategy: self.strategy.counters(),
            repair: self.repair.counters,
            journal: self.scribe.as_ref().map_or_else(Default::default, |scribe| *scribe.counters()),
            ..Tally::default()
        }
    }

    /// Timers of the order session (heartbeats and the like) and of repairs; orders that must go.
    pub fn on_timer(&mut self, now: u64) {
        let now_ns = self.clock.ns(now);
        self.poll_session(now_ns);
        self.strategy.on_timer(now_ns, &mut self.intents);
        self.place_wanted();
        self.repair_timer(now_ns);
        self.withdraw(now_ns);
        self.withdraw_left_over(now_ns);
        self.tx.reclaim();
    }

    /// True while something is being recovered: the loop must look for what was got back.
    #[inline]
    pub(super) const fn is_recovering(&self) -> bool {
        self.overdue || self.repair.is_on()
    }

    /// May the book of `locate` be believed now?
    pub(super) fn book_state(&self, locate: u16) -> BookState {
        match self.books.state(locate) {
            BookState::Live if self.in_the_dark() => BookState::Recovering,
            state => state,
        }
    }

    /// True while no book can be as the exchange's, whatever its own state: messages are waited for, or nothing comes at all.
    #[inline]
    pub(super) fn in_the_dark(&self) -> bool {
        self.overdue || self.silent
    }

    /// Takes up whether the feed is silent. Open orders are taken back while it is; with its next message, books are as good as
    /// before.
    pub(super) fn set_silent(&mut self, silent: bool) {
        if silent && !self.silent {
            self.counters.silences += 1;
            self.doubt();
        }
        self.silent = silent;
    }

    /// Asks for what the first message of a packet needs of the books, before anybody has looked whether it is one: only a hint,
    /// but the memory comes while headers and sequence are read.
    #[inline]
    pub(super) fn expect(&self, packet: &[u8]) {
        if let Some(Glimpse { locate, order_ref }) = feed::itch::glimpse(packet)
            && !self.division.is_foreign(locate)
        {
            self.books.expect(locate, order_ref);
        }
    }

    /// One order message of a batch.
    #[inline]
    fn on_message(&mut self, message: &OrderMessage) {
        if self.division.is_foreign(message.locate) {
            return;
        }
        self.stamps.begin();
        self.stamps.decoded(&self.time);
        self.feed_time = message.timestamp;
        let acts = self.acts_on(message.locate);
        if S::FOLLOWS && acts {
            self.strategy.on_coming(message.locate);
            self.risk.prefetch(message.locate);
        }
        #[cfg(test)]
        self.journal.extend(message.event().map(|event| (self.next - 1, event)));
        if self.repair.is_on()
            && let Some(event) = message.event()
            && self.put_aside(&event)
        {
            return;
        }
        let change = self.books.apply_order(message);
        if acts {
            self.books.settle();
        }
        self.stamps.booked(&self.time);
        if let Outcome::Anomaly(_) = change.outcome {
            self.on_spoiled(message.locate);
        }
        if message.kind == OrderMessage::EXECUTE_PRICED && message.printable == b'Y' {
            self.risk.set_reference(message.locate, message.price);
        }
        self.counters.top_changes += u64::from(change.top_changed);
        if S::FOLLOWS && acts {
            self.show(&Step::of_message(message, &change, &self.books));
        }
        if change.top_changed && acts {
            self.decide(message.locate, message.timestamp);
        }
        self.stamps.end(&self.time);
    }

    /// A block that is no order message: read by itself.
    fn on_block(&mut self, block: &[u8]) {
        if self.division.passes_over(block) {
            return;
        }
        self.stamps.begin();
        match feed::itch::decode(block) {
            Ok(event) if self.division.is_foreign(event.locate) => self.on_foreign(&event),
            Ok(event) => {
                self.stamps.decoded(&self.time);
                #[cfg(test)]
                self.journal.push((self.next - 1, event));
                if !self.repair.is_on() || !self.put_aside(&event) {
                    self.on_event(&event);
                }
            }
            Err(error) => self.on_undecodable(block, error),
        }
    }

    /// One decoded message: into the book, and on to the strategy where it may act.
    #[inline]
    fn on_event(&mut self, event: &Event) {
        self.feed_time = event.timestamp;
        let change = self.books.apply(event);
        self.stamps.booked(&self.time);
        if let Outcome::Anomaly(_) = change.outcome {
            self.on_spoiled(event.locate);
        }
        if let Some(price) = printed(&event.kind) {
            self.risk.set_reference(event.locate, price);
        }
        let moved = match event.kind {
            EventKind::Directory { symbol, .. } => {
                self.on_instrument(event.locate, symbol);
                false
            }
            // Strategies must hear of a halt at once, whether or not a price moved.
            EventKind::Trading(_) | EventKind::OperationalHalt(_) => true,
            _ => change.top_changed,
        };
        self.counters.top_changes += u64::from(change.top_changed);
        if S::FOLLOWS && self.acts_on(event.locate) {
            self.show(&Step::of_event(event, &change, &self.books));
        }
        if moved && self.acts_on(event.locate) {
            self.decide(event.locate, event.timestamp);
        }
        self.stamps.end(&self.time);
    }

    #[inline]
    fn acts_on(&self, locate: u16) -> bool {
        self.acts_on.get(usize::from(locate)).is_some_and(|acts| *acts != Acts::No)
    }

    /// Shows the strategy an event that was applied, of an instrument that it acts on. A book that was rebuilt is read anew
    /// instead, this event with it.
    #[inline]
    fn show(&mut self, step: &Step) {
        let Self { acts_on, strategy, books, .. } = self;
        match acts_on.get_mut(usize::from(step.locate)) {
            Some(acts) if *acts == Acts::Rebuilt => {
                *acts = Acts::Yes;
                strategy.on_rebuilt(books, step.locate);
            }
            _ => strategy.on_step(books, step),
        }
    }

    /// The book of `locate` changes otherwise than by events that the strategy is shown.
    pub(super) fn rebuilds(&mut self, locate: u16) {
        if let Some(acts) = self.acts_on.get_mut(usize::from(locate)).filter(|acts| **acts == Acts::Yes) {
            *acts = Acts::Rebuilt;
        }
    }

    /// A message that only brings a book up to date: nobody may act on it yet. Says what could not be right about it.
    pub(super) fn apply_quietly(&mut self, event: &Event) -> Option<Anomaly> {
        let known = self.books.symbol(event.locate);
        self.rebuilds(event.locate);
        let change = self.books.apply(event);
        if let Some(price) = printed(&event.kind) {
            self.risk.set_reference(event.locate, price);
        }
        if let EventKind::Directory { symbol, .. } = event.kind
            && known != Some(symbol)
        {
            self.on_instrument(event.locate, symbol);
        }
        match change.outcome {
            Outcome::Anomaly(anomaly) => Some(anomaly),
            Outcome::Applied | Outcome::Ignored => None,
        }
    }

    /// A message about an instrument of another worker that was not announced until now.
    #[cold]
    pub(super) fn on_foreign(&mut self, event: &Event) {
        if let EventKind::Directory { .. } = event.kind {
            self.division.announce(event.locate);
        }
    }

    fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        self.counters.directory += 1;
        self.risk.set_symbol(locate, symbol);
        let acts = match &self.universe {
            Universe::None => false,
            Universe::All => true,
            Universe::Symbols(symbols) => symbols.contains(&symbol),
        };
        if let Some(slot) = self.acts_on.get_mut(usize::from(locate)) {
            *slot = if acts { Acts::Rebuilt } else { Acts::No };
            if acts {
                self.strategy.on_instrument(locate, symbol);
            }
        }
        if let Some((locate, position)) = self.risk.take_moved() {
            self.strategy.on_position(locate, position);
        }
    }

    /// A message of a book-keeping type could not be read: the book it concerns can no longer be believed, and where
    /// even its locate cannot be read, none can.
    #[cold]
    fn on_undecodable(&mut self, block: &[u8], error: feed::itch::Error) {
        self.decode_errors.count(error);
        match feed::itch::damage(block) {
            Damage::None => {}
            Damage::Instrument(locate) if self.repair.is_on() && self.put_damage_aside(locate) => {}
            // A locate that has no book says nothing about which one was meant.
            Damage::Instrument(locate) if self.books.symbol(locate).is_some() => {
                self.books.set_state(locate, BookState::Stale);
                self.on_spoiled(locate);
            }
            Damage::Instrument(_) | Damage::Unknown => {
                self.counters.undecodable_all_stale += 1;
                self.on_all_spoiled();
            }
        }
    }
}

/// The price of a trade that names its price and may be printed: what a reference price is made of.
const fn printed(kind: &EventKind) -> Option<Price> {
    match *kind {
        EventKind::Trade { price, shares, .. } if shares != 0 => Some(price),
        EventKind::Execute { price, printable: true, .. } => price,
        _ => None,
    }
}

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Sink for Desk<T, S, O, C> {
    fn session(&mut self, session: [u8; 10], first_sequence: u64) {
        self.epoch += 1;
        self.feed_session = session;
        self.next = first_sequence;
        self.books.clear();
        self.repair.reset();
        self.division.forget();
        self.caught_up();
        self.acts_on.fill(Acts::No);
        self.strategy.on_session();
        self.risk.on_session();
        // Only a stream seen from its first message makes a book that may be believed.
        if first_sequence == 1 {
            self.books.set_all_states(BookState::Live);
        } else {
            self.on_all_spoiled();
        }
    }

    #[inline]
    fn messages(&mut self, first_sequence: u64, mut blocks: Blocks<'_>) {
        self.next = first_sequence;
        self.silent = false;
        // Out of the desk for the while, so that its records can be read while the desk acts on them.
        let Some(mut batch) = self.batch.take() else { return };
        loop {
            let filled = batch.fill(&mut blocks);
            if filled.is_empty() {
                break;
            }
            // A share of the instruments would look ahead in vain more often than not.
            if self.division.is_whole() {
                self.books.look_ahead(filled.records());
            }
            for (at, message) in filled.records().iter().enumerate() {
                self.next += 1;
                self.counters.messages += 1;
                if message.kind == OrderMessage::NONE {
                    self.on_block(filled.block(at));
                } else {
                    self.on_message(message);
                }
            }
        }
        self.batch = Some(batch);
    }

    fn gap(&mut self, missing: Range<u64>) {
        self.next = missing.end;
        // One MoldUDP64 stream carries every instrument: which of them the lost messages concerned cannot be known.
        self.on_all_spoiled();
    }

    fn overdue(&mut self) {
        if !self.overdue {
            self.overdue = true;
            self.overdue_since = self.time.now();
            self.doubt();
        }
    }

    fn caught_up(&mut self) {
        if self.overdue {
            self.overdue = false;
            let waited = self.time.now().saturating_sub(self.overdue_since);
            self.repair.waited(self.clock.ns(waited));
        }
    }

    fn end_of_session(&mut self) {}
}
