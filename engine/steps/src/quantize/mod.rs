//! `quantize`: store weights, and for integer schemes compute, in fewer bits.
//!
//! A real number `r` is stored as an integer `q` with `r = scale · (q − zero point)`. Weights are known, so their scales
//! follow from them; activations are not, so integer schemes take the ranges that `calibrate` measured.
//! The result is checked against the request: what did not become what was asked for fails the step, by name.
//!
//! ```yaml
//! int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }
//! ```

pub mod dynamic;
pub mod float16;
pub mod full;
mod proof;
pub mod ranges;
#[cfg(test)]
mod tests;
mod weights;

use ir::{ElementType, Graph, GraphError};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::{Context, Inputs, Op, Output};
use crate::{StepError, models};

pub use ranges::{Range, Ranges};

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
}

/// Parameters of `quantize`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quantize {
    /// The float model to quantize; it is folded first.
    pub model: Port<kind::Model>,
    /// Ranges of its activations, made by `calibrate` from the same model; needed by `int8` only.
    pub ranges: Option<Port<kind::Ranges>>,
    /// How numbers are stored and computed.
    pub scheme: Scheme,
    /// How many weight scales a convolution has.
    #[serde(default)]
    pub per: Granularity,
    /// Element type of the inputs of an `int8` model.
    #[serde(default)]
    pub input: EdgeType,
    /// Element type of the outputs of an `int8` model.
    #[serde(default)]
    pub output: EdgeType,
    /// `dynamic-int8` leaves weight tensors with fewer elements in floats, where the gain is less than the cost.
    #[serde(default = "default_min_elements")]
    pub min_elements: usize,
    /// Names of layers that may stay float under `int8`; without it, a layer without an integer form is an error.
    #[serde(default)]
    pub allow_float: Vec<String>,
}

fn default_min_elements() -> usize {
    1024
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
    /// `int8` without ranges.
    #[error("scheme int8 needs `ranges`: add a calibrate step and name it here")]
    RangesMissing,
    /// A scheme without activations to quantize was given ranges.
    #[error("scheme {0} takes no `ranges`: remove them, or use scheme int8")]
    RangesUnused(&'static str),
    /// A name that no layer has.
    #[error("allow-float: no layer is named `{0}`")]
    UnknownLayer(String),
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

/// Quantizes a float model; the second part of the result is the proof of effect.
pub fn quantize(
    model: &Graph,
    ranges: Option<&Ranges>,
    params: &Quantize,
) -> Result<(Graph, Vec<EffectRow>), QuantizeError> {
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
    if let Some(name) = params
        .allow_float
        .iter()
        .find(|name| !model.nodes().iter().any(|n| n.name == **name))
    {
        return Err(QuantizeError::UnknownLayer(name.clone()));
    }
    let prepared = models::prepared(model)?;
    let (quantized, rows) = match (params.scheme, ranges) {
        (Scheme::Float16, None) => {
            let quantized = float16::float16(&prepared)?;
            let rows = proof::stored_as(&quantized, ElementType::F16, 0);
            (quantized, rows)
        }
        (Scheme::DynamicInt8, None) => {
            let quantized = dynamic::dynamic(&prepared, params.per, params.min_elements)?;
            let rows = proof::stored_as(&quantized, ElementType::I8, params.min_elements);
            (quantized, rows)
        }
        (Scheme::Int8, Some(ranges)) => {
            let settings = full::Settings {
                granularity: params.per,
                input: params.input,
                output: params.output,
            };
            let quantized = full::full(&prepared, ranges, settings)?;
            let rows = proof::integer(&quantized);
            (quantized, rows)
        }
        (Scheme::Int8, None) => return Err(QuantizeError::RangesMissing),
        (Scheme::Float16, Some(_)) => return Err(QuantizeError::RangesUnused("float16")),
        (Scheme::DynamicInt8, Some(_)) => return Err(QuantizeError::RangesUnused("dynamic-int8")),
    };
    // A layer that was lowered became several, `norm/mean`, `norm/rsqrt`, …
    let allowed = |layer: &str| {
        let of = |name: &String| {
            layer
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        params.allow_float.iter().any(of)
    };
    let excused = |row: &EffectRow| row.took_effect || allowed(&row.layer);
    let failed: Vec<EffectRow> = rows.iter().filter(|r| !excused(r)).cloned().collect();
    if failed.is_empty() {
        Ok((quantized, rows))
    } else {
        Err(QuantizeError::NotReached(failed))
    }
}

/// The op.
pub struct QuantizeOp;

impl Op for QuantizeOp {
    type Params = Quantize;
    const NAME: &'static str = "quantize";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Stores and computes a model's numbers in fewer bits.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "int8: { quantize: { model: base, ranges: ranges, scheme: int8 } }";

    fn check(params: &Quantize, ports: &[&str]) -> Result<(), String> {
        let error = match (params.scheme, ports.contains(&"ranges")) {
            (Scheme::Int8, false) => QuantizeError::RangesMissing,
            (Scheme::Float16, true) => QuantizeError::RangesUnused("float16"),
            (Scheme::DynamicInt8, true) => QuantizeError::RangesUnused("dynamic-int8"),
            _ => return Ok(()),
        };
        Err(error.to_string())
    }

    fn run(params: &Quantize, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let ranges = inputs
            .optional("ranges")
            .map(|r| r.json::<Ranges>("ranges.json"))
            .transpose()?;
        let (quantized, effect) = quantize(&model, ranges.as_ref(), params)?;
        let reached = effect.iter().filter(|r| r.took_effect).count();
        context.log(&format!("{reached} of {} tensors are what was asked for", effect.len()));
        models::output(quantized, effect)
    }
}
