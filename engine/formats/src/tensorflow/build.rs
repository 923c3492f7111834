//! From a flat list of operations to a graph.

use std::collections::{BTreeMap, HashMap};

use ir::ops::Identity;
use ir::passes;
use ir::{ElementType, Graph, GraphError, SampleAxis, Stated, TensorType};

use super::call::{Call, Made};
use super::checkpoint::Variables;
use super::flatten::{Flat, Primitive, Value};
use super::known::{Known, evaluate};
use super::proto::{NodeDef, Signature, TensorInfo, attribute, dtype};
use super::{DEFAULT, ImportOptions, malformed, operators, unsupported};
use crate::{Format, FormatError};

pub(super) fn graph(
    mut flat: Flat<'_>,
    variables: Variables<'_>,
    signatures: &HashMap<String, Signature>,
    options: &ImportOptions,
) -> Result<Graph, FormatError> {
    let (name, signature) = choose(signatures, options.signature.as_deref())?;
    let place = format!("signature `{name}`");
    let mut build = Build {
        graph: Graph::new(name),
        made: HashMap::new(),
    };
    let inputs: BTreeMap<&String, &TensorInfo> = signature.inputs.iter().collect();
    if options.input_shape.is_some() && inputs.len() > 1 {
        let problem = format!("has {} inputs, but one input shape is given", inputs.len());
        return Err(unsupported(place, problem, "save the model with fixed shapes"));
    }
    for (key, info) in inputs {
        let value = flat.value(&info.name)?;
        let (shape, samples) = input_shape(key, info, options)?;
        let element = match info.dtype {
            dtype::FLOAT | dtype::DOUBLE | dtype::HALF => ElementType::F32,
            dtype::INT32 => ElementType::I32,
            dtype::INT64 => ElementType::I64,
            _ => {
                let fix = "save a signature that takes floats";
                return Err(unsupported(
                    format!("input `{key}`"),
                    "is of a type that is not read",
                    fix,
                ));
            }
        };
        let input = build.graph.input(key.clone(), TensorType::new(element, shape));
        let stated = Stated {
            samples,
            ..Stated::default()
        };
        build.graph.state(build.graph.inputs().len() - 1, stated);
        build.made.insert(value, Made::Tensor(input));
    }
    let outputs: BTreeMap<&String, &TensorInfo> = signature.outputs.iter().collect();
    if outputs.is_empty() {
        return Err(malformed(place, "has no outputs"));
    }
    let mut wanted = Vec::new();
    for info in outputs.values() {
        wanted.push(flat.value(&info.name)?);
    }
    for (primitive, inputs) in flat.order(&wanted)? {
        build.operation(&flat, &variables, primitive, &inputs)?;
    }
    let mut ids = Vec::new();
    for (key, value) in outputs.keys().zip(&wanted) {
        let id = match build.made.get(value) {
            Some(Made::Tensor(id)) => *id,
            Some(Made::Known(known)) => {
                let name = build.graph.fresh_name(key);
                let constant = known.constant();
                let problem = || malformed(format!("output `{key}`"), "is of a type that is not read");
                build.graph.constant(name, constant.ok_or_else(problem)?)
            }
            None => return Err(malformed(format!("output `{key}`"), "is made by no node")),
        };
        let graph = &mut build.graph;
        // An output of its own keeps its name: what is an input, or returned under another name already, is copied.
        if graph.inputs().contains(&id) || ids.contains(&id) {
            let name = graph.fresh_name(key);
            ids.push(graph.add(name, Identity {}, &[id]).map_err(invalid)?);
            continue;
        }
        if graph.find(key).is_none() {
            graph.tensor_mut(id).name.clone_from(key);
        }
        ids.push(id);
    }
    build.graph.set_outputs(&ids);
    build.graph.normalize().map_err(invalid)?;
    build.graph.verify().map_err(invalid)?;
    passes::dilate(&mut build.graph).map_err(invalid)?;
    build.graph.settle_samples();
    Ok(build.graph)
}

fn choose<'a>(
    signatures: &'a HashMap<String, Signature>,
    wanted: Option<&str>,
) -> Result<(&'a str, &'a Signature), FormatError> {
    let mut usable: Vec<_> = signatures.iter().filter(|(_, s)| !s.inputs.is_empty()).collect();
    usable.sort_by_key(|(name, _)| *name);
    let names = || {
        usable
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = match (wanted, usable.as_slice()) {
        (None, [only]) => Some(only),
        _ => usable.iter().find(|(name, _)| *name == wanted.unwrap_or(DEFAULT)),
    };
    let (name, signature) = found.ok_or_else(|| {
        let problem = format!("there is no signature `{}`", wanted.unwrap_or(DEFAULT));
        let fix = if usable.is_empty() {
            "save the model with `model.export(…)` or with `signatures=`".to_owned()
        } else {
            format!("name one of: {}", names())
        };
        unsupported("the file", problem, fix)
    })?;
    Ok((name, signature))
}

/// The shape of an input, an open batch being 1, and where its samples are. A given shape is that of one sample, or that of the
/// whole input where it counts no samples.
fn input_shape(key: &str, info: &TensorInfo, options: &ImportOptions) -> Result<(Vec<usize>, SampleAxis), FormatError> {
    let place = format!("input `{key}`");
    let stated = info.shape.as_ref().filter(|shape| !shape.unknown_rank);
    if let Some(given) = &options.input_shape {
        if stated.is_some_and(|shape| shape.dims.len() == given.len()) {
            return Ok((given.clone(), SampleAxis::Nowhere));
        }
        let batch = stated.and_then(|shape| usize::try_from(shape.dims.first()?.size).ok());
        let shape = std::iter::once(batch.unwrap_or(1)).chain(given.iter().copied());
        return Ok((shape.collect(), SampleAxis::First));
    }
    let open = || {
        let fix = "give `input-shape: [height, width, channels]` (`--input-shape`)";
        unsupported(&place, "its shape is not fixed in the file", fix)
    };
    let dims = &stated.ok_or_else(open)?.dims;
    let extent = |(i, size): (usize, i64)| match usize::try_from(size) {
        Ok(fixed) => Ok(fixed),
        Err(_) if i == 0 => Ok(1),
        Err(_) => Err(open()),
    };
    let shape: Result<Vec<usize>, _> = dims.iter().map(|d| d.size).enumerate().map(extent).collect();
    Ok((shape?, SampleAxis::First))
}

pub(super) fn invalid(source: GraphError) -> FormatError {
    FormatError::Graph {
        format: Format::TensorFlow,
        source,
    }
}

struct Build {
    graph: Graph,
    made: HashMap<Value, Made>,
}

impl Build {
    fn operation(
        &mut self,
        flat: &Flat<'_>,
        variables: &Variables<'_>,
        primitive: Primitive,
        inputs: &[Value],
    ) -> Result<(), FormatError> {
        if self.made.contains_key(&Value {
            node: primitive,
            output: 0,
        }) {
            return Ok(()); // an input of the signature
        }
        let (node, place) = (flat.node(primitive), flat.place(primitive));
        let made = match node.op.as_str() {
            "Const" => {
                let Some(attribute::Value::Tensor(tensor)) =
                    node.attributes.get("value").and_then(|a| a.value.as_ref())
                else {
                    return Err(malformed(place, "has no value"));
                };
                match Known::of_proto(tensor) {
                    Some(known) => vec![Made::Known(known)],
                    // Texts and the like: whoever reads it will say so.
                    None => Vec::new(),
                }
            }
            "VarHandleOp" | "VariableV2" => vec![Made::Known(variables.value(primitive, &node.name)?)],
            "Placeholder" => {
                let fix = "choose a signature that states all inputs";
                return Err(unsupported(place, "is fed, but no input of the signature", fix));
            }
            _ => {
                let inputs = inputs.iter().map(|value| {
                    let made = self.made.get(value).cloned();
                    let reader = || {
                        let read = flat.place(value.node);
                        unsupported(
                            &place,
                            format!("reads output {} of {read}", value.output),
                            "freeze it to a number",
                        )
                    };
                    made.ok_or_else(reader)
                });
                let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
                self.compute(node, place, inputs)?
            }
        };
        for (output, made) in made.into_iter().enumerate() {
            self.made.insert(
                Value {
                    node: primitive,
                    output,
                },
                made,
            );
        }
        Ok(())
    }

    fn compute(&mut self, node: &NodeDef, place: String, inputs: Vec<Made>) -> Result<Vec<Made>, FormatError> {
        if let ("Shape", [Made::Tensor(tensor)]) = (node.op.as_str(), inputs.as_slice()) {
            let dims: Vec<i64> = self
                .graph
                .tensor(*tensor)
                .ty
                .shape
                .dims()
                .iter()
                .map(|&d| d as i64)
                .collect();
            return Ok(vec![Made::Known(Known::ints(vec![dims.len()], dims))]);
        }
        let known: Option<Vec<&Known>> = inputs
            .iter()
            .map(|made| match made {
                Made::Known(known) => Some(known),
                Made::Tensor(_) => None,
            })
            .collect();
        if let Some(result) = known.and_then(|known| evaluate(node, &known)) {
            return Ok(vec![Made::Known(result)]);
        }
        let outputs = operators::build(&mut Call::new(&mut self.graph, node, place, inputs))?;
        Ok(outputs.into_iter().map(Made::Tensor).collect())
    }
}
