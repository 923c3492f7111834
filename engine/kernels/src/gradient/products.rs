//! Operators that multiply two operands and sum: convolutions, fully connected layers, matrix products.
//!
//! A shape says which elements meet: `out[o] += a[i] · b[j]` for all its triples `(o, i, j)`. The gradients are the same triples:
//! `da[i] += dout[o] · b[j]` and `db[j] += dout[o] · a[i]`. Everything is added to what is there.

use super::Real;
use crate::reference::taps;
use crate::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape, MatMulShape, TransposeConv2dShape};

/// Which elements of two operands meet in which element of the output.
pub trait Products {
    /// Calls `visit(output, left, right)` for every product, in a fixed order.
    fn for_each(&self, visit: impl FnMut(usize, usize, usize));
}

/// Adds the products.
pub fn product<T: Real>(shape: &impl Products, left: &[T], right: &[T], out: &mut [T]) {
    shape.for_each(|o, i, j| out[o] += left[i] * right[j]);
}

/// Adds the gradient of the left operand.
pub fn product_left<T: Real>(shape: &impl Products, right: &[T], d_out: &[T], d_left: &mut [T]) {
    shape.for_each(|o, i, j| d_left[i] += d_out[o] * right[j]);
}

/// Adds the gradient of the right operand.
pub fn product_right<T: Real>(shape: &impl Products, left: &[T], d_out: &[T], d_right: &mut [T]) {
    shape.for_each(|o, i, j| d_right[j] += d_out[o] * left[i]);
}

impl Products for Conv2dShape {
    fn for_each(&self, visit: impl FnMut(usize, usize, usize)) {
        taps::conv2d(self, visit);
    }
}

impl Products for DepthwiseConv2dShape {
    fn for_each(&self, visit: impl FnMut(usize, usize, usize)) {
        taps::depthwise_conv2d(self, visit);
    }
}

impl Products for TransposeConv2dShape {
    fn for_each(&self, visit: impl FnMut(usize, usize, usize)) {
        taps::transpose_conv2d(self, visit);
    }
}

impl Products for FullyConnectedShape {
    fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (inputs, outputs) = (self.in_features, self.out_features);
        for (row, o) in (0..self.rows).flat_map(|row| (0..outputs).map(move |o| (row, o))) {
            for i in 0..inputs {
                visit(row * outputs + o, row * inputs + i, o * inputs + i);
            }
        }
    }
}

impl Products for MatMulShape {
    fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([a_row, a_depth], [b_depth, b_column]) = (self.a_steps(), self.b_steps());
        self.for_each_product(|a, b, out| {
            for (row, column) in (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column))) {
                for k in 0..self.depth {
                    visit(
                        out + row * self.columns + column,
                        a + row * a_row + k * a_depth,
                        b + k * b_depth + column * b_column,
                    );
                }
            }
        });
    }
}
