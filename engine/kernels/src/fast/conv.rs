//! Two-dimensional convolutions: any kernel, stride, dilation, padding and number of groups.

use super::isa::{IntIsa, Isa};
use super::plane::{Plane, View, ViewMut, Window, assert_same_image};
use super::product::{FloatProduct, Order, Output, PackedInts, Pixels, Residual, Walk};
use super::requantize::{BIAS, Requantizer};
use crate::quantized::{ClampF32, LinearParams};
use crate::shape::Conv2dShape;
use std::ops::Range;

/// What the float and the integer convolution share: how the window meets the planes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    shape: Conv2dShape,
    window: Window,
}

impl Geometry {
    pub(super) fn new(shape: &Conv2dShape) -> Self {
        assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
        assert_eq!(
            (shape.in_c % shape.groups, shape.out_c % shape.groups),
            (0, 0),
            "groups divide the channels: {shape:?}"
        );
        Self {
            shape: *shape,
            window: Window::of_conv(shape),
        }
    }

    /// Groups, and the output and input channels of each.
    pub(super) fn groups(&self) -> [usize; 3] {
        [self.shape.groups, self.shape.group_out_c(), self.shape.group_in_c()]
    }

    /// Values that one output element is a sum of.
    pub(super) fn depth(&self) -> usize {
        self.shape.k_h * self.shape.k_w * self.shape.group_in_c()
    }

    /// The runs that the taps of one output pixel lie in: their number and length.
    pub(super) fn segments(&self) -> [usize; 2] {
        let dense = Plane::dense(self.shape.in_h, self.shape.in_w, self.shape.in_c);
        self.walk(&dense).segments()
    }

    pub(super) fn walk(&self, input: &Plane) -> Walk {
        Walk::new(&self.window, input, self.shape.group_in_c())
    }

    /// The output without a border.
    pub(super) fn output(&self) -> Plane {
        let Conv2dShape {
            out_h, out_w, out_c, ..
        } = self.shape;
        Plane::dense(out_h, out_w, out_c)
    }

    /// Where the pixels' first taps are in the input. Panics unless the planes fit the shape.
    pub(super) fn from(&self, input: &Plane, output: &Plane) -> Pixels {
        let Conv2dShape {
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            ..
        } = self.shape;
        assert_same_image(input, &Plane::dense(in_h, in_w, in_c));
        assert_same_image(output, &Plane::dense(out_h, out_w, out_c));
        Pixels::under(&self.window, input, output)
    }
}

/// A float convolution: packed weights `OHWI`, bias and clamp.
#[derive(Debug, Clone)]
pub struct FloatConv {
    geometry: Geometry,
    product: FloatProduct,
}

impl FloatConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c / groups]`, for `isa`, which must be available. `shape.batch` is 1.
    pub fn new(isa: Isa, shape: &Conv2dShape, weights: &[f32], bias: Option<&[f32]>, clamp: ClampF32) -> Self {
        let geometry = Geometry::new(shape);
        let product = FloatProduct::new(isa, geometry.groups(), geometry.depth(), weights, bias, clamp);
        Self { geometry, product }
    }

    /// Takes other weights and another bias of the same sizes, in place.
    pub fn repack(&mut self, weights: &[f32], bias: Option<&[f32]>) {
        self.product.repack(weights, bias);
    }

    /// Convolves `input`, whose border is filled with `0.0` and is at least [`Border::of_conv`](super::Border::of_conv).
    /// Where a residual is given, it is added to the sums before they are clamped: a following `Add` for free.
    pub fn run(&self, input: View<'_, f32>, mut output: ViewMut<'_, f32>, residual: Option<View<'_, f32>>) {
        let (from, to) = (
            self.geometry.from(input.plane(), output.plane()),
            Pixels::of(output.plane()),
        );
        let residual = residual.map(|residual| {
            assert_same_image(residual.plane(), output.plane());
            Residual {
                data: residual.data(),
                pixels: Pixels::of(residual.plane()),
            }
        });
        let walk = self.geometry.walk(input.plane());
        self.product
            .run(walk, (input.data(), from), (output.data(), to), residual);
    }

    /// Rows of the output, to pixels that may lie anywhere.
    pub(super) fn run_rows(&self, rows: Range<usize>, input: View<'_, f32>, (output, to): (&mut [f32], Pixels)) {
        let from = self.geometry.from(input.plane(), &self.geometry.output()).rows_of(rows);
        let walk = self.geometry.walk(input.plane());
        self.product.run(walk, (input.data(), from), (output, to), None);
    }

    /// [`FloatConv::run`] without a residual, to pixels that may lie anywhere.
    pub(super) fn run_to(&self, input: View<'_, f32>, (output, to): (&mut [f32], Pixels)) {
        let from = self.geometry.from(input.plane(), &self.geometry.output());
        let walk = self.geometry.walk(input.plane());
        self.product.run(walk, (input.data(), from), (output, to), None);
    }
}

/// An integer convolution: packed `i8` weights `OHWI`, bias, and requantization as
/// [`conv2d_i8`](crate::reference::conv2d_i8) defines it. Activations are bytes `q + 128`.
#[derive(Debug, Clone)]
pub struct IntConv {
    geometry: Geometry,
    packed: PackedInts,
    requantizer: Requantizer,
}

impl IntConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c / groups]`, for `isa`, which must be available. `shape.batch` is 1.
    pub fn new(isa: Isa, shape: &Conv2dShape, params: &LinearParams, weights: &[i8], bias: Option<&[i32]>) -> Self {
        let geometry = Geometry::new(shape);
        let zero = params.input_zero_point + BIAS;
        let packed = PackedInts::new(
            isa,
            Order::Quads,
            geometry.groups(),
            geometry.segments(),
            weights,
            bias,
            zero,
        );
        let requantizer = Requantizer::new(IntIsa::new(isa), params, packed.channels());
        Self {
            geometry,
            packed,
            requantizer,
        }
    }

    /// Convolves `input`, whose border is filled with the input's zero point (as a byte: + 128) and is at least
    /// [`Border::of_conv`](super::Border::of_conv).
    pub fn run(&self, input: View<'_, u8>, mut output: ViewMut<'_, u8>) {
        let (from, to) = (
            self.geometry.from(input.plane(), output.plane()),
            Pixels::of(output.plane()),
        );
        let walk = self.geometry.walk(input.plane());
        let output = Output::Bytes(&self.requantizer, output.data());
        self.packed.run(walk, (input.data(), from), (output, to));
    }

    /// Rows of the output, to pixels that may lie anywhere.
    pub(super) fn run_rows(&self, rows: Range<usize>, input: View<'_, u8>, (output, to): (&mut [u8], Pixels)) {
        let from = self.geometry.from(input.plane(), &self.geometry.output()).rows_of(rows);
        let walk = self.geometry.walk(input.plane());
        let output = Output::Bytes(&self.requantizer, output);
        self.packed.run(walk, (input.data(), from), (output, to));
    }

    /// [`IntConv::run`], to pixels that may lie anywhere.
    pub(super) fn run_to(&self, input: View<'_, u8>, (output, to): (&mut [u8], Pixels)) {
        let from = self.geometry.from(input.plane(), &self.geometry.output());
        let walk = self.geometry.walk(input.plane());
        let output = Output::Bytes(&self.requantizer, output);
        self.packed.run(walk, (input.data(), from), (output, to));
    }
}
