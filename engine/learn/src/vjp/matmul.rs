//! Products of two computed matrices on the fast kernel, whose gradients are such products, too.

use ir::ops;
use kernels::fast::{Isa, mat_mul_f32, mat_mul_scratch};
use kernels::shape::MatMulShape;

use super::{Args, Out, Site, Vjp};
use crate::LearnError;

/// One of the three products: which operands it takes (the output's gradient is [`Factor::Gradient`]), and its geometry.
struct Product {
    factors: [Factor; 2],
    shape: MatMulShape,
}

#[derive(Clone, Copy)]
enum Factor {
    Left,
    Right,
    Gradient,
}

pub(super) struct MatMul {
    isa: Isa,
    forward: MatMulShape,
    /// The gradients of the left and of the right operand.
    backward: [Product; 2],
}

impl MatMul {
    /// The kernels of a product whose operands both are computed of each sample and have the same leading dimensions; `None` for others.
    ///
    /// # Errors
    /// The operands are no matrices that fit.
    pub(super) fn new(site: &Site<'_>, op: &ops::MatMul) -> Result<Option<Self>, LearnError> {
        let (a, b, out) = (site.dims(0), site.dims(1), site.out_dims());
        let leading = |dims: &[usize]| dims[..dims.len().saturating_sub(2)].to_vec();
        if site.shared.contains(&true) || leading(a) != leading(b) {
            return Ok(None);
        }
        let shape = |a: &[usize], b: &[usize], [adjoint_a, adjoint_b]: [bool; 2]| {
            let shape = MatMulShape::new(a, b, adjoint_a, adjoint_b);
            shape.ok_or_else(|| site.refuse("its inputs are no matrices that fit"))
        };
        let (adjoint_a, adjoint_b) = (op.adjoint_a, op.adjoint_b);
        // Of y = A·B: dA = dy·Bᵀ and dB = Aᵀ·dy; what is stored the other way round is the other way round in both.
        let left = if adjoint_a {
            Product {
                factors: [Factor::Right, Factor::Gradient],
                shape: shape(b, out, [adjoint_b, true])?,
            }
        } else {
            Product {
                factors: [Factor::Gradient, Factor::Right],
                shape: shape(out, b, [false, !adjoint_b])?,
            }
        };
        let right = if adjoint_b {
            Product {
                factors: [Factor::Gradient, Factor::Left],
                shape: shape(out, a, [true, adjoint_a])?,
            }
        } else {
            Product {
                factors: [Factor::Left, Factor::Gradient],
                shape: shape(a, out, [!adjoint_a, false])?,
            }
        };
        Ok(Some(MatMul {
            isa: site.isa,
            forward: shape(a, b, [adjoint_a, adjoint_b])?,
            backward: [left, right],
        }))
    }
}

impl Vjp<f32> for MatMul {
    fn scratch(&self) -> usize {
        let shapes = [&self.forward, &self.backward[0].shape, &self.backward[1].shape];
        shapes.into_iter().map(mat_mul_scratch).max().unwrap_or(0)
    }

    fn forward(&self, args: &Args<'_, f32>, y: &mut [f32], scratch: &mut [f32]) {
        for s in 0..args.n {
            let y = args.part_mut(y, s);
            mat_mul_f32(
                self.isa,
                &self.forward,
                args.sample(0, s),
                args.sample(1, s),
                scratch,
                y,
            );
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, f32>, out: Out<'_, f32>, dx: &mut [f32], scratch: &mut [f32]) {
        let Product { factors, shape } = &self.backward[wrt];
        for s in 0..args.n {
            let [a, b] = factors.map(|factor| match factor {
                Factor::Left => args.sample(0, s),
                Factor::Right => args.sample(1, s),
                Factor::Gradient => args.part(out.dy, s),
            });
            mat_mul_f32(self.isa, shape, a, b, scratch, &mut dx[args.range(wrt, s)]);
        }
    }
}
