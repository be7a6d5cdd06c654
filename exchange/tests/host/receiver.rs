//! A receiver that keeps everything and trusts nothing but whole packets.

use std::collections::BTreeMap;

use exchange::dump::Resting;
use exchange::host::{Exchange, Output};
use exchange::lines::Line;
use exchange::mold::Packet;
use exchange::reference::Books;

/// What came in, put in order.
#[derive(Default)]
pub(super) struct Receiver {
    /// Messages by session and sequence, of both lines and of whatever else is fed.
    pub(super) messages: BTreeMap<[u8; 10], BTreeMap<u64, Vec<u8>>>,
    /// Whole packets of each line.
    pub(super) packets: [u64; 2],
    /// Payloads that are no packet.
    pub(super) bad: u64,
    /// Messages that came again with other bytes.
    pub(super) differing: u64,
    /// Ends of session, by session.
    pub(super) ends: BTreeMap<[u8; 10], u64>,
    pub(super) heartbeats: u64,
}

impl Receiver {
    pub(super) fn take(&mut self, output: Output<'_>) {
        if let Output::Line(line, payload) = output {
            self.packets[usize::from(line == Line::B)] += u64::from(self.packet(payload));
        }
    }

    /// Takes a payload; false when it is no packet.
    pub(super) fn packet(&mut self, payload: &[u8]) -> bool {
        let Some(packet) = Packet::parse(payload) else {
            self.bad += 1;
            return false;
        };
        if packet.ends {
            *self.ends.entry(packet.session).or_default() += 1;
        } else if packet.count == 0 {
            self.heartbeats += 1;
        }
        let messages = self.messages.entry(packet.session).or_default();
        for (index, message) in (0u64..).zip(packet.messages()) {
            // Strays number up to the end of all numbers.
            let sequence = packet.sequence.wrapping_add(index);
            let known = messages.entry(sequence).or_insert_with(|| message.to_vec());
            // Each line has strays of its own under the same names.
            self.differing += u64::from(known != message && !packet.session.starts_with(b"STRAY"));
        }
        true
    }

    /// The messages of a session that are missing below the highest one that came.
    pub(super) fn missing(&self, session: [u8; 10]) -> Vec<u64> {
        let messages = &self.messages[&session];
        let last = messages.last_key_value().map_or(0, |(sequence, _)| *sequence);
        (1..=last).filter(|sequence| !messages.contains_key(sequence)).collect()
    }

    /// The books that the whole of a session makes.
    pub(super) fn books(&self, session: [u8; 10]) -> Books {
        assert!(self.missing(session).is_empty());
        let mut books = Books::new();
        for message in self.messages[&session].values() {
            books.apply(message).expect("a right feed");
        }
        books
    }
}

/// Do these books hold what the market's do, order by order?
pub(super) fn agree(books: &Books, exchange: &Exchange) -> bool {
    books.resting().collect::<Vec<Resting>>() == exchange.market().resting().collect::<Vec<Resting>>()
}
