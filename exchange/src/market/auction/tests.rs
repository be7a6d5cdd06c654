use super::*;
use crate::book::Entry;

fn hidden(side: Side, limit: Option<u32>, shares: u32) -> Interest {
    Interest { side, limit, shares }
}

fn book(displayed: &[(u64, Side, u32, u32)]) -> (Book, Orders) {
    let (mut book, mut orders) = (Book::default(), Orders::default());
    for (order_ref, side, price, shares) in displayed.iter().copied() {
        let entry = Entry { instrument: 0, order_ref, side, price, shares, tag: 0, mpid: None };
        book.insert(&mut orders, &entry);
    }
    (book, orders)
}

/// References and shares of the displayed orders that take part, and the shares of the cross.
fn taken(
    interest: &[Interest],
    displayed: &[(u64, Side, u32, u32)],
    reference: u32,
    most: u32,
) -> (u32, Vec<(u64, u32)>, u64) {
    let (book, orders) = book(displayed);
    let clearing = clear(interest, Some(&book), reference).unwrap();
    let (chosen, shares) = partakers(interest, &book, &orders, &clearing, most);
    let chosen = chosen.into_iter().map(|(slot, shares)| (orders.get(slot).order_ref, shares)).collect();
    (clearing.price, chosen, shares)
}

#[test]
fn most_shares_then_least_left_then_nearest_to_the_reference() {
    use Side::{Buy, Sell};
    // 300 trade at 102 and below, down to 101; at 102 nobody is left over.
    let interest = [
        hidden(Buy, Some(10_200), 300),
        hidden(Buy, Some(10_100), 100),
        hidden(Sell, Some(10_000), 200),
        hidden(Sell, Some(10_100), 100),
    ];
    let clearing = clear(&interest, None, 10_000).unwrap();
    assert_eq!(clearing, Clearing { price: 10_200, paired: 300, left: 0, longer: Buy });
    // The same shares at any price between: the reference itself, or the limit next to it.
    let interest = [hidden(Buy, Some(10_500), 100), hidden(Sell, Some(10_000), 100)];
    assert_eq!(clear(&interest, None, 10_300).unwrap().price, 10_300);
    assert_eq!(clear(&interest, None, 9_900).unwrap().price, 10_000);
    // More sellers than buyers.
    let interest = [hidden(Buy, None, 100), hidden(Sell, None, 250)];
    let clearing = clear(&interest, None, 10_000).unwrap();
    assert_eq!((clearing.paired, clearing.left, clearing.longer), (100, 150, Sell));
    assert_eq!(clear(&[hidden(Buy, Some(10_000), 100), hidden(Sell, Some(10_100), 100)], None, 10_000), None);
    assert_eq!(clear(&[], None, 10_000), None);
}

#[test]
fn nothing_crosses_far_from_the_reference() {
    let interest = [hidden(Side::Buy, None, 100)];
    let (stub, _) = book(&[(1, Side::Sell, MAX_PRICE, 100)]);
    assert_eq!(clear(&interest, Some(&stub), 10_000), None);
}

#[test]
fn displayed_orders_take_part_in_the_order_of_their_queues() {
    use Side::{Buy, Sell};
    let bids = [(1, Buy, 10_000, 100), (2, Buy, 10_100, 50), (3, Buy, 10_000, 100), (4, Buy, 9_900, 500)];
    // 200 to sell at 100 or more: the better bid first, then the queue at 100 from its front.
    let (price, chosen, shares) = taken(&[hidden(Sell, Some(10_000), 200)], &bids, 10_000, 8);
    assert_eq!((price, shares), (10_000, 200));
    assert_eq!(chosen, [(2, 50), (1, 100), (3, 50)]);
    // Offers, and a hidden seller at a better price who goes first; one at the same price goes last.
    let asks = [(5, Sell, 10_000, 100), (6, Sell, 10_000, 100)];
    let interest =
        [hidden(Buy, Some(10_000), 150), hidden(Sell, Some(10_000), 70), hidden(Sell, Some(9_900), 70)];
    let (price, chosen, shares) = taken(&interest, &asks, 10_000, 8);
    assert_eq!((price, shares, chosen), (10_000, 150, vec![(5, 80)]));
    // At any price goes before all limits.
    let interest = [hidden(Buy, Some(10_000), 150), hidden(Sell, None, 150)];
    assert_eq!(taken(&interest, &asks, 10_000, 8), (10_000, vec![], 150));
}

#[test]
fn so_many_displayed_orders_and_no_more() {
    use Side::{Buy, Sell};
    let bids: Vec<_> = (1..=20).map(|order_ref| (order_ref, Buy, 10_000, 10)).collect();
    let sellers = [hidden(Sell, Some(10_000), 150)];
    let (_, chosen, shares) = taken(&sellers, &bids, 10_000, 4);
    assert_eq!(chosen, [(1, 10), (2, 10), (3, 10), (4, 10)]);
    // The cross is as large as what is said of it: the rest goes without.
    assert_eq!(shares, 40);
    let with_hidden = [sellers[0], hidden(Buy, Some(10_000), 60)];
    assert_eq!(taken(&with_hidden, &bids, 10_000, 4).2, 100);
}

#[test]
fn variation_codes() {
    assert_eq!(variation(None, 10_000), b' ');
    let codes =
        [(10_000, b'L'), (10_099, b'L'), (9_900, b'1'), (10_999, b'9'), (11_000, b'A'), (8_000, b'B')];
    for (near, code) in codes {
        assert_eq!(variation(Some(near), 10_000), code, "{near}");
    }
    assert_eq!(variation(Some(13_000), 10_000), b'C');
    assert_eq!(variation(Some(1), 0), b'C');
}
