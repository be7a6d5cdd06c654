//! From an order reference to the order that carries it.
//!
//! References are unique for a day but neither dense nor monotonic, and a day uses far more of them than there are
//! ever live orders. So the index follows live orders only: the low bits of a reference choose one of a power of two
//! of slots, at least twice as many as there can be orders. References are mostly given out in rising order, so new
//! orders fall into neighbouring slots: sixteen share a cache line, and that line is hot.
//!
//! A slot holds nothing, one order, or — where references collide — the root of a small binary tree over the bits in
//! which they differ, highest first (a PATRICIA tree). Only the orders themselves hold the references: a walk ends at
//! the one *candidate* that may carry the reference asked for, and its record proves or disproves it.
//!
//! Cost: a walk takes one step where nothing collides. A reference has `64 - log2(slots)` bits above the slot number,
//! so no choice of references makes it longer than that: the bound needs neither luck nor a secret hash seed, and the
//! index never refuses an order. A tree of `n` orders has `n - 1` forks, so as many forks as orders always suffice.

use std::collections::TryReserveError;

use super::orders::Order;
use super::pool::{Handle, Pool, Record, touched};

/// Most orders that the index can tell apart: the top bit of an entry marks a fork.
pub(super) const MAX_ORDERS: u32 = FORK - 1;

/// A slot or child that holds nothing.
const EMPTY: u32 = u32::MAX;

/// Set in an entry that is the handle of a fork; an entry without it is the handle of an order.
const FORK: u32 = 1 << 31;

/// Two orders or subtrees whose references agree above `bit` and differ in it.
#[derive(Clone, Copy, Debug)]
struct Fork {
    /// Number of the bit, 0 = lowest.
    bit: u32,
    /// The entry where the bit is 0, and where it is 1.
    child: [u32; 2],
}

impl Fork {
    /// Which child leads to `order_ref`.
    fn way(&self, order_ref: u64) -> usize {
        usize::from(order_ref >> self.bit & 1 == 1)
    }
}

impl Record for Fork {
    const VACANT: Self = Self { bit: 0, child: [EMPTY; 2] };
    fn link(&self) -> Handle<Self> {
        Handle::from_raw(self.child[0])
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.child[0] = next.raw();
    }
}

/// Where an entry is written down.
#[derive(Clone, Copy)]
enum Place {
    Slot(usize),
    Child(Handle<Fork>, usize),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<u32>,
    forks: Pool<Fork>,
}

impl Index {
    /// An empty index for at most `orders` live orders, its memory taken and touched.
    pub(super) fn new(orders: u32) -> Result<Self, TryReserveError> {
        Ok(Self { slots: touched(Self::slot_count(orders), EMPTY)?, forks: Pool::new(orders)? })
    }

    /// Bytes that [`Index::new`] takes.
    pub(super) fn memory_bytes(orders: u32) -> usize {
        Self::slot_count(orders) * size_of::<u32>() + orders as usize * size_of::<Fork>()
    }

    fn slot_count(orders: u32) -> usize {
        (orders as usize * 2).next_power_of_two()
    }

    /// The only order that may carry `order_ref`; nil if none does. Its record must be compared.
    #[inline]
    pub(super) fn candidate(&self, order_ref: u64) -> Handle<Order> {
        let mut entry = self.slots[self.slot(order_ref)];
        while let Some(fork) = as_fork(entry) {
            let fork = &self.forks[fork];
            entry = fork.child[fork.way(order_ref)];
        }
        // An empty slot reads as the nil handle.
        Handle::from_raw(entry)
    }

    /// Enters an order under a reference that is not in the index. `neighbour` is the reference of its candidate,
    /// `None` if it has none.
    ///
    /// Returns false, with nothing changed, if there are more orders than the index was made for.
    #[must_use]
    pub(super) fn insert(&mut self, order_ref: u64, order: Handle<Order>, neighbour: Option<u64>) -> bool {
        let mut place = Place::Slot(self.slot(order_ref));
        let Some(neighbour) = neighbour else {
            self.write(place, order.raw());
            return true;
        };
        // The highest bit in which the new reference leaves the tree; the caller has seen that they differ.
        let bit = (order_ref ^ neighbour).checked_ilog2().unwrap_or(0);
        let mut entry = self.read(place);
        while let Some(fork) = as_fork(entry) {
            if self.forks[fork].bit < bit {
                break;
            }
            place = Place::Child(fork, self.forks[fork].way(order_ref));
            entry = self.read(place);
        }
        let mut fork = Fork { bit, child: [entry; 2] };
        fork.child[fork.way(order_ref)] = order.raw();
        let Some(fork) = self.forks.take(fork) else { return false };
        self.write(place, fork.raw() | FORK);
        true
    }

    /// Takes the entry of `order_ref`, which must be in the index, out of it.
    pub(super) fn remove(&mut self, order_ref: u64) {
        let mut place = Place::Slot(self.slot(order_ref));
        let mut above = None;
        while let Some(fork) = as_fork(self.read(place)) {
            let way = self.forks[fork].way(order_ref);
            above = Some((place, fork, way));
            place = Place::Child(fork, way);
        }
        match above {
            None => self.write(place, EMPTY),
            Some((upper, fork, way)) => {
                // A fork with one child left is not needed: the other child moves up.
                let other = self.forks[fork].child[1 - way];
                self.write(upper, other);
                self.forks.give(fork);
            }
        }
    }

    /// Forgets everything. Writes every slot: 8 to 16 bytes for each order of the limit.
    pub(super) fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.forks.clear();
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    fn slot(&self, order_ref: u64) -> usize {
        order_ref as usize & (self.slots.len() - 1)
    }

    fn read(&self, place: Place) -> u32 {
        match place {
            Place::Slot(slot) => self.slots[slot],
            Place::Child(fork, way) => self.forks[fork].child[way],
        }
    }

    fn write(&mut self, place: Place, entry: u32) {
        match place {
            Place::Slot(slot) => self.slots[slot] = entry,
            Place::Child(fork, way) => self.forks[fork].child[way] = entry,
        }
    }
}

/// The fork that an entry names, if it names one.
const fn as_fork(entry: u32) -> Option<Handle<Fork>> {
    if entry & FORK != 0 && entry != EMPTY { Some(Handle::from_raw(entry & !FORK)) } else { None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// An index and, in place of the order pool, the references by handle.
    struct Checked {
        index: Index,
        refs: Vec<Option<u64>>,
        model: BTreeMap<u64, u32>,
    }

    impl Checked {
        fn new(orders: u32) -> Self {
            Self {
                index: Index::new(orders).unwrap(),
                refs: vec![None; orders as usize],
                model: BTreeMap::new(),
            }
        }

        fn find(&self, order_ref: u64) -> Option<u32> {
            let candidate = self.index.candidate(order_ref).some()?.raw();
            (self.refs[candidate as usize] == Some(order_ref)).then_some(candidate)
        }

        fn insert(&mut self, order_ref: u64) {
            let free = self.refs.iter().position(Option::is_none).unwrap() as u32;
            let neighbour =
                self.index.candidate(order_ref).some().and_then(|handle| self.refs[handle.raw() as usize]);
            assert!(self.index.insert(order_ref, Handle::from_raw(free), neighbour));
            self.refs[free as usize] = Some(order_ref);
            self.model.insert(order_ref, free);
        }

        fn remove(&mut self, order_ref: u64) {
            self.index.remove(order_ref);
            let handle = self.model.remove(&order_ref).unwrap();
            self.refs[handle as usize] = None;
        }

        fn check(&self) {
            for (order_ref, handle) in &self.model {
                assert_eq!(self.find(*order_ref), Some(*handle), "{order_ref:#x}");
            }
            let used = self.index.slots.iter().filter(|slot| **slot != EMPTY).count();
            assert_eq!(self.index.forks.live() as usize, self.model.len() - used, "n - 1 forks a tree");
        }
    }

    #[test]
    fn agrees_with_a_map_when_every_reference_shares_one_slot() {
        let mut checked = Checked::new(64);
        // Multiples of the slot count, down to the highest bit, in an order that grows the trees at both ends.
        let refs: Vec<u64> = (7..64).map(|bit| 1 << bit).chain([0, u64::MAX << 7]).collect();
        for order_ref in &refs {
            assert_eq!(checked.find(*order_ref), None);
            checked.insert(*order_ref);
            checked.check();
        }
        for order_ref in refs.iter().step_by(2).chain(refs.iter().skip(1).step_by(2)) {
            checked.remove(*order_ref);
            checked.check();
        }
        assert!(checked.index.slots.iter().all(|slot| *slot == EMPTY));
    }

    #[test]
    fn agrees_with_a_map_on_scattered_references() {
        let mut checked = Checked::new(40);
        let mut state = 1_u64;
        for step in 0..20_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
            // Few different values, so that references come back.
            let order_ref = (state >> 40) % 97 * 0x0001_0001_0000_0401;
            if checked.model.contains_key(&order_ref) {
                checked.remove(order_ref);
            } else if checked.model.len() < 40 {
                checked.insert(order_ref);
            }
            if step % 16 == 0 {
                checked.check();
            }
        }
        checked.index.clear();
        assert_eq!(checked.index.candidate(0), Handle::NIL);
    }

    #[test]
    fn a_full_index_refuses_and_stays_as_it_was() {
        let mut index = Index::new(1).unwrap();
        assert!(index.insert(0, Handle::from_raw(0), None));
        assert!(index.insert(4, Handle::from_raw(1), Some(0)));
        assert!(!index.insert(8, Handle::from_raw(2), Some(0)));
        assert_eq!([0, 4].map(|r| index.candidate(r).raw()), [0, 1]);
    }
}
