//! Where a datagram belongs: line A, line B, the order gateway's replies, or nowhere.
//!
//! A NIC filter may pass more than what was asked for (all-multicast, promiscuous, a switch that floods), so every
//! datagram is matched here against the configured addresses before anything believes it.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::feed::Line;
use crate::wire::frame::UdpDatagram;

/// The address of one feed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAddress {
    /// Multicast group and UDP port.
    pub group: SocketAddrV4,
    /// 802.1Q VLAN of its frames; `None` = untagged.
    pub vlan: Option<u16>,
    /// The only sender that is believed; `None` = any.
    pub source: Option<Ipv4Addr>,
}

/// The two ends of the order connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderAddress {
    /// Our end: replies come to it.
    pub local: SocketAddrV4,
    /// The venue's end: replies come from it.
    pub gateway: SocketAddrV4,
    /// 802.1Q VLAN of its frames; `None` = untagged.
    pub vlan: Option<u16>,
}

/// Where a datagram belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Market data of this line.
    Line(Line),
    /// A reply of the order gateway.
    Reply,
    /// Not ours.
    Unwanted(Unwanted),
}

/// Why a datagram is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// No line has this group and port.
    Group,
    /// A line's group and port, from a sender that the configuration does not name.
    Source,
    /// A line's group and port, with another VLAN tag or none.
    Vlan,
    /// Unicast that is not a reply of the gateway to our order port, in the gateway's VLAN.
    Unicast,
}

/// Datagrams that belonged nowhere, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteCounters {
    /// Multicast to a group and port of no line.
    pub other_group: u64,
    /// Right group, wrong sender.
    pub other_source: u64,
    /// Right group, wrong VLAN.
    pub other_vlan: u64,
    /// Unicast that is not an order reply.
    pub other_unicast: u64,
}

impl RouteCounters {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, why: Unwanted) {
        match why {
            Unwanted::Group => self.other_group += 1,
            Unwanted::Source => self.other_source += 1,
            Unwanted::Vlan => self.other_vlan += 1,
            Unwanted::Unicast => self.other_unicast += 1,
        }
    }

    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 4] {
        [
            ("route_other_group", self.other_group),
            ("route_other_source", self.other_source),
            ("route_other_vlan", self.other_vlan),
            ("route_other_unicast", self.other_unicast),
        ]
    }
}

/// The addresses that a pipeline listens to.
#[derive(Clone, Copy, Debug)]
pub struct Routes {
    a: LineAddress,
    b: Option<LineAddress>,
    orders: Option<OrderAddress>,
}

impl Routes {
    /// Line A, line B where there is one, and the order connection where there is one.
    #[must_use]
    pub const fn new(a: LineAddress, b: Option<LineAddress>, orders: Option<OrderAddress>) -> Self {
        Self { a, b, orders }
    }

    /// Where `datagram` belongs.
    #[inline]
    #[must_use]
    pub fn route(&self, datagram: &UdpDatagram<'_>) -> Route {
        let to = SocketAddrV4::new(datagram.dst, datagram.dst_port);
        if to == self.a.group {
            return Self::admit(&self.a, Line::A, datagram);
        }
        if let Some(b) = &self.b
            && to == b.group
        {
            return Self::admit(b, Line::B, datagram);
        }
        if datagram.dst.is_multicast() {
            return Route::Unwanted(Unwanted::Group);
        }
        match &self.orders {
            Some(orders)
                if to == orders.local
                    && datagram.vlan == orders.vlan
                    && datagram.src == *orders.gateway.ip()
                    && datagram.src_port == orders.gateway.port() =>
            {
                Route::Reply
            }
            _ => Route::Unwanted(Unwanted::Unicast),
        }
    }

    #[inline]
    fn admit(address: &LineAddress, line: Line, datagram: &UdpDatagram<'_>) -> Route {
        if address.source.is_some_and(|source| source != datagram.src) {
            return Route::Unwanted(Unwanted::Source);
        }
        if address.vlan != datagram.vlan {
            return Route::Unwanted(Unwanted::Vlan);
        }
        Route::Line(line)
    }
}
