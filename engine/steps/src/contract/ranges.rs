//! The artifact between `calibrate` and `quantize`.

use methods::quantize::TensorRanges;
use report::CalibrationSummary;
use serde::{Deserialize, Serialize};

/// What a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// How it was found, for reports.
    pub summary: CalibrationSummary,
    /// Ranges by tensor name, of the folded and lowered model.
    pub tensors: TensorRanges,
}
