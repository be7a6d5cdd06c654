//! Books of maps and queues, fed by a decoder that is not ours.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use itch5::{MessageHandler, messages as itch};

/// Order reference and shares, front first.
type Queue = VecDeque<(u64, u32)>;

/// Every order of every instrument. Panics at the first message that does not fit, and at an execution that is not of the
/// order in front of the best price of its side.
#[derive(Default)]
pub(crate) struct PlainBooks {
    symbols: BTreeMap<u16, String>,
    /// By locate, side (buys are `false`: they come first) and price.
    queues: BTreeMap<(u16, bool), BTreeMap<u32, Queue>>,
    homes: HashMap<u64, (u16, bool, u32)>,
    pub(crate) messages: u64,
    /// Messages of each type, whether a book keeps it or not.
    pub(crate) kinds: BTreeMap<char, u64>,
}

impl PlainBooks {
    /// Every order: locate, whether it sells, price, reference, shares; buys before sells, better prices first, and as they
    /// stand in their queues.
    pub(crate) fn resting(&self) -> impl Iterator<Item = (u16, bool, u32, u64, u32)> + '_ {
        self.queues.iter().flat_map(|(&(locate, sell), levels)| {
            let mut side: Vec<_> = levels.iter().collect();
            if !sell {
                side.reverse();
            }
            side.into_iter().flat_map(move |(price, queue)| {
                queue.iter().map(move |(order_ref, shares)| (locate, sell, *price, *order_ref, *shares))
            })
        })
    }

    /// One line an order, as `--dump` writes them, without the heading.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(locate, sell, price, order_ref, shares)| {
            let letter = if sell { 'S' } else { 'B' };
            format!("{locate},{},{letter},{price},{order_ref},{shares}", self.symbols[&locate])
        };
        self.resting().map(line).collect()
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

    fn note(&mut self, kind: char) -> ControlFlow<()> {
        *self.kinds.entry(kind).or_default() += 1;
        ControlFlow::Continue(())
    }

    /// Takes the executed shares off an order, which must be next in price and time.
    fn execute(&mut self, locate: u16, order_ref: u64, shares: u32) -> ControlFlow<()> {
        let (_, sell, _) = self.homes[&order_ref];
        let levels = &self.queues[&(locate, sell)];
        let best = if sell { levels.first_key_value() } else { levels.last_key_value() };
        let (front, _) = best.unwrap().1[0];
        assert_eq!(front, order_ref, "message {} executes an order that another is before", self.messages);
        self.take(locate, order_ref, Some(shares))
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
        let _ = self.note('R');
        self.symbols.insert(m.stock_locate(), m.stock().as_str().trim_end().to_owned());
        ControlFlow::Continue(())
    }

    fn on_add_order_no_mpid_attribution(&mut self, m: &itch::AddOrderNoMPIDAttribution) -> ControlFlow<()> {
        let _ = self.note('A');
        let sell = is_sell(&m.buy_sell_indicator());
        self.put_in(m.stock_locate(), sell, m.order_reference_number(), m.shares(), m.price().into_u32())
    }

    fn on_add_order_with_mpid_attribution(
        &mut self,
        m: &itch::AddOrderWithMPIDAttribution,
    ) -> ControlFlow<()> {
        let _ = self.note('F');
        let sell = is_sell(&m.buy_sell_indicator());
        self.put_in(m.stock_locate(), sell, m.order_reference_number(), m.shares(), m.price().into_u32())
    }

    fn on_order_executed(&mut self, m: &itch::OrderExecuted) -> ControlFlow<()> {
        let _ = self.note('E');
        self.execute(m.stock_locate(), m.order_reference_number(), m.executed_shares())
    }

    fn on_order_executed_with_price(&mut self, m: &itch::OrderExecutedWithPrice) -> ControlFlow<()> {
        let _ = self.note('C');
        self.execute(m.stock_locate(), m.order_reference_number(), m.executed_shares())
    }

    fn on_order_cancel(&mut self, m: &itch::OrderCancel) -> ControlFlow<()> {
        let _ = self.note('X');
        self.take(m.stock_locate(), m.order_reference_number(), Some(m.cancelled_shares()))
    }

    fn on_order_delete(&mut self, m: &itch::OrderDelete) -> ControlFlow<()> {
        let _ = self.note('D');
        self.take(m.stock_locate(), m.order_reference_number(), None)
    }

    fn on_order_replace(&mut self, m: &itch::OrderReplace) -> ControlFlow<()> {
        let _ = self.note('U');
        let old = m.original_order_reference_number();
        let (_, sell, _) = self.homes[&old];
        let _ = self.take(m.stock_locate(), old, None);
        // One message, two changes.
        self.messages -= 1;
        let price = m.price().into_u32();
        self.put_in(m.stock_locate(), sell, m.new_order_reference_number(), m.shares(), price)
    }

    fn on_system_event(&mut self, _: &itch::SystemEvent) -> ControlFlow<()> {
        self.note('S')
    }

    fn on_stock_trading_action(&mut self, _: &itch::StockTradingAction) -> ControlFlow<()> {
        self.note('H')
    }

    fn on_reg_sho_restriction(&mut self, _: &itch::RegSHORestriction) -> ControlFlow<()> {
        self.note('Y')
    }

    fn on_market_participant_position(&mut self, _: &itch::MarketParticipantPosition) -> ControlFlow<()> {
        self.note('L')
    }

    fn on_mwcb_decline_level(&mut self, _: &itch::MWCBDeclineLevel) -> ControlFlow<()> {
        self.note('V')
    }

    fn on_mwcb_status(&mut self, _: &itch::MWCBStatus) -> ControlFlow<()> {
        self.note('W')
    }

    fn on_quoting_period_update(&mut self, _: &itch::QuotingPeriodUpdate) -> ControlFlow<()> {
        self.note('K')
    }

    fn on_luld_auction_collar(&mut self, _: &itch::LULDAuctionCollar) -> ControlFlow<()> {
        self.note('J')
    }

    fn on_operational_halt(&mut self, _: &itch::OperationalHalt) -> ControlFlow<()> {
        self.note('h')
    }

    fn on_trade(&mut self, _: &itch::Trade) -> ControlFlow<()> {
        self.note('P')
    }

    fn on_cross_trade(&mut self, _: &itch::CrossTrade) -> ControlFlow<()> {
        self.note('Q')
    }

    fn on_broken_trade(&mut self, _: &itch::BrokenTrade) -> ControlFlow<()> {
        self.note('B')
    }

    fn on_net_order_imbalance_indicator(&mut self, _: &itch::NetOrderImbalanceIndicator) -> ControlFlow<()> {
        self.note('I')
    }

    fn on_retail_price_improvement_indicator(
        &mut self,
        _: &itch::RetailPriceImprovementIndicator,
    ) -> ControlFlow<()> {
        self.note('N')
    }

    fn on_direct_listing_with_capital_raise_price_discovery(
        &mut self,
        _: &itch::DirectListingwithCapitalRaisePriceDiscovery,
    ) -> ControlFlow<()> {
        self.note('O')
    }
}
