//! `pipeline optimize`: the smallest file that decides as well, or the best within limits, without writing a recipe.
//!
//! Looks at the model and the samples, writes a recipe with a search in it, runs it, and says what came out. Nothing in it that a recipe
//! cannot say: the recipe stays beside the results, and `pipeline run` makes them again.

mod choice;
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueHint};
use schedule::RunRecord;
use serde_json::{Value, json};

use self::recipe::{Target, Wish};
use crate::args::{Choices, Everywhere, FetchArgs, Pace, ReadingArgs, RemoteArgs, RunArgs};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::problems::ProblemArgs;
use crate::reading;
use crate::shell;
use crate::terminal::Terminal;
use crate::units;
use crate::verbs::run;
use crate::workbench::Workbench;

/// The recipe and the record in the folder of the results.
const RECIPE: &str = "recipe.yaml";
const RECORD: &str = "record.json";

/// Points of the grid without `--minutes`: all of them.
const ALL: usize = 16;

#[derive(Debug, Args)]
pub struct OptimizeArgs {
    /// The model: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, or an architecture (.yaml) with --weights
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// Labelled samples: a folder of images by class, label files, CIFAR, IDX or NumPy files, or an archive of them; repeat it for several
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, required = true)]
    pub data: Vec<PathBuf>,
    /// Weights for an architecture: .pth, .pt or .safetensors
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Who runs the file
    #[arg(long, default_value = "litert")]
    pub target: Target,
    /// The most bytes of the file, such as 60kB: the best model within them is found
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    pub bytes: Option<u64>,
    /// Bytes are those in a zip archive, as of an app or an update
    #[arg(long)]
    pub packed: bool,
    /// The most milliseconds of one sample on this machine, by this program's kernels
    #[arg(long, value_name = "MS")]
    pub latency: Option<f64>,
    /// The most bytes that TensorFlow Lite Micro may lay out for activations, such as 64kB, with --target tflm
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    pub arena: Option<u64>,
    /// How many points of accuracy it may cost [default: 1, without --bytes, --latency and --arena]
    #[arg(long, value_name = "POINTS")]
    pub drop: Option<f64>,
    /// Train so many epochs after channels went, to say what the whole model says
    #[arg(long, value_name = "EPOCHS")]
    pub train: Option<u32>,
    /// About how long the search may take; without it the whole grid is tried
    #[arg(long, value_name = "MINUTES")]
    pub minutes: Option<f64>,
    /// How the model sees bytes [default: found by trying]
    #[arg(long, value_name = "WAY", value_parser = ["none", "unit", "symmetric", "imagenet"])]
    pub normalize: Option<String>,
    /// The folder for the recipe, the files and the report [default: out/<model's name>-optimized]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Replace a recipe that is there, and files that no run has written
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub pace: Pace,
}

/// Writes the recipe, runs it and says what was chosen.
pub fn optimize(args: &OptimizeArgs, everywhere: &Everywhere, terminal: &Terminal, started: Instant) -> Outcome {
    check(args)?;
    let stem = args
        .model
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = format!("{}-optimized", named(&stem));
    let folder = args.out.clone().unwrap_or_else(|| Path::new("out").join(&name));
    let file = folder.join(RECIPE);
    if file.exists() && !args.force {
        let problem = anyhow!(
            "{}: is there already; run it, name another folder with --out, or replace it with --force",
            file.display()
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let bench = Workbench::new(terminal);
    let model = bench
        .import_with(&args.model, args.weights.as_deref(), args.reading.params())?
        .artifact;
    let reading = reading::found(&bench, &model, &args.data, args.normalize.as_deref())?;
    for line in &reading.words {
        terminal.note(line);
    }
    let narrow = steps::ops::shrink::can_narrow(&*model.model().or_exit(Exit::StepFailed)?);
    if !narrow {
        terminal.note("no layer can lose channels: the network stays as wide as it is");
    }
    let mut wish = Wish {
        target: args.target,
        bytes: args.bytes,
        packed: args.packed,
        latency: args.latency,
        arena: args.arena,
        drop: args.drop.map(|points| points / 100.0),
        epochs: args.train,
        narrow,
        budget: 1,
    };
    let (sources, import) = (sources(args)?, import(args));
    let write = |wish: &Wish| {
        let text = recipe::text(&name, &sources, &import, &reading, wish);
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, text));
        written
            .with_context(|| format!("{}: cannot write the recipe", file.display()))
            .or_exit(Exit::Environment)
    };
    if let Some(minutes) = args.minutes {
        // One point, which is in the cache then, says how long the others take.
        let before = Instant::now();
        write(&wish)?;
        match run(args, everywhere, terminal, &file, &folder, started) {
            Ok(Exit::Interrupted) => return Ok(Exit::Interrupted),
            // That this one keeps no limit says nothing about the others.
            Ok(_) | Err(Failure::Error(Exit::Expectation, _)) => {}
            Err(failure) => return Err(failure),
        }
        let each = before.elapsed().as_secs_f64();
        wish.budget = ((60.0 * minutes / each) as usize).clamp(1, ALL);
        terminal.note(&format!(
            "{} fit in {minutes} minutes: one took {}",
            units::count(wish.budget, "point"),
            units::seconds(each)
        ));
    } else {
        wish.budget = ALL;
    }
    write(&wish)?;
    let exit = run(args, everywhere, terminal, &file, &folder, started)?;
    let record = record(&folder)?;
    let Some(told) = choice::told(&record, &wish) else {
        return Ok(exit);
    };
    let again = shell::quoted(&file.display().to_string());
    terminal.result(&format!("{told}\nthe same again: pipeline run {again}\n"))?;
    Ok(exit)
}

/// What clap does not see.
fn check(args: &OptimizeArgs) -> Result<(), Failure> {
    let positive = [("--latency", args.latency), ("--minutes", args.minutes)];
    let wrong = positive
        .iter()
        .find(|(_, number)| number.is_some_and(|n| !(n > 0.0 && n.is_finite())));
    let problem = if let Some((option, _)) = wrong {
        format!("{option}: must be more than 0")
    } else if args.drop.is_some_and(|points| !(0.0..100.0).contains(&points)) {
        "--drop: points of accuracy, from 0 to 100".to_owned()
    } else if args.arena.is_some() && args.target != Target::Tflm {
        "--arena: is what TensorFlow Lite Micro lays out; say --target tflm, or leave it out".to_owned()
    } else if args.train == Some(0) {
        "--train: 0 epochs are none; leave it out".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::Error(Exit::Invalid, anyhow!(problem)))
}

fn run(
    args: &OptimizeArgs,
    everywhere: &Everywhere,
    terminal: &Terminal,
    file: &Path,
    folder: &Path,
    started: Instant,
) -> Outcome {
    let mut pace = args.pace.clone();
    // A point that cannot be is none of the best; the others can.
    pace.keep_going = true;
    let args = RunArgs {
        recipe: file.to_owned(),
        choices: Choices::default(),
        fetch: FetchArgs::default(),
        remote: args.remote.clone(),
        pace,
        out: Some(folder.to_owned()),
        force: args.force,
        shard: None,
        frozen: None,
        events: None,
        problems: ProblemArgs::default(),
    };
    run::run(&args, everywhere, terminal, started)
}

fn record(folder: &Path) -> Result<RunRecord, Failure> {
    let path = folder.join(RECORD);
    let bytes = fs::read(&path).with_context(|| format!("{}: cannot read the record", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{}: is no record", path.display()))
        .or_exit(Exit::Environment)
}

/// A name as recipes have it, from any file's name.
fn named(stem: &str) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let name: String = stem.chars().map(sound).collect();
    let name = name.trim_matches('-');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        format!("model-{name}").trim_end_matches('-').to_owned()
    }
}

/// The lines under `sources`.
fn sources(args: &OptimizeArgs) -> Result<String, Failure> {
    let line = |name: &str, paths: &[PathBuf]| -> Result<String, Failure> {
        let mut files = Vec::new();
        for path in paths {
            let path = std::path::absolute(path)
                .with_context(|| format!("{}: cannot be found", path.display()))
                .or_exit(Exit::Environment)?;
            files.push(Value::from(path.display().to_string()).to_string());
        }
        Ok(match files.as_slice() {
            [one] => format!("  {name}: {{ file: {one} }}\n"),
            several => format!("  {name}: {{ file: [{}] }}\n", several.join(", ")),
        })
    };
    let model = std::slice::from_ref(&args.model);
    let network = match &args.weights {
        Some(weights) => line("architecture", model)? + &line("network", std::slice::from_ref(weights))?,
        None => line("network", model)?,
    };
    Ok(network + &line("samples", &args.data)?)
}

/// The parameters of the import.
fn import(args: &OptimizeArgs) -> String {
    let mut params = vec!["from: network".to_owned()];
    if args.weights.is_some() {
        params.push("architecture: architecture".to_owned());
    }
    let given = args.reading.params();
    for (key, value) in given.as_object().into_iter().flatten() {
        if *value != json!(false) {
            params.push(format!("{key}: {value}"));
        }
    }
    format!("{{ {} }}", params.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_name_becomes_a_name() {
        assert_eq!(named("resnet8"), "resnet8");
        assert_eq!(named("my model (2)"), "my-model--2");
        assert_eq!(named("8bit"), "model-8bit");
        assert_eq!(named("…"), "model");
    }
}
