//! SoupBinTCP packets around order messages, prepared once: a request patches a few fields of one of three.

use super::ouch::{self, CANCEL, OuchProfile};
use crate::risk::Request;
use crate::wire::NoRoom;
use crate::wire::ouch::EnterOrder;
use crate::wire::soup::{self, HEADER_LEN, packet_type};

/// Longest packet: a new order.
pub const LONGEST_PACKET: usize = HEADER_LEN + EnterOrder::EMITTED_LEN;

#[derive(Clone, Copy, Debug)]
struct Prepared {
    bytes: [u8; LONGEST_PACKET],
    len: usize,
}

impl Prepared {
    fn new(message: &[u8]) -> Result<Self, NoRoom> {
        let mut bytes = [0; LONGEST_PACKET];
        let len = soup::emit(&mut bytes, packet_type::UNSEQUENCED_DATA, message)?;
        Ok(Self { bytes, len })
    }
}

/// The packets of one session.
#[derive(Clone, Debug)]
pub struct OrderPackets {
    enter: Prepared,
    replace: Prepared,
    cancel: Prepared,
}

impl OrderPackets {
    /// Prepares the packets.
    ///
    /// # Errors
    /// None that can happen: every message fits its packet.
    pub fn new(profile: &OuchProfile) -> Result<Self, NoRoom> {
        let mut message = [0; EnterOrder::EMITTED_LEN];
        let len = profile.enter().emit(&mut message)?;
        let enter = Prepared::new(&message[..len])?;
        let len = profile.replace().emit(&mut message)?;
        let replace = Prepared::new(&message[..len])?;
        let len = CANCEL.emit(&mut message)?;
        let cancel = Prepared::new(&message[..len])?;
        Ok(Self { enter, replace, cancel })
    }

    /// The packet of a request, valid until the next call. Not inlined: rehearsals run the same code.
    #[inline(never)]
    pub fn patch(&mut self, request: &Request) -> &[u8] {
        let prepared = match request {
            Request::Enter { .. } => &mut self.enter,
            Request::Replace { .. } => &mut self.replace,
            Request::Cancel { .. } => &mut self.cancel,
        };
        ouch::patch(prepared.bytes.get_mut(HEADER_LEN..prepared.len).unwrap_or_default(), request);
        prepared.bytes.get(..prepared.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blotter::TimeInForce;
    use crate::market::{Price, Side, Symbol};
    use crate::wire::ouch::Inbound;

    #[test]
    fn a_packet_says_what_was_asked_for() {
        let mut packets = OrderPackets::new(&OuchProfile::default()).unwrap();
        let requests = [
            Request::Enter {
                user_ref_num: 7,
                symbol: Symbol(*b"AAPL    "),
                side: Side::Sell,
                short: true,
                shares: 300,
                price: Price(1_234_500),
                time_in_force: TimeInForce::Ioc,
            },
            Request::Replace {
                original: 7,
                user_ref_num: 8,
                total_shares: 500,
                price: Price(1_234_600),
                time_in_force: TimeInForce::Day,
            },
            Request::Cancel { user_ref_num: 8 },
        ];
        for request in requests {
            let bytes = packets.patch(&request);
            let (packet, rest) = soup::split(bytes).unwrap().unwrap();
            assert_eq!((packet.packet_type, rest.len()), (b'U', 0));
            match Inbound::parse(packet.payload).unwrap() {
                Inbound::EnterOrder(order, _) => {
                    assert_eq!((order.user_ref_num, order.side, order.quantity), (7, b'T', 300));
                    assert_eq!((order.symbol, order.price), (*b"AAPL    ", 1_234_500));
                    assert_eq!((order.time_in_force, order.capacity, order.display), (b'3', b'P', b'Y'));
                    assert_eq!(bytes.len(), LONGEST_PACKET);
                }
                Inbound::ReplaceOrder(order, _) => {
                    assert_eq!((order.orig_user_ref_num, order.user_ref_num), (7, 8));
                    assert_eq!((order.quantity, order.price, order.time_in_force), (500, 1_234_600, b'0'));
                }
                Inbound::CancelOrder(order, _) => assert_eq!((order.user_ref_num, order.quantity), (8, 0)),
                other => panic!("{other:?}"),
            }
        }
    }
}
