//! Quantization: weights, and for integer schemes activations, stored and computed in fewer bits.
//!
//! A real number `r` is stored as an integer `q` with `r = scale · (q − zero point)`. Weights are known, so their scales
//! follow from them ([`weights`], [`Grid`]); activations are not, so integer schemes take the [`Range`]s that samples showed.
//! The result is checked against the request ([`proof`]): what did not become what was asked for is refused, by name.

mod columns;
mod dynamic;
mod error;
mod float16;
mod floats;
mod full;
mod grid;
pub mod histogram;
mod masks;
pub mod proof;
mod range;
pub mod weights;
mod width;

use ir::{ElementType, Graph, passes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::QuantizeError;
pub use float16::widened;
pub use floats::said;
pub use full::scales;
pub use grid::{Grid, Plan, WeightType};
pub use proof::Effect;
pub use range::{Range, TensorRanges};
pub use width::Width;

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

/// What is asked of a quantized model.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How numbers are stored and computed.
    pub scheme: Scheme,
    /// How many weight scales a convolution has.
    pub granularity: Granularity,
    /// [`Scheme::DynamicInt8`] with 4-bit weights: so many neighbours along the input channels share a scale.
    pub block: Option<usize>,
    /// [`Scheme::DynamicInt8`] leaves weight tensors with fewer elements in floats.
    pub min_elements: usize,
    /// Element type of the inputs of an integer model.
    pub input: EdgeType,
    /// Element type of the outputs of an integer model.
    pub output: EdgeType,
    /// Layers that may stay float under an integer scheme: names with `*` and `?`, or `op:` and an operator.
    pub allow_float: Vec<String>,
}

impl Settings {
    /// A scheme with nothing special about it.
    pub fn of(scheme: Scheme) -> Self {
        Settings {
            scheme,
            granularity: Granularity::Channel,
            block: None,
            min_elements: MIN_ELEMENTS,
            input: EdgeType::Float,
            output: EdgeType::Float,
            allow_float: ALLOW_FLOAT.map(str::to_owned).to_vec(),
        }
    }
}

/// Where dynamic-range weights begin to pay, unless the caller says otherwise.
pub const MIN_ELEMENTS: usize = 1024;

/// What may stay float, unless the caller says otherwise. A layer norm divides by the root of a variance, whose range is the square of the
/// activations': one scale for it loses the small ones. A recurrent layer carries its state through all steps.
pub const ALLOW_FLOAT: [&str; 2] = ["op:layer_norm", "op:recurrent"];

/// Refuses a model that is quantized already, and names that no layer has.
pub fn check_model(model: &Graph, settings: &Settings) -> Result<(), QuantizeError> {
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
    floats::check(&settings.allow_float, model)
}

/// Quantizes a float model that is folded, lowered and laid out; the second part of the result is the proof of effect.
pub fn quantize(
    prepared: &Graph,
    ranges: Option<&TensorRanges>,
    settings: &Settings,
    plan: &Plan,
) -> Result<(Graph, Vec<Effect>), QuantizeError> {
    // No scale makes numbers of what is none; half precision holds it as it is.
    if settings.scheme != Scheme::Float16
        && let Some(found) = prepared.non_finite()
    {
        let tensor = found.tensor;
        return Err(QuantizeError::NotFinite { tensor });
    }
    let (mut quantized, rows) = match (settings.scheme, ranges) {
        (Scheme::Float16, None) => {
            let quantized = float16::float16(prepared)?;
            let rows = proof::stored_as(&quantized, ElementType::F16, 0, &Plan::default());
            (quantized, rows)
        }
        (Scheme::DynamicInt8, None) => {
            let quantized = dynamic::dynamic(
                prepared,
                settings.granularity,
                settings.min_elements,
                settings.block,
                plan,
            )?;
            let rows = proof::stored_as(&quantized, ElementType::I8, settings.min_elements, plan);
            (quantized, rows)
        }
        (Scheme::Int8 | Scheme::Int16x8, Some(ranges)) => {
            check_edges(settings)?;
            let width = Width::of(settings.scheme);
            // A norm is one layer while it is decided what becomes of it.
            let mut whole = prepared.clone();
            passes::raise(&mut whole)?;
            let mut ranges = ranges.clone();
            masks::cut(&mut whole, &mut ranges, width);
            let quantized = full::full(&whole, &ranges, settings, plan)?;
            let rows = proof::integer(&quantized, width, plan);
            (quantized, rows)
        }
        (Scheme::Int8, None) => return Err(QuantizeError::RangesMissing("int8")),
        (Scheme::Int16x8, None) => return Err(QuantizeError::RangesMissing("int16x8")),
        (Scheme::Float16, Some(_)) => return Err(QuantizeError::RangesUnused("float16")),
        (Scheme::DynamicInt8, Some(_)) => return Err(QuantizeError::RangesUnused("dynamic-int8")),
    };
    floats::accept(&rows, &quantized, &settings.allow_float)?;
    // What runtimes compute.
    passes::lower_norms(&mut quantized)?;
    Ok((quantized, rows))
}

/// Refuses integer edges of another width than the model computes with.
pub fn check_edges(settings: &Settings) -> Result<(), QuantizeError> {
    let refuse = |scheme, edge, known| Err(QuantizeError::Edge { scheme, edge, known });
    let has = |edge: EdgeType| settings.input == edge || settings.output == edge;
    let integers = settings.input != EdgeType::Float || settings.output != EdgeType::Float;
    match settings.scheme {
        Scheme::Int8 if has(EdgeType::Int16) => refuse("int8", "int16", "float, int8 or uint8"),
        Scheme::Int16x8 if has(EdgeType::Int8) => refuse("int16x8", "int8", "float or int16"),
        Scheme::Int16x8 if has(EdgeType::Uint8) => refuse("int16x8", "uint8", "float or int16"),
        Scheme::Float16 if integers => refuse("float16", "integer", "float ones, as which it computes"),
        Scheme::DynamicInt8 if integers => refuse("dynamic-int8", "integer", "float ones, as which it computes"),
        Scheme::Float16 | Scheme::DynamicInt8 | Scheme::Int8 | Scheme::Int16x8 => Ok(()),
    }
}
