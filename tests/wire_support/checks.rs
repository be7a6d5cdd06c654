//! What must hold of every decoder, whatever the bytes: no panic, and what it accepts adds up. Each check hands back the
//! decoder's own verdict. The hostile test and the fuzzers run the same checks.

use std::hint::black_box;

use wirebook::nic;
use wirebook::wire::itch::{self, Message};
use wirebook::wire::moldudp64::{self, Packet};
use wirebook::wire::ouch::{self, Inbound, Options, Outbound};
use wirebook::wire::{arp, checksum, ethernet, frame, igmp, ipv4, soup, udp, wutf};

/// The whole way down, as the feed goes it; once with our own sums and once with a NIC that vouches for both.
pub(crate) fn frame(bytes: &[u8]) -> Result<(), frame::Reject> {
    let vouched = frame::parse_udp(bytes, nic::IP_CSUM_GOOD | nic::L4_CSUM_GOOD);
    let summed = frame::parse_udp(bytes, 0);
    if let Ok(datagram) = vouched {
        let inside = bytes.as_ptr_range();
        assert!(datagram.payload.is_empty() || inside.contains(&datagram.payload.as_ptr()));
        assert!(datagram.payload.len() + 42 <= bytes.len());
        if let Ok(packet) = Packet::new_checked(datagram.payload) {
            black_box(packet.blocks().filter(|block| Message::parse(block).is_ok()).count());
        }
    }
    if let Ok(datagram) = summed {
        assert_eq!(vouched, Ok(datagram));
    }
    black_box((frame::parse_arp(bytes), frame::parse_igmp(bytes).is_ok()));
    summed.map(drop)
}

pub(crate) fn ethernet(bytes: &[u8]) -> Result<(), ethernet::Error> {
    let frame = ethernet::Frame::new_checked(bytes)?;
    assert!(frame.vlan().is_none_or(|vlan| (1..4_096).contains(&vlan)));
    assert!(bytes.ends_with(frame.payload()));
    Ok(())
}

pub(crate) fn ipv4(bytes: &[u8]) -> Result<(), ipv4::Error> {
    let packet = ipv4::Packet::new_checked(bytes)?;
    assert!(ipv4::HEADER_LEN + packet.options().len() + packet.payload().len() <= bytes.len());
    black_box((packet.checksum_is_good(), packet.is_fragment(), packet.ttl()));
    Ok(())
}

pub(crate) fn udp(bytes: &[u8]) -> Result<(), udp::Error> {
    let datagram = udp::Datagram::new_checked(bytes)?;
    assert!(udp::HEADER_LEN + datagram.payload().len() <= bytes.len());
    black_box(datagram.checksum_is_good([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
    Ok(())
}

pub(crate) fn arp(bytes: &[u8]) -> Result<(), arp::Error> {
    let packet = arp::Packet::new_checked(bytes)?;
    let mut out = [0; arp::LEN];
    assert_eq!(packet.emit(&mut out), Ok(arp::LEN));
    assert!(bytes.starts_with(&out));
    Ok(())
}

/// As it is, and with its checksum made right, since random bytes seldom get past that.
pub(crate) fn igmp(bytes: &[u8]) -> Result<(), igmp::Error> {
    let as_it_is = igmp::Message::parse(bytes).map(drop);
    let mut sealed = bytes.to_vec();
    if let Some(place) = sealed.get_mut(2..4) {
        place.fill(0);
        let sum = checksum::of(&sealed);
        sealed[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    match igmp::Message::parse(&sealed)? {
        igmp::Message::V3Report(records) => {
            let len: usize = records.map(|record| 8 + 4 * record.sources.count()).sum();
            assert!(igmp::HEADER_LEN + len <= bytes.len());
        }
        igmp::Message::Query(query) => assert!(igmp::HEADER_LEN + 4 * query.sources.count() <= bytes.len()),
        _ => {}
    }
    as_it_is
}

pub(crate) fn mold(bytes: &[u8]) -> Result<(), moldudp64::Error> {
    black_box(moldudp64::Request::new_checked(bytes).is_ok());
    let packet = Packet::new_checked(bytes)?;
    assert!(packet.sequence().checked_add(u64::from(packet.count())).is_some());
    assert_eq!(packet.blocks().len(), usize::from(packet.count()));
    assert_eq!(packet.blocks().count(), usize::from(packet.count()));
    let blocks: usize = packet.blocks().map(|block| moldudp64::BLOCK_HEADER_LEN + block.len()).sum();
    assert_eq!(moldudp64::HEADER_LEN + blocks + packet.trailing(), bytes.len());
    let half = packet.count() / 2;
    let [first, second] = [packet.blocks().take_blocks(half), packet.blocks().skip_blocks(half)];
    assert!(first.chain(second).eq(packet.blocks()));
    Ok(())
}

pub(crate) fn itch(bytes: &[u8]) -> Result<(), itch::Error> {
    let message = Message::parse(bytes)?;
    assert_eq!(message.as_bytes(), bytes);
    assert!(message.timestamp() < 1 << 48);
    black_box(message.stock_locate());
    Ok(())
}

/// Read back, what we emit is the same message; where nothing was left out, it is the same bytes too.
pub(crate) fn ouch_in(bytes: &[u8]) -> Result<(), ouch::Error> {
    let message = Inbound::parse(bytes)?;
    let mut out = vec![0; bytes.len() + 2];
    let (len, options) = emit(&message, &mut out);
    assert_eq!(Inbound::parse(&out[..len]), Ok(message));
    assert!(len != bytes.len() || out[..len] == *bytes);
    options_add_up(options);
    Ok(())
}

pub(crate) fn ouch_out(bytes: &[u8]) -> Result<(), ouch::Error> {
    let (message, options) = Outbound::parse_with_options(bytes)?;
    assert!(bytes.starts_with(message.as_bytes()));
    assert!(bytes.ends_with(options.as_bytes()));
    options_add_up(options);
    Ok(())
}

/// A byte stream, packet by packet, as a TCP session would read it.
pub(crate) fn soup(bytes: &[u8]) -> Result<(), soup::Error> {
    let mut rest = bytes;
    while let Some((packet, after)) = soup::split(rest)? {
        assert_eq!(rest.len() - after.len(), soup::HEADER_LEN + packet.payload.len());
        rest = after;
    }
    Ok(())
}

/// The first packet of a stream as a login; one that is not complete has nothing to check.
pub(crate) fn soup_login(bytes: &[u8]) -> Result<(), soup::Error> {
    let Some((packet, _)) = soup::split(bytes)? else { return Ok(()) };
    let mut out = [0; soup::LoginRequest::LEN];
    if packet.packet_type == soup::packet_type::LOGIN_REQUEST {
        let login = soup::LoginRequest::parse(packet.payload)?;
        assert_eq!(login.emit(&mut out), Ok(soup::LoginRequest::LEN));
        assert_eq!(soup::LoginRequest::parse(&out[soup::HEADER_LEN..]), Ok(login));
    } else {
        let login = soup::LoginAccepted::parse(packet.payload)?;
        assert_eq!(login.emit(&mut out), Ok(soup::LoginAccepted::LEN));
        assert_eq!(soup::LoginAccepted::parse(&out[soup::HEADER_LEN..soup::LoginAccepted::LEN]), Ok(login));
    }
    Ok(())
}

pub(crate) fn wutf(bytes: &[u8]) -> Result<(), wutf::Error> {
    let mut len = 0;
    for request in wutf::Upstream::new_checked(bytes)? {
        len += wutf::HEADER_LEN;
        if let wutf::Request::Order(message) = request {
            black_box(Inbound::parse(message).is_ok());
            len += message.len();
        }
    }
    assert_eq!(len, bytes.len());
    Ok(())
}

fn options_add_up(options: Options<'_>) {
    let len: usize = options.map(|(_, value)| 2 + value.len()).sum();
    assert_eq!(len, options.as_bytes().len());
}

/// Writes a message back; returns its length and its options.
pub(crate) fn emit<'a>(message: &Inbound<'a>, out: &mut [u8]) -> (usize, Options<'a>) {
    let (len, options) = match message {
        Inbound::EnterOrder(order, options) => (order.emit_with(out, *options), options),
        Inbound::ReplaceOrder(order, options) => (order.emit_with(out, *options), options),
        Inbound::CancelOrder(order, options) => (order.emit_with(out, *options), options),
        Inbound::ModifyOrder(order, options) => (order.emit_with(out, *options), options),
        Inbound::MassCancel(order, options) => (order.emit_with(out, *options), options),
        Inbound::DisableOrderEntry(order, options) => (order.emit_with(out, *options), options),
        Inbound::EnableOrderEntry(order, options) => (order.emit_with(out, *options), options),
        Inbound::AccountQuery(query, options) => (query.emit_with(out, *options), options),
    };
    (len.unwrap(), *options)
}
