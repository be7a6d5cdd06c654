//! Messages into books.

use std::ops::Range;

use crate::book::{Books, Change, Outcome};
use crate::feed::Sink;
use crate::feed::itch::{self, Damage};
use crate::market::{BookState, Event, EventKind, SystemEvent};
use crate::wire::moldudp64::Blocks;

/// What happened to the messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlayerCounters {
    /// Messages that reached the decoder.
    pub(super) messages: u64,
    /// Messages that changed a book or an instrument's state.
    pub(super) applied: u64,
    /// Undecodable messages of types that books keep: the book concerned went stale.
    pub(super) undecodable: u64,
    /// Of those, the ones of unknown instruments: all books went stale.
    pub(super) undecodable_all_stale: u64,
}

impl PlayerCounters {
    pub(super) fn rows(&self) -> [(&'static str, u64); 4] {
        [
            ("replay_messages", self.messages),
            ("replay_applied", self.applied),
            ("replay_undecodable", self.undecodable),
            ("replay_undecodable_all_stale", self.undecodable_all_stale),
        ]
    }
}

/// Who a file is played to: as a stream, and message by message where it has no sequences.
pub(super) trait Audience: Sink {
    /// What follows is a stream without sequences, and this its first message.
    fn begin(&mut self, first: &[u8]);
    /// One message of it.
    fn one(&mut self, block: &[u8]);
}

/// Keeps the books of one file.
pub(super) struct Player {
    books: Books,
    /// Events by locate, in this session.
    activity: Box<[u64]>,
    counters: PlayerCounters,
    decode: itch::ErrorCounters,
    /// Where the last session began, if not at 1.
    late_join: Option<u64>,
    /// The stream has no sequences and does not begin with the start of messages.
    no_start: bool,
}

impl Player {
    pub(super) fn new(books: Books) -> Self {
        let locates = books.limits().locates as usize;
        Self {
            books,
            activity: vec![0; locates].into_boxed_slice(),
            counters: PlayerCounters::default(),
            decode: itch::ErrorCounters::default(),
            late_join: None,
            no_start: false,
        }
    }

    /// One message in order, and what it did; `None` if it cannot be decoded.
    #[inline]
    pub(super) fn message(&mut self, block: &[u8]) -> Option<(Event, Change)> {
        self.counters.messages += 1;
        match itch::decode(block) {
            Ok(event) => {
                let change = self.books.apply(&event);
                self.counters.applied += u64::from(change.outcome == Outcome::Applied);
                if let Some(count) = self.activity.get_mut(usize::from(event.locate)) {
                    *count += 1;
                }
                Some((event, change))
            }
            Err(error) => {
                self.undecodable(block, error);
                None
            }
        }
    }

    #[cold]
    fn undecodable(&mut self, block: &[u8], error: itch::Error) {
        self.decode.count(error);
        match itch::damage(block) {
            Damage::None => {}
            Damage::Instrument(locate) if self.books.symbol(locate).is_some() => {
                self.counters.undecodable += 1;
                self.books.set_state(locate, BookState::Stale);
            }
            // A locate that has no book says nothing about which one was meant.
            Damage::Instrument(_) | Damage::Unknown => {
                self.counters.undecodable += 1;
                self.counters.undecodable_all_stale += 1;
                self.books.set_all_states(BookState::Stale);
            }
        }
    }

    pub(super) fn books(&self) -> &Books {
        &self.books
    }

    pub(super) fn counters(&self) -> &PlayerCounters {
        &self.counters
    }

    pub(super) fn decode_errors(&self) -> &itch::ErrorCounters {
        &self.decode
    }

    /// The sequence at which the stream was joined, where that was not its start.
    pub(super) fn late_join(&self) -> Option<u64> {
        self.late_join
    }

    /// True if messages without sequences did not begin with the start of the day.
    pub(super) fn no_start(&self) -> bool {
        self.no_start
    }

    /// Instruments of the directory, and how many of their books are not live.
    pub(super) fn known_and_stale(&self) -> (u64, u64) {
        self.locates().filter(|locate| self.books.symbol(*locate).is_some()).fold(
            (0, 0),
            |(known, stale), locate| {
                (known + 1, stale + u64::from(self.books.state(locate) != BookState::Live))
            },
        )
    }

    /// The locates with the most messages, most first, at most `count`. Locate 0 names no instrument.
    pub(super) fn busiest(&self, count: usize) -> Vec<u16> {
        let mut active: Vec<u16> = self.locates().filter(|locate| self.messages_of(*locate) > 0).collect();
        active.sort_by_key(|locate| (std::cmp::Reverse(self.messages_of(*locate)), *locate));
        active.truncate(count);
        active
    }

    /// Messages about this instrument.
    pub(super) fn messages_of(&self, locate: u16) -> u64 {
        self.activity.get(usize::from(locate)).copied().unwrap_or(0)
    }

    fn locates(&self) -> impl Iterator<Item = u16> + use<> {
        1..=u16::try_from(self.activity.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }
}

impl Audience for Player {
    /// Only a stream seen from its start makes books that may be believed.
    fn begin(&mut self, first: &[u8]) {
        let start = EventKind::System(SystemEvent::StartOfMessages);
        match itch::decode(first) {
            Ok(event) if event.kind == start => self.books.set_all_states(BookState::Live),
            _ => self.no_start = true,
        }
    }

    fn one(&mut self, block: &[u8]) {
        self.message(block);
    }
}

impl Sink for Player {
    fn session(&mut self, _session: [u8; 10], first_sequence: u64) {
        self.books.clear();
        self.activity.fill(0);
        if first_sequence == 1 {
            self.late_join = None;
            self.books.set_all_states(BookState::Live);
        } else {
            self.late_join = Some(first_sequence);
        }
    }

    #[inline]
    fn messages(&mut self, _first_sequence: u64, blocks: Blocks<'_>) {
        for block in blocks {
            self.message(block);
        }
    }

    fn gap(&mut self, _missing: Range<u64>) {
        // One MoldUDP64 stream carries every instrument: which of them the lost messages concerned cannot be known.
        self.books.set_all_states(BookState::Stale);
    }

    fn end_of_session(&mut self) {}
}
