//! Arguments of the verbs on recipes, and what several of them share.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use recipe::Overrides;

use crate::problems::ProblemArgs;
use crate::shard::{self, Shard};
use crate::units;

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
    #[command(flatten)]
    pub problems: ProblemArgs,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The recipes
    #[arg(required = true, value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub recipes: Vec<PathBuf>,
    #[command(flatten)]
    pub choices: Choices,
    #[command(flatten)]
    pub problems: ProblemArgs,
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
    #[command(flatten)]
    pub problems: ProblemArgs,
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
    #[command(flatten)]
    pub problems: ProblemArgs,
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
    #[command(flatten)]
    pub problems: ProblemArgs,
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
    #[command(flatten)]
    pub problems: ProblemArgs,
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
    #[command(flatten)]
    pub problems: ProblemArgs,
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
    use super::*;

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
}
