//! MoldUDP64 1.00 (Nasdaq, revision of 2024-08-02): sequenced messages in UDP datagrams.
//!
//! Downstream packet: `session[0,10] sequence[10,8] count[18,2]`, then `count` blocks of `length:u16, data`. Block `i`
//! carries sequence `sequence + i`, and a block of length 0 uses its sequence up like any other. Count 0 is a heartbeat
//! and count 0xFFFF the end of the session; both carry the *next* sequence to expect and no blocks.
//!
//! A request for retransmission is 20 bytes of the same shape in the other direction: only direction and port tell it
//! from an empty packet.

use super::{NoRoom, layout, room};

/// Bytes before the first block, and the whole of a [`Request`].
pub const HEADER_LEN: usize = 20;
/// Bytes of a block's own length field.
pub const BLOCK_HEADER_LEN: usize = 2;
/// Count that says "end of session".
pub const END_OF_SESSION: u16 = 0xFFFF;
/// Most blocks in a packet: [`END_OF_SESSION`] is not a count.
pub const MAX_BLOCKS: u16 = END_OF_SESSION - 1;

const SEQUENCE_AT: usize = 10;
const COUNT_AT: usize = 18;

kinds! {
    /// Why a datagram is not a MoldUDP64 packet.
    pub enum Error counted by ErrorCounters {
        /// Shorter than the header of 20 bytes.
        TooShort as mold_too_short = "datagram is shorter than a MoldUDP64 header",
        /// A block reaches past the end of the datagram, or fewer blocks are there than counted.
        BlockOverrun as mold_block_overrun = "a message block reaches past the end of the datagram",
        /// The sequence of the last block does not fit 64 bits.
        SequenceOverflow as mold_sequence_overflow = "sequence numbers run past 64 bits",
    }
}

/// What a downstream packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Carries messages.
    Data,
    /// Nothing to say; tells the next sequence, so that a hole at the end of a burst shows.
    Heartbeat,
    /// No more messages in this session.
    EndOfSession,
}

/// A downstream packet, checked: all of its blocks fit, and its sequences fit 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LEN],
    /// The blocks, without what may trail them.
    body: &'a [u8],
    trailing: usize,
}

impl<'a> Packet<'a> {
    /// Checks a whole UDP payload. Bytes after the last block are tolerated ([`Self::trailing`]).
    ///
    /// # Errors
    /// [`Error`], by kind.
    #[inline]
    pub const fn new_checked(datagram: &'a [u8]) -> Result<Self, Error> {
        let Some((header, rest)) = datagram.split_first_chunk() else { return Err(Error::TooShort) };
        let unchecked = Self { header, body: rest, trailing: 0 };
        let count = unchecked.count();
        if unchecked.sequence().checked_add(count as u64).is_none() {
            return Err(Error::SequenceOverflow);
        }
        let mut left = count;
        let mut tail = rest;
        while left > 0 {
            let Some((_, after)) = split_block(tail) else { return Err(Error::BlockOverrun) };
            tail = after;
            left -= 1;
        }
        let Some((body, trailing)) = rest.split_at_checked(rest.len() - tail.len()) else {
            return Err(Error::BlockOverrun);
        };
        Ok(Self { header, body, trailing: trailing.len() })
    }

    /// The session, to be compared as ten raw bytes.
    #[inline]
    #[must_use]
    pub const fn session(&self) -> [u8; 10] {
        layout::chunk(self.header, 0)
    }

    /// Sequence of the first block; in heartbeat and end of session the next one to expect.
    ///
    /// `sequence() + count()` never overflows.
    #[inline]
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        u64::from_be_bytes(layout::chunk(self.header, SEQUENCE_AT))
    }

    /// Number of blocks; 0 for heartbeat and end of session.
    #[inline]
    #[must_use]
    pub const fn count(&self) -> u16 {
        match self.raw_count() {
            END_OF_SESSION => 0,
            count => count,
        }
    }

    /// What the packet is for.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.raw_count() {
            0 => Kind::Heartbeat,
            END_OF_SESSION => Kind::EndOfSession,
            _ => Kind::Data,
        }
    }

    /// The blocks, in sequence order.
    #[inline]
    #[must_use]
    pub const fn blocks(&self) -> Blocks<'a> {
        Blocks { bytes: self.body, left: self.count() }
    }

    /// Bytes after the last block, which belong to no message. The document has none; a sender that adds some is odd.
    #[inline]
    #[must_use]
    pub const fn trailing(&self) -> usize {
        self.trailing
    }

    const fn raw_count(&self) -> u16 {
        u16::from_be_bytes(layout::chunk(self.header, COUNT_AT))
    }
}

/// One block's data and the bytes after it, of bytes that begin with its length field.
///
/// Where the next block begins is all that a walk along the blocks waits for. So the low byte alone is taken for the
/// length, and that the high byte is zero is left to the branch predictor: no message of our feeds has 256 bytes.
#[inline(always)]
pub(crate) const fn split_block(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some((&[high, low], rest)) = bytes.split_first_chunk() else { return None };
    let len = if high == 0 { low as usize } else { long(high, low) };
    rest.split_at_checked(len)
}

/// Apart, or the compiler would put both bytes together always.
#[cold]
#[inline(never)]
const fn long(high: u8, low: u8) -> usize {
    u16::from_be_bytes([high, low]) as usize
}

/// The message blocks of a checked packet, each without its length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a> {
    bytes: &'a [u8],
    left: u16,
}

impl<'a> Blocks<'a> {
    /// No blocks.
    pub const EMPTY: Self = Self { bytes: &[], left: 0 };

    /// The blocks after the first `n`; none where there are no more than `n`.
    #[inline]
    #[must_use]
    pub fn skip_blocks(mut self, n: u16) -> Self {
        for _ in 0..n {
            if self.next().is_none() {
                break;
            }
        }
        self
    }

    /// The bytes from here to the end of the packet's last block: length field, data, length field, ...
    ///
    /// [`Self::take_blocks`] shortens only the count: there may be more here than the blocks that are left.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Takes up to `most` blocks off the front, and returns how many. `each` gets the number of the block, the offset of
    /// its length field in [`Self::bytes`] as they were, the block, and all bytes behind its length field.
    #[inline(always)]
    pub(crate) fn take_front(
        &mut self,
        most: u16,
        mut each: impl FnMut(usize, usize, &'a [u8], &'a [u8]),
    ) -> usize {
        let count = if most < self.left { most } else { self.left };
        let whole = self.bytes.len();
        let mut bytes = self.bytes;
        let mut taken = 0;
        while taken < count {
            let Some((block, rest)) = split_block(bytes) else { break };
            let behind = bytes.get(BLOCK_HEADER_LEN..).unwrap_or_default();
            each(usize::from(taken), whole - bytes.len(), block, behind);
            bytes = rest;
            taken += 1;
        }
        *self = Self { bytes, left: self.left - taken };
        usize::from(taken)
    }

    /// Only the first `n` blocks, or all where there are fewer.
    #[inline]
    #[must_use]
    pub const fn take_blocks(self, n: u16) -> Self {
        Self { bytes: self.bytes, left: if n < self.left { n } else { self.left } }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (block, rest) = split_block(self.bytes)?;
        self.bytes = rest;
        Some(block)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Blocks<'_> {}
impl std::iter::FusedIterator for Blocks<'_> {}

/// A request for messages that were missed, and its answer's header: `session, sequence, count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Session that the messages belong to.
    pub session: [u8; 10],
    /// First sequence wanted.
    pub sequence: u64,
    /// Messages wanted from there. The server answers with as many as fit one datagram.
    pub count: u16,
}

impl Request {
    /// Reads a request; bytes after it are tolerated.
    ///
    /// # Errors
    /// [`Error::TooShort`].
    pub const fn new_checked(datagram: &[u8]) -> Result<Self, Error> {
        let Some(header) = datagram.first_chunk::<HEADER_LEN>() else { return Err(Error::TooShort) };
        Ok(Self {
            session: layout::chunk(header, 0),
            sequence: u64::from_be_bytes(layout::chunk(header, SEQUENCE_AT)),
            count: u16::from_be_bytes(layout::chunk(header, COUNT_AT)),
        })
    }

    /// Writes the request, [`HEADER_LEN`] bytes, and returns their number.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is written then.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let header = room::<HEADER_LEN>(out)?;
        layout::put(header, 0, self.session);
        layout::put(header, SEQUENCE_AT, self.sequence.to_be_bytes());
        layout::put(header, COUNT_AT, self.count.to_be_bytes());
        Ok(HEADER_LEN)
    }
}

/// Writes a heartbeat: `next` is the next sequence that will be sent.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_heartbeat(out: &mut [u8], session: [u8; 10], next: u64) -> Result<usize, NoRoom> {
    Request { session, sequence: next, count: 0 }.emit(out)
}

/// Writes an end of session: `next` is the sequence after the last one sent.
///
/// # Errors
/// [`NoRoom`]; nothing is written then.
pub fn emit_end_of_session(out: &mut [u8], session: [u8; 10], next: u64) -> Result<usize, NoRoom> {
    Request { session, sequence: next, count: END_OF_SESSION }.emit(out)
}

/// Packs messages into one downstream packet, in a buffer of the caller's.
#[derive(Debug)]
pub struct PacketBuilder<'b> {
    out: &'b mut [u8],
    len: usize,
    count: u16,
}

impl<'b> PacketBuilder<'b> {
    /// Begins a packet whose first message has `sequence`. With no message pushed it is a heartbeat.
    ///
    /// # Errors
    /// [`NoRoom`] where `out` cannot hold a header.
    pub fn new(out: &'b mut [u8], session: [u8; 10], sequence: u64) -> Result<Self, NoRoom> {
        let len = emit_heartbeat(out, session, sequence)?;
        Ok(Self { out, len, count: 0 })
    }

    /// Adds one message (of at most 65,535 bytes).
    ///
    /// # Errors
    /// [`NoRoom`] where the buffer is full or the packet has [`MAX_BLOCKS`]; the packet is then as it was.
    pub fn push(&mut self, message: &[u8]) -> Result<(), NoRoom> {
        let free = self.out.get_mut(self.len..).unwrap_or_default();
        let needed = BLOCK_HEADER_LEN + message.len();
        let no_room = NoRoom { needed, room: free.len() };
        let len = u16::try_from(message.len()).map_err(|_| no_room)?;
        if self.count == MAX_BLOCKS {
            return Err(no_room);
        }
        let (header, data) = free.split_first_chunk_mut().ok_or(no_room)?;
        data.get_mut(..message.len()).ok_or(no_room)?.copy_from_slice(message);
        *header = len.to_be_bytes();
        self.len += needed;
        self.count += 1;
        if let Some(header) = self.out.first_chunk_mut::<HEADER_LEN>() {
            layout::put(header, COUNT_AT, self.count.to_be_bytes());
        }
        Ok(())
    }

    /// Messages so far.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Bytes so far: the packet is complete after every [`Self::push`], there is nothing to finish.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a packet has its header from the start and is never empty"
    )]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: [u8; 10] = *b"000000001A";

    fn packet(messages: &[&[u8]]) -> Vec<u8> {
        let mut out = [0; 512];
        let mut builder = PacketBuilder::new(&mut out, SESSION, 7).unwrap();
        for message in messages {
            builder.push(message).unwrap();
        }
        let len = builder.len();
        out[..len].to_vec()
    }

    #[test]
    fn blocks_come_back_in_order_even_empty_ones() {
        let bytes = packet(&[b"one", b"", b"three"]);
        let packet = Packet::new_checked(&bytes).unwrap();
        assert_eq!((packet.session(), packet.sequence(), packet.count()), (SESSION, 7, 3));
        assert_eq!(packet.kind(), Kind::Data);
        assert_eq!(packet.blocks().len(), 3);
        assert!(packet.blocks().eq([b"one".as_slice(), b"", b"three"]));
        assert!(packet.blocks().skip_blocks(2).eq([b"three".as_slice()]));
        assert!(packet.blocks().take_blocks(1).eq([b"one".as_slice()]));
        assert_eq!(packet.blocks().skip_blocks(9).len(), 0);
        assert_eq!(packet.trailing(), 0);
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = packet(&[b"one", b"", b"three"]);
        for len in 0..bytes.len() {
            let expected = if len < HEADER_LEN { Error::TooShort } else { Error::BlockOverrun };
            assert_eq!(Packet::new_checked(&bytes[..len]), Err(expected), "at {len}");
        }
    }

    #[test]
    fn heartbeat_and_end_of_session_have_no_blocks() {
        let mut out = [0; 64];
        let len = emit_heartbeat(&mut out, SESSION, 9).unwrap();
        let heartbeat = Packet::new_checked(&out[..len]).unwrap();
        assert_eq!((heartbeat.kind(), heartbeat.count(), heartbeat.sequence()), (Kind::Heartbeat, 0, 9));
        let len = emit_end_of_session(&mut out, SESSION, u64::MAX).unwrap();
        let end = Packet::new_checked(&out[..len]).unwrap();
        assert_eq!((end.kind(), end.count(), end.blocks().count()), (Kind::EndOfSession, 0, 0));
    }

    #[test]
    fn sequences_that_overflow_are_refused() {
        let mut bytes = packet(&[b"x"]);
        bytes[10..18].fill(0xFF);
        assert_eq!(Packet::new_checked(&bytes), Err(Error::SequenceOverflow));
    }

    #[test]
    fn trailing_bytes_are_told() {
        let mut bytes = packet(&[b"x"]);
        bytes.extend_from_slice(b"??");
        let packet = Packet::new_checked(&bytes).unwrap();
        assert_eq!((packet.blocks().count(), packet.trailing()), (1, 2));
    }

    #[test]
    fn a_full_buffer_leaves_the_packet_as_it_was() {
        let mut out = [0; 25];
        let mut builder = PacketBuilder::new(&mut out, SESSION, 1).unwrap();
        builder.push(b"abc").unwrap();
        assert_eq!(builder.push(b""), Err(NoRoom { needed: 2, room: 0 }));
        assert_eq!((builder.count(), builder.len()), (1, 25));
        assert_eq!(Packet::new_checked(&out).unwrap().blocks().next(), Some(b"abc".as_slice()));
        assert!(PacketBuilder::new(&mut [0; 19], SESSION, 1).is_err());
    }

    #[test]
    fn requests_round_trip() {
        let request = Request { session: SESSION, sequence: 0x0102_0304_0506_0708, count: 500 };
        let mut out = [0; 20];
        assert_eq!(request.emit(&mut out), Ok(20));
        assert_eq!(&out[10..], &[1, 2, 3, 4, 5, 6, 7, 8, 1, 244]);
        assert_eq!(Request::new_checked(&out), Ok(request));
        assert!(request.emit(&mut [0; 19]).is_err());
    }
}
