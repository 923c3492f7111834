//! `cluster`: let the weights of a layer share a few values.
//!
//! A layer with 16 different values holds 4 bits of information a weight; deflate finds the repetitions. k-means chooses the values;
//! with calibration samples (`method: hessian`) weights are assigned so that the layer's output stays, not each weight, and the values are solved
//! for. The model is folded first, so that what is clustered is what is stored. Weights that are zero stay zero, and zero counts as one value.
//!
//! ```yaml
//! clustered: { cluster: { model: base, clusters: 16, init: kmeans++, per: channel, seed: 7 } }
//! ```

use std::collections::BTreeSet;

use ir::Graph;
use methods::cluster::{self, Books, Init, Settings, Solved};
use methods::{Layer, layers, patterns};
use ndarray::Array2;
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, demand_floats, passed};
use crate::sampling::{LayerProblems, Samples, default_count, default_damping, set_rows};

/// Where k-means starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Evenly from the least to the greatest weight.
    Linear,
    /// At even quantiles of the weights.
    Density,
    /// At weights drawn at random.
    Random,
    /// At weights drawn far from each other; the best of eight draws.
    #[default]
    #[serde(rename = "kmeans++")]
    KmeansPlusPlus,
}

/// What shares a codebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The whole layer.
    #[default]
    Tensor,
    /// Each output channel has its own.
    Channel,
    /// Each output channel has the layer's, times a scale of its own: as fine as `channel` where channels differ in size, and
    /// 8-bit quantization gives all channels the same few integers.
    Scaled,
}

/// How weights are assigned to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Each to the nearest.
    #[default]
    Nearest,
    /// So that the layer's output on calibration samples stays. Needs `data`.
    Hessian,
}

/// Parameters of `cluster`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cluster {
    /// The float model to cluster; it is folded first.
    pub model: Port<kind::Model>,
    /// Samples for `hessian`. Never those it is tested on.
    pub data: Option<Port<kind::Dataset>>,
    /// How many different values.
    #[schemars(range(min = 2, max = 256))]
    pub clusters: usize,
    /// How weights are assigned to values.
    #[serde(default)]
    pub method: Method,
    /// Where k-means starts.
    #[serde(default)]
    pub init: Start,
    /// What shares the values.
    #[serde(default)]
    pub per: Per,
    /// Only these layers: names with `*` and `?`, or `op:` and an operator. All, if empty.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Not these layers, as in `layers`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// `hessian`: how many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// `hessian`: share of the Hessian's diagonal that is added to it; more keeps weights closer to what they were.
    #[serde(default = "default_damping")]
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub damping: f64,
    /// Seed of random starts, and of the draw of samples.
    #[serde(default)]
    pub seed: u64,
}

impl Cluster {
    fn settings(&self) -> Settings {
        Settings {
            clusters: self.clusters,
            init: match self.init {
                Start::Linear => Init::Linear,
                Start::Density => Init::Density,
                Start::Random => Init::Random,
                Start::KmeansPlusPlus => Init::KmeansPlusPlus,
            },
            per: match self.per {
                Per::Tensor => cluster::Per::Tensor,
                Per::Channel => cluster::Per::Channel,
                Per::Scaled => cluster::Per::Scaled,
            },
            seed: self.seed,
        }
    }

    fn by_outputs(
        &self,
        graph: &mut Graph,
        chosen: &[&Layer],
        samples: &Samples<'_>,
        context: &Context<'_>,
    ) -> Result<(), StepError> {
        let original = graph.clone();
        let mut layer_problems = LayerProblems::new(samples, &original, self.damping);
        for (done, layer) in chosen.iter().enumerate() {
            context.progress(done as u64, chosen.len() as u64);
            let posed = layer_problems.of(graph, layer, done == 0)?;
            let posed = posed.ok_or_else(|| {
                StepError::Params(format!(
                    "layer `{}`: a transposed convolution has no Hessian; exclude it, or use method nearest",
                    layer.name
                ))
            })?;
            let importance =
                |(row, column): (usize, usize)| posed.problems[layer.group(row)].hessian()[[column, column]];
            let importance = Array2::from_shape_fn((layer.rows, layer.columns), importance);
            let mut books = Books::find(&layer.matrix(graph)?, Some(&importance), self.settings())?;
            let solved = Solved {
                problems: &posed.problems,
                group: &|row| layer.group(row),
                rows: &posed.rows,
                targets: &posed.targets,
                columns: layer.columns,
            };
            let rows = cluster::refined(&solved, &mut books, self.settings().per)?;
            set_rows(graph, layer, &rows);
        }
        Ok(())
    }

    fn effect(&self, graph: &Graph, layer: &Layer, chosen: bool, before: f64) -> Result<EffectRow, StepError> {
        let matrix = layer.matrix(graph)?;
        let whole = distinct(matrix.iter().copied());
        let most = matrix
            .rows()
            .into_iter()
            .map(|row| distinct(row.iter().copied()))
            .max()
            .unwrap_or(0);
        let (found, unit) = match self.per {
            Per::Tensor => (whole, ""),
            Per::Channel | Per::Scaled => (most, " a channel"),
        };
        let sparsity = layer.sparsity(graph);
        Ok(EffectRow {
            layer: layer.name.clone(),
            tensor: "weights".into(),
            requested: if chosen {
                format!("≤ {} values{unit}", self.clusters)
            } else {
                "as it was".into()
            },
            actual: format!("{found} values{unit}"),
            took_effect: !chosen || (found <= self.clusters && sparsity >= before),
            reason: Some(format!(
                "{whole} in the layer of {} weights, {:.1} % zeros (before {:.1} %)",
                layer.len(),
                100.0 * sparsity,
                100.0 * before
            )),
        })
    }
}

/// How many different values there are.
pub(crate) fn distinct(values: impl Iterator<Item = f32>) -> usize {
    // Both zeros are one value.
    values.map(|v| (v + 0.0).to_bits()).collect::<BTreeSet<_>>().len()
}

/// The op.
pub struct ClusterOp;

impl Op for ClusterOp {
    type Params = Cluster;
    const NAME: &'static str = "cluster";
    const REVISION: u32 = 3;
    const SUMMARY: &'static str = "Lets the weights of a layer share a few values.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 10;
    const EXAMPLE: &'static str = "clustered: { cluster: { model: base, clusters: 16, init: kmeans++, per: channel } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];
    const FOLDS: bool = true;

    fn check(params: &Cluster, ports: &[&str]) -> Result<(), String> {
        match (params.method, ports.contains(&"data")) {
            (Method::Hessian, false) => Err("method hessian needs `data`: name a dataset step".into()),
            (Method::Nearest, true) => Err("only method hessian looks at `data`: remove it, or the method".into()),
            _ => params.settings().check().map_err(|e| e.to_string()),
        }
    }

    fn idle(params: &Cluster, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        match params.method {
            Method::Nearest => vec![("count", "method hessian"), ("damping", "method hessian")],
            Method::Hessian => Vec::new(),
        }
    }

    fn foresee(params: &Cluster, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        let facts = passed::<Self>(inputs);
        if let Some(network) = &facts.network {
            network.choose(&params.layers, &params.exclude)?;
        }
        Ok(facts)
    }

    fn run(params: &Cluster, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let mut graph = models::prepared(inputs.one("model")?.model()?.as_ref())?;
        let layers = layers(&graph);
        let chosen = patterns::selected(&params.layers, &params.exclude, &layers, &graph)?;
        let before: Vec<f64> = layers.iter().map(|l| l.sparsity(&graph)).collect();
        let todo: Vec<&Layer> = layers
            .iter()
            .zip(&chosen)
            .filter(|(_, c)| **c)
            .map(|(l, _)| l)
            .collect();
        match params.method {
            Method::Nearest => {
                for layer in &todo {
                    let weights = layer.matrix(&graph)?;
                    let books = Books::find(&weights, None, params.settings())?;
                    layer.set_matrix(&mut graph, &books.apply(&weights));
                }
            }
            Method::Hessian => {
                let dataset = inputs.one("data")?.dataset()?;
                let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
                params.by_outputs(&mut graph, &todo, &samples, context)?;
            }
        }
        graph.verify()?;
        let rows = layers.iter().zip(&chosen).zip(&before);
        let rows = rows.map(|((layer, &chosen), &before)| params.effect(&graph, layer, chosen, before));
        let effect = rows.collect::<Result<Vec<_>, _>>()?;
        if let Some(row) = effect.iter().find(|row| !row.took_effect) {
            return Err(StepError::NoEffect(format!(
                "layer `{}`: asked for {}, has {}; this is a bug, please report it",
                row.layer, row.requested, row.actual
            )));
        }
        context.log(&format!(
            "{} of {} layers have at most {} values",
            todo.len(),
            layers.len(),
            params.clusters
        ));
        Output::model(graph, effect)
    }
}
