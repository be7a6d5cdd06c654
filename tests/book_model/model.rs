//! What the books must do, written the plainest way: maps of queues, everything searched, nothing kept twice.

use std::collections::{BTreeMap, HashMap, VecDeque};

use wirebook::book::{Anomaly, BookCounters, Books, Change, Limits, Outcome, QueuePosition, RestingOrder};
use wirebook::market::{BookState, Event, EventKind, Level, Price, Side, Symbol, TopOfBook, TradingState};

#[derive(Default)]
pub(crate) struct ModelBook {
    /// Bids and asks by price; each queue front first, of (reference, shares).
    sides: [BTreeMap<Price, VecDeque<(u64, u32)>>; 2],
    state: BookState,
    /// Its state was set or spoiled since that of all was set.
    singled_out: bool,
    trading: TradingState,
    operational_halt: bool,
    directory: Option<(Symbol, u32)>,
    volume: u64,
}

impl ModelBook {
    fn levels(&self, side: Side) -> Vec<(Price, &VecDeque<(u64, u32)>)> {
        let rising = self.sides[side as usize].iter().map(|(price, queue)| (*price, queue));
        match side {
            Side::Buy => rising.rev().collect(),
            Side::Sell => rising.collect(),
        }
    }

    fn top(&self) -> TopOfBook {
        let [bids, asks] = &self.sides;
        TopOfBook { bid: bids.last_key_value().map(level), ask: asks.first_key_value().map(level) }
    }
}

fn level((price, queue): (&Price, &VecDeque<(u64, u32)>)) -> Level {
    let shares = queue.iter().map(|(_, shares)| u64::from(*shares)).sum();
    Level { price: *price, shares, orders: queue.len() as u32 }
}

pub(crate) struct Model {
    limits: Limits,
    books: Vec<ModelBook>,
    /// Where each live order rests.
    orders: HashMap<u64, (u16, Side, Price)>,
    levels: u32,
    pub(crate) counters: BookCounters,
}

/// What became of an event, before the model has looked at the top.
type Did = Result<(), Anomaly>;

impl Model {
    pub(crate) fn new(limits: Limits) -> Self {
        let books = (0..limits.locates).map(|_| ModelBook::default()).collect();
        Self { limits, books, orders: HashMap::new(), levels: 0, counters: BookCounters::default() }
    }

    pub(crate) fn set_state(&mut self, locate: u16, state: BookState) {
        if self.exists(locate) {
            let book = &mut self.books[usize::from(locate)];
            book.state = state;
            book.singled_out = true;
        }
    }

    pub(crate) fn set_all_states(&mut self, state: BookState) {
        for book in self.books.iter_mut().skip(1) {
            book.state = state;
            book.singled_out = false;
        }
    }

    pub(crate) fn set_other_states(&mut self, state: BookState) {
        for book in self.books.iter_mut().skip(1).filter(|book| !book.singled_out) {
            book.state = state;
        }
    }

    /// Bids before asks, best price first, front of the queue first.
    pub(crate) fn drain(&mut self, locate: u16, at_most: u32) -> bool {
        if !self.exists(locate) {
            return true;
        }
        let book = &self.books[usize::from(locate)];
        let all: Vec<_> = [Side::Buy, Side::Sell]
            .into_iter()
            .flat_map(|side| book.levels(side))
            .flat_map(|(_, queue)| queue.iter().map(|(order_ref, _)| *order_ref))
            .collect();
        let now = all.len().min(at_most as usize);
        for order_ref in &all[..now] {
            self.take_out(*order_ref);
        }
        self.counters.drained += now as u64;
        now == all.len()
    }

    pub(crate) fn forget_trading(&mut self, locate: u16) {
        if self.exists(locate) {
            let book = &mut self.books[usize::from(locate)];
            book.trading = TradingState::Halted;
            book.operational_halt = false;
        }
    }

    pub(crate) fn clear(&mut self) {
        let counters = BookCounters { cleared: self.counters.cleared + 1, ..self.counters };
        *self = Self { counters, ..Self::new(self.limits) };
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Change {
        let locate = event.locate;
        let before = self.top(locate);
        let did = match event.kind {
            EventKind::System(_) | EventKind::Other => {
                return Change { locate, top_changed: false, outcome: Outcome::Ignored };
            }
            EventKind::Add { order_ref, side, shares, price } => {
                self.add(locate, order_ref, side, shares, price)
            }
            EventKind::Execute { order_ref, shares, printable, .. } => {
                let (lost, did) =
                    self.lose(locate, order_ref, shares, Anomaly::ExecuteUnknown, Anomaly::OverExecuted);
                self.counters.executed += u64::from(lost > 0);
                if printable && lost > 0 {
                    self.books[usize::from(locate)].volume += u64::from(lost);
                }
                did
            }
            EventKind::Cancel { order_ref, shares } => {
                let (lost, did) =
                    self.lose(locate, order_ref, shares, Anomaly::CancelUnknown, Anomaly::OverCancelled);
                self.counters.cancelled += u64::from(lost > 0);
                did
            }
            EventKind::Delete { order_ref } => {
                self.owned(locate, order_ref, Anomaly::DeleteUnknown).map(|()| {
                    self.take_out(order_ref);
                    self.counters.deleted += 1;
                })
            }
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                self.replace(locate, order_ref, new_order_ref, shares, price)
            }
            EventKind::Trade { shares, .. } => self.with(locate, |book| book.volume += shares),
            EventKind::Trading(state) => self.with(locate, |book| book.trading = state),
            EventKind::OperationalHalt(halted) => self.with(locate, |book| book.operational_halt = halted),
            EventKind::MarketHalt => {
                self.books.iter_mut().for_each(|book| book.trading = TradingState::Halted);
                Ok(())
            }
            EventKind::Directory { symbol, round_lot } => {
                let known = self.directory(locate);
                self.with(locate, |book| book.directory = Some((symbol, round_lot))).and_then(
                    |()| match known {
                        Some((old, _)) if old != symbol => Err(Anomaly::SymbolChanged),
                        _ => Ok(()),
                    },
                )
            }
        };
        let after = self.top(locate);
        let top_changed = before != after;
        if let (true, Some(bid), Some(ask)) = (top_changed, after.bid, after.ask) {
            self.counters.crossed += u64::from(bid.price >= ask.price);
        }
        let outcome = match did {
            Ok(()) => Outcome::Applied,
            Err(anomaly) => {
                self.spoil(locate);
                self.counters.anomalies += 1;
                *self.counter(anomaly) += 1;
                Outcome::Anomaly(anomaly)
            }
        };
        Change { locate, top_changed, outcome }
    }

    fn add(&mut self, locate: u16, order_ref: u64, side: Side, shares: u32, price: Price) -> Did {
        if !self.exists(locate) {
            return Err(Anomaly::LocateOutOfRange);
        }
        self.put_in(locate, order_ref, side, shares, price, Anomaly::AddDuplicate)?;
        self.counters.added += 1;
        if self.directory(locate).is_none() { Err(Anomaly::NoDirectory) } else { Ok(()) }
    }

    fn replace(&mut self, locate: u16, old: u64, new: u64, shares: u32, price: Price) -> Did {
        self.owned(locate, old, Anomaly::ReplaceUnknown)?;
        let (_, side, _) = self.orders[&old];
        self.take_out(old);
        self.put_in(locate, new, side, shares, price, Anomaly::ReplaceDuplicate)?;
        self.counters.replaced += 1;
        self.counters.replaced_same_ref += u64::from(new == old);
        Ok(())
    }

    /// The shares that the order lost, and what was wrong.
    fn lose(
        &mut self,
        locate: u16,
        order_ref: u64,
        shares: u32,
        unknown: Anomaly,
        excess: Anomaly,
    ) -> (u32, Did) {
        if let Err(anomaly) = self.owned(locate, order_ref, unknown) {
            return (0, Err(anomaly));
        }
        if shares == 0 {
            return (0, Err(Anomaly::ZeroShares));
        }
        let (_, side, price) = self.orders[&order_ref];
        let queue = self.books[usize::from(locate)].sides[side as usize].get_mut(&price).unwrap();
        let order = queue.iter_mut().find(|(queued, _)| *queued == order_ref).unwrap();
        let held = order.1;
        if shares < held {
            order.1 -= shares;
            return (shares, Ok(()));
        }
        self.take_out(order_ref);
        (held, if shares > held { Err(excess) } else { Ok(()) })
    }

    fn put_in(
        &mut self,
        locate: u16,
        order_ref: u64,
        side: Side,
        shares: u32,
        price: Price,
        duplicate: Anomaly,
    ) -> Did {
        if shares == 0 {
            return Err(Anomaly::ZeroShares);
        }
        if price == Price(0) {
            return Err(Anomaly::ZeroPrice);
        }
        if let Some((other, ..)) = self.orders.get(&order_ref) {
            self.spoil(*other);
            return Err(duplicate);
        }
        if self.orders.len() as u32 == self.limits.orders {
            return Err(Anomaly::OrderLimit);
        }
        let levels = &mut self.books[usize::from(locate)].sides[side as usize];
        if !levels.contains_key(&price) {
            if self.levels == self.limits.levels {
                return Err(Anomaly::LevelLimit);
            }
            self.levels += 1;
        }
        levels.entry(price).or_default().push_back((order_ref, shares));
        self.orders.insert(order_ref, (locate, side, price));
        Ok(())
    }

    fn take_out(&mut self, order_ref: u64) {
        let (locate, side, price) = self.orders.remove(&order_ref).unwrap();
        let levels = &mut self.books[usize::from(locate)].sides[side as usize];
        let queue = levels.get_mut(&price).unwrap();
        let at = queue.iter().position(|(queued, _)| *queued == order_ref).unwrap();
        queue.remove(at);
        if queue.is_empty() {
            levels.remove(&price);
            self.levels -= 1;
        }
    }

    /// That the order is live and belongs to `locate`.
    fn owned(&mut self, locate: u16, order_ref: u64, unknown: Anomaly) -> Did {
        match self.orders.get(&order_ref) {
            Some((owner, ..)) if *owner == locate => Ok(()),
            Some((owner, ..)) => {
                self.spoil(*owner);
                Err(Anomaly::LocateMismatch)
            }
            None if self.exists(locate) => Err(unknown),
            None => Err(Anomaly::LocateOutOfRange),
        }
    }

    fn with(&mut self, locate: u16, change: impl FnOnce(&mut ModelBook)) -> Did {
        if !self.exists(locate) {
            return Err(Anomaly::LocateOutOfRange);
        }
        change(&mut self.books[usize::from(locate)]);
        Ok(())
    }

    fn spoil(&mut self, locate: u16) {
        if self.exists(locate) && self.books[usize::from(locate)].state != BookState::Stale {
            self.set_state(locate, BookState::Stale);
            self.counters.went_stale += 1;
        }
    }

    fn exists(&self, locate: u16) -> bool {
        locate != 0 && u32::from(locate) < self.limits.locates
    }

    fn directory(&self, locate: u16) -> Option<(Symbol, u32)> {
        self.books.get(usize::from(locate))?.directory
    }

    fn top(&self, locate: u16) -> TopOfBook {
        self.books.get(usize::from(locate)).map(ModelBook::top).unwrap_or_default()
    }

    fn counter(&mut self, anomaly: Anomaly) -> &mut u64 {
        let counters = &mut self.counters;
        match anomaly {
            Anomaly::ExecuteUnknown => &mut counters.execute_unknown,
            Anomaly::CancelUnknown => &mut counters.cancel_unknown,
            Anomaly::DeleteUnknown => &mut counters.delete_unknown,
            Anomaly::ReplaceUnknown => &mut counters.replace_unknown,
            Anomaly::AddDuplicate => &mut counters.add_duplicate,
            Anomaly::ReplaceDuplicate => &mut counters.replace_duplicate,
            Anomaly::OverExecuted => &mut counters.over_executed,
            Anomaly::OverCancelled => &mut counters.over_cancelled,
            Anomaly::ZeroShares => &mut counters.zero_shares,
            Anomaly::ZeroPrice => &mut counters.zero_price,
            Anomaly::LocateMismatch => &mut counters.locate_mismatch,
            Anomaly::NoDirectory => &mut counters.no_directory,
            Anomaly::LocateOutOfRange => &mut counters.locate_out_of_range,
            Anomaly::SymbolChanged => &mut counters.symbol_changed,
            Anomaly::OrderLimit => &mut counters.order_limit,
            Anomaly::LevelLimit => &mut counters.level_limit,
        }
    }

    /// Everything that one instrument shows.
    pub(crate) fn compare_locate(&self, books: &Books, locate: u16) {
        assert_eq!(books.top(locate), self.top(locate), "top of {locate}");
        let nothing = ModelBook::default();
        let book = self.books.get(usize::from(locate)).unwrap_or(&nothing);
        assert_eq!(books.state(locate), book.state, "state of {locate}");
        let trading = if book.operational_halt { TradingState::Halted } else { book.trading };
        assert_eq!(books.trading_state(locate), trading, "trading state of {locate}");
        assert_eq!(books.symbol(locate), book.directory.map(|(symbol, _)| symbol));
        assert_eq!(books.round_lot(locate), book.directory.map(|(_, round_lot)| round_lot));
        assert_eq!(books.volume(locate), book.volume, "volume of {locate}");
        for side in [Side::Buy, Side::Sell] {
            let levels = book.levels(side);
            let depth: Vec<_> = books.depth(locate, side).collect();
            let expected: Vec<_> = levels.iter().map(|(price, queue)| level((price, queue))).collect();
            assert_eq!(depth, expected, "depth of {locate} {side:?}");
            assert_eq!(books.level_count(locate, side) as usize, levels.len());
            for (price, queue) in levels {
                let held: Vec<_> = books.queue(locate, side, price).collect();
                let expected: Vec<_> = queue
                    .iter()
                    .map(|(order_ref, shares)| RestingOrder {
                        order_ref: *order_ref,
                        shares: *shares,
                        price,
                        side,
                        locate,
                    })
                    .collect();
                assert_eq!(held, expected, "queue of {locate} {side:?} {price}");
                let (mut orders_ahead, mut shares_ahead) = (0, 0);
                for order in expected {
                    assert_eq!(books.order(order.order_ref), Some(order));
                    let position = books.queue_position(order.order_ref);
                    assert_eq!(position, Some(QueuePosition { orders_ahead, shares_ahead }));
                    orders_ahead += 1;
                    shares_ahead += u64::from(order.shares);
                }
            }
        }
    }

    /// Everything that the books show, and everything that must hold inside them.
    pub(crate) fn compare(&self, books: &Books) {
        for locate in 0..self.limits.locates + 1 {
            self.compare_locate(books, locate as u16);
        }
        assert_eq!(books.counters(), self.counters);
        let usage = books.usage();
        assert_eq!((usage.orders as usize, usage.levels), (self.orders.len(), self.levels));
        let audit = books.audit().unwrap();
        assert_eq!((audit.orders, audit.levels), (usage.orders, usage.levels));
        let held = books.resting().map(|order| (order.locate, order.side, order.order_ref, order.shares));
        let expected = (0..).zip(&self.books).flat_map(|(locate, book)| {
            [Side::Buy, Side::Sell].into_iter().flat_map(move |side| {
                book.levels(side).into_iter().flat_map(move |(_, queue)| {
                    queue.iter().map(move |(order_ref, shares)| (locate, side, *order_ref, *shares))
                })
            })
        });
        assert!(held.eq(expected), "resting orders differ");
    }

    /// References of the live orders.
    pub(crate) fn live(&self) -> usize {
        self.orders.len()
    }
}
