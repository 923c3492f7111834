//! `prune`: set the weights that matter least to zero.
//!
//! Zeros deflate to almost nothing, and hardware for sparse matrices skips them. Magnitude pruning takes the smallest weights; second-order
//! pruning asks calibration samples what each removal would do to the layer's output, removes what hurts least, and moves the remaining
//! weights to make up for it, those of later layers too (the model is folded first). Zeros stay zeros through folding, clustering and quantization.
//!
//! ```yaml
//! pruned: { prune: { model: base, data: train, method: second-order, sparsity: 0.5, exclude: ["op:fully_connected"] } }
//! ```

use ir::Graph;
use methods::prune::{Pattern, Sparsity, magnitudes, noise, obs, select as keep, select_together};
use methods::{Layer, MethodError, layers, patterns};
use ndarray::Array2;
use rayon::prelude::*;
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::StepError;
use crate::contract::parameters::{Override, Scope};
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, demand_floats};
use crate::sampling::{LayerProblem, LayerProblems, Samples, default_count, default_damping, set_rows};

/// Raised whenever the same problem would give other costs of removals.
const COSTS_REVISION: u32 = 1;

/// How weights are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The least magnitudes go.
    #[default]
    Magnitude,
    /// Those go whose removal changes the layer's output least, and the others make up for it (Optimal Brain Surgeon,
    /// layer by layer from calibration samples; SparseGPT where a layer is too wide for that). Needs `data`.
    SecondOrder,
    /// Chosen at random: what a method has to beat.
    Random,
}

/// Parameters of `prune`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Prune {
    /// The float model to prune; `second-order` folds it first.
    pub model: Port<kind::Model>,
    /// Samples for `second-order`. Never those it is tested on.
    pub data: Option<Port<kind::Dataset>>,
    /// How weights are chosen.
    #[serde(default)]
    pub method: Method,
    /// The share of weights that become zero. Excludes `pattern`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sparsity: Option<f64>,
    /// What shares the sparsity.
    #[serde(default)]
    pub scope: Scope,
    /// `2:4`: of each 4 neighbours along the input channels 2 stay. Excludes `sparsity` and `block`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Weights that go or stay together, neighbours along the input channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 64))]
    pub block: Option<usize>,
    /// Only these layers: names with `*` and `?`, or `op:` and an operator. All, if empty.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Not these layers, as in `layers`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Other sparsities for some layers; the last that matches counts.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// `second-order`: how many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// `second-order`: share of the Hessian's diagonal that is added to it; more keeps weights closer to what they were.
    #[serde(default = "default_damping")]
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub damping: f64,
    /// `second-order`: layers that are not pruned make up for what was taken before them. Their weights move, none becomes zero.
    #[serde(default = "default_adjust_others")]
    pub adjust_others: bool,
    /// Seed of the draw of samples, and of `random`.
    #[serde(default)]
    pub seed: u64,
}

fn default_adjust_others() -> bool {
    true
}

impl Prune {
    fn pattern(&self) -> Result<Pattern, MethodError> {
        match (&self.pattern, self.block) {
            (Some(text), _) => {
                let (n, m) = n_of_m(text).unwrap_or((0, 0));
                Pattern::n_of_m(n, m)
            }
            (None, Some(size)) => Pattern::block(size),
            (None, None) => Ok(Pattern::Free),
        }
    }
}

/// The numbers of a pattern like `2:4`.
fn n_of_m(text: &str) -> Option<(usize, usize)> {
    let (n, m) = text.split_once(':')?;
    Some((n.parse().ok()?, m.parse().ok()?))
}

/// A model to prune, with what was asked of each layer.
struct Job<'a> {
    params: &'a Prune,
    pattern: Pattern,
    layers: Vec<Layer>,
    /// The sparsity of each layer; `None` where it stays as it is.
    wanted: Vec<Option<Sparsity>>,
}

impl<'a> Job<'a> {
    fn new(params: &'a Prune, graph: &Graph) -> Result<Self, StepError> {
        let layers = layers(graph);
        let chosen = patterns::selected(&params.layers, &params.exclude, &layers, graph)?;
        let sparsity = Sparsity::new(params.sparsity.unwrap_or(0.0))?;
        let mut wanted: Vec<Option<Sparsity>> = chosen.iter().map(|&c| c.then_some(sparsity)).collect();
        for change in &params.overrides {
            let sparsity = Sparsity::new(change.sparsity)?;
            let hits = patterns::matching("overrides.layers", &change.layers, &layers, graph)?;
            let hit = wanted.iter_mut().zip(hits).filter(|(_, hit)| *hit);
            hit.for_each(|(w, _)| *w = Some(sparsity));
        }
        Ok(Job {
            params,
            pattern: params.pattern()?,
            layers,
            wanted,
        })
    }

    fn by_score(&self, graph: &mut Graph) -> Result<(), StepError> {
        let mut matrices = Vec::new();
        for (i, (layer, wanted)) in self.layers.iter().zip(&self.wanted).enumerate() {
            if let Some(sparsity) = *wanted {
                let weights = layer.matrix(graph)?;
                let scores = match self.params.method {
                    Method::Random => noise(&weights, self.params.seed, i as u64),
                    Method::Magnitude | Method::SecondOrder => magnitudes(&weights),
                };
                matrices.push((layer, weights, scores, sparsity));
            }
        }
        let keeps: Vec<Array2<bool>> = match self.params.scope {
            Scope::Layer => matrices
                .iter()
                .map(|(layer, _, scores, sparsity)| keep(scores, layer.run, self.pattern, *sparsity))
                .collect(),
            Scope::Global => {
                let all: Vec<_> = matrices
                    .iter()
                    .map(|(layer, _, scores, _)| (scores, layer.run))
                    .collect();
                let sparsity = Sparsity::new(self.params.sparsity.unwrap_or(0.0))?;
                select_together(&all, self.pattern, sparsity)
            }
        };
        for ((layer, mut weights, ..), keep) in matrices.into_iter().zip(keeps) {
            weights.zip_mut_with(&keep, |w, &k| *w = if k { *w } else { 0.0 });
            layer.set_matrix(graph, &weights);
        }
        Ok(())
    }

    fn second_order(&self, graph: &mut Graph, samples: &Samples<'_>, context: &Context<'_>) -> Result<(), StepError> {
        let original = graph.clone();
        let wanted = match self.params.scope {
            Scope::Layer => self.wanted.clone(),
            Scope::Global => self.allotted(&original, samples, context)?,
        };
        let mut layer_problems = LayerProblems::new(samples, &original, self.params.damping);
        let todo = wanted.iter().flatten().count() as u64;
        let mut done = 0;
        for (layer, sparsity) in self.layers.iter().zip(wanted) {
            let Some(sparsity) = sparsity else {
                if self.params.adjust_others
                    && done > 0
                    && let Some(posed) = layer_problems.of(graph, layer, false)?
                {
                    set_rows(graph, layer, &adjusted(layer, &posed)?);
                }
                continue;
            };
            context.progress(done, todo);
            let work = format!("{}, {} × {} weights", layer.name, layer.rows, layer.columns);
            let posed = context.timed(&format!("{work}, Hessian of {} samples", samples.len()), || {
                layer_problems.of(graph, layer, done == 0)
            })?;
            let posed = posed.ok_or_else(|| no_hessian(layer))?;
            let gone: Vec<Vec<bool>> = gone(&posed.rows, layer.columns);
            let rows = obs::Rows {
                problems: &posed.problems,
                group: &|row| layer.group(row),
                targets: &posed.targets,
                gone: &gone,
                columns: layer.columns,
                run: layer.run,
            };
            let how = if rows.is_wide() {
                "pruned window by window"
            } else {
                "pruned"
            };
            let pruned = context.timed(&format!("{work}, {how}"), || rows.prune(self.pattern, sparsity))?;
            set_rows(graph, layer, &pruned);
            done += 1;
        }
        Ok(())
    }

    /// The share of each layer under one sparsity for all: weights go in the order of what they cost, as a share of their layer's output.
    fn allotted(
        &self,
        original: &Graph,
        samples: &Samples<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<Option<Sparsity>>, StepError> {
        let mut layer_problems = LayerProblems::new(samples, original, self.params.damping);
        let mut costs = Vec::new();
        let mut total = 0;
        for (layer, wanted) in self.layers.iter().zip(&self.wanted) {
            if wanted.is_none() {
                continue;
            }
            let more = json!({ "damping": self.params.damping, "pattern": format!("{:?}", self.pattern) });
            let key = layer_problems.key("removal-costs", COSTS_REVISION, layer, more)?;
            let work = format!("{}, {} × {} weights", layer.name, layer.rows, layer.columns);
            let removals = context.timed(&format!("{work}, what each removal costs"), || {
                context.remembered(&key, &work, || self.costs(&mut layer_problems, original, layer))
            })?;
            total += self.units(layer);
            costs.push(obs::Trace {
                removals: removals.into_iter().enumerate().collect(),
            });
        }
        let goal = Sparsity::new(self.params.sparsity.unwrap_or(0.0))?.of(total);
        let (taken, _) = obs::merge(&costs, goal);
        let mut shares = taken
            .iter()
            .zip(&costs)
            .map(|(&n, c)| n as f64 / c.removals.len() as f64);
        let share = |wanted: &Option<Sparsity>| {
            wanted
                .map(|_| Sparsity::new(shares.next().unwrap_or(0.0).min(0.99)))
                .transpose()
        };
        Ok(self.wanted.iter().map(share).collect::<Result<_, _>>()?)
    }

    /// What removals of a layer's weights cost in order, as shares of its output's energy.
    fn costs(
        &self,
        layer_problems: &mut LayerProblems<'_>,
        original: &Graph,
        layer: &Layer,
    ) -> Result<Vec<f64>, StepError> {
        let posed = layer_problems.of(original, layer, true)?;
        let posed = posed.ok_or_else(|| no_hessian(layer))?;
        let rows = obs::Rows {
            problems: &posed.problems,
            group: &|row| layer.group(row),
            targets: &posed.targets,
            gone: &gone(&posed.rows, layer.columns),
            columns: layer.columns,
            run: layer.run,
        };
        let silence = |(r, row): (usize, &Vec<f64>)| {
            let mut nothing = vec![0.0; row.len()];
            nothing[layer.columns..].copy_from_slice(&row[layer.columns..]);
            posed.problems[layer.group(r)].error(&nothing, row)
        };
        let energies: Vec<f64> = posed.targets.par_iter().enumerate().map(silence).collect();
        let energy: f64 = energies.iter().sum();
        let (_, order) = obs::merge(&rows.traces(self.pattern), self.units(layer));
        let share = |cost: f64| cost / energy.max(f64::MIN_POSITIVE);
        Ok(order.into_iter().map(share).collect())
    }

    /// What can go or stay alone in a layer.
    fn units(&self, layer: &Layer) -> usize {
        self.pattern.units(layer.columns, layer.run).len() * layer.rows
    }

    /// What was asked of each layer beside what it has become.
    fn effect(&self, graph: &Graph) -> Result<Vec<EffectRow>, StepError> {
        let mut rows = Vec::new();
        let (mut zeros, mut all) = (0.0, 0.0);
        for (layer, wanted) in self.layers.iter().zip(&self.wanted) {
            let sparsity = layer.sparsity(graph);
            let (requested, took_effect) = match (wanted, self.pattern, self.params.scope) {
                (None, ..) => ("not pruned".to_owned(), true),
                (Some(_), pattern @ Pattern::NofM { keep, of }, _) => {
                    let matrix = layer.matrix(graph)?;
                    let holds = pattern
                        .quotas(layer.columns, layer.run)
                        .into_iter()
                        .all(|(range, stay)| {
                            let kept =
                                |row: ndarray::ArrayView1<'_, f32>| range.clone().filter(|&c| row[c] != 0.0).count();
                            matrix.rows().into_iter().all(|row| kept(row) <= stay)
                        });
                    (format!("{keep} of {of} kept"), holds)
                }
                (Some(_), _, Scope::Global) => ("a share of the whole".to_owned(), true),
                (Some(goal), _, Scope::Layer) => {
                    let units = self.units(layer);
                    // The last block of a run may be shorter than the others.
                    let slack = self.params.block.map_or(0.0, |_| 0.5);
                    let least = goal.of(units) as f64 / units as f64 * (1.0 - slack);
                    (percent(goal.get()), sparsity + 1e-9 >= least)
                }
            };
            if wanted.is_some() {
                zeros += sparsity * layer.len() as f64;
                all += layer.len() as f64;
            }
            rows.push(EffectRow {
                layer: layer.name.clone(),
                tensor: "weights".into(),
                requested,
                actual: percent(sparsity),
                took_effect,
                reason: Some(format!("{} of {} weights left", count(graph, layer), layer.len())),
            });
        }
        if let (Scope::Global, Some(sparsity)) = (self.params.scope, self.params.sparsity) {
            rows.push(EffectRow {
                layer: "all".into(),
                tensor: "weights".into(),
                requested: percent(sparsity),
                actual: percent(zeros / all),
                took_effect: zeros / all + 0.01 >= sparsity,
                reason: None,
            });
        }
        Ok(rows)
    }
}

fn count(graph: &Graph, layer: &Layer) -> usize {
    layer.len() - (layer.sparsity(graph) * layer.len() as f64).round() as usize
}

/// The rows of a layer that make up for what has changed before it; zeros stay.
fn adjusted(layer: &Layer, posed: &LayerProblem) -> Result<Vec<Vec<f64>>, MethodError> {
    let one = |(r, target): (usize, &Vec<f64>)| {
        let row = &posed.rows[r];
        if row[..layer.columns].iter().all(|&w| w != 0.0) {
            return Ok(target.clone());
        }
        let keep: Vec<bool> = (0..row.len()).map(|c| c >= layer.columns || row[c] != 0.0).collect();
        posed.problems[layer.group(r)].restricted(target, &keep)
    };
    posed.targets.par_iter().enumerate().map(one).collect()
}

fn gone(rows: &[Vec<f64>], columns: usize) -> Vec<Vec<bool>> {
    rows.iter()
        .map(|row| row[..columns].iter().map(|&w| w == 0.0).collect())
        .collect()
}

fn no_hessian(layer: &Layer) -> StepError {
    StepError::Params(format!(
        "layer `{}`: a transposed convolution has no second-order form; exclude it, or use magnitudes",
        layer.name
    ))
}

fn percent(share: f64) -> String {
    format!("{:.1} % zeros", 100.0 * share)
}

/// The op.
pub struct PruneOp;

impl Op for PruneOp {
    type Params = Prune;
    const NAME: &'static str = "prune";
    const REVISION: u32 = 4;
    const SUMMARY: &'static str = "Sets the weights that matter least to zero.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 10;
    const EXAMPLE: &'static str = "pruned: { prune: { model: base, method: magnitude, sparsity: 0.5 } }";
    const TAKES_FLOATS: &'static [&'static str] = &["model"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data")];

    fn check(params: &Prune, ports: &[&str]) -> Result<(), String> {
        let data = ports.contains(&"data");
        match (params.method, data) {
            (Method::SecondOrder, false) => return Err("method second-order needs `data`: name a dataset step".into()),
            (Method::Magnitude | Method::Random, true) => {
                return Err("only method second-order looks at `data`: remove it, or the method".into());
            }
            _ => {}
        }
        match (params.sparsity, &params.pattern, params.block, params.scope) {
            (None, None, ..) => return Err("say how much to prune: sparsity, or a pattern like 2:4".into()),
            (Some(_), Some(_), ..) => return Err("a pattern says itself how much is pruned: remove sparsity".into()),
            (_, Some(_), Some(_), _) => return Err("pattern and block exclude each other: keep one".into()),
            (_, Some(_), _, Scope::Global) => return Err("a pattern holds in every layer: remove scope".into()),
            _ => {}
        }
        match params.pattern.as_deref().map(|text| (text, n_of_m(text))) {
            Some((text, None)) => {
                return Err(format!(
                    "pattern: `{text}` is not N:M; write 2:4 to keep 2 of each 4 neighbours"
                ));
            }
            Some((_, Some((n, m)))) if n == 0 || n >= m => {
                return Err(format!(
                    "pattern: {n}:{m} would keep {n} of each {m} neighbours; keep at least 1, and fewer than there are, as 2:4 does"
                ));
            }
            _ => {}
        }
        if params.pattern.is_some() && !params.overrides.is_empty() {
            return Err("a pattern has no sparsity to override: use exclude".into());
        }
        if params.scope == Scope::Global && !params.overrides.is_empty() {
            return Err("scope global divides the sparsity itself: use exclude instead of overrides".into());
        }
        let shares = params
            .sparsity
            .into_iter()
            .chain(params.overrides.iter().map(|o| o.sparsity));
        for share in shares {
            Sparsity::new(share).map_err(|e| e.to_string())?;
        }
        if params.overrides.iter().any(|change| change.layers.is_empty()) {
            return Err("overrides: one names no layers; list some, or remove it".into());
        }
        params.pattern().map(|_| ()).map_err(|e| e.to_string())
    }

    fn idle(params: &Prune, _ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        match params.method {
            Method::Magnitude | Method::Random => ["count", "damping", "adjust-others"]
                .map(|key| (key, "method second-order"))
                .to_vec(),
            Method::SecondOrder => Vec::new(),
        }
    }

    fn foresee(params: &Prune, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        let facts = inputs.facts("model");
        let folds = params.method == Method::SecondOrder;
        let network = inputs.network("model", folds);
        if let Some(network) = &network {
            network.choose(&params.layers, &params.exclude)?;
            for change in &params.overrides {
                network.demand_layers("overrides.layers", &change.layers)?;
            }
        }
        Ok(Facts {
            folded: facts.folded || folds,
            network,
            ..facts
        })
    }

    fn run(params: &Prune, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        // Folding scales each channel by its batch norm: magnitudes are compared before that.
        let mut graph = match params.method {
            Method::SecondOrder => models::prepared(&model)?,
            Method::Magnitude | Method::Random => model.as_ref().clone(),
        };
        let job = Job::new(params, &graph)?;
        match params.method {
            Method::Magnitude | Method::Random => job.by_score(&mut graph)?,
            Method::SecondOrder => {
                let dataset = inputs.one("data")?.dataset()?;
                let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
                job.second_order(&mut graph, &samples, context)?;
            }
        }
        graph.verify()?;
        let effect = job.effect(&graph)?;
        if let Some(row) = effect.iter().find(|row| !row.took_effect) {
            return Err(StepError::NoEffect(format!(
                "layer `{}`: asked for {}, has {}; this is a bug, please report it",
                row.layer, row.requested, row.actual
            )));
        }
        let (zeros, all) = job.layers.iter().fold((0, 0), |(zeros, all), layer| {
            (zeros + layer.len() - count(&graph, layer), all + layer.len())
        });
        context.log(&format!(
            "{zeros} of {all} weights are zero ({:.1} %)",
            100.0 * zeros as f64 / all as f64
        ));
        Output::model(graph, effect)
    }
}
