//! The part of the grid that `search` leaves: a draw, then round after round the best of it.
//!
//! A round is a run of the recipe with the round's params, of the judging step and what it needs. Its steps are cached like all
//! others, so that an interrupted search goes on where it was.

use data::{Amount, Sampling, Sharing};
use measure::Direction;
use recipe::{GridPoint, Search};
use schedule::RunRecord;

use crate::args::Choices;
use crate::exit::{Exit, Failure};
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
        let choices = Choices {
            set: project.choices.set.iter().cloned().chain(set).collect(),
            only: vec![search.step.clone()],
            ..project.choices.clone()
        };
        let mut round = Project::load(&project.file, &choices, terminal)?;
        round.narrow(points.clone(), terminal)?;
        let record = run(&round)?;
        let scores = scores(&search, &round, &record, &points)?;
        let kept = points.len().div_ceil(search.factor);
        let mut order: Vec<usize> = (0..points.len()).collect();
        // Of equal ones the first in the grid.
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order.truncate(kept);
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

/// How good each point is, more being better: the best figure of the judging step's instances that stand there.
fn scores(search: &Search, project: &Project, record: &RunRecord, points: &[GridPoint]) -> Result<Vec<f64>, Failure> {
    let invalid = |problem: String| Failure::Error(Exit::Invalid, anyhow::anyhow!("search.by: {problem}"));
    // Instances beside the sweep, such as a baseline's, judge no point.
    let axes: Vec<&String> = project.recipe.axes.keys().collect();
    let judges: Vec<_> = project
        .instances
        .iter()
        .filter(|i| i.step == search.step && axes.iter().any(|axis| i.coordinates.contains_key(*axis)))
        .collect();
    if judges.is_empty() {
        return Err(invalid(format!(
            "`{}` stands on no axis, so it cannot judge points of the grid",
            search.step
        )));
    }
    let figure = |id: &str| {
        let instance = record.instances.iter().find(|i| i.id == id)?;
        instance.document.as_ref()?.figure(&search.path)
    };
    let score = |point: &GridPoint| {
        let stands = |i: &&&recipe::Instance| {
            axes.iter().zip(point).all(|(axis, &at)| {
                let value = &project.recipe.axes[*axis][at];
                i.coordinates.get(*axis).is_none_or(|own| own == value)
            })
        };
        let mut best = f64::NEG_INFINITY;
        for judge in judges.iter().filter(stands) {
            let Some(found) = figure(judge.id.as_str()) else {
                // A step that failed is no candidate; one without the figure is a mistake.
                let known = record.instances.iter().find(|i| i.id == judge.id.as_str());
                if let Some(document) = known.and_then(|i| i.document.as_ref()) {
                    let known = document.instead_of(&search.path);
                    return Err(invalid(format!(
                        "{} has no figure `{}`; {known}",
                        judge.id, search.path
                    )));
                }
                continue;
            };
            best = best.max(match found.direction {
                Direction::Higher => found.value,
                Direction::Lower => -found.value,
                Direction::Neutral => {
                    return Err(invalid(format!(
                        "`{}` is neither better for being more nor for being less",
                        search.path
                    )));
                }
            });
        }
        Ok(best)
    };
    points.iter().map(score).collect()
}
