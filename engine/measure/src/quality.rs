//! What a model is worth at a task that is not told by right and wrong decisions alone: named numbers with their intervals, the same for each
//! class or output, and curves. One form for all tasks, so that gates, tables and pages know any of them; the files of [`tasks`](crate::tasks)
//! say what the numbers are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Direction, Figure, Interval, Unit};

/// What a model is for, and so what it is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One class for each sample: accuracy, precision, sensitivity, F1.
    Classification,
    /// Any number of classes for each sample: F-beta, average precision, ROC-AUC.
    Multilabel,
    /// Numbers: MAE, RMSE, R².
    Regression,
    /// How unusual a sample is: ROC-AUC, partial AUC, average precision.
    Anomaly,
    /// A class for each pixel: IoU, Dice.
    Segmentation,
    /// Boxes around objects: COCO's mean average precision.
    Detection,
    /// Points of a body: PCK, normalized mean error.
    Keypoints,
    /// Embeddings, in which samples of one class are near each other: recall at k, ROC-AUC of pairs.
    Similarity,
}

impl Task {
    /// The name used in recipes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Multilabel => "multilabel",
            Self::Regression => "regression",
            Self::Anomaly => "anomaly",
            Self::Segmentation => "segmentation",
            Self::Detection => "detection",
            Self::Keypoints => "keypoints",
            Self::Similarity => "similarity",
        }
    }
}

/// A number with the interval that it lies in, where there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Score {
    /// The number.
    #[serde(flatten)]
    pub figure: Figure,
    /// Its 95 % interval, in its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

impl Score {
    /// A share of one that is better the higher it is.
    pub fn share(name: &str, value: f64, interval: Option<Interval>) -> Self {
        let figure = Figure::new(name, value, Unit::Ratio, Direction::Higher);
        Self { figure, interval }
    }

    /// A number in the scale of the targets that is better the lower it is.
    pub fn error(name: &str, value: f64, interval: Option<Interval>) -> Self {
        let figure = Figure::new(name, value, Unit::Plain, Direction::Lower);
        Self { figure, interval }
    }
}

/// The numbers of one class or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its numbers; what is not defined for it is left out.
    pub figures: Vec<Figure>,
}

/// A line to draw: points in the order of `x`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Curve {
    /// What it is called: `ROC`.
    pub name: String,
    /// What `x` counts.
    pub x: String,
    /// What `y` counts.
    pub y: String,
    /// The points, both 0..1.
    pub points: Vec<[f64; 2]>,
}

impl Curve {
    /// Points that a drawing shows; more of them would lie on each other.
    const POINTS: usize = 256;

    /// A curve of at most a few hundred of the points, the ends among them.
    pub(crate) fn of(name: &str, [x, y]: [&str; 2], all: &[[f64; 2]]) -> Self {
        let most = Self::POINTS.min(all.len());
        let points = (0..most).map(|i| all[i * (all.len() - 1) / (most - 1).max(1)]);
        Self {
            name: name.to_owned(),
            x: x.to_owned(),
            y: y.to_owned(),
            points: points.collect(),
        }
    }
}

/// What a model is worth at a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Quality {
    /// The task; absent where a user's own program judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Samples evaluated; 0 where a judgement of the user's own does not say.
    pub samples: u64,
    /// The arithmetic that computed the outputs: `float32`, `int8, as LiteRT BUILTIN_REF`; empty where it is not known.
    pub arithmetic: String,
    /// The numbers, the most important first.
    pub scores: Vec<Score>,
    /// What `parts` are: `class`, `output`, `keypoint`.
    pub per: String,
    /// The numbers of each class or output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Curves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// How the numbers are defined where there is more than one way, and what is doubtful about them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Quality {
    /// Names of all numbers that there may be, of any task: those of [`Quality::figures`] and of [`Quality::figure_of_part`] with `*` for the part.
    pub const FIGURES: &[&str] = &[
        "mae",
        "mae-low",
        "mae-high",
        "rmse",
        "rmse-low",
        "rmse-high",
        "r2",
        "r2-low",
        "r2-high",
        "roc-auc",
        "roc-auc-low",
        "roc-auc-high",
        "partial-auc",
        "partial-auc-low",
        "partial-auc-high",
        "average-precision",
        "average-precision-low",
        "average-precision-high",
        "micro-average-precision",
        "f-beta",
        "f-beta-low",
        "f-beta-high",
        "threshold",
        "micro-precision",
        "micro-sensitivity",
        "micro-f-beta",
        "hamming-loss",
        "mean-iou",
        "mean-iou-low",
        "mean-iou-high",
        "dice",
        "dice-low",
        "dice-high",
        "pixel-accuracy",
        "pixel-accuracy-low",
        "pixel-accuracy-high",
        "map",
        "map-low",
        "map-high",
        "map50",
        "map75",
        "map-small",
        "map-medium",
        "map-large",
        "mar-1",
        "mar-10",
        "mar-100",
        "pck",
        "pck-low",
        "pck-high",
        "mean-pck",
        "mean-pck-low",
        "mean-pck-high",
        "nme",
        "nme-low",
        "nme-high",
        "recall-at-1",
        "recall-at-1-low",
        "recall-at-1-high",
        "recall-at-5",
        "recall-at-5-low",
        "recall-at-5-high",
        "recall-at-10",
        "recall-at-10-low",
        "recall-at-10-high",
        "per-class.*.f-beta",
        "per-class.*.average-precision",
        "per-class.*.roc-auc",
        "per-class.*.iou",
        "per-class.*.dice",
        "per-class.*.ap",
        "per-class.*.ap50",
        "per-output.*.mae",
        "per-output.*.rmse",
        "per-output.*.r2",
        "per-keypoint.*.pck",
        "per-keypoint.*.nme",
    ];

    /// The named numbers, each with `-low` and `-high` behind it where it has an interval, and `samples`.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for Score { figure, interval } in &self.scores {
            figures.push(figure.clone());
            let ends = interval.map(|Interval { low, high }| [("low", low), ("high", high)]);
            figures.extend(ends.into_iter().flatten().map(|(end, value)| {
                let name = format!("{}-{end}", figure.name);
                Figure::new(name, value, figure.unit, figure.direction)
            }));
        }
        if self.samples > 0 {
            figures.push(Figure::new(
                "samples",
                self.samples as f64,
                Unit::Count,
                Direction::Neutral,
            ));
        }
        figures
    }

    /// The beginning of the names of what the parts have: `per-class.`.
    pub fn prefix(&self) -> String {
        format!("per-{}.", self.per)
    }

    /// A number of one part: `per-class.road.iou`.
    pub fn figure_of_part(&self, name: &str) -> Option<Figure> {
        let (part, number) = name.strip_prefix(self.prefix().as_str())?.rsplit_once('.')?;
        let part = self.parts.iter().find(|known| known.name == part)?;
        let figure = part.figures.iter().find(|figure| figure.name == number)?;
        Some(Figure {
            name: name.to_owned(),
            ..figure.clone()
        })
    }
}
