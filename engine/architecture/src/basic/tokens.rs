//! Between images, tokens and features: `image_to_tokens`, `take_token`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Refusal, Site, framework};

/// Every pixel of an image as a token, row by row: PyTorch's `flatten(2).transpose(1, 2)`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageToTokens {}

impl Module for ImageToTokens {
    const NAME: &'static str = "image_to_tokens";
    const EXAMPLE: &'static str = "tokens: image_to_tokens";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [h, w, c] = site.image()?;
        let input = site.input();
        let shape = vec![1, h * w, c];
        Ok(vec![site.add(ops::Reshape { shape }, &[input])?])
    }
}

/// The features of one token, such as the class token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeToken {
    /// Which token, from 0.
    #[serde(default)]
    index: usize,
}

impl Module for TakeToken {
    const NAME: &'static str = "take_token";
    const EXAMPLE: &'static str = "class: { take_token: { index: 0 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let input = site.input();
        let &[_, tokens, c] = site.ty(input).shape.dims() else {
            let got = framework(site.ty(input).shape.dims());
            return Err(Refusal::new(format!("takes tokens, gets {got}")));
        };
        if self.index >= tokens {
            return Err(Refusal::new(format!("there is no token {} among {tokens}", self.index)));
        }
        let op = ops::Slice {
            begin: vec![0, self.index, 0],
            end: vec![1, self.index + 1, c],
            stride: vec![1; 3],
        };
        let token = site.part("slice", op, &[input])?;
        Ok(vec![site.add(ops::Reshape { shape: vec![1, c] }, &[token])?])
    }
}
