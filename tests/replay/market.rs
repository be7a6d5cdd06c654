//! A day of trading and the books it leaves, from a seed: messages written byte by byte, books kept in plain maps,
//! so that nothing here is shared with what is tested.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

/// A tiny xorshift: the same day on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Messages in order, and the dump that their books must give.
pub(crate) struct Day {
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) dump: String,
}

#[derive(Clone, Copy)]
struct Order {
    locate: u16,
    side: u8,
    price: u32,
    shares: u32,
}

type Queue = VecDeque<u64>;

#[derive(Default)]
struct Model {
    orders: BTreeMap<u64, Order>,
    /// By locate, side, and price so that the best comes first.
    queues: BTreeMap<(u16, u8, i64), Queue>,
}

fn rank(order: &Order) -> (u16, u8, i64) {
    let price = i64::from(order.price);
    (order.locate, order.side, if order.side == b'B' { -price } else { price })
}

impl Model {
    fn add(&mut self, reference: u64, order: Order) {
        self.orders.insert(reference, order);
        self.queues.entry(rank(&order)).or_default().push_back(reference);
    }

    fn reduce(&mut self, reference: u64, shares: u32) {
        let order = self.orders.get_mut(&reference).unwrap();
        order.shares -= shares;
        if order.shares == 0 {
            self.remove(reference);
        }
    }

    fn remove(&mut self, reference: u64) -> Order {
        let order = self.orders.remove(&reference).unwrap();
        self.queues.get_mut(&rank(&order)).unwrap().retain(|r| *r != reference);
        order
    }

    fn dump(&self) -> String {
        let mut text = String::from("locate,symbol,side,price,order_ref,shares\n");
        for ((locate, side, price), queue) in &self.queues {
            for reference in queue {
                let shares = self.orders[reference].shares;
                let (side, price) = (*side as char, price.abs());
                writeln!(text, "{locate},SYM{locate},{side},{price},{reference},{shares}").unwrap();
            }
        }
        text
    }
}

/// Type, locate, tracking number 0, and a time that rises by 1 ms a message.
fn head(kind: u8, locate: u16, n: usize) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&locate.to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&(n as u64 * 1_000_000).to_be_bytes()[2..]);
    message
}

fn symbol(locate: u16) -> [u8; 8] {
    let mut padded = [b' '; 8];
    let text = format!("SYM{locate}");
    padded[..text.len()].copy_from_slice(text.as_bytes());
    padded
}

impl Day {
    /// About `count` messages on `locates` instruments, whose books they leave filled.
    pub(crate) fn generate(count: usize, locates: u16) -> Self {
        let mut random = Random(0x5eed);
        let mut model = Model::default();
        let mut messages: Vec<Vec<u8>> = vec![[&head(b'S', 0, 0)[..], b"O"].concat()];
        for locate in 1..=locates {
            let mut directory = [&head(b'R', locate, 0)[..], &symbol(locate)].concat();
            directory.extend_from_slice(b"QN\0\0\0\x64NCZ PNN1N\0\0\0\0N");
            assert_eq!(directory.len(), 39);
            messages.push(directory);
            messages.push([&head(b'H', locate, 0)[..], &symbol(locate), b"T    \x20"].concat());
            assert_eq!(messages[messages.len() - 1].len(), 25);
        }
        let mut next = 1_u64;
        let mut live: Vec<u64> = Vec::new();
        for n in messages.len()..count {
            let choice = if live.len() < 100 { 0 } else { random.below(100) };
            let message = if choice < 45 {
                let locate = 1 + random.below(u64::from(locates)) as u16;
                let (side, offset) = if random.below(2) == 0 { (b'B', 0) } else { (b'S', 100_100) };
                let price = 1_000_000 + offset + random.below(1_000) as u32 * 100;
                let order = Order { locate, side, price, shares: 1 + random.below(500) as u32 };
                let kind = if random.below(10) == 0 { b'F' } else { b'A' };
                let mut message = head(kind, locate, n);
                message.extend_from_slice(&next.to_be_bytes());
                message.push(side);
                message.extend_from_slice(&order.shares.to_be_bytes());
                message.extend_from_slice(&symbol(locate));
                message.extend_from_slice(&price.to_be_bytes());
                if kind == b'F' {
                    message.extend_from_slice(b"MPID");
                }
                model.add(next, order);
                live.push(next);
                next += 1;
                message
            } else {
                let at = random.below(live.len() as u64) as usize;
                let reference = live[at];
                let order = model.orders[&reference];
                let part = 1 + random.below(u64::from(order.shares)) as u32;
                let with = |kind: u8, rest: &[&[u8]]| {
                    let mut message = head(kind, order.locate, n);
                    message.extend_from_slice(&reference.to_be_bytes());
                    message.extend(rest.concat());
                    message
                };
                let message = match choice {
                    45..55 => {
                        model.reduce(reference, part);
                        with(b'E', &[&part.to_be_bytes(), &[0; 8]])
                    }
                    55..58 => {
                        model.reduce(reference, part);
                        with(b'C', &[&part.to_be_bytes(), &[0; 8], b"Y", &order.price.to_be_bytes()])
                    }
                    58..63 => {
                        model.reduce(reference, part);
                        with(b'X', &[&part.to_be_bytes()])
                    }
                    63..85 => {
                        model.remove(reference);
                        with(b'D', &[])
                    }
                    _ => {
                        model.remove(reference);
                        let price = order.price + 100;
                        model.add(next, Order { price, shares: part, ..order });
                        live.push(next);
                        next += 1;
                        with(b'U', &[&(next - 1).to_be_bytes(), &part.to_be_bytes(), &price.to_be_bytes()])
                    }
                };
                if !model.orders.contains_key(&reference) {
                    live.swap_remove(at);
                }
                message
            };
            messages.push(message);
        }
        Self { messages, dump: model.dump() }
    }
}
