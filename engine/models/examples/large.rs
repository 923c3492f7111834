//! Milliseconds for what `convert` does with networks of many nodes: each should take ten times as long for ten times the nodes.
//!
//! `cargo run --release -p models --example large`

use std::time::Instant;

use ir::ops::{Activation, Add, BatchNorm, Conv2d, Function};
use ir::{Constant, Graph, GraphError, TensorType};

/// Residual blocks of a convolution, a batch norm, a sum and a rectifier: four nodes each.
fn network(blocks: usize) -> Result<Graph, GraphError> {
    let channels = 4;
    let values = |n: usize, step: f32| (0..n).map(|i| 0.1 + step * (i % 7) as f32).collect::<Vec<_>>();
    let mut graph = Graph::new("large");
    let mut x = graph.input("x", TensorType::f32([1, 4, 4, channels]));
    for i in 0..blocks {
        let weights = Constant::f32([channels, 1, 1, channels], values(channels * channels, 0.01));
        let weights = graph.constant(
            format!("block{i}/weights"),
            weights.expect("as many values as elements"),
        );
        let conv = graph.add(format!("block{i}/conv"), Conv2d::default(), &[x, weights])?;
        let mut inputs = vec![conv];
        for part in ["gamma", "beta", "mean", "variance"] {
            let statistic = Constant::f32([channels], values(channels, 0.02)).expect("as many values as elements");
            inputs.push(graph.constant(format!("block{i}/{part}"), statistic));
        }
        let norm = graph.add(format!("block{i}/norm"), BatchNorm { epsilon: 1e-3 }, &inputs)?;
        let activation = Activation::None;
        let sum = graph.add(format!("block{i}/sum"), Add { activation }, &[norm, x])?;
        x = graph.add(format!("block{i}/relu"), Function::Relu, &[sum])?;
    }
    graph.set_outputs(&[x]);
    graph.verify()?;
    Ok(graph)
}

fn timed<T, E>(what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let start = Instant::now();
    let result = work();
    println!("  {what:<8} {:>8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for nodes in [2_000, 5_000, 20_000] {
        println!("{nodes} nodes");
        let graph = network(nodes / 4)?;
        let file = timed("write", || formats::onnx::write(&graph))?;
        let read = timed("import", || formats::onnx::read(&file))?;
        let folded = timed("fold", || models::prepared(&read))?;
        timed("plan", || {
            runtime::Executable::new(&folded, runtime::Options::default())
        })?;
        timed("tflite", || formats::tflite::write(&folded))?;
    }
    Ok(())
}
