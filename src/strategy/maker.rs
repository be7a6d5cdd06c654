//! A passive market maker: one order on each side of every instrument, around the microprice.
//!
//! # Prices
//! Fair is the microprice, less [`MakerParams::skew`] for each `order_shares` held (so that what is held is offered sooner than
//! more of it is bought). The bid is to be at most `fair − edge`, the offer at least `fair + edge`, rounded away from each
//! other to ticks, and never at or beyond the opposite touch. All of it is integers, fair in 1/10,000 × 2^-16. There is no
//! quote where a side of the book is empty, where the spread, or the way back from the own best to the quote, is more than
//! [`MakerParams::max_spread`], or where the position would pass [`MakerParams::max_position`], open shares counted as traded.
//!
//! # When an order moves
//! Moving gives the place in the queue away, so an order with a *good place* (at most a quarter of its level's shares ahead of
//! it) stays where it is while the wanted price is within [`MakerParams::keep_ticks`], unless the queues have turned against
//! it. Else it is replaced, in one message, as soon as the wanted price is another.
//!
//! The queues have *turned* against a side where the best three levels lean the other way by [`MakerParams::turn`] or more.
//! Then nothing is entered there, and an order that is next to trade (no more shares ahead than its own) is cancelled: whoever
//! trades against it then knows better. One that is deep in its queue stays, because the queues may turn back.
//!
//! # Orders
//! An order with anything unanswered is never touched, with one exception: a reply that did not come within
//! [`MakerParams::reply_ns`] has it cancelled, again and again until one comes. A replacement that was refused has the order
//! cancelled, and entered anew; each refusal in a row, by risk or by the venue, doubles the rest before the next order. Positions are those of the venue's replies.

use std::collections::TryReserveError;

use super::features::{FeatureState, Features, Step};
use super::lean::rest;
use super::{Intent, Intents, MarketView, Marks, OrderUpdate, Strategy, StrategyCounters, TimeInForce};
use crate::blotter::OrderState;
use crate::book::Books;
use crate::market::{Price, Side, Symbol};

mod quote;

use quote::{Phase, Quote};

/// Instruments whose replies are looked for in one call of the timer: with it called each 20 µs, 1,000 are seen to in 1.3 ms.
const LOOKED_AT: usize = 16;

const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

/// What the maker is told once.
#[derive(Clone, Copy, Debug)]
pub struct MakerParams {
    /// Shares of each quote, at least 1.
    pub order_shares: u32,
    /// Least distance of a quote from fair, 1/10,000.
    pub edge: u32,
    /// What fair moves by for each `order_shares` held, against the position, 1/10,000.
    pub skew: u32,
    /// Largest position that is quoted for, either way, shares.
    pub max_position: u32,
    /// Widest spread that it quotes in, and farthest behind the own best that it quotes, 1/10,000.
    pub max_spread: u32,
    /// Ticks that an order with a good place may be off its wanted price.
    pub keep_ticks: u32,
    /// Lean of the best three levels from which it is against one side, in parts per 10,000, `1 ..= 10_000`.
    pub turn: i32,
    /// Least time between two entries or replacements on one side of an instrument, ns.
    pub cooldown_ns: u64,
    /// How long a reply may take, ns.
    pub reply_ns: u64,
    /// Most instruments that are quoted.
    pub instruments: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Instrument {
    enabled: bool,
    /// Shares held; below 0 where sold short.
    position: i64,
    /// Bid, offer.
    quotes: [Quote; 2],
}

/// What one decision about an instrument looks at.
struct Scene<'a> {
    view: &'a MarketView,
    /// Wanted prices, bid and offer; `None`: no quote.
    wanted: [Option<Price>; 2],
    /// The queues have turned against this side.
    turned: [bool; 2],
}

impl<'a> Scene<'a> {
    /// Not inlined: rehearsals run the same code.
    #[inline(never)]
    fn of(params: &MakerParams, state: Option<&FeatureState>, view: &'a MarketView, position: i64) -> Self {
        let closed = Self { view, wanted: [None; 2], turned: [false; 2] };
        let (Some(bid), Some(ask), Some(state)) = (view.top.bid, view.top.ask, state) else { return closed };
        let spread = ask.price.0.saturating_sub(bid.price.0);
        let (Some(fair), Some(lean)) = (state.microprice(), state.lean_of_three()) else { return closed };
        if !view.tradable() || spread == 0 || spread > params.max_spread {
            return closed;
        }
        let wanted = quote::wanted(params, fair, position, (bid.price, ask.price));
        Self { view, wanted, turned: [lean <= -params.turn, lean >= params.turn] }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Maker {
    params: MakerParams,
    features: Features,
    instruments: Box<[Instrument]>,
    /// Locates of those that are enabled.
    enabled: Vec<u16>,
    /// The next place in `enabled` that is looked at.
    looked: usize,
    /// Latest local time, ns.
    now_ns: u64,
    counters: StrategyCounters,
}

impl Maker {
    /// For locates `0 .. locates`; others are ignored.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(params: MakerParams, locates: u32) -> Result<Self, TryReserveError> {
        let mut enabled = Vec::new();
        enabled.try_reserve_exact(locates as usize)?;
        Ok(Self {
            params,
            features: Features::new(locates, params.instruments)?,
            instruments: vec![Instrument::default(); locates as usize].into_boxed_slice(),
            enabled,
            looked: 0,
            now_ns: 0,
            counters: StrategyCounters::default(),
        })
    }

    /// Prices to quote at, and where the queues lean. Where the features are not those of the book, nothing is wanted.
    fn scene<'a>(&mut self, view: &'a MarketView, position: i64) -> Scene<'a> {
        let Self { features, params, .. } = self;
        let state = view.top.bid.zip(view.top.ask).and_then(|_| features.checked(view.locate, &view.top));
        Scene::of(params, state, view, position)
    }

    /// Shares that may be open on `side`.
    fn room(&self, side: Side, position: i64) -> u32 {
        let held = if side == Side::Buy { position } else { position.saturating_neg() };
        let room = i64::from(self.params.max_position).saturating_sub(held);
        u32::try_from(room.max(0)).unwrap_or(u32::MAX).min(self.params.order_shares)
    }

    /// What to do about one side; `other` is the order on the opposite one.
    fn wish(
        &mut self,
        scene: &Scene<'_>,
        side: Side,
        position: i64,
        quote: &Quote,
        other: &Quote,
    ) -> Option<Intent> {
        let locate = scene.view.locate;
        let room = self.room(side, position);
        let wanted = scene.wanted[side as usize].filter(|_| room > 0);
        let turned = scene.turned[side as usize];
        let quiet = scene.view.now_ns < quote.quiet_until;
        match quote.phase {
            Phase::Unanswered { .. } => None,
            Phase::None => {
                let price = wanted.filter(|price| !turned && !quiet && !other.meets(side, *price))?;
                let time_in_force = TimeInForce::Day;
                Some(Intent::Enter { locate, side, shares: room, price, time_in_force })
            }
            Phase::Resting { order, shares, price } => {
                let cancel = Some(Intent::Cancel { locate, order });
                let Some(wanted) = wanted.filter(|_| !quote.refused) else { return cancel };
                if turned && quote.is_next(shares) {
                    self.counters.turned += 1;
                    return cancel;
                }
                let off = quote::ticks(price, wanted);
                let keeps = if quote.has_good_place() && !turned { self.params.keep_ticks } else { 0 };
                if off <= keeps && shares <= room {
                    self.counters.kept_place += u64::from(off > 0);
                    return None;
                }
                // Never against an own order: what may trade there has to go first.
                if other.meets(side, wanted) {
                    return if shares > room { cancel } else { None };
                }
                // A size that is too large cannot wait.
                if quiet && shares <= room {
                    return None;
                }
                Some(Intent::Replace { locate, order, shares: room, price: wanted })
            }
        }
    }
}

impl Strategy for Maker {
    const FOLLOWS: bool = true;

    fn on_session(&mut self) {
        self.features.forget_all();
        self.instruments.fill(Instrument::default());
        self.enabled.clear();
        self.looked = 0;
    }

    fn on_instrument(&mut self, locate: u16, _symbol: Symbol) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate))
            && !instrument.enabled
        {
            instrument.enabled = true;
            // Each locate is in it once, and there is room for all.
            self.enabled.push(locate);
        }
    }

    fn on_rebuilt(&mut self, books: &Books, locate: u16) {
        self.features.rebuilt(books, locate);
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.quotes.iter_mut().for_each(|quote| quote.look_anew(books));
        }
    }

    #[inline]
    fn on_coming(&self, locate: u16) {
        self.features.prefetch(locate);
    }

    #[inline]
    fn on_step(&mut self, books: &Books, step: &Step) {
        self.features.on_step(books, step);
        if let Some(instrument) = self.instruments.get_mut(usize::from(step.locate)) {
            instrument.quotes.iter_mut().for_each(|quote| quote.on_step(books, step));
        }
    }

    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        self.on_top_in_parts(view, out, &mut ());
    }

    fn on_top_in_parts(&mut self, view: &MarketView, out: &mut Intents, marks: &mut impl Marks) {
        self.now_ns = view.now_ns;
        let at = usize::from(view.locate);
        let Some(&Instrument { enabled: true, position, mut quotes }) = self.instruments.get(at) else {
            return;
        };
        self.counters.tops += 1;
        let scene = self.scene(view, position);
        marks.featured();
        for side in SIDES {
            let (quote, other) = (&quotes[side as usize], &quotes[side.opposite() as usize]);
            let Some(intent) = self.wish(&scene, side, position, quote, other) else { continue };
            if !out.push(intent) {
                continue;
            }
            self.counters.want(&intent);
            let quote = &mut quotes[side as usize];
            quote.want(&intent);
            if !matches!(intent, Intent::Cancel { .. }) {
                let rest = rest(self.params.cooldown_ns, quote.refusals);
                quote.quiet_until = view.now_ns.saturating_add(rest);
            }
        }
        if let Some(instrument) = self.instruments.get_mut(at) {
            instrument.quotes = quotes;
        }
    }

    fn on_timer(&mut self, now_ns: u64, out: &mut Intents) {
        self.now_ns = now_ns;
        for _ in 0..LOOKED_AT.min(self.enabled.len()) {
            self.looked = if self.looked + 1 < self.enabled.len() { self.looked + 1 } else { 0 };
            let Some(&locate) = self.enabled.get(self.looked) else { return };
            let Some(instrument) = self.instruments.get_mut(usize::from(locate)) else { continue };
            for quote in &mut instrument.quotes {
                let Some(orders) = quote.overdue(now_ns, self.params.reply_ns) else { continue };
                self.counters.timeouts += 1;
                for order in orders.into_iter().flatten() {
                    let intent = Intent::Cancel { locate, order };
                    if out.push(intent) {
                        self.counters.want(&intent);
                    }
                }
            }
        }
    }

    fn rehearse(&self, view: &MarketView) -> Option<Intent> {
        let Instrument { enabled, position, .. } = *self.instruments.get(usize::from(view.locate))?;
        let scene = Scene::of(&self.params, self.features.state(view.locate), view, position);
        let shares = self.room(Side::Buy, position);
        let price = scene.wanted[Side::Buy as usize].filter(|_| enabled && shares > 0)?;
        let (locate, side, time_in_force) = (view.locate, Side::Buy, TimeInForce::Day);
        Some(Intent::Enter { locate, side, shares, price, time_in_force })
    }

    fn on_order(&mut self, update: &OrderUpdate, _out: &mut Intents) {
        let Some(instrument) = self.instruments.get_mut(usize::from(update.locate)) else { return };
        instrument.position = update.position;
        if update.state == OrderState::Unaffected {
            return;
        }
        let quote = &mut instrument.quotes[update.side as usize];
        if !quote.phase.concerns(update) {
            self.counters.strangers += 1;
            return;
        }
        self.counters.closed += u64::from(quote.on_order(update, self.now_ns));
    }

    fn on_position(&mut self, locate: u16, position: i64) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.position = position;
        }
    }

    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        let now_ns = self.now_ns;
        let Some(instrument) = self.instruments.get_mut(usize::from(intent.locate())) else { return };
        for (quote, side) in instrument.quotes.iter_mut().zip(SIDES) {
            if quote.is_meant_by(intent, side) {
                quote.on_sent(intent, user_ref_num, now_ns);
            }
        }
    }

    fn on_unsent(&mut self, intent: &Intent) {
        self.counters.unsent += 1;
        let Some(instrument) = self.instruments.get_mut(usize::from(intent.locate())) else { return };
        for (quote, side) in instrument.quotes.iter_mut().zip(SIDES) {
            if quote.is_meant_by(intent, side) {
                quote.on_unsent(intent);
            }
        }
    }

    fn counters(&self) -> StrategyCounters {
        self.counters.with_features(self.features.counters())
    }
}

#[cfg(test)]
mod tests;
