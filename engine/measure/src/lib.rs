//! What a model is worth, as plain values: metrics of each task, agreement of two models, latency, memory, sizes.
//!
//! Every type here serializes (kebab-case keys) and has a JSON schema, so a measurement can be cached and rendered
//! later. Functions are pure; the exceptions read facts of this process and machine, or run a tool of it, and say so ([`memory`],
//! [`machine`], [`trtexec`]). Time comes from a [`Clock`] that the caller brings. Nothing here prints.
//!
//! Names follow scikit-learn; where a definition has variants (percentiles, ties, empty classes) the module states
//! which one is used.

pub mod agreement;
pub mod classification;
pub mod contents;
mod error;
mod figure;
pub mod latency;
pub mod machine;
pub mod memory;
pub mod quality;
pub mod sizes;
mod spread;
pub mod tasks;
pub mod trtexec;

pub use agreement::{Agreement, AgreementTally, Closeness, LayerAgreement};
pub use classification::{
    BinaryMetrics, Bits, ClassMetrics, ConfusionMatrix, Interval, Judgement, MeanMetrics, Metrics, Outcomes, Paired,
    Tally, argmax,
};
pub use error::MeasureError;
pub use figure::{Direction, Figure, Unit};
pub use latency::{Benchmark, Clock, Protocol, Summary, Timings};
pub use machine::Machine;
pub use memory::{MemoryGauge, MemoryUse};
pub use quality::{Curve, Part, Quality, Score, Task};
pub use sizes::{Compressor, FileSize, Sizes, TensorBytes};
pub use spread::Spread;
