//! wirebook as a contestant. Everything that knows its interface is in this file.

use std::hint::black_box;

use wirebook::book::{Books, LimitError, Limits};
use wirebook::feed::itch;
use wirebook::market::{BookState, Side};
use wirebook::wire::moldudp64;

use crate::contest::{Contestant, Holds};
use crate::packets::Packet;

/// Decoder and books, as the poll loop of the product uses them. Every check is on, every book is live, and whether the
/// top of the book changed is read after every message.
pub struct Ours {
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
        Ok(Self { books, tops: 0, unread: 0 })
    }

    /// One message, by itself: nothing is known of the next one. Did the top change?
    #[inline]
    pub fn single(&mut self, block: &[u8]) -> bool {
        match itch::decode(block) {
            Ok(event) => self.books.apply(&event).top_changed,
            Err(_) => {
                self.unread += 1;
                false
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

impl Contestant for Ours {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for packet in packets {
            let Ok(packet) = moldudp64::Packet::new_checked(packet.payload) else {
                self.unread += 1;
                continue;
            };
            for block in packet.blocks() {
                let changed = self.single(block);
                self.tops += u64::from(changed);
            }
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

/// Only the decoder: every field of every message, written where a book would read it.
#[derive(Default)]
pub struct Decode {
    unread: u64,
}

impl Contestant for Decode {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for packet in packets {
            for block in packet.blocks() {
                match itch::decode(block) {
                    Ok(event) => {
                        black_box(&event);
                    }
                    Err(_) => self.unread += 1,
                }
            }
        }
    }

    fn complaint(&self) -> Option<String> {
        (self.unread > 0).then(|| format!("{} messages not read", self.unread))
    }
}
