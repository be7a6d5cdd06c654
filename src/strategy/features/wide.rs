//! The vector in registers of 512 bits: what [`FeatureState::vector`] computes one by one, eight and sixteen at once.
//!
//! The same operations on the same integers, each rounded once, so the bits are those of plain Rust; tests compare them.
//!
//! Differences over windows are made and turned into floats a window at a time; two permutations then put them where the
//! vector has them:
//!
//! ```text
//!  time window   flow  depth  2 × changes  bought − sold  bought + sold  events  variation  –
//!  steps         flow₈ depth₈ flow₃₂ depth₃₂ flow₁₂₈ depth₁₂₈  bought₁₆ − sold₁₆  bought₁₆ + sold₁₆
//! ```
#![allow(unsafe_code, reason = "vector loads, and calls that need a processor which has them")]

use std::arch::x86_64::{
    __m128, __m128i, __m256, __m512, __m512i, _CMP_NEQ_OQ, _mm_add_epi32, _mm_cvtepi32_ps, _mm_loadu_si128,
    _mm_setr_epi32, _mm_setr_ps, _mm_sqrt_ps, _mm_sub_epi32, _mm256_cmp_ps_mask, _mm256_maskz_div_ps,
    _mm256_set1_ps, _mm512_castps128_ps512, _mm512_castps256_ps512, _mm512_castps512_ps128,
    _mm512_castps512_ps256, _mm512_castsi128_si512, _mm512_cmp_ps_mask, _mm512_cvtepi64_ps,
    _mm512_insertf32x8, _mm512_inserti64x2, _mm512_mask_add_epi64, _mm512_mask_mov_ps, _mm512_mask_mul_ps,
    _mm512_mask_permutexvar_ps, _mm512_mask_sub_epi64, _mm512_maskz_div_ps, _mm512_maskz_loadu_epi64,
    _mm512_min_epu64, _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_permutexvar_epi64, _mm512_set1_epi64,
    _mm512_set1_ps, _mm512_setr_epi32, _mm512_setr_epi64, _mm512_setr_ps, _mm512_slli_epi64,
    _mm512_storeu_ps, _mm512_sub_epi64,
};

use super::flow::Totals;
use super::vector::{FeatureVector, Prices, WIDTH};
use super::{CHANGE_WINDOWS, FeatureState, TIME_WINDOWS_NS, TRADE_WINDOW};

/// Proof that the processor has what [`vector`] is compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present(());

impl Present {
    /// `None` where the processor, or the system, lacks it.
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        present.then_some(Self(()))
    }

    /// As [`FeatureState::vector`].
    #[inline]
    pub(super) fn vector(self, state: &FeatureState) -> FeatureVector {
        // SAFETY: `self` was made by `detect`.
        unsafe { vector(state) }
    }
}

// What stands where in the register of a window of time.
const FLOW: i32 = 0;
const DEPTH: i32 = 1;
const TWICE_CHANGES: i32 = 2;
const DIFFERENCE: i32 = 3;
const SUM: i32 = 4;
const EVENTS: i32 = 5;
const VARIATION: i32 = 6;

// Where those registers begin, two by two in wider ones; a permutation counts the places of its second operand from 16.
const W0: i32 = 0;
const W1: i32 = 8;
const W2: i32 = SECOND;
const STEPS: i32 = SECOND + 8;
const SECOND: i32 = 16;

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn vector(state: &FeatureState) -> FeatureVector {
    let now = load(&state.totals);
    let [a, b, c] = state.starts();
    let (w0, w1, w2) = (within(now, a), within(now, b), within(now, c));
    let (steps, twice_covered) = over_steps(state, now);
    let windows = [beside(w0, w1), beside(w2, steps)];
    let prices = Prices::of(state);

    // Features 0 to 15: prices and imbalances, order flow, trades.
    let order = _mm512_setr_epi32(
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        STEPS,
        STEPS + 2,
        STEPS + 4,
        W0 + FLOW,
        W1 + FLOW,
        W2 + FLOW,
        STEPS + 6,
        W0 + DIFFERENCE,
        W1 + DIFFERENCE,
    );
    let over = pick(windows, order);
    let order = _mm512_setr_epi32(
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        STEPS + 1,
        STEPS + 3,
        STEPS + 5,
        W0 + DEPTH,
        W1 + DEPTH,
        W2 + DEPTH,
        STEPS + 7,
        W0 + SUM,
        W1 + SUM,
    );
    let under = pick(windows, order);
    let order = _mm512_setr_epi32(
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        W0 + TWICE_CHANGES,
        W1 + TWICE_CHANGES,
        W2 + TWICE_CHANGES,
        0,
        0,
        0,
    );
    let changes = pick(windows, order);
    let order = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0);
    let changes =
        _mm512_mask_permutexvar_ps(changes, 0b111 << 7, order, _mm512_castps256_ps512(twice_covered));
    let over = _mm512_mask_mul_ps(over, 0b11_1111 << 7, over, changes);
    let [differences, sums] = balances(state);
    let over = _mm512_mask_mov_ps(over, 0x7F, front(three(prices.over), differences));
    let under = _mm512_mask_mov_ps(under, 0x7F, front(three(prices.under), sums));
    let low = divide(over, under);

    // Features 16 to 31: trades of the longest window, slopes, volatility, intensity.
    let order = _mm512_setr_epi32(
        W2 + DIFFERENCE,
        0,
        0,
        0,
        0,
        0,
        0,
        W0 + EVENTS,
        W1 + EVENTS,
        W2 + EVENTS,
        // Not below 0, so that nothing of it is -0.
        W0 + EVENTS,
        W0 + EVENTS,
        W0 + EVENTS,
        W0 + EVENTS,
        W0 + EVENTS,
        W0 + EVENTS,
    );
    let over = pick(windows, order);
    let order = _mm512_setr_epi32(
        W0 + VARIATION,
        W1 + VARIATION,
        W2 + VARIATION,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    );
    // Of four only: of sixteen it takes longer than all the rest of a window.
    let moved = _mm512_castps128_ps512(_mm_sqrt_ps(_mm512_castps512_ps128(pick(windows, order))));
    let order = _mm512_setr_epi32(0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    let over = _mm512_mask_permutexvar_ps(over, 0b111 << 4, order, moved);
    // The lengths of the windows are powers of two: a product with their inverse is rounded as the quotient is.
    let [a, b, c] = TIME_WINDOWS_NS.map(|ns| 1e9 / ns as f32);
    #[rustfmt::skip]
    let units = _mm512_setr_ps(
        1.0, 1.0, 1.0, 1.0, 1e4, 1e4, 1e4, a, b, c, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    );
    let over = _mm512_mul_ps(over, units);
    let order = _mm512_setr_epi32(W2 + SUM, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    let under = pick(windows, order);
    let under = _mm512_mask_mov_ps(under, 0b111 << 4, _mm512_set1_ps(prices.twice_mid));
    let order = _mm512_setr_epi32(0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    let slopes = _mm512_castps128_ps512(three(prices.slopes_over));
    let over = _mm512_mask_permutexvar_ps(over, 0b111 << 1, order, slopes);
    let slopes = _mm512_castps128_ps512(three(prices.slopes_under));
    let under = _mm512_mask_permutexvar_ps(under, 0b111 << 1, order, slopes);
    let quotients = divide_eight(_mm512_castps512_ps256(over), _mm512_castps512_ps256(under));
    let high = _mm512_mask_mov_ps(over, 0x7F, _mm512_castps256_ps512(quotients));

    let mut vector = FeatureVector([0.0; WIDTH]);
    let to = vector.0.as_mut_ptr();
    // SAFETY: the array has two times sixteen floats.
    unsafe {
        _mm512_storeu_ps(to, low);
        _mm512_storeu_ps(to.add(WIDTH / 2), high);
    }
    vector
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn load(totals: &Totals) -> __m512i {
    // SAFETY: the mask leaves out what lies behind the seven sums.
    unsafe { _mm512_maskz_loadu_epi64(0x7F, std::ptr::from_ref(totals).cast()) }
}

/// What came to pass within a window of time.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn within(now: __m512i, start: &Totals) -> __m256 {
    let since = _mm512_sub_epi64(now, load(start));
    // Changes, and sold and bought the other way round.
    let turned = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 2, 4, 3, 5, 6, 7), since);
    let since = _mm512_mask_add_epi64(since, 1 << TWICE_CHANGES | 1 << SUM, since, turned);
    let since = _mm512_mask_sub_epi64(since, 1 << DIFFERENCE, since, turned);
    _mm512_cvtepi64_ps(since)
}

/// The same of the windows over steps; and twice the changes of the touch that each covers.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn over_steps(state: &FeatureState, now: __m512i) -> (__m256, __m256) {
    let now = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 0, 1, 3, 4), now);
    let (changes, [a, b, c]) = (state.changes(), CHANGE_WINDOWS);
    let (a, b) = (pair(state.changes.start(changes, a)), pair(state.changes.start(changes, b)));
    let (c, trades) =
        (pair(state.changes.start(changes, c)), pair(state.trades.start(state.traded, TRADE_WINDOW)));
    let starts = _mm512_inserti64x2::<1>(_mm512_castsi128_si512(a), b);
    let starts = _mm512_inserti64x2::<2>(starts, c);
    let starts = _mm512_inserti64x2::<3>(starts, trades);
    let since = _mm512_sub_epi64(now, starts);
    let turned = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 7, 6), since);
    let since = _mm512_mask_add_epi64(since, 1 << 7, since, turned);
    let since = _mm512_mask_sub_epi64(since, 1 << 6, since, turned);
    let [a, b, c] = CHANGE_WINDOWS.map(u64::cast_signed);
    let most = _mm512_setr_epi64(a, b, c, 0, 0, 0, 0, 0);
    let covered = _mm512_min_epu64(_mm512_set1_epi64(changes.cast_signed()), most);
    (_mm512_cvtepi64_ps(since), _mm512_cvtepi64_ps(_mm512_slli_epi64::<1>(covered)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn pair(of: &[i64; 2]) -> __m128i {
    // SAFETY: sixteen bytes, all of them integers.
    unsafe { _mm_loadu_si128(of.as_ptr().cast()) }
}

/// Differences and sums of bids and asks in the best levels. They are below 2^31.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn balances(state: &FeatureState) -> [__m128; 2] {
    let [bids, asks] = &state.near;
    let (bids, asks) = (four(bids.depths()), four(asks.depths()));
    [_mm_cvtepi32_ps(_mm_sub_epi32(bids, asks)), _mm_cvtepi32_ps(_mm_add_epi32(bids, asks))]
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn four([a, b, c, d]: [i64; 4]) -> __m128i {
    _mm_setr_epi32(a as i32, b as i32, c as i32, d as i32)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn three([a, b, c]: [f32; 3]) -> __m128 {
    _mm_setr_ps(a, b, c, 0.0)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn beside(first: __m256, second: __m256) -> __m512 {
    _mm512_insertf32x8::<1>(_mm512_castps256_ps512(first), second)
}

/// Sixteen of the thirty-two.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn pick([first, second]: [__m512; 2], order: __m512i) -> __m512 {
    _mm512_permutex2var_ps(first, order, second)
}

/// Three of `first`, then four of `second`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn front(first: __m128, second: __m128) -> __m512 {
    let order =
        _mm512_setr_epi32(0, 1, 2, SECOND, SECOND + 1, SECOND + 2, SECOND + 3, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    pick([_mm512_castps128_ps512(first), _mm512_castps128_ps512(second)], order)
}

/// 0 where the divisor is.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn divide(over: __m512, under: __m512) -> __m512 {
    let divides = _mm512_cmp_ps_mask::<_CMP_NEQ_OQ>(under, _mm512_set1_ps(0.0));
    _mm512_maskz_div_ps(divides, over, under)
}

/// The same of eight: half of the time.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn divide_eight(over: __m256, under: __m256) -> __m256 {
    let divides = _mm256_cmp_ps_mask::<_CMP_NEQ_OQ>(under, _mm256_set1_ps(0.0));
    _mm256_maskz_div_ps(divides, over, under)
}
