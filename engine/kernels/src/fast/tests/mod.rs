//! Property tests: fast kernels against the plain loops of [`crate::reference`], on every instruction set of this machine.

mod conv;
mod convert;
mod dense;
mod depthwise;
mod elementwise;
mod hybrid;
mod matmul;
mod pool;
mod support;
