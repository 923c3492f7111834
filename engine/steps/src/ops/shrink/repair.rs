//! Least squares: the layers that read fewer channels are moved so that their outputs come near what they were.

use ir::Graph;
use report::EffectRow;

use methods::shrink::{input_units, output_units};
use methods::{Layer, Restriction, Thin};
use ndarray::Array2;
use rayon::prelude::*;

use super::Job;
use crate::StepError;
use crate::contract::Context;
use crate::sampling::trial::Trial;
use crate::sampling::{LayerProblem, LayerProblems, Samples, Shown, rows, set_rows};

impl Job<'_> {
    /// The small network with moved weights, if the error on held-out samples falls; what happened beside it.
    ///
    /// The layers are visited in order, each with its inputs as they are after those before it. The network keeps its shape meanwhile, with zeros
    /// for what is gone, and is cut once more at the end. Source: He et al. 2017, *Channel Pruning for Accelerating Very Deep Neural Networks*, §3.1.
    pub(super) fn repaired(
        &self,
        small: &Graph,
        gone: &[bool],
        samples: &Samples<'_>,
        held: &Samples<'_>,
        context: &Context<'_>,
    ) -> Result<(Graph, EffectRow), StepError> {
        let mut moved = self.graph.clone();
        let mut layer_problems = LayerProblems::new(samples, self.graph, self.params.damping);
        let layers = methods::layers(self.graph);
        let stays = |unit: &Option<methods::shrink::Unit>| unit.is_none_or(|u| !gone[u.index()]);
        let (mut repaired, mut first) = (0, true);
        for (done, layer) in layers.iter().enumerate() {
            context.progress(done as u64, layers.len() as u64);
            let made: Vec<bool> = output_units(self.graph, &self.channels, layer)
                .iter()
                .map(stays)
                .collect();
            let keep: Vec<bool> = input_units(self.graph, &self.channels, layer)
                .iter()
                .map(stays)
                .collect();
            let mut values = rows(&moved, layer)?;
            if keep.contains(&false) {
                let repaired_now = if layer_problems.is_thin(&moved, layer) {
                    let shown = layer_problems.show(&moved, layer, first)?;
                    shown
                        .map(|shown| self.solved_in_samples(&mut values, &made, keep, shown))
                        .transpose()?
                } else {
                    let posed = layer_problems.of(&moved, layer, first)?;
                    posed
                        .map(|posed| least_squares(&mut values, &made, keep, &posed, layer))
                        .transpose()?
                };
                repaired += usize::from(repaired_now.is_some());
            }
            let lost = values.iter_mut().zip(&made).filter(|(_, made)| !**made);
            lost.for_each(|(row, _)| row.fill(0.0));
            first &= made.iter().all(|&m| m);
            set_rows(&mut moved, layer, &values);
        }
        let moved = self.channels.without(&moved, gone)?;
        let trial = Trial {
            before: held.distance(self.graph, small)?,
            after: held.distance(self.graph, &moved)?,
        };
        let mut row = [EffectRow {
            layer: "all".into(),
            tensor: "weights".into(),
            requested: "moved by least squares".into(),
            actual: format!("{repaired} layers"),
            took_effect: true,
            reason: None,
        }];
        let better = trial.better(small.clone(), moved, &mut row, context);
        let [row] = row;
        Ok((better, row))
    }

    /// Moves the rows of a layer with more inputs than samples. The bias, where there is one, takes part.
    fn solved_in_samples(
        &self,
        values: &mut [Vec<f64>],
        made: &[bool],
        mut keep: Vec<bool>,
        shown: Shown,
    ) -> Result<(), StepError> {
        let Shown { now, then } = shown;
        let columns = now.ncols();
        keep.resize(columns, true);
        let places: Vec<usize> = (0..values.len()).filter(|&r| made[r]).collect();
        let rows = Array2::from_shape_fn((places.len(), columns), |(r, c)| values[places[r]][c]);
        let wanted = methods::outputs(then.as_ref().unwrap_or(&now).view(), rows.view());
        drop(then);
        let best = Thin::new(now, self.params.damping).best(rows.view(), wanted.view(), &keep)?;
        let pairs = places.into_iter().zip(best.rows());
        pairs.for_each(|(place, row)| values[place] = row.to_vec());
        Ok(())
    }
}

/// Moves the rows of a layer by its posed problems. The bias, where there is one, takes part.
fn least_squares(
    values: &mut [Vec<f64>],
    made: &[bool],
    mut keep: Vec<bool>,
    posed: &LayerProblem,
    layer: &Layer,
) -> Result<(), StepError> {
    keep.resize(posed.problems[0].columns(), true);
    let restrictions = posed.problems.iter().map(|problem| problem.restriction(&keep));
    let restrictions: Vec<Restriction<'_>> = restrictions.collect::<Result<_, _>>()?;
    let rows = values.par_iter_mut().enumerate().filter(|(r, _)| made[*r]);
    rows.for_each(|(r, row)| *row = restrictions[layer.group(r)].best(&posed.targets[r]));
    Ok(())
}
