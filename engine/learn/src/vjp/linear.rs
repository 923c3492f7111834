//! Operators that move elements or take weighted sums of them.

use ir::ops::{self, Coordinates, Interpolation, PadMode};
use ir::{Op, ops::Resize};
use kernels::gradient::{Combination, Real, windows};
use kernels::reference;
use kernels::shape::{Reduce, Resize2dShape, ResizeCoordinates};

use super::{Args, Out, Site, Vjp, pools};
use crate::LearnError;

impl<T: Real> Vjp<T> for Combination<T> {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for s in 0..args.n {
            Combination::forward(self, args.sample(0, s), args.part_mut(y, s));
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        for s in 0..args.n {
            Combination::backward(self, args.part(out.dy, s), &mut dx[args.range(0, s)]);
        }
    }
}

/// Moves indices as an operator moves elements.
type Shift<'a> = &'a dyn Fn(&[u32], u32, &mut [u32]);

/// The kernel of an operator that is linear in its one input.
pub(super) fn of<T: Real>(site: &Site<'_>) -> Result<Box<dyn Vjp<T>>, LearnError> {
    let (input, output) = (site.elements(0), site.out_elements());
    let (dims, out_dims) = (site.dims(0), site.out_dims());
    let moves = |shift: Shift<'_>| Combination::moves(input, output, T::ZERO, shift);
    let mean = |axes: &[usize], divide: bool| {
        let shape = Reduce::new(dims, axes);
        let share = if divide {
            T::of(1.0 / shape.count().max(1) as f64)
        } else {
            T::ONE
        };
        Combination::sums(input, output, |out, terms| {
            terms.extend(shape.inputs(out).map(|i| (i as u32, share)));
        })
    };
    let combination = match &site.node.op {
        Op::Reshape(_) | Op::Identity(_) => moves(&|x, _, y| y.copy_from_slice(x)),
        Op::Transpose(op) => moves(&|x, _, y| reference::transpose(dims, &op.perm, x, y)),
        Op::Slice(op) => {
            let step: Vec<isize> = op.stride.iter().map(|&s| s as isize).collect();
            moves(&|x, _, y| reference::slice(dims, &op.begin, &step, out_dims, x, y))
        }
        Op::Split(op) => {
            // One node for each part: which one, the planner says by the output.
            let part = part(site);
            let mut begin = vec![0; dims.len()];
            begin[op.axis] = part * out_dims[op.axis];
            moves(&|x, _, y| reference::slice(dims, &begin, &vec![1; dims.len()], out_dims, x, y))
        }
        Op::Pad(op) => pad(site, op),
        Op::Mean(op) => mean(&op.axes, true),
        Op::ReduceSum(op) => mean(&op.axes, false),
        Op::AveragePool2d(op) => {
            let shape = pools::window(site, op.kernel, op.stride, op.padding)?;
            let mut all: Vec<Vec<u32>> = vec![Vec::new(); output];
            windows(&shape, |out, inputs| all[out].extend(inputs.map(|i| i as u32)));
            Combination::sums(input, output, |out, terms| {
                let share = T::of(1.0 / all[out].len().max(1) as f64);
                terms.extend(all[out].iter().map(|&i| (i, share)));
            })
        }
        Op::Resize(op) => resize(site, op)?,
        _ => return Err(site.refuse("it is not linear in one input")),
    };
    Ok(Box::new(combination.ok_or_else(|| site.too_large())?))
}

/// Which part of a split the site's first output is.
fn part(site: &Site<'_>) -> usize {
    let split = site.graph.nodes().iter().find(|n| n.name == site.node.name);
    let outputs = split.map_or(&[][..], |n| &n.outputs);
    outputs.iter().position(|&o| o == site.node.output()).unwrap_or(0)
}

fn pad<T: Real>(site: &Site<'_>, op: &ops::Pad) -> Option<Combination<T>> {
    let (input, output) = (site.elements(0), site.out_elements());
    let (dims, out_dims) = (site.dims(0), site.out_dims());
    let edge = match op.mode {
        PadMode::Zero | PadMode::Value(_) => {
            let fill = if let PadMode::Value(value) = op.mode {
                value
            } else {
                0.0
            };
            return Combination::moves(input, output, T::of(fill.into()), |x, nowhere, y| {
                reference::pad(dims, &op.before, out_dims, nowhere, x, y);
            });
        }
        PadMode::Reflect => 1,
        PadMode::Symmetric => 0,
    };
    let reflected = |axis: usize, at: usize| {
        let (before, size) = (op.before[axis], dims[axis]);
        if at < before {
            before - at - 1 + edge
        } else if at < before + size {
            at - before
        } else {
            (2 * size - 1 - edge) - (at - before)
        }
    };
    Combination::sums(input, output, |mut flat, terms| {
        let (mut source, mut stride) = (0, 1);
        for axis in (0..dims.len()).rev() {
            source += reflected(axis, flat % out_dims[axis]) * stride;
            flat /= out_dims[axis];
            stride *= dims[axis];
        }
        terms.push((source as u32, T::ONE));
    })
}

fn resize<T: Real>(site: &Site<'_>, op: &Resize) -> Result<Option<Combination<T>>, LearnError> {
    let ([batch, in_h, in_w, channels], [_, out_h, out_w, _]) = (site.nhwc(0)?, site.out_nhwc()?);
    let shape = Resize2dShape {
        batch,
        in_h,
        in_w,
        channels,
        out_h,
        out_w,
        coordinates: match op.coordinates {
            Coordinates::HalfPixel => ResizeCoordinates::HalfPixel,
            Coordinates::AlignCorners => ResizeCoordinates::AlignCorners,
            Coordinates::Asymmetric => ResizeCoordinates::Asymmetric,
        },
    };
    let (input, output) = (shape.input_len(), shape.output_len());
    Ok(match op.interpolation {
        Interpolation::Nearest => Combination::moves(input, output, T::ZERO, |x, _, y| {
            reference::resize_nearest(&shape, x, y);
        }),
        Interpolation::Bilinear => {
            // The weights of a row or column are those of an image of one channel and one column or row.
            let along = |len: usize, out: usize| -> Vec<Vec<f32>> {
                let line = Resize2dShape {
                    batch: 1,
                    in_h: len,
                    in_w: 1,
                    channels: 1,
                    out_h: out,
                    out_w: 1,
                    coordinates: shape.coordinates,
                };
                let response = |i: usize| {
                    let (mut impulse, mut y) = (vec![0.0; len], vec![0.0; out]);
                    impulse[i] = 1.0;
                    reference::resize_bilinear_f32(&line, &impulse, &mut y);
                    y
                };
                (0..len).map(response).collect()
            };
            let (rows, columns) = (along(in_h, out_h), along(in_w, out_w));
            let near = |weights: &[Vec<f32>], out: usize| -> Vec<(usize, f64)> {
                let all = weights.iter().enumerate().map(|(i, w)| (i, f64::from(w[out])));
                all.filter(|&(_, w)| w != 0.0).collect()
            };
            Combination::sums(input, output, |out, terms| {
                let (c, x, y) = (out % channels, out / channels % out_w, out / channels / out_w % out_h);
                let b = out / (channels * out_w * out_h);
                for (row, above) in near(&rows, y) {
                    for (column, beside) in near(&columns, x) {
                        let i = ((b * in_h + row) * in_w + column) * channels + c;
                        terms.push((i as u32, T::of(above * beside)));
                    }
                }
            })
        }
    })
}

/// Inputs one after another along a dimension.
pub(super) struct Concat {
    /// Elements of each input in one run of the output, and where they begin.
    runs: Vec<(usize, usize)>,
    run: usize,
}

impl Concat {
    pub(super) fn new(site: &Site<'_>, op: &ops::Concat) -> Self {
        let outer: usize = site.out_dims()[..op.axis].iter().product();
        let mut run = 0;
        let runs = (0..site.node.inputs.len()).map(|i| {
            let len = site.elements(i) / outer.max(1);
            run += len;
            (run - len, len)
        });
        Concat {
            runs: runs.collect(),
            run: site.out_elements() / outer.max(1),
        }
    }
}

impl<T: Real> Vjp<T> for Concat {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for s in 0..args.n {
            let y = args.part_mut(y, s);
            for (i, &(start, len)) in self.runs.iter().enumerate().filter(|(_, (_, len))| *len > 0) {
                let runs = y.chunks_exact_mut(self.run);
                for (run, from) in runs.zip(args.sample(i, s).chunks_exact(len)) {
                    run[start..start + len].copy_from_slice(from);
                }
            }
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        let (start, len) = self.runs[wrt];
        for s in 0..if len == 0 { 0 } else { args.n } {
            let (dy, dx) = (args.part(out.dy, s), &mut dx[args.range(wrt, s)]);
            for (run, to) in dy.chunks_exact(self.run).zip(dx.chunks_exact_mut(len)) {
                to.iter_mut().zip(&run[start..]).for_each(|(sum, &d)| *sum += d);
            }
        }
    }
}

/// Slices picked by indices, which may be computed.
pub(super) struct Gather {
    outer: usize,
    inner: usize,
    extent: usize,
}

impl Gather {
    pub(super) fn new(site: &Site<'_>, op: &ops::Gather) -> Self {
        let dims = site.dims(0);
        Gather {
            outer: dims[..op.axis].iter().product(),
            inner: dims[op.axis + 1..].iter().product(),
            extent: dims[op.axis],
        }
    }

    /// Calls `visit(start in the output, start in the input)` for every slice.
    fn slices<T: Real>(&self, indices: &[T], mut visit: impl FnMut(usize, usize)) {
        let mut out = 0;
        for run in 0..self.outer {
            for index in indices {
                let index = (index.double().max(0.0) as usize).min(self.extent.saturating_sub(1));
                visit(out, (run * self.extent + index) * self.inner);
                out += self.inner;
            }
        }
    }
}

impl<T: Real> Vjp<T> for Gather {
    fn forward(&self, args: &Args<'_, T>, y: &mut [T], _scratch: &mut [T]) {
        for s in 0..args.n {
            let (x, y) = (args.sample(0, s), args.part_mut(y, s));
            self.slices(args.sample(1, s), |to, from| {
                y[to..to + self.inner].copy_from_slice(&x[from..from + self.inner]);
            });
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, T>, out: Out<'_, T>, dx: &mut [T], _scratch: &mut [T]) {
        args.clear(wrt, dx);
        if wrt != 0 {
            return;
        }
        for s in 0..args.n {
            let (dy, dx) = (args.part(out.dy, s), &mut dx[args.range(0, s)]);
            self.slices(args.sample(1, s), |from, to| {
                let dx = dx[to..to + self.inner].iter_mut();
                dx.zip(&dy[from..]).for_each(|(sum, &d)| *sum += d);
            });
        }
    }
}
