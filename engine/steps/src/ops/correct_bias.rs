//! `correct-bias`: take back the mean error that quantization, pruning or clustering brought into each channel.
//!
//! Rounded weights shift the mean of a layer's output, and shifts add up from layer to layer. Layer by layer, each seeing the inputs that the corrected
//! layers before it give, the bias takes up the difference of the means between the two models on calibration samples. The whole change is kept only if it lowers
//! the error on held-out samples. Source: Nagel et al. 2019, *Data-Free Quantization*, §4.2, in its sequential, empirical form.
//!
//! ```yaml
//! corrected: { correct-bias: { model: int8, reference: base, data: train } }
//! ```

use ir::{Constant, Graph, Op as Operator, QuantParams, TensorId};
use methods::patches::Patches;
use methods::{Layer, layers};
use recipe::{ArtifactKind, Port, kind};
use report::EffectRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output, demand_floats, passed};
use crate::sampling::trial::{Trial, default_count};
use crate::sampling::{Samples, Walk, rows};

/// Parameters of `correct-bias`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CorrectBias {
    /// The model to correct: quantized, pruned or clustered.
    pub model: Port<kind::Model>,
    /// The float model that it was made from.
    pub reference: Port<kind::Model>,
    /// Samples; a quarter of them is held out. Never those it is tested on.
    pub data: Port<kind::Dataset>,
    /// How many samples are used, at most.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub count: usize,
    /// Seed of the draw.
    #[serde(default)]
    pub seed: u64,
}

/// The op.
pub struct CorrectBiasOp;

impl Op for CorrectBiasOp {
    type Params = CorrectBias;
    const NAME: &'static str = "correct-bias";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Takes back the mean error of each channel; kept only if it helps.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EFFORT: u32 = 5;
    const EXAMPLE: &'static str = "corrected: { correct-bias: { model: int8, reference: base, data: train } }";
    const TAKES_FLOATS: &'static [&'static str] = &["reference"];
    const FEEDS: &'static [(&'static str, &'static str)] = &[("model", "data"), ("reference", "data")];
    const FOLDS: bool = true;

    fn foresee(_params: &CorrectBias, inputs: &Outlook) -> Result<Facts, String> {
        demand_floats::<Self>(inputs)?;
        if let (Some(model), Some(reference)) = (inputs.one("model"), inputs.one("reference"))
            && (&model.step, &model.coordinates) == (&reference.step, &reference.coordinates)
        {
            return Err(format!(
                "reference: `{}` is the model itself, which has no error beside it; name the float model that it was made from",
                reference.step
            ));
        }
        Ok(passed::<Self>(inputs))
    }

    fn run(params: &CorrectBias, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let reference = models::prepared(inputs.one("reference")?.model()?.as_ref())?;
        let model = inputs.one("model")?.model()?;
        let quantized = model.tensors().iter().any(ir::Tensor::is_quantized);
        let model = if quantized {
            model.as_ref().clone()
        } else {
            models::prepared(&model)?
        };
        let dataset = inputs.one("data")?.dataset()?;
        let samples = Samples::draw(&dataset, params.count, params.seed, context)?;
        let (samples, held) = samples.held_out(0.25);
        let (corrected, effect) = correct(&model, &reference, &samples, context)?;
        corrected.verify()?;
        let trial = Trial {
            before: held.distance(&reference, &model)?,
            after: held.distance(&reference, &corrected)?,
        };
        trial.settle(model, corrected, effect, context)
    }
}

/// The model with corrected biases, and what was done.
fn correct(
    model: &Graph,
    reference: &Graph,
    samples: &Samples<'_>,
    context: &Context<'_>,
) -> Result<(Graph, Vec<EffectRow>), StepError> {
    let mut corrected = model.clone();
    // Weights in real numbers, for the layers' matrices.
    let floats = dequantized(model);
    let originals = layers(reference);
    let mut effect = Vec::new();
    let todo = layers(&floats);
    let mut walks = [Walk::new(samples), Walk::new(samples)];
    for (done, layer) in todo.iter().enumerate() {
        context.progress(done as u64, todo.len() as u64);
        let Some(original) = originals.iter().find(|l| l.name == layer.name && l.rows == layer.rows) else {
            continue;
        };
        let bias = model.node(layer.node).inputs.get(2).copied();
        let (Some(bias), Some(patches), Some(before)) =
            (bias, Patches::of(reference, original), Patches::of(&floats, layer))
        else {
            continue;
        };
        let wanted = mean_inputs(&mut walks[0], reference, original, &patches)?;
        let found = mean_inputs(&mut walks[1], &corrected, layer, &before)?;
        let mean = |rows: &[Vec<f64>], inputs: &[Vec<f64>], layer: &Layer, r: usize| -> f64 {
            rows[r].iter().zip(&inputs[layer.group(r)]).map(|(w, x)| w * x).sum()
        };
        let (old, new) = (rows(reference, original)?, rows(&floats, layer)?);
        let shift = |r: usize| mean(&old, &wanted, original, r) - mean(&new, &found, layer, r);
        let shifts: Vec<f64> = (0..layer.rows).map(shift).collect();
        let took_effect = add(&mut corrected, bias, &shifts);
        effect.push(EffectRow {
            layer: layer.name.clone(),
            tensor: "bias".into(),
            requested: "no mean error".into(),
            actual: format!(
                "moved by up to {:.2e}",
                shifts.iter().fold(0.0f64, |m, s| m.max(s.abs()))
            ),
            took_effect,
            reason: None,
        });
    }
    if effect.is_empty() {
        let problem = "reference: no layer of the model has its name and shape in the reference; is it the model this one was made from?";
        return Err(StepError::Params(problem.into()));
    }
    Ok((corrected, effect))
}

/// The mean of the rows of a layer's input matrix, by group.
fn mean_inputs(
    walk: &mut Walk<'_>,
    graph: &Graph,
    layer: &Layer,
    patches: &Patches,
) -> Result<Vec<Vec<f64>>, StepError> {
    let input = graph.node(layer.node).inputs[0];
    let sums = walk.each(graph, Some(layer.node), input, |_, values| patches.means(values))?;
    let mut means = vec![vec![0.0; patches.columns()]; patches.groups()];
    for sample in &sums {
        let pairs = means.iter_mut().zip(sample);
        pairs.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(t, f)| *t += f / sums.len() as f64));
    }
    Ok(means)
}

/// Adds to a bias, in floats or in steps of its scales.
fn add(graph: &mut Graph, bias: TensorId, shifts: &[f64]) -> bool {
    let tensor = graph.tensor(bias).clone();
    let new = match &tensor.data {
        Some(Constant::F32(_)) => {
            let old = tensor.data.as_ref().and_then(Constant::as_f32).unwrap_or_default();
            let new = old.iter().zip(shifts).map(|(&b, s)| (f64::from(b) + s) as f32);
            Constant::f32([shifts.len()], new.collect())
        }
        Some(Constant::I32(_)) => {
            let old = tensor.data.as_ref().and_then(Constant::as_i32).unwrap_or_default();
            let step = |i: usize| {
                tensor
                    .quantization
                    .as_ref()
                    .and_then(|q| q.channel(i))
                    .map(|p: QuantParams| p.scale)
            };
            // Twice the range that `quantize` leaves for a bias would still not overflow.
            let moved = |(i, (&b, s)): (usize, (&i32, &f64))| {
                let steps = step(i).map_or(0.0, |scale| (s / f64::from(scale.get())).round());
                (f64::from(b) + steps).clamp(-f64::from(1 << 30), f64::from(1 << 30)) as i32
            };
            Constant::i32([shifts.len()], old.iter().zip(shifts).enumerate().map(moved).collect())
        }
        _ => None,
    };
    match new {
        Some(data) => {
            graph.tensor_mut(bias).data = Some(data);
            true
        }
        None => false,
    }
}

/// The graph with the weights and biases of its layers as real numbers; nodes and ids are the same.
fn dequantized(graph: &Graph) -> Graph {
    let mut out = graph.clone();
    for node in graph.nodes() {
        let weighted = matches!(
            node.op,
            Operator::Conv2d(_) | Operator::DepthwiseConv2d(_) | Operator::FullyConnected(_)
        );
        for &id in node.inputs.iter().skip(1).filter(|_| weighted) {
            let tensor = graph.tensor(id);
            let (Some(data), Some(quantization)) = (&tensor.data, &tensor.quantization) else {
                continue;
            };
            let stored: Vec<i32> = match (data.as_i8(), data.as_i32()) {
                (Some(v), _) => v.iter().map(|&q| q.into()).collect(),
                (_, Some(v)) => v.to_vec(),
                _ => continue,
            };
            let dims = data.dims().to_vec();
            let inner: usize = quantization.axis.map_or(1, |axis| dims[axis + 1..].iter().product());
            let channels = quantization.axis.map_or(1, |axis| dims[axis]);
            let real = |(i, &q): (usize, &i32)| {
                quantization
                    .channel(i / inner % channels)
                    .map_or(0.0, |p| p.dequantize(q))
            };
            let values = stored.iter().enumerate().map(real).collect();
            out.tensor_mut(id).data = Constant::f32(dims, values);
        }
    }
    out
}
