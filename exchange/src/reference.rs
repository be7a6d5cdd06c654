//! A third book: slow, strict, and built from nothing but the feed's own messages.
//!
//! It shares neither code nor structure with the exchange's books ([`crate::book`]) nor with wirebook's. It keeps
//! every order in a map and every queue in a plain list, reads each field at its documented offset, and takes
//! nothing on trust: a message that a right feed could not contain is a [`Fault`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};

use crate::dump::{self, Resting};
use crate::units::{Side, Symbol};

/// A message that a right feed could not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How many messages came before it.
    pub after: u64,
    /// Its type byte, 0 if it had none.
    pub kind: u8,
    /// What is wrong.
    pub what: What,
}

/// What can be wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Not a known type with its documented length.
    Shape,
    /// A reference that names no resting order.
    UnknownOrder,
    /// A reference in use, or used before by an order that still rests.
    DuplicateOrder,
    /// No shares, or more than the order has.
    Shares,
    /// Another instrument than the order's, or a symbol that does not belong to the locate code.
    Instrument,
    /// A side other than buy and sell.
    Side,
    /// An execution of an order that is not first in its queue at the best price.
    Priority,
    /// An execution in an instrument that may not trade, or outside market hours, and not as part of a cross.
    NotTrading,
    /// A cross whose executions and `Q` do not belong together: other prices, fewer shares, something in between.
    Cross,
    /// A match number used before, or a broken trade that there was not, or that is broken already.
    Match,
    /// The best bid at or above the best offer.
    Crossed,
    /// A time before the one of the message before.
    Time,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = char::from(self.kind).escape_default();
        write!(f, "message {} ('{kind}'): {:?}", self.after + 1, self.what)
    }
}

impl std::error::Error for Fault {}

#[derive(Clone, Copy, Debug)]
struct Known {
    locate: u16,
    side: Side,
    price: u32,
    shares: u32,
}

/// Price to queue of references, front first.
type Ladder = BTreeMap<u32, Vec<u64>>;

#[derive(Debug, Default)]
struct Sides {
    bids: Ladder,
    asks: Ladder,
    symbol: Option<Symbol>,
    state: u8,
    operational_halt: bool,
    reg_sho: u8,
    interest: u8,
    /// Shares printed: executions that count, trades against hidden orders, crosses. Broken ones stay.
    volume: u64,
    /// The price of a cross that is being told, and the shares executed in it so far.
    crossing: Option<(u32, u64)>,
}

/// What the feed said of an instrument, apart from its orders. A byte of 0 was not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Ticker.
    pub symbol: Option<Symbol>,
    /// Trading state: `H`, `P`, `Q`, `T`.
    pub state: u8,
    /// Is this market's own halt on?
    pub operational_halt: bool,
    /// Short-sale restriction: `0`, `1`, `2`.
    pub reg_sho: u8,
    /// Retail interest: `B`, `S`, `A`; none (`N`) reads as not said.
    pub interest: u8,
}

/// Books of all instruments.
#[derive(Debug, Default)]
pub struct Books {
    orders: BTreeMap<u64, Known>,
    instruments: BTreeMap<u16, Sides>,
    by_kind: BTreeMap<u8, u64>,
    messages: u64,
    time: u64,
    ended: bool,
    /// What comes is a snapshot: its system event says where the day stands, and ends nothing.
    loading: bool,
    /// Market hours have begun, and not ended.
    hours: bool,
    /// Match numbers of trades that stand.
    trades: BTreeSet<u64>,
    /// The highest match number so far.
    last_match: u64,
    /// The first one heard after a snapshot; trades before it are not known, and may be broken all the same.
    first_match: Option<u64>,
    /// Began with a snapshot.
    joined: bool,
}

/// The big-endian unsigned integer of `len` bytes at `offset`; 0 beyond the end.
fn uint(message: &[u8], offset: usize, len: usize) -> u64 {
    message.iter().skip(offset).take(len).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The length of each type that may occur.
fn length_of(kind: u8) -> Option<usize> {
    Some(match kind {
        b'S' | b'W' => 12,
        b'R' => 39,
        b'H' => 25,
        b'Y' | b'N' => 20,
        b'L' => 26,
        b'V' | b'J' | b'U' => 35,
        b'K' => 28,
        b'h' => 21,
        b'A' | b'C' => 36,
        b'F' | b'Q' => 40,
        b'E' => 31,
        b'X' => 23,
        b'D' | b'B' => 19,
        b'P' => 44,
        b'I' => 50,
        b'O' => 48,
        _ => return None,
    })
}

fn symbol_at(message: &[u8], offset: usize) -> Symbol {
    Symbol(uint(message, offset, 8).to_be_bytes())
}

impl Books {
    /// No books yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What comes next is a snapshot, until `loading` is false again.
    pub fn set_loading(&mut self, loading: bool) {
        self.loading = loading;
        self.joined = true;
    }

    /// Applies one message.
    ///
    /// # Errors
    /// [`Fault`] when a right feed could not contain it. The books are not to be believed after that.
    pub fn apply(&mut self, message: &[u8]) -> Result<(), Fault> {
        let kind = message.first().copied().unwrap_or(0);
        self.check(message, kind).map_err(|what| Fault { after: self.messages, kind, what })?;
        self.messages += 1;
        *self.by_kind.entry(kind).or_default() += 1;
        Ok(())
    }

    fn check(&mut self, message: &[u8], kind: u8) -> Result<(), What> {
        if self.ended || length_of(kind) != Some(message.len()) {
            return Err(What::Shape);
        }
        let locate = uint(message, 1, 2) as u16;
        let time = uint(message, 5, 6);
        if time < self.time {
            return Err(What::Time);
        }
        self.time = time;
        let shares = uint(message, 19, 4) as u32;
        let order_ref = uint(message, 11, 8);
        if !matches!(kind, b'C' | b'Q')
            && self.instruments.get(&locate).is_some_and(|one| one.crossing.is_some())
        {
            return Err(What::Cross);
        }
        match kind {
            b'S' => self.event(uint(message, 11, 1) as u8),
            b'R' => {
                let symbol = symbol_at(message, 11);
                self.instruments.entry(locate).or_default().symbol = Some(symbol);
            }
            b'H' => self.named(locate, symbol_at(message, 11))?.state = uint(message, 19, 1) as u8,
            b'h' => {
                let halted = uint(message, 20, 1) == u64::from(b'H');
                let ours = uint(message, 19, 1) == u64::from(b'Q');
                let sides = self.named(locate, symbol_at(message, 11))?;
                if ours {
                    sides.operational_halt = halted;
                }
            }
            b'Y' => self.named(locate, symbol_at(message, 11))?.reg_sho = uint(message, 19, 1) as u8,
            b'N' => {
                let interest = uint(message, 19, 1) as u8;
                let sides = self.named(locate, symbol_at(message, 11))?;
                sides.interest = if interest == b'N' { 0 } else { interest };
            }
            b'A' | b'F' => {
                let side = match uint(message, 19, 1) as u8 {
                    b'B' => Side::Buy,
                    b'S' => Side::Sell,
                    _ => return Err(What::Side),
                };
                self.named(locate, symbol_at(message, 24))?;
                let (shares, price) = (uint(message, 20, 4) as u32, uint(message, 32, 4) as u32);
                self.add(order_ref, Known { locate, side, price, shares })?;
            }
            b'E' => {
                self.executable(locate, order_ref, None)?;
                self.take(locate, order_ref, shares)?;
                self.print(locate, u64::from(shares));
                self.matched(uint(message, 23, 8), true)?;
            }
            b'C' => {
                let (price, printable) = (uint(message, 32, 4) as u32, uint(message, 31, 1) as u8);
                let part = (printable == b'N').then_some((price, u64::from(shares)));
                self.executable(locate, order_ref, part)?;
                self.take(locate, order_ref, shares)?;
                if part.is_none() {
                    self.print(locate, u64::from(shares));
                }
                self.matched(uint(message, 23, 8), part.is_none())?;
            }
            b'P' => {
                let hours = self.hours;
                let sides = self.named(locate, symbol_at(message, 24))?;
                if !sides.trades() || !hours {
                    return Err(What::NotTrading);
                }
                sides.volume += uint(message, 20, 4);
                self.matched(uint(message, 36, 8), true)?;
            }
            b'Q' => {
                let sides = self.named(locate, symbol_at(message, 19))?;
                let (price, all) = (uint(message, 27, 4) as u32, uint(message, 11, 8));
                if sides.operational_halt || !matches!(sides.state, b'T' | b'Q') {
                    return Err(What::NotTrading);
                }
                if sides.crossing.take().is_some_and(|(at, shares)| at != price || shares > all) {
                    return Err(What::Cross);
                }
                sides.volume += all;
                self.matched(uint(message, 31, 8), true)?;
            }
            b'B' => self.broken(order_ref)?,
            b'I' => {
                self.named(locate, symbol_at(message, 28))?;
            }
            b'L' => {
                self.named(locate, symbol_at(message, 15))?;
            }
            b'J' | b'O' => {
                self.named(locate, symbol_at(message, 11))?;
            }
            b'X' => self.take(locate, order_ref, shares)?,
            b'D' => {
                self.remove(locate, order_ref)?;
            }
            b'U' => {
                let old = self.remove(locate, order_ref)?;
                let (shares, price) = (uint(message, 27, 4) as u32, uint(message, 31, 4) as u32);
                self.add(uint(message, 19, 8), Known { price, shares, ..old })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn named(&mut self, locate: u16, symbol: Symbol) -> Result<&mut Sides, What> {
        let sides = self.instruments.get_mut(&locate).ok_or(What::Instrument)?;
        if sides.symbol == Some(symbol) { Ok(sides) } else { Err(What::Instrument) }
    }

    fn add(&mut self, order_ref: u64, order: Known) -> Result<(), What> {
        if order.shares == 0 {
            return Err(What::Shares);
        }
        if self.orders.insert(order_ref, order).is_some() {
            return Err(What::DuplicateOrder);
        }
        let sides = self.instruments.get_mut(&order.locate).ok_or(What::Instrument)?;
        sides.side_mut(order.side).entry(order.price).or_default().push(order_ref);
        let crossed = match (sides.best(Side::Buy), sides.best(Side::Sell)) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        };
        if crossed { Err(What::Crossed) } else { Ok(()) }
    }

    fn event(&mut self, code: u8) {
        self.ended = code == b'C' && !self.loading;
        self.hours = code == b'Q';
    }

    /// A trade that the feed numbers. One that is not printed is no trade of its own, and cannot be broken.
    fn matched(&mut self, number: u64, printed: bool) -> Result<(), What> {
        if number <= self.last_match {
            return Err(What::Match);
        }
        self.last_match = number;
        self.first_match.get_or_insert(number);
        if printed {
            self.trades.insert(number);
        }
        Ok(())
    }

    fn print(&mut self, locate: u16, shares: u64) {
        if let Some(sides) = self.instruments.get_mut(&locate) {
            sides.volume += shares;
        }
    }

    fn broken(&mut self, number: u64) -> Result<(), What> {
        let before = self.joined && self.first_match.is_none_or(|first| number < first);
        if self.trades.remove(&number) || before { Ok(()) } else { Err(What::Match) }
    }

    /// May this order be executed now? `part` is the price and the shares of an execution that is not printed: it may
    /// belong to a cross, and has to where nothing else is executed.
    fn executable(&mut self, locate: u16, order_ref: u64, part: Option<(u32, u64)>) -> Result<(), What> {
        let order = self.orders.get(&order_ref).ok_or(What::UnknownOrder)?;
        let sides = self.instruments.get_mut(&locate).ok_or(What::Instrument)?;
        let first = sides.best(order.side).and_then(|(_, queue)| queue.first());
        if first != Some(&order_ref) {
            return Err(What::Priority);
        }
        let trading = self.hours && sides.trades();
        match (part, sides.crossing) {
            (_, None) if trading => Ok(()),
            (None, _) => Err(What::NotTrading),
            (Some((price, _)), Some((at, _))) if price != at => Err(What::Cross),
            (Some((price, shares)), before) => {
                if sides.operational_halt || !matches!(sides.state, b'T' | b'Q') {
                    return Err(What::NotTrading);
                }
                // Nobody trades at a worse price than asked for.
                if order.side.crosses(order.price, price) {
                    sides.crossing = Some((price, before.map_or(0, |(_, sum)| sum) + shares));
                    Ok(())
                } else {
                    Err(What::Cross)
                }
            }
        }
    }

    fn take(&mut self, locate: u16, order_ref: u64, shares: u32) -> Result<(), What> {
        let order = self.orders.get_mut(&order_ref).ok_or(What::UnknownOrder)?;
        if order.locate != locate {
            return Err(What::Instrument);
        }
        if shares == 0 || shares > order.shares {
            return Err(What::Shares);
        }
        order.shares -= shares;
        if order.shares == 0 {
            self.remove(locate, order_ref)?;
        }
        Ok(())
    }

    fn remove(&mut self, locate: u16, order_ref: u64) -> Result<Known, What> {
        let order = self.orders.remove(&order_ref).ok_or(What::UnknownOrder)?;
        if order.locate != locate {
            return Err(What::Instrument);
        }
        let sides = self.instruments.get_mut(&locate).ok_or(What::Instrument)?;
        let ladder = sides.side_mut(order.side);
        if let Some(queue) = ladder.get_mut(&order.price) {
            queue.retain(|queued| *queued != order_ref);
            if queue.is_empty() {
                ladder.remove(&order.price);
            }
        }
        Ok(order)
    }

    /// Messages applied.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Messages applied of each type.
    #[must_use]
    pub fn by_kind(&self) -> &BTreeMap<u8, u64> {
        &self.by_kind
    }

    /// Resting orders.
    #[must_use]
    pub fn live_orders(&self) -> usize {
        self.orders.len()
    }

    /// Instruments in the directory.
    #[must_use]
    pub fn instruments(&self) -> usize {
        self.instruments.len()
    }

    /// What the feed said of each instrument, by locate.
    pub fn said(&self) -> impl Iterator<Item = (u16, Said)> {
        self.instruments.keys().filter_map(|locate| Some((*locate, self.said_of(*locate)?)))
    }

    /// Shares printed in an instrument since the first message: executions that count, trades against hidden orders,
    /// and crosses. Trades that were broken later stay counted.
    #[must_use]
    pub fn volume(&self, locate: u16) -> u64 {
        self.instruments.get(&locate).map_or(0, |sides| sides.volume)
    }

    /// Did the feed say that it is over?
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Every resting order, by locate, bids before offers, best price first, in queue order.
    pub fn resting(&self) -> impl Iterator<Item = Resting> {
        self.instruments.iter().flat_map(move |(locate, sides)| {
            let bids = sides.bids.values().rev().flatten();
            bids.chain(sides.asks.values().flatten()).filter_map(move |order_ref| {
                let order = self.orders.get(order_ref)?;
                let symbol = sides.symbol?;
                let Known { side, price, shares, .. } = *order;
                Some(Resting { locate: *locate, symbol, side, price, order_ref: *order_ref, shares })
            })
        })
    }

    /// The best level of a side of an instrument: price, shares, orders.
    #[must_use]
    pub fn best(&self, locate: u16, side: Side) -> Option<(u32, u64, u32)> {
        let (price, queue) = self.instruments.get(&locate)?.best(side)?;
        let shares = queue.iter().filter_map(|one| self.orders.get(one)).map(|order| u64::from(order.shares));
        Some((*price, shares.sum(), u32::try_from(queue.len()).unwrap_or(u32::MAX)))
    }

    /// What the feed said of one instrument.
    #[must_use]
    pub fn said_of(&self, locate: u16) -> Option<Said> {
        let Sides { symbol, state, operational_halt, reg_sho, interest, .. } =
            *self.instruments.get(&locate)?;
        Some(Said { symbol, state, operational_halt, reg_sho, interest })
    }

    /// Writes [`Books::resting`] as text; see [`dump`].
    ///
    /// # Errors
    /// Those of the writer.
    pub fn dump(&self, to: &mut impl Write) -> io::Result<()> {
        dump::write(self.resting(), to)
    }
}

impl Sides {
    fn side_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    const fn trades(&self) -> bool {
        self.state == b'T' && !self.operational_halt
    }

    fn best(&self, side: Side) -> Option<(&u32, &Vec<u64>)> {
        match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        }
    }
}
