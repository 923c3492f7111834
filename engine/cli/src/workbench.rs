//! Ops on single models, outside of any recipe: the same code as in a run, on values in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use data::{Entry, LoadedDataset};
use measure::Machine;
use recipe::ArtifactKind;
use report::{Document, RecipeFacts};
use serde_json::Value;
use steps::contract::artifact::{Memory, in_memory};
use steps::contract::{Artifact, Decoded};
use steps::{Context, Inputs, Labelled, Output, SourceFiles};

use crate::args::LayoutArg;
use crate::exit::{Exit, Failure, OrExit};
use crate::sources::with_modules;
use crate::terminal::{Terminal, Volume};

/// Runs ops one by one.
pub struct Workbench<'a> {
    terminal: &'a Terminal,
    facts: RecipeFacts,
    machine: Machine,
    started: Instant,
}

/// What an op made.
pub struct Made {
    /// For the next op.
    pub artifact: Arc<Artifact>,
    /// What was found.
    pub document: Option<Document>,
}

impl Made {
    /// A document of the kind that the op makes, or an error that names it.
    pub fn expect<T>(self, pick: impl FnOnce(Document) -> Option<T>) -> Result<T, Failure> {
        let found = self.document.and_then(pick);
        found.ok_or_else(|| anyhow::anyhow!("the op found nothing to show; this is a bug, please report it").into())
    }
}

impl<'a> Workbench<'a> {
    /// A bench on this machine.
    pub fn new(terminal: &'a Terminal) -> Self {
        let facts = RecipeFacts {
            name: String::new(),
            digest: String::new(),
            command: String::new(),
            params: Vec::new(),
            axes: Vec::new(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Workbench {
            terminal,
            facts,
            machine: Machine::this(),
            started: Instant::now(),
        }
    }

    /// Reads a model file, or an architecture with a file of weights for it, with parameters of `import`.
    pub fn import_with(&self, path: &Path, weights: Option<&Path>, params: Value) -> Result<Made, Failure> {
        let mut sources = BTreeMap::new();
        if let Some(weights) = weights {
            sources.insert("from".to_owned(), files(vec![weights.to_owned()])?);
            sources.insert("architecture".to_owned(), files(with_modules(vec![path.to_owned()]))?);
        } else {
            let mut from = files(vec![path.to_owned()])?;
            // ONNX keeps large weights in files beside the model.
            let folder = path.parent().unwrap_or(Path::new(""));
            for name in models::companions(path).or_exit(Exit::StepFailed)? {
                let path = folder.join(&name);
                let place = path.display().to_string();
                from.files.push(Entry { path, place, name });
            }
            sources.insert("from".to_owned(), from);
        }
        let inputs = Inputs {
            ports: BTreeMap::new(),
            sources,
        };
        self.run("import", params, &inputs)
    }

    /// Reads samples from folders, files or archives, with parameters of `dataset`.
    pub fn dataset(&self, paths: &[PathBuf], params: Value) -> Result<Made, Failure> {
        let inputs = Inputs {
            ports: BTreeMap::new(),
            sources: BTreeMap::from([("source".to_owned(), files(paths.to_vec())?)]),
        };
        self.run("dataset", params, &inputs)
    }

    /// Runs an op on artifacts by port.
    pub fn apply(&self, op: &str, params: Value, ports: &[(&str, &Arc<Artifact>)]) -> Result<Made, Failure> {
        let labelled = |artifact: &Arc<Artifact>| Labelled {
            step: op.to_owned(),
            variant: op.to_owned(),
            coordinates: Vec::new(),
            artifact: artifact.clone(),
        };
        let ports = ports
            .iter()
            .map(|(port, artifact)| ((*port).to_owned(), vec![labelled(artifact)]));
        self.run(
            op,
            params,
            &Inputs {
                ports: ports.collect(),
                sources: BTreeMap::new(),
            },
        )
    }

    /// Passes on what an op says, warnings in any case.
    pub fn say(&self, op: &str, line: &str) {
        if self.terminal.volume >= Volume::Verbose || line.starts_with("warning") {
            self.terminal.note(&format!("{op}: {line}"));
        }
    }

    fn run(&self, op: &str, params: Value, inputs: &Inputs) -> Result<Made, Failure> {
        let registered = steps::find(op).ok_or_else(|| anyhow::anyhow!("no op is named `{op}`"))?;
        let ports: Vec<&str> = inputs.ports.keys().map(String::as_str).collect();
        let params = registered
            .complete(&params, &ports)
            .map_err(anyhow::Error::msg)
            .or_exit(Exit::Invalid)?;
        let output = self.with_context(op, |context| registered.run(params, inputs, context));
        Ok(made(output.or_exit(Exit::StepFailed)?))
    }

    /// One line for people.
    pub fn note(&self, line: &str) {
        self.terminal.note(line);
    }

    /// Runs a part of `op` with what surrounds a step.
    pub fn with_context<T>(&self, op: &str, run: impl FnOnce(&Context<'_>) -> T) -> T {
        let say = |line: &str| self.say(op, line);
        run(&Context {
            key: None,
            log: &say,
            progress: &|_, _| {},
            cancelled: &|| false,
            recipe: &self.facts,
            clock: &Clock(self.started),
            memory: &measure::memory::ThisProcess,
            machine: &self.machine,
            intermediates: &steps::contract::NothingKept,
            programs: false,
            shelf: &Memory,
        })
    }
}

/// Files as a source hands them over.
pub fn files(paths: Vec<PathBuf>) -> Result<SourceFiles, Failure> {
    let file = |path: PathBuf| {
        let place = path.display().to_string();
        fs::metadata(&path).with_context(|| format!("{place}: cannot read the file"))?;
        Ok::<_, anyhow::Error>(Entry {
            path,
            name: place.clone(),
            place,
        })
    };
    let files = paths.into_iter().map(file).collect::<Result<Vec<_>, _>>()?;
    Ok(SourceFiles {
        name: files.first().map(|file| file.place.clone()).unwrap_or_default(),
        files,
    })
}

/// An output as the artifact that the next op takes.
fn made(output: Output) -> Made {
    let Output {
        kind,
        blobs,
        decoded,
        document,
    } = output;
    let blobs = blobs.into_iter().map(|(name, bytes)| (name, in_memory(bytes)));
    Made {
        artifact: Arc::new(Artifact::new(kind, blobs.collect(), decoded)),
        document,
    }
}

/// Files with their names for messages.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let read = |path: &PathBuf| {
        let label = path.display().to_string();
        let bytes = fs::read(path).with_context(|| format!("{label}: cannot read the samples"))?;
        Ok((label, bytes))
    };
    paths.iter().map(read).collect()
}

/// Samples for a model from an `.npy` file for each of its inputs, or an `.npz` file with all.
pub fn samples(paths: &[PathBuf], model: &Artifact, layout: Option<LayoutArg>) -> Result<Arc<Artifact>, Failure> {
    let model = model.model().or_exit(Exit::StepFailed)?;
    let chw = layout == Some(LayoutArg::Chw);
    Ok(dataset(
        models::inference::samples(read_all(paths)?, &model, chw).or_exit(Exit::StepFailed)?,
    ))
}

/// Samples in memory as the artifact that a `dataset` step makes.
pub fn dataset(samples: LoadedDataset) -> Arc<Artifact> {
    let decoded: Decoded = Arc::new(samples);
    Arc::new(Artifact::new(ArtifactKind::Dataset, BTreeMap::new(), Some(decoded)))
}

struct Clock(Instant);

impl measure::Clock for Clock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
