//! 512-bit vectors: AVX-512 for floats, with VNNI for bytes. Tails are masked: a masked lane is not accessed.
#![expect(unsafe_code, reason = "intrinsics, and the pointers that the traits pass")]
#![allow(
    clippy::wildcard_imports,
    reason = "intrinsics name their origin; the lint is silent in tests, so expect would not do"
)]

use super::{ByteRange, Floats, GENERAL, Ints, Mode, RECTIFIED, Simd, Task};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F, BW, DQ and VL (and AVX2 and FMA, which come with them).
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Avx512(());

/// Proof that the processor has what [`Avx512`] proves, and VNNI.
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Vnni(());

impl Avx512 {
    pub(in crate::fast) fn new() -> Option<Self> {
        let available = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        available.then_some(Self(()))
    }
}

impl Vnni {
    pub(in crate::fast) fn new() -> Option<Self> {
        (Avx512::new().is_some() && is_x86_feature_detected!("avx512vnni")).then_some(Self(()))
    }
}

/// The lanes below `n`, at most 16.
#[inline(always)]
fn first_16(n: usize) -> __mmask16 {
    (u32::from(u16::MAX) >> (16 - n)) as __mmask16
}

/// The bytes below `n`, at least 1, at most 64.
#[inline(always)]
fn first_64(n: usize) -> __mmask64 {
    u64::MAX >> (64 - n)
}

/// Factors as [`pack_factors`](super::pack_factors) stores them.
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Rescale {
    multiplier: __m512i,
    multiplier_odd: __m512i,
    left: __m512i,
    right: __m512i,
    round_even: __m512i,
    round_odd: __m512i,
    shift_even: __m512i,
    shift_odd: __m512i,
}

impl Simd for Avx512 {
    fn call<T: Task<Self>>(self, task: T) -> T::Out {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn with_features<T: Task<Avx512>>(simd: Avx512, task: T) -> T::Out {
            task.run(simd)
        }
        // SAFETY: `self` proves the features.
        unsafe { with_features(self, task) }
    }
}

impl Simd for Vnni {
    fn call<T: Task<Self>>(self, task: T) -> T::Out {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
        fn with_features<T: Task<Vnni>>(simd: Vnni, task: T) -> T::Out {
            task.run(simd)
        }
        // SAFETY: `self` proves the features.
        unsafe { with_features(self, task) }
    }
}

impl Floats for Avx512 {
    type V = __m512;
    const FLOAT_LANES: usize = 16;
    const FLOAT_ROWS: [usize; 3] = [12, 12, 6];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::V {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, n: usize) -> Self::V {
        // SAFETY: `self` proves the feature; lanes from `n` on are not accessed.
        unsafe { _mm512_maskz_loadu_ps(first_16(n), from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::V) {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm512_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize, x: Self::V) {
        // SAFETY: `self` proves the feature; lanes from `n` on are not accessed.
        unsafe { _mm512_mask_storeu_ps(to, first_16(n), x) }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V {
        // The second operand is the result where one is not-a-number.
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, x)) }
    }
}

impl Ints for Vnni {
    type V = __m512i;
    type X = __m512i;
    type W = __m512i;
    type Taps = __m512i;
    type Rescale = Rescale;
    type Reals = Avx512;
    const INT_LANES: usize = 16;
    const WEIGHT_BYTES: usize = 64;
    const INT_ROWS: [usize; 3] = [12, 12, 6];
    const TAPS: usize = 4;
    const TAP_WEIGHT_BYTES: usize = Self::WEIGHT_BYTES;

    fn pack_weights(self, group: &mut [i8], lane: usize, weights: [i8; 4]) {
        group[4 * lane..4 * lane + 4].copy_from_slice(&weights);
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> Self::W {
        // SAFETY: `self` proves the feature; the caller promises 64 bytes.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    fn broadcast(self, four: u32) -> Self::X {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_set1_epi32(four as i32) }
    }

    fn pack_taps(self, group: &mut [i8], lane: usize, weights: [i8; 4]) {
        self.pack_weights(group, lane, weights);
    }

    #[inline(always)]
    unsafe fn add_taps(self, acc: Self::V, x: Self::Taps, weights: *const i8) -> Self::V {
        // SAFETY: the caller's promise.
        self.dot(acc, x, unsafe { self.load_weights(weights) })
    }

    #[inline(always)]
    unsafe fn interleave(self, rows: [*const u8; 4], n: usize) -> [Self::Taps; 4] {
        // SAFETY: `self` proves the features; bytes from `n` on are not accessed.
        unsafe {
            let mask = first_64(n);
            let a = _mm512_maskz_loadu_epi8(mask, rows[0].cast());
            let b = _mm512_maskz_loadu_epi8(mask, rows[1].cast());
            let c = _mm512_maskz_loadu_epi8(mask, rows[2].cast());
            let d = _mm512_maskz_loadu_epi8(mask, rows[3].cast());
            let (low_ab, high_ab) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (low_cd, high_cd) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(low_ab, low_cd),
                _mm512_unpackhi_epi16(low_ab, low_cd),
                _mm512_unpacklo_epi16(high_ab, high_cd),
                _mm512_unpackhi_epi16(high_ab, high_cd),
            ]
        }
    }

    #[inline(always)]
    fn dot(self, acc: Self::V, x: Self::X, w: Self::W) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_dpbusd_epi32(acc, x, w) }
    }

    #[inline(always)]
    fn dot_shorts(self, acc: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_dpwssd_epi32(acc, x, y) }
    }

    #[inline(always)]
    fn reals(self) -> Avx512 {
        Avx512(())
    }

    #[inline(always)]
    fn to_reals(self, x: Self::V) -> __m512 {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_cvtepi32_ps(x) }
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    fn add_int(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn sub_int(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn mul_int(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn shift_right(self, a: Self::V, by: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm512_srav_epi32(a, by) }
    }

    #[inline(always)]
    unsafe fn load_int(self, from: *const i32) -> Self::V {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store_int(self, to: *mut i32, x: Self::V) {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm512_storeu_si512(to.cast(), x) }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8, n: usize) -> Self::V {
        // SAFETY: `self` proves the features; bytes from `n` on are not accessed.
        unsafe { _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_16(n), from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_rescale(self, from: *const i32) -> Self::Rescale {
        // SAFETY: `self` proves the feature; the caller promises eight arrays of sixteen elements.
        let array = |i: usize| unsafe { _mm512_loadu_si512(from.add(16 * i).cast()) };
        Rescale {
            multiplier: array(0),
            multiplier_odd: array(1),
            left: array(2),
            right: array(3),
            round_even: array(4),
            round_odd: array(5),
            shift_even: array(6),
            shift_odd: array(7),
        }
    }

    #[inline(always)]
    fn rescale<const MODE: Mode>(self, x: Self::V, by: &Self::Rescale) -> Self::V {
        // SAFETY: `self` proves the features.
        unsafe {
            if MODE == RECTIFIED {
                let x = _mm512_max_epi32(x, _mm512_setzero_si512());
                let even = _mm512_add_epi64(_mm512_mul_epi32(x, by.multiplier), by.round_even);
                let odd = _mm512_mul_epi32(_mm512_srli_epi64(x, 32), by.multiplier_odd);
                let odd = _mm512_add_epi64(odd, by.round_odd);
                let (even, odd) = (
                    _mm512_srlv_epi64(even, by.shift_even),
                    _mm512_srlv_epi64(odd, by.shift_odd),
                );
                return _mm512_mask_mov_epi32(even, 0xaaaa, odd);
            }
            let x = if MODE == GENERAL {
                _mm512_sllv_epi32(x, by.left)
            } else {
                x
            };
            let half = _mm512_set1_epi64(1 << 30);
            let even = _mm512_add_epi64(_mm512_mul_epi32(x, by.multiplier), half);
            let odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), by.multiplier_odd), half);
            let high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 31), 0xaaaa, _mm512_slli_epi64(odd, 1));
            // Round half away from zero: (high + 2^(r−1) − [high < 0]) >> r, without the overflow of that sum.
            let one = _mm512_set1_epi32(1);
            let low = _mm512_add_epi32(high, _mm512_srai_epi32(high, 31));
            let halved = _mm512_srav_epi32(low, _mm512_sub_epi32(by.right, one));
            let shifted = _mm512_srai_epi32(_mm512_add_epi32(halved, one), 1);
            if MODE == GENERAL {
                _mm512_mask_mov_epi32(shifted, _mm512_testn_epi32_mask(by.right, by.right), high)
            } else {
                shifted
            }
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, n: usize, x: Self::V, range: &ByteRange) {
        // SAFETY: `self` proves the features; bytes from `n` on are not accessed.
        unsafe {
            // Clamping before the zero point is added, so that the sum cannot overflow.
            let x = _mm512_max_epi32(x, _mm512_set1_epi32(range.low - range.zero));
            let x = _mm512_min_epi32(x, _mm512_set1_epi32(range.high - range.zero));
            let x = _mm512_add_epi32(x, _mm512_set1_epi32(range.zero));
            _mm_mask_storeu_epi8(to.cast(), first_16(n), _mm512_cvtepi32_epi8(x));
        }
    }

    #[inline(always)]
    unsafe fn store_quad(self, to: *mut u8, n: usize, x: [Self::V; 4], range: &ByteRange) {
        // SAFETY: `self` proves the features; bytes from `n` on are not accessed.
        unsafe {
            let zero = _mm512_set1_epi16(range.zero as i16);
            let low = _mm512_adds_epi16(_mm512_packs_epi32(x[0], x[1]), zero);
            let high = _mm512_adds_epi16(_mm512_packs_epi32(x[2], x[3]), zero);
            let bytes = _mm512_packus_epi16(low, high);
            let bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(range.low as i8));
            let bytes = _mm512_min_epu8(bytes, _mm512_set1_epi8(range.high as i8));
            _mm512_mask_storeu_epi8(to.cast(), first_64(n), bytes);
        }
    }
}
