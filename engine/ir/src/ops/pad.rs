//! Padding as an operator of its own.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity};
use crate::{InferError, Shape, TensorType};

/// What the new elements are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// Real 0.0: the zero point of a quantized tensor.
    #[default]
    Zero,
    /// A real value.
    Value(f32),
    /// The mirror image without the edge (`abc` → `cbabcba`).
    Reflect,
    /// The mirror image with the edge (`abc` → `cbaabccba`).
    Symmetric,
}

/// `before[i]` elements before and `after[i]` after, along each dimension. Specification: TFLite `PAD`, `PADV2`, `MIRROR_PAD`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// New elements before the first, along each dimension.
    pub before: Vec<usize>,
    /// New elements after the last, along each dimension.
    pub after: Vec<usize>,
    /// What they are.
    #[serde(default)]
    pub mode: PadMode,
}

impl Operator for Pad {
    const NAME: &'static str = "pad";
    const READS: Reads = Reads::Named;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let dims = inputs[0].shape.dims();
        let fits = |limit: &dyn Fn(usize) -> usize| {
            (0..dims.len()).all(|i| self.before[i].max(self.after[i]) <= limit(dims[i]))
        };
        let ok = self.before.len() == dims.len()
            && self.after.len() == dims.len()
            && match self.mode {
                PadMode::Zero | PadMode::Value(_) => true,
                PadMode::Reflect => fits(&|d| d.saturating_sub(1)),
                PadMode::Symmetric => fits(&|d| d),
            };
        if !ok {
            let problem = format!(
                "{:?} and {:?} do not fit {} in mode {:?}",
                self.before, self.after, inputs[0], self.mode
            );
            return Err(InferError::Attribute {
                attribute: "before",
                problem,
            });
        }
        let shape = (0..dims.len())
            .map(|i| dims[i].saturating_add(self.before[i]).saturating_add(self.after[i]))
            .collect();
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape: Shape(shape),
        }])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        let spatial = |mode| Pad {
            before: vec![0, 0, 1, 0],
            after: vec![0, 1, 2, 0],
            mode,
        };
        vec![
            Example::new(spatial(PadMode::Zero), &[&[1, 3, 3, 2]], &[]),
            Example::new(spatial(PadMode::Value(-1.5)), &[&[1, 3, 3, 2]], &[]),
            Example::new(spatial(PadMode::Reflect), &[&[1, 3, 3, 2]], &[]),
            Example::new(spatial(PadMode::Symmetric), &[&[1, 3, 3, 2]], &[]),
        ]
    }
}
