//! `concat`.

use std::ops::RangeInclusive;

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Refusal, Site};

/// What grows.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Along {
    /// Channels or features: the last dimension here, the first in PyTorch's images.
    #[default]
    Channels,
    /// Tokens of a sequence, or rows of an image.
    Tokens,
}

/// What it reads, one after another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Concat {
    /// What grows.
    #[serde(default)]
    along: Along,
}

impl Module for Concat {
    const NAME: &'static str = "concat";
    const INPUTS: RangeInclusive<usize> = 1..=usize::MAX;
    const EXAMPLE: &'static str = "cat: { concat: {}, from: [left, right] }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let rank = site.ty(site.input()).shape.rank();
        let axis = match self.along {
            Along::Channels => rank.saturating_sub(1),
            Along::Tokens => 1,
        };
        if rank < 2 {
            return Err(Refusal::new("has nothing to put one after another"));
        }
        let inputs = site.inputs.clone();
        Ok(vec![site.add(ops::Concat { axis }, &inputs)?])
    }
}
