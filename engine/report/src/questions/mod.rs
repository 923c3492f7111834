//! The questions that a report answers, each by a pure function over the entries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question about the variants. Names are those of variants, or of the step that makes a family of them (`int8` for
/// `int8-0.01`, `int8-0.8`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// How does accuracy move along an axis, does it always rise, and where does it stop rising?
    #[serde(rename_all = "kebab-case")]
    Trend {
        /// The family.
        of: String,
        /// The axis, or `calibration-samples`.
        over: String,
    },
    /// Which variants are smaller or more accurate than all others, and which are beaten in both?
    Dominance,
}
