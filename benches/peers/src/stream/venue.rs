//! The orders of the exchange that a stream tells of: who rests where, in what order.
//!
//! Prices are ticks of a cent. Everything is held by handles into three arrays; an order knows its level and its
//! neighbours in the queue there, so that nothing is searched when it leaves.

use super::ladder::{Ladder, NONE, Rung};
use super::memory::{prefetch, roomy};

/// The highest price, ticks: 199,999.99.
pub(super) const MAX_TICKS: u32 = 19_999_999;

/// Side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Buy,
    Sell,
}

impl Side {
    /// As the wire says it.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Buy => b'B',
            Self::Sell => b'S',
        }
    }

    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// What a better price has more of. Its own inverse.
    const fn key(self, ticks: u32) -> u32 {
        match self {
            Self::Buy => ticks,
            Self::Sell => u32::MAX - ticks,
        }
    }
}

/// A live order; what is not live has no reference.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Order {
    pub(super) order_ref: u64,
    pub(super) shares: u32,
    level: u32,
    ahead: u32,
    behind: u32,
    /// Where the order is in the list of its symbol.
    place: u32,
    pub(super) symbol: u16,
    pub(super) side: Side,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Level {
    ticks: u32,
    front: u32,
    back: u32,
}

/// An instrument and its book.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Symbol {
    ladders: [Ladder; 2],
    /// Live orders. One that leaves gives its place to the last.
    pub(super) orders: Vec<u32>,
    /// Live orders that the instrument is to have.
    pub(super) aim: u32,
    /// What it costs, ticks.
    pub(super) worth: u32,
    pub(super) name: [u8; 8],
    pub(super) giant: bool,
}

impl Symbol {
    pub(super) fn new(aim: u32, worth: u32, name: [u8; 8], giant: bool) -> Self {
        let orders = Vec::with_capacity(aim as usize + 16);
        Self { ladders: [Ladder::new(), Ladder::new()], orders, aim, worth, name, giant }
    }

    /// The best price of a side, ticks.
    #[inline]
    pub(super) fn best(&self, side: Side) -> Option<u32> {
        Some(side.key(self.ladders[side as usize].best()?.key))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Venue {
    pub(super) symbols: Vec<Symbol>,
    pub(super) orders: Vec<Order>,
    free_orders: Vec<u32>,
    levels: Vec<Level>,
    free_levels: Vec<u32>,
    pub(super) peak_live: u32,
    pub(super) peak_levels: u32,
    /// Most levels that one side had.
    pub(super) deepest_side: u32,
}

impl Venue {
    pub(super) fn new(symbols: Vec<Symbol>, live: u32) -> Self {
        Self {
            symbols,
            orders: roomy(live as usize + live as usize / 8),
            free_orders: Vec::new(),
            levels: roomy(live as usize / 3),
            free_levels: Vec::new(),
            peak_live: 0,
            peak_levels: 0,
            deepest_side: 0,
        }
    }

    #[inline]
    pub(super) const fn live(&self) -> u32 {
        (self.orders.len() - self.free_orders.len()) as u32
    }

    pub(super) const fn levels(&self) -> u32 {
        (self.levels.len() - self.free_levels.len()) as u32
    }

    pub(super) fn order(&self, order: u32) -> &Order {
        &self.orders[order as usize]
    }

    /// Price of an order, ticks.
    pub(super) fn ticks(&self, order: u32) -> u32 {
        self.levels[self.orders[order as usize].level as usize].ticks
    }

    /// The order that is executed next on a side.
    pub(super) fn front(&self, symbol: u16, side: Side) -> Option<u32> {
        let best = self.symbols[usize::from(symbol)].ladders[side as usize].best()?;
        Some(self.levels[best.level as usize].front)
    }

    /// The level at a price.
    pub(super) fn find(&self, symbol: u16, side: Side, ticks: u32) -> Option<u32> {
        self.symbols[usize::from(symbol)].ladders[side as usize].find(side.key(ticks))
    }

    /// What leads to the levels of a side.
    pub(super) fn prefetch_side(&self, symbol: u16, side: Side) {
        let ladder = &self.symbols[usize::from(symbol)].ladders[side as usize];
        ladder.prefetch();
        if let Some(best) = ladder.best() {
            self.prefetch_level(best.level);
        }
    }

    pub(super) fn prefetch_level(&self, level: u32) {
        prefetch(&self.levels, level as usize);
    }

    /// The order behind which the next one joins.
    pub(super) fn prefetch_back(&self, level: u32) {
        prefetch(&self.orders, self.levels[level as usize].back as usize);
    }

    /// What an order touches when it leaves: its level, its neighbours there, and the list of its symbol.
    pub(super) fn prefetch_neighbours(&self, order: u32) {
        let order = &self.orders[order as usize];
        prefetch(&self.orders, order.ahead as usize);
        prefetch(&self.orders, order.behind as usize);
        prefetch(&self.levels, order.level as usize);
        // It gives its place in its symbol's list to the last.
        let list = &self.symbols[usize::from(order.symbol)].orders;
        if let Some(last) = list.last() {
            prefetch(list, order.place as usize);
            prefetch(&self.orders, *last as usize);
        }
    }

    /// An order joins the queue at its price.
    pub(super) fn join(&mut self, symbol: u16, side: Side, ticks: u32, shares: u32, order_ref: u64) -> u32 {
        let id = self.free_orders.pop().unwrap_or(self.orders.len() as u32);
        let level = self.level(symbol, side, ticks);
        let list = &mut self.symbols[usize::from(symbol)].orders;
        let ahead = std::mem::replace(&mut self.levels[level as usize].back, id);
        let place = list.len() as u32;
        list.push(id);
        if ahead == NONE {
            self.levels[level as usize].front = id;
        } else {
            self.orders[ahead as usize].behind = id;
        }
        let order = Order { order_ref, shares, level, ahead, behind: NONE, place, symbol, side };
        match self.orders.get_mut(id as usize) {
            Some(vacant) => *vacant = order,
            None => self.orders.push(order),
        }
        self.peak_live = self.peak_live.max(self.live());
        id
    }

    /// An order loses shares, fewer than it has.
    pub(super) fn reduce(&mut self, order: u32, shares: u32) {
        self.orders[order as usize].shares -= shares;
    }

    /// An order leaves.
    pub(super) fn leave(&mut self, id: u32) {
        let order = self.orders[id as usize];
        let symbol = &mut self.symbols[usize::from(order.symbol)];
        symbol.orders.swap_remove(order.place as usize);
        if let Some(moved) = symbol.orders.get(order.place as usize) {
            self.orders[*moved as usize].place = order.place;
        }
        let level = &mut self.levels[order.level as usize];
        if order.ahead == NONE {
            level.front = order.behind;
        } else {
            self.orders[order.ahead as usize].behind = order.behind;
        }
        if order.behind == NONE {
            level.back = order.ahead;
        } else {
            self.orders[order.behind as usize].ahead = order.ahead;
        }
        if level.front == NONE {
            symbol.ladders[order.side as usize].remove(order.side.key(level.ticks));
            self.free_levels.push(order.level);
        }
        self.orders[id as usize].order_ref = 0;
        self.free_orders.push(id);
    }

    /// The level at a price, made if it is not there.
    fn level(&mut self, symbol: u16, side: Side, ticks: u32) -> u32 {
        let key = side.key(ticks);
        let ladder = &mut self.symbols[usize::from(symbol)].ladders[side as usize];
        if let Some(level) = ladder.find(key) {
            return level;
        }
        let level = self.free_levels.pop().unwrap_or(self.levels.len() as u32);
        ladder.insert(Rung { key, level });
        self.deepest_side = self.deepest_side.max(ladder.rungs());
        let empty = Level { ticks, front: NONE, back: NONE };
        match self.levels.get_mut(level as usize) {
            Some(vacant) => *vacant = empty,
            None => self.levels.push(empty),
        }
        self.peak_levels = self.peak_levels.max(self.levels());
        level
    }
}
