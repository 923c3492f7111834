//! A network in numbers, and what tells it from others.

use ir::{Graph, Op};
use measure::TensorBytes;
use report::{EffectRow, ModelSummary};
use sha2::{Digest, Sha256};

use crate::ModelError;

/// What a model consists of.
pub fn summary(graph: &Graph, effect: Vec<EffectRow>) -> ModelSummary {
    let stored = graph.tensors().iter().filter(|t| t.data.is_some());
    let stored = stored.map(|t| (t.ty.element, t.ty.shape.elements() as u64, t.ty.bytes() as u64));
    let named: Vec<_> = stored.map(|(e, n, b)| (e.to_string(), n, b)).collect();
    let unknown = graph.nodes().iter().any(|n| matches!(n.op, Op::Custom(_)));
    ModelSummary {
        parameters: graph.parameters() as u64,
        macs: (!unknown).then(|| graph.macs()),
        layers: graph.nodes().len() as u64,
        tensors: TensorBytes::summarize(named.iter().map(|(e, n, b)| (e.as_str(), *n, *b))),
        effect,
        training: None,
    }
}

/// Two hexadecimal digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("half a byte");
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// SHA-256 of a network as it is stored.
pub fn identity(graph: &Graph) -> Result<String, ModelError> {
    let mut hasher = Sha256::new();
    for (name, bytes) in formats::store::to_blobs(graph)? {
        hasher.update(format!("{name} {}\n", bytes.len()));
        hasher.update(bytes);
    }
    Ok(hex(&hasher.finalize()))
}
