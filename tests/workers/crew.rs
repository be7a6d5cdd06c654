//! Workers side by side, and the wire that gives each of them everything. Time is what the test says it is, so that
//! what a strategy does never depends on how fast the machine is.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use wirebook::config::Config;
use wirebook::control::Handles;
use wirebook::market::{BookState, Side, Symbol};
use wirebook::nic::replay::{End, LinkConfig, LinkRx, ReplayTx, pair};
use wirebook::nic::{RxBurst, RxQueue, TxQueue};
use wirebook::order::closed::ClosedSession;
use wirebook::order::venue::Venue as Session;
use wirebook::pipeline::Pipeline;
use wirebook::pipeline::board::Tally;
use wirebook::pipeline::share::Share;
use wirebook::stats::clock::Clock;
use wirebook::strategy::Observer;
use wirebook::strategy::imbalance::Imbalance;
use wirebook::tsc::{TimeSource, Tsc};
use wirebook::venue::Legacy;
use wirebook::worker::{Worker, assemble_all};

const CABLE: LinkConfig = LinkConfig { ring: 8192, buffers: 16_384, slot_len: 2_048 };

/// The demo's configuration for so many workers, edited.
pub(crate) fn config(workers: u16, edit: &[(&str, &str)]) -> Config {
    let list: Vec<String> = (1..=workers).map(|worker| worker.to_string()).collect();
    let mut text = include_str!("../../config/demo.toml").to_owned();
    for (from, to) in edit {
        assert!(text.contains(from), "{from} is not in the demo's configuration");
        text = text.replace(from, to);
    }
    text.push_str(&format!("\n[lcores]\nworkers = [{}]\n", list.join(", ")));
    Config::parse(&text, "demo.toml").unwrap()
}

/// One tick is one ns.
const HZ: u64 = 1_000_000_000;

/// The workers' time, ns; looked at as seldom as a loop may that was off its CPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time(Rc<Cell<u64>>);

impl TimeSource for Time {
    const LONGEST_ROUND: u64 = Tsc::LONGEST_ROUND;

    fn now(&self) -> u64 {
        self.0.get()
    }
}

/// One worker that runs.
pub(crate) enum Running {
    Books(Box<Pipeline<LinkRx, ReplayTx, Observer, ClosedSession, Time>>),
    Trades(Box<Pipeline<LinkRx, ReplayTx, Imbalance, Session, Time>>),
}

/// Does the same with either kind.
macro_rules! each {
    ($worker:expr, $pipeline:ident => $do:expr) => {
        match $worker {
            Running::Books($pipeline) => $do,
            Running::Trades($pipeline) => $do,
        }
    };
}

impl Running {
    pub(crate) fn tally(&self) -> Tally {
        each!(self, pipeline => pipeline.tally())
    }

    pub(crate) fn state(&self, locate: u16) -> BookState {
        each!(self, pipeline => pipeline.book_state(locate))
    }

    pub(crate) fn books(&self) -> &wirebook::book::Books {
        each!(self, pipeline => pipeline.books())
    }
}

/// All workers of a configuration.
pub(crate) struct Crew {
    pub(crate) workers: Vec<Running>,
    /// The network's end of each one's cable.
    ends: Vec<End>,
    pub(crate) handles: Handles,
    time: Time,
}

impl Crew {
    pub(crate) fn new(config: &Config) -> Self {
        let (clock, time) = (Clock::from_hz(HZ).unwrap(), Time::default());
        let (workers, handles) = assemble_all(config, [2, 0, 0, 0, 0, 2], clock).unwrap();
        let mut ends = Vec::new();
        let workers = workers.into_iter().map(|worker| {
            let (End { rx, tx }, end) = pair(CABLE);
            ends.push(end);
            match worker {
                Worker::Books(parts) => {
                    Running::Books(Box::new(Pipeline::with_time(*parts, vec![rx], tx, time.clone())))
                }
                Worker::Imbalance(parts) => {
                    Running::Trades(Box::new(Pipeline::with_time(*parts, vec![rx], tx, time.clone())))
                }
                _ => panic!("the configuration of these tests trades on imbalance"),
            }
        });
        Self { workers: workers.collect(), ends, handles, time }
    }

    /// A frame on the wire: every worker gets it.
    pub(crate) fn receive(&mut self, frame: &[u8]) {
        for end in &mut self.ends {
            transmit(&mut end.tx, frame);
        }
    }

    /// It is `now`, ns: everything polls, and does its housekeeping.
    pub(crate) fn turn(&mut self, now: u64) {
        self.time.0.set(now);
        for worker in &mut self.workers {
            each!(worker, pipeline => {
                while pipeline.poll() {}
                pipeline.tick(now);
            });
        }
    }

    /// What all have sent since the last call goes to `tx`.
    pub(crate) fn send_to(&mut self, tx: &mut impl TxQueue) {
        for end in &mut self.ends {
            loop {
                let burst = end.rx.poll();
                if burst.is_empty() {
                    break;
                }
                for at in 0..burst.len() {
                    transmit(tx, burst.frame(at).bytes);
                }
            }
        }
    }

    /// All books in the exchange's text form, each from its owner; nobody else may know anything of it.
    pub(crate) fn dump(&self) -> String {
        let of = self.workers.len() as u16;
        let mut lines = Vec::new();
        for (index, worker) in (0..).zip(&self.workers) {
            let books = worker.books();
            books.audit().unwrap();
            for order in books.resting() {
                assert_eq!(Share::owner(order.locate, of), index, "{order:?} is in the wrong books");
                let side = if order.side == Side::Buy { 'B' } else { 'S' };
                let symbol = books.symbol(order.locate).map_or_else(String::new, |symbol| symbol.to_string());
                let (locate, price) = (order.locate, order.price.0);
                let line = format!("{locate},{symbol},{side},{price},{},{}\n", order.order_ref, order.shares);
                lines.push((locate, line));
            }
        }
        // Each one's are in order already.
        lines.sort_by_key(|(locate, _)| *locate);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Books that somebody keeps, and those of them that are not live.
    pub(crate) fn known(&self) -> (BTreeSet<u16>, BTreeSet<u16>) {
        let (mut known, mut doubtful) = (BTreeSet::new(), BTreeSet::new());
        for worker in &self.workers {
            for locate in (0..1_000).filter(|locate| worker.books().symbol(*locate).is_some()) {
                assert!(known.insert(locate), "locate {locate} is kept twice");
                if worker.state(locate) != BookState::Live {
                    doubtful.insert(locate);
                }
            }
        }
        (known, doubtful)
    }

    /// One counter of each worker.
    pub(crate) fn counts(&self, name: &str) -> Vec<u64> {
        let of = |worker: &Running| {
            let rows = worker.tally().rows().find(|(row, _)| *row == name).map(|(_, value)| value);
            rows.unwrap_or_else(|| panic!("no counter {name}"))
        };
        self.workers.iter().map(of).collect()
    }

    /// All positions, by symbol.
    pub(crate) fn positions(self) -> Vec<(Symbol, i64)> {
        let each = self
            .workers
            .into_iter()
            .flat_map(|worker| each!(worker, pipeline => pipeline.finish().positions));
        let mut all: Vec<_> = each.collect();
        all.sort_unstable();
        all
    }
}

pub(crate) fn transmit(tx: &mut impl TxQueue, frame: &[u8]) {
    let mut slot = tx.reserve().unwrap_or_else(|| panic!("the wire is full"));
    slot[..frame.len()].copy_from_slice(frame);
    assert!(tx.send(slot, frame.len() as u16).is_ok(), "the wire is full");
}

/// The exchange's books without the heading.
pub(crate) fn books_of(legacy: &Legacy) -> String {
    let text = String::from_utf8(legacy.books.clone()).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}
