//! What the main lcore does beside the loop: it takes stage samples, watches for the end, and shows.
//!
//! It is tied to the loop by the sample ring, the published board and the switches only, and may be as slow as it
//! likes: the loop never waits for it.

pub mod capture;
pub mod journal;
pub mod kill;
pub mod membership;
pub mod neighbour;
pub mod orders;
pub mod port;
mod random;
pub mod recovery;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use kill::KillWatch;
use port::PortControl;

use crate::feed::handover::ClientEnd;
use crate::pipeline::Switches;
use crate::pipeline::board::{BookView, Row};
use crate::pipeline::boards::Boards;
use crate::pipeline::health::{HealthView, Healths};
use crate::stats::clock::Clock;
use crate::stats::stages::{Passes, StageHistograms, StageRow};

/// Time between two rounds. The sample ring holds what a loop at full load makes meanwhile.
const ROUND: Duration = Duration::from_millis(20);

/// When the run ends, and how often it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// End after this time.
    pub run_for: Option<Duration>,
    /// End when no packet of the feed came for this long, once the first has come. Other frames do not count: hosts
    /// talk to a port for ever.
    pub stop_when_idle: Option<Duration>,
    /// Time between two calls of the show function.
    pub show_every: Option<Duration>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGINT, SIGTERM, or whoever else set the stop flag.
    Stopped,
    /// [`Plan::run_for`] has passed.
    TimeUp,
    /// [`Plan::stop_when_idle`] has passed without a packet of the feed.
    Idle,
    /// The worker ended by itself.
    WorkerEnded,
}

impl Ending {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::TimeUp => "its time was up",
            Self::Idle => "the feed fell silent",
            Self::WorkerEnded => "the worker ended",
        }
    }
}

/// What the control thread holds of the workers.
pub struct Handles {
    /// Their counters and watched books.
    pub board: Boards,
    /// Their stage latencies, all together.
    pub stages: StageHistograms,
    /// Their switches, the same for all.
    pub switches: Arc<Switches>,
    /// Watches for whoever throws the kill switch.
    pub kill: KillWatch,
    /// The clock that they use.
    pub clock: Clock,
    /// Speaks ARP and IGMP for their ports, where no kernel does.
    pub port: Option<PortControl>,
    /// The clients' ends of the links to the loops, one a worker, for [`recovery::start`] or a simulation to
    /// take; empty without a `[recovery]`.
    pub recovery: Vec<ClientEnd>,
    /// There is a `[recovery]`.
    pub recovers: bool,
    /// How the books stand, kept up to date by the recovery threads.
    pub health: Healths,
}

/// A worker as it stands at one moment.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Time since the run began.
    pub elapsed: Duration,
    /// All counters.
    pub rows: Vec<Row>,
    /// Watched books.
    pub books: Vec<BookView>,
    /// Latencies by stage, in ns.
    pub stages: Vec<StageRow>,
    /// The same of those frames only that were the first after a silence.
    pub cold: Vec<StageRow>,
    /// The same of all others.
    pub warm: Vec<StageRow>,
    /// What one TSC read costs, in ns: it is part of no latency.
    pub read_cost: u64,
    /// How the books stand as a whole, and what was recovered; `None` where nothing can be.
    pub health: Option<HealthView>,
}

impl Moment {
    /// One counter; 0 where there is none of that name.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.rows.iter().find(|(n, _)| *n == name).map_or(0, |(_, value)| *value)
    }
}

/// Accompanies a worker until the plan, `stopped` or the worker itself (`running` turns false) ends the run, then sets
/// the stop switch. `show` is called every [`Plan::show_every`].
pub fn accompany(
    handles: &mut Handles,
    plan: Plan,
    stopped: &dyn Fn() -> bool,
    running: &dyn Fn() -> bool,
    show: &mut dyn FnMut(&Moment),
) -> Ending {
    let began = Instant::now();
    let mut shown = began;
    let mut packets = 0;
    let mut heard = None;
    let mut orders = orders::SessionWatch::default();
    let ending = loop {
        thread::sleep(ROUND);
        handles.stages.drain();
        handles.kill.round();
        if let Some(port) = &mut handles.port {
            port.round();
        }
        if stopped() {
            break Ending::Stopped;
        }
        if !running() {
            break Ending::WorkerEnded;
        }
        let now = Instant::now();
        if plan.run_for.is_some_and(|limit| now - began >= limit) {
            break Ending::TimeUp;
        }
        let rows = handles.board.rows();
        orders.see(&rows);
        let lines = rows.iter().filter(|(name, _)| ["line_a_packets", "line_b_packets"].contains(name));
        let seen = lines.map(|(_, value)| value).sum();
        if !rows.is_empty() && seen != packets {
            packets = seen;
            heard = Some(now);
        }
        if let (Some(limit), Some(heard)) = (plan.stop_when_idle, heard)
            && now - heard >= limit
        {
            break Ending::Idle;
        }
        if plan.show_every.is_some_and(|every| now - shown >= every) {
            shown = now;
            show(&moment(handles, now - began));
        }
    };
    if let Some(port) = &mut handles.port {
        port.leave();
    }
    // SYNC POINT: relaxed; the switch carries no data with it.
    handles.switches.stop.store(true, Ordering::Relaxed);
    ending
}

/// The worker as it stands now.
#[must_use]
pub fn moment(handles: &mut Handles, elapsed: Duration) -> Moment {
    handles.stages.drain();
    Moment {
        elapsed,
        rows: handles.board.rows().into_iter().chain(port_rows(handles)).collect(),
        books: handles.board.books(),
        stages: handles.stages.rows(Passes::All).to_vec(),
        cold: handles.stages.rows(Passes::Cold).to_vec(),
        warm: handles.stages.rows(Passes::Warm).to_vec(),
        read_cost: handles.stages.read_cost_ns(),
        health: handles.recovers.then(|| handles.health.view()),
    }
}

/// What ARP and IGMP count, where we speak them ourselves.
pub fn port_rows(handles: &Handles) -> impl Iterator<Item = Row> {
    handles.port.iter().flat_map(port::PortControl::rows)
}
