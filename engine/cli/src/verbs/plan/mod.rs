//! `pipeline plan`: what a run would do and why, without doing it; or jobs that do it elsewhere.

mod emit;

use cache::Store;
use measure::Machine;
use schedule::{Explanation, Staleness};

use crate::args::{Choices, Everywhere, PlanArgs, RemoteArgs, RemoteModeArg};
use crate::exit::{Exit, Failure, Outcome};
use crate::project::Project;
use crate::sources::{self, Download};
use crate::table::{Align, Table};
use crate::terminal::Terminal;
use crate::{cache_folder, commands, engine, remote_cache, shard, units};

/// Prints a line for each instance.
pub fn plan(args: &PlanArgs, everywhere: &Everywhere, terminal: &Terminal) -> Outcome {
    if let (Some(kind), Some(parts)) = (args.emit, args.shards) {
        let project = Project::load(&args.recipe, &args.choices, terminal)?;
        shard::check(&project)?;
        let store = cache_folder::open(everywhere.cache.as_deref())?;
        let digest = digest(&project, &store, terminal)?;
        let text = emit::emit(kind, parts, (&project.name(), &digest), args, everywhere)?;
        terminal.result(&text)?;
        return Ok(Exit::Success);
    }
    let foreseen = foresee(&args.recipe, &args.choices, &args.remote, everywhere, terminal)?;
    let mut table = Table::new([
        ("Instance", Align::Left),
        ("Op", Align::Left),
        ("What happens", Align::Left),
    ]);
    for (instance, explanation) in foreseen.project.instances.iter().zip(&foreseen.explanations) {
        let what = match &explanation.staleness {
            same @ (Staleness::Fresh | Staleness::Unknown(_)) => same.to_string(),
            stale => format!("runs: {stale}"),
        };
        table.row([explanation.id.clone(), instance.op.to_owned(), what]);
    }
    let mut text = table.render();
    for download in &foreseen.downloads {
        let url = download.urls.first().map(ToString::to_string).unwrap_or_default();
        text += &format!(
            "source {} is to be downloaded: {}, {url}\n",
            download.source,
            units::bytes(download.blob.size)
        );
    }
    text += &commands::lines(&foreseen.project);
    text += &summary(&foreseen.explanations);
    terminal.result(&text)?;
    Ok(Exit::Success)
}

/// The digest of the plan: equal on every machine that would do the same with the same sources.
pub fn digest(project: &Project, store: &Store, terminal: &Terminal) -> Result<String, Failure> {
    let (ingested, _) = sources::foresee(store, &project.used_sources())?;
    let machine = Machine::this();
    let options = engine::options(None, &machine);
    Ok(engine::engine(project, store, ingested, options, machine, terminal)?.digest()?)
}

fn summary(explanations: &[Explanation]) -> String {
    let count = |what: fn(&Staleness) -> bool| explanations.iter().filter(|e| what(&e.staleness)).count();
    let fresh = count(|s| *s == Staleness::Fresh);
    let open = count(|s| matches!(s, Staleness::Unknown(_)));
    let steps = units::count(explanations.len(), "step");
    let runs = explanations.len() - fresh - open;
    match open {
        0 => format!("{steps}: {fresh} in the cache, {runs} to run\n"),
        // Their inputs may turn out equal to earlier ones.
        _ => format!("{steps}: {fresh} in the cache, {runs} to run, {open} depend on what those make\n"),
    }
}

/// What a run would do.
pub struct Foreseen {
    /// The recipe.
    pub project: Project,
    /// One for each instance.
    pub explanations: Vec<Explanation>,
    /// What would be downloaded.
    pub downloads: Vec<Download>,
}

/// Finds out what a run would do.
pub fn foresee(
    recipe: &std::path::Path,
    choices: &Choices,
    remote: &RemoteArgs,
    everywhere: &Everywhere,
    terminal: &Terminal,
) -> Result<Foreseen, Failure> {
    let project = Project::load(recipe, choices, terminal)?;
    let store = cache_folder::open(everywhere.cache.as_deref())?;
    let remote = RemoteArgs {
        remote_cache_mode: Some(RemoteModeArg::ReadOnly),
        ..remote.clone()
    };
    let store = remote_cache::attach(store, recipe, &remote, false)?;
    let (ingested, downloads) = sources::foresee(&store, &project.used_sources())?;
    let machine = Machine::this();
    let options = engine::options(None, &machine);
    let explanations = engine::engine(&project, &store, ingested, options, machine, terminal)?.explain()?;
    remote_cache::tell(&store, terminal);
    Ok(Foreseen {
        project,
        explanations,
        downloads,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_others_is_not_yet_known_to_run() {
        let explanation = |staleness| Explanation {
            id: "a".into(),
            staleness,
            action: None,
        };
        let all = [
            explanation(Staleness::Fresh),
            explanation(Staleness::New),
            explanation(Staleness::Unknown(vec!["b".into()])),
        ];
        assert_eq!(summary(&all[..2]), "2 steps: 1 in the cache, 1 to run\n");
        assert_eq!(
            summary(&all),
            "3 steps: 1 in the cache, 1 to run, 1 depend on what those make\n"
        );
    }
}
