//! The commands that a recipe names: shown by `check` and `plan`, run by `run` only where the user allows it.

use std::env;
use std::path::Path;

use anyhow::anyhow;
use recipe::Instance;

use crate::exit::Failure;
use crate::project::Project;
use crate::{shell, trust};

/// The variable that allows what `--allow-external` allows.
const ALLOWED: &str = "PIPELINE_ALLOW_EXTERNAL";

/// The command of an instance, as a shell would read it.
fn command(instance: &Instance) -> Option<String> {
    let words = instance
        .params
        .get("run")
        .filter(|_| instance.op == "external")?
        .as_array()?;
    let words = words.iter().filter_map(serde_json::Value::as_str).map(shell::quoted);
    Some(words.collect::<Vec<_>>().join(" "))
}

/// Each command with its step, once, in the order of the recipe.
pub fn of(project: &Project) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for instance in &project.instances {
        let entry = command(instance).map(|command| (instance.step.clone(), command));
        all.extend(entry.filter(|entry| !all.contains(entry)));
    }
    all
}

/// A line for each command of a recipe.
pub fn lines(project: &Project) -> String {
    let line = |(step, command): (String, String)| format!("{step} runs: {command}\n");
    of(project).into_iter().map(line).collect()
}

/// Whether programs may be run: a recipe with commands is refused unless the option, the environment or the user's configuration allows them.
///
/// # Errors
/// Commands that nothing allows; those of [`trust::trusts`].
pub fn allowed(project: &Project, option: bool, recipe: &Path) -> Result<bool, Failure> {
    let commands = lines(project);
    let said = option || env::var_os(ALLOWED).is_some_and(|value| value == "1");
    if said || commands.is_empty() {
        return Ok(said);
    }
    if trust::trusts(recipe)? {
        return Ok(true);
    }
    let listed: String = commands.lines().map(|line| format!("\n  {line}")).collect();
    Err(anyhow!(
        "the recipe runs commands of its own; pass --allow-external, or set {ALLOWED}=1, if you trust it, or trust its folder in your configuration:{listed}"
    )
    .into())
}
