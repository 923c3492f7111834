//! The `pipeline` command.
//!
//! The edges of the program and nothing else: arguments, terminal, signals, files and downloads, exit codes. What a step
//! computes, when it runs and how a report looks is decided in the crates below; this one alone prints.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "what is printed is short; text that reads as it is printed matters more than an allocation"
)]

mod args;
mod cache_folder;
mod commands;
mod engine;
mod exit;
mod failures;
mod gates;
mod lineage;
mod outputs;
mod peek;
mod problems;
mod progress;
mod project;
mod reading;
mod remote_cache;
mod saved;
mod search;
mod settings;
mod shard;
mod shell;
mod shipped;
mod signals;
mod sources;
mod step_summary;
mod table;
mod terminal;
mod trust;
mod units;
mod verbs;
mod workbench;

use std::process::ExitCode;

fn main() -> ExitCode {
    verbs::main().into()
}
