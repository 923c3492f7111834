//! `layer_norm`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Role, Site};

/// Normalizes the features of every token, or the channels of every pixel: `weight` and `bias`, each `[in]`, as PyTorch's `LayerNorm` over
/// the last dimension.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerNorm {
    /// Added to the variance: 1e-5 in PyTorch, 1e-6 in most transformers.
    #[serde(default = "epsilon")]
    #[schemars(range(min = 0.0))]
    eps: f32,
}

fn epsilon() -> f32 {
    1e-5
}

impl Module for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const EXAMPLE: &'static str = "norm: { layer_norm: { eps: 1.0e-6 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let channels = site.channels()?;
        let axis = site.ty(site.input()).shape.rank() - 1;
        let inputs = [
            site.input(),
            site.vector("weight", channels, Role::Trained, 1.0)?,
            site.vector("bias", channels, Role::Trained, 0.0)?,
        ];
        let epsilon = self.eps;
        Ok(vec![site.add(ops::LayerNorm { axis, epsilon }, &inputs)?])
    }
}
