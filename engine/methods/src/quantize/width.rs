//! What the number of bits of activations decides: element types, scales, and which operators there are.
//!
//! Eight bits are asymmetric. Sixteen bits (TFLite's "16x8") are symmetric, with 8-bit weights and 64-bit biases; their
//! steps are so fine that ranges hardly matter. Source: TensorFlow Lite 8-bit quantization specification and its kernels.

use ir::ops::IntegerRule;
use ir::{Constant, ElementType, Op, QuantParams, Shape};
use ndarray::{Array1, ArrayD};

use super::Scheme;
use super::range::Range;

/// Bits of activations under an integer scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// `int8`.
    Bits8,
    /// `int16x8`.
    Bits16,
}

impl Width {
    /// The width of a scheme; 8 bits for schemes that leave activations alone.
    pub const fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Int16x8 => Width::Bits16,
            Scheme::Float16 | Scheme::DynamicInt8 | Scheme::Int8 => Width::Bits8,
        }
    }

    /// The element type of activations.
    pub const fn element(self) -> ElementType {
        match self {
            Width::Bits8 => ElementType::I8,
            Width::Bits16 => ElementType::I16,
        }
    }

    /// What the integer version of a tensor is called.
    pub(super) fn name(self, tensor: &str) -> String {
        match self {
            Width::Bits8 => format!("{tensor}_int8"),
            Width::Bits16 => format!("{tensor}_int16"),
        }
    }

    /// Scale and zero point for a range.
    pub(super) fn params(self, range: Range) -> Option<QuantParams> {
        match self {
            Width::Bits8 => range.asymmetric(ElementType::I8),
            Width::Bits16 => range.symmetric(ElementType::I16),
        }
    }

    /// Values as a constant.
    pub(super) fn constant(self, shape: Shape, values: &[f32], params: QuantParams) -> Option<Constant> {
        let stored = values.iter().map(|&v| params.quantize(v, self.element()));
        match self {
            Width::Bits8 => Constant::i8(shape, stored.map(|q| q as i8).collect()),
            Width::Bits16 => {
                let values = ArrayD::from_shape_vec(shape.dims(), stored.map(|q| q as i16).collect());
                Some(Constant::I16(values.ok()?.into_shared()))
            }
        }
    }

    /// A bias in steps of the accumulator.
    pub(super) fn bias(self, steps: &[f64]) -> Constant {
        match self {
            Width::Bits8 => Constant::I32(
                steps
                    .iter()
                    .map(|s| s.round() as i32)
                    .collect::<Array1<_>>()
                    .into_dyn()
                    .into_shared(),
            ),
            Width::Bits16 => Constant::I64(
                steps
                    .iter()
                    .map(|s| s.round() as i64)
                    .collect::<Array1<_>>()
                    .into_dyn()
                    .into_shared(),
            ),
        }
    }

    /// The least weight scale with which a bias fits: half of the accumulator's range for it leaves the other half to the sum of
    /// products. Of 64 bits the kernels use 48.
    pub fn least_scale(self, bias: f32, input_scale: f32) -> f32 {
        let room = match self {
            Width::Bits8 => 1_u64 << 30,
            Width::Bits16 => 1 << 46,
        };
        bias.abs() / input_scale / room as f32
    }

    /// What arithmetic of this width asks of the scales around an operator.
    pub fn rule(self, op: &Op) -> IntegerRule {
        op.integer_rule(self.element())
    }
}
