//! A day's messages as MoldUDP64 in Ethernet frames on two lines, and those in capture files of an independent writer.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, TsResolution};

use super::market::Day;

pub(crate) const LINE_A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 1, 1, 1), 26_400);
pub(crate) const LINE_B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 1, 1, 2), 26_400);

/// How a day goes on the wire.
pub(crate) struct Packing {
    /// For packet `n`: does line A have it, does line B?
    pub(crate) keep: fn(usize) -> (bool, bool),
    pub(crate) vlan: Option<u16>,
    /// Each packet comes on line B first. Line B is then the one that is found first.
    pub(crate) b_first: bool,
    /// Sequence of the first message.
    pub(crate) first_sequence: u64,
}

impl Default for Packing {
    fn default() -> Self {
        Self { keep: |_| (true, true), vlan: None, b_first: false, first_sequence: 1 }
    }
}

/// A frame and when it was captured, ns.
pub(crate) type Captured = (u64, Vec<u8>);

fn frame(to: SocketAddrV4, vlan: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let [_, b, c, d] = to.ip().octets();
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [1, 0, 0x5e, b & 0x7f, c, d]);
    let mut bytes = Vec::new();
    let source = [10, 0, 0, 9];
    match vlan {
        Some(vlan) => ethernet
            .single_vlan(vlan.try_into().unwrap())
            .ipv4(source, to.ip().octets(), 16)
            .udp(26_000, to.port())
            .write(&mut bytes, payload),
        None => ethernet.ipv4(source, to.ip().octets(), 16).udp(26_000, to.port()).write(&mut bytes, payload),
    }
    .unwrap();
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

/// Packets of 1 to 30 messages, 100 µs apart, the second line 20 µs behind the first.
pub(crate) fn pack(day: &Day, packing: &Packing) -> Vec<Captured> {
    let mut frames = Vec::new();
    let mut at = 0;
    let mut n = 0;
    while at < day.messages.len() {
        let count = (1 + (n * 7) % 30).min(day.messages.len() - at);
        let mut payload = b"0123456789".to_vec();
        payload.extend_from_slice(&(packing.first_sequence + at as u64).to_be_bytes());
        payload.extend_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
        for message in &day.messages[at..at + count] {
            payload.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
            payload.extend_from_slice(message);
        }
        let (on_a, on_b) = (packing.keep)(n);
        let time = 1_700_000_000_000_000_000 + n as u64 * 100_000;
        let mut both = [(LINE_A, on_a), (LINE_B, on_b)];
        if packing.b_first {
            both.reverse();
        }
        for (i, (line, kept)) in both.into_iter().enumerate() {
            if kept {
                frames.push((time + i as u64 * 20_000, frame(line, packing.vlan, &payload)));
            }
        }
        at += count;
        n += 1;
    }
    frames
}

#[derive(Clone, Copy)]
pub(crate) enum Container {
    Micros,
    Nanos,
    NextGeneration,
}

pub(crate) fn write_capture(frames: &[Captured], container: Container) -> Vec<u8> {
    let pcap = |ts_resolution| {
        let header =
            PcapHeader { ts_resolution, endianness: pcap_file::Endianness::Little, ..PcapHeader::default() };
        let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
        for (time, bytes) in frames {
            let packet = PcapPacket::new(Duration::from_nanos(*time), bytes.len() as u32, bytes);
            writer.write_packet(&packet).unwrap();
        }
        writer.into_writer()
    };
    match container {
        Container::Micros => pcap(TsResolution::MicroSecond),
        Container::Nanos => pcap(TsResolution::NanoSecond),
        Container::NextGeneration => {
            let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
            let interface = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: 0,
                options: vec![InterfaceDescriptionOption::IfTsResol(9)],
            };
            writer.write_pcapng_block(interface).unwrap();
            for (time, bytes) in frames {
                let block = EnhancedPacketBlock {
                    interface_id: 0,
                    timestamp: Duration::from_nanos(*time),
                    original_len: bytes.len() as u32,
                    data: Cow::Borrowed(bytes),
                    options: vec![],
                };
                writer.write_pcapng_block(block).unwrap();
            }
            writer.into_inner()
        }
    }
}
