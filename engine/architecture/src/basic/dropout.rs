//! `dropout`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Site};

/// Passes its input on: elements are dropped in training alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dropout {
    /// The share of elements dropped in training.
    #[serde(default = "half")]
    #[schemars(range(min = 0.0, max = 1.0))]
    rate: f32,
}

fn half() -> f32 {
    0.5
}

impl Module for Dropout {
    const NAME: &'static str = "dropout";
    const EXAMPLE: &'static str = "drop: { dropout: { rate: 0.2 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let input = site.input();
        Ok(vec![site.add(ops::Dropout { rate: self.rate }, &[input])?])
    }
}
