//! Element-wise minimum and maximum of two tensors, with broadcasting.
//!
//! Integers are compared as they are: LiteRT does not rescale, so both inputs and the output need the same scale and
//! zero point; whoever builds the graph sees to that. Source: `reference_ops::MaximumMinimumBroadcastSlow`
//! (`maximum_minimum.h`).

use super::add::zip;
use crate::shape::Broadcast;

/// The smaller of each pair.
pub fn minimum_i8(shape: &Broadcast, a: &[i8], b: &[i8], output: &mut [i8]) {
    zip(shape, a, b, output, i8::min);
}

/// The larger of each pair.
pub fn maximum_i8(shape: &Broadcast, a: &[i8], b: &[i8], output: &mut [i8]) {
    zip(shape, a, b, output, i8::max);
}

/// The smaller of each pair of 16-bit integers.
pub fn minimum_i16(shape: &Broadcast, a: &[i16], b: &[i16], output: &mut [i16]) {
    zip(shape, a, b, output, i16::min);
}

/// The larger of each pair of 16-bit integers.
pub fn maximum_i16(shape: &Broadcast, a: &[i16], b: &[i16], output: &mut [i16]) {
    zip(shape, a, b, output, i16::max);
}

/// The smaller of each pair; the right one where they do not compare.
pub fn minimum_f32(shape: &Broadcast, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| if a < b { a } else { b });
}

/// The larger of each pair; the right one where they do not compare.
pub fn maximum_f32(shape: &Broadcast, a: &[f32], b: &[f32], output: &mut [f32]) {
    zip(shape, a, b, output, |a, b| if a > b { a } else { b });
}
