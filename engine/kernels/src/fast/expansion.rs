//! A convolution and the depthwise one that alone reads it, in bands of rows: what lies between the two is wide, and never whole.
//!
//! Inverted residuals expand a few channels to many and see each of these once. For a band of output rows the rows between are
//! computed into a buffer that stays in the second-level cache; those that the next band sees again are moved to its front. Every
//! number is computed as by the two kernels one after the other: results are the same bits.

use super::conv::{FloatConv, IntConv};
use super::depthwise::{FloatDepthwise, IntDepthwise};
use super::elementwise::{ByteMap, Gate, gate_rows};
use super::isa::Isa;
use super::plane::{Border, Plane, View, ViewMut};
use super::product::Pixels;
use crate::quantized::{ClampF32, LinearParams};
use crate::shape::{Conv2dShape, DepthwiseConv2dShape};
use std::ops::Range;

/// Bytes that a band should take; in tests so few that small images have several.
const BAND: usize = if cfg!(test) { 2 << 10 } else { 256 << 10 };

/// How the image between is cut.
#[derive(Debug, Clone)]
struct Bands {
    /// A band: as many rows as it has at most.
    plane: Plane,
    /// Rows of the image between, and of the output.
    rows: [usize; 2],
    /// Output rows of a band.
    step: usize,
    stride: usize,
    pad_top: usize,
    /// Rows that one output row sees.
    reach: usize,
}

impl Bands {
    /// `None` where the shapes do not follow each other, or the depthwise convolution has a channel multiplier.
    fn new(conv: &Conv2dShape, depthwise: &DepthwiseConv2dShape, bytes: usize) -> Option<Self> {
        let between = [depthwise.in_h, depthwise.in_w, depthwise.in_c];
        if [conv.out_h, conv.out_w, conv.out_c] != between || depthwise.multiplier != 1 || depthwise.out_h == 0 {
            return None;
        }
        let Border { left, right, .. } = Border::of_depthwise(depthwise);
        let reach = (depthwise.k_h - 1) * depthwise.dilation_h + 1;
        let line = Plane::dense(1, depthwise.in_w, depthwise.in_c).with_border(Border {
            left,
            right,
            ..Border::NONE
        });
        let stride = depthwise.stride_h;
        let fitting = (BAND / (line.row_stride() * bytes).max(1)).saturating_sub(reach) / stride;
        let step = (fitting + 1).min(depthwise.out_h);
        Some(Self {
            plane: Plane {
                height: (step - 1) * stride + reach,
                ..line
            },
            rows: [depthwise.in_h, depthwise.out_h],
            step,
            stride,
            pad_top: depthwise.pad_top,
            reach,
        })
    }

    /// Computes band after band: `expand` rows of the image between, to pixels of the band; `reduce` them to rows of the output.
    fn each<T: Copy>(
        &self,
        zero: T,
        band: &mut [T],
        mut expand: impl FnMut(Range<usize>, &mut [T], Pixels),
        mut reduce: impl FnMut(&Range<usize>, View<'_, T>),
    ) {
        let Self {
            plane,
            rows: [between, out],
            step,
            stride,
            pad_top,
            reach,
        } = *self;
        let band = &mut band[..plane.len()];
        let row = plane.row_stride();
        for line in band.chunks_exact_mut(row) {
            line[..plane.border.left * plane.channels].fill(zero);
            line[row - plane.border.right * plane.channels..].fill(zero);
        }
        // Rows of the image between with the padding above it; those below `made` are in the band, or were.
        let (mut first, mut made) = (0, 0);
        for start in (0..out).step_by(step) {
            let outputs = start..(start + step).min(out);
            let seen = start * stride..(outputs.end - 1) * stride + reach;
            let kept = made.max(seen.start) - seen.start;
            let moved = (seen.start - first) * row;
            if kept != 0 {
                band.copy_within(moved..moved + kept * row, 0);
            }
            first = seen.start;
            let image = pad_top..pad_top + between;
            let [low, high] = [seen.start + kept, seen.end].map(|y| y.clamp(image.start, image.end));
            for y in (seen.start + kept..seen.end).filter(|y| !image.contains(y)) {
                let inside = plane.border.left * plane.channels..row - plane.border.right * plane.channels;
                band[(y - first) * row..][inside].fill(zero);
            }
            if low < high {
                let to = Pixels::of(&plane).rows_of(low - first..high - first);
                expand(low - pad_top..high - pad_top, band, to);
            }
            made = seen.end;
            reduce(&outputs, View::new(&plane, band));
        }
    }
}

/// In floats.
#[derive(Debug, Clone)]
pub struct FloatExpansion {
    bands: Bands,
    conv: FloatConv,
    gate: Option<(Isa, Gate, ClampF32)>,
    depthwise: FloatDepthwise,
}

impl FloatExpansion {
    /// Takes the two kernels, made for these shapes; `None` where they have no bands. What is between them may be multiplied by a gate
    /// of itself, and clamped.
    pub fn new(
        (conv_shape, conv): (&Conv2dShape, FloatConv),
        gate: Option<(Isa, Gate, ClampF32)>,
        (depthwise_shape, depthwise): (&DepthwiseConv2dShape, FloatDepthwise),
    ) -> Option<Self> {
        Some(Self {
            bands: Bands::new(conv_shape, depthwise_shape, size_of::<f32>())?,
            conv,
            gate,
            depthwise,
        })
    }

    /// Elements of scratch.
    pub fn scratch(&self) -> usize {
        self.bands.plane.len()
    }

    /// Convolves twice. `input` has the border of the first convolution; `scratch` is as long as [`FloatExpansion::scratch`] says.
    pub fn run(&self, input: View<'_, f32>, scratch: &mut [f32], mut output: ViewMut<'_, f32>) {
        self.bands.each(
            0.0,
            scratch,
            |rows, band, to| {
                self.conv.run_rows(rows, input, (band, to));
                if let Some((isa, gate, clamp)) = self.gate {
                    gate_rows(isa, gate, clamp, &self.bands.plane, to, band);
                }
            },
            |outputs, band| self.depthwise.run_band(outputs, band, &mut output),
        );
    }
}

/// In integers, as bytes `q + 128`.
#[derive(Debug, Clone)]
pub struct IntExpansion {
    bands: Bands,
    conv: IntConv,
    map: Option<ByteMap>,
    depthwise: IntDepthwise,
    zero: u8,
}

impl IntExpansion {
    /// Takes the two kernels, made for these shapes; `None` where they have no bands. What is between them may go through a table;
    /// `params` are those of the depthwise convolution.
    pub fn new(
        (conv_shape, conv): (&Conv2dShape, IntConv),
        map: Option<ByteMap>,
        (depthwise_shape, depthwise): (&DepthwiseConv2dShape, IntDepthwise),
        params: &LinearParams,
    ) -> Option<Self> {
        Some(Self {
            bands: Bands::new(conv_shape, depthwise_shape, size_of::<u8>())?,
            conv,
            map,
            depthwise,
            zero: u8::try_from(params.input_zero_point + 128).ok()?,
        })
    }

    /// Elements of scratch.
    pub fn scratch(&self) -> usize {
        self.bands.plane.len()
    }

    /// Convolves twice. `input` has the border of the first convolution; `scratch` is as long as [`IntExpansion::scratch`] says.
    pub fn run(&self, input: View<'_, u8>, scratch: &mut [u8], mut output: ViewMut<'_, u8>) {
        self.bands.each(
            self.zero,
            scratch,
            |rows, band, to| {
                self.conv.run_rows(rows, input, (band, to));
                if let Some(map) = &self.map {
                    let len = self.bands.plane.width * self.bands.plane.channels;
                    for y in 0..to.height {
                        map.apply(&mut band[to.origin + y * to.row_step..][..len]);
                    }
                }
            },
            |outputs, band| self.depthwise.run_band(outputs, band, &mut output),
        );
    }
}
