//! Matrix product of two computed tensors.

use serde::{Deserialize, Serialize};

use super::{Example, IntegerForms, IntegerRule, Operator, Reads, arity, shape_error};
use crate::{InferError, Shape, TensorType};

/// `out[…, m, n] = Σ a[…, m, k] · b[…, k, n]`, leading dimensions broadcast as in NumPy.
///
/// Inputs: `a` `[…,M,K]` (`[…,K,M]` when `adjoint_a`) and `b` `[…,K,N]` (`[…,N,K]` when `adjoint_b`), both of two dimensions or more;
/// either may be computed or constant. Output `[…,M,N]`. A product with constant weights and a bias is better said as
/// [`super::FullyConnected`]. Specification: TFLite `BATCH_MATMUL`, ONNX `MatMul`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatMul {
    /// The last two dimensions of `a` are swapped before the product.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adjoint_a: bool,
    /// The last two dimensions of `b` are swapped before the product.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adjoint_b: bool,
}

/// Leading dimensions, then rows and columns after the optional swap.
fn matrix(ty: &TensorType, adjoint: bool) -> Option<(Shape, [usize; 2])> {
    let (leading, &[rows, columns]) = ty.shape.dims().split_last_chunk()?;
    let matrix = if adjoint { [columns, rows] } else { [rows, columns] };
    Some((leading.into(), matrix))
}

impl Operator for MatMul {
    const NAME: &'static str = "mat_mul";
    const READS: Reads = Reads::Combined;

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, InferError> {
        arity(inputs, 2..=2, "two tensors")?;
        let (a_leading, [m, k]) = matrix(inputs[0], self.adjoint_a)
            .ok_or_else(|| shape_error("a", "a matrix, or a batch of them", inputs[0]))?;
        let (b_leading, [b_k, n]) = matrix(inputs[1], self.adjoint_b)
            .ok_or_else(|| shape_error("b", "a matrix, or a batch of them", inputs[1]))?;
        let expected = || {
            let matrix = if self.adjoint_b {
                format!("…,N,{k}")
            } else {
                format!("…,{k},N")
            };
            format!("[{matrix}] with leading dimensions that broadcast with {a_leading}")
        };
        let leading = a_leading.broadcast(&b_leading).filter(|_| k == b_k);
        let mut shape = leading.ok_or_else(|| shape_error("b", expected(), inputs[1]))?;
        shape.0.extend([m, n]);
        Ok(vec![TensorType {
            element: inputs[0].element,
            shape,
        }])
    }

    fn macs(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        let depth = matrix(inputs[0], self.adjoint_a).map_or(0, |(_, [_, k])| k);
        output.shape.elements().saturating_mul(depth) as u64
    }

    fn integer(&self) -> IntegerForms {
        IntegerForms::only8(IntegerRule::Free, "it is computed in 8 bits or floats, not in 16 bits")
    }

    fn examples() -> Vec<Example> {
        let swapped = |adjoint_a, adjoint_b| MatMul { adjoint_a, adjoint_b };
        vec![
            Example::new(MatMul::default(), &[&[1, 4, 5], &[1, 5, 3]], &[]),
            Example::new(swapped(false, true), &[&[1, 2, 7, 4], &[1, 2, 6, 4]], &[]),
            Example::new(swapped(true, false), &[&[1, 5, 4]], &[&[5, 3]]),
            Example::new(swapped(true, true), &[&[1, 3, 5, 4], &[1, 1, 2, 5]], &[]),
            Example::new(MatMul::default(), &[&[1, 33]], &[&[33, 35]]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::MatMul;
    use crate::TensorType;
    use crate::ops::Operator;

    fn infer(op: &MatMul, a: &[usize], b: &[usize]) -> String {
        let made = op.infer(&[&TensorType::f32(a), &TensorType::f32(b)]);
        made.map_or_else(|e| e.to_string(), |types| types[0].to_string())
    }

    #[test]
    fn leading_dimensions_broadcast_and_matrices_must_fit() {
        let plain = MatMul::default();
        insta::assert_snapshot!(infer(&plain, &[1, 8, 1, 4, 5], &[3, 5, 6]), @"f32[1,8,3,4,6]");
        insta::assert_snapshot!(infer(&plain, &[1, 4, 5], &[4, 5]), @"b is f32[4,5], expected […,5,N] with leading dimensions that broadcast with [1]");
        insta::assert_snapshot!(infer(&plain, &[2, 4, 5], &[3, 5, 6]), @"b is f32[3,5,6], expected […,5,N] with leading dimensions that broadcast with [2]");
        insta::assert_snapshot!(infer(&plain, &[5], &[5, 6]), @"a is f32[5], expected a matrix, or a batch of them");
    }
}
