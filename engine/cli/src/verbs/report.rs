//! `pipeline report`: the reports of a recipe and no more, or a report again from its record.

use std::time::Instant;

use anyhow::anyhow;
use recipe::ArtifactKind;

use crate::args::{Everywhere, ReportArgs, RunArgs};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::outputs::{Folder, RECORD, REPORT_RECORD};
use crate::project::Project;
use crate::saved;
use crate::terminal::Terminal;
use crate::units;
use crate::verbs::run;

/// Renders reports.
pub fn report(args: ReportArgs, everywhere: &Everywhere, terminal: &Terminal, started: Instant) -> Outcome {
    if saved::is_record(&args.what) {
        again(&args, terminal)
    } else {
        of_recipe(args, everywhere, terminal, started)
    }
}

/// Renders the report of a record. The record itself stays as it is.
fn again(args: &ReportArgs, terminal: &Terminal) -> Outcome {
    let mut input = saved::read(&args.what)?;
    if args.baseline.is_some() {
        input.baseline.clone_from(&args.baseline);
    }
    let folder = Folder::prepare(args.out.clone().unwrap_or_else(|| saved::folder_of(&args.what)))?;
    let files = ::report::render(&input).or_exit(Exit::Invalid)?;
    for file in &files {
        let name = if file.name == RECORD { REPORT_RECORD } else { &file.name };
        folder.write(name, &file.bytes)?;
    }
    terminal.result(&format!(
        "{} in {}\n",
        units::count(files.len(), "file"),
        folder.path().display()
    ))?;
    Ok(Exit::Success)
}

/// Runs the report steps of a recipe and what they need.
fn of_recipe(args: ReportArgs, everywhere: &Everywhere, terminal: &Terminal, started: Instant) -> Outcome {
    let ReportArgs {
        what,
        mut choices,
        fetch,
        pace,
        out,
        baseline,
    } = args;
    if baseline.is_some() {
        let problem = anyhow!("--baseline is for records; a recipe names the baseline in its report step");
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    if choices.only.is_empty() {
        let project = Project::load(&what, &choices, terminal)?;
        let reports = project
            .recipe
            .steps
            .iter()
            .filter(|(_, step)| step.produces == ArtifactKind::Report);
        choices.only = reports.map(|(name, _)| name.clone()).collect();
    }
    if choices.only.is_empty() {
        let problem = anyhow!(
            "{}: the recipe has no report step; add `report: {{ report: {{ compare: [STEP] }} }}`",
            what.display()
        );
        return Err(Failure::Error(Exit::Invalid, problem));
    }
    let run = RunArgs {
        recipe: what,
        choices,
        fetch,
        pace,
        out,
        events: None,
    };
    run::run(&run, everywhere, terminal, started)
}
