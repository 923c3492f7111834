//! `pipeline run`: run what is not in the cache, leave files and reports in a folder, judge the expectations.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use cache::Store;
use measure::Machine;
use report::ReportInput;
use schedule::{RunOptions, RunRecord, Status};

use crate::args::{Everywhere, RunArgs};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::outputs::{self, Folder, Manner, Unwritten};
use crate::progress::{self, Both, Events};
use crate::project::Project;
use crate::shard::Shard;
use crate::sources::Resolver;
use crate::terminal::Terminal;
use crate::verbs::plan;
use crate::{
    cache_folder, commands, engine, failures, gates, remote_cache, saved, search, shard, signals, step_summary, units,
};

/// Carries out a run.
pub fn run(args: &RunArgs, everywhere: &Everywhere, terminal: &Terminal, started: Instant) -> Outcome {
    let cancelled = signals::cancellation()?;
    let mut project = Project::load(&args.recipe, &args.choices, terminal)?;
    let doubts = project.doubts();
    if !doubts.mistakes.is_empty() {
        terminal.refuse(&doubts.mistakes);
        return Err(Failure::Told(Exit::Invalid));
    }
    let programs = commands::allowed(&project, args.pace.allow_external, &args.recipe)?;
    let folder = Folder::prepare(args.out.clone().unwrap_or_else(|| default_folder(&project, args.shard)))?;
    let events = args.events.as_deref().map(open_events).transpose()?;
    let store = cache_folder::open(everywhere.cache.as_deref())?;
    let store = remote_cache::attach(store, &args.recipe, &args.remote, args.fetch.offline)?;
    if let Some(frozen) = &args.frozen {
        check_frozen(frozen, &plan::digest(&project, &store, terminal)?, &project)?;
    }
    if let Some(shard) = args.shard {
        shard::narrow(&mut project, shard)?;
    }
    let progress = progress::progress(terminal);

    // Held until the outputs are written, so that no garbage collection takes what is about to be used.
    let mut stop = || {
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    // A cache that cannot be tidied works as well.
    let _ = store.sweep();
    let _session = store.session(&mut stop)?;
    let resolver = Resolver {
        store: &store,
        from: &args.fetch,
        cancelled,
        progress: &*progress,
    };
    let sources = resolver.resolve(&project.used_sources())?;
    let machine = Machine::this();
    let options = RunOptions {
        programs,
        ..engine::options(Some(&args.pace), &machine)
    };
    if let Some(jobs) = args.pace.jobs.filter(|&jobs| usize::from(jobs) > options.threads) {
        let used = units::count(options.threads, "thread");
        terminal.warning(&format!(
            "--jobs {jobs}: {used} are used, more would only wait for one another"
        ));
    }
    let carry_out = |project: &Project| -> Result<RunRecord, Failure> {
        let (sources, options) = (sources.clone(), options.clone());
        let engine = engine::engine(project, &store, sources, options, machine.clone(), terminal)?;
        let used = project.used_sources();
        let restore = |name: &str| resolver.restore(&used, name);
        let ran = engine.run(&Both(&*progress, events.as_ref()), cancelled, &restore);
        if cancelled.load(Ordering::Relaxed) {
            signals::stopped();
        }
        progress.clear();
        Ok(ran?)
    };
    let project = search::settled(project, terminal, &carry_out)?;
    let manner = Manner {
        partial: !args.choices.only.is_empty() || !args.choices.axis.is_empty(),
        force: args.force,
    };
    let (record, removed) = written(&folder, &store, manner, || {
        let mut record = carry_out(&project)?;
        // Whoever has all of it judges.
        if args.shard.is_none() {
            record.expectations = gates::judge(&project, &record).map_err(|complaints| {
                terminal.refuse(&complaints);
                Failure::Told(Exit::Invalid)
            })?;
        }
        failures::print(&project, &record, terminal);
        Ok(record)
    })?;
    store.finish_uploads(&|| cancelled.load(Ordering::Relaxed));
    remote_cache::tell(&store, terminal);
    terminal.remember(gates::problems(&project, &record.expectations));
    let input = report_input(&folder, &record);
    if !input.entries.is_empty() {
        step_summary::append(terminal, || report::step_summary(&input, &record.expectations));
    }
    if let Some(events) = &events {
        events.finish(&record).context("--events: cannot write")?;
    }

    let mut lines: Vec<String> = record
        .expectations
        .iter()
        .map(|verdict| gates::line(verdict, terminal))
        .collect();
    if terminal.volume >= crate::terminal::Volume::Normal {
        lines.push(summary(&record, started.elapsed().as_secs_f64()));
        lines.push(format!("results in {}", folder.path().display()));
        if !removed.is_empty() {
            let names = removed.iter().map(String::as_str).collect::<Vec<_>>();
            lines.push(format!(
                "removed there, of earlier runs: {}",
                data::sample::shortened(&names)
            ));
        }
    }
    terminal.result(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(exit(&record, cancelled.load(Ordering::Relaxed)))
}

/// `out/NAME`; parts have folders of their own, so that none is in the way of the whole.
fn default_folder(project: &Project, shard: Option<Shard>) -> PathBuf {
    let name = match shard {
        Some(Shard { number, of }) => format!("{}-shard-{number}-of-{of}", project.name()),
        None => project.name(),
    };
    Path::new("out").join(name)
}

/// Refuses a plan that is not the one that was meant.
fn check_frozen(frozen: &str, found: &str, project: &Project) -> Result<(), Failure> {
    if frozen == found {
        return Ok(());
    }
    let problem = anyhow!(
        "--frozen {frozen}: the plan of {} is {found} here; the recipe, its sources, what the command line changes, or the program's version differ from where \
         the jobs were emitted; make them equal, or emit the jobs again",
        project.file.display()
    );
    Err(Failure::Error(Exit::Invalid, problem))
}

/// Carries a run out and writes what it made. What the cache turns out to have lost meanwhile is made again. The second part of
/// the result are files of earlier runs that were removed.
fn written(
    folder: &Folder,
    store: &Store,
    manner: Manner,
    carry_out: impl Fn() -> Result<RunRecord, Failure>,
) -> Result<(RunRecord, Vec<String>), Failure> {
    const ATTEMPTS: usize = 3;
    let mut lost = anyhow!("not tried");
    for _ in 0..ATTEMPTS {
        let mut record = carry_out()?;
        match outputs::write_run(folder, store, &mut record, manner) {
            Ok(removed) => return Ok((record, removed)),
            Err(Unwritten::Failed(failure)) => return Err(failure),
            Err(Unwritten::Lost(error)) => lost = error,
        }
    }
    Err(lost.into())
}

fn open_events(path: &Path) -> Result<Events, Failure> {
    Events::to(path)
        .with_context(|| format!("--events {}: cannot write", path.display()))
        .or_exit(Exit::Environment)
}

fn exit(record: &RunRecord, cancelled: bool) -> Exit {
    let mut failed = record
        .instances
        .iter()
        .filter(|i| i.status == Status::Failed)
        .peekable();
    if failed.peek().is_some() {
        if failed.all(|i| i.environment) {
            Exit::Environment
        } else {
            Exit::StepFailed
        }
    } else if cancelled {
        Exit::Interrupted
    } else if record.count(Status::Skipped) > 0 {
        Exit::StepFailed
    } else if gates::all_met(&record.expectations) {
        Exit::Success
    } else {
        Exit::Expectation
    }
}

/// `12 steps: 3 from the cache, 9 run, 0 failed in 4.2 s`.
fn summary(record: &RunRecord, seconds: f64) -> String {
    let [hits, ran, failed, skipped] =
        [Status::Hit, Status::Ran, Status::Failed, Status::Skipped].map(|status| record.count(status));
    let steps = units::count(record.instances.len(), "step");
    let seconds = units::seconds(seconds);
    if hits == record.instances.len() {
        return format!("{steps}: {hits} from the cache, 0 run — nothing to do ({seconds})");
    }
    let skipped = if skipped > 0 {
        format!(", {skipped} skipped")
    } else {
        String::new()
    };
    format!("{steps}: {hits} from the cache, {ran} run, {failed} failed{skipped} in {seconds}")
}

/// What the report of this run was made of; without one, everything that was found.
fn report_input(folder: &Folder, record: &RunRecord) -> ReportInput {
    let reported = record
        .instances
        .iter()
        .any(|i| i.op == "report" && matches!(i.status, Status::Hit | Status::Ran));
    let written = reported
        .then(|| saved::read(&folder.path().join(crate::outputs::REPORT_RECORD)).ok())
        .flatten();
    written.unwrap_or_else(|| saved::input(record))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use report::{Outcome as Judged, RecipeFacts, Verdict};
    use schedule::InstanceRecord;

    use super::*;

    fn record(statuses: &[Status], verdicts: &[Judged]) -> RunRecord {
        let instance = |&status: &Status| InstanceRecord {
            id: "a".into(),
            step: "a".into(),
            op: "fold".into(),
            coordinates: BTreeMap::new(),
            variant: "a".into(),
            status,
            seconds: None,
            key: None,
            made: None,
            content: None,
            blobs: BTreeMap::new(),
            document: None,
            log: Vec::new(),
            error: None,
            environment: false,
        };
        let verdict = |&outcome: &Judged| Verdict {
            name: String::new(),
            place: String::new(),
            outcome,
            message: String::new(),
        };
        RunRecord {
            schema: "pipeline/run-v1".into(),
            recipe: RecipeFacts {
                name: "lab".into(),
                digest: String::new(),
                command: String::new(),
                params: Vec::new(),
                axes: Vec::new(),
                tool_version: String::new(),
            },
            started: 0,
            seconds: 0.0,
            machine: Machine::this(),
            sources: BTreeMap::new(),
            instances: statuses.iter().map(instance).collect(),
            expectations: verdicts.iter().map(verdict).collect(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn the_summary_says_what_was_done() {
        use Status::{Failed, Hit, Ran, Skipped};
        let text = |statuses: &[Status]| summary(&record(statuses, &[]), 4.21);
        assert_eq!(
            text(&[Hit, Hit]),
            "2 steps: 2 from the cache, 0 run — nothing to do (4.2 s)"
        );
        assert_eq!(text(&[Hit, Ran]), "2 steps: 1 from the cache, 1 run, 0 failed in 4.2 s");
        assert_eq!(
            text(&[Failed, Skipped]),
            "2 steps: 0 from the cache, 0 run, 1 failed, 1 skipped in 4.2 s"
        );
    }

    #[test]
    fn a_failed_step_outweighs_an_expectation() {
        use Status::{Failed, Ran, Skipped};
        let missed = [Judged::Passed, Judged::Failed];
        assert_eq!(exit(&record(&[Ran], &[Judged::Passed]), false), Exit::Success);
        assert_eq!(exit(&record(&[Ran], &missed), false), Exit::Expectation);
        assert_eq!(exit(&record(&[Ran], &[Judged::Error]), false), Exit::Expectation);
        assert_eq!(exit(&record(&[Ran, Failed], &missed), false), Exit::StepFailed);
        assert_eq!(exit(&record(&[Ran, Skipped], &missed), true), Exit::Interrupted);
        assert_eq!(exit(&record(&[Ran], &[]), true), Exit::Interrupted);
        let mut full = record(&[Ran, Failed], &[]);
        full.instances[1].environment = true;
        assert_eq!(exit(&full, false), Exit::Environment);
    }
}
