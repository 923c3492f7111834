//! Gradients against differences and other kernels, and training as a whole.

mod common;
mod goldens;
mod gradients;
mod training;
