//! What no book can do without, as a measure that moves with the machine.

#![allow(unsafe_code, reason = "prefetching has no safe form on this compiler")]

use std::hint::black_box;

use crate::contest::Contestant;
use crate::packets::{Packed, Packet, reference};

/// Only the walk over the length prefixes.
#[derive(Default)]
pub struct Walk {
    bytes: u64,
}

impl Contestant for Walk {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for packet in packets {
            for block in packet.blocks() {
                self.bytes += block.len() as u64;
            }
        }
        black_box(self.bytes);
    }
}

/// Messages between the prefetch of a record and its use.
const AHEAD: usize = 16;

/// The record of an order, half a cache line.
#[derive(Clone, Copy, Default)]
#[repr(C, align(32))]
struct Record {
    words: [u64; 4],
}

/// The reference loop: framing, and one touch of the order's own record.
///
/// For each message of the types A, F, E, C, X, D and U, the order reference is read from the message (of a U the one that
/// leaves), and the record that it names in a flat array of 32-byte records, indexed by the reference itself, is read and
/// written: one word is added to. The record is prefetched when the message is framed and touched 16 messages later. No
/// other field is read, there are no prices, no checks and no types but for picking the messages out. The array is as
/// large as the highest reference asks, so it has no collisions and needs no search: no book of orders does less to memory,
/// and none could be that large on a real day, whose references would ask for 76 GB.
pub struct Touch {
    records: Vec<Record>,
    mask: usize,
    pending: [usize; AHEAD],
    at: usize,
}

/// Most bytes that the array takes. References beyond share records.
const MOST_BYTES: usize = 4 << 30;

impl Touch {
    /// The array for `stream`, its memory written.
    #[must_use]
    pub fn new(stream: &Packed) -> Self {
        let most = MOST_BYTES / size_of::<Record>();
        let records =
            usize::try_from(stream.highest_reference() + 1).map_or(most, |n| n.next_power_of_two().min(most));
        let mut all = Vec::with_capacity(records);
        // Written one by one: zeroed memory would be given by the kernel only when it is first touched.
        all.resize(records, Record { words: [1; 4] });
        Self { records: all, mask: records - 1, pending: [0; AHEAD], at: 0 }
    }
}

impl Contestant for Touch {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for packet in packets {
            for block in packet.blocks() {
                let Some(reference) = reference(block) else { continue };
                let next = reference as usize & self.mask;
                prefetch(&self.records[next]);
                let due = std::mem::replace(&mut self.pending[self.at], next);
                self.at = (self.at + 1) % AHEAD;
                let words = &mut self.records[due].words;
                words[0] = words[0].wrapping_add(words[3]);
            }
        }
    }

    fn end(&mut self) {
        for due in self.pending {
            self.records[due].words[0] += 1;
        }
        black_box(&mut self.records);
    }
}

#[inline(always)]
fn prefetch(record: &Record) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and faults on nothing; SSE is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(record).cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_message_touches_its_record_once() {
        let mut packed = Packed::default();
        for i in 0..100_u64 {
            let mut block = vec![b'D'];
            block.extend([0; 10]);
            block.extend((i % 50).to_be_bytes());
            packed.push(&block);
        }
        packed.push(b"S0000000000O");
        packed.close();
        let mut touch = Touch::new(&packed);
        touch.burst(&packed.packets(u64::MAX).0);
        touch.end();
        // The records that the empty places of the ring name at first are touched too.
        let touches: u64 = touch.records.iter().map(|record| record.words[0] - 1).sum();
        assert_eq!(touches, 100 + AHEAD as u64);
        assert!((1..50).all(|at| touch.records[at].words[0] == 3));
    }
}
