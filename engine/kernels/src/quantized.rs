//! Integer arithmetic shared by all quantized kernels: how a real factor is applied to an integer.
//!
//! A quantized tensor stores `q` and means `real = scale · (q − zero_point)`. The sum of a convolution comes out in
//! units of `input scale · weight scale` and must be expressed in units of the output scale: it is multiplied by the
//! real number `M = input scale · weight scale / output scale`, rounded, and shifted by the output's zero point. How
//! that product is rounded differs between runtimes and, within LiteRT, between operators; each way is a variant of
//! [`Rounding`].
//!
//! Followed here: LiteRT 2.3, `BUILTIN_REF`, whose files are named where they matter.

mod activation;
mod fixed_point;
mod integer;
mod linear;
mod multiplier;

pub use activation::{Activation, ClampF32, ClampInt};
pub(crate) use fixed_point::{exp_on_negative_values, reciprocal};
pub use fixed_point::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul, saturating_shift_left};
pub use integer::Integer;
pub use linear::LinearParams;
pub use multiplier::{QuantizedMultiplier, Rounding};

/// The affine quantization of a whole tensor: `real = scale · (q − zero_point)`.
///
/// `scale` is finite and positive and `zero_point` lies in the range of the element type; whoever reads them from a
/// file checks that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// Real size of one step.
    pub scale: f32,
    /// The integer that means zero.
    pub zero_point: i32,
}

impl Quantization {
    /// Quantization with this scale and zero point.
    pub fn new(scale: f32, zero_point: i32) -> Self {
        Self { scale, zero_point }
    }
}
