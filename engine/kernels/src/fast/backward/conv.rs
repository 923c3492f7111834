//! Gradients of a float convolution: any kernel, stride, dilation, padding and number of groups.

use super::UNCLAMPED;
use super::weights::WeightSums;
use crate::fast::conv::Geometry;
use crate::fast::isa::{FloatIsa, Isa};
use crate::fast::plane::{Border, Plane, View, Window, assert_same_image};
use crate::fast::product::{FloatProduct, Pixels, Walk};
use crate::shape::Conv2dShape;

/// Both gradients of a [`FloatConv`](super::super::FloatConv) of the same shape.
///
/// The gradient of the input is computed phase by phase: input pixels whose places are equal modulo the stride see the same taps of the kernel, and
/// are an ordinary convolution of the output's gradient with these, turned around. No product with an inserted zero is computed.
#[derive(Debug, Clone)]
pub struct ConvGradient {
    shape: Conv2dShape,
    geometry: Geometry,
    isa: FloatIsa,
    phases: Vec<Phase>,
    border: Border,
    turned: Vec<f32>,
}

/// Along one axis: the input places `first, first + stride, …` and the taps that they see.
#[derive(Debug, Clone, Copy)]
struct Line {
    first: usize,
    count: usize,
    /// Taps from the last, which meets the first pixel of the output's gradient, down to the first: `tap - i · tap_step`.
    taps: usize,
    tap: usize,
    tap_step: usize,
    /// The pixel of the output's gradient that the last tap of the first place meets, and how far it is to the next tap's.
    start: isize,
    step: usize,
}

#[derive(Debug, Clone)]
struct Phase {
    lines: [Line; 2],
    /// `None` where no tap sees these places: their gradient is 0.
    product: Option<FloatProduct>,
}

impl Line {
    /// All phases of an axis.
    fn all(input: usize, kernel: usize, stride: usize, dilation: usize, pad: usize) -> Vec<Line> {
        let tap_step = stride / gcd(stride, dilation);
        let step = dilation * tap_step / stride;
        (0..stride.min(input))
            .map(|first| {
                let hits = |k: &usize| (first + pad) % stride == k * dilation % stride;
                let lowest = (0..kernel.min(tap_step)).find(hits);
                let taps = lowest.map_or(0, |k| (kernel - 1 - k) / tap_step + 1);
                let tap = lowest.map_or(0, |k| k + taps.saturating_sub(1) * tap_step);
                Line {
                    first,
                    count: (input - first).div_ceil(stride),
                    taps,
                    tap,
                    tap_step,
                    start: ((first + pad) as isize - (tap * dilation) as isize).div_euclid(stride as isize),
                    step,
                }
            })
            .collect()
    }

    /// Pixels before and behind `output` ones that taps reach.
    fn beyond(&self, output: usize) -> [usize; 2] {
        if self.taps == 0 {
            return [0, 0];
        }
        let last = self.start + (self.count - 1 + (self.taps - 1) * self.step) as isize;
        [
            (-self.start).max(0) as usize,
            (last + 1 - output as isize).max(0) as usize,
        ]
    }
}

impl ConvGradient {
    /// Gradients of a convolution of this shape; `shape.batch` is 1. [`ConvGradient::repack`] gives it weights.
    pub fn new(isa: Isa, shape: &Conv2dShape) -> Self {
        let geometry = Geometry::new(shape);
        let [groups, out, input] = geometry.groups();
        let rows = Line::all(shape.in_h, shape.k_h, shape.stride_h, shape.dilation_h, shape.pad_top);
        let columns = Line::all(shape.in_w, shape.k_w, shape.stride_w, shape.dilation_w, shape.pad_left);
        let (mut phases, mut border, mut most) = (Vec::new(), Border::NONE, 0);
        for (&row, &column) in rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row, column)))
        {
            let depth = row.taps * column.taps * out;
            let weights = vec![0.0; groups * input * depth];
            most = most.max(weights.len());
            let product =
                (depth > 0).then(|| FloatProduct::new(isa, [groups, input, out], depth, &weights, None, UNCLAMPED));
            if product.is_some() {
                let ([top, bottom], [left, right]) = (row.beyond(shape.out_h), column.beyond(shape.out_w));
                border = border.union(Border {
                    top,
                    bottom,
                    left,
                    right,
                });
            }
            phases.push(Phase {
                lines: [row, column],
                product,
            });
        }
        Self {
            shape: *shape,
            geometry,
            isa: FloatIsa::new(isa),
            phases,
            border,
            turned: vec![0.0; most],
        }
    }

    /// The border, filled with 0, that the output's gradient needs.
    pub fn border(&self) -> Border {
        self.border
    }

    /// Takes other weights, `[out_c, k_h, k_w, in_c / groups]`, in place.
    pub fn repack(&mut self, weights: &[f32]) {
        let [groups, out, input] = self.geometry.groups();
        let (k_h, k_w) = (self.shape.k_h, self.shape.k_w);
        assert_eq!(weights.len(), self.shape.weights_len(), "number of weights");
        for Phase { lines, product } in &mut self.phases {
            let (Some(product), [rows, columns]) = (product, &*lines) else {
                continue;
            };
            let depth = rows.taps * columns.taps * out;
            let mut at = 0;
            for (group, i) in (0..groups).flat_map(|group| (0..input).map(move |i| (group, i))) {
                for (y, x) in (0..rows.taps).flat_map(|y| (0..columns.taps).map(move |x| (y, x))) {
                    let (ky, kx) = (rows.tap - y * rows.tap_step, columns.tap - x * columns.tap_step);
                    let from = weights[group * out * k_h * k_w * input + (ky * k_w + kx) * input + i..]
                        .iter()
                        .step_by(k_h * k_w * input);
                    for (slot, &weight) in self.turned[at..at + out].iter_mut().zip(from) {
                        *slot = weight;
                    }
                    at += out;
                }
            }
            product.repack(&self.turned[..groups * input * depth], None);
        }
    }

    /// The gradient of the input, dense, from that of the output, whose border is filled with 0.
    pub fn input(&self, dy: View<'_, f32>, dx: &mut [f32]) {
        let shape = &self.shape;
        let plane = dy.plane();
        assert_same_image(plane, &Plane::dense(shape.out_h, shape.out_w, shape.out_c));
        assert!(
            plane.border.union(self.border) == plane.border,
            "{plane:?} is too narrow"
        );
        assert_eq!(dx.len(), shape.input_len(), "elements of the input");
        let [_, out, _] = self.geometry.groups();
        let row_step = shape.in_w * shape.in_c;
        for Phase {
            lines: [rows, columns],
            product,
        } in &self.phases
        {
            let to = Pixels {
                origin: rows.first * row_step + columns.first * shape.in_c,
                row_step: shape.stride_h * row_step,
                step: shape.stride_w * shape.in_c,
                width: columns.count,
                height: rows.count,
            };
            let Some(product) = product else {
                for y in 0..to.height {
                    for x in 0..to.width {
                        dx[to.origin + y * to.row_step + x * to.step..][..shape.in_c].fill(0.0);
                    }
                }
                continue;
            };
            let place = |border: usize, start: isize| (border as isize + start) as usize;
            let from = Pixels {
                origin: place(plane.border.top, rows.start) * plane.row_stride()
                    + place(plane.border.left, columns.start) * plane.channels,
                row_step: plane.row_stride(),
                step: plane.channels,
                width: columns.count,
                height: rows.count,
            };
            let window = Window {
                kernel: [rows.taps, columns.taps],
                stride: [1, 1],
                dilation: [rows.step, columns.step],
                pad: [0, 0],
            };
            product.run(Walk::new(&window, plane, out), (dy.data(), from), (dx, to), None);
        }
    }

    /// Adds the gradient of the weights, from the input as [`FloatConv::run`](super::super::FloatConv::run) takes it and the dense gradient of the output.
    pub fn weights(&self, x: View<'_, f32>, dy: &[f32], dw: &mut [f32]) {
        let output = Plane::dense(self.shape.out_h, self.shape.out_w, self.shape.out_c);
        let from = self.geometry.from(x.plane(), &output);
        let sums = WeightSums {
            groups: self.geometry.groups(),
            walk: self.geometry.walk(x.plane()),
            x: (x.data(), from),
            dy: (dy, Pixels::of(&output)),
            sums: dw,
        };
        sums.add(self.isa);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
