//! The verifier: what must hold for every graph, checked after each patch and each import.

use std::collections::HashSet;

use crate::{Graph, GraphError, Tensor, TensorType};

impl Graph {
    /// Checks names, order, types, constants and quantization; the first violation is returned.
    pub fn verify(&self) -> Result<(), GraphError> {
        self.verify_names()?;
        for tensor in &self.tensors {
            verify_constant(tensor)?;
            verify_quantization(tensor)?;
        }
        self.verify_order()?;
        for node in &self.nodes {
            let types: Vec<&TensorType> = node.inputs.iter().map(|&i| &self.tensor(i).ty).collect();
            let inferred = node.op.infer(&types).map_err(|e| GraphError::from((node, e)))?;
            for (&output, inferred) in node.outputs.iter().zip(&inferred) {
                let tensor = self.tensor(output);
                if tensor.ty != *inferred {
                    return Err(GraphError::WrongType {
                        node: node.name.clone(),
                        op: node.op.name(),
                        tensor: tensor.name.clone(),
                        declared: tensor.ty.to_string(),
                        inferred: inferred.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    fn verify_names(&self) -> Result<(), GraphError> {
        let mut seen = HashSet::new();
        if let Some(t) = self.tensors.iter().find(|t| !seen.insert(t.name.as_str())) {
            return Err(GraphError::DuplicateName {
                kind: "tensor",
                name: t.name.clone(),
            });
        }
        seen.clear();
        if let Some(n) = self.nodes.iter().find(|n| !seen.insert(n.name.as_str())) {
            return Err(GraphError::DuplicateName {
                kind: "node",
                name: n.name.clone(),
            });
        }
        Ok(())
    }

    fn verify_order(&self) -> Result<(), GraphError> {
        let mut ready: Vec<bool> = self.tensors.iter().map(|t| t.data.is_some()).collect();
        self.inputs.iter().for_each(|i| ready[i.index()] = true);
        let name = |i: usize| self.tensors[i].name.clone();
        for node in &self.nodes {
            if let Some(missing) = node.inputs.iter().find(|i| !ready[i.index()]) {
                return Err(GraphError::NeverProduced {
                    node: node.name.clone(),
                    tensor: name(missing.index()),
                });
            }
            for output in &node.outputs {
                if std::mem::replace(&mut ready[output.index()], true) {
                    return Err(GraphError::ProducedTwice {
                        node: node.name.clone(),
                        tensor: name(output.index()),
                    });
                }
            }
        }
        match self.outputs.iter().find(|o| !ready[o.index()]) {
            Some(o) => Err(GraphError::NeverProduced {
                node: "(graph outputs)".into(),
                tensor: name(o.index()),
            }),
            None => Ok(()),
        }
    }
}

fn verify_constant(tensor: &Tensor) -> Result<(), GraphError> {
    match &tensor.data {
        Some(data) if data.ty() != tensor.ty => Err(GraphError::Constant {
            tensor: tensor.name.clone(),
            problem: format!("declared {}, but its data is {}", tensor.ty, data.ty()),
        }),
        _ => Ok(()),
    }
}

fn verify_quantization(tensor: &Tensor) -> Result<(), GraphError> {
    let Some(q) = &tensor.quantization else {
        return Ok(());
    };
    let fail = |problem: String| {
        Err(GraphError::Quantization {
            tensor: tensor.name.clone(),
            problem,
        })
    };
    if tensor.ty.element.is_float() {
        return fail(format!("has a scale, but holds {} values", tensor.ty.element));
    }
    if q.block.is_some() && tensor.data.is_none() {
        return fail("has scales for blocks, which only constants have".into());
    }
    let Some(dims) = q.scale_dims(tensor.ty.shape.dims()) else {
        return fail(match (q.axis, q.block) {
            (_, Some(block)) => format!(
                "quantized in blocks of {block} along {:?}, but is {}",
                q.axis, tensor.ty
            ),
            (axis, None) => format!("quantized along dimension {}, but is {}", axis.unwrap_or(0), tensor.ty),
        });
    };
    let expected = dims.into_iter().fold(1, usize::saturating_mul);
    if q.scales.len() != expected || q.zero_points.len() != expected {
        return fail(format!(
            "{} scales and {} zero points, expected {expected} of each",
            q.scales.len(),
            q.zero_points.len()
        ));
    }
    if let Some((lo, hi)) = tensor.ty.element.quantized_range()
        && let Some(z) = q.zero_points.iter().find(|z| !(lo..=hi).contains(z))
    {
        return fail(format!("zero point {z} is not in {lo}..={hi} of {}", tensor.ty.element));
    }
    Ok(())
}
