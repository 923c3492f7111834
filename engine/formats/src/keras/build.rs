//! The model's tree walked call by call: layers become nodes, nested models disappear into paths.

mod call;

pub(super) use call::Call;

use std::collections::{BTreeSet, HashMap, HashSet};

use ir::{ElementType, Graph, GraphError, Patch, TensorId, TensorType};

use super::config::{Layer, Model, Source};
use super::hdf5::StoredWeights;
use super::layers::embedding::CLASS;
use super::operation::PREFIX;
use super::weights::{self, Assigned};
use super::{ImportOptions, layer_place, layers, malformed, unsupported};
use crate::{Format, FormatError};

/// Calls in all, those inside nested models counted each time: an end to models that multiply.
const CALLS: usize = 50_000;
/// Elements of a tensor. TFLite counts them in 32 bits.
const ELEMENTS: usize = i32::MAX as usize;
/// Elements that stand in for missing weights, so that the rest is checked too.
const STAND_IN: usize = 1 << 22;

/// The graph of a model.
pub(super) fn graph(model: &Model, stored: StoredWeights, options: &ImportOptions) -> Result<Graph, FormatError> {
    let mut build = Build {
        graph: Graph::new(&model.name),
        names: HashSet::new(),
        constants: HashMap::new(),
        weights: weights::assign(model, stored)?,
        stand_ins: STAND_IN,
        calls: 0,
        major: model.major,
        options,
    };
    let mut inputs = Vec::new();
    for source in &model.inputs {
        let layer = model.layers.iter().find(|l| l.name == source.layer);
        let layer = layer.ok_or_else(|| no_layer("input_layers", &source.layer))?;
        let shape = build.input_shape(layer, model.inputs.len())?;
        let name = build.unique(&layer.name);
        let element = if counts_rows(model, layer) {
            ElementType::I32
        } else {
            ElementType::F32
        };
        inputs.push(build.graph.input(name, TensorType::new(element, shape)));
    }
    let outputs = build.model(model, "", &inputs)?;
    if !build.weights.problems.is_empty() {
        return Err(FormatError::Weights {
            format: Format::Keras,
            problems: build.weights.problems,
        });
    }
    let mut graph = build.graph;
    graph.set_outputs(&outputs);
    // An empty patch: drops layers that no output needs, and verifies.
    let nothing = Patch::new(&graph).done();
    graph.apply(nothing).map_err(graph_error)?;
    Ok(graph)
}

/// Whether an input is declared to be integers, and all that reads it are embeddings. Other layers cast integers to floats.
fn counts_rows(model: &Model, input: &Layer) -> bool {
    let of_input = |source: &Source| source.layer == input.name;
    let mut readers = model
        .layers
        .iter()
        .filter(|layer| layer.calls.iter().flatten().any(of_input))
        .peekable();
    readers.peek().is_some() && readers.all(|layer| layer.class == CLASS) && input.attributes.integers_in()
}

fn no_layer(place: &str, name: &str) -> FormatError {
    malformed(place, format!("no layer of the model is named `{name}`"))
}

fn graph_error(source: GraphError) -> FormatError {
    FormatError::Graph {
        format: Format::Keras,
        source,
    }
}

struct Build<'a> {
    graph: Graph,
    /// Of tensors and nodes.
    names: HashSet<String>,
    /// Constants by the name that they were asked for: calls of a shared layer share them.
    constants: HashMap<String, TensorId>,
    weights: Assigned,
    stand_ins: usize,
    calls: usize,
    major: u32,
    options: &'a ImportOptions,
}

impl Build<'_> {
    /// `name`, or the first free of `name_1`, `name_2`, … .
    fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        let mut n = 0;
        while !self.names.insert(candidate.clone()) {
            n += 1;
            candidate = format!("{name}_{n}");
        }
        candidate
    }

    /// `[1, …]` of an input, open dimensions filled in.
    fn input_shape(&self, layer: &Layer, inputs: usize) -> Result<Vec<usize>, FormatError> {
        layer.attributes.float_input()?;
        let given = self.options.input_shape.as_deref();
        if given.is_some() && inputs != 1 {
            let fix = "save the model with fixed input shapes instead";
            return Err(unsupported(
                layer_place(&layer.path),
                format!("one input shape was given for {inputs} inputs"),
                fix,
            ));
        }
        let declared = match (&layer.input_shape, given) {
            (Some(dims), _) => dims.clone(),
            (None, Some(given)) => vec![None; given.len()],
            (None, None) => return Err(open_shape(layer, "is not declared")),
        };
        let text = || {
            declared
                .iter()
                .map(|d| d.map_or("?".to_owned(), |d| d.to_string()))
                .collect::<Vec<_>>()
                .join(",")
        };
        if let Some(given) = given {
            let agrees = |(&d, &g): (&Option<usize>, &usize)| g > 0 && d.is_none_or(|d| d == g);
            if given.len() != declared.len() || !declared.iter().zip(given).all(agrees) {
                let problem = format!("the given input shape {given:?} does not fit the declared [{}]", text());
                return Err(malformed(layer_place(&layer.path), problem));
            }
        }
        let dims = declared
            .iter()
            .enumerate()
            .map(|(i, d)| d.or_else(|| given?.get(i).copied()));
        let dims: Option<Vec<usize>> = std::iter::once(Some(1)).chain(dims).collect();
        dims.ok_or_else(|| open_shape(layer, &format!("is [{}]", text())))
    }

    /// The layers of one model, in the order in which their inputs become ready; `prefix` ends with a slash unless empty.
    fn model(&mut self, model: &Model, prefix: &str, inputs: &[TensorId]) -> Result<Vec<TensorId>, FormatError> {
        let place = if prefix.is_empty() {
            "model_config"
        } else {
            prefix.trim_end_matches('/')
        };
        let index: HashMap<&str, usize> = model
            .layers
            .iter()
            .enumerate()
            .map(|(i, l)| (l.name.as_str(), i))
            .collect();
        if inputs.len() != model.inputs.len() {
            let problem = format!("takes {} inputs, is called with {}", model.inputs.len(), inputs.len());
            return Err(malformed(place, problem));
        }
        let mut made: HashMap<(usize, usize), Vec<TensorId>> = HashMap::new();
        for (source, &tensor) in model.inputs.iter().zip(inputs) {
            let layer = *index
                .get(source.layer.as_str())
                .ok_or_else(|| no_layer(place, &source.layer))?;
            made.insert((layer, source.call), vec![tensor]);
        }
        for (layer, call) in order(model, &index, &made)? {
            let source = &model.layers[layer];
            let place = layer_place(&source.path);
            let arguments = source.calls[call].iter().map(|s| find(&made, &index, s, &place));
            let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
            made.insert((layer, call), self.call(source, call, prefix, &arguments)?);
        }
        model.outputs.iter().map(|s| find(&made, &index, s, place)).collect()
    }

    fn call(
        &mut self,
        layer: &Layer,
        call: usize,
        prefix: &str,
        arguments: &[TensorId],
    ) -> Result<Vec<TensorId>, FormatError> {
        self.calls += 1;
        if self.calls > CALLS {
            let fix = "build a smaller model";
            return Err(unsupported(
                layer_place(&layer.path),
                format!("the model has more than {CALLS} calls of layers"),
                fix,
            ));
        }
        let again = if call == 0 { String::new() } else { format!("_{call}") };
        let name = format!("{prefix}{}{again}", layer.name);
        if let Some(model) = &layer.model {
            return self.model(model, &format!("{name}/"), arguments);
        }
        layer.attributes.float_policy()?;
        let mut call = Call {
            layer,
            name,
            arguments,
            build: self,
        };
        let outputs = if layer.class.starts_with(PREFIX) {
            layers::operators::build(&mut call)?
        } else {
            let build = layers::find(&layer.class, &layer.path)?.build;
            vec![build(&mut call)?]
        };
        match layer.attributes.unread().as_slice() {
            [] => Ok(outputs),
            unknown => {
                let problem = format!("the arguments `{}` are not supported", unknown.join("`, `"));
                let fix = "their meaning is unknown, so the result could be wrong; leave them out";
                Err(unsupported(&layer.attributes.place, problem, fix))
            }
        }
    }
}

fn open_shape(layer: &Layer, problem: &str) -> FormatError {
    let fix = "give the size of one sample as the option `input_shape` ([height, width, channels]), \
               or save the model with a fixed size";
    unsupported(layer_place(&layer.path), format!("the input shape {problem}"), fix)
}

fn find(
    made: &HashMap<(usize, usize), Vec<TensorId>>,
    index: &HashMap<&str, usize>,
    source: &Source,
    place: &str,
) -> Result<TensorId, FormatError> {
    let layer = *index
        .get(source.layer.as_str())
        .ok_or_else(|| no_layer(place, &source.layer))?;
    let outputs = made.get(&(layer, source.call));
    outputs.and_then(|o| o.get(source.output)).copied().ok_or_else(|| {
        let Source { layer, call, output } = source;
        malformed(
            place,
            format!("reads output {output} of call {call} of `{layer}`, which does not exist"),
        )
    })
}

/// All calls of a model's layers, each after those that it reads; otherwise in the order of the file.
fn order(
    model: &Model,
    index: &HashMap<&str, usize>,
    given: &HashMap<(usize, usize), Vec<TensorId>>,
) -> Result<Vec<(usize, usize)>, FormatError> {
    let mut waiting: HashMap<(usize, usize), usize> = HashMap::new();
    let mut readers: HashMap<(usize, usize), Vec<(usize, usize)>> = HashMap::new();
    let mut ready = BTreeSet::new();
    for (i, layer) in model.layers.iter().enumerate() {
        for (c, call) in layer.calls.iter().enumerate() {
            let reads = call
                .iter()
                .filter_map(|s| Some((*index.get(s.layer.as_str())?, s.call)));
            let reads: BTreeSet<(usize, usize)> = reads.filter(|key| !given.contains_key(key)).collect();
            waiting.insert((i, c), reads.len());
            if reads.is_empty() {
                ready.insert((i, c));
            }
            for key in reads {
                readers.entry(key).or_default().push((i, c));
            }
        }
    }
    let mut order = Vec::new();
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for reader in readers.get(&next).into_iter().flatten() {
            if let Some(n) = waiting.get_mut(reader) {
                *n -= 1;
                if *n == 0 {
                    ready.insert(*reader);
                }
            }
        }
    }
    if order.len() < waiting.len() {
        let placed: HashSet<_> = order.iter().collect();
        let stuck = waiting.keys().filter(|k| !placed.contains(k)).min();
        let place = stuck.map_or("model_config".to_owned(), |&(i, _)| layer_place(&model.layers[i].path));
        return Err(malformed(
            place,
            "is never reached: it reads a call that does not exist, or its own output",
        ));
    }
    Ok(order)
}
