//! Where along a dimension the greatest element is.

/// The place of the greatest of `extent` elements that lie `inner` apart, of several the first; what is no number is never greater.
/// Source: `reference_ops::ArgMinMax` (`arg_min_max.h`).
pub fn arg_max<T: PartialOrd + Copy, I>(
    extent: usize,
    inner: usize,
    input: &[T],
    output: &mut [I],
    place: impl Fn(usize) -> I,
) {
    assert_eq!(input.len(), output.len() * extent, "elements of the input");
    for (rows, places) in input
        .chunks((extent * inner).max(1))
        .zip(output.chunks_mut(inner.max(1)))
    {
        for (i, slot) in places.iter_mut().enumerate() {
            let mut best = 0;
            for k in 1..extent {
                if rows[k * inner + i] > rows[best * inner + i] {
                    best = k;
                }
            }
            *slot = place(best);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::arg_max;

    #[test]
    fn the_first_of_several_along_either_dimension() {
        let input = [1.0, 4.0, 4.0, -3.0, -2.0, -2.5];
        let mut rows = [0i64; 2];
        arg_max(3, 1, &input, &mut rows, |k| k as i64);
        assert_eq!(rows, [1, 1]);
        let mut columns = [0i32; 3];
        arg_max(2, 3, &input, &mut columns, |k| k as i32);
        assert_eq!(columns, [0, 0, 0]);
    }
}
