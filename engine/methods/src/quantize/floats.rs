//! Layers that stay float among integers: which may, and which did.
//!
//! Such a layer computes between a `Dequantize` and a `Quantize`, as the quantizers of ONNX Runtime and TensorRT have it. It is never
//! left unsaid: each has a row in the proof of effect, and a line of the step's log.

use std::collections::BTreeMap;

use ir::{Graph, Op};

use super::{Effect, QuantizeError};
use crate::patterns::glob;

/// Refuses a pattern that matches no layer, and an operator that there is not. A network need not have the operator.
pub fn check(allowed: &[String], model: &Graph) -> Result<(), QuantizeError> {
    for pattern in allowed {
        let (what, name, known) = match pattern.strip_prefix("op:") {
            Some(op) => ("operator", op, Op::NAMES.iter().any(|name| glob(op, name))),
            None => (
                "layer",
                pattern.as_str(),
                model.nodes().iter().any(|n| layer(pattern, &n.name)),
            ),
        };
        if !known {
            return Err(QuantizeError::UnknownFloat {
                what,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses what did not become what was asked for, except what may stay float. Rows are named after nodes of `graph`.
pub fn accept(rows: &[Effect], graph: &Graph, allowed: &[String]) -> Result<(), QuantizeError> {
    let ops: BTreeMap<&str, &'static str> = graph.nodes().iter().map(|n| (n.name.as_str(), n.op.name())).collect();
    let may = |row: &Effect| {
        allowed.iter().any(|pattern| match pattern.strip_prefix("op:") {
            Some(op) => ops.get(row.layer.as_str()).is_some_and(|name| glob(op, name)),
            None => layer(pattern, &row.layer),
        })
    };
    let failed: Vec<Effect> = rows
        .iter()
        .filter(|row| !row.took_effect && !may(row))
        .cloned()
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(QuantizeError::NotReached(failed))
    }
}

/// Whether `pattern` describes a layer, or one that was lowered and became several: `gate/sigmoid`, `gate`, …
fn layer(pattern: &str, name: &str) -> bool {
    let whole = name.match_indices('/').map(|(end, _)| &name[..end]).chain([name]);
    whole.into_iter().any(|name| pattern == name || glob(pattern, name))
}

/// A line for each reason for which layers stayed float, with all their names.
pub fn said(rows: &[Effect]) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.took_effect) {
        let reason = row.reason.as_deref().unwrap_or("unknown reason");
        by_reason.entry(reason).or_default().push(&row.layer);
    }
    let line = |(reason, layers): (&str, Vec<&str>)| match layers.as_slice() {
        [one] => format!("warning: 1 layer stays float ({reason}): {one}"),
        all => format!(
            "warning: {} layers stay float ({reason}): {}",
            all.len(),
            all.join(", ")
        ),
    };
    by_reason.into_iter().map(line).collect()
}
