//! `pipeline plan --emit`: a plan as jobs of a scheduler of other people's, a job a part and a last one that gathers, reports and gates.
//!
//! The jobs name the plan by its digest, so that a machine on which something else would be done refuses. Parts share what they make through a
//! remote cache or a cache folder that all see. The last job makes whatever a part has not left there, so that it does not matter how parts end.

use std::path::Path;

use anyhow::anyhow;
use serde_json::json;

use crate::args::{Choices, Emitted, Everywhere, PlanArgs};
use crate::exit::{Exit, Failure};
use crate::remote_cache;
use crate::shell::quoted;

/// What the jobs run.
struct Jobs {
    /// The recipe's name, as jobs may be called.
    name: String,
    digest: String,
    parts: usize,
    /// The words of the command, all but what is particular to a part.
    words: Vec<String>,
}

/// The script or manifest for the plan with this digest.
///
/// # Errors
/// Machines that could not share what they make; a password that would stand in the file.
pub fn emit(
    kind: Emitted,
    parts: usize,
    (name, digest): (&str, &str),
    args: &PlanArgs,
    everywhere: &Everywhere,
) -> Result<String, Failure> {
    let remote = remote_cache::shareable(&args.recipe, &args.remote)?;
    let folder = everywhere
        .cache
        .as_deref()
        .filter(|_| matches!(kind, Emitted::Slurm | Emitted::Hyperqueue));
    if remote.is_none() && folder.is_none() {
        let folder = match kind {
            Emitted::Slurm | Emitted::Hyperqueue => ", or --cache DIR with a folder that all of them see",
            Emitted::GithubMatrix | Emitted::Argo => "",
        };
        let problem = anyhow!(
            "--emit {}: the machines need a place to share what they make; pass --remote-cache URL{folder}",
            kind.name()
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let mut words = words(&args.recipe, &args.choices);
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    if let Some(url) = remote {
        option("remote-cache", url);
    }
    if let Some(folder) = folder {
        option("cache", folder.display().to_string());
    }
    option("frozen", digest.to_owned());
    let jobs = Jobs {
        name: job_name(name),
        digest: digest.to_owned(),
        parts,
        words,
    };
    Ok(match kind {
        Emitted::GithubMatrix => github(&jobs),
        Emitted::Slurm => slurm(&jobs),
        Emitted::Argo => argo(&jobs)?,
        Emitted::Hyperqueue => hyperqueue(&jobs),
    })
}

/// `pipeline run RECIPE` with what was chosen.
fn words(recipe: &Path, choices: &Choices) -> Vec<String> {
    let mut words: Vec<String> = ["pipeline", "run"].map(str::to_owned).into();
    words.push(recipe.display().to_string());
    for (name, value) in choices.options() {
        words.extend([name.to_owned(), value]);
    }
    for (name, path) in &choices.source {
        words.extend(["--source".to_owned(), format!("{name}={}", path.display())]);
    }
    words
}

/// A name that every scheduler takes: lower-case letters, digits and hyphens (RFC 1123).
fn job_name(name: &str) -> String {
    let name: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "pipeline".to_owned()
    } else {
        name.to_owned()
    }
}

impl Jobs {
    /// The command for a shell; `part` as the shell has it.
    fn command(&self, part: Option<&str>) -> String {
        let mut words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        if let Some(part) = part {
            words.push(format!("--shard \"{part}/{}\"", self.parts));
        }
        words.join(" ")
    }

    /// What stands at the head of every file.
    fn head(&self, how: &str) -> String {
        let Jobs {
            name, digest, parts, ..
        } = self;
        format!(
            "# {name} in {parts} parts and a last job that gathers, reports and gates. {how}\n\
             # The plan is {digest}; where something else would be done, jobs refuse. Emit it again when the recipe changes.\n"
        )
    }
}

fn slurm(jobs: &Jobs) -> String {
    let head = jobs.head("Run it with bash on a machine that has sbatch;\n# its arguments go to sbatch: --partition=cpu --cpus-per-task=8 --mem=16G");
    let (part, last, name) = (
        jobs.command(Some("$SLURM_ARRAY_TASK_ID")),
        jobs.command(None),
        &jobs.name,
    );
    let threads = "--jobs \"${SLURM_CPUS_PER_TASK:-1}\"";
    format!(
        "#!/bin/bash
{head}set -euo pipefail
parts=\"$(sbatch --parsable --job-name={name} --array=1-{} --output={name}-%a.log \"$@\" <<'PART'
#!/bin/bash
exec {part} {threads}
PART
)\"
sbatch --job-name={name}-gather --dependency=\"afterany:${{parts%%;*}}\" --output={name}-gather.log \"$@\" <<'LAST'
#!/bin/bash
exec {last} {threads}
LAST
",
        jobs.parts
    )
}

fn hyperqueue(jobs: &Jobs) -> String {
    let head = jobs.head("Run it with bash where hq\n# finds its server; its arguments go to hq submit: --cpus=4");
    let (part, last, name) = (jobs.command(Some("$HQ_TASK_ID")), jobs.command(None), &jobs.name);
    let (part, last) = (quoted(&format!("exec {part}")), quoted(&format!("exec {last}")));
    format!(
        "#!/bin/bash
{head}set -euo pipefail
# A part that fails leaves its work to the last job.
hq submit --name={name} --array=1-{} --wait \"$@\" -- bash -c {part} || true
hq submit --name={name}-gather --wait \"$@\" -- bash -c {last}
",
        jobs.parts
    )
}

fn github(jobs: &Jobs) -> String {
    let head = jobs.head(
        "A workflow for GitHub\n# Actions: .github/workflows/NAME.yml. How runners get the program is yours to say.",
    );
    let numbers: Vec<String> = (1..=jobs.parts).map(|part| part.to_string()).collect();
    let (name, part, last) = (&jobs.name, jobs.command(Some("$PART")), jobs.command(None));
    let token = "PIPELINE_REMOTE_CACHE_TOKEN: ${{ secrets.PIPELINE_REMOTE_CACHE_TOKEN }}";
    format!(
        "{head}name: {name}
on: workflow_dispatch
env:
  {token}
jobs:
  part:
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        part: [{}]
    steps:
      - uses: actions/checkout@v4
      - run: |
          {part}
        env:
          PART: ${{{{ matrix.part }}}}
  gather:
    needs: part
    if: ${{{{ !cancelled() }}}}
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: |
          {last}
      - uses: actions/upload-artifact@v4
        if: ${{{{ !cancelled() }}}}
        with:
          name: {name}
          path: out
",
        numbers.join(", ")
    )
}

fn argo(jobs: &Jobs) -> Result<String, Failure> {
    let head = jobs.head("Submit it with argo submit\n# -p image=IMAGE; the image has the program, and the recipe in its working folder.");
    let part = [
        &jobs.words[..],
        &["--shard".to_owned(), "{{inputs.parameters.shard}}".to_owned()],
    ]
    .concat();
    let container = |command: &[String]| json!({ "image": "{{workflow.parameters.image}}", "command": command });
    let manifest = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": { "generateName": format!("{}-", jobs.name) },
        "spec": {
            "entrypoint": "all",
            "arguments": { "parameters": [{ "name": "image" }] },
            "templates": [
                { "name": "all", "dag": { "tasks": [
                    {
                        "name": "part",
                        "template": "part",
                        "arguments": { "parameters": [{ "name": "shard", "value": format!("{{{{item}}}}/{}", jobs.parts) }] },
                        "withSequence": { "start": "1", "end": jobs.parts.to_string() },
                        "continueOn": { "failed": true, "error": true },
                    },
                    { "name": "gather", "template": "gather", "dependencies": ["part"] },
                ] } },
                { "name": "part", "inputs": { "parameters": [{ "name": "shard" }] }, "container": container(&part) },
                { "name": "gather", "container": container(&jobs.words) },
            ],
        },
    });
    // JSON is YAML, too.
    Ok(format!("{head}{}\n", serde_json::to_string_pretty(&manifest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Jobs {
        Jobs {
            name: job_name("My Lab, 2nd"),
            digest: "ab12".into(),
            parts: 3,
            words: [
                "pipeline",
                "run",
                "my lab.yaml",
                "--remote-cache",
                "file:///nfs/a",
                "--frozen",
                "ab12",
            ]
            .map(str::to_owned)
            .into(),
        }
    }

    #[test]
    fn slurm_gets_an_array_and_a_job_that_waits_for_it() {
        insta::assert_snapshot!(slurm(&jobs()));
    }

    #[test]
    fn hyperqueue_gets_an_array_and_a_job_after_it() {
        insta::assert_snapshot!(hyperqueue(&jobs()));
    }

    #[test]
    fn github_gets_a_matrix_and_a_job_that_needs_it() {
        insta::assert_snapshot!(github(&jobs()));
    }

    #[test]
    fn argo_gets_a_sequence_and_a_task_that_depends_on_it() {
        let manifest = argo(&jobs()).unwrap_or_default();
        insta::assert_snapshot!(manifest);
    }

    #[test]
    fn names_are_those_of_any_scheduler() {
        assert_eq!(job_name("My Lab, 2nd"), "my-lab--2nd");
        assert_eq!(job_name("größe"), "gr--e");
        assert_eq!(job_name("…"), "pipeline");
    }
}
