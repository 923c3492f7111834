//! The sections of the report page, as values for its template.

use std::collections::BTreeMap;

use measure::{Agreement, Closeness, LayerAgreement};
use minijinja::{Value, context};

use crate::input::{EffectRow, ReportInput};
use crate::markdown::{Markdown, Table, code, code_block, html};
use crate::numbers;
use crate::summary;
use crate::variants::{Variant, Variants};

fn plain(text: impl Into<String>) -> Markdown {
    Markdown::trusted(text)
}

/// What this is about, in a line or two.
pub(crate) fn introduction(input: &ReportInput, variants: &Variants<'_>) -> Value {
    let count = variants.all.len();
    let noun = if count == 1 { "variant" } else { "variants" };
    let counted = numbers::count(count as u64);
    let mut text = format!("{counted} {noun} made by the recipe {}", code(&input.recipe.name));
    if let Some(repeat) = variants.repeat {
        let settings = numbers::count(variants.settings.len() as u64);
        text = format!("{text} in {settings} settings, repeated over {}", code(repeat));
    }
    if let Some(baseline) = variants.baseline() {
        text = format!("{text}, compared with {}", code(&baseline.title));
    }
    text.push('.');
    if variants.sweep {
        text += " This page shows the baseline, the frontier of size and accuracy, and the most accurate; \
                 [report.html](report.html) and [metrics.csv](metrics.csv) hold all.";
    }
    plain(text).into()
}

/// The same in plain text.
pub(crate) fn introduction_text(input: &ReportInput, variants: &Variants<'_>) -> String {
    let count = numbers::count(variants.all.len() as u64);
    let noun = if variants.all.len() == 1 { "variant" } else { "variants" };
    let repeats = variants
        .repeat
        .map(|axis| format!(" in {} settings, repeated over {axis}", variants.settings.len()));
    let against = variants
        .baseline()
        .map(|baseline| format!(", compared with {}", baseline.title));
    format!(
        "{count} {noun} made by the recipe {}{}{}.",
        input.recipe.name,
        repeats.unwrap_or_default(),
        against.unwrap_or_default()
    )
}

/// How to read the summary: which values are best, what was tested, with which arithmetic, packed and timed how.
pub(crate) fn notes(variants: &Variants<'_>) -> Vec<Value> {
    let mut notes = vec![plain(
        "Best values are **bold**. Below a value stands what it is against the baseline: accuracy in percentage points, sizes and times as how many times smaller.",
    )];
    if variants.baseline().is_none() {
        notes = vec![plain("Best values are **bold**.")];
    }
    if variants.sweep || variants.repeat.is_some() {
        notes = vec![plain(
            "Frontier: nothing else is both no larger, packed, and no less accurate. Difference: from the baseline.",
        )];
    }
    if let Some(repeat) = variants.repeat {
        notes.push(plain(format!(
            "Mean ± standard deviation of the runs that differ in {} alone; sizes and times are means.",
            code(repeat)
        )));
    }
    let evaluated = || variants.all.iter().filter_map(|v| Some((v, v.metrics?)));
    if evaluated().next().is_some() {
        notes.push(grouped(
            "Samples evaluated",
            evaluated().map(|(v, m)| (v, numbers::count(m.samples))),
        ));
        notes.push(grouped(
            "Arithmetic",
            evaluated().map(|(v, m)| (v, m.arithmetic.clone())),
        ));
        notes.push(plain(
            "Intervals of an accuracy are Wilson's, 95 %. G-mean is the geometric mean of the classes' sensitivities.",
        ));
    }
    let weighed = variants
        .all
        .iter()
        .filter_map(|v| Some((v, v.sizes?.compressor.to_string())));
    if weighed.clone().next().is_some() {
        notes.push(grouped("Zip bytes are of one archive per file, packed as", weighed));
    }
    notes.into_iter().map(Value::from).collect()
}

/// `Label: value.` where all variants agree, else each value with its variants.
fn grouped<'v, 'a: 'v>(label: &str, values: impl Iterator<Item = (&'v Variant<'a>, String)>) -> Markdown {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (variant, value) in values {
        groups.entry(value).or_default().push(variant.title.as_str());
    }
    let several = groups.len() > 1;
    let texts: Vec<String> = groups
        .into_iter()
        .map(|(value, names)| {
            let value = Markdown::text(&value);
            if several {
                format!("{value} ({})", few(&names))
            } else {
                value.to_string()
            }
        })
        .collect();
    plain(format!("{label}: {}.", texts.join("; ")))
}

/// Names in code type; of many the first and how many more.
fn few(names: &[&str]) -> String {
    const MOST: usize = 12;
    let mut shown: Vec<String> = names.iter().take(MOST).map(|name| code(name).to_string()).collect();
    if names.len() > MOST {
        shown.push(format!("{} more", names.len() - MOST));
    }
    shown.join(", ")
}

/// The stages of every timed variant.
pub(crate) fn latency(variants: &Variants<'_>, plot: &str) -> Value {
    let mut table = Table::of_numbers(&[
        "Variant",
        "Load",
        "First run",
        "Warm-up median",
        "Median",
        "Mean ± std",
        "p90",
        "p99",
        "Runs",
        "Memory after load",
        "Peak",
    ]);
    let timed = || variants.shown().filter_map(|v| Some((v, v.benchmark?)));
    for (variant, benchmark) in timed() {
        let timings = &benchmark.timings;
        let steady = &timings.steady;
        let ms = |value| plain(numbers::milliseconds(value));
        let memory = |bytes: Option<u64>| plain(bytes.map(numbers::mebibytes).unwrap_or_default());
        table.push(vec![
            summary::name(variants, variant),
            ms(timings.load_ms),
            ms(timings.first_ms),
            timings.warmup.map(|warmup| ms(warmup.median)).unwrap_or_default(),
            ms(steady.median),
            plain(numbers::mean_and_deviation_ms(steady.mean, steady.std)),
            ms(steady.p90),
            ms(steady.p99),
            plain(numbers::count(steady.runs)),
            memory(timings.memory.after_load),
            memory(timings.memory.peak),
        ]);
    }
    let threads = |n: usize| {
        if n == 1 {
            "1 thread".to_owned()
        } else {
            format!("{n} threads")
        }
    };
    let notes = [
        grouped(
            "Whose kernels were timed",
            timed().map(|(v, b)| {
                let own = if b.runtime.starts_with("pipeline") {
                    "this program's, "
                } else {
                    ""
                };
                (
                    v,
                    format!(
                        "{own}{}, {}, on this host; a device's runtime has others",
                        b.runtime,
                        threads(b.threads)
                    ),
                )
            }),
        ),
        grouped(
            "Machine",
            timed().map(|(v, b)| {
                let features = if b.machine.features.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", b.machine.features.join(" "))
                };
                (
                    v,
                    format!(
                        "{}, {} hardware threads, {}{features}",
                        b.machine.cpu, b.machine.cores, b.machine.os
                    ),
                )
            }),
        ),
        plain(
            "Load, first run, warm-up and steady state are timed apart; percentiles interpolate linearly between ranks. Memory is that of the whole process.",
        ),
    ];
    context! {
        plot => plot,
        table => Value::from(table.without_empty_columns().render()),
        notes => notes.into_iter().map(Value::from).collect::<Vec<_>>(),
    }
}

/// The matrices of the evaluated variants, two side by side, each leading to the variant's page.
pub(crate) fn confusions(variants: &Variants<'_>) -> Option<Value> {
    let picture = |variant: &Variant<'_>| {
        let (name, slug) = (code(&variant.title), &variant.slug);
        plain(format!(
            "[{name}<br>![Confusion matrix]({slug}-confusion-matrix.png)]({slug}-metrics.md)"
        ))
    };
    let pictures: Vec<Markdown> = variants.shown().filter(|v| v.metrics.is_some()).map(picture).collect();
    let columns = pictures.len().min(2);
    let mut table = Table::of_text(&[""; 2][..columns]);
    for row in pictures.chunks(2) {
        table.push(row.to_vec());
    }
    (!table.is_empty()).then(|| Value::from(table.render()))
}

/// What was asked of each variant and what became of it.
pub(crate) fn effects(variants: &Variants<'_>) -> Vec<Value> {
    let asked = variants
        .shown()
        .filter_map(|v| Some((v, &v.model?.effect)).filter(|(_, effect)| !effect.is_empty()));
    asked
        .map(|(variant, effect)| {
            let mut table = Table::of_text(&["Layer", "Tensor", "Requested", "Actual", "Took effect", "Why"]);
            for row in effect {
                let EffectRow {
                    layer,
                    tensor,
                    requested,
                    actual,
                    took_effect,
                    reason,
                } = row;
                let took = if *took_effect { plain("yes") } else { plain("no").bold() };
                let reason = reason.as_deref().map(Markdown::text).unwrap_or_default();
                table.push(vec![
                    code(layer),
                    Markdown::text(tensor),
                    Markdown::text(requested),
                    Markdown::text(actual),
                    took,
                    reason,
                ]);
            }
            let taken = effect.iter().filter(|row| row.took_effect).count();
            let summary = format!("{}: {taken} of {} took effect", html(&variant.title), effect.len());
            details(summary, &table.without_empty_columns())
        })
        .collect()
}

/// The epochs of every trained variant, the kept one in bold.
pub(crate) fn learning(variants: &Variants<'_>) -> Vec<Value> {
    let trained = variants.shown().filter_map(|v| Some((v, v.model?.training.as_ref()?)));
    trained
        .map(|(variant, training)| {
            let mut table = Table::of_numbers(&[
                "Epoch",
                "Learning rate",
                "Loss",
                "Accuracy",
                "Validation loss",
                "Validation accuracy",
            ]);
            for (i, epoch) in training.epochs.iter().enumerate() {
                let number = plain((i + 1).to_string());
                let kept = i as u64 + 1 == training.best;
                table.push(vec![
                    if kept { number.bold() } else { number },
                    plain(format!("{:.2e}", epoch.rate)),
                    plain(format!("{:.4}", epoch.loss)),
                    plain(numbers::percent(epoch.accuracy)),
                    plain(
                        epoch
                            .validation_loss
                            .map(|loss| format!("{loss:.4}"))
                            .unwrap_or_default(),
                    ),
                    plain(epoch.validation_accuracy.map(numbers::percent).unwrap_or_default()),
                ]);
            }
            let early = if (training.epochs.len() as u64) < training.planned {
                format!(" of {} planned", training.planned)
            } else {
                String::new()
            };
            let text = format!(
                "{}: {} epochs{early} on {} samples, {} held out; the model of epoch {} was kept.",
                code(&variant.title),
                training.epochs.len(),
                numbers::count(training.samples),
                numbers::count(training.held_out),
                training.best
            );
            context! {
                text => Value::from(plain(text)),
                table => Value::from(table.without_empty_columns().render()),
            }
        })
        .collect()
}

fn details(summary: String, table: &Table) -> Value {
    context! { summary => Value::from(plain(summary)), table => Value::from(table.render()) }
}

/// Closeness of outputs per variant, and per layer where asked for; nothing when no model was verified.
pub(crate) fn agreement(variants: &Variants<'_>) -> Option<Value> {
    let mut table = Table::of_numbers(&[
        "Variant",
        "Reference",
        "Samples",
        "Equal elements",
        "Max abs error",
        "Mean abs error",
        "Cosine",
        "SNR",
        "Top-1",
        "Top-5",
    ]);
    let mut layers = Vec::new();
    for (variant, agreement) in variants.shown().filter_map(|v| Some((v, v.agreement?))) {
        let Agreement {
            reference,
            samples,
            closeness,
            top1,
            top5,
            layers: per_layer,
            departs,
        } = agreement;
        let share = |share: &Option<f64>| plain(share.map(numbers::percent).unwrap_or_default());
        let mut row = vec![code(&variant.title), code(reference), plain(numbers::count(*samples))];
        row.extend(closeness_cells(closeness));
        row.extend([share(top1), share(top5)]);
        table.push(row);
        if !per_layer.is_empty() {
            let mut table = Table::of_numbers(&[
                "Layer",
                "Equal elements",
                "Max abs error",
                "Mean abs error",
                "Cosine",
                "SNR",
            ]);
            for LayerAgreement {
                name,
                against,
                closeness,
            } in per_layer
            {
                let mut row = vec![code(&match against {
                    Some(against) => format!("{name} ({against})"),
                    None => name.clone(),
                })];
                row.extend(closeness_cells(closeness));
                table.push(row);
            }
            let departs = departs.as_ref().map_or_else(String::new, |layer| {
                format!("; the first that departs is {}", html(layer))
            });
            let summary = format!(
                "{} against {}, layer by layer{departs}",
                html(&variant.title),
                html(reference)
            );
            layers.push(details(summary, &table.without_empty_columns()));
        }
    }
    if table.is_empty() {
        return None;
    }
    Some(context! { table => Value::from(table.without_empty_columns().render()), layers => layers })
}

fn closeness_cells(closeness: &Closeness) -> [Markdown; 5] {
    let Closeness {
        elements,
        equal,
        not_finite,
        max_abs_error,
        mean_abs_error,
        cosine,
        snr_db,
    } = *closeness;
    let infinite = if not_finite > 0 {
        format!("<br>{} not finite", numbers::count(not_finite))
    } else {
        String::new()
    };
    let cosine = cosine.map(|cosine| format!("{cosine:.6}"));
    let snr = match snr_db {
        Some(snr) => numbers::with_unit(format!("{snr:.1}"), "dB"),
        None if equal == elements => "no noise".to_owned(),
        None => String::new(),
    };
    [
        plain(format!(
            "{}{infinite}",
            numbers::percent(equal as f64 / elements.max(1) as f64)
        )),
        plain(numbers::significant(max_abs_error, 3)),
        plain(numbers::significant(mean_abs_error, 3)),
        plain(cosine.unwrap_or_default()),
        plain(snr),
    ]
}

/// What ranges were taken from, and what is doubtful about it; nothing when no variant was calibrated.
pub(crate) fn calibration(variants: &Variants<'_>) -> Option<Value> {
    let mut table = Table::of_numbers(&["Variant", "Method", "Samples", "Of", "Classes seen", "Per class"]);
    let mut warnings = Vec::new();
    for (variant, calibration) in variants.shown().filter_map(|v| Some((v, v.calibration?))) {
        let counts = || calibration.per_class.iter().map(|(_, count)| *count);
        let seen = counts().filter(|count| *count > 0).count();
        let range = match (counts().min(), counts().max()) {
            (Some(min), Some(max)) if min < max => format!("{}–{}", numbers::count(min), numbers::count(max)),
            (Some(same), _) => numbers::count(same),
            (None, _) => String::new(),
        };
        let classes = if calibration.per_class.is_empty() {
            String::new()
        } else {
            format!("{seen} of {}", calibration.per_class.len())
        };
        table.push(vec![
            code(&variant.title),
            Markdown::text(&calibration.method),
            plain(numbers::count(calibration.samples)),
            plain(numbers::count(calibration.population)),
            plain(classes),
            plain(range),
        ]);
        let warned = calibration
            .warnings
            .iter()
            .map(|text| format!("{}: {}", code(&variant.title), Markdown::text(text)));
        warnings.extend(warned.map(|text| Value::from(plain(text))));
    }
    if table.is_empty() {
        return None;
    }
    Some(context! { table => Value::from(table.without_empty_columns().render()), warnings => warnings })
}

/// The command that made the report.
pub(crate) fn command(input: &ReportInput) -> Value {
    code_block("sh", &input.recipe.command).into()
}

/// Recipe, digest, version, params and machine.
pub(crate) fn facts(input: &ReportInput, variants: &Variants<'_>) -> Table {
    let recipe = &input.recipe;
    let mut table = Table::of_text(&["What", "Value"]);
    table.push(vec![plain("Recipe"), code(&recipe.name)]);
    table.push(vec![plain("Digest of the recipe"), code(&recipe.digest)]);
    table.push(vec![plain("Version of pipeline"), code(&recipe.tool_version)]);
    for (name, value) in &recipe.params {
        table.push(vec![plain(format!("Param {}", code(name))), code(value)]);
    }
    let machines: std::collections::BTreeSet<String> = variants
        .all
        .iter()
        .filter_map(|v| {
            v.benchmark.map(|b| {
                format!(
                    "{}, {} hardware threads, {}",
                    b.machine.cpu, b.machine.cores, b.machine.os
                )
            })
        })
        .collect();
    for machine in machines {
        table.push(vec![plain("Timed on"), Markdown::text(&machine)]);
    }
    table
}
