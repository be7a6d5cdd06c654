//! A million random intents under random limits, with random replies between them: whatever risk clears, an independent
//! account worked out from the journal agrees that no limit is broken, and whatever it refuses, the account agrees that
//! there was that reason. `WIREBOOK_CASES` sets another number of intents.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "order_support/model.rs"]
mod model;
#[path = "order_support/support.rs"]
mod support;

use std::collections::BTreeMap;

use model::{Line, Model, World, objections};
use support::Rng;
use wirebook::blotter::{OrderEvent, OrderEventKind, TimeInForce};
use wirebook::market::{BookState, Level, Price, Side, Symbol, TopOfBook, TradingState};
use wirebook::risk::{Cleared, Rate, Refusal, Request, Risk, RiskLimits};
use wirebook::strategy::{Intent, MarketView};

const LOCATES: u16 = 3;

/// Mostly generous; now and then tight enough to bite.
fn random_limits(rng: &mut Rng) -> RiskLimits {
    let mut pick = |tight: u64, wide: u64| if rng.one_in(3) { rng.below(tight) } else { wide };
    let rate = |per_second: u64, burst: u64| Rate { per_second: per_second as u32, burst: burst as u32 };
    RiskLimits {
        max_order_shares: pick(400, 999_999) as u32,
        max_order_value: pick(400_000, u64::MAX),
        collar_bps: pick(300, 2_000) as u32,
        max_long_shares: pick(1_500, 100_000),
        max_short_shares: pick(1_500, 100_000),
        max_gross_value: pick(3_000_000, 1 << 50),
        max_open_orders: pick(6, 40) as u32,
        port_rate: rate(pick(20, 1_000), pick(10, 200)),
        symbol_rate: rate(pick(20, 1_000), pick(10, 200)),
        repeat_window_ns: pick(2_000_000_000, 0),
        fills_remembered: 1 + pick(4, 50) as u32,
        reference_collar_bps: None,
        restricted: Vec::new(),
        hours: None,
    }
}

struct Episode {
    rng: Rng,
    risk: Risk,
    limits: RiskLimits,
    journal: Vec<Line>,
    armed: bool,
    session: bool,
    known: Vec<u16>,
    restricted: Vec<u16>,
    reference: BTreeMap<u16, Price>,
    now_ns: u64,
    last_ref: u32,
    matches: u64,
}

#[derive(Default)]
struct Tally {
    cleared: [u64; 3],
    refused: BTreeMap<&'static str, u64>,
    events: u64,
}

impl Episode {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let mut limits = random_limits(&mut rng);
        limits.reference_collar_bps = rng.one_in(4).then(|| rng.below(1_000) as u32);
        let restricted: Vec<u16> = (0..LOCATES).filter(|_| rng.one_in(20)).collect();
        let symbol = |locate: u16| Symbol::new(&format!("SYM{locate}")).unwrap();
        limits.restricted = restricted.iter().map(|locate| symbol(*locate)).collect();
        let mut risk = Risk::new(limits.clone(), u32::from(LOCATES)).unwrap();
        let known: Vec<u16> = (0..LOCATES).filter(|_| !rng.one_in(20)).collect();
        for locate in &known {
            assert!(risk.set_symbol(*locate, symbol(*locate)));
        }
        let mut reference = BTreeMap::new();
        for locate in 0..LOCATES {
            if !rng.one_in(5) {
                let price = Price(900 + rng.below(300) as u32);
                reference.insert(locate, price);
                risk.set_reference(locate, price);
            }
        }
        let now_ns = 1_000_000_000;
        let (armed, session, last_ref, matches) = (false, false, 0, 0);
        let journal = Vec::new();
        Self {
            rng,
            risk,
            limits,
            journal,
            armed,
            session,
            known,
            restricted,
            reference,
            now_ns,
            last_ref,
            matches,
        }
    }

    fn model(&self) -> Model {
        Model::replay(&self.journal, self.limits.fills_remembered as usize)
    }

    /// A number that was given out, now and then one that was not.
    fn some_ref(&mut self) -> u32 {
        let open: Vec<u32> = self.risk.blotter().orders().map(|(id, _)| id).collect();
        if !open.is_empty() && !self.rng.one_in(8) {
            return open[self.rng.below(open.len() as u64) as usize];
        }
        let back = self.rng.below(12) as u32;
        if self.rng.one_in(60) { self.rng.below(1 << 32) as u32 } else { self.last_ref.saturating_sub(back) }
    }

    fn price(&mut self) -> Price {
        match self.rng.below(200) {
            0 => Price(0),
            1 => Price(1_999_999_900 + self.rng.below(3) as u32),
            2..20 => Price(700 + self.rng.below(700) as u32),
            _ => Price(980 + self.rng.below(60) as u32),
        }
    }

    fn shares(&mut self) -> u32 {
        match self.rng.below(100) {
            0 => 0,
            1 => 999_998 + self.rng.below(4) as u32,
            2..10 => self.rng.below(2_000) as u32,
            _ => 1 + self.rng.below(300) as u32,
        }
    }

    fn intent(&mut self) -> Intent {
        // Locate 3 does not exist.
        let locate = if self.rng.one_in(100) { LOCATES } else { self.rng.below(u64::from(LOCATES)) as u16 };
        match self.rng.below(10) {
            0 => Intent::Cancel { locate, order: self.some_ref() },
            1..4 => {
                let order = self.some_ref();
                let at_home = self.risk.blotter().order(order).map_or(locate, |order| order.locate);
                let locate = if self.rng.one_in(20) { locate } else { at_home };
                Intent::Replace { locate, order, shares: self.shares(), price: self.price() }
            }
            _ => {
                let side = if self.rng.one_in(2) { Side::Buy } else { Side::Sell };
                let time_in_force = if self.rng.one_in(2) { TimeInForce::Day } else { TimeInForce::Ioc };
                // A few plain orders, so that repetitions occur.
                let (shares, price) =
                    if self.rng.one_in(4) { (100, Price(1_000)) } else { (self.shares(), self.price()) };
                Intent::Enter { locate, side, shares, price, time_in_force }
            }
        }
    }

    fn view(&mut self, locate: u16) -> MarketView {
        let rng = &mut self.rng;
        let level = |rng: &mut Rng, price: u64| {
            let price = Price((price + rng.below(10)) as u32);
            (!rng.one_in(20)).then_some(Level { price, shares: 100, orders: 1 })
        };
        MarketView {
            locate: if rng.one_in(100) { 1 } else { locate },
            timestamp: 0,
            now_ns: self.now_ns,
            top: TopOfBook { bid: level(rng, 990), ask: level(rng, 1_010) },
            book: if rng.one_in(50) { BookState::Stale } else { BookState::Live },
            trading: if rng.one_in(50) { TradingState::Halted } else { TradingState::Trading },
        }
    }

    /// One intent, checked both ways.
    fn ask(&mut self, tally: &mut Tally) {
        self.now_ns += [0, 1, 1_000, 1_000_000, 50_000_000, 400_000_000][self.rng.below(6) as usize];
        let intent = self.intent();
        let view = self.view(intent.locate());
        let model = self.model();
        let world = World {
            limits: &self.limits,
            armed: self.armed,
            session: self.session,
            known: &self.known,
            restricted: &self.restricted,
            reference: &self.reference,
        };
        let reasons = objections(&world, &self.journal, &model, intent, &view, self.now_ns);
        match self.risk.check(intent, &view, self.now_ns) {
            Err(why) => {
                assert!(
                    reasons.contains(why.name()),
                    "refused for {why:?}, not among {reasons:?}: {intent:?}"
                );
                *tally.refused.entry(why.name()).or_default() += 1;
            }
            Ok(cleared) => {
                assert!(reasons.is_empty(), "cleared against {reasons:?}: {intent:?}");
                self.check_cleared(intent, &cleared, &model);
                let request = *cleared.request();
                tally.cleared[usize::from(!matches!(request, Request::Enter { .. }))
                    + usize::from(matches!(request, Request::Cancel { .. }))] += 1;
                let (locate, now_ns) = (cleared.locate(), self.now_ns);
                self.journal.push(Line::Cleared { now_ns, locate, request });
                if self.rng.one_in(25) {
                    self.risk.release(&cleared);
                    self.journal.push(Line::Released(request));
                }
            }
        }
    }

    /// The request says what the intent meant.
    fn check_cleared(&mut self, intent: Intent, cleared: &Cleared, model: &Model) {
        match (intent, *cleared.request()) {
            (
                Intent::Enter { locate, side, shares, price, time_in_force },
                Request::Enter {
                    user_ref_num,
                    symbol,
                    side: s,
                    short,
                    shares: n,
                    price: p,
                    time_in_force: t,
                },
            ) => {
                assert_eq!((side, shares, price, time_in_force), (s, n, p, t));
                assert_eq!(symbol, Symbol::new(&format!("SYM{locate}")).unwrap());
                assert_eq!(short, side == Side::Sell && model.reach(locate, side, shares.into()) > 0);
                assert!(user_ref_num > self.last_ref, "numbers rise");
                self.last_ref = user_ref_num;
            }
            (
                Intent::Replace { order, shares, price, .. },
                Request::Replace { original, user_ref_num, total_shares, price: p, .. },
            ) => {
                assert_eq!((order, price), (original, p));
                let chain = model.chains.iter().find(|chain| chain.id == order).unwrap();
                assert_eq!(u128::from(total_shares), chain.executed + u128::from(shares));
                assert!(user_ref_num > self.last_ref, "numbers rise");
                self.last_ref = user_ref_num;
            }
            (Intent::Cancel { order, .. }, Request::Cancel { user_ref_num }) => {
                assert_eq!(order, user_ref_num);
            }
            other => panic!("{other:?}"),
        }
    }

    /// A reply: mostly one that makes sense, always possibly repeated, wrong or for nobody.
    fn reply(&mut self, model: &Model) -> OrderEvent {
        let chains = &model.chains;
        let chain =
            (!chains.is_empty()).then(|| chains[self.rng.below(chains.len() as u64) as usize].clone());
        let wild = self.rng.one_in(30);
        let user_ref_num = match &chain {
            Some(chain) if !wild => match chain.next {
                Some(next) if self.rng.one_in(2) => next.0,
                _ => chain.id,
            },
            _ => self.some_ref(),
        };
        let open = chain.as_ref().map_or(50, model::Chain::open).max(1) as u64;
        let part = if self.rng.one_in(2) { open as u32 } else { 1 + self.rng.below(open) as u32 };
        let shares = if wild { self.rng.below(3_000) as u32 } else { part };
        let price = Price(990 + self.rng.below(30) as u32);
        let live = !self.rng.one_in(20);
        self.matches += 1;
        let recent = self.matches.saturating_sub(self.rng.below(4));
        let is_next = chain.as_ref().is_some_and(|c| c.next.is_some_and(|next| next.0 == user_ref_num));
        let fresh = chain.as_ref().is_some_and(|c| c.id == user_ref_num && !c.accepted);
        use OrderEventKind as Kind;
        let order_ref = 1;
        let kind = match self.rng.below(if wild { 14 } else { 9 }) {
            _ if is_next && !wild && !self.rng.one_in(4) => {
                let original = chain.as_ref().map_or(0, |chain| chain.id);
                let left = chain.as_ref().and_then(|c| c.next.map(|next| next.1.saturating_sub(c.executed)));
                Kind::Replaced { original, shares: left.unwrap_or(1) as u32, price, order_ref, live }
            }
            _ if fresh && !wild && !self.rng.one_in(4) => {
                Kind::Accepted { shares: open as u32, price, order_ref, live }
            }
            0 | 1 => Kind::Rejected { reason: 1 },
            2..5 => Kind::Executed { shares, price, match_number: self.matches, liquidity: b'A' },
            5 | 6 => Kind::Canceled { shares, reason: b'U' },
            7 => Kind::CancelReject,
            8 => Kind::Executed { shares, price, match_number: recent, liquidity: b'A' },
            9 => Kind::Broken { match_number: recent, reason: b'E' },
            10 => Kind::Modified { shares },
            11 => Kind::PriorityUpdate { price, order_ref },
            12 => Kind::Accepted { shares, price, order_ref, live },
            _ => Kind::Replaced { original: self.some_ref(), shares, price, order_ref, live },
        };
        OrderEvent { user_ref_num, timestamp: 0, kind }
    }

    fn hear(&mut self, tally: &mut Tally) {
        let model = self.model();
        if model.chains.is_empty() && !self.rng.one_in(20) {
            return;
        }
        let event = if self.rng.one_in(400) {
            OrderEvent { user_ref_num: 0, timestamp: 0, kind: OrderEventKind::Lost { messages: 1 } }
        } else {
            self.reply(&model)
        };
        let update = self.risk.on_event(&event);
        self.journal.push(Line::Event(event));
        tally.events += 1;
        let model = self.model();
        self.compare(&model);
        if let Some(update) = update {
            let position = model.positions.get(&update.locate).map_or(0, |position| position.0);
            assert_eq!(i128::from(update.position), position);
        }
    }

    fn compare(&self, model: &Model) {
        let blotter = self.risk.blotter();
        for locate in 0..LOCATES {
            let holding = blotter.holding(locate);
            let position = model.positions.get(&locate).map_or(0, |position| position.0);
            assert_eq!(i128::from(holding.position), position);
            for side in [Side::Buy, Side::Sell] {
                assert_eq!(
                    u128::from(holding.open(side)),
                    model.open_shares(locate, side),
                    "{side:?} {locate}"
                );
            }
        }
        assert_eq!(blotter.gross_value(), model.gross());
        assert_eq!(blotter.open_orders() as usize, model.chains.len());
        assert_eq!(blotter.uncertain(), model.uncertain);
    }

    fn run(&mut self, steps: u64, tally: &mut Tally) {
        for _ in 0..steps {
            if self.rng.one_in(20) || self.journal.is_empty() {
                (self.armed, self.session) = (!self.rng.one_in(30), !self.rng.one_in(30));
                if self.armed {
                    self.risk.arm();
                } else {
                    self.risk.disarm();
                }
                self.risk.set_session_healthy(self.session);
            }
            if self.rng.one_in(4) && self.risk.blotter().uncertain() {
                self.risk.reconciled();
                self.journal.push(Line::Reconciled);
            }
            self.ask(tally);
            for _ in 0..self.rng.below(3) {
                self.hear(tally);
            }
        }
    }
}

#[test]
fn nothing_cleared_breaks_a_limit_and_nothing_is_refused_without_reason() {
    let cases: u64 = std::env::var("WIREBOOK_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let mut tally = Tally::default();
    let (mut asked, mut seed) = (0, 0x9E37_79B9_7F4A_7C15_u64);
    while asked < cases {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut episode = Episode::new(seed | 1);
        let steps = 20 + episode.rng.below(60);
        episode.run(steps, &mut tally);
        asked += steps;
    }
    println!("cleared {:?}, replies {}, refused {:?}", tally.cleared, tally.events, tally.refused);
    if cases >= 1_000_000 {
        // The test is worth something only if every path was walked.
        assert!(tally.cleared.iter().all(|n| *n > cases / 50), "{:?}", tally.cleared);
        // The last three are drawn in `risk_storm`.
        let elsewhere = [Refusal::RefsExhausted, Refusal::Journal, Refusal::Killed, Refusal::Hours];
        for why in Refusal::ALL.iter().filter(|why| !elsewhere.contains(why)) {
            let seen = tally.refused.get(why.name()).copied().unwrap_or(0);
            assert!(seen > cases / 100_000, "{} seen {seen} times", why.name());
        }
    }
}
