//! What a model consists of, layer by layer, for people and machines.

use std::collections::HashMap;

use ir::{Graph, Op, Tensor, TensorId};
use report::ModelSummary;
use serde::Serialize;

use crate::summary::summary;

/// A model in words and numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// What the network is called.
    pub name: String,
    /// What the caller feeds.
    pub inputs: Vec<TensorFacts>,
    /// What the caller reads.
    pub outputs: Vec<TensorFacts>,
    /// Its nodes in order.
    pub layers: Vec<LayerFacts>,
    /// All of them together.
    pub total: ModelSummary,
    /// Transposes that remain: changes of layout that cost time on a device.
    pub transposes: usize,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TensorFacts {
    /// Its name.
    pub name: String,
    /// Element type.
    pub element: String,
    /// Shape; the first axis counts samples.
    pub shape: Vec<usize>,
    /// How stored integers become real numbers: `0.5·(q+128)`, or how many scales there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerFacts {
    /// Its name.
    pub name: String,
    /// Its operator; for one that is not known its name and where it is defined.
    pub op: String,
    /// What it makes first.
    pub output: TensorFacts,
    /// Elements of its constants.
    pub parameters: u64,
    /// Multiply–accumulates for one sample; `None` for an operator that is not known.
    pub macs: Option<u64>,
    /// Element types of its constants, each once.
    pub weights: Vec<String>,
    /// How its first constant is quantized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_quantization: Option<String>,
    /// What it reads but constants: positions in the list of the inputs followed by the layers.
    pub reads: Vec<usize>,
}

/// Looks at a model.
pub fn inspect(graph: &Graph) -> Inspection {
    let facts = |ids: &[ir::TensorId]| ids.iter().map(|&id| TensorFacts::of(graph.tensor(id))).collect();
    Inspection {
        name: graph.name.clone(),
        inputs: facts(graph.inputs()),
        outputs: facts(graph.outputs()),
        layers: layers(graph),
        total: summary(graph, Vec::new()),
        transposes: graph.transposes(),
    }
}

fn layers(graph: &Graph) -> Vec<LayerFacts> {
    let mut made_by: HashMap<TensorId, usize> = graph.inputs().iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let mut layers = Vec::new();
    for node in graph.nodes() {
        let mut reads: Vec<usize> = node.inputs.iter().filter_map(|id| made_by.get(id).copied()).collect();
        reads.sort_unstable();
        reads.dedup();
        made_by.extend(node.outputs.iter().map(|&id| (id, graph.inputs().len() + layers.len())));
        layers.push(layer(graph, node, reads));
    }
    layers
}

fn layer(graph: &Graph, node: &ir::Node, reads: Vec<usize>) -> LayerFacts {
    let constants = || {
        node.inputs
            .iter()
            .map(|&id| graph.tensor(id))
            .filter(|tensor| tensor.data.is_some())
    };
    let mut weights: Vec<String> = Vec::new();
    for element in constants().map(|tensor| tensor.ty.element.to_string()) {
        if !weights.contains(&element) {
            weights.push(element);
        }
    }
    LayerFacts {
        name: node.name.clone(),
        op: match &node.op {
            Op::Custom(op) => format!("{} of {}", op.name, op.domain),
            known => known.name().to_owned(),
        },
        output: TensorFacts::of(graph.tensor(node.output())),
        parameters: constants().map(|tensor| tensor.ty.shape.elements() as u64).sum(),
        macs: (!matches!(node.op, Op::Custom(_))).then(|| graph.node_macs(node)),
        weights,
        weight_quantization: constants().find_map(quantization),
        reads,
    }
}

impl TensorFacts {
    fn of(tensor: &Tensor) -> Self {
        TensorFacts {
            name: tensor.name.clone(),
            element: tensor.ty.element.to_string(),
            shape: tensor.ty.shape.dims().to_vec(),
            quantization: quantization(tensor),
        }
    }
}

/// `0.0235·(q+128)` for one scale, `16 scales` for one a channel.
fn quantization(tensor: &Tensor) -> Option<String> {
    let quantization = tensor.quantization.as_ref()?;
    Some(match quantization.whole() {
        None => format!("{} scales", quantization.scales.len()),
        Some(params) => {
            let scale = params.scale.get();
            match params.zero_point {
                0 => format!("{scale}·q"),
                zero if zero < 0 => format!("{scale}·(q+{})", zero.unsigned_abs()),
                zero => format!("{scale}·(q-{zero})"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use ir::{Constant, ElementType, Quantization, Scale, TensorType, ops};

    use super::*;

    #[test]
    fn a_layer_shows_its_constants_and_its_output() {
        let mut graph = Graph::new("one");
        let x = graph.input("x", TensorType::new(ElementType::F32, [1, 2]));
        let w = graph.constant("w", Constant::f32([3, 2], vec![0.0; 6]).unwrap());
        let y = graph
            .add("dense", Op::FullyConnected(ops::FullyConnected::default()), &[x, w])
            .unwrap();
        graph.set_outputs(&[y]);
        let seen = inspect(&graph);
        let [layer] = &seen.layers[..] else {
            panic!("one layer expected, {} found", seen.layers.len())
        };
        assert_eq!(
            (layer.parameters, layer.macs, layer.weights.as_slice()),
            (6, Some(6), &["f32".to_owned()][..])
        );
        assert_eq!(layer.output.shape, [1, 3]);
        assert_eq!((seen.total.parameters, seen.transposes), (6, 0));
    }

    #[test]
    fn quantization_is_shown_as_a_formula() {
        let mut graph = Graph::new("q");
        let x = graph.input("x", TensorType::new(ElementType::I8, [1, 2]));
        let mut shown = |quantization| {
            graph.tensor_mut(x).quantization = Some(quantization);
            super::quantization(graph.tensor(x)).unwrap()
        };
        let scale = Scale::new(0.5).unwrap();
        assert_eq!(shown(Quantization::per_tensor(scale, -128)), "0.5·(q+128)");
        assert_eq!(shown(Quantization::per_tensor(scale, 0)), "0.5·q");
        assert_eq!(shown(Quantization::per_axis(vec![scale, scale], 1)), "2 scales");
    }
}
