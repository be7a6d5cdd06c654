//! Byte layouts: one protocol a file, checked once, then infallible.
//!
//! Every decoder follows one shape: `new_checked` or `parse` looks at lengths and types once and returns a view that
//! borrows the bytes; the accessors of the view read at constant offsets, and the compiler has proved that each lies
//! inside the message. Every emitter takes `&mut [u8]`, checks once that there is room, and returns the length that it
//! wrote. Nothing here keeps state, allocates, or panics, whatever the bytes.
//!
//! Integers are in network byte order (big-endian) throughout.
//!
//! | file | format | document |
//! |---|---|---|
//! | [`ethernet`] | Ethernet II, 802.1Q and 802.1ad tags | IEEE 802.3, 802.1Q |
//! | [`arp`] | address resolution | RFC 826, RFC 5227 |
//! | [`ipv4`] | IPv4 header | RFC 791 |
//! | [`igmp`] | group membership, versions 1 to 3 | RFC 1112, RFC 2236, RFC 3376 |
//! | [`udp`] | UDP | RFC 768 |
//! | [`tcp`] | TCP headers | RFC 9293, RFC 7323 |
//! | [`checksum`] | the Internet checksum, whole and incremental | RFC 1071, RFC 1624 |
//! | [`frame`] | from frame bytes to a UDP datagram and back, in one call | those above |
//! | [`moldudp64`] | sequenced messages over UDP | MoldUDP64 1.00 (rev. 2024-08-02) |
//! | [`itch`] | TotalView-ITCH 5.0, all 23 types | Nasdaq, 2026-02-19 |
//! | [`ouch`] | OUCH 5.0, both directions | Nasdaq, April/May 2023, and the differences of October 2025 |
//! | [`soup`] | SoupBinTCP 3.00 framing and login | Nasdaq, 2017-02-22 |
//! | [`glimpse`] | GLIMPSE 5.0: the end of a snapshot | Nasdaq |
//! | [`wutf`] | order entry over UDP for tests and demos | ours |

#[macro_use]
mod kinds;
#[macro_use]
pub(crate) mod layout;

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod frame;
pub mod glimpse;
pub mod igmp;
pub mod ipv4;
pub mod itch;
pub mod moldudp64;
pub mod ouch;
pub mod soup;
pub mod tcp;
pub mod udp;
pub mod wutf;

pub use layout::{Field, FieldKind};

/// An emitter found less room than its message needs. Unless its documentation says otherwise it wrote nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room: the message needs {needed} bytes, the buffer has {room}")]
pub struct NoRoom {
    /// Bytes that the message needs.
    pub needed: usize,
    /// Bytes that the buffer had.
    pub room: usize,
}

/// The first `N` bytes of `out`, to write a message of fixed length into.
#[inline]
fn room<const N: usize>(out: &mut [u8]) -> Result<&mut [u8; N], NoRoom> {
    let room = out.len();
    out.first_chunk_mut().ok_or(NoRoom { needed: N, room })
}
