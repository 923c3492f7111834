//! `pipeline explain`: why a step would run, and what its key is made of.

use std::fmt::Write as _;

use anyhow::anyhow;
use cache::Action;
use schedule::{Explanation, Staleness};

use crate::args::{Everywhere, ExplainArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;
use crate::units;
use crate::verbs::plan;

/// Prints why the instances of a step, or one of them, would run.
pub fn explain(args: &ExplainArgs, everywhere: &Everywhere, terminal: &Terminal) -> Outcome {
    let foreseen = plan::foresee(&args.recipe, &args.choices, &args.remote, everywhere, terminal)?;
    let instances = foreseen.project.instances.iter().zip(&foreseen.explanations);
    let asked = instances.filter(|(instance, _)| instance.step == args.step || instance.id.as_str() == args.step);
    let asked: Vec<&Explanation> = asked.map(|(_, explanation)| explanation).collect();
    if asked.is_empty() {
        let steps: Vec<&str> = foreseen.project.recipe.steps.keys().map(String::as_str).collect();
        let problem = anyhow!(
            "the recipe has no step or instance `{}`; its steps are {}",
            args.step,
            steps.join(", ")
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let texts: Vec<String> = asked.into_iter().map(text).collect();
    terminal.result(&texts.join("\n"))?;
    Ok(Exit::Success)
}

fn text(explanation: &Explanation) -> String {
    let Explanation { id, staleness, action } = explanation;
    let mut text = match staleness {
        Staleness::Fresh => format!("{id}: in the cache, would not run\n"),
        Staleness::New => format!("{id}: would run, because it has not run before\n"),
        Staleness::Changed(parts) => {
            let parts: String = parts.iter().map(|part| format!("  {part}\n")).collect();
            format!("{id}: would run, because since the last run there changed:\n{parts}")
        }
        Staleness::Lost(reason) => format!("{id}: would run, because {reason}\n"),
        Staleness::Unknown(inputs) => {
            let (inputs, which) = (inputs.join(", "), if inputs.len() == 1 { "runs" } else { "run" });
            format!("{id}: waits for {inputs}, which {which} before; what comes of that decides\n")
        }
    };
    if let Some(action) = action {
        text += &key(action);
    }
    text
}

/// What a key is made of, a line a part.
fn key(action: &Action) -> String {
    let Action {
        op,
        revision,
        params,
        inputs,
        environment,
        host,
    } = action;
    let mut text = format!("  key {}\n", action.key());
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "    op           {op}, revision {revision}");
    let _ = writeln!(text, "    parameters   {params}");
    for (port, blob) in inputs {
        let _ = writeln!(
            text,
            "    input        {port}: sha256 {} ({})",
            blob.digest.short(),
            units::bytes(blob.size)
        );
    }
    for (name, value) in environment {
        let _ = writeln!(text, "    environment  {name}: {value}");
    }
    if let Some(host) = host {
        let _ = writeln!(text, "    machine      {host}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cache::BlobRef;

    use super::*;

    #[test]
    fn the_key_is_shown_by_its_parts() {
        let action = Action {
            op: "calibrate".into(),
            revision: 2,
            params: r#"{"count":200}"#.into(),
            inputs: BTreeMap::from([("model".into(), BlobRef::of(b"a"))]),
            environment: BTreeMap::new(),
            host: Some("desk: a processor".into()),
        };
        let explanation = Explanation {
            id: "ranges".into(),
            staleness: Staleness::Changed(vec!["parameter count: 100 → 200".into()]),
            action: Some(action),
        };
        insta::assert_snapshot!(text(&explanation), @r#"
        ranges: would run, because since the last run there changed:
          parameter count: 100 → 200
          key 3e7d240d4f74d15498a101713ad4ba04e5c713389c7250bf8938f86889302cc0
            op           calibrate, revision 2
            parameters   {"count":200}
            input        model: sha256 ca978112ca1b (1 B)
            machine      desk: a processor
        "#);
    }
}
