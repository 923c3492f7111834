//! `identity`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use crate::builder::{Outcome, Site};

/// Its input, without a node: a name that holds a place, such as a block that a search has skipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {}

impl Module for Identity {
    const NAME: &'static str = "identity";
    const EXAMPLE: &'static str = "skip: identity";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        Ok(site.inputs.clone())
    }
}
