//! `global_avg_pool`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::yes;
use crate::builder::{Outcome, Site};

/// The mean of every channel over all pixels: an image of one pixel, as PyTorch's `AdaptiveAvgPool2d(1)`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GlobalAvgPool {
    /// Whether the result stays an image; features otherwise.
    #[serde(default = "yes")]
    keep: bool,
}

impl Module for GlobalAvgPool {
    const NAME: &'static str = "global_avg_pool";
    const EXAMPLE: &'static str = "pool: global_avg_pool";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        site.image()?;
        let op = ops::Mean {
            axes: vec![1, 2],
            keep_dims: self.keep,
        };
        let input = site.input();
        Ok(vec![site.add(op, &[input])?])
    }
}
