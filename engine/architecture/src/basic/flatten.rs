//! `flatten`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Site};

/// All elements as features, in the framework's order: channel by channel, then row by row. Between pixels and channels that takes a
/// transpose, unless there is one pixel only; folding merges it into the linear layer after it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Flatten {}

impl Module for Flatten {
    const NAME: &'static str = "flatten";
    const EXAMPLE: &'static str = "flat: flatten";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let mut input = site.input();
        let dims = site.ty(input).shape.dims().to_vec();
        if dims.len() == 2 {
            return Ok(vec![input]);
        }
        if let &[_, h, w, c] = dims.as_slice()
            && h * w > 1
            && c > 1
        {
            let perm = vec![0, 3, 1, 2];
            input = site.part("channels_first", ops::Transpose { perm }, &[input])?;
        }
        let shape = vec![1, dims.iter().skip(1).product()];
        Ok(vec![site.add(ops::Reshape { shape }, &[input])?])
    }
}
