//! Frames against the crate etherparse: we read what it builds, and it reads what we emit, checksums included.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wire_support/rng.rs"]
mod rng;

use std::net::Ipv4Addr;

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv4Options, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
    VlanId,
};
use rng::Rng;
use wirebook::nic;
use wirebook::wire::frame::{self, Reject, UdpDatagram, UdpHeaders};
use wirebook::wire::{arp, checksum, ethernet, igmp};

const ROUNDS: usize = 20_000;

/// Random headers and payload.
fn random(rng: &mut Rng) -> (UdpHeaders, Vec<u8>) {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let ip = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let headers = UdpHeaders {
        src_mac: *bytes[0..].first_chunk().unwrap(),
        dst_mac: *bytes[6..].first_chunk().unwrap(),
        vlan: None,
        ttl: bytes[12].max(1),
        src: (ip(13), port(17)),
        dst: (ip(19), port(23)),
    };
    let mut payload = vec![0; rng.below(1_473)];
    rng.fill(&mut payload);
    (headers, payload)
}

fn expected<'a>(h: &UdpHeaders, vlans: (Option<u16>, Option<u16>), payload: &'a [u8]) -> UdpDatagram<'a> {
    UdpDatagram {
        vlan: vlans.1,
        outer_vlan: vlans.0,
        src_mac: h.src_mac,
        dst_mac: h.dst_mac,
        src: h.src.0,
        dst: h.dst.0,
        src_port: h.src.1,
        dst_port: h.dst.1,
        payload,
    }
}

#[test]
fn frames_that_etherparse_builds_are_read() {
    let mut rng = Rng::new(1);
    for round in 0..ROUNDS {
        let (h, payload) = random(&mut rng);
        let ethernet = PacketBuilder::ethernet2(h.src_mac, h.dst_mac);
        let outer = VlanId::try_new(1 + rng.below(4_095) as u16).unwrap();
        let inner = VlanId::try_new(1 + rng.below(4_095) as u16).unwrap();
        let mut ip = Ipv4Header::new(0, h.ttl, IpNumber::UDP, h.src.0.octets(), h.dst.0.octets()).unwrap();
        if round % 2 == 1 {
            let mut options = vec![1; 4 * (1 + rng.below(10))];
            rng.fill(&mut options);
            ip.options = Ipv4Options::try_from(options.as_slice()).unwrap();
        }
        let ip = IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default());
        let mut bytes = Vec::new();
        let (ip, vlans) = match round % 3 {
            0 => (ethernet.ip(ip), (None, None)),
            1 => (ethernet.single_vlan(inner).ip(ip), (None, Some(inner.value()))),
            _ => (ethernet.double_vlan(outer, inner).ip(ip), (Some(outer.value()), Some(inner.value()))),
        };
        ip.udp(h.src.1, h.dst.1).write(&mut bytes, &payload).unwrap();
        bytes.resize(bytes.len().max(60), 0);
        assert_eq!(frame::parse_udp(&bytes, 0), Ok(expected(&h, vlans, &payload)));
    }
}

#[test]
fn frames_that_we_emit_are_read_by_etherparse() {
    let mut rng = Rng::new(2);
    for round in 0..ROUNDS {
        let (mut h, payload) = random(&mut rng);
        if round % 2 == 1 {
            h.vlan = Some(1 + rng.below(4_094) as u16);
        }
        let mut out = vec![0xEE; 2_048];
        let len = h.emit_with(&mut out, &payload).unwrap();
        let packet = SlicedPacket::from_ethernet(&out[..len]).unwrap();
        assert_eq!(packet.vlan_ids().first().map(|id| id.value()), h.vlan);
        let link = packet.link.unwrap().to_header().unwrap().ethernet2().unwrap();
        assert_eq!((link.source, link.destination), (h.src_mac, h.dst_mac));
        let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("{:?}", packet.net) };
        let ip = ip.header().to_header();
        assert_eq!((ip.source, ip.destination), (h.src.0.octets(), h.dst.0.octets()));
        assert_eq!((ip.time_to_live, ip.dont_fragment, ip.more_fragments), (h.ttl, true, false));
        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
        let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("{:?}", packet.transport) };
        assert_eq!((udp.source_port(), udp.destination_port()), (h.src.1, h.dst.1));
        assert_eq!(udp.payload(), payload);
        assert_eq!(udp.checksum(), udp.to_header().calc_checksum_ipv4(&ip, &payload).unwrap());

        // A payload patched in place, with the checksum updated rather than made anew.
        if !payload.is_empty() {
            let at = rng.below(payload.len());
            let mut new = vec![0; 1 + rng.below((payload.len() - at).min(16))];
            rng.fill(&mut new);
            let place = h.payload_at() + at..h.payload_at() + at + new.len();
            let sum =
                checksum::update_bytes(udp.checksum(), place.start - h.udp_at(), &out[place.clone()], &new);
            let mut patched = payload.clone();
            patched[at..at + new.len()].copy_from_slice(&new);
            let sum = wirebook::wire::udp::on_the_wire(sum);
            assert_eq!(sum, udp.to_header().calc_checksum_ipv4(&ip, &patched).unwrap());
        }
    }
}

#[test]
fn any_single_flipped_bit_that_a_checksum_covers_is_noticed() {
    let mut rng = Rng::new(3);
    for _ in 0..200 {
        let (h, payload) = random(&mut rng);
        let mut out = vec![0; 2_048];
        let len = h.emit_with(&mut out, &payload).unwrap();
        let good = frame::parse_udp(&out[..len], 0).map(|datagram| datagram.payload.to_vec());
        assert_eq!(good, Ok(payload));
        for bit in h.ip_at() * 8..len * 8 {
            out[bit / 8] ^= 1 << (bit % 8);
            // A UDP checksum that becomes 0 says that there is none: such a flip cannot be noticed.
            if out[h.udp_at() + 6..h.payload_at()] != [0, 0] {
                assert!(frame::parse_udp(&out[..len], 0).is_err(), "bit {bit}");
            }
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_nic_that_vouches_spares_the_sums() {
    let (h, payload) = random(&mut Rng::new(4));
    let mut out = vec![0; 2_048];
    let len = h.emit_with(&mut out, &payload).unwrap();
    out[h.ip_at() + 10] ^= 1;
    out[h.udp_at() + 6] ^= 1;
    assert_eq!(frame::parse_udp(&out[..len], 0), Err(Reject::IpChecksum));
    assert_eq!(frame::parse_udp(&out[..len], nic::IP_CSUM_GOOD), Err(Reject::UdpChecksum));
    assert!(frame::parse_udp(&out[..len], nic::IP_CSUM_GOOD | nic::L4_CSUM_GOOD).is_ok());
}

#[test]
fn arp_and_igmp_frames_are_read_by_etherparse() {
    let (mac, us, gateway) = ([2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 1));
    let mut out = [0; 64];

    let len =
        frame::emit_arp(&mut out, ethernet::BROADCAST, Some(100), &arp::Packet::request(mac, us, gateway))
            .unwrap();
    let packet = SlicedPacket::from_ethernet(&out[..len]).unwrap();
    let Some(NetSlice::Arp(request)) = packet.net else { panic!("{:?}", packet.net) };
    let request = request.to_packet().try_eth_ipv4().unwrap();
    assert_eq!(request.operation, etherparse::ArpOperation::REQUEST);
    assert_eq!((request.sender_mac, request.sender_ipv4), (mac, us.octets()));
    assert_eq!((request.target_mac, request.target_ipv4), ([0; 6], gateway.octets()));

    let mut out = [0; 64];
    let group = Ipv4Addr::new(239, 1, 1, 1);
    let record = igmp::Record { kind: igmp::RecordKind::ChangeToExclude, group, sources: &[] };
    let mut message = [0; 16];
    igmp::emit_v3_report(&mut message, &[record]).unwrap();
    let len = frame::emit_igmp(&mut out, mac, None, (us, igmp::ALL_V3_ROUTERS), &message).unwrap();
    let packet = SlicedPacket::from_ethernet(&out[..len]).unwrap();
    let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("{:?}", packet.net) };
    assert_eq!(ip.payload().payload, message);
    let ip = ip.header().to_header();
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    assert_eq!((ip.protocol, ip.time_to_live), (IpNumber::IGMP, 1));
    assert_eq!(ip.options[..], [0x94, 4, 0, 0]);
}
