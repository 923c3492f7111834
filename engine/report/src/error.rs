//! Why a report cannot be rendered.

/// A report that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is nothing to report.
    #[error("report: no entries; `compare` must name at least one step that measures")]
    Empty,
    /// The baseline names no variant.
    #[error("report: baseline `{baseline}` is none of the variants {known}")]
    UnknownBaseline {
        /// The name given.
        baseline: String,
        /// The names there are, comma-separated.
        known: String,
    },
    /// A template of this crate does not render.
    #[error("report: template: {0:#}")]
    Template(#[from] minijinja::Error),
    /// A plot could not be drawn as pixels.
    #[error("report: plot {plot}: {reason}")]
    Plot {
        /// File name of the plot.
        plot: String,
        /// What the renderer said.
        reason: String,
    },
    /// The record could not be written as JSON.
    #[error("report: record.json: {0}")]
    Record(#[from] serde_json::Error),
}
