//! The handler: the loop and the recovery client of production, on a virtual clock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use wirebook::config::{Config, Style};
use wirebook::feed::Stream;
use wirebook::feed::handover::{ClientEnd, link as handover};
use wirebook::feed::recovery::Recovery;
use wirebook::market::{BookState, Symbol};
use wirebook::nic::replay::{LinkConfig, LinkRx, ReplayTx, link};
use wirebook::nic::tsc::TimeSource;
use wirebook::nic::{RxQueue, TxQueue};
use wirebook::order::wutf::WutfSession;
use wirebook::pipeline::desk::DeskParts;
use wirebook::pipeline::share::Share;
use wirebook::pipeline::worker::{Worker, assemble};
use wirebook::pipeline::{Parts, Pipeline, RecoveryParts};
use wirebook::stats::clock::Clock;
use wirebook::strategy::imbalance::Imbalance;
use wirebook::strategy::{Intent, Intents, MarketView, OrderUpdate, Strategy};

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

/// Watches what a strategy decides, and on what.
pub(crate) struct Witness<S> {
    inner: S,
    view: Option<MarketView>,
    seen: Rc<RefCell<Vec<Decision>>>,
}

impl<S: Strategy> Strategy for Witness<S> {
    fn on_session(&mut self) {
        self.inner.on_session();
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
            self.seen.borrow_mut().push(Decision { intent: *intent, view: self.view });
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
    pub(crate) pipeline: Pipeline<LinkRx, ReplayTx, Witness<Imbalance>, WutfSession, Time>,
    pub(crate) client: Recovery,
    pub(crate) end: ClientEnd,
    feed: ReplayTx,
    replies: ReplayTx,
    pub(crate) orders: LinkRx,
    pub(crate) decisions: Rc<RefCell<Vec<Decision>>>,
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
    config.strategy.entry_bp = 3_000;
    config
});

impl Handler {
    pub(crate) fn new(draw: &Draw) -> Self {
        let mut config = DEMO.clone();
        config.book.max_orders = draw.max_orders;
        config.strategy.style = if draw.join_style { Style::Join } else { Style::Take };
        config.strategy.cooldown = Duration::from_nanos(draw.cooldown);
        let clock = Clock::from_hz(S).unwrap();
        let (worker, _handles) = assemble(&config, [2, 0, 0, 0, 0, 2], clock).unwrap();
        let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
        let Parts { desk, routes, switches, board, .. } = *parts;
        let DeskParts { books, strategy, risk, session, universe, stamps, .. } = desk;
        let decisions = Rc::new(RefCell::new(Vec::new()));
        let strategy = Witness { inner: strategy, view: None, seen: Rc::clone(&decisions) };
        let (loop_end, end) = handover(0);
        let parts = Parts {
            desk: DeskParts { books, strategy, risk, session, universe, clock, stamps, journal: None },
            stream: Stream::new(draw.stream),
            routes,
            switches,
            board,
            frames: None,
            share: Share::WHOLE,
            recovery: Some(RecoveryParts { end: loop_end, buffer_bytes: draw.log_bytes }),
            fifo_priority: None,
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
            decisions,
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
