//! Our process, the venue's host and the cable between them, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use exchange::gateway::{self, Gateway};
use exchange::market::{self, Market};
use exchange::soup::Credentials;
use wirebook::blotter::{OrderEventKind, TimeInForce};
use wirebook::market::{BookState, Level, Price, Side, Symbol, TopOfBook, TradingState};
use wirebook::nic::Frame;
use wirebook::order::Session;
use wirebook::order::ouch::OuchProfile;
use wirebook::order::ouch_session::{OuchSession, Phase};
use wirebook::order::soup::Login;
use wirebook::order::tcp::{TcpAddressing, UserTcp};
use wirebook::risk::RiskLimits;
use wirebook::strategy::imbalance::Style;
use wirebook::strategy::{Intent, MarketView};

use crate::cable::{ADDRESSING, Cable, LATENCY, MS, Rng, SECOND, Tx};
use crate::desk::{self, Desk};
use crate::venue::Venue;

pub(crate) const SYMBOLS: u16 = 3;
const LOGIN: Login = Login { username: *b"WBOOK ", password: *b"SECRET    ", session: [b' '; 10], next: 1 };

/// A frame under way: when it arrives, the how manyth it is, whether it goes to the venue.
type UnderWay = (u64, u64, bool, Vec<u8>);

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) ours: Desk<OuchSession<UserTcp>>,
    pub(crate) tx: Tx,
    pub(crate) venue: Venue,
    pub(crate) cable: Cable,
    pub(crate) rng: Rng,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    count: u64,
    /// Frames are lost: to the venue, from it.
    pub(crate) cut: (bool, bool),
    /// Frames of the venue that say something.
    pub(crate) answers: u64,
    /// What the venue said is the next number, when the session came up last.
    pub(crate) next: u32,
    starts: u64,
}

/// A process that knows the instruments of the feed, and nothing of orders.
fn process(market: &Market, start: u64) -> Desk<OuchSession<UserTcp>> {
    let limits = RiskLimits {
        collar_bps: 10_000,
        max_order_value: u64::MAX,
        max_gross_value: u64::MAX,
        max_long_shares: 1_000_000,
        max_short_shares: 1_000_000,
        ..desk::wide_limits()
    };
    let tcp = UserTcp::new(TcpAddressing { seed: 7 + start, ..ADDRESSING }).unwrap();
    let session = OuchSession::new(tcp, LOGIN, &OuchProfile::default(), 128).unwrap();
    let mut desk = Desk::with(session, Style::Join, 1_000, limits);
    for instrument in 0..u32::from(SYMBOLS) {
        let symbol = Symbol(market.symbol(instrument).unwrap().0);
        assert!(desk.risk.set_symbol(instrument as u16, symbol));
    }
    desk
}

impl World {
    /// The market is open, and nobody has ever logged in.
    pub(crate) fn new(cancel_on_disconnect: bool, seed: u64) -> Self {
        let config = market::Config {
            symbols: SYMBOLS,
            seed: 5,
            live_orders: 600,
            halt_every: 0,
            ..market::Config::default()
        };
        let mut market = Market::new(config).unwrap();
        for _ in 0..market.opening_length() + 3_000 {
            market.step(&mut |_| {});
        }
        let users = vec![Credentials { username: LOGIN.username, password: LOGIN.password }];
        let mut config = gateway::Config { cancel_on_disconnect, users, ..Default::default() };
        // So that the repetition of a day takes some milliseconds.
        config.soup.bytes_per_s = 200_000;
        let gateway = Gateway::new(config);
        let ours = process(&market, seed);
        Self {
            now: SECOND,
            ours,
            tx: Tx::default(),
            venue: Venue::new(gateway, market, seed),
            cable: Cable::default(),
            rng: Rng(0x9E37_79B9_7F4A_7C15 ^ seed),
            under_way: BinaryHeap::new(),
            count: 0,
            cut: (false, false),
            answers: 0,
            next: 0,
            starts: seed,
        }
    }

    /// Numbers of open orders that nothing is unanswered of.
    pub(crate) fn resting(&self) -> Vec<(u32, u16)> {
        let orders = self.ours.risk.blotter().orders().filter(|(_, order)| !order.pending());
        orders.map(|(id, order)| (id, order.locate)).collect()
    }

    /// Our process is gone, with everything that it knew, and another one begins. What stood in the transmit queue has left
    /// or not.
    pub(crate) fn kill(&mut self, queue_leaves: bool) {
        if queue_leaves {
            self.collect();
        }
        self.tx.sent.clear();
        self.starts += 1;
        self.ours = process(&self.venue.market, self.starts);
    }

    fn carry(&mut self, to_venue: bool, frame: &[u8]) {
        let Cable { lost, doubled, late } = self.cable;
        if if to_venue { self.cut.0 } else { self.cut.1 } {
            return;
        }
        for _ in 0..=u64::from(self.rng.below(1_000) < doubled) {
            if self.rng.below(1_000) < lost {
                continue;
            }
            let delay = if self.rng.below(1_000) < late { self.rng.below(10) * LATENCY } else { 0 };
            self.count += 1;
            self.under_way.push(Reverse((self.now + LATENCY + delay, self.count, to_venue, frame.to_vec())));
        }
    }

    /// What stands in the queues leaves.
    pub(crate) fn collect(&mut self) {
        for frame in std::mem::take(&mut self.tx.sent) {
            self.carry(true, &frame);
        }
        for packet in std::mem::take(&mut self.venue.device.sent) {
            self.venue.note(&packet);
            let header = 20 + usize::from(packet[32] >> 4) * 4;
            let (syn, fin) = (packet[33] & 2 != 0, packet[33] & 1 != 0);
            self.answers += u64::from(packet.len() > header || syn || fin);
            let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
            frame.extend(packet);
            frame.resize(frame.len().max(60), 0);
            self.carry(false, &frame);
        }
    }

    /// Frames that have not arrived.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len() + self.tx.sent.len()
    }

    /// Lets `ns` pass: what has left arrives, both sides act; what they send stands in their queues.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.collect();
        self.now += ns;
        let Self { now, ours, tx, venue, under_way, next, .. } = self;
        let mut resumed = None;
        let mut heard = |event: &wirebook::blotter::OrderEvent| match event.kind {
            OrderEventKind::Resumed { next } => resumed = Some(next),
            OrderEventKind::Lost { .. } => panic!("nothing is lost: {event:?}"),
            _ => {}
        };
        while let Some(Reverse((at, ..))) = under_way.peek()
            && *at <= *now
        {
            let Some(Reverse((_, _, to_venue, frame))) = under_way.pop() else { break };
            if to_venue {
                let len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
                venue.receive(*now, &frame[14..14 + len]);
            } else {
                let frame = Frame { bytes: &frame, stamp: 0, flags: 0 };
                ours.on_frame(frame, *now, tx, &mut heard);
            }
        }
        venue.poll(*now);
        ours.poll(*now, tx, &mut heard);
        if let Some(number) = resumed {
            *next = number;
            ours.risk.raise_next_ref(number);
        }
        ours.cancel_adopted(*now, tx);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.ours.session.phase()
    }

    /// Lets time pass until something is so; false where it is not within `limit` ns.
    pub(crate) fn within(&mut self, limit: u64, mut so: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while !so(self) {
            if self.now >= end {
                return false;
            }
            let idle = self.under_way() == 0 && self.venue.device.sent.is_empty();
            self.pass(if idle { MS } else { LATENCY / 2 });
        }
        true
    }

    /// Nothing is under way, nothing unanswered, and nothing of earlier processes open.
    pub(crate) fn is_settled(&self) -> bool {
        let blotter = self.ours.risk.blotter();
        self.phase() == Phase::Up
            && self.ours.session.healthy()
            && blotter.adopted_orders() == 0
            && blotter.orders().all(|(_, order)| !order.pending())
    }

    pub(crate) fn view(&self, locate: u16) -> MarketView {
        let market = &self.venue.market;
        let book = market.book(locate.into()).unwrap();
        let level = |side| {
            let best = book.best(side)?;
            Some(Level { price: Price(best.price), shares: best.shares, orders: best.orders })
        };
        let (bid, ask) = (level(exchange::units::Side::Buy), level(exchange::units::Side::Sell));
        MarketView {
            locate,
            timestamp: market.time(),
            now_ns: self.now,
            top: TopOfBook { bid, ask },
            book: BookState::Live,
            trading: TradingState::Trading,
        }
    }

    /// Wants an order: one that rests below the best bid, or one that takes the offer.
    pub(crate) fn enter(&mut self, locate: u16, rests: bool) -> Option<u32> {
        let view = self.view(locate);
        let price = match rests {
            true => Price(view.top.bid.unwrap().price.0 / 200 * 100),
            false => view.top.ask.unwrap().price,
        };
        let (side, shares, time_in_force) = (Side::Buy, 100, TimeInForce::Day);
        self.ours.place(Intent::Enter { locate, side, shares, price, time_in_force }, &view, &mut self.tx)
    }

    /// What there is to compare: positions, and open orders with what is left of them.
    pub(crate) fn agrees(&self) -> Result<(), String> {
        let blotter = self.ours.risk.blotter();
        let account = self.venue.gateway.account_of("WBOOK").ok_or("no account")?;
        for locate in 0..SYMBOLS {
            let theirs = account.position(self.venue.market.symbol(locate.into()).unwrap()).shares();
            let ours = blotter.holding(locate).position;
            if ours != theirs {
                return Err(format!("position {ours}, the venue's {theirs}"));
            }
        }
        let ours: BTreeMap<u32, (u64, u64)> =
            blotter.orders().map(|(id, order)| (id, (order.open(), order.price.0.into()))).collect();
        let theirs: BTreeMap<u32, (u64, u64)> = account
            .open_orders()
            .map(|order| (order.entered.user_ref, (order.left().into(), order.entered.price)))
            .collect();
        if ours != theirs {
            return Err(format!("open {ours:?}, the venue's {theirs:?}"));
        }
        let strange = blotter.counters().replies_that_do_not_fit();
        let counters = self.venue.gateway.counters();
        if blotter.uncertain() || strange > 0 || counters.repeated > 0 || counters.malformed > 0 {
            return Err(format!("{:?} {counters:?}", blotter.counters()));
        }
        Ok(())
    }
}
