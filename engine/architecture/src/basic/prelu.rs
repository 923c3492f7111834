//! `prelu`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Role, Site};

/// `x` where positive, a trained slope times `x` elsewhere. Weight `weight` `[in]`, or `[1]` for one slope, as PyTorch's `PReLU`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PRelu {
    /// Whether every channel has a slope of its own.
    #[serde(default)]
    per_channel: bool,
}

impl Module for PRelu {
    const NAME: &'static str = "prelu";
    const EXAMPLE: &'static str = "act: { prelu: { per_channel: true } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let slopes = if self.per_channel { site.channels()? } else { 1 };
        let weight = site.vector("weight", slopes, Role::Trained, 0.25)?;
        let input = site.input();
        Ok(vec![site.add(ops::PRelu {}, &[input, weight])?])
    }
}
