//! The model's tree walked call by call: layers become nodes, nested models disappear into paths.

use std::collections::{BTreeSet, HashMap, HashSet};

use ir::{Constant, ElementType, Graph, GraphError, InferError, Op, Patch, TensorId, TensorType};

use super::attributes::Attributes;
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

/// One call of a layer, being built.
pub(super) struct Call<'a, 'b> {
    layer: &'a Layer,
    /// Of the node that makes the output.
    name: String,
    arguments: &'a [TensorId],
    build: &'a mut Build<'b>,
}

impl<'a> Call<'a, '_> {
    /// The layer's arguments.
    pub(super) fn attributes(&self) -> &'a Attributes {
        &self.layer.attributes
    }

    /// The layer's class.
    pub(super) fn class(&self) -> &'a str {
        &self.layer.class
    }

    /// Which Keras the file is from: 1, 2, 3.
    pub(super) fn major(&self) -> u32 {
        self.build.major
    }

    /// The only input.
    pub(super) fn input(&self) -> Result<TensorId, FormatError> {
        match self.arguments {
            &[one] => Ok(one),
            many => Err(malformed(
                &self.attributes().place,
                format!("is called with {} tensors, takes one", many.len()),
            )),
        }
    }

    /// All inputs.
    pub(super) fn inputs(&self) -> &'a [TensorId] {
        self.arguments
    }

    /// The type of a tensor's elements.
    pub(super) fn element(&self, tensor: TensorId) -> ElementType {
        self.build.graph.tensor(tensor).ty.element
    }

    /// The dimensions of a tensor.
    pub(super) fn dims(&self, tensor: TensorId) -> Vec<usize> {
        self.build.graph.tensor(tensor).ty.shape.0.clone()
    }

    /// The only input and its `N` dimensions, the first of which is the sample dimension.
    pub(super) fn input_of_rank<const N: usize>(&self) -> Result<(TensorId, [usize; N]), FormatError> {
        let input = self.input()?;
        let dims = self.dims(input);
        let fits = dims.as_slice().try_into().ok();
        let problem = || format!("the input has the shape {dims:?}, expected {N} dimensions with the batch");
        Ok((
            input,
            fits.ok_or_else(|| malformed(&self.attributes().place, problem()))?,
        ))
    }

    /// What a layer inside this one makes of `input`; its weights are this one's.
    pub(super) fn inside(
        &mut self,
        class: &str,
        attributes: Attributes,
        input: TensorId,
    ) -> Result<TensorId, FormatError> {
        let layer = Layer {
            name: self.layer.name.clone(),
            path: self.layer.path.clone(),
            class: class.to_owned(),
            attributes,
            trainable: self.layer.trainable,
            input_shape: None,
            calls: Vec::new(),
            model: None,
        };
        layer.attributes.float_policy()?;
        let build = layers::find(class, &layer.path)?.build;
        let mut call = Call {
            layer: &layer,
            name: format!("{}/each", self.name),
            arguments: &[input],
            build: &mut *self.build,
        };
        let made = build(&mut call)?;
        match layer.attributes.unread().first() {
            None => Ok(made),
            Some(unknown) => Err(layer.attributes.refuse(unknown, "its meaning is unknown; leave it out")),
        }
    }

    /// Refuses something about the layer as a whole.
    pub(super) fn unsupported(&self, problem: impl Into<String>, fix: impl Into<String>) -> FormatError {
        unsupported(&self.attributes().place, problem, fix)
    }

    /// Something is wrong with the layer as a whole.
    pub(super) fn malformed(&self, problem: impl Into<String>) -> FormatError {
        malformed(&self.attributes().place, problem)
    }

    /// The node that makes the layer's output, called like the layer.
    pub(super) fn output(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = self.name.clone();
        self.node(&name, op.into(), inputs)
    }

    /// A further node, `layer/part`.
    pub(super) fn part(&mut self, part: &str, op: impl Into<Op>, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = format!("{}/{part}", self.name);
        self.node(&name, op.into(), inputs)
    }

    /// A node of several outputs, called like the layer.
    pub(super) fn outputs(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Result<Vec<TensorId>, FormatError> {
        let name = self.name.clone();
        let name = self.build.unique(&name);
        self.build.graph.add_many(name, op, inputs).map_err(|e| match e {
            GraphError::Infer { source, .. } => self.infer_error(&source),
            other => graph_error(other),
        })
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> Result<TensorId, FormatError> {
        let name = self.build.unique(name);
        let output = self.build.graph.add(name, op, inputs).map_err(|e| match e {
            GraphError::Infer { source, .. } => self.infer_error(&source),
            other => graph_error(other),
        })?;
        let ty = &self.build.graph.tensor(output).ty;
        if ty.shape.elements() > ELEMENTS {
            return Err(self.unsupported(format!("makes {ty}, too large a tensor"), "check the input shape"));
        }
        Ok(output)
    }

    fn infer_error(&self, source: &InferError) -> FormatError {
        self.malformed(source.to_string())
    }

    /// A constant that is no trained weight, `layer/part`; shared between the calls of a layer.
    pub(super) fn constant(&mut self, part: &str, shape: &[usize], values: Vec<f32>) -> Result<TensorId, FormatError> {
        let name = format!("{}/{part}", self.layer.path);
        if let Some(&made) = self.build.constants.get(&name) {
            return Ok(made);
        }
        let data = Constant::f32(shape, values);
        let data = data.ok_or_else(|| self.malformed(format!("`{part}` does not have the shape {shape:?}")))?;
        Ok(self.add_constant(name, data))
    }

    /// Indices along a dimension, as a constant `layer/part`.
    pub(super) fn indices(&mut self, part: &str, values: impl Iterator<Item = usize>) -> Result<TensorId, FormatError> {
        let values: Option<Vec<i32>> = values.map(|v| v.try_into().ok()).collect();
        let data = values.and_then(|values| Constant::i32([values.len()], values));
        let data = data.ok_or_else(|| self.malformed("a dimension is too long to be indexed"))?;
        let name = format!("{}/{part}", self.name);
        Ok(self.add_constant(name, data))
    }

    fn add_constant(&mut self, name: String, data: Constant) -> TensorId {
        let unique = self.build.unique(&name);
        let id = self.build.graph.constant(unique, data);
        self.build.constants.insert(name, id);
        id
    }

    /// A weight that must have the shape `stored`, then permuted by `axes` and reshaped to `shape`; `layer/role`.
    ///
    /// One that is missing or does not fit is noted, and the import goes on with zeros to find the others.
    pub(super) fn weight(
        &mut self,
        role: &str,
        stored: &[usize],
        axes: &[usize],
        shape: &[usize],
    ) -> Result<TensorId, FormatError> {
        let name = format!("{}/{role}", self.layer.path);
        if let Some(&made) = self.build.constants.get(&name) {
            return Ok(made);
        }
        let data = match self.take(role, stored, &name) {
            Ok(values) => Constant::f32(stored, values)
                .and_then(|c| c.permuted(axes))
                .and_then(|c| c.reshaped(shape)),
            Err(problem) => {
                self.build.weights.problems.push(problem);
                let elements = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
                let Some(left) = self.build.stand_ins.checked_sub(elements) else {
                    return Err(FormatError::Weights {
                        format: Format::Keras,
                        problems: std::mem::take(&mut self.build.weights.problems),
                    });
                };
                self.build.stand_ins = left;
                Constant::f32(shape, vec![0.0; elements])
            }
        };
        let data = data.ok_or_else(|| self.malformed(format!("`{role}` {stored:?} cannot become {shape:?}")))?;
        Ok(self.add_constant(name, data))
    }

    /// The shape of a weight in the file, where the arguments do not tell it.
    pub(super) fn stored_shape(&self, role: &str) -> Option<Vec<usize>> {
        let name = format!("{}/{role}", self.layer.path);
        let made = self.build.constants.get(&name).map(|&id| self.dims(id));
        made.or_else(|| Some(self.build.weights.shape(&self.layer.path, role)?.to_vec()))
    }

    /// A one-dimensional weight.
    pub(super) fn vector(&mut self, role: &str, n: usize) -> Result<TensorId, FormatError> {
        self.weight(role, &[n], &[0], &[n])
    }

    /// The values of a weight that the graph does not hold as they are.
    pub(super) fn values(&mut self, role: &str, shape: &[usize]) -> Result<Vec<f32>, FormatError> {
        let id = self.weight(role, shape, &(0..shape.len()).collect::<Vec<_>>(), shape)?;
        let data = self.build.graph.constant_data(id).and_then(Constant::as_f32);
        Ok(data.unwrap_or_default().to_vec())
    }

    fn take(&mut self, role: &str, expected: &[usize], name: &str) -> Result<Vec<f32>, String> {
        let stored = self.build.weights.take(&self.layer.path, role);
        let stored = stored.ok_or_else(|| format!("{name}: missing, expected {expected:?}"))?;
        let values = stored
            .values
            .map_err(|ty| format!("{name}: `{}` holds {ty}, expected floats", stored.name))?;
        if stored.shape != expected {
            return Err(format!(
                "{name}: `{}` has the shape {:?}, expected {expected:?}",
                stored.name, stored.shape
            ));
        }
        let bad = values.iter().filter(|v| !v.is_finite()).count();
        if bad > 0 && !self.build.options.allow_non_finite {
            let first = values.iter().position(|v| !v.is_finite()).unwrap_or_default();
            let n = values.len();
            return Err(format!(
                "{name}: {bad} of {n} values are not finite (the first, {}, at {first}); the training that made them diverged",
                values[first]
            ));
        }
        Ok(values)
    }
}
