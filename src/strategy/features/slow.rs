//! The features again, from the whole history each time: a book of maps and lists, every event kept, and the formulas as
//! they stand in [`vector`](super::vector), in `f64`. Shares no code with what it checks.

use std::collections::{BTreeMap, HashMap};

use crate::market::{Event, EventKind, Side};

#[derive(Clone, Copy, Debug)]
struct Order {
    locate: u16,
    side: Side,
    price: u32,
    shares: u32,
}

/// Best price and shares there, bids then asks; no shares where a side is empty.
type Touch = [(Option<u32>, f64); 2];

/// By price, the references and shares of each queue, front first.
type Levels = BTreeMap<u32, Vec<(u64, u32)>>;

#[derive(Clone, Debug)]
struct Record {
    time: u64,
    before: Touch,
    after: Touch,
    /// Move of bid + ask.
    moved: f64,
    /// Shares; above 0 bought, below sold, 0 neither.
    trade: Option<f64>,
}

const CAP: u64 = (1 << 26) - 1;

/// One instrument's history; the books of all.
#[derive(Default)]
pub(super) struct Slow {
    orders: HashMap<u64, Order>,
    queues: HashMap<(u16, bool), Levels>,
    history: Vec<Record>,
    now: u64,
    mid: Option<f64>,
}

/// Where and how the events go: bid is true.
fn is_bid(side: Side) -> bool {
    side == Side::Buy
}

impl Slow {
    /// The instrument whose features are wanted.
    pub(super) const LOCATE: u16 = 1;

    fn join(&mut self, order_ref: u64, order: Order) {
        self.orders.insert(order_ref, order);
        let levels = self.queues.entry((order.locate, is_bid(order.side))).or_default();
        levels.entry(order.price).or_default().push((order_ref, order.shares));
    }

    fn leave(&mut self, order_ref: u64) {
        let Some(order) = self.orders.remove(&order_ref) else { return };
        let levels = self.queues.entry((order.locate, is_bid(order.side))).or_default();
        if let Some(queue) = levels.get_mut(&order.price) {
            queue.retain(|(other, _)| *other != order_ref);
            if queue.is_empty() {
                levels.remove(&order.price);
            }
        }
    }

    /// Takes shares from an order: whether there was one, and whether there were enough.
    fn lose(&mut self, locate: u16, order_ref: u64, shares: u32) -> (bool, bool) {
        match self.orders.get_mut(&order_ref) {
            Some(order) if order.locate == locate && shares > 0 => {
                let enough = shares <= order.shares;
                if shares < order.shares {
                    order.shares -= shares;
                    let queues = self.queues.get_mut(&(locate, is_bid(order.side)));
                    let queue = queues.and_then(|levels| levels.get_mut(&order.price));
                    if let Some(place) = queue.into_iter().flatten().find(|(other, _)| *other == order_ref) {
                        place.1 -= shares;
                    }
                } else {
                    self.leave(order_ref);
                }
                (true, enough)
            }
            _ => (false, false),
        }
    }

    /// Levels of a side, best first, at most so many.
    fn levels(&self, bid: bool, at_most: usize) -> Vec<(u32, f64)> {
        let Some(levels) = self.queues.get(&(Self::LOCATE, bid)) else { return Vec::new() };
        let level = |(price, queue): (&u32, &Vec<(u64, u32)>)| {
            let shares: u64 = queue.iter().map(|(_, shares)| u64::from(*shares)).sum();
            (*price, shares.min(CAP) as f64)
        };
        if bid {
            levels.iter().rev().take(at_most).map(level).collect()
        } else {
            levels.iter().take(at_most).map(level).collect()
        }
    }

    fn touch(&self) -> Touch {
        [true, false].map(|bid| {
            self.levels(bid, 1).first().map_or((None, 0.0), |(price, shares)| (Some(*price), *shares))
        })
    }

    fn twice_mid(&self) -> Option<f64> {
        let [(bid, _), (ask, _)] = self.touch();
        Some(f64::from(bid?) + f64::from(ask?))
    }

    /// Only the books: it is not handed on as an event.
    pub(super) fn quietly(&mut self, event: &Event) {
        self.change(event);
    }

    pub(super) fn resync(&mut self) {
        self.mid = self.twice_mid().or(self.mid);
    }

    /// What became of the books: whether an order joined, shrank or left, and the trade if there was one.
    fn change(&mut self, event: &Event) -> (bool, Option<f64>) {
        let locate = event.locate;
        match event.kind {
            EventKind::Add { order_ref, side, shares, price } => {
                let wrong = shares == 0 || price.0 == 0 || self.orders.contains_key(&order_ref);
                if !wrong {
                    self.join(order_ref, Order { locate, side, price: price.0, shares });
                }
                (!wrong, None)
            }
            EventKind::Execute { order_ref, shares, printable, .. } => {
                let side = self.orders.get(&order_ref).map(|order| order.side);
                let (did, enough) = self.lose(locate, order_ref, shares);
                let sign = if side == Some(Side::Sell) { 1.0 } else { -1.0 };
                (did, (printable && did && enough).then_some(sign * f64::from(shares)))
            }
            EventKind::Cancel { order_ref, shares } => (self.lose(locate, order_ref, shares).0, None),
            EventKind::Delete { order_ref } => (self.lose(locate, order_ref, u32::MAX).0, None),
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                let Some(old) = self.orders.get(&order_ref).copied().filter(|old| old.locate == locate)
                else {
                    return (false, None);
                };
                self.leave(order_ref);
                if shares > 0 && price.0 > 0 && !self.orders.contains_key(&new_order_ref) {
                    self.join(new_order_ref, Order { price: price.0, shares, ..old });
                }
                (true, None)
            }
            EventKind::Trade { shares, price, cross: false } if shares > 0 => {
                let offset = self.mid.map_or(0.0, |mid| 2.0 * f64::from(price.0) - mid);
                let sign = if offset == 0.0 { 0.0 } else { offset.signum() };
                (false, Some(sign * shares as f64))
            }
            _ => (false, None),
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        let before = self.touch();
        let (did, trade) = self.change(event);
        if event.locate != Self::LOCATE || (!did && trade.is_none()) {
            return;
        }
        if event.timestamp >= self.now && event.timestamp < 86_400_000_000_000 {
            self.now = event.timestamp;
        }
        let after = self.touch();
        let mut moved = 0.0;
        if before != after
            && let Some(mid) = self.twice_mid()
        {
            moved = self.mid.map_or(0.0, |old| (mid - old).clamp(-1_048_576.0, 1_048_576.0));
            self.mid = Some(mid);
        }
        self.history.push(Record { time: self.now, before, after, moved, trade });
    }

    pub(super) fn twice_mid_now(&self) -> Option<u64> {
        self.twice_mid().map(|mid| mid as u64)
    }

    /// Orders and shares ahead of an order; `None` if it does not rest.
    pub(super) fn ahead(&self, order_ref: u64) -> Option<(u32, u64)> {
        let order = self.orders.get(&order_ref)?;
        let queue = &self.queues[&(order.locate, is_bid(order.side))][&order.price];
        let before = queue.iter().take_while(|(other, _)| *other != order_ref);
        Some(before.fold((0, 0), |(orders, shares), (_, ahead)| (orders + 1, shares + u64::from(*ahead))))
    }

    /// Some order of the instrument.
    pub(super) fn some_order(&self, number: u64) -> Option<u64> {
        let mut all: Vec<u64> = self
            .orders
            .iter()
            .filter(|(_, order)| order.locate == Self::LOCATE)
            .map(|(name, _)| *name)
            .collect();
        all.sort_unstable();
        if all.is_empty() { None } else { Some(all[number as usize % all.len()]) }
    }

    pub(super) fn live(&self) -> usize {
        self.orders.len()
    }

    pub(super) fn is_live(&self, order_ref: u64) -> bool {
        self.orders.contains_key(&order_ref)
    }

    /// Every feature by its formula.
    pub(super) fn features(&self) -> Vec<f64> {
        let (bids, asks) = (self.levels(true, 10), self.levels(false, 10));
        let depth =
            |levels: &[(u32, f64)], k: usize| levels.iter().take(k).map(|(_, shares)| shares).sum::<f64>();
        let balance = |a: f64, b: f64| if a + b == 0.0 { 0.0 } else { (a - b) / (a + b) };
        let mut all = Vec::new();
        let mid = self.twice_mid().map(|twice| twice / 2.0);
        if let Some(mid) = mid {
            let (b, a) = (f64::from(bids[0].0), f64::from(asks[0].0));
            let (big_b, big_a) = (bids[0].1, asks[0].1);
            let micro = (b * big_a + a * big_b) / (big_a + big_b);
            all.extend([10_000.0 * (a - b) / mid, (a - b) / 100.0, 10_000.0 * (micro - mid) / mid]);
        } else {
            all.extend([0.0; 3]);
        }
        for k in [1, 3, 5, 10] {
            all.push(balance(depth(&bids, k), depth(&asks, k)));
        }
        for n in [8, 32, 128] {
            let changes = self.history.iter().rev().filter(|record| record.before != record.after).take(n);
            all.push(flow(changes));
        }
        let windows = [1_u64 << 23, 1 << 26, 1 << 29].map(|bucket| {
            let oldest = (self.now / bucket).saturating_sub(15);
            let within = self.history.iter().rev().take_while(|record| record.time / bucket >= oldest);
            &self.history[self.history.len() - within.count()..]
        });
        for window in &windows {
            all.push(flow(window.iter().filter(|record| record.before != record.after)));
        }
        let traded = |records: &mut dyn Iterator<Item = f64>| {
            let (bought, sold) = records.fold((0.0, 0.0), |(bought, sold), shares| {
                (bought + f64::max(shares, 0.0), sold + f64::max(-shares, 0.0))
            });
            balance(bought, sold)
        };
        all.push(traded(&mut self.history.iter().rev().filter_map(|record| record.trade).take(16)));
        for window in &windows {
            all.push(traded(&mut window.iter().filter_map(|record| record.trade)));
        }
        if let Some(mid) = mid {
            let slope = |levels: &[(u32, f64)], sign: f64| {
                let shares = depth(levels, 10);
                let away: f64 = levels
                    .iter()
                    .take(10)
                    .map(|(price, shares)| sign * (f64::from(*price) - mid) * shares)
                    .sum();
                // Round lots a cent, of shares a 1/10,000.
                shares / (2.0 * f64::max(away / shares, 50.0))
            };
            let (bid, ask) = (slope(&bids, -1.0), slope(&asks, 1.0));
            all.extend([bid, ask, (bid - ask) / (bid + ask)]);
        } else {
            all.extend([0.0; 3]);
        }
        for window in &windows {
            let squares: f64 = window.iter().map(|record| record.moved * record.moved).sum();
            all.push(mid.map_or(0.0, |mid| 10_000.0 * squares.sqrt() / (2.0 * mid)));
        }
        for (window, length) in windows.iter().zip([27, 30, 33]) {
            all.push(window.len() as f64 / ((1_u64 << length) as f64 / 1e9));
        }
        all
    }
}

/// Order flow over the mean depth of the same changes.
fn flow<'a>(changes: impl Iterator<Item = &'a Record>) -> f64 {
    let (mut sum, mut depth, mut count) = (0.0, 0.0, 0.0);
    for Record { before, after, .. } in changes {
        let [(bid, bids), (ask, asks)] = *before;
        let [(new_bid, new_bids), (new_ask, new_asks)] = *after;
        // No bid is below all, no ask above all.
        let (bid, new_bid) = (bid.map_or(-1.0, f64::from), new_bid.map_or(-1.0, f64::from));
        let (ask, new_ask) = (ask.map_or(1e12, f64::from), new_ask.map_or(1e12, f64::from));
        let held = |yes: bool, shares: f64| if yes { shares } else { 0.0 };
        sum += held(new_bid >= bid, new_bids) - held(new_bid <= bid, bids) - held(new_ask <= ask, new_asks)
            + held(new_ask >= ask, asks);
        depth += (new_bids + new_asks) / 2.0;
        count += 1.0;
    }
    if depth == 0.0 { 0.0 } else { sum / (depth / count) }
}
