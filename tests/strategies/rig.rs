//! A strategy between real books, real risk, and a market and venue made up here.

use std::collections::VecDeque;

use exchange::rng::Rng;
use wirebook::blotter::{OrderEvent, OrderEventKind, OrderUpdate, TimeInForce};
use wirebook::book::{Books, Limits, Outcome};
use wirebook::market::{BookState, Event, EventKind, Price, Side, Symbol, TradingState};
use wirebook::risk::{Rate, Refusal, Request, Risk, RiskLimits};
use wirebook::strategy::features::Step;
use wirebook::strategy::{Intent, Intents, MarketView, Strategy};

use crate::all::{Demands, SHARES};
use crate::counting;

/// Locate 0 is no instrument.
pub(crate) const LOCATES: u16 = 4;

/// Where prices begin, 1/10,000.
const MIDDLE: u32 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Rest {
    order_ref: u64,
    locate: u16,
    side: Side,
    price: Price,
    shares: u32,
    /// Our number, if it is ours.
    own: Option<u32>,
    /// Shares of it, and of those that it has taken the place of, that have traded.
    traded: u32,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) enters: u64,
    pub(crate) replaces: u64,
    pub(crate) cancels: u64,
    pub(crate) unsent: u64,
    pub(crate) executed: u64,
    pub(crate) rejected: u64,
    pub(crate) lost: u64,
    pub(crate) late_cancels: u64,
    /// Calls of the allocator from within the strategy.
    pub(crate) allocations: u64,
}

pub(crate) struct Rig<S> {
    pub(crate) strategy: S,
    demands: Demands,
    risk: Risk,
    books: Books,
    rng: Rng,
    now: u64,
    day: u64,
    middle: [u32; LOCATES as usize],
    /// The strategy has to read the book anew.
    anew: [bool; LOCATES as usize],
    orders: Vec<Rest>,
    next_ref: u64,
    next_match: u64,
    requests: VecDeque<Request>,
    locates: Vec<(u32, u16)>,
    replies: VecDeque<OrderEvent>,
    intents: Intents,
    pub(crate) seen: Seen,
}

fn symbol(locate: u16) -> Symbol {
    Symbol::new(&format!("SYM{locate}")).unwrap()
}

fn limits() -> RiskLimits {
    let rate = Rate { per_second: 1_000_000, burst: 1_000_000 };
    RiskLimits {
        max_order_shares: 999_999,
        max_order_value: 1 << 50,
        collar_bps: 10_000,
        reference_collar_bps: None,
        max_long_shares: 10_000_000,
        max_short_shares: 10_000_000,
        max_gross_value: 1 << 60,
        max_open_orders: 64,
        port_rate: rate,
        symbol_rate: rate,
        repeat_window_ns: 0,
        restricted: Vec::new(),
        hours: None,
        fills_remembered: 1_024,
    }
}

impl<S: Strategy> Rig<S> {
    pub(crate) fn new(strategy: S, demands: Demands, seed: u64) -> Self {
        let mut risk = Risk::new(limits(), u32::from(LOCATES)).unwrap();
        risk.arm();
        risk.set_session_healthy(true);
        let mut books =
            Books::new(Limits { locates: u32::from(LOCATES), orders: 4_000, levels: 2_000 }).unwrap();
        books.set_all_states(BookState::Live);
        let mut rig = Self {
            strategy,
            demands,
            risk,
            books,
            rng: Rng::stream(seed, 17),
            now: 1_000,
            day: 0,
            middle: [MIDDLE; LOCATES as usize],
            anew: [true; LOCATES as usize],
            orders: Vec::with_capacity(4_000),
            next_ref: 1,
            next_match: 1,
            requests: VecDeque::new(),
            locates: Vec::new(),
            replies: VecDeque::new(),
            intents: Intents::new(),
            seen: Seen::default(),
        };
        for locate in 1..LOCATES {
            rig.strategy.on_instrument(locate, symbol(locate));
            assert!(rig.risk.set_symbol(locate, symbol(locate)));
            rig.event(locate, EventKind::Directory { symbol: symbol(locate), round_lot: 100 });
            rig.event(locate, EventKind::Trading(TradingState::Trading));
        }
        rig
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.rng.next() % u64::from(bound)) as u32
    }

    fn one_in(&mut self, of: u32) -> bool {
        self.below(of) == 0
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        self.now += u64::from(self.below(400_000));
        self.day += u64::from(self.below(400_000));
        match self.below(20) {
            0..=12 => self.market(),
            13..=15 => self.venue(),
            16..=18 => self.reply(),
            _ => {
                let Self { strategy, intents, now, .. } = self;
                let calls = counting::calls(|| strategy.on_timer(*now, intents));
                self.seen.allocations += calls;
                self.place(None);
            }
        }
    }

    /// One message of the feed, or a book that is made anew.
    fn market(&mut self) {
        let locate = 1 + self.below(u32::from(LOCATES) - 1) as u16;
        if self.one_in(400) {
            let state = [BookState::Stale, BookState::Recovering][self.below(2) as usize];
            self.books.set_state(locate, state);
        } else if self.one_in(20) {
            self.books.set_state(locate, BookState::Live);
        }
        if self.one_in(300) {
            let state = [TradingState::Halted, TradingState::Paused][self.below(2) as usize];
            return self.event(locate, EventKind::Trading(state));
        }
        if self.one_in(30) {
            return self.event(locate, EventKind::Trading(TradingState::Trading));
        }
        if self.one_in(500) {
            // A message of which the strategy hears nothing but that the book is another.
            let (order_ref, price) = (self.take_ref(), Price(MIDDLE - 5_000));
            self.orders.push(Rest {
                order_ref,
                locate,
                side: Side::Buy,
                price,
                shares: 70,
                own: None,
                traded: 0,
            });
            let kind = EventKind::Add { order_ref, side: Side::Buy, shares: 70, price };
            self.books.apply(&Event { locate, timestamp: self.day, kind });
            self.anew[usize::from(locate)] = true;
            return;
        }
        let at = usize::from(locate);
        if self.one_in(60) {
            let up = self.one_in(2);
            self.middle[at] = if up { self.middle[at] + 100 } else { self.middle[at] - 100 };
        }
        let mine = |order: &Rest| order.locate == locate;
        let count = self.orders.iter().filter(|order| mine(order)).count();
        if count < 12 || (count < 60 && self.one_in(2)) {
            let side = if self.one_in(2) { Side::Buy } else { Side::Sell };
            let away = 100 * self.below(6);
            let price = match side {
                Side::Buy => Price(self.middle[at] - 100 - away),
                Side::Sell => Price(self.middle[at] + away),
            };
            let shares = 10 * (1 + self.below(40));
            let order_ref = self.take_ref();
            self.orders.push(Rest { order_ref, locate, side, price, shares, own: None, traded: 0 });
            return self.event(locate, EventKind::Add { order_ref, side, shares, price });
        }
        // What is traded is at the front of the best price, mostly.
        let top = self.books.top(locate);
        let side = if self.one_in(2) { Side::Buy } else { Side::Sell };
        let front = top.side(side).and_then(|best| {
            let first = self.books.queue(locate, side, best.price).next()?;
            self.orders.iter().position(|order| order.order_ref == first.order_ref)
        });
        match (front, self.below(10)) {
            (Some(at), 0..=4) => {
                let most = self.orders[at].shares;
                let shares = (1 + self.below(200)).min(most);
                self.trade(at, shares);
            }
            (_, 5..=7) => {
                let among: Vec<usize> = (0..self.orders.len()).filter(|at| mine(&self.orders[*at])).collect();
                let at = among[self.below(among.len() as u32) as usize];
                if self.orders[at].own.is_none() {
                    let order_ref = self.orders.swap_remove(at).order_ref;
                    self.event(locate, EventKind::Delete { order_ref });
                }
            }
            (_, 8) => {
                let price = Price(self.middle[at] - 50);
                self.event(locate, EventKind::Trade { shares: 50, price, cross: false });
            }
            _ => {
                if self.one_in(20) {
                    // Cannot be right: the book goes stale.
                    self.event(locate, EventKind::Delete { order_ref: 1 << 50 });
                }
            }
        }
    }

    fn take_ref(&mut self) -> u64 {
        self.next_ref += 1;
        self.next_ref
    }

    /// Some of a resting order trades.
    fn trade(&mut self, at: usize, shares: u32) {
        let Rest { order_ref, locate, price, own, .. } = self.orders[at];
        self.orders[at].shares -= shares;
        self.orders[at].traded += shares;
        if self.orders[at].shares == 0 {
            self.orders.swap_remove(at);
        }
        if let Some(number) = own {
            self.executed(number, shares, price);
        }
        self.event(locate, EventKind::Execute { order_ref, shares, price: None, printable: true });
    }

    fn executed(&mut self, number: u32, shares: u32, price: Price) {
        self.next_match += 1;
        self.seen.executed += 1;
        let kind = OrderEventKind::Executed { shares, price, match_number: self.next_match, liquidity: b'A' };
        self.tell(number, kind);
    }

    fn tell(&mut self, user_ref_num: u32, kind: OrderEventKind) {
        self.replies.push_back(OrderEvent { user_ref_num, timestamp: self.day, kind });
    }

    /// What the desk does with an event.
    fn event(&mut self, locate: u16, kind: EventKind) {
        let event = Event { locate, timestamp: self.day, kind };
        let change = self.books.apply(&event);
        let halts = matches!(kind, EventKind::Trading(_));
        let Self { strategy, books, intents, anew, .. } = self;
        let view = MarketView {
            locate,
            timestamp: event.timestamp,
            now_ns: self.now,
            top: books.top(locate),
            book: books.state(locate),
            trading: books.trading_state(locate),
        };
        let calls = counting::calls(|| {
            if S::FOLLOWS {
                let anew = &mut anew[usize::from(locate)];
                if std::mem::take(anew) {
                    strategy.on_rebuilt(books, locate);
                } else {
                    strategy.on_step(books, &Step::of_event(&event, &change, books));
                }
            }
            if change.top_changed || halts {
                strategy.on_top(&view, intents);
            }
        });
        self.seen.allocations += calls;
        if let Outcome::Anomaly(_) = change.outcome {
            self.books.set_state(locate, BookState::Stale);
        }
        self.place(Some(&view));
    }

    /// The venue answers one request.
    fn venue(&mut self) {
        let Some(request) = self.requests.pop_front() else { return };
        match request {
            Request::Enter { user_ref_num, side, shares, price, time_in_force, .. } => {
                let locate = self.locates.iter().find(|(number, _)| *number == user_ref_num).unwrap().1;
                if self.one_in(25) {
                    self.seen.rejected += 1;
                    return self.tell(user_ref_num, OrderEventKind::Rejected { reason: 1 });
                }
                let order_ref = self.take_ref();
                self.tell(user_ref_num, OrderEventKind::Accepted { shares, price, order_ref, live: true });
                let opposite = self.books.top(locate).side(side.opposite());
                let meets = opposite.is_some_and(|best| match side {
                    Side::Buy => best.price <= price,
                    Side::Sell => best.price >= price,
                });
                if meets {
                    let some = 1 + self.below(shares);
                    self.executed(user_ref_num, some, price);
                    if some < shares {
                        self.canceled(user_ref_num, shares - some);
                    }
                } else if time_in_force == TimeInForce::Ioc {
                    self.canceled(user_ref_num, shares);
                } else {
                    self.rest(Rest {
                        order_ref,
                        locate,
                        side,
                        price,
                        shares,
                        own: Some(user_ref_num),
                        traded: 0,
                    });
                }
            }
            Request::Replace { original, user_ref_num, total_shares, price, .. } => {
                let Some(at) = self.orders.iter().position(|order| order.own == Some(original)) else {
                    self.seen.rejected += 1;
                    return self.tell(user_ref_num, OrderEventKind::Rejected { reason: 2 });
                };
                if self.one_in(25) {
                    self.seen.rejected += 1;
                    return self.tell(user_ref_num, OrderEventKind::Rejected { reason: 3 });
                }
                let Rest { order_ref: old, locate, side, shares: left, traded, .. } =
                    self.orders.swap_remove(at);
                let shares = total_shares.saturating_sub(traded);
                if shares == 0 {
                    // As much has traded already: nothing of it is left.
                    self.canceled(original, left);
                    return self.event(locate, EventKind::Delete { order_ref: old });
                }
                let order_ref = self.take_ref();
                let kind = OrderEventKind::Replaced { original, shares, price, order_ref, live: true };
                self.tell(user_ref_num, kind);
                self.orders.push(Rest {
                    order_ref,
                    locate,
                    side,
                    price,
                    shares,
                    own: Some(user_ref_num),
                    traded,
                });
                let kind = EventKind::Replace { order_ref: old, new_order_ref: order_ref, shares, price };
                self.event(locate, kind);
            }
            Request::Cancel { user_ref_num } => {
                // Of one that is not there, nothing is said.
                let Some(at) = self.orders.iter().position(|order| order.own == Some(user_ref_num)) else {
                    return;
                };
                let Rest { order_ref, locate, shares, .. } = self.orders.swap_remove(at);
                self.canceled(user_ref_num, shares);
                self.event(locate, EventKind::Delete { order_ref });
            }
        }
    }

    fn canceled(&mut self, number: u32, shares: u32) {
        self.tell(number, OrderEventKind::Canceled { shares, reason: b'U' });
    }

    fn rest(&mut self, rest: Rest) {
        let Rest { order_ref, locate, side, price, shares, .. } = rest;
        self.orders.push(rest);
        self.event(locate, EventKind::Add { order_ref, side, shares, price });
    }

    /// The strategy hears of one reply.
    fn reply(&mut self) {
        let Some(event) = self.replies.pop_front() else { return };
        let answers = matches!(event.kind, OrderEventKind::Accepted { .. } | OrderEventKind::Replaced { .. });
        if self.demands.times_out && answers && self.one_in(40) {
            self.seen.lost += 1;
            return;
        }
        if let Some(update) = self.risk.on_event(&event) {
            self.hear(&update);
        }
    }

    fn hear(&mut self, update: &OrderUpdate) {
        let Self { strategy, intents, .. } = self;
        let calls = counting::calls(|| strategy.on_order(update, intents));
        self.seen.allocations += calls;
        self.place(None);
    }

    /// Looks at what is wanted, and sends it or not.
    fn place(&mut self, decided_on: Option<&MarketView>) {
        for at in 0..self.intents.len() {
            let intent = self.intents.get(at).unwrap();
            self.judge(&intent, decided_on);
            let locate = intent.locate();
            let own = MarketView {
                locate,
                timestamp: 0,
                now_ns: self.now,
                top: self.books.top(locate),
                book: self.books.state(locate),
                trading: self.books.trading_state(locate),
            };
            let view = decided_on.copied().unwrap_or(own);
            let room = !self.one_in(30);
            let checked = self.risk.check(intent, &view, self.now);
            let result = match checked {
                Ok(cleared) if room => Ok(cleared),
                Ok(cleared) => {
                    self.risk.release(&cleared);
                    Err(None)
                }
                Err(why) => Err(Some(why)),
            };
            let strategy = &mut self.strategy;
            match result {
                Ok(cleared) => {
                    let number = cleared.user_ref_num();
                    self.requests.push_back(*cleared.request());
                    self.locates.push((number, locate));
                    match intent {
                        Intent::Enter { .. } => self.seen.enters += 1,
                        Intent::Replace { .. } => self.seen.replaces += 1,
                        Intent::Cancel { .. } => self.seen.cancels += 1,
                    }
                    self.seen.allocations += counting::calls(|| strategy.on_sent(&intent, number));
                }
                Err(why) => {
                    // A late cancel may be of an order that a replacement has taken the place of.
                    let expected = matches!(why, None | Some(Refusal::ShortMark))
                        || (why == Some(Refusal::UnknownOrder) && decided_on.is_none());
                    assert!(expected, "{}: {intent:?} refused: {why:?}", self.demands.name);
                    self.seen.unsent += 1;
                    self.seen.allocations += counting::calls(|| strategy.on_unsent(&intent));
                }
            }
        }
        assert_eq!(self.intents.overflowed(), 0, "{}", self.demands.name);
        self.intents.clear();
    }

    fn judge(&mut self, intent: &Intent, decided_on: Option<&MarketView>) {
        let Demands { name, two_sided, position, times_out, .. } = self.demands;
        let locate = intent.locate();
        assert!((1..LOCATES).contains(&locate), "{name}: {intent:?}");
        let blotter = self.risk.blotter();
        let on =
            |of: Side| blotter.orders().filter(move |(_, order)| order.locate == locate && order.side == of);
        match *intent {
            Intent::Enter { side, shares, price, .. } => {
                let view = decided_on.expect("orders are entered on what is seen of the market");
                assert!(view.tradable() && view.locate == locate, "{name}: {intent:?} on {view:?}");
                assert!((1..=SHARES).contains(&shares), "{name}: {intent:?}");
                let open = on(side).count() + if two_sided { 0 } else { on(side.opposite()).count() };
                assert_eq!(open, 0, "{name}: {intent:?} beside an open order");
                if two_sided {
                    let own = on(side.opposite()).map(|(_, order)| order.price);
                    let meets = |other: Price| match side {
                        Side::Buy => price >= other,
                        Side::Sell => price <= other,
                    };
                    for other in own.chain(view.top.side(side.opposite()).map(|best| best.price)) {
                        assert!(!meets(other), "{name}: {intent:?} would trade at {other}");
                    }
                }
                self.within(name, position, locate, side, u64::from(shares));
            }
            Intent::Replace { order, shares, .. } => {
                let view = decided_on.expect("orders are replaced on what is seen of the market");
                assert!(view.tradable() && view.locate == locate, "{name}: {intent:?} on {view:?}");
                let open = *blotter.order(order).unwrap_or_else(|| panic!("{name}: {intent:?} of none"));
                assert!(!open.pending() && open.locate == locate, "{name}: {intent:?} of {open:?}");
                assert!((1..=SHARES).contains(&shares), "{name}: {intent:?}");
                let more = u64::from(shares).saturating_sub(open.open());
                self.within(name, position, locate, open.side, more);
            }
            Intent::Cancel { order, .. } => {
                let open = blotter.order(order);
                if decided_on.is_some() {
                    let open = open.unwrap_or_else(|| panic!("{name}: {intent:?} of none"));
                    assert!(!open.pending() && open.locate == locate, "{name}: {intent:?} of {open:?}");
                } else {
                    assert!(times_out, "{name}: {intent:?} out of nothing");
                    self.seen.late_cancels += 1;
                }
            }
        }
    }

    /// The position cannot come to more than it may, if `more` shares trade beside all that is open on that side.
    fn within(&self, name: &str, position: Option<i64>, locate: u16, side: Side, more: u64) {
        let Some(most) = position else { return };
        let holding = self.risk.blotter().holding(locate);
        let open: u64 = (self.risk.blotter().orders())
            .filter(|(_, order)| order.locate == locate && order.side == side)
            .map(|(_, order)| order.open())
            .sum();
        let held = if side == Side::Buy { holding.position } else { -holding.position };
        let worst = held + (open + more) as i64;
        assert!(worst <= most, "{name}: {side:?} {more} more, {held} held and {open} open");
    }

    /// Books and risk as they are.
    pub(crate) fn books(&self) -> &Books {
        &self.books
    }
}
