//! hftbacktest's market depth from orders: `BTreeMarketDepth` as an `L3MarketDepth`.

use hftbacktest::depth::{BTreeMarketDepth, INVALID_MAX, INVALID_MIN, L3MarketDepth, MarketDepth};
use wirebook::feed::itch;
use wirebook::market::{EventKind, Side};

use crate::contest::{Contestant, Entry, Holds};
use crate::packets::Packet;

struct Books {
    /// By locate.
    books: Vec<BTreeMarketDepth>,
    refused: u64,
}

pub(super) fn entry<'a>() -> Entry<'a> {
    Entry {
        name: "hftbacktest 0.9.4 BTreeMarketDepth, our decode",
        keeps: "orders by reference, shares by price; no queue",
        at_most: u64::MAX,
        make: Box::new(|stream, _| {
            // Ticks of 1 make every price and every number of shares exact.
            let books = (0..=stream.highest_locate()).map(|_| BTreeMarketDepth::new(1.0, 1.0)).collect();
            Box::new(Books { books, refused: 0 })
        }),
    }
}

impl Books {
    #[inline]
    fn apply(&mut self, block: &[u8]) {
        let Ok(event) = itch::decode(block) else {
            self.refused += 1;
            return;
        };
        let book = &mut self.books[usize::from(event.locate)];
        let at = event.timestamp as i64;
        let add = |book: &mut BTreeMarketDepth, side, reference, price: u32, shares: u32| {
            let (price, shares) = (f64::from(price), f64::from(shares));
            match side {
                Side::Buy => book.add_buy_order(reference, price, shares, at).is_ok(),
                Side::Sell => book.add_sell_order(reference, price, shares, at).is_ok(),
            }
        };
        let done = match event.kind {
            EventKind::Add { order_ref, side, shares, price } => add(book, side, order_ref, price.0, shares),
            EventKind::Execute { order_ref, shares, .. } | EventKind::Cancel { order_ref, shares } => {
                match book
                    .orders()
                    .get(&order_ref)
                    .map(|order| (order.price_tick, order.qty - f64::from(shares)))
                {
                    Some((price, left)) if left > 0.0 => {
                        book.modify_order(order_ref, price as f64, left, at).is_ok()
                    }
                    Some(_) => book.delete_order(order_ref, at).is_ok(),
                    None => false,
                }
            }
            EventKind::Delete { order_ref } => book.delete_order(order_ref, at).is_ok(),
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                match book.delete_order(order_ref, at) {
                    Ok((hftbacktest::types::Side::Buy, ..)) => {
                        add(book, Side::Buy, new_order_ref, price.0, shares)
                    }
                    Ok(_) => add(book, Side::Sell, new_order_ref, price.0, shares),
                    Err(_) => false,
                }
            }
            _ => true,
        };
        self.refused += u64::from(!done);
    }
}

impl Contestant for Books {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for block in packets.iter().flat_map(Packet::blocks) {
            self.apply(block);
        }
    }

    fn holds(&self) -> Option<Holds> {
        let price = |tick: i64| if matches!(tick, INVALID_MIN | INVALID_MAX) { 0 } else { tick as u32 };
        Some(Holds {
            orders: self.books.iter().map(|book| book.orders().len() as u64).sum(),
            best: self
                .books
                .iter()
                .map(|book| [price(book.best_bid_tick()), price(book.best_ask_tick())])
                .collect(),
        })
    }

    fn complaint(&self) -> Option<String> {
        (self.refused > 0).then(|| format!("{} messages refused", self.refused))
    }
}
