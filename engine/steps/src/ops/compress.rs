//! `compress`: how large a file is when packed.
//!
//! Zeros and repeated values are what deflate finds; the percentage says how much a pruned or clustered file gains where
//! it is shipped compressed. Level and implementation stand beside every size, and what explains it: zeros, different values and entropy
//! of each weight tensor.
//!
//! ```yaml
//! zipped: { compress: { file: { each: [tflite] } } }
//! ```

use std::collections::BTreeSet;

use ir::{Constant, Graph, Op as Operator};
use measure::Sizes;
use measure::contents::Contents;
use recipe::{ArtifactKind, Port, kind};
use report::Document;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StepError;
use crate::contract::{Context, DOCUMENT, Inputs, Op, Output};

/// Parameters of `compress`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compress {
    /// The exported file to pack.
    pub file: Port<kind::File>,
}

/// What the weights of convolutions and fully connected layers hold.
fn weights(graph: &Graph) -> Vec<Contents> {
    let weighted = |op: &Operator| {
        matches!(
            op,
            Operator::Conv2d(_)
                | Operator::DepthwiseConv2d(_)
                | Operator::TransposeConv2d(_)
                | Operator::FullyConnected(_)
        )
    };
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for node in graph.nodes().iter().filter(|n| weighted(&n.op)) {
        // Half-precision weights are widened by a node before the layer.
        let widened = graph.producer(node.inputs[1]).map(|id| graph.node(id).inputs[0]);
        let tensor = graph.tensor(widened.unwrap_or(node.inputs[1]));
        let name = &tensor.name;
        match &tensor.data {
            Some(data) if seen.insert(name.clone()) => {
                let contents = match data {
                    // Both zeros are one value.
                    Constant::F32(v) => Contents::of(name, 32, v.iter().map(|v| (v + 0.0).to_bits()), 0),
                    Constant::F16(v) => Contents::of(name, 16, v.iter().map(|v| (v.to_f32() + 0.0).to_bits()), 0),
                    Constant::I8(v) => Contents::of(name, 8, v.iter().map(|&v| u32::from(v as u8)), 0),
                    _ => continue,
                };
                all.push(Contents {
                    sparse_bytes: Some(formats::tflite::compressed_bytes(data) as u64),
                    ..contents
                });
            }
            _ => {}
        }
    }
    all
}

/// The op.
pub struct CompressOp;

impl Op for CompressOp {
    type Params = Compress;
    const NAME: &'static str = "compress";
    const REVISION: u32 = 4;
    const SUMMARY: &'static str = "Packs an exported file and reports its sizes.";
    const PRODUCES: ArtifactKind = ArtifactKind::Sizes;
    const EXAMPLE: &'static str = "zipped: { compress: { file: tflite } }";

    fn run(_params: &Compress, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        let file = inputs.one("file")?;
        let mut contents = Vec::new();
        for name in file.names().filter(|n| *n != DOCUMENT && !n.ends_with(models::BESIDE)) {
            contents.push((name, file.blob(name)?));
        }
        let mut sizes = Sizes::of(contents.iter().map(|(name, bytes)| (*name, bytes.as_slice())))?;
        let runs = |name: &str| [".tflite", ".onnx"].iter().any(|ending| name.ends_with(ending));
        if file.names().any(runs) {
            sizes.weights = weights(file.exported_model()?.as_ref());
        }
        context.log(&format!(
            "{} bytes deflate by {:.1} %",
            sizes.bytes(),
            sizes.deflation_percent()
        ));
        Ok(Output::document(ArtifactKind::Sizes, Document::Sizes(sizes)))
    }
}
