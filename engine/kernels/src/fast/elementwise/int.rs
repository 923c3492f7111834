//! Elementwise bytes.
#![expect(
    unsafe_code,
    reason = "vectors are loaded and stored through pointers into slices of checked length"
)]

use super::{Run, runs};
use crate::fast::isa::{IntIsa, Isa};
use crate::fast::plane::{View, ViewMut};
use crate::fast::requantize::{BIAS, mode};
use crate::fast::simd::{ByteRange, GENERAL, IntTask, Ints, Mode, RECTIFIED, SMALL, Task};
use crate::quantized::QuantizedMultiplier;
use crate::reference::{AddParams, MulParams};

/// An integer sum or difference of two images in different units, as [`add_i8`](crate::reference::add_i8) and
/// [`sub_i8`](crate::reference::sub_i8) define them.
#[derive(Debug, Clone)]
pub struct IntAdd {
    isa: IntIsa,
    params: AddParams,
    subtract: bool,
}

/// An integer product of two images, as [`mul_i8`](crate::reference::mul_i8) defines it.
#[derive(Debug, Clone)]
pub struct IntMul {
    isa: IntIsa,
    params: MulParams,
}

impl IntAdd {
    /// The sum `a + b` on `isa`, which must be available.
    pub fn sum(isa: Isa, params: &AddParams) -> Self {
        Self {
            isa: IntIsa::new(isa),
            params: *params,
            subtract: false,
        }
    }

    /// The difference `a − b` on `isa`, which must be available.
    pub fn difference(isa: Isa, params: &AddParams) -> Self {
        Self {
            isa: IntIsa::new(isa),
            params: *params,
            subtract: true,
        }
    }

    /// Computes all elements. `b` has the size of `a`, or is one pixel.
    pub fn run(&self, a: View<'_, u8>, b: View<'_, u8>, to: ViewMut<'_, u8>) {
        let params = &self.params;
        let range = ByteRange::new(params.output_zero_point, params.clamp);
        let factors = [params.a_multiplier, params.b_multiplier, params.output_multiplier];
        let zeros = [params.a_zero_point + BIAS, params.b_zero_point + BIAS];
        let function = Function::Sum {
            subtract: self.subtract,
        };
        self.isa.run(Zip {
            function,
            factors,
            zeros,
            range,
            a,
            b,
            to,
        });
    }
}

impl IntMul {
    /// The product `a · b` on `isa`, which must be available.
    pub fn new(isa: Isa, params: &MulParams) -> Self {
        Self {
            isa: IntIsa::new(isa),
            params: *params,
        }
    }

    /// Computes all elements. `b` has the size of `a`, or is one pixel.
    pub fn run(&self, a: View<'_, u8>, b: View<'_, u8>, to: ViewMut<'_, u8>) {
        let params = &self.params;
        let range = ByteRange::new(params.output_zero_point, params.clamp);
        let factors = [QuantizedMultiplier::ZERO, QuantizedMultiplier::ZERO, params.multiplier];
        let zeros = [params.a_zero_point + BIAS, params.b_zero_point + BIAS];
        self.isa.run(Zip {
            function: Function::Product,
            factors,
            zeros,
            range,
            a,
            b,
            to,
        });
    }
}

#[derive(Clone, Copy)]
enum Function {
    Sum { subtract: bool },
    Product,
}

struct Zip<'a> {
    function: Function,
    /// Of `a`, of `b` and of the result.
    factors: [QuantizedMultiplier; 3],
    zeros: [i32; 2],
    range: ByteRange,
    a: View<'a, u8>,
    b: View<'a, u8>,
    to: ViewMut<'a, u8>,
}

impl IntTask for Zip<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) {
        match (self.function, mode(&self.factors[2..], &self.range)) {
            (Function::Product, GENERAL) => simd.call(InMode::<PRODUCT, GENERAL>(self)),
            (Function::Product, SMALL) => simd.call(InMode::<PRODUCT, SMALL>(self)),
            (Function::Product, _) => simd.call(InMode::<PRODUCT, RECTIFIED>(self)),
            (Function::Sum { subtract: false }, GENERAL) => simd.call(InMode::<SUM, GENERAL>(self)),
            (Function::Sum { subtract: false }, SMALL) => simd.call(InMode::<SUM, SMALL>(self)),
            (Function::Sum { subtract: false }, _) => simd.call(InMode::<SUM, RECTIFIED>(self)),
            (Function::Sum { subtract: true }, _) => simd.call(InMode::<DIFFERENCE, GENERAL>(self)),
        }
    }
}

const SUM: u8 = 0;
const DIFFERENCE: u8 = 1;
const PRODUCT: u8 = 2;

/// [`Zip`] for one function and one mode of requantization of its result.
struct InMode<'a, const FUNCTION: u8, const MODE: Mode>(Zip<'a>);

impl<S: Ints, const FUNCTION: u8, const MODE: Mode> Task<S> for InMode<'_, FUNCTION, MODE> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Zip {
            function: _,
            factors,
            zeros,
            range,
            a,
            b,
            mut to,
        } = self.0;
        let (zero_a, zero_b) = (simd.splat_int(zeros[0]), simd.splat_int(zeros[1]));
        let [by_a, by_b, by_result] = [
            splat(simd, factors[0]),
            splat(simd, factors[1]),
            splat(simd, factors[2]),
        ];
        for Run {
            a: from_a,
            b: from_b,
            to: at,
            len,
        } in runs(a.plane(), b.plane(), to.plane())
        {
            let (a, b) = (&a.data()[from_a..][..len], &b.data()[from_b..][..len]);
            let to = &mut to.data()[at..][..len];
            for i in (0..len).step_by(S::INT_LANES) {
                let n = (len - i).min(S::INT_LANES);
                // SAFETY: all three slices have `len` elements, and `i + n <= len`.
                unsafe {
                    let a = simd.sub_int(simd.load_bytes(a.as_ptr().add(i), n), zero_a);
                    let b = simd.sub_int(simd.load_bytes(b.as_ptr().add(i), n), zero_b);
                    let raw = if FUNCTION == PRODUCT {
                        simd.mul_int(a, b)
                    } else {
                        let a = simd.rescale::<GENERAL>(simd.shift_left_20(a), &by_a);
                        let b = simd.rescale::<GENERAL>(simd.shift_left_20(b), &by_b);
                        if FUNCTION == DIFFERENCE {
                            simd.sub_int(a, b)
                        } else {
                            simd.add_int(a, b)
                        }
                    };
                    simd.store_bytes(to.as_mut_ptr().add(i), n, simd.rescale::<MODE>(raw, &by_result), &range);
                }
            }
        }
    }
}

/// The same factor in all lanes.
#[inline(always)]
fn splat<S: Ints>(simd: S, factor: QuantizedMultiplier) -> S::Rescale {
    // A factor of 0 may be shifted by anything, and some modes shift right at least once.
    let shift = if factor.multiplier == 0 { -1 } else { factor.shift };
    let (multiplier, left, right) = ([factor.multiplier; 16], [shift.max(0); 16], [(-shift).max(0); 16]);
    // SAFETY: no vector has more than 16 lanes.
    unsafe { simd.load_rescale(multiplier.as_ptr(), left.as_ptr(), right.as_ptr()) }
}

/// Any function of one `i8` as a table: activations, and requantization.
#[derive(Clone)]
pub struct ByteMap([u8; 256]);

impl ByteMap {
    /// The table of `function`.
    pub fn new(function: impl Fn(i8) -> i8) -> Self {
        Self(std::array::from_fn(|byte| {
            function((byte as u8 ^ 0x80) as i8) as u8 ^ 0x80
        }))
    }

    /// Looks up all elements.
    pub fn run(&self, x: View<'_, u8>, mut to: ViewMut<'_, u8>) {
        for Run {
            a: from,
            b: _,
            to: at,
            len,
        } in runs(x.plane(), x.plane(), to.plane())
        {
            for (slot, &x) in to.data()[at..][..len].iter_mut().zip(&x.data()[from..][..len]) {
                *slot = self.0[usize::from(x)];
            }
        }
    }
}

impl std::fmt::Debug for ByteMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ByteMap").finish_non_exhaustive()
    }
}
