//! Arithmetic over slices and shapes: what a graph's operators compute, and nothing about graphs.
//!
//! - [`shape`]: the geometry that a kernel needs, as plain structs.
//! - [`quantized`]: the integer arithmetic shared by all kernels, explained.
//! - [`mod@reference`]: one plain loop per operator, the specification. Integer results equal those of
//!   LiteRT's reference kernel set (`BUILTIN_REF`) in every bit.
//! - [`gradient`]: plain loops for learning, forwards and backwards, in single and double precision.
//! - [`fast`]: the same functions for machines; the tests between the two are equality.
//!
//! All tensors are channels-last (`NHWC`), contiguous, with the batch as leading dimension. A slice whose
//! length does not fit its shape is a mistake of the caller and panics; no value in a slice does.

pub mod fast;
pub mod gradient;
pub mod quantized;
pub mod reference;
pub mod shape;
