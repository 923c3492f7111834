//! Gradients of a float fully connected layer.

use super::UNCLAMPED;
use super::weights::WeightSums;
use crate::fast::dense::{FloatDense, channels, rows};
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::product::Walk;
use crate::shape::FullyConnectedShape;

/// Both gradients of a [`FloatDense`] of the same shape, for any number of rows.
#[derive(Debug, Clone)]
pub struct DenseGradient {
    shape: FullyConnectedShape,
    isa: FloatIsa,
    transposed: FloatDense,
    turned: Vec<f32>,
}

impl DenseGradient {
    /// Gradients of a layer of this shape; [`DenseGradient::repack`] gives it weights.
    pub fn new(isa: Isa, shape: &FullyConnectedShape) -> Self {
        let back = FullyConnectedShape {
            rows: shape.rows,
            in_features: shape.out_features,
            out_features: shape.in_features,
        };
        let turned = vec![0.0; shape.weights_len()];
        Self {
            shape: *shape,
            isa: FloatIsa::new(isa),
            transposed: FloatDense::new(isa, &back, &turned, None, UNCLAMPED),
            turned,
        }
    }

    /// Takes other weights, `[out_features, in_features]`, in place.
    pub fn repack(&mut self, weights: &[f32]) {
        let (inputs, outputs) = (self.shape.in_features, self.shape.out_features);
        for (o, row) in weights.chunks_exact(inputs.max(1)).enumerate() {
            for (slot, &weight) in self.turned[o..].iter_mut().step_by(outputs).zip(row) {
                *slot = weight;
            }
        }
        self.transposed.repack(&self.turned, None);
    }

    /// The gradient of `count` rows of the input.
    pub fn input(&self, count: usize, dy: &[f32], dx: &mut [f32]) {
        self.transposed.run_rows(count, dy, dx);
    }

    /// Adds the gradient of the weights over `count` rows.
    pub fn weights(&self, count: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        let shape = FullyConnectedShape {
            rows: count,
            ..self.shape
        };
        let (from, to) = rows(&shape, x.len(), dy.len());
        let sums = WeightSums {
            groups: channels(&shape),
            walk: Walk::row(shape.in_features),
            x: (x, from),
            dy: (dy, to),
            sums: dw,
        };
        sums.add(self.isa);
    }
}
