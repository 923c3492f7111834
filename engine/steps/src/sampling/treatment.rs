//! What can be done to one layer alone, in floats: the arithmetic of the others stays what it was.

use std::fmt;

use ir::ops::{Dequantize, Quantize};
use ir::{Constant, ElementType, Graph, Patch, Quantization};
use methods::cluster::{Books, Init, Per, Settings};
use methods::prune::{Pattern, Sparsity, magnitudes, select};
use methods::quantize::{Granularity, Grid, QuantizeError, WeightType, weights};
use methods::{Layer, MethodError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::Ranges;

/// What is done to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// Weights in 8 bits, and its input too where there are ranges.
    Int8,
    /// Weights in 4 bits, and its input in 8 where there are ranges.
    Int4,
    /// The share of least weights set to zero.
    Prune(f64),
    /// So many different weights, by k-means.
    Cluster(usize),
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Treatment::Int8 => f.write_str("int8"),
            Treatment::Int4 => f.write_str("int4"),
            Treatment::Prune(share) => write!(f, "prune {share}"),
            Treatment::Cluster(clusters) => write!(f, "cluster {clusters}"),
        }
    }
}

impl Treatment {
    /// The treatment that a weight type is; none for floats.
    pub(crate) const fn of(weights: WeightType) -> Option<Self> {
        match weights {
            WeightType::Float => None,
            WeightType::Int8 => Some(Treatment::Int8),
            WeightType::Int4 => Some(Treatment::Int4),
        }
    }

    /// Says what is wrong with its number.
    pub(crate) fn check(self) -> Result<(), MethodError> {
        match self {
            Treatment::Int8 | Treatment::Int4 => Ok(()),
            Treatment::Prune(share) => Sparsity::new(share).map(drop),
            Treatment::Cluster(clusters) => settings(clusters).check(),
        }
    }

    /// The graph with `layer`, one of its layers, treated.
    pub(crate) fn applied(
        self,
        graph: &Graph,
        layer: &Layer,
        granularity: Granularity,
        ranges: Option<&Ranges>,
    ) -> Result<Graph, StepError> {
        let mut out = graph.clone();
        let kind = match self {
            Treatment::Prune(share) => {
                let mut weights = layer.matrix(graph)?;
                let stay = select(&magnitudes(&weights), layer.run, Pattern::Free, Sparsity::new(share)?);
                weights.zip_mut_with(&stay, |w, &stays| *w = if stays { *w } else { 0.0 });
                layer.set_matrix(&mut out, &weights);
                return Ok(out);
            }
            Treatment::Cluster(clusters) => {
                let weights = layer.matrix(graph)?;
                let books = Books::find(&weights, None, settings(clusters))?;
                layer.set_matrix(&mut out, &books.apply(&weights));
                return Ok(out);
            }
            Treatment::Int8 => WeightType::Int8,
            Treatment::Int4 => WeightType::Int4,
        };
        if let Some(Constant::F32(values)) = graph.constant_data(layer.weights) {
            let op = &graph.node(layer.node).op;
            let grid = Grid::widest(op, values.view(), granularity, kind, |_| 0.0);
            let rounded = weights::on_grid(values.view(), &grid);
            out.tensor_mut(layer.weights).data = Some(Constant::F32(rounded.into_shared()));
        }
        if let Some(ranges) = ranges {
            round_input(&mut out, layer, ranges)?;
        }
        Ok(out)
    }
}

fn settings(clusters: usize) -> Settings {
    Settings {
        clusters,
        init: Init::KmeansPlusPlus,
        per: Per::Tensor,
        seed: 0,
    }
}

/// Lets a layer read its input through 8 bits.
fn round_input(graph: &mut Graph, layer: &Layer, ranges: &Ranges) -> Result<(), StepError> {
    let node = graph.node(layer.node).clone();
    let tensor = &graph.tensor(node.inputs[0]).name;
    let missing = || QuantizeError::NoRange { tensor: tensor.clone() };
    let range = ranges.tensors.get(tensor).ok_or_else(missing)?;
    let params = range.asymmetric(ElementType::I8).ok_or_else(missing)?;
    let mut patch = Patch::new(graph);
    let wrong = |e: ir::InferError| StepError::Params(format!("layer `{}`: {e}", layer.name));
    let meaning = Some(Quantization::per_tensor(params.scale, params.zero_point));
    let name = |what: &str| format!("{}/{what}", layer.name);
    let integer = patch
        .quantized_node(
            name("int8"),
            Quantize { to: ElementType::I8 },
            &node.inputs[..1],
            meaning,
        )
        .map_err(wrong)?;
    let real = patch.node(name("real"), Dequantize {}, &[integer]).map_err(wrong)?;
    let mut inputs = node.inputs.clone();
    inputs[0] = real;
    let output = patch.node(&node.name, node.op.clone(), &inputs).map_err(wrong)?;
    patch.replace(node.output(), output);
    let change = patch.done();
    Ok(graph.apply(change)?)
}
