//! A recipe file with what the command line changes about it, loaded and checked.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use recipe::{Diagnostic, GridPoint, Instance, Place, Recipe, Rule, Source, Span};
use report::RecipeFacts;
use steps::contract::{Doubt, SourceOutlook};

use crate::args::Choices;
use crate::exit::{Exit, Failure, OrExit};
use crate::peek;
use crate::search;
use crate::shell;
use crate::terminal::Terminal;
use crate::units::hexadecimal;

/// A recipe without mistakes, and its instances in the order in which they can run.
pub struct Project {
    /// The recipe.
    pub recipe: Recipe,
    /// The instances of the steps that are asked for.
    pub instances: Vec<Instance>,
    /// The points of the grid that the instances stand at; empty without a search.
    pub points: Vec<GridPoint>,
    /// The recipe's file.
    pub file: PathBuf,
    /// What the command line changes about it.
    pub choices: Choices,
}

impl Project {
    /// Loads the recipe in `file`; all complaints about it are printed at once.
    pub fn load(file: &Path, choices: &Choices, terminal: &Terminal) -> Result<Self, Failure> {
        match Self::read(file, choices)? {
            Ok(project) => Ok(project),
            Err(complaints) => {
                terminal.refuse(&complaints);
                Err(Failure::Told(Exit::Invalid))
            }
        }
    }

    /// Loads the recipe in `file`; the inner result holds all complaints about it.
    pub fn read(file: &Path, choices: &Choices) -> Result<Result<Self, Vec<Diagnostic>>, Failure> {
        let named = || format!("{}: cannot read the recipe", file.display());
        let bytes = text_of(file).with_context(named).or_exit(Exit::Invalid)?;
        let name = file.display().to_string();
        let loaded = recipe::load(&name, &bytes, &steps::specs(), &choices.overrides());
        Ok(loaded.and_then(|mut recipe| {
            let points = match (&recipe.search, recipe.grid()) {
                (Some(search), Some(grid)) => search::drawn(search, &grid),
                _ => Vec::new(),
            };
            if recipe.search.is_some() {
                recipe.narrow(points.clone());
            }
            let instances = recipe.instances()?;
            let mut complaints = refused_parameters(&recipe, &instances);
            if complaints.is_empty() {
                let named = |_: &str, source: Option<&Source>| SourceOutlook {
                    names: source.map(names).unwrap_or_default(),
                    files: None,
                };
                complaints = refused_inputs(&recipe, &instances, named).mistakes;
            }
            complaints.extend(missing_files(&recipe, &instances));
            if !complaints.is_empty() {
                complaints.sort_by(|a, b| a.place().cmp(b.place()));
                return Err(complaints);
            }
            Ok(Project {
                recipe,
                instances,
                points,
                file: file.to_owned(),
                choices: choices.clone(),
            })
        }))
    }

    /// What the files at hand say beside the recipe: layers, shapes and classes that do not fit each other; and what cannot be read as it is asked
    /// to be, which its step will say.
    pub fn doubts(&self) -> Doubts {
        let outlook = |name: &str, source: Option<&Source>| SourceOutlook {
            names: source.map(names).unwrap_or_default(),
            files: source.and_then(|source| peek::files(name, source)),
        };
        let mut doubts = refused_inputs(&self.recipe, &self.instances, outlook);
        doubts.mistakes.sort_by(|a, b| a.place().cmp(b.place()));
        doubts
    }

    /// Leaves only the instances at these points of the grid.
    pub fn narrow(&mut self, points: Vec<GridPoint>, terminal: &Terminal) -> Result<(), Failure> {
        self.recipe.narrow(points.clone());
        self.points = points;
        self.instances = self.recipe.instances().map_err(|complaints| {
            terminal.refuse(&complaints);
            Failure::Told(Exit::Invalid)
        })?;
        Ok(())
    }

    /// The sources that the instances read.
    pub fn used_sources(&self) -> BTreeMap<&str, &Source> {
        let used = used_sources(&self.instances);
        let sources = self.recipe.sources.iter().map(|(name, source)| (name.as_str(), source));
        sources.filter(|(name, _)| used.contains(name)).collect()
    }

    /// What reports say about the recipe. Reports are stored by content, so nothing of this machine enters.
    pub fn facts(&self) -> RecipeFacts {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        RecipeFacts {
            name: self.name(),
            digest: format!("sha256:{}", hexadecimal(&self.recipe.digest)),
            command: command(&self.file, &self.choices),
            params: self
                .recipe
                .params
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            axes: self.recipe.axes.keys().cloned().collect(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The recipe's name; that of its file where it has none.
    pub fn name(&self) -> String {
        if self.recipe.name.is_empty() {
            self.file
                .file_stem()
                .map_or_else(|| "recipe".to_owned(), |stem| stem.to_string_lossy().into_owned())
        } else {
            self.recipe.name.clone()
        }
    }

    /// Where something is in the recipe: `lab.yaml:31:5`.
    pub fn place(&self, span: Span) -> String {
        let source = self.recipe.source();
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", source.name)
    }
}

/// Bytes that a recipe may have: many times what anybody writes.
const LONGEST: u64 = 16 << 20;

/// The bytes of a recipe. Pipes and devices may never end, so they are no recipes.
fn text_of(file: &Path) -> Result<Vec<u8>, anyhow::Error> {
    let metadata = fs::metadata(file)?;
    if !metadata.is_file() {
        anyhow::bail!("it is no file");
    }
    if metadata.len() > LONGEST {
        anyhow::bail!(
            "{} bytes are more than the {LONGEST} that a recipe may have",
            metadata.len()
        );
    }
    Ok(fs::read(file)?)
}

fn used_sources(instances: &[Instance]) -> BTreeSet<&str> {
    instances
        .iter()
        .flat_map(|instance| &instance.sources)
        .map(|(_, name)| name.as_str())
        .collect()
}

/// What the ops say about their parameters beyond their shape; once a step, however many instances it has.
fn refused_parameters(recipe: &Recipe, instances: &[Instance]) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    let mut complaints = Vec::new();
    // What does nothing in the instances of a step so far.
    let mut idle: BTreeMap<&str, (&Instance, Vec<Idle>)> = BTreeMap::new();
    for instance in instances {
        let ports: Vec<&str> = instance.inputs.iter().map(|input| input.port.as_str()).collect();
        let Some(op) = steps::find(instance.op) else {
            let problem = format!("no op is named `{}`", instance.op);
            complaints.push(refusal(recipe, instance, &problem).of(Rule::Parameter));
            continue;
        };
        let checked = op.complete(&instance.params, &ports).map(drop);
        let sources = instance.sources.iter().map(|(parameter, _)| parameter.as_str());
        let given: Vec<&str> = ports.iter().copied().chain(sources).collect();
        let (_, all) = idle
            .entry(&instance.step)
            .or_insert_with(|| (instance, op.idle(&instance.params, &given)));
        if !all.is_empty() {
            let here = op.idle(&instance.params, &given);
            all.retain(|one| here.contains(one));
        }
        if let Err(problem) = checked
            && seen.insert((instance.step.clone(), problem.clone()))
        {
            complaints.push(refusal(recipe, instance, &problem).of(Rule::Parameter));
        }
    }
    for (instance, all) in idle.into_values().filter(|(instance, _)| {
        // What is refused for another reason may be what makes a parameter idle.
        !seen.iter().any(|(step, _)| *step == instance.step)
    }) {
        for (key, what) in all {
            let problem = format!("{key}: is for {what}, and does nothing here; remove it");
            complaints.push(refusal(recipe, instance, &problem).of(Rule::Parameter));
        }
    }
    complaints
}

/// A parameter that does nothing, and what it is for.
type Idle = (&'static str, &'static str);

/// What is wrong with what steps are going to be given.
pub struct Doubts {
    /// Inputs that do not go together.
    pub mistakes: Vec<Diagnostic>,
    /// Files that cannot be read as they are asked to be.
    pub unread: Vec<Diagnostic>,
}

/// What the ops say about what their inputs will be; once a step, however many instances it has.
fn refused_inputs(
    recipe: &Recipe,
    instances: &[Instance],
    outlook: impl Fn(&str, Option<&Source>) -> SourceOutlook,
) -> Doubts {
    let mut seen = HashSet::new();
    let variants = schedule::variants(instances);
    let source = |name: &str| outlook(name, recipe.sources.get(name));
    let mut doubts = steps::contract::foresee(instances, &variants, source, steps::find);
    doubts.retain(|doubt| seen.insert((instances[doubt.at].step.clone(), doubt.problem.clone())));
    let told = |doubt: &Doubt| refusal(recipe, &instances[doubt.at], &doubt.problem).of(Rule::Input);
    let (unread, mistakes): (Vec<Doubt>, Vec<Doubt>) = doubts.into_iter().partition(|doubt| doubt.unread);
    Doubts {
        mistakes: mistakes.iter().map(told).collect(),
        unread: unread
            .iter()
            .map(|doubt| told(doubt).as_remark().of(Rule::UnreadFile))
            .collect(),
    }
}

/// The names of a source's files.
fn names(source: &Source) -> Vec<String> {
    match source {
        Source::Files { paths, .. } => paths.iter().map(|path| path.display().to_string()).collect(),
        Source::Fetch(remotes) => remotes.iter().map(|remote| remote.name.clone()).collect(),
    }
}

/// A complaint of an op, at the first parameter that its words mention.
pub fn refusal(recipe: &Recipe, instance: &Instance, problem: &str) -> Diagnostic {
    let words = problem.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
    let written = |word: &&str| {
        instance.params.get(word).is_some()
            || instance.inputs.iter().any(|input| input.port == **word)
            || instance.sources.iter().any(|(parameter, _)| parameter == word)
    };
    let field = words.filter(|word| !word.is_empty()).find(written).unwrap_or_default();
    recipe.complaint(
        &instance.step,
        field,
        format!("{}.{}: {problem}", instance.step, instance.op),
    )
}

/// Files that are to be read and are not there.
fn missing_files(recipe: &Recipe, instances: &[Instance]) -> Vec<Diagnostic> {
    let used = used_sources(instances);
    let mut complaints = Vec::new();
    for (name, source) in recipe.sources.iter().filter(|(name, _)| used.contains(name.as_str())) {
        let Source::Files { paths, base } = source else {
            continue;
        };
        for path in paths.iter().filter(|path| !base.join(path).exists()) {
            let found = base.join(path);
            // A path that a step names in place of a source is its own name.
            let (what, help) = if path == Path::new(name) {
                (
                    String::new(),
                    "correct the path; it is relative to the recipe".to_owned(),
                )
            } else {
                let help = format!("correct the path, or pass `--source {name}=PATH`");
                (format!("sources.{name}: "), help)
            };
            let message = format!("{what}{} does not exist", found.display());
            let place = written_at(recipe, name, path);
            complaints.push(
                Diagnostic::new(recipe.source(), place, message)
                    .help(help)
                    .of(Rule::MissingFile),
            );
        }
    }
    complaints
}

/// Where a path is written: in the recipe's text, else in an option.
fn written_at(recipe: &Recipe, name: &str, path: &Path) -> Place {
    let path = path.display().to_string();
    let sources = if path == name {
        0
    } else {
        recipe.source().text.find("sources:").unwrap_or(0)
    };
    match recipe.source().text[sources..].find(&path) {
        Some(at) => Place::Recipe(Span::new(sources + at, sources + at + path.len())),
        None => Place::Option(format!("--source {name}={path}")),
    }
}

/// The command that makes a run again, without what is particular to this machine.
fn command(file: &Path, choices: &Choices) -> String {
    let mut words = vec!["pipeline".to_owned(), "run".to_owned()];
    words.extend(file.file_name().map(|name| shell::quoted(&name.to_string_lossy())));
    for (name, value) in choices.options() {
        words.extend([name.to_owned(), shell::quoted(&value)]);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use recipe::{Paint, render_all};

    use super::*;
    use crate::args::Axis;

    fn complaints(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.yaml");
        fs::write(&file, text).unwrap();
        fs::write(folder.path().join("there.h5"), "").unwrap();
        let complaints = Project::read(&file, &Choices::default())
            .unwrap()
            .err()
            .unwrap_or_default();
        let place = folder.path().display().to_string();
        render_all(&complaints, Paint::Plain).replace(&place, "DIR")
    }

    #[test]
    fn a_sound_recipe_is_loaded() {
        let text = "\
schema: pipeline/v1
name: lab
sources: { weights: { file: there.h5 } }
steps:
  base: { import: { from: weights } }
";
        assert_eq!(complaints(text), "");
    }

    #[test]
    fn ops_and_missing_files_complain_with_their_places() {
        let text = "\
schema: pipeline/v1
name: lab
sources:
  weights: { file: there.h5 }
  images: { file: gone }
  unused: { file: gone-too }
steps:
  base: { import: { from: weights } }
  train: { dataset: { source: images } }
  ranges: { calibrate: { model: base, data: train, count: 5, fraction: 0.5 } }
  int8: { quantize: { model: base, scheme: int8 } }
";
        insta::assert_snapshot!(complaints(text), @"
        error: sources.images: DIR/gone does not exist
         --> DIR/lab.yaml:5:19
          |
        5 |   images: { file: gone }
          |                   ^^^^
          |
          = help: correct the path, or pass `--source images=PATH`

        error: ranges.calibrate: count and fraction exclude each other: keep one
          --> DIR/lab.yaml:10:59
           |
        10 |   ranges: { calibrate: { model: base, data: train, count: 5, fraction: 0.5 } }
           |                                                           ^

        error: int8.quantize: scheme int8 needs `ranges`: add a calibrate step and name it here
          --> DIR/lab.yaml:11:44
           |
        11 |   int8: { quantize: { model: base, scheme: int8 } }
           |                                            ^^^^
        ");
    }

    #[test]
    fn the_command_of_a_report_holds_no_path() {
        let choices = Choices {
            set: vec![("seed".into(), "9".into())],
            axis: vec![Axis {
                name: "f".into(),
                values: vec!["0.1".into(), "0.5".into()],
            }],
            source: vec![("cifar".into(), "/home/me/cifar".into())],
            only: vec!["report".into()],
        };
        let command = command(Path::new("/home/me/my lab.yaml"), &choices);
        assert_eq!(
            command,
            "pipeline run 'my lab.yaml' --set seed=9 --axis f=0.1,0.5 --only report"
        );
    }
}
