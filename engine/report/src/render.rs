//! The report's files: the page, a page per evaluated variant, plots, CSV, and the record they are made of.

use minijinja::{Value, context};
use rayon::prelude::*;

use crate::input::ReportInput;
use crate::markdown::{Markdown, code};
use crate::metrics_page;
use crate::plots;
use crate::questions::{Answer, Question};
use crate::template::Page;
use crate::variants::Variants;
use crate::{ReportError, csv, html, pictures, quality, sections, sensitivity, summary, sweep, told};

/// A file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Its name; no folders.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl ReportFile {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
        }
    }
}

/// Renders a report: `report.md`, `<variant>-metrics.md` and `<variant>-confusion-matrix.{svg,png}` for each evaluated
/// variant, `pareto`, `latency`, `curve-…`, `trend-…` and `…-sensitivity-…` plots as `.svg` and `.png`, `report.html`, `metrics.csv`, and `record.json`, which is the
/// input itself. Equal input gives equal bytes.
pub fn render(input: &ReportInput) -> Result<Vec<ReportFile>, ReportError> {
    let variants = Variants::of(input)?;
    let asked = if input.questions.is_empty() {
        Question::defaults(&variants)
    } else {
        input.questions.clone()
    };
    let answers: Vec<Answer> = asked.iter().map(|question| question.answer(&variants)).collect();
    let (pareto, latency) = (pictures::pareto(&variants), pictures::latency(&variants));
    let sweep = (variants.sweep || variants.repeat.is_some()) && sweep::main_effects(&variants).is_some();
    let (grids, pairs) = if sweep {
        sweep::grids(&variants)
    } else {
        (Vec::new(), 0)
    };

    let page = context! {
        title => input.title.as_str(),
        introduction => sections::introduction(input, &variants),
        summary => summary::table(&variants).render(),
        notes => sections::notes(&variants),
        differences => differences(&variants),
        sweep => sweep.then(|| context! {
            effects => Value::from(sweep::main_effects(&variants).unwrap_or_default().render()),
            grids => grids.iter().map(|(name, _)| Value::from(Markdown::trusted(format!("{name}.png")))).collect::<Vec<_>>(),
            more => pairs.saturating_sub(grids.len()),
        }),
        pareto => pareto.as_ref().map(|_| "pareto.png"),
        latency => latency.as_ref().map(|_| sections::latency(&variants, "latency.png")),
        answers => answers.iter().map(answer_value).collect::<Vec<_>>(),
        quality => quality::section(&variants),
        confusions => sections::confusions(&variants),
        learning => sections::learning(&variants),
        effects => sections::effects(&variants),
        sensitivity => sensitivity::section(&variants),
        agreement => sections::agreement(&variants),
        calibration => sections::calibration(&variants),
        command => sections::command(input),
        facts => sections::facts(input, &variants).render(),
    };
    let mut files = vec![ReportFile::new("report.md", Page::Report.render(page)?)];

    let mut drawings: Vec<(String, String)> = Vec::new();
    drawings.extend(pareto.map(|svg| ("pareto".to_owned(), svg)));
    drawings.extend(latency.map(|svg| ("latency".to_owned(), svg)));
    drawings.extend(quality::plots(&variants));
    drawings.extend(sensitivity::plots(&variants));
    drawings.extend(grids);
    drawings.extend(answers.into_iter().filter_map(|answer| answer.plot));
    for variant in variants.shown() {
        let Some(metrics) = variant.metrics else { continue };
        let drawing = format!("{}-confusion-matrix", variant.slug);
        let text = metrics_page::render(variant, metrics, &format!("{drawing}.png"))?;
        files.push(ReportFile::new(format!("{}-metrics.md", variant.slug), text));
        drawings.push((drawing, pictures::confusion(variant, metrics)));
    }
    // Two questions about the same trend share their plot.
    drawings.sort();
    drawings.dedup_by(|one, other| one.0 == other.0);
    // In the thread pool of the caller; the order of the files stays that of the names.
    let pictures: Vec<Vec<u8>> = drawings
        .par_iter()
        .map(|(name, svg)| {
            plots::png(svg).map_err(|reason| ReportError::Plot {
                plot: name.clone(),
                reason,
            })
        })
        .collect::<Result<_, _>>()?;
    for ((name, svg), png) in drawings.into_iter().zip(pictures) {
        files.push(ReportFile::new(format!("{name}.png"), png));
        files.push(ReportFile::new(format!("{name}.svg"), svg));
    }
    let plain = sections::introduction_text(input, &variants);
    let page = html::render(input, &variants, &plain, &html::notes(&variants))?;
    files.push(ReportFile::new("report.html", page));
    files.push(ReportFile::new("metrics.csv", csv(input)));
    files.push(ReportFile::new(
        "record.json",
        serde_json::to_string_pretty(input)? + "\n",
    ));
    Ok(files)
}

/// The changes from the baseline, sample by sample, with a word about the method.
fn differences(variants: &Variants<'_>) -> Option<Value> {
    let table = told::differences(variants)?;
    Some(context! {
        baseline => Value::from(code(&variants.baseline()?.title)),
        table => Value::from(table.render()),
        repeat => variants.repeat.is_some(),
    })
}

fn answer_value(answer: &Answer) -> Value {
    context! {
        heading => Value::from(answer.heading.clone()),
        text => Value::from(answer.text.clone()),
        table => answer.table.as_ref().map(|table| Value::from(table.render())),
        more => answer.more.as_deref(),
        plot => answer.plot.as_ref().map(|(name, _)| Value::from(Markdown::trusted(format!("{name}.png")))),
    }
}
