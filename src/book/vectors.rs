//! The few searches and moves inside a cache line that every message needs, in the processor's widest registers.
//!
//! [`Vectors`] is the whole list. It has three implementations that give the same results: [`Portable`] in plain Rust,
//! for any processor, [`Avx2`], and [`Avx512`]. Which one the books use is decided once, when they are made ([`Path`]), and a
//! message enters the chosen copy of the whole code through one predictable branch (see [`apply`](super::apply)), so that
//! nothing between here and there is called through a pointer.
#![cfg_attr(
    target_arch = "x86_64",
    allow(
        unsafe_code,
        reason = "vector intrinsics; each implementation is entered on processors that have it only"
    )
)]

/// Which registers the books may use. All paths give the same books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Plain Rust: any processor.
    Portable,
    /// 256 bits: x86-64 processors since about 2013.
    Avx2,
    /// 512 bits: x86-64 processors with AVX-512 F, BW, DQ, VL and BMI2.
    Avx512,
}

impl Path {
    /// All paths, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The widest that this processor has.
    #[must_use]
    pub fn widest() -> Self {
        Self::ALL.into_iter().rev().find(|path| path.is_available()).unwrap_or(Self::Portable)
    }

    /// Has this processor what it takes?
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

/// What is done with the lines of the books. Masks have a bit for each lane, the first lane's lowest.
pub(super) trait Vectors {
    /// The lanes of `lanes` that equal `value`.
    fn equal_u32x16(lanes: &[u32; 16], value: u32) -> u32;
    /// The lanes of `lanes` that equal `value`.
    fn equal_u32x8(lanes: &[u32; 8], value: u32) -> u32;
    /// How many of `lanes` are below `value`.
    fn below_u32x16(lanes: &[u32; 16], value: u32) -> usize;
    /// Takes lane `at` (0 ..= 4) out of the lanes 0 ..= 4, and lane `5 + at` out of 5 ..= 9: those after it move up by one, and
    /// lane 9 becomes 0. The others stay.
    fn close_order(lanes: &mut [u32; 16], at: usize);
    /// Takes lane `at` out: those after it move up by one, and the last becomes `last`.
    fn close_u32x16(lanes: &mut [u32; 16], at: usize, last: u32);
    /// Puts `value` in at lane `at`: those from there on move down by one, and the last is lost.
    fn open_u32x16(lanes: &mut [u32; 16], at: usize, value: u32);
}

/// Plain Rust.
pub(super) struct Portable;

impl Vectors for Portable {
    #[inline(always)]
    fn equal_u32x16(lanes: &[u32; 16], value: u32) -> u32 {
        let mut mask = 0;
        for (at, lane) in lanes.iter().enumerate() {
            mask |= u32::from(*lane == value) << at;
        }
        mask
    }

    #[inline(always)]
    fn equal_u32x8(lanes: &[u32; 8], value: u32) -> u32 {
        let mut mask = 0;
        for (at, lane) in lanes.iter().enumerate() {
            mask |= u32::from(*lane == value) << at;
        }
        mask
    }

    #[inline(always)]
    fn below_u32x16(lanes: &[u32; 16], value: u32) -> usize {
        lanes.iter().map(|lane| u32::from(*lane < value)).sum::<u32>() as usize
    }

    #[inline(always)]
    fn close_order(lanes: &mut [u32; 16], at: usize) {
        for lane in 0..4 {
            let (reference, shares) = (lanes[lane + 1], lanes[lane + 6]);
            if lane >= at {
                lanes[lane] = reference;
                lanes[lane + 5] = shares;
            }
        }
        lanes[9] = 0;
    }

    #[inline(always)]
    fn close_u32x16(lanes: &mut [u32; 16], at: usize, last: u32) {
        for lane in at.min(15)..15 {
            lanes[lane] = lanes[lane + 1];
        }
        lanes[15] = last;
    }

    #[inline(always)]
    fn open_u32x16(lanes: &mut [u32; 16], at: usize, value: u32) {
        for lane in (at.min(15)..15).rev() {
            lanes[lane + 1] = lanes[lane];
        }
        lanes[at.min(15)] = value;
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_cmpeq_epi32_mask,
        _mm256_loadu_si256, _mm256_max_epu32, _mm256_movemask_ps, _mm256_set1_epi32, _mm512_cmpeq_epi32_mask,
        _mm512_cmplt_epu32_mask, _mm512_loadu_si512, _mm512_mask_compress_epi32, _mm512_mask_expand_epi32,
        _mm512_maskz_permutexvar_epi32, _mm512_set1_epi32, _mm512_storeu_si512,
    };

    use super::Portable;
    use super::Vectors;

    #[inline(always)]
    fn load_256<T, const N: usize>(lanes: &[T; N], half: usize) -> __m256i {
        const { assert!(size_of::<[T; N]>().is_multiple_of(32)) };
        debug_assert!((half + 1) * 32 <= size_of::<[T; N]>());
        // SAFETY: 32 bytes from `half * 32` are inside the array, which every caller's constant sees to; the processor
        // has AVX2, or this path was not taken.
        unsafe { _mm256_loadu_si256(lanes.as_ptr().cast::<__m256i>().add(half)) }
    }

    #[inline(always)]
    fn load_512<T, const N: usize>(lanes: &[T; N]) -> __m512i {
        const { assert!(size_of::<[T; N]>() == 64) };
        // SAFETY: the array has 64 bytes; the processor has AVX-512 F, or this path was not taken.
        unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_512<T, const N: usize>(lanes: &mut [T; N], value: __m512i) {
        const { assert!(size_of::<[T; N]>() == 64) };
        // SAFETY: as in `load_512`; every bit pattern is a valid integer.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), value) }
    }

    /// 256 bits.
    pub(in super::super) struct Avx2;

    impl Vectors for Avx2 {
        #[inline(always)]
        fn equal_u32x16(lanes: &[u32; 16], value: u32) -> u32 {
            let (low, high) = (load_256(lanes, 0), load_256(lanes, 1));
            // SAFETY: this implementation is entered on processors with AVX2 only.
            let (low, high) = unsafe {
                let value = _mm256_set1_epi32(value.cast_signed());
                (
                    _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(low, value))),
                    _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(high, value))),
                )
            };
            low.cast_unsigned() | high.cast_unsigned() << 8
        }

        #[inline(always)]
        fn equal_u32x8(lanes: &[u32; 8], value: u32) -> u32 {
            let lanes = load_256(lanes, 0);
            // SAFETY: as above.
            let mask = unsafe {
                let value = _mm256_set1_epi32(value.cast_signed());
                _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(lanes, value)))
            };
            mask.cast_unsigned()
        }

        #[inline(always)]
        fn below_u32x16(lanes: &[u32; 16], value: u32) -> usize {
            let (low, high) = (load_256(lanes, 0), load_256(lanes, 1));
            // SAFETY: as above. A lane is at or above the value where it is the greater of the two.
            let (low, high) = unsafe {
                let value = _mm256_set1_epi32(value.cast_signed());
                let not_below = |lanes| {
                    _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(
                        _mm256_max_epu32(lanes, value),
                        lanes,
                    )))
                };
                (not_below(low), not_below(high))
            };
            16 - (low.count_ones() + high.count_ones()) as usize
        }

        #[inline(always)]
        fn close_order(lanes: &mut [u32; 16], at: usize) {
            Portable::close_order(lanes, at);
        }

        #[inline(always)]
        fn close_u32x16(lanes: &mut [u32; 16], at: usize, last: u32) {
            let old = *lanes;
            for lane in 0..15 {
                lanes[lane] = if lane < at { old[lane] } else { old[lane + 1] };
            }
            lanes[15] = last;
        }

        #[inline(always)]
        fn open_u32x16(lanes: &mut [u32; 16], at: usize, value: u32) {
            let old = *lanes;
            for lane in 1..16 {
                lanes[lane] = if lane <= at { old[lane] } else { old[lane - 1] };
            }
            lanes[at.min(15)] = value;
        }
    }

    /// For each order that leaves, the lanes that the others come from.
    const CLOSE: [[u32; 16]; 8] = {
        let mut rows = [[0; 16]; 8];
        let mut at = 0;
        while at < 8 {
            let mut lane = 0;
            while lane < 16 {
                let order = lane % 5;
                let moves = lane < 10 && order >= at && order < 4;
                rows[at][lane] = if moves { lane as u32 + 1 } else { lane as u32 };
                lane += 1;
            }
            at += 1;
        }
        rows
    };

    /// 512 bits.
    pub(in super::super) struct Avx512;

    impl Vectors for Avx512 {
        #[inline(always)]
        fn equal_u32x16(lanes: &[u32; 16], value: u32) -> u32 {
            let lanes = load_512(lanes);
            // SAFETY: this implementation is entered on processors with AVX-512 F, BW, DQ and VL only.
            u32::from(unsafe { _mm512_cmpeq_epi32_mask(lanes, _mm512_set1_epi32(value.cast_signed())) })
        }

        #[inline(always)]
        fn equal_u32x8(lanes: &[u32; 8], value: u32) -> u32 {
            let lanes = load_256(lanes, 0);
            // SAFETY: as above.
            u32::from(unsafe { _mm256_cmpeq_epi32_mask(lanes, _mm256_set1_epi32(value.cast_signed())) })
        }

        #[inline(always)]
        fn below_u32x16(lanes: &[u32; 16], value: u32) -> usize {
            let lanes = load_512(lanes);
            // SAFETY: as above.
            let below = unsafe { _mm512_cmplt_epu32_mask(lanes, _mm512_set1_epi32(value.cast_signed())) };
            below.count_ones() as usize
        }

        #[inline(always)]
        fn close_order(lanes: &mut [u32; 16], at: usize) {
            let (old, row) = (load_512(lanes), load_512(&CLOSE[at & 7]));
            // SAFETY: as above. Lane 9 becomes 0.
            store_512(lanes, unsafe { _mm512_maskz_permutexvar_epi32(!(1 << 9), row, old) });
        }

        #[inline(always)]
        fn close_u32x16(lanes: &mut [u32; 16], at: usize, last: u32) {
            let old = load_512(lanes);
            // SAFETY: as above.
            store_512(lanes, unsafe {
                let fill = _mm512_set1_epi32(last.cast_signed());
                _mm512_mask_compress_epi32(fill, !(1_u16 << (at & 15)), old)
            });
        }

        #[inline(always)]
        fn open_u32x16(lanes: &mut [u32; 16], at: usize, value: u32) {
            let old = load_512(lanes);
            // SAFETY: as above.
            store_512(lanes, unsafe {
                let fill = _mm512_set1_epi32(value.cast_signed());
                _mm512_mask_expand_epi32(fill, !(1_u16 << (at & 15)), old)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lanes with few different values, so that several are equal, and the highest of all among them.
    fn lanes<const N: usize>(state: &mut u64) -> [u32; N] {
        std::array::from_fn(|_| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            [0, 1, 7, 1 << 31, u32::MAX - 1, u32::MAX][(*state >> 33) as usize % 6]
        })
    }

    fn agrees<V: Vectors>() {
        let mut state = 1;
        for step in 0..20_000 {
            let (eight, sixteen): ([u32; 8], [u32; 16]) = (lanes(&mut state), lanes(&mut state));
            let [value, other] = lanes(&mut state);
            assert_eq!(V::equal_u32x8(&eight, value), Portable::equal_u32x8(&eight, value));
            assert_eq!(V::equal_u32x16(&sixteen, value), Portable::equal_u32x16(&sixteen, value));
            assert_eq!(V::below_u32x16(&sixteen, value), Portable::below_u32x16(&sixteen, value));
            let (mut ours, mut theirs) = (sixteen, sixteen);
            V::close_order(&mut ours, step % 5);
            Portable::close_order(&mut theirs, step % 5);
            assert_eq!(ours, theirs);
            V::close_u32x16(&mut ours, step % 16, other);
            Portable::close_u32x16(&mut theirs, step % 16, other);
            assert_eq!(ours, theirs);
            V::open_u32x16(&mut ours, step % 16, value);
            Portable::open_u32x16(&mut theirs, step % 16, value);
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn every_path_of_this_processor_does_the_same() {
        agrees::<Portable>();
        #[cfg(target_arch = "x86_64")]
        {
            if Path::Avx2.is_available() {
                agrees::<Avx2>();
            }
            if Path::Avx512.is_available() {
                agrees::<Avx512>();
            }
        }
    }

    #[test]
    fn lanes_close_and_open_as_said() {
        let start: [u32; 16] = std::array::from_fn(|lane| lane as u32 + 100);
        let mut lanes = start;
        Portable::close_order(&mut lanes, 1);
        assert_eq!(lanes[..10], [100, 102, 103, 104, 104, 105, 107, 108, 109, 0]);
        assert_eq!(lanes[10..], start[10..]);
        let mut lanes = start;
        Portable::close_u32x16(&mut lanes, 14, 7);
        assert_eq!(lanes[12..], [112, 113, 115, 7]);
        Portable::open_u32x16(&mut lanes, 13, 1);
        assert_eq!(lanes[12..], [112, 1, 113, 115]);
        assert_eq!(Portable::below_u32x16(&start, 103), 3);
        assert_eq!(Portable::equal_u32x16(&start, 115), 1 << 15);
    }
}
