//! The command line, as clap reads it. What the verbs do with it is theirs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use recipe::Overrides;

use crate::shard::{self, Shard};
use crate::terminal::Volume;
use crate::units;
use crate::verbs::optimize::OptimizeArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0    everything asked for was done
  1    a step failed
  2    the recipe or the command line is wrong
  3    an expectation was not met
  4    the environment is in the way: a disk, a network, a file
  130  interrupted";

/// Makes trained networks small and fast, and proves what each version is worth.
#[derive(Debug, Parser)]
#[command(name = "pipeline", version, after_help = EXIT_CODES, max_term_width = 120, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub everywhere: Everywhere,
}

/// Options that every verb has.
#[derive(Debug, Args)]
pub struct Everywhere {
    /// The cache folder [default: $PIPELINE_CACHE, else $XDG_CACHE_HOME/pipeline, else ~/.cache/pipeline]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Global options")]
    pub cache: Option<PathBuf>,
    /// Print errors and verdicts only
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Global options",
        conflicts_with = "verbose"
    )]
    pub quiet: bool,
    /// Print what the steps say, too
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
}

impl Everywhere {
    /// How much is said.
    pub fn volume(&self) -> Volume {
        match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (false, false) => Volume::Normal,
            (false, true) => Volume::Verbose,
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a recipe; what is in the cache is not run again
    #[command(after_help = "\
Examples:
  pipeline run recipes/quickstart.yaml
  pipeline run lab.yaml --set seed=9 --axis fraction=0.1,0.5 --only report
  pipeline run lab.yaml --source cifar=~/cifar10 --mirror downloads --offline
  pipeline run lab.yaml --shard 3/10 --remote-cache https://cache.example.org/team")]
    Run(RunArgs),
    /// Find the mistakes of recipes without running anything
    #[command(after_help = "Example:\n  pipeline check recipes/*.yaml")]
    Check(CheckArgs),
    /// Show what a run would do and why
    #[command(after_help = "\
Examples:
  pipeline plan lab.yaml --set seed=9
  pipeline plan lab.yaml --emit slurm --shards 20 --remote-cache file:///nfs/cache > lab.sh")]
    Plan(PlanArgs),
    /// Show the steps of a recipe and what each needs
    #[command(after_help = "Example:\n  pipeline graph lab.yaml --dot | dot -Tsvg > lab.svg")]
    Graph(GraphArgs),
    /// Say why a step would run, and what its key is made of
    #[command(after_help = "\
Examples:
  pipeline explain lab.yaml int8
  pipeline explain lab.yaml 'int8[fraction=0.8]' --set seed=9")]
    Explain(ExplainArgs),
    /// Render the reports of a recipe, or a report again from its record
    #[command(after_help = "\
Examples:
  pipeline report lab.yaml                     runs the report steps and what they need
  pipeline report out/lab/record.json          renders a finished run again")]
    Report(ReportArgs),
    /// Trace a model back through every step to its sources
    #[command(after_help = "\
Examples:
  pipeline provenance out/lab/int8.tflite
  pipeline provenance int8.tflite --record record.json --json")]
    Provenance(ProvenanceArgs),
    /// Compare the figures of two runs
    #[command(after_help = "\
Examples:
  pipeline compare out/before out/after
  pipeline compare main/record.json out/lab --fail-if-worse accuracy=0.005")]
    Compare(CompareArgs),
    /// Find the smallest file of a model that decides as well, or the best within limits
    #[command(after_help = "\
Examples:
  pipeline optimize model.h5 --data images/
  pipeline optimize model.onnx --data images/ --bytes 60kB --target tflm
  pipeline optimize recipes/architectures/resnet18.yaml --weights resnet18.pth --data cats.zip --drop 0.5 --minutes 20")]
    Optimize(OptimizeArgs),
    /// Show the layers of a model
    #[command(after_help = "Example:\n  pipeline inspect models/resnet8.h5")]
    Inspect(InspectArgs),
    /// Convert a model, quantizing it on request; the formats follow from the file names
    #[command(after_help = "\
Examples:
  pipeline convert model.h5 model.tflite
  pipeline convert model.h5 model.tflite --quantize int8 --calibrate x_train.npy --input int8 --output int8
  pipeline convert model.tflite model.c        writes model.c and model.h
  pipeline convert recipes/architectures/fbnet_a.yaml fbnet_a.tflite --weights fbnet_a.pth
  pipeline convert model.json model.tflite --weights model.weights.h5")]
    Convert(ConvertArgs),
    /// Compare the outputs of two models on the same inputs
    #[command(after_help = "Example:\n  pipeline verify model.h5 model.tflite --input x_test.npy --per-layer")]
    Verify(VerifyArgs),
    /// Time a model
    #[command(after_help = "Examples:\n  pipeline bench model.tflite --runs 200\n  pipeline bench model.tflite --ops")]
    Bench(BenchArgs),
    /// Run a model on NumPy arrays
    #[command(after_help = "\
Examples:
  pipeline infer model.h5 --input x.npy --output y.npy
  pipeline infer int8.tflite --input x.npy --output y.npy --quantize --dequantize")]
    Infer(InferArgs),
    /// Look after the cache
    #[command(subcommand)]
    Cache(CacheVerb),
    /// List ops, formats and recipes
    List {
        /// What to list; everything without it
        what: Option<Listing>,
    },
    /// Show the reference page of an op or of a module of architectures, or what is supported
    #[command(
        after_help = "Examples:\n  pipeline doc quantize\n  pipeline doc module conv2d\n  pipeline doc support\n  pipeline doc --all docs/reference"
    )]
    Doc(DocArgs),
    /// Write a starter recipe with comments
    #[command(after_help = "Example:\n  pipeline init lab --model model.h5 --data images/")]
    Init(InitArgs),
    /// Print a JSON schema, for editors
    #[command(after_help = "Example:\n  pipeline schema recipe > schemas/recipe.schema.json")]
    Schema {
        /// Which one
        #[arg(default_value = "recipe")]
        what: SchemaOf,
    },
    /// Print the completion script of a shell
    #[command(
        after_help = "Example:\n  pipeline completions bash > ~/.local/share/bash-completion/completions/pipeline"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What the command line changes about a recipe.
#[derive(Debug, Clone, Default, Args)]
pub struct Choices {
    /// Set a param of the recipe
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, help_heading = "Recipe options")]
    pub set: Vec<(String, String)>,
    /// Set the values of an axis
    #[arg(long, value_name = "NAME=A,B", value_parser = axis, help_heading = "Recipe options")]
    pub axis: Vec<Axis>,
    /// Use this file or folder instead of a source
    #[arg(long, value_name = "NAME=PATH", value_parser = source, help_heading = "Recipe options")]
    pub source: Vec<(String, PathBuf)>,
    /// Just this step and what it needs
    #[arg(long, value_name = "STEP", help_heading = "Recipe options")]
    pub only: Vec<String>,
}

impl Choices {
    /// The choices as options, but for the sources: where those lie is a matter of the machine.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let set = self
            .set
            .iter()
            .map(|(name, value)| ("--set", format!("{name}={value}")));
        let axis = self
            .axis
            .iter()
            .map(|axis| ("--axis", format!("{}={}", axis.name, axis.values.join(","))));
        let only = self.only.iter().map(|step| ("--only", step.clone()));
        set.chain(axis).chain(only).collect()
    }

    /// The choices as the recipe takes them.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            set: self.set.clone(),
            axis: self
                .axis
                .iter()
                .map(|axis| (axis.name.clone(), axis.values.clone()))
                .collect(),
            sources: self.source.clone(),
            only: self.only.clone(),
        }
    }
}

/// An axis with its values, as given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Its values as YAML.
    pub values: Vec<String>,
}

/// Where downloads may come from.
#[derive(Debug, Clone, Default, Args)]
pub struct FetchArgs {
    /// Look for downloads in this folder, by their SHA-256
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Recipe options")]
    pub mirror: Vec<PathBuf>,
    /// Download nothing
    #[arg(long, help_heading = "Recipe options")]
    pub offline: bool,
}

/// `--remote-cache-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RemoteModeArg {
    /// Take results from it
    ReadOnly,
    /// Take results from it and bring it new ones
    ReadWrite,
}

/// The cache that other machines share with this one.
#[derive(Debug, Clone, Default, Args)]
pub struct RemoteArgs {
    /// A cache shared with other machines: file:///FOLDER, http(s)://HOST/PATH, s3://BUCKET/PREFIX, or off [default: $PIPELINE_REMOTE_CACHE, else what pipeline.toml beside the recipe says]
    #[arg(long, value_name = "URL", help_heading = "Cache options")]
    pub remote_cache: Option<String>,
    /// What may be done with it [default: $PIPELINE_REMOTE_CACHE_MODE, else what pipeline.toml says, else read-write]
    #[arg(long, value_name = "MODE", help_heading = "Cache options")]
    pub remote_cache_mode: Option<RemoteModeArg>,
}

/// How a run is carried out; nothing of it changes a result.
#[derive(Debug, Clone, Args)]
pub struct Pace {
    /// After a failure, go on with what does not depend on it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Threads that steps share [default: all]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Memory that steps share, such as 4GiB [default: most of what is free]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    pub memory: Option<u64>,
    /// Run the commands that the recipe names (`external`); PIPELINE_ALLOW_EXTERNAL=1 says so too
    #[arg(long)]
    pub allow_external: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The recipe
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub fetch: FetchArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub pace: Pace,
    /// The folder for files and reports [default: out/<recipe name>]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Replace files in that folder that no run has written
    #[arg(long)]
    pub force: bool,
    /// Run only this part of the plan, for machines that share a cache; a last run without it gathers, reports and gates
    #[arg(long, value_name = "NUMBER/OF", value_parser = shard::parse, help_heading = "Recipe options")]
    pub shard: Option<Shard>,
    /// Refuse to run another plan than that of this digest, which `plan --emit` writes
    #[arg(long, value_name = "SHA256", help_heading = "Recipe options")]
    pub frozen: Option<String>,
    /// Write what happens as JSON, an object a line; `-` is stdout
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub events: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The recipes
    #[arg(required = true, value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub recipes: Vec<PathBuf>,
    #[command(flatten)]
    pub choices: Choices,
}

/// `--emit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Emitted {
    /// A workflow of GitHub Actions with a matrix
    GithubMatrix,
    /// A script that submits an array of jobs to Slurm
    Slurm,
    /// A workflow of Argo, for Kubernetes
    Argo,
    /// A script that submits an array of tasks to HyperQueue
    Hyperqueue,
}

impl Emitted {
    /// As the command line has it.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The recipe
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Print jobs that run the plan in parts, for a scheduler of other people's
    #[arg(long, value_name = "SCHEDULER", requires = "shards")]
    pub emit: Option<Emitted>,
    /// How many parts
    #[arg(long, value_name = "N", requires = "emit", value_parser = shard::parse_count)]
    pub shards: Option<usize>,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The recipe
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    #[command(flatten)]
    pub choices: Choices,
    /// As Graphviz input
    #[arg(long, conflicts_with = "mermaid")]
    pub dot: bool,
    /// As a Mermaid flowchart, which GitHub draws
    #[arg(long)]
    pub mermaid: bool,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The recipe
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    /// A step, or one instance of it as `plan` shows it
    pub step: String,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A recipe, or the record of a run or report
    #[arg(value_name = "RECIPE|RECORD", value_hint = ValueHint::FilePath)]
    pub what: PathBuf,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub fetch: FetchArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub pace: Pace,
    /// The folder for the report [default: out/<recipe name>, or the record's folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Replace files in that folder that no run has written
    #[arg(long)]
    pub force: bool,
    /// For a record: the variant that the others are compared with
    #[arg(long, value_name = "VARIANT")]
    pub baseline: Option<String>,
}

#[derive(Debug, Args)]
pub struct ProvenanceArgs {
    /// A file that a run has written, or the folder of a SavedModel
    #[arg(value_hint = ValueHint::AnyPath)]
    pub file: PathBuf,
    /// The record of the run [default: record.json beside the file or above it, else what the cache knows]
    #[arg(long, value_name = "RECORD", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The earlier run: its output folder or its record
    #[arg(value_hint = ValueHint::AnyPath)]
    pub before: PathBuf,
    /// The later run
    #[arg(value_hint = ValueHint::AnyPath)]
    pub after: PathBuf,
    /// End with code 3 if this figure got worse by more than the tolerance in any variant
    #[arg(long, value_name = "FIGURE[=TOLERANCE]", value_parser = tolerance)]
    pub fail_if_worse: Vec<(String, f64)>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, or an architecture (.yaml)
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// Weights for an architecture: .pth, .pt or .safetensors; they are zeros without
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// As an architecture file; `convert` to .safetensors writes the weights for it
    #[arg(long, conflicts_with = "json")]
    pub architecture: bool,
    /// What a small device's runtime needs to run it: arena, operators, what it lacks
    #[arg(long, value_name = "RUNTIME", conflicts_with = "architecture")]
    pub target: Option<TargetArg>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Draw the graph too, as SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub svg: Option<PathBuf>,
    /// Draw the graph too, as a page for a browser
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// `--target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetArg {
    /// TensorFlow Lite Micro
    Tflm,
}

/// `--quantize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemeArg {
    /// Weights in half precision
    Float16,
    /// Weights in 8-bit integers, activations quantized on the fly
    DynamicInt8,
    /// Weights and activations in 8-bit integers; needs --calibrate
    Int8,
    /// Weights in 8-bit integers, activations in 16-bit ones; needs --calibrate
    #[value(name = "int16x8")]
    Int16x8,
}

/// `--per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PerArg {
    /// A scale for each output channel
    Channel,
    /// A scale for each tensor
    Tensor,
}

/// `--input` and `--output` of an integer model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EdgeArg {
    /// 32-bit floats
    Float,
    /// Signed bytes
    Int8,
    /// Unsigned bytes
    Uint8,
    /// Signed 16-bit integers, with --quantize int16x8
    Int16,
}

/// `--layout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// Channels first: [N, C, H, W]
    Chw,
}

/// `--profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// Symmetric activations and float biases, as TensorRT takes them
    Tensorrt,
}

/// The size of an input that a model leaves open.
#[derive(Debug, Args)]
pub struct ShapeArgs {
    /// Dimensions of one sample, for models that leave some open, in the file's order: 3,224,224 for .onnx, 224,224,3 for others
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub input_shape: Option<Vec<usize>>,
}

impl ShapeArgs {
    /// As parameters of `import`.
    pub fn params(&self) -> serde_json::Value {
        match &self.input_shape {
            Some(shape) => serde_json::json!({ "input-shape": shape }),
            None => serde_json::json!({}),
        }
    }
}

/// How a model is read.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// The entry of a checkpoint that holds the weights, where it holds several
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub key: Option<String>,
    /// Keep weights that are infinite or not a number instead of refusing them
    #[arg(long)]
    pub allow_non_finite: bool,
}

impl ReadingArgs {
    /// As parameters of `import`.
    pub fn params(&self) -> serde_json::Value {
        let mut params = self.shape.params();
        params["allow-non-finite"] = self.allow_non_finite.into();
        if let Some(key) = &self.key {
            params["key"] = key.as_str().into();
        }
        params
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The model to read: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, or an architecture (.yaml, Keras' .json) with --weights
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    pub from: PathBuf,
    /// The file to write: .tflite, .onnx, .c (with .h beside it), .safetensors, or a folder for a SavedModel
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub to: PathBuf,
    /// Weights for an architecture: .pth, .pt or .safetensors; or .h5, for a configuration of Keras
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Store and compute in fewer bits
    #[arg(long, value_name = "SCHEME")]
    pub quantize: Option<SchemeArg>,
    /// Samples to calibrate with, in the scale that the model takes
    #[arg(long, value_name = "NPY", value_hint = ValueHint::FilePath, required_if_eq("quantize", "int8"))]
    pub calibrate: Option<PathBuf>,
    /// Order of the axes of images in --calibrate, where it is another than the model's
    #[arg(long, value_name = "ORDER", requires = "calibrate")]
    pub layout: Option<LayoutArg>,
    /// For whom an .onnx file is written
    #[arg(long, value_name = "RUNTIME")]
    pub profile: Option<ProfileArg>,
    /// Write the weights of an .onnx file into a file beside it
    #[arg(long)]
    pub external_data: bool,
    /// Store pruned weights of a .tflite file without their zeros, where that is smaller
    #[arg(long)]
    pub sparse: bool,
    /// Write operators that the format's runtimes do not have all the same, for runtimes that have been taught them
    #[arg(long)]
    pub keep_unknown: bool,
    /// Weights in 4-bit integers instead of 8-bit ones, two a byte
    #[arg(long, requires = "quantize")]
    pub int4: bool,
    /// A scale for so many 4-bit weights along the input channels; for .onnx files
    #[arg(long, value_name = "N", requires = "int4", conflicts_with = "per")]
    pub block: Option<usize>,
    /// How many weight scales a layer has
    #[arg(long, value_name = "WHAT", requires = "quantize")]
    pub per: Option<PerArg>,
    /// Layers of an int8 model that may stay float: names with * and ?, or op: and an operator; others without integer arithmetic fail
    #[arg(long, value_name = "LAYER", requires = "quantize")]
    pub allow_float: Vec<String>,
    /// Element type of the inputs of an int8 model
    #[arg(long, value_name = "TYPE", requires = "quantize")]
    pub input: Option<EdgeArg>,
    /// Element type of the outputs of an int8 model
    #[arg(long, value_name = "TYPE", requires = "quantize")]
    pub output: Option<EdgeArg>,
}

/// `--runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyRuntimeArg {
    /// Our own
    Own,
    /// An independent engine, on the model written to ONNX; float models
    Tract,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The model
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// What it should agree with
    #[arg(value_hint = ValueHint::FilePath)]
    pub reference: PathBuf,
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Samples, in the scale that the models take [default: 16 samples of noise in 0..1]
    #[arg(long, value_name = "NPY", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// Order of the axes of images in --input, where it is another than the model's
    #[arg(long, value_name = "ORDER", requires = "input")]
    pub layout: Option<LayoutArg>,
    /// Compare the layers too, paired by name or by kind and order, and find the first that departs
    #[arg(long)]
    pub per_layer: bool,
    /// A layer departs below this signal-to-noise ratio [default: 60 between float models, 10 otherwise]
    #[arg(long, value_name = "DB", requires = "per_layer")]
    pub departs_below: Option<f64>,
    /// What runs the model; the reference runs in our own runtime
    #[arg(long, value_enum, default_value_t = VerifyRuntimeArg::Own)]
    pub runtime: VerifyRuntimeArg,
    /// End with code 1 where an output differs by more
    #[arg(long, value_name = "ERROR")]
    pub max_abs_error: Option<f64>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `--kernels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KernelsArg {
    /// The fastest for this machine
    Fast,
    /// Plain loops
    Reference,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The model: .h5, .keras, .onnx, .tflite or the folder of a SavedModel
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Runs that are counted
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Runs after the first that are not counted
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub warmup: u32,
    /// Which kernels run it
    #[arg(long, value_enum, default_value_t = KernelsArg::Fast)]
    pub kernels: KernelsArg,
    /// Where the time goes: each operator, its share and its kernel
    #[arg(long)]
    pub ops: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InferArgs {
    /// The model: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, or an architecture (.yaml, Keras' .json) with --weights
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// Weights for an architecture: .pth, .pt or .safetensors; or .h5, for a configuration of Keras
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// One array for each input of the model, in order; samples along the first axis, or where the model counts them
    #[arg(long, value_name = "NPY", required = true, value_hint = ValueHint::FilePath)]
    pub input: Vec<PathBuf>,
    /// Order of the axes of images in --input, where it is another than the model's
    #[arg(long, value_name = "ORDER")]
    pub layout: Option<LayoutArg>,
    /// Where results go; one file for each output of the model, in order
    #[arg(long, value_name = "NPY", required = true, value_hint = ValueHint::FilePath)]
    pub output: Vec<PathBuf>,
    /// Quantize floats where the model takes integers
    #[arg(long)]
    pub quantize: bool,
    /// Write the real numbers that integer outputs mean
    #[arg(long)]
    pub dequantize: bool,
    /// Which kernels run it
    #[arg(long, value_enum, default_value_t = KernelsArg::Fast)]
    pub kernels: KernelsArg,
}

#[derive(Debug, Subcommand)]
pub enum CacheVerb {
    /// Count what is in the cache
    Stats,
    /// Remove what was used least recently, and what nothing refers to
    Gc {
        /// Keep at most this much
        #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = units::parse_bytes)]
        keep: u64,
    },
    /// Hash everything again; what is damaged is set aside and made again by the next run
    Verify,
    /// Print the folder
    Path,
    /// Remove everything
    Clear,
}

/// What `list` can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// What steps can do
    Ops,
    /// Files that are read and written
    Formats,
    /// Recipes that come with the program
    Recipes,
    /// Modules that architectures are made of
    Modules,
}

#[derive(Debug, Args)]
pub struct DocArgs {
    /// The op, `module`, or `support` for operators by formats
    #[arg(required_unless_present = "all")]
    pub op: Option<String>,
    /// The module of architectures, after `module`
    pub name: Option<String>,
    /// Write the pages of all ops as markdown into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "op", value_hint = ValueHint::DirPath)]
    pub all: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder for the recipe
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// The model to start from [default: a download, ResNet-8 of MLPerf Tiny]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "data")]
    pub model: Option<PathBuf>,
    /// Labelled samples: a folder of images by class, CIFAR, IDX or NumPy files [default: a download, CIFAR-10]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, requires = "model")]
    pub data: Option<PathBuf>,
}

/// What `schema` can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Recipes
    Recipe,
    /// The record of a run
    Record,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

fn source(text: &str) -> Result<(String, PathBuf), String> {
    match pair(text) {
        Ok((name, path)) if !path.is_empty() => Ok((name, path.into())),
        _ => Err("expected NAME=PATH".into()),
    }
}

fn axis(text: &str) -> Result<Axis, String> {
    let (name, values) = pair(text).map_err(|_| "expected NAME=A,B")?;
    Ok(Axis {
        name,
        values: split_list(&values),
    })
}

fn tolerance(text: &str) -> Result<(String, f64), String> {
    let (name, tolerance) = text.split_once('=').unwrap_or((text, "0"));
    match tolerance.parse::<f64>() {
        Ok(tolerance) if tolerance >= 0.0 && !name.is_empty() => Ok((name.to_owned(), tolerance)),
        _ => Err("expected FIGURE or FIGURE=TOLERANCE, such as accuracy=0.005".into()),
    }
}

/// Splits at the commas that stand outside of brackets and quotes: `[dog, cat],"a,b"` are two values.
fn split_list(text: &str) -> Vec<String> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let (mut depth, mut quote) = (0_usize, None);
    for c in text.chars() {
        match (c, quote) {
            (',', None) if depth == 0 => {
                values.push(std::mem::take(&mut value));
                continue;
            }
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth = depth.saturating_sub(1),
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            _ => {}
        }
        value.push(c);
    }
    values.push(value);
    values.into_iter().map(|value| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_axis_is_split_outside_of_brackets_and_quotes() {
        assert_eq!(axis("f=0.1, 0.5").unwrap().values, ["0.1", "0.5"]);
        assert_eq!(axis("c=[dog, cat],[bird]").unwrap().values, ["[dog, cat]", "[bird]"]);
        assert_eq!(axis("c=\"a,b\",'c,d'").unwrap().values, ["\"a,b\"", "'c,d'"]);
        assert!(axis("=1").is_err());
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(pair("url=a=b"), Ok(("url".into(), "a=b".into())));
        assert!(pair("seed").is_err());
    }

    #[test]
    fn a_tolerance_is_zero_unless_given() {
        assert_eq!(tolerance("accuracy"), Ok(("accuracy".into(), 0.0)));
        assert_eq!(tolerance("accuracy=0.01"), Ok(("accuracy".into(), 0.01)));
        assert!(tolerance("accuracy=-1").is_err());
    }

    #[test]
    fn int8_asks_for_samples_to_calibrate_with() {
        let parsed = Cli::try_parse_from(["pipeline", "convert", "a.h5", "b.tflite", "--quantize", "int8"]);
        assert!(parsed.unwrap_err().to_string().contains("--calibrate"));
    }

    #[test]
    fn the_help_names_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for code in ["0  ", "1  ", "2  ", "3  ", "4  ", "130  "] {
            assert!(help.contains(&format!("\n  {code}")), "{code}");
        }
    }
}
