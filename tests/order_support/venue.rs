//! A little venue for the tests of the loop: it reads the frames that left, and answers in OUCH.

use std::collections::VecDeque;

use wirebook::wire::frame::parse_udp;
use wirebook::wire::ouch::Inbound;
use wirebook::wire::wutf::{Request, Upstream};

use super::support::{FakeTx, Rng, packet, reply};

/// An order as the venue has it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: u32,
    pub(crate) side: u8,
    pub(crate) symbol: [u8; 8],
    /// Shares of the chain, executed ones included.
    total: u32,
    executed: u32,
    price: u64,
    ioc: bool,
}

impl Order {
    fn open(&self) -> u32 {
        self.total - self.executed
    }
}

#[derive(Default)]
pub(crate) struct Venue {
    pub(crate) orders: Vec<Order>,
    /// Net shares bought, by symbol.
    pub(crate) positions: std::collections::BTreeMap<[u8; 8], i64>,
    replies: VecDeque<Vec<u8>>,
    read: usize,
    sequence: u64,
    matches: u64,
    highest: u32,
    pub(crate) enters: u64,
    pub(crate) replaces: u64,
    pub(crate) cancels: u64,
}

impl Venue {
    /// Reads every frame sent since the last call.
    pub(crate) fn read(&mut self, tx: &FakeTx, rng: &mut Rng) {
        assert!(tx.count - self.read <= FakeTx::RING, "the test reads often enough");
        for n in self.read..tx.count {
            let at = n % FakeTx::RING;
            let datagram = parse_udp(&tx.sent[at][..tx.lens[at]], 0).unwrap();
            for request in Upstream::new_checked(datagram.payload).unwrap() {
                if let Request::Order(message) = request {
                    self.order(Inbound::parse(message).unwrap(), rng);
                }
            }
        }
        self.read = tx.count;
    }

    fn order(&mut self, message: Inbound<'_>, rng: &mut Rng) {
        match message {
            Inbound::EnterOrder(m, _) => {
                self.enters += 1;
                assert!(m.user_ref_num > self.highest, "numbers rise on the wire");
                self.highest = m.user_ref_num;
                assert!((1..1_000_000).contains(&m.quantity) && (1..2_000_000_000).contains(&m.price));
                if rng.one_in(10) {
                    self.replies.push_back(reply::rejected(m.user_ref_num, 7));
                    return;
                }
                let (id, side, symbol, total, price) =
                    (m.user_ref_num, m.side, m.symbol, m.quantity, m.price);
                let ioc = m.time_in_force == b'3';
                self.replies.push_back(reply::accepted(id, side, total, price, b'L'));
                self.orders.push(Order { id, side, symbol, total, executed: 0, price, ioc });
            }
            Inbound::ReplaceOrder(m, _) => {
                self.replaces += 1;
                assert!(m.user_ref_num > self.highest, "numbers rise on the wire");
                self.highest = m.user_ref_num;
                let at = self.orders.iter().position(|o| o.id == m.orig_user_ref_num);
                let Some(order) = at.map(|at| &mut self.orders[at]).filter(|o| m.quantity > o.executed)
                else {
                    self.replies.push_back(reply::rejected(m.user_ref_num, 0x15));
                    return;
                };
                if rng.one_in(10) {
                    self.replies.push_back(reply::rejected(m.user_ref_num, 0x15));
                    return;
                }
                (order.id, order.total, order.price) = (m.user_ref_num, m.quantity, m.price);
                let (old, new) = (m.orig_user_ref_num, m.user_ref_num);
                self.replies.push_back(reply::replaced(old, new, order.side, order.open(), order.price));
            }
            Inbound::CancelOrder(m, _) => {
                self.cancels += 1;
                assert_eq!(m.quantity, 0);
                let Some(at) = self.orders.iter().position(|o| o.id == m.user_ref_num) else { return };
                if rng.one_in(10) {
                    self.replies.push_back(reply::short(b'I', m.user_ref_num));
                    return;
                }
                let order = self.orders.remove(at);
                self.replies.push_back(reply::canceled(order.id, order.open(), b'U'));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Trades some, and cancels what may not rest.
    pub(crate) fn trade(&mut self, rng: &mut Rng) {
        for order in &mut self.orders {
            if !order.ioc && !rng.one_in(6) {
                continue;
            }
            let part = if rng.one_in(2) { order.open() } else { 1 + rng.below(order.open().into()) as u32 };
            if !(order.ioc && rng.one_in(3)) {
                order.executed += part;
                self.matches += 1;
                self.replies.push_back(reply::executed(order.id, part, order.price, self.matches));
                let by = if order.side == b'B' { i64::from(part) } else { -i64::from(part) };
                *self.positions.entry(order.symbol).or_default() += by;
            }
            if order.ioc && order.open() > 0 {
                self.replies.push_back(reply::canceled(order.id, order.open(), b'I'));
                order.total = order.executed;
            }
        }
        self.orders.retain(|order| order.open() > 0);
    }

    /// The next packet of replies, if there are any.
    pub(crate) fn answer(&mut self, most: usize) -> Option<Vec<u8>> {
        let count = most.min(self.replies.len());
        if count == 0 {
            return None;
        }
        let messages: Vec<Vec<u8>> = self.replies.drain(..count).collect();
        let refs: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut out = [0; 9_000];
        let bytes = packet(&mut out, self.sequence + 1, &refs).to_vec();
        self.sequence += count as u64;
        Some(bytes)
    }
}
