//! What each reply of the venue does to the blotter.

use super::{Blotter, Fill, OpenOrder};
use crate::blotter::{OrderEvent, OrderEventKind, OrderState, OrderUpdate};
use crate::market::Price;

impl Blotter {
    /// Applies one event. `None` where it concerns no order of ours, or was a repetition.
    pub fn apply(&mut self, event: &OrderEvent) -> Option<OrderUpdate> {
        match event.kind {
            OrderEventKind::Lost { messages } => {
                self.counters.lost_messages = self.counters.lost_messages.saturating_add(messages);
                self.uncertain = true;
                return None;
            }
            OrderEventKind::System { .. }
            | OrderEventKind::NextUserRef { .. }
            | OrderEventKind::Disconnected => return None,
            OrderEventKind::Resumed { .. } => {
                self.adopting = false;
                return None;
            }
            OrderEventKind::Adopted { .. } => {
                self.adopt(event);
                return None;
            }
            OrderEventKind::Broken { match_number, .. } => return self.on_broken(event, match_number),
            OrderEventKind::Executed { match_number, .. }
                if self.fills.get((event.user_ref_num, match_number)).is_some() =>
            {
                self.counters.duplicates += 1;
                return None;
            }
            _ => {}
        }
        let id = event.user_ref_num;
        let Some(order) = self.orders.get(id).copied() else {
            if !self.adopting || !self.adopt_reply(event) {
                self.count_stranger(event);
            }
            return None;
        };
        let live = match event.kind {
            OrderEventKind::Accepted { shares, price, live, .. } => {
                self.on_accepted(id, &order, shares, price, live)
            }
            OrderEventKind::Executed { shares, price, match_number, .. } => {
                self.on_executed(id, &order, shares, price, match_number)
            }
            OrderEventKind::Canceled { shares, .. } => self.on_canceled(id, &order, shares),
            OrderEventKind::Rejected { .. } => self.on_rejected(id, &order),
            OrderEventKind::Replaced { original, shares, price, live, .. } => {
                self.on_replaced(id, &order, original, shares, price, live)
            }
            OrderEventKind::CancelReject => {
                self.counters.cancel_rejects += 1;
                self.mark_cancel(id, false);
                Some(id)
            }
            OrderEventKind::PriorityUpdate { price, .. } => {
                self.promote(id);
                self.change(id, |order| order.price = price);
                self.keep_if(id, true)
            }
            OrderEventKind::Modified { shares } => self.on_modified(id, shares),
            _ => Some(id),
        };
        if order.adopted { None } else { Some(self.update(event, &order, live)) }
    }

    /// What the strategy hears; `live` is the order of the chain that is still there.
    fn update(&self, event: &OrderEvent, order: &OpenOrder, live: Option<u32>) -> OrderUpdate {
        // An event of an unanswered replacement is about the order that it is to replace.
        let live = live.map(|id| self.orders.get(id).and_then(|o| o.replaces).unwrap_or(id));
        let state = match live.and_then(|id| Some((id, self.orders.get(id)?))) {
            None => OrderState::Closed,
            Some((id, now)) => OrderState::Open {
                order: id,
                shares: u32::try_from(now.open()).unwrap_or(u32::MAX),
                price: now.price,
                pending: now.pending(),
            },
        };
        let position = self.holding(order.locate).position;
        OrderUpdate { event: *event, locate: order.locate, side: order.side, position, state }
    }

    fn count_stranger(&mut self, event: &OrderEvent) {
        if event.user_ref_num == 0 || event.user_ref_num > self.highest {
            self.counters.unknown_replies += 1;
        } else {
            self.counters.late_replies += 1;
        }
        if matches!(event.kind, OrderEventKind::Executed { .. }) {
            self.counters.unexplained_trades += 1;
            self.uncertain = true;
        }
    }

    fn on_accepted(
        &mut self,
        id: u32,
        order: &OpenOrder,
        shares: u32,
        price: Price,
        live: bool,
    ) -> Option<u32> {
        if order.replaces.is_some() {
            self.counters.unexpected += 1;
            return Some(id);
        }
        if order.accepted {
            self.counters.duplicates += 1;
            return Some(id);
        }
        self.counters.accepted += 1;
        let shares = u64::from(shares);
        self.counters.quantity_differs += u64::from(shares != order.total);
        self.change(id, |order| {
            order.accepted = true;
            order.total = shares;
            order.price = price;
        });
        self.keep_if(id, live)
    }

    fn on_executed(
        &mut self,
        id: u32,
        order: &OpenOrder,
        shares: u32,
        price: Price,
        match_number: u64,
    ) -> Option<u32> {
        if shares == 0 {
            self.counters.unexpected += 1;
            return Some(id);
        }
        let OpenOrder { place, side, adopted, .. } = *order;
        self.promote(id);
        self.counters.executed += 1;
        self.counters.executed_shares += u64::from(shares);
        self.with_holding(place, |holding| {
            holding.trade(side, shares, false);
            holding.mark = price;
        });
        if adopted {
            self.moved = self.places.locate(place);
        }
        self.fills.insert((id, match_number), Fill { place, adopted, side, shares, broken: false });
        let mut over = false;
        self.change(id, |order| {
            order.accepted = true;
            order.executed += u64::from(shares);
            over = order.executed > order.total;
            order.total = order.total.max(order.executed);
        });
        self.counters.over_executions += u64::from(over);
        self.keep_if(id, true)
    }

    fn on_canceled(&mut self, id: u32, order: &OpenOrder, shares: u32) -> Option<u32> {
        if shares == 0 {
            self.counters.unexpected += 1;
            return Some(id);
        }
        self.promote(id);
        self.counters.canceled += 1;
        let (shares, open) = (u64::from(shares), self.orders.get(id).map_or(order.open(), OpenOrder::open));
        self.counters.over_cancels += u64::from(shares > open);
        self.change(id, |order| {
            order.accepted = true;
            order.total -= shares.min(open);
        });
        self.keep_if(id, true)
    }

    fn on_rejected(&mut self, id: u32, order: &OpenOrder) -> Option<u32> {
        if order.accepted {
            self.counters.unexpected += 1;
            return Some(id);
        }
        self.counters.rejected += 1;
        self.withdraw(id);
        order.replaces
    }

    fn on_replaced(
        &mut self,
        id: u32,
        order: &OpenOrder,
        original: u32,
        shares: u32,
        price: Price,
        live: bool,
    ) -> Option<u32> {
        if order.replaces != Some(original) {
            if order.accepted {
                self.counters.duplicates += 1;
            } else {
                self.counters.unexpected += 1;
            }
            return Some(id);
        }
        self.counters.replaced += 1;
        self.promote(id);
        let shares = u64::from(shares);
        let asked = self.orders.get(id).map_or(0, OpenOrder::open);
        self.counters.quantity_differs += u64::from(shares != asked);
        self.change(id, |order| {
            order.total = order.executed + shares;
            order.price = price;
        });
        self.keep_if(id, live)
    }

    fn on_modified(&mut self, id: u32, shares: u32) -> Option<u32> {
        self.promote(id);
        self.change(id, |order| {
            order.accepted = true;
            order.total = order.executed + u64::from(shares);
        });
        self.keep_if(id, true)
    }

    fn on_broken(&mut self, event: &OrderEvent, match_number: u64) -> Option<OrderUpdate> {
        let Some(fill) = self.fills.get_mut((event.user_ref_num, match_number)) else {
            self.count_stranger(event);
            self.counters.unexplained_trades += 1;
            self.uncertain = true;
            return None;
        };
        if fill.broken {
            self.counters.duplicates += 1;
            return None;
        }
        fill.broken = true;
        let Fill { place, adopted, side, shares, .. } = *fill;
        self.counters.broken += 1;
        self.with_holding(place, |holding| holding.trade(side, shares, true));
        let locate = self.places.locate(place)?;
        if adopted {
            self.moved = Some(locate);
            return None;
        }
        let position = self.holding(locate).position;
        Some(OrderUpdate { event: *event, locate, side, position, state: OrderState::Unaffected })
    }
}
