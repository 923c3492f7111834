//! What each layer bears: the error at a network's output when one layer alone is treated.

use measure::{Direction, Figure, Unit};
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::markdown::{Markdown, Table, code, code_block, html};
use crate::numbers;
use crate::plots::{Bar, Bars};
use crate::variants::{Variant, Variants};

/// The error at the output for each layer and treatment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sensitivity {
    /// Samples that were run.
    pub samples: u64,
    /// Accuracy of the untreated model on them, where they have labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Layers in the order of the network, treatments in the order of the recipe.
    pub rows: Vec<SensitivityRow>,
    /// For each treatment the edit of the recipe that spares the worst layers, as YAML.
    pub suggestions: Vec<(String, String)>,
}

/// One layer under one treatment, all others as they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SensitivityRow {
    /// The layer.
    pub layer: String,
    /// What was done to it: `int4`.
    pub treatment: String,
    /// Its weights, counted.
    pub weights: u64,
    /// Energy of the error over that of the scores: `Σe² / Σr²`.
    pub noise: f64,
    /// Signal-to-noise ratio of the scores in dB; `None` without any error.
    pub snr_db: Option<f64>,
    /// Cosine of the angle between the scores.
    pub cosine: Option<f64>,
    /// Mean Kullback–Leibler divergence of the class probabilities from the untreated ones, in nats; for class scores alone.
    pub kl: Option<f64>,
    /// Share of samples with the same first class.
    pub top1: Option<f64>,
    /// Accuracy on the samples, where they have labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

impl Sensitivity {
    /// Names of all numbers that there may be.
    pub const FIGURES: &[&str] = &["worst-snr-db"];

    /// The named numbers: `worst-snr-db`, of the layer and treatment that suffer most.
    pub fn figures(&self) -> Vec<Figure> {
        let worst = self.rows.iter().filter_map(|row| row.snr_db).min_by(f64::total_cmp);
        let figure = |snr| Figure::new("worst-snr-db", snr, Unit::Decibel, Direction::Higher);
        worst.map(figure).into_iter().collect()
    }

    /// The treatments, in order.
    fn treatments(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.treatment.as_str()) {
                names.push(&row.treatment);
            }
        }
        names
    }
}

/// Name and drawing of each treatment's plot.
pub(crate) fn plots(variants: &Variants<'_>) -> Vec<(String, String)> {
    let of = |variant: &Variant<'_>| {
        let found = variant.sensitivity.into_iter();
        let drawings = found.flat_map(|s| s.treatments().into_iter().map(move |t| (t, drawing(s, t))));
        drawings
            .map(|(treatment, svg)| (file(variant, treatment), svg))
            .collect::<Vec<_>>()
    };
    variants.shown().flat_map(of).collect()
}

fn file(variant: &Variant<'_>, treatment: &str) -> String {
    let word: String = treatment
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    format!("{}-sensitivity-{word}", variant.slug)
}

fn drawing(sensitivity: &Sensitivity, treatment: &str) -> String {
    let rows = sensitivity.rows.iter().filter(|row| row.treatment == treatment);
    Bars {
        title: &format!("What each layer bears: {treatment}"),
        subtitle: "error of the scores when this layer alone is treated, by energy; beside it the signal-to-noise ratio",
        x_label: "error, % of the scores' energy",
        rows: rows.map(bar).collect(),
    }
    .svg()
}

fn bar(row: &SensitivityRow) -> Bar<'_> {
    Bar {
        label: &row.layer,
        value: 100.0 * row.noise,
        mark: 100.0 * row.noise,
        note: row.snr_db.map_or("no error".to_owned(), |snr| {
            numbers::with_unit(format!("{snr:.1}"), "dB")
        }),
        baseline: false,
    }
}

/// The section of the report: for each variant a sentence, plots, the table, and what to change.
pub(crate) fn section(variants: &Variants<'_>) -> Vec<Value> {
    let found = variants.shown().filter_map(|v| Some((v, v.sensitivity?)));
    found
        .map(|(variant, sensitivity)| {
            let plots: Vec<Value> = sensitivity
                .treatments()
                .into_iter()
                .map(|t| Markdown::trusted(format!("![{}]({}.png)", html(t), file(variant, t))).into())
                .collect();
            let edits: Vec<Value> = sensitivity
                .suggestions
                .iter()
                .map(|(treatment, yaml)| {
                    let heading = Markdown::trusted(format!("{}:", code(treatment)));
                    context! { heading => Value::from(heading), yaml => Value::from(code_block("yaml", yaml)) }
                })
                .collect();
            context! {
                introduction => Value::from(introduction(variant, sensitivity)),
                plots => plots,
                summary => Value::from(Markdown::trusted(format!("{}: {} layers and treatments", html(&variant.title), sensitivity.rows.len()))),
                table => Value::from(table(sensitivity).render()),
                edits => edits,
            }
        })
        .collect()
}

fn introduction(variant: &Variant<'_>, sensitivity: &Sensitivity) -> Markdown {
    let samples = numbers::count(sensitivity.samples);
    let accuracy = sensitivity
        .accuracy
        .map(|a| format!(", of which the untreated model decides {} rightly", numbers::percent(a)))
        .unwrap_or_default();
    Markdown::trusted(format!(
        "{}: one layer treated at a time, all others as they were, on {samples} samples{accuracy}.",
        code(&variant.title)
    ))
}

fn table(sensitivity: &Sensitivity) -> Table {
    let mut table = Table::of_numbers(&[
        "Layer",
        "Treatment",
        "Weights",
        "Error",
        "SNR",
        "Cosine",
        "KL",
        "Same top-1",
        "Accuracy",
    ]);
    let plain = |text: String| Markdown::trusted(text);
    for row in &sensitivity.rows {
        let share = |share: Option<f64>| plain(share.map(numbers::percent).unwrap_or_default());
        table.push(vec![
            code(&row.layer),
            Markdown::text(&row.treatment),
            plain(numbers::count(row.weights)),
            plain(numbers::with_unit(numbers::significant(100.0 * row.noise, 3), "%")),
            plain(
                row.snr_db
                    .map_or("–".to_owned(), |snr| numbers::with_unit(format!("{snr:.1}"), "dB")),
            ),
            plain(row.cosine.map(|c| format!("{c:.5}")).unwrap_or_default()),
            plain(row.kl.map(|kl| numbers::significant(kl, 3)).unwrap_or_default()),
            share(row.top1),
            share(row.accuracy),
        ]);
    }
    table.without_empty_columns()
}
