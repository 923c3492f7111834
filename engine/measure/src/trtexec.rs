//! TensorRT's own tool, where it is installed: builds an engine from an ONNX file and times it.
//!
//! Source: `samples/trtexec` of TensorRT; what it prints of a run holds a line `Latency: min = … ms, …, median = … ms, …`.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use thiserror::Error;

/// The program.
const PROGRAM: &str = "trtexec";

/// Why there is no figure.
#[derive(Debug, Error)]
pub enum TrtexecError {
    /// It is not on the `PATH`.
    #[error("trtexec is not on the PATH")]
    Missing,
    /// A file that it needs, or the program itself.
    #[error("trtexec cannot be run: {0}")]
    Io(#[from] io::Error),
    /// It ended without an engine or without a figure.
    #[error("trtexec made no engine: {0}")]
    Refused(String),
}

/// Writes files into a folder of their own, runs `trtexec` with these arguments there, and returns what it says of the latency.
///
/// # Errors
/// See [`TrtexecError`]; of what the program printed, the last line with an error.
pub fn latency(files: &[(String, Vec<u8>)], arguments: &[String]) -> Result<String, TrtexecError> {
    let installed = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
        .ok_or(TrtexecError::Missing)?;
    let folder = tempfile::tempdir()?;
    for (name, bytes) in files {
        // Names without folders: the files lie beside each other.
        let name = Path::new(name).file_name().unwrap_or_default();
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let output = Command::new(installed)
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let latency = said.lines().rev().find_map(|line| line.split_once("Latency: "));
    match latency {
        Some((_, figures)) if output.status.success() => Ok(figures.trim().to_owned()),
        _ => {
            let wrong = said.lines().rev().find(|line| line.contains("[E]"));
            let last = wrong.or_else(|| said.lines().last()).unwrap_or("it said nothing");
            Err(TrtexecError::Refused(last.trim().to_owned()))
        }
    }
}
