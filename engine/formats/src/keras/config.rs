//! The architecture: `model_config` as Keras 1, 2 and 3 write it, parsed into one tree.
//!
//! What differs between the versions and is settled here: a sequential model is a list or an object; calls are
//! `[["name", 0, 0, {}]]` or `{"args": [{"class_name": "__keras_tensor__", …}], "kwargs": {}}`; a nested model's own calls are counted
//! from 1 up to Keras 2 and from 0 in Keras 3. Past this file a model is layers, each with its calls, whatever it was.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::attributes::{Attributes, brief, extent};
use super::layers::attention;
use super::layers::training::AUGMENTATIONS;
use super::{keras1, layer_place, malformed, operation, unsupported};
use crate::FormatError;

/// A model, sequential or functional.
#[derive(Debug)]
pub(super) struct Model {
    /// Its name.
    pub name: String,
    /// The layers in the order of the file.
    pub layers: Vec<Layer>,
    /// What it takes.
    pub inputs: Vec<Source>,
    /// What it returns.
    pub outputs: Vec<Source>,
    /// Which Keras wrote it: 1, 2, 3.
    pub major: u32,
}

/// A layer and everywhere it is called.
#[derive(Debug)]
pub(super) struct Layer {
    /// Unique among the layers of its model.
    pub name: String,
    /// The names of the models around it and its own, joined by `/`.
    pub path: String,
    /// `Conv2D`, in the words of Keras 2 and 3.
    pub class: String,
    /// Its arguments.
    pub attributes: Attributes,
    /// Whether its weights are trained, which decides their order in files.
    pub trainable: bool,
    /// The sample shape that it is declared with, `None` for open dimensions.
    pub input_shape: Option<Vec<Option<usize>>>,
    /// What each call reads.
    pub calls: Vec<Vec<Source>>,
    /// The model that it is, when it is one.
    pub model: Option<Model>,
}

/// One output of one call of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The layer.
    pub layer: String,
    /// Which of its calls, from 0.
    pub call: usize,
    /// Which output of the call.
    pub output: usize,
}

/// Class names of models.
const MODELS: [&str; 3] = ["Sequential", "Functional", "Model"];

/// Parses a configuration. `version` is the one stated beside it; the JSON may state its own.
pub(super) fn parse(json: &str, version: Option<&str>) -> Result<Model, FormatError> {
    let value: Value = serde_json::from_str(json).map_err(|e| malformed("model_config", e.to_string()))?;
    let root = object(&value, "model_config")?;
    let class = root.get("class_name").and_then(Value::as_str).unwrap_or_default();
    if !MODELS.contains(&class) {
        let fix = "only sequential and functional models can be rebuilt from a file; wrap a subclassed model in one";
        return Err(unsupported("model_config", format!("the model is a `{class}`"), fix));
    }
    let config = root
        .get("config")
        .ok_or_else(|| malformed("model_config", "has no `config`"))?;
    let version = version.or_else(|| root.get("keras_version")?.as_str());
    let stated = version.and_then(|v| v.split('.').next()?.parse().ok());
    // Files of weights alone state no version: only Keras 3 writes `batch_shape`.
    let major = stated.unwrap_or_else(|| if json.contains("\"batch_shape\"") { 3 } else { 2 });
    let mut model = model(class, config, "", major, "sequential")?;
    if class == "Sequential"
        && let Some(shape) = config.get("build_input_shape").and_then(sample_shape)
        && let Some(input) = model.layers.first_mut()
    {
        input.input_shape.get_or_insert(shape);
    }
    Ok(model)
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, FormatError> {
    value
        .as_object()
        .ok_or_else(|| malformed(place, format!("is {}, expected an object", brief(value))))
}

fn array<'a>(value: Option<&'a Value>, place: &str, key: &str) -> Result<&'a [Value], FormatError> {
    let items = value.and_then(Value::as_array);
    Ok(items
        .ok_or_else(|| malformed(place, format!("`{key}` is missing or not a list")))?
        .as_slice())
}

/// `config` of a model; `prefix` is the path of the models around its layers, with a slash at the end.
fn model(class: &str, config: &Value, prefix: &str, major: u32, name: &str) -> Result<Model, FormatError> {
    let place = if prefix.is_empty() {
        "model_config"
    } else {
        prefix.trim_end_matches('/')
    };
    let name = config.get("name").and_then(Value::as_str).unwrap_or(name).to_owned();
    let list = config
        .as_array()
        .map_or_else(|| array(config.get("layers"), place, "layers"), |l| Ok(l.as_slice()))?;
    let mut layers = list
        .iter()
        .map(|v| layer(v, prefix, major))
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    if let Some(twice) = layers.iter().find(|l| !seen.insert(l.name.as_str())) {
        return Err(malformed(place, format!("two layers are named `{}`", twice.name)));
    }
    let (inputs, outputs) = if class == "Sequential" {
        chain(&mut layers, prefix);
        let ends = layers.first().zip(layers.last());
        let (first, last) = ends.ok_or_else(|| malformed(place, "the model has no layers"))?;
        (vec![first_output(first)], vec![first_output(last)])
    } else {
        for (layer, value) in layers.iter_mut().zip(list) {
            let place = layer_place(&layer.path);
            if layer.class.starts_with(operation::PREFIX) {
                operator(layer, array(value.get("inbound_nodes"), &place, "inbound_nodes")?)?;
                continue;
            }
            for node in array(value.get("inbound_nodes"), &place, "inbound_nodes")? {
                layer.calls.push(call(node, &layer.class, &place)?);
            }
        }
        let ends = |key| {
            let mut found = Vec::new();
            let value = config
                .get(key)
                .ok_or_else(|| malformed(place, format!("`{key}` is missing")))?;
            sources(value, &format!("{place}: {key}"), &mut found)?;
            Ok::<_, FormatError>(found)
        };
        let (mut inputs, mut outputs) = (ends("input_layers")?, ends("output_layers")?);
        count_calls_from_0(&mut layers, &mut inputs, &mut outputs, major);
        (inputs, outputs)
    };
    Ok(Model {
        name,
        layers,
        inputs,
        outputs,
        major,
    })
}

fn layer(value: &Value, prefix: &str, major: u32) -> Result<Layer, FormatError> {
    let place = if prefix.is_empty() {
        "model_config"
    } else {
        prefix.trim_end_matches('/')
    };
    let fields = object(value, place)?;
    let class = fields.get("class_name").and_then(Value::as_str).unwrap_or_default();
    // A registered name, `package>Class`; Keras' own package needs no mention.
    let class = class.strip_prefix("keras.layers>").unwrap_or(class);
    let config = fields
        .get("config")
        .ok_or_else(|| malformed(place, format!("a `{class}` has no `config`")))?;
    let name = config
        .get("name")
        .or_else(|| fields.get("name"))
        .and_then(Value::as_str);
    let name = name
        .filter(|n| !n.is_empty())
        .unwrap_or(if config.is_array() { "sequential" } else { "" });
    if name.is_empty() {
        return Err(malformed(place, format!("a `{class}` has no name")));
    }
    let path = format!("{prefix}{name}");
    let mut arguments = config.as_object().cloned().unwrap_or_default();
    let shape = arguments
        .get("batch_shape")
        .or_else(|| arguments.get("batch_input_shape"));
    let input_shape = match shape {
        Some(shape) if !shape.is_null() => Some(
            sample_shape(shape)
                .ok_or_else(|| malformed(layer_place(&path), format!("{} is not a shape", brief(shape))))?,
        ),
        _ => None,
    };
    let trainable = arguments.get("trainable").and_then(Value::as_bool).unwrap_or(true);
    let nested = MODELS.contains(&class);
    let operator = if nested { None } else { operation::class(class, fields) };
    let model = if nested {
        Some(model(class, config, &format!("{path}/"), major, name)?)
    } else {
        None
    };
    let class = if let Some(operator) = operator {
        operator
    } else if nested {
        class.to_owned()
    } else {
        keras1::modernize(class, &mut arguments)
    };
    let arguments = if nested { Map::new() } else { arguments };
    Ok(Layer {
        name: name.to_owned(),
        attributes: Attributes::new(format!("{} ({class})", layer_place(&path)), arguments),
        path,
        class,
        trainable,
        input_shape,
        calls: Vec::new(),
        model,
    })
}

/// The sample's dimensions of `[null, 8, 8, 3]`, the batch dimension left out.
fn sample_shape(value: &Value) -> Option<Vec<Option<usize>>> {
    const RANK: usize = 8;
    // Keras 3 may write several inputs' shapes by name; a single tensor's is a list.
    let dims = value.as_array().filter(|d| (1..=RANK).contains(&d.len()))?;
    let open = |v: &Value| {
        if v.is_null() {
            Some(None)
        } else {
            extent(v, 1).map(Some)
        }
    };
    dims[1..].iter().map(open).collect()
}

fn first_output(layer: &Layer) -> Source {
    Source {
        layer: layer.name.clone(),
        call: 0,
        output: 0,
    }
}

/// Gives each layer of a sequential model its one call, and the model an input layer where the file leaves it out.
fn chain(layers: &mut Vec<Layer>, prefix: &str) {
    if let Some(first) = layers.first().filter(|l| l.class != "InputLayer") {
        let name = format!("{}_input", first.name);
        let path = format!("{prefix}{name}");
        let input = Layer {
            attributes: Attributes::new(format!("{} (InputLayer)", layer_place(&path)), Map::new()),
            path,
            name,
            class: "InputLayer".to_owned(),
            trainable: true,
            input_shape: declared_shape(first),
            calls: Vec::new(),
            model: None,
        };
        layers.insert(0, input);
    }
    for i in 1..layers.len() {
        layers[i].calls = vec![vec![first_output(&layers[i - 1])]];
    }
}

/// The input shape that a layer, or the first one inside it, was declared with.
fn declared_shape(layer: &Layer) -> Option<Vec<Option<usize>>> {
    let inner = || {
        let model = layer.model.as_ref()?;
        let input = model.inputs.first()?;
        model.layers.iter().find(|l| l.name == input.layer)?.input_shape.clone()
    };
    layer.input_shape.clone().or_else(inner)
}

/// Gives an operator its one call, with the call's arguments among its own.
fn operator(layer: &mut Layer, nodes: &[Value]) -> Result<(), FormatError> {
    let place = layer_place(&layer.path);
    let [node] = nodes else {
        let problem = format!("is called {} times", nodes.len());
        return Err(unsupported(place, problem, "call the operator once for each result"));
    };
    let (sources, arguments) = operation::call(node, &place)?;
    layer.attributes.extend(arguments);
    layer.calls.push(sources);
    Ok(())
}

/// What a call reads. Arguments that are no tensors must mean nothing at inference.
fn call(node: &Value, class: &str, place: &str) -> Result<Vec<Source>, FormatError> {
    if class == attention::CLASS {
        return attention_call(node, place);
    }
    let mut found = Vec::new();
    match node.as_object() {
        Some(fields) => {
            if let Some(arguments) = fields.get("args") {
                sources(arguments, place, &mut found)?;
            }
            if let Some(Value::Object(named)) = fields.get("kwargs") {
                // At calls of these Keras 3 notes `training=True`, its default there, whatever happens at inference.
                let of_images = AUGMENTATIONS.contains(&class) || ["CenterCrop", "Resizing"].contains(&class);
                idle(named, of_images, place)?;
            }
        }
        None => sources(node, place, &mut found)?,
    }
    Ok(found)
}

/// Query, value and, where it is another tensor, key of an attention layer: by position or by name. Masks are refused by name.
///
/// Keras 2 writes one reference, the query's, with all else by name: `[["x", 0, 0, {"value": ["x", 0, 0]}]]`.
fn attention_call(node: &Value, place: &str) -> Result<Vec<Source>, FormatError> {
    let mut positional: Vec<Value> = Vec::new();
    let mut named = Map::new();
    match node {
        Value::Object(fields) => {
            positional.extend(
                fields
                    .get("args")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
            named.extend(
                fields
                    .get("kwargs")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
            );
        }
        _ => {
            for reference in node.as_array().into_iter().flatten() {
                let mut parts = reference.as_array().cloned().unwrap_or_default();
                if let Some(Value::Object(by_name)) = parts.get(3) {
                    named.extend(by_name.clone());
                    parts.truncate(3);
                }
                positional.push(parts.into());
            }
        }
    }
    let mut found = Vec::new();
    for (i, role) in ["query", "value", "key"].into_iter().enumerate() {
        let by_name = named.remove(role);
        let given = positional.get(i).or(by_name.as_ref()).filter(|value| !value.is_null());
        let Some(given) = given else {
            if role == "key" {
                continue;
            }
            return Err(malformed(place, format!("is called without `{role}`")));
        };
        sources(given, place, &mut found)?;
        if found.len() != i + 1 {
            return Err(malformed(
                place,
                format!("its `{role}` is {}, expected one tensor", brief(given)),
            ));
        }
    }
    if positional
        .iter()
        .skip(3)
        .any(|value| !value.is_null() && *value != Value::Bool(false))
    {
        let fix = "call it with query, value and key alone";
        return Err(unsupported(place, "is called with a mask", fix));
    }
    idle(&named, false, place)?;
    Ok(found)
}

/// Collects the references to tensors in a value, in order.
fn sources(value: &Value, place: &str, found: &mut Vec<Source>) -> Result<(), FormatError> {
    let index = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => match items.as_slice() {
            [Value::String(layer), call, output, rest @ ..] if call.is_number() => {
                let (Some(call), Some(output)) = (index(call), index(output)) else {
                    return Err(malformed(place, format!("{} does not name a tensor", brief(value))));
                };
                if let Some(Value::Object(named)) = rest.first() {
                    idle(named, false, place)?;
                }
                found.push(Source {
                    layer: layer.clone(),
                    call,
                    output,
                });
                Ok(())
            }
            items => items.iter().try_for_each(|v| sources(v, place, found)),
        },
        Value::Object(fields) => match fields.get("class_name").and_then(Value::as_str) {
            Some("__keras_tensor__") => {
                let history = fields.get("config").and_then(|c| c.get("keras_history"));
                let history = history.ok_or_else(|| malformed(place, "a tensor without `keras_history`"))?;
                sources(history, place, found)
            }
            // Several inputs or outputs by name.
            None => fields.values().try_for_each(|v| sources(v, place, found)),
            Some(_) => Err(constant(value, place)),
        },
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(constant(value, place)),
    }
}

fn constant(value: &Value, place: &str) -> FormatError {
    let problem = format!("is called with the constant {}", brief(value));
    unsupported(
        place,
        problem,
        "use layers (Rescaling, Add, Multiply) instead of arithmetic on tensors",
    )
}

/// Refuses keyword arguments of a call that change what it computes.
fn idle(named: &Map<String, Value>, image_layer: bool, place: &str) -> Result<(), FormatError> {
    for (key, value) in named {
        let harmless =
            value.is_null() || *value == Value::Bool(false) || key == "name" || (image_layer && key == "training");
        if !harmless {
            let problem = format!("is called with `{key}` = {}", brief(value));
            return Err(unsupported(
                place,
                problem,
                "save the model for inference, without call arguments",
            ));
        }
    }
    Ok(())
}

/// Up to Keras 2 a nested model that knows its input has had a call before its first one: its own. Subtracts it.
///
/// Source: `_should_skip_first_node` of tf.keras' functional models, `kept_nodes` in Keras 1 and 2.
fn count_calls_from_0(layers: &mut [Layer], inputs: &mut [Source], outputs: &mut [Source], major: u32) {
    if major >= 3 {
        return;
    }
    let references = inputs
        .iter()
        .chain(&*outputs)
        .chain(layers.iter().flat_map(|l| l.calls.iter().flatten()));
    let from_0: HashSet<&str> = references.filter(|s| s.call == 0).map(|s| s.layer.as_str()).collect();
    let nested = layers
        .iter()
        .filter(|l| l.model.is_some() && !from_0.contains(l.name.as_str()));
    let from_1: HashSet<String> = nested.map(|l| l.name.clone()).collect();
    let calls = layers.iter_mut().flat_map(|l| l.calls.iter_mut().flatten());
    for source in calls.chain(inputs).chain(outputs) {
        if from_1.contains(&source.layer) {
            source.call -= 1;
        }
    }
}
