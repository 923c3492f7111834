//! `report.html`: all variants in one page without a network. The table is HTML; what scripts show of a variant is JSON in the page.

use std::collections::BTreeMap;

use measure::{Direction, Figure, Metrics, Unit};
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::ReportError;
use crate::input::ReportInput;
use crate::numbers;
use crate::settings::standings;
use crate::told;
use crate::variants::{Variant, Variants};

const PAGE: &str = include_str!("../templates/html/page.html");
const STYLE: &str = include_str!("../templates/html/style.css");
const SCRIPTS: [&str; 3] = [
    include_str!("../templates/html/table.js"),
    include_str!("../templates/html/plot.js"),
    include_str!("../templates/html/detail.js"),
];

/// The numbers that have a column of the table, in its order; all others stand in a variant's details.
const COLUMNS: [&str; 10] = [
    "accuracy",
    "top5",
    "g-mean",
    "bytes",
    "zip-bytes",
    "arena-bytes",
    "median-ms",
    "peak-bytes",
    "parameters",
    "macs",
];
/// Up to this many classes a page holds whole confusion matrices, beyond the most frequent confusions.
const MATRIX_CLASSES: usize = 40;
const CONFUSIONS: usize = 20;

/// A number that variants have.
#[derive(Serialize)]
struct Column {
    key: String,
    heading: String,
    unit: Unit,
    better: Direction,
}

/// What scripts know of a variant.
#[derive(Serialize)]
struct Detail<'v> {
    slug: &'v str,
    title: &'v str,
    base: &'v str,
    axes: BTreeMap<&'v str, &'v str>,
    figures: serde_json::Map<String, Json>,
    /// The digest of the samples that it was judged on, and which were right.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion: Option<&'v [Vec<u64>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confusions: Option<Vec<(&'v str, &'v str, u64)>>,
    #[serde(flatten)]
    shared: BTreeMap<&'static str, usize>,
    provenance: serde_json::Map<String, Json>,
}

/// Lists that many variants have alike, each once.
#[derive(Default)]
struct Shared {
    texts: BTreeMap<String, usize>,
    lists: Vec<Json>,
}

impl Shared {
    fn place(&mut self, list: Json) -> usize {
        let lists = &mut self.lists;
        *self.texts.entry(list.to_string()).or_insert_with(|| {
            lists.push(list);
            lists.len() - 1
        })
    }
}

/// The page.
pub(crate) fn render(
    input: &ReportInput,
    variants: &Variants<'_>,
    introduction: &str,
    notes: &[String],
) -> Result<String, ReportError> {
    let figures: Vec<Vec<Figure>> = variants.all.iter().map(Variant::figures).collect();
    let columns = columns(&figures);
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter_map(|key| columns.iter().find(|column| column.key == *key))
        .collect();
    let mut axes: Vec<&str> = Vec::new();
    for (axis, _) in variants.all.iter().flat_map(|variant| &variant.place) {
        if !axes.contains(axis) {
            axes.push(axis);
        }
    }
    let standings = standings(variants);
    let front: Vec<usize> = standings
        .iter()
        .filter(|standing| standing.beaten_by.is_empty())
        .flat_map(|standing| standing.setting.members.iter().copied())
        .collect();
    let mut shared = Shared::default();
    let details: Vec<Detail<'_>> = variants
        .all
        .iter()
        .zip(&figures)
        .map(|(variant, figures)| detail(variant, figures, &mut shared))
        .collect();
    let data = json!({
        "baseline": variants.baseline_index(),
        "axes": axes,
        "columns": columns,
        "shared": shared.lists,
        "variants": details,
    });
    let reference = variants.baseline_index().map(|index| &figures[index]);
    let rows: Vec<Value> = variants
        .all
        .iter()
        .enumerate()
        .map(|(index, variant)| {
            let value = |key: &str| figures[index].iter().find(|figure| figure.name == key);
            let cell = |column: &&Column| {
                let found = value(&column.key);
                let old = reference.and_then(|known| known.iter().find(|figure| figure.name == column.key));
                let old = old.filter(|_| Some(index) != variants.baseline_index());
                context! {
                    value => found.map_or(Value::from(""), |figure| Value::from(figure.value)),
                    text => found.map_or(String::new(), |figure| numbers::figure(figure.value, figure.unit)),
                    against => found.zip(old).map(|(new, old)| numbers::figure_change(old.value, new.value, new.unit)),
                }
            };
            let place = |axis: &&str| {
                let found = variant.place.iter().find(|(known, _)| known == axis);
                found.map_or(String::new(), |(_, value)| (*value).to_owned())
            };
            context! {
                slug => variant.slug.as_str(),
                title => variant.title.as_str(),
                baseline => Some(index) == variants.baseline_index(),
                front => front.contains(&index),
                axes => axes.iter().map(place).collect::<Vec<_>>(),
                cells => shown.iter().map(cell).collect::<Vec<_>>(),
            }
        })
        .collect();
    let page = context! {
        title => input.title.as_str(),
        introduction => introduction,
        recipe => context! {
            name => input.recipe.name.as_str(),
            version => input.recipe.tool_version.as_str(),
            digest => input.recipe.digest.as_str(),
            command => input.recipe.command.as_str(),
            params => &input.recipe.params,
        },
        axes => axes.iter().map(|axis| (*axis).to_owned()).collect::<Vec<String>>(),
        columns => shown.iter().map(|column| context! { key => column.key.as_str(), heading => column.heading.as_str() }).collect::<Vec<_>>(),
        rows => rows,
        notes => notes.to_vec(),
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPTS.concat()),
        data => Value::from_safe_string(for_script(&data.to_string())),
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    Ok(environment.render_str(PAGE, page)?)
}

/// JSON in which nothing ends a script element.
fn for_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// Every number that some variant has, in order of first appearance.
fn columns(figures: &[Vec<Figure>]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for figure in figures.iter().flatten() {
        if columns.iter().all(|column| column.key != figure.name) {
            columns.push(Column {
                key: figure.name.clone(),
                heading: heading(&figure.name),
                unit: figure.unit,
                better: figure.direction,
            });
        }
    }
    columns
}

/// A number's name as words: `Median latency`, `Zip bytes`.
fn heading(key: &str) -> String {
    let known = [
        ("top5", "Top-5"),
        ("g-mean", "G-mean"),
        ("median-ms", "Median latency"),
        ("arena-bytes", "Arena bytes"),
        ("peak-bytes", "Peak memory"),
        ("macs", "MACs"),
        ("f1", "F1"),
    ];
    if let Some((_, words)) = known.iter().find(|(known, _)| *known == key) {
        return (*words).to_owned();
    }
    let words = key.trim_end_matches("-ms").replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

fn detail<'v>(variant: &'v Variant<'_>, figures: &[Figure], shared: &mut Shared) -> Detail<'v> {
    let mut lists = BTreeMap::new();
    let mut put = |key, list: Json| {
        if list.as_array().is_some_and(|lines| !lines.is_empty()) {
            lists.insert(key, shared.place(list));
        }
    };
    let metrics = variant.metrics;
    if let Some(metrics) = metrics {
        put("classes", json!(metrics.confusion.classes()));
    }
    if let Some(model) = variant.model {
        let took = |yes: bool| if yes { "yes" } else { "no" };
        let rows = model.effect.iter().map(|row| {
            json!([
                row.layer,
                row.tensor,
                row.requested,
                row.actual,
                took(row.took_effect),
                row.reason.as_deref().unwrap_or("")
            ])
        });
        put("effect", rows.collect());
        let share = |share: Option<f64>| share.map(numbers::percent).unwrap_or_default();
        let epochs = model
            .training
            .iter()
            .flat_map(|training| training.epochs.iter().enumerate());
        let epochs = epochs.map(|(i, epoch)| {
            let loss = numbers::significant(epoch.loss, 4);
            json!([
                (i + 1).to_string(),
                loss,
                share(Some(epoch.accuracy)),
                share(epoch.validation_accuracy)
            ])
        });
        put("training", epochs.collect());
    }
    let decibel = |snr: Option<f64>| snr.map(|snr| format!("{snr:.1}")).unwrap_or_default();
    if let Some(found) = variant.sensitivity {
        let rows = found.rows.iter().map(|row| {
            json!([
                row.layer,
                row.treatment,
                numbers::significant(100.0 * row.noise, 3),
                decibel(row.snr_db)
            ])
        });
        put("sensitivity", rows.collect());
    }
    if let Some(found) = variant.agreement {
        let rows = found.layers.iter().map(|layer| {
            let closeness = &layer.closeness;
            let equal = 100.0 * closeness.equal as f64 / closeness.elements.max(1) as f64;
            let error = numbers::significant(closeness.max_abs_error, 3);
            json!([layer.name, format!("{equal:.2}"), error, decibel(closeness.snr_db)])
        });
        put("layers", rows.collect());
    }
    let outcomes = metrics.and_then(|metrics| metrics.outcomes.as_ref());
    let matrix = metrics.map(|metrics| &metrics.confusion);
    let small = |classes: &[String]| classes.len() <= MATRIX_CLASSES;
    Detail {
        slug: &variant.slug,
        title: &variant.title,
        base: &variant.base,
        axes: variant.place.iter().copied().collect(),
        figures: figures
            .iter()
            .map(|figure| (figure.name.clone(), json!(figure.value)))
            .collect(),
        samples: outcomes.map(|outcomes| outcomes.data.as_str()),
        outcomes: outcomes.map(|outcomes| outcomes.right.to_string()),
        confusion: matrix
            .filter(|m| small(m.classes()))
            .map(measure::ConfusionMatrix::counts),
        confusions: matrix.filter(|m| !small(m.classes())).map(|matrix| {
            let names = matrix.classes();
            let frequent = matrix.most_confused(CONFUSIONS).into_iter();
            frequent
                .map(|(row, column, count)| (names[row].as_str(), names[column].as_str(), count))
                .collect()
        }),
        shared: lists,
        provenance: provenance(variant, metrics),
    }
}

/// What the numbers were computed and measured with.
fn provenance(variant: &Variant<'_>, metrics: Option<&Metrics>) -> serde_json::Map<String, Json> {
    let mut facts = serde_json::Map::new();
    let mut put = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            facts.insert(name.to_owned(), Json::String(text));
        }
    };
    put("Name", Some(variant.name.clone()));
    let place = variant
        .coordinates
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>();
    put("Coordinates", (!place.is_empty()).then(|| place.join(", ")));
    put("Arithmetic", metrics.map(|metrics| metrics.arithmetic.clone()));
    put("Samples", metrics.map(|metrics| numbers::count(metrics.samples)));
    put(
        "Digest of the samples",
        metrics.and_then(|m| Some(m.outcomes.as_ref()?.data.clone())),
    );
    put("Packed with", variant.sizes.map(|sizes| sizes.compressor.to_string()));
    put(
        "Kernels timed",
        variant
            .benchmark
            .map(|b| format!("{}, {} threads", b.runtime, b.threads)),
    );
    put(
        "Timed on",
        variant
            .benchmark
            .map(|b| format!("{}, {}", b.machine.cpu, b.machine.os)),
    );
    put(
        "Ranges from",
        variant
            .calibration
            .map(|c| format!("{} samples, {}", numbers::count(c.samples), c.method)),
    );
    facts
}

/// How to read the page, in sentences.
pub(crate) fn notes(variants: &Variants<'_>) -> Vec<String> {
    let mut notes = vec!["Frontier: nothing else is both no larger, packed, and no less accurate.".to_owned()];
    let paired = variants
        .all
        .iter()
        .filter_map(|v| v.metrics)
        .any(|metrics| metrics.outcomes.is_some());
    if paired {
        let apart = variants
            .all
            .iter()
            .filter(|variant| told::is_apart(variants, variant))
            .count();
        notes.push(
            "Variants judged on the same samples are compared by the samples that changed; McNemar's exact test and Newcombe's interval of \
             the difference stand in report.md and metrics.csv."
                .to_owned(),
        );
        if variants.baseline().is_some() {
            notes.push(format!(
                "{} of {} are told apart from the baseline (p < 0.05, each by itself).",
                numbers::count(apart as u64),
                numbers::count(variants.all.len() as u64 - 1)
            ));
        }
    }
    if variants.all.iter().any(|variant| variant.benchmark.is_some()) {
        notes.push(
            "Times are those of the kernels that a variant's details name, on that machine: no device's.".to_owned(),
        );
    }
    notes
}
