//! How a request server misbehaves.
//!
//! Each fault is one that a careful client can tell from an honest answer: nothing that claims to be the answer to what
//! was asked, in the right session and of the right shape, carries the wrong messages.

use super::fill;
use crate::archive::Archive;
use crate::mold::{END_OF_SESSION, HEADER};
use crate::rng::Rng;

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers nothing.
    Silent,
    /// Answers so many ns later.
    Slow(u64),
    /// Answers in the name of another session.
    WrongSession,
    /// Answers with a sequence far beyond anything that was asked for or said.
    WrongSequence,
    /// Answers with a single message, however many were asked for.
    Partial,
    /// Answers with random bytes, half of the time behind the right session and sequence.
    Garbage,
    /// Before the answer, sends a packet that nobody asked for: far behind, far ahead, at the end of the numbers, or
    /// one that says that the session is over.
    Unasked,
    /// Answers twice.
    Twice,
}

/// Farther than any session goes.
const FAR: u64 = 1 << 40;

/// Turns an honest answer into what the fault makes of it.
pub(super) fn spoil(fault: Fault, packet: &mut Vec<u8>, limit: usize, rng: &mut Rng) {
    match fault {
        // One bit of the last letter.
        Fault::WrongSession => packet[9] ^= 1,
        Fault::WrongSequence => {
            let (_, rest) = packet.split_at_mut(10);
            if let Some(sequence) = rest.first_chunk_mut::<8>() {
                *sequence = u64::from_be_bytes(*sequence).wrapping_add(FAR).to_be_bytes();
            }
        }
        Fault::Garbage => {
            let kept = if rng.chance(1, 2) { HEADER } else { 0 };
            packet.truncate(kept);
            let len = kept + rng.index(limit + 1 - kept);
            packet.resize_with(len, || rng.next() as u8);
            if kept > 0 {
                // More messages than any datagram holds, however the random bytes fall.
                packet[18..HEADER].copy_from_slice(&(END_OF_SESSION - 1).to_be_bytes());
            }
        }
        Fault::Silent | Fault::Slow(_) | Fault::Partial | Fault::Unasked | Fault::Twice => {}
    }
}

/// One packet that nobody asked for.
pub(super) fn unasked(rng: &mut Rng, archive: &Archive, limit: usize, out: &mut impl FnMut(&[u8])) {
    let mut packet = Vec::new();
    let count = 1 + rng.below(5) as u16;
    // Right messages under their right numbers, but of long ago; the rest have numbers that no session reaches.
    let messages = fill(&mut packet, archive, archive.first(), count, limit);
    let (sequence, count) = match rng.below(6) {
        0 | 1 => (archive.first(), messages),
        2 => (archive.next().saturating_add(FAR), messages),
        // Their numbers overflow, if there is more than one.
        3 => (u64::MAX - 1, messages),
        4 => (u64::MAX, 0),
        _ => (archive.next(), END_OF_SESSION),
    };
    packet[10..18].copy_from_slice(&sequence.to_be_bytes());
    packet[18..HEADER].copy_from_slice(&count.to_be_bytes());
    if matches!(count, 0 | END_OF_SESSION) {
        packet.truncate(HEADER);
    }
    out(&packet);
}
