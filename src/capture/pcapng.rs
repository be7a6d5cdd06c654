//! pcapng: blocks with a type and a length at both ends. Sections, interfaces and packets are read, other blocks
//! are skipped by their length.

use std::io::Read;

use super::own::{self, Own};
use super::window::{Order, Window};
use super::{Fault, MAX_RECORD, Step};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length, and the length again at the end.
const FRAMING: usize = 12;

/// Longest section, interface or packet block that is believed: a packet and 128 KiB of options.
const MAX_BLOCK: usize = MAX_RECORD + (128 << 10);

/// Most interfaces in one section.
const MAX_INTERFACES: usize = 4_096;

/// True if the file begins with a section header.
pub(super) fn is_section(head: &[u8]) -> bool {
    head.starts_with(&SECTION.to_be_bytes())
}

/// The section at hand.
#[derive(Debug, Default)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

/// What the packets of one interface have in common.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    /// 0 = no limit.
    snap_len: u32,
    resolution: Resolution,
    /// To add to its stamps, in seconds.
    offset_s: i64,
    /// Ticks a second of the loop that wrote the file, where it was one of ours.
    loop_hz: Option<u64>,
}

/// The unit of the stamps of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// 10⁻ⁿ s.
    Decimal(u8),
    /// 2⁻ⁿ s.
    Binary(u8),
}

impl Resolution {
    /// The stamp in ns since 1970; `None` if that does not fit 64 bits.
    fn to_ns(self, stamp: u64) -> Option<u64> {
        match self {
            Self::Decimal(9) => Some(stamp),
            Self::Decimal(n) if n < 9 => stamp.checked_mul(10_u64.pow(u32::from(9 - n))),
            Self::Decimal(n) => Some(10_u64.checked_pow(u32::from(n - 9)).map_or(0, |unit| stamp / unit)),
            Self::Binary(n) => {
                let ns = (u128::from(stamp) * 1_000_000_000).checked_shr(u32::from(n)).unwrap_or(0);
                u64::try_from(ns).ok()
            }
        }
    }
}

impl Interface {
    fn stamp_ns(&self, high: u32, low: u32) -> Option<u64> {
        let stamp = self.resolution.to_ns(u64::from(high) << 32 | u64::from(low))?;
        stamp.checked_add_signed(self.offset_s.checked_mul(1_000_000_000)?)
    }
}

/// Where a packet lies in its block.
struct Packet {
    interface: usize,
    stamp: Option<(u32, u32)>,
    at: usize,
    captured: usize,
    original_len: u32,
}

impl Packet {
    /// What the options behind the packet say of the loop that wrote it.
    fn own(&self, order: Order, hz: u64, block: &[u8]) -> Option<Own> {
        let begin = self.at + self.captured.next_multiple_of(4);
        let rest = block.get(begin..block.len().saturating_sub(4))?;
        let mut options = Options { order, rest };
        options.find(|(code, _)| *code == own::OPTION).and_then(|(_, value)| Own::parse(value, hz))
    }
}

/// Codes and values of the options of a block, up to their end.
struct Options<'b> {
    order: Order,
    rest: &'b [u8],
}

impl<'b> Iterator for Options<'b> {
    type Item = (u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (code, len) = match self.rest {
            [_, _, _, _, ..] => (self.order.u16(self.rest, 0), usize::from(self.order.u16(self.rest, 2))),
            _ => return None,
        };
        let value = self.rest.get(4..4 + len)?;
        self.rest = self.rest.get(4 + len.next_multiple_of(4)..).unwrap_or(&[]);
        (code != 0).then_some((code, value))
    }
}

impl Section {
    pub(super) fn step<R: Read>(&mut self, window: &mut Window<R>) -> Result<Step, Fault> {
        loop {
            // Enough for the byte-order mark of a section.
            let have = window.ensure(FRAMING)?;
            if have == 0 {
                return Ok(Step::End);
            }
            if have < FRAMING {
                return Ok(Step::Truncated(have));
            }
            if is_section(window.bytes()) {
                self.order = match *window.bytes() {
                    [_, _, _, _, _, _, _, _, 0x1a, 0x2b, 0x3c, 0x4d, ..] => Order::Big,
                    [_, _, _, _, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a, ..] => Order::Little,
                    _ => return Err(Fault::Corrupt("a section without a byte-order mark".to_owned())),
                };
            }
            let kind = self.order.u32(window.bytes(), 0);
            let total = self.order.u32(window.bytes(), 4) as usize;
            if total < FRAMING || !total.is_multiple_of(4) {
                return Err(Fault::Corrupt(format!("a block of {total} bytes")));
            }
            let known = matches!(kind, SECTION | INTERFACE | OLD_PACKET | SIMPLE_PACKET | ENHANCED_PACKET);
            if !known {
                let before = window.offset();
                if window.skip(total as u64)? {
                    continue;
                }
                return Ok(Step::Truncated(usize::try_from(window.offset() - before).unwrap_or(usize::MAX)));
            }
            if total > MAX_BLOCK {
                return Err(Fault::Corrupt(format!("a block of {total} bytes, more than {MAX_BLOCK}")));
            }
            let have = window.ensure(total)?;
            if have < total {
                return Ok(Step::Truncated(have));
            }
            let block = &window.bytes()[..total];
            if self.order.u32(block, total - 4) as usize != total {
                return Err(Fault::Corrupt("a block whose two lengths differ".to_owned()));
            }
            let body = &block[8..total - 4];
            let packet = match kind {
                SECTION => {
                    self.interfaces.clear();
                    None
                }
                INTERFACE => {
                    self.add_interface(body)?;
                    None
                }
                _ => Some(self.packet(kind, body)?),
            };
            match packet {
                None => window.consume(total),
                Some(packet) => return self.record(&packet, &window.bytes()[..total]),
            }
        }
    }

    fn add_interface(&mut self, body: &[u8]) -> Result<(), Fault> {
        if body.len() < 8 || self.interfaces.len() >= MAX_INTERFACES {
            return Err(Fault::Corrupt("an interface block that is too short, or one too many".to_owned()));
        }
        let mut interface = Interface {
            link_type: self.order.u16(body, 0),
            snap_len: self.order.u32(body, 4),
            resolution: Resolution::Decimal(6),
            offset_s: 0,
            loop_hz: None,
        };
        for (code, value) in (Options { order: self.order, rest: &body[8..] }) {
            match (code, value) {
                (9, [n]) if n & 0x80 == 0 => interface.resolution = Resolution::Decimal(*n),
                (9, [n]) => interface.resolution = Resolution::Binary(n & 0x7f),
                (14, [_, _, _, _, _, _, _, _]) => {
                    interface.offset_s = self.order.u64(value, 0).cast_signed();
                }
                (own::OPTION, value) => interface.loop_hz = own::parse_clock(value),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// Reads the header of a packet block; offsets are those of the whole block.
    fn packet(&self, kind: u32, body: &[u8]) -> Result<Packet, Fault> {
        let u32_at = |at| self.order.u32(body, at);
        let (header, mut packet) = match kind {
            SIMPLE_PACKET => {
                let original_len = u32_at(0);
                let snap_len = match self.interfaces.first().map_or(0, |i| i.snap_len) {
                    0 => u32::MAX,
                    limit => limit,
                };
                let room = body.len().saturating_sub(4);
                let captured = (original_len.min(snap_len) as usize).min(room);
                (4, Packet { interface: 0, stamp: None, at: 0, captured, original_len })
            }
            _ => {
                let interface = if kind == OLD_PACKET {
                    usize::from(self.order.u16(body, 0))
                } else {
                    u32_at(0) as usize
                };
                let stamp = Some((u32_at(4), u32_at(8)));
                let captured = u32_at(12) as usize;
                (20, Packet { interface, stamp, at: 0, captured, original_len: u32_at(16) })
            }
        };
        let end = packet.captured.checked_add(header);
        if packet.captured > MAX_RECORD || end.is_none_or(|end| end > body.len()) {
            return Err(Fault::Corrupt(format!(
                "a packet of {} bytes in a block of {}",
                packet.captured,
                body.len() + FRAMING
            )));
        }
        packet.at = 8 + header;
        Ok(packet)
    }

    /// `block` is the whole block.
    fn record(&self, packet: &Packet, block: &[u8]) -> Result<Step, Fault> {
        let total = block.len();
        let Some(interface) = self.interfaces.get(packet.interface) else {
            return Err(Fault::Corrupt(format!(
                "a packet of interface {}, which is not described",
                packet.interface
            )));
        };
        Ok(Step::Record {
            at: packet.at,
            len: packet.captured,
            stamp_ns: packet.stamp.and_then(|(high, low)| interface.stamp_ns(high, low)),
            original_len: packet.original_len,
            link_type: interface.link_type,
            own: interface.loop_hz.and_then(|hz| packet.own(self.order, hz, block)),
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_every_resolution_become_ns() {
        assert_eq!(Resolution::Decimal(6).to_ns(1_500_000), Some(1_500_000_000));
        assert_eq!(Resolution::Decimal(9).to_ns(7), Some(7));
        assert_eq!(Resolution::Decimal(0).to_ns(2), Some(2_000_000_000));
        assert_eq!(Resolution::Decimal(12).to_ns(7_000), Some(7));
        assert_eq!(Resolution::Binary(32).to_ns(3 << 31), Some(1_500_000_000));
        assert_eq!(Resolution::Decimal(0).to_ns(u64::MAX), None);
        assert_eq!(Resolution::Decimal(127).to_ns(u64::MAX), Some(0));
        assert_eq!(Resolution::Binary(127).to_ns(u64::MAX), Some(0));
        assert_eq!(Resolution::Binary(0).to_ns(u64::MAX), None);
    }
}
