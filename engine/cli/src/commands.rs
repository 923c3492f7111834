//! The commands that a recipe names: shown by `check` and `plan`, run by `run` only where the user allows it.

use std::env;

use anyhow::anyhow;
use recipe::Instance;

use crate::exit::Failure;
use crate::project::Project;
use crate::shell;

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

/// Whether commands may be run: by the option, or by the environment.
pub fn are_allowed(option: bool) -> bool {
    option || env::var_os(ALLOWED).is_some_and(|value| value == "1")
}

/// Refuses a recipe with commands where none may be run.
pub fn demand_allowed(project: &Project, allowed: bool) -> Result<(), Failure> {
    let commands = lines(project);
    if allowed || commands.is_empty() {
        return Ok(());
    }
    let listed: String = commands.lines().map(|line| format!("\n  {line}")).collect();
    Err(anyhow!(
        "the recipe runs commands of its own; pass --allow-external, or set {ALLOWED}=1, if you trust it:{listed}"
    )
    .into())
}
