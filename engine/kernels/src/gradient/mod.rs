//! Plain loops for learning: what operators compute and the vector–Jacobian products of it, in single or double precision ([`Real`]).
//!
//! Networks are trained in `f32`; in `f64` the same loops are checked against differences. Operators that are linear in each of two operands
//! are one family ([`products`]), operators that are linear in their one input another ([`Combination`]): their gradients are the same
//! loops read in another direction.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined is compiled without the instruction set: see `fast::vectorized`"
)]

mod binary;
mod combination;
mod function;
mod norm;
mod pool;
pub mod products;
mod real;
mod softmax;

pub use binary::{Binary, binary, binary_gradient};
pub use combination::Combination;
pub use function::{clamp, clamp_gradient, function, function_gradient};
pub use norm::{
    NormSums, add_columns, add_moments, add_norm_sums, layer_norm, layer_norm_gradient, layer_norm_parameters,
    scale_shift, scale_shift_sum,
};
pub use pool::{max_pool, max_pool_gradient, reduce_extreme, reduce_extreme_gradient, windows};
pub use real::Real;
pub use softmax::{softmax, softmax_gradient};
