//! `dot_attention`.

use std::ops::RangeInclusive;

use ir::{Constant, TensorId, ops};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Refusal, Site, framework};

/// Attention of queries over keys and values, which it reads in this order: `softmax(q · kᵀ / √d) · v` in each of several heads.
/// Source: Vaswani et al. 2017; PyTorch's `scaled_dot_product_attention` between the reshapes of a transformer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DotAttention {
    /// Into how many parts the features fall.
    #[schemars(range(min = 1))]
    heads: usize,
}

impl Module for DotAttention {
    const NAME: &'static str = "dot_attention";
    const INPUTS: RangeInclusive<usize> = 3..=3;
    const EXAMPLE: &'static str = "attend: { dot_attention: { heads: 3 }, from: [qkv.0, qkv.1, qkv.2] }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let &[_, tokens, features] = site.ty(site.input()).shape.dims() else {
            let got = framework(site.ty(site.input()).shape.dims());
            return Err(Refusal::new(format!("takes tokens, gets {got}")));
        };
        if !features.is_multiple_of(self.heads) {
            return Err(Refusal::new(format!(
                "{features} features do not fall into {} heads",
                self.heads
            )));
        }
        let width = features / self.heads;
        let inputs = site.inputs.clone();
        // Heads before tokens: [1, heads, tokens, width].
        let split = |site: &mut Site<'_, '_>, part: &str, id: TensorId| {
            let tokens = site.ty(id).shape.dims().get(1).copied().unwrap_or_default();
            let shape = vec![1, tokens, self.heads, width];
            let heads = site.part(&format!("{part}_heads"), ops::Reshape { shape }, &[id])?;
            let perm = vec![0, 2, 1, 3];
            site.part(part, ops::Transpose { perm }, &[heads])
        };
        let (q, k, v) = (
            split(site, "q", inputs[0])?,
            split(site, "k", inputs[1])?,
            split(site, "v", inputs[2])?,
        );
        let scale = Constant::f32([1], vec![(width as f32).sqrt().recip()]);
        let scale = scale.ok_or_else(|| Refusal::new("has no scale"))?;
        let scale = site.constant("scale", scale);
        let q = site.part("scaled", ops::Mul::default(), &[q, scale])?;
        let by_key = ops::MatMul {
            adjoint_b: true,
            ..ops::MatMul::default()
        };
        let scores = site.part("scores", by_key, &[q, k])?;
        let weights = site.part("weights", ops::Softmax { beta: 1.0 }, &[scores])?;
        let heads = site.part("heads", ops::MatMul::default(), &[weights, v])?;
        let perm = vec![0, 2, 1, 3];
        let joined = site.part("tokens", ops::Transpose { perm }, &[heads])?;
        let shape = vec![1, tokens, features];
        Ok(vec![site.add(ops::Reshape { shape }, &[joined])?])
    }
}
