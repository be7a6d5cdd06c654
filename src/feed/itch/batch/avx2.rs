//! AVX2: a record in two halves of 32 bytes. The bytes of the longest block stand in four windows of 16, so that each
//! half is two or three shuffles, which leave zeros where their window has nothing for it, ORed together with the
//! constants of the class.
//!
//! | bytes of the block | what of it | for bytes of the record |
//! |---|---|---|
//! | 0..16 | time; locate and tracking number | 16..32; 32..48 |
//! | 11..27 | references | 0..16 |
//! | 19..35 | shares, price of `U`; side, printable, match | 16..32; 32..48 |
//! | 24..40 | price; ticker and participant | 16..32; 48..64 |
#![allow(unsafe_code, reason = "vector loads, and calls that need a processor which has them")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_broadcastsi128_si256, _mm256_or_si256, _mm256_set_m128i,
    _mm256_shuffle_epi8,
};
use std::mem::transmute;

use super::table::{CLASSES, MAPS, NOWHERE, Tables, WINDOW};
use super::{Lines, fill_with};
use crate::market::OrderMessage;
use crate::wire::moldudp64::Blocks;

/// Proof that the processor has what [`fill`] is compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present(&'static Tables<Row>);

impl Present {
    /// `None` where the processor, or the system, lacks it.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(&TABLES))
    }

    /// As [`fill_with`]; number of blocks taken.
    #[inline]
    pub(super) fn fill(self, lines: &mut Lines, blocks: &mut Blocks<'_>) -> usize {
        // SAFETY: `self` was made by `detect`.
        unsafe { fill(self.0, lines, blocks) }
    }
}

/// Where the windows begin.
const HEAD: usize = 0;
const REFERENCES: usize = 11;
const MIDDLE: usize = 19;
const TAIL: usize = WINDOW - LANE;

/// Bytes of a window, and of the lanes within which a shuffle moves bytes.
const LANE: usize = 16;

/// Each shuffle, as the windows that its two lanes read and the half of the record that it writes.
const SHUFFLES: [([usize; 2], usize); 5] =
    [([REFERENCES, MIDDLE], 0), ([HEAD, HEAD], 0), ([TAIL, TAIL], 0), ([MIDDLE, TAIL], 1), ([HEAD, HEAD], 1)];

/// A byte that a shuffle leaves zero.
const ZERO: u8 = 0x80;

/// What a class does to its blocks: the controls of the [`SHUFFLES`], and what is ORed to the two halves.
#[derive(Debug)]
#[repr(C, align(64))]
struct Row {
    shuffles: [[u8; 32]; SHUFFLES.len()],
    fixed: [[u8; 32]; 2],
}

static TABLES: Tables<Row> = {
    let mut rows = [const { Row { shuffles: [[ZERO; 32]; SHUFFLES.len()], fixed: [[0; 32]; 2] } }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let map = &MAPS[class];
        let mut byte = 0;
        while byte < 64 {
            rows[class].fixed[byte / 32][byte % 32] = map.fixed[byte];
            if map.from[byte] != NOWHERE {
                let (shuffle, control) = control(byte, map.from[byte] as usize);
                rows[class].shuffles[shuffle][byte % 32] = control;
            }
            byte += 1;
        }
        class += 1;
    }
    Tables::new(rows)
};

/// The shuffle that can move byte `from` of a block to byte `to` of its record, and its control byte there.
const fn control(to: usize, from: usize) -> (usize, u8) {
    let mut shuffle = 0;
    loop {
        assert!(shuffle < SHUFFLES.len(), "no shuffle moves this byte to where it belongs");
        let (windows, half) = SHUFFLES[shuffle];
        let window = windows[to / LANE % 2];
        if half == to / 32 && from >= window && from < window + LANE {
            return (shuffle, (from - window) as u8);
        }
        shuffle += 1;
    }
}

#[target_feature(enable = "avx2")]
fn fill(tables: &Tables<Row>, lines: &mut Lines, blocks: &mut Blocks<'_>) -> usize {
    fill_with(tables, lines, blocks, |row, _, block, record| {
        let (middle, tail) = (lane::<MIDDLE>(block), lane::<TAIL>(block));
        let heads = _mm256_broadcastsi128_si256(lane::<HEAD>(block));
        let windows = [
            _mm256_set_m128i(middle, lane::<REFERENCES>(block)),
            heads,
            _mm256_broadcastsi128_si256(tail),
            _mm256_set_m128i(tail, middle),
            heads,
        ];
        let shuffle = |i: usize| _mm256_shuffle_epi8(windows[i], vector(&row.shuffles[i]));
        let fixed = row.fixed.each_ref().map(vector);
        let first =
            _mm256_or_si256(_mm256_or_si256(shuffle(0), fixed[0]), _mm256_or_si256(shuffle(1), shuffle(2)));
        let second = _mm256_or_si256(_mm256_or_si256(shuffle(3), fixed[1]), shuffle(4));
        // SAFETY: both are 64 bytes without padding, and any bytes make a valid record: it has integers only.
        *record = unsafe { transmute::<[__m256i; 2], OrderMessage>([first, second]) };
    })
}

/// The 16 bytes from `AT`.
#[inline(always)]
fn lane<const AT: usize>(block: &[u8; WINDOW]) -> __m128i {
    const { assert!(AT + LANE <= WINDOW) };
    // SAFETY: asserted above.
    unsafe { _mm_loadu_si128(block.as_ptr().add(AT).cast()) }
}

#[inline(always)]
const fn vector(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: both are 32 bytes without padding, and any bytes make a valid vector.
    unsafe { transmute::<[u8; 32], __m256i>(*bytes) }
}
