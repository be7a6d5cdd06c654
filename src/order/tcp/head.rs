//! The headers of all data segments of a connection, prepared once and patched.
//!
//! Ethernet II (with one 802.1Q tag where the port is tagged), IPv4 (no options, identification 0, DF, TTL 64), TCP
//! without options: byte for byte what the stack emits. A segment adds its lengths, its sequence number and its data to
//! sums that are ready.

use crate::order::template::{FrameAddressing, SHORTEST_FRAME, TemplateError};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Mac};
use crate::wire::{NoRoom, ipv4, tcp};

/// Most data of a prepared segment: a SoupBinTCP header and the longest order message fit.
pub(super) const MOST_DATA: usize = 64;

/// Least data of a prepared segment: a frame that Ethernet need not fill up.
pub(super) const LEAST_DATA: usize =
    SHORTEST_FRAME - ethernet::HEADER_LEN - ipv4::HEADER_LEN - tcp::HEADER_LEN;

/// Room for the longest frame.
pub(super) const FRAME: usize = 128;

/// Bytes copied to the front of each frame: more than the longest headers, in whole vector registers.
const COPIED: usize = 64;

const TOTAL_LEN_AT: usize = 2;
const IP_CHECKSUM_AT: usize = 10;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Head {
    bytes: [u8; COPIED],
    /// Offset of the IPv4 header.
    ip_at: usize,
    addressing: FrameAddressing,
    /// IPv4 header without its length.
    ip_rest: Sum,
    /// Pseudo header and TCP header without lengths and sequence number.
    tcp_rest: Sum,
}

impl Head {
    pub(super) fn new(addressing: &FrameAddressing) -> Result<Self, TemplateError> {
        if let Some(vlan) = addressing.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            return Err(TemplateError::Vlan(vlan));
        }
        let mut bytes = [0; COPIED];
        let header = ethernet::Header {
            dst: addressing.dst_mac,
            src: addressing.src_mac,
            vlan: addressing.vlan,
            ether_type: ethernet::IPV4,
        };
        let ip_at = header.emit(&mut bytes)?;
        let no_room = NoRoom { needed: COPIED + 1, room: COPIED };
        let header = ipv4::Header {
            src: addressing.src_ip,
            dst: addressing.dst_ip,
            protocol: ipv4::TCP,
            ttl: 64,
            router_alert: false,
        };
        let packet = bytes.get_mut(ip_at..).ok_or(no_room)?;
        header.emit(packet, tcp::HEADER_LEN)?;
        let ip = packet.first_chunk_mut::<{ ipv4::HEADER_LEN }>().ok_or(no_room)?;
        for at in [TOTAL_LEN_AT, IP_CHECKSUM_AT] {
            crate::wire::layout::put(ip, at, [0; 2]);
        }
        let ip_rest = Sum::ZERO.plus(ip);
        let mut head = Self { bytes, ip_at, addressing: *addressing, ip_rest, tcp_rest: Sum::ZERO };
        head.set(0, 0, 0);
        Ok(head)
    }

    /// Offset of the IPv4 header, which is the length of the Ethernet header.
    pub(super) const fn ip_at(&self) -> usize {
        self.ip_at
    }

    const fn tcp_at(&self) -> usize {
        self.ip_at + ipv4::HEADER_LEN
    }

    /// Offset of the data.
    pub(super) const fn data_at(&self) -> usize {
        self.tcp_at() + tcp::HEADER_LEN
    }

    /// The Ethernet header.
    pub(super) fn ethernet(&self) -> &[u8] {
        self.bytes.get(..self.ip_at).unwrap_or_default()
    }

    pub(super) fn set_dst_mac(&mut self, mac: Mac) {
        if let Some(place) = self.bytes.first_chunk_mut() {
            *place = mac;
        }
    }

    /// What all segments say until the next call: our port, what we expect of the peer, what we have room for.
    pub(super) fn set(&mut self, src_port: u16, acknowledgment: u32, window: u16) {
        let header = tcp::Header {
            src_port,
            dst_port: self.addressing.dst_port,
            sequence: 0,
            acknowledgment,
            flags: tcp::PSH | tcp::ACK,
            window,
        };
        let bytes = header.bytes();
        self.tcp_rest = tcp::pseudo_header(self.addressing.src_ip, self.addressing.dst_ip, 0).plus(&bytes);
        let at = self.tcp_at();
        if let Some(place) = self.bytes.get_mut(at..at + tcp::HEADER_LEN) {
            place.copy_from_slice(&bytes);
        }
    }

    /// Writes the headers in front of the data that stands at [`Head::data_at`]: at least [`LEAST_DATA`] bytes, so that
    /// nothing of the copied bytes lies behind them. Returns the frame's length.
    #[inline]
    pub(super) fn write(&self, frame: &mut [u8; FRAME], sequence: u32, data: &[u8]) -> usize {
        // Data has at most `MOST_DATA` bytes.
        let tcp_len = (tcp::HEADER_LEN + data.len()) as u16;
        let total_len = tcp_len + ipv4::HEADER_LEN as u16;
        if let Some(place) = frame.first_chunk_mut() {
            *place = self.bytes;
        }
        let end = self.data_at() + data.len();
        if let Some(place) = frame.get_mut(self.data_at()..end) {
            place.copy_from_slice(data);
        }
        let ip = self.ip_rest.plus_u16(total_len).checksum();
        let sequence = sequence.to_be_bytes();
        let tcp_sum = self.tcp_rest.plus_u16(tcp_len).plus(&sequence).plus(data).checksum();
        put(frame, self.ip_at + TOTAL_LEN_AT, total_len.to_be_bytes());
        put(frame, self.ip_at + IP_CHECKSUM_AT, ip.to_be_bytes());
        put(frame, self.tcp_at() + tcp::SEQUENCE_AT, sequence);
        put(frame, self.tcp_at() + tcp::CHECKSUM_AT, tcp_sum.to_be_bytes());
        end
    }
}

#[inline(always)]
fn put<const N: usize>(frame: &mut [u8; FRAME], at: usize, value: [u8; N]) {
    if let Some(place) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value;
    }
}
