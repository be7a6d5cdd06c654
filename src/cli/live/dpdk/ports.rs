//! The ports of a run, and the queues of each worker on them.

use std::net::SocketAddrV4;

use super::Failure;
use crate::cli::exit::Exit;
use crate::config::{Config, Framing, Igmp, PortRef, StrategyKind};
use crate::eal::Eal;
use crate::nic::dpdk::{FanHandle, RxHandle, TxHandle};
use crate::nic::{NoTx, RxQueue};
use crate::pipeline::finished::Finished;
use crate::pipeline::tap::Tap;
use crate::pmd::{Flow, PmdError, Port, PortConfig, PortInfo};
use crate::wire::ethernet::{Mac, multicast_mac};
use crate::wire::igmp::ALL_SYSTEMS;
use crate::worker::Worker;

/// Each port once, in the order of [`Port::distinct`](crate::config::Port::distinct).
pub(super) struct Ports {
    all: Vec<Port>,
    /// Place of the port that orders leave by.
    orders: usize,
}

/// What one worker receives from: every port, shared with the others where there are some.
enum Rx {
    Alone(Vec<RxHandle>),
    Shared(Vec<FanHandle>),
}

/// What one worker polls, and what it sends by.
pub(super) struct Queues {
    rx: Rx,
    /// `None` for a worker that never sends.
    tx: Option<TxHandle>,
    side_tx: Vec<Option<TxHandle>>,
}

impl Ports {
    pub(super) fn start(eal: &Eal, config: &Config) -> Result<Self, Failure> {
        let places = config.port.distinct();
        let all = places.iter().map(|wanted| start(eal, wanted, config)).collect::<Result<Vec<_>, _>>()?;
        for (port, wanted) in all.iter().zip(places) {
            filter(port, wanted, config)?;
            if config.lcores.count() > 1 {
                let steering = port.steer(&flows(port, wanted, config));
                tracing::info!(port = port.name(), queues = port.config().rx_queues, %steering, "workers");
            }
        }
        Ok(Self { all, orders: usize::from(config.port.place(&config.port.orders)) })
    }

    pub(super) fn orders(&self) -> &Port {
        // The place was looked up among these.
        &self.all[self.orders]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Port> {
        self.all.iter()
    }

    pub(super) fn macs(&self) -> Vec<Mac> {
        self.all.iter().map(Port::mac).collect()
    }

    /// Names in the order of the receive queues.
    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|port| port.name().to_owned()).collect()
    }

    /// The queues of each worker. The first one speaks for all on every port.
    pub(super) fn queues(&self, config: &Config) -> Result<Vec<Queues>, PmdError> {
        let count = config.lcores.count();
        let mut rx = if count == 1 {
            vec![Rx::Alone(self.all.iter().map(|port| port.rx_handle(0)).collect::<Result<_, _>>()?)]
        } else {
            let mut workers: Vec<_> = (0..count).map(|_| Vec::new()).collect();
            for port in &self.all {
                for (worker, part) in workers.iter_mut().zip(port.fan(count)?) {
                    worker.push(part);
                }
            }
            workers.into_iter().map(Rx::Shared).collect()
        };
        let orders = self.orders();
        let mut queues = Vec::new();
        for (worker, rx) in (0..count).zip(rx.drain(..)) {
            let sends = worker < orders.config().tx_queues;
            let tx = if sends { Some(orders.tx_handle(worker)?) } else { None };
            let side = |at| worker == 0 && at != self.orders;
            let side_tx = (self.all.iter().enumerate())
                .map(|(at, port)| if side(at) { port.tx_handle(0).map(Some) } else { Ok(None) })
                .collect::<Result<_, _>>()?;
            queues.push(Queues { rx, tx, side_tx });
        }
        Ok(queues)
    }

    /// What the ports count, all together.
    pub(super) fn rows(&self) -> Vec<(&'static str, u64)> {
        let mut sum: Vec<(&'static str, u64)> = Vec::new();
        for port in &self.all {
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

impl Queues {
    /// Runs `worker` on them, on the lcore that is to poll.
    pub(super) fn run(self, worker: Worker, tap: Option<Tap>) -> Finished {
        let Self { rx, tx, side_tx } = self;
        match rx {
            Rx::Alone(rx) => send(worker, rx.into_iter().map(RxHandle::attach).collect(), tx, side_tx, tap),
            Rx::Shared(rx) => send(worker, rx.into_iter().map(FanHandle::attach).collect(), tx, side_tx, tap),
        }
    }
}

fn send<R: RxQueue>(
    worker: Worker,
    rx: Vec<R>,
    tx: Option<TxHandle>,
    side_tx: Vec<Option<TxHandle>>,
    tap: Option<Tap>,
) -> Finished {
    match tx {
        Some(tx) => {
            let side_tx = side_tx.into_iter().map(|tx| tx.map(TxHandle::attach)).collect();
            worker.run(rx, tx.attach(), side_tx, tap)
        }
        None => worker.run(rx, NoTx, Vec::new(), tap),
    }
}

/// Which queue of this port the lines and the replies to each worker had best come to.
fn flows(port: &Port, wanted: &PortRef, config: &Config) -> Vec<Flow> {
    let queues = port.config().rx_queues;
    let a = (*wanted == config.port.feed).then_some(&config.feed.line_a);
    let b = config.feed.line_b.as_ref().filter(|_| *wanted == config.port.line_b);
    let lines = a.into_iter().chain(b).zip(0..).map(|(line, queue)| Flow {
        to: SocketAddrV4::new(line.group, line.port),
        tagged: line.vlan.is_some(),
        queue: queue % queues,
    });
    // Over TCP there is one worker, to which everything comes.
    let gateway = (config.gateway.as_ref())
        .filter(|gateway| *wanted == config.port.orders && gateway.framing == Framing::WutfUdp);
    let replies = (0..config.lcores.count()).filter_map(|worker| {
        let gateway = gateway?;
        Some(Flow {
            to: SocketAddrV4::new(gateway.local_ip, gateway.local_port.saturating_add(worker)),
            tagged: gateway.vlan.is_some(),
            queue: worker % queues,
        })
    });
    lines.chain(replies).collect()
}

/// Lets the groups of the lines through that come by this port.
fn filter(port: &Port, wanted: &PortRef, config: &Config) -> Result<(), Failure> {
    let a = (*wanted == config.port.feed).then_some(&config.feed.line_a);
    let b = config.feed.line_b.as_ref().filter(|_| *wanted == config.port.line_b);
    let lines: Vec<_> = a.into_iter().chain(b).map(|line| line.group).collect();
    if lines.is_empty() {
        return Ok(());
    }
    if config.port.promiscuous {
        port.set_promiscuous(true)?;
        tracing::info!(port = port.name(), filter = "promiscuous, as configured", "multicast");
        return Ok(());
    }
    // Queries about all groups come there.
    let queries = (config.port.igmp != Igmp::Off).then_some(ALL_SYSTEMS);
    let groups: Vec<_> = lines.into_iter().chain(queries).map(multicast_mac).collect();
    let filter = port.set_multicast(&groups)?;
    tracing::info!(port = port.name(), %filter, "multicast");
    Ok(())
}

fn start(eal: &Eal, wanted: &PortRef, config: &Config) -> Result<Port, Failure> {
    let name = match wanted {
        PortRef::Index(index) => index.to_string(),
        PortRef::Name(name) => name.clone(),
    };
    let probed = Port::probe(eal, &name)?;
    let queues = queues(probed.info(), *wanted == config.port.orders, config)?;
    let port = probed.start(&PortConfig {
        rx_queues: queues.0,
        tx_queues: queues.1,
        shared_with: config.lcores.count() - 1,
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

/// Receive and transmit queues of a port. Where nothing is said, a device that does not spread what it receives gets one
/// receive queue: nothing would come to others, or its other side would have to have as many.
fn queues(info: &PortInfo, sends_orders: bool, config: &Config) -> Result<(u16, u16), Failure> {
    let workers = config.lcores.count();
    let trades = config.strategy.kind != StrategyKind::None && config.gateway.is_some();
    let tx = if sends_orders && trades { workers } else { 1 };
    if tx > info.max_tx_queues {
        let why = format!(
            "port {}: {} has {} transmit queues, and {workers} workers need one each to send orders\n  \
             name no more lcores.workers than that, or another port in port.orders",
            info.name, info.driver, info.max_tx_queues
        );
        return Err(Failure(Exit::Environment, why));
    }
    let usual = if info.spreads { workers.min(info.max_rx_queues) } else { 1 };
    let rx = config.port.rx_queues.unwrap_or(usual);
    if rx > info.max_rx_queues {
        let why = format!(
            "port {}: {} has {} receive queues, and port.rx_queues asks for {rx}\n  lower it",
            info.name, info.driver, info.max_rx_queues
        );
        return Err(Failure(Exit::Environment, why));
    }
    Ok((rx, tx))
}
