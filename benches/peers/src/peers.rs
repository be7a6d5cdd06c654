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
