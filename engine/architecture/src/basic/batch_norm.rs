//! `batch_norm`.

use ir::{Constant, ops};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::yes;
use crate::builder::{Outcome, Refusal, Role, Site};

/// Batch normalization with the statistics of training: `weight`, `bias`, `running_mean` and `running_var`, each `[in]`, as PyTorch's
/// `BatchNorm2d`. Folding merges it into the convolution before it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchNorm {
    /// Added to the variance: 1e-5 in PyTorch, 1e-3 in TensorFlow.
    #[serde(default = "epsilon")]
    #[schemars(range(min = 0.0))]
    eps: f32,
    /// Whether scale and offset (`weight`, `bias`) are trained; without, they are 1 and 0.
    #[serde(default = "yes")]
    affine: bool,
}

fn epsilon() -> f32 {
    1e-5
}

impl Module for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const EXAMPLE: &'static str = "bn: { batch_norm: { eps: 0.001 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let channels = site.channels()?;
        let mut inputs = vec![site.input()];
        for (name, fill) in [("weight", 1.0), ("bias", 0.0)] {
            inputs.push(if self.affine {
                site.vector(name, channels, Role::Trained, fill)?
            } else {
                let fixed = Constant::f32([channels], vec![fill; channels]);
                site.constant(name, fixed.ok_or_else(|| Refusal::new("too many channels"))?)
            });
        }
        inputs.push(site.vector("running_mean", channels, Role::Statistic, 0.0)?);
        inputs.push(site.vector("running_var", channels, Role::Statistic, 1.0)?);
        Ok(vec![site.add(ops::BatchNorm { epsilon: self.eps }, &inputs)?])
    }
}
