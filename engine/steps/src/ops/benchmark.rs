//! `benchmark`: how long a model takes to load and to run, and the memory it needs.
//!
//! The stages are kept apart: loading, the cold first run, warm-up, steady state. One sample is run at a time on one thread,
//! which is what latency means on a device; throughput over many threads is what `evaluate` enjoys.
//!
//! ```yaml
//! speed: { benchmark: { model: tflite, warmup: 10, runs: 100 }, resources: { exclusive: true } }
//! ```

use measure::{Benchmark as Figures, Protocol};
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use runtime::Executable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Context, Inputs, Op, Output};
use crate::ops::evaluate::KernelSet;
use crate::{StepError, models};

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
    10
}

fn default_runs() -> u32 {
    100
}

fn one() -> u32 {
    1
}

/// The op.
pub struct BenchmarkOp;

impl Op for BenchmarkOp {
    type Params = Benchmark;
    const NAME: &'static str = "benchmark";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Times loading and running a model, and reads its memory.";
    const PRODUCES: ArtifactKind = ArtifactKind::Benchmark;
    const EXAMPLE: &'static str =
        "speed: { benchmark: { model: tflite, warmup: 10, runs: 100 }, resources: { exclusive: true } }";

    fn measures_machine(_: &Benchmark) -> bool {
        true
    }

    fn run(params: &Benchmark, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let graph = models::graph_of(inputs.one("model")?)?;
        let protocol = Protocol {
            warmup: params.warmup,
            runs: params.runs,
        };
        let figures = time(&graph, protocol, params.kernels, context)?;
        let steady = &figures.timings.steady;
        context.log(&format!("median {:.3} ms, p90 {:.3} ms", steady.median, steady.p90));
        Ok(Output::document(ArtifactKind::Benchmark, Document::Benchmark(figures)))
    }
}

/// The runs that are made where nothing else is asked for.
pub(crate) fn default_protocol() -> Protocol {
    Protocol {
        warmup: default_warmup(),
        runs: default_runs(),
    }
}

/// Times a model from its stored bytes on.
pub fn time(
    graph: &ir::Graph,
    protocol: Protocol,
    kernels: KernelSet,
    context: &Context<'_>,
) -> Result<Figures, StepError> {
    let blobs = formats::store::to_blobs(graph)?;
    let load = || {
        let blob = |name| {
            blobs
                .iter()
                .find(|(n, _)| *n == name)
                .map_or(&[][..], |(_, bytes)| bytes.as_slice())
        };
        let graph = formats::store::from_blobs(blob("graph.json"), blob("weights.safetensors"))?;
        let executable = Executable::new(&graph, kernels.into())?;
        let (workspace, input) = (executable.workspace(), executable.input_buffers());
        Ok::<_, StepError>((executable, workspace, input))
    };
    let timings = measure::latency::time(
        context.clock,
        context.memory,
        protocol,
        load,
        |(executable, workspace, input)| {
            context.check_cancelled()?;
            Ok(executable.run(workspace, &input.values())?)
        },
    )?;
    Ok(Figures {
        timings,
        runtime: format!(
            "pipeline {} ({} kernels)",
            env!("CARGO_PKG_VERSION"),
            kernel_name(kernels)
        ),
        threads: 1,
        machine: context.machine.clone(),
    })
}

fn kernel_name(set: KernelSet) -> &'static str {
    match set {
        KernelSet::Fast => "fast",
        KernelSet::Reference => "reference",
    }
}
