//! One plain loop per operator: the specification that the fast kernels are tested against.
//!
//! A file per operator or family holds its arithmetics side by side: `_f32`, `_i8` (full integer, equal in every bit to LiteRT's
//! `BUILTIN_REF`) and `_hybrid` (dynamic range: `f32` activations, `i8` weights). Every function names its source, a function of
//! LiteRT's `tflite/kernels/internal/reference/`.

mod add;
mod conv2d;
mod depthwise_conv2d;
mod fully_connected;
mod transpose_conv2d;

pub use add::{AddParams, add_f32, add_i8, sub_f32, sub_i8};
pub use conv2d::{conv2d_f32, conv2d_i8};
pub use depthwise_conv2d::{depthwise_conv2d_f32, depthwise_conv2d_i8};
pub use fully_connected::{fully_connected_f32, fully_connected_i8};
pub use transpose_conv2d::{transpose_conv2d_f32, transpose_conv2d_i8};
