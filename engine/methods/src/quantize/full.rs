//! Full-integer quantization: every tensor becomes an integer with fixed parameters. What depends on the width of activations is in
//! [`super::width`].
//!
//! Activations have one scale a tensor, from calibrated ranges; weights are symmetric, one scale a channel.
//! Some operators dictate scales: softmax, sigmoid and tanh; and some only move values, so
//! that their inputs and output must share one scale. The latter are joined into groups that take the union of
//! their ranges; where a dictated scale meets a group, a `Quantize` node converts from one to the other.
//! Source: TensorFlow Lite 8-bit quantization specification.

mod groups;

use std::collections::{HashMap, HashSet};

use groups::Groups;

use ir::ops::{Dequantize, IntegerRule, Quantize};
use ir::{Constant, ElementType, Graph, Node, Op, QuantParams, Quantization, Scale, Tensor, TensorId};

use super::grid::{Grid, Plan, WeightType};
use super::range::TensorRanges;
use super::width::Width;
use super::{EdgeType, QuantizeError, Settings, weights};
use super::{columns, masks};

/// Quantizes a folded and lowered graph.
///
/// Operators that have no integer form stay float between `Dequantize` and `Quantize` nodes; the caller decides
/// whether that is what was asked for.
pub fn full(graph: &Graph, ranges: &TensorRanges, settings: &Settings, plan: &Plan) -> Result<Graph, QuantizeError> {
    let width = Width::of(settings.scheme);
    let params = Groups::of(graph, width).params(graph, ranges)?;
    let mut builder = Builder::new(graph, params, settings, plan);
    builder.edges_in();
    let before_the_edge = if settings.input == EdgeType::Float && width == Width::Bits8 {
        columns::brought_to_one_scale(graph)
    } else {
        HashSet::new()
    };
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        let ruled = node.op.weight_axis().is_some() && plan.kind(&node.name) == WeightType::Float;
        let stays_float = ruled || before_the_edge.contains(&id);
        // Shapes and indices are integers that mean themselves.
        let real = graph.tensor(node.output()).ty.element == ElementType::F32;
        if let Op::ArgMax(_) = node.op {
            builder.places(node);
            continue;
        }
        match width.rule(&node.op).refused() {
            Ok(()) if real && !stays_float => builder.integer_node(node)?,
            Ok(()) | Err(_) => builder.float_node(node),
        }
    }
    builder.edges_out();
    let mut out = builder.out;
    out.normalize()?;
    out.verify()?;
    Ok(out)
}

/// Rebuilds a graph node by node, with an integer and, where needed, a float version of each tensor.
struct Builder<'a> {
    graph: &'a Graph,
    params: Vec<Option<QuantParams>>,
    width: Width,
    settings: &'a Settings,
    plan: &'a Plan,
    out: Graph,
    integer: HashMap<TensorId, TensorId>,
    float: HashMap<TensorId, TensorId>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, params: Vec<Option<QuantParams>>, settings: &'a Settings, plan: &'a Plan) -> Self {
        let out = Graph::new(&graph.name);
        Builder {
            graph,
            params,
            width: Width::of(settings.scheme),
            settings,
            plan,
            out,
            integer: HashMap::new(),
            float: HashMap::new(),
        }
    }

    /// Declares the inputs in the type that the caller feeds, and converts them.
    fn edges_in(&mut self) {
        self.inputs();
        for i in 0..self.graph.inputs().len() {
            self.out.state(i, self.graph.stated(i));
        }
    }

    fn inputs(&mut self) {
        for &id in self.graph.inputs() {
            let tensor = self.graph.tensor(id);
            let Some(params) = self.params[id.index()] else {
                let same = self.out.input(&tensor.name, tensor.ty.clone());
                self.float.insert(id, same);
                continue;
            };
            match self.settings.input {
                EdgeType::Float => {
                    let float = self.out.input(&tensor.name, tensor.ty.clone());
                    self.float.insert(id, float);
                }
                EdgeType::Int8 | EdgeType::Int16 => {
                    let element = self.width.element();
                    let input = self.out.input(&tensor.name, tensor.ty.with_element(element));
                    self.out.tensor_mut(input).quantization =
                        Some(Quantization::per_tensor(params.scale, params.zero_point));
                    self.integer.insert(id, input);
                }
                EdgeType::Uint8 => {
                    let input = self.out.input(&tensor.name, tensor.ty.with_element(ElementType::U8));
                    self.out.tensor_mut(input).quantization =
                        Some(Quantization::per_tensor(params.scale, params.zero_point + 128));
                    let converted =
                        self.convert(input, &format!("{}_int8", tensor.name), ElementType::I8, Some(params));
                    self.integer.insert(id, converted);
                }
            }
        }
    }

    /// Returns the outputs in the type that the caller reads.
    fn edges_out(&mut self) {
        let outputs: Vec<TensorId> = self.graph.outputs().to_vec();
        let converted: Vec<TensorId> = outputs.into_iter().map(|id| self.edge_out(id)).collect();
        self.out.set_outputs(&converted);
    }

    fn edge_out(&mut self, id: TensorId) -> TensorId {
        let name = &self.graph.tensor(id).name;
        let (Some(params), Some(&integer)) = (self.params[id.index()], self.integer.get(&id)) else {
            return self.float(id);
        };
        if self.graph.inputs().contains(&id) {
            return integer;
        }
        match self.settings.output {
            EdgeType::Int8 | EdgeType::Int16 => integer,
            EdgeType::Float | EdgeType::Uint8 => {
                // The edge keeps the model's name for the output; what is inside steps aside.
                let inner = self.out.fresh_name(&self.width.name(name));
                if self.out.tensor(integer).name == *name {
                    self.out.tensor_mut(integer).name = inner;
                }
                let edge = if self.settings.output == EdgeType::Float {
                    self.float(id)
                } else {
                    let shifted = QuantParams {
                        zero_point: params.zero_point + 128,
                        ..params
                    };
                    self.convert(integer, name, ElementType::U8, Some(shifted))
                };
                if self.out.find(name).is_none() {
                    self.out.tensor_mut(edge).name.clone_from(name);
                }
                edge
            }
        }
    }

    /// A `Quantize` (to an integer type) or `Dequantize` node.
    fn convert(&mut self, from: TensorId, name: &str, to: ElementType, params: Option<QuantParams>) -> TensorId {
        let op: Op = if to == ElementType::F32 {
            Dequantize {}.into()
        } else {
            Quantize { to }.into()
        };
        let name = self.fresh_name(name);
        let ty = self.out.tensor(from).ty.with_element(to);
        let quantization = params.map(|p| Quantization::per_tensor(p.scale, p.zero_point));
        let output = self.out.push_tensor(Tensor {
            name: name.clone(),
            ty,
            quantization,
            data: None,
        });
        self.out.push_node(Node {
            name,
            op,
            inputs: vec![from],
            outputs: vec![output],
        });
        output
    }

    /// `base`, or `base_1`, `base_2`, …: the first that nothing has, nor will have once the rest of the network is there.
    fn fresh_name(&self, base: &str) -> String {
        let later = |name: &str| {
            let tensor = name != base && self.graph.tensors().iter().any(|t| t.name == name);
            tensor || self.graph.nodes().iter().any(|n| n.name == name)
        };
        let mut name = self.out.fresh_name(base);
        let mut number = 1;
        while later(&name) || self.out.fresh_name(&name) != name {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }

    /// The float version of a tensor, dequantized where only the integer one exists.
    fn float(&mut self, id: TensorId) -> TensorId {
        if let Some(&float) = self.float.get(&id) {
            return float;
        }
        let tensor = self.graph.tensor(id);
        let float = if let (None, Some(&integer)) = (&tensor.data, self.integer.get(&id)) {
            self.convert(integer, &tensor.name, ElementType::F32, None)
        } else {
            let name = self.out.fresh_name(&tensor.name);
            self.out.push_tensor(Tensor { name, ..tensor.clone() })
        };
        self.float.insert(id, float);
        float
    }

    /// The integer version of an activation, quantized where only the float one exists.
    fn integer(&mut self, id: TensorId) -> Result<TensorId, QuantizeError> {
        if let Some(&integer) = self.integer.get(&id) {
            return Ok(integer);
        }
        let tensor = self.graph.tensor(id);
        let params = self.params[id.index()].ok_or_else(|| QuantizeError::NoRange {
            tensor: tensor.name.clone(),
        })?;
        let integer = if let Some(values) = tensor.data.as_ref().and_then(Constant::as_f32) {
            let values: Vec<f32> = values.to_vec();
            let data = self.width.constant(tensor.ty.shape.clone(), &values, params);
            let data = data.expect("as many values as before");
            let quantization = Quantization::per_tensor(params.scale, params.zero_point);
            self.push_constant(&tensor.name, data, quantization)
        } else {
            let float = self.float(id);
            let width = self.width;
            self.convert(float, &width.name(&tensor.name), width.element(), Some(params))
        };
        self.integer.insert(id, integer);
        Ok(integer)
    }

    fn push_constant(&mut self, name: &str, data: Constant, quantization: Quantization) -> TensorId {
        let name = self.out.fresh_name(name);
        self.out.push_tensor(Tensor {
            name,
            ty: data.ty(),
            quantization: Some(quantization),
            data: Some(data),
        })
    }

    fn float_node(&mut self, node: &Node) {
        let inputs = node.inputs.iter().map(|&i| self.float(i)).collect();
        let outputs = self.declare(node, |tensor, _| tensor.clone(), false);
        self.out.push_node(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs,
        });
    }

    /// Integers of one scale come in the order of what they stand for: where the greatest is needs no floats.
    fn places(&mut self, node: &Node) {
        let read = node.inputs[0];
        let inputs = vec![self.integer.get(&read).copied().unwrap_or_else(|| self.float(read))];
        let outputs = self.declare(node, |tensor, _| tensor.clone(), false);
        self.out.push_node(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs,
        });
    }

    fn integer_node(&mut self, node: &Node) -> Result<(), QuantizeError> {
        let inputs = match node.op.weight_axis() {
            Some(axis) => self.weighted_inputs(node, axis)?,
            None => self.plain_inputs(node)?,
        };
        let element = self.width.element();
        let outputs = self.declare(
            node,
            |tensor, params| Tensor {
                ty: tensor.ty.with_element(element),
                quantization: params.map(|p| Quantization::per_tensor(p.scale, p.zero_point)),
                ..tensor.clone()
            },
            true,
        );
        self.out.push_node(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs,
        });
        Ok(())
    }

    fn declare(
        &mut self,
        node: &Node,
        make: impl Fn(&Tensor, Option<QuantParams>) -> Tensor,
        integer: bool,
    ) -> Vec<TensorId> {
        let mut outputs = Vec::new();
        for &old in &node.outputs {
            let mut tensor = make(self.graph.tensor(old), self.params[old.index()]);
            tensor.name = self.out.fresh_name(&tensor.name);
            let new = self.out.push_tensor(tensor);
            if integer {
                self.integer.insert(old, new)
            } else {
                self.float.insert(old, new)
            };
            outputs.push(new);
        }
        outputs
    }

    /// The inputs of an operator without weights; where scales must be the same, another scale is converted.
    fn plain_inputs(&mut self, node: &Node) -> Result<Vec<TensorId>, QuantizeError> {
        let wanted = match self.width.rule(&node.op) {
            IntegerRule::Same => self.params[node.output().index()],
            _ => None,
        };
        let mut inputs = Vec::new();
        for &id in &node.inputs {
            if self.graph.tensor(id).ty.element != ElementType::F32 {
                inputs.push(self.float(id));
                continue;
            }
            let mut input = self.integer(id)?;
            if let Some(wanted) = wanted
                && self.params[id.index()] != Some(wanted)
            {
                let name = format!("{}/rescaled", self.graph.tensor(id).name);
                input = self.convert(input, &name, self.width.element(), Some(wanted));
            }
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// Activations, weights and bias of a convolution or fully connected layer. The bias is in steps of
    /// `input scale · weight scale`, the unit of the accumulator; a layer without a bias gets one of zeros.
    fn weighted_inputs(&mut self, node: &Node, channel: usize) -> Result<Vec<TensorId>, QuantizeError> {
        let activations = self.integer(node.inputs[0])?;
        let missing = |id: TensorId| QuantizeError::NoRange {
            tensor: self.graph.tensor(id).name.clone(),
        };
        let input_scale = self.params[node.inputs[0].index()]
            .ok_or_else(|| missing(node.inputs[0]))?
            .scale
            .get();
        let weight = self.graph.tensor(node.inputs[1]);
        let Some(Constant::F32(values)) = &weight.data else {
            return Err(QuantizeError::NotConstant {
                node: node.name.clone(),
                input: "weights",
            });
        };
        let channels = weight.ty.shape.dims()[channel];
        let bias: Vec<f32> = match node.inputs.get(2) {
            Some(&b) => match self.graph.constant_data(b).and_then(Constant::as_f32) {
                Some(bias) => bias.to_vec(),
                None => {
                    return Err(QuantizeError::NotConstant {
                        node: node.name.clone(),
                        input: "bias",
                    });
                }
            },
            None => vec![0.0; channels],
        };
        let per_channel = weights::per_channel(&node.op, self.settings.granularity);
        let floor = |i: usize| {
            let fits = |b: &f32| self.width.least_scale(*b, input_scale);
            if per_channel {
                fits(&bias[i])
            } else {
                bias.iter().map(fits).fold(0.0, f32::max)
            }
        };
        let settled = self.plan.grids.get(&node.name).cloned();
        let kind = self.plan.kind(&node.name);
        let grid =
            settled.unwrap_or_else(|| Grid::widest(&node.op, values.view(), self.settings.granularity, kind, floor));
        let (axis, scales) = (grid.axis, &grid.scales);
        let step = |i: usize| f64::from(input_scale) * f64::from(scales[if axis.is_some() { i } else { 0 }].get());
        let stored: Vec<f64> = bias.iter().enumerate().map(|(i, &b)| f64::from(b) / step(i)).collect();
        let bias_scales: Option<Vec<Scale>> = (0..scales.len()).map(|i| Scale::new(step(i) as f32)).collect();
        let bias_scales = bias_scales.ok_or_else(|| QuantizeError::ScaleUnderflow {
            node: node.name.clone(),
        })?;

        let (data, quantization) = weights::quantized(values.view(), &grid);
        let weight_name = weight.name.clone();
        let weights = self.shared_constant(&weight_name, data, quantization);
        let bias_name = match node.inputs.get(2) {
            Some(&b) => self.graph.tensor(b).name.clone(),
            None => format!("{}/bias", node.name),
        };
        let bias_quantization = match axis {
            Some(_) => Quantization::per_axis(bias_scales, 0),
            None => Quantization::per_tensor(bias_scales[0], 0),
        };
        let bias = self.width.bias(&stored);
        let bias = self.shared_constant(&bias_name, bias, bias_quantization);
        Ok(vec![activations, weights, bias])
    }

    /// A constant that layers may share: made once for equal content.
    fn shared_constant(&mut self, name: &str, data: Constant, quantization: Quantization) -> TensorId {
        let same = |t: &Tensor| t.data.as_ref() == Some(&data) && t.quantization.as_ref() == Some(&quantization);
        match self.out.find(name) {
            Some(id) if same(self.out.tensor(id)) => id,
            _ => self.push_constant(name, data, quantization),
        }
    }
}

/// The scale of each activation of a prepared graph, by tensor name.
pub fn scales(graph: &Graph, ranges: &TensorRanges, width: Width) -> Result<HashMap<String, f32>, QuantizeError> {
    let (mut graph, mut ranges) = (graph.clone(), ranges.clone());
    masks::cut(&mut graph, &mut ranges, width);
    let params = Groups::of(&graph, width).params(&graph, &ranges)?;
    let named = graph.tensors().iter().zip(params);
    Ok(named
        .filter_map(|(t, p)| Some((t.name.clone(), p?.scale.get())))
        .collect())
}
