//! The live form on kernel sockets: for machines without DPDK, and to compare with.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::{Progress, captured, conclude, journaled, look_after, plan, recover, tap};
use crate::cli::exit::Exit;
use crate::cli::{LiveArgs, complain};
use crate::config::{Config, Framing, Gateway, Stack, StrategyKind};
use crate::control::{self, Ending};
use crate::nic::udp::{Listen, UdpConfig, UdpPort};
use crate::stats::clock::Clock;
use crate::stop::StopFlag;
use crate::worker::assemble_all;

pub(super) fn main(interface: Ipv4Addr, config: &Config, args: &LiveArgs) -> Exit {
    let own_tcp = |gateway: &Gateway| gateway.framing == Framing::OuchTcp && gateway.ouch.stack == Stack::Own;
    if config.strategy.kind != StrategyKind::None && config.gateway.as_ref().is_some_and(own_tcp) {
        return complain(
            Exit::Usage,
            "gateway.stack = \"own\" needs a port of its own, and --nic udp has the kernel's sockets\n  \
             set gateway.stack = \"kernel\", or use another --nic",
        );
    }
    let clock = match Clock::calibrate(crate::stats::clock::CALIBRATION) {
        Ok(clock) => clock,
        Err(why) => return complain(Exit::Environment, &why.to_string()),
    };
    // The kernel puts its own hardware address on what it sends.
    let (mut workers, mut handles) = match assemble_all(config, [0; 6], clock) {
        Ok(made) => made,
        Err(why) => return complain(Exit::Usage, &why.to_string()),
    };
    // Each has sockets of its own: the kernel gives every one that joined a group a copy.
    let mut ports = Vec::new();
    for index in 0..config.lcores.count() {
        match UdpPort::open(&sockets(interface, &config.share(index))) {
            Ok(port) => ports.push(port),
            Err(why) => return complain(Exit::Environment, &why.to_string()),
        }
    }
    for granted in ports.iter().flat_map(UdpPort::granted) {
        if !granted.receive_buffer_in_full {
            tracing::warn!(
                address = %granted.bound,
                bytes = granted.receive_buffer,
                "the kernel gave a smaller receive buffer than asked for: raise net.core.rmem_max, or bursts may be lost"
            );
        }
    }
    let stop = StopFlag::new();
    if let Err(why) = stop.set_on_signals() {
        return complain(Exit::Environment, &format!("signals cannot be handled: {why}"));
    }
    let recovery = match recover(config, &mut handles) {
        Ok(thread) => thread,
        Err(why) => return complain(Exit::Environment, &why),
    };
    let journal = match look_after(config, args, &mut workers, &handles) {
        Ok(thread) => thread,
        Err(why) => return complain(Exit::Environment, &why),
    };
    let (mut tap, capture) = match tap(args, clock, vec![format!("udp:{interface}")]) {
        Ok(made) => made.unzip(),
        Err(why) => return complain(Exit::Environment, &why),
    };
    let threads: Vec<_> = (workers.into_iter().zip(ports))
        .map(|(worker, port)| {
            // The first one's view is what is captured.
            let tap = tap.take();
            thread::spawn(move || {
                let (rx, tx) = port.attach();
                worker.run(vec![rx], tx, Vec::new(), tap)
            })
        })
        .collect();
    let began = Instant::now();
    let mut log = Progress::new(config);
    let ending = control::accompany(
        &mut handles,
        plan(config, args),
        &|| stop.is_set(),
        &|| !threads.iter().any(JoinHandle::is_finished),
        &mut |moment| log.show(moment),
    );
    let ended: Result<Vec<_>, _> = threads.into_iter().map(JoinHandle::join).collect();
    // Only now: what it shows last is how the loops stood at their end.
    drop(recovery);
    let mut rows = captured(capture);
    rows.extend(journaled(journal));
    match ended {
        Ok(finished) => {
            conclude(ending, &control::moment(&mut handles, began.elapsed()), &finished, &rows, args)
        }
        Err(_) => complain(Exit::Environment, &format!("a worker failed ({})", Ending::WorkerEnded.words())),
    }
}

/// What the configuration listens to, as sockets.
fn sockets(interface: Ipv4Addr, config: &Config) -> UdpConfig {
    let lines = std::iter::once(&config.feed.line_a).chain(config.feed.line_b.as_ref());
    let mut listen: Vec<Listen> = lines
        .map(|line| Listen { address: SocketAddrV4::new(line.group, line.port), source: line.source })
        .collect();
    if let Some(gateway) = config.gateway.as_ref().filter(|gateway| gateway.framing == Framing::WutfUdp) {
        listen.push(Listen {
            address: SocketAddrV4::new(gateway.local_ip, gateway.local_port),
            source: Some(gateway.ip),
        });
    }
    UdpConfig {
        interface,
        listen,
        max_payload: usize::from(config.feed.max_payload),
        ..UdpConfig::usual(interface)
    }
}
