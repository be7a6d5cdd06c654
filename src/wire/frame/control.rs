//! Frames of the control protocols: ARP and IGMP, read and written whole. Off the hot path: the loop hands the control
//! core what [`parse_udp`](super::parse_udp) rejected as [`Reject::Arp`] or [`Reject::Igmp`].

use std::net::Ipv4Addr;

use super::Reject;
use crate::wire::ethernet::{self, Mac};
use crate::wire::{NoRoom, arp, igmp, ipv4};

/// An ARP packet, and the VLAN it came on; `None` for everything else.
#[must_use]
pub fn parse_arp(bytes: &[u8]) -> Option<(arp::Packet, Option<u16>)> {
    let frame = ethernet::Frame::new_checked(bytes).ok()?;
    if frame.ether_type() != ethernet::ARP {
        return None;
    }
    Some((arp::Packet::new_checked(frame.payload()).ok()?, frame.vlan()))
}

/// An IGMP message, its sender, and the VLAN it came on.
///
/// # Errors
/// The [`Reject`] of whatever stands around the message; `Ok` holds the message's own fault.
pub fn parse_igmp(bytes: &[u8]) -> Result<IgmpPacket<'_>, Reject> {
    let frame = ethernet::Frame::new_checked(bytes)?;
    if frame.ether_type() != ethernet::IPV4 {
        return Err(Reject::OtherEtherType);
    }
    let packet = ipv4::Packet::new_checked(frame.payload())?;
    if !packet.checksum_is_good() {
        return Err(Reject::IpChecksum);
    }
    if packet.is_fragment() {
        return Err(Reject::Fragment);
    }
    if packet.protocol() != ipv4::IGMP {
        return Err(Reject::OtherProtocol);
    }
    Ok(IgmpPacket {
        vlan: frame.vlan(),
        src: packet.src(),
        dst: packet.dst(),
        message: igmp::Message::parse(packet.payload()),
    })
}

/// An IGMP message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IgmpPacket<'a> {
    /// VLAN, as in [`super::UdpDatagram`].
    pub vlan: Option<u16>,
    /// Sender.
    pub src: Ipv4Addr,
    /// Receiver or group.
    pub dst: Ipv4Addr,
    /// What it says.
    pub message: Result<igmp::Message<'a>, igmp::Error>,
}

/// Writes an ARP frame to `dst` ([`ethernet::BROADCAST`] for requests); returns its length, 42 or 46.
///
/// # Errors
/// [`NoRoom`].
pub fn emit_arp(out: &mut [u8], dst: Mac, vlan: Option<u16>, packet: &arp::Packet) -> Result<usize, NoRoom> {
    let header = ethernet::Header { dst, src: packet.sender_mac, vlan, ether_type: ethernet::ARP };
    let len = header.emitted_len() + arp::LEN;
    let room = out.len();
    let frame = out.get_mut(..len).ok_or(NoRoom { needed: len, room })?;
    let at = header.emit(frame)?;
    packet.emit(frame.get_mut(at..).unwrap_or_default())?;
    Ok(len)
}

/// Writes an IGMP frame around `message` ([`igmp::emit_v3_report`] and its like): TTL 1, router alert, the group's
/// hardware address. Returns its length.
///
/// # Errors
/// [`NoRoom`].
pub fn emit_igmp(
    out: &mut [u8],
    src_mac: Mac,
    vlan: Option<u16>,
    (src, dst): (Ipv4Addr, Ipv4Addr),
    message: &[u8],
) -> Result<usize, NoRoom> {
    let ethernet = ethernet::Header {
        dst: ethernet::multicast_mac(dst),
        src: src_mac,
        vlan,
        ether_type: ethernet::IPV4,
    };
    let ip = ipv4::Header { src, dst, protocol: ipv4::IGMP, ttl: 1, router_alert: true };
    let ip_at = ethernet.emitted_len();
    let message_at = ip_at + ip.emitted_len();
    let needed = message_at.saturating_add(message.len());
    let no_room = NoRoom { needed, room: out.len() };
    let frame = out.get_mut(..needed).ok_or(no_room)?;
    ethernet.emit(frame)?;
    ip.emit(frame.get_mut(ip_at..).ok_or(no_room)?, message.len())?;
    frame.get_mut(message_at..).ok_or(no_room)?.copy_from_slice(message);
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::parse_udp;

    const US: (Mac, Ipv4Addr) = ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 0, 0, 2));
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

    #[test]
    fn arp_frames_round_trip() {
        for vlan in [None, Some(100)] {
            let request = arp::Packet::request(US.0, US.1, Ipv4Addr::new(10, 0, 0, 1));
            let mut out = [0; 60];
            let len = emit_arp(&mut out, ethernet::BROADCAST, vlan, &request).unwrap();
            assert_eq!(parse_arp(&out), Some((request, vlan)));
            assert_eq!(parse_udp(&out, 0), Err(Reject::Arp));
            assert_eq!(parse_arp(&out[..len - 1]), None);
            assert!(emit_arp(&mut out[..len - 1], US.0, vlan, &request).is_err());
        }
    }

    #[test]
    fn igmp_frames_round_trip() {
        for vlan in [None, Some(100)] {
            let mut message = [0; 8];
            igmp::emit_v2_report(&mut message, GROUP).unwrap();
            let mut out = [0; 60];
            let len = emit_igmp(&mut out, US.0, vlan, (US.1, GROUP), &message).unwrap();
            assert_eq!(out[..6], [1, 0, 0x5E, 1, 1, 1]);
            let expected =
                IgmpPacket { vlan, src: US.1, dst: GROUP, message: Ok(igmp::Message::V2Report(GROUP)) };
            assert_eq!(parse_igmp(&out), Ok(expected));
            assert_eq!(parse_udp(&out, 0), Err(Reject::Igmp));
            out[len - 1] ^= 1;
            assert_eq!(parse_igmp(&out).map(|packet| packet.message), Ok(Err(igmp::Error::Checksum)));
            assert_eq!(parse_igmp(&out[..len - 1]), Err(Reject::IpLength));
            assert!(emit_igmp(&mut out[..len - 1], US.0, vlan, (US.1, GROUP), &message).is_err());
        }
    }
}
