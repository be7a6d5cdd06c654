//! Every message of a session by its sequence, as far back as memory allows.
//!
//! The feed's archive is what request servers answer from; an account's is what a client that logs in again is sent.
//! Sequences start at 1 and have no holes. The bytes kept are bounded: the oldest messages go first, a chunk at a
//! time, and [`Archive::first`] remembers how far.

use std::collections::VecDeque;

/// Bytes of a chunk, unless the limit is so low that chunks have to be smaller.
const CHUNK: usize = 1 << 20;
/// The lowest limit: one message of the longest kind that MoldUDP64 can carry, and some.
const LEAST: usize = 1 << 17;
/// What a message costs beside its bytes.
const ENTRY: usize = size_of::<u32>();

/// A run of messages, one behind the other.
#[derive(Clone, Debug, Default)]
struct Chunk {
    first: u64,
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<u32>,
}

impl Chunk {
    fn cost(&self) -> usize {
        self.bytes.len() + self.ends.len() * ENTRY
    }

    fn get(&self, sequence: u64) -> Option<&[u8]> {
        let index = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start =
            index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        self.bytes.get(start..end)
    }
}

/// Messages by sequence. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Archive {
    session: [u8; 10],
    limit: usize,
    chunk: usize,
    chunks: VecDeque<Chunk>,
    used: usize,
    next: u64,
}

impl Archive {
    /// An empty archive of `session` that keeps at most `limit` bytes (at least 128 KiB), four of them for each
    /// message beside its own.
    #[must_use]
    pub fn new(session: [u8; 10], limit: usize) -> Self {
        let limit = limit.max(LEAST);
        Self { session, limit, chunk: CHUNK.min(limit / 8), chunks: VecDeque::new(), used: 0, next: 1 }
    }

    /// Adds a message; its sequence is the answer. Messages are no longer than 65,535 bytes.
    pub fn push(&mut self, message: &[u8]) -> u64 {
        let cost = message.len() + ENTRY;
        if self.chunks.back().is_none_or(|last| last.cost() > 0 && last.cost() + cost > self.chunk) {
            let mut chunk = self.make_room(cost).unwrap_or_default();
            chunk.first = self.next;
            self.chunks.push_back(chunk);
        } else if self.used + cost > self.limit {
            self.make_room(cost);
        }
        if let Some(last) = self.chunks.back_mut() {
            last.bytes.extend_from_slice(message);
            // A chunk is far below 4 GiB.
            last.ends.push(last.bytes.len() as u32);
        }
        self.used += cost;
        self.next += 1;
        self.next - 1
    }

    /// Drops the oldest chunks, but not the newest one, until `cost` more bytes may be kept. The last one dropped is
    /// handed back empty, to be filled again.
    fn make_room(&mut self, cost: usize) -> Option<Chunk> {
        let mut emptied = None;
        while self.used + cost > self.limit && self.chunks.len() > 1 {
            let mut oldest = self.chunks.pop_front()?;
            self.used -= oldest.cost();
            oldest.bytes.clear();
            oldest.ends.clear();
            emptied = Some(oldest);
        }
        emptied
    }

    /// The message of that sequence; `None` when it is not kept any more, or not said yet.
    #[must_use]
    pub fn get(&self, sequence: u64) -> Option<&[u8]> {
        let after = self.chunks.partition_point(|chunk| chunk.first <= sequence);
        self.chunks.get(after.checked_sub(1)?)?.get(sequence)
    }

    /// Sequence of the oldest message kept; [`Archive::next`] when there is none.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.chunks.front().map_or(self.next, |chunk| chunk.first)
    }

    /// Sequence of the message that will be added next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Session that the messages belong to.
    #[must_use]
    pub fn session(&self) -> [u8; 10] {
        self.session
    }

    /// Bytes kept, with four for each message.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.used
    }

    /// A new session: empty, from sequence 1.
    pub fn roll(&mut self, session: [u8; 10]) {
        self.session = session;
        self.chunks.clear();
        self.used = 0;
        self.next = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn every_message_is_found_under_its_sequence() {
        let mut archive = Archive::new(*b"SESSION001", 1 << 22);
        let mut rng = Rng::new(1);
        let messages: Vec<Vec<u8>> =
            (0..20_000).map(|_| (0..rng.below(60)).map(|_| rng.next() as u8).collect()).collect();
        assert_eq!((archive.first(), archive.next(), archive.get(1)), (1, 1, None));
        for (message, sequence) in messages.iter().zip(1..) {
            assert_eq!(archive.push(message), sequence);
        }
        assert_eq!((archive.first(), archive.next()), (1, 20_001));
        for (message, sequence) in messages.iter().zip(1..) {
            assert_eq!(archive.get(sequence), Some(&message[..]), "{sequence}");
        }
        for nothing in [0, 20_001, u64::MAX] {
            assert_eq!(archive.get(nothing), None);
        }
    }

    #[test]
    fn the_oldest_go_first_and_the_limit_holds() {
        for limit in [0, 200_000, 1 << 21] {
            let mut archive = Archive::new(*b"SESSION001", limit);
            let limit = limit.max(LEAST);
            let mut rng = Rng::new(2);
            let mut longest = vec![0u8; 65_535];
            for sequence in 1..200_000u64 {
                let len = if rng.chance(1, 5_000) { 65_535 } else { rng.index(50) };
                longest[..8].copy_from_slice(&sequence.to_be_bytes());
                archive.push(&longest[..len.max(8)]);
                assert!(archive.bytes() <= limit, "{} of {limit}", archive.bytes());
                assert_eq!(archive.get(sequence).map(|kept| kept[..8] == sequence.to_be_bytes()), Some(true));
            }
            assert!(archive.first() > 1);
            assert_eq!(archive.get(archive.first() - 1), None);
            for sequence in archive.first()..archive.next() {
                assert_eq!(archive.get(sequence).map(|kept| kept[..8] == sequence.to_be_bytes()), Some(true));
            }
        }
    }

    #[test]
    fn empty_messages_cost_too() {
        let mut archive = Archive::new(*b"SESSION001", LEAST);
        for _ in 0..1_000_000 {
            archive.push(b"");
        }
        assert!(archive.next() - archive.first() <= (LEAST / ENTRY) as u64);
        assert_eq!(archive.get(1_000_000), Some(&b""[..]));
    }

    #[test]
    fn a_roll_starts_anew() {
        let mut archive = Archive::new(*b"SESSION001", LEAST);
        archive.push(b"old");
        archive.roll(*b"SESSION002");
        assert_eq!((archive.session(), archive.first(), archive.next()), (*b"SESSION002", 1, 1));
        assert_eq!(archive.get(1), None);
        assert_eq!(archive.push(b"new"), 1);
        assert_eq!(archive.get(1), Some(&b"new"[..]));
    }
}
