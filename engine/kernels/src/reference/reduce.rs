//! Sum, greatest and least element over some axes.

use crate::shape::Reduce;

/// Float sum, in the order of the input. Source: `reference_ops::ReduceGeneric` (`reduce.h`).
pub fn reduce_sum_f32(shape: &Reduce, input: &[f32], output: &mut [f32]) {
    reduce(shape, 0.0, input, output, |sum, x| sum + x);
}

/// The greatest element; the lowest number of none. Source: `reference_ops::ReduceGeneric` (`reduce.h`).
pub fn reduce_max_f32(shape: &Reduce, input: &[f32], output: &mut [f32]) {
    reduce(shape, f32::MIN, input, output, |max, x| if x > max { x } else { max });
}

/// The least element; the highest number of none. Source: `reference_ops::ReduceGeneric` (`reduce.h`).
pub fn reduce_min_f32(shape: &Reduce, input: &[f32], output: &mut [f32]) {
    reduce(shape, f32::MAX, input, output, |min, x| if x < min { x } else { min });
}

/// The greatest stored integer; input and output share scale and zero point.
pub fn reduce_max_i8(shape: &Reduce, input: &[i8], output: &mut [i8]) {
    reduce(shape, i8::MIN, input, output, i8::max);
}

/// The least stored integer; input and output share scale and zero point.
pub fn reduce_min_i8(shape: &Reduce, input: &[i8], output: &mut [i8]) {
    reduce(shape, i8::MAX, input, output, i8::min);
}

/// The greatest stored 16-bit integer.
pub fn reduce_max_i16(shape: &Reduce, input: &[i16], output: &mut [i16]) {
    reduce(shape, i16::MIN, input, output, i16::max);
}

/// The least stored 16-bit integer.
pub fn reduce_min_i16(shape: &Reduce, input: &[i16], output: &mut [i16]) {
    reduce(shape, i16::MAX, input, output, i16::min);
}

fn reduce<T: Copy>(shape: &Reduce, start: T, input: &[T], output: &mut [T], f: impl Fn(T, T) -> T) {
    assert_eq!(input.len(), shape.input_len(), "elements of the input");
    assert_eq!(output.len(), shape.output_len(), "elements of the output");
    for (out, slot) in output.iter_mut().enumerate() {
        *slot = shape.inputs(out).fold(start, |folded, i| f(folded, input[i]));
    }
}

#[cfg(test)]
mod tests {
    use super::{reduce_max_f32, reduce_min_i8, reduce_sum_f32};
    use crate::shape::Reduce;

    #[test]
    fn rows_and_columns() {
        let input = [1.0, -2.0, 3.0, 4.0, 5.0, -6.0];
        let mut sums = [0.0; 2];
        reduce_sum_f32(&Reduce::new(&[2, 3], &[1]), &input, &mut sums);
        assert_eq!(sums, [2.0, 3.0]);
        let mut greatest = [0.0; 3];
        reduce_max_f32(&Reduce::new(&[2, 3], &[0]), &input, &mut greatest);
        assert_eq!(greatest, [4.0, 5.0, 3.0]);
        let mut least = [0];
        reduce_min_i8(&Reduce::new(&[3], &[0]), &[3, -128, 127], &mut least);
        assert_eq!(least, [-128]);
    }
}
