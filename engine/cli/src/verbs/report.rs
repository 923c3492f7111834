//! `pipeline report`: the reports of a recipe and no more, or a report again from its record.

use std::time::Instant;

use anyhow::anyhow;
use recipe::ArtifactKind;

use crate::args::{Everywhere, ReportArgs, RunArgs};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::outputs::{self, Content, Folder, RECORD, REPORT_RECORD, Wanted};
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

/// Renders the report of a record. Of the record in the folder, nothing changes but the list of its files.
fn again(args: &ReportArgs, terminal: &Terminal) -> Outcome {
    let mut input = saved::read(&args.what)?;
    if args.baseline.is_some() {
        input.baseline.clone_from(&args.baseline);
    }
    let folder = Folder::prepare(args.out.clone().unwrap_or_else(|| saved::folder_of(&args.what)))?;
    let files = ::report::render(&input).or_exit(Exit::Invalid)?;
    let wanted: Vec<Wanted<'_>> = files
        .into_iter()
        .map(|file| Wanted {
            name: if file.name == RECORD {
                REPORT_RECORD.to_owned()
            } else {
                file.name
            },
            by: "report".to_owned(),
            content: Content::Bytes(file.bytes),
        })
        .collect();
    outputs::write_beside(&folder, &wanted, args.force)?;
    terminal.result(&format!(
        "{} in {}\n",
        units::count(wanted.len(), "file"),
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
        remote,
        pace,
        out,
        force,
        baseline,
        problems,
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
        remote,
        pace,
        out,
        force,
        shard: None,
        frozen: None,
        events: None,
        problems,
    };
    run::run(&run, everywhere, terminal, started)
}
