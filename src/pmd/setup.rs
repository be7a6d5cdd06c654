//! From a port that was found to a port that runs.

use std::{
    ffi::{CStr, c_int},
    ptr,
    sync::{Arc, atomic::AtomicBool},
};

use dpdk_sys as sys;

use super::{
    FRAME_OVERHEAD, MAX_MTU, PmdError, Pool, Port, PortConfig, PortInfo, ProbedPort, Queue, Shared, check,
    pool,
};

/// The smallest MTU that IPv4 allows.
const MIN_MTU: u16 = 68;

/// SOCKET_ID_ANY as the queue set-up calls take it.
const ANY_NODE: u32 = u32::MAX;

/// Where mbufs carry the receive time. The place and the flag are known only at run time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    /// Bytes from the start of the mbuf.
    pub(crate) offset: usize,
    /// The flag of mbufs that have one; 0: none ever has.
    pub(crate) flag: u64,
}

impl Stamp {
    /// What has been registered by us or by a driver (net_pcap does so by itself).
    fn lookup() -> Self {
        // SAFETY: terminated names; no parameters are asked back.
        let (offset, bit) = unsafe {
            (
                sys::rte_mbuf_dynfield_lookup(
                    sys::RTE_MBUF_DYNFIELD_TIMESTAMP_NAME.as_ptr().cast(),
                    ptr::null_mut(),
                ),
                sys::rte_mbuf_dynflag_lookup(
                    sys::RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME.as_ptr().cast(),
                    ptr::null_mut(),
                ),
            )
        };
        match (usize::try_from(offset), u32::try_from(bit).ok().and_then(|b| 1_u64.checked_shl(b))) {
            (Ok(offset), Some(flag)) => Self { offset, flag },
            _ => Self::default(),
        }
    }
}

/// What the driver says of a port, and the receive offloads it has.
pub(super) fn info(id: u16) -> Result<(PortInfo, u64), PmdError> {
    let name = super::port_name(id)?;
    let raw = dev_info(&name, id)?;
    let mut mac = sys::rte_ether_addr::default();
    // SAFETY: a valid port; fills the address.
    check(&name, "tell its MAC address", unsafe { sys::rte_eth_macaddr_get(id, &raw mut mac) })?;
    // SAFETY: any port number is allowed; negative where it is nowhere.
    let node = unsafe { sys::rte_eth_dev_socket_id(id) };
    let driver = if raw.driver_name.is_null() {
        String::new()
    } else {
        // SAFETY: a terminated string that the driver never frees.
        unsafe { CStr::from_ptr(raw.driver_name) }.to_string_lossy().into_owned()
    };
    let offloads = raw.rx_offload_capa;
    let info = PortInfo {
        name,
        driver,
        mac: mac.addr_bytes,
        numa_node: u32::try_from(node).ok(),
        min_mtu: raw.min_mtu.max(MIN_MTU),
        max_mtu: largest_mtu(&raw).min(MAX_MTU),
        max_rx_queues: raw.max_rx_queues,
        max_tx_queues: raw.max_tx_queues,
        rx_descriptors: (raw.rx_desc_lim.nb_min, raw.rx_desc_lim.nb_max),
        tx_descriptors: (raw.tx_desc_lim.nb_min, raw.tx_desc_lim.nb_max),
        checks_ipv4: offloads & sys::SHIM_RX_OFFLOAD_IPV4_CKSUM != 0,
        checks_udp: offloads & sys::SHIM_RX_OFFLOAD_UDP_CKSUM != 0,
        stamps: offloads & sys::SHIM_RX_OFFLOAD_TIMESTAMP != 0,
        spreads: raw.flow_type_rss_offloads & sys::SHIM_RSS_UDP != 0,
    };
    Ok((info, offloads))
}

/// The MTU that fits both limits a driver may state: that of the MTU, and that of a frame on the wire. As ethdev checks
/// it when the port is configured.
fn largest_mtu(raw: &sys::rte_eth_dev_info) -> u16 {
    /// Ethernet header and FCS.
    const PLAIN: u32 = 14 + 4;
    let (mtu, frame) = (u32::from(raw.max_mtu), raw.max_rx_pktlen);
    let overhead = if raw.max_mtu != u16::MAX && frame > mtu { frame - mtu } else { PLAIN };
    // Never above `max_mtu`, so it fits.
    mtu.min(frame.saturating_sub(overhead)) as u16
}

fn dev_info(name: &str, id: u16) -> Result<sys::rte_eth_dev_info, PmdError> {
    let mut raw = sys::rte_eth_dev_info::default();
    // SAFETY: a valid port; fills the structure.
    check(name, "tell what it can do", unsafe { sys::rte_eth_dev_info_get(id, &raw mut raw) })?;
    Ok(raw)
}

impl ProbedPort {
    /// Sets the port up and starts it.
    ///
    /// # Errors
    /// [`PmdError::OutOfRange`] for a number the device cannot serve, [`PmdError::Pool`] for want of memory,
    /// [`PmdError::Call`] where the driver refuses a step. The port is closed again then.
    pub fn start(self, config: &PortConfig) -> Result<Port, PmdError> {
        let mut config = *config;
        self.in_range("MTU", config.mtu, self.info.min_mtu, self.info.max_mtu)?;
        self.in_range("receive queues", config.rx_queues, 1, self.info.max_rx_queues)?;
        self.in_range("transmit queues", config.tx_queues, 1, self.info.max_tx_queues)?;
        let Self { claim, info, offloads } = self;
        let id = claim.id;

        let wanted = [
            (sys::SHIM_RX_OFFLOAD_IPV4_CKSUM | sys::SHIM_RX_OFFLOAD_UDP_CKSUM, config.checksums),
            (sys::SHIM_RX_OFFLOAD_TIMESTAMP, config.stamps),
        ];
        let rx_offloads = wanted.iter().filter(|(_, on)| *on).fold(0, |sum, (bits, _)| sum | bits) & offloads;

        // From here on the port is ours to close, whatever step fails.
        let mut shared = Shared {
            name: info.name.clone(),
            rx: Vec::new(),
            tx: Vec::new(),
            stamp: Stamp::default(),
            frame_room: config.mtu + FRAME_OVERHEAD,
            numa_node: info.numa_node,
            steered: AtomicBool::new(false),
            claim,
        };
        configure(&shared, &mut config, rx_offloads)?;
        queues(&mut shared, &config)?;
        if rx_offloads & sys::SHIM_RX_OFFLOAD_TIMESTAMP != 0 {
            // SAFETY: no place asked back: it is looked up below. Registering again is allowed.
            let rc = unsafe { sys::rte_mbuf_dyn_rx_timestamp_register(ptr::null_mut(), ptr::null_mut()) };
            shared.check("register its receive time", rc)?;
        }
        // SAFETY: configured, all queues set up.
        shared.check("start", unsafe { sys::rte_eth_dev_start(id) })?;
        // Drivers register a field of their own while starting.
        shared.stamp = Stamp::lookup();
        tracing::debug!(
            port = info.name,
            driver = info.driver,
            mtu = config.mtu,
            rx_descriptors = config.rx_descriptors,
            tx_descriptors = config.tx_descriptors,
            rx_offloads,
            stamps = shared.stamp.flag != 0,
            "port started"
        );
        Ok(Port { shared: Arc::new(shared), info, config })
    }

    fn in_range(&self, what: &'static str, asked: u16, least: u16, most: u16) -> Result<(), PmdError> {
        if (least..=most).contains(&asked) {
            return Ok(());
        }
        let PortInfo { name, driver, .. } = &self.info;
        let (asked, least, most) = (asked.into(), least.into(), most.into());
        Err(PmdError::OutOfRange { port: name.clone(), driver: driver.clone(), what, asked, least, most })
    }
}

fn configure(shared: &Shared, config: &mut PortConfig, rx_offloads: u64) -> Result<(), PmdError> {
    let (id, raw) = (shared.id(), dev_info(&shared.name, shared.id())?);
    let mut conf = sys::rte_eth_conf::default();
    conf.rxmode.mtu = config.mtu.into();
    conf.rxmode.offloads = rx_offloads;
    // All buffers of a transmit queue come from its own pool and have one owner, as this asks.
    conf.txmode.offloads = sys::SHIM_TX_OFFLOAD_MBUF_FAST_FREE & raw.tx_offload_capa;
    let fields = raw.flow_type_rss_offloads & sys::SHIM_RSS_UDP;
    if config.rx_queues > 1 && fields != 0 {
        // SAFETY: a structure of ours, filled in.
        unsafe { sys::shim_conf_rss(&raw mut conf, fields) };
    }
    // SAFETY: a valid port that is ours and stopped; the structure is read during the call.
    let rc = unsafe { sys::rte_eth_dev_configure(id, config.rx_queues, config.tx_queues, &raw const conf) };
    shared.check("be configured", rc)?;
    // SAFETY: a configured port; adjusts the two numbers.
    let rc = unsafe {
        sys::rte_eth_dev_adjust_nb_rx_tx_desc(
            id,
            &raw mut config.rx_descriptors,
            &raw mut config.tx_descriptors,
        )
    };
    shared.check("adjust its descriptors", rc)
}

fn queues(shared: &mut Shared, config: &PortConfig) -> Result<(), PmdError> {
    let (id, raw) = (shared.id(), dev_info(&shared.name, shared.id())?);
    let node = shared.numa_node.unwrap_or(ANY_NODE);
    let queue = |shared: &Shared, descriptors, sharers| {
        let size = pool::Size { descriptors, sharers, frame: shared.frame_room, longest: raw.max_rx_pktlen };
        let pool = Pool::new(&shared.claim._runtime, size, shared.numa_node)?;
        Ok(Queue { taken: AtomicBool::new(false), pool })
    };
    for q in 0..config.rx_queues {
        let made = queue(shared, config.rx_descriptors, config.shared_with)?;
        let conf = &raw const raw.default_rxconf;
        // SAFETY: a configured port, one of its queues, a live pool; the structure is read during the call.
        let rc: c_int = unsafe {
            sys::rte_eth_rx_queue_setup(id, q, config.rx_descriptors, node, conf, made.pool.as_ptr())
        };
        shared.check("set up a receive queue", rc)?;
        shared.rx.push(made);
    }
    for q in 0..config.tx_queues {
        let made = queue(shared, config.tx_descriptors, 0)?;
        let conf = &raw const raw.default_txconf;
        // SAFETY: a configured port, one of its queues; the structure is read during the call.
        let rc: c_int = unsafe { sys::rte_eth_tx_queue_setup(id, q, config.tx_descriptors, node, conf) };
        shared.check("set up a transmit queue", rc)?;
        shared.tx.push(made);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_limit_counts() {
        let mtu = |max_mtu, max_rx_pktlen| {
            largest_mtu(&sys::rte_eth_dev_info { max_mtu, max_rx_pktlen, ..Default::default() })
        };
        // Only a frame limit (net_memif), both (ixgbe), an MTU without a true frame limit (net_null).
        assert_eq!(mtu(u16::MAX, 1_518), 1_500);
        assert_eq!(mtu(15_846, 15_872), 15_846);
        assert_eq!(mtu(u16::MAX, u32::MAX), u16::MAX);
        assert_eq!(mtu(u16::MAX, 0), 0);
    }
}
