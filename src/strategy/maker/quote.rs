//! One quote of the maker: its price, its order at the venue, and the order's place in the queue.

use super::MakerParams;
use crate::blotter::{OrderEventKind, OrderState};
use crate::book::Books;
use crate::market::{Price, Side};
use crate::strategy::features::{OwnPlace, Step};
use crate::strategy::{Intent, OrderUpdate};

/// Fair prices are in 1/10,000 × 2^-16.
const FRACTION: u32 = 16;

/// Steps that prices come in, 1/10,000: a cent, and 1/100 of one below a dollar (Regulation NMS, rule 612).
const fn tick(price: u32) -> u32 {
    if price < Price::ONE { 1 } else { 100 }
}

/// How many ticks lie between two prices.
pub(super) const fn ticks(a: Price, b: Price) -> u32 {
    a.0.abs_diff(b.0).div_ceil(tick(a.0))
}

/// Where to quote: bid and offer. `best` are the best bid and offer of the book, which are not locked or crossed.
pub(super) fn wanted(
    params: &MakerParams,
    fair: u64,
    position: i64,
    best: (Price, Price),
) -> [Option<Price>; 2] {
    let scaled = |value: i128| value << FRACTION;
    let lots =
        scaled(i128::from(params.skew) * i128::from(position)) / i128::from(params.order_shares.max(1));
    let centre = i128::from(fair) - lots;
    let edge = scaled(i128::from(params.edge));
    let (Price(best_bid), Price(best_ask)) = best;
    let step = tick(best_bid);
    let unit = scaled(i128::from(step));
    let floor = |value: i128| value.div_euclid(unit) * i128::from(step);
    let bid = floor(centre - edge).min(i128::from(best_ask) - i128::from(step));
    // Rounded up, and never where our own bid would meet it.
    let ask = -floor(-(centre + edge));
    let ask = ask.max(i128::from(best_bid) + i128::from(step)).max(bid + i128::from(step));
    let far = i128::from(params.max_spread);
    let bid_is_near = bid >= i128::from(best_bid) - far;
    let ask_is_near = ask <= i128::from(best_ask) + far;
    let price = |value: i128| u32::try_from(value).ok().filter(|price| *price > 0).map(Price);
    [price(bid).filter(|_| bid_is_near), price(ask).filter(|_| ask_is_near)]
}

/// Where the order of a quote stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    #[default]
    None,
    /// Sent as `order` at `since` (ns), and unanswered; a replacement takes the place of `was`.
    Unanswered { order: u32, was: u32, since: u64 },
    /// At the venue, nothing unanswered.
    Resting { order: u32, shares: u32, price: Price },
}

impl Phase {
    /// Is the update about this order?
    pub(super) const fn concerns(self, update: &OrderUpdate) -> bool {
        match self {
            Self::None => false,
            Self::Unanswered { order, was, .. } => update.is_about(order) || update.is_about(was),
            Self::Resting { order, .. } => update.is_about(order),
        }
    }
}

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quote {
    pub(super) phase: Phase,
    /// Lowest and highest price at which something of it may trade; `None`: nothing may.
    range: Option<(Price, Price)>,
    /// No new order and no replacement before this time, ns.
    pub(super) quiet_until: u64,
    /// Orders and replacements refused in a row.
    pub(super) refusals: u8,
    /// A replacement was refused: the order is to be cancelled.
    pub(super) refused: bool,
    /// The order's reference in the feed; 0 if not known.
    order_ref: u64,
    /// Whether the order may be in the book without its having been looked for.
    look: bool,
    /// Its place in the queue, while it is in the book.
    place: Option<OwnPlace>,
}

impl Quote {
    /// May it trade with an order on `side` at `price`, which is the opposite one?
    pub(super) fn meets(&self, side: Side, price: Price) -> bool {
        self.range.is_some_and(|(low, high)| match side {
            Side::Buy => price >= low,
            Side::Sell => price <= high,
        })
    }

    /// At most a quarter of its level is ahead of it.
    pub(super) fn has_good_place(&self) -> bool {
        self.place.is_some_and(|place| place.ahead().shares_ahead.saturating_mul(4) <= place.level().shares)
    }

    /// No more is ahead of it than `shares`, its own.
    pub(super) fn is_next(&self, shares: u32) -> bool {
        self.place.is_some_and(|place| place.ahead().shares_ahead <= u64::from(shares))
    }

    /// Takes up what an event did to its place.
    #[inline]
    pub(super) fn on_step(&mut self, books: &Books, step: &Step) {
        match &mut self.place {
            Some(place) => {
                if !place.on_step(books, step) {
                    self.place = None;
                }
            }
            None => {
                let joins = step.joined.is_some_and(|joined| joined.order_ref == self.order_ref);
                if self.order_ref != 0 && (joins || self.look) {
                    self.look_anew(books);
                }
            }
        }
    }

    /// Looks for its order in a book that was made anew, or that it may be in by now.
    pub(super) fn look_anew(&mut self, books: &Books) {
        self.look = false;
        self.place = if self.order_ref == 0 { None } else { OwnPlace::find(books, self.order_ref) };
    }

    /// A price is on its way to the venue.
    pub(super) fn want(&mut self, intent: &Intent) {
        if let Intent::Enter { price, .. } | Intent::Replace { price, .. } = *intent {
            let (low, high) = self.range.unwrap_or((price, price));
            self.range = Some((low.min(price), high.max(price)));
        }
    }

    /// Is an intent about this quote, which is on `side`?
    pub(super) fn is_meant_by(&self, intent: &Intent, side: Side) -> bool {
        match *intent {
            Intent::Enter { side: of, .. } => of == side,
            Intent::Replace { order, .. } | Intent::Cancel { order, .. } => match self.phase {
                Phase::None => false,
                Phase::Unanswered { order: own, was, .. } => order == own || order == was,
                Phase::Resting { order: own, .. } => order == own,
            },
        }
    }

    /// An intent of its own left.
    pub(super) fn on_sent(&mut self, intent: &Intent, user_ref_num: u32, now_ns: u64) {
        self.refused = false;
        self.phase = match (*intent, self.phase) {
            // A cancel because of a missing reply: what is missing is still the same.
            (Intent::Cancel { .. }, phase @ Phase::Unanswered { .. }) => phase,
            (Intent::Enter { .. }, _) => {
                Phase::Unanswered { order: user_ref_num, was: user_ref_num, since: now_ns }
            }
            (Intent::Replace { order: was, .. }, _) => {
                Phase::Unanswered { order: user_ref_num, was, since: now_ns }
            }
            (Intent::Cancel { order, .. }, _) => Phase::Unanswered { order, was: order, since: now_ns },
        };
    }

    /// An intent of its own did not leave.
    pub(super) fn on_unsent(&mut self, intent: &Intent) {
        self.refused |= matches!(intent, Intent::Replace { .. });
        if !matches!(intent, Intent::Cancel { .. }) {
            self.refusals = self.refusals.saturating_add(1);
        }
        match self.phase {
            Phase::None => self.range = None,
            Phase::Resting { price, .. } => self.range = Some((price, price)),
            Phase::Unanswered { .. } => {}
        }
    }

    /// The orders to cancel where a reply has been missing for `reply_ns`; the wait begins anew.
    pub(super) fn overdue(&mut self, now_ns: u64, reply_ns: u64) -> Option<[Option<u32>; 2]> {
        match &mut self.phase {
            Phase::Unanswered { order, was, since } if now_ns.saturating_sub(*since) >= reply_ns => {
                *since = now_ns;
                Some([Some(*order), (*was != *order).then_some(*was)])
            }
            _ => None,
        }
    }

    /// Its order changed; true where it has ended.
    pub(super) fn on_order(&mut self, update: &OrderUpdate, now_ns: u64) -> bool {
        match update.event.kind {
            OrderEventKind::Accepted { .. } | OrderEventKind::Replaced { .. } => self.refusals = 0,
            OrderEventKind::Rejected { .. } => self.refusals = self.refusals.saturating_add(1),
            _ => {}
        }
        match update.event.kind {
            OrderEventKind::Accepted { order_ref, .. }
            | OrderEventKind::Replaced { order_ref, .. }
            | OrderEventKind::PriorityUpdate { order_ref, .. } => {
                (self.order_ref, self.place, self.look) = (order_ref, None, true);
            }
            _ => {}
        }
        match update.state {
            OrderState::Open { order, pending: true, .. } => {
                if !matches!(self.phase, Phase::Unanswered { .. }) {
                    // Somebody else asked: the loop cancels orders of books in doubt.
                    self.phase = Phase::Unanswered { order, was: order, since: now_ns };
                }
                false
            }
            OrderState::Open { order, shares, price, pending: false } => {
                self.phase = Phase::Resting { order, shares, price };
                self.range = Some((price, price));
                false
            }
            OrderState::Closed => {
                let Self { quiet_until, refusals, .. } = *self;
                *self = Self { quiet_until, refusals, ..Self::default() };
                true
            }
            OrderState::Unaffected => false,
        }
    }
}
