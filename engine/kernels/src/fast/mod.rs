//! Fast kernels: what [`reference`](crate::reference) computes, as fast as the processor can.
//!
//! - One sample at a time; threads run different samples. Kernels keep no state: `run` takes `&self`, allocates nothing, and its result
//!   depends on its inputs only. Weights are packed once, by `new`.
//! - Images are channels-last in buffers with a border that is physically there ([`Plane`]), so convolutions need neither
//!   im2col nor bounds checks per tap. The border is filled by whoever owns the buffer, once.
//! - Integer activations are bytes `q + 128` (`u8`), because the processor multiplies unsigned activations by signed weights;
//!   [`to_bytes`] and [`from_bytes`] convert at a model's edges. Integer results equal the reference's in every bit, on every
//!   [`Isa`].
//! - Float results differ from the reference's, and between instruction sets, by the order of sums and by fused
//!   multiplication and addition: for a sum of `n` products by at most about `n · 2^-24 · Σ |x · w|`.
//! - A slice or plane that does not fit is a mistake of the caller and panics, before anything is computed.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined is compiled without the instruction set: see `simd`"
)]

mod aligned;
mod axes;
mod backward;
mod conv;
mod convert;
mod dense;
mod depthwise;
mod elementwise;
mod expansion;
mod fold;
mod function;
mod hybrid;
mod isa;
mod layout;
mod matmul;
mod norm;
mod plane;
mod pool;
mod product;
mod recurrent;
mod requantize;
mod resize;
mod short;
mod simd;
mod softmax;
mod transpose_conv;

pub use aligned::{Aligned, Element};
pub use backward::{ConvGradient, DenseGradient, DepthwiseGradient, unary_gradient_f32};
pub use conv::{FloatConv, IntConv};
pub use convert::{dequantize, dequantize_stored, from_bytes, quantize, quantize_stored, to_bytes};
pub use dense::{FloatDense, IntDense};
pub use depthwise::{FloatDepthwise, IntDepthwise};
pub use elementwise::{
    Binary, ByteMap, ByteZip, Gate, Lookup, Meeting, ShortZip, Stored, binary_f32, clamp_f32, gated_f32, unary_f32,
};
pub use expansion::{FloatExpansion, IntExpansion};
pub use fold::Folding;
pub use hybrid::{HybridConv, HybridDense, HybridDepthwise, HybridTransposeConv};
pub use isa::{Isa, vectorized};
pub use layout::Move;
pub use matmul::{mat_mul_f32, mat_mul_int, mat_mul_int_scratch, mat_mul_scratch};
pub use norm::{batch_norm_f32, layer_norm_f32};
pub use plane::{Border, Plane, View, ViewMut};
pub use pool::{
    average_pool_f32, average_pool_int, average_pool_short, global_mean_f32, global_mean_int, max_pool_f32,
    max_pool_int, max_pool_short,
};
pub use recurrent::FloatRecurrent;
pub use resize::{FloatResize, IntResize};
pub use short::{ShortConv, ShortDense, ShortDepthwise};
pub use softmax::{ByteSoftmax, ShortSoftmax, softmax_f32};
pub use transpose_conv::{FloatTransposeConv, IntTransposeConv, ShortTransposeConv, border_of_transpose_conv};

#[cfg(test)]
mod tests;
