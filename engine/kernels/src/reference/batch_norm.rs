//! Batch normalization with fixed statistics: a scale and an offset per channel.

/// What normalization comes to; made once, used for every call.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormParams {
    /// Factor of each channel.
    pub scale: Vec<f32>,
    /// Summand of each channel.
    pub offset: Vec<f32>,
}

impl BatchNormParams {
    /// `gamma · (x − mean) / sqrt(variance + epsilon) + beta`, rearranged. Computed in `f64` and rounded once: it is
    /// the form that folding into a convolution uses, too.
    ///
    /// Source: Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 2.
    pub fn new(gamma: &[f32], beta: &[f32], mean: &[f32], variance: &[f32], epsilon: f32) -> Self {
        let channels = mean.len();
        assert!(
            gamma.len() == channels && beta.len() == channels && variance.len() == channels,
            "one of each per channel"
        );
        let factor = |c: usize| f64::from(gamma[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
        Self {
            scale: (0..channels).map(|c| factor(c) as f32).collect(),
            offset: (0..channels)
                .map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * factor(c)) as f32)
                .collect(),
        }
    }
}

/// Normalizes a tensor whose last dimension is the channels.
pub fn batch_norm_f32(params: &BatchNormParams, input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    assert_eq!(
        input.len() % params.scale.len().max(1),
        0,
        "channels divide the elements"
    );
    let channels = params.scale.iter().zip(&params.offset).cycle();
    for ((&x, slot), (&scale, &offset)) in input.iter().zip(output).zip(channels) {
        *slot = x * scale + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchNormParams, batch_norm_f32};

    #[test]
    fn a_channel_is_centred_scaled_and_shifted() {
        let params = BatchNormParams::new(&[2.0, 1.0], &[1.0, 0.0], &[3.0, 0.0], &[4.0, 1.0], 0.0);
        let mut output = [0.0; 4];
        batch_norm_f32(&params, &[3.0, 7.0, 5.0, -1.0], &mut output);
        assert_eq!(output, [1.0, 7.0, 3.0, -1.0]);
    }

    #[test]
    fn epsilon_keeps_a_constant_channel_finite() {
        let params = BatchNormParams::new(&[1.0], &[0.5], &[3.0], &[0.0], 1e-3);
        let mut output = [0.0];
        batch_norm_f32(&params, &[3.0], &mut output);
        assert!((output[0] - 0.5).abs() < 1e-4, "{output:?}");
    }
}
