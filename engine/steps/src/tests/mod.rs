//! Tests of several ops together, and what tests share.

mod compression;
pub mod fixtures;
mod intermediates;
mod learning;
