//! `pipeline provenance`: a file traced back through every step to its sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use cache::{ActionKey, BlobRef, Digest};
use report::RecipeFacts;
use schedule::{RunRecord, SCHEMA};
use serde::Serialize;

use crate::args::{Everywhere, ProvenanceArgs};
use crate::cache_folder;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::lineage::{Lineage, Origin, Step};
use crate::outputs::RECORD;
use crate::terminal::Terminal;
use crate::units;

/// Where the graph of a SavedModel is in its folder.
const SAVED_MODEL: &str = "saved_model.pb";

/// What is known of a file.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Provenance {
    file: String,
    sha256: String,
    size: u64,
    /// What was run; only the record of the run tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<RecipeFacts>,
    /// The key that the file itself names.
    #[serde(skip_serializing_if = "Option::is_none")]
    named_key: Option<String>,
    /// The step that wrote it, then what that was made from.
    steps: Vec<Step>,
}

/// Traces a file.
pub fn provenance(args: &ProvenanceArgs, everywhere: &Everywhere, terminal: &Terminal) -> Outcome {
    let path = if args.file.is_dir() {
        args.file.join(SAVED_MODEL)
    } else {
        args.file.clone()
    };
    let cannot = || format!("{}: cannot read the file", path.display());
    let bytes = fs::read(&path).with_context(cannot)?;
    let file = BlobRef::of(&bytes);
    let named = models::named_key(&bytes);
    let key = named
        .as_deref()
        .and_then(|key| key.parse::<Digest>().ok())
        .map(ActionKey::from);

    let record = args.record.clone().or_else(|| beside(&path));
    let (lineage, recipe, place) = if let Some(record) = &record {
        let run = read(record)?;
        (Lineage::of_run(&run)?, Some(run.recipe), record.display().to_string())
    } else {
        let store = cache_folder::open(everywhere.cache.as_deref())?;
        let place = format!("the cache in {}", store.root().display());
        (Lineage::of_cache(&store)?, None, place)
    };
    let Some(maker) = lineage.maker(&file.digest, key.as_ref()) else {
        return Err(unknown(&path, &file, key.as_ref(), &lineage, &place));
    };
    let found = Provenance {
        file: path.display().to_string(),
        sha256: file.digest.to_string(),
        size: file.size,
        recipe,
        named_key: named,
        steps: lineage.trace(maker),
    };
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&found)?)
    } else {
        text(&found)
    };
    terminal.result(&text)?;
    let complete = found
        .steps
        .iter()
        .flat_map(|step| step.inputs.values())
        .all(|origin| !matches!(origin, Origin::Unknown { .. }));
    if !complete {
        terminal.warning(&format!(
            "{place} has no record of some of what this was made from; pass the --record of the run"
        ));
    }
    Ok(Exit::Success)
}

/// The record in the folder of the file or above it, where runs leave it.
fn beside(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).ok()?;
    let mut folders = file.ancestors().skip(1).take(2);
    folders.find_map(|folder| Some(folder.join(RECORD)).filter(|record| record.is_file()))
}

fn read(path: &Path) -> Result<RunRecord, Failure> {
    let path = if path.is_dir() {
        path.join(RECORD)
    } else {
        path.to_owned()
    };
    let text = fs::read(&path).with_context(|| format!("{}: cannot read the record", path.display()))?;
    let record: RunRecord = serde_json::from_slice(&text)
        .map_err(|problem| anyhow!("{}: not the record of a run: {problem}", path.display()))
        .or_exit(Exit::Invalid)?;
    if record.schema != SCHEMA {
        let problem = anyhow!(
            "{}: records of layout `{}` are not known, `{SCHEMA}` is",
            path.display(),
            record.schema
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    Ok(record)
}

/// Why nothing can be told of a file.
fn unknown(path: &Path, file: &BlobRef, named: Option<&ActionKey>, lineage: &Lineage, place: &str) -> Failure {
    let path = path.display();
    let known = named.and_then(|key| Some((key, lineage.describe(key)?)));
    match (known, named) {
        (Some((key, step)), _) => Failure::Error(
            Exit::StepFailed,
            anyhow!(
                "{path}: names the step {key} ({step}), but that wrote other bytes than these (sha256 {}): the file was changed afterwards",
                file.digest
            ),
        ),
        (None, Some(key)) => anyhow!(
            "{path}: was written by the step {key}, of which {place} has no record; pass the --record of its run"
        )
        .into(),
        (None, None) => anyhow!(
            "{path}: {place} has no record of a step that wrote these bytes (sha256 {}); pass the --record of the run",
            file.digest
        )
        .into(),
    }
}

fn text(found: &Provenance) -> String {
    let Provenance {
        file,
        sha256,
        size,
        recipe,
        named_key: _,
        steps,
    } = found;
    let mut text = format!("{file}: {}, sha256 {sha256}\n", units::bytes(*size));
    if let Some(recipe) = recipe {
        text += &format!(
            "recipe {} ({}), run by version {}: {}\n",
            recipe.name, recipe.digest, recipe.tool_version, recipe.command
        );
    }
    let names: BTreeMap<&str, String> = steps.iter().map(|step| (step.key.as_str(), name(step))).collect();
    let mut sources = BTreeMap::new();
    for step in steps {
        text += &format!("\n{}: {}, revision {}\n", name(step), step.op, step.revision);
        text += &format!("  key         {}\n", step.key);
        text += &format!("  parameters  {}\n", step.params);
        if let Some(host) = &step.host {
            text += &format!("  machine     {host}\n");
        }
        for (port, origin) in &step.inputs {
            let from = match origin {
                Origin::Step { key } => names.get(key.as_str()).cloned().unwrap_or_else(|| key.clone()),
                Origin::Source { name, sha256, .. } => {
                    sources.insert(sha256, origin);
                    format!("source {name}")
                }
                Origin::Unknown { content } => format!("{content}, of which there is no record"),
            };
            text += &format!("  input       {port}: {from}\n");
        }
    }
    if !sources.is_empty() {
        text += "\nsources:\n";
    }
    for origin in sources.values() {
        if let Origin::Source {
            source,
            name,
            sha256,
            size,
        } = origin
        {
            let of = source.as_ref().map(|source| format!("{source}: ")).unwrap_or_default();
            text += &format!("  {of}{name}, {}, sha256 {sha256}\n", units::bytes(*size));
        }
    }
    text
}

/// The instance's name, or what stands for it.
fn name(step: &Step) -> String {
    step.name
        .clone()
        .unwrap_or_else(|| format!("{} {}", step.op, &step.key[..12]))
}
