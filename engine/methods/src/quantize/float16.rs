//! Half-precision weights: constants are stored as `f16` and widened by a `Dequantize` node in front of their reader.
//!
//! Arithmetic stays in 32-bit floats; the file is half the size. This is the form that TensorFlow's converter writes.

use std::collections::HashMap;

use half::f16;
use ir::ops::Dequantize;
use ir::{Constant, Graph, Node, Tensor, TensorId};

use super::QuantizeError;

/// Replaces every `f32` constant by an `f16` one behind a `Dequantize`.
///
/// # Errors
/// A weight is larger than the largest half-precision number, 65504.
pub fn float16(graph: &Graph) -> Result<Graph, QuantizeError> {
    let mut out = Graph::new(&graph.name);
    let mut map: HashMap<TensorId, TensorId> = HashMap::new();
    for (i, &input) in graph.inputs().iter().enumerate() {
        map.insert(
            input,
            out.input(&graph.tensor(input).name, graph.tensor(input).ty.clone()),
        );
        out.state(i, graph.stated(i));
    }
    for node in graph.nodes() {
        for &input in node.inputs.iter().filter(|t| !graph.inputs().contains(t)) {
            if map.contains_key(&input) {
                continue;
            }
            let tensor = graph.tensor(input);
            let new = match tensor.data.as_ref() {
                Some(Constant::F32(values)) => {
                    if let Some(v) = values.iter().find(|v| v.is_finite() && v.abs() > f16::MAX.to_f32()) {
                        return Err(QuantizeError::HalfOverflow {
                            tensor: tensor.name.clone(),
                            value: *v,
                        });
                    }
                    let halves = Constant::F16(values.map(|&v| f16::from_f32(v)).into_shared());
                    let stored = out.constant(format!("{}/half", tensor.name), halves);
                    out.add(&tensor.name, Dequantize {}, &[stored])?
                }
                _ => out.push_tensor(tensor.clone()),
            };
            map.insert(input, new);
        }
        let mut outputs = Vec::new();
        for &output in &node.outputs {
            let new = out.push_tensor(Tensor {
                data: None,
                ..graph.tensor(output).clone()
            });
            map.insert(output, new);
            outputs.push(new);
        }
        let inputs = node.inputs.iter().map(|i| map[i]).collect();
        out.push_node(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs,
        });
    }
    // An output that no node makes is an input, or a constant that stays as it is.
    let outputs = graph.outputs().iter();
    let outputs: Vec<_> = outputs
        .map(|&o| *map.entry(o).or_insert_with(|| out.push_tensor(graph.tensor(o).clone())))
        .collect();
    out.set_outputs(&outputs);
    out.verify()?;
    Ok(out)
}
