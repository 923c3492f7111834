//! `pipeline init`: a recipe to start from, with comments, that passes `check`; or files that ship.

mod shipped;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::args::{Choices, InitArgs};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::project::Project;
use crate::reading;
use crate::shell;
use crate::terminal::Terminal;
use crate::workbench::Workbench;

/// The name of the recipe's file.
const FILE: &str = "recipe.yaml";

/// Without files of the user: ResNet-8 of MLPerf Tiny (Apache-2.0) and CIFAR-10 (Krizhevsky 2009).
const DOWNLOADS: &str = "  network:
    fetch: [\"https://raw.githubusercontent.com/mlcommons/tiny/master/benchmark/training/image_classification/trained_models/pretrainedResnet.h5\"]
    sha256: 5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f
    size: 1116712
  samples:
    fetch: [\"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz\"]
    sha256: c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
    size: 170052171
";

/// Writes the recipe, unless there is one.
pub fn init(args: &InitArgs, terminal: &Terminal) -> Outcome {
    if !args.recipe.is_empty() || !args.architecture.is_empty() {
        return shipped::init(args, terminal);
    }
    let file = args.dir.join(FILE);
    let given = args.model.as_deref().zip(args.data.as_deref());
    if let Some(missing) = given
        .into_iter()
        .flat_map(|(model, data)| [model, data])
        .find(|path| !path.exists())
    {
        return Err(Failure::Error(
            Exit::Invalid,
            anyhow!("{}: does not exist", missing.display()),
        ));
    }
    let mut datasets = Datasets::of_downloads();
    let sources = match given {
        None => DOWNLOADS.to_owned(),
        Some((model, data)) => {
            datasets = Datasets::of(model, data, terminal);
            let (model, data) = (seen_from(&args.dir, model)?, seen_from(&args.dir, data)?);
            format!(
                "  network: {{ file: {} }}\n  samples: {{ file: {} }}\n",
                yaml_quoted(&model),
                yaml_quoted(&data)
            )
        }
    };
    let unwritable = || format!("{}: cannot write the recipe", file.display());
    fs::create_dir_all(&args.dir).with_context(unwritable)?;
    let mut written = fs::File::create_new(&file)
        .with_context(|| format!("{}: is there already, or cannot be written", file.display()))
        .or_exit(Exit::Environment)?;
    std::io::Write::write_all(&mut written, recipe(&sources, &datasets).as_bytes()).with_context(unwritable)?;
    shipped::write_schema(&args.dir)?;
    if let Err(complaints) = Project::read(&file, &Choices::default())? {
        terminal.refuse(&complaints);
        return Ok(Exit::Invalid);
    }
    let path = shell::quoted(&file.display().to_string());
    terminal.result(&format!(
        "wrote {path}\n\n  pipeline check {path}\n  pipeline run {path}\n"
    ))?;
    Ok(Exit::Success)
}

/// A path as a recipe in `folder` writes it: absolute ones as they are, others from the recipe's folder.
fn seen_from(folder: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let here = folder.as_os_str().is_empty() || folder == Path::new(".");
    if here || path.is_absolute() {
        return Ok(path.to_owned());
    }
    std::path::absolute(path)
        .with_context(|| format!("{}: cannot be found", path.display()))
        .or_exit(Exit::Environment)
}

/// A YAML string in double quotes, which are those of JSON.
fn yaml_quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

/// The dataset steps.
struct Datasets {
    /// What was found out about the samples, as comments.
    words: String,
    calibration: String,
    test: String,
}

impl Datasets {
    fn of_downloads() -> Self {
        Datasets {
            words: String::new(),
            calibration: "{ source: samples, split: train, count: 500, stratified: true, seed: $seed }".into(),
            test: "{ source: samples, split: test }".into(),
        }
    }

    /// Looks at the samples with the model. Where that fails they are taken as they are, and the reason is told.
    fn of(model: &Path, data: &Path, terminal: &Terminal) -> Self {
        let bench = Workbench::new(terminal);
        let looked = bench
            .import_with(model, None, serde_json::json!({}))
            .and_then(|model| reading::found(&bench, &model.artifact, &[data.to_owned()], None));
        match looked {
            Ok(reading) => {
                let mut calibration = reading.learn.clone();
                calibration.insert("count".into(), reading.available[0].min(500).into());
                calibration.insert("seed".into(), "$seed".into());
                Datasets {
                    words: reading.words.iter().map(|line| format!("  # {line}\n")).collect(),
                    calibration: reading::mapping(&calibration),
                    test: reading::mapping(&reading.test),
                }
            }
            Err(failure) => {
                let why = match failure {
                    Failure::Error(_, error) => format!("{error:#}"),
                    Failure::Told(_) => "it cannot be read".into(),
                };
                terminal.warning(&format!("the samples were not tried with the model: {why}"));
                Datasets {
                    words: "  # Size, colour and values are taken as they are: resize: [96, 96], normalize: symmetric, and others change them.\n".into(),
                    calibration: "{ source: samples, split: all, part: { to: 0.8 }, count: 500, seed: $seed }".into(),
                    test: "{ source: samples, split: all, part: { from: 0.8 } }".into(),
                }
            }
        }
    }
}

fn recipe(sources: &str, datasets: &Datasets) -> String {
    let Datasets {
        words,
        calibration,
        test,
    } = datasets;
    format!(
        "\
# yaml-language-server: $schema={}
#
# A recipe: a network becomes smaller in three ways, and a report says what each is worth.
#
#   pipeline check recipe.yaml     finds mistakes
#   pipeline plan recipe.yaml      shows what would run
#   pipeline run recipe.yaml       runs it; results in out/starter
#   pipeline doc quantize          explains an op with all its parameters
schema: pipeline/v1
name: starter

# Values to refer to as $name; `--set seed=9` changes one for a run.
params: {{ seed: 7 }}

# What it starts from. `--source samples=PATH` uses something else for a run.
sources:
{sources}
# Every step has a name, one op, and takes what other steps made by their names. Each runs once and is then in the cache.
steps:
  base: {{ import: {{ from: network }} }}
{words}  calibration: {{ dataset: {calibration} }}
  test: {{ dataset: {test} }}

  # Weights in half precision: half the size.
  float16: {{ quantize: {{ model: base, scheme: float16 }} }}

  # Weights in 8-bit integers, activations quantized on the fly: a quarter of the size, no calibration.
  dynamic: {{ quantize: {{ model: base, scheme: dynamic-int8 }} }}

  # Everything in 8-bit integers, for integer hardware. Calibration shows which values occur.
  ranges: {{ calibrate: {{ model: base, data: calibration, method: minmax }} }}
  int8: {{ quantize: {{ model: base, ranges: ranges, scheme: int8 }} }}

  # `each` makes one file for each of these models.
  tflite: {{ export: {{ model: {{ each: [float16, dynamic, int8] }}, format: tflite }} }}

  # What they are worth.
  quality: {{ evaluate: {{ model: {{ each: [base, float16, dynamic, int8] }}, data: test }} }}
  speed: {{ benchmark: {{ model: tflite, warmup: 10, runs: 100 }}, resources: {{ exclusive: true }} }}
  report: {{ report: {{ compare: [quality, tflite, speed], baseline: base }} }}

# What must hold; `pipeline run` ends with code 3 where it does not.
expect:
  - {{ metric: quality.accuracy, at: {{ model: int8 }}, drop-from: {{ model: base }}, le: 0.02 }}
",
        shipped::SCHEMA
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::Format;
    use crate::terminal::Volume;

    fn init_in(dir: &Path, model: Option<PathBuf>, data: Option<PathBuf>) -> Outcome {
        init(
            &InitArgs {
                dir: dir.to_owned(),
                model,
                data,
                recipe: Vec::new(),
                architecture: Vec::new(),
            },
            &Terminal::new(Volume::Quiet, true, Format::Text),
        )
    }

    #[test]
    fn the_starter_recipe_has_no_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(init_in(folder.path(), None, None).unwrap(), Exit::Success);
        let written = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(written.contains("fetch:"));
    }

    #[test]
    fn it_starts_from_given_files() {
        let folder = tempfile::tempdir().unwrap();
        let (model, data) = (folder.path().join("a \"model\".h5"), folder.path().join("images"));
        fs::write(&model, "").unwrap();
        fs::create_dir(&data).unwrap();
        assert_eq!(
            init_in(&folder.path().join("new"), Some(model), Some(data)).unwrap(),
            Exit::Success
        );
    }

    #[test]
    fn a_recipe_that_is_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "mine").unwrap();
        assert!(init_in(folder.path(), None, None).is_err());
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "mine");
    }

    #[test]
    fn the_downloads_are_those_of_the_shipped_recipe() {
        let shipped = include_str!("../../../../../recipes/quantization-lab.yaml");
        for line in DOWNLOADS.lines().filter(|line| !line.ends_with(':')) {
            assert!(shipped.contains(line.trim()), "{line}");
        }
    }
}
