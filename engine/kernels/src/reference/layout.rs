//! Operators that only move elements: they are the same for every element type, and exact.
//!
//! Quantized inputs and output share their scale and zero point. (LiteRT demands that of an `i8` concatenation; it rescales `u8` ones
//! alone.)

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
    let strides = strides(dims);
    let axes: Vec<_> = permutation
        .iter()
        .map(|&axis| (dims[axis], strides[axis] as isize))
        .collect();
    gather(&axes, 0, input, output);
}

/// The part of an input of shape `dims` that starts at `begin`, takes every `step`-th element and is of shape `size`.
///
/// Source: `reference_ops::Slice` (`slice.h`) and `StridedSlice` (`strided_slice.h`) without masks, which whoever builds the graph resolves. A
/// negative step walks backwards.
pub fn slice<T: Copy>(dims: &[usize], begin: &[usize], step: &[isize], size: &[usize], input: &[T], output: &mut [T]) {
    assert!(
        dims.len() == begin.len() && dims.len() == step.len() && dims.len() == size.len(),
        "one of each per axis"
    );
    let strides = strides(dims);
    let first = begin.iter().zip(&strides).map(|(&begin, &stride)| begin * stride).sum();
    let axes: Vec<_> = size
        .iter()
        .zip(step)
        .zip(&strides)
        .map(|((&size, &step), &stride)| (size, step * stride as isize))
        .collect();
    gather(&axes, first, input, output);
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

/// The inverse of [`concat`]: each output receives `outer` runs of its length.
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

/// An input of shape `dims` in an output of shape `out_dims`, `before` elements from its start along each axis; the rest is
/// `value` (for quantized tensors the zero point). Source: `reference_ops::Pad` (`pad.h`).
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
    let out_strides = strides(out_dims);
    for (flat, &element) in input.iter().enumerate() {
        let (mut rest, mut at) = (flat, 0);
        for axis in (0..dims.len()).rev() {
            at += (rest % dims[axis] + before[axis]) * out_strides[axis];
            rest /= dims[axis];
        }
        output[at] = element;
    }
}

/// Fills the output, in order, from the input elements at `first` plus the offsets of axes of `(size, stride)`.
fn gather<T: Copy>(axes: &[(usize, isize)], first: usize, input: &[T], output: &mut [T]) {
    assert_eq!(
        output.len(),
        axes.iter().map(|axis| axis.0).product::<usize>(),
        "elements of the output"
    );
    for (flat, slot) in output.iter_mut().enumerate() {
        let (mut rest, mut at) = (flat, first as isize);
        for &(size, stride) in axes.iter().rev() {
            at += (rest % size) as isize * stride;
            rest /= size;
        }
        *slot = input[at as usize];
    }
}

/// Row-major strides of a shape.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::{concat, pad, slice, split, transpose};

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
    fn padding_is_asymmetric() {
        let mut output = [0; 9];
        pad(&[2, 1], &[0, 2], &[3, 3], 9, &[1, 2], &mut output);
        assert_eq!(output, [9, 9, 1, 9, 9, 2, 9, 9, 9]);
    }
}
