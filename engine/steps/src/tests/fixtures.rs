//! What tests of compression steps share: a small network with a residual addition, and samples of noise for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use data::LoadedDataset;
use ir::ops::{Activation, Add, Conv2d, DepthwiseConv2d, FullyConnected, Mean, Padding, Softmax};
use ir::{Constant, Graph, Op, TensorType};
use models::inference;
use recipe::ArtifactKind;
use serde_json::Value;

use crate::StepError;
use crate::contract::artifact::in_memory;
use crate::contract::{Artifact, Context, Inputs, IntermediateResults, Labelled, Output, Ranges, Registered};

/// Convolution, depthwise and 1×1 convolution around a residual addition, mean, fully connected layer, softmax.
pub fn network() -> Graph {
    let mut g = Graph::new("small");
    let x = g.input("x", TensorType::f32([1, 6, 6, 4]));
    let mut salt = 0;
    let mut constant = |g: &mut Graph, name: &str, shape: &[usize]| {
        salt += 1;
        let value = |i: usize| (((i * 37 + salt * 11 + i * i * 5) % 101) as f32 - 50.3) / 100.0;
        let values = (0..shape.iter().product()).map(value).collect();
        g.constant(name, Constant::f32(shape, values).unwrap())
    };
    let relu = Activation::Relu;
    let (w, b) = (constant(&mut g, "a/w", &[8, 3, 3, 4]), constant(&mut g, "a/b", &[8]));
    let conv = Conv2d {
        padding: Padding::all(1),
        activation: relu,
        ..Conv2d::default()
    };
    let a = g.add("a", conv, &[x, w, b]).unwrap();
    let (w, b) = (
        constant(&mut g, "deep/w", &[1, 3, 3, 8]),
        constant(&mut g, "deep/b", &[8]),
    );
    let depthwise = DepthwiseConv2d {
        padding: Padding::all(1),
        activation: relu,
        ..DepthwiseConv2d::default()
    };
    let deep = g.add("deep", depthwise, &[a, w, b]).unwrap();
    let (w, b) = (
        constant(&mut g, "point/w", &[8, 1, 1, 8]),
        constant(&mut g, "point/b", &[8]),
    );
    let point = g.add("point", Conv2d::default(), &[deep, w, b]).unwrap();
    let sum = g.add("sum", Add { activation: relu }, &[a, point]).unwrap();
    let mean = Mean {
        axes: vec![1, 2],
        keep_dims: false,
    };
    let mean = g.add("mean", mean, &[sum]).unwrap();
    let (w, b) = (constant(&mut g, "dense/w", &[5, 8]), constant(&mut g, "dense/b", &[5]));
    let dense = g.add("dense", FullyConnected::default(), &[mean, w, b]).unwrap();
    let p = g.add("p", Softmax::default(), &[dense]).unwrap();
    g.set_outputs(&[p]);
    g.verify().unwrap();
    g
}

/// Samples of noise.
pub fn noise(count: usize) -> LoadedDataset {
    inference::noise(&network(), count).unwrap()
}

/// Runs `work` with a context that says nothing and keeps nothing, in a pool of `threads`.
pub fn with_context<R: Send>(threads: usize, work: impl FnOnce(&Context<'_>) -> R + Send) -> R {
    with_intermediates(threads, &crate::contract::NothingKept, work)
}

/// [`with_context`] with intermediate results.
pub fn with_intermediates<R: Send>(
    threads: usize,
    intermediates: &dyn IntermediateResults,
    work: impl FnOnce(&Context<'_>) -> R + Send,
) -> R {
    with_stops(threads, intermediates, &|| false, work)
}

/// [`with_intermediates`], where `cancelled` says whether to stop.
pub fn with_stops<R: Send>(
    threads: usize,
    intermediates: &dyn IntermediateResults,
    cancelled: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce(&Context<'_>) -> R + Send,
) -> R {
    with_clock(threads, intermediates, cancelled, None, work)
}

/// [`with_context`] in which programs may be run, and time passes.
pub fn with_programs<R: Send>(work: impl FnOnce(&Context<'_>) -> R + Send) -> R {
    struct Passing(std::time::Instant);
    impl measure::Clock for Passing {
        fn now(&self) -> std::time::Duration {
            self.0.elapsed()
        }
    }
    let clock = Passing(std::time::Instant::now());
    with_clock(1, &crate::contract::NothingKept, &|| false, Some(&clock), work)
}

/// [`with_stops`]; programs may be run where time passes.
fn with_clock<R: Send>(
    threads: usize,
    intermediates: &dyn IntermediateResults,
    cancelled: &(dyn Fn() -> bool + Sync),
    clock: Option<&(dyn measure::Clock + Sync)>,
    work: impl FnOnce(&Context<'_>) -> R + Send,
) -> R {
    struct Still;
    impl measure::Clock for Still {
        fn now(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
    }
    let facts = report::RecipeFacts {
        name: "test".into(),
        digest: String::new(),
        command: String::new(),
        params: Vec::new(),
        axes: Vec::new(),
        tool_version: String::new(),
    };
    let machine = measure::Machine::this();
    let context = Context {
        key: None,
        log: &|_| (),
        progress: &|_, _| (),
        cancelled,
        recipe: &facts,
        clock: clock.unwrap_or(&Still),
        memory: &measure::memory::ThisProcess,
        machine: &machine,
        intermediates,
        programs: clock.is_some(),
        shelf: &data::Memory,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| work(&context))
}

/// Runs an op on models and a dataset by port; parameters are checked first, as the engine does it.
pub fn run(
    threads: usize,
    op: &str,
    params: Value,
    models: &[(&str, &Graph)],
    samples: Option<usize>,
) -> Result<(Graph, Output), StepError> {
    let output = run_with(threads, op, params, models, samples, None)?;
    let graph = output.decoded.clone().unwrap().downcast::<Graph>().unwrap();
    Ok((graph.as_ref().clone(), output))
}

/// [`run`] of an op that need not make a model, with ranges.
pub fn run_with(
    threads: usize,
    op: &str,
    params: Value,
    models: &[(&str, &Graph)],
    samples: Option<usize>,
    ranges: Option<&Ranges>,
) -> Result<Output, StepError> {
    run_keeping(
        threads,
        &crate::contract::NothingKept,
        op,
        params,
        models,
        samples,
        ranges,
    )
}

/// [`run_with`] intermediate results.
pub fn run_keeping(
    threads: usize,
    intermediates: &dyn IntermediateResults,
    op: &str,
    params: Value,
    models: &[(&str, &Graph)],
    samples: Option<usize>,
    ranges: Option<&Ranges>,
) -> Result<Output, StepError> {
    let op: &Registered = crate::find(op).unwrap();
    let mut inputs = Inputs::default();
    let mut put = |port: &str, artifact: Artifact| {
        let labelled = Labelled {
            step: port.into(),
            variant: port.into(),
            coordinates: Vec::new(),
            artifact: Arc::new(artifact),
        };
        inputs.ports.insert(port.into(), vec![labelled]);
    };
    for (port, model) in models {
        let decoded = Arc::new((*model).clone());
        put(port, Artifact::new(ArtifactKind::Model, BTreeMap::new(), Some(decoded)));
    }
    if let Some(count) = samples {
        let decoded = Arc::new(noise(count));
        put(
            "data",
            Artifact::new(ArtifactKind::Dataset, BTreeMap::new(), Some(decoded)),
        );
    }
    if let Some(ranges) = ranges {
        let bytes = serde_json::to_vec(ranges).unwrap();
        let blobs = BTreeMap::from([("ranges.json".to_owned(), in_memory(bytes))]);
        put("ranges", Artifact::new(ArtifactKind::Ranges, blobs, None));
    }
    let ports: Vec<&str> = inputs.ports.keys().map(String::as_str).collect();
    let params = op.complete(&params, &ports).map_err(StepError::Params)?;
    with_intermediates(threads, intermediates, |context| op.run(params, &inputs, context))
}

/// Runs an op without parameters on a model and a dataset.
pub fn run_on(threads: usize, op: &str, model: &Graph, dataset: Artifact) -> Result<Output, StepError> {
    run_with_params(threads, op, serde_json::json!({}), model, dataset)
}

/// Runs an op on a model and a dataset.
pub fn run_with_params(
    threads: usize,
    op: &str,
    params: Value,
    model: &Graph,
    dataset: Artifact,
) -> Result<Output, StepError> {
    let op: &Registered = crate::find(op).unwrap();
    let mut inputs = Inputs::default();
    let model = Artifact::new(ArtifactKind::Model, BTreeMap::new(), Some(Arc::new(model.clone())));
    for (port, artifact) in [("model", model), ("data", dataset)] {
        let labelled = Labelled {
            step: port.into(),
            variant: port.into(),
            coordinates: Vec::new(),
            artifact: Arc::new(artifact),
        };
        inputs.ports.insert(port.into(), vec![labelled]);
    }
    let params = op.complete(&params, &["model", "data"]);
    let params = params.map_err(StepError::Params)?;
    with_context(threads, |context| op.run(params, &inputs, context))
}

/// The message of a step that fails.
pub fn refused(op: &str, params: Value, samples: Option<usize>) -> String {
    match run_with(1, op, params, &[("model", &network())], samples, None) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{op} accepts what it should refuse"),
    }
}

/// The prepared network.
pub fn prepared() -> Graph {
    models::prepared(&network()).unwrap()
}

/// The values of a constant, dequantized codes as they are stored.
pub fn values(graph: &Graph, name: &str) -> Vec<f32> {
    match graph.constant_data(graph.find(name).unwrap()).unwrap() {
        Constant::F32(v) => v.iter().copied().collect(),
        Constant::I8(v) => v.iter().map(|&q| f32::from(q)).collect(),
        other => panic!("{:?}", other.element()),
    }
}

/// Names of the weights of layers.
pub fn weights(graph: &Graph) -> Vec<String> {
    let weighted = |op: &Op| matches!(op, Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_));
    let nodes = graph.nodes().iter().filter(|n| weighted(&n.op));
    nodes.map(|n| graph.tensor(n.inputs[1]).name.clone()).collect()
}
