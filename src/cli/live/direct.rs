//! The live form on a NIC that our own driver drives: no EAL, no DPDK, one port for feed and orders.

use std::cell::Cell;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use super::link::{Links, Look, Shown};
use super::{Progress, captured, conclude, journaled, look_after, plan, recover, tap};
use crate::cli::exit::Exit;
use crate::cli::{LiveArgs, complain};
use crate::config::{Config, Igmp};
use crate::control::{self, Ending};
use crate::nic::cpu;
use crate::nic::intel1g::{Chip, Link, Port, PortConfig};
use crate::nic::vfio::{Bdf, VfioDevice};
use crate::stats::clock::{CALIBRATION, Clock};
use crate::stop::StopFlag;
use crate::wire::ethernet::multicast_mac;
use crate::wire::igmp::ALL_SYSTEMS;
use crate::worker::{self, assemble_all};

/// What stops a run before it begins, and the exit code that says which kind it was.
struct Failure(Exit, String);

impl Failure {
    fn environment(why: impl Into<Box<dyn Error>>) -> Self {
        Self(Exit::Environment, why.into().to_string())
    }

    fn usage(why: impl Into<Box<dyn Error>>) -> Self {
        Self(Exit::Usage, why.into().to_string())
    }
}

pub(super) fn main(bdf: Bdf, config: &Config, args: &LiveArgs) -> Exit {
    match run(bdf, config, args) {
        Ok(exit) => exit,
        Err(Failure(exit, why)) => complain(exit, &why),
    }
}

fn run(bdf: Bdf, config: &Config, args: &LiveArgs) -> Result<Exit, Failure> {
    if config.port.distinct().len() > 1 {
        return Err(Failure::usage(
            "--nic direct drives one port: leave out port.orders and port.line_b, or use DPDK",
        ));
    }
    if config.lcores.count() > 1 {
        return Err(Failure::usage(
            "--nic direct has one queue, for one worker: write lcores.worker instead of lcores.workers, or use DPDK",
        ));
    }
    let place = Place::choose(config.lcores.workers.first().copied()).map_err(Failure::usage)?;
    let stop = StopFlag::new();
    stop.set_on_signals().map_err(|why| Failure::environment(format!("signals cannot be handled: {why}")))?;
    let port = start(bdf, config)?;

    let clock = Clock::calibrate(CALIBRATION).map_err(Failure::environment)?;
    if let Some(warning) = clock.invariance().warning() {
        tracing::warn!("{warning}");
    }
    let (mut workers, mut handles) = assemble_all(config, port.mac(), clock).map_err(Failure::usage)?;
    worker::attach(config, &[port.mac()], &mut workers, &mut handles);

    // Before other threads start: they inherit the CPUs of this one.
    place.keep_others_off();
    let journal = look_after(config, args, &mut workers, &handles).map_err(Failure::environment)?;
    // There is one: the configuration was looked at above.
    let Some(worker) = workers.pop() else { return Err(Failure::usage("there is no worker")) };
    let recovery = recover(config, &mut handles).map_err(Failure::environment)?;
    let (tap, capture) = tap(args, clock, vec![bdf.to_string()]).map_err(Failure::environment)?.unzip();
    let (rx, tx) = port.queues().map_err(Failure::environment)?;
    let thread = thread::spawn(move || {
        place.enter();
        worker.run(vec![rx.attach()], tx.attach(), Vec::new(), tap)
    });

    let began = Instant::now();
    let mut log = Progress::new(config);
    let look = || {
        let link = port.link();
        Some(Shown { up: link.up, mbps: link.up.then_some(link.speed_mbps) })
    };
    let links = Links::new([(bdf.to_string(), Box::new(look) as Look<'_>)]);
    let counted = Cell::new(began);
    let ending = control::accompany(
        &mut handles,
        plan(config, args),
        &|| {
            links.round();
            if counted.get().elapsed() >= COUNT_EVERY {
                counted.set(Instant::now());
                let _ = port.stats();
            }
            stop.is_set()
        },
        &|| !thread.is_finished(),
        &mut |moment| log.show(moment),
    );
    let ended = thread.join();
    // Only now: what it shows last is how the loop stood at its end.
    drop(recovery);
    let mut rows = port.stats().rows().to_vec();
    rows.extend(links.rows());
    rows.extend(control::port_rows(&handles));
    rows.extend(captured(capture));
    rows.extend(journaled(journal));
    let finished = ended
        .map_err(|_| Failure::environment(format!("the worker failed ({})", Ending::WorkerEnded.words())))?;
    let last = control::moment(&mut handles, began.elapsed());
    Ok(conclude(ending, &last, &[finished], &rows, args))
}

/// Brings the port up and sets its filter.
fn start(bdf: Bdf, config: &Config) -> Result<Port<VfioDevice>, Failure> {
    let wanted = PortConfig {
        rx_descriptors: config.port.rx_descriptors,
        tx_descriptors: config.port.tx_descriptors,
        mtu: config.port.mtu,
    }
    .adjusted();
    let device = VfioDevice::open(bdf, wanted.memory(), |id| Chip::of(id).is_some())
        .map_err(|why| Failure::environment(format!("--nic direct:{why}")))?;
    let chip = Chip::of(device.id());
    let chip = chip.ok_or_else(|| Failure::environment(format!("{bdf}: no controller that is known")))?;
    let numa = device.numa_node();
    let port = Port::start(device, chip, &wanted)
        .map_err(|why| Failure::environment(format!("--nic direct:{bdf}: {why}")))?;
    tracing::info!(
        port = %bdf,
        driver = "direct",
        %chip,
        numa,
        rx_descriptors = wanted.rx_descriptors,
        tx_descriptors = wanted.tx_descriptors,
        "port started"
    );
    if config.port.promiscuous {
        port.set_promiscuous(true);
        tracing::info!(port = %bdf, filter = "promiscuous, as configured", "multicast");
    } else {
        let lines = std::iter::once(&config.feed.line_a).chain(config.feed.line_b.as_ref());
        // Queries about all groups come there.
        let queries = (config.port.igmp != Igmp::Off).then_some(ALL_SYSTEMS);
        let groups: Vec<_> = lines.map(|line| line.group).chain(queries).map(multicast_mac).collect();
        let filter = port.set_multicast(&groups).map_err(Failure::environment)?;
        tracing::info!(port = %bdf, %filter, "multicast");
    }
    if !config.port.link_wait.is_zero() {
        let Link { up, speed_mbps, .. } = port.wait_for_link(config.port.link_wait);
        if up {
            tracing::info!(port = %bdf, mbps = speed_mbps, "link up");
        } else {
            tracing::warn!(
                "port {bdf}: no link after {} s: is the cable in, is the other side up?",
                config.port.link_wait.as_secs()
            );
        }
    }
    Ok(port)
}

/// Which CPU polls, and which do the rest.
struct Place {
    /// `None`: this process may use one CPU only.
    worker: Option<usize>,
    others: Vec<usize>,
}

impl Place {
    /// The CPU that is asked for, or the second that this process may use.
    fn choose(wanted: Option<u16>) -> Result<Self, String> {
        let allowed = cpu::allowed().map_err(|why| format!("this process's CPUs are not known: {why}"))?;
        let worker = match wanted.map(usize::from) {
            Some(wanted) if !allowed.contains(&wanted) => {
                return Err(format!(
                    "lcores.worker = {wanted}: this process may run on the CPUs {allowed:?} only (taskset, cgroup): \
                     choose among those"
                ));
            }
            Some(wanted) => Some(wanted),
            None => allowed.get(1).copied(),
        };
        let others = allowed.into_iter().filter(|cpu| Some(*cpu) != worker).collect();
        Ok(Self { worker, others })
    }

    /// Keeps the calling thread, and those that it starts, off the worker's CPU, where there is another one.
    fn keep_others_off(&self) {
        if !self.others.is_empty()
            && let Err(why) = cpu::run_on(&self.others)
        {
            tracing::warn!("the control thread stays where it is: {why}");
        }
    }

    /// To be called on the worker's thread.
    fn enter(&self) {
        match self.worker.map(|worker| (worker, cpu::run_on(&[worker]))) {
            Some((worker, Ok(()))) => tracing::info!(cpu = worker, "polling"),
            Some((worker, Err(why))) => {
                tracing::warn!(cpu = worker, "polling, but not pinned: the kernel says {why}");
            }
            None => tracing::warn!("polling on the only CPU there is, which everything shares: give it two"),
        }
    }
}

/// Time between two looks at the device's counters, which overflow after some minutes.
const COUNT_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_has_a_cpu_of_its_own_where_there_are_two() {
        let allowed = cpu::allowed().unwrap();
        let place = Place::choose(None).unwrap();
        assert_eq!(place.worker, allowed.get(1).copied());
        assert!(!place.others.is_empty() && !place.others.contains(&place.worker.unwrap_or(usize::MAX)));
        let first = u16::try_from(allowed[0]).unwrap();
        assert_eq!(Place::choose(Some(first)).unwrap().worker, Some(allowed[0]));
        let why = Place::choose(Some(1_023)).err().unwrap();
        assert!(why.contains("lcores.worker = 1023"), "{why}");
    }
}
