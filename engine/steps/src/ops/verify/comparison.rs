//! What quantization did to a model's answers, seen on the samples that it was calibrated with: how close they are to the float
//! model's, and whether they still depend on the sample.
//!
//! A tensor has 255 steps between its least and greatest value. Where some values of a sample are small beside others (columns of a
//! table in different units), they all become the same step, and a network that decides by them answers one thing always.

use data::LoadedDataset;
use ir::{Graph, Op};
use measure::{Agreement, AgreementTally};
use runtime::{Executable, Options, Outputs};

use super::{layer_pairs, real_numbers};
use crate::StepError;
use crate::contract::Context;
use crate::sampling::Feeder;

/// Samples that are compared, at most.
const SAMPLES: usize = 500;
/// Output values that are kept for each model, at most.
const VALUES: usize = 1 << 25;
/// Samples on which the place of a collapse is looked for.
const TRACED: usize = 32;

/// The answers of a quantized model beside those of the float model.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// How close they are, over all outputs.
    pub agreement: Agreement,
    /// An output that is the same for all samples, though the float model's is not.
    pub collapsed: Option<Collapse>,
}

/// An output that no longer depends on the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collapse {
    /// Its name.
    pub output: String,
    /// The first tensor that is the same for all samples, though the float model's is not.
    pub at: Option<String>,
}

/// Runs both models on the first samples of a dataset.
///
/// # Errors
/// A model that cannot be run on them.
pub fn compare(
    original: &Graph,
    quantized: &Graph,
    dataset: &LoadedDataset,
    context: &Context<'_>,
) -> Result<Comparison, StepError> {
    let outputs = original
        .outputs()
        .iter()
        .map(|&id| original.tensor(id).ty.shape.elements());
    let affordable = VALUES / outputs.sum::<usize>().max(1);
    let order: Vec<usize> = (0..dataset.data.len().min(SAMPLES).min(affordable.max(2))).collect();
    let expected = answers(original, dataset, &order, context)?;
    let found = answers(quantized, dataset, &order, context)?;
    let mut tally = AgreementTally::new();
    for (expected, found) in expected.iter().zip(&found) {
        tally.add(&expected.concat(), &found.concat())?;
    }
    let agreement = tally.finish("float")?;
    let mut collapsed = None;
    for (i, &id) in quantized.outputs().iter().enumerate() {
        let of = |answers: &[Vec<Vec<f32>>]| spread(answers.iter().map(|sample| sample[i].as_slice()));
        let (wanted, is) = (of(&expected), of(&found));
        if is.0 == 0.0 && wanted.0 > 4.0 * step(quantized, i).unwrap_or(wanted.1 / 100.0) {
            let output = quantized.tensor(id).name.clone();
            let at = place(original, quantized, dataset, &order)?;
            collapsed = Some(Collapse { output, at });
            break;
        }
    }
    Ok(Comparison { agreement, collapsed })
}

/// The real numbers of every output, sample by sample.
fn answers(
    graph: &Graph,
    dataset: &LoadedDataset,
    order: &[usize],
    context: &Context<'_>,
) -> Result<Vec<Vec<Vec<f32>>>, StepError> {
    let executable = Executable::new(graph, Options::default())?;
    let feeder = Feeder::new(&executable, dataset)?.only(order);
    let ports = executable.outputs();
    let mut answers = Vec::with_capacity(order.len());
    let read = |_, outputs: &Outputs<'_>| {
        let numbers = |i: usize| real_numbers(&ports[i], feeder.of_sample(i, outputs.get(i)));
        (0..ports.len()).map(numbers).collect()
    };
    feeder.each(context, read, |answer| {
        answers.push(answer);
        Ok(())
    })?;
    Ok(answers)
}

/// The greatest difference that a value has between samples, and the greatest magnitude.
fn spread<'v>(samples: impl Iterator<Item = &'v [f32]>) -> (f32, f32) {
    let mut ends: Vec<(f32, f32)> = Vec::new();
    for sample in samples {
        ends.resize(sample.len(), (f32::INFINITY, f32::NEG_INFINITY));
        for (ends, &v) in ends.iter_mut().zip(sample) {
            *ends = (ends.0.min(v), ends.1.max(v));
        }
    }
    let widest = ends.iter().map(|(low, high)| high - low).fold(0.0, f32::max);
    let greatest = ends
        .iter()
        .map(|(low, high)| low.abs().max(high.abs()))
        .fold(0.0, f32::max);
    (widest, greatest)
}

/// What one step of an integer output means.
fn step(graph: &Graph, output: usize) -> Option<f32> {
    let id = graph.outputs()[output];
    let stored = match graph.producer(id).map(|node| graph.node(node)) {
        Some(node) if matches!(node.op, Op::Dequantize(_)) => node.inputs[0],
        _ => id,
    };
    let quantization = graph.tensor(stored).quantization.as_ref();
    Some(quantization?.whole()?.scale.get())
}

/// The first tensor of the quantized model that is the same for all samples, though its partner is not.
fn place(
    original: &Graph,
    quantized: &Graph,
    dataset: &LoadedDataset,
    order: &[usize],
) -> Result<Option<String>, StepError> {
    let (original, quantized) = (layer_pairs::comparable(original)?, layer_pairs::comparable(quantized)?);
    let pairs = layer_pairs::pairs(&quantized, &original);
    let order = &order[..order.len().min(TRACED)];
    let (wanted, found) = (seen(&original, dataset, order)?, seen(&quantized, dataset, order)?);
    let varies = |name: &str| {
        let known = wanted.iter().find(|(known, _)| known == name);
        known.is_some_and(|(_, (widest, greatest))| *widest > greatest / 100.0)
    };
    let mut same = found.iter().filter(|(_, (widest, _))| *widest == 0.0);
    let first = same.find(|(name, _)| pairs.get(name).is_some_and(|partner| varies(partner)));
    Ok(first.map(|(name, _)| name.clone()))
}

type Seen = Vec<(String, (f32, f32))>;

/// The [`spread`] of every tensor over some samples, in graph order.
fn seen(graph: &Graph, dataset: &LoadedDataset, order: &[usize]) -> Result<Seen, StepError> {
    let options = Options {
        observable: true,
        observe_all: true,
        ..Options::default()
    };
    let executable = Executable::new(graph, options)?;
    let feeder = Feeder::new(&executable, dataset)?.only(order);
    let (mut workspace, mut input) = (executable.workspace(), executable.input_buffers());
    let mut ends: Vec<(String, Vec<Vec<f32>>)> = Vec::new();
    for i in 0..order.len() {
        feeder.feed(i, &mut input)?;
        let mut at = 0;
        executable.run_observed(&mut workspace, &input.values(), &mut |name, values| {
            if i == 0 {
                ends.push((name.to_owned(), vec![values.to_vec(); 2]));
            } else if let Some((_, ends)) = ends.get_mut(at) {
                for (low, &v) in ends[0].iter_mut().zip(values) {
                    *low = low.min(v);
                }
                for (high, &v) in ends[1].iter_mut().zip(values) {
                    *high = high.max(v);
                }
            }
            at += 1;
        })?;
    }
    let spreads = ends
        .into_iter()
        .map(|(name, ends)| (name, spread(ends.iter().map(Vec::as_slice))));
    Ok(spreads.collect())
}
