//! The vector operations that kernels are written in, and their implementations per instruction set.
//!
//! A kernel is a *task*: a struct with its arguments and one function, generic over [`Floats`] or [`Ints`].
//! [`Simd::call`] compiles it with the instruction set's features switched on. The implementing types are proofs: an
//! [`Avx2`] exists only on a processor with AVX2. Everything between `call` and an intrinsic is `#[inline(always)]`,
//! because a function that is not inlined is compiled without the features and slower by an order of magnitude. For the
//! same reason vectors do not go through `array::map`, `array::from_fn` and their like.
//!
//! # Quads
//!
//! Four vectors of 32-bit sums become one vector of bytes by three instructions that pack two vectors to one. They work within
//! 128-bit lanes, so the bytes would come out shuffled; instead the weights are packed in the order that makes them
//! come out straight. Lane `i` of vector `q` of a quad holds channel `16 · (i / 4) + 4 · q + i % 4` ([`quad_channel`]).
//! The same order comes out of interleaving rows of bytes, as the depthwise convolution does.
#![expect(unsafe_code, reason = "declares operations that read and write through pointers")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::{Avx512, Vnni};
pub(super) use scalar::Scalar;

use crate::quantized::QuantizedMultiplier;

/// A computation on the vectors of `S`.
pub(super) trait Task<S> {
    type Out;

    /// Does the work. Implementations are `#[inline(always)]`.
    fn run(self, simd: S) -> Self::Out;
}

/// An instruction set that the processor is known to have.
pub(super) trait Simd: Copy {
    /// Runs `task`, compiled for this instruction set, as a function of its own.
    fn call<T: Task<Self>>(self, task: T) -> T::Out;
}

/// A float computation that can be compiled for any instruction set.
pub(super) trait FloatTask {
    type Out;

    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<S: Floats>(self, simd: S) -> Self::Out;
}

/// An integer computation that can be compiled for any instruction set.
pub(super) trait IntTask {
    type Out;

    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<S: Ints>(self, simd: S) -> Self::Out;
}

/// A [`FloatTask`] as the task of one instruction set.
pub(super) struct Float<T>(pub(super) T);

impl<S: Floats, T: FloatTask> Task<S> for Float<T> {
    type Out = T::Out;

    #[inline(always)]
    fn run(self, simd: S) -> T::Out {
        self.0.run(simd)
    }
}

/// An [`IntTask`] as the task of one instruction set.
pub(super) struct Int<T>(pub(super) T);

impl<S: Ints, T: IntTask> Task<S> for Int<T> {
    type Out = T::Out;

    #[inline(always)]
    fn run(self, simd: S) -> T::Out {
        self.0.run(simd)
    }
}

/// Vectors of `f32`.
pub(super) trait Floats: Simd {
    /// One vector.
    type V: Copy;

    /// Lanes of a vector.
    const FLOAT_LANES: usize;

    /// Rows of the register tile of a matrix product whose columns are 1, 2 or 4 vectors: as many as registers hold, 0 where they hold
    /// too few to be worth it.
    const FLOAT_ROWS: [usize; 3];

    /// Most vectors of such a tile.
    const FLOAT_VECTORS: usize = if Self::FLOAT_ROWS[2] == 0 { 2 } else { 4 };

    fn splat(self, x: f32) -> Self::V;

    /// # Safety
    /// `FLOAT_LANES` elements at `from` are readable.
    unsafe fn load(self, from: *const f32) -> Self::V;

    /// The first `n` lanes from memory, 0 in the others.
    ///
    /// # Safety
    /// `n` elements at `from` are readable, `1 <= n <= FLOAT_LANES`.
    unsafe fn load_first(self, from: *const f32, n: usize) -> Self::V;

    /// # Safety
    /// `FLOAT_LANES` elements at `to` are writable.
    unsafe fn store(self, to: *mut f32, x: Self::V);

    /// # Safety
    /// `n` elements at `to` are writable, `1 <= n <= FLOAT_LANES`.
    unsafe fn store_first(self, to: *mut f32, n: usize, x: Self::V);

    /// `a · b + c`, rounded once where the instruction set can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    fn add(self, a: Self::V, b: Self::V) -> Self::V;

    fn mul(self, a: Self::V, b: Self::V) -> Self::V;

    /// `x` within `low..=high`; not-a-number stays.
    fn clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V;
}

/// Vectors of `i32`, and products of bytes summed into them.
pub(super) trait Ints: Simd {
    /// One vector of sums.
    type V: Copy;
    /// Per lane, four activations (unsigned bytes), ready to be multiplied.
    type X: Copy;
    /// Per lane, four weights (signed bytes), ready to be multiplied.
    type W: Copy;
    /// Per lane, the activations under [`Ints::TAPS`] taps of a depthwise convolution, ready to be multiplied.
    type Taps: Copy;
    /// Per lane, a factor to requantize by.
    type Rescale: Copy;
    /// Vectors of `f32` with as many lanes.
    type Reals: Floats;

    /// Lanes of a vector.
    const INT_LANES: usize;

    /// Bytes that the packed weights of one [`Ints::W`] take.
    const WEIGHT_BYTES: usize;

    /// Rows of the register tile of a matrix product whose columns are 1, 2 or 4 vectors: as many as registers hold.
    const INT_ROWS: [usize; 3];

    /// Taps that one step of a depthwise convolution does: 2 or 4.
    const TAPS: usize;

    /// Bytes that a vector's packed weights of so many taps take.
    const TAP_WEIGHT_BYTES: usize;

    /// Stores the four weights of a lane where [`Ints::load_weights`] finds them in `group`, which is [`Ints::WEIGHT_BYTES`] long.
    fn pack_weights(self, group: &mut [i8], lane: usize, weights: [i8; 4]);

    /// # Safety
    /// [`Ints::WEIGHT_BYTES`] bytes at `from` are readable.
    unsafe fn load_weights(self, from: *const i8) -> Self::W;

    /// The same four activations, the lowest byte first, in all lanes.
    fn broadcast(self, four: u32) -> Self::X;

    /// Stores a lane's weights of [`Ints::TAPS`] taps where [`Ints::add_taps`] finds them in `group`, which is
    /// [`Ints::TAP_WEIGHT_BYTES`] long.
    fn pack_taps(self, group: &mut [i8], lane: usize, weights: [i8; 4]);

    /// Activation `j` of lane `i` of result `q` is byte `quad_channel(4, q, i)` of row `j`, one of [`Ints::TAPS`].
    ///
    /// # Safety
    /// `n` bytes at each row are readable, `1 <= n <= 4 · INT_LANES`.
    unsafe fn interleave(self, rows: [*const u8; 4], n: usize) -> [Self::Taps; 4];

    /// `acc` plus the products of each lane's taps, modulo 2^32.
    ///
    /// # Safety
    /// [`Ints::TAP_WEIGHT_BYTES`] bytes at `weights` are readable.
    unsafe fn add_taps(self, acc: Self::V, x: Self::Taps, weights: *const i8) -> Self::V;

    /// `acc` plus the four products of each lane, modulo 2^32.
    fn dot(self, acc: Self::V, x: Self::X, w: Self::W) -> Self::V;

    /// `acc` plus the two products of each lane, whose halves are 16-bit integers. Sums of two products fit 32 bits unless all four
    /// factors are −2^15.
    fn dot_shorts(self, acc: Self::V, x: Self::V, y: Self::V) -> Self::V;

    /// The proof that the processor has [`Ints::Reals`].
    fn reals(self) -> Self::Reals;

    /// The nearest `f32` of each lane.
    fn to_reals(self, x: Self::V) -> <Self::Reals as Floats>::V;

    fn splat_int(self, x: i32) -> Self::V;

    fn add_int(self, a: Self::V, b: Self::V) -> Self::V;

    fn sub_int(self, a: Self::V, b: Self::V) -> Self::V;

    fn mul_int(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a >> by` with the sign, lane by lane; `by` is in `0..=31`.
    fn shift_right(self, a: Self::V, by: Self::V) -> Self::V;

    /// # Safety
    /// `INT_LANES` elements at `from` are readable.
    unsafe fn load_int(self, from: *const i32) -> Self::V;

    /// # Safety
    /// `INT_LANES` elements at `to` are writable.
    unsafe fn store_int(self, to: *mut i32, x: Self::V);

    /// The first `n` lanes from bytes, 0 in the others.
    ///
    /// # Safety
    /// `n` bytes at `from` are readable, `1 <= n <= INT_LANES`.
    unsafe fn load_bytes(self, from: *const u8, n: usize) -> Self::V;

    /// The first `n` lanes from 16-bit integers, 0 in the others.
    ///
    /// # Safety
    /// `n` elements at `from` are readable, `1 <= n <= INT_LANES`.
    #[inline(always)]
    unsafe fn load_shorts(self, from: *const i16, n: usize) -> Self::V {
        let mut lanes = [0; 16];
        // SAFETY: no vector has more than 16 lanes; only lanes below `n` are read.
        unsafe {
            for (i, lane) in lanes.iter_mut().enumerate().take(n) {
                *lane = from.add(i).read().into();
            }
            self.load_int(lanes.as_ptr())
        }
    }

    /// Stores `x + zero`, clamped, as 16-bit integers: lanes in order. The range is within those of `i16`.
    ///
    /// # Safety
    /// `n` elements at `to` are writable, `1 <= n <= INT_LANES`.
    #[inline(always)]
    unsafe fn store_shorts(self, to: *mut i16, n: usize, x: Self::V, range: &ByteRange) {
        let mut lanes = [0; 16];
        // SAFETY: no vector has more than 16 lanes; only elements below `n` are written.
        unsafe {
            self.store_int(lanes.as_mut_ptr(), x);
            for (i, &lane) in lanes.iter().enumerate().take(n) {
                let value = lane.saturating_add(range.zero).max(range.low).min(range.high);
                to.add(i).write(value as i16);
            }
        }
    }

    /// Factors as [`pack_factors`] has stored them for a vector.
    ///
    /// # Safety
    /// [`FACTOR_ARRAYS`] times `INT_LANES` elements at `from` are readable.
    unsafe fn load_rescale(self, from: *const i32) -> Self::Rescale;

    /// `x` times the factor, rounded twice: `QuantizedMultiplier::apply_double`, for the factors and results that [`Mode`] allows.
    fn rescale<const MODE: Mode>(self, x: Self::V, by: &Self::Rescale) -> Self::V;

    /// Stores `x + zero`, clamped, as bytes: lanes in order.
    ///
    /// # Safety
    /// `n` bytes at `to` are writable, `1 <= n <= INT_LANES`.
    unsafe fn store_bytes(self, to: *mut u8, n: usize, x: Self::V, range: &ByteRange);

    /// Stores `x + zero`, clamped, as bytes: a quad in order of its channels.
    ///
    /// # Safety
    /// `n` bytes at `to` are writable, `1 <= n <= 4 · INT_LANES`.
    unsafe fn store_quad(self, to: *mut u8, n: usize, x: [Self::V; 4], range: &ByteRange);
}

/// Arrays, of an `i32` per lane, that the factors of a vector are stored in.
pub(super) const FACTOR_ARRAYS: usize = 8;

/// Stores a factor per lane for [`Ints::load_rescale`]: multipliers; those of the odd lanes in the places of the even ones; shifts to the left
/// and to the right; then 64-bit numbers for [`RECTIFIED`], of the even and of the odd lanes: both roundings as one summand, and the
/// whole shift, 32 bits less for the odd lanes, whose results are wanted in the upper half. Multipliers are not negative.
pub(super) fn pack_factors(to: &mut [i32], factors: &[QuantizedMultiplier]) {
    let lanes = factors.len();
    assert_eq!(to.len(), FACTOR_ARRAYS * lanes, "places for {lanes} factors");
    for (lane, factor) in factors.iter().enumerate() {
        let (left, right) = (factor.shift.max(0), (-factor.shift).clamp(0, 31));
        let (even, odd) = (lane & !1, lane % 2);
        to[lane] = factor.multiplier;
        if odd == 1 {
            to[lanes + even] = factor.multiplier;
        }
        to[2 * lanes + lane] = left;
        to[3 * lanes + lane] = right;
        let round = (1_i64 << 30) + (1 << (30 + right));
        let shift = if odd == 1 { right - 1 } else { right + 31 };
        let at = (4 + odd) * lanes + even;
        (to[at], to[at + 1]) = (round as i32, (round >> 32) as i32);
        to[(6 + odd) * lanes + even] = shift.max(0);
    }
}

/// Which shortcuts requantization may take.
pub(super) type Mode = u8;

/// Any factor.
pub(super) const GENERAL: Mode = 0;
/// All factors are 0 or below 1/2: nothing is shifted left, everything is shifted right.
pub(super) const SMALL: Mode = 1;
/// As [`SMALL`], and the lower bound of the result is at least the zero point. Then nothing negative survives the clamp, negative
/// sums can be taken for 0, and both roundings collapse into one: for `p = x · multiplier ≥ 0`,
/// `⌊(⌊(p + 2^30) / 2^31⌋ + 2^(r−1)) / 2^r⌋ = ⌊(p + 2^30 + 2^(r+30)) / 2^(r+31)⌋`.
pub(super) const RECTIFIED: Mode = 2;

/// Where requantized values go: bytes `value + zero` within `low..=high`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteRange {
    pub(super) zero: i32,
    pub(super) low: i32,
    pub(super) high: i32,
}

impl ByteRange {
    /// The byte that `x` becomes.
    #[inline(always)]
    pub(super) fn apply(&self, x: i32) -> u8 {
        x.saturating_add(self.zero).max(self.low).min(self.high) as u8
    }
}

/// The channel, within its panel, that lane `lane` of vector `vector` of a panel of `vectors` vectors holds.
pub(super) fn quad_channel(vectors: usize, lanes: usize, vector: usize, lane: usize) -> usize {
    if vectors == 4 {
        16 * (lane / 4) + 4 * vector + lane % 4
    } else {
        lanes * vector + lane
    }
}
