//! How long a network takes to load and to run, one sample at a time on one thread.

use std::time::Duration;

use ir::Graph;
use measure::{Benchmark, Clock, Machine, MemoryGauge, Protocol};
use runtime::{Executable, Spent};
use serde::Serialize;

use crate::{KernelSet, ModelError};

/// The runs that are made where nothing else is asked for.
pub const PROTOCOL: Protocol = Protocol { warmup: 10, runs: 100 };

/// What measures, and whether to go on.
#[derive(Clone, Copy)]
pub struct Instruments<'a> {
    /// Time.
    pub clock: &'a (dyn Clock + Sync),
    /// Memory of this process.
    pub memory: &'a (dyn MemoryGauge + Sync),
    /// Whether the user has asked to stop.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Times a model from its stored bytes on.
pub fn time(
    graph: &Graph,
    protocol: Protocol,
    kernels: KernelSet,
    machine: &Machine,
    instruments: Instruments<'_>,
) -> Result<Benchmark, ModelError> {
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
        Ok::<_, ModelError>((executable, workspace, input))
    };
    let timings = measure::latency::time(
        instruments.clock,
        instruments.memory,
        protocol,
        load,
        |(executable, workspace, input)| {
            if (instruments.cancelled)() {
                return Err(ModelError::Cancelled);
            }
            Ok(executable.run(workspace, &input.values())?)
        },
    )?;
    Ok(Benchmark {
        timings,
        runtime: format!(
            "pipeline {} ({} kernels)",
            env!("CARGO_PKG_VERSION"),
            kernel_name(kernels)
        ),
        threads: 1,
        machine: machine.clone(),
    })
}

/// What one operator takes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Operator {
    /// Name of the node.
    pub node: String,
    /// Its operator.
    pub op: &'static str,
    /// The kernel, or what became of it.
    pub kernel: String,
    /// Milliseconds in the median, those of conversions included.
    pub ms: f64,
    /// What of them is spent on bringing its inputs into another form.
    pub conversion_ms: f64,
    /// Part of the time of all operators.
    pub share: f64,
    /// Multiply-adds.
    pub macs: u64,
    /// Billions of operations a second, two for each multiply-add.
    pub gops: Option<f64>,
}

/// Times a model's operators, in the order of its nodes.
pub fn operators(
    graph: &Graph,
    protocol: Protocol,
    kernels: KernelSet,
    clock: &dyn Clock,
) -> Result<Vec<Operator>, ModelError> {
    let executable = Executable::new(graph, kernels.into())?;
    let inputs = executable.input_buffers();
    let spent = runtime::profile(&executable, &inputs, [protocol.warmup, protocol.runs], &|| clock.now())?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let total: f64 = spent.iter().map(|node| ms(node.kernels + node.conversions)).sum();
    let operator = |Spent {
                        row,
                        kernels,
                        conversions,
                    }: Spent| {
        let all = ms(kernels + conversions);
        Operator {
            node: row.node,
            op: row.op,
            kernel: row.kernel,
            ms: all,
            conversion_ms: ms(conversions),
            share: if total > 0.0 { all / total } else { 0.0 },
            macs: row.macs,
            gops: (row.macs > 0 && kernels > Duration::ZERO).then(|| 2e-6 * row.macs as f64 / ms(kernels)),
        }
    };
    Ok(spent.into_iter().map(operator).collect())
}

fn kernel_name(set: KernelSet) -> &'static str {
    match set {
        KernelSet::Fast => "fast",
        KernelSet::Reference => "reference",
    }
}
