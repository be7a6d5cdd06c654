//! pcap: a file header of 24 bytes, then records of 16 bytes of header and the frame.

use std::io::Read;

use super::window::{Order, Window};
use super::{Fault, MAX_RECORD, Step};

/// Bytes of the file header.
pub(super) const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// What the file header says.
#[derive(Debug)]
pub(super) struct Header {
    order: Order,
    /// What the fraction of a second counts, in ns.
    fraction_ns: u64,
    link_type: u16,
}

/// Byte order and ns per fraction, by the magic number.
fn magic(head: &[u8]) -> Option<(Order, u64)> {
    match *head {
        [0xa1, 0xb2, 0xc3, 0xd4, ..] => Some((Order::Big, 1_000)),
        [0xd4, 0xc3, 0xb2, 0xa1, ..] => Some((Order::Little, 1_000)),
        [0xa1, 0xb2, 0x3c, 0x4d, ..] => Some((Order::Big, 1)),
        [0x4d, 0x3c, 0xb2, 0xa1, ..] => Some((Order::Little, 1)),
        _ => None,
    }
}

/// True if the file begins with one of pcap's magic numbers.
pub(super) fn is_pcap(head: &[u8]) -> bool {
    magic(head).is_some()
}

impl Header {
    /// `None` if it is cut off, or not version 2.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let (order, fraction_ns) = magic(head)?;
        if head.len() < FILE_HEADER || order.u16(head, 4) != 2 {
            return None;
        }
        // The upper half of the link type tells about frame check sequences.
        let link_type = (order.u32(head, 20) & 0xffff) as u16;
        Some(Self { order, fraction_ns, link_type })
    }

    pub(super) fn step<R: Read>(&self, window: &mut Window<R>) -> Result<Step, Fault> {
        let have = window.ensure(RECORD_HEADER)?;
        if have == 0 {
            return Ok(Step::End);
        }
        if have < RECORD_HEADER {
            return Ok(Step::Truncated(have));
        }
        let head = window.bytes();
        let seconds = self.order.u32(head, 0);
        let fraction = self.order.u32(head, 4);
        let len = self.order.u32(head, 8) as usize;
        let original_len = self.order.u32(head, 12);
        if len > MAX_RECORD {
            return Err(Fault::Corrupt(format!(
                "a record of {len} bytes, more than the {MAX_RECORD} that captures may have"
            )));
        }
        let total = RECORD_HEADER + len;
        let have = window.ensure(total)?;
        if have < total {
            return Ok(Step::Truncated(have));
        }
        let stamp_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.fraction_ns;
        Ok(Step::Record {
            at: RECORD_HEADER,
            len,
            stamp_ns: Some(stamp_ns),
            original_len,
            link_type: self.link_type,
            own: None,
            total,
        })
    }
}
