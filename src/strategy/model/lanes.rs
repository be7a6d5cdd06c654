//! Sixteen floats side by side, in the registers that there are.
//!
//! [`Lanes`] is the whole list of what models do with them. Each implementation does exactly what [`Portable`] does, to the
//! last bit: single operations of IEEE 754, none of them rounded twice or left out.
#![cfg_attr(
    target_arch = "x86_64",
    allow(
        unsafe_code,
        reason = "vector intrinsics; each implementation is entered on processors that have it only"
    )
)]

/// Floats of a register.
pub(super) const LANES: usize = 16;

/// Which registers a model is computed in. All give the same bits.
///
/// There is none of 512 bits: they take an inference from 140 to 128 ns, and every tenth to 288 (docs/benchmarks/trade.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Plain Rust: any processor. The reference.
    Portable,
    /// 256 bits: x86-64 processors with AVX2 and FMA, since about 2013.
    Avx2,
}

impl Path {
    /// All paths, the narrowest first.
    pub const ALL: [Self; 2] = [Self::Portable, Self::Avx2];

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
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 => false,
        }
    }
}

/// Sixteen floats.
pub(super) trait Lanes: Copy {
    fn splat(value: f32) -> Self;
    fn load(from: &[f32; LANES]) -> Self;
    fn store(self, to: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self × factor + sum`, rounded once.
    fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// The lanes above those of `least`, and `least` for others and for what is no number.
    fn above(self, least: Self) -> Self;
    /// The lanes below those of `most`, and `most` for others and for what is no number.
    fn below(self, most: Self) -> Self;

    /// All lanes together, halving: `l` and `l + 8`, then `l + 4`, `+ 2`, `+ 1`.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
        let eight = [a + i, b + j, c + k, d + l, e + m, f + n, g + o, h + p];
        let [a, b, c, d, e, f, g, h] = eight;
        let [a, b, c, d] = [a + e, b + f, c + g, d + h];
        (a + c) + (b + d)
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn each(self, other: Self, of: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| of(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Portable {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].mul_add(factor.0[lane], sum.0[lane])))
    }

    #[inline(always)]
    fn above(self, least: Self) -> Self {
        self.each(least, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn below(self, most: Self) -> Self {
        self.each(most, |a, b| if a < b { a } else { b })
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
        _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps,
    };

    use super::{LANES, Lanes};

    /// Two registers of 256 bits.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(__m256, __m256);

    /// An operation on both halves.
    macro_rules! both {
        ($of:ident, $($half:expr),+) => {
            // SAFETY: this implementation is entered on processors with AVX2 and FMA only.
            unsafe { Avx2($of($($half.0),+), $of($($half.1),+)) }
        };
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: this implementation is entered on processors with AVX2 and FMA only.
            let all = unsafe { _mm256_set1_ps(value) };
            Self(all, all)
        }

        #[inline(always)]
        fn load(from: &[f32; LANES]) -> Self {
            // SAFETY: as above; the two halves of the array are 32 bytes each.
            unsafe { Self(_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(LANES / 2))) }
        }

        #[inline(always)]
        fn store(self, to: &mut [f32; LANES]) {
            let to = to.as_mut_ptr();
            // SAFETY: as in `load`.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(LANES / 2), self.1);
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            both!(_mm256_add_ps, self, other)
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            both!(_mm256_sub_ps, self, other)
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            both!(_mm256_mul_ps, self, other)
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, sum: Self) -> Self {
            both!(_mm256_fmadd_ps, self, factor, sum)
        }

        // The second operand is what both instructions give where the two are equal or one is no number.
        #[inline(always)]
        fn above(self, least: Self) -> Self {
            both!(_mm256_max_ps, self, least)
        }

        #[inline(always)]
        fn below(self, most: Self) -> Self {
            both!(_mm256_min_ps, self, most)
        }
    }
}
