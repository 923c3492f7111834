//! `import`: read a trained network from a file.
//!
//! The graph keeps the file's layers one by one, batch norms and dropouts included: it is what the framework runs.
//! Folding comes later, where a step needs it.
//!
//! PyTorch files hold weights and no network: an architecture file says what the network is, and its names are those of the
//! weights. For Keras weights (`model.save_weights`) the architecture is the model's configuration (`model.to_json()`).
//!
//! ```yaml
//! base: { import: { from: weights, format: keras } }
//! net: { import: { from: pth, architecture: architectures/fbnet_a.yaml } }
//! old: { import: { from: x.weights.h5, architecture: model.json } }
//! ```

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use data::Entry;
use formats::tensorflow::ImportOptions;
use indexmap::IndexMap;
use ir::Graph;
use models::architecture::{self, Naming, RenameRule};
use models::{ModelFormat, saved_model};
use recipe::{ArtifactKind, FileRef, SourceRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Arithmetic, Context, Facts, Inputs, Network, Op, Outlook, Output, SourceFiles};

/// Parameters of `import`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Import {
    /// The source that holds the model file.
    pub from: SourceRef,
    /// How the file is written.
    #[serde(default)]
    pub format: ModelFormat,
    /// Height, width and channels of the input, for models that leave them open; for ONNX in the file's order, channels first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_shape: Option<Vec<usize>>,
    /// The signature of a SavedModel; `serving_default`, or the only one, where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The network that weights belong to: a YAML file beside the recipe for a state dict of PyTorch, with modules of your own in a
    /// folder `modules` beside it; for weights of Keras the model's configuration, a JSON file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<FileRef>,
    /// Values for parameters of the architecture.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, serde_json::Value>,
    /// Rules that turn names of the state dict into those of the architecture, applied in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rename: Vec<RenameRule>,
    /// Take only weights whose names start so, without it; before `rename`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The entry of a checkpoint that holds the state dict, where it is not one of the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Keep weights that are infinite or not a number instead of refusing them; a warning names the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_non_finite: bool,
}

/// The op.
pub struct ImportOp;

impl Op for ImportOp {
    type Params = Import;
    const NAME: &'static str = "import";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Reads a trained network from a file.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "base: { import: { from: weights, format: keras } }";

    fn check(params: &Import, ports: &[&str]) -> Result<(), String> {
        let _ = ports;
        for rule in &params.rename {
            architecture::check_rule(rule).map_err(|problem| format!("rename: {problem}"))?;
        }
        let saved = matches!(params.format, ModelFormat::Auto | ModelFormat::SavedModel);
        match params.signature {
            Some(_) if !saved => Err("signature is for SavedModels: remove it, or the format".into()),
            _ => Ok(()),
        }
    }

    fn idle(_params: &Import, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        if ports.contains(&"architecture") {
            return Vec::new();
        }
        ["params", "rename", "prefix", "key"]
            .map(|key| (key, "weights with an architecture"))
            .to_vec()
    }

    fn foresee(params: &Import, inputs: &Outlook) -> Result<Facts, String> {
        if let [file] = inputs.source("from")
            && let Some(named) = ModelFormat::of_name(file)
        {
            if params.format != ModelFormat::Auto && params.format != named {
                return Err(format!(
                    "format: `{file}` has the name of another kind of file: remove it, or name another file"
                ));
            }
            if params.signature.is_some() {
                return Err(format!("signature is for SavedModels, and `{file}` is none: remove it"));
            }
        }
        let (names, architecture) = (inputs.source("from"), inputs.source("architecture"));
        let origin = format!(
            "{names:?} {architecture:?} {:?} {:?}",
            params.input_shape, params.params
        );
        let facts = Facts {
            origin: Some(origin.into()),
            ..Facts::default()
        };
        let (Some(files), architecture) = (inputs.files("from"), inputs.files("architecture")) else {
            return Ok(facts);
        };
        if !inputs.source("architecture").is_empty() && architecture.is_none() {
            return Ok(facts);
        }
        let shape = params.input_shape.as_ref();
        Ok(match params.read(files, architecture, shape, &|_| ()) {
            Ok(graph) => Facts {
                arithmetic: Some(Arithmetic::of(&graph)),
                network: Some(Network::of(graph)),
                ..facts
            },
            // The file is sound, and what it is asked to be is not.
            Err(problem) if shape.is_some() && params.read(files, architecture, None, &|_| ()).is_ok() => {
                return Err(format!("input-shape: {problem}"));
            }
            Err(problem) => Facts {
                unread: Some(format!("from: {problem}")),
                ..facts
            },
        })
    }

    fn run(params: &Import, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let architecture = inputs.sources.get("architecture");
        let shape = params.input_shape.as_ref();
        let graph = params.read(inputs.source("from")?, architecture, shape, &|line| context.log(line))?;
        context.log(&format!(
            "{} layers, {} parameters",
            graph.nodes().len(),
            graph.parameters()
        ));
        Output::model(graph, Vec::new())
    }
}

impl Import {
    /// The network in the files, with an input of the shape; `log` takes what there is to say of it.
    fn read(
        &self,
        source: &SourceFiles,
        architecture: Option<&SourceFiles>,
        shape: Option<&Vec<usize>>,
        log: &dyn Fn(&str),
    ) -> Result<Graph, StepError> {
        let (file, others) = parts(source)?;
        let graph = if self.format == ModelFormat::SavedModel || saved_model::holds_files(file) {
            let options = ImportOptions {
                signature: self.signature.clone(),
                input_shape: shape.cloned(),
            };
            saved_model::read(file, &options)?
        } else {
            let bytes = std::fs::read(&file.path).map_err(|e| StepError::File {
                path: file.place.clone(),
                problem: e.to_string(),
            })?;
            if let Some(files) = architecture {
                match keras_config(files)? {
                    Some(config) => with_config(self, &config, &bytes, &file.place, shape)?,
                    None => with_architecture(self, (&bytes, &file.place), &files.files, shape, log)?,
                }
            } else {
                let outside = |data: &formats::onnx::ExternalData| external(others, data);
                let options = models::ReadOptions {
                    format: self.format,
                    input_shape: shape.cloned(),
                    allow_non_finite: self.allow_non_finite,
                };
                models::read(&bytes, &file.place, options, &outside)?
            }
        };
        if let Some(found) = graph.non_finite() {
            if !self.allow_non_finite {
                let fix =
                    "the training that made it diverged; `allow-non-finite: true` (`--allow-non-finite`) keeps it";
                return Err(StepError::File {
                    path: file.place.clone(),
                    problem: format!("constant {found}; {fix}"),
                });
            }
            log(&format!(
                "warning: {}: constant {found}, and was kept as asked",
                file.place
            ));
        }
        Ok(graph)
    }
}

/// The model's file, and files with its weights.
fn parts(source: &SourceFiles) -> Result<(&Entry, &[Entry]), StepError> {
    let (first, others) = source
        .files
        .split_first()
        .ok_or_else(|| StepError::Params(format!("source `{}` has no files, import takes one", source.name)))?;
    if !others.is_empty() && Path::new(&first.name).extension().is_none_or(|e| e != "onnx") {
        let problem = format!(
            "source `{}` has {} files, import takes one (or a `.onnx` file followed by the files with its weights)",
            source.name,
            source.files.len()
        );
        return Err(StepError::Params(problem));
    }
    Ok((first, others))
}

/// A part of a file with weights, found by its name among the files of the source.
fn external(files: &[Entry], data: &formats::onnx::ExternalData) -> Result<Vec<u8>, String> {
    let name = |path: &str| Path::new(path).file_name().map(std::ffi::OsStr::to_os_string);
    let file = files.iter().find(|file| name(&file.name) == name(&data.location));
    let file = file.ok_or("is not among the files of the source; list it after the model's")?;
    let mut opened = std::fs::File::open(&file.path).map_err(|e| e.to_string())?;
    let end = opened.metadata().map_err(|e| e.to_string())?.len();
    let rest = end
        .checked_sub(data.offset)
        .ok_or_else(|| format!("has {end} bytes, the data begins at {}", data.offset))?;
    let length = data.length.unwrap_or(rest);
    if length > rest {
        return Err(format!(
            "has {end} bytes, the data ends at {}",
            data.offset.saturating_add(length)
        ));
    }
    let mut bytes = Vec::new();
    opened.seek(SeekFrom::Start(data.offset)).map_err(|e| e.to_string())?;
    opened.take(length).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// The architecture where it is one of Keras, in JSON; a YAML file of ours begins otherwise.
fn keras_config(files: &SourceFiles) -> Result<Option<String>, StepError> {
    let [file] = files.files.as_slice() else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&file.path).map_err(|e| StepError::File {
        path: file.place.clone(),
        problem: e.to_string(),
    })?;
    Ok(text.trim_start().starts_with('{').then_some(text))
}

fn with_config(
    params: &Import,
    config: &str,
    weights: &[u8],
    label: &str,
    shape: Option<&Vec<usize>>,
) -> Result<Graph, StepError> {
    let Import {
        params: values,
        rename,
        prefix,
        key,
        ..
    } = params;
    if !values.is_empty() || !rename.is_empty() || prefix.is_some() || key.is_some() {
        let problem = "params, rename, prefix and key are for state dicts of PyTorch; a Keras configuration names its weights itself";
        return Err(StepError::Params(problem.into()));
    }
    let options = formats::keras::ImportOptions {
        input_shape: shape.cloned(),
        allow_non_finite: params.allow_non_finite,
    };
    formats::keras::read_config_and_weights_with(config, weights, &options).map_err(|e| StepError::File {
        path: label.to_owned(),
        problem: e.to_string(),
    })
}

fn with_architecture(
    params: &Import,
    (bytes, label): (&[u8], &str),
    files: &[Entry],
    shape: Option<&Vec<usize>>,
    log: &dyn Fn(&str),
) -> Result<Graph, StepError> {
    let network = architecture::parse(files)?;
    let naming = Naming {
        key: params.key.as_deref(),
        prefix: params.prefix.as_deref().unwrap_or_default(),
        rename: &params.rename,
    };
    let (weights, news) = architecture::weights(bytes, label, &naming)?;
    for line in &news {
        log(line);
    }
    let (values, input) = (&params.params, shape.cloned());
    Ok(architecture::build(&network, values, input, Some(&weights), params.allow_non_finite)?.graph)
}
