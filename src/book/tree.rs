//! The deep levels of one side of one book, those behind the sixteen or so best ones ([`Instrument`](super::instrument::Instrument)), best first.
//!
//! A B+tree of small nodes from one pool that all sides share. A key is made from a price so that the best price has
//! the lowest key on either side ([`key`]). Leaves hold up to fifteen levels and are linked in key order; a side of
//! 15,000 levels is four or five nodes deep, so a new level anywhere costs a few cache lines and never a long move.
//!
//! Every node but a root is at least half full. That bounds the nodes that a number of levels can ever need
//! ([`nodes_for`]), so the pool cannot run dry before the levels do.

use std::iter;

use crate::market::{Price, Side};

use super::node::{MIN_KEYS, Node};
use super::pool::{Handle, Pool};
use super::segment::Segment;
use super::vectors::{Portable, Vectors};

/// More nodes above each other than any tree has: eight or more children a node, at most 2^32 keys.
const MAX_HEIGHT: usize = 12;

/// The key of `price` on `side`: the better the price, the lower the key.
pub(super) const fn key(side: Side, price: Price) -> u32 {
    // Without a branch, which would be taken every other time: all ones for a bid, none for an ask.
    price.0 ^ (side as u32).wrapping_sub(1)
}

/// The most nodes that `levels` levels on `sides` sides can need.
///
/// A leaf below a root holds seven levels or more, a leaf that is a root at least one. Inner nodes have eight or more
/// children, roots two or more, which makes them half as many as the leaves below them at the most.
pub(super) const fn nodes_for(levels: u32, sides: u32) -> u32 {
    let roots = if levels < sides { levels } else { sides };
    let leaves = levels / MIN_KEYS as u32;
    // What one insertion may ask for is reserved before it starts, so it must be there beside all the others.
    roots.saturating_add(leaves + leaves / 2 + MAX_HEIGHT as u32)
}

/// There are no nodes left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// One side of one book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    root: Handle<Node>,
    /// The leaf of the best levels. Leaves split and merge to their right, so it stays the same while there is one.
    first: Handle<Node>,
    levels: u32,
    /// Nodes from root to leaf; 0 without levels.
    height: u32,
}

/// The way from the root to a leaf: at each inner node the child that was taken.
struct Path {
    steps: [(Handle<Node>, usize); MAX_HEIGHT],
    len: usize,
    leaf: Handle<Node>,
}

impl Path {
    /// The parent of the node that was reached, and which of its children that is.
    fn up(&mut self) -> Option<(Handle<Node>, usize)> {
        self.len = self.len.checked_sub(1)?;
        self.steps.get(self.len).copied()
    }
}

impl Tree {
    /// A side without levels.
    pub(super) const EMPTY: Self = Self { root: Handle::NIL, first: Handle::NIL, levels: 0, height: 0 };

    /// The best level with its key; `None` if there is none.
    pub(super) fn first(&self, nodes: &Pool<Node>) -> Option<(u32, Handle<Segment>)> {
        self.first.some().map(|leaf| (nodes[leaf].key(0), nodes[leaf].level(0)))
    }

    /// Number of levels.
    pub(super) const fn levels(&self) -> u32 {
        self.levels
    }

    /// The root; nil without levels.
    #[inline(always)]
    pub(super) const fn root(&self) -> Handle<Node> {
        self.root
    }

    /// Inner nodes above each leaf.
    #[inline(always)]
    pub(super) const fn inner(&self) -> u32 {
        self.height.saturating_sub(1)
    }

    /// The level with `key`.
    #[inline(always)]
    pub(super) fn find<V: Vectors>(&self, nodes: &Pool<Node>, key: u32) -> Option<Handle<Segment>> {
        if self.height == 0 {
            return None;
        }
        let mut node = &nodes[self.root];
        for _ in 1..self.height {
            node = &nodes[node.child(node.child_for::<V>(key))];
        }
        node.find::<V>(key).map(|at| node.level(at))
    }

    /// Gives the level with `key` another last segment; nothing happens if there is none.
    pub(super) fn set_last(&self, nodes: &mut Pool<Node>, key: u32, level: Handle<Segment>) {
        if self.height > 0 {
            let leaf = self.descend(nodes, key).leaf;
            if let Some(at) = nodes[leaf].find::<Portable>(key) {
                nodes[leaf].set_level(at, level);
            }
        }
    }

    /// Levels with their keys, best first.
    pub(super) fn iter(&self, nodes: &Pool<Node>) -> impl Iterator<Item = (u32, Handle<Segment>)> {
        iter::successors(self.first.some(), |leaf| nodes[*leaf].next().some()).flat_map(move |leaf| {
            (0..nodes[leaf].len()).map(move |at| (nodes[leaf].key(at), nodes[leaf].level(at)))
        })
    }

    /// Enters a level under a key that the side does not have.
    ///
    /// # Errors
    /// [`Full`], with nothing changed, if the nodes may not suffice.
    pub(super) fn insert(
        &mut self,
        nodes: &mut Pool<Node>,
        key: u32,
        level: Handle<Segment>,
    ) -> Result<(), Full> {
        if nodes.available() <= self.height {
            return Err(Full);
        }
        if self.height == 0 {
            self.root = nodes.take(Node::EMPTY).ok_or(Full)?;
            self.first = self.root;
            self.height = 1;
        }
        let mut path = self.descend(nodes, key);
        let leaf = path.leaf;
        let at = nodes[leaf].rank::<Portable>(key);
        let mut grown = if nodes[leaf].is_full() {
            let (left, right, separator) = nodes[leaf].split_leaf(at, key, level);
            let right = nodes.take(right).ok_or(Full)?;
            nodes[leaf] = left;
            nodes[leaf].set_next(right);
            Some((separator, right))
        } else {
            nodes[leaf].insert_level(at, key, level);
            None
        };
        // A node that split hands its new right half to its parent, which may have to split in turn.
        while let Some((separator, right)) = grown {
            grown = if let Some((parent, child)) = path.up() {
                if nodes[parent].is_full() {
                    let (left, upper, middle) = nodes[parent].split_inner(child, separator, right);
                    nodes[parent] = left;
                    let upper = nodes.take(upper).ok_or(Full)?;
                    Some((middle, upper))
                } else {
                    nodes[parent].insert_child(child, separator, right);
                    None
                }
            } else {
                self.root = nodes.take(Node::root(self.root, separator, right)).ok_or(Full)?;
                self.height += 1;
                None
            };
        }
        self.levels += 1;
        Ok(())
    }

    /// Takes the level with `key` out; nothing happens if there is none.
    pub(super) fn remove(&mut self, nodes: &mut Pool<Node>, key: u32) {
        if self.height == 0 {
            return;
        }
        let mut path = self.descend(nodes, key);
        let mut node = path.leaf;
        let Some(at) = nodes[node].find::<Portable>(key) else { return };
        nodes[node].remove_level(at);
        self.levels -= 1;
        if self.levels == 0 {
            nodes.give(node);
            *self = Self::EMPTY;
            return;
        }
        let mut leaves = true;
        while nodes[node].len() < MIN_KEYS
            && let Some((parent, child)) = path.up()
        {
            Self::refill(nodes, parent, child, leaves);
            leaves = false;
            node = parent;
        }
        if self.height > 1 && nodes[self.root].len() == 0 {
            let only = nodes[self.root].child(0);
            nodes.give(self.root);
            self.root = only;
            self.height -= 1;
        }
    }

    /// Brings a child that is one key short up to half full again, from or together with the child beside it.
    fn refill(nodes: &mut Pool<Node>, parent: Handle<Node>, child: usize, leaves: bool) {
        // The pair is (`at`, `at + 1`), with the short child on either side.
        let at = if child < nodes[parent].len() { child } else { child - 1 };
        let (left_at, right_at) = (nodes[parent].child(at), nodes[parent].child(at + 1));
        let (mut left, mut right) = (nodes[left_at], nodes[right_at]);
        let separator = nodes[parent].key(at);
        if left.len() + right.len() < 2 * MIN_KEYS {
            if leaves {
                left.append_leaf(&right);
            } else {
                left.append_inner(separator, &right);
            }
            nodes[left_at] = left;
            nodes[parent].remove_child(at);
            nodes.give(right_at);
            return;
        }
        let separator = match (leaves, at == child) {
            (true, true) => Node::shift_leaf_left(&mut left, &mut right),
            (true, false) => Node::shift_leaf_right(&mut left, &mut right),
            (false, true) => Node::shift_inner_left(&mut left, separator, &mut right),
            (false, false) => Node::shift_inner_right(&mut left, separator, &mut right),
        };
        nodes[parent].set_key(at, separator);
        nodes[left_at] = left;
        nodes[right_at] = right;
    }

    /// The way to the leaf where `key` is or belongs. There must be a root.
    fn descend(&self, nodes: &Pool<Node>, key: u32) -> Path {
        let mut path = Path { steps: [(Handle::NIL, 0); MAX_HEIGHT], len: 0, leaf: self.root };
        for _ in 1..self.height {
            let child = nodes[path.leaf].child_for::<Portable>(key);
            path.steps[path.len] = (path.leaf, child);
            path.len += 1;
            path.leaf = nodes[path.leaf].child(child);
        }
        path
    }
}

#[cfg(test)]
mod tests;
