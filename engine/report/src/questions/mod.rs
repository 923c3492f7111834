//! The questions that a report answers: a registry of pure functions over the gathered entries.
//!
//! An answer is sentences with numbers and units, a table, sometimes a plot. It is honest about what the numbers allow:
//! a difference that the intervals do not support is called that, and a question whose entries are missing says what is
//! missing.

mod against;
mod best;
mod best_under;
mod check;
mod deflation;
mod dominance;
mod epochs;
mod sizes;
mod trend;

pub use check::{Expected, Tells, check_questions};

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::settings;
use crate::variants::Variants;

/// A question about the variants. Names are those of variants, or of the step that makes a family of them (`int8` for
/// `int8-0.01`, `int8-0.8`); `*` means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// How many parameters and bytes has each variant, and how much smaller than the baseline is it?
    Sizes,
    /// How does one variant, or each of a family, do against another or each of another family?
    #[serde(rename_all = "kebab-case")]
    Against {
        /// The variant or family asked about.
        variant: String,
        /// What it is compared with.
        against: String,
    },
    /// Which of a family is the most accurate, and how does it do against another variant?
    #[serde(rename_all = "kebab-case")]
    Best {
        /// The family.
        of: String,
        /// What its best is compared with.
        against: String,
    },
    /// Which is the best under limits of bytes, time or a drop from the baseline? Under limits of bytes or time the most accurate,
    /// under a limit of the drop alone the smallest.
    BestUnder(BestUnder),
    /// How does accuracy move along an axis, does it always rise, and where does it stop rising?
    #[serde(rename_all = "kebab-case")]
    Trend {
        /// The family.
        of: String,
        /// The axis, or `calibration-samples`.
        over: String,
    },
    /// After how many epochs is one training as accurate on held-out samples as another ever is?
    #[serde(rename_all = "kebab-case")]
    Epochs {
        /// The variant or family asked about.
        of: String,
        /// What it is compared with.
        against: String,
    },
    /// Which variants are smaller or more accurate than all others, and which are beaten in both?
    Dominance,
    /// What does deflate do with zeros and repeated values? Needs what `compress` steps found.
    Deflation,
}

/// The limits of a `best-under` question, at least one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BestUnder {
    /// The family; all variants without one.
    #[serde(default = "all")]
    pub of: String,
    /// Bytes of the file, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes of the file in a zip archive, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip_bytes: Option<u64>,
    /// Median latency in milliseconds, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// Percentage points of accuracy below the baseline, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<f64>,
}

fn all() -> String {
    "*".to_owned()
}

/// What a report says to a question.
pub(crate) struct Answer {
    pub(crate) heading: Markdown,
    pub(crate) text: Markdown,
    pub(crate) table: Option<Table>,
    /// What the table leaves out.
    pub(crate) more: Option<String>,
    /// File name without extension, and the drawing.
    pub(crate) plot: Option<(String, String)>,
}

impl Answer {
    fn new(heading: Markdown, text: impl Into<String>) -> Self {
        Self {
            heading,
            text: Markdown::trusted(text),
            table: None,
            more: None,
            plot: None,
        }
    }

    /// An answer that cannot be given, and what it would need.
    fn missing(heading: Markdown, needs: &str) -> Self {
        Self::new(heading, format!("Not answered: {needs}."))
    }

    fn with_table(self, table: Table) -> Self {
        /// Rows that a page shows of one table.
        const ROWS: usize = 40;
        let (table, left_out) = table.first_rows(ROWS);
        let more = format!(
            "{} more rows; metrics.csv holds the numbers of every variant.",
            numbers::count(left_out as u64)
        );
        Self {
            table: Some(table).filter(|table| !table.is_empty()),
            more: Some(more).filter(|_| left_out > 0),
            ..self
        }
    }
}

impl Question {
    /// The questions that entries allow, for a report that names none: sizes where files were weighed, the best against
    /// the baseline, the trend along each numeric axis of a family with three or more points, dominance.
    pub(crate) fn defaults(variants: &Variants<'_>) -> Vec<Self> {
        let mut questions = Vec::new();
        if variants.all.iter().any(|v| v.sizes.is_some() || v.model.is_some()) {
            questions.push(Self::Sizes);
        }
        let evaluated = variants.all.iter().filter(|v| v.metrics.is_some()).count();
        if let Some(baseline) = variants.baseline().filter(|b| b.metrics.is_some() && evaluated > 1) {
            questions.push(Self::Best {
                of: "*".to_owned(),
                against: baseline.name.clone(),
            });
        }
        questions.extend(trend::possible(variants));
        if settings::standings(variants).len() > 1 {
            questions.push(Self::Dominance);
        }
        if variants
            .all
            .iter()
            .any(|v| v.sizes.is_some_and(|s| !s.weights.is_empty()))
        {
            questions.push(Self::Deflation);
        }
        questions
    }

    /// The answer, from the variants alone.
    pub(crate) fn answer(&self, variants: &Variants<'_>) -> Answer {
        match self {
            Self::Sizes => sizes::answer(variants),
            Self::Against { variant, against } => against::answer(variants, variant, against),
            Self::Best { of, against } => best::answer(variants, of, against),
            Self::BestUnder(asked) => best_under::answer(variants, asked),
            Self::Trend { of, over } => trend::answer(variants, of, over),
            Self::Epochs { of, against } => epochs::answer(variants, of, against),
            Self::Dominance => dominance::answer(variants),
            Self::Deflation => deflation::answer(variants),
        }
    }
}

/// A family's name in a heading.
fn family(name: &str) -> String {
    if name == "*" {
        "all variants".to_owned()
    } else {
        code(name).to_string()
    }
}

/// `a`, `a and b`, `a, b and c`; of many the first and how many more.
fn list(items: &[String]) -> String {
    const MOST: usize = 12;
    match items {
        [first @ .., _] if first.len() >= MOST => {
            let more = format!("{} more", items.len() - MOST + 2);
            format!("{} and {more}", items[..MOST - 2].join(", "))
        }
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Names in code type, each once, in the order given.
fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen = BTreeSet::new();
    let unique: Vec<String> = names
        .into_iter()
        .filter(|name| seen.insert(*name))
        .map(|name| code(name).to_string())
        .collect();
    list(&unique)
}
