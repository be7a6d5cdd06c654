//! wirebook as a contestant. Everything that knows its interface is in this file.

use std::hint::black_box;

use wirebook::book::{Books, LimitError, Limits};
use wirebook::feed::itch::batch::Batch;
use wirebook::feed::itch::decode;
use wirebook::market::{BookState, OrderMessage, Side};
use wirebook::prefetch;
use wirebook::wire::moldudp64;

use crate::contest::{Contestant, Holds};
use crate::packets::Packet;

/// Decoder and books, as the poll loop of the product uses them. Every check is on, every book is live, and whether the
/// top of the book changed is read after every message.
pub struct Ours {
    batch: Batch,
    books: Books,
    tops: u64,
    /// Packets or messages that could not be read.
    unread: u64,
}

impl Ours {
    /// Empty books within `limits`, their memory written.
    ///
    /// # Errors
    /// The memory is not there.
    pub fn new(limits: Limits) -> Result<Self, LimitError> {
        let mut books = Books::new(limits)?;
        books.set_all_states(BookState::Live);
        Ok(Self { batch: Batch::new(), books, tops: 0, unread: 0 })
    }

    /// One message, by itself: nothing is known of the next one. Did the top change?
    #[inline]
    pub fn single(&mut self, block: &[u8]) -> bool {
        read(&mut self.books, block).unwrap_or_else(|| {
            self.unread += 1;
            false
        })
    }

    /// A whole packet, decoded at once.
    #[inline]
    fn packet(&mut self, packet: Packet<'_>) {
        let Ok(packet) = moldudp64::Packet::new_checked(packet.payload) else {
            self.unread += 1;
            return;
        };
        let mut blocks = packet.blocks();
        loop {
            let filled = self.batch.fill(&mut blocks);
            if filled.is_empty() {
                break;
            }
            self.books.look_ahead(filled.records());
            for (i, record) in filled.records().iter().enumerate() {
                let changed = if record.kind == OrderMessage::NONE {
                    read(&mut self.books, filled.block(i))
                } else {
                    Some(self.books.apply_order(record).top_changed)
                };
                self.unread += u64::from(changed.is_none());
                self.tops += u64::from(changed == Some(true));
            }
        }
    }

    /// The books.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// How often the top of a book changed.
    #[must_use]
    pub const fn tops(&self) -> u64 {
        self.tops
    }

    /// What must not be: messages that were not read, anomalies.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.unread + self.books.counters().anomalies
    }

    /// What the books hold.
    #[must_use]
    pub fn held(&self) -> Holds {
        let locates = u16::try_from(self.books.limits().locates - 1).unwrap_or(u16::MAX);
        let best = (0..=locates).map(|locate| {
            let top = self.books.top(locate);
            [Side::Buy, Side::Sell].map(|side| top.side(side).map_or(0, |level| level.price.0))
        });
        Holds { orders: u64::from(self.books.usage().orders), best: best.collect() }
    }
}

/// Decodes and applies one message: did the top change? `None` if it cannot be read.
#[inline]
fn read(books: &mut Books, block: &[u8]) -> Option<bool> {
    decode(block).ok().map(|event| books.apply(&event).top_changed)
}

impl Contestant for Ours {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        // As the poll loop does with the frames of a burst.
        for (at, packet) in packets.iter().enumerate() {
            if let Some(next) = packets.get(at + 1) {
                prefetch::bytes(next.payload);
            }
            self.packet(*packet);
        }
    }

    fn holds(&self) -> Option<Holds> {
        Some(self.held())
    }

    fn complaint(&self) -> Option<String> {
        (self.faults() > 0).then(|| format!("{} anomalies or unread messages", self.faults()))
    }
}

/// The same, message by message: what the books cost without look-ahead.
pub struct OneByOne(pub Ours);

impl Contestant for OneByOne {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for packet in packets {
            for block in packet.blocks() {
                let changed = self.0.single(block);
                self.0.tops += u64::from(changed);
            }
        }
    }

    fn holds(&self) -> Option<Holds> {
        self.0.holds()
    }

    fn complaint(&self) -> Option<String> {
        self.0.complaint()
    }
}

/// Only the decoder: every field of every message, written where a book reads it.
#[derive(Default)]
pub struct Decode {
    batch: Batch,
    unread: u64,
}

impl Contestant for Decode {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for (at, packet) in packets.iter().enumerate() {
            if let Some(next) = packets.get(at + 1) {
                prefetch::bytes(next.payload);
            }
            let Ok(packet) = moldudp64::Packet::new_checked(packet.payload) else {
                self.unread += 1;
                continue;
            };
            let mut blocks = packet.blocks();
            loop {
                let filled = self.batch.fill(&mut blocks);
                if filled.is_empty() {
                    break;
                }
                let records = black_box(filled.records());
                for (i, _) in
                    records.iter().enumerate().filter(|(_, record)| record.kind == OrderMessage::NONE)
                {
                    self.unread += u64::from(black_box(decode(filled.block(i))).is_err());
                }
            }
        }
    }

    fn complaint(&self) -> Option<String> {
        (self.unread > 0).then(|| format!("{} messages not read", self.unread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Agreement;
    use crate::packets::BURST;
    use crate::source::Source;

    #[test]
    fn both_forms_give_the_books_of_the_stream() {
        let (stream, facts) = Source::named("syn20m").unwrap().load(300_000).unwrap();
        let (packets, _) = stream.packets(u64::MAX);
        let limits =
            Limits { locates: u32::from(stream.highest_locate()) + 1, orders: 1 << 20, levels: 1 << 19 };
        let mut ours = Ours::new(limits).unwrap();
        let mut one_by_one = OneByOne(Ours::new(limits).unwrap());
        for burst in packets.chunks(BURST) {
            ours.burst(burst);
            one_by_one.burst(burst);
        }
        let held = ours.held();
        assert_eq!(held.orders, u64::from(facts.unwrap().live));
        assert!(Agreement::of(&one_by_one.holds().unwrap(), &held).is_full());
        assert_eq!((ours.faults(), one_by_one.complaint()), (0, None));
        assert_eq!(ours.tops(), one_by_one.0.tops());
        assert!(ours.tops() > 10_000);
        let mut decode = Decode::default();
        packets.chunks(BURST).for_each(|burst| decode.burst(burst));
        assert_eq!(decode.complaint(), None);
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let limits = Limits { locates: 8, orders: 64, levels: 64 };
        let mut ours = Ours::new(limits).unwrap();
        ours.burst(&[Packet { payload: b"short" }]);
        assert!(!ours.single(b"A"));
        assert_eq!(ours.faults(), 2);
        assert!(ours.complaint().is_some());
    }
}
