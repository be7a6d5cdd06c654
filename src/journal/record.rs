//! One record of the journal: what it says, and its bytes.

use super::checksum;
pub use super::kind::{Action, Kind};
use crate::blotter::{OrderEvent, OrderEventKind, TimeInForce};
use crate::market::{BookState, Price, Side, Symbol, TradingState};
use crate::order::SendError;
use crate::risk::{Cleared, Refusal, Request};
use crate::stop::KillCause;
use crate::strategy::{Intent, MarketView};

/// Bytes of a record: two cache lines.
pub const RECORD: usize = 128;

/// Words of a record.
const WORDS: usize = RECORD / 8;

/// Bits of [`Record::flags`].
pub mod flags {
    /// A sell; of an event without a side: never set.
    pub const SELL: u16 = 1;
    /// Marked as a short sale.
    pub const SHORT: u16 = 1 << 1;
    /// Immediate or cancel.
    pub const IOC: u16 = 1 << 2;
    /// Risk was armed.
    pub const ARMED: u16 = 1 << 3;
    /// The order session was healthy.
    pub const HEALTHY: u16 = 1 << 4;
    /// The loop took the order back, not the strategy.
    pub const WITHDRAWN: u16 = 1 << 5;
    /// Of an `Accepted` or `Replaced`: the order lives.
    pub const LIVE: u16 = 1 << 6;
    /// Positions were uncertain.
    pub const UNCERTAIN: u16 = 1 << 7;
}

/// What was journalled. What a record's kind has no use for is zero.
///
/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 8 | checksum of the other 15 words, whose seed is the number of the run |
/// | 8 | 8 | sequence |
/// | 16 | 8 | time |
/// | 24 | 8 | feed time |
/// | 32 | 8 | symbol |
/// | 40, 42 | 2, 2 | locate, worker |
/// | 44, 45, 46 | 1, 1, 2 | kind, action, code |
/// | 48, 52 | 4, 4 | order, other |
/// | 56, 60 | 4, 4 | shares, price |
/// | 64, 68, 72 | 4, 4, 4 | bid, ask, reference |
/// | 76 | 4 | open orders |
/// | 80 | 8 | the venue's time |
/// | 88 | 8 | number |
/// | 96 | 8 | position, two's complement |
/// | 104 | 8 | gross value |
/// | 112 | 2 | [`flags`] |
/// | 114, 115 | 1, 1 | book state, trading state |
/// | 116 | 12 | zeros |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Rises by one from 1, for each worker.
    pub sequence: u64,
    /// The loop's time, ns; the head of the file says what moment it counts from.
    pub time: u64,
    /// Of a decision: exchange time of the market that was looked at, ns since midnight.
    pub feed_time: u64,
    /// Ticker, blanks where none is known.
    pub symbol: Symbol,
    /// Instrument.
    pub locate: u16,
    /// Which worker wrote.
    pub worker: u16,
    /// What it tells.
    pub kind: Kind,
    /// What is wanted, or what the venue said.
    pub action: Action,
    /// A reason: see the kinds; of an event, the venue's code.
    pub code: u16,
    /// `user_ref_num` of the order concerned; of a refused entry or replacement 0: it got none.
    pub order: u32,
    /// The order that is replaced.
    pub other: u32,
    /// Shares: asked for (of a replacement: to be open afterwards), or of the event.
    pub shares: u32,
    /// Limit price, or that of the event.
    pub price: Price,
    /// Best bid that a decision looked at; 0: none.
    pub bid: Price,
    /// Best ask that a decision looked at; 0: none.
    pub ask: Price,
    /// Reference price that a decision looked at; 0: none.
    pub reference: Price,
    /// Orders open after it.
    pub open_orders: u32,
    /// Of an event: the venue's time, ns since midnight.
    pub venue_time: u64,
    /// Of an event: the order's reference in the feed, the match number, the next number, or how many were lost.
    pub number: u64,
    /// Position in the instrument after it, shares.
    pub position: i64,
    /// Open orders and positions of all instruments after it, in 1/10,000.
    pub gross: u64,
    /// See [`flags`].
    pub flags: u16,
    /// State of the book that a decision looked at.
    pub book: BookState,
    /// Trading state that a decision looked at.
    pub trading: TradingState,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            sequence: 0,
            time: 0,
            feed_time: 0,
            symbol: Symbol([b' '; 8]),
            locate: 0,
            worker: 0,
            kind: Kind::default(),
            action: Action::default(),
            code: 0,
            order: 0,
            other: 0,
            shares: 0,
            price: Price(0),
            bid: Price(0),
            ask: Price(0),
            reference: Price(0),
            open_orders: 0,
            venue_time: 0,
            number: 0,
            position: 0,
            gross: 0,
            flags: 0,
            book: BookState::default(),
            trading: TradingState::default(),
        }
    }
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// Zeros: what filled up a torn end, or a place that nothing was written to.
    #[error("empty")]
    Empty,
    /// Not as it was written, or of another run.
    #[error("the checksum is wrong")]
    Checksum,
    /// Whole, and of a later version: a kind, an action or a state that this one does not know.
    #[error("a kind of record that this version does not know")]
    Unknown,
}

impl Record {
    /// What an intent asks for, on which market, whatever came of it.
    #[inline]
    #[must_use]
    pub fn of_intent(intent: &Intent, view: &MarketView) -> Self {
        let level = |level: Option<crate::market::Level>| level.map_or(Price(0), |level| level.price);
        let seen = Self {
            time: view.now_ns,
            feed_time: view.timestamp,
            locate: intent.locate(),
            bid: level(view.top.bid),
            ask: level(view.top.ask),
            book: view.book,
            trading: view.trading,
            ..Self::default()
        };
        match *intent {
            Intent::Enter { side, shares, price, time_in_force, .. } => {
                Self { action: Action::Enter, shares, price, flags: sell(side) | ioc(time_in_force), ..seen }
            }
            Intent::Replace { order, shares, price, .. } => {
                Self { action: Action::Replace, other: order, shares, price, ..seen }
            }
            Intent::Cancel { order, .. } => Self { action: Action::Cancel, order, ..seen },
        }
    }

    /// The same once risk has decided.
    #[inline]
    #[must_use]
    pub fn decided(self, decision: &Result<Cleared, Refusal>) -> Self {
        match decision {
            Err(why) => Self { kind: Kind::Refused, code: why.index() as u16, ..self },
            Ok(cleared) => {
                let short = matches!(cleared.request(), Request::Enter { short: true, .. });
                let flags = self.flags | if short { flags::SHORT } else { 0 };
                // A cancel counts where its order is, whatever instrument was named.
                let locate = cleared.locate();
                Self { kind: Kind::Cleared, order: cleared.user_ref_num(), locate, flags, ..self }
            }
        }
    }

    /// What became of a cleared order.
    #[inline]
    #[must_use]
    pub fn of_sending(cleared: &Cleared, sent: Result<(), SendError>, time: u64) -> Self {
        let action = match cleared.request() {
            Request::Enter { .. } => Action::Enter,
            Request::Replace { .. } => Action::Replace,
            Request::Cancel { .. } => Action::Cancel,
        };
        let (kind, code) = match sent {
            Ok(()) => (Kind::Sent, 0),
            Err(why) => (Kind::Unsent, why as u16),
        };
        let (order, locate) = (cleared.user_ref_num(), cleared.locate());
        Self { time, kind, action, code, order, locate, ..Self::default() }
    }

    /// What the venue, or the session, said.
    #[must_use]
    pub fn of_event(event: &OrderEvent, time: u64) -> Self {
        use OrderEventKind as Of;
        let lives = |live: bool| if live { flags::LIVE } else { 0 };
        let said = Self {
            kind: Kind::Event,
            time,
            order: event.user_ref_num,
            venue_time: event.timestamp,
            ..Self::default()
        };
        match event.kind {
            Of::Accepted { shares, price, order_ref: number, live } => {
                Self { action: Action::Accepted, shares, price, number, flags: lives(live), ..said }
            }
            Of::Adopted { symbol, side, short, time_in_force, shares, price, order_ref: number, live } => {
                let short = if short { flags::SHORT } else { 0 };
                let flags = lives(live) | sell(side) | short | ioc(time_in_force);
                Self { action: Action::Adopted, symbol, shares, price, number, flags, ..said }
            }
            Of::Executed { shares, price, match_number: number, liquidity } => {
                Self { action: Action::Executed, shares, price, number, code: liquidity.into(), ..said }
            }
            Of::Canceled { shares, reason } => {
                Self { action: Action::Canceled, shares, code: reason.into(), ..said }
            }
            Of::Rejected { reason } => Self { action: Action::Rejected, code: reason, ..said },
            Of::Replaced { original, shares, price, order_ref: number, live } => {
                let flags = lives(live);
                Self { action: Action::Replaced, other: original, shares, price, number, flags, ..said }
            }
            Of::CancelPending => Self { action: Action::CancelPending, ..said },
            Of::CancelReject => Self { action: Action::CancelReject, ..said },
            Of::Broken { match_number: number, reason } => {
                Self { action: Action::Broken, number, code: reason.into(), ..said }
            }
            Of::PriorityUpdate { price, order_ref: number } => {
                Self { action: Action::PriorityUpdate, price, number, ..said }
            }
            Of::Modified { shares } => Self { action: Action::Modified, shares, ..said },
            Of::Restated { reason } => Self { action: Action::Restated, code: reason.into(), ..said },
            Of::System { code } => Self { action: Action::System, code: code.into(), ..said },
            Of::NextUserRef { next } => Self { action: Action::NextUserRef, number: next.into(), ..said },
            Of::Disconnected => Self { action: Action::Disconnected, ..said },
            Of::Resumed { next } => Self { action: Action::Resumed, number: next.into(), ..said },
            Of::Lost { messages: number } => Self { action: Action::RepliesLost, number, ..said },
        }
    }

    /// Side of an intent.
    #[must_use]
    pub const fn side(&self) -> Side {
        if self.has(flags::SELL) { Side::Sell } else { Side::Buy }
    }

    /// True where one of these bits is set.
    #[must_use]
    pub const fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Why it was refused, of a refused intent.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        Refusal::ALL.get(usize::from(self.code)).copied().filter(|_| self.kind == Kind::Refused)
    }

    /// Why it was not sent, of a cleared order that was not.
    #[must_use]
    pub fn unsent(&self) -> Option<SendError> {
        SendError::ALL.get(usize::from(self.code)).copied().filter(|_| self.kind == Kind::Unsent)
    }

    /// Who killed.
    #[must_use]
    pub fn kill_cause(&self) -> Option<KillCause> {
        KillCause::of(self.code.into()).filter(|_| self.kind == Kind::Killed)
    }

    /// As it stands in ring and file, in words of the machine's own byte order, for the run of this number. Not inlined:
    /// rehearsals run the same code.
    #[inline(never)]
    #[must_use]
    pub(super) fn words(&self, run: u64) -> [u64; WORDS] {
        let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let place = u64::from(self.locate) | u64::from(self.worker) << 16;
        let what = (self.kind as u64) << 32 | (self.action as u64) << 40 | u64::from(self.code) << 48;
        let states = u64::from(self.flags) | (self.book as u64) << 16 | (self.trading as u64) << 24;
        let mut words = [
            0,
            self.sequence,
            self.time,
            self.feed_time,
            u64::from_le_bytes(self.symbol.0),
            place | what,
            two(self.order, self.other),
            two(self.shares, self.price.0),
            two(self.bid.0, self.ask.0),
            two(self.reference.0, self.open_orders),
            self.venue_time,
            self.number,
            self.position.cast_unsigned(),
            self.gross,
            states,
            0,
        ];
        words[0] = checksum(run, &words[1..]);
        words
    }

    /// Its bytes in the run of this number.
    #[must_use]
    pub fn to_bytes(&self, run: u64) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.words(run)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The record that `bytes` are, if they are one of this run.
    ///
    /// # Errors
    /// [`Bad`]
    pub fn from_bytes(bytes: &[u8; RECORD], run: u64) -> Result<Self, Bad> {
        let mut words = [0; WORDS];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = place.first_chunk().map_or(0, |place| u64::from_le_bytes(*place));
        }
        Self::from_words(&words, run)
    }

    fn from_words(words: &[u64; WORDS], run: u64) -> Result<Self, Bad> {
        if words.iter().all(|word| *word == 0) {
            return Err(Bad::Empty);
        }
        let &[check, ref rest @ ..] = words;
        if checksum(run, rest) != check {
            return Err(Bad::Checksum);
        }
        let &[sequence, time, feed_time, symbol, what, orders, lot, touch, context, ..] = rest;
        let &[.., venue_time, number, position, gross, states, _] = rest;
        let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
        let byte = |word: u64, at: u32| (word >> at) as u8;
        Ok(Self {
            sequence,
            time,
            feed_time,
            symbol: Symbol(symbol.to_le_bytes()),
            locate: what as u16,
            worker: (what >> 16) as u16,
            kind: Kind::of(byte(what, 32)).ok_or(Bad::Unknown)?,
            action: Action::of(byte(what, 40)).ok_or(Bad::Unknown)?,
            code: (what >> 48) as u16,
            order: low(orders),
            other: high(orders),
            shares: low(lot),
            price: Price(high(lot)),
            bid: Price(low(touch)),
            ask: Price(high(touch)),
            reference: Price(low(context)),
            open_orders: high(context),
            venue_time,
            number,
            position: position.cast_signed(),
            gross,
            flags: states as u16,
            book: match byte(states, 16) {
                0 => BookState::Stale,
                1 => BookState::Recovering,
                2 => BookState::Live,
                _ => return Err(Bad::Unknown),
            },
            trading: match byte(states, 24) {
                0 => TradingState::Halted,
                1 => TradingState::Paused,
                2 => TradingState::QuotationOnly,
                3 => TradingState::Trading,
                _ => return Err(Bad::Unknown),
            },
        })
    }
}

const fn ioc(time_in_force: TimeInForce) -> u16 {
    match time_in_force {
        TimeInForce::Day => 0,
        TimeInForce::Ioc => flags::IOC,
    }
}

const fn sell(side: Side) -> u16 {
    match side {
        Side::Buy => 0,
        Side::Sell => flags::SELL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Record {
        Record {
            sequence: 7,
            time: 1 << 60,
            feed_time: 34_200_000_000_123,
            symbol: Symbol(*b"AAPL    "),
            locate: 65_535,
            worker: 15,
            kind: Kind::Cleared,
            action: Action::Replace,
            code: 65_535,
            order: u32::MAX,
            other: 1,
            shares: 999_999,
            price: Price(1_999_999_900),
            bid: Price(3),
            ask: Price(4),
            reference: Price(5),
            open_orders: 6,
            venue_time: u64::MAX,
            number: 8,
            position: -9,
            gross: 10,
            flags: 255,
            book: BookState::Live,
            trading: TradingState::Trading,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_and_in_its_run_only() {
        for record in [full(), Record { kind: Kind::Start, ..Record::default() }] {
            let bytes = record.to_bytes(42);
            assert_eq!(Record::from_bytes(&bytes, 42), Ok(record));
            assert_eq!(Record::from_bytes(&bytes, 43), Err(Bad::Checksum));
        }
        assert_eq!(Record::from_bytes(&[0; RECORD], 42), Err(Bad::Empty));
    }

    #[test]
    fn the_layout_is_as_documented() {
        let bytes = full().to_bytes(42);
        let long = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        assert_eq!([8, 16, 24, 80, 88, 104].map(long), [7, 1 << 60, 34_200_000_000_123, u64::MAX, 8, 10]);
        assert_eq!(&bytes[32..48], [&b"AAPL    "[..], &[255, 255, 15, 0, 8, 2, 255, 255]].concat());
        assert_eq!([48, 52, 56, 60].map(word), [u32::MAX, 1, 999_999, 1_999_999_900]);
        assert_eq!([64, 68, 72, 76].map(word), [3, 4, 5, 6]);
        assert_eq!(long(96).cast_signed(), -9);
        assert_eq!(&bytes[112..], [255, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn every_bit_counts() {
        let bytes = full().to_bytes(42);
        for bit in 0..RECORD * 8 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::from_bytes(&wrong, 42), Err(Bad::Checksum), "bit {bit}");
        }
        // A write that was cut off anywhere, on top of what stood there before or of nothing.
        let before = Record { sequence: 3, ..full() }.to_bytes(42);
        for cut in 0..RECORD {
            for old in [before, [0; RECORD]] {
                let torn = [&bytes[..cut], &old[cut..]].concat();
                let read = Record::from_bytes(torn.first_chunk().unwrap(), 42);
                assert!(read.is_err() || read == Ok(full()) || torn == before, "cut at {cut}");
            }
        }
    }

    #[test]
    fn numbers_of_kinds_are_distinct_and_known() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(*kind as u8), Some(*kind));
        }
        for action in Action::ALL {
            assert_eq!(Action::of(*action as u8), Some(*action));
        }
        let unknown = [Kind::of(0), Kind::of(99)];
        assert_eq!(unknown, [None, None]);
        for (at, why) in SendError::ALL.iter().enumerate() {
            assert_eq!(*why as usize, at);
        }
    }
}
