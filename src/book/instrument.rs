//! What the books know of one instrument: its gates, its best levels, and where the deep ones are.
//!
//! | line | holds | is touched by |
//! |---|---|---|
//! | 0 | gates, volume, the best level of either side | every message |
//! | 1 | the roots of the deep levels | levels that come and go behind the near ones |
//! | 2, 3 | keys and last segments of the near bids | adds and replacements on that side; a level that goes |
//! | 4, 5 | the same of the near asks | the same |
//!
//! The *near* levels of a side are its best ones, up to sixteen, sorted, in two lines of their own: nearly everything
//! happens there. The others are in a [`Tree`]. Levels change over in portions, so that a side that grows and shrinks
//! around sixteen levels does not pay at each of them.

use crate::market::{BookState, Side, TradingState};

use super::node::Node;
use super::pool::{Handle, Pool};
use super::segment::Segment;
use super::tree::{Full, Tree};
use super::vectors::Vectors;

/// Most near levels of a side.
const NEAR: usize = 16;

/// Near levels that go to the tree at once where there is no room for another.
const SPILLED: usize = 4;

/// Fewest near levels of a side that has others in its tree.
const FEWEST: usize = 4;

/// Levels that come from the tree at once where near ones are too few.
const FETCHED: usize = 6;

/// One instrument. See the [module](self).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub(super) struct Instrument {
    /// Indexed by [`Side`], as are the next two.
    tops: [Top; 2],
    /// Shares traded today; see [`Books::volume`](super::Books::volume).
    pub(super) volume: u64,
    /// Shares in a round lot; 0 before the directory named it.
    pub(super) round_lot: u32,
    /// The round of [`General`] in which `state` was said; in any other round the general state holds.
    singled_out: u32,
    /// The market-wide halts before `trading` was said; after a further one it is void.
    halts: u32,
    state: BookState,
    trading: TradingState,
    pub(super) operational_halt: bool,
    /// The directory named it.
    pub(super) listed: bool,
    trees: Trees,
    near: [Near; 2],
}

const _: () = assert!(size_of::<Instrument>() == 384 && std::mem::offset_of!(Instrument, trees) == 64);

/// The best level of a side, and how many there are.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Top {
    /// Nil without levels.
    last: Handle<Segment>,
    /// `u32::MAX` without levels.
    key: u32,
    /// Near levels.
    near: u32,
    /// Near and deep ones.
    levels: u32,
}

/// The deep levels of both sides.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Trees([Tree; 2]);

/// The near levels of a side, best first.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
struct Near {
    /// `u32::MAX` where there is no level.
    keys: [u32; NEAR],
    /// Nil where there is no level.
    lasts: [u32; NEAR],
}

/// Where a key belongs on a side.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    /// The level is there: its last segment, and its number among the near ones, or a higher one.
    Level(Handle<Segment>, usize),
    /// It would be the near level with this number.
    Near(usize),
    /// It would be a deep one.
    Deep,
}

/// What holds for every instrument that was not singled out since it was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct General {
    state: BookState,
    /// How often the state was said for all.
    round: u32,
    /// Market-wide halts so far.
    halts: u32,
}

impl General {
    /// Nothing was said: every gate closed.
    pub(super) const CLOSED: Self = Self { state: BookState::Stale, round: 1, halts: 1 };

    /// Sets the state of all instruments, whatever was said of single ones.
    pub(super) const fn set_all(&mut self, state: BookState) {
        self.state = state;
        self.round = self.round.wrapping_add(1);
    }

    /// Sets the state of those that were not singled out since it was last set for all.
    pub(super) const fn set_rest(&mut self, state: BookState) {
        self.state = state;
    }

    /// Halts all instruments.
    pub(super) const fn halt(&mut self) {
        self.halts = self.halts.wrapping_add(1);
    }
}

impl Instrument {
    /// An instrument of which nothing is known: every gate closed.
    pub(super) const UNKNOWN: Self = Self {
        tops: [Top { last: Handle::NIL, key: u32::MAX, near: 0, levels: 0 }; 2],
        volume: 0,
        round_lot: 0,
        singled_out: 0,
        halts: 0,
        state: BookState::Stale,
        trading: TradingState::Halted,
        operational_halt: false,
        listed: false,
        trees: Trees([Tree::EMPTY; 2]),
        near: [Near { keys: [u32::MAX; NEAR], lasts: [u32::MAX; NEAR] }; 2],
    };

    pub(super) const fn state(&self, general: General) -> BookState {
        if self.singled_out == general.round { self.state } else { general.state }
    }

    pub(super) const fn set_state(&mut self, general: General, state: BookState) {
        self.state = state;
        self.singled_out = general.round;
    }

    pub(super) const fn set_trading(&mut self, general: General, trading: TradingState) {
        self.trading = trading;
        self.halts = general.halts;
    }

    /// The latest market-wide halt does not concern it, whatever was in force before.
    pub(super) const fn spare(&mut self, general: General) {
        if self.halts.wrapping_add(1) == general.halts {
            self.halts = general.halts;
        }
    }

    /// All gates together: an operational halt stops trading whatever else was announced, a market-wide one until the
    /// instrument's own state is announced again.
    pub(super) const fn trading_state(&self, general: General) -> TradingState {
        if self.operational_halt || self.halts != general.halts { TradingState::Halted } else { self.trading }
    }
}

/// Levels.
impl Instrument {
    /// `key` is that of the best level, which is there.
    #[inline(always)]
    pub(super) const fn is_best(&self, side: Side, key: u32) -> bool {
        self.tops[side as usize].key == key
    }

    /// The last segment of the best level; nil if there is none.
    #[inline(always)]
    pub(super) const fn best(&self, side: Side) -> Handle<Segment> {
        self.tops[side as usize].last
    }

    /// Number of levels.
    pub(super) const fn levels(&self, side: Side) -> u32 {
        self.tops[side as usize].levels
    }

    /// There are orders on both sides, and the best bid is not below the best ask.
    #[inline(always)]
    pub(super) const fn is_crossed(&self) -> bool {
        let [bid, ask] = &self.tops;
        // The key of a bid is the complement of its price.
        // Without levels it is the highest key: a bid of 0, which there is not, or the highest ask of all.
        (!bid.key >= ask.key) & !bid.last.is_nil() & !ask.last.is_nil()
    }

    /// Where `key` is or belongs.
    #[inline(always)]
    pub(super) fn spot<V: Vectors>(&self, nodes: &Pool<Node>, side: Side, key: u32) -> Spot {
        let (top, near) = (&self.tops[side as usize], &self.near[side as usize]);
        let count = top.near as usize;
        let at = V::below_u32x16(&near.keys, key);
        // Places without a level hold the highest key of all, and may be as many as sixteen.
        if at < count && near.keys[at & (NEAR - 1)] == key {
            return Spot::Level(Handle::from_raw(near.lasts[at & (NEAR - 1)]), at);
        }
        if at < count || (top.levels == top.near && count < NEAR) {
            return Spot::Near(at.min(count));
        }
        self.deep::<V>(nodes, side, key)
    }

    #[inline(always)]
    fn deep<V: Vectors>(&self, nodes: &Pool<Node>, side: Side, key: u32) -> Spot {
        self.trees.0[side as usize].find::<V>(nodes, key).map_or(Spot::Deep, |last| Spot::Level(last, NEAR))
    }

    /// Enters a level where [`Self::spot`] said that it belongs.
    ///
    /// # Errors
    /// [`Full`], with nothing changed, if the nodes may not suffice.
    #[inline(always)]
    pub(super) fn enter<V: Vectors>(
        &mut self,
        nodes: &mut Pool<Node>,
        side: Side,
        (spot, key): (Spot, u32),
        last: Handle<Segment>,
    ) -> Result<(), Full> {
        let at = match spot {
            Spot::Near(at) if at < NEAR => at,
            _ => return self.enter_deep(nodes, side, key, last),
        };
        if self.tops[side as usize].near as usize == NEAR {
            self.spill(nodes, side)?;
            // Behind one that has just become deep.
            if at > self.tops[side as usize].near as usize {
                return self.enter_deep(nodes, side, key, last);
            }
        }
        let (top, near) = (&mut self.tops[side as usize], &mut self.near[side as usize]);
        V::open_u32x16(&mut near.keys, at, key);
        V::open_u32x16(&mut near.lasts, at, last.raw());
        top.near += 1;
        top.levels += 1;
        top.key = near.keys[0];
        top.last = Handle::from_raw(near.lasts[0]);
        Ok(())
    }

    #[inline(never)]
    fn enter_deep(
        &mut self,
        nodes: &mut Pool<Node>,
        side: Side,
        key: u32,
        last: Handle<Segment>,
    ) -> Result<(), Full> {
        self.trees.0[side as usize].insert(nodes, key, last)?;
        self.tops[side as usize].levels += 1;
        Ok(())
    }

    /// Makes room among the near levels.
    #[inline(never)]
    fn spill(&mut self, nodes: &mut Pool<Node>, side: Side) -> Result<(), Full> {
        let (top, near) = (&mut self.tops[side as usize], &mut self.near[side as usize]);
        for _ in 0..SPILLED {
            let last = top.near as usize - 1;
            self.trees.0[side as usize].insert(nodes, near.keys[last], Handle::from_raw(near.lasts[last]))?;
            near.keys[last] = u32::MAX;
            near.lasts[last] = u32::MAX;
            top.near -= 1;
        }
        Ok(())
    }

    /// Gives a level another last segment, where [`Self::spot`] found it.
    #[inline(never)]
    pub(super) fn set_last(
        &mut self,
        nodes: &mut Pool<Node>,
        side: Side,
        (at, key): (usize, u32),
        last: Handle<Segment>,
    ) {
        let (top, near) = (&mut self.tops[side as usize], &mut self.near[side as usize]);
        if let Some(known) = near.lasts.get_mut(at) {
            *known = last.raw();
            top.last = Handle::from_raw(near.lasts[0]);
        } else {
            self.trees.0[side as usize].set_last(nodes, key, last);
        }
    }

    /// Gives the level with `key` another last segment, wherever it is.
    #[inline(never)]
    pub(super) fn end_at(&mut self, nodes: &mut Pool<Node>, side: Side, key: u32, last: Handle<Segment>) {
        if let Spot::Level(_, at) = self.spot::<super::vectors::Portable>(nodes, side, key) {
            self.set_last(nodes, side, (at, key), last);
        }
    }

    /// Takes the level with `key` out; nothing happens if there is none.
    #[inline(always)]
    pub(super) fn remove<V: Vectors>(&mut self, nodes: &mut Pool<Node>, side: Side, key: u32) {
        let (top, near) = (&mut self.tops[side as usize], &mut self.near[side as usize]);
        let at = V::below_u32x16(&near.keys, key);
        if at >= top.near as usize {
            return self.remove_deep(nodes, side, key);
        }
        V::close_u32x16(&mut near.keys, at, u32::MAX);
        V::close_u32x16(&mut near.lasts, at, u32::MAX);
        top.near -= 1;
        top.levels -= 1;
        top.key = near.keys[0];
        top.last = Handle::from_raw(near.lasts[0]);
        if (top.near as usize) < FEWEST && top.levels != top.near {
            self.fetch(nodes, side);
        }
    }

    #[inline(never)]
    fn remove_deep(&mut self, nodes: &mut Pool<Node>, side: Side, key: u32) {
        let tree = &mut self.trees.0[side as usize];
        let before = tree.levels();
        tree.remove(nodes, key);
        self.tops[side as usize].levels -= before - tree.levels();
    }

    /// Gets near levels from the tree.
    #[inline(never)]
    fn fetch(&mut self, nodes: &mut Pool<Node>, side: Side) {
        let (top, near) = (&mut self.tops[side as usize], &mut self.near[side as usize]);
        let tree = &mut self.trees.0[side as usize];
        for _ in 0..FETCHED {
            let Some((key, last)) = tree.first(nodes) else { break };
            tree.remove(nodes, key);
            near.keys[top.near as usize] = key;
            near.lasts[top.near as usize] = last.raw();
            top.near += 1;
        }
        top.key = near.keys[0];
        top.last = Handle::from_raw(near.lasts[0]);
    }

    /// The level at `key`.
    pub(super) fn level(&self, nodes: &Pool<Node>, side: Side, key: u32) -> Option<Handle<Segment>> {
        match self.spot::<super::vectors::Portable>(nodes, side, key) {
            Spot::Level(level, _) => Some(level),
            Spot::Near(_) | Spot::Deep => None,
        }
    }

    /// The level with `rank` better ones.
    #[inline(always)]
    pub(super) fn ranked(&self, nodes: &Pool<Node>, side: Side, rank: usize) -> Option<Handle<Segment>> {
        match self.near[side as usize].lasts.get(rank) {
            Some(last) if rank < self.tops[side as usize].near as usize => Some(Handle::from_raw(*last)),
            _ => self.ladder(nodes, side).nth(rank).map(|(_, level)| level),
        }
    }

    /// The levels of a side with their keys, best first.
    pub(super) fn ladder(
        &self,
        nodes: &Pool<Node>,
        side: Side,
    ) -> impl Iterator<Item = (u32, Handle<Segment>)> {
        let near = &self.near[side as usize];
        near.keys
            .iter()
            .copied()
            .zip(near.lasts.iter().copied().map(Handle::from_raw))
            .take(self.tops[side as usize].near as usize)
            .chain(self.trees.0[side as usize].iter(nodes))
    }

    /// The near level that is most likely at `key`, without proof, and whether it is more likely a deep one.
    #[inline(always)]
    pub(super) fn hint<V: Vectors>(&self, side: Side, key: u32) -> (Handle<Segment>, bool) {
        let (top, near) = (&self.tops[side as usize], &self.near[side as usize]);
        let at = V::below_u32x16(&near.keys, key);
        let deep = (at >= top.near as usize) & (top.levels != top.near);
        (Handle::from_raw(near.lasts[at & (NEAR - 1)]), deep)
    }

    /// The deep levels of a side.
    #[inline(always)]
    pub(super) const fn tree(&self, side: Side) -> &Tree {
        &self.trees.0[side as usize]
    }

    /// Asks for the line where the deep levels begin before it is needed.
    #[inline(always)]
    pub(super) fn prefetch_trees(&self) {
        crate::prefetch::line(&raw const self.trees);
    }

    /// Asks for the lines of the near levels before they are needed, whatever the place.
    #[inline(always)]
    pub(super) fn prefetch_near(instruments: &[Self], locate: u16, side: usize) {
        let here = instruments.as_ptr().wrapping_add(usize::from(locate)).cast::<u8>();
        let near = here.wrapping_add(std::mem::offset_of!(Self, near) + (side & 1) * size_of::<Near>());
        crate::prefetch::line(near);
        crate::prefetch::line(near.wrapping_add(64));
    }
}
