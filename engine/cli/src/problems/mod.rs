//! Problems for machines: what is told to people in words and carets, as JSON, as SARIF, as annotations of GitHub's workflows.
//!
//! People read stderr in any case. JSON and SARIF documents go to stdout when the command ends, and results go to stderr then; annotations go to stderr,
//! where GitHub's runner finds them as well, so that results can be piped.

mod github;
mod sarif;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use recipe::{Diagnostic, Place, Rule};
use serde::Serialize;

/// `--output-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Words and carets, for people
    Text,
    /// A document of pipeline/problems-v1
    Json,
    /// Annotations at the lines of the recipe, beside the text
    Github,
    /// Static Analysis Results Interchange Format 2.1.0, for code scanning
    Sarif,
}

impl Format {
    /// Whether stdout is for the document alone.
    pub fn takes_stdout(self) -> bool {
        matches!(self, Format::Json | Format::Sarif)
    }
}

/// How problems are told, for the verbs that find some in recipes and runs.
#[derive(Debug, Clone, Default, Args)]
pub struct ProblemArgs {
    /// How problems are told; json and sarif have stdout to themselves [default: github where GITHUB_ACTIONS=true, else text]
    #[arg(long, value_name = "FORMAT", help_heading = "Output options")]
    pub output_format: Option<Format>,
}

impl ProblemArgs {
    /// What was asked for, or what the environment suggests.
    pub fn format(&self) -> Format {
        let on_github = || std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        self.output_format
            .unwrap_or_else(|| if on_github() { Format::Github } else { Format::Text })
    }
}

/// How much a problem matters; the names are those of SARIF and of GitHub's commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The command does not do what was asked.
    Error,
    /// Worth a look.
    Warning,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// A range of a file; lines and columns count from one, columns in characters, and the end is the column after the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Region {
    /// The file as the user wrote it.
    pub file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Region {
    fn of(diagnostic: &Diagnostic, place: &Place) -> Option<Self> {
        let Place::Recipe(span) = place else {
            return None;
        };
        let source = diagnostic.source();
        let range = span.in_text(&source.text);
        let (line, column) = source.position(range.start);
        let (end_line, end_column) = source.position(range.end);
        Some(Region {
            file: source.name.clone(),
            line,
            column,
            end_line,
            end_column,
        })
    }
}

/// A place with what it has to do with the problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Related {
    #[serde(flatten)]
    region: Region,
    message: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    #[serde(serialize_with = "id")]
    rule: Rule,
    level: Level,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(flatten)]
    region: Option<Region>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn id<S: serde::Serializer>(rule: &Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id())
}

impl Problem {
    /// A problem that no line of a file is to blame for.
    pub fn new(rule: Rule, message: impl Into<String>) -> Self {
        Problem {
            rule,
            level: Level::Error,
            message: message.into(),
            help: None,
            region: None,
            related: Vec::new(),
        }
    }

    /// What it is about.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Where it is, in words: `lab.yaml:3:5`.
    pub fn place(&self) -> String {
        let place = |region: &Region| format!("{}:{}:{}", region.file, region.line, region.column);
        self.region.as_ref().map_or_else(String::new, place)
    }

    /// What is wrong and what would help.
    pub fn words(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }
}

impl From<&Diagnostic> for Problem {
    fn from(diagnostic: &Diagnostic) -> Self {
        let message = match diagnostic.place() {
            Place::Option(option) => format!("{option}: {}", diagnostic.message()),
            Place::Recipe(_) => diagnostic.message().to_owned(),
        };
        let related = diagnostic.others().iter().filter_map(|(place, label)| {
            Some(Related {
                region: Region::of(diagnostic, place)?,
                message: label.clone(),
            })
        });
        Problem {
            rule: diagnostic.rule(),
            level: if diagnostic.is_remark() {
                Level::Warning
            } else {
                Level::Error
            },
            message,
            help: diagnostic.fix().map(str::to_owned),
            region: Region::of(diagnostic, diagnostic.place()),
            related: related.collect(),
        }
    }
}

/// The problems of a command as a document or as lines; none for people, who have been told.
pub fn written(problems: &[Problem], format: Format, exit: u8) -> Option<String> {
    let root = root();
    match format {
        Format::Text => None,
        Format::Json => Some(json(problems)),
        Format::Github => Some(github::annotations(problems, &root)),
        Format::Sarif => Some(sarif::log(problems, &root, exit)),
    }
}

fn json(problems: &[Problem]) -> String {
    let document = serde_json::json!({ "schema": "pipeline/problems-v1", "problems": problems });
    format!("{document:#}\n")
}

/// The folder that others name files from: that of the checkout on GitHub, else the current one.
fn root() -> PathBuf {
    let checkout = std::env::var_os("GITHUB_WORKSPACE").filter(|path| !path.is_empty());
    checkout.map_or_else(|| std::env::current_dir().unwrap_or_default(), PathBuf::from)
}

/// The file as seen from `root`, with slashes; absolute where it lies elsewhere.
fn seen_from(root: &Path, file: &str) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file));
    // `..` is taken away by name, as a link in the way is the checkout's own affair.
    let mut path = PathBuf::new();
    for part in absolute.components() {
        match part {
            std::path::Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    let path = path.strip_prefix(root).unwrap_or(&path);
    path.display().to_string().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use recipe::{SourceText, Span};

    use super::*;

    /// One with everything, one of the command line, one without a place.
    pub fn three(file: &str) -> Vec<Problem> {
        let source = Arc::new(SourceText {
            name: file.into(),
            text: "a: 1\nb: 50 %, x\n".into(),
        });
        let full = Diagnostic::new(&source, Span::new(8, 12), "`50 %` is no number")
            .related(Span::new(3, 4), "as here")
            .help("write 0.5")
            .of(Rule::Parameter);
        let option = Diagnostic::new(&source, Place::Option("--set a=x".into()), "two\nlines").as_remark();
        vec![
            Problem::from(&full),
            Problem::from(&option),
            Problem::new(Rule::Failure, "disk: full"),
        ]
    }

    #[test]
    fn a_document_of_problems() {
        insta::assert_snapshot!(json(&three("lab.yaml")), @r##"
        {
          "schema": "pipeline/problems-v1",
          "problems": [
            {
              "rule": "parameter",
              "level": "error",
              "message": "`50 %` is no number",
              "help": "write 0.5",
              "file": "lab.yaml",
              "line": 2,
              "column": 4,
              "end-line": 2,
              "end-column": 8,
              "related": [
                {
                  "file": "lab.yaml",
                  "line": 1,
                  "column": 4,
                  "end-line": 1,
                  "end-column": 5,
                  "message": "as here"
                }
              ]
            },
            {
              "rule": "recipe",
              "level": "warning",
              "message": "--set a=x: two\nlines"
            },
            {
              "rule": "failure",
              "level": "error",
              "message": "disk: full"
            }
          ]
        }
        "##);
    }

    #[test]
    fn files_are_named_from_the_checkout() {
        let root = std::env::current_dir().unwrap();
        assert_eq!(seen_from(&root, "a/../b/lab.yaml"), "b/lab.yaml");
        assert_eq!(seen_from(&root.join("b"), "b/lab.yaml"), "lab.yaml");
        assert_eq!(seen_from(&root.join("c"), "/elsewhere/lab.yaml"), "/elsewhere/lab.yaml");
    }
}
