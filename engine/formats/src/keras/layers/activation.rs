//! Activation functions: the `Activation` layer, `Softmax`, and the `activation` argument of other layers.

use ir::TensorId;
use ir::ops::{Function, Identity, Mul, Op, Softmax, Transpose};
use serde_json::Value;

use super::super::attributes::{Attributes, brief};
use super::{Call, Kind, none, rectifier};
use crate::FormatError;
use crate::functions::{self, spelling};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["Activation"],
        slots: none,
        build: activation,
    },
    Kind {
        classes: &["Softmax"],
        slots: none,
        build: softmax_layer,
    },
];

/// The functions that Keras names and that can be imported.
fn known() -> Vec<&'static str> {
    let functions = Function::all();
    let plain = functions.iter().flat_map(|&f| spelling(f).keras.iter().copied());
    ["linear"].into_iter().chain(plain).chain(["selu", "softmax"]).collect()
}

fn activation(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let input = call.input()?;
    let attributes = call.attributes();
    let value = attributes
        .get("activation")
        .ok_or_else(|| attributes.wrong("activation", "a function"))?;
    function(call, value, input, Place::Layer)
}

/// The `activation` argument of a layer, applied to what the layer computes: a node `layer/relu`.
pub(super) fn argument(call: &mut Call<'_, '_>, x: TensorId) -> Result<TensorId, FormatError> {
    match call.attributes().get("activation") {
        None => Ok(x),
        Some(value) => function(call, value, x, Place::Argument),
    }
}

/// The function of a number that an argument names, for layers that have it inside.
pub(super) fn function_argument(
    call: &Call<'_, '_>,
    attributes: &Attributes,
    key: &str,
    default: Function,
) -> Result<Function, FormatError> {
    let Some(value) = attributes.get(key) else {
        return Ok(default);
    };
    // A registered function is an object that holds its name.
    let name = value.as_str().or_else(|| value.get("config")?.as_str());
    let function = match name {
        Some("hard_sigmoid") => Some(hard_sigmoid(call.major())),
        Some("elu") => Some(Function::Elu { alpha: 1.0 }),
        Some("leaky_relu") => Some(Function::LeakyRelu { alpha: 0.2 }),
        Some("gelu") => Some(Function::Gelu { approximate: false }),
        Some(name) => functions::find(|f| f.keras.contains(&name)),
        None => None,
    };
    function.ok_or_else(|| attributes.refuse(key, &format!("known functions: {}", known().join(", "))))
}

/// Whether the function is the layer or follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The node is called like the layer.
    Layer,
    /// The node is called `layer/function`.
    Argument,
}

impl Place {
    pub(super) fn node(
        self,
        call: &mut Call<'_, '_>,
        op: impl Into<Op>,
        inputs: &[TensorId],
    ) -> Result<TensorId, FormatError> {
        let op = op.into();
        match self {
            Place::Layer => call.output(op, inputs),
            Place::Argument => call.part(op.name(), op, inputs),
        }
    }
}

/// A function as a name, as a registered function, or as a whole layer.
fn function(call: &mut Call<'_, '_>, value: &Value, x: TensorId, place: Place) -> Result<TensorId, FormatError> {
    if let Some(name) = value.as_str() {
        return named(call, name, x, place);
    }
    let class = value.get("class_name").and_then(Value::as_str);
    match (class, value.get("config")) {
        // A function of the caller's own, such as MobileNet's relu6 once was: only its name is known.
        (_, Some(Value::String(name))) => named(call, name, x, place),
        (Some(class), Some(Value::Object(config))) if rectifier::CLASSES.contains(&class) => {
            let attributes = Attributes::new(
                format!("{}: activation {class}", call.attributes().place),
                config.clone(),
            );
            let output = rectifier::apply(call, class, &attributes, x, place)?;
            match attributes.unread().first() {
                None => Ok(output),
                Some(unknown) => Err(attributes.refuse(unknown, "its meaning is unknown; leave it out")),
            }
        }
        (Some("Activation"), Some(Value::Object(config))) => {
            let name = config.get("activation").and_then(Value::as_str).unwrap_or_default();
            named(call, name, x, place)
        }
        _ => Err(call
            .attributes()
            .refuse("activation", &format!("known functions: {}", known().join(", ")))),
    }
}

fn named(call: &mut Call<'_, '_>, name: &str, x: TensorId, place: Place) -> Result<TensorId, FormatError> {
    let op: Op = match name {
        "linear" if place == Place::Argument => return Ok(x),
        "linear" => Identity {}.into(),
        "leaky_relu" => Function::LeakyRelu { alpha: 0.2 }.into(),
        "elu" => Function::Elu { alpha: 1.0 }.into(),
        "selu" => return selu(call, x, place),
        "hard_sigmoid" => hard_sigmoid(call.major()).into(),
        "gelu" => Function::Gelu { approximate: false }.into(),
        "softmax" => Softmax::default().into(),
        other => match functions::find(|f| f.keras.contains(&other)) {
            Some(function) => function.into(),
            None => return Err(unknown(call, other)),
        },
    };
    place.node(call, op, &[x])
}

fn unknown(call: &Call<'_, '_>, name: &str) -> FormatError {
    let known = known();
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(name, k), k)).min();
    let near = near
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, k)| format!("did you mean `{k}`? "));
    let fix = format!("{}known functions: {}", near.unwrap_or_default(), known.join(", "));
    let shown = brief(&Value::String(name.to_owned()));
    call.unsupported(format!("the activation {shown} is not supported"), fix)
}

/// `clip(0.2·x + 0.5, 0, 1)` up to Keras 2, `relu6(x + 3) / 6` in Keras 3. The file says which Keras wrote it.
fn hard_sigmoid(major: u32) -> Function {
    let alpha = if major >= 3 { 1.0 / 6.0 } else { 0.2 };
    Function::HardSigmoid { alpha, beta: 0.5 }
}

/// `scale · elu(x, alpha)` with the constants of Klambauer et al. 2017.
fn selu(call: &mut Call<'_, '_>, x: TensorId, place: Place) -> Result<TensorId, FormatError> {
    const ALPHA: f32 = 1.673_263_2;
    const SCALE: f32 = 1.050_701;
    let elu = call.part("elu", Function::Elu { alpha: ALPHA }, &[x])?;
    let scale = call.constant("selu_scale", &[1], vec![SCALE])?;
    place.node(call, Mul::default(), &[elu, scale])
}

fn softmax_layer(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, attributes) = (call.input()?, call.attributes());
    softmax(call, attributes, input, Place::Layer)
}

/// Softmax along any dimension but the batch: the last one is brought there and back.
pub(super) fn softmax(
    call: &mut Call<'_, '_>,
    attributes: &Attributes,
    x: TensorId,
    place: Place,
) -> Result<TensorId, FormatError> {
    let rank = call.dims(x).len();
    let axes = attributes.integers("axis")?.unwrap_or_else(|| vec![-1]);
    let &[axis] = axes.as_slice() else {
        return Err(attributes.refuse("axis", "softmax runs along one dimension"));
    };
    let axis = attributes.axis("axis", axis, rank)?;
    if axis == 0 {
        return Err(attributes.refuse("axis", "the batch is no dimension of a sample"));
    }
    if axis + 1 == rank {
        return place.node(call, Softmax::default(), &[x]);
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    // A swap is its own inverse.
    perm.swap(axis, rank - 1);
    let there = call.part("transpose", Transpose { perm: perm.clone() }, &[x])?;
    let softmax = call.part("softmax", Softmax::default(), &[there])?;
    place.node(call, Transpose { perm }, &[softmax])
}
