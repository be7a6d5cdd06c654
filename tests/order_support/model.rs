//! An independent, slow account of orders and risk: everything is worked out afresh from a journal of what was cleared,
//! released and replied. Written from the rules in the documentation, in terms of chains of orders, with maps and
//! 128-bit integers, and without a look at tables, running sums or weights.

#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

use std::collections::{BTreeMap, BTreeSet};

use wirebook::blotter::{OrderEvent, OrderEventKind};
use wirebook::market::{BookState, Price, Side, TradingState};
use wirebook::risk::{Rate, Refusal, Request, RiskLimits};
use wirebook::strategy::{Intent, MarketView};

/// One line of the journal.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Cleared { now_ns: u64, locate: u16, request: Request },
    Released(Request),
    Event(OrderEvent),
    Reconciled,
}

/// An order and its unanswered replacement.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) id: u32,
    pub(crate) locate: u16,
    pub(crate) side: Side,
    pub(crate) short: bool,
    pub(crate) price: u128,
    pub(crate) total: u128,
    pub(crate) executed: u128,
    pub(crate) accepted: bool,
    pub(crate) cancel_sent: bool,
    /// Number, total and price of the replacement.
    pub(crate) next: Option<(u32, u128, u128)>,
    /// A cancel that names the replacement was sent.
    next_cancel_sent: bool,
}

impl Chain {
    pub(crate) fn open(&self) -> u128 {
        self.total - self.executed
    }

    fn busy(&self) -> bool {
        !self.accepted || self.cancel_sent || self.next.is_some()
    }

    /// Most shares that may still trade, and most value.
    fn worst(&self) -> (u128, u128) {
        match self.next {
            None => (self.open(), self.open() * self.price),
            Some((_, total, price)) => {
                let surplus = total.saturating_sub(self.total);
                (self.open() + surplus, self.open() * self.price.max(price) + surplus * price)
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) chains: Vec<Chain>,
    /// Position and mark by locate.
    pub(crate) positions: BTreeMap<u16, (i128, u128)>,
    /// Every execution, oldest first: order, match, locate, signed shares, broken.
    fills: Vec<(u32, u64, u16, i128, bool)>,
    pub(crate) uncertain: bool,
    highest: u32,
}

fn signed(side: Side, shares: u32) -> i128 {
    if side == Side::Buy { i128::from(shares) } else { -i128::from(shares) }
}

impl Model {
    /// Reads the journal from its start.
    pub(crate) fn replay(journal: &[Line], fills_remembered: usize) -> Self {
        let mut model = Self::default();
        for line in journal {
            model.apply(line, fills_remembered);
        }
        model
    }

    /// Reads one more line.
    pub(crate) fn apply(&mut self, line: &Line, fills_remembered: usize) {
        match line {
            Line::Cleared { locate, request, .. } => self.cleared(*locate, *request),
            Line::Released(request) => self.released(*request),
            Line::Event(event) => self.event(event, fills_remembered),
            Line::Reconciled => self.uncertain = false,
        }
    }

    fn at(&self, id: u32) -> Option<usize> {
        self.chains.iter().position(|chain| chain.id == id)
    }

    fn at_next(&self, id: u32) -> Option<usize> {
        self.chains.iter().position(|chain| chain.next.is_some_and(|next| next.0 == id))
    }

    fn cleared(&mut self, locate: u16, request: Request) {
        match request {
            Request::Enter { user_ref_num: id, side, short, shares, price, .. } => {
                let (price, total) = (u128::from(price.0), u128::from(shares));
                let (executed, accepted, cancel_sent, next) = (0, false, false, None);
                self.chains.push(Chain {
                    id,
                    locate,
                    side,
                    short,
                    price,
                    total,
                    executed,
                    accepted,
                    cancel_sent,
                    next,
                    next_cancel_sent: false,
                });
                self.highest = id;
            }
            Request::Replace { original, user_ref_num, total_shares, price, .. } => {
                let at = self.at(original).expect("only a known order is replaced");
                self.chains[at].next = Some((user_ref_num, total_shares.into(), price.0.into()));
                self.chains[at].next_cancel_sent = false;
                self.highest = user_ref_num;
            }
            Request::Cancel { user_ref_num } => self.mark_cancel(user_ref_num, true),
        }
    }

    fn mark_cancel(&mut self, id: u32, sent: bool) {
        if let Some(at) = self.at(id) {
            self.chains[at].cancel_sent = sent;
        } else if let Some(at) = self.at_next(id) {
            self.chains[at].next_cancel_sent = sent;
        }
    }

    fn released(&mut self, request: Request) {
        match request {
            Request::Enter { user_ref_num, .. } => {
                self.chains.retain(|chain| chain.id != user_ref_num || chain.accepted);
            }
            Request::Replace { user_ref_num, .. } => {
                if let Some(at) = self.at_next(user_ref_num) {
                    self.chains[at].next = None;
                }
            }
            Request::Cancel { user_ref_num } => self.mark_cancel(user_ref_num, false),
        }
    }

    fn event(&mut self, event: &OrderEvent, fills_remembered: usize) {
        use OrderEventKind as Kind;
        let id = event.user_ref_num;
        let oldest = self.fills.len().saturating_sub(fills_remembered);
        let known_fill = |m: &Self, number| m.fills[oldest..].iter().position(|f| (f.0, f.1) == (id, number));
        match event.kind {
            Kind::Lost { .. } => self.uncertain = true,
            Kind::Broken { match_number, .. } => match known_fill(self, match_number) {
                None => self.uncertain = true,
                Some(at) => {
                    let fill = &mut self.fills[oldest + at];
                    if !fill.4 {
                        fill.4 = true;
                        let (locate, shares) = (fill.2, fill.3);
                        self.positions.entry(locate).or_default().0 -= shares;
                    }
                }
            },
            Kind::Executed { match_number, .. } if known_fill(self, match_number).is_some() => {}
            Kind::Replaced { original, shares, price, live, .. } => {
                if let Some(at) = self.at_next(id).filter(|at| self.chains[*at].id == original) {
                    self.takes_place(at);
                    let chain = &mut self.chains[at];
                    chain.total = chain.executed + u128::from(shares);
                    chain.price = price.0.into();
                    if !live {
                        self.chains.remove(at);
                    }
                }
            }
            Kind::Rejected { .. } => {
                if let Some(at) = self.at_next(id) {
                    self.chains[at].next = None;
                } else {
                    self.chains.retain(|chain| chain.id != id || chain.accepted);
                }
            }
            Kind::PriorityUpdate { price, .. } => {
                if let Some(at) = self.spoken_to(id, 1) {
                    self.chains[at].price = price.0.into();
                }
            }
            Kind::Accepted { shares, price, live, .. } => {
                if let Some(at) = self.at(id).filter(|at| !self.chains[*at].accepted) {
                    let chain = &mut self.chains[at];
                    (chain.accepted, chain.total, chain.price) = (true, shares.into(), price.0.into());
                    if !live {
                        self.chains.remove(at);
                    }
                }
            }
            Kind::CancelReject => self.mark_cancel(id, false),
            Kind::Executed { shares, price, match_number, .. } => {
                let Some(at) = self.spoken_to(id, shares) else {
                    self.uncertain |= self.at(id).or(self.at_next(id)).is_none();
                    return;
                };
                let chain = &mut self.chains[at];
                chain.accepted = true;
                chain.executed += u128::from(shares);
                chain.total = chain.total.max(chain.executed);
                let by = signed(chain.side, shares);
                self.fills.push((id, match_number, chain.locate, by, false));
                let position = self.positions.entry(chain.locate).or_default();
                *position = (position.0 + by, price.0.into());
            }
            Kind::Canceled { shares, .. } => {
                if let Some(at) = self.spoken_to(id, shares) {
                    let chain = &mut self.chains[at];
                    chain.accepted = true;
                    chain.total -= u128::from(shares).min(chain.open());
                }
            }
            Kind::Modified { shares } => {
                if let Some(at) = self.spoken_to(id, 1) {
                    let chain = &mut self.chains[at];
                    chain.accepted = true;
                    chain.total = chain.executed + u128::from(shares);
                }
            }
            Kind::CancelPending
            | Kind::Restated { .. }
            | Kind::System { .. }
            | Kind::NextUserRef { .. }
            | Kind::Disconnected
            | Kind::Adopted { .. }
            | Kind::Resumed { .. } => {}
        }
        self.chains.retain(|chain| chain.open() > 0);
    }

    /// The chain whose order has this number; a replacement that is spoken of has taken place.
    fn spoken_to(&mut self, id: u32, shares: u32) -> Option<usize> {
        if shares == 0 {
            return None;
        }
        if let Some(at) = self.at_next(id) {
            self.takes_place(at);
        }
        self.at(id)
    }

    fn takes_place(&mut self, at: usize) {
        let chain = &mut self.chains[at];
        if let Some((id, total, price)) = chain.next.take() {
            (chain.id, chain.price, chain.accepted) = (id, price, true);
            chain.total = total.max(chain.executed);
            chain.cancel_sent = chain.next_cancel_sent;
        }
    }

    pub(crate) fn open_shares(&self, locate: u16, side: Side) -> u128 {
        let here = |chain: &&Chain| chain.locate == locate && chain.side == side;
        self.chains.iter().filter(here).map(|chain| chain.worst().0).sum()
    }

    pub(crate) fn gross(&self) -> u128 {
        let open: u128 = self.chains.iter().map(|chain| chain.worst().1).sum();
        let held: u128 = self.positions.values().map(|(shares, mark)| shares.unsigned_abs() * mark).sum();
        open + held
    }

    /// Shares beyond zero that `more` on `side` could lead to.
    pub(crate) fn reach(&self, locate: u16, side: Side, more: u128) -> u128 {
        let position = self.positions.get(&locate).map_or(0, |position| position.0);
        let position = if side == Side::Buy { position } else { -position };
        let reach = position + (self.open_shares(locate, side) + more) as i128;
        reach.max(0) as u128
    }
}

/// What the world looks like to a check, beside the journal.
pub(crate) struct World<'w> {
    pub(crate) limits: &'w RiskLimits,
    pub(crate) armed: bool,
    pub(crate) session: bool,
    pub(crate) known: &'w [u16],
    pub(crate) restricted: &'w [u16],
    pub(crate) reference: &'w BTreeMap<u16, Price>,
}

/// Is a token there? The bucket's content in ns of refill, followed from the first message.
fn token(journal: &[Line], rate: Rate, only: Option<u16>, now_ns: u64) -> bool {
    if rate.per_second == 0 || rate.burst == 0 {
        return false;
    }
    let one = i128::from(1_000_000_000_u64.div_ceil(u64::from(rate.per_second)));
    let full = one * i128::from(rate.burst);
    let (mut content, mut then) = (full, 0);
    for line in journal {
        if let Line::Cleared { now_ns, locate, .. } = line
            && only.is_none_or(|only| only == *locate)
        {
            content = (content + i128::from(now_ns - then)).min(full);
            then = *now_ns;
            // A cancel may find the bucket empty.
            content = (content - one).max(0);
        }
    }
    (content + i128::from(now_ns - then)).min(full) >= one
}

/// Every reason that speaks against an intent.
pub(crate) fn objections(
    world: &World<'_>,
    journal: &[Line],
    model: &Model,
    intent: Intent,
    view: &MarketView,
    now_ns: u64,
) -> BTreeSet<&'static str> {
    let mut reasons = BTreeSet::new();
    let mut object = |when: bool, why: Refusal| {
        if when {
            reasons.insert(why.name());
        }
    };
    let limits = world.limits;
    let (locate, side, shares, price, chain) = match intent {
        Intent::Cancel { order, .. } => {
            object(model.at(order).or(model.at_next(order)).is_none(), Refusal::UnknownOrder);
            return reasons;
        }
        Intent::Enter { locate, side, shares, price, .. } => (locate, Some(side), shares, price, None),
        Intent::Replace { locate, order, shares, price } => {
            let chain = model.at(order).or(model.at_next(order)).map(|at| &model.chains[at]);
            object(chain.is_none(), Refusal::UnknownOrder);
            object(chain.is_some_and(Chain::busy), Refusal::OrderBusy);
            object(chain.is_some_and(|chain| chain.locate != locate), Refusal::WrongView);
            let executed = chain.map_or(0, |chain| chain.executed);
            object(executed + u128::from(shares) > 999_999, Refusal::OrderShares);
            (locate, chain.map(|chain| chain.side), shares, price, chain)
        }
    };
    object(!world.armed, Refusal::Disarmed);
    object(model.uncertain, Refusal::Uncertain);
    object(!world.session, Refusal::Session);
    object(!world.known.contains(&locate), Refusal::Instrument);
    object(world.restricted.contains(&locate), Refusal::Restricted);
    object(view.locate != locate, Refusal::WrongView);
    object(view.book != BookState::Live, Refusal::BookNotLive);
    object(view.trading != TradingState::Trading, Refusal::NotTrading);
    object(shares == 0, Refusal::ZeroShares);
    object(price.0 == 0, Refusal::ZeroPrice);
    object(price.0 > 1_999_999_900, Refusal::PriceTooHigh);
    object(shares > limits.max_order_shares, Refusal::OrderShares);
    let value = u128::from(shares) * u128::from(price.0);
    object(value > u128::from(limits.max_order_value), Refusal::OrderValue);
    object(!token(journal, limits.port_rate, None, now_ns), Refusal::PortRate);
    object(!token(journal, limits.symbol_rate, Some(locate), now_ns), Refusal::SymbolRate);
    let Some(side) = side else { return reasons };

    // The collar, in 1/10,000 of a price unit.
    let scaled = u128::from(price.0) * 10_000;
    let band = |anchor: Price, bps: u32| {
        let (anchor, bps) = (u128::from(anchor.0), u128::from(bps));
        (anchor * (10_000 - bps), anchor * (10_000 + bps))
    };
    let reference = world.reference.get(&locate).copied();
    let (bid, ask) = (view.top.bid.map(|l| l.price), view.top.ask.map(|l| l.price));
    // Neither far through the touches nor far behind them, whichever the side.
    let low = bid.or(ask).or(reference);
    let high = ask.or(bid).or(reference);
    match (low, high) {
        (Some(low), Some(high)) => {
            object(scaled < band(low, limits.collar_bps).0, Refusal::Collar);
            object(scaled > band(high, limits.collar_bps).1, Refusal::Collar);
        }
        _ => object(true, Refusal::NoReference),
    }
    if let Some(bps) = limits.reference_collar_bps {
        object(reference.is_none(), Refusal::NoReference);
        let (low, high) = band(reference.unwrap_or_default(), bps);
        object(reference.is_some() && !(low..=high).contains(&scaled), Refusal::Collar);
    }

    // What the request adds to the worst case: that of a world in which it was cleared, less that of this one.
    let mut after = model.clone();
    let (more, short) = match chain {
        None => {
            let limit = limits.max_open_orders as usize;
            object(model.chains.len() >= limit, Refusal::OpenOrders);
            let time_in_force = wirebook::blotter::TimeInForce::Day;
            let symbol = wirebook::market::Symbol([b' '; 8]);
            let (user_ref_num, short) = (u32::MAX, false);
            let request = Request::Enter { user_ref_num, symbol, side, short, shares, price, time_in_force };
            after.cleared(locate, request);
            (u128::from(shares), true)
        }
        Some(chain) if !chain.busy() && chain.locate == locate => {
            let at = after.at(chain.id).expect("known");
            let total = chain.executed + u128::from(shares);
            after.chains[at].next = Some((u32::MAX, total, price.0.into()));
            (total.saturating_sub(chain.total), chain.short)
        }
        Some(_) => return reasons,
    };
    let reach = after.reach(locate, side, 0);
    assert_eq!(reach, model.reach(locate, side, more));
    let most = if side == Side::Buy { limits.max_long_shares } else { limits.max_short_shares };
    object(reach > u128::from(most), Refusal::Position);
    object(reach > 0 && after.gross() > u128::from(limits.max_gross_value), Refusal::GrossValue);
    object(side == Side::Sell && !short && reach > 0, Refusal::ShortMark);
    if chain.is_none() && limits.repeat_window_ns > 0 {
        let same = |line: &Line| match line {
            Line::Cleared {
                now_ns: then,
                locate: l,
                request: Request::Enter { side: s, shares: n, price: p, .. },
            } => (*l, *s, *n, *p) == (locate, side, shares, price) && now_ns - then < limits.repeat_window_ns,
            _ => false,
        };
        object(journal.iter().any(same), Refusal::Repeated);
    }
    reasons
}
