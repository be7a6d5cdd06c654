//! The journal of orders: every intent with what risk said of it, every order handed to the wire, every reply, every switch.
//!
//! The loop writes records of fixed size into a ring in a file that is mapped into memory ([`ring`]), *before* the frame of an
//! order is handed to the transmit queue. A thread beside it ([`crate::control::journal`]) appends them to the journal's file.
//! A process that is killed leaves the ring behind: whatever the thread had not taken yet is read from there, by the
//! reader ([`mod@file`]) and by the next start. So nothing that left the machine is missing, short of the machine itself going
//! down: then what the thread had not yet synced is lost.
//!
//! # The file
//! All numbers are little-endian. A head, then records of [`RECORD`] bytes, each at a multiple of [`RECORD`].
//!
//! | head: offset | bytes | |
//! |---|---|---|
//! | 0 | 16 | `wirebook journal` |
//! | 16 | 4 | [`VERSION`] |
//! | 20 | 4 | [`RECORD`] |
//! | 24 | 8 | number of the run: no two runs have the same |
//! | 32 | 8 | when it began, ns since 1970 |
//! | 40 | 8 | the same moment by the loop's clock, ns: what the time of a record counts from |
//! | 48 | 4 | workers |
//! | 52 | 4 | bytes of the text |
//! | 56 | 8 | [`checksum`] of the text, whose seed is that of offsets 8 to 56, whose seed is the number of the run |
//! | 64 | | text: lines `key = value` of who ran, where, under which limits and with which rings; zeros to the next multiple |
//!
//! The layout of a record stands at [`Record`]. Of one worker, sequences rise by one from 1. The same record may stand twice
//! where a run was killed between writing and noting that it was written; it counts once. What is not a whole record with
//! the right checksum is none: the end of a file that was cut off, or zeros that fill up such an end.

pub mod file;
mod kind;
pub mod record;
pub mod ring;
pub mod words;

pub use record::{Action, Bad, Kind, RECORD, Record, flags};
pub use ring::{JournalCounters, JournalWriter};

/// Version of the layout. It rises when the meaning of any number in a record changes.
pub const VERSION: u32 = 1;

/// Odd numbers without a pattern, one a word.
const FACTORS: [u64; 16] = factors();

const fn factors() -> [u64; 16] {
    let mut all = [0; 16];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut at = 0;
    while at < all.len() {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        all[at] = (mixed ^ (mixed >> 31)) | 1;
        at += 1;
    }
    all
}

/// A sum over `words`, each times an odd number of its place, on top of `seed`: any change within one word changes it, any
/// other goes unseen once in 2⁶⁴. The multiplications do not wait for each other, so it takes a few ns. No protection
/// against a forger.
#[inline]
#[must_use]
pub fn checksum(seed: u64, words: &[u64]) -> u64 {
    let sum = words.iter().zip(FACTORS.iter().cycle()).fold(seed.rotate_left(23), |sum, (word, factor)| {
        sum.wrapping_add((word ^ factor).wrapping_mul(*factor))
    });
    sum ^ (sum >> 32)
}
