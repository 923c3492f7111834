//! Activations that are fused into the operator before them: a clamp of its output.

use super::{Integer, Quantization};

/// A fused activation, TFLite's `ActivationFunctionType` as far as it is a clamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// The identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, −1), 1)`.
    ReluN1To1,
}

/// Real bounds of an output, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClampF32 {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
}

/// Integer bounds of an output, both inclusive and within its element type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClampInt {
    /// Smallest value.
    pub min: i32,
    /// Largest value.
    pub max: i32,
}

impl Activation {
    /// The bounds in real numbers. Source: `CalculateActivationRange` (`kernels/kernel_util.h`), where "unbounded" is
    /// the largest finite number: infinities are clamped, too.
    pub fn clamp_f32(self) -> ClampF32 {
        let (min, max) = match self {
            Self::None => (f32::MIN, f32::MAX),
            Self::Relu => (0.0, f32::MAX),
            Self::Relu6 => (0.0, 6.0),
            Self::ReluN1To1 => (-1.0, 1.0),
        };
        ClampF32 { min, max }
    }

    /// The bounds in the integers of an output quantized as `output`. Source: `CalculateActivationRangeQuantized`
    /// (`kernels/kernel_util.cc`).
    ///
    /// A bound outside the integers that `i8` has costs nothing: the range of `i8` is the tighter clamp.
    pub fn clamp_i8(self, output: Quantization) -> ClampInt {
        self.clamp_within(ClampInt::I8, output)
    }

    /// The same in the integers of a 16-bit output.
    pub fn clamp_i16(self, output: Quantization) -> ClampInt {
        self.clamp_within(ClampInt::I16, output)
    }

    fn clamp_within(self, range: ClampInt, output: Quantization) -> ClampInt {
        // Division and rounding in f32 as in the source: in f64 a bound near a tie may fall on the other side.
        let quantize = |real: f32| output.zero_point.saturating_add((real / output.scale).round() as i32);
        let (lowest, highest) = (range.min, range.max);
        let (min, max) = match self {
            Self::None => (lowest, highest),
            Self::Relu => (quantize(0.0).max(lowest), highest),
            Self::Relu6 => (quantize(0.0).max(lowest), quantize(6.0).min(highest)),
            Self::ReluN1To1 => (quantize(-1.0).max(lowest), quantize(1.0).min(highest)),
        };
        ClampInt { min, max }
    }
}

impl ClampF32 {
    /// `x` within the bounds; not-a-number stays what it is.
    pub fn apply(self, x: f32) -> f32 {
        x.clamp(self.min, self.max)
    }
}

impl ClampInt {
    /// The whole range of `i8`.
    pub const I8: Self = Self {
        min: i8::MIN as i32,
        max: i8::MAX as i32,
    };

    /// The whole range of `i16`.
    pub const I16: Self = Self {
        min: i16::MIN as i32,
        max: i16::MAX as i32,
    };

    /// `x` within the bounds. The upper bound wins where the two cross, as in the source.
    pub fn apply<T: Integer>(self, x: i32) -> T {
        T::saturate(x.max(self.min).min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, ClampInt, Quantization};

    #[test]
    fn relu6_ends_where_six_is() {
        let clamp = Activation::Relu6.clamp_i8(Quantization::new(0.1, -100));
        assert_eq!(clamp, ClampInt { min: -100, max: -40 });
    }

    #[test]
    fn a_bound_beyond_i8_is_the_end_of_i8() {
        let clamp = Activation::Relu6.clamp_i8(Quantization::new(1e-9, 0));
        assert_eq!(clamp, ClampInt { min: 0, max: 127 });
    }

    #[test]
    fn sixteen_bits_reach_further() {
        let clamp = Activation::Relu6.clamp_i16(Quantization::new(0.001, 0));
        assert_eq!(clamp, ClampInt { min: 0, max: 6000 });
        assert_eq!(clamp.apply::<i16>(40_000), 6000);
    }

    #[test]
    fn symmetric_relu_clamps_on_both_sides() {
        let clamp = Activation::ReluN1To1.clamp_i8(Quantization::new(0.02, 5));
        assert_eq!(clamp, ClampInt { min: -45, max: 55 });
        assert_eq!(clamp.apply::<i8>(-1000), -45);
        assert_eq!(clamp.apply::<i8>(1000), 55);
    }
}
