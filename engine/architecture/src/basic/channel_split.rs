//! `channel_split`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Site};

/// Cuts the channels into equal parts, which later layers read as `NAME.0`, `NAME.1`, ….
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelSplit {
    /// How many parts.
    #[serde(default = "two")]
    #[schemars(range(min = 1))]
    parts: usize,
}

fn two() -> usize {
    2
}

impl Module for ChannelSplit {
    const NAME: &'static str = "channel_split";
    const EXAMPLE: &'static str = "halves: { channel_split: { parts: 2 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let axis = site.ty(site.input()).shape.rank().saturating_sub(1);
        let input = site.input();
        site.add_many(
            ops::Split {
                axis,
                parts: self.parts,
            },
            &[input],
        )
    }
}
