//! Milliseconds a sample on one thread, for two networks in all arithmetics: the fastest of several rounds,
//! which other programs on the machine disturb least.
//!
//! `cargo run --release -p runtime --example latency`

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use runtime::{Executable, Kernels, Options, RuntimeError};
use support::Kind;

/// Runs that are timed together.
const RUNS: u32 = 5;

fn main() -> Result<(), RuntimeError> {
    for (name, make) in [
        ("resnet8", support::resnet8 as fn(Kind) -> ir::Graph),
        ("mobilenet-0.25", support::mobilenet),
    ] {
        for kind in Kind::ALL {
            let graph = make(kind);
            let fast = milliseconds(&graph, Options::default(), 400)?;
            let reference = milliseconds(
                &graph,
                Options {
                    kernels: Kernels::Reference,
                    ..Options::default()
                },
                1,
            )?;
            let arena = Executable::new(&graph, Options::default())?.memory().arena;
            println!(
                "{name} {kind:?}: fast {fast:.4} ms, reference {reference:.2} ms, arena {} KiB",
                arena / 1024
            );
        }
    }
    Ok(())
}

fn milliseconds(graph: &ir::Graph, options: Options, rounds: u32) -> Result<f64, RuntimeError> {
    let executable = Executable::new(graph, options)?;
    let (mut workspace, inputs) = (executable.workspace(), executable.input_buffers());
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..RUNS {
            executable.run(&mut workspace, &inputs.values())?;
        }
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3 / f64::from(RUNS));
    }
    Ok(fastest)
}
