//! `fold`: merge batch norms, zero padding and clamps into their neighbours, drop what inference does not need.
//!
//! The network computes the same with fewer nodes. Steps that need a folded model fold it themselves; as a step of its own
//! it makes the folded float model a variant to compare with.
//!
//! ```yaml
//! fp32: { fold: { model: base } }
//! ```

use recipe::{ArtifactKind, Port, kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, Facts, Inputs, Op, Outlook, Output};

/// Parameters of `fold`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fold {
    /// The model to fold.
    pub model: Port<kind::Model>,
}

/// The op.
pub struct FoldOp;

impl Op for FoldOp {
    type Params = Fold;
    const NAME: &'static str = "fold";
    const REVISION: u32 = 2;
    const SUMMARY: &'static str = "Merges batch norms, padding and clamps into their neighbours.";
    const PRODUCES: ArtifactKind = ArtifactKind::Model;
    const EXAMPLE: &'static str = "fp32: { fold: { model: base } }";

    fn foresee(_params: &Fold, inputs: &Outlook) -> Result<Facts, String> {
        Ok(Facts {
            folded: true,
            network: inputs.network("model", true),
            ..inputs.facts("model")
        })
    }

    fn run(_params: &Fold, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let model = inputs.one("model")?.model()?;
        let folded = models::prepared(&model)?;
        context.log(&format!(
            "{} nodes became {}",
            model.nodes().len(),
            folded.nodes().len()
        ));
        Output::model(folded, Vec::new())
    }
}
