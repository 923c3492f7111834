//! Integers for weights that samples have a say in: each layer is rounded so that its output stays ([`methods::reconstruct`]), knowing what the
//! layers before it have become.

use ir::{Constant, Graph};
use methods::Layer;
use methods::quantize::{self, Effect, Grid, Plan, Scheme, Settings, TensorRanges, WeightType, Width};
use methods::reconstruct::{Rounding, Row};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::sampling::{LayerProblem, LayerProblems, Samples, set_rows};

/// How weights are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingMethod {
    /// Each to the nearest integer.
    #[default]
    Nearest,
    /// So that the layer's output on calibration samples stays. Needs `data`.
    Gptq,
}

/// Quantizes a prepared model by a plan; weights are rounded by reconstruction where there are samples, with a share of the Hessian's diagonal
/// added to it.
pub fn quantized(
    prepared: Graph,
    ranges: Option<&TensorRanges>,
    settings: &Settings,
    mut plan: Plan,
    samples: Option<(&Samples<'_>, f64)>,
) -> Result<(Graph, Vec<Effect>), StepError> {
    let mut prepared = models::laid_out(prepared)?;
    if let Some((samples, damping)) = samples {
        reconstruct(&mut prepared, ranges, settings, &mut plan, samples, damping)?;
    }
    Ok(quantize::quantize(&prepared, ranges, settings, &plan)?)
}

/// Rounds the weights of `graph` and settles their grids.
fn reconstruct(
    graph: &mut Graph,
    ranges: Option<&TensorRanges>,
    settings: &Settings,
    plan: &mut Plan,
    samples: &Samples<'_>,
    damping: f64,
) -> Result<(), StepError> {
    let width = Width::of(settings.scheme);
    let scales = ranges.map(|r| quantize::scales(graph, r, width)).transpose()?;
    // A lower bound on the scale of a channel, with which its bias does not overflow.
    let floor = |graph: &Graph, layer: &Layer, row: usize| {
        let input = graph.node(layer.node).inputs[0];
        let step = scales.as_ref().and_then(|s| s.get(&graph.tensor(input).name));
        match (step, layer.bias(graph)) {
            (Some(&step), Some(bias)) => width.least_scale(bias[row], step),
            _ => 0.0,
        }
    };
    let small = |layer: &Layer| settings.scheme == Scheme::DynamicInt8 && layer.len() < settings.min_elements;
    let original = graph.clone();
    let layers = methods::layers(graph);
    let mut layer_problems = LayerProblems::new(samples, &original, damping);
    let mut same = true;
    for (done, layer) in layers.iter().enumerate() {
        samples.context().progress(done as u64, layers.len() as u64);
        let kind = plan.kind(&layer.name);
        if kind == WeightType::Float || small(layer) {
            continue;
        }
        let Some(posed) = layer_problems.of(graph, layer, same)? else {
            continue;
        };
        let Some(Constant::F32(values)) = graph.constant_data(layer.weights) else {
            continue;
        };
        let op = &graph.node(layer.node).op;
        let mut grid = Grid::widest(op, values.view(), settings.granularity, kind, |i| {
            floor(graph, layer, i)
        });
        if kind == WeightType::Int4 {
            grid.narrow(layer, &posed.problems, &posed.targets, |i| floor(graph, layer, i));
        }
        set_rows(graph, layer, &rounded(layer, &posed, &grid)?);
        plan.grids.insert(layer.name.clone(), grid);
        same = false;
    }
    Ok(())
}

fn rounded(layer: &Layer, posed: &LayerProblem, grid: &Grid) -> Result<Vec<Vec<f64>>, StepError> {
    let roundings: Vec<Rounding<'_>> = posed.problems.iter().map(Rounding::new).collect::<Result<_, _>>()?;
    let one = |r: usize| {
        let keep: Vec<bool> = posed.rows[r].iter().map(|&w| w != 0.0).collect();
        let row = Row {
            original: &posed.rows[r],
            target: &posed.targets[r],
            keep: &keep,
            columns: layer.columns,
        };
        roundings[layer.group(r)].round(row, &grid.codes(r))
    };
    Ok((0..layer.rows).into_par_iter().map(one).collect())
}

/// What became of a request, for reports.
pub fn row(effect: Effect) -> report::EffectRow {
    let Effect {
        layer,
        tensor,
        requested,
        actual,
        took_effect,
        reason,
    } = effect;
    report::EffectRow {
        layer,
        tensor: tensor.to_owned(),
        requested,
        actual,
        took_effect,
        reason,
    }
}
