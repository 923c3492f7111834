//! `pipeline completions`: the completion script of a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{Exit, Outcome};
use crate::terminal::Terminal;

/// Prints the script.
pub fn completions(shell: Shell, terminal: &Terminal) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pipeline", &mut script);
    terminal.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
