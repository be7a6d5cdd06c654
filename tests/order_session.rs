//! The OUCH session against the exchange of this workspace, over connections that break anywhere: no order is sent twice,
//! and whenever the session says that it is up, both sides mean the same orders and positions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "order_support/desk.rs"]
mod desk;
#[path = "order_support/support.rs"]
mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use desk::Desk;
use exchange::gateway::{self, Gateway};
use exchange::market::{self, Market, Phase as MarketPhase};
use exchange::soup::{ConnId, Credentials, Output};
use support::{FakeTx, Rng};
use wirebook::market::{BookState, Level, Price, Symbol, TopOfBook, TradingState};
use wirebook::nic::{Frame, TxQueue};
use wirebook::order::ouch::OuchProfile;
use wirebook::order::ouch_session::{OuchSession, Phase};
use wirebook::order::soup::Login;
use wirebook::order::stream::{Stream, StreamState};
use wirebook::order::{OrderEventKind, SendError, Session};
use wirebook::risk::RiskLimits;
use wirebook::strategy::imbalance::Style;
use wirebook::strategy::{MarketView, Strategy};

const SYMBOLS: u16 = 7;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const LOGIN: Login = Login { username: *b"WBOOK ", password: *b"SECRET    ", session: [b' '; 10], next: 1 };

/// Bytes both ways, in memory; the test opens and breaks it.
#[derive(Debug, Default)]
struct Pipe {
    up: Vec<u8>,
    down: Vec<u8>,
    wanted: bool,
    open: bool,
    /// The server closed it; what is in `down` comes first.
    ended: bool,
    /// Everything that was ever written.
    written: Vec<u8>,
    /// Writes are refused.
    full: bool,
    connects: u64,
}

#[derive(Clone, Debug, Default)]
struct Fake(Rc<RefCell<Pipe>>);

impl Stream for Fake {
    fn connect<T: TxQueue>(&mut self, _: u64, _: &mut T) {
        let mut pipe = self.0.borrow_mut();
        let (written, connects) = (std::mem::take(&mut pipe.written), pipe.connects + 1);
        *pipe = Pipe { wanted: true, written, connects, ..Pipe::default() };
    }
    fn close<T: TxQueue>(&mut self, _: u64, _: &mut T) {
        self.0.borrow_mut().ended = true;
    }
    fn abort<T: TxQueue>(&mut self, _: u64, _: &mut T) {
        let mut pipe = self.0.borrow_mut();
        (pipe.wanted, pipe.open) = (false, false);
    }
    fn state(&self) -> StreamState {
        let pipe = self.0.borrow();
        match (pipe.wanted, pipe.open, pipe.ended && pipe.down.is_empty()) {
            (false, ..) => StreamState::Closed,
            (true, false, _) => StreamState::Connecting,
            (true, true, false) => StreamState::Open,
            (true, true, true) => StreamState::Ended,
        }
    }
    fn write<T: TxQueue>(&mut self, bytes: &[u8], _: &mut T) -> Result<(), SendError> {
        let mut pipe = self.0.borrow_mut();
        if pipe.full {
            return Err(SendError::Backlog);
        }
        pipe.up.extend_from_slice(bytes);
        pipe.written.extend_from_slice(bytes);
        Ok(())
    }
    fn on_frame<T: TxQueue>(&mut self, _: Frame<'_>, _: u64, _: &mut T, _: &mut impl FnMut(&[u8])) -> bool {
        false
    }
    fn poll<T: TxQueue>(&mut self, _: u64, _: &mut T, on_bytes: &mut impl FnMut(&[u8])) {
        let bytes = std::mem::take(&mut self.0.borrow_mut().down);
        if !bytes.is_empty() {
            on_bytes(&bytes);
        }
    }
}

/// The exchange's own book, as a feed would show it.
fn view(market: &Market, instrument: u32, now_ns: u64) -> MarketView {
    let book = market.book(instrument).unwrap();
    let level = |side| {
        book.best(side).map(|queue| Level {
            price: Price(queue.price),
            shares: queue.shares,
            orders: queue.orders,
        })
    };
    MarketView {
        locate: instrument as u16,
        timestamp: market.time(),
        now_ns,
        top: TopOfBook { bid: level(exchange::units::Side::Buy), ask: level(exchange::units::Side::Sell) },
        book: BookState::Live,
        trading: if market.is_trading(instrument) { TradingState::Trading } else { TradingState::Halted },
    }
}

/// Both sides and the pipe between them.
struct World {
    now: u64,
    market: Market,
    gateway: Gateway,
    desk: Desk<OuchSession<Fake>>,
    pipe: Rc<RefCell<Pipe>>,
    conn: Option<ConnId>,
    conns: u64,
    tx: FakeTx,
    resumed: u64,
    never_arrived: u64,
    disconnected: u64,
}

impl World {
    fn new(style: Style, seed: u64, cancel_on_disconnect: bool) -> Self {
        let config = market::Config { symbols: SYMBOLS, seed, live_orders: 600, ..market::Config::default() };
        let market = Market::new(config).unwrap();
        let users = vec![Credentials { username: LOGIN.username, password: LOGIN.password }];
        let gateway = Gateway::new(gateway::Config { cancel_on_disconnect, users, ..Default::default() });
        let wide = u64::MAX;
        let limits = RiskLimits {
            collar_bps: 10_000,
            max_order_value: wide,
            max_gross_value: wide,
            max_long_shares: 20_000,
            max_short_shares: 20_000,
            ..desk::wide_limits()
        };
        let fake = Fake::default();
        let pipe = Rc::clone(&fake.0);
        let session = OuchSession::new(fake, LOGIN, &OuchProfile::default(), 128).unwrap();
        let mut desk = Desk::with(session, style, 1_000, limits);
        for instrument in 0..u32::from(SYMBOLS) {
            let symbol = Symbol(market.symbol(instrument).unwrap().0);
            desk.strategy.on_instrument(instrument as u16, symbol);
            assert!(desk.risk.set_symbol(instrument as u16, symbol));
        }
        Self {
            now: SECOND,
            market,
            gateway,
            desk,
            pipe,
            conn: None,
            conns: 0,
            tx: FakeTx::new(),
            resumed: 0,
            never_arrived: 0,
            disconnected: 0,
        }
    }

    /// Moves up to so many bytes each way, and lets both sides act.
    fn pass(&mut self, ns: u64, up: usize, down: usize) {
        self.now += ns;
        let wants = {
            let pipe = self.pipe.borrow();
            pipe.wanted && !pipe.open
        };
        if wants {
            self.hang_up();
            self.pipe.borrow_mut().open = true;
            self.conns += 1;
            self.gateway.on_connect(self.now, ConnId(self.conns));
            self.conn = Some(ConnId(self.conns));
        }
        let bytes: Vec<u8> = {
            let mut pipe = self.pipe.borrow_mut();
            let up = up.min(pipe.up.len());
            pipe.up.drain(..up).collect()
        };
        let (now, pipe, conn) = (self.now, &self.pipe, self.conn);
        let mut closed = false;
        // The network's queue towards us is as long as it has to be; the test takes from it what it likes.
        let mut out = |output: Output<'_>| match output {
            Output::Bytes { conn: to, bytes } if Some(to) == conn => {
                pipe.borrow_mut().down.extend_from_slice(bytes);
            }
            Output::Bytes { .. } => {}
            Output::Close { conn: which } => closed |= Some(which) == conn,
        };
        if let Some(conn) = conn {
            self.gateway.on_bytes(now, conn, &bytes, &mut self.market, &mut |_| {}, &mut out);
        }
        self.gateway.tick(now, &mut self.market, &mut |_| {}, &mut out);
        if closed {
            self.pipe.borrow_mut().ended = true;
            self.conn = None;
        }
        let later = {
            let mut pipe = self.pipe.borrow_mut();
            let down = down.min(pipe.down.len());
            pipe.down.split_off(down)
        };
        let (resumed, never, gone) = (&mut self.resumed, &mut self.never_arrived, &mut self.disconnected);
        let mut next = None;
        self.desk.poll(now, &mut self.tx, &mut |event| match event.kind {
            OrderEventKind::Resumed { next: number } => {
                *resumed += 1;
                next = Some(number);
            }
            OrderEventKind::Rejected { reason: wirebook::order::event::NEVER_ARRIVED } => *never += 1,
            OrderEventKind::Disconnected => *gone += 1,
            OrderEventKind::Lost { .. } => panic!("nothing is lost: {event:?}"),
            _ => {}
        });
        if let Some(next) = next {
            self.desk.risk.raise_next_ref(next);
        }
        self.pipe.borrow_mut().down.extend(later);
    }

    /// The server's end of the connection is gone.
    fn hang_up(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.gateway.on_disconnect(self.now, conn);
        }
    }

    /// The connection breaks: of what is under way each side gets the beginning, of any length.
    fn cut(&mut self, rng: &mut Rng) {
        let (up, down) = {
            let pipe = self.pipe.borrow();
            (rng.below(pipe.up.len() as u64 + 1) as usize, rng.below(pipe.down.len() as u64 + 1) as usize)
        };
        self.pass(0, up, down);
        self.hang_up();
        let mut pipe = self.pipe.borrow_mut();
        pipe.down.clear();
        pipe.up.clear();
        pipe.wanted = false;
    }

    fn phase(&self) -> Phase {
        self.desk.session.phase()
    }

    fn until(&mut self, limit: u64, so: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !so(self) {
            assert!(self.now < end, "{:?}", self.desk.session);
            self.pass(10 * MS, usize::MAX, usize::MAX);
        }
    }

    /// Positions and open orders are those of the exchange's account.
    fn assert_agreed(&self) {
        let account = self.gateway.account_of("WBOOK").unwrap();
        for instrument in 0..u32::from(SYMBOLS) {
            let theirs = account.position(self.market.symbol(instrument).unwrap());
            assert_eq!(self.desk.risk.blotter().holding(instrument as u16).position, theirs.shares());
        }
        let ours: BTreeMap<u32, u64> =
            self.desk.risk.blotter().orders().map(|(id, order)| (id, order.open())).collect();
        let theirs: BTreeMap<u32, u64> =
            account.open_orders().map(|order| (order.entered.user_ref, u64::from(order.left()))).collect();
        assert_eq!(ours, theirs);
        assert!(!self.desk.risk.blotter().uncertain());
    }
}

/// The numbers of all new orders and replacements that were ever written.
fn numbers(written: &[u8]) -> Vec<u32> {
    let (mut numbers, mut rest) = (Vec::new(), written);
    while let Ok(Some((packet, more))) = wirebook::wire::soup::split(rest) {
        let number = |at: usize| u32::from_be_bytes(packet.payload[at..at + 4].try_into().unwrap());
        match (packet.packet_type, packet.payload.first()) {
            (b'U', Some(b'O')) => numbers.push(number(1)),
            (b'U', Some(b'U')) => numbers.push(number(5)),
            _ => {}
        }
        rest = more;
    }
    assert_eq!(rest, b"");
    numbers
}

fn run(style: Style, seed: u64, cancel_on_disconnect: bool) {
    let mut world = World::new(style, seed, cancel_on_disconnect);
    let mut rng = Rng(seed);
    let mut agreed = 0;
    for step in 0..400_000_u64 {
        if world.market.step(&mut |_| {}) == MarketPhase::Closed {
            break;
        }
        let shown = view(&world.market, (step % u64::from(SYMBOLS)) as u32, world.now);
        world.desk.on_top(&shown, &mut world.tx);
        let (up, down) = (rng.below(200) as usize, rng.below(300) as usize);
        // While the session is down time runs, for retries and the first heartbeat.
        let ns = if world.phase() == Phase::Up { 10_000 } else { 5 * MS };
        // Most breaks come while an order is under way.
        let busy = !world.pipe.borrow().up.is_empty();
        if world.phase() == Phase::Up && rng.one_in(if busy { 20 } else { 2_000 }) {
            world.cut(&mut rng);
        }
        world.pass(ns, up, down);
        if rng.one_in(2_000) {
            world.until(30 * SECOND, |w| w.phase() == Phase::Up && w.desk.session.healthy());
            world.until(SECOND, |w| w.pipe.borrow().up.is_empty());
            world.pass(MS, usize::MAX, usize::MAX);
            world.pass(MS, usize::MAX, usize::MAX);
            world.assert_agreed();
            agreed += 1;
        }
    }
    world.until(30 * SECOND, |w| w.phase() == Phase::Up);
    world.pass(MS, usize::MAX, usize::MAX);
    world.pass(MS, usize::MAX, usize::MAX);
    world.assert_agreed();

    let numbers = numbers(&world.pipe.borrow().written);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "each number once, and rising");
    let life = world.desk.session.life_counters();
    assert_eq!((life.ups, life.never_arrived, life.contradictions), (world.resumed, world.never_arrived, 0));
    assert!(life.breaks > 50 && world.disconnected == life.breaks, "{life:?}");
    assert!(
        agreed > 10 && numbers.len() > 500 && life.never_arrived > 20,
        "{agreed} {} {life:?}",
        numbers.len()
    );
    assert_eq!(world.gateway.counters().malformed, 0);
}

#[test]
fn a_connection_that_breaks_anywhere_leaves_no_order_unknown() {
    run(Style::Join, 21, true);
    run(Style::Join, 22, false);
    run(Style::Take, 23, true);
}

#[test]
fn a_later_process_hears_the_whole_day_before_it_is_up() {
    let mut world = World::new(Style::Take, 31, false);
    for step in 0..20_000_u64 {
        world.market.step(&mut |_| {});
        let shown = view(&world.market, (step % u64::from(SYMBOLS)) as u32, world.now);
        world.desk.on_top(&shown, &mut world.tx);
        let ns = if world.phase() == Phase::Up { 10_000 } else { 5 * MS };
        world.pass(ns, usize::MAX, usize::MAX);
        if step % 1_000 == 999 {
            world.cut(&mut Rng(step));
        }
    }
    world.until(30 * SECOND, |w| w.phase() == Phase::Up);
    let (session, next) = world.desk.session.resume_point();
    assert!(next > 500 && session == *b"OUCH000001");

    // Another process, which knows nothing: the answers to the earlier account queries are among what it hears.
    let fake = Fake::default();
    world.hang_up();
    world.pipe = Rc::clone(&fake.0);
    let session = OuchSession::new(fake, LOGIN, &OuchProfile::default(), 128).unwrap();
    world.desk = Desk::with(session, Style::Take, 1_000, desk::wide_limits());
    let mut replayed = 0;
    while world.phase() != Phase::Up {
        // A slow line: the answers come long before the end.
        world.pass(MS, usize::MAX, 500);
        replayed += 1;
        assert!(replayed < 20_000);
    }
    assert_eq!(world.desk.session.resume_point().1, next + 1, "everything, and the answer to its own query");
    assert_eq!(world.desk.session.life_counters().queries, 1);
    let account = world.gateway.account_of("WBOOK").unwrap();
    let cleared = account.next_user_ref();
    assert!(cleared > 500);
}

#[test]
fn what_stops_a_session_and_what_does_not() {
    let mut world = World::new(Style::Join, 41, true);
    let mut rng = Rng(1);
    // Never answered: attempts follow each other more and more slowly.
    world.pipe.borrow_mut().full = true;
    world.until(5 * SECOND, |w| w.phase() == Phase::Connecting);
    for _ in 0..10 {
        world.until(60 * SECOND, |w| w.phase() == Phase::Up);
        assert!(world.desk.session.healthy());
        world.cut(&mut rng);
        world.pass(MS, 0, 0);
        assert!(!world.desk.session.healthy());
        assert_eq!(world.phase(), Phase::Down);
    }
    world.until(60 * SECOND, |w| w.phase() == Phase::Up);
    // A silent server: given up after fifteen seconds.
    let began = world.now;
    while world.phase() == Phase::Up {
        world.pass(100 * MS, 0, 0);
    }
    assert_eq!((world.now - began).div_ceil(SECOND), 15);
    world.until(60 * SECOND, |w| w.phase() == Phase::Up);
    // Heartbeats keep it up for as long as one likes.
    let breaks = world.desk.session.life_counters().breaks;
    let before = world.desk.session.counters().heartbeats;
    for _ in 0..1_000 {
        world.pass(100 * MS, usize::MAX, usize::MAX);
    }
    assert_eq!((world.phase(), world.desk.session.life_counters().breaks), (Phase::Up, breaks));
    let heartbeats = world.desk.session.counters().heartbeats - before;
    assert!((90..=100).contains(&heartbeats), "{heartbeats}");

    // The day ends: no further attempt.
    let time = world.market.time();
    world.gateway.end(time, &mut |_, _| {});
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped);
    let connects = world.pipe.borrow().connects;
    for _ in 0..100 {
        world.pass(SECOND, usize::MAX, usize::MAX);
    }
    assert_eq!((world.pipe.borrow().connects, world.phase()), (connects, Phase::Stopped));
    assert_eq!(world.desk.session.counters().ends, 1);

    // A wrong password: once, and not again.
    let mut world = World::new(Style::Join, 42, true);
    let fake = Fake::default();
    world.pipe = Rc::clone(&fake.0);
    let login = Login { password: *b"WRONG     ", ..LOGIN };
    world.desk.session = OuchSession::new(fake, login, &OuchProfile::default(), 128).unwrap();
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped);
    assert_eq!(world.desk.session.soup_counters().rejected, 1);
    world.desk.session.resume();
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped && w.pipe.borrow().connects == 2);

    // We log out.
    let mut world = World::new(Style::Join, 43, true);
    world.until(60 * SECOND, |w| w.phase() == Phase::Up);
    let now = world.now;
    world.desk.session.log_out(now, &mut world.tx);
    assert_eq!(world.phase(), Phase::Leaving);
    world.until(5 * SECOND, |w| w.phase() == Phase::Stopped);
    assert!(world.pipe.borrow().written.ends_with(b"\x00\x01O"));
    assert_eq!(world.pipe.borrow().connects, 1);
}
