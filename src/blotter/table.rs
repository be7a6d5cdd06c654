//! Two small hash tables of fixed size: every byte is reserved and written when they are made.
//!
//! Open addressing with linear probes, at most half full, so a probe is short. Removal moves later entries back:
//! no tombstones, no degradation over a day.

use crate::prefetch;

/// A key that can spread itself over 64 bits.
pub(crate) trait Key: Copy + Eq {
    /// A well-mixed hash; the table uses the upper bits.
    fn hash(self) -> u64;
}

/// Multiplicative mixing: odd constant near 2^64 / golden ratio, then the upper half folded in.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Key for u32 {
    fn hash(self) -> u64 {
        mix(u64::from(self))
    }
}

impl Key for (u32, u64) {
    fn hash(self) -> u64 {
        mix(self.1 ^ mix(u64::from(self.0)))
    }
}

/// A map of at most `capacity` entries.
#[derive(Debug)]
pub(crate) struct FixedTable<K, V> {
    slots: Box<[Option<(K, V)>]>,
    shift: u32,
    len: usize,
    capacity: usize,
}

impl<K: Key, V: Copy> FixedTable<K, V> {
    /// Room for `capacity` entries; 0 makes a table that is always full.
    pub(crate) fn new(capacity: usize) -> Self {
        let slots = capacity.max(1).next_power_of_two() * 2;
        Self {
            slots: vec![None; slots].into_boxed_slice(),
            shift: 64 - slots.trailing_zeros(),
            len: 0,
            capacity,
        }
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    fn home(&self, key: K) -> usize {
        (key.hash() >> self.shift) as usize
    }

    const fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// The slot of `key`, or the free slot where it would go. Terminates because the table is at most half full.
    fn find(&self, key: K) -> usize {
        let mut at = self.home(key);
        while let Some((found, _)) = self.slots[at] {
            if found == key {
                break;
            }
            at = (at + 1) & self.mask();
        }
        at
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.slots[self.find(key)].as_ref().map(|(_, value)| value)
    }

    /// Asks for the lines where `key` is, or would go.
    pub(crate) fn prefetch(&self, key: K) {
        let slot = self.slots.as_ptr().wrapping_add(self.home(key));
        prefetch::lines(slot);
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = self.find(key);
        self.slots[at].as_mut().map(|(_, value)| value)
    }

    /// Adds or overwrites; false (and unchanged) where the table is full.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        let at = self.find(key);
        if self.slots[at].is_none() {
            if self.is_full() {
                return false;
            }
            self.len += 1;
        }
        self.slots[at] = Some((key, value));
        true
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let mut hole = self.find(key);
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        // Close the gap: an entry may move into the hole unless its home lies after the hole.
        let mut at = (hole + 1) & self.mask();
        while let Some((key, _)) = self.slots[at] {
            let from_home = at.wrapping_sub(self.home(key)) & self.mask();
            let from_hole = at.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                self.slots[hole] = self.slots[at].take();
                hole = at;
            }
            at = (at + 1) & self.mask();
        }
        Some(value)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(None);
        self.len = 0;
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.iter_mut().flatten().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.slots.iter().flatten().map(|(key, value)| (*key, value))
    }
}

/// A map that remembers the latest `capacity` insertions: a full one forgets the oldest.
#[derive(Debug)]
pub(crate) struct RecentTable<K, V> {
    /// Value and number of the insertion that put it there.
    table: FixedTable<K, (u64, V)>,
    ring: Box<[Option<(K, u64)>]>,
    /// The place in the ring of the next insertion.
    next: usize,
    inserted: u64,
}

impl<K: Key, V: Copy> RecentTable<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let ring = vec![None; capacity].into_boxed_slice();
        Self { table: FixedTable::new(capacity), ring, next: 0, inserted: 0 }
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.table.get(key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.table.get_mut(key).map(|(_, value)| value)
    }

    /// Asks for the lines that [`RecentTable::insert`] of `key` will touch.
    pub(crate) fn prefetch(&self, key: K) {
        self.table.prefetch(key);
        let place = self.ring.get(self.next);
        place.inspect(|place| prefetch::lines(*place));
        if let Some(Some((oldest, _))) = place {
            self.table.prefetch(*oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        // Its place in the ring stays, and means nothing any more.
        self.table.remove(key).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.table.iter().map(|(key, (_, value))| (key, value))
    }

    /// Adds or overwrites; either way `key` is now the youngest.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let number = self.inserted;
        self.inserted += 1;
        let at = self.next;
        self.next = if at + 1 == self.ring.len() { 0 } else { at + 1 };
        if let Some((oldest, its_number)) = self.ring[at].replace((key, number))
            && self.table.get(oldest).is_some_and(|(latest, _)| *latest == its_number)
        {
            self.table.remove(oldest);
        }
        self.table.insert(key, (number, value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn fixed_table_equals_a_map() {
        let mut rng = 0x1234_5678_u64;
        for capacity in [0, 1, 2, 3, 7, 64] {
            let mut table = FixedTable::<u32, u64>::new(capacity);
            let mut model = BTreeMap::new();
            for _ in 0..20_000 {
                let key = (xorshift(&mut rng) % 150) as u32;
                let value = xorshift(&mut rng);
                match xorshift(&mut rng) % 3 {
                    0 => {
                        let room = model.contains_key(&key) || model.len() < capacity;
                        assert_eq!(table.insert(key, value), room);
                        if room {
                            model.insert(key, value);
                        }
                    }
                    1 => assert_eq!(table.remove(key), model.remove(&key)),
                    _ => assert_eq!(table.get(key), model.get(&key)),
                }
                assert_eq!(table.len, model.len());
            }
            assert_eq!(table.iter().map(|(k, v)| (k, *v)).collect::<BTreeMap<_, _>>(), model);
        }
    }

    #[test]
    fn recent_table_remembers_the_latest_insertions() {
        let mut rng = 0xBEEF_u64;
        for capacity in [1, 2, 5, 33] {
            let mut table = RecentTable::<(u32, u64), u64>::new(capacity);
            let mut model: VecDeque<((u32, u64), Option<u64>)> = VecDeque::new();
            for _ in 0..20_000 {
                let key = (xorshift(&mut rng) as u32 % 5, xorshift(&mut rng) % 10);
                let value = xorshift(&mut rng);
                table.insert(key, value);
                model.push_back((key, Some(value)));
                if model.len() > capacity {
                    model.pop_front();
                }
                if xorshift(&mut rng).is_multiple_of(4) {
                    let gone = (xorshift(&mut rng) as u32 % 5, xorshift(&mut rng) % 10);
                    let latest = model.iter().rev().find(|(k, _)| *k == gone).and_then(|(_, v)| *v);
                    assert_eq!(table.remove(gone), latest);
                    model.iter_mut().filter(|(k, _)| *k == gone).for_each(|(_, v)| *v = None);
                }
                let mut all: Vec<_> = table.iter().map(|(k, v)| (k, *v)).collect();
                let mut want = BTreeMap::new();
                for (k, v) in &model {
                    want.insert(*k, *v);
                }
                all.sort_unstable();
                assert_eq!(all, want.iter().filter_map(|(k, v)| Some((*k, (*v)?))).collect::<Vec<_>>());
                let probe = (xorshift(&mut rng) as u32 % 5, xorshift(&mut rng) % 10);
                let want = model.iter().rev().find(|(k, _)| *k == probe).and_then(|(_, v)| *v);
                assert_eq!(table.get(probe).copied(), want);
            }
        }
    }
}
