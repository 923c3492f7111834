//! The functions of one number: their formulas and derivatives, over slices of `f32`, and over `i8` by table.
//!
//! Exponentials are computed in `f64` and rounded to `f32`: within half a unit in the last place whatever the
//! platform's mathematical library does, so that tables (and with them integer outputs) are the same everywhere.

mod erfc;

use crate::quantized::Quantization;
use erfc::{erf, erfc};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, −1), 1)`.
    ReluN1To1,
    /// `x` from zero on, `alpha · x` below.
    LeakyRelu {
        /// Slope for negative numbers.
        alpha: f32,
    },
    /// `1 / (1 + e^(−x))`.
    Logistic,
    /// The hyperbolic tangent.
    Tanh,
    /// `x` from zero on, `alpha · (e^x − 1)` below. Source: Clevert et al. 2015. LiteRT has `alpha` 1 alone.
    Elu {
        /// The limit for small numbers is its negative.
        alpha: f32,
    },
    /// `x · Φ(x)`, with the normal distribution function. Source: Hendrycks and Gimpel 2016; `GeluTransform`
    /// (`gelu.h`).
    Gelu,
    /// The same with `Φ` approximated by a hyperbolic tangent. Source: `GeluTransformApproximate` (`gelu.h`).
    GeluTanh,
    /// `x · logistic(x)`. Source: Ramachandran et al. 2017.
    Swish,
    /// `x · min(max(x + 3, 0), 6) / 6`. Source: `reference_ops::HardSwish` (`hard_swish.h`).
    HardSwish,
    /// `min(max(slope · x + offset, 0), 1)`. Keras has 1/6 and 1/2 (before version 3: 0.2 and 1/2), ONNX 0.2 and 1/2
    /// unless stated.
    HardSigmoid {
        /// Factor of `x`.
        slope: f32,
        /// Value at zero.
        offset: f32,
    },
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// `√x`.
    Sqrt,
    /// `1 / √x`.
    Rsqrt,
    /// `−x`.
    Neg,
    /// `|x|`.
    Abs,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The greatest whole number that is not above. Source: `reference_ops::Floor` (`floor.h`).
    Floor,
    /// The least whole number that is not below. Source: `reference_ops::Ceil` (`ceil.h`).
    Ceil,
    /// The nearest whole number, the even one of two. Source: `RoundToNearest` (`round.h`).
    Round,
    /// 1, −1 or zero.
    Sign,
    /// The error function.
    Erf,
    /// `ln(1 + e^x)`. Source: Dugas et al. 2000.
    Softplus,
    /// `x · tanh(ln(1 + e^x))`. Source: Misra 2019.
    Mish,
}

impl Unary {
    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::ReluN1To1 => x.clamp(-1.0, 1.0),
            Self::LeakyRelu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    x * alpha
                }
            }
            Self::Logistic => logistic(x),
            Self::Tanh => tanh(x),
            Self::Elu { alpha } => {
                if x < 0.0 {
                    alpha * f64::from(x).exp_m1() as f32
                } else {
                    x
                }
            }
            Self::Gelu => 0.5 * x * (erfc(f64::from(x * -std::f32::consts::FRAC_1_SQRT_2)) as f32),
            Self::GeluTanh => {
                const SQRT_2_OVER_PI: f32 = 0.797_884_6;
                0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)))
            }
            Self::Swish => x * logistic(x),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
            Self::Exp => f64::from(x).exp() as f32,
            Self::Log => f64::from(x).ln() as f32,
            Self::Sqrt => x.sqrt(),
            Self::Rsqrt => 1.0 / x.sqrt(),
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Sin => f64::from(x).sin() as f32,
            Self::Cos => f64::from(x).cos() as f32,
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Sign => sign(x),
            Self::Erf => erf(f64::from(x)) as f32,
            Self::Softplus => softplus(x.into()) as f32,
            Self::Mish => x * softplus(x.into()).tanh() as f32,
        }
    }

    /// The function's slope, computed in `f64`. Where there is none (in the corner of a clamp) it is that of the flat side, and of
    /// two slopes that on the left; so PyTorch has it.
    pub fn derivative(self, x: f32) -> f32 {
        let x = f64::from(x);
        let inside = |low: f64, high: f64| if low < x && x < high { 1.0 } else { 0.0 };
        let slope = match self {
            Self::Relu => inside(0.0, f64::INFINITY),
            Self::Relu6 => inside(0.0, 6.0),
            Self::ReluN1To1 => inside(-1.0, 1.0),
            Self::LeakyRelu { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha.into()
                }
            }
            Self::Logistic => logistic_slope(x),
            Self::Tanh => tanh_slope(x),
            Self::Elu { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    f64::from(alpha) * x.exp()
                }
            }
            Self::Gelu => normal(x) + x * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt(),
            Self::GeluTanh => {
                const CUBIC: f64 = 0.044_715;
                let factor = std::f64::consts::FRAC_2_PI.sqrt();
                let argument = factor * (x + CUBIC * x * x * x);
                let inner = factor * (1.0 + 3.0 * CUBIC * x * x);
                0.5 * (1.0 + argument.tanh() + x * tanh_slope(argument) * inner)
            }
            Self::Swish => share(x) + x * logistic_slope(x),
            Self::HardSwish if x >= 3.0 => 1.0,
            Self::HardSwish => inside(-3.0, 3.0) * (2.0 * x + 3.0) / 6.0,
            Self::HardSigmoid { slope, offset } => {
                let line = f64::from(slope) * x + f64::from(offset);
                if line > 0.0 && line < 1.0 { slope.into() } else { 0.0 }
            }
            Self::Exp => x.exp(),
            Self::Log => x.recip(),
            Self::Sqrt => 0.5 / x.sqrt(),
            Self::Rsqrt => -0.5 / (x * x.sqrt()),
            Self::Neg => -1.0,
            Self::Abs if x == 0.0 => 0.0,
            Self::Abs => x.signum(),
            Self::Sin => x.cos(),
            Self::Cos => -x.sin(),
            Self::Floor | Self::Ceil | Self::Round | Self::Sign => 0.0,
            Self::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            Self::Softplus => share(x),
            Self::Mish => softplus(x).tanh() + x * tanh_slope(softplus(x)) * share(x),
        };
        slope as f32
    }
}

/// Zero and what is no number stay as they are.
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The logistic function.
fn share(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn logistic_slope(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    e / ((1.0 + e) * (1.0 + e))
}

fn tanh_slope(x: f64) -> f64 {
    4.0 * logistic_slope(2.0 * x)
}

/// The normal distribution function.
fn normal(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + f64::from(-x).exp() as f32)
}

fn tanh(x: f32) -> f32 {
    f64::from(x).tanh() as f32
}

/// `output = function(input)`.
pub fn unary_f32(function: Unary, input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&x, slot) in input.iter().zip(output) {
        *slot = function.apply(x);
    }
}

/// A function from `i8` to `i8` as its 256 values, in the order of the input's bits as `u8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table([i8; 256]);

impl Table {
    /// The table of `function` between two quantizations. Source: `LUTPopulateInt8` (`kernels/internal/common.h`):
    /// all in `f32`, a product with the inverse of the output scale, rounded half away from zero before the zero
    /// point is added.
    ///
    /// LiteRT computes logistic, tanh, elu and gelu of `i8` in this way. It demands an output scale of 1/256 and zero
    /// point −128 of the logistic function.
    pub fn new(input: Quantization, output: Quantization, function: impl Fn(f32) -> f32) -> Self {
        let inverse = 1.0 / output.scale;
        let mut table = [0; 256];
        for q in i8::MIN..=i8::MAX {
            let x = input.scale * (i32::from(q) - input.zero_point) as f32;
            let rescaled = (function(x) * inverse).round() + output.zero_point as f32;
            table[usize::from(q as u8)] = (rescaled as i32).clamp(i32::from(i8::MIN), i32::from(i8::MAX)) as i8;
        }
        Self(table)
    }

    /// The values, in the order of the input's bits as `u8`: 0 ..= 127, then −128 ..= −1.
    pub fn values(&self) -> &[i8; 256] {
        &self.0
    }
}

/// `output = table[input]`. Source: `optimized_integer_ops::LookupTable`, which `BUILTIN_REF` uses, too.
pub fn table_i8(table: &Table, input: &[i8], output: &mut [i8]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        *slot = table.0[usize::from(q as u8)];
    }
}

#[cfg(test)]
mod tests {
    use super::Unary;

    #[test]
    fn derivatives_are_the_slopes_of_the_functions() {
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
                slope: 0.2,
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
            Unary::Ceil,
            Unary::Round,
            Unary::Sign,
            Unary::Erf,
            Unary::Softplus,
            Unary::Mish,
        ];
        // No corner is at a quarter past a half.
        let points = (-14..14).map(|k| 0.5 * k as f32 + 0.125);
        for (function, x) in functions.iter().flat_map(|f| points.clone().map(move |x| (*f, x))) {
            let step = 1.0 / 128.0;
            let between = |k: f32| function.apply(x + k * step) - function.apply(x - k * step);
            // Of the fourth order.
            let measured = (8.0 * between(1.0) - between(2.0)) / (12.0 * step);
            let slope = function.derivative(x);
            if measured.is_nan() {
                continue;
            }
            let tolerance = 2e-3 * (1.0 + measured.abs());
            assert!(
                (slope - measured).abs() <= tolerance,
                "{function:?} at {x}: {slope}, {measured}"
            );
        }
    }

    #[test]
    fn in_the_corner_of_a_clamp_the_slope_is_that_of_the_flat_side() {
        let corners = [
            (Unary::Relu, 0.0),
            (Unary::Relu6, 6.0),
            (Unary::ReluN1To1, -1.0),
            (Unary::HardSwish, -3.0),
        ];
        for (function, x) in corners {
            assert_eq!(function.derivative(x), 0.0, "{function:?}");
        }
        assert_eq!(Unary::LeakyRelu { alpha: 0.3 }.derivative(0.0), 0.3);
        assert_eq!(Unary::Logistic.derivative(-200.0), 0.0);
    }

    #[test]
    fn known_values() {
        let cases = [
            (Unary::Logistic, 0.0, 0.5),
            (Unary::Logistic, -100.0, 0.0),
            (Unary::Tanh, 20.0, 1.0),
            (Unary::Elu { alpha: 2.0 }, -100.0, -2.0),
            (Unary::Elu { alpha: 2.0 }, 3.0, 3.0),
            (Unary::Gelu, 1.0, 0.841_344_7),
            (Unary::Gelu, -1.0, -0.158_655_26),
            (Unary::GeluTanh, 1.0, 0.841_192),
            (Unary::Swish, 1.0, 0.731_058_6),
            (Unary::HardSwish, -3.0, 0.0),
            (Unary::HardSwish, 1.0, 4.0 / 6.0),
            (
                Unary::HardSigmoid {
                    slope: 0.2,
                    offset: 0.5,
                },
                1.0,
                0.7,
            ),
            (
                Unary::HardSigmoid {
                    slope: 0.2,
                    offset: 0.5,
                },
                -3.0,
                0.0,
            ),
            (Unary::Exp, 1.0, std::f32::consts::E),
            (Unary::Log, 0.5, -std::f32::consts::LN_2),
            (Unary::Sqrt, 6.25, 2.5),
            (Unary::Rsqrt, 6.25, 0.4),
            (Unary::Neg, -0.5, 0.5),
            (Unary::Abs, -0.5, 0.5),
            (Unary::Sin, 1.0, 0.841_470_96),
            (Unary::Cos, 1.0, 0.540_302_3),
            (Unary::Floor, -0.5, -1.0),
            (Unary::Ceil, 1.25, 2.0),
            (Unary::Round, 2.5, 2.0),
            (Unary::Round, -1.5, -2.0),
            (Unary::Sign, -0.25, -1.0),
            (Unary::Sign, 0.0, 0.0),
            (Unary::Erf, 0.5, 0.520_499_9),
            (Unary::Softplus, 1.0, 1.313_261_7),
            (Unary::Softplus, 200.0, 200.0),
            (Unary::Mish, 1.0, 0.865_098_4),
            (Unary::Mish, -1.0, -0.303_401_47),
        ];
        for (function, x, expected) in cases {
            let y: f32 = function.apply(x);
            assert!((y - expected).abs() <= 1e-6, "{function:?} of {x} is {y}");
        }
    }
}
