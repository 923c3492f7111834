//! Proof of effect: the quantized graph is read again and compared with what was asked for.

use std::collections::HashSet;

use ir::{Constant, ElementType, Graph, Node, Op, Tensor, TensorId};

use super::columns;
use super::grid::{Plan, WeightType};
use super::width::Width;

/// One thing that was asked for, and what was found in the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The node concerned.
    pub layer: String,
    /// The role of its tensor: `weights`, `output`.
    pub tensor: &'static str,
    /// What was asked for: `i8`.
    pub requested: String,
    /// What is there: `i8`, `f32`.
    pub actual: String,
    /// Whether the request took effect here.
    pub took_effect: bool,
    /// Why not, or how: `16 scales, one a channel`.
    pub reason: Option<String>,
}

/// Checks the stored type of all weights of at least `min_elements` elements; smaller ones are reported as left alone.
pub fn stored_as(graph: &Graph, wanted: ElementType, min_elements: usize, plan: &Plan) -> Vec<Effect> {
    let mut rows = Vec::new();
    for node in graph.nodes().iter().filter(|n| n.op.weight_axis().is_some()) {
        let stored = stored(graph, node.inputs[1]);
        let small = stored.ty.shape.elements() < min_elements;
        let (wanted, ruled) = match plan.kind(&node.name) {
            WeightType::Float => (ElementType::F32, true),
            WeightType::Int8 | WeightType::Int4 => (wanted, false),
        };
        let reached = stored.ty.element == wanted;
        rows.push(Effect {
            layer: node.name.clone(),
            tensor: "weights",
            requested: if small { "f32".into() } else { wanted.to_string() },
            actual: stored.ty.element.to_string(),
            took_effect: reached || small,
            reason: match (reached, small) {
                (true, _) if ruled => Some("left float by a rule".into()),
                (true, _) => granularity(stored, plan.kind(&node.name)),
                (false, true) => Some(format!(
                    "{} elements, fewer than {min_elements}",
                    stored.ty.shape.elements()
                )),
                (false, false) => Some("its weights are computed, or read by another kind of node too".into()),
            },
        });
    }
    rows
}

/// Whether a tensor holds integers that mean themselves: shapes, indices.
fn counts(graph: &Graph, id: TensorId) -> bool {
    let tensor = graph.tensor(id);
    !tensor.ty.element.is_float() && !tensor.is_quantized()
}

/// Checks that every computing node of a graph works on integers of `width`.
pub fn integer(graph: &Graph, width: Width, plan: &Plan) -> Vec<Effect> {
    let mut rows = Vec::new();
    let before_the_edge = match width {
        Width::Bits8 => columns::brought_to_one_scale(graph),
        Width::Bits16 => HashSet::new(),
    };
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        if matches!(node.op, Op::Quantize(_) | Op::Dequantize(_) | Op::Cast(_)) || counts(graph, node.output()) {
            continue;
        }
        if before_the_edge.contains(&id) {
            rows.push(Effect {
                layer: node.name.clone(),
                tensor: "output",
                requested: "f32".into(),
                actual: graph.tensor(node.output()).ty.element.to_string(),
                took_effect: true,
                reason: Some("brings columns that share no scale to one, before the quantization".into()),
            });
            continue;
        }
        let output = graph.tensor(node.output());
        let reached = output.is_quantized() && output.ty.element == width.element();
        if node.op.weight_axis().is_some() && plan.kind(&node.name) == WeightType::Float {
            rows.push(Effect {
                layer: node.name.clone(),
                tensor: "weights",
                requested: "f32".into(),
                actual: graph.tensor(node.inputs[1]).ty.element.to_string(),
                took_effect: !reached,
                reason: Some("left float by a rule".into()),
            });
            continue;
        }
        rows.push(Effect {
            layer: node.name.clone(),
            tensor: "output",
            requested: width.element().to_string(),
            actual: output.ty.element.to_string(),
            took_effect: reached,
            reason: if reached {
                scale_of(output)
            } else {
                Some(why_float(node, width))
            },
        });
        if node.op.weight_axis().is_some() && reached {
            let weights = graph.tensor(node.inputs[1]);
            rows.push(Effect {
                layer: node.name.clone(),
                tensor: "weights",
                requested: "i8".into(),
                actual: weights.ty.element.to_string(),
                took_effect: weights.ty.element == ElementType::I8,
                reason: granularity(weights, plan.kind(&node.name)),
            });
        }
    }
    rows
}

/// The constant that a node reads, through the `Dequantize` that widens half-precision weights.
fn stored(graph: &Graph, id: TensorId) -> &Tensor {
    let through = graph
        .producer(id)
        .map(|p| graph.node(p))
        .filter(|n| matches!(n.op, Op::Dequantize(_)));
    graph.tensor(through.map_or(id, |n| n.inputs[0]))
}

fn granularity(tensor: &Tensor, kind: WeightType) -> Option<String> {
    let quantization = tensor.quantization.as_ref()?;
    let data = tensor.data.as_ref()?;
    let distinct = distinct_values(data)?;
    let scales = match quantization.axis {
        Some(_) if quantization.block.is_some() => {
            let block = quantization.block.unwrap_or(0);
            format!(
                "{} scales, one for {block} weights; computed in floats",
                quantization.scales.len()
            )
        }
        Some(_) => format!("{} scales, one a channel", quantization.scales.len()),
        None => "one scale".into(),
    };
    let zeros = data.as_i8()?.iter().filter(|&&v| v == 0).count();
    let zeros = 100.0 * zeros as f64 / data.len().max(1) as f64;
    let bits = if kind == WeightType::Int4 {
        "4-bit values, one a byte; "
    } else {
        ""
    };
    Some(format!(
        "{bits}{scales}; {distinct} distinct values, {zeros:.1} % zeros"
    ))
}

fn distinct_values(data: &Constant) -> Option<usize> {
    let mut seen = [false; 256];
    data.as_i8()?.iter().for_each(|&v| seen[usize::from(v as u8)] = true);
    Some(seen.iter().filter(|&&s| s).count())
}

fn scale_of(tensor: &Tensor) -> Option<String> {
    let whole = tensor.quantization.as_ref()?.whole()?;
    Some(format!(
        "scale {:e}, zero point {}",
        whole.scale.get(),
        whole.zero_point
    ))
}

fn why_float(node: &Node, width: Width) -> String {
    let reason = width
        .rule(&node.op)
        .refused()
        .err()
        .unwrap_or("its inputs are not float activations");
    format!("{}: {reason}", node.op.name())
}
