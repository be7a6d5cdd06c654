//! pcapng, written block by block into memory; whoever owns the file writes whole blocks to it.
//!
//! One section, little-endian, its length not stated; interfaces with stamps in ns since 1970; enhanced packet blocks with
//! the options of [`super::own`]; interface statistics at the end. A file that ends after any whole block is a valid one.
//! Document: draft-ietf-opsawg-pcapng.

use super::own::{self, Own};

const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Codes of options.
mod code {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SECTION_HARDWARE: u16 = 2;
    pub(super) const SECTION_OS: u16 = 3;
    pub(super) const SECTION_APPLICATION: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_DESCRIPTION: u16 = 3;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const STATISTICS_BEGIN: u16 = 2;
    pub(super) const STATISTICS_END: u16 = 3;
    pub(super) const STATISTICS_RECEIVED: u16 = 4;
    pub(super) const STATISTICS_DROPPED: u16 = 5;
}

/// Where a capture was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// Processor and what else matters.
    pub hardware: &'a str,
    /// Operating system.
    pub os: &'a str,
    /// Program.
    pub application: &'a str,
    /// Anything else that a reader should know.
    pub comment: &'a str,
}

/// One interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// [`super::LINK_ETHERNET`] or another of libpcap's numbers.
    pub link_type: u16,
    /// Longest packet, in bytes.
    pub snap_len: u32,
    /// Ticks a second of [`Own::ticks`] of its packets.
    pub hz: u64,
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Interface, counted from 0 in the order of the file.
    pub interface: u32,
    /// ns since 1970.
    pub stamp_ns: u64,
    /// Its bytes are these parts one after the other.
    pub parts: [&'a [u8]; 3],
    /// What the loop knew of it.
    pub own: Own,
}

/// What became of the packets of one interface.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Interface, counted from 0 in the order of the file.
    pub interface: u32,
    /// Begin and end of the capture, ns since 1970.
    pub during: [u64; 2],
    /// Packets received, those dropped included.
    pub received: u64,
    /// Packets that found no room.
    pub dropped: u64,
}

/// Appends the head of a file.
pub fn section(out: &mut Vec<u8>, origin: &Origin<'_>) {
    block(out, SECTION, |out| {
        out.extend_from_slice(&BYTE_ORDER.to_le_bytes());
        out.extend_from_slice(&1_u16.to_le_bytes());
        out.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        text(out, code::COMMENT, origin.comment);
        text(out, code::SECTION_HARDWARE, origin.hardware);
        text(out, code::SECTION_OS, origin.os);
        text(out, code::SECTION_APPLICATION, origin.application);
        option(out, code::END, &[]);
    });
}

/// Appends the description of an interface.
pub fn interface(out: &mut Vec<u8>, interface: &Interface<'_>) {
    block(out, INTERFACE, |out| {
        out.extend_from_slice(&interface.link_type.to_le_bytes());
        out.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(&interface.snap_len.to_le_bytes());
        text(out, code::INTERFACE_NAME, interface.name);
        text(out, code::INTERFACE_DESCRIPTION, interface.description);
        option(out, code::INTERFACE_RESOLUTION, &[9]);
        option(out, own::OPTION, &own::clock_option(interface.hz));
        option(out, code::END, &[]);
    });
}

/// Appends a packet.
pub fn packet(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let len: usize = packet.parts.iter().map(|part| part.len()).sum();
    // Far below 4 GiB: what comes out of a ring of records of 64 KiB.
    let len = (len as u32).to_le_bytes();
    block(out, ENHANCED_PACKET, |out| {
        out.extend_from_slice(&packet.interface.to_le_bytes());
        out.extend_from_slice(&stamp(packet.stamp_ns));
        out.extend_from_slice(&len);
        out.extend_from_slice(&len);
        for part in packet.parts {
            out.extend_from_slice(part);
        }
        pad(out);
        let (value, len) = packet.own.option();
        option(out, own::OPTION, value.get(..len).unwrap_or(&value));
        option(out, code::END, &[]);
    });
}

/// Appends the statistics of an interface.
pub fn statistics(out: &mut Vec<u8>, statistics: &Statistics) {
    let [begin, end] = statistics.during;
    block(out, STATISTICS, |out| {
        out.extend_from_slice(&statistics.interface.to_le_bytes());
        out.extend_from_slice(&stamp(end));
        option(out, code::STATISTICS_BEGIN, &stamp(begin));
        option(out, code::STATISTICS_END, &stamp(end));
        option(out, code::STATISTICS_RECEIVED, &statistics.received.to_le_bytes());
        option(out, code::STATISTICS_DROPPED, &statistics.dropped.to_le_bytes());
        option(out, code::END, &[]);
    });
}

/// High half first, each half in the byte order of the file.
fn stamp(ns: u64) -> [u8; 8] {
    ns.rotate_left(32).to_le_bytes()
}

/// A block: its length stands in front of the body and behind it. Every body is a multiple of four bytes long.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = ((out.len() - begin + 4) as u32).to_le_bytes();
    if let Some(place) = out.get_mut(begin + 4..begin + 8) {
        place.copy_from_slice(&len);
    }
    out.extend_from_slice(&len);
}

/// An option; a value longer than any option may be is cut.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend(value.iter().take(usize::from(len)));
    pad(out);
}

/// An option of text; none where there is none.
fn text(out: &mut Vec<u8>, code: u16, value: &str) {
    if !value.is_empty() {
        option(out, code, value.as_bytes());
    }
}

/// To a multiple of four bytes. What is in `out` before the block is one, too: whole blocks.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
