//! What captures of our own say beyond pcapng, so that a replay does what the loop did, at the very same packets.
//!
//! The options and the link type are of the ranges that the format leaves to everybody; other programs skip the options and
//! show notes as packets of an unknown kind. All numbers are little-endian, like the whole file.
//!
//! - **Interface option** [`OPTION`]: `magic[0,4] 0[4,4] hz[8,8]`: ticks a second of the loop's clock.
//! - **Packet option** [`OPTION`]: `magic[0,4] flags[4,4] ticks[8,8] (nic[16,8])`: the flags of [`crate::nic`] (who verified
//!   which checksum), the loop's time for the feed, and, with [`HW_STAMP`], the NIC's own stamp in its own unit. The loop's
//!   time is not the packet's stamp in other words: what the loop was away for does not count in full in it.
//! - **Notes**: packets of an interface of link type [`LINK_NOTES`]; what the loop did that no frame shows. `kind[0,1]`, and
//!   then what [`Note`] says.

use crate::nic::HW_STAMP;

/// Code of both options.
pub const OPTION: u16 = 0x8077;

/// Link type of notes: the first of those that are free for private use.
pub const LINK_NOTES: u16 = 147;

/// Longest note: a kind and the longest payload of a UDP datagram or a SoupBinTCP packet.
pub const MAX_NOTE: usize = 1 + u16::MAX as usize;

/// `WB`, version 1.
const MAGIC: [u8; 4] = [b'W', b'B', 1, 0];

/// What the loop knew of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The loop's time for the feed, in ticks.
    pub ticks: u64,
    /// Ticks a second.
    pub hz: u64,
    /// [`crate::nic::HW_STAMP`], [`crate::nic::IP_CSUM_GOOD`], …
    pub flags: u32,
    /// The NIC's receive time in its own unit, where `flags` has [`HW_STAMP`].
    pub nic_stamp: u64,
}

impl Own {
    /// The packet's option; how many of the bytes count.
    pub(super) fn option(&self) -> ([u8; 24], usize) {
        let mut value = [0; 24];
        let parts =
            [&MAGIC[..], &self.flags.to_le_bytes(), &self.ticks.to_le_bytes(), &self.nic_stamp.to_le_bytes()];
        for (place, byte) in value.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        (value, if self.flags & HW_STAMP == 0 { 16 } else { 24 })
    }

    /// The inverse of [`Own::option`]; `None` for an option of somebody else.
    pub(super) fn parse(value: &[u8], hz: u64) -> Option<Self> {
        let (head, rest) = value.split_first_chunk::<16>()?;
        let nic_stamp = rest.first_chunk().map_or(0, |stamp| u64::from_le_bytes(*stamp));
        let [flags, low, high] = [word(head, 4), word(head, 8), word(head, 12)];
        let ticks = u64::from(high) << 32 | u64::from(low);
        head.starts_with(&MAGIC).then_some(Self { ticks, hz, flags, nic_stamp })
    }
}

/// The interface's option.
pub(super) fn clock_option(hz: u64) -> [u8; 16] {
    let mut value = [0; 16];
    let parts = [&MAGIC[..], &[0; 4], &hz.to_le_bytes()];
    for (place, byte) in value.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    value
}

/// Ticks a second after the interface's option.
pub(super) fn parse_clock(value: &[u8]) -> Option<u64> {
    let (magic, rest) = value.split_first_chunk::<4>()?;
    let hz = rest.get(4..)?.first_chunk()?;
    (*magic == MAGIC).then_some(u64::from_le_bytes(*hz)).filter(|hz| *hz != 0)
}

fn word(bytes: &[u8; 16], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// Something that the loop did and that no frame shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note<'a> {
    /// A timer of the stream did something: a hole became overdue or a gap, or held packets were handed on.
    Tick,
    /// So many records are missing here: there was no room in the capture's buffer.
    Lost(u64),
    /// An answer of a request server was taken: a MoldUDP64 packet.
    Answer(&'a [u8]),
    /// Nothing before this sequence could be had by requests.
    Abandon(u64),
    /// A snapshot began, the answer to the wish of this number.
    SnapshotBegin(u64),
    /// Its next message.
    SnapshotMessage(&'a [u8]),
    /// It was complete; the live feed goes on top of it from this sequence on.
    SnapshotEnd(u64),
    /// It came to nothing.
    SnapshotFailed,
}

impl<'a> Note<'a> {
    /// As bytes: kind, number, the rest.
    #[must_use]
    pub fn parts(&self) -> (u8, Option<u64>, &'a [u8]) {
        match *self {
            Self::Tick => (b'T', None, &[]),
            Self::Lost(records) => (b'L', Some(records), &[]),
            Self::Answer(packet) => (b'P', None, packet),
            Self::Abandon(end) => (b'A', Some(end), &[]),
            Self::SnapshotBegin(number) => (b'B', Some(number), &[]),
            Self::SnapshotMessage(message) => (b'M', None, message),
            Self::SnapshotEnd(next) => (b'E', Some(next), &[]),
            Self::SnapshotFailed => (b'F', None, &[]),
        }
    }

    /// The inverse of [`Note::parts`] written one after the other; `None` for a kind that is not known, or a number that is
    /// cut off.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let number = || rest.first_chunk().map(|number| u64::from_le_bytes(*number));
        Some(match kind {
            b'T' => Self::Tick,
            b'L' => Self::Lost(number()?),
            b'P' => Self::Answer(rest),
            b'A' => Self::Abandon(number()?),
            b'B' => Self::SnapshotBegin(number()?),
            b'M' => Self::SnapshotMessage(rest),
            b'E' => Self::SnapshotEnd(number()?),
            b'F' => Self::SnapshotFailed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_back_and_those_of_others_do_not_pass() {
        for flags in [0, HW_STAMP, 6] {
            let nic_stamp = if flags == HW_STAMP { 77 } else { 0 };
            let own = Own { ticks: u64::MAX - 3, hz: 5, flags, nic_stamp };
            let (value, len) = own.option();
            assert_eq!(Own::parse(&value[..len], 5), Some(own));
            assert_eq!(Own::parse(&value[1..len], 5), None);
            assert_eq!(Own::parse(&value[..15], 5), None);
        }
        assert_eq!(parse_clock(&clock_option(2_100_000_000)), Some(2_100_000_000));
        assert_eq!(parse_clock(&clock_option(0)), None);
        assert_eq!(parse_clock(b"WB"), None);
        assert_eq!(parse_clock(&[0; 16]), None);
    }

    #[test]
    fn notes_come_back_and_cut_ones_do_not_pass() {
        let notes = [
            Note::Tick,
            Note::Lost(1),
            Note::Answer(b"packet"),
            Note::Abandon(u64::MAX),
            Note::SnapshotBegin(3),
            Note::SnapshotMessage(b"message"),
            Note::SnapshotEnd(9),
            Note::SnapshotFailed,
        ];
        for note in notes {
            let (kind, number, rest) = note.parts();
            let mut bytes = vec![kind];
            bytes.extend(number.iter().flat_map(|number| number.to_le_bytes()));
            bytes.extend(rest);
            assert_eq!(Note::parse(&bytes), Some(note));
            if number.is_some() {
                assert_eq!(Note::parse(&bytes[..8]), None);
            }
        }
        assert_eq!((Note::parse(b""), Note::parse(b"?")), (None, None));
    }
}
