//! The other side of the wire: a simulated exchange that publishes a feed and answers orders.
//!
//! It exists so that wirebook can be shown, tested and measured without a market: a deterministic ITCH 5.0 day
//! ([`market`]), packed into MoldUDP64 ([`mold`]) and Ethernet frames ([`frames`]), sent down two lines that lose,
//! delay and repeat packets as told ([`lines`], [`publisher`]), written to files ([`files`]); servers that give back what was
//! lost ([`rerequest`], [`glimpse`]); and a gateway ([`gateway`]) that takes OUCH 5.0 orders into the same books, fills
//! them and keeps the clients' positions. [`host`] holds all of it together.
//!
//! **It shares no code with wirebook**: encoders, decoders, checksums and books are its own, written from the
//! public documents. An error would have to be made twice, in two ways, to pass unseen between the two. For the same
//! reason it has no dependencies. [`reference`](mod@reference) holds a third, slow and strict book, built from nothing but the feed.

pub mod archive;
pub mod book;
pub mod dump;
pub mod files;
pub mod frames;
pub mod gateway;
pub mod glimpse;
pub mod host;
pub mod itch;
pub mod lines;
pub mod market;
pub mod mold;
pub mod ouch;
pub mod plan;
pub mod publisher;
pub mod reference;
pub mod rerequest;
pub mod rng;
pub mod sockets;
pub mod soup;
pub mod units;
