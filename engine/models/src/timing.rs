//! How long a network takes to load and to run, one sample at a time on one thread.

use ir::Graph;
use measure::{Benchmark, Clock, Machine, MemoryGauge, Protocol};
use runtime::Executable;

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

fn kernel_name(set: KernelSet) -> &'static str {
    match set {
        KernelSet::Fast => "fast",
        KernelSet::Reference => "reference",
    }
}
