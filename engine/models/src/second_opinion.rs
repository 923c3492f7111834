//! A model as another engine sees it: written to ONNX and run by tract, none of our kernels taking part.

use std::borrow::Cow;

use ir::ops::Identity;
use ir::{ElementType, Graph, Op, TensorType};
use opinion::{Floats, Opinion};

use crate::ModelError;
use crate::files::FileOptions;
use crate::write::onnx;

/// A model whose integers are replaced by the real numbers that they mean, computed in floats; a float model as it is.
///
/// Weights and biases are what the integers say; activations are not rounded, nor clipped to their ranges.
///
/// # Errors
/// Integers that mean no real numbers.
pub fn in_floats(model: &Graph) -> Result<Cow<'_, Graph>, ModelError> {
    if !model.tensors().iter().any(ir::Tensor::is_quantized) {
        return Ok(Cow::Borrowed(model));
    }
    let mut floats = model.clone();
    for id in model.tensor_ids() {
        let tensor = floats.tensor_mut(id);
        let Some(quantization) = tensor.quantization.take_if(|_| !tensor.ty.element.is_float()) else {
            continue;
        };
        tensor.ty = TensorType::new(ElementType::F32, tensor.ty.shape.clone());
        if let Some(stored) = &tensor.data {
            let numbers = quantization.real(stored);
            let problem = || ModelError::Refused(format!("constant `{}` has no real numbers", tensor.name));
            tensor.data = Some(numbers.ok_or_else(problem)?);
        }
    }
    for id in model.node_ids() {
        let node = model.node(id);
        let float = |tensor: &ir::TensorId| floats.tensor(*tensor).ty.element == ElementType::F32;
        let border = matches!(node.op, Op::Quantize(_) | Op::Dequantize(_));
        if border && node.inputs.iter().chain(&node.outputs).all(float) {
            floats.node_mut(id).op = Identity {}.into();
        }
    }
    ir::passes::fold(&mut floats)?;
    floats.verify()?;
    Ok(Cow::Owned(floats))
}

/// A float model in tract.
pub struct SecondOpinion {
    opinion: Opinion,
    /// Those of each input.
    dims: Vec<Vec<usize>>,
}

impl SecondOpinion {
    /// Writes and loads a model of float inputs.
    ///
    /// # Errors
    /// A model that cannot be written to ONNX, has inputs that are no floats, or an operator that tract does not have.
    pub fn new(model: &Graph) -> Result<Self, ModelError> {
        let mut borders = model.inputs().iter().chain(model.outputs());
        if borders.any(|&id| model.tensor(id).ty.element != ElementType::F32) {
            return Err(ModelError::Refused(
                "runtime: tract runs models with float inputs and outputs".into(),
            ));
        }
        // Backwards from a state, tract 0.23 gives other numbers than ONNX Runtime, LiteRT and Keras, which agree.
        if let Some(node) = model.nodes().iter().find(|node| matches!(node.op, Op::Recurrent(_))) {
            return Err(ModelError::Refused(format!(
                "runtime: tract is not asked about recurrent layers such as `{}`; compare with another model instead",
                node.name
            )));
        }
        let file = onnx(model, FileOptions::default())?;
        let dims = |&id: &ir::TensorId| model.tensor(id).ty.shape.dims().to_vec();
        let dims: Vec<Vec<usize>> = model.inputs().iter().map(dims).collect();
        let stated: Vec<Vec<usize>> = dims.iter().map(|dims| channels_first(dims)).collect();
        Ok(SecondOpinion {
            opinion: Opinion::new(&file, &stated)?,
            dims,
        })
    }

    /// The first output for one sample, given input by input, in the order that the graph has.
    pub fn run(&self, sample: &[Vec<f32>]) -> Result<Vec<f32>, ModelError> {
        let input = |(dims, values): (&Vec<usize>, &Vec<f32>)| Floats {
            values: match *dims.as_slice() {
                [_, h, w, c] => transposed(values, h * w, c),
                _ => values.clone(),
            },
            dims: channels_first(dims),
        };
        let inputs: Vec<Floats> = self.dims.iter().zip(sample).map(input).collect();
        let mut outputs = self.opinion.run(&inputs)?;
        let Floats { dims, values } = outputs.swap_remove(0);
        Ok(match *dims.as_slice() {
            [_, c, h, w] => transposed(&values, c, h * w),
            _ => values,
        })
    }
}

fn channels_first(dims: &[usize]) -> Vec<usize> {
    match *dims {
        [n, h, w, c] => vec![n, c, h, w],
        _ => dims.to_vec(),
    }
}

/// A matrix of `rows` rows, its columns first.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| values[r * columns + c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use ir::{Op, TensorType};
    use runtime::{Executable, Options, Value};

    use super::*;

    /// What tract 0.23 does not have or reads otherwise, by name of our operator.
    const APART: [&str; 1] = ["recurrent"];

    fn ours(graph: &Graph, sample: &[f32]) -> Vec<f32> {
        let executable = Executable::new(graph, Options::default()).unwrap();
        let (mut workspace, mut input) = (executable.workspace(), executable.input_buffers());
        input.f32(0).copy_from_slice(sample);
        executable.run(&mut workspace, &input.values()).unwrap();
        let Value::F32(values) = executable.output(&workspace, 0) else {
            panic!("floats")
        };
        values.to_vec()
    }

    #[test]
    fn tract_agrees_on_every_float_operator_of_one_input() {
        let mut compared = 0;
        for example in Op::examples() {
            let float = example
                .activations
                .iter()
                .chain(&example.constants)
                .all(|t| t.element == ElementType::F32);
            let integers = matches!(
                example.op,
                Op::Custom(_) | Op::Quantize(_) | Op::Cast(_) | Op::ArgMax(_)
            );
            if example.activations.len() != 1 || !float || integers {
                continue;
            }
            let graph = example.graph().unwrap();
            let TensorType { shape, .. } = &graph.tensor(graph.inputs()[0]).ty;
            // Positive, for roots and logarithms.
            let sample: Vec<f32> = (0..shape.elements())
                .map(|i| 0.1 + (i * 7 % 23) as f32 / 10.0)
                .collect();
            let second = match SecondOpinion::new(&graph).and_then(|second| second.run(std::slice::from_ref(&sample))) {
                Ok(second) => second,
                Err(_) if APART.contains(&example.op.name()) => continue,
                Err(error) => panic!("{example:?}: {error}"),
            };
            let first = ours(&graph, &sample);
            assert_eq!(first.len(), second.len(), "{example:?}");
            let worst = first
                .iter()
                .zip(&second)
                .map(|(a, b)| (a - b).abs() / a.abs().max(1.0))
                .fold(0.0, f32::max);
            assert!(worst < 1e-5, "{example:?}: {worst} apart\n{first:?}\n{second:?}");
            compared += 1;
        }
        assert!(compared > 60, "{compared}");
    }
}
