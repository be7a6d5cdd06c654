//! What the exchange knows of one client: its orders and what it owns.

use std::collections::BTreeMap;

use crate::book::NIL;
use crate::market::{Entered, Fill, Market};
use crate::ouch::{Enter, Reject};
use crate::units::{Side, Symbol};

/// Executions that an account remembers, in case they are broken.
const REMEMBERED: usize = 1 << 16;

/// One client's account. Shares and money are exact integers.
#[derive(Clone, Debug, Default)]
pub struct Account {
    last_user_ref: u32,
    open: BTreeMap<u32, OpenOrder>,
    positions: BTreeMap<Symbol, Position>,
    /// The latest executions, by match number (which rises) and order: both sides may be this client's.
    executions: BTreeMap<(u64, u32), Execution>,
}

/// What has to be known of an execution to undo it.
#[derive(Clone, Copy, Debug)]
struct Execution {
    symbol: Symbol,
    side: Side,
    shares: u32,
    price: u32,
    cl_ord_id: [u8; 14],
}

impl Execution {
    fn money(&self) -> i128 {
        i128::from(self.shares) * i128::from(self.price)
    }
}

/// What a client owns of one instrument through its executions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Shares bought.
    pub bought: u64,
    /// Shares sold.
    pub sold: u64,
    /// Money from sales less money for purchases, 1/10,000 dollars.
    pub cash: i128,
    /// Executions, those left out that were broken.
    pub executions: u64,
}

impl Position {
    /// Shares owned, negative when more were sold than bought.
    #[must_use]
    pub fn shares(&self) -> i64 {
        self.bought.cast_signed() - self.sold.cast_signed()
    }

    fn execute(&mut self, execution: &Execution) {
        self.executions += 1;
        match execution.side {
            Side::Buy => {
                self.bought += u64::from(execution.shares);
                self.cash -= execution.money();
            }
            Side::Sell => {
                self.sold += u64::from(execution.shares);
                self.cash += execution.money();
            }
        }
    }

    fn undo(&mut self, execution: &Execution) {
        self.executions -= 1;
        match execution.side {
            Side::Buy => {
                self.bought -= u64::from(execution.shares);
                self.cash += execution.money();
            }
            Side::Sell => {
                self.sold -= u64::from(execution.shares);
                self.cash -= execution.money();
            }
        }
    }
}

/// An order that may still trade.
#[derive(Clone, Copy, Debug)]
pub struct OpenOrder {
    /// The order in force: as entered, or as last replaced. Its quantity is the total of the chain.
    pub entered: Enter,
    /// Its side in the book.
    pub side: Side,
    /// Shares of the chain that were executed.
    pub executed: u32,
    /// Shares of the chain that were cancelled.
    pub canceled: u32,
    /// The reference in the feed.
    pub order_ref: u64,
    /// Where it rests in the market.
    pub(super) slot: u32,
}

impl OpenOrder {
    pub(super) fn new(entered: Enter, side: Side, how: &Entered) -> Self {
        let slot = how.slot.unwrap_or(NIL);
        Self { entered, side, executed: 0, canceled: 0, order_ref: how.order_ref, slot }
    }

    /// The order that takes this one's place: what was executed stays executed.
    pub(super) fn replaced(&self, entered: Enter, how: &Entered) -> Self {
        Self { executed: self.executed, ..Self::new(entered, self.side, how) }
    }

    /// Shares that may still trade.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.entered.quantity.saturating_sub(self.executed).saturating_sub(self.canceled)
    }

    pub(super) fn instrument(&self, market: &Market) -> Result<u32, Reject> {
        market.instrument_of(self.entered.symbol).ok_or(Reject::Symbol)
    }
}

impl Account {
    /// The lowest number that a new order may have.
    #[must_use]
    pub fn next_user_ref(&self) -> u32 {
        self.last_user_ref.saturating_add(1)
    }

    /// Uses a number up. False when it is not above the last one.
    pub(super) fn use_number(&mut self, user_ref: u32) -> bool {
        let rises = user_ref > self.last_user_ref;
        if rises {
            self.last_user_ref = user_ref;
        }
        rises
    }

    pub(super) fn open(&mut self, order: OpenOrder) {
        self.open.insert(order.entered.user_ref, order);
    }

    pub(super) fn remove(&mut self, user_ref: u32) -> Option<OpenOrder> {
        self.open.remove(&user_ref)
    }

    /// Takes cancelled shares off an order, and the order away when none are left.
    pub(super) fn reduce(&mut self, user_ref: u32, shares: u32) {
        if let Some(order) = self.open.get_mut(&user_ref) {
            order.canceled += shares;
            if order.left() == 0 {
                self.open.remove(&user_ref);
            }
        }
    }

    pub(super) fn execute(&mut self, user_ref: u32, fill: &Fill) {
        let Some(order) = self.open.get_mut(&user_ref) else { return };
        order.executed += fill.shares;
        let execution = Execution {
            symbol: order.entered.symbol,
            side: order.side,
            shares: fill.shares,
            price: fill.price,
            cl_ord_id: order.entered.cl_ord_id,
        };
        if order.left() == 0 {
            self.open.remove(&user_ref);
        }
        self.positions.entry(execution.symbol).or_default().execute(&execution);
        if self.executions.len() >= REMEMBERED {
            self.executions.pop_first();
        }
        self.executions.insert((fill.match_number, user_ref), execution);
    }

    /// Undoes an execution, but not what it did to its order. The client's own text of that order; `None` when the
    /// execution is not remembered any more, or was broken before.
    pub(super) fn break_trade(&mut self, user_ref: u32, match_number: u64) -> Option<[u8; 14]> {
        let execution = self.executions.remove(&(match_number, user_ref))?;
        self.positions.entry(execution.symbol).or_default().undo(&execution);
        Some(execution.cl_ord_id)
    }

    /// An open order by its number.
    #[must_use]
    pub fn order(&self, user_ref: u32) -> Option<&OpenOrder> {
        self.open.get(&user_ref)
    }

    /// Open orders, by number.
    pub fn open_orders(&self) -> impl ExactSizeIterator<Item = &OpenOrder> {
        self.open.values()
    }

    /// The position in one instrument; nothing if it never traded.
    #[must_use]
    pub fn position(&self, symbol: Symbol) -> Position {
        self.positions.get(&symbol).copied().unwrap_or_default()
    }

    /// Positions in every instrument that ever traded, by symbol.
    pub fn positions(&self) -> impl Iterator<Item = (Symbol, Position)> {
        self.positions.iter().map(|(symbol, position)| (*symbol, *position))
    }
}
