//! `compress`: how large a file is when packed.
//!
//! Zeros and repeated values are what deflate finds; the percentage says how much a pruned or clustered file gains where
//! it is shipped compressed. Level and implementation stand beside every size.
//!
//! ```yaml
//! zipped: { compress: { file: { each: [tflite] } } }
//! ```

use measure::Sizes;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::artifact::DOCUMENT;
use crate::op::{Context, Inputs, Op, Output};

/// Parameters of `compress`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compress {
    /// The exported file to pack.
    pub file: Port<kind::File>,
}

/// The op.
pub struct CompressOp;

impl Op for CompressOp {
    type Params = Compress;
    const NAME: &'static str = "compress";
    const REVISION: u32 = 1;
    const SUMMARY: &'static str = "Packs an exported file and reports its sizes.";
    const PRODUCES: ArtifactKind = ArtifactKind::Sizes;
    const EXAMPLE: &'static str = "zipped: { compress: { file: tflite } }";

    fn run(_params: &Compress, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let file = inputs.one("file")?;
        let mut contents = Vec::new();
        for name in file.names().filter(|n| *n != DOCUMENT) {
            contents.push((name, file.blob(name)?));
        }
        let sizes = Sizes::of(contents.iter().map(|(name, bytes)| (*name, bytes.as_slice())))?;
        context.log(&format!(
            "{} bytes deflate by {:.1} %",
            sizes.bytes(),
            sizes.deflation_percent()
        ));
        Ok(Output::document(ArtifactKind::Sizes, Document::Sizes(sizes)))
    }
}
