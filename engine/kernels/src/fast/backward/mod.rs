//! Gradients of convolutions and fully connected layers on the fast product kernels, and of functions of one number.
//!
//! The gradient of an input is a product with the transposed weights, packed anew whenever the weights change. The gradient of weights is a
//! product over pixels ([`weights`]); it is *added* to what is there, so that samples of a batch come together in order.
//! Lanes never run along a sum, so results depend on the inputs and the instruction set alone.

mod conv;
mod dense;
mod depthwise;
mod unary;
mod weights;

pub use conv::ConvGradient;
pub use dense::DenseGradient;
pub use depthwise::DepthwiseGradient;
pub use unary::unary_gradient_f32;

use crate::quantized::ClampF32;

/// No clamp: gradients are what they are.
const UNCLAMPED: ClampF32 = ClampF32 {
    min: f32::NEG_INFINITY,
    max: f32::INFINITY,
};
