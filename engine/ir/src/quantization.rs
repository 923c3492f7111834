//! Affine quantization: `real = scale × (stored − zero point)`.
//!
//! Source: TensorFlow Lite 8-bit quantization specification.

use serde::{Deserialize, Serialize};

use crate::{Constant, ElementType};

/// The real value of one quantization step; positive and finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Scale(f32);

impl Scale {
    /// A scale, unless `value` is not a positive finite number.
    pub const fn new(value: f32) -> Option<Self> {
        if value.is_finite() && value > 0.0 {
            Some(Scale(value))
        } else {
            None
        }
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
    /// So many neighbours along `axis` share a pair, and every index of the other dimensions has pairs of its own: the scales are a
    /// tensor of the same rank in row-major order ([`Quantization::scale_dims`]), as in `DequantizeLinear` of ONNX. For constants only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<usize>,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: Scale, zero_point: i32) -> Self {
        Quantization {
            scales: vec![scale],
            zero_points: vec![zero_point],
            axis: None,
            block: None,
        }
    }

    /// Symmetric (zero point 0) scales along a dimension.
    pub fn per_axis(scales: Vec<Scale>, axis: usize) -> Self {
        Quantization {
            zero_points: vec![0; scales.len()],
            scales,
            axis: Some(axis),
            block: None,
        }
    }

    /// Symmetric scales for blocks of neighbours along a dimension.
    pub fn per_block(scales: Vec<Scale>, axis: usize, block: usize) -> Self {
        Quantization {
            block: Some(block),
            ..Quantization::per_axis(scales, axis)
        }
    }

    /// The dimensions of the scales of a tensor with these dimensions: none, one, or as many as it has. `None` where they do not fit.
    pub fn scale_dims(&self, dims: &[usize]) -> Option<Vec<usize>> {
        match (self.axis, self.block) {
            (None, None) => Some(Vec::new()),
            (Some(axis), None) => Some(vec![*dims.get(axis)?]),
            (Some(axis), Some(block)) if block > 0 => {
                let mut dims = dims.to_vec();
                let extent = dims.get_mut(axis)?;
                *extent = extent.div_ceil(block);
                Some(dims)
            }
            _ => None,
        }
    }

    /// The pair for element `i`, in row-major order, of a tensor with these dimensions.
    pub fn of_element(&self, dims: &[usize], i: usize) -> Option<QuantParams> {
        let index = match self.axis {
            None => 0,
            Some(axis) => {
                let extent = *dims.get(axis)?;
                let inner: usize = dims[axis + 1..].iter().product();
                let (outer, along, rest) = (i / inner / extent, i / inner % extent, i % inner);
                match self.block {
                    None => along,
                    Some(block) => (outer * extent.div_ceil(block) + along / block) * inner + rest,
                }
            }
        };
        Some(QuantParams {
            scale: *self.scales.get(index)?,
            zero_point: *self.zero_points.get(index)?,
        })
    }

    /// The real numbers that stored integers mean; `None` for what is no integers, or more of them than there are scales for.
    pub fn real(&self, stored: &Constant) -> Option<Constant> {
        let integers: Vec<i64> = match stored {
            Constant::I8(values) => values.iter().map(|&q| q.into()).collect(),
            Constant::U8(values) => values.iter().map(|&q| q.into()).collect(),
            Constant::I16(values) => values.iter().map(|&q| q.into()).collect(),
            Constant::I32(values) => values.iter().map(|&q| q.into()).collect(),
            Constant::I64(values) => values.iter().copied().collect(),
            Constant::F32(_) | Constant::F16(_) | Constant::Bool(_) => return None,
        };
        let dims = stored.dims();
        let number = |(i, q): (usize, i64)| {
            let QuantParams { scale, zero_point } = self.of_element(dims, i)?;
            Some((f64::from(scale.get()) * (q - i64::from(zero_point)) as f64) as f32)
        };
        let numbers: Option<Vec<f32>> = integers.into_iter().enumerate().map(number).collect();
        Constant::f32(dims, numbers?)
    }

    /// The quantization of a tensor of `dims` whose dimensions are permuted: dimension `i` of the result was dimension `perm[i]`.
    #[must_use]
    pub fn permuted(&self, dims: &[usize], perm: &[usize]) -> Self {
        let mut permuted = self.clone();
        let axis = |axis: usize| perm.iter().position(|&p| p == axis).unwrap_or(axis);
        permuted.axis = self.axis.map(axis);
        let numbers = self.block.and_then(|_| {
            let numbers = (0..i32::try_from(self.scales.len()).ok()?).collect();
            let numbers = Constant::i32(self.scale_dims(dims)?, numbers)?.permuted(perm)?;
            numbers.as_i32().map(<[i32]>::to_vec)
        });
        if let Some(numbers) = numbers {
            let order = |i: &i32| *i as usize;
            permuted.scales = numbers.iter().map(|i| self.scales[order(i)]).collect();
            permuted.zero_points = numbers.iter().map(|i| self.zero_points[order(i)]).collect();
        }
        permuted
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
    /// Two rows of six in blocks of two: the scales are 1 to 6.
    fn blocks() -> Quantization {
        let scales = (1..=6).filter_map(|i| Scale::new(i as f32)).collect();
        Quantization::per_block(scales, 1, 2)
    }

    #[test]
    fn neighbours_of_a_block_share_a_scale() {
        let scale = |i: usize| blocks().of_element(&[2, 6], i).unwrap().scale.get();
        let all: Vec<f32> = (0..12).map(scale).collect();
        assert_eq!(all, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 6.0]);
        assert_eq!(blocks().scale_dims(&[2, 6]), Some(vec![2, 3]));
        // The last block may be shorter.
        assert_eq!(blocks().scale_dims(&[2, 5]), Some(vec![2, 3]));
        assert_eq!(blocks().scale_dims(&[6]), None);
    }

    #[test]
    fn blocks_turn_with_their_tensor() {
        let turned = blocks().permuted(&[2, 6], &[1, 0]);
        assert_eq!(turned.axis, Some(0));
        for i in 0..6 {
            for j in 0..2 {
                let [here, there] = [
                    turned.of_element(&[6, 2], i * 2 + j),
                    blocks().of_element(&[2, 6], j * 6 + i),
                ];
                assert_eq!(here, there);
            }
        }
    }
}
