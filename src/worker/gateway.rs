//! The session with the venue that `[gateway]` names.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddrV4;

use super::AssembleError;
use crate::config::{Config, Framing, Gateway, OUCH_PORTS, Stack};
use crate::order::kernel::KernelTcp;
use crate::order::ouch::OuchProfile;
use crate::order::ouch_session::OuchSession;
use crate::order::soup::Login;
use crate::order::tcp::{TcpAddressing, UserTcp};
use crate::order::template::FrameAddressing;
use crate::order::venue::Venue;
use crate::order::wutf::WutfSession;

/// Where the configuration leaves the ports of our own TCP to us: some of those that are for that (RFC 6335), others
/// with each start, so that a gateway that still remembers the last one does not mind.
pub(super) fn choose_ports(gateway: &mut Gateway) {
    const FIRST: u16 = 49_152;
    if gateway.framing == Framing::OuchTcp && gateway.local_port == 0 {
        let rows = u64::from((u16::MAX - FIRST) / OUCH_PORTS);
        // Below 2^16.
        gateway.local_port = FIRST + (random() % rows) as u16 * OUCH_PORTS;
    }
}

/// Another number with each call, unknown to others: what the standard library keys its maps with.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// The session with the venue that `gateway` names.
pub(super) fn venue(config: &Config, gateway: &Gateway, port_mac: [u8; 6]) -> Result<Venue, AssembleError> {
    let profile = OuchProfile::default();
    let frame = addressing(gateway, port_mac);
    let unanswered = config.risk.max_open_orders as usize;
    Ok(match (gateway.framing, gateway.ouch.stack) {
        (Framing::WutfUdp, _) => Venue::Wutf(WutfSession::new(&frame, &profile)?),
        (Framing::OuchTcp, Stack::Own) => {
            let stream = UserTcp::new(TcpAddressing { frame, ports: OUCH_PORTS, seed: random() })?;
            Venue::Tcp(Box::new(OuchSession::new(stream, login(gateway), &profile, unanswered)?))
        }
        (Framing::OuchTcp, Stack::Kernel) => {
            let stream = KernelTcp::new(SocketAddrV4::new(gateway.ip, gateway.port).into());
            Venue::Kernel(Box::new(OuchSession::new(stream, login(gateway), &profile, unanswered)?))
        }
    })
}

/// A process that knows nothing of the day hears it from the start.
fn login(gateway: &Gateway) -> Login {
    fn padded<const N: usize>(text: &str) -> [u8; N] {
        let mut field = [b' '; N];
        for (place, byte) in field.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        field
    }
    let ouch = &gateway.ouch;
    Login {
        username: padded(&ouch.username),
        password: padded(ouch.password.expose()),
        session: padded(&ouch.session),
        next: 1,
    }
}

fn addressing(gateway: &Gateway, port_mac: [u8; 6]) -> FrameAddressing {
    FrameAddressing {
        src_mac: gateway.local_mac.unwrap_or(port_mac),
        // Zeros go to nobody: on ports of our own the session is closed until the address is known, and a kernel's
        // sockets do not look at it.
        dst_mac: gateway.mac.unwrap_or_default(),
        src_ip: gateway.local_ip,
        dst_ip: gateway.ip,
        src_port: gateway.local_port,
        dst_port: gateway.port,
        vlan: gateway.vlan,
    }
}
