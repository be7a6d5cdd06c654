//! The session over a made-up connection to the exchange of this workspace: bytes both ways in memory, in virtual time.

#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use exchange::gateway::{self, Gateway};
use exchange::market::{self, Market};
use exchange::soup::{ConnId, Credentials, Output};
use wirebook::blotter::OrderEventKind;
use wirebook::market::{BookState, Level, Price, Symbol, TopOfBook, TradingState};
use wirebook::nic::{Frame, TxQueue};
use wirebook::order::ouch::OuchProfile;
use wirebook::order::ouch_session::{OuchSession, Phase};
use wirebook::order::soup::Login;
use wirebook::order::stream::{Stream, StreamState};
use wirebook::order::{SendError, Session};
use wirebook::risk::RiskLimits;
use wirebook::strategy::imbalance::Style;
use wirebook::strategy::{MarketView, Strategy};

use super::desk::{self, Desk};
use super::support::{FakeTx, Rng};

pub(crate) const SYMBOLS: u16 = 7;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
pub(crate) const LOGIN: Login =
    Login { username: *b"WBOOK ", password: *b"SECRET    ", session: [b' '; 10], next: 1 };

/// Bytes both ways, in memory; the test opens and breaks it.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
    pub(crate) wanted: bool,
    pub(crate) open: bool,
    /// The server closed it; what is in `down` comes first.
    pub(crate) ended: bool,
    /// Everything that was ever written.
    pub(crate) written: Vec<u8>,
    /// Writes are refused.
    pub(crate) full: bool,
    pub(crate) connects: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(pub(crate) Rc<RefCell<Pipe>>);

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
pub(crate) fn view(market: &Market, instrument: u32, now_ns: u64) -> MarketView {
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
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) market: Market,
    pub(crate) gateway: Gateway,
    pub(crate) desk: Desk<OuchSession<Fake>>,
    pub(crate) pipe: Rc<RefCell<Pipe>>,
    pub(crate) conn: Option<ConnId>,
    pub(crate) conns: u64,
    pub(crate) tx: FakeTx,
    pub(crate) resumed: u64,
    pub(crate) never_arrived: u64,
    pub(crate) disconnected: u64,
}

/// A process that knows nothing: no order, no position, no instrument of the feed.
pub(crate) fn process(style: Style) -> (Desk<OuchSession<Fake>>, Rc<RefCell<Pipe>>) {
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
    // Whatever it is told to begin with.
    let session = OuchSession::new(fake, Login { next: 9, ..LOGIN }, &OuchProfile::default(), 128).unwrap();
    (Desk::with(session, style, 1_000, limits), pipe)
}

/// The feed names its instruments.
pub(crate) fn name<O: Session>(desk: &mut Desk<O>, market: &Market) {
    for instrument in 0..u32::from(SYMBOLS) {
        let symbol = Symbol(market.symbol(instrument).unwrap().0);
        desk.strategy.on_instrument(instrument as u16, symbol);
        assert!(desk.risk.set_symbol(instrument as u16, symbol));
    }
}

impl World {
    pub(crate) fn new(style: Style, seed: u64, cancel_on_disconnect: bool) -> Self {
        let config = market::Config { symbols: SYMBOLS, seed, live_orders: 600, ..market::Config::default() };
        let market = Market::new(config).unwrap();
        let users = vec![Credentials { username: LOGIN.username, password: LOGIN.password }];
        let gateway = Gateway::new(gateway::Config { cancel_on_disconnect, users, ..Default::default() });
        let (mut desk, pipe) = process(style);
        name(&mut desk, &market);
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
    pub(crate) fn pass(&mut self, ns: u64, up: usize, down: usize) {
        self.now += ns;
        let wants = {
            let pipe = self.pipe.borrow();
            pipe.wanted && !pipe.open
        };
        if wants {
            // One that the server still believes in is taken over by the login.
            self.conn = None;
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
            OrderEventKind::Rejected { reason: wirebook::blotter::NEVER_ARRIVED } => *never += 1,
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
    pub(crate) fn hang_up(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.gateway.on_disconnect(self.now, conn);
        }
    }

    /// The connection breaks: of what is under way each side gets the beginning, of any length.
    pub(crate) fn cut(&mut self, rng: &mut Rng) {
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

    /// Our process is killed and started again. Of what was under way to the venue it gets the beginning, of any length, and
    /// it may or may not hear that the connection is gone.
    pub(crate) fn kill(&mut self, style: Style, rng: &mut Rng) {
        let up = rng.below(self.pipe.borrow().up.len() as u64 + 1) as usize;
        self.pass(0, up, 0);
        if rng.one_in(2) {
            self.hang_up();
        }
        (self.desk, self.pipe) = process(style);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.desk.session.phase()
    }

    pub(crate) fn until(&mut self, limit: u64, so: impl Fn(&Self) -> bool) {
        let end = self.now + limit;
        while !so(self) {
            assert!(self.now < end, "{:?} {:?}", self.phase(), self.desk.session.life_counters());
            self.pass(10 * MS, usize::MAX, usize::MAX);
        }
    }

    /// Positions and open orders are those of the exchange's account.
    pub(crate) fn assert_agreed(&self) {
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
pub(crate) fn numbers(written: &[u8]) -> Vec<u32> {
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
