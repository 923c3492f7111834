//! Layer normalization.

/// Normalizes runs of `scale.len()` elements to mean 0 and variance 1, then scales and shifts each element.
///
/// Mean and variance are summed in double precision, every eighth element apart. Source: Ba et al. 2016.
pub fn layer_norm_f32(epsilon: f32, input: &[f32], scale: &[f32], bias: Option<&[f32]>, output: &mut [f32]) {
    layer_norm_rows(epsilon, input, scale, bias, output);
}

/// [`layer_norm_f32`], to be compiled for an instruction set.
#[expect(
    clippy::inline_always,
    reason = "what is not inlined is compiled without the instruction set"
)]
#[inline(always)]
pub(crate) fn layer_norm_rows(epsilon: f32, input: &[f32], scale: &[f32], bias: Option<&[f32]>, output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    assert!(
        bias.is_none_or(|bias| bias.len() == scale.len()),
        "as many shifts as factors"
    );
    if scale.is_empty() {
        return;
    }
    let n = scale.len() as f64;
    for (row, out) in input
        .chunks_exact(scale.len())
        .zip(output.chunks_exact_mut(scale.len()))
    {
        let mean = sum(row, f64::from) / n;
        let variance = sum(row, |x| (f64::from(x) - mean).powi(2)) / n;
        let factor = 1.0 / (variance + f64::from(epsilon)).sqrt();
        for (i, (&x, slot)) in row.iter().zip(out).enumerate() {
            let normalized = ((f64::from(x) - mean) * factor) as f32;
            *slot = normalized * scale[i] + bias.map_or(0.0, |bias| bias[i]);
        }
    }
}

/// The sum of `f` over all elements; sums that do not wait for each other become vectors.
#[expect(
    clippy::inline_always,
    reason = "what is not inlined is compiled without the instruction set"
)]
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f64) -> f64 {
    let (chunks, rest) = row.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += f(x);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&x| f(x)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::layer_norm_f32;

    #[test]
    fn each_row_is_normalized_by_itself() {
        let mut output = [0.0; 4];
        layer_norm_f32(
            0.0,
            &[1.0, 3.0, 10.0, 10.5],
            &[1.0, 2.0],
            Some(&[0.0, 0.5]),
            &mut output,
        );
        assert_eq!(output, [-1.0, 2.5, -1.0, 2.5]);
    }

    #[test]
    fn equal_elements_become_the_bias() {
        let mut output = [7.0; 3];
        layer_norm_f32(1e-5, &[4.0; 3], &[1.0; 3], None, &mut output);
        assert_eq!(output, [0.0; 3]);
    }
}
