//! `wirebook demo`: the whole way from wire to order against a built-in exchange, with no NIC, no root, no hugepages.
//!
//! Two virtual ports of DPDK's `net_memif` driver face each other in one process. On one lcore the exchange publishes
//! its feed on lines A and B (each loses packets that the other brings) and answers orders; on another wirebook does
//! what it does on a NIC. Twice both lines lose the same messages: first the exchange's request servers fill the gap; the
//! second time they are silent, and a snapshot closes it while the feed runs on. The main lcore shows it. At the end
//! the books of both sides are compared order by order, and so are the positions.

use std::io::{IsTerminal as _, Write as _};
use std::net::Ipv4Addr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::exchange::FaultPlan;
use super::exit::Exit;
use super::{complain, dump};
use crate::config::{Config, Framing};
use crate::control::{self, Ending, Plan};
use crate::eal::{Eal, Lcore};
use crate::host::cpus::CpuSet;
use crate::nic::dpdk::{RxHandle, TxHandle};
use crate::pipeline::finished::Finished;
use crate::pmd::{Port, PortConfig};
use crate::stats::clock::{CALIBRATION, Clock};
use crate::stop::StopFlag;
use crate::venue::{self, Legacy, Venue};
use crate::worker::assemble;

mod screen;
mod story;

/// The configuration that the demo runs with: `config/demo.toml`, built in.
const CONFIG: &str = include_str!("../../config/demo.toml");

/// How long the two ports may take to find each other.
const LINK: Duration = Duration::from_secs(5);

/// How long the last messages and replies may take before the handler is stopped.
const DRAIN: Duration = Duration::from_millis(700);

/// How long the exchange answers at the most after it has closed its day.
const LINGER: Duration = Duration::from_secs(10);

/// `demo`
#[derive(Args, Clone, Debug)]
pub(super) struct DemoArgs {
    /// How long it runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Feed messages a second.
    #[arg(long, value_name = "MESSAGES", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    rate: u32,
    /// Instruments.
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    symbols: u16,
    /// Names the day: everything random in the exchange follows from it.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Packets in a million that each line loses; the other line brings them.
    #[arg(long, value_name = "PPM", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(0..=500_000))]
    loss: u32,
    /// What else goes wrong and when, such as "3s lose 500; 6s line-a dead 2s" [default: two gaps on both lines, the
    /// second while the request servers are silent]
    #[arg(long, value_name = "PLAN")]
    plan: Option<FaultPlan>,
    /// What orders go over: OUCH in SoupBinTCP over TCP of our own, or the test framing over UDP.
    #[arg(long, value_enum, default_value_t = Orders::Tcp)]
    orders: Orders,
}

/// What carries the orders of a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Orders {
    Tcp,
    Udp,
}

pub(super) fn main(args: &DemoArgs) -> Exit {
    // The memif driver warns of what --no-shconf implies.
    super::log::start(tracing::Level::ERROR, tracing::Level::ERROR);
    match run(args) {
        Ok(exit) => exit,
        Err(why) => complain(Exit::Environment, &why),
    }
}

/// EAL arguments for three lcores on the first two CPUs that this process may use: main and exchange share one.
fn eal_args(directory: &std::path::Path) -> Vec<String> {
    let allowed = CpuSet::allowed();
    let mut cpus = allowed.iter();
    let main = cpus.next().unwrap_or(0);
    let worker = cpus.next().unwrap_or(main);
    let socket = directory.join("memif.sock");
    let port = |index: u32, role: &str| {
        format!("--vdev=net_memif{index},role={role},id=0,socket={},socket-abstract=no", socket.display())
    };
    vec![
        format!("--lcores=0@{main},1@{worker},2@{main}"),
        "--no-pci".to_owned(),
        "--no-huge".to_owned(),
        "-m".to_owned(),
        "256".to_owned(),
        "--no-shconf".to_owned(),
        "--no-telemetry".to_owned(),
        port(0, "server"),
        port(1, "client"),
    ]
}

fn run(args: &DemoArgs) -> Result<Exit, String> {
    let text = |why: &dyn std::fmt::Display| why.to_string();
    let mut config = Config::parse(CONFIG, "config/demo.toml").map_err(|why| text(&why))?;
    if args.orders == Orders::Tcp
        && let Some(gateway) = &mut config.gateway
    {
        gateway.framing = Framing::OuchTcp;
        gateway.local_port = 0;
        gateway.ouch.username = "DEMO".to_owned();
    }
    let directory = Scratch::new()?;
    let eal = Eal::init(&eal_args(directory.path())).map_err(|why| text(&why))?;
    eal.stop_flag().set_on_signals().map_err(|why| text(&why))?;
    let [handler_lcore, venue_lcore]: [Lcore; 2] = eal
        .worker_lcores()
        .try_into()
        .map_err(|_| "the EAL did not start the two workers that the demo needs".to_owned())?;

    let port_config = PortConfig { rx_descriptors: 2048, tx_descriptors: 2048, ..PortConfig::default() };
    let start =
        |name| Port::probe(&eal, name).and_then(|port| port.start(&port_config)).map_err(|why| text(&why));
    let (venue_port, port) = (start("net_memif0")?, start("net_memif1")?);
    for side in [&venue_port, &port] {
        side.wait_for_link(LINK).map_err(|why| text(&why))?;
    }

    let clock = Clock::calibrate(CALIBRATION).map_err(|why| text(&why))?;
    let venue_stop = StopFlag::new();
    let venue = venue(args, &config, venue_stop.clone())?;
    reach(&mut config, &venue)?;
    let (worker, mut handles) = assemble(&config, port.mac(), clock).map_err(|why| text(&why))?;

    let (send_finished, finished) = mpsc::sync_channel::<Finished>(1);
    let (rx, tx) =
        (port.rx_handle(0).map_err(|why| text(&why))?, port.tx_handle(0).map_err(|why| text(&why))?);
    eal.launch(handler_lcore, move || {
        // The receiver lives as long as the demo.
        let _ = send_finished.send(worker.run(
            vec![RxHandle::attach(rx)],
            TxHandle::attach(tx),
            Vec::new(),
            None,
        ));
    })
    .map_err(|why| text(&why))?;

    let (send_legacy, legacy) = mpsc::sync_channel::<Legacy>(1);
    let (rx, tx) = (
        venue_port.rx_handle(0).map_err(|why| text(&why))?,
        venue_port.tx_handle(0).map_err(|why| text(&why))?,
    );
    let closing = venue.closing();
    let venue_clock = clock;
    eal.launch(venue_lcore, move || {
        let _ =
            send_legacy.send(venue.run(&mut RxHandle::attach(rx), &mut TxHandle::attach(tx), &venue_clock));
    })
    .map_err(|why| text(&why))?;

    let recovery =
        control::recovery::start(config.recovery.as_ref(), &mut handles).map_err(|why| text(&why))?;
    let began = Instant::now();
    let length = Duration::from_secs(args.seconds);
    let mut screen = screen::Screen::new(std::io::stdout().is_terminal(), length, args.rate);
    screen.begin();
    let stop = eal.stop_flag().clone();
    let ending = control::accompany(
        &mut handles,
        Plan {
            run_for: Some(length + DRAIN),
            stop_when_idle: None,
            show_every: Some(screen::Screen::interval()),
        },
        &|| {
            if began.elapsed() >= length {
                // The exchange closes its day and leaves; the handler goes on until what was sent has arrived.
                closing.set();
            }
            stop.is_set()
        },
        &|| eal.is_running(handler_lcore),
        &mut |moment| screen.show(moment),
    );
    closing.set();
    // The exchange answers until the handler has said good-bye.
    while eal.is_running(handler_lcore) {
        std::thread::sleep(Duration::from_millis(5));
    }
    venue_stop.set();
    eal.wait().map_err(|why| text(&why))?;
    let last = control::moment(&mut handles, began.elapsed());
    drop(recovery);
    let (Ok(finished), Ok(legacy)) = (finished.recv(), legacy.recv()) else {
        return Err("a worker ended without leaving its books".to_owned());
    };
    let verdict = compare(&finished, &legacy);
    screen.end(&last, &finished, &legacy, &verdict, ending == Ending::Stopped);
    let _ = std::io::stdout().flush();
    Ok(if ending == Ending::Stopped || verdict.agrees() { Exit::Done } else { Exit::Flagged })
}

/// The exchange, with its request servers and its snapshots on ports that the kernel chooses.
fn venue(args: &DemoArgs, config: &Config, stop: StopFlag) -> Result<Venue, String> {
    let mut exchange = venue::exchange_config(args.rate, args.symbols, args.seed, args.loss);
    exchange.plan = match &args.plan {
        Some(FaultPlan(plan)) => plan.clone(),
        None => exchange::plan::parse(&story::plan(args.seconds)).map_err(|why| why.to_string())?,
    };
    let services = exchange::sockets::Config {
        requests: [Some(0); 2],
        glimpse: Some(0),
        ..exchange::sockets::Config::none(Ipv4Addr::LOCALHOST)
    };
    Venue::new(&venue::Setup {
        services: Some(services),
        linger: LINGER,
        ..venue::Setup::new(config, exchange, stop)
    })
}

/// Tells the handler where the exchange's servers are.
fn reach(config: &mut Config, venue: &Venue) -> Result<(), String> {
    let (Some(recovery), Some(services)) = (&mut config.recovery, venue.services()) else {
        return Err("the demo's configuration has no [recovery]".to_owned());
    };
    if let Some(requests) = &mut recovery.requests {
        requests.servers = [0, 1].into_iter().filter_map(|server| services.requests(server)).collect();
    }
    if let (Some(snapshot), Some(server)) = (&mut recovery.snapshot, services.glimpse()) {
        snapshot.server = server;
    }
    Ok(())
}

/// What the two sides agree on.
struct Verdict {
    /// Orders in the exchange's books.
    orders: usize,
    /// First line in which the books differ: ours, theirs.
    difference: Option<(String, String)>,
    positions_agree: bool,
}

impl Verdict {
    fn agrees(&self) -> bool {
        self.difference.is_none() && self.positions_agree
    }
}

fn compare(finished: &Finished, legacy: &Legacy) -> Verdict {
    let mut ours = Vec::new();
    // Writing to memory cannot fail.
    let _ = dump::write(&[&finished.books], &mut ours);
    let (ours, theirs) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&legacy.books));
    // The first line is a heading.
    let (mut ours, mut theirs) = (ours.lines().skip(1), theirs.lines().skip(1));
    let mut orders = 0;
    let difference = loop {
        match (ours.next(), theirs.next()) {
            (None, None) => break None,
            (a, b) if a == b => orders += 1,
            (a, b) => {
                let words = |line: Option<&str>| line.unwrap_or("nothing").to_owned();
                break Some((words(a), words(b)));
            }
        }
    };
    let mut positions = finished.positions.clone();
    positions.sort_unstable();
    Verdict { orders, difference, positions_agree: positions == legacy.positions }
}

/// A directory of this process that is gone when it ends.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("wirebook-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|why| format!("{}: {why}\n  set TMPDIR to a writable directory", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind in a temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
