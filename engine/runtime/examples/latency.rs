//! Milliseconds a sample on one thread, for two networks in all arithmetics: the median of 15 rounds.
//!
//! `cargo run --release -p runtime --example latency`

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use runtime::{Executable, Kernels, Options, RuntimeError};
use support::Kind;

fn main() -> Result<(), RuntimeError> {
    for (name, make) in [
        ("resnet8", support::resnet8 as fn(Kind) -> ir::Graph),
        ("mobilenet-0.25", support::mobilenet),
    ] {
        for kind in Kind::ALL {
            let graph = make(kind);
            let fast = milliseconds(&graph, Options::default(), 300)?;
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

fn milliseconds(graph: &ir::Graph, options: Options, runs: u32) -> Result<f64, RuntimeError> {
    let executable = Executable::new(graph, options)?;
    let (mut workspace, inputs) = (executable.workspace(), executable.input_buffers());
    let mut rounds = Vec::new();
    for _ in 0..15 {
        let start = Instant::now();
        for _ in 0..runs {
            executable.run(&mut workspace, &inputs.values())?;
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e3 / f64::from(runs));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}
