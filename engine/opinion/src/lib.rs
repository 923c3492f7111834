//! An independent second opinion: tract, another team's engine, runs an ONNX file on floats.
//!
//! Nothing of this program takes part, so that a misreading shared by our reader, writer and runtime shows. It is a crate of its own
//! because tract takes minutes to build, and is no truth about integers: it has no integer convolution for quantized ONNX files.

use std::io::Cursor;

use tract_onnx::prelude::*;

/// Why tract gave no opinion.
#[derive(Debug, thiserror::Error)]
#[error("tract: {0}")]
pub struct OpinionError(String);

impl From<TractError> for OpinionError {
    fn from(error: TractError) -> Self {
        // The outermost context and the cause; between them are places in tract's own code.
        let cause = error.root_cause().to_string();
        let outer = error.to_string();
        OpinionError(if outer == cause {
            outer
        } else {
            format!("{outer}: {cause}")
        })
    }
}

/// A tensor of floats: dimensions and values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Floats {
    /// Dimensions, as the file states them.
    pub dims: Vec<usize>,
    /// As many values as the dimensions hold.
    pub values: Vec<f32>,
}

/// An ONNX file made ready to run.
pub struct Opinion {
    model: Arc<TypedRunnableModel>,
}

impl Opinion {
    /// Prepares a file for inputs of these dimensions, in the file's order; open dimensions get theirs.
    ///
    /// # Errors
    /// Bytes that are no ONNX file, and operators that tract does not have.
    pub fn new(file: &[u8], inputs: &[Vec<usize>]) -> Result<Self, OpinionError> {
        let mut model = tract_onnx::onnx().model_for_read(&mut Cursor::new(file))?;
        for (i, dims) in inputs.iter().enumerate() {
            model = model.with_input_fact(i, f32::fact(dims).into())?;
        }
        Ok(Opinion {
            model: model.into_optimized()?.into_runnable()?,
        })
    }

    /// Runs the file once.
    ///
    /// # Errors
    /// Inputs that do not fit, outputs that are no floats.
    pub fn run(&self, inputs: &[Floats]) -> Result<Vec<Floats>, OpinionError> {
        let tensors: TractResult<TVec<TValue>> = inputs
            .iter()
            .map(|input| Ok(Tensor::from_shape(&input.dims, &input.values)?.into()))
            .collect();
        let outputs = self.model.run(tensors?)?;
        let floats = |value: &TValue| -> Result<Floats, OpinionError> {
            let value = value.cast_to::<f32>()?;
            Ok(Floats {
                dims: value.shape().to_vec(),
                values: value.to_plain_array_view::<f32>()?.iter().copied().collect(),
            })
        };
        outputs.iter().map(floats).collect()
    }
}
