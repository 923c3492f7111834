//! Value ranges of a model's activations, as calibration finds them, and the quantization parameters made of them.

use std::collections::BTreeMap;

use ir::{ElementType, QuantParams, Scale};
use serde::{Deserialize, Serialize};

/// The narrowest step of activations. Products of narrower ones vanish, and nothing that a network computes with is so small.
pub const NARROWEST: f32 = 1e-12;
/// The widest one: beyond, something is in the range that is no activation, such as a mask.
pub const WIDEST: f32 = 1e6;

/// The least and greatest value that a tensor is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Least value.
    pub min: f32,
    /// Greatest value.
    pub max: f32,
}

impl Range {
    /// The range of some values; `None` where one is infinite or not a number. No value gives `0..0`.
    ///
    /// Sixteen lanes, so that compilers use vectors: calibration reads every activation of every sample.
    pub fn of(values: &[f32]) -> Option<Self> {
        const LANES: usize = 16;
        let Some(&first) = values.first() else {
            return Some(Range { min: 0.0, max: 0.0 });
        };
        let (mut min, mut max, mut poison) = ([first; LANES], [first; LANES], [0.0f32; LANES]);
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let v = chunk[lane];
                min[lane] = if v < min[lane] { v } else { min[lane] };
                max[lane] = if v > max[lane] { v } else { max[lane] };
                // 0 · v is 0 for a number and NaN for anything else.
                poison[lane] += 0.0 * v;
            }
        }
        for &v in rest {
            min[0] = min[0].min(v);
            max[0] = max[0].max(v);
            poison[0] += 0.0 * v;
        }
        let range = Range {
            min: min.into_iter().fold(first, f32::min),
            max: max.into_iter().fold(first, f32::max),
        };
        (poison.iter().sum::<f32>() == 0.0).then_some(range)
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn union(self, other: Range) -> Self {
        Range {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// The range, widened upwards to at least so much.
    #[must_use]
    pub fn at_least(self, width: f32) -> Self {
        Range {
            max: self.max.max(self.min + width),
            ..self
        }
    }

    /// Symmetric parameters of `element`, with zero point 0: the greatest magnitude is the highest integer.
    ///
    /// Source: `GetSymmetricQuantizationParams` in TensorFlow Lite's `quantization_utils.cc`.
    pub fn symmetric(self, element: ElementType) -> Option<QuantParams> {
        let (_, highest) = element.quantized_range()?;
        let magnitude = f64::from(self.min.abs().max(self.max.abs()));
        let magnitude = if magnitude > 0.0 { magnitude } else { 1.0 };
        let scale = Scale::new(((magnitude / f64::from(highest)) as f32).max(NARROWEST))?;
        Some(QuantParams { scale, zero_point: 0 })
    }

    /// Asymmetric parameters of `element` for this range, widened to hold 0.0, whose zero point is exact.
    ///
    /// Source: `ChooseQuantizationParams` in TensorFlow Lite's `quantization_util.h`: the zero point is computed from the
    /// end of the range where the rounding error is smaller, then rounded.
    pub fn asymmetric(self, element: ElementType) -> Option<QuantParams> {
        let (lowest, highest) = element.quantized_range()?;
        let (min, max) = (f64::from(self.min.min(0.0)), f64::from(self.max.max(0.0)));
        // A tensor that is always zero still needs a positive scale; any will do.
        let (min, max) = if max > min { (min, max) } else { (0.0, 1.0) };
        let (qmin, qmax) = (f64::from(lowest), f64::from(highest));
        let scale = Scale::new((((max - min) / (qmax - qmin)) as f32).max(NARROWEST))?;
        let exact = f64::from(scale.get());
        let from_min = qmin - min / exact;
        let from_max = qmax - max / exact;
        let min_error = qmin.abs() + (min / exact).abs();
        let max_error = qmax.abs() + (max / exact).abs();
        let zero = if min_error < max_error { from_min } else { from_max };
        Some(QuantParams {
            scale,
            zero_point: (zero.round() as i32).clamp(lowest, highest),
        })
    }
}

/// TensorRanges by tensor name, of the folded and lowered model.
pub type TensorRanges = BTreeMap<String, Range>;

#[cfg(test)]
mod tests {
    use super::*;

    fn params(min: f32, max: f32) -> (f32, i32) {
        let p = Range { min, max }.asymmetric(ElementType::I8).unwrap();
        (p.scale.get(), p.zero_point)
    }

    #[test]
    fn the_range_of_values_is_found_in_every_lane() {
        let mut values: Vec<f32> = (0..37).map(|i| i as f32).collect();
        for at in 0..37 {
            values[at] = -5.0;
            assert_eq!(Range::of(&values).unwrap().min, -5.0);
            values[at] = f32::NAN;
            assert_eq!(Range::of(&values), None);
            values[at] = f32::INFINITY;
            assert_eq!(Range::of(&values), None);
            values[at] = at as f32;
        }
        assert_eq!(Range::of(&values), Some(Range { min: 0.0, max: 36.0 }));
        assert_eq!(Range::of(&[]), Some(Range { min: 0.0, max: 0.0 }));
    }

    #[test]
    fn a_range_holds_zero_exactly() {
        assert_eq!(params(0.0, 255.0), (1.0, -128));
        assert_eq!(params(-1.0, 0.0), (1.0 / 255.0, 127));
        // Widened to hold zero.
        assert_eq!(params(2.0, 5.1), params(0.0, 5.1));
    }

    #[test]
    fn sixteen_bits_are_symmetric() {
        let of = |min, max| Range { min, max }.symmetric(ElementType::I16).unwrap();
        assert_eq!((of(-3.2767, 1.0).scale.get(), of(-3.2767, 1.0).zero_point), (0.0001, 0));
        assert_eq!(of(2.0, 32767.0).scale.get(), 1.0);
        assert_eq!(of(0.0, 0.0).scale.get(), 1.0 / 32767.0);
    }

    #[test]
    fn a_tensor_that_is_always_zero_gets_some_scale() {
        assert_eq!(params(0.0, 0.0), (1.0 / 255.0, -128));
    }
}
