//! Records of finished runs and reports, read back.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use report::{Entry, ReportInput};
use schedule::{RunRecord, SCHEMA};

use crate::exit::{Exit, Failure, OrExit};
use crate::outputs::RECORD;

/// The input of a report: from the record of a run, or from the one that a report writes. A folder means the record in it.
pub fn read(path: &Path) -> Result<ReportInput, Failure> {
    let path = if path.is_dir() {
        path.join(RECORD)
    } else {
        path.to_owned()
    };
    let text = fs::read(&path).with_context(|| format!("{}: cannot read the record", path.display()))?;
    parse(&text)
        .map_err(|problem| anyhow!("{}: {problem}", path.display()))
        .or_exit(Exit::Invalid)
}

/// Whether a file is a record rather than a recipe.
pub fn is_record(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|extension| extension == "json")
}

/// The folder that a record lies in.
pub fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.to_owned()
    } else {
        path.parent().map(Path::to_owned).unwrap_or_default()
    }
}

fn parse(text: &[u8]) -> Result<ReportInput, String> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|e| format!("not JSON: {e}"))?;
    if value.get("entries").is_some() {
        return serde_json::from_value(value).map_err(|e| format!("not the record of a report: {e}"));
    }
    match value.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("records of layout `{other}` are not known, `{SCHEMA}` is")),
        None => return Err("neither the record of a run nor that of a report".into()),
    }
    let record: RunRecord = serde_json::from_value(value).map_err(|e| format!("not the record of a run: {e}"))?;
    Ok(input(&record))
}

/// What a report over everything in a run is made of.
pub fn input(record: &RunRecord) -> ReportInput {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entries = record.instances.iter().filter_map(|instance| {
        Some(Entry {
            variant: instance.variant.clone(),
            step: instance.step.clone(),
            coordinates: instance
                .coordinates
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            document: instance.document.clone()?,
        })
    });
    ReportInput {
        title: record.recipe.name.clone(),
        recipe: record.recipe.clone(),
        baseline: None,
        repeat: None,
        entries: entries.collect(),
        questions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let problem = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert!(problem("{").starts_with("not JSON"));
        assert_eq!(problem("{}"), "neither the record of a run nor that of a report");
        assert_eq!(
            problem(r#"{"schema": "pipeline/run-v9"}"#),
            "records of layout `pipeline/run-v9` are not known, `pipeline/run-v1` is"
        );
        assert!(problem(r#"{"schema": "pipeline/run-v1"}"#).starts_with("not the record of a run"));
    }
}
