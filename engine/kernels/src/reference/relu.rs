//! Rectifiers that stand alone: plain, leaky, and parametric. Those that are fused into another operator are its clamp.

use super::add::zip;
use crate::quantized::{Activation, ClampF32, ClampInt, Integer, Quantization, QuantizedMultiplier};
use crate::shape::Broadcast;

/// Parameters of an integer rectifier; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReluParams {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Input scale over output scale.
    pub multiplier: QuantizedMultiplier,
    /// Bounds of the output.
    pub clamp: ClampInt,
}

impl ReluParams {
    /// Source: `ReluPrepare` and `QuantizedReluX` (`kernels/activations.cc`). The factor is computed in `f32`, as
    /// there, and widened afterwards.
    pub fn new(input: Quantization, output: Quantization, activation: Activation) -> Self {
        Self::clamped(input, output, activation.clamp_i8(output))
    }

    /// The same for `i16`.
    pub fn new_i16(input: Quantization, output: Quantization, activation: Activation) -> Self {
        Self::clamped(input, output, activation.clamp_i16(output))
    }

    fn clamped(input: Quantization, output: Quantization, clamp: ClampInt) -> Self {
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            multiplier: QuantizedMultiplier::from_real(f64::from(input.scale / output.scale)),
            clamp,
        }
    }
}

/// Integer clamp to an activation's range, with requantization. Source: `reference_ops::ReluX` (`reference_ops.h`).
pub fn relu_i8(params: &ReluParams, input: &[i8], output: &mut [i8]) {
    relu(params, input, output);
}

/// Clamp of 16-bit integers to an activation's range, with requantization.
pub fn relu_i16(params: &ReluParams, input: &[i16], output: &mut [i16]) {
    relu(params, input, output);
}

fn relu<T: Integer>(params: &ReluParams, input: &[T], output: &mut [T]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        let scaled = params
            .multiplier
            .apply_double(Into::<i32>::into(q) - params.input_zero_point);
        *slot = params.clamp.apply(scaled.saturating_add(params.output_zero_point));
    }
}

/// Float clamp to an activation's range.
pub fn relu_f32(clamp: ClampF32, input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&x, slot) in input.iter().zip(output) {
        *slot = clamp.apply(x);
    }
}

/// Parameters of an integer leaky rectifier; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakyReluParams {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Input scale over output scale, for values from zero on.
    pub identity: QuantizedMultiplier,
    /// The same times the absolute slope, for values below zero.
    pub slope: QuantizedMultiplier,
    /// Whether the slope is negative; multipliers are not.
    pub negative_slope: bool,
}

impl LeakyReluParams {
    /// Source: `LeakyReluPrepare` (`kernels/activations.cc`). The factors are computed in `f32`, as there, and
    /// widened afterwards.
    pub fn new(input: Quantization, output: Quantization, alpha: f32) -> Self {
        let slope = input.scale * alpha / output.scale;
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            identity: QuantizedMultiplier::from_real(f64::from(input.scale / output.scale)),
            slope: QuantizedMultiplier::from_real(f64::from(slope.abs())),
            negative_slope: slope < 0.0,
        }
    }
}

/// Integer leaky rectifier. Source: `reference_ops::QuantizeLeakyRelu` (`leaky_relu.h`).
pub fn leaky_relu_i8(params: &LeakyReluParams, input: &[i8], output: &mut [i8]) {
    leaky_relu(params, input, output);
}

/// Leaky rectifier of 16-bit integers.
pub fn leaky_relu_i16(params: &LeakyReluParams, input: &[i16], output: &mut [i16]) {
    leaky_relu(params, input, output);
}

fn leaky_relu<T: Integer>(params: &LeakyReluParams, input: &[T], output: &mut [T]) {
    assert_eq!(input.len(), output.len(), "elements");
    for (&q, slot) in input.iter().zip(output) {
        let x = Into::<i32>::into(q) - params.input_zero_point;
        let scaled = match (x >= 0, params.negative_slope) {
            (true, _) => params.identity.apply_double(x),
            (false, false) => params.slope.apply_double(x),
            (false, true) => params.slope.apply_double(x).saturating_neg(),
        };
        *slot = T::saturate(scaled.saturating_add(params.output_zero_point));
    }
}

/// Parameters of an integer parametric rectifier; made once, used for every call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PReluParams {
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Zero point of the slopes.
    pub alpha_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Input scale over output scale, for values from zero on.
    pub identity: QuantizedMultiplier,
    /// The same times the slopes' scale, for values below zero.
    pub slope: QuantizedMultiplier,
}

impl PReluParams {
    /// Source: `PreluPrepare` (`kernels/activations.cc`). The factors are computed in `f32`, as there, and widened
    /// afterwards.
    pub fn new(input: Quantization, alpha: Quantization, output: Quantization) -> Self {
        Self {
            input_zero_point: input.zero_point,
            alpha_zero_point: alpha.zero_point,
            output_zero_point: output.zero_point,
            identity: QuantizedMultiplier::from_real(f64::from(input.scale / output.scale)),
            slope: QuantizedMultiplier::from_real(f64::from(input.scale * alpha.scale / output.scale)),
        }
    }

    /// One element and its slope.
    pub fn apply(&self, q: i8, alpha: i8) -> i8 {
        let x = i32::from(q) - self.input_zero_point;
        let scaled = if x >= 0 {
            self.identity.apply_double(x)
        } else {
            self.slope.apply_double(x * (i32::from(alpha) - self.alpha_zero_point))
        };
        ClampInt::I8.apply(scaled.saturating_add(self.output_zero_point))
    }
}

/// Integer parametric rectifier; `shape` broadcasts `alpha` over the input. Source: `reference_ops::Prelu` and
/// `BroadcastPrelu4DSlow` (`prelu.h`).
pub fn prelu_i8(shape: &Broadcast, params: &PReluParams, input: &[i8], alpha: &[i8], output: &mut [i8]) {
    zip(shape, input, alpha, output, |q, alpha| params.apply(q, alpha));
}

/// Float parametric rectifier: `x` from zero on, `alpha · x` below. Source: `ApplyPrelu` (`kernels/activations.cc`).
pub fn prelu_f32(shape: &Broadcast, input: &[f32], alpha: &[f32], output: &mut [f32]) {
    zip(
        shape,
        input,
        alpha,
        output,
        |x, alpha| if x >= 0.0 { x } else { x * alpha },
    );
}
