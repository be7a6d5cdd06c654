//! The live form on DPDK ports.

use std::ffi::OsString;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::link::{Links, Look, Shown};
use super::{Progress, captured, conclude, journaled, look_after, plan, recover, tap};
use crate::cli::exit::Exit;
use crate::cli::{LiveArgs, complain, telemetry};
use crate::config::Config;
use crate::control;
use crate::eal::{Eal, EalError, Lcore};
use crate::host::lcores::{self, NoLcore};
use crate::pipeline::finished::Finished;
use crate::pmd::PmdError;
use crate::stats::clock::{CALIBRATION, Clock};
use crate::worker::{self, assemble_all};

mod ports;

use ports::Ports;

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
    let lcores = worker_lcores(&eal, config)?;
    let ports = Ports::start(&eal, config)?;
    warn_of_far_lcores(&eal, &lcores, &ports);

    let clock = Clock::calibrate(CALIBRATION).map_err(|why| Failure(Exit::Environment, why.to_string()))?;
    if let Some(warning) = clock.invariance().warning() {
        tracing::warn!("{warning}");
    }
    let (mut workers, mut handles) = assemble_all(config, ports.orders().mac(), clock)
        .map_err(|why| Failure(Exit::Usage, why.to_string()))?;
    worker::attach(config, &ports.macs(), &mut workers, &mut handles);

    // Both stay until the end: dropping them takes the service away.
    let _pdump = if config.telemetry.capture { capture(&eal) } else { None };
    let board = Arc::new(handles.board.clone());
    let latency = telemetry::Latency::default();
    if config.telemetry.commands {
        telemetry::register(&eal, &board, &latency, &handles)?;
    }

    // This thread is the main lcore, so the recovery threads share its CPU and not the loops'.
    let recovery = recover(config, &mut handles).map_err(|why| Failure(Exit::Environment, why))?;

    let journal =
        look_after(config, args, &mut workers, &handles).map_err(|why| Failure(Exit::Environment, why))?;
    let made = tap(args, clock, ports.names()).map_err(|why| Failure(Exit::Environment, why))?;
    let (mut tap, capture) = made.unzip();
    let (send_finished, finished) = mpsc::sync_channel::<(usize, Finished)>(workers.len());
    let places = workers.into_iter().zip(ports.queues(config)?).zip(&lcores).enumerate();
    for (at, ((worker, queues), lcore)) in places {
        let send_finished = send_finished.clone();
        // The first one's view is what is captured.
        let tap = tap.take();
        eal.launch(*lcore, move || {
            // The other end waits for nothing else and is gone only when the process is.
            let _ = send_finished.send((at, queues.run(worker, tap)));
        })?;
        tracing::info!(worker = at, lcore = lcore.id(), "polling");
    }
    drop(send_finished);

    let began = Instant::now();
    let stop = eal.stop_flag().clone();
    let mut log = Progress::new(config);
    let links = Links::new(ports.all().map(|port| {
        let look = || port.link().ok().map(|link| Shown { up: link.up, mbps: link.speed_mbps });
        (port.name().to_owned(), Box::new(look) as Look<'_>)
    }));
    let ending = control::accompany(
        &mut handles,
        plan(config, args),
        &|| {
            links.round();
            stop.is_set()
        },
        &|| lcores.iter().all(|lcore| eal.is_running(*lcore)),
        &mut |moment| {
            latency.set(moment);
            log.show(moment);
        },
    );
    eal.wait()?;
    // Only now: what it shows last is how the loops stood at their end.
    drop(recovery);
    let mut finished: Vec<_> = finished.iter().collect();
    if finished.len() < lcores.len() {
        return Err(Failure(Exit::Environment, "a worker ended without leaving its books".to_owned()));
    }
    finished.sort_by_key(|(at, _)| *at);
    let finished: Vec<_> = finished.into_iter().map(|(_, finished)| finished).collect();
    let mut port_rows = ports.rows();
    port_rows.extend(links.rows());
    port_rows.extend(control::port_rows(&handles));
    port_rows.extend(captured(capture));
    port_rows.extend(journaled(journal));
    let last = control::moment(&mut handles, began.elapsed());
    Ok(conclude(ending, &last, &finished, &port_rows, args))
}

/// Says which lcore polls across NUMA nodes where it need not. Before EAL started was said where none can be right.
fn warn_of_far_lcores(eal: &Eal, lcores: &[Lcore], ports: &Ports) {
    for port in ports.all() {
        let Some(node) = port.numa_node() else { continue };
        let near = |lcore: &Lcore| lcore.numa_node() == node;
        if !eal.worker_lcores().iter().any(near) && !near(&eal.main_lcore()) {
            continue;
        }
        for lcore in lcores.iter().filter(|lcore| !near(lcore)) {
            tracing::warn!(
                "port {} is on NUMA node {node}, and lcore {lcore}, which polls it, on node {}: every frame crosses from \
                 one to the other; write an lcore of node {node} into lcores.worker, and into -l",
                port.name(),
                lcore.numa_node()
            );
        }
    }
}

/// The lcores of the configuration, or the first that is not the main one.
fn worker_lcores(eal: &Eal, config: &Config) -> Result<Vec<Lcore>, Failure> {
    let workers = eal.worker_lcores();
    let ids: Vec<u32> = workers.iter().map(|lcore| lcore.id()).collect();
    let chosen = lcores::of_loops(&ids, &config.lcores.workers).map_err(|why| {
        let exit = if why == NoLcore::One { Exit::Environment } else { Exit::Usage };
        Failure(exit, why.to_string())
    })?;
    Ok(chosen.iter().filter_map(|id| workers.iter().copied().find(|lcore| lcore.id() == *id)).collect())
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
