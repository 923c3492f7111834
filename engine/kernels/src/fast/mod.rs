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
mod backward;
mod conv;
mod convert;
mod dense;
mod depthwise;
mod elementwise;
mod hybrid;
mod isa;
mod matmul;
mod plane;
mod pool;
mod product;
mod requantize;
mod simd;

pub use aligned::{Aligned, Element};
pub use backward::{ConvGradient, DenseGradient, DepthwiseGradient};
pub use conv::{FloatConv, IntConv};
pub use convert::{dequantize, from_bytes, quantize, to_bytes};
pub use dense::{FloatDense, IntDense};
pub use depthwise::{FloatDepthwise, IntDepthwise};
pub use elementwise::{ByteMap, IntAdd, IntMul, add_f32, clamp_f32, mul_f32, sub_f32};
pub use hybrid::{HybridConv, HybridDense};
pub use isa::{Isa, vectorized};
pub use matmul::{mat_mul_f32, mat_mul_scratch};
pub use plane::{Border, Plane, View, ViewMut};
pub use pool::{average_pool_f32, average_pool_int, global_mean_f32, global_mean_int, max_pool_f32, max_pool_int};

#[cfg(test)]
mod tests;
