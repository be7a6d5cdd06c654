//! The live form on a Solarflare interface, through ef_vi.
//!
//! The kernel keeps the interface. Filters take the datagrams of the lines and the gateway's replies; IGMP and ARP stay
//! with the kernel, which is asked to be a member of the groups for as long as this runs.

use std::fs;
use std::net::SocketAddrV4;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::link::{Links, Look, Shown};
use super::{Progress, captured, conclude, journaled, look_after, plan, recover, tap};
use crate::cli::exit::Exit;
use crate::cli::{LiveArgs, complain};
use crate::config::{Config, Framing, Igmp, Stack, StrategyKind};
use crate::control::{self, Ending};
use crate::nic::cpu;
use crate::nic::efvi::EfviCounters;
use crate::nic::efvi::device::{EfviConfig, EfviPort, Filter};
use crate::nic::efvi::kernel::{Group, Kept, neighbour};
use crate::stats::clock::{CALIBRATION, Clock};
use crate::stop::StopFlag;
use crate::worker::assemble_all;

/// Ethernet header and two VLAN tags.
const FRAME_OVERHEAD: usize = 14 + 8;

/// What stops a run before it begins.
type Failure = (Exit, String);

pub(super) fn main(interface: &str, config: &Config, args: &LiveArgs) -> Exit {
    match run(interface, config.clone(), args) {
        Ok(exit) => exit,
        Err((exit, why)) => complain(exit, &why),
    }
}

fn run(interface: &str, mut config: Config, args: &LiveArgs) -> Result<Exit, Failure> {
    let environment = |why: &dyn std::fmt::Display| (Exit::Environment, why.to_string());
    check(&config).map_err(|why| (Exit::Usage, why))?;
    let ports = open(interface, &config)?;
    wait_for_link(interface, config.port.link_wait);
    // Until the end: the kernel leaves the groups with it.
    let _kept = keep(interface, &mut config)?;

    let clock = Clock::calibrate(CALIBRATION).map_err(|why| environment(&why))?;
    if let Some(warning) = clock.invariance().warning() {
        tracing::warn!("{warning}");
    }
    let mac = ports.first().map(EfviPort::mac).unwrap_or_default();
    let (mut workers, mut handles) =
        assemble_all(&config, mac, clock).map_err(|why| (Exit::Usage, why.to_string()))?;
    let stop = StopFlag::new();
    stop.set_on_signals().map_err(|why| environment(&format!("signals cannot be handled: {why}")))?;
    let recovery = recover(&config, &mut handles).map_err(|why| environment(&why))?;
    let journal = look_after(&config, args, &mut workers, &handles).map_err(|why| environment(&why))?;
    let made = tap(args, clock, vec![format!("efvi:{interface}")]).map_err(|why| environment(&why))?;
    let (mut tap, capture) = made.unzip();

    let counters: Vec<_> = ports.iter().map(EfviPort::last_word).collect();
    let threads: Vec<_> = (workers.into_iter().zip(ports).enumerate())
        .map(|(at, (worker, port))| {
            // The first one's view is what is captured.
            let tap = tap.take();
            let cpu = config.lcores.workers.get(at).map(|cpu| usize::from(*cpu));
            thread::spawn(move || {
                enter(cpu);
                let (rx, tx) = port.attach();
                worker.run(vec![rx], tx, Vec::new(), tap)
            })
        })
        .collect();
    let began = Instant::now();
    let mut log = Progress::new(&config);
    let look = || link(interface);
    let links = Links::new([(interface.to_owned(), Box::new(look) as Look<'_>)]);
    let ending = control::accompany(
        &mut handles,
        plan(&config, args),
        &|| {
            links.round();
            stop.is_set()
        },
        &|| !threads.iter().any(JoinHandle::is_finished),
        &mut |moment| log.show(moment),
    );
    let ended: Result<Vec<_>, _> = threads.into_iter().map(JoinHandle::join).collect();
    // Only now: what it shows last is how the loops stood at their end.
    drop(recovery);
    let finished =
        ended.map_err(|_| environment(&format!("a worker failed ({})", Ending::WorkerEnded.words())))?;
    let mut rows = sum(&counters);
    rows.extend(links.rows());
    rows.extend(captured(capture));
    rows.extend(journaled(journal));
    let last = control::moment(&mut handles, began.elapsed());
    Ok(conclude(ending, &last, &finished, &rows, args))
}

/// What the configuration asks for and this way of receiving has not.
fn check(config: &Config) -> Result<(), String> {
    if config.port.distinct().len() > 1 {
        return Err("the configuration names several ports, and --nic efvi:INTERFACE is one\n  leave out port.orders \
                    and port.line_b"
            .to_owned());
    }
    let allowed = cpu::allowed().map_err(|why| format!("this process's CPUs are not known: {why}"))?;
    if let Some(cpu) = config.lcores.workers.iter().find(|cpu| !allowed.contains(&usize::from(**cpu))) {
        return Err(format!(
            "lcores.workers names CPU {cpu}, and this process may run on {allowed:?} only\n  choose among those, or \
             look at taskset and cgroups"
        ));
    }
    if config.strategy.kind != StrategyKind::None
        && config
            .gateway
            .as_ref()
            .is_some_and(|gateway| gateway.framing == Framing::OuchTcp && gateway.ouch.stack == Stack::Own)
    {
        return Err("gateway.stack = \"own\" needs the interface's TCP segments, which the kernel answers to on one that it \
                    keeps\n  set gateway.stack = \"kernel\", or use DPDK"
            .to_owned());
    }
    if config.port.promiscuous {
        tracing::warn!("port.promiscuous is not looked at: ef_vi is given what its filters name");
    }
    Ok(())
}

/// One VI for each worker: the NIC gives every one that names a group a copy of its frames.
fn open(interface: &str, config: &Config) -> Result<Vec<EfviPort>, Failure> {
    let mut ports = Vec::new();
    for index in 0..config.lcores.count() {
        let port = EfviPort::open(&EfviConfig {
            interface: interface.to_owned(),
            rx_descriptors: config.port.rx_descriptors,
            tx_descriptors: config.port.tx_descriptors,
            filters: filters(&config.share(index)),
            stamps: false,
        })
        .map_err(|why| (Exit::Environment, why.to_string()))?;
        let longest = port.max_frame();
        if usize::from(config.port.mtu) + FRAME_OVERHEAD > longest {
            let mtu = longest.saturating_sub(FRAME_OVERHEAD);
            return Err((
                Exit::Usage,
                format!(
                    "port.mtu = {} is more than {interface} and its buffers carry\n  write mtu = {mtu} at most",
                    config.port.mtu
                ),
            ));
        }
        tracing::info!(worker = index, interface, manner = port.manner(), "virtual interface made");
        ports.push(port);
    }
    Ok(ports)
}

/// To be called on a worker's thread.
fn enter(cpu: Option<usize>) {
    match cpu.map(|cpu| (cpu, cpu::run_on(&[cpu]))) {
        Some((cpu, Ok(()))) => tracing::info!(cpu, "polling"),
        Some((cpu, Err(why))) => tracing::warn!(cpu, "polling, but not pinned: the kernel says {why}"),
        None => tracing::warn!("polling wherever the kernel puts it: name a CPU, lcores.worker = 2"),
    }
}

/// The link as the kernel sees it, whose driver keeps the interface.
fn link(interface: &str) -> Option<Shown> {
    let read = |what| fs::read_to_string(format!("/sys/class/net/{interface}/{what}")).ok();
    // Cannot be read while the interface is down.
    let up = read("carrier").is_some_and(|carrier| carrier.trim() == "1");
    Some(Shown { up, mbps: read("speed").and_then(|speed| speed.trim().parse().ok()) })
}

fn wait_for_link(interface: &str, patience: Duration) {
    let began = Instant::now();
    while link(interface).is_none_or(|link| !link.up) {
        if began.elapsed() >= patience {
            tracing::warn!("{interface}: no link: is it up (ip link set {interface} up), is the cable in?");
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is taken from the kernel.
fn filters(config: &Config) -> Vec<Filter> {
    let lines = std::iter::once(&config.feed.line_a).chain(config.feed.line_b.as_ref());
    let replies = config.gateway.as_ref().filter(|gateway| gateway.framing == Framing::WutfUdp);
    let replies = replies.map(|gateway| {
        let local = SocketAddrV4::new(gateway.local_ip, gateway.local_port);
        Filter::Between(local, SocketAddrV4::new(gateway.ip, gateway.port))
    });
    lines.map(|line| Filter::To(SocketAddrV4::new(line.group, line.port))).chain(replies).collect()
}

/// Has the kernel do what it goes on doing, and asks it where the gateway is.
fn keep(interface: &str, config: &mut Config) -> Result<Kept, Failure> {
    let environment = |why: &dyn std::fmt::Display| (Exit::Environment, why.to_string());
    let mut kept = Kept::default();
    if config.port.igmp != Igmp::Off {
        for line in std::iter::once(&config.feed.line_a).chain(config.feed.line_b.as_ref()) {
            let group = Group { group: line.group, source: line.source, vlan: line.vlan };
            kept.join(interface, &group).map_err(|why| environment(&why))?;
        }
    }
    let local: Vec<_> = (0..config.lcores.count())
        .filter_map(|index| config.share(index).gateway)
        .filter(|gateway| gateway.framing == Framing::WutfUdp)
        .map(|gateway| SocketAddrV4::new(gateway.local_ip, gateway.local_port))
        .collect();
    if config.strategy.kind == StrategyKind::None {
        return Ok(kept);
    }
    for address in local {
        kept.take(address).map_err(|why| environment(&why))?;
    }
    if let Some(gateway) = &mut config.gateway
        && gateway.mac.is_none()
    {
        let hop = gateway.next_hop.unwrap_or(gateway.ip);
        let Some(mac) = neighbour(interface, gateway.vlan, hop) else {
            return Err(environment(&format!(
                "the kernel does not know the hardware address of {hop} on {interface}\n  write it as gateway.mac, or \
                 have the kernel ask: ping -c 1 {hop}"
            )));
        };
        tracing::info!(%hop, mac = %mac.map(|byte| format!("{byte:02x}")).join(":"), "next hop, as the kernel knows it");
        gateway.mac = Some(mac);
    }
    Ok(kept)
}

/// What the VIs counted, all together.
fn sum(counters: &[Arc<OnceLock<EfviCounters>>]) -> Vec<(&'static str, u64)> {
    let mut total = EfviCounters::default().rows().to_vec();
    for counted in counters.iter().filter_map(|counters| counters.get()) {
        for (sum, (_, value)) in total.iter_mut().zip(counted.rows()) {
            sum.1 += value;
        }
    }
    total
}
