//! Ports: found, configured, started, asked, closed.
//!
//! [`Port::probe`] finds a port and tells what it can; [`ProbedPort::start`] sets it up and starts it. Queues are taken
//! from a started port as handles (`rx_handle`, `tx_handle`, in [`crate::nic::dpdk`]) and live on their lcore. Each
//! holds a share of the port, the port of EAL: a port stops and closes when its last share is gone, then EAL ends.
//!
//! Frame lengths are without FCS. An MTU counts from the IP header on.
#![allow(unsafe_code, reason = "calls into DPDK; each call says why it is sound")]

use std::{
    ffi::{CStr, CString, c_char, c_int},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dpdk_sys as sys;

use crate::{
    eal::{self, Eal, Runtime},
    port::MAX_FRAME,
};

pub mod burst;
mod counters;
pub(crate) mod mbuf;
mod multicast;
pub(crate) mod pool;
mod setup;
mod steering;

pub use crate::port::PortStats;
pub use multicast::FilterInForce;
pub(crate) use setup::Stamp;
pub use steering::{Flow, Steering};

use pool::Pool;

/// Bytes before the MTU: Ethernet header and two VLAN tags.
const FRAME_OVERHEAD: u16 = 14 + 2 * 4;

/// The largest MTU that is supported.
pub const MAX_MTU: u16 = MAX_FRAME as u16 - FRAME_OVERHEAD;

/// What can go wrong with a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PmdError {
    /// EAL found no such port.
    #[error("no port '{wanted}': {}", available(.found, .untaken))]
    NoPort {
        /// Name or number as asked for.
        wanted: String,
        /// Those there are.
        found: Vec<String>,
        /// PCI addresses that were allowed (`-a`) and that no driver made a port of.
        untaken: Vec<String>,
    },
    /// Somebody has that port already.
    #[error("port {port} is in use already")]
    PortTaken {
        /// Its name.
        port: String,
    },
    /// A number the device cannot serve.
    #[error("port {port}: {what} {asked} is outside what {driver} takes, {least} to {most}")]
    OutOfRange {
        /// Its name.
        port: String,
        /// Its driver.
        driver: String,
        /// `MTU`, `receive queues`, …
        what: &'static str,
        /// As configured.
        asked: u32,
        /// The least that it takes.
        least: u32,
        /// The most that it takes.
        most: u32,
    },
    /// No memory for a pool.
    #[error(
        "no {mib} MiB for packet buffers{}: {reason}; give EAL more memory (-m, --socket-mem, or more hugepages)",
        .node.map(|n| format!(" on NUMA node {n}")).unwrap_or_default()
    )]
    Pool {
        /// About how much was wanted.
        mib: u64,
        /// Where.
        node: Option<u32>,
        /// EAL's words.
        reason: String,
    },
    /// A call into the driver failed.
    #[error("port {port} could not {step}: {reason}")]
    Call {
        /// Its name.
        port: String,
        /// What was tried.
        step: &'static str,
        /// The error number in words.
        reason: String,
    },
    /// The link did not come up in time.
    #[error("port {port}: no link after {seconds} s: is the cable in, is the other side up?")]
    NoLink {
        /// Its name.
        port: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The port was started without that queue.
    #[error("port {port} has no {kind} queue {queue}")]
    NoQueue {
        /// Its name.
        port: String,
        /// `receive` or `transmit`.
        kind: &'static str,
        /// As asked for.
        queue: u16,
    },
    /// A queue has one owner.
    #[error("port {port}: {kind} queue {queue} is in use already")]
    QueueTaken {
        /// Its name.
        port: String,
        /// `receive` or `transmit`.
        kind: &'static str,
        /// As asked for.
        queue: u16,
    },
    /// A filter for an address that is no group's.
    #[error("{mac:02x?} is no multicast address")]
    NotMulticast {
        /// As given.
        mac: [u8; 6],
    },
    /// The port cannot close yet.
    #[error("port {port} is not closed: queues of it are still in use")]
    QueuesInUse {
        /// Its name.
        port: String,
    },
}

fn available(found: &[String], untaken: &[String]) -> String {
    let ports = if found.is_empty() { "no port at all".to_owned() } else { found.join(", ") };
    if !untaken.is_empty() {
        format!(
            "no driver of DPDK took {}, although -a allows it: its driver is not installed, or failed as said above; \
             EAL found {ports}",
            untaken.join(", ")
        )
    } else if found.is_empty() {
        format!("EAL found {ports}; give it one with -a (PCI address) or --vdev")
    } else {
        format!("EAL found {ports}")
    }
}

/// What a port is and can do, as its driver says.
#[derive(Clone, Debug)]
pub struct PortInfo {
    /// EAL's name: PCI address or virtual device.
    pub name: String,
    /// Such as `net_ixgbe`.
    pub driver: String,
    /// Its own address.
    pub mac: [u8; 6],
    /// Where it is plugged in; `None` where it is nowhere in particular.
    pub numa_node: Option<u32>,
    /// Smallest MTU.
    pub min_mtu: u16,
    /// Largest MTU.
    pub max_mtu: u16,
    /// Most receive queues.
    pub max_rx_queues: u16,
    /// Most transmit queues.
    pub max_tx_queues: u16,
    /// Fewest and most receive descriptors of a queue.
    pub rx_descriptors: (u16, u16),
    /// Fewest and most transmit descriptors of a queue.
    pub tx_descriptors: (u16, u16),
    /// It verifies IPv4 header checksums.
    pub checks_ipv4: bool,
    /// It verifies UDP checksums.
    pub checks_udp: bool,
    /// It stamps frames with its own time on reception.
    pub stamps: bool,
    /// It can spread UDP over its receive queues.
    pub spreads: bool,
}

/// How to set a port up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive queues. Where there are several, the card is told to spread UDP over them, if it can.
    pub rx_queues: u16,
    /// Lcores that the frames of each queue are shared with beside its own: its buffers must last for them too.
    pub shared_with: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Descriptors of each receive queue, adjusted to what the driver takes. More ride out longer stalls of the loop.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue, adjusted likewise.
    pub tx_descriptors: u16,
    /// Bytes from the IP header on, 68 to 9,000.
    pub mtu: u16,
    /// Let the card verify checksums where it can.
    pub checksums: bool,
    /// Let the card stamp frames where it can.
    pub stamps: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            shared_with: 0,
            tx_queues: 1,
            rx_descriptors: 1_024,
            tx_descriptors: 1_024,
            mtu: 1_500,
            checksums: true,
            stamps: true,
        }
    }
}

/// A link's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Frames can pass.
    pub up: bool,
    /// Mbit/s; `None` where unknown.
    pub speed_mbps: Option<u32>,
    /// Both directions at once.
    pub full_duplex: bool,
}

/// One program-wide owner for each port number.
static TAKEN: [AtomicBool; sys::RTE_MAX_ETHPORTS as usize] =
    [const { AtomicBool::new(false) }; sys::RTE_MAX_ETHPORTS as usize];

/// A port number that is ours alone while this lives.
#[derive(Debug)]
struct Claim {
    id: u16,
    _runtime: Arc<Runtime>,
}

impl Claim {
    fn take(runtime: &Arc<Runtime>, id: u16) -> Option<Self> {
        let taken = TAKEN.get(usize::from(id))?.swap(true, Ordering::Acquire);
        (!taken).then(|| Self { id, _runtime: Arc::clone(runtime) })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        TAKEN[usize::from(self.id)].store(false, Ordering::Release);
    }
}

/// A queue of a started port.
#[derive(Debug)]
pub(crate) struct Queue {
    /// A handle or queue object exists.
    pub(crate) taken: AtomicBool,
    /// Its buffers.
    pub(crate) pool: Pool,
}

/// A started port, shared by its handles and queues. Stops and closes when dropped.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) rx: Vec<Queue>,
    pub(crate) tx: Vec<Queue>,
    pub(crate) stamp: Stamp,
    pub(crate) frame_room: u16,
    pub(crate) numa_node: Option<u32>,
    /// There may be rules that steer flows.
    steered: AtomicBool,
    claim: Claim,
}

impl Shared {
    pub(crate) fn id(&self) -> u16 {
        self.claim.id
    }

    /// Takes back all rules that steer flows.
    fn forget_flows(&self) {
        if self.steered.swap(false, Ordering::Relaxed) {
            // SAFETY: a started port.
            let rc = unsafe { sys::shim_flow_flush(self.claim.id) };
            if let Err(why) = self.check("take back its rules", rc) {
                tracing::debug!("{why}");
            }
        }
    }

    /// `Ok` for 0 and above.
    fn check(&self, step: &'static str, rc: c_int) -> Result<(), PmdError> {
        check(&self.name, step, rc)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.forget_flows();
        // SAFETY: all queues of the port are gone (they hold shares), so no thread is in its burst functions.
        let stopped = unsafe { sys::rte_eth_dev_stop(self.claim.id) };
        // SAFETY: as above; the port was configured by us and is not used after this.
        let closed = unsafe { sys::rte_eth_dev_close(self.claim.id) };
        for (step, rc) in [("stop", stopped), ("close", closed)] {
            if let Err(e) = self.check(step, rc) {
                tracing::warn!("{e}");
            }
        }
    }
}

fn check(port: &str, step: &'static str, rc: c_int) -> Result<(), PmdError> {
    if rc >= 0 { Ok(()) } else { Err(PmdError::Call { port: port.into(), step, reason: eal::strerror(rc) }) }
}

/// A port that was found and not set up.
#[derive(Debug)]
pub struct ProbedPort {
    claim: Claim,
    info: PortInfo,
    offloads: u64,
}

impl ProbedPort {
    /// What it is and can do.
    #[must_use]
    pub fn info(&self) -> &PortInfo {
        &self.info
    }
}

/// A started port, in the hands of the control lcore.
#[derive(Debug)]
pub struct Port {
    shared: Arc<Shared>,
    info: PortInfo,
    config: PortConfig,
}

impl Port {
    /// Finds a port by EAL's name (`0000:01:00.0`, `net_ring0`) or by its number (`0`).
    ///
    /// # Errors
    /// [`PmdError::NoPort`] naming those there are, or [`PmdError::PortTaken`].
    pub fn probe(eal: &Eal, wanted: &str) -> Result<ProbedPort, PmdError> {
        let no_port = || {
            let found: Vec<_> = ids().into_iter().filter_map(|id| port_name(id).ok()).collect();
            // A driver with several ports of one device adds to the address.
            let is_taken = |address: &String| found.iter().any(|name| name.starts_with(address));
            let untaken = eal.allowed().iter().filter(|address| !is_taken(address)).cloned().collect();
            PmdError::NoPort { wanted: wanted.into(), found, untaken }
        };
        let id = match wanted.parse::<u16>() {
            Ok(number) => ids().into_iter().find(|id| *id == number).ok_or_else(no_port)?,
            Err(_) => {
                let name = CString::new(wanted).map_err(|_| no_port())?;
                let mut id = 0;
                // SAFETY: EAL runs (`eal`); a terminated string.
                let rc = unsafe { sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
                if rc == 0 { id } else { return Err(no_port()) }
            }
        };
        let claim =
            Claim::take(eal.runtime(), id).ok_or_else(|| PmdError::PortTaken { port: wanted.into() })?;
        let (info, offloads) = setup::info(id)?;
        Ok(ProbedPort { claim, info, offloads })
    }

    /// EAL's names of all ports it found.
    #[must_use]
    pub fn names(_eal: &Eal) -> Vec<String> {
        ids().into_iter().filter_map(|id| port_name(id).ok()).collect()
    }

    /// EAL's number of it.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.shared.id()
    }

    /// EAL's name of it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Its own address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.info.mac
    }

    /// Where it is plugged in; `None` where it is nowhere in particular.
    #[must_use]
    pub fn numa_node(&self) -> Option<u32> {
        self.info.numa_node
    }

    /// What it is and can do.
    #[must_use]
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// How it was set up, with the numbers of descriptors as adjusted.
    #[must_use]
    pub fn config(&self) -> &PortConfig {
        &self.config
    }

    /// The link now.
    ///
    /// # Errors
    /// [`PmdError::Call`]: the driver cannot tell.
    pub fn link(&self) -> Result<Link, PmdError> {
        let mut link = sys::shim_link::default();
        // SAFETY: a started port; fills the structure.
        let rc = unsafe { sys::shim_eth_link_get(self.id(), &raw mut link) };
        self.shared.check("read its link", rc)?;
        let known = link.speed_mbps != 0 && link.speed_mbps != u32::MAX;
        Ok(Link {
            up: link.up != 0,
            speed_mbps: known.then_some(link.speed_mbps),
            full_duplex: link.full_duplex != 0,
        })
    }

    /// Waits until frames can pass, at most `timeout`.
    ///
    /// # Errors
    /// [`PmdError::NoLink`], or [`PmdError::Call`].
    pub fn wait_for_link(&self, timeout: Duration) -> Result<Link, PmdError> {
        const STEP: Duration = Duration::from_millis(10);
        let start = Instant::now();
        loop {
            let link = self.link()?;
            if link.up {
                return Ok(link);
            }
            if start.elapsed() >= timeout {
                return Err(PmdError::NoLink { port: self.info.name.clone(), seconds: timeout.as_secs() });
            }
            thread::sleep(STEP);
        }
    }

    /// (free, all) buffers of a receive queue's pool, for reports and leak tests; `None` where there is no such queue.
    #[must_use]
    pub fn rx_buffers(&self, queue: u16) -> Option<(u32, u32)> {
        self.shared.rx.get(usize::from(queue)).map(|q| (q.pool.free(), q.pool.size()))
    }

    /// (free, all) buffers of a transmit queue's pool.
    #[must_use]
    pub fn tx_buffers(&self, queue: u16) -> Option<(u32, u32)> {
        self.shared.tx.get(usize::from(queue)).map(|q| (q.pool.free(), q.pool.size()))
    }

    /// Stops and closes the port. Dropping does so too, as soon as the last queue is gone.
    ///
    /// # Errors
    /// [`PmdError::QueuesInUse`]: it will close when those are dropped.
    pub fn close(self) -> Result<(), PmdError> {
        match Arc::into_inner(self.shared) {
            Some(shared) => {
                drop(shared);
                Ok(())
            }
            None => Err(PmdError::QueuesInUse { port: self.info.name }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Numbers of all ports, rising.
fn ids() -> Vec<u16> {
    // SAFETY: any number may be asked about.
    (0..sys::RTE_MAX_ETHPORTS as u16)
        .filter(|id| unsafe { sys::rte_eth_dev_is_valid_port(*id) } == 1)
        .collect()
}

fn port_name(id: u16) -> Result<String, PmdError> {
    let mut name: [c_char; sys::RTE_ETH_NAME_MAX_LEN as usize] = [0; sys::RTE_ETH_NAME_MAX_LEN as usize];
    // SAFETY: room for the longest name.
    let rc = unsafe { sys::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) };
    check(&id.to_string(), "tell its name", rc)?;
    // SAFETY: the call wrote a terminated string into the zeroed array.
    Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}
