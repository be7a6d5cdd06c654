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
    /// The side of every order.
    sides: BTreeMap<(u16, u32), Side>,
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
                self.sides.insert(key, record.side());
            }
            (Kind::Cleared, Action::Replace) => {
                if let Some(side) = self.sides.get(&(record.worker, record.other)).copied() {
                    self.sides.insert(key, side);
                }
            }
            (Kind::Sent, Action::Enter | Action::Replace) => {
                self.instruments.entry(record.symbol).or_default().sent += 1;
            }
            (Kind::Event, Action::Executed) => {
                let side = self.sides.get(&key).copied().unwrap_or(Side::Buy);
                let fill = (record.symbol, side, record.shares, record.price.0);
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
