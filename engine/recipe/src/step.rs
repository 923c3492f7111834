//! One step of the recipe: its op, inputs, parameters and condition, checked against the op's declaration.

mod port;
mod when;

use indexmap::IndexMap;

use crate::{
    ArtifactKind, OpSpec, Resources, Source, Span,
    bindings::Bindings,
    check::{Checker, is_meant},
    diagnostic::{Complaints, Place},
    fields,
    shape::{Field, Shape, Shapes},
    suggest,
    vocabulary::{FILE_ENDINGS, FileRefs, X_SOURCE},
    yaml::{Key, Node, Yaml},
};

pub use port::StepPort;
pub(crate) use when::When;

/// A step as understood: everything it names exists and every parameter has the right shape.
#[derive(Clone, Debug)]
pub struct Step {
    /// The op.
    pub op: &'static str,
    /// What it makes.
    pub produces: ArtifactKind,
    /// Words of the recipe's author about the step.
    pub doc: Option<String>,
    /// What it asks of the machine.
    pub resources: Resources,
    /// Its inputs, in the order of the op's ports.
    pub ports: Vec<StepPort>,
    /// Parameter names with the sources they name.
    pub sources: Vec<(String, String)>,
    /// The step's name in the recipe's text.
    pub span: Span,
    /// Where its sources are named, by parameter.
    pub(crate) named: Vec<(String, Place)>,
    /// The parameters as written, without ports and sources.
    pub(crate) params: Vec<(Key, Node)>,
    /// The condition under which an instance exists.
    pub(crate) when: Option<When>,
}

impl Step {
    /// Where a parameter, a port or a source is written; the step's name if it is not.
    pub(crate) fn place_of(&self, field: &str) -> Place {
        let param = self
            .params
            .iter()
            .find(|(key, _)| key.name == field)
            .map(|(_, node)| &node.place);
        let port = self
            .ports
            .iter()
            .find(|port| port.name == field)
            .map(|port| &port.place);
        let source = self.named.iter().find(|(key, _)| key == field).map(|(_, place)| place);
        param.or(port).or(source).cloned().unwrap_or(Place::Recipe(self.span))
    }

    /// The names of params and axes that its own text mentions.
    pub(crate) fn mentions(&self) -> impl Iterator<Item = &str> {
        let params = self
            .params
            .iter()
            .flat_map(|(_, node)| node.references())
            .map(|(name, _)| name);
        let when = self
            .when
            .iter()
            .flat_map(|when| when.expression.names())
            .map(|(name, _)| name);
        params.chain(when)
    }
}

/// An op with its parameters' shapes.
pub(crate) struct Op<'v> {
    pub spec: &'v OpSpec,
    pub shapes: Shapes,
}

impl<'v> Op<'v> {
    /// Understands the schemas of all ops.
    pub fn all(ops: &'v [OpSpec]) -> IndexMap<&'static str, Self> {
        ops.iter()
            .map(|spec| {
                (
                    spec.name,
                    Self {
                        spec,
                        shapes: Shapes::of(spec),
                    },
                )
            })
            .collect()
    }
}

/// The keys of a step beside its op.
pub(crate) const KEYS: [&str; 3] = ["resources", "when", "doc"];

/// What is in sight while steps are read.
pub(crate) struct Scope<'a> {
    pub ops: &'a IndexMap<&'static str, Op<'a>>,
    pub bindings: &'a Bindings,
    pub sources: &'a IndexMap<String, Source>,
    /// Every step of the recipe: its place, and its op where that is known.
    pub steps: &'a IndexMap<&'a str, (&'a Place, Option<&'a OpSpec>)>,
}

/// The op of a step, by the first key that names one.
pub(crate) fn op_of<'v>(ops: &'v IndexMap<&'static str, Op<'v>>, step: &Node) -> Option<&'v OpSpec> {
    let Yaml::Map(entries) = &step.value else { return None };
    entries
        .iter()
        .find_map(|(key, params)| Some(ops.get(key.name.as_str())?.spec.in_step(params)))
}

/// Reads the steps of one recipe.
pub(crate) struct Reader<'a> {
    pub scope: Scope<'a>,
    pub complaints: &'a mut Complaints,
    /// Whether every op, port and condition so far could be understood, so that steps can be expanded.
    pub sound: bool,
}

impl Reader<'_> {
    /// Reads one step; `None` where it has no op to speak of.
    pub fn step(&mut self, name: &Key, node: &Node) -> Option<Step> {
        let Yaml::Map(entries) = &node.value else {
            self.sound = false;
            let message = format!("{}: {} is not a step", name.name, node.found());
            let help = "a step is written `{ OP: { … } }`, such as `{ fold: { model: base } }`";
            self.complaints
                .push(self.complaints.at(node.place.clone(), message).help(help));
            return None;
        };
        let (op_key, params) = self.op_entry(name, entries)?;
        let op = self.scope.ops.get(op_key.name.as_str())?;
        let mut step = Step {
            op: op.spec.name,
            produces: op.spec.in_step(params).produces,
            doc: None,
            resources: Resources::default(),
            ports: Vec::new(),
            sources: Vec::new(),
            named: Vec::new(),
            span: match &name.place {
                Place::Recipe(span) => *span,
                Place::Option(_) => Span::default(),
            },
            params: Vec::new(),
            when: None,
        };
        for (key, node) in entries {
            match key.name.as_str() {
                "resources" => step.resources = Resources::of(self.complaints, &name.name, node),
                "doc" => {
                    step.doc = fields::text(self.complaints, &format!("{}.doc", name.name), node).map(str::to_owned);
                }
                "when" => {
                    step.when = When::of(self.complaints, self.scope.bindings, &name.name, node);
                    self.sound &= step.when.is_some();
                }
                _ => {}
            }
        }
        self.parameters(&mut step, op, op_key, params);
        Some(step)
    }

    /// The one key that names an op. Complains about several, none, and unknown keys.
    fn op_entry<'n>(&mut self, name: &Key, entries: &'n [(Key, Node)]) -> Option<(&'n Key, &'n Node)> {
        let ops = || self.scope.ops.keys().copied();
        let (known, unknown): (Vec<_>, Vec<_>) = entries
            .iter()
            .filter(|(key, _)| !KEYS.contains(&key.name.as_str()))
            .partition(|(key, _)| self.scope.ops.contains_key(key.name.as_str()));
        for (key, _) in &unknown {
            let (what, help) = if known.is_empty() {
                ("op", suggest::help(&key.name, "known ops", ops()))
            } else {
                ("key", suggest::help(&key.name, "keys beside the op", KEYS))
            };
            let message = format!("{}: unknown {what} `{}`", name.name, key.name);
            self.complaints
                .push(self.complaints.at(key.place.clone(), message).maybe_help(help));
        }
        match &known[..] {
            [] => {
                self.sound = false;
                if unknown.is_empty() {
                    let help = suggest::one_of(&ops().collect::<Vec<_>>()).map(|list| format!("known ops: {list}"));
                    let message = format!("{}: a step has an op", name.name);
                    self.complaints
                        .push(self.complaints.at(name.place.clone(), message).maybe_help(help));
                }
                None
            }
            [(key, node)] => Some((key, node)),
            [(first, node), others @ ..] => {
                for (key, _) in others {
                    let message = format!("{}: a second op `{}`", name.name, key.name);
                    self.complaints.push(
                        self.complaints
                            .at(key.place.clone(), message)
                            .related(first.place.clone(), "the first op")
                            .help("a step has exactly one op; make it a step of its own"),
                    );
                }
                Some((first, node))
            }
        }
    }

    fn parameters(&mut self, step: &mut Step, op: &Op<'_>, op_key: &Key, node: &Node) {
        let entries: &[(Key, Node)] = match &node.value {
            Yaml::Map(entries) => entries,
            Yaml::Null => &[],
            _ => {
                self.sound = false;
                let expected = Shape::Struct(op.shapes.fields.clone()).expected();
                fields::mismatch(self.complaints, op.spec.name, node, &expected);
                return;
            }
        };
        let fields = &op.shapes.fields;
        for (key, value) in entries {
            let path = format!("{}.{}", op.spec.name, key.name);
            match fields.get(&key.name) {
                Some(Field {
                    shape: Shape::Port(kinds) | Shape::Ports(kinds),
                    required: false,
                    ..
                }) if matches!(value.value, Yaml::Null) && !kinds.is_empty() => {}
                Some(Field {
                    shape: Shape::Port(kinds),
                    ..
                }) => {
                    let port = self.port(&path, key, value, kinds);
                    self.sound &= port.is_some();
                    step.ports.extend(port);
                }
                Some(Field {
                    shape: Shape::Ports(kinds),
                    ..
                }) => {
                    let port = self.gathering_port(&path, key, value, kinds);
                    self.sound &= port.is_some();
                    step.ports.extend(port);
                }
                Some(Field {
                    shape: Shape::Source, ..
                }) => {
                    let takes_files =
                        op.spec.property(&key.name).and_then(|p| p.get(X_SOURCE)?.as_str()) == Some("file");
                    let is_path = |name: &str| takes_files && FILE_ENDINGS.iter().any(|ending| name.ends_with(ending));
                    let source = self.source(&path, value, is_path);
                    step.sources.extend(source.map(|source| (key.name.clone(), source)));
                    step.named.push((key.name.clone(), value.place.clone()));
                }
                Some(Field { shape, .. }) if shape.named_ports().is_some() => {
                    self.named_ports(step, &path, value, shape);
                }
                Some(Field { shape, .. }) if shape.is_files() => self.files(step, &path, key, value),
                Some(field) => self.parameter(step, &path, key, value, &field.shape),
                None => {
                    if let Some(shape) = &fields.others {
                        self.parameter(step, &path, key, value, shape);
                    } else {
                        let wrong = self.checker().unknown_field(op.spec.name, key, fields);
                        self.complaints.push(wrong);
                    }
                }
            }
        }
        for field in fields.list.iter().filter(|field| field.required) {
            let written = entries.iter().any(|(key, _)| key.name == field.name);
            self.sound &= written || !matches!(field.shape, Shape::Port(_) | Shape::Ports(_));
            if !is_meant(&field.name, entries) {
                let wrong = self
                    .checker()
                    .missing_field(op.spec.name, &op_key.place, &field.name, &field.shape);
                self.complaints.push(wrong);
            }
        }
        let order = |name: &str| fields.list.iter().position(|field| field.name == name);
        step.ports.sort_by_key(|port| order(&port.name));
        step.sources.sort_by_key(|(field, _)| order(field));
    }

    fn parameter(&mut self, step: &mut Step, path: &str, key: &Key, value: &Node, shape: &Shape) {
        let wrong = self.checker().check(path, value, shape);
        self.complaints.extend(wrong);
        // A reference that nothing answers to leaves the axes of the step in doubt.
        let known = |(name, _): &(&str, &Place)| self.scope.bindings.candidates(name).is_some();
        self.sound &= value.references().iter().all(known);
        step.params.push((key.clone(), value.clone()));
    }

    fn checker(&self) -> Checker<'_> {
        Checker {
            bindings: self.scope.bindings,
            complaints: self.complaints,
        }
    }

    /// Reads a mapping of names to steps.
    fn named_ports(&mut self, step: &mut Step, path: &str, node: &Node, shape: &Shape) {
        let kinds = shape.named_ports().unwrap_or_default();
        let Yaml::Map(entries) = &node.value else {
            self.sound = false;
            fields::mismatch(self.complaints, path, node, &shape.expected());
            return;
        };
        for (key, value) in entries {
            let port = self.port(&format!("{path}.{}", key.name), key, value, kinds);
            self.sound &= port.is_some();
            step.ports.extend(port);
        }
    }

    /// Reads a list of files.
    fn files(&mut self, step: &mut Step, path: &str, key: &Key, node: &Node) {
        let Yaml::List(items) = &node.value else {
            self.sound = false;
            fields::mismatch(
                self.complaints,
                path,
                node,
                "a list of files, by their paths from the recipe's folder",
            );
            return;
        };
        for (number, item) in items.iter().enumerate() {
            // Whatever is no entry of `sources` is a path, which has to be there.
            let source = self.source(path, item, |name| !name.is_empty());
            step.sources
                .extend(source.map(|source| (FileRefs::source(&key.name, number), source)));
        }
    }

    fn source(&mut self, path: &str, node: &Node, is_path: impl Fn(&str) -> bool) -> Option<String> {
        let Some(name) = node.as_str() else {
            fields::mismatch(self.complaints, path, node, &Shape::Source.expected());
            return None;
        };
        if self.scope.sources.contains_key(name) || is_path(name) {
            return Some(name.into());
        }
        let help = if self.scope.steps.contains_key(name) {
            Some(format!("`{name}` is a step; a source is an entry of `sources`"))
        } else {
            suggest::help(
                name,
                "the recipe's sources",
                self.scope.sources.keys().map(String::as_str),
            )
            .or_else(|| Some(format!("add `{name}: {{ file: PATH }}` to `sources`")))
        };
        let message = format!("{path}: there is no source `{name}`");
        self.complaints
            .push(self.complaints.at(node.place.clone(), message).maybe_help(help));
        None
    }
}
