//! Dequantize, compute in floats, quantize: where an integer operator does the same, it takes their place.
//!
//! A quantized network in ONNX is a float network with `QuantizeLinear` and `DequantizeLinear` around its operators; which
//! integer arithmetic runs it is the runtime's business. Here it becomes the integer graph of the IR. An operator stays in floats
//! where a tensor around it is not quantized, or where the IR's integer operator dictates other scales than the file has.

use std::collections::HashMap;

use ir::ops::{Activation, Dequantize, Function, IntegerRule, Quantize};
use ir::{Constant, ElementType, Graph, GraphError, Op, QuantParams, Quantization, Scale, Tensor, TensorId};

/// Who makes and who reads each tensor, by position of nodes.
struct Links {
    producer: HashMap<TensorId, usize>,
    readers: HashMap<TensorId, Vec<usize>>,
}

impl Links {
    fn of(graph: &Graph) -> Self {
        let mut links = Links {
            producer: HashMap::new(),
            readers: HashMap::new(),
        };
        for (i, node) in graph.nodes().iter().enumerate() {
            links.producer.extend(node.outputs.iter().map(|&o| (o, i)));
            for &input in &node.inputs {
                let readers = links.readers.entry(input).or_default();
                if readers.last() != Some(&i) {
                    readers.push(i);
                }
            }
        }
        links
    }
}

/// A replacement of one operator and the clamp behind it.
struct Replacement {
    node: usize,
    op: Op,
    inputs: Vec<Input>,
    /// The integer tensor that the operator makes from now on.
    output: TensorId,
    /// Same-scale operators compute in the scale of this tensor, which is converted to that of `output`.
    scale_of: Option<TensorId>,
}

enum Input {
    /// An integer tensor.
    Stored(TensorId),
    /// An integer tensor in another scale than the operator computes in.
    Rescaled(TensorId, Quantization),
    /// A bias that has to be made.
    Bias(Constant, Quantization, String),
}

/// Makes integer operators wherever possible; what stays in floats is plain to see in the graph.
pub(super) fn fuse(graph: &mut Graph) -> Result<(), GraphError> {
    if !graph.nodes().iter().any(|n| matches!(n.op, Op::Dequantize(_))) {
        return Ok(());
    }
    graph.normalize()?;
    drop_round_trips(graph);
    move_before_dequantizing(graph);
    drop_round_trips(graph);
    let links = Links::of(graph);
    let found: Vec<Replacement> = (0..graph.nodes().len())
        .filter_map(|i| replacement(graph, &links, i))
        .collect();
    for found in found {
        apply(graph, &links, found);
    }
    Ok(())
}

/// `quantize(dequantize(x))` in the same scale is `x`, and so is `quantize(x)` of integers in it.
fn drop_round_trips(graph: &mut Graph) {
    let links = Links::of(graph);
    let mut same: HashMap<TensorId, TensorId> = HashMap::new();
    for node in graph.nodes() {
        let Op::Quantize(_) = node.op else { continue };
        let stored = source(graph, &links, node.inputs[0]).unwrap_or(node.inputs[0]);
        let (from, to) = (graph.tensor(stored), graph.tensor(node.outputs[0]));
        if from.ty == to.ty && from.quantization == to.quantization && !graph.outputs().contains(&node.outputs[0]) {
            same.insert(node.outputs[0], stored);
        }
    }
    for id in graph.node_ids().collect::<Vec<_>>() {
        for input in &mut graph.node_mut(id).inputs {
            while let Some(&source) = same.get(input) {
                *input = source;
            }
        }
    }
}

/// `move(dequantize(x))` is `dequantize(move(x))` where values move about unchanged, so that what computes with them finds integers.
///
/// Where the one result is quantized again it is left to [`replacement`].
fn move_before_dequantizing(graph: &mut Graph) {
    let links = Links::of(graph);
    let ids: Vec<_> = graph.node_ids().collect();
    // The integers behind each float tensor; nodes are in topological order.
    let mut integers: HashMap<TensorId, TensorId> = HashMap::new();
    for (i, &id) in ids.iter().enumerate() {
        let node = graph.nodes()[i].clone();
        let Some(&input) = node.inputs.first() else { continue };
        if matches!(node.op, Op::Dequantize(_)) && byte(graph, input).is_some() {
            integers.insert(node.output(), input);
        }
        let Some(&from) = integers.get(&input).filter(|_| only_moves(&node.op)) else {
            continue;
        };
        if matches!(node.op, Op::Identity(_)) && !is_quantized(graph, &links, node.output()) {
            // A name for the real numbers, and no more.
            let output = node.output();
            let node = graph.node_mut(id);
            (node.op, node.inputs) = (Dequantize {}.into(), vec![from]);
            integers.insert(output, from);
            continue;
        }
        if node.outputs.len() == 1 && is_quantized(graph, &links, node.output()) {
            continue;
        }
        graph.node_mut(id).inputs[0] = from;
        for (k, &output) in node.outputs.iter().enumerate() {
            let moved = moved_integers(graph, from, output);
            graph.node_mut(id).outputs[k] = moved;
            // What quantizes a part again converts from scale to scale.
            for &reader in links.readers.get(&output).map_or(&[][..], Vec::as_slice) {
                if matches!(graph.nodes()[reader].op, Op::Quantize(_)) {
                    graph.node_mut(ids[reader]).inputs[0] = moved;
                }
            }
            integers.insert(output, moved);
        }
    }
}

/// Whether an operator moves the values of its first input about and adds none.
fn only_moves(op: &Op) -> bool {
    op.moves() && !matches!(op, Op::Quantize(_) | Op::Dequantize(_) | Op::Concat(_) | Op::Pad(_))
}

/// A tensor for the integers that a part of `from` consists of, and a node that makes the real numbers `output` of them.
fn moved_integers(graph: &mut Graph, from: TensorId, output: TensorId) -> TensorId {
    let (float, from) = (graph.tensor(output), graph.tensor(from));
    let (ty, quantization) = (float.ty.with_element(from.ty.element), from.quantization.clone());
    let name = format!("{}/integers", float.name);
    let moved = graph.push_tensor(Tensor {
        name: graph.fresh_name(&name),
        ty,
        quantization,
        data: None,
    });
    let name = graph.fresh_name(&format!("{name}/dequantize"));
    graph.push_node(ir::Node {
        name,
        op: Dequantize {}.into(),
        inputs: vec![moved],
        outputs: vec![output],
    });
    moved
}

/// Whether a reader of a float tensor quantizes it.
fn is_quantized(graph: &Graph, links: &Links, float: TensorId) -> bool {
    let readers = links.readers.get(&float).map_or(&[][..], Vec::as_slice);
    let quantizes = |&reader: &usize| matches!(graph.nodes()[reader].op, Op::Quantize(_));
    readers.iter().any(quantizes)
}

/// Whether a tensor holds real numbers; indices mean themselves.
fn is_real(graph: &Graph, id: TensorId) -> bool {
    graph.tensor(id).ty.element == ElementType::F32
}

/// The integer tensor that a float tensor was dequantized from.
fn source(graph: &Graph, links: &Links, float: TensorId) -> Option<TensorId> {
    let node = &graph.nodes()[*links.producer.get(&float)?];
    matches!(node.op, Op::Dequantize(_)).then(|| node.inputs[0])
}

/// An 8-bit tensor with one scale.
fn byte(graph: &Graph, id: TensorId) -> Option<QuantParams> {
    let tensor = graph.tensor(id);
    (tensor.ty.element == ElementType::I8).then_some(())?;
    tensor.quantization.as_ref()?.whole()
}

fn replacement(graph: &Graph, links: &Links, index: usize) -> Option<Replacement> {
    let node = &graph.nodes()[index];
    let rule = node.op.integer_rule(ElementType::I8);
    let &[made] = node.outputs.as_slice() else { return None };
    // The tensor is quantized directly, or behind a clamp that can be fused.
    let mut op = node.op.clone();
    let mut last = made;
    let mut quantizer = only_quantized(graph, links, last);
    if quantizer.is_none()
        && let Some(slot) = op.fused_mut().filter(|slot| **slot == Activation::None)
        && let Some(&[reader]) = links.readers.get(&last).map(Vec::as_slice)
        && !graph.outputs().contains(&last)
    {
        *slot = match graph.nodes()[reader].op {
            Op::Function(Function::Relu) => Activation::Relu,
            Op::Function(Function::Relu6) => Activation::Relu6,
            Op::Function(Function::ReluN1To1) => Activation::ReluN1To1,
            _ => return None,
        };
        last = graph.nodes()[reader].outputs[0];
        quantizer = only_quantized(graph, links, last);
    }
    let output = graph.nodes()[quantizer?].outputs[0];
    let result = byte(graph, output)?;
    let mut inputs = Vec::new();
    let mut scale_of = None;
    match rule {
        IntegerRule::Weighted { axis } => {
            let x = source(graph, links, node.inputs[0])?;
            let step = byte(graph, x)?.scale.get();
            let weights = source(graph, links, *node.inputs.get(1)?)?;
            let scales = symmetric(graph, weights, axis)?;
            inputs.push(Input::Stored(x));
            inputs.push(Input::Stored(weights));
            if let Some(&bias) = node.inputs.get(2) {
                inputs.push(bias_of(graph, links, bias, step, scales)?);
            }
        }
        IntegerRule::Dictated(params) if params != result => return None,
        IntegerRule::Free | IntegerRule::Dictated(_) => {
            for &input in &node.inputs {
                let id = source(graph, links, input)?;
                byte(graph, id)?;
                inputs.push(Input::Stored(id));
            }
        }
        IntegerRule::Same => {
            let wanted = graph.tensor(output).quantization.clone()?;
            let alone = node.inputs.iter().filter(|&&id| is_real(graph, id)).count() == 1;
            for &input in &node.inputs {
                inputs.push(if is_real(graph, input) {
                    let id = source(graph, links, input)?;
                    match byte(graph, id)? {
                        params if params == result => Input::Stored(id),
                        // The values move in their own scale and are converted afterwards.
                        _ if alone => {
                            scale_of = Some(id);
                            Input::Stored(id)
                        }
                        _ => Input::Rescaled(id, wanted.clone()),
                    }
                } else {
                    Input::Stored(input)
                });
            }
        }
        IntegerRule::None(_) => return None,
    }
    Some(Replacement {
        node: index,
        op,
        inputs,
        output,
        scale_of,
    })
}

/// The node that quantizes `float`, when nothing else reads it.
fn only_quantized(graph: &Graph, links: &Links, float: TensorId) -> Option<usize> {
    if graph.outputs().contains(&float) {
        return None;
    }
    let [reader] = *links.readers.get(&float)?.as_slice() else {
        return None;
    };
    matches!(graph.nodes()[reader].op, Op::Quantize(_)).then_some(reader)
}

/// The scales of stored symmetric 8-bit weights: one, or one for each output channel.
fn symmetric(graph: &Graph, id: TensorId, axis: usize) -> Option<&[Scale]> {
    let tensor = graph.tensor(id);
    let quantization = tensor.quantization.as_ref()?;
    let sound = tensor.data.is_some()
        && tensor.ty.element == ElementType::I8
        && quantization.zero_points.iter().all(|&z| z == 0)
        && quantization.axis.is_none_or(|a| a == axis);
    sound.then_some(&quantization.scales)
}

/// A bias in steps of `input scale · weight scale`, the unit of the accumulator: the stored one where it is in these steps.
fn bias_of(graph: &Graph, links: &Links, id: TensorId, step: f32, scales: &[Scale]) -> Option<Input> {
    let wanted: Vec<f32> = scales.iter().map(|s| s.get() * step).collect();
    let stored = source(graph, links, id);
    if let Some(stored) = stored
        && let tensor = graph.tensor(stored)
        && tensor.ty.element == ElementType::I32
        && let Some(quantization) = &tensor.quantization
        && quantization.scales.len() == wanted.len()
        && quantization
            .scales
            .iter()
            .zip(&wanted)
            .all(|(s, w)| (s.get() - w).abs() <= 1e-6 * w)
        && quantization.zero_points.iter().all(|&z| z == 0)
    {
        return Some(Input::Stored(stored));
    }
    let (values, name) = match stored {
        None => (
            graph.constant_data(id)?.as_f32()?.to_vec(),
            graph.tensor(id).name.clone(),
        ),
        Some(stored) => {
            let tensor = graph.tensor(stored);
            let quantization = tensor.quantization.as_ref()?;
            let integers = tensor.data.as_ref()?.as_i32()?;
            let real = |(i, &q): (usize, &i32)| Some(quantization.channel(i)?.dequantize(q));
            (
                integers.iter().enumerate().map(real).collect::<Option<_>>()?,
                tensor.name.clone(),
            )
        }
    };
    let at = |i: usize| wanted[if wanted.len() == 1 { 0 } else { i }];
    let steps: Vec<i32> = values
        .iter()
        .enumerate()
        .map(|(i, v)| (v / at(i)).round_ties_even() as i32)
        .collect();
    let new: Option<Vec<Scale>> = wanted.iter().map(|&s| Scale::new(s)).collect();
    let new = new?;
    let zero_points = vec![0; new.len()];
    let quantization = Quantization {
        axis: (new.len() > 1).then_some(0),
        scales: new,
        zero_points,
        block: None,
    };
    Some(Input::Bias(Constant::i32([steps.len()], steps)?, quantization, name))
}

fn apply(graph: &mut Graph, links: &Links, found: Replacement) {
    let Replacement {
        node,
        op,
        inputs,
        output,
        scale_of,
    } = found;
    let old = graph.nodes()[node].clone();
    let mut ids = Vec::new();
    for input in inputs {
        ids.push(match input {
            Input::Stored(id) => id,
            Input::Rescaled(id, quantization) => {
                let source = graph.tensor(id);
                let (ty, name) = (source.ty.clone(), format!("{}/rescaled", source.name));
                convert(graph, &name, id, ty, quantization)
            }
            Input::Bias(data, quantization, name) => {
                let name = graph.fresh_name(&format!("{name}/int32"));
                graph.push_tensor(Tensor {
                    name,
                    ty: data.ty(),
                    quantization: Some(quantization),
                    data: Some(data),
                })
            }
        });
    }
    let mut made = output;
    let quantizer = links.producer.get(&output).copied();
    if let Some(source) = scale_of {
        let quantization = graph.tensor(source).quantization.clone();
        let ty = graph.tensor(output).ty.clone();
        let name = graph.fresh_name(&format!("{}/moved", old.name));
        made = graph.push_tensor(Tensor {
            name,
            ty,
            quantization,
            data: None,
        });
    }
    // The quantizer takes the place of the operator, and the operator that of the quantizer, or of nothing at all.
    let ids_of: Vec<_> = graph.node_ids().collect();
    let dead = graph.push_tensor(Tensor {
        name: graph.fresh_name(&format!("{}/unused", old.name)),
        ty: graph.tensor(old.outputs[0]).ty.clone(),
        quantization: None,
        data: None,
    });
    let replaced = graph.node_mut(ids_of[node]);
    replaced.op = op;
    replaced.inputs = ids;
    replaced.outputs = vec![made];
    if let Some(quantizer) = quantizer {
        let converts = graph.node_mut(ids_of[quantizer]);
        if scale_of.is_some() {
            converts.inputs = vec![made];
        } else {
            // Nothing reads what it makes from now on; normalizing drops it.
            converts.outputs = vec![dead];
        }
    }
}

/// A conversion from one scale to another.
fn convert(graph: &mut Graph, name: &str, from: TensorId, ty: ir::TensorType, quantization: Quantization) -> TensorId {
    let name = graph.fresh_name(name);
    let output = graph.push_tensor(Tensor {
        name: name.clone(),
        ty,
        quantization: Some(quantization),
        data: None,
    });
    graph.push_node(ir::Node {
        name,
        op: Quantize { to: ElementType::I8 }.into(),
        inputs: vec![from],
        outputs: vec![output],
    });
    output
}
