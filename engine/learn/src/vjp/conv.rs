//! Convolutions and fully connected layers with shared weights on the fast kernels.

use ir::Op;
use kernels::fast::{
    Border, ConvGradient, DenseGradient, DepthwiseGradient, FloatConv, FloatDense, FloatDepthwise, Isa, Plane, View,
    ViewMut,
};
use kernels::gradient::{Real, add_columns};
use kernels::quantized::ClampF32;
use kernels::shape::{Conv2dShape, DepthwiseConv2dShape, FullyConnectedShape};

use super::products::{conv_shape, depthwise_shape, fully_connected_shape};
use super::{Args, Out, Site, Vjp};
use crate::LearnError;

/// The fast kernels of a node, if it is a sum of products with weights that are the same for all samples.
pub(super) fn fast(site: &Site<'_>) -> Result<Option<Box<dyn Vjp<f32>>>, LearnError> {
    if site.shared.first() != Some(&false) || !site.shared[1..].iter().all(|&shared| shared) {
        return Ok(None);
    }
    let clamp = site.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let clamp = ClampF32 {
        min: clamp.0,
        max: clamp.1,
    };
    let isa = site.isa;
    Ok(match &site.node.op {
        Op::Conv2d(op) => {
            let shape = conv_shape(site, op)?;
            Some(match pointwise(&shape) {
                Some(dense) => Box::new(Dense::new(isa, dense, clamp)),
                None => Box::new(Conv::new(isa, shape, clamp)),
            })
        }
        Op::DepthwiseConv2d(op) => {
            let shape = depthwise_shape(site, op)?;
            match Depthwise::new(isa, shape, clamp) {
                Some(depthwise) => Some(Box::new(depthwise)),
                None => Some(Box::new(Conv::grouped(isa, shape, clamp))),
            }
        }
        Op::FullyConnected(_) => Some(Box::new(Dense::new(isa, fully_connected_shape(site), clamp))),
        _ => None,
    })
}

/// The fully connected layer that a convolution is which sees one pixel at a time.
fn pointwise(shape: &Conv2dShape) -> Option<FullyConnectedShape> {
    let alone = (shape.k_h, shape.k_w, shape.stride_h, shape.stride_w, shape.groups) == (1, 1, 1, 1, 1);
    let same = (shape.in_h, shape.in_w, shape.pad_top, shape.pad_left) == (shape.out_h, shape.out_w, 0, 0);
    (alone && same).then_some(FullyConnectedShape {
        rows: shape.in_h * shape.in_w,
        in_features: shape.in_c,
        out_features: shape.out_c,
    })
}

/// Copies a dense image into the border of a plane, which is filled with zeros.
fn place<'a>(plane: &'a Plane, image: &[f32], to: &'a mut [f32]) -> View<'a, f32> {
    let (row, stride) = (plane.width * plane.channels, plane.row_stride());
    let (left, top) = (plane.border.left * plane.channels, plane.border.top * stride);
    to[..top].fill(0.0);
    for (line, pixels) in to[top..].chunks_mut(stride).zip(image.chunks_exact(row.max(1))) {
        line[..left].fill(0.0);
        line[left..left + row].copy_from_slice(pixels);
        line[left + row..].fill(0.0);
    }
    to[top + plane.height * stride..plane.len()].fill(0.0);
    View::new(plane, to)
}

/// The image with a border, in scratch where it needs one.
fn bordered<'a>(plane: &'a Plane, image: &'a [f32], scratch: &'a mut [f32]) -> View<'a, f32> {
    if plane.border == Border::NONE {
        View::new(plane, image)
    } else {
        place(plane, image, scratch)
    }
}

fn bias<'a>(args: &Args<'a, f32>) -> Option<&'a [f32]> {
    args.has(2).then(|| args.get(2))
}

struct Conv {
    isa: Isa,
    /// Whether the weights are those of a depthwise convolution with a multiplier: `1HWC` instead of `OHWI`.
    depthwise: bool,
    forward: FloatConv,
    gradient: ConvGradient,
    input: Plane,
    output: Plane,
    spread: Plane,
    turned: Vec<f32>,
}

impl Conv {
    fn new(isa: Isa, shape: Conv2dShape, clamp: ClampF32) -> Self {
        let gradient = ConvGradient::new(isa, &shape);
        let output = Plane::dense(shape.out_h, shape.out_w, shape.out_c);
        Conv {
            isa,
            depthwise: false,
            forward: FloatConv::new(isa, &shape, &vec![0.0; shape.weights_len()], None, clamp),
            input: Plane::dense(shape.in_h, shape.in_w, shape.in_c).with_border(Border::of_conv(&shape)),
            output,
            spread: output.with_border(gradient.border()),
            gradient,
            turned: Vec::new(),
        }
    }

    fn grouped(isa: Isa, shape: DepthwiseConv2dShape, clamp: ClampF32) -> Self {
        let groups = Conv2dShape {
            batch: shape.batch,
            in_h: shape.in_h,
            in_w: shape.in_w,
            in_c: shape.in_c,
            out_h: shape.out_h,
            out_w: shape.out_w,
            out_c: shape.out_c(),
            k_h: shape.k_h,
            k_w: shape.k_w,
            stride_h: shape.stride_h,
            stride_w: shape.stride_w,
            dilation_h: shape.dilation_h,
            dilation_w: shape.dilation_w,
            pad_top: shape.pad_top,
            pad_left: shape.pad_left,
            groups: shape.in_c,
        };
        Conv {
            depthwise: true,
            turned: vec![0.0; shape.weights_len()],
            ..Self::new(isa, groups, clamp)
        }
    }
}

/// `[rows][columns]` as `[columns][rows]`.
fn turn(columns: usize, from: &[f32], to: &mut [f32]) {
    let rows = from.len() / columns.max(1);
    for (r, row) in from.chunks_exact(columns.max(1)).enumerate() {
        for (slot, &value) in to[r..].iter_mut().step_by(rows).zip(row) {
            *slot = value;
        }
    }
}

impl Vjp<f32> for Conv {
    fn scratch(&self) -> usize {
        let turned = if self.depthwise { 2 * self.turned.len() } else { 0 };
        self.input.len().max(self.spread.len()) + turned
    }

    fn clamps(&self) -> bool {
        true
    }

    fn prepare(&mut self, args: &Args<'_, f32>) {
        let weights = if self.depthwise {
            turn(self.output.channels, args.get(1), &mut self.turned);
            &self.turned
        } else {
            args.get(1)
        };
        self.forward.repack(weights, bias(args));
        self.gradient.repack(weights);
    }

    fn forward(&self, args: &Args<'_, f32>, y: &mut [f32], scratch: &mut [f32]) {
        for s in 0..args.n {
            let x = bordered(&self.input, args.sample(0, s), scratch);
            self.forward
                .run(x, ViewMut::new(&self.output, args.part_mut(y, s)), None);
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, f32>, out: Out<'_, f32>, dx: &mut [f32], scratch: &mut [f32]) {
        match wrt {
            0 => {
                for s in 0..args.n {
                    let dy = bordered(&self.spread, args.part(out.dy, s), scratch);
                    self.gradient.input(dy, &mut dx[args.range(0, s)]);
                }
            }
            1 if self.depthwise => {
                let (turned, scratch) = scratch.split_at_mut(2 * self.turned.len());
                let (sums, turned) = turned.split_at_mut(self.turned.len());
                sums.fill(0.0);
                for s in 0..args.n {
                    let x = bordered(&self.input, args.sample(0, s), scratch);
                    self.gradient.weights(x, args.part(out.dy, s), sums);
                }
                turn(sums.len() / self.output.channels, sums, turned);
                dx.iter_mut().zip(&*turned).for_each(|(sum, &d)| *sum += d);
            }
            1 => {
                for s in 0..args.n {
                    let x = bordered(&self.input, args.sample(0, s), scratch);
                    self.gradient.weights(x, args.part(out.dy, s), dx);
                }
            }
            _ => f32::vectorized(self.isa, || add_columns(out.dy, dx)),
        }
    }
}

struct Depthwise {
    isa: Isa,
    shape: DepthwiseConv2dShape,
    forward: FloatDepthwise,
    gradient: DepthwiseGradient,
    input: Plane,
    output: Plane,
    spread: Plane,
}

impl Depthwise {
    fn new(isa: Isa, shape: DepthwiseConv2dShape, clamp: ClampF32) -> Option<Self> {
        let gradient = DepthwiseGradient::new(isa, &shape)?;
        Some(Depthwise {
            isa,
            forward: FloatDepthwise::new(isa, &shape, &vec![0.0; shape.weights_len()], None, clamp),
            input: Plane::dense(shape.in_h, shape.in_w, shape.in_c).with_border(Border::of_depthwise(&shape)),
            output: Plane::dense(shape.out_h, shape.out_w, shape.in_c),
            spread: gradient.spread(),
            gradient,
            shape,
        })
    }
}

impl Vjp<f32> for Depthwise {
    fn scratch(&self) -> usize {
        self.input.len().max(self.spread.len())
    }

    fn clamps(&self) -> bool {
        true
    }

    fn prepare(&mut self, args: &Args<'_, f32>) {
        self.forward.repack(&self.shape, args.get(1), bias(args));
        self.gradient.repack(args.get(1));
    }

    fn forward(&self, args: &Args<'_, f32>, y: &mut [f32], scratch: &mut [f32]) {
        for s in 0..args.n {
            let x = bordered(&self.input, args.sample(0, s), scratch);
            self.forward.run(x, ViewMut::new(&self.output, args.part_mut(y, s)));
        }
    }

    fn backward(&self, wrt: usize, args: &Args<'_, f32>, out: Out<'_, f32>, dx: &mut [f32], scratch: &mut [f32]) {
        match wrt {
            0 => {
                let spread = &mut scratch[..self.spread.len()];
                spread.fill(0.0);
                for s in 0..args.n {
                    self.gradient
                        .input(args.part(out.dy, s), spread, &mut dx[args.range(0, s)]);
                }
            }
            1 => {
                for s in 0..args.n {
                    let x = bordered(&self.input, args.sample(0, s), scratch);
                    self.gradient.weights(x, args.part(out.dy, s), dx);
                }
            }
            _ => f32::vectorized(self.isa, || add_columns(out.dy, dx)),
        }
    }
}

struct Dense {
    isa: Isa,
    /// Of one sample.
    rows: usize,
    forward: FloatDense,
    gradient: DenseGradient,
}

impl Dense {
    fn new(isa: Isa, shape: FullyConnectedShape, clamp: ClampF32) -> Self {
        Dense {
            isa,
            rows: shape.rows,
            forward: FloatDense::new(isa, &shape, &vec![0.0; shape.weights_len()], None, clamp),
            gradient: DenseGradient::new(isa, &shape),
        }
    }
}

impl Vjp<f32> for Dense {
    fn clamps(&self) -> bool {
        true
    }

    fn prepare(&mut self, args: &Args<'_, f32>) {
        self.forward.repack(args.get(1), bias(args));
        self.gradient.repack(args.get(1));
    }

    fn forward(&self, args: &Args<'_, f32>, y: &mut [f32], _scratch: &mut [f32]) {
        self.forward.run_rows(args.n * self.rows, args.get(0), y);
    }

    fn backward(&self, wrt: usize, args: &Args<'_, f32>, out: Out<'_, f32>, dx: &mut [f32], _scratch: &mut [f32]) {
        let rows = args.n * self.rows;
        match wrt {
            0 => self.gradient.input(rows, out.dy, dx),
            1 => self.gradient.weights(rows, args.get(0), out.dy, dx),
            _ => f32::vectorized(self.isa, || add_columns(out.dy, dx)),
        }
    }
}
