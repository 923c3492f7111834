//! Operators on tensors between the layers: `x + 3.0`, `(x − 127.5) / 127.5`, `x[:, 1:]`, `ops.mean(x)`.
//!
//! Keras 3 writes an operation of its own, class `Add` of the module `keras.src.ops.numpy`; Keras 2 a `TFOpLambda` that names a function of
//! TensorFlow, or a `SlicingOpLambda`. Both become a layer of the class `ops.Add` here, whose arguments are those of its one call: by position under
//! `#0`, `#1`, …, the others under their names, tensors as `{"#tensor": i}`.

use serde_json::{Map, Value, json};

use super::config::Source;
use super::layers::operators;
use super::{malformed, unsupported};
use crate::FormatError;

/// Before the names of operators among the classes of layers.
pub(super) const PREFIX: &str = "ops.";

/// What stands in the place of a reference to a tensor: its position among the call's inputs.
pub(super) const TENSOR: &str = "#tensor";

/// Functions of TensorFlow by the operator that they are in Keras 3.
#[rustfmt::skip]
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("Absolute", &["abs", "math.abs"]),
    ("Add", &["__operators__.add", "math.add", "add"]),
    ("Cast", &["cast"]),
    ("Clip", &["clip_by_value"]),
    ("Concatenate", &["concat"]),
    ("Elu", &["nn.elu"]),
    ("Exp", &["math.exp", "exp"]),
    ("ExpandDims", &["expand_dims"]),
    ("Gelu", &["nn.gelu"]),
    ("Identity", &["identity", "stop_gradient"]),
    ("LeakyRelu", &["nn.leaky_relu"]),
    ("Log", &["math.log"]),
    ("Matmul", &["linalg.matmul", "matmul"]),
    ("Max", &["math.reduce_max", "reduce_max"]),
    ("Maximum", &["math.maximum", "maximum"]),
    ("Mean", &["math.reduce_mean", "reduce_mean"]),
    ("Min", &["math.reduce_min", "reduce_min"]),
    ("Minimum", &["math.minimum", "minimum"]),
    ("Multiply", &["math.multiply", "multiply", "__operators__.mul"]),
    ("Negative", &["math.negative", "negative", "__operators__.neg"]),
    ("Pad", &["pad", "compat.v1.pad"]),
    ("Power", &["math.pow", "pow"]),
    ("Relu", &["nn.relu"]),
    ("Relu6", &["nn.relu6"]),
    ("Reshape", &["reshape"]),
    ("Rsqrt", &["math.rsqrt"]),
    ("Sigmoid", &["math.sigmoid", "nn.sigmoid", "sigmoid"]),
    ("Silu", &["nn.silu", "nn.swish"]),
    ("Softmax", &["nn.softmax"]),
    ("Softplus", &["math.softplus", "nn.softplus"]),
    ("Split", &["split"]),
    ("Sqrt", &["math.sqrt", "sqrt"]),
    ("Square", &["math.square", "square"]),
    ("Squeeze", &["squeeze"]),
    ("Stack", &["stack"]),
    ("Subtract", &["math.subtract", "subtract", "__operators__.sub"]),
    ("Sum", &["math.reduce_sum", "reduce_sum"]),
    ("Tanh", &["math.tanh", "nn.tanh", "tanh"]),
    ("Transpose", &["transpose", "compat.v1.transpose"]),
    ("TrueDivide", &["math.truediv", "math.divide", "divide", "truediv", "__operators__.truediv"]),
];

/// The class of an operator here; `None` for layers. `fields` are the layer's in the file.
pub(super) fn class(class: &str, fields: &Map<String, Value>) -> Option<String> {
    let function = fields
        .get("config")
        .and_then(|c| c.get("function"))
        .and_then(Value::as_str);
    let name = match (class, function) {
        ("SlicingOpLambda", _) => "GetItem",
        ("TFOpLambda", Some(function)) => {
            let known = FUNCTIONS.iter().find(|(_, names)| names.contains(&function));
            known.map_or(function, |(name, _)| name)
        }
        _ => {
            let module = fields.get("module").and_then(Value::as_str).unwrap_or_default();
            let in_archive = module.starts_with("keras.src.ops") || module.starts_with("keras.ops");
            // HDF5 files of Keras 3 name no modules: what tells a layer is that it says whether it is trained.
            let node = fields.get("inbound_nodes").and_then(|nodes| nodes.get(0));
            let untold = fields
                .get("config")
                .is_some_and(|c| c.is_object() && c.get("trainable").is_none());
            let in_hdf5 =
                module.is_empty() && untold && node.is_some_and(Value::is_object) && operators::is_known(class);
            if !in_archive && !in_hdf5 {
                return None;
            }
            class
        }
    };
    Some(format!("{PREFIX}{name}"))
}

/// What an operator's one call reads, and its arguments beside those of its configuration.
pub(super) fn call(node: &Value, place: &str) -> Result<(Vec<Source>, Map<String, Value>), FormatError> {
    let (mut found, mut arguments) = (Vec::new(), Map::new());
    let (positional, named) = match node {
        Value::Object(fields) => {
            let positional = fields.get("args").and_then(Value::as_array).cloned();
            let named = fields.get("kwargs").and_then(Value::as_object).cloned();
            (positional.unwrap_or_default(), named.unwrap_or_default())
        }
        // References, each with all arguments by name behind it: several are a list.
        other => {
            let references = other.as_array().cloned().unwrap_or_default();
            let references = match references.first() {
                Some(Value::String(_)) => vec![Value::Array(references)],
                _ => references,
            };
            let named = references.iter().find_map(|r| r.get(3)?.as_object().cloned());
            let positional = match <[Value; 1]>::try_from(references) {
                Ok([one]) => vec![one],
                Err(several) => vec![Value::Array(several)],
            };
            (positional, named.unwrap_or_default())
        }
    };
    for (i, value) in positional.iter().enumerate() {
        arguments.insert(format!("#{i}"), resolved(value, place, &mut found)?);
    }
    for (key, value) in &named {
        let value = resolved(value, place, &mut found)?;
        if key != "name" && !value.is_null() {
            arguments.insert(key.clone(), value);
        }
    }
    Ok((found, arguments))
}

/// A value with references to tensors replaced, and wrapped constants as plain ones.
fn resolved(value: &Value, place: &str, found: &mut Vec<Source>) -> Result<Value, FormatError> {
    let mut tensor = |history: &[Value]| {
        let index = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
        let (Some(layer), Some(call), Some(output)) = (history[0].as_str(), index(&history[1]), index(&history[2]))
        else {
            return Err(malformed(
                place,
                format!("{} does not name a tensor", super::attributes::brief(value)),
            ));
        };
        found.push(Source {
            layer: layer.to_owned(),
            call,
            output,
        });
        Ok(json!({ TENSOR: found.len() - 1 }))
    };
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), _, constant, ..] if name == "_CONSTANT_VALUE" => Ok(constant.clone()),
            [Value::String(_), Value::Number(_), Value::Number(_), ..] => tensor(items),
            items => {
                let items = items.iter().map(|v| resolved(v, place, found));
                items.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
        },
        Value::Object(fields) => {
            let config = |key: &str| fields.get("config").and_then(|c| c.get(key)).cloned();
            match fields.get("class_name").and_then(Value::as_str) {
                Some("__keras_tensor__") => {
                    let history = config("keras_history").and_then(|h| h.as_array().cloned());
                    let history = history.filter(|h| h.len() == 3);
                    tensor(&history.ok_or_else(|| malformed(place, "a tensor without `keras_history`"))?)
                }
                Some("__tensor__" | "__numpy__") => Ok(config("value").unwrap_or_default()),
                Some("__slice__" | "__ellipsis__") | None => Ok(value.clone()),
                Some(other) => Err(unsupported(
                    place,
                    format!("is called with a `{other}`"),
                    "use numbers and tensors",
                )),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}
