//! Half-precision weights: constants are stored as `f16` and widened by a `Dequantize` node in front of their reader; and back.
//!
//! Arithmetic stays in 32-bit floats; the file is half the size. This is the form that TensorFlow's converter writes.

use std::collections::HashMap;

use half::f16;
use ir::ops::Dequantize;
use ir::{Constant, Graph, Node, Op, Tensor, TensorId};

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
                // Runtimes take the weights of a recurrent layer as they are stored.
                Some(Constant::F32(values)) if !matches!(node.op, Op::Recurrent(_)) => {
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

/// The inverse: `f16` constants behind a `Dequantize` become `f32` ones in its place, so that they can be changed.
///
/// # Errors
/// The graph is not valid.
pub fn widened(graph: &Graph) -> Result<Graph, QuantizeError> {
    let halves = |node: &Node| match (&node.op, graph.tensor(node.inputs[0]).data.as_ref()) {
        (Op::Dequantize(_), Some(Constant::F16(values))) => {
            Some(Constant::F32(values.map(|v| v.to_f32()).into_shared()))
        }
        _ => None,
    };
    let mut out = Graph::new(&graph.name);
    let mut map: HashMap<TensorId, TensorId> = HashMap::new();
    for (i, &input) in graph.inputs().iter().enumerate() {
        let tensor = graph.tensor(input);
        map.insert(input, out.input(&tensor.name, tensor.ty.clone()));
        out.state(i, graph.stated(i));
    }
    for node in graph.nodes() {
        if let Some(wide) = halves(node) {
            let id = out.constant(&graph.tensor(node.output()).name, wide);
            map.insert(node.output(), id);
            continue;
        }
        for &tensor in node.inputs.iter().chain(&node.outputs) {
            map.entry(tensor)
                .or_insert_with(|| out.push_tensor(graph.tensor(tensor).clone()));
        }
        out.push_node(Node {
            inputs: node.inputs.iter().map(|t| map[t]).collect(),
            outputs: node.outputs.iter().map(|t| map[t]).collect(),
            ..node.clone()
        });
    }
    let outputs = graph.outputs().iter();
    let outputs: Vec<_> = outputs
        .map(|&o| *map.entry(o).or_insert_with(|| out.push_tensor(graph.tensor(o).clone())))
        .collect();
    out.set_outputs(&outputs);
    out.verify()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::TensorType;
    use ir::ops::FullyConnected;

    #[test]
    fn halves_become_whole_again_under_their_names() {
        let mut graph = Graph::new("net");
        let x = graph.input("x", TensorType::f32([1, 2]));
        let w = graph.constant("w", Constant::f32([2, 2], vec![1.0, 0.1, -2.5, 3.0]).unwrap());
        let y = graph.add("y", FullyConnected::default(), &[x, w]).unwrap();
        graph.set_outputs(&[y]);
        let half = float16(&graph).unwrap();
        assert_eq!(half.nodes().len(), 2);
        let whole = widened(&half).unwrap();
        let values = whole.constant_data(whole.find("w").unwrap()).unwrap();
        assert_eq!(values.as_f32().unwrap(), [1.0, f16::from_f32(0.1).to_f32(), -2.5, 3.0]);
        assert_eq!((whole.nodes().len(), whole.parameters()), (1, 4));
        assert_eq!(widened(&whole).unwrap(), whole);
    }
}
