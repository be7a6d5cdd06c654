//! AVX-512: a masked load of exactly the block, one byte permutation, one OR with the constants of the class, one store.
#![allow(unsafe_code, reason = "vector loads, and calls that need a processor which has them")]

use std::arch::x86_64::{
    __m512i, __mmask64, _mm512_maskz_loadu_epi8, _mm512_or_si512, _mm512_permutexvar_epi8,
};
use std::mem::transmute;

use super::table::{CLASSES, MAPS, NOWHERE, SIDE, Tables};
use super::{Lines, fill_with};
use crate::market::OrderMessage;
use crate::wire::moldudp64::Blocks;

/// Proof that the processor has what [`fill`] is compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present(&'static Tables<Row>);

impl Present {
    /// `None` where the processor, or the system, lacks it.
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        present.then_some(Self(&TABLES))
    }

    /// As [`fill_with`]; number of blocks taken.
    #[inline]
    pub(super) fn fill(self, lines: &mut Lines, blocks: &mut Blocks<'_>) -> usize {
        // SAFETY: `self` was made by `detect`.
        unsafe { fill(self.0, lines, blocks) }
    }
}

/// What a class does to its blocks. So aligned, one shift finds it.
#[derive(Debug)]
#[repr(C, align(256))]
struct Row {
    /// For each byte of the record, the byte of the block.
    from: [u8; 64],
    /// ORed to it.
    fixed: [u8; 64],
    /// The bytes of the block.
    bytes: __mmask64,
}

/// A byte that the load leaves zero in every class: no block is that long.
const ZERO: u8 = 63;

static TABLES: Tables<Row> = {
    let mut rows = [const { Row { from: [ZERO; 64], fixed: [0; 64], bytes: 0 } }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let map = &MAPS[class];
        assert!(map.len < ZERO);
        let mut byte = 0;
        while byte < 64 {
            if map.from[byte] != NOWHERE {
                rows[class].from[byte] = map.from[byte];
            }
            byte += 1;
        }
        rows[class].fixed = map.fixed;
        rows[class].bytes = (1 << map.len) - 1;
        class += 1;
    }
    Tables::new(rows)
};

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn fill(tables: &Tables<Row>, lines: &mut Lines, blocks: &mut Blocks<'_>) -> usize {
    fill_with(tables, lines, blocks, |row, block, _: &[u8; SIDE + 1], record| {
        // SAFETY: a block has this row only if it is as long as the mask, or if the mask is empty. Bytes outside of the
        // mask are not touched.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(row.bytes, block.as_ptr().cast()) };
        let bytes = _mm512_permutexvar_epi8(vector(&row.from), bytes);
        let bytes = _mm512_or_si512(bytes, vector(&row.fixed));
        // SAFETY: both are 64 bytes without padding, and any bytes make a valid record: it has integers only.
        *record = unsafe { transmute::<__m512i, OrderMessage>(bytes) };
    })
}

#[inline(always)]
const fn vector(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: both are 64 bytes without padding, and any bytes make a valid vector.
    unsafe { transmute::<[u8; 64], __m512i>(*bytes) }
}
