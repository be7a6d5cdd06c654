//! MoldUDP64 packets (protocol document V 1.00) as the exchange writes and reads them.
//!
//! A packet: session (10 bytes), sequence of its first message (u64), count (u16), then for each message its length
//! (u16) and its bytes. All integers big-endian. Count 0 is a heartbeat, 0xFFFF the end of the session; in both the
//! sequence is that of the next message. The first message of a session has sequence 1.

use std::fmt;

/// Bytes before the first message.
pub const HEADER: usize = 20;
/// The count that ends a session.
pub const END_OF_SESSION: u16 = 0xFFFF;
/// A payload that fits an Ethernet frame of ordinary size with room for tags and tunnels.
pub const DEFAULT_LIMIT: usize = 1_400;

/// A message too long for a packet of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its length.
    pub len: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of {} bytes does not fit a packet", self.len)
    }
}

impl std::error::Error for TooLong {}

/// Packs messages into packets, as many to a packet as fit.
#[derive(Clone, Debug)]
pub struct Packetizer {
    session: [u8; 10],
    /// Sequence of the next message to be pushed.
    next: u64,
    count: u16,
    limit: usize,
    packet: Vec<u8>,
}

impl Packetizer {
    /// A new session whose first message has sequence 1. `limit` is the longest payload, raised to 22 bytes if less.
    #[must_use]
    pub fn new(session: [u8; 10], limit: usize) -> Self {
        Self::starting_at(session, limit, 1)
    }

    /// As [`Packetizer::new`], but the next message has sequence `next`: a stream joined late.
    #[must_use]
    pub fn starting_at(session: [u8; 10], limit: usize, next: u64) -> Self {
        let limit = limit.clamp(HEADER + 2, usize::from(u16::MAX));
        let mut packetizer = Self { session, next, count: 0, limit, packet: Vec::with_capacity(limit) };
        packetizer.begin();
        packetizer
    }

    fn begin(&mut self) {
        self.count = 0;
        self.packet.clear();
        self.packet.extend_from_slice(&self.session);
        self.packet.extend_from_slice(&self.next.to_be_bytes());
        self.packet.extend_from_slice(&[0, 0]);
    }

    /// Adds a message. If it does not fit any more, the packet so far goes to `out` first.
    ///
    /// # Errors
    /// [`TooLong`] when no packet could hold it; it is not added and consumes no sequence.
    pub fn push(&mut self, message: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), TooLong> {
        let Ok(len) = u16::try_from(message.len()) else { return Err(TooLong { len: message.len() }) };
        if HEADER + 2 + message.len() > self.limit {
            return Err(TooLong { len: message.len() });
        }
        if self.packet.len() + 2 + message.len() > self.limit || self.count == END_OF_SESSION - 1 {
            self.flush(out);
        }
        self.packet.extend_from_slice(&len.to_be_bytes());
        self.packet.extend_from_slice(message);
        self.count += 1;
        self.next += 1;
        Ok(())
    }

    /// Sends what has been gathered, if anything. Returns whether there was something.
    pub fn flush(&mut self, out: &mut impl FnMut(&[u8])) -> bool {
        if self.count == 0 {
            return false;
        }
        self.packet[18..20].copy_from_slice(&self.count.to_be_bytes());
        out(&self.packet);
        self.begin();
        true
    }

    /// Sends what has been gathered, then a heartbeat.
    pub fn heartbeat(&mut self, out: &mut impl FnMut(&[u8])) {
        self.flush(out);
        out(&self.packet);
    }

    /// Sends what has been gathered, then the end of the session. May be repeated.
    pub fn end_of_session(&mut self, out: &mut impl FnMut(&[u8])) {
        self.flush(out);
        self.packet[18..20].copy_from_slice(&END_OF_SESSION.to_be_bytes());
        out(&self.packet);
        self.begin();
    }

    /// Begins another session at sequence 1. What was gathered and not sent is dropped.
    pub fn roll(&mut self, session: [u8; 10]) {
        self.session = session;
        self.next = 1;
        self.begin();
    }

    /// Session of the packets.
    #[must_use]
    pub fn session(&self) -> [u8; 10] {
        self.session
    }

    /// Sequence of the next message.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Messages gathered but not yet sent.
    #[must_use]
    pub fn gathered(&self) -> u16 {
        self.count
    }
}

/// A packet taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Session.
    pub session: [u8; 10],
    /// Sequence of the first message, or of the next one where there is none.
    pub sequence: u64,
    /// Messages; 0 for a heartbeat and the end of the session.
    pub count: u16,
    /// Does it end the session?
    pub ends: bool,
    blocks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes a payload apart. `None` when it is too short, or does not hold as many messages as it says.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (session, rest) = payload.split_first_chunk::<10>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (count, blocks) = rest.split_first_chunk::<2>()?;
        let count = u16::from_be_bytes(*count);
        let ends = count == END_OF_SESSION;
        let count = if ends { 0 } else { count };
        let packet = Self { session: *session, sequence: u64::from_be_bytes(*sequence), count, ends, blocks };
        (packet.messages().count() == usize::from(count)).then_some(packet)
    }

    /// Its messages, in order.
    pub fn messages(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.blocks;
        (0..self.count).map_while(move |_| {
            let (len, after) = rest.split_first_chunk::<2>()?;
            let (message, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            rest = after;
            Some(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(limit: usize, messages: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut packetizer = Packetizer::new(*b"SESSION001", limit);
        for message in messages {
            packetizer.push(message, &mut |packet| out.push(packet.to_vec())).expect("fits");
        }
        packetizer.heartbeat(&mut |packet| out.push(packet.to_vec()));
        packetizer.end_of_session(&mut |packet| out.push(packet.to_vec()));
        out
    }

    #[test]
    fn bytes_of_a_small_packet() {
        let out = packets(100, &[b"abc", b""]);
        assert_eq!(out[0], b"SESSION001\0\0\0\0\0\0\0\x01\0\x02\0\x03abc\0\0");
        assert_eq!(out[1], b"SESSION001\0\0\0\0\0\0\0\x03\0\0");
        assert_eq!(out[2], b"SESSION001\0\0\0\0\0\0\0\x03\xFF\xFF");
    }

    #[test]
    fn packets_are_filled_to_the_limit_and_sequence_runs_on() {
        let message = [7u8; 36];
        let messages: Vec<&[u8]> = (0..100).map(|_| &message[..]).collect();
        let out = packets(20 + 38 * 5 + 37, &messages);
        let mut next = 1;
        for packet in &out {
            let packet = Packet::parse(packet).expect("own packet");
            assert_eq!(packet.sequence, next);
            assert!(packet.count <= 5 && packet.messages().all(|got| got == message));
            next += u64::from(packet.count);
        }
        assert_eq!((next, out.len()), (101, 20 + 2));
    }

    #[test]
    fn too_long_messages_are_refused_and_take_no_sequence() {
        let mut packetizer = Packetizer::new(*b"SESSION001", 50);
        assert_eq!(packetizer.push(&[0; 29], &mut |_| {}), Err(TooLong { len: 29 }));
        assert_eq!(packetizer.push(&[0; 28], &mut |_| {}), Ok(()));
        assert_eq!(packetizer.next_sequence(), 2);
    }

    #[test]
    fn truncated_packets_do_not_parse() {
        let out = packets(100, &[b"abc", b"defg"]);
        for len in 0..out[0].len() {
            assert!(Packet::parse(&out[0][..len]).is_none(), "{len}");
        }
        assert!(Packet::parse(&out[0]).is_some());
    }
}
