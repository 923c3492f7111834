//! Every kind of mistake in a readable recipe, with the complaint it gets.

#[path = "../common/mod.rs"]
mod common;

mod document;
mod gates;
mod parameters;
mod references;
mod sources;
mod steps;
