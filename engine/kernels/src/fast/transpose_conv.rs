//! Transposed convolutions: one ordinary convolution for each phase of the stride.
//!
//! Of a kernel that moves the output by `s` pixels for each input pixel, an output row sees every `s`-th line only, and which
//! ones depends on the row modulo `s`. The rows of one remainder are a convolution of the input by those lines, in reverse, that moves
//! by one pixel; likewise the columns. So there are `s_h · s_w` small convolutions, which write their pixels between each other's.

use super::Isa;
use super::conv::{FloatConv, IntConv};
use super::plane::{Border, Plane, View, ViewMut, assert_same_image};
use super::product::Pixels;
use super::short::ShortConv;
use crate::quantized::{ClampF32, LinearParams};
use crate::shape::{Conv2dShape, TransposeConv2dShape};

/// A float transposed convolution: packed weights `OHWI`, bias and clamp.
#[derive(Debug, Clone)]
pub struct FloatTransposeConv {
    shape: TransposeConv2dShape,
    phases: Vec<(Phase, FloatConv)>,
}

/// An integer transposed convolution, as [`transpose_conv2d_i8`](crate::reference::transpose_conv2d_i8) defines it. Activations are
/// bytes `q + 128`.
#[derive(Debug, Clone)]
pub struct IntTransposeConv {
    shape: TransposeConv2dShape,
    phases: Vec<(Phase, IntConv)>,
}

/// A transposed convolution of 16-bit activations, as [`transpose_conv2d_i16`](crate::reference::transpose_conv2d_i16) defines it.
#[derive(Debug, Clone)]
pub struct ShortTransposeConv {
    shape: TransposeConv2dShape,
    phases: Vec<(Phase, ShortConv)>,
}

/// The outputs of one remainder along both axes.
#[derive(Debug, Clone, Copy)]
struct Phase {
    rows: Line,
    columns: Line,
}

/// The outputs of one remainder along one axis.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// The first output.
    first: usize,
    count: usize,
    /// The last tap that they see; the others are a stride apart before it.
    last_tap: usize,
    /// How many taps; with none, one of weight 0.
    taps: usize,
    pad: usize,
}

impl Line {
    /// Remainder `phase` of an axis of `out` outputs; `None` where its first output sees no pixel before the second of the image.
    fn new(phase: usize, stride: usize, pad: usize, kernel: usize, out: usize) -> Option<Self> {
        let taps = kernel.saturating_sub(phase).div_ceil(stride);
        let lines = taps.max(1);
        // Output `phase + stride · t − pad` sees input `t` through the first of its taps.
        let t = pad.saturating_sub(phase).div_ceil(stride);
        let first = phase + stride * t - pad;
        Some(Self {
            first,
            count: out.saturating_sub(first).div_ceil(stride),
            last_tap: phase + stride * (lines - 1),
            taps,
            pad: (lines - 1).checked_sub(t)?,
        })
    }
}

/// The widest stride whose phases are convolutions of their own; a file may state any.
const MOST_PHASES: usize = 64;

impl Phase {
    /// All that have outputs; `None` where one is no convolution, or there are too many.
    fn all(shape: &TransposeConv2dShape) -> Option<Vec<Self>> {
        if shape.stride_h.max(shape.stride_w) > MOST_PHASES {
            return None;
        }
        let line = |stride, pad, kernel, out| {
            (0..stride)
                .map(|phase| Line::new(phase, stride, pad, kernel, out))
                .collect::<Option<Vec<_>>>()
        };
        let rows = line(shape.stride_h, shape.pad_top, shape.k_h, shape.out_h)?;
        let columns = line(shape.stride_w, shape.pad_left, shape.k_w, shape.out_w)?;
        let pairs = rows
            .iter()
            .flat_map(|&rows| columns.iter().map(move |&columns| Self { rows, columns }));
        Some(
            pairs
                .filter(|phase| phase.rows.count * phase.columns.count > 0)
                .collect(),
        )
    }

    fn conv(&self, shape: &TransposeConv2dShape) -> Conv2dShape {
        Conv2dShape {
            batch: 1,
            in_h: shape.in_h,
            in_w: shape.in_w,
            in_c: shape.in_c,
            out_h: self.rows.count,
            out_w: self.columns.count,
            out_c: shape.out_c,
            k_h: self.rows.taps.max(1),
            k_w: self.columns.taps.max(1),
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: self.rows.pad,
            pad_left: self.columns.pad,
            groups: 1,
        }
    }

    /// Its part of the weights.
    fn weights<T: Copy + Default>(&self, shape: &TransposeConv2dShape, weights: &[T]) -> Vec<T> {
        let (rows, columns) = (self.rows, self.columns);
        let conv = self.conv(shape);
        if rows.taps * columns.taps == 0 {
            return vec![T::default(); conv.weights_len()];
        }
        let mut part = Vec::with_capacity(conv.weights_len());
        for channel in 0..shape.out_c {
            for ky in (0..rows.taps).map(|i| rows.last_tap - i * shape.stride_h) {
                for kx in (0..columns.taps).map(|i| columns.last_tap - i * shape.stride_w) {
                    let at = ((channel * shape.k_h + ky) * shape.k_w + kx) * shape.in_c;
                    part.extend_from_slice(&weights[at..at + shape.in_c]);
                }
            }
        }
        part
    }

    /// Its pixels.
    fn pixels(&self, shape: &TransposeConv2dShape, output: &Plane) -> Pixels {
        Pixels {
            origin: output.at(self.rows.first, self.columns.first),
            row_step: shape.stride_h * output.row_stride(),
            step: shape.stride_w * output.channels,
            width: self.columns.count,
            height: self.rows.count,
        }
    }
}

/// The border that the input of a transposed convolution needs; `None` where there is no fast kernel for its padding.
pub fn border_of_transpose_conv(shape: &TransposeConv2dShape) -> Option<Border> {
    let phases = Phase::all(shape)?;
    let borders = phases.iter().map(|phase| Border::of_conv(&phase.conv(shape)));
    Some(borders.fold(Border::NONE, Border::union))
}

/// Panics unless the planes fit the shape.
fn check(shape: &TransposeConv2dShape, input: &Plane, output: &Plane) {
    assert_same_image(input, &Plane::dense(shape.in_h, shape.in_w, shape.in_c));
    assert_same_image(output, &Plane::dense(shape.out_h, shape.out_w, shape.out_c));
}

impl FloatTransposeConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c]`, for `isa`, which must be available; `None` as [`border_of_transpose_conv`].
    /// `shape.batch` is 1.
    pub fn new(
        isa: Isa,
        shape: &TransposeConv2dShape,
        weights: &[f32],
        bias: Option<&[f32]>,
        clamp: ClampF32,
    ) -> Option<Self> {
        assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
        let conv = |phase: Phase| {
            let part = phase.weights(shape, weights);
            (phase, FloatConv::new(isa, &phase.conv(shape), &part, bias, clamp))
        };
        Some(Self {
            shape: *shape,
            phases: Phase::all(shape)?.into_iter().map(conv).collect(),
        })
    }

    /// Computes the output from `input`, whose border is filled with `0.0` and is at least [`border_of_transpose_conv`].
    pub fn run(&self, input: View<'_, f32>, mut output: ViewMut<'_, f32>) {
        let plane = *output.plane();
        check(&self.shape, input.plane(), &plane);
        for (phase, conv) in &self.phases {
            conv.run_to(input, (output.data(), phase.pixels(&self.shape, &plane)));
        }
    }
}

impl IntTransposeConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c]`, for `isa`, which must be available; `None` as [`border_of_transpose_conv`].
    /// `shape.batch` is 1.
    pub fn new(
        isa: Isa,
        shape: &TransposeConv2dShape,
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i32]>,
    ) -> Option<Self> {
        assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
        let conv = |phase: Phase| {
            let part = phase.weights(shape, weights);
            (phase, IntConv::new(isa, &phase.conv(shape), params, &part, bias))
        };
        Some(Self {
            shape: *shape,
            phases: Phase::all(shape)?.into_iter().map(conv).collect(),
        })
    }

    /// Computes the output from `input`, whose border is filled with the input's zero point (as a byte: + 128) and is at least
    /// [`border_of_transpose_conv`].
    pub fn run(&self, input: View<'_, u8>, mut output: ViewMut<'_, u8>) {
        let plane = *output.plane();
        check(&self.shape, input.plane(), &plane);
        for (phase, conv) in &self.phases {
            conv.run_to(input, (output.data(), phase.pixels(&self.shape, &plane)));
        }
    }
}

impl ShortTransposeConv {
    /// Packs the weights, `[out_c, k_h, k_w, in_c]`, for `isa`, which must be available; `None` as [`border_of_transpose_conv`].
    /// `shape.batch` is 1.
    pub fn new(
        isa: Isa,
        shape: &TransposeConv2dShape,
        params: &LinearParams,
        weights: &[i8],
        bias: Option<&[i64]>,
    ) -> Option<Self> {
        assert_eq!(shape.batch, 1, "fast kernels run one sample at a time");
        let conv = |phase: Phase| {
            let part = phase.weights(shape, weights);
            (phase, ShortConv::new(isa, &phase.conv(shape), params, &part, bias))
        };
        Some(Self {
            shape: *shape,
            phases: Phase::all(shape)?.into_iter().map(conv).collect(),
        })
    }

    /// Computes the output from `input`, whose border is 0 and at least [`border_of_transpose_conv`]. `bytes` has two elements for each
    /// of the input's buffer, `sums` two for each output.
    pub fn run(&self, input: View<'_, i16>, bytes: &mut [u8], sums: &mut [i32], mut output: ViewMut<'_, i16>) {
        let plane = *output.plane();
        check(&self.shape, input.plane(), &plane);
        for (phase, conv) in &self.phases {
            conv.run_to(input, bytes, sums, (output.data(), phase.pixels(&self.shape, &plane)));
        }
    }
}
