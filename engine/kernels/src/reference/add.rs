//! Sum and difference of two tensors, with broadcasting.

use crate::quantized::{Activation, ClampF32, ClampInt, Integer, Quantization, QuantizedMultiplier};
use crate::shape::Broadcast;

/// Bits that `i8` inputs are shifted up by before they are brought to a common scale.
const LEFT_SHIFT: u32 = 20;
/// The same for `i16` inputs.
const LEFT_SHIFT_I16: u32 = 15;

/// Parameters of an integer sum or difference; made once, used for every call.
///
/// The inputs come in different units. Both are expressed in a common one, half the larger scale over 2^`left_shift`: the
/// halving makes room for the sum, and the shift keeps the fractions. (9 bits of `q − zero_point`, 20 more and the
/// sign fill the `i32`; with 16-bit inputs 15 more do.) The sum is then brought to the output's scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AddParams {
    /// Bits that both inputs are shifted up by.
    pub left_shift: u32,
    /// Zero point of the left input.
    pub a_zero_point: i32,
    /// Zero point of the right input.
    pub b_zero_point: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Left scale over twice the larger scale.
    pub a_multiplier: QuantizedMultiplier,
    /// Right scale over twice the larger scale.
    pub b_multiplier: QuantizedMultiplier,
    /// Twice the larger scale over 2^`left_shift` output scales.
    pub output_multiplier: QuantizedMultiplier,
    /// Bounds of the output: the fused activation.
    pub clamp: ClampInt,
}

impl AddParams {
    /// Source: `Prepare` in `kernels/add.cc` and `kernels/sub.cc`.
    pub fn new(a: Quantization, b: Quantization, output: Quantization, activation: Activation) -> Self {
        Self::shifted(LEFT_SHIFT, a, b, output, activation.clamp_i8(output))
    }

    /// The same for `i16`.
    pub fn new_i16(a: Quantization, b: Quantization, output: Quantization, activation: Activation) -> Self {
        Self::shifted(LEFT_SHIFT_I16, a, b, output, activation.clamp_i16(output))
    }

    fn shifted(left_shift: u32, a: Quantization, b: Quantization, output: Quantization, clamp: ClampInt) -> Self {
        let twice_larger = 2.0 * a.scale.max(b.scale);
        let real_output = f64::from(twice_larger) / f64::from((1 << left_shift) as f32 * output.scale);
        Self {
            left_shift,
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            output_zero_point: output.zero_point,
            a_multiplier: QuantizedMultiplier::from_real(f64::from(a.scale) / f64::from(twice_larger)),
            b_multiplier: QuantizedMultiplier::from_real(f64::from(b.scale) / f64::from(twice_larger)),
            output_multiplier: QuantizedMultiplier::from_real(real_output),
            clamp,
        }
    }

    /// The sum of two elements. Source: `reference_integer_ops::AddFunc` (`integer_ops/add.h`).
    pub fn add<T: Integer>(&self, a: T, b: T) -> T {
        let (a, b) = self.common(a, b);
        self.finish(a + b)
    }

    /// The difference of two elements. Source: `reference_ops::SubFunc` (`sub.h`).
    pub fn sub<T: Integer>(&self, a: T, b: T) -> T {
        let (a, b) = self.common(a, b);
        self.finish(a - b)
    }

    fn common<T: Integer>(&self, a: T, b: T) -> (i32, i32) {
        let shifted = |q: T, zero_point: i32| (Into::<i32>::into(q) - zero_point).wrapping_shl(self.left_shift);
        (
            self.a_multiplier.apply_double(shifted(a, self.a_zero_point)),
            self.b_multiplier.apply_double(shifted(b, self.b_zero_point)),
        )
    }

    fn finish<T: Integer>(&self, raw: i32) -> T {
        self.clamp.apply(
            self.output_multiplier
                .apply_double(raw)
                .saturating_add(self.output_zero_point),
        )
    }
}

/// Integer sum `a + b`.
pub fn add_i8(shape: &Broadcast, params: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    zip(shape, a, b, output, |a, b| params.add(a, b));
}

/// Integer difference `a − b`.
pub fn sub_i8(shape: &Broadcast, params: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) {
    zip(shape, a, b, output, |a, b| params.sub(a, b));
}

/// Sum of 16-bit integers. Source: `reference_ops::AddElementwise` (`add.h`).
pub fn add_i16(shape: &Broadcast, params: &AddParams, a: &[i16], b: &[i16], output: &mut [i16]) {
    zip(shape, a, b, output, |a, b| params.add(a, b));
}

/// Difference of 16-bit integers. Source: `reference_ops::SubFunc` (`sub.h`).
pub fn sub_i16(shape: &Broadcast, params: &AddParams, a: &[i16], b: &[i16], output: &mut [i16]) {
    zip(shape, a, b, output, |a, b| params.sub(a, b));
}

/// Float sum `a + b`. Source: `reference_ops::Add` (`add.h`).
pub fn add_f32(shape: &Broadcast, clamp: ClampF32, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| clamp.apply(a + b));
}

/// Float difference `a − b`. Source: `reference_ops::Sub` (`sub.h`).
pub fn sub_f32(shape: &Broadcast, clamp: ClampF32, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| clamp.apply(a - b));
}

/// `output = f(a, b)` over a broadcast.
pub(super) fn zip<T: Copy, U>(shape: &Broadcast, a: &[T], b: &[T], output: &mut [U], f: impl Fn(T, T) -> U) {
    assert_eq!(output.len(), shape.output_len(), "elements of the output");
    let mut output = output.iter_mut();
    shape.for_each(|i, j| {
        if let Some(slot) = output.next() {
            *slot = f(a[i], b[j]);
        }
    });
}
