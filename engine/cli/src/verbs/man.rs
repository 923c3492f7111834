//! `pipeline man`: manual pages, made of the same words as `--help`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::args::Cli;
use crate::exit::{Exit, Outcome};
use crate::terminal::Terminal;
use crate::units;

/// Writes a page for the program and one for each command: `pipeline.1`, `pipeline-run.1`, `pipeline-cache-gc.1`.
pub fn man(dir: &Path, terminal: &Terminal) -> Outcome {
    let unwritable = || format!("{}: cannot write manual pages", dir.display());
    fs::create_dir_all(dir).with_context(unwritable)?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(unwritable)?;
    let pages = fs::read_dir(dir)?.count();
    terminal.result(&format!("{} in {}\n", units::count(pages, "file"), dir.display()))?;
    Ok(Exit::Success)
}
