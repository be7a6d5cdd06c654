//! orderbook-rs: an order book that matches, made for many threads; here nothing ever crosses, and one thread uses it.

use orderbook_rs::OrderBook;
use pricelevel::{Id, OrderUpdate, Quantity, Side, TimeInForce};

use super::prepared::{Operation, Order, Prepared};
use crate::contest::{Contestant, Entry, Holds};
use crate::packets::Packet;

struct Books {
    /// By locate.
    books: Vec<OrderBook<()>>,
    operations: Prepared<Operation>,
    refused: u64,
}

pub(super) fn entry<'a>() -> Entry<'a> {
    Entry {
        name: "orderbook-rs 0.15.3, operations prepared",
        keeps: "every order in its queue; matches; for many threads",
        at_most: 1_000_000,
        make: Box::new(|stream, messages| {
            let books = (0..=stream.highest_locate()).map(|locate| OrderBook::new(&format!("S{locate}")));
            let operations = Prepared::new(&stream.packets(messages).0, |operation| operation);
            Box::new(Books { books: books.collect(), operations, refused: 0 })
        }),
    }
}

const fn side(of: wirebook::market::Side) -> Side {
    match of {
        wirebook::market::Side::Buy => Side::Buy,
        wirebook::market::Side::Sell => Side::Sell,
    }
}

fn apply(books: &[OrderBook<()>], operation: Operation) -> bool {
    let of = |order: Order| (&books[usize::from(order.locate)], Id::from_u64(order.reference));
    match operation {
        Operation::Add(order) => {
            let (book, id) = of(order);
            let (price, shares) = (u128::from(order.price), u64::from(order.shares));
            book.add_limit_order(id, price, shares, side(order.side), TimeInForce::Gtc, None).is_ok()
        }
        Operation::Reduce(order) => {
            let (book, order_id) = of(order);
            let new_quantity = Quantity::new(u64::from(order.shares));
            matches!(book.update_order(OrderUpdate::UpdateQuantity { order_id, new_quantity }), Ok(Some(_)))
        }
        Operation::Remove(order) => {
            let (book, id) = of(order);
            matches!(book.cancel_order(id), Ok(Some(_)))
        }
    }
}

impl Contestant for Books {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for operation in self.operations.next(packets.len()) {
            self.refused += u64::from(!apply(&self.books, *operation));
        }
    }

    fn holds(&self) -> Option<Holds> {
        let price = |price: Option<u128>| price.map_or(0, |price| price as u32);
        Some(Holds {
            orders: self.books.iter().map(|book| book.get_all_orders().len() as u64).sum(),
            best: self.books.iter().map(|book| [price(book.best_bid()), price(book.best_ask())]).collect(),
        })
    }

    fn complaint(&self) -> Option<String> {
        (self.refused > 0).then(|| format!("{} operations refused", self.refused))
    }
}
