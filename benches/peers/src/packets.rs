//! A stream of messages, packed as it would come off the wire: MoldUDP64 packets of at most 1,472 bytes, one behind the
//! other in memory, taken in bursts.

use std::ops::Range;

/// Largest UDP payload of an Ethernet frame of 1,500 bytes.
pub const LARGEST: usize = 1_472;

/// Packets that the loop takes at once.
pub const BURST: usize = 32;

/// Bytes of a MoldUDP64 header.
const HEADER: usize = 20;

/// Where `stock_locate` stands in every message.
const LOCATE: Range<usize> = 1..3;

/// Where the reference of the order stands in every message that has one.
const REFERENCE: Range<usize> = 11..19;

/// The types whose first field after the time stamp is the reference of an order on the book, or of one that joins it.
pub const ORDER_TYPES: [u8; 7] = *b"AFECXDU";

/// What a contestant is handed: one packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The UDP payload: header, then blocks of length and message.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Everything behind the header: each message behind its 16-bit big-endian length.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.payload.get(HEADER..).unwrap_or_default()
    }

    /// The messages.
    #[inline]
    pub fn blocks(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        blocks(self.body())
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self.payload.get(HEADER - 2..HEADER) {
            Some(&[high, low]) => u64::from(u16::from_be_bytes([high, low])),
            _ => 0,
        }
    }
}

/// The messages of bytes in which each stands behind its length; ends where the bytes do.
#[inline]
pub fn blocks(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk()?;
        let (block, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        bytes = rest;
        Some(block)
    })
}

/// The reference that a message of [`ORDER_TYPES`] names first.
#[inline]
#[must_use]
pub fn reference(block: &[u8]) -> Option<u64> {
    let kind = block.first()?;
    let bytes = block.get(REFERENCE)?;
    ORDER_TYPES.contains(kind).then(|| u64::from_be_bytes(bytes.try_into().unwrap_or_default()))
}

/// A packed stream.
#[derive(Default)]
pub struct Packed {
    bytes: Vec<u8>,
    /// End of each packet in `bytes`, and messages up to there.
    ends: Vec<(usize, u64)>,
    messages: u64,
    highest_locate: u16,
    highest_reference: u64,
    /// Start of the packet that is being filled, and its messages; none where there is none.
    open: Option<(usize, u16)>,
}

impl Packed {
    /// An empty stream with room for `messages`.
    #[must_use]
    pub fn with_room_for(messages: u64) -> Self {
        let messages = usize::try_from(messages).unwrap_or(0);
        // Order messages take 21 to 42 bytes behind their length; a mean of 35 leaves room.
        Self {
            bytes: Vec::with_capacity(messages * 35),
            ends: Vec::with_capacity(messages / 30),
            ..Self::default()
        }
    }

    /// Adds one message.
    pub fn push(&mut self, block: &[u8]) {
        let fits = |start| self.bytes.len() - start + 2 + block.len() <= LARGEST;
        let (start, count) = match self.open {
            Some((start, count)) if fits(start) => (start, count),
            _ => {
                self.close();
                let start = self.bytes.len();
                self.bytes.extend_from_slice(b"BENCHMARK ");
                self.bytes.extend_from_slice(&(self.messages + 1).to_be_bytes());
                self.bytes.extend_from_slice(&[0, 0]);
                (start, 0)
            }
        };
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(&block[..usize::from(length)]);
        self.open = Some((start, count + 1));
        self.messages += 1;
        if let Some(&[high, low]) = block.get(LOCATE) {
            self.highest_locate = self.highest_locate.max(u16::from_be_bytes([high, low]));
        }
        self.highest_reference = self.highest_reference.max(reference(block).unwrap_or(0));
        if block.first() == Some(&b'U')
            && let Some(new) = block.get(19..27)
        {
            let new = u64::from_be_bytes(new.try_into().unwrap_or_default());
            self.highest_reference = self.highest_reference.max(new);
        }
    }

    /// Ends the packet that is being filled, as the end of the stream does.
    pub fn close(&mut self) {
        if let Some((start, count)) = self.open.take() {
            self.bytes[start + 18..start + HEADER].copy_from_slice(&count.to_be_bytes());
            self.ends.push((self.bytes.len(), self.messages));
        }
    }

    /// Empties it; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.messages = 0;
        self.open = None;
    }

    /// Messages in all.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// The highest locate named.
    #[must_use]
    pub const fn highest_locate(&self) -> u16 {
        self.highest_locate
    }

    /// The highest order reference named.
    #[must_use]
    pub const fn highest_reference(&self) -> u64 {
        self.highest_reference
    }

    /// The packets, and how many messages they hold: all of them, or the fewest from the start that hold `at_least`.
    #[must_use]
    pub fn packets(&self, at_least: u64) -> (Vec<Packet<'_>>, u64) {
        let mut start = 0;
        let mut packets = Vec::with_capacity(self.ends.len());
        let mut messages = 0;
        for &(end, so_far) in &self.ends {
            if messages >= at_least {
                break;
            }
            packets.push(Packet { payload: &self.bytes[start..end] });
            (start, messages) = (end, so_far);
        }
        (packets, messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, locate: u16, reference: u64, len: usize) -> Vec<u8> {
        let mut block = vec![kind];
        block.extend(locate.to_be_bytes());
        block.extend([0; 8]);
        block.extend(reference.to_be_bytes());
        block.resize(len, 7);
        block
    }

    #[test]
    fn packets_are_full_and_give_every_message_back() {
        let all: Vec<_> = (0..1_000).map(|i| message(b'A', 3, i, 36)).collect();
        let mut packed = Packed::with_room_for(1_000);
        all.iter().for_each(|block| packed.push(block));
        packed.close();
        let (packets, messages) = packed.packets(u64::MAX);
        assert_eq!(messages, 1_000);
        let back: Vec<_> = packets.iter().flat_map(|packet| packet.blocks().map(<[u8]>::to_vec)).collect();
        assert_eq!(back, all);
        assert_eq!(packets.iter().map(Packet::count).sum::<u64>(), 1_000);
        let (last, full) = packets.split_last().unwrap();
        assert!(full.iter().all(|packet| packet.payload.len() == HEADER + 38 * 38), "38 messages each");
        assert!(last.payload.len() <= LARGEST);
        assert_eq!((packed.highest_locate(), packed.highest_reference()), (3, 999));
    }

    #[test]
    fn the_product_reads_the_packets() {
        let mut packed = Packed::default();
        (0..100).for_each(|i| packed.push(&message(b'D', 1, i, 19)));
        packed.close();
        let mut expected = 1;
        for packet in packed.packets(u64::MAX).0 {
            let read = wirebook::wire::moldudp64::Packet::new_checked(packet.payload).unwrap();
            assert_eq!(read.sequence(), expected);
            assert_eq!(read.blocks().count() as u64, packet.count());
            expected += packet.count();
        }
        assert_eq!(expected, 101);
    }

    #[test]
    fn a_prefix_ends_with_a_packet() {
        let mut packed = Packed::default();
        (0..200).for_each(|i| packed.push(&message(b'A', 1, i, 36)));
        packed.close();
        let (packets, messages) = packed.packets(39);
        assert_eq!((packets.len(), messages), (2, 76));
    }

    #[test]
    fn references_are_those_of_order_messages() {
        assert_eq!(reference(&message(b'E', 1, 5, 31)), Some(5));
        assert_eq!(reference(&message(b'P', 1, 5, 44)), None);
        assert_eq!(reference(&message(b'A', 1, 5, 19)[..18]), None);
        assert_eq!(reference(&[]), None);
        let mut replace = message(b'U', 1, 5, 35);
        replace[19..27].copy_from_slice(&900_u64.to_be_bytes());
        let mut packed = Packed::default();
        packed.push(&replace);
        assert_eq!(packed.highest_reference(), 900);
    }
}
