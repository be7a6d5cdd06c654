//! What is true: the exchange's own log of what it said, and slow books made from it, message by message.

use std::collections::BTreeSet;

use exchange::reference::{self, Said};
use exchange::units::Side;
use wirebook::book::Books;
use wirebook::market::{BookState, Level, TradingState};
use wirebook::strategy::MarketView;

/// Every message of one session.
pub(crate) struct Log {
    pub(crate) session: [u8; 10],
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Log {
    pub(crate) fn new(session: [u8; 10]) -> Self {
        Self { session, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Sequence of the message that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.ends.len() as u64 + 1
    }

    pub(crate) fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<&[u8]> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }
}

/// The books as they are after the first so many messages of a session.
pub(crate) struct Truth {
    pub(crate) session: [u8; 10],
    /// Sequence of the next message to apply.
    pub(crate) next: u64,
    pub(crate) books: reference::Books,
    /// Instruments halted with the whole market, until something is said of them alone.
    halted: BTreeSet<u16>,
}

impl Truth {
    pub(crate) fn new(session: [u8; 10]) -> Self {
        Self { session, next: 1, books: reference::Books::new(), halted: BTreeSet::new() }
    }

    /// Applies the next message; returns its locate and its time.
    pub(crate) fn apply(&mut self, message: &[u8]) -> Result<(u16, u64), String> {
        self.books.apply(message).map_err(|fault| format!("the exchange itself erred: {fault}"))?;
        self.next += 1;
        let locate = u16::from_be_bytes([message[1], message[2]]);
        match message[0] {
            b'W' => self.halted = self.books.said().map(|(locate, _)| locate).collect(),
            b'H' => _ = self.halted.remove(&locate),
            _ => {}
        }
        Ok((locate, message[5..11].iter().fold(0, |time, byte| time << 8 | u64::from(*byte))))
    }

    fn best(&self, locate: u16, side: Side) -> Option<Level> {
        let (price, shares, orders) = self.books.best(locate, side)?;
        Some(Level { price: wirebook::market::Price(price), shares, orders })
    }

    pub(crate) fn trading(&self, locate: u16) -> TradingState {
        match self.books.said_of(locate) {
            Some(said) if !self.halted.contains(&locate) => said_of(&said),
            _ => TradingState::Halted,
        }
    }

    /// Is this what a view of the instrument shows now?
    pub(crate) fn is_shown_by(&self, view: &MarketView) -> bool {
        view.top.bid == self.best(view.locate, Side::Buy)
            && view.top.ask == self.best(view.locate, Side::Sell)
            && view.trading == self.trading(view.locate)
    }

    /// Compares every book that is to be believed, order by order, with what is true. Returns how many are.
    pub(crate) fn agrees(&self, books: &Books, state: impl Fn(u16) -> BookState) -> Result<usize, String> {
        let live = |locate: u16| state(locate) == BookState::Live;
        let ours = books
            .resting()
            .filter(|order| live(order.locate))
            .map(|order| (order.locate, order.side as u8, order.order_ref, order.price.0, order.shares));
        let mut theirs = self.books.resting().filter(|order| live(order.locate)).map(|order| {
            let side = if order.side == Side::Buy { 0 } else { 1 };
            (order.locate, side, order.order_ref, order.price, order.shares)
        });
        for our in ours {
            let their = theirs.next();
            if Some(our) != their {
                return Err(format!("a live book differs: ours {our:?}, the exchange's {their:?}"));
            }
        }
        if let Some(their) = theirs.next() {
            return Err(format!("a live book differs: ours has no {their:?}"));
        }
        let mut count = 0;
        for (locate, said) in self.books.said().filter(|(locate, _)| live(*locate)) {
            count += 1;
            let symbol = books.symbol(locate).map(|symbol| symbol.0);
            if symbol != said.symbol.map(|symbol| symbol.0) {
                return Err(format!("locate {locate} is another instrument: {symbol:?}, {:?}", said.symbol));
            }
            let (ours, theirs) = (books.trading_state(locate), self.trading(locate));
            // A snapshot does not say that the whole market was halted, only what was said of each instrument.
            let own =
                self.halted.contains(&locate) && ours != TradingState::Trading && ours == said_of(&said);
            if ours != theirs && !own {
                return Err(format!("trading state of locate {locate}: ours {ours:?}, true {theirs:?}"));
            }
        }
        Ok(count)
    }
}

/// The trading state that was said of an instrument alone.
fn said_of(said: &Said) -> TradingState {
    match said.state {
        _ if said.operational_halt => TradingState::Halted,
        b'T' => TradingState::Trading,
        b'Q' => TradingState::QuotationOnly,
        b'P' => TradingState::Paused,
        _ => TradingState::Halted,
    }
}
