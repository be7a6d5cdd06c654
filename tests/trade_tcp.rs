//! The whole way in lockstep, as `trade.rs` has it, with orders by OUCH in SoupBinTCP over TCP of our own, on a cable that
//! loses segments both ways and breaks connections: what both sides know must agree all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod counting;

use std::cell::{Cell, RefCell};
use std::ops::DerefMut as _;
use std::rc::Rc;

use wirebook::config::Config;
use wirebook::nic::TxQueue;
use wirebook::nic::replay::{End, LinkConfig, LinkRx, ReplayTx, pair};
use wirebook::order::venue::{Venue as Session, phase_words};
use wirebook::pipeline::Pipeline;
use wirebook::pipeline::finished::Finished;
use wirebook::stats::clock::Clock;
use wirebook::stop::StopFlag;
use wirebook::strategy::imbalance::Imbalance;
use wirebook::venue::{Legacy, Setup, Venue, exchange_config};
use wirebook::worker::{Worker, assemble};

/// ns in one step of the lockstep, of the exchange's time and of ours.
const STEP: u64 = 100_000;

/// Steps of a second.
const SECOND: u64 = 10_000;

/// One tick is one ns.
const HZ: u64 = 1_000_000_000;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// What happens to TCP segments that go one way.
#[derive(Debug, Default)]
struct Cable {
    random: u64,
    /// In a thousand.
    lost: u64,
    /// The next one becomes a reset.
    reset: bool,
    losses: u64,
    resets: u64,
    /// Of all bytes of all frames that left; of segments, of what they carry: ports and sequences begin anywhere.
    digest: u64,
}

/// A transmit queue on such a cable.
struct Loses<T> {
    tx: T,
    cable: Rc<RefCell<Cable>>,
}

impl<T: TxQueue> TxQueue for Loses<T> {
    type Slot = T::Slot;

    fn reserve(&mut self) -> Option<T::Slot> {
        self.tx.reserve()
    }

    fn send(&mut self, mut slot: T::Slot, len: u16) -> Result<(), T::Slot> {
        let mut cable = self.cable.borrow_mut();
        let is_segment = slot.get(12..14) == Some(&[8, 0]) && slot.get(23) == Some(&6);
        let carried = if is_segment { 34 + usize::from(slot[46] >> 4) * 4 } else { 0 };
        for byte in len.to_be_bytes().iter().chain(&slot[carried..usize::from(len)]) {
            cable.digest = (cable.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        if is_segment {
            cable.random ^= cable.random << 13;
            cable.random ^= cable.random >> 7;
            cable.random ^= cable.random << 17;
            if (cable.random >> 11) % 1_000 < cable.lost {
                cable.losses += 1;
                return Ok(());
            }
            if std::mem::take(&mut cable.reset) {
                cable.resets += 1;
                reset(&mut slot.deref_mut()[14..usize::from(len)]);
            }
        }
        self.tx.send(slot, len)
    }

    fn reclaim(&mut self) -> usize {
        self.tx.reclaim()
    }
}

/// Makes a reset of a segment, checksum and all.
fn reset(packet: &mut [u8]) {
    packet[20 + 13] = 4;
    packet[36..38].fill(0);
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let mut sum = 6 + (total as u32 - 20);
    for pair in packet[12..total].chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    packet[36..38].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

fn config(edit: &[(&str, &str)]) -> Config {
    let (text, _recovery) = include_str!("../config/demo.toml").split_once("[recovery]").unwrap();
    let mut text = text.replace("reorder_wait_us = 50000", "reorder_wait_us = 1000000");
    let tcp = "framing = \"ouch-tcp\"\nusername = \"DEMO\"\npassword = \"demo\"\n";
    for (from, to) in [("framing = \"wutf-udp\"\n", tcp)].iter().chain(edit) {
        assert!(text.contains(from), "{from} is not in the demo's configuration");
        text = text.replace(from, to);
    }
    Config::parse(&text, "demo.toml").unwrap()
}

type Loop = Pipeline<LinkRx, Loses<ReplayTx>, Imbalance, Session, Rc<Cell<u64>>>;

/// Both sides and the cable between them.
struct World {
    venue: Venue,
    venue_rx: LinkRx,
    venue_tx: Loses<ReplayTx>,
    pipeline: Loop,
    time: Rc<Cell<u64>>,
    step: u64,
    /// Ours to the exchange, and back.
    cables: [Rc<RefCell<Cable>>; 2],
    /// Rehearsals after each poll.
    rehearsals: u32,
    /// Never read, and never full.
    _handles: wirebook::control::Handles,
}

impl World {
    fn new(config: &Config, seed: u64, lost: u64) -> Self {
        let cable = |at: u64| {
            let random = 0x9E37_79B9_7F4A_7C15 ^ (seed * 2 + at);
            Rc::new(RefCell::new(Cable { random, lost, ..Cable::default() }))
        };
        let cables = [cable(0), cable(1)];
        let (End { rx: venue_rx, tx: venue_tx }, End { rx, tx }) =
            pair(LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 });
        let mut exchange = exchange_config(50_000, 40, seed, 0);
        // What is open when a connection breaks is for us to take back.
        exchange.gateway.cancel_on_disconnect = false;
        let setup = Setup::new(config, exchange, StopFlag::new());
        let (worker, handles) = assemble(config, OURS, Clock::from_hz(HZ).unwrap()).unwrap();
        let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
        let time = Rc::new(Cell::new(0));
        let tx = Loses { tx, cable: Rc::clone(&cables[0]) };
        Self {
            venue: Venue::new(&setup).unwrap(),
            venue_rx,
            venue_tx: Loses { tx: venue_tx, cable: Rc::clone(&cables[1]) },
            pipeline: Pipeline::with_time(*parts, vec![rx], tx, Rc::clone(&time)),
            time,
            step: 0,
            cables,
            rehearsals: 0,
            _handles: handles,
        }
    }

    fn now(&self) -> u64 {
        self.step * STEP
    }

    /// The exchange's part of a step.
    fn exchange(&mut self) {
        self.step += 1;
        let now = self.now();
        self.time.set(now);
        while self.venue.pump(&mut self.venue_rx, &mut self.venue_tx, now) {}
    }

    /// Ours.
    fn wirebook(&mut self) {
        loop {
            let busy = self.pipeline.poll();
            for _ in 0..self.rehearsals {
                self.pipeline.rehearse();
            }
            if !busy {
                break;
            }
        }
        self.pipeline.tick(self.time.get());
    }

    fn play(&mut self, steps: u64) {
        for _ in 0..steps {
            self.exchange();
            self.wirebook();
        }
    }

    fn count(&self, name: &str) -> u64 {
        let tally = self.pipeline.tally();
        tally.rows().find(|(row, _)| *row == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    fn phase(&self) -> &'static str {
        phase_words(self.count("session_phase")).unwrap()
    }

    fn until(&mut self, what: &str, steps: u64, so: impl Fn(&Self) -> bool) {
        let end = self.step + steps;
        while !so(self) {
            assert!(self.step < end, "no {what}: {}, {:?}", self.phase(), self.pipeline.tally().connection);
            self.play(1);
        }
    }

    /// Ends the session as the loop does at its end, closes the day, and gives what both sides are left with.
    fn end(mut self) -> (Finished, Legacy) {
        while !self.pipeline.leave(self.time.get()) {
            self.exchange();
            while self.pipeline.poll() {}
        }
        assert_eq!(self.phase(), "closed");
        assert_eq!(self.pipeline.blotter().open_orders(), 0, "what is open is withdrawn before the end");
        let now = self.now();
        self.venue.close(&mut self.venue_tx, now);
        for _ in 0..200 {
            self.exchange();
        }
        (self.pipeline.finish(), self.venue.leave())
    }
}

fn agree(finished: &Finished, legacy: &Legacy) {
    let mut ours = finished.positions.clone();
    ours.sort_unstable();
    assert!(!ours.is_empty(), "nothing was traded");
    assert_eq!(ours, legacy.positions);
    assert_eq!(finished.stale(), 0);
    let theirs = |name: &str| legacy.rows.iter().find(|(row, _)| row == name).unwrap().1;
    let count = |name: &str| finished.tally.rows().find(|(row, _)| *row == name).unwrap().1;
    assert_eq!(theirs("gateway_malformed"), 0);
    for never in ["replies_unknown", "replies_over_executions", "session_gaps", "session_contradictions"] {
        assert_eq!(count(never), 0, "{never}");
    }
}

#[test]
fn both_sides_agree_over_tcp_that_loses_segments() {
    for (seed, style, lost) in [(1, "take", 0), (2, "join", 0), (3, "take", 20), (4, "join", 20)] {
        let config = config(&[
            ("style = \"join\"", &format!("style = \"{style}\"")),
            ("cooldown_us = 20000", "cooldown_us = 500"),
        ]);
        let mut world = World::new(&config, seed, lost);
        world.until("session", 5 * SECOND, |world| world.phase() == "up");
        world.play(2 * SECOND);
        let (cables, hot) = (world.cables.clone(), world.count("tcp_hot"));
        let (finished, legacy) = world.end();
        agree(&finished, &legacy);
        let count = |name: &str| finished.tally.rows().find(|(row, _)| *row == name).unwrap().1;
        assert!(hot > 100 && hot > count("desk_orders_sent") / 2, "seed {seed}: {hot} orders left at once");
        assert_eq!((count("session_ups"), count("session_breaks")), (1, 0), "seed {seed}");
        assert_eq!((count("ip_tcp"), count("route_other_port")), (0, 0), "seed {seed}");
        let lost_in_all: u64 = cables.iter().map(|cable| cable.borrow().losses).sum();
        assert_eq!(lost_in_all > 5, lost > 0, "seed {seed}: {lost_in_all}");
        assert_eq!(count("tcp_probes") > 0, lost > 0, "seed {seed}");
        for happened in ["orders_accepted", "orders_executed"] {
            assert!(count(happened) > 3, "seed {seed}: {happened} {}", count(happened));
        }
        assert!(legacy.rows.iter().any(|(name, value)| name == "peers_gone" && *value == 1), "a goodbye");
    }
}

#[test]
fn after_a_connection_that_broke_what_is_open_is_cancelled() {
    for cancel in [true, false] {
        let wish = format!("framing = \"ouch-tcp\"\ncancel_on_disconnect = {cancel}");
        let config = config(&[
            ("framing = \"ouch-tcp\"", &wish),
            ("cooldown_us = 20000", "cooldown_us = 500"),
            ("exit_bp = 1000", "exit_bp = 0"),
        ]);
        let mut world = World::new(&config, 7, 0);
        for round in 1..=4 {
            world.until("session", 20 * SECOND, |world| world.phase() == "up");
            assert_eq!(world.count("session_ups"), round);
            world.play(SECOND / 2);
            world.until("open order", SECOND, |world| world.pipeline.blotter().open_orders() > 5);
            // The exchange goes on, and keeps the orders.
            world.cables[1].borrow_mut().reset = true;
            world.until("break", SECOND, |world| world.count("session_breaks") == round);
            assert!(!world.phase().is_empty() && world.pipeline.blotter().open_orders() > 0);
            let withdrawn = world.count("desk_withdrawn");
            let left: Vec<u32> = world.pipeline.blotter().orders().map(|(order, _)| order).collect();
            world.until("session", 20 * SECOND, |world| world.phase() == "up");
            world.play(SECOND / 20);
            let open = world.pipeline.blotter().orders();
            let still = open.filter(|(order, _)| left.contains(order)).count();
            if cancel {
                assert_eq!(still, 0, "round {round}");
                assert!(world.count("desk_withdrawn") > withdrawn, "round {round}");
            } else {
                assert_eq!(world.count("desk_withdrawn"), withdrawn, "round {round}");
            }
        }
        assert_eq!(world.cables[1].borrow().resets, 4);
        let (finished, legacy) = world.end();
        agree(&finished, &legacy);
    }
}

#[test]
fn the_loop_allocates_nothing_over_tcp() {
    let config = config(&[("cooldown_us = 20000", "cooldown_us = 500")]);
    let mut world = World::new(&config, 5, 50);
    world.until("session", 5 * SECOND, |world| world.phase() == "up");
    let mut calls = 0;
    for step in 1..=SECOND {
        world.exchange();
        calls += counting::calls(|| world.wirebook());
        if step % 500 == 0 {
            calls += counting::calls(|| world.pipeline.publish());
        }
    }
    assert_eq!(calls, 0);
    for happened in ["tcp_hot", "tcp_segments", "orders_accepted", "tcp_probes"] {
        assert!(world.count(happened) > 0, "{happened} {}", world.count(happened));
    }
}

#[test]
fn rehearsals_leave_no_trace() {
    let config = config(&[("cooldown_us = 20000", "cooldown_us = 500")]);
    let [without, with] = [0, 3].map(|rehearsals| {
        let mut world = World { rehearsals, ..World::new(&config, 9, 20) };
        world.until("session", 5 * SECOND, |world| world.phase() == "up");
        world.play(SECOND / 2);
        // Away and back: while it is not up nothing can be rehearsed to the end.
        world.cables[1].borrow_mut().reset = true;
        world.until("break", SECOND, |world| world.count("session_breaks") == 1);
        world.until("session", 20 * SECOND, |world| world.phase() == "up");
        let mut calls = 0;
        for _ in 0..SECOND / 2 {
            world.exchange();
            calls += counting::calls(|| world.wirebook());
        }
        assert_eq!(calls, 0);
        let cables = world.cables.clone();
        let (finished, legacy) = world.end();
        agree(&finished, &legacy);
        let count = |name: &str| finished.tally.rows().find(|(row, _)| *row == name).unwrap().1;
        assert_eq!(count("desk_rehearsals") > 10_000, rehearsals > 0, "{}", count("desk_rehearsals"));
        assert!(count("desk_orders_sent") > 100 && count("tcp_hot") > 100 && count("tcp_cold") > 0);
        let rows: Vec<_> = finished.tally.rows().filter(|(name, _)| *name != "desk_rehearsals").collect();
        let digest = cables.map(|cable| cable.borrow().digest);
        (rows, digest, finished.positions, legacy.books)
    });
    assert!(
        without == with,
        "{:?}",
        without.0.iter().zip(&with.0).filter(|(a, b)| a != b).collect::<Vec<_>>()
    );
}
