//! `channel_shuffle`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Refusal, Site};

/// Interleaves the channels of groups, so that the next grouped convolution sees all of them: channel `i` of group `g` becomes channel
/// `i · groups + g`. Source: Zhang et al. 2017, ShuffleNet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelShuffle {
    /// How many groups.
    #[schemars(range(min = 1))]
    groups: usize,
}

impl Module for ChannelShuffle {
    const NAME: &'static str = "channel_shuffle";
    const EXAMPLE: &'static str = "shuffle: { channel_shuffle: { groups: 2 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [h, w, c] = site.image()?;
        if !c.is_multiple_of(self.groups) {
            return Err(Refusal::new(format!(
                "{c} channels do not fall into {} groups",
                self.groups
            )));
        }
        let input = site.input();
        let shape = vec![1, h * w, self.groups, c / self.groups];
        let split = site.part("groups", ops::Reshape { shape }, &[input])?;
        let perm = vec![0, 1, 3, 2];
        let mixed = site.part("interleave", ops::Transpose { perm }, &[split])?;
        let shape = vec![1, h, w, c];
        Ok(vec![site.add(ops::Reshape { shape }, &[mixed])?])
    }
}
