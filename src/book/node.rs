//! A node of the tree of levels: two cache lines, the keys in one, what they lead to in the other.
//!
//! | node | keys | entries |
//! |---|---|---|
//! | leaf | up to 15 keys of levels, rising | the level of each key; the last entry links the next leaf |
//! | inner | up to 15 separators, rising | one child more than separators; a child holds the keys from the separator before it up to, not including, the one after it |
//!
//! Which of the two a node is follows from its depth; it is not written down. Key places without a key hold
//! `u32::MAX`, so that a search can compare all fifteen at once, without a branch. (The maximum is also a possible
//! key; the search asks in such a way that this does no harm.)

use super::pool::{Handle, Record};
use super::segment::Segment;
use super::vectors::Vectors;

/// Most keys of a node.
const MAX_KEYS: usize = 15;

/// Fewest keys of a node that is not a root.
pub(super) const MIN_KEYS: usize = 7;

/// The entry of a leaf that links the next leaf.
const NEXT: usize = MAX_KEYS;

/// What an unused key place holds.
const NO_KEY: u32 = u32::MAX;

/// See the module.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Node {
    /// The keys, and in the last lane their number, so that a search reads one whole line.
    line: [u32; MAX_KEYS + 1],
    entries: [u32; MAX_KEYS + 1],
}

const _: () = assert!(size_of::<Node>() == 128);

impl Record for Node {
    const VACANT: Self = Self::EMPTY;
    fn link(&self) -> Handle<Self> {
        Handle::from_raw(self.entries[NEXT])
    }
    fn set_link(&mut self, next: Handle<Self>) {
        self.entries[NEXT] = next.raw();
    }
}

/// Both kinds.
impl Node {
    /// A leaf without levels and without a next leaf.
    pub(super) const EMPTY: Self = {
        let mut line = [NO_KEY; MAX_KEYS + 1];
        line[MAX_KEYS] = 0;
        Self { line, entries: [u32::MAX; MAX_KEYS + 1] }
    };

    /// Number of keys.
    pub(super) const fn len(&self) -> usize {
        self.line[MAX_KEYS] as usize
    }

    const fn keys(&self) -> &[u32; MAX_KEYS] {
        let [keys @ .., _] = &self.line;
        keys
    }

    const fn parts_mut(&mut self) -> (&mut [u32; MAX_KEYS], &mut u32) {
        let [keys @ .., len] = &mut self.line;
        (keys, len)
    }

    /// No key can be added without a split.
    pub(super) const fn is_full(&self) -> bool {
        self.len() == MAX_KEYS
    }

    /// The key at `at`.
    pub(super) const fn key(&self, at: usize) -> u32 {
        self.keys()[at]
    }

    /// Replaces the key at `at`.
    pub(super) const fn set_key(&mut self, at: usize, key: u32) {
        self.parts_mut().0[at] = key;
    }

    /// How many keys are lower than `key`. Unused places never are.
    #[inline(always)]
    pub(super) fn rank<V: Vectors>(&self, key: u32) -> usize {
        // The number of keys is compared like a key.
        V::below_u32x16(&self.line, key) - usize::from(self.line[MAX_KEYS] < key)
    }

    fn insert_key(&mut self, at: usize, key: u32) {
        let (keys, len) = self.parts_mut();
        keys.copy_within(at..MAX_KEYS - 1, at + 1);
        keys[at] = key;
        *len += 1;
    }

    fn remove_key(&mut self, at: usize) {
        let (keys, len) = self.parts_mut();
        keys.copy_within(at + 1.., at);
        keys[MAX_KEYS - 1] = NO_KEY;
        *len -= 1;
    }

    /// Appends keys above all present ones.
    fn append_keys(&mut self, keys: &[u32]) {
        let at = self.len();
        let (own, len) = self.parts_mut();
        own[at..at + keys.len()].copy_from_slice(keys);
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_KEYS")]
        {
            *len += keys.len() as u32;
        }
    }
}

/// Leaves.
impl Node {
    /// Where `key` is.
    #[inline(always)]
    pub(super) fn find<V: Vectors>(&self, key: u32) -> Option<usize> {
        let at = self.rank::<V>(key);
        (at < self.len() && self.line[at & MAX_KEYS] == key).then_some(at)
    }

    /// The level at `at`.
    pub(super) const fn level(&self, at: usize) -> Handle<Segment> {
        Handle::from_raw(self.entries[at])
    }

    /// The leaf with the next higher keys; nil if there is none.
    pub(super) const fn next(&self) -> Handle<Self> {
        Handle::from_raw(self.entries[NEXT])
    }

    /// Links the leaf with the next higher keys.
    pub(super) const fn set_next(&mut self, next: Handle<Self>) {
        self.entries[NEXT] = next.raw();
    }

    /// Gives the level at `at` another last segment.
    pub(super) const fn set_level(&mut self, at: usize, level: Handle<Segment>) {
        self.entries[at] = level.raw();
    }

    /// Enters a level at `at` = `rank(key)`; there must be room.
    pub(super) fn insert_level(&mut self, at: usize, key: u32, level: Handle<Segment>) {
        self.insert_key(at, key);
        self.entries.copy_within(at..NEXT - 1, at + 1);
        self.entries[at] = level.raw();
    }

    /// Takes the level at `at` out.
    pub(super) fn remove_level(&mut self, at: usize) {
        self.remove_key(at);
        self.entries.copy_within(at + 1..NEXT, at);
    }

    /// A full leaf and one level more, as two leaves, and the lowest key of the right one. The left one keeps no link.
    pub(super) fn split_leaf(&self, at: usize, key: u32, level: Handle<Segment>) -> (Self, Self, u32) {
        const HALF: usize = MAX_KEYS.div_ceil(2);
        let keys = inserted(self.keys(), at, key);
        let entries = inserted(&self.entries, at, level.raw());
        let (mut left, mut right) = (Self::EMPTY, Self::EMPTY);
        left.append_keys(&keys[..HALF]);
        left.entries[..HALF].copy_from_slice(&entries[..HALF]);
        right.append_keys(&keys[HALF..=MAX_KEYS]);
        right.entries[..HALF].copy_from_slice(&entries[HALF..=MAX_KEYS]);
        right.set_next(self.next());
        (left, right, keys[HALF])
    }

    /// Appends the next leaf, which is then of no more use.
    pub(super) fn append_leaf(&mut self, right: &Self) {
        let (len, more) = (self.len(), right.len());
        self.append_keys(&right.keys()[..more]);
        self.entries[len..len + more].copy_from_slice(&right.entries[..more]);
        self.set_next(right.next());
    }

    /// Moves the first level of `right` to the end of `left`. Returns the new separator.
    pub(super) fn shift_leaf_left(left: &mut Self, right: &mut Self) -> u32 {
        left.insert_level(left.len(), right.key(0), right.level(0));
        right.remove_level(0);
        right.key(0)
    }

    /// Moves the last level of `left` to the start of `right`. Returns the new separator.
    pub(super) fn shift_leaf_right(left: &mut Self, right: &mut Self) -> u32 {
        let last = left.len() - 1;
        right.insert_level(0, left.key(last), left.level(last));
        left.remove_level(last);
        right.key(0)
    }
}

/// Inner nodes.
impl Node {
    /// A root over two children.
    pub(super) fn root(left: Handle<Self>, separator: u32, right: Handle<Self>) -> Self {
        let mut root = Self::EMPTY;
        root.append_keys(&[separator]);
        root.entries[0] = left.raw();
        root.entries[1] = right.raw();
        root
    }

    /// The child at `at`, `0 ..= len()`.
    pub(super) const fn child(&self, at: usize) -> Handle<Self> {
        Handle::from_raw(self.entries[at])
    }

    /// The child that holds `key`.
    #[inline(always)]
    pub(super) fn child_for<V: Vectors>(&self, key: u32) -> usize {
        // The separators up to the key, which is the number of those below the next one. The highest key of all has no
        // next one, and belongs to the last child.
        key.checked_add(1).map_or(self.len(), |next| self.rank::<V>(next))
    }

    /// Enters `right`, the new right half of the child at `at`; there must be room.
    pub(super) fn insert_child(&mut self, at: usize, separator: u32, right: Handle<Self>) {
        self.insert_key(at, separator);
        self.entries.copy_within(at + 1..MAX_KEYS, at + 2);
        self.entries[at + 1] = right.raw();
    }

    /// Takes the child at `at + 1` out, with the separator before it.
    pub(super) fn remove_child(&mut self, at: usize) {
        self.remove_key(at);
        self.entries.copy_within(at + 2.., at + 1);
    }

    /// A full node and one child more, as two nodes, and the separator between them.
    pub(super) fn split_inner(&self, at: usize, separator: u32, child: Handle<Self>) -> (Self, Self, u32) {
        const HALF: usize = MAX_KEYS.div_ceil(2);
        let keys = inserted(self.keys(), at, separator);
        let entries = inserted(&self.entries, at + 1, child.raw());
        let (mut left, mut right) = (Self::EMPTY, Self::EMPTY);
        left.append_keys(&keys[..HALF]);
        left.entries[..=HALF].copy_from_slice(&entries[..=HALF]);
        right.append_keys(&keys[HALF + 1..=MAX_KEYS]);
        right.entries[..HALF].copy_from_slice(&entries[HALF + 1..=MAX_KEYS + 1]);
        (left, right, keys[HALF])
    }

    /// Appends the node beside it, which is then of no more use.
    pub(super) fn append_inner(&mut self, separator: u32, right: &Self) {
        self.append_keys(&[separator]);
        let (children, more) = (self.len(), right.len() + 1);
        self.append_keys(&right.keys()[..right.len()]);
        self.entries[children..children + more].copy_from_slice(&right.entries[..more]);
    }

    /// Moves the first child of `right` to the end of `left`. Returns the new separator.
    pub(super) fn shift_inner_left(left: &mut Self, separator: u32, right: &mut Self) -> u32 {
        left.append_keys(&[separator]);
        left.entries[left.len()] = right.entries[0];
        let up = right.key(0);
        right.remove_key(0);
        right.entries.copy_within(1.., 0);
        up
    }

    /// Moves the last child of `left` to the start of `right`. Returns the new separator.
    pub(super) fn shift_inner_right(left: &mut Self, separator: u32, right: &mut Self) -> u32 {
        right.insert_key(0, separator);
        right.entries.copy_within(..MAX_KEYS, 1);
        right.entries[0] = left.entries[left.len()];
        let last = left.len() - 1;
        let up = left.key(last);
        left.remove_key(last);
        up
    }
}

/// `from` with `value` put in at `at`; places behind the last one stay unused.
fn inserted<const N: usize>(from: &[u32; N], at: usize, value: u32) -> [u32; MAX_KEYS + 2] {
    let mut all = [u32::MAX; MAX_KEYS + 2];
    all[..at].copy_from_slice(&from[..at]);
    all[at] = value;
    all[at + 1..=N].copy_from_slice(&from[at..]);
    all
}
