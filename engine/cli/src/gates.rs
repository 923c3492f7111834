//! The expectations of a recipe, judged by what a run found.

use recipe::{Diagnostic, Findings, Gate, InstanceId, Outcome as Judged, Rule};
use report::{Outcome, Verdict};
use schedule::{RunRecord, Status};

use crate::problems::Problem;
use crate::project::Project;
use crate::terminal::{Terminal, Tone};

/// Judges every expectation that binds an instance of this run.
pub fn judge(project: &Project, record: &RunRecord) -> Result<Vec<Verdict>, Vec<Diagnostic>> {
    let verdicts = project.recipe.verdicts(&project.instances, Recorded(record))?;
    let verdict = |judged: recipe::Verdict<'_>| Verdict {
        name: name(&judged.gate),
        place: project.place(judged.gate.expectation.span),
        outcome: match judged.outcome {
            Judged::Met => Outcome::Passed,
            Judged::Missed => Outcome::Failed,
            Judged::Unknown => Outcome::Error,
        },
        message: match judged.outcome {
            Judged::Met | Judged::Missed => judged.words,
            Judged::Unknown => why_unknown(&judged.gate, record).unwrap_or(judged.words),
        },
    };
    Ok(verdicts.into_iter().map(verdict).collect())
}

/// What was not met, at the lines that ask for it.
pub fn problems(project: &Project, verdicts: &[Verdict]) -> Vec<Problem> {
    let open = verdicts
        .iter()
        .filter(|verdict| matches!(verdict.outcome, Outcome::Failed | Outcome::Error));
    let complaint = |verdict: &Verdict| {
        let expectations = &project.recipe.expect;
        let expectation = expectations.iter().find(|e| project.place(e.span) == verdict.place)?;
        let message = format!("{}: {}", verdict.name, verdict.message);
        let complaint = Diagnostic::new(project.recipe.source(), expectation.span, message);
        Some(Problem::from(&complaint.of(Rule::Expectation)))
    };
    open.filter_map(complaint).collect()
}

/// What a run found, as gates ask for it.
pub struct Recorded<'r>(pub &'r RunRecord);

impl Findings for Recorded<'_> {
    fn number(&self, id: &InstanceId, path: &str) -> Option<f64> {
        self.0.figure(id.as_str(), path)
    }

    fn drop_interval(&self, here: &InstanceId, there: &InstanceId, _path: &str, confidence: f64) -> Option<[f64; 2]> {
        // A recipe asks this of `accuracy` alone.
        let found = self.0.drop_interval(here.as_str(), there.as_str(), confidence)?;
        Some([found.low, found.high])
    }
}

/// What is expected, in words: `quality.accuracy of quality[model=int8], drop from quality[model=base], at most 0.01`.
fn name(gate: &Gate<'_>) -> String {
    let mut name = format!("{} of {}", gate.expectation.metric, gate.instance);
    if let Some(baseline) = &gate.baseline {
        name += &format!(", drop from {baseline}");
    }
    let bounds = gate
        .expectation
        .bounds
        .iter()
        .map(|(relation, bound)| format!("{} {bound}", relation.words()));
    let sure = gate
        .expectation
        .confidence
        .map(|confidence| format!(" with confidence {confidence}"));
    format!(
        "{name}, {}{}",
        bounds.collect::<Vec<_>>().join(" and "),
        sure.unwrap_or_default()
    )
}

/// The step that did not finish, or the figures that there are.
fn why_unknown(gate: &Gate<'_>, record: &RunRecord) -> Option<String> {
    let path = &gate.expectation.path;
    let ids = std::iter::once(&gate.instance).chain(&gate.baseline);
    let mut instances = ids.filter_map(|id| record.instances.iter().find(|i| i.id == id.as_str()));
    let lacking = instances.find(|i| record.figure(&i.id, path).is_none_or(f64::is_nan))?;
    Some(match lacking.status {
        Status::Failed => format!("{} failed", lacking.id),
        Status::Skipped => format!("{} did not run", lacking.id),
        Status::Hit | Status::Ran => {
            let known = lacking.document.as_ref().map(|document| document.instead_of(path));
            let known = known.unwrap_or_else(|| "it has none".to_owned());
            format!("{} has no figure `{path}`; {known}", lacking.id)
        }
    })
}

/// A verdict as it is printed, with its place.
pub fn line(verdict: &Verdict, terminal: &Terminal) -> String {
    let Verdict {
        name: _,
        place,
        outcome,
        message,
    } = verdict;
    let word = match outcome {
        Outcome::Passed => terminal.toned(Tone::Good, "met"),
        Outcome::Failed => terminal.toned(Tone::Bad, "missed"),
        Outcome::Error => terminal.toned(Tone::Bad, "not judged"),
        Outcome::Skipped => terminal.toned(Tone::Doubtful, "skipped"),
    };
    format!("{place}: {word}: {message}")
}

/// Whether every expectation was met.
pub fn all_met(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|verdict| verdict.outcome == Outcome::Passed)
}
