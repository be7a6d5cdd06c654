//! Public crates as contestants: decoders, and books.
//!
//! Books without a decoder get ours, by the plainest path, or, where they want to be told what an ITCH message leaves to be
//! looked up (price, side and what is left of an order), operations made beforehand ([`prepared`]): then neither decoding nor
//! looking up is timed, in the peer's favour. None of them is asked for a signal after each message.

use crate::contest::Entry;

#[cfg(feature = "peers")]
mod decoders;
#[cfg(feature = "peers")]
mod hftbacktest;
#[cfg(feature = "peers")]
mod nautilus;
#[cfg(feature = "peers")]
mod orderbook_rs;
pub mod prepared;

/// Decoders.
#[must_use]
#[cfg(feature = "peers")]
pub fn decoders<'a>() -> Vec<Entry<'a>> {
    vec![decoders::itch5(), decoders::itchy()]
}

/// Books.
#[must_use]
#[cfg(feature = "peers")]
pub fn books<'a>() -> Vec<Entry<'a>> {
    vec![hftbacktest::entry(), nautilus::entry(), orderbook_rs::entry()]
}

/// Decoders: none were built in.
#[must_use]
#[cfg(not(feature = "peers"))]
pub fn decoders<'a>() -> Vec<Entry<'a>> {
    Vec::new()
}

/// Books: none were built in.
#[must_use]
#[cfg(not(feature = "peers"))]
pub fn books<'a>() -> Vec<Entry<'a>> {
    Vec::new()
}

#[cfg(all(test, feature = "peers"))]
mod tests {
    use wirebook::book::Limits;

    use super::*;
    use crate::contest::{Contestant, hold};
    use crate::ours::Ours;
    use crate::packets::Packet;
    use crate::source::Source;

    #[test]
    fn every_peer_takes_the_whole_stream_and_has_our_orders() {
        let (stream, _) = Source::named("syn20m").unwrap().load(120_000).unwrap();
        let mut entries = books();
        let with_books = entries.len();
        entries.extend(decoders());
        let truth = |packets: &[Packet<'_>]| {
            let limits = Limits { locates: 1 << 14, orders: 1 << 18, levels: 1 << 18 };
            let mut ours = Ours::new(limits).unwrap();
            ours.burst(packets);
            ours.held()
        };
        let outcomes = hold(&stream, &entries, 1, truth, |_| {});
        for (at, outcome) in outcomes.iter().enumerate() {
            assert_eq!((outcome.messages, &outcome.complaint), (120_000, &None), "{}", outcome.name);
            let orders = outcome.agreement.map(|agreement| agreement.orders);
            assert_eq!(orders.is_some(), at < with_books, "{}", outcome.name);
            assert!(orders.is_none_or(|[theirs, ours]| theirs == ours && ours > 10_000), "{}", outcome.name);
        }
    }
}
