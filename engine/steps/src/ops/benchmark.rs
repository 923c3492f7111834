//! `benchmark`: how long a model takes to load and to run, and the memory it needs.
//!
//! The stages are kept apart: loading, the cold first run, warm-up, steady state. One sample is run at a time on one thread,
//! which is what latency means on a device; throughput over many threads is what `evaluate` enjoys.
//!
//! ```yaml
//! speed: { benchmark: { model: tflite, warmup: 10, runs: 100 }, resources: { exclusive: true } }
//! ```

use measure::Protocol;
use models::{KernelSet, timing};
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};

/// Parameters of `benchmark`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Benchmark {
    /// A model, or the file it was exported to.
    pub model: Port<kind::ModelOrFile>,
    /// Runs after the first that are not counted.
    #[serde(default = "default_warmup")]
    pub warmup: u32,
    /// Runs that are counted.
    #[serde(default = "default_runs")]
    #[schemars(range(min = 1))]
    pub runs: u32,
    /// Threads for one sample; this runtime uses one, and parallelism over samples.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1))]
    pub threads: u32,
    /// Which kernels run it.
    #[serde(default)]
    pub kernels: KernelSet,
}

fn default_warmup() -> u32 {
    timing::PROTOCOL.warmup
}

fn default_runs() -> u32 {
    timing::PROTOCOL.runs
}

fn one() -> u32 {
    1
}

/// The op.
pub struct BenchmarkOp;

impl Op for BenchmarkOp {
    type Params = Benchmark;
    const NAME: &'static str = "benchmark";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Times loading and running a model, and reads its memory.";
    const PRODUCES: ArtifactKind = ArtifactKind::Benchmark;
    const EFFORT: u32 = 5;
    const EXAMPLE: &'static str =
        "speed: { benchmark: { model: tflite, warmup: 10, runs: 100 }, resources: { exclusive: true } }";

    fn measures_machine(_: &Benchmark) -> bool {
        true
    }

    fn foresee(_params: &Benchmark, inputs: &Outlook) -> Result<Facts, String> {
        inputs.demand_runnable(&["model"])?;
        Ok(Facts::default())
    }

    fn run(params: &Benchmark, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = inputs.one("model")?.model_or_file()?;
        let protocol = Protocol {
            warmup: params.warmup,
            runs: params.runs,
        };
        let figures = timing::time(&graph, protocol, params.kernels, context.machine, context.instruments())?;
        let steady = &figures.timings.steady;
        context.log(&format!("median {:.3} ms, p90 {:.3} ms", steady.median, steady.p90));
        Ok(Output::document(ArtifactKind::Benchmark, Document::Benchmark(figures)))
    }
}
