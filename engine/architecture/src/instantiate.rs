//! [`Architecture`] → IR graph: modules expanded, expressions computed, shapes checked, weights placed.
//!
//! Every layer is visited once, in order. A layer that cannot be built is complained about and hides its output; layers
//! that read something hidden are looked through for mistakes of their own, so that all are reported at once and none twice.

mod inputs;
mod modules;

use std::sync::Arc;

use indexmap::IndexMap;
use ir::{Constant, Graph, GraphError, TensorId};
use recipe::yaml::{Key, Node, Yaml};
use recipe::{Diagnostic, Place, SourceText, Span, suggest};
use serde_json::Value;

use crate::builder::Builder;
use crate::expression::{Binding, Mistake};
use crate::parse::Architecture;
use crate::scope::{Scope, node_of};
use crate::tree::{Block, Blocks, Layer, LayerKind, Modules, Repeat};
use crate::weights::Mismatch;

/// Modules inside modules.
const MAX_DEPTH: usize = 24;
/// Layers of a network.
const MAX_LAYERS: usize = 20_000;
/// Complaints after which the rest is left out.
const MAX_COMPLAINTS: usize = 40;

/// What a network is built with.
#[derive(Debug, Default, Clone)]
pub struct Options<'a> {
    /// Values for parameters of the architecture.
    pub params: IndexMap<String, Value>,
    /// The shape of the only input without the batch, channels last, instead of the file's.
    pub input: Option<Vec<usize>>,
    /// Weights by path names, in the framework's layout; zeros without.
    pub weights: Option<&'a IndexMap<String, Constant>>,
    /// Accept weights that are NaN or infinite.
    pub allow_non_finite: bool,
}

/// A network with what is known of it.
#[derive(Debug, Clone)]
pub struct Built {
    /// The network.
    pub graph: Graph,
    /// Trained values.
    pub parameters: u64,
    /// Values gathered in training: the means and variances of batch norms.
    pub statistics: u64,
}

/// Why there is no network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArchitectureError {
    /// Mistakes in the architecture.
    #[error("{}", lines(.0))]
    Invalid(Vec<Diagnostic>),
    /// Weights that do not fit it.
    #[error(transparent)]
    Weights(Mismatch),
    /// A graph that does not hold together.
    #[error("architecture: {0}")]
    Graph(#[from] GraphError),
}

fn lines(complaints: &[Diagnostic]) -> String {
    complaints
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

impl std::error::Error for Mismatch {}

/// A tensor, or nothing where an earlier mistake hides it.
type Flow = Option<TensorId>;

impl Architecture {
    /// Builds the network.
    ///
    /// # Errors
    /// Every mistake in the architecture that can be told from the others, or everything about the weights that does not fit.
    pub fn build(&self, options: &Options<'_>) -> Result<Built, ArchitectureError> {
        let mut work = Instantiator {
            modules: &self.modules,
            builder: Builder::new(&self.name, options.weights, options.allow_non_finite),
            complaints: Vec::new(),
            depth: 0,
            layers: 0,
        };
        let scope = work.global_scope(self, options);
        let place = Place::from(Span::new(0, 0));
        let frame = Frame {
            source: &self.source,
            site: (&self.source, &place),
            shipped: false,
            scope: &scope,
        };
        let inputs = work.inputs(self, options, &frame);
        let (last, made) = work.layers(&self.network, "", &inputs, &frame);
        let outputs = match &self.outputs {
            None => last,
            Some(names) => names
                .iter()
                .flat_map(|(name, place)| work.reference(name, place, &made, &inputs, &frame))
                .collect(),
        };
        let mut complaints = work.complaints;
        if !complaints.is_empty() {
            complaints.dedup();
            return Err(ArchitectureError::Invalid(complaints));
        }
        let mismatch = work.builder.mismatch();
        if !mismatch.is_empty() {
            return Err(ArchitectureError::Weights(mismatch));
        }
        let (parameters, statistics) = (work.builder.parameters, work.builder.statistics);
        let mut graph = work.builder.graph;
        graph.set_outputs(&outputs.into_iter().flatten().collect::<Vec<_>>());
        graph.normalize()?;
        graph.verify()?;
        Ok(Built {
            graph,
            parameters,
            statistics,
        })
    }
}

/// Where in the tree the work is.
#[derive(Clone, Copy)]
struct Frame<'f> {
    /// The text that places refer to.
    source: &'f Arc<SourceText>,
    /// Where the outermost module that ships was used.
    site: (&'f Arc<SourceText>, &'f Place),
    /// Whether the text ships with the program, so that complaints belong to `site`.
    shipped: bool,
    scope: &'f Scope,
}

struct Instantiator<'a> {
    modules: &'a Modules,
    builder: Builder<'a>,
    complaints: Vec<Diagnostic>,
    depth: usize,
    layers: usize,
}

impl Instantiator<'_> {
    fn complain(&mut self, frame: &Frame<'_>, place: &Place, message: String, help: Option<String>) {
        if self.complaints.len() >= MAX_COMPLAINTS {
            return;
        }
        let (source, place) = if frame.shipped {
            frame.site
        } else {
            (frame.source, place)
        };
        self.complaints
            .push(Diagnostic::new(source, place.clone(), message).maybe_help(help));
    }

    /// The value of a node, or nothing where it is hidden or wrong.
    fn resolve(&mut self, node: &Node, path: &str, frame: &Frame<'_>, scope: &Scope) -> Option<Node> {
        match scope.resolve(node) {
            Ok(resolved) => resolved,
            Err((at, mistake)) => {
                let place = inside(at, &mistake, frame.source);
                let Mistake { message, help, .. } = mistake;
                self.complain(frame, &place, located(path, &message), help);
                None
            }
        }
    }

    /// A truth value; nothing where it is hidden or wrong.
    fn truth(&mut self, node: &Node, path: &str, frame: &Frame<'_>, scope: &Scope) -> Option<bool> {
        let value = self.resolve(node, path, frame, scope)?;
        if let Yaml::Bool(value) = value.value {
            return Some(value);
        }
        let message = located(
            path,
            &format!("{} is not a condition, which is true or false", value.found()),
        );
        self.complain(frame, &node.place, message, None);
        None
    }

    /// A number that counts something, up to a limit.
    fn count(&mut self, node: &Node, what: &str, path: &str, frame: &Frame<'_>, scope: &Scope) -> Option<usize> {
        let value = self.resolve(node, path, frame, scope)?;
        let number = value.plain().as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(number) = number.filter(|&n| n <= MAX_LAYERS) {
            return Some(number);
        }
        let message = located(
            path,
            &format!("{what}: {} is not a whole number up to {MAX_LAYERS}", value.found()),
        );
        self.complain(frame, &node.place, message, None);
        None
    }

    fn dims(&self, flows: &[Flow]) -> Option<Vec<usize>> {
        let id = (*flows.first()?)?;
        Some(self.builder.graph.tensor(id).ty.shape.dims().to_vec())
    }

    /// Builds layers one after another. Returns what the last one makes, and what each one makes.
    fn layers(
        &mut self,
        layers: &[Layer],
        path: &str,
        inputs: &[Flow],
        frame: &Frame<'_>,
    ) -> (Vec<Flow>, IndexMap<String, Vec<Flow>>) {
        let mut made: IndexMap<String, Vec<Flow>> = IndexMap::new();
        let mut last = inputs.to_vec();
        for layer in layers {
            let path = joined(path, &layer.name);
            let read: Vec<Flow> = match &layer.from {
                None => last,
                Some(names) => names
                    .iter()
                    .flat_map(|(name, place)| self.reference(name, place, &made, inputs, frame))
                    .collect(),
            };
            let scope = frame.scope.with_input(self.dims(&read));
            let here = Frame {
                scope: &scope,
                ..*frame
            };
            let present = match &layer.when {
                None => Some(true),
                Some(when) => self.truth(when, &path, &here, &scope),
            };
            last = match present {
                Some(true) => self.repeated(layer, &path, read, &here),
                Some(false) => read,
                None => vec![None],
            };
            made.insert(layer.name.clone(), last.clone());
        }
        (last, made)
    }

    /// What a name in `from` or `outputs` stands for.
    fn reference(
        &mut self,
        name: &str,
        place: &Place,
        made: &IndexMap<String, Vec<Flow>>,
        inputs: &[Flow],
        frame: &Frame<'_>,
    ) -> Vec<Flow> {
        let find = |name: &str| {
            if name == "in" {
                Some(inputs)
            } else {
                made.get(name).map(Vec::as_slice)
            }
        };
        if let Some(flows) = find(name) {
            // A layer with several outputs stands for the first of them.
            return flows.first().copied().into_iter().collect();
        }
        let nth = name
            .rsplit_once(['.', ':'])
            .and_then(|(layer, n)| Some((find(layer)?, n.parse::<usize>().ok()?)));
        match nth {
            Some((flows, n)) if n < flows.len() => vec![flows[n]],
            Some((flows, _)) if flows.contains(&None) => vec![None],
            _ => {
                let names = made.keys().map(String::as_str).chain(["in"]);
                let help = suggest::help(name, "layers before this one", names);
                self.complain(
                    frame,
                    place,
                    format!("there is no layer `{name}` before this one"),
                    help,
                );
                vec![None]
            }
        }
    }

    fn repeated(&mut self, layer: &Layer, path: &str, read: Vec<Flow>, frame: &Frame<'_>) -> Vec<Flow> {
        let Some(Repeat { count, overrides }) = &layer.repeat else {
            return self.kind(&layer.kind, &[], path, &layer.place, read, frame);
        };
        let Some(count) = self.count(count, "repeat", path, frame, frame.scope) else {
            return vec![None];
        };
        for (key, _) in overrides {
            let known =
                matches!(key.name.as_str(), "first" | "last") || key.name.parse().is_ok_and(|n: usize| n < count);
            if !known {
                let message = located(
                    path,
                    &format!("overrides: `{}` is not one of the {count} repeats", key.name),
                );
                let help = "repeats are numbered from 0; `first` and `last` are known too";
                self.complain(frame, &key.place, message, Some(help.into()));
            }
        }
        let mut flow = read;
        for i in 0..count {
            let applies =
                |name: &str| name.parse() == Ok(i) || (name == "first" && i == 0) || (name == "last" && i + 1 == count);
            let own: Vec<(Key, Node)> = overrides
                .iter()
                .filter(|(key, _)| applies(&key.name))
                .flat_map(|(_, params)| params.clone())
                .collect();
            let scope = frame.scope.with_input(self.dims(&flow));
            let here = Frame {
                scope: &scope,
                ..*frame
            };
            flow = self.kind(
                &layer.kind,
                &own,
                &joined(path, &i.to_string()),
                &layer.place,
                flow,
                &here,
            );
        }
        flow
    }

    /// Builds a layer without its `when` and `repeat`. `overrides` take the place of parameters.
    fn kind(
        &mut self,
        kind: &LayerKind,
        overrides: &[(Key, Node)],
        path: &str,
        place: &Place,
        read: Vec<Flow>,
        frame: &Frame<'_>,
    ) -> Vec<Flow> {
        self.layers += 1;
        if self.layers == MAX_LAYERS {
            self.complain(
                frame,
                place,
                format!("{path}: the network has more than {MAX_LAYERS} layers"),
                None,
            );
        }
        if self.layers >= MAX_LAYERS {
            return vec![None];
        }
        match kind {
            LayerKind::Apply { module, place, params } => {
                let kept = params
                    .iter()
                    .filter(|(key, _)| !overrides.iter().any(|(o, _)| o.name == key.name));
                let params: Vec<(Key, Node)> = kept.chain(overrides).cloned().collect();
                self.apply(module, &params, path, place, read, frame)
            }
            LayerKind::Group(layers) => {
                if let Some((key, _)) = overrides.first() {
                    let message = located(path, "overrides: a group has no parameters");
                    self.complain(frame, &key.place, message, Some("repeat a module".into()));
                }
                self.deeper(path, place, frame, |work| work.layers(layers, path, &read, frame).0)
            }
            LayerKind::Blocks(blocks) => self.blocks(blocks, path, read, frame),
        }
    }

    /// Goes one level down, within limits: a module may contain itself.
    fn deeper(
        &mut self,
        path: &str,
        place: &Place,
        frame: &Frame<'_>,
        inner: impl FnOnce(&mut Self) -> Vec<Flow>,
    ) -> Vec<Flow> {
        if self.depth == MAX_DEPTH {
            let message = format!("{path}: nested deeper than {MAX_DEPTH} modules");
            self.complain(frame, place, message, Some("does a module contain itself?".into()));
            return vec![None];
        }
        self.depth += 1;
        let flows = inner(self);
        self.depth -= 1;
        flows
    }

    fn blocks(&mut self, blocks: &Blocks, path: &str, read: Vec<Flow>, frame: &Frame<'_>) -> Vec<Flow> {
        let mut flow = read;
        let mut index = blocks.first;
        for (stage, rows) in blocks.stages.iter().enumerate() {
            let mut number = 0;
            for row in rows {
                let scope = frame.scope.with_input(self.dims(&flow));
                let count = match &row.repeat {
                    None => Some(1),
                    Some(node) => self.count(node, "repeat", path, frame, &scope),
                };
                let Some(count) = count else {
                    return vec![None];
                };
                for i in 0..count {
                    let name = match blocks.names.as_str() {
                        "" if count == 1 => path.to_owned(),
                        "" => joined(path, &number.to_string()),
                        names => joined(
                            path,
                            &names
                                .replace("{stage}", &stage.to_string())
                                .replace("{block}", &number.to_string())
                                .replace("{index}", &index.to_string()),
                        ),
                    };
                    let scope = frame.scope.with_input(self.dims(&flow));
                    let here = Frame {
                        scope: &scope,
                        ..*frame
                    };
                    flow = self.block(row, &blocks.defaults, i, &name, flow, &here);
                    number += 1;
                    index += 1;
                }
            }
        }
        flow
    }

    fn block(
        &mut self,
        row: &Block,
        defaults: &[(Key, Node)],
        repeat: usize,
        path: &str,
        read: Vec<Flow>,
        frame: &Frame<'_>,
    ) -> Vec<Flow> {
        let mut params = row.params.clone();
        for (key, node) in defaults {
            if self.has_param(&row.module, &key.name) && !params.iter().any(|(given, _)| given.name == key.name) {
                params.push((key.clone(), node.clone()));
            }
        }
        let key = |name: &str, at: &Node| Key {
            name: name.to_owned(),
            place: at.place.clone(),
        };
        if let Some(out) = &row.out {
            if self.has_param(&row.module, "out") {
                params.push((key("out", out), out.clone()));
            } else if let (Some(out_value), Some(dims)) =
                (self.count(out, "out", path, frame, frame.scope), self.dims(&read))
                && dims.last() != Some(&out_value)
            {
                let message = format!(
                    "{path}: `{}` keeps the {} channels that it gets, the block asks for {out_value}",
                    row.module,
                    dims.last().copied().unwrap_or_default()
                );
                self.complain(frame, &out.place, message, None);
            }
        }
        if let Some(stride) = &row.stride {
            let node = if repeat == 0 {
                stride.clone()
            } else {
                node_of(&Value::from(1), stride)
            };
            if self.has_param(&row.module, "stride") {
                params.push((key("stride", stride), node));
            } else if let Some(other) = self
                .count(&node, "stride", path, frame, frame.scope)
                .filter(|&n| n != 1)
            {
                let message = format!("{path}: `{}` has no stride, the block asks for {other}", row.module);
                self.complain(frame, &stride.place, message, None);
            }
        }
        self.layers += 1;
        self.apply(&row.module, &params, path, &row.place, read, frame)
    }
}

fn bound(value: Option<Node>) -> Binding {
    value.map_or(Binding::Hidden, |node| Binding::Value(node.plain()))
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn located(path: &str, message: &str) -> String {
    if path.is_empty() {
        message.to_owned()
    } else {
        format!("{path}: {message}")
    }
}

/// The place of a mistake inside the text of an expression, where that text stands in the file as it is.
fn inside(node: &Node, mistake: &Mistake, source: &SourceText) -> Place {
    let (Place::Recipe(span), Some(text)) = (&node.place, node.as_str()) else {
        return node.place.clone();
    };
    let Some(expression) = text.strip_prefix('=').filter(|e| mistake.range.end <= e.len()) else {
        return node.place.clone();
    };
    let written = source.text.get(span.start..span.end).unwrap_or_default();
    match written.find(expression) {
        Some(at) => {
            let start = span.start + at;
            Place::from(Span::new(start + mistake.range.start, start + mistake.range.end))
        }
        None => node.place.clone(),
    }
}
