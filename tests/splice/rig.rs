//! A loop under virtual time with its wires in the test's hands: packets of line A go in, the recovery client's ends of the
//! links are held by the test, orders come out.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use exchange::frames::{Addressing, Framer};
use wirebook::config::Config;
use wirebook::feed::handover::{ClientEnd, Item, Need, link};
use wirebook::feed::{Stream, StreamConfig};
use wirebook::market::{BookState, TradingState};
use wirebook::nic::TxQueue;
use wirebook::nic::replay::{End, LinkConfig, LinkRx, ReplayTx, pair};
use wirebook::order::Session;
use wirebook::order::venue::Venue;
use wirebook::pipeline::boards::Boards;
use wirebook::pipeline::desk::DeskParts;
use wirebook::pipeline::share::Share;
use wirebook::pipeline::{Parts, Pipeline, RecoveryParts, Switches};
use wirebook::stats::clock::Clock;
use wirebook::strategy::{Observer, Strategy};
use wirebook::worker::{Worker, assemble};

use crate::day::{Day, SYMBOLS, Teller};

/// One tick is one ns.
const HZ: u64 = 1_000_000_000;
/// Time that each step takes, ns.
pub(crate) const STEP: u64 = 20_000;
/// How long a hole stays one, ns; and how long it is overdue, where it may be.
pub(crate) const HOLE_WAIT: u64 = 100_000;
pub(crate) const OVERDUE_WAIT: u64 = 10_000_000;

pub(crate) struct Options {
    /// Memory of the tail log; 0 = no snapshots.
    pub(crate) buffer_bytes: usize,
    /// Holes may be asked for.
    pub(crate) requests: bool,
    pub(crate) max_orders: u32,
    /// Frames that a wire holds.
    pub(crate) ring: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { buffer_bytes: 1 << 20, requests: false, max_orders: 4_000, ring: 512 }
    }
}

pub(crate) struct Rig<S: Strategy = Observer, O: Session = Venue> {
    pub(crate) time: Rc<Cell<u64>>,
    pub(crate) pipeline: Pipeline<LinkRx, ReplayTx, S, O, Rc<Cell<u64>>>,
    pub(crate) client: ClientEnd,
    board: Boards,
    pub(crate) switches: Arc<Switches>,
    line: ReplayTx,
    pub(crate) far: LinkRx,
    framer: Framer,
    session: [u8; 10],
}

impl Rig {
    pub(crate) fn new(options: &Options) -> Self {
        Self::with(options, Observer)
    }
}

impl<S: Strategy> Rig<S> {
    pub(crate) fn with(options: &Options, strategy: S) -> Self {
        Self::with_session(options, strategy, |session| session)
    }
}

impl<S: Strategy, O: Session> Rig<S, O> {
    pub(crate) fn with_session(options: &Options, strategy: S, session_of: impl FnOnce(Venue) -> O) -> Self {
        let text = include_str!("../../config/demo.toml")
            .replace("max_locates = 10001", "max_locates = 64")
            .replace("max_orders = 1000000", &format!("max_orders = {}", options.max_orders))
            .replace("max_levels = 300000", "max_levels = 4000")
            .replace("reorder_packets = 1024", "reorder_packets = 8");
        let config = Config::parse(&text, "demo.toml").unwrap();
        let clock = Clock::from_hz(HZ).unwrap();
        let (worker, handles) = assemble(&config, [2; 6], clock).unwrap();
        let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
        let Parts { desk, routes, switches, board, .. } = *parts;
        let DeskParts { books, risk, session, universe, stamps, .. } = desk;
        let session = session_of(session);
        let (end, client) = link(0);
        let stream = Stream::new(StreamConfig {
            window_packets: 64,
            max_payload: 1_500,
            hole_wait: HOLE_WAIT,
            recovery_wait: if options.requests { OVERDUE_WAIT } else { 0 },
            // A late join is one from the second message on.
            near_start: 1,
            ..StreamConfig::usual(HZ)
        });
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
            stream,
            routes,
            switches,
            board,
            frames: None,
            share: Share::WHOLE,
            recovery: Some(RecoveryParts { end, buffer_bytes: options.buffer_bytes }),
            fifo_priority: None,
            rehearse_ns: 0,
        };
        let (End { rx: far, tx: line }, End { rx, tx }) =
            pair(LinkConfig { ring: options.ring, buffers: 2 * options.ring, slot_len: 2_048 });
        let time = Rc::new(Cell::new(STEP));
        let a = &config.feed.line_a;
        let to = Addressing::multicast([2; 6], Ipv4Addr::new(10, 0, 0, 1), a.group, a.port, None);
        Self {
            pipeline: Pipeline::with_time(parts, vec![rx], tx, Rc::clone(&time)),
            time,
            client,
            board: handles.board,
            switches: handles.switches,
            line,
            far,
            framer: Framer::new(to),
            session: *b"DAY       ",
        }
    }

    pub(crate) fn session(&mut self, session: [u8; 10]) {
        self.session = session;
    }

    /// A MoldUDP64 packet of `messages`, the first of which has `sequence`.
    pub(crate) fn packet(&self, sequence: u64, messages: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = self.session.to_vec();
        packet.extend(sequence.to_be_bytes());
        packet.extend((messages.len() as u16).to_be_bytes());
        for message in messages {
            packet.extend((message.len() as u16).to_be_bytes());
            packet.extend(message);
        }
        packet
    }

    /// Puts a packet on line A; nobody has polled yet.
    pub(crate) fn send(&mut self, sequence: u64, messages: &[Vec<u8>]) {
        let packet = self.packet(sequence, messages);
        self.send_raw(&packet);
    }

    pub(crate) fn send_raw(&mut self, packet: &[u8]) {
        let frame = self.framer.frame(packet).unwrap();
        let mut slot = self.line.reserve().unwrap();
        slot[..frame.len()].copy_from_slice(frame);
        assert!(self.line.send(slot, frame.len() as u16).is_ok());
    }

    /// Time goes on, the loop polls and does its housekeeping.
    pub(crate) fn turn(&mut self) {
        self.time.set(self.time.get() + STEP);
        while self.pipeline.poll() {}
        self.pipeline.tick(self.time.get());
    }

    pub(crate) fn turns(&mut self, turns: u32) {
        (0..turns).for_each(|_| self.turn());
    }

    /// Sends the day's messages from `first` to `end` in packets of up to `size`, each with a turn of the loop.
    pub(crate) fn play(&mut self, day: &Day, first: u64, end: u64, size: u64) {
        let mut at = first;
        while at < end {
            let to = (at + size).min(end);
            self.send(at, day.range(at, to));
            self.turn();
            at = to;
        }
    }

    pub(crate) fn need(&self) -> Need {
        self.client.need.read()
    }

    pub(crate) fn give(&mut self, item: &Item<'_>) {
        while !self.client.giver.give(item) {
            self.turn();
        }
    }

    /// Begins the snapshot that is wanted.
    pub(crate) fn begin(&mut self) {
        let Need { epoch, snapshot: number, .. } = self.need();
        assert_ne!(number, 0, "no snapshot is wanted");
        self.give(&Item::SnapshotBegin { epoch, number });
    }

    /// Hands over a whole snapshot at once, as of `next`.
    pub(crate) fn snapshot(&mut self, messages: &[Vec<u8>], next: u64) {
        self.begin();
        for message in messages {
            self.give(&Item::SnapshotMessage { message });
        }
        self.give(&Item::SnapshotEnd { next });
        self.turns(20);
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        let tally = self.pipeline.tally();
        tally.rows().find(|(row, _)| *row == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    pub(crate) fn state(&self, locate: u16) -> BookState {
        self.pipeline.book_state(locate)
    }

    /// Books of the day's instruments that are live.
    pub(crate) fn live(&self) -> Vec<u16> {
        (1..=SYMBOLS).filter(|locate| self.state(*locate) == BookState::Live).collect()
    }

    /// Every book that is live is exactly the market's; returns how many are.
    pub(crate) fn agrees(&self, market: &Teller) -> usize {
        let live = self.live();
        let ours: Vec<_> = (self.pipeline.books().resting())
            .filter(|order| live.contains(&order.locate))
            .map(|order| (order.locate, order.order_ref, order.price.0, order.shares))
            .collect();
        let theirs: Vec<_> =
            market.resting().into_iter().filter(|(locate, ..)| live.contains(locate)).collect();
        assert_eq!(ours, theirs);
        for locate in &live {
            let (state, halted) = market.trading(*locate);
            let expected = match state {
                _ if halted => TradingState::Halted,
                Some(b'T') => TradingState::Trading,
                Some(b'Q') => TradingState::QuotationOnly,
                Some(b'P') => TradingState::Paused,
                _ => TradingState::Halted,
            };
            assert_eq!(self.pipeline.books().trading_state(*locate), expected, "locate {locate}");
        }
        self.pipeline.books().audit().unwrap();
        live.len()
    }

    /// States of the watched books, as an operator sees them.
    pub(crate) fn board_after_publishing(&mut self) -> Vec<BookState> {
        self.pipeline.publish();
        self.board.books().iter().map(|book| book.state).collect()
    }
}
