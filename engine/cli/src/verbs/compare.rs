//! `pipeline compare`: two runs side by side.

use std::path::Path;

use measure::Direction;
use recipe::Rule;
use report::RunFigures;

use crate::args::CompareArgs;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::problems::Problem;
use crate::saved;
use crate::step_summary;
use crate::terminal::{Terminal, Tone};

/// Prints what changed as markdown.
pub fn compare(args: &CompareArgs, terminal: &Terminal) -> Outcome {
    let (before, after) = (figures(&args.before)?, figures(&args.after)?);
    let worse = worse(&before, &after, &args.fail_if_worse)
        .map_err(|problem| Failure::Error(Exit::Invalid, anyhow::anyhow!("--fail-if-worse: {problem}")))?;
    let changes = report::compare(&before, &after)?;
    terminal.result(&changes)?;
    step_summary::append(terminal, || std::io::Result::Ok(changes));
    for line in &worse {
        terminal.say(&format!("{}: {line}", terminal.toned(Tone::Bad, "worse")));
        terminal.remember([Problem::new(Rule::Worse, line)]);
    }
    Ok(if worse.is_empty() {
        Exit::Success
    } else {
        Exit::Expectation
    })
}

fn figures(path: &Path) -> Result<RunFigures, Failure> {
    let input = saved::read(path)?;
    let label = path.display().to_string();
    RunFigures::of(label, &input).or_exit(Exit::Invalid)
}

/// The figures that got worse by more than is tolerated, in words; an error for a name that no variant has.
fn worse(before: &RunFigures, after: &RunFigures, tolerated: &[(String, f64)]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for (name, tolerance) in tolerated {
        let mut named = after.figures.iter().filter(|f| f.figure.name == *name).peekable();
        if named.peek().is_none() {
            return Err(format!("no variant has a figure `{name}`; there are {}", names(after)));
        }
        for now in named {
            let then = before
                .figures
                .iter()
                .find(|f| f.variant == now.variant && f.figure.name == *name);
            let Some(then) = then.map(|f| f.figure.value) else {
                continue;
            };
            let loss = match now.figure.direction {
                Direction::Higher => then - now.figure.value,
                Direction::Lower => now.figure.value - then,
                Direction::Neutral => continue,
            };
            if loss > *tolerance || loss.is_nan() {
                found.push(format!(
                    "{name} of {}: {then} before, {} after; tolerated are {tolerance}",
                    now.variant, now.figure.value
                ));
            }
        }
    }
    Ok(found)
}

fn names(figures: &RunFigures) -> String {
    let mut names: Vec<&str> = figures.figures.iter().map(|f| f.figure.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use measure::{Figure, Unit};
    use report::VariantFigure;

    use super::*;

    fn run(accuracy: f64, bytes: f64) -> RunFigures {
        let figure = |name: &str, value, direction| VariantFigure {
            variant: "int8".into(),
            figure: Figure::new(name, value, Unit::Count, direction),
        };
        let figures = vec![
            figure("accuracy", accuracy, Direction::Higher),
            figure("bytes", bytes, Direction::Lower),
        ];
        RunFigures {
            label: "run".into(),
            figures,
        }
    }

    #[test]
    fn worse_depends_on_the_direction_of_the_figure() {
        let lost =
            |before, after, name: &str, tolerance| worse(&before, &after, &[(name.into(), tolerance)]).unwrap().len();
        assert_eq!(lost(run(0.8, 10.0), run(0.7, 10.0), "accuracy", 0.0), 1);
        assert_eq!(lost(run(0.8, 10.0), run(0.7, 10.0), "accuracy", 0.2), 0);
        assert_eq!(lost(run(0.7, 10.0), run(0.8, 10.0), "accuracy", 0.0), 0);
        assert_eq!(lost(run(0.8, 10.0), run(0.8, 11.0), "bytes", 0.0), 1);
        assert_eq!(lost(run(0.8, 11.0), run(0.8, 10.0), "bytes", 0.0), 0);
    }

    #[test]
    fn an_unknown_figure_is_an_error() {
        let problem = worse(&run(0.8, 1.0), &run(0.8, 1.0), &[("acuracy".into(), 0.0)]).unwrap_err();
        assert_eq!(problem, "no variant has a figure `acuracy`; there are accuracy, bytes");
    }
}
