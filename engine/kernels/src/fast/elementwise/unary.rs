//! Functions of one `f32`, over images.

use super::stretches;
use crate::fast::function;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{Plane, View, ViewMut};
use crate::fast::product::Pixels;
use crate::fast::simd::{FloatTask, Floats};
use crate::quantized::ClampF32;
use crate::reference::Unary;

/// `function(x)` for all elements, the same bits on every [`Isa`]. Equals [`unary_f32`](crate::reference::unary_f32) in every bit
/// where the function is a formula of sums, products, quotients and roots; else as `function.rs` states.
pub fn unary_f32(isa: Isa, function: Unary, x: View<'_, f32>, to: ViewMut<'_, f32>) {
    FloatIsa::new(isa).run(Map { function, x, to });
}

/// `x`, clamped: the rectifiers. Equals [`relu_f32`](crate::reference::relu_f32) in every bit.
pub fn clamp_f32(isa: Isa, clamp: ClampF32, x: View<'_, f32>, to: ViewMut<'_, f32>) {
    FloatIsa::new(isa).run(Clamp { range: clamp, x, to });
}

struct Map<'a> {
    function: Unary,
    x: View<'a, f32>,
    to: ViewMut<'a, f32>,
}

/// A function of a number that is multiplied by the number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// `1 / (1 + e^−x)`: together, swish.
    Logistic,
    /// `min(max(slope · x + offset, 0), 1)`: with 1/6 and 1/2, hard swish.
    HardSigmoid {
        /// Factor of `x`.
        slope: f32,
        /// Value at zero.
        offset: f32,
    },
    /// `min(max(x + 3, 0), 6) / 6`, which the product is divided by last: the bits of hard swish as one operator.
    Hard,
}

/// `x · gate(x)`, clamped: the bits of both operators one after the other.
pub fn gated_f32(isa: Isa, gate: Gate, clamp: ClampF32, x: View<'_, f32>, to: ViewMut<'_, f32>) {
    FloatIsa::new(isa).run(Gated { gate, clamp, x, to });
}

/// [`gated_f32`] in place, of the pixels `rows` of a buffer, which are whole rows of `plane`.
pub(in crate::fast) fn gate_rows(isa: Isa, gate: Gate, clamp: ClampF32, plane: &Plane, rows: Pixels, data: &mut [f32]) {
    let len = plane.width * plane.channels;
    for y in 0..rows.height {
        FloatIsa::new(isa).run(GatedRow {
            gate,
            clamp,
            row: &mut data[rows.origin + y * rows.row_step..][..len],
        });
    }
}

struct GatedRow<'a> {
    gate: Gate,
    clamp: ClampF32,
    row: &'a mut [f32],
}

impl FloatTask for GatedRow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { gate, clamp, row } = self;
        match gate {
            Gate::Logistic => row
                .iter_mut()
                .for_each(|x| *x = clamp.apply(*x * function::logistic(*x))),
            Gate::HardSigmoid { slope, offset } => row
                .iter_mut()
                .for_each(|x| *x = clamp.apply(*x * (slope * *x + offset).clamp(0.0, 1.0))),
            Gate::Hard => row
                .iter_mut()
                .for_each(|x| *x = clamp.apply(*x * (*x + 3.0).clamp(0.0, 6.0) / 6.0)),
        }
    }
}

struct Gated<'a> {
    gate: Gate,
    clamp: ClampF32,
    x: View<'a, f32>,
    to: ViewMut<'a, f32>,
}

impl FloatTask for Gated<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { gate, clamp, x, mut to } = self;
        match gate {
            Gate::Logistic => each(x, &mut to, |x| clamp.apply(x * function::logistic(x))),
            Gate::HardSigmoid { slope, offset } => {
                each(x, &mut to, |x| clamp.apply(x * (slope * x + offset).clamp(0.0, 1.0)));
            }
            Gate::Hard => each(x, &mut to, |x| clamp.apply(x * (x + 3.0).clamp(0.0, 6.0) / 6.0)),
        }
    }
}

struct Clamp<'a> {
    range: ClampF32,
    x: View<'a, f32>,
    to: ViewMut<'a, f32>,
}

impl FloatTask for Clamp<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { range, x, mut to } = self;
        each(x, &mut to, |x| range.apply(x));
    }
}

impl FloatTask for Map<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { function, x, mut to } = self;
        let to = &mut to;
        match function {
            // Formulas are spelled out: `Unary::apply` is too large to be inlined, and what is not inlined is no vector code.
            Unary::Relu => each(x, to, |x| x.max(0.0)),
            Unary::Relu6 => each(x, to, |x| x.clamp(0.0, 6.0)),
            Unary::ReluN1To1 => each(x, to, |x| x.clamp(-1.0, 1.0)),
            Unary::LeakyRelu { alpha } => each(x, to, |x| if x > 0.0 { x } else { x * alpha }),
            Unary::Logistic => each(x, to, function::logistic),
            Unary::Tanh => each(x, to, function::tanh),
            Unary::Elu { alpha } => each(x, to, |x| {
                let below = alpha * function::exp_m1_of_negative(x.min(0.0));
                if x < 0.0 { below } else { x }
            }),
            Unary::Gelu => each(x, to, function::gelu),
            Unary::GeluTanh => each(x, to, function::gelu_tanh),
            Unary::Swish => each(x, to, |x| x * function::logistic(x)),
            Unary::HardSwish => each(x, to, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            Unary::HardSigmoid { slope, offset } => each(x, to, |x| (slope * x + offset).clamp(0.0, 1.0)),
            Unary::Exp => each(x, to, function::exp),
            Unary::Log => each(x, to, function::ln),
            Unary::Sqrt => each(x, to, f32::sqrt),
            Unary::Rsqrt => each(x, to, |x| 1.0 / x.sqrt()),
            Unary::Neg => each(x, to, |x: f32| -x),
            Unary::Abs => each(x, to, f32::abs),
            // Through `f64`, as the plain kernels have it: no vector code, but the same bits everywhere.
            Unary::Sin => each(x, to, |x| f64::from(x).sin() as f32),
            Unary::Cos => each(x, to, |x| f64::from(x).cos() as f32),
            Unary::Floor => each(x, to, f32::floor),
            Unary::Ceil => each(x, to, f32::ceil),
            Unary::Round => each(x, to, f32::round_ties_even),
            Unary::Sign => each(x, to, |x| {
                let below = if x < 0.0 { -1.0 } else { x };
                if x > 0.0 { 1.0 } else { below }
            }),
            Unary::Erf => each(x, to, function::erf),
            Unary::Softplus => each(x, to, function::softplus),
            Unary::Mish => each(x, to, function::mish),
        }
    }
}

/// `to = function(x)`, stretch by stretch.
#[inline(always)]
fn each(x: View<'_, f32>, to: &mut ViewMut<'_, f32>, function: impl Fn(f32) -> f32) {
    for (from, at, len) in stretches(x.plane(), to.plane()) {
        let x = &x.data()[from..][..len];
        for (slot, &x) in to.data()[at..][..len].iter_mut().zip(x) {
            *slot = function(x);
        }
    }
}
