//! The short form for the job summary of GitHub Actions: the summary table and the expectations, no pictures (a job
//! summary cannot show files).

use minijinja::{Value, context};

use crate::input::{Outcome, ReportInput, Verdict};
use crate::markdown::{Markdown, Table, code};
use crate::template::Page;
use crate::variants::Variants;
use crate::{ReportError, sections, summary};

/// Markdown to append to the file that `GITHUB_STEP_SUMMARY` names.
pub fn step_summary(input: &ReportInput, verdicts: &[Verdict]) -> Result<String, ReportError> {
    let variants = Variants::of(input)?;
    Page::StepSummary.render(context! {
        title => input.title.as_str(),
        summary => Value::from(summary::table(&variants).render()),
        verdicts => (!verdicts.is_empty()).then(|| Value::from(table(verdicts).render())),
        facts => Value::from(sections::facts(input, &variants).render()),
    })
}

/// Markdown to append to the same file: problems with their places (`lab.yaml:3:5`, empty where there is none).
pub fn problem_summary(problems: &[(String, String)]) -> String {
    let mut table = Table::of_text(&["Where", "Problem"]);
    for (place, words) in problems {
        let place = if place.is_empty() {
            Markdown::default()
        } else {
            code(place)
        };
        table.push(vec![place, Markdown::text(words)]);
    }
    format!("### Problems\n\n{}\n", table.render())
}

fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::of_text(&["Expectation", "Outcome", "Found", "Where"]);
    for Verdict {
        name,
        place,
        outcome,
        message,
    } in verdicts
    {
        let outcome = match outcome {
            Outcome::Passed => Markdown::trusted("passed"),
            Outcome::Failed => Markdown::trusted("failed").bold(),
            Outcome::Error => Markdown::trusted("not judged").bold(),
            Outcome::Skipped => Markdown::trusted("skipped"),
        };
        table.push(vec![
            Markdown::text(name),
            outcome,
            Markdown::text(message),
            code(place),
        ]);
    }
    table
}
