use std::collections::BTreeMap;

use super::*;

/// A tree beside a map that says what it must hold.
struct Checked {
    nodes: Pool<Node>,
    tree: Tree,
    model: BTreeMap<u32, u32>,
}

impl Checked {
    fn new(levels: u32) -> Self {
        Self { nodes: Pool::new(nodes_for(levels, 1)).unwrap(), tree: Tree::EMPTY, model: BTreeMap::new() }
    }

    fn insert(&mut self, key: u32) {
        let level = key ^ 0x55;
        assert_eq!(self.tree.find::<Portable>(&self.nodes, key), None);
        self.tree.insert(&mut self.nodes, key, Handle::from_raw(level)).unwrap();
        self.model.insert(key, level);
    }

    fn remove(&mut self, key: u32) {
        self.tree.remove(&mut self.nodes, key);
        assert!(self.model.remove(&key).is_some());
        assert_eq!(self.tree.find::<Portable>(&self.nodes, key), None);
    }

    fn check(&self) {
        let held: Vec<_> = self.tree.iter(&self.nodes).map(|(key, level)| (key, level.raw())).collect();
        let expected: Vec<_> = self.model.iter().map(|(key, level)| (*key, *level)).collect();
        assert_eq!(held, expected);
        assert_eq!(self.tree.levels() as usize, expected.len());
        let first = self.tree.first(&self.nodes).map(|(key, level)| (key, level.raw()));
        assert_eq!(first, expected.first().copied());
        for (key, level) in &self.model {
            assert_eq!(self.tree.find::<Portable>(&self.nodes, *key).map(Handle::raw), Some(*level));
        }
        assert_eq!(self.check_fill(), self.nodes.capacity() - self.nodes.available(), "a node leaked");
    }

    /// Checks that all nodes are half full and all leaves equally deep; returns how many nodes the tree has.
    fn check_fill(&self) -> u32 {
        fn walk(nodes: &Pool<Node>, at: Handle<Node>, height: u32, root: bool) -> u32 {
            let node = &nodes[at];
            let fewest = if root { 1 } else { MIN_KEYS };
            assert!(node.len() >= fewest, "{} keys, {fewest} are the fewest", node.len());
            if height == 1 {
                return 1;
            }
            (0..=node.len()).map(|child| walk(nodes, node.child(child), height - 1, false)).sum::<u32>() + 1
        }
        if self.tree.height == 0 { 0 } else { walk(&self.nodes, self.tree.root, self.tree.height, true) }
    }
}

fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as u32
}

#[test]
fn grows_and_shrinks_at_either_end_and_in_the_middle() {
    // 15,353 levels is the deepest side seen in one symbol of a real day.
    for scatter in [1_u32, u32::MAX, 7_919] {
        let mut checked = Checked::new(15_353);
        let keys: Vec<u32> = (0..15_353_u32).map(|i| i.wrapping_mul(scatter)).collect();
        for (done, key) in keys.iter().enumerate() {
            checked.insert(*key);
            if done % 997 == 0 {
                checked.check();
            }
        }
        checked.check();
        assert!((4..=6).contains(&checked.tree.height), "height {}", checked.tree.height);
        for (done, key) in keys.iter().rev().enumerate() {
            checked.remove(*key);
            if done % 997 == 0 {
                checked.check();
            }
        }
        checked.check();
        assert_eq!(checked.nodes.available(), checked.nodes.capacity());
    }
}

#[test]
fn agrees_with_a_map_over_random_changes() {
    let mut state = 1;
    // From a side that is often empty to one of several hundred levels.
    for range in [2_u32, 20, 90, 300, 2_000] {
        let mut checked = Checked::new(range);
        for step in 0..30_000 {
            // Waves, so that the tree grows tall and shrinks to nothing again.
            let mostly_insert = step / 3_000 % 2 == 0;
            let key = random(&mut state) % range;
            if checked.model.contains_key(&key) {
                if !mostly_insert || random(&mut state).is_multiple_of(4) {
                    checked.remove(key);
                }
            } else if mostly_insert || random(&mut state).is_multiple_of(4) {
                checked.insert(key);
            }
            if step % 53 == 0 {
                checked.check();
            }
        }
        checked.check();
    }
}

#[test]
fn the_lowest_and_highest_keys_are_keys_like_others() {
    let mut checked = Checked::new(200);
    for i in 0..50 {
        checked.insert(i);
        checked.insert(u32::MAX - i);
        checked.check();
    }
    for i in 0..50 {
        checked.remove(u32::MAX - i);
        checked.check();
    }
    checked.tree.remove(&mut checked.nodes, u32::MAX);
    checked.check();
}

#[test]
fn bids_and_asks_both_start_with_their_best_price() {
    assert!(key(Side::Buy, Price(101)) < key(Side::Buy, Price(100)));
    assert!(key(Side::Sell, Price(100)) < key(Side::Sell, Price(101)));
}

#[test]
fn nodes_suffice_for_any_levels_on_any_sides() {
    let mut state = 9;
    for (levels, sides) in [(1_u32, 1_u32), (15, 4), (64, 2), (500, 40), (3_000, 3)] {
        let mut nodes = Pool::new(nodes_for(levels, sides)).unwrap();
        let mut trees = vec![(Tree::EMPTY, BTreeMap::new()); sides as usize];
        let (mut held, mut fewest) = (0, u32::MAX);
        for step in 0..40_000_u32 {
            // Full for a while, then thinned out from random places, so that nodes get as empty as they may.
            let (tree, model) = &mut trees[(random(&mut state) % sides) as usize];
            let key = random(&mut state) % (3 * levels);
            let there = model.contains_key(&key);
            if !there && held < levels && step % 4_000 < 3_000 {
                tree.insert(&mut nodes, key, Handle::from_raw(key)).unwrap();
                model.insert(key, ());
                held += 1;
            } else if there && step % 4_000 >= 2_000 {
                tree.remove(&mut nodes, key);
                model.remove(&key);
                held -= 1;
            }
            fewest = fewest.min(nodes.available());
        }
        assert!(MAX_HEIGHT as u32 <= fewest);
    }
}

#[test]
fn without_nodes_an_insertion_changes_nothing() {
    let mut checked = Checked { nodes: Pool::new(3).unwrap(), tree: Tree::EMPTY, model: BTreeMap::new() };
    for key in 0..16 {
        checked.insert(key);
    }
    // Three nodes hold sixteen keys; with none left even a leaf with room may not take one.
    assert_eq!(checked.tree.insert(&mut checked.nodes, 99, Handle::from_raw(1)), Err(Full));
    checked.check();
}
