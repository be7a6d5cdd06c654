//! What will happen, drawn some messages before: early enough that what it needs can be fetched by then.
//!
//! A plan is what chance says, and which orders count as young. What it comes to is decided when its turn has come; what
//! was looked at on the way there decides nothing.

use super::memory::prefetch;
use super::prices::{Offset, nearby};
use super::random::{Mean, Random, of, part};
use super::venue::{Order, Side, Symbol};
use super::{FEW, Stream, YOUNG};

/// Plans under way; a power of two.
const UNDER_WAY: usize = 32;

/// How many messages before its turn a plan is drawn, and its instrument asked for.
const DRAWN: u64 = 24;

/// When the lists of the instrument are asked for: of its orders, and of its levels.
const LISTED: u64 = 18;

/// When an order or level is found there, and asked for.
const FOUND: u64 = 12;

/// When its neighbours are.
const REACHED: u64 = 6;

/// When those are that a replaced order will have.
const JOINED: u64 = 3;

/// How far before the last order of an instrument's list the one is that is taken for being recent.
const RECENT: Mean = Mean::of(6.0);

/// What happens next, as far as it was left to chance before anything of it was looked at.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) symbol: u16,
    /// An add whatever `kind` says.
    opening: bool,
    /// Which action.
    kind: u32,
    /// Does the instrument gain or lose an order? Is a replaced order moved a bit, or placed anew?
    growth: u32,
    /// Are young orders taken?
    young: u32,
    /// Where they are among the latest adds, to be tried one after the other.
    tries: [u32; 3],
    /// The order of the instrument that is taken otherwise.
    place: Place,
    /// Of an add or an execution.
    pub(super) side: Side,
    /// Where an order joins.
    pub(super) offset: Offset,
    /// For whatever else is to be drawn.
    pub(super) random: Random,
    guess: Guess,
}

/// What a plan will touch, as it looked when it was looked for. Things may come otherwise; it serves for fetching only.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Nothing,
    /// An order that loses shares or leaves.
    Order(u32),
    /// An order that is replaced.
    Replaced(u32),
    /// The level that an order joins.
    Level(u32),
}

/// A place in the list of an instrument's orders.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Any, by a roll.
    Any(u32),
    /// So many before the last.
    Recent(u32),
}

/// What is done with an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Imbalance,
    Trade,
    Add,
    Replace,
    Execute,
    ExecutePriced,
    Cancel,
    Delete,
}

impl Action {
    /// The chance that it is done to a young order of whatever instrument.
    const fn young(self) -> u32 {
        match self {
            Self::Delete => part(42.0),
            Self::Replace => part(35.0),
            _ => 0,
        }
    }
}

/// The thresholds of [`Plan::kind`], each with the ones before it in it; what is above adds or deletes.
#[derive(Debug)]
pub(super) struct Mix {
    imbalance: u32,
    trade: u32,
    replace: u32,
    execute: u32,
    execute_priced: u32,
    cancel: u32,
}

impl Mix {
    pub(super) const fn new(replaces: f64) -> Self {
        Self {
            imbalance: part(1.5),
            trade: part(1.95),
            replace: part(1.95 + replaces),
            execute: part(1.95 + replaces + 2.13),
            execute_priced: part(1.95 + replaces + 2.17),
            cancel: part(1.95 + replaces + 3.21),
        }
    }
}

/// The plans under way.
#[derive(Debug)]
pub(super) struct Plans {
    ring: [Plan; UNDER_WAY],
    seeds: Random,
    /// What the latest plans were about.
    symbols: [u16; 4],
}

impl Plans {
    pub(super) fn new(seeds: Random) -> Self {
        let blank = Plan {
            symbol: 0,
            opening: false,
            kind: 0,
            growth: 0,
            young: 0,
            tries: [0; 3],
            place: Place::Recent(0),
            side: Side::Buy,
            offset: Offset::NONE,
            random: Random::new(0),
            guess: Guess::Nothing,
        };
        Self { ring: std::array::from_fn(|_| blank.clone()), seeds, symbols: [0; 4] }
    }
}

impl Stream {
    /// The plan whose turn it is; those behind it move on.
    #[inline]
    pub(super) fn plan(&mut self, turn: u64) -> Plan {
        if turn == 0 {
            (0..DRAWN).for_each(|at| self.draw(at));
        }
        self.draw(turn + DRAWN);
        self.look_at_lists(turn + LISTED);
        self.look_for(turn + FOUND);
        self.look_around(turn + REACHED);
        self.look_behind(turn + JOINED);
        self.plans.ring[turn as usize % UNDER_WAY].clone()
    }

    /// What `plan` comes to as its instrument is now.
    #[inline]
    pub(super) fn action(&self, plan: &Plan) -> Action {
        if plan.opening {
            return Action::Add;
        }
        let symbol = &self.venue.symbols[usize::from(plan.symbol)];
        let (few, mix) = (symbol.orders.len() < FEW.min(symbol.aim as usize), &self.mix);
        if plan.kind >= mix.cancel {
            if few || plan.growth < growth(symbol) { Action::Add } else { Action::Delete }
        } else if plan.kind < mix.imbalance {
            Action::Imbalance
        } else if plan.kind < mix.trade {
            Action::Trade
        } else if few {
            Action::Add
        } else if plan.kind < mix.replace {
            Action::Replace
        } else if plan.kind < mix.execute {
            Action::Execute
        } else if plan.kind < mix.execute_priced {
            Action::ExecutePriced
        } else {
            Action::Cancel
        }
    }

    /// The order that `plan` takes as things are now; `None` if there is none.
    #[inline]
    pub(super) fn pick(&self, plan: &Plan, action: Action) -> Option<u32> {
        if plan.young < action.young() {
            for at in plan.tries {
                let (id, reference) = self.latest[at as usize % YOUNG];
                if self.venue.orders.get(id as usize).is_some_and(|order| order.order_ref as u32 == reference)
                {
                    return Some(id);
                }
            }
        }
        let orders = &self.venue.symbols[usize::from(plan.symbol)].orders;
        orders.get(plan.place.among(orders)?).copied()
    }

    /// The price at which an order joins that replaces `order`, which is still there.
    #[inline]
    pub(super) fn new_price(&self, plan: &Plan, order: u32) -> u32 {
        let &Order { symbol, side, .. } = self.venue.order(order);
        let symbol = &self.venue.symbols[usize::from(symbol)];
        // What is behind a giant's best price by its measure would be out of all proportion elsewhere.
        let alike = symbol.giant == self.venue.symbols[usize::from(plan.symbol)].giant;
        if alike && plan.growth < const { part(60.0) } {
            plan.offset.price(symbol, side)
        } else {
            nearby(symbol, side, self.venue.ticks(order), plan.growth.wrapping_mul(0x9e37_79b9))
        }
    }

    fn draw(&mut self, at: u64) {
        let mut random = Random::new(self.plans.seeds.bits());
        let opening = !self.climbed && random.chance(self.opening);
        let symbol = if opening {
            self.aims.draw(&mut random)
        } else if random.chance(const { part(35.0) }) {
            self.plans.symbols[random.below(4) as usize]
        } else {
            self.activity.draw(&mut random)
        };
        if !opening {
            self.plans.symbols[(at & 3) as usize] = symbol;
        }
        let [kind, growth] = random.rolls();
        let [young, old] = random.rolls();
        let mut tries = [0; 3];
        if young < Action::Delete.young() {
            // What is not as long ago as the first add is the first add.
            tries = tries.map(|_: u32| {
                let back = self.exponential.draw(&mut random, self.young).min(YOUNG as u64 - 1);
                self.adds.saturating_sub(1 + back as usize) as u32
            });
        }
        let place = if old < self.old {
            Place::Any(random.roll())
        } else {
            Place::Recent(self.exponential.draw(&mut random, RECENT) as u32)
        };
        let offset = self.prices(symbol).draw(&mut random, &self.exponential);
        // The lowest bit of a roll decides nothing else.
        let side = if young & 1 == 0 { Side::Buy } else { Side::Sell };
        prefetch(&self.venue.symbols, usize::from(symbol));
        self.plans.ring[at as usize % UNDER_WAY] = Plan {
            symbol,
            opening,
            kind,
            growth,
            young,
            tries,
            place,
            side,
            offset,
            random,
            guess: Guess::Nothing,
        };
    }

    fn look_at_lists(&self, at: u64) {
        let plan = &self.plans.ring[at as usize % UNDER_WAY];
        if plan.young < Action::Delete.young() {
            for at in plan.tries {
                prefetch(&self.venue.orders, self.latest[at as usize % YOUNG].0 as usize);
            }
        }
        let symbol = &self.venue.symbols[usize::from(plan.symbol)];
        prefetch(&symbol.orders, symbol.orders.len().wrapping_sub(1));
        if let Place::Any(_) = plan.place
            && let Some(place) = plan.place.among(&symbol.orders)
        {
            prefetch(&symbol.orders, place);
        }
        self.venue.prefetch_side(plan.symbol, plan.side);
    }

    fn look_for(&mut self, at: u64) {
        let plan = &self.plans.ring[at as usize % UNDER_WAY];
        let action = self.action(plan);
        let guess = match action {
            Action::Imbalance | Action::Trade => None,
            Action::Add => {
                let ticks = plan.offset.price(&self.venue.symbols[usize::from(plan.symbol)], plan.side);
                self.venue.find(plan.symbol, plan.side, ticks).map(Guess::Level)
            }
            Action::Execute | Action::ExecutePriced => {
                self.venue.front(plan.symbol, plan.side).map(Guess::Order)
            }
            Action::Replace => self.pick(plan, action).map(Guess::Replaced),
            Action::Cancel | Action::Delete => self.pick(plan, action).map(Guess::Order),
        };
        let guess = guess.unwrap_or(Guess::Nothing);
        match guess {
            Guess::Nothing => {}
            Guess::Order(order) | Guess::Replaced(order) => prefetch(&self.venue.orders, order as usize),
            Guess::Level(level) => self.venue.prefetch_level(level),
        }
        self.plans.ring[at as usize % UNDER_WAY].guess = guess;
    }

    fn look_around(&mut self, at: u64) {
        let plan = &self.plans.ring[at as usize % UNDER_WAY];
        match plan.guess {
            Guess::Nothing => {}
            Guess::Level(level) => self.venue.prefetch_back(level),
            Guess::Order(order) => self.venue.prefetch_neighbours(order),
            Guess::Replaced(order) => {
                self.venue.prefetch_neighbours(order);
                let &Order { symbol, side, .. } = self.venue.order(order);
                let level = self.venue.find(symbol, side, self.new_price(plan, order));
                self.plans.ring[at as usize % UNDER_WAY].guess = match level {
                    Some(level) => {
                        self.venue.prefetch_level(level);
                        Guess::Level(level)
                    }
                    None => Guess::Nothing,
                };
            }
        }
    }

    fn look_behind(&self, at: u64) {
        if let Guess::Level(level) = self.plans.ring[at as usize % UNDER_WAY].guess {
            self.venue.prefetch_back(level);
        }
    }
}

impl Place {
    /// `None` in an empty list.
    #[inline]
    fn among(self, orders: &[u32]) -> Option<usize> {
        let last = orders.len().checked_sub(1)?;
        Some(match self {
            Self::Any(roll) => of(roll, orders.len() as u32) as usize,
            Self::Recent(back) => last.saturating_sub(back as usize),
        })
    }
}

/// The chance that an instrument gains an order rather than losing one: so much above a half that it makes up for the
/// executions, more for as long as it has fewer orders than it should, less if it has more.
#[inline]
fn growth(symbol: &Symbol) -> u32 {
    let (live, aim) = (symbol.orders.len() as i64, i64::from(symbol.aim));
    let slope = if live > aim { const { part(35.0) } } else { const { part(24.5) } };
    let lack = (aim - live).max(-aim);
    (i64::from(const { part(50.65) }) + i64::from(slope) * lack / aim) as u32
}
