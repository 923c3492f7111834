//! How does accuracy move along an axis, does it always rise, and where does it stop rising?
//!
//! Repeats are no trend: they count by their means, and their scatter stands where a single run has its interval.

use std::collections::{BTreeMap, BTreeSet};

use measure::{Interval, Metrics};

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::plots::{Lines, Sample};
use crate::settings::Setting;
use crate::told::Comparison;
use crate::variants::{Variant, Variants, slug};

use super::{Answer, Question, family};

/// The axis that every calibrated variant has.
pub(super) const CALIBRATION_SAMPLES: &str = "calibration-samples";

/// A setting at its place on the axis.
struct Step<'a, 'v> {
    x: f64,
    label: String,
    setting: &'v Setting,
    /// The run that stands for it.
    variant: &'v Variant<'a>,
    metrics: &'a Metrics,
    accuracy: f64,
    interval: Interval,
}

impl Step<'_, '_> {
    /// Whether the two are not told apart: of single runs by their samples, of repeats by their scatter.
    fn alike(&self, other: &Self) -> bool {
        let single = |step: &Self| step.setting.members.len() == 1;
        if single(self) && single(other) {
            Comparison::of(self.metrics, other.metrics) != Comparison::Apart
        } else {
            self.interval.overlaps(other.interval)
        }
    }
}

/// Series that are written about; the table has more.
const PARAGRAPHS: usize = 6;

pub(super) fn answer(variants: &Variants<'_>, of: &str, over: &str) -> Answer {
    let heading = Markdown::trusted(format!(
        "How does the accuracy of {} move with {}?",
        family(of),
        code(over)
    ));
    let series = series(variants, of, over);
    if series.iter().all(|steps| steps.len() < 2) {
        let needs = format!(
            "it takes two evaluated variants of {} with a number for {}",
            family(of),
            code(over)
        );
        return Answer::missing(heading, &needs);
    }
    let several: Vec<_> = series.iter().filter(|steps| steps.len() > 1).collect();
    let mut text: Vec<String> = several
        .iter()
        .take(PARAGRAPHS)
        .map(|steps| sentences(steps, over))
        .collect();
    if several.len() > PARAGRAPHS {
        let more = numbers::count((several.len() - PARAGRAPHS) as u64);
        text.push(format!("{more} more series, at other places of the other axes."));
    }
    let answer = Answer::new(heading, text.join("\n\n")).with_table(table(&series, over));
    let plot = match series.as_slice() {
        [steps] => Some((
            format!("trend-{}-{}", slug(of), slug(over)),
            plot(variants, steps, of, over),
        )),
        _ => None,
    };
    Answer { plot, ..answer }
}

/// Trends that the variants' axes allow: one per model and numeric axis with at least three values.
pub(super) fn possible(variants: &Variants<'_>) -> Vec<Question> {
    let mut found: Vec<(String, String)> = Vec::new();
    for variant in variants.all.iter().filter(|v| v.metrics.is_some()) {
        let Some(model) = variant.coordinate("model") else {
            continue;
        };
        for (axis, value) in &variant.coordinates {
            let pair = (model.to_owned(), (*axis).to_owned());
            if value.parse::<f64>().is_ok() && Some(*axis) != variants.repeat && !found.contains(&pair) {
                found.push(pair);
            }
        }
    }
    // Of a sweep over several axes the main effects say it.
    found.retain(|(of, over)| {
        let series = series(variants, of, over);
        series.iter().any(|steps| steps.len() > 2) && (series.len() == 1 || !variants.sweep)
    });
    found
        .into_iter()
        .map(|(of, over)| Question::Trend { of, over })
        .collect()
}

fn place(variant: &Variant<'_>, over: &str) -> Option<(f64, String)> {
    if let Some(text) = variant.coordinate(over) {
        return text
            .parse()
            .ok()
            .filter(|x: &f64| x.is_finite())
            .map(|x| (x, text.to_owned()));
    }
    let calibration = variant.calibration.filter(|_| over == CALIBRATION_SAMPLES)?;
    Some((calibration.samples as f64, numbers::count(calibration.samples)))
}

/// One series per point of the other axes, each in ascending order.
fn series<'a, 'v>(variants: &'v Variants<'a>, of: &str, over: &str) -> Vec<Vec<Step<'a, 'v>>> {
    let mut series: BTreeMap<Vec<(&str, &str)>, Vec<Step<'a, 'v>>> = BTreeMap::new();
    let family: BTreeSet<&str> = variants
        .family(of)
        .into_iter()
        .map(|variant| variant.name.as_str())
        .collect();
    let member = |setting: &&'v Setting| family.contains(setting.example(variants).name.as_str());
    // Axes that only restate the one asked for (a fraction beside the samples it gives) do not split the series.
    let split = |name: &str| name != over && over != CALIBRATION_SAMPLES && Some(name) != variants.repeat;
    for setting in variants.settings.iter().filter(member) {
        let variant = setting.example(variants);
        let (Some((x, label)), Some(metrics)) = (place(variant, over), variant.metrics) else {
            continue;
        };
        let (Some(accuracy), Some(interval)) = (setting.accuracy, setting.accuracy_interval(variants)) else {
            continue;
        };
        let rest = variant
            .coordinates
            .iter()
            .copied()
            .filter(|(name, _)| split(name))
            .collect();
        series.entry(rest).or_default().push(Step {
            x,
            label,
            setting,
            variant,
            metrics,
            accuracy: accuracy.mean,
            interval,
        });
    }
    let mut series: Vec<_> = series.into_values().collect();
    for steps in &mut series {
        steps.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    series
}

fn sentences(steps: &[Step<'_, '_>], over: &str) -> String {
    let [first, .., last] = steps else { return String::new() };
    let moves: Vec<f64> = steps
        .windows(2)
        .map(|pair| pair[1].accuracy - pair[0].accuracy)
        .collect();
    let axis = code(over);
    let course = if moves.iter().all(|step| *step > 0.0) {
        "It rises at every step".to_owned()
    } else if moves.iter().all(|step| *step < 0.0) {
        "It falls at every step".to_owned()
    } else if moves.iter().all(|step| *step == 0.0) {
        "It does not move".to_owned()
    } else if moves.iter().all(|step| *step >= 0.0) {
        "It never falls".to_owned()
    } else if moves.iter().all(|step| *step <= 0.0) {
        "It never rises".to_owned()
    } else {
        let falls = moves.iter().filter(|step| **step < 0.0).count();
        format!("It is not monotone: it falls at {falls} of {} steps", moves.len())
    };
    let total = numbers::points(last.accuracy - first.accuracy);
    let course = format!(
        "From {axis} = {} to {} the accuracy goes from {} to {} ({total}). {course}.",
        first.label,
        last.label,
        numbers::percent(first.accuracy),
        numbers::percent(last.accuracy),
    );
    format!("{course} {}", saturation(steps, over))
}

/// Where more brings nothing that tells from the best.
fn saturation(steps: &[Step<'_, '_>], over: &str) -> String {
    let by_accuracy = |a: &&Step<'_, '_>, b: &&Step<'_, '_>| a.accuracy.total_cmp(&b.accuracy);
    let Some(best) = steps.iter().max_by(by_accuracy) else {
        return String::new();
    };
    let alike = |step: &Step<'_, '_>| step.alike(best);
    let from = steps.len() - steps.iter().rev().take_while(|step| alike(step)).count();
    let described = format!(
        "{} at {}, {}",
        numbers::percent(best.accuracy),
        best.label,
        numbers::interval(best.interval)
    );
    match steps.get(from) {
        Some(_) if from == 0 => format!("No value is told from the best ({described}): they show no trend."),
        Some(step) if from + 1 < steps.len() => format!(
            "From {} = {} on no value is told from the best ({described}): it saturates there.",
            code(over),
            step.label
        ),
        _ => format!("No saturation is seen: the best ({described}) is told from a value beside it."),
    }
}

fn steps_repeat(series: &[Vec<Step<'_, '_>>]) -> bool {
    series.iter().flatten().any(|step| step.setting.members.len() > 1)
}

fn table(series: &[Vec<Step<'_, '_>>], over: &str) -> Table {
    let axis = code(over).to_string();
    let mut table = Table::of_numbers(&[
        "Variant",
        &axis,
        "Calibration samples",
        "Accuracy",
        if steps_repeat(series) {
            "Mean ± sd"
        } else {
            "95 % interval"
        },
        "Step",
    ]);
    for steps in series {
        let mut before: Option<f64> = None;
        for step in steps {
            let accuracy = step.accuracy;
            let samples = step.variant.calibration.map(|c| numbers::count(c.samples));
            let samples = samples.filter(|_| over != CALIBRATION_SAMPLES);
            table.push(vec![
                code(&step.setting.title),
                Markdown::text(&step.label),
                Markdown::trusted(samples.unwrap_or_default()),
                Markdown::trusted(numbers::percent(accuracy)),
                Markdown::trusted(numbers::interval(step.interval)),
                Markdown::trusted(before.map(|old| numbers::points(accuracy - old)).unwrap_or_default()),
            ]);
            before = Some(accuracy);
        }
    }
    table.without_empty_columns()
}

fn plot(variants: &Variants<'_>, steps: &[Step<'_, '_>], of: &str, over: &str) -> String {
    let samples: BTreeSet<u64> = steps.iter().map(|step| step.metrics.samples).collect();
    let tested: Vec<String> = samples.into_iter().map(numbers::count).collect();
    let bars = if steps.iter().any(|step| step.setting.members.len() > 1) {
        "mean ± standard deviation of repeats"
    } else {
        "95 % interval"
    };
    let subtitle = format!("{} test samples; bars: {bars}", tested.join(", "));
    let title = if of == "*" {
        format!("Accuracy over {over}")
    } else {
        format!("Accuracy of {of} over {over}")
    };
    Lines {
        title: &title,
        subtitle: &subtitle,
        x_label: over,
        y_label: "accuracy",
        samples: steps
            .iter()
            .map(|step| Sample {
                x: step.x,
                label: step.label.clone(),
                y: step.accuracy,
                low: step.interval.low,
                high: step.interval.high,
            })
            .collect(),
        baseline: variants
            .baseline()
            .and_then(|v| Some((v.title.as_str(), v.metrics?.accuracy))),
    }
    .svg()
}
