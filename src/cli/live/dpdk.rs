//! The live form on DPDK ports.

use std::ffi::OsString;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::{Progress, captured, conclude, plan, recover, tap};
use crate::cli::exit::Exit;
use crate::cli::{LiveArgs, complain, telemetry};
use crate::config::{Config, Igmp, PortRef};
use crate::control;
use crate::eal::{Eal, EalError, Lcore};
use crate::nic::dpdk::{RxHandle, TxHandle};
use crate::pipeline::worker::{Finished, assemble};
use crate::pmd::{PmdError, Port, PortConfig};
use crate::stats::clock::{CALIBRATION, Clock};
use crate::wire::ethernet::multicast_mac;
use crate::wire::igmp::ALL_SYSTEMS;

mod link;

/// What stops a run before it begins, and the exit code that says which kind it was.
struct Failure(Exit, String);

impl From<EalError> for Failure {
    fn from(why: EalError) -> Self {
        Self(Exit::Environment, why.to_string())
    }
}

impl From<PmdError> for Failure {
    fn from(why: PmdError) -> Self {
        Self(Exit::Environment, why.to_string())
    }
}

pub(super) fn main(eal_args: &[OsString], config: &Config, args: &LiveArgs) -> Exit {
    match run(eal_args, config, args) {
        Ok(exit) => exit,
        Err(Failure(exit, why)) => complain(exit, &why),
    }
}

fn run(eal_args: &[OsString], config: &Config, args: &LiveArgs) -> Result<Exit, Failure> {
    let eal_args: Vec<String> = eal_args
        .iter()
        .map(|arg| arg.clone().into_string())
        .collect::<Result<_, _>>()
        .map_err(|arg| Failure(Exit::Usage, format!("the EAL argument {arg:?} is not UTF-8")))?;
    let eal = Eal::init(&eal_args)?;
    eal.stop_flag()
        .set_on_signals()
        .map_err(|why| Failure(Exit::Environment, format!("signals cannot be handled: {why}")))?;
    tracing::info!(dpdk = eal.version(), "EAL started");
    let lcore = worker_lcore(&eal, config)?;
    let ports = Ports::start(&eal, config)?;

    let clock = Clock::calibrate(CALIBRATION).map_err(|why| Failure(Exit::Environment, why.to_string()))?;
    if let Some(warning) = clock.invariance().warning() {
        tracing::warn!("{warning}");
    }
    let (mut worker, mut handles) =
        assemble(config, ports.orders().mac(), clock).map_err(|why| Failure(Exit::Usage, why.to_string()))?;
    control::port::attach(config, [ports.feed.mac(), ports.orders().mac()], &mut worker, &mut handles);

    // Both stay until the end: dropping them takes the service away.
    let _pdump = if config.telemetry.capture { capture(&eal) } else { None };
    let board = Arc::new(handles.board.clone());
    let latency = telemetry::Latency::default();
    if config.telemetry.commands {
        telemetry::register(&eal, &board, &latency, &handles)?;
    }

    // This thread is the main lcore, so the recovery thread shares its CPU and not the loop's.
    let recovery = recover(config, &mut handles).map_err(|why| Failure(Exit::Environment, why))?;

    let made = tap(args, clock, ports.names()).map_err(|why| Failure(Exit::Environment, why))?;
    let (tap, capture) = made.unzip();
    let (rx, tx, feed_tx) = ports.queues()?;
    let (send_finished, finished) = mpsc::sync_channel::<Finished>(1);
    eal.launch(lcore, move || {
        let queues = rx.into_iter().map(RxHandle::attach).collect();
        // The other end waits for nothing else and is gone only when the process is.
        let feed_tx = feed_tx.map(TxHandle::attach);
        let _ = send_finished.send(worker.run(queues, TxHandle::attach(tx), feed_tx, tap));
    })?;
    tracing::info!(lcore = lcore.id(), "polling");

    let began = Instant::now();
    let stop = eal.stop_flag().clone();
    let mut log = Progress::new(config);
    let links = link::Links::new(ports.all());
    let ending = control::accompany(
        &mut handles,
        plan(config, args),
        &|| {
            links.round();
            stop.is_set()
        },
        &|| eal.is_running(lcore),
        &mut |moment| {
            latency.set(&moment.stages);
            log.show(moment);
        },
    );
    eal.wait()?;
    // Only now: what it shows last is how the loop stood at its end.
    drop(recovery);
    let finished = finished
        .recv()
        .map_err(|_| Failure(Exit::Environment, "the worker ended without leaving its books".to_owned()))?;
    let mut port_rows = ports.rows();
    port_rows.extend(links.rows());
    port_rows.extend(control::port_rows(&handles));
    port_rows.extend(captured(capture));
    let last = control::moment(&mut handles, began.elapsed());
    Ok(conclude(ending, &last, &finished, &port_rows, args))
}

/// The lcore of the configuration, or the first that is not the main one.
fn worker_lcore(eal: &Eal, config: &Config) -> Result<Lcore, Failure> {
    let workers = eal.worker_lcores();
    let ids = || workers.iter().map(|lcore| lcore.id().to_string()).collect::<Vec<_>>().join(", ");
    match config.lcores.worker {
        None => workers.first().copied().ok_or_else(|| {
            Failure(
                Exit::Environment,
                "there is one lcore, and two are needed: one to control, one to poll; give the EAL two, such as -l 0-1"
                    .to_owned(),
            )
        }),
        Some(wanted) => {
            workers.iter().copied().find(|lcore| lcore.id() == u32::from(wanted)).ok_or_else(|| {
                Failure(
                    Exit::Usage,
                    format!(
                        "lcores.worker = {wanted} is not a worker of the EAL, whose workers are {}: change it, or -l",
                        ids()
                    ),
                )
            })
        }
    }
}

fn capture(eal: &Eal) -> Option<crate::eal::Pdump> {
    match eal.pdump() {
        Ok(pdump) => Some(pdump),
        Err(why) => {
            tracing::debug!("no capture by dpdk-dumpcap: {why}");
            None
        }
    }
}

/// The port that the feed comes by, and the one that orders leave by where it is another.
struct Ports {
    feed: Port,
    orders: Option<Port>,
}

impl Ports {
    fn start(eal: &Eal, config: &Config) -> Result<Self, Failure> {
        let feed = start(eal, &config.port.feed, config)?;
        let groups: Vec<_> = std::iter::once(&config.feed.line_a)
            .chain(config.feed.line_b.as_ref())
            .map(|line| line.group)
            // Queries about all groups come there.
            .chain((config.port.igmp != Igmp::Off).then_some(ALL_SYSTEMS))
            .map(multicast_mac)
            .collect();
        if config.port.promiscuous {
            feed.set_promiscuous(true)?;
            tracing::info!(port = feed.name(), filter = "promiscuous, as configured", "multicast");
        } else {
            let filter = feed.set_multicast(&groups)?;
            tracing::info!(port = feed.name(), %filter, "multicast");
        }
        let orders = if config.port.orders == config.port.feed {
            None
        } else {
            Some(start(eal, &config.port.orders, config)?)
        };
        Ok(Self { feed, orders })
    }

    fn orders(&self) -> &Port {
        self.orders.as_ref().unwrap_or(&self.feed)
    }

    /// One receive queue of each port, the transmit queue for orders, and that of the feed port where it is another.
    fn queues(&self) -> Result<(Vec<RxHandle>, TxHandle, Option<TxHandle>), PmdError> {
        let mut rx = vec![self.feed.rx_handle(0)?];
        let Some(orders) = &self.orders else { return Ok((rx, self.feed.tx_handle(0)?, None)) };
        rx.push(orders.rx_handle(0)?);
        Ok((rx, orders.tx_handle(0)?, Some(self.feed.tx_handle(0)?)))
    }

    /// In the order of the receive queues.
    fn all(&self) -> impl Iterator<Item = &Port> {
        std::iter::once(&self.feed).chain(&self.orders)
    }

    /// Names in the order of the receive queues.
    fn names(&self) -> Vec<String> {
        self.all().map(|port| port.name().to_owned()).collect()
    }

    /// What the ports count, both together.
    fn rows(&self) -> Vec<(&'static str, u64)> {
        let mut sum: Vec<(&'static str, u64)> = Vec::new();
        for port in self.all() {
            match port.stats() {
                Ok(stats) if sum.is_empty() => sum = stats.rows().to_vec(),
                Ok(stats) => {
                    for (total, (_, value)) in sum.iter_mut().zip(stats.rows()) {
                        total.1 += value;
                    }
                }
                Err(why) => tracing::warn!("{why}"),
            }
        }
        sum
    }
}

fn start(eal: &Eal, wanted: &PortRef, config: &Config) -> Result<Port, Failure> {
    let name = match wanted {
        PortRef::Index(index) => index.to_string(),
        PortRef::Name(name) => name.clone(),
    };
    let probed = Port::probe(eal, &name)?;
    let port = probed.start(&PortConfig {
        rx_descriptors: config.port.rx_descriptors,
        tx_descriptors: config.port.tx_descriptors,
        mtu: config.port.mtu,
        ..PortConfig::default()
    })?;
    let info = port.info();
    tracing::info!(
        port = info.name,
        driver = info.driver,
        numa = info.numa_node,
        rx_descriptors = port.config().rx_descriptors,
        "port started"
    );
    if !config.port.link_wait.is_zero() {
        // Some virtual devices come up only when their other side does: without a link frames cannot pass yet, and
        // may later.
        match port.wait_for_link(config.port.link_wait) {
            Ok(link) => tracing::info!(port = port.name(), mbps = link.speed_mbps, "link up"),
            Err(why @ PmdError::NoLink { .. }) => tracing::warn!("{why}"),
            Err(why) => return Err(why.into()),
        }
    }
    Ok(port)
}
