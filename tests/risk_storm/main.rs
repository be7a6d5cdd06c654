//! Random intents under random limits and states, through the whole loop: what is on the wire, read by other people's decoders, and
//! what the journal says of it, against a slow account that knows nothing but the documented limits. `WIREBOOK_INTENTS` sets
//! another number of intents.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../order_support/model.rs"]
mod model;
#[path = "../order_support/support.rs"]
mod support;

mod judge;
mod wild;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use exchange::frames::{Addressing, Framer};
use exchange::itch::{self, Listing, NewOrder, Stamp};
use model::{Line, Model};
use support::{FakeTx, Rng, SESSION, reply};
use wild::{Moody, SharedTx, Wild};
use wirebook::blotter::{OrderEvent, OrderEventKind};
use wirebook::config::{Config, Instruments};
use wirebook::journal::Record;
use wirebook::journal::ring::{self, JournalTaker, RingHead};
use wirebook::market::{BookState, Level, Price, Side, Symbol, TopOfBook, TradingState};
use wirebook::nic::TxQueue as _;
use wirebook::nic::replay::{LinkConfig, LinkRx, ReplayTx, link};
use wirebook::pipeline::desk::DeskParts;
use wirebook::pipeline::{Parts, Pipeline, Switches};
use wirebook::risk::{Rate, RiskLimits};
use wirebook::stats::clock::Clock;
use wirebook::stop::KillCause;
use wirebook::strategy::MarketView;
use wirebook::worker::{Worker, assemble};

/// Locates 1 to 3 have books, 4 is announced and nothing else, 5 to 7 do not exist.
const BOOKS: u16 = 3;
const LOCATES: u16 = 8;
const RUN: u64 = 77;

/// Intents of an episode.
const EPISODE: u64 = 500;

fn symbol(locate: u16) -> Symbol {
    Symbol::new(&format!("SYM{locate}")).unwrap()
}

/// One side of a book: its only order.
#[derive(Clone, Copy)]
struct Resting {
    order_ref: u64,
    price: u32,
    shares: u32,
}

/// What is so, whatever the loop thinks.
struct Truth {
    limits: RiskLimits,
    books: BTreeMap<u16, [Option<Resting>; 2]>,
    trading: BTreeMap<u16, bool>,
    reference: BTreeMap<u16, Price>,
    known: Vec<u16>,
    restricted: Vec<u16>,
    armed: bool,
    killed: bool,
    shut: bool,
    /// Up, and no reply was lost.
    session: bool,
    lost: bool,
    stale: bool,
    feed_time: u64,
    now_ns: u64,
    /// The instrument whose market the strategy was shown; `None`: each intent is checked on its own.
    shown: Option<u16>,
}

impl Truth {
    fn view(&self, locate: u16) -> MarketView {
        let level = |side: usize| {
            let resting = self.books.get(&locate).and_then(|book| book[side]);
            resting.map(|r| Level { price: Price(r.price), shares: u64::from(r.shares), orders: 1 })
        };
        MarketView {
            locate,
            timestamp: self.feed_time,
            now_ns: self.now_ns,
            top: TopOfBook { bid: level(0), ask: level(1) },
            book: if self.stale { BookState::Stale } else { BookState::Live },
            trading: match self.trading.get(&locate) {
                Some(true) => TradingState::Trading,
                _ => TradingState::Halted,
            },
        }
    }
}

#[derive(Default)]
struct Tally {
    intents: u64,
    sent: [u64; 3],
    unsent: u64,
    withdrawn: u64,
    replies: u64,
    refused: BTreeMap<&'static str, u64>,
}

struct Episode {
    rng: Rng,
    truth: Truth,
    pipeline: Pipeline<LinkRx, SharedTx, Wild, Moody, Rc<Cell<u64>>>,
    time: Rc<Cell<u64>>,
    switches: Arc<Switches>,
    up: Rc<Cell<bool>>,
    tx: Rc<RefCell<FakeTx>>,
    wire: ReplayTx,
    feed: Framer,
    replies: Framer,
    sequence: u64,
    reply_sequence: u64,
    next_ref: u64,
    taker: JournalTaker,
    bytes: Vec<u8>,
    /// Frames read so far.
    frames: usize,
    records: u64,
    model: Model,
    lines: Vec<Line>,
    matches: u64,
    last_ref: u32,
}

/// Mostly generous; now and then tight enough to bite.
fn draw(rng: &mut Rng, config: &mut Config) -> RiskLimits {
    let mut pick = |tight: u64, wide: u64| if rng.one_in(3) { 1 + rng.below(tight) } else { wide };
    let risk = &mut config.risk;
    risk.max_order_shares = pick(400, 999_999) as u32;
    risk.max_order_value = pick(40_000_000, 1 << 50);
    risk.collar_bp = pick(300, 2_000) as u16;
    risk.max_position_shares = pick(1_500, 100_000) as u32;
    risk.max_gross_value = pick(300_000_000, 1 << 50);
    risk.max_open_orders = pick(6, 40) as u32;
    risk.max_orders_per_second = pick(40, 2_000) as u32;
    risk.max_orders_per_second_per_symbol = pick(40, 1_000) as u32;
    risk.duplicate_window = Duration::from_millis(pick(2_000, 0));
    risk.reference_collar_bp = rng.one_in(4).then(|| rng.below(1_000) as u16);
    risk.restricted = if rng.one_in(10) { vec![symbol(2)] } else { Vec::new() };
    let from = rng.below(60_000_000_000);
    risk.hours = rng.one_in(4).then(|| from..from + 1 + rng.below(60_000_000_000));
    let rate = |per_second| Rate { per_second, burst: per_second };
    RiskLimits {
        max_order_shares: risk.max_order_shares,
        max_order_value: risk.max_order_value,
        collar_bps: risk.collar_bp.into(),
        reference_collar_bps: risk.reference_collar_bp.map(u32::from),
        max_long_shares: risk.max_position_shares.into(),
        max_short_shares: risk.max_position_shares.into(),
        max_gross_value: risk.max_gross_value,
        max_open_orders: risk.max_open_orders,
        port_rate: rate(risk.max_orders_per_second),
        symbol_rate: rate(risk.max_orders_per_second_per_symbol),
        repeat_window_ns: risk.duplicate_window.as_nanos() as u64,
        hours: risk.hours.clone(),
        fills_remembered: risk.max_open_orders * 256,
        restricted: risk.restricted.clone(),
    }
}

impl Episode {
    fn new(seed: u64, base: &Config, ring: &std::path::Path) -> Self {
        let mut rng = Rng(seed | 1);
        (0..8).for_each(|_| _ = rng.below(2));
        let mut config = base.clone();
        let limits = draw(&mut rng, &mut config);
        let clock = Clock::from_hz(1_000_000_000).unwrap();
        let (worker, handles) = assemble(&config, [2; 6], clock).unwrap();
        let Worker::Imbalance(parts) = worker else { unreachable!("the demo trades on imbalance") };
        let head = RingHead { run: RUN, worker: 0, capacity: 1_024, journal: "none".into() };
        let (writer, taker) = ring::create(ring, &head).unwrap();
        let Parts { desk, stream, routes, switches, board, share, .. } = *parts;
        let DeskParts { books, risk, session, universe, stamps, .. } = desk;
        let strategy = Wild { rng: Rng(rng.below(1 << 50) | 1), orders: VecDeque::new() };
        let journal = Some(writer);
        let up = Rc::new(Cell::new(true));
        let session = Moody { inner: session, up: Rc::clone(&up) };
        let desk = DeskParts {
            books,
            strategy,
            risk,
            session,
            universe,
            clock,
            stamps,
            journal,
            cancels_left_over: false,
        };
        let parts = Parts {
            desk,
            stream,
            routes,
            switches,
            board,
            frames: None,
            recovery: None,
            share,
            fifo_priority: None,
            rehearse_ns: 0,
        };
        let (wire, rx) = link(LinkConfig { ring: 4, buffers: 6, slot_len: 512 });
        let tx = Rc::new(RefCell::new(FakeTx::new()));
        let time = Rc::new(Cell::new(1_000_000_000));
        let queue = SharedTx(Rc::clone(&tx));
        let pipeline = Pipeline::with_time(parts, vec![rx], queue, Rc::clone(&time));
        let line = &config.feed.line_a;
        let gateway = config.gateway.unwrap();
        let to = Addressing::multicast(
            [2, 0, 0, 0, 0, 1],
            Ipv4Addr::new(10, 1, 0, 1),
            line.group,
            line.port,
            None,
        );
        let back = Addressing {
            dst_mac: [2; 6],
            src: gateway.ip,
            dst: gateway.local_ip,
            src_port: gateway.port,
            dst_port: gateway.local_port,
            ..to
        };
        let restricted = if limits.restricted.is_empty() { Vec::new() } else { vec![2] };
        Self {
            truth: Truth {
                limits,
                books: BTreeMap::new(),
                trading: BTreeMap::new(),
                reference: BTreeMap::new(),
                known: Vec::new(),
                restricted,
                armed: true,
                killed: false,
                shut: false,
                session: true,
                lost: false,
                stale: false,
                feed_time: rng.below(40_000_000_000),
                now_ns: 1_000_000_000,
                shown: None,
            },
            rng,
            pipeline,
            time,
            switches: handles.switches,
            up,
            tx,
            wire,
            feed: Framer::new(to),
            replies: Framer::new(back),
            sequence: 1,
            reply_sequence: 1,
            next_ref: 1,
            taker,
            bytes: Vec::new(),
            frames: 0,
            records: 0,
            model: Model::default(),
            lines: Vec::new(),
            matches: 0,
            last_ref: 0,
        }
    }

    fn receive(&mut self, frame: &[u8]) {
        let mut slot = self.wire.reserve().unwrap();
        slot[..frame.len()].copy_from_slice(frame);
        assert!(self.wire.send(slot, frame.len() as u16).is_ok());
        assert!(self.pipeline.poll());
    }

    /// One message of the feed, in a packet of its own.
    fn say(&mut self, message: &[u8]) {
        let packet = mold(*b"FEED000001", self.sequence, message);
        self.sequence += 1;
        let frame = self.feed.frame(&packet).unwrap().to_vec();
        self.receive(&frame);
    }

    fn stamp(&mut self, locate: u16) -> Stamp {
        self.truth.feed_time += self.rng.below(400_000_000);
        Stamp { locate, tracking: 0, time: self.truth.feed_time }
    }

    fn step_time(&mut self) {
        self.truth.now_ns += [0, 1, 1_000, 1_000_000, 50_000_000, 400_000_000][self.rng.below(6) as usize];
        self.time.set(self.truth.now_ns);
    }

    fn open(&mut self, tally: &mut Tally) {
        self.tick();
        self.judge(tally);
        for locate in 1..=4 {
            let stamp = self.stamp(locate);
            self.truth.known.push(locate);
            self.say(&itch::directory(
                stamp,
                &Listing { stock: exchange::units::Symbol(symbol(locate).0), ipo: b'N' },
            ));
            self.judge(tally);
        }
    }

    fn tick(&mut self) {
        self.pipeline.tick(self.truth.now_ns);
    }

    /// Something happens in the market.
    fn market(&mut self) {
        let locate = 1 + self.rng.below(u64::from(BOOKS)) as u16;
        self.truth.shown = Some(locate);
        let stock = exchange::units::Symbol(symbol(locate).0);
        let stamp = self.stamp(locate);
        let side = self.rng.below(2) as usize;
        let resting = self.truth.books.entry(locate).or_default()[side];
        if self.rng.one_in(15) || !self.truth.trading.contains_key(&locate) {
            let trades = !self.rng.one_in(6);
            self.truth.trading.insert(locate, trades);
            self.say(&itch::trading_action(stamp, stock, if trades { b'T' } else { b'H' }, *b"    "));
            return;
        }
        match resting {
            Some(r) if self.rng.one_in(3) => {
                let price = 95_000 + self.rng.below(10_000) as u32;
                let shares = 1.min(r.shares);
                let left = Resting { shares: r.shares - shares, ..r };
                self.truth.books.get_mut(&locate).unwrap()[side] = (left.shares > 0).then_some(left);
                let printable = !self.rng.one_in(4);
                if printable {
                    self.truth.reference.insert(locate, Price(price));
                }
                self.matches += 1;
                let number = 1 << 40 | self.matches;
                self.say(&itch::executed_with_price(stamp, r.order_ref, shares, number, printable, price));
            }
            Some(r) if self.rng.one_in(2) => {
                self.truth.books.get_mut(&locate).unwrap()[side] = None;
                self.say(&itch::deleted(stamp, r.order_ref));
            }
            Some(r) => {
                let (price, shares) = (self.price(side), 1 + self.rng.below(500) as u32);
                let new = Resting { order_ref: self.next_ref, price, shares };
                self.next_ref += 1;
                self.truth.books.get_mut(&locate).unwrap()[side] = Some(new);
                self.say(&itch::replaced(stamp, r.order_ref, new.order_ref, shares, price));
            }
            None => {
                let (price, shares) = (self.price(side), 1 + self.rng.below(500) as u32);
                let new = Resting { order_ref: self.next_ref, price, shares };
                self.next_ref += 1;
                self.truth.books.get_mut(&locate).unwrap()[side] = Some(new);
                let of = if side == 0 { exchange::units::Side::Buy } else { exchange::units::Side::Sell };
                self.say(&itch::add(
                    stamp,
                    &NewOrder { order_ref: new.order_ref, side: of, shares, stock, price },
                ));
            }
        }
    }

    fn price(&mut self, side: usize) -> u32 {
        if side == 0 { 99_000 + self.rng.below(900) as u32 } else { 100_000 + self.rng.below(900) as u32 }
    }

    /// The venue says something: mostly what makes sense. The bytes, and what they mean.
    fn answer(&mut self) -> Option<(Vec<u8>, OrderEvent)> {
        let count = self.model.chains.len() as u64;
        if count == 0 {
            return None;
        }
        let chain = self.model.chains[self.rng.below(count) as usize].clone();
        let rng = &mut self.rng;
        let side = if chain.side == Side::Buy { b'B' } else { b'S' };
        let open = chain.open().max(1) as u64;
        let shares = if rng.one_in(2) { open as u32 } else { 1 + rng.below(open) as u32 };
        let at = 99_000 + rng.below(2_000) as u32;
        let (price, order_ref) = (Price(at), |id: u32| 1_000_000 + u64::from(id));
        use OrderEventKind as Of;
        let (id, bytes, kind) = match chain.next {
            Some((next, total, _)) if !rng.one_in(4) => {
                let left = total.saturating_sub(chain.executed) as u32;
                let kind = Of::Replaced {
                    original: chain.id,
                    shares: left,
                    price,
                    order_ref: order_ref(next),
                    live: true,
                };
                (next, reply::replaced(chain.id, next, side, left, at.into()), kind)
            }
            _ if !chain.accepted && !rng.one_in(5) => {
                let kind =
                    Of::Accepted { shares: open as u32, price, order_ref: order_ref(chain.id), live: true };
                (chain.id, reply::accepted(chain.id, side, open as u32, at.into(), b'L'), kind)
            }
            next => {
                let id = next.filter(|_| rng.one_in(2)).map_or(chain.id, |next| next.0);
                match rng.below(9) {
                    0 => (id, reply::rejected(id, 7), Of::Rejected { reason: 7 }),
                    1..5 => {
                        self.matches += u64::from(!rng.one_in(10));
                        let match_number = self.matches;
                        let kind = Of::Executed { shares, price, match_number, liquidity: b'A' };
                        (id, reply::executed(id, shares, at.into(), match_number), kind)
                    }
                    5 => {
                        let match_number = self.matches.saturating_sub(rng.below(3));
                        (id, reply::broken(id, match_number), Of::Broken { match_number, reason: b'E' })
                    }
                    6 => (id, reply::short(b'I', id), Of::CancelReject),
                    _ => (id, reply::canceled(id, shares, b'U'), Of::Canceled { shares, reason: b'U' }),
                }
            }
        };
        Some((bytes, OrderEvent { user_ref_num: id, timestamp: 34_200_000_000_000, kind }))
    }

    fn hear(&mut self, tally: &mut Tally) {
        let Some((message, event)) = self.answer() else { return };
        let mut said = vec![event];
        if !self.truth.lost && self.rng.one_in(1_000) {
            // One reply is lost: positions are uncertain from there on.
            self.reply_sequence += 1;
            (self.truth.session, self.truth.lost) = (false, true);
            let kind = OrderEventKind::Lost { messages: 1 };
            said.insert(0, OrderEvent { user_ref_num: 0, timestamp: 0, kind });
        }
        let packet = mold(SESSION, self.reply_sequence, &message);
        self.reply_sequence += 1;
        let frame = self.replies.frame(&packet).unwrap().to_vec();
        // The strategy is asked after all that a packet says was taken up.
        self.receive(&frame);
        for event in said {
            let record = self.next_record().unwrap();
            let expected = Record::of_event(&event, 0);
            let told = |r: &Record| {
                (r.kind, r.action, r.order, r.other, r.shares, r.price, r.number, r.code, r.venue_time)
            };
            assert_eq!(told(&record), told(&expected));
            self.note(Line::Event(event));
            tally.replies += 1;
        }
        self.judge(tally);
    }

    fn run(&mut self, tally: &mut Tally) {
        self.open(tally);
        let until = tally.intents + EPISODE;
        let mut steps = 0;
        let mut hopeless = 0;
        while tally.intents < until && steps < 20 * EPISODE && hopeless < 40 {
            steps += 1;
            // Nothing but cancels will ever leave again.
            hopeless += u64::from(self.model.uncertain || self.truth.killed || self.truth.stale);
            self.step_time();
            self.truth.shown = None;
            {
                let mut tx = self.tx.borrow_mut();
                (tx.no_buffer, tx.ring_full) = (self.rng.one_in(40), self.rng.one_in(40));
            }
            match self.rng.below(200) {
                0 => {
                    self.truth.armed = self.rng.one_in(2) || !self.rng.one_in(3);
                    self.switches.armed.store(self.truth.armed, Ordering::Relaxed);
                    self.tick();
                }
                1 => {
                    self.truth.shut = self.rng.one_in(8);
                    self.taker.shut(self.truth.shut);
                }
                2 if self.rng.one_in(8) => {
                    self.truth.killed = true;
                    self.switches.kill.throw(KillCause::Command);
                    self.tick();
                }
                3 if self.rng.one_in(8) && !self.truth.stale => {
                    // What no line brings makes every book stale.
                    self.sequence += 1;
                    self.truth.stale = true;
                    let stamp = self.stamp(0);
                    let packet = mold(*b"FEED000001", self.sequence, &itch::system_event(stamp, b'Q'));
                    self.sequence += 1;
                    let frame = self.feed.frame(&packet).unwrap().to_vec();
                    self.receive(&frame);
                    self.tick();
                }
                4 => {
                    self.up.set(!self.rng.one_in(4));
                    self.truth.session = self.up.get() && !self.truth.lost;
                    self.tick();
                }
                5..20 => self.tick(),
                20..90 => self.hear(tally),
                _ => self.market(),
            }
            self.judge(tally);
        }
    }
}

fn mold(session: [u8; 10], sequence: u64, message: &[u8]) -> Vec<u8> {
    let mut packet = session.to_vec();
    packet.extend(sequence.to_be_bytes());
    packet.extend(1_u16.to_be_bytes());
    packet.extend((message.len() as u16).to_be_bytes());
    packet.extend(message);
    packet
}

fn base() -> Config {
    let (text, _recovery) = include_str!("../../config/demo.toml").split_once("[recovery]").unwrap();
    let mut config = Config::parse(text, "demo.toml").unwrap();
    config.feed.line_b = None;
    config.feed.reorder_wait = Duration::ZERO;
    config.feed.reorder_packets = 1;
    config.latency.stages = false;
    config.book.max_locates = LOCATES.into();
    config.book.max_orders = 64;
    config.book.max_levels = 64;
    config.instruments = Instruments::All;
    config
}

#[test]
fn no_order_that_breaks_a_limit_leaves() {
    let wanted = std::env::var("WIREBOOK_INTENTS").map_or(100_000, |text| text.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let base = base();
    let mut tally = Tally::default();
    let mut episodes = 0_u64;
    while tally.intents < wanted {
        let ring = place.path().join("ring");
        let mut episode = Episode::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(episodes + 1), &base, &ring);
        episode.run(&mut tally);
        episode.taker.remove().unwrap();
        episodes += 1;
    }
    let Tally { intents, sent: [enters, replaces, cancels], unsent, withdrawn, replies, refused } = &tally;
    println!(
        "{intents} intents in {episodes} episodes: {enters} entries, {replaces} replacements, {cancels} cancels left \
         ({withdrawn} by the loop), {unsent} found no room, {replies} replies; none broke a limit. Refused:"
    );
    refused.iter().for_each(|(why, count)| println!("  {why:28} {count}"));
    assert!(*enters > wanted / 50 && *replaces > wanted / 500 && *cancels > wanted / 100);
    for why in wirebook::risk::Refusal::ALL {
        // It takes four thousand million orders to use up the numbers.
        let never = why == wirebook::risk::Refusal::RefsExhausted;
        assert_eq!(refused.contains_key(why.name()), !never, "{why:?}");
    }
}
