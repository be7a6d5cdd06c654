//! The levels of one side in order, the best at the end.
//!
//! Sorted blocks of some hundred rungs: what comes and goes is mostly near the best, and 15,000 levels move no more
//! memory than 100 do.

use super::memory::prefetch;

/// No level.
pub(super) const NONE: u32 = u32::MAX;

/// Rungs of a full block.
const FULL: usize = 128;

/// Blocks that have become this small are put together with a neighbour.
const SMALL: usize = 32;

/// A level and its rank: a better level has a greater key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) key: u32,
    pub(super) level: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// The block with the best levels; empty only where there is no level.
    top: Vec<Rung>,
    /// The other blocks, none of them empty.
    below: Vec<Vec<Rung>>,
    /// [`NONE`] where there is no level.
    best: Rung,
    rungs: u32,
}

impl Ladder {
    pub(super) const fn new() -> Self {
        Self { top: Vec::new(), below: Vec::new(), best: Rung { key: 0, level: NONE }, rungs: 0 }
    }

    #[inline]
    pub(super) fn best(&self) -> Option<Rung> {
        (self.best.level != NONE).then_some(self.best)
    }

    pub(super) const fn rungs(&self) -> u32 {
        self.rungs
    }

    /// The level of that key.
    #[inline]
    pub(super) fn find(&self, key: u32) -> Option<u32> {
        if key >= self.best.key {
            return (key == self.best.key && self.best.level != NONE).then_some(self.best.level);
        }
        let block = match self.top.first() {
            Some(first) if key < first.key => self.below.get(self.block_of(key))?,
            _ => &self.top,
        };
        let at = block.binary_search_by_key(&key, |rung| rung.key).ok()?;
        Some(block[at].level)
    }

    /// Begins to fetch where the best levels are.
    #[inline]
    pub(super) fn prefetch(&self) {
        let last = self.top.len().wrapping_sub(1);
        prefetch(&self.top, last);
        prefetch(&self.top, last.wrapping_sub(8));
    }

    /// Adds a level whose key is not there.
    pub(super) fn insert(&mut self, rung: Rung) {
        self.rungs += 1;
        if self.best.level == NONE || rung.key > self.best.key {
            self.best = rung;
        }
        let at = self.block_of(rung.key);
        let lower = self.top.first().is_some_and(|first| rung.key < first.key);
        match self.below.get_mut(at).filter(|_| lower) {
            Some(block) => {
                enter(block, rung);
                if block.len() == FULL {
                    let upper = block.split_off(FULL / 2);
                    self.below.insert(at + 1, upper);
                }
            }
            None => {
                enter(&mut self.top, rung);
                if self.top.len() == FULL {
                    let upper = self.top.split_off(FULL / 2);
                    self.below.push(std::mem::replace(&mut self.top, upper));
                }
            }
        }
    }

    /// Removes the level of that key; nothing happens where there is none.
    pub(super) fn remove(&mut self, key: u32) {
        let at = self.block_of(key);
        let lower = self.top.first().is_some_and(|first| key < first.key);
        let block = match self.below.get_mut(at).filter(|_| lower) {
            Some(block) => block,
            None => &mut self.top,
        };
        let Ok(place) = block.binary_search_by_key(&key, |rung| rung.key) else { return };
        block.remove(place);
        self.rungs -= 1;
        if !lower {
            if self.top.is_empty() {
                self.top = self.below.pop().unwrap_or_default();
            }
        } else if block.is_empty() {
            self.below.remove(at);
        } else if block.len() < SMALL {
            self.unite(at);
        }
        if key == self.best.key {
            self.best = self.top.last().copied().unwrap_or(Rung { key: 0, level: NONE });
        }
    }

    /// The one of the lower blocks that has the key or should have it, if the top has not.
    #[inline]
    fn block_of(&self, key: u32) -> usize {
        let after = self.below.partition_point(|block| block.first().is_some_and(|first| first.key <= key));
        after.saturating_sub(1)
    }

    /// Puts a small block together with the one before it if the two leave room for more.
    fn unite(&mut self, at: usize) {
        let Some(before) = at.checked_sub(1) else { return };
        if self.below[before].len() + self.below[at].len() <= FULL - SMALL {
            let mut block = self.below.remove(at);
            self.below[before].append(&mut block);
        }
    }
}

fn enter(block: &mut Vec<Rung>, rung: Rung) {
    let place = block.partition_point(|other| other.key < rung.key);
    block.insert(place, rung);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::random::Random;
    use super::*;

    #[test]
    fn like_a_sorted_map() {
        let mut random = Random::new(3);
        let (mut ladder, mut map) = (Ladder::new(), BTreeMap::new());
        for step in 0..300_000_u32 {
            // Grows, then shrinks; far keys and near ones.
            let span = if random.bits() & 1 == 0 { 3_000 } else { 40 };
            let key = 1_000_000 - random.below(span);
            let grow = if step < 150_000 { 5 } else { 3 };
            if random.below(8) < grow {
                if map.insert(key, step).is_none() {
                    ladder.insert(Rung { key, level: step });
                } else {
                    map.insert(key, ladder.find(key).unwrap());
                }
            } else {
                map.remove(&key);
                ladder.remove(key);
            }
            assert_eq!(ladder.find(key), map.get(&key).copied());
            let best = map.last_key_value().map(|(key, level)| Rung { key: *key, level: *level });
            assert_eq!(ladder.best(), best);
            assert_eq!(ladder.rungs() as usize, map.len());
        }
        assert!(!ladder.below.is_empty());
        assert!(ladder.below.iter().all(|block| (1..FULL).contains(&block.len())));
        let all = ladder.below.concat().into_iter().chain(ladder.top);
        assert!(all.map(|rung| rung.key).eq(map.keys().copied()));
    }
}
