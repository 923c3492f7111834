//! `linear`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::yes;
use crate::builder::{Outcome, Refusal, Role, Site, framework};

/// Fully connected layer over features or over each token. Weights `weight` `[out, in]` and `bias` `[out]`, as PyTorch's `Linear`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Linear {
    /// Output features.
    #[schemars(range(min = 1))]
    out: usize,
    /// Whether a trained value is added to every output feature.
    #[serde(default = "yes")]
    bias: bool,
}

impl Module for Linear {
    const NAME: &'static str = "linear";
    const EXAMPLE: &'static str = "head: { linear: { out: 1000 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let dims = site.ty(site.input()).shape.dims();
        if dims.len() == 4 {
            let problem = format!("takes features or tokens, gets an image {}", framework(dims));
            return Err(Refusal::new(problem).help("put a `flatten` before it, or use `conv2d` with a kernel of 1"));
        }
        let channels = site.channels()?;
        let mut inputs = vec![site.input(), site.weight("weight", &[self.out, channels], &[0, 1])?];
        if self.bias {
            inputs.push(site.vector("bias", self.out, Role::Trained, 0.0)?);
        }
        Ok(vec![site.add(ops::FullyConnected::default(), &inputs)?])
    }
}
