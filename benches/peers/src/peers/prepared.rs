//! A stream as operations that say everything: for books that do not look up what a message leaves out.

use std::collections::HashMap;

use wirebook::feed::itch;
use wirebook::market::{EventKind, Side};

use crate::packets::Packet;

/// An order as it is after the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its reference.
    pub reference: u64,
    /// In 1/10,000.
    pub price: u32,
    /// Shares that are left.
    pub shares: u32,
    /// Its side.
    pub side: Side,
    /// Its instrument.
    pub locate: u16,
}

/// What happens to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An order joins.
    Add(Order),
    /// An order has fewer shares.
    Reduce(Order),
    /// An order leaves.
    Remove(Order),
}

/// Calls `each` with what every message of `packet` does. `live` has the orders that there were before.
fn operations(packet: &Packet<'_>, live: &mut HashMap<u64, Order>, mut each: impl FnMut(Operation)) {
    for event in packet.blocks().filter_map(|block| itch::decode(block).ok()) {
        let locate = event.locate;
        match event.kind {
            EventKind::Add { order_ref: reference, side, shares, price } => {
                let order = Order { reference, price: price.0, shares, side, locate };
                live.insert(reference, order);
                each(Operation::Add(order));
            }
            EventKind::Execute { order_ref, shares, .. } | EventKind::Cancel { order_ref, shares } => {
                let Some(order) = live.get_mut(&order_ref) else { continue };
                order.shares = order.shares.saturating_sub(shares);
                if order.shares > 0 {
                    each(Operation::Reduce(*order));
                } else {
                    each(Operation::Remove(*order));
                    live.remove(&order_ref);
                }
            }
            EventKind::Delete { order_ref } => {
                if let Some(order) = live.remove(&order_ref) {
                    each(Operation::Remove(order));
                }
            }
            EventKind::Replace { order_ref, new_order_ref, shares, price } => {
                let Some(old) = live.remove(&order_ref) else { continue };
                let order = Order { reference: new_order_ref, price: price.0, shares, ..old };
                live.insert(new_order_ref, order);
                each(Operation::Remove(old));
                each(Operation::Add(order));
            }
            _ => {}
        }
    }
}

/// Operations, and which of them belong to which packet.
#[derive(Debug, Default)]
pub struct Prepared<T> {
    operations: Vec<T>,
    /// Operations up to the end of each packet.
    ends: Vec<usize>,
    packet: usize,
}

impl<T> Prepared<T> {
    /// Of `packets`, each operation as `translate` puts it.
    pub fn new(packets: &[Packet<'_>], translate: impl Fn(Operation) -> T) -> Self {
        let mut live = HashMap::new();
        let mut all = Vec::new();
        let mut ends = Vec::with_capacity(packets.len());
        for packet in packets {
            operations(packet, &mut live, |operation| all.push(translate(operation)));
            ends.push(all.len());
        }
        Self { operations: all, ends, packet: 0 }
    }

    /// The operations of the next so many packets.
    pub fn next(&mut self, packets: usize) -> &[T] {
        let end_of = |packets: usize| packets.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        let start = end_of(self.packet).unwrap_or(0);
        self.packet = (self.packet + packets).min(self.ends.len());
        &self.operations[start..end_of(self.packet).unwrap_or(start)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets::Packed;

    fn add(reference: u64, shares: u32) -> Vec<u8> {
        let mut block = vec![b'A', 0, 7];
        block.extend([0; 8]);
        block.extend(reference.to_be_bytes());
        block.push(b'S');
        block.extend(shares.to_be_bytes());
        block.extend(b"ABC     ");
        block.extend(10_000_u32.to_be_bytes());
        block
    }

    fn of_order(kind: u8, reference: u64, rest: &[u8]) -> Vec<u8> {
        let mut block = vec![kind, 0, 7];
        block.extend([0; 8]);
        block.extend(reference.to_be_bytes());
        block.extend(rest);
        block
    }

    #[test]
    fn every_operation_says_what_the_order_is_then() {
        let mut packed = Packed::default();
        packed.push(&add(1, 300));
        packed.push(&of_order(b'X', 1, &100_u32.to_be_bytes()));
        let mut replacement = 2_u64.to_be_bytes().to_vec();
        replacement.extend(50_u32.to_be_bytes());
        replacement.extend(9_900_u32.to_be_bytes());
        packed.push(&of_order(b'U', 1, &replacement));
        packed.push(&of_order(b'X', 2, &50_u32.to_be_bytes()));
        packed.push(&of_order(b'D', 9, &[]));
        packed.close();
        let (packets, _) = packed.packets(u64::MAX);
        let mut prepared = Prepared::new(&packets, |operation| operation);
        let first = Order { reference: 1, price: 10_000, shares: 300, side: Side::Sell, locate: 7 };
        let reduced = Order { shares: 200, ..first };
        let second = Order { reference: 2, price: 9_900, shares: 50, ..first };
        let expected = [
            Operation::Add(first),
            Operation::Reduce(reduced),
            Operation::Remove(reduced),
            Operation::Add(second),
            Operation::Remove(Order { shares: 0, ..second }),
        ];
        assert_eq!(prepared.next(1), expected);
        assert_eq!(prepared.next(1), []);
    }

    #[test]
    fn bursts_get_the_operations_of_their_packets() {
        let mut packed = Packed::default();
        (1..=200).for_each(|reference| packed.push(&add(reference, 100)));
        packed.close();
        let (packets, _) = packed.packets(u64::MAX);
        let mut prepared = Prepared::new(&packets, |operation| operation);
        let counts: Vec<_> = packets.chunks(2).map(|burst| prepared.next(burst.len()).len() as u64).collect();
        let expected: Vec<u64> =
            packets.chunks(2).map(|burst| burst.iter().map(Packet::count).sum()).collect();
        assert_eq!(counts, expected);
    }
}
