//! Greatest and least elements: of windows and over axes.

use ir::Op;
use kernels::gradient::{Real, max_pool, max_pool_gradient, reduce_extreme, reduce_extreme_gradient};
use kernels::shape::{Pool2dShape, Reduce};

use super::{Args, Out, Site, Vjp};
use crate::LearnError;

enum Extreme<T> {
    Window(Pool2dShape),
    /// Over axes; a sign of −1 for the least.
    Axes(Reduce, T),
}

pub(super) fn of<T: Real>(site: &Site<'_>) -> Result<Box<dyn Vjp<T>>, LearnError> {
    Ok(Box::new(match &site.node.op {
        Op::MaxPool2d(op) => Extreme::Window(window(site, op.kernel, op.stride, op.padding)?),
        Op::ReduceMax(op) => Extreme::Axes(Reduce::new(site.dims(0), &op.axes), T::ONE),
        Op::ReduceMin(op) => Extreme::Axes(Reduce::new(site.dims(0), &op.axes), -T::ONE),
        _ => return Err(site.refuse("it takes no greatest element")),
    }))
}

/// The geometry of a pooling.
pub(super) fn window(
    site: &Site<'_>,
    [k_h, k_w]: [usize; 2],
    [stride_h, stride_w]: [usize; 2],
    padding: ir::ops::Padding,
) -> Result<Pool2dShape, LearnError> {
    let ([batch, in_h, in_w, channels], [_, out_h, out_w, _]) = (site.nhwc(0)?, site.out_nhwc()?);
    Ok(Pool2dShape {
        batch,
        in_h,
        in_w,
        channels,
        out_h,
        out_w,
        k_h,
        k_w,
        stride_h,
        stride_w,
        pad_top: padding.top,
        pad_left: padding.left,
    })
}

impl<T: Real> Vjp<T> for Extreme<T> {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for s in 0..args.n {
            let (x, y) = (args.sample(0, s), args.part_mut(y, s));
            match self {
                Extreme::Window(shape) => max_pool(shape, x, y),
                Extreme::Axes(shape, sign) => reduce_extreme(shape, *sign, x, y),
            }
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        for s in 0..args.n {
            let (x, dy, dx) = (args.sample(0, s), args.part(out.dy, s), &mut dx[args.range(0, s)]);
            match self {
                Extreme::Window(shape) => max_pool_gradient(shape, x, dy, dx),
                Extreme::Axes(shape, sign) => reduce_extreme_gradient(shape, *sign, x, dy, dx),
            }
        }
    }
}
