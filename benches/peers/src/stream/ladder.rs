//! The levels of one side in order, the best at the end.
//!
//! Sorted blocks of some hundred rungs: what comes and goes is mostly near the best, and 15,000 levels move no more
//! memory than 100 do.

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
    /// None is empty.
    blocks: Vec<Vec<Rung>>,
    /// [`NONE`] where there is no level.
    best: Rung,
    rungs: u32,
}

impl Ladder {
    pub(super) const fn new() -> Self {
        Self { blocks: Vec::new(), best: Rung { key: 0, level: NONE }, rungs: 0 }
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
        let block = self.blocks.get(self.block_of(key))?;
        let at = block.binary_search_by_key(&key, |rung| rung.key).ok()?;
        Some(block[at].level)
    }

    /// Adds a level whose key is not there.
    pub(super) fn insert(&mut self, rung: Rung) {
        self.rungs += 1;
        if self.best.level == NONE || rung.key > self.best.key {
            self.best = rung;
        }
        let at = self.block_of(rung.key);
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(vec![rung]);
            return;
        };
        let place = block.partition_point(|other| other.key < rung.key);
        block.insert(place, rung);
        if block.len() == FULL {
            let upper = block.split_off(FULL / 2);
            self.blocks.insert(at + 1, upper);
        }
    }

    /// Removes the level of that key; nothing happens where there is none.
    pub(super) fn remove(&mut self, key: u32) {
        let at = self.block_of(key);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let Ok(place) = block.binary_search_by_key(&key, |rung| rung.key) else { return };
        block.remove(place);
        self.rungs -= 1;
        if block.is_empty() {
            self.blocks.remove(at);
        } else if block.len() < SMALL {
            self.unite(at);
        }
        if key == self.best.key {
            let last = self.blocks.last().and_then(|block| block.last());
            self.best = last.copied().unwrap_or(Rung { key: 0, level: NONE });
        }
    }

    /// The block that has the key or should have it; 0 where there is none.
    #[inline]
    fn block_of(&self, key: u32) -> usize {
        let last = self.blocks.len().saturating_sub(1);
        match self.blocks.get(last).and_then(|block| block.first()) {
            Some(first) if key < first.key => {
                let after =
                    self.blocks.partition_point(|block| block.first().is_some_and(|first| first.key <= key));
                after.saturating_sub(1)
            }
            _ => last,
        }
    }

    /// Puts a small block together with the one before it if the two leave room for more.
    fn unite(&mut self, at: usize) {
        let Some(before) = at.checked_sub(1) else { return };
        if self.blocks[before].len() + self.blocks[at].len() <= FULL - SMALL {
            let mut block = self.blocks.remove(at);
            self.blocks[before].append(&mut block);
        }
    }
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
        let all = ladder.blocks.concat();
        assert!(all.iter().map(|rung| rung.key).eq(map.keys().copied()));
        assert!(ladder.blocks.iter().all(|block| (1..FULL).contains(&block.len())));
    }
}
