//! Kernel UDP sockets behind the NIC seam: the same loop on a machine whose NIC belongs to the kernel.
//!
//! A socket carries datagrams, the seam carries frames, so this backend makes up what the kernel took away:
//! - **Receive.** `recvmmsg`, non-blocking, into buffers with head room, in which Ethernet, IPv4 and UDP headers are
//!   written in front of the payload: destination from `IP_PKTINFO`, multicast MAC from the group, unicast MACs
//!   `02:00` + the IPv4 address, TTL 64, a right IPv4 header checksum, UDP checksum 0 (none). Frames carry
//!   [`super::IP_CSUM_GOOD`] and [`super::L4_CSUM_GOOD`], because the kernel verified the real ones. No VLAN tag, no
//!   padding, no receive stamp.
//! - **Send.** The UDP payload of a frame leaves by `sendto` from the socket that is bound to the frame's source port.
//!   VLAN tags are the kernel's business and skipped. Frames that are not IPv4/UDP (ARP, IGMP) count as sent, in
//!   [`UdpTxCounters::not_udp`]: the kernel answers ARP and reports groups itself.
//! - **Order.** Datagrams of one port come in arrival order: all groups of one port share a socket, so A and B of a
//!   feed keep their order where they use the same port. Between ports the kernel tells no order; they take turns.
//! - **Loss.** Datagrams that the kernel dropped for want of buffer are counted in [`UdpRxCounters::kernel_drops`]
//!   (`SO_RXQ_OVFL`); the count arrives with the next datagram of that socket.
//!
//! Each poll costs one system call per port, so this is a backend for development and for small feeds. All memory is
//! allocated in [`UdpPort::attach`]; polling and sending allocate nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::MAX_FRAME;

mod headers;
mod rx;
mod socket;
mod tx;

pub use rx::{UdpBurst, UdpRx, UdpRxCounters};
pub use tx::{UdpTx, UdpTxCounters};

use headers::HEADERS;
use socket::Socket;

/// Longest UDP payload that fits the seam's longest frame.
pub const MAX_PAYLOAD: usize = MAX_FRAME - HEADERS;

/// Most addresses that one port listens on.
pub const MAX_LISTEN: usize = 64;

/// An address to receive on. A unicast address is also what orders are sent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A multicast group to join, or a local address to bind; port 0 lets the kernel choose (unicast only).
    pub address: SocketAddrV4,
    /// Believe only this sender: a group is joined for it alone (source-specific multicast); what others send to a
    /// unicast address is counted in [`UdpRxCounters::other_source`] and dropped.
    pub source: Option<Ipv4Addr>,
}

/// What to open. Every figure is a limit.
#[derive(Clone, Debug)]
pub struct UdpConfig {
    /// Address of the local interface that joins the groups; `0.0.0.0` lets the kernel choose by its routes.
    pub interface: Ipv4Addr,
    /// What to receive, 1 to [`MAX_LISTEN`].
    pub listen: Vec<Listen>,
    /// Longest UDP payload in bytes, `18 ..= MAX_PAYLOAD`; longer datagrams are counted as truncated and dropped.
    pub max_payload: usize,
    /// Receive buffer to ask the kernel for, bytes per port; [`UdpPort::granted`] tells what it gave.
    pub receive_buffer: usize,
    /// Let the kernel poll the driver for so many µs on an empty receive (`SO_BUSY_POLL`); 0 = off.
    pub busy_poll_us: u32,
    /// Transmit buffers, at least 1. `sendto` copies, so few are needed.
    pub tx_buffers: usize,
}

impl UdpConfig {
    /// For the interface that has this address: nothing to listen on yet; MTU 1,500, 8 MiB of receive buffer, no busy
    /// polling, 64 transmit buffers.
    #[must_use]
    pub const fn usual(interface: Ipv4Addr) -> Self {
        Self {
            interface,
            listen: Vec::new(),
            max_payload: 1_472,
            receive_buffer: 8 << 20,
            busy_poll_us: 0,
            tx_buffers: 64,
        }
    }
}

/// What the kernel granted to one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The address it is bound to; `0.0.0.0` for a port with multicast groups.
    pub bound: SocketAddrV4,
    /// Receive buffer in bytes as the kernel counts it, its own bookkeeping included (about half is payload).
    pub receive_buffer: usize,
    /// True if the whole of [`UdpConfig::receive_buffer`] was granted. If not: raise `net.core.rmem_max`.
    pub receive_buffer_in_full: bool,
    /// True if `SO_BUSY_POLL` was asked for and granted (it takes `CAP_NET_ADMIN`).
    pub busy_poll: bool,
}

/// Why the sockets could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// A value of [`UdpConfig`] is out of its range.
    #[error("{0}")]
    Config(String),
    /// The kernel refused.
    #[error("cannot {action} {address}: {source}{}", remedy(.source))]
    Kernel {
        /// What was tried, such as `bind`.
        action: &'static str,
        /// For which address.
        address: SocketAddrV4,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The likely way out of a refusal, or nothing.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => " (no interface of this machine has that address: see `ip addr`)",
        Some(libc::EADDRINUSE) => " (another program holds that port: see `ss -lunp`)",
        Some(libc::ENODEV) => " (no interface for that group: give the interface's own IPv4 address)",
        Some(libc::EACCES | libc::EPERM) => " (ports below 1024 take root or CAP_NET_BIND_SERVICE)",
        Some(libc::ENOBUFS) => " (too many groups: raise net.ipv4.igmp_max_memberships)",
        Some(libc::EMFILE | libc::ENFILE) => " (too many open files: raise `ulimit -n`)",
        _ => "",
    }
}

/// Open sockets, ready to be taken to the lcore that polls them.
#[derive(Debug)]
pub struct UdpPort {
    sockets: Vec<Socket>,
    granted: Vec<Granted>,
    max_payload: usize,
    tx_buffers: usize,
}

impl UdpPort {
    /// Opens, binds and joins all that `config` lists.
    ///
    /// # Errors
    /// [`UdpError::Config`] for a value out of range, [`UdpError::Kernel`] for what the kernel refused.
    pub fn open(config: &UdpConfig) -> Result<Self, UdpError> {
        check(config)?;
        let mut sockets: Vec<Socket> = Vec::new();
        for listen in &config.listen {
            let group = listen.address.ip().is_multicast();
            let bind_to = if group {
                SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, listen.address.port())
            } else {
                listen.address
            };
            let failed =
                |action: &'static str, address| move |source| UdpError::Kernel { action, address, source };
            // All groups of one port share a socket: that keeps their arrival order.
            let shared = sockets.iter().position(|s| group && s.is_multicast() && s.local() == bind_to);
            let socket = match shared {
                Some(at) => &mut sockets[at],
                None => {
                    let only_from = listen.source.filter(|_| !group);
                    let socket =
                        Socket::open(bind_to, group, only_from).map_err(failed("bind", listen.address))?;
                    sockets.push(socket);
                    let last = sockets.len() - 1;
                    &mut sockets[last]
                }
            };
            if group {
                socket
                    .join(*listen.address.ip(), listen.source, config.interface)
                    .map_err(failed("join", listen.address))?;
            } else {
                socket.send_multicast_by(config.interface).map_err(failed("use", listen.address))?;
            }
        }
        let mut granted = Vec::with_capacity(sockets.len());
        for socket in &sockets {
            let grant = socket
                .tune(config.receive_buffer, config.busy_poll_us)
                .map_err(|source| UdpError::Kernel { action: "set up", address: socket.local(), source })?;
            granted.push(grant);
        }
        Ok(Self { sockets, granted, max_payload: config.max_payload, tx_buffers: config.tx_buffers })
    }

    /// What the kernel granted, one entry per socket.
    #[must_use]
    pub fn granted(&self) -> &[Granted] {
        &self.granted
    }

    /// Makes the queues, on the thread that will poll them.
    #[must_use]
    pub fn attach(self) -> (UdpRx, UdpTx) {
        let sockets: Vec<_> = self.sockets.into_iter().map(std::rc::Rc::new).collect();
        let rx = UdpRx::new(sockets.clone(), self.max_payload);
        let tx = UdpTx::new(sockets, self.max_payload, self.tx_buffers);
        (rx, tx)
    }
}

fn check(config: &UdpConfig) -> Result<(), UdpError> {
    let wrong = |text: String| Err(UdpError::Config(text));
    if config.listen.is_empty() || config.listen.len() > MAX_LISTEN {
        return wrong(format!("{} addresses to listen on; give 1 to {MAX_LISTEN}", config.listen.len()));
    }
    if !(18..=MAX_PAYLOAD).contains(&config.max_payload) {
        return wrong(format!("max_payload {} bytes; give 18 to {MAX_PAYLOAD}", config.max_payload));
    }
    if config.tx_buffers == 0 {
        return wrong("tx_buffers 0; give at least 1".to_owned());
    }
    for listen in &config.listen {
        let group = listen.address.ip().is_multicast();
        if group && listen.address.port() == 0 {
            return wrong(format!("group {} without a port; give 1 to 65535", listen.address.ip()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
