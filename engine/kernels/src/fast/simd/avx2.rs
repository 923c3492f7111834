//! 256-bit vectors: AVX2 and FMA.
//!
//! Products of bytes go through `vpmaddwd`: four activations in a 32-bit lane are split into the even and the odd bytes as 16-bit
//! integers, each multiplied by the weights of the same parity. `vpmaddubsw` would take bytes directly but saturates its sums.
#![expect(unsafe_code, reason = "intrinsics, and the pointers that the traits pass")]
#![allow(
    clippy::wildcard_imports,
    reason = "intrinsics name their origin; the lint is silent in tests, so expect would not do"
)]

use super::{ByteRange, Floats, GENERAL, Ints, Mode, RECTIFIED, Simd, Task};
use std::arch::x86_64::*;

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Avx2(());

#[expect(clippy::unused_self, reason = "the proof that the intrinsics may be called")]
impl Avx2 {
    pub(in crate::fast) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// The lanes below `n`, as a mask for the masked loads and stores.
    #[inline(always)]
    fn mask(self, n: usize) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }

    /// The even and the odd bytes of each 32-bit lane, as 16-bit integers.
    #[inline(always)]
    fn split(self, bytes: __m256i) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)),
                _mm256_srli_epi16(bytes, 8),
            ]
        }
    }

    /// `n` bytes, the rest 0.
    ///
    /// # Safety
    /// `n` bytes at `from` are readable, `n <= 32`.
    #[inline(always)]
    unsafe fn load_32(self, from: *const u8, n: usize) -> __m256i {
        // SAFETY: `self` proves AVX2; whole vectors are read from 32 readable bytes or from `bytes`, into which `n` are copied.
        unsafe {
            if n == 32 {
                return _mm256_loadu_si256(from.cast());
            }
            let mut bytes = [0_u8; 32];
            copy_few(from, bytes.as_mut_ptr(), n);
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    }
}

/// Factors as [`pack_factors`](super::pack_factors) stores them.
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Rescale {
    multiplier: __m256i,
    multiplier_odd: __m256i,
    left: __m256i,
    right: __m256i,
    round_even: __m256i,
    round_odd: __m256i,
    shift_even: __m256i,
    shift_odd: __m256i,
}

/// Copies `n` bytes, at most 32, without a call.
///
/// # Safety
/// They are readable at `from` and writable at `to`, which do not overlap.
#[inline(always)]
unsafe fn copy_few(from: *const u8, to: *mut u8, n: usize) {
    /// The first and the last of `T`'s size, which may overlap.
    #[inline(always)]
    unsafe fn ends<T>(from: *const u8, to: *mut u8, n: usize) {
        let last = n - size_of::<T>();
        // SAFETY: `n` is at least the size of `T`; the caller's promise.
        unsafe {
            let (first, end) = (
                from.cast::<T>().read_unaligned(),
                from.add(last).cast::<T>().read_unaligned(),
            );
            to.cast::<T>().write_unaligned(first);
            to.add(last).cast::<T>().write_unaligned(end);
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        match n {
            16.. => ends::<u128>(from, to, n),
            8.. => ends::<u64>(from, to, n),
            4.. => ends::<u32>(from, to, n),
            2.. => ends::<u16>(from, to, n),
            1 => to.write(from.read()),
            0 => {}
        }
    }
}

impl Simd for Avx2 {
    fn call<T: Task<Self>>(self, task: T) -> T::Out {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn with_features<T: Task<Avx2>>(simd: Avx2, task: T) -> T::Out {
            task.run(simd)
        }
        // SAFETY: `self` proves the features.
        unsafe { with_features(self, task) }
    }
}

impl Floats for Avx2 {
    type V = __m256;
    const FLOAT_LANES: usize = 8;
    // With four vectors, 12 sums and 4 weights take all 16 registers, and a sum goes through memory in every step.
    const FLOAT_ROWS: [usize; 3] = [8, 6, 0];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::V {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, n: usize) -> Self::V {
        // SAFETY: `self` proves the feature; lanes from `n` on are not accessed.
        unsafe {
            if n == 8 {
                _mm256_loadu_ps(from)
            } else {
                _mm256_maskload_ps(from, self.mask(n))
            }
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::V) {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm256_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize, x: Self::V) {
        // SAFETY: `self` proves the feature; lanes from `n` on are not accessed.
        unsafe {
            if n == 8 {
                _mm256_storeu_ps(to, x);
            } else {
                _mm256_maskstore_ps(to, self.mask(n), x);
            }
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V {
        // The second operand is the result where one is not-a-number.
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_min_ps(high, _mm256_max_ps(low, x)) }
    }
}

impl Ints for Avx2 {
    type V = __m256i;
    type X = [__m256i; 2];
    type W = [__m256i; 2];
    type Taps = __m256i;
    type Rescale = Rescale;
    type Reals = Self;
    const INT_LANES: usize = 8;
    const WEIGHT_BYTES: usize = 32;
    const INT_ROWS: [usize; 3] = [8, 4, 2];
    const TAPS: usize = 2;
    const TAP_WEIGHT_BYTES: usize = 32;

    fn pack_weights(self, group: &mut [i8], lane: usize, weights: [i8; 4]) {
        // Weights 0 and 2 of all lanes, then 1 and 3.
        for (at, weight) in [0, 16, 1, 17].into_iter().zip(weights) {
            group[2 * lane + at] = weight;
        }
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> Self::W {
        // SAFETY: `self` proves the feature; the caller promises 32 bytes.
        unsafe {
            [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(16).cast())),
            ]
        }
    }

    #[inline(always)]
    fn broadcast(self, four: u32) -> Self::X {
        // SAFETY: `self` proves the feature.
        self.split(unsafe { _mm256_set1_epi32(four as i32) })
    }

    fn pack_taps(self, group: &mut [i8], lane: usize, weights: [i8; 4]) {
        for (i, weight) in weights.into_iter().enumerate().take(Self::TAPS) {
            let at = 4 * lane + 2 * i;
            let bytes = i16::from(weight).to_le_bytes();
            (group[at], group[at + 1]) = (bytes[0] as i8, bytes[1] as i8);
        }
    }

    #[inline(always)]
    unsafe fn interleave(self, rows: [*const u8; 4], n: usize) -> [Self::Taps; 4] {
        // SAFETY: `self` proves the feature; the caller promises `n` bytes at each row.
        unsafe {
            let (a, b) = (self.load_32(rows[0], n), self.load_32(rows[1], n));
            let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            let zero = _mm256_setzero_si256();
            [
                _mm256_unpacklo_epi8(low, zero),
                _mm256_unpackhi_epi8(low, zero),
                _mm256_unpacklo_epi8(high, zero),
                _mm256_unpackhi_epi8(high, zero),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add_taps(self, acc: Self::V, x: Self::Taps, weights: *const i8) -> Self::V {
        // SAFETY: `self` proves the feature; the caller promises 32 bytes.
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(x, _mm256_loadu_si256(weights.cast()))) }
    }

    #[inline(always)]
    fn dot(self, acc: Self::V, x: Self::X, w: Self::W) -> Self::V {
        // SAFETY: `self` proves the feature. A lane's sum is below 4 · 255 · 128 in magnitude.
        unsafe {
            let products = _mm256_add_epi32(_mm256_madd_epi16(x[0], w[0]), _mm256_madd_epi16(x[1], w[1]));
            _mm256_add_epi32(acc, products)
        }
    }

    #[inline(always)]
    fn dot_shorts(self, acc: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(x, y)) }
    }

    #[inline(always)]
    fn reals(self) -> Self {
        self
    }

    #[inline(always)]
    fn to_reals(self, x: Self::V) -> __m256 {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_cvtepi32_ps(x) }
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_set1_epi32(x) }
    }

    #[inline(always)]
    fn add_int(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn sub_int(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_sub_epi32(a, b) }
    }

    #[inline(always)]
    fn mul_int(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn shift_right(self, a: Self::V, by: Self::V) -> Self::V {
        // SAFETY: `self` proves the feature.
        unsafe { _mm256_srav_epi32(a, by) }
    }

    #[inline(always)]
    unsafe fn load_int(self, from: *const i32) -> Self::V {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store_int(self, to: *mut i32, x: Self::V) {
        // SAFETY: `self` proves the feature; the caller's promise.
        unsafe { _mm256_storeu_si256(to.cast(), x) }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8, n: usize) -> Self::V {
        // SAFETY: `self` proves the feature; eight bytes are read from `from` or from `bytes`, into which `n` are copied.
        unsafe {
            if n == 8 {
                return _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()));
            }
            let mut bytes = [0_u8; 8];
            std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), n);
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.as_ptr().cast()))
        }
    }

    #[inline(always)]
    unsafe fn load_shorts(self, from: *const i16, n: usize) -> Self::V {
        // SAFETY: `self` proves the feature; eight integers are read from `from` or from `shorts`, into which `n` are copied.
        unsafe {
            if n == 8 {
                return _mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast()));
            }
            let mut shorts = [0_i16; 8];
            std::ptr::copy_nonoverlapping(from, shorts.as_mut_ptr(), n);
            _mm256_cvtepi16_epi32(_mm_loadu_si128(shorts.as_ptr().cast()))
        }
    }

    #[inline(always)]
    unsafe fn store_shorts(self, to: *mut i16, n: usize, x: Self::V, range: &ByteRange) {
        // SAFETY: `self` proves the feature; `n` of eight integers are written.
        unsafe {
            // Clamping before the zero point is added, so that the sum cannot overflow.
            let x = _mm256_max_epi32(x, _mm256_set1_epi32(range.low - range.zero));
            let x = _mm256_min_epi32(x, _mm256_set1_epi32(range.high - range.zero));
            let x = _mm256_add_epi32(x, _mm256_set1_epi32(range.zero));
            let shorts = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
            if n == 8 {
                _mm_storeu_si128(to.cast(), shorts);
            } else {
                let mut copy = [0_i16; 8];
                _mm_storeu_si128(copy.as_mut_ptr().cast(), shorts);
                std::ptr::copy_nonoverlapping(copy.as_ptr(), to, n);
            }
        }
    }

    #[inline(always)]
    unsafe fn load_rescale(self, from: *const i32) -> Self::Rescale {
        // SAFETY: `self` proves the feature; the caller promises eight arrays of eight elements.
        let array = |i: usize| unsafe { _mm256_loadu_si256(from.add(8 * i).cast()) };
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
        // SAFETY: `self` proves the feature.
        unsafe {
            if MODE == RECTIFIED {
                let x = _mm256_max_epi32(x, _mm256_setzero_si256());
                let even = _mm256_add_epi64(_mm256_mul_epi32(x, by.multiplier), by.round_even);
                let odd = _mm256_mul_epi32(_mm256_srli_epi64(x, 32), by.multiplier_odd);
                let odd = _mm256_add_epi64(odd, by.round_odd);
                let (even, odd) = (
                    _mm256_srlv_epi64(even, by.shift_even),
                    _mm256_srlv_epi64(odd, by.shift_odd),
                );
                return _mm256_blend_epi32(even, odd, 0b1010_1010);
            }
            let x = if MODE == GENERAL {
                _mm256_sllv_epi32(x, by.left)
            } else {
                x
            };
            let half = _mm256_set1_epi64x(1 << 30);
            let even = _mm256_add_epi64(_mm256_mul_epi32(x, by.multiplier), half);
            let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), by.multiplier_odd), half);
            let high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0b1010_1010);
            // Round half away from zero: (high + 2^(r−1) − [high < 0]) >> r, without the overflow of that sum.
            let one = _mm256_set1_epi32(1);
            let low = _mm256_add_epi32(high, _mm256_srai_epi32(high, 31));
            let halved = _mm256_srav_epi32(low, _mm256_sub_epi32(by.right, one));
            let shifted = _mm256_srai_epi32(_mm256_add_epi32(halved, one), 1);
            if MODE == GENERAL {
                _mm256_blendv_epi8(shifted, high, _mm256_cmpeq_epi32(by.right, _mm256_setzero_si256()))
            } else {
                shifted
            }
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, n: usize, x: Self::V, range: &ByteRange) {
        // SAFETY: `self` proves the feature; `n` of eight bytes are written.
        unsafe {
            // Clamping before the zero point is added, so that the sum cannot overflow.
            let x = _mm256_max_epi32(x, _mm256_set1_epi32(range.low - range.zero));
            let x = _mm256_min_epi32(x, _mm256_set1_epi32(range.high - range.zero));
            let x = _mm256_add_epi32(x, _mm256_set1_epi32(range.zero));
            let words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
            let bytes = _mm_packus_epi16(words, words);
            if n == 8 {
                _mm_storel_epi64(to.cast(), bytes);
            } else {
                let bytes = _mm_cvtsi128_si64(bytes).to_le_bytes();
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, n);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_quad(self, to: *mut u8, n: usize, x: [Self::V; 4], range: &ByteRange) {
        // SAFETY: `self` proves the feature; `n` of 32 bytes are written.
        unsafe {
            let zero = _mm256_set1_epi16(range.zero as i16);
            let low = _mm256_adds_epi16(_mm256_packs_epi32(x[0], x[1]), zero);
            let high = _mm256_adds_epi16(_mm256_packs_epi32(x[2], x[3]), zero);
            let bytes = _mm256_packus_epi16(low, high);
            let bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(range.low as i8));
            let bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8(range.high as i8));
            if n == 32 {
                _mm256_storeu_si256(to.cast(), bytes);
            } else {
                let mut copy = [0_u8; 32];
                _mm256_storeu_si256(copy.as_mut_ptr().cast(), bytes);
                copy_few(copy.as_ptr(), to, n);
            }
        }
    }
}
