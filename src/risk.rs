//! Pre-trade risk: what may leave, and what may come of what has left.
//!
//! [`Risk::check`] turns an [`Intent`] into a [`Cleared`] request or a [`Refusal`]; only it can make a `Cleared`, and a
//! session sends nothing else. Every gate is closed at first: disarmed, no healthy session, no instrument announced,
//! all limits zero. A check takes constant time, allocates nothing and cannot panic; a refusal changes nothing but its
//! counter.
//!
//! # What is checked, in this order
//! not killed · armed · journal open · positions certain · session healthy · instrument known, not restricted, the one in the
//! view · book live · trading · hours · shares and price sane · order size · order value · collar · (replacement: order known, nothing unanswered,
//! short mark) · position · gross exposure · open orders · repeated order · port rate · symbol rate · a number left.
//!
//! # Cancels
//! A cancel takes risk away. It passes whenever the order is known: killed, disarmed, unjournalled, stale, halted, unhealthy or over every
//! limit. It uses up the rates and is not refused by them.
//!
//! # Worst case
//! What is cleared counts at once, as if all of it could trade and none of it cancel: see [`Blotter`]. Whoever cannot
//! send a cleared request must [`Risk::release`] it.

use crate::blotter::table::{Key, RecentTable, mix};
use crate::blotter::{Blotter, BlotterLimits, NewOrder, OpenOrder, OrderEvent, OrderUpdate, TimeInForce};
use crate::market::{BookState, Price, Side, Symbol, TradingState};
use crate::prefetch;
use crate::strategy::{Intent, MarketView};

mod cleared;
mod collar;
mod limits;
mod rate;
mod refusal;

pub use cleared::{Cleared, Rehearsal, Request};
pub use limits::{HIGHEST_PRICE, LimitsError, MOST_SHARES, RiskLimits};
pub use rate::Rate;
pub use refusal::{Refusal, RiskCounters};

use rate::{Bucket, FullAt};

/// What makes a new order the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    locate: u16,
    side: Side,
    shares: u32,
    price: Price,
}

impl Key for Likeness {
    fn hash(self) -> u64 {
        let instrument = u64::from(self.locate) << 1 | self.side as u64;
        mix(instrument ^ mix(u64::from(self.shares) << 32 | u64::from(self.price.0)))
    }
}

/// What risk keeps of an instrument, beside its [holding](crate::blotter::Holding).
#[derive(Clone, Copy, Debug, Default)]
struct Instrument {
    /// Announced in this session.
    known: bool,
    restricted: bool,
    symbol: Option<Symbol>,
    reference: Option<Price>,
    rate: FullAt,
}

/// See the module.
#[derive(Debug)]
pub struct Risk {
    armed: bool,
    killed: bool,
    session_healthy: bool,
    journal_open: bool,
    limits: RiskLimits,
    port: Bucket,
    symbol: Bucket,
    port_rate: FullAt,
    instruments: Box<[Instrument]>,
    /// New orders cleared lately, and when.
    recent: RecentTable<Likeness, u64>,
    blotter: Blotter,
    /// The next `user_ref_num`; above `u32::MAX` none is left.
    next_ref: u64,
    /// What was cleared last and is not noted yet.
    owed: Option<Owed>,
    counters: RiskCounters,
}

/// A new order that was cleared and counts, but stands nowhere yet: see [`Risk::clear`].
#[derive(Clone, Copy, Debug)]
struct Owed {
    user_ref_num: u32,
    order: NewOrder,
    now_ns: u64,
}

impl Owed {
    fn value(&self) -> u128 {
        value(self.order.shares, self.order.price).into()
    }
}

/// What an order or replacement asks for, in the terms that both share.
struct Ask {
    locate: u16,
    side: Side,
    shares: u32,
    price: Price,
}

impl Ask {
    const fn likeness(&self) -> Likeness {
        let Self { locate, side, shares, price } = *self;
        Likeness { locate, side, shares, price }
    }
}

/// What is known of a new order that may leave, beside what was asked for.
struct Enterable {
    symbol: Symbol,
    short: bool,
    user_ref_num: u32,
}

impl Risk {
    /// For locates `0 .. locates`. Reserves and touches all memory; disarmed.
    ///
    /// # Errors
    /// A limit outside its range.
    pub fn new(limits: RiskLimits, locates: u32) -> Result<Self, LimitsError> {
        let remembered = limits.check(locates)?;
        let orders = limits.max_open_orders;
        let fills = limits.fills_remembered;
        Ok(Self {
            armed: false,
            killed: false,
            session_healthy: false,
            journal_open: true,
            port: Bucket::new(limits.port_rate),
            symbol: Bucket::new(limits.symbol_rate),
            port_rate: 0,
            instruments: vec![Instrument::default(); locates as usize].into_boxed_slice(),
            recent: RecentTable::new(remembered),
            blotter: Blotter::new(BlotterLimits { locates, orders, fills }),
            next_ref: 1,
            owed: None,
            limits,
            counters: RiskCounters::default(),
        })
    }

    /// Lets orders leave.
    pub const fn arm(&mut self) {
        self.armed = true;
    }

    /// Lets nothing but cancels leave.
    pub const fn disarm(&mut self) {
        self.armed = false;
    }

    /// Lets nothing but cancels leave, for as long as this lives.
    pub const fn kill(&mut self) {
        self.killed = true;
    }

    /// True since [`Risk::kill`].
    #[must_use]
    pub const fn killed(&self) -> bool {
        self.killed
    }

    /// True between [`Risk::arm`] and [`Risk::disarm`].
    #[must_use]
    pub const fn armed(&self) -> bool {
        self.armed
    }

    /// Tells whether the order session is up and all of its replies were seen.
    pub const fn set_session_healthy(&mut self, healthy: bool) {
        self.session_healthy = healthy;
    }

    /// True while the order session is said to be up.
    #[must_use]
    pub const fn session_healthy(&self) -> bool {
        self.session_healthy
    }

    /// Tells whether what happens to orders can be journalled. True where nobody says so.
    #[inline]
    pub const fn set_journal_open(&mut self, open: bool) {
        self.journal_open = open;
    }

    /// Asks for what a check of an order in an instrument will look at.
    #[inline]
    pub fn prefetch(&self, locate: u16) {
        prefetch::lines(self.instruments.as_ptr().wrapping_add(usize::from(locate)));
        self.blotter.prefetch_holding(locate);
    }

    /// The ticker under which a locate was announced, and its reference price, as far as they are known.
    #[must_use]
    pub fn instrument(&self, locate: u16) -> (Option<Symbol>, Option<Price>) {
        let instrument = self.instruments.get(usize::from(locate));
        instrument.map_or((None, None), |instrument| (instrument.symbol, instrument.reference))
    }

    /// A new session of the feed began: locates are announced anew. Positions are kept by locate, so unless all is flat
    /// they are uncertain from here on.
    pub fn on_session(&mut self) {
        self.settle();
        self.blotter.forget_names();
        for (locate, instrument) in self.instruments.iter_mut().enumerate() {
            instrument.known = false;
            instrument.reference = None;
            if u16::try_from(locate).is_ok_and(|locate| !self.blotter.holding(locate).is_flat()) {
                self.blotter.doubt();
            }
        }
    }

    /// An instrument exists today under this locate. False (and the instrument closed) where the locate is out of
    /// range, or had another symbol while we held something in it.
    pub fn set_symbol(&mut self, locate: u16, symbol: Symbol) -> bool {
        self.settle();
        let flat = self.blotter.holding(locate).is_flat();
        let Some(instrument) = self.instruments.get_mut(usize::from(locate)) else { return false };
        instrument.known = flat || instrument.symbol.is_none_or(|old| old == symbol);
        if instrument.known {
            if instrument.symbol != Some(symbol) {
                instrument.reference = None;
            }
            instrument.symbol = Some(symbol);
            instrument.restricted = self.limits.restricted.contains(&symbol);
            self.blotter.name(locate, symbol);
        }
        instrument.known
    }

    /// Sets the reference price (the last trade, say) for [`RiskLimits::reference_collar_bps`].
    pub fn set_reference(&mut self, locate: u16, price: Price) {
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            instrument.reference = (price.0 > 0).then_some(price);
        }
    }

    /// Sets a position from outside; false for an unknown locate. `price` values it until we trade there.
    pub fn set_position(&mut self, locate: u16, position: i64, price: Price) -> bool {
        self.settle();
        self.blotter.set_position(locate, position, price)
    }

    /// Somebody compared positions and open orders with the venue's: they are certain again.
    pub const fn reconciled(&mut self) {
        self.blotter.reconciled();
    }

    /// Raises the next `user_ref_num` to what the venue expects; never lowers it. For whoever sent an account query: an
    /// answer that nobody asked for ([`OrderEventKind::NextUserRef`](crate::blotter::OrderEventKind::NextUserRef)) is not
    /// acted on, since one wrong number could use up all of a day's.
    pub fn raise_next_ref(&mut self, next: u32) {
        self.next_ref = self.next_ref.max(u64::from(next));
    }

    /// Open orders, positions and what the venue replied; what [`Risk::clear`] cleared last is there once it is
    /// [settled](Risk::settle).
    #[must_use]
    pub const fn blotter(&self) -> &Blotter {
        &self.blotter
    }

    /// Chains of orders that are open, what was cleared last among them.
    #[must_use]
    pub const fn open_orders(&self) -> u32 {
        self.blotter.open_orders() + self.owed.is_some() as u32
    }

    /// Open orders and positions together, what was cleared last among them, in 1/10,000.
    #[must_use]
    pub fn gross_value(&self) -> u128 {
        self.blotter.gross_value() + self.owed.as_ref().map_or(0, Owed::value)
    }

    /// What was cleared and refused.
    #[must_use]
    pub const fn counters(&self) -> &RiskCounters {
        &self.counters
    }

    /// Clears an intent, and counts it as open from now on, or refuses it.
    ///
    /// `view` is the instrument's as of now; for a cancel it is not looked at. `now_ns` is local monotonic time.
    ///
    /// # Errors
    /// The first check that fails, in the order given above.
    pub fn check(&mut self, intent: Intent, view: &MarketView, now_ns: u64) -> Result<Cleared, Refusal> {
        let result = self.clear(intent, view, now_ns);
        self.settle();
        result
    }

    /// As [`Risk::check`], for whoever is in a hurry: of a new order only the judgment is made. What it takes (its place among
    /// the open orders, its exposure, its rates) is noted by [`Risk::settle`], once it has left; whatever would look at that
    /// notes it first.
    ///
    /// # Errors
    /// As [`Risk::check`].
    pub fn clear(&mut self, intent: Intent, view: &MarketView, now_ns: u64) -> Result<Cleared, Refusal> {
        self.settle();
        let result = match intent {
            Intent::Enter { locate, side, shares, price, time_in_force } => {
                self.check_enter(&Ask { locate, side, shares, price }, time_in_force, view, now_ns)
            }
            Intent::Replace { locate, order, shares, price } => {
                self.check_replace(locate, order, shares, price, view, now_ns)
            }
            Intent::Cancel { order, .. } => self.check_cancel(order, now_ns),
        };
        match &result {
            Ok(cleared) => match cleared.request() {
                Request::Enter { .. } => self.counters.enters += 1,
                Request::Replace { .. } => self.counters.replaces += 1,
                Request::Cancel { .. } => self.counters.cancels += 1,
            },
            Err(why) => self.counters.refused[why.index()] += 1,
        }
        result
    }

    /// Notes what [`Risk::clear`] cleared last; nothing where that is done.
    #[inline]
    pub fn settle(&mut self) {
        if let Some(owed) = self.owed.take() {
            self.note(&owed);
        }
    }

    #[inline(never)]
    fn note(&mut self, &Owed { user_ref_num, order, now_ns }: &Owed) {
        // It was judged that there is room. If there is none nonetheless, what is open is not known.
        if !self.blotter.reserve(user_ref_num, order) {
            self.blotter.doubt();
        }
        let NewOrder { locate, side, shares, price, .. } = order;
        self.spend(locate, now_ns);
        if self.limits.repeat_window_ns > 0 {
            self.recent.insert(Ask { locate, side, shares, price }.likeness(), now_ns);
        }
    }

    /// Takes back what was cleared and could not be sent. The number and the rate are spent.
    pub fn release(&mut self, cleared: &Cleared) {
        self.settle();
        self.counters.released += 1;
        match *cleared.request() {
            Request::Enter { user_ref_num, .. } | Request::Replace { user_ref_num, .. } => {
                self.blotter.release(user_ref_num);
            }
            Request::Cancel { user_ref_num } => self.blotter.mark_cancel(user_ref_num, false),
        }
    }

    /// See [`Blotter::take_moved`].
    #[inline]
    pub fn take_moved(&mut self) -> Option<(u16, i64)> {
        self.blotter.take_moved()
    }

    /// Applies one reply. `None` where it concerns no order of ours that this process entered, or was a repetition.
    pub fn on_event(&mut self, event: &OrderEvent) -> Option<OrderUpdate> {
        self.settle();
        self.blotter.apply(event)
    }

    fn check_enter(
        &mut self,
        ask: &Ask,
        time_in_force: TimeInForce,
        view: &MarketView,
        now_ns: u64,
    ) -> Result<Cleared, Refusal> {
        let Enterable { symbol, short, user_ref_num } = self.judge_enter(ask, view, now_ns)?;
        let Ask { locate, side, shares, price } = *ask;
        let order = NewOrder { locate, side, short, shares, price, time_in_force };
        self.owed = Some(Owed { user_ref_num, order, now_ns });
        self.next_ref += 1;
        let request = Request::Enter { user_ref_num, symbol, side, short, shares, price, time_in_force };
        Ok(Cleared::new(request, locate))
    }

    /// May a new order leave? Takes nothing and counts nothing. Not inlined, so that a rehearsal and what it is for run the
    /// same code.
    #[inline(never)]
    fn judge_enter(&self, ask: &Ask, view: &MarketView, now_ns: u64) -> Result<Enterable, Refusal> {
        let symbol = self.check_gates(ask.locate, view)?;
        self.check_order(ask, view)?;
        let Ask { locate, side, shares, price } = *ask;
        let holding = self.blotter.holding(locate);
        self.check_exposure(locate, side, u64::from(shares), value(shares, price).into())?;
        if self.blotter.is_full() {
            return Err(Refusal::OpenOrders);
        }
        let window = self.limits.repeat_window_ns;
        if window > 0
            && self.recent.get(ask.likeness()).is_some_and(|then| now_ns.saturating_sub(*then) < window)
        {
            return Err(Refusal::Repeated);
        }
        let short = side == Side::Sell && holding.worst(side, u64::from(shares)) > 0;
        let user_ref_num = self.check_rates(locate, now_ns)?;
        Ok(Enterable { symbol, short, user_ref_num })
    }

    /// Judges a new order as [`Risk::check`] would, and asks for the memory that clearing it would take: for the caches and
    /// branch predictors, while nothing comes. Nothing is counted or kept, and what it returns cannot be sent. `None` where
    /// it would be refused, or is no new order.
    #[must_use]
    pub fn rehearse(&self, intent: &Intent, view: &MarketView, now_ns: u64) -> Option<Rehearsal> {
        let Intent::Enter { locate, side, shares, price, time_in_force } = *intent else { return None };
        let ask = Ask { locate, side, shares, price };
        let Enterable { symbol, short, user_ref_num } = self.judge_enter(&ask, view, now_ns).ok()?;
        self.blotter.prefetch(user_ref_num, locate);
        if self.limits.repeat_window_ns > 0 {
            self.recent.prefetch(ask.likeness());
        }
        let request = Request::Enter { user_ref_num, symbol, side, short, shares, price, time_in_force };
        Some(Rehearsal::new(request))
    }

    fn check_replace(
        &mut self,
        locate: u16,
        original: u32,
        shares: u32,
        price: Price,
        view: &MarketView,
        now_ns: u64,
    ) -> Result<Cleared, Refusal> {
        self.check_gates(locate, view)?;
        let order = *self.blotter.order(original).ok_or(Refusal::UnknownOrder)?;
        if order.locate != locate {
            return Err(Refusal::WrongView);
        }
        let side = order.side;
        self.check_order(&Ask { locate, side, shares, price }, view)?;
        if order.pending() {
            return Err(Refusal::OrderBusy);
        }
        let total = order.executed + u64::from(shares);
        let total_shares = u32::try_from(total).ok().filter(|total| *total <= MOST_SHARES);
        let total_shares = total_shares.ok_or(Refusal::OrderShares)?;
        let (more, more_value) = replacement_adds(&order, total, price);
        if side == Side::Sell && !order.short && self.blotter.holding(locate).worst(side, more) > 0 {
            return Err(Refusal::ShortMark);
        }
        self.check_exposure(locate, side, more, more_value)?;
        let user_ref_num = self.check_rates(locate, now_ns)?;
        if !self.blotter.reserve_replacement(original, user_ref_num, total, price) {
            return Err(Refusal::OpenOrders);
        }
        self.spend(locate, now_ns);
        self.next_ref += 1;
        let time_in_force = order.time_in_force;
        let request = Request::Replace { original, user_ref_num, total_shares, price, time_in_force };
        Ok(Cleared::new(request, locate))
    }

    fn check_cancel(&mut self, user_ref_num: u32, now_ns: u64) -> Result<Cleared, Refusal> {
        let locate = self.blotter.order(user_ref_num).ok_or(Refusal::UnknownOrder)?.locate;
        self.blotter.mark_cancel(user_ref_num, true);
        self.spend(locate, now_ns);
        Ok(Cleared::new(Request::Cancel { user_ref_num }, locate))
    }

    /// The gates that are either open or shut, whatever the order. Returns the ticker.
    fn check_gates(&self, locate: u16, view: &MarketView) -> Result<Symbol, Refusal> {
        if self.killed {
            return Err(Refusal::Killed);
        }
        if !self.armed {
            return Err(Refusal::Disarmed);
        }
        if !self.journal_open {
            return Err(Refusal::Journal);
        }
        if self.blotter.uncertain() {
            return Err(Refusal::Uncertain);
        }
        if !self.session_healthy {
            return Err(Refusal::Session);
        }
        let instrument = self.instruments.get(usize::from(locate)).filter(|instrument| instrument.known);
        let instrument = instrument.ok_or(Refusal::Instrument)?;
        let symbol = instrument.symbol.ok_or(Refusal::Instrument)?;
        if instrument.restricted {
            return Err(Refusal::Restricted);
        }
        if view.locate != locate {
            return Err(Refusal::WrongView);
        }
        if view.book != BookState::Live {
            return Err(Refusal::BookNotLive);
        }
        if view.trading != TradingState::Trading {
            return Err(Refusal::NotTrading);
        }
        if self.limits.hours.as_ref().is_some_and(|hours| !hours.contains(&view.timestamp)) {
            return Err(Refusal::Hours);
        }
        Ok(symbol)
    }

    /// The order by itself, against the market.
    fn check_order(&self, ask: &Ask, view: &MarketView) -> Result<(), Refusal> {
        if ask.shares == 0 {
            return Err(Refusal::ZeroShares);
        }
        if ask.price.0 == 0 {
            return Err(Refusal::ZeroPrice);
        }
        if ask.price.0 > HIGHEST_PRICE {
            return Err(Refusal::PriceTooHigh);
        }
        if ask.shares > self.limits.max_order_shares {
            return Err(Refusal::OrderShares);
        }
        if value(ask.shares, ask.price) > self.limits.max_order_value {
            return Err(Refusal::OrderValue);
        }
        let reference =
            self.instruments.get(usize::from(ask.locate)).and_then(|instrument| instrument.reference);
        collar::check(&self.limits, ask.price, &view.top, reference)
    }

    /// The order on top of everything that is open and held.
    fn check_exposure(&self, locate: u16, side: Side, more: u64, more_value: u128) -> Result<(), Refusal> {
        let limit = match side {
            Side::Buy => self.limits.max_long_shares,
            Side::Sell => self.limits.max_short_shares,
        };
        let worst = self.blotter.holding(locate).worst(side, more);
        if worst > limit {
            return Err(Refusal::Position);
        }
        let gross = self.blotter.gross_value() + more_value;
        if worst > 0 && gross > u128::from(self.limits.max_gross_value) {
            return Err(Refusal::GrossValue);
        }
        Ok(())
    }

    /// Are there tokens and a number? Takes neither. Returns the number.
    fn check_rates(&self, locate: u16, now_ns: u64) -> Result<u32, Refusal> {
        if !self.port.admits(self.port_rate, now_ns) {
            return Err(Refusal::PortRate);
        }
        let rate =
            self.instruments.get(usize::from(locate)).map_or(FullAt::MAX, |instrument| instrument.rate);
        if !self.symbol.admits(rate, now_ns) {
            return Err(Refusal::SymbolRate);
        }
        u32::try_from(self.next_ref).map_err(|_| Refusal::RefsExhausted)
    }

    fn spend(&mut self, locate: u16, now_ns: u64) {
        self.port.take(&mut self.port_rate, now_ns);
        if let Some(instrument) = self.instruments.get_mut(usize::from(locate)) {
            self.symbol.take(&mut instrument.rate, now_ns);
        }
    }
}

/// Shares × price, exactly.
const fn value(shares: u32, price: Price) -> u64 {
    shares as u64 * price.0 as u64
}

/// What a replacement adds to the worst case of its chain: shares, and value at the higher price.
fn replacement_adds(order: &OpenOrder, total: u64, price: Price) -> (u64, u128) {
    let surplus = total.saturating_sub(order.total);
    let dearer = u128::from(price.0.saturating_sub(order.price.0));
    (surplus, u128::from(order.open()) * dearer + u128::from(surplus) * u128::from(price.0))
}

#[cfg(test)]
mod tests;
