//! nautilus-model's `OrderBook`, of the type `L3_MBO`.

use nautilus_model::data::order::BookOrder;
use nautilus_model::enums::{BookType, OrderSide};
use nautilus_model::identifiers::InstrumentId;
use nautilus_model::orderbook::OrderBook;
use nautilus_model::types::price::PriceRaw;
use nautilus_model::types::quantity::QuantityRaw;
use nautilus_model::types::{Price, Quantity};
use wirebook::market::Side;

use super::prepared::{Operation, Order, Prepared};
use crate::contest::{Contestant, Entry, Holds};
use crate::packets::Packet;

/// Nine decimals.
const UNIT: QuantityRaw = 1_000_000_000;
/// Nine decimals; ours have four.
const PRICE: PriceRaw = 100_000;

enum Step {
    Add,
    Update,
    Delete,
}

struct Books {
    /// By locate.
    books: Vec<OrderBook>,
    steps: Prepared<(Step, u16, BookOrder)>,
}

pub(super) fn entry<'a>() -> Entry<'a> {
    Entry {
        name: "nautilus-model 0.57.0 OrderBook (L3_MBO), operations prepared",
        keeps: "every order in its queue",
        at_most: 5_000_000,
        make: Box::new(|stream, messages| {
            let books = (0..=stream.highest_locate()).map(|locate| {
                OrderBook::new(InstrumentId::from(format!("S{locate}.XNAS").as_str()), BookType::L3_MBO)
            });
            Box::new(Books {
                books: books.collect(),
                steps: Prepared::new(&stream.packets(messages).0, step),
            })
        }),
    }
}

fn step(operation: Operation) -> (Step, u16, BookOrder) {
    let (step, order) = match operation {
        Operation::Add(order) => (Step::Add, order),
        Operation::Reduce(order) => (Step::Update, order),
        Operation::Remove(order) => (Step::Delete, order),
    };
    (step, order.locate, book_order(order))
}

fn book_order(order: Order) -> BookOrder {
    let side = match order.side {
        Side::Buy => OrderSide::Buy,
        Side::Sell => OrderSide::Sell,
    };
    let price = Price::from_raw(PriceRaw::from(order.price) * PRICE, 4);
    let size = Quantity::from_raw(QuantityRaw::from(order.shares) * UNIT, 0);
    BookOrder::new(side, price, size, order.reference)
}

impl Contestant for Books {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for (step, locate, order) in self.steps.next(packets.len()) {
            let book = &mut self.books[usize::from(*locate)];
            match step {
                Step::Add => book.add(*order, 0, 0, 0.into()),
                Step::Update => book.update(*order, 0, 0, 0.into()),
                Step::Delete => book.delete(*order, 0, 0, 0.into()),
            }
        }
    }

    fn holds(&self) -> Option<Holds> {
        let price = |price: Option<Price>| price.map_or(0, |price| (price.raw / PRICE) as u32);
        let orders = |book: &OrderBook| {
            book.bids(None).chain(book.asks(None)).map(|level| level.len() as u64).sum::<u64>()
        };
        Some(Holds {
            orders: self.books.iter().map(orders).sum(),
            best: self
                .books
                .iter()
                .map(|book| [price(book.best_bid_price()), price(book.best_ask_price())])
                .collect(),
        })
    }
}
