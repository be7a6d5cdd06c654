//! Where a datagram or segment belongs: line A, line B, the order gateway's replies, or nowhere.
//!
//! A NIC filter may pass more than what was asked for (all-multicast, promiscuous, a switch that floods), so every
//! datagram is matched here against the configured addresses before anything believes it.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::feed::Line;
use crate::wire::ethernet::{self, Mac};
use crate::wire::frame::{Ends, UdpDatagram};
use crate::wire::{ipv4, udp};

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
    /// What carries it.
    pub over: Transport,
}

/// What carries the order connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// TCP of our own, from so many ports of ours that begin with that of [`OrderAddress::local`].
    Tcp(u16),
    /// Something that the port does not see: TCP of the kernel.
    Elsewhere,
}

/// Where a datagram belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Market data of this line.
    Line(Line),
    /// A reply of the order gateway.
    Reply,
    /// A reply to another worker, which sees it too.
    Sibling,
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
    /// A line's group and port, or our address, with another VLAN tag or none.
    Vlan,
    /// To everybody: the broadcast address, of IP or of Ethernet.
    Broadcast,
    /// To another station: its hardware address is not ours.
    Station,
    /// Unicast to an address that is not ours.
    Address,
    /// To our address, and to a port that nobody listens on.
    Port,
    /// To our order port, and not from the gateway's.
    Sender,
}

/// Datagrams that belonged nowhere, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteCounters {
    /// Multicast to a group and port of no line.
    pub other_group: u64,
    /// Right group, wrong sender.
    pub other_source: u64,
    /// Right group or address, wrong VLAN.
    pub other_vlan: u64,
    /// Broadcasts.
    pub broadcast: u64,
    /// Unicast to the hardware address of another station.
    pub other_station: u64,
    /// Unicast to another address than ours.
    pub other_address: u64,
    /// Unicast to us, wrong port.
    pub other_port: u64,
    /// Unicast to our order port, from elsewhere than the gateway.
    pub other_sender: u64,
}

impl RouteCounters {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, why: Unwanted) {
        match why {
            Unwanted::Group => self.other_group += 1,
            Unwanted::Source => self.other_source += 1,
            Unwanted::Vlan => self.other_vlan += 1,
            Unwanted::Broadcast => self.broadcast += 1,
            Unwanted::Station => self.other_station += 1,
            Unwanted::Address => self.other_address += 1,
            Unwanted::Port => self.other_port += 1,
            Unwanted::Sender => self.other_sender += 1,
        }
    }

    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 8] {
        [
            ("route_other_group", self.other_group),
            ("route_other_source", self.other_source),
            ("route_other_vlan", self.other_vlan),
            ("route_broadcast", self.broadcast),
            ("route_other_station", self.other_station),
            ("route_other_address", self.other_address),
            ("route_other_port", self.other_port),
            ("route_other_sender", self.other_sender),
        ]
    }
}

/// The addresses that a pipeline listens to.
#[derive(Clone, Copy, Debug)]
pub struct Routes {
    a: LineAddress,
    b: Option<LineAddress>,
    orders: Option<OrderAddress>,
    /// The order ports of all workers: the first, and how many.
    sessions: (u16, u16),
    stations: Option<Stations>,
}

/// Most ports that a worker receives from: that of line A, that of line B, that of the orders.
pub const MOST_PORTS: usize = 3;

/// The hardware addresses that are ours, one a port; a place may repeat another.
pub type Stations = [Mac; MOST_PORTS];

impl Routes {
    /// Line A, line B where there is one, and the order connection where there is one.
    #[must_use]
    pub const fn new(a: LineAddress, b: Option<LineAddress>, orders: Option<OrderAddress>) -> Self {
        let port = match orders {
            Some(orders) => orders.local.port(),
            None => 0,
        };
        Self { a, b, orders, sessions: (port, 1), stations: None }
    }

    /// Knows that workers have order ports of their own, `count` of them from `first` on.
    #[must_use]
    pub const fn with_sessions(self, first: u16, count: u16) -> Self {
        Self { sessions: (first, count), ..self }
    }

    /// Believes unicast only to these hardware addresses, those of the ports. Without them whatever comes is taken to be
    /// for us: a kernel's sockets do not show it.
    #[must_use]
    pub const fn with_stations(self, stations: Stations) -> Self {
        Self { stations: Some(stations), ..self }
    }

    /// Where the payload of line A's frames begins: those have its tag, or none, and no IPv4 options.
    #[must_use]
    pub const fn payload_at(&self) -> usize {
        let tag = if self.a.vlan.is_some() { ethernet::TAG_LEN } else { 0 };
        ethernet::HEADER_LEN + tag + ipv4::HEADER_LEN + udp::HEADER_LEN
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
                    && orders.over == Transport::Udp
                    && datagram.vlan == orders.vlan
                    && datagram.src == *orders.gateway.ip()
                    && datagram.src_port == orders.gateway.port()
                    && self.is_ours(datagram.dst_mac) =>
            {
                Route::Reply
            }
            _ => self.not_ours(&datagram.ends()),
        }
    }

    /// True where orders go over TCP of our own.
    #[inline]
    #[must_use]
    pub const fn takes_segments(&self) -> bool {
        matches!(self.orders, Some(OrderAddress { over: Transport::Tcp(_), .. }))
    }

    /// Where a TCP segment between `ends` belongs: it is a [`Route::Reply`], or unwanted.
    #[inline]
    #[must_use]
    pub fn route_segment(&self, ends: &Ends) -> Route {
        match &self.orders {
            Some(orders @ OrderAddress { over: Transport::Tcp(ports), .. })
                if ends.dst == *orders.local.ip()
                    && ends.dst_port.wrapping_sub(orders.local.port()) < *ports
                    && ends.vlan == orders.vlan
                    && ends.src == *orders.gateway.ip()
                    && ends.src_port == orders.gateway.port()
                    && self.is_ours(ends.dst_mac) =>
            {
                Route::Reply
            }
            _ if ends.dst.is_multicast() => Route::Unwanted(Unwanted::Group),
            _ => Route::Unwanted(self.why_not(ends, true)),
        }
    }

    /// A reply to another worker, or why a datagram to no group is not a reply.
    #[cold]
    fn not_ours(&self, datagram: &Ends) -> Route {
        let (first, count) = self.sessions;
        let by_datagrams = matches!(self.orders, Some(OrderAddress { over: Transport::Udp, .. }));
        match self.why_not(datagram, false) {
            Unwanted::Port if by_datagrams && datagram.dst_port.wrapping_sub(first) < count => Route::Sibling,
            why => Route::Unwanted(why),
        }
    }

    #[inline]
    fn is_ours(&self, mac: Mac) -> bool {
        self.stations.is_none_or(|stations| stations.contains(&mac))
    }

    /// Why a datagram or a segment to no group is not a reply.
    fn why_not(&self, datagram: &Ends, is_segment: bool) -> Unwanted {
        if datagram.dst.is_broadcast() || datagram.dst_mac == ethernet::BROADCAST {
            return Unwanted::Broadcast;
        }
        if !self.is_ours(datagram.dst_mac) {
            return Unwanted::Station;
        }
        match &self.orders {
            Some(orders) if datagram.dst == *orders.local.ip() => {
                let ports = match orders.over {
                    Transport::Udp if !is_segment => 1,
                    Transport::Tcp(ports) if is_segment => ports,
                    _ => 0,
                };
                if datagram.vlan != orders.vlan {
                    Unwanted::Vlan
                } else if datagram.dst_port.wrapping_sub(orders.local.port()) >= ports {
                    Unwanted::Port
                } else {
                    Unwanted::Sender
                }
            }
            _ => Unwanted::Address,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::UdpHeaders;

    const OURS: Mac = [2, 0, 0, 0, 0, 2];
    const FEED: Mac = [2, 0, 0, 0, 0, 3];
    const LOCAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 31_000);
    const GATEWAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 31_001);
    const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 1, 1, 1), 26_400);

    fn routes() -> Routes {
        let line = LineAddress { group: GROUP, vlan: Some(101), source: Some(*GATEWAY.ip()) };
        let orders = OrderAddress { local: LOCAL, gateway: GATEWAY, vlan: None, over: Transport::Udp };
        Routes::new(line, None, Some(orders)).with_stations([FEED, OURS, OURS])
    }

    const REPLY: UdpDatagram<'_> = UdpDatagram {
        vlan: None,
        outer_vlan: None,
        src_mac: [2, 0, 0, 0, 0, 1],
        dst_mac: OURS,
        src: *GATEWAY.ip(),
        dst: *LOCAL.ip(),
        src_port: GATEWAY.port(),
        dst_port: LOCAL.port(),
        payload: b"",
    };

    #[test]
    fn only_the_gateway_is_heard_and_everything_else_is_counted_by_its_reason() {
        let routes = routes();
        let elsewhere = Ipv4Addr::new(10, 0, 0, 9);
        let on_line = UdpDatagram {
            vlan: Some(101),
            dst: *GROUP.ip(),
            dst_port: GROUP.port(),
            dst_mac: ethernet::multicast_mac(*GROUP.ip()),
            ..REPLY
        };
        assert_eq!(routes.route(&on_line), Route::Line(Line::A));
        assert_eq!(routes.route(&REPLY), Route::Reply);
        let cases = [
            (UdpDatagram { dst_port: 1, ..on_line }, "route_other_group"),
            (UdpDatagram { src: elsewhere, ..on_line }, "route_other_source"),
            (UdpDatagram { vlan: None, ..on_line }, "route_other_vlan"),
            (UdpDatagram { vlan: Some(7), ..REPLY }, "route_other_vlan"),
            (UdpDatagram { dst: Ipv4Addr::BROADCAST, ..REPLY }, "route_broadcast"),
            // RFC 1122, 3.3.6: an address of one host in a frame to all is no message to that host.
            (UdpDatagram { dst_mac: ethernet::BROADCAST, ..REPLY }, "route_broadcast"),
            (UdpDatagram { dst_mac: [2, 0, 0, 0, 0, 9], ..REPLY }, "route_other_station"),
            (UdpDatagram { dst: elsewhere, ..REPLY }, "route_other_address"),
            (UdpDatagram { dst: elsewhere, dst_mac: FEED, ..REPLY }, "route_other_address"),
            (UdpDatagram { dst_port: 22, ..REPLY }, "route_other_port"),
            (UdpDatagram { src: elsewhere, ..REPLY }, "route_other_sender"),
            (UdpDatagram { src_port: 1, ..REPLY }, "route_other_sender"),
        ];
        for (datagram, name) in cases {
            let mut counters = RouteCounters::default();
            match routes.route(&datagram) {
                Route::Unwanted(why) => counters.count(why),
                route => panic!("{name}: {route:?}"),
            }
            for (row, count) in counters.rows() {
                assert_eq!(count, u64::from(row == name), "{row}, {name}");
            }
        }
    }

    #[test]
    fn a_payload_begins_where_frames_of_the_line_have_it() {
        for vlan in [None, Some(101)] {
            let line = LineAddress { group: GROUP, vlan, source: None };
            let headers = UdpHeaders {
                src_mac: OURS,
                dst_mac: ethernet::multicast_mac(*GROUP.ip()),
                vlan,
                ttl: 1,
                src: (*GATEWAY.ip(), GATEWAY.port()),
                dst: (*GROUP.ip(), GROUP.port()),
            };
            assert_eq!(Routes::new(line, None, None).payload_at(), headers.payload_at());
        }
    }

    #[test]
    fn replies_to_other_workers_are_nobody_s_fault() {
        let routes = routes().with_sessions(LOCAL.port() - 1, 3);
        assert_eq!(routes.route(&REPLY), Route::Reply);
        for (port, expected) in [
            (LOCAL.port() - 2, Route::Unwanted(Unwanted::Port)),
            (LOCAL.port() - 1, Route::Sibling),
            (LOCAL.port() + 1, Route::Sibling),
            (LOCAL.port() + 2, Route::Unwanted(Unwanted::Port)),
        ] {
            assert_eq!(routes.route(&UdpDatagram { dst_port: port, ..REPLY }), expected, "{port}");
        }
        // To another station it is no worker's.
        let stray = UdpDatagram { dst_port: LOCAL.port() + 1, dst_mac: [9; 6], ..REPLY };
        assert_eq!(routes.route(&stray), Route::Unwanted(Unwanted::Station));
    }

    #[test]
    fn segments_are_for_tcp_of_our_own_and_datagrams_are_not() {
        let of = |over| {
            let orders = OrderAddress { local: LOCAL, gateway: GATEWAY, vlan: None, over };
            let line = LineAddress { group: GROUP, vlan: None, source: None };
            Routes::new(line, None, Some(orders)).with_stations([FEED, OURS, OURS])
        };
        let (own, ends) = (of(Transport::Tcp(4)), REPLY.ends());
        for port in 0..4 {
            assert_eq!(own.route_segment(&Ends { dst_port: LOCAL.port() + port, ..ends }), Route::Reply);
        }
        assert_eq!(own.route(&REPLY), Route::Unwanted(Unwanted::Port));
        let elsewhere = Ipv4Addr::new(10, 0, 0, 9);
        for (strange, why) in [
            (Ends { dst_port: LOCAL.port() + 4, ..ends }, Unwanted::Port),
            (Ends { dst_port: LOCAL.port() - 1, ..ends }, Unwanted::Port),
            (Ends { vlan: Some(7), ..ends }, Unwanted::Vlan),
            (Ends { src: elsewhere, ..ends }, Unwanted::Sender),
            (Ends { src_port: 1, ..ends }, Unwanted::Sender),
            (Ends { dst: elsewhere, ..ends }, Unwanted::Address),
            (Ends { dst: *GROUP.ip(), ..ends }, Unwanted::Group),
            (Ends { dst: Ipv4Addr::BROADCAST, ..ends }, Unwanted::Broadcast),
            (Ends { dst_mac: [2, 0, 0, 0, 0, 9], ..ends }, Unwanted::Station),
        ] {
            assert_eq!(own.route_segment(&strange), Route::Unwanted(why), "{strange:?}");
        }
        for other in [Transport::Udp, Transport::Elsewhere] {
            assert_eq!(of(other).route_segment(&ends), Route::Unwanted(Unwanted::Port));
        }
        assert_eq!(of(Transport::Udp).route(&REPLY), Route::Reply);
        assert_eq!(of(Transport::Elsewhere).route(&REPLY), Route::Unwanted(Unwanted::Port));
    }

    #[test]
    fn without_an_order_port_no_unicast_is_ours() {
        let line = LineAddress { group: GROUP, vlan: None, source: None };
        assert_eq!(Routes::new(line, None, None).route(&REPLY), Route::Unwanted(Unwanted::Address));
    }
}
