//! Looking ahead inside a received burst.
//!
//! A message that comes alone waits for memory twice: for the line of the index that its reference belongs to, and then for
//! the segment that the index names. Messages that come together can wait together. [`look_ahead`](Books::look_ahead)
//! walks a group of messages once for each step of the way, asking for the next line of all of them before it comes back
//! to the first:
//!
//! | walk | asks for |
//! |---|---|
//! | 1 | the index line of every reference, the first line of every instrument, the near levels where an order joins |
//! | 2 | the segment that the index names, the level that an order will join |
//! | 3 | the level that a replacement will join, and the index line of its new order |
//!
//! Nothing is kept but what the cache holds: every message is applied as if nobody had looked, so an order that joins,
//! leaves or moves within the group costs a wasted line and nothing else. Each walk goes over messages of one kind, listed
//! without a branch, since a mispredicted branch costs as much as all of the rest.

use crate::market::{OrderMessage, Price, Side};

use super::Books;
use super::instrument::Instrument;
use super::pool::Handle;
use super::segment::Segment;
use super::tree::key;
use super::vectors::Vectors;

/// Most messages that are looked at together.
pub(super) const GROUP: usize = 64;

/// Messages of a group, by their place in it.
struct List {
    places: [u8; GROUP],
    len: usize,
}

impl List {
    const fn new() -> Self {
        Self { places: [0; GROUP], len: 0 }
    }

    /// Adds a place, if it is wanted, without a branch.
    #[inline(always)]
    fn push_if(&mut self, place: usize, wanted: bool) {
        self.places[self.len & (GROUP - 1)] = place as u8;
        self.len += usize::from(wanted);
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = usize> {
        self.places.iter().take(self.len).map(|place| usize::from(*place) & (GROUP - 1))
    }
}

/// The key of an order that joins, from the side's code.
#[inline(always)]
fn key_of(side: u8, price: Price) -> (Side, u32) {
    let side = if side & 1 == 0 { Side::Buy } else { Side::Sell };
    (side, key(side, price))
}

impl Books {
    /// [`Books::look_ahead`] over at most [`GROUP`] messages.
    #[inline(always)]
    pub(super) fn look_ahead_in<V: Vectors>(&self, messages: &[OrderMessage]) {
        let (mut joining, mut leaving, mut replacing) = (List::new(), List::new(), List::new());
        let store = &self.store;
        for (place, message) in messages.iter().enumerate().take(GROUP) {
            let kind = message.kind;
            joining.push_if(place, kind == OrderMessage::ADD);
            leaving.push_if(place, kind > OrderMessage::ADD);
            replacing.push_if(place, kind == OrderMessage::REPLACE);
            store.index.prefetch(message.order_ref);
            crate::prefetch::line(self.instruments.as_ptr().wrapping_add(usize::from(message.locate)));
        }
        for message in joining.iter().filter_map(|place| messages.get(place)) {
            Instrument::prefetch_near(&self.instruments, message.locate, usize::from(message.side & 1 == 1));
        }
        let mut segments = [Handle::<Segment>::NIL; GROUP];
        for place in leaving.iter() {
            let Some(message) = messages.get(place) else { break };
            segments[place] = store.index.hint::<V>(message.order_ref);
            store.queues.segments.prefetch(segments[place]);
        }
        for place in joining.iter() {
            let Some(message) = messages.get(place) else { break };
            let Some(instrument) = self.instruments.get(usize::from(message.locate)) else { continue };
            let (side, key) = key_of(message.side, message.price);
            store.queues.segments.prefetch(instrument.hint::<V>(side, key));
        }
        for place in replacing.iter() {
            let Some(message) = messages.get(place) else { break };
            store.index.prefetch(message.new_order_ref);
            let Some(segment) = store.queues.segments.get(segments[place]) else { continue };
            let Some(instrument) = self.instruments.get(usize::from(segment.locate())) else { continue };
            let level = instrument.hint::<V>(segment.side(), key(segment.side(), message.price));
            store.queues.segments.prefetch(level);
        }
    }
}
