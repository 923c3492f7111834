//! The part of the grid that `search` leaves: a draw, then round after round the best of it.
//!
//! A round is a run of the recipe with the round's params, of the judging step and what it needs. Its steps are cached like all
//! others, so that an interrupted search goes on where it was.

use std::collections::HashMap;

use data::{Amount, Sampling, Sharing};
use measure::Direction;
use recipe::{GridPoint, Search};
use schedule::RunRecord;

use crate::args::Choices;
use crate::exit::{Exit, Failure};
use crate::failures;
use crate::gates::Recorded;
use crate::project::Project;
use crate::terminal::Terminal;

/// The points that are drawn first: `budget` of the grid, ascending; all where there are fewer.
pub fn drawn(search: &Search, grid: &[GridPoint]) -> Vec<GridPoint> {
    let sampling = Sampling {
        amount: Amount::Count(search.budget.min(grid.len())),
        seed: search.seed,
        sharing: Sharing::Uniform,
        classes: None,
    };
    let indices = data::sample::sample(grid.len(), None, &sampling).map(|drawn| drawn.indices);
    let mut indices = indices.unwrap_or_default();
    indices.sort_unstable();
    indices.into_iter().map(|index| grid[index].clone()).collect()
}

/// The project with only the points that the rounds of its search leave; `run` carries a round out.
pub fn settled(
    project: Project,
    terminal: &Terminal,
    mut run: impl FnMut(&Project) -> Result<RunRecord, Failure>,
) -> Result<Project, Failure> {
    // Without rounds, what was drawn is what is left.
    let Some(search) = project.recipe.search.clone().filter(|search| !search.rungs.is_empty()) else {
        return Ok(project);
    };
    let mut points = project.points.clone();
    for (number, rung) in search.rungs.iter().enumerate() {
        let set = rung.iter().map(|(name, value)| (name.clone(), value.to_string()));
        let limited = search.limits.iter().map(|limit| limit.step.clone());
        let choices = Choices {
            set: project.choices.set.iter().cloned().chain(set).collect(),
            only: limited.chain(search.by.iter().map(|(step, _)| step.clone())).collect(),
            ..project.choices.clone()
        };
        let mut round = Project::load(&project.file, &choices, terminal)?;
        round.narrow(points.clone(), terminal)?;
        let record = run(&round)?;
        let by = search
            .by
            .iter()
            .map(|(step, path)| scores(step, path, &round, &record, &points));
        let scores = by.collect::<Result<Vec<_>, _>>()?;
        let broken = broken(&round, &record, &points, terminal)?;
        let last = number + 1 == search.rungs.len();
        let most = if last { search.keep } else { usize::MAX };
        let kept = points.len().div_ceil(search.factor).min(most);
        let mut order: Vec<usize> = (0..points.len()).filter(|&i| broken[i].is_none()).collect();
        if order.is_empty() {
            failures::print(&round, &record, terminal);
            return Err(none_left(&broken));
        }
        let beaten = beaten(&scores, &order);
        // Of equal ones those that the first number finds better, then the first in the grid.
        order.sort_by(|&a, &b| beaten[a].cmp(&beaten[b]).then(scores[0][b].total_cmp(&scores[0][a])));
        order.truncate(kept);
        let kept = order.len();
        order.sort_unstable();
        let best: Vec<String> = order.iter().map(|&i| round.recipe.describe(&points[i])).collect();
        terminal.say(&format!(
            "search, round {} of {}: {} points, {kept} go on: {}",
            number + 1,
            search.rungs.len(),
            points.len(),
            data::sample::shortened(&best.iter().map(String::as_str).collect::<Vec<_>>())
        ));
        points = order.into_iter().map(|i| points[i].clone()).collect();
    }
    let mut project = project;
    project.narrow(points, terminal)?;
    Ok(project)
}

/// Why a point does not go on.
#[derive(Clone)]
enum Broken {
    /// The words of the first limit that it breaks.
    Limit(String),
    /// What judges it is not known: a step failed.
    Unknown,
}

/// No point goes on.
fn none_left(broken: &[Option<Broken>]) -> Failure {
    let limit = broken.iter().flatten().find_map(|broken| match broken {
        Broken::Limit(words) => Some(words),
        Broken::Unknown => None,
    });
    let points = broken.len();
    match limit {
        Some(words) => Failure::Error(
            Exit::Expectation,
            anyhow::anyhow!("search.where: none of {points} points keeps every limit; {words}"),
        ),
        None => Failure::Error(
            Exit::StepFailed,
            anyhow::anyhow!("search: none of {points} points could be judged, since steps failed"),
        ),
    }
}

/// For each point why it does not go on.
fn broken(
    project: &Project,
    record: &RunRecord,
    points: &[GridPoint],
    terminal: &Terminal,
) -> Result<Vec<Option<Broken>>, Failure> {
    let gates = project.recipe.limits(&project.instances).map_err(|complaints| {
        terminal.refuse(&complaints);
        Failure::Told(Exit::Invalid)
    })?;
    let by_id: HashMap<&str, &recipe::Instance> = project.instances.iter().map(|i| (i.id.as_str(), i)).collect();
    let mut broken = vec![None; points.len()];
    for gate in gates {
        let instance = by_id[gate.instance.as_str()];
        let verdict = gate.judge(&Recorded(record));
        let why = match verdict.outcome {
            recipe::Outcome::Met => continue,
            recipe::Outcome::Missed => Broken::Limit(verdict.words),
            recipe::Outcome::Unknown => Broken::Unknown,
        };
        for (point, broken) in points.iter().zip(&mut broken) {
            if broken.is_none() && stands_at(&project.recipe, instance, point) {
                *broken = Some(why.clone());
            }
        }
    }
    Ok(broken)
}

/// Whether an instance belongs to a point of the grid. One that stands on no axis, such as a baseline's, belongs to all.
fn stands_at(recipe: &recipe::Recipe, instance: &recipe::Instance, point: &GridPoint) -> bool {
    recipe.axes.iter().zip(point).all(|((axis, values), &at)| {
        let own = instance.coordinates.get(axis);
        own.is_none_or(|own| *own == values[at])
    })
}

/// For each point by how many of `among` it is beaten in all numbers.
fn beaten(scores: &[Vec<f64>], among: &[usize]) -> Vec<usize> {
    let beats = |a: usize, b: usize| {
        scores.iter().all(|score| score[a] >= score[b]) && scores.iter().any(|score| score[a] > score[b])
    };
    let points = scores.first().map_or(0, Vec::len);
    let count = |point| among.iter().filter(|&&other| beats(other, point)).count();
    (0..points).map(count).collect()
}

/// How good each point is by one number, more being better: the best figure of the judging step's instances that stand there.
fn scores(
    step: &str,
    path: &str,
    project: &Project,
    record: &RunRecord,
    points: &[GridPoint],
) -> Result<Vec<f64>, Failure> {
    let invalid = |problem: String| Failure::Error(Exit::Invalid, anyhow::anyhow!("search.by: {problem}"));
    // Instances beside the sweep, such as a baseline's, judge no point.
    let axes: Vec<&String> = project.recipe.axes.keys().collect();
    let judges: Vec<_> = project
        .instances
        .iter()
        .filter(|i| i.step == step && axes.iter().any(|axis| i.coordinates.contains_key(*axis)))
        .collect();
    if judges.is_empty() {
        return Err(invalid(format!(
            "`{step}` stands on no axis, so it cannot judge points of the grid"
        )));
    }
    let figure = |id: &str| {
        let instance = record.instances.iter().find(|i| i.id == id)?;
        instance.document.as_ref()?.figure(path)
    };
    let score = |point: &GridPoint| {
        let stands = |i: &&&recipe::Instance| stands_at(&project.recipe, i, point);
        let mut best = f64::NEG_INFINITY;
        for judge in judges.iter().filter(stands) {
            let Some(found) = figure(judge.id.as_str()) else {
                // A step that failed is no candidate; one without the figure is a mistake.
                let known = record.instances.iter().find(|i| i.id == judge.id.as_str());
                if let Some(document) = known.and_then(|i| i.document.as_ref()) {
                    let known = document.instead_of(path);
                    return Err(invalid(format!("{} has no figure `{path}`; {known}", judge.id)));
                }
                continue;
            };
            best = best.max(match found.direction {
                Direction::Higher => found.value,
                Direction::Lower => -found.value,
                Direction::Neutral => {
                    return Err(invalid(format!(
                        "`{path}` is neither better for being more nor for being less"
                    )));
                }
            });
        }
        Ok(best)
    };
    points.iter().map(score).collect()
}
