//! `zero_pad`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::Pad;
use crate::builder::{Outcome, Refusal, Site};

/// Zeros around an image, as PyTorch's `ZeroPad2d`. Folding merges them into the convolution after it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ZeroPad {
    /// How many.
    padding: Pad,
}

impl Module for ZeroPad {
    const NAME: &'static str = "zero_pad";
    const EXAMPLE: &'static str = "pad: { zero_pad: { padding: [0, 1, 0, 1] } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        site.image()?;
        if matches!(self.padding, Pad::Named(_)) {
            let refusal = Refusal::new("cannot be told from a window that it has not");
            return Err(refusal.help("give the padding to the convolution, or write numbers"));
        }
        let padding = self.padding.resolve([0, 0], [1, 1], [1, 1], [1, 1]);
        let op = ops::Pad {
            before: vec![0, padding.top, padding.left, 0],
            after: vec![0, padding.bottom, padding.right, 0],
            mode: ops::PadMode::Zero,
        };
        let input = site.input();
        Ok(vec![site.add(op, &[input])?])
    }
}
