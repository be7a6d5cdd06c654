//! The simulated participants: what they do, how often, and at which prices.

use super::agenda::STEP_ROOM;
use super::matching::{Aggressor, Incoming};
use super::trades::Trade;
use super::{Market, locate};
use crate::book::Entry;
use crate::itch::{self, NewOrder};
use crate::units::{CENT, DOLLAR, MAX_PRICE, Side};

/// One in so many new orders names its participant (`F`).
const ATTRIBUTED: u32 = 80;
/// One in so many executions is at another price than the displayed one (`C`).
const REPRICED: u32 = 20;
/// The most orders that one participant's incoming order trades with.
const SWEEP: u64 = 4;
/// A side whose best price is further than this from the participants' idea of the value is drawn back to it.
const DRIFT: i64 = 20 * CENT as i64;

const MPIDS: [[u8; 4]; 4] = [*b"ALFA", *b"BRVO", *b"CHLI", *b"DLTA"];

impl Market {
    /// One action of continuous trading, with at most `room` messages.
    pub(super) fn act(&mut self, room: u64, out: &mut impl FnMut(&[u8])) {
        if room >= STEP_ROOM && self.on_agenda(out) {
            return;
        }
        let instrument = self.pick_instrument();
        if !self.instruments[instrument as usize].quotes() {
            return;
        }
        self.walk(instrument);
        let trading = self.is_trading(instrument);
        let mix = self.config.mix;
        let mut draw = self.rng.below(10_000);
        let mut is = |part: u32| {
            let hit = draw < part;
            draw = draw.wrapping_sub(part);
            hit
        };
        // These two may find nothing to say; something else is done then.
        if (is(mix.imbalances) && self.say_outlook(instrument, out))
            || (is(mix.broken_trades) && self.break_trade(out))
        {
            return;
        }
        if is(mix.hidden_trades) && trading {
            self.hidden_trade(instrument, out);
        } else if is(mix.notices) {
            self.notice(instrument, out);
        } else if self.instruments[instrument as usize].book.list().len() < 4 {
            self.add(instrument, out);
        } else if is(mix.replaces) {
            self.replace_order(instrument, out);
        } else if is(mix.takes) && trading {
            self.trade(instrument, room, out);
        } else if is(mix.cancels) {
            self.cancel_part(instrument, out);
        } else if self.wants_more(instrument) {
            self.add(instrument, out);
        } else {
            self.delete(instrument, out);
        }
    }

    /// One action after the close: orders come and go, none trade. One message at most.
    pub(super) fn act_after_hours(&mut self, out: &mut impl FnMut(&[u8])) {
        let instrument = self.pick_instrument();
        if !self.instruments[instrument as usize].quotes() {
            return;
        }
        match self.rng.below(100) {
            0..2 => {
                self.gather(instrument, 1);
                self.say_imbalance(instrument, b'A', out);
            }
            2..10 => self.replace_order(instrument, out),
            10..12 => self.cancel_part(instrument, out),
            12..50 => self.add(instrument, out),
            _ => self.delete(instrument, out),
        }
    }

    /// How the next cross would end: the close while it trades, that of the release while it only quotes. False when
    /// there is none to come.
    fn say_outlook(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) -> bool {
        let cross = match self.instruments[instrument as usize].state {
            Some(b'Q') => b'H',
            _ if self.is_trading(instrument) => b'C',
            _ => return false,
        };
        self.gather(instrument, 1);
        self.say_imbalance(instrument, cross, out);
        true
    }

    /// Something that concerns no order: the short-sale restriction, a market maker, retail interest, or the halt of a
    /// sister market, where this market's orders do not trade.
    fn notice(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) {
        match self.rng.below(4) {
            0 => {
                let action = [b'1', b'2', b'0'][self.rng.index(3)];
                self.set_reg_sho(instrument, action, out);
            }
            1 => {
                let (mpid, state) = (MPIDS[self.rng.index(MPIDS.len())], b"AEWSD"[self.rng.index(5)]);
                self.say_maker(instrument, mpid, state, out);
            }
            2 => {
                let interest = b"BSAN"[self.rng.index(4)];
                let stamp = self.stamp(locate(instrument));
                let instrument = &mut self.instruments[instrument as usize];
                instrument.retail = interest;
                let symbol = instrument.symbol;
                self.say(itch::retail_interest(stamp, symbol, interest), out);
            }
            _ => {
                let (market, action) = (b"BX"[self.rng.index(2)], b"HT"[self.rng.index(2)]);
                let stamp = self.stamp(locate(instrument));
                let symbol = self.instruments[instrument as usize].symbol;
                self.say(itch::operational_halt(stamp, symbol, market, action), out);
            }
        }
    }

    fn pick_instrument(&mut self) -> u32 {
        let burst = self.rng.chance(35, 100);
        let slot = self.rng.index(self.recent.len());
        let picked = if burst { self.recent[slot] } else { self.activity.draw(&mut self.rng) as u32 };
        self.recent[slot] = picked;
        picked
    }

    /// The value of an instrument walks at random, within bounds.
    fn walk(&mut self, instrument: u32) {
        if !self.rng.chance(1, 32) {
            return;
        }
        let up = self.rng.chance(1, 2);
        let instrument = &mut self.instruments[instrument as usize];
        let step = CENT * (1 + instrument.reference / (100 * DOLLAR));
        let (low, high) = instrument.bounds;
        let moved = if up { instrument.reference + step } else { instrument.reference - step };
        instrument.reference = moved.clamp(low, high) / CENT * CENT;
    }

    /// Add or delete? The further from the number of orders that the participants like, the likelier the way back.
    fn wants_more(&mut self, instrument: u32) -> bool {
        if self.orders.len() >= self.config.max_orders as usize {
            return false;
        }
        let instrument = &self.instruments[instrument as usize];
        let (live, target) = (instrument.book.list().len() as i64, i64::from(instrument.target));
        let lack = ((target - live) * 1_000 / target).clamp(-1_000, 1_000);
        let pull = if live > target { 3_500 } else { 2_450 };
        let parts = 5_065 + pull * lack / 1_000;
        i64::from(self.rng.below(10_000)) < parts
    }

    fn add(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) {
        if self.orders.len() >= self.config.max_orders as usize {
            return self.delete(instrument, out);
        }
        let side = if self.rng.chance(1, 2) { Side::Buy } else { Side::Sell };
        self.add_order(instrument, side, out);
    }

    /// A new order of `side` that does not cross; nothing when no price is left for one.
    pub(super) fn add_order(&mut self, instrument: u32, side: Side, out: &mut impl FnMut(&[u8])) {
        let Some(price) = self.price(instrument, side) else { return };
        let order = NewOrder {
            order_ref: self.new_ref(),
            side,
            shares: self.shares(),
            stock: self.instruments[instrument as usize].symbol,
            price,
        };
        let mpid = self.rng.chance(1, ATTRIBUTED).then(|| MPIDS[self.rng.index(MPIDS.len())]);
        self.rest(instrument, &order, 0, mpid, out);
    }

    /// Puts an order into the book and says so. Returns its slot and the time it was said at.
    pub(super) fn rest(
        &mut self,
        instrument: u32,
        order: &NewOrder,
        tag: u64,
        mpid: Option<[u8; 4]>,
        out: &mut impl FnMut(&[u8]),
    ) -> (u32, u64) {
        let stamp = self.stamp(locate(instrument));
        match mpid {
            Some(mpid) => self.say(itch::add_attributed(stamp, order, mpid), out),
            None => self.say(itch::add(stamp, order), out),
        }
        (self.insert(instrument, order, tag, mpid), stamp.time)
    }

    /// Puts an order into the book and counts it.
    fn insert(&mut self, instrument: u32, order: &NewOrder, tag: u64, mpid: Option<[u8; 4]>) -> u32 {
        let NewOrder { order_ref, side, shares, price, .. } = *order;
        let book = &mut self.instruments[instrument as usize].book;
        let entry = Entry { instrument, order_ref, side, price, shares, tag, mpid };
        let slot = book.insert(&mut self.orders, &entry);
        self.counters.orders += 1;
        self.counters.peak_orders = self.counters.peak_orders.max(self.orders.len() as u64);
        slot
    }

    fn shares(&mut self) -> u32 {
        match self.rng.below(100) {
            0..55 => 100,
            55..75 => 100 * (1 + self.rng.below(10)),
            _ => 1 + self.rng.below(600),
        }
    }

    /// Where a participant puts a new order. `None` when even the best price left would cross.
    fn price(&mut self, instrument: u32, side: Side) -> Option<u32> {
        // Away from the touch is down for bids and up for offers.
        let away: i64 = if side == Side::Buy { -1 } else { 1 };
        let tick = i64::from(CENT);
        let Self { instruments, rng, draws, .. } = self;
        let instrument = &instruments[instrument as usize];
        let fair = i64::from(instrument.reference) + away * tick;
        let own = instrument.book.best_price(side).map_or(fair, i64::from);
        // A side that has lost touch with the value is built again where the value is.
        let base = if (own - fair).abs() > DRIFT { fair } else { own };
        let price = match rng.below(10_000) {
            0..3_400 => base,
            3_400..4_000 => base - away * tick,
            4_000..9_200 => base + away * tick * (1 + i64::from(draws.near.draw(rng))),
            9_200..9_850 => base + away * tick * (1 + i64::from(draws.deep.draw(rng))),
            // Far off: 2 to 42 per cent away.
            9_850..9_975 => (base + away * (base * i64::from(200 + rng.below(4_000)) / 10_000)) / tick * tick,
            // Stub quotes at the ends of the scale.
            _ => match side {
                Side::Buy => tick,
                Side::Sell => i64::from(MAX_PRICE),
            },
        };
        let price = price.clamp(tick, i64::from(MAX_PRICE));
        let limit = instrument.book.best_price(side.opposite()).map(i64::from);
        let price = match (side, limit) {
            (Side::Buy, Some(ask)) => price.min(ask - tick),
            (Side::Sell, Some(bid)) => price.max(bid + tick),
            (_, None) => price,
        };
        u32::try_from(price).ok().filter(|price| (CENT..=MAX_PRICE).contains(price))
    }

    /// An order for a participant to change: mostly a young one, never a client's.
    fn pick_order(&mut self, instrument: u32) -> Option<u32> {
        let list = self.instruments[instrument as usize].book.list();
        let last = list.len().checked_sub(1)?;
        for _ in 0..4 {
            let at = if self.rng.chance(80, 100) {
                last - last.min(self.draws.young.draw(&mut self.rng) as usize)
            } else {
                self.rng.index(list.len())
            };
            let slot = *list.get(at)?;
            if self.orders.get(slot).tag == 0 {
                return Some(slot);
            }
        }
        None
    }

    /// The youngest order of a participant in an instrument.
    pub(super) fn last_simulated(&self, instrument: u32) -> Option<u32> {
        let list = self.instruments[instrument as usize].book.list();
        list.iter().rev().copied().find(|slot| self.orders.get(*slot).tag == 0)
    }

    fn delete(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) {
        if let Some(slot) = self.pick_order(instrument) {
            self.delete_order(slot, out);
        }
    }

    /// Deletes an order and says so. Returns the time it was said at.
    pub(super) fn delete_order(&mut self, slot: u32, out: &mut impl FnMut(&[u8])) -> u64 {
        let order = *self.orders.get(slot);
        let stamp = self.stamp(locate(order.instrument));
        self.say(itch::deleted(stamp, order.order_ref), out);
        self.instruments[order.instrument as usize].book.remove(&mut self.orders, slot);
        stamp.time
    }

    fn cancel_part(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) {
        let Some(slot) = self.pick_order(instrument) else { return };
        let shares = self.orders.get(slot).shares;
        if shares < 2 {
            self.delete_order(slot, out);
        } else {
            let fewer = 1 + self.rng.below(shares - 1);
            self.reduce_order(slot, fewer, out);
        }
    }

    /// Makes an order smaller by less than all of it and says so. Returns the time it was said at.
    pub(super) fn reduce_order(&mut self, slot: u32, fewer: u32, out: &mut impl FnMut(&[u8])) -> u64 {
        let order = *self.orders.get(slot);
        let stamp = self.stamp(locate(order.instrument));
        self.say(itch::cancelled(stamp, order.order_ref, fewer), out);
        self.instruments[order.instrument as usize].book.reduce(&mut self.orders, slot, fewer);
        stamp.time
    }

    fn replace_order(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) {
        let Some(slot) = self.pick_order(instrument) else { return };
        let old = *self.orders.get(slot);
        let Some(price) = self.price(instrument, old.side) else { return };
        let shares = if self.rng.chance(70, 100) { old.shares } else { self.shares() };
        let order_ref = self.new_ref();
        let stock = self.instruments[instrument as usize].symbol;
        let order = NewOrder { order_ref, side: old.side, shares, stock, price };
        self.say_replaced(slot, &order, 0, out);
    }

    /// Exchanges one resting order for another, which keeps the name of the participant, and says so. Returns the
    /// new slot and the time it was said at.
    pub(super) fn say_replaced(
        &mut self,
        slot: u32,
        order: &NewOrder,
        tag: u64,
        out: &mut impl FnMut(&[u8]),
    ) -> (u32, u64) {
        let old = *self.orders.get(slot);
        let stamp = self.stamp(locate(old.instrument));
        self.say(itch::replaced(stamp, old.order_ref, order.order_ref, order.shares, order.price), out);
        self.instruments[old.instrument as usize].book.remove(&mut self.orders, slot);
        (self.insert(old.instrument, order, tag, old.mpid), stamp.time)
    }

    /// A participant's order that trades at once and of which nothing stays.
    fn trade(&mut self, instrument: u32, room: u64, out: &mut impl FnMut(&[u8])) {
        let book = &self.instruments[instrument as usize].book;
        let (bid, ask) = (book.best_price(Side::Buy), book.best_price(Side::Sell));
        let reference = self.instruments[instrument as usize].reference;
        // Buyers come when the offers are below the value, sellers when the bids are above it.
        let side = match (bid, ask) {
            (Some(bid), Some(ask)) => {
                let buyers = if bid + (ask - bid) / 2 < reference { 65 } else { 35 };
                if self.rng.chance(buyers, 100) { Side::Buy } else { Side::Sell }
            }
            (None, Some(_)) => Side::Buy,
            (Some(_), None) => Side::Sell,
            (None, None) => return,
        };
        let book = &self.instruments[instrument as usize].book;
        let Some(front) = book.front(side.opposite()) else { return };
        let (front, touch) = (self.orders.get(front).shares, self.orders.get(front).price);
        let shares = match self.rng.below(100) {
            0..65 => front,
            65..90 if front > 1 => 1 + self.rng.below(front - 1),
            _ => front + 100 * (1 + self.rng.below(10)),
        };
        let repriced = self.rng.chance(1, REPRICED);
        // Some name the price that they see, and stay there if it is not enough; the others take what they find.
        let rests = !repriced && self.rng.chance(1, 4) && self.orders.len() < self.config.max_orders as usize;
        let limit = match side {
            _ if rests => touch,
            Side::Buy => MAX_PRICE,
            Side::Sell => 0,
        };
        // Its own message, should it rest, needs room as well.
        let hits = if rests { room.saturating_sub(1) } else { room }.min(SWEEP);
        if hits == 0 {
            return;
        }
        let order_ref = if rests { self.new_ref() } else { 0 };
        let incoming = Incoming { order_ref, instrument, side, shares, limit, rests, mpid: None };
        self.submit(&incoming, Aggressor { tag: 0, hits, repriced }, out);
    }

    fn hidden_trade(&mut self, instrument: u32, out: &mut impl FnMut(&[u8])) {
        let shares = self.shares();
        let match_number = self.new_match();
        let stamp = self.stamp(locate(instrument));
        let traded = &self.instruments[instrument as usize];
        let (symbol, price) = (traded.symbol, traded.reference);
        self.say(itch::trade(stamp, shares, symbol, price, match_number), out);
        self.trades.note(Trade::anonymous(match_number, instrument));
    }
}
