//! `quantize`: store weights, and for integer schemes compute, in fewer bits.
//!
//! A real number `r` is stored as an integer `q` with `r = scale · (q − zero point)`. Weights are known, so their scales
//! follow from them; activations are not, so integer schemes take the ranges that `calibrate` measured.
//! The result is checked against the request: what did not become what was asked for fails the step, by name.
//!
//! ```yaml
//! int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
//! int4: { quantize: { model: base, ranges: ranges, scheme: int8, weights: int4, rounding: gptq, data: train } }
//! ```

pub mod dynamic;
pub mod float16;
mod floats;
pub mod full;
pub mod grid;
mod proof;
pub mod ranges;
#[cfg(test)]
mod tests;
pub(crate) mod weights;
pub mod width;

use ir::{ElementType, Graph, GraphError, passes};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Context, Inputs, Op, Output};
use crate::sampling::Samples;
use crate::{StepError, models};

pub use grid::{Grid, Plan, RoundingMethod, Rule, WeightType};
pub use ranges::{Range, Ranges};
use width::Width;

/// How numbers are stored and computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Weights in half precision, arithmetic in 32-bit floats: half the size.
    Float16,
    /// Weights in 8-bit integers, activations quantized on the fly: a quarter of the size, no calibration.
    DynamicInt8,
    /// Weights and activations in 8-bit integers, arithmetic in integers: a quarter of the size, fastest on integer hardware.
    Int8,
    /// Weights in 8-bit integers, activations in 16-bit ones: a quarter of the size, nearly the accuracy of floats, slower than `int8`.
    #[serde(rename = "int16x8")]
    Int16x8,
}

/// How many weight scales a convolution has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// One for each output channel.
    #[default]
    Channel,
    /// One for the tensor.
    Tensor,
}

/// The element type at the border of an integer model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeType {
    /// 32-bit floats; the model quantizes and dequantizes itself.
    #[default]
    Float,
    /// Signed bytes, as the model computes.
    Int8,
    /// Unsigned bytes, as cameras deliver.
    Uint8,
    /// Signed 16-bit integers, as an `int16x8` model computes.
    Int16,
}

/// Parameters of `quantize`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quantize {
    /// The float model to quantize; it is folded first.
    pub model: Port<kind::Model>,
    /// Ranges of its activations, made by `calibrate` from the same model; needed by `int8` and `int16x8` only.
    pub ranges: Option<Port<kind::Ranges>>,
    /// Samples for rounding `gptq`. Never those it is tested on.
    pub data: Option<Port<kind::Dataset>>,
    /// How numbers are stored and computed.
    pub scheme: Scheme,
    /// How many weight scales a convolution has.
    #[serde(default)]
    pub per: Granularity,
    /// What weights become under an integer scheme.
    #[serde(default)]
    pub weights: WeightType,
    /// `dynamic-int8` with `weights: int4`: so many neighbours along the input channels share a scale, instead of a whole output channel, in
    /// convolutions and fully connected layers whose input channels are a multiple of it; others keep a scale a channel. Such layers compute in
    /// floats. For ONNX files, `DequantizeLinear` with `block_size` of opset 21.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1024))]
    pub block: Option<usize>,
    /// Other weight types for some layers; the last that matches counts.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// How weights are rounded.
    #[serde(default)]
    pub rounding: RoundingMethod,
    /// `gptq`: how many samples are used, at most.
    #[serde(default = "crate::ops::prune::default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// `gptq`: share of the Hessian's diagonal that is added to it; more keeps weights closer to what they were.
    #[serde(default = "crate::ops::prune::default_damping")]
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub damping: f64,
    /// `gptq`: seed of the draw of samples.
    #[serde(default)]
    pub seed: u64,
    /// Element type of the inputs of an `int8` or `int16x8` model.
    #[serde(default)]
    pub input: EdgeType,
    /// Element type of the outputs of an `int8` or `int16x8` model.
    #[serde(default)]
    pub output: EdgeType,
    /// `dynamic-int8` leaves weight tensors with fewer elements in floats, where the gain is less than the cost.
    #[serde(default = "default_min_elements")]
    pub min_elements: usize,
    /// Layers that may stay float under `int8` or `int16x8`, between a dequantization and a quantization: names with `*` and `?`, or
    /// `op:` and an operator. Another layer without an integer form is an error; `[]` allows none.
    #[serde(default = "default_allow_float")]
    pub allow_float: Vec<String>,
}

impl Quantize {
    /// Full int8 with nothing special about it.
    pub(crate) fn int8(per: Granularity) -> Self {
        Quantize {
            model: Port::default(),
            ranges: None,
            data: None,
            scheme: Scheme::Int8,
            per,
            weights: WeightType::Int8,
            block: None,
            rules: Vec::new(),
            rounding: RoundingMethod::Nearest,
            count: crate::ops::prune::default_count(),
            damping: crate::ops::prune::default_damping(),
            seed: 0,
            input: EdgeType::Float,
            output: EdgeType::Float,
            min_elements: default_min_elements(),
            allow_float: default_allow_float(),
        }
    }
}

fn default_min_elements() -> usize {
    1024
}

/// A layer norm divides by the root of a variance, whose range is the square of the activations': one scale for it loses the small ones.
fn default_allow_float() -> Vec<String> {
    vec!["op:layer_norm".into()]
}

/// Why a model cannot be quantized as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// An activation that calibration did not see.
    #[error("tensor `{tensor}`: has no calibrated range; calibrate this very model (same architecture, same folding)")]
    NoRange {
        /// The tensor.
        tensor: String,
    },
    /// Weights computed by another node.
    #[error("node `{node}`: its {input} are computed, not constant; only constant {input} can be quantized")]
    NotConstant {
        /// The node.
        node: String,
        /// `weights` or `bias`.
        input: &'static str,
    },
    /// A weight that half precision cannot hold.
    #[error("weight `{tensor}`: {value} is beyond half precision (65504); use dynamic-int8 or rescale the layer")]
    HalfOverflow {
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// A constant that no range can hold.
    #[error("constant `{tensor}`: holds a value that is infinite or not a number; the training that made it diverged")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
    /// The product of two scales is too small for a float.
    #[error(
        "node `{node}`: input and weight scales are so small that their product vanishes; are its weights all zero?"
    )]
    ScaleUnderflow {
        /// The node.
        node: String,
    },
    /// The model is not a float model.
    #[error("tensor `{tensor}` is {element} already; quantize takes a float model")]
    AlreadyQuantized {
        /// The tensor.
        tensor: String,
        /// Its element type.
        element: ElementType,
    },
    /// Layers that the scheme did not reach.
    #[error("{}", not_reached(.0))]
    NotReached(Vec<EffectRow>),
    /// An integer scheme without ranges.
    #[error("scheme {0} needs `ranges`: add a calibrate step and name it here")]
    RangesMissing(&'static str),
    /// Edges that the scheme does not compute with.
    #[error("scheme {scheme} has no {edge} inputs and outputs: take {known}")]
    Edge {
        /// The scheme.
        scheme: &'static str,
        /// What was asked for.
        edge: &'static str,
        /// What there is.
        known: &'static str,
    },
    /// A scheme without activations to quantize was given ranges.
    #[error("scheme {0} takes no `ranges`: remove them, or use scheme int8")]
    RangesUnused(&'static str),
    /// A name that no layer has, or an operator that there is not.
    #[error("allow-float: no {what} is named `{name}`")]
    UnknownFloat {
        /// `layer` or `operator`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The result is not a valid graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

fn not_reached(rows: &[EffectRow]) -> String {
    let line = |row: &EffectRow| {
        let reason = row.reason.as_deref().unwrap_or("unknown reason");
        let (layer, tensor) = (&row.layer, &row.tensor);
        format!(
            "\n  {layer} {tensor}: asked for {}, is {} ({reason})",
            row.requested, row.actual
        )
    };
    let lines: String = rows.iter().map(line).collect();
    let count = rows.len();
    format!(
        "{count} tensors did not become what was asked for:{lines}\n  list the layers under allow-float to accept this"
    )
}

/// Refuses a model that is quantized already, and names that no layer has.
pub(crate) fn check_model(model: &Graph, params: &Quantize) -> Result<(), QuantizeError> {
    if let Some(t) = model
        .tensors()
        .iter()
        .find(|t| t.is_quantized() || t.ty.element == ElementType::F16)
    {
        return Err(QuantizeError::AlreadyQuantized {
            tensor: t.name.clone(),
            element: t.ty.element,
        });
    }
    floats::check(&params.allow_float, model)
}

/// Quantizes a float model; the second part of the result is the proof of effect.
pub fn quantize(
    model: &Graph,
    ranges: Option<&Ranges>,
    params: &Quantize,
    samples: Option<(&Samples<'_>, &Context<'_>)>,
) -> Result<(Graph, Vec<EffectRow>), StepError> {
    check_model(model, params)?;
    let prepared = models::prepared(model)?;
    let plan = Plan::of(params, &prepared)?;
    planned(prepared, ranges, params, plan, samples)
}

/// [`quantize`] of a prepared model by a plan that is made already.
pub(crate) fn planned(
    prepared: Graph,
    ranges: Option<&Ranges>,
    params: &Quantize,
    mut plan: Plan,
    samples: Option<(&Samples<'_>, &Context<'_>)>,
) -> Result<(Graph, Vec<EffectRow>), StepError> {
    let mut prepared = models::laid_out(prepared)?;
    if let Some((samples, context)) = samples {
        let scales = ranges
            .map(|r| full::scales(&prepared, r, Width::of(params.scheme)))
            .transpose()?;
        let floor = |graph: &Graph, layer: &methods::Layer, row: usize| {
            let input = graph.node(layer.node).inputs[0];
            let step = scales.as_ref().and_then(|s| s.get(&graph.tensor(input).name));
            match (step, layer.bias(graph)) {
                (Some(&step), Some(bias)) => Width::of(params.scheme).least_scale(bias[row], step),
                _ => 0.0,
            }
        };
        let small = |layer: &methods::Layer| params.scheme == Scheme::DynamicInt8 && layer.len() < params.min_elements;
        plan.reconstruct(
            &mut prepared,
            samples,
            params.per,
            params.damping,
            small,
            floor,
            context,
        )?;
    }
    Ok(quantize_prepared(&prepared, ranges, params, &plan)?)
}

fn quantize_prepared(
    prepared: &Graph,
    ranges: Option<&Ranges>,
    params: &Quantize,
    plan: &Plan,
) -> Result<(Graph, Vec<EffectRow>), QuantizeError> {
    let (mut quantized, rows) = match (params.scheme, ranges) {
        (Scheme::Float16, None) => {
            let quantized = float16::float16(prepared)?;
            let rows = proof::stored_as(&quantized, ElementType::F16, 0, &Plan::default());
            (quantized, rows)
        }
        (Scheme::DynamicInt8, None) => {
            let quantized = dynamic::dynamic(prepared, params.per, params.min_elements, params.block, plan)?;
            let rows = proof::stored_as(&quantized, ElementType::I8, params.min_elements, plan);
            (quantized, rows)
        }
        (Scheme::Int8 | Scheme::Int16x8, Some(ranges)) => {
            check_edges(params)?;
            let width = Width::of(params.scheme);
            let settings = full::Settings {
                width,
                granularity: params.per,
                input: params.input,
                output: params.output,
            };
            // A norm is one layer while it is decided what becomes of it.
            let mut whole = prepared.clone();
            passes::raise(&mut whole)?;
            let quantized = full::full(&whole, ranges, settings, plan)?;
            let rows = proof::integer(&quantized, width, plan);
            (quantized, rows)
        }
        (Scheme::Int8, None) => return Err(QuantizeError::RangesMissing("int8")),
        (Scheme::Int16x8, None) => return Err(QuantizeError::RangesMissing("int16x8")),
        (Scheme::Float16, Some(_)) => return Err(QuantizeError::RangesUnused("float16")),
        (Scheme::DynamicInt8, Some(_)) => return Err(QuantizeError::RangesUnused("dynamic-int8")),
    };
    floats::accept(&rows, &quantized, &params.allow_float)?;
    // What runtimes compute.
    passes::lower_norms(&mut quantized)?;
    Ok((quantized, rows))
}

/// Refuses integer edges of another width than the model computes with.
fn check_edges(params: &Quantize) -> Result<(), QuantizeError> {
    let refuse = |scheme, edge, known| Err(QuantizeError::Edge { scheme, edge, known });
    let has = |edge: EdgeType| params.input == edge || params.output == edge;
    match params.scheme {
        Scheme::Int8 if has(EdgeType::Int16) => refuse("int8", "int16", "float, int8 or uint8"),
        Scheme::Int16x8 if has(EdgeType::Int8) => refuse("int16x8", "int8", "float or int16"),
        Scheme::Int16x8 if has(EdgeType::Uint8) => refuse("int16x8", "uint8", "float or int16"),
        Scheme::Float16 | Scheme::DynamicInt8 | Scheme::Int8 | Scheme::Int16x8 => Ok(()),
    }
}

/// What the parameters of weights say together.
fn check_weights(params: &Quantize, data: bool) -> Result<(), String> {
    let changed = params.weights != WeightType::Int8 || !params.rules.is_empty();
    let int4 = params.weights == WeightType::Int4 || params.rules.iter().any(|rule| rule.weights == WeightType::Int4);
    match (params.rounding, data) {
        _ if params.block.is_some_and(|block| block < 2) => {
            Err("block: a block has 2 weights at least; remove it for a scale a channel".into())
        }
        _ if params.block.is_some() && (params.scheme != Scheme::DynamicInt8 || !int4) => {
            Err("block is for scheme dynamic-int8 with weights int4: remove it, or change them".into())
        }
        (RoundingMethod::Gptq, true) if params.block.is_some() => {
            Err("rounding gptq has a scale a channel, not a block: remove block, or the rounding".into())
        }
        (RoundingMethod::Gptq, false) => Err("rounding gptq needs `data`: name a dataset step".into()),
        (RoundingMethod::Nearest, true) => Err("only rounding gptq looks at `data`: remove it, or the rounding".into()),
        (RoundingMethod::Gptq, true) if params.scheme == Scheme::Float16 => {
            Err("scheme float16 rounds nothing to integers: remove rounding".into())
        }
        _ if changed && params.scheme == Scheme::Float16 => {
            Err("scheme float16 stores all weights alike: remove weights and rules".into())
        }
        _ => Ok(()),
    }
}

/// The op.
pub struct QuantizeOp;

impl Op for QuantizeOp {
    type Params = Quantize;
    const NAME: &'static str = "quantize";
    const REVISION: u32 = 4;
    const SUMMARY: &'static str = "Stores and computes a model's numbers in fewer bits.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }";

    fn check(params: &Quantize, ports: &[&str]) -> Result<(), String> {
        let error = match (params.scheme, ports.contains(&"ranges")) {
            (Scheme::Int8, false) => QuantizeError::RangesMissing("int8"),
            (Scheme::Int16x8, false) => QuantizeError::RangesMissing("int16x8"),
            (Scheme::Float16, true) => QuantizeError::RangesUnused("float16"),
            (Scheme::DynamicInt8, true) => QuantizeError::RangesUnused("dynamic-int8"),
            _ => {
                check_edges(params).map_err(|error| error.to_string())?;
                return check_weights(params, ports.contains(&"data"));
            }
        };
        Err(error.to_string())
    }

    fn run(params: &Quantize, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let ranges = inputs
            .optional("ranges")
            .map(|r| r.json::<Ranges>("ranges.json"))
            .transpose()?;
        let dataset = inputs
            .optional("data")
            .map(crate::contract::Artifact::dataset)
            .transpose()?;
        let samples = dataset
            .as_deref()
            .map(|dataset| Samples::draw(dataset, params.count, params.seed, context))
            .transpose()?;
        let samples = samples.as_ref().map(|s| (s, context));
        let (quantized, effect) = quantize(&model, ranges.as_ref(), params, samples)?;
        let reached = effect.iter().filter(|r| r.took_effect).count();
        context.log(&format!("{reached} of {} tensors are what was asked for", effect.len()));
        for line in floats::said(&effect) {
            context.log(&line);
        }
        models::output(quantized, effect)
    }
}
