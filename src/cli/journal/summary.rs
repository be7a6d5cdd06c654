//! A journal in numbers: how often what happened, and what became of each instrument.

use std::collections::BTreeMap;

use crate::cli::tables::{columns, grouped};
use crate::journal::{Action, Kind, Record};
use crate::market::{Side, Symbol};

/// What became of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traded {
    /// Orders that were handed to the wire: entries and replacements.
    pub(super) sent: u64,
    /// Shares bought, broken trades taken back.
    pub(super) bought: i128,
    /// Shares sold, likewise.
    pub(super) sold: i128,
    /// Price × shares of both, in 1/10,000.
    pub(super) value: i128,
}

/// An execution: instrument, side, shares, price.
type Fill = (Symbol, Side, u32, u32);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// By kind, action and reason.
    pub(super) counts: BTreeMap<(u8, u8, String), u64>,
    /// By ticker.
    pub(super) instruments: BTreeMap<Symbol, Traded>,
    /// Side and ticker of every order, by worker and number.
    orders: BTreeMap<(u16, u32), (Side, Symbol)>,
    /// What every match moved: worker, order and match.
    matches: BTreeMap<(u16, u32, u64), Fill>,
}

impl Summary {
    pub(super) fn count(&mut self, record: &Record) {
        let reason = match record.kind {
            Kind::Refused | Kind::Unsent | Kind::Killed => record.reason(),
            _ => String::new(),
        };
        *self.counts.entry((record.kind as u8, record.action as u8, reason)).or_default() += 1;
        let key = (record.worker, record.order);
        match (record.kind, record.action) {
            (Kind::Cleared, Action::Enter) | (Kind::Event, Action::Adopted) => {
                self.orders.insert(key, (record.side(), record.symbol));
            }
            // Of a process before this one, the venue tells of the replacement only.
            (Kind::Cleared, Action::Replace) | (Kind::Event, Action::Replaced) => {
                if let Some(order) = self.orders.get(&(record.worker, record.other)).copied() {
                    self.orders.insert(key, order);
                }
            }
            (Kind::Sent, Action::Enter | Action::Replace) => {
                self.instruments.entry(record.symbol).or_default().sent += 1;
            }
            (Kind::Event, Action::Executed) => {
                // The record of a fill names no ticker before the feed has.
                let (side, symbol) = self.orders.get(&key).copied().unwrap_or((Side::Buy, record.symbol));
                let fill = (symbol, side, record.shares, record.price.0);
                // The same match of the same order again is the same trade.
                if self.matches.insert((record.worker, record.order, record.number), fill).is_none() {
                    self.trade(fill, 1);
                }
            }
            (Kind::Event, Action::Broken) => {
                if let Some(fill) = self.matches.remove(&(record.worker, record.order, record.number)) {
                    self.trade(fill, -1);
                }
            }
            _ => {}
        }
    }

    fn trade(&mut self, (symbol, side, shares, price): Fill, sign: i128) {
        let traded = self.instruments.entry(symbol).or_default();
        let shares = i128::from(shares) * sign;
        *(if side == Side::Buy { &mut traded.bought } else { &mut traded.sold }) += shares;
        traded.value += shares * i128::from(price);
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (String, u64)> {
        self.counts.iter().map(|((kind, action, reason), count)| {
            let words = [
                Kind::of(*kind).map_or("", Kind::word),
                Action::of(*action).map_or("", Action::word),
                reason.as_str(),
            ];
            let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
            (words.join(", "), *count)
        })
    }

    pub(super) fn text(&self) -> String {
        let rows: Vec<_> = self.rows().map(|(what, count)| vec![what, grouped(count)]).collect();
        let mut text = columns(&rows);
        let head = ["symbol", "orders sent", "bought", "sold", "net", "value"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for (symbol, Traded { sent, bought, sold, value }) in &self.instruments {
            let value = format!("{}.{:02}", value / 10_000, value % 10_000 / 100);
            let net = bought - sold;
            rows.push(vec![
                symbol.to_string(),
                grouped(*sent),
                bought.to_string(),
                sold.to_string(),
                net.to_string(),
                value,
            ]);
        }
        if rows.len() > 1 {
            text.push('\n');
            text.push_str(&columns(&rows));
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blotter::{OrderEvent, OrderEventKind, TimeInForce};
    use crate::market::Price;

    #[test]
    fn fills_of_orders_before_this_process_go_to_their_ticker_and_side() {
        let symbol = Symbol::new("ABCD").unwrap();
        let (shares, price, order_ref, live) = (100, Price(1_000), 7, true);
        let (side, short, time_in_force) = (Side::Sell, false, TimeInForce::Day);
        let adopted =
            OrderEventKind::Adopted { symbol, side, short, time_in_force, shares, price, order_ref, live };
        let executed =
            |shares, match_number| OrderEventKind::Executed { shares, price, match_number, liquidity: b'A' };
        let replaced = OrderEventKind::Replaced { original: 5, shares: 70, price, order_ref: 8, live };
        let mut summary = Summary::default();
        for (user_ref_num, kind) in [
            (5, adopted),
            (5, executed(30, 1)),
            (6, replaced),
            (6, executed(20, 2)),
            // Said again.
            (6, executed(20, 2)),
            (6, executed(1, 3)),
            (6, OrderEventKind::Broken { match_number: 3, reason: b'E' }),
        ] {
            summary.count(&Record::of_event(&OrderEvent { user_ref_num, timestamp: 0, kind }, 0));
        }
        let traded = summary.instruments.into_iter().collect::<Vec<_>>();
        assert_eq!(traded, [(symbol, Traded { sent: 0, bought: 0, sold: 50, value: 50_000 })]);
    }
}
