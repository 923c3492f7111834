//! Trained tensors that are no layer's weights: `add_parameter`, `prepend_parameter`.

use ir::ops;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Refusal, Site, framework};

/// Adds a trained value to every element of each token: the positions of a transformer. The weight is called as the layer, and has shape
/// `[1, tokens, features]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddParameter {}

impl Module for AddParameter {
    const NAME: &'static str = "add_parameter";
    const EXAMPLE: &'static str = "pos_embed: add_parameter";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let input = site.input();
        let (tokens, features) = sequence(site)?;
        let weight = site.parameter("", &[1, tokens, features])?;
        // The weight has the layer's name, so that the node takes another.
        Ok(vec![site.part("add", ops::Add::default(), &[input, weight])?])
    }
}

/// Puts a trained token before the others: the class token of a transformer. The weight is called as the layer, and has shape
/// `[1, 1, features]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PrependParameter {}

impl Module for PrependParameter {
    const NAME: &'static str = "prepend_parameter";
    const EXAMPLE: &'static str = "cls_token: prepend_parameter";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let input = site.input();
        let (_, features) = sequence(site)?;
        let weight = site.parameter("", &[1, 1, features])?;
        Ok(vec![site.part("concat", ops::Concat { axis: 1 }, &[weight, input])?])
    }
}

fn sequence(site: &Site<'_, '_>) -> Result<(usize, usize), Refusal> {
    match site.ty(site.input()).shape.dims() {
        &[_, tokens, features] => Ok((tokens, features)),
        dims => {
            let refusal = Refusal::new(format!("takes tokens, gets {}", framework(dims)));
            Err(refusal.help("put an `image_to_tokens` before it"))
        }
    }
}
