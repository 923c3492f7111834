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

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ir::Graph;
use methods::patterns::matching;
pub use methods::quantize::ALLOW_FLOAT;
use methods::quantize::{
    EdgeType, Effect, Granularity, Plan, QuantizeError, Scheme, Settings, WeightType, check_edges, check_model, said,
};
use recipe::{ArtifactKind, Port, kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Arithmetic, Context, Facts, Inputs, Op, Outlook, Output, Ranges};
use crate::sampling::Samples;
use crate::sampling::reconstruction::{RoundingMethod, quantized, row};

/// Another weight type for some layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Which layers: names with `*` and `?`, or `op:` and an operator.
    pub layers: Vec<String>,
    /// What their weights become.
    pub weights: WeightType,
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
    #[serde(default = "crate::sampling::default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// `gptq`: share of the Hessian's diagonal that is added to it; more keeps weights closer to what they were.
    #[serde(default = "crate::sampling::default_damping")]
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
    fn settings(&self) -> Settings {
        Settings {
            scheme: self.scheme,
            granularity: self.per,
            block: self.block,
            min_elements: self.min_elements,
            input: self.input,
            output: self.output,
            allow_float: self.allow_float.clone(),
        }
    }

    /// The plan that the rules make for a prepared graph.
    ///
    /// # Errors
    /// A rule matches no layer.
    fn plan(&self, graph: &Graph) -> Result<Plan, StepError> {
        let layers = methods::layers(graph);
        let mut types = BTreeMap::new();
        for rule in &self.rules {
            let hits = matching("rules.layers", &rule.layers, &layers, graph)?;
            let hit = layers.iter().zip(hits).filter(|(_, hit)| *hit);
            types.extend(hit.map(|(layer, _)| (layer.name.clone(), rule.weights)));
        }
        Ok(Plan {
            types,
            default: self.weights,
            grids: BTreeMap::new(),
        })
    }
}

fn default_min_elements() -> usize {
    methods::quantize::MIN_ELEMENTS
}

fn default_allow_float() -> Vec<String> {
    ALLOW_FLOAT.map(str::to_owned).to_vec()
}

/// Quantizes a float model; the second part of the result is the proof of effect.
pub fn quantize(
    model: &Graph,
    ranges: Option<&Ranges>,
    params: &Quantize,
    samples: Option<&Samples<'_>>,
) -> Result<(Graph, Vec<Effect>), StepError> {
    let settings = params.settings();
    // Weights in half precision are those of a float model, but for the scheme that would store them so again.
    let whole = match params.scheme {
        Scheme::Float16 => None,
        Scheme::DynamicInt8 | Scheme::Int8 | Scheme::Int16x8 => Some(methods::quantize::widened(model)?),
    };
    let model = whole.as_ref().unwrap_or(model);
    check_model(model, &settings)?;
    let prepared = models::prepared(model)?;
    let plan = params.plan(&prepared)?;
    let samples = samples.map(|samples| (samples, params.damping));
    quantized(prepared, ranges.map(|r| &r.tensors), &settings, plan, samples)
}

/// What the parameters of weights say together.
fn check_weights(params: &Quantize, data: bool) -> Result<(), String> {
    let changed = params.weights != WeightType::Int8 || !params.rules.is_empty();
    let int4 = params.weights == WeightType::Int4 || params.rules.iter().any(|rule| rule.weights == WeightType::Int4);
    match (params.rounding, data) {
        _ if params.rules.iter().any(|rule| rule.layers.is_empty()) => {
            Err("rules: one names no layers; list some, or remove it".into())
        }
        _ if params.weights == WeightType::Float && params.rules.is_empty() && params.scheme == Scheme::DynamicInt8 => {
            Err(
                "weights: float leaves nothing to quantize under scheme dynamic-int8; name int8 or int4, or add rules"
                    .into(),
            )
        }
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
        _ if params.per != Granularity::default() && params.scheme == Scheme::Float16 => {
            Err("per: scheme float16 has no scales: remove it".into())
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
    const REVISION: u32 = 5;
    const SUMMARY: &'static str = "Stores and computes a model's numbers in fewer bits.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 3;
    const EXAMPLE: &'static str = "int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }";
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn check(params: &Quantize, ports: &[&str]) -> Result<(), String> {
        let error = match (params.scheme, ports.contains(&"ranges")) {
            (Scheme::Int8, false) => QuantizeError::RangesMissing("int8"),
            (Scheme::Int16x8, false) => QuantizeError::RangesMissing("int16x8"),
            (Scheme::Float16, true) => QuantizeError::RangesUnused("float16"),
            (Scheme::DynamicInt8, true) => QuantizeError::RangesUnused("dynamic-int8"),
            _ => {
                check_edges(&params.settings()).map_err(|error| error.to_string())?;
                return check_weights(params, ports.contains(&"data"));
            }
        };
        Err(error.to_string())
    }

    fn foresee(params: &Quantize, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand("model", (Self::NAME, "a float model"), |found| match found {
            Arithmetic::Float => true,
            Arithmetic::HalfWeights => params.scheme != Scheme::Float16,
            _ => false,
        })?;
        inputs.demand_own_ranges()?;
        let facts = inputs.facts("model");
        if let (Some(network), Some(Arithmetic::Float)) = (&facts.network, facts.arithmetic) {
            // What may stay float has to be there.
            check_model(&network.graph, &params.settings()).map_err(|error| error.to_string())?;
        }
        let network = inputs.network("model", true);
        if let Some(network) = &network {
            for rule in &params.rules {
                network.demand_layers("rules.layers", &rule.layers)?;
            }
        }
        let arithmetic = match params.scheme {
            Scheme::Float16 => Arithmetic::HalfWeights,
            Scheme::DynamicInt8 if params.block.is_some() => Arithmetic::BlocksOfWeights,
            Scheme::DynamicInt8 => Arithmetic::IntegerWeights,
            Scheme::Int8 | Scheme::Int16x8 => Arithmetic::Integer,
        };
        Ok(Facts {
            arithmetic: Some(arithmetic),
            folded: true,
            network,
            ..facts
        })
    }

    fn idle(params: &Quantize, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut idle = Vec::new();
        if params.rounding != RoundingMethod::Gptq {
            idle.extend([("count", "rounding gptq"), ("damping", "rounding gptq")]);
        }
        if params.scheme != Scheme::DynamicInt8 {
            idle.push(("min-elements", "scheme dynamic-int8"));
        }
        if !matches!(params.scheme, Scheme::Int8 | Scheme::Int16x8) {
            idle.push(("allow-float", "schemes int8 and int16x8"));
        }
        idle
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
        let (quantized, effect) = quantize(&model, ranges.as_ref(), params, samples.as_ref())?;
        let reached = effect.iter().filter(|r| r.took_effect).count();
        context.log(&format!("{reached} of {} tensors are what was asked for", effect.len()));
        for line in said(&effect) {
            context.log(&line);
        }
        Output::model(quantized, effect.into_iter().map(row).collect())
    }
}
