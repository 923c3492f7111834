//! Sums of products on plain kernels: convolutions, fully connected layers, matrix products.

use ir::ops;
use kernels::gradient::products::{Products, product, product_left, product_right};
use kernels::gradient::{Real, add_columns};
use kernels::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape, MatMulShape, TransposeConv2dShape};

use super::{Args, Out, Site, Vjp};
use crate::LearnError;

/// Two operands and an optional bias along the last dimension.
struct Sums<S>(S);

impl<T: Real, S: Products + Send + Sync> Vjp<T> for Sums<S> {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for s in 0..args.n {
            let y = args.part_mut(y, s);
            y.fill(T::ZERO);
            product(&self.0, args.sample(0, s), args.sample(1, s), y);
            if args.has(2) {
                let bias = args.sample(2, s);
                for pixel in y.chunks_exact_mut(bias.len().max(1)) {
                    pixel.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
                }
            }
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        for s in 0..args.n {
            let (dy, dx) = (args.part(out.dy, s), &mut dx[args.range(wrt, s)]);
            match wrt {
                0 => product_left(&self.0, args.sample(1, s), dy, dx),
                1 => product_right(&self.0, args.sample(0, s), dy, dx),
                _ => add_columns(dy, dx),
            }
        }
    }
}

type Kernels<T> = Box<dyn Vjp<T>>;

pub(super) fn conv<T: Real>(site: &Site<'_>, op: &ops::Conv2d) -> Result<Kernels<T>, LearnError> {
    Ok(Box::new(Sums(conv_shape(site, op)?)))
}

pub(super) fn depthwise<T: Real>(site: &Site<'_>, op: &ops::DepthwiseConv2d) -> Result<Kernels<T>, LearnError> {
    Ok(Box::new(Sums(depthwise_shape(site, op)?)))
}

pub(super) fn fully_connected<T: Real>(site: &Site<'_>) -> Kernels<T> {
    Box::new(Sums(fully_connected_shape(site)))
}

pub(super) fn transpose_conv<T: Real>(site: &Site<'_>, op: &ops::TransposeConv2d) -> Result<Kernels<T>, LearnError> {
    let pad = [op.padding.top, op.padding.left];
    Ok(Box::new(Sums(TransposeConv2dShape::new(images(site)?, op.stride, pad))))
}

pub(super) fn mat_mul<T: Real>(site: &Site<'_>, op: &ops::MatMul) -> Result<Kernels<T>, LearnError> {
    let shape = MatMulShape::new(site.dims(0), site.dims(1), op.adjoint_a, op.adjoint_b);
    let shape = shape.ok_or_else(|| site.refuse("its inputs are no matrices that fit"))?;
    Ok(Box::new(Sums(shape)))
}

/// The geometry of a convolution.
pub(super) fn conv_shape(site: &Site<'_>, op: &ops::Conv2d) -> Result<Conv2dShape, LearnError> {
    let pad = [op.padding.top, op.padding.left];
    Ok(Conv2dShape::new(images(site)?, op.stride, op.dilation, pad, op.groups))
}

/// The geometry of a depthwise convolution.
pub(super) fn depthwise_shape(site: &Site<'_>, op: &ops::DepthwiseConv2d) -> Result<DepthwiseConv2dShape, LearnError> {
    let pad = [op.padding.top, op.padding.left];
    Ok(DepthwiseConv2dShape::new(images(site)?, op.stride, op.dilation, pad))
}

/// The geometry of a fully connected layer on one sample.
pub(super) fn fully_connected_shape(site: &Site<'_>) -> FullyConnectedShape {
    FullyConnectedShape::new(site.dims(0), site.out_dims())
}

/// The dimensions of input, weights and output.
fn images(site: &Site<'_>) -> Result<[[usize; 4]; 3], LearnError> {
    Ok([site.nhwc(0)?, site.nhwc(1)?, site.out_nhwc()?])
}
