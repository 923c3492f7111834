//! Operators that only move elements: they are the same for every element type, and exact.
//!
//! Quantized inputs and output share their scale and zero point. (LiteRT demands that of an `i8` concatenation; it
//! rescales `u8` ones alone.)

use std::ops::Range;

/// `output = input`: only the shape differs.
pub fn reshape<T: Copy>(input: &[T], output: &mut [T]) {
    output.copy_from_slice(input);
}

/// Axis `i` of the output is axis `permutation[i]` of the input of shape `dims`.
///
/// Source: `reference_ops::Transpose` (`transpose.h`).
pub fn transpose<T: Copy>(dims: &[usize], permutation: &[usize], input: &[T], output: &mut [T]) {
    assert_eq!(
        dims.len(),
        permutation.len(),
        "an axis of the output for each axis of the input"
    );
    assert_eq!(input.len(), output.len(), "elements");
    let axis = |i: usize| (dims[permutation[i]], stride(dims, permutation[i]) as isize);
    walk(0..dims.len(), &axis, 0, input, output);
}

/// The part of an input of shape `dims` that starts at `begin`, takes every `step`-th element and is of shape `size`.
///
/// Source: `reference_ops::Slice` (`slice.h`) and `StridedSlice` (`strided_slice.h`) without masks, which whoever
/// builds the graph resolves. A negative step walks backwards.
pub fn slice<T: Copy>(dims: &[usize], begin: &[usize], step: &[isize], size: &[usize], input: &[T], output: &mut [T]) {
    assert!(
        dims.len() == begin.len() && dims.len() == step.len() && dims.len() == size.len(),
        "one of each per axis"
    );
    assert_eq!(output.len(), size.iter().product::<usize>(), "elements of the output");
    let axis = |i: usize| (size[i], step[i] * stride(dims, i) as isize);
    let first: usize = begin
        .iter()
        .enumerate()
        .map(|(i, &begin)| begin * stride(dims, i))
        .sum();
    walk(0..dims.len(), &axis, first as isize, input, output);
}

/// Concatenation along an axis: `outer` is the product of the dimensions before it, and each input holds `outer` runs.
///
/// Source: `reference_ops::Concatenation` (`concatenation.h`).
pub fn concat<T: Copy>(outer: usize, inputs: &[&[T]], output: &mut [T]) {
    let mut output = output;
    for run in 0..outer {
        for input in inputs {
            let len = input.len() / outer;
            let (slot, rest) = output.split_at_mut(len);
            slot.copy_from_slice(&input[run * len..][..len]);
            output = rest;
        }
    }
    assert!(output.is_empty(), "the inputs fill the output");
}

/// The inverse of [`concat()`]: each output receives `outer` runs of its length.
pub fn split<T: Copy>(outer: usize, input: &[T], outputs: &mut [&mut [T]]) {
    let mut input = input;
    for run in 0..outer {
        for output in &mut *outputs {
            let len = output.len() / outer;
            let (slot, rest) = input.split_at(len);
            output[run * len..][..len].copy_from_slice(slot);
            input = rest;
        }
    }
    assert!(input.is_empty(), "the outputs take the whole input");
}

/// `output[o, i, …] = input[o, indices[i], …]`: `outer` runs of slices of `inner` elements each, of which `indices` picks some. What
/// lies outside is taken as the nearest index; there is at least one slice to pick.
///
/// Source: `reference_ops::Gather` (`gather.h`), which stops the model at an index that lies outside.
pub fn gather<T: Copy, I: Copy>(outer: usize, inner: usize, input: &[T], indices: &[I], output: &mut [T])
where
    usize: TryFrom<I>,
{
    let extent = input.len() / (outer * inner).max(1);
    assert_eq!(output.len(), outer * indices.len() * inner, "elements of the output");
    if output.is_empty() {
        return;
    }
    if inner == 1 {
        for (input, output) in input.chunks_exact(extent).zip(output.chunks_exact_mut(indices.len())) {
            for (slot, &index) in output.iter_mut().zip(indices) {
                *slot = input[usize::try_from(index).unwrap_or(0).min(extent - 1)];
            }
        }
        return;
    }
    let slices = (0..outer).flat_map(|run| indices.iter().map(move |&index| (run, index)));
    for ((run, index), output) in slices.zip(output.chunks_exact_mut(inner)) {
        let index = usize::try_from(index).unwrap_or(0).min(extent - 1);
        output.copy_from_slice(&input[(run * extent + index) * inner..][..inner]);
    }
}

/// An input of shape `dims` in an output of shape `out_dims`, `before` elements from its start along each axis; the
/// rest is `value` (for quantized tensors the zero point). Source: `reference_ops::Pad` (`pad.h`).
pub fn pad<T: Copy>(dims: &[usize], before: &[usize], out_dims: &[usize], value: T, input: &[T], output: &mut [T]) {
    assert!(
        dims.len() == before.len() && dims.len() == out_dims.len(),
        "one of each per axis"
    );
    assert_eq!(input.len(), dims.iter().product::<usize>(), "elements of the input");
    assert_eq!(
        output.len(),
        out_dims.iter().product::<usize>(),
        "elements of the output"
    );
    output.fill(value);
    place(dims, before, out_dims, input, output);
}

/// Copies the input into the middle of the output, axis by axis.
fn place<T: Copy>(dims: &[usize], before: &[usize], out_dims: &[usize], input: &[T], output: &mut [T]) {
    let (&[_, ref dims @ ..], &[before, ref befores @ ..], &[_, ref out_dims @ ..]) = (dims, before, out_dims) else {
        output.copy_from_slice(input);
        return;
    };
    let (len, out_len) = (dims.iter().product::<usize>(), out_dims.iter().product::<usize>());
    if len == 0 {
        return;
    }
    for (input, output) in input.chunks(len).zip(output.chunks_mut(out_len).skip(before)) {
        place(dims, befores, out_dims, input, output);
    }
}

/// Fills the output, in order, from the input elements at `first` plus the offsets along `axes`, each of which `axis`
/// describes as `(size, stride)`.
fn walk<T: Copy>(
    axes: Range<usize>,
    axis: &impl Fn(usize) -> (usize, isize),
    first: isize,
    input: &[T],
    output: &mut [T],
) {
    if output.is_empty() {
        return;
    }
    if axes.is_empty() {
        output[0] = input[first as usize];
        return;
    }
    let (size, stride) = axis(axes.start);
    let len = output.len() / size;
    let starts = (0..).map(|i| first + i * stride);
    for (start, output) in starts.zip(output.chunks_mut(len)) {
        walk(axes.start + 1..axes.end, axis, start, input, output);
    }
}

/// The distance of neighbours along an axis of a row-major tensor.
fn stride(dims: &[usize], axis: usize) -> usize {
    dims[axis + 1..].iter().product()
}

#[cfg(test)]
mod tests {
    use super::{concat, gather, pad, slice, split, transpose};

    #[test]
    fn transposing_a_matrix() {
        let mut output = [0; 6];
        transpose(&[2, 3], &[1, 0], &[1, 2, 3, 4, 5, 6], &mut output);
        assert_eq!(output, [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn channels_first_becomes_channels_last() {
        let mut output = [' '; 8];
        transpose(
            &[1, 2, 2, 2],
            &[0, 2, 3, 1],
            &['a', 'b', 'c', 'd', 'A', 'B', 'C', 'D'],
            &mut output,
        );
        assert_eq!(output, ['a', 'A', 'b', 'B', 'c', 'C', 'd', 'D']);
    }

    #[test]
    fn slicing_with_steps_and_backwards() {
        let input: Vec<u8> = (0..12).collect();
        let mut output = [0; 4];
        slice(&[3, 4], &[0, 1], &[2, 2], &[2, 2], &input, &mut output);
        assert_eq!(output, [1, 3, 9, 11]);
        slice(&[3, 4], &[2, 3], &[-1, -2], &[2, 2], &input, &mut output);
        assert_eq!(output, [11, 9, 7, 5]);
    }

    #[test]
    fn splitting_undoes_concatenating() {
        let mut joined = [0; 6];
        concat(2, &[&[1, 2], &[3, 4, 5, 6]], &mut joined);
        assert_eq!(joined, [1, 3, 4, 2, 5, 6]);
        let (mut a, mut b) = ([0; 2], [0; 4]);
        split(2, &joined, &mut [&mut a, &mut b]);
        assert_eq!((a, b), ([1, 2], [3, 4, 5, 6]));
    }

    #[test]
    fn indices_may_repeat_and_what_lies_outside_is_moved_inside() {
        let mut output = [0; 8];
        gather(2, 1, &[1, 2, 3, 4, 5, 6], &[2, 0, -5, 9], &mut output);
        assert_eq!(output, [3, 1, 1, 3, 6, 4, 4, 6]);
        let mut rows = [0; 4];
        gather(1, 2, &[1, 2, 3, 4, 5, 6], &[1, 1], &mut rows);
        assert_eq!(rows, [3, 4, 3, 4]);
    }

    #[test]
    fn a_scalar_stays_a_scalar() {
        let mut output = [0];
        transpose(&[], &[], &[7], &mut output);
        assert_eq!(output, [7]);
        pad(&[], &[], &[], 0, &[8], &mut output);
        assert_eq!(output, [8]);
    }

    #[test]
    fn nothing_stays_nothing() {
        transpose::<u8>(&[2, 0], &[1, 0], &[], &mut []);
        let mut output = [0; 4];
        pad(&[2, 0], &[0, 1], &[2, 2], 5, &[], &mut output);
        assert_eq!(output, [5; 4]);
    }

    #[test]
    fn padding_is_asymmetric() {
        let mut output = [0; 9];
        pad(&[2, 1], &[0, 2], &[3, 3], 9, &[1, 2], &mut output);
        assert_eq!(output, [9, 9, 1, 9, 9, 2, 9, 9, 9]);
    }
}
