//! From a configuration to a worker that runs, and from a worker that ran to what it leaves.
//!
//! [`assemble`] makes all parts on the calling thread (that is where memory is reserved and mistakes are reported);
//! [`Worker::run`] puts them together with the queues on the lcore that polls.

use std::collections::TryReserveError;
use std::net::SocketAddrV4;
use std::sync::Arc;

use crate::book::{Books, LimitError, Limits};
use crate::config::{Config, Determinism, Framing, Instruments, Line, OUCH_PORTS, Stack, StrategyKind};
use crate::control::Handles;
use crate::control::kill::KillWatch;
use crate::control::port::PortControl;
use crate::feed::handover::{self, LoopEnd};
use crate::feed::{Stream, StreamConfig};
use crate::journal::JournalWriter;
use crate::memory;
use crate::nic::{RxQueue, TxQueue, cpu};
use crate::order::Session;
use crate::order::closed::ClosedSession;
use crate::order::tcp::TcpError;
use crate::order::template::TemplateError;
use crate::order::venue::Venue;
use crate::pipeline::board::{self, Board, Watch};
use crate::pipeline::boards::Boards;
use crate::pipeline::desk::{DeskParts, Universe};
use crate::pipeline::finished::Finished;
use crate::pipeline::frames::{self, Carrier};
use crate::pipeline::health::Healths;
use crate::pipeline::route::{LineAddress, MOST_PORTS, OrderAddress, Routes, Stations, Transport};
use crate::pipeline::share::Share;
use crate::pipeline::stamp::Stamps;
use crate::pipeline::tap::Tap;
use crate::pipeline::{Parts, Pipeline, RecoveryParts, Switches};
use crate::risk::{LimitsError, Risk};
use crate::stats::clock::{Clock, ClockError};
use crate::stats::stages::{StageRecorder, stages_of};
use crate::strategy::imbalance::Imbalance;
use crate::strategy::maker::Maker;
use crate::strategy::model::ModelError;
use crate::strategy::signal::Signal;
use crate::strategy::template::Template;
use crate::strategy::{Observer, Strategy};
use crate::wire::NoRoom;
use crate::wire::ethernet::Mac;

mod gateway;
mod params;

pub use params::model;

use gateway::{choose_ports, venue};
use params::{imbalance_params, maker_params, risk_limits, signal_params, template_params};

/// Stage samples that wait for the control thread: 50 ms at over a million messages a second.
const SAMPLES: usize = 1 << 16;

/// Watched books where the configuration lists no instruments.
const WATCHED: usize = 8;

/// Why no worker could be made.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The books' limits.
    #[error("books: {0}")]
    Books(#[from] LimitError),
    /// The risk limits.
    #[error("risk limits: {0}")]
    Risk(#[from] LimitsError),
    /// The order frames.
    #[error("gateway: {0}")]
    Template(#[from] TemplateError),
    /// The order packets.
    #[error("gateway: {0}")]
    Packets(#[from] NoRoom),
    /// The order connection.
    #[error("gateway: {0}")]
    Tcp(#[from] TcpError),
    /// The model.
    #[error("strategy.model: {0}; give a file that tools/train.py wrote")]
    Model(#[from] ModelError),
    /// It is asked for, and not named.
    #[error("strategy.model names no file")]
    NoModel,
    /// The memory of the features.
    #[error("features: {0}; lower strategy.instruments")]
    Features(#[from] TryReserveError),
    /// The clock.
    #[error("clock: {0}")]
    Clock(#[from] ClockError),
}

/// A worker whose parts are made and whose queues are not.
pub enum Worker {
    /// Keeps books and never acts.
    Books(Box<Parts<Observer, ClosedSession>>),
    /// Trades on imbalance.
    Imbalance(Box<Parts<Imbalance, Venue>>),
    /// Trades on what a model predicts.
    Model(Box<Parts<Signal, Venue>>),
    /// Quotes both sides.
    Maker(Box<Parts<Maker, Venue>>),
    /// Trades as the strategy that is there to be copied.
    Template(Box<Parts<Template, Venue>>),
}

/// The limits of the books that `config` asks for.
#[must_use]
pub fn book_limits(config: &Config) -> Limits {
    Limits {
        // Locate 0 names no instrument and has its place all the same.
        locates: config.book.max_locates.max(2),
        orders: config.book.max_orders,
        levels: config.book.max_levels,
    }
}

/// What belongs where, after `config`.
#[must_use]
pub fn routes(config: &Config) -> Routes {
    let line = |line: &Line| LineAddress {
        group: SocketAddrV4::new(line.group, line.port),
        vlan: line.vlan,
        source: line.source,
    };
    let orders = config.gateway.as_ref().map(|gateway| OrderAddress {
        local: SocketAddrV4::new(gateway.local_ip, gateway.local_port),
        gateway: SocketAddrV4::new(gateway.ip, gateway.port),
        vlan: gateway.vlan,
        over: match (gateway.framing, gateway.ouch.stack) {
            (Framing::WutfUdp, _) => Transport::Udp,
            (Framing::OuchTcp, Stack::Own) => Transport::Tcp(OUCH_PORTS),
            (Framing::OuchTcp, Stack::Kernel) => Transport::Elsewhere,
        },
    });
    Routes::new(line(&config.feed.line_a), config.feed.line_b.as_ref().map(line), orders)
}

/// How the stream is to be put in order, after `config`.
#[must_use]
pub fn stream_config(config: &Config, clock: &Clock) -> StreamConfig {
    let ticks =
        |duration: std::time::Duration| clock.ticks(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    StreamConfig {
        window_packets: usize::try_from(config.feed.reorder_packets).unwrap_or(usize::MAX),
        max_payload: usize::from(config.feed.max_payload),
        hole_wait: ticks(config.feed.reorder_wait),
        quiet: ticks(config.feed.heartbeat_timeout),
        both_lines: config.feed.line_b.is_some(),
        lines_reorder: config.feed.lines_reorder,
        ..StreamConfig::usual(clock.hz())
    }
}

/// How long the stream leaves holes to those who are asked for them, in ticks; 0 where nobody is.
#[must_use]
pub fn recovery_wait(config: &Config, clock: &Clock) -> u64 {
    let asks = config.recovery.as_ref().filter(|recovery| recovery.requests.is_some());
    asks.map_or(0, |recovery| clock.ticks(u64::try_from(recovery.hole_wait.as_nanos()).unwrap_or(u64::MAX)))
}

/// Makes the parts of one worker for all instruments. `port_mac` is the address of the port that orders leave by.
///
/// # Errors
/// [`AssembleError`]: a limit that cannot be kept, memory that cannot be had, an address that makes no frame.
pub fn assemble(
    config: &Config,
    port_mac: [u8; 6],
    clock: Clock,
) -> Result<(Worker, Handles), AssembleError> {
    let (mut hot, handles) = shared(config, 1, clock);
    let switches = &handles.switches;
    // One was asked for.
    let hot = hot.remove(0);
    Ok((worker(config, Share::WHOLE, port_mac, clock, switches, hot)?, handles))
}

/// The same for as many workers as the configuration names, the first one first: each with its [`Share`] of the
/// instruments and its [share](Config::share) of the limits.
///
/// # Errors
/// As [`assemble`].
pub fn assemble_all(
    config: &Config,
    port_mac: [u8; 6],
    clock: Clock,
) -> Result<(Vec<Worker>, Handles), AssembleError> {
    let count = config.lcores.count();
    let (hot, handles) = shared(config, count, clock);
    let workers = (0..count).zip(hot).map(|(index, hot)| {
        let share = Share::new(index, count);
        worker(&config.share(index), share, port_mac, clock, &handles.switches, hot)
    });
    Ok((workers.collect::<Result<_, _>>()?, handles))
}

/// Puts `workers` on ports that have the hardware addresses `macs`, in the order of
/// [`Port::distinct`](crate::config::Port::distinct). The first worker hands up what is for us, and sends what we say.
pub fn attach(config: &Config, macs: &[Mac], workers: &mut [Worker], handles: &mut Handles) {
    let gateway = config.gateway.as_ref();
    let order_port = usize::from(config.port.place(&config.port.orders));
    let mut stations = [macs.first().copied().unwrap_or_default(); MOST_PORTS];
    for (station, mac) in stations.iter_mut().zip(macs) {
        *station = *mac;
    }
    if let (Some(mac), Some(station)) =
        (gateway.and_then(|gateway| gateway.local_mac), stations.get_mut(order_port))
    {
        *station = mac;
    }
    let mut ends = Vec::new();
    for (at, worker) in workers.iter_mut().enumerate() {
        let (carrier, end) = if at == 0 { frames::link() } else { frames::silent_link() };
        worker.on_ports(carrier, stations, gateway.and_then(|gateway| gateway.mac));
        ends.push(end);
    }
    handles.port = PortControl::new(config, macs, ends);
}

/// The loop's ends of what ties it to the control thread.
struct Hot {
    board: Board,
    recorder: StageRecorder,
    recovery: Option<LoopEnd>,
}

/// The ends of `count` loops, and what the control thread holds of them.
fn shared(config: &Config, count: u16, clock: Clock) -> (Vec<Hot>, Handles) {
    let switches = Arc::new(Switches::default());
    // SYNC POINT: relaxed; nobody else has the switches yet.
    switches.armed.store(config.risk.armed, std::sync::atomic::Ordering::Relaxed);
    let watch = match &config.instruments {
        Instruments::Listed(symbols) if !symbols.is_empty() => Watch::Symbols(symbols.clone()),
        _ => Watch::First(WATCHED),
    };
    let samples = if config.latency.stages { SAMPLES } else { 1 };
    let (recorders, histograms) = stages_of(usize::from(count), samples, clock);
    let (mut hot, mut readers, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    for recorder in recorders {
        let (board, reader) = board::board(watch.clone());
        let link = config.recovery.as_ref().map(|recovery| handover::link(recovery.handover_bytes));
        let (recovery, client) = link.unzip();
        hot.push(Hot { board, recorder, recovery });
        readers.push(reader);
        clients.extend(client);
    }
    let handles = Handles {
        board: Boards::new(readers),
        stages: histograms,
        kill: KillWatch::new(switches.kill.clone(), config.risk.kill_file.clone()),
        switches,
        clock,
        port: None,
        recovery: clients,
        recovers: config.recovery.is_some(),
        health: Healths::new(usize::from(count)),
    };
    (hot, handles)
}

/// Empty books; tells whether they got the pages that they are fast on.
fn books(limits: Limits) -> Result<Books, AssembleError> {
    let before = memory::on_huge_pages();
    let books = Books::new(limits)?;
    let bytes = limits.memory_bytes() as u64;
    if let Some((before, after)) = before.zip(memory::on_huge_pages()) {
        let huge = after.saturating_sub(before).min(bytes);
        tracing::info!(mib = bytes >> 20, mib_on_2mib_pages = huge >> 20, "books made");
        // Small books fit anywhere.
        if bytes > 64 << 20 && huge < bytes / 10 * 9 {
            tracing::warn!(
                remedy = memory::remedy_for_small_pages(),
                "books are on small pages: messages take longer"
            );
        }
    }
    Ok(books)
}

/// The worker that keeps the books of `share`, after a configuration of its own.
fn worker(
    config: &Config,
    share: Share,
    port_mac: [u8; 6],
    clock: Clock,
    switches: &Arc<Switches>,
    hot: Hot,
) -> Result<Worker, AssembleError> {
    let Hot { board, recorder, recovery } = hot;
    let switches = Arc::clone(switches);
    let stamps =
        Stamps::new(recorder, if config.latency.stages { config.latency.sample_every } else { 0 }, &clock);
    let mut config = config.clone();
    if let Some(gateway) = &mut config.gateway {
        choose_ports(gateway);
    }
    let config = &config;
    let books = books(book_limits(config))?;
    let risk = Risk::new(risk_limits(&config.risk), book_limits(config).locates)?;
    let stream = Stream::new(StreamConfig {
        recovery_wait: recovery_wait(config, &clock),
        ..stream_config(config, &clock)
    });
    let recovery = config.recovery.as_ref().zip(recovery);
    let recovery = recovery.map(|(config, end)| RecoveryParts {
        end,
        // Nothing is put aside where no snapshot will come.
        buffer_bytes: if config.snapshot.is_some() { config.buffer_bytes } else { 0 },
    });
    let routes = routes(config);
    let routes = match &config.gateway {
        // Ours less our number: that of the first worker.
        Some(gateway) => {
            routes.with_sessions(gateway.local_port.saturating_sub(share.index()), config.lcores.count())
        }
        None => routes,
    };
    let Determinism { fifo_priority, rehearse, .. } = config.determinism;
    let rehearse_ns = u64::try_from(rehearse.as_nanos()).unwrap_or(u64::MAX);
    let cancels_left_over = config.gateway.as_ref().is_some_and(|gateway| gateway.ouch.cancel_on_disconnect);
    let common = Common {
        fifo_priority,
        rehearse_ns,
        books,
        risk,
        stream,
        routes,
        clock,
        stamps,
        switches,
        board,
        recovery,
        share,
        cancels_left_over,
    };
    Ok(match (config.strategy.kind, &config.gateway) {
        (StrategyKind::Imbalance, Some(gateway)) => {
            let strategy = Imbalance::new(imbalance_params(&config.strategy), book_limits(config).locates);
            Worker::Imbalance(common.with(
                strategy,
                venue(config, gateway, port_mac)?,
                universe(&config.instruments),
            ))
        }
        (StrategyKind::Model, Some(gateway)) => {
            let locates = book_limits(config).locates;
            let params = signal_params(&config.strategy);
            // The configuration's rules ask for a file where the kind is this.
            let Some(model) = model(&config.strategy)? else { return Err(AssembleError::NoModel) };
            let strategy = Signal::new(model, params, locates, config.strategy.instruments)?;
            Worker::Model(common.with(
                strategy,
                venue(config, gateway, port_mac)?,
                universe(&config.instruments),
            ))
        }
        (StrategyKind::Maker, Some(gateway)) => {
            let strategy = Maker::new(maker_params(&config.strategy), book_limits(config).locates)?;
            Worker::Maker(common.with(
                strategy,
                venue(config, gateway, port_mac)?,
                universe(&config.instruments),
            ))
        }
        (StrategyKind::Template, Some(gateway)) => {
            let strategy = Template::new(template_params(&config.strategy), book_limits(config).locates);
            Worker::Template(common.with(
                strategy,
                venue(config, gateway, port_mac)?,
                universe(&config.instruments),
            ))
        }
        (StrategyKind::None, _) | (_, None) => {
            Worker::Books(common.with(Observer, ClosedSession::default(), Universe::None))
        }
    })
}

/// What a worker is made of, whatever its strategy and session.
struct Common {
    books: Books,
    risk: Risk,
    stream: Stream,
    routes: Routes,
    clock: Clock,
    stamps: Stamps,
    switches: Arc<Switches>,
    board: Board,
    recovery: Option<RecoveryParts>,
    share: Share,
    fifo_priority: Option<u8>,
    rehearse_ns: u64,
    cancels_left_over: bool,
}

impl Common {
    fn with<S, O>(self, strategy: S, session: O, universe: Universe) -> Box<Parts<S, O>> {
        let Self {
            books,
            risk,
            stream,
            routes,
            clock,
            stamps,
            switches,
            board,
            recovery,
            share,
            fifo_priority,
            rehearse_ns,
            cancels_left_over,
        } = self;
        let desk = DeskParts {
            books,
            strategy,
            risk,
            session,
            universe,
            clock,
            stamps,
            cancels_left_over,
            journal: None,
        };
        Box::new(Parts {
            desk,
            stream,
            routes,
            switches,
            board,
            recovery,
            frames: None,
            share,
            fifo_priority,
            rehearse_ns,
        })
    }
}

fn universe(instruments: &Instruments) -> Universe {
    match instruments {
        Instruments::All => Universe::All,
        Instruments::Listed(symbols) => Universe::Symbols(symbols.clone()),
    }
}

impl Worker {
    /// Puts it on ports that no kernel serves: the control core speaks ARP and IGMP for them through `frames`. `stations`
    /// are the hardware addresses that are ours; `next_hop` is that of the gateway, `None` until it is resolved.
    pub fn on_ports(&mut self, frames: Carrier, stations: Stations, next_hop: Option<Mac>) {
        match self {
            Self::Books(parts) => parts.on_ports(frames, stations, next_hop),
            Self::Imbalance(parts) => parts.on_ports(frames, stations, next_hop),
            Self::Model(parts) => parts.on_ports(frames, stations, next_hop),
            Self::Maker(parts) => parts.on_ports(frames, stations, next_hop),
            Self::Template(parts) => parts.on_ports(frames, stations, next_hop),
        }
    }

    /// Has it journal what happens to its orders.
    pub fn set_journal(&mut self, journal: JournalWriter) {
        match self {
            Self::Books(parts) => parts.desk.journal = Some(journal),
            Self::Imbalance(parts) => parts.desk.journal = Some(journal),
            Self::Model(parts) => parts.desk.journal = Some(journal),
            Self::Maker(parts) => parts.desk.journal = Some(journal),
            Self::Template(parts) => parts.desk.journal = Some(journal),
        }
    }

    /// Polls `rx` and sends by `tx` until the stop switch is set; to be called on the lcore that owns the queues.
    /// `side_tx` are transmit queues of ports by which orders do not leave ([`Pipeline::with_side_tx`]); `tap` captures what
    /// comes.
    pub fn run<R: RxQueue, T: TxQueue>(
        self,
        rx: Vec<R>,
        tx: T,
        side_tx: Vec<Option<T>>,
        tap: Option<Tap>,
    ) -> Finished {
        match self {
            Self::Books(parts) => parts.run(rx, tx, side_tx, tap),
            Self::Imbalance(parts) => parts.run(rx, tx, side_tx, tap),
            Self::Model(parts) => parts.run(rx, tx, side_tx, tap),
            Self::Maker(parts) => parts.run(rx, tx, side_tx, tap),
            Self::Template(parts) => parts.run(rx, tx, side_tx, tap),
        }
    }
}

impl<S: Strategy, O: Session> Parts<S, O> {
    fn run<R: RxQueue, T: TxQueue>(
        self,
        rx: Vec<R>,
        tx: T,
        side_tx: Vec<Option<T>>,
        tap: Option<Tap>,
    ) -> Finished {
        // It was tried before: only a right that was taken away meanwhile is missing now.
        if let Some(priority) = self.fifo_priority
            && let Err(why) = cpu::run_first(priority)
        {
            tracing::error!("the loop is scheduled like everybody: SCHED_FIFO {priority} is refused: {why}");
        }
        let mut pipeline = Pipeline::new(self, rx, tx).with_side_tx(side_tx).with_tap(tap);
        pipeline.run();
        pipeline.finish()
    }
}

impl<S, O: Session> Parts<S, O> {
    fn on_ports(&mut self, frames: Carrier, stations: Stations, next_hop: Option<Mac>) {
        self.frames = Some(frames);
        self.routes = self.routes.with_stations(stations);
        self.desk.session.set_next_hop(next_hop);
    }
}
