//! The layers, one file per group, and the registry that finds them by class.

mod activation;
pub(super) mod attention;
mod batch_norm;
mod convolution;
mod dense;
mod einsum_dense;
pub(super) mod embedding;
mod group_norm;
mod layer_norm;
mod merge;
mod one_dimensional;
pub(super) mod operators;
mod pool;
mod preprocessing;
mod rectifier;
mod recurrent;
mod resample;
mod shape;
pub(super) mod training;
mod wrapper;

use ir::TensorId;

use super::attributes::Attributes;
use super::build::Call;
use super::config::Layer;
use super::operation::PREFIX;
use super::weights::Slot;
use super::{layer_place, unsupported};
use crate::FormatError;

/// A class of layers.
pub(super) struct Kind {
    /// Its name in Keras 2 and 3, and its aliases.
    pub classes: &'static [&'static str],
    /// The weights that a layer with these arguments has, in the order of files.
    pub slots: fn(&Attributes) -> Result<Vec<Slot>, FormatError>,
    /// Adds the nodes of one call and returns the layer's output.
    pub build: fn(&mut Call<'_, '_>) -> Result<TensorId, FormatError>,
}

/// The weights of a normalization that is scaled and moved unless its arguments say otherwise.
fn scale_and_centre(attributes: &Attributes) -> Result<Vec<Slot>, FormatError> {
    let mut slots = Vec::new();
    if attributes.flag("scale", true)? {
        slots.push(Slot::trained("gamma", &[]));
    }
    if attributes.flag("center", true)? {
        slots.push(Slot::trained("beta", &[]));
    }
    Ok(slots)
}

const GROUPS: [&[Kind]; 19] = [
    activation::KINDS,
    attention::KINDS,
    batch_norm::KINDS,
    convolution::KINDS,
    dense::KINDS,
    einsum_dense::KINDS,
    embedding::KINDS,
    group_norm::KINDS,
    layer_norm::KINDS,
    merge::KINDS,
    one_dimensional::KINDS,
    pool::KINDS,
    preprocessing::KINDS,
    rectifier::KINDS,
    recurrent::KINDS,
    resample::KINDS,
    shape::KINDS,
    training::KINDS,
    wrapper::KINDS,
];

/// For layers without weights.
#[expect(clippy::unnecessary_wraps, reason = "the type of `Kind::slots`")]
fn none(_: &Attributes) -> Result<Vec<Slot>, FormatError> {
    Ok(Vec::new())
}

fn kinds() -> impl Iterator<Item = &'static Kind> {
    GROUPS.into_iter().flatten()
}

/// The classes of all layers, sorted.
pub(super) fn known() -> Vec<&'static str> {
    let more = ["InputLayer", "Sequential", "Functional", "Model"];
    let mut all: Vec<_> = kinds().flat_map(|k| k.classes).copied().chain(more).collect();
    all.sort_unstable();
    all
}

/// The weights of a layer, in the order of files.
pub(super) fn slots(layer: &Layer) -> Result<Vec<Slot>, FormatError> {
    if layer.class == "InputLayer" || layer.class.starts_with(PREFIX) {
        return Ok(Vec::new());
    }
    (find(&layer.class, &layer.path)?.slots)(&layer.attributes)
}

/// The kind of a class; an unknown one is refused with advice.
pub(super) fn find(class: &str, path: &str) -> Result<&'static Kind, FormatError> {
    kinds()
        .find(|k| k.classes.contains(&class))
        .ok_or_else(|| unsupported(layer_place(path), format!("`{class}` is not supported"), advice(class)))
}

fn advice(class: &str) -> String {
    match class {
        "TensorFlowOpLayer" => {
            "arithmetic on tensors has no layer of its own; use layers (Rescaling, Add, Multiply, Cropping2D) and save again".into()
        }
        "Lambda" => "its code is not in the file; use layers (Rescaling, Activation, Reshape) and save again".into(),
        _ => {
            let known = known();
            let near = known.iter().map(|k| (strsim::damerau_levenshtein(class, k), k)).min();
            let near = near.filter(|(distance, _)| *distance * 3 <= class.len());
            let hint = near.map(|(_, k)| format!("did you mean `{k}`? ")).unwrap_or_default();
            format!("{hint}known layers: {}", known.join(", "))
        }
    }
}

/// Zeros around the input as an argument states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaddingMode {
    /// As many as make the output `ceil(input / stride)`.
    Same,
    /// None.
    Valid,
}

impl PaddingMode {
    pub(super) fn of(attributes: &Attributes) -> Result<Self, FormatError> {
        match attributes.text("padding", "valid")? {
            "same" => Ok(PaddingMode::Same),
            "valid" => Ok(PaddingMode::Valid),
            _ => Err(attributes.wrong("padding", "same or valid")),
        }
    }

    /// As explicit numbers.
    pub(super) fn explicit(
        self,
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> ir::ops::Padding {
        match self {
            PaddingMode::Same => ir::ops::Padding::same(input, kernel, stride, dilation),
            PaddingMode::Valid => ir::ops::Padding::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_registered_once() {
        let known = known();
        assert!(known.is_sorted_by(|a, b| a < b), "{known:?}");
    }

    #[test]
    fn an_unknown_layer_is_refused_with_what_is_near() {
        let message = find("Conv2d", "stem/c").err().unwrap().to_string();
        insta::assert_snapshot!(message.split("known layers").next().unwrap(), @"keras: layer `stem/c`: `Conv2d` is not supported; did you mean `Conv2D`? ");
        let lambda = find("Lambda", "l").err().unwrap();
        insta::assert_snapshot!(lambda, @"keras: layer `l`: `Lambda` is not supported; its code is not in the file; use layers (Rescaling, Activation, Reshape) and save again");
    }
}
