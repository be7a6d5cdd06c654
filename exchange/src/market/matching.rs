//! Matching, and orders that come from outside.

use super::trades::Trade;
use super::{Market, Phase, locate};
use crate::itch::{self, NewOrder};
use crate::units::{CENT, DOLLAR, MAX_PRICE, Side};

/// The most shares one order may have is one less than this.
pub(crate) const SHARES_LIMIT: u32 = 1_000_000;

/// An order of an outside client.
#[derive(Clone, Copy, Debug)]
pub struct OutsideOrder {
    /// The client's own tag; it comes back with each [`Fill`]. Not 0.
    pub tag: u64,
    /// Index of the instrument (locate code − 1).
    pub instrument: u32,
    /// Side.
    pub side: Side,
    /// Shares, 1 ..= 999,999.
    pub shares: u32,
    /// Limit price, 1/10,000 dollars.
    pub price: u32,
    /// May what is left rest in the book? Otherwise it is dropped (immediate or cancel).
    pub rests: bool,
    /// The participant to name in the feed, if it wants to be named.
    pub mpid: Option<[u8; 4]>,
}

/// What became of an order on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    /// The reference that the feed would know it by.
    pub order_ref: u64,
    /// Ns since midnight at which it came in.
    pub time: u64,
    /// Shares that did not trade at once.
    pub left: u32,
    /// Where the rest rests; `None` when there is none, or it may not.
    pub slot: Option<u32>,
}

/// Why an order was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The market is not open.
    Closed,
    /// The instrument is halted, paused or in quotation only.
    Halted,
    /// No such instrument.
    Instrument,
    /// No shares, or a million or more.
    Shares,
    /// No price, above 199,999.99 dollars, or not a whole cent at a dollar or more.
    Price,
    /// As many orders rest as may.
    Full,
    /// The order to change is not live.
    NotLive,
}

/// What a [`Fill`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillKind {
    /// The order traded.
    Executed,
    /// An execution that was told before does not count any more: same tag, shares, price and match number; the time
    /// is that of the breaking. The order itself is not affected: the shares do not come back to it.
    Broken,
}

/// One execution, from the point of view of a client's order, or the end of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Executed or broken.
    pub kind: FillKind,
    /// The client's tag.
    pub tag: u64,
    /// Ns since midnight.
    pub time: u64,
    /// Shares in this execution.
    pub shares: u32,
    /// Its price.
    pub price: u32,
    /// Its number, the same for both sides and in the feed.
    pub match_number: u64,
    /// Did the order rest (and add liquidity), or come in (and remove it)?
    pub rested: bool,
}

/// Who trades with the book, and how far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggressor {
    /// 0 for a participant.
    pub(super) tag: u64,
    /// The most resting orders to trade with.
    pub(super) hits: u64,
    /// Trade at half a cent better than displayed, for the resting order.
    pub(super) repriced: bool,
}

/// An order on its way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    /// The reference that the feed knows it by, should it rest.
    pub(super) order_ref: u64,
    /// Index of the instrument.
    pub(super) instrument: u32,
    /// Side.
    pub(super) side: Side,
    /// Shares.
    pub(super) shares: u32,
    /// The worst price that it trades at, and the one that it rests at.
    pub(super) limit: u32,
    /// May it rest?
    pub(super) rests: bool,
    /// The participant that the feed names with it.
    pub(super) mpid: Option<[u8; 4]>,
}

/// How a resting order is executed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Execution {
    /// At which price; `None` is the displayed one.
    pub(super) price: Option<u32>,
    /// Does it count into the volume? At the displayed price it always does.
    pub(super) printable: bool,
    /// The tag of who came in; 0 for a participant, and for a cross.
    pub(super) taker: u64,
}

impl Market {
    /// Executes so many of a resting order's shares, at most all of them, says so, and writes down what clients are to
    /// be told.
    pub(super) fn execute(&mut self, slot: u32, shares: u32, how: Execution, out: &mut impl FnMut(&[u8])) {
        let resting = *self.orders.get(slot);
        let instrument = resting.instrument;
        let match_number = self.new_match();
        let stamp = self.stamp(locate(instrument));
        match how.price {
            Some(price) => {
                let Execution { printable, .. } = how;
                let order_ref = resting.order_ref;
                let said =
                    itch::executed_with_price(stamp, order_ref, shares, match_number, printable, price);
                self.say(said, out);
            }
            None => self.say(itch::executed(stamp, resting.order_ref, shares, match_number), out),
        }
        self.instruments[instrument as usize].book.reduce(&mut self.orders, slot, shares);
        self.counters.executions += 1;
        self.counters.shares += u64::from(shares);
        let fills = [(how.taker, false), (resting.tag, true)].map(|(tag, rested)| {
            let price = how.price.unwrap_or(resting.price);
            let kind = FillKind::Executed;
            (tag != 0).then_some(Fill { kind, tag, time: stamp.time, shares, price, match_number, rested })
        });
        self.fills.extend(fills.into_iter().flatten());
        if how.price.is_none() || how.printable {
            self.trades.note(Trade::new(match_number, instrument, fills));
        }
    }

    /// Trades an incoming order of `side` with the other side of the book, best price first, front first, while
    /// `limit` allows. Returns the shares left.
    fn take(&mut self, order: &Incoming, aggressor: Aggressor, out: &mut impl FnMut(&[u8])) -> u32 {
        let Incoming { instrument, side, shares, limit, .. } = *order;
        let (mut left, mut hits) = (shares, aggressor.hits);
        while left > 0 && hits > 0 {
            let book = &self.instruments[instrument as usize].book;
            let Some(slot) = book.front(side.opposite()) else { break };
            let resting = *self.orders.get(slot);
            if !side.crosses(limit, resting.price) {
                break;
            }
            let traded = left.min(resting.shares);
            // Only between participants: a client's fill is always at the price that the feed shows.
            let repriced = aggressor.repriced && aggressor.tag == 0 && resting.tag == 0;
            let price = repriced.then(|| match resting.side {
                Side::Buy => resting.price - CENT / 2,
                Side::Sell => resting.price + CENT / 2,
            });
            let printable = !repriced || self.rng.chance(3, 4);
            self.execute(slot, traded, Execution { price, printable, taker: aggressor.tag }, out);
            left -= traded;
            hits -= 1;
        }
        left
    }

    /// An order comes in, a participant's or a client's: it trades while it can, and what is left rests if it may.
    /// Returns the shares left, and where they rest.
    pub(super) fn submit(
        &mut self,
        order: &Incoming,
        aggressor: Aggressor,
        out: &mut impl FnMut(&[u8]),
    ) -> (u32, Option<u32>) {
        let left = self.take(order, aggressor, out);
        let Incoming { order_ref, instrument, side, limit, rests, mpid, .. } = *order;
        // A participant that may not go on trading leaves: what rests never crosses.
        let best = self.instruments[instrument as usize].book.best_price(side.opposite());
        let crosses = best.is_some_and(|best| side.crosses(limit, best));
        let slot = (left > 0 && rests && !crosses).then(|| {
            let stock = self.instruments[instrument as usize].symbol;
            let rest = NewOrder { order_ref, side, shares: left, stock, price: limit };
            self.rest(instrument, &rest, aggressor.tag, mpid, out).0
        });
        (left, slot)
    }

    /// The executions of clients' orders since the last call, in the order they happened.
    pub fn take_fills(&mut self) -> Vec<Fill> {
        std::mem::take(&mut self.fills)
    }

    /// Is there anything for [`Market::take_fills`] to take?
    #[must_use]
    pub fn has_fills(&self) -> bool {
        !self.fills.is_empty()
    }

    /// Would this order be taken in?
    ///
    /// # Errors
    /// [`Refused`] says why not.
    pub fn admit(&self, order: &OutsideOrder) -> Result<(), Refused> {
        if order.instrument as usize >= self.instruments.len() {
            Err(Refused::Instrument)
        } else if !(1..SHARES_LIMIT).contains(&order.shares) {
            Err(Refused::Shares)
        } else if !is_price(order.price) {
            Err(Refused::Price)
        } else if self.phase != Phase::Open {
            Err(Refused::Closed)
        } else if !self.is_trading(order.instrument) {
            Err(Refused::Halted)
        } else if self.orders.len() >= self.config.max_orders as usize {
            Err(Refused::Full)
        } else {
            Ok(())
        }
    }

    /// Takes in an order: trades what can trade, and lets the rest rest if it may. Its executions, now and later, wait
    /// for [`Market::take_fills`]; a caller that enters orders has to take them.
    ///
    /// # Errors
    /// As [`Market::admit`]; nothing has happened then.
    pub fn enter(&mut self, order: &OutsideOrder, out: &mut impl FnMut(&[u8])) -> Result<Entered, Refused> {
        self.admit(order)?;
        let order_ref = self.new_ref();
        Ok(self.bring(order, order_ref, out))
    }

    fn bring(&mut self, order: &OutsideOrder, order_ref: u64, out: &mut impl FnMut(&[u8])) -> Entered {
        let OutsideOrder { tag, instrument, side, shares, price, rests, mpid } = *order;
        self.counters.outside_orders += 1;
        let came = self.time;
        let incoming = Incoming { order_ref, instrument, side, shares, limit: price, rests, mpid };
        let all = Aggressor { tag, hits: u64::MAX, repriced: false };
        let (left, slot) = self.submit(&incoming, all, out);
        Entered { order_ref, time: came, left, slot }
    }

    /// Takes `fewer` shares off a client's resting order, or the whole order when that is all it has. It keeps its
    /// place in the queue. Returns the shares taken off and the time.
    ///
    /// # Errors
    /// [`Refused::NotLive`] when there is no such order, [`Refused::Shares`] for none, [`Refused::Closed`] once the
    /// feed has said its last message.
    pub fn cancel(
        &mut self,
        slot: u32,
        order_ref: u64,
        fewer: u32,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(u32, u64), Refused> {
        if !self.orders.is_live(slot, order_ref) {
            return Err(Refused::NotLive);
        }
        let shares = self.orders.get(slot).shares;
        if self.phase == Phase::Closed {
            Err(Refused::Closed)
        } else if fewer == 0 {
            Err(Refused::Shares)
        } else if fewer < shares {
            Ok((fewer, self.reduce_order(slot, fewer, out)))
        } else {
            Ok((shares, self.delete_order(slot, out)))
        }
    }

    /// Exchanges a client's resting order for another one in the same instrument and of the same side: a new
    /// reference, the back of the queue. One that would trade, or that is to be named otherwise in the feed, is deleted
    /// and comes in anew.
    ///
    /// # Errors
    /// [`Refused::NotLive`] when there is no such order, else as [`Market::admit`]; the old order stands then.
    pub fn replace(
        &mut self,
        slot: u32,
        order_ref: u64,
        order: &OutsideOrder,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<Entered, Refused> {
        if !self.orders.is_live(slot, order_ref) {
            return Err(Refused::NotLive);
        }
        let old = *self.orders.get(slot);
        let order = OutsideOrder { instrument: old.instrument, side: old.side, ..*order };
        match self.admit(&order) {
            // It takes the place of one that goes.
            Ok(()) | Err(Refused::Full) => {}
            Err(refused) => return Err(refused),
        }
        let book = &self.instruments[old.instrument as usize].book;
        let trades =
            book.best_price(old.side.opposite()).is_some_and(|best| old.side.crosses(order.price, best));
        let new_ref = self.new_ref();
        if trades || !order.rests || order.mpid != old.mpid {
            let time = self.delete_order(slot, out);
            return Ok(Entered { time, ..self.bring(&order, new_ref, out) });
        }
        self.counters.outside_orders += 1;
        let stock = self.instruments[old.instrument as usize].symbol;
        let OutsideOrder { shares, price, side, tag, .. } = order;
        let new = NewOrder { order_ref: new_ref, side, shares, stock, price };
        let (slot, time) = self.say_replaced(slot, &new, tag, out);
        Ok(Entered { order_ref: new_ref, time, left: shares, slot: Some(slot) })
    }
}

/// A price that an order may have: up to 199,999.99 dollars, whole cents from a dollar upward.
const fn is_price(price: u32) -> bool {
    price > 0 && price <= MAX_PRICE && (price < DOLLAR || price.is_multiple_of(CENT))
}
