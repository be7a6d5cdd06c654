//! A day of the exchange's market, message by message, and what it must come to at any of them: books by the exchange's
//! slow reference builder, a snapshot made from those and from the newest announcements.

use std::collections::BTreeMap;

use exchange::dump::Resting;
use exchange::itch::{self, NewOrder, Stamp};
use exchange::market::{Config, Market};
use exchange::reference;

/// Messages of one day; the sequence of the first is 1.
pub(crate) struct Day {
    pub(crate) messages: Vec<Vec<u8>>,
}

pub(crate) const SYMBOLS: u16 = 24;

impl Day {
    pub(crate) fn new(seed: u64, messages: usize) -> Self {
        let mut market = Market::new(Config {
            symbols: SYMBOLS,
            seed,
            rate: 200_000,
            live_orders: 600,
            halt_every: 400,
            halt_length: 60,
            ..Config::default()
        })
        .unwrap();
        let mut day = Self { messages: Vec::new() };
        while day.messages.len() < messages {
            market.step(&mut |message| day.messages.push(message.to_vec()));
        }
        day
    }

    /// The messages with sequences `first .. end`.
    pub(crate) fn range(&self, first: u64, end: u64) -> &[Vec<u8>] {
        &self.messages[first as usize - 1..end as usize - 1]
    }

    /// The market as it is before the message with sequence `next`.
    pub(crate) fn teller(&self, next: u64) -> Teller {
        let mut teller = Teller::default();
        teller.go_to(self, next);
        teller
    }
}

impl Day {
    /// The same, where the reference builder must not see messages that were put in by hand.
    pub(crate) fn teller_without(&self, next: u64, by_hand: &[Vec<u8>]) -> Teller {
        let mut teller = Teller { by_hand: by_hand.to_vec(), ..Teller::default() };
        teller.go_to(self, next);
        teller
    }
}

/// Follows the day.
#[derive(Default)]
pub(crate) struct Teller {
    books: reference::Books,
    /// The newest `R`, `H` and `h` of each instrument.
    said: BTreeMap<(u8, u16), Vec<u8>>,
    next: u64,
    by_hand: Vec<Vec<u8>>,
}

/// The locate of a message.
pub(crate) fn locate(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[1], message[2]])
}

impl Teller {
    /// Forward to the moment before the message with sequence `next`.
    pub(crate) fn go_to(&mut self, day: &Day, next: u64) {
        for message in day.range(self.next.max(1), next) {
            if !self.by_hand.contains(message) {
                self.books.apply(message).unwrap();
            }
            if message[0] == b'W' {
                self.said.retain(|(kind, _), _| *kind != 1);
            }
            let order = match message[0] {
                b'R' => 0,
                b'H' => 1,
                b'h' if message[19] == b'Q' => 2,
                _ => continue,
            };
            self.said.insert((order, locate(message)), message.clone());
        }
        self.next = next;
    }

    /// What a snapshot server would say, without the `G`.
    pub(crate) fn snapshot(&self) -> Vec<Vec<u8>> {
        let mut snapshot = vec![itch::system_event(Stamp::default(), b'Q').to_vec()];
        snapshot.extend(self.said.values().cloned());
        snapshot.extend(self.books.resting().map(|order| {
            let Resting { locate, symbol: stock, side, price, order_ref, shares } = order;
            let stamp = Stamp { locate, ..Stamp::default() };
            itch::add(stamp, &NewOrder { order_ref, side, shares, stock, price }).to_vec()
        }));
        snapshot
    }

    /// Every resting order: locate, reference, price, shares, in the order of books and queues.
    pub(crate) fn resting(&self) -> Vec<(u16, u64, u32, u32)> {
        self.books.resting().map(|order| (order.locate, order.order_ref, order.price, order.shares)).collect()
    }

    /// Code of the newest trading state of each instrument, and whether it is operationally halted.
    pub(crate) fn trading(&self, locate: u16) -> (Option<u8>, bool) {
        let state = self.said.get(&(1, locate)).map(|message| message[19]);
        let halted = self.said.get(&(2, locate)).is_some_and(|message| message[20] == b'H');
        (state, halted)
    }
}
