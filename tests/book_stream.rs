//! A recorded or generated day of ITCH 5.0 through the books and through a plain book of maps that a decoder not of
//! ours feeds (the `itch5` crate): the best prices after every message, and at the end every order in its queue.
//!
//! ```text
//! WIREBOOK_ITCH_FILE=day.itch cargo test --release --no-default-features --test book_stream -- --ignored
//! ```
//! The file holds each message after its length (16 bits, big-endian).
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use itch5::messages as itch;
use itch5::{MessageHandler, Parser};
use wirebook::book::{Books, Limits, Outcome};
use wirebook::market::{Event, EventKind, Price, Side, Symbol};

type Queue = VecDeque<(u64, u32)>;

#[derive(Default)]
struct PlainBook {
    bids: BTreeMap<u32, Queue>,
    asks: BTreeMap<u32, Queue>,
}

impl PlainBook {
    fn side(&mut self, buy: bool) -> &mut BTreeMap<u32, Queue> {
        if buy { &mut self.bids } else { &mut self.asks }
    }
}

/// Both books, fed with the same messages, each in its own words.
struct Both {
    books: Books,
    plain: BTreeMap<u16, PlainBook>,
    orders: HashMap<u64, (u16, bool, u32)>,
    messages: u64,
}

impl Both {
    fn apply(&mut self, locate: u16, time: &itch::Timestamp, kind: EventKind) {
        self.messages += 1;
        let change = self.books.apply(&Event { locate, timestamp: time.to_u64(), kind });
        assert_eq!(change.outcome, Outcome::Applied, "message {}: {kind:?}", self.messages);
    }

    fn compare_top(&mut self, locate: u16) {
        let plain = self.plain.entry(locate).or_default();
        let top = self.books.top(locate);
        let summed = |(price, queue): (&u32, &Queue)| {
            (*price, queue.iter().map(|(_, shares)| u64::from(*shares)).sum::<u64>(), queue.len() as u32)
        };
        let seen = |level: wirebook::market::Level| (level.price.0, level.shares, level.orders);
        assert_eq!(top.bid.map(seen), plain.bids.last_key_value().map(summed), "message {}", self.messages);
        assert_eq!(top.ask.map(seen), plain.asks.first_key_value().map(summed), "message {}", self.messages);
    }

    fn put_in(&mut self, locate: u16, buy: bool, order_ref: u64, shares: u32, price: u32) {
        self.plain
            .entry(locate)
            .or_default()
            .side(buy)
            .entry(price)
            .or_default()
            .push_back((order_ref, shares));
        assert!(self.orders.insert(order_ref, (locate, buy, price)).is_none());
    }

    fn take_out(&mut self, order_ref: u64, shares: Option<u32>) -> (u16, bool) {
        let (locate, buy, price) = self.orders[&order_ref];
        let side = self.plain.get_mut(&locate).unwrap().side(buy);
        let queue = side.get_mut(&price).unwrap();
        let at = queue.iter().position(|(queued, _)| *queued == order_ref).unwrap();
        let held = &mut queue[at].1;
        *held = shares.map_or(0, |shares| held.checked_sub(shares).unwrap());
        if *held == 0 {
            queue.remove(at);
            if queue.is_empty() {
                side.remove(&price);
            }
            self.orders.remove(&order_ref);
        }
        (locate, buy)
    }

    fn add(
        &mut self,
        locate: u16,
        time: &itch::Timestamp,
        order_ref: u64,
        buy: bool,
        shares: u32,
        price: u32,
    ) -> ControlFlow<()> {
        let side = if buy { Side::Buy } else { Side::Sell };
        self.apply(locate, time, EventKind::Add { order_ref, side, shares, price: Price(price) });
        self.put_in(locate, buy, order_ref, shares, price);
        self.compare_top(locate);
        ControlFlow::Continue(())
    }

    fn lose(
        &mut self,
        locate: u16,
        time: &itch::Timestamp,
        kind: EventKind,
        lost: (u64, Option<u32>),
    ) -> ControlFlow<()> {
        self.apply(locate, time, kind);
        self.take_out(lost.0, lost.1);
        self.compare_top(locate);
        ControlFlow::Continue(())
    }
}

fn is_buy(side: &itch::BuySellIndicator) -> bool {
    let buy = matches!(side, itch::BuySellIndicator::Buy);
    assert!(buy || matches!(side, itch::BuySellIndicator::Sell));
    buy
}

impl MessageHandler for Both {
    fn on_stock_directory(&mut self, m: &itch::StockDirectory) -> ControlFlow<()> {
        let symbol = Symbol::new(m.stock().as_str().trim_end()).unwrap();
        let kind = EventKind::Directory { symbol, round_lot: m.round_lot_size() };
        self.apply(m.stock_locate(), m.timestamp(), kind);
        ControlFlow::Continue(())
    }

    fn on_add_order_no_mpid_attribution(&mut self, m: &itch::AddOrderNoMPIDAttribution) -> ControlFlow<()> {
        let price = m.price().into_u32();
        let (order_ref, buy) = (m.order_reference_number(), is_buy(&m.buy_sell_indicator()));
        self.add(m.stock_locate(), m.timestamp(), order_ref, buy, m.shares(), price)
    }

    fn on_add_order_with_mpid_attribution(
        &mut self,
        m: &itch::AddOrderWithMPIDAttribution,
    ) -> ControlFlow<()> {
        let price = m.price().into_u32();
        let (order_ref, buy) = (m.order_reference_number(), is_buy(&m.buy_sell_indicator()));
        self.add(m.stock_locate(), m.timestamp(), order_ref, buy, m.shares(), price)
    }

    fn on_order_executed(&mut self, m: &itch::OrderExecuted) -> ControlFlow<()> {
        let (order_ref, shares) = (m.order_reference_number(), m.executed_shares());
        let kind = EventKind::Execute { order_ref, shares, price: None, printable: true };
        self.lose(m.stock_locate(), m.timestamp(), kind, (order_ref, Some(shares)))
    }

    fn on_order_executed_with_price(&mut self, m: &itch::OrderExecutedWithPrice) -> ControlFlow<()> {
        let (order_ref, shares) = (m.order_reference_number(), m.executed_shares());
        let printable = matches!(m.printable(), itch::Printable::Printable);
        let price = Some(Price(m.execution_price().into_u32()));
        let kind = EventKind::Execute { order_ref, shares, price, printable };
        self.lose(m.stock_locate(), m.timestamp(), kind, (order_ref, Some(shares)))
    }

    fn on_order_cancel(&mut self, m: &itch::OrderCancel) -> ControlFlow<()> {
        let (order_ref, shares) = (m.order_reference_number(), m.cancelled_shares());
        let kind = EventKind::Cancel { order_ref, shares };
        self.lose(m.stock_locate(), m.timestamp(), kind, (order_ref, Some(shares)))
    }

    fn on_order_delete(&mut self, m: &itch::OrderDelete) -> ControlFlow<()> {
        let order_ref = m.order_reference_number();
        self.lose(m.stock_locate(), m.timestamp(), EventKind::Delete { order_ref }, (order_ref, None))
    }

    fn on_order_replace(&mut self, m: &itch::OrderReplace) -> ControlFlow<()> {
        let order_ref = m.original_order_reference_number();
        let new_order_ref = m.new_order_reference_number();
        let (shares, price) = (m.shares(), m.price().into_u32());
        let kind = EventKind::Replace { order_ref, new_order_ref, shares, price: Price(price) };
        self.apply(m.stock_locate(), m.timestamp(), kind);
        let (locate, buy) = self.take_out(order_ref, None);
        self.put_in(locate, buy, new_order_ref, shares, price);
        self.compare_top(locate);
        ControlFlow::Continue(())
    }
}

#[test]
#[ignore = "needs a file: WIREBOOK_ITCH_FILE=day.itch"]
fn a_stream_file_ends_in_the_books_of_an_independent_decoder() {
    let path = std::env::var_os("WIREBOOK_ITCH_FILE").expect("WIREBOOK_ITCH_FILE names no file");
    let bytes = std::fs::read(path).unwrap();
    let mut both = Both {
        books: Books::new(Limits::default()).unwrap(),
        plain: BTreeMap::new(),
        orders: HashMap::new(),
        messages: 0,
    };
    Parser::new(&bytes).parse_stream(&mut both).unwrap();
    let held = both
        .books
        .resting()
        .map(|order| (order.locate, order.side == Side::Buy, order.price.0, order.order_ref, order.shares));
    let flat = |locate: u16, buy: bool, price: u32, queue: &Queue| {
        queue.iter().map(|(order_ref, shares)| (locate, buy, price, *order_ref, *shares)).collect::<Vec<_>>()
    };
    let expected = both.plain.iter().flat_map(|(locate, book)| {
        let bids = book.bids.iter().rev().flat_map(|(price, queue)| flat(*locate, true, *price, queue));
        let asks = book.asks.iter().flat_map(|(price, queue)| flat(*locate, false, *price, queue));
        bids.chain(asks).collect::<Vec<_>>()
    });
    assert!(held.eq(expected), "the books differ");
    assert!(both.messages > 0 && both.books.usage().orders > 0, "an empty comparison proves nothing");
    assert_eq!(both.books.audit().unwrap().orders as usize, both.orders.len());
    println!("{} messages, {} live orders, {:?}", both.messages, both.orders.len(), both.books.counters());
}
