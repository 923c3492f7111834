//! Parameters of the operators that are sums of products: convolutions and fully connected.

use super::{Activation, ClampInt, Integer, Quantization, QuantizedMultiplier, Rounding};

/// Everything that an integer convolution, depthwise or transposed convolution or fully connected layer needs beside
/// its tensors; made once, used for every call.
///
/// Source: `PopulateConvolutionQuantizationParams` (`kernels/kernel_util.cc`).
#[derive(Debug, Clone, PartialEq)]
pub struct LinearParams {
    /// Subtracted from every input.
    pub input_zero_point: i32,
    /// Added to every output.
    pub output_zero_point: i32,
    /// `input scale · weight scale / output scale` of each output channel.
    pub scales: Vec<f64>,
    /// The same as integers, for all roundings but [`Rounding::Float`].
    pub multipliers: Vec<QuantizedMultiplier>,
    /// How sums are requantized.
    pub rounding: Rounding,
    /// Bounds of the output: the fused activation.
    pub clamp: ClampInt,
}

impl LinearParams {
    /// Parameters for `channels` output channels. `weight_scales` has one element per output channel, or a single one
    /// for all.
    ///
    /// The factor is computed in `f64` from the `f32` scales in this order: another order changes its last bits, and
    /// with them some outputs.
    pub fn new(
        input: Quantization,
        weight_scales: &[f32],
        output: Quantization,
        channels: usize,
        activation: Activation,
        rounding: Rounding,
    ) -> Self {
        Self::clamped(
            input,
            weight_scales,
            output,
            channels,
            activation.clamp_i8(output),
            rounding,
        )
    }

    /// The same for activations of 16 bits, whose zero points are 0.
    pub fn new_i16(
        input: Quantization,
        weight_scales: &[f32],
        output: Quantization,
        channels: usize,
        activation: Activation,
        rounding: Rounding,
    ) -> Self {
        Self::clamped(
            input,
            weight_scales,
            output,
            channels,
            activation.clamp_i16(output),
            rounding,
        )
    }

    fn clamped(
        input: Quantization,
        weight_scales: &[f32],
        output: Quantization,
        channels: usize,
        clamp: ClampInt,
        rounding: Rounding,
    ) -> Self {
        assert!(
            weight_scales.len() == 1 || weight_scales.len() == channels,
            "{} weight scales for {channels} channels",
            weight_scales.len()
        );
        let scale = |weight: f32| f64::from(input.scale) * f64::from(weight) / f64::from(output.scale);
        let scales: Vec<f64> = weight_scales
            .iter()
            .cycle()
            .take(channels)
            .map(|&weight| scale(weight))
            .collect();
        Self {
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            multipliers: scales
                .iter()
                .map(|&scale| QuantizedMultiplier::from_real(scale))
                .collect(),
            scales,
            rounding,
            clamp,
        }
    }

    /// The output that the sum `acc` of `channel` (bias included) becomes.
    pub fn requantize(&self, channel: usize, acc: i32) -> i8 {
        let scaled = match self.rounding {
            Rounding::Double => self.multipliers[channel].apply_double(acc),
            Rounding::Single => self.multipliers[channel].apply_single(acc),
            Rounding::Reduced => self.multipliers[channel].apply_reduced(acc.into()),
            Rounding::Float => (f64::from(acc) * self.scales[channel]).round() as i32,
        };
        self.clamp.apply(scaled.saturating_add(self.output_zero_point))
    }

    /// The output that the sum `acc` of products of 16-bit activations becomes.
    ///
    /// Roundings that know 32-bit sums only belong to layers with 32-bit biases, whose sums wrap around in the runtime, too.
    pub fn requantize_wide<T: Integer>(&self, channel: usize, acc: i64) -> T {
        let scaled = match self.rounding {
            Rounding::Double => self.multipliers[channel].apply_double(acc as i32),
            Rounding::Single => self.multipliers[channel].apply_single(acc as i32),
            Rounding::Reduced => self.multipliers[channel].apply_reduced(acc),
            Rounding::Float => (acc as f64 * self.scales[channel]).round() as i32,
        };
        self.clamp.apply(scaled.saturating_add(self.output_zero_point))
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, LinearParams, Quantization, Rounding};

    fn halving(rounding: Rounding) -> LinearParams {
        let one = Quantization::new(1.0, 0);
        LinearParams::new(one, &[0.25], one, 1, Activation::None, rounding)
    }

    #[test]
    fn the_three_roundings_differ_at_negative_ties() {
        let of = |rounding, acc| halving(rounding).requantize(0, acc);
        assert_eq!(of(Rounding::Double, -6), -2);
        assert_eq!(of(Rounding::Single, -6), -1);
        assert_eq!(of(Rounding::Float, -6), -2);
        assert_eq!(of(Rounding::Double, -1), 0);
        assert_eq!(of(Rounding::Float, -1), 0);
    }

    #[test]
    fn one_weight_scale_serves_all_channels() {
        let one = Quantization::new(1.0, 0);
        let params = LinearParams::new(one, &[0.5], one, 3, Activation::None, Rounding::Double);
        assert_eq!(params.scales, [0.5, 0.5, 0.5]);
    }
}
