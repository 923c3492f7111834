//! What a layer bears: the scores of a network in which it alone is treated, beside those of the untreated network.

use ir::Graph;
use measure::AgreementTally;
use methods::Layer;
use methods::quantize::Granularity;
use report::SensitivityRow;

use crate::StepError;
use crate::contract::Ranges;
use crate::sampling::Samples;
use crate::sampling::treatment::Treatment;

/// How many samples a layer is probed with, unless the recipe says otherwise.
pub(crate) fn default_count() -> usize {
    128
}

/// An untreated network with its scores on some samples: what treated ones are compared with.
pub(crate) struct Probe<'a> {
    graph: &'a Graph,
    samples: &'a Samples<'a>,
    scores: Vec<Vec<f32>>,
    labels: Option<Vec<usize>>,
}

impl<'a> Probe<'a> {
    /// Runs the untreated network.
    pub(crate) fn new(graph: &'a Graph, samples: &'a Samples<'a>) -> Result<Self, StepError> {
        Ok(Probe {
            graph,
            samples,
            scores: samples.scores(graph)?,
            labels: samples.labels(),
        })
    }

    /// The share of right decisions of the untreated network, where samples have labels.
    pub(crate) fn accuracy(&self) -> Option<f64> {
        self.right(&self.scores)
    }

    fn right(&self, scores: &[Vec<f32>]) -> Option<f64> {
        let labels = self.labels.as_ref()?;
        let right = scores
            .iter()
            .zip(labels)
            .filter(|(s, label)| measure::argmax(s) == Some(**label));
        Some(right.count() as f64 / labels.len() as f64)
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    /// How much worse a model decides: accuracy lost where there are labels, otherwise the share of decisions that changed.
    pub(crate) fn drop(&self, model: &Graph) -> Result<f64, StepError> {
        let scores = self.samples.scores(model)?;
        if let (Some(before), Some(after)) = (self.accuracy(), self.right(&scores)) {
            return Ok(before - after);
        }
        let pairs = self.scores.iter().zip(&scores);
        let changed = pairs.filter(|(a, b)| measure::argmax(a) != measure::argmax(b));
        Ok(changed.count() as f64 / scores.len() as f64)
    }

    /// What a treatment of one layer does to the scores.
    pub(crate) fn row(
        &self,
        layer: &Layer,
        treatment: Treatment,
        granularity: Granularity,
        ranges: Option<&Ranges>,
    ) -> Result<SensitivityRow, StepError> {
        let treated = treatment.applied(self.graph, layer, granularity, ranges)?;
        let scores = self.samples.scores(&treated)?;
        let mut tally = AgreementTally::new();
        let (mut noise, mut energy) = (0.0, 0.0);
        for (before, after) in self.scores.iter().zip(&scores) {
            tally.add(before, after)?;
            for (b, a) in before.iter().zip(after) {
                noise += f64::from(b - a).powi(2);
                energy += f64::from(*b).powi(2);
            }
        }
        let agreement = tally.finish("untreated")?;
        Ok(SensitivityRow {
            layer: layer.name.clone(),
            treatment: treatment.to_string(),
            weights: layer.len() as u64,
            noise: noise / energy.max(f64::MIN_POSITIVE),
            snr_db: agreement.closeness.snr_db,
            cosine: agreement.closeness.cosine,
            kl: self.divergence(&scores),
            top1: agreement.top1,
            accuracy: self.right(&scores),
        })
    }

    /// The mean Kullback–Leibler divergence of the classes' probabilities; `None` where a sample has one score.
    fn divergence(&self, scores: &[Vec<f32>]) -> Option<f64> {
        let several = self.scores.iter().all(|s| s.len() > 1);
        let of = |(before, after): (&Vec<f32>, &Vec<f32>)| {
            let (p, q) = (log_softmax(before), log_softmax(after));
            p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>()
        };
        let sum: f64 = self.scores.iter().zip(scores).map(of).sum();
        several.then(|| (sum / scores.len() as f64).max(0.0))
    }
}

fn log_softmax(scores: &[f32]) -> Vec<f64> {
    let greatest = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(f64::from(s)));
    let sum: f64 = scores.iter().map(|&s| (f64::from(s) - greatest).exp()).sum();
    scores.iter().map(|&s| f64::from(s) - greatest - sum.ln()).collect()
}
