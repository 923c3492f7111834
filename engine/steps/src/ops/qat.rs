//! `qat`: quantization-aware training, to an integer model.
//!
//! The network learns with its numbers rounded as the integers will round them: activations where `quantize` puts integers, weights to a scale for each
//! output channel. Gradients pass as if nothing was rounded, so that weights find places where rounding costs little. What comes out is the integer model itself, not
//! a simulation of it. Source: Jacob et al. 2018, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*.
//!
//! ```yaml
//! ranges: { calibrate: { model: base, data: train, count: 500 } }
//! int8: { qat: { model: base, ranges: ranges, data: train, epochs: 1 } }
//! ```

use std::collections::{BTreeMap, HashMap};

use ir::ops::{Dequantize, Quantize as QuantizeOperator};
use ir::{Graph, Node, Quantization, Tensor, TensorId};
use learn::{Distillation, Grid};
use methods::quantize::{EdgeType, Effect, Granularity, Plan, Scheme, Settings, WeightType};
use recipe::{ArtifactKind, Port, kind};

use crate::StepError;
use crate::contract::{Arithmetic, Context, Facts, Inputs, Op, Outlook, Output, Ranges};
use crate::learning::params::training_params;
use crate::learning::{self, Extra, Kept, Teacher};
use crate::sampling::reconstruction::{quantized, row};

training_params! {
    /// Parameters of `qat`.
    pub struct Qat, learning_rate = 1e-5 {
        /// The float model to train; it is folded first.
        model: Port<kind::Model>,
        /// Ranges of its activations, made by `calibrate` from the same model.
        ranges: Port<kind::Ranges>,
        /// Samples with labels. Never those it is tested on.
        data: Port<kind::Dataset>,
        /// Samples to find the best epoch with, instead of a part of `data`.
        validation: Option<Port<kind::Dataset>>,
        /// A model whose scores are learned from, too, as in `distill`.
        teacher: Option<Port<kind::Model>>,
        /// What weights become.
        #[serde(default)]
        weights: WeightType,
        /// What stays while the model learns.
        #[serde(default)]
        keep: Vec<Kept>,
    }
}

/// The op.
pub struct QatOp;

impl Op for QatOp {
    type Params = Qat;
    const NAME: &'static str = "qat";
    const REVISION: u32 = 1;
    const LEARNS: bool = true;
    const SUMMARY: &'static str = "Trains a network with its numbers rounded, and makes the integer model of it.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "int8: { qat: { model: base, ranges: ranges, data: train, epochs: 1 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data"), ("model", "validation")];
    const FOLDS: bool = true;

    fn check(params: &Qat, _ports: &[&str]) -> Result<(), String> {
        if params.weights == WeightType::Float {
            return Err("weights: are int8 or int4 here; `finetune` trains floats".into());
        }
        params.training().check()
    }

    fn idle(params: &Qat, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        params.training().idle(ports)
    }

    fn foresee(params: &Qat, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand_own_ranges()?;
        let facts = learning::foresee::<Self>(&params.training(), inputs)?;
        Ok(Facts {
            arithmetic: Some(Arithmetic::Integer),
            ..facts
        })
    }

    fn run(params: &Qat, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let ranges = inputs.one("ranges")?.json::<Ranges>("ranges.json")?;
        let integers = |graph: &Graph| integers(graph, &ranges, params.weights);
        let whole = methods::quantize::widened(&model)?;
        let mut start = models::laid_out(models::prepared(&whole)?)?;
        let (integer, _) = integers(&start)?;
        let simulated = simulated(&start, &integer)?;
        let teacher = match inputs.optional("teacher") {
            Some(teacher) => {
                let data = inputs.one("data")?.dataset()?;
                let distillation = Distillation {
                    temperature: 4.0,
                    alpha: 0.9,
                };
                let teacher = teacher.model()?;
                let teacher = Teacher::new(&teacher, &data, !params.augment.is_empty(), context)?;
                Some((distillation, teacher))
            }
            None => None,
        };
        let extra = Extra {
            keep: params.keep.clone(),
            pruning: None,
            teacher,
            grids: grids(&start, &integer, params.weights),
        };
        let learned = learning::learn(&simulated, &params.training(), extra, inputs, context)?;
        for tensor in learned.graph.tensors().iter().filter(|t| t.data.is_some()) {
            if let Some(id) = start.find(&tensor.name) {
                start.tensor_mut(id).data.clone_from(&tensor.data);
            }
        }
        let (integer, effect) = integers(&start)?;
        Output::trained(integer, effect.into_iter().map(row).collect(), learned.curve)
    }
}

/// The integer model of a prepared float one.
fn integers(graph: &Graph, ranges: &Ranges, weights: WeightType) -> Result<(Graph, Vec<Effect>), StepError> {
    let settings = Settings {
        scheme: Scheme::Int8,
        granularity: Granularity::Channel,
        block: None,
        min_elements: methods::quantize::MIN_ELEMENTS,
        input: EdgeType::Float,
        output: EdgeType::Float,
        allow_float: methods::quantize::ALLOW_FLOAT.map(str::to_owned).to_vec(),
    };
    let plan = Plan {
        types: BTreeMap::new(),
        default: weights,
        grids: BTreeMap::new(),
    };
    quantized(graph.clone(), Some(&ranges.tensors), &settings, plan, None)
}

/// How each activation is stored in the integer model, by its name in the float one.
fn stored(integer: &Graph) -> HashMap<&str, &Tensor> {
    let mut all: HashMap<&str, &Tensor> = HashMap::new();
    for tensor in integer
        .tensors()
        .iter()
        .filter(|t| t.is_quantized() && t.data.is_none())
    {
        all.insert(&tensor.name, tensor);
    }
    // What is quantized from a float tensor stands for it.
    for node in integer.nodes() {
        if let ir::Op::Quantize(_) = node.op
            && !integer.tensor(node.inputs[0]).is_quantized()
        {
            all.insert(&integer.tensor(node.inputs[0]).name, integer.tensor(node.output()));
        }
    }
    all
}

/// The float network with a quantization and a dequantization behind every activation that the integer model stores in integers.
fn simulated(start: &Graph, integer: &Graph) -> Result<Graph, StepError> {
    let stored = stored(integer);
    let mut graph = Graph::new(start.name.clone());
    let mut map: HashMap<TensorId, TensorId> = HashMap::new();
    for id in start.tensor_ids() {
        let tensor = start.tensor(id);
        if let Some(data) = &tensor.data {
            map.insert(id, graph.constant(tensor.name.clone(), data.clone()));
        }
    }
    for (i, &id) in start.inputs().iter().enumerate() {
        let tensor = start.tensor(id);
        let input = graph.input(tensor.name.clone(), tensor.ty.clone());
        graph.state(i, start.stated(i));
        map.insert(id, rounded(&mut graph, input, stored.get(tensor.name.as_str()))?);
    }
    for node in start.nodes() {
        let inputs = node.inputs.iter().map(|t| map[t]).collect::<Vec<_>>();
        let outputs: Vec<TensorId> = node
            .outputs
            .iter()
            .map(|&id| graph.push_tensor(start.tensor(id).clone()))
            .collect();
        graph.push_node(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs: outputs.clone(),
        });
        for (&old, new) in node.outputs.iter().zip(outputs) {
            let how = stored.get(start.tensor(old).name.as_str());
            map.insert(old, rounded(&mut graph, new, how)?);
        }
    }
    let outputs: Vec<TensorId> = start.outputs().iter().map(|t| map[t]).collect();
    graph.set_outputs(&outputs);
    graph.verify()?;
    Ok(graph)
}

/// An activation as the integers that it is stored in.
fn rounded(graph: &mut Graph, tensor: TensorId, how: Option<&&Tensor>) -> Result<TensorId, StepError> {
    let Some((how, quantization)) = how.and_then(|how| Some((how, how.quantization.clone()?))) else {
        return Ok(tensor);
    };
    let Tensor { name, ty, .. } = graph.tensor(tensor).clone();
    let element = how.ty.element;
    let stored = graph.push_tensor(Tensor {
        name: format!("{name} (stored)"),
        ty: ty.with_element(element),
        quantization: Some(quantization),
        data: None,
    });
    graph.push_node(Node {
        name: format!("{name} (quantize)"),
        op: QuantizeOperator { to: element }.into(),
        inputs: vec![tensor],
        outputs: vec![stored],
    });
    Ok(graph.add(format!("{name} (dequantize)"), Dequantize {}, &[stored])?)
}

/// The grids of weights that the integer model stores with a scale for each channel.
fn grids(start: &Graph, integer: &Graph, weights: WeightType) -> BTreeMap<String, Grid> {
    let most = match weights {
        WeightType::Int4 => 7,
        WeightType::Int8 | WeightType::Float => 127,
    };
    let grid = |tensor: &Tensor| {
        let dims = tensor.ty.shape.dims();
        let Quantization { axis, .. } = tensor.quantization.as_ref()?;
        let (channels, inner) = match *axis {
            Some(axis) => (dims[axis], dims[axis + 1..].iter().product()),
            None => (1, tensor.ty.shape.elements()),
        };
        Some(Grid { most, channels, inner })
    };
    let stored = integer
        .tensors()
        .iter()
        .filter(|t| t.data.is_some() && t.ty.element == ir::ElementType::I8);
    let known = stored.filter(|t| start.find(&t.name).is_some());
    known.filter_map(|t| Some((t.name.clone(), grid(t)?))).collect()
}
