//! `report`: what the steps found, as pages to read, plots and tables.
//!
//! Of more than 40 variants it shows the baseline, the frontier and the most accurate, with axes as columns, the effect of each axis and
//! pictures of pairs of axes; all numbers stand in `metrics.csv`. An axis of repeats, such as a seed, becomes mean and standard deviation.
//!
//! The report gathers the documents of all instances of the named steps and renders them; it computes no figure of its own.
//!
//! ```yaml
//! report: { report: { compare: [quality, speed, tflite, int8], baseline: base } }
//! sweep:  { report: { compare: [quality, tflite], baseline: base, repeat: seed, questions: [{ best-under: { bytes: 60000 } }] } }
//! ```

use ::report::{Entry, Expected, Question, ReportInput, Tells};
use recipe::{ArtifactKind, Ports, kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};

/// Parameters of `report`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Report {
    /// The steps whose findings are shown, in the order in which variants appear.
    pub compare: Ports<kind::Any>,
    /// The model that the others are compared with, by its step's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The axis whose values are repeats of one thing, such as seeds: they are shown as mean and standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// Heading; the recipe's name without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The questions to answer; without any, those that the findings allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
}

/// The op.
pub struct ReportOp;

impl Op for ReportOp {
    type Params = Report;
    const NAME: &'static str = "report";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Renders what the steps found as markdown, plots and tables.";
    const PRODUCES: ArtifactKind = ArtifactKind::Report;
    const EXAMPLE: &'static str = "report: { report: { compare: [quality, speed, tflite], baseline: base } }";
    const READS_RECIPE: bool = true;

    fn foresee(params: &Report, inputs: &Outlook) -> Result<Facts, String> {
        let silent = |kind: ArtifactKind| matches!(kind, ArtifactKind::Dataset | ArtifactKind::Report);
        let shown = inputs.all("compare").iter().filter(|input| !silent(input.kind));
        let expected: Vec<Expected<'_>> = shown
            .map(|input| Expected {
                variant: &input.variant,
                coordinates: &input.coordinates,
                tells: match input.kind {
                    ArtifactKind::Metrics => Tells::Quality,
                    ArtifactKind::File => Tells::Size,
                    ArtifactKind::Sizes => Tells::Packing,
                    ArtifactKind::Benchmark => Tells::Time,
                    _ => Tells::Other,
                },
            })
            .collect();
        if expected.is_empty() {
            return Err(
                "compare: none of these steps finds anything to show; name models, files, or what judges them".into(),
            );
        }
        ::report::check_questions(
            params.baseline.as_deref(),
            params.repeat.as_deref(),
            &params.questions,
            &expected,
        )?;
        Ok(Facts::default())
    }

    fn run(params: &Report, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let mut entries = Vec::new();
        for labelled in inputs.all("compare") {
            if let Some(document) = labelled.artifact.document()? {
                entries.push(Entry {
                    variant: labelled.variant.clone(),
                    step: labelled.step.clone(),
                    coordinates: labelled.coordinates.clone(),
                    document,
                });
            }
        }
        let input = ReportInput {
            title: params.title.clone().unwrap_or_else(|| context.recipe.name.clone()),
            recipe: context.recipe.clone(),
            baseline: params.baseline.clone(),
            repeat: params.repeat.clone(),
            entries,
            questions: params.questions.clone(),
        };
        let files = ::report::render(&input)?;
        context.log(&format!("{} files about {} findings", files.len(), input.entries.len()));
        let blobs = files.into_iter().map(|f| (f.name, f.bytes)).collect();
        Ok(Output {
            kind: ArtifactKind::Report,
            blobs,
            decoded: None,
            document: None,
        })
    }
}
