//! The command line, as clap reads it: the verbs, and the arguments of those around the program. Those on recipes and on single models have a file
//! each. What the verbs do with it is theirs.

mod models;
mod recipes;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub use self::models::*;
pub use self::recipes::*;
use crate::problems::ProblemArgs;
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
    /// List ops, formats, recipes, architectures and their modules
    List {
        /// What to list; everything without it
        what: Option<Listing>,
    },
    /// Show the reference page of an op or of a module of architectures, or what is supported
    #[command(
        after_help = "Examples:\n  pipeline doc quantize\n  pipeline doc module conv2d\n  pipeline doc support\n  pipeline doc --all docs/reference"
    )]
    Doc(DocArgs),
    /// Write a starter recipe with comments, or recipes and architectures that come with the program
    #[command(after_help = "\
Examples:
  pipeline init lab --model model.h5 --data images/
  pipeline init --recipe quickstart        writes recipes/quickstart.yaml and what it needs
  pipeline init --architecture resnet18    writes recipes/architectures/resnet18.yaml")]
    Init(InitArgs),
    /// Print a JSON schema, for editors
    #[command(after_help = "Example:\n  pipeline schema recipe > schemas/recipe.schema.json")]
    Schema {
        /// Which one
        #[arg(default_value = "recipe")]
        what: SchemaOf,
    },
    /// Write the manual pages of all commands into a folder
    #[command(after_help = "Example:\n  pipeline man ~/.local/share/man/man1")]
    Man {
        /// The folder
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
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

impl Verb {
    /// How problems are told, of the verbs that find some in recipes and runs.
    pub fn problems(&self) -> Option<&ProblemArgs> {
        match self {
            Verb::Run(args) => Some(&args.problems),
            Verb::Check(args) => Some(&args.problems),
            Verb::Plan(args) => Some(&args.problems),
            Verb::Graph(args) => Some(&args.problems),
            Verb::Explain(args) => Some(&args.problems),
            Verb::Report(args) => Some(&args.problems),
            Verb::Compare(args) => Some(&args.problems),
            Verb::Provenance(_)
            | Verb::Optimize(_)
            | Verb::Inspect(_)
            | Verb::Convert(_)
            | Verb::Verify(_)
            | Verb::Bench(_)
            | Verb::Infer(_)
            | Verb::Cache(_)
            | Verb::List { .. }
            | Verb::Doc(_)
            | Verb::Init(_)
            | Verb::Schema { .. }
            | Verb::Man { .. }
            | Verb::Completions { .. } => None,
        }
    }
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
    /// Networks written down that come with the program
    Architectures,
    /// Modules that architectures are made of
    Modules,
}

#[derive(Debug, Args)]
pub struct DocArgs {
    /// The op, `module`, `support` for operators by formats, or `keys` for what enters the key of each op
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
    /// The folder for the recipe; those that come with the program lie in `recipes` below it
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// The model to start from [default: a download, ResNet-8 of MLPerf Tiny]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "data")]
    pub model: Option<PathBuf>,
    /// Labelled samples: a folder of images by class, CIFAR, IDX or NumPy files [default: a download, CIFAR-10]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath, requires = "model")]
    pub data: Option<PathBuf>,
    /// Write this recipe of `pipeline list recipes`, with what it needs and the program has
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    pub recipe: Vec<String>,
    /// Write this architecture of `pipeline list architectures`
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    pub architecture: Vec<String>,
}

/// What `schema` can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// Recipes
    Recipe,
    /// The record of a run
    Record,
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
