//! Valid messages for each decoder, made by our own emitters, for damaging.

use std::net::Ipv4Addr;

use wirebook::wire::frame::{self, UdpHeaders};
use wirebook::wire::itch::Message;
use wirebook::wire::moldudp64::{self, PacketBuilder};
use wirebook::wire::ouch::{EnterOrder, Inbound, OptionWriter, Outbound, Tag};
use wirebook::wire::{arp, ethernet, igmp, soup, wutf};

/// Who reads the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decoder {
    Frame,
    Ethernet,
    Ipv4,
    Udp,
    Arp,
    Igmp,
    Mold,
    Itch,
    OuchIn,
    OuchOut,
    Soup,
    SoupLogin,
    Wutf,
}

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const MAC: ethernet::Mac = [2, 0, 0, 0, 0, 2];

/// What `emit` wrote into a buffer.
fn written<E: std::fmt::Debug>(emit: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Vec<u8> {
    let mut out = vec![0; 2_048];
    let len = emit(&mut out).unwrap();
    out.truncate(len);
    out
}

fn order() -> Vec<u8> {
    let mut buffer = [0; 32];
    let mut writer = OptionWriter::new(&mut buffer);
    writer.push(Tag::Firm, b"LIME").unwrap();
    writer.push(Tag::MinQty, &[0, 0, 0, 100]).unwrap();
    let order = EnterOrder {
        user_ref_num: 1,
        side: b'B',
        quantity: 100,
        symbol: *b"AAPL    ",
        price: 1_000_000,
        time_in_force: b'0',
        display: b'Y',
        capacity: b'P',
        iso: b'N',
        cross_type: b'N',
        cl_ord_id: *b"sample        ",
    };
    written(|out| order.emit_with(out, writer.options()))
}

/// Samples with their decoders, each accepted by its own.
pub(crate) fn valid() -> Vec<(Decoder, Vec<u8>)> {
    let mut samples = Vec::new();
    let itch: Vec<Vec<u8>> =
        Message::LAYOUTS.iter().map(|&(_, message_type, len, _)| vec![message_type; len]).collect();

    let packet = |messages: &[Vec<u8>]| {
        written(|out| {
            let mut builder = PacketBuilder::new(out, *b"0000000001", 1)?;
            for message in messages {
                builder.push(message)?;
            }
            Ok::<_, wirebook::wire::NoRoom>(builder.len())
        })
    };
    let packets = [packet(&itch[..4]), packet(&[vec![], vec![b'?'; 3]]), packet(&[])];

    for vlan in [None, Some(100)] {
        let headers = UdpHeaders {
            src_mac: MAC,
            dst_mac: ethernet::multicast_mac(GROUP),
            vlan,
            ttl: 1,
            src: (US, 31_000),
            dst: (GROUP, 26_400),
        };
        let udp = written(|out| headers.emit_with(out, &packets[0]));
        samples.push((Decoder::Ipv4, udp[headers.ip_at()..].to_vec()));
        samples.push((Decoder::Udp, udp[headers.udp_at()..].to_vec()));
        samples.push((Decoder::Ethernet, udp.clone()));
        // Few payload bytes, so that damage often strikes the headers.
        let short = written(|out| headers.emit_with(out, &packets[2]));
        // A frame from elsewhere, padded and without a UDP checksum, which passes with any damage to its payload.
        let mut unsummed = short.clone();
        unsummed[headers.udp_at() + 6..headers.payload_at()].fill(0);
        unsummed.resize(80, 0);
        // Two tags.
        let mut tagged = short[..12].to_vec();
        tagged.extend_from_slice(&[0x88, 0xA8, 0, 7]);
        tagged.extend_from_slice(&short[12..]);
        samples.push((Decoder::Ethernet, tagged.clone()));
        samples.extend([udp, short, unsummed, tagged].map(|frame| (Decoder::Frame, frame)));
    }

    let request = arp::Packet::request(MAC, US, GATEWAY);
    samples.push((Decoder::Arp, written(|out| request.emit(out))));
    samples.push((Decoder::Arp, written(|out| request.reply(MAC).emit(out))));

    let sources = [GATEWAY, US];
    let records = [
        igmp::Record { kind: igmp::RecordKind::ChangeToExclude, group: GROUP, sources: &[] },
        igmp::Record { kind: igmp::RecordKind::AllowNewSources, group: GROUP, sources: &sources },
    ];
    samples.push((Decoder::Igmp, written(|out| igmp::emit_v2_report(out, GROUP))));
    samples.push((Decoder::Igmp, written(|out| igmp::emit_leave(out, GROUP))));
    samples.push((Decoder::Igmp, written(|out| igmp::emit_v2_query(out, GROUP, 100))));
    samples.push((Decoder::Igmp, written(|out| igmp::emit_v3_report(out, &records))));
    samples.push((Decoder::Igmp, vec![0x11, 0, 0xEE, 0xF5, 0, 0, 0, 0, 0, 10, 0, 0]));

    samples.extend(packets.map(|packet| (Decoder::Mold, packet)));
    samples.push((
        Decoder::Mold,
        written(|out| moldudp64::emit_end_of_session(out, *b"0000000001", u64::MAX - 1)),
    ));
    samples.extend(itch.into_iter().map(|message| (Decoder::Itch, message)));
    samples.push((Decoder::Itch, b"?unknown".to_vec()));

    samples.push((Decoder::OuchIn, order()));
    for &(_, message_type, len, appendage, _) in Inbound::LAYOUTS {
        let mut message = vec![message_type; len];
        samples.push((Decoder::OuchIn, message.clone()));
        message.extend_from_slice(if appendage { &[0, 0] } else { &[0, 4, 3, 99, 1, 2] });
        samples.push((Decoder::OuchIn, message));
    }
    for &(_, message_type, len, _) in Outbound::LAYOUTS {
        let mut message = vec![message_type; len];
        samples.push((Decoder::OuchOut, message.clone()));
        message.extend_from_slice(&[0, 9, 2, 12, b'P', 5, 3, 0, 0, 0, 100]);
        samples.push((Decoder::OuchOut, message));
    }

    let login = soup::LoginRequest {
        username: *b"user  ",
        password: *b"secret    ",
        session: [b' '; 10],
        sequence: 1,
    };
    let accepted = soup::LoginAccepted { session: *b"         1", sequence: 99 };
    let login = written(|out| login.emit(out));
    let stream = [login.as_slice(), b"\0\x01R\0\x06Uorder\0\x01O"].concat();
    samples.push((Decoder::Soup, stream));
    samples.push((Decoder::SoupLogin, login));
    samples.push((Decoder::SoupLogin, written(|out| accepted.emit(out))));

    let mut upstream = written(|out| wutf::emit_order(out, &order()));
    upstream.extend(written(wutf::emit_heartbeat));
    samples.push((Decoder::Wutf, upstream));
    samples.push((Decoder::Wutf, written(wutf::emit_heartbeat)));
    samples
}

/// Frames that are whole and none of the feed's: each is refused, whatever kind it is.
pub(crate) fn strangers() -> Vec<(Decoder, Vec<u8>)> {
    let request = arp::Packet::request(MAC, US, GATEWAY);
    let report = written(|out| igmp::emit_v2_report(out, GROUP));
    let igmp = written(|out| frame::emit_igmp(out, MAC, None, (US, GROUP), &report));
    let ether_type = |ether_type: [u8; 2]| [&[2; 12], &ether_type[..], &[0; 46]].concat();
    let tags = [[0x81, 0, 0, 1]; 3].concat();
    [
        written(|out| frame::emit_arp(out, ethernet::BROADCAST, None, &request)),
        igmp,
        ether_type([0x86, 0xDD]),
        ether_type([0x88, 0xCC]),
        [&[2; 12], tags.as_slice(), &[8, 0]].concat(),
    ]
    .map(|frame| (Decoder::Frame, frame))
    .to_vec()
}
