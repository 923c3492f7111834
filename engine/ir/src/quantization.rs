//! Affine quantization: `real = scale × (stored − zero point)`.
//!
//! Source: TensorFlow Lite 8-bit quantization specification.

use serde::{Deserialize, Serialize};

use crate::ElementType;

/// The real value of one quantization step; positive and finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Scale(f32);

impl Scale {
    /// A scale, unless `value` is not a positive finite number.
    pub fn new(value: f32) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Scale(value))
    }

    /// The number.
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Scale {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = f32::deserialize(d)?;
        Scale::new(value)
            .ok_or_else(|| serde::de::Error::custom(format!("scale {value} is not a positive finite number")))
    }
}

/// Scale and zero point of a whole tensor or of one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// The real value of one step.
    pub scale: Scale,
    /// The stored value that means 0.0.
    pub zero_point: i32,
}

impl QuantParams {
    /// The stored value nearest to `real` (ties away from zero, as `std::round` in LiteRT), clamped to `element`'s range.
    ///
    /// A type without a quantized range is not clamped.
    pub fn quantize(self, real: f32, element: ElementType) -> i32 {
        let (lo, hi) = element.quantized_range().unwrap_or((i32::MIN, i32::MAX));
        let q = (real / self.scale.0).round() + self.zero_point as f32;
        (q.clamp(lo as f32, hi as f32) as i32).clamp(lo, hi)
    }

    /// The real value that `stored` means.
    pub fn dequantize(self, stored: i32) -> f32 {
        self.scale.0 * (stored.wrapping_sub(self.zero_point)) as f32
    }
}

/// How the stored integers of a tensor map to real numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quantization {
    /// One scale, or one per index along `axis`.
    pub scales: Vec<Scale>,
    /// As many as there are scales.
    pub zero_points: Vec<i32>,
    /// The dimension that the scales run along; `None` when one pair serves the whole tensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: Scale, zero_point: i32) -> Self {
        Quantization {
            scales: vec![scale],
            zero_points: vec![zero_point],
            axis: None,
        }
    }

    /// Symmetric (zero point 0) scales along a dimension.
    pub fn per_axis(scales: Vec<Scale>, axis: usize) -> Self {
        Quantization {
            zero_points: vec![0; scales.len()],
            scales,
            axis: Some(axis),
        }
    }

    /// Scale and zero point, when one pair serves the whole tensor.
    pub fn whole(&self) -> Option<QuantParams> {
        match (self.axis, self.scales.as_slice(), self.zero_points.as_slice()) {
            (None, &[scale], &[zero_point]) => Some(QuantParams { scale, zero_point }),
            _ => None,
        }
    }

    /// The pair for index `i` along the axis (or the only pair).
    pub fn channel(&self, i: usize) -> Option<QuantParams> {
        let i = if self.axis.is_some() { i } else { 0 };
        Some(QuantParams {
            scale: *self.scales.get(i)?,
            zero_point: *self.zero_points.get(i)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_half_away_from_zero_and_saturate() {
        let q = QuantParams {
            scale: Scale::new(0.5).unwrap(),
            zero_point: -1,
        };
        assert_eq!(q.quantize(0.25, ElementType::I8), 0);
        assert_eq!(q.quantize(-0.25, ElementType::I8), -2);
        assert_eq!(q.quantize(1e9, ElementType::I8), 127);
        assert_eq!(q.quantize(f32::NEG_INFINITY, ElementType::U8), 0);
        assert_eq!(q.dequantize(3), 2.0);
    }

    #[test]
    fn a_scale_is_positive_and_finite() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Scale::new(bad).is_none());
        }
    }
}
