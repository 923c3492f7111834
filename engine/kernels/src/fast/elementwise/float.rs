//! Elementwise `f32`. The loops are plain: compiled for the instruction set they become vectors by themselves.

use super::{Run, runs};
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{View, ViewMut};
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;

/// `a + b`, clamped. Equals [`add_f32`](crate::reference::add_f32) in every bit.
pub fn add_f32(isa: Isa, clamp: ClampF32, a: View<'_, f32>, b: View<'_, f32>, to: ViewMut<'_, f32>) {
    binary(isa, Add(clamp), a, b, to);
}

/// `a − b`, clamped. Equals [`sub_f32`](crate::reference::sub_f32) in every bit.
pub fn sub_f32(isa: Isa, clamp: ClampF32, a: View<'_, f32>, b: View<'_, f32>, to: ViewMut<'_, f32>) {
    binary(isa, Sub(clamp), a, b, to);
}

/// `a · b`, clamped. Equals [`mul_f32`](crate::reference::mul_f32) in every bit.
pub fn mul_f32(isa: Isa, clamp: ClampF32, a: View<'_, f32>, b: View<'_, f32>, to: ViewMut<'_, f32>) {
    binary(isa, Mul(clamp), a, b, to);
}

/// `x`, clamped: the rectifiers. Equals [`relu_f32`](crate::reference::relu_f32) in every bit.
pub fn clamp_f32(isa: Isa, clamp: ClampF32, x: View<'_, f32>, to: ViewMut<'_, f32>) {
    binary(isa, First(clamp), x, x, to);
}

/// A function of two elements.
trait Binary: Copy {
    fn apply(self, a: f32, b: f32) -> f32;
}

#[derive(Clone, Copy)]
struct Add(ClampF32);

impl Binary for Add {
    #[inline(always)]
    fn apply(self, a: f32, b: f32) -> f32 {
        self.0.apply(a + b)
    }
}

#[derive(Clone, Copy)]
struct Sub(ClampF32);

impl Binary for Sub {
    #[inline(always)]
    fn apply(self, a: f32, b: f32) -> f32 {
        self.0.apply(a - b)
    }
}

#[derive(Clone, Copy)]
struct Mul(ClampF32);

impl Binary for Mul {
    #[inline(always)]
    fn apply(self, a: f32, b: f32) -> f32 {
        self.0.apply(a * b)
    }
}

#[derive(Clone, Copy)]
struct First(ClampF32);

impl Binary for First {
    #[inline(always)]
    fn apply(self, a: f32, _: f32) -> f32 {
        self.0.apply(a)
    }
}

fn binary(isa: Isa, function: impl Binary, a: View<'_, f32>, b: View<'_, f32>, to: ViewMut<'_, f32>) {
    FloatIsa::new(isa).run(Zip { function, a, b, to });
}

struct Zip<'a, F> {
    function: F,
    a: View<'a, f32>,
    b: View<'a, f32>,
    to: ViewMut<'a, f32>,
}

impl<F: Binary> FloatTask for Zip<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { function, a, b, mut to } = self;
        for Run {
            a: from_a,
            b: from_b,
            to: at,
            len,
        } in runs(a.plane(), b.plane(), to.plane())
        {
            let (a, b) = (&a.data()[from_a..][..len], &b.data()[from_b..][..len]);
            for ((slot, &a), &b) in to.data()[at..][..len].iter_mut().zip(a).zip(b) {
                *slot = function.apply(a, b);
            }
        }
    }
}
