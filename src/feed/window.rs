//! The reorder window: packets from ahead of a hole, copied, in sequence order. All memory is taken at construction.

use std::collections::VecDeque;

use super::Line;

/// What became of a packet that was to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is copied.
    Held,
    /// A packet that is held already has all of it.
    Covered,
    /// No slot is free, or the payload is longer than a slot.
    NoRoom,
}

/// A held packet, or the mark of a heartbeat (`first == end`, no payload): "the stream reaches to here".
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'w> {
    /// Sequence of its first message.
    pub(super) first: u64,
    /// Sequence after its last message.
    pub(super) end: u64,
    /// The line that brought it; `None`: recovered.
    pub(super) line: Option<Line>,
    /// The whole UDP payload.
    pub(super) payload: &'w [u8],
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u64,
    end: u64,
    arrived: u64,
    len: usize,
    line: Option<Line>,
    /// The slots that were filled just before and just after this one, of those in use.
    older: u32,
    newer: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;

/// Held packets, ordered by first sequence.
#[derive(Debug)]
pub(super) struct Window {
    slots: Box<[Slot]>,
    /// `max_payload` bytes for each slot.
    bytes: Box<[u8]>,
    max_payload: usize,
    /// Slots in use, by `first`.
    order: VecDeque<u32>,
    /// Slots not in use, the latest freed on top, so that few of them stay warm in the cache.
    free: Vec<u32>,
    /// The slots in use that were filled first and last: the ends of a chain through all of them.
    oldest: u32,
    newest: u32,
}

impl Default for Window {
    /// A window without slots.
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl Window {
    /// A window of `packets` slots for payloads of up to `max_payload` bytes. Touches all of its memory.
    pub(super) fn new(packets: usize, max_payload: usize) -> Self {
        let empty = Slot { first: 0, end: 0, arrived: 0, len: 0, line: None, older: NONE, newer: NONE };
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        Self {
            slots: (0..packets).map(|_| empty).collect(),
            // Not zero: zeroed pages would be mapped only when they are first written.
            bytes: vec![0xA5; packets as usize * max_payload].into_boxed_slice(),
            max_payload,
            order: VecDeque::with_capacity(packets as usize),
            free: (0..packets).rev().collect(),
            oldest: NONE,
            newest: NONE,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Copies a packet in.
    ///
    /// "Covered" looks at the nearest packet before only: with lines that cut the stream into packets differently, one
    /// that several others cover together is held too, and found out when its turn comes.
    pub(super) fn hold(&mut self, packet: Held<'_>, arrived: u64) -> Hold {
        let Held { first, end, line, payload } = packet;
        let slots = &self.slots;
        let slot_of = |index: &u32| slots.get(*index as usize);
        let place = match self.order.back().and_then(slot_of) {
            // The usual case: the newest packet is the furthest.
            Some(last) if last.first <= first => self.order.len(),
            _ => self.order.partition_point(|index| slot_of(index).is_some_and(|slot| slot.first <= first)),
        };
        let before = place.checked_sub(1).and_then(|before| self.order.get(before)).and_then(slot_of);
        if before.is_some_and(|before| before.end >= end) {
            return Hold::Covered;
        }
        if payload.len() > self.max_payload {
            return Hold::NoRoom;
        }
        let Some(index) = self.free.pop() else { return Hold::NoRoom };
        let start = index as usize * self.max_payload;
        if let Some(to) = self.bytes.get_mut(start..start + payload.len()) {
            to.copy_from_slice(payload);
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Slot { first, end, arrived, len: payload.len(), line, older: self.newest, newer: NONE };
        }
        match self.slots.get_mut(self.newest as usize) {
            Some(newest) => newest.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
        self.order.insert(place, index);
        Hold::Held
    }

    /// The packet with the lowest first sequence.
    pub(super) fn front(&self) -> Option<Held<'_>> {
        let index = *self.order.front()? as usize;
        let slot = self.slots.get(index)?;
        let start = index * self.max_payload;
        let payload = self.bytes.get(start..start + slot.len)?;
        Some(Held { first: slot.first, end: slot.end, line: slot.line, payload })
    }

    /// Sequence of the first message of [`Self::front`].
    #[inline]
    pub(super) fn front_first(&self) -> Option<u64> {
        let index = *self.order.front()? as usize;
        self.slots.get(index).map(|slot| slot.first)
    }

    /// Frees the slot of [`Self::front`].
    pub(super) fn pop_front(&mut self) {
        let Some(index) = self.order.pop_front() else { return };
        self.free.push(index);
        let Some(Slot { older, newer, .. }) = self.slots.get(index as usize).copied() else { return };
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }

    /// When the longest-held packet arrived.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.slots.get(self.oldest as usize).map(|slot| slot.arrived)
    }

    /// Slots that are free.
    pub(super) fn spare(&self) -> usize {
        self.free.len()
    }

    /// Frees all slots.
    pub(super) fn clear(&mut self) {
        while !self.is_empty() {
            self.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(first: u64, end: u64, payload: &[u8]) -> Held<'_> {
        Held { first, end, line: Some(Line::A), payload }
    }

    fn drain(window: &mut Window) -> Vec<(u64, u64, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(front) = window.front() {
            all.push((front.first, front.end, front.payload.to_vec()));
            window.pop_front();
        }
        all
    }

    #[test]
    fn comes_out_in_sequence_order() {
        let mut window = Window::new(4, 8);
        for (first, at) in [(30, 5), (10, 6), (20, 7)] {
            let payload = [u8::try_from(first).unwrap(); 3];
            assert_eq!(window.hold(held(first, first + 2, &payload), at), Hold::Held);
        }
        assert_eq!((window.len(), window.oldest()), (3, Some(5)));
        let out = drain(&mut window);
        assert_eq!(out, [10, 20, 30].map(|first: u8| (first.into(), u64::from(first) + 2, vec![first; 3])));
        assert_eq!((window.is_empty(), window.oldest()), (true, None));
    }

    #[test]
    fn copies_are_refused_and_longer_ones_kept() {
        let mut window = Window::new(4, 8);
        assert_eq!(window.hold(held(10, 15, b"x"), 0), Hold::Held);
        assert_eq!(window.hold(held(10, 15, b"x"), 0), Hold::Covered);
        assert_eq!(window.hold(held(12, 14, b"x"), 0), Hold::Covered);
        assert_eq!(window.hold(held(15, 15, b""), 0), Hold::Covered);
        assert_eq!(window.hold(held(10, 16, b"y"), 0), Hold::Held);
        assert_eq!(window.hold(held(14, 17, b"z"), 0), Hold::Held);
        assert_eq!(drain(&mut window).iter().map(|packet| packet.1).collect::<Vec<_>>(), [15, 16, 17]);
    }

    #[test]
    fn the_oldest_is_known_whatever_leaves() {
        let mut window = Window::new(8, 8);
        let mut inside = Vec::new();
        for (at, first) in (0_u64..).zip([50, 20, 70, 10, 60, 30, 40, 80, 5, 90, 15, 1, 2, 3]) {
            if inside.len() == 8 || at % 3 == 2 {
                window.pop_front();
                inside.sort_unstable();
                inside.remove(0);
            }
            assert_eq!(window.hold(held(first, first + 1, b""), at), Hold::Held);
            inside.push((first, at));
            assert_eq!(window.oldest(), inside.iter().map(|(_, at)| *at).min());
            assert_eq!(window.front_first(), inside.iter().map(|(first, _)| *first).min());
            assert_eq!(window.spare(), 8 - inside.len());
        }
        window.clear();
        assert_eq!((window.oldest(), window.spare()), (None, 8));
    }

    #[test]
    fn its_limits_hold() {
        let mut window = Window::new(2, 4);
        assert_eq!(window.hold(held(1, 2, b"12345"), 0), Hold::NoRoom);
        assert_eq!(window.hold(held(1, 2, b"1234"), 0), Hold::Held);
        assert_eq!(window.hold(held(3, 4, b""), 0), Hold::Held);
        assert_eq!(window.hold(held(5, 6, b""), 0), Hold::NoRoom);
        window.clear();
        assert_eq!(window.hold(held(5, 6, b""), 0), Hold::Held);
        assert_eq!(Window::new(0, 4).hold(held(1, 2, b""), 0), Hold::NoRoom);
    }
}
