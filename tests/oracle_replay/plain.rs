//! Books of maps and queues, fed by a decoder that is not ours.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use itch5::{MessageHandler, messages as itch};

/// Order reference and shares, front first.
type Queue = VecDeque<(u64, u32)>;

/// Every order of every instrument. Panics at the first message that does not fit.
#[derive(Default)]
pub(crate) struct PlainBooks {
    symbols: BTreeMap<u16, String>,
    /// By locate, side (buys are `false`: they come first) and price.
    queues: BTreeMap<(u16, bool), BTreeMap<u32, Queue>>,
    homes: HashMap<u64, (u16, bool, u32)>,
    pub(crate) messages: u64,
}

impl PlainBooks {
    /// One line an order, as `--dump` writes them, without the heading.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.homes.len());
        for (&(locate, sell), levels) in &self.queues {
            let symbol = &self.symbols[&locate];
            let letter = if sell { 'S' } else { 'B' };
            let mut side: Vec<_> = levels.iter().collect();
            if !sell {
                side.reverse();
            }
            for (price, queue) in side {
                for (order_ref, shares) in queue {
                    lines.push(format!("{locate},{symbol},{letter},{price},{order_ref},{shares}"));
                }
            }
        }
        lines
    }

    fn put_in(
        &mut self,
        locate: u16,
        sell: bool,
        order_ref: u64,
        shares: u32,
        price: u32,
    ) -> ControlFlow<()> {
        self.messages += 1;
        assert!(self.homes.insert(order_ref, (locate, sell, price)).is_none(), "order {order_ref} exists");
        self.queues
            .entry((locate, sell))
            .or_default()
            .entry(price)
            .or_default()
            .push_back((order_ref, shares));
        ControlFlow::Continue(())
    }

    /// Takes `shares` off an order, or all of them.
    fn take(&mut self, locate: u16, order_ref: u64, shares: Option<u32>) -> ControlFlow<()> {
        self.messages += 1;
        let (home, sell, price) = self.homes[&order_ref];
        assert_eq!(home, locate, "order {order_ref} belongs to another instrument");
        let levels = self.queues.get_mut(&(locate, sell)).unwrap();
        let queue = levels.get_mut(&price).unwrap();
        let at = queue.iter().position(|(queued, _)| *queued == order_ref).unwrap();
        let left = shares.map_or(0, |shares| queue[at].1.checked_sub(shares).unwrap());
        queue[at].1 = left;
        if left == 0 {
            queue.remove(at);
            self.homes.remove(&order_ref);
            if queue.is_empty() {
                levels.remove(&price);
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_sell(side: &itch::BuySellIndicator) -> bool {
    match side {
        itch::BuySellIndicator::Buy => false,
        itch::BuySellIndicator::Sell => true,
        other => panic!("side {other:?}"),
    }
}

impl MessageHandler for PlainBooks {
    fn on_stock_directory(&mut self, m: &itch::StockDirectory) -> ControlFlow<()> {
        self.symbols.insert(m.stock_locate(), m.stock().as_str().trim_end().to_owned());
        ControlFlow::Continue(())
    }

    fn on_add_order_no_mpid_attribution(&mut self, m: &itch::AddOrderNoMPIDAttribution) -> ControlFlow<()> {
        let sell = is_sell(&m.buy_sell_indicator());
        self.put_in(m.stock_locate(), sell, m.order_reference_number(), m.shares(), m.price().into_u32())
    }

    fn on_add_order_with_mpid_attribution(
        &mut self,
        m: &itch::AddOrderWithMPIDAttribution,
    ) -> ControlFlow<()> {
        let sell = is_sell(&m.buy_sell_indicator());
        self.put_in(m.stock_locate(), sell, m.order_reference_number(), m.shares(), m.price().into_u32())
    }

    fn on_order_executed(&mut self, m: &itch::OrderExecuted) -> ControlFlow<()> {
        self.take(m.stock_locate(), m.order_reference_number(), Some(m.executed_shares()))
    }

    fn on_order_executed_with_price(&mut self, m: &itch::OrderExecutedWithPrice) -> ControlFlow<()> {
        self.take(m.stock_locate(), m.order_reference_number(), Some(m.executed_shares()))
    }

    fn on_order_cancel(&mut self, m: &itch::OrderCancel) -> ControlFlow<()> {
        self.take(m.stock_locate(), m.order_reference_number(), Some(m.cancelled_shares()))
    }

    fn on_order_delete(&mut self, m: &itch::OrderDelete) -> ControlFlow<()> {
        self.take(m.stock_locate(), m.order_reference_number(), None)
    }

    fn on_order_replace(&mut self, m: &itch::OrderReplace) -> ControlFlow<()> {
        let old = m.original_order_reference_number();
        let (_, sell, _) = self.homes[&old];
        let _ = self.take(m.stock_locate(), old, None);
        // One message, two changes.
        self.messages -= 1;
        let price = m.price().into_u32();
        self.put_in(m.stock_locate(), sell, m.new_order_reference_number(), m.shares(), price)
    }
}
