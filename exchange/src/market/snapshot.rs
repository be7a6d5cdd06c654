//! The market as GLIMPSE tells it to somebody who comes late, and the next day.

use super::{Market, Phase, locate};
use crate::itch::{self, NewOrder, Stamp};
use crate::units::Side;

impl Market {
    /// Says the market as it stands, as a GLIMPSE snapshot without its last message (`G`, which names the sequence to
    /// go on from): the last system event; the directory; of each instrument named there the trading state if one
    /// was said, the short-sale restriction, the retail interest if there is any, and the operational halt if it is
    /// on; then every resting order, bids before offers, best price first, each queue from its front.
    ///
    /// It says nothing on the feed and changes nothing. All stamps are those of [`Market::time`].
    pub fn snapshot(&self, out: &mut impl FnMut(&[u8])) {
        let stamp = |locate| Stamp { locate, tracking: 0, time: self.time };
        let Some(event) = self.last_event else { return };
        out(&itch::system_event(stamp(0), event));
        let named = || {
            self.instruments
                .iter()
                .zip(0u32..)
                .filter(|(instrument, _)| instrument.named)
                .map(move |(instrument, index)| (instrument, stamp(locate(index)), instrument.symbol))
        };
        for (instrument, stamp, _) in named() {
            out(&itch::directory(stamp, &instrument.listing()));
        }
        for (instrument, stamp, symbol) in named() {
            match instrument.state {
                // The breaker has tripped; the feed has not told it of this one yet.
                Some(b'T') if self.agenda.holds_all() => {
                    out(&itch::trading_action(stamp, symbol, b'H', *b"MWC1"));
                }
                Some(state) => out(&itch::trading_action(stamp, symbol, state, instrument.reason)),
                None => {}
            }
        }
        for (instrument, stamp, symbol) in named() {
            if let Some(action) = instrument.reg_sho {
                out(&itch::reg_sho(stamp, symbol, action));
            }
        }
        for (instrument, stamp, symbol) in named() {
            if instrument.retail != b'N' {
                out(&itch::retail_interest(stamp, symbol, instrument.retail));
            }
        }
        for (instrument, stamp, symbol) in named() {
            if instrument.operational_halt {
                out(&itch::operational_halt(stamp, symbol, b'Q', b'H'));
            }
        }
        for (instrument, stamp, symbol) in named() {
            let book = &instrument.book;
            for side in [Side::Buy, Side::Sell] {
                for order in book.levels(side).flat_map(|level| book.queue(&self.orders, level)) {
                    let (order_ref, shares, price) = (order.order_ref, order.shares, order.price);
                    let new = NewOrder { order_ref, side, shares, stock: symbol, price };
                    match order.mpid {
                        Some(mpid) => out(&itch::add_attributed(stamp, &new, mpid)),
                        None => out(&itch::add(stamp, &new)),
                    }
                }
            }
        }
    }

    /// Begins the next day: before its first message, with the same instruments under other locate codes, empty books,
    /// and order references, match numbers and time from their beginning. Returns the tags of the clients' orders
    /// that rested, in no order: they are gone, and nothing else tells. Fills that nobody took yet are kept.
    pub fn roll(&mut self) -> Vec<u64> {
        let gone = self
            .instruments
            .iter()
            .flat_map(|instrument| instrument.book.list())
            .map(|slot| self.orders.get(*slot).tag)
            .filter(|tag| *tag != 0)
            .collect();
        let (fills, counters) = (std::mem::take(&mut self.fills), self.counters);
        *self = Self::on_day(self.config, self.day + 1);
        self.fills = fills;
        self.counters = super::MarketCounters { messages: 0, ..counters };
        debug_assert_eq!(self.phase, Phase::Opening(0));
        gone
    }
}
