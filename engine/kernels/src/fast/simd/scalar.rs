//! Portable vectors: four lanes in an array, which compilers turn into the 128-bit vectors that every processor has.
#![expect(unsafe_code, reason = "reads and writes through the pointers that the traits pass")]

use super::{ByteRange, Floats, Ints, Mode, Simd, Task};
use crate::quantized::QuantizedMultiplier;
use std::array::from_fn;

/// The portable level.
#[derive(Debug, Clone, Copy)]
pub(in crate::fast) struct Scalar;

const LANES: usize = 4;

impl Simd for Scalar {
    #[inline(never)]
    fn call<T: Task<Self>>(self, task: T) -> T::Out {
        task.run(self)
    }
}

impl Floats for Scalar {
    type V = [f32; LANES];
    const FLOAT_LANES: usize = LANES;
    const FLOAT_ROWS: [usize; 3] = [8, 4, 2];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::V {
        // SAFETY: the caller's promise; arrays have the alignment of their elements.
        unsafe { from.cast::<Self::V>().read() }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, n: usize) -> Self::V {
        // SAFETY: only lanes below `n` are read.
        from_fn(|lane| {
            if lane < n {
                unsafe { from.add(lane).read() }
            } else {
                0.0
            }
        })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: Self::V) {
        // SAFETY: the caller's promise; arrays have the alignment of their elements.
        unsafe { to.cast::<Self::V>().write(x) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize, x: Self::V) {
        if n == LANES {
            // SAFETY: the caller's promise; arrays have the alignment of their elements.
            unsafe { to.cast::<Self::V>().write(x) }
        } else {
            for (lane, x) in x.into_iter().enumerate().take(n) {
                // SAFETY: only lanes below `n` are written.
                unsafe { to.add(lane).write(x) }
            }
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Where fusing is no instruction but a library call, two roundings are the fast way.
        from_fn(|i| {
            if cfg!(target_arch = "aarch64") {
                a[i].mul_add(b[i], c[i])
            } else {
                a[i] * b[i] + c[i]
            }
        })
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn clamp(self, x: Self::V, low: Self::V, high: Self::V) -> Self::V {
        from_fn(|i| {
            let above = if low[i] > x[i] { low[i] } else { x[i] };
            if high[i] < above { high[i] } else { above }
        })
    }
}

impl Ints for Scalar {
    type V = [i32; LANES];
    type X = [[u8; 4]; LANES];
    type W = [[i8; 4]; LANES];
    type Taps = Self::X;
    type Rescale = [QuantizedMultiplier; LANES];
    type Reals = Self;
    const INT_LANES: usize = LANES;
    const WEIGHT_BYTES: usize = 4 * LANES;
    const INT_ROWS: [usize; 3] = [4, 2, 1];
    const TAPS: usize = 4;
    const TAP_WEIGHT_BYTES: usize = Self::WEIGHT_BYTES;

    fn pack_weights(self, group: &mut [i8], lane: usize, weights: [i8; 4]) {
        group[4 * lane..4 * lane + 4].copy_from_slice(&weights);
    }

    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> Self::W {
        // SAFETY: the caller's promise; bytes have no alignment.
        unsafe { from.cast::<Self::W>().read() }
    }

    #[inline(always)]
    fn broadcast(self, four: u32) -> Self::X {
        [four.to_le_bytes(); LANES]
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
        from_fn(|q| {
            from_fn(|lane| {
                let channel = 4 * q + lane;
                // SAFETY: only bytes below `n` are read.
                rows.map(|row| {
                    if channel < n {
                        unsafe { row.add(channel).read() }
                    } else {
                        0
                    }
                })
            })
        })
    }

    #[inline(always)]
    fn dot(self, acc: Self::V, x: Self::X, w: Self::W) -> Self::V {
        from_fn(|lane| {
            let products = x[lane].iter().zip(&w[lane]).map(|(&x, &w)| i32::from(x) * i32::from(w));
            acc[lane].wrapping_add(products.sum())
        })
    }

    #[inline(always)]
    fn dot_shorts(self, acc: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // The lower and the upper half of a lane.
        let product = |x: i32, y: i32| i32::from(x as i16) * i32::from(y as i16);
        from_fn(|i| {
            acc[i]
                .wrapping_add(product(x[i], y[i]))
                .wrapping_add(product(x[i] >> 16, y[i] >> 16))
        })
    }

    #[inline(always)]
    fn reals(self) -> Self {
        self
    }

    #[inline(always)]
    fn to_reals(self, x: Self::V) -> [f32; LANES] {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    fn add_int(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn sub_int(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i].wrapping_sub(b[i]))
    }

    #[inline(always)]
    fn mul_int(self, a: Self::V, b: Self::V) -> Self::V {
        from_fn(|i| a[i].wrapping_mul(b[i]))
    }

    #[inline(always)]
    fn shift_right(self, a: Self::V, by: Self::V) -> Self::V {
        from_fn(|i| a[i] >> (by[i] & 31))
    }

    #[inline(always)]
    unsafe fn load_int(self, from: *const i32) -> Self::V {
        // SAFETY: the caller's promise; arrays have the alignment of their elements.
        unsafe { from.cast::<Self::V>().read() }
    }

    #[inline(always)]
    unsafe fn store_int(self, to: *mut i32, x: Self::V) {
        // SAFETY: the caller's promise; arrays have the alignment of their elements.
        unsafe { to.cast::<Self::V>().write(x) }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8, n: usize) -> Self::V {
        // SAFETY: only bytes below `n` are read.
        from_fn(|lane| {
            if lane < n {
                i32::from(unsafe { from.add(lane).read() })
            } else {
                0
            }
        })
    }

    #[inline(always)]
    unsafe fn load_rescale(self, from: *const i32) -> Self::Rescale {
        // SAFETY: the caller promises eight arrays of `LANES` elements.
        from_fn(|lane| unsafe {
            QuantizedMultiplier {
                multiplier: from.add(lane).read(),
                shift: from.add(2 * LANES + lane).read() - from.add(3 * LANES + lane).read(),
            }
        })
    }

    #[inline(always)]
    fn rescale<const MODE: Mode>(self, x: Self::V, by: &Self::Rescale) -> Self::V {
        from_fn(|lane| by[lane].apply_double(x[lane]))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, n: usize, x: Self::V, range: &ByteRange) {
        for (lane, x) in x.into_iter().enumerate().take(n) {
            // SAFETY: only bytes below `n` are written.
            unsafe { to.add(lane).write(range.apply(x)) }
        }
    }

    #[inline(always)]
    unsafe fn store_quad(self, to: *mut u8, n: usize, x: [Self::V; 4], range: &ByteRange) {
        for (channel, x) in x.into_iter().flatten().enumerate().take(n) {
            // SAFETY: only bytes below `n` are written.
            unsafe { to.add(channel).write(range.apply(x)) }
        }
    }
}
