//! The vocabulary with which ops are declared: what an op is called, what it makes, what its parameters are.
//!
//! An op is declared once, by the Rust struct of its parameters. The struct's derived JSON schema drives the checks of
//! recipes, the completion in editors, the reference pages and the defaults:
//!
//! ```
//! use recipe::{ArtifactKind, OpSpec, Port, kind};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(rename_all = "kebab-case", deny_unknown_fields)]
//! struct Prune {
//!     /// The model to prune.
//!     model: Port<kind::Model>,
//!     /// Fraction of the weights that become zero.
//!     #[schemars(range(min = 0, max = 1))]
//!     sparsity: f64,
//! }
//!
//! let prune = OpSpec::of::<Prune>("prune", "Sets the smallest weights to zero.", ArtifactKind::Model)
//!     .with_example("pruned: { prune: { model: base, sparsity: 0.5 } }");
//! assert_eq!(prune.ports()[0].name, "model");
//!
//! // The engine hands the inputs over by port name, so the parameters arrive without them and still deserialize.
//! let params: Prune = serde_json::from_value(serde_json::json!({ "sparsity": 0.5 })).unwrap();
//! assert_eq!(params.sparsity, 0.5);
//! ```
//!
//! Ports and sources live at the top level of the struct, never inside another parameter.

mod port;

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shape::Shapes;
use crate::yaml::{Node, Yaml};

pub(crate) use port::FILE_ENDINGS;
pub use port::{FileRef, FileRefs, Kinds, NamedPorts, Port, Ports, SourceRef, kind};

/// Schema keyword of a [`Port`]: the list of artifact kinds it accepts.
pub(crate) const X_PORT: &str = "x-port";
/// Schema keyword of [`Ports`]: the list of artifact kinds they accept.
pub(crate) const X_PORTS: &str = "x-ports";
/// Schema keyword of a [`SourceRef`]: `true`; of a [`FileRef`]: `"file"`; of an item of [`FileRefs`]: `"path"`.
pub(crate) const X_SOURCE: &str = "x-source";

/// What a step makes. A closed list: ports name the kinds that they accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// An IR graph with its weights.
    Model,
    /// Samples with labels.
    Dataset,
    /// Value ranges of a model's tensors, for quantization.
    Ranges,
    /// Quality of a model on a dataset.
    Metrics,
    /// Latency and memory of a model.
    Benchmark,
    /// Plain and deflated sizes.
    Sizes,
    /// How closely two models agree.
    Agreement,
    /// What each layer of a model bears.
    Sensitivity,
    /// An exported file, such as a `.tflite`.
    File,
    /// A rendered report.
    Report,
}

impl ArtifactKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 10] = [
        Self::Model,
        Self::Dataset,
        Self::Ranges,
        Self::Metrics,
        Self::Benchmark,
        Self::Sizes,
        Self::Agreement,
        Self::Sensitivity,
        Self::File,
        Self::Report,
    ];

    /// The kebab-case name, as in schemas and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Ranges => "ranges",
            Self::Metrics => "metrics",
            Self::Benchmark => "benchmark",
            Self::Sizes => "sizes",
            Self::Agreement => "agreement",
            Self::Sensitivity => "sensitivity",
            Self::File => "file",
            Self::Report => "report",
        }
    }

    /// The name in a sentence: "a model", "ranges".
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Self::Model => "a model",
            Self::Dataset => "a dataset",
            Self::Ranges => "ranges",
            Self::Metrics => "metrics",
            Self::Benchmark => "a benchmark",
            Self::Sizes => "sizes",
            Self::Agreement => "an agreement",
            Self::Sensitivity => "a sensitivity table",
            Self::File => "a file",
            Self::Report => "a report",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An op of the recipe language: its name, its parameters and what it makes.
#[derive(Clone, Debug)]
pub struct OpSpec {
    /// The key in the recipe, such as `quantize`.
    pub name: &'static str,
    /// One sentence for the reference page and for editors.
    pub summary: &'static str,
    /// The kind of artifact that the op makes.
    pub produces: ArtifactKind,
    /// JSON schema of the parameter struct, as schemars derives it.
    pub schema: Schema,
    /// A step to paste into a recipe, or empty.
    pub example: &'static str,
    /// The numbers that gates and searches can ask a step for; `*` in a name stands for any text.
    pub figures: &'static [&'static str],
    /// Of an op that makes what a parameter says: the parameter, and the op as it is for each of the keys under it.
    pub(crate) by_key: Option<(&'static str, Vec<(&'static str, OpSpec)>)>,
}

/// An input of an op, as its parameter struct declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// The key in the recipe, such as `model`.
    pub name: String,
    /// The kinds of artifact that fit.
    pub kinds: Vec<ArtifactKind>,
    /// Whether a step must fill the port.
    pub required: bool,
    /// Whether the port gathers all instances of several steps ([`Ports`]) or takes one ([`Port`]).
    pub gathers: bool,
}

/// A parameter that names an entry of `sources`, as the parameter struct declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// The key in the recipe, such as `from`.
    pub name: String,
    /// Whether a step must fill it.
    pub required: bool,
}

impl OpSpec {
    /// The op whose parameters are `P`.
    pub fn of<P: JsonSchema>(name: &'static str, summary: &'static str, produces: ArtifactKind) -> Self {
        Self {
            name,
            summary,
            produces,
            schema: schemars::schema_for!(P),
            example: "",
            figures: &[],
            by_key: None,
        }
    }

    /// The same op, which makes another kind of artifact by the key that stands under a parameter.
    #[must_use]
    pub fn with_kinds(mut self, parameter: &'static str, kinds: &[(&'static str, ArtifactKind)]) -> Self {
        let of_kind = |&(key, produces): &(&'static str, ArtifactKind)| {
            let figures = if produces == ArtifactKind::Metrics {
                self.figures
            } else {
                &[]
            };
            let op = Self {
                produces,
                figures,
                ..self.clone()
            };
            (key, op)
        };
        self.by_key = Some((parameter, kinds.iter().map(of_kind).collect()));
        self
    }

    /// The op as it is in a step with these parameters.
    pub(crate) fn in_step(&self, params: &Node) -> &Self {
        let entries = |node: &Node| match &node.value {
            Yaml::Map(entries) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
            _ => Vec::new(),
        };
        let Some((parameter, ops)) = &self.by_key else {
            return self;
        };
        let Yaml::Map(fields) = &params.value else {
            return self;
        };
        let written = fields
            .iter()
            .find(|(key, _)| key.name == *parameter)
            .map(|(_, node)| entries(node));
        let found = ops
            .iter()
            .find(|(key, _)| written.iter().flatten().any(|written| written == key));
        found.map_or(self, |(_, op)| op)
    }

    /// The same op with the numbers that it finds.
    #[must_use]
    pub fn with_figures(mut self, figures: &'static [&'static str]) -> Self {
        self.figures = figures;
        self
    }

    /// Whether it may find a number of this name.
    pub fn finds(&self, figure: &str) -> bool {
        self.figures.iter().any(|known| match known.split_once('*') {
            Some((start, end)) => {
                let middle = figure.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
                middle.is_some_and(|any| !any.is_empty())
            }
            None => *known == figure,
        })
    }

    /// The same op with a step to paste into a recipe.
    #[must_use]
    pub fn with_example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// The inputs, in the order of the struct's fields.
    pub fn ports(&self) -> Vec<PortSpec> {
        self.properties()
            .filter_map(|(name, schema)| {
                let (kinds, gathers) = match (schema.get(X_PORT), schema.get(X_PORTS)) {
                    (Some(kinds), _) => (kinds, false),
                    (None, Some(kinds)) => (kinds, true),
                    (None, None) => return None,
                };
                Some(PortSpec {
                    name: name.clone(),
                    kinds: kinds_of(kinds),
                    required: self.requires(name),
                    gathers,
                })
            })
            .collect()
    }

    /// The parameters that name a source, in the order of the struct's fields.
    pub fn sources(&self) -> Vec<SourceSpec> {
        self.properties()
            .filter(|(_, schema)| schema.get(X_SOURCE).is_some())
            .map(|(name, _)| SourceSpec {
                name: name.clone(),
                required: self.requires(name),
            })
            .collect()
    }

    /// Removes ports and sources from serialized parameters; what remains is the part of a key called parameters.
    ///
    /// A struct that went through `Deserialize` and `Serialize` shows its ports as `null`; this takes them away again.
    pub fn strip(&self, params: &mut Value) {
        if let Value::Object(fields) = params {
            fields.retain(|name, _| !self.property(name).is_some_and(names_an_input));
        }
    }

    /// Schema keywords of the parameters that recipes are not checked against, with their paths.
    ///
    /// Empty for a sound op: a test over the whole vocabulary asserts that.
    pub fn unchecked_keywords(&self) -> Vec<String> {
        Shapes::of(self).unsupported
    }

    /// The schemas of the struct's fields by their names in the recipe.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    /// The schema of one field.
    pub(crate) fn property(&self, name: &str) -> Option<&Value> {
        self.schema.get("properties")?.get(name)
    }

    /// Whether a field must be present.
    pub(crate) fn requires(&self, name: &str) -> bool {
        self.schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|required| required == name))
    }
}

/// Whether the schema of a field declares a port or a source, or several, not a parameter.
pub(crate) fn names_an_input(schema: &Value) -> bool {
    let is_input = |schema: &Value| {
        [X_PORT, X_PORTS, X_SOURCE]
            .iter()
            .any(|keyword| schema.get(keyword).is_some())
    };
    let inside = ["additionalProperties", "items"]
        .iter()
        .filter_map(|keyword| schema.get(keyword));
    is_input(schema) || inside.into_iter().any(is_input)
}

pub(crate) fn kinds_of(list: &Value) -> Vec<ArtifactKind> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(ArtifactKind::from_name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Quantize {
        model: Port<kind::ModelOrFile>,
        ranges: Option<Port<kind::Ranges>>,
        compare: Ports<kind::Any>,
        from: SourceRef,
        extra: Option<SourceRef>,
        #[serde(default)]
        per_channel: bool,
    }

    fn quantize() -> OpSpec {
        OpSpec::of::<Quantize>("quantize", "", ArtifactKind::Model)
    }

    #[test]
    fn kinds_are_named_alike_in_serde_and_display() {
        for kind in ArtifactKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), Value::from(kind.to_string()));
            assert_eq!(ArtifactKind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn the_schema_tells_required_ports_from_optional_ones() {
        let ports: Vec<_> = quantize()
            .ports()
            .into_iter()
            .map(|p| (p.name, p.kinds.len(), p.required, p.gathers))
            .collect();
        assert_eq!(
            ports,
            [
                ("model".into(), 2, true, false),
                ("ranges".into(), 1, false, false),
                ("compare".into(), ArtifactKind::ALL.len(), true, true),
            ]
        );
        let sources: Vec<_> = quantize().sources().into_iter().map(|s| (s.name, s.required)).collect();
        assert_eq!(sources, [("from".into(), true), ("extra".into(), false)]);
    }

    #[test]
    fn parameters_deserialize_without_their_ports() {
        let params: Quantize = serde_json::from_str(r#"{"per-channel": true}"#).unwrap();
        assert!(params.per_channel && params.ranges.is_none());
        let complete: Quantize =
            serde_json::from_str(r#"{"model": "base", "ranges": {"each": ["a"]}, "compare": ["a"], "from": "x"}"#)
                .unwrap();
        assert!(complete.ranges.is_some());
    }

    #[test]
    fn stripping_leaves_the_parameters_with_their_defaults() {
        let params: Quantize = serde_json::from_str("{}").unwrap();
        let mut value = serde_json::to_value(&params).unwrap();
        quantize().strip(&mut value);
        assert_eq!(value, serde_json::json!({"per-channel": false}));
    }

    #[test]
    fn unknown_parameters_stay_errors() {
        assert!(serde_json::from_str::<Quantize>(r#"{"modle": "base"}"#).is_err());
    }
}
