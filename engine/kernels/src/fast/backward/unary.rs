//! The gradient of a function of one number: `dy · slope(x)`.
//!
//! Slopes are functions like those of `function.rs`: without branches, tables or calls, the same bits on every [`Isa`]. What they are off by
//! the exact slope, which [`Unary::derivative`] has, is below `4e-7`, and `4e-7` of it where it is large.

use crate::fast::function::{self, erfc_of_positive, exp_of_negative, logistic};
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::simd::{FloatTask, Floats};
use crate::reference::Unary;

/// `dx = dy · slope(x)`.
pub fn unary_gradient_f32(isa: Isa, function: Unary, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && x.len() == dx.len(), "elements");
    FloatIsa::new(isa).run(Slopes { function, x, dy, dx });
}

struct Slopes<'a> {
    function: Unary,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl FloatTask for Slopes<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        match self.function {
            Unary::Relu => self.each(|x| step(x > 0.0)),
            Unary::Relu6 => self.each(|x| step(x > 0.0) * step(x < 6.0)),
            Unary::ReluN1To1 => self.each(|x| step(x > -1.0) * step(x < 1.0)),
            Unary::LeakyRelu { alpha } => self.each(|x| if x > 0.0 { 1.0 } else { alpha }),
            Unary::Logistic => self.each(logistic_slope),
            Unary::Tanh => self.each(tanh_slope),
            Unary::Elu { alpha } => self.each(|x| {
                let below = alpha * exp_of_negative(if x > 0.0 { 0.0 } else { x });
                if x > 0.0 { 1.0 } else { below }
            }),
            Unary::Gelu => self.each(gelu_slope),
            Unary::GeluTanh => self.each(gelu_tanh_slope),
            Unary::Swish => self.each(|x| logistic(x) + x * logistic_slope(x)),
            Unary::HardSwish => self.each(|x| {
                let inside = step(x > -3.0) * (2.0 * x + 3.0) / 6.0;
                if x >= 3.0 { 1.0 } else { inside }
            }),
            Unary::HardSigmoid { slope, offset } => self.each(|x| {
                let line = slope * x + offset;
                step(line > 0.0) * step(line < 1.0) * slope
            }),
            Unary::Exp => self.each(function::exp),
            Unary::Log => self.each(|x| 1.0 / x),
            Unary::Sqrt => self.each(|x| 0.5 / x.sqrt()),
            Unary::Rsqrt => self.each(|x| -0.5 / (x * x.sqrt())),
            Unary::Neg => self.each(|_| -1.0),
            Unary::Abs => self.each(|x| step(x > 0.0) - step(x < 0.0)),
            // Through `f64`, as they are computed: no vector code, but the same everywhere.
            Unary::Sin => self.each(|x| f64::from(x).cos() as f32),
            Unary::Cos => self.each(|x| -f64::from(x).sin() as f32),
            Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign => self.each(|_| 0.0),
            Unary::Erf => self.each(|x| std::f32::consts::FRAC_2_SQRT_PI * exp_of_negative(-x * x)),
            Unary::Softplus => self.each(logistic),
            Unary::Mish => self.each(mish_slope),
        }
    }
}

impl Slopes<'_> {
    #[inline(always)]
    fn each(self, slope: impl Fn(f32) -> f32) {
        for ((&x, &d), slot) in self.x.iter().zip(self.dy).zip(self.dx) {
            *slot = d * slope(x);
        }
    }
}

#[inline(always)]
fn step(on: bool) -> f32 {
    if on { 1.0 } else { 0.0 }
}

#[inline(always)]
fn logistic_slope(x: f32) -> f32 {
    let e = exp_of_negative(-x.abs());
    e / ((1.0 + e) * (1.0 + e))
}

#[inline(always)]
fn tanh_slope(x: f32) -> f32 {
    4.0 * logistic_slope(2.0 * x)
}

/// `Φ(x) + x · φ(x)`, with the normal distribution and its density.
#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    const DENSITY: f32 = 0.398_942_3;
    // Beyond, both are 0 or 1; squares of greater numbers are none.
    let near = x.clamp(-12.0, 12.0);
    let tail = 0.5 * erfc_of_positive(near.abs() * std::f32::consts::FRAC_1_SQRT_2);
    let below = if x < 0.0 { tail } else { 1.0 - tail };
    below + near * DENSITY * exp_of_negative(-0.5 * near * near)
}

/// The slope of `x/2 · (1 + tanh u)` with `u = √(2/π) · (x + 0.044715 x³)`.
#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    const FACTOR: f32 = 0.797_884_6;
    const CUBIC: f32 = 0.044_715;
    let near = x.clamp(-12.0, 12.0);
    let square = near * near;
    let u = FACTOR * near * (1.0 + CUBIC * square);
    let inner = FACTOR * (1.0 + 3.0 * CUBIC * square);
    0.5 * (1.0 + function::tanh(u)) + 0.5 * near * tanh_slope(u) * inner
}

/// `t + x · (1 − t²) · logistic(x)` with `t = tanh(ln(1 + e^x)) = n / (n + 2)` and `n = e^x (e^x + 2)`.
#[inline(always)]
fn mish_slope(x: f32) -> f32 {
    // From 20 on it is 1.
    let near = if x > 20.0 { 20.0 } else { x };
    let e = function::exp(near);
    let e = if x < -87.0 { 0.0 } else { e };
    let n = e * (e + 2.0);
    let rest = 4.0 * (n + 1.0) / ((n + 2.0) * (n + 2.0));
    n / (n + 2.0) + near.max(-87.0) * rest * logistic(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_formulas_on_every_instruction_set() {
        let functions = [
            Unary::Relu,
            Unary::Relu6,
            Unary::ReluN1To1,
            Unary::LeakyRelu { alpha: 0.3 },
            Unary::Logistic,
            Unary::Tanh,
            Unary::Elu { alpha: 2.0 },
            Unary::Gelu,
            Unary::GeluTanh,
            Unary::Swish,
            Unary::HardSwish,
            Unary::HardSigmoid {
                slope: 0.25,
                offset: 0.5,
            },
            Unary::Exp,
            Unary::Log,
            Unary::Sqrt,
            Unary::Rsqrt,
            Unary::Neg,
            Unary::Abs,
            Unary::Sin,
            Unary::Cos,
            Unary::Floor,
            Unary::Sign,
            Unary::Erf,
            Unary::Softplus,
            Unary::Mish,
        ];
        let corners = [0.0, 6.0, -1.0, 1.0, 3.0, -3.0, 2.0, -2.0, 1e9, -1e9];
        let points: Vec<f32> = (-4000..4000).map(|k| k as f32 / 97.0).chain(corners).collect();
        let ones = vec![1.0; points.len()];
        let mut bits: Option<Vec<Vec<u32>>> = None;
        for isa in Isa::available() {
            let of = |function: Unary| {
                let mut found = vec![0.0; points.len()];
                unary_gradient_f32(isa, function, &points, &ones, &mut found);
                for (&x, &f) in points.iter().zip(&found) {
                    let exact = function.derivative(x);
                    let same = f == exact || (f.is_nan() && exact.is_nan());
                    assert!(
                        same || (f - exact).abs() <= 4e-7_f32.max(4e-7 * exact.abs()),
                        "{function:?} at {x}: {f}, exactly {exact}"
                    );
                }
                found.iter().map(|f| f.to_bits()).collect::<Vec<u32>>()
            };
            let all: Vec<Vec<u32>> = functions.map(of).to_vec();
            assert!(bits.get_or_insert_with(|| all.clone()) == &all, "{isa:?}");
        }
    }
}
