//! Which receive queue a frame comes to, where a port has several.
//!
//! Nothing depends on it but the work: whatever comes to a queue is shared with whoever wants it
//! ([`crate::nic::dpdk::FanRx`]).

use std::{fmt, net::SocketAddrV4, sync::atomic::Ordering};

use dpdk_sys as sys;

use super::Port;

/// Datagrams that are to come to one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where they go to.
    pub to: SocketAddrV4,
    /// Their frames have a VLAN tag.
    pub tagged: bool,
    /// The queue.
    pub queue: u16,
}

/// What decides about the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// A rule for each flow; what has no rule is spread or comes to the first queue.
    Flows,
    /// A hash over addresses and, where the card can, UDP ports.
    Spread,
    /// The device in a way of its own, of which it says nothing.
    Device,
    /// Nothing: there is one queue.
    None,
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flows => "a queue for each flow, by rule",
            Self::Spread => "spread over the queues by the card (RSS)",
            Self::Device => "queues filled as the device likes",
            Self::None => "one queue, shared by software",
        })
    }
}

impl Port {
    /// Asks the card to steer each of `flows` to its queue. All or none: where it refuses one, the others are taken back.
    /// Says what is in force then.
    #[must_use]
    pub fn steer(&self, flows: &[Flow]) -> Steering {
        if self.config.rx_queues < 2 {
            return Steering::None;
        }
        let shared = self.shared();
        let without = if self.info.spreads { Steering::Spread } else { Steering::Device };
        for flow in flows {
            let address = u32::from(*flow.to.ip()).to_be();
            let port = flow.to.port().to_be();
            shared.steered.store(true, Ordering::Relaxed);
            // SAFETY: a started port; plain numbers, of which the driver refuses those that it cannot do.
            let rc = unsafe { sys::shim_flow_udp(self.id(), address, port, flow.tagged.into(), flow.queue) };
            if rc != 0 {
                tracing::debug!(port = self.name(), to = %flow.to, "no rule: {}", crate::eal::strerror(rc));
                shared.forget_flows();
                return without;
            }
        }
        if flows.is_empty() { without } else { Steering::Flows }
    }
}
