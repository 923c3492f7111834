//! Symmetric integer weights: `w ≈ scale · q`, q in −127..=127 (or −7..=7), zero point 0.
//!
//! −128 is left out so that the range is symmetric and a product of two weights fits 15 bits.
//! Source: TensorFlow Lite 8-bit quantization specification.

use ir::{Constant, Op, Quantization, Scale};
use ndarray::{ArrayD, ArrayViewD, Axis};

use super::{Granularity, Grid};
use std::collections::BTreeSet;

/// Whether the weights of `op` get a scale for each output channel under `granularity`.
///
/// Fully connected layers keep one scale: older runtimes know no other. Depthwise and grouped convolutions always have one a
/// channel: the dynamic-range kernels of LiteRT take no other.
pub fn per_channel(op: &Op, granularity: Granularity) -> bool {
    match op {
        Op::FullyConnected(_) => false,
        Op::DepthwiseConv2d(_) => true,
        Op::Conv2d(conv) if conv.groups > 1 => true,
        _ => granularity == Granularity::Channel,
    }
}

/// The scale of each channel (or the one of the tensor): the greatest magnitude over `limit`.
///
/// A channel of zeros takes the scale of the whole tensor, so that its bias keeps its precision.
/// `floor(i)` is a lower bound on the scale of channel `i`, with which an `i32` bias does not overflow.
pub fn scales(
    weights: ArrayViewD<'_, f32>,
    axis: Option<usize>,
    limit: f32,
    floor: impl Fn(usize) -> f32,
) -> Vec<Scale> {
    let greatest = |view: ArrayViewD<'_, f32>| view.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let whole = greatest(weights.view());
    let whole = if whole > 0.0 { whole } else { 1.0 };
    let magnitudes = match axis {
        Some(axis) => weights.axis_iter(Axis(axis)).map(greatest).collect(),
        None => vec![whole],
    };
    let scale = |(i, m): (usize, f32)| {
        let m = if m > 0.0 { m } else { whole };
        // The smallest normal number bounds a channel of denormals.
        Scale::new((m / limit).max(floor(i)).max(f32::MIN_POSITIVE)).unwrap_or(Scale::new(1.0).expect("1 is positive"))
    };
    magnitudes.into_iter().enumerate().map(scale).collect()
}

/// Whether all channels of a tensor share a few values: at most 64, each of them 8 times on average.
///
/// Scales of their own would make different integers of one value in different channels.
pub fn shares_values(weights: ArrayViewD<'_, f32>) -> bool {
    const MOST: usize = 64;
    let mut seen = BTreeSet::new();
    for &w in &weights {
        if seen.insert((w + 0.0).to_bits()) && seen.len() > MOST {
            return false;
        }
    }
    weights.len() >= 8 * seen.len()
}

/// How many different integers a tensor has on a grid.
pub fn distinct_integers(weights: ArrayViewD<'_, f32>, grid: &Grid) -> usize {
    let (data, _) = quantized(weights, grid);
    let values = data.as_i8().unwrap_or_default();
    values.iter().collect::<BTreeSet<_>>().len()
}

/// The weights as integers of the grid, rounded half away from zero and stored as bytes.
pub fn quantized(weights: ArrayViewD<'_, f32>, grid: &Grid) -> (Constant, Quantization) {
    let Grid { axis, scales, limit } = grid;
    let (axis, scales) = (*axis, scales.clone());
    let q = |w: f32, s: Scale| (w / s.get()).round().clamp(-limit, *limit) as i8;
    let mut out = weights.map(|_| 0i8);
    match axis {
        Some(axis) => {
            let channels = out.axis_iter_mut(Axis(axis)).zip(weights.axis_iter(Axis(axis)));
            for ((mut to, from), &s) in channels.zip(&scales) {
                to.zip_mut_with(&from, |t, &w| *t = q(w, s));
            }
        }
        None => out.zip_mut_with(&weights, |t, &w| *t = q(w, scales[0])),
    }
    let quantization = match axis {
        Some(axis) => Quantization::per_axis(scales, axis),
        None => Quantization::per_tensor(scales[0], 0),
    };
    (Constant::I8(out.into_shared()).dense(), quantization)
}

/// Whether weights of this shape are cut into whole blocks along the input channels, their last dimension.
///
/// Those of depthwise convolutions have one input channel an output.
pub fn has_blocks(op: &Op, dims: &[usize], block: usize) -> bool {
    let channels = dims.last().copied().unwrap_or(0);
    matches!(op, Op::Conv2d(_) | Op::FullyConnected(_)) && channels > 0 && channels % block == 0
}

/// The weights as integers of up to `limit` steps, with a scale for each `block` neighbours along the last dimension.
///
/// A block of zeros takes the scale of the whole tensor.
pub fn in_blocks(weights: ArrayViewD<'_, f32>, block: usize, limit: f32) -> (Constant, Quantization) {
    let dims = weights.shape().to_vec();
    let rows: Vec<f32> = weights.iter().copied().collect();
    let blocks = rows.len() / block;
    let rows = ArrayD::from_shape_vec(vec![blocks, block], rows).expect("whole blocks");
    let scales = scales(rows.view(), Some(0), limit, |_| 0.0);
    let grid = Grid {
        axis: Some(0),
        scales: scales.clone(),
        limit,
    };
    let (data, _) = quantized(rows.view(), &grid);
    let data = data.reshaped(dims.clone()).expect("as many weights");
    (data, Quantization::per_block(scales, dims.len() - 1, block))
}

/// The real numbers that weights on a grid stand for.
pub fn on_grid(weights: ArrayViewD<'_, f32>, grid: &Grid) -> ArrayD<f32> {
    let (data, quantization) = quantized(weights.view(), grid);
    let steps = data.as_i8().unwrap_or_default();
    let inner: usize = quantization
        .axis
        .map_or(1, |axis| weights.shape()[axis + 1..].iter().product());
    let channels = quantization.scales.len();
    let real = |(i, &q): (usize, &i8)| f32::from(q) * quantization.scales[i / inner % channels].get();
    let values = steps.iter().enumerate().map(real).collect();
    ArrayD::from_shape_vec(weights.raw_dim(), values).expect("as many values as before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depthwise_and_grouped_convolutions_have_a_scale_for_each_channel_in_any_case() {
        let conv = |groups| {
            Op::from(ir::ops::Conv2d {
                groups,
                ..Default::default()
            })
        };
        assert!(per_channel(&conv(2), Granularity::Tensor));
        assert!(per_channel(
            &ir::ops::DepthwiseConv2d::default().into(),
            Granularity::Tensor
        ));
        assert!(!per_channel(&conv(1), Granularity::Tensor) && per_channel(&conv(1), Granularity::Channel));
    }

    #[test]
    fn each_channel_uses_its_whole_range_and_a_dead_one_borrows_a_scale() {
        let w = ArrayD::from_shape_vec(vec![3, 2], vec![1.27, -0.5, 0.0, 0.0, 12.7, -12.7]).unwrap();
        let grid = Grid {
            axis: Some(0),
            scales: scales(w.view(), Some(0), 127.0, |_| 0.0),
            limit: 127.0,
        };
        let (q, quantization) = quantized(w.view(), &grid);
        assert_eq!(q.as_i8().unwrap(), [127, -50, 0, 0, 127, -127]);
        let got: Vec<f32> = quantization.scales.iter().map(|s| s.get()).collect();
        assert_eq!(got, [1.27 / 127.0, 12.7 / 127.0, 12.7 / 127.0]);
    }
}
