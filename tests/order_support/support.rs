//! What the tests of the order path share: a transmit queue in memory, and reply packets.

#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

use wirebook::nic::TxQueue;
use wirebook::order::template::FrameAddressing;
use wirebook::wire::moldudp64::PacketBuilder;

/// A queue with a fixed number of buffers that keeps what was sent, allocating nothing.
pub(crate) struct FakeTx {
    pub(crate) sent: [[u8; 128]; Self::RING],
    pub(crate) lens: [usize; Self::RING],
    pub(crate) count: usize,
    pub(crate) no_buffer: bool,
    pub(crate) ring_full: bool,
    pub(crate) slot_len: usize,
}

pub(crate) struct Slot {
    bytes: [u8; 128],
    len: usize,
}

impl std::ops::Deref for Slot {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::ops::DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl FakeTx {
    pub(crate) const RING: usize = 64;

    pub(crate) fn new() -> Self {
        Self {
            sent: [[0; 128]; Self::RING],
            lens: [0; Self::RING],
            count: 0,
            no_buffer: false,
            ring_full: false,
            slot_len: 128,
        }
    }

    /// The latest frame.
    pub(crate) fn last(&self) -> &[u8] {
        let at = (self.count - 1) % Self::RING;
        &self.sent[at][..self.lens[at]]
    }
}

impl TxQueue for FakeTx {
    type Slot = Slot;

    fn reserve(&mut self) -> Option<Slot> {
        // Unspecified bytes, as the contract says.
        (!self.no_buffer).then_some(Slot { bytes: [0xA5; 128], len: self.slot_len })
    }

    fn send(&mut self, slot: Slot, len: u16) -> Result<(), Slot> {
        if self.ring_full || len == 0 || usize::from(len) > slot.len {
            return Err(slot);
        }
        let at = self.count % Self::RING;
        self.sent[at] = slot.bytes;
        self.lens[at] = usize::from(len);
        self.count += 1;
        Ok(())
    }
}

pub(crate) const ADDRESSING: FrameAddressing = FrameAddressing {
    src_mac: [2, 0, 0, 0, 0, 2],
    dst_mac: [2, 0, 0, 0, 0, 1],
    src_ip: std::net::Ipv4Addr::new(10, 0, 0, 2),
    dst_ip: std::net::Ipv4Addr::new(10, 0, 0, 1),
    src_port: 31_000,
    dst_port: 31_001,
    vlan: None,
};

pub(crate) const SESSION: [u8; 10] = *b"REPLIES001";

/// A reply packet.
pub(crate) fn packet<'b>(out: &'b mut [u8], sequence: u64, messages: &[&[u8]]) -> &'b [u8] {
    let mut builder = PacketBuilder::new(out, SESSION, sequence).unwrap();
    for message in messages {
        builder.push(message).unwrap();
    }
    let len = builder.len();
    &out[..len]
}

/// OUCH 5.0 replies as the document of 2023 lays them out, written by hand: independent of the crate's own layouts.
pub(crate) mod reply {
    fn head(kind: u8, user_ref_num: u32) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(34_200_000_000_000_u64.to_be_bytes());
        bytes.extend(user_ref_num.to_be_bytes());
        bytes
    }

    pub(crate) fn accepted(user_ref_num: u32, side: u8, shares: u32, price: u64, state: u8) -> Vec<u8> {
        let mut bytes = head(b'A', user_ref_num);
        bytes.push(side);
        bytes.extend(shares.to_be_bytes());
        bytes.extend(*b"TEST    ");
        bytes.extend(price.to_be_bytes());
        bytes.extend(*b"0Y");
        bytes.extend((1_000_000 + u64::from(user_ref_num)).to_be_bytes());
        bytes.extend(*b"PNN");
        bytes.push(state);
        bytes.extend(*b"WIREBOOK      ");
        bytes.extend([0, 0]);
        assert_eq!(bytes.len(), 64);
        bytes
    }

    pub(crate) fn replaced(original: u32, user_ref_num: u32, side: u8, shares: u32, price: u64) -> Vec<u8> {
        let mut bytes = head(b'U', original);
        bytes.extend(user_ref_num.to_be_bytes());
        bytes.push(side);
        bytes.extend(shares.to_be_bytes());
        bytes.extend(*b"TEST    ");
        bytes.extend(price.to_be_bytes());
        bytes.extend(*b"0Y");
        bytes.extend((1_000_000 + u64::from(user_ref_num)).to_be_bytes());
        bytes.extend(*b"PNNL");
        bytes.extend(*b"WIREBOOK      ");
        bytes.extend([0, 0]);
        assert_eq!(bytes.len(), 68);
        bytes
    }

    pub(crate) fn executed(user_ref_num: u32, shares: u32, price: u64, match_number: u64) -> Vec<u8> {
        let mut bytes = head(b'E', user_ref_num);
        bytes.extend(shares.to_be_bytes());
        bytes.extend(price.to_be_bytes());
        bytes.push(b'A');
        bytes.extend(match_number.to_be_bytes());
        bytes.extend([0, 0]);
        assert_eq!(bytes.len(), 36);
        bytes
    }

    pub(crate) fn canceled(user_ref_num: u32, shares: u32, reason: u8) -> Vec<u8> {
        let mut bytes = head(b'C', user_ref_num);
        bytes.extend(shares.to_be_bytes());
        bytes.push(reason);
        assert_eq!(bytes.len(), 18);
        bytes
    }

    pub(crate) fn aiq_canceled(user_ref_num: u32, shares: u32) -> Vec<u8> {
        let mut bytes = head(b'D', user_ref_num);
        bytes.extend(shares.to_be_bytes());
        bytes.push(b'Q');
        bytes.extend(shares.to_be_bytes());
        bytes.extend(10_000_u64.to_be_bytes());
        bytes.extend(*b"A1");
        assert_eq!(bytes.len(), 32);
        bytes
    }

    pub(crate) fn rejected(user_ref_num: u32, reason: u16) -> Vec<u8> {
        let mut bytes = head(b'J', user_ref_num);
        bytes.extend(reason.to_be_bytes());
        bytes.extend(*b"WIREBOOK      ");
        assert_eq!(bytes.len(), 29);
        bytes
    }

    pub(crate) fn broken(user_ref_num: u32, match_number: u64) -> Vec<u8> {
        let mut bytes = head(b'B', user_ref_num);
        bytes.extend(match_number.to_be_bytes());
        bytes.push(b'E');
        bytes.extend(*b"WIREBOOK      ");
        assert_eq!(bytes.len(), 36);
        bytes
    }

    pub(crate) fn short(kind: u8, user_ref_num: u32) -> Vec<u8> {
        head(kind, user_ref_num)
    }
}

/// xorshift64: the same cases on every machine.
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
