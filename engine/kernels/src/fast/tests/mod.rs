//! Property tests: fast kernels against the plain loops of [`crate::reference`], on every instruction set of this machine.

mod conv;
mod convert;
mod dense;
mod depthwise;
mod elementwise;
mod expansion;
mod fold;
mod hybrid;
mod layout;
mod matmul;
mod pool;
mod recurrent;
mod resize;
mod short;
mod support;
mod transpose_conv;
