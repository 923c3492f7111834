//! Two runs side by side: which figures moved, by how much, and whether for the better.

use measure::{Direction, Figure, Unit};
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ReportError;
use crate::input::ReportInput;
use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::template::Page;
use crate::variants::{Variant, Variants};

/// The figures of a run, as far as two runs are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RunFigures {
    /// What the run is called: its id, or its report's title.
    pub label: String,
    /// Every figure of every variant.
    pub figures: Vec<VariantFigure>,
}

/// One figure of one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VariantFigure {
    /// The variant, or another name that is the same in both runs.
    pub variant: String,
    /// The figure.
    pub figure: Figure,
}

impl RunFigures {
    /// The figures of a report's record.
    pub fn of(label: impl Into<String>, input: &ReportInput) -> Result<Self, ReportError> {
        let variants = Variants::of(input)?;
        let named = |variant: &Variant<'_>| {
            let name = variant.name.clone();
            variant.figures().into_iter().map(move |figure| VariantFigure {
                variant: name.clone(),
                figure,
            })
        };
        Ok(Self {
            label: label.into(),
            figures: variants.all.iter().flat_map(named).collect(),
        })
    }

    fn find(&self, other: &VariantFigure) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|f| f.variant == other.variant && f.figure.name == other.figure.name)
            .map(|f| &f.figure)
    }

    fn has_variant(&self, name: &str) -> bool {
        self.figures.iter().any(|figure| figure.variant == name)
    }
}

/// Renders what changed from `old` to `new` as markdown: quality and sizes, times and memory apart, and which variants
/// only one of the two has.
pub fn compare(old: &RunFigures, new: &RunFigures) -> Result<String, ReportError> {
    let mut values = Table::of_numbers(&["Variant", "Figure", "Before", "After", "Change", ""]);
    let mut times = values.clone();
    let (mut changed, mut equal) = (0, 0);
    for after in &new.figures {
        // The ends of an interval move with what they are the interval of.
        let bound = matches!(after.figure.name.as_str(), "accuracy-low" | "accuracy-high");
        let Some(before) = old.find(after).filter(|_| !bound) else {
            continue;
        };
        if before.value == after.figure.value {
            equal += 1;
            continue;
        }
        changed += 1;
        let table = if noisy(&after.figure) { &mut times } else { &mut values };
        table.push(row(&after.variant, before, &after.figure));
    }
    let introduction = match (changed, equal) {
        (0, 0) => "The two runs have no figure in common.".to_owned(),
        (0, equal) => format!("All {equal} figures are equal."),
        (changed, equal) => format!("{changed} figures changed, {equal} are equal."),
    };
    let only = |this: &RunFigures, other: &RunFigures| {
        let mut names: Vec<String> = Vec::new();
        for figure in this.figures.iter().filter(|figure| !other.has_variant(&figure.variant)) {
            let name = code(&figure.variant).to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| format!("Only in {}: {}.", Markdown::text(&this.label), names.join(", ")))
    };
    let notes = [only(old, new), only(new, old)].into_iter().flatten();
    let rendered = |table: &Table| (!table.is_empty()).then(|| Value::from(table.render()));
    Page::Compare.render(context! {
        old => old.label.as_str(),
        new => new.label.as_str(),
        introduction => Value::from(Markdown::trusted(introduction)),
        values => rendered(&values),
        times => rendered(&times),
        notes => notes.map(|note| Value::from(Markdown::trusted(note))).collect::<Vec<_>>(),
    })
}

/// Whether a figure differs between two runs of the same thing.
fn noisy(figure: &Figure) -> bool {
    figure.unit == Unit::Milliseconds || matches!(figure.name.as_str(), "peak-bytes" | "after-load-bytes")
}

fn row(variant: &str, before: &Figure, after: &Figure) -> Vec<Markdown> {
    let verdict = match (after.direction, after.value > before.value) {
        (Direction::Higher, true) | (Direction::Lower, false) => "better",
        (Direction::Higher, false) | (Direction::Lower, true) => "**worse**",
        (Direction::Neutral, _) => "",
    };
    let shown = |figure: &Figure| Markdown::trusted(numbers::figure(figure.value, figure.unit));
    vec![
        code(variant),
        Markdown::text(&after.name),
        shown(before),
        shown(after),
        Markdown::trusted(numbers::figure_change(before.value, after.value, after.unit)),
        Markdown::trusted(verdict),
    ]
}
