//! Fully connected layers: the matrix product with rows that are already there.

use super::isa::{IntIsa, Isa};
use super::product::{FloatProduct, Order, Output, PackedInts, Pixels, Walk};
use super::requantize::{BIAS, Requantizer};
use crate::quantized::{ClampF32, LinearParams};
use crate::shape::FullyConnectedShape;

/// A float fully connected layer: packed weights `OI`, bias and clamp.
#[derive(Debug, Clone)]
pub struct FloatDense {
    shape: FullyConnectedShape,
    product: FloatProduct,
}

impl FloatDense {
    /// Packs the weights, `[out_features, in_features]`, for `isa`, which must be available.
    pub fn new(isa: Isa, shape: &FullyConnectedShape, weights: &[f32], bias: Option<&[f32]>, clamp: ClampF32) -> Self {
        let product = FloatProduct::new(isa, channels(shape), shape.in_features, weights, bias, clamp);
        Self { shape: *shape, product }
    }

    /// Takes other weights and another bias of the same sizes, in place.
    pub fn repack(&mut self, weights: &[f32], bias: Option<&[f32]>) {
        self.product.repack(weights, bias);
    }

    /// Multiplies the rows of `input`, `[rows, in_features]`.
    pub fn run(&self, input: &[f32], output: &mut [f32]) {
        self.run_rows(self.shape.rows, input, output);
    }

    /// Multiplies so many rows instead of those of the shape.
    pub fn run_rows(&self, count: usize, input: &[f32], output: &mut [f32]) {
        let shape = FullyConnectedShape {
            rows: count,
            ..self.shape
        };
        let (from, to) = rows(&shape, input.len(), output.len());
        self.product
            .run(Walk::row(self.shape.in_features), (input, from), (output, to), None);
    }
}

/// An integer fully connected layer: packed `i8` weights `OI`, bias, and requantization as
/// [`fully_connected_i8`](crate::reference::fully_connected_i8) defines it. Activations are bytes `q + 128`.
#[derive(Debug, Clone)]
pub struct IntDense {
    shape: FullyConnectedShape,
    packed: PackedInts,
    requantizer: Requantizer,
}

impl IntDense {
    /// Packs the weights, `[out_features, in_features]`, for `isa`, which must be available.
    pub fn new(
        isa: Isa,
        shape: &FullyConnectedShape,
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i32]>,
    ) -> Self {
        let zero = params.input_zero_point + BIAS;
        let packed = PackedInts::new(
            isa,
            Order::Quads,
            channels(shape),
            [1, shape.in_features],
            weights,
            bias,
            zero,
        );
        let requantizer = Requantizer::new(IntIsa::new(isa), params, packed.channels());
        Self {
            shape: *shape,
            packed,
            requantizer,
        }
    }

    /// Multiplies the rows of `input`, `[rows, in_features]`.
    pub fn run(&self, input: &[u8], output: &mut [u8]) {
        let (from, to) = rows(&self.shape, input.len(), output.len());
        let output = Output::Bytes(&self.requantizer, output);
        self.packed
            .run(Walk::row(self.shape.in_features), (input, from), (output, to));
    }
}

/// One group, its output and its input channels.
pub(super) fn channels(shape: &FullyConnectedShape) -> [usize; 3] {
    [1, shape.out_features, shape.in_features]
}

/// Where the rows are. Panics unless the lengths fit the shape.
pub(super) fn rows(shape: &FullyConnectedShape, input: usize, output: usize) -> (Pixels, Pixels) {
    assert_eq!(
        (input, output),
        (shape.input_len(), shape.output_len()),
        "elements of input and output of {shape:?}"
    );
    (
        Pixels::rows(shape.rows, shape.in_features),
        Pixels::rows(shape.rows, shape.out_features),
    )
}
