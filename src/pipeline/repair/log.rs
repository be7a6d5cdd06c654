//! The tail log: live messages of books that wait for a snapshot, in the order of their sequence.
//!
//! Records are decoded events of one size: nothing is parsed twice, and a limit in bytes is a limit in messages.

use std::collections::VecDeque;

use crate::market::{Event, EventKind};

/// What a message was.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// It was read.
    Event(Event),
    /// It could not be read, and names this instrument.
    Damaged(u16),
}

/// One message that was put aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) what: What,
}

impl Entry {
    const NOTHING: Self = Self {
        sequence: u64::MAX,
        what: What::Event(Event { locate: 0, timestamp: 0, kind: EventKind::Other }),
    };
}

/// A bounded queue of [`Entry`]s.
#[derive(Debug)]
pub(super) struct TailLog {
    entries: VecDeque<Entry>,
    limit: usize,
    peak: usize,
}

impl TailLog {
    /// Room for as many entries as fit `bytes`, and for one at least. Takes and writes all of its memory.
    pub(super) fn new(bytes: usize) -> Self {
        let limit = (bytes / size_of::<Entry>()).max(1);
        let mut entries = VecDeque::with_capacity(limit);
        entries.resize(limit, Entry::NOTHING);
        entries.clear();
        Self { entries, limit, peak: 0 }
    }

    /// Appends an entry; false, with nothing changed, where there is no room.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        if self.entries.len() >= self.limit {
            return false;
        }
        self.entries.push_back(entry);
        self.peak = self.peak.max(self.entries.len());
        true
    }

    /// Takes the oldest entry.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// Forgets all entries, and says how many they were.
    pub(super) fn clear(&mut self) -> usize {
        let len = self.entries.len();
        self.entries.clear();
        len
    }

    /// Most entries that were in it at once.
    pub(super) const fn peak(&self) -> usize {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_refuses_and_never_grows() {
        let mut log = TailLog::new(3 * size_of::<Entry>() + 7);
        let room = log.entries.capacity();
        let entry = |sequence| Entry { sequence, what: What::Damaged(1) };
        for round in 0..5 {
            assert!((0..3).all(|at| log.push(entry(round * 3 + at))));
            assert!(!log.push(entry(99)));
            assert!((0..3).all(|at| log.pop().unwrap().sequence == round * 3 + at));
            assert!(log.pop().is_none());
        }
        assert_eq!((log.peak(), log.entries.capacity()), (3, room));
        let mut smallest = TailLog::new(0);
        assert!(smallest.push(entry(1)) && !smallest.push(entry(2)));
    }
}
