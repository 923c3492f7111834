//! Image resizing.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, nhwc};
use crate::{InferError, TensorType};

/// How an output pixel is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest input pixel.
    Nearest,
    /// A weighted mean of four.
    Bilinear,
}

/// Which input position an output pixel looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// `(x + ½)·in/out − ½`: pixel centres meet.
    HalfPixel,
    /// `x·(in − 1)/(out − 1)`: corners meet.
    AlignCorners,
    /// `x·in/out`.
    Asymmetric,
}

/// Rows and columns resampled to `size`. Specification: TFLite `RESIZE_BILINEAR`, `RESIZE_NEAREST_NEIGHBOR`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// New rows and columns.
    pub size: [usize; 2],
    /// How a pixel is made.
    pub interpolation: Interpolation,
    /// Where it looks.
    pub coordinates: Coordinates,
}

impl Operator for Resize {
    const NAME: &'static str = "resize";
    const READS: Reads = Reads::Stated;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 1..=1, "one tensor")?;
        let [n, h, w, c] = nhwc("input", inputs[0])?;
        if self.size.contains(&0) || h == 0 || w == 0 {
            return Err(InferError::Attribute {
                attribute: "size",
                problem: format!("cannot resize {} to {:?}", inputs[0], self.size),
            });
        }
        Ok(vec![TensorType::new(
            inputs[0].element,
            [n, self.size[0], self.size[1], c],
        )])
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::both(IntegerRule::Same)
    }

    fn examples() -> Vec<Example> {
        let make = |interpolation, coordinates| {
            Example::new(
                Resize {
                    size: [6, 5],
                    interpolation,
                    coordinates,
                },
                &[&[1, 3, 4, 2]],
                &[],
            )
        };
        vec![
            make(Interpolation::Nearest, Coordinates::HalfPixel),
            make(Interpolation::Nearest, Coordinates::Asymmetric),
            make(Interpolation::Bilinear, Coordinates::HalfPixel),
            make(Interpolation::Bilinear, Coordinates::AlignCorners),
        ]
    }
}
