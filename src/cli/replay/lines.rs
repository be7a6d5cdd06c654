//! Which frames of a capture are lines A and B.

use std::net::SocketAddrV4;

use crate::feed::Line;
use crate::pipeline::route::{Route, Routes, Unwanted};
use crate::wire::frame::UdpDatagram;
use crate::wire::itch::Message;
use crate::wire::moldudp64::{Kind, Packet};

/// How the lines are known.
pub(super) enum Lines {
    /// From the configuration: group, port, VLAN and source.
    Configured(Routes),
    /// By address: from the command line, or found so far.
    ByAddress {
        a: Option<SocketAddrV4>,
        b: Option<SocketAddrV4>,
        /// Look for those that are not known yet: the session of line A, once it is found.
        discover: Option<Discovery>,
    },
}

/// What was found out about the feed in the file.
#[derive(Default)]
pub(super) struct Discovery {
    session: Option<[u8; 10]>,
}

impl Lines {
    pub(super) fn configured(routes: Routes) -> Self {
        Self::Configured(routes)
    }

    /// Line A, and line B where there is one.
    pub(super) fn given(a: SocketAddrV4, b: Option<SocketAddrV4>) -> Self {
        Self::ByAddress { a: Some(a), b, discover: None }
    }

    /// Line A is the first multicast group with ITCH in MoldUDP64, line B the next one that carries the same session.
    pub(super) fn discover() -> Self {
        Self::ByAddress { a: None, b: None, discover: Some(Discovery::default()) }
    }

    /// Where `datagram` belongs.
    #[inline]
    pub(super) fn route(&mut self, datagram: &UdpDatagram<'_>) -> Route {
        match self {
            Self::Configured(routes) => routes.route(datagram),
            Self::ByAddress { a, b, discover } => {
                let to = SocketAddrV4::new(datagram.dst, datagram.dst_port);
                if *a == Some(to) {
                    return Route::Line(Line::A);
                }
                if *b == Some(to) {
                    return Route::Line(Line::B);
                }
                if let Some(discovery) = discover
                    && let Some(line) = discovery.consider(to, datagram.payload, a, b)
                {
                    return Route::Line(line);
                }
                Route::Unwanted(if datagram.dst.is_multicast() { Unwanted::Group } else { Unwanted::Address })
            }
        }
    }

    /// The lines as far as they are known by address.
    pub(super) fn addresses(&self) -> [Option<SocketAddrV4>; 2] {
        match self {
            Self::Configured(_) => [None, None],
            Self::ByAddress { a, b, .. } => [*a, *b],
        }
    }
}

impl Discovery {
    fn consider(
        &mut self,
        to: SocketAddrV4,
        payload: &[u8],
        a: &mut Option<SocketAddrV4>,
        b: &mut Option<SocketAddrV4>,
    ) -> Option<Line> {
        if !to.ip().is_multicast() || b.is_some() {
            return None;
        }
        let packet = Packet::new_checked(payload).ok()?;
        // Almost anything passes for a heartbeat: only a packet with a message that is known proves a feed.
        let known =
            packet.blocks().next().is_some_and(|block| {
                matches!(Message::parse(block), Ok(message) if !matches!(message, Message::Unknown { .. }))
            });
        if packet.kind() != Kind::Data || packet.sequence() == 0 || !known {
            return None;
        }
        match self.session {
            None => {
                self.session = Some(packet.session());
                *a = Some(to);
                Some(Line::A)
            }
            Some(session) if session == packet.session() => {
                *b = Some(to);
                Some(Line::B)
            }
            Some(_) => None,
        }
    }
}
