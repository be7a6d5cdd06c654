//! The handler: the loop and the recovery client of production, on a virtual clock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use wirebook::book::Books;
use wirebook::config::{Config, Style};
use wirebook::feed::Stream;
use wirebook::feed::handover::{ClientEnd, link as handover};
use wirebook::feed::recovery::Recovery;
use wirebook::market::{BookState, Symbol};
use wirebook::nic::replay::{LinkConfig, LinkRx, ReplayTx, link};
use wirebook::nic::{RxQueue, TxQueue};
use wirebook::order::venue::Venue as Session;
use wirebook::pipeline::desk::DeskParts;
use wirebook::pipeline::share::Share;
use wirebook::pipeline::{Parts, Pipeline, RecoveryParts};
use wirebook::stats::clock::Clock;
use wirebook::strategy::features::{FeatureState, FeatureVector, Features, Step};
use wirebook::strategy::imbalance::Imbalance;
use wirebook::strategy::maker::Maker;
use wirebook::strategy::signal::Signal;
use wirebook::strategy::template::Template;
use wirebook::strategy::{Intent, Intents, MarketView, OrderUpdate, Strategy, StrategyCounters};
use wirebook::tsc::TimeSource;
use wirebook::worker::{Worker, assemble};

use crate::draw::{Draw, MS, S};

/// The loop's own time, ns.
#[derive(Clone, Debug)]
pub(crate) struct Time(Rc<Cell<u64>>);

impl TimeSource for Time {
    /// Longer than in production: the rounds of a simulated loop are.
    const LONGEST_ROUND: u64 = 2 * MS;

    fn now(&self) -> u64 {
        self.0.get()
    }
}

/// An order that left, and what it was decided on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    pub(crate) intent: Intent,
    /// `None`: on a reply, not on a change of the book.
    pub(crate) view: Option<MarketView>,
}

/// The strategy of a seed.
pub(crate) enum Any {
    Imbalance(Box<Imbalance>),
    Model(Box<Signal>),
    Maker(Box<Maker>),
    Template(Box<Template>),
}

macro_rules! each {
    ($any:expr, $one:ident => $what:expr) => {
        match $any {
            Any::Imbalance($one) => $what,
            Any::Model($one) => $what,
            Any::Maker($one) => $what,
            Any::Template($one) => $what,
        }
    };
}

impl Strategy for Any {
    const FOLLOWS: bool = true;

    fn on_session(&mut self) {
        each!(self, one => one.on_session());
    }

    fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        each!(self, one => one.on_instrument(locate, symbol));
    }

    fn on_rebuilt(&mut self, books: &Books, locate: u16) {
        each!(self, one => one.on_rebuilt(books, locate));
    }

    fn on_step(&mut self, books: &Books, step: &Step) {
        each!(self, one => one.on_step(books, step));
    }

    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        each!(self, one => one.on_top(view, out));
    }

    fn on_timer(&mut self, now_ns: u64, out: &mut Intents) {
        each!(self, one => one.on_timer(now_ns, out));
    }

    fn on_order(&mut self, update: &OrderUpdate, out: &mut Intents) {
        each!(self, one => one.on_order(update, out));
    }

    fn on_position(&mut self, locate: u16, position: i64) {
        each!(self, one => one.on_position(locate, position));
    }

    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        each!(self, one => one.on_sent(intent, user_ref_num));
    }

    fn on_unsent(&mut self, intent: &Intent) {
        each!(self, one => one.on_unsent(intent));
    }

    fn counters(&self) -> StrategyCounters {
        each!(self, one => one.counters())
    }
}

/// What is seen of a strategy.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Orders that left.
    pub(crate) decisions: Vec<Decision>,
    /// Times that features were compared with those of the book as it stands.
    pub(crate) compared: u64,
    /// The first time that they were others.
    pub(crate) astray: Option<String>,
}

/// Watches what a strategy decides, and on what; and whether what it is shown keeps features right.
pub(crate) struct Witness<S> {
    inner: S,
    view: Option<MarketView>,
    features: Features,
    seen: Rc<RefCell<Seen>>,
}

impl<S: Strategy> Witness<S> {
    /// What the features say of the book is what they would say had they just read it.
    fn compare(&mut self, books: &Books, locate: u16) {
        let Some(state) = self.features.state(locate) else { return };
        let mut fresh = FeatureState::new();
        fresh.resync(books, locate);
        let book = |state: &FeatureState| {
            let FeatureVector(vector) = state.vector();
            let depth = [0, 1, 2, 3, 4, 5, 6, 17, 18, 19].map(|at: usize| vector[at].to_bits());
            (depth, state.twice_mid(), state.microprice(), state.lean_of_three())
        };
        let (ours, fresh) = (book(state), book(&fresh));
        let mut seen = self.seen.borrow_mut();
        seen.compared += 1;
        if ours != fresh || !state.is_of(&books.top(locate)) {
            seen.astray
                .get_or_insert_with(|| format!("features of {locate}: {ours:?}, of its book {fresh:?}"));
        }
    }
}

impl<S: Strategy> Strategy for Witness<S> {
    const FOLLOWS: bool = true;

    fn on_session(&mut self) {
        self.features.forget_all();
        self.inner.on_session();
    }

    fn on_rebuilt(&mut self, books: &Books, locate: u16) {
        assert!(self.features.rebuilt(books, locate));
        self.compare(books, locate);
        self.inner.on_rebuilt(books, locate);
    }

    fn on_step(&mut self, books: &Books, step: &Step) {
        assert!(self.features.on_step(books, step).is_some(), "shown before it was announced");
        self.compare(books, step.locate);
        self.inner.on_step(books, step);
    }

    fn on_timer(&mut self, now_ns: u64, out: &mut Intents) {
        self.inner.on_timer(now_ns, out);
    }

    fn on_position(&mut self, locate: u16, position: i64) {
        self.inner.on_position(locate, position);
    }

    fn counters(&self) -> StrategyCounters {
        self.inner.counters()
    }

    fn on_instrument(&mut self, locate: u16, symbol: Symbol) {
        self.inner.on_instrument(locate, symbol);
    }

    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        self.view = Some(*view);
        self.inner.on_top(view, out);
    }

    fn on_order(&mut self, update: &OrderUpdate, out: &mut Intents) {
        self.view = None;
        self.inner.on_order(update, out);
    }

    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        if !matches!(intent, Intent::Cancel { .. }) {
            self.seen.borrow_mut().decisions.push(Decision { intent: *intent, view: self.view });
        }
        self.inner.on_sent(intent, user_ref_num);
    }

    fn on_unsent(&mut self, intent: &Intent) {
        self.inner.on_unsent(intent);
    }
}

/// The handler and our ends of its wires.
pub(crate) struct Handler {
    time: Rc<Cell<u64>>,
    pub(crate) pipeline: Pipeline<LinkRx, ReplayTx, Witness<Any>, Session, Time>,
    pub(crate) client: Recovery,
    pub(crate) end: ClientEnd,
    feed: ReplayTx,
    replies: ReplayTx,
    pub(crate) orders: LinkRx,
    pub(crate) seen: Rc<RefCell<Seen>>,
}

static DEMO: LazyLock<Config> = LazyLock::new(|| {
    let mut config = Config::parse(include_str!("../../config/demo.toml"), "demo.toml").unwrap();
    // The stream and the links are made here.
    config.recovery = None;
    config.feed.reorder_packets = 1;
    config.latency.stages = false;
    config.book.max_locates = 64;
    config.book.max_levels = 8_000;
    config.risk.max_position_shares = 20_000;
    config.risk.max_gross_value = 10_000_000_000_000;
    // Hungry: much is wanted.
    config.strategy.entry_bp = 3_000;
    config.strategy.model_entry_mbp = 100;
    config.strategy.model_exit_mbp = 50;
    config.strategy.instruments = 64;
    config.strategy.maker.position = 2_000;
    config
});

impl Handler {
    pub(crate) fn new(draw: &Draw) -> Self {
        let mut config = DEMO.clone();
        config.book.max_orders = draw.max_orders;
        config.strategy.style = if draw.join_style { Style::Join } else { Style::Take };
        config.strategy.cooldown = Duration::from_nanos(draw.cooldown);
        config.strategy.kind = draw.strategy;
        config.strategy.model = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/model.safetensors").into());
        config.strategy.maker.reply = Duration::from_nanos(20 * draw.delay + 20 * MS);
        let clock = Clock::from_hz(S).unwrap();
        let (worker, _handles) = assemble(&config, [2, 0, 0, 0, 0, 2], clock).unwrap();
        match worker {
            Worker::Imbalance(parts) => Self::with(draw, &config, *parts, Any::Imbalance),
            Worker::Model(parts) => Self::with(draw, &config, *parts, Any::Model),
            Worker::Maker(parts) => Self::with(draw, &config, *parts, Any::Maker),
            Worker::Template(parts) => Self::with(draw, &config, *parts, Any::Template),
            Worker::Books(_) => panic!("it trades"),
        }
    }

    fn with<K>(
        draw: &Draw,
        config: &Config,
        parts: Parts<K, Session>,
        any: impl FnOnce(Box<K>) -> Any,
    ) -> Self {
        let clock = Clock::from_hz(S).unwrap();
        let Parts { desk, routes, switches, board, .. } = parts;
        let DeskParts { books, strategy, risk, session, universe, stamps, .. } = desk;
        let strategy = any(Box::new(strategy));
        let seen = Rc::new(RefCell::new(Seen::default()));
        let features = Features::new(config.book.max_locates, config.book.max_locates as u16).unwrap();
        let strategy = Witness { inner: strategy, view: None, features, seen: Rc::clone(&seen) };
        let (loop_end, end) = handover(0);
        let parts = Parts {
            desk: DeskParts {
                books,
                strategy,
                risk,
                session,
                universe,
                clock,
                stamps,
                cancels_left_over: false,
                journal: None,
            },
            stream: Stream::new(draw.stream),
            routes,
            switches,
            board,
            frames: None,
            share: Share::WHOLE,
            recovery: Some(RecoveryParts { end: loop_end, buffer_bytes: draw.log_bytes }),
            fifo_priority: None,
            rehearse_ns: 0,
        };
        let wire = LinkConfig { ring: 4, buffers: 6, slot_len: 2_048 };
        let (feed, feed_rx) = link(wire);
        let (replies, replies_rx) = link(wire);
        let (tx, orders) = link(LinkConfig { ring: 16, buffers: 24, slot_len: 256 });
        let time = Rc::new(Cell::new(1));
        let queues = vec![feed_rx, replies_rx];
        Self {
            pipeline: Pipeline::with_time(parts, queues, tx, Time(Rc::clone(&time))),
            client: Recovery::new(draw.recovery),
            time,
            end,
            feed,
            replies,
            orders,
            seen,
        }
    }

    /// One frame comes to the loop and is looked at.
    pub(crate) fn poll(&mut self, now: u64, frame: &[u8], reply: bool) {
        self.time.set(now);
        let queue = if reply { &mut self.replies } else { &mut self.feed };
        let mut slot = queue.reserve().unwrap();
        slot[..frame.len()].copy_from_slice(frame);
        assert!(queue.send(slot, frame.len() as u16).is_ok());
        assert!(self.pipeline.poll());
    }

    /// Housekeeping.
    pub(crate) fn tick(&mut self, now: u64) {
        self.time.set(now);
        self.pipeline.poll();
        self.pipeline.tick(now);
    }

    pub(crate) fn state(&self, locate: u16) -> BookState {
        self.pipeline.book_state(locate)
    }

    /// Frames that the loop sent, out of the ring.
    pub(crate) fn take_orders(&mut self, mut each: impl FnMut(&[u8])) {
        let burst = self.orders.poll();
        for at in 0..wirebook::nic::RxBurst::len(&burst) {
            each(wirebook::nic::RxBurst::frame(&burst, at).bytes);
        }
    }
}
