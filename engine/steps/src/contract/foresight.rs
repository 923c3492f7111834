//! What is known of results before anything runs: it flows from step to step as the results will, so that `check` finds inputs that
//! cannot work together where a recipe alone tells.

use std::collections::{BTreeMap, HashMap};

use models::FileFormat;
use recipe::{ArtifactKind, Instance};

use super::Registered;

/// How a model stores and computes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// 32-bit floats throughout.
    Float,
    /// Floats, from weights of half precision.
    HalfWeights,
    /// Floats, from integer weights.
    IntegerWeights,
    /// Floats, from 4-bit weights that share scales in blocks.
    BlocksOfWeights,
    /// Integers.
    Integer,
}

impl Arithmetic {
    /// In words, behind «is».
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::Float => "a float model",
            Arithmetic::HalfWeights => "a model with float16 weights",
            Arithmetic::IntegerWeights => "a model with integer weights",
            Arithmetic::BlocksOfWeights => "a model with weights in blocks",
            Arithmetic::Integer => "an integer model",
        }
    }
}

/// What is known of an artifact. What is absent is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// How a model, or the model in a file, computes.
    pub arithmetic: Option<Arithmetic>,
    /// Whether batch norms are folded into the layers before them, for certain.
    pub folded: bool,
    /// What a file is.
    pub format: Option<FileFormat>,
    /// What the samples of a dataset are labelled with.
    pub labels: Option<LabelKind>,
}

/// What samples are labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    /// One class each.
    Class,
    /// Any number of classes each.
    Sets,
    /// Numbers.
    Numbers,
    /// A class for each pixel.
    Masks,
    /// Boxes around objects.
    Boxes,
}

impl LabelKind {
    /// In words, behind «labelled with».
    pub fn words(self) -> &'static str {
        match self {
            LabelKind::Class => "one class each",
            LabelKind::Sets => "several classes each",
            LabelKind::Numbers => "numbers",
            LabelKind::Masks => "masks",
            LabelKind::Boxes => "boxes",
        }
    }
}

/// An input of a step that has not run.
#[derive(Debug, Clone)]
pub struct Foreseen {
    /// The step that will make it.
    pub step: String,
    /// See [`Labelled::variant`](super::Labelled::variant).
    pub variant: String,
    /// See [`Labelled::coordinates`](super::Labelled::coordinates).
    pub coordinates: Vec<(String, String)>,
    /// What it will be.
    pub kind: ArtifactKind,
    /// What is known of it.
    pub facts: Facts,
}

/// The inputs of a step that has not run, by port.
#[derive(Debug, Default)]
pub struct Outlook {
    ports: BTreeMap<String, Vec<Foreseen>>,
    sources: BTreeMap<String, Vec<String>>,
}

impl Outlook {
    /// All inputs of a port.
    pub fn all(&self, port: &str) -> &[Foreseen] {
        self.ports.get(port).map_or(&[], Vec::as_slice)
    }

    /// The input of a port that takes one.
    pub fn one(&self, port: &str) -> Option<&Foreseen> {
        self.all(port).first()
    }

    /// What is known of the input of a port.
    pub fn facts(&self, port: &str) -> Facts {
        self.one(port).map(|input| input.facts).unwrap_or_default()
    }

    /// The names of the files that a parameter reads.
    pub fn source(&self, parameter: &str) -> &[String] {
        self.sources.get(parameter).map_or(&[], Vec::as_slice)
    }

    /// Refuses models of other arithmetic than `fits`, where it is known; `op` takes `wanted`.
    ///
    /// # Errors
    /// The port, what its step makes, and what to name instead.
    pub fn demand(
        &self,
        port: &str,
        (op, wanted): (&str, &str),
        fits: impl Fn(Arithmetic) -> bool,
    ) -> Result<(), String> {
        for input in self.all(port) {
            if let Some(found) = input.facts.arithmetic.filter(|&found| !fits(found)) {
                let step = &input.step;
                return Err(format!(
                    "{port}: `{step}` makes {}, and {op} takes {wanted}; name a step before the quantization",
                    found.name()
                ));
            }
        }
        Ok(())
    }

    /// Refuses files that cannot be run, at any of `ports`.
    ///
    /// # Errors
    /// The port, and what to name instead.
    pub fn demand_runnable(&self, ports: &[&str]) -> Result<(), String> {
        for port in ports {
            if let Some(input) = self.one(port)
                && input.facts.format == Some(FileFormat::Safetensors)
            {
                return Err(format!(
                    "{port}: `{}` writes weights alone, which nothing can run; name the model, or a .tflite, .onnx or SavedModel file",
                    input.step
                ));
            }
        }
        Ok(())
    }
}

/// Follows what is known through `instances`, which stand in topological order; `names` are their variants, and `files` gives the
/// names of a source's files. Gives the position of each instance whose inputs cannot work, and why.
pub fn foresee(
    instances: &[Instance],
    names: &[String],
    files: impl Fn(&str) -> Vec<String>,
    find: impl Fn(&str) -> Option<&'static Registered>,
) -> Vec<(usize, String)> {
    let mut known: HashMap<&str, Foreseen> = HashMap::with_capacity(instances.len());
    let mut refused = Vec::new();
    for (i, (instance, variant)) in instances.iter().zip(names).enumerate() {
        let Some(op) = find(instance.op) else { continue };
        let mut outlook = Outlook::default();
        for input in &instance.inputs {
            let from = input
                .from
                .iter()
                .filter_map(|from| known.get(from.id.as_str()).cloned());
            outlook.ports.insert(input.port.clone(), from.collect());
        }
        for (parameter, source) in &instance.sources {
            outlook.sources.insert(parameter.clone(), files(source));
        }
        let facts = op.foresee(&instance.params, &outlook).unwrap_or_else(|problem| {
            refused.push((i, problem));
            Facts::default()
        });
        let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let coordinates = instance.coordinates.iter().map(|(k, v)| (k.clone(), plain(v)));
        let foreseen = Foreseen {
            step: instance.step.clone(),
            variant: variant.clone(),
            coordinates: coordinates.collect(),
            kind: instance.produces,
            facts,
        };
        known.insert(instance.id.as_str(), foreseen);
    }
    refused
}
