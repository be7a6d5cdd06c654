//! Crosses: orders for one moment, one price for all of them.
//!
//! Interest for a cross is never displayed: it gathers while the instrument does not trade (for the close: all day),
//! takes part in one cross, and is gone. Displayed orders at least as good as the price take part too. Since a book
//! does not cross itself, those of one side at most do: they are executed by `C` messages that are not printable, best
//! price first, front first, and one `Q` says the price and all shares.

use super::matching::Execution;
use super::{Market, locate};
use crate::book::{Book, Orders};
use crate::itch::{self, Imbalance};
use crate::units::{CENT, MAX_PRICE, Side};

/// The most orders that wait for one cross of one instrument.
const INTEREST: usize = 24;
/// The most displayed levels of a side that an auction looks at.
const LEVELS: usize = 64;
/// The most displayed orders that take part in an opening or closing cross.
pub(super) const FEW: u32 = 4;
/// The same after a halt.
pub(super) const MANY: u32 = 24;

/// An order for a cross that is never displayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interest {
    side: Side,
    /// `None` at any price.
    limit: Option<u32>,
    shares: u32,
}

impl Interest {
    /// Would it trade at `price`?
    fn at(&self, price: u32) -> bool {
        self.limit.is_none_or(|limit| self.side.crosses(limit, price))
    }
}

/// What a cross would do at its best price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clearing {
    price: u32,
    /// Shares that would trade.
    paired: u64,
    /// Shares that would like to trade at that price, and find nobody.
    left: u64,
    /// Which side they are on.
    longer: Side,
}

/// Shares of `side` that would trade at `price`.
fn willing(interest: &[Interest], book: Option<&Book>, side: Side, price: u32) -> u64 {
    let hidden = interest.iter().filter(|one| one.side == side && one.at(price));
    let hidden: u64 = hidden.map(|one| u64::from(one.shares)).sum();
    let displayed: u64 = book.map_or(0, |book| {
        let levels = book.levels(side).take(LEVELS);
        levels.take_while(|level| side.crosses(level.price, price)).map(|level| level.shares).sum()
    });
    hidden + displayed
}

/// The price at which most trades; of several the one that leaves least over, then the one nearest to `reference`,
/// then the lowest. `None` when nobody finds anybody.
fn clear(interest: &[Interest], book: Option<&Book>, reference: u32) -> Option<Clearing> {
    let touch = |side| book.and_then(|book| book.best_price(side));
    let prices = interest.iter().filter_map(|one| one.limit);
    let prices = prices.chain(touch(Side::Buy)).chain(touch(Side::Sell)).chain([reference]);
    // The collar of the auction: twenty per cent to either side.
    let prices = prices.filter(|price| price.abs_diff(reference) <= reference / 5);
    let clearings = prices.map(|price| {
        let (buyers, sellers) =
            (willing(interest, book, Side::Buy, price), willing(interest, book, Side::Sell, price));
        let longer = if buyers >= sellers { Side::Buy } else { Side::Sell };
        Clearing { price, paired: buyers.min(sellers), left: buyers.abs_diff(sellers), longer }
    });
    let best = clearings.min_by_key(|clearing| {
        let Clearing { price, paired, left, .. } = *clearing;
        (std::cmp::Reverse(paired), left, price.abs_diff(reference), price)
    });
    best.filter(|clearing| clearing.paired > 0)
}

/// Displayed orders that take part in a cross, with their shares in it, and the shares of the whole cross.
fn partakers(
    interest: &[Interest],
    book: &Book,
    orders: &Orders,
    clearing: &Clearing,
    most: u32,
) -> (Vec<(u32, u32)>, u64) {
    let price = clearing.price;
    let side = [Side::Buy, Side::Sell]
        .into_iter()
        .find(|side| book.best_price(*side).is_some_and(|best| side.crosses(best, price)));
    let Some(side) = side else { return (Vec::new(), clearing.paired) };
    let mut ours: Vec<&Interest> = interest.iter().filter(|one| one.side == side && one.at(price)).collect();
    // Better first; at any price before all limits. What is displayed goes before what is not, at the same price.
    let rank = |price: u32| if side == Side::Buy { u32::MAX - price } else { price };
    ours.sort_by_key(|one| one.limit.map(rank));
    let mut hidden = ours.into_iter().peekable();
    let (mut left, mut chosen) = (clearing.paired, Vec::new());
    let displayed = book.slots(orders, side).take_while(|slot| side.crosses(orders.get(*slot).price, price));
    for slot in displayed.take(most as usize) {
        let order = orders.get(slot);
        while let Some(one) = hidden.next_if(|one| one.limit.map(rank) < Some(rank(order.price))) {
            left -= left.min(one.shares.into());
        }
        let shares = left.min(order.shares.into()) as u32;
        if shares == 0 {
            break;
        }
        left -= u64::from(shares);
        chosen.push((slot, shares));
    }
    for one in hidden {
        left -= left.min(one.shares.into());
    }
    (chosen, clearing.paired - left)
}

/// How far a price is from the reference, as NOII codes it.
fn variation(near: Option<u32>, reference: u32) -> u8 {
    let Some(near) = near else { return b' ' };
    let percent = u64::from(near.abs_diff(reference)) * 100 / u64::from(reference.max(1));
    match percent {
        0 => b'L',
        1..=9 => b'0' + percent as u8,
        10..=19 => b'A',
        20..=29 => b'B',
        _ => b'C',
    }
}

impl Market {
    /// So many more orders wait for the next cross of an instrument, if there is room for them.
    pub(super) fn gather(&mut self, instrument: u32, orders: u32) {
        for _ in 0..orders {
            let Self { instruments, rng, .. } = self;
            let instrument = &mut instruments[instrument as usize];
            if instrument.interest.len() >= INTEREST {
                return;
            }
            let side = if rng.chance(1, 2) { Side::Buy } else { Side::Sell };
            let shares = 100 * (1 + rng.below(20));
            // From 5 ticks behind the value to 5 beyond it, on either side.
            let ticks = rng.below(11) * CENT;
            let limit = (instrument.reference + ticks).saturating_sub(5 * CENT).clamp(CENT, MAX_PRICE);
            let limit = (!rng.chance(2, 5)).then_some(limit);
            instrument.interest.push(Interest { side, limit, shares });
        }
    }

    /// Says how a cross would end now.
    pub(super) fn say_imbalance(&mut self, instrument: u32, cross: u8, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &self.instruments[instrument as usize];
        let reference = instrument.reference;
        let near = clear(&instrument.interest, Some(&instrument.book), reference);
        let far = clear(&instrument.interest, None, reference);
        let direction = match near {
            None => b'O',
            Some(Clearing { left: 0, .. }) => b'N',
            Some(Clearing { longer, .. }) => longer.code(),
        };
        let near_price = near.map(|clearing| clearing.price);
        let imbalance = Imbalance {
            stock: instrument.symbol,
            paired: near.map_or(0, |clearing| clearing.paired),
            imbalance: near.map_or(0, |clearing| clearing.left),
            direction,
            far: far.map_or(0, |clearing| clearing.price),
            near: near_price.unwrap_or(0),
            reference,
            cross,
            variation: variation(near_price, reference),
        };
        self.say(itch::imbalance(stamp, &imbalance), out);
    }

    /// The cross: `most` displayed orders at most are executed, then `Q`, with no shares when nobody finds anybody.
    pub(super) fn cross(&mut self, instrument: u32, kind: u8, most: u32, out: &mut impl FnMut(&[u8])) {
        let Self { instruments, orders, .. } = self;
        let crossed = &mut instruments[instrument as usize];
        let interest = std::mem::take(&mut crossed.interest);
        let clearing = clear(&interest, Some(&crossed.book), crossed.reference);
        let (chosen, shares) = clearing.map_or_else(Default::default, |clearing| {
            partakers(&interest, &crossed.book, orders, &clearing, most)
        });
        if let Some(clearing) = clearing {
            crossed.reference = clearing.price.clamp(crossed.bounds.0, crossed.bounds.1);
        }
        let price = clearing.map_or(crossed.reference, |clearing| clearing.price);
        let partial = chosen.iter().any(|(_, shares)| *shares > 0);
        for (slot, shares) in chosen {
            let how = Execution { price: Some(price), printable: false, taker: 0 };
            self.execute(slot, shares, how, out);
        }
        let match_number = self.new_match();
        let stamp = self.stamp(locate(instrument));
        let symbol = self.instruments[instrument as usize].symbol;
        self.say(itch::cross(stamp, shares, symbol, price, match_number, kind), out);
        self.counters.crosses += 1;
        // One that clients may have had a part in stands: only single executions of theirs are broken.
        if !partial && shares > 0 {
            self.trades.note(super::trades::Trade::anonymous(match_number, instrument));
        }
    }
}

#[cfg(test)]
mod tests;
