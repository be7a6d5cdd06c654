//! The ports of a run, and the queues of each worker on them.

use super::Failure;
use crate::config::{Config, Igmp, PortRef};
use crate::eal::Eal;
use crate::nic::NoTx;
use crate::nic::dpdk::{RxHandle, TxHandle};
use crate::pipeline::tap::Tap;
use crate::pipeline::worker::{Finished, Worker};
use crate::pmd::{PmdError, Port, PortConfig};
use crate::wire::ethernet::{Mac, multicast_mac};
use crate::wire::igmp::ALL_SYSTEMS;

/// Each port once, in the order of [`Port::distinct`](crate::config::Port::distinct).
pub(super) struct Ports {
    all: Vec<Port>,
    /// Place of the port that orders leave by.
    orders: usize,
}

/// What one worker polls, and what it sends by.
pub(super) struct Queues {
    rx: Vec<RxHandle>,
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
        }
        Ok(Self { all, orders: usize::from(config.port.place(&config.port.orders)) })
    }

    pub(super) fn orders(&self) -> &Port {
        // The place was looked up among these.
        &self.all[self.orders]
    }

    pub(super) fn macs(&self) -> Vec<Mac> {
        self.all.iter().map(Port::mac).collect()
    }

    /// Names in the order of the receive queues.
    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|port| port.name().to_owned()).collect()
    }

    /// The queues of each worker.
    pub(super) fn queues(&self) -> Result<Vec<Queues>, PmdError> {
        let rx = self.all.iter().map(|port| port.rx_handle(0)).collect::<Result<_, _>>()?;
        let side_tx = (self.all.iter().enumerate())
            .map(|(at, port)| if at == self.orders { Ok(None) } else { port.tx_handle(0).map(Some) })
            .collect::<Result<_, _>>()?;
        Ok(vec![Queues { rx, tx: Some(self.orders().tx_handle(0)?), side_tx }])
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
        let rx = self.rx.into_iter().map(RxHandle::attach).collect();
        match self.tx {
            Some(tx) => {
                let side_tx = self.side_tx.into_iter().map(|tx| tx.map(TxHandle::attach)).collect();
                worker.run(rx, tx.attach(), side_tx, tap)
            }
            None => worker.run(rx, NoTx, Vec::new(), tap),
        }
    }
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
