//! What is known of results before anything runs: it flows from step to step as the results will, so that `check` finds inputs that
//! cannot work together where a recipe alone tells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use models::FileFormat;
use recipe::{ArtifactKind, Instance, InstanceId};

use super::{Arithmetic, Facts, Network, Registered, SourceFiles};

/// An input of a step that has not run.
#[derive(Debug, Clone)]
pub struct Foreseen {
    /// The port at which it is given.
    pub port: String,
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
    sources: BTreeMap<String, SourceOutlook>,
}

/// What is known of a source.
#[derive(Debug, Clone, Default)]
pub struct SourceOutlook {
    /// The names of its files.
    pub names: Vec<String>,
    /// The files, where they are at hand and small enough to be read before anything runs.
    pub files: Option<SourceFiles>,
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
        self.one(port).map(|input| input.facts.clone()).unwrap_or_default()
    }

    /// The names of the files that a parameter reads.
    pub fn source(&self, parameter: &str) -> &[String] {
        self.sources
            .get(parameter)
            .map_or(&[], |source| source.names.as_slice())
    }

    /// The files that a parameter reads, where they are at hand.
    pub fn files(&self, parameter: &str) -> Option<&SourceFiles> {
        self.sources.get(parameter)?.files.as_ref()
    }

    /// The layers of the model at a port, as they are or folded.
    pub fn network(&self, port: &str, folded: bool) -> Option<Arc<Network>> {
        let network = self.one(port)?.facts.network.clone()?;
        if folded { network.folded() } else { Some(network) }
    }

    /// Refuses samples that the model at a port cannot take.
    ///
    /// # Errors
    /// The port of the samples, both shapes, and how they come together.
    pub fn demand_fit(&self, model: &str, data: &str) -> Result<(), String> {
        let (Some(model), Some(data)) = (self.one(model), self.one(data)) else {
            return Ok(());
        };
        if let (Some(network), Some(samples)) = (&model.facts.network, &data.facts.samples) {
            let fits = network.demand_fit(samples);
            fits.map_err(|problem| format!("{}: of `{}`, for `{}`: {problem}", data.port, data.step, model.step))?;
        }
        Ok(())
    }

    /// Refuses ranges of a network with other layers than the model.
    ///
    /// # Errors
    /// The two steps, and what to do.
    pub fn demand_own_ranges(&self) -> Result<(), String> {
        if let (Some(model), Some(ranges)) = (self.one("model"), self.one("ranges"))
            && let (Some(of_model), Some(of_ranges)) = (&model.facts.origin, &ranges.facts.origin)
            && of_model != of_ranges
        {
            return Err(format!(
                "ranges: those of `{}` were taken from another network than `{}`; calibrate `{}` itself",
                ranges.step, model.step, model.step
            ));
        }
        Ok(())
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

/// What is wrong with an instance before anything has run.
#[derive(Debug)]
pub struct Doubt {
    /// Its position.
    pub at: usize,
    /// What is wrong, in words that begin with the parameter or port.
    pub problem: String,
    /// Whether a file cannot be read as it is asked to be, which the step will find again; else inputs do not go together.
    pub unread: bool,
}

/// Follows what is known through `instances`, which stand in topological order; `names` are their variants, and `source` gives what is
/// known of a source. Gives what is wrong.
pub fn foresee(
    instances: &[Instance],
    names: &[String],
    source: impl Fn(&str) -> SourceOutlook,
    find: impl Fn(&str) -> Option<&'static Registered>,
) -> Vec<Doubt> {
    let mut known: HashMap<&str, Foreseen> = HashMap::with_capacity(instances.len());
    let mut sources: HashMap<&str, SourceOutlook> = HashMap::new();
    // What reads files is looked at once, however many instances do the same.
    let mut read: HashMap<String, Result<Facts, String>> = HashMap::new();
    let read_by = instances.iter().flat_map(Instance::needs);
    let needed: HashSet<&str> = read_by.map(InstanceId::as_str).collect();
    let mut doubts = Vec::new();
    for (at, (instance, variant)) in instances.iter().zip(names).enumerate() {
        let Some(op) = find(instance.op) else { continue };
        let mut outlook = Outlook::default();
        for input in &instance.inputs {
            let from = input.from.iter().filter_map(|from| {
                let mut given = known.get(from.id.as_str())?.clone();
                given.port.clone_from(&input.port);
                Some(given)
            });
            outlook.ports.insert(input.port.clone(), from.collect());
        }
        for (parameter, name) in &instance.sources {
            let seen = sources.entry(name).or_insert_with(|| source(name));
            outlook.sources.insert(parameter.clone(), seen.clone());
        }
        let foreseen = if instance.inputs.is_empty() && !instance.sources.is_empty() {
            let same = format!(
                "{} {} {} {:?}",
                instance.step, instance.op, instance.params, instance.sources
            );
            read.entry(same)
                .or_insert_with(|| op.foresee(&instance.step, &instance.params, &outlook))
                .clone()
        } else {
            op.foresee(&instance.step, &instance.params, &outlook)
        };
        let mut facts = foreseen.unwrap_or_else(|problem| {
            doubts.push(Doubt {
                at,
                problem,
                unread: false,
            });
            Facts::default()
        });
        if let Some(problem) = facts.unread.take() {
            doubts.push(Doubt {
                at,
                problem,
                unread: true,
            });
        }
        if !needed.contains(instance.id.as_str()) {
            continue;
        }
        let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let coordinates = instance.coordinates.iter().map(|(k, v)| (k.clone(), plain(v)));
        let foreseen = Foreseen {
            port: String::new(),
            step: instance.step.clone(),
            variant: variant.clone(),
            coordinates: coordinates.collect(),
            kind: instance.produces,
            facts,
        };
        known.insert(instance.id.as_str(), foreseen);
    }
    doubts
}
