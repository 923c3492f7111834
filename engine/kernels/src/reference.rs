//! One plain loop per operator: the specification that the fast kernels are tested against.
//!
//! A file per operator or family holds its arithmetics side by side: `_f32`, `_i8` (full integer, equal in every bit
//! to LiteRT's `BUILTIN_REF`), `_i16` (the same with 16-bit activations) and `_hybrid` (dynamic range: `f32` activations, `i8` weights). Every function names
//! its source, a function of LiteRT's `tflite/kernels/internal/reference/`.

mod add;
mod arg_max;
mod batch_norm;
mod conv2d;
mod depthwise_conv2d;
mod div;
mod extremum;
mod fully_connected;
mod hard_swish;
mod hybrid;
mod layer_norm;
mod layout;
mod line;
mod matmul;
mod mean;
mod mul;
mod pool;
mod pow;
mod quantize;
mod recurrent;
mod reduce;
mod relu;
mod resize;
mod select;
mod sigmoid;
mod softmax;
pub(crate) mod taps;
mod transpose_conv2d;
mod unary;

pub use add::{AddParams, add_f32, add_i8, add_i16, sub_f32, sub_i8, sub_i16};
pub use arg_max::arg_max;
pub use batch_norm::{BatchNormParams, batch_norm_f32};
pub use conv2d::{conv2d_f32, conv2d_i8, conv2d_i16};
pub use depthwise_conv2d::{depthwise_conv2d_f32, depthwise_conv2d_i8, depthwise_conv2d_i16};
pub use div::{DivParams, div_f32, div_i8};
pub use extremum::{maximum_f32, maximum_i8, maximum_i16, minimum_f32, minimum_i8, minimum_i16};
pub use fully_connected::{fully_connected_f32, fully_connected_i8, fully_connected_i16};
pub use hard_swish::{HardSwishParams, hard_swish_i8};
pub use hybrid::{conv2d_hybrid, depthwise_conv2d_hybrid, fully_connected_hybrid, transpose_conv2d_hybrid};
pub use layer_norm::layer_norm_f32;
pub(crate) use layer_norm::layer_norm_rows;
pub use layout::{concat, gather, pad, reshape, slice, split, transpose};
pub use matmul::{MatMulParams, mat_mul_f32, mat_mul_i8};
pub use mean::{MeanParams, mean_f32, mean_i8, mean_i16};
pub use mul::{MulParams, mul_f32, mul_i8, mul_i16};
pub use pool::{
    average_pool2d_f32, average_pool2d_i8, average_pool2d_i16, max_pool2d_f32, max_pool2d_i8, max_pool2d_i16,
};
pub use pow::pow_f32;
pub use quantize::{RequantizeParams, dequantize, quantize, quantize_dynamic, quantize_dynamic_symmetric, requantize};
pub use recurrent::recurrent_f32;
pub use reduce::{
    reduce_max_f32, reduce_max_i8, reduce_max_i16, reduce_min_f32, reduce_min_i8, reduce_min_i16, reduce_sum_f32,
};
pub use relu::{
    LeakyReluParams, PReluParams, ReluParams, leaky_relu_i8, leaky_relu_i16, prelu_f32, prelu_i8, relu_f32, relu_i8,
    relu_i16,
};
pub(crate) use resize::{Between, ONE as ONE_PIXEL};
pub use resize::{resize_bilinear_f32, resize_bilinear_i8, resize_bilinear_i16, resize_nearest};
pub use select::select_f32;
pub use sigmoid::{SigmoidParams, logistic_i16, tanh_i16};
pub use softmax::{Softmax16Params, SoftmaxParams, softmax_f32, softmax_i8, softmax_i16};
pub use transpose_conv2d::{transpose_conv2d_f32, transpose_conv2d_i8, transpose_conv2d_i16};
pub use unary::{Table, Unary, table_i8, unary_f32};
